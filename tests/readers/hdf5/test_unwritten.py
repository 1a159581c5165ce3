"""HDF5 gives fill values for what was never written: no value of the file, and never sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

import ckread
from ckread.analysis.findings import Code
from ckread.errors import CheckpointError, CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.files import FileWindow
from ckread.readers.hdf5.library import LibraryFile
from ckread.readers.hdf5.plain import PlainFile
from ckread.readers.keras.reader import open_hdf5
from tests.hazards.bounded import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = h5py.string_dtype()
UNWRITTEN: dict[str, tuple[dict[str, Any], str]] = {
    "contiguous": ({"shape": (3, 4), "dtype": "f4"}, "never written"),
    "scalar": ({"shape": (), "dtype": "f4"}, "never written"),
    "filled": ({"shape": (3,), "dtype": "f4", "fillvalue": 7}, "never written"),
    "text": ({"shape": (3,), "dtype": TEXT}, "never written"),
    "filled text": ({"shape": (3,), "dtype": TEXT, "fillvalue": "x"}, "never written"),
    "fixed text": ({"shape": (3,), "dtype": "S5"}, "never written"),
    "huge": ({"shape": (1 << 20, 1 << 20), "dtype": "f4"}, "never written"),
    "chunks": ({"shape": (9, 9), "dtype": "f4", "chunks": (3, 3)}, "9 of 9 chunks"),
    "ragged": ({"shape": (10, 1), "dtype": "f4", "chunks": (3, 1)}, "4 of 4 chunks"),
    "gzip": (
        {"shape": (1 << 40,), "dtype": "f4", "chunks": (1 << 20,), "compression": "gzip"},
        "1048576 of 1048576 chunks",
    ),
}


def _file(path: Path, fill: Callable[[h5py.File], object], libver: str = "earliest") -> str:
    with h5py.File(path, "w", libver=libver) as file:
        file["written"] = np.ones(3, "f4")
        fill(file)
    return str(path)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("name", UNWRITTEN)
def test_what_was_never_written(tmp_path: Path, name: str, libver: str) -> None:
    options, found = UNWRITTEN[name]
    path = _file(tmp_path / "w.h5", lambda file: file.create_dataset(name, **options), libver)
    with open_hdf5(path) as reader:
        record = reader.tensors[name]
        assert (record.shape, record.nbytes) == (options["shape"], 0)
        reads: list[Callable[[], object]] = [
            lambda: reader.read(name),
            lambda: reader.read_slice(name, (0,) * bool(record.shape)),
            lambda: list(reader.iter_chunks(name)),
        ]
        for read in reads:
            message = refused(read)
            assert message.startswith(f"w.h5: {name!r}: {found}")
            assert "never written" in message
        assert reader.read("written").tolist() == [1, 1, 1]
    report = ckread.check(path)
    assert [(error.code, error.variable) for error in report.errors] == [(Code.DAMAGED, name)]
    assert "never written" in report.errors[0].message


def test_a_chunk_that_was_never_written(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("x", (9, 9), "f4", chunks=(3, 3))[:3, :] = 1

    with open_hdf5(_file(tmp_path / "w.h5", fill)) as reader:
        with pytest.raises(CorruptCheckpointError) as caught:
            reader.read("x")
        assert str(caught.value) == "w.h5: 'x': 6 of 9 chunks were never written"


def test_what_has_no_values_needs_none(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("empty", (0, 4), "f4")
        file.create_dataset("no chunk", (0,), "f4", chunks=(3,), maxshape=(None,))
        file.create_dataset("null", dtype="f4")

    path = _file(tmp_path / "w.h5", fill)
    assert ckread.check(path).sound
    with open_hdf5(path) as reader:
        assert reader.read("empty").shape == (0, 4)


# Bounds: chunks, and datasets.


def test_a_million_small_chunks_are_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=np.ones(70_000, "u1"), chunks=(1,))

    path = _file(tmp_path / "w.h5", fill)
    found = "is cut into 70000 chunks of 1 bytes, expected at most 65536 of that size"
    assert refused(lambda: open_hdf5(path)) == f"w.h5: 'x' {found}"


@pytest.mark.parametrize("chunks", [(1, 1), (100, 1), (1, 100), (7, 9)])
def test_many_chunks_are_read_in_few_at_a_time(tmp_path: Path, chunks: tuple[int, int]) -> None:
    values = np.random.default_rng(0).random((100, 100), np.float32)

    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=values, chunks=chunks)

    with open_hdf5(_file(tmp_path / "w.h5", fill)) as reader:
        assert np.array_equal(reader.read("x"), values)
        for nbytes in (40, 1000, 1 << 19):
            parts = [part.copy() for part in reader.iter_chunks("x", nbytes)]
            assert all(part.nbytes <= nbytes for part in parts)
            assert np.array_equal(np.concatenate(parts), values.reshape(-1))


def test_datasets_that_are_alike_are_listed_as_by_hdf5(tmp_path: Path) -> None:
    """Headers of one form are parsed once; those that differ in a byte are their own."""
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        for i in range(200):
            kind = ("f4", "f8", ">f4", "i2")[i % 4]
            dataset = file.create_dataset(f"g{i % 3}/d{i}", data=np.full((2 + i % 2, 3), i, kind))
            if i % 5 == 0:
                dataset.attrs["name"] = f"n{i % 10}"
    plain = PlainFile(FileWindow(str(path)))
    library = LibraryFile(FileWindow(str(path)), "w.h5")
    assert plain.listed == list(library.datasets())
    for item in plain.listed:
        if not isinstance(item, str):
            name = plain.attributes(item.path).get("name")
            assert name == library.attribute(item.path, "name")
    library.close()


def test_a_place_behind_the_end_is_seen_in_each(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        for i in range(9):
            file[f"d{i}"] = np.full(4, i, "f4")
        places = [file[f"d{i}"].id.get_offset() for i in range(9)]
    data = bytearray(path.read_bytes())
    for place in places[3:]:
        at = data.index(place.to_bytes(8, "little"))
        path.write_bytes(data[:at] + (1 << 40).to_bytes(8, "little") + data[at + 8 :])
        with pytest.raises(CheckpointError):
            _read_all(str(path))


def _read_all(path: str) -> None:
    with open_hdf5(path) as reader:
        for key in reader.tensors:
            reader.read(key)


# Filters that are not here.


def test_a_filter_that_hdf5_lacks_is_no_damage(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        options: dict[str, Any] = {"chunks": (10,), "compression": "gzip"}
        file.create_dataset("x", data=np.arange(100, dtype="f4"), **options)

    path = tmp_path / "w.h5"
    _file(path, fill)
    data = path.read_bytes()
    message = data.index(b"deflate\0")  # id, size of the name, flags, number of values: u16 each
    path.write_bytes(data[: message - 8] + (32001).to_bytes(2, "little") + data[message - 6 :])
    with open_hdf5(str(path)) as reader, pytest.raises(UnsupportedFeatureError) as caught:
        reader.read("x")
    found = "'x' is packed by filter 32001 (deflate), which HDF5 lacks here"
    assert str(caught.value) == f"w.h5: {found}"
    report = ckread.check(str(path))
    assert report.sound
    assert Code.UNREADABLE in {finding.code for finding in report.findings}
