"""The variables as a tree of scopes, each with its totals.

Totals that are true: parameters without slots, averages, counters or aliases.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ckread.model.display import Columns, Field, Kind, columns_of, data_frame, document
from ckread.model.records import Records
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ckread.model.variable import Variable, VariableKind


MAX_DEPTH = 64
"""Levels of a tree; what a name has beyond stays one component."""

FOLDED = (Role.SLOT, Role.AVERAGE, Role.ALIAS)
"""Roles of what becomes one node with others of its kind."""

_FIRST_NUMBER = re.compile(r"/\d+(/|$)")


ROOT_WORD = "."
"""What stands in a column of paths for that of the root."""


class Placed(NamedTuple):
    """A node in a list of all that a tree has.

    Attributes:
        node: the node.
        lasts: for each level down to it, whether it is the last there.
    """

    node: VariableTree
    lasts: tuple[bool, ...]


class Growing(Protocol):
    """Grows a tree where it is looked at: what is below a node, by the place it was given."""

    def children(self, at: tuple[int, int], path: str) -> list[VariableTree]:
        """Make the children of a node."""
        ...

    def grow(self, node: VariableTree) -> None:
        """Make all that is below a node at once."""
        ...

    def rows(self, root: VariableTree) -> Columns[Placed]:
        """Give all that `walk` gives from the root, as columns."""
        ...

    def has_scopes(self, at: tuple[int, int]) -> bool:
        """Tell whether a child of a node has children."""
        ...

    def of_role(self, roles: Sequence[Role]) -> list[Variable]:
        """Give the variables of some roles in the order of the tree."""
        ...


class VariableTree(Records["VariableTree"]):
    """A scope with what is below it, or a variable; rarely both.

    Its records are its children, by their names or by paths from here: `tree["block/conv1"]`.

    Example:
        >>> with ckread.open("fixtures/digits_run/ckpt-10") as checkpoint:
        ...     tree = checkpoint.tree("conv*/**")
        >>> [(scope.name, scope.parameters) for scope in tree.children][:2]
        [('conv1', 160), ('conv2', 4640)]
        >>> tree.name, tree.path, tree.n_variables, tree.nbytes, tree.has_scopes, tree.folded
        ('', '', 4, 19200, True, ())
        >>> tree["conv1/kernel"].variable
        <ckread.Variable 'conv1/kernel' float32 (3, 3, 1, 16)>
        >>> len(tree.of_role("weight")), sum(1 for _ in tree.walk(depth=1))
        (4, 3)

    Attributes:
        name: its last component; several where scopes of one child were joined.
        path: its name from the root; empty for the root.
        folded: the variables that one line stands for, such as the slots of a kind.
        n_variables: how many variables it holds, itself included.
        parameters: elements of the weights and statistics among them.
        nbytes: their bytes.
    """

    __slots__ = (
        "_at", "_children", "_grow", "_variable", "folded", "n_variables", "name", "nbytes",
        "parameters", "path",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        path: str,
        *,
        grow: Growing | None = None,
        at: tuple[int, int] = (-1, 0),
    ) -> None:
        self.name: str = name
        self.path: str = path
        self.folded: tuple[Variable, ...] = ()
        self.n_variables: int = 0
        self.parameters: int = 0
        self.nbytes: int = 0
        self._variable: Variable | Callable[[], Variable] | None = None
        self._children: list[VariableTree] | None = [] if grow is None else None
        self._grow = grow
        self._at = at

    @property
    def _records(self) -> list[VariableTree]:
        return self.children

    def _find(self, name: str) -> VariableTree | None:
        for child in self.children:
            if child.name == name:
                return child
            if name.startswith(f"{child.name}/"):
                found = child._find(name[len(child.name) + 1 :])
                if found is not None:
                    return found
        return None

    @property
    def _found_in(self) -> str:
        return self.path or "the tree"

    @property
    def children(self) -> list[VariableTree]:
        """What is below it; where that is very much, it is made here."""
        if self._children is None:
            self._children = self._grow.children(self._at, self.path) if self._grow else []
        return self._children

    @children.setter
    def children(self, children: list[VariableTree]) -> None:
        """Put them below it."""
        self._children = children

    @property
    def variable(self) -> Variable | None:
        """The variable of this name."""
        if callable(self._variable):
            self._variable = self._variable()
        return self._variable

    @variable.setter
    def variable(self, variable: Variable | Callable[[], Variable] | None) -> None:
        """Put it here, or what makes it."""
        self._variable = variable

    @property
    def has_scopes(self) -> bool:
        """Whether something below it has something below itself."""
        if self._grow is not None:
            return self._grow.has_scopes(self._at)
        return any(child.children for child in self.children)

    def of_role(self, *roles: Role) -> list[Variable]:
        """Give the variables of some roles, those of folded lines left out, in its order."""
        if self._grow is not None:
            return self._grow.of_role(roles)
        found = (node.variable for node, _ in self.walk())
        return [one for one in found if one is not None and one.role in roles]

    def __repr__(self) -> str:
        """Show path and number of variables."""
        return f"<ckread.VariableTree {self.path!r}: {self.n_variables} variables>"

    def walk(self, depth: int | None = None) -> Iterator[tuple[VariableTree, tuple[bool, ...]]]:
        """Yield every node with, for each level down to it, whether it is the last there.

        No deeper than `depth` levels.
        """
        if depth is None and self._grow is not None and self._children is None:
            self._grow.grow(self)
        stack: list[tuple[VariableTree, tuple[bool, ...]]] = [(self, ())]
        while stack:
            node, lasts = stack.pop()
            yield node, lasts
            children = node.children if depth is None or len(lasts) < depth else []
            if children:
                middle = (*lasts, False)
                stack.append((children[-1], (*lasts, True)))
                stack += [(child, middle) for child in children[-2::-1]]

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


def rows_of(tree: VariableTree, depth: int | None = None) -> Sequence[Placed]:
    """Give all that `walk` gives; where that is very much, as columns."""
    if depth is None and tree._grow is not None and tree._children is None and not tree.path:
        return tree._grow.rows(tree)
    return [Placed(*one) for one in tree.walk(depth)]


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
        node._variable = variable
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


def count_parameters(kinds: Mapping[VariableKind, int]) -> Parameters:
    """Add up weights and statistics."""
    total = trainable = 0
    is_told = True
    for kind, n in kinds.items():
        if kind.role.is_parameter:
            total += n * kind.elements
            trainable += n * kind.elements if kind.trainable else 0
            is_told &= kind.trainable is not None or kind.role is Role.STATISTIC
    return Parameters(total, trainable if is_told else None)


def total_by_role(kinds: Mapping[VariableKind, int]) -> dict[Role, RoleTotal]:
    """Add up variables by role, in the order of `Role`; absent roles are left out."""
    sums: dict[Role, list[int]] = {}
    for kind, n in kinds.items():
        total = sums.setdefault(kind.role, [0, 0, 0])
        total[0] += n
        total[1] += n * kind.elements
        total[2] += n * kind.nbytes
    return {role: RoleTotal(*sums[role]) for role in Role if role in sums}
