"""The messages of a tensor bundle and of its object graph, decoded by hand.

    BundleHeaderProto   1 num_shards, 2 endianness (0 little, 1 big),
                        3 VersionDef {1 producer, 2 min_consumer, 3 bad_consumers}
    BundleEntryProto    1 dtype, 2 TensorShapeProto, 3 shard_id, 4 offset, 5 size,
                        6 crc32c fixed32 (masked), 7 repeated TensorSliceProto
    TensorShapeProto    2 repeated Dim {1 size, 2 name}, 3 unknown_rank
    TensorSliceProto    1 repeated Extent {1 start, 2 length}; no length: the whole

Fields that are absent are zero; unknown fields are skipped; of a scalar that
comes twice the last holds, messages that come twice merge.

Reference: tensorflow/core/protobuf/tensor_bundle.proto,
tensorflow/core/framework/{tensor_shape,tensor_slice,versions}.proto
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ckread.errors import CorruptCheckpointError
from ckread.readers.crc32c import unmask
from ckread.readers.dtypes import DATA_TYPES, DataType
from ckread.readers.protobuf import (
    FIXED32,
    LENGTH_DELIMITED,
    VARINT,
    Span,
    iter_fields,
    parse_varints,
    signed,
    signed32,
)

MAX_RANK = 254
"""Of a tensor in TensorFlow."""

MAX_ELEMENTS = (1 << 63) - 1

MAX_SLICES = 1 << 16
"""Of one tensor: each is four bytes of an index, and two hundred of memory."""
SLICE_NBYTES = 200
"""Of memory that one of them takes, roughly."""

MAX_ENTRY_NBYTES, MAX_HEADER_NBYTES = 1 << 22, 1 << 16

TensorShape = tuple[int, ...]
"""Size of each dimension."""

TensorSlice = tuple[tuple[int, int | None], ...]
"""Start and length per dimension; the length is None for the whole dimension."""


@dataclass(frozen=True, slots=True)
class BundleHeader:
    """What the first entry of an index says of the whole bundle.

    Attributes:
        num_shards: number of data shards, also of those that are absent.
        big_endian: whether tensor data are stored in network order.
        producer: version of the format it was written in.
        min_consumer: lowest version of a reader that understands it.
        bad_consumers: versions of readers that must not read it.
    """

    num_shards: int
    big_endian: bool
    producer: int
    min_consumer: int
    bad_consumers: tuple[int, ...]


class BundleEntry(NamedTuple):
    """One entry of an index: a tensor, one slice of it, or where its slices are.

    Attributes:
        dtype: element type; `UNKNOWN` for a number that no release knows.
        shape: of the whole tensor, or of the slice.
        shard_id: number of the data shard.
        offset: first byte in the shard.
        size: bytes in the shard.
        crc32c: unmasked CRC-32C of these bytes.
        slices: of a partitioned tensor; its own entry then has no bytes.
        dtype_number: the number as stored.
    """

    dtype: DataType
    shape: TensorShape
    shard_id: int
    offset: int
    size: int
    crc32c: int
    slices: tuple[TensorSlice, ...]
    dtype_number: int


def parse_bundle_header(buffer: bytes) -> BundleHeader:
    """Decode a BundleHeaderProto."""
    check_count(len(buffer), MAX_HEADER_NBYTES, "bytes of header")
    num_shards = endianness = producer = min_consumer = 0
    bad_consumers: list[int] = []
    for number, wire_type, value in iter_fields(buffer):
        if number == 1 and wire_type == VARINT:
            num_shards = signed32(value)
        elif number == 2 and wire_type == VARINT:
            endianness = signed32(value)
        elif number == 3 and wire_type == LENGTH_DELIMITED:
            for inner, inner_type, item in iter_fields(buffer, *value):
                if inner == 1 and inner_type == VARINT:
                    producer = signed32(item)
                elif inner == 2 and inner_type == VARINT:
                    min_consumer = signed32(item)
                elif inner == 3:
                    bad_consumers += map(signed32, parse_varints(buffer, inner_type, item))
    return BundleHeader(num_shards, endianness == 1, producer, min_consumer, tuple(bad_consumers))


def parse_bundle_entry(buffer: bytes) -> BundleEntry:
    """Decode a BundleEntryProto."""
    check_count(len(buffer), MAX_ENTRY_NBYTES, "bytes")
    dtype_number = shard_id = offset = size = masked = 0
    shape: TensorShape = ()
    slices: list[TensorSlice] = []
    for number, wire_type, value in iter_fields(buffer):
        if wire_type == VARINT:
            if number == 1:
                dtype_number = signed32(value)
            elif number == 3:
                shard_id = signed32(value)
            elif number == 4:
                offset = signed(value)
            elif number == 5:
                size = signed(value)
        elif wire_type == LENGTH_DELIMITED:
            if number == 2:
                shape = checked_shape(shape + parse_tensor_shape(buffer, value))
            elif number == 7:
                slices.append(parse_tensor_slice(buffer, value))
                check_count(len(slices), MAX_SLICES, "slices and more")
        elif wire_type == FIXED32 and number == 6:
            masked = value
    dtype = DATA_TYPES.get(dtype_number, DataType.UNKNOWN)
    crc = unmask(masked)
    return BundleEntry(dtype, shape, shard_id, offset, size, crc, tuple(slices), dtype_number)


def check_count(count: int, most: int, what: str) -> None:
    """Check a number of things that no writer makes more of."""
    if count > most:
        raise CorruptCheckpointError(f"{count} {what}, expected {most} at most")


def parse_tensor_shape(buffer: bytes, span: Span | None = None) -> TensorShape:
    """Decode a TensorShapeProto; an unknown rank, never written, reads as a scalar."""
    sizes = []
    for number, wire_type, value in iter_fields(buffer, *(span or ())):
        if number == 2 and wire_type == LENGTH_DELIMITED:
            size = 0
            for inner, inner_type, item in iter_fields(buffer, *value):
                if inner == 1 and inner_type == VARINT:
                    size = signed(item)
            sizes.append(size)
            if len(sizes) > MAX_RANK:
                break  # told by what follows
    return checked_shape(tuple(sizes))


def checked_shape(shape: TensorShape) -> TensorShape:
    """Give `shape` back if a tensor can have it."""
    if len(shape) > MAX_RANK:
        raise CorruptCheckpointError(
            f"shape of {len(shape)} dimensions, expected {MAX_RANK} at most"
        )
    elements = 1
    for size in shape:
        if size < 0:
            raise CorruptCheckpointError(f"dimension of {size} elements, expected 0 or more")
        # A dimension of 0 does not excuse the others: TensorFlow multiplies the rest too.
        elements *= size or 1
    if elements > MAX_ELEMENTS:
        raise CorruptCheckpointError(f"shape of {elements} elements, expected less than 2**63")
    return shape


def parse_tensor_slice(buffer: bytes, span: Span | None = None) -> TensorSlice:
    """Decode a TensorSliceProto."""
    ranges: list[tuple[int, int | None]] = []
    for number, wire_type, value in iter_fields(buffer, *(span or ())):
        if number != 1 or wire_type != LENGTH_DELIMITED:
            continue
        start = 0
        length: int | None = None
        for inner, inner_type, item in iter_fields(buffer, *value):
            if inner == 1 and inner_type == VARINT:
                start = signed(item)
            elif inner == 2 and inner_type == VARINT:
                length = signed(item)
        ranges.append((start, length))
        check_count(len(ranges), MAX_RANK, "dimensions of a slice and more")
    return tuple(ranges)
