"""V1 checkpoints from hand-made bytes: lists, values of every type, slices, parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from ckread.errors import (
    CorruptCheckpointError,
    NotACheckpointError,
    UnsupportedFeatureError,
    UsageError,
    VariableNotFoundError,
)
from ckread.readers.contract import DataType, Format
from ckread.readers.v1.reader import V1Table
from tests.builders import (
    bytes_field,
    ordered_key,
    shape_bytes,
    slice_bytes,
    table_bytes,
    varint,
    varint_field,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WHOLE = (0, None)


def _meta(name: str, dtype: DataType, shape: Sequence[int], *slices: Any) -> bytes:
    parts = slices or ([WHOLE] * len(shape),)
    return bytes_field(
        1,
        bytes_field(1, name.encode())
        + bytes_field(2, shape_bytes(shape))
        + varint_field(3, dtype.number)
        + b"".join(bytes_field(4, slice_bytes(one)) for one in parts),
    )


def _value(name: str, ranges: Any, proto: bytes) -> tuple[bytes, bytes]:
    data = (
        bytes_field(1, name.encode()) + bytes_field(2, slice_bytes(ranges)) + bytes_field(3, proto)
    )
    return ordered_key(name.encode(), ranges), bytes_field(2, data)


def _file(path: Path, metas: Sequence[bytes], values: Sequence[tuple[bytes, bytes]]) -> str:
    items = [(b"", bytes_field(1, b"".join(metas))), *sorted(values)]
    path.write_bytes(table_bytes(items))
    return str(path)


def _one(path: Path, dtype: DataType, shape: Sequence[int], proto: bytes) -> V1Table:
    ranges = [WHOLE] * len(shape)
    return V1Table(_file(path, [_meta("x", dtype, shape)], [_value("x", ranges, proto)]))


def _packed(number: int, values: Sequence[int]) -> bytes:
    return bytes_field(number, b"".join(map(varint, values)))


FLOATS = np.array([1.5, -0.0, np.nan, np.inf], "<f4")
WAVES = np.arange(8, dtype="<f4")
HALVES = [0x3C00, 0x8000, 0x7C00, 1]


def _integers(dtype: DataType, number: int, values: list[int]) -> tuple[DataType, bytes, Any]:
    return dtype, _packed(number, values), np.array(values, dtype.code)


TYPES: dict[str, tuple[DataType, bytes, Any]] = {
    "float": (DataType.FLOAT32, bytes_field(5, FLOATS.tobytes()), FLOATS),
    "double": (
        DataType.FLOAT64,
        bytes_field(6, FLOATS.astype("<f8").tobytes()),
        FLOATS.astype("f8"),
    ),
    "int32": _integers(DataType.INT32, 7, [1, -1, -(2**31), 2**31 - 1]),
    "int8": _integers(DataType.INT8, 7, [1, -1, -128, 127]),
    "uint16": _integers(DataType.UINT16, 7, [0, 1, 300, 65535]),
    "int64": _integers(DataType.INT64, 10, [0, -1, 2**62, -(2**63)]),
    "bool": _integers(DataType.BOOL, 11, [1, 0, 1, 1]),
    "uint64": _integers(DataType.UINT64, 17, [0, 1, 2**64 - 1, 5]),
    "complex64": (DataType.COMPLEX64, bytes_field(9, WAVES.tobytes()), WAVES.view("c8")),
    "half": (DataType.FLOAT16, _packed(13, HALVES), np.array(HALVES, "u2").view("f2")),
}


@pytest.mark.parametrize("name", TYPES)
def test_every_type(name: str, tmp_path: Path) -> None:
    dtype, proto, expected = TYPES[name]
    with _one(tmp_path / "m.ckpt", dtype, (2, 2), proto) as reader:
        assert reader.format is Format.V1_TABLE
        assert (reader.tensors["x"].dtype, reader.tensors["x"].shape) == (dtype, (2, 2))
        found = reader.read("x")
        assert (found.dtype, found.tobytes()) == (expected.dtype, expected.tobytes())
        assert reader.read_slice("x", (1, 0)).tobytes() == expected.reshape(2, 2)[1, 0].tobytes()
        assert reader.read_bytes("x") == expected.tobytes()
        assert reader.extents("x") is None


def test_numbers_that_are_not_packed(tmp_path: Path) -> None:
    proto = (
        varint(5 << 3 | 5)
        + np.float32(2.5).tobytes()
        + varint(5 << 3 | 5)
        + np.float32(3).tobytes()
    )
    with _one(tmp_path / "m.ckpt", DataType.FLOAT32, (2,), proto) as reader:
        assert reader.read("x").tolist() == [2.5, 3.0]
    proto = b"".join(varint(7 << 3) + varint(value) for value in (7, -7))
    with _one(tmp_path / "m.ckpt", DataType.INT32, (2,), proto) as reader:
        assert reader.read("x").tolist() == [7, -7]


def test_strings_and_a_scalar(tmp_path: Path) -> None:
    proto = bytes_field(8, b"one") + bytes_field(8, b"")
    with _one(tmp_path / "m.ckpt", DataType.STRING, (2,), proto) as reader:
        assert reader.read_strings("x") == [b"one", b""]
        assert reader.tensors["x"].nbytes == 0
        with pytest.raises(UsageError):
            reader.read_bytes("x")
    with _one(tmp_path / "m.ckpt", DataType.INT64, (), _packed(10, [9])) as reader:
        assert reader.read("x").shape == ()
        assert reader.read("x").item() == 9
        with pytest.raises(UsageError):
            reader.read_strings("x")


SLICES = [[(0, 1), WHOLE], [(1, 2), WHOLE]]


def _sliced(name: str, start: int, ranges: Any, rows: int) -> tuple[bytes, bytes]:
    values = np.arange(start, start + 2 * rows, dtype="<f4")
    return _value(name, ranges, bytes_field(5, values.tobytes()))


def test_slices_that_tensorflow_does_not_join(tmp_path: Path) -> None:
    values = [_sliced("x", 0, SLICES[0], 1), _sliced("x", 2, SLICES[1], 2)]
    path = _file(tmp_path / "m.ckpt", [_meta("x", DataType.FLOAT32, (3, 2), *SLICES)], values)
    with V1Table(path) as reader:
        assert reader.read("x").tolist() == [[0, 1], [2, 3], [4, 5]]
        chunks = [chunk.tolist() for chunk in reader.iter_chunks("x", 16)]
        assert chunks == [[0, 1, 2, 3], [4, 5]]


def test_slices_in_two_files(tmp_path: Path) -> None:
    files = tuple(
        _file(
            tmp_path / f"m-{i}",
            [_meta("x", DataType.FLOAT32, (3, 2), SLICES[i])],
            [_sliced("x", 2 * i, SLICES[i], i + 1)],
        )
        for i in range(2)
    )
    with V1Table(str(tmp_path / "m"), files) as reader:
        assert reader.read("x").tolist() == [[0, 1], [2, 3], [4, 5]]
        assert [file.is_shard for file in reader.files()] == [True, True]


def test_parts_that_contradict_each_other(tmp_path: Path) -> None:
    files = tuple(
        _file(tmp_path / f"m-{i}", [_meta("x", DataType.FLOAT32, (3, 2 + i), SLICES[i])], [])
        for i in range(2)
    )
    with pytest.raises(CorruptCheckpointError) as caught:
        V1Table("m", files)
    assert str(caught.value) == "m: x is float32 (3, 2) and float32 (3, 3) in two of its files"


def test_a_slice_that_was_never_saved(tmp_path: Path) -> None:
    path = _file(tmp_path / "m.ckpt", [_meta("x", DataType.FLOAT32, (3, 2))], [])
    with V1Table(path) as reader, pytest.raises(CorruptCheckpointError) as caught:
        reader.read("x")
    assert str(caught.value) == "m.ckpt: x: listed, and its values are not there"


@pytest.mark.parametrize(
    ("dtype", "proto", "message"),
    [
        (DataType.FLOAT32, bytes_field(5, b"\0" * 12), "3 values, expected 2"),
        (DataType.FLOAT32, bytes_field(5, b"\0" * 7), "7 bytes of f4 numbers"),
        (
            DataType.INT32,
            bytes_field(7, b"\x80"),
            "a packed integer runs past the end of its field",
        ),
        (
            DataType.INT64,
            bytes_field(10, b"\x80" * 11 + b"\0" + b"\1"),
            "an integer: 12 bytes, expected at most 10",
        ),
        (DataType.COMPLEX64, bytes_field(9, b"\0" * 4), "1 numbers, expected pairs"),
    ],
)
def test_damaged_values(dtype: DataType, proto: bytes, message: str, tmp_path: Path) -> None:
    reader = _one(tmp_path / "m.ckpt", dtype, (2,), proto)
    with reader, pytest.raises(CorruptCheckpointError) as caught:
        reader.read("x")
    assert str(caught.value) == f"m.ckpt: x: {message}"


def test_types_that_v1_has_no_field_for(tmp_path: Path) -> None:
    reader = _one(tmp_path / "m.ckpt", DataType.INT4, (2,), b"")
    with reader, pytest.raises(UnsupportedFeatureError):
        reader.read("x")
    bits = np.array([1, 2.5], ml_dtypes.bfloat16)
    proto = _packed(13, bits.view("u2").tolist())
    with _one(tmp_path / "m.ckpt", DataType.BFLOAT16, (2,), proto) as reader:
        assert reader.read("x").tobytes() == bits.tobytes()


def test_a_table_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    path.write_bytes(table_bytes([(b"key", b"value")]))
    with pytest.raises(NotACheckpointError) as caught:
        V1Table(str(path))
    assert str(caught.value) == "m.ckpt: no list of tensors, expected a V1 checkpoint"


def test_a_name_listed_twice(tmp_path: Path) -> None:
    meta = _meta("x", DataType.FLOAT32, (2,))
    with pytest.raises(CorruptCheckpointError) as caught:
        V1Table(_file(tmp_path / "m.ckpt", [meta, meta], []))
    assert str(caught.value) == "m.ckpt: list of tensors: x twice, expected once"


def test_an_unknown_key(tmp_path: Path) -> None:
    reader = _one(tmp_path / "m.ckpt", DataType.FLOAT32, (2, 2), TYPES["float"][1])
    with reader, pytest.raises(VariableNotFoundError):
        reader.read("y")


def test_every_flip_is_found_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "m.ckpt"
    _one(path, DataType.FLOAT32, (2, 2), TYPES["float"][1]).close()
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        try:
            with V1Table(str(path)) as reader:
                assert reader.read("x").tobytes() == FLOATS.tobytes()
        except (CorruptCheckpointError, NotACheckpointError):
            continue


def test_a_name_without_end_is_told_without_end_of_the_message(tmp_path: Path) -> None:
    """Fuzzing found it: a byte of another field made bytes of a file a name of 13,000 of them."""
    name = "\n" * 10_000
    metas = [_meta(name, DataType.FLOAT32, (1,), [(0, None)])]
    with V1Table(_file(tmp_path / "v1", metas, [])) as table:
        with pytest.raises(CorruptCheckpointError) as caught:
            table.read(name)
        assert len(str(caught.value)) < 2000
        assert str(caught.value).isprintable()
