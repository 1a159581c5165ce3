"""What an optimizer did, by its slots: crafted runs, fixtures, every kind of weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.analysis.audit.optimizer import optimizer, optimizer_of_run, owners_of_slots
from ckread.analysis.audit.rules import Hyperparameter, read_states, rule_of
from ckread.analysis.audit.seams import find_seams
from ckread.analysis.audit.updates import last_update
from ckread.errors import CheckpointError, UsageError, VariableNotFoundError
from ckread.model.opening import open_checkpoint
from ckread.model.run.run import open_run
from ckread.views.optimizer import optimizer_page, optimizer_run_page, verdict
from tests.analysis.audit.crafted import Training
from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

TEN = FIXTURES / "digits_run" / "ckpt-10"


def test_the_last_update_of_a_crafted_adam(tmp_path: Path) -> None:
    first = Training(tmp_path).epochs(2)
    before = {name: w.astype(np.float64) for name, w in first.weights.items()}
    _one_step(first)
    first.save()
    audit = optimizer(tmp_path / "model.ckpt-3")
    [one] = audit.optimizers
    assert (one.kind, one.iterations, one.reason) == ("Adam", 41, None)
    assert one.hyperparameters["epsilon"] == (1e-8, "default")
    for weight in audit.weights:
        moved = np.linalg.norm(first.weights[weight.name] - before[weight.name])
        assert weight.update_l2 == pytest.approx(moved, rel=1e-4)
        v = np.asarray(first.v[weight.name], np.float64)
        signal = np.median(np.abs(first.m[weight.name]) / np.sqrt(v))
        assert weight.signal == pytest.approx(signal, rel=1e-6)
        assert weight.largest_v == v.max()


def _one_step(first: Training) -> None:
    folder, n = first.folder, first.n_saved
    first.folder = folder / "aside"
    first.folder.mkdir()
    import tests.analysis.audit.crafted as crafted

    epoch, crafted.EPOCH = crafted.EPOCH, 1
    try:
        first.epochs(1)
    finally:
        crafted.EPOCH = epoch
    first.folder, first.n_saved = folder, n


def test_what_no_gradient_reached_and_rows_of_an_embedding(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(20, 4)).astype(np.float32)
    m, v = np.zeros_like(weight), np.zeros_like(weight)
    m[:6], v[:6] = 0.1, 0.01
    v[5, 0] = 1e-20
    tensors: dict[str, Any] = {
        "text/embeddings": weight, "text/embeddings/Adam": m, "text/embeddings/Adam_1": v,
        "beta1_power": np.float32(0.9**11), "beta2_power": np.float32(0.999**11),
    }  # fmt: skip
    write_bundle(tmp_path / "model.ckpt-10", tensors)
    audit = optimizer(tmp_path / "model.ckpt-10")
    [weight_update] = audit.weights
    assert (weight_update.without_gradient, weight_update.rows_without_gradient) == (56, 14)
    assert weight_update.at_epsilon == 1
    assert weight_update.update_ratio is None
    [one] = audit.optimizers
    assert one.reason == "the learning rate of the last step is not in the file"
    assert "14 of the 20 rows of text/embeddings have had no gradient" in verdict(audit)


@pytest.mark.slow
def test_large_weights_are_summed_alike_in_pieces_and_processes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weight, m = (rng.normal(size=(1100, 1000)).astype(np.float32) for _ in range(2))
    v = (m * m).astype(np.float32)
    tensors: dict[str, Any] = {
        "w": weight, "w/Adam": m, "w/Adam_1": v, "learning_rate": np.float32(0.01),
        "beta1_power": np.float32(0.9**11), "beta2_power": np.float32(0.999**11),
    }  # fmt: skip
    write_bundle(tmp_path / "model.ckpt-10", tensors)
    one, two = (optimizer(tmp_path / "model.ckpt-10", n_jobs=n).weights[0] for n in (1, 2))
    assert one == two
    assert one.signal == pytest.approx(1, rel=1e-6)
    alpha = np.float32(0.01) * np.sqrt(1 - 0.999**10) / (1 - 0.9**10)
    moved = alpha * np.linalg.norm(m.astype("f8") / (np.sqrt(v.astype("f8")) + 1e-8))
    assert one.update_l2 == pytest.approx(moved, rel=1e-6)


def test_archives_and_legacy_files_say_the_same() -> None:
    """And the archive, unlike the weights alone, tells the settings."""
    folder = FIXTURES / "keras_compiled"
    names = ("compiled.keras", "compiled.h5", "compiled.weights.h5")
    archive, legacy, weights = (optimizer(folder / name) for name in names)
    assert archive.weights == legacy.weights == weights.weights
    sources = [one.optimizers[0].hyperparameters["beta_1"].source for one in (archive, weights)]
    assert sources == ["config", "default"]


def test_a_run(tmp_path: Path) -> None:
    Training(tmp_path).epochs(4)
    found = optimizer_of_run(tmp_path)
    ratios = found.ratios()["a/kernel"]
    assert len(ratios) == len(found.checkpoints) == 4
    assert all(ratio for ratio in ratios)
    assert "Updates" in optimizer_run_page(found).text()


def test_a_damaged_checkpoint_of_a_run_is_left_out_and_said(tmp_path: Path) -> None:
    Training(tmp_path).epochs(3)
    path = tmp_path / "model.ckpt-2.index"
    path.write_bytes(path.read_bytes()[:-48] + bytes(48))
    found = optimizer_of_run(tmp_path)
    assert [one.name for one in found.checkpoints] == ["model.ckpt-1", "model.ckpt-3"]


def test_a_checkpoint_that_goes_while_a_run_is_read_is_left_out_and_said(tmp_path: Path) -> None:
    Training(tmp_path).epochs(3)
    run = open_run(tmp_path)
    for path in tmp_path.glob("model.ckpt-2.*"):
        path.unlink()
    found = optimizer_of_run(run)
    assert [one.name for one in found.checkpoints] == ["model.ckpt-1", "model.ckpt-3"]
    assert [note.partition(" was left out: ")[0] for note in found.notes] == ["model.ckpt-2"]
    for path in tmp_path.glob("model.ckpt-*"):
        path.unlink()
    with pytest.raises(CheckpointError):
        optimizer_of_run(run)


def test_a_momentum_of_tensorflow_1_is_not_that_of_nesterov(tmp_path: Path) -> None:
    w = np.ones(3, np.float32)
    write_bundle(tmp_path / "ckpt-1", {"w": w, "w/Momentum": w})
    [state] = optimizer(tmp_path / "ckpt-1").optimizers
    found = {name: one.value for name, one in state.hyperparameters.items()}
    assert found == {"learning_rate": None, "momentum": None, "nesterov": False}


@pytest.mark.parametrize(("slots", "epsilon"), [("RMSProp", 1e-10), ("Adam", 1e-8)])
def test_what_is_added_to_a_root_is_that_of_tensorflow_1(
    tmp_path: Path, slots: str, epsilon: float
) -> None:
    w = np.ones(3, np.float32)
    write_bundle(tmp_path / "ckpt-1", {"w": w, f"w/{slots}": w, f"w/{slots}_1": w})
    [state] = optimizer(tmp_path / "ckpt-1").optimizers
    assert state.hyperparameters["epsilon"] == Hyperparameter(epsilon, "default")


@pytest.mark.parametrize("n", [5, 40, 400])
def test_screens_of_any_size(tmp_path: Path, n: int) -> None:
    rng = np.random.default_rng(0)
    tensors: dict[str, Any] = {
        "learning_rate": np.float32(0.01), "beta1_power": np.float32(0.9**11),
        "beta2_power": np.float32(0.999**11),
    }  # fmt: skip
    for i in range(n // 2):
        for name, shape in ((f"block{i}_conv/kernel", (3, 3)), (f"block{i}_conv/bias", (3,))):
            tensors[name] = rng.normal(size=shape).astype(np.float32)
            tensors[f"{name}/Adam"] = rng.normal(size=shape).astype(np.float32)
            tensors[f"{name}/Adam_1"] = rng.random(shape).astype(np.float32)
    write_bundle(tmp_path / "model.ckpt-10", dict(sorted(tensors.items())))
    audit = optimizer(tmp_path / "model.ckpt-10")
    lines = optimizer_page(audit).text().splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 40
    if n > 24:
        assert any(line.startswith(f"block*_conv/kernel  {n // 2}") for line in lines)
        every = optimizer_page(audit, show_all=True).text().splitlines()
        assert len(every) > len(audit.weights)


def test_refusals() -> None:
    with pytest.raises(UsageError, match=r"nothing in .* is known as an optimizer's"):
        optimizer(FIXTURES / "strings" / "plain")
    with pytest.raises(VariableNotFoundError):
        optimizer(TEN, "conv9")


@pytest.mark.parametrize(
    "kept", [["decay"], ["learning_rate"], ["opt/iterations"], ["opt/iterations", "opt/beta_1"]]
)
def test_what_is_left_of_an_optimizer_without_slots(kept: list[str], tmp_path: Path) -> None:
    """It is named by the error, and `info` says neither that nothing is there nor where it went."""
    tensors = {name: np.array(3, np.int64 if "iter" in name else np.float32) for name in kept}
    path = write_bundle(tmp_path / "ckpt-1", {"w": np.ones((2, 2), np.float32), **tensors})
    with pytest.raises(UsageError, match=f"holds no slots, only {', '.join(sorted(kept))}"):
        optimizer(path)
    text = " ".join(str(ckread.info(path)).split())
    assert "no optimizer" not in text
    assert "Weights only" not in text


def test_it_shows_itself() -> None:
    audit = ckread.optimizer(TEN)
    assert str(audit).splitlines()[1].startswith("The last update moved the weights by 0.12 %")
    frame = audit.to_pandas()
    assert frame.loc["conv1/kernel", "without_gradient"] == 9
    along = ckread.optimizer_of_run(FIXTURES / "digits_run", "conv1")
    assert len(along.to_pandas()) == 20


def test_what_lies_nowhere_plainly_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = optimizer(TEN)
    monkeypatch.setattr("ckread.analysis.audit.updates.plain_extents", lambda _: None)
    streamed = optimizer(TEN)
    for one, other in zip(plain.weights, streamed.weights, strict=True):
        assert one.signal == other.signal
        assert one.update_ratio == pytest.approx(other.update_ratio, rel=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["a/kernel", "a/kernel/Adam", "a/kernel/Adam_1"])
def test_what_is_not_finite_is_no_figure(tmp_path: Path, value: float, where: str) -> None:
    first = Training(tmp_path).epochs(1)
    whole = np.full((12, 16), value, np.float32)
    first.save(**{where.replace("/", "__"): whole})
    audit = optimizer(tmp_path / "model.ckpt-2")
    assert "moved the weights by" in verdict(audit) or "cannot be recomputed" in verdict(audit)
    assert optimizer_page(audit).text()
    assert optimizer_run_page(optimizer_of_run(tmp_path)).text()
    ckread.plot_optimizer(audit)
    ckread.plot_optimizer(optimizer_of_run(tmp_path))


def test_damaged_slots_are_left_out_and_said(tmp_path: Path) -> None:
    Training(tmp_path).epochs(1)
    [shard] = tmp_path.glob("*.data-*")
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    audit = optimizer(tmp_path / "model.ckpt-1")
    assert len(audit.weights) == 2
    [note] = audit.notes
    assert "was left out" in note


@pytest.mark.parametrize("name", ["learning_rate", "beta1_power", "beta2_power", "global_step"])
@pytest.mark.parametrize("value", [np.nan, -np.inf, -1.0, 0.0, 1.0, 1e30])
def test_no_scalar_of_a_stranger_breaks_it(tmp_path: Path, name: str, value: float) -> None:
    first = Training(tmp_path).epochs(1)
    first.save(**{name: np.float32(value)})
    first.save(**{name: np.float32(1.5)})
    first.save()
    assert optimizer_page(optimizer(tmp_path / "model.ckpt-2")).text()
    assert isinstance(find_seams(tmp_path), tuple)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 1.0, 1e300])
@pytest.mark.parametrize("name", ["beta_1", "beta_2", "epsilon", "learning_rate", "steps"])
def test_no_setting_of_a_stranger_breaks_it(name: str, value: float) -> None:
    told = {n: Hyperparameter(0.5, "default") for n in ("beta_1", "beta_2", "epsilon")}
    told[name] = Hyperparameter(value, "checkpoint")
    with open_checkpoint(TEN) as checkpoint:
        [state] = read_states(checkpoint)
        slots = owners_of_slots(checkpoint)["conv1/kernel"]
        state = state._replace(iterations=10**9 if name == "steps" else 7)
        rule, reason = rule_of(checkpoint, state, told, 0.1, slots)
        if reason is None:
            assert last_update(rule, np.ones(3), [np.ones(3), np.ones(3)]) is not None
