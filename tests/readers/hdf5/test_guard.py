"""What HDF5's library would loop or recurse on for ever is refused before it reads it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from ckread.errors import CheckpointError, CorruptCheckpointError, UnsupportedFeatureError
from ckread.model.opening import open_checkpoint
from ckread.readers.files import FileWindow
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
    least = "texts of 4294967295 bytes, expected at most 67108864"
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
