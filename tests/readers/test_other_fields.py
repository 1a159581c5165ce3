"""Every decoder of a protobuf message passes over what it does not know.

A field of another number, or of a known number under another wire type, is an unknown field
(protobuf.dev/programming-guides/encoding): it changes nothing, wherever it stands. Each message
here is decoded as it is, which gives one whole record, and with such fields around each of its
own, at every level.
"""

from __future__ import annotations

import struct
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from ckread.readers import protobuf
from ckread.readers.contract import DataType
from ckread.readers.files import RegularFile
from ckread.readers.graphs import fingerprint, operations
from ckread.readers.graphs.meta_graph import (
    MetaGraph,
    Partition,
    SavedModel,
    Saver,
    VariableDef,
    read_meta_graph,
    read_saved_model,
)
from ckread.readers.graphs.object_graph import (
    Attribute,
    Child,
    RegisteredSaver,
    SlotVariable,
    TrackableObject,
    parse_object_graph,
)
from ckread.readers.graphs.operations import (
    GraphFile,
    Operations,
    SavedObject,
    read_keras_metadata,
)
from ckread.readers.graphs.signatures import (
    SavedVariable,
    Signature,
    TensorInfo,
    parse_signature,
    read_object_variables,
)
from ckread.readers.keras.saved_metadata import read_saved_layers
from ckread.readers.protobuf import (
    BundleEntry,
    BundleHeader,
    FieldStream,
    parse_bundle_entry,
    parse_bundle_header,
)
from ckread.readers.v1.reader import V1Tensor, data_span, parse_list
from tests.builders import masked_crc32c, varint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

V, F64, T, F32 = 0, 1, 2, 5
"""Wire types."""
P = (V, T)
"""A repeated number, packed or not."""
Schema = dict[int, Any]
Fields = list[tuple[int, Any]]

_NUMBERS = (*range(1, 14), 16, 100)
_NOISE = {
    V: (b"\1", b"\3"),
    F64: (b"\1" + bytes(7),),
    T: (b"\5noise", b"\4\x08\1\x10\1", b"\7\x0a\5other", b"\6\x12\4\x0a\2xy"),
    F32: (b"\1\0\0\0",),
}


def encoded(schema: Schema, fields: Fields, *, noisy: bool = False) -> bytes:
    """Encode a message: a field is a number, a text, or the fields of another message."""
    noise = b"".join(
        varint(number << 3 | kind) + value
        for number in _NUMBERS
        for kind, values in _NOISE.items()
        for value in values
        if noisy and kind not in _kinds(schema.get(number))
    )
    parts = [noise]
    for number, value in fields:
        inner = schema[number]
        if isinstance(value, list):
            value = encoded(inner if isinstance(inner, dict) else {}, value, noisy=noisy)
        if isinstance(value, str | bytes):
            data = value if isinstance(value, bytes) else value.encode()
            parts.append(varint(number << 3 | T) + varint(len(data)) + data)
        elif inner in (F32, F64):
            parts.append(
                varint(number << 3 | inner) + value.to_bytes(4 if inner == F32 else 8, "little")
            )
        else:
            parts.append(varint(number << 3) + varint(value))
        parts.append(noise)
    return b"".join(parts)


def _kinds(inner: Any) -> tuple[int, ...]:
    if inner is None:
        return ()
    if isinstance(inner, dict):
        return (T,)
    return inner if isinstance(inner, tuple) else (inner,)


def _same(decode: Callable[[bytes], Any], schema: Schema, fields: Fields) -> Any:
    """Give what a message says, after seeing that what it does not know changes nothing."""
    plain = decode(encoded(schema, fields))
    assert decode(encoded(schema, fields, noisy=True)) == plain
    return plain


# The messages, as TensorFlow's .proto files have them: what is decoded of each.

