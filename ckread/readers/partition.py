"""Values of tensors that lie in one extent or in many: whole, in part, as a stream.

The extents of a tensor are disjoint and cover it. In the C order of the tensor the
elements of each extent come in their own C order, so a stream of the tensor reads
every extent from its start to its end, and their checksums can be verified.
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
from ckread.readers.picking import intersect
from ckread.readers.strided import StridedReader
from ckread.readers.tensor_slice import is_contiguous, region_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.readers.contract import Extent
    from ckread.readers.dtypes import DataType
    from ckread.readers.regular_file import RegularFile
    from ckread.readers.tensor_slice import Region

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
        _read_extent(extent, target.reshape(-1).view(np.uint8), open_shard(extent.path))
        if not in_place:
            part[...] = target


def _at(places: Iterable[slice]) -> tuple[Any, ...]:
    """Give the index of places; its ellipsis keeps a scalar an array."""
    return (*places, ...)


def _read_extent(extent: Extent, raw: NDArray[np.uint8], shard: RegularFile) -> None:
    """Fill `raw` with an extent in the byte order of this machine, verified."""
    crc32c = 0
    for start in range(0, extent.nbytes, _READ_NBYTES):
        chunk = raw[start : start + _READ_NBYTES]
        shard.pread_into(chunk, extent.offset + start)
        crc32c = extend(crc32c, chunk)
    verify_extent(extent, crc32c)
    if extent.big_endian:
        swap_in_place(raw, extent.dtype)


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
    return _iter_bands(extents, shape, nbytes, open_shard)


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


def _iter_bands(
    extents: Extents, shape: Sequence[int], nbytes: int, open_shard: OpenShard
) -> Iterator[NDArray[np.generic]]:
    """Assemble one band after the other: a range of one dimension, all of those after it."""
    dtype = extents[0].dtype
    buffer = aligned_buffer(nbytes)
    done = [0] * len(extents)
    checksums = [0] * len(extents)
    for band in _bands(shape, dtype.itemsize, nbytes):
        n_elements = math.prod(region_shape(band))
        raw = buffer[: n_elements * dtype.itemsize]
        values = raw.view(numpy_dtype(dtype))
        target = values.reshape(region_shape(band))
        for i, extent in enumerate(extents):
            places = _overlap(band, extent.region)
            part = None if places is None else target[places]
            if part is None:
                continue
            piece = np.empty(part.nbytes, np.uint8)
            open_shard(extent.path).pread_into(piece, extent.offset + done[i])
            done[i] += part.nbytes
            checksums[i] = extend(checksums[i], piece)
            part[...] = decode(extent, piece).reshape(part.shape)
        yield values
    for extent, crc32c in zip(extents, checksums, strict=True):
        verify_extent(extent, crc32c)


def _bands(shape: Sequence[int], itemsize: int, nbytes: int) -> Iterator[Region]:
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
