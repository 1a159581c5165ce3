"""Many variables over the steps of a run: a map of cells, in the order of the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.lines import Line2D

from ckread.views.figures.brackets import Bracket, brackets
from ckread.views.figures.drift_cells import Cells, cells_of, kinds_of, limits
from ckread.views.figures.drift_key import draw_key
from ckread.views.figures.drift_marks import DOTTED_FROM, draw_bars, draw_cells, draw_rate, has_rate
from ckread.views.figures.names import shorten, text_width
from ckread.views.figures.rows import Row, arrange
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.steps import even_ticks, labels
from ckread.views.figures.style import DENSE_SIZE, LABEL_SIZE, TEXT_SIZE, Palette, drawing
from ckread.views.quantities import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.drift_records import RunDrift, VariableDrift

MAX_ROWS = 450
MAX_NAMED = 75

_TALLEST, _LOWEST_NAMED, _LOWEST = 0.17, 0.096, 0.0225
_NAME_WIDTH, _BRACKET_WIDTH = 2.2, 1.1
_HEADING = 0.17
_BARS_WIDTH, _BARS_GAP = 0.72, 0.2
_MAX_COLUMN = 0.35


class Band(NamedTuple):
    """A row of the map, or the heading of the rows after it.

    Attributes:
        y: its top, in inches from the top of the map.
        height: inches.
        row: number of the variable; None for a heading.
        text: what is written beside it.
    """

    y: float
    height: float
    row: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of a map goes, in inches.

    Attributes:
        bands: rows and headings from the top.
        brackets: subtrees beside rows too low for names.
        left: of the cells.
        width: of all columns.
        top: of the first band.
        depth: of all bands.
        row_height: of a variable.
    """

    bands: tuple[Band, ...]
    brackets: tuple[Bracket, ...]
    left: float
    width: float
    top: float
    depth: float
    row_height: float

    @property
    def rows(self) -> list[Band]:
        """The bands of variables."""
        return [band for band in self.bands if band.row is not None]


