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

import re
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckread.errors import CorruptCheckpointError, NotACheckpointError
from ckread.readers.files import RegularFile
from ckread.readers.graphs.signatures import (
    SavedVariable,
    parse_map_entry,
    parse_signature,
    read_object_variables,
)
from ckread.readers.graphs.signatures import Signature as Signature
from ckread.readers.graphs.signatures import TensorInfo as TensorInfo
from ckread.readers.protobuf import (
    FIXED32,
    LENGTH_DELIMITED,
    VARINT,
    FieldStream,
    Span,
    iter_fields,
    parse_text,
    parse_varints,
    signed,
    signed32,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


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
        keras_layers: what Keras tells of its layers, as JSON, likewise; mostly empty, since
            TensorFlow 2.5 writes it to a file of its own.
        optimizers: kinds of the optimizers of tf.keras, likewise: `optimizer` is a legacy one,
            `experimentalOptimizer` one of 2.11 and later.
    """

    tags: tuple[str, ...] = ()
    tensorflow_version: str = ""
    saver: Saver | None = None
    collections: Mapping[str, tuple[VariableDef, ...]] = field(default_factory=dict)
    global_step: str | None = None
    signatures: tuple[Signature, ...] = ()
    assets: tuple[str, ...] = ()
    variables: Mapping[int, SavedVariable] = field(default_factory=dict)
    keras_layers: Mapping[int, str] = field(default_factory=dict)
    optimizers: Mapping[int, str] = field(default_factory=dict)


def read_meta_graph(path: str) -> MetaGraph:
    """Read a `.meta` file.

    Raises:
        CheckpointNotFoundError: it is not there.
        CorruptCheckpointError: it is no such message.
    """
    with RegularFile(path) as file, _naming_what_it_is(path, "META_GRAPH"):
        stream = FieldStream(file)
        if not stream.nbytes:
            raise CorruptCheckpointError("an empty file", path=path, name=file.name)
        return parse_meta_graph(stream, (0, stream.nbytes))


@contextmanager
def _naming_what_it_is(path: str, kind: str) -> Iterator[None]:
    """Say what a file is that is no such graph, if its bytes tell."""
    try:
        yield
    except (CorruptCheckpointError, NotACheckpointError) as error:
        from ckread.readers.detection import Kind, something_else

        own = Kind[kind]
        raise something_else(path, f"a {own.phrase}", (own,)) or error from None


def parse_meta_graph(stream: FieldStream, span: Span) -> MetaGraph:
    """Decode the MetaGraphDef at a place of a file."""
    try:
        return _parse(stream, span)
    except CorruptCheckpointError as error:
        if error.path is None:
            raise error.within(path=stream.path) from None
        raise


def _parse(stream: FieldStream, span: Span) -> MetaGraph:
    tags: tuple[str, ...] = ()
    version = ""
    saver = global_step = None
    collections: dict[str, tuple[VariableDef, ...]] = {}
    signatures: dict[str, Signature] = {}
    assets: dict[str, None] = {}
    variables: dict[int, SavedVariable] = {}
    layers: dict[int, str] = {}
    optimizers: dict[int, str] = {}
    for number, wire_type, value in stream.fields(*span):
        if wire_type != LENGTH_DELIMITED or number == 2:
            continue
        if number == 7:
            variables, layers, optimizers = read_object_variables(stream, value)
            continue
        if number == 4 and not _is_wanted(stream, value):
            continue
        buffer = stream.take(value, f"field {number}") if number < 7 else b""
        whole = (0, len(buffer))
        if number == 1:
            info = _texts(buffer, 4, 5)
            tags, version = tuple(info.get(4, ())), info.get(5, [""])[-1]
        elif number == 3:
            saver = _parse_saver(buffer)
        elif number == 4:
            name, inner = parse_map_entry(buffer, whole)
            nodes, messages = parse_collection(buffer, inner)
            found = tuple(parse_variable_def(buffer, message) for message in messages)
            collections[name] = found
            steps = [*(node.removesuffix(":0") for node in nodes), *(one.name for one in found)]
            global_step = steps[0] if name == "global_step" and steps else global_step
        elif number == 5:
            name, inner = parse_map_entry(buffer, whole)
            signatures[name] = parse_signature(name, buffer, inner)
        elif number == 6:
            assets[_texts(buffer, 2).get(2, [""])[0]] = None
    return MetaGraph(
        tags=tags,
        tensorflow_version=version,
        saver=saver,
        collections=collections,
        global_step=global_step,
        signatures=tuple(signatures[name] for name in sorted(signatures)),
        assets=tuple(assets),
        variables=variables,
        keras_layers=layers,
        optimizers=optimizers,
    )


def _is_wanted(stream: FieldStream, span: Span) -> bool:
    """Tell whether a collection holds variables, from its name alone."""
    for number, wire_type, value in stream.fields(*span):
        if number == 1 and wire_type == LENGTH_DELIMITED:
            return stream.take(value, "name").decode(errors="replace") in VARIABLE_COLLECTIONS
    return False


def _texts(buffer: bytes, *numbers: int) -> dict[int, list[str]]:
    """Give the texts in the fields of these numbers."""
    found: dict[int, list[str]] = {}
    for number, wire_type, value in iter_fields(buffer):
        if wire_type == LENGTH_DELIMITED and number in numbers:
            found.setdefault(number, []).append(parse_text(buffer, value))
    return found


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


# The collections of a TF 1 graph: its variables and what is known of them.
#
#     CollectionDef  1 node_list { 1 value }, 2 bytes_list { 1 value }
#     VariableDef    1 variable_name, 2 initializer_name, 4 save_slice_info_def,
#                    5 is_resource, 6 initial_value_name, 7 trainable
#     SaveSliceInfoDef  1 full_name, 2 full_shape, 3 var_offset, 4 var_shape
#
# References: tensorflow/core/framework/variable.proto, core/protobuf/meta_graph.proto

VARIABLE_COLLECTIONS = (
    "variables",
    "trainable_variables",
    "model_variables",
    "local_variables",
    "moving_average_variables",
    "global_step",
)


@dataclass(frozen=True, slots=True)
class Partition:
    """Which slice of a larger variable one is.

    Attributes:
        full_name: name of the whole, under which the checkpoint keeps it.
        full_shape: shape of the whole.
        offset: where the slice begins, per dimension.
        shape: shape of the slice.
    """

    full_name: str
    full_shape: tuple[int, ...]
    offset: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class VariableDef:
    """One variable of a TF 1 graph.

    Attributes:
        name: its name, without `:0`.
        initializer: kind of its initial value, `random_uniform`; empty if not told.
        trainable: the flag; None where the writer is too old to write it.
        is_resource: whether it is a resource variable.
        partition: which slice of a partitioned variable it is.
    """

    name: str
    initializer: str = ""
    trainable: bool | None = None
    is_resource: bool = False
    partition: Partition | None = None

    @property
    def key(self) -> str:
        """The checkpoint key that its values are stored under."""
        return self.partition.full_name if self.partition else self.name


def parse_collection(buffer: bytes, span: Span) -> tuple[list[str], list[Span]]:
    """Decode a CollectionDef: the names of a node_list, the places of a bytes_list."""
    names: list[str] = []
    messages: list[Span] = []
    for number, wire_type, value in iter_fields(buffer, *span):
        if wire_type != LENGTH_DELIMITED or number not in (1, 2):
            continue
        for inner, inner_type, item in iter_fields(buffer, *value):
            if inner != 1 or inner_type != LENGTH_DELIMITED:
                continue
            if number == 1:
                names.append(parse_text(buffer, item))
            else:
                messages.append(item)
    return names, messages


def parse_variable_def(buffer: bytes, span: Span) -> VariableDef:
    """Decode a VariableDef."""
    texts = {1: "", 6: ""}
    flags: dict[int, bool] = {}
    partition = None
    for number, wire_type, value in iter_fields(buffer, *span):
        if wire_type == VARINT and number in (5, 7):
            flags[number] = bool(value)
        elif wire_type == LENGTH_DELIMITED and number in texts:
            texts[number] = parse_text(buffer, value)
        elif wire_type == LENGTH_DELIMITED and number == 4:
            full_name = ""
            sizes: dict[int, list[int]] = {2: [], 3: [], 4: []}
            for inner, inner_type, item in iter_fields(buffer, *value):
                if inner == 1 and inner_type == LENGTH_DELIMITED:
                    full_name = parse_text(buffer, item)
                elif inner in sizes:
                    sizes[inner] += map(signed, parse_varints(buffer, inner_type, item))
            partition = Partition(full_name, *(tuple(found) for found in sizes.values()))
    return VariableDef(
        name=texts[1].removesuffix(":0"),
        initializer=initializer_kind(texts[6]),
        trainable=flags.get(7),
        is_resource=flags.get(5, False),
        partition=partition,
    )


def initializer_kind(tensor: str) -> str:
    """Tell the kind from the name of the initial value: `w/Initializer/zeros:0` → `zeros`."""
    last = tensor.partition(":")[0].rpartition("/")[2]
    return re.sub(r"_\d+$", "", last)


# SavedModel: the graph beside the variables, decoded without running anything.
#
#     saved_model.pb  1 saved_model_schema_version, 2 meta_graphs: MetaGraphDef
#
# Its variables are a TensorFlow checkpoint with the prefix `variables/variables`.
#
# Reference: tensorflow/core/protobuf/saved_model.proto

SERVE = "serve"


@dataclass(frozen=True, slots=True)
class SavedModel:
    """What `saved_model.pb` says.

    Attributes:
        path: the file.
        nbytes: its size.
        meta_graphs: one per set of tags.
    """

    path: str
    nbytes: int
    meta_graphs: tuple[MetaGraph, ...]

    @property
    def meta_graph(self) -> MetaGraph:
        """The graph for serving, else the first."""
        served = (graph for graph in self.meta_graphs if SERVE in graph.tags)
        return next(served, self.meta_graphs[0])

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags of the graph for serving, else of the first."""
        return self.meta_graph.tags

    @property
    def tensorflow_version(self) -> str:
        """The writer's version."""
        return self.meta_graph.tensorflow_version

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """Its signatures in order of their names, TensorFlow's internal ones left out."""
        return tuple(one for one in self.meta_graph.signatures if not one.is_internal)

    @property
    def variables(self) -> Mapping[int, SavedVariable]:
        """The variables of its object graph by node id; none if name-based."""
        return self.meta_graph.variables

    @property
    def assets(self) -> tuple[str, ...]:
        """File names below `assets/`."""
        return self.meta_graph.assets


def read_saved_model(path: str) -> SavedModel:
    """Read a `saved_model.pb`.

    Raises:
        CheckpointNotFoundError: it is not there.
        NotACheckpointError: it holds no graph.
        CorruptCheckpointError: it is no such message.
    """
    with RegularFile(path) as file, _naming_what_it_is(path, "SAVED_MODEL"):
        stream = FieldStream(file)
        graphs = []
        for number, wire_type, value in stream.fields(0, stream.nbytes):
            if number == 2 and wire_type == LENGTH_DELIMITED:
                graphs.append(parse_meta_graph(stream, value))
            elif number == 1 and wire_type == VARINT and value != 1:
                found = f"schema version {value}, expected 1"
                raise stream.corrupt(found, offset=0)
        if not graphs:
            raise NotACheckpointError(
                "no graph in it", path=path, name=stream.name, expected="a SavedModel"
            )
    return SavedModel(path, stream.nbytes, tuple(graphs))
