"""The global heap of HDF5, in which texts of variable length lie.

    reference    length u32, address of a collection u64, index of the object in it u32
    collection   `GCOL`, version 1, 3 reserved, size u64, objects
    object       index u16, references u16, 4 reserved, size u64, data to a multiple of 8

HDF5's library takes memory for a length before it looks for the text: four gigabytes for
four wrong bytes. So references are followed here first.

Reference: HDF5 File Format Specification, version 3.0, III.E
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Protocol

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


class _Collection(NamedTuple):
    """The bytes of a collection, and where its objects lie in them by index."""

    block: bytes
    places: dict[int, tuple[int, int]]


class GlobalHeap:
    """The texts that references lead to; each collection is read once and kept."""

    def __init__(self, source: Source, max_nbytes: int) -> None:
        """Read nothing yet.

        Args:
            source: the file.
            max_nbytes: what all texts together may have, and all collections, which
                damage makes overlap.
        """
        self._source = source
        self._max_nbytes = max_nbytes
        self._collections: dict[int, _Collection] = {}
        self._text_nbytes = 0
        self._read_nbytes = 0

    def texts(self, references: bytes) -> list[bytes]:
        """Follow references, one after the other.

        Raises:
            DamagedTextError: a text is shorter than its reference says, or they are too much.
            DeclinedError: a collection is damaged.
        """
        return [self._text(*fields) for fields in _REFERENCE.iter_unpack(references)]

    def _text(self, length: int, address: int, index: int) -> bytes:
        if not length:
            return b""
        self._text_nbytes += length
        if self._text_nbytes > self._max_nbytes:
            found = f"texts of {self._text_nbytes} bytes"
            raise DamagedTextError(f"{found}, expected at most {self._max_nbytes}")
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
