"""Many variables over the steps of a run: a map of cells, in the order of the model.

A cell is how far a variable moved in a step; what did not move, is not finite, absent or
has nothing before it looks otherwise. Bars beside the rows: how far each moved in all;
above the columns the learning rate; below the key, of what occurs.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from ckread.analysis.audit.records import seams_by_place
from ckread.views.figures.axes import axis_word, draw_seams, even_ticks, labels
from ckread.views.figures.rows import Layout, lay_out, write_names
from ckread.views.figures.sheet import MARGIN, WIDTH, Caption, Sheet, new_sheet
from ckread.views.figures.style import LABEL_SIZE, TEXT_SIZE, Palette, drawing, sequential_map
from ckread.views.figures.text import number, short_number, text_width
from ckread.views.seams import seam_label

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.drift.records import RunDrift, VariableDrift
    from ckread.views.figures.rows import Band


Alignment = Literal["left", "center", "right"]

MAX_ROWS = 450

_BARS_WIDTH, _MAX_BARS_WIDTH, _BARS_GAP = 0.72, 1.6, 0.2
_MAX_COLUMN = 0.5
_LABEL_GAP = 0.1


class Quantity(NamedTuple):
    """What the cells of a map show.

    Attributes:
        words: of the colours.
        same: of cells in which nothing moved.
        has_bars: whether bars show how far each variable moved in all.
    """

    words: str = "relative distance from the checkpoint before, ‖Δ‖ ÷ ‖before‖ (log)"
    same: str = "bit-identical"
    has_bars: bool = True


DISTANCES = Quantity()


def plot_map(
    result: RunDrift,
    variables: Sequence[VariableDrift],
    caption: Caption,
    quantity: Quantity = DISTANCES,
) -> Figure:
    """Draw one page of at most 450 variables."""
    palette = caption.palette
    has_bars = quantity.has_bars and not result.index_only
    cells = cells_of(variables)
    rates = varying_rate(result)
    with drawing(palette):
        layout = lay_out(variables, top=1.02 if rates else 0.86)
    bars = (
        "Bars: distance of the last from the first, ÷ ‖first‖; none where a variable never "
        "changed or was 0 at first."
    )
    room = WIDTH - MARGIN - layout.left - _BARS_WIDTH - _BARS_GAP
    width = min(room, _MAX_COLUMN * cells.kinds.shape[1])
    below = layout.top + layout.depth
    reading = ["Rows in the order of the model, columns: checkpoints."]
    reading += [bars] if has_bars else []
    with new_sheet(below + 1.16, caption, reading) as sheet:
        axes = sheet.axes(layout.left, layout.top, width, layout.depth)
        axes.set_gid("ckread:map")
        scale = limits(cells.distances)
        draw_cells(axes, layout, cells, scale, palette, is_index=result.index_only)
        _set_axes(axes, layout, width, result, cells)
        marks = seams_by_place(result.seams, result.checkpoints)
        between = [(at - cells.first, seam_label(seam)) for at, seam in marks.items()]
        seams = [(float(x), words) for x, words in between if x >= 0]
        draw_seams(sheet, axes, (layout.left, layout.top, width), seams, is_solid=True)
        write_names(sheet, layout)
        if rates:
            draw_rate(sheet, (layout.left, layout.top), width, rates[cells.first :])
        if has_bars:
            x = layout.left + width + _BARS_GAP
            bars_width = min(WIDTH - MARGIN - x, _MAX_BARS_WIDTH)
            draw_bars(sheet, layout, variables, (x, bars_width))
        middle, soft = layout.left + width / 2, palette.soft
        word = axis_word(result.checkpoints)
        sheet.text(middle, below + 0.2, word, size=LABEL_SIZE, color=soft, ha="center")
        found = kinds_of(cells, is_dotted=layout.row_height >= DOTTED_FROM)
        shown = None if result.index_only else quantity
        draw_key(sheet, found, scale, below + 0.55, shown)
    return sheet.figure


def _set_axes(axes: Axes, layout: Layout, width: float, result: RunDrift, cells: Cells) -> None:
    n = cells.kinds.shape[1]
    axes.set_xlim(0, n)
    axes.set_ylim(layout.depth, 0)
    axes.set_yticks([])
    entries = result.checkpoints[cells.first :]
    names = labels(entries)
    # Labels that would stick out are aligned inward; what then has no room loses its text.
    placed: list[tuple[float, str, Alignment]] = []
    edge = math.inf
    for i in reversed(even_ticks(entries, width)):
        place, name = (i + 0.5) * width / n, names[i]
        text = text_width(name, TEXT_SIZE)
        start = place - text / 2
        alignment: Alignment = "center"
        if place + text / 2 > width + 0.08:
            start, alignment = place - text, "right"
        elif start < -0.3:
            start, alignment = place, "left"
        has_room = start + text <= edge - _LABEL_GAP
        placed.append((place, name if has_room else "", alignment))
        edge = start if has_room else edge
    placed.reverse()
    ticks = [place * n / width for place, _, _ in placed]
    axes.set_xticks(ticks, [name for _, name, _ in placed], parse_math=False)
    for label, (_, _, alignment) in zip(axes.get_xticklabels(), placed, strict=True):
        label.set_horizontalalignment(alignment)


_MAX_DECADES = 6


class Kind(IntEnum):
    """What a cell shows."""

    ABSENT = 0
    """Nothing is there."""
    MOVED = 1
    """A distance from the checkpoint before."""
    SAME = 2
    """Bit-identical to the checkpoint before."""
    BAD = 3
    """NaN or infinite."""
    START = 4
    """There is nothing comparable before."""


class Cells(NamedTuple):
    """The map of some variables.

    Attributes:
        kinds: int8, shape (variables, columns).
        distances: float64, likewise; NaN but where a cell is `MOVED`.
        first: index of the checkpoint of the first column.
    """

    kinds: NDArray[np.int8]
    distances: NDArray[np.float64]
    first: int


def cells_of(variables: Sequence[VariableDrift]) -> Cells:
    """Give the cells; a first column in which everything only starts is left out."""
    kinds = np.array([[_kind(v, i) for i in range(len(v.present))] for v in variables], np.int8)
    distances = np.full(kinds.shape, np.nan)
    for row, variable in enumerate(variables):
        for i in np.flatnonzero(kinds[row] == Kind.MOVED):
            distance = variable.from_previous[i] if variable.from_previous else math.inf
            distances[row, i] = math.inf if distance is None else distance
    is_plain = bool(np.isin(kinds[:, 0], (Kind.START, Kind.ABSENT)).all())
    first = 1 if is_plain and kinds.shape[1] > 1 else 0
    return Cells(kinds[:, first:], distances[:, first:], first)


def _kind(variable: VariableDrift, i: int) -> Kind:
    if not variable.present[i]:
        return Kind.ABSENT
    if not variable.is_finite_at(i):
        return Kind.BAD
    if variable.changed[i] is False:
        return Kind.SAME
    if not variable.from_previous:
        return Kind.MOVED if variable.changed[i] else Kind.START
    distance = variable.from_previous[i]
    if distance is None or math.isnan(distance):
        return Kind.START
    return Kind.MOVED if distance else Kind.SAME


def kinds_of(cells: Cells, *, is_dotted: bool) -> set[Kind]:
    """Give the kinds of cell that are drawn."""
    found = {Kind(kind) for kind in np.unique(cells.kinds)}
    return found if is_dotted else found - {Kind.START}


def limits(distances: NDArray[np.float64]) -> tuple[float, float]:
    """Give decades around most distances: the 2 % and 99.5 % quantile, six decades at most."""
    found = distances[np.isfinite(distances) & (distances > 0)]
    if not found.size:
        return 1e-3, 1.0
    low, high = np.quantile(found, [0.02, 0.995])
    top = math.ceil(math.log10(high) - 1e-9)
    bottom = max(min(math.floor(math.log10(low) + 1e-9), top - 1), top - _MAX_DECADES)
    return 10.0**bottom, 10.0**top


def stretches(row: NDArray[np.int8], kind: Kind) -> Iterator[tuple[int, int]]:
    """Yield the runs of neighbouring cells of one kind, as ranges of columns."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row == kind, [0]])))
    yield from ((int(a), int(b)) for a, b in edges.reshape(-1, 2))


