"""The names of a model's variables: the full name where it tells, else the path.

Full names are what the program called a variable, but Keras 3 gives all layers of a
subclassed model the same ones (`sub/kernel`). A full name identifies a variable if its
scope, all but the last component, belongs to one object of the file.
"""

from __future__ import annotations

from collections import Counter, deque
from functools import cached_property
from itertools import count, takewhile
from typing import TYPE_CHECKING

from ckread.model.naming.graph import is_structural, key_path, public
from ckread.model.optimizers import trained_by
from ckread.model.role import DEFAULT_NAME

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping

    from ckread.model.evidence import ObjectGraph
    from ckread.model.naming.graph import PathTree, Slot
    from ckread.model.optimizers import Optimizer
    from ckread.readers.contract import TensorRecord


class Namer:
    """Names the variables of one graph.

    Attributes:
        graph: the trackable objects.
        tree: the best path to each.
        optimizers: node ids of optimizers: they hold variables, and own none.
        full_names: of each variable node, what its program called it.
        is_plain_root: whether the root is a plain `tf.train.Checkpoint`, not a model.
        dropped: local name of a plain root's only child that holds weights, which
            names do not repeat.
        layers: names of Keras layers by node id, where a SavedModel tells them.
    """

    def __init__(
        self,
        graph: ObjectGraph,
        tree: PathTree,
        optimizers: Collection[int],
        full_names: Mapping[int, str],
        is_plain_root: bool = False,
        dropped: str | None = None,
        layers: Mapping[int, str] | None = None,
    ) -> None:
        self.graph = graph
        self.tree = tree
        self.optimizers = optimizers
        self.full_names = full_names
        self.is_plain_root = is_plain_root
        self.dropped = dropped
        self.layers: Mapping[int, str] = layers or {}

    @cached_property
    def scopes(self) -> Mapping[str, Mapping[str, int]]:
        """Of each scope of full names that has one, its variables by last component."""
        scopes: dict[str, dict[str, int]] = {}
        for node, full_name in self.full_names.items():
            scope, _, word = full_name.rpartition("/")
            if scope:
                scopes.setdefault(scope, {})[word] = node
        return scopes

    def path(self, node: int) -> tuple[str, ...] | None:
        """Give the local names that lead to a node, the dropped one left out."""
        steps = self.tree.steps(node)
        if steps and len(steps) > 1 and steps[0] == self.dropped:
            return steps[1:]
        return steps

    def spell(self, node: int) -> str | None:
        """Give the path to a node as a name; None where none can be spelled."""
        path = self.path(node)
        if not path:
            return None
        steps = self._from_layer(node) or [step for step in path if step != "_functional"]
        steps = steps or list(path)
        if steps[-1].isdecimal():
            full_name = self.full_names.get(node, "")
            if full_name and not DEFAULT_NAME.fullmatch(full_name):
                return "/".join((*steps, full_name.rpartition("/")[2]))
        steps[-1] = public(steps[-1])
        return "/".join(steps)

    def _from_layer(self, node: int) -> list[str]:
        """Give the steps from the innermost layer of known name that structure leads to."""
        steps: list[str] = []
        while node > 0 and self.layers:
            if steps and node in self.layers and self.tree.is_structural(node):
                return [self.layers[node], *reversed(steps)]
            steps.append(self.tree.name.get(node, ""))
            node = self.tree.parent.get(node, -1)
        return []

    @cached_property
    def _layers_of_root(self) -> Mapping[str, str]:
        return {
            name: self.layers[child]
            for child, name in (self.graph.children[0] if self.layers else ())
            if child in self.layers and is_structural(name)
        }

    def spell_key(self, key: str) -> str:
        """Give the path that a key spells, a layer of the root by its name."""
        path = key_path(key)
        first, slash, rest = path.partition("/")
        return f"{self._layers_of_root.get(first, first)}{slash}{rest}"

    def name(self, nodes: Iterable[int], weights: Iterable[int]) -> dict[int, str]:
        """Name variables that paths without an optimizer reach; others are left out."""
        scopes = {node: self.full_names[node].rpartition("/")[0] for node in nodes}
        telling = list(filter(self._says_more, scopes))
        unique = self.of_one_object(scopes) if telling else set()
        # A program's names serve all of a model or none of it: a reader could not tell
        # why one layer is called by its name, and the next by its path.
        roots = (scopes[node] for node in weights if telling)
        shared = {_root(scope) for scope in roots if scope not in unique}
        told = {
            node: self.full_names[node]
            for node in telling
            if scopes[node] in unique and (_root(scopes[node]) or node) not in shared
        }
        rest = [node for node in scopes if node not in told]
        return told | self._name_by_path(rest, scopes)

    def _says_more(self, node: int) -> bool:
        """Tell whether a full name says more than the path."""
        n_components = self.full_names[node].count("/") + 1
        length = self.tree.length[node]
        if length > 1 and self.tree.first_step(node) == self.dropped:
            length -= 1
        return n_components >= 3 or n_components > length or self.tree.cost[node] > 0

    def _name_by_path(self, nodes: list[int], scopes: Mapping[int, str]) -> dict[int, str]:
        """Name what full names alone do not tell; others are left out."""
        if not any(map(self.tree.cost.__getitem__, nodes)):  # no structure to leave out
            return {node: name for node in nodes if (name := self.spell(node))}
        in_question = {scopes[node] for node in nodes}
        # The steps before the first structural one, the last step of all left out.
        leads = {
            node: tuple(takewhile(lambda step: not is_structural(step), path[:-1]))
            for node, scope in scopes.items()
            if scope in in_question
            for path in [self.path(node) or ()]
        }
        below = self.of_one_object({node: (leads[node], scopes[node]) for node in leads}, nodes)
        mixed = {leads[node] for node in nodes if (leads[node], scopes[node]) not in below}
        names = {}
        for node in nodes:
            lead = leads[node]
            is_told = (lead, scopes[node]) in below and lead not in mixed
            if lead and self.tree.cost[node] and is_told:
                names[node] = "/".join((*lead, self.full_names[node]))
            else:
                names[node] = self.spell(node) or ""
        return {node: name for node, name in names.items() if name}

    def of_one_object(
        self, groups: Mapping[int, Hashable], wanted: Iterable[int] | None = None
    ) -> set[Hashable]:
        """Give the groups of variables that belong to one object each.

        Only the groups of `wanted` variables are in question; all by default.
        """
        members: dict[Hashable, list[int]] = {}
        for node in groups if wanted is None else wanted:
            members[groups[node]] = []
        if members:
            for node, group in groups.items():
                if group in members:
                    members[group].append(node)
        found: set[Hashable] = set()
        for group, nodes in members.items():
            full_names = {self.full_names[node] for node in nodes}
            if any("/" not in name for name in full_names):
                continue
            # The objects that hold each under a name: no lists, no optimizers.
            holders = [
                {
                    parent
                    for parent, name in self.graph.parents[node]
                    if not name.isdecimal() and parent not in self.optimizers
                }
                for node in nodes
            ]
            is_scattered = not all(holders) and len(full_names) == len(nodes)
            if set.intersection(*holders) or is_scattered:
                found.add(group)
        return found


