"""The columns of a diff's tables in a terminal: signs and names, how far, and what in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.analysis.diff_records import DiffStatus
from ckread.views.columns import Column, Justify
from ckread.views.diff_rows import SIGN_STYLES, elements_text, moved_text, movement
from ckread.views.drawn import bar
from ckread.views.page import Span
from ckread.views.quantities import float_text, safe_text, size_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckread.analysis.diff_records import VariableDiff
    from ckread.views.diff_rows import DiffRow
    from ckread.views.page import Line

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
