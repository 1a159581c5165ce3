"""The plain part of HDF5 that Keras writes, read without h5py.

    superblock v0   sizes, base address, root group's symbol table entry
    object header   v1: messages of type u16, size u16, flags u8, 3 reserved
    group           message 0x11 → B-tree v1 `TREE` → `SNOD` entries, names in a `HEAP`
    dataset         0x01 dataspace, 0x03 datatype, 0x08 layout v3, contiguous
    attributes      0x0c; texts of variable length in the global heap `GCOL`

Everything else (newer headers, chunks, filters, soft links, shared types, other
element types) is declined, and so is anything that looks damaged: h5py then reads
the file and says what is wrong with it. All integers are little-endian.

Reference: HDF5 File Format Specification, version 3.0, II to IV
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers.contract import no_garbage_collection
from ckread.readers.hdf5.messages import (
    ATTRIBUTE,
    BLOCK_NBYTES,
    CONTINUATION,
    MAX_HEADER_NBYTES,
    Blocks,
    Dataset,
    DeclinedError,
    Messages,
    Space,
    element_type,
    parse_space,
    path_order,
    read_messages,
    text_attributes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.contract import DataType
    from ckread.readers.files import FileWindow


_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SUPERBLOCK = struct.Struct("<8s8B2HI4Q2QI")
_TREE = struct.Struct("<4sBBHQQ")
_HEAP = struct.Struct("<4sB3xQQQ")
_LEAF = struct.Struct("<4sBBH")
_ENTRY = struct.Struct("<QQI4x16x")
_MAX_OBJECTS = 1_000_000
_MAX_DEPTH = 64
_DATASPACE, _DATATYPE, _LAYOUT, _SYMBOL_TABLE = 0x01, 0x03, 0x08, 0x11
_IGNORED = {0x00, 0x04, 0x05, 0x0A, 0x0D, 0x0E, 0x12, 0x16}
"""NIL, fill values, group info, comments, times of change, reference counts."""
_MAX_ALIKE = 1 << 12


class PlainFile:
    """A file whose objects have been listed: every dataset, and of every group its path."""

    def __init__(self, window: FileWindow) -> None:
        """List the objects."""
        self._source = Blocks(window.pread, window.nbytes)
        self._nbytes = window.nbytes
        self._alike: dict[bytes, tuple[Dataset, dict[str, str | list[str]]]] = {}
        self._places: list[int] = []
        self._addresses: dict[str, int] = {}
        self._attributes: dict[int, dict[str, str | list[str]]] = {}
        try:
            fields = _SUPERBLOCK.unpack(self._source.pread(0, _SUPERBLOCK.size))
            signature, version, *_, offset_nbytes, length_nbytes, _ = fields[:9]
            base, _, end, _ = fields[12:16]
            if signature != _SIGNATURE or version or (offset_nbytes, length_nbytes) != (8, 8):
                raise DeclinedError
            if base or end > self._nbytes:
                raise DeclinedError
            address: int = fields[17]
            with no_garbage_collection():
                self.listed: list[Dataset | str] = self._list(address)
        except (CheckpointError, struct.error, IndexError, OverflowError, MemoryError):
            raise DeclinedError from None

    def has(self, path: str) -> bool:
        """Tell whether a path was listed."""
        return path in self._addresses

    def attributes(self, path: str) -> dict[str, str | list[str]]:
        """Give the text attributes of an object."""
        return self._attributes.get(self._addresses.get(path, -1), {})

    def _list(self, root: int) -> list[Dataset | str]:
        """Walk all groups; one that is linked twice is entered once, as h5py does."""
        listed: dict[str, Dataset | str] = {}
        entered = {root}
        self._addresses[""] = root
        tables = _tables(self._messages(root))
        if not tables:
            raise DeclinedError
        pending = [("", table) for table in tables]
        while pending:
            prefix, table = pending.pop()
            for name, address in self._members(*table):
                path = prefix + name
                if path in listed or len(listed) > _MAX_OBJECTS or path.count("/") > _MAX_DEPTH:
                    raise DeclinedError
                self._addresses[path] = address
                alike = self._like_another(path, address)
                if alike is not None:
                    listed[path] = alike
                    continue
                messages = self._messages(address)
                tables = _tables(messages)
                listed[path] = path if tables else self._dataset(path, address, messages)
                if tables and address in entered:
                    raise DeclinedError  # which path is entered is for h5py to say
                if tables:
                    entered.add(address)
                    pending += [(f"{path}/", one) for one in tables]
        return [listed[path] for path in sorted(listed, key=path_order)]

    def _like_another(self, path: str, address: int) -> Dataset | None:
        """Give a dataset whose header is that of another but for the place of its values."""
        head, block = self._header(address)
        for at in self._places:
            found = self._alike.get(head + block[:at] + block[at + 8 :])
            if found is not None:
                other, self._attributes[address] = found
                offset = int.from_bytes(block[at : at + 8], "little")
                if offset + other.nbytes > self._nbytes:
                    raise DeclinedError
                return other._replace(path=path, offset=offset, address=address)
        return None

    def _remember(self, dataset: Dataset, layout: bytes) -> None:
        """Keep a dataset whose header is one block, for those that are like it."""
        head, block = self._header(dataset.address)
        if dataset.offset is None or block.count(layout) != 1 or len(self._alike) > _MAX_ALIKE:
            return
        at = block.index(layout) + 2
        if at not in self._places:
            self._places.append(at)
        found = dataset, self._attributes[dataset.address]
        self._alike[head + block[:at] + block[at + 8 :]] = found

    def _header(self, address: int) -> tuple[bytes, bytes]:
        """Give the fields of an object header that matter, and its first block."""
        head = self._source.pread(address, 16)
        nbytes = int.from_bytes(head[8:12], "little")
        is_short = nbytes <= BLOCK_NBYTES
        block = self._source.pread(address + 16, nbytes) if is_short else b""
        return head[:4] + head[8:12], block

    def _messages(self, address: int) -> Messages:
        """Read the messages of an object, and keep its attributes."""
        messages = read_messages(self._source, address)
        if address not in self._attributes:
            self._attributes[address] = text_attributes(messages, self._source)
        return messages

    def _members(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """Yield names and addresses of what a group holds."""
        magic, version, nbytes, _, segment = _HEAP.unpack(self._source.pread(heap, _HEAP.size))
        if magic != b"HEAP" or version or nbytes > MAX_HEADER_NBYTES:
            raise DeclinedError
        names = self._source.pread(segment, nbytes)
        pending, seen = [tree], set[int]()
        while pending:
            if pending[-1] in seen or len(seen) > _MAX_OBJECTS:
                raise DeclinedError
            seen.add(pending[-1])
            head = self._source.pread(pending[-1], _TREE.size)
            magic, kind, level, n_entries, _, _ = _TREE.unpack(head)
            if magic != b"TREE" or kind:
                raise DeclinedError
            keys = self._source.pread(pending.pop() + _TREE.size, 8 + 16 * n_entries)
            children = struct.unpack(f"<{2 * n_entries + 1}Q", keys)[1::2]
            if level:
                pending += children[::-1]
                continue
            for child in children:
                magic, version, _, n_symbols = _LEAF.unpack(self._source.pread(child, _LEAF.size))
                if magic != b"SNOD" or version != 1:
                    raise DeclinedError
                entries = self._source.pread(child + _LEAF.size, _ENTRY.size * n_symbols)
                for offset, target, cache in _ENTRY.iter_unpack(entries):
                    stop = names.find(b"\0", offset)
                    if cache > 1 or stop <= offset:  # 2 is a soft link
                        raise DeclinedError
                    yield names[offset:stop].decode(errors="surrogateescape"), target

    def _dataset(self, path: str, address: int, messages: Messages) -> Dataset:
        found = {kind: data for kind, data in messages if kind in (_DATASPACE, _DATATYPE, _LAYOUT)}
        if len(found) != 3 or any(
            kind not in (*found, ATTRIBUTE, CONTINUATION, *_IGNORED) for kind, _ in messages
        ):
            raise DeclinedError
        label = self._attributes[address].get("dtype")
        dtype, big_endian = element_type(found[_DATATYPE], label)
        space = parse_space(found[_DATASPACE])
        offset, nbytes = self._place(found[_LAYOUT], space, dtype)
        dataset = Dataset(path, dtype, space.shape, nbytes, offset, big_endian, address)
        if all(kind != CONTINUATION for kind, _ in messages):
            self._remember(dataset, found[_LAYOUT])
        return dataset

    def _place(self, layout: bytes, space: Space, dtype: DataType) -> tuple[int | None, int]:
        version, kind, address, stored = struct.unpack("<BBQQ", layout[:18])
        nbytes = math.prod(space.shape) * dtype.itemsize
        if (version, kind) != (3, 1) or space.is_null or stored != nbytes:
            raise DeclinedError
        if not nbytes:
            return None, 0
        if address + nbytes > self._nbytes:  # one that is not defined is beyond any end
            raise DeclinedError
        return address, nbytes


def _tables(messages: Messages) -> list[tuple[int, int]]:
    """Give addresses of B-tree and heap where an object is a group."""
    found = [data for kind, data in messages if kind == _SYMBOL_TABLE]
    if len(found) > 1 or (found and any(kind in (_DATATYPE, _LAYOUT) for kind, _ in messages)):
        raise DeclinedError
    return [struct.unpack("<QQ", data[:16]) for data in found]