def _root(scope: str) -> str:
    """Give the model that a scope of full names is of; empty if it is that of one layer."""
    root, slash, _ = scope.partition("/")
    return root if slash else ""


# Other paths to one object: what is tied is stored once, and reached by several names.

MAX_PATHS = 16
"""There can be exponentially many; a person reads a few."""


class OtherPaths:
    """Gives the paths to variables that pass no optimizer.

    Objects that only structure leads to are reached on their best path alone.
    """

    def __init__(self, namer: Namer) -> None:
        self._namer = namer
        self._known: dict[int, tuple[str, ...]] = {}
        self._only: dict[int, tuple[str, int] | None] = {}

    @cached_property
    def _named(self) -> dict[int, list[tuple[int, str]]]:
        """Of each object the first references to it by names that a person gave."""
        tree, children = self._namer.tree, self._namer.graph.children
        named: dict[int, list[tuple[int, str]]] = {}
        for parent in sorted(tree.reached.difference(self._namer.optimizers)):
            for child, name in children[parent]:
                if tree.is_structural(parent) if name.isdecimal() else is_structural(name):
                    continue
                references = named.get(child)
                if references is None:
                    named[child] = [(parent, name)]
                elif len(references) < MAX_PATHS:
                    references.append((parent, name))
        return named

    def of(self, node: int) -> tuple[str, ...]:
        """Give the paths to a variable, at most so many."""
        paths: dict[str, None] = {}
        for parent, name in self._named.get(node, ()):
            if parent not in self._known:
                only = self._only_path(parent)
                found = self._walk(parent) if only is None else [only[0]]
                self._known[parent] = tuple(dict.fromkeys(found))
            for path in self._known[parent]:
                paths[f"{path}/{name}" if path else name] = None
        if not paths:
            paths = dict.fromkeys(self._best(node))
        return tuple(paths)[: MAX_PATHS + 1]

    def _only_path(self, holder: int, free: int = 2 * MAX_PATHS) -> tuple[str, int] | None:
        """Give the path to an object and its length, where it and all before it have one alone.

        It is what `_walk` gives, in one step more than the path to what holds it.
        """
        if holder not in self._only:
            named, best = self._named.get(holder, ()), self._best(holder)
            found: tuple[str, int] | None = None
            if (not holder or not named) and best:
                found = best[0], 1
            elif holder and len(named) == 1 and free > 1:
                [(parent, name)] = named
                before = self._only_path(parent, free - 1)
                if before is not None and name and before[1] < 2 * MAX_PATHS:
                    found = f"{before[0]}/{name}" if before[0] else name, before[1] + 1
            elif free <= 1:
                return None  # not known, only too far
            self._only[holder] = found
        return self._only[holder]

    def _walk(self, holder: int) -> list[str]:
        """Give the paths to an object that holds variables."""
        if holder not in self._named:
            return self._best(holder)
        found = []
        queue: deque[tuple[int, tuple[str, ...]]] = deque([(holder, ())])
        for _ in range(2 * MAX_PATHS):
            if not queue:
                break
            at, suffix = queue.popleft()
            named = self._named.get(at, ()) if at else ()
            if not named:
                found += ["/".join((*filter(None, (path,)), *suffix)) for path in self._best(at)]
            free = max(0, 2 * MAX_PATHS - len(queue))
            queue.extend((parent, (name, *suffix)) for parent, name in named[:free])
        return found[:MAX_PATHS]

    def _best(self, node: int) -> list[str]:
        tree = self._namer.tree
        steps = tree.steps(node) if node in tree.reached else None
        return [] if steps is None else ["/".join(steps)]


