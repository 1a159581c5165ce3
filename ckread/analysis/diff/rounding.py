"""Whether a difference is only rounding: in steps of the type, counted by a second look.

A step (ulp, unit in the last place) is from one number of a type to the next. Near 0 steps
are tiny, so that a rounding of 1e-8 in a sum is 300,000 steps of an element that is almost
0: a variable is judged in steps at its largest value. Only pairs whose largest distance may
be that small are looked at, so that what is equal or plainly different costs nothing.

Reference: IEEE 754-2019, 5.3.1 (nextUp); numpy.testing.assert_array_max_ulp
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.scan import Chunks
    from ckread.readers.contract import Extent

NEAR, _NEAR_OF_LARGEST = 64, 1 / 64
"""A difference is looked at again if it is at most so many steps at the largest value, and so
large a part of it; or if a tolerance allows for more."""


class Rounding(NamedTuple):
    """How far two stretches are from each other, in steps of their type.

    Attributes:
        max_ulp: most steps between two elements.
        spacing: the step at the largest finite value of either side.
    """

    max_ulp: int = 0
    spacing: float = 0.0


def may_be_rounding(distance: Any, bound: Any, dtype: np.dtype[Any], allowed: float) -> Any:
    """Tell whether a distance may be few steps at a value that is no larger than `bound`.

    Of floats, or of arrays of them.
    """
    smallest, epsilon = _steps(dtype)
    most = max(allowed, min(NEAR, _NEAR_OF_LARGEST / epsilon))
    return (distance <= most * smallest) | (distance <= most * (epsilon * bound))


@cache
def _steps(dtype: np.dtype[Any]) -> list[float]:
    """Give the steps of a type at 0 and at 1."""
    return [float(step) for step in np.spacing(np.array([0, 1], dtype))]


def has_steps(dtype: np.dtype[Any]) -> bool:
    """Tell whether a type is of real numbers, one of ml_dtypes or numpy's own."""
    return dtype.name.startswith(("float", "bfloat"))


def ulp_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.uint64]:
    """Count the steps between the elements of two arrays of one real type.

    -0 is 0, an infinity one step beyond the largest number, and NaN one number beyond that.
    """
    left, right = _ranks(a), _ranks(b)
    up, down = left.view(np.uint64), right.view(np.uint64)
    steps: NDArray[np.uint64] = np.where(left > right, up - down, down - up)
    return steps


def _ranks(x: NDArray[Any]) -> NDArray[np.int64]:
    """Give the place of each element among the numbers of its type, 0 for 0."""
    width = 4 if x.dtype.name.startswith("float4") else 8 * x.dtype.itemsize
    x = np.where(np.isnan(x), np.full((), np.nan, x.dtype), x)
    bits = x.view(f"u{x.dtype.itemsize}").astype(np.uint64)
    magnitude = (bits & np.uint64((1 << (width - 1)) - 1)).view(np.int64)
    return np.where(bits >> np.uint64(width - 1), -magnitude, magnitude)


def compare_rounding(_extents: Sequence[Extent], _: Any, chunks: Chunks) -> Rounding:
    """Count the steps between two extents of one real type, in any process: the kernel."""
    return rounding_of(tuple(arrays) for arrays in chunks)


def rounding_of(chunks: Iterable[tuple[NDArray[Any], ...]]) -> Rounding:
    """Count the steps between two streams of one real type."""
    found = Rounding()
    for a, b in chunks:
        with np.errstate(all="ignore"):
            steps = ulp_distances(a, b)
            size = np.maximum(np.abs(a.astype(np.float64)), np.abs(b.astype(np.float64)))
            steps[np.isnan(size)] = 0  # on both sides: otherwise the distance is NaN
            largest = size.max(initial=0.0, where=np.isfinite(size))
            spacing = float(np.spacing(np.array(largest, a.dtype)))
        found = merge_roundings(found, Rounding(int(steps.max(initial=0)), spacing))
    return found


def merge_roundings(one: Rounding, other: Rounding) -> Rounding:
    """Join what two stretches of a variable gave."""
    return Rounding(max(one.max_ulp, other.max_ulp), max(one.spacing, other.spacing))
