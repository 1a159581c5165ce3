"""The object headers of HDF5: blocks of messages, and the attributes in them.

    version 1   1, reserved, number of messages u16, references u32, size u32, 4 pad
      message   type u16, size u16, flags u8, 3 reserved, data; 0x10 names another block
    version 2   `OHDR`, 2, flags u8, times and limits by flags, size of 1 to 8 bytes,
                messages, checksum u32; other blocks are `OCHK`, messages, checksum
      message   type u8, size u16, flags u8, order u16 by flags of the header, data

Reference: HDF5 File Format Specification, version 3.0, IV.A.1
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers.hdf5_heap import DamagedTextError, DeclinedError
from ckread.readers.hdf5_messages import attribute_name, attribute_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.hdf5_heap import Source

ATTRIBUTE = 0x0C
CONTINUATION = 0x10
MAX_HEADER_NBYTES = 16 << 20
_HEADER = struct.Struct("<BBHII4x")
_MESSAGE = struct.Struct("<HHB3x")
_SHORT_MESSAGE = struct.Struct("<BHB")
_SHARED = 0x02
_HAS_TIMES, _HAS_LIMITS, _HAS_ORDER = 0x20, 0x10, 0x04
_CHECKSUM_NBYTES = 4

Messages = list[tuple[int, bytes]]
"""Type and data of each message."""


def is_sound_attribute(source: Source, address: int, name: str) -> bool:
    """Tell whether the texts of an attribute are where it says, as far as this parser sees.

    Raises:
        DamagedTextError: one is not.
    """
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
    """Give those of the attributes among messages that are texts.

    Raises:
        DeclinedError: one is not plain.
    """
    found = [attribute_value(data, source) for kind, data in messages if kind == ATTRIBUTE]
    return {name: text for name, text in found if text is not None}


def read_messages(source: Source, address: int) -> Messages:
    """Read the messages of the object at an address, all its blocks.

    Raises:
        DeclinedError: its header is of another version, or damaged.
    """
    version, _, n_messages, _, nbytes = _HEADER.unpack(source.pread(address, _HEADER.size))
    if version != 1:
        raise DeclinedError
    blocks = [(address + _HEADER.size, nbytes)]
    messages: Messages = []
    total = 0
    while blocks:
        start, nbytes = blocks.pop(0)
        total += nbytes
        if total > MAX_HEADER_NBYTES:
            raise DeclinedError
        for kind, data in _iter_messages(source.pread(start, nbytes)):
            if len(messages) >= n_messages:
                raise DeclinedError
            if kind == CONTINUATION:
                blocks.append(struct.unpack("<QQ", data[:16]))
            messages.append((kind, data))
    return messages


def _iter_messages(block: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _MESSAGE.size <= len(block):
        kind, nbytes, flags = _MESSAGE.unpack_from(block, at)
        at += _MESSAGE.size
        if flags & _SHARED or at + nbytes > len(block):
            raise DeclinedError
        yield kind, block[at : at + nbytes]
        at += nbytes


def read_any_messages(source: Source, address: int) -> Messages:
    """Read the messages of an object whose header is of either version.

    Raises:
        DeclinedError: it is of neither, or damaged.
    """
    if source.pread(address, 4) != b"OHDR":
        return read_messages(source, address)
    version, flags = source.pread(address + 4, 2)
    if version != 2:
        raise DeclinedError
    at = address + 6 + 16 * bool(flags & _HAS_TIMES) + 4 * bool(flags & _HAS_LIMITS)
    width = 1 << (flags & 3)
    nbytes = int.from_bytes(source.pread(at, width), "little")
    blocks = [(at + width, nbytes)]
    order_nbytes = 2 if flags & _HAS_ORDER else 0
    messages: Messages = []
    total = 0
    while blocks:
        start, nbytes = blocks.pop(0)
        total += nbytes + 1  # an empty block in a circle of them counts too
        if total > MAX_HEADER_NBYTES:
            raise DeclinedError
        for kind, data in _iter_short_messages(source.pread(start, nbytes), order_nbytes):
            if kind == CONTINUATION:
                where, size = struct.unpack("<QQ", data[:16])
                blocks.append((where + 4, size - 4 - _CHECKSUM_NBYTES))
            messages.append((kind, data))
    return messages


def _iter_short_messages(block: bytes, order_nbytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield the messages of a block of version 2; what is shared is left out."""
    at = 0
    while at + _SHORT_MESSAGE.size + order_nbytes <= len(block):
        kind, nbytes, flags = _SHORT_MESSAGE.unpack_from(block, at)
        at += _SHORT_MESSAGE.size + order_nbytes
        if at + nbytes > len(block):
            raise DeclinedError
        if not flags & _SHARED:
            yield kind, block[at : at + nbytes]
        at += nbytes
