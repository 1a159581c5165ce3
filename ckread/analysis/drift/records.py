"""The variables of a run side by side, and what drift gives: how each of them moved."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ckread.errors import CheckpointError, MissingShardError, by
from ckread.model.display import Field, Kind, columns_of, data_frame, document
from ckread.model.records import Records
from ckread.model.role import Role
from ckread.model.run.run import nothing_left
from ckread.model.selection import choose
from ckread.readers.contract import no_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckread.analysis.audit.records import Seam
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.columns.variables import VariableColumns
    from ckread.model.evidence import Claim
    from ckread.model.run.entries import RunEntry
    from ckread.model.run.run import Number, Opened, Run
    from ckread.model.variable import Variable
    from ckread.readers.contract import DataType, Extent


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


@dataclass
class OpenRun:
    """The checkpoints of a run that could be opened, and their variables.

    Attributes:
        entries: of these checkpoints.
        notes: which could not be opened, and why.
        numbers: counters and rates of each checkpoint that were read already, by key.
        last: the last of them.
        columns: of each of them, where these are alike; empty otherwise.
        opened: each of them, until the series are made.
    """

    entries: list[RunEntry]
    notes: list[str]
    numbers: list[Mapping[str, Number]]
    last: Checkpoint
    columns: list[VariableColumns]
    opened: list[Opened]

    @cached_property
    def series(self) -> dict[str, Series]:
        """The variables by name, in the order of the model of the last checkpoint."""
        opened, self.opened = self.opened, []
        names = dict.fromkeys(variable.name for variable in self.last.in_order())
        for built in {id(found.structure): found.structure for found in opened}.values():
            names.update(dict.fromkeys(identity.name for identity in built.identities.values()))
        cells: dict[str, list[Variable | None]] = {name: [None] * len(opened) for name in names}
        with no_garbage_collection():
            for at, found in enumerate(opened):
                for variable in found.variables():
                    cells[variable.name][at] = variable
        return {name: Series(name, found_in) for name, found_in in cells.items()}

    def ending_in(self, word: str) -> list[Series]:
        """Give the variables whose names end in a component."""
        if not self.columns:
            some = self.series.values()
            return [series for series in some if series.name.rpartition("/")[2] == word]
        places = self.columns[-1].of_word([word]).tolist()
        names = self.columns[-1].names
        return [Series(names[at], [one.at(at) for one in self.columns]) for at in places]

    def without(self, index: int) -> None:
        """Take a checkpoint out."""
        del self.entries[index], self.numbers[index]
        for series in self.series.values():
            del series.cells[index]
        self.series = {name: s for name, s in self.series.items() if any(s.cells)}


def open_series(run: Run, *, needs_values: bool) -> OpenRun:
    """Open every checkpoint of a run, for its index alone."""
    opened: list[Opened] = []
    entries, notes, empty = [], [], []
    for index, found in run.indexes():
        entry = run.entries[index]
        if isinstance(found, CheckpointError):
            notes.append(f"{entry.name} was left out: {found.message}.")
            continue
        shards = [file for file in found.reader.files() if file.is_shard] if needs_values else []
        if shards and all(file.nbytes is None for file in shards):
            empty.append(entry)
        else:
            opened.append(found)
            entries.append(entry)
    if empty and not opened:
        how = by("--index-only", "index_only=True")
        raise MissingShardError(
            f"no data is here, of {len(empty):,} checkpoints only the indexes",
            path=run.path,
            remedy=f"{how} compares their checksums, without a value.",
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
    last = opened[-1].checkpoint()
    columns: list[VariableColumns] = []
    if last.columns is not None:
        each = (found.checkpoint().columns for found in opened[:-1])
        columns = [one for one in each if one is not None and one.are_like(last.columns)]
        columns = [*columns, last.columns] if len(columns) + 1 == len(opened) else []
    numbers = [found.numbers for found in opened]
    return OpenRun(entries, notes, numbers, last, columns, opened)


def choose_series(
    opened: OpenRun, patterns: str | Sequence[str], roles: str | Iterable[str] | None
) -> tuple[list[Series], dict[Role, int]]:
    """Give the variables that are asked for, and how many of each role are not."""
    chosen, left_out = choose([series.last for series in opened.series.values()], patterns, roles)
    left_out.pop(Role.BOOKKEEPING, None)
    return [opened.series[variable.name] for variable in chosen], left_out


def learning_rate(opened: OpenRun) -> tuple[float | None, ...]:
    """Give the learning rate in each checkpoint; nothing where there is none, or several."""
    rates_in = opened.ending_in("learning_rate")
    found = [series for series in rates_in if series.last.role is Role.HYPERPARAMETER]
    if len(found) != 1:
        return ()
    rates: list[float | None] = []
    for cell, known in zip(found[0].cells, opened.numbers, strict=True):
        try:
            rate = None if cell is None else known.get(cell.key) or cell.scalar()
            rates.append(None if rate is None else float(rate))
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


Figures = tuple[float | None, ...]
"""One figure per checkpoint; None where there is none."""


class VariableDrift(NamedTuple):
    """How one variable moved; arrays go along the checkpoints of the run.

    Example:
        >>> one = ckread.drift("fixtures/digits_run", "conv1/kernel")["conv1/kernel"]
        >>> one.name, str(one.role), str(one.dtype), one.shape, one.elements, one.slot
        ('conv1/kernel', 'weight', 'float32', (3, 3, 1, 16), 144, None)
        >>> one.present[0], one.changed[:4], one.n_changes, one.first_change, round(one.moved, 3)
        (True, (None, False, False, True), 7, 3, 0.219)
        >>> [round(x[3], 4) for x in (one.l2, one.from_first, one.from_previous)]
        [1.5332, 0.2037, 0.2037]
        >>> round(one.cosine_to_first[3], 4)
        0.983
        >>> one.nan[0], one.infinite[0], one.first_nonfinite, one.is_finite_at(-1)
        (0, 0, None, True)
        >>> one.initial, len(one.to_dict()["l2"])
        (None, 10)

    Attributes:
        name: its name.
        role: what it is for.
        dtype: element type, in the last checkpoint that holds it.
        shape: its shape there.
        elements: of this shape.
        slot: the writer's word for a slot.
        present: whether a checkpoint holds it.
        changed: whether its bytes, type or shape differ from the checkpoint before;
            None in the first that holds it, after one that does not, and where the
            format keeps no checksums and nothing was read.
        l2: norm; None where it is absent, unreadable or not measured.
        from_first: distance from the first checkpoint that holds it in the same
            shape, relative to the norm there: infinite from a norm of 0.
        from_previous: distance from the checkpoint before, likewise; None where that
            has no such values.
        cosine_to_first: of the angle to the first; None where a norm is 0.
        nan: how many elements are NaN.
        infinite: how many are infinite.
        first_nonfinite: index of the first checkpoint in which a value is NaN or
            infinite; None if there is none.
        initial: what values look like that never moved: `all 0`, `as Glorot's uniform draw
            would be`; None where they moved, were not read, or look like nothing.
    """

    name: str
    role: Role
    dtype: DataType
    shape: tuple[int, ...]
    elements: int
    present: tuple[bool, ...]
    changed: tuple[bool | None, ...]
    slot: str | None = None
    l2: Figures = ()
    from_first: Figures = ()
    from_previous: Figures = ()
    cosine_to_first: Figures = ()
    nan: tuple[int, ...] = ()
    infinite: tuple[int, ...] = ()
    first_nonfinite: int | None = None
    initial: str | None = None

    @classmethod
    def of(
        cls, series: Series, changed: Sequence[bool | None], figures: Sequence[Any] = ()
    ) -> Self:
        """Describe a variable, of which nothing was measured if there are no figures.

        Args:
            series: the variable in every checkpoint.
            changed: whether its bytes differ from the checkpoint before.
            figures: the fields from `l2` on.
        """
        last = series.last
        _, dtype, shape, *_ = last.record
        role, slot = last.role, last.slot
        present = tuple([cell is not None for cell in series.cells])
        size = math.prod(shape)
        return cls(series.name, role, dtype, shape, size, present, tuple(changed), slot, *figures)

    @property
    def moved(self) -> float | None:
        """Relative distance of the last finite checkpoint from the first."""
        return moved_of(True in self.changed, self.from_first)

    @property
    def n_changes(self) -> int:
        """In how many checkpoints it differs from the one before."""
        return self.changed.count(True)

    @property
    def first_change(self) -> int | None:
        """Index of the first checkpoint that differs from the one before."""
        return self.changed.index(True) if True in self.changed else None

    def is_finite_at(self, index: int) -> bool:
        """Tell whether all values of a checkpoint are finite, as far as they were read."""
        return not self.nan or not (self.nan[index] or self.infinite[index])

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of a variable in the `drift` document."""
        blank = [None] * len(self.present)
        series = {field.name: list(field.of(self)) or blank for field in SERIES}
        return (
            document(DRIFT_FIELDS, self)
            | series
            | {
                "first_nonfinite": self.first_nonfinite,
                "initial": self.initial,
            }
        )


