"""A diff of very many variables that are the same on both sides but for their values.

Names, roles, types and shapes agree, so that columns are compared and nothing is paired: a
`VariableDiff` is made when one is asked for.
"""

from __future__ import annotations

from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.checksums import is_big_endian
from ckread.analysis.diff.contents import find_permutation
from ckread.analysis.diff.metrics import IDENTICAL, Metrics, may_be_exchanged
from ckread.analysis.diff.records import (
    SHOWN,
    PairedBy,
    Side,
    VariableDiff,
    make_records,
    relative_move,
    scalar_of,
    status_of_figures,
)
from ckread.analysis.diff.values import compare_pairs
from ckread.model.columns.variables import SomeVariables
from ckread.model.display import Columns, column_of
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ckread.analysis.diff.metrics import Tolerance
    from ckread.analysis.workers import Work
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.columns.variables import Integers, VariableColumns


def diff_columns(
    first: Checkpoint,
    second: Checkpoint,
    left_out: Collection[Role],
    tolerance: Tolerance | None,
    work: Work,
) -> Sequence[VariableDiff] | None:
    """Compare checkpoints as columns, all variables but those of some roles, in their order.

    None where they are not the same but for values, or some were perhaps exchanged.
    Without a tolerance no values are read.
    """
    a, b = first.columns, second.columns
    if a is None or b is None or not a.are_like(b):
        return None
    places = b.order(second.evidence)
    places = places[~b.have_role(left_out)[places]]
    before, after = a.tensors.crc32c[places], b.tensors.crc32c[places]
    changed = np.flatnonzero(before != after)
    if not places.size or _go_in_circles(before[changed], after[changed], b, places[changed]):
        return None
    sides = SomeVariables(a, places), SomeVariables(b, places)
    # One by one: the first that shows its order is enough, and to make all takes a while.
    one, other = (is_big_endian(map(side.__getitem__, range(len(side)))) for side in sides)
    if one != other:
        return None
    is_read = np.zeros(len(places), np.bool_)
    usual = [None if tolerance is None else value for value in IDENTICAL]
    metrics = [[value] * len(places) for value in usual]
    if tolerance is not None:
        is_read[changed] = True
        at = changed[np.argsort(places[changed])]  # as they lie in the file
        left, right = (SomeVariables(columns, places[at]) for columns in (a, b))
        measured = compare_pairs(left, right, tolerance, work)
        row = np.full(len(places), -1)  # behind all that were measured: what is usual
        row[at] = np.arange(len(at))
        rows = row.tolist()
        metrics = [
            list(map([*values, value].__getitem__, rows))
            for values, value in zip(measured, usual, strict=True)
        ]
    ulp = 0.0 if tolerance is None else tolerance.ulp
    found = DiffColumns(sides, (before == after).tolist(), metrics, is_read.tolist(), ulp)
    turned = found.permutations()
    if not turned:
        return found
    rows = list(found)
    for i, axes in turned.items():
        rows[i] = rows[i]._replace(permutation=axes)
    return tuple(rows)


def _go_in_circles(
    before: Integers, after: Integers, columns: VariableColumns, places: Integers
) -> bool:
    """Tell whether variables may have exchanged their contents, as `take_moved` would find.

    Of 100,000 checksums a few are also those of another variable by chance, and what was shifted
    along a chain is told by its names: only a circle speaks against these.
    """
    met = np.flatnonzero(np.isin(before, after) | np.isin(after, before))
    if not met.size:
        return False
    is_own = [owner is None for owner in columns.identities.owners(places[met])]
    places = places[met := met[is_own]]
    kind = columns.tensors.kind[places] * len(Role) + columns.role_numbers[places]
    kind = np.unique(kind, return_inverse=True)[1]
    once = []
    for side in (before[met], after[met]):
        content = side.astype(np.int64) << 30 | kind
        known, first, count = np.unique(content, return_index=True, return_counts=True)
        once.append((known[count == 1], first[count == 1]))
    (left, origin), (right, target) = once
    is_same = np.isin(left, right)
    end = len(places)  # where what is found nowhere else goes
    goes_to = np.full(end + 1, end)
    goes_to[origin[is_same]] = target[np.searchsorted(right, left[is_same])]
    for _ in range(end.bit_length()):  # each time twice as far
        goes_to = goes_to[goes_to]
    return bool((goes_to != end).any())


_ALIKE = {"paired_by": PairedBy.NAME, "confidence": 1.0, "renamed_from": None, "is_paired": True}


class DiffColumns(Columns[VariableDiff]):
    """What became of each variable, as columns: fields of `VariableDiff` and of `Metrics`."""

    def __init__(
        self,
        sides: tuple[SomeVariables, SomeVariables],
        is_same: list[bool],
        metrics: list[list[Any]],
        is_read: list[bool],
        ulp: float,
    ) -> None:
        """Take both sides, whether their checksums agree, and the metrics field by field."""
        self._sides = sides
        self._known: dict[str, Sequence[Any]] = dict(zip(Metrics._fields, metrics, strict=True))
        names = "changed_elements", "close_elements", "max_ulp_of_largest"
        figures = (self._known[name] for name in names)
        self._known["status"] = list(map(status_of_figures, is_same, *figures, repeat(ulp)))
        self._known["is_read"] = is_read
        told = zip(is_read, self._known["status"], column_of(self, "elements"), strict=True)
        shown = [i for i, (read, one, n) in enumerate(told) if read and n == 1 and one in SHOWN]
        for field, variables in zip(("old", "new"), sides, strict=True):
            values: list[Any] = [None] * len(self)
            for i in shown:  # while the files are open
                values[i] = scalar_of(variables[i])
            self._known[field] = values

    def __len__(self) -> int:
        """Count them."""
        return len(self._sides[1])

    def column(self, name: str) -> Sequence[Any] | None:
        """Give a field of all variables; None where the variables themselves tell it."""
        if name == "first_changed":  # as a list
            return None
        if name not in self._known:
            side = self._sides[1]
            found = side.column(name)
            if name == "moved":
                l2, found = self._known["l2"], [*self._known["relative_l2"]]
                if None in found:
                    found = list(map(relative_move, l2, found))
            elif name == "shapes":
                found = [(shape,) for shape in side.column("shape") or ()]
            elif name in _ALIKE:
                found = [_ALIKE[name]] * len(side)
            if found is None:
                return None
            self._known[name] = found
        return self._known[name]

    def permutations(self) -> dict[int, tuple[int, ...]]:
        """Give the axes that were exchanged, where that is all, by the place of the variable."""
        a, b = self._sides
        names = "changed_elements", "l2_a", "l2_b", "shape"
        figures = zip(*(column_of(self, name) for name in names), strict=True)
        found = {
            i: find_permutation(a[i], b[i])
            for i, (changed, l2_a, l2_b, shape) in enumerate(figures)
            if changed and len(shape) > 1 and may_be_exchanged(l2_a, l2_b)
        }
        return {i: axes for i, axes in found.items() if axes is not None}

    @cached_property
    def rows(self) -> Sequence[VariableDiff]:
        """The records, all made at once."""
        known = {name: self.column(name) for name in ("name", "key", "dtype", "shape")}
        side = list(map(Side._make, zip(*known.values(), strict=True)))
        figures = zip(*(self._known[name] for name in Metrics._fields), strict=True)
        fields: dict[str, Any] = {name: self.column(name) for name in VariableDiff._fields}
        fields |= {"a": side, "b": side}
        fields["metrics"] = [None if one[0] is None else Metrics._make(one) for one in figures]
        return make_records(fields)