_BAR_WIDTH, _BAR_HEIGHT = 1.9, 0.09
_SWATCH = 0.26
_WORDS = {
    Kind.SAME: "bit-identical",
    Kind.BAD: "NaN or Inf",
    Kind.ABSENT: "absent",
    Kind.START: "nothing before",
}


def draw_key(
    sheet: Sheet,
    kinds: Collection[Kind],
    scale: tuple[float, float],
    y: float,
    quantity: Quantity | None,
) -> None:
    """Draw the key at a height on the sheet; without a quantity cells only changed or did not."""
    x = MARGIN + 0.1
    if quantity is not None:
        axes = sheet.axes(x, y, _BAR_WIDTH, _BAR_HEIGHT)
        axes.set_gid("ckread:scale")
        ramp = np.geomspace(*scale, 256)[None, :]
        image = axes.imshow(ramp, aspect="auto", extent=(0, 1, 0, 1), norm=LogNorm(*scale))
        image.set_cmap(sequential_map(sheet.palette))
        n_decades = round(math.log10(scale[1] / scale[0]))
        low = round(math.log10(scale[0]))
        step = 2 if n_decades > 4 else 1
        powers = range(low, low + n_decades + 1, step)
        axes.set_yticks([])
        axes.set_xticks(
            [(p - low) / n_decades for p in powers],
            [short_number(10.0**p) for p in powers],
            parse_math=False,
        )
        soft = sheet.palette.soft
        sheet.text(MARGIN, y + _BAR_HEIGHT + 0.2, quantity.words, color=soft, gid="ckread:x")
        x += _BAR_WIDTH + 0.4
    else:
        x = _draw_swatch(sheet, x, y, "changed", None)
    for kind, usual in _WORDS.items():
        word = quantity.same if quantity is not None and kind is Kind.SAME else usual
        if kind in kinds:
            x = _draw_swatch(sheet, x, y, word, kind)


