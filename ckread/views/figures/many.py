"""Distributions of the variables of a checkpoint: the picture follows from how many there are.

1      large, with a table of its figures
2–48   small histograms
49–    rows of quantiles, 180 to a page
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.errors import UsageError
from ckread.model.run.entries import base_name
from ckread.views.figures.axes import (
    FEW,
    LARGEST,
    Scale,
    draw_stairs,
    draw_strokes,
    draw_zero,
)
from ckread.views.figures.rows import INDENT, Row, arrange, in_columns
from ckread.views.figures.sheet import MARGIN, WIDTH, Caption, Sheet, new_sheet, page_words
from ckread.views.figures.single import plot_histogram
from ckread.views.figures.style import DENSE_SIZE, LIGHT, TEXT_SIZE, Palette
from ckread.views.figures.text import (
    count,
    fits,
    number,
    padded,
    set_value_axis,
    shorten,
    split_scope,
    text_width,
    wrap_scope,
)
from ckread.views.terminal.words import nothing_finite, plural, shape_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.drift.records import VariableDrift
    from ckread.analysis.statistics.distribution import Distribution
    from ckread.analysis.statistics.statistics import CheckpointStatistics, VariableStatistics


MAX_PANELS = 48


def noun_of(variables: Iterable[VariableStatistics | VariableDrift]) -> str:
    """Say what variables are: weights, if all belong to the model."""
    return "weight" if all(variable.role.is_parameter for variable in variables) else "variable"


def last_two(path: str) -> str:
    """Give the end of a path, with the directory that it is in."""
    return os.path.join(*path.rstrip(os.sep).split(os.sep)[-2:])


def plot_statistics(
    result: CheckpointStatistics,
    variables: Sequence[VariableStatistics],
    *,
    evidence: Sequence[str],
    palette: Palette,
    is_shared: bool,
    is_log: bool | None,
) -> list[Figure]:
    """Draw the distributions of those variables of a checkpoint that could be measured.

    Raises:
        UsageError: there are none.
    """
    measured = [variable for variable in variables if variable.distribution]
    if not measured:
        raise UsageError(f"{result.path}: no variable to draw")
    noun, n_damaged = noun_of(measured), len(result.damaged)
    return plot_distributions(
        measured,
        title=f"{noun.capitalize()}s of {base_name(result.path)}",
        evidence=evidence,
        notes=[f"{plural(n_damaged, f'damaged {noun}')} left out."] if n_damaged else [],
        palette=palette,
        is_shared=is_shared,
        is_log=is_log,
    )


def plot_distributions(
    variables: Sequence[VariableStatistics],
    *,
    title: str,
    evidence: Sequence[str] = (),
    notes: Sequence[str] = (),
    palette: Palette = LIGHT,
    is_shared: bool = False,
    is_log: bool | None = None,
) -> list[Figure]:
    """Draw the distributions of measured variables, one figure per page."""
    if len(variables) == 1:
        return [plot_histogram(variables[0], evidence=evidence, palette=palette, is_log=is_log)]
    caption = Caption(title, evidence, palette, notes)
    if len(variables) <= MAX_PANELS:
        return [plot_panels(variables, caption, is_shared=is_shared, is_log=bool(is_log))]
    return plot_quantile_rows(variables, caption)


# Two to 48 variables as small histograms, in the order of the model.

_GUTTER = 0.16
_PANELS_TOP = 0.68


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where panels go, in inches."""

    n_columns: int
    panel_height: float
    heading: float
    ticks: float
    n_scope_lines: int

    @property
    def width(self) -> float:
        return (WIDTH - 2 * MARGIN - _GUTTER * (self.n_columns - 1)) / self.n_columns

    @property
    def pitch(self) -> float:
        return self.heading + self.panel_height + self.ticks

    def place(self, i: int) -> tuple[float, float]:
        row, column = divmod(i, self.n_columns)
        return MARGIN + column * (self.width + _GUTTER), _PANELS_TOP + row * self.pitch


