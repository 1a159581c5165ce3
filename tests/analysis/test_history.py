"""Training curves: logs joined, the best epoch, and which checkpoint holds it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.history import history
from ckread.errors import UsageError
from ckread.model.run.run import open_run
from ckread.readers.dtypes import DataType
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
    with pytest.raises(UsageError, match="no metric delta in these logs"):
        history(log, best="delta")
    with pytest.raises(UsageError, match="no log given"):
        history([])


def test_nan_is_never_best(tmp_path: Path) -> None:
    best = history(_log(tmp_path / "a", 1, [float("nan"), 3, float("nan")])).best
    assert best is not None
    assert best.epoch == 2


def test_a_best_epoch_that_was_not_kept(tmp_path: Path) -> None:
    for step in (1, 4):
        write_bundle(tmp_path / f"ckpt-{step}", {"w": np.ones(2)})
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "ckpt-4"\nall_model_checkpoint_paths: "ckpt-2"\n'
    )
    log = _log(tmp_path / "a", 1, [4, 3, 2, 3])
    result = history(log, open_run(tmp_path))
    assert result.best is not None
    assert result.best.checkpoint is None
    assert result.best.nearest == str(tmp_path / "ckpt-4")
    assert result.holders.deleted == (2,)


def test_checkpoints_by_iterations(tmp_path: Path) -> None:
    for epoch in (1, 2, 3):
        builder = BundleBuilder()
        builder.add("global_step", np.array(epoch * 120), DataType.INT64)
        builder.add("w", np.ones(2, np.float32), DataType.FLOAT32)
        builder.write(tmp_path / f"ckpt-{epoch * 120}")
    result = history(_log(tmp_path / "a", 1, [4, 3, 5]), open_run(tmp_path))
    assert result.holders.how == "by iterations, 120 to an epoch"
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