DRIFT_FIELDS: tuple[Field[VariableDrift], ...] = (
    Field("name", Kind.TEXT),
    Field("role", Kind.TEXT),
    Field("dtype", Kind.TEXT),
    Field("shape", Kind.SHAPE),
)
"""What is told of a variable of a drift."""


def moved_of(moves: bool, from_first: Figures) -> float | None:
    """Give how far a variable moved to its last finite checkpoint, if it moves at all."""
    if not moves:
        return 0.0
    finite = (value for value in reversed(from_first) if value is not None)
    return next((value for value in finite if not math.isnan(value)), None)


def _told_from_first(variable: VariableDrift) -> Figures:
    """Give the distances, None for a move from a norm of 0: there is no angle to it either."""
    pairs = zip(variable.from_first, variable.cosine_to_first, strict=True)
    return tuple(None if far == math.inf and angle is None else far for far, angle in pairs)


def _told_from_previous(variable: VariableDrift) -> Figures:
    """Give the distances, None for a move from a norm of 0."""
    pairs = zip(variable.from_previous, (None, *variable.l2[:-1]), strict=False)
    return tuple(None if far == math.inf and norm == 0 else far for far, norm in pairs)


SERIES: tuple[Field[VariableDrift], ...] = (
    Field("l2", Kind.FIGURE),
    Field("from_first", Kind.FIGURE, _told_from_first),
    Field("from_previous", Kind.FIGURE, _told_from_previous),
    Field("cosine_to_first", Kind.FIGURE),
    Field("changed", Kind.TRUTH),
)
"""What is told of it in each checkpoint: arrays in JSON, columns in pandas and in a pipe."""


