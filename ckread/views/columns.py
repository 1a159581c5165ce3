"""Tables: columns measured before anything is drawn, from the same rows for terminal and pipe.

A column says how a row's cell reads in a terminal and, as one word, in a pipe.
Headers are never cut, names never either: what does not fit is left out in the
order of rank, then a drawn column takes what is left, then the name folds at `/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Generic, TypeVar

from ckread.views.folding import fold
from ckread.views.page import Span
from ckread.views.paper import cell_len

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ckread.views.page import Line
    from ckread.views.paper import Paper

Row = TypeVar("Row")

GAP = "  "
MIN_FOLDED_WIDTH = 30
"""Cells that a folding name keeps while columns can be left out instead."""

_NUMBER = re.compile(r"[<>~]?-?\d[\d,]*")


class Justify(Enum):
    """How the cells of a column are aligned."""

    LEFT = auto()
    RIGHT = auto()
    POINT = auto()
    """Numbers on the decimal point; other words to the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column(Generic[Row]):
    """One column of a table of rows.

    Attributes:
        title: its heading; in a pipe, white space becomes `_`.
        shown: the cell in a terminal; None leaves the column to pipes.
        piped: the cell in a pipe, one word; None leaves the column to terminals.
        draw: instead of `shown`, a drawing in so many cells.
        cells: fewest and most cells of a drawing.
        justify: alignment, also of the heading.
        style: theme style of cells that are plain text.
        folds: whether the cell is a name, which folds where it does not fit.
        rank: 0 always there; the highest rank is left out first.
        from_width: narrowest terminal in which the column is offered.
    """

    title: str
    shown: Callable[[Row], str | Line] | None = None
    piped: Callable[[Row], str] | None = None
    draw: Callable[[Row, int], str | Line] | None = None
    cells: tuple[int, int] = (8, 24)
    justify: Justify = Justify.LEFT
    style: str = ""
    folds: bool = False
    rank: int = 0
    from_width: int = 0


class Table(Generic[Row]):
    """Rows under columns: a block of a page.

    Args:
        columns: in the order they stand.
        rows: the records.
        row_style: theme style of a whole row, over that of its cells.
        has_header: whether a terminal shows the headings; a pipe always does.
    """

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        rows: Sequence[Row],
        *,
        row_style: Callable[[Row], str] | None = None,
        has_header: bool = True,
    ) -> None:
        self.columns = columns
        self.rows = rows
        self._row_style = row_style
        self._has_header = has_header

    def piped(self) -> Iterator[str]:
        """Give a `# ` line of headings and a line per row, aligned."""
        columns = [column for column in self.columns if column.piped is not None]
        titles = ["_".join(column.title.split()) for column in columns]
        titles[0] = f"# {titles[0]}"
        cells = [list(map(column.piped, self.rows)) for column in columns if column.piped]
        template = GAP.join(
            _template(column, max(map(len, [title, *words])), is_last=column is columns[-1])
            for column, title, words in zip(columns, titles, cells, strict=True)
        )
        yield (template % tuple(titles)).rstrip()
        yield from (template % row for row in zip(*cells, strict=True))

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Lay the table out for a terminal."""
        columns = [
            _Measured(column, self.rows, paper, has_header=self._has_header)
            for column in self.columns
            if (column.shown or column.draw) and paper.width >= column.from_width
        ]
        columns = _fit(columns, paper.width)
        if self._has_header:
            yield _join([column.heading() for column in columns])
        for at, row in enumerate(self.rows):
            style = self._row_style(row) if self._row_style else ""
            yield from _row_lines([column.cell(at, style) for column in columns], columns)


def _template(column: Column[Row], width: int, *, is_last: bool) -> str:
    if column.justify is not Justify.LEFT:
        return f"%{width}s"
    return "%s" if is_last else f"%-{width}s"


class _Measured(Generic[Row]):
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


def _fit(columns: list[_Measured[Row]], width: int) -> list[_Measured[Row]]:
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
        if column.column.folds and spare < 0:
            column.width = max(cell_len(column.title), 8, column.width + spare)
    return columns


def _total(columns: Iterable[_Measured[Row]]) -> int:
    widths = [column.width for column in columns]
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _foldable(columns: Iterable[_Measured[Row]]) -> int:
    """Count the cells by which names can be narrowed before columns are left out."""
    return sum(
        max(0, column.width - MIN_FOLDED_WIDTH) for column in columns if column.column.folds
    )


def _row_lines(cells: list[list[Line]], columns: list[_Measured[Row]]) -> Iterator[Line]:
    for at in range(max(map(len, cells), default=0)):
        yield _join(
            [
                cell[at] if at < len(cell) else (Span(" " * column.width),)
                for cell, column in zip(cells, columns, strict=True)
            ]
        )


def _join(cells: list[Line]) -> Line:
    """Set the cells of a line side by side, and drop the blanks at its end."""
    spans = [span for cell in cells for span in (Span(GAP), *cell)][1:]
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans:
        spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].style)
    return tuple(spans)
