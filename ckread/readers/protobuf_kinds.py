"""Protobuf files have no magic: the first fields tell which message it is.

SavedModel    1 schema version = 1, 2 MetaGraphDef (begins with its field 1)
ONNX          1 version of the format, from 3, then text or messages
MetaGraphDef  1 MetaInfoDef: 2 list of operations, 5 TensorFlow's version
GraphDef      1 NodeDef: 1 name, 2 operation, both text
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.errors import CorruptCheckpointError
from ckread.readers.kinds import Kind
from ckread.readers.varint import parse_varint
from ckread.readers.wire import LENGTH_DELIMITED, VARINT

if TYPE_CHECKING:
    from collections.abc import Iterator

Field = tuple[int, int, int | bytes]
"""Field number, wire type, and the number or the bytes as far as they are there."""

_FIRST_ONNX_VERSION = 3
_LAST_ONNX_VERSION = 99
_N_FIELDS = 3


def protobuf_kind(head: bytes) -> Kind | None:
    """Tell which known message begins with these bytes, None if it is none of them."""
    fields = _first_fields(head)
    match fields:
        case [(1, 0, 1), (2, 2, bytes(graph)), *_] if graph[:1] == b"\x0a":
            return Kind.SAVED_MODEL
        case [(1, 0, int(version)), (number, 2, _), *_] if (
            _FIRST_ONNX_VERSION <= version <= _LAST_ONNX_VERSION and number in (2, 7, 8)
        ):
            return Kind.ONNX
        case [(1, 2, bytes(first)), *_]:
            return _graph_kind(_first_fields(first))
    return None


def _graph_kind(first: list[Field]) -> Kind | None:
    match first:
        case [(1, 2, bytes(name)), (2, 2, bytes(operation)), *_] if _is_name(name) and _is_name(
            operation
        ):
            return Kind.GRAPH_DEF
        case [(2, 2, bytes(operations)), *_] if operations[:1] == b"\x0a":
            return Kind.META_GRAPH
        case [(4 | 5, 2, bytes(text)), *_] if _is_name(text):
            return Kind.META_GRAPH
    return None


def _is_name(text: bytes) -> bool:
    return text.isascii() and text.decode().isprintable() and bool(text)


def _first_fields(data: bytes) -> list[Field]:
    return [field for field, _ in zip(_iter_fields(data), range(_N_FIELDS), strict=False)]


def _iter_fields(data: bytes) -> Iterator[Field]:
    """Yield fields up to the end of what is there; the last may be cut."""
    at = 0
    try:
        while at < len(data):
            tag, at = parse_varint(data, at, len(data))
            value, at = parse_varint(data, at, len(data))
            if tag & 7 == LENGTH_DELIMITED:
                yield tag >> 3, LENGTH_DELIMITED, data[at : at + value]
                at += value
            elif tag & 7 == VARINT:
                yield tag >> 3, VARINT, value
            else:
                return
    except CorruptCheckpointError:
        return
