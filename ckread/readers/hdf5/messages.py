"""Datatypes, dataspaces and text attributes in the object headers of HDF5.

    dataspace   v1: version, rank, flags, 5 reserved, sizes u64; v2: …, kind, sizes
    datatype    class (low nibble) and version, 3 bytes of bits, size u32, properties
    attribute   v1 to v3: sizes of name, datatype and dataspace, these three, the data
    text        fixed, or u32 length, u64 address of a `GCOL`, u32 index in it

Reference: HDF5 File Format Specification, version 3.0, IV.A.2
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ckread.errors import CheckpointError
from ckread.readers.budget import over
from ckread.readers.contract import DATA_TYPES, DataType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_FIXED, _FLOAT, _STRING, _OPAQUE, _ENUM, _VARIABLE = 0, 1, 3, 5, 8, 9
_INTEGERS = {
    (1, True): DataType.INT8, (2, True): DataType.INT16, (4, True): DataType.INT32,
    (8, True): DataType.INT64, (1, False): DataType.UINT8, (2, False): DataType.UINT16,
    (4, False): DataType.UINT32, (8, False): DataType.UINT64,
}  # fmt: skip
_FLOATS = {
    # bit offset, precision, exponent at and of, mantissa at and of, bias
    struct.pack("<HHBBBBI", 0, 16, 10, 5, 0, 10, 15): DataType.FLOAT16,
    struct.pack("<HHBBBBI", 0, 32, 23, 8, 0, 23, 127): DataType.FLOAT32,
    struct.pack("<HHBBBBI", 0, 64, 52, 11, 0, 52, 1023): DataType.FLOAT64,
}
_LABELLED = {dtype.value: dtype for dtype in DATA_TYPES.values() if dtype.code[:1].isalpha()}
_MAX_TEXTS = 1 << 16
_MAX_TEXT_NBYTES = 64 << 20


class Space(NamedTuple):
    """A dataspace; a null one has no elements at all, not even an empty dimension."""

    shape: tuple[int, ...]
    is_null: bool = False


def parse_space(data: bytes) -> Space:
    """Decode a dataspace."""
    version, rank = data[0], data[1]
    if version == 1:
        return Space(struct.unpack_from(f"<{rank}Q", data, 8))
    if version != 2 or data[3] > 2:
        raise DeclinedError
    return Space(struct.unpack_from(f"<{rank}Q", data, 4), is_null=data[3] == 2)


def element_type(data: bytes, label: str | list[str] | None) -> tuple[DataType, bool]:
    """Give the element type of a dataset, and whether it is big-endian.

    `label` is the attribute `dtype` of the dataset.
    """
    kind, bits = data[0] & 15, data[1]
    [nbytes] = struct.unpack_from("<I", data, 4)
    dtype: DataType | None = None
    if kind == _FIXED and struct.unpack_from("<HH", data, 8) == (0, 8 * nbytes):
        dtype = _INTEGERS.get((nbytes, bool(bits & 8)))
    elif kind == _FLOAT and not bits & 0x40 and data[2] == 8 * nbytes - 1:
        dtype = _FLOATS.get(data[8:20])
    elif kind == _OPAQUE and isinstance(label, str):
        dtype = _LABELLED.get(label)
        bits = 0
    if dtype is None or dtype.itemsize != nbytes:
        raise DeclinedError
    return dtype, bool(bits & 1) and nbytes > 1


def attribute_name(data: bytes) -> str:
    """Give the name of an attribute."""
    [nbytes] = struct.unpack_from("<H", data, 2)
    at = 9 if data[0] == 3 else 8
    return data[at : at + nbytes].split(b"\0")[0].decode(errors="surrogateescape")


def attribute_value(data: bytes, source: Source) -> tuple[str, str | list[str] | None]:
    """Give name and text of an attribute; None in place of what is no text."""
    version = data[0]
    sizes = struct.unpack_from("<HHH", data, 2)
    if version not in (1, 2, 3) or (version > 1 and data[1]):
        raise DeclinedError
    at = 9 if version == 3 else 8
    parts = []
    for nbytes in sizes:
        parts.append(data[at : at + nbytes])
        at += nbytes if version > 1 else -(-nbytes // 8) * 8
    _, kind, space = parts
    text = _texts(kind, parse_space(space), data[at:], source)
    return attribute_name(data), text


def _texts(kind: bytes, space: Space, data: bytes, source: Source) -> str | list[str] | None:
    """Decode texts: one where the dataspace is a scalar, else a list."""
    n_texts = math.prod(space.shape)
    [nbytes] = struct.unpack_from("<I", kind, 4)
    is_variable = kind[0] & 15 == _VARIABLE and kind[1] & 15 == 1
    if kind[0] & 15 != _STRING and not is_variable:
        return None if n_texts else []
    if n_texts > _MAX_TEXTS or n_texts * nbytes > len(data) or space.is_null:
        raise DeclinedError
    if is_variable:
        if nbytes != REFERENCE_NBYTES:
            raise DeclinedError
        heap = GlobalHeap(source, _MAX_TEXT_NBYTES)
        raw = heap.texts(data[: n_texts * nbytes])
    else:
        raw = [data[i * nbytes : (i + 1) * nbytes].rstrip(b"\0") for i in range(n_texts)]
    texts = [text.decode(errors="surrogateescape") for text in raw]
    return texts if space.shape else texts[0]


# The global heap of HDF5, in which texts of variable length lie.
#
#     reference    length u32, address of a collection u64, index of the object in it u32
#     collection   `GCOL`, version 1, 3 reserved, size u64, objects
#     object       index u16, references u16, 4 reserved, size u64, data to a multiple of 8
#
# HDF5's library takes memory for a length before it looks for the text: four gigabytes for
# four wrong bytes. So references are followed here first.
#
# Reference: HDF5 File Format Specification, version 3.0, III.E

REFERENCE_NBYTES = 16
MAX_COLLECTION_NBYTES = 64 << 20
_REFERENCE = struct.Struct("<IQI")
_COLLECTION = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HHIQ")


class DeclinedError(Exception):
    """Something that the plain parser leaves to h5py; never leaves the readers."""


class DamagedTextError(DeclinedError):
    """A reference that is longer than its text, or to more than a file has."""


class Source(Protocol):
    """Where the bytes of a file are read, by their address in it."""

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give bytes of the file."""