@dataclass(frozen=True, slots=True, repr=False)
class RunDrift(Records[VariableDrift]):
    """How the variables of a run moved; its records are the variables, by name.

    By name the `causes` are found too.

    Attributes:
        path: of the run.
        checkpoints: in order of step; the arrays of variables go along them.
        variables: in the order of the model.
        index_only: whether only checksums were compared.
        left_out: how many variables of each role were not asked for.
        causes: where a variable is not finite: the variables of other roles, which
            were then measured too, that failed before or with it.
        notes: what was left out and why, one sentence each.
        learning_rate: in each checkpoint; empty where they hold none, or nothing was read.
        evidence: what told the steps, the latest, and the seams.
        seams: where the run did not simply go on.

    Example:
        >>> found = ckread.drift("fixtures/digits_run", index_only=True)
        >>> found
        <ckread.RunDrift 'fixtures/digits_run': 16 variables, 10 checkpoints>
        >>> found["conv1/bias"].changed[:4]
        (None, False, False, True)
        >>> len(found.variables), found.index_only, found.causes, found.notes, found.seams
        (16, True, (), (), ())
        >>> {str(role): n for role, n in found.left_out.items()}, found.learning_rate
        ({'counter': 2, 'hyperparameter': 1, 'slot': 24}, ())
        >>> [claim.claim for claim in found.evidence]
        ['step', 'latest']
    """

    path: str
    checkpoints: tuple[RunEntry, ...]
    variables: Sequence[VariableDrift]
    index_only: bool
    left_out: dict[Role, int]
    causes: Sequence[VariableDrift] = ()
    notes: tuple[str, ...] = field(default=())
    learning_rate: Figures = ()
    evidence: tuple[Claim, ...] = ()
    seams: tuple[Seam, ...] = ()

    def __repr__(self) -> str:
        """Show path and how much was compared."""
        n = f"{len(self.variables)} variables, {len(self.checkpoints)} checkpoints"
        return f"<ckread.RunDrift {self.path!r}: {n}>"

    @property
    def _records(self) -> Sequence[VariableDrift]:
        return self.variables

    def _find(self, name: str) -> VariableDrift | None:
        return next((one for one in (*self.variables, *self.causes) if one.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """Give the body of the `drift` document."""
        return {
            "path": self.path,
            "index_only": self.index_only,
            "checkpoints": [entry.to_place() for entry in self.checkpoints],
            "variables": [variable.to_dict() for variable in (*self.variables, *self.causes)],
            "notes": list(self.notes),
            "evidence": [claim.to_dict() for claim in self.evidence],
            "seams": [seam.to_dict() for seam in self.seams],
        }

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per variable and checkpoint.

        For a column per variable: `frame.pivot(index="step", columns="name", values="l2")`.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        columns = {
            "name": Kind.TEXT, "role": Kind.TEXT, "checkpoint": Kind.TEXT, "step": Kind.NUMBER,
            **columns_of(SERIES),
        }  # fmt: skip
        rows = []
        for variable in (*self.variables, *self.causes):
            fields = variable.to_dict()
            for at, entry in enumerate(self.checkpoints):
                here = {field.name: fields[field.name][at] for field in SERIES}
                where = {"checkpoint": entry.path, "step": entry.step}
                rows.append({"name": variable.name, "role": fields["role"], **where, **here})
        return data_frame(columns, rows)


def with_causes(result: RunDrift) -> Sequence[VariableDrift]:
    """Give the causes, and the variables that were asked for."""
    return (*result.causes, *result.variables) if result.causes else result.variables
