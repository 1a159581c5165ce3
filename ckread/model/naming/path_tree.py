"""The best path to every trackable object: past optimizers, by names that a person gave.

`model/_operations/1/_kernel` says `kernel`; the rest is how Keras keeps its layers. A
built Sequential keeps its layers twice in a SavedModel; its `_layers` are taken last,
so that numbers are those of `_operations`, as in a checkpoint of the same model.
"""

from __future__ import annotations

import re
from collections import deque
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ckread.model.evidence import ObjectGraph


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
        self.reached = frozenset(self.parent)
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
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


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
    return unescape(key.removesuffix(_SUFFIX).replace("/.ATTRIBUTES/", "/"))


def public(local_name: str) -> str:
    """Give a local name without the underscore that makes it private."""
    return local_name[1:] if local_name.startswith("_") and len(local_name) > 1 else local_name
