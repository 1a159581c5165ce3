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
from ckread.readers.budget import over
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
    most = check_size(buffer, n_tensors)
    parts = length_delimited(buffer, 0, len(buffer))
    if len(parts) > most:
        raise CorruptCheckpointError(
            f"{len(parts):,} objects for {n_tensors:,} tensors", expected=f"{most:,} at most"
        )
    names: dict[bytes, str] = {}
    with no_garbage_collection():
        nodes = [
            _parse_variable(buffer, start, stop) or _parse_object(buffer, start, stop, names)
            if start < stop
            else _EMPTY
            for tag, start, stop in parts
            if tag == _FIELD_1
        ]
        return TrackableObjectGraph(tuple(nodes))


def check_size(buffer: bytes, n_tensors: int) -> int:
    """Check the size of a graph of so many tensors; give how many objects it may have."""
    nbytes = _FREE_NBYTES + _NBYTES_PER_TENSOR * n_tensors
    if len(buffer) > nbytes:
        raise CorruptCheckpointError(
            f"{len(buffer):,} bytes for {n_tensors:,} tensors", expected=f"{nbytes:,} at most"
        )
    return _FREE_OBJECTS + _OBJECTS_PER_TENSOR * n_tensors


def parse_node(buffer: bytes, start: int, stop: int) -> TrackableObject:
    """Decode one node."""
    if start == stop:
        return _EMPTY
    return _parse_variable(buffer, start, stop) or _parse_object(buffer, start, stop, {})


_VARINT_1 = 1 << 3 | VARINT
_FIELD_1, _FIELD_2, _FIELD_3, _FIELD_4, _FIELD_5 = (
    number << 3 | LENGTH_DELIMITED for number in range(1, 6)
)


_make = tuple.__new__
"""What a named tuple calls to make one, without the call: there are ten thousands."""

_HAS_VALUES = b"\x2a\x02\x08\x01"


def _parse_variable(buffer: bytes, start: int, stop: int) -> TrackableObject | None:
    """Decode a node that is one attribute and has values, as six in seven are, else None.

    The attribute has three texts, in order: what it is, full name, and key.
    """
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
    at = first + len(_VARIABLE_VALUE)
    if first + length != attribute_stop or at >= attribute_stop:
        return None
    if not buffer.startswith(_VARIABLE_VALUE, first):
        return None
    middle = at + 1 + buffer[at]
    key_at = middle + 2
    if key_at >= attribute_stop or buffer[middle] != _FIELD_3 or buffer[at] > 0x7F:
        return None
    length = buffer[middle + 1]
    is_whole = key_at + length == attribute_stop and length < 0x80
    if not is_whole or not buffer.startswith(_HAS_VALUES, attribute_stop):
        return None
    full_name = buffer[at + 1 : middle].decode("utf-8", "surrogateescape")
    key = buffer[key_at:attribute_stop].decode("utf-8", "surrogateescape")
    attribute = _make(Attribute, ("VARIABLE_VALUE", full_name, key))
    return _make(TrackableObject, ((), (attribute,), (), None, True, ""))


_VARIABLE_VALUE = b"\x0a\x0eVARIABLE_VALUE\x12"


def _parse_children(
    buffer: bytes, start: int, stop: int, names: dict[bytes, str]
) -> tuple[list[Child], int]:
    """Decode the children that a node begins with, and tell where they end.

    Those of `0A length 08 node_id 12 length local_name` with a node id of up to three bytes, as
    all are; each name is made once, for many objects use it.
    """
    children: list[Child] = []
    append, known, at = children.append, names.get, start
    try:
        while at < stop and buffer[at] == _FIELD_1 and buffer[at + 2] == _VARINT_1:
            length = buffer[at + 1]
            end = at + 2 + length
            node_id = buffer[at + 3]
            middle = at + 4
            if node_id > 0x7F:
                byte = buffer[middle]
                node_id += (byte << 7) - 0x80
                middle += 1
                if byte > 0x7F:
                    byte = buffer[middle]
                    node_id += (byte << 14) - 0x4000
                    middle += 1
                    if byte > 0x7F:
                        break
            name_at = middle + 2
            is_whole = name_at + buffer[middle + 1] == end <= stop and length < 0x80
            if buffer[middle] != _FIELD_2 or not is_whole:
                break
            raw = buffer[name_at:end]
            name = known(raw)
            if name is None:
                name = names[raw] = raw.decode("utf-8", "surrogateescape")
            append(_make(Child, (node_id, name)))
            at = end
    except IndexError:
        pass
    if len(children) > MAX_PARTS:
        raise over(MAX_PARTS, "parts in a message", offset=start)
    return children, at


def _parse_object(buffer: bytes, start: int, stop: int, names: dict[bytes, str]) -> TrackableObject:
    children, at = _parse_children(buffer, start, stop, names)
    attributes: list[Attribute] = []
    slot_variables: list[SlotVariable] = []
    saver: RegisteredSaver | None = None
    has_values: bool | None = None
    for tag, first, last in length_delimited(buffer, at, stop) if at < stop else ():
        if tag == _FIELD_1:
            node_id, local_name = 0, ""
            for number, wire_type, value in iter_fields(buffer, first, last):
                if number == 1 and wire_type == VARINT:
                    node_id = signed32(value)
                elif number == 2 and wire_type == LENGTH_DELIMITED:
                    local_name = parse_text(buffer, value)
            children.append(Child(node_id, local_name))
        elif tag == _FIELD_2:
            attributes.append(Attribute(*_parse_texts(buffer, (first, last), ("", "", ""))))
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


def _parse_texts(buffer: bytes, span: Span, texts: tuple[str, ...]) -> list[str]:
    """Give string fields 1 to the number of `texts`, which hold where one is absent."""
    result = list(texts)
    for number, wire_type, value in iter_fields(buffer, *span):
        if number <= len(result) and wire_type == LENGTH_DELIMITED:
            result[number - 1] = parse_text(buffer, value)
    return result
