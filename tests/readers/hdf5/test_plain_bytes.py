"""The plain HDF5 parser on files made here byte by byte: what each field may hold.

The layouts are those of the HDF5 File Format Specification, version 3.0: II.A the superblock,
III.A B-trees, III.B and III.C groups, III.D local heaps, IV.A the headers of objects.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from ckread.readers.contract import DataType
from ckread.readers.files import FileWindow
from ckread.readers.hdf5 import plain
from ckread.readers.hdf5.messages import Dataset, DeclinedError
from ckread.readers.hdf5.plain import PlainFile

if TYPE_CHECKING:
    from pathlib import Path

UNDEFINED = (1 << 64) - 1
_SPACE = struct.pack("<BBBB4xQQ", 1, 2, 0, 0, 2, 3)
_FLOAT = struct.pack("<BBBBIHHBBBBI4x", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127)
_NAME = b"\1\0\5\0\10\0\10\0name\0\0\0\0\x13\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0"
"""An attribute that is a text of two letters, which follow."""


def _layout(address: int, nbytes: int, version: int = 3, kind: int = 1) -> bytes:
    return struct.pack("<BBQQ6x", version, kind, address, nbytes)


def _message(kind: int, data: bytes) -> bytes:
    return struct.pack("<HHB3x", kind, len(data), 0) + data


def _header(*messages: tuple[int, bytes]) -> bytes:
    block = b"".join(_message(*one) for one in messages)
    return struct.pack("<BBHII4x", 1, 0, len(messages), 1, len(block)) + block


class Made:
    """A file as it grows; whatever is added begins at a multiple of eight."""

    def __init__(self, **superblock: Any) -> None:
        self.data = bytearray(96)
        self.superblock = superblock

    def add(self, part: bytes) -> int:
        """Add bytes; give their address."""
        self.data += bytes(-len(self.data) % 8)
        at = len(self.data)
        self.data += part
        return at

    def dataset(self, *more: tuple[int, bytes], **layout: Any) -> int:
        """Add a dataset of 2 times 3 numbers; `more` messages come first."""
        layout = {"address": 8, "nbytes": 24} | layout
        found = ((1, _SPACE), (3, _FLOAT), (8, _layout(**layout)))
        return self.add(_header(*more, *found))

    def tables(
        self,
        members: dict[str, int],
        *,
        heap: bytes = b"HEAP\0",
        tree: tuple[bytes, int, int] = (b"TREE", 0, 0),
        leaf: bytes = b"SNOD\1",
        cache: int = 0,
    ) -> tuple[int, int]:
        """Add B-tree and heap of a group."""
        names, entries = bytearray(8), b""
        for name, address in members.items():
            entries += struct.pack("<QQII16x", len(names), address, cache, 0)
            names += name.encode(errors="surrogateescape") + b"\0"
        segment = self.add(bytes(names))
        heaps = self.add(heap.ljust(8, b"\0") + struct.pack("<QQQ", len(names), 1, segment))
        leaves = self.add(leaf + struct.pack("<xH", len(members)) + entries)
        return self.add(self._node(*tree, [leaves])), heaps

    @staticmethod
    def _node(magic: bytes, kind: int, level: int, children: list[int]) -> bytes:
        head = struct.pack("<4sBBHQQ", magic, kind, level, len(children), UNDEFINED, UNDEFINED)
        return head + bytes(8) + b"".join(struct.pack("<QQ", one, 0) for one in children)

    def node(self, level: int, *children: int) -> int:
        """Add an inner node of a B-tree."""
        return self.add(self._node(b"TREE", 0, level, list(children)))

    def group(self, members: dict[str, int], *more: tuple[int, bytes], **options: Any) -> int:
        """Add a group."""
        places = struct.pack("<QQ", *self.tables(members, **options))
        return self.add(_header(*more, (0x11, places)))

    def opened(self, path: Path, root: int) -> PlainFile:
        """Write the file and open it."""
        fields = {
            "signature": b"\x89HDF\r\n\x1a\n", "version": 0, "offsets": 8, "lengths": 8,
            "base": 0, "end": len(self.data),
        } | self.superblock  # fmt: skip
        self.data[:96] = struct.pack(
            "<8s8B2HI4Q2QI20x", fields["signature"], fields["version"], 0, 0, 0, 0,
            fields["offsets"], fields["lengths"], 0, 4, 16, 0,
            fields["base"], UNDEFINED, fields["end"], UNDEFINED, 0, root, 1,
        )  # fmt: skip
        path.write_bytes(self.data)
        with FileWindow(str(path)) as window:
            found = PlainFile(window)
            assert found.listed
            return found


def _dataset(path: str, address: int, offset: int | None = 8) -> Dataset:
    return Dataset(path, DataType.FLOAT32, (2, 3), 24, offset, False, address)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Say where the file is written."""
    return tmp_path / "w.h5"


