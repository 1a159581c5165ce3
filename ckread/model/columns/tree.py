"""The tree of very many variables from their columns: a level at a time, where it is looked at."""

from __future__ import annotations

import math
from functools import cached_property, partial
from itertools import chain, pairwise, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.model.display import Columns
from ckread.model.tree import ROOT_WORD, Placed, VariableTree
from ckread.readers.contract import no_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from ckread.model.columns.variables import VariableColumns
    from ckread.model.role import Role
    from ckread.model.variable import Variable

    Integers = NDArray[np.integer]


class _Level:
    """The scopes and variables of one depth, those of one parent together and in order.

    Attributes:
        row: of each, its first row; `code` the number of its last component.
        is_variable: whether there is a variable of its name.
        n_variables: of what it holds, as parameters and bytes.
        parent: the place of what holds it in the level above.
        bounds: of each of the level above, where those that it holds begin and end.
    """

    row: Integers
    parent: Integers
    n_variables: Integers
    parameters: NDArray[Any]
    nbytes: NDArray[Any]
    code: Integers
    is_variable: NDArray[np.bool_]
    bounds: list[int]

    def __init__(self, tree: ColumnTree, depth: int, above: _Level | None) -> None:
        starts = np.flatnonzero(tree.differs <= depth)
        is_here = tree.depth[starts] > depth
        first = np.minimum.reduceat(tree.position, starts)[is_here]
        n, parameters, nbytes = (np.add.reduceat(c, starts)[is_here] for c in tree.totals)
        row = starts[is_here]
        parent = np.zeros(len(row), np.int64)
        if above is not None:
            by_row = np.argsort(above.row)
            parent = by_row[np.searchsorted(above.row[by_row], row, side="right") - 1]
        order = np.lexsort((first, parent))
        self.row, self.n_variables, self.parameters, self.nbytes = (
            column[order] for column in (row, n, parameters, nbytes)
        )
        self.code = tree.codes[self.row, depth]
        self.is_variable = tree.depth[self.row] == depth + 1
        n_above = 1 if above is None else len(above.row)
        self.parent = parent[order]
        self.bounds = np.searchsorted(self.parent, np.arange(n_above + 1)).tolist()

    @cached_property
    def cells(self) -> tuple[list[int], ...]:
        """The columns as lists."""
        columns = self.row, self.code, self.is_variable, self.n_variables
        return tuple(c.tolist() for c in (*columns, self.parameters, self.nbytes))


