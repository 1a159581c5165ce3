"""The variables in the object graph of a SavedModel.

    SavedObjectGraph  1 nodes: SavedObject, 2 concrete_functions: skipped
    SavedObject       1 children, 3 slot_variables, 5 asset, 7 variable, …
    SavedVariable     1 dtype, 2 shape, 3 trainable, 6 name

A node's id is its place in the list, the same as in the object graph that the
checkpoint beside it holds.

Reference: tensorflow/core/protobuf/saved_object_graph.proto
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.readers.dtypes import DATA_TYPES, DataType
from ckread.readers.signatures import PartialShape, parse_partial_shape
from ckread.readers.varint import signed32
from ckread.readers.wire import LENGTH_DELIMITED, VARINT, Span, iter_fields, parse_text

if TYPE_CHECKING:
    from ckread.readers.field_stream import FieldStream

_NODES = 1
_VARIABLE = 7


class SavedVariable(NamedTuple):
    """One variable.

    Attributes:
        name: its own name, often without the layer's; empty if it has none.
        dtype: its element type.
        shape: its shape, None if not even the rank is known.
        trainable: its flag when it was created, whatever was frozen later.
    """

    name: str
    dtype: DataType
    shape: PartialShape | None
    trainable: bool


def read_object_variables(stream: FieldStream, span: Span) -> dict[int, SavedVariable]:
    """Give the variables of the SavedObjectGraph at a place of a file, by node id.

    Raises:
        CorruptCheckpointError: it is no such message.
    """
    variables: dict[int, SavedVariable] = {}
    node_id = 0
    for number, wire_type, value in stream.fields(*span):
        if number != _NODES or wire_type != LENGTH_DELIMITED:
            continue
        buffer = stream.take(value, "an object")
        for inner, inner_type, item in iter_fields(buffer):
            if inner == _VARIABLE and inner_type == LENGTH_DELIMITED:
                variables[node_id] = parse_saved_variable(buffer, item)
        node_id += 1
    return variables


def parse_saved_variable(buffer: bytes, span: Span) -> SavedVariable:
    """Decode a SavedVariable.

    Raises:
        CorruptCheckpointError: it is no such message.
    """
    name = ""
    dtype = trainable = 0
    shape: PartialShape | None = ()
    for number, wire_type, value in iter_fields(buffer, *span):
        if wire_type == VARINT and number == 1:
            dtype = signed32(value)
        elif wire_type == VARINT and number == 3:
            trainable = value
        elif wire_type == LENGTH_DELIMITED and number == 2:
            shape = parse_partial_shape(buffer, value)
        elif wire_type == LENGTH_DELIMITED and number == 6:
            name = parse_text(buffer, value)
    known = DATA_TYPES.get(dtype, DataType.UNKNOWN)
    return SavedVariable(name, known, shape, bool(trainable))
