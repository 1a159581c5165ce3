"""Where the variables of a drift go on a sheet: a row each, named, or bracketed by subtree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.lines import Line2D

from ckread.views.figures.brackets import Bracket, brackets
from ckread.views.figures.names import shorten, text_width
from ckread.views.figures.rows import Row, arrange
from ckread.views.figures.sheet import MARGIN, WIDTH
from ckread.views.figures.style import DENSE_SIZE, TEXT_SIZE
from ckread.views.quantities import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.drift_records import VariableDrift
    from ckread.views.figures.sheet import Sheet

MAX_NAMED = 75
"""Rows up to which each has its name."""
LOWEST_NAMED = 0.096
"""Inches of the lowest row with a name."""

_TALLEST, _LOWEST = 0.17, 0.0225
_NAME_WIDTH, _BRACKET_WIDTH = 2.2, 1.1
_HEADING = 0.17


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
        left: where the names end and the rows begin.
        top: of the first band.
        depth: of all bands.
        row_height: of a variable.
    """

    bands: tuple[Band, ...]
    brackets: tuple[Bracket, ...]
    left: float
    top: float
    depth: float
    row_height: float

    @property
    def rows(self) -> list[Band]:
        """The bands of variables."""
        return [band for band in self.bands if band.row is not None]

    @property
    def text_size(self) -> float:
        """Points of what is written in a row."""
        return _size(self.row_height)


def lay_out(variables: Sequence[VariableDrift], *, top: float) -> Layout:
    """Give each variable a row: named where rows are high enough, else bracketed.

    Args:
        variables: in the order of the rows.
        top: of the first row, in inches from that of the sheet.
    """
    names = [safe_text(variable.name) for variable in variables]
    n = len(names)
    is_named = n <= MAX_NAMED
    smallest = LOWEST_NAMED if is_named else _LOWEST
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
    bands = _bands(rows, height)
    depth = bands[-1].y + bands[-1].height
    return Layout(tuple(bands), tuple(found), left, top, depth, height)


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
            if group is not None and row.group != group and height >= LOWEST_NAMED:
                y += 0.25 * height
            bands.append(Band(y, height, row.item, row.text))
            y += height
        group = row.group
    return bands


def write_names(sheet: Sheet, layout: Layout) -> None:
    """Write the names beside the rows, or brackets with those of subtrees."""
    for band in layout.bands:
        middle = layout.top + band.y + band.height / 2
        if band.row is None:
            soft = sheet.palette.soft
            sheet.text(MARGIN, middle, band.text, color=soft, va="center", gid="ckread:heading")
        elif band.text:
            sheet.text(
                layout.left - 0.08, middle, band.text, size=layout.text_size, ha="right",
                va="center", gid="ckread:name",
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