def plot_panels(
    variables: Sequence[VariableStatistics], caption: Caption, *, is_shared: bool, is_log: bool
) -> Figure:
    """Draw small histograms of measured variables, up to 6 in three columns, more in five."""
    grid = _grid_for(variables)
    n_rows = -(-len(variables) // grid.n_columns)
    limits = None
    if is_shared:
        measured = [v.distribution for v in variables if v.distribution]
        lows = [float(d.min) for d in measured if d.min is not None]
        highs = [float(d.max) for d in measured if d.max is not None]
        limits = padded(min(lows), max(highs)) if lows else None
    axis = "one value axis" if is_shared else "each panel has its own value axis"
    scale = "logarithmic, " if is_log else ""
    reading = [
        f"Height: elements per bin, {scale}scaled to the fullest; 32 elements or fewer: a stroke"
        " each. Dotted line: zero. Triangle: mean."
    ]
    height = _PANELS_TOP + n_rows * grid.pitch + 0.17
    with new_sheet(height, caption.but(axis), reading) as sheet:
        for i, variable in enumerate(variables):
            _write_heading(sheet, grid, grid.place(i), variable)
            is_last = i + grid.n_columns >= len(variables)
            x, y = grid.place(i)
            axes = sheet.axes(x, y + grid.heading, grid.width, grid.panel_height)
            axes.set_gid(f"ckread:panel:{variable.name}")
            _draw_panel(
                axes, variable, sheet.palette, limits=limits, is_log=is_log, width=grid.width
            )
            if is_shared and not is_last:
                axes.tick_params(labelbottom=False)
    return sheet.figure


def _grid_for(variables: Sequence[VariableStatistics]) -> _Grid:
    n_columns, panel_height = (3, 0.62) if len(variables) <= 6 else (5, 0.34)
    grid = _Grid(n_columns, panel_height, 0.18, 0.28, 0)
    one_line = (
        text_width(v.name, TEXT_SIZE) + text_width(_aside(v), TEXT_SIZE) + 0.12 <= grid.width
        for v in variables
    )
    if all(one_line):
        return grid
    scopes = [split_scope(variable.name)[0] for variable in variables]
    n_lines = 1 if all(fits(scope, grid.width, size=TEXT_SIZE) for scope in scopes) else 2
    return _Grid(n_columns, panel_height, 0.19 + 0.12 * n_lines, 0.27, n_lines)


def _aside(variable: VariableStatistics) -> str:
    """Give what stands at the right of a name: the shape, or what is wrong."""
    return not_finite(variable.distribution) or shape_text(variable.shape)


def not_finite(distribution: Distribution | None) -> str:
    """Count what is not finite, in words; empty where all is."""
    if distribution is None:
        return ""
    nan, inf = distribution.nan, distribution.infinite
    return ", ".join(f"{count(n)} {word}" for n, word in ((nan, "NaN"), (inf, "Inf")) if n)


def _write_heading(
    sheet: Sheet, grid: _Grid, place: tuple[float, float], variable: VariableStatistics
) -> None:
    x, y = place
    bottom = y + grid.heading - 0.05
    soft = sheet.palette.soft
    leaf = variable.name
    if grid.n_scope_lines:
        scope, leaf = split_scope(variable.name)
        lines = wrap_scope(scope, grid.width, size=TEXT_SIZE, n_lines=grid.n_scope_lines)
        for i, line in enumerate(reversed(lines)):
            at = bottom - 0.12 * (i + 1)
            sheet.text(x, at, line, color=soft, va="baseline", gid="ckread:scope")
    aside, bad = _aside(variable), not_finite(variable.distribution)
    room = grid.width - (text_width(aside, TEXT_SIZE) + 0.08 if bad else 0)
    leaf = shorten(leaf, room, size=TEXT_SIZE)
    sheet.text(x, bottom, leaf, va="baseline", gid="ckread:name")
    if fits(leaf + aside, grid.width - 0.08, size=TEXT_SIZE):
        color = sheet.palette.bad if bad else soft
        right = x + grid.width
        sheet.text(right, bottom, aside, color=color, ha="right", va="baseline")


def _draw_panel(
    axes: Axes,
    variable: VariableStatistics,
    palette: Palette,
    *,
    limits: tuple[float, float] | None,
    is_log: bool,
    width: float,
) -> None:
    distribution = variable.distribution
    axes.set_yticks([])
    axes.set_ylim(0, 1.05)
    text = nothing_finite(distribution) if distribution else "damaged"
    if distribution and distribution.min == distribution.max and distribution.finite > 1:
        every = "all" if distribution.finite == distribution.elements else "all others"
        text = f"{every} {number(float(distribution.min or 0))}"
    if distribution is None or text:
        axes.set_axis_off()
        is_bad = text in ("all NaN", "nothing finite", "damaged")
        color = palette.bad if is_bad else palette.soft
        middle: dict[str, Any] = {"ha": "center", "va": "center", "transform": axes.transAxes}
        axes.text(0.5, 0.45, text, color=color, size=TEXT_SIZE, **middle).set_gid("ckread:instead")
        return
    low, high = limits or padded(float(distribution.min or 0), float(distribution.max or 0))
    set_value_axis(axes, low, high, width, gutter=_GUTTER)
    if distribution.finite <= FEW:
        draw_strokes(axes, distribution, palette, height=0.55)
    else:
        histogram = distribution.histogram(bins_for(distribution.finite))
        counts = np.array(histogram.counts, np.float64)
        heights = np.log1p(counts) / np.log1p(counts.max()) if is_log else counts / counts.max()
        draw_stairs(axes, heights, np.array(histogram.edges), palette)
    draw_zero(axes, palette, zorder=3)
    (mean,) = axes.plot([distribution.mean or 0.0], [0], "^", ms=3, color=palette.ink, mec="none")
    mean.set(clip_on=False, zorder=4, gid="ckread:mean")


def bins_for(n: int) -> int:
    """Give how many bins a small histogram of `n` elements has."""
    return int(np.clip(2 * n ** (1 / 3), 8, 48))


# Forty-nine variables and more: a row of quantiles for each, on one value axis.

ROWS = 90
"""Rows of a column."""
_ROW = 0.1
_ROWS_TOP = 0.84
_COLUMN = (WIDTH - 2 * MARGIN + 0.16) / 2
_NAME_WIDTH = 1.78
AXIS_WIDTH = _COLUMN - _NAME_WIDTH - 0.06 - 0.2
_WIDE_PIXELS = 7


def plot_quantile_rows(variables: Sequence[VariableStatistics], caption: Caption) -> list[Figure]:
    """Draw pages of quantile rows, two columns of 90 each, on one value axis for all pages."""
    scale = Scale.of([v.distribution for v in variables if v.distribution])
    rows = arrange([v.name for v in variables], _NAME_WIDTH, size=DENSE_SIZE)
    n_rows = ROWS if len(rows) > 2 * ROWS else -(-len(rows) // 2) + 1
    columns = in_columns(rows, n_rows)
    pages = [columns[i : i + 2] for i in range(0, len(columns), 2)]
    items = [[row.item for rows in page for row in rows if row.item is not None] for page in pages]
    linear = ""
    if scale.threshold is not None:
        linear = f": linear within ±{number(scale.threshold, 1)}, logarithmic beyond"
    reading = [
        "Line 1–99 %, pale bar 5–95 %, dark bar 25–75 %, stroke: median.",
        f"One value axis{linear}.",
    ]
    figures: list[Figure] = []
    for i, page in enumerate(pages):
        place, others = page_words(i, items)
        height = _ROWS_TOP + max(map(len, page)) * _ROW + 0.37
        with new_sheet(height, caption.but(place, notes=others), reading) as sheet:
            sheet.write_notes()
            for at, part in enumerate(page):
                _draw_column(sheet, variables, part, scale, MARGIN + at * _COLUMN)
        figures.append(sheet.figure)
    return figures


def _draw_column(
    sheet: Sheet,
    variables: Sequence[VariableStatistics],
    rows: Sequence[Row],
    scale: Scale,
    x: float,
) -> None:
    palette = sheet.palette
    # Groups of rows are set apart: every other one has a pale ground.
    bands = sheet.axes(x - 0.03, _ROWS_TOP, _COLUMN - 0.13, len(rows) * _ROW, zorder=-1)
    bands.set_axis_off()
    bands.set(xlim=(0, 1), ylim=(len(rows), 0))
    groups = sorted({row.group for row in rows})
    for i, row in enumerate(rows):
        if groups.index(row.group) % 2 == 0:
            bands.axhspan(i, i + 1, color=sheet.palette.cell, lw=0)
    axes = sheet.axes(x + _NAME_WIDTH + 0.06, _ROWS_TOP, AXIS_WIDTH, len(rows) * _ROW)
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
        y = _ROWS_TOP + (i + 0.5) * _ROW
        style: dict[str, Any] = {"size": DENSE_SIZE, "va": "center_baseline"}
        if row.item is None:
            text = shorten(row.text, _COLUMN - 0.2, size=DENSE_SIZE)
            sheet.text(x, y, text, color=palette.soft, gid="ckread:heading", **style)
            continue
        variable = variables[row.item]
        distribution = variable.distribution
        if distribution is None:
            bad = "damaged"
        elif not distribution.quantiles:
            bad = "all NaN" if distribution.nan else "empty"
        else:
            bad = not_finite(distribution)
        left = x + (INDENT if is_nested else 0)
        right = x + _NAME_WIDTH
        if bad:
            sheet.text(right, y, bad, color=palette.bad, ha="right", **style)
            right -= text_width(bad, DENSE_SIZE) + 0.06
        name = shorten(row.text, right - left, size=DENSE_SIZE)
        sheet.text(left, y, name, gid=f"ckread:name:{variable.name}", **style)
        if distribution is not None and distribution.quantiles:
            _draw_row(axes, variable.name, distribution, i + 0.5, palette)


def _draw_row(
    axes: Axes, name: str, distribution: Distribution, y: float, palette: Palette
) -> None:
    values = (min(max(q.value, -LARGEST), LARGEST) for q in distribution.quantiles)
    q01, q05, q25, q50, q75, q95, q99 = values
    (line,) = axes.plot([q01, q99], [y, y], color=palette.data, lw=0.7, solid_capstyle="butt")
    line.set_gid(f"ckread:q01-q99:{name}")
    axes.barh(y, q95 - q05, 0.5, left=q05, color=palette.middle, lw=0, zorder=2)
    axes.barh(y, q75 - q25, 0.5, left=q25, color=palette.data, lw=0, zorder=2.1)
    to_pixels = axes.transData.transform
    is_wide = to_pixels((q75, y))[0] - to_pixels((q25, y))[0] >= _WIDE_PIXELS
    color = palette.paper if is_wide else palette.ink
    median = axes.vlines(q50, y - 0.25, y + 0.25, color=color, lw=0.9, zorder=3)
    median.set_gid(f"ckread:median:{name}")
