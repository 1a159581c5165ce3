"""Tables: columns measured before anything is drawn, from the same rows for terminal and pipe.

A column says how a row's cell reads in a terminal and, as one word, in a pipe.
Headers are never cut, names never either: what does not fit is left out in the
order of rank, then a drawn column takes what is left, then the name folds at `/`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Generic

from ckread.views.column import Column, Justify, Row
from ckread.views.measuring import GAP, MeasuredColumn, fit
from ckread.views.page import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ckread.views.measuring import Cell
    from ckread.views.page import Line
    from ckread.views.paper import Paper

__all__ = ["Column", "Justify", "Table"]


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
