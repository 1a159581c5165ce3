"""Training curves: logs joined epoch by epoch, the best one, and which checkpoint holds it."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ckread.errors import UsageError
from ckread.model.display import Displayed
from ckread.model.fields import Kind, data_frame
from ckread.model.run.run import as_run
from ckread.readers.logs import HistoryLog, read_history_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.model.run.run import PathLike, Run


_SMALLER = re.compile(
    r"loss|err|mse|mae|mape|msle|rmse|perplexity|entropy|divergence|distance|wer\b|cer\b|fid\b|nll"
)
_LARGER = re.compile(
    r"acc|auc|precision|recall|f1|f_?score|fbeta|iou|dice|score|bleu|rouge|r2|similarity|reward"
    r"|sensitivity|specificity|map\b|top_?\d"
)


class BestMode(StrEnum):
    """Which value of a metric is the best."""

    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The best epoch by one metric.

    Attributes:
        metric: its name.
        mode: whether the smallest or the largest value is best.
        epoch: the first with this value.
        value: of the metric.
        checkpoint: path of the checkpoint that holds it; None if none does.
        nearest: path of the one nearest to it, where none does.
    """

    metric: str
    mode: BestMode
    epoch: int
    value: float
    checkpoint: str | None = None
    nearest: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of the best epoch in JSON documents."""
        return {
            "metric": self.metric,
            "mode": str(self.mode),
            "epoch": self.epoch,
            "value": self.value,
            "checkpoint": self.checkpoint,
            "nearest": self.nearest,
        }


@dataclass(frozen=True, slots=True, repr=False)
class TrainingHistory(Displayed):
    """Training curves.

    Attributes:
        logs: paths of the logs, in the order in which they were joined.
        epochs: numbers, rising, from 1; steps where the logs count these.
        metrics: values by name, along the epochs; None where there is none.
        seams: the first epoch of each later log that continues an earlier one.
        gaps: first and last of epochs that are in no log.
        best: the best epoch; None where no metric has a value.
        holders: the checkpoints, by epoch.
        unit: `epoch` or `step`.
        run: what the checkpoints are called; None if none were given.

    Example:
        >>> found = ckread.history("fixtures/digits_run/history.json")
        >>> found, found.metrics["val_loss"][7]
        (<ckread.TrainingHistory '.../history.json': 10 epochs, 5 metrics>, 0.035...)
    """

    logs: tuple[str, ...]
    epochs: tuple[int, ...]
    metrics: dict[str, Values]
    seams: tuple[int, ...]
    gaps: tuple[tuple[int, int], ...]
    best: BestEpoch | None
    holders: Holders
    unit: str = "epoch"
    run: str | None = None

    def __repr__(self) -> str:
        """Show the logs and how much is in them."""
        n = f"{len(self.epochs)} {self.unit}s, {len(self.metrics)} metrics"
        return f"<ckread.TrainingHistory {', '.join(map(repr, self.logs))}: {n}>"

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `history` document."""
        return {
            "logs": list(self.logs),
            "unit": self.unit,
            "epochs": list(self.epochs),
            "metrics": {name: list(values) for name, values in self.metrics.items()},
            "seams": list(self.seams),
            "gaps": [list(gap) for gap in self.gaps],
            "best": None if self.best is None else self.best.to_dict(),
            "checkpoints": [
                {"epoch": epoch, "path": path} for epoch, path in self.holders.kept.items()
            ],
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per epoch, and a float64 column per metric.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        columns = {**dict.fromkeys(self.metrics, Kind.FIGURE), "checkpoint": Kind.TEXT}
        rows = [
            {
                **{name: values[at] for name, values in self.metrics.items()},
                "checkpoint": self.holders.kept.get(epoch),
            }
            for at, epoch in enumerate(self.epochs)
        ]
        return data_frame(columns, rows, index=self.unit, labels=self.epochs, dtype=Kind.COUNT)


def history(
    logs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    run: Run | PathLike | Iterable[PathLike] | None = None,
    *,
    best: str | None = None,
    mode: str | None = None,
) -> TrainingHistory:
    """Join logs of one training, and find its best epoch.

    Args:
        logs: paths. Of an epoch in several of them the later log counts; a log that
            does not number its epochs continues the one before it.
        run: the checkpoints, or what `open_run` takes, to tell which of them holds
            the best epoch.
        best: the metric; `val_loss` by default, else `loss`, else the first.
        mode: `min` or `max`; told from the metric's name by default.

    Raises:
        CheckpointError: a log cannot be read.
        UsageError: there is no such metric, or its name does not tell what is best.

    Example:
        >>> found = ckread.history("fixtures/digits_run/history.json", "fixtures/digits_run")
        >>> found.best.epoch, round(found.best.value, 4), found.best.checkpoint
        (8, 0.0353, 'fixtures/digits_run/ckpt-8')
    """
    paths = [logs] if isinstance(logs, str | os.PathLike) else list(logs)
    if not paths:
        raise UsageError("no log given, expected a training log")
    found = numbered([read_history_log(os.fsdecode(path)) for path in paths])
    units = {log.unit for log in found}
    if len(units) > 1:
        raise UsageError("some logs count epochs and some steps: they cannot be joined")
    epochs, metrics, seams = joined(found)
    checkpoints = None if run is None else as_run(run)
    holders = match_epochs(checkpoints, epochs)
    return TrainingHistory(
        logs=tuple(log.path for log in found),
        epochs=epochs,
        metrics=metrics,
        seams=seams,
        gaps=gaps(epochs) if found[0].unit == "epoch" else (),
        best=_best(epochs, metrics, best, mode, holders),
        holders=holders,
        unit=found[0].unit,
        run=None if checkpoints is None else checkpoints.path,
    )


def _best(
    epochs: Sequence[int],
    metrics: dict[str, Values],
    metric: str | None,
    mode: str | None,
    holders: Holders,
) -> BestEpoch | None:
    name = metric or next((m for m in ("val_loss", "loss") if m in metrics), next(iter(metrics)))
    if name not in metrics:
        remedy = f"There are {', '.join(metrics)}."
        raise UsageError(f"no metric {name} in these logs", remedy=remedy)
    chosen = _mode(name, mode)
    known = [(v, e) for v, e in zip(metrics[name], epochs, strict=True) if v is not None]
    finite = [pair for pair in known if not math.isnan(pair[0])]
    if not finite:
        return None
    sign = 1 if chosen is BestMode.MIN else -1
    value, epoch = min(finite, key=lambda pair: (sign * pair[0], pair[1]))
    checkpoint = holders.kept.get(epoch)
    nearest = None if checkpoint else holders.nearest(epoch)
    return BestEpoch(name, chosen, epoch, value, checkpoint, nearest)


def _mode(metric: str, asked: str | None) -> BestMode:
    if asked is not None:
        try:
            return BestMode(asked)
        except ValueError:
            raise UsageError(f"no mode {asked!r}, expected min or max") from None
    name = metric.removeprefix("val_").lower()
    is_smaller, is_larger = bool(_SMALLER.search(name)), bool(_LARGER.search(name))
    if is_smaller == is_larger:
        remedy = "Say which is better: --mode min or --mode max."
        raise UsageError(f"{metric}: its name does not tell what is best", remedy=remedy)
    return BestMode.MIN if is_smaller else BestMode.MAX


@dataclass(frozen=True, slots=True)
class Holders:
    """The checkpoints by epoch.

    Attributes:
        kept: path by epoch, of those on disk.
        deleted: epochs of those that the state file still names.
        how: by what they were matched, in words; empty where they could not be.
    """

    kept: dict[int, str] = field(default_factory=dict)
    deleted: tuple[int, ...] = ()
    how: str = ""

    def nearest(self, epoch: int) -> str | None:
        """Give the checkpoint nearest to an epoch, the earlier one of two."""
        near = min(self.kept, key=lambda known: (abs(known - epoch), known), default=None)
        return None if near is None else self.kept[near]


def match_epochs(run: Run | None, epochs: Sequence[int]) -> Holders:
    """Match checkpoints with epochs: by step where these count epochs, else by iterations.

    Iterations count batches: their greatest common divisor is taken for an epoch's.
    """
    if run is None or not len(run):
        return Holders()
    steps = [entry.step for entry in run.entries]
    stale = [entry.step for entry in run.stale]
    known = [step for step in steps if step is not None]
    if len(known) == len(steps) and max(known) <= max(epochs) and len(set(known)) == len(known):
        kept = {step: entry.path for step, entry in zip(known, run.entries, strict=True)}
        deleted = tuple(step for step in stale if step is not None and step not in kept)
        return Holders(kept, deleted, "by step")
    iterations = [entry.iterations for entry in run.entries if entry.iterations]
    counted = iterations if len(iterations) == len(steps) else known
    if not counted or len(counted) != len(steps):
        return Holders()
    per_epoch = math.gcd(*counted)
    numbers = [count // per_epoch for count in counted] if per_epoch else []
    if not numbers or max(numbers) > max(epochs) or len(set(numbers)) != len(numbers):
        return Holders()
    kept = {number: entry.path for number, entry in zip(numbers, run.entries, strict=True)}
    return Holders(kept, (), f"by iterations, {per_epoch:,} to an epoch")


Values = tuple[float | None, ...]
"""A metric along the epochs; None where there is none."""


def numbered(logs: list[HistoryLog]) -> list[HistoryLog]:
    """Order logs by their first epoch; one without numbers continues the one before."""
    numbered: list[HistoryLog] = []
    last = 0
    for log in logs:
        if not log.is_numbered and numbered:
            epochs = tuple(epoch + last for epoch in log.epochs)
            log = HistoryLog(log.path, epochs, log.metrics, log.is_numbered, log.unit)
        numbered.append(log)
        last = log.epochs[-1]
    return sorted(numbered, key=lambda log: log.epochs[0])


def joined(
    logs: Sequence[HistoryLog],
) -> tuple[tuple[int, ...], dict[str, Values], tuple[int, ...]]:
    """Join logs, of an epoch in several the later: epochs, metrics, first epochs of later logs."""
    source: dict[int, int] = {}
    for number, log in enumerate(logs):
        source.update(dict.fromkeys(log.epochs, number))
    epochs = tuple(sorted(source))
    places = [{epoch: i for i, epoch in enumerate(log.epochs)} for log in logs]
    names = dict.fromkeys(name for log in logs for name in log.metrics)
    metrics = {
        name: tuple(
            logs[source[e]].metrics[name][places[source[e]][e]]
            if name in logs[source[e]].metrics
            else None
            for e in epochs
        )
        for name in names
    }
    seams = tuple(epoch for before, epoch in pairwise(epochs) if source[before] != source[epoch])
    return epochs, metrics, seams


def gaps(epochs: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Give the first and last of each stretch of epochs that are missing."""
    return tuple((a + 1, b - 1) for a, b in pairwise(epochs) if b > a + 1)
