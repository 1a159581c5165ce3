"""Which weight a slot belongs to, and what its optimizer calls it.

Evidence, strongest first: slot variables of the graph, lists that run beside the
optimizer's `_trainable_variables`, the order of its `_variables`, full names.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.naming.path_tree import public

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.evidence import ObjectGraph
    from ckread.model.optimizers import Optimizer


_AVERAGES = frozenset({"average", "model_variables_moving_average"})

Shape = tuple[int, ...]


class Slot(NamedTuple):
    """A slot's relations.

    Attributes:
        optimizer: node id of the optimizer that keeps it.
        owner: node id of its weight.
        word: the writer's word for it: `momentum`, `m`, `accumulator`.
        is_average: whether it is a shadow copy of the weight.
    """

    optimizer: int
    owner: int
    word: str
    is_average: bool = False


class SlotClues(NamedTuple):
    """What slots are told by.

    Attributes:
        graph: the trackable objects.
        full_names: of each variable node, what its program called it.
        shapes: of each variable node that is stored.
    """

    graph: ObjectGraph
    full_names: Mapping[int, str]
    shapes: Mapping[int, Shape]

    def last(self, node: int) -> str:
        """Give the last component of a full name."""
        return self.full_names[node].rpartition("/")[2]

    def word(self, node: int, owner: int) -> str:
        """Give what follows the weight's own name in a slot's full name, if it is there."""
        _, separator, word = self.full_names[node].rpartition(f"_{self.last(owner)}_")
        return word if separator else ""

    def stem(self, node: int, word: str) -> str:
        """Give a slot's full name without its word."""
        return self.full_names[node].removesuffix(f"_{word}")

    def fits(self, node: int, owner: int) -> bool:
        """Tell whether this is a value per element, row or column, or a placeholder."""
        shape, weight = self.shapes[node], self.shapes[owner]
        return shape in ((), weight, weight[:-1], (*weight[:-2], *weight[-1:]))


def is_average(word: str) -> bool:
    """Tell whether an optimizer calls shadow copies of weights so."""
    return word in _AVERAGES


_MAX_SCOPES = 4
"""Components before a weight's full name in its slot's: `<optimizer>/<word>/…` and a scope."""


def find_slots(known: SlotClues, optimizers: Mapping[int, Optimizer]) -> dict[int, Slot]:
    """Give the slot variables of a graph by node id."""
    slots: dict[int, Slot] = {}
    own = {node for optimizer in optimizers.values() for node in optimizer.variables.values()}
    weights: dict[str, dict[Shape, list[int]]] = {}
    for node, shape in known.shapes.items() if own else ():
        if node not in own:
            weights.setdefault(known.full_names[node], {}).setdefault(shape, []).append(node)
    for node, optimizer in optimizers.items():
        slots |= {
            slot: Slot(node, owner, word, is_average(word))
            for owner, word, slot in known.graph.nodes[node].slot_variables
            if slot in known.shapes and owner in known.shapes
        }
        if optimizer.trainable:
            slots = _by_lists(known, optimizer, optimizer.trainable) | slots
            slots = _by_order(known, optimizer, optimizer.trainable, slots) | slots
        elif not known.graph.nodes[node].slot_variables:
            told = _by_full_name(known, optimizer, weights)
            slots = _by_index(optimizer, told) | told | slots
    return slots


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
    owners = list(weights.values())
    return _evenly(known, optimizer.node, owners, rest) or _walk(
        known, optimizer.node, owners, rest
    )


