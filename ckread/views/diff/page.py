"""The page of `ckread diff`: a verdict, the weights by how far they moved, the optimizer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from ckread.analysis.diff.records import DIFF_FIELDS, DiffStatus, relative_move
from ckread.model.display import (
    Field,
    Kind,
    column_of,
    in_order_of,
    named,
    safe_text,
    safe_word,
)
from ckread.views.diff.conversion import sections as conversion_sections
from ckread.views.diff.rows import (
    MODEL_ROLES,
    SIGN_STYLES,
    DiffRow,
    elements_text,
    far_moved,
    grouped_rows,
    how_far,
    model_rows,
    movement,
    origin_rows,
    state_rows,
    steps_text,
    structure_change,
)
from ckread.views.diff.verdict import index_footer, unread_footer, value_footer, verdict
from ckread.views.terminal.page import Lines, Page, PipedOnly, Prose, Span, TerminalOnly, footer
from ckread.views.terminal.table import POINT, RIGHT, Column, Table
from ckread.views.terminal.words import (
    bar,
    common_prefix,
    cosine_text,
    count_text,
    float_text,
    float_word,
    names_below,
    plural,
    shape_word,
    size_cell,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckread.analysis.diff.difference import ElementDiff
    from ckread.analysis.diff.records import CheckpointDiff, VariableDiff
    from ckread.views.terminal.page import Block, Line


DEFAULT_TOP = 40
"""Changed weights that a terminal shows unless `--top` says otherwise."""


__all__ = [
    "MODEL_ROLES", "DiffView", "diff_page", "structure_change", "verdict",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class DiffView:
    """What of a diff is shown; the verdict is about all of it.

    `only` lets through some statuses, `top` the so many that moved most, None as many as a screen
    takes; `has_values` tells whether the values of both sides are there to be read.
    """

    result: CheckpointDiff
    only: frozenset[DiffStatus] = frozenset()
    top: int | None = None
    has_values: bool = True

    def rows_of(self, variables: Sequence[VariableDiff]) -> Sequence[VariableDiff]:
        """Give the variables that `only` lets through."""
        return [v for v in variables if v.status in self.only] if self.only else variables

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
    title = f"{safe_text(result.a)} → {safe_text(result.b)}"
    how = Span("  by checksum, values not read" if result.index_only else "", "muted")
    head = [TerminalOnly(Prose(Span(title, "title"), how)), _verdict(result)]
    piped = PipedOnly(variable_table(view.rows_of(result.variables), top=view.top))
    if result.identical and not view.only:
        certainty = unread_footer(result)
        if result.index_only:
            certainty = index_footer(result, has_values=view.has_values)
        return Page(head, footer(certainty), piped)
    if not result.index_only:
        return Page(head, TerminalOnly(lambda: Page(*_value_sections(view))), piped)
    meaning = footer(index_footer(result, has_values=view.has_values))
    table = [TerminalOnly(partial(_index_table, view))] if view.rows_of(result.variables) else []
    return Page(head, *table, meaning, piped)


def _index_table(view: DiffView) -> Table[DiffRow]:
    shown = view.rows_of(view.result.variables)
    rows = grouped_rows([v for v in shown if v.role in MODEL_ROLES], shown)
    rows += grouped_rows([v for v in shown if v.role not in MODEL_ROLES], shown)
    return Table(_INDEX_COLUMNS, rows[: view.top] if view.top else rows, row_style=row_style)


def elements_page(result: CheckpointDiff, elements: Sequence[ElementDiff]) -> Page:
    """Lay out the elements of one variable that differ, farthest apart first."""

    def value(text: Callable[[ElementDiff], Any]) -> Callable[[ElementDiff], str]:
        return lambda one: safe_word(str(text(one)))

    columns: list[Column[ElementDiff]] = [
        Column(
            title="index", shown=lambda one: ", ".join(map(str, one.index)),
            piped=lambda one: ",".join(map(str, one.index)) or "-",
        ),
        Column(
            title="a", shown=value(lambda one: one.a), piped=value(lambda one: one.a), justify=RIGHT
        ),
        Column(
            title="b", shown=value(lambda one: one.b), piped=value(lambda one: one.b), justify=RIGHT
        ),
    ]  # fmt: skip
    if any(one.distance is not None for one in elements):
        columns.append(
            Column(
                title="|Δ|", shown=lambda one: float_text(one.distance or 0.0),
                piped=lambda one: float_word(one.distance), justify=RIGHT,
            )
        )  # fmt: skip
    [variable] = result.variables
    changed = variable.metrics.changed_elements if variable.metrics else len(elements)
    told = (
        f"{count_text(len(elements))} of {plural(changed, 'element')} of {safe_text(variable.name)}"
    )
    left = f"{told} that changed, farthest apart first." if elements else ""
    return Page([_verdict(result)], [Table(columns, elements)] if elements else [], footer(left))


def _verdict(result: CheckpointDiff) -> Prose:
    word, colon, rest = verdict(result).partition(": ")
    if result.identical and colon:
        return Prose(Span(word, "good"), f": {rest}")
    return Prose(word + colon + rest)


def _value_sections(view: DiffView) -> list[Sequence[Block]]:
    result = view.result
    if result.conversion is not None and not view.only:
        return conversion_sections(result, limit=view.top or DEFAULT_TOP)
    shown = view.rows_of(result.variables)
    rows = model_rows([v for v in shown if v.role in MODEL_ROLES])
    moved = [row for row in rows if row.has_figures]
    limit = DEFAULT_TOP if view.top is None else view.top
    n_hidden = max(0, len(moved) - limit)
    moved = moved[:limit]
    kept = moved + [row for row in rows if not row.has_figures and view.top is None]
    sections: list[Sequence[Block]] = []
    if kept:
        prefix = common_prefix([row.name for row in kept])
        has_steps = result.tolerance.ulp > 0
        table = Table(weight_columns(kept, prefix, has_steps=has_steps), kept, row_style=row_style)
        sections.append([*names_below(safe_text(prefix)), TerminalOnly(table)])
    if view.top is None:
        others = state_rows([v for v in shown if v.role not in MODEL_ROLES])
        origins = origin_rows(result, shown)
        sections += _titled("optimizer and counters", others, folds=False)
        sections += _titled("other names", origins, folds=True)
    meaning = value_footer(result, has_table=len(moved) > 0, n_hidden=n_hidden, n_shown=len(moved))
    return [*sections, [footer(meaning)]]


def _titled(heading: str, rows: Sequence[DiffRow], *, folds: bool) -> list[list[Block]]:
    """Give a table of names and words under a heading, if it has rows."""
    if not rows:
        return []
    columns: list[Column[DiffRow]] = [
        Column(title="", shown=_named_sign, folds=True),
        Column(title="", shown=lambda row: row.what, folds=folds),
    ]
    title = Lines([(Span(f"  {heading}", "label"),)])
    table = Table(columns, rows, row_style=row_style, has_header=False)
    return [[TerminalOnly(title), TerminalOnly(table)]]


# The columns of a diff's tables in a terminal: signs and names, how far, and what in words.

_BAR_CELLS = 12


def row_style(row: DiffRow) -> str:
    """Give the style of a whole row: what is identical is muted."""
    return "muted" if row.is_identical else ""


def _named_sign(row: DiffRow, prefix: str = "") -> Line:
    name = safe_text(row.name.removeprefix(prefix))
    return (Span(row.sign, SIGN_STYLES.get(row.sign, "")), Span(f" {name}"))


def _figure(text: Callable[[VariableDiff], str]) -> Callable[[DiffRow], Line]:
    """Give the cell of a figure of single variables; NaN and infinity stand out."""

    def shown(row: DiffRow) -> Line:
        if row.only is None:
            return (Span(""),)
        word = text(row.only)
        return (Span(word, "bad" if word in ("NaN", "inf") else ""),)

    return shown


def _metric(name: str, text: Callable[[Any], str]) -> Callable[[DiffRow], Line]:
    """Give the cell of a figure that was measured; empty where nothing differs."""

    def told(variable: VariableDiff) -> str:
        value = getattr(variable.metrics, name, None)
        is_same = variable.status is DiffStatus.IDENTICAL
        return "" if value is None or is_same else text(value)

    return _figure(told)


def weight_columns(
    rows: Sequence[DiffRow], prefix: str, *, has_steps: bool = False
) -> list[Column[DiffRow]]:
    """Give the columns of weights by how far they moved; `prefix` is said above the table."""
    columns: list[Column[DiffRow]] = [
        Column(title="  weight", shown=lambda row: _named_sign(row, prefix), folds=True)
    ]
    if any(row.only is not None and row.only.metrics is not None for row in rows):
        largest = max((_bar_size(row) for row in rows), default=0.0)
        steps: list[Column[DiffRow]] = [
            Column(title="ulp", shown=_metric("max_ulp", count_text), justify=RIGHT),
            Column(
                title="of largest", shown=_metric("max_ulp_of_largest", steps_text), justify=POINT
            ),
        ]
        moves: list[Column[DiffRow]] = [
            Column(title="moved", shown=_figure(far_moved), justify=RIGHT),
            Column(
                title="", style="bar", cells=(_BAR_CELLS, _BAR_CELLS), rank=3,
                draw=lambda row, cells: bar(_bar_size(row) / largest if largest else 0, cells),
            ),
        ]  # fmt: skip
        columns += steps if has_steps else moves
        columns += [
            Column(
                title="max |Δ|", shown=_metric("max_abs", _float_text), justify=POINT
            ),
            Column(
                title="mean |Δ|", shown=_metric("mean_abs", _float_text), justify=POINT,
                rank=4, from_width=100,
            ),
            Column(
                title="cosine", shown=_metric("cosine", cosine_text), justify=RIGHT,
                rank=2 if has_steps else 1,
            ),
            Column(
                title="elements", shown=_figure(elements_text), justify=RIGHT,
                rank=1 if has_steps else 2,
            ),
            Column(
                title="sign flips", shown=_metric("sign_flips", "{:,}".format),
                justify=RIGHT, rank=5, from_width=100,
            ),
        ]  # fmt: skip
    if any(row.what for row in rows):
        columns.append(Column(title="", shown=lambda row: row.what))
    return columns


def _float_text(value: float | bool) -> str:
    return float_text(float(value))


def _bar_size(row: DiffRow) -> float:
    size = movement(row.only) if row.only is not None and not row.is_identical else 0.0
    return size if 0 < size < 1e300 else 0.0


_INDEX_COLUMNS: list[Column[DiffRow]] = [
    Column(title="  subtree", shown=_named_sign, folds=True),
    Column(
        title="bytes",
        shown=lambda row: size_cell(row.nbytes_changed) if row.nbytes_changed else "",
        justify=RIGHT,
    ),
    Column(title="variables", shown=lambda row: row.what),
]
"""Groups that were compared by checksum."""


# The piped table of a diff: a line per variable, columns named as in JSON.


def variable_table(variables: Sequence[VariableDiff], *, top: int | None) -> Table[VariableDiff]:
    """Give a table for pipes: what moved most first, identical ones last."""
    names = "l2", "relative_l2"
    l2, relative = (column_of(variables, name, _FIELDS[name].getter) for name in names)
    is_usual = None not in relative and None not in l2 and math.isfinite(sum(l2))
    far = relative if is_usual else list(map(how_far, l2, relative))
    order = sorted(range(len(far)), key=far.__getitem__, reverse=True)
    is_same = [status is DiffStatus.IDENTICAL for status in column_of(variables, "status")]
    if any(is_same):
        order.sort(key=is_same.__getitem__)
    return Table(_COLUMNS, in_order_of(variables, order[:top]))


_FIELDS = named(DIFF_FIELDS)


_MOVED: Field[VariableDiff] = Field(
    "moved",
    Kind.FIGURE,
    lambda v: v.metrics and relative_move(v.metrics.l2, v.metrics.relative_l2),
)
_SHAPES: Field[VariableDiff] = Field(
    "shapes",
    Kind.SHAPE,
    lambda v: tuple(dict.fromkeys(side.shape for side in (v.a, v.b) if side is not None)),
)


@lru_cache(maxsize=1024)
def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return "->".join(map(shape_word, shapes))


_COLUMNS: list[Column[VariableDiff]] = [
    Column.of(_FIELDS["status"], word=lambda status: status or "unknown"),
    Column.of(_FIELDS["name"]),
    Column.of(_MOVED, title="relative_l2"),
    Column.of(_FIELDS["max_abs"]),
    Column.of(_FIELDS["mean_abs"]),
    Column.of(_FIELDS["cosine"]),
    Column.of(_FIELDS["changed_elements"], title="changed"),
    Column.of(_FIELDS["elements"]),
    Column.of(_FIELDS["role"]),
    Column.of(_FIELDS["renamed_from"]),
    Column.of(_SHAPES, title="shape", word=_shapes),
    Column.of(_FIELDS["max_ulp"]),
    Column.of(_FIELDS["max_ulp_of_largest"]),
]
