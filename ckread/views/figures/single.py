"""One variable, large: its histogram, mean and deviation, quantiles, and the figures in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.views.figures.axes import (
    FEW,
    draw_quantile_bar,
    draw_stairs,
    draw_strokes,
    set_count_heights,
)
from ckread.views.figures.sheet import MARGIN, WIDTH, Caption, Sheet, new_sheet
from ckread.views.figures.style import LABEL_SIZE, Palette
from ckread.views.figures.text import count, fixed, number, padded, set_value_axis
from ckread.views.terminal.words import nothing_finite, shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.statistics.distribution import Distribution
    from ckread.analysis.statistics.statistics import VariableStatistics

MAX_BINS = 60
_HEIGHT = 3.3
_PLOT = (0.62, 0.72, 4.75, 1.82)
_BAR_HEIGHT = 0.22
_TABLE_LEFT, _TABLE_RIGHT, _TABLE_TOP, _ROW = 5.59, WIDTH - MARGIN - 0.02, 0.78, 0.142
_LOG_ABOVE = 1000


def plot_histogram(
    variable: VariableStatistics,
    *,
    evidence: Sequence[str],
    palette: Palette,
    is_log: bool | None = None,
) -> Figure:
    """Draw the distribution of one variable on a sheet of its own."""
    distribution = variable.distribution
    if distribution is None:
        raise ValueError(f"{variable.name} was not measured")
    n = distribution.elements
    facts = [str(variable.dtype), shape_text(variable.shape)]
    facts.append("1 element" if n == 1 else f"{count(n)} elements")
    with new_sheet(_HEIGHT, Caption(variable.name, [*evidence, *facts], palette)) as sheet:
        if distribution.min is None or distribution.max is None:
            text = nothing_finite(distribution)
            x, y, width, height = _PLOT
            color = palette.soft if text == "no elements" else palette.bad
            middle = {"ha": "center", "va": "center"}
            sheet.text(x + width / 2, y + height / 2, text, size=LABEL_SIZE, color=color, **middle)
        else:
            _draw(sheet, distribution, is_log=is_log)
        _write_table(sheet, distribution)
    return sheet.figure


def _draw(sheet: Sheet, distribution: Distribution, *, is_log: bool | None) -> None:
    x, y, width, height = _PLOT
    low, high = padded(float(distribution.min or 0), float(distribution.max or 0))
    upper = sheet.axes(x, y, width, height)
    lower = sheet.axes(x, y + height, width, _BAR_HEIGHT)
    lower.set_yticks([])
    lower.set_ylim(0, 1)
    upper.tick_params(bottom=False, labelbottom=False)
    for axes in (upper, lower):
        axes.spines["left"].set_visible(True)
        set_value_axis(axes, low, high, width)
    upper.set_xticks([])
    lower.spines["left"].set_visible(False)
    unit = _draw_heights(upper, sheet, distribution, is_log=is_log)
    _draw_moments(upper, sheet, distribution)
    draw_quantile_bar(lower, distribution, 0.46, 0.19, sheet.palette)
    soft = sheet.palette.soft
    sheet.text(0.26, 0.55, unit, color=soft, gid="ckread:y")
    value = str(distribution.measure)
    below = y + height + _BAR_HEIGHT + 0.16
    sheet.text(x + width / 2, below, value, color=soft, ha="center", gid="ckread:x")
    if distribution.min == distribution.max:
        bins = "All elements are equal"
    elif distribution.finite > FEW:
        bins = f"{_n_bins(distribution)} equal bins"
    else:
        bins = "Each stroke is one element"
    sheet.note([f"{bins}. Bar below: 1–99 %, 5–95 %, 25–75 %, median. Grey band: 5–95 %."])


def _n_bins(distribution: Distribution) -> int:
    """Give 60 bins, fewer where they would hold three elements each."""
    return int(np.clip(6 * distribution.finite ** (1 / 3), 12, MAX_BINS))


def _draw_heights(
    axes: Axes, sheet: Sheet, distribution: Distribution, *, is_log: bool | None
) -> str:
    palette = sheet.palette
    if distribution.finite <= FEW or distribution.min == distribution.max:
        axes.set_ylim(0, 1)
        axes.set_yticks([])
        draw_strokes(axes, distribution, palette, height=0.7)
        return "elements" if distribution.finite > 1 else "the element"
    histogram = distribution.histogram(_n_bins(distribution))
    counts, edges = np.array(histogram.counts), np.array(histogram.edges)
    filled = counts[counts > 0]
    if is_log is None:
        is_log = bool(filled.max() > _LOG_ABOVE * np.median(filled))
    floor = 0.7 if is_log else 0.0
    if is_log:
        axes.set_yscale("log")
        axes.set_ylim(floor, counts.max() * 2)
        axes.minorticks_off()
        powers = range(len(str(int(counts.max()))))
        axes.set_yticks([10.0**p for p in powers], [count(10**p) for p in powers])
        axes.grid(axis="y")
    else:
        set_count_heights(axes, counts.max() * 1.14, 1.4)
    shown = np.where(counts > 0, counts, floor)
    draw_stairs(axes, shown, edges, palette, baseline=floor, width=1.2)
    return "elements per bin (log)" if is_log else "elements per bin"


def _draw_moments(axes: Axes, sheet: Sheet, distribution: Distribution) -> None:
    palette = sheet.palette
    q05, q95 = distribution.quantile(0.05).value, distribution.quantile(0.95).value
    axes.axvspan(q05, q95, color=palette.cell, lw=0, zorder=0)
    mean, std = distribution.mean or 0.0, distribution.std or 0.0
    low, high = axes.get_ylim()
    is_log = axes.get_yscale() == "log"
    y = low * (high / low) ** 0.945 if is_log else low + (high - low) * 0.945
    axes.vlines(mean, low, y, color=palette.data, lw=0.9).set_gid("ckread:mean")
    (bar,) = axes.plot([mean - std, mean + std], [y, y], color=palette.ink, lw=0.9, clip_on=False)
    bar.set_gid("ckread:std")
    axes.plot([mean - std, mean + std], [y, y], ls="none", marker="|", ms=5, color=palette.ink)
    axes.plot([mean], [y], ls="none", marker="v", ms=4, color=palette.ink, mec="none")
    left, width = _PLOT[0], _PLOT[2]
    span = axes.get_xlim()
    at = (mean + std - span[0]) / (span[1] - span[0]) * width + 0.07
    is_right = at + 0.55 < width
    if not is_right:
        at = (mean - std - span[0]) / (span[1] - span[0]) * width - 0.07
    ha = "left" if is_right else "right"
    sheet.text(left + at, _PLOT[1] + _PLOT[3] * 0.055, "mean ± sd", ha=ha, va="center")


def _write_table(sheet: Sheet, distribution: Distribution) -> None:
    def shown(value: Any) -> str:
        if isinstance(value, int) and abs(value) < 10**15:
            return count(value) if value >= 0 else fixed(value, 0)
        return "–" if value is None else number(value, 4)

    names = ["1 %", "5 %", "25 %", "median", "75 %", "95 %", "99 %"]
    quantiles = [
        (name, shown(quantile.value))
        for name, quantile in zip(names, distribution.quantiles, strict=False)
    ]
    moments = [("mean", distribution.mean), ("sd", distribution.std), ("L2 norm", distribution.l2)]
    order = [("max", shown(distribution.max)), *reversed(quantiles)]
    not_finite = distribution.nan, distribution.infinite
    bad = ", ".join(map(count, not_finite)) if any(not_finite) else "0"
    groups = [
        [(name, shown(value)) for name, value in moments],
        [*order, ("min", shown(distribution.min))],
        [("zeros", count(distribution.zeros)), ("NaN, Inf", bad)],
    ]
    y, palette = _TABLE_TOP, sheet.palette
    for group in groups:
        for label, text in group:
            sheet.text(_TABLE_LEFT, y, label, color=palette.soft, va="center")
            color = palette.bad if label == "NaN, Inf" and text != "0" else palette.ink
            sheet.text(_TABLE_RIGHT, y, text, color=color, ha="right", va="center")
            y += _ROW
        y += _ROW / 2
