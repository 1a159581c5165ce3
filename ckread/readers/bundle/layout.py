"""Where the tensors of a bundle lie: entries of the index, checked, to places in shards.

Everything that an entry claims is checked here before a byte of data is read or
memory is taken for it: the size against type and shape, the shard's number, and
that slices cover the tensor and share nothing. No data file is opened.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    ErrorKind,
    UnsupportedFeatureError,
)
from ckread.readers.bundle.index import shards_in
from ckread.readers.contract import DataType, Extent, StoredFile, shown
from ckread.readers.extents import shard_family, shard_path
from ckread.readers.files import file_identity, is_file
from ckread.readers.protobuf import BundleEntry
from ckread.readers.slices import check_partition, region_of, region_shape

if TYPE_CHECKING:
    from ckread.readers.bundle.index import BundleIndex, Part
    from ckread.readers.contract import TensorRecord
    from ckread.readers.slices import Region

Piece = tuple["Region", BundleEntry]
"""A region of a tensor and the entry that says where its bytes lie."""


_FEW_SHARDS = 64


class BundleLayout:
    """The places that one index gives."""

    def __init__(self, prefix: str, index: BundleIndex) -> None:
        self.prefix = prefix
        self.index = index
        self._extents: dict[str, tuple[Extent, ...]] = {}
        self._shard_paths: dict[int, str] = {}

    def entry(self, record: TensorRecord) -> BundleEntry:
        """Give the entry of a tensor as it is stored, its slices included."""
        number = self.index.unknown_dtypes.get(record.key, record.dtype.number)
        parts = self.index.parts.get(record.key)
        if parts is not None:
            slices = tuple(part.tensor_slice for part in parts)
            return BundleEntry(record.dtype, record.shape, 0, 0, 0, 0, slices, number)
        place = record.shard or 0, record.offset or 0, record.nbytes, record.crc32c or 0
        return BundleEntry(record.dtype, record.shape, *place, (), number)

    @cached_property
    def num_shards(self) -> int:
        """Number of shards in the names of the files."""
        stated = self.index.header.num_shards
        if is_file(shard_path(self.prefix, min(self.used_shards, default=0), stated)):
            return stated
        return shard_family(self.prefix, stated, self.used_shards)

    @cached_property
    def used_shards(self) -> frozenset[int]:
        """The shards in which something lies."""
        return shards_in(self.index)

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be decided, one sentence each."""
        stated = self.index.header.num_shards
        if self.num_shards == stated:
            return ()
        wanted = os.path.basename(shard_path(self.prefix, 0, stated))
        found = os.path.basename(shard_path(self.prefix, 0, self.num_shards))
        return (f"The header says {stated} shards, as in {wanted}; read is {found}.",)

    def shards(self) -> list[StoredFile]:
        """Give every data shard, absent ones included: of many, by one look at the directory."""
        shards, wanted = list(self._absent), list(range(self.num_shards))
        if self.num_shards > _FEW_SHARDS:
            with suppress(OSError):
                names = os.listdir(os.path.dirname(self.index.path) or os.curdir)
                wanted = [self._numbers[name] for name in names if name in self._numbers]
        for i in wanted:
            identity = file_identity(shards[i].path)
            if identity is not None:
                shards[i] = shards[i]._replace(nbytes=identity.nbytes)
        return shards

    @cached_property
    def _absent(self) -> tuple[StoredFile, ...]:
        return tuple(
            StoredFile(self.shard_path(i), None, is_shard=True) for i in range(self.num_shards)
        )

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {one.path.rpartition("/")[2]: i for i, one in enumerate(self._absent)}

    def shard_path(self, shard_id: int) -> str:
        """Give the path of a data shard."""
        path = self._shard_paths.get(shard_id)
        if path is None:
            path = shard_path(self.prefix, shard_id, self.num_shards)
            self._shard_paths[shard_id] = path
        return path

    def extents(self, record: TensorRecord) -> tuple[Extent, ...] | None:
        """Give where a tensor's plain bytes lie; None if it has none."""
        key, dtype, shape, nbytes, crc32c, shard, offset = record
        if not dtype.is_plain:
            return None
        header = self.index.header
        if crc32c is not None and shard is not None and offset is not None:  # in one piece
            nbytes_expected = math.prod(shape) * dtype.itemsize
            if shard < header.num_shards and nbytes == nbytes_expected:
                place = self.shard_path(shard), offset, nbytes, dtype
                return (Extent(*place, header.big_endian, crc32c, _whole_region(shape)),)
        known = self._extents.get(key)
        if known is None:
            known = tuple(
                Extent(
                    path=self.shard_path(entry.shard_id),
                    offset=entry.offset,
                    nbytes=entry.size,
                    dtype=entry.dtype,
                    big_endian=header.big_endian,
                    crc32c=entry.crc32c,
                    region=region,
                )
                for region, entry in self.pieces(record)
            )
            if len(known) > 1:
                self._extents[key] = known
        return known

    def located(self, error: CheckpointError, key: str) -> CheckpointError:
        """Give an error about an entry with the names of the index and of the tensor."""
        return error.within(shown(key), path=self.index.path)

    def pieces(self, record: TensorRecord) -> tuple[Piece, ...]:
        """Give the places of a tensor, checked: one, or one per slice."""
        entry = self.entry(record)
        num_shards = self.index.header.num_shards
        if not entry.dtype.is_plain and entry.dtype is not DataType.STRING:
            found = f"a {entry.dtype} tensor holds no array"
            remedy = "Only the TensorFlow program that wrote it can restore it."
            if entry.dtype is DataType.UNKNOWN:
                found = f"element type {entry.dtype_number} is not known"
                remedy = "It was written by a newer TensorFlow, or its index is damaged."
            raise self.located(UnsupportedFeatureError(found, remedy=remedy), record.key)
        parts = self.index.parts.get(record.key)
        try:
            if parts is not None:
                return _joined(entry, parts, num_shards)
            _check_entry(entry, num_shards)
        except CorruptCheckpointError as error:
            if parts is not None:
                error = error.within(kind=ErrorKind.SLICES)
            raise self.located(error, record.key) from None
        return ((_whole_region(entry.shape), entry),)