def plot_map(
    result: RunDrift,
    variables: Sequence[VariableDrift],
    *,
    title: str,
    evidence: Sequence[str],
    palette: Palette,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw one page of at most 450 variables."""
    cells = cells_of(variables)
    with drawing(palette):
        layout = _lay_out(variables, cells, top=1.02 if has_rate(result) else 0.86)
        lines = note_lines(*notes)
        height = layout.top + layout.depth + 1.02 + NOTE_PITCH * len(lines)
        sheet = Sheet(height, palette)
        sheet.title(title, evidence)
        axes = sheet.axes(layout.left, layout.top, layout.width, layout.depth)
        axes.set_gid("ckread:map")
        scale = limits(cells.distances)
        draw_cells(axes, layout, cells, scale, palette, is_index=result.index_only)
        _set_axes(axes, layout, result, cells)
        _write_names(sheet, layout)
        if has_rate(result):
            draw_rate(sheet, layout, result, cells.first)
        if not result.index_only:
            x = layout.left + layout.width + _BARS_GAP
            draw_bars(sheet, layout, variables, (x, _BARS_WIDTH))
        soft = palette.soft
        below = layout.top + layout.depth
        middle = layout.left + layout.width / 2
        sheet.text(middle, below + 0.2, "step", size=LABEL_SIZE, color=soft, ha="center")
        is_dotted = layout.row_height >= DOTTED_FROM
        draw_key(
            sheet,
            kinds_of(cells, is_dotted=is_dotted),
            scale,
            below + 0.55,
            is_index=result.index_only,
        )
        sheet.note(lines)
    return sheet.figure


def _lay_out(variables: Sequence[VariableDrift], cells: Cells, *, top: float) -> Layout:
    names = [safe_text(variable.name) for variable in variables]
    n = len(names)
    is_named = n <= MAX_NAMED
    smallest = _LOWEST_NAMED if is_named else _LOWEST
    height = max(smallest, min(_TALLEST, (7.2 if is_named else 10.1) / n))
    found: list[Bracket] = []
    if is_named:
        size = _size(height)
        rows = arrange(names, _NAME_WIDTH, size=size)
        widest = max(text_width(row.text, size) for row in rows if not row.is_heading)
    else:
        rows = [Row("", i, 0) for i in range(n)]
        found = brackets(names, height)
        shown = [b for b in found if (b.stop - b.start) * height >= 0.09]
        widest = max((text_width(b.label, DENSE_SIZE) for b in shown), default=0.0)
        widest = min(widest, _BRACKET_WIDTH) + 0.1
    left = MARGIN + min(widest, _NAME_WIDTH) + 0.1
    room = WIDTH - MARGIN - left - _BARS_WIDTH - _BARS_GAP
    bands = _bands(rows, height)
    depth = bands[-1].y + bands[-1].height
    width = min(room, _MAX_COLUMN * cells.kinds.shape[1])
    return Layout(tuple(bands), tuple(found), left, width, top, depth, height)


def _size(row_height: float) -> float:
    return TEXT_SIZE if row_height >= 0.125 else DENSE_SIZE


def _bands(rows: Sequence[Row], height: float) -> list[Band]:
    bands: list[Band] = []
    y, group = 0.0, None
    for row in rows:
        if row.is_heading:
            bands.append(Band(y, _HEADING, None, row.text))
            y += _HEADING
        else:
            if group is not None and row.group != group and height >= _LOWEST_NAMED:
                y += 0.25 * height
            bands.append(Band(y, height, row.item, row.text))
            y += height
        group = row.group
    return bands


def _set_axes(axes: Axes, layout: Layout, result: RunDrift, cells: Cells) -> None:
    n = cells.kinds.shape[1]
    axes.set_xlim(0, n)
    axes.set_ylim(layout.depth, 0)
    axes.set_yticks([])
    entries = result.checkpoints[cells.first :]
    at = even_ticks(entries, layout.width)
    names = labels(entries)
    axes.set_xticks([i + 0.5 for i in at], [names[i] for i in at], parse_math=False)
    for i, label in zip(at, axes.get_xticklabels(), strict=True):
        place = (i + 0.5) * layout.width / n
        half = text_width(names[i], TEXT_SIZE) / 2
        if place + half > layout.width + 0.08:
            label.set_horizontalalignment("right")
        elif place - half < -0.3:
            label.set_horizontalalignment("left")


def _write_names(sheet: Sheet, layout: Layout) -> None:
    size = _size(layout.row_height)
    for band in layout.bands:
        middle = layout.top + band.y + band.height / 2
        if band.row is None:
            soft = sheet.palette.soft
            sheet.text(MARGIN, middle, band.text, color=soft, va="center", gid="ckread:heading")
        elif band.text:
            sheet.text(
                layout.left - 0.08, middle, band.text, size=size, ha="right", va="center",
                gid="ckread:name",
            )  # fmt: skip
    _write_brackets(sheet, layout)


def _write_brackets(sheet: Sheet, layout: Layout) -> None:
    last = -math.inf
    x = layout.left - 0.05
    for bracket in layout.brackets:
        start = layout.top + bracket.start * layout.row_height
        stop = layout.top + bracket.stop * layout.row_height
        inset = min(0.012, (stop - start) / 4)
        _draw_vertical(sheet, x, start + inset, stop - inset)
        middle = (start + stop) / 2
        if stop - start < 0.09 or middle - last < 1.18 * DENSE_SIZE / 72:
            continue
        label = shorten(bracket.label, _BRACKET_WIDTH, size=DENSE_SIZE)
        sheet.text(x - 0.05, middle, label, size=DENSE_SIZE, ha="right", va="center",
                   gid="ckread:bracket")  # fmt: skip
        last = middle


def _draw_vertical(sheet: Sheet, x: float, start: float, stop: float) -> None:
    y = np.array([start, stop])
    color = sheet.palette.faint
    line = Line2D([x / WIDTH] * 2, list(1 - y / sheet.height), color=color, lw=1.0)
    sheet.figure.add_artist(line)
