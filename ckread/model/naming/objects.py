"""Identities of the keys of an object-based checkpoint, from its object graph.

First what the graph says of every variable: slot, alias, or a role by the objects around
it; then names, slots last, because they carry those of their owners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.model.evidence import Identity
from ckread.model.naming.by_name import role_by_attribute
from ckread.model.naming.graph import (
    PathTree,
    SlotClues,
    find_slots,
    is_structural,
    key_path,
    public,
)
from ckread.model.naming.paths import (
    Namer,
    OtherPaths,
    find_aliases,
    names_of_optimizer_only,
    unique_names,
)
from ckread.model.optimizers import find_optimizers, trained_by
from ckread.model.role import (
    Role,
    buffers,
    can_be_weight,
    is_metric_word,
    is_state_name,
    is_weight_word,
    role_by_word,
    role_of_whole,
)
from ckread.readers.contract import DataType

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping

    from ckread.model.evidence import Evidence, ObjectGraph
    from ckread.model.naming.graph import Slot
    from ckread.model.optimizers import Optimizer
    from ckread.readers.contract import TensorRecord
    from ckread.readers.graphs.meta_graph import SavedModel


def identify_objects(
    tensors: Mapping[str, TensorRecord], graph: ObjectGraph, evidence: Evidence
) -> dict[str, Identity]:
    """Give the identity of every key of an object-based checkpoint."""
    tensors = dict(zip(tensors, tensors.values(), strict=True))  # each is looked up several times
    saved = evidence.saved_layers
    layers = saved.names if saved is not None else {}
    file = ObjectFile(tensors, graph, evidence.saved_model, layers)
    nodes = {record.key: node for node, record in file.records.items()}
    names = _names(file, nodes, tensors)
    records, slots, roles = file.records, file.slots, file.roles
    weights = [node for node, role in file.roles.items() if role is Role.WEIGHT]
    trainable = find_trainable(
        file.namer, weights, file.optimizers, slots=file.slots, flags=file.flags
    )
    paths = OtherPaths(file.namer)
    found: dict[str, Identity] = {}
    make = tuple.__new__  # what Identity(...) calls, without the call
    for key in tensors:
        name, node = names[key], nodes.get(key)
        if node is None:
            found[key] = Identity(name, role_by_attribute(key, tensors))
            continue
        role, slot = roles[node], slots.get(node)
        if slot is not None:
            owner = names[records[slot.owner].key]
            found[key] = make(Identity, (name, role, None, owner, slot.word, (), ()))
        elif role.is_parameter:
            told = False if role is Role.STATISTIC else trainable.get(node)
            others, tied = other_paths(key, paths.of(node))
            found[key] = make(Identity, (name, role, told, None, None, others, tied))
        else:
            original = file.aliases[node] if role is Role.ALIAS else None
            repeats = None if original is None else names[file.records[original].key]
            found[key] = Identity(name, role, None, repeats)
    return found


def other_paths(key: str, every: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the paths to a variable that its key does not spell, and those that are a second place.

    Where the key goes through an optimizer, the first of the others is the model's own.
    """
    own = key_path(key)
    if every == (own,):
        return (), ()
    others = tuple(path for path in every if path != own)
    return others, others if own in every else others[1:]


def _names(
    file: ObjectFile, nodes: Mapping[str, int], tensors: Mapping[str, TensorRecord]
) -> dict[str, str]:
    """Name every key: slots last, because they carry the names of their owners."""
    namer, reached = file.namer, file.namer.tree.reached
    free = [
        node
        for node, role in file.roles.items()
        if node in reached
        and role is not Role.ALIAS
        and node not in file.slots
        and (role.is_parameter or node not in file.held)
    ]
    own = namer.name(free, [node for node in free if file.roles[node] is Role.WEIGHT])
    own |= names_of_optimizer_only(namer, file.optimizers, file.slots)
    for node, (optimizer, local_name) in file.held.items():
        own.setdefault(node, prefix_of(namer, optimizer) + word_of_held(local_name))
    first, owned, slots = {}, {}, file.slots
    for key in tensors:
        node = nodes.get(key, -1)
        if node in slots:
            owned[key] = slots[node]
            continue
        name = own.get(node)
        if name is None and node in file.records:
            name = namer.spell(node)
        first[key] = name or namer.spell_key(key)
    names = unique_names(first)
    prefixes = {node: prefix_of(namer, node) for node in file.optimizers}
    wanted = {}
    for key, slot in owned.items():
        owner = file.records[slot.owner].key
        wanted[key] = f"{prefixes[slot.optimizer]}{names.get(owner, owner)}/{slot.word}"
    return names | unique_names(wanted, names.values())


