"""The kernels that compare two arrays chunk by chunk, in float64 work buffers.

Two ways give the same figures. The quick one takes pairs of one type whose values
are all finite and squares stay in range. The careful one takes everything else:
two types, 64-bit integers (exact), complex numbers, tolerances, NaN and infinity,
float64 near the ends of its range.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.careful_comparison import compare_carefully, differing_bits
from ckread.analysis.metrics import ChunkSums, PairTally, merge_tallies
from ckread.analysis.row_sums import inner_product, row_sum
from ckread.analysis.segments import chunk_buffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ckread.analysis.tolerance import Tolerance

CAPACITY = 131_072
"""Elements compared at once: the work buffers then stay in the second-level cache."""
_ALIKE = 100.0
"""Ratio of ‖a‖² and ‖b‖² up to which the inner product follows from the distance."""
_RARE = 32
"""Of so many pairs at most one changes its sign where only those are looked at again."""
_FLOAT64_RANGE = (1e-250, 1e300)


class PairComparison:
    """A running comparison of two streams of equal length; `tally` sums it up."""

    def __init__(self, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._a, self._b = (_work_buffer(8, number).view(np.float64) for number in (2, 3))
        self._mask, self._other_mask = (_work_buffer(1, n).view(np.bool_) for n in (4, 5))
        self._tallies: list[PairTally] = []

    def add(self, a: NDArray[Any], b: NDArray[Any]) -> None:
        """Compare the next stretch: 1-D arrays of one length, of any two types."""
        for start in range(0, a.size, CAPACITY):
            stop = start + CAPACITY
            self._tallies.append(self._compare(a[start:stop], b[start:stop]))

    def tally(self) -> PairTally:
        """Give what was counted so far, and start anew."""
        merged = merge_tallies(self._tallies or [PairTally(max_abs=0)])
        self._tallies = []
        return merged

    def _compare(self, a: NDArray[Any], b: NDArray[Any]) -> PairTally:
        quick = None
        if self._tolerance.is_bitwise and a.dtype == b.dtype and _is_small_real(a.dtype):
            with np.errstate(all="ignore"):
                quick = self._compare_quickly(a, b)
        return quick or compare_carefully(a, b, self._tolerance)

    def _compare_quickly(self, a: NDArray[Any], b: NDArray[Any]) -> PairTally | None:
        """Compare finite values of one type; None where care is needed."""
        n = a.size
        low, high = _FLOAT64_RANGE if a.dtype == np.float64 else (0.0, math.inf)
        changed = differing_bits(a, b, out=self._mask[:n])
        n_changed = int(np.count_nonzero(changed))
        first = int(np.argmax(changed)) if n_changed else None
        a8, b8 = self._a[:n], self._b[:n]
        np.copyto(a8, a, casting="unsafe")
        aa = inner_product(a8, a8)
        if not low <= aa < high:
            return None
        integral = a.dtype.kind in "iub"
        if not n_changed:
            sums = (ChunkSums(aa, aa, aa, 0.0, 0.0),)
            return PairTally(elements=n, max_abs=0 if integral else 0.0, sums=sums)
        np.copyto(b8, b, casting="unsafe")
        bb = inner_product(b8, b8)
        is_signed = a.dtype.kind not in "ub"
        n_flips = self._count_flips(*((a8, b8) if a.itemsize < 4 else (a, b))) if is_signed else 0
        is_alike = aa <= _ALIKE * bb and bb <= _ALIKE * aa
        ab = math.nan if is_alike else inner_product(a8, b8)
        distance = np.abs(np.subtract(b8, a8, out=a8), out=a8)
        dd = inner_product(distance, distance)
        if not (low <= bb < high and low <= dd < high):
            return None
        if is_alike:
            ab = (aa + bb - dd) / 2
        largest = float(np.maximum.reduce(distance))
        return PairTally(
            elements=n,
            changed=n_changed,
            first_changed=first,
            max_abs=int(largest) if integral else largest,
            sign_flips=n_flips,
            sums=(ChunkSums(aa, bb, ab, dd, row_sum(distance)),),
        )

    def _count_flips(self, a: NDArray[Any], b: NDArray[Any]) -> int:
        """Count pairs of which one is above and one below zero."""
        mask, other = self._mask[: a.size], self._other_mask[: a.size]
        below = np.not_equal(np.less(a, 0, out=mask), np.less(b, 0, out=other), out=mask)
        n_below = int(np.count_nonzero(below))
        if n_below * _RARE < a.size:
            at = np.flatnonzero(below)
            return int(np.count_nonzero((a[at] != 0) & (b[at] != 0)))
        above = np.not_equal(np.greater(a, 0), np.greater(b, 0, out=other), out=other)
        return int(np.count_nonzero(np.logical_and(below, above, out=mask)))


def _work_buffer(itemsize: int, number: int) -> NDArray[np.uint8]:
    """Give this thread's buffer for so many elements, aligned as vector instructions like it."""
    return chunk_buffer(CAPACITY * itemsize, number=number)


def _is_small_real(dtype: np.dtype[Any]) -> bool:
    """Tell whether float64 holds every value of a type exactly; ml_dtypes are kind V."""
    return dtype.kind in "fbV" or (dtype.kind in "iu" and dtype.itemsize <= 4)


def compare_strings(a: Sequence[bytes], b: Sequence[bytes]) -> PairTally:
    """Compare strings element by element; nothing is subtracted."""
    differing = [i for i, (left, right) in enumerate(zip(a, b, strict=True)) if left != right]
    first = differing[0] if differing else None
    return PairTally(elements=len(a), changed=len(differing), first_changed=first)