def _by_full_name(
    known: SlotClues,
    optimizer: Optimizer,
    weights: Mapping[str, Mapping[Shape, list[int]]],
) -> dict[int, Slot]:
    """Read `Adam/m/stem/kernel` of Keras 2, or `m/stem/kernel`: word, weight's full name."""
    slots = {}
    for node in optimizer.variables.values():
        parts = known.full_names[node].split("/", _MAX_SCOPES)
        for at in range(1, min(len(parts), _MAX_SCOPES)):
            by_shape = weights.get("/".join(parts[at:]), {})
            fitting = by_shape.get(known.shapes[node], [])
            if not fitting and len(by_shape) == 1:
                fitting = next(iter(by_shape.values()))
            if len(fitting) == 1 and known.fits(node, fitting[0]):
                word = parts[at - 1]
                slots[node] = Slot(optimizer.node, fitting[0], word, is_average(word))
                break
    return slots


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


# Slots by their order among an optimizer's variables, where no list holds them.
#
# Keras 3's Adafactor and Muon leave gaps in their lists, which are then not saved.
# Adafactor has three slots for every weight; Muon one or two, told by stem and shape.

_FACTORS = ("r", "c", "v")
_MAX_WORDS = 12
"""Words of a variable's name, and of a slot's, beyond which no match is looked for."""


def _evenly(
    known: SlotClues, optimizer: int, weights: list[int], slots: list[int]
) -> dict[int, Slot]:
    """Give every weight as many slots, in turn; nothing where names or shapes object."""
    each, left = divmod(len(slots), len(weights))
    if left:
        return {}
    paired: dict[int, Slot] = {}
    for at, owner in enumerate(weights):
        group = slots[at * each : (at + 1) * each]
        words = [known.word(node, owner) for node in group]
        if each == len(_FACTORS) and not any(words[:2]):
            words = list(_FACTORS)
            is_one = {known.last(node) for node in group[:2]} == {known.last(owner)}
        else:
            stems = {known.stem(node, word) for node, word in zip(group, words, strict=True)}
            is_one = all(words) and len(stems) == 1
        if not is_one or not all(known.fits(node, owner) for node in group):
            return {}
        for node, word in zip(group, words, strict=True):
            paired[node] = Slot(optimizer, owner, word, is_average(word))
    return paired


class _Place(NamedTuple):
    """The weight that the walk has come to, with the slots it was given."""

    owner: int
    stem: str
    words: set[str]


def _walk(
    known: SlotClues, optimizer: int, weights: list[int], slots: list[int]
) -> dict[int, Slot]:
    """Go through slots and weights side by side; a new stem is the next weight's."""
    waiting: dict[tuple[str, Shape], deque[int]] = {}
    for owner in weights:
        waiting.setdefault((known.last(owner), known.shapes[owner]), deque()).append(owner)
    paired: dict[int, Slot] = {}
    place: _Place | None = None
    for node in slots:
        word = known.word(node, place.owner) if place is not None else ""
        is_another = (
            place is not None
            and bool(word)
            and word not in place.words
            and known.stem(node, word) == place.stem
            and known.shapes[node] == known.shapes[place.owner]
        )
        if not is_another:
            place, word = _next_place(known, node, waiting)
        if place is not None:
            place.words.add(word)
            paired[node] = Slot(optimizer, place.owner, word, is_average(word))
    return paired


def _next_place(
    known: SlotClues, node: int, waiting: dict[tuple[str, Shape], deque[int]]
) -> tuple[_Place | None, str]:
    """Find the next weight of this slot's shape and variable name, and the slot's word."""
    parts = known.full_names[node].split("_")
    for at in range(len(parts) - 1, max(0, len(parts) - _MAX_WORDS), -1):
        for start in range(at - 1, max(-1, at - 1 - _MAX_WORDS), -1):
            queue = waiting.get(("_".join(parts[start:at]), known.shapes[node]))
            if queue:
                word = "_".join(parts[at:])
                stem = known.stem(node, word)
                # Take the weight that the stem spells, if it is the first or the next; else the
                # first.
                for step in range(min(2, len(queue))):
                    if stem.endswith(known.full_names[queue[step]].replace("/", "_")):
                        queue.rotate(-step)
                        break
                owner = queue[0]
                queue.rotate(-1)
                return _Place(owner, stem, set()), word
    return None, ""
