"""The object graph: references, cycles, size, and agreement with TensorFlow's own class."""

from __future__ import annotations

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ckread.errors import CorruptCheckpointError
from ckread.model.evidence import Evidence, ObjectGraph
from ckread.model.naming import identify
from ckread.model.naming.graph import MAX_STEPS, PathTree
from ckread.model.naming.paths import Namer, OtherPaths
from ckread.readers.graphs.object_graph import (
    Attribute,
    Child,
    TrackableObject,
    TrackableObjectGraph,
    parse_object_graph,
)
from tests.builders import bytes_field
from tests.graphs import SUFFIX, Var, items, make, record

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "..", "fixtures")


def graph_of(*children: tuple[tuple[int, str], ...]) -> ObjectGraph:
    nodes = tuple(
        TrackableObject(children=tuple(Child(*child) for child in node)) for node in children
    )
    return ObjectGraph.from_message(TrackableObjectGraph(nodes))


DIAMOND = graph_of(((1, "left"), (2, "right")), ((3, "x"),), ((3, "x"), (0, "root")), ())


def test_parents_and_children() -> None:
    assert DIAMOND.children[0] == ((1, "left"), (2, "right"))
    assert DIAMOND.parents[3] == [(1, "x"), (2, "x")]
    assert DIAMOND.parents[0] == [(2, "root")]
    assert DIAMOND.child(2, "root") == 0
    assert DIAMOND.child(2, "none") is None


def test_walk_is_breadth_first_and_ends_where_told() -> None:
    assert list(DIAMOND.walk()) == [0, 1, 2, 3]
    assert list(DIAMOND.walk(1)) == [1, 3]
    assert list(DIAMOND.walk(ends={1, 2})) == [0, 1, 2]


def test_items_go_by_number() -> None:
    graph = graph_of(
        tuple((i + 1, name) for i, name in enumerate(("10", "2", "x", "1"))), *[()] * 4
    )
    assert list(graph.items(0).items()) == [(1, 4), (2, 2), (10, 1)]


def test_a_reference_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(CorruptCheckpointError) as error:
        graph_of(((7, "lost"),))
    assert str(error.value) == "object graph: node 0: child 'lost' is node 7, expected one below 1"
    with pytest.raises(CorruptCheckpointError) as error:
        graph_of(((-1, "lost"),))
    assert str(error.value).endswith("is node -1, expected one below 1")


def test_a_graph_without_nodes_is_refused() -> None:
    with pytest.raises(CorruptCheckpointError) as error:
        ObjectGraph.from_message(TrackableObjectGraph(()))
    assert str(error.value) == "object graph: no node, expected a root"


def test_the_best_path_avoids_optimizers_and_structure() -> None:
    kernel = Var("k")
    root = {
        "optimizer": {"_trainable_variables": items(kernel)},
        "model": {"_operations": items({"k": kernel}), "block": {"inner": {"k": kernel}}},
    }
    made = make(root)
    node = next(iter(made.graph.variables))
    optimizer = made.graph.child(0, "optimizer")
    assert optimizer is not None
    tree = PathTree(made.graph, {optimizer})
    assert tree.steps(node) == ("model", "block", "inner", "k")
    assert tree.first_step(node) == "model"
    assert made.graph.child(optimizer, "_trainable_variables") not in tree.reached


def test_structure_counts_from_the_root_on() -> None:
    shared = Var("v")
    made = make({"variables": items(shared), "net": {"deep": {"w": shared}}})
    node = next(iter(made.graph.variables))
    assert PathTree(made.graph, ()).steps(node) == ("net", "deep", "w")


def test_equal_paths_go_by_the_order_of_children() -> None:
    shared = Var("v")
    made = make({"b": {"w": shared}, "a": {"w": shared}})
    assert PathTree(made.graph, ()).steps(next(iter(made.graph.variables))) == ("b", "w")


def test_a_hundred_thousand_nodes_in_a_ring() -> None:
    n_nodes = 100_000
    graph = graph_of(*(((i + 1, "next"),) for i in range(n_nodes - 1)), ((0, "next"),))
    assert sum(1 for _ in graph.walk()) == n_nodes
    tree = PathTree(graph, ())
    assert len(tree.reached) == n_nodes
    assert tree.steps(MAX_STEPS) == ("next",) * MAX_STEPS
    assert tree.steps(n_nodes - 1) is None


