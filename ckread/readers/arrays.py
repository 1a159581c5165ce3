"""Values of tensors that lie in one extent or in many: whole, in part, as a stream.

The extents of a tensor are disjoint and cover it, and each has its checksum.

A tensor in C order out of extents whose elements do not follow each other in it.

It is assembled band by band: a range of one dimension, whole in those after it, at
one place of those before it. In C order the elements of an extent come in their own
C order, so what a band needs of an extent is the next bytes of it. Every extent is
read once, from start to end, and its checksum verified at its end.

Parts of an array on disk, read with as few bytes and as few calls as make sense.

Places that are wanted and lie close together are read in one go and picked from;
a gap of more than `MAX_GAP` is skipped. One such read takes at most `SPAN_NBYTES`
of memory, whatever is wanted of a tensor of whatever size.

Parts and chunks of a tensor that its format lets us read only whole.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.errors import UnsupportedFeatureError
from ckread.readers.crc32c import extend
from ckread.readers.dtypes import numpy_dtype
from ckread.readers.extents import (
    ExtentStream,
    aligned_buffer,
    decode,
    swap_in_place,
    too_large,
    verify_extent,
)
from ckread.readers.slices import intersect, is_contiguous, region_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.readers.contract import Extent, Index
    from ckread.readers.dtypes import DataType
    from ckread.readers.files import RegularFile
    from ckread.readers.slices import Region

    OpenShard = Callable[[str], RegularFile]

Extents = tuple["Extent", ...]

MAX_RANK = 64
"""Of a numpy array."""

_READ_NBYTES = 1 << 20
_ALIGNED_NBYTES = 1 << 16
"""From here on the kernel copies four times faster to some addresses than to others."""


def empty_array(shape: Sequence[int], dtype: DataType) -> NDArray[Any]:
    """Give an array to fill.

    Raises:
        UnsupportedFeatureError: numpy has not so many dimensions.
        CheckpointError: there is not that much memory.
    """
    if len(shape) > MAX_RANK:
        raise UnsupportedFeatureError(f"{len(shape)} dimensions, numpy has {MAX_RANK} at most")
    kind = numpy_dtype(dtype)
    nbytes = kind.itemsize * math.prod(shape)
    try:
        if kind.hasobject or nbytes < _ALIGNED_NBYTES:
            return np.empty(shape, kind)
        return aligned_buffer(nbytes).view(kind).reshape(shape)
    except MemoryError:
        raise too_large(nbytes) from None
    except ValueError:
        raise UnsupportedFeatureError(f"shape {list(shape)}, too large for numpy") from None


def check_places(extents: Extents, open_shard: OpenShard) -> None:
    """Check that shards are there and long enough, before memory is taken.

    Raises:
        MissingShardError: a shard is not there.
        TruncatedFileError: it ends before an extent does.
    """
    for extent in extents:
        open_shard(extent.path).check_range(extent.offset, extent.nbytes)


def read_whole(extents: Extents, whole: NDArray[Any], open_shard: OpenShard) -> None:
    """Fill an array with a whole tensor, each extent verified.

    Raises:
        CheckpointError: an extent cannot be read, or is damaged.
    """
    for extent in extents:
        part = whole[_at(slice(*bounds) for bounds in extent.region)]
        in_place = part.flags.c_contiguous
        target = part if in_place else empty_array(part.shape, extent.dtype)
        # Fill `raw` with an extent in the byte order of this machine, verified.
        raw = target.reshape(-1).view(np.uint8)
        shard = open_shard(extent.path)
        crc32c = 0
        for start in range(0, extent.nbytes, _READ_NBYTES):
            chunk = raw[start : start + _READ_NBYTES]
            shard.pread_into(chunk, extent.offset + start)
            crc32c = extend(crc32c, chunk)
        verify_extent(extent, crc32c)
        if extent.big_endian:
            swap_in_place(raw, extent.dtype)
        if not in_place:
            part[...] = target


def _at(places: Iterable[slice]) -> tuple[Any, ...]:
    """Give the index of places; its ellipsis keeps a scalar an array."""
    return (*places, ...)


def read_part(
    extents: Extents, ranges: Sequence[range], part: NDArray[Any], open_shard: OpenShard
) -> None:
    """Fill an array with what a range per dimension picks of a tensor, unverified.

    Raises:
        CheckpointError: an extent cannot be read.
    """
    for extent in extents:
        places, local = intersect(ranges, extent.region)
        out = part[_at(places)]
        if not out.size:
            continue
        shape = region_shape(extent.region)
        shard = open_shard(extent.path)
        StridedReader(shard, offset=extent.offset, shape=shape, ranges=local).read_into(out)
    if extents and extents[0].big_endian:
        swap_in_place(part.reshape(-1).view(np.uint8), extents[0].dtype)


def put_strings(whole: NDArray[Any], region: Region, elements: list[bytes]) -> None:
    """Put the elements of one piece of a string tensor in their place."""
    flat = np.empty(len(elements), object)
    flat[:] = elements
    part = whole[_at(slice(*bounds) for bounds in region)]
    part[...] = flat.reshape(part.shape)


def iter_whole(
    extents: Extents, shape: Sequence[int], nbytes: int, open_shard: OpenShard
) -> Iterator[NDArray[np.generic]]:
    """Yield a tensor in C order, as 1-D arrays of at most `nbytes` bytes on one buffer.

    Raises:
        CheckpointError: an extent cannot be read, or, after its last byte, is damaged.
    """
    if not any(extent.nbytes for extent in extents):
        return iter(())
    if all(is_contiguous(extent.region, tuple(shape)) for extent in extents):
        return _iter_consecutive(extents, nbytes, open_shard)
    return iter_bands(extents, shape, nbytes, open_shard)


def _iter_consecutive(
    extents: Extents, nbytes: int, open_shard: OpenShard
) -> Iterator[NDArray[np.generic]]:
    longest = max((extent.nbytes for extent in extents), default=0)
    buffer = aligned_buffer(min(nbytes, longest) or 1)
    for extent in sorted(extents, key=lambda extent: extent.region):
        if not extent.nbytes:
            continue
        stream = ExtentStream(extent, buffer, shard=open_shard(extent.path))
        for chunk in stream:
            yield decode(extent, chunk)
        verify_extent(extent, stream.crc32c)


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


MAX_GAP = 1 << 15
"""Bytes: reading them costs less than another call."""

SPAN_NBYTES = 1 << 20


class StridedReader:
    """Reads the part of one array that a `range` per dimension picks."""

    def __init__(
        self, file: RegularFile, *, offset: int, shape: Sequence[int], ranges: Sequence[range]
    ) -> None:
        """Prepare to read.

        Args:
            file: an open file.
            offset: of the first byte of the array.
            shape: of the array.
            ranges: what is wanted of each dimension: within it, step 1 or more.
        """
        self._buffer = aligned_buffer(SPAN_NBYTES)
        self._file = file
        self._offset = offset
        self._shape = shape
        self._ranges = ranges

    def read_into(self, out: NDArray[Any]) -> None:
        """Fill `out`, whose shape is that of the ranges, with elements as they are stored.

        Raises:
            TruncatedFileError: the file ends before them.
        """
        if not out.size:
            return
        strides = [out.itemsize] * len(self._shape)
        for axis in reversed(range(len(self._shape) - 1)):
            strides[axis] = strides[axis + 1] * self._shape[axis + 1]
        places = list(zip(strides, self._ranges, strict=True))
        self._plan([stride * wanted.step for stride, wanted in places], out.itemsize)
        self._fill(out, 0, self._offset + sum(stride * wanted.start for stride, wanted in places))

    def _plan(self, steps: list[int], itemsize: int) -> None:
        """Measure each dimension, from the last to the first.

        `_spans[axis]` is the bytes from the first to the last that is wanted of this
        dimension and those after it; `_is_dense[axis]` tells whether no gap in them
        is worth skipping.
        """
        rank = len(steps)
        self._steps = steps
        self._spans = [itemsize] * (rank + 1)
        self._is_dense = [True] * (rank + 1)
        for axis in reversed(range(rank)):
            inner = self._spans[axis + 1]
            count = len(self._ranges[axis])
            self._spans[axis] = steps[axis] * (count - 1) + inner
            is_close = count == 1 or steps[axis] - inner <= MAX_GAP
            self._is_dense[axis] = self._is_dense[axis + 1] and is_close

    def _fill(self, out: NDArray[Any], axis: int, offset: int) -> None:
        """Fill `out`, of the dimensions from `axis` on, from `offset` in the file."""
        if axis == len(self._steps):
            self._read_span(out, axis, (offset, out.itemsize))
            return
        step, inner = self._steps[axis], self._spans[axis + 1]
        if not self._is_dense[axis] or inner > SPAN_NBYTES:
            for i in range(len(out)):
                self._fill(out[i, ...], axis + 1, offset + i * step)
            return
        n_together = (SPAN_NBYTES - inner) // step + 1
        for i in range(0, len(out), n_together):
            part = out[i : i + n_together]
            span = step * (len(part) - 1) + inner
            self._read_span(part, axis, (offset + i * step, span))

    def _read_span(self, out: NDArray[Any], axis: int, place: tuple[int, int]) -> None:
        offset, nbytes = place
        if nbytes == out.nbytes and out.flags.c_contiguous:
            self._file.pread_into(out.reshape(-1).view(np.uint8), offset)
            return
        buffer = self._buffer[:nbytes]
        self._file.pread_into(buffer, offset)
        out[...] = np.ndarray(out.shape, out.dtype, buffer, strides=self._steps[axis:])


def part_of(whole: NDArray[np.generic], index: Index) -> NDArray[np.generic]:
    """Give what an index picks: always an array, 0-d where it picks one element."""
    part: Any = whole[index]
    if isinstance(part, np.ndarray):
        return part
    scalar = np.empty((), whole.dtype)
    scalar[()] = part
    return scalar


def chunks_of(whole: NDArray[np.generic], nbytes: int) -> Iterator[NDArray[np.generic]]:
    """Yield the elements in C order as 1-D arrays of at most `nbytes` bytes."""
    flat = whole.reshape(-1)
    step = max(1, nbytes // max(1, flat.itemsize))
    for start in range(0, len(flat), step):
        yield flat[start : start + step]
