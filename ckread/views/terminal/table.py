"""Tables: columns measured before anything is drawn, from the same rows for terminal and pipe.

A column says how a row's cell reads in a terminal and, as one word, in a pipe.
Headers are never cut, names never either: what does not fit is left out in the
order of rank, then a drawn column takes what is left, then the name folds at `/`.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache
from itertools import chain, repeat
from operator import add
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar

from ckread.model.display import column_of, safe_word
from ckread.views.terminal.page import Block, Prose, Span, cell_len, fold, wrap
from ckread.views.terminal.words import ABSENT, ABSENT_WORD, NUMERIC, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from ckread.model.display import Field
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


LEFT, RIGHT, POINT = Justify


class Column(NamedTuple, Generic[Row]):
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
    justify: Justify = LEFT
    style: str = ""
    folds: bool = False
    rank: int = 0
    from_width: int = 0

    @classmethod
    def of(
        cls,
        field: Field[Any],
        give: Callable[[Row], Any] | None = None,
        *,
        word: Callable[[Any], str] | None = None,
        **look: Any,
    ) -> Self:
        """Give the column of a field as the result declares it; the rest is how it looks.

        `give` takes the record that the field is of, where that is not the row itself; `word`
        makes the word in a pipe, where it is not the usual one.
        """
        found: dict[str, Any] = {
            "title": field.name,
            "piped": _Word(word, field, give),
            "justify": Justify.RIGHT if field.kind in NUMERIC else Justify.LEFT,
        }
        return cls(**found | look)


class _Word(NamedTuple):
    """The word of a field in a pipe: of a row, or at once of very many."""

    word: Callable[[Any], str] | None
    field: Field[Any]
    give: Callable[[Any], Any] | None = None

    def __call__(self, row: Any) -> str:
        return self.of_all([row])[0]

    def of_all(self, rows: Sequence[Any]) -> list[str]:
        """Give the words of all rows."""
        records = rows if self.give is None else list(map(self.give, rows))
        values = column_of(records, self.field.name, self.field.getter)
        return (
            words_of(self.field.kind, values) if self.word is None else list(map(self.word, values))
        )


def _words(column: Column[Row], rows: Sequence[Row]) -> list[str]:
    if isinstance(column.piped, _Word):
        return column.piped.of_all(rows)
    return list(map(column.piped, rows)) if column.piped else []


class PipedTable(Block, Generic[Row]):
    """What is a table in a pipe, and so as Markdown and CSV."""

    def cells(self) -> tuple[Sequence[Column[Row]], Sequence[Sequence[str]]]:
        """Give the columns, and the words of each."""
        raise NotImplementedError

    def piped(self) -> Iterator[str]:
        """Give a `# ` line of headings and a line per row, aligned."""
        columns, words = self.cells()
        return aligned(columns, [words])


class Table(PipedTable[Row]):
    """Rows under columns; `row_style` is the style of a whole row, over that of its cells.

    `marks` are lines that stand in a terminal above the row of their index.
    """

    def __init__(
        self,
        columns: Sequence[Column[Row]],
        rows: Sequence[Row],
        *,
        row_style: Callable[[Row], str] | None = None,
        has_header: bool = True,
        marks: Mapping[int, Line] | None = None,
    ) -> None:
        self.columns = columns
        self.rows = rows
        self._row_style = row_style
        self.has_header = has_header
        self._marks = marks or {}

    def cells(self) -> tuple[list[Column[Row]], list[list[str]]]:
        """Give the columns of a pipe, and the words of each."""
        columns = [column for column in self.columns if column.piped is not None]
        return columns, [_words(column, self.rows) for column in columns]

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Lay the table out for a terminal."""
        columns = self.fitted(paper)
        if self.has_header:
            yield _join([column.heading() for column in columns], columns)
        is_whole = all(column.is_whole for column in columns)
        for at in range(len(self.rows)):
            if at in self._marks:
                yield from wrap(paper.spell_line(self._marks[at]), paper.width, indent=6)
            style = self.style_of(at)
            if is_whole:
                yield _join([column.whole(at, style) for column in columns], columns)
            else:
                cells = [column.cell(at, style) for column in columns]
                for n in range(max(map(len, cells), default=0)):
                    parts = [cell[n] if n < len(cell) else _NOTHING for cell in cells]
                    yield _join(parts, columns)

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


