"""Tables: columns measured before anything is drawn, from the same rows for terminal and pipe.

A column says how a row's cell reads in a terminal and, as one word, in a pipe.
Headers are never cut, names never either: what does not fit is left out in the
order of rank, then a drawn column takes what is left, then the name folds at `/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from ckread.views.terminal.page import Block, Prose, Span, cell_len, fold
from ckread.views.terminal.words import NUMERIC, word_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ckread.model.fields import Field
    from ckread.views.terminal.page import Line, Paper


Row = TypeVar("Row")

MAX_ROWS = 60
"""Rows of a table up to which a notebook shows all."""
HEAD_ROWS = 50
"""Rows that it shows of a longer one."""


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

    @classmethod
    def of(cls, field: Field[Any], give: Callable[[Row], Any] | None = None, **look: Any) -> Self:
        """Give the column of a field as the result declares it; the rest is how it looks.

        Args:
            field: gives name and kind, and so heading, word and alignment in a pipe.
            give: the record that the field is of, where that is not the row itself.
            look: attributes of the column, over those of the field.
        """
        word = word_of(field)
        found: dict[str, Any] = {
            "title": field.name,
            "piped": word if give is None else lambda row: word(give(row)),
            "justify": Justify.RIGHT if field.kind in NUMERIC else Justify.LEFT,
        }
        return cls(**found | look)


class Table(Block, Generic[Row]):
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
        self.has_header = has_header

    def piped(self) -> Iterator[str]:
        """Give a `# ` line of headings and a line per row, aligned."""
        columns = [column for column in self.columns if column.piped is not None]
        words = [list(map(column.piped, self.rows)) for column in columns if column.piped]
        return aligned(columns, words)

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Lay the table out for a terminal."""
        columns = self.fitted(paper)
        if self.has_header:
            yield _join([column.heading() for column in columns], columns)
        is_whole = all(column.is_whole for column in columns)
        for at in range(len(self.rows)):
            style = self.style_of(at)
            if is_whole:
                yield _join([column.whole(at, style) for column in columns], columns)
            else:
                yield from _row_lines([column.cell(at, style) for column in columns], columns)

    def fitted(self, paper: Paper) -> list[MeasuredColumn[Row]]:
        """Give the columns that fit the paper, measured, drawings as wide as there is room."""
        columns = [
            MeasuredColumn(column, self.rows, paper, has_header=self.has_header)
            for column in self.columns
            if (column.shown or column.draw) and paper.width >= column.from_width
        ]
        return fit(columns, paper.width)

    def style_of(self, at: int) -> str:
        """Give the theme style of a whole row; nothing if its cells have their own."""
        return self._row_style(self.rows[at]) if self._row_style else ""

    def head(self, n: int) -> Table[Row]:
        """Give the same table with its first rows only."""
        return Table(
            self.columns, self.rows[:n], row_style=self._row_style, has_header=self.has_header
        )


def aligned(columns: Sequence[Column[Row]], words: Sequence[Sequence[str]]) -> Iterator[str]:
    """Give a `# ` line of headings and a line per row.

    Args:
        columns: what stands side by side.
        words: of each column, one per row.
    """
    titles = ["_".join(column.title.split()) for column in columns]
    titles[0] = f"# {titles[0]}"
    widths = [max(map(len, [title, *found])) for title, found in zip(titles, words, strict=True)]
    template = GAP.join(
        _template(column, width, is_last=column is columns[-1])
        for column, width in zip(columns, widths, strict=True)
    )
    yield (template % tuple(titles)).rstrip()
    yield from map(template.__mod__, zip(*words, strict=True))


def _template(column: Column[Row], width: int, *, is_last: bool) -> str:
    if column.justify is not Justify.LEFT:
        return f"%{width}s"
    return "%s" if is_last else f"%-{width}s"


def _row_lines(cells: list[list[Cell]], columns: list[MeasuredColumn[Row]]) -> Iterator[Line]:
    for at in range(max(map(len, cells), default=0)):
        yield _join([cell[at] if at < len(cell) else _NOTHING for cell in cells], columns)


_NOTHING: Cell = ((), 0)


def _join(cells: list[Cell], columns: list[MeasuredColumn[Row]]) -> Line:
    """Set the cells of a line side by side, and drop the blanks at its end."""
    spans: list[Span] = []
    blanks = 0
    for (line, width), column in zip(cells, columns, strict=True):
        missing = column.width - width
        if column.is_left:
            after = len(GAP) + missing
        else:
            blanks += missing
            after = len(GAP)
        for span in line:
            if span.text:
                if blanks:
                    spans.append(_blank(blanks))
                    blanks = 0
                spans.append(span)
        blanks += after
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans and spans[-1].text.endswith(" "):
        spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].style)
    return tuple(spans)


@lru_cache(maxsize=512)
def _blank(n: int) -> Span:
    return Span(" " * n)


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
        return (tuple(Span(span.text, style) for span in line) if style else line), width

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
    text = "".join(span.text for span in line)
    match = _NUMBER.match(text)
    return None if match is None or " " in text else len(text) - match.end()


def _spelled(content: str | Line, style: str, paper: Paper) -> Line:
    if isinstance(content, str):
        return (Span(paper.spell(content), style),)
    return content if paper.is_unicode else paper.spell_line(content)


def _line_len(line: Line) -> int:
    if len(line) == 1:
        return cell_len(line[0].text)
    return sum(cell_len(span.text) for span in line)


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


class NarrowFooter(Block):
    """Sentences below a table, and which of its columns are left out at this width."""

    def __init__(self, table: Table[Any], text: str) -> None:
        self._table = table
        self._text = text

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Wrap the sentences."""
        fitted = [column.column for column in self._table.fitted(paper)]
        offered = [column for column in self._table.columns if column.shown and column.title]
        missing = ", ".join(column.title for column in offered if column not in fitted)
        left_out = f"Left out at this width: {missing}." if missing else ""
        text = " ".join(filter(None, [self._text, left_out]))
        if text:
            yield from Prose(Span(text, "muted")).lines(paper)
