"""Tables: columns measured before anything is drawn, from the same rows for terminal and pipe.

A column says how a row's cell reads in a terminal and, as one word, in a pipe.
Headers are never cut, names never either: what does not fit is left out in the
order of rank, then a drawn column takes what is left, then the name folds at `/`.
"""

from __future__ import annotations

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
            MeasuredColumn(column, self.rows, paper, has_header=self._has_header)
            for column in self.columns
            if (column.shown or column.draw) and paper.width >= column.from_width
        ]
        columns = fit(columns, paper.width)
        if self._has_header:
            yield _join([column.heading() for column in columns], columns)
        for at, row in enumerate(self.rows):
            style = self._row_style(row) if self._row_style else ""
            yield from _row_lines([column.cell(at, style) for column in columns], columns)


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
        is_left = column.column.justify is Justify.LEFT
        missing = column.width - width
        if not is_left:
            blanks += missing
        for span in line:
            if not span.text:
                continue
            if blanks:
                spans.append(Span(" " * blanks))
                blanks = 0
            spans.append(span)
        blanks += len(GAP) + (missing if is_left else 0)
    while spans and not spans[-1].text.strip():
        spans.pop()
    if spans and spans[-1].text.endswith(" "):
        spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].style)
    return tuple(spans)
