"""What is listed through h5py, in whole records, and the bounds of what is read so."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import h5py
import ml_dtypes
import numpy as np
import pytest

from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    ErrorKind,
    NotACheckpointError,
    TruncatedFileError,
    UnsupportedFeatureError,
)
from ckread.readers.contract import DataType
from ckread.readers.files import FileWindow
from ckread.readers.hdf5 import library, process, texts, values
from ckread.readers.hdf5.file import HDF5File
from ckread.readers.hdf5.guard import GuardedWindow
from ckread.readers.hdf5.library import LibraryFile, stored_type
from ckread.readers.hdf5.messages import DamagedTextError, Dataset, DeclinedError
from ckread.readers.hdf5.texts import UnverifiedTextError, _unfiltered, read_text
from ckread.readers.hdf5.values import iter_parts, read_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Opened = Callable[[Callable[[h5py.File], object]], LibraryFile]

TEXT = h5py.string_dtype()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Give what writes a file and opens it."""
    files: list[LibraryFile] = []

    def make(fill: Callable[[h5py.File], object]) -> LibraryFile:
        path = tmp_path / f"{len(files)}.h5"
        with h5py.File(path, "w") as file:
            fill(file)
        files.append(LibraryFile(FileWindow(str(path)), "w.h5"))
        return files[-1]

    yield make
    for one in files:
        one.close()
        one.window.close()


def _refusal(action: Callable[[], object]) -> tuple[str, ErrorKind]:
    with pytest.raises(CheckpointError) as caught:
        action()
    return str(caught.value), caught.value.kind


# Listing.


def _compact(file: h5py.File) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((3,))
    made = h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, space, plist)
    h5py.Dataset(made)[...] = [1, 2, 3]


def _everything(file: h5py.File) -> None:
    file["big"] = np.ones((2, 3), ">f8")
    file["bits"] = np.ones((3,), ml_dtypes.bfloat16).view("V2")
    file["bits"].attrs["dtype"] = "bfloat16"
    file["bits as they are"] = np.ones((3,), "V2")
    file["bool"] = np.array([True, False])
    file["chunked"] = np.ones((5,), "i2")
    del file["chunked"]
    file.create_dataset("chunked", data=np.ones(5, "i2"), chunks=(3,))
    _compact(file)
    file.create_dataset("empty", (0, 4), "f4")
    file["fixed"] = np.array([b"ab", b"c"], "S5")
    file["g/10"] = np.float16(1)
    file["g/9"] = np.complex64(1)
    file["null"] = h5py.Empty("f4")
    file["pair"] = np.zeros(2, [("a", "f4"), ("b", "i4")])
    file.create_dataset("texts", data=["a", "bc"], dtype=TEXT)
    file.create_dataset("unwritten", (4,), "f4")


