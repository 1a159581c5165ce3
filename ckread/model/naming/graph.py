"""What an object graph tells of names: the best path to every object, and whose slots are whose."""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ckread.model.evidence import ObjectGraph
    from ckread.model.optimizers import Optimizer


# The best path to every trackable object: past optimizers, by names that a person gave.
# `model/_operations/1/_kernel` says `kernel`; the rest is how Keras keeps its layers. A built
# Sequential keeps its layers twice in a SavedModel; its `_layers` are taken last, so that numbers
# are those of `_operations`, as in a checkpoint of the same model.


MAX_STEPS = 256
"""A path of more steps is not spelled out: the key path serves instead."""

_Arrival = tuple[int, int, int, str, bool]
"""Steps so far, node, parent, local name, whether the step is structure."""

_Queue = deque[_Arrival] | list[_Arrival]


class PathTree:
    """Of each node the path with least structure, then the shortest, then the first.

    Optimizers come last: `reached` is what some path without one leads to. Their lists
    are not gone into, because slots are named after their weights.

    Attributes:
        parent: of each node the previous one on its path; absent where none leads.
        name: local name of the last step, by node.
        cost: how many steps of the path are structure, by node.
        length: how many steps it has, by node.
        reached: nodes on some path that avoids optimizers.
    """

    def __init__(self, graph: ObjectGraph, optimizers: Collection[int]) -> None:
        self._graph = graph
        self._late: list[_Arrival] = []
        self.parent: dict[int, int] = {0: -1}
        self.name: dict[int, str] = {0: ""}
        self.cost: dict[int, int] = {0: 0}
        self.length: dict[int, int] = {0: 0}
        self._first: dict[int, str] = {0: ""}
        self._grow([0], optimizers)
        self.reached: frozenset[int] = frozenset(self.parent)
        lists = {
            node for node, held in enumerate(graph.children) if held and held[0][1].isdecimal()
        }
        self._grow([node for node in self.parent if node in optimizers], lists)

    def steps(self, node_id: int) -> tuple[str, ...] | None:
        """Give the local names on the path to a node, None if there is none to spell."""
        if self.length.get(node_id, MAX_STEPS + 1) > MAX_STEPS:
            return None
        steps = []
        while node_id:
            steps.append(self.name[node_id])
            node_id = self.parent[node_id]
        return tuple(reversed(steps))

    def is_structural(self, node: int) -> bool:
        """Tell whether the last step to a node is structure."""
        return node != 0 and self.cost[node] > self.cost[self.parent[node]]

    def first_step(self, node: int) -> str:
        """Give the first local name on the path to a node that is not the root."""
        return self._first[node]

    def first_steps(self, nodes: Iterable[int]) -> set[str]:
        """Give the first local names on the paths to those of some nodes that are reached."""
        return {self._first[node] for node in nodes if node in self.reached}

    def _grow(self, sources: Iterable[int], ends: Collection[int]) -> None:
        """Settle what the sources lead to: by structure, then length, then order."""
        named: list[_Arrival] = []
        level: list[_Arrival] = []
        for node in sorted(sources, key=self.length.__getitem__):
            self._leave(node, named, level)
        self._settle(deque(named), level, ends)
        while level or self._late:
            if not level:
                level, self._late = self._late, []
            arrivals = deque(sorted(level, key=itemgetter(0)))
            level = []
            self._settle(arrivals, level, ends)

    def _settle(
        self, arrivals: deque[_Arrival], costly: list[_Arrival], ends: Collection[int]
    ) -> None:
        """Settle one level of structure; both queues are in order of length."""
        children, parents = self._graph.children, self.parent
        named: deque[_Arrival] = deque()
        while arrivals or named:
            if arrivals and (not named or arrivals[0][0] <= named[0][0]):
                arrival = arrivals.popleft()
            else:
                arrival = named.popleft()
            length, node, parent, name, structural = arrival
            if node in parents:
                continue
            parents[node], self.name[node] = parent, name
            self._first[node] = self._first[parent] if parent else name
            self.cost[node], self.length[node] = self.cost[parent] + structural, length
            if children[node] and node not in ends:
                self._leave(node, named, costly)

    def _leave(self, node: int, named: _Queue, costly: _Queue) -> None:
        """Queue the children of a settled node, those behind structure apart."""
        length, settled, within = self.length[node] + 1, self.parent, self.is_structural(node)
        children = self._graph.children[node]
        for child, name in children:
            if child in settled:
                continue
            if name == "_layers" and any(other == "_functional" for _, other in children):
                self._late.append((length, child, node, name, True))
                continue
            structural = is_structural(name) or (within and name.isdecimal())
            (costly if structural else named).append((length, child, node, name, structural))


_STRUCTURAL = re.compile(
    r"_operations|_functional|_layers|layers|_tracked|layer-\d+|layer_with_weights-\d+"
    r"|(?:_?(?:non_)?trainable_|_all_|model_|_)?variables|keras_api|root|_self_.*",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\.([.S])")
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
"""How the key of a variable ends."""


@lru_cache(maxsize=4096)
def is_structural(local_name: str) -> bool:
    """Tell whether a framework, not a person, chose this local name."""
    return _STRUCTURAL.fullmatch(local_name) is not None


def unescape(text: str) -> str:
    """Give a checkpoint key with its local names as they were; those of a graph are so."""
    if "." not in text:
        return text
    return _ESCAPED.sub(lambda match: "/" if match[1] == "S" else ".", text)


def key_path(key: str) -> str:
    """Give the path that a checkpoint key spells, unescaped, without attribute marks."""
    return unescape(key.removesuffix(SUFFIX).replace("/.ATTRIBUTES/", "/"))


def public(local_name: str) -> str:
    """Give a local name without the underscore that makes it private."""
    return local_name[1:] if local_name.startswith("_") and len(local_name) > 1 else local_name


# Which weight a slot belongs to, and what its optimizer calls it. Evidence, strongest first: slot
# variables of the graph, lists that run beside the optimizer's `_trainable_variables`, the order
# of its `_variables`, full names.

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
