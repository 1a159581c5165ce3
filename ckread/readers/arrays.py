"""Values of tensors that lie in one extent or in many: whole, in part, as a stream.

The extents of a tensor are disjoint and cover it, and each has its checksum. Below, in
order: whole tensors, streams, parts read with few bytes and calls, and parts and chunks
of tensors that their format lets us read only whole.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.errors import UnsupportedFeatureError
from ckread.readers.contract import numpy_dtype
from ckread.readers.crc32c import extend
from ckread.readers.extents import (
    ExtentStream,
    aligned_buffer,
    decode,
    swap_in_place,
    too_large,
    verify_extent,
)
from ckread.readers.slices import intersect, is_contiguous, iter_slabs, region_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.readers.contract import DataType, Extent, Index
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
    """Give an array to fill."""
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
    """Check that shards are there and long enough, before memory is taken."""
    for extent in extents:
        open_shard(extent.path).check_range(extent.offset, extent.nbytes)


def read_whole(extents: Extents, whole: NDArray[Any], open_shard: OpenShard) -> None:
    """Fill an array with a whole tensor in this machine's byte order, each extent verified."""
    for extent in extents:
        part = whole[_at(slice(*bounds) for bounds in extent.region)]
        in_place = part.flags.c_contiguous
        target = part if in_place else empty_array(part.shape, extent.dtype)
        raw, shard = target.reshape(-1).view(np.uint8), open_shard(extent.path)
        shard.expect([(extent.offset, extent.offset + extent.nbytes)])
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


def put_strings(whole: NDArray[Any], region: Region, elements: list[bytes]) -> None:
    """Put the elements of one piece of a string tensor in their place."""
    flat = np.empty(len(elements), object)
    flat[:] = elements
    part = whole[_at(slice(*bounds) for bounds in region)]
    part[...] = flat.reshape(part.shape)


# Streams. Extents whose elements follow each other in C order are read one after the
# other. Where they do not, the tensor is assembled slab by slab: in C order the elements
# of an extent come in their own C order, so what a slab needs of an extent is the next
# bytes of it. Every extent is read once, from start to end, and verified at its end.