BLOCK_NBYTES = 1 << 16
_MAX_BLOCKS = 1024


class Blocks:
    """The bytes of a file, read a block at a time: headers are small and lie close together."""

    def __init__(self, read: Callable[[int, int], bytes], nbytes: int) -> None:
        """Read nothing yet; `read` gives bytes by offset and size, of `nbytes`."""
        self._read = read
        self._nbytes = nbytes
        self._blocks: dict[int, bytes] = {}

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give bytes of the file."""
        number, at = divmod(offset, BLOCK_NBYTES)
        if at + nbytes > BLOCK_NBYTES or offset < 0:
            return self._read(offset, nbytes)
        block = self._blocks.get(number)
        if block is None:
            start = number * BLOCK_NBYTES
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.clear()
            size = max(0, min(BLOCK_NBYTES, self._nbytes - start))
            block = self._blocks[number] = self._read(start, size) if size else b""
        data = block[at : at + nbytes]
        return data if len(data) == nbytes else self._read(offset, nbytes)


class _Collection(NamedTuple):
    """The bytes of a collection, and where its objects lie in them by index."""

    block: bytes
    places: dict[int, tuple[int, int]]


class GlobalHeap:
    """The texts that references lead to; each collection is read once and kept."""

    def __init__(self, source: Source, max_nbytes: int) -> None:
        """Read nothing yet.

        `max_nbytes` bounds all texts together, and all collections, which damage makes overlap.
        """
        self._source = source
        self._max_nbytes = max_nbytes
        self._collections: dict[int, _Collection] = {}
        self._text_nbytes = 0
        self._read_nbytes = 0

    def texts(self, references: bytes) -> list[bytes]:
        """Follow references, one after the other."""
        return [self._text(*fields) for fields in _REFERENCE.iter_unpack(references)]

    def _text(self, length: int, address: int, index: int) -> bytes:
        if not length:
            return b""
        self._text_nbytes += length
        if self._text_nbytes > self._max_nbytes:
            told = over(self._max_nbytes, "bytes of text", self._text_nbytes).told
            raise DamagedTextError(told)
        collection = self._collections.get(address)
        if collection is None:
            collection = self._collections[address] = self._read(address)
        start, nbytes = collection.places.get(index, (0, 0))
        if nbytes < length:
            raise DamagedTextError(f"a text of {length} bytes in {nbytes}")
        return collection.block[start : start + length].partition(b"\0")[0]

    def _read(self, address: int) -> _Collection:
        head = self._source.pread(address, _COLLECTION.size)
        magic, version, nbytes = _COLLECTION.unpack(head)
        if magic != b"GCOL" or version != 1 or not 16 <= nbytes <= MAX_COLLECTION_NBYTES:
            raise DeclinedError
        self._read_nbytes += nbytes
        if self._read_nbytes > 2 * self._max_nbytes + MAX_COLLECTION_NBYTES:
            raise DamagedTextError(f"texts in {self._read_nbytes} bytes of collections")
        block = self._source.pread(address, nbytes)
        places: dict[int, tuple[int, int]] = {}
        at = _COLLECTION.size
        while at + _OBJECT.size <= nbytes:
            index, _, _, size = _OBJECT.unpack_from(block, at)
            at += _OBJECT.size
            if not index:
                break
            if at + size > nbytes:
                raise DeclinedError
            places[index] = (at, size)
            at += -(-size // 8) * 8
        return _Collection(block, places)


# The object headers of HDF5: blocks of messages, and the attributes in them.
#
#     version 1   1, reserved, number of messages u16, references u32, size u32, 4 pad
#       message   type u16, size u16, flags u8, 3 reserved, data; 0x10 names another block
#     version 2   `OHDR`, 2, flags u8, times and limits by flags, size of 1 to 8 bytes,
#                 messages, checksum u32; other blocks are `OCHK`, messages, checksum
#       message   type u8, size u16, flags u8, order u16 by flags of the header, data
#
# Reference: HDF5 File Format Specification, version 3.0, IV.A.1

LAYOUT = 0x08
ATTRIBUTE = 0x0C
CONTINUATION = 0x10
MAX_HEADER_NBYTES = 16 << 20
_HEADER = struct.Struct("<BBHII4x")
_MESSAGE = struct.Struct("<HHB3x")
_SHORT_MESSAGE = struct.Struct("<BHB")
_SHARED, _HARMLESS = 0x02, 0x05  # it is constant, or never to be shared
_HAS_TIMES, _HAS_LIMITS, _HAS_ORDER = 0x20, 0x10, 0x04
_CHECKSUM_NBYTES = 4

Messages = list[tuple[int, bytes]]
Block = tuple[int, int]
"""Place and size."""
"""Type and data of each message."""


def is_sound_attribute(source: Source, address: int, name: str) -> bool:
    """Tell whether the texts of an attribute are where it says, as far as this parser sees."""
    try:
        for kind, data in read_any_messages(source, address):
            if kind == ATTRIBUTE and attribute_name(data) == name:
                attribute_value(data, source)
                return True
    except DamagedTextError:
        raise
    except (CheckpointError, DeclinedError, struct.error, IndexError, OverflowError, MemoryError):
        return False
    return False


def text_attributes(messages: Messages, source: Source) -> dict[str, str | list[str]]:
    """Give those of the attributes among messages that are texts."""
    found = [attribute_value(data, source) for kind, data in messages if kind == ATTRIBUTE]
    return {name: text for name, text in found if text is not None}


def read_messages(source: Source, address: int, doubt: Callable[[bool], object] = bool) -> Messages:
    """Read the messages of the object at an address, all its blocks.

    `doubt` is told whether something is odd that the library might refuse.
    """
    version, _, n_messages, _, nbytes = _HEADER.unpack(source.pread(address, _HEADER.size))
    if version != 1:
        raise DeclinedError
    messages: Messages = []
    for block, blocks in _blocks(source, (address + _HEADER.size, nbytes)):
        at = 0
        while at + _MESSAGE.size <= len(block):
            kind, nbytes, flags = _MESSAGE.unpack_from(block, at)
            at += _MESSAGE.size
            if flags & _SHARED or at + nbytes > len(block) or len(messages) >= n_messages:
                raise DeclinedError
            doubt(bool(flags & ~_HARMLESS or nbytes % 8))
            data = block[at : at + nbytes]
            if kind == CONTINUATION:
                blocks.append(struct.unpack("<QQ", data[:16]))
            messages.append((kind, data))
            at += nbytes
        doubt(at != len(block))
    doubt(len(messages) != n_messages)
    return messages


def _blocks(source: Source, first: Block) -> Iterator[tuple[bytes, list[Block]]]:
    """Yield the blocks of a header, and the list to which a continuation adds."""
    blocks = [first]
    total = 0
    while blocks:
        start, nbytes = blocks.pop(0)
        total += nbytes + 1  # an empty block in a circle of them counts too
        if total > MAX_HEADER_NBYTES:
            raise DeclinedError
        yield source.pread(start, nbytes), blocks


def read_any_messages(source: Source, address: int) -> Messages:
    """Read the messages of an object of either version; the type of what is shared is negative."""
    if source.pread(address, 4) != b"OHDR":
        return read_messages(source, address)
    version, flags = source.pread(address + 4, 2)
    if version != 2:
        raise DeclinedError
    at = address + 6 + 16 * bool(flags & _HAS_TIMES) + 4 * bool(flags & _HAS_LIMITS)
    width = 1 << (flags & 3)
    nbytes = int.from_bytes(source.pread(at, width), "little")
    head_nbytes = _SHORT_MESSAGE.size + (2 if flags & _HAS_ORDER else 0)
    messages: Messages = []
    for block, blocks in _blocks(source, (at + width, nbytes)):
        at = 0
        while at + head_nbytes <= len(block):
            kind, nbytes, flags = _SHORT_MESSAGE.unpack_from(block, at)
            at += head_nbytes
            if at + nbytes > len(block):
                raise DeclinedError
            data = block[at : at + nbytes]
            at += nbytes
            if flags & _SHARED:
                kind = -kind
            elif kind == CONTINUATION:
                where, size = struct.unpack("<QQ", data[:16])
                blocks.append((where + 4, size - 4 - _CHECKSUM_NBYTES))
            messages.append((kind, data))
    return messages


# The objects of an HDF5 file, as listed by either of the two ways to read one.


class Dataset(NamedTuple):
    """One dataset, as listed.

    Attributes:
        path: where it lies in the file, without the leading slash.
        dtype: element type.
        shape: its shape.
        nbytes: bytes it takes in the file.
        offset: first byte in the window, where its elements lie plainly; else None.
        big_endian: whether multi-byte elements are in network order.
        address: what two paths of one dataset share.
    """

    path: str
    dtype: DataType
    shape: tuple[int, ...]
    nbytes: int
    offset: int | None
    big_endian: bool
    address: int


def path_order(path: str) -> list[tuple[int, int, str]]:
    """Sort key: components in order, numbers by value, `vars/2` before `vars/10`."""
    return [
        (0, int(part), "") if part.isdecimal() and len(part) < 10 else (1, 0, part)
        for part in path.split("/")
    ]
