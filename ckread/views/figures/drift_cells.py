"""The cells of a drift map: how far each variable moved in each step, and five kinds of cell."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.drift_records import VariableDrift

_MAX_DECADES = 6


class Kind(IntEnum):
    """What a cell shows."""

    ABSENT = 0
    """Nothing is there."""
    MOVED = 1
    """A distance from the checkpoint before."""
    SAME = 2
    """Bit-identical to the checkpoint before."""
    BAD = 3
    """NaN or infinite."""
    START = 4
    """There is nothing comparable before."""


class Cells(NamedTuple):
    """The map of some variables.

    Attributes:
        kinds: int8, shape (variables, columns).
        distances: float64, likewise; NaN but where a cell is `MOVED`.
        first: index of the checkpoint of the first column.
    """

    kinds: NDArray[np.int8]
    distances: NDArray[np.float64]
    first: int


def cells_of(variables: Sequence[VariableDrift]) -> Cells:
    """Give the cells; a first column in which everything only starts is left out."""
    kinds = np.array([[_kind(v, i) for i in range(len(v.present))] for v in variables], np.int8)
    distances = np.full(kinds.shape, np.nan)
    for row, variable in enumerate(variables):
        for i in np.flatnonzero(kinds[row] == Kind.MOVED):
            distance = variable.from_previous[i] if variable.from_previous else math.inf
            distances[row, i] = math.inf if distance is None else distance
    is_plain = bool(np.isin(kinds[:, 0], (Kind.START, Kind.ABSENT)).all())
    first = 1 if is_plain and kinds.shape[1] > 1 else 0
    return Cells(kinds[:, first:], distances[:, first:], first)


def _kind(variable: VariableDrift, i: int) -> Kind:
    if not variable.present[i]:
        return Kind.ABSENT
    if not variable.is_finite_at(i):
        return Kind.BAD
    if variable.changed[i] is False:
        return Kind.SAME
    if not variable.from_previous:
        return Kind.MOVED if variable.changed[i] else Kind.START
    distance = variable.from_previous[i]
    if distance is None or math.isnan(distance):
        return Kind.START
    return Kind.MOVED if distance else Kind.SAME


def kinds_of(cells: Cells, *, is_dotted: bool) -> set[Kind]:
    """Give the kinds of cell that are drawn."""
    found = {Kind(kind) for kind in np.unique(cells.kinds)}
    return found if is_dotted else found - {Kind.START}


def limits(distances: NDArray[np.float64]) -> tuple[float, float]:
    """Give decades around most distances: the 2 % and 99.5 % quantile, six decades at most."""
    found = distances[np.isfinite(distances) & (distances > 0)]
    if not found.size:
        return 1e-3, 1.0
    low, high = np.quantile(found, [0.02, 0.995])
    top = math.ceil(math.log10(high) - 1e-9)
    bottom = max(min(math.floor(math.log10(low) + 1e-9), top - 1), top - _MAX_DECADES)
    return 10.0**bottom, 10.0**top


def stretches(row: NDArray[np.int8], kind: Kind) -> Iterator[tuple[int, int]]:
    """Yield the runs of neighbouring cells of one kind, as ranges of columns."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row == kind, [0]])))
    yield from ((int(a), int(b)) for a, b in edges.reshape(-1, 2))
