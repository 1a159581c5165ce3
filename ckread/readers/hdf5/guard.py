"""What HDF5's own library is given to read: what it would loop on is refused first.

It asks for every structure from that structure's first byte, so what it is about to
parse is seen here, wherever it lies, and nothing has to be searched for. Where its loop
goes by sizes and offsets of the file and does not test that they advance:

    global heap   `GCOL`, version 1, 3 reserved, size u64; objects: index u16,
                  references u16, 4 reserved, size u64, data to a multiple of 8;
                  index 0 is free space, whose size counts these 16 bytes
    local heap    `HEAP`, version 0, 3 reserved, size u64, first free block u64,
                  address of the data u64; free block: the next u64 (1 ends), size u64
    B-tree        `TREE`, kind u8, level u8, entries u16, two neighbours u64; keys and
                  addresses of children by turns: the library descends by recursion
    cache image   `MDCI`: parsed structures, read once as the file is opened, and kept

Reference: HDF5 File Format Specification, version 3.0, II, III.D and III.E
"""

from __future__ import annotations

import io
import os
import struct
from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError, CorruptCheckpointError, UnsupportedFeatureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckread.readers.files import FileWindow

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_COLLECTION = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HHIQ")
_NAMES = struct.Struct("<4sB3xQQQ")
_BLOCK = struct.Struct("<QQ")
_MIN_COLLECTION_NBYTES = 4096
_MAX_OBJECTS = 1 << 16
_LAST_FREE = 1
_TREE = struct.Struct("<4sBBHQQ")
_GROUP_TREE = 0
_CHUNK_RANK = 32
_READ_NBYTES = 1 << 16