def prefix_of(namer: Namer, optimizer: int) -> str:
    """Give what the names of an optimizer's variables begin with."""
    return "".join(f"{step}/" for step in namer.path(optimizer) or ())


def word_of_held(local_name: str) -> str:
    """Give what a variable is called that an optimizer holds under a name.

    Keras 2 called it `iter`, later `iteration`: one name in all formats.
    """
    return "iterations" if local_name in ("iter", "iteration") else public(local_name)


class ObjectFile:
    """The variables of an object-based checkpoint; everything goes by node id.

    Attributes:
        records: of each variable that is stored, its tensor.
        flags: of each variable of a SavedModel, whether it was made trainable.
        optimizers: the optimizer objects.
        trained: the variables that an optimizer lists as those it trains, or has slots for.
        held: of each variable that an optimizer holds under a name, both.
        slots: of each slot and average, its relations.
        aliases: of each alias, the variable that it repeats.
        roles: of each variable.
        namer: names the variables of models.
    """

    def __init__(
        self,
        tensors: Mapping[str, TensorRecord],
        graph: ObjectGraph,
        saved_model: SavedModel | None,
        layers: Mapping[int, str],
    ) -> None:
        self.graph = graph
        self.records: dict[int, TensorRecord] = _stored(graph, tensors)
        self.flags: dict[int, bool] = {}
        full_names: Mapping[int, str] = graph.full_names
        if saved_model is not None:
            told = saved_model.variables
            self.flags = {node: found.trainable for node, found in told.items()}
            full_names = {
                node: name or (told[node].name.removesuffix(":0") if node in told else "")
                for node, name in graph.full_names.items()
            }
        shapes = {node: record.shape for node, record in self.records.items()}
        self.optimizers: dict[int, Optimizer] = find_optimizers(graph, self.records)
        self.trained: frozenset[int] = trained_by(self.optimizers)
        self.held: dict[int, tuple[int, str]] = {
            child: (node, name)
            for node in self.optimizers
            for child, name in graph.children[node]
            if child in self.records
        }
        clues = SlotClues(graph, full_names, shapes)
        self.slots: dict[int, Slot] = find_slots(clues, self.optimizers)
        self.aliases: dict[int, int | None] = find_aliases(graph, full_names, self.records)
        tree = PathTree(graph, self.optimizers)
        # A `tf.train.Checkpoint`, not a model that was saved as the root.
        is_plain = saved_model is None and not any(
            is_structural(name) or name == "signatures" for _, name in graph.children[0]
        )
        unnamed = Namer(graph, tree, self.optimizers, full_names, is_plain)
        self.trained |= {slot.owner for slot in self.slots.values() if not slot.is_average}
        others = self.records.keys() - self.slots.keys() - self.held.keys()
        listed = graph.child(0, "trainable_variables") if saved_model is not None else None
        trained = self.trained.union(graph.items(listed).values() if listed is not None else ())
        by_holders = ObjectRoles(unnamed, self.records, trained, others)
        slots, aliases = self.slots, self.aliases
        self.roles: dict[int, Role] = {
            node: self._role(by_holders, tree, node)
            if node not in slots or node in aliases
            else Role.AVERAGE
            if slots[node].is_average
            else Role.SLOT
            for node in self.records
        }
        parameters = [
            n for n, role in self.roles.items() if role.is_parameter and n in tree.reached
        ]
        firsts = {tree.first_step(node) for node in parameters}
        is_one = len(firsts) == 1 and not any(tree.parent[node] == 0 for node in parameters)
        # A lone model below a plain root is not repeated in every name.
        dropped = firsts.pop() if is_plain and is_one else None
        self.namer: Namer = Namer(
            graph, tree, self.optimizers, full_names, is_plain, dropped, layers
        )

    def _role(self, told: ObjectRoles, tree: PathTree, node: int) -> Role:
        if node in self.aliases:
            return Role.ALIAS
        if node in self.trained:
            return Role.WEIGHT
        if node in self.held or node not in tree.reached:
            return told.in_optimizer(node, is_held=node in self.held)
        return told.in_model(node)


