"""One chunk of a variable through all checkpoints, and the sums that figures are made of.

Three work buffers hold a chunk of the first checkpoint, of the one before and of the
one at hand, in float64; differences take the place of the one before. The fewer there
are, the more of them stays in the second-level cache.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.row_sums import inner_product
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
            self._buffers = [_buffer(number, values.size) for number in range(3)]
            self._first = self._previous = self._buffers[0]
        x, spare = self._next()
        np.copyto(x, values, casting="unsafe")
        if self._exponent:
            np.ldexp(x, -self._exponent, out=x)
        xx = inner_product(x, x)
        nan = infinite = 0
        if not math.isfinite(xx):
            nan = int(np.count_nonzero(np.isnan(x)))
            infinite = int(np.count_nonzero(np.isinf(x)))
        if is_wide and not (nan or infinite) and not _RANGE[0] < xx < _RANGE[1]:
            self.extreme = max(self.extreme, float(np.abs(x).max(initial=0)))
        if not self._rows:
            self._rows.append([xx, xx * 0, math.nan, xx, nan, infinite])
            return
        from_previous = _distance(x, self._previous, spare)
        from_first = from_previous
        if self._previous is not self._first:
            from_first = _distance(x, self._first, spare)
        self._rows.append(
            [xx, from_first, from_previous, self._inner(x, xx, from_first), nan, infinite]
        )
        self._previous = x

    def rows(self) -> Floats:
        """Give the sums, shape (checkpoints, columns)."""
        return np.array(self._rows, np.float64)

    def _next(self) -> tuple[Floats, Floats]:
        """Give the buffer for the next checkpoint, and that for differences from others."""
        first, one, other = self._buffers
        if not self._rows:
            return first, other
        return (other, one) if self._previous is one else (one, other)

    def _inner(self, x: Floats, xx: float, from_first: float) -> float:
        ff = self._rows[0][0]
        if xx <= _ALIKE * ff and ff <= _ALIKE * xx:
            return (xx + ff - from_first) / 2
        return inner_product(x, self._first)


def _buffer(number: int, n_floats: int) -> Floats:
    # Room for twice the elements: a complex number is two floats.
    return chunk_buffer(CHUNK_ELEMENTS * 16, number=1 + number).view(np.float64)[:n_floats]


def _distance(x: Floats, y: Floats, spare: Floats) -> float:
    np.subtract(x, y, out=spare)
    return inner_product(spare, spare)
