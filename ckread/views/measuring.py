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

_NUMBER = re.compile(r"[<>~]?-?\d[\d,]*")


class MeasuredColumn(Generic[Row]):
    """A column with the cells of its rows, and its width."""

    def __init__(
        self, column: Column[Row], rows: Sequence[Row], paper: Paper, *, has_header: bool
    ) -> None:
        self.column = column
        self.title = paper.spell(column.title) if has_header else ""
        self._rows = rows
        self._paper = paper
        self._texts: list[Line] = []
        self.width = max(cell_len(self.title), column.cells[0])
        if column.shown is not None:
            self._texts = [_spelled(column.shown(row), column.style, paper) for row in rows]
            self._align_points()
            self.width = max(map(_line_len, self._texts), default=0)
            self.width = max(self.width, cell_len(self.title))

    def heading(self) -> Line:
        """Give the heading, as wide as the column."""
        return self._padded((Span(self.title, "label"),))[0]

    def cell(self, at: int, style: str) -> list[Line]:
        """Give the lines of one cell, as wide as the column."""
        line = self._texts[at] if self._texts else self._drawn(at)
        if style:
            line = tuple(Span(text, style) for text, _ in line)
        return self._padded(line)

    def _drawn(self, at: int) -> Line:
        draw = self.column.draw
        drawing = draw(self._rows[at], self.width) if draw else ""
        return _spelled(drawing, self.column.style, self._paper)

    def _padded(self, line: Line) -> list[Line]:
        folded = fold(line, self.width) if self.column.folds else [line]
        return [self._pad(part) for part in folded]

    def _pad(self, line: Line) -> Line:
        blank = Span(" " * (self.width - _line_len(line)))
        if not blank.text:
            return line
        return (*line, blank) if self.column.justify is Justify.LEFT else (blank, *line)

    def _align_points(self) -> None:
        if self.column.justify is not Justify.POINT:
            return
        tails = [_tail_len(line) for line in self._texts]
        longest = max((tail for tail in tails if tail is not None), default=0)
        self._texts = [
            line if tail is None else (*line, Span(" " * (longest - tail)))
            for line, tail in zip(self._texts, tails, strict=True)
        ]


def _tail_len(line: Line) -> int | None:
    """Count the cells from the decimal point on; None for what is not a number."""
    text = "".join(text for text, _ in line)
    match = _NUMBER.match(text)
    return None if match is None or " " in text else len(text) - match.end()


def _spelled(content: str | Line, style: str, paper: Paper) -> Line:
    if isinstance(content, str):
        return (Span(paper.spell(content), style),)
    return tuple(Span(paper.spell(text), style) for text, style in content)


def _line_len(line: Line) -> int:
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
