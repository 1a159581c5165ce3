"""The variables of a run side by side: each with its place in every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError, CheckpointNotFoundError, MissingShardError
from ckread.model.role import Role
from ckread.model.selection import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.entries import RunEntry
    from ckread.model.run.run import Run
    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent

Mark = tuple[object, ...]
"""Type and shape first, then the bytes and their checksum, or those of the slices, or None."""


@dataclass(slots=True)
class Series:
    """One variable in every checkpoint; None where it is absent."""

    name: str
    cells: list[Variable | None]

    @property
    def last(self) -> Variable:
        """The variable in the last checkpoint that holds it."""
        if (last := self.cells[-1]) is not None:
            return last
        return next(cell for cell in reversed(self.cells) if cell is not None)


@dataclass(slots=True)
class OpenRun:
    """The checkpoints of a run that could be opened, and their variables.

    Attributes:
        entries: of these checkpoints.
        series: by name, in the order of the model of the last checkpoint.
        notes: which could not be opened, and why.
    """

    entries: list[RunEntry]
    series: dict[str, Series]
    notes: list[str]

    def without(self, index: int) -> None:
        """Take a checkpoint out."""
        del self.entries[index]
        for series in self.series.values():
            del series.cells[index]
        self.series = {name: s for name, s in self.series.items() if any(s.cells)}


def open_series(run: Run, *, needs_values: bool) -> OpenRun:
    """Open every checkpoint of a run, for its index alone."""
    opened: list[Checkpoint] = []
    entries, notes, empty = [], [], []
    for index, checkpoint in run.opened():
        entry = run.entries[index]
        if isinstance(checkpoint, CheckpointError):
            notes.append(f"{entry.name} was left out: {checkpoint.message}.")
            continue
        shards = [file for file in checkpoint.files() if file.is_shard] if needs_values else []
        if shards and all(file.nbytes is None for file in shards):
            empty.append(entry)
        else:
            opened.append(checkpoint)
            entries.append(entry)
    if empty and not opened:
        raise MissingShardError(
            f"no data is here, of {len(empty):,} checkpoints only the indexes",
            path=run.path,
            remedy="--index-only compares their checksums, without a value.",
        )
    if empty:
        shown = ", ".join(entry.name for entry in empty[:3]) + (", …" if len(empty) > 3 else "")
        who = (
            "1 checkpoint was left out, its"
            if len(empty) == 1
            else (f"{len(empty):,} checkpoints were left out, their")
        )
        notes.append(f"{who} data is not here: {shown}.")
    if not opened:
        raise nothing_left(run)
    last = opened[-1]
    names = {variable.name: None for variable in last.in_order()}
    names.update(dict.fromkeys(name for checkpoint in opened for name in checkpoint))
    series = {name: Series(name, [checkpoint.get(name) for checkpoint in opened]) for name in names}
    return OpenRun(entries, series, notes)


def nothing_left(run: Run) -> CheckpointNotFoundError:
    """Give the error for a run of which no checkpoint is left."""
    return CheckpointNotFoundError(
        "every checkpoint is gone since the run was listed", path=run.path
    )


def choose_series(
    opened: OpenRun, patterns: str | Sequence[str], roles: str | Iterable[str] | None
) -> tuple[list[Series], dict[Role, int]]:
    """Give the variables that are asked for, and how many of each role are not."""
    chosen, left_out = choose([series.last for series in opened.series.values()], patterns, roles)
    left_out.pop(Role.BOOKKEEPING, None)
    return [opened.series[variable.name] for variable in chosen], left_out


def learning_rate(opened: OpenRun) -> tuple[float | None, ...]:
    """Give the learning rate in each checkpoint; nothing where there is none, or several."""
    found = [
        series
        for series in opened.series.values()
        if series.last.role is Role.HYPERPARAMETER
        and series.name.rpartition("/")[2] == "learning_rate"
    ]
    if len(found) != 1:
        return ()
    rates: list[float | None] = []
    for cell in found[0].cells:
        try:
            rates.append(None if cell is None else float(cell.scalar()))
        except CheckpointError:
            rates.append(None)
    return tuple(rates)


def changes(cells: Sequence[Variable | None]) -> list[bool | None]:
    """Tell of each checkpoint whether the variable differs from the one before, by checksum."""
    if None not in cells:
        listed = [cell.record[1:5] for cell in cells if cell is not None]
        if None not in [checksum for *_, checksum in listed]:
            return [None, *(before != mark for before, mark in pairwise(listed))]
    marks = [None if cell is None else _mark(cell) for cell in cells]
    found: list[bool | None] = [None]
    for before, mark in pairwise(marks):
        if (
            before is None
            or mark is None
            or (before[:2] == mark[:2] and None in (before[2], mark[2]))
        ):
            found.append(None)
        else:
            found.append(before != mark)
    return found


def _mark(variable: Variable) -> Mark:
    """Give type, shape and what is equal where the stored bytes are; None where nothing tells."""
    record = variable.record
    if record.crc32c is not None:
        return record[1:5]
    extents = plain_extents(variable)
    if not extents or any(extent.crc32c is None for extent in extents):
        return record.dtype, record.shape, None
    pieces = tuple((extent.region, extent.crc32c, extent.nbytes) for extent in extents)
    return record.dtype, record.shape, pieces


def plain_extents(variable: Variable) -> tuple[Extent, ...] | None:
    """Give where its bytes lie; None where they lie nowhere plainly, or its entry is impossible."""
    try:
        return variable.extents()
    except CheckpointError:
        return None
