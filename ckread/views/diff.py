"""The page of `ckread diff`: a verdict, the weights by how far they moved, the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.analysis.diff_records import DiffStatus
from ckread.views.columns import Column, Justify, Table
from ckread.views.diff_notes import index_footer, value_footer
from ckread.views.diff_rows import (
    MODEL_ROLES,
    SIGN_STYLES,
    DiffRow,
    elements_text,
    grouped_rows,
    model_rows,
    moved_text,
    movement,
    state_rows,
)
from ckread.views.diff_table import variable_table
from ckread.views.diff_verdict import verdict
from ckread.views.drawn import bar
from ckread.views.folding import Prose
from ckread.views.page import Lines, Page, PipedOnly, Span, TerminalOnly
from ckread.views.quantities import (
    float_text,
    safe_text,
    size_cell,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckread.analysis.diff_records import CheckpointDiff, VariableDiff
    from ckread.views.page import Block, Line

DEFAULT_TOP = 40
"""Changed weights that a terminal shows unless `--top` says otherwise."""
_BAR_CELLS = 12


@dataclass(frozen=True, slots=True)
class DiffView:
    """What of a diff is shown.

    Attributes:
        result: all of it; the verdict is about that.
        only: rows of these statuses; empty for all.
        top: the so many that moved most; None for as many as a screen takes.
    """

    result: CheckpointDiff
    only: frozenset[DiffStatus] = frozenset()
    top: int | None = None

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
        return Page(head, piped)
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
    rows = model_rows(result, [v for v in shown if v.role in MODEL_ROLES])
    kept, n_hidden = _kept(rows, view.top)
    sections: list[Block | list[Block]] = []
    if kept:
        table = Table(_weight_columns(kept), kept, row_style=_row_style)
        sections.append(TerminalOnly(table))
    state = state_rows(result, [v for v in shown if v.role not in MODEL_ROLES])
    if state and view.top is None:
        heading = Lines([(Span("  optimizer and counters", "label"),)])
        table = Table(_state_columns(state), state, row_style=_row_style, has_header=False)
        sections.append([TerminalOnly(heading), TerminalOnly(table)])
    n_moved = sum(_has_figures(row) and not row.is_identical for row in kept)
    footer = value_footer(result, has_table=n_moved > 0, n_hidden=n_hidden, n_shown=n_moved)
    return [*sections, TerminalOnly(Prose(Span(footer, "muted")))] if footer else sections


def _kept(rows: Sequence[DiffRow], top: int | None) -> tuple[list[DiffRow], int]:
    """Give the rows that are shown, and how many changed ones are left out."""
    moved = [row for row in rows if _has_figures(row) and not row.is_identical]
    rest = [row for row in rows if not _has_figures(row) or row.is_identical]
    limit = DEFAULT_TOP if top is None else top
    return moved[:limit] + (rest if top is None else []), max(0, len(moved) - limit)


def _has_figures(row: DiffRow) -> bool:
    return row.only is not None and row.only.metrics is not None


def _row_style(row: DiffRow) -> str:
    return "muted" if row.is_identical else ""


def _named_sign(row: DiffRow) -> Line:
    return (Span(row.sign, SIGN_STYLES.get(row.sign, "")), Span(f" {safe_text(row.name)}"))


def _figure(
    text: Callable[[VariableDiff], str],
) -> Callable[[DiffRow], Line]:
    """Give the cell of a figure of single variables; NaN and infinity stand out."""

    def shown(row: DiffRow) -> Line:
        if row.only is None:
            return (Span(""),)
        word = text(row.only)
        return (Span(word, "bad" if word in ("NaN", "inf") else ""),)

    return shown


def _metric(field: str) -> Callable[[VariableDiff], str]:
    def text(variable: VariableDiff) -> str:
        value = getattr(variable.metrics, field, None)
        if value is None or variable.status is DiffStatus.IDENTICAL:
            return ""
        return float_text(float(value))

    return text


def _cosine(variable: VariableDiff) -> str:
    cosine = variable.metrics.cosine if variable.metrics else None
    if cosine is None or variable.status is DiffStatus.IDENTICAL:
        return ""
    if abs(cosine) == 1 or math.isnan(cosine):
        return float_text(cosine).removesuffix(".00")
    return ">0.9999" if cosine >= 0.99995 else f"{max(cosine, -0.9999):.4f}"


def _flips(variable: VariableDiff) -> str:
    flips = variable.metrics.sign_flips if variable.metrics else None
    return "" if flips is None or variable.status is DiffStatus.IDENTICAL else f"{flips:,}"


def _weight_columns(rows: Sequence[DiffRow]) -> list[Column[DiffRow]]:
    largest = max((_bar_size(row) for row in rows), default=0.0)

    def draw(row: DiffRow, cells: int) -> Line:
        return (Span(bar(_bar_size(row) / largest if largest else 0, cells), "bar"),)

    columns: list[Column[DiffRow]] = [
        Column(title="  weight", shown=_named_sign, folds=True),
        Column(title="moved", shown=_figure(moved_text), justify=Justify.RIGHT),
        Column(title="", draw=draw, cells=(_BAR_CELLS, _BAR_CELLS), rank=3),
        Column(title="max |Δ|", shown=_figure(_metric("max_abs")), justify=Justify.POINT),
        Column(
            title="mean |Δ|", shown=_figure(_metric("mean_abs")), justify=Justify.POINT,
            rank=4, from_width=100,
        ),
        Column(title="cosine", shown=_figure(_cosine), justify=Justify.RIGHT, rank=1),
        Column(title="elements", shown=_figure(elements_text), justify=Justify.RIGHT, rank=2),
        Column(
            title="sign flips", shown=_figure(_flips), justify=Justify.RIGHT,
            rank=5, from_width=100,
        ),
    ]  # fmt: skip
    if any(row.what for row in rows):
        columns.append(_what_column(rows))
    return columns


def _what_column(rows: Sequence[DiffRow], *, title: str = "") -> Column[DiffRow]:
    """Give the column of words; it folds where it holds names."""
    has_names = any(" was " in f" {row.what}" for row in rows)
    return Column(title=title, shown=lambda row: row.what, folds=has_names)


def _bar_size(row: DiffRow) -> float:
    size = movement(row.only) if row.only is not None and not row.is_identical else 0.0
    return size if 0 < size < 1e300 else 0.0


def _state_columns(rows: Sequence[DiffRow]) -> list[Column[DiffRow]]:
    return [Column(title="", shown=_named_sign, folds=True), _what_column(rows)]


def _index_sections(view: DiffView) -> list[Block]:
    shown = view.rows_of(view.result.variables)
    rows = grouped_rows([v for v in shown if v.role in MODEL_ROLES], shown)
    rows += grouped_rows([v for v in shown if v.role not in MODEL_ROLES], shown)
    rows = rows[: view.top] if view.top else rows
    columns: list[Column[DiffRow]] = [
        Column(title="  subtree", shown=_named_sign, folds=True),
        Column(title="bytes", shown=_bytes_changed, justify=Justify.RIGHT),
        _what_column(rows, title="variables"),
    ]
    sections: list[Block] = []
    if rows:
        sections.append(TerminalOnly(Table(columns, rows, row_style=_row_style)))
    return [*sections, TerminalOnly(Prose(Span(index_footer(view.result), "muted")))]


def _bytes_changed(row: DiffRow) -> str:
    return size_cell(row.nbytes_changed) if row.nbytes_changed else ""
