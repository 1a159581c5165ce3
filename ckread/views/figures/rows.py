"""Names as rows: where they are too long, the scope that neighbours share is written once."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.lines import Line2D

from ckread.model.display import safe_text
from ckread.views.figures.sheet import MARGIN, WIDTH
from ckread.views.figures.style import DENSE_SIZE, TEXT_SIZE
from ckread.views.figures.text import fit_names, fits, shorten, text_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.audit.optimizer import WeightUpdate
    from ckread.analysis.drift.records import VariableDrift
    from ckread.views.figures.sheet import Sheet


INDENT = 0.08
_MIN_RUN = 3


class Row(NamedTuple):
    """One row: a name, or the heading of the names after it.

    Attributes:
        text: what to write.
        item: index of the name; None for a heading.
        group: number of the run it is in; rows of a heading share it.
    """

    text: str
    item: int | None
    group: int

    @property
    def is_heading(self) -> bool:
        """Whether it is the heading of the rows after it."""
        return self.item is None


def arrange(names: Sequence[str], width: float, *, size: float) -> list[Row]:
    """Give rows for names in their order, different from each other within a heading."""
    if all(fits(name, width, size=size) for name in names):
        rows, scopes = [], [name.rpartition("/")[0] for name in names]
        group = 0
        for i, name in enumerate(names):
            group += i > 0 and scopes[i] != scopes[i - 1]
            rows.append(Row(name, i, group))
        return rows
    rows, start, group = [], 0, 0
    while start < len(names):
        # The widest scope whose remainders all fit is written above its run of neighbours.
        room = width - INDENT
        parts = names[start].split("/")
        best = (start + 1, "")
        # A long name has a heading of its own rather than a letter of each component.
        min_run = _MIN_RUN if fits(names[start], room, size=size) else 1
        for depth in range(1, len(parts)):
            scope = "/".join(parts[:depth]) + "/"
            stop = start + 1
            while stop < len(names) and names[stop].startswith(scope):
                stop += 1
            if stop - start < min_run:
                break
            best = (stop, scope)
            if all(fits(names[i][len(scope) :], room, size=size) for i in range(start, stop)):
                break
        stop, scope = best
        room = width - (INDENT if scope else 0)
        texts = fit_names([name[len(scope) :] for name in names[start:stop]], room, size=size)
        if scope:
            rows.append(Row(scope, None, group))
        rows += [Row(text, i, group) for i, text in enumerate(texts, start)]
        start, group = stop, group + 1
    return rows


def in_columns(rows: Sequence[Row], n_rows: int) -> list[list[Row]]:
    """Cut rows into columns of at most `n_rows`, a heading repeated where its run goes on."""
    columns: list[list[Row]] = []
    column: list[Row] = []
    heading: Row | None = None
    for row in rows:
        heading = row if row.is_heading else heading
        if heading is not None and heading.group != row.group:
            heading = None
        if len(column) == n_rows or (row.is_heading and len(column) >= n_rows - 1):
            columns.append(column)
            column = [heading] if heading is not None and not row.is_heading else []
        column.append(row)
    return [*columns, column] if column else columns


# Subtree names beside rows that are too low for names of their own.

TALL = 0.125
"""Inches from which on a bracket has room for its name."""

_COVERED = 0.75
_PARTS = re.compile(r"[^/_]+[/_]*|[/_]+")


class Bracket(NamedTuple):
    """Neighbouring rows of one subtree.

    Attributes:
        start: first row.
        stop: row after the last.
        label: what they share, without what all rows share.
    """

    start: int
    stop: int
    label: str


def brackets(names: Sequence[str], row_height: float) -> list[Bracket]:
    """Split rows into subtrees, finer while most of what comes of it is tall enough."""
    parts = [_PARTS.findall(name) for name in names]
    least = max(0, min(map(len, parts)) - 1)
    shared = next((d for d in range(least) if len({p[d] for p in parts}) > 1), least)
    return _split(parts, 0, len(parts), shared, shared, row_height)


def _split(
    parts: Sequence[list[str]], start: int, stop: int, depth: int, above: int, height: float
) -> list[Bracket]:
    children = []
    at = start
    for i in range(start + 1, stop + 1):
        if i == stop or _part(parts[i], depth) != _part(parts[at], depth):
            children.append((at, i))
            at = i
    tall = sum(b - a for a, b in children if (b - a) * height >= TALL)
    if stop - start > 1 and len(children) > 1 and tall >= _COVERED * (stop - start):
        return [
            bracket
            for a, b in children
            for bracket in _split(parts, a, b, depth + 1, above, height)
        ]
    if len(children) == 1 and stop - start > 1 and depth < len(parts[start]) - 1:
        return _split(parts, start, stop, depth + 1, above, height)
    label = "".join(parts[start][above : depth if stop - start > 1 else None]).strip("/_")
    return [Bracket(start, stop, label)]


def _part(parts: Sequence[str], depth: int) -> str:
    """Give a part without its separator: `block_1` and `block_1/kernel` share one."""
    return parts[depth].rstrip("/_") if depth < len(parts) else ""


# Where the variables of a drift go on a sheet: a row each, named, or bracketed by subtree.

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


def lay_out(variables: Sequence[VariableDrift | WeightUpdate], *, top: float) -> Layout:
    """Give each variable a row: named where rows are high enough, else bracketed."""
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
    bands: list[Band] = []
    y, group = 0.0, rows[0].group
    for row in rows:
        if row.group != group and not row.is_heading and height >= LOWEST_NAMED:
            y += 0.25 * height
        bands.append(Band(y, _HEADING if row.is_heading else height, row.item, row.text))
        y += bands[-1].height
        group = row.group
    depth = bands[-1].y + bands[-1].height
    return Layout(tuple(bands), tuple(found), left, top, depth, height)


def _size(row_height: float) -> float:
    return TEXT_SIZE if row_height >= 0.125 else DENSE_SIZE


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
    last = -math.inf
    x, faint = layout.left - 0.05, sheet.palette.faint
    for bracket in layout.brackets:
        start = layout.top + bracket.start * layout.row_height
        stop = layout.top + bracket.stop * layout.row_height
        inset = min(0.012, (stop - start) / 4)
        ends = [1 - (start + inset) / sheet.height, 1 - (stop - inset) / sheet.height]
        sheet.figure.add_artist(Line2D([x / WIDTH] * 2, ends, color=faint, lw=1.0))
        middle = (start + stop) / 2
        if stop - start >= 0.09 and middle - last >= 1.18 * DENSE_SIZE / 72:
            label = shorten(bracket.label, _BRACKET_WIDTH, size=DENSE_SIZE)
            sheet.text(
                x - 0.05, middle, label, size=DENSE_SIZE, ha="right", va="center",
                gid="ckread:bracket",
            )  # fmt: skip
            last = middle
