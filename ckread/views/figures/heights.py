"""Ticks of upright axes: as many as there is room for below each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.views.figures.numbers import number, tick_labels, tick_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_APART = 0.21
"""Inches between two ticks, at least."""


def height_ticks(low: float, high: float, depth: float) -> list[float]:
    """Give round ticks, steps of 1, 2 and 5, on an axis `depth` inches high."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    least = span * _APART / depth
    power = math.floor(math.log10(least))
    steps = (m * 10.0**p for p in range(power, power + 3) for m in (1, 2, 5))
    step = next(step for step in steps if step >= least)
    return tick_steps(low, high, step)


def set_heights(axes: Axes, low: float, high: float, depth: float) -> None:
    """Give the y axis limits, ticks and a grid."""
    axes.set_ylim(low, high)
    ticks = height_ticks(low, high, depth)
    axes.set_yticks(ticks, tick_labels(ticks), parse_math=False)
    axes.grid(axis="y")


def set_log_heights(axes: Axes, low: float, high: float) -> None:
    """Give a log y axis ticks at decades, or at 1, 2 and 5 where there are few of these."""
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_ylim(low, high)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    multiples = (1,) if math.log10(high / low) >= 2 else (1, 2, 5)
    ticks = [m * 10.0**p for p in powers for m in multiples if low <= m * 10.0**p <= high]
    axes.set_yticks(ticks, [number(tick, 1) for tick in ticks], parse_math=False)
    axes.grid(axis="y")
