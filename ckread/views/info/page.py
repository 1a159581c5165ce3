"""What a checkpoint is, on one screen: what `ckread info` shows."""

from __future__ import annotations

from functools import partial
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import TextLines
from ckread.model.display import by, safe_text, safe_word
from ckread.model.role import Role
from ckread.model.tree import rows_of
from ckread.readers.contract import Format
from ckread.views.info.facts import facts_of
from ckread.views.info.facts import sentence_of as sentence_of
from ckread.views.listing import layer_blocks, shapes_in_words, tree_table
from ckread.views.terminal.page import (
    Lines,
    Page,
    PipedOnly,
    Prose,
    Span,
    TerminalOnly,
    cell_len,
    footer,
)
from ckread.views.terminal.table import RIGHT, Column, Table
from ckread.views.terminal.words import (
    ABSENT,
    bar,
    count_text,
    plural,
    shape_text,
    shape_word,
    share_text,
    size_cell,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckread.analysis.info import CheckpointSummary
    from ckread.model.tree import VariableTree
    from ckread.readers.graphs.meta_graph import Signature, TensorInfo
    from ckread.views.terminal.page import Block, Line


ROLE_BAR_CELLS = 24

_EXPORTED = "aliases: export() stores every weight twice, with equal bytes; they count once."
_ALIASES = "aliases: what is stored a second time, under another key; it counts once."


def info_page(summary: CheckpointSummary, tree: VariableTree) -> Page:
    """Lay out a summary; the tree is folded for a terminal, not for a pipe."""
    head: list[Block] = [Prose(Span(safe_text(summary.path), "title"))]
    head.append(Prose(sentence_of(summary)))
    for warning in summary.warnings:
        first, *rest = TextLines(warning).lines
        head.append(Prose(Span("warning", "warning"), f": {first}"))
        for line in rest:
            is_name = line.startswith(" ")
            head.append(Lines([(Span(line),)], piped=[f"# {line}"]) if is_name else Prose(line))
    drawn: list[Block] = [] if summary.layers else [TerminalOnly(partial(scope_table, tree))]
    return Page(
        head,
        facts_of(summary, tree),
        signature_blocks(summary.signatures),
        _role_blocks(summary),
        layer_blocks(summary) if summary.layers else [],
        [*drawn, PipedOnly(tree_table(tree, summary.path, rows_of(tree, level_of(tree))))],
    )


class _RoleRow(NamedTuple):
    label: str
    n_variables: int
    elements: int
    nbytes: int
    share: str = ""
    part: float = 0.0


def _role_blocks(summary: CheckpointSummary) -> list[Block]:
    """Give bytes by role, if there is more than one row of them."""
    kind = summary.training.optimizer_kind
    slots = "slots" if kind is None or " and " in kind else f"{kind.split(' with ')[0]} state"
    own = {Role.WEIGHT, Role.STATISTIC, Role.ALIAS, Role.AVERAGE, Role.SLOT, Role.STATE}
    own |= {Role.BOOKKEEPING}
    nbytes = summary.nbytes - (
        summary.roles[Role.BOOKKEEPING].nbytes if Role.BOOKKEEPING in summary.roles else 0
    )
    rows = []
    for label, roles in (
        ("weights", {Role.WEIGHT, Role.STATISTIC}),
        ("aliases", {Role.ALIAS}),
        ("averages", {Role.AVERAGE}),
        (slots, {Role.SLOT}),
        ("state", {Role.STATE}),
        ("other", set(Role) - own),
    ):
        totals = [total for role, total in summary.roles.items() if role in roles]
        if totals:
            held = sum(total.nbytes for total in totals)
            rows.append(
                _RoleRow(
                    label,
                    sum(total.variables for total in totals),
                    sum(total.elements for total in totals),
                    held,
                    share_text(held, nbytes),
                    held / max(1, nbytes),
                )
            )
    if len(rows) < 2:
        return []
    n_variables, elements = (
        sum(row.n_variables for row in rows),
        sum(row.elements for row in rows),
    )
    total = _RoleRow("total", n_variables, elements, nbytes)
    table = Table(
        _ROLE_COLUMNS, [*rows, total], row_style=lambda row: "muted" if row.label == "total" else ""
    )
    aliases = _EXPORTED if summary.format is Format.SAVED_MODEL else _ALIASES
    return [table, footer(aliases)] if Role.ALIAS in summary.roles else [table]


_ROLE_COLUMNS: list[Column[_RoleRow]] = [
    Column(
        title="role",
        shown=lambda row: safe_text(row.label),
        piped=lambda row: safe_text(row.label).replace(" ", "_"),
    ),
    Column(
        title="variables",
        shown=lambda row: f"{row.n_variables:,}",
        piped=lambda row: str(row.n_variables),
        justify=RIGHT,
    ),
    Column(title="elements", piped=lambda row: str(row.elements), justify=RIGHT),
    Column(
        title="bytes",
        shown=lambda row: size_cell(row.nbytes),
        piped=lambda row: str(row.nbytes),
        justify=RIGHT,
    ),
    Column(title="", shown=lambda row: row.share, justify=RIGHT),
    Column(
        title="",
        draw=lambda row, cells: bar(row.part, cells),
        cells=(ROLE_BAR_CELLS, ROLE_BAR_CELLS),
        style="bar",
        rank=1,
    ),
]


# The tree of `info`: a line per scope at its first level, and what the scope holds.

BAR_CELLS = 8
MAX_SCOPES = 40
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
    """Give a table of the scopes at depth 1, or below what all names begin with.

    A scope that holds all parameters is opened one level more.
    """
    top = _top(tree)
    rows = []
    for child in top.children:
        is_last = child is top.children[-1]
        rows.append(_row(child, tree, guide="└─ " if is_last else "├─ "))
        is_model = child.parameters == tree.parameters > 0
        if is_model and child.has_scopes:
            above = "   " if is_last else "│  "
            for inner in child.children:
                guide = "└─ " if inner is child.children[-1] else "├─ "
                rows.append(_row(inner, tree, guide=above + guide))
    if len(rows) > MAX_SCOPES:
        where = by("ckread tree", ".tree")
        left_out = f"… {plural(len(rows) - MAX_SCOPES + 1, 'more line')} ({where})"
        rows = [*rows[: MAX_SCOPES - 1], _Row("└─ ", left_out, 0, "", 0.0, ("",))]
    if top is not tree:
        counted = count_text(top.n_variables)
        rows.insert(0, _Row("", top.path, top.parameters, "", 0.0, (counted,)))
    return Table(_columns(rows), rows)


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
    counted = [plural(node.n_variables, "variable"), count_text(node.n_variables)]
    if node.has_scopes:  # asked first: it need not make all that is below
        return counted
    if not node.children:
        is_told = node.variable is not None and node.parameters
        return [shape_text(node.variable.shape) if is_told and node.variable else ""]
    if node.variable is not None:
        return counted
    folds = [child for child in node.children if child.folded]
    if folds:
        by_count = groupby(folds, key=lambda fold: fold.name.partition(" of ")[2])
        text = "; ".join(
            f"{', '.join(safe_text(fold.name.partition(' of ')[0]) for fold in same)} of {rest}"
            for rest, same in by_count
        )
        others = ", ".join(safe_text(child.name) for child in node.children if not child.folded)
        return [f"{text}; {others}", text, *counted] if others else [text, *counted]
    if len(node.children) > MAX_TOLD:
        return counted
    told = [
        (safe_text(child.name), shape_text(child.variable.shape))
        for child in node.children
        if child.variable is not None
    ]
    return [*shapes_in_words(told), *counted]


def _columns(rows: list[_Row]) -> list[Column[_Row]]:
    largest = max((row.part for row in rows), default=0.0) or 1.0
    longest = max((cell_len(row.contents[0]) for row in rows), default=0)

    def name(row: _Row) -> Line:
        return Span(row.guide, "muted"), Span(safe_text(row.name), "" if row.guide else "title")

    def longest_that_fits(row: _Row, cells: int) -> str:
        fitting = (text for text in row.contents if cell_len(text) <= cells)
        return next(fitting, row.contents[-1])

    contents: Column[_Row] = Column(
        title="variables", draw=longest_that_fits, cells=(9, longest), rank=1
    )
    if all(row.contents[-1] == row.contents[0].split(" ")[0] for row in rows):  # counts alone
        contents = Column(
            title="variables", shown=lambda row: row.contents[-1], justify=RIGHT, rank=1
        )
    return [
        Column(title="tree", shown=name, folds=True),
        Column(
            title="parameters",
            shown=lambda row: count_text(row.parameters) if row.parameters else ABSENT,
            justify=RIGHT,
        ),
        Column(title="", shown=lambda row: row.share, justify=RIGHT),
        Column(
            title="",
            draw=lambda row, cells: bar(row.part / largest, cells),
            cells=(BAR_CELLS, BAR_CELLS),
            style="bar",
            rank=2,
            from_width=72,
        ),
        contents,
    ]


# The signatures of a SavedModel: what it takes and what it gives.

MAX_TENSORS = 12
"""Inputs, or outputs, of one signature that a terminal shows."""

_ShownRow = tuple[str, str, str]
_PipedRow = tuple[str, str, "TensorInfo"]


def signature_blocks(signatures: Sequence[Signature]) -> list[Block]:
    """Give a table of signatures; nothing if there are none."""
    if not signatures:
        return []
    shown: list[_ShownRow] = []
    piped: list[_PipedRow] = []
    for signature in signatures:
        name: str = safe_text(signature.name)
        pairs = zip_longest(_texts(signature.inputs), _texts(signature.outputs), fillvalue="")
        for given, made in list(pairs) or [("", "")]:
            shown.append((name, given, made))
            name = ""
        piped += [(signature.name, "input", tensor) for tensor in signature.inputs]
        piped += [(signature.name, "output", tensor) for tensor in signature.outputs]
    return [TerminalOnly(Table(_SHOWN_COLUMNS, shown)), PipedOnly(Table(_PIPED_COLUMNS, piped))]


def _texts(tensors: Sequence[TensorInfo]) -> Iterator[str]:
    for tensor in tensors[:MAX_TENSORS]:
        kind = " sparse" if tensor.is_sparse else ""
        yield f"{safe_text(tensor.name)} {tensor.dtype} {shape_text(tensor.shape)}{kind}"
    if len(tensors) > MAX_TENSORS:
        yield f"… {len(tensors) - MAX_TENSORS} more ({by('--json', '.signatures')})"


_SHOWN_COLUMNS: list[Column[_ShownRow]] = [
    Column(title="signature", shown=lambda row: row[0], folds=True),
    Column(title="input", shown=lambda row: row[1], folds=True),
    Column(title="output", shown=lambda row: row[2], folds=True),
]
_PIPED_COLUMNS: list[Column[_PipedRow]] = [
    Column(title="signature", piped=lambda row: safe_word(row[0])),
    Column(title="direction", piped=lambda row: row[1]),
    Column(title="name", piped=lambda row: safe_word(row[2].name)),
    Column(title="dtype", piped=lambda row: row[2].dtype),
    Column(title="shape", piped=lambda row: shape_word(row[2].shape)),
]
