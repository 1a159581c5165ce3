"""The axis of relative distances: decades, their numbers at the top, dots below."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.views.figures.numbers import number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes

_MAX_TICKS = 8


def decades_of(distances: Iterable[float | None]) -> tuple[int, int]:
    """Give the powers of ten that hold all distances: below the least, from the greatest on."""
    known = [distance for distance in distances if distance is not None]
    if not known:
        return -3, 0
    low = math.floor(math.log10(min(known)) - 1e-9)
    return low, max(low + 1, math.ceil(math.log10(max(known)) - 1e-9))


def set_distance_axis(axes: Axes, decades: tuple[int, int], height: float) -> None:
    """Set up axes for dots: distances to the right, `height` inches of rows from the top down."""
    low, high = decades
    axes.set_gid("ckread:dots")
    axes.set_xscale("log")
    axes.set_xlim(10.0**low, 10.0**high)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.minorticks_off()
    if high - low < 2:
        ticks = [m * 10.0**p for p in range(low, high) for m in (1, 2, 5)] + [10.0**high]
    else:
        step = -(-(high - low) // _MAX_TICKS)
        ticks = [10.0**power for power in range(low, high + 1, step)]
    axes.set_xticks(ticks, [number(tick, 1) for tick in ticks], parse_math=False)
    axes.tick_params(top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.grid(axis="x")
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_visible(True)
