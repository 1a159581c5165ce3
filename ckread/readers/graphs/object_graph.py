"""The trackable object graph: which Python object held which variable.

    TrackableObjectGraph  1 repeated TrackableObject nodes; node 0 is the root
    TrackableObject       1 children {1 node_id, 2 local_name}
                          2 attributes {1 name, 2 full_name, 3 checkpoint_key}
                          3 slot_variables {1 original_variable_node_id, 2 slot_name,
                            3 slot_variable_node_id}
                          4 registered_saver {1 name, 2 object_name}
                          5 has_checkpoint_values BoolValue {1 value}

The graph has cycles and shared nodes; nothing here follows an edge. Node ids are
given as stored: that they are in range is for whoever follows them.

Reference: tensorflow/core/protobuf/trackable_object_graph.proto
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CorruptCheckpointError
from ckread.readers.contract import no_garbage_collection
from ckread.readers.protobuf import (
    LENGTH_DELIMITED,
    MAX_PARTS,
    VARINT,
    iter_fields,
    length_delimited,
    parse_text,
    signed32,
)

if TYPE_CHECKING:
    from ckread.readers.protobuf import Span


class Child(NamedTuple):
    """An edge to a trackable object, under the name its holder knows it by."""

    node_id: int
    local_name: str


class Attribute(NamedTuple):
    """A value that an object keeps in the checkpoint.

    Attributes:
        name: what it is of the object, `VARIABLE_VALUE` for a variable.
        full_name: the variable's own name; empty where it has none.
        checkpoint_key: key of its tensor, or the beginning of it.
    """

    name: str
    full_name: str
    checkpoint_key: str


class SlotVariable(NamedTuple):
    """A variable that an optimizer keeps beside another."""

    original_variable_node_id: int
    slot_name: str
    slot_variable_node_id: int


class RegisteredSaver(NamedTuple):
    """The registered function that saved an object, and its name there."""

    name: str
    object_name: str


class TrackableObject(NamedTuple):
    """A node of the graph; `has_checkpoint_values` is None where the writer was too old.

    `kind` is what a SavedModel says that it was, `optimizer`; checkpoints do not tell.
    """

    children: tuple[Child, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    slot_variables: tuple[SlotVariable, ...] = ()
    registered_saver: RegisteredSaver | None = None
    has_checkpoint_values: bool | None = None
    kind: str = ""


class TrackableObjectGraph(NamedTuple):
    """All nodes; a node's id is its place."""

    nodes: tuple[TrackableObject, ...]


_EMPTY = TrackableObject()


_FREE_OBJECTS, _OBJECTS_PER_TENSOR = 1 << 16, 16
_FREE_NBYTES, _NBYTES_PER_TENSOR = 4 << 20, 4096
"""What a graph may hold at most; those of a hundred thousand variables have four objects and
three hundred bytes for each."""


def parse_object_graph(buffer: bytes, n_tensors: int = MAX_PARTS) -> TrackableObjectGraph:
    """Decode a TrackableObjectGraph of a checkpoint with so many tensors.

    Raises:
        CorruptCheckpointError: it is no such message, or has too many parts, for one or for
            what the checkpoint holds.
    """
    nbytes = _FREE_NBYTES + _NBYTES_PER_TENSOR * n_tensors
    if len(buffer) > nbytes:
        raise CorruptCheckpointError(
            f"{len(buffer):,} bytes for {n_tensors:,} tensors", expected=f"{nbytes:,} at most"
        )
    parts = length_delimited(buffer, 0, len(buffer))
    most = _FREE_OBJECTS + _OBJECTS_PER_TENSOR * n_tensors
    if len(parts) > most:
        raise CorruptCheckpointError(
            f"{len(parts):,} objects for {n_tensors:,} tensors", expected=f"{most:,} at most"
        )
    with no_garbage_collection():
        nodes = [
            _parse_variable(buffer, start, stop) or _parse_object(buffer, start, stop)
            if start < stop
            else _EMPTY
            for tag, start, stop in parts
            if tag == _FIELD_1
        ]
        return TrackableObjectGraph(tuple(nodes))


_VARINT_1 = 1 << 3 | VARINT
_FIELD_1, _FIELD_2, _FIELD_3, _FIELD_4, _FIELD_5 = (
    number << 3 | LENGTH_DELIMITED for number in range(1, 6)
)


_make = tuple.__new__
"""What a named tuple calls to make one, without the call: there are ten thousands."""

_HAS_VALUES = b"\x2a\x02\x08\x01"


