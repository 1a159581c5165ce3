"""TensorFlow's V2 checkpoint: an index and raw data shards.

    <prefix>.index                 table: names to where tensors lie
    <prefix>.data-00000-of-00002   values one after the other, no header, no magic

Listing needs the index alone. Values are plain bytes in C order at [offset,
offset + size) of a shard, not aligned, with gaps or shared; each tensor has a
CRC-32C of them. Partitioned variables are put together from their slices.

A training run may rewrite the files while they are read: what then does not fit
is read once more, from the new index.

Reference: tensorflow/core/util/tensor_bundle/tensor_bundle.h
"""

from __future__ import annotations

import math
import os
import struct
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    ErrorKind,
    MissingShardError,
    NotACheckpointError,
    TextLines,
    TruncatedFileError,
)
from ckread.readers.budget import over
from ckread.readers.bundle.index import EntryParser, read_bundle_index
from ckread.readers.bundle.layout import BundleLayout
from ckread.readers.bundle.strings import read_string_tensor
from ckread.readers.contract import CHUNK_NBYTES, Format, StoredFile, shown
from ckread.readers.crc32c import extend, unmask
from ckread.readers.extent_reader import ExtentReader
from ckread.readers.extents import (
    checksum_error,
    not_a_shard,
    of_tensor,
    open_shard,
    present_shards,
    shard_path,
)
from ckread.readers.files import RegularFile, file_identity, look_again
from ckread.readers.protobuf import parse_bundle_header, parse_varint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.bundle.index import BundleIndex
    from ckread.readers.bundle.memo import IndexMemo
    from ckread.readers.contract import Extent, FileIdentity, TensorRecord
    from ckread.readers.protobuf import BundleEntry, BundleHeader


T = TypeVar("T")


