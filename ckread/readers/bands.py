"""A tensor in C order out of extents whose elements do not follow each other in it.

It is assembled band by band: a range of one dimension, whole in those after it, at
one place of those before it. In C order the elements of an extent come in their own
C order, so what a band needs of an extent is the next bytes of it. Every extent is
read once, from start to end, and its checksum verified at its end.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.readers.crc32c import extend
from ckread.readers.dtypes import numpy_dtype
from ckread.readers.extents import aligned_buffer, decode, verify_extent
from ckread.readers.tensor_slice import region_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.readers.contract import Extent
    from ckread.readers.regular_file import RegularFile
    from ckread.readers.tensor_slice import Region


class _Source:
    """An extent that is read from its start to its end, piece by piece."""

    def __init__(self, extent: Extent) -> None:
        self.extent = extent
        self._done = 0
        self._crc32c = 0

    def put(self, target: NDArray[Any], band: Region, shard: RegularFile) -> None:
        """Put what the band has of it in its place; verify it at its end."""
        places = _overlap(band, self.extent.region)
        if places is None:
            return
        part = target[places]
        raw = np.empty(part.nbytes, np.uint8)
        shard.pread_into(raw, self.extent.offset + self._done)
        self._done += len(raw)
        self._crc32c = extend(self._crc32c, raw)
        part[...] = decode(self.extent, raw).reshape(part.shape)
        if self.is_done:
            verify_extent(self.extent, self._crc32c)

    @property
    def is_done(self) -> bool:
        """Whether all of it was read."""
        return self._done == self.extent.nbytes


def iter_bands(
    extents: Sequence[Extent],
    shape: Sequence[int],
    nbytes: int,
    open_shard: Callable[[str], RegularFile],
) -> Iterator[NDArray[np.generic]]:
    """Yield a tensor that has elements, as 1-D arrays of at most `nbytes` bytes on one buffer.

    Raises:
        CheckpointError: an extent cannot be read, or is damaged.
    """
    dtype = extents[0].dtype
    buffer = aligned_buffer(nbytes)
    filled = (_Source(extent) for extent in extents if extent.nbytes)
    waiting = sorted(filled, key=lambda source: source.extent.region, reverse=True)
    active: list[_Source] = []
    for band in _bands(shape, dtype.itemsize, nbytes):
        while waiting and waiting[-1].extent.region[0][0] < band[0][1]:
            active.append(waiting.pop())
        raw = buffer[: math.prod(region_shape(band)) * dtype.itemsize]
        values = raw.view(numpy_dtype(dtype))
        target = values.reshape(region_shape(band))
        for source in active:
            source.put(target, band, open_shard(source.extent.path))
        active = [source for source in active if not source.is_done]
        yield values


def _bands(shape: Sequence[int], itemsize: int, nbytes: int) -> Iterator[Region]:
    """Yield the bands of a tensor, as large as `nbytes` allows."""
    axis = len(shape) - 1
    inner = itemsize
    while axis and inner * shape[axis] <= nbytes:
        inner *= shape[axis]
        axis -= 1
    step = max(1, nbytes // inner)
    rest = tuple((0, size) for size in shape[axis + 1 :])
    for outer in itertools.product(*map(range, shape[:axis])):
        fixed = tuple((i, i + 1) for i in outer)
        for start in range(0, shape[axis], step):
            yield (*fixed, (start, min(start + step, shape[axis])), *rest)


def _overlap(band: Region, region: Region) -> tuple[slice, ...] | None:
    """Give the place within `band` that `region` fills, None if it fills none."""
    places = []
    for (start, stop), (first, last) in zip(band, region, strict=True):
        low, high = max(start, first), min(stop, last)
        if low >= high:
            return None
        places.append(slice(low - start, high - start))
    return tuple(places)
