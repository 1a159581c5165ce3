"""The data of a picture on axes that the caller made: marks, limits and labels, no sheet.

Title, table and notes of the whole picture are left to the caller, and so is its style.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ckread.analysis.audit.records import seams_by_place
from ckread.errors import UsageError
from ckread.model.role import Role
from ckread.views.figures.axes import (
    FEW,
    draw_seam,
    draw_stairs,
    draw_strokes,
    places,
    seams_between,
)
from ckread.views.figures.curves import draw_curve, run_seams, values_of
from ckread.views.figures.diff import dot_rows
from ckread.views.figures.drift import draw_line
from ckread.views.figures.filters import draw_tile
from ckread.views.figures.many import bins_for
from ckread.views.figures.over_steps import draw_bands, figures_of
from ckread.views.figures.style import TEXT_SIZE
from ckread.views.figures.text import drawable, typeset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from ckread.analysis.diff.records import CheckpointDiff
    from ckread.analysis.drift.records import RunDrift
    from ckread.analysis.filters.filters import Filters
    from ckread.analysis.history.history import TrainingHistory
    from ckread.analysis.statistics.distribution import Distribution
    from ckread.analysis.statistics.statistics import VariableStatistics
    from ckread.analysis.track import RunTrack
    from ckread.views.figures.style import Palette

MAX_LINES = 10
MAX_ROWS = 60
_GAP = 0.25


def _check(n: int, most: int, what: str) -> None:
    if not 1 <= n <= most:
        remedy = "Give patterns that mean fewer, or leave out ax."
        raise UsageError(f"{n} {what} do not fit one axes, expected 1 to {most}", remedy=remedy)


def _add_legend(axes: Axes, lines: Sequence[Line2D], names: Sequence[str]) -> None:
    """Say which line is which; matplotlib leaves out labels that begin with `_`."""
    legend = axes.legend(lines, [str(i) for i in range(len(lines))])
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(drawable(name))


def _mark_seams(axes: Axes, seams: Sequence[tuple[float, str]], palette: Palette) -> None:
    """Draw the seams as lines, each with its words along it: above may be the caller's title."""
    for x, words in seams:
        draw_seam(axes, x, palette)
        text = axes.annotate(
            typeset(words), (x, 1), (-2, -3), xycoords=("data", "axes fraction"),
            textcoords="offset points", rotation=90, ha="right", va="top", size=TEXT_SIZE,
            color=palette.soft, parse_math=False, clip_on=True,
        )  # fmt: skip
        text.set(gid="ckread:seam-label", in_layout=False)


def draw_histogram(
    axes: Axes, variable: VariableStatistics, palette: Palette, *, log: bool
) -> None:
    """Draw elements per bin of one variable; 32 elements or fewer as a stroke each."""
    distribution = variable.distribution
    if distribution is None or distribution.min is None:
        raise UsageError(f"{variable.name}: no finite element to draw")
    axes.set_title(drawable(variable.name), parse_math=False)
    axes.set_xlabel(str(distribution.measure))
    if distribution.finite <= FEW or distribution.min == distribution.max:
        draw_strokes(axes, distribution, palette, height=1.0)
        axes.set_yticks([])
        return
    histogram = distribution.histogram(bins_for(distribution.finite))
    draw_stairs(axes, np.array(histogram.counts), np.array(histogram.edges), palette)
    axes.set_ylabel("elements per bin")
    if log:
        axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)


def draw_quantiles(
    axes: Axes, name: str, pairs: Sequence[tuple[int, Distribution | None]], palette: Palette
) -> None:
    """Draw bands of quantiles of one variable over the steps of a run."""
    steps = np.array([step for step, _ in pairs], np.float64)
    draw_bands(axes, steps, np.array([figures_of(found) for _, found in pairs]), palette)
    axes.set_title(drawable(name), parse_math=False)
    axes.set(xlabel="step", ylabel="value")


