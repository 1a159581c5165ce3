"""What the object graph of one file says about its variables, before they are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.aliases import find_aliases
from ckread.model.machinery import is_machinery
from ckread.model.object_roles import ObjectRoles
from ckread.model.optimizers import find_optimizers
from ckread.model.path_tree import PathTree
from ckread.model.role import Role
from ckread.model.slot import SlotClues
from ckread.model.slots import find_slots
from ckread.model.telling import Namer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.object_graph import ObjectGraph
    from ckread.readers.contract import TensorRecord
    from ckread.readers.saved_model import SavedModel


class ObjectFile:
    """The variables of an object-based checkpoint; everything goes by node id.

    Attributes:
        records: of each variable that is stored, its tensor.
        flags: of each variable of a SavedModel, whether it was made trainable.
        optimizers: the optimizer objects.
        trained: the variables that an optimizer lists as those it trains.
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
    ) -> None:
        self.graph = graph
        self.records = _stored(graph, tensors)
        self.flags, full_names = _by_saved_model(graph, saved_model)
        shapes = {node: record.shape for node, record in self.records.items()}
        self.optimizers = find_optimizers(graph, self.records)
        self.trained = frozenset(
            node for found in self.optimizers.values() for node in (found.trainable or {}).values()
        )
        self.held = {
            child: (node, name)
            for node in self.optimizers
            for child, name in graph.children[node]
            if child in self.records
        }
        self.slots = find_slots(SlotClues(graph, full_names, shapes), self.optimizers)
        self.aliases = find_aliases(graph, full_names, self.records)
        tree = PathTree(graph, self.optimizers)
        is_plain = saved_model is None and _is_plain(graph)
        unnamed = Namer(graph, tree, self.optimizers, full_names, is_plain)
        told = ObjectRoles(unnamed, self.records)
        self.roles = {node: self._role(told, tree, node) for node in self.records}
        dropped = self._only_model(tree) if is_plain else None
        self.namer = Namer(graph, tree, self.optimizers, full_names, is_plain, dropped)

    def _role(self, told: ObjectRoles, tree: PathTree, node: int) -> Role:
        if node in self.aliases:
            return Role.ALIAS
        if node in self.slots:
            return Role.AVERAGE if self.slots[node].is_average else Role.SLOT
        if node in self.trained:
            return Role.WEIGHT
        if node in self.held or node not in tree.reached:
            return told.in_optimizer(node, is_held=node in self.held)
        return told.in_model(node)

    def _only_model(self, tree: PathTree) -> str | None:
        """Give the root's child below which all weights lie, None if there are several."""
        weights = [
            node for node, role in self.roles.items() if role.is_parameter and node in tree.reached
        ]
        firsts = {tree.first_step(node) for node in weights}
        if len(firsts) != 1 or any(tree.parent[node] == 0 for node in weights):
            return None
        return firsts.pop()


def _stored(graph: ObjectGraph, tensors: Mapping[str, TensorRecord]) -> dict[int, TensorRecord]:
    """Give the tensor of each variable node; a key belongs to the first that claims it."""
    nodes: dict[str, int] = {}
    for node, key in graph.variables.items():
        if key in tensors:
            nodes.setdefault(key, node)
    return {node: tensors[key] for key, node in nodes.items()}


def _is_plain(graph: ObjectGraph) -> bool:
    """Tell a `tf.train.Checkpoint` from a model that was saved as the root."""
    return not any(is_machinery(name) or name == "signatures" for _, name in graph.children[0])


def _by_saved_model(
    graph: ObjectGraph, saved_model: SavedModel | None
) -> tuple[dict[int, bool], dict[int, str]]:
    """Give trainable flags, and full names completed by those of `saved_model.pb`."""
    if saved_model is None:
        return {}, graph.full_names
    variables = {node: found for node, found in saved_model.variables.items() if found.name}
    flags = {node: found.trainable for node, found in saved_model.variables.items()}
    full_names = {
        node: full_name or (variables[node].name.removesuffix(":0") if node in variables else "")
        for node, full_name in graph.full_names.items()
    }
    return flags, full_names