def aligned(
    columns: Sequence[Column[Row]], blocks: Iterable[Sequence[Sequence[str]]]
) -> Iterator[str]:
    """Give a `# ` line of headings and a line per row.

    The words of the columns come in blocks of rows. Which is the longest is known at the end:
    until then those of all blocks but the last wait as one text, a tenth of what they take.
    """
    titles = list(map(heading_word, columns))
    titles[0] = f"# {titles[0]}"
    widths = list(map(len, titles))
    waiting: list[list[str | Sequence[str]]] = []
    words: Sequence[Sequence[str]] = ()
    for block in blocks:
        if words:
            texts = map("\n".join, words)  # of names that hold a line end they stay apart
            waiting.append(
                [
                    text if text.count("\n") == len(one) - 1 else one
                    for text, one in zip(texts, words, strict=True)
                ]
            )
        words = block
        widths = [max(width, *map(len, one), 0) for width, one in zip(widths, words, strict=True)]
    formats = [
        f"%{width}s" if column.justify is not Justify.LEFT
        else "%s" if column is columns[-1] else f"%-{width}s"
        for column, width in zip(columns, widths, strict=True)
    ]  # fmt: skip
    yield (GAP.join(formats) % tuple(titles)).rstrip()
    # What stands behind the first word is alike in very many rows, or in none.
    template = GAP.join(formats)
    ends = _Ends("".join(f"{GAP}{one}" for one in formats[1:]))
    before = (
        [text.split("\n") if isinstance(text, str) else text for text in some] for some in waiting
    )
    for first, *others in chain(before, filter(None, [words])):
        seen = [*zip(*(column[:_MAX_ENDS] for column in others), strict=True)]
        if 2 * len({*seen}) > len(seen):
            yield from map(template.__mod__, zip(first, *others, strict=True))
            continue
        rest = map(ends.__getitem__, zip(*others, strict=True)) if others else repeat("")
        yield from map(add, map(formats[0].__mod__, first), rest)


class _Ends(dict[tuple[str, ...], str]):
    """Ends of lines, by their words."""

    def __init__(self, template: str) -> None:
        super().__init__()
        self._template = template

    def __missing__(self, words: tuple[str, ...]) -> str:
        end = self._template % words
        if len(self) < _MAX_ENDS:
            self[words] = end
        return end


def heading_word(column: Column[Any]) -> str:
    """Give the heading of a column as one word."""
    return "_".join(column.title.split())


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
_MAX_ENDS = 1000
"""Ends of lines that are kept: of figures each is another."""
MIN_FOLDED_WIDTH = 30
"""Cells that a folding name keeps while columns can be left out instead."""

MIN_WIDTH = 8
"""Cells that a folding name keeps in any case."""

MAX_LEFT_OUT = 5
"""Columns that are named where they do not fit; of more the number is said."""

Cell = tuple["Line", int]
"""A line of a cell, and how many terminal cells it takes."""

_NUMBER = re.compile(r"[<>~]?-?\d[\d,]*")


class MeasuredColumn(Generic[Row]):
    """A column with the cells of its rows, and its width."""

    def __init__(
        self, column: Column[Row], rows: Sequence[Row], paper: Paper, *, has_header: bool
    ) -> None:
        self.column = column
        self.is_left: bool = column.justify is Justify.LEFT
        self.title: str = paper.spell(column.title) if has_header else ""
        self._rows = rows
        self._paper = paper
        self._cells: list[Cell] = []
        self._widest = 0
        self.width: int = max(cell_len(self.title), column.cells[0])
        if column.shown is not None:
            known = _KnownCells(column.style, paper)
            self._cells = [known[content] for content in map(column.shown, rows)]
            if column.justify is Justify.POINT:
                self._cells = _on_the_point(self._cells)
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
        if self._cells:
            line, width = self._cells[at]
        else:
            drawing = self.column.draw(self._rows[at], self.width) if self.column.draw else ""
            line = _spelled(drawing, self.column.style, self._paper)
            width = _line_len(line)
        return (tuple(Span(span.text, style) for span in line) if style else line), width


