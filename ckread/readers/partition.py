"""Values of tensors that lie in one extent or in many: whole, in part, as a stream.

The extents of a tensor are disjoint and cover it, and each has its checksum.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.errors import UnsupportedFeatureError
from ckread.readers.bands import iter_bands
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
