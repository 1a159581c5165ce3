"""What a SavedModel of Keras 2 says of its layers: `keras_metadata.pb`, or its graph.

    SavedMetadata  1 nodes: SavedObject { 2 node_id, 3 node_path, 4 identifier, 5 metadata }

The metadata of an object is JSON: name, class_name, config, and of the model
training_config. TensorFlow 2.2 to 2.4 kept it in the objects of `saved_model.pb`.

Reference: tensorflow/python/keras/protobuf/saved_metadata.proto
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import CheckpointError
from ckread.readers.files import RegularFile, is_file
from ckread.readers.keras.config import KerasConfig, parse_compiled, parse_model, parse_object
from ckread.readers.protobuf import (
    LENGTH_DELIMITED,
    VARINT,
    FieldStream,
    iter_fields,
    parse_text,
    signed32,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE_NAME = "keras_metadata.pb"
_MAX_OBJECTS = 100_000


class SavedLayers(NamedTuple):
    """The Keras objects of a SavedModel.

    Attributes:
        names: of each layer its name, by node id of the object graph.
        classes: of each layer its class, likewise.
        config: the configuration of the model, and what it was compiled with.
    """

    names: Mapping[int, str]
    classes: Mapping[int, str]
    config: KerasConfig


def read_saved_layers(directory: str, in_graph: Mapping[int, str]) -> SavedLayers | None:
    """Read the Keras objects of a SavedModel; None if it has none, or they cannot be read.

    `in_graph` is what the objects of `saved_model.pb` hold themselves.
    """
    path = os.path.join(directory, FILE_NAME)
    texts = {node: text for node, text in in_graph.items() if text}
    try:
        if is_file(path):
            with RegularFile(path) as file:
                texts |= {
                    node: text
                    for node, text, identifier in _nodes(FieldStream(file))
                    if "metric" not in identifier
                }
        parsed = {
            node: _without_tuples(
                parse_object(text.encode(), "metadata", path=path, name=FILE_NAME)
            )
            for node, text in texts.items()
        }
    except (CheckpointError, ValueError):
        return None
    if not parsed:
        return None
    layers = {node: entry for node, entry in parsed.items() if "config" in entry or node == 0}
    root = parsed.get(0, {})
    compiled = root.get("training_config")
    config = KerasConfig(
        model=parse_model(root.get("model_config")) or parse_model(root),
        compiled=parse_compiled(compiled) if isinstance(compiled, dict) else None,
    )
    return SavedLayers(_texts(layers, "name"), _texts(layers, "class_name"), config)


def _without_tuples(value: Any) -> Any:
    """Give a configuration with lists for what Keras marks as tuples and shapes."""
    if isinstance(value, list):
        return [_without_tuples(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
        return _without_tuples(value["items"])
    return {key: _without_tuples(item) for key, item in value.items()}


def _texts(entries: Mapping[int, dict[str, Any]], field: str) -> dict[int, str]:
    found = {node: entry.get(field) for node, entry in entries.items()}
    return {node: text for node, text in found.items() if isinstance(text, str) and text}


def _nodes(stream: FieldStream) -> Iterator[tuple[int, str, str]]:
    """Yield node id, metadata and identifier of every object."""
    for at, (number, wire_type, value) in enumerate(stream.fields(0, stream.nbytes)):
        if number != 1 or wire_type != LENGTH_DELIMITED or at >= _MAX_OBJECTS:
            continue
        buffer = stream.take(value, "an object")
        node_id, texts = 0, {4: "", 5: ""}
        for inner, inner_type, item in iter_fields(buffer):
            if inner == 2 and inner_type == VARINT:
                node_id = signed32(item)
            elif inner in texts and inner_type == LENGTH_DELIMITED:
                texts[inner] = parse_text(buffer, item)
        yield node_id, texts[5], texts[4]
