"""Which weights training moves, by the strongest evidence the files hold.

In order: an optimizer's `_trainable_variables`; the root's list `trainable_variables`
of a SavedModel; the weights that an optimizer keeps slots for; the flags in
`saved_model.pb`. An optimizer speaks for the model it trains, not for others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ckread.model.object_graph import ObjectGraph
    from ckread.model.optimizers import Optimizer
    from ckread.model.slot import Slot
    from ckread.model.telling import Namer

_FREEZABLE = frozenset({"_inbound_nodes", "_losses", "call_signature_parameters", "keras_api"})


def find_trainable(
    namer: Namer,
    weights: Collection[int],
    optimizers: Mapping[int, Optimizer],
    *,
    slots: Mapping[int, Slot],
    flags: Mapping[int, bool],
) -> dict[int, bool]:
    """Give whether training moves a weight, for the weights of which it can be told."""
    told: dict[int, bool] = {}
    trained = {
        node for optimizer in optimizers.values() for node in (optimizer.trainable or {}).values()
    }
    _tell_all(told, namer, weights, trained)
    listed, all_listed = _root_lists(namer)
    for node in all_listed & set(weights):
        told.setdefault(node, node in listed)
    owners = {slot.owner for slot in slots.values()}
    _tell_all(told, namer, [node for node in weights if node not in told], owners)
    if flags:
        _tell_by_flags(told, namer.graph, weights, flags)
    return told


def _tell_by_flags(
    told: dict[int, bool], graph: ObjectGraph, weights: Iterable[int], flags: Mapping[int, bool]
) -> None:
    freezable = _keras_layers(graph)
    for node in weights:
        flag = flags.get(node)
        in_layer = any(parent in freezable for parent, _ in graph.parents[node])
        if flag is False or (flag and not in_layer):
            told.setdefault(node, flag)


def _tell_all(
    told: dict[int, bool], namer: Namer, weights: Iterable[int], trained: Collection[int]
) -> None:
    """Split every model of which something is trained into what is and what is not."""
    nodes = list(weights)
    models = {_model(namer, node) for node in nodes if node in trained}
    for node in nodes:
        if node in trained or _model(namer, node) in models:
            told[node] = node in trained


def _model(namer: Namer, node: int) -> str | None:
    """Give the model a variable is part of, None for what only an optimizer holds."""
    if node not in namer.tree.reached:
        return None
    return namer.tree.first_step(node) if namer.is_plain_root else ""


def _root_lists(namer: Namer) -> tuple[set[int], set[int]]:
    """Give the trainable variables, and all variables, by the lists of a SavedModel's root."""
    names = ("trainable_variables", "non_trainable_variables", "variables")
    lists = [namer.graph.child(0, name) for name in names]
    trainable, frozen, every = (
        set() if node is None else set(namer.graph.items(node).values()) for node in lists
    )
    return trainable, (trainable | frozen | every) if lists[0] is not None else set()


def _keras_layers(graph: ObjectGraph) -> set[int]:
    """Give the Keras layers: freezing one leaves the flags of its variables as they were."""
    return {
        node
        for node, children in enumerate(graph.children)
        if any(name in _FREEZABLE for _, name in children)
    }