def _stored(graph: ObjectGraph, tensors: Mapping[str, TensorRecord]) -> dict[int, TensorRecord]:
    """Give the tensor of each variable node; a key belongs to the first that claims it."""
    nodes = graph.variables
    if len(set(nodes.values())) < len(nodes):
        claims = {key: node for node, key in reversed(nodes.items())}
        nodes = {node: key for node, key in nodes.items() if claims[key] == node}
    return {node: tensors[key] for node, key in nodes.items() if key in tensors}


# Roles by the objects around a variable; slots and aliases aside.

_METRICS = frozenset({"metrics", "_metrics", "_compile_metrics", "_tracked_metrics"})
_ADAPTED = frozenset({"mean", "variance", "adapt_mean", "adapt_variance", "count"})
_MOVING = frozenset({"hidden", "_hidden", "average"})


class _Held(NamedTuple):
    """The variables of one holder: their local names, and whether weights can be among them."""

    names: frozenset[str]
    has_weights: bool


_NOTHING = _Held(frozenset(), has_weights=False)


class ObjectRoles:
    """Tells the roles of the variables of one graph."""

    def __init__(
        self,
        namer: Namer,
        records: Mapping[int, TensorRecord],
        trained: Collection[int],
        others: Collection[int],
    ) -> None:
        self._namer = namer
        self._records = records
        self._trained = trained
        self._held: dict[int | str, _Held] = {}
        tree = namer.tree
        # Only of a plain root does the first step tell one model from another.
        is_told = bool(trained) and namer.is_plain_root
        self._models = tree.first_steps(trained) if is_told else None
        self._buffers: set[Hashable] = set()
        if is_told:
            rows = [(tree.first_step(n), records[n]) for n in others if tree.parent.get(n, -1) >= 0]
            self._buffers = buffers(rows, self._models or ())

    def in_model(self, node: int) -> Role:
        """Give the role of a variable that no optimizer holds as its own."""
        tree, record = self._namer.tree, self._records[node]
        local, word = self._words(node)
        steps = tree.steps(node) or ()
        beside = self._beside(node)
        if not _METRICS.isdisjoint(steps[:-1]) or _is_metric(beside.names, local, record):
            return Role.METRIC
        if node in self._trained:
            return Role.WEIGHT
        role = self._by_words(node)
        if role is not None:
            return role
        if _is_statistic(beside.names, {local, word}):
            return Role.STATISTIC
        first = tree.first_step(node)
        names = "/".join(steps), self._namer.full_names[node]
        if any(map(is_state_name, names)) or first in self._buffers:
            return Role.STATE
        if not record.shape and (is_metric_word(local) or is_metric_word(word)):
            return Role.METRIC
        in_layer = any(is_structural(step) for step in steps[:-2])
        if can_be_weight(record.dtype):
            # An optimizer in the file lists all that it trains: what is neither in its models
            # nor called like a weight is kept beside them.
            is_beside = self._models is not None and first not in self._models
            is_weight = in_layer or is_weight_word(local) or is_weight_word(word)
            return Role.STATE if is_beside and not is_weight else Role.WEIGHT
        if in_layer or (tree.parent[node] and beside.has_weights):
            is_quantised = record.dtype in (DataType.INT8, DataType.UINT8)
            return Role.WEIGHT if is_quantised and record.shape else Role.STATISTIC
        return role_of_whole(word, record, is_trained=bool(self._trained))

    def in_optimizer(self, node: int, *, is_held: bool) -> Role:
        """Give the role of a variable of an optimizer that is neither a slot nor a weight.

        It `is_held` if the optimizer refers to it by a name, not only in a list.
        """
        record = self._records[node]
        role = self._by_words(node)
        if role is not None:
            return role
        is_number = record.shape == () and can_be_weight(record.dtype)
        return Role.HYPERPARAMETER if is_held and is_number else Role.OTHER

    def _by_words(self, node: int) -> Role | None:
        dtype, shape = self._records[node].dtype, self._records[node].shape
        local, word = self._words(node)
        return role_by_word(word, dtype, shape) or role_by_word(local, dtype, shape)

    def _words(self, node: int) -> tuple[str, str]:
        """Give the local name, and the last component of the full name."""
        full_name = self._namer.full_names[node]
        return self._namer.tree.name.get(node, ""), full_name.rpartition("/")[2]

    def _beside(self, node: int) -> _Held:
        """Give what the holder of a variable holds.

        Items of a list are beside those whose full names have the same scope.
        """
        tree = self._namer.tree
        parent = tree.parent.get(node, -1)
        if parent < 0:
            return _NOTHING
        is_item = tree.name[node].isdecimal()
        holder = self._namer.full_names[node].rpartition("/")[0] if is_item else parent
        if holder not in self._held:
            if isinstance(holder, str):
                children = dict(self._namer.scopes.get(holder, {}))
            else:
                children = {name: child for child, name in self._namer.graph.children[holder]}
            nodes = {name: child for name, child in children.items() if child in self._records}
            has_weights = any(
                can_be_weight(self._records[one].dtype)
                and (one in self._trained or is_weight_word(name))
                for name, one in nodes.items()
            )
            self._held[holder] = _Held(frozenset(nodes), has_weights)
        return self._held[holder]


