"""What HDF5's library would loop or recurse on for ever is refused before it reads it."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from ckread.errors import CheckpointError, CorruptCheckpointError, UnsupportedFeatureError
from ckread.model.opening import open_checkpoint
from ckread.readers.files import FileWindow
from ckread.readers.hdf5 import guard as module
from ckread.readers.hdf5.guard import GuardedWindow
from ckread.readers.keras.reader import open_hdf5
from tests.fuzz.target import kept_of

if TYPE_CHECKING:
    from pathlib import Path

USER_BLOCK = 512


def _fill(file: h5py.File) -> None:
    file.create_dataset("vars/0", data=np.arange(900.0), chunks=(3,))
    file["vars"].attrs["name"] = "dense"
    for i in range(40):
        file[f"many/x{i}"] = np.float32(i)
    file["texts"] = np.array(["a", "GCOL\1", ""], object)


@pytest.fixture(params=[0, USER_BLOCK], ids=["plain", "user block"])
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w", userblock_size=request.param) as file:
        _fill(file)
    return path


def _refused(path: Path, data: bytes) -> str:
    """Give the message, without name and the place in the file."""
    path.write_bytes(data)
    with pytest.raises(CorruptCheckpointError) as caught:
        _read(path)
    head, _, found = str(caught.value).partition(": ")[2].partition(": ")
    return f"{head.rpartition(' at byte ')[0]}: {found}"


def _read(path: Path) -> dict[str, Any]:
    with open_hdf5(str(path)) as reader:
        return {key: reader.read(key).tolist() for key in reader.tensors}


def _edited(path: Path, at: int, layout: str, *values: int) -> bytes:
    data = bytearray(path.read_bytes())
    struct.pack_into(layout, data, at, *values)
    return bytes(data)


def test_sound_files_read(sound: Path) -> None:
    values = _read(sound)
    assert values["texts"] == [b"a", b"GCOL\1", b""]
    assert values["vars/0"] == list(range(900))
    assert len(values) == 42


@pytest.mark.parametrize(
    ("at", "layout", "value", "message"),
    [
        (8, "<Q", 8, "8 bytes, expected 4096 to {rest}"),
        (8, "<Q", 1 << 63, "9223372036854775808 bytes, expected 4096 to {rest}"),
        (40, "<H", 0, "object 0 of 0 bytes, expected 16 to 4056"),
        (24, "<Q", 4072, "object 1 of 4072 bytes, expected 0 to 4064"),
        (24, "<Q", (1 << 64) - 16, "object 1 of 18446744073709551600 bytes, expected 0 to 4064"),
    ],
)
def test_a_global_heap_that_does_not_advance(
    sound: Path, at: int, layout: str, value: int, message: str
) -> None:
    data = sound.read_bytes()
    heap = data.index(b"GCOL")
    found = _refused(sound, _edited(sound, heap + at, layout, value))
    assert found == "global heap: " + message.format(rest=len(data) - heap)


def test_free_space_that_ends_a_global_heap_early_is_legal(sound: Path) -> None:
    data = sound.read_bytes()
    free = data.index(b"GCOL") + 16
    while data[free : free + 2] != b"\0\0":
        [size] = struct.unpack_from("<Q", data, free + 8)
        free += 16 + -(-size // 8) * 8
    [nbytes] = struct.unpack_from("<Q", data, free + 8)
    sound.write_bytes(_edited(sound, free + 8, "<Q16xHHIQ", 32, 0, 0, 0, nbytes - 32))
    assert len(_read(sound)) == 42
    found = _refused(sound, _edited(sound, free + 8, "<Q", 0))
    assert found == f"global heap: object 0 of 0 bytes, expected 16 to {nbytes}"


def test_a_local_heap_whose_free_list_is_a_circle(sound: Path) -> None:
    data = sound.read_bytes()
    base = data.index(b"\x89HDF")
    _, free, segment = struct.unpack_from("<QQQ", data, data.index(b"HEAP") + 8)
    found = _refused(sound, _edited(sound, base + segment + free, "<Q", free))
    assert found == f"local heap: free block {free} follows itself, expected a list that ends"


@pytest.mark.parametrize(("kind", "key_nbytes"), [(0, 8), (1, 24)])
def test_a_tree_that_is_its_own_child(sound: Path, kind: int, key_nbytes: int) -> None:
    data = sound.read_bytes()
    base = data.index(b"\x89HDF")
    tree = data.index(b"TREE" + bytes([kind, kind]))  # the chunks have a tree of two levels
    own = _edited(sound, tree + 24 + key_nbytes, "<Q", tree - base)
    own = own[: tree + 5] + b"\1" + own[tree + 6 :]
    assert _refused(sound, own) == "B-tree: a child of level 1, expected 0"


def test_a_tree_that_is_entered_twice(sound: Path) -> None:
    data = sound.read_bytes()
    tree = data.index(b"TREE\1\1")
    [child] = struct.unpack_from("<Q", data, tree + 24 + 24)
    found = _refused(sound, _edited(sound, tree + 24 + 24 + 32, "<Q", child))
    place = child + data.index(b"\x89HDF")
    assert found == f"B-tree: a child at byte {place}, which has another parent"


def test_neighbours_that_are_a_circle_do_no_harm(sound: Path) -> None:
    data = sound.read_bytes()
    tree = data.index(b"TREE\1\0")
    sound.write_bytes(_edited(sound, tree + 8, "<QQ", tree, tree))
    assert len(_read(sound)) == 42


def test_a_text_that_claims_more_than_its_heap_holds(sound: Path) -> None:
    data = sound.read_bytes()
    at = data.index(b"name\0") + 8
    reference = data.index(struct.pack("<I", 5), data.index(b"\x19\x01\x01\0", at) + 16)
    found = _opening_message(sound, _edited(sound, reference, "<I", 9))
    assert found == "w.h5: attribute 'name': a text of 9 bytes in 5"
    found = _opening_message(sound, _edited(sound, reference, "<I", (1 << 32) - 1))
    least = "4,294,967,295 bytes of text, expected at most 67,108,864"
    assert found == f"w.h5: attribute 'name': {least}"


def _opening_message(path: Path, data: bytes) -> str:
    """Give what opening bytes as a file is refused with."""
    path.write_bytes(data)
    with pytest.raises(CorruptCheckpointError) as caught:
        open_hdf5(str(path))
    return str(caught.value)


def test_an_attribute_that_is_no_text_is_not_read(sound: Path) -> None:
    data = sound.read_bytes()
    kind = data.index(b"\x19\x01\x01\0", data.index(b"name\0"))
    sound.write_bytes(_edited(sound, kind + 1, "<B", 0xFF))  # the library dies of this kind
    assert len(_read(sound)) == 42


def test_other_sizes_of_addresses_are_refused(sound: Path) -> None:
    base = sound.read_bytes().index(b"\x89HDF")
    sound.write_bytes(_edited(sound, base + 13, "<BB", 4, 2))
    with pytest.raises(UnsupportedFeatureError) as caught:
        open_hdf5(str(sound))
    found = "offsets of 4 bytes and lengths of 2, expected 8 and 8"
    assert str(caught.value) == f"w.h5: superblock: {found}"


def test_a_cache_image_is_refused_while_a_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    path.write_bytes(b"MDCI" + bytes(60))
    with FileWindow(str(path)) as window:
        guard = GuardedWindow(window, "w.h5")
        guard.is_opening = False
        assert guard.read(4) == b"MDCI"
        guard.is_opening = True
        guard.seek(0)
        for _ in range(2):  # once refused, nothing is given any more
            with pytest.raises(UnsupportedFeatureError) as caught:
                guard.read(4)
            guard.seek(8)
    assert str(caught.value) == "w.h5: an image of HDF5's metadata cache, expected none"


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_files_that_once_hung_the_library(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(kept_of(name[2:].replace("h5", "hdf5"))["vlen_attribute_hangs_libhdf5"])
    with pytest.raises(CheckpointError):
        open_checkpoint(str(path))


# Exact bounds, on bytes made by hand.


def _guarded(path: Path, data: bytes) -> GuardedWindow:
    path.write_bytes(data)
    return GuardedWindow(FileWindow(str(path)), "w.h5")


def _reading(path: Path, data: bytes, at: int, nbytes: int) -> str:
    """Give what the library is refused with where it reads bytes; empty where it is not."""
    guard = _guarded(path, data)
    guard.seek(at)
    with suppress(CheckpointError):
        assert guard.read(nbytes) == data[at : at + nbytes]
    if guard.refusal is None:
        return ""
    guard.seek(0)
    with pytest.raises(CheckpointError) as caught:  # from then on it is given nothing
        guard.read(1)
    assert caught.value is guard.refusal
    return str(guard.refusal)


SIGNATURE = b"\x89HDF\r\n\x1a\n"


@pytest.mark.parametrize("at", [0, 512, 1024, 4096])
@pytest.mark.parametrize(("version", "place"), [(0, 13), (1, 13), (2, 9), (3, 9)])
def test_where_a_superblock_may_be_and_what_it_says(
    tmp_path: Path, at: int, version: int, place: int
) -> None:
    block = bytearray(SIGNATURE + bytes([version]) + bytes(7))
    block[place : place + 2] = 8, 8
    path = tmp_path / "w.h5"
    guard = _guarded(path, bytes(at) + block + b"data")
    assert guard.pread(16, 4) == b"data"  # addresses count from there
    for offsets, lengths in ((8, 4), (4, 8)):
        block[place : place + 2] = offsets, lengths
        found = f"offsets of {offsets} bytes and lengths of {lengths}, expected 8 and 8"
        with pytest.raises(UnsupportedFeatureError) as caught:
            _guarded(path, bytes(at) + block)
        assert str(caught.value) == f"w.h5: superblock: {found}"


def test_a_superblock_is_at_a_power_of_two_or_nowhere(tmp_path: Path) -> None:
    block = SIGNATURE + bytes(5) + b"\4\4\0"
    for before in (8, 256, 1536):
        assert _guarded(tmp_path / "w.h5", bytes(before) + block + b"xx").pread(0, 2) == b"\0\0"
    with pytest.raises(UnsupportedFeatureError):
        _guarded(tmp_path / "w.h5", bytes(512) + block)
    assert _guarded(tmp_path / "w.h5", bytes(512) + block[:-1]).pread(0, 1) == b"\0"


def _heap(*objects: tuple[int, int], nbytes: int = 4096) -> bytes:
    """Make a global heap of objects of an index and a size."""
    data = struct.pack("<4sB3xQ", b"GCOL", 1, nbytes)
    for index, size in objects:
        data += struct.pack("<HHIQ", index, 1, 0, size) + bytes(-(-size // 8) * 8 if index else 0)
    return data.ljust(4096, b"\0")


REST = 4096 - 16


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (_heap((1, 9), (2, 0), (0, REST - 48)), ""),
        (_heap((1, REST - 16)), ""),
        (_heap((0, REST)), ""),
        (_heap((0, REST - 8)), ""),  # what is left holds no object
        (_heap((1, REST - 15)), f"object 1 of {REST - 15} bytes, expected 0 to {REST - 16}"),
        (_heap((0, 15)), f"object 0 of 15 bytes, expected 16 to {REST}"),
        (_heap((0, REST + 1)), f"object 0 of {REST + 1} bytes, expected 16 to {REST}"),
        (_heap((3, 8), (0, 16)), f"object 0 of 0 bytes, expected 16 to {REST - 40}"),
        (_heap(nbytes=4095), "4095 bytes, expected 4096 to 4096"),
        (_heap(nbytes=4097), "4097 bytes, expected 4096 to 4096"),
        (_heap((0, REST))[:-1], "4095 bytes are left, expected 4096"),
        (b"GCOL\2" + _heap()[5:], ""),
    ],
)
def test_bounds_of_a_global_heap(tmp_path: Path, data: bytes, found: str) -> None:
    said = _reading(tmp_path / "w.h5", bytes(24) + data, 24, 16)
    assert said == (f"w.h5: global heap at byte 24: {found}" if found else "")


def test_a_global_heap_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READ_NBYTES", 40)
    sizes = [0, 3, 8, 24, 25, 100, 1, 17, 9]
    used = sum(16 + -(-size // 8) * 8 for size in sizes)
    objects = [(at + 1, size) for at, size in enumerate(sizes)]
    assert _reading(tmp_path / "w.h5", _heap(*objects, (0, REST - used)), 0, 16) == ""
    found = f"object 0 of 1 bytes, expected 16 to {REST - used}"
    assert found in _reading(tmp_path / "w.h5", _heap(*objects, (0, 1)), 0, 16)


def test_how_many_objects_a_global_heap_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _heap((1, 0), (2, 0), (0, REST - 32))
    monkeypatch.setattr(module, "_MAX_OBJECTS", 3)
    assert _reading(tmp_path / "w.h5", data, 0, 16) == ""
    monkeypatch.setattr(module, "_MAX_OBJECTS", 2)
    found = "global heap at byte 0: over 2 objects, expected one for each index"
    assert _reading(tmp_path / "w.h5", data, 0, 16) == f"w.h5: {found}"


def _names(free: int, *blocks: int, nbytes: int = 64) -> bytes:
    """Make a local heap whose free blocks, of 16 bytes, say which is next; data at byte 32."""
    data = b"".join(struct.pack("<QQ", following, 16) for following in blocks)
    return struct.pack("<4sB3xQQQ", b"HEAP", 0, nbytes, free, 32) + data.ljust(64, b"\0")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (_names(1), ""),
        (_names(0, 16, 48, 0, 1), ""),
        (_names(0, 0), "free block 0 follows itself"),
        (_names(0, 16, 0), "free block 0 follows itself"),
        (_names(48, 0, 0, 0, 48), "free block 48 follows itself"),
        (_names(49, 0, 0, 0, 49), ""),  # out of the heap: the library refuses it
        (_names(0, 0, nbytes=15), ""),
        (_names(0, 0, nbytes=1 << 40), "free block 0 follows itself"),
        (_names(0, 0)[:31], ""),
        (b"HEAP\1" + _names(0, 0)[5:], ""),
    ],
)
def test_free_blocks_of_a_local_heap(tmp_path: Path, data: bytes, found: str) -> None:
    said = _reading(tmp_path / "w.h5", data, 0, 16)
    expected = f"w.h5: local heap at byte 0: {found}, expected a list that ends"
    assert said == (expected if found else "")


def test_how_many_free_blocks_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _names(0, 16, 32, 1)
    monkeypatch.setattr(module, "_MAX_OBJECTS", 3)
    assert _reading(tmp_path / "w.h5", data, 0, 16) == ""
    monkeypatch.setattr(module, "_MAX_OBJECTS", 2)
    found = "local heap at byte 0: too many blocks, expected a list that ends"
    assert _reading(tmp_path / "w.h5", data, 0, 16) == f"w.h5: {found}"


def _node(kind: int, level: int, children: list[int], *, n: int | None = None) -> bytes:
    """Make a node of a B-tree: of a group (8 bytes a key), or of chunks (24 bytes, 32 of them)."""
    head = struct.pack("<4sBBHQQ", b"TREE", kind, level, len(children) if n is None else n, 0, 0)
    key = bytes(8 if kind == 0 else 24)
    body = key + b"".join(child.to_bytes(8, "little") + key for child in children)
    return head + (body if kind == 0 else body.ljust(64 * 32 + 24, b"\0"))


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize(
    ("level", "lower", "found"),
    [
        (1, 0, ""),
        (2, 1, ""),
        (2, 2, "a child of level 2, expected 1"),
        (2, 0, "a child of level 0, expected 1"),
        (1, 1, "a child of level 1, expected 0"),
        (0, 0, ""),
        (0, 7, ""),
    ],
)
def test_levels_of_a_tree(tmp_path: Path, kind: int, level: int, lower: int, found: str) -> None:
    child = _node(kind, lower, [])
    own = _node(kind, level, [0, len(child)])
    data = child + child + own
    at = 2 * len(child)
    said = _reading(tmp_path / "w.h5", data, at, len(own))
    assert said == (f"w.h5: B-tree at byte {at}: {found}" if found else "")
    twice = _node(kind, level, [0, 0])
    said = _reading(tmp_path / "w.h5", child + child + twice, at, len(twice))
    if level and not found:
        assert said == f"w.h5: B-tree at byte {at}: a child at byte 0, which has another parent"


def test_nodes_that_the_library_refuses_itself(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    leaf, leaves = _node(0, 0, []), _node(0, 1, [0, 0])
    for other in (b"TREE\2" + leaves[5:], b"TREF" + leaves[4:], leaves[:23]):
        assert _reading(path, leaf + other, len(leaf), len(other)) == ""
    cut = _node(0, 1, [0, 0])[:-9]  # the second child is not whole
    assert _reading(path, leaf + cut, len(leaf), len(cut)) == ""
    far = _node(0, 1, [1 << 40, 0, 0])
    assert _reading(path, leaf + far, len(leaf), len(far)) == ""
    other = _node(0, 1, [0])  # no node at all: what is there is no tree
    assert _reading(path, bytes(24) + other, 24, len(other)) == ""


@pytest.mark.parametrize(
    ("more", "is_refused"), [(0, False), (65, False), (1, True), (-65 * 9, True)]
)
def test_sizes_of_nodes_of_chunks(tmp_path: Path, more: int, is_refused: bool) -> None:
    """A key is 8 bytes, and 8 for each dimension: the node says how many by its size."""
    leaf = _node(1, 0, [])
    node = _node(1, 1, []).ljust(len(leaf) + more, b"\0")[: len(leaf) + more]
    said = _reading(tmp_path / "w.h5", leaf + node, len(leaf), len(node))
    found = f"a node of {len(node)} bytes, expected 32 pairs"
    assert said == (f"w.h5: B-tree at byte {len(leaf)}: {found}" if is_refused else "")


def test_what_was_checked_is_not_checked_again(tmp_path: Path) -> None:
    """A node that is read once more has the same children, which then have one parent still."""
    leaf = _node(0, 0, [])
    node = _node(0, 1, [0])
    guard = _guarded(tmp_path / "w.h5", leaf + node)
    for _ in range(3):
        guard.seek(len(leaf))
        assert guard.read(len(node)) == node