def _draw_swatch(sheet: Sheet, x: float, y: float, word: str, kind: Kind | None) -> float:
    """Draw an example of a kind of cell with its word; give where the next one may begin."""
    axes = sheet.axes(x, y - 0.01, _SWATCH, _BAR_HEIGHT + 0.02)
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    palette = sheet.palette
    if kind is Kind.START:
        axes.plot([0.5], [0.5], "o", ms=1.6, color=palette.faint, mec="none")
    else:
        face = {Kind.SAME: palette.cell, Kind.BAD: palette.bad, Kind.ABSENT: palette.paper}
        color = palette.sequential[4] if kind is None else face[kind]
        hatch = "xxxx" if kind is Kind.BAD else None
        edge = palette.faint if kind is Kind.ABSENT else palette.paper
        box = Rectangle((0, 0), 1, 1, fc=color, ec=edge, hatch=hatch, lw=0.6)
        axes.add_patch(box)
    if kind is Kind.SAME:
        axes.plot([0, 1], [0.5, 0.5], color=palette.faint, lw=0.8)
    sheet.text(x + _SWATCH + 0.07, y + _BAR_HEIGHT / 2, word, color=palette.soft, va="center")
    return x + _SWATCH + 0.07 + text_width(word, TEXT_SIZE) + 0.2


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
    # Rows that touch are one image.
    blocks: list[list[Band]] = []
    for band in layout.rows:
        if blocks and abs(blocks[-1][-1].y + band.height - band.y) < 1e-9:
            blocks[-1].append(band)
        else:
            blocks.append([band])
    for block in blocks:
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
    points = [
        (column + 0.5, band.y + band.height / 2)
        for band in layout.rows
        for column in np.flatnonzero(cells.kinds[band.row] == Kind.START)
    ]
    if points and layout.row_height >= DOTTED_FROM:
        x, y = np.array(points).T
        (dots,) = axes.plot(x, y, "o", ms=1.6, color=palette.faint, mec="none", zorder=3)
        dots.set_gid("ckread:start")
    for bracket in layout.brackets[1:]:
        axes.axhline(bracket.start * layout.row_height, color=palette.paper, lw=0.6, zorder=4)


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


def varying_rate(result: RunDrift) -> list[float]:
    """Give the learning rate at each checkpoint, nothing where it is constant or not known."""
    known = [rate for rate in result.learning_rate if rate is not None]
    return known if len(known) == len(result.checkpoints) and len(set(known)) > 1 else []


def draw_rate(
    sheet: Sheet, corner: tuple[float, float], width: float, rates: Sequence[float]
) -> None:
    """Draw the learning rate above the columns of its checkpoints."""
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
