"""Training curves: logs joined epoch by epoch, the best one, and which checkpoint holds it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.audit.records import without_copies
from ckread.analysis.audit.seams import find_seams
from ckread.analysis.history.best import BestMode, choose_metric, is_of_training, mode_of
from ckread.analysis.history.holders import Holders, Rows, match_epochs
from ckread.errors import UsageError
from ckread.model.display import Kind, data_frame
from ckread.model.records import Records
from ckread.model.run.run import as_run
from ckread.model.selection import near_names, nearest_names
from ckread.readers.logs import HistoryLog, check_cells, read_history_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckread.analysis.audit.records import Seam
    from ckread.model.evidence import Claim
    from ckread.model.run.run import PathLike, Run


@dataclass(frozen=True, slots=True)
class BestEpoch:
    """The best epoch by one metric.

    Example:
        >>> best = ckread.history("fixtures/digits_run/history.json", "fixtures/digits_run").best
        >>> best.metric, str(best.mode), best.epoch, round(best.value, 4)
        ('val_loss', 'min', 8, 0.0353)
        >>> best.checkpoint, best.nearest
        ('fixtures/digits_run/ckpt-8', None)
        >>> list(best.to_dict())[:2]
        ['metric', 'mode']

    Attributes:
        metric: its name.
        mode: whether the smallest or the largest value is best; None where the name of the
            only metric does not tell.
        epoch: the first with this value; None where the log does not say which.
        value: of the metric; None without a mode.
        checkpoint: path of the checkpoint that holds it; None if none does.
        nearest: path of the one nearest to it, where none does.
    """

    metric: str
    mode: BestMode | None = None
    epoch: int | None = None
    value: float | None = None
    checkpoint: str | None = None
    nearest: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of the best epoch in JSON documents."""
        return {
            "metric": self.metric,
            "mode": self.mode and str(self.mode),
            "epoch": self.epoch,
            "value": self.value,
            "checkpoint": self.checkpoint,
            "nearest": self.nearest,
        }


