"""The protobuf wire format: the fields of a message, one after the other.

    field   tag varint = number << 3 | wire type, then the value:
    0       varint                       1   8 bytes, little-endian
    2       varint length, that many bytes   5   4 bytes, little-endian
    3, 4    groups: in none of the messages here, refused
    varint  7 bits per byte, least significant first, high bit = more follow,
            at most 10 bytes; taken modulo 2**64

Nothing is copied: a length-delimited value comes as its place in the buffer, and
its fields with `iter_fields(buffer, *value)`. A known field number under another
wire type is an unknown field, as in protobuf itself: compare both. Errors name the
byte counted from the start of the buffer; callers add the file.

Reference: protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ckread.errors import CorruptCheckpointError, TruncatedFileError
from ckread.readers.budget import over
from ckread.readers.contract import DATA_TYPES, DataType
from ckread.readers.crc32c import unmask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.files import RegularFile


VARINT: Final = 0
FIXED64: Final = 1
LENGTH_DELIMITED: Final = 2
FIXED32: Final = 5

MAX_FIELD_NUMBER = (1 << 29) - 1

MAX_PARTS = 1 << 19
"""Parts of a message that are listed at once: two bytes each in the file, hundreds in memory.

Object graphs have thousands of nodes, of a hundred thousand variables four times as many.
"""

Span = tuple[int, int]
"""Start and stop of a length-delimited value in the buffer."""


def iter_fields(
    buffer: bytes, start: int = 0, stop: int | None = None
) -> Iterator[tuple[int, int, Any]]:
    """Yield `(field number, wire type, value)` of the message in `buffer[start:stop]`.

    The value is an int for wire types 0 (unsigned 64 bits: see `signed`), 1
    and 5 (the bits, unsigned), and a `Span` for wire type 2.
    """
    stop = len(buffer) if stop is None else stop
    while start < stop:
        tag = buffer[start]
        if tag < 0x80:
            at = start + 1
        else:
            tag, at = parse_varint(buffer, start, stop)
        number = tag >> 3
        wire_type = tag & 7
        if not 0 < number <= MAX_FIELD_NUMBER:
            message = f"field number {number} at byte {start}, expected 1 to {MAX_FIELD_NUMBER}"
            raise CorruptCheckpointError(message, offset=start)
        if wire_type == LENGTH_DELIMITED:
            length, at = parse_varint(buffer, at, stop)
            if length > stop - at:
                raise _past_end(start, at + length, stop)
            yield number, wire_type, (at, at + length)
            start = at + length
        elif wire_type == VARINT:
            value, start = parse_varint(buffer, at, stop)
            yield number, wire_type, value
        elif wire_type in (FIXED64, FIXED32):
            start = at + (8 if wire_type == FIXED64 else 4)
            if start > stop:
                raise _past_end(at, start, stop)
            yield number, wire_type, int.from_bytes(buffer[at:start], "little")
        else:
            message = f"wire type {wire_type} at byte {start}, expected 0, 1, 2 or 5"
            raise CorruptCheckpointError(message, offset=start)


def length_delimited(buffer: bytes, start: int, stop: int) -> list[tuple[int, int, int]]:
    """Give `(tag, start, stop)` of every length-delimited field, the others left out.

    As `iter_fields`, twice as fast, for messages of a hundred thousand parts.
    """
    spans: list[tuple[int, int, int]] = []
    first = start
    while start < stop:
        tag = buffer[start]
        if tag & 7 != LENGTH_DELIMITED or not 7 < tag < 0x80 or start + 2 > stop:
            fields = iter_fields(buffer, first, stop)
            parts = (
                (number << 3 | wire_type, *value)
                for number, wire_type, value in fields
                if wire_type == LENGTH_DELIMITED
            )
            spans = list(islice(parts, MAX_PARTS + 1))
            break
        length = buffer[start + 1]
        at = start + 2
        if length > 0x7F:
            length &= 0x7F
            if at < stop and buffer[at] < 0x80:
                length |= buffer[at] << 7
                at += 1
            else:
                length, at = parse_varint(buffer, start + 1, stop)
        end = at + length
        if end > stop:
            raise _past_end(start, end, stop)
        spans.append((tag, at, end))
        if len(spans) > MAX_PARTS:
            break
        start = end
    if len(spans) > MAX_PARTS:
        raise over(MAX_PARTS, "parts in a message", offset=first)
    return spans


def parse_text(buffer: bytes, span: Span) -> str:
    """Give the text at `span`; bytes that are not UTF-8 become surrogate escapes."""
    return buffer[span[0] : span[1]].decode("utf-8", "surrogateescape")


def parse_varints(buffer: bytes, wire_type: int, value: Any) -> list[int]:
    """Give the varints of one occurrence of a repeated field, packed or not."""
    if wire_type == VARINT:
        return [value]
    if wire_type != LENGTH_DELIMITED:
        return []
    at, stop = value
    values = []
    while at < stop:
        item, at = parse_varint(buffer, at, stop)
        values.append(item)
    return values


def _past_end(start: int, end: int, stop: int) -> TruncatedFileError:
    message = f"field at byte {start} ends at byte {end}, its message at byte {stop}"
    return TruncatedFileError(message, offset=start)


MAX_VARINT_NBYTES = 10
_U64 = (1 << 64) - 1


def parse_varint(buffer: bytes, position: int, stop: int) -> tuple[int, int]:
    """Give the unsigned 64-bit varint at `position`, and the position after it."""
    value = shift = 0
    for at in range(position, min(stop, position + MAX_VARINT_NBYTES)):
        byte = buffer[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _U64, at + 1
        shift += 7
    if shift == 7 * MAX_VARINT_NBYTES:
        message = f"varint at byte {position} has more than {MAX_VARINT_NBYTES} bytes"
        raise CorruptCheckpointError(message, offset=position)
    message = f"varint at byte {position} runs past the end at byte {stop}"
    raise TruncatedFileError(message, offset=position)


def signed(value: int) -> int:
    """Give the int64 whose two's complement is the unsigned `value`."""
    return value - (1 << 64) if value >> 63 else value


