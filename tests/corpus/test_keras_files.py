"""Names, roles and owners of live Keras 3 models, in the files that Keras writes.

Every variable holds values of its own, so that a tensor is known by its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

keras = pytest.importorskip("keras")
np = pytest.importorskip("numpy")

import ckread  # noqa: E402
from ckread.analysis.training import read_training_state  # noqa: E402
from ckread.errors import UnsupportedFeatureError  # noqa: E402
from ckread.model.role import Role  # noqa: E402
from ckread.readers.contract import DataType  # noqa: E402
from tests.corpus.living import live_model, scatter, train, truth_of, variables_of  # noqa: E402
from tests.corpus.models import MODELS  # noqa: E402
from tests.corpus.optimizers import OPTIMIZERS  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from tests.corpus.living import Truth

SAME_NAMES = {"twin_towers"}
"""Two towers whose variables have the same paths: names become key paths."""

ORDER_UNTOLD = {
    "subclassed", "subclassed_with_build", "subclassed_list", "nested_subclassed", "twin_towers",
    "tied_attribute",
}  # fmt: skip
"""Subclassed models, whose configuration does not list the layers."""

VARIANTS = {"adam_amsgrad": "Adam with AMSGrad", "sgd_momentum": "SGD with momentum"}
NOT_SAVED = {"twin_towers", "adafactor"}
"""What Keras itself cannot save to a legacy file: names collide."""

UNTOLD_IN_WEIGHTS = {
    "spectral": {"spec/sn/kernel", "spec/sn/bias"},
    "time_distributed": {"td/inner/kernel", "td/inner/bias"},
}
"""Names that may be open in `.weights.h5` alone: the wrapper does not say what it wraps."""


def _saved(model_name: str, optimizer_name: str, path: Path) -> tuple[Truth, Any]:
    model = live_model(model_name)
    optimizer = OPTIMIZERS[optimizer_name]()
    train(model, optimizer, model_name)
    scatter(variables_of(model, optimizer))
    model.save(path / "m.keras")
    model.save_weights(path / "m.weights.h5")
    if not NOT_SAVED & {model_name, optimizer_name}:
        model.save(path / "m.h5")
    return truth_of(model, optimizer), model


def _parameters(checkpoint: Checkpoint) -> dict[bytes, Variable]:
    return {one.numpy().tobytes(): one for one in checkpoint.values() if one.role.is_parameter}


def _assert_names(checkpoint: Checkpoint, truth: Truth, *, open_names: set[str]) -> None:
    found = _parameters(checkpoint)
    for content, path in truth.paths.items():
        if "seed_generator" in path:
            continue
        assert content in found, path
        name = found[content].name
        if path in open_names:
            assert name in (path, f"{path.rpartition('/')[0]}/{name.rpartition('/')[2]}")
        else:
            assert name == path


def _assert_slots(checkpoint: Checkpoint, truth: Truth, *, is_told: bool) -> None:
    names = {content: one.name for content, one in _parameters(checkpoint).items()}
    slots = [one for one in checkpoint.values() if one.role in (Role.SLOT, Role.AVERAGE)]
    for slot in slots:
        if slot.owner is None:
            assert not is_told, slot.name
            continue
        content = slot.numpy().tobytes()
        if content in truth.owners:
            assert slot.owner == names[truth.owners[content][0]], slot.name


def _assert_flags(checkpoint: Checkpoint, truth: Truth, *, is_told: bool) -> None:
    for content, one in _parameters(checkpoint).items():
        if one.trainable is None:
            assert not is_told, one.name
        elif content in truth.paths:
            assert one.trainable == (content in truth.trainable), one.name


def _assert_total(checkpoint: Checkpoint, truth: Truth) -> None:
    total = sum(one.elements for one in checkpoint.values() if one.role.is_parameter)
    seeds = 2 * sum("seed_generator" in path for path in truth.paths.values())
    assert total == truth.n_parameters - seeds


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_model_in_three_files(name: str, tmp_path: Path) -> None:
    truth, model = _saved(name, "adam", tmp_path)
    with ckread.open(tmp_path / "m.keras") as checkpoint:
        if name not in SAME_NAMES:
            _assert_names(checkpoint, truth, open_names=set())
        _assert_slots(checkpoint, truth, is_told=name not in ORDER_UNTOLD)
        _assert_flags(checkpoint, truth, is_told=name not in ORDER_UNTOLD)
        _assert_total(checkpoint, truth)
        state = read_training_state(checkpoint)
        assert (state.optimizer_kind, state.iterations) == ("Adam", truth.iterations)
        assert state.learning_rate == truth.learning_rate
        listed = [layer.name for layer in checkpoint.evidence.layers if layer.depth == 0]
        if name not in ORDER_UNTOLD | {"lazy_sequential"}:
            assert listed == [entry["config"]["name"] for entry in model.get_config()["layers"]]
    with ckread.open(tmp_path / "m.weights.h5") as checkpoint:
        if name not in SAME_NAMES:
            _assert_names(checkpoint, truth, open_names=UNTOLD_IN_WEIGHTS.get(name, set()))
        _assert_slots(checkpoint, truth, is_told=False)
        _assert_flags(checkpoint, truth, is_told=False)
        _assert_total(checkpoint, truth)
    if name not in NOT_SAVED:
        with ckread.open(tmp_path / "m.h5") as checkpoint:
            _assert_names(checkpoint, truth, open_names=set())
            _assert_slots(checkpoint, truth, is_told=True)
            _assert_flags(checkpoint, truth, is_told=name not in ORDER_UNTOLD)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_an_optimizer_in_three_files(optimizer: str, tmp_path: Path) -> None:
    truth, _ = _saved("functional", optimizer, tmp_path)
    files = ["m.keras", "m.weights.h5"] + ["m.h5"] * (optimizer not in NOT_SAVED)
    for file in files:
        with ckread.open(tmp_path / file) as checkpoint:
            is_told = file != "m.weights.h5"
            _assert_slots(checkpoint, truth, is_told=is_told)
            _assert_flags(checkpoint, truth, is_told=is_told)
            _assert_total(checkpoint, truth)
            roles = [one.role for one in checkpoint.values()]
            assert Role.OTHER not in roles
            state = read_training_state(checkpoint)
            assert state.iterations == truth.iterations
            if is_told:
                known = {one.numpy().tobytes() for one in checkpoint.values() if one.owner}
                assert truth.owners.keys() <= known
                assert state.optimizer_kind == VARIANTS.get(optimizer, truth.kind)


def _quantized(mode: str) -> Any:
    layers = keras.layers
    tokens = layers.Input((7,), dtype="int32")
    hidden = layers.Embedding(20, 9, name="emb")(tokens)
    hidden = layers.Dense(13, name="d")(hidden)
    project = layers.EinsumDense("abc,cde->abde", (7, 3, 5), bias_axes="de", name="ein")
    hidden = layers.Flatten(name="flat")(project(hidden))
    model = keras.Model(tokens, layers.Dense(5, name="head")(hidden), name="q")
    scatter(model.weights)
    with pytest.warns(UserWarning, match="quantiz"):
        model.quantize(mode)
    return model


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_quantized_layers(mode: str, tmp_path: Path) -> None:
    model = _quantized(mode)
    model.save(tmp_path / "q.keras")
    with ckread.open(tmp_path / "q.keras") as checkpoint:
        names = {one.name for one in checkpoint.values()}
        assert names == {one.path for one in model.weights}
        for weight in model.weights:
            found = checkpoint[weight.path]
            values = np.asarray(weight)
            if found.dtype is DataType.INT4:
                width = found.shape[-1]
                values = np.asarray(keras.quantizers.unpack_int4(values, width, axis=-1))
                assert (
                    np.concatenate([c.copy() for c in found.chunks(64)]).astype("i1").tolist()
                    == values.reshape(-1).tolist()
                )
                assert found.read((slice(1, 4), 3)).astype("i1").tolist() == values[1:4, 3].tolist()
            assert found.numpy().astype(values.dtype).tolist() == values.tolist()
        packed = {one.name for one in checkpoint.values() if one.dtype is DataType.INT4}
    kernels = {"emb/embeddings", "d/kernel", "ein/kernel", "head/kernel"}
    assert packed == (kernels if mode == "int4" else set())


def test_bfloat16_is_bit_exact(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = MODELS["functional"]()
        scatter(model.weights)
        model.save(tmp_path / "b.keras")
        model.save_weights(tmp_path / "b.weights.h5")
    finally:
        keras.config.set_dtype_policy("float32")
    for file in ("b.keras", "b.weights.h5"):
        with ckread.open(tmp_path / file) as checkpoint:
            for weight in model.weights:
                if "seed_generator" not in weight.path:
                    assert checkpoint[weight.path].dtype is DataType.BFLOAT16
                    values = np.asarray(weight.value)
                    assert checkpoint[weight.path].numpy().tobytes() == values.tobytes()


def test_sharded_weights_of_live_model(tmp_path: Path) -> None:
    model = live_model("functional")
    train(model, OPTIMIZERS["adam"](), "functional")
    model.save_weights(tmp_path / "s.weights.json", max_shard_size=1e-5)
    model.save_weights(tmp_path / "s.weights.h5")
    assert len(list(tmp_path.glob("s_0*.h5"))) > 1
    with (
        ckread.open(tmp_path / "s.weights.json") as sharded,
        ckread.open(tmp_path / "s.weights.h5") as whole,
    ):
        assert {one.name: one.numpy().tobytes() for one in sharded.values()} == {
            one.name: one.numpy().tobytes() for one in whole.values()
        }


def test_a_lambda_is_listed_and_never_run(tmp_path: Path) -> None:
    vector = keras.layers.Input((3,))
    doubled = keras.layers.Lambda(lambda x: x * 2, name="twice")(vector)
    keras.Model(vector, keras.layers.Dense(2, name="d")(doubled)).save(tmp_path / "l.keras")
    with ckread.open(tmp_path / "l.keras") as checkpoint:
        classes = [layer.class_name for layer in checkpoint.evidence.layers]
    assert classes == ["InputLayer", "Lambda", "Dense"]


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    from keras.src.saving import saving_lib

    model = MODELS["functional"]()
    saving_lib.save_model(model, tmp_path / "n.keras", weights_format="npz")
    with pytest.raises(UnsupportedFeatureError, match="pickles"):
        ckread.open(tmp_path / "n.keras")
