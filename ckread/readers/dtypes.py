"""The element types of a checkpoint: TensorFlow's DataType enum.

Only names, sizes and the numpy type as text: numpy and ml_dtypes are imported
when an array is made (`numpy_dtype`), so listing a checkpoint needs neither.

Reference: tensorflow/core/framework/types.proto. A checkpoint stores every
element of the int4, int2 and float4 types in a whole byte.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import numpy as np


class DataType(StrEnum):
    """One element type; the value is TensorFlow's name for it, `str(tf.DType)`.

    Attributes:
        number: the enum number in TensorFlow's protos; 0 for `UNKNOWN`.
        itemsize: bytes per stored element; 0 where elements have no fixed size.
        code: little-endian numpy type string, or the name of an ml_dtypes type;
            empty where values are not arrays of plain numbers.
    """

    number: int
    itemsize: int
    code: str

    # Enum's own goes through Python, and types are looked up for every variable.
    __hash__ = str.__hash__

    def __new__(cls, name: str, number: int, itemsize: int, code: str) -> Self:
        """Make a member whose value is the bare name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.number = number
        member.itemsize = itemsize
        member.code = code
        return member

    UNKNOWN = "unknown", 0, 0, ""
    FLOAT32 = "float32", 1, 4, "<f4"
    FLOAT64 = "float64", 2, 8, "<f8"
    INT32 = "int32", 3, 4, "<i4"
    UINT8 = "uint8", 4, 1, "|u1"
    INT16 = "int16", 5, 2, "<i2"
    INT8 = "int8", 6, 1, "|i1"
    STRING = "string", 7, 0, ""
    COMPLEX64 = "complex64", 8, 8, "<c8"
    INT64 = "int64", 9, 8, "<i8"
    BOOL = "bool", 10, 1, "|b1"
    QINT8 = "qint8", 11, 1, "|i1"
    QUINT8 = "quint8", 12, 1, "|u1"
    QINT32 = "qint32", 13, 4, "<i4"
    BFLOAT16 = "bfloat16", 14, 2, "bfloat16"
    QINT16 = "qint16", 15, 2, "<i2"
    QUINT16 = "quint16", 16, 2, "<u2"
    UINT16 = "uint16", 17, 2, "<u2"
    COMPLEX128 = "complex128", 18, 16, "<c16"
    FLOAT16 = "float16", 19, 2, "<f2"
    RESOURCE = "resource", 20, 0, ""
    VARIANT = "variant", 21, 0, ""
    UINT32 = "uint32", 22, 4, "<u4"
    UINT64 = "uint64", 23, 8, "<u8"
    FLOAT8_E5M2 = "float8_e5m2", 24, 1, "float8_e5m2"
    FLOAT8_E4M3FN = "float8_e4m3fn", 25, 1, "float8_e4m3fn"
    FLOAT8_E4M3FNUZ = "float8_e4m3fnuz", 26, 1, "float8_e4m3fnuz"
    FLOAT8_E4M3B11FNUZ = "float8_e4m3b11fnuz", 27, 1, "float8_e4m3b11fnuz"
    FLOAT8_E5M2FNUZ = "float8_e5m2fnuz", 28, 1, "float8_e5m2fnuz"
    INT4 = "int4", 29, 1, "int4"
    UINT4 = "uint4", 30, 1, "uint4"
    INT2 = "int2", 31, 1, "int2"
    UINT2 = "uint2", 32, 1, "uint2"
    FLOAT4_E2M1FN = "float4_e2m1fn", 33, 1, "float4_e2m1fn"

    @property
    def is_plain(self) -> bool:
        """Whether values are arrays of elements of one fixed size."""
        return self.itemsize > 0


DATA_TYPES: dict[int, DataType] = {member.number: member for member in DataType}
"""TensorFlow's enum number to the type; numbers that are absent are `UNKNOWN`."""


def numpy_dtype(dtype: DataType) -> np.dtype[np.generic]:
    """Give the little-endian numpy type of plain elements, `object` for strings."""
    import numpy as np

    if dtype is DataType.STRING:
        return np.dtype(object)
    if not dtype.is_plain:
        raise KeyError(dtype)
    if not dtype.code[0].isalpha():
        return np.dtype(dtype.code)
    import ml_dtypes

    scalar_type: type[np.generic] = getattr(ml_dtypes, dtype.code)
    return np.dtype(scalar_type)
