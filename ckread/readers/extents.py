"""Plain bytes of tensors, streamed from data shards into a buffer that is reused.

An `Extent` says where bytes lie, so whoever has it needs no index: it can go to
another thread, process or machine. A stream of bytes that is read to its end has
the CRC-32C to compare with the stored one. Nothing here imports numpy before it
is called, for `extents` of a listing are made without it.
"""

from __future__ import annotations

import os
import re
from contextlib import closing, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    ChecksumError,
    CorruptCheckpointError,
    ErrorKind,
    MissingShardError,
    by,
)
from ckread.readers.contract import DataType, few, numpy_dtype, shown
from ckread.readers.crc32c import crc32c, extend
from ckread.readers.files import (
    COPY_AGAIN,
    KeptOpen,
    RegularFile,
    file_names,
    has_addresses,
    is_address,
    once,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.contract import Extent


ALIGNMENT = 64


def aligned_buffer(nbytes: int) -> NDArray[np.uint8]:
    """Give a buffer of bytes whose first lies at a multiple of 64."""
    import numpy as np

    try:
        block = np.empty(nbytes + ALIGNMENT, np.uint8)
    except (MemoryError, ValueError):
        raise too_large(nbytes) from None
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + nbytes]


def too_large(nbytes: int) -> CheckpointError:
    """Give the error for values that memory does not hold."""
    remedy = "Read a slice of it, or stream it chunk by chunk."
    return CheckpointError(f"{nbytes} bytes do not fit into memory", remedy=remedy)


def open_shard(path: str) -> RegularFile:
    """Open a data shard."""
    try:
        return _Shard(path)
    except CheckpointNotFoundError:
        raise missing_shard(path) from None


class _Shard(RegularFile):
    _in_blocks = False

    def _too_short(self, offset: int, nbytes: int, end: int) -> CorruptCheckpointError:
        return not_a_shard(self.path) or super()._too_short(offset, nbytes, end)


class OpenShards(KeptOpen):
    """Data shards by path, opened when asked for; where there are too many the oldest is closed.

    Attributes:
        may_be_remote: whether any may be at an address: it is worth telling what is read next.
    """

    def __init__(self, most: int = 1, *, may_be_remote: bool = False) -> None:
        """Keep at most so many open: one does where neighbours lie in one file."""
        super().__init__()
        self._most = most
        self.may_be_remote: bool = may_be_remote or has_addresses()

    def __missing__(self, path: str) -> RegularFile:
        """Open a shard."""
        if len(self) >= self._most and (oldest := next(iter(self), None)) is not None:
            self.pop(oldest).close()
        shard = self[path] = open_shard(path)
        return shard

    def expect(self, places: Iterable[tuple[str, int, int]]) -> None:
        """Tell which bytes of which file, from start to stop, will be read next."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for path, start, stop in places:
            if is_address(path):
                spans.setdefault(path, []).append((start, stop))
        if not spans:
            return
        from ckread.readers.sources.remote import begin_job

        begin_job()
        for path, some in spans.items():
            with suppress(CheckpointError):  # whoever reads it is told
                self[path].expect(some)


class ExtentStream:
    """The bytes of an extent, chunk after chunk, as views on one buffer.

    Iterable once. Each chunk is a uint8 view on `buffer`, a whole number of
    elements, and valid until the next one is asked for.

    Attributes:
        crc32c: unmasked CRC-32C of the bytes given so far.
    """

    def __init__(
        self,
        extent: Extent,
        buffer: NDArray[np.uint8],
        *,
        start: int = 0,
        stop: int | None = None,
        shard: RegularFile | None = None,
    ) -> None:
        """Prepare to stream bytes `start` to `stop` of an extent in chunks as long as the buffer.

        The file is opened with the first chunk; one that is open already stays so.
        """
        self.crc32c: int = 0
        self._extent = extent
        self._buffer = buffer
        self._start = start
        self._stop = extent.nbytes if stop is None else stop
        self._shard = shard

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the chunks."""
        extent, buffer = self._extent, self._buffer
        itemsize = max(1, extent.dtype.itemsize)
        step = len(buffer) // itemsize * itemsize
        if not step:
            raise ValueError(f"a buffer of {len(buffer)} bytes holds no element of {itemsize}")
        own = self._shard
        with nullcontext(own) if own else closing(open_shard(extent.path)) as shard:
            shard.check_range(extent.offset + self._start, self._stop - self._start)
            shard.expect([(extent.offset + self._start, extent.offset + self._stop)])
            for at in range(self._start, self._stop, step):
                chunk = buffer[: min(step, self._stop - at)]
                shard.pread_into(chunk, extent.offset + at)
                self.crc32c = extend(self.crc32c, chunk)
                yield chunk


def verify_extent(extent: Extent, computed: int) -> None:
    """Check the checksum of all the bytes of an extent."""
    if extent.crc32c is not None and computed != extent.crc32c:
        raise checksum_error(extent.path, (extent.offset, extent.nbytes), extent.crc32c, computed)


def read_extent(extent: Extent, shard: RegularFile) -> bytes:
    """Give the verified bytes of a small extent, little-endian, without numpy."""
    data = shard.pread(extent.offset, extent.nbytes)
    verify_extent(extent, crc32c(data))
    width = swap_width(extent.dtype)
    if not extent.big_endian or width == 1:
        return data
    swapped = bytearray(len(data))
    for place in range(width):
        swapped[place::width] = data[width - 1 - place :: width]
    return bytes(swapped)


