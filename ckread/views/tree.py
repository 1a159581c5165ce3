"""The variables of a checkpoint as a tree with totals: what `ckread tree` shows."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.model.display import named, safe_text, safe_word
from ckread.model.role import Role
from ckread.model.tree import NODE_FIELDS
from ckread.views.terminal.page import Page, Span, footer
from ckread.views.terminal.table import RIGHT, Column, Table
from ckread.views.terminal.words import ABSENT, bar, count_text, plural, shape_text, size_cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckread.model.tree import VariableTree
    from ckread.views.terminal.page import Line

BAR_CELLS = 12
_FIELDS = named(NODE_FIELDS)


class _Row(NamedTuple):
    node: VariableTree
    lasts: tuple[bool, ...]


def tree_page(tree: VariableTree, title: str, *, depth: int | None = None) -> Page:
    """Lay out a tree whose root is called `title`, to a depth."""
    nodes = list(tree.walk())
    folds = [node for node, _ in nodes if node.folded]
    notes = []
    if folds:
        folded = [variable for node in folds for variable in node.folded]
        noun = "slot" if all(variable.role is Role.SLOT for variable in folded) else "variable"
        lines = plural(len(folds), "line")
        notes.append(f"{plural(len(folded), noun)} folded into {lines} (--slots lists them)")
    n_deeper = sum(depth is not None and len(lasts) > depth for _, lasts in nodes)
    if n_deeper:
        notes.append(f"{plural(n_deeper, 'line')} below left out (--depth)")
    if depth is not None:
        nodes = [(node, lasts) for node, lasts in nodes if len(lasts) <= depth]
    return Page(tree_table(tree, title, nodes), footer("; ".join(notes)))


def tree_table(
    tree: VariableTree, title: str, nodes: Iterable[tuple[VariableTree, tuple[bool, ...]]]
) -> Table[_Row]:
    """Give the table of a tree, a row for each of its `nodes`, as `walk` gives them."""
    rows = [_Row(*node) for node in nodes]

    def of(field: str, **look: Any) -> Column[_Row]:
        return Column.of(_FIELDS[field], attrgetter("node"), **look)

    def name(row: _Row) -> Line:
        style = "title" if row.node.children or not row.lasts else ""
        text = safe_text(row.node.name if row.lasts else title) or '""'
        return Span(guides_of(row.lasts), "muted"), Span(text, style)

    def shape(row: _Row) -> str:
        return "" if row.node.variable is None else shape_text(row.node.variable.shape)

    def parameters(row: _Row) -> Line:
        text = count_text(row.node.parameters) if row.node.parameters else ABSENT
        return (Span(text, "title" if row.node.children else ""),)

    columns: list[Column[_Row]] = [
        Column(title="tree", shown=name, folds=True),
        Column(title="path", piped=lambda row: safe_word(row.node.path) if row.lasts else "."),
        Column(title="shape", shown=shape, justify=RIGHT, rank=1),
        of("variables"),
        of("parameters", shown=parameters),
        of("nbytes", title="bytes", shown=lambda row: size_cell(row.node.nbytes)),
        Column(
            title="share of bytes",
            draw=lambda row, _: bar(row.node.nbytes / max(1, tree.nbytes), BAR_CELLS),
            cells=(BAR_CELLS, BAR_CELLS),
            style="bar",
            rank=2,
        ),
    ]
    return Table(columns, rows)


def guides_of(lasts: tuple[bool, ...]) -> str:
    """Give the lines that lead to a node, three cells a level."""
    if not lasts:
        return ""
    above = "".join("   " if is_last else "│  " for is_last in lasts[:-1])
    return above + ("└─ " if lasts[-1] else "├─ ")
