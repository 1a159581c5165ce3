"""Names, roles and totals of live Keras 3 models, in every container of TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")

from ckread.analysis.training import read_training_state  # noqa: E402
from ckread.model.opening import open_checkpoint  # noqa: E402
from ckread.model.role import Role  # noqa: E402
from ckread.model.tree import count_parameters  # noqa: E402
from tests.corpus.asserting import (  # noqa: E402
    MODEL,
    assert_names,
    assert_slots,
    assert_totals,
    assert_trainable_unknown,
    assert_unique_and_known,
    variables_in,
)
from tests.corpus.living import (  # noqa: E402
    live_model,
    save_checkpoint,
    scatter,
    train,
    truth_of,
    variables_of,
)
from tests.corpus.models import MODELS  # noqa: E402
from tests.corpus.optimizers import OPTIMIZERS  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.model.checkpoint import Checkpoint
    from tests.corpus.living import Truth

BUILT_ON_CALL = {
    "subclassed", "subclassed_list", "nested_subclassed", "twin_towers", "tied_attribute",
}  # fmt: skip
"""Subclassed models built by their first call: the file knows attributes, not layer names."""

NOT_SERVED = {
    "normalization": {"scale/mean", "scale/variance", "scale/count"},
    "spectral": {"spec/vector_u"},
}
"""Variables that no signature captures, which an export stores once."""


@pytest.mark.parametrize("name", sorted(MODELS))
def test_with_adam_all_is_told(name: str, tmp_path: Path) -> None:
    """Saved with its optimizer, beside or within it, everything equals the live objects."""
    truth, paths = _saved_with(name, "adam", tmp_path)
    for path in paths:
        with open_checkpoint(path) as checkpoint:
            assert_unique_and_known(checkpoint)
            assert_totals(checkpoint, truth)
            assert_slots(checkpoint, truth)
            if name in BUILT_ON_CALL:
                assert_attribute_paths(checkpoint, truth, name)
            else:
                assert_names(checkpoint, truth)


@pytest.mark.parametrize("model", ["functional", "subclassed"])
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_every_optimizer_is_understood(optimizer: str, model: str, tmp_path: Path) -> None:
    """Each slot has the owner of the live optimizer's lists; the counters are the innermost's."""
    truth, paths = _saved_with(model, optimizer, tmp_path)
    for path in paths[:2]:
        with open_checkpoint(path) as checkpoint:
            assert_unique_and_known(checkpoint)
            assert_totals(checkpoint, truth)
            assert_slots(checkpoint, truth)
            state = read_training_state(checkpoint)
            assert state.optimizer_kind is not None
            assert state.optimizer_kind.split(" with ")[0] == truth.kind
            assert state.iterations == truth.iterations
            assert state.learning_rate == truth.learning_rate
            assert state.lost == ()


@pytest.mark.parametrize("optimizer", ["sgd", "adafactor", "muon", "ema"])
def test_layers_in_a_list_keep_slots_and_are_lost(optimizer: str, tmp_path: Path) -> None:
    truth, paths = _saved_with("subclassed_list", optimizer, tmp_path)
    with open_checkpoint(paths[0]) as checkpoint:
        assert_totals(checkpoint, truth)
        assert_slots(checkpoint, truth)
        lost = read_training_state(checkpoint).lost
        assert {checkpoint[name].shape for name in lost} == {(3, 3, 4, 4), (4,)}
        assert len(lost) == 6
        if optimizer == "sgd":
            assert lost[0] == "_trainable_variables/2/kernel"
        else:
            assert lost[0] == "conv2d_1/kernel"


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_export_tells_what_is_trainable(name: str, tmp_path: Path) -> None:
    """Weights are stored twice, and count once; root lists tell what training moves."""
    truth, model = _live(name)
    model.export(str(tmp_path / "export"), verbose=False)
    with open_checkpoint(tmp_path / "export") as checkpoint:
        assert_unique_and_known(checkpoint)
        assert_totals(checkpoint, truth)
        aliases = variables_in(checkpoint, Role.ALIAS)
        originals = variables_in(checkpoint, *MODEL)
        for raw, alias in aliases.items():
            assert alias.owner == originals[raw].name
        once = {variable.name for raw, variable in originals.items() if raw not in aliases}
        assert once == NOT_SERVED.get(name, set())
        if name in BUILT_ON_CALL:
            for raw, variable in originals.items():
                path = variable.key.split("/.")[0]
                assert variable.name == f"{path}/{truth.paths[raw].rpartition('/')[2]}"
        else:
            assert_names(checkpoint, truth)


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"subclassed_list"}))
def test_without_optimizer_trainability_is_unknown(name: str, tmp_path: Path) -> None:
    """A frozen layer leaves no trace in a checkpoint or in the flags of a SavedModel."""
    truth, model = _live(name)
    tf.saved_model.save(model, str(tmp_path / "saved_model"))
    for path in (save_checkpoint(tmp_path / "bare", model=model), tmp_path / "saved_model"):
        with open_checkpoint(path) as checkpoint:
            assert_unique_and_known(checkpoint)
            assert_trainable_unknown(checkpoint, truth)
            if name in BUILT_ON_CALL:
                assert_attribute_paths(checkpoint, truth, name)
            else:
                assert_names(checkpoint, truth)


def test_layers_in_a_list_without_optimizer_are_missing(tmp_path: Path) -> None:
    """Of 897 parameters 453 are in the file: nothing can tell of the others."""
    truth, model = _live("subclassed_list")
    with open_checkpoint(save_checkpoint(tmp_path / "bare", model=model)) as checkpoint:
        assert truth.n_parameters == 897
        assert count_parameters(checkpoint.kinds).total == 453
        assert read_training_state(checkpoint).lost == ()


def test_a_model_unfrozen_without_compiling_again_counts_as_the_optimizer_knew_it(
    tmp_path: Path,
) -> None:
    model = live_model("frozen")
    optimizer = OPTIMIZERS["adam"]()
    train(model, optimizer, "frozen")
    model.get_layer("stem").trainable = True
    scatter(variables_of(model, optimizer))
    truth = truth_of(model, optimizer)
    path = save_checkpoint(tmp_path / "both", model=model, optimizer=optimizer)
    with open_checkpoint(path) as checkpoint:
        assert_names(checkpoint, truth)
        assert checkpoint["stem/kernel"].trainable is False


def test_two_models_in_one_checkpoint(tmp_path: Path) -> None:
    """Equal layer names are told apart by the attribute that holds the model."""
    generator, discriminator = live_model("functional"), live_model("functional")
    optimizer = OPTIMIZERS["adam"]()
    train(generator, optimizer, "functional")
    scatter(variables_of(generator, optimizer))
    scatter(discriminator.variables, seed=1)
    path = save_checkpoint(
        tmp_path / "gan", generator=generator, discriminator=discriminator, optimizer=optimizer
    )
    with open_checkpoint(path) as checkpoint:
        assert_unique_and_known(checkpoint)
        for prefix, model in (("generator", generator), ("discriminator", discriminator)):
            paths = truth_of(model).paths
            found = variables_in(checkpoint, *MODEL)
            assert {found[raw].name for raw in paths} == {f"{prefix}/{p}" for p in paths.values()}
        assert checkpoint["generator/stem/kernel"].trainable is True
        assert checkpoint["discriminator/stem/kernel"].trainable is None
        assert checkpoint["discriminator/norm/moving_mean"].trainable is False
        assert count_parameters(checkpoint.kinds).trainable is None
        slot = checkpoint["optimizer/generator/stem/kernel/momentum"]
        assert slot.owner == "generator/stem/kernel"


def test_a_tied_layer_is_one_variable_with_two_paths(tmp_path: Path) -> None:
    truth, model = _live("tied_attribute")
    with open_checkpoint(save_checkpoint(tmp_path / "bare", model=model)) as checkpoint:
        kernel = checkpoint["first/kernel"]
        assert kernel.key.startswith("model/first/_kernel/")
        assert kernel.paths == ("model/again/_kernel",)
        assert count_parameters(checkpoint.kinds).total == truth.n_parameters


def test_names_agree_with_and_without_optimizer(tmp_path: Path) -> None:
    model = live_model("subclassed")
    optimizer = OPTIMIZERS["adam"]()
    train(model, optimizer, "subclassed")
    names = []
    for i, roots in enumerate(({"model": model}, {"model": model, "optimizer": optimizer})):
        with open_checkpoint(save_checkpoint(tmp_path / f"ckpt{i}", **roots)) as checkpoint:
            names.append({variable.name for variable in checkpoint.values()})
    assert names[0] == names[1]


def assert_attribute_paths(checkpoint: Checkpoint, truth: Truth, name: str) -> None:
    """The honest fallback for names: the attributes that hold a variable, and its own name."""
    found = variables_in(checkpoint, *MODEL)
    assert found.keys() == truth.paths.keys()
    for raw, path in truth.paths.items():
        assert found[raw].name.rpartition("/")[2] == path.rpartition("/")[2]
    holders = {variable.name.rpartition("/")[0] for variable in found.values()}
    assert holders in ATTRIBUTES[name]


ATTRIBUTES = {
    "subclassed": [{"a", "norm", "head"}],
    "subclassed_list": [
        {"stem", "norm", "head", "conv2d_1", "conv2d_2", "conv2d_3"},
        {"stem", "norm", "head", "blocks/0", "blocks/1", "blocks/2"},
    ],
    "nested_subclassed": [{"b1/conv", "b1/bn", "b2/conv", "b2/bn", "head"}],
    "twin_towers": [{f"{tower}/_operations/{i}" for tower in "qt" for i in (1, 2)}],
    "tied_attribute": [{"first", "head"}],
}


def _live(name: str) -> tuple[Truth, Any]:
    model = live_model(name)
    scatter(model.variables)
    return truth_of(model), model


def _saved_with(name: str, optimizer_name: str, folder: Path) -> tuple[Truth, list[str]]:
    """Train a step and save: beside the optimizer, within the model, as a SavedModel."""
    model, optimizer = live_model(name), OPTIMIZERS[optimizer_name]()
    train(model, optimizer, name)
    scatter(variables_of(model, optimizer))
    paths = [
        save_checkpoint(folder / "both", model=model, optimizer=optimizer),
        save_checkpoint(folder / "compiled", model=model),
    ]
    if optimizer_name == "adam":
        tf.saved_model.save(model, str(folder / "saved_model"))
        paths.append(str(folder / "saved_model"))
    return truth_of(model, optimizer), paths
