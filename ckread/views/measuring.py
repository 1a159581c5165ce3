"""Columns with their cells, measured, and made to fit the width of the paper."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic

from ckread.views.column import Justify, Row
from ckread.views.folding import fold
from ckread.views.page import Span
from ckread.views.paper import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.views.column import Column
    from ckread.views.page import Line
    from ckread.views.paper import Paper

GAP = "  "
MIN_FOLDED_WIDTH = 30
"""Cells that a folding name keeps while columns can be left out instead."""

MIN_WIDTH = 8
"""Cells that a folding name keeps in any case."""

Cell = tuple["Line", int]
"""A line of a cell, and how many terminal cells it takes."""

_NUMBER = re.compile(r"[<>~]?-?\d[\d,]*")


class MeasuredColumn(Generic[Row]):
    """A column with the cells of its rows, and its width."""

    def __init__(
        self, column: Column[Row], rows: Sequence[Row], paper: Paper, *, has_header: bool
    ) -> None:
        self.column = column
        self.is_left = column.justify is Justify.LEFT
        self.title = paper.spell(column.title) if has_header else ""
        self._rows = rows
        self._paper = paper
        self._cells: list[Cell] = []
        self._widest = 0
        self.width = max(cell_len(self.title), column.cells[0])
        if column.shown is not None:
            known = _KnownCells(column.style, paper)
            self._cells = [known[content] for content in map(column.shown, rows)]
            if column.justify is Justify.POINT:
                self._align_points()
            self._widest = max((width for _, width in self._cells), default=0)
            self.width = max(self._widest, cell_len(self.title))

    def heading(self) -> Cell:
        """Give the heading."""
        return (Span(self.title, "label"),), cell_len(self.title)

    def cell(self, at: int, style: str) -> list[Cell]:
        """Give the lines of one cell, none wider than the column."""
        line, width = self.whole(at, style)
        if width <= self.width or not self.column.folds:
            return [(line, width)]
        return [(part, _line_len(part)) for part in fold(line, self.width)]

    @property
    def is_whole(self) -> bool:
        """Whether every cell takes one line."""
        return not self.column.folds or self._widest <= self.width

    def whole(self, at: int, style: str) -> Cell:
        """Give one cell, not folded."""
        line, width = self._cells[at] if self._cells else self._drawn(at)
        return (tuple(Span(text, style) for text, _ in line) if style else line), width

    def _drawn(self, at: int) -> Cell:
        draw = self.column.draw
        drawing = draw(self._rows[at], self.width) if draw else ""
        line = _spelled(drawing, self.column.style, self._paper)
        return line, _line_len(line)

    def _align_points(self) -> None:
        tails = [_tail_len(line) for line, _ in self._cells]
        longest = max((tail for tail in tails if tail is not None), default=0)
        self._cells = [
            cell if tail is None else _with_blanks(cell, longest - tail)
            for cell, tail in zip(self._cells, tails, strict=True)
        ]


class _KnownCells(dict["str | Line", Cell]):
    """Cells by their content: most columns of a long table hold few different ones."""

    def __init__(self, style: str, paper: Paper) -> None:
        super().__init__()
        self._style = style
        self._paper = paper

    def __missing__(self, content: str | Line) -> Cell:
        line = _spelled(content, self._style, self._paper)
        cell = self[content] = line, _line_len(line)
        return cell


def _with_blanks(cell: Cell, blanks: int) -> Cell:
    line, width = cell
    return (*line, Span(" " * blanks)), width + blanks


def _tail_len(line: Line) -> int | None:
    """Count the cells from the decimal point on; None for what is not a number."""
    text = "".join(text for text, _ in line)
    match = _NUMBER.match(text)
    return None if match is None or " " in text else len(text) - match.end()


def _spelled(content: str | Line, style: str, paper: Paper) -> Line:
    if isinstance(content, str):
        return (Span(paper.spell(content), style),)
    if paper.is_unicode:
        return content
    return tuple(Span(paper.spell(text), style) for text, style in content)


def _line_len(line: Line) -> int:
    if len(line) == 1:
        return cell_len(line[0].text)
    return sum(cell_len(text) for text, _ in line)


def fit(columns: list[MeasuredColumn[Row]], width: int) -> list[MeasuredColumn[Row]]:
    """Leave out, stretch and fold columns until the table is no wider than the paper."""
    while _total(columns) > width + _foldable(columns):
        ranked = max(columns, key=lambda column: column.column.rank)
        if ranked.column.rank == 0:
            break
        columns = [column for column in columns if column is not ranked]
    spare = width - _total(columns)
    for column in columns:
        if column.column.draw is not None and spare > 0:
            widened = min(column.column.cells[1], column.width + spare)
            spare -= max(0, widened - column.width)
            column.width = max(column.width, widened)
    _fold_widest(columns, -spare)
    return columns


def _fold_widest(columns: list[MeasuredColumn[Row]], deficit: int) -> None:
    """Narrow the columns of names, always the widest of them."""
    folding = [column for column in columns if column.column.folds]
    while deficit > 0 and folding:
        widest = max(folding, key=lambda column: column.width)
        if widest.width <= max(cell_len(widest.title), MIN_WIDTH):
            break
        widest.width -= 1
        deficit -= 1


def _total(columns: Iterable[MeasuredColumn[Row]]) -> int:
    widths = [column.width for column in columns]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _foldable(columns: Iterable[MeasuredColumn[Row]]) -> int:
    """Count the cells by which names can be narrowed before columns are left out."""
    return sum(max(0, column.width - MIN_FOLDED_WIDTH) for column in columns if column.column.folds)