def iter_whole(
    extents: Extents, shape: Sequence[int], nbytes: int, open_shard: OpenShard
) -> Iterator[NDArray[np.generic]]:
    """Yield a tensor in C order, as 1-D arrays of at most `nbytes` bytes on one buffer."""
    extents = tuple(extent for extent in extents if extent.nbytes)
    if not all(is_contiguous(extent.region, tuple(shape)) for extent in extents):
        dtype = extents[0].dtype
        buffer = aligned_buffer(nbytes)
        waiting = sorted(map(_Source, extents), key=lambda one: one.extent.region, reverse=True)
        active: list[_Source] = []
        for slab in iter_slabs(shape, nbytes // dtype.itemsize):
            while waiting and waiting[-1].extent.region[0][0] < slab[0][1]:
                active.append(waiting.pop())
            raw = buffer[: math.prod(region_shape(slab)) * dtype.itemsize]
            values = raw.view(numpy_dtype(dtype))
            target = values.reshape(region_shape(slab))
            for source in active:
                source.put(target, slab, open_shard(source.extent.path))
            active = [source for source in active if not source.is_done]
            yield values
        return
    buffer = aligned_buffer(min(nbytes, max((extent.nbytes for extent in extents), default=1)))
    for extent in sorted(extents, key=lambda extent: extent.region):
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

    def put(self, target: NDArray[Any], slab: Region, shard: RegularFile) -> None:
        """Put what the slab has of it in its place; verify it at its end."""
        places, _ = intersect([range(*bounds) for bounds in slab], self.extent.region)
        part = target[places]
        if not part.size:
            return
        raw = np.empty(part.nbytes, np.uint8)
        if not self._done:
            shard.expect([(self.extent.offset, self.extent.offset + self.extent.nbytes)])
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


# Parts, read with as few bytes and as few calls as make sense. Places that are wanted and
# lie close together are read in one go and picked from; a gap of more than `MAX_GAP` is
# skipped. One such read takes at most `SPAN_NBYTES` of memory, whatever is wanted.

MAX_GAP = 1 << 15
"""Bytes: reading them costs less than another call."""

SPAN_NBYTES = 1 << 20


def read_part(
    extents: Extents, ranges: Sequence[range], part: NDArray[Any], open_shard: OpenShard
) -> None:
    """Fill an array with what a range per dimension picks of a tensor, unverified."""
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


class StridedReader:
    """Reads the part of one array that a `range` per dimension picks."""

    def __init__(
        self, file: RegularFile, *, offset: int, shape: Sequence[int], ranges: Sequence[range]
    ) -> None:
        """Prepare to read `ranges`, each within its dimension and of step 1 or more.

        `offset` is that of the first byte of an array of this shape.
        """
        self._buffer = aligned_buffer(SPAN_NBYTES)
        self._file = file
        self._offset = offset
        self._shape = shape
        self._ranges = ranges

    def read_into(self, out: NDArray[Any]) -> None:
        """Fill `out`, whose shape is that of the ranges, with elements as they are stored."""
        if not out.size:
            return
        rank = len(self._shape)
        strides = [out.itemsize] * rank
        for axis in reversed(range(rank - 1)):
            strides[axis] = strides[axis + 1] * self._shape[axis + 1]
        places = list(zip(strides, self._ranges, strict=True))
        steps = self._steps = [stride * wanted.step for stride, wanted in places]
        # Of each dimension and those after it: the bytes from the first to the last that
        # is wanted, and whether no gap in them is worth skipping.
        self._spans = [out.itemsize] * (rank + 1)
        self._is_dense = [True] * (rank + 1)
        for axis in reversed(range(rank)):
            inner = self._spans[axis + 1]
            count = len(self._ranges[axis])
            self._spans[axis] = steps[axis] * (count - 1) + inner
            is_close = count == 1 or steps[axis] - inner <= MAX_GAP
            self._is_dense[axis] = self._is_dense[axis + 1] and is_close
        first = self._offset + sum(stride * wanted.start for stride, wanted in places)
        spans = self._spans_of(out, 0, first)
        if self._file.is_remote:
            spans = list(spans)
            self._file.expect((offset, offset + nbytes) for *_, (offset, nbytes) in spans)
        for part, axis, place in spans:
            self._read_span(part, axis, place)

    def _spans_of(
        self, out: NDArray[Any], axis: int, offset: int
    ) -> Iterable[tuple[NDArray[Any], int, tuple[int, int]]]:
        """Yield what is read at once to fill `out`, of the dimensions from `axis` on."""
        if axis == len(self._steps):
            yield out, axis, (offset, out.itemsize)
            return
        step, inner = self._steps[axis], self._spans[axis + 1]
        if not self._is_dense[axis] or inner > SPAN_NBYTES:
            for i in range(len(out)):
                yield from self._spans_of(out[i, ...], axis + 1, offset + i * step)
            return
        n_together = (SPAN_NBYTES - inner) // step + 1
        for i in range(0, len(out), n_together):
            part = out[i : i + n_together]
            span = step * (len(part) - 1) + inner
            yield part, axis, (offset + i * step, span)

    def _read_span(self, out: NDArray[Any], axis: int, place: tuple[int, int]) -> None:
        offset, nbytes = place
        if nbytes == out.nbytes and out.flags.c_contiguous:
            self._file.pread_into(out.reshape(-1).view(np.uint8), offset)
            return
        buffer = self._buffer[:nbytes]
        self._file.pread_into(buffer, offset)
        out[...] = np.ndarray(out.shape, out.dtype, buffer, strides=self._steps[axis:])


# Of tensors that their format lets us read only whole.


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
