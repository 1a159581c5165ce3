"""Signatures of a SavedModel: what it takes and what it gives.

    SignatureDef  1 inputs, 2 outputs: map of name to TensorInfo, 3 method_name
    TensorInfo    1 name, 2 dtype, 3 tensor_shape, 4 coo_sparse, 5 composite_tensor
    CompositeTensor  1 type_spec, 2 components: TensorInfo
    TensorShapeProto 2 dim { 1 size }, 3 unknown_rank

Reference: tensorflow/core/protobuf/meta_graph.proto
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ckread.readers.budget import over
from ckread.readers.contract import DATA_TYPES, DataType
from ckread.readers.protobuf import (
    LENGTH_DELIMITED,
    VARINT,
    Span,
    iter_fields,
    parse_text,
    signed,
    signed32,
)

if TYPE_CHECKING:
    from ckread.readers.protobuf import FieldStream


MAX_DEPTH = 100
INTERNAL_PREFIX = "__saved_model_"

PartialShape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output.

    Attributes:
        name: what the signature calls it.
        tensor: the tensor of the graph, `serving_default_digit:0`; empty if composite.
        dtype: its element type.
        shape: its shape, None for a free dimension; None if the rank is unknown too.
        components: the tensors of a ragged or otherwise composite one.
        is_sparse: whether it is a sparse tensor.
    """

    name: str
    tensor: str
    dtype: DataType
    shape: PartialShape | None
    components: tuple[TensorInfo, ...] = ()
    is_sparse: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature, inputs and outputs in order of their names.

    Attributes:
        name: `serving_default`.
        inputs: what it takes.
        outputs: what it gives.
        method_name: `tensorflow/serving/predict`.
    """

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    method_name: str = ""

    @property
    def is_internal(self) -> bool:
        """Whether TensorFlow put it there for itself: `__saved_model_init_op`."""
        return self.name.startswith(INTERNAL_PREFIX)


def parse_signature(name: str, buffer: bytes, span: Span) -> Signature:
    """Decode a SignatureDef."""
    inputs: dict[str, TensorInfo] = {}
    outputs: dict[str, TensorInfo] = {}
    method_name = ""
    for number, wire_type, value in iter_fields(buffer, *span):
        if wire_type != LENGTH_DELIMITED:
            continue
        if number == 3:
            method_name = parse_text(buffer, value)
        elif number in (1, 2):
            key, info = parse_map_entry(buffer, value)
            target = inputs if number == 1 else outputs
            target[key] = parse_tensor_info(key, buffer, info)
    return Signature(name, _sorted(inputs), _sorted(outputs), method_name)


def _sorted(infos: dict[str, TensorInfo]) -> tuple[TensorInfo, ...]:
    return tuple(infos[name] for name in sorted(infos))


def parse_map_entry(buffer: bytes, span: Span) -> tuple[str, Span]:
    """Give the key of a map's entry, and where its message lies."""
    key, message = "", (span[1], span[1])
    for number, wire_type, value in iter_fields(buffer, *span):
        if number == 1 and wire_type == LENGTH_DELIMITED:
            key = parse_text(buffer, value)
        elif number == 2 and wire_type == LENGTH_DELIMITED:
            message = value
    return key, message


def parse_tensor_info(
    name: str, buffer: bytes, span: Span, *, depth: int = MAX_DEPTH
) -> TensorInfo:
    """Decode a TensorInfo."""
    if not depth:
        raise over(MAX_DEPTH, "levels", what="composite tensors")
    tensor = ""
    dtype = 0
    shape: PartialShape | None = ()
    components: list[TensorInfo] = []
    is_sparse = False
    for number, wire_type, value in iter_fields(buffer, *span):
        if number == 2 and wire_type == VARINT:
            dtype = signed32(value)
        elif wire_type != LENGTH_DELIMITED:
            continue
        elif number == 1:
            tensor = parse_text(buffer, value)
        elif number == 3:
            shape = parse_partial_shape(buffer, value)
        elif number == 4:
            is_sparse = True
        elif number == 5:
            for inner, inner_type, item in iter_fields(buffer, *value):
                if inner == 2 and inner_type == LENGTH_DELIMITED:
                    components.append(parse_tensor_info("", buffer, item, depth=depth - 1))
    known = DATA_TYPES.get(dtype, DataType.UNKNOWN)
    return TensorInfo(name, tensor, known, shape, tuple(components), is_sparse)


def parse_partial_shape(buffer: bytes, span: Span) -> PartialShape | None:
    """Decode a TensorShapeProto of which parts may be unknown; None if even the rank is."""
    sizes: list[int | None] = []
    for number, wire_type, value in iter_fields(buffer, *span):
        if number == 3 and wire_type == VARINT and value:
            return None
        if number == 2 and wire_type == LENGTH_DELIMITED:
            size = 0
            for inner, inner_type, item in iter_fields(buffer, *value):
                if inner == 1 and inner_type == VARINT:
                    size = signed(item)
            sizes.append(size if size >= 0 else None)
    return tuple(sizes)


# The variables in the object graph of a SavedModel.
#
#     SavedObjectGraph  1 nodes: SavedObject, 2 concrete_functions: skipped
#     SavedObject       1 children, 3 slot_variables, 5 asset, 7 variable, …
#     SavedVariable     1 dtype, 2 shape, 3 trainable, 6 name
#
# A node's id is its place in the list, the same as in the object graph that the
# checkpoint beside it holds.
#
# Reference: tensorflow/core/protobuf/saved_object_graph.proto

_NODES = 1
_USER_OBJECT = 4
_VARIABLE = 7


class SavedVariable(NamedTuple):
    """One variable; its name is its own, often without the layer's, and its shape may be unknown.

    Trainable is its flag when it was created, whatever was frozen later.
    """

    name: str
    dtype: DataType
    shape: PartialShape | None
    trainable: bool


def read_object_variables(
    stream: FieldStream, span: Span
) -> tuple[dict[int, SavedVariable], dict[int, str], dict[int, str]]:
    """Give the variables of the SavedObjectGraph at a place of a file, by node id.

    With them what Keras of TensorFlow 2.2 to 2.4 tells of its layers, as JSON, and of each
    optimizer of tf.keras the word for its kind.
    """
    variables: dict[int, SavedVariable] = {}
    layers: dict[int, str] = {}
    optimizers: dict[int, str] = {}
    node_id = 0
    for number, wire_type, value in stream.fields(*span):
        if number != _NODES or wire_type != LENGTH_DELIMITED:
            continue
        buffer = stream.take(value, "an object")
        for inner, inner_type, item in iter_fields(buffer):
            if inner == _VARIABLE and inner_type == LENGTH_DELIMITED:
                variables[node_id] = parse_saved_variable(buffer, item)
            elif inner == _USER_OBJECT and inner_type == LENGTH_DELIMITED:
                # A SavedUserObject: 1 identifier, 3 metadata.
                texts = {1: "", 3: ""}
                for field, field_type, place in iter_fields(buffer, *item):
                    if field in texts and field_type == LENGTH_DELIMITED:
                        texts[field] = parse_text(buffer, place)
                if texts[3] and texts[1].startswith("_tf_keras") and "metric" not in texts[1]:
                    layers[node_id] = texts[3]
                elif texts[1] in ("optimizer", "experimentalOptimizer"):
                    optimizers[node_id] = texts[1]
        node_id += 1
    return variables, layers, optimizers


def parse_saved_variable(buffer: bytes, span: Span) -> SavedVariable:
    """Decode a SavedVariable."""
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
