"""The page of `ckread diff`: a verdict, the weights by how far they moved, the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.analysis.diff.records import DiffStatus
from ckread.model.spelling import safe_text, safe_word
from ckread.views.diff.rows import (
    MODEL_ROLES,
    SIGN_STYLES,
    DiffRow,
    elements_text,
    grouped_rows,
    model_rows,
    moved_text,
    movement,
    origin_rows,
    state_rows,
)
from ckread.views.diff.verdict import index_footer, unread_footer, value_footer, verdict
from ckread.views.terminal.page import Lines, Page, PipedOnly, Prose, Span, TerminalOnly
from ckread.views.terminal.table import Column, Justify, Table
from ckread.views.terminal.words import (
    ABSENT_WORD,
    bar,
    common_prefix,
    float_text,
    float_word,
    size_cell,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ckread.analysis.diff.records import CheckpointDiff, VariableDiff
    from ckread.views.terminal.page import Block, Line


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


# The columns of a diff's tables in a terminal: signs and names, how far, and what in words.

_BAR_CELLS = 12


def row_style(row: DiffRow) -> str:
    """Give the style of a whole row: what is identical is muted."""
    return "muted" if row.is_identical else ""


def _named_sign(row: DiffRow, prefix: str = "") -> Line:
    name = safe_text(row.name.removeprefix(prefix))
    return (Span(row.sign, SIGN_STYLES.get(row.sign, "")), Span(f" {name}"))


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


def weight_columns(rows: Sequence[DiffRow], prefix: str) -> list[Column[DiffRow]]:
    """Give the columns of weights by how far they moved; `prefix` is said above the table."""
    columns: list[Column[DiffRow]] = [
        Column(title="  weight", shown=lambda row: _named_sign(row, prefix), folds=True)
    ]
    if any(row.only is not None and row.only.metrics is not None for row in rows):
        columns += _figure_columns(rows)
    if any(row.what for row in rows):
        columns.append(Column(title="", shown=_what))
    return columns


def _figure_columns(rows: Sequence[DiffRow]) -> list[Column[DiffRow]]:
    """Give the columns of what was measured of single variables."""
    largest = max((_bar_size(row) for row in rows), default=0.0)

    def draw(row: DiffRow, cells: int) -> Line:
        return (Span(bar(_bar_size(row) / largest if largest else 0, cells), "bar"),)

    return [
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


def _bar_size(row: DiffRow) -> float:
    size = movement(row.only) if row.only is not None and not row.is_identical else 0.0
    return size if 0 < size < 1e300 else 0.0


def state_columns() -> list[Column[DiffRow]]:
    """Give the columns of the optimizer and the counters."""
    return [
        Column(title="", shown=_named_sign, folds=True),
        Column(title="", shown=_what),
    ]


def index_columns() -> list[Column[DiffRow]]:
    """Give the columns of groups that were compared by checksum."""
    return [
        Column(title="  subtree", shown=_named_sign, folds=True),
        Column(title="bytes", shown=_bytes_changed, justify=Justify.RIGHT),
        Column(title="variables", shown=_what),
    ]


def origin_columns() -> list[Column[DiffRow]]:
    """Give the columns of variables that had another name."""
    return [
        Column(title="", shown=_named_sign, folds=True),
        Column(title="", shown=_what, folds=True),
    ]


def _what(row: DiffRow) -> str:
    return row.what


def _bytes_changed(row: DiffRow) -> str:
    return size_cell(row.nbytes_changed) if row.nbytes_changed else ""


# The piped table of a diff: a line per variable, columns named as in JSON.

_RIGHT = Justify.RIGHT


def variable_table(variables: Iterable[VariableDiff], *, top: int | None) -> Table[VariableDiff]:
    """Give a table for pipes: what moved most first, identical ones last."""
    rows = sorted(variables, key=lambda v: (v.status is DiffStatus.IDENTICAL, -movement(v)))
    return Table(_COLUMNS, rows if top is None else rows[:top])


def _number(field: str) -> Callable[[VariableDiff], str]:
    def word(variable: VariableDiff) -> str:
        value = getattr(variable.metrics, field, None)
        if (
            value is None
            and field == "relative_l2"
            and (variable.metrics is not None and bool(variable.metrics.l2))
        ):
            return "inf"
        return str(value) if isinstance(value, int) else float_word(value)

    return word


def _status(variable: VariableDiff) -> str:
    return variable.status or "unknown"


def _origin(variable: VariableDiff) -> str:
    old = variable.renamed_from
    return ABSENT_WORD if old is None else safe_word(old)


_COLUMNS: list[Column[VariableDiff]] = [
    Column(title="status", piped=_status),
    Column(title="name", piped=lambda v: safe_word(v.name)),
    Column(title="relative_l2", piped=_number("relative_l2"), justify=_RIGHT),
    Column(title="max_abs", piped=_number("max_abs"), justify=_RIGHT),
    Column(title="mean_abs", piped=_number("mean_abs"), justify=_RIGHT),
    Column(title="cosine", piped=_number("cosine"), justify=_RIGHT),
    Column(title="changed", piped=_number("changed_elements"), justify=_RIGHT),
    Column(title="elements", piped=lambda v: str(v.elements), justify=_RIGHT),
    Column(title="role", piped=lambda v: v.role),
    Column(title="renamed_from", piped=_origin),
]
