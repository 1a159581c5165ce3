"""One variable before and after: both distributions, and that of the differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ckread.views.figures.marks import draw_stairs
from ckread.views.figures.names import text_width
from ckread.views.figures.numbers import count, number, set_value_axis, value_ticks
from ckread.views.figures.sheet import MARGIN, WIDTH, Sheet
from ckread.views.figures.style import HEADING_SIZE, TEXT_SIZE, Palette, drawing
from ckread.views.quantities import safe_text, shape_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.diff_records import CheckpointDiff, VariableDiff
    from ckread.analysis.difference import Difference

_HEIGHT = 2.8
_TOP = 1.0
_PANEL_HEIGHT = 1.4
_LEFT = 0.5
_GAP = 0.62
_PANEL_WIDTH = (WIDTH - MARGIN - _LEFT - _GAP) / 2


def plot_difference(
    result: CheckpointDiff, variable: VariableDiff, difference: Difference, *, palette: Palette
) -> Figure:
    """Draw the values of both sides on common bins, and their differences around 0.

    Args:
        result: the diff that the variable is of.
        variable: one that is on both sides.
        difference: its histograms.
        palette: light or dark.
    """
    with drawing(palette):
        sheet = Sheet(_HEIGHT, palette)
        facts = [f"{safe_text(result.a)} → {safe_text(result.b)}"]
        if variable.b is not None:
            facts += [str(variable.b.dtype), shape_text(variable.shape)]
        sheet.title(safe_text(variable.name), facts)
        _draw_values(sheet, difference)
        _draw_moved(sheet, difference)
        sheet.note([_metrics(variable)])
    return sheet.figure


def _metrics(variable: VariableDiff) -> str:
    metrics = variable.metrics
    if metrics is None:
        return ""
    parts = [f"{count(metrics.changed_elements)} of {count(variable.elements)} elements changed"]
    for word, value in (
        ("max", metrics.max_abs),
        ("mean", metrics.mean_abs),
        ("relative L2", metrics.relative_l2),
    ):
        if value is not None:
            parts.append(f"{word} {number(float(value))}")
    if metrics.cosine is not None:
        parts.append(f"cosine {number(metrics.cosine, 4)}")
    if metrics.sign_flips is not None:
        parts.append(f"sign flips {count(metrics.sign_flips)}")
    return "  ·  ".join(parts)


def _draw_values(sheet: Sheet, difference: Difference) -> None:
    palette = sheet.palette
    axes = _panel(sheet, _LEFT, "values", ticks_of=max(*difference.before, *difference.after, 1))
    edges = np.array(difference.edges)
    _value_axis(axes, edges)
    draw_stairs(axes, np.array(difference.after), edges, palette, width=1.2)
    before = axes.stairs(np.array(difference.before), edges, color=palette.ink, lw=0.9)
    before.set(linestyle=(0, (4, 2)), gid="ckread:before")
    right = _LEFT + _PANEL_WIDTH
    key = sheet.axes(_LEFT, _TOP - 0.36, _PANEL_WIDTH, 0.16)
    key.set_axis_off()
    key.set(xlim=(0, _PANEL_WIDTH), ylim=(0, 1))
    for word, color, style in (
        ("after", palette.data, "-"), ("before", palette.ink, (0, (4, 2))),
    ):  # fmt: skip
        width = text_width(word, TEXT_SIZE)
        sheet.text(right, _TOP - 0.28, word, ha="right", va="center_baseline")
        end = right - width - 0.06 - _LEFT
        key.plot([end - 0.26, end], [0.5, 0.5], color=color, lw=1.1, ls=style)
        right -= width + 0.5


def _draw_moved(sheet: Sheet, difference: Difference) -> None:
    left = _LEFT + _PANEL_WIDTH + _GAP
    heading = "differences, after − before"
    axes = _panel(sheet, left, heading, ticks_of=max(*difference.moved, 1))
    edges = np.array(difference.moved_edges)
    _value_axis(axes, edges)
    if any(difference.moved):
        draw_stairs(axes, np.array(difference.moved), edges, sheet.palette, width=1.2)
    left_out = []
    if difference.unchanged:
        left_out.append(f"{count(difference.unchanged)} unchanged left out")
    if difference.not_finite:
        left_out.append(f"{count(difference.not_finite)} not finite")
    if left_out:
        right, soft = left + _PANEL_WIDTH, sheet.palette.soft
        text = ", ".join(left_out)
        sheet.text(right, _TOP - 0.28, text, color=soft, ha="right", va="center_baseline")


def _panel(sheet: Sheet, left: float, heading: str, *, ticks_of: int) -> Axes:
    x = left - 0.36
    sheet.text(x, _TOP - 0.42, heading, size=HEADING_SIZE, weight="bold", va="center_baseline")
    soft = sheet.palette.soft
    sheet.text(x, _TOP - 0.28, "elements per bin", color=soft, va="center_baseline")
    axes = sheet.axes(left, _TOP - 0.12, _PANEL_WIDTH, _PANEL_HEIGHT)
    axes.set_ylim(0, ticks_of * 1.08)
    ticks = [tick for tick in value_ticks(0, ticks_of * 1.08, 1.2) if tick == round(tick)]
    axes.set_yticks(ticks, [count(round(tick)) for tick in ticks])
    axes.grid(axis="y")
    axes.set_gid(f"ckread:panel:{heading.split(',')[0]}")
    return axes


def _value_axis(axes: Axes, edges: NDArray[np.float64]) -> None:
    low, high = float(edges[0]), float(edges[-1])
    set_value_axis(axes, low, high, _PANEL_WIDTH)
    if low < 0 < high:
        color = axes.xaxis.get_ticklines()[0].get_color()
        axes.axvline(0, color=color, lw=0.7, ls=(0, (1, 2)), zorder=3)
