"""What a checkpoint is, on one screen: what `ckread info` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.model.role import Role
from ckread.views.columns import Column, Justify, Table
from ckread.views.drawn import bar
from ckread.views.folding import Prose
from ckread.views.info_facts import facts_of
from ckread.views.info_layers import layer_blocks
from ckread.views.info_sentence import sentence_of
from ckread.views.info_signatures import signature_blocks
from ckread.views.info_tree import level_of, scope_table
from ckread.views.page import Lines, Page, PipedOnly, Span, TerminalOnly
from ckread.views.quantities import safe_text, share_text, size_cell
from ckread.views.tree import tree_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.analysis.info import CheckpointSummary
    from ckread.model.tree import VariableTree
    from ckread.views.page import Block

ROLE_BAR_CELLS = 24

_ALIASES = "aliases: export() stores every weight twice, with equal bytes; they count once."


def info_page(summary: CheckpointSummary, tree: VariableTree) -> Page:
    """Lay out a summary.

    Args:
        summary: the facts.
        tree: the variables in model order; folded for a terminal, not for a pipe.
    """
    title = Prose(Span(safe_text(summary.path), "title"))
    head = [title, Prose(sentence_of(summary)), *_warnings(summary)]
    drawn: list[Block] = [] if summary.layers else [TerminalOnly(scope_table(tree))]
    return Page(
        head,
        facts_of(summary, tree),
        signature_blocks(summary.signatures),
        _role_blocks(summary),
        layer_blocks(summary) if summary.layers else [],
        [*drawn, PipedOnly(tree_table(tree, summary.path, depth=level_of(tree)))],
    )


def _warnings(summary: CheckpointSummary) -> Iterator[Block]:
    for warning in summary.warnings:
        first, *rest = warning.split("\n")
        yield Prose(Span("warning", "warning"), f": {safe_text(first)}")
        for line in rest:
            is_name = line.startswith(" ")
            text = safe_text(line)
            yield Lines([(Span(text),)], piped=[f"# {text}"]) if is_name else Prose(text)


class _RoleRow(NamedTuple):
    label: str
    n_variables: int
    elements: int
    nbytes: int
    share: str
    part: float


def _role_blocks(summary: CheckpointSummary) -> list[Block]:
    """Give bytes by role, if there is more than one row of them."""
    rows = list(_role_rows(summary))
    if len(rows) < 2:
        return []
    nbytes = sum(row.nbytes for row in rows)
    rows = [
        row._replace(share=share_text(row.nbytes, nbytes), part=row.nbytes / max(1, nbytes))
        for row in rows
    ]
    total = _RoleRow(
        "total", sum(row.n_variables for row in rows), sum(row.elements for row in rows),
        nbytes, "", 0.0,
    )  # fmt: skip
    table = Table(_ROLE_COLUMNS, [*rows, total], row_style=_role_style)
    is_explained = Role.ALIAS in summary.roles
    note = [TerminalOnly(Prose(Span(_ALIASES, "muted")))] if is_explained else []
    return [table, *note]


def _role_rows(summary: CheckpointSummary) -> Iterator[_RoleRow]:
    kind = summary.training.optimizer_kind
    slots = f"{kind.split(' with ')[0]} state" if kind else "slots"
    own = {Role.WEIGHT, Role.STATISTIC, Role.ALIAS, Role.AVERAGE, Role.SLOT, Role.BOOKKEEPING}
    groups = [
        ("weights", {Role.WEIGHT, Role.STATISTIC}),
        ("aliases", {Role.ALIAS}),
        ("averages", {Role.AVERAGE}),
        (slots, {Role.SLOT}),
        ("other", set(Role) - own),
    ]
    for label, roles in groups:
        totals = [total for role, total in summary.roles.items() if role in roles]
        if totals:
            yield _RoleRow(
                label,
                sum(total.variables for total in totals),
                sum(total.elements for total in totals),
                sum(total.nbytes for total in totals),
                "",
                0.0,
            )


def _role_style(row: _RoleRow) -> str:
    return "muted" if row.label == "total" else ""


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
        justify=Justify.RIGHT,
    ),
    Column(title="elements", piped=lambda row: str(row.elements), justify=Justify.RIGHT),
    Column(
        title="bytes",
        shown=lambda row: size_cell(row.nbytes),
        piped=lambda row: str(row.nbytes),
        justify=Justify.RIGHT,
    ),
    Column(title="", shown=lambda row: row.share, justify=Justify.RIGHT),
    Column(
        title="",
        draw=lambda row, cells: bar(row.part, cells),
        cells=(ROLE_BAR_CELLS, ROLE_BAR_CELLS),
        style="bar",
        rank=1,
    ),
]