def draw_diff(axes: Axes, result: CheckpointDiff, palette: Palette) -> None:
    """Draw how far every variable moved, relative to its norm, in the order of the model."""
    rows = [row for row in dot_rows(result.variables) if row.relative]
    _check(len(rows), MAX_ROWS, "rows")
    for y, row in enumerate(rows):
        is_weight = row.members[0].role is Role.WEIGHT
        color = palette.data if is_weight else palette.average
        axes.plot([row.relative or 0.0], [y], "o" if is_weight else "D", color=color, ms=4)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row.name for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("‖after − before‖ ÷ ‖before‖")


def draw_drift(axes: Axes, result: RunDrift, palette: Palette) -> None:
    """Draw the distance of up to ten variables from the first checkpoint."""
    _check(len(result.variables), MAX_LINES, "variables")
    if result.index_only or not result.checkpoints:
        raise UsageError(f"{result.path}: no values were read, nothing to draw")
    x = places(result.checkpoints)
    breaks = [at for at in seams_by_place(result.seams, result.checkpoints) if at]
    lines = []
    for i, variable in enumerate(result.variables):
        before = len(axes.lines)
        draw_line(axes, i, variable, x, palette, breaks=breaks)
        lines.append(axes.lines[before])
        for drawn in axes.lines[before:]:
            drawn.set_clip_on(True)  # the caller may zoom
    _mark_seams(axes, seams_between(result.seams, result.checkpoints, x), palette)
    axes.set(xlabel="step", ylabel="distance from the first ÷ its norm")
    _add_legend(axes, lines, [variable.name for variable in result.variables])


def draw_track(axes: Axes, result: RunTrack, palette: Palette) -> None:
    """Draw up to ten values over a run, each held until the next checkpoint."""
    _check(len(result.variables), MAX_LINES, "values")
    x = places(result.checkpoints)
    lines = []
    for i, variable in enumerate(result.variables):
        y = [math.nan if value is None else value for value in variable.values]
        color = palette.lines[i % len(palette.lines)]
        lines += axes.step(x, y, where="post", color=color, marker="o", ms=3)
    _mark_seams(axes, seams_between(result.seams, result.checkpoints, x), palette)
    axes.set_xlabel("step")
    if len(lines) == 1:
        axes.set_ylabel(drawable(result.variables[0].name), parse_math=False)
    else:
        _add_legend(axes, lines, [variable.name for variable in result.variables])


def draw_history(axes: Axes, result: TrainingHistory, metric: str, palette: Palette) -> None:
    """Draw one metric, of training dashed and of validation, and a line at the best epoch."""
    names = [name for name in (metric, f"val_{metric}") if name in result.metrics]
    if not names:
        remedy = f"There are {', '.join(result.metrics)}."
        raise UsageError(f"no metric {metric} in these logs", remedy=remedy)
    epochs = np.array(result.epochs, np.float64)
    lines = []
    for name in names:
        values = values_of(result, name)
        if values is not None:
            before = len(axes.lines)
            draw_curve(axes, name, epochs, values, palette, is_validation=name is names[-1])
            lines.append(axes.lines[before])
            lines[-1].set_clip_on(True)
    _mark_seams(axes, run_seams(result), palette)
    best = result.best
    if best is not None and best.epoch is not None and best.metric in names:
        lines.append(axes.axvline(best.epoch, color=palette.mark, lw=1.0))
        names.append("best")
    axes.set(xlabel=result.unit)
    axes.set_ylabel(drawable(metric), parse_math=False)
    _add_legend(axes, lines, names)


def draw_filters(axes: Axes, filters: Filters, palette: Palette, *, per_kernel: bool) -> None:
    """Draw kernels as tiles in a square, red for positive weights and blue for negative."""
    n, rows, columns = filters.tiles.shape[:3]
    per_row = math.ceil(math.sqrt(n))
    across, down = columns * (1 + _GAP), rows * (1 + _GAP)
    for i, tile in enumerate(filters.tiles):
        scale = float(np.abs(tile).max()) if per_kernel else filters.scale
        place = (i % per_row * across, i // per_row * down, columns, rows)
        draw_tile(axes, tile, place, scale, palette, gid=f"ckread:tile:{i}")
    n_rows = -(-n // per_row)
    axes.set(xlim=(-0.05, per_row * across), ylim=(n_rows * down, -0.05), aspect="equal")
    axes.set_title(drawable(filters.name), parse_math=False)
    axes.set_axis_off()
