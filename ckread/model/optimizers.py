"""Optimizers among the trackable objects, and the lists that Keras 3 keeps in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from ckread.model.object_graph import ObjectGraph

_INNER = ("inner_optimizer", "base_optimizer", "_optimizer")
_TELLTALE = frozenset(
    {"_trainable_variables", "_variables", "_iterations", "_learning_rate", "iter", "decay"}
    | {"learning_rate", "inner_optimizer", "base_optimizer"}
)
_NOT_SLOTS = frozenset({"_variables", "_trainable_variables", "trainable_variables"})


@dataclass(frozen=True, slots=True)
class Optimizer:
    """One optimizer object.

    Attributes:
        node: its node id.
        trainable: the variables it trains by index; None where it keeps no such list.
        variables: its own variables by index, the weights not among them.
        lists: local name of each further list, with its items by index; where there is
            `trainable`, those that run beside it.
        inner: node id of the optimizer that it wraps, if it wraps one.
    """

    node: int
    trainable: dict[int, int] | None
    variables: dict[int, int]
    lists: dict[str, dict[int, int]]
    inner: int | None


def find_optimizers(graph: ObjectGraph, stored: Collection[int]) -> dict[int, Optimizer]:
    """Give the optimizers of a graph by node id, in file order.

    Args:
        graph: the trackable objects.
        stored: the variable nodes whose keys the file has; no other is looked at.
    """
    return {
        node: _optimizer(graph, node, stored)
        for node, found in enumerate(graph.nodes)
        if (found.children or found.slot_variables) and _is_optimizer(graph, node)
    }


def _is_optimizer(graph: ObjectGraph, node: int) -> bool:
    if graph.nodes[node].slot_variables:
        return True
    names = _TELLTALE.intersection([name for _, name in graph.children[node]])
    if "_variables" in names and names & {"_trainable_variables", "_iterations", "_learning_rate"}:
        return True
    if "_iterations" in names and "_learning_rate" in names:
        return True
    return bool(
        ("iter" in names and names & {"learning_rate", "decay"})
        or names & {"inner_optimizer", "base_optimizer"}
    )


def _optimizer(graph: ObjectGraph, node: int, stored: Collection[int]) -> Optimizer:
    weights = graph.child(node, "_trainable_variables")
    own = graph.child(node, "_variables")
    trainable = None if weights is None else _variables(graph, weights, stored)
    inner = (graph.child(node, name) for name in _INNER)
    return Optimizer(
        node=node,
        trainable=trainable,
        variables={} if own is None else _variables(graph, own, stored),
        lists=_lists(graph, node, trainable, stored),
        inner=next((child for child in inner if child is not None), None),
    )


def _lists(
    graph: ObjectGraph, node: int, trainable: dict[int, int] | None, stored: Collection[int]
) -> dict[str, dict[int, int]]:
    lists = {}
    for child, name in graph.children[node]:
        if name in _NOT_SLOTS or child in stored:
            continue
        items = _variables(graph, child, stored)
        if items and (trainable is None or items.keys() <= trainable.keys()):
            lists[name] = items
    return lists


def _variables(graph: ObjectGraph, node: int, stored: Collection[int]) -> dict[int, int]:
    return {index: child for index, child in graph.items(node).items() if child in stored}
