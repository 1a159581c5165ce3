"""Texts in HDF5 equal what h5py reads, and take no memory for what they only claim."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from ckread.errors import CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.keras.reader import open_hdf5

if TYPE_CHECKING:
    from pathlib import Path

KIND = h5py.string_dtype()
TEXTS = np.array([*("x" * (7 * i % 41) for i in range(58)), "žluť", "y" * 70_000], object)
GRID = TEXTS.reshape(6, 10)
CLAIM = 0xFFFFFFF0


def _fill(file: h5py.File) -> None:
    file.create_dataset("plain", data=TEXTS, dtype=KIND)
    file.create_dataset("grid", data=GRID, dtype=KIND)
    file.create_dataset("scalar", data="hello", dtype=KIND)
    file.create_dataset("empty", shape=(0,), dtype=KIND)
    file.create_dataset("chunks", data=GRID, chunks=(4, 3), dtype=KIND)
    file.create_dataset("gzip", data=GRID, chunks=(4, 3), dtype=KIND, compression="gzip")
    file.create_dataset("shuffle", data=GRID, chunks=(4, 3), dtype=KIND, shuffle=True)
    both: dict[str, Any] = {"compression": "gzip", "shuffle": True}
    file.create_dataset("both", data=GRID, chunks=(4, 3), dtype=KIND, **both)
    file.create_dataset("fixed", data=np.array([b"ab", b"c"], "S5"))
    h5d, h5s, h5t = h5py.h5d, h5py.h5s, h5py.h5t
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5d.COMPACT)
    kind, space = h5t.py_create(KIND, logical=True), h5s.create_simple((3,))
    h5py.Dataset(h5d.create(file.id, b"compact", kind, space, compact))[...] = ["p", "qq", ""]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("user_block", [0, 512])
def test_texts_of_every_layout(tmp_path: Path, libver: str, user_block: int) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=user_block) as file:
        _fill(file)
    with open_hdf5(str(path)) as reader, h5py.File(path) as file:
        assert sorted(reader.tensors) == sorted(file)
        for name in file:
            expected, found = np.asarray(file[name][()], object), reader.read(name)
            assert found.shape == expected.shape, name
            assert found.reshape(-1).tolist() == expected.reshape(-1).tolist(), name


def _lzf(file: h5py.File) -> None:
    file.create_dataset("x", data=TEXTS, dtype=KIND, compression="lzf")


def test_what_is_not_followed_is_declined(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        _lzf(file)
    with open_hdf5(str(path)) as reader, pytest.raises(UnsupportedFeatureError) as caught:
        reader.read("x")
    found = "texts of variable length that cannot be found beforehand"
    assert str(caught.value) == f"w.h5: 'x': {found}"


def _reference(data: bytes | bytearray, length: int) -> int:
    """Find the one reference to a text of so many bytes."""
    [at] = [
        at
        for at in range(len(data) - 16)
        if data[at : at + 4] == struct.pack("<I", length)
        and data[int.from_bytes(data[at + 4 : at + 12], "little") :][:4] == b"GCOL"
    ]
    return at


READ_BOUNDED = """
import resource, sys
from ckread.errors import CheckpointError
from ckread.model.opening import open_checkpoint
import h5py, numpy
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with open_checkpoint(sys.argv[1]) as checkpoint:
        for variable in checkpoint.values():
            variable.numpy()
except CheckpointError as error:
    print(error)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print("bounded" if grown < 50 << 10 else f"{grown >> 10} MiB")
"""


def _read_apart(path: Path) -> str:
    """Read in a process of its own, whose peak is its own; give what it says."""
    command = [sys.executable, "-c", READ_BOUNDED, str(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


@pytest.mark.parametrize("options", [{}, {"chunks": (2,)}], ids=["contiguous", "chunked"])
def test_a_text_of_four_gigabytes_is_not_believed(tmp_path: Path, options: dict[str, Any]) -> None:
    """HDF5's library takes 4.2 GB for it before it looks."""
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=["a", "hello world", ""], dtype=KIND, **options)
    data = bytearray(path.read_bytes())
    at = _reference(data, 11)
    assert _read_apart(path) == "bounded\n"
    struct.pack_into("<I", data, at, CLAIM)
    path.write_bytes(data)
    found = f"{CLAIM + 1:,} bytes of text, expected at most {1 << 30:,}"
    assert _read_apart(path) == f"w.h5: 'x': {found}\nbounded\n"
    struct.pack_into("<I", data, at, 12)
    path.write_bytes(data)
    with open_hdf5(str(path)) as reader, pytest.raises(CorruptCheckpointError) as caught:
        reader.read("x")
    assert str(caught.value) == "w.h5: 'x': a text of 12 bytes in 11"


