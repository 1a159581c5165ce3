"""What a graph would run: its operations, its functions, and what leads to them.

    MetaGraphDef   2 graph_def, 3 saver_def, 4 collection_def, 5 signature_def,
                   6 asset_file_def { 1 tensor_info { 1 name }, 2 filename },
                   7 object_graph_def
    GraphDef       1 node, 2 library { 1 function }
    FunctionDef    1 signature { 1 name, 2 input_arg { 1 name } }, 3 node_def
    NodeDef        1 name, 2 op, 3 input, 5 attr: map of name to AttrValue
    AttrValue      1 list { 2 s, 9 func }, 2 s, 8 tensor { 8 string_val }, 10 func { 1 name }
    SaverDef       1 filename_tensor_name, 2 save_tensor_name, 3 restore_op_name
    SavedObjectGraph  1 nodes, 2 concrete_functions: map, its value { 2 bound_inputs }
    SavedObject    1 children { 1 node_id, 2 local_name }, 4 user_object { 1 identifier,
                   3 metadata }, 5 asset { 1 asset_file_def_index }, 6 function
                   { 1 concrete_functions }, 8 bare_concrete_function { 1 name },
                   9 constant { 1 operation }, 11 saveable_objects: map, its value
                   { 2 save_function, 3 restore_function }

A graph of hundreds of MB is mostly constants: they are skipped with a seek. Nothing is
built from it and nothing is run.

References: tensorflow/core/framework/{graph,node_def,function,attr_value}.proto,
core/protobuf/{meta_graph,saver,saved_object_graph}.proto
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

from ckread.readers.budget import over
from ckread.readers.files import RegularFile
from ckread.readers.graphs.signatures import MAX_DEPTH
from ckread.readers.protobuf import (
    LENGTH_DELIMITED,
    MAX_PARTS,
    VARINT,
    FieldStream,
    iter_fields,
    parse_text,
    parse_varints,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ckread.readers.protobuf import Span

_SMALL_NBYTES = 1 << 20
"""Bytes of a function or node up to which it is decoded in memory."""
_MAX_STRING_NBYTES = 1 << 16
_TEXTS = {1: 2, 8: 8}
"""Texts in the value of an attribute: `s` of a list, `string_val` of a tensor."""

KERAS_METADATA = "keras_metadata.pb"
INITIALIZATION = ("__saved_model_init_op", "__saved_model_main_op")
"""Signatures that loading runs."""
_INITIALIZATION_COLLECTIONS = ("saved_model_main_op", "legacy_init_op", "table_initializer")
_ASSETS_COLLECTION = "saved_model_assets"
_INTERNAL = "__saved_model"


class Node(NamedTuple):
    """An operation of a graph or function.

    Attributes:
        name: its name there.
        op: what it does, `MatMul`.
        inputs: what it takes: names with `:n`, and `^name` for what must run before.
        calls: functions that its attributes name.
        span: its place in the file.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    calls: tuple[str, ...]
    span: Span


@dataclass(slots=True)
class Function:
    """A function of a graph's library.

    Attributes:
        name: its name.
        arguments: names of what it takes.
        ops: how many operations of each kind it has.
        calls: functions that its operations name.
        span: its place in the file.
    """

    name: str
    arguments: tuple[str, ...]
    ops: Counter[str]
    calls: frozenset[str]
    span: Span


class SavedObject(NamedTuple):
    """An object that loading builds anew.

    Attributes:
        children: ids of objects by the name it knows them by.
        identifier: what kind of Python object it was, `_tf_keras_layer`.
        metadata: what its class keeps, of Keras as JSON.
        functions: names of the concrete functions it is.
        asset: index of the asset file it is; None if it is none.
        operation: name of the node that is its value, if it is a constant.
        savers: ids of the functions that save and restore it.
    """

    children: tuple[tuple[str, int], ...] = ()
    identifier: str = ""
    metadata: str = ""
    functions: tuple[str, ...] = ()
    asset: int | None = None
    operation: str = ""
    savers: tuple[int, ...] = ()


