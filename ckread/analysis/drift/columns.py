"""The drift of very many variables that are the same in all checkpoints but for their values.

Names, roles, types and shapes are compared as columns, and nothing is put side by side: a
`VariableDrift` is made when one is asked for.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.drift.measuring import (
    FIGURES_AT_ONCE,
    Figures,
    figures_of,
    measure_series,
    measure_small,
)
from ckread.analysis.drift.records import Series, VariableDrift, moved_of
from ckread.analysis.initial import initials_of
from ckread.model.columns.variables import IdentityColumns, SomeVariables, VariableColumns
from ckread.model.display import Columns
from ckread.model.role import Role, as_roles
from ckread.model.selection import usual_roles
from ckread.readers.contract import TensorColumns, checksums_of, no_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.workers import Work
    from ckread.model.columns.variables import Integers
    from ckread.model.evidence import Evidence
    from ckread.model.run.run import Opened


def choose_places(
    columns: VariableColumns,
    evidence: Evidence,
    patterns: str | Sequence[str],
    roles: str | Iterable[str] | None,
) -> tuple[Integers, dict[Role, int]]:
    """Give where the variables are that are asked for, and how many of each role are not."""
    matching = columns.select(columns.order(evidence), patterns)
    if roles is None:
        roles = usual_roles(bool(columns.are_parameters[matching].any()))
    is_chosen = columns.have_role(as_roles(roles))[matching]
    left_out = Counter(SomeVariables(columns, matching[~is_chosen]).column("role"))
    left_out.pop(Role.BOOKKEEPING, None)
    return matching[is_chosen], dict(left_out)


MANY_CELLS = 20_000
"""Variables of all checkpoints together from which on they are taken as columns."""


def columns_of_alike(opened: Sequence[Opened]) -> list[VariableColumns]:
    """Give very many checkpoints of a run as columns, where they differ in checksums alone.

    None otherwise. All that they have in common is there once.
    """
    structure = opened[0].structure
    records = list(opened[0].reader.tensors.values())
    if len(opened) * len(records) <= MANY_CELLS:
        return []
    keys, *_, shards, offsets = map(list, zip(*records, strict=True))
    if keys != sorted(keys) or None in shards or None in offsets:
        return []
    kinds = list(dict.fromkeys(record[1:4] for record in records))
    number = np.array([kinds.index(record[1:4]) for record in records], np.int32)
    shard, offset = np.array(shards, np.int32), np.array(offsets, np.int64)
    try:
        identities = IdentityColumns.of(keys, structure.identities)
    except ValueError:
        return []
    columns = []
    alike: Any = None
    for found in opened:
        tensors = found.reader.tensors
        original = getattr(tensors, "original", None)
        if original is None or original is not alike:
            lie = [record._replace(crc32c=first.crc32c)
                   for record, first in zip(tensors.values(), records, strict=False)]  # fmt: skip
            if lie != records or len(tensors) > len(records):
                return []
            alike = original
        known = checksums_of(tensors)
        checksums = [known[key] for key in keys]
        if found.structure is not structure or None in checksums:
            return []
        crc32c = np.array(checksums, np.uint32)
        of_all = TensorColumns(keys, kinds, number, crc32c, shard, offset)
        columns.append(VariableColumns(of_all, identities, found.reader))
    return columns


class DriftColumns(Columns[VariableDrift]):
    """How each variable moved, as columns: fields and properties of `VariableDrift`."""

    def __init__(self, checkpoints: Sequence[VariableColumns], places: Integers) -> None:
        """Take variables at some places of columns that are alike, in this order."""
        self._cells = [SomeVariables(columns, places) for columns in checkpoints]
        checksums = np.array([columns.tensors.crc32c[places] for columns in checkpoints])
        self._changed: NDArray[np.bool_] = (checksums[1:] != checksums[:-1]).T
        self._moves: list[bool] = self._changed.any(axis=1).tolist()
        self._known: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._cells[0])

    def measure(self, work: Work) -> bool:
        """Read the values; tell whether all could be read."""
        n = len(self._cells)
        with no_garbage_collection():
            sums, extremes, left = measure_small(self._cells, work)
            # The others one by one, in a unit of their own where squares left float64.
            apart = sorted({*left, *np.flatnonzero(extremes).tolist()})
            series = [
                Series(self._cells[-1][at].name, [some[at] for some in self._cells]) for at in apart
            ]
            measured, failures = measure_series(series, work)
        if failures:
            return False
        sums[apart] = 0.0
        lines: list[list[Any]] = [[] for _ in Figures._fields]
        step = max(1, FIGURES_AT_ONCE // n)
        for start in range(0, len(sums), step):
            some = sums[start : start + step]
            for line, figures in zip(
                lines, figures_of(some, [0] * len(some), range(n)), strict=True
            ):
                line += figures
        known = dict(zip(Figures._fields, lines, strict=True))
        nonfinite: list[int | None] = [None] * len(self)
        for i in np.flatnonzero(~np.array(known.pop("is_finite"), np.bool_)).tolist():
            counts = zip(known["nan"][i], known["infinite"][i], strict=True)
            nonfinite[i] = next(at for at, pair in enumerate(counts) if any(pair))
        known["first_nonfinite"] = nonfinite
        for i, drift in zip(apart, measured, strict=True):
            for name, column in known.items():
                column[i] = getattr(drift, name)
        self._known |= known
        return True

    def look_at_still(self) -> None:
        """Tell what weights look like that never moved; they are read once more."""
        roles = self._cells[-1].column("role") or []
        told = zip(roles, self._moves, strict=True)
        still = [i for i, (role, moves) in enumerate(told) if role is Role.WEIGHT and not moves]
        initial: list[str | None] = [None] * len(self)
        if len(self._cells) > 1:
            for i, looks in zip(still, initials_of(self._cells[-1][i] for i in still), strict=True):
                initial[i] = looks
        self._known["initial"] = initial

    def column(self, name: str) -> Sequence[Any] | None:
        """Give a field or a property of all variables."""
        if name not in self._known:
            found = self._cells[-1].column(name) or self._made(name)
            if found is None:
                return None
            self._known[name] = found
        return self._known[name]

    def _made(self, name: str) -> list[Any] | None:
        if name == "present":
            return [(True,) * len(self._cells)] * len(self)
        if name == "changed":
            return list(zip(repeat(None, len(self)), *self._changed.T.tolist(), strict=True))
        if name == "n_changes":
            n_changes: list[int] = self._changed.sum(axis=1).tolist()
            return n_changes
        if name == "first_change":
            first = (
                self._changed.argmax(axis=1) + 1 if len(self._cells) > 1 else np.zeros(len(self))
            )
            pairs = zip(self._moves, first.tolist(), strict=True)
            return [at if moves else None for moves, at in pairs]
        if name == "moved":
            far = self.column("from_first") or ()
            moved = [last[-1] if last else None for last in far]
            told = enumerate(zip(self._moves, moved, strict=True))
            for i in [i for i, (moves, last) in told if not moves or last is None or last != last]:
                moved[i] = moved_of(self._moves[i], far[i])
            return moved
        usual = VariableDrift._field_defaults
        return [usual[name]] * len(self) if name in usual else None

    @cached_property
    def rows(self) -> Sequence[VariableDrift]:
        """The records, all made at once."""
        columns = [self.column(name) or () for name in VariableDrift._fields]
        with no_garbage_collection():
            return list(map(VariableDrift._make, zip(*columns, strict=True)))