def test_a_file_made_by_hand(path: Path) -> None:
    made = Made()
    first = made.dataset((0x0C, _NAME + b"hi"))
    second = made.dataset(address=16)
    inner = made.group({"k": second, "10": first, "9": second})
    root = made.group({"b": inner, "a": first}, (0x0C, _NAME + b"yo"))
    found = made.opened(path, root)
    assert found.listed == [
        _dataset("a", first),
        "b",
        _dataset("b/9", second, 16),
        _dataset("b/10", first),
        _dataset("b/k", second, 16),
    ]
    texts = {"": "yo", "a": "hi", "b/10": "hi"}
    for one in ("", "a", "b", "b/k", "b/10"):
        assert found.has(one)
        assert found.attributes(one) == ({"name": texts[one]} if one in texts else {})
    assert not found.has("c")
    assert found.attributes("c") == {}


@pytest.mark.parametrize(
    "superblock",
    [
        {"signature": b"\x89HDF\r\n\x1a\r"},
        {"version": 1},
        {"offsets": 4},
        {"lengths": 4},
        {"base": 8},
        {"end": 1 << 20},
    ],
)
def test_superblocks_that_h5py_is_to_read(path: Path, superblock: dict[str, Any]) -> None:
    made = Made(**superblock)
    root = made.group({"a": made.dataset()})
    with pytest.raises(DeclinedError):
        made.opened(path, root)


def test_what_follows_the_end_is_no_part_of_it(path: Path) -> None:
    made = Made(end=96)
    first = made.dataset()
    assert made.opened(path, made.group({"a": first})).listed == [_dataset("a", first)]


@pytest.mark.parametrize(
    "options",
    [
        {"heap": b"HEAQ\0"},
        {"heap": b"HEAP\1"},
        {"tree": (b"TREF", 0, 0)},
        {"tree": (b"TREE", 1, 0)},
        {"leaf": b"SNOE\1"},
        {"leaf": b"SNOD\0"},
        {"leaf": b"SNOD\2"},
        {"cache": 2},
    ],
)
def test_groups_that_h5py_is_to_read(path: Path, options: dict[str, Any]) -> None:
    made = Made()
    root = made.group({"a": made.dataset()}, **options)
    with pytest.raises(DeclinedError):
        made.opened(path, root)


def test_addresses_of_tables_may_be_kept_beside_a_name(path: Path) -> None:
    made = Made()
    root = made.group({"a": made.group({})}, cache=1)
    assert made.opened(path, root).listed == ["a"]


def test_a_name_that_is_empty_is_none(path: Path) -> None:
    made = Made()
    root = made.group({"": made.dataset()})
    with pytest.raises(DeclinedError):
        made.opened(path, root)


def test_the_names_of_a_group_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "MAX_HEADER_NBYTES", 8 + 25)
    for n_letters in (24, 25):
        made = Made()
        first = made.dataset()
        root = made.group({"x" * n_letters: first})
        if n_letters == 24:
            assert made.opened(path, root).listed == [_dataset("x" * 24, first)]
        else:
            with pytest.raises(DeclinedError):
                made.opened(path, root)