@dataclass(slots=True)
class Operations:
    """The operations of one MetaGraphDef.

    Attributes:
        nodes: of the graph itself, by name.
        functions: of its library, by name.
        signatures: the nodes that each gives, by its name; `__saved_model…` among them.
        initializers: nodes that collections say loading runs.
        savers: nodes that save and restore.
        assets: names of the nodes that stand for asset files, and these.
        objects: what loading builds, by id; none in graphs of TF 1.
        bound: ids of the objects that a concrete function takes after its arguments.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    signatures: dict[str, tuple[str, ...]] = field(default_factory=dict)
    initializers: list[str] = field(default_factory=list)
    savers: list[str] = field(default_factory=list)
    assets: dict[str, str] = field(default_factory=dict)
    objects: list[SavedObject] = field(default_factory=list)
    bound: dict[str, tuple[int, ...]] = field(default_factory=dict)


class GraphFile:
    """A `saved_model.pb` or `.meta` file, open for reading its operations."""

    def __init__(self, path: str, has_functions: Callable[[str], bool]) -> None:
        """Open it; `has_functions` tells whether attributes of an op may name functions."""
        self._file = RegularFile(path)
        self._stream = FieldStream(self._file)
        self._has_functions = has_functions
        self._interned: dict[bytes, str] = {}

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def saved_model(self) -> list[Operations]:
        """Read every graph of a SavedModel."""
        whole = (0, self._stream.nbytes)
        return [self.meta_graph(span) for number, span in self._messages(whole) if number == 2]

    def meta_graph(self, span: Span | None = None) -> Operations:
        """Read one graph: at a place of the file, or all of a `.meta`."""
        found = Operations()
        for number, value in self._messages(span or (0, self._stream.nbytes)):
            if number == 2:
                self._read_graph(value, found)
            elif number == 3:
                buffer = self._stream.take(value, "saver")
                texts = _texts(buffer)
                found.savers += [_node_of(texts[i]) for i in (1, 2, 3) if texts.get(i)]
            elif number == 4:
                self._read_collection(value, found)
            elif number == 5:
                buffer = self._stream.take(value, "signature")
                name, signature = _map_entry(buffer)
                found.signatures[name] = _outputs(buffer, signature)
            elif number == 6:
                buffer = self._stream.take(value, "asset")
                found.assets.update([_asset(buffer, (0, len(buffer)))])
            elif number == 7:
                self._read_objects(value, found)
        return found

    def nodes_of(self, function: Function) -> dict[str, Node]:
        """Read all operations of a function, with what they take."""
        parts = self._messages(function.span)
        nodes = (self._node(span) for number, span in parts if number == 3)
        return {node.name: node for node in nodes}

    def string(self, node: Node, attribute: str = "value") -> str | None:
        """Give the text that an attribute holds, or those of its list or tensor; else None."""
        texts = self.strings(node, attribute)
        return ", ".join(texts) if texts else None

    def strings(
        self, node: Node, attribute: str = "value", *, max_nbytes: int = _MAX_STRING_NBYTES
    ) -> list[str]:
        """Give the text that an attribute holds, or its list's or tensor's; none if too large."""
        start, stop = node.span
        if stop - start > max_nbytes:
            return []
        buffer = self._stream.take(node.span, "node")
        for number, wire_type, at in iter_fields(buffer):
            if number != 5 or wire_type != LENGTH_DELIMITED:
                continue
            name, value = _map_entry(buffer, at)
            if name != attribute:
                continue
            for kind, inner_type, inner in iter_fields(buffer, *value):
                if kind == 2 and inner_type == LENGTH_DELIMITED:
                    return [parse_text(buffer, inner)]
                if kind in _TEXTS and inner_type == LENGTH_DELIMITED:
                    return [
                        parse_text(buffer, text)
                        for part, part_type, text in iter_fields(buffer, *inner)
                        if part == _TEXTS[kind] and part_type == LENGTH_DELIMITED
                    ]
        return []

    def _messages(self, span: Span) -> Iterator[tuple[int, Span]]:
        for number, wire_type, value in self._stream.fields(*span):
            if wire_type == LENGTH_DELIMITED:
                yield number, value

    def _read_graph(self, span: Span, found: Operations) -> None:
        for number, value in self._messages(span):
            if number == 1:
                node = self._node(value)
                found.nodes[node.name] = node
                self._limit(len(found.nodes), value)
            elif number == 2:
                for inner, function in self._messages(value):
                    if inner == 1:
                        one = self._function(function)
                        found.functions[one.name] = one

    def _limit(self, n: int, span: Span) -> None:
        if n > MAX_PARTS:
            error = over(MAX_PARTS, "parts in a graph")
            raise self._stream.corrupt(error.told, offset=span[0], remedy=error.remedy)

    def _function(self, span: Span) -> Function:
        name = ""
        arguments: tuple[str, ...] = ()
        ops: Counter[str] = Counter()
        calls: set[str] = set()
        start, stop = span
        if stop - start <= _SMALL_NBYTES:
            buffer = self._stream.take(span, "function")
            for number, wire_type, at in iter_fields(buffer):
                if wire_type != LENGTH_DELIMITED:
                    continue
                if number == 3:
                    self._count(buffer, at, ops, calls)
                elif number == 1:
                    name, arguments = _declaration(buffer, at)
        else:
            for number, value in self._messages(span):
                if number == 3:
                    node = self._node(value)
                    ops[node.op] += 1
                    calls.update(node.calls)
                elif number == 1:
                    buffer = self._stream.take(value, "signature")
                    name, arguments = _declaration(buffer, (0, len(buffer)))
        return Function(name, arguments, ops, frozenset(calls), span)

    def _count(self, buffer: bytes, at: Span, ops: Counter[str], calls: set[str]) -> None:
        """Count the op of a node, and note the functions that it calls, nothing else of it."""
        op = ""
        attributes = []
        for number, wire_type, value in iter_fields(buffer, *at):
            if number == 2 and wire_type == LENGTH_DELIMITED:
                raw = buffer[value[0] : value[1]]
                op = self._interned.get(raw) or self._intern(raw)
            elif number == 5 and wire_type == LENGTH_DELIMITED:
                attributes.append(value)
        ops[op] += 1
        if self._has_functions(op):
            for value in attributes:
                calls.update(_called(buffer, value))

    def _intern(self, raw: bytes) -> str:
        return self._interned.setdefault(raw, raw.decode("utf-8", "surrogateescape"))

    def _node(self, span: Span) -> Node:
        """Decode a node; what is large in it is skipped."""
        start, stop = span
        name = op = ""
        inputs: list[str] = []
        calls: list[str] = []
        if stop - start <= _SMALL_NBYTES:
            buffer, base = self._stream.take(span, "node"), 0
            fields = iter_fields(buffer)
        else:
            buffer, base, fields = b"", start, self._stream.fields(*span)
        for number, wire_type, at in fields:
            if wire_type != LENGTH_DELIMITED or number not in (1, 2, 3, 5):
                continue
            if base:
                if number == 5 and at[1] - at[0] > _SMALL_NBYTES:
                    continue
                data = self._stream.take(at, "node")
                at = (0, len(data))
            else:
                data = buffer
            if number == 5:
                if self._has_functions(op):
                    calls += _called(data, at)
                continue
            raw = data[at[0] : at[1]]
            text = self._interned.get(raw) if number == 2 else None
            text = text or (self._intern(raw) if number == 2 else raw.decode("utf-8", "replace"))
            if number == 1:
                name = text
            elif number == 2:
                op = text
            else:
                inputs.append(text)
        return Node(name, op, tuple(inputs), tuple(calls), span)

    def _read_collection(self, span: Span, found: Operations) -> None:
        entry = next((value for number, value in self._messages(span) if number == 1), None)
        if entry is None:
            return
        name = self._stream.take(entry, "name").decode("utf-8", "replace")
        if name == _ASSETS_COLLECTION:  # any_list { 1 value: Any { 2 value: AssetFileDef } }
            buffer = self._stream.take(span, name)
            _, value = _map_entry(buffer)
            for anys in _parts(buffer, value, 5):
                for one in _parts(buffer, anys, 1):
                    found.assets.update(_asset(buffer, at) for at in _parts(buffer, one, 2))
        if name in _INITIALIZATION_COLLECTIONS:  # node_list { 1 value }
            buffer = self._stream.take(span, name)
            _, value = _map_entry(buffer)
            for nodes in _parts(buffer, value, 1):
                texts = [parse_text(buffer, at) for at in _parts(buffer, nodes, 1)]
                found.initializers += map(_node_of, texts)

    def _read_objects(self, span: Span, found: Operations) -> None:
        for number, value in self._messages(span):
            if number == 1:
                buffer = self._stream.take(value, "object")
                found.objects.append(_saved_object(buffer))
                self._limit(len(found.objects), value)
            elif number == 2:
                buffer = self._stream.take(value, "function")
                name, at = _map_entry(buffer)
                bound: list[int] = []
                for inner, wire_type, item in iter_fields(buffer, *at):
                    if inner == 2:
                        bound += parse_varints(buffer, wire_type, item)
                found.bound[name] = tuple(bound)


def read_keras_metadata(path: str) -> list[str]:
    """Read the metadata of a SavedModel's Keras objects, each a JSON text.

    SavedMetadata { 1 nodes { 5 metadata } }
    """
    with RegularFile(path) as file:
        stream = FieldStream(file)
        return [
            _texts(stream.take(span, "node")).get(5, "")
            for number, wire_type, span in stream.fields(0, stream.nbytes)
            if number == 1 and wire_type == LENGTH_DELIMITED
        ]


def is_internal(signature: str) -> bool:
    """Tell whether a signature is none that a user calls."""
    return signature.startswith(_INTERNAL)


def _node_of(tensor: str) -> str:
    """Give the node of a tensor, `dense/BiasAdd` of `dense/BiasAdd:0`."""
    return tensor.removeprefix("^").partition(":")[0]


def _texts(buffer: bytes, span: Span | None = None) -> dict[int, str]:
    """Give the length-delimited fields of a message as texts, the last of each number."""
    start, stop = span or (0, len(buffer))
    return {
        number: parse_text(buffer, value)
        for number, wire_type, value in iter_fields(buffer, start, stop)
        if wire_type == LENGTH_DELIMITED
    }


def _map_entry(buffer: bytes, span: Span | None = None) -> tuple[str, Span]:
    start, stop = span or (0, len(buffer))
    name, value = "", (stop, stop)
    for number, wire_type, at in iter_fields(buffer, start, stop):
        if wire_type == LENGTH_DELIMITED:
            if number == 1:
                name = parse_text(buffer, at)
            elif number == 2:
                value = at
    return name, value


def _parts(buffer: bytes, span: Span, number: int) -> list[Span]:
    """Give the places of the length-delimited fields of one number."""
    return [
        at
        for found, wire_type, at in iter_fields(buffer, *span)
        if found == number and wire_type == LENGTH_DELIMITED
    ]


def _asset(buffer: bytes, span: Span) -> tuple[str, str]:
    """Give node and file name of an AssetFileDef."""
    nodes = [_texts(buffer, at).get(1, "") for at in _parts(buffer, span, 1)]
    names = [parse_text(buffer, at) for at in _parts(buffer, span, 2)]
    return _node_of(nodes[-1] if nodes else ""), names[-1] if names else ""


def _outputs(buffer: bytes, signature: Span) -> tuple[str, ...]:
    """Give the nodes whose tensors a signature gives: 2 outputs, map of TensorInfo."""
    entries = _parts(buffer, signature, 2)
    infos = (_map_entry(buffer, entry)[1] for entry in entries)
    nodes = (node for info in infos for node in _nodes_of_info(buffer, info, MAX_DEPTH))
    return tuple(dict.fromkeys(nodes))


def _nodes_of_info(buffer: bytes, info: Span, depth: int) -> Iterator[str]:
    """Yield the nodes of a TensorInfo.

    1 name, 4 coo_sparse: of its three tensors the names, 5 composite_tensor { 2 components }.
    """
    for number, wire_type, value in iter_fields(buffer, *info):
        if wire_type != LENGTH_DELIMITED:
            continue
        if number == 1:
            yield _node_of(parse_text(buffer, value))
        elif number == 4:
            names = _texts(buffer, value)
            yield from (_node_of(names[part]) for part in (1, 2, 3) if part in names)
        elif number == 5 and depth:
            for part in _parts(buffer, value, 2):
                yield from _nodes_of_info(buffer, part, depth - 1)


def _declaration(buffer: bytes, span: Span) -> tuple[str, tuple[str, ...]]:
    """Give name and arguments of an OpDef."""
    name, arguments = "", []
    for number, wire_type, at in iter_fields(buffer, *span):
        if wire_type == LENGTH_DELIMITED:
            if number == 1:
                name = parse_text(buffer, at)
            elif number == 2:
                arguments.append(_texts(buffer, at).get(1, ""))
    return name, tuple(arguments)


def _called(buffer: bytes, attribute: Span) -> list[str]:
    """Give the functions that an attribute names, one or a list."""
    names = []
    _, value = _map_entry(buffer, attribute)
    for number, wire_type, at in iter_fields(buffer, *value):
        if wire_type != LENGTH_DELIMITED:
            continue
        if number == 10:
            names.append(_texts(buffer, at).get(1, ""))
        elif number == 1:
            names += [
                _texts(buffer, item).get(1, "")
                for inner, inner_type, item in iter_fields(buffer, *at)
                if inner == 9 and inner_type == LENGTH_DELIMITED
            ]
    return names


def _saved_object(buffer: bytes) -> SavedObject:
    children: list[tuple[str, int]] = []
    functions: list[str] = []
    savers: list[int] = []
    identifier = metadata = operation = ""
    asset = None
    for number, wire_type, at in iter_fields(buffer):
        if wire_type != LENGTH_DELIMITED:
            continue
        if number == 1:
            name, node_id = "", 0
            for inner, inner_type, value in iter_fields(buffer, *at):
                if inner == 2 and inner_type == LENGTH_DELIMITED:
                    name = parse_text(buffer, value)
                elif inner == 1 and inner_type == VARINT:
                    node_id = value
            children.append((name, node_id))
        elif number == 4:
            texts = _texts(buffer, at)
            identifier, metadata = texts.get(1, ""), texts.get(3, "")
        elif number == 5:
            asset = _integers(buffer, at).get(1, 0)
        elif number in (6, 8):
            functions += [
                parse_text(buffer, value)
                for inner, inner_type, value in iter_fields(buffer, *at)
                if inner == 1 and inner_type == LENGTH_DELIMITED
            ]
        elif number == 9:
            operation = _texts(buffer, at).get(1, "")
        elif number == 11:
            _, value = _map_entry(buffer, at)
            both = _integers(buffer, value)
            savers += [both[i] for i in (2, 3) if i in both]
    return SavedObject(
        tuple(children), identifier, metadata, tuple(functions), asset, operation, tuple(savers)
    )


def _integers(buffer: bytes, span: Span) -> Mapping[int, int]:
    return {
        number: value
        for number, wire_type, value in iter_fields(buffer, *span)
        if wire_type == VARINT
    }
