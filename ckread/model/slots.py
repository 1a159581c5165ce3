"""Which weight a slot belongs to, and what its optimizer calls it.

Evidence, strongest first: slot variables of the graph, lists that run beside the
optimizer's `_trainable_variables`, the order of its `_variables`, full names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.machinery import public
from ckread.model.slot import Slot, SlotClues, is_average
from ckread.model.slot_order import owners_by_order

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from ckread.model.optimizers import Optimizer
    from ckread.model.slot import Shape

    _Weights = Mapping[str, Mapping[Shape, list[int]]]

_MAX_SCOPES = 4
"""Components before a weight's full name in its slot's: `<optimizer>/<word>/…` and a scope."""


def find_slots(known: SlotClues, optimizers: Mapping[int, Optimizer]) -> dict[int, Slot]:
    """Give the slot variables of a graph by node id."""
    slots: dict[int, Slot] = {}
    own = {node for optimizer in optimizers.values() for node in optimizer.variables.values()}
    weights = _by_name_and_shape(known, own) if own else {}
    for node, optimizer in optimizers.items():
        slots.update(_by_graph(known, node))
        if optimizer.trainable:
            _add(slots, _by_lists(known, optimizer, optimizer.trainable))
            _add(slots, _by_order(known, optimizer, optimizer.trainable, slots))
        elif not known.graph.nodes[node].slot_variables:
            told = _by_full_name(known, optimizer, weights)
            _add(slots, told)
            _add(slots, _by_index(optimizer, told))
    return slots


def _add(slots: dict[int, Slot], found: dict[int, Slot]) -> None:
    for node, slot in found.items():
        slots.setdefault(node, slot)


def _by_graph(known: SlotClues, node: int) -> dict[int, Slot]:
    return {
        slot: Slot(node, owner, word, is_average(word))
        for owner, word, slot in known.graph.nodes[node].slot_variables
        if slot in known.shapes and owner in known.shapes
    }


def _by_lists(
    known: SlotClues, optimizer: Optimizer, weights: Mapping[int, int]
) -> dict[int, Slot]:
    """Pair the i-th item of every list with the i-th trainable variable."""
    trained = set(weights.values())
    marks = {index: f"_{known.last(owner)}_" for index, owner in weights.items()}
    slots = {}
    for name, items in optimizer.lists.items():
        listed = public(name)
        are_averages = is_average(listed)
        for index, node in items.items():
            if node not in trained:
                _, mark, word = known.full_names[node].rpartition(marks[index])
                word = word if mark else listed
                slots[node] = Slot(optimizer.node, weights[index], word, are_averages)
    return slots


def _by_order(
    known: SlotClues,
    optimizer: Optimizer,
    weights: Mapping[int, int],
    found: Mapping[int, Slot],
) -> dict[int, Slot]:
    """Pair what no list holds by its place among the optimizer's variables."""
    named = {child for child, _ in known.graph.children[optimizer.node]}
    other = named.union(found, weights.values())
    rest = [node for node in optimizer.variables.values() if node not in other]
    if not rest:
        return {}
    return owners_by_order(known, optimizer.node, list(weights.values()), rest)


def _by_name_and_shape(known: SlotClues, own: Container[int]) -> _Weights:
    """Give the variables that are no optimizer's own, by full name, then by shape."""
    weights: dict[str, dict[Shape, list[int]]] = {}
    for node, shape in known.shapes.items():
        if node not in own:
            by_shape = weights.setdefault(known.full_names[node], {})
            by_shape.setdefault(shape, []).append(node)
    return weights


def _by_full_name(known: SlotClues, optimizer: Optimizer, weights: _Weights) -> dict[int, Slot]:
    """Read `Adam/m/stem/kernel` of Keras 2, or `m/stem/kernel`: word, weight's full name."""
    slots = {}
    for node in optimizer.variables.values():
        parts = known.full_names[node].split("/", _MAX_SCOPES)
        for at in range(1, min(len(parts), _MAX_SCOPES)):
            by_shape = weights.get("/".join(parts[at:]))
            owner = None if by_shape is None else _only(known, node, by_shape)
            if owner is not None:
                word = parts[at - 1]
                slots[node] = Slot(optimizer.node, owner, word, is_average(word))
                break
    return slots


def _only(known: SlotClues, node: int, by_shape: Mapping[Shape, list[int]]) -> int | None:
    """Give the one variable whose slot this can be, of those of a name; None if unclear."""
    fitting = by_shape.get(known.shapes[node], [])
    if not fitting and len(by_shape) == 1:
        fitting = next(iter(by_shape.values()))
    return fitting[0] if len(fitting) == 1 and known.fits(node, fitting[0]) else None


def _by_index(optimizer: Optimizer, told: Mapping[int, Slot]) -> dict[int, Slot]:
    """Complete lists of Keras 2 by the items of equal index whose owner is told."""
    owners = {
        index: told[node].owner
        for items in optimizer.lists.values()
        for index, node in items.items()
        if node in told
    }
    return {
        node: Slot(optimizer.node, owners[index], public(name), is_average(public(name)))
        for name, items in optimizer.lists.items()
        for index, node in items.items()
        if node not in told and index in owners
    }
