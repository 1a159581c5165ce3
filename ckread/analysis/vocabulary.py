"""Vocabularies of lookup layers: what their file holds of them, and which it does not hold.

A `.keras` keeps the words of a StringLookup, IntegerLookup or TextVectorization in its
configuration, where they were given, or as a member of the archive, where they were learnt;
a SavedModel as files below `assets/`, or as constants of its graph. Other HDF5 files and
checkpoints of objects keep none: there the layer comes back empty, unless the program gives
it its words again.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.role import Role
from ckread.readers.contract import Format
from ckread.readers.files import file_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.model.checkpoint import Checkpoint
    from ckread.readers.keras.config import LayerConfig

_CLASSES = ("StringLookup", "IntegerLookup", "TextVectorization")
_KERAS = (Format.KERAS_ARCHIVE, Format.KERAS_WEIGHTS, Format.LEGACY_HDF5)
_OBJECTS = Format.TENSOR_BUNDLE
_ASSET = re.compile(r"(?:^|/)(?P<layer>\w+)(?:/_lookup_layer)?/vocabulary\.txt\Z")
_ANY = "vocabulary"
"""What stands for the one vocabulary among the constants of a graph, which have no names."""
_COUNTS = "/token_counts/table-keys"
MAX_NBYTES = 1 << 26


class Vocabulary(NamedTuple):
    """The words that a file holds of one layer.

    Attributes:
        name: of the layer, or of the file that holds them.
        source: where they lie, in words.
        words: in the order of their numbers, those for what is unknown left out.
    """

    name: str
    source: str
    words: tuple[str, ...]


def find_vocabulary(checkpoint: Checkpoint, name: str) -> Vocabulary | None:
    """Give the vocabulary that a name means: of a layer, of an asset, or the end of its path."""
    for path, layer in _lookups(checkpoint):
        words = layer.settings.get("vocabulary")
        if path == name and isinstance(words, list):
            return Vocabulary(path, "the configuration", tuple(map(str, words)))
    constants = _constants(checkpoint)
    if name == _ANY and len(constants) == 1:
        name = next(iter(constants))
    if name in constants:
        return Vocabulary(name, f"the constant {name} of its graph", constants[name])
    names = [*_assets(checkpoint)]
    found = [one for one in names if one == name or one.endswith(f"/{name}")]
    if not found:
        at = [path for path, _ in _learnt(checkpoint)]
        kept = [one for one in names if _ASSET.search(one) and "_lookup_layer" not in one]
        if name in at and len(kept) == len(at) == 1:
            found = kept
    if len(found) != 1:
        return None
    text = _read(checkpoint, found[0]).decode("utf-8", "replace")
    return Vocabulary(name, found[0], tuple(text.removesuffix("\n").split("\n") if text else ()))


def vocabulary_names(checkpoint: Checkpoint) -> list[str]:
    """Name the vocabularies that the file holds, as `find_vocabulary` takes them."""
    given = [path for path, one in _lookups(checkpoint) if one.settings.get("vocabulary")]
    return [*given, *_assets(checkpoint), *_constants(checkpoint)]


def _constants(checkpoint: Checkpoint) -> dict[str, tuple[str, ...]]:
    """Give the constants of a SavedModel's graphs that hold several strings, by node name."""
    if checkpoint.format is not Format.SAVED_MODEL or checkpoint.evidence.saved_model is None:
        return {}
    from ckread.readers.graphs.operations import GraphFile

    found = {}
    with GraphFile(checkpoint.evidence.saved_model.path, lambda op: False) as file:
        for graph in file.saved_model():
            for node in graph.nodes.values():
                if node.op == "Const":
                    words = file.strings(node, max_nbytes=MAX_NBYTES)
                    if len(words) > 1:
                        found[node.name] = tuple(words)
    return found


def missing_vocabularies(checkpoint: Checkpoint) -> list[str]:
    """Name the lookup layers whose words are not in the file, as far as it tells of them."""
    if checkpoint.format in _KERAS:
        kept = {match["layer"] for one in _assets(checkpoint) if (match := _ASSET.search(one))}
        learnt = _learnt(checkpoint)
        if checkpoint.format is Format.KERAS_ARCHIVE and len(kept) >= len(learnt):
            return []
        return [path for path, _ in learnt]
    if checkpoint.format is not _OBJECTS:
        return []
    return [
        variable.name.removesuffix(_COUNTS)
        for variable in checkpoint.values()
        if variable.role is Role.TABLE and variable.name.endswith(_COUNTS) and not variable.elements
    ]


def _lookups(checkpoint: Checkpoint) -> Iterator[tuple[str, LayerConfig]]:
    """Give the lookup layers of a Keras file's configuration by path."""
    from ckread.readers.keras.config import iter_layers

    contents = getattr(checkpoint.reader, "contents", None)
    for path, layer, _ in iter_layers(contents.config.model) if contents is not None else ():
        if layer.class_name in _CLASSES and layer.is_builtin:
            yield path, layer


def _learnt(checkpoint: Checkpoint) -> list[tuple[str, LayerConfig]]:
    """Give the lookup layers whose words are not in the configuration."""
    return [
        (path, layer)
        for path, layer in _lookups(checkpoint)
        if layer.settings.get("vocabulary") is None  # else a list, or the path of a file
    ]


def _assets(checkpoint: Checkpoint) -> tuple[str, ...]:
    if checkpoint.format is Format.SAVED_MODEL:
        directory = os.path.join(checkpoint.path, "assets")
        return tuple(f"assets/{name}" for name in file_names(directory))
    return checkpoint.evidence.assets


def _read(checkpoint: Checkpoint, asset: str) -> bytes:
    if checkpoint.format is Format.SAVED_MODEL:
        from ckread.readers.files import RegularFile

        with RegularFile(os.path.join(checkpoint.path, asset)) as file:
            return file.pread(0, min(file.nbytes, MAX_NBYTES))
    from ckread.readers.keras.archive import read_member

    return read_member(checkpoint.path, asset, max_nbytes=MAX_NBYTES)
