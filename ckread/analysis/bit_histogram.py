"""Histograms over the top 16 bits of a number: 65,536 bins that need no range beforehand.

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

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.readers.dtypes import DataType, numpy_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]

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
        _count_words(octets[: octets.size // 2 * 2].view(np.uint16), counts, scratch)
        if octets.size % 2:
            # Its missing partner is a zero, which `folded` takes back.
            counts[int(octets[-1])] += 1
    elif pattern is Pattern.WORD:
        _count_words(raw.view(np.uint16), counts, scratch)
    else:
        rounded = raw if pattern is Pattern.FLOAT32 else raw.astype(np.float32)
        _count_words(rounded.view(np.uint32), counts, scratch)


def _count_words(
    words: NDArray[np.unsignedinteger[Any]], counts: Counts, scratch: NDArray[np.uint8]
) -> None:
    index = scratch[: 8 * words.size].view(np.uint64)
    shift = 16 if words.itemsize == 4 else 0
    np.right_shift(words, shift, out=index, casting="unsafe")
    np.add.at(counts, index.view(np.intp), 1)


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