class TensorBundle(ExtentReader):
    """A V2 checkpoint by its prefix."""

    def __init__(self, prefix: str, memo: IndexMemo | None = None) -> None:
        """Read the index of `prefix`, no data shard."""
        super().__init__(prefix, Format.TENSOR_BUNDLE)
        self._place(open_index(prefix, memo))

    def _place(self, index: BundleIndex) -> None:
        self._layout = BundleLayout(self.path, index)
        tensors = index.tensors  # slices are not among them
        self._tensors = MappingProxyType(tensors) if isinstance(tensors, dict) else tensors

    @property
    def header(self) -> BundleHeader:
        """The header of the bundle."""
        return self._layout.index.header

    @property
    def n_blocks(self) -> int:
        """Data blocks of the index."""
        return self._layout.index.n_blocks

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be decided about the names of the files."""
        return self._layout.notes

    def entry(self, key: str) -> BundleEntry:
        """Give the entry of a tensor as it is stored, its slices included."""
        return self._layout.entry(self._record(key))

    def files(self) -> tuple[StoredFile, ...]:
        """Give the index and every data shard, absent ones included."""
        index = self._layout.index
        return (
            StoredFile(index.path, index.identity.nbytes, is_shard=False),
            *self._layout.shards(),
        )

    def identities(self) -> dict[str, FileIdentity | None]:
        """Give what its files are, and the index as it was read."""
        index = self._layout.index
        return {**super().identities(), index.path: index.identity}

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where a tensor's plain bytes lie, one extent per slice; None for strings."""
        return self._layout.extents(self._record(key))

    def iter_chunks(self, key: str, nbytes: int = CHUNK_NBYTES) -> Iterator[NDArray[np.generic]]:
        """Yield a tensor; what was yielded cannot be read anew if the files change."""
        try:
            yield from super().iter_chunks(key, nbytes)
        except (CorruptCheckpointError, MissingShardError) as error:
            remedy = _CHANGED if self.has_changed() else None
            raise of_tensor(error, key, remedy=remedy) from None

    def reopened(self) -> TensorBundle:
        """Give another reader of the same index, which is not read again."""
        other = TensorBundle.__new__(TensorBundle)
        other.__dict__ = {**self.__dict__, "is_closed": False, "_shards": None}
        return other

    def _decode(self, key: str) -> NDArray[np.generic]:
        """Read a string tensor, or what has no array form and is refused."""
        from ckread.readers.arrays import put_strings

        pieces = self._layout.pieces(self._record(key))
        for _, entry in pieces:
            path = self._layout.shard_path(entry.shard_id)
            self._open(path).check_range(entry.offset, entry.size)
        whole = self._empty(key, self._record(key).shape)
        for region, entry in pieces:
            put_strings(whole, region, self._read_string_piece(key, entry))
        return whole

    def _strings(self, key: str) -> list[bytes]:
        pieces = self._layout.pieces(self._record(key))
        if len(pieces) != 1:
            return super()._strings(key)
        return self._read_string_piece(key, pieces[0][1])

    def _read_string_piece(self, key: str, entry: BundleEntry) -> list[bytes]:
        shard = self._open(self._layout.shard_path(entry.shard_id))
        big_endian = self._layout.index.header.big_endian
        return read_string_tensor(shard, entry, key=shown(key), big_endian=big_endian)

    def _located(self, error: CheckpointError, key: str) -> CheckpointError:
        return self._layout.located(error, key)

    def _settled(self, key: str, read: Callable[[str], T], *, is_verified: bool = True) -> T:
        """Give what `read` gives; once more, from a new index, if the files changed."""
        try:
            result = read(key)
            if is_verified or not self.has_changed():
                return result
        except (CorruptCheckpointError, MissingShardError) as error:
            if not self.has_changed():
                other = not_a_shard(error.path) if error.path else None
                raise other or of_tensor(error, key) from None
        self._reload(key)
        try:
            return read(key)
        except (CorruptCheckpointError, MissingShardError) as error:
            raise of_tensor(error, key, remedy=_CHANGED) from None

    def has_changed(self) -> bool:
        """Tell whether the files are not any more what they were."""
        index = self._layout.index
        look_again(index.path)
        return file_identity(index.path) != index.identity or any(
            shard.has_changed() for shard in (self._shards or {}).values()
        )

    def _reload(self, key: str) -> None:
        """Read the index anew; see that the tensor is still the one that was listed."""
        old = self._record(key)
        self._close_shards()
        self._place(open_index(self.path))
        new = self._tensors.get(key)
        if new is None or (new.dtype, new.shape) != (old.dtype, old.shape):
            found = "absent" if new is None else f"{new.dtype} {list(new.shape)}"
            before = f"{old.dtype} {list(old.shape)} before"
            error = CorruptCheckpointError(f"{found} since the files changed, {before}")
            raise error.within(shown(key), path=self._layout.index.path, remedy=_CHANGED)


_CHANGED = "The files changed while they were read: a training run may be writing here. Try again."


# Opening the index of a prefix, which a training run may be writing just now.
#
# An index is written in place, after its data: absent, empty or without its footer
# beside a data shard, it is being written, or its writer was killed.

TORN_REMEDY = TextLines(
    "If a training run is still writing here, try again in a moment. If not, go",
    "back to the checkpoint before it.",
)


COLUMNAR_NBYTES = 1 << 20
"""Of an index above which its tensors are columns, some 20,000 of them."""


def open_index(prefix: str, memo: IndexMemo | None = None) -> BundleIndex:
    """Read the index of `prefix`; once more if it changed while it was read.

    A large one is read as columns, unless it is unusual.
    """
    path = prefix + ".index"
    if memo is not None and (known := memo.recalled(path)) is not None:
        return known
    before = file_identity(path)
    try:
        if before is not None and before.nbytes > COLUMNAR_NBYTES:
            from ckread.readers.bundle.columns import read_columns

            with RegularFile(path) as file:
                index = read_columns(file)
            if index is not None:
                return index
        return read_bundle_index(path) if memo is None else memo.read(path)
    except CheckpointError as error:
        look_again(path)
        if file_identity(path) == before:
            raise _torn(prefix, error) from None
    try:
        return read_bundle_index(path)
    except CheckpointError as error:
        raise _torn(prefix, error) from None


