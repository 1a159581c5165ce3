"""Other paths to one object: what is tied is stored once, and reached by several names."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from ckread.model.machinery import is_machinery

if TYPE_CHECKING:
    from ckread.model.telling import Namer

_MAX_PATHS = 16
"""There can be exponentially many; a person reads a few."""


class OtherPaths:
    """Gives the paths to variables that pass no optimizer.

    Objects that only machinery leads to are reached on their best path alone.
    """

    def __init__(self, namer: Namer) -> None:
        self._namer = namer
        self._known: dict[int, tuple[str, ...]] = {}
        self._named: dict[int, list[tuple[int, str]]] = {}

    def of(self, node: int, own: str) -> tuple[str, ...]:
        """Give the paths to a variable that differ from the path in its key."""
        paths: dict[str, None] = {}
        for parent, name in self._named_parents(node):
            for path in self._to(parent):
                paths[f"{path}/{name}" if path else name] = None
        if not paths:
            paths = dict.fromkeys(self._best(node))
        return tuple([path for path in paths if path != own][:_MAX_PATHS])

    def _to(self, holder: int) -> tuple[str, ...]:
        """Give the paths to an object that holds variables."""
        found = self._known.get(holder)
        if found is None:
            found = self._known[holder] = tuple(dict.fromkeys(self._walk(holder)))
        return found

    def _walk(self, holder: int) -> list[str]:
        if not self._named_parents(holder):
            return self._best(holder)
        found = []
        queue: deque[tuple[int, tuple[str, ...]]] = deque([(holder, ())])
        for _ in range(2 * _MAX_PATHS):
            if not queue:
                break
            at, suffix = queue.popleft()
            named = self._named_parents(at) if at else []
            if not named:
                found += ["/".join((*filter(None, (path,)), *suffix)) for path in self._best(at)]
            free = max(0, 2 * _MAX_PATHS - len(queue))
            queue.extend((parent, (name, *suffix)) for parent, name in named[:free])
        return found[:_MAX_PATHS]

    def _best(self, node: int) -> list[str]:
        tree = self._namer.tree
        steps = tree.steps(node) if node in tree.reached else None
        return [] if steps is None else ["/".join(steps)]

    def _named_parents(self, node: int) -> list[tuple[int, str]]:
        """Give the first references to an object by names that a person gave."""
        found = self._named.get(node)
        if found is None:
            references = filter(self._is_named, self._namer.graph.parents[node])
            found = self._named[node] = list(islice(references, _MAX_PATHS))
        return found

    def _is_named(self, reference: tuple[int, str]) -> bool:
        parent, name = reference
        tree = self._namer.tree
        return (
            parent in tree.reached
            and parent not in self._namer.optimizers
            and not is_machinery(name)
            and not (name.isdecimal() and tree.is_machinery(parent))
        )
