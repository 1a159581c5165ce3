"""Which weight a slot belongs to, and what its optimizer calls it.

Evidence, strongest first: slot variables of the graph, lists that run beside the
optimizer's `_trainable_variables`, the order of its `_variables`, full names.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.machinery import public

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.object_graph import ObjectGraph
    from ckread.model.optimizers import Optimizer

AVERAGES = frozenset({"average", "model_variables_moving_average"})
"""Words for slots that are shadow copies of their weight."""

_FACTORS = ("r", "c", "v")
_MAX_SCOPES = 4
_MAX_WORDS = 12


class Slot(NamedTuple):
    """A slot's relations.

    Attributes:
        optimizer: node id of the optimizer that keeps it.
        owner: node id of its weight; None where it cannot be told.
        word: the writer's word for it: `momentum`, `m`, `accumulator`.
        is_average: whether it is a shadow copy of the weight.
    """

    optimizer: int
    owner: int | None
    word: str
    is_average: bool


class Variables(NamedTuple):
    """What slots are told by.

    Attributes:
        graph: the trackable objects.
        full_names: of each variable node, what its program called it.
        shapes: of each variable node that is stored.
    """

    graph: ObjectGraph
    full_names: Mapping[int, str]
    shapes: Mapping[int, tuple[int, ...]]


def find_slots(
    known: Variables, optimizers: Mapping[int, Optimizer]
) -> dict[int, Slot]:
    """Give the slot variables of a graph by node id."""
    slots: dict[int, Slot] = {}
    for node, optimizer in optimizers.items():
        slots.update(_by_graph(known, node))
        if optimizer.trainable:
            _add(slots, _by_lists(known, optimizer))
            _add(slots, _by_order(known, optimizer, slots))
        elif not known.graph.nodes[node].slot_variables:
            told = _by_full_name(known, optimizer, optimizers)
            _add(slots, told)
            _add(slots, _by_index(optimizer, told))
    return slots


def _add(slots: dict[int, Slot], found: dict[int, Slot]) -> None:
    for node, slot in found.items():
        slots.setdefault(node, slot)


def _by_graph(known: Variables, node: int) -> dict[int, Slot]:
    return {
        slot: Slot(node, owner, word, word in AVERAGES)
        for owner, word, slot in known.graph.nodes[node].slot_variables
        if slot in known.shapes and owner in known.shapes
    }


def _by_lists(known: Variables, optimizer: Optimizer) -> dict[int, Slot]:
    """Pair the i-th item of every list with the i-th trainable variable."""
    weights = optimizer.trainable or {}
    trained = set(weights.values())
    slots = {}
    for name, items in optimizer.lists.items():
        listed = public(name)
        for index, node in items.items():
            if node not in trained:
                word = _word(known, node, weights[index]) or listed
                slots[node] = Slot(optimizer.node, weights[index], word, listed in AVERAGES)
    return slots


def _word(known: Variables, node: int, owner: int) -> str:
    """Give what follows the weight's own name in a slot's full name."""
    _, separator, word = known.full_names[node].rpartition(f"_{_last(known, owner)}_")
    return word if separator else ""


def _last(known: Variables, node: int) -> str:
    return known.full_names[node].rpartition("/")[2]


def _by_order(
    known: Variables, optimizer: Optimizer, found: Mapping[int, Slot]
) -> dict[int, Slot]:
    """Pair what no list names by its place among the optimizer's variables."""
    weights = list((optimizer.trainable or {}).values())
    named = {child for child, name in known.graph.children[optimizer.node]}
    rest = [
        node
        for node in optimizer.variables.values()
        if node not in found and node not in named and node not in weights
    ]
    if not rest:
        return {}
    return _evenly(known, optimizer, rest) or _walk(known, optimizer, rest)


def _evenly(
    known: Variables, optimizer: Optimizer, rest: list[int]
) -> dict[int, Slot]:
    """Give every weight as many slots, in turn; nothing where names or shapes object."""
    weights = list((optimizer.trainable or {}).values())
    each, left = divmod(len(rest), len(weights))
    if left:
        return {}
    slots: dict[int, Slot] = {}
    for at, owner in enumerate(weights):
        group = rest[at * each : (at + 1) * each]
        words = [_word(known, node, owner) for node in group]
        stems = {_stem(known, node, word) for node, word in zip(group, words, strict=True)}
        if each == len(_FACTORS) and words[:2] == ["", ""]:
            words, stems = list(_FACTORS), {known.full_names[group[0]], known.full_names[group[1]]}
        fitting = all(_fits(known.shapes[node], known.shapes[owner]) for node in group)
        if len(stems) != 1 or not all(words) or not fitting:
            return {}
        for node, word in zip(group, words, strict=True):
            slots[node] = Slot(optimizer.node, owner, word, word in AVERAGES)
    return slots


