"""Datatypes, dataspaces and text attributes in the object headers of HDF5.

    dataspace   v1: version, rank, flags, 5 reserved, sizes u64; v2: …, kind, sizes
    datatype    class (low nibble) and version, 3 bytes of bits, size u32, properties
    attribute   v1 to v3: sizes of name, datatype and dataspace, these three, the data
    text        fixed, or u32 length, u64 address of a `GCOL`, u32 index in it

Reference: HDF5 File Format Specification, version 3.0, IV.A.2
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, NamedTuple

from ckread.readers.dtypes import DATA_TYPES, DataType
from ckread.readers.hdf5_heap import REFERENCE_NBYTES, DeclinedError, GlobalHeap

if TYPE_CHECKING:
    from ckread.readers.hdf5_heap import Source

_FIXED, _FLOAT, _STRING, _OPAQUE, _ENUM, _VARIABLE = 0, 1, 3, 5, 8, 9
_INTEGERS = {
    (1, True): DataType.INT8, (2, True): DataType.INT16, (4, True): DataType.INT32,
    (8, True): DataType.INT64, (1, False): DataType.UINT8, (2, False): DataType.UINT16,
    (4, False): DataType.UINT32, (8, False): DataType.UINT64,
}  # fmt: skip
_FLOATS = {
    # bit offset, precision, exponent at and of, mantissa at and of, bias
    struct.pack("<HHBBBBI", 0, 16, 10, 5, 0, 10, 15): DataType.FLOAT16,
    struct.pack("<HHBBBBI", 0, 32, 23, 8, 0, 23, 127): DataType.FLOAT32,
    struct.pack("<HHBBBBI", 0, 64, 52, 11, 0, 52, 1023): DataType.FLOAT64,
}
_LABELLED = {dtype.value: dtype for dtype in DATA_TYPES.values() if dtype.code[:1].isalpha()}
_MAX_TEXTS = 1 << 16
_MAX_TEXT_NBYTES = 64 << 20


class Space(NamedTuple):
    """A dataspace.

    Attributes:
        shape: size of each dimension.
        is_null: whether it has no elements at all, not even an empty dimension.
    """

    shape: tuple[int, ...]
    is_null: bool = False


def parse_space(data: bytes) -> Space:
    """Decode a dataspace.

    Raises:
        DeclinedError: it is of another version.
    """
    version, rank = data[0], data[1]
    if version == 1:
        return Space(struct.unpack_from(f"<{rank}Q", data, 8))
    if version != 2 or data[3] > 2:
        raise DeclinedError
    return Space(struct.unpack_from(f"<{rank}Q", data, 4), is_null=data[3] == 2)


def element_type(data: bytes, label: str | list[str] | None) -> tuple[DataType, bool]:
    """Give the element type of a dataset, and whether it is big-endian.

    Args:
        data: the datatype message.
        label: the attribute `dtype` of the dataset.

    Raises:
        DeclinedError: it is no plain number.
    """
    kind, bits = data[0] & 15, data[1]
    [nbytes] = struct.unpack_from("<I", data, 4)
    dtype: DataType | None = None
    if kind == _FIXED and struct.unpack_from("<HH", data, 8) == (0, 8 * nbytes):
        dtype = _INTEGERS.get((nbytes, bool(bits & 8)))
    elif kind == _FLOAT and not bits & 0x40 and data[2] == 8 * nbytes - 1:
        dtype = _FLOATS.get(data[8:20])
    elif kind == _OPAQUE and isinstance(label, str):
        dtype = _LABELLED.get(label)
        bits = 0
    if dtype is None or dtype.itemsize != nbytes:
        raise DeclinedError
    return dtype, bool(bits & 1) and nbytes > 1


def attribute_name(data: bytes) -> str:
    """Give the name of an attribute."""
    [nbytes] = struct.unpack_from("<H", data, 2)
    at = 9 if data[0] == 3 else 8
    return data[at : at + nbytes].split(b"\0")[0].decode(errors="surrogateescape")


def attribute_value(data: bytes, source: Source) -> tuple[str, str | list[str] | None]:
    """Give name and text of an attribute; None in place of what is no text.

    Raises:
        DeclinedError: it is of another version, or refers to something damaged.
    """
    version = data[0]
    sizes = struct.unpack_from("<HHH", data, 2)
    if version not in (1, 2, 3) or (version > 1 and data[1]):
        raise DeclinedError
    at = 9 if version == 3 else 8
    parts = []
    for nbytes in sizes:
        parts.append(data[at : at + nbytes])
        at += nbytes if version > 1 else -(-nbytes // 8) * 8
    _, kind, space = parts
    text = _texts(kind, parse_space(space), data[at:], source)
    return attribute_name(data), text


def _texts(kind: bytes, space: Space, data: bytes, source: Source) -> str | list[str] | None:
    """Decode texts: one where the dataspace is a scalar, else a list."""
    n_texts = math.prod(space.shape)
    [nbytes] = struct.unpack_from("<I", kind, 4)
    is_variable = kind[0] & 15 == _VARIABLE and kind[1] & 15 == 1
    if kind[0] & 15 != _STRING and not is_variable:
        return None if n_texts else []
    if n_texts > _MAX_TEXTS or n_texts * nbytes > len(data) or space.is_null:
        raise DeclinedError
    if is_variable:
        if nbytes != REFERENCE_NBYTES:
            raise DeclinedError
        heap = GlobalHeap(source, _MAX_TEXT_NBYTES)
        raw = heap.texts(data[: n_texts * nbytes])
    else:
        raw = [data[i * nbytes : (i + 1) * nbytes].rstrip(b"\0") for i in range(n_texts)]
    texts = [text.decode(errors="surrogateescape") for text in raw]
    return texts if space.shape else texts[0]
