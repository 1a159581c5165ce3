"""Object graphs as columns: whatever is asked of them is what single objects give."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import ckread
from ckread.errors import CorruptCheckpointError
from ckread.model.columns.objects import read_many_objects
from ckread.model.evidence import Evidence, ObjectGraph
from ckread.model.naming.graph import PathTree
from ckread.model.naming.many_objects import ManyPaths, identify_many_objects
from ckread.model.naming.objects import identify_objects
from ckread.model.optimizers import find_optimizers
from ckread.readers.contract import DataType, TensorColumns
from ckread.readers.graphs.object_graph import (
    Attribute,
    Child,
    SlotVariable,
    TrackableObject,
    parse_object_graph,
)
from tests.benchmarks.indexes import make_objects
from tests.builders import bytes_field, varint_field
from tests.graphs import SUFFIX, Optimizer, Var, items, make

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.graphs import Holder

N_TENSORS = 1000


def encoded(node: TrackableObject, manner: int = 0) -> bytes:
    """Give the message of a node; other manners are as legal, and as no writer writes it."""

    def number(field: int, value: int) -> bytes:
        return varint_field(field, value) if value or manner == 1 else b""

    children = [
        bytes_field(1, number(1, child) + bytes_field(2, name.encode()))
        for child, name in node.children
    ]
    attributes = [
        bytes_field(
            2, b"".join(bytes_field(i, text.encode()) for i, text in enumerate(one, 1) if text)
        )
        for one in node.attributes
    ]
    slots = [
        bytes_field(3, number(1, owner) + bytes_field(2, word.encode()) + number(3, slot))
        for owner, word, slot in node.slot_variables
    ]
    flag = [] if node.has_checkpoint_values is None else [b"\x2a\x02\x08\x01"]
    unknown = [bytes_field(9, b"what")] if manner == 3 else []
    parts = [*children, *attributes, *slots, *flag, *unknown]
    return b"".join(parts[::-1] if manner == 2 else parts)


def message_of(nodes: Sequence[TrackableObject], manners: Sequence[int] = (0,)) -> bytes:
    """Give the message of a graph, its nodes written in these manners in turn."""
    messages = (encoded(node, manners[i % len(manners)]) for i, node in enumerate(nodes))
    return b"".join(map(bytes_field, [1] * len(nodes), messages))


def assert_same_graph(message: bytes, tensors: TensorColumns | None = None) -> bool:
    """See that nothing tells the two apart; tell whether identities were told by columns."""
    many = read_many_objects(message, N_TENSORS)
    try:
        one = ObjectGraph.from_message(parse_object_graph(message, N_TENSORS))
    except CorruptCheckpointError:
        assert many is None
        return False
    assert many is not None
    assert len(one) == len(many)
    assert tuple(one.nodes) == tuple(many.nodes) == tuple(many.nodes[:])
    assert list(one.children) == list(many.children)
    assert list(map(list, one.parents)) == list(many.parents)
    assert (one.full_names, one.variables) == (many.full_names, many.variables)
    assert one.by_local_names == many.by_local_names
    assert list(one.with_slots) == list(many.with_slots)
    assert one.keys_in_order == many.keys_in_order
    assert list(one.walk()) == list(many.walk())
    for node in range(len(one)):
        assert list(one.items(node).items()) == list(many.items(node).items())
        index, child = many.listed(node)
        assert one.items(node) == dict(zip(index.tolist(), child.tolist(), strict=True))
        for name in ("kernel", "0", "none", ""):
            assert one.child(node, name) == many.child(node, name)
    optimizers = find_optimizers(one, one.variables)
    assert list(optimizers) == list(find_optimizers(many, one.variables))
    tree, paths = PathTree(one, optimizers), ManyPaths(many, optimizers)
    for name in ("parent", "name", "cost", "length", "reached"):
        assert getattr(tree, name) == getattr(paths, name)
    for node in tree.parent:
        assert tree.steps(node) == paths.steps(node)
        assert tree.is_structural(node) == paths.is_structural(node)
        assert not node or tree.first_step(node) == paths.first_step(node)
    if tensors is None:
        return False
    found = identify_many_objects(tensors, many)
    expected = identify_objects(tensors, one, Evidence(graph=one))
    if found is not None:
        assert dict(found.items()) == expected
        assert list(found.in_order()) == list(expected.values())
    return found is not None


def columns_of(records: dict[str, tuple[DataType, tuple[int, ...]]]) -> TensorColumns:
    """Give what an index lists of these, as columns."""
    keys = sorted(records)
    kinds = list(dict.fromkeys(records.values()))
    of_kind = [(dtype, shape, 4) for dtype, shape in kinds]
    kind = np.array([kinds.index(records[key]) for key in keys], np.int32)
    zeros = [np.zeros(len(keys), dtype) for dtype in (np.uint32, np.int32, np.int64)]
    return TensorColumns(keys, of_kind, kind, *zeros)  # type: ignore[arg-type]


# Random graphs: cycles, shared objects, lists, optimizers old and new.

_NAMES = """
model net layer kernel bias 0 1 2 10 01 x.y a/b _layers _functional _operations layer-0 signatures
layer_with_weights-0 variables _all_variables trainable_variables _variables keras_api _kernel v
_trainable_variables _momentums _velocities _iterations iter learning_rate total count mean
variance metrics average _model_variables_moving_average ٣ größe
"""
NAMES = st.sampled_from(_NAMES.split())
FULL_NAMES = st.sampled_from(
    ["", "kernel", "layer/kernel", "sub/layer/kernel", "layer/bias", "adam/layer_kernel_momentum",
     "adam/layer_kernel_velocity", "Adam/m/layer/kernel", "Variable:0", "layer/moving_mean",
     "replay_buffer/x", "step", "adam/layer_bias_momentum", "größe/w"]
)  # fmt: skip
KINDS = st.sampled_from(
    [(DataType.FLOAT32, (3, 2)), (DataType.FLOAT32, (3, 2)), (DataType.FLOAT32, ()),
     (DataType.INT64, ()), (DataType.FLOAT32, (600, 2)), (DataType.INT64, (600,)),
     (DataType.STRING, ())]
)  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[TrackableObject], dict[str, Any]]:
    """Draw nodes, and what is stored under the keys of variables."""
    n = draw(st.integers(1, 14))
    ids = st.integers(0, n - 1)
    is_variable = [False, *(draw(st.booleans()) for _ in range(1, n))]
    nodes, stored = [], {}
    for i in range(n):
        if is_variable[i]:
            key = f"k{i}" if draw(st.booleans()) else draw(NAMES)
            attributes = [Attribute("VARIABLE_VALUE", draw(FULL_NAMES), f"{key}{SUFFIX}")]
            if draw(st.integers(0, 9)) == 0:
                attributes.append(Attribute("OBJECT_CONFIG_JSON", "", f"{key}/x"))
            if draw(st.integers(0, 9)):
                stored[attributes[0].checkpoint_key] = draw(KINDS)
            has_values = draw(st.sampled_from([True, None]))
            nodes.append(TrackableObject((), tuple(attributes), (), None, has_values))
            continue
        listed = draw(st.booleans())
        held = draw(st.lists(ids, max_size=5))
        names = [str(at) if listed else draw(NAMES) for at in range(len(held))]
        slots: list[tuple[int, str, int]] = []
        if not listed and not draw(st.integers(0, 3)):
            slots = draw(st.lists(st.tuples(ids, NAMES, ids), max_size=2))
        nodes.append(
            TrackableObject(
                tuple(map(Child, held, names)), (), tuple(SlotVariable(*one) for one in slots)
            )
        )
    stored["_CHECKPOINTABLE_OBJECT_GRAPH"] = DataType.STRING, ()
    return nodes, stored


@given(graphs(), st.lists(st.sampled_from([0, 0, 0, 1, 2, 3]), min_size=1, max_size=4))
def test_random_graphs(drawn: tuple[Any, Any], manners: list[int]) -> None:
    nodes, stored = drawn
    assert_same_graph(message_of(nodes, manners), columns_of(stored))


def of_objects(root: Holder) -> bool:
    """Compare a graph that is written by hand."""
    made = make(root)
    stored = {key: (one.dtype, one.shape) for key, one in made.tensors.items()}
    return assert_same_graph(message_of(made.graph.nodes), columns_of(stored))


WEIGHTS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "enc/a"]), st.sampled_from(["kernel", "bias", "_w"])),
    min_size=1,
    max_size=6,
    unique=True,
)


@given(
    WEIGHTS,
    st.sampled_from(["plain", "functional", "layers"]),
    st.lists(st.sampled_from(["momentum", "velocity", "average"]), max_size=3, unique=True),
    st.integers(0, 6),
    st.booleans(),
    st.booleans(),
)
def test_models_with_optimizers(
    names: list[tuple[str, str]],
    manner: str,
    words: list[str],
    n_frozen: int,
    is_legacy: bool,
    are_lists_kept: bool,
) -> None:
    weights = [Var(f"{scope}/{word}", (i + 1, 2)) for i, (scope, word) in enumerate(names)]
    layers: dict[str, dict[str, Any]] = {}
    for (scope, word), weight in zip(names, weights, strict=True):
        layers.setdefault(scope.replace("/", "_"), {})[word] = weight
    model: dict[str, Any] = dict(layers)
    if manner == "functional":
        model = {"_functional": {"_operations": items(*layers.values())}}
        model["_layers"] = items(*layers.values())
    elif manner == "layers":
        model = {"layers": items(*layers.values())}
    trained = weights[n_frozen:]
    slots = {word: [Var(f"adam/{w.full_name.replace('/', '_')}_{word}", w.shape) for w in trained]
             for word in words}  # fmt: skip
    rate = Var("adam/learning_rate", ())
    optimizer: Holder
    if is_legacy:
        told = [
            (w, word, s) for word, all_ in slots.items() for w, s in zip(trained, all_, strict=True)
        ]
        optimizer = Optimizer(
            {"learning_rate": rate, "iter": Var("iter", (), DataType.INT64)}, told
        )
    else:
        all_slots = [one for of in slots.values() for one in of]
        lists = {f"_{word}": items(*all_) for word, all_ in slots.items() if are_lists_kept}
        optimizer = {
            "_variables": items(rate, *all_slots),
            "_trainable_variables": items(*trained),
            **lists,
            "_learning_rate": rate,
        }
    of_objects(
        {
            "model": model,
            "optimizer": optimizer,
            "save_counter": Var("save_counter", (), DataType.INT64),
        }
    )


def test_what_tensorflow_writes_is_told_by_columns() -> None:
    kernels = [Var(f"layer_{i}/kernel") for i in range(12)]
    layers = {f"layer_{i}": {"kernel": one} for i, one in enumerate(kernels)}
    slots = [Var(f"adam/layer_{i}_kernel_momentum") for i in range(12)]
    rate = Var("adam/learning_rate", ())
    optimizer = {
        "_variables": items(rate, *slots),
        "_trainable_variables": items(*kernels),
        "_momentums": items(*slots),
        "_learning_rate": rate,
    }
    assert of_objects({"model": layers, "optimizer": optimizer})
    legacy = Optimizer({}, [(w, "m", s) for w, s in zip(kernels, slots, strict=True)])
    assert of_objects({"model": layers, "optimizer": legacy})


@given(st.binary(max_size=40))
@example(message_of([TrackableObject((Child(5, "nowhere"),))]))
@example(b"")
@example(b"\x0a\x7f")
def test_damaged_graphs(noise: bytes) -> None:
    nodes = make({"a": {"kernel": Var("a/kernel")}}).graph.nodes
    whole = message_of(nodes)
    for damaged in (noise, whole + noise, whole[: len(noise)], noise + whole):
        many = read_many_objects(damaged, N_TENSORS)
        with suppress(CorruptCheckpointError):
            graph = ObjectGraph.from_message(parse_object_graph(damaged, N_TENSORS))
            assert many is None or tuple(many.nodes) == tuple(graph.nodes)
            continue
        assert many is None


@pytest.mark.slow
def test_objects_of_ten_thousand_variables(tmp_path: Path) -> None:
    from tests.model.columns.test_variables import both_ways

    assert both_ways(make_objects(tmp_path / "ckpt", 3000))
    with ckread.open(str(tmp_path / "ckpt")) as checkpoint:
        assert checkpoint.evidence.graph is not None