def test_trees_of_several_levels(path: Path) -> None:
    """Members come in the order of their trees, also those that a list sorts alike."""
    made = Made()
    first = made.dataset()
    names = ["a", "1", "01", "001", "b"]
    _, heap = made.tables(dict.fromkeys(names, first))
    segment = made.data.index(b"a\0001\00001\0")
    nodes = []
    for name in names:
        at = made.data.index(name.encode() + b"\0", segment) - segment + 8
        leaf = made.add(b"SNOD\1" + struct.pack("<xHQQI20x", 1, at, first, 0))
        nodes.append(made.add(Made._node(b"TREE", 0, 0, [leaf])))
    top = made.node(2, made.node(1, *nodes[:2]), made.node(1, *nodes[2:]))
    found = made.opened(path, made.add(_header((0x11, struct.pack("<QQ", top, heap)))))
    assert found.listed == [_dataset(name, first) for name in ("1", "01", "001", "a", "b")]


def test_a_node_that_is_its_own_child(path: Path) -> None:
    made = Made()
    _, heap = made.tables({})
    node = made.node(1, 0)
    made.data[node + 32 : node + 40] = struct.pack("<Q", node)
    root = made.add(_header((0x11, struct.pack("<QQ", node, heap))))
    with pytest.raises(DeclinedError):
        made.opened(path, root)


def test_the_root_is_a_group(path: Path) -> None:
    made = Made()
    with pytest.raises(DeclinedError):
        made.opened(path, made.dataset())


@pytest.mark.parametrize("kind", [3, 8, 0x11])
def test_no_group_is_two_things(path: Path, kind: int) -> None:
    made = Made()
    both = made.group({}, (kind, bytes(24)))
    root = made.group({"a": both})
    with pytest.raises(DeclinedError):
        made.opened(path, root)


def test_a_group_in_a_circle(path: Path) -> None:
    made = Made()
    root = made.group({"a": 0})
    at = made.data.index(struct.pack("<QQ", 8, 0))  # its name and its address
    made.data[at + 8 : at + 16] = struct.pack("<Q", root)
    with pytest.raises(DeclinedError):
        made.opened(path, root)


@pytest.mark.parametrize(("depth", "is_read"), [(64, True), (65, False)])
def test_how_deep_groups_may_lie(path: Path, depth: int, is_read: bool) -> None:
    made = Made()
    at = made.dataset()
    for _ in range(depth):
        at = made.group({"g": at})
    root = made.group({"g": at})
    if is_read:
        assert len(made.opened(path, root).listed) == depth + 1
    else:
        with pytest.raises(DeclinedError):
            made.opened(path, root)


def test_how_many_objects_there_may_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_MAX_OBJECTS", 3)
    for n, is_read in ((4, True), (5, False)):
        made = Made()
        first = made.dataset()
        root = made.group({f"d{i}": first for i in range(n)})
        if is_read:
            assert len(made.opened(path, root).listed) == n
        else:
            with pytest.raises(DeclinedError):
                made.opened(path, root)


# Datasets.

_HARMLESS = (0x00, 0x04, 0x05, 0x0A, 0x0D, 0x0E, 0x12, 0x16)
"""NIL, the old and the new fill value, group info, comment, the old and the new time, count."""


@pytest.mark.parametrize("kind", range(0x1A))
def test_messages_of_a_dataset(path: Path, kind: int) -> None:
    """What is not known to leave its values alone leaves the file to h5py."""
    if kind in (0x01, 0x03, 0x08, 0x0C, 0x10):
        return  # those it is made of
    made = Made()
    first = made.dataset((kind, bytes(24)))
    root = made.group({"a": first})
    if kind in _HARMLESS:
        assert made.opened(path, root).listed == [_dataset("a", first)]
    else:
        with pytest.raises(DeclinedError):
            made.opened(path, root)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_dataset_has_a_type_a_shape_and_a_place(path: Path, missing: int) -> None:
    made = Made()
    found = [(1, _SPACE), (3, _FLOAT), (8, _layout(8, 24))]
    del found[missing]
    root = made.group({"a": made.add(_header(*found))})
    with pytest.raises(DeclinedError):
        made.opened(path, root)