def test_every_kind_of_dataset(opened: Opened) -> None:
    file = opened(_everything)
    with h5py.File(file.path) as raw:
        at = {name: raw[name].id.get_offset() for name in ("big", "bits", "bool", "g/9", "g/10")}
        pair = raw["pair"].id.get_storage_size()
    listed = file.datasets()
    places = [one.address for one in listed if isinstance(one, Dataset)]
    assert len(set(places)) == len(places)
    assert all(0 < place < file.window.nbytes for place in places)
    found = [one if isinstance(one, str) else one._replace(address=0) for one in listed]
    f4, string, unknown = DataType.FLOAT32, DataType.STRING, DataType.UNKNOWN
    assert found == [
        Dataset("big", DataType.FLOAT64, (2, 3), 48, at["big"], True, 0),
        Dataset("bits", DataType.BFLOAT16, (3,), 6, at["bits"], False, 0),
        Dataset("bits as they are", unknown, (3,), 6, None, False, 0),
        Dataset("bool", DataType.BOOL, (2,), 2, at["bool"], False, 0),
        Dataset("chunked", DataType.INT16, (5,), 12, None, False, 0),
        Dataset("compact", f4, (3,), 12, None, False, 0),
        Dataset("empty", f4, (0, 4), 0, None, False, 0),
        Dataset("fixed", string, (2,), 10, None, False, 0),
        "g",
        Dataset("g/9", DataType.COMPLEX64, (), 8, at["g/9"], False, 0),
        Dataset("g/10", DataType.FLOAT16, (), 2, at["g/10"], False, 0),
        Dataset("null", f4, (0,), 0, None, False, 0),
        Dataset("pair", unknown, (2,), pair, None, False, 0),
        Dataset("texts", string, (2,), 32, None, False, 0),
        Dataset("unwritten", f4, (4,), 0, None, False, 0),
    ]
    file.verify([one if isinstance(one, str) else one.path for one in listed], through_all=True)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("<f2", DataType.FLOAT16), ("<f4", DataType.FLOAT32), ("<f8", DataType.FLOAT64),
        ("i1", DataType.INT8), ("<i2", DataType.INT16), ("<i4", DataType.INT32),
        ("<i8", DataType.INT64), ("u1", DataType.UINT8), ("<u2", DataType.UINT16),
        ("<u4", DataType.UINT32), ("<u8", DataType.UINT64), ("<c8", DataType.COMPLEX64),
        ("<c16", DataType.COMPLEX128), ("?", DataType.BOOL), ("f4,f4", DataType.UNKNOWN),
        (("f4", (2,)), DataType.UNKNOWN), ("<f16", DataType.UNKNOWN), (TEXT, DataType.STRING),
        ("S3", DataType.STRING), ("V2", DataType.BFLOAT16), ("V4", DataType.UNKNOWN),
    ],
)  # fmt: skip
def test_element_types(stored: Any, expected: DataType) -> None:
    dtype = np.dtype(stored)
    assert stored_type(dtype, "bfloat16") == (expected, False, False)
    if dtype.kind in "fiuc" and dtype.itemsize > 1 and expected is not DataType.UNKNOWN:
        assert stored_type(dtype.newbyteorder(">"), "") == (expected, True, False)


def test_references_are_no_numbers() -> None:
    for kind in (h5py.ref_dtype, h5py.regionref_dtype):
        assert stored_type(kind, "").has_references


# What is refused, and what is not yet.


def _link(file: h5py.File, link: object) -> None:
    file["g/a"] = link


@pytest.mark.parametrize(
    ("fill", "found", "kind"),
    [
        (
            lambda file: _link(file, h5py.SoftLink("/x")),
            "'g/a' is a soft link, expected a group or dataset of this file",
            ErrorKind.UNSUPPORTED,
        ),
        (
            lambda file: _link(file, h5py.ExternalLink("x.h5", "/y")),
            "'g/a' is an external link, expected a group or dataset of this file",
            ErrorKind.LEADS_OUT,
        ),
        (
            lambda file: file.create_dataset("a", (4,), "f4", external=[("x", 0, 16)]),
            "'a' is an external dataset, whose values lie in another file",
            ErrorKind.LEADS_OUT,
        ),
        (
            lambda file: file.create_dataset("a", (1,), h5py.ref_dtype),
            "'a' is a dataset of object references, expected numbers",
            ErrorKind.UNSUPPORTED,
        ),
    ],
)
def test_what_leads_elsewhere(
    opened: Opened, fill: Callable[[h5py.File], object], found: str, kind: ErrorKind
) -> None:
    assert _refusal(lambda: opened(fill).datasets()) == (f"w.h5: {found}", kind)