class GuardedWindow(io.RawIOBase):
    """A window for HDF5's library; gives no byte any more once it has refused one.

    The library may forget what is raised while it reads, so `refusal` keeps it. `is_opening`
    until the reader says that the file is open.
    """

    def __init__(self, window: FileWindow, name: str) -> None:
        """Find the superblock."""
        super().__init__()
        self.refusal: CheckpointError | None = None
        self.is_opening = True
        self._window = window
        self._name = name
        self._checked: set[tuple[int, int]] = set()
        self._children: set[int] = set()
        self._base = self._find_superblock()

    def _find_superblock(self) -> int:
        """Give its place, from which the library counts addresses, whatever it says itself."""
        at = 0
        while at + 16 <= self._window.nbytes:
            head = self._window.pread(at, 16)
            if head.startswith(_SIGNATURE):
                sizes = head[13:15] if head[8] < 2 else head[9:11]
                if sizes != b"\x08\x08":
                    found = f"offsets of {sizes[0]} bytes and lengths of {sizes[1]}"
                    raise UnsupportedFeatureError(
                        found,
                        path=self._window.path,
                        name=self._name,
                        place="superblock",
                        expected="8 and 8",
                    )
                return at
            at = 2 * at or 512
        return 0

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give bytes by their address, which counts from the superblock."""
        data = self._window.pread(self._base + offset, nbytes)
        if data.startswith(b"GCOL\1"):
            self._check_or_refuse(self._base + offset, memoryview(data))
        return data

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought in."""
        return True

    def tell(self) -> int:
        """Give the position in the window."""
        return self._window.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset` from the start, the position or the end of the window."""
        return self._window.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as the window goes; give the number of bytes."""
        if self.refusal is not None:
            raise self.refusal
        start = self._window.tell()
        nbytes = self._window.readinto(buffer)
        self._check_or_refuse(start, memoryview(buffer).cast("B")[:nbytes])
        return nbytes

    def _check_or_refuse(self, start: int, read: memoryview) -> None:
        try:
            self._check(start, read)
        except CheckpointError as error:
            self.refusal = error
            raise

    def _check(self, start: int, read: memoryview) -> None:
        magic, versioned = bytes(read[:4]), bytes(read[:5])
        if self.is_opening and magic == b"MDCI":
            raise UnsupportedFeatureError(
                "an image of HDF5's metadata cache",
                path=self._window.path,
                name=self._name,
                expected="none",
            )
        asked = (start, len(read))  # how a node of a tree is parsed goes by its length
        if asked in self._checked:
            return
        if magic == b"TREE" and len(read) >= _TREE.size:
            self._check_tree(start, bytes(read))
        elif versioned in _CHECKS:
            _CHECKS[versioned](self, start)
        else:
            return
        self._checked.add(asked)

    def _check_collection(self, start: int) -> None:
        where = f"global heap at byte {start}"
        rest = self._window.nbytes - start
        if rest < _MIN_COLLECTION_NBYTES:
            self._refuse(where, f"{rest} bytes are left, expected {_MIN_COLLECTION_NBYTES}")
        _, _, nbytes = _COLLECTION.unpack(self._window.pread(start, _COLLECTION.size))
        if not _MIN_COLLECTION_NBYTES <= nbytes <= rest:
            self._refuse(where, f"{nbytes} bytes, expected {_MIN_COLLECTION_NBYTES} to {rest}")
        at, stop, n_objects = start + _COLLECTION.size, start + nbytes, 0
        block, block_start = b"", at
        while at + _OBJECT.size <= stop:
            if at + _OBJECT.size > block_start + len(block):
                block, block_start = self._window.pread(at, min(_READ_NBYTES, stop - at)), at
            index, _, _, size = _OBJECT.unpack_from(block, at - block_start)
            step = -(-size // 8) * 8 + _OBJECT.size if index else size
            if not _OBJECT.size <= step <= stop - at:
                least, most = (0, stop - at - 16) if index else (16, stop - at)
                found = f"object {index} of {size} bytes"
                self._refuse(where, f"{found}, expected {least} to {most}")
            at += step
            n_objects += 1
            if n_objects > _MAX_OBJECTS:
                self._refuse(where, f"over {_MAX_OBJECTS} objects, expected one for each index")

    def _check_free_list(self, start: int) -> None:
        """Follow the free blocks; those out of the heap the library refuses itself."""
        if start + _NAMES.size > self._window.nbytes:
            return
        _, _, nbytes, free, data = _NAMES.unpack(self._window.pread(start, _NAMES.size))
        data += self._base
        nbytes = min(nbytes, self._window.nbytes - data)
        seen: set[int] = set()
        while free != _LAST_FREE and free + _BLOCK.size <= nbytes:
            if free in seen or len(seen) >= _MAX_OBJECTS:
                what = f"free block {free} follows itself" if free in seen else "too many blocks"
                self._refuse(f"local heap at byte {start}", f"{what}, expected a list that ends")
            seen.add(free)
            free, _ = _BLOCK.unpack(self._window.pread(data + free, _BLOCK.size))

    def _check_tree(self, start: int, node: bytes) -> None:
        """See that each child is one level lower and has no other parent: the tree ends."""
        _, kind, level, n_entries, _, _ = _TREE.unpack_from(node)
        if not level or kind > 1:
            return
        where = f"B-tree at byte {start}"
        key_nbytes = 8
        if kind != _GROUP_TREE:
            keys = len(node) - _TREE.size - 16 * _CHUNK_RANK
            key_nbytes, rest = divmod(keys, 2 * _CHUNK_RANK + 1)
            if rest or key_nbytes < 16:
                self._refuse(where, f"a node of {len(node)} bytes, expected {_CHUNK_RANK} pairs")
        for i in range(n_entries):
            at = _TREE.size + i * (key_nbytes + 8) + key_nbytes
            if at + 8 > len(node):
                return  # the library refuses it
            child = self._base + int.from_bytes(node[at : at + 8], "little")
            if child + _TREE.size > self._window.nbytes:
                return
            magic, _, lower, _, _, _ = _TREE.unpack(self._window.pread(child, _TREE.size))
            if magic == b"TREE" and lower != level - 1:
                self._refuse(where, f"a child of level {lower}, expected {level - 1}")
            if child in self._children:
                self._refuse(where, f"a child at byte {child}, which has another parent")
            self._children.add(child)

    def _refuse(self, where: str, what: str) -> None:
        raise CorruptCheckpointError(what, path=self._window.path, name=self._name, place=where)


_CHECKS: dict[bytes, Callable[[GuardedWindow, int], None]] = {
    b"GCOL\1": GuardedWindow._check_collection,
    b"HEAP\0": GuardedWindow._check_free_list,
}
"""By signature and version; the library refuses any other version."""
