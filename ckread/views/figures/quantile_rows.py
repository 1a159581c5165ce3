"""Forty-nine variables and more: a row of quantiles for each, on one value axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.views.figures.names import shorten, text_width
from ckread.views.figures.numbers import number
from ckread.views.figures.panels import not_finite
from ckread.views.figures.rows import INDENT, Row, arrange, in_columns
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines, page_words
from ckread.views.figures.style import DENSE_SIZE, Palette, drawing
from ckread.views.figures.symlog import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.statistics import VariableStatistics

ROWS = 90
"""Rows of a column."""
_ROW = 0.1
_TOP = 0.84
_COLUMN = (WIDTH - 2 * MARGIN + 0.16) / 2
_NAME_WIDTH = 1.78
AXIS_WIDTH = _COLUMN - _NAME_WIDTH - 0.06 - 0.2
_WIDE_PIXELS = 7


def plot_quantile_rows(
    variables: Sequence[VariableStatistics],
    *,
    title: str,
    evidence: Sequence[str],
    palette: Palette,
    notes: Sequence[str] = (),
) -> list[Figure]:
    """Draw pages of quantile rows, two columns of 90 each, on one value axis for all pages.

    Args:
        variables: in the order in which they are drawn.
        title: the answer.
        evidence: parts of the subtitle.
        palette: light or dark.
        notes: what is left out.
    """
    scale = Scale.of([v.distribution for v in variables if v.distribution])
    rows = arrange([v.name for v in variables], _NAME_WIDTH, size=DENSE_SIZE)
    n_rows = ROWS if len(rows) > 2 * ROWS else -(-len(rows) // 2) + 1
    columns = in_columns(rows, n_rows)
    pages = [columns[i : i + 2] for i in range(0, len(columns), 2)]
    items = [[row.item for rows in page for row in rows if row.item is not None] for page in pages]
    figures = []
    for i, page in enumerate(pages):
        place, others = page_words(i, items)
        texts = title, [*evidence, place], [*others, *notes]
        with drawing(palette):
            figures.append(_draw_page(variables, page, scale, texts, palette))
    return figures


def _draw_page(
    variables: Sequence[VariableStatistics],
    columns: Sequence[Sequence[Row]],
    scale: Scale,
    texts: tuple[str, list[str], list[str]],
    palette: Palette,
) -> Figure:
    title, facts, notes = texts
    n_rows = max(map(len, columns))
    reading = f"Line 1–99 %, pale bar 5–95 %, dark bar 25–75 %, stroke: median. {_axis(scale)}"
    lines = note_lines(reading, *notes)
    sheet = Sheet(_TOP + n_rows * _ROW + 0.37 + NOTE_PITCH * len(lines), palette)
    sheet.title(title, facts)
    sheet.note(lines)
    for at, rows in enumerate(columns):
        _draw_column(sheet, variables, rows, scale, MARGIN + at * _COLUMN)
    return sheet.figure


def _axis(scale: Scale) -> str:
    if scale.threshold is None:
        return "One value axis."
    return f"One value axis: linear within ±{number(scale.threshold, 1)}, logarithmic beyond."


def _draw_column(
    sheet: Sheet,
    variables: Sequence[VariableStatistics],
    rows: Sequence[Row],
    scale: Scale,
    x: float,
) -> None:
    palette = sheet.palette
    _draw_bands(sheet, rows, x)
    axes = sheet.axes(x + _NAME_WIDTH + 0.06, _TOP, AXIS_WIDTH, len(rows) * _ROW)
    axes.set_gid("ckread:rows")
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    scale.apply(axes, AXIS_WIDTH)
    axes.grid(axis="x")
    axes.spines["top"].set_visible(True)
    axes.tick_params(top=True, labeltop=True, labelsize=DENSE_SIZE)
    axes.axvline(0, color=palette.faint, lw=0.7, zorder=1.5)
    is_nested = any(row.is_heading for row in rows)
    for i, row in enumerate(rows):
        y = _TOP + (i + 0.5) * _ROW
        style: dict[str, Any] = {"size": DENSE_SIZE, "va": "center_baseline"}
        if row.item is None:
            text = shorten(row.text, _COLUMN - 0.2, size=DENSE_SIZE)
            sheet.text(x, y, text, color=palette.soft, gid="ckread:heading", **style)
            continue
        variable = variables[row.item]
        bad = _not_finite(variable)
        room = _NAME_WIDTH - (INDENT if is_nested else 0)
        if bad:
            right = x + _NAME_WIDTH
            sheet.text(right, y, bad, color=palette.bad, ha="right", **style)
            room -= text_width(bad, DENSE_SIZE) + 0.06
        left = x + _NAME_WIDTH - room if not bad else x + (INDENT if is_nested else 0)
        name = shorten(row.text, room, size=DENSE_SIZE)
        sheet.text(left, y, name, gid=f"ckread:name:{variable.name}", **style)
        _draw_row(axes, variable, i + 0.5, palette)


def _not_finite(variable: VariableStatistics) -> str:
    distribution = variable.distribution
    if distribution is None:
        return "damaged"
    if not distribution.quantiles:
        return "all NaN" if distribution.nan else "empty"
    return not_finite(distribution)


def _draw_bands(sheet: Sheet, rows: Sequence[Row], x: float) -> None:
    """Set groups of rows apart: every other one has a pale ground."""
    axes = sheet.axes(x - 0.03, _TOP, _COLUMN - 0.13, len(rows) * _ROW, zorder=-1)
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(rows), 0))
    groups = sorted({row.group for row in rows})
    for i, row in enumerate(rows):
        if groups.index(row.group) % 2 == 0:
            axes.axhspan(i, i + 1, color=sheet.palette.cell, lw=0)


def _draw_row(axes: Axes, variable: VariableStatistics, y: float, palette: Palette) -> None:
    distribution = variable.distribution
    if distribution is None or not distribution.quantiles:
        return
    q01, q05, q25, q50, q75, q95, q99 = (q.value for q in distribution.quantiles)
    (line,) = axes.plot([q01, q99], [y, y], color=palette.data, lw=0.7, solid_capstyle="butt")
    line.set_gid(f"ckread:q01-q99:{variable.name}")
    axes.barh(y, q95 - q05, 0.5, left=q05, color=palette.middle, lw=0, zorder=2)
    axes.barh(y, q75 - q25, 0.5, left=q25, color=palette.data, lw=0, zorder=2.1)
    to_pixels = axes.transData.transform
    is_wide = to_pixels((q75, y))[0] - to_pixels((q25, y))[0] >= _WIDE_PIXELS
    color = palette.paper if is_wide else palette.ink
    median = axes.vlines(q50, y - 0.25, y + 0.25, color=color, lw=0.9, zorder=3)
    median.set_gid(f"ckread:median:{variable.name}")
