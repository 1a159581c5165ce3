"""The names of a model's variables: the full name where it tells, else the path.

Full names are what the program called a variable, but Keras 3 gives all layers of a
subclassed model the same ones (`sub/kernel`). A full name is *telling* if its scope,
all but the last component, belongs to one object of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ckread.model.machinery import is_machinery, public

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping

    from ckread.model.object_graph import ObjectGraph
    from ckread.model.path_tree import PathTree

_DEFAULT_NAME = re.compile(r"Variable(_\d+)?")


@dataclass(frozen=True)
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
    """

    graph: ObjectGraph
    tree: PathTree
    optimizers: Collection[int]
    full_names: Mapping[int, str]
    is_plain_root: bool = False
    dropped: str | None = None

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
        steps = [step for step in path if step != "_functional"]
        full_name = self.full_names.get(node, "")
        if steps[-1].isdecimal() and full_name and not _DEFAULT_NAME.fullmatch(full_name):
            return "/".join((*steps, full_name.rpartition("/")[2]))
        return "/".join((*steps[:-1], public(steps[-1])))

    def name(self, nodes: Iterable[int]) -> dict[int, str]:
        """Name variables that paths without an optimizer reach; others are left out."""
        scopes = {node: self.full_names[node].rpartition("/")[0] for node in nodes}
        telling = self.telling_groups(scopes)
        told = {
            node: self.full_names[node]
            for node, scope in scopes.items()
            if scope in telling and self._says_more(node)
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
        if not nodes:
            return {}
        in_question = {scopes[node] for node in nodes}
        leads = {
            node: _named_lead(self.path(node) or ())
            for node, scope in scopes.items()
            if scope in in_question
        }
        below = self.telling_groups({node: (leads[node], scopes[node]) for node in leads}, nodes)
        names = {}
        for node in nodes:
            lead = leads[node]
            if lead and self.tree.cost[node] and (lead, scopes[node]) in below:
                names[node] = "/".join((*lead, self.full_names[node]))
            else:
                names[node] = self.spell(node) or ""
        return {node: name for node, name in names.items() if name}

    def telling_groups(
        self, groups: Mapping[int, Hashable], wanted: Iterable[int] | None = None
    ) -> set[Hashable]:
        """Give the groups of variables whose full names tell, if each group is a scope.

        Args:
            groups: of each variable.
            wanted: variables whose groups are in question; all by default.
        """
        members: dict[Hashable, list[int]] = {}
        for node in groups if wanted is None else wanted:
            members[groups[node]] = []
        if members:
            for node, group in groups.items():
                if group in members:
                    members[group].append(node)
        return {group for group, nodes in members.items() if self._is_one_object(nodes)}

    def _is_one_object(self, nodes: list[int]) -> bool:
        if any("/" not in self.full_names[node] for node in nodes):
            return False
        common = self._holders(nodes[0])
        for node in nodes[1:]:
            if not common:
                break
            common &= self._holders(node)
        if common:
            return True
        if all(self._holders(node) for node in nodes):
            return False
        return len({self.full_names[node] for node in nodes}) == len(nodes)

    def _holders(self, node: int) -> set[int]:
        """Give the objects that hold a variable under a name: no lists, no optimizers."""
        return {
            parent
            for parent, name in self.graph.parents[node]
            if not name.isdecimal() and parent not in self.optimizers
        }


def _named_lead(path: tuple[str, ...]) -> tuple[str, ...]:
    """Give the steps before the first machinery, the last step of all left out."""
    for at, step in enumerate(path[:-1]):
        if is_machinery(step):
            return path[:at]
    return path[:-1]
