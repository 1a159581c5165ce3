"""A number from its bytes, without numpy: for counters and learning rates that `info` shows."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckread.readers.dtypes import DataType

_FORMATS = {
    "float32": "<f", "float64": "<d", "float16": "<e", "bfloat16": "<f",
    "int8": "<b", "int16": "<h", "int32": "<i", "int64": "<q",
    "bool": "<?", "uint8": "<B", "uint16": "<H", "uint32": "<I", "uint64": "<Q",
}  # fmt: skip


def is_number(dtype: DataType) -> bool:
    """Tell whether one element of a type is a plain Python number."""
    return dtype in _FORMATS


def decode_number(data: bytes, dtype: DataType) -> int | float | bool:
    """Give the number that little-endian bytes hold; its type `is_number`."""
    code = _FORMATS[dtype]
    # A bfloat16 is the upper half of a float32.
    value: int | float | bool = struct.unpack(code, data.rjust(struct.calcsize(code), b"\0"))[0]
    return value
