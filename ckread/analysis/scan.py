"""Parts of a tensor's bytes as jobs: cut on one grid, put together again by checksum.

The grid of segments and of the chunks within them starts at the tensor's own
first byte and depends on nothing else, neither on where the tensor lies in its
file nor on the number of workers: so sums over chunks have the same bits always.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers import crc32c
from ckread.readers.contract import CHUNK_NBYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent

SEGMENT_NBYTES = 32 * CHUNK_NBYTES
"""Bytes of one segment, the most that one job reads of a tensor: some milliseconds of work."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of an extent; it pickles, and any process that sees the file can read it.

    Attributes:
        extent: the extent it is part of.
        start: first byte, counted from the start of the extent.
        stop: where it ends, likewise.
    """

    extent: Extent
    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        """Bytes to read."""
        return self.stop - self.start

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its extent."""
        return self.nbytes == self.extent.nbytes


def split(extent: Extent, nbytes: int = SEGMENT_NBYTES) -> tuple[Segment, ...]:
    """Cut an extent into segments of `nbytes` bytes, the last one shorter; at least one."""
    starts = range(0, max(extent.nbytes, 1), nbytes)
    return tuple(Segment(extent, start, min(start + nbytes, extent.nbytes)) for start in starts)


def segments_of(
    variables: Iterable[Variable],
) -> tuple[dict[int, list[Segment]], dict[int, CheckpointError]]:
    """Give the segments of each variable whose bytes lie plainly in files, and what cannot be told.

    Returns:
        By number of the variable its segments, or the error that keeps them from being
        found. Strings and compressed values are in neither.
    """
    segments: dict[int, list[Segment]] = {}
    errors: dict[int, CheckpointError] = {}
    for i, variable in enumerate(variables):
        try:
            extents = variable.readable_extents() if variable.dtype.is_plain else None
        except CheckpointError as error:
            errors[i] = error
            continue
        if extents is not None:
            segments[i] = [segment for extent in extents for segment in split(extent)]
    return segments, errors


def joined_crc32c(parts: Iterable[tuple[int, int]]) -> int:
    """Give the CRC-32C of a whole from (CRC-32C, bytes) of its parts in their order."""
    whole = 0
    for part, nbytes in parts:
        whole = crc32c.combine(whole, part, nbytes)
    return whole


def batches(
    sizes: Sequence[int], *, nbytes: int = SEGMENT_NBYTES, count: int = 256
) -> Iterator[range]:
    """Yield ranges of neighbours that together make one job: so many bytes, so many items.

    A checkpoint may hold 100,000 scalars: one by one they would cost more to hand
    over than to read.
    """
    start = total = 0
    for i, size in enumerate(sizes):
        if i > start and (total + size > nbytes or i - start >= count):
            yield range(start, i)
            start, total = i, 0
        total += size
    if start < len(sizes):
        yield range(start, len(sizes))


_local = threading.local()


def chunk_buffer(nbytes: int = CHUNK_NBYTES, *, number: int = 0) -> NDArray[np.uint8]:
    """Give this thread's own aligned buffer, the same one every time.

    Args:
        nbytes: its size.
        number: which one, for work that needs several at a time.
    """
    from ckread.readers.extents import aligned_buffer

    buffers: dict[tuple[int, int], NDArray[np.uint8]] = _local.__dict__.setdefault("buffers", {})
    if (number, nbytes) not in buffers:
        buffers[number, nbytes] = aligned_buffer(nbytes)
    return buffers[number, nbytes]
