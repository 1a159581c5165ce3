"""The index of a tensor bundle: a table of the header and one entry per tensor.

    ""            BundleHeaderProto
    name          BundleEntryProto: where a tensor lies, or into what it is sliced
    00 ...        BundleEntryProto of one slice, under a key of `slices`

A partitioned tensor has an entry that names its slices, and every slice has one of
its own, which no listing shows.

Reference: tensorflow/core/util/tensor_bundle/tensor_bundle.h
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CheckpointError, CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.contract import (
    DataType,
    FileIdentity,
    TensorColumns,
    TensorRecord,
    no_garbage_collection,
    shown,
)
from ckread.readers.crc32c import MASK_DELTA, unmask
from ckread.readers.files import RegularFile
from ckread.readers.protobuf import (
    SLICE_NBYTES,
    BundleEntry,
    BundleHeader,
    TensorShape,
    TensorSlice,
    parse_bundle_entry,
    parse_bundle_header,
)
from ckread.readers.slices import slice_key
from ckread.readers.table import DAMAGED, Table

if TYPE_CHECKING:
    from array import array
    from collections.abc import ItemsView, Iterable, Iterator, ValuesView


VERSION = 1
"""Of the format that is read here, the only one there is."""

MAX_SHARDS = 1 << 17


class Part(NamedTuple):
    """One slice of a partitioned tensor, and its own entry where there is one."""

    tensor_slice: TensorSlice
    entry: BundleEntry | None


class AlikeTensors(Mapping[str, TensorRecord]):
    """What an index lists that is like one that was parsed, made when it is asked for.

    Attributes:
        original: what that one lists: the same in all but checksums.
        shards: in which something lies.
    """

    __slots__ = ("_checksums", "_places", "original", "shards")

    def __init__(
        self,
        original: dict[str, TensorRecord],
        shards: frozenset[int],
        places: dict[str, int],
        masked: array[int],
    ) -> None:
        self.original: dict[str, TensorRecord] = original
        self.shards: frozenset[int] = shards
        self._places = places
        self._checksums = masked

    def __getitem__(self, key: str) -> TensorRecord:
        """Give one record."""
        record = self.original[key]
        at = self._places.get(key)
        if at is None:
            return record
        fields = (*record[:4], unmask(self._checksums[at]), *record[5:])
        return tuple.__new__(TensorRecord, fields)  # what TensorRecord(...) calls

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self.original)

    def __len__(self) -> int:
        """Count the tensors."""
        return len(self.original)

    def values(self) -> ValuesView[TensorRecord]:
        """Give all records."""
        return self._all().values()

    def items(self) -> ItemsView[str, TensorRecord]:
        """Give keys and records."""
        return self._all().items()

    def checksums(self) -> dict[str, int | None]:
        """Give the checksum of each, by its key."""
        masked, found = self._checksums, {}
        if len(self._places) < len(self.original):
            found = {key: record.crc32c for key, record in self.original.items()}
        for key, at in self._places.items():
            turned = masked[at] - MASK_DELTA & 0xFFFFFFFF  # as `unmask`, without the call
            found[key] = (turned >> 17 | turned << 15) & 0xFFFFFFFF
        return found

    def _all(self) -> dict[str, TensorRecord]:
        make_record = tuple.__new__  # what TensorRecord(...) calls, without the call
        checksums = self.checksums()
        return {
            key: make_record(TensorRecord, (*record[:4], checksums[key], *record[5:]))
            for key, record in self.original.items()
        }


class BundleIndex(NamedTuple):
    """What an index says; one moment of a file that may be written to.

    Attributes:
        path: the `.index` file.
        identity: of the file that was read.
        header: of the bundle.
        tensors: records by key, in the order of the file; slices are not among them.
        parts: slices of partitioned tensors, by key.
        unknown_dtypes: numbers of element types that no release knows, by key.
        n_blocks: data blocks of the table.
    """

    path: str
    identity: FileIdentity
    header: BundleHeader
    tensors: Mapping[str, TensorRecord]
    parts: dict[str, tuple[Part, ...]]
    unknown_dtypes: dict[str, int]
    n_blocks: int


def shards_in(index: BundleIndex) -> frozenset[int]:
    """Give the shards in which something lies."""
    if isinstance(index.tensors, AlikeTensors):
        return index.tensors.shards
    if isinstance(index.tensors, TensorColumns):
        return frozenset(index.tensors.shard.tolist())
    used = {record.shard for record in index.tensors.values() if record.shard is not None}
    for parts in index.parts.values():
        used.update(part.entry.shard_id for part in parts if part.entry is not None)
    return frozenset(used)


def read_bundle_index(path: str) -> BundleIndex:
    """Read an index, each block of it verified."""
    with RegularFile(path) as file:
        return parse_bundle_index(file)


def parse_bundle_index(file: RegularFile) -> BundleIndex:
    """Read an index from an open file."""
    file.expect([(0, file.nbytes)])
    with no_garbage_collection():
        table = Table(file)
        items = table.items()
        parser = EntryParser(table.memory)
        try:
            header = parse_header(*next(items, (None, b"")))
            parser.feed(items)
        except CheckpointError as error:
            if error.path is not None:  # the table's own, which name the file
                raise
            remedy = DAMAGED if isinstance(error, CorruptCheckpointError) else None
            raise error.within(path=file.path, remedy=error.remedy or remedy) from None
        tensors, parts = _join_slices(parser)
        return BundleIndex(
            file.path, file.identity, header, tensors, parts, parser.unknown_dtypes, table.n_blocks
        )


def parse_header(key: bytes | None, value: bytes) -> BundleHeader:
    """Decode and check the first entry of an index."""
    if key != b"":
        found = "no entries" if key is None else f"first key {key[:80]!r}"
        raise CorruptCheckpointError(f"header: {found}, expected the empty key")
    header = parse_bundle_header(value)
    if not 1 <= header.num_shards <= MAX_SHARDS:
        found = f"num_shards {header.num_shards}, expected 1 to {MAX_SHARDS}"
        raise CorruptCheckpointError(f"header: {found}")
    if header.producer < 0:
        raise CorruptCheckpointError(f"header: producer {header.producer}, expected 0 or more")
    if header.min_consumer > VERSION:
        wanted = f"min_consumer {header.min_consumer}, this reader is version {VERSION}"
        raise UnsupportedFeatureError(f"header: {wanted}", remedy=_NEWER)
    if VERSION in header.bad_consumers:
        refused = f"bad_consumers has {VERSION}, the version of this reader"
        raise UnsupportedFeatureError(f"header: {refused}", remedy=_NEWER)
    return header


_NEWER = "The writer of this checkpoint wants another version of the reader."


def _join_slices(
    parser: EntryParser,
) -> tuple[dict[str, TensorRecord], dict[str, tuple[Part, ...]]]:
    """Give all tensors and the parts of partitioned ones, slices hidden among them."""
    if not parser.partitioned and not parser.nul_entries:
        return parser.tensors, {}
    parts: dict[str, tuple[Part, ...]] = {}
    hidden: set[bytes] = set()
    for key, entry in parser.partitioned.items():
        stored_key = key.encode("utf-8", "surrogateescape")
        keys = [slice_key(stored_key, piece) for piece in entry.slices]
        hidden.update(keys)
        parts[key] = tuple(
            Part(piece, parser.nul_entries.get(of_slice))
            for piece, of_slice in zip(entry.slices, keys, strict=True)
        )
        parser.tensors[key] = _partitioned_record(key, entry, parts[key])
    ordinary = {
        key: record_of(key, entry)
        for stored_key, entry in parser.nul_entries.items()
        if stored_key not in hidden
        for key in [stored_key.decode("utf-8", "surrogateescape")]
    }
    return {**ordinary, **parser.tensors}, parts


def _partitioned_record(key: str, entry: BundleEntry, parts: tuple[Part, ...]) -> TensorRecord:
    found = [part.entry for part in parts if part.entry is not None]
    shards = {part.shard_id for part in found}
    in_one = len(shards) == 1
    return TensorRecord(
        key,
        entry.dtype,
        entry.shape,
        nbytes=sum(part.size for part in found),
        crc32c=None,
        shard=shards.pop() if in_one else None,
        offset=min(part.offset for part in found) if in_one else None,
    )


# Entries to records, fast: 100,000 in a quarter of a second.
#
#     08 dtype | 12 n shape | 18 shard | 20 offset | 28 size | 35 crc32c
#
# Nearly all entries have this form: tags in order, zero fields left out, the size
# that of type and shape. Types and shapes repeat, so their bytes are looked up and
# with them the bytes of the size, which need only be compared. Any other entry goes
# the long way, `messages.parse_bundle_entry`, which gives the same.

Head = tuple[DataType, TensorShape, int, int, bytes | None]
"""Type, shape, bytes in which these are stored, bytes of the values, and the stored
field of the latter with the tag of the checksum that follows it (None: nothing)."""

SHARD_TAG, OFFSET_TAG = 0x18, 0x20
RECORD_NBYTES = 400


class EntryParser:
    """Sorts the entries of an index into tensors, partitioned tensors and slices.

    Attributes:
        tensors: records by key; those of partitioned tensors without a place.
        partitioned: entries of partitioned tensors, by key.
        nul_entries: entries under keys that begin with NUL: slices, as a rule.
        unknown_dtypes: numbers of element types that no release knows, by key.
    """

    def __init__(self, memory: int) -> None:
        """Start with nothing; keys and records may take `memory` bytes, roughly."""
        self.tensors: dict[str, TensorRecord] = {}
        self.partitioned: dict[str, BundleEntry] = {}
        self.nul_entries: dict[bytes, BundleEntry] = {}
        self.unknown_dtypes: dict[str, int] = {}
        self._memory = memory
        self._slice_memory = memory
        self._heads: dict[bytes, Head] = {}

    def feed(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Take keys and their entries in."""
        memory = self._memory
        heads = self._heads
        tensors = self.tensors
        from_bytes = int.from_bytes
        make_record = tuple.__new__  # what TensorRecord(...) calls, without the call
        for stored_key, value in items:
            memory -= len(stored_key) + RECORD_NBYTES
            if memory < 0:
                raise _too_much(len(tensors))
            try:
                prefix = value[: value[3] + 4]
                head = heads.get(prefix)
                if head is None:
                    head = heads[prefix] = parse_head(prefix)
                dtype, shape, at, nbytes, size_field = head
                shard = offset = 0
                if value[at] == SHARD_TAG:
                    shard = value[at + 1]
                    at += 2
                if value[at] == OFFSET_TAG:
                    byte = value[at + 1]
                    offset = byte & 0x7F
                    at += 2
                    shift = 7
                    while byte > 0x7F:
                        byte = value[at]
                        offset |= (byte & 0x7F) << shift
                        at += 1
                        shift += 7
                    if shift > 63:  # negative, or no varint
                        shard = 0x80
            except IndexError:
                self._add_slowly(stored_key, value)
                continue
            if shard > 0x7F or value[at:-4] != size_field or stored_key[0] == 0:
                self._add_slowly(stored_key, value)
                continue
            masked = from_bytes(value[-4:], "little") - MASK_DELTA & 0xFFFFFFFF
            key = stored_key.decode("utf-8", "surrogateescape")
            crc32c = (masked >> 17 | masked << 15) & 0xFFFFFFFF
            fields = (key, dtype, shape, nbytes, crc32c, shard, offset)
            tensors[key] = make_record(TensorRecord, fields)

    def _add_slowly(self, stored_key: bytes, value: bytes) -> None:
        key = stored_key.decode("utf-8", "surrogateescape")
        try:
            entry = parse_bundle_entry(value)
            _check_place(entry)
        except CorruptCheckpointError as error:
            raise CorruptCheckpointError.of(error).within(f"entry {shown(key)}") from None
        if entry.dtype is DataType.UNKNOWN:
            self.unknown_dtypes[key] = entry.dtype_number
        if entry.slices:
            self._slice_memory -= SLICE_NBYTES * len(entry.slices)
            if self._slice_memory < 0:
                raise _too_much(len(self.tensors))
            self.partitioned[key] = entry
        if stored_key[0] == 0 and not entry.slices:
            self.nul_entries[stored_key] = entry
        else:
            self.tensors[key] = record_of(key, entry)