def test_deep_chains_of_long_names_are_not_spelled_out() -> None:
    """Every node of a chain holds a weight, whose key is short: the optimizer's."""
    n_nodes = 20_000
    keys = [f"optimizer/_trainable_variables/{i}{SUFFIX}" for i in range(n_nodes)]
    chain = []
    for i in range(n_nodes):
        links = [Child(n_nodes + i, "w")] + ([Child(i + 1, "n" * 500)] if i + 1 < n_nodes else [])
        chain.append(TrackableObject(children=tuple(links)))
    leaves = [TrackableObject(attributes=(Attribute("VARIABLE_VALUE", "w", key),)) for key in keys]
    graph = ObjectGraph.from_message(TrackableObjectGraph((*chain, *leaves)))
    tensors = {key: record(key, Var()) for key in keys}
    identities = identify(tensors, Evidence(graph=graph))
    assert len({identity.name for identity in identities.values()}) == n_nodes
    assert max(len(identity.name) for identity in identities.values()) < 501 * (MAX_STEPS + 2)


@pytest.mark.oracle
@pytest.mark.parametrize("prefix", ["digits_run/ckpt-10", "tf23_keras2/object/ckpt-2"])
def test_equals_tensorflows_own_class(prefix: str) -> None:
    tf = pytest.importorskip("tensorflow")
    from tensorflow.core.protobuf import trackable_object_graph_pb2 as protos

    reader = tf.train.load_checkpoint(os.path.join(FIXTURES, prefix))
    raw = reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    expected = protos.TrackableObjectGraph.FromString(raw)
    graph = ObjectGraph.from_message(parse_object_graph(raw))
    assert len(graph) == len(expected.nodes)
    for found, children, node in zip(graph.nodes, graph.children, expected.nodes, strict=True):
        assert list(children) == [(c.node_id, c.local_name) for c in node.children]
        assert list(found.attributes) == [
            (a.name, a.full_name, a.checkpoint_key) for a in node.attributes
        ]
        assert list(found.slot_variables) == [
            (s.original_variable_node_id, s.slot_name, s.slot_variable_node_id)
            for s in node.slot_variables
        ]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("0801",), True),
        (("0800",), False),
        (("0805",), True),  # any number but 0 is true
        (("0801", "0800"), False),  # the last one counts
        (("0800", "0801"), True),
        (("0801", "1007"), True),  # another field tells nothing
        (("",), False),
    ],
)
def test_whether_an_object_has_values(values: tuple[str, ...], told: bool) -> None:
    node = bytes_field(1, bytes_field(2, b"a")) + b"".join(
        bytes_field(5, bytes.fromhex(value)) for value in values
    )
    (found,) = parse_object_graph(bytes_field(1, node)).nodes
    assert bool(found.has_checkpoint_values) is told


CHAIN = [[(i + 1, "next")] for i in range(40)] + [[]]


@given(
    st.integers(1, 9).flatmap(
        lambda n: st.lists(
            st.lists(
                st.tuples(st.integers(0, n - 1), st.sampled_from(("a", "b", "", "_layers", "0"))),
                max_size=3,
            ),
            min_size=n,
            max_size=n,
        )
    )
)
@example(CHAIN)
@example([[(1, "a")], [(2, "b")], [(1, "back"), (3, "c")], []])
def test_the_path_of_what_has_one_alone_is_that_of_the_walk(
    children: list[list[tuple[int, str]]],
) -> None:
    graph = graph_of(*map(tuple, children))
    paths = OtherPaths(Namer(graph, PathTree(graph, ()), (), {}))
    for node in range(len(graph)):
        only = paths._only_path(node)
        walked = paths._walk(node)
        if only is not None:
            assert [only[0]] == list(dict.fromkeys(walked))


def test_a_variable_whose_whole_path_is_the_frameworks() -> None:
    made = make({"_functional": Var("kernel")})
    assert made.names() == {"_functional": "functional"}