SHAPE = {2: {1: V, 2: T}, 3: V}
SLICE = {1: {1: V, 2: V}}
COMPOSITE: Schema = {2: {}}
TENSOR_INFO: Schema = {1: T, 2: V, 3: SHAPE, 4: {1: T, 2: T, 3: T}, 5: COMPOSITE}
COMPOSITE[2] = TENSOR_INFO
SIGNATURE = {1: {1: T, 2: TENSOR_INFO}, 2: {1: T, 2: TENSOR_INFO}, 3: T}
SAVED_VARIABLE = {1: V, 2: SHAPE, 3: V, 6: T}
USER_OBJECT = {1: T, 3: T}
VARIABLE_DEF = {1: T, 4: {1: T, 2: P, 3: P, 4: P}, 5: V, 6: T, 7: V}


def _sizes(*sizes: int) -> Fields:
    return [(2, [(1, size)]) for size in sizes]


def test_signatures() -> None:
    plain = [(1, "x:0"), (2, 1), (3, _sizes(-1, 8))]
    ragged = [(5, [(2, [(1, "v:0"), (2, 9), (3, _sizes(3))]), (2, [(1, "s:0"), (2, 9)])])]
    fields: Fields = [
        (1, [(1, "b"), (2, plain)]),
        (1, [(1, "a"), (2, [(1, "r:0"), (2, 99), (3, [(3, 1), *_sizes(2)])])]),
        (2, [(1, "out"), (2, ragged)]),
        (2, [(1, "few"), (2, [(4, [(1, "values:0")]), (2, 3)])]),
        (3, "predict"),
    ]
    found = _same(lambda data: parse_signature("serve", data, (0, len(data))), SIGNATURE, fields)
    f4, i8, i4 = DataType.FLOAT32, DataType.INT64, DataType.INT32
    parts = TensorInfo("", "v:0", i8, (3,)), TensorInfo("", "s:0", i8, ())
    assert found == Signature(
        "serve",
        (
            TensorInfo("a", "r:0", DataType.UNKNOWN, None),
            TensorInfo("b", "x:0", f4, (None, 8)),
        ),
        (
            TensorInfo("few", "", i4, (), (), True),
            TensorInfo("out", "", DataType.UNKNOWN, (), parts, False),
        ),
        "predict",
    )


OBJECTS = {1: {7: SAVED_VARIABLE, 4: USER_OBJECT}}
_OBJECT_FIELDS: Fields = [
    (1, [(4, [(1, "_tf_keras_network"), (3, "{root}")])]),
    (1, [(7, [(1, 1), (2, _sizes(3, -1)), (3, 1), (6, "w:0")])]),
    (1, [(7, [(1, 9), (6, "n")])]),
    (1, [(4, [(1, "_tf_keras_metric"), (3, "{metric}")])]),
    (1, [(4, [(1, "_tf_keras_layer")])]),
    (1, [(4, [(1, "optimizer")])]),
    (1, [(4, [(1, "experimentalOptimizer"), (3, "{kept}")])]),
    (1, [(4, [(1, "other_layer"), (3, "{other}")])]),
    (1, []),
    (1, [(7, [])]),
]
_VARIABLES = {
    1: SavedVariable("w:0", DataType.FLOAT32, (3, None), True),
    2: SavedVariable("n", DataType.INT64, (), False),
    9: SavedVariable("", DataType.UNKNOWN, (), False),
}


