"""One look at every byte of a tensor: its checksum, and what is not finite or constant.

Leaner than statistics: the least and greatest value of a chunk tell at once whether
anything in it is NaN or infinite, and only then is it looked at element by element.
Types of 16 bits and less are looked at by their bit patterns, which is faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.segments import Segment, chunk_buffer
from ckread.errors import CheckpointError
from ckread.readers.extents import ExtentStream, OpenShards, decode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.readers.dtypes import DataType
    from ckread.readers.regular_file import RegularFile

_PATTERNS = {"float16": 0x7C00, "bfloat16": 0x7F80}
"""Exponent bits of 16-bit floats: all of them set means infinite or NaN."""
_WIDE = ("float32", "float64", "complex64", "complex128")
_NARROW = ("float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz",
           "float8_e5m2fnuz")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in some elements; looks at parts of a tensor join.

    Attributes:
        elements: how many.
        nan: how many are NaN.
        infinite: how many are infinite.
        first: place of the first that is not finite, counted from the first element.
        low: the least value, by bit pattern for 16-bit types; None without any.
        high: the greatest, likewise.
        is_zero: whether all are zero.
    """

    elements: int = 0
    nan: int = 0
    infinite: int = 0
    first: int | None = None
    low: float | None = None
    high: float | None = None
    is_zero: bool = True

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
        )


@dataclass(frozen=True, slots=True)
class ScanTask:
    """One segment to look at, and the number of the variable it belongs to."""

    variable: int
    segment: Segment


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a task: a look and a checksum, or an error."""

    task: ScanTask
    look: Look = Look()
    crc32c: int = 0
    error: CheckpointError | None = None


def scan(tasks: tuple[ScanTask, ...]) -> list[Seen]:
    """Do the tasks of one job; runs in any process."""
    seen: list[Seen] = []
    with OpenShards() as shards:
        for task in tasks:
            try:
                seen.append(_scan_segment(task, shards[task.segment.extent.path]))
            except CheckpointError as error:
                seen.append(Seen(task, error=error))
    return seen


def _scan_segment(task: ScanTask, shard: RegularFile) -> Seen:
    segment = task.segment
    stream = ExtentStream(
        segment.extent, chunk_buffer(), start=segment.start, stop=segment.stop, shard=shard
    )
    look = Look()
    for chunk in stream:
        look = look.joined(look_at(decode(segment.extent, chunk), segment.extent.dtype))
    return Seen(task, look, stream.crc32c)


def look_at(values: NDArray[Any], dtype: DataType) -> Look:
    """Look at some elements."""
    if not values.size:
        return Look()
    name = str(dtype)
    if name in _WIDE:
        return _look_at_numbers(values)
    if name in _PATTERNS:
        return _look_at_patterns(values.view(np.uint16), _PATTERNS[name])
    if name in _NARROW:
        return _look_at_numbers(values.astype(np.float32))
    return _look_at_integers(values)


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


def _look_at_patterns(patterns: NDArray[np.uint16], exponent: int) -> Look:
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


def _look_at_integers(values: NDArray[Any]) -> Look:
    raw = values.view(np.uint8) if values.dtype.kind not in "iub" else values
    is_zero = not raw.any()
    return Look(values.size, is_zero=is_zero)
