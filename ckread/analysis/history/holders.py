"""Which checkpoint holds which epoch: only where something ties the two together.

Save counters, steps, iterations and epochs are four different numbers. A checkpoint is put at
a row of the log by what both say in the same unit: a step, iterations, an epoch; by the numbers
of its name, where all of them are those of the log's rows, or by a metric in its name; by
iterations to an epoch, where all checkpoints agree on them. Otherwise nothing is placed.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import CheckpointError, UsageError, by
from ckread.model.evidence import Claim, Strength
from ckread.readers.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ckread.model.run.entries import RunEntry
    from ckread.model.run.run import Run

Numbers = dict[str, int]
"""Places on the axis of the log, by path of the checkpoint."""

_DECIMAL = re.compile(r"(?<![\d.])\d+\.(\d{2,})(?![\d.])")
_BACKUP = "training_metadata.json"


class Rows(NamedTuple):
    """The rows of the logs that a checkpoint may be of.

    Attributes:
        epochs: what numbers them.
        unit: what that counts: `epoch`, `step`, `episode` or `row`.
        counters: what else counts, by name, as it stands in the log.
        metrics: values by name.
    """

    epochs: Sequence[int]
    unit: str
    counters: Mapping[str, Sequence[int | None]]
    metrics: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Holders:
    """The checkpoints by epoch.

    Attributes:
        kept: path by epoch, of those on disk that hold a row of the logs.
        places: where all of them stand on the axis of the logs, by path.
        unplaced: paths of those that could not be matched.
        deleted: epochs of those that the state file still names.
        how: by what they were matched, in words; empty where they could not be.
        why: what is missing, where they could not be matched.
        strength: how well they are matched.
        is_supposed: whether it only fits, as numbers that happen to be the same do.
    """

    kept: dict[int, str] = field(default_factory=dict)
    places: Numbers = field(default_factory=dict)
    unplaced: tuple[str, ...] = ()
    deleted: tuple[int, ...] = ()
    how: str = ""
    why: str = ""
    strength: Strength = Strength.UNKNOWN
    is_supposed: bool = False

    @property
    def claim(self) -> Claim:
        """The match as a claim with its evidence."""
        value = f"{len(self.kept)} of the checkpoints" if self.how else None
        return Claim("epochs of checkpoints", value, self.strength, self.how or self.why)

    def nearest(self, epoch: int) -> str | None:
        """Give the checkpoint nearest to an epoch, the earlier one of two."""
        return min(
            self.places,
            key=lambda path: (abs(self.places[path] - epoch), self.places[path]),
            default=None,
        )


class _Tie(NamedTuple):
    """One way to tie checkpoints to rows: in words, and what gives the place of an entry."""

    how: str
    strength: Strength
    place: Callable[[RunEntry], int | None]
    is_supposed: bool = False


def match_epochs(run: Run | None, rows: Rows, match: Mapping[str, str] | None = None) -> Holders:
    """Tie checkpoints to the rows of logs, by the strongest evidence that there is."""
    if run is None or not len(run):
        return Holders()
    ties = (
        [_asked(run, rows, match)]
        if match
        else [
            *_by_counters(run, rows),
            _by_epoch(run, rows, by_metric := _by_metric(run, rows)),
            _by_pairs(run, rows),
            _by_iterations(run, rows),
            by_metric,
            _by_same_numbers(run, rows),
        ]
    )
    for tie in filter(None, ties):
        places = {entry.path: tie.place(entry) for entry in run.entries}
        known = {path: at for path, at in places.items() if at is not None}
        if len(known) < len(places):
            continue
        numbers = set(rows.epochs)
        kept = {at: path for path, at in known.items() if at in numbers}
        if not kept and rows.unit != "step":
            continue
        gone = (tie.place(entry) for entry in run.stale)
        deleted = tuple(at for at in gone if at is not None and at not in kept)
        return Holders(
            kept, known, (), deleted, tie.how, strength=tie.strength, is_supposed=tie.is_supposed
        )
    paths = tuple(entry.path for entry in run.entries)
    return Holders(unplaced=paths, why=_missing(run, rows))


def _by_counters(run: Run, rows: Rows) -> list[_Tie]:
    """Match equal units: a step with a step, iterations with iterations."""
    strength = Strength.NAMED if _is_named(run) else Strength.STORED
    ties = []
    if rows.unit == "step" and not _counts_saves(run):
        ties.append(_Tie("by step, as the log counts", strength, lambda entry: entry.step))
    for name, values in rows.counters.items():
        by_value = dict(zip(values, rows.epochs, strict=True))
        if len(by_value) < len(values):
            continue
        word = name.strip().lower()
        if "iter" in word:
            ties.append(
                _Tie(f"by the column {name}", Strength.STORED,
                     lambda entry, by=by_value: by.get(entry.iterations))  # type: ignore[misc]
            )  # fmt: skip
        if ("step" in word or "iter" in word) and not _counts_saves(run):
            ties.append(
                _Tie(f"by the column {name}", strength,
                     lambda entry, by=by_value: by.get(entry.step))  # type: ignore[misc]
            )  # fmt: skip
    return ties


def _is_named(run: Run) -> bool:
    return any(claim.strength is not Strength.STORED for claim in run.claims[:1])


def _counts_saves(run: Run) -> bool:
    """Tell whether the steps are save counters, which count neither steps nor epochs."""
    return any(claim.source.rpartition("/")[2] == "save_counter" for claim in run.claims[:1])


def _by_epoch(run: Run, rows: Rows, by_metric: _Tie | None) -> _Tie | None:
    """Match epochs of names, or of a backup of Keras, with those of the log.

    A metric in the names that says otherwise is believed, for names may count from 0.
    """
    backups = {entry.path: _epoch_of_backup(entry.path) for entry in run.entries}
    if rows.unit == "epoch" and None not in backups.values():
        return _Tie(
            "by epoch, of BackupAndRestore", Strength.STORED, lambda entry: backups.get(entry.path)
        )
    epochs = [entry.epoch for entry in run.entries if entry.epoch is not None]
    if rows.unit != "epoch" or len(epochs) < len(run.entries):
        return None
    # Names that begin with 0 count as the log did before it was counted from 1.
    raw = [value for name, v in rows.counters.items() if "epoch" in name.lower() for value in v]
    shift = rows.epochs[0] - (raw[0] or 0) if raw and min(epochs) == 0 else 0
    is_stored = all(entry.is_epoch_stored for entry in run.entries)
    how = "by epoch, as the checkpoints hold it" if is_stored else "by epoch, of the names"
    # The first epoch is 1 if the last is as large as the log is long.
    is_from_0 = bool(raw) and raw[0] != rows.epochs[0]
    is_supposed = is_from_0 and not shift and max(epochs) < rows.epochs[-1]
    if is_supposed:
        how += ", taken to count from 1 while the log counts from 0"

    def place(entry: RunEntry) -> int | None:
        return None if entry.epoch is None else entry.epoch + shift

    if by_metric is not None and any(by_metric.place(e) != place(e) for e in run.entries):
        return None
    strength = Strength.STORED if is_stored else Strength.NAMED
    return _Tie(how, strength, place, is_supposed)


def _epoch_of_backup(path: str) -> int | None:
    """Give how many epochs were done when `BackupAndRestore` of Keras 3 saved this file."""
    if os.path.basename(path) != "latest.weights.h5":
        return None
    try:
        data = read_bounded(os.path.join(os.path.dirname(path), _BACKUP), 1 << 16)
        found: Any = json.loads(data)
    except (CheckpointError, ValueError):
        return None
    is_whole = isinstance(found, dict) and found.get("batch") == 0
    return found["epoch"] if is_whole and isinstance(found.get("epoch"), int) else None


def _by_pairs(run: Run, rows: Rows) -> _Tie | None:
    """Match several numbers of the names with several columns, where every name is a row."""
    names = list(rows.counters)
    numbers = [entry.numbers for entry in run.entries]
    width = len(numbers[0])
    if width < 2 or len(names) < width or any(len(one) != width for one in numbers):
        return None
    columns = [rows.counters[name] for name in names[:width]]
    by_row = dict(zip(zip(*columns, strict=True), rows.epochs, strict=True))
    if not all(one in by_row for one in numbers):
        return None
    how = f"by {' and '.join(names[:width])}, the numbers of the names"
    return _Tie(how, Strength.DERIVED, lambda entry: by_row.get(entry.numbers))


def _by_iterations(run: Run, rows: Rows) -> _Tie | None:
    """Divide iterations by those of an epoch, if all agree on it and the log ends at the last."""
    counted = {entry.path: entry.iterations for entry in run.entries}
    if None in counted.values() and not _is_named(run) and not _counts_saves(run):
        counted = {entry.path: entry.step for entry in run.entries}
    known = [count for count in counted.values() if count]
    n = rows.epochs[-1]
    if rows.unit != "epoch" or len(set(known)) < max(2, len(counted)) or max(known) % n:
        return None
    per_epoch = max(known) // n
    if any(count % per_epoch for count in known):
        return None
    # Names that count the same epochs leave nothing to suppose.
    is_sure = all(counted[entry.path] == per_epoch * _number(entry) for entry in run.entries)
    condition = "" if is_sure else ", if the log ends at the last checkpoint"
    return _Tie(
        f"by iterations, {per_epoch:,} to an epoch{condition}",
        Strength.DERIVED,
        lambda entry: (counted.get(entry.path) or 0) // per_epoch or None,
        is_supposed=not is_sure,
    )


def _by_metric(run: Run, rows: Rows) -> _Tie | None:
    """Match a number that names a row with the metric of that row, which stands in the name too."""
    if rows.unit != "epoch" or any(len(entry.numbers) != 1 for entry in run.entries):
        return None
    values = list(rows.metrics.values())
    at = {epoch: place for place, epoch in enumerate(rows.epochs)}
    for shift in (0, 1):
        places = [entry.numbers[0] + shift for entry in run.entries]
        if all(
            place in at and _is_in_name(entry.name, [v[at[place]] for v in values])
            for entry, place in zip(run.entries, places, strict=True)
        ):
            return _Tie(
                "by the epoch and the metric of the names, as the log has them",
                Strength.DERIVED,
                lambda entry, by=shift: entry.numbers[0] + by if entry.numbers else None,  # type: ignore[misc]
            )
    return None


def _is_in_name(name: str, values: Sequence[float | None]) -> bool:
    """Tell whether one of these values stands in a name, rounded as it is written there."""
    for found in _DECIMAL.finditer(name):
        width = len(found[1])
        if any(v is not None and f"{abs(v):.{width}f}" == found[0] for v in values):
            return True
    return False


def _by_same_numbers(run: Run, rows: Rows) -> _Tie | None:
    """Match numbers that are just those of the rows: as many checkpoints as epochs."""
    numbers = list(map(_number, run.entries))
    if rows.unit != "epoch" or sorted(numbers) != list(rows.epochs) or len(numbers) < 2:
        return None
    return _Tie(
        f"by number: the checkpoints and the log count {numbers[0]:,} to {numbers[-1]:,}",
        Strength.DERIVED,
        _number,
        is_supposed=True,
    )


def _number(entry: RunEntry) -> int:
    """Give what the name or a save counter says; 0, which is no epoch, where neither does."""
    return entry.step if entry.step is not None else next(iter(entry.numbers), 0)


def _asked(run: Run, rows: Rows, match: Mapping[str, str]) -> _Tie:
    """Match as a person says; the numbers of the names are counted from 1."""
    option = by("--match", "match")
    columns: dict[str, Sequence[int | None]] = {**rows.counters, rows.unit: rows.epochs}
    by_name = {name.strip().lower(): values for name, values in columns.items()}
    for column in match:
        if column.lower() not in by_name:
            remedy = f"There are {', '.join(columns)}."
            raise UsageError(f"{option}: no column {column} counts in these logs", remedy=remedy)
    chosen = [by_name[column.lower()] for column in match]
    by_row = dict(zip(zip(*chosen, strict=True), rows.epochs, strict=True))
    told = list(match.values())
    how = "as asked"
    if len(run) == 1:
        if not all(value.lstrip("-").isdecimal() for value in told):
            form = by("COLUMN=NUMBER", "{column: number}")
            raise UsageError(f"{option}: no number in {', '.join(told)}, expected {form}")
        row = by_row.get(tuple(map(int, told)))
        if row is None:
            asked = ", ".join(f"{column}={value}" for column, value in match.items())
            raise UsageError(f"{option} {asked}: no such row in the logs")
        return _Tie(how, Strength.NAMED, lambda entry: row)
    places = [_place_of_number(run, value) for value in told]
    return _Tie(
        how,
        Strength.NAMED,
        lambda entry: by_row.get(
            tuple(entry.numbers[at] if at < len(entry.numbers) else None for at in places)
        ),
    )


def _place_of_number(run: Run, told: str) -> int:
    width = max(len(entry.numbers) for entry in run.entries)
    titles = [title.lower() for title in run.titles]
    at = titles.index(told.lower()) if told.lower() in titles else None
    if at is None and told.isdecimal() and 0 < int(told) <= width:
        at = int(told) - 1
    if at is None or at >= width:
        remedy = (
            f"Give which number of the names it is, 1 to {width}, or {', '.join(run.titles)}."
            if width
            else "The names have no number that differs: give one checkpoint alone, and its row."
        )
        raise UsageError(f"{by('--match', 'match')}: no number {told} in the names", remedy=remedy)
    return at


def _missing(run: Run, rows: Rows) -> str:
    """Say what would tie the checkpoints to the log, and is not there."""
    one = len(run) == 1
    reasons = ["one checkpoint"] if one else []
    if all(entry.epoch is None for entry in run.entries):
        reasons.append(f"no {rows.unit} in {'its name' if one else 'the names'}")
    if not any("iter" in name.lower() or "step" in name.lower() for name in rows.counters):
        reasons.append("no steps or iterations in the log")
    elif all(entry.iterations is None and entry.step is None for entry in run.entries):
        reasons.append("no steps or iterations in the checkpoints")
    return f"nothing ties {'it' if one else 'them'} to the log: {', '.join(reasons)}"
