"""Which saved object is bound to which of a program: TensorFlow's rules on graphs made by hand."""

from __future__ import annotations

import ckread
from ckread.model.binding import Refusal, SlotManner, bind, slot_manner
from ckread.model.evidence import ObjectGraph
from ckread.readers.graphs.object_graph import Attribute, Child, SlotVariable, TrackableObject
from tests.places import FIXTURES

Slots = tuple[tuple[int, str, int], ...]


def graph(*nodes: dict[str, int] | str, slots: dict[int, Slots] | None = None) -> ObjectGraph:
    """Make a graph: a dict for an object with children, a key for a variable."""
    made = []
    for number, node in enumerate(nodes):
        kept = tuple(SlotVariable(*one) for one in (slots or {}).get(number, ()))
        if isinstance(node, str):
            made.append(TrackableObject((), (Attribute("VARIABLE_VALUE", node, node),), kept))
        else:
            children = tuple(Child(child, name) for name, child in node.items())
            made.append(TrackableObject(children, (), kept))
    return ObjectGraph(tuple(made))


def test_children_are_bound_by_their_names() -> None:
    found = bind(graph({"a": 1, "b": 2}, "x", "y"), graph({"b": 1, "c": 2}, "p", "q"))
    assert found.bound == {0: 0, 2: 1}
    assert found.paths == {0: "", 2: "b"}
    assert found.deferred == [(0, 1, "a")]


def test_the_shortest_way_binds_first_and_holds() -> None:
    there = graph({"deep": 1, "y": 2}, {"x": 2}, "shared")
    here = graph({"deep": 1, "y": 2}, {"x": 3}, "one", "two")
    found = bind(there, here)
    assert found.bound == {0: 0, 1: 1, 2: 2}, "y is nearer to the root than deep/x"
    assert found.first() == {0: 0, 1: 1, 2: 2}


def test_of_two_that_are_one_here_the_first_gives_the_value() -> None:
    found = bind(graph({"x": 1, "y": 2}, "one", "two"), graph({"x": 1, "y": 1}, "both"))
    assert found.bound == {0: 0, 1: 1, 2: 1}
    assert found.first()[1] == 1


def test_circles_end() -> None:
    there = graph({"a": 1}, {"up": 0, "v": 2}, "v")
    assert bind(there, there).bound == {0: 0, 1: 1, 2: 2}


LEGACY = graph(
    {"model": 1, "optimizer": 2}, {"w": 3}, {"iter": 4}, "w", "iter", "w/m",
    slots={2: ((3, "m", 5),)},
)  # fmt: skip


def test_slots_are_bound_by_optimizer_variable_and_word() -> None:
    assert bind(LEGACY, LEGACY).bound[5] == 5
    assert bind(LEGACY, LEGACY).paths[5] == "model/w's m"


def test_a_legacy_optimizer_makes_the_slot_it_lacks() -> None:
    here = graph({"model": 1, "optimizer": 2}, {"w": 3}, {"iter": 4}, "w", "iter")
    found = bind(LEGACY, here)
    assert found.bound[5] == -1
    assert found.made == {-1: 5}


def test_a_newer_optimizer_refuses() -> None:
    here = graph(
        {"model": 1, "optimizer": 2}, {"w": 3}, {"_variables": 4, "_iterations": 5}, "w",
        {"0": 5}, "iterations",
    )  # fmt: skip
    assert slot_manner(here, 2) is SlotManner.REFUSES
    assert bind(LEGACY, here).refusal == Refusal(2, 5, is_strange=False)


def test_keras_3_keeps_slots_in_lists_and_is_not_asked_unless_it_comes_late() -> None:
    parts = {"_variables": 4, "_trainable_variables": 4, "_iterations": 5}
    here = graph({"model": 1, "optimizer": 2}, {"w": 3}, parts, "w", {"0": 5}, "iterations")
    assert slot_manner(here, 2) is SlotManner.IGNORES
    assert bind(LEGACY, here).refusal is None
    late = graph(
        {"w": 1, "deep": 2}, "w", {"optimizer": 3}, {"iter": 4}, "iter", "w/m",
        slots={3: ((1, "m", 5),)},
    )  # fmt: skip
    later = graph({"w": 1, "deep": 2}, "w", {"optimizer": 3}, parts, {"0": 5}, "iterations")
    assert bind(late, later).refusal == Refusal(3, 5, is_strange=True)


def test_of_an_object_that_shows_nothing_it_is_not_told() -> None:
    here = graph({"model": 1, "optimizer": 2}, {"w": 3}, {}, "w")
    found = bind(LEGACY, here)
    assert found.untold == [5]
    assert 5 not in found.bound


def test_a_saved_model_tells_what_an_optimizer_without_variables_was() -> None:
    """Tried with tf_keras: a legacy SGD takes the slots of Adam, one of 2.11 refuses them."""
    here = graph({"model": 1, "optimizer": 2}, {"w": 3}, {}, "w")
    found = bind(LEGACY, here.with_kinds({2: "optimizer", 9: "optimizer"}))
    assert (found.untold, found.made) == ([], {-1: 5})
    refusing = here.with_kinds({2: "experimentalOptimizer"})
    assert bind(LEGACY, refusing).refusal == Refusal(2, 5, is_strange=False)
    with ckread.open(FIXTURES / "tf23_keras2" / "saved_model") as checkpoint:
        told = checkpoint.evidence.graph
        assert told is not None
        assert told.nodes[told.child(0, "optimizer") or 0].kind == "optimizer"


def test_slots_of_a_variable_that_is_not_bound_stay_open() -> None:
    here = graph({"optimizer": 1}, {"iter": 2}, "iter")
    assert bind(LEGACY, here).has_open_slots
    assert not bind(LEGACY, LEGACY).has_open_slots
