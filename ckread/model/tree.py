"""The variables as a tree of scopes, each with its totals.

Totals that are true: parameters without slots, averages, counters or aliases.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.model.display import Displayed, Field, Kind, columns_of, data_frame, document
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckread.model.variable import Variable


MAX_DEPTH = 64
"""Levels of a tree; what a name has beyond stays one component."""

_FIRST_NUMBER = re.compile(r"/\d+(/|$)")


class VariableTree(Displayed):
    """A scope with what is below it, or a variable; rarely both.

    Example:
        >>> with ckread.open("fixtures/digits_run/ckpt-10") as checkpoint:
        ...     tree = checkpoint.tree("conv*/**")
        >>> [(scope.name, scope.parameters) for scope in tree.children][:2]
        [('conv1', 160), ('conv2', 4640)]

    Attributes:
        name: its last component; several where scopes of one child were joined.
        path: its name from the root; empty for the root.
        variable: the variable of this name, if there is one.
        children: what is below it, in order.
        folded: the variables that one line stands for, such as the slots of a kind.
        n_variables: how many variables it holds, itself included.
        parameters: elements of the weights and statistics among them.
        nbytes: their bytes.
    """

    __slots__ = (
        "children", "folded", "n_variables", "name", "nbytes", "parameters", "path", "variable",
    )  # fmt: skip

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.variable: Variable | None = None
        self.folded: tuple[Variable, ...] = ()
        self.children: list[VariableTree] = []
        self.n_variables = 0
        self.parameters = 0
        self.nbytes = 0

    def __repr__(self) -> str:
        """Show path and number of variables."""
        return f"<ckread.VariableTree {self.path!r}: {self.n_variables} variables>"

    def walk(self) -> Iterator[tuple[VariableTree, tuple[bool, ...]]]:
        """Yield every node with, for each level down to it, whether it is the last there."""
        stack: list[tuple[VariableTree, tuple[bool, ...]]] = [(self, ())]
        while stack:
            node, lasts = stack.pop()
            yield node, lasts
            for at, child in enumerate(reversed(node.children)):
                stack.append((child, (*lasts, at == 0)))

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of JSON documents, children nested."""
        made: dict[int, dict[str, Any]] = {}
        nodes = [node for node, _ in self.walk()]
        for node in reversed(nodes):
            children = [made.pop(id(child)) for child in node.children]
            made[id(node)] = {**document(NODE_FIELDS, node), "children": children}
        return made[id(self)]

    def to_pandas(self) -> Any:
        """Give a `pandas.DataFrame` with a row per scope and variable, by path.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        rows = [
            {"path": node.path, "depth": len(lasts), **document(NODE_FIELDS, node)}
            for node, lasts in self.walk()
        ]
        columns = {"name": Kind.TEXT, "depth": Kind.COUNT} | columns_of(NODE_FIELDS)
        return data_frame(columns, rows, index="path")


NODE_FIELDS: tuple[Field[VariableTree], ...] = (
    Field("name", Kind.TEXT),
    Field("variables", Kind.COUNT, lambda node: node.n_variables),
    Field("parameters", Kind.COUNT),
    Field("nbytes", Kind.COUNT),
)
"""What is told of a node: JSON, pandas and the pipe of `tree`."""


def build_tree(variables: Iterable[Variable], *, folds: bool = False) -> VariableTree:
    """Make the tree of some variables, scopes in order of their first variable.

    With `folds`, slots, averages and aliases of one kind become one node.
    """
    builder = _Builder()
    groups: dict[tuple[str, str], list[Variable]] = {}
    for variable in variables:
        group = _fold_group(variable) if folds else None
        groups.setdefault(group or ("\0", variable.name), []).append(variable)
    for (scope, _), members in groups.items():
        if len(members) > 1:
            builder.fold(scope, members)
        else:
            builder.add(members[0])
    return builder.finish()


class _Builder:
    """Grows a tree without recursion, then sums it up from its leaves."""

    def __init__(self) -> None:
        self._root = VariableTree("", "")
        self._nodes: dict[str, VariableTree] = {}
        self._parents: list[tuple[VariableTree, VariableTree]] = []

    def add(self, variable: Variable) -> None:
        """Put a variable at its place."""
        node = self._node(variable.name, variable.scopes)
        node.variable = variable
        _count(node, variable)

    def fold(self, scope: str, members: list[Variable]) -> None:
        """Put several variables into a scope as one node."""
        parent = self._node(scope, scope) if scope else self._root
        first = members[0]
        if first.role is Role.ALIAS:
            label = f"aliases of {len(members)} variables"
        else:
            word = first.slot or first.name.rpartition("/")[2]
            label = f"{word} of {len(members)} weights"
        node = self._child(parent, label, f"{scope}/{label}" if scope else label)
        node.folded = tuple(members)
        for variable in members:
            _count(node, variable)

    def finish(self) -> VariableTree:
        """Add up the totals; children were made after their parents."""
        for parent, child in reversed(self._parents):
            parent.n_variables += child.n_variables
            parent.parameters += child.parameters
            parent.nbytes += child.nbytes
        return self._root

    def _node(self, path: str, scopes: str) -> VariableTree:
        known = self._nodes.get(path)
        if known is not None:
            return known
        cut = scopes.rfind("/")
        parent = self._nodes.get(path[:cut]) if cut >= 0 else self._root
        if parent is not None and scopes.count("/") < MAX_DEPTH:
            node = self._nodes[path] = self._child(parent, path[cut + 1 :], path)
            return node
        # What is not there yet of the scopes that lead here is made, from the root down.
        node, start = self._root, 0
        for depth in range(1, MAX_DEPTH + 1):
            stop = scopes.find("/", start) if depth < MAX_DEPTH else -1
            stop = len(path) if stop < 0 else stop
            parent, above = node, path[:stop]
            node = self._nodes.get(above) or self._child(parent, path[start:stop], above)
            self._nodes[above] = node
            if stop == len(path):
                break
            start = stop + 1
        return node

    def _child(self, parent: VariableTree, name: str, path: str) -> VariableTree:
        child = VariableTree(name, path)
        parent.children.append(child)
        self._parents.append((parent, child))
        return child


def _count(node: VariableTree, variable: Variable) -> None:
    node.n_variables += 1
    node.nbytes += variable.nbytes
    node.parameters += variable.elements if variable.role.is_parameter else 0


def _fold_group(variable: Variable) -> tuple[str, str] | None:
    """Give scope and kind of what a variable can be folded with; None if with nothing."""
    owner = variable.owner
    if variable.role is Role.ALIAS:
        return _FIRST_NUMBER.split(variable.name)[0], "\0alias"
    if variable.role not in (Role.SLOT, Role.AVERAGE) or owner is None:
        return None
    scope, _, word = variable.name.rpartition("/")
    kind = f"\0{variable.slot or word}"
    if variable.name.startswith(f"{owner}/"):
        return "", kind
    return (scope.removesuffix(owner).rstrip("/") if scope.endswith(owner) else scope), kind


def join_single_scopes(root: VariableTree) -> None:
    """Join every scope below the root that holds a single child with that child."""
    stack = [root]
    while stack:
        node = stack.pop()
        for at, child in enumerate(node.children):
            inner = child
            while len(inner.children) == 1 and inner.variable is None:
                inner = inner.children[0]
            if inner is not child:
                inner.name = inner.path[len(child.path) - len(child.name) :]
                node.children[at] = inner
        stack += node.children


class Parameters(NamedTuple):
    """Elements of weights and statistics: what Keras gives as `count_params()`.

    Attributes:
        total: all of them.
        trainable: those that training moves; None if that is unknown of any weight.
    """

    total: int
    trainable: int | None


class RoleTotal(NamedTuple):
    """What the variables of one role add up to.

    Attributes:
        variables: how many they are.
        elements: how many numbers they hold.
        nbytes: bytes they take in the file.
    """

    variables: int
    elements: int
    nbytes: int

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of JSON documents."""
        return {"variables": self.variables, "elements": self.elements, "nbytes": self.nbytes}


def count_parameters(variables: Iterable[Variable]) -> Parameters:
    """Add up weights and statistics."""
    total = trainable = 0
    is_told = True
    for variable in variables:
        if variable.role.is_parameter:
            total += variable.elements
            trainable += variable.elements if variable.trainable else 0
            is_told &= variable.trainable is not None or variable.role is Role.STATISTIC
    return Parameters(total, trainable if is_told else None)


def total_by_role(variables: Iterable[Variable]) -> dict[Role, RoleTotal]:
    """Add up variables by role, in the order of `Role`; absent roles are left out."""
    sums: dict[Role, list[int]] = {}
    for variable in variables:
        total = sums.setdefault(variable.role, [0, 0, 0])
        total[0] += 1
        total[1] += variable.elements
        total[2] += variable.nbytes
    return {role: RoleTotal(*sums[role]) for role in Role if role in sums}