def _stem(known: Variables, node: int, word: str) -> str:
    return known.full_names[node].removesuffix(f"_{word}")


def _fits(shape: tuple[int, ...], weight: tuple[int, ...]) -> bool:
    """Tell whether this is a value per element, row or column, or a placeholder."""
    if shape in ((), weight):
        return True
    return shape in (weight[:-1], (*weight[:-2], *weight[-1:]))


def _walk(
    known: Variables, optimizer: Optimizer, rest: list[int]
) -> dict[int, Slot]:
    """Go through slots and weights side by side; a new stem is the next weight's."""
    weights = list((optimizer.trainable or {}).values())
    waiting: dict[tuple[str, tuple[int, ...]], deque[int]] = {}
    for owner in weights:
        waiting.setdefault((_last(known, owner), known.shapes[owner]), deque()).append(owner)
    slots: dict[int, Slot] = {}
    current: tuple[int, str, set[str]] | None = None
    for node in rest:
        if current is not None:
            owner, stem, seen = current
            word = _word(known, node, owner)
            same = word and word not in seen and _stem(known, node, word) == stem
            if same and known.shapes[node] == known.shapes[owner]:
                seen.add(word)
                slots[node] = Slot(optimizer.node, owner, word, word in AVERAGES)
                continue
        current = _next_weight(known, node, waiting)
        if current is not None:
            owner, _, seen = current
            slots[node] = Slot(optimizer.node, owner, *seen, bool(seen & AVERAGES))
    return slots


def _next_weight(
    known: Variables,
    node: int,
    waiting: dict[tuple[str, tuple[int, ...]], deque[int]],
) -> tuple[int, str, set[str]] | None:
    """Give the next weight of this slot's shape and variable name, with stem and word."""
    parts = known.full_names[node].split("_")
    for at in range(len(parts) - 1, max(0, len(parts) - _MAX_WORDS), -1):
        for start in range(at - 1, max(-1, at - 1 - _MAX_WORDS), -1):
            last = "_".join(parts[start:at])
            queue = waiting.get((last, known.shapes[node]))
            if queue:
                owner = queue[0]
                queue.rotate(-1)
                word = "_".join(parts[at:])
                return owner, _stem(known, node, word), {word}
    return None


def _by_index(optimizer: Optimizer, told: Mapping[int, Slot]) -> dict[int, Slot]:
    """Complete lists of Keras 2 by the items of equal index whose owner is told."""
    owners = {
        index: told[node].owner
        for items in optimizer.lists.values()
        for index, node in items.items()
        if node in told
    }
    return {
        node: Slot(optimizer.node, owners[index], public(name), public(name) in AVERAGES)
        for name, items in optimizer.lists.items()
        for index, node in items.items()
        if node not in told and index in owners
    }


def _by_full_name(
    known: Variables,
    optimizer: Optimizer,
    optimizers: Mapping[int, Optimizer],
) -> dict[int, Slot]:
    """Read `Adam/m/stem/kernel` of Keras 2, or `m/stem/kernel`: word, weight's full name."""
    own = {node for other in optimizers.values() for node in other.variables.values()}
    weights: dict[str, list[int]] = {}
    for node, full_name in known.full_names.items():
        if node not in own:
            weights.setdefault(full_name, []).append(node)
    slots = {}
    for node in optimizer.variables.values():
        parts = known.full_names[node].split("/")
        for at in range(1, min(len(parts), _MAX_SCOPES)):
            fitting = weights.get("/".join(parts[at:]), [])
            fitting = [weight for weight in fitting if _fits(known.shapes[node], known.shapes[weight])]
            if len(fitting) == 1:
                word = parts[at - 1]
                slots[node] = Slot(optimizer.node, fitting[0], word, word in AVERAGES)
                break
    return slots
