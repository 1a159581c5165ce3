"""Which optimizer left its state in a checkpoint: by its names, else by its lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckread.model.keras_plans import CLASS_NAMES
from ckread.model.role import Role
from ckread.model.slot_words import optimizer_class

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.object_graph import ObjectGraph
    from ckread.model.variable import Variable


_BY_LISTS = (
    (frozenset({"linears"}), "Ftrl"),
    (frozenset({"accumulated_delta_vars"}), "Adadelta"),
    (frozenset({"average_gradients"}), "RMSprop"),
    (frozenset({"adam_velocities"}), "Muon"),
    (frozenset({"r", "c", "v"}), "Adafactor"),
    (frozenset({"m", "u"}), "Adamax"),
    (frozenset({"u_product"}), "Nadam"),
    (frozenset({"accumulators"}), "Adagrad"),
)
"""Local names that only one optimizer has, most telling first."""

_NUMBER = re.compile(r"_\d+$")


def kind_of_object(checkpoint: Checkpoint, graph: ObjectGraph, node: int) -> str | None:
    """Give the class of an optimizer object, with momentum or AMSGrad where it shows."""
    lists = {name.lstrip("_") for _, name in graph.children[node]}
    for full_name in _full_names(graph, node):
        for scope in full_name.split("/")[:-1]:
            kind = CLASS_NAMES.get(_NUMBER.sub("", scope).replace("_", "").lower())
            if kind:
                return _qualified(kind, lists, _words(checkpoint.values()))
    return next((kind for names, kind in _BY_LISTS if names <= lists), None)


def _full_names(graph: ObjectGraph, node: int) -> Iterable[str]:
    """Give full names of variables of an optimizer: its counters, then its slots."""
    for child, _ in graph.children[node]:
        if child in graph.full_names:
            yield graph.full_names[child]
    for _, _, slot in graph.nodes[node].slot_variables:
        yield graph.full_names.get(slot, "")
    own = graph.child(node, "_variables")
    for child in () if own is None else graph.items(own).values():
        yield graph.full_names.get(child, "")


def _qualified(kind: str, lists: Collection[str], words: Collection[str]) -> str:
    if kind == "SGD" and not {"momentum", "m"}.isdisjoint(words):
        return "SGD with momentum"
    if kind == "Adam" and ("velocity_hats" in lists or "vhat" in words):
        return "Adam with AMSGrad"
    return kind


def _words(variables: Iterable[Variable]) -> set[str]:
    return {variable.slot for variable in variables if variable.slot}


def kind_by_slots(variables: Iterable[Variable]) -> str | None:
    """Give the optimizers that the keys of slots name, as in TensorFlow 1; None if none does."""
    kinds: dict[str, None] = {}
    for variable in variables:
        if variable.role is Role.SLOT:
            kind = optimizer_class(variable.key)
            if kind:
                kinds[kind] = None
    return " and ".join(sorted(kinds)) or None
