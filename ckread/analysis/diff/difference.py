"""One variable on both sides: the distributions of its values and of their differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.diff.kernels import farthest
from ckread.analysis.diff.metrics import Tolerance
from ckread.analysis.scan import side_by_side
from ckread.errors import UsageError
from ckread.readers.slices import unravelled

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


@dataclass(frozen=True, slots=True)
class ElementDiff:
    """One element that differs.

    Attributes:
        index: where it is.
        a: its value in the first checkpoint, of the type there; of a string, its bytes.
        b: in the second.
        distance: |b − a|; None for strings.
    """

    index: tuple[int, ...]
    a: Any
    b: Any
    distance: float | None

    def to_dict(self) -> dict[str, Any]:
        """Give its JSON document."""
        values = [_plain(value) for value in (self.a, self.b)]
        return {
            "index": list(self.index),
            "a": values[0],
            "b": values[1],
            "distance": self.distance,
        }


def _plain(value: Any) -> Any:
    """Give a value in a type of Python's own; of a narrow float the shortest that reads back."""
    is_narrow = isinstance(value, np.generic) and value.dtype.itemsize < 8
    if is_narrow and value.dtype.name.startswith(("float", "bfloat")):
        return float(str(value))
    return value.item() if isinstance(value, np.generic) else value


def differing_elements(
    a: Variable, b: Variable, n: int, tolerance: Tolerance | None = None
) -> list[ElementDiff]:
    """Give the n elements that are farthest apart, farthest first; of strings the first n.

    Raises:
        UsageError: the two have not the same shape.
        CheckpointError: values cannot be read.
    """
    if a.shape != b.shape:
        raise UsageError(f"{b.name}: shape {a.shape} before, {b.shape} after: no elements to pair")
    if not (a.dtype.is_plain and b.dtype.is_plain):
        pairs = zip(*(variable.numpy().ravel().tolist() for variable in (a, b)), strict=True)
        told = ((i, x, y) for i, (x, y) in enumerate(pairs) if x != y)
        return [ElementDiff(unravelled(i, b.shape), x, y, None) for i, x, y in islice(told, n)]
    found: list[ElementDiff] = []
    start = 0
    for x, y in side_by_side(a.chunks(), b.chunks()):
        places, distances = farthest(x, y, tolerance or Tolerance(), n)
        for i, far in zip(places.tolist(), distances.tolist(), strict=True):
            found.append(ElementDiff(unravelled(start + i, b.shape), x[i], y[i], far))
        found.sort(key=_how_near)
        del found[n:]
        start += x.size
    return found


def _how_near(element: ElementDiff) -> float:
    far = element.distance
    return 0.0 if far is None else -math.inf if math.isnan(far) else -far


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
