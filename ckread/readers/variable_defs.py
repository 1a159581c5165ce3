"""The collections of a TF 1 graph: its variables and what is known of them.

    CollectionDef  1 node_list { 1 value }, 2 bytes_list { 1 value }
    VariableDef    1 variable_name, 2 initializer_name, 4 save_slice_info_def,
                   5 is_resource, 6 initial_value_name, 7 trainable
    SaveSliceInfoDef  1 full_name, 2 full_shape, 3 var_offset, 4 var_shape

References: tensorflow/core/framework/variable.proto, core/protobuf/meta_graph.proto
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ckread.readers.varint import signed
from ckread.readers.wire import (
    LENGTH_DELIMITED,
    VARINT,
    Span,
    iter_fields,
    parse_text,
    parse_varints,
)

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
    """Decode a CollectionDef: the names of a node_list, the places of a bytes_list.

    Raises:
        CorruptCheckpointError: it is no such message.
    """
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
    """Decode a VariableDef.

    Raises:
        CorruptCheckpointError: it is no such message.
    """
    texts = {1: "", 6: ""}
    flags: dict[int, bool] = {}
    partition = None
    for number, wire_type, value in iter_fields(buffer, *span):
        if wire_type == VARINT and number in (5, 7):
            flags[number] = bool(value)
        elif wire_type == LENGTH_DELIMITED and number in texts:
            texts[number] = parse_text(buffer, value)
        elif wire_type == LENGTH_DELIMITED and number == 4:
            partition = _parse_partition(buffer, value)
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


def _parse_partition(buffer: bytes, span: Span) -> Partition:
    full_name = ""
    sizes: dict[int, list[int]] = {2: [], 3: [], 4: []}
    for number, wire_type, value in iter_fields(buffer, *span):
        if number == 1 and wire_type == LENGTH_DELIMITED:
            full_name = parse_text(buffer, value)
        elif number in sizes:
            sizes[number] += map(signed, parse_varints(buffer, wire_type, value))
    return Partition(full_name, *(tuple(found) for found in sizes.values()))