def test_chunks_of_the_largest_size(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    file = opened(lambda one: one.create_dataset("x", data=np.ones(64, "f4"), chunks=(32,)))
    monkeypatch.setattr(library, "_MAX_CHUNK_NBYTES", 128)
    assert len(file.datasets()) == 1
    monkeypatch.setattr(library, "_MAX_CHUNK_NBYTES", 127)
    found = "'x' has chunks of 128 bytes, expected at most 127"
    assert _refusal(file.datasets) == (f"w.h5: {found}", ErrorKind.UNSUPPORTED)


def test_the_most_of_small_chunks(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    file = opened(lambda one: one.create_dataset("x", data=np.ones(10, "f4"), chunks=(2,)))
    monkeypatch.setattr(library, "_MAX_SMALL_CHUNKS", 5)
    assert len(file.datasets()) == 1
    monkeypatch.setattr(library, "_MAX_SMALL_CHUNKS", 4)
    found = "'x' is cut into 5 chunks of 8 bytes, expected at most 4 of that size"
    assert _refusal(file.datasets) == (f"w.h5: {found}", ErrorKind.UNSUPPORTED)
    monkeypatch.setattr(library, "_SMALL_CHUNK_NBYTES", 8)
    assert len(file.datasets()) == 1  # they are not small


@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_what_is_a_bomb(opened: Opened, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By how many times more it is, above a size that does no harm; texts sooner."""
    dtype, name = ("f4", "_MAX_EXPANSION") if kind == "numbers" else ("S4", "_MAX_TEXT_EXPANSION")

    def fill(file: h5py.File) -> None:
        file.create_dataset("x", data=np.zeros(400, dtype), chunks=(400,), compression="gzip")

    file = opened(fill)
    [one] = file.datasets()
    assert isinstance(one, Dataset)
    assert 10 < one.nbytes < 100
    monkeypatch.setattr(library, "_BOMB_FLOOR_NBYTES", 1599)
    times = -(-1600 // one.nbytes)
    monkeypatch.setattr(library, name, times)
    assert file.datasets() == [one]
    monkeypatch.setattr(library, name, times - 1)
    what = f"'x' holds 1600 bytes of values in {one.nbytes} stored bytes, a decompression bomb"
    assert _refusal(file.datasets) == (f"w.h5: {what}", ErrorKind.CORRUPT)
    monkeypatch.setattr(library, "_BOMB_FLOOR_NBYTES", 1600)
    assert file.datasets() == [one]


# Reading.


def test_values_may_begin_as_an_image_of_the_cache(opened: Opened) -> None:
    """Only while the file is opened is that what HDF5 parses."""
    data = np.frombuffer(b"MDCI" + bytes(60), "u1")
    file = opened(lambda one: one.create_dataset("x", data=data, chunks=(64,)))
    [found] = file.datasets()
    assert isinstance(found, Dataset)
    assert file.values(found, ()).tobytes() == data.tobytes()


def test_values_in_part_and_in_their_own_type(opened: Opened) -> None:
    def fill(file: h5py.File) -> None:
        file["big"] = np.arange(6, dtype=">i4").reshape(2, 3)
        file["bits"] = np.arange(3).astype(ml_dtypes.bfloat16).view("V2")
        file["bits"].attrs["dtype"] = "bfloat16"
        file["one"] = np.float64(7)

    file = opened(fill)
    found = {one.path: one for one in file.datasets() if isinstance(one, Dataset)}
    big = file.values(found["big"], (slice(1, 2), slice(0, 2)))
    assert (big.tolist(), big.dtype.str) == ([[3, 4]], "<i4")
    bits = file.values(found["bits"], (slice(1, 3),))
    assert (bits.tolist(), bits.dtype) == ([1, 2], ml_dtypes.bfloat16)
    one = file.values(found["one"], (0,))  # a scalar has nothing to pick from
    assert (one.shape, one.tolist()) == ((), 7)


def test_texts_of_a_fixed_length(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"w{i}".encode() for i in range(10)]

    def fill(file: h5py.File) -> None:
        file["words"] = np.array(words).reshape(2, 5)
        file["one"] = np.bytes_("single")

    monkeypatch.setattr(library, "_STRINGS_AT_ONCE", 3)
    file = opened(fill)
    found = {one.path: one for one in file.datasets() if isinstance(one, Dataset)}
    assert file.strings(found["words"], 20) == words
    assert file.strings(found["one"], 6) == [b"single"]
    error = "w.h5: 'words': 20 bytes of text, expected at most 19"
    refusal = _refusal(lambda: file.strings(found["words"], 19))
    assert refusal == (error, ErrorKind.CORRUPT)


@pytest.mark.parametrize(
    ("n_elements", "n_bytes", "is_read"), [(3, 12, True), (2, 12, False), (3, 11, False)]
)
def test_bounds_of_an_attribute(
    opened: Opened, n_elements: int, n_bytes: int, is_read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = np.array([b"ab", b"cdef", b""], "S4")
    file = opened(lambda one: one.attrs.create("names", names))
    monkeypatch.setattr(texts, "MAX_ELEMENTS", n_elements)
    monkeypatch.setattr(texts, "MAX_NBYTES", n_bytes)
    if is_read:
        assert file.attribute("", "names") == ["ab", "cdef", ""]
    else:
        found = f"3 elements in 12 bytes, expected at most {n_elements} in {n_bytes}"
        refusal = _refusal(lambda: file.attribute("", "names"))
        assert refusal == (f"w.h5: attribute 'names': {found}", ErrorKind.CORRUPT)


def test_attributes_of_every_kind(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["one"] = "text"
        file.attrs["bytes"] = np.bytes_(b"b\xff")
        file.attrs["list"] = ["a", "b"]
        file.attrs["none"] = np.array([], "S1")
        file.attrs["no text"] = np.array([], TEXT)
        file.attrs["number"] = 3
        file.attrs["no number"] = np.array([], "f4")
        file.attrs["null"] = h5py.Empty("S1")

        def read(name: str, *, is_sound: bool = True) -> object:
            return read_text(file.id, name, is_sound=is_sound)

        found = {name: read(name) for name in (*file.attrs, "absent")}
        assert found == {
            "one": "text", "bytes": "b\udcff", "list": ["a", "b"], "none": [], "no text": [],
            "number": None, "no number": [], "null": None, "absent": None,
        }  # fmt: skip
        assert read("bytes", is_sound=False) == "b\udcff"
        assert read("no text", is_sound=False) == []
        for name in ("one", "list"):
            with pytest.raises(UnverifiedTextError):
                read(name, is_sound=False)


# Chunks of references.

_PLAIN = bytes(range(32))
_SHUFFLED = bytes(_PLAIN[16 * i + at] for at in range(16) for i in range(2))


@pytest.mark.parametrize(
    ("stored", "filters", "mask"),
    [
        (_PLAIN, [], 0),
        (zlib.compress(_PLAIN), [1], 0),
        (_SHUFFLED, [2], 0),
        (zlib.compress(_SHUFFLED), [2, 1], 0),
        (_PLAIN, [2, 1], 3),
        (_PLAIN, [1], 1),
        (_SHUFFLED, [2, 1], 2),  # bit 1: the second filter was left out
        (zlib.compress(_PLAIN), [2, 1], 1),
        (_PLAIN, [32001], 1),
        (_SHUFFLED, [2, 32001], 2),
    ],
)
def test_filters_are_undone_from_the_last(stored: bytes, filters: list[int], mask: int) -> None:
    assert _unfiltered(stored, filters, mask, 32) == _PLAIN


@pytest.mark.parametrize(
    ("stored", "filters", "found"),
    [
        (_PLAIN[:-1], [], "a chunk of 31 bytes, expected 32"),
        (zlib.compress(bytes(99)), [1], "a chunk of 33 bytes, expected 32"),
        (_PLAIN[:-1], [2], "a chunk of 31 bytes, expected 32"),
        (b"abc", [1], "a chunk that does not inflate, Error -3 while decompressing data: "),
    ],
)
def test_chunks_of_another_size(stored: bytes, filters: list[int], found: str) -> None:
    with pytest.raises(DamagedTextError) as caught:
        _unfiltered(stored, filters, 0, 32)
    assert str(caught.value).startswith(found)


@pytest.mark.parametrize("number", [3, 4, 32000])
def test_other_filters_are_left_alone(number: int) -> None:
    with pytest.raises(DeclinedError) as caught:
        _unfiltered(_PLAIN, [number], 0, 32)
    assert type(caught.value) is DeclinedError


# Errors of HDF5.


@pytest.mark.parametrize(
    ("raised", "kind", "found"),
    [
        (OSError("truncated file: eof"), TruncatedFileError,
         "w.h5: x: the file ends at byte 5, HDF5 expects more"),
        (OSError("addr overflow, addr = 1"), TruncatedFileError,
         "w.h5: x: the file ends at byte 5, HDF5 expects more"),
        (OSError("file signature not found"), NotACheckpointError, "w.h5: no HDF5 signature"),
        (KeyError("a\n  b"), CorruptCheckpointError, "w.h5: x: HDF5 cannot read it, 'a\\n b'"),
        (ValueError(""), CorruptCheckpointError, "w.h5: x: HDF5 cannot read it, no reason given"),
        (RuntimeError("e" * 300), CorruptCheckpointError,
         "w.h5: x: HDF5 cannot read it, " + "e" * 200),
        (DamagedTextError("gone"), CorruptCheckpointError, "w.h5: x: gone"),
        (DeclinedError(), UnsupportedFeatureError,
         "w.h5: x: texts of variable length that cannot be found beforehand"),
    ],
)  # fmt: skip
def test_what_hdf5_raises(
    tmp_path: Path, raised: Exception, kind: type[CheckpointError], found: str
) -> None:
    path = tmp_path / "w.h5"
    path.write_bytes(b"12345")
    with FileWindow(str(path)) as window:
        guard = GuardedWindow(window, "w.h5")
        with pytest.raises(kind) as caught, library.translated("x", "w.h5", window, guard):
            raise raised
        assert type(caught.value) is kind
        assert str(caught.value) == found
        guard.refusal = refusal = CorruptCheckpointError("refused")
        again = library.translated("x", "w.h5", window, guard)
        with pytest.raises(CorruptCheckpointError) as caught, again:
            raise raised
        assert caught.value is refusal
        lost = library.translated("x", "w.h5", window, guard)  # by h5py
        with pytest.raises(CorruptCheckpointError) as caught, lost:
            pass
        assert caught.value is refusal


# Values as a stream.


def test_slabs_touch_few_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PYTHONS", ())
    monkeypatch.setattr(values, "_CHUNKS_AT_ONCE", 4)
    data = np.arange(64).reshape(8, 8)
    with h5py.File(tmp_path / "w.h5", "w") as raw:
        raw.create_dataset("x", data=data, chunks=(2, 2))
        raw.create_dataset("whole", data=data, chunks=(8, 8))
    file = HDF5File(FileWindow(str(tmp_path / "w.h5")), "w.h5")
    found = {one.path: one for one in file.datasets() if isinstance(one, Dataset)}
    sizes = {
        name: [part.size for part in iter_parts(file, one, 16 * 8)] for name, one in found.items()
    }
    assert sizes == {"whole": 4 * [16], "x": 4 * [16]}
    assert [part.size for part in iter_parts(file, found["x"], 32 * 8)] == 4 * [16]
    assert [part.size for part in iter_parts(file, found["whole"], 32 * 8)] == 2 * [32]
    assert [part.size for part in iter_parts(file, found["x"], 1)] == 64 * [1]
    parts = list(iter_parts(file, found["x"], 16 * 8))
    assert np.concatenate(parts).tolist() == list(range(64))
    monkeypatch.setattr(values, "_AT_ONCE_NBYTES", 8 * 8)
    assert read_part(file, found["x"], ()).tolist() == data.tolist()
    assert read_part(file, found["x"], (3, slice(1, 5, 2))).tolist() == [25, 27]
    file.close()


def test_large_chunks_of_other_filters_are_not_inflated(opened: Opened) -> None:
    data = np.repeat(np.random.default_rng(0).integers(0, 1 << 32, 40_000, np.uint32), 4)
    options: dict[str, Any] = {"chunks": data.shape, "compression": "lzf"}
    file = opened(lambda one: one.create_dataset("x", data=data, **options))
    [found] = file.datasets()
    assert isinstance(found, Dataset)
    assert 1 << 16 < found.nbytes < data.nbytes
    assert np.array_equal(file.values(found, ()), data)
