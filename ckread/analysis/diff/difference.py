"""One variable on both sides: the distributions of its values and of their differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.scan import side_by_side
from ckread.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ckread.model.variable import Variable

MAX_BINS = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """Histograms of one variable of two checkpoints, finite values only.

    Attributes:
        edges: bounds of the bins of both sides, one more than there are bins.
        before: elements of a per bin.
        after: elements of b per bin.
        moved_edges: bounds of the bins of b − a, symmetric about 0.
        moved: elements per bin; those with b = a are left out.
        unchanged: how many those are.
        not_finite: elements that are NaN or infinite on a side.
    """

    edges: tuple[float, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    moved_edges: tuple[float, ...]
    moved: tuple[int, ...]
    unchanged: int
    not_finite: int


def measure_difference(a: Variable, b: Variable, *, n_bins: int | None = None) -> Difference:
    """Read a pair of equally many real numbers twice: for its ranges, then for its bins.

    Each histogram has `n_bins`; None for as many as the elements fill.
    """
    for variable in (a, b):
        if not variable.dtype.is_plain or variable.dtype.startswith("complex"):
            raise UsageError(f"{variable.name}: no distribution of {variable.dtype} values")
    if a.elements != b.elements:
        raise UsageError(f"{a.name}: {a.elements} elements before, {b.elements} after")
    if n_bins is None:
        n_bins = min(MAX_BINS, max(8, 2 * round(a.elements ** (1 / 3))))
    low, high, farthest, unchanged, n_finite = _ranges(a, b)
    if low > high:
        low, high = 0.0, 1.0
    elif low == high:
        low, high = low - (abs(low) or 1), high + (abs(high) or 1)
    edges = np.linspace(low, high, n_bins + 1)
    reach = (farthest or 1.0) * (1 + 1e-9)
    moved_edges = np.linspace(-reach, reach, n_bins + 1)
    before, after, moved = (np.zeros(n_bins, np.int64) for _ in range(3))
    for x, y in _pairs(a, b):
        before += np.histogram(x[np.isfinite(x)], edges)[0]
        after += np.histogram(y[np.isfinite(y)], edges)[0]
        distance = (y - x)[np.isfinite(x) & np.isfinite(y)]
        moved += np.histogram(distance[distance != 0], moved_edges)[0]
    return Difference(
        edges=tuple(edges.tolist()),
        before=tuple(before.tolist()),
        after=tuple(after.tolist()),
        moved_edges=tuple(moved_edges.tolist()),
        moved=tuple(moved.tolist()),
        unchanged=unchanged,
        not_finite=a.elements - n_finite,
    )


def _ranges(a: Variable, b: Variable) -> tuple[float, float, float, int, int]:
    """Give the least and greatest value, the largest distance, and counts: equal, finite."""
    low, high, farthest = np.inf, -np.inf, 0.0
    unchanged = n_finite = 0
    for x, y in _pairs(a, b):
        for values in (x[np.isfinite(x)], y[np.isfinite(y)]):
            low = min(low, float(values.min(initial=np.inf)))
            high = max(high, float(values.max(initial=-np.inf)))
        is_finite = np.isfinite(x) & np.isfinite(y)
        distance = (y - x)[is_finite]
        farthest = max(farthest, float(np.abs(distance).max(initial=0.0)))
        unchanged += int(np.count_nonzero(distance == 0))
        n_finite += int(np.count_nonzero(is_finite))
    return low, high, farthest, unchanged, n_finite


def _pairs(a: Variable, b: Variable) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for x, y in side_by_side(a.chunks(), b.chunks()):
        yield x.astype(np.float64), y.astype(np.float64)
