"""One chunk of a variable through all checkpoints, and the sums that figures are made of.

Four work buffers hold a chunk of the first checkpoint, of the one before, of the
one at hand, and a difference, in float64: they stay in the second-level cache.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.comparison import inner_product
from ckread.analysis.segments import chunk_buffer
from ckread.readers.dtypes import DataType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CHUNK_ELEMENTS = 1 << 16
"""Elements of one chunk: 256 KiB of float32, the optimum that was measured."""

_ALIKE = 100.0
"""Ratio of squared norms up to which the inner product follows from the distance."""
_RANGE = (1e-280, 1e300)

WIDE = frozenset({DataType.FLOAT64, DataType.COMPLEX128})
"""Types whose squares may leave the range of float64."""


class Columns(NamedTuple):
    """What a row of sums holds, per checkpoint."""

    xx: Floats
    """‖x‖²."""
    from_first: Floats
    """‖x − first‖²."""
    from_previous: Floats
    """‖x − previous‖²."""
    inner: Floats
    """x · first."""
    nan: Floats
    infinite: Floats


N_COLUMNS = len(Columns._fields)


class ChunkSums:
    """The sums of one chunk through the checkpoints.

    Attributes:
        extreme: largest magnitude, where squares left the range of float64.
    """

    def __init__(self, exponent: int) -> None:
        self._exponent = exponent
        self._rows: list[list[float]] = []
        self._buffers: list[Floats] = []
        self._first = self._previous = np.empty(0)
        self.extreme = 0.0

    def repeat(self) -> None:
        """Take over the sums of the checkpoint before, whose values are the same."""
        row = self._rows[-1].copy()
        row[2] = 0.0 if math.isfinite(row[0]) else math.nan
        self._rows.append(row)

    def add(self, values: NDArray[Any], *, is_wide: bool) -> None:
        """Add the values of the next checkpoint."""
        if values.dtype.kind == "c":
            values = values.view(f"<f{values.itemsize // 2}")
        if not self._rows:
            self._buffers = [_buffer(number, values.size) for number in range(4)]
            self._first = self._previous = self._buffers[0]
        x, scratch = self._next(), self._buffers[3]
        np.copyto(x, values, casting="unsafe")
        if self._exponent:
            np.ldexp(x, -self._exponent, out=x)
        xx = inner_product(x, x)
        nan = infinite = 0
        if not math.isfinite(xx):
            nan = int(np.count_nonzero(np.isnan(x)))
            infinite = int(np.count_nonzero(np.isinf(x)))
        if is_wide and not (nan or infinite) and not _RANGE[0] < xx < _RANGE[1]:
            self.extreme = max(self.extreme, float(np.abs(x, out=scratch).max(initial=0)))
        if not self._rows:
            self._rows.append([xx, xx * 0, math.nan, xx, nan, infinite])
            return
        from_first = from_previous = _distance(x, self._first, scratch)
        if self._previous is not self._first:
            from_previous = _distance(x, self._previous, scratch)
        self._rows.append(
            [xx, from_first, from_previous, self._inner(x, xx, from_first), nan, infinite]
        )
        self._previous = x

    def rows(self) -> Floats:
        """Give the sums, shape (checkpoints, columns)."""
        return np.array(self._rows, np.float64)

    def _next(self) -> Floats:
        if not self._rows:
            return self._buffers[0]
        return self._buffers[2 if self._previous is self._buffers[1] else 1]

    def _inner(self, x: Floats, xx: float, from_first: float) -> float:
        ff = self._rows[0][0]
        if xx <= _ALIKE * ff and ff <= _ALIKE * xx:
            return (xx + ff - from_first) / 2
        return inner_product(x, self._first)


def _buffer(number: int, n_floats: int) -> Floats:
    # Room for twice the elements: a complex number is two floats.
    return chunk_buffer(CHUNK_ELEMENTS * 16, number=1 + number).view(np.float64)[:n_floats]


def _distance(x: Floats, y: Floats, scratch: Floats) -> float:
    np.subtract(x, y, out=scratch)
    return inner_product(scratch, scratch)