def of_tensor(error: CheckpointError, key: str, *, remedy: str | None = None) -> CheckpointError:
    """Give an error about a place in a shard with the key of the tensor that lies there."""
    if error.kind is ErrorKind.SOMETHING_ELSE:  # not of one tensor more than of another
        return error
    is_known = shown(key) in error.places
    return error.within(None if is_known else shown(key), remedy=remedy or error.remedy)


def checksum_error(
    path: str, place: tuple[int, int], stored: int, computed: int, *key: str
) -> CorruptCheckpointError:
    """Give the error for `place` (offset and size) of `key`, whose checksum is not its own."""
    other = not_a_shard(path)
    if other is not None:
        return other
    offset, nbytes = place
    where = f"bytes {offset} to {offset + nbytes}"
    return ChecksumError(
        f"computed {computed:#010x}",
        expected=f"stored CRC-32C {stored:#010x}",
        path=path,
        name=path.rpartition("/")[2],
        place=(*key, where),
        offset=offset,
        remedy=COPY_AGAIN,
    )


def decode(extent: Extent, raw: NDArray[np.uint8]) -> NDArray[np.generic]:
    """Give stored bytes as a 1-D array of elements.

    A view on `raw`; a copy in the order of this machine if `extent` is big-endian.
    """
    if extent.big_endian:
        raw = raw.copy()
        swap_in_place(raw, extent.dtype)
    return raw.view(numpy_dtype(extent.dtype))


def swap_in_place(raw: NDArray[np.uint8], dtype: DataType) -> None:
    """Reverse the bytes of every number."""
    width = swap_width(dtype)
    if width > 1:
        words: Any = raw.view(f"<u{width}")
        words.byteswap(inplace=True)


def swap_width(dtype: DataType) -> int:
    """Give the bytes of one number: half an element where that is complex."""
    is_complex = dtype in (DataType.COMPLEX64, DataType.COMPLEX128)
    return dtype.itemsize // 2 if is_complex else dtype.itemsize


# Names of data shards: `<prefix>.data-<i>-of-<n>`, five digits at least.
#
# The name is made from two integers, so nothing in an index can point elsewhere.
# A merge of bundles can leave files `-of-<m>` under a header that says n shards:
# `shard_family` finds the m that is meant, if only one is there.
#
# Reference: tensorflow/core/util/tensor_bundle/naming.cc


_SUFFIX = re.compile(r"\.data-(\d{5,9})-of-(\d{5,9})")


def shard_path(prefix: str, shard_id: int, num_shards: int) -> str:
    """Give the path of a data shard."""
    return f"{prefix}.data-{shard_id:05d}-of-{num_shards:05d}"


def stem_of_shard(name: str) -> str | None:
    """Give what precedes the suffix of a shard in a file name; None if it is no shard."""
    at = name.rfind(".data-")
    return name[:at] if at >= 0 and _SUFFIX.fullmatch(name, at) else None


def present_shards(prefix: str) -> dict[int, set[int]]:
    """Give the shard ids that lie beside `prefix`, by the number of shards they name."""
    directory, base = os.path.split(prefix)
    return once(_shards_of, directory or ".").get(base, {})


def _shards_of(directory: str) -> dict[str, dict[int, set[int]]]:
    """Give the shards of a directory, by the base of their names."""
    found: dict[str, dict[int, set[int]]] = {}
    for name in file_names(directory):
        at = name.rfind(".data-")
        match = _SUFFIX.fullmatch(name, at) if at >= 0 else None
        if match:
            families = found.setdefault(name[:at], {})
            families.setdefault(int(match[2]), set()).add(int(match[1]))
    return found


def shard_family(prefix: str, num_shards: int, used: frozenset[int]) -> int:
    """Give the number of shards in the file names; `num_shards` unless only another fits."""
    families = present_shards(prefix)
    if num_shards in families or len(families) != 1:
        return num_shards
    [(n_named, present)] = families.items()
    fits = present == set(range(n_named)) and used <= present
    return n_named if fits else num_shards


def missing_shard(path: str) -> MissingShardError:
    """Give the error for the data shard at `path`, which is not there."""
    name = os.path.basename(path)
    match = re.search(_SUFFIX.pattern + r"\Z", path)
    if not match:
        return MissingShardError("no such file", path=path, name=name)
    shard_id, num_shards = int(match[1]), int(match[2])
    present = sorted(present_shards(path[: match.start()]).get(num_shards, ()))
    found = f"missing data shard ({shard_id} of {num_shards}), which holds the values"
    if present:
        shards = "is shard" if len(present) == 1 else "are shards"
        found += f"; here {shards} {few([*map(str, present)], 10)}"
    who = by("ls, tree, info and diff --index-only", "Names, info and diff(…, index_only=True)")
    remedy = f"{who} need only the index, which is here."
    return MissingShardError(found, path=path, name=name, remedy=remedy)


def not_a_shard(path: str) -> CorruptCheckpointError | None:
    """Give the error for a data shard that is something else by its bytes; None if it may be one.

    For a shard whose size or checksums do not fit: a tensor may look like anything.
    """
    if stem_of_shard(os.path.basename(path)) is None:
        return None
    from ckread.readers.detection import something_else

    return something_else(path, "a data shard")