@lru_cache(1024)
def _whole_region(shape: tuple[int, ...]) -> Region:
    return tuple((0, size) for size in shape)


def _check_entry(entry: BundleEntry, num_shards: int) -> None:
    if entry.shard_id >= num_shards:
        raise CorruptCheckpointError(f"shard {entry.shard_id}, expected less than {num_shards}")
    n_elements = math.prod(entry.shape)
    if entry.dtype is DataType.STRING and n_elements > entry.size:
        raise CorruptCheckpointError(f"{n_elements} strings in {entry.size} bytes")
    expected = n_elements * entry.dtype.itemsize
    if entry.dtype.is_plain and entry.size != expected:
        shape = ",".join(map(str, entry.shape))
        found = f"{entry.size} bytes, {entry.dtype} [{shape}] takes {expected}"
        raise CorruptCheckpointError(found)


def _joined(entry: BundleEntry, parts: tuple[Part, ...], num_shards: int) -> tuple[Piece, ...]:
    """Give the checked pieces of a partitioned tensor."""
    pieces = []
    for part in parts:
        region = region_of(part.tensor_slice, entry.shape)
        where = "slice [" + ", ".join(f"{start}:{stop}" for start, stop in region) + "]"
        if part.entry is None:
            raise CorruptCheckpointError(f"{where} has no entry of its own")
        if part.entry.dtype_number != entry.dtype_number:
            found = f"{where} is {part.entry.dtype}, the tensor {entry.dtype}"
            raise CorruptCheckpointError(found)
        if part.entry.shape != region_shape(region):
            found = f"{where} has shape {list(part.entry.shape)}"
            raise CorruptCheckpointError(found)
        try:
            _check_entry(part.entry, num_shards)
        except CorruptCheckpointError as error:
            raise error.within(where) from None
        pieces.append((region, part.entry))
    check_partition([region for region, _ in pieces], entry.shape)
    return tuple(pieces)
