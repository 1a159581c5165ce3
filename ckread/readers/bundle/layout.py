"""Where the tensors of a bundle lie: entries of the index, checked, to places in shards.

Everything that an entry claims is checked here before a byte of data is read or
memory is taken for it: the size against type and shape, the shard's number, and
that slices cover the tensor and share nothing. No data file is opened.
"""

from __future__ import annotations

import math
import os
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    UnsupportedFeatureError,
    VariableNotFoundError,
)
from ckread.readers.contract import Extent, shown
from ckread.readers.dtypes import DataType
from ckread.readers.messages import BundleEntry
from ckread.readers.shards import shard_family, shard_path
from ckread.readers.slices import check_partition, region_of, region_shape

if TYPE_CHECKING:
    from ckread.readers.bundle.index import BundleIndex, Part
    from ckread.readers.contract import TensorRecord
    from ckread.readers.slices import Region

Piece = tuple["Region", BundleEntry]
"""A region of a tensor and the entry that says where its bytes lie."""


class BundleLayout:
    """The places that one index gives.

    Attributes:
        prefix: of the checkpoint.
        index: what was read.
    """

    def __init__(self, prefix: str, index: BundleIndex) -> None:
        self.prefix = prefix
        self.index = index
        self._extents: dict[str, tuple[Extent, ...]] = {}
        self._shard_paths: dict[int, str] = {}

    def record(self, key: str) -> TensorRecord:
        """Give the record of a tensor.

        Raises:
            VariableNotFoundError: there is none of this key.
        """
        try:
            return self.index.tensors[key]
        except KeyError:
            raise VariableNotFoundError(f"no tensor {shown(key)}", path=self.prefix) from None

    def entry(self, key: str) -> BundleEntry:
        """Give the entry of a tensor as it is stored, its slices included.

        Raises:
            VariableNotFoundError: there is none of this key.
        """
        record = self.record(key)
        number = self.index.unknown_dtypes.get(key, record.dtype.number)
        parts = self.index.parts.get(key)
        if parts is not None:
            slices = tuple(part.tensor_slice for part in parts)
            return BundleEntry(record.dtype, record.shape, 0, 0, 0, 0, slices, number)
        place = record.shard or 0, record.offset or 0, record.nbytes, record.crc32c or 0
        return BundleEntry(record.dtype, record.shape, *place, (), number)

    @cached_property
    def num_shards(self) -> int:
        """Number of shards in the names of the files."""
        stated = self.index.header.num_shards
        if os.path.exists(shard_path(self.prefix, min(self.used_shards, default=0), stated)):
            return stated
        return shard_family(self.prefix, stated, self.used_shards)

    @cached_property
    def used_shards(self) -> set[int]:
        """The shards in which something lies."""
        used = {record.shard for record in self.index.tensors.values() if record.shard is not None}
        for parts in self.index.parts.values():
            used.update(part.entry.shard_id for part in parts if part.entry is not None)
        return used

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be decided, one sentence each."""
        stated = self.index.header.num_shards
        if self.num_shards == stated:
            return ()
        wanted = os.path.basename(shard_path(self.prefix, 0, stated))
        found = os.path.basename(shard_path(self.prefix, 0, self.num_shards))
        return (f"The header says {stated} shards, as in {wanted}; read is {found}.",)

    def shard_path(self, shard_id: int) -> str:
        """Give the path of a data shard."""
        path = self._shard_paths.get(shard_id)
        if path is None:
            path = shard_path(self.prefix, shard_id, self.num_shards)
            self._shard_paths[shard_id] = path
        return path

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where a tensor's plain bytes lie; None if it has none.

        Raises:
            VariableNotFoundError: there is no such tensor.
            CorruptCheckpointError: its entry, or one of its slices', is impossible.
        """
        record = self.record(key)
        if not record.dtype.is_plain:
            return None
        whole = self._whole(record)
        if whole is not None:
            return (whole,)
        known = self._extents.get(key)
        if known is None:
            known = tuple(self._extent(region, entry) for region, entry in self.pieces(key))
            if len(known) > 1:
                self._extents[key] = known
        return known

    def _whole(self, record: TensorRecord) -> Extent | None:
        """Give the extent of a tensor in one piece; None if it is in slices or not possible."""
        _, dtype, shape, nbytes, crc32c, shard, offset = record
        header = self.index.header
        if crc32c is None or shard is None or offset is None or shard >= header.num_shards:
            return None
        if nbytes != math.prod(shape) * dtype.itemsize:
            return None
        path = self.shard_path(shard)
        return Extent(path, offset, nbytes, dtype, header.big_endian, crc32c, _whole_region(shape))

    def _extent(self, region: Region, entry: BundleEntry) -> Extent:
        return Extent(
            path=self.shard_path(entry.shard_id),
            offset=entry.offset,
            nbytes=entry.size,
            dtype=entry.dtype,
            big_endian=self.index.header.big_endian,
            crc32c=entry.crc32c,
            region=region,
        )

    def located(self, error: CheckpointError, key: str) -> CheckpointError:
        """Give an error about an entry with the names of the index and of the tensor."""
        return error.within(shown(key), path=self.index.path)

    def pieces(self, key: str) -> tuple[Piece, ...]:
        """Give the places of a tensor: one, or one per slice.

        Raises:
            CorruptCheckpointError: an entry is impossible, or slices do not fit together.
            UnsupportedFeatureError: it is a variant or a resource, or of an unknown type.
        """
        entry = self.entry(key)
        try:
            _check_readable(entry)
            parts = self.index.parts.get(key)
            if parts is not None:
                return _join(entry, parts, self.index.header.num_shards)
            _check_entry(entry, self.index.header.num_shards)
        except (CorruptCheckpointError, UnsupportedFeatureError) as error:
            raise self.located(error, key) from None
        return ((_whole_region(entry.shape), entry),)


@lru_cache(1024)
def _whole_region(shape: tuple[int, ...]) -> Region:
    return tuple((0, size) for size in shape)


def _check_readable(entry: BundleEntry) -> None:
    if entry.dtype.is_plain or entry.dtype is DataType.STRING:
        return
    if entry.dtype is DataType.UNKNOWN:
        found = f"element type {entry.dtype_number} is not known"
        remedy = "It was written by a newer TensorFlow, or its index is damaged."
        raise UnsupportedFeatureError(found, remedy=remedy)
    found = f"a {entry.dtype} tensor holds no array"
    remedy = "Only the TensorFlow program that wrote it can restore it."
    raise UnsupportedFeatureError(found, remedy=remedy)


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


def _join(entry: BundleEntry, parts: tuple[Part, ...], num_shards: int) -> tuple[Piece, ...]:
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