def _of_file(path: Path, read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> Any:
        path.write_bytes(data)
        return read(str(path))

    return decode


def test_variables_of_a_saved_model(tmp_path: Path) -> None:
    def read(path: str) -> Any:
        with RegularFile(path) as file:
            return read_object_variables(FieldStream(file), (0, file.nbytes))

    found = _same(_of_file(tmp_path / "objects", read), OBJECTS, _OBJECT_FIELDS)
    kinds = {5: "optimizer", 6: "experimentalOptimizer"}
    assert found == (_VARIABLES, {0: "{root}"}, kinds)


NODE_LIST = {1: T}
META_GRAPH: Schema = {
    1: {4: T, 5: T}, 2: T, 3: {4: V, 5: V, 6: F32, 7: V},
    4: {1: T, 2: {1: NODE_LIST, 2: {1: VARIABLE_DEF}}}, 5: {1: T, 2: SIGNATURE}, 6: {2: T},
    7: OBJECTS,
}  # fmt: skip
SAVED_MODEL = {1: V, 2: META_GRAPH}
_HOURS = int.from_bytes(struct.pack("<f", 2.5), "little")
_META_FIELDS: Fields = [
    (1, [(4, "serve"), (4, "tpu"), (5, "2.4.0"), (5, "2.16.1")]),
    (2, b"\xff" * 9),
    (3, [(4, 5), (5, 1), (6, _HOURS), (7, 2)]),
    (4, [(1, "variables"), (2, [(2, [
        (1, [(1, "w:0"), (6, "w/Initializer/zeros_1:0"), (7, 1), (5, 1)]),
        (1, [(1, "p/part_0:0"), (7, 0),
             (4, [(1, "p"), (2, b"\4\2"), (3, 0), (3, 1), (4, 2), (4, b"\2")])]),
    ])])]),
    (4, [(1, "global_step"), (2, [(1, [(1, "step:0"), (1, "later:0")])])]),
    (4, [(1, "other"), (2, [(2, [(1, [(1, "ignored:0")])])])]),
    (4, [(1, "local_variables")]),
    (5, [(1, "z"), (2, [(3, "classify")])]),
    (5, [(1, "a"), (2, [])]),
    (6, [(2, "vocabulary.txt")]),
    (6, [(2, "other.txt")]),
    (6, [(2, "vocabulary.txt")]),
    (7, _OBJECT_FIELDS),
]  # fmt: skip
_META = MetaGraph(
    tags=("serve", "tpu"),
    tensorflow_version="2.16.1",
    saver=Saver("V2", 5, True, 2.5),
    collections={
        "variables": (
            VariableDef("w", "zeros", True, True),
            VariableDef("p/part_0", "", False, False, Partition("p", (4, 2), (0, 1), (2, 2))),
        ),
        "global_step": (),
        "local_variables": (),
    },
    global_step="step",
    signatures=(Signature("a", (), ()), Signature("z", (), (), "classify")),
    assets=("vocabulary.txt", "other.txt"),
    variables=_VARIABLES,
    keras_layers={0: "{root}"},
    optimizers={5: "optimizer", 6: "experimentalOptimizer"},
)


def test_graphs_of_a_saver(tmp_path: Path) -> None:
    found = _same(_of_file(tmp_path / "x.meta", read_meta_graph), META_GRAPH, _META_FIELDS)
    assert found == _META


def test_graphs_of_a_saved_model(tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pb"

    def read(name: str) -> Any:
        return read_saved_model(name).meta_graphs

    train: Fields = [(1, [(4, "train")])]
    fields: Fields = [(1, 1), (2, train), (2, _META_FIELDS)]
    assert _same(_of_file(path, read), SAVED_MODEL, fields) == (MetaGraph(("train",)), _META)
    model = SavedModel(str(path), 7, (MetaGraph(("train",)), _META))
    assert model.meta_graph is _META


@pytest.mark.parametrize(
    ("version", "expected"), [(0, "legacy"), (1, "V1"), (2, "V2"), (3, "3"), (-1, "-1")]
)
def test_versions_of_a_saver(tmp_path: Path, version: int, expected: str) -> None:
    read = _of_file(tmp_path / "x.meta", read_meta_graph)
    assert read(encoded(META_GRAPH, [(3, [(7, version)])])).saver == Saver(expected)


# Operations: the same graphs, for what they run.

NODE_DEF = {1: T, 2: T, 3: T, 5: {1: T, 2: {1: {9: {1: T}}, 2: T, 8: {8: T}, 10: {1: T}}}}
FUNCTION_DEF = {1: {1: T, 2: {1: T}}, 3: NODE_DEF}
SAVED_OBJECT = {
    1: {1: V, 2: T}, 4: USER_OBJECT, 5: {1: V}, 6: {1: T}, 8: {1: T}, 9: {1: T},
    11: {1: T, 2: {2: V, 3: V}},
}  # fmt: skip
GRAPH: Schema = {
    2: {1: NODE_DEF, 2: {1: FUNCTION_DEF}}, 3: {1: T, 2: T, 3: T},
    4: {1: T, 2: {1: {1: T}, 5: {1: {2: {1: {1: T}, 2: T}}}}},
    5: {1: T, 2: {2: {1: T, 2: {1: T, 4: {1: T, 2: T, 3: T}, 5: COMPOSITE}}}},
    6: {1: {1: T}, 2: T}, 7: {1: SAVED_OBJECT, 2: {1: T, 2: {2: P}}},
}  # fmt: skip


def _call(name: str, *, listed: bool = False) -> tuple[int, Any]:
    """Give an attribute that names a function."""
    function = [(1, name)]
    return 5, [
        (1, "f"),
        (2, [(1, [(9, function), (9, [(1, "g2")])])] if listed else [(10, function)]),
    ]


_GRAPH_FIELDS: Fields = [
    (2, [
        (1, [(1, "a"), (2, "Placeholder")]),
        (1, [(1, "b"), (2, "If"), (3, "a:0"), (3, "^c"), _call("then"), _call("g1", listed=True)]),
        (1, [(1, "c"), (2, "MatMul"), _call("never")]),
        (2, [(1, [
            (1, [(1, "then"), (2, [(1, "x")]), (2, [(1, "y")])]),
            (3, [(1, "p"), (2, "If"), _call("deep")]),
            (3, [(1, "q"), (2, "MatMul"), _call("no")]),
            (3, [(1, "r"), (2, "MatMul")]),
        ])]),
    ]),
    (3, [(1, "save/Const:0"), (2, "save/control:0"), (3, "save/restore_all")]),
    (4, [(1, "saved_model_assets"),
         (2, [(5, [(1, [(2, [(1, [(1, "asset:0")]), (2, "words.txt")])])])])]),
    (4, [(1, "table_initializer"), (2, [(1, [(1, "init/op"), (1, "^second:0")])])]),
    (4, [(1, "saved_model_main_op"), (2, [(1, [(1, "main")])])]),
    (4, [(1, "legacy_init_op"), (2, [(1, [(1, "old")])])]),
    (4, [(1, "variables"), (2, [(1, [(1, "w")])])]),
    (5, [(1, "serve"), (2, [(2, [(1, "y"), (2, [(1, "out:1")])])])]),
    (6, [(1, [(1, "file:0")]), (2, "other.txt")]),
    (7, [
        (1, [(1, [(1, 2), (2, "layer")]), (1, [(2, "zero")]),
             (4, [(1, "_tf_keras_layer"), (3, "{}")])]),
        (1, [(5, [(1, 3)])]),
        (1, [(5, [])]),
        (1, [(6, [(1, "f1"), (1, "f2")])]),
        (1, [(8, [(1, "bare")])]),
        (1, [(9, [(1, "const")])]),
        (1, [(11, [(1, "v"), (2, [(2, 7), (3, 8)])]), (11, [(1, "w"), (2, [(3, 9)])])]),
        (2, [(1, "f1"), (2, [(2, 4), (2, b"\5\6")])]),
        (2, [(1, "bare")]),
    ]),
]  # fmt: skip


def _operations(path: str) -> Any:
    with GraphFile(path, lambda op: op == "If") as graph:
        found = graph.meta_graph()
        nodes = {name: node._replace(span=(0, 0)) for name, node in found.nodes.items()}
        functions = {
            name: (one.name, one.arguments, dict(one.ops), one.calls)
            for name, one in found.functions.items()
        }
        inner = [
            node[:4] for one in found.functions.values() for node in graph.nodes_of(one).values()
        ]
    return Operations(nodes, {}, *_rest(found)), functions, inner


def _rest(found: Operations) -> tuple[Any, ...]:
    names = ("signatures", "initializers", "savers", "assets", "objects", "bound")
    return tuple(getattr(found, name) for name in names)


@pytest.mark.parametrize(("small", "block"), [(60, 1 << 16), (1 << 20, 64), (60, 64)])
def test_large_parts_of_graphs_are_read_piece_by_piece(
    tmp_path: Path, small: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, data = _of_file(tmp_path / "x", _operations), encoded(GRAPH, _GRAPH_FIELDS)
    expected = read(data)
    monkeypatch.setattr(operations, "_SMALL_NBYTES", small)
    monkeypatch.setattr(protobuf, "BLOCK_NBYTES", block)
    assert read(data) == expected
    node: Fields = [(1, "n"), (2, "If"), _call("f" * 30), _call("g" * 60), (3, "x")]
    found, _, _ = read(encoded(GRAPH, [(2, [(1, node)])]))
    calls = ("f" * 30,) if small == 60 else ("f" * 30, "g" * 60)  # mostly they are constants
    assert found.nodes["n"][:4] == ("n", "If", ("x",), calls)


def test_operations(tmp_path: Path) -> None:
    whole, functions, inner = _same(_of_file(tmp_path / "x", _operations), GRAPH, _GRAPH_FIELDS)
    assert [node[:4] for node in whole.nodes.values()] == [
        ("a", "Placeholder", (), ()),
        ("b", "If", ("a:0", "^c"), ("then", "g1", "g2")),
        ("c", "MatMul", (), ()),
    ]
    assert functions == {"then": ("then", ("x", "y"), {"If": 1, "MatMul": 2}, frozenset({"deep"}))}
    assert inner == [("p", "If", (), ("deep",)), ("q", "MatMul", (), ()), ("r", "MatMul", (), ())]
    assert _rest(whole) == (
        {"serve": ("out",)},
        ["init/op", "second", "main", "old"],
        ["save/Const", "save/control", "save/restore_all"],
        {"asset": "words.txt", "file": "other.txt"},
        [
            SavedObject((("layer", 2), ("zero", 0)), "_tf_keras_layer", "{}"),
            SavedObject(asset=3),
            SavedObject(asset=0),
            SavedObject(functions=("f1", "f2")),
            SavedObject(functions=("bare",)),
            SavedObject(operation="const"),
            SavedObject(savers=(7, 8, 9)),
        ],
        {"f1": (4, 5, 6), "bare": ()},
    )


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ([(1, "a:0")], ("a",)),
        ([(4, [(1, "v:0"), (2, "i:0"), (3, "s:0")])], ("v", "i", "s")),
        ([(5, [(2, [(1, "c:0")]), (2, [(1, "d:1")]), (2, [(1, "c:2")])])], ("c", "d")),
        ([(5, [(2, [(5, [(2, [(1, "e:0")])])])])], ("e",)),
    ],
)
def test_what_a_signature_gives(tmp_path: Path, info: Fields, expected: tuple[str, ...]) -> None:
    fields: Fields = [(5, [(1, "s"), (2, [(2, [(1, "y"), (2, info)])])])]
    whole, _, _ = _same(_of_file(tmp_path / "x", _operations), GRAPH, fields)
    assert whole.signatures == {"s": expected}


def test_text_of_a_node(tmp_path: Path) -> None:
    fields: Fields = [
        (2, [
            (1, [(1, "t"), (5, [(1, "dtype"), (2, [(2, "no")])]),
                 (5, [(1, "value"), (2, [(8, [(8, "one"), (8, "two")])])])]),
            (1, [(1, "s"), (5, [(1, "value"), (2, [(2, "text")])])]),
            (1, [(1, "none"), (5, [(1, "value"), (2, [])])]),
        ])
    ]  # fmt: skip

    def read(path: str) -> Any:
        with GraphFile(path, lambda _: False) as graph:
            nodes = graph.meta_graph().nodes
            bare = [graph.strings(node, max_nbytes=0) for node in nodes.values()]
            assert bare == [[], [], []]
            texts = {name: graph.string(node) for name, node in nodes.items()}
            return texts, graph.string(nodes["t"], "dtype"), graph.string(nodes["t"], "absent")

    found = _same(_of_file(tmp_path / "x", read), GRAPH, fields)
    assert found == ({"t": "one, two", "s": "text", "none": None}, "no", None)


# What Keras and the fingerprint tell beside a SavedModel.


def test_metadata_of_keras(tmp_path: Path) -> None:
    path = tmp_path / "keras_metadata.pb"
    schema = {1: {5: T}}
    fields: Fields = [(1, [(5, "{}")]), (1, []), (1, [(5, "[1]")])]
    assert _same(_of_file(path, read_keras_metadata), schema, fields) == ["{}", "", "[1]"]


def test_layers_of_keras(tmp_path: Path) -> None:
    fields: Fields = [
        (1, [(2, 0), (4, "_tf_keras_network"), (5, '{"name": "net", "class_name": "Functional"}')]),
        (1, [(2, 3), (4, "_tf_keras_layer"),
             (5, '{"name": "fc", "class_name": "Dense", "config": {}}')]),
        (1, [(2, 5), (4, "_tf_keras_metric"),
             (5, '{"name": "mean", "class_name": "Mean", "config": {}}')]),
        (1, [(2, 6), (4, "_tf_keras_layer"), (5, '{"name": "bare"}')]),
    ]  # fmt: skip

    def read(path: str) -> Any:
        return read_saved_layers(str(tmp_path), {3: '{"name": "old", "config": {}}', 4: ""})

    schema = {1: {2: V, 4: T, 5: T}}
    found = _same(_of_file(tmp_path / "keras_metadata.pb", read), schema, fields)
    assert (found.names, found.classes) == (
        {0: "net", 3: "fc"},
        {0: "Functional", 3: "Dense"},
    )


@pytest.mark.parametrize("kind", [V, F64])
def test_fingerprints(tmp_path: Path, kind: int) -> None:
    (tmp_path / "variables").mkdir()
    index = tmp_path / "variables" / "variables.index"
    index.write_bytes(b"some index")
    schema = {1: kind, 5: (V, F64), 6: T}
    read = _of_file(
        tmp_path / "fingerprint.pb", lambda _: fingerprint.is_index_as_exported(str(tmp_path))
    )

    def message(value: int) -> bytes:
        data = varint(value) if kind == V else value.to_bytes(8, "little")
        return varint(5 << 3 | kind) + data

    stored = fingerprint.fingerprint64(b"some index")
    noise = encoded(schema, [], noisy=True)
    for data in (message(stored), noise + message(stored) + noise):
        assert read(data) is True
    assert read(message(stored ^ 1)) is False
    assert read(message(0)) is None
    assert read(b"") is None
    assert read(b"\xff") is None
    index.unlink()
    assert read(message(stored)) is None


# Objects of a checkpoint.

TRACKABLE: Schema = {
    1: {
        1: {1: V, 2: T}, 2: {1: T, 2: T, 3: T}, 3: {1: V, 2: T, 3: V}, 4: {1: T, 2: T}, 5: {1: V},
    }
}  # fmt: skip


def test_objects_of_a_checkpoint() -> None:
    fields: Fields = [
        (1, [(1, [(1, 1), (2, "kernel")]), (1, [(1, 300), (2, "bias")]), (1, [(1, 70_000)])]),
        (1, [(2, [(1, "VARIABLE_VALUE"), (2, "w"), (3, "k")]), (5, [(1, 1)])]),
        (1, [(2, [(1, "OTHER"), (3, "k2")]), (2, [])]),
        (1, [(3, [(1, 4), (2, "m"), (3, 5)]), (3, [])]),
        (1, [(4, [(1, "saver"), (2, "object")]), (5, [(1, 0)])]),
        (1, [(5, [])]),
        (1, []),
    ]
    found = _same(lambda data: parse_object_graph(data).nodes, TRACKABLE, fields)
    assert found == (
        TrackableObject((Child(1, "kernel"), Child(300, "bias"), Child(70_000, ""))),
        TrackableObject((), (Attribute("VARIABLE_VALUE", "w", "k"),), (), None, True),
        TrackableObject((), (Attribute("OTHER", "", "k2"), Attribute("", "", ""))),
        TrackableObject((), (), (SlotVariable(4, "m", 5), SlotVariable(0, "", 0))),
        TrackableObject((), (), (), RegisteredSaver("saver", "object"), False),
        TrackableObject((), (), (), None, False),
        TrackableObject(),
    )


_LENGTHS = (0, 1, 80, 109, 110, 111, 119, 120, 126, 127, 128, 129, 300)


@pytest.mark.parametrize("node_id", [0, 1, 127, 128, 255, 256, 16383, 16384, 2097151, 2097152])
def test_children_of_every_length(node_id: int) -> None:
    for n_letters in _LENGTHS:
        child = [(1, node_id), (2, "x" * n_letters)]
        data = encoded(TRACKABLE, [(1, [(1, child), (1, child)])])
        expected = 2 * (Child(node_id, "x" * n_letters),)
        assert parse_object_graph(data).nodes == (TrackableObject(expected),)


@pytest.mark.parametrize("what", ["VARIABLE_VALUE", "VARIABLE_VALUF", "VALUE"])
@pytest.mark.parametrize("has_values", [[(1, 1)], [(1, 0)], None])
def test_variables_of_every_length(what: str, has_values: Fields | None) -> None:
    flag: Fields = [] if has_values is None else [(5, has_values)]
    told = None if has_values is None else has_values == [(1, 1)]
    for name, key in product(_LENGTHS, _LENGTHS):
        attribute = [(1, what), (2, "n" * name), (3, "k" * key)]
        [found] = parse_object_graph(encoded(TRACKABLE, [(1, [(2, attribute), *flag])])).nodes
        one = Attribute(what, "n" * name, "k" * key)
        assert found == TrackableObject((), (one,), (), None, told)
        twice = encoded(TRACKABLE, [(1, [(2, attribute), (2, attribute), *flag])])
        assert parse_object_graph(twice).nodes[0].attributes == (one, one)


# Bundles, and the checkpoints of version 1.


def test_headers_of_a_bundle() -> None:
    schema = {1: V, 2: V, 3: {1: V, 2: V, 3: P}}
    fields: Fields = [(1, 3), (2, 1), (3, [(1, 5), (2, 4), (3, 7), (3, b"\10\11")])]
    found = _same(parse_bundle_header, schema, fields)
    assert found == BundleHeader(3, True, 5, 4, (7, 8, 9))
    assert parse_bundle_header(encoded(schema, [(2, 2)])) == BundleHeader(0, False, 0, 0, ())


def test_entries_of_a_bundle() -> None:
    schema = {1: V, 2: SHAPE, 3: V, 4: V, 5: V, 6: F32, 7: SLICE}
    fields: Fields = [
        (1, 9), (2, _sizes(4)), (2, [(2, [(1, 2), (2, "named")]), (2, [])]), (3, 2), (4, 1 << 40),
        (5, 64), (6, masked_crc32c(b"")), (7, [(1, [(1, 1), (2, 2)]), (1, []), (1, [(2, 0)])]),
    ]  # fmt: skip
    found = _same(parse_bundle_entry, schema, fields)
    expected = ((1, 2), (0, None), (0, 0))
    assert found == BundleEntry(DataType.INT64, (4, 2, 0), 2, 1 << 40, 64, 0, (expected,), 9)


V1_LIST = {1: {1: {1: T, 2: SHAPE, 3: V, 4: SLICE}}}


def test_lists_of_version_1() -> None:
    fields: Fields = [
        (1, [
            (1, [(1, "w"), (2, _sizes(4, 2)), (3, 1), (4, [(1, [(1, 0), (2, 2)]), (1, [])]),
                 (4, [(1, [(1, 2), (2, 2)]), (1, [])])]),
            (1, [(1, "n"), (3, 9)]),
        ]),
        (1, [(1, [(1, "s"), (3, 7), (4, [])])]),
    ]  # fmt: skip
    found = _same(parse_list, V1_LIST, fields)
    slices = ((0, 2), (0, None)), ((2, 2), (0, None))
    assert found == {
        "w": V1Tensor(DataType.FLOAT32, (4, 2), slices),
        "n": V1Tensor(DataType.INT64, (), ()),
        "s": V1Tensor(DataType.STRING, (), ((),)),
    }
    assert [one.nbytes for one in found.values()] == [32, 8, 0]


def test_values_of_version_1() -> None:
    schema = {2: {1: T, 3: T}}
    fields: Fields = [(2, [(1, "w"), (3, b"values")])]

    def decode(data: bytes) -> bytes:
        start, stop = data_span(data)
        return data[start:stop]

    assert _same(decode, schema, fields) == b"values"
