"""The object headers of HDF5, first version: blocks of messages, and the attributes in them.

    header    version 1, reserved, number of messages u16, references u32, size u32, 4 pad
    message   type u16, size u16, flags u8, 3 reserved, data; 0x10 names another block

Reference: HDF5 File Format Specification, version 3.0, IV.A.1.a
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers.hdf5_messages import (
    DamagedTextError,
    DeclinedError,
    attribute_name,
    attribute_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.hdf5_messages import Source

ATTRIBUTE = 0x0C
CONTINUATION = 0x10
MAX_HEADER_NBYTES = 16 << 20
_HEADER = struct.Struct("<BBHII4x")
_MESSAGE = struct.Struct("<HHB3x")
_SHARED = 0x02

Messages = list[tuple[int, bytes]]
"""Type and data of each message."""


def check_attribute(source: Source, address: int, name: str) -> None:
    """See that the texts of an attribute are where it says, if its object is a plain one.

    Raises:
        DamagedTextError: one is not.
    """
    try:
        for kind, data in read_messages(source, address):
            if kind == ATTRIBUTE and attribute_name(data) == name:
                attribute_value(data, source)
    except DamagedTextError:
        raise
    except (CheckpointError, DeclinedError, struct.error, IndexError, OverflowError, MemoryError):
        return  # for HDF5's library to judge


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
