"""Names, roles and totals of live Keras 2 models, in every container of TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

from ckread.analysis.training import read_training_state  # noqa: E402
from ckread.model.opening import open_checkpoint  # noqa: E402
from ckread.model.role import Role  # noqa: E402
from tests.corpus.asserting import (  # noqa: E402
    assert_names,
    assert_totals,
    assert_trainable_unknown,
    assert_unique_and_known,
    variables_in,
)
from tests.corpus.keras2_models import IMAGE, MODELS, N_CLASSES, OPTIMIZERS  # noqa: E402
from tests.corpus.living import Truth, contents, save_checkpoint, scatter  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.model.checkpoint import Checkpoint

LISTS = (
    "momentums", "_momentums", "_velocities", "_velocity_hats", "_average_gradients",
    "_accumulators", "_linears", "_r", "_c", "_v", "_model_variables_moving_average",
)  # fmt: skip


@pytest.mark.parametrize("optimizer", ["adam", "legacy_adam"])
@pytest.mark.parametrize("name", sorted(MODELS))
def test_models(name: str, optimizer: str, tmp_path: Path) -> None:
    truth, model, trainer = _trained(name, optimizer)
    for path in _saved(model, trainer, tmp_path):
        with open_checkpoint(path) as checkpoint:
            assert_unique_and_known(checkpoint)
            assert_names(checkpoint, truth)
            assert_totals(checkpoint, truth)
            assert_owners(checkpoint, truth)
            assert read_training_state(checkpoint).lost == ()


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_optimizers(optimizer: str, tmp_path: Path) -> None:
    truth, model, trainer = _trained("functional", optimizer)
    for path in _saved(model, trainer, tmp_path)[:3]:
        with open_checkpoint(path) as checkpoint:
            assert_unique_and_known(checkpoint)
            assert_totals(checkpoint, truth)
            assert_owners(checkpoint, truth)
            assert read_training_state(checkpoint).iterations == truth.iterations


def test_without_slots_trainability_is_unknown(tmp_path: Path) -> None:
    """Keras 2's SGD leaves no trace of what it trains; a SavedModel's root lists do."""
    model = _live("frozen")
    model.compile("sgd", "mse", run_eagerly=True)
    scatter(model.variables)
    truth = _truth(model)
    with open_checkpoint(save_checkpoint(tmp_path / "bare", model=model)) as checkpoint:
        assert_names(checkpoint, truth)
        assert_trainable_unknown(checkpoint, truth)
    model.save(str(tmp_path / "saved_model"), save_format="tf")
    with open_checkpoint(tmp_path / "saved_model") as checkpoint:
        assert_totals(checkpoint, truth)


def assert_owners(checkpoint: Checkpoint, truth: Truth) -> None:
    """Every slot of the live optimizer is found with its weight."""
    slots = variables_in(checkpoint, Role.SLOT, Role.AVERAGE)
    weights = variables_in(checkpoint, Role.WEIGHT)
    assert slots.keys() == truth.owners.keys()
    for raw, (owner, _) in truth.owners.items():
        assert slots[raw].owner == weights[owner].name


def _live(name: str) -> Any:
    tf_keras.backend.clear_session()
    model = MODELS[name]()
    model(np.zeros((1, *IMAGE), np.float32))
    return model


def _trained(name: str, optimizer: str) -> tuple[Truth, Any, Any]:
    model, trainer = _live(name), OPTIMIZERS[optimizer]()
    model.compile(trainer, "mse", run_eagerly=True)
    samples = np.random.default_rng(1).random((2, *IMAGE), dtype=np.float32)
    model.train_on_batch(samples, np.zeros((2, N_CLASSES), np.float32))
    own = trainer.variables() if callable(trainer.variables) else trainer.variables
    rest = [v for v in [*own, *_dummies(trainer)] if all(v is not w for w in model.variables)]
    scatter([*model.variables, *rest])
    return _truth(model, trainer), model, trainer


def _saved(model: Any, trainer: Any, folder: Path) -> list[str]:
    paths = [
        save_checkpoint(folder / "both", model=model, optimizer=trainer),
        save_checkpoint(folder / "compiled", model=model),
        str(folder / "weights"),
        str(folder / "saved_model"),
    ]
    model.save_weights(paths[2], save_format="tf")
    model.save(paths[3], save_format="tf")
    return paths


def _truth(model: Any, trainer: Any = None) -> Truth:
    return Truth(
        paths={contents(weight): weight.name.removesuffix(":0") for weight in model.weights},
        trainable={contents(weight) for weight in model.trainable_weights},
        owners={} if trainer is None else _owners(model, trainer),
        n_parameters=model.count_params(),
        iterations=0 if trainer is None else int(trainer.iterations),
    )


def _owners(model: Any, trainer: Any) -> dict[bytes, tuple[bytes, str]]:
    weights = model.trainable_weights
    inner = getattr(trainer, "inner_optimizer", trainer)
    if hasattr(inner, "get_slot_names"):
        return {
            contents(inner.get_slot(weight, name)): (contents(weight), name)
            for weight in weights
            for name in inner.get_slot_names()
        }
    return {
        contents(slot): (contents(weights[i]), name)
        for name in LISTS
        for i, slot in enumerate(getattr(inner, name, ()))
    }


def _dummies(trainer: Any) -> list[Any]:
    """Give the scalars that Adafactor keeps for vectors, which are not its `variables`."""
    return [v for name in ("_r", "_c") for v in getattr(trainer, name, ()) if not v.shape.rank]
