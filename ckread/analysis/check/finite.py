"""One look at every element of a tensor: what is not finite, and whether all are alike.

Leaner than statistics: the least and greatest value of a chunk tell at once whether
anything in it is NaN or infinite, and only then is it looked at element by element.
Types of 16 bits and less are looked at by their bit patterns, which is faster.
"""

from __future__ import annotations

from functools import reduce
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.numbers import values_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.scan import Chunks
    from ckread.readers.contract import DataType, Extent

_PATTERNS = {"float16": 0x7C00, "bfloat16": 0x7F80}
"""Exponent bits of 16-bit floats: all of them set means infinite or NaN."""
_WIDE = ("float32", "float64", "complex64", "complex128")
_NARROW = ("float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz",
           "float8_e5m2fnuz")  # fmt: skip


class Look(NamedTuple):
    """What was seen in some elements; looks at parts of a tensor join.

    Attributes:
        elements: how many.
        nan: how many are NaN.
        infinite: how many are infinite.
        first: place of the first that is not finite, counted from the first element.
        low: the least value, by bit pattern for 16-bit types; None without any.
        high: the greatest, likewise.
        is_zero: whether all are zero.
        may_have_zero: whether one may be zero; only of small tensors is that looked for.
    """

    elements: int = 0
    nan: int = 0
    infinite: int = 0
    first: int | None = None
    low: float | None = None
    high: float | None = None
    is_zero: bool = True
    may_have_zero: bool = True

    @property
    def is_constant(self) -> bool:
        """Whether all elements are the same number."""
        return self.low is not None and not self.not_finite and self.low == self.high

    @property
    def not_finite(self) -> int:
        """How many are NaN or infinite."""
        return self.nan + self.infinite

    def joined(self, other: Look) -> Look:
        """Put the look at the next elements behind this one."""
        first = self.first
        if first is None and other.first is not None:
            first = self.elements + other.first
        known = [look for look in (self, other) if look.low is not None]
        return Look(
            self.elements + other.elements,
            self.nan + other.nan,
            self.infinite + other.infinite,
            first,
            min((look.low for look in known if look.low is not None), default=None),
            max((look.high for look in known if look.high is not None), default=None),
            self.is_zero and other.is_zero,
            self.may_have_zero or other.may_have_zero,
        )


def look(extents: Sequence[Extent], _: None, chunks: Chunks) -> Look:
    """Look at the elements of an extent, in any process: the kernel."""
    return look_at_all((values for chunk in chunks for values in chunk), extents[0].dtype)


def look_many(
    dtypes: Sequence[DataType], arrays: Sequence[NDArray[Any]]
) -> tuple[list[Look], NDArray[np.bool_]]:
    """Look at small tensors of one size and type, the rows of an array, and at which are not odd.

    The kernel of these.
    """
    [values], name = arrays, str(dtypes[0])
    m, n = values.shape
    have_zero: NDArray[np.bool_] = np.ones(m, np.bool_)
    if name in _WIDE:
        parts = values.view(values.real.dtype) if values.dtype.kind == "c" else values
        with np.errstate(invalid="ignore"):
            lows, highs = np.minimum.reduce(parts, axis=1), np.maximum.reduce(parts, axis=1)
            have_zero = ~np.logical_and.reduce(parts, axis=1)
        are_finite, are_zero = np.isfinite(lows) & np.isfinite(highs), (lows == 0) & (highs == 0)
    elif name in _PATTERNS:
        patterns = values.view(np.uint16)
        lows, highs = np.minimum.reduce(patterns, axis=1), np.maximum.reduce(patterns, axis=1)
        sizes = np.maximum.reduce(patterns & np.uint16(0x7FFF), axis=1)
        are_finite, are_zero = sizes < _PATTERNS[name], sizes == 0
    else:
        return [look_at(row, dtypes[0]) for row in values], np.ones(m, np.bool_)
    same = map(repeat, (n, 0, 0, None))
    columns = (*same, lows.tolist(), highs.tolist(), are_zero.tolist(), have_zero.tolist())
    return list(map(Look._make, zip(*columns, strict=False))), are_finite


def look_at_all(arrays: Iterable[NDArray[Any]], dtype: DataType) -> Look:
    """Look at a stream of arrays."""
    return joined([look_at(values, dtype) for values in arrays])


def joined(looks: Sequence[Look]) -> Look:
    """Put looks at parts of a tensor together, in their order."""
    first, *others = looks or [Look()]
    return reduce(Look.joined, others, first)


def look_at(values: NDArray[Any], dtype: DataType) -> Look:
    """Look at some elements."""
    if not values.size:
        return Look()
    name = str(dtype)
    if name in _WIDE:
        return _look_at_numbers(values)
    if name in _PATTERNS:
        patterns = values.view(np.uint16)
        exponent = _PATTERNS[name]
        low, high = int(np.minimum.reduce(patterns)), int(np.maximum.reduce(patterns))
        if high < exponent:  # positive and finite, all of them
            return Look(patterns.size, low=low, high=high, is_zero=high == 0)
        size = patterns & np.uint16(0x7FFF)
        greatest = int(np.maximum.reduce(size))
        if greatest < exponent:
            return Look(patterns.size, low=low, high=high, is_zero=greatest == 0)
        bad = size >= exponent
        n_infinite = int(np.count_nonzero(size == exponent))
        n_nan = int(np.count_nonzero(bad)) - n_infinite
        return Look(patterns.size, n_nan, n_infinite, int(np.argmax(bad)), is_zero=False)
    if name in _NARROW:
        return _look_at_bytes(values)
    raw = values.view(np.uint8) if values.dtype.kind not in "iub" else values
    is_zero = not raw.any()
    return Look(values.size, is_zero=is_zero)


def _look_at_bytes(values: NDArray[Any]) -> Look:
    """Look at floats of one byte, of a sign and a magnitude.

    The least and the greatest byte of either sign tell the extremes: what is not finite comes at
    one end of those of a sign, whatever the type.
    """
    octets, of = values.view(np.uint8), values_of(values.dtype)
    sides = octets, values.view(np.int8)
    ends = [
        int(reduce(x)) & 0xFF for x in sides for reduce in (np.minimum.reduce, np.maximum.reduce)
    ]
    known = of[ends] + 0.0
    if np.isfinite(known).all():
        low, high = float(known.min()), float(known.max())
        return Look(values.size, low=low, high=high, is_zero=low == high == 0)
    n_nan, n_infinite, first = 0, 0, values.size
    for pattern in np.flatnonzero(~np.isfinite(of)).tolist():
        same = octets == pattern
        n = int(np.count_nonzero(same))
        if n:
            is_nan = bool(np.isnan(of[pattern]))
            n_nan, n_infinite = n_nan + n * is_nan, n_infinite + n * (not is_nan)
            first = min(first, int(np.argmax(same)))
    return Look(values.size, n_nan, n_infinite, first, is_zero=False)


def _look_at_numbers(values: NDArray[Any]) -> Look:
    parts = values.view(values.real.dtype) if values.dtype.kind == "c" else values
    with np.errstate(invalid="ignore"):
        low, high = np.minimum.reduce(parts).item(), np.maximum.reduce(parts).item()
    if np.isfinite(low) and np.isfinite(high):
        return Look(values.size, low=low, high=high, is_zero=low == high == 0)
    nan = np.isnan(values)
    bad = nan | np.isinf(values)
    n_nan = int(np.count_nonzero(nan))
    n_infinite = int(np.count_nonzero(bad)) - n_nan
    return Look(values.size, n_nan, n_infinite, int(np.argmax(bad)), is_zero=False)
