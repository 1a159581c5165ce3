"""MetaGraphDef: the graph of a TF 1 checkpoint (`.meta`) and of a SavedModel.

    1 meta_info_def { 4 tags, 5 tensorflow_version }   2 graph_def: skipped
    3 saver_def { 4 max_to_keep, 5 sharded, 6 keep_checkpoint_every_n_hours, 7 version }
    4 collection_def: map of name to CollectionDef     5 signature_def: map
    6 asset_file_def { 1 tensor_info, 2 filename }     7 object_graph_def

The graph itself, which may be hundreds of MB, is never read, but for the list of
saved names where that is asked for.

Reference: tensorflow/core/protobuf/meta_graph.proto
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckread.errors import CorruptCheckpointError
from ckread.readers.field_stream import FieldStream
from ckread.readers.object_variables import SavedVariable, read_object_variables
from ckread.readers.regular_file import RegularFile
from ckread.readers.signatures import Signature, parse_map_entry, parse_signature
from ckread.readers.variable_defs import (
    VARIABLE_COLLECTIONS,
    VariableDef,
    parse_collection,
    parse_variable_def,
)
from ckread.readers.varint import signed32
from ckread.readers.wire import FIXED32, LENGTH_DELIMITED, VARINT, Span, iter_fields, parse_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAVER_VERSIONS = ("legacy", "V1", "V2")


@dataclass(frozen=True, slots=True)
class Saver:
    """How the saver of a TF 1 graph was set.

    Attributes:
        version: `V1`, `V2` or `legacy`.
        max_to_keep: how many checkpoints it keeps; 0 for all.
        is_sharded: whether each device has a file of its own.
        keep_every_n_hours: how often it keeps one for good.
    """

    version: str = "legacy"
    max_to_keep: int = 0
    is_sharded: bool = False
    keep_every_n_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class MetaGraph:
    """What a graph tells besides its operations.

    Attributes:
        tags: `serve`, `train`; none in a `.meta` file.
        tensorflow_version: the writer's; empty where not written.
        saver: how its saver was set, None without one.
        collections: the collections of variables by name.
        global_step: name of the variable that counts steps.
        signatures: what it takes and gives, by name.
        assets: file names of its assets.
        variables: variables of its object graph by node id, equal to the ids of the
            object graph in the checkpoint.
    """

    tags: tuple[str, ...] = ()
    tensorflow_version: str = ""
    saver: Saver | None = None
    collections: Mapping[str, tuple[VariableDef, ...]] = field(default_factory=dict)
    global_step: str | None = None
    signatures: tuple[Signature, ...] = ()
    assets: tuple[str, ...] = ()
    variables: Mapping[int, SavedVariable] = field(default_factory=dict)


def read_meta_graph(path: str) -> MetaGraph:
    """Read a `.meta` file.

    Raises:
        CheckpointNotFoundError: it is not there.
        CorruptCheckpointError: it is no such message.
    """
    with RegularFile(path) as file:
        stream = FieldStream(file)
        return parse_meta_graph(stream, (0, stream.nbytes))


def parse_meta_graph(stream: FieldStream, span: Span) -> MetaGraph:
    """Decode the MetaGraphDef at a place of a file.

    Raises:
        CorruptCheckpointError: it is no such message.
    """
    try:
        return _parse(stream, span)
    except CorruptCheckpointError as error:
        if error.path is None:
            message = f"{stream.name}: {error.message}"
            raise type(error)(message, path=stream.path) from None
        raise


def _parse(stream: FieldStream, span: Span) -> MetaGraph:
    tags: tuple[str, ...] = ()
    version = ""
    saver = global_step = None
    collections: dict[str, tuple[VariableDef, ...]] = {}
    signatures: dict[str, Signature] = {}
    assets: dict[str, None] = {}
    variables: dict[int, SavedVariable] = {}
    for number, wire_type, value in stream.fields(*span):
        if wire_type != LENGTH_DELIMITED or number == 2:
            continue
        if number == 7:
            variables = read_object_variables(stream, value)
            continue
        if number == 4 and not _is_wanted(stream, value):
            continue
        buffer = stream.take(value, f"field {number}") if number < 7 else b""
        whole = (0, len(buffer))
        if number == 1:
            tags, version = _parse_info(buffer)
        elif number == 3:
            saver = _parse_saver(buffer)
        elif number == 4:
            name, found, steps = _parse_collection(buffer)
            collections[name] = found
            global_step = steps[0] if name == "global_step" and steps else global_step
        elif number == 5:
            name, inner = parse_map_entry(buffer, whole)
            signatures[name] = parse_signature(name, buffer, inner)
        elif number == 6:
            assets[_parse_asset(buffer)] = None
    return MetaGraph(
        tags=tags,
        tensorflow_version=version,
        saver=saver,
        collections=collections,
        global_step=global_step,
        signatures=tuple(signatures[name] for name in sorted(signatures)),
        assets=tuple(assets),
        variables=variables,
    )


def _is_wanted(stream: FieldStream, span: Span) -> bool:
    """Tell whether a collection holds variables, from its name alone."""
    for number, wire_type, value in stream.fields(*span):
        if number == 1 and wire_type == LENGTH_DELIMITED:
            return stream.take(value, "name").decode(errors="replace") in VARIABLE_COLLECTIONS
    return False


def _parse_info(buffer: bytes) -> tuple[tuple[str, ...], str]:
    tags: list[str] = []
    version = ""
    for number, wire_type, value in iter_fields(buffer):
        if wire_type == LENGTH_DELIMITED and number == 4:
            tags.append(parse_text(buffer, value))
        elif wire_type == LENGTH_DELIMITED and number == 5:
            version = parse_text(buffer, value)
    return tuple(tags), version


def _parse_saver(buffer: bytes) -> Saver:
    numbers = {4: 0, 5: 0, 7: 0}
    hours = 0.0
    for number, wire_type, value in iter_fields(buffer):
        if wire_type == VARINT and number in numbers:
            numbers[number] = signed32(value)
        elif wire_type == FIXED32 and number == 6:
            [hours] = struct.unpack("<f", struct.pack("<I", value))
    version = numbers[7]
    known = _SAVER_VERSIONS[version] if 0 <= version < len(_SAVER_VERSIONS) else f"{version}"
    return Saver(known, numbers[4], bool(numbers[5]), hours)


def _parse_collection(buffer: bytes) -> tuple[str, tuple[VariableDef, ...], list[str]]:
    """Give a collection's name, its variables, and the names of all of them."""
    name, span = parse_map_entry(buffer, (0, len(buffer)))
    nodes, messages = parse_collection(buffer, span)
    variables = tuple(parse_variable_def(buffer, message) for message in messages)
    names = [*(node.removesuffix(":0") for node in nodes), *(one.name for one in variables)]
    return name, variables, names


def _parse_asset(buffer: bytes) -> str:
    for number, wire_type, value in iter_fields(buffer):
        if number == 2 and wire_type == LENGTH_DELIMITED:
            return parse_text(buffer, value)
    return ""