def _parse_variable(buffer: bytes, start: int, stop: int) -> TrackableObject | None:
    """Decode a node that is one attribute and has values, as six in seven are, else None."""
    attribute_stop = stop - len(_HAS_VALUES)
    first = start + 2
    if first > attribute_stop or buffer[start] != _FIELD_2:
        return None
    length = buffer[start + 1]
    if length > 0x7F:
        if buffer[first] > 0x7F:
            return None
        length += (buffer[first] << 7) - 0x80
        first += 1
    if first + length != attribute_stop or not buffer.startswith(_HAS_VALUES, attribute_stop):
        return None
    attributes = (_parse_attribute(buffer, first, attribute_stop),)
    return _make(TrackableObject, ((), attributes, (), None, True, ""))


def _parse_object(buffer: bytes, start: int, stop: int) -> TrackableObject:
    children: list[Child] = []
    attributes: list[Attribute] = []
    slot_variables: list[SlotVariable] = []
    saver: RegisteredSaver | None = None
    has_values: bool | None = None
    for tag, first, last in length_delimited(buffer, start, stop):
        if tag == _FIELD_1:
            children.append(_parse_child(buffer, first, last))
        elif tag == _FIELD_2:
            attributes.append(_parse_attribute(buffer, first, last))
        elif tag == _FIELD_3:
            span = (first, last)
            original = slot = 0
            slot_name = ""
            for number, wire_type, value in iter_fields(buffer, *span):
                if number == 1 and wire_type == VARINT:
                    original = signed32(value)
                elif number == 2 and wire_type == LENGTH_DELIMITED:
                    slot_name = parse_text(buffer, value)
                elif number == 3 and wire_type == VARINT:
                    slot = signed32(value)
            parse_slot_variable = SlotVariable(original, slot_name, slot)
            slot_variables.append(parse_slot_variable)
        elif tag == _FIELD_4:
            saver = RegisteredSaver(*_parse_texts(buffer, (first, last), saver or ("", "")))
        elif tag == _FIELD_5 and buffer[first:last] == b"\x08\x01":
            has_values = True
        elif tag == _FIELD_5:
            flags = iter_fields(buffer, first, last)
            values = [value != 0 for number, kind, value in flags if (number, kind) == (1, VARINT)]
            has_values = [bool(has_values), *values][-1]
    return TrackableObject(
        tuple(children), tuple(attributes), tuple(slot_variables), saver, has_values
    )


def _parse_child(buffer: bytes, start: int, stop: int) -> Child:
    """Decode a child; most are `08 node_id 12 length local_name`, taken in line."""
    at = start
    node_id = shift = 0
    try:
        if buffer[at] == _VARINT_1:
            byte = 0x80
            while byte > 0x7F:
                at += 1
                byte = buffer[at]
                node_id |= (byte & 0x7F) << shift
                shift += 7
            at += 1
        length = buffer[at + 1]
        if buffer[at] == _FIELD_2 and at + 2 + length == stop and length < 0x80 and shift <= 28:
            name = buffer[at + 2 : stop].decode("utf-8", "surrogateescape")
            return _make(Child, (node_id, name))
    except IndexError:
        pass
    node_id, local_name = 0, ""
    for number, wire_type, value in iter_fields(buffer, start, stop):
        if number == 1 and wire_type == VARINT:
            node_id = signed32(value)
        elif number == 2 and wire_type == LENGTH_DELIMITED:
            local_name = parse_text(buffer, value)
    return Child(node_id, local_name)


def _parse_attribute(buffer: bytes, start: int, stop: int) -> Attribute:
    """Decode an attribute; a variable's three texts, in order, are taken in line."""
    at = start + len(_VARIABLE_VALUE)
    if at < stop and buffer.startswith(_VARIABLE_VALUE, start):
        middle = at + 1 + buffer[at]
        key = middle + 2
        if key < stop and buffer[middle] == _FIELD_3:
            length = buffer[middle + 1]
            if max(buffer[at], length) < 0x80 and key + length == stop:
                full_name = parse_text(buffer, (at + 1, middle))
                texts = "VARIABLE_VALUE", full_name, parse_text(buffer, (key, stop))
                return _make(Attribute, texts)
    return Attribute(*_parse_texts(buffer, (start, stop), ("", "", "")))


_VARIABLE_VALUE = b"\x0a\x0eVARIABLE_VALUE\x12"


def _parse_texts(buffer: bytes, span: Span, texts: tuple[str, ...]) -> list[str]:
    """Give string fields 1 to the number of `texts`, which hold where one is absent."""
    result = list(texts)
    for number, wire_type, value in iter_fields(buffer, *span):
        if number <= len(result) and wire_type == LENGTH_DELIMITED:
            result[number - 1] = parse_text(buffer, value)
    return result