@pytest.mark.parametrize(
    "layout",
    [
        {"version": 4},
        {"version": 2},
        {"kind": 0},
        {"kind": 2},
        {"nbytes": 23},
        {"nbytes": 25},
        {"nbytes": 0},
        {"address": UNDEFINED},
        {"address": UNDEFINED - 30},
    ],
)
def test_layouts_that_h5py_is_to_read(path: Path, layout: dict[str, Any]) -> None:
    made = Made()
    root = made.group({"a": made.dataset(**layout)})
    with pytest.raises(DeclinedError):
        made.opened(path, root)


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("n_before", [0, 1])
def test_values_end_where_the_file_does(path: Path, beyond: int, n_before: int) -> None:
    """Also of a dataset whose header is like that of another."""
    made = Made()
    others = {f"a{i}": made.dataset() for i in range(n_before)}
    last = made.dataset(address=0)
    root = made.group({**others, "b": last})
    at = made.data.rindex(_layout(0, 24)) + 2
    offset = len(made.data) - 24 + beyond
    made.data[at : at + 8] = struct.pack("<Q", offset)
    if beyond:
        with pytest.raises(DeclinedError):
            made.opened(path, root)
    else:
        assert made.opened(path, root).listed[-1] == _dataset("b", last, offset)


@pytest.mark.parametrize(
    ("space", "address", "expected"),
    [
        (struct.pack("<BBBB4xQ", 1, 1, 0, 0, 0), UNDEFINED, (0,)),
        (struct.pack("<BBBB4xQQ", 1, 2, 0, 0, 7, 0), 8, (7, 0)),
    ],
)
def test_a_dataset_without_values(
    path: Path, space: bytes, address: int, expected: tuple[int, ...]
) -> None:
    made = Made()
    first = made.add(_header((1, space), (3, _FLOAT), (8, _layout(address, 0))))
    found = made.opened(path, made.group({"a": first, "b": first})).listed
    assert found == [Dataset(p, DataType.FLOAT32, expected, 0, None, False, first) for p in "ab"]


def test_a_dataset_of_no_dataspace(path: Path) -> None:
    made = Made()
    first = made.add(_header((1, b"\2\0\0\2"), (3, _FLOAT), (8, _layout(8, 4))))
    root = made.group({"a": first})
    with pytest.raises(DeclinedError):
        made.opened(path, root)


def test_headers_that_are_alike_but_for_a_byte(path: Path) -> None:
    """Each field that is not the place of the values makes another dataset."""
    made = Made()
    big = _FLOAT[:1] + b"\x21" + _FLOAT[2:]
    long = struct.pack("<BBBB4xQQ", 1, 2, 0, 0, 6, 1)
    first = [(1, _SPACE), (3, _FLOAT), (8, _layout(8, 24))]
    named = [(0x0C, _NAME + b"hi"), *first]
    places = {
        "a": made.add(_header(*first)),
        "b": made.add(_header(first[0], (3, big), first[2])),
        "c": made.add(_header((1, long), *first[1:])),
        "d": made.add(_header(*named)),
        "e": made.add(_header(*first[:2], (8, _layout(16, 24)))),
        "f": made.add(_header((0x0C, _NAME + b"yo"), *first[:2], (8, _layout(32, 24)))),
        "g": made.add(_header((0x0C, _NAME + b"hi"), *first[:2], (8, _layout(40, 24)))),
    }
    found = made.opened(path, made.group(places))
    one = _dataset("", 0)
    expected = {
        "a": one, "b": one._replace(big_endian=True), "c": one._replace(shape=(6, 1)), "d": one,
        "e": one._replace(offset=16), "f": one._replace(offset=32), "g": one._replace(offset=40),
    }  # fmt: skip
    assert found.listed == [
        record._replace(path=name, address=places[name]) for name, record in expected.items()
    ]
    texts = [found.attributes(name).get("name") for name in places]
    assert texts == [None, None, None, "hi", None, "yo", "hi"]


def test_headers_of_two_blocks_are_no_pattern(path: Path) -> None:
    """Their second block may differ where the first does not."""
    made = Made()
    seconds = [made.add(_message(8, _layout(at, 24))) for at in (8, 16)]
    places: dict[str, int] = {}
    for name, second in zip("ab", seconds, strict=True):
        more = struct.pack("<QQ", second, 32)
        places[name] = made.add(
            struct.pack("<BBHII4x", 1, 0, 4, 1, 88)
            + b"".join(_message(*one) for one in ((1, _SPACE), (3, _FLOAT[:24]), (0x10, more)))
        )
    found = made.opened(path, made.group(places))
    assert found.listed == [_dataset("a", places["a"]), _dataset("b", places["b"], 16)]