class ColumnTree:
    """Grows the tree of some variables where it is looked at, a level at a time."""

    codes: Integers
    depth: Integers
    position: Integers
    differs: Integers
    totals: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]

    def __init__(self, columns: VariableColumns, order: Integers) -> None:
        """Take the places of the variables in the order of the model."""
        spelling, tensors = columns.identities.spelling, columns.tensors
        self._columns = columns
        position = np.full(len(columns), len(columns))
        position[order] = np.arange(len(order))
        if columns.names is tensors.keys_in_order and not spelling.has_low_letters:
            self._places = np.sort(order)  # what begins alike is together as it is
        else:
            self._places = order[np.lexsort(spelling.codes[order].T[::-1])]
        places = self._places
        self.codes, self.depth = spelling.codes[places], spelling.depth[places]
        self.position = position[places]
        self.differs = np.zeros(len(places), np.int64)
        self.differs[1:] = (self.codes[1:] != self.codes[:-1]).argmax(axis=1)
        elements = self._sizes(math.prod(shape) for _, shape, _ in tensors.kinds)
        nbytes = self._sizes(nbytes for _, _, nbytes in tensors.kinds)
        is_parameter, kind = columns.are_parameters[places], tensors.kind[places]
        self.totals = np.ones(len(places), np.int64), elements[kind] * is_parameter, nbytes[kind]
        self.components: list[str] = spelling.components
        self._levels: list[_Level] = []

    def _sizes(self, sizes: Iterable[int]) -> NDArray[Any]:
        """Give sizes as an array that may be summed up; a file may claim what it likes."""
        found = list(sizes)
        fits = max(found, default=0) < (1 << 62) // max(1, len(self._places))
        return np.array(found, np.int64 if fits else object)

    def root(self) -> VariableTree:
        """Give the root, which grows."""
        root = VariableTree("", "", grow=self, at=(-1, 0))
        root.n_variables, root.parameters, root.nbytes = (int(c.sum()) for c in self.totals)
        return root

    @cached_property
    def _place_list(self) -> list[int]:
        return self._places.tolist()  # type: ignore[no-any-return]

    def level(self, depth: int) -> _Level:
        """Give a level."""
        while len(self._levels) <= depth:
            above = self._levels[-1] if self._levels else None
            self._levels.append(_Level(self, len(self._levels), above))
        return self._levels[depth]

    def has_scopes(self, at: tuple[int, int]) -> bool:
        """Tell whether a child of the node at this depth and place has children."""
        depth, number = at
        if depth + 1 >= self.codes.shape[1]:
            return False
        level = self.level(depth + 1)
        some = slice(*level.bounds[number : number + 2])
        return bool((level.n_variables[some] > level.is_variable[some]).any())

    def of_role(self, roles: Collection[Role]) -> list[Variable]:
        """Give the variables of some roles in the order of the tree."""
        rows = np.flatnonzero(self._columns.have_role(roles)[self._places])
        steps = []
        for depth in range(int(self.depth[rows].max(initial=0))):
            level = self.level(depth)
            by_row = np.argsort(level.row)
            node = by_row[np.searchsorted(level.row[by_row], rows, side="right") - 1]
            steps.append(np.where(self.depth[rows] > depth, node, -1))
        ordered = rows[np.lexsort(steps[::-1])] if steps else rows
        return self._columns.some(self._places[ordered])

    def rows(self, root: VariableTree) -> TreeRows:
        """Give all that `walk` gives from the root, as columns."""
        return TreeRows(self, root)

    def children(self, at: tuple[int, int], path: str) -> list[VariableTree]:
        """Make the children of a node."""
        depth, number = at
        if depth + 1 >= self.codes.shape[1]:
            return []
        bounds = self.level(depth + 1).bounds
        return self._nodes(depth + 1, slice(*bounds[number : number + 2]), repeat(path))

    def grow(self, root: VariableTree) -> None:
        """Make all that is below the root."""
        with no_garbage_collection():
            self._grow(root)

    def _grow(self, root: VariableTree) -> None:
        above = [root]
        for depth in range(self.codes.shape[1]):
            bounds = self.level(depth).bounds
            paths = chain.from_iterable(
                repeat(node.path, end - start)
                for node, (start, end) in zip(above, pairwise(bounds), strict=True)
            )
            nodes = self._nodes(depth, slice(None), paths)
            for node, (start, end) in zip(above, pairwise(bounds), strict=True):
                node.children = nodes[start:end]
            above = nodes

    def _nodes(self, depth: int, some: slice, paths: Iterable[str]) -> list[VariableTree]:
        """Make nodes of a level, below those of these paths."""
        level, components = self.level(depth), self.components
        at, places, slash = self._columns.at, self._place_list, "/" if depth else ""
        nodes = []
        cells = zip(*(column[some] for column in level.cells), strict=True)
        for number, (path, cell) in enumerate(zip(paths, cells, strict=False), some.start or 0):
            row, code, is_variable, n, parameters, nbytes = cell
            name = components[code]
            grow = None if n == is_variable else self
            node = VariableTree(name, f"{path}{slash}{name}", grow=grow, at=(depth, number))
            if is_variable:
                node.variable = partial(at, places[row])
            node.n_variables, node.parameters, node.nbytes = n, parameters, nbytes
            nodes.append(node)
        return nodes


class TreeRows(Columns[Placed]):
    """The nodes of a tree as they follow each other."""

    def __init__(self, tree: ColumnTree, root: VariableTree) -> None:
        self._root, self._components = root, tree.components
        self._levels = [tree.level(depth) for depth in range(tree.codes.shape[1])]

    def __len__(self) -> int:
        """Count them."""
        return 1 + sum(len(level.row) for level in self._levels)

    @cached_property
    def rows(self) -> Sequence[Placed]:
        """The nodes themselves."""
        return [Placed(*one) for one in self._root.walk()]

    def column(self, name: str) -> Sequence[Any] | None:
        """Give the paths of all, or a total; None for what else there is."""
        if name == "path":
            paths = self._paths
            return list(map(paths.__getitem__, self._order.tolist()))
        attribute = {"variables": "n_variables"}.get(name, name)
        if attribute not in ("n_variables", "parameters", "nbytes"):
            return None
        totals = [getattr(level, attribute) for level in self._levels]
        found = np.concatenate([[getattr(self._root, attribute)], *totals])
        return found[self._order].tolist()  # type: ignore[no-any-return]

    @cached_property
    def _paths(self) -> list[str]:
        """The paths, a level after the other."""
        found, above, components = [ROOT_WORD], [""], self._components
        for depth, level in enumerate(self._levels):
            parents = map(above.__getitem__, level.parent.tolist())
            names = map(components.__getitem__, level.code.tolist())
            slash = "/" if depth else ""
            above = [f"{path}{slash}{name}" for path, name in zip(parents, names, strict=True)]
            found += above
        return found

    @cached_property
    def _order(self) -> Integers:
        """Which node, counted level after level, comes at each place."""
        sizes = [np.ones(len(level.row), np.int64) for level in self._levels]
        for size, below, level in zip(
            sizes[-2::-1], sizes[:0:-1], self._levels[:0:-1], strict=True
        ):
            np.add.at(size, level.parent, below)
        before, places = np.zeros(1, np.int64), [np.zeros(1, np.int64)]
        for size, level in zip(sizes, self._levels, strict=True):
            ends = np.cumsum(size) - size
            first = np.append(ends, 0)[level.bounds[:-1]]
            before = before[level.parent] + 1 + ends - first[level.parent]
            places.append(before)
        return np.argsort(np.concatenate(places))
