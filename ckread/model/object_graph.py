"""The trackable objects of a checkpoint: who refers to whom, and under what name.

A graph, not a tree: objects are shared, and Keras makes cycles. Everything here is
iterative and linear in the number of references.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Self

from ckread.errors import CorruptCheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ckread.readers.graphs.object_graph import Child, TrackableObject, TrackableObjectGraph

VARIABLE_VALUE = "VARIABLE_VALUE"
"""Name of the attribute that holds the value of a variable."""

Reference = tuple[int, str]
"""One end of a reference and its local name: (parent, name) or (child, name)."""


class ObjectGraph:
    """The trackable objects of an object-based checkpoint; node 0 is the root.

    Attributes:
        nodes: the trackable objects; a node id is an index into them.
        children: of each node, the (node id, local name) it refers to, in file order.
    """

    def __init__(self, nodes: tuple[TrackableObject, ...]) -> None:
        self.nodes = nodes
        self.children: list[tuple[Child, ...]] = [node.children for node in nodes]

    @classmethod
    def from_message(cls, message: TrackableObjectGraph) -> Self:
        """Make it from the decoded message."""
        graph = cls(tuple(message.nodes))
        n_nodes = len(graph.nodes)
        if not n_nodes:
            raise CorruptCheckpointError("object graph: no node, expected a root")
        for node_id, children in enumerate(graph.children):
            for child, name in children:
                if not 0 <= child < n_nodes:
                    text = f"object graph: node {node_id}: child {name!r} is node {child}"
                    raise CorruptCheckpointError(f"{text}, expected one below {n_nodes}")
        return graph

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self.nodes)

    @cached_property
    def parents(self) -> list[list[Reference]]:
        """Of each node, the (node id, local name) pairs that refer to it, in file order."""
        parents: list[list[Reference]] = [[] for _ in self.nodes]
        for node_id, children in enumerate(self.children):
            for child, name in children:
                parents[child].append((node_id, name))
        return parents

    @property
    def full_names(self) -> dict[int, str]:
        """Of each variable node, the name its program gave it, without `:0`."""
        return self._names_and_keys[0]

    @property
    def variables(self) -> dict[int, str]:
        """Of each variable node, its checkpoint key."""
        return self._names_and_keys[1]

    @cached_property
    def _names_and_keys(self) -> tuple[dict[int, str], dict[int, str]]:
        names, keys = {}, {}
        for node_id, node in enumerate(self.nodes):
            for attribute, full_name, key in node.attributes:
                if attribute == VARIABLE_VALUE:
                    names[node_id] = full_name.removesuffix(":0")
                    keys[node_id] = key
        return names, keys

    def child(self, node_id: int, name: str) -> int | None:
        """Give the child of this local name, None if there is none."""
        return next((child for child, local in self.children[node_id] if local == name), None)

    def items(self, node_id: int) -> dict[int, int]:
        """Give the node ids of a list's items by their index, in order of index.

        Children that are not numbered, and numbers that no list has, are left out.
        """
        if not self.children[node_id]:
            return {}
        nodes, names = zip(*self.children[node_id], strict=True)
        if names == tuple(map(str, range(len(names)))):
            return dict(enumerate(nodes))
        numbered = [
            (int(name), child)
            for child, name in self.children[node_id]
            if name.isdecimal() and len(name) < 10
        ]
        return dict(sorted(numbered))

    def walk(self, start: int = 0, *, ends: Collection[int] = ()) -> Iterator[int]:
        """Yield every node that can be reached, breadth-first, once; `ends` lead no further."""
        seen = {start}
        queue = deque([start])
        while queue:
            node_id = queue.popleft()
            yield node_id
            for child, _ in () if node_id in ends else self.children[node_id]:
                if child not in seen:
                    seen.add(child)
                    queue.append(child)