def _is_metric(names: frozenset[str], local: str, record: TensorRecord) -> bool:
    """Tell a running mean by its two variables: Keras's, or Sonnet's."""
    if local not in names or len(names) != 2:
        return False
    return (record.shape == () and names == {"total", "count"}) or names == {"sum", "count"}


def _is_statistic(names: frozenset[str], words: set[str]) -> bool:
    """Tell Keras's Normalization and Sonnet's moving averages by what lies beside."""
    if words & _MOVING and names & {"_counter", "counter"}:
        return True
    if "count" not in names or not words & _ADAPTED:
        return False
    return {"mean", "variance"} <= names or {"adapt_mean", "adapt_variance"} <= names


# Which weights training moves, by the strongest evidence the files hold: an optimizer's
# `_trainable_variables`; the root's list `trainable_variables` of a SavedModel; the weights
# that an optimizer keeps slots for; the flags in `saved_model.pb`. An optimizer speaks for
# the model it trains, not for others.

_ROOT_LISTS = ("trainable_variables", "non_trainable_variables", "variables")
_OF_LAYERS = frozenset({"_inbound_nodes", "_losses", "call_signature_parameters", "keras_api"})


def find_trainable(
    namer: Namer,
    weights: Collection[int],
    optimizers: Mapping[int, Optimizer],
    *,
    slots: Mapping[int, Slot],
    flags: Mapping[int, bool],
) -> dict[int, bool]:
    """Give whether training moves a weight, for the weights of which it can be told."""
    graph = namer.graph
    told: dict[int, bool] = {}
    _tell_all(told, namer, weights, trained_by(optimizers))
    lists = [graph.child(0, name) for name in _ROOT_LISTS]
    listed = [set() if node is None else set(graph.items(node).values()) for node in lists]
    if lists[0] is not None:
        for node in set().union(*listed) & set(weights):
            told.setdefault(node, node in listed[0])
    owners = {slot.owner for slot in slots.values()}
    _tell_all(told, namer, [node for node in weights if node not in told], owners)
    if flags:
        # Freezing a layer leaves the flags of its variables as they were.
        layers = {
            node
            for node, children in enumerate(graph.children)
            if any(name in _OF_LAYERS for _, name in children)
        }
        for node in weights:
            flag = flags.get(node)
            in_layer = any(parent in layers for parent, _ in graph.parents[node])
            if flag is False or (flag and not in_layer):
                told.setdefault(node, flag)
    return told


def _tell_all(
    told: dict[int, bool], namer: Namer, weights: Iterable[int], trained: Collection[int]
) -> None:
    """Split every model of which something is trained into what is and what is not."""
    nodes = list(weights)
    models = {_model(namer, node) for node in nodes if node in trained}
    for node in nodes:
        if node in trained or _model(namer, node) in models:
            told[node] = node in trained


def _model(namer: Namer, node: int) -> str | None:
    """Give the model a variable is part of, None for what only an optimizer holds."""
    if node not in namer.tree.reached:
        return None
    return namer.tree.first_step(node) if namer.is_plain_root else ""
