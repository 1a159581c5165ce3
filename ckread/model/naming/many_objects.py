"""Identities of very many variables by object, as columns: told once for those told alike.

The same as `objects`, in the same steps. What goes through all variables goes through columns:
the best path to every object, slots of lists that run beside the trained weights, their roles
and names. What is rare, as a variable that no optimizer trains, is told one by one as there, and
what no column can tell raises `UnusualError`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from ckread.model.columns.objects import ManyObjects, ranges
from ckread.model.columns.variables import IdentityColumns, Spelling
from ckread.model.naming.by_name import role_by_attribute
from ckread.model.naming.graph import (
    MAX_STEPS,
    SUFFIX,
    PathTree,
    Slot,
    SlotClues,
    find_slots,
    is_average,
    is_structural,
    public,
)
from ckread.model.naming.objects import (
    ObjectRoles,
    find_trainable,
    other_paths,
    prefix_of,
    word_of_held,
)
from ckread.model.naming.paths import MAX_PATHS, Namer, OtherPaths, names_of_optimizer_only
from ckread.model.optimizers import NOT_SLOTS, find_optimizers
from ckread.model.role import LONG, Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ckread.model.columns.objects import Integers, Truths
    from ckread.model.columns.variables import Relation
    from ckread.model.evidence import ObjectGraph
    from ckread.model.optimizers import Optimizer
    from ckread.readers.contract import TensorColumns, TensorRecord

_NONE, _UNSETTLED = -1, -2
_NUMBERS = {role: number for number, role in enumerate(Role)}
_TRUTHS = (None, False, True)
_MAX_BATCHES = 2000
"""Steps of a search in which every object is settled; a chain of so many is no model."""


class UnusualError(Exception):
    """It has a form that no column tells."""


class ManyPaths(PathTree):
    """The best path to every object, settled side by side: all of one length and structure.

    Attributes:
        before: of each node the previous one on its path; `_UNSETTLED` where none leads.
        via: the local name of the last step, by its number.
        costs: how many steps of the path are structure.
        lengths: how many steps it has.
        first: the local name of the first step, by its number.
        is_reached: whether some path avoids optimizers.
        is_structural_name: of each local name, whether a framework chose it.
    """

    def __init__(self, graph: ManyObjects, optimizers: Collection[int]) -> None:
        self._many = graph
        columns, n = graph.columns, len(graph)
        self.is_structural_name: Truths = np.array(
            [
                not is_decimal and is_structural(name)
                for name, is_decimal in zip(columns.names, graph.is_decimal.tolist(), strict=True)
            ],
            bool,
        )
        self.before: Integers = np.full(n, _UNSETTLED)
        self.via: Integers = np.full(n, _NONE)
        self.first: Integers = np.full(n, _NONE)
        self.costs: Integers = np.zeros(n, np.int64)
        self.lengths: Integers = np.zeros(n, np.int64)
        self._place: Integers = np.zeros(n, np.int64)
        self.before[0] = _NONE
        self._late_edges: list[Integers] = []
        self._n_batches = self._n_settled = 0
        self._has_children = np.diff(graph.bounds) > 0
        is_optimizer = np.zeros(n, bool)
        is_optimizer[list(optimizers)] = True
        self._grow_many(np.zeros(1, np.int64), is_optimizer)
        self.is_reached: Truths = self.before != _UNSETTLED
        holders, is_list = np.flatnonzero(self._has_children), np.zeros(n, bool)
        is_list[holders] = graph.is_decimal[columns.name[graph.bounds[holders]]]
        sources = np.flatnonzero(is_optimizer & self.is_reached)
        self._grow_many(sources[np.lexsort((self._place[sources], self.lengths[sources]))], is_list)

    def _grow_many(self, sources: Integers, ends: Truths) -> None:
        """Settle what the sources lead to: by structure, then length, then order."""
        named, level = self._leave_many(sources)
        costly = [level, *self._settle_many(named, ends, is_structural=False)]
        while (level := np.concatenate(costly)).size or self._late_edges:
            if not level.size:
                level, self._late_edges = np.concatenate(self._late_edges), []
            arrivals = level[np.argsort(self._length_by(level), kind="stable")]
            costly = [level[:0], *self._settle_many(arrivals, ends, is_structural=True)]

    def _length_by(self, edges: Integers) -> Integers:
        """Give how many steps a path has that ends in each of these."""
        return self.lengths[self._many.columns.parent[edges]] + 1

    def _settle_many(
        self, arrivals: Integers, ends: Truths, *, is_structural: bool
    ) -> Iterator[Integers]:
        """Settle one level of structure, all of one length at once; yield the way to the next."""
        columns, length_of = self._many.columns, self._length_by(arrivals)
        named = arrivals[:0]
        at = 0
        while at < len(arrivals) or len(named):
            self._n_batches += 1
            if self._n_batches > _MAX_BATCHES:
                raise UnusualError
            edges, is_costly = named, np.zeros(len(named), bool)
            length = int(self._length_by(named[:1])[0]) if len(named) else MAX_STEPS * len(ends)
            if at < len(arrivals) and length_of[at] <= length:
                stop = int(np.searchsorted(length_of, length_of[at], "right"))
                taken = named if length_of[at] == length else named[:0]
                named = named[len(taken) :]
                edges = np.concatenate((arrivals[at:stop], taken))
                is_costly = np.full(len(edges), is_structural)
                is_costly[stop - at :] = False
                length, at = int(length_of[at]), stop
            else:
                named = named[:0]
            is_new = self.before[columns.child[edges]] == _UNSETTLED
            edges, is_costly = edges[is_new], is_costly[is_new]
            once = np.sort(np.unique(columns.child[edges], return_index=True)[1])
            edges, is_costly = edges[once], is_costly[once]
            node, parent = columns.child[edges], columns.parent[edges]
            self.before[node], self.via[node] = parent, columns.name[edges]
            self.first[node] = np.where(parent > 0, self.first[parent], columns.name[edges])
            self.costs[node] = self.costs[parent] + is_costly
            self.lengths[node] = length
            self._place[node] = self._n_settled + np.arange(len(node))
            self._n_settled += len(node)
            more, costly = self._leave_many(node[self._has_children[node] & ~ends[node]])
            named = np.concatenate((named, more))
            yield costly

    def _leave_many(self, nodes: Integers) -> tuple[Integers, Integers]:
        """Give the ways to the children of settled nodes, those behind structure apart."""
        columns, bounds = self._many.columns, self._many.bounds
        edges = ranges(bounds[nodes], bounds[nodes + 1])
        edges = edges[self.before[columns.child[edges]] == _UNSETTLED]
        is_late = self._is_late[edges]
        if is_late.any():
            self._late_edges.append(edges[is_late])
            edges = edges[~is_late]
        name, parent = columns.name[edges], columns.parent[edges]
        is_within = (self.costs[parent] > self.costs[self.before[parent]]) & (parent > 0)
        is_costly = self.is_structural_name[name] | is_within & self._many.is_decimal[name]
        return edges[~is_costly], edges[is_costly]

    @cached_property
    def _is_late(self) -> Truths:
        """Tell of each reference whether it is to the layers of a built Sequential."""
        columns, is_built = self._many.columns, np.zeros(len(self._many), bool)
        is_built[columns.parent[self._many.named(("_functional",))]] = True
        return self._many.named(("_layers",)) & is_built[columns.parent]

    # What is asked of one object, as `PathTree`.

    def _of_settled(self, column: Integers) -> dict[int, int]:
        nodes = np.flatnonzero(self.before != _UNSETTLED)
        return dict(zip(nodes.tolist(), column[nodes].tolist(), strict=True))

    @cached_property
    def parent(self) -> dict[int, int]:  # type: ignore[override]
        """Of each node the previous one on its path; absent where none leads."""
        return self._of_settled(self.before)

    @cached_property
    def name(self) -> dict[int, str]:  # type: ignore[override]
        """Local name of the last step, by node."""
        names = [*self._many.columns.names, ""]  # that of the root, at last
        return {node: names[via] for node, via in self._of_settled(self.via).items()}

    @cached_property
    def cost(self) -> dict[int, int]:  # type: ignore[override]
        """How many steps of the path are structure, by node."""
        return self._of_settled(self.costs)

    @cached_property
    def length(self) -> dict[int, int]:  # type: ignore[override]
        """How many steps it has, by node."""
        return self._of_settled(self.lengths)

    @cached_property
    def reached(self) -> frozenset[int]:  # type: ignore[override]
        """Nodes on some path that avoids optimizers."""
        return frozenset(np.flatnonzero(self.is_reached).tolist())

    def is_structural(self, node: int) -> bool:
        """Tell whether the last step to a node is structure."""
        return node != 0 and bool(self.costs[node] > self.costs[self.before[node]])

    def first_step(self, node: int) -> str:
        """Give the first local name on the path to a node that is not the root."""
        return self._many.columns.names[int(self.first[node])]

    def first_steps(self, nodes: Collection[int]) -> set[str]:  # type: ignore[override]
        """Give the first local names on the paths to those of some nodes that are reached."""
        which = np.fromiter(nodes, np.int64, len(nodes))
        codes = np.unique(self.first[which[self.is_reached[which]]])
        return set(map(self._many.columns.names.__getitem__, codes.tolist()))


class _Records(Mapping[int, "TensorRecord"]):
    """What the file lists of each variable, by its node."""

    def __init__(self, tensors: TensorColumns, place: Integers) -> None:
        self._tensors, self._place = tensors, place.tolist()

    def __getitem__(self, node: int) -> TensorRecord:
        if node not in self:
            raise KeyError(node)
        return self._tensors.record(self._place[node])

    def __contains__(self, node: object) -> bool:
        return self._place[node] >= 0  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[int]:
        return (node for node, place in enumerate(self._place) if place >= 0)

    def __len__(self) -> int:
        return sum(place >= 0 for place in self._place)


class _Slots:
    """The slots of a graph, by node id.

    Attributes:
        owner: of each slot, the node of its weight; -1 of what is none.
        optimizer: the node of the optimizer that keeps it.
        is_average: whether it is a shadow copy of the weight.
        word: the number of the writer's word for it.
        words: these, by their number.
        is_trained: of each node, whether an optimizer lists it as one that it trains.
    """

    def __init__(
        self,
        graph: ManyObjects,
        optimizers: Mapping[int, Optimizer],
        records: _Records,
        is_stored: Truths,
    ) -> None:
        self._graph, self._is_stored = graph, is_stored
        n, told = len(graph), graph.columns.slots
        self.owner, self.optimizer, self.word = (np.full(n, _NONE) for _ in range(3))
        self.is_average, self.is_trained = np.zeros(n, bool), np.zeros(n, bool)
        self._numbers: dict[str, int] = {}
        is_known = (told.owner >= 0) & (told.owner < n) & (told.slot >= 0) & (told.slot < n)
        is_all_told = True
        for node in optimizers:
            rows = np.flatnonzero((told.holder == node) & is_known)
            rows = rows[is_stored[told.owner[rows]] & is_stored[told.slot[rows]]]
            words = [told.word[row] for row in rows.tolist()]
            averages = np.array(list(map(is_average, words)), bool)
            self._put(told.slot[rows], told.owner[rows], node, words, averages)
            members = graph.child(node, "_trainable_variables")
            index, weights = (rows[:0], rows[:0]) if members is None else self._items(members)
            self.is_trained[weights] = True
            if len(weights):
                is_all_told &= self._put_lists(node, index, weights)
            else:
                is_all_told &= node in told.holder
        if not is_all_told:
            self._put_careful(optimizers, records)

    @property
    def words(self) -> list[str]:
        """What writers call slots."""
        return list(self._numbers)

    def _put(
        self,
        slots: Integers,
        owners: Integers,
        optimizers: Integers | int,
        words: list[str],
        averages: Truths | bool,
    ) -> None:
        """Put slots down; of what is there twice the last holds."""
        for word in dict.fromkeys(words):
            self._numbers.setdefault(word, len(self._numbers))
        numbers = map(self._numbers.__getitem__, words)
        self.word[slots] = np.fromiter(numbers, np.int64, len(words))
        self.owner[slots], self.optimizer[slots] = owners, optimizers
        self.is_average[slots] = averages

    def _items(self, node: int) -> tuple[Integers, Integers]:
        """Give the indices and node ids of the items of a list that are stored."""
        index, child = self._graph.listed(node)
        is_stored = self._is_stored[child]
        return index[is_stored], child[is_stored]

    def _put_lists(self, node: int, index: Integers, weights: Integers) -> bool:
        """Pair the i-th item of every list with the i-th trainable variable.

        What lists do not hold is not told.
        """
        graph, full_names = self._graph, self._graph.full_names
        is_weight, is_told = np.zeros(len(graph), bool), self.owner >= 0
        is_weight[weights] = True
        owner_of = np.full(int(index.max()) + 1, _NONE)
        owner_of[index] = weights
        marks = [
            f"_{full_names[owner].rpartition('/')[2]}_" if owner >= 0 else ""
            for owner in owner_of.tolist()
        ]
        held = graph.children[node]
        for child, name in held:
            if name in NOT_SLOTS or self._is_stored[child]:
                continue
            index, items = self._items(child)
            if not len(items) or index[-1] >= len(marks) or (owner_of[index] < 0).any():
                continue
            is_slot = ~is_weight[items] & ~is_told[items]
            index, items, listed = index[is_slot], items[is_slot], public(name)
            names = map(full_names.__getitem__, items.tolist())
            parts = map(str.rpartition, names, map(marks.__getitem__, index.tolist()))
            words = [word if mark else listed for _, mark, word in parts]
            self._put(items, owner_of[index], node, words, is_average(listed))
        own = graph.child(node, "_variables")
        rest = self._items(own)[1] if own is not None else index[:0]
        rest = rest[~is_weight[rest] & (self.owner[rest] < 0)]
        return set(rest.tolist()).issubset(child for child, _ in held)

    def _put_careful(self, optimizers: Mapping[int, Optimizer], records: _Records) -> None:
        """Tell them one by one."""
        graph = self._graph
        shapes = {node: record.shape for node, record in records.items()}
        found = find_slots(SlotClues(graph, graph.full_names, shapes), optimizers)
        self.owner[:] = self.optimizer[:] = self.word[:] = _NONE
        self.is_average[:] = False
        nodes = np.array(list(found), np.int64)
        owners, by, averages = (
            np.array([getattr(one, name) for one in found.values()], np.int64)
            for name in ("owner", "optimizer", "is_average")
        )
        self._put(nodes, owners, by, [one.word for one in found.values()], averages > 0)

    def as_objects(self) -> dict[int, Slot]:
        """Give them one by one."""
        words = self.words
        nodes = np.flatnonzero(self.owner >= 0)
        columns = (self.optimizer, self.owner, self.word, self.is_average)
        cells = zip(nodes.tolist(), *(column[nodes].tolist() for column in columns), strict=True)
        return {node: Slot(by, of, words[word], is_it) for node, by, of, word, is_it in cells}


def identify_many_objects(tensors: TensorColumns, graph: ObjectGraph) -> IdentityColumns | None:
    """Give the identity of every key; None for what no column tells."""
    if not isinstance(graph, ManyObjects):
        return None
    try:
        return _ManyVariables(tensors, graph).identities()
    except (UnusualError, ValueError):
        return None


class _ManyVariables:
    """The variables of an object-based checkpoint, as `ObjectFile`; arrays go by node id."""

    def __init__(self, tensors: TensorColumns, graph: ManyObjects) -> None:
        self._tensors, self._graph = tensors, graph
        n, columns, keys = len(graph), graph.columns, tensors.keys_in_order
        places = dict(zip(keys, range(len(keys)), strict=True))
        found = np.fromiter(map(places.get, columns.keys, repeat(_NONE)), np.int64)
        if len(found) and np.bincount(found[found >= 0]).max(initial=0) > 1:
            raise UnusualError  # a key that several nodes claim
        if "" in graph.codes:
            raise UnusualError
        if None not in (graph.child(0, "variables"), graph.child(0, "_all_variables")):
            raise UnusualError  # aliases
        self._place: Integers = np.full(n, _NONE)
        self._place[columns.variable] = found
        self._is_stored: Truths = self._place >= 0
        if self._is_stored[0]:
            raise UnusualError
        self._records = records = _Records(tensors, self._place)
        self._optimizers = optimizers = find_optimizers(graph, records)
        self._slots = _Slots(graph, optimizers, records, self._is_stored)
        self._is_slot: Truths = self._slots.owner >= 0
        self._tree = tree = ManyPaths(graph, optimizers)
        if tree.lengths.max() >= MAX_STEPS:
            raise UnusualError  # a path that is not spelled out
        self._held: dict[int, tuple[int, str]] = {
            child: (node, name)
            for node in optimizers
            for child, name in graph.children[node]
            if child in records
        }
        self._is_plain = not any(
            is_structural(name) or name == "signatures" for _, name in graph.children[0]
        )
        self._role: Integers = np.full(n, _NONE)
        self._find_roles()
        self._is_parameter: Truths = np.array([*(role.is_parameter for role in Role), False])[
            self._role
        ]
        parameters = np.flatnonzero(self._is_parameter & tree.is_reached)
        firsts = np.unique(tree.first[parameters])
        is_one = self._is_plain and len(firsts) == 1 and (tree.before[parameters] != 0).all()
        self._dropped = columns.names[firsts[0]] if is_one else None
        self._namer = Namer(
            graph, tree, optimizers, graph.full_names, self._is_plain, self._dropped
        )

    def _find_roles(self) -> None:
        """Tell roles: of slots and what is trained at once, of the rest one by one."""
        graph, tree, slots, records = self._graph, self._tree, self._slots, self._records
        is_trained = slots.is_trained.copy()
        is_trained[slots.owner[self._is_slot & ~slots.is_average]] = True
        self._is_trained: Truths = is_trained
        role = self._role
        role[self._is_stored & is_trained] = _NUMBERS[Role.WEIGHT]
        role[self._is_slot] = _NUMBERS[Role.SLOT]
        role[self._is_slot & slots.is_average] = _NUMBERS[Role.AVERAGE]
        is_long = [bool(shape) and shape[0] >= LONG for _, shape, _ in self._tensors.kinds]
        others = np.flatnonzero(self._is_stored & ~self._is_slot)
        is_long_one = np.array(is_long, bool)[self._tensors.kind[self._place[others]]]
        long = [node for node in others[is_long_one].tolist() if node not in self._held]
        unnamed = Namer(graph, tree, self._optimizers, graph.full_names, self._is_plain)
        trained = frozenset(np.flatnonzero(is_trained).tolist())
        told = ObjectRoles(unnamed, records, trained, long)
        for node in others[role[others] < 0].tolist():
            is_held = node in self._held
            if is_held or not tree.is_reached[node]:
                role[node] = _NUMBERS[told.in_optimizer(node, is_held=is_held)]
            else:
                role[node] = _NUMBERS[told.in_model(node)]

    # Names.

    @cached_property
    def _path_texts(self) -> tuple[dict[int, str], dict[int, str]]:
        """Of each object that holds variables its path, and what their names begin with."""
        graph, tree = self._graph, self._tree
        nodes = np.flatnonzero(self._is_stored & tree.is_reached)
        is_holder = np.zeros(len(graph), bool)
        while len(nodes := np.unique(tree.before[nodes])) and nodes[-1] > 0:
            nodes = nodes[(nodes > 0) & ~is_holder[nodes]]
            is_holder[nodes] = True
        nodes = np.flatnonzero(is_holder)
        nodes = nodes[np.argsort(tree.lengths[nodes], kind="stable")]
        paths, names, local_names = {0: ""}, {0: ""}, graph.columns.names
        columns = nodes.tolist(), tree.before[nodes].tolist(), tree.via[nodes].tolist()
        for node, before, via in zip(*columns, strict=True):
            name = local_names[via]
            paths[node] = f"{paths[before]}{name}/"
            is_left_out = name == "_functional" or (not before and name == self._dropped)
            names[node] = names[before] if is_left_out else f"{names[before]}{name}/"
        return paths, names

    def _by_path(self, nodes: Integers) -> dict[int, str] | None:
        """Name variables by their paths alone; None where full names or structure say more."""
        graph, tree, local_names = self._graph, self._tree, self._graph.columns.names
        full_names = map(graph.full_names.__getitem__, nodes.tolist())
        n_parts = np.fromiter(map(str.count, full_names, repeat("/")), np.int64, len(nodes)) + 1
        length = tree.lengths[nodes]
        if self._dropped is not None:
            length -= (length > 1) & (tree.first[nodes] == graph.codes[self._dropped])
        if ((n_parts >= 3) | (n_parts > length) | (tree.costs[nodes] > 0)).any():
            return None
        _, scopes = self._path_texts
        parts = {via: public(local_names[via]) for via in np.unique(tree.via[nodes]).tolist()}
        columns = tree.before[nodes].tolist(), tree.via[nodes].tolist()
        found = {
            node: scopes[before] + parts[via]
            for node, before, via in zip(nodes.tolist(), *columns, strict=True)
        }
        is_special = graph.is_decimal.copy()
        is_special[[code for name, code in graph.codes.items() if name == "_functional"]] = True
        for node in nodes[is_special[tree.via[nodes]]].tolist():
            found[node] = self._namer.spell(node) or ""
        return found

    def _names(self) -> list[str]:
        """Name every key: slots last, because they carry the names of their owners."""
        graph, tree, namer, slots = self._graph, self._tree, self._namer, self._slots
        is_held = np.zeros(len(graph), bool)
        is_held[list(self._held)] = True
        is_free = self._is_stored & tree.is_reached & ~self._is_slot
        is_free &= self._is_parameter | ~is_held
        free = np.flatnonzero(is_free)
        own = self._by_path(free)
        if own is None:
            weights = free[self._role[free] == _NUMBERS[Role.WEIGHT]]
            own = namer.name(free.tolist(), weights.tolist())
        if (slots.is_trained & ~tree.is_reached).any():
            own |= names_of_optimizer_only(namer, self._optimizers, slots.as_objects())
        prefixes = {node: prefix_of(namer, node) for node in self._optimizers}
        for node, (optimizer, local_name) in self._held.items():
            own.setdefault(node, prefixes[optimizer] + word_of_held(local_name))
        keys = self._tensors.keys_in_order
        nodes = np.flatnonzero(self._is_stored & ~self._is_slot)
        names = [""] * len(keys)
        for node, place in zip(nodes.tolist(), self._place[nodes].tolist(), strict=True):
            name = own.get(node)
            if name is None:
                name = namer.spell(node)
            names[place] = name or namer.spell_key(keys[place])
        for place in self._without_node.tolist():
            names[place] = namer.spell_key(keys[place])
        nodes = np.flatnonzero(self._is_slot)
        if self._is_slot[slots.owner[nodes]].any():
            raise UnusualError
        columns = self._place[slots.owner[nodes]], slots.optimizer[nodes], slots.word[nodes]
        cells = zip(self._place[nodes].tolist(), *(c.tolist() for c in columns), strict=True)
        words = slots.words
        for place, owner, optimizer, word in cells:
            names[place] = f"{prefixes[optimizer]}{names[owner]}/{words[word]}"
        if len(set(names)) < len(names) or "" in names:
            raise UnusualError
        return names

    @cached_property
    def _without_node(self) -> Integers:
        """The places of the keys that no node claims."""
        is_claimed = np.zeros(len(self._tensors), bool)
        is_claimed[self._place[self._is_stored]] = True
        return np.flatnonzero(~is_claimed)

    # What else there is to an identity.

    def _trainable(self) -> Integers:
        """Tell of each weight whether training moves it; -1 where that cannot be told."""
        tree, slots = self._tree, self._slots
        told = np.full(len(self._graph), _NONE)
        weights = np.flatnonzero(self._role == _NUMBERS[Role.WEIGHT])
        if self._graph.child(0, "trainable_variables") is not None:
            found = find_trainable(
                self._namer, weights.tolist(), self._optimizers, slots=slots.as_objects(), flags={}
            )
            told[list(found)] = list(found.values())
            return told
        is_owner = np.zeros(len(told), bool)
        is_owner[slots.owner[self._is_slot]] = True
        model = np.where(tree.is_reached, tree.first if self._is_plain else 0, _NONE)
        for is_trained in (slots.is_trained, is_owner):
            rest = weights[told[weights] < 0]
            models = np.unique(model[rest[is_trained[rest]]])
            rest = rest[is_trained[rest] | np.isin(model[rest], models)]
            told[rest] = is_trained[rest]
        return told

    def _have_one_path(self) -> Truths:
        """Tell of each node whether its best path is the only one that a person named."""
        graph, tree, columns = self._graph, self._tree, self._graph.columns
        is_optimizer = np.zeros(len(graph), bool)
        is_optimizer[list(self._optimizers)] = True
        parent, name = columns.parent, columns.name
        is_within = (tree.costs > tree.costs[tree.before]) & (np.arange(len(graph)) > 0)
        is_named = tree.is_reached[parent] & ~is_optimizer[parent]
        is_named &= ~np.where(
            graph.is_decimal[name], is_within[parent], tree.is_structural_name[name]
        )
        child = columns.child[is_named]
        n_named = np.bincount(child, minlength=len(graph))
        is_best = (parent == tree.before[columns.child]) & (name == tree.via[columns.child])
        n_best = np.bincount(columns.child[is_named & is_best], minlength=len(graph))
        found: Truths = tree.is_reached & ((n_named == 0) | (n_named == 1) & (n_best == 1))
        found &= tree.lengths < MAX_PATHS
        found[0] = True
        nodes = np.flatnonzero(found & (n_named == 1))
        for length in range(1, int(tree.lengths.max()) + 1):
            some = nodes[tree.lengths[nodes] == length]
            found[some] &= found[tree.before[some]]
        return found

    def identities(self) -> IdentityColumns:
        """Give them all."""
        tensors, slots, tree, role = self._tensors, self._slots, self._tree, self._role
        keys, names = tensors.keys_in_order, self._names()
        numbers: defaultdict[Relation, int] = defaultdict()
        numbers.default_factory = numbers.__len__
        relation = np.full(len(keys), _NONE, np.int32)
        owner = np.full(len(keys), _NONE, np.int32)
        nodes = np.flatnonzero(self._is_slot)
        owner[self._place[nodes]] = self._place[slots.owner[nodes]]
        words, roles = slots.words, list(Role)
        for word in np.unique(slots.word[nodes]).tolist():
            some = nodes[slots.word[nodes] == word]
            for one in np.unique(role[some]).tolist():
                number = numbers[roles[one], None, None, words[word], (), ()]
                relation[self._place[some[role[some] == one]]] = number
        for place in self._without_node.tolist():
            role_of = role_by_attribute(keys[place], tensors)
            relation[place] = numbers[role_of, None, None, None, (), ()]
        trainable = self._trainable()
        trainable[role == _NUMBERS[Role.STATISTIC]] = 0
        rest = np.flatnonzero(self._is_stored & ~self._is_slot)
        code = role[rest] * 3 + np.where(self._is_parameter[rest], trainable[rest], _NONE) + 1
        for one in np.unique(code).tolist():
            number = numbers[roles[one // 3], _TRUTHS[one % 3], None, None, (), ()]
            relation[self._place[rest[code == one]]] = number
        parameters = rest[self._is_parameter[rest]]
        columns = self._have_one_path()[parameters], tree.before[parameters], tree.via[parameters]
        cells = zip(parameters.tolist(), *(column.tolist() for column in columns), strict=True)
        local_names, (scopes, _) = self._graph.columns.names, self._path_texts
        paths = OtherPaths(self._namer)
        places = self._place.tolist()
        for node, has_one, before, via in cells:
            key = keys[places[node]]
            if has_one:
                path = f"{scopes[before]}{local_names[via]}"
                if key == path + SUFFIX and "." not in path:
                    continue
            others, tied = other_paths(key, paths.of(node))
            if others:
                told = list(numbers)[relation[places[node]]]
                relation[places[node]] = numbers[*told[:4], others, tied]
        return IdentityColumns(keys, names, list(numbers), relation, Spelling(names), owner)
