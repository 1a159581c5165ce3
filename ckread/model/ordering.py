"""The order of a model: layers as they follow each other, kernel before bias.

A bundle keeps its keys sorted as bytes, so `_operations/10` stands before
`_operations/2`. The object graph, Keras files and `.meta` files list what a model
is made of in its own order; elsewhere names are in natural order. Attributes of a
subclassed model stand in the graph by name: there its optimizer knows the order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.selection import natural_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckread.model.evidence import Evidence, ObjectGraph
    from ckread.model.variable import Variable

_LEAVES = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
LEAF_RANK = {leaf: rank for rank, leaf in enumerate(_LEAVES)}
"""The place of some last components among those of their scope; others come after."""

_TRAINED = ("_trainable_variables", "trainable_variables")

Place = tuple[int, int, str, int, int, str]
"""Part of the table, rank and name of the scope, ranks and name of the variable."""


def model_order(variables: Iterable[Variable], evidence: Evidence) -> list[Variable]:
    """Sort variables: parameters in the order of the model, then the rest.

    The variables of one scope stay together. Of the rest, what lies in a scope comes
    first: the optimizer before a save counter.
    """
    chosen = list(variables)
    ranks = ranks_of(((v.key, v.name) for v in chosen), evidence)
    last = len(ranks)
    first_of_scope: dict[str, int] = {}
    for variable in chosen:
        scope = _scope(variable.name)
        rank = ranks.get(variable.key, last)
        first_of_scope[scope] = min(rank, first_of_scope.get(scope, last))

    def place(variable: Variable) -> Place:
        scope, _, leaf = variable.name.rpartition("/")
        is_parameter = variable.role.is_parameter
        return (
            0 if is_parameter else 1 if "/" in variable.name else 2,
            first_of_scope[scope],
            natural_key(scope),
            LEAF_RANK.get(leaf, len(_LEAVES)),
            ranks.get(variable.key, last),
            natural_key(leaf),
        )

    return sorted(chosen, key=place)


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


def ranks_of(names: Iterable[tuple[str, str]], evidence: Evidence) -> dict[str, int]:
    """Give the place of each checkpoint key that the files put in an order, by key and name."""
    if evidence.graph is not None:
        return _graph_order(evidence.graph)
    listed: dict[str, int] = {}  # scopes
    for layer in evidence.layers:
        listed.setdefault(layer.name.rpartition("/")[2], len(listed))
    if evidence.meta_graph is not None:
        for one in evidence.meta_graph.collections.get("variables", ()):
            listed.setdefault(_scope(one.key), len(listed))
    if not listed:
        return {}
    ranks = {}
    for key, name in names:
        scope = _scope(name)
        # The scope itself, else the innermost part of it that is listed.
        parts = (scope, *reversed(scope.split("/")))
        ranks[key] = next((listed[p] for p in parts if p in listed), len(listed))
    return ranks


def _graph_order(graph: ObjectGraph) -> dict[str, int]:
    """Number the variables as the optimizer lists them, others after the one met before."""
    met: dict[str, None] = {}
    seen: set[int] = set()
    to_visit = [0]
    while to_visit:  # depth first: all of a layer before the next
        node = to_visit.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in graph.variables:
            met.setdefault(graph.variables[node])
        to_visit.extend(child for child, _ in reversed(graph.children[node]))
    listed: dict[str, int] = {}
    trained = (child for children in graph.children for child, name in children if name in _TRAINED)
    for members in trained:
        for node in graph.items(members).values():
            if node in graph.variables:
                listed.setdefault(graph.variables[node], len(listed))
    last = -1
    places = {}
    for i, key in enumerate(met):
        last = listed.get(key, last)
        places[key] = last, i
    return {key: rank for rank, key in enumerate(sorted(places, key=places.__getitem__))}
