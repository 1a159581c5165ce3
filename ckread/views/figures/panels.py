"""Two to 48 variables as small histograms, in the order of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.views.drawn import nothing_finite
from ckread.views.figures.marks import draw_stairs, draw_strokes
from ckread.views.figures.names import fits, shorten, split_scope, text_width, wrap_scope
from ckread.views.figures.numbers import count, number, padded, set_value_axis
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.style import TEXT_SIZE, Palette, drawing
from ckread.views.quantities import shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.distribution import Distribution
    from ckread.analysis.statistics import VariableStatistics

_GUTTER = 0.16
_TOP = 0.68
_FEW = 32


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
        return MARGIN + column * (self.width + _GUTTER), _TOP + row * self.pitch


def plot_panels(
    variables: Sequence[VariableStatistics],
    *,
    title: str,
    evidence: Sequence[str],
    palette: Palette,
    notes: Sequence[str] = (),
    is_shared: bool = False,
    is_log: bool = False,
) -> Figure:
    """Draw small histograms of measured variables, up to 6 in three columns, more in five.

    Args:
        variables: in the order in which they are drawn.
        title: the answer.
        evidence: parts of the subtitle.
        palette: light or dark.
        notes: what is left out, under the note on how to read the picture.
        is_shared: whether all panels have one value axis.
        is_log: whether counts are on a log axis.
    """
    grid = _grid_for(variables)
    n_rows = -(-len(variables) // grid.n_columns)
    limits = _common_limits(variables) if is_shared else None
    axis = "one value axis" if is_shared else "each panel has its own value axis"
    with drawing(palette):
        lines = note_lines(_reading(is_log=is_log), *notes)
        height = _TOP + n_rows * grid.pitch + 0.17 + NOTE_PITCH * len(lines)
        sheet = Sheet(height, palette)
        sheet.title(title, [*evidence, axis])
        for i, variable in enumerate(variables):
            _write_heading(sheet, grid, grid.place(i), variable)
            is_last = i + grid.n_columns >= len(variables)
            x, y = grid.place(i)
            axes = sheet.axes(x, y + grid.heading, grid.width, grid.panel_height)
            axes.set_gid(f"ckread:panel:{variable.name}")
            _draw_panel(axes, variable, palette, limits=limits, is_log=is_log, width=grid.width)
            if is_shared and not is_last:
                axes.tick_params(labelbottom=False)
        sheet.note(lines)
    return sheet.figure


def _reading(*, is_log: bool) -> str:
    scale = "logarithmic, " if is_log else ""
    return (
        f"Height: elements per bin, {scale}scaled to the fullest; 32 elements or fewer: a stroke"
        " each. Dotted line: zero. Triangle: mean."
    )


def _grid_for(variables: Sequence[VariableStatistics]) -> _Grid:
    n_columns, panel_height = (3, 0.62) if len(variables) <= 6 else (5, 0.34)
    grid = _Grid(n_columns, panel_height, 0.18, 0.28, 0)
    if all(_fits_one_line(variable, grid.width) for variable in variables):
        return grid
    scopes = [split_scope(variable.name)[0] for variable in variables]
    n_lines = 1 if all(fits(scope, grid.width, size=TEXT_SIZE) for scope in scopes) else 2
    return _Grid(n_columns, panel_height, 0.19 + 0.12 * n_lines, 0.27, n_lines)


def _fits_one_line(variable: VariableStatistics, width: float) -> bool:
    both = text_width(variable.name, TEXT_SIZE) + text_width(_aside(variable), TEXT_SIZE)
    return both + 0.12 <= width


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


def _common_limits(variables: Sequence[VariableStatistics]) -> tuple[float, float] | None:
    finite = [
        v.distribution for v in variables if v.distribution and v.distribution.min is not None
    ]
    if not finite:
        return None
    return padded(
        min(float(d.min) for d in finite if d.min is not None),
        max(float(d.max) for d in finite if d.max is not None),
    )


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
    text = _instead(distribution) if distribution else "damaged"
    if distribution is None or text:
        axes.set_axis_off()
        is_bad = text in ("all NaN", "nothing finite", "damaged")
        color = palette.bad if is_bad else palette.soft
        place: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "size": TEXT_SIZE,
            "transform": axes.transAxes,
        }
        axes.text(0.5, 0.45, text, color=color, **place).set_gid("ckread:instead")
        return
    low, high = limits or padded(float(distribution.min or 0), float(distribution.max or 0))
    set_value_axis(axes, low, high, width, gutter=_GUTTER)
    if distribution.finite <= _FEW:
        draw_strokes(axes, distribution, palette, height=0.55)
    else:
        _draw_counts(axes, distribution, palette, is_log=is_log)
    if low < 0 < high:
        axes.axvline(0, color=palette.faint, lw=0.7, ls=(0, (1, 2)), zorder=3)
    (mean,) = axes.plot([distribution.mean or 0.0], [0], "^", ms=3, color=palette.ink, mec="none")
    mean.set(clip_on=False, zorder=4, gid="ckread:mean")


def _instead(distribution: Distribution) -> str:
    """Give what stands in the place of a histogram that would say nothing."""
    if distribution.min == distribution.max and distribution.finite > 1:
        every = "all" if distribution.finite == distribution.elements else "all others"
        return f"{every} {number(float(distribution.min or 0))}"
    return nothing_finite(distribution)


def bins_for(n: int) -> int:
    """Give how many bins a small histogram of `n` elements has."""
    return int(np.clip(2 * n ** (1 / 3), 8, 48))


def _draw_counts(axes: Axes, distribution: Distribution, palette: Palette, *, is_log: bool) -> None:
    histogram = distribution.histogram(bins_for(distribution.finite))
    counts = np.array(histogram.counts, np.float64)
    heights = np.log1p(counts) / np.log1p(counts.max()) if is_log else counts / counts.max()
    draw_stairs(axes, heights, np.array(histogram.edges), palette)
