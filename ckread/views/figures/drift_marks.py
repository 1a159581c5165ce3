"""What is drawn on a drift map: cells of five kinds, bars beside them, the learning rate above."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from ckread.views.figures.drift_cells import Cells, Kind, stretches
from ckread.views.figures.numbers import number, short_number
from ckread.views.figures.style import TEXT_SIZE, Palette, sequential_map

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ckread.analysis.drift_records import RunDrift, VariableDrift
    from ckread.views.figures.drift_layout import Band, Layout
    from ckread.views.figures.sheet import Sheet

DOTTED_FROM = 0.06
"""Inches of a row from which on cells with nothing before them have a dot."""
_DECADE = 0.6
"""Inches of a decade of the bars from which on each has its tick."""


def draw_cells(
    axes: Axes,
    layout: Layout,
    cells: Cells,
    scale: tuple[float, float],
    palette: Palette,
    *,
    is_index: bool,
) -> None:
    """Draw every cell: colours as images, the other kinds as marks on them."""
    norm = LogNorm(*scale, clip=True)
    for block in _blocks(layout.rows):
        rows = [band.row for band in block if band.row is not None]
        values = np.where(np.isposinf(cells.distances[rows]), scale[1], cells.distances[rows])
        if is_index:
            values = np.where(np.isnan(values), np.nan, scale[1] ** 0.75)
        image = axes.imshow(
            np.ma.masked_invalid(values),
            extent=(0, values.shape[1], block[-1].y + block[-1].height, block[0].y),
            aspect="auto", interpolation="nearest", cmap=sequential_map(palette), norm=norm,
        )  # fmt: skip
        image.set_gid("ckread:cells")
    _draw_same(axes, layout, cells, palette)
    _draw_bad(axes, layout, cells, palette)
    if layout.row_height >= DOTTED_FROM:
        _draw_starts(axes, layout, cells, palette)
    for bracket in layout.brackets[1:]:
        axes.axhline(bracket.start * layout.row_height, color=palette.paper, lw=0.6, zorder=4)


def _blocks(rows: Sequence[Band]) -> list[list[Band]]:
    """Give the rows that touch, together."""
    blocks: list[list[Band]] = []
    for band in rows:
        if blocks and abs(blocks[-1][-1].y + band.height - band.y) < 1e-9:
            blocks[-1].append(band)
        else:
            blocks.append([band])
    return blocks


def _draw_same(axes: Axes, layout: Layout, cells: Cells, palette: Palette) -> None:
    grounds, lines = [], []
    for band in layout.rows:
        for start, stop in stretches(cells.kinds[band.row], Kind.SAME):
            grounds.append(Rectangle((start, band.y), stop - start, band.height))
            middle = band.y + band.height / 2
            lines.append([(start, middle), (stop, middle)])
    if grounds:
        axes.add_collection(
            PatchCollection(grounds, fc=palette.cell, ec="none", zorder=2), autolim=False
        )
        is_dense = layout.row_height < 0.096
        color = palette.rule if is_dense else palette.faint
        drawn = LineCollection(lines, color=color, lw=0.5 if is_dense else 0.8, zorder=3)
        drawn.set_gid("ckread:same")
        axes.add_collection(drawn, autolim=False)


def _draw_bad(axes: Axes, layout: Layout, cells: Cells, palette: Palette) -> None:
    """Hatch what is not finite; neighbouring rows of one stretch are one rectangle."""
    open_boxes: dict[tuple[int, int], Rectangle] = {}
    for band in layout.rows:
        found = set(stretches(cells.kinds[band.row], Kind.BAD))
        kept = {}
        for start, stop in found:
            above = open_boxes.get((start, stop))
            if above is not None and abs(above.get_y() + above.get_height() - band.y) < 1e-9:
                above.set_height(above.get_height() + band.height)
                kept[start, stop] = above
                continue
            box = Rectangle(
                (start, band.y), stop - start, band.height, fc=palette.bad, ec=palette.paper,
                hatch="xxxx", lw=0, zorder=3,
            )  # fmt: skip
            box.set_gid("ckread:bad")
            axes.add_patch(box)
            kept[start, stop] = box
        open_boxes = kept


def _draw_starts(axes: Axes, layout: Layout, cells: Cells, palette: Palette) -> None:
    points = [
        (column + 0.5, band.y + band.height / 2)
        for band in layout.rows
        for column in np.flatnonzero(cells.kinds[band.row] == Kind.START)
    ]
    if points:
        x, y = np.array(points).T
        (dots,) = axes.plot(x, y, "o", ms=1.6, color=palette.faint, mec="none", zorder=3)
        dots.set_gid("ckread:start")


def draw_bars(
    sheet: Sheet, layout: Layout, variables: Sequence[VariableDrift], place: tuple[float, float]
) -> None:
    """Draw how far each variable is from where it started, on a log axis."""
    x, width = place
    palette = sheet.palette
    moved = [v.moved for v in variables]
    finite = [m for m in moved if m and math.isfinite(m)]
    if not finite:
        return
    axes = sheet.axes(x, layout.top, width, layout.depth)
    axes.set_gid("ckread:bars")
    low = 10.0 ** math.floor(math.log10(min(finite)) - 0.3)
    high = 10.0 ** math.ceil(math.log10(max(finite)) + 1e-9)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(layout.depth, 0)
    axes.set_yticks([])
    axes.minorticks_off()
    n_decades = round(math.log10(high / low))
    step = 1 if width >= _DECADE * n_decades else n_decades
    ticks = [low * 10.0**power for power in range(0, n_decades + 1, step)]
    axes.set_xticks(ticks, [number(tick, 1) for tick in ticks], parse_math=False)
    first, *_, last = axes.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    for band in layout.rows:
        far = moved[band.row or 0]
        if far and math.isfinite(far):
            share = 0.7 if band.height >= 0.096 else 1.0
            y = band.y + band.height * (1 - share) / 2
            bar = Rectangle((low, y), far - low, band.height * share, color=palette.other, lw=0)
            bar.set_gid(f"ckread:bar:{variables[band.row or 0].name}")
            axes.add_patch(bar)
    sheet.text(x, layout.top - 0.07, "first to last", color=palette.soft, va="bottom")


def has_rate(result: RunDrift) -> bool:
    """Tell whether there is a learning rate that varies."""
    known = [rate for rate in result.learning_rate if rate is not None]
    return len(known) == len(result.checkpoints) and len(set(known)) > 1


def draw_rate(
    sheet: Sheet, corner: tuple[float, float], width: float, rates: Sequence[float | None]
) -> None:
    """Draw the learning rate above the columns of its checkpoints.

    Args:
        sheet: to draw on.
        corner: left and top of the map below, in inches.
        width: of all columns, in inches.
        rates: one per column.
    """
    left, top = corner
    known = np.array(rates, np.float64)
    palette = sheet.palette
    axes = sheet.axes(left, top - 0.42, width, 0.3)
    axes.set_gid("ckread:learning_rate")
    axes.stairs(known, np.arange(len(known) + 1), baseline=None, color=palette.mark, lw=1.2)
    axes.set_xlim(0, len(known))
    axes.set_ylim(0, known.max() * 1.05)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    largest = f"up to {short_number(float(known.max()))}"
    for y, words in ((top - 0.34, "learning rate"), (top - 0.22, largest)):
        x = left + width + 0.2
        sheet.text(x, y, words, color=palette.mark, va="bottom", size=TEXT_SIZE)