# Names of weights that only an optimizer holds.
#
# Keras 3 does not save layers that a subclassed model keeps in a list or dict. Their
# trainable weights are in the file all the same, because the optimizer refers to them;
# what they are called survives in the full names of their slots,
# `<optimizer>/<model>_<layer>_<variable>_<slot>`.


def names_of_optimizer_only(
    namer: Namer, optimizers: Mapping[int, Optimizer], slots: Mapping[int, Slot]
) -> dict[int, str]:
    """Give names of the trainable variables that no path without an optimizer reaches."""
    silent = {
        node: index
        for optimizer in optimizers.values()
        for index, node in (optimizer.trainable or {}).items()
        if node not in namer.tree.reached
    }
    if not silent:
        return {}
    unique = namer.of_one_object(
        {node: namer.full_names[node].rpartition("/")[0] for node in trained_by(optimizers)}
    )
    slot_names: dict[int, list[str]] = {node: [] for node in silent}
    for slot, found in slots.items():
        if found.owner in silent:
            slot_names[found.owner].append(namer.full_names[slot])
    names: dict[int, str] = {}
    for node, index in silent.items():
        full_name = namer.full_names[node]
        scope, _, variable = full_name.rpartition("/")
        by_place = "/".join(filter(None, ("_trainable_variables", str(index), variable)))
        names[node] = full_name if scope in unique else by_place
        prefix = f"{scope.replace('/', '_')}_"
        for slot_name in slot_names[node] if scope not in unique else ():
            own = slot_name.rpartition("/")[2]
            layer = own.removeprefix(prefix).rpartition(f"_{variable}_")[0]
            if layer and own.startswith(prefix):
                names[node] = f"{layer}/{variable}"
                break
    return names


# Names that are unique in their file.


def unique_names(names: Mapping[str, str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Give each key a name of its own: those that share one take their key path.

    An empty name counts as shared, and so does one that is taken already.
    """
    taken = set(taken)
    distinct = set(names.values())
    if len(distinct) == len(names) and "" not in distinct and distinct.isdisjoint(taken):
        return dict(names)
    wanted = Counter(names.values())
    given = {
        key: name for key, name in names.items() if name and wanted[name] == 1 and name not in taken
    }
    used = {*taken, *given.values()}
    for key in names:
        if key not in given:
            own = key_path(key) or key
            numbered = (f"{own} ({number})" for number in count(2))
            given[key] = own if own not in used else next(n for n in numbered if n not in used)
            used.add(given[key])
    return {key: given[key] for key in names}


# The second copy of every variable in a Keras 3 export.
#
# `export()` makes the root list its variables twice, as `variables` and as
# `_all_variables`, and each list is stored. Members are paired one to one; equal values
# anywhere else, as of two untrained biases, are no alias.

_Signature = tuple[object, ...]


def find_aliases(
    graph: ObjectGraph, full_names: Mapping[int, str], records: Mapping[int, TensorRecord]
) -> dict[int, int | None]:
    """Give the aliases by node id, with the node each repeats.

    The node is None where checksums are lacking and names do not decide.
    """
    lists = (graph.child(0, "variables"), graph.child(0, "_all_variables"))
    originals, copies = (
        [] if node is None else [item for item in graph.items(node).values() if item in records]
        for node in lists
    )
    first = set(originals)
    waiting: dict[_Signature, deque[int]] = {}
    for node in originals:
        waiting.setdefault(_signature(full_names[node], records[node]), deque()).append(node)
    alike = Counter({signature: len(nodes) for signature, nodes in waiting.items()})
    aliases: dict[int, int | None] = {}
    for node in copies:
        record = records[node]
        signature = _signature(full_names[node], record)
        if node not in first and waiting.get(signature):
            original = waiting[signature].popleft()
            told = record.crc32c is not None or alike[signature] == 1
            aliases[node] = original if told else None
    return aliases


def _signature(full_name: str, record: TensorRecord) -> _Signature:
    return full_name, record.dtype, record.shape, record.crc32c
