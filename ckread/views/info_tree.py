"""The tree of `info`: a line per scope at its first level, and what the scope holds."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from ckread.views.columns import Column, Justify, Table
from ckread.views.drawn import bar
from ckread.views.page import Span
from ckread.views.paper import cell_len
from ckread.views.quantities import (
    ABSENT,
    count_text,
    plural,
    safe_text,
    shape_text,
    share_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.model.tree import VariableTree
    from ckread.views.page import Line

BAR_CELLS = 8
MAX_ROWS = 40
"""Scopes that a terminal shows; `tree` shows them all."""
MAX_TOLD = 6
"""Variables of a scope that are told one by one."""


class _Row(NamedTuple):
    guide: str
    name: str
    parameters: int
    share: str
    part: float
    contents: tuple[str, ...]


def scope_table(tree: VariableTree) -> Table[_Row]:
    """Give a table of the scopes at depth 1, or below what all names begin with."""
    top = _top(tree)
    rows = list(_rows(top, tree))
    if len(rows) > MAX_ROWS:
        left_out = f"… {plural(len(rows) - MAX_ROWS + 1, 'more line')} (ckread tree)"
        rows = [*rows[: MAX_ROWS - 1], _Row("└─ ", left_out, 0, "", 0.0, ("",))]
    if top is not tree:
        counted = count_text(top.n_variables)
        rows.insert(0, _Row("", top.path, top.parameters, "", 0.0, (counted,)))
    return Table(_columns(rows), rows)


def _rows(top: VariableTree, tree: VariableTree) -> Iterator[_Row]:
    """Give a row per child; a child that holds all parameters is opened one level more."""
    for child in top.children:
        is_last = child is top.children[-1]
        yield _row(child, tree, guide="└─ " if is_last else "├─ ")
        is_model = child.parameters == tree.parameters > 0
        if is_model and any(inner.children for inner in child.children):
            above = "   " if is_last else "│  "
            for inner in child.children:
                guide = "└─ " if inner is child.children[-1] else "├─ "
                yield _row(inner, tree, guide=above + guide)


def level_of(tree: VariableTree) -> int:
    """Give the depth of the scopes that are shown."""
    top = _top(tree)
    return 1 if top is tree else top.path.count("/") + 2


def _top(tree: VariableTree) -> VariableTree:
    """Give the scope that all names share, the root if there is none."""
    top = tree
    while len(top.children) == 1 and top.children[0].children and top.variable is None:
        top = top.children[0]
    return top


def _row(node: VariableTree, tree: VariableTree, *, guide: str) -> _Row:
    part = node.parameters / tree.parameters if tree.parameters else 0.0
    share = share_text(node.parameters, tree.parameters) if node.parameters else ""
    word, _, of = node.name.partition(" of ") if node.folded else (node.name, "", "")
    contents = [f"of {of}", f"of {of.split()[0]}"] if of else _contents(node)
    return _Row(guide, word or '""', node.parameters, share, part, tuple(contents))


def _contents(node: VariableTree) -> list[str]:
    """Say what a scope holds, in several lengths, the longest first."""
    if not node.children:
        is_told = node.variable is not None and node.parameters
        return [shape_text(node.variable.shape) if is_told and node.variable else ""]
    counted = [plural(node.n_variables, "variable"), count_text(node.n_variables)]
    if any(child.children for child in node.children) or node.variable is not None:
        return counted
    folds = [child for child in node.children if child.folded]
    if folds:
        return [*_told_folds(node, folds), *counted]
    if len(node.children) > MAX_TOLD:
        return counted
    return [*_told_variables(node), *counted]


def _told_variables(node: VariableTree) -> list[str]:
    told = [
        (safe_text(child.name), shape_text(child.variable.shape))
        for child in node.children
        if child.variable is not None
    ]
    groups = [(shape, [name for name, _ in same]) for shape, same in groupby(told, lambda t: t[1])]
    whole = ", ".join(f"{', '.join(names)} {shape}" for shape, names in groups)
    if len(groups) > 1 or len(told) < 3:
        return [whole]
    shape, (first, second, *rest) = groups[0]
    return [whole, f"{first}, {second} and {len(rest)} more, all {shape}"]


def _told_folds(node: VariableTree, folds: list[VariableTree]) -> list[str]:
    by_count = groupby(folds, key=lambda fold: fold.name.partition(" of ")[2])
    told = "; ".join(
        f"{', '.join(safe_text(fold.name.partition(' of ')[0]) for fold in same)} of {rest}"
        for rest, same in by_count
    )
    others = ", ".join(safe_text(child.name) for child in node.children if not child.folded)
    return [f"{told}; {others}", told] if others else [told]


def _columns(rows: list[_Row]) -> list[Column[_Row]]:
    largest = max((row.part for row in rows), default=0.0) or 1.0
    return [
        Column(title="tree", shown=_name, folds=True),
        Column(title="parameters", shown=_parameters, justify=Justify.RIGHT),
        Column(title="", shown=lambda row: row.share, justify=Justify.RIGHT),
        Column(
            title="",
            draw=lambda row, cells: bar(row.part / largest, cells),
            cells=(BAR_CELLS, BAR_CELLS),
            style="bar",
            rank=2,
            from_width=72,
        ),
        _contents_column(rows),
    ]


def _contents_column(rows: list[_Row]) -> Column[_Row]:
    """Give the column of what scopes hold: counts to the right if there are only counts."""
    longest = max((cell_len(row.contents[0]) for row in rows), default=0)
    if all(row.contents[-1] == row.contents[0].split(" ")[0] for row in rows):
        return Column(
            title="variables", shown=lambda row: row.contents[-1], justify=Justify.RIGHT, rank=1
        )
    return Column(title="variables", draw=_longest_that_fits, cells=(9, longest), rank=1)


def _longest_that_fits(row: _Row, cells: int) -> str:
    fitting = (text for text in row.contents if cell_len(text) <= cells)
    return next(fitting, row.contents[-1])


def _name(row: _Row) -> Line:
    style = "title" if not row.guide else ""
    return Span(row.guide, "muted"), Span(safe_text(row.name), style)


def _parameters(row: _Row) -> str:
    return count_text(row.parameters) if row.parameters else ABSENT
