"""The element types of HDF5 datasets, as Keras writes them.

    little- and big-endian integers and floats, complex pairs, enum bool   plain
    opaque of 2 bytes with the attribute `dtype` = "bfloat16"              bfloat16
    strings of fixed or variable length                                    strings
    object and region references                                           refused

float8 layers store float32. Packed int4 is stored as int8: only the layer's
configuration tells (see `keras_config`).

Reference: HDF5 File Format Specification, IV.A.2.d, the Datatype Message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.readers.dtypes import DATA_TYPES, DataType

if TYPE_CHECKING:
    import numpy as np

_PLAIN = {
    "f2": DataType.FLOAT16, "f4": DataType.FLOAT32, "f8": DataType.FLOAT64,
    "i1": DataType.INT8, "i2": DataType.INT16, "i4": DataType.INT32, "i8": DataType.INT64,
    "u1": DataType.UINT8, "u2": DataType.UINT16, "u4": DataType.UINT32, "u8": DataType.UINT64,
    "c8": DataType.COMPLEX64, "c16": DataType.COMPLEX128, "b1": DataType.BOOL,
}  # fmt: skip
_OPAQUE: dict[str, DataType] = {
    dtype: dtype for dtype in DATA_TYPES.values() if dtype.code[:1].isalpha()
}


class StoredType(NamedTuple):
    """How the elements of a dataset are stored.

    Attributes:
        dtype: the element type, `UNKNOWN` for what no tensor holds.
        big_endian: whether multi-byte elements are in network order.
        has_references: whether elements are references to other objects.
    """

    dtype: DataType
    big_endian: bool = False
    has_references: bool = False


def stored_type(stored: np.dtype[Any], label: str) -> StoredType:
    """Tell the element type from h5py's numpy type.

    Args:
        stored: what `dataset.dtype` gives.
        label: the attribute `dtype` of the dataset, empty where it has none.
    """
    import h5py

    if h5py.check_ref_dtype(stored) is not None:
        return StoredType(DataType.UNKNOWN, has_references=True)
    if h5py.check_string_dtype(stored) is not None:
        return StoredType(DataType.STRING)
    if stored.kind == "V" and stored.names is None and stored.subdtype is None:
        dtype = _OPAQUE.get(label, DataType.UNKNOWN)
        return StoredType(dtype if dtype.itemsize == stored.itemsize else DataType.UNKNOWN)
    dtype = _PLAIN.get(stored.str[1:], DataType.UNKNOWN)
    return StoredType(dtype, big_endian=stored.str[0] == ">")
