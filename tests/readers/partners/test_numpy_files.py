"""numpy's files, against numpy itself; headers that it does not write."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckread
from ckread.errors import CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.contract import DataType
from ckread.readers.partners.numpy_files import NumpyFile, parse_header
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = FIXTURES / "partners"
UNREAD = {"objects", "dates"}


@pytest.mark.parametrize("name", ["dtypes.npz", "deflated.npz"])
def test_every_array_is_what_numpy_reads(name: str) -> None:
    with np.load(FOLDER / name, allow_pickle=False) as arrays, ckread.open(FOLDER / name) as ours:
        assert set(ours) == set(arrays.files)
        for key in set(ours) - UNREAD:
            found, wanted = ours[key].numpy(), arrays[key]
            if wanted.dtype.kind in "SU":
                assert [one.decode() for one in found.tolist()] == [
                    one.decode() if isinstance(one, bytes) else one for one in wanted.tolist()
                ]
                continue
            assert found.shape == wanted.shape
            assert found.tobytes() == wanted.astype(wanted.dtype.newbyteorder("<")).tobytes("C")
            chunks = b"".join(chunk.tobytes() for chunk in ours[key].chunks(40))
            assert chunks == found.tobytes()
            assert ours[key][...].tobytes() == found.tobytes()


def test_arrays_of_objects_are_listed_and_never_unpickled() -> None:
    with NumpyFile(str(FOLDER / "dtypes.npz")) as reader:
        assert "objects (|O), dates (<M8[D]) are listed" in reader.notes[0]
        for key in UNREAD:
            assert reader.tensors[key].dtype is DataType.UNKNOWN
            with pytest.raises(UnsupportedFeatureError, match="numpy's type"):
                reader.read(key)


def test_an_array_alone_is_called_after_its_file() -> None:
    with ckread.open(FOLDER / "one.npy") as checkpoint:
        assert checkpoint["one"].numpy().tolist() == np.load(FOLDER / "one.npy").tolist()


def header(text: str, version: int = 1) -> bytes:
    size = 2 if version == 1 else 4
    return b"\x93NUMPY" + bytes([version, 0]) + len(text).to_bytes(size, "little") + text.encode()


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no header"),
        (b"\x93NUMPY", "no header"),
        (header(GOOD, 9), "no header"),
        (header(GOOD)[:40], "30 bytes of a header, expected 60"),
        (header(GOOD), "0 bytes of values, expected 24 by"),
        (header("{'descr': '<f4'}"), "that numpy does not write"),
        (header(GOOD.replace("3", "-3")), "that numpy does not write"),
        (header(GOOD.replace("3", "__import__('os')")), "that numpy does not write"),
        (header(GOOD.replace("3", "9" * 400)), "that numpy does not write"),
        (header(GOOD.replace("3", "9" * 19)), "0 bytes of values, expected 7"),
    ],
)
def test_headers_that_are_wrong(data: bytes, told: str) -> None:
    with pytest.raises(CorruptCheckpointError, match=told):
        parse_header(data, len(data))


def test_text_that_is_none_is_told(tmp_path: Path) -> None:
    """Fuzzing found it: numpy raises a SystemError for characters that there are not."""
    text = "{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }\n"
    path = tmp_path / "t.npy"
    good = "añ\U0010ffff".encode("utf-32-le") + bytes(4)
    path.write_bytes(header(text) + good)
    with ckread.open(path) as checkpoint:
        assert checkpoint["t"].numpy().tolist() == ["añ".encode(), "\U0010ffff".encode()]
    path.write_bytes(header(text) + good[:12] + b"\0\0\x11\0")
    with ckread.open(path) as checkpoint, pytest.raises(CorruptCheckpointError) as caught:
        checkpoint["t"].numpy()
    assert str(caught.value) == "t.npy: t: a character 0x110000, expected 0x10ffff at most"


def test_headers_of_python_2_and_of_version_2() -> None:
    found = parse_header(header(GOOD.replace("2, 3", "2L, 3L"), 2), 1000)
    assert (found.shape, found.nbytes, found.dtype) == ((2, 3), 24, DataType.FLOAT32)


@pytest.mark.parametrize("code", ["<U0", "|S0", "xf4", "|V2", "<f16", "[('a', '<f4')]"])
def test_types_that_are_none_of_ours_hold_no_bytes(code: str) -> None:
    quoted = code if code[0] == "[" else f"'{code}'"
    text = GOOD.replace("'<f4'", quoted).replace("(2, 3)", f"({10**18},)")
    found = parse_header(header(text), 1000)
    assert (found.dtype, found.nbytes) == (DataType.UNKNOWN, 0)


@given(
    st.sampled_from(["<f4", ">f8", "<i2", ">u4", "|b1", "<c8", "|S3", "<U2"]),
    st.lists(st.integers(0, 3), max_size=3),
    st.booleans(),
)
def test_what_numpy_saves(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, shape: list[int], is_fortran: bool
) -> None:
    path = tmp_path_factory.mktemp("saved") / "x.npy"
    values: Any = (np.arange(np.prod(shape, dtype=int)) % 7).astype(dtype).reshape(shape)
    np.save(path, np.asfortranarray(values) if is_fortran and shape else values)
    with NumpyFile(str(path)) as reader:
        found = reader.read("x")
        assert found.shape == tuple(shape)
        if values.dtype.kind not in "SU":
            assert found.tolist() == values.tolist()


def test_a_damaged_member_is_told_and_the_others_are_intact(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(100.0), b=np.arange(50.0))
    data = bytearray(path.read_bytes())
    data[data.index(np.float64(7).tobytes())] ^= 1
    path.write_bytes(data)
    report = ckread.check(path)
    assert report.damaged == {"a"}
    with ckread.open(path) as checkpoint:
        assert checkpoint["b"].numpy().sum() == 49 * 25


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    whole = header(GOOD.replace("2, 3", f"{(1 << 28)},"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", whole + bytes(1 << 26))
    with pytest.raises(CorruptCheckpointError, match="bytes of values, expected"):
        NumpyFile(str(path))


def test_an_array_in_memory_is_no_file() -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros((), "f4"))
    found = parse_header(stream.getvalue(), len(stream.getvalue()))
    assert (found.shape, found.nbytes) == ((), 4)
