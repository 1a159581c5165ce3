"""Training curves: logs joined, the best epoch, and which checkpoint holds it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.history.history import history
from ckread.errors import UsageError
from ckread.model.run.run import open_run
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder, write_bundle

if TYPE_CHECKING:
    from pathlib import Path


def _log(path: Path, first: int, losses: list[float], **more: list[float]) -> Path:
    rows: list[dict[str, Any]] = [
        {"epoch": first + i, "loss": loss} | {k: v[i] for k, v in more.items()}
        for i, loss in enumerate(losses)
    ]
    path.write_text(json.dumps(rows))
    return path


def test_digits_run(fixtures_dir: Path) -> None:
    folder = fixtures_dir / "digits_run"
    result = history(folder / "history.json", open_run(folder))
    best = result.best
    assert best is not None
    assert best.to_dict() == {
        "metric": "val_loss",
        "mode": "min",
        "epoch": 8,
        "value": 0.035304,
        "checkpoint": str(folder / "ckpt-8"),
        "nearest": None,
    }
    assert result.to_dict()["best"] == best.to_dict()
    assert len(result.holders.kept) == 10
    by_accuracy = history(folder / "history.json", best="val_accuracy").best
    assert by_accuracy is not None
    assert str(by_accuracy.mode) == "max"


def test_of_an_epoch_in_two_logs_the_later_counts(tmp_path: Path) -> None:
    first = _log(tmp_path / "a", 1, [9, 8, 7, 6])
    second = _log(tmp_path / "b", 3, [5, 4, 3])
    result = history([first, second])
    assert result.epochs == (1, 2, 3, 4, 5)
    assert list(result.metrics["loss"]) == [9, 8, 5, 4, 3]
    assert list(result.seams) == [3]
    assert history([second, first]).metrics["loss"] == (9, 8, 5, 4, 3)


def test_a_gap_is_told(tmp_path: Path) -> None:
    logs = [_log(tmp_path / "a", 1, [9, 8]), _log(tmp_path / "b", 5, [4])]
    result = history(logs)
    assert result.epochs == (1, 2, 5)
    assert result.gaps == ((3, 4),)


def test_metrics_of_one_log_only(tmp_path: Path) -> None:
    logs = [_log(tmp_path / "a", 1, [9]), _log(tmp_path / "b", 2, [4], accuracy=[0.5])]
    assert history(logs).metrics == {"loss": (9, 4), "accuracy": (None, 0.5)}


def test_a_log_without_numbers_continues_the_one_before(tmp_path: Path) -> None:
    for name, losses in (("a", [3, 2]), ("b", [1])):
        (tmp_path / name).write_text(json.dumps({"loss": losses}))
    result = history([tmp_path / "a", tmp_path / "b"])
    assert result.epochs == (1, 2, 3)
    assert result.metrics["loss"] == (3, 2, 1)


@pytest.mark.parametrize(
    ("metric", "mode", "epoch"),
    [
        ("loss", "min", 3), ("mae", "min", 3), ("val_rmse", "min", 3), ("perplexity", "min", 3),
        ("accuracy", "max", 1), ("val_auc", "max", 1), ("f1_score", "max", 1),
        ("mean_iou", "max", 1),
    ],
)  # fmt: skip
def test_what_is_best_is_told_from_the_name(
    tmp_path: Path, metric: str, mode: str, epoch: int
) -> None:
    log = _log(tmp_path / "a", 1, [0, 0, 0, 0], **{metric: [3.0, 2.0, 1.0, 1.0]})
    best = history(log, best=metric).best
    assert best is not None
    assert (str(best.mode), best.epoch) == (mode, epoch)


def test_a_name_that_does_not_tell(tmp_path: Path) -> None:
    log = _log(tmp_path / "a", 1, [1, 2], gamma=[5, 6])
    with pytest.raises(UsageError, match="gamma: its name does not tell what is best"):
        history(log, best="gamma")
    best = history(log, best="gamma", mode="max").best
    assert best is not None
    assert best.epoch == 2
    with pytest.raises(UsageError, match="no metric delta in these logs") as caught:
        history(log, best="delta")
    assert caught.value.remedy == "There are loss, gamma."
    with pytest.raises(UsageError, match="no metric gama in these logs") as caught:
        history(log, best="gama")
    assert caught.value.remedy == "Nearest names:\n  gamma"
    with pytest.raises(UsageError, match="no log given"):
        history([])


def test_nan_is_never_best(tmp_path: Path) -> None:
    best = history(_log(tmp_path / "a", 1, [float("nan"), 3, float("nan")])).best
    assert best is not None
    assert best.epoch == 2


def test_a_best_epoch_that_was_not_kept(tmp_path: Path) -> None:
    for epoch in (1, 4):
        write_bundle(tmp_path / f"epoch-{epoch}", {"w": np.ones(2)})
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "epoch-4"\nall_model_checkpoint_paths: "epoch-2"\n'
    )
    log = _log(tmp_path / "a", 1, [4, 3, 2, 3])
    result = history(log, open_run(tmp_path))
    assert result.best is not None
    assert result.best.checkpoint is None
    assert result.best.nearest == str(tmp_path / "epoch-4")
    assert result.holders.deleted == (2,)


def test_checkpoints_by_iterations(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        builder = BundleBuilder()
        builder.add("global_step", np.array(epoch * 120), DataType.INT64)
        builder.add("w", np.ones(2, np.float32), DataType.FLOAT32)
        builder.write(tmp_path / f"ckpt-{epoch * 120}")
    result = history(_log(tmp_path / "a", 1, [4, 3, 5]), open_run(tmp_path))
    assert result.holders.how == (
        "by iterations, 120 to an epoch, if the log ends at the last checkpoint"
    )
    assert result.best is not None
    assert result.best.checkpoint == str(tmp_path / "ckpt-240")


def test_checkpoints_that_match_no_epoch(tmp_path: Path) -> None:
    for step in (7, 9):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": np.ones(2)})
    result = history(_log(tmp_path / "a", 1, [4, 3]), open_run(tmp_path))
    assert result.holders.kept == {}
    document = result.to_dict()
    assert document["best"]["checkpoint"] is None
    assert document["checkpoints"] == []


def _saved(folder: Path, counts: dict[str, dict[str, int]]) -> Path:
    """Write a checkpoint for each name, with these counters in it."""
    folder.mkdir(exist_ok=True)
    for name, counters in counts.items():
        builder = BundleBuilder()
        for key, value in counters.items():
            builder.add(key, np.array(value), DataType.INT64)
        builder.add("w", np.ones(2, np.float32), DataType.FLOAT32)
        builder.write(folder / name)
    return folder


def test_save_counters_are_no_epochs(tmp_path: Path) -> None:
    counts = {f"ckpt-{i}": {"save_counter": i} for i in (1, 2, 3)}
    run = open_run(_saved(tmp_path, counts))
    result = history(_log(tmp_path / "a", 1, [6, 5, 4, 3, 2, 1]), run)
    assert result.holders.kept == {}
    assert result.holders.how == ""
    assert result.best is not None
    assert (result.best.epoch, result.best.checkpoint, result.best.nearest) == (6, None, None)
    assert result.to_dict()["evidence"][0]["strength"] == "unknown"


def test_steps_match_steps_as_they_are(tmp_path: Path) -> None:
    counts = {f"model.ckpt-{n}": {"global_step": n} for n in (0, 2000, 2010)}
    run = open_run(_saved(tmp_path, counts))
    text = "step,loss\n" + "".join(f"{n},{abs(n - 200) + 1}\n" for n in range(0, 2001, 100))
    (tmp_path / "log.csv").write_text(text)
    result = history(tmp_path / "log.csv", run)
    assert result.holders.kept == {
        0: str(tmp_path / "model.ckpt-0"), 2000: str(tmp_path / "model.ckpt-2000"),
    }  # fmt: skip
    assert result.best is not None
    assert (result.best.epoch, result.best.checkpoint) == (200, None)
    assert result.best.nearest == str(tmp_path / "model.ckpt-0")


def test_a_column_of_iterations_ties_exactly(tmp_path: Path) -> None:
    counts = {f"ckpt-{i}": {"opt/iterations": n} for i, n in ((1, 15), (2, 45))}
    run = open_run(_saved(tmp_path, counts))
    log = _log(tmp_path / "a", 1, [3, 2, 1, 2], iterations=[15, 30, 45, 60])
    result = history(log, run)
    assert result.holders.how == "by the column iterations"
    assert result.best is not None
    assert result.best.checkpoint == str(tmp_path / "ckpt-2")
    assert set(result.metrics) == {"loss"}


def test_iterations_that_do_not_agree_tie_nothing(tmp_path: Path) -> None:
    counts = {f"ckpt-{i}": {"opt/iterations": n} for i, n in ((1, 20), (2, 45), (3, 100))}
    run = open_run(_saved(tmp_path, counts))
    assert history(_log(tmp_path / "a", 1, [3.0] * 10), run).holders.kept == {}


@pytest.mark.parametrize("first", [0, 1])
def test_epochs_of_names_count_as_the_log_does(tmp_path: Path, first: int) -> None:
    names = [f"w_epoch{first + i}" for i in (0, 2)]
    run = open_run(_saved(tmp_path, {name: {} for name in names}))
    text = "epoch,loss\n" + "".join(f"{first + i},{4 - i}\n" for i in range(3))
    (tmp_path / "log.csv").write_text(text)
    result = history(tmp_path / "log.csv", run)
    assert result.holders.kept == {1: str(tmp_path / names[0]), 3: str(tmp_path / names[1])}


def test_a_metric_in_the_name_ties_its_number(tmp_path: Path) -> None:
    run = open_run(_saved(tmp_path, {"w.02-0.35": {}, "w.04-0.21": {}}))
    log = _log(tmp_path / "a", 1, [1, 1, 1, 1], val_loss=[0.9, 0.351, 0.4, 0.2122])
    assert set(history(log, run).holders.kept) == {2, 4}
    other = _log(tmp_path / "b", 1, [1, 1, 1, 1], val_loss=[0.9, 0.8, 0.4, 0.2122])
    assert history(other, run).holders.kept == {}


def test_two_numbers_are_two_columns(tmp_path: Path) -> None:
    names = [f"-mlp{e}-{i}" for e in (0, 1) for i in (100, 200)]
    run = open_run(_saved(tmp_path, {name: {} for name in names}))
    rows = [(0, 100, 4), (0, 200, 3), (1, 100, 1), (1, 200, 2)]
    text = "epoch,iteration,val_cost\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    (tmp_path / "log.csv").write_text(text)
    result = history(tmp_path / "log.csv", run)
    assert (result.unit, result.epochs) == ("row", (1, 2, 3, 4))
    assert result.best is not None
    assert result.best.checkpoint == str(tmp_path / "-mlp1-100")
    swapped = history(tmp_path / "log.csv", run, match={"iteration": "number", "epoch": 1})
    assert swapped.holders.kept == result.holders.kept


def test_a_person_says_which_epoch_it_is(tmp_path: Path) -> None:
    run = open_run(_saved(tmp_path, {"model": {}}))
    log = _log(tmp_path / "a", 1, [3, 1, 2])
    unknown = history(log, run)
    assert unknown.holders.why == (
        "nothing ties it to the log: one checkpoint, no epoch in its name, "
        "no steps or iterations in the log"
    )
    result = history(log, run, match={"epoch": 2})
    assert result.best is not None
    assert result.best.checkpoint == str(tmp_path / "model")
    for match, said in (
        ({"step": 2}, "no column step"),
        ({"epoch": 9}, "no such row"),
        ({"epoch": "x"}, "no number"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            history(log, run, match=match)
    _saved(tmp_path / "w", {"w-a": {}, "w-b": {}})
    several = open_run([tmp_path / "w/w-a", tmp_path / "w/w-b"])
    with pytest.raises(UsageError, match="no number 1 in the names"):
        history(log, several, match={"epoch": 1})


def test_a_backup_of_keras_says_how_many_epochs_are_done(
    tmp_path: Path, fixtures_dir: Path
) -> None:
    shutil.copy(fixtures_dir / "digits_files/digits.weights.h5", tmp_path / "latest.weights.h5")
    (tmp_path / "training_metadata.json").write_text('{"epoch": 2, "batch": 0}')
    run = open_run(tmp_path / "latest.weights.h5")
    log = _log(tmp_path / "a", 1, [3, 1, 2])
    assert set(history(log, run).holders.kept) == {2}
    (tmp_path / "training_metadata.json").write_text('{"epoch": 2, "batch": 7}')
    assert history(log, run).holders.kept == {}


@pytest.mark.parametrize("epoch", ["1e30", "9007199254740992", "9" * 400])
def test_a_column_beyond_all_counts_numbers_no_epochs(tmp_path: Path, epoch: str) -> None:
    """Fuzzing found it: a frame has no place for such an epoch, and no training reaches it."""
    path = tmp_path / "log.csv"
    path.write_text(f"epoch,loss\n{epoch},3.0\n{epoch}0,2.0\n")
    result = history(path)
    assert result.epochs == (1, 2)
    assert result.to_pandas()["loss"].tolist() == [3.0, 2.0]
    path.write_text("epoch,loss\n9007199254740990,3.0\n9007199254740991,2.0\n")
    frame = history(path).to_pandas()  # CSVLogger counts from 0
    assert frame.index.tolist() == [9007199254740991, 9007199254740992]


def test_a_training_that_was_begun_anew_from_the_first_epoch_goes_on_after_none(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log.jsonl"
    rows = [{"epoch": 5, "loss": 1.0}, {"epoch": 2, "loss": 0.9}, {"epoch": 3, "loss": 0.5},
            {"epoch": 5, "loss": 0.2}]  # fmt: skip
    log.write_text("\n".join(map(json.dumps, rows)))
    result = history(log)
    assert (result.epochs, result.seams) == ((2, 3, 5), ())
    assert result.notes == ("From epoch 2 on it was logged again; the later rows count.",)
