"""Element types and records, which every reader gives."""

from __future__ import annotations

import operator

import ml_dtypes
import numpy as np
import pytest

from ckread.readers.contract import (
    DATA_TYPES,
    DataType,
    FileIdentity,
    TensorColumns,
    TensorRecord,
    checksums_of,
    numpy_dtype,
)

TYPES_PROTO = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "string": 7,
    "complex64": 8, "int64": 9, "bool": 10, "qint8": 11, "quint8": 12, "qint32": 13,
    "bfloat16": 14, "qint16": 15, "quint16": 16, "uint16": 17, "complex128": 18, "float16": 19,
    "resource": 20, "variant": 21, "uint32": 22, "uint64": 23, "float8_e5m2": 24,
    "float8_e4m3fn": 25, "float8_e4m3fnuz": 26, "float8_e4m3b11fnuz": 27, "float8_e5m2fnuz": 28,
    "int4": 29, "uint4": 30, "int2": 31, "uint2": 32, "float4_e2m1fn": 33,
}  # fmt: skip
"""Of tensorflow/core/framework/types.proto, by the names of tf.DType."""
WITHOUT = {"string", "resource", "variant", "unknown"}


def test_numbers_of_element_types() -> None:
    assert {str(dtype): number for number, dtype in DATA_TYPES.items() if number} == TYPES_PROTO
    assert DATA_TYPES[0] is DataType.UNKNOWN


@pytest.mark.parametrize("dtype", DataType)
def test_an_element_takes_what_numpy_takes_for_it(dtype: DataType) -> None:
    if dtype in WITHOUT:
        assert (dtype.is_plain, dtype.itemsize, dtype.code) == (False, 0, "")
        return
    kind = numpy_dtype(dtype)
    assert dtype.is_plain
    assert dtype.itemsize == kind.itemsize
    stored = {"qint8": "int8", "quint8": "uint8", "qint16": "int16", "quint16": "uint16"}
    name = (stored | {"qint32": "int32"}).get(dtype, str(dtype))
    assert kind == (
        np.dtype(name) if hasattr(np, name) or name == "bool" else getattr(ml_dtypes, name)
    )
    assert kind.byteorder in "|="


def test_types_without_an_array_form() -> None:
    assert numpy_dtype(DataType.STRING) == np.dtype(object)
    for dtype in (DataType.RESOURCE, DataType.UNKNOWN):
        with pytest.raises(KeyError):
            numpy_dtype(dtype)


@pytest.mark.parametrize(
    ("dtype", "other", "is_same"),
    [
        (DataType.FLOAT32, "float32", True), (DataType.FLOAT32, np.float32, True),
        (DataType.FLOAT32, np.dtype("f4"), True), (DataType.FLOAT32, DataType.FLOAT32, True),
        (DataType.FLOAT64, float, True), (DataType.STRING, np.dtype(object), True),
        (DataType.FLOAT32, "float64", False), (DataType.FLOAT32, np.float64, False),
        (DataType.FLOAT32, np.dtype("f8"), False), (DataType.FLOAT32, int, False),
        (DataType.FLOAT32, object, False), (DataType.FLOAT32, 1, False),
        (DataType.FLOAT32, None, False), (DataType.RESOURCE, np.dtype(object), False),
        (DataType.FLOAT32, DataType.INT8, False),
    ],
)  # fmt: skip
def test_what_a_type_equals(dtype: DataType, other: object, is_same: bool) -> None:
    assert operator.eq(dtype, other) is operator.eq(other, dtype) is is_same
    assert operator.ne(dtype, other) is operator.ne(other, dtype) is (not is_same)
    assert {DataType.INT8: 1}["int8"] == 1  # type: ignore[index]


def test_when_a_file_was_written() -> None:
    assert FileIdentity(1, 2, 1_500_000_000_250_000_000).seconds == 1_500_000_000.25
    assert FileIdentity(1, 2, 0).seconds == 0.0


def _columns() -> TensorColumns:
    kinds = [(DataType.FLOAT32, (2,), 8), (DataType.INT64, (), 8), (DataType.FLOAT32, (3,), 12)]
    return TensorColumns(
        ["a", "b", "c", "d"],
        kinds,
        np.array([0, 1, 2, 0], np.int32),
        np.array([5, 6, 7, 8], np.uint32),
        np.array([1, 0, 1, 0], np.int32),
        np.array([0, 40, 8, 100], np.int64),
    )


def test_columns_are_a_mapping_of_records() -> None:
    columns = _columns()
    records = [
        TensorRecord("a", DataType.FLOAT32, (2,), 8, 5, 1, 0),
        TensorRecord("b", DataType.INT64, (), 8, 6, 0, 40),
        TensorRecord("c", DataType.FLOAT32, (3,), 12, 7, 1, 8),
        TensorRecord("d", DataType.FLOAT32, (2,), 8, 8, 0, 100),
    ]
    assert list(columns.values()) == list(columns.rows()) == records
    assert list(columns.items()) == [(one.key, one) for one in records]
    assert [columns[key] for key in columns] == records
    assert [columns.place(key) for key in ("a", "d", "", "bb", "e")] == [0, 3, None, None, None]
    assert "c" in columns
    assert "cc" not in columns
    assert not columns.__contains__(1)
    assert len(columns) == 4
    with pytest.raises(KeyError, match="bb"):
        columns["bb"]
    assert columns.ends() == {0: [48, 108], 1: [8, 20]}
    assert dict(checksums_of(columns)) == {"a": 5, "b": 6, "c": 7, "d": 8}
    assert checksums_of({"x": records[0]}) == {"x": 5}


def test_ends_beyond_64_bits_are_exact() -> None:
    columns = _columns()
    columns.offset = np.array([0, 40, (1 << 63) - 5, 100], np.int64)
    assert columns.ends() == {0: [48, 108], 1: [8, (1 << 63) + 7]}
    columns.offset[2] -= 8
    assert columns.ends()[1][1] == (1 << 63) - 1


def test_columns_of_one_structure() -> None:
    one, other = _columns(), _columns()
    other.crc32c, other.offset, other.shard = one.crc32c[::-1], one.offset[::-1], one.kind
    assert one.structure() == other.structure()  # wherever they lie
    renamed, turned = _columns(), _columns()
    renamed.keys_in_order[1] = "bb"
    turned.kind = turned.kind[::-1].copy()
    assert one.structure() not in (renamed.structure(), turned.structure())
    reordered = _columns()
    reordered.kinds = [reordered.kinds[i] for i in (2, 1, 0)]
    reordered.kind = np.array([2, 1, 0, 2], np.int32)
    assert one.structure() == reordered.structure()
    assert one.structure()[0] == "a\nb\nc\nd"
