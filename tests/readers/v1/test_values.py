"""Values of a TensorProto: each type has its field, of tensorflow/core/framework/tensor.proto."""

from __future__ import annotations

import struct
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from ckread.errors import CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.contract import DataType, numpy_dtype
from ckread.readers.v1.values import parse_values
from tests.builders import bytes_field, varint

HALF = int(np.float16(1.5).view("u2"))
BRAIN = int(np.float32(1.5).view("u4")) >> 16
WHOLE = (1 << 64) - 3
"""-3 as a varint."""


def _read(data: bytes, dtype: DataType, n: int) -> list[Any]:
    found = parse_values(b"xx" + data + b"yy", (2, 2 + len(data)), dtype, n)
    assert found.dtype == numpy_dtype(dtype)
    values: list[Any] = found.tolist()
    return values


def _both(data: bytes, other: bytes, dtype: DataType, expected: list[Any]) -> None:
    """Read values packed and one by one, and among fields of every other number."""
    for one in (data, other):
        assert _read(one, dtype, len(expected)) == expected
        noise = b"".join(bytes_field(n, b"") for n in range(1, 20))
        assert _read(noise + one + noise.replace(b"\x42\0", b""), dtype, len(expected)) == expected


@pytest.mark.parametrize(
    ("dtype", "number", "code"),
    [(DataType.FLOAT32, 5, "<f"), (DataType.FLOAT64, 6, "<d")],
)
def test_fractions(dtype: DataType, number: int, code: str) -> None:
    values = [1.5, -2.0, 0.25]
    raw = [struct.pack(code, one) for one in values]
    kind = 5 if code == "<f" else 1
    alone = b"".join(varint(number << 3 | kind) + one for one in raw)
    _both(bytes_field(number, b"".join(raw)), alone, dtype, values)
    with pytest.raises(CorruptCheckpointError, match=r"^\d+ bytes of f[48] numbers"):
        _read(bytes_field(number, b"".join(raw)[:-1]), dtype, 3)


@pytest.mark.parametrize(
    ("dtype", "number", "code"),
    [(DataType.COMPLEX64, 9, "<f"), (DataType.COMPLEX128, 12, "<d")],
)
def test_complex_numbers(dtype: DataType, number: int, code: str) -> None:
    raw = [struct.pack(code, one) for one in (1.5, -2.0, 0.25, 4.0)]
    kind = 5 if code == "<f" else 1
    alone = b"".join(varint(number << 3 | kind) + one for one in raw)
    _both(bytes_field(number, b"".join(raw)), alone, dtype, [1.5 - 2j, 0.25 + 4j])
    with pytest.raises(CorruptCheckpointError, match=r"^3 numbers, expected pairs"):
        _read(bytes_field(number, b"".join(raw[:3])), dtype, 1)


@pytest.mark.parametrize(
    ("dtype", "number", "stored", "expected"),
    [
        (DataType.INT32, 7, [5, WHOLE], [5, -3]),
        (DataType.INT16, 7, [5, WHOLE], [5, -3]),
        (DataType.INT8, 7, [5, WHOLE], [5, -3]),
        (DataType.UINT8, 7, [5, 200], [5, 200]),
        (DataType.UINT16, 7, [5, 60_000], [5, 60_000]),
        (DataType.QINT8, 7, [5, WHOLE], [5, -3]),
        (DataType.QUINT8, 7, [5, 200], [5, 200]),
        (DataType.QINT16, 7, [5, WHOLE], [5, -3]),
        (DataType.QUINT16, 7, [5, 60_000], [5, 60_000]),
        (DataType.QINT32, 7, [5, WHOLE], [5, -3]),
        (DataType.INT64, 10, [1 << 40, WHOLE], [1 << 40, -3]),
        (DataType.BOOL, 11, [0, 1], [False, True]),
        (DataType.FLOAT16, 13, [HALF, 0], [1.5, 0.0]),
        (DataType.BFLOAT16, 13, [BRAIN, 0], [1.5, 0.0]),
        (DataType.UINT32, 16, [5, (1 << 32) - 1], [5, (1 << 32) - 1]),
        (DataType.UINT64, 17, [5, (1 << 64) - 1], [5, (1 << 64) - 1]),
    ],
)
def test_whole_numbers(
    dtype: DataType, number: int, stored: list[int], expected: list[Any]
) -> None:
    packed = bytes_field(number, b"".join(map(varint, stored)))
    _both(packed, b"".join(varint(number << 3) + varint(one) for one in stored), dtype, expected)
    assert _read(packed + packed, dtype, 4) == expected + expected
    with pytest.raises(CorruptCheckpointError, match=r"^2 values, expected 3"):
        _read(packed, dtype, 3)


def test_texts() -> None:
    data = bytes_field(8, b"one") + varint(8 << 3) + b"\1" + bytes_field(8, b"")
    assert _read(data, DataType.STRING, 2) == [b"one", b""]


def test_integers_that_are_none() -> None:
    for packed, found in ((b"\x80", "runs past the end"), (b"\x80" * 10 + b"\1", "11 bytes")):
        with pytest.raises(CorruptCheckpointError, match=found):
            _read(bytes_field(10, packed), DataType.INT64, 1)
    assert _read(bytes_field(10, b"\x80" * 9 + b"\1"), DataType.INT64, 1) == [-(1 << 63)]


@pytest.mark.parametrize("dtype", [DataType.VARIANT, DataType.INT4, DataType.FLOAT8_E5M2])
def test_types_that_are_younger_than_the_format(dtype: DataType) -> None:
    with pytest.raises(UnsupportedFeatureError, match=f"^{dtype} in a V1 checkpoint"):
        parse_values(b"", (0, 0), dtype, 0)


def test_bfloat16_is_that_of_ml_dtypes() -> None:
    data = bytes_field(13, varint(BRAIN))
    assert parse_values(data, (0, len(data)), DataType.BFLOAT16, 1).dtype == ml_dtypes.bfloat16
