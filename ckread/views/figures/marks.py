"""Marks that several pictures of distributions are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ckread.analysis.distribution import Distribution
    from ckread.views.figures.style import Palette


def draw_stairs(
    axes: Axes,
    heights: np.ndarray[tuple[int], np.dtype[np.number]],
    edges: NDArray[np.float64],
    palette: Palette,
    *,
    baseline: float = 0.0,
    width: float = 1.0,
) -> None:
    """Draw a filled histogram with its outline."""
    axes.stairs(heights, edges, fill=True, color=palette.fill, lw=0, baseline=baseline)
    outline = axes.stairs(heights, edges, color=palette.data, lw=width, baseline=baseline)
    outline.set_gid("ckread:histogram")


def draw_strokes(
    axes: Axes, distribution: Distribution, palette: Palette, *, height: float
) -> None:
    """Draw the values themselves, where bars of so few would be fiction."""
    strokes = axes.vlines(distribution.bins.low, 0, height, color=palette.data, lw=1.0)
    strokes.set_gid("ckread:strokes")


def draw_quantile_bar(
    axes: Axes, distribution: Distribution, y: float, height: float, palette: Palette
) -> None:
    """Draw a line from 1 to 99 %, bars from 5 to 95 % and 25 to 75 %, and the median."""
    q01, q05, q25, q50, q75, q95, q99 = (q.value for q in distribution.quantiles)
    (line,) = axes.plot([q01, q99], [y, y], color=palette.data, lw=0.9, solid_capstyle="butt")
    line.set_gid("ckread:q01-q99")
    for start, stop, share in ((q05, q95, 0.35), (q25, q75, 1.0)):
        thick = height * share * 2
        axes.barh(y, stop - start, thick, left=start, color=palette.data, lw=0)
    axes.vlines(q50, y - height, y + height, color=palette.paper, lw=1.4).set_gid("ckread:median")
