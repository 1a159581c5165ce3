"""The plain part of HDF5 that Keras writes, read without h5py.

    superblock v0   sizes, base address, root group's symbol table entry
    object header   v1: messages of type u16, size u16, flags u8, 3 reserved
    group           message 0x11 → B-tree v1 `TREE` → `SNOD` entries, names in a `HEAP`
    dataset         0x01 dataspace, 0x03 datatype, 0x08 layout v3, contiguous
    attributes      0x0c; texts of variable length in the global heap `GCOL`

Everything else (newer headers, chunks, filters, soft links, shared types, other
element types) is declined, and so is anything that looks damaged: h5py then reads
the file and says what is wrong with it. All integers are little-endian.

The library finds what is listed where trees, heaps and the order of names are whole, as it needs
them, and it opens one of each kind of header: those that differ in places and attributes alone.

Reference: HDF5 File Format Specification, version 3.0, II to IV
"""

from __future__ import annotations

import math
import struct
from functools import cached_property
from itertools import pairwise, repeat
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers.contract import no_garbage_collection
from ckread.readers.hdf5.messages import (
    ATTRIBUTE,
    BLOCK_NBYTES,
    CONTINUATION,
    LAYOUT,
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
_DATASPACE, _DATATYPE, _SYMBOL_TABLE, _CHANGED = 0x01, 0x03, 0x11, 0x12
_CHANGED_ONCE = 0x0E
_IGNORED = {0x00, 0x04, 0x05, 0x0A, 0x0D, _CHANGED_ONCE, _CHANGED, 0x16}
"""NIL, fill values, group info, comments, times of change, reference counts."""

_OWN = dict.fromkeys((ATTRIBUTE, CONTINUATION, _SYMBOL_TABLE), (0, 1 << 16))
_OWN |= {LAYOUT: (2, 10), _CHANGED: (1, 1 << 16)}
"""The part of a message that tells nothing of its kind: places, times, and all of an attribute."""
_BLOCK = struct.Struct("<QQ")
_LAST_FREE = 1
_UNDEFINED = (1 << 64) - 1
_MAX_ALIKE = 1 << 12


_DAMAGE = CheckpointError, struct.error, IndexError, OverflowError, MemoryError


class PlainFile:
    """A file whose root group has been read; the others are once what is `listed` is asked."""

    def __init__(self, window: FileWindow) -> None:
        """Read the root group."""
        self._window = window
        self._nbytes = window.nbytes
        self._source = Blocks(self._read, self._nbytes)
        self._alike: dict[bytes, tuple[Dataset, dict[str, str | list[str]]]] = {}
        self._places: list[int] = []
        self._entered: set[int] = set()
        self._is_regular = True
        self._addresses: dict[str, int] = {}
        self._attributes: dict[int, dict[str, str | list[str]]] = {}
        self._samples: dict[tuple[tuple[int, bytes], ...], str] = {}
        try:
            fields = _SUPERBLOCK.unpack(self._source.pread(0, _SUPERBLOCK.size))
            signature, version, *_, offset_nbytes, length_nbytes, _ = fields[:9]
            base, _, end, _ = fields[12:16]
            if signature != _SIGNATURE or version or (offset_nbytes, length_nbytes) != (8, 8):
                raise DeclinedError
            if base or end > self._nbytes:
                raise DeclinedError
            self._nbytes = end  # behind which the library reads nothing
            self._max_symbols, self._max_children = 2 * fields[9], 2 * fields[10]
            self._addresses[""] = fields[17]
            self._root = _tables(self._messages("", fields[17]))
            if not self._root:
                raise DeclinedError
        except _DAMAGE:
            raise DeclinedError from None

    def _read(self, offset: int, nbytes: int) -> bytes:
        if offset + nbytes > self._nbytes:
            raise DeclinedError
        return self._window.pread(offset, nbytes)

    @cached_property
    def listed(self) -> list[Dataset | str]:
        """Every dataset, and of every group its path.

        Raises:
            DeclinedError: something is not plain.
        """
        try:
            with no_garbage_collection():
                return self._list()
        except _DAMAGE:
            raise DeclinedError from None

    @property
    def samples(self) -> list[str] | None:
        """Paths of objects, one of each kind, once all are listed.

        Where the library opens them it opens all; None where that does not follow.
        """
        return list(self._samples.values()) if self._is_regular else None

    def has(self, path: str) -> bool:
        """Tell whether a path was listed."""
        return path in self._addresses

    def attributes(self, path: str) -> dict[str, str | list[str]]:
        """Give the text attributes of an object."""
        return self._attributes.get(self._addresses.get(path, -1), {})

    def _list(self) -> list[Dataset | str]:
        """Walk all groups; one that is linked twice is entered once, as h5py does."""
        listed: dict[str, Dataset | str] = {}
        entered = {self._addresses[""]}
        pending = [("", table) for table in self._root]
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
                messages = self._messages(path, address)
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
                kind = other.dtype, other.shape, other.nbytes, offset, other.big_endian
                return Dataset(path, *kind, address)
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
        """Give the fields of an object header, and its first block."""
        head = self._source.pread(address, 12)
        nbytes = int.from_bytes(head[8:12], "little")
        is_short = nbytes <= BLOCK_NBYTES
        block = self._source.pread(address + 16, nbytes) if is_short else b""
        return head, block

    def _messages(self, path: str, address: int) -> Messages:
        """Read the messages of an object, and keep its attributes."""
        messages = read_messages(self._source, address, self._doubt)
        if address not in self._attributes:
            self._attributes[address] = text_attributes(messages, self._source)
            kind = []
            for one, data in messages:
                self._doubt(one == _CHANGED_ONCE or (one == _CHANGED and data[:1] != b"\1"))
                start, stop = _OWN.get(one, (0, 0))
                kind.append((one, data[:start] + data[stop:]))
            self._samples.setdefault(tuple(kind), path)
        return messages

    def _members(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """Yield names and addresses of what a group holds."""
        magic, version, nbytes, free, segment = _HEAP.unpack(self._source.pread(heap, _HEAP.size))
        if magic != b"HEAP" or version or nbytes > MAX_HEADER_NBYTES:
            raise DeclinedError
        names = self._source.pread(segment, nbytes)
        self._doubt(b"/" in names or b"\0.\0" in names)  # it would take them for steps of a path
        self._doubt(not _ends(free, names))
        tree_nbytes = _TREE.size + 8 + 16 * self._max_children
        pending: list[tuple[int, int | None, bytes, bytes | None]] = [(tree, None, b"", None)]
        rows: dict[int, tuple[int, int]] = {}  # of each level the last node and what follows it
        self._enter(heap)
        while pending:
            node, expected, low, high = pending.pop()
            self._enter(node)
            head = self._source.pread(node, _TREE.size)
            magic, kind, level, n_entries, left, right = _TREE.unpack(head)
            if magic != b"TREE" or kind:
                raise DeclinedError
            block = self._source.pread(node + _TREE.size, 8 + 16 * n_entries)
            fields = struct.unpack(f"<{2 * n_entries + 1}Q", block)
            self._doubt(n_entries > self._max_children or node + tree_nbytes > self._nbytes)
            self._doubt(expected not in (None, level) or (level > 0 and not n_entries))
            self._doubt(rows.get(level, (_UNDEFINED, node)) != (left, node))
            rows[level] = node, right
            keys = [names[key : names.find(b"\0", key)] for key in fields[::2]]
            self._doubt(keys[0] < low or (high is not None and keys[-1] > high))
            self._doubt(max(fields[::2]) >= nbytes)
            children = fields[1::2]
            if level:
                pending += [*zip(children, repeat(level - 1), keys, keys[1:])][::-1]
                continue
            for child, (lower, upper) in zip(children, pairwise(keys), strict=True):
                yield from self._symbols(child, names, lower, upper)
        self._doubt(any(right != _UNDEFINED for _, right in rows.values()))

    def _doubt(self, is_odd: bool) -> None:
        """Note where the library may lose its way, which this parser goes all the same."""
        self._is_regular &= not is_odd

    def _enter(self, node: int) -> None:
        """See that no two structures are one."""
        if node in self._entered or len(self._entered) > _MAX_OBJECTS:
            raise DeclinedError
        self._entered.add(node)

    def _symbols(
        self, node: int, names: bytes, low: bytes, high: bytes
    ) -> Iterator[tuple[str, int]]:
        """Yield the members in one node, which are in order, behind `low` and up to `high`."""
        self._enter(node)
        magic, version, _, n_symbols = _LEAF.unpack(self._source.pread(node, _LEAF.size))
        if magic != b"SNOD" or version != 1:
            raise DeclinedError
        stop = node + _LEAF.size + _ENTRY.size * self._max_symbols
        self._doubt(not 0 < n_symbols <= self._max_symbols or stop > self._nbytes)
        entries = self._source.pread(node + _LEAF.size, _ENTRY.size * n_symbols)
        for offset, target, cache in _ENTRY.iter_unpack(entries):
            stop = names.find(b"\0", offset)
            if cache > 1 or stop <= offset:  # 2 is a soft link
                raise DeclinedError
            name = names[offset:stop]
            if not low < name <= high:
                self._is_regular = False
            yield name.decode(errors="surrogateescape"), target
            low = name

    def _dataset(self, path: str, address: int, messages: Messages) -> Dataset:
        found = {kind: data for kind, data in messages if kind in (_DATASPACE, _DATATYPE, LAYOUT)}
        if len(found) != 3 or any(
            kind not in (*found, ATTRIBUTE, CONTINUATION, *_IGNORED) for kind, _ in messages
        ):
            raise DeclinedError
        label = self._attributes[address].get("dtype")
        dtype, big_endian = element_type(found[_DATATYPE], label)
        space = parse_space(found[_DATASPACE])
        offset, nbytes = self._place(found[LAYOUT], space, dtype)
        dataset = Dataset(path, dtype, space.shape, nbytes, offset, big_endian, address)
        if all(kind != CONTINUATION for kind, _ in messages):
            self._remember(dataset, found[LAYOUT])
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
    if len(found) > 1 or (found and any(kind in (_DATATYPE, LAYOUT) for kind, _ in messages)):
        raise DeclinedError
    return [struct.unpack("<QQ", data[:16]) for data in found]


def _ends(free: int, names: bytes) -> bool:
    """Tell whether the list of what is free in a heap stays in it and comes to its end."""
    for _ in range(len(names) // _BLOCK.size + 1):
        if free == _LAST_FREE:
            return True
        if free + _BLOCK.size > len(names):
            return False
        after, size = _BLOCK.unpack_from(names, free)
        if size < _BLOCK.size or free + size > len(names):
            return False
        free = after
    return False