def _rotated(value: int, n: int) -> int:
    return (value << n | value >> 32 - n) & 0xFFFFFFFF


def _lookup3(data: bytes) -> int:
    """Bob Jenkins' lookup3, which HDF5's newer headers end in."""
    mask = 0xFFFFFFFF
    a = b = c = 0xDEADBEEF + len(data) & mask
    while len(data) > 12:
        words = struct.unpack_from("<3I", data)
        a, b, c = (x + y & mask for x, y in zip((a, b, c), words, strict=True))
        for n in (4, 6, 8, 16, 19, 4):
            a = (a - c & mask) ^ _rotated(c, n)
            a, b, c = b, c + b & mask, a
        data = data[12:]
    words = struct.unpack("<3I", data.ljust(12, b"\0"))
    a, b, c = (x + y & mask for x, y in zip((a, b, c), words, strict=True))
    for n in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, n)) & mask
        a, b, c = b, c, a
    return int(b)


def _sealed(data: bytearray, header: int) -> None:
    """Put the right checksum behind the first block of an object header of version 2."""
    flags = data[header + 5]
    at = header + 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
    width = 1 << (flags & 3)
    stop = at + width + int.from_bytes(data[at : at + width], "little")
    struct.pack_into("<I", data, stop, _lookup3(bytes(data[header:stop])))


def _named(path: Path, n_more: int) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file["vars/0"] = np.zeros(3, "f4")
        for i in range(n_more):
            file["vars"].attrs[f"a{i}"] = "other"
        file["vars"].attrs["name"] = "a name of 20 letters"


def test_attributes_in_newer_headers_are_not_believed_either(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    _named(path, 0)
    data = bytearray(path.read_bytes())
    at = _reference(data, 20)
    header = data.rindex(b"OHDR", 0, at)
    _sealed(data, header)
    assert data == path.read_bytes()  # the checksum is HDF5's own
    struct.pack_into("<I", data, at, CLAIM)
    _sealed(data, header)
    path.write_bytes(data)
    found = f"{CLAIM:,} bytes of text, expected at most {64 << 20:,}"
    assert _read_apart(path) == f"w.h5: attribute 'name': {found}\nbounded\n"


@pytest.mark.parametrize("n_more", [0, 6])
def test_attributes_in_newer_headers_are_read(tmp_path: Path, n_more: int) -> None:
    """Six more go into a second block."""
    _named(tmp_path / "w.h5", n_more)
    with open_hdf5(str(tmp_path / "w.h5")) as reader:
        assert reader.contents.groups[""].name == "a name of 20 letters"


def test_attributes_in_a_heap_of_their_own_are_declined(tmp_path: Path) -> None:
    """From nine on HDF5 keeps them apart, where nothing is looked up beforehand."""
    _named(tmp_path / "w.h5", 20)
    with pytest.raises(UnsupportedFeatureError) as caught:
        open_hdf5(str(tmp_path / "w.h5"))
    found = "texts of variable length that cannot be found beforehand"
    assert str(caught.value) == f"w.h5: attribute 'name': {found}"


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("kind", [KIND, "S4", "f4"])
def test_an_attribute_without_a_value_is_no_text(tmp_path: Path, kind: Any, libver: str) -> None:
    with h5py.File(tmp_path / "w.h5", "w", libver=libver) as file:
        file["x"] = np.ones(2, np.float32)
        file.attrs["name"] = h5py.Empty(kind)
        file["x"].attrs["dtype"] = h5py.Empty(kind)
    with open_hdf5(str(tmp_path / "w.h5")) as reader:
        assert reader.contents.groups[""].name == ""
        assert reader.read("x").tolist() == [1, 1]
