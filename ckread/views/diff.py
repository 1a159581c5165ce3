"""The page of `ckread diff`: a verdict, the weights by how far they moved, the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.views.columns import Table
from ckread.views.diff_columns import (
    index_columns,
    origin_columns,
    row_style,
    state_columns,
    weight_columns,
)
from ckread.views.diff_notes import index_footer, unread_footer, value_footer
from ckread.views.diff_rows import (
    MODEL_ROLES,
    DiffRow,
    grouped_rows,
    model_rows,
    movement,
    origin_rows,
    state_rows,
)
from ckread.views.diff_table import variable_table
from ckread.views.diff_verdict import verdict
from ckread.views.folding import Prose
from ckread.views.names import common_prefix
from ckread.views.page import Lines, Page, PipedOnly, Span, TerminalOnly
from ckread.views.quantities import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.diff_records import CheckpointDiff, DiffStatus, VariableDiff
    from ckread.views.columns import Column
    from ckread.views.page import Block

DEFAULT_TOP = 40
"""Changed weights that a terminal shows unless `--top` says otherwise."""


@dataclass(frozen=True, slots=True)
class DiffView:
    """What of a diff is shown.

    Attributes:
        result: all of it; the verdict is about that.
        only: rows of these statuses; empty for all.
        top: the so many that moved most; None for as many as a screen takes.
        has_values: whether the values of both sides are there to be read.
    """

    result: CheckpointDiff
    only: frozenset[DiffStatus] = frozenset()
    top: int | None = None
    has_values: bool = True

    def rows_of(self, variables: Sequence[VariableDiff]) -> list[VariableDiff]:
        """Give the variables that `only` lets through."""
        return [v for v in variables if not self.only or v.status in self.only]

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON document; `only` and `top` choose among the variables."""
        document = self.result.to_dict()
        chosen = self.rows_of(self.result.variables)
        if self.top is not None:
            chosen = sorted(chosen, key=lambda v: -movement(v))[: self.top]
        if len(chosen) < len(self.result.variables):
            document["variables"] = [variable.to_dict() for variable in chosen]
        return document


def diff_page(view: DiffView) -> Page:
    """Lay out a diff."""
    result = view.result
    head = _title(result), _verdict(result)
    piped = PipedOnly(variable_table(view.rows_of(result.variables), top=view.top))
    if result.identical and not view.only:
        footer = unread_footer(result)
        if result.index_only:
            footer = index_footer(result, has_values=view.has_values)
        certainty = [TerminalOnly(Prose(Span(footer, "muted")))] if footer else []
        return Page(head, *certainty, piped)
    sections = _index_sections(view) if result.index_only else _value_sections(view)
    return Page(head, *sections, piped)


def verdict_page(result: CheckpointDiff) -> Page:
    """Lay out the verdict alone."""
    return Page(_verdict(result))


def _title(result: CheckpointDiff) -> Block:
    title = f"{safe_text(result.a)} → {safe_text(result.b)}"
    how = Span("  by checksum, values not read" if result.index_only else "", "muted")
    return TerminalOnly(Prose(Span(title, "title"), how))


def _verdict(result: CheckpointDiff) -> Prose:
    word, colon, rest = verdict(result).partition(": ")
    if result.identical and colon:
        return Prose(Span(word, "good"), f": {rest}")
    return Prose(word + colon + rest)


def _value_sections(view: DiffView) -> list[Block | list[Block]]:
    result = view.result
    shown = view.rows_of(result.variables)
    of_model = [v for v in shown if v.role in MODEL_ROLES]
    kept, n_hidden = _kept(model_rows(of_model), view.top)
    sections: list[Block | list[Block]] = []
    if kept:
        sections.append(_weights(kept))
    others = [v for v in shown if v.role not in MODEL_ROLES]
    if view.top is None:
        sections += _titled("optimizer and counters", state_columns(), state_rows(others))
        sections += _titled("other names", origin_columns(), origin_rows(result, shown))
    n_moved = sum(_has_figures(row) and not row.is_identical for row in kept)
    footer = value_footer(result, has_table=n_moved > 0, n_hidden=n_hidden, n_shown=n_moved)
    return [*sections, TerminalOnly(Prose(Span(footer, "muted")))] if footer else sections


def _weights(rows: Sequence[DiffRow]) -> list[Block]:
    prefix = common_prefix([row.name for row in rows])
    table = TerminalOnly(Table(weight_columns(rows, prefix), rows, row_style=row_style))
    if not prefix:
        return [table]
    return [TerminalOnly(Prose(Span(f"names below {safe_text(prefix)}", "label"))), table]


def _titled(
    heading: str, columns: Sequence[Column[DiffRow]], rows: Sequence[DiffRow]
) -> list[list[Block]]:
    """Give a table under a heading, if it has rows."""
    if not rows:
        return []
    title = Lines([(Span(f"  {heading}", "label"),)])
    table = Table(columns, rows, row_style=row_style, has_header=False)
    return [[TerminalOnly(title), TerminalOnly(table)]]


def _index_sections(view: DiffView) -> list[Block]:
    shown = view.rows_of(view.result.variables)
    rows = grouped_rows([v for v in shown if v.role in MODEL_ROLES], shown)
    rows += grouped_rows([v for v in shown if v.role not in MODEL_ROLES], shown)
    rows = rows[: view.top] if view.top else rows
    sections: list[Block] = []
    if rows:
        sections.append(TerminalOnly(Table(index_columns(), rows, row_style=row_style)))
    footer = index_footer(view.result, has_values=view.has_values)
    return [*sections, TerminalOnly(Prose(Span(footer, "muted")))]


def _kept(rows: Sequence[DiffRow], top: int | None) -> tuple[list[DiffRow], int]:
    """Give the rows that are shown, and how many changed ones are left out."""
    moved = [row for row in rows if _has_figures(row) and not row.is_identical]
    rest = [row for row in rows if not _has_figures(row) or row.is_identical]
    limit = DEFAULT_TOP if top is None else top
    return moved[:limit] + (rest if top is None else []), max(0, len(moved) - limit)


def _has_figures(row: DiffRow) -> bool:
    return row.only is not None and row.only.metrics is not None