def _on_the_point(cells: list[Cell]) -> list[Cell]:
    """Give cells with blanks after them, so that numbers stand with their points in line."""
    tails: list[int | None] = []
    for line, _ in cells:
        text = "".join(span.text for span in line)
        match = _NUMBER.match(text)
        tails.append(None if match is None or " " in text else len(text) - match.end())
    longest = max((tail for tail in tails if tail is not None), default=0)
    return [
        ((*line, Span(" " * (longest - tail))), width + longest - tail)
        if tail is not None
        else (line, width)
        for (line, width), tail in zip(cells, tails, strict=True)
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
    while True:
        folding = [column for column in columns if column.column.folds]
        foldable = sum(max(0, column.width - MIN_FOLDED_WIDTH) for column in folding)
        ranked = max(columns, key=lambda column: column.column.rank)
        if _total(columns) <= width + foldable or ranked.column.rank == 0:
            break
        columns = [column for column in columns if column is not ranked]
    spare = width - _total(columns)
    for column in columns:
        if column.column.draw is not None and spare > 0:
            widened = min(column.column.cells[1], column.width + spare)
            spare -= max(0, widened - column.width)
            column.width = max(column.width, widened)
    while spare < 0 and folding:  # always the widest of the names
        widest = max(folding, key=lambda column: column.width)
        if widest.width <= max(cell_len(widest.title), MIN_WIDTH):
            break
        widest.width -= 1
        spare += 1
    return columns


def _total(columns: Iterable[MeasuredColumn[Row]]) -> int:
    widths = [column.width for column in columns]
    return sum(widths) + len(GAP) * (len(widths) - 1)


class NarrowFooter(Block):
    """Sentences below a table, and which of its columns are left out at this width."""

    def __init__(self, table: Table[Any], text: str) -> None:
        self._table = table
        self._text = text

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Wrap the sentences."""
        fitted = [column.column for column in self._table.fitted(paper)]
        offered = [column for column in self._table.columns if column.shown and column.title]
        missing = [column.title for column in offered if column not in fitted]
        n_more = len(missing) - MAX_LEFT_OUT
        named = missing[: MAX_LEFT_OUT if n_more > 1 else None]
        rest = f" and {n_more} more" if n_more > 1 else ""
        left_out = f"Left out at this width: {', '.join(named)}{rest}." if missing else ""
        text = " ".join(filter(None, [self._text, left_out]))
        if text:
            yield from Prose(Span(text, "muted")).lines(paper)


class Numbered(Protocol):
    """A checkpoint of a run, by its numbers."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Those of its name that order the run."""

    @property
    def epoch(self) -> int | None:
        """None where nothing tells."""

    @property
    def step(self) -> int | None:
        """Likewise."""


def number_columns(
    titles: Sequence[str], checkpoints: Collection[Numbered], of: Callable[[Row], Numbered]
) -> list[Column[Row]]:
    """Give a column for each number that orders a run; epochs and steps where there are any."""

    def column(title: str, give: Callable[[Numbered], int | None]) -> Column[Row]:
        def shown(row: Row) -> str:
            number = give(of(row))
            return ABSENT if number is None else f"{number:,}"

        def piped(row: Row) -> str:
            number = give(of(row))
            return ABSENT_WORD if number is None else str(number)

        return Column(title=title, shown=shown, piped=piped, justify=RIGHT)

    def number(at: int) -> Callable[[Numbered], int | None]:
        return lambda one: one.numbers[at] if at < len(one.numbers) else None

    columns = [
        column(safe_word(title), number(at))
        for at, title in enumerate(titles)
        if title not in ("step", "epoch")
    ]
    if any(one.epoch is not None for one in checkpoints):
        columns.append(column("epoch", lambda one: one.epoch))
    if any(one.step is not None for one in checkpoints):
        columns.append(column("step", lambda one: one.step))
    return columns
