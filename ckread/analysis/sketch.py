"""One pass over numbers of any amount, in pieces of any order, in half a megabyte.

Sketches of parts merge into that of the whole by addition: counts, extremes and
bins exactly, mean, deviation and norm to the last bits. They pickle, small.

    sketch = Sketch(dtype)
    for chunk in variable.chunks():
        sketch.add(chunk)
    distribution = sketch_distribution(sketch)      # in `distribution`
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.bit_histogram import (
    N_BINS,
    ZERO_BINS,
    Pattern,
    count_patterns,
    folded,
    pattern_of,
)
from ckread.analysis.moments import (
    IntegerPart,
    Part,
    constant_part,
    float_part,
    integer_part,
    pooled,
)
from ckread.analysis.segments import chunk_buffer
from ckread.analysis.tally import Tally, tally_of_patterns
from ckread.readers.contract import CHUNK_NBYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ckread.analysis.bit_histogram import Counts
    from ckread.readers.dtypes import DataType

_PIECE = 131_072
_SCRATCH_NBYTES = 8 * _PIECE


class Sketch:
    """Counts, extremes, moments and a bit-pattern histogram of the elements added so far.

    Complex elements are measured by their modulus.

    Attributes:
        dtype: type of the elements.
        pattern: which of their bits number the bins.
    """

    def __init__(self, dtype: DataType) -> None:
        self.dtype = dtype
        self.pattern = pattern_of(dtype)
        self._elements = self._zeros = self._nan = 0
        self._infinite = [0, 0]
        self._low, self._high = math.inf, -math.inf
        self._parts: list[Part | IntegerPart] = []
        self._counts: Counts = np.zeros(N_BINS, np.int64)

    def add(self, values: NDArray[Any]) -> None:
        """Add elements of the sketch's type, of any shape and number."""
        flat = np.ascontiguousarray(values).reshape(-1)
        self._elements += flat.size
        scratch = chunk_buffer(_SCRATCH_NBYTES, number=1)
        with np.errstate(all="ignore"):
            for piece in _pieces(flat, self.pattern):
                self._add_piece(piece, scratch)

    def _add_piece(self, piece: NDArray[Any], scratch: NDArray[np.uint8]) -> None:
        if piece.dtype.kind == "c":
            piece = np.abs(piece)
        if self.pattern in (Pattern.FLOAT32, Pattern.ROUNDED):
            self._measure(piece, scratch)
        else:
            count_patterns(piece, self.pattern, self._counts, scratch)

    def _measure(self, x: NDArray[Any], scratch: NDArray[np.uint8]) -> None:
        low, high = np.minimum.reduce(x).item(), np.maximum.reduce(x).item()
        if not (math.isfinite(low) and math.isfinite(high)):
            x = self._finite(x)
            if not x.size:
                return
            low, high = np.minimum.reduce(x).item(), np.maximum.reduce(x).item()
        self._low, self._high = min(self._low, low), max(self._high, high)
        self._parts.append(_part(x, low, high, scratch))
        if low == high:
            self._count_constant(x, low)
            return
        near_zero = self._near_zero()
        count_patterns(x, self.pattern, self._counts, scratch)
        if self._near_zero() != near_zero:
            self._zeros += x.size - int(np.count_nonzero(x))

    def _count_constant(self, x: NDArray[Any], value: float) -> None:
        if value == 0:
            n_negative = int(np.count_nonzero(np.signbit(x))) if x.dtype.kind == "f" else 0
            self._counts[ZERO_BINS[0]] += x.size - n_negative
            self._counts[ZERO_BINS[1]] += n_negative
            self._zeros += x.size
        else:
            self._counts[int(x[:1].astype(np.float32).view(np.uint32)[0]) >> 16] += x.size

    def _near_zero(self) -> int:
        return int(self._counts[ZERO_BINS[0]] + self._counts[ZERO_BINS[1]])

    def _finite(self, x: NDArray[Any]) -> NDArray[Any]:
        finite = np.isfinite(x)
        others = x[~finite]
        n_nan = int(np.count_nonzero(np.isnan(others)))
        n_positive = int(np.count_nonzero(others > 0))
        self._nan += n_nan
        self._infinite[0] += n_positive
        self._infinite[1] += others.size - n_nan - n_positive
        remaining: NDArray[Any] = x[finite]
        return remaining

    def merge(self, other: Sketch) -> None:
        """Add the elements of another sketch of the same type.

        Raises:
            ValueError: the types differ.
        """
        if other.dtype is not self.dtype:
            raise ValueError(f"a sketch of {other.dtype} does not merge into one of {self.dtype}")
        self._elements += other._elements
        self._zeros += other._zeros
        self._nan += other._nan
        self._infinite = [a + b for a, b in zip(self._infinite, other._infinite, strict=True)]
        self._low, self._high = min(self._low, other._low), max(self._high, other._high)
        self._parts += other._parts
        self._counts += other._counts

    def settle(self) -> None:
        """Pool the moments of the pieces so far: what remains does not grow with their number.

        Done at the same places whoever does it, say once per segment, it keeps the
        sums the same to the last bit.
        """
        if self._parts:
            self._parts = [pooled(self._parts)]

    def counts(self) -> Counts:
        """Give the elements per bin: of finite ones, or of every pattern of 8 or 16 bits."""
        if self.pattern is Pattern.BYTE:
            return folded(self._counts, self._elements)
        return self._counts[:2] if self.pattern is Pattern.TRUTH else self._counts

    def tally(self) -> Tally:
        """Give what is known exactly, and the moments."""
        if self.pattern not in (Pattern.FLOAT32, Pattern.ROUNDED):
            return tally_of_patterns(self.counts(), self.dtype)
        any_finite = bool(self._parts)
        return Tally(
            elements=self._elements,
            zeros=self._zeros,
            nan=self._nan,
            positive_infinite=self._infinite[0],
            negative_infinite=self._infinite[1],
            low=self._low if any_finite else None,
            high=self._high if any_finite else None,
            part=pooled(self._parts) if any_finite else None,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the bins in use only."""
        used = np.flatnonzero(self._counts).astype(np.uint16)
        return {**self.__dict__, "_counts": (used, self._counts[used])}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Spread the bins again."""
        self.__dict__.update(state)
        used, counts = state["_counts"]
        self._counts = np.zeros(N_BINS, np.int64)
        self._counts[used] = counts


def _pieces(flat: NDArray[Any], pattern: Pattern) -> Iterator[NDArray[Any]]:
    """Cut into pieces that fit the scratch: the chunks of a stream come whole, if 4 bytes wide."""
    size = 2 * _PIECE if pattern is Pattern.BYTE else _PIECE
    size = min(size, CHUNK_NBYTES // flat.itemsize)
    for start in range(0, flat.size, size):
        yield flat[start : start + size]


def _part(
    x: NDArray[Any], low: float, high: float, scratch: NDArray[np.uint8]
) -> Part | IntegerPart:
    if x.dtype.kind in "iu":
        return integer_part(x, int(low), int(high))
    if low == high:
        return constant_part(float(low), x.size)
    floats = scratch[: 8 * x.size].view(np.float64)
    np.copyto(floats, x)
    return float_part(floats, low, high, is_single=x.dtype.itemsize == 4)