def signed32(value: int) -> int:
    """Give the int32 in the low half of `value`, as protobuf truncates."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


# A protobuf file that is too large to be read whole. A graph of 100 MB is one field of its
# message: its place is noted and it is skipped with a seek. What is small is read through
# one block that moves along the file.

BLOCK_NBYTES = 256 * 1024
MAX_MESSAGE_NBYTES = 64 << 20
_HEAD_NBYTES = 20
_FIXED = {FIXED64: 8, FIXED32: 4}


class FieldStream:
    """A file of protobuf messages."""

    def __init__(self, file: RegularFile) -> None:
        self.name: str = file.name
        self.path: str = file.path
        self.nbytes: int = file.nbytes
        self._file = file
        self._block = b""
        self._start = 0

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, int, Any]]:
        """Yield `(field number, wire type, value)` of the message in bytes `start` to `stop`.

        The value is an int, or the `Span` of wire type 2 in the file.
        """
        while start < stop:
            end = min(stop, start + _HEAD_NBYTES)
            if not self._start <= start < end <= self._start + len(self._block):
                self._move(start)
            head = self._block[start - self._start : end - self._start]
            try:
                tag, at = parse_varint(head, 0, len(head))
                number, wire_type = tag >> 3, tag & 7
                value: Any = 0
                if wire_type in (VARINT, LENGTH_DELIMITED):
                    value, at = parse_varint(head, at, len(head))
            except CorruptCheckpointError:
                raise self.corrupt("no field", offset=start) from None
            nbytes = _FIXED.get(wire_type, value if wire_type == LENGTH_DELIMITED else 0)
            if not 0 < number <= MAX_FIELD_NUMBER or wire_type not in (0, 1, 2, 5):
                raise self.corrupt("no field", offset=start)
            begin, start = start + at, start + at + nbytes
            if start > stop:
                raise self._past_end(begin - at, start, stop)
            yield number, wire_type, (begin, start) if nbytes or wire_type == 2 else value

    def take(self, span: Span, what: str) -> bytes:
        """Give the bytes of a field."""
        start, stop = span
        if stop - start > MAX_MESSAGE_NBYTES:
            error = over(MAX_MESSAGE_NBYTES, "bytes", stop - start, what=what)
            raise self.corrupt(error.told, offset=start, remedy=error.remedy)
        if stop - start > BLOCK_NBYTES:
            return self._file.pread(start, stop - start)
        if not self._start <= start <= stop <= self._start + len(self._block):
            self._move(start)
        return self._block[start - self._start : stop - self._start]

    def corrupt(self, found: str, *, offset: int, **told: Any) -> CorruptCheckpointError:
        """Give the error for what is found at a place of the file."""
        told |= {"path": self.path, "name": self.name, "place": f"byte {offset}"}
        return CorruptCheckpointError(found, offset=offset, **told)

    def _move(self, start: int) -> None:
        self._block = self._file.pread(start, min(BLOCK_NBYTES, self.nbytes - start))
        self._start = start

    def _past_end(self, start: int, end: int, stop: int) -> TruncatedFileError:
        found = f"a field that ends at byte {end}, its message ends at byte {stop}"
        return TruncatedFileError(
            found, path=self.path, name=self.name, place=f"byte {start}", offset=start
        )


# The messages of a tensor bundle and of its object graph, decoded by hand.
#
#     BundleHeaderProto   1 num_shards, 2 endianness (0 little, 1 big),
#                         3 VersionDef {1 producer, 2 min_consumer, 3 bad_consumers}
#     BundleEntryProto    1 dtype, 2 TensorShapeProto, 3 shard_id, 4 offset, 5 size,
#                         6 crc32c fixed32 (masked), 7 repeated TensorSliceProto
#     TensorShapeProto    2 repeated Dim {1 size, 2 name}, 3 unknown_rank
#     TensorSliceProto    1 repeated Extent {1 start, 2 length}; no length: the whole
#
# Fields that are absent are zero; unknown fields are skipped; of a scalar that
# comes twice the last holds, messages that come twice merge.
#
# Reference: tensorflow/core/protobuf/tensor_bundle.proto,
# tensorflow/core/framework/{tensor_shape,tensor_slice,versions}.proto


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


class BundleHeader(NamedTuple):
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
        raise over(MAX_RANK, "dimensions", len(shape), what="shape")
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
