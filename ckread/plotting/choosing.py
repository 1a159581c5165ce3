"""What every `plot_` function is asked: which colours, which page, whose axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.views.figures.style import Palette


def palette_of(*, dark: bool) -> Palette:
    """Give the colours for a light or a dark ground."""
    from ckread.views.figures.style import DARK, LIGHT

    return DARK if dark else LIGHT


def page_of(pages: Sequence[Figure], number: int) -> Figure:
    """Give one page, counted from 1.

    Raises:
        UsageError: there is no such page.
    """
    if not 1 <= number <= len(pages):
        raise UsageError(f"page {number}, expected 1 to {len(pages)}")
    return pages[number - 1]


def figure_of(ax: Axes) -> Figure:
    """Give the whole figure that axes are in, subfigures left out."""
    figure = ax.figure
    while (above := figure.figure) is not figure:
        figure = above
    return figure
