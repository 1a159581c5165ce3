"""One pass over numbers of any amount, in pieces of any order, in half a megabyte.

Sketches of parts merge into that of the whole by addition: counts, extremes and
bins exactly, mean, deviation and norm to the last bits. They pickle, small.

    sketch = Sketch(dtype)
    for chunk in variable.chunks():
        sketch.add(chunk)
    distribution = sketch_distribution(sketch)      # in `distribution`

Bins are numbered by the top 16 bits of an element: they need no range beforehand.

    float32, float64, integers of 32 and 64 bits   top 16 bits of the float32 pattern:
        sign, 8 bits of exponent, 7 of mantissa; bins are 0.4 to 0.8 % wide, and
        below 1.2e-38 they are 9.2e-41 wide
    types of 16 bits                               the pattern itself, so exact
    types of 8 bits                                pairs of patterns, so exact too

float64 and integers are rounded to float32 for the bins alone; the bounds here
are those of the values that round into a bin. What is beyond float32 falls into
the bins of infinity and of zero, and the extremes of the variable bound them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.numbers import chunk_buffer, count_words
from ckread.analysis.statistics.moments import (
    IntegerPart,
    Part,
    part_of,
    pooled,
    weighted_part,
)
from ckread.readers.contract import CHUNK_NBYTES, DataType, numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]

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
        self.pattern: Pattern = pattern_of(dtype)
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
            # Pieces that fit the scratch: the chunks of a stream come whole, if 4 bytes wide.
            size = 2 * _PIECE if self.pattern is Pattern.BYTE else _PIECE
            size = min(size, CHUNK_NBYTES // flat.itemsize)
            for start in range(0, flat.size, size):
                piece = flat[start : start + size]
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
        self._parts.append(part_of(x, low, high, scratch))
        if low == high:
            if low == 0:
                n_negative = int(np.count_nonzero(np.signbit(x))) if x.dtype.kind == "f" else 0
                self._counts[ZERO_BINS[0]] += x.size - n_negative
                self._counts[ZERO_BINS[1]] += n_negative
                self._zeros += x.size
            else:
                self._counts[int(x[:1].astype(np.float32).view(np.uint32)[0]) >> 16] += x.size
            return
        near_zero = self._near_zero()
        count_patterns(x, self.pattern, self._counts, scratch)
        if self._near_zero() != near_zero:
            self._zeros += x.size - int(np.count_nonzero(x))

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
        """Add the elements of another sketch of the same type."""
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


N_BINS = 65_536
ZERO_BINS = (0x0000, 0x8000)


class Pattern(StrEnum):
    """Which bits of an element number its bin."""

    FLOAT32 = "float32"
    """The top 16 bits of a float32."""
    ROUNDED = "rounded"
    """The top 16 bits of the value rounded to float32."""
    WORD = "word"
    """All 16 bits of the element."""
    BYTE = "byte"
    """All 8 bits of the element; counted in pairs."""
    TRUTH = "truth"
    """Whether any bit is set."""


def pattern_of(dtype: DataType) -> Pattern:
    """Give the pattern for an element type; complex ones are measured by their modulus."""
    if dtype is DataType.BOOL:
        return Pattern.TRUTH
    if dtype in (DataType.FLOAT32, DataType.COMPLEX64):
        return Pattern.FLOAT32
    return {1: Pattern.BYTE, 2: Pattern.WORD}.get(dtype.itemsize, Pattern.ROUNDED)


def count_patterns(
    raw: NDArray[Any], pattern: Pattern, counts: Counts, scratch: NDArray[np.uint8]
) -> None:
    """Add contiguous elements to `counts`; `scratch` has 8 bytes for each of them."""
    if pattern is Pattern.TRUTH:
        n_true = int(np.count_nonzero(raw))
        counts[1] += n_true
        counts[0] += raw.size - n_true
    elif pattern is Pattern.BYTE:
        octets = raw.view(np.uint8)
        count_words(octets[: octets.size // 2 * 2].view(np.uint16), counts, scratch)
        if octets.size % 2:
            # Its missing partner is a zero, which `folded` takes back.
            counts[int(octets[-1])] += 1
    elif pattern is Pattern.WORD:
        count_words(raw.view(np.uint16), counts, scratch)
    else:
        rounded = raw if pattern is Pattern.FLOAT32 else raw.astype(np.float32)
        count_words(rounded.view(np.uint32), counts, scratch)


def folded(pairs: Counts, n: int) -> Counts:
    """Give the counts of `n` single bytes from the counts of their pairs."""
    table = pairs.reshape(256, 256)
    single: Counts = table.sum(axis=0) + table.sum(axis=1)
    single[0] -= int(single.sum()) - n
    return single


@cache
def pattern_values(dtype: DataType) -> NDArray[np.float64]:
    """Give the value of every pattern of a type of 8 or 16 bits, NaN and Inf included."""
    if dtype is DataType.BOOL:
        return np.arange(2.0)
    patterns = np.arange(2 ** (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
    with np.errstate(invalid="ignore"):  # signalling NaN
        return patterns.view(numpy_dtype(dtype)).astype(np.float64)


@cache
def bin_bounds(pattern: Pattern) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the least and the greatest value of each bin, in the order of bin numbers.

    Shape (65536,) each. The bins of NaN have NaN.
    """
    edges = (np.arange(0x7F81, dtype=np.uint32) << np.uint32(16)).view(np.float32)
    inner = edges.astype(np.float64)
    outer = np.append(inner[1:], np.inf)
    if pattern is Pattern.ROUNDED:
        # Half a step of float32 lower: those values round up into the bin.
        below = np.nextafter(edges[1:], np.float32(-np.inf)).astype(np.float64)
        inner[1:] = (inner[1:] + np.where(np.isinf(inner[1:]), 2.0**128, below)) / 2
        inner[0x7F80] = 2.0**128 * (1 - 2.0**-25)
        outer[:0x7F80] = inner[1:]
    low = np.full(N_BINS, np.nan)
    high = np.full(N_BINS, np.nan)
    low[:0x7F81], high[:0x7F81] = inner, outer
    low[0x8000:0xFF81], high[0x8000:0xFF81] = -outer, -inner
    return low, high


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of some elements exactly, and their moments.

    Attributes:
        elements: all of them.
        zeros: those that equal 0, of either sign.
        nan: those that are not a number.
        positive_infinite: those that are +Inf.
        negative_infinite: those that are -Inf.
        low: the least finite one, None if none is finite; an int for integer types.
        high: the greatest, likewise.
        part: moments of the finite ones, None if there are none.
    """

    elements: int
    zeros: int
    nan: int
    positive_infinite: int
    negative_infinite: int
    low: float | None
    high: float | None
    part: Part | IntegerPart | None

    @property
    def finite(self) -> int:
        """How many are neither NaN nor infinite."""
        return self.elements - self.nan - self.positive_infinite - self.negative_infinite


def tally_of_sorted(ordered: NDArray[Any], finite: NDArray[Any]) -> Tally:
    """Tally sorted values, NaN last, of which `finite` is the part that is finite."""
    n_nan = int(np.count_nonzero(ordered != ordered))
    n_positive = int(np.count_nonzero(ordered == np.inf))
    some = bool(finite.size)
    return Tally(
        elements=ordered.size,
        zeros=ordered.size - int(np.count_nonzero(ordered)),
        nan=n_nan,
        positive_infinite=n_positive,
        negative_infinite=ordered.size - finite.size - n_nan - n_positive,
        low=finite[0].item() if some else None,
        high=finite[-1].item() if some else None,
        part=part_of(finite, finite[0].item(), finite[-1].item()) if some else None,
    )


def tally_of_patterns(counts: Counts, dtype: DataType) -> Tally:
    """Derive everything from how often each pattern of a type of 8 or 16 bits occurs."""
    used = np.flatnonzero(counts)
    values, counts = pattern_values(dtype)[used], counts[used]
    finite = np.isfinite(values)
    some = bool(finite.any())
    number = int if is_integral(dtype) else float
    return Tally(
        elements=int(counts.sum()),
        zeros=int(counts[values == 0].sum()),
        nan=int(counts[np.isnan(values)].sum()),
        positive_infinite=int(counts[values == np.inf].sum()),
        negative_infinite=int(counts[values == -np.inf].sum()),
        low=number(values[finite].min()) if some else None,
        high=number(values[finite].max()) if some else None,
        part=weighted_part(values[finite], counts[finite]) if some else None,
    )


def is_integral(dtype: DataType) -> bool:
    """Tell whether elements are whole numbers; truth values count as 0 and 1."""
    return dtype.value.startswith(("int", "uint", "qint", "quint", "bool"))