class Curve(NamedTuple):
    """One metric of a training.

    Example:
        >>> for name, values in ckread.history("fixtures/digits_run/history.json")[:2]:
        ...     print(name, round(values[-1], 4))
        loss 0.0435
        accuracy 0.9889

    Attributes:
        name: of the metric.
        values: along the epochs; None where there is none.
    """

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, repr=False)
class TrainingHistory(Records[Curve]):
    """Training curves; its records are the metrics with their values, by name.

    Attributes:
        logs: paths of the logs, in the order in which they were joined.
        epochs: numbers, rising, from 1; steps, episodes or rows where the logs count these.
        metrics: values by name, along the epochs; None where there is none.
        seams: the first epoch of each later log that continues an earlier one.
        gaps: first and last of epochs that are in no log.
        best: the best epoch; None where no metric has a value.
        holders: the checkpoints, by epoch.
        unit: `epoch`, `step`, `episode`, or `row` where it takes several columns to name one.
        run: what the checkpoints are called; None if none were given.
        counters: what else counts along the epochs, by name, as it stands in the logs.
        notes: what had to be decided to read the logs, one sentence each.
        run_seams: where the checkpoints did not simply go on.

    Example:
        >>> found = ckread.history("fixtures/digits_run/history.json")
        >>> found, found.metrics["val_loss"][7]
        (<ckread.TrainingHistory '.../history.json': 10 epochs, 5 metrics>, 0.035...)
        >>> found = ckread.history("fixtures/digits_run/history.json", "fixtures/digits_run")
        >>> found.epochs[-1], found.unit, found.seams, found.gaps, found.run, found.logs
        (10, 'epoch', (), (), 'fixtures/digits_run', ('fixtures/digits_run/history.json',))
        >>> found.at_best, found.is_best_of_training, found.holders.kept[8], found.counters
        (7, False, 'fixtures/digits_run/ckpt-8', {'epoch': (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)})
        >>> found.marks, found.run_seams, found.notes, [claim.claim for claim in found.evidence]
        ({}, (), (), ['epochs of checkpoints'])
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
    counters: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    run_seams: tuple[Seam, ...] = ()

    @property
    def _records(self) -> tuple[Curve, ...]:
        return tuple(Curve(name, values) for name, values in self.metrics.items())

    @property
    def _found_in(self) -> str:
        return ", ".join(self.logs)

    @property
    def marks(self) -> dict[int, Seam]:
        """The seams of the run by the place of the first epoch after each, where that is told."""
        held = {path: epoch for epoch, path in self.holders.kept.items()}
        found: dict[int, Seam] = {}
        for seam in without_copies(self.run_seams):
            before, after = held.get(seam.before.path), held.get(seam.after.path)
            if before is not None and after is not None and before < after:
                at = next(i for i, epoch in enumerate(self.epochs) if epoch > before)
                found.setdefault(at, seam)
        return found

    @property
    def at_best(self) -> int | None:
        """The place of the best epoch among `epochs`; None where there is none."""
        epoch = None if self.best is None else self.best.epoch
        return None if epoch is None else self.epochs.index(epoch)

    @property
    def is_best_of_training(self) -> bool:
        """Whether the best epoch is best by what was measured on the data trained on."""
        return self.best is not None and is_of_training(self.best.metric)

    def __repr__(self) -> str:
        """Show the logs and how much is in them."""
        n = f"{len(self.epochs)} {self.unit}s, {len(self.metrics)} metrics"
        return f"<ckread.TrainingHistory {', '.join(map(repr, self.logs))}: {n}>"

    @property
    def evidence(self) -> tuple[Claim, ...]:
        """What ties checkpoints to the log; empty where none are given."""
        seams = (seam.claim for seam in self.run_seams)
        return () if self.run is None else (self.holders.claim, *seams)

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `history` document."""
        return {
            "logs": list(self.logs),
            "unit": self.unit,
            "epochs": list(self.epochs),
            "metrics": {name: list(values) for name, values in self.metrics.items()},
            "counters": {name: list(values) for name, values in self.counters.items()},
            "seams": list(self.seams),
            "gaps": [list(gap) for gap in self.gaps],
            "best": None if self.best is None else self.best.to_dict(),
            "checkpoints": [
                {"epoch": epoch, "path": path} for epoch, path in self.holders.kept.items()
            ],
            "notes": list(self.notes),
            "evidence": [claim.to_dict() for claim in self.evidence],
            "run_seams": [seam.to_dict() for seam in self.run_seams],
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
    match: Mapping[str, int | str] | None = None,
) -> TrainingHistory:
    """Join logs of one training, and find its best epoch.

    Args:
        logs: paths. Of an epoch in several of them the later log counts; a log that
            does not number its epochs continues the one before it.
        run: the checkpoints, or what `open_run` takes, to tell which of them holds
            the best epoch.
        best: the metric; by default one of validation data before one of the training's, a
            loss before others, as far as the names tell.
        mode: `min` or `max`; told from the metric's name by default.
        match: how checkpoints and log belong together, where nothing tells: the name of a
            column, and which number of the checkpoints' names it is (from 1, or the word
            before it); for a single checkpoint the value of the column.

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
    epochs, columns, seams = joined(found)
    names = dict.fromkeys(name for log in found for name in log.metrics)
    counters = {
        name: tuple(None if value is None else int(value) for value in values)
        for name, values in columns.items()
        if name not in names
    }
    metrics = {name: columns[name] for name in names}
    checkpoints = None if run is None else as_run(run)
    rows = Rows(epochs, found[0].unit, counters, metrics)
    told = {name: str(value) for name, value in (match or {}).items()}
    holders = match_epochs(checkpoints, rows, told)
    unplaced = {name: values for log in found for name, values in log.unplaced.items()}
    # Of trainings that wrote the same epochs the last counts: the first may begin with a seam.
    later = {at for log in found for at in log.seams}.union(seams) & {*epochs[1:]}
    return TrainingHistory(
        logs=tuple(log.path for log in found),
        epochs=epochs,
        metrics=metrics,
        seams=tuple(sorted(later)),
        gaps=gaps(epochs) if found[0].unit == "epoch" else (),
        best=_best(rows, unplaced, best, mode, holders),
        holders=holders,
        unit=found[0].unit,
        run=None if checkpoints is None else checkpoints.path,
        counters=counters,
        notes=tuple(note for log in found for note in log.notes),
        run_seams=() if checkpoints is None else find_seams(checkpoints),
    )


def _best(
    rows: Rows,
    unplaced: dict[str, Values],
    metric: str | None,
    mode: str | None,
    holders: Holders,
) -> BestEpoch | None:
    metrics = {**rows.metrics, **unplaced}
    name = metric or choose_metric(metrics)
    if name is None:
        return BestEpoch(next(iter(metrics))) if len(metrics) == 1 else None
    if name not in metrics:
        remedy = nearest_names(near_names(name, metrics)) or f"There are {', '.join(metrics)}."
        raise UsageError(f"no metric {name} in these logs", remedy=remedy)
    chosen = mode_of(name, mode)
    epochs = rows.epochs if name in rows.metrics else [None] * len(metrics[name])
    known = [(v, e) for v, e in zip(metrics[name], epochs, strict=True) if v is not None]
    finite = [pair for pair in known if not math.isnan(pair[0])]
    if not finite:
        return None
    sign = 1 if chosen is BestMode.MIN else -1
    value, epoch = min(finite, key=lambda pair: (sign * pair[0], pair[1] or 0))
    if epoch is None:
        return BestEpoch(name, chosen, None, value)
    checkpoint = holders.kept.get(epoch)
    nearest = None if checkpoint else holders.nearest(epoch)
    return BestEpoch(name, chosen, epoch, value, checkpoint, nearest)


Values = tuple[float | None, ...]
"""A metric along the epochs; None where there is none."""


def numbered(logs: list[HistoryLog]) -> list[HistoryLog]:
    """Order logs by their first epoch; one without numbers continues the one before."""
    numbered: list[HistoryLog] = []
    last = 0
    for log in logs:
        if not log.is_numbered and numbered:
            epochs = tuple(epoch + last for epoch in log.epochs)
            log = replace(log, epochs=epochs, seams=tuple(at + last for at in log.seams))
        numbered.append(log)
        last = log.epochs[-1]
    return sorted(numbered, key=lambda log: log.epochs[0])


def joined(
    logs: Sequence[HistoryLog],
) -> tuple[tuple[int, ...], dict[str, Values], tuple[int, ...]]:
    """Join logs, of an epoch in several the later: epochs, columns, first epochs of later logs."""
    source: dict[int, int] = {}
    for number, log in enumerate(logs):
        source.update(dict.fromkeys(log.epochs, number))
    epochs = tuple(sorted(source))
    places = [{epoch: i for i, epoch in enumerate(log.epochs)} for log in logs]
    columns: list[dict[str, Values]] = [{**log.counters, **log.metrics} for log in logs]
    names = dict.fromkeys(name for held in columns for name in held)
    n_values = sum(len(log.epochs) * len(held) for log, held in zip(logs, columns, strict=True))
    check_cells(logs[0].path, len(epochs), len(names), n_values)
    metrics = {
        name: tuple(
            columns[source[e]][name][places[source[e]][e]] if name in columns[source[e]] else None
            for e in epochs
        )
        for name in names
    }
    seams = tuple(epoch for before, epoch in pairwise(epochs) if source[before] != source[epoch])
    return epochs, metrics, seams


def gaps(epochs: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Give the first and last of each stretch of epochs that are missing."""
    return tuple((a + 1, b - 1) for a, b in pairwise(epochs) if b > a + 1)
