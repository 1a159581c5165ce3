"""The values of V1 checkpoints: a TensorProto that has neither type nor shape.

    5 float   6 double   7 int32, int16, int8, uint8, uint16 and quantised   8 string
    9 complex64   10 int64   11 bool   12 complex128   13 half   16 uint32   17 uint64

Numbers are packed: floats as they are, integers as varints (negative ones in ten
bytes), half as the varint of its bits, complex numbers as pairs.

Reference: tensorflow/core/framework/tensor.proto
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.errors import CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.budget import over
from ckread.readers.contract import DataType, numpy_dtype
from ckread.readers.protobuf import FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, Span, iter_fields

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIELDS = {
    DataType.FLOAT32: 5, DataType.FLOAT64: 6, DataType.STRING: 8, DataType.COMPLEX64: 9,
    DataType.INT64: 10, DataType.BOOL: 11, DataType.COMPLEX128: 12, DataType.FLOAT16: 13,
    DataType.BFLOAT16: 13, DataType.UINT32: 16, DataType.UINT64: 17,
    **dict.fromkeys(
        (
            DataType.INT32, DataType.INT16, DataType.INT8, DataType.UINT8, DataType.UINT16,
            DataType.QINT8, DataType.QUINT8, DataType.QINT32, DataType.QINT16, DataType.QUINT16,
        ),
        7,
    ),
}  # fmt: skip
_RAW = {5: "<f4", 9: "<f4", 6: "<f8", 12: "<f8"}
_MAX_VARINT_NBYTES = 10
_AT_ONCE = 1 << 22


def parse_values(
    buffer: bytes, span: Span, dtype: DataType, n_elements: int
) -> NDArray[np.generic]:
    """Give the elements of a TensorProto as a 1-D array."""
    wanted = _FIELDS.get(dtype)
    if wanted is None:
        raise UnsupportedFeatureError(f"{dtype} in a V1 checkpoint, which has no field for it")
    found = [
        (wire_type, value)
        for number, wire_type, value in iter_fields(buffer, *span)
        if number == wanted
    ]
    array: NDArray[np.generic]
    if dtype is DataType.STRING:
        texts = [buffer[value[0] : value[1]] for kind, value in found if kind == LENGTH_DELIMITED]
        array = np.empty(len(texts), object)
        array[:] = texts
    elif wanted in _RAW:
        array = _as_dtype(_fixed(buffer, found, _RAW[wanted]), dtype)
    else:
        parts = [np.empty(0, np.uint64)]
        for kind, value in found:
            if kind == VARINT:
                parts.append(np.array([value], np.uint64))
            elif kind == LENGTH_DELIMITED:
                parts += _packed(buffer, *value)
        array = _as_dtype(np.concatenate(parts), dtype)
    if array.size != n_elements:
        raise CorruptCheckpointError(f"{array.size} values, expected {n_elements}")
    return array


def _fixed(buffer: bytes, found: list[tuple[int, Any]], code: str) -> NDArray[Any]:
    dtype = np.dtype(code)
    parts: list[NDArray[Any]] = []
    for kind, value in found:
        if kind == LENGTH_DELIMITED:
            start, stop = value
            if (stop - start) % dtype.itemsize:
                raise CorruptCheckpointError(f"{stop - start} bytes of {code[1:]} numbers")
            parts.append(np.frombuffer(buffer, dtype, (stop - start) // dtype.itemsize, start))
        elif kind == (FIXED32 if dtype.itemsize == 4 else FIXED64):
            parts.append(np.frombuffer(value.to_bytes(dtype.itemsize, "little"), dtype))
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def _packed(buffer: bytes, start: int, stop: int) -> list[NDArray[np.uint64]]:
    """Decode packed varints, a few MiB at a time."""
    parts = []
    while start < stop:
        end = min(stop, start + _AT_ONCE)
        raw = np.frombuffer(buffer, np.uint8, end - start, start)
        ends = np.flatnonzero(raw < 0x80) + 1
        if not len(ends) or (end == stop and ends[-1] != len(raw)):
            raise CorruptCheckpointError("a packed integer runs past the end of its field")
        parts.append(_decode(raw[: ends[-1]], ends))
        start += int(ends[-1])
    return parts


def _decode(raw: NDArray[np.uint8], ends: NDArray[np.intp]) -> NDArray[np.uint64]:
    starts = np.concatenate((np.zeros(1, ends.dtype), ends[:-1]))
    lengths = ends - starts
    longest = int(lengths.max())
    if longest > _MAX_VARINT_NBYTES:
        raise over(_MAX_VARINT_NBYTES, "bytes", longest, what="an integer")
    values = np.zeros(len(ends), np.uint64)
    for i in range(longest):
        more = lengths > i
        bits = (raw[starts[more] + i] & 0x7F).astype(np.uint64)
        values[more] |= bits << np.uint64(7 * i)
    return values


def _as_dtype(values: NDArray[Any], dtype: DataType) -> NDArray[np.generic]:
    kind = numpy_dtype(dtype)
    if dtype in (DataType.FLOAT16, DataType.BFLOAT16):
        return values.astype(np.uint16).view(kind)
    if dtype in (DataType.COMPLEX64, DataType.COMPLEX128):
        if values.size % 2:
            raise CorruptCheckpointError(f"{values.size} numbers, expected pairs")
        return values.view(kind)
    if dtype is DataType.BOOL:
        return values.astype(np.bool_)
    return values.astype(kind)  # modulo two to the bits: sign extension undone