def record_of(key: str, entry: BundleEntry) -> TensorRecord:
    """Give the record of an entry."""
    return TensorRecord(
        key, entry.dtype, entry.shape, entry.size, entry.crc32c, entry.shard_id, entry.offset
    )


def ends_in_checksum(value: bytes, record: TensorRecord) -> bool:
    """Tell whether the stored entry of a tensor has the usual form, so that its end is known."""
    if len(value) < 4 or not record.dtype.is_plain or (record.shard or 0) > 0x7F:
        return False
    prefix = value[: value[3] + 4]
    dtype, shape, at, _, size_field = parse_head(prefix)
    if size_field is None or (dtype, shape) != record[1:3]:
        return False
    shard = bytes((SHARD_TAG, record.shard)) if record.shard else b""
    offset = bytes((OFFSET_TAG,)) + _varint(record.offset) if record.offset else b""
    return value[at:-4] == shard + offset + size_field


def _check_place(entry: BundleEntry) -> None:
    for field in ("shard_id", "offset", "size"):
        number = getattr(entry, field)
        if number < 0:
            raise CorruptCheckpointError(f"{field} {number}, expected 0 or more")


def parse_head(prefix: bytes) -> Head:
    """Decode the bytes up to the shape; what nothing matches unless they are the usual."""
    unusual = DataType.UNKNOWN, (), len(prefix), 0, None
    if len(prefix) < 4 or len(prefix) != prefix[3] + 4 or not prefix[:4].isascii():
        return unusual
    if prefix[0] != 0x08 or prefix[2] != 0x12:
        return unusual
    try:
        entry = parse_bundle_entry(prefix)
    except CorruptCheckpointError:
        return unusual
    if entry.dtype is DataType.UNKNOWN:
        return unusual
    nbytes = math.prod(entry.shape) * entry.dtype.itemsize
    size = b"\x28" + _varint(nbytes) if nbytes else b""
    return entry.dtype, entry.shape, len(prefix), nbytes, size + b"\x35"


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*data, value))


def _too_much(n_entries: int) -> CorruptCheckpointError:
    found = f"{n_entries} entries and more, with keys too long for its size"
    return CorruptCheckpointError(found)