def _torn(prefix: str, error: CheckpointError) -> CheckpointError:
    """Give the error of an index that is something else, or of a torn save.

    Data shards make it one; empty, or of zeros, an index is about to be written.
    """
    if not isinstance(error, CheckpointNotFoundError):
        from ckread.readers.detection import Kind, something_else

        own = Kind.BUNDLE_INDEX, Kind.TORN_INDEX, Kind.V1_TABLE, Kind.TABLE, Kind.EMPTY
        other = something_else(f"{prefix}.index", "the index of a checkpoint", own)
        if other is not None:
            return other
    kinds = CheckpointNotFoundError, TruncatedFileError, NotACheckpointError
    families = present_shards(prefix) if isinstance(error, kinds) else {}
    if not families:
        return error
    found = error.told
    if isinstance(error, CheckpointNotFoundError):
        num_shards = min(families)
        shard = os.path.basename(shard_path(prefix, min(families[num_shards]), num_shards))
        found = f"absent beside {shard}"
    return TruncatedFileError(
        f"{found}, being written or torn",
        kind=ErrorKind.TORN,
        path=prefix + ".index",
        name=f"{os.path.basename(prefix)}.index",
        place=error.places,
        remedy=TORN_REMEDY,
    )


def bad_entries(
    items: Iterable[tuple[bytes, bytes]], memory: int
) -> Iterator[tuple[bytes, CheckpointError]]:
    """Yield the key of each entry that is none, and why; for an index that cannot be opened.

    The key of the header is empty; `memory` bounds what the entries may take.
    """
    parser = EntryParser(memory)
    for key, value in items:
        try:
            if key:
                parser.feed([(key, value)])
            else:
                parse_bundle_header(value)
        except CheckpointError as error:
            yield key, error if key else error.within("header")


# Variant tensors: states of datasets and lists. They hold no array, but can be verified.
#
#     per element   varint64 length, a VariantTensorDataProto of that length,
#                   u32 masked CRC-32C of everything so far
#
# The running checksum goes over each length as u64, the bytes, and the checksum word;
# its last value is that of the entry.
#
# Reference: tensorflow/core/util/tensor_bundle/tensor_bundle.cc, WriteVariantTensor

MAX_VARIANT_NBYTES = 1 << 30
_CHECKSUM_NBYTES = 4


def verify_variant(record: TensorRecord, path: str) -> None:
    """Verify a variant tensor in the data shard at `path`.

    Raises:
        CheckpointError: the shard is not there or too short, or the tensor is damaged.
    """
    offset = record.offset or 0
    name = path.rpartition("/")[2]
    if record.nbytes > MAX_VARIANT_NBYTES:
        most, found = MAX_VARIANT_NBYTES, record.nbytes
        raise over(most, "bytes", found, what="a variant", path=path, name=name)
    with open_shard(path) as shard:
        data = shard.pread(offset, record.nbytes)
    at = computed = 0
    for _ in range(math.prod(record.shape)):
        length, start = parse_varint(data, at, len(data))
        stop = start + length
        if stop + _CHECKSUM_NBYTES > len(data):
            raise CorruptCheckpointError(
                f"bytes {offset} to {offset + len(data)}: an element runs past them",
                path=path,
                name=name,
                offset=offset,
            )
        computed = extend(computed, struct.pack("<Q", length))
        computed = extend(computed, data[start:stop])
        at = stop + _CHECKSUM_NBYTES
        stored = unmask(int.from_bytes(data[stop:at], "little"))
        if stored != computed:
            raise checksum_error(path, (offset + start, length), stored, computed)
        computed = extend(computed, data[stop:at])
    if at != len(data):
        raise CorruptCheckpointError(
            f"bytes {offset} to {offset + len(data)}: elements end at {offset + at}",
            path=path,
            name=name,
            offset=offset,
        )
    if record.crc32c is not None and computed != record.crc32c:
        raise checksum_error(path, (offset, len(data)), record.crc32c, computed)
