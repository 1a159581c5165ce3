"""Which saved object is bound to which object of a program: TensorFlow's own rules.

`tf.train.Checkpoint.restore` goes breadth-first from the root of the saved graph. A
child is bound to the child of the same local name that the program's object has; the
first binding of a saved object holds, and the first one of an object of the program
gives it its value. A slot is bound through its optimizer, its variable and its word,
once both of these are.

Reference: tensorflow/python/checkpoint/restore.py
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.evidence import VARIABLE_VALUE

if TYPE_CHECKING:
    from ckread.model.evidence import ObjectGraph


class SlotManner(Enum):
    """What an object does when it is asked for a slot that it does not have."""

    MAKES = auto()
    """Optimizers of TensorFlow 1 and Keras's legacy ones make it on the fly."""
    REFUSES = auto()
    """Those of tf.keras since 2.11 raise ValueError."""
    IGNORES = auto()
    """Other objects cannot be asked; Keras 3's optimizers keep slots in lists."""
    UNKNOWN = auto()
    """An object that shows nothing of what it is."""


class Refusal(NamedTuple):
    """Why the search itself raises, before any value is assigned.

    Attributes:
        optimizer: the object of the program that was asked.
        slot: the saved slot.
        is_strange: whether the object has no such method, rather than refusing.
    """

    optimizer: int
    slot: int
    is_strange: bool


@dataclass(slots=True)
class Binding:
    """What the search found.

    Attributes:
        bound: saved node to node of the program, in the order they are visited; slots
            that are made on the fly have numbers below 0.
        paths: of each bound node, the local names that led to it, with `/` between.
        deferred: saved children whose name the program's object does not have (yet):
            (saved parent, saved child, local name).
        made: of slots made on the fly, the saved node by their number.
        refusal: what the search raises, if it does.
        untold: saved slots of which cannot be said what becomes of them.
        has_open_slots: whether slots wait for a variable that is not bound.
    """

    bound: dict[int, int] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)
    deferred: list[tuple[int, int, str]] = field(default_factory=list)
    made: dict[int, int] = field(default_factory=dict)
    refusal: Refusal | None = None
    untold: list[int] = field(default_factory=list)
    has_open_slots: bool = False

    def first(self) -> dict[int, int]:
        """Give the saved node that gives each node of the program its value."""
        found: dict[int, int] = {}
        for saved, target in self.bound.items():
            found.setdefault(target, saved)
        return found


def slot_manner(graph: ObjectGraph, node: int) -> SlotManner:
    """Tell what kind of optimizer an object is, by its slots, local names, and a SavedModel."""
    names = {name for _, name in graph.children[node]}
    if graph.nodes[node].slot_variables or names & _LEGACY:
        return SlotManner.MAKES
    if "_variables" in names and names & _NEW:
        is_keras3 = "_trainable_variables" in names
        return SlotManner.IGNORES if is_keras3 else SlotManner.REFUSES
    if names:
        return SlotManner.IGNORES
    return _OF_KIND.get(graph.nodes[node].kind, SlotManner.UNKNOWN)


_OF_KIND = {"optimizer": SlotManner.MAKES, "experimentalOptimizer": SlotManner.REFUSES}
"""Words of a SavedModel, for optimizers without variables."""

_LEGACY = frozenset({"iter", "beta1_power", "beta2_power"})
"""Counters of `tf.keras.optimizers.legacy` and of TensorFlow 1's Adam."""
_NEW = frozenset({"_iterations", "_learning_rate", "_index_dict"})


def bind(saved: ObjectGraph, target: ObjectGraph) -> Binding:
    """Find what the root of a program binds of a saved graph."""
    return _Search(saved, target).run()


class _Search:
    """The breadth-first search of one restore."""

    def __init__(self, saved: ObjectGraph, target: ObjectGraph) -> None:
        self.saved = saved
        self.target = target
        self.found = Binding({0: 0}, {0: ""})
        self.queue = deque([0])
        self.waiting: defaultdict[int, list[tuple[int, str, int]]] = defaultdict(list)
        for optimizer, node in enumerate(saved.nodes):
            for variable, word, slot in node.slot_variables:
                self.waiting[variable].append((optimizer, word, slot))
        self.for_optimizer: defaultdict[int, list[tuple[int, str, int]]] = defaultdict(list)
        self.slots = {
            (optimizer, variable, word): slot
            for optimizer, node in enumerate(target.nodes)
            for variable, word, slot in node.slot_variables
        }

    def run(self) -> Binding:
        bound, paths = self.found.bound, self.found.paths
        while self.queue and self.found.refusal is None:
            saved = self.queue.popleft()
            children = self.saved.children[saved]
            target, scope = bound[saved], paths[saved]
            here: dict[str, int] = {}
            if children and target >= 0:
                here = {name: child for child, name in self.target.children[target]}
            for child, name in children:
                if child in bound:
                    continue
                partner = here.get(name)
                if partner is None:
                    self.found.deferred.append((saved, child, name))
                    continue
                bound[child] = partner
                paths[child] = f"{scope}/{name}" if scope else name
                self.queue.append(child)
            for variable, word, slot in self.for_optimizer.pop(saved, ()):
                self._take_slot(saved, variable, word, slot, is_late=True)
            for optimizer, word, slot in self.waiting.pop(saved, ()):
                if optimizer not in self.found.bound:
                    self.for_optimizer[optimizer].append((saved, word, slot))
                else:
                    self._take_slot(optimizer, saved, word, slot, is_late=False)
        self.found.has_open_slots = bool(self.waiting)
        return self.found

    def _take_slot(
        self, optimizer: int, variable: int, word: str, slot: int, *, is_late: bool
    ) -> None:
        """Bind a saved slot, once its optimizer and its variable are bound.

        It `is_late` if the optimizer was met after the variable: TensorFlow then asks it
        without looking whether it can be asked.
        """
        if self.found.refusal is not None:
            return
        owner, holder = self.found.bound[variable], self.found.bound[optimizer]
        manner = SlotManner.UNKNOWN if holder < 0 else slot_manner(self.target, holder)
        if manner is SlotManner.UNKNOWN:
            self.found.untold.append(slot)
            return
        if manner in (SlotManner.REFUSES, SlotManner.IGNORES):
            is_strange = manner is SlotManner.IGNORES
            if is_late or not is_strange:
                self.found.refusal = Refusal(holder, slot, is_strange)
            return
        partner = self.slots.get((holder, owner, word))
        if partner is None:
            attributes = self.saved.nodes[slot].attributes
            is_value = len(attributes) == 1 and attributes[0].name == VARIABLE_VALUE
            if not is_value or self.saved.children[slot]:
                return  # more than one value is not made on the fly
            partner = -1 - len(self.found.made)
            self.slots[holder, owner, word] = partner
            self.found.made[partner] = slot
        if slot not in self.found.bound:
            self.found.bound[slot] = partner
            self.found.paths[slot] = f"{self.found.paths[variable]}'s {word}"
            self.queue.append(slot)
