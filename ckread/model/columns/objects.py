"""The trackable objects of very many variables as columns: who refers to whom, in what order.

What is asked of one object is what `ObjectGraph` gives, made when it is asked for; what goes
through all of them goes through the columns.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ckread.model.evidence import LISTS_OF_TRAINED, ObjectGraph
from ckread.readers.graphs.columns import Lazy, read_graph_columns
from ckread.readers.graphs.object_graph import Child

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ckread.model.evidence import Reference
    from ckread.readers.graphs.columns import GraphColumns
    from ckread.readers.graphs.object_graph import TrackableObject

    Integers = NDArray[np.integer]
    Truths = NDArray[np.bool_]


def read_many_objects(message: bytes, n_tensors: int) -> ManyObjects | None:
    """Decode a graph as columns; None where it is unusual, or damaged."""
    columns = read_graph_columns(message, n_tensors)
    return None if columns is None else ManyObjects(columns)


class ManyObjects(ObjectGraph):
    """The trackable objects of an object-based checkpoint of very many variables.

    Attributes:
        columns: as they were decoded.
        bounds: of each node, where among these its children begin; and where the last ends.
    """

    def __init__(self, columns: GraphColumns) -> None:
        self.nodes: Sequence[TrackableObject] = columns.nodes
        self.columns: GraphColumns = columns
        n = len(columns.nodes)
        self.bounds: Integers = np.searchsorted(columns.parent, np.arange(n + 1))
        self.children: Sequence[tuple[Child, ...]] = Lazy(n, self._children_of)
        self._items: dict[int, dict[int, int]] = {}

    def _children_of(self, node: int) -> tuple[Child, ...]:
        some = self._below(node)
        names = map(self.columns.names.__getitem__, self.columns.name[some].tolist())
        return tuple(map(Child, self.columns.child[some].tolist(), names))

    def _below(self, node: int) -> slice:
        return slice(*self.bounds[node : node + 2].tolist())

    @cached_property
    def parents(self) -> Sequence[Sequence[Reference]]:
        """Of each node, the (node id, local name) pairs that refer to it, in file order."""
        return Lazy(len(self), self._parents_of)

    def _parents_of(self, node: int) -> list[Reference]:
        order, bounds = self._by_child
        some = order[slice(*bounds[node : node + 2].tolist())]
        names = map(self.columns.names.__getitem__, self.columns.name[some].tolist())
        return list(zip(self.columns.parent[some].tolist(), names, strict=True))

    @cached_property
    def _by_child(self) -> tuple[Integers, Integers]:
        """The references in the order of what is referred to, and where those to each begin."""
        order = np.argsort(self.columns.child, kind="stable")
        return order, np.searchsorted(self.columns.child[order], np.arange(len(self) + 1))

    @cached_property
    def by_local_names(self) -> dict[frozenset[str], list[int]]:
        """The nodes that refer to others, by the names under which they do, numbers left out."""
        raw, of = self.columns.name.astype(np.int32).tobytes(), self.columns.names
        holders = np.flatnonzero(np.diff(self.bounds)).tolist()
        bounds = (4 * self.bounds).tolist()
        known: dict[bytes, list[int]] = {}
        for node in holders:
            known.setdefault(raw[bounds[node] : bounds[node + 1]], []).append(node)
        found: dict[frozenset[str], list[int]] = {}
        for listed, nodes in known.items():
            codes = np.frombuffer(listed, np.int32)
            names = map(of.__getitem__, codes[~self.is_decimal[codes]].tolist())
            found.setdefault(frozenset(names), []).extend(nodes)
        return {names: sorted(nodes) for names, nodes in found.items()}

    @property
    def with_slots(self) -> Iterable[int]:
        """The nodes that list slot variables."""
        return np.unique(self.columns.slots.holder).tolist()  # type: ignore[no-any-return]

    @cached_property
    def _names_and_keys(self) -> tuple[dict[int, str], dict[int, str]]:
        nodes, full_names = self.columns.variable.tolist(), self.columns.full_names
        if ":0\n" in "\n".join((*full_names, "")):
            full_names = [name.removesuffix(":0") for name in full_names]
        names = dict(zip(nodes, full_names, strict=True))
        return names, dict(zip(nodes, self.columns.keys, strict=True))

    @cached_property
    def codes(self) -> dict[str, int]:
        """The number of each local name."""
        return {name: code for code, name in enumerate(self.columns.names)}

    def child(self, node_id: int, name: str) -> int | None:
        """Give the child of this local name, None if there is none."""
        code, some = self.codes.get(name), self._below(node_id)
        if code is None:
            return None
        found = np.flatnonzero(self.columns.name[some] == code)
        return int(self.columns.child[some][found[0]]) if len(found) else None

    @cached_property
    def is_decimal(self) -> Truths:
        """Tell of each local name whether it is a number."""
        return np.array(list(map(str.isdecimal, self.columns.names)), bool)

    def listed(self, node_id: int) -> tuple[Integers, Integers]:
        """Give the indices and node ids of a list's items, as `items`."""
        some = self._below(node_id)
        index, child = self.columns.number[self.columns.name[some]], self.columns.child[some]
        if not np.array_equal(index, np.arange(len(index))):
            items = self.items(node_id)
            index, child = (np.array(list(all_), np.int64) for all_ in (items, items.values()))
        return index, child

    def items(self, node_id: int) -> dict[int, int]:
        """Give the node ids of a list's items by their index, in order of index."""
        some = self._below(node_id)
        index = self.columns.number[self.columns.name[some]]
        if node_id not in self._items and np.array_equal(index, np.arange(len(index))):
            self._items[node_id] = dict(enumerate(self.columns.child[some].tolist()))
        return super().items(node_id)

    @cached_property
    def keys_in_order(self) -> list[str]:
        """The checkpoint keys of all variables that are reached, in the order of the model."""
        columns, keys = self.columns, self.columns.keys
        variables = np.full(len(self), -1)
        numbers: Sequence[int] = range(len(keys))
        if len(set(keys)) < len(keys):  # a key that several claim is one variable
            first: dict[str, int] = {}
            numbers = list(map(first.setdefault, keys, numbers))
        variables[columns.variable] = numbers
        met = variables[_first(self._visited())]
        met = met[met >= 0]
        members = columns.child[self.named(LISTS_OF_TRAINED)].tolist()
        listed = [variables[self.listed(node)[1]] for node in members]
        trained = np.concatenate([*listed, np.zeros(0, np.int64)])[::-1]
        rank = np.full(len(keys) + 1, -1)
        rank[trained] = np.arange(len(trained))[::-1]
        rank[-1] = -1  # of what is no variable
        told = np.maximum.accumulate(np.where(rank[met] >= 0, np.arange(1, len(met) + 1), 0))
        place = np.append(-1, rank[met])[told]
        ordered = met[np.argsort(place, kind="stable")].tolist()
        return list(dict.fromkeys(map(keys.__getitem__, ordered)))

    def named(self, names: Iterable[str]) -> Truths:
        """Tell of each child whether it has one of some local names."""
        is_meant = np.zeros(len(self.columns.names), bool)
        is_meant[[code for name in names if (code := self.codes.get(name)) is not None]] = True
        found: Truths = is_meant[self.columns.name]
        return found

    def _visited(self) -> Integers:
        """Give the nodes as they are met, depth first; those met again too."""
        children = self.columns.child
        bounds = self.bounds.tolist()
        inner = np.flatnonzero(np.diff(self.bounds)[children] > 0)
        inner_bounds = np.searchsorted(inner, self.bounds).tolist()
        holders, places = children[inner].tolist(), inner.tolist()
        seen = bytearray(len(self))
        seen[0] = True
        starts, ends = [], []
        # Of each node that was come to: its next child, the next that has some, where they end.
        stack = [(bounds[0], inner_bounds[0], inner_bounds[1], bounds[1])]
        while stack:
            at, i, i_end, end = stack.pop()
            while i < i_end and seen[holders[i]]:
                i += 1
            starts.append(at)
            if i == i_end:
                ends.append(end)
                continue
            node, at = holders[i], places[i] + 1
            ends.append(at)
            seen[node] = True
            stack.append((at, i + 1, i_end, end))
            stack.append(
                (bounds[node], inner_bounds[node], inner_bounds[node + 1], bounds[node + 1])
            )
        return np.append(0, children[ranges(np.array(starts), np.array(ends))])


def ranges(starts: Integers, ends: Integers) -> Integers:
    """Give the numbers from each start to each end, one range after the other."""
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def _first(numbers: Integers) -> Integers:
    """Give numbers in the order in which they come, each once."""
    at = np.full(int(numbers.max()) + 1, -1)
    at[numbers[::-1]] = np.arange(len(numbers))[::-1]
    found: Integers = numbers[at[numbers] == np.arange(len(numbers))]
    return found
