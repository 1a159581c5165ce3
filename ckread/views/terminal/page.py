"""A page: sections of text blocks, laid out for a terminal or written out for a pipe.

Blocks know how to lay themselves out on a paper of some width, as lines of styled
spans, and how to be piped, as plain lines. A page is also a rich renderable, for
SVG and notebooks. Nothing here prints, and no text is ever taken for markup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.segment import Segment


class Span(NamedTuple):
    """A piece of a line.

    Attributes:
        text: printable text.
        style: a name of the theme, or nothing.
    """

    text: str
    style: str = ""


Line = tuple[Span, ...]
"""A line of spans; the empty tuple is a blank line."""


class Block(Protocol):
    """Part of a page."""

    def lines(self, paper: Paper) -> Iterable[Line]:
        """Lay it out for a terminal; no line is wider than the paper if that can be."""
        ...

    def piped(self) -> Iterable[str]:
        """Write it out for a pipe: whole, without colour, drawing or folding."""
        ...


class Lines:
    """Lines that stand as they are.

    Args:
        lines: what a terminal shows.
        piped: what a pipe gets; by default the same text.
    """

    def __init__(self, lines: Iterable[Line], *, piped: Iterable[str] | None = None) -> None:
        self._lines = tuple(lines)
        self._piped = None if piped is None else tuple(piped)

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Give the lines, spelled for the paper."""
        for line in self._lines:
            yield tuple(Span(paper.spell(span.text), span.style) for span in line)

    def piped(self) -> Iterable[str]:
        """Give the text of the lines."""
        return map(plain, self._lines) if self._piped is None else self._piped


class TerminalOnly:
    """Blocks that a pipe does not get: totals, footers, drawings."""

    def __init__(self, *blocks: Block) -> None:
        self.blocks = blocks

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Lay the blocks out one below the other."""
        return chain.from_iterable(block.lines(paper) for block in self.blocks)

    def piped(self) -> Iterable[str]:
        """Give nothing."""
        return ()


class PipedOnly:
    """Blocks that only a pipe gets."""

    def __init__(self, *blocks: Block) -> None:
        self._blocks = blocks

    def lines(self, paper: Paper) -> Iterable[Line]:
        """Give nothing."""
        return ()

    def piped(self) -> Iterator[str]:
        """Write the blocks out."""
        return chain.from_iterable(block.piped() for block in self._blocks)


class Page:
    """Sections with one blank line between them; a section may be several blocks."""

    def __init__(self, *sections: Block | Sequence[Block]) -> None:
        self.sections = tuple(map(_as_blocks, sections))

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Lay the page out for a terminal."""
        is_first = True
        for section in self.sections:
            lines = chain.from_iterable(block.lines(paper) for block in section)
            for at, line in enumerate(lines):
                if at == 0 and not is_first:
                    yield ()
                is_first = False
                yield line

    def piped(self) -> Iterator[str]:
        """Write the page out for a pipe."""
        for section in self.sections:
            for block in section:
                yield from block.piped()

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Segment]:
        """Give the segments of the page to a rich console: SVG, notebook."""
        from rich.segment import Segment
        from rich.style import Style

        styles = {name: Style.parse(style) for name, style in STYLES.items()}
        newline = Segment.line()
        for line in self.lines(Paper(options.max_width, console.encoding)):
            for text, style in line:
                yield Segment(text, styles.get(style))
            yield newline


def _as_blocks(section: Block | Sequence[Block]) -> tuple[Block, ...]:
    return tuple(section) if isinstance(section, (list, tuple)) else (cast("Block", section),)


def plain(line: Line) -> str:
    """Give the text of a line, without trailing blanks."""
    return "".join(text for text, _ in line).rstrip()


# What a page is written on: how wide it is, and which glyphs it can take.

_FALLBACKS = {
    "━": "#", "╸": "-", "├": "|", "─": "-", "└": "`", "│": "|", "┤": "|", "╋": "+",
    "▁": ".", "▂": ":", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "#", "█": "#",
    "×": "x", "·": ".", "–": "-", "→": "->", "…": "...", "Δ": "d", "‖": "||", "±": "+-",
    "−": "-", "²": "^2", "³": "^3",
}  # fmt: skip
"""What stands for a glyph where the encoding lacks it."""

_ALL_ONE_CELL = re.compile(r"[\x20-\x7e\xa0-\u02ff\u0370-\u03ff\u2010-\u2027\u2190-\u21ff─-▟]*")


@dataclass(frozen=True, slots=True)
class Paper:
    """The width of the terminal in cells, and the encoding it is written in."""

    width: int = 80
    encoding: str = "utf-8"
    _missing: dict[int, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find the glyphs that the encoding lacks."""
        object.__setattr__(self, "_missing", missing_glyphs(self.encoding))

    @property
    def is_unicode(self) -> bool:
        """Whether every character can be written."""
        return not self._missing

    def spell(self, text: str) -> str:
        """Give the text with what the encoding lacks replaced or escaped."""
        if text.isascii() or not self._missing:
            return text
        text = text.translate(self._missing)
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)


def missing_glyphs(encoding: str) -> dict[int, str]:
    """Map the glyphs of our screens that an encoding lacks to their replacements."""
    return {
        ord(glyph): instead
        for glyph, instead in _FALLBACKS.items()
        if glyph.encode(encoding, "ignore") == b""
    }


def cell_len(text: str) -> int:
    """Count the terminal cells that a text takes."""
    if text.isascii() or _ALL_ONE_CELL.fullmatch(text):
        return len(text)
    from rich.cells import cell_len as rich_cell_len

    return rich_cell_len(text)


# Styled text in a width: prose wrapped between words, names folded at `/`, nothing cut.

_GUIDES = "│├└─|`- "

FOLD_INDENT = 2
"""Cells by which the continuation of a folded name is set in."""


class Prose:
    """Sentences, wrapped between words.

    Args:
        spans: the text; styles may change within a word.
        indent: cells before every line but the first.
        is_record: whether a pipe gets it bare; otherwise it is a `# ` line there.

    Attributes:
        line: the text, not wrapped.
        indent: cells before every line but the first.
    """

    def __init__(self, *spans: Span | str, indent: int = 0, is_record: bool = False) -> None:
        self.line = tuple(Span(span) if isinstance(span, str) else span for span in spans)
        self.indent = indent
        self._is_record = is_record

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Wrap the text."""
        spelled = tuple(Span(paper.spell(text), style) for text, style in self.line)
        yield from wrap(spelled, paper.width, indent=self.indent)

    def piped(self) -> Iterator[str]:
        """Give it on one line."""
        text = plain(self.line)
        if text:
            yield text if self._is_record else f"# {text}"


def wrap(line: Line, width: int, *, indent: int = 0) -> Iterator[Line]:
    """Break a line between words; a word that is wider than a line is folded."""
    text = "".join(text for text, _ in line)
    start = 0
    while start < len(text):
        margin = indent if start else 0
        stop = _reach(text, start, max(1, width - margin))
        if stop < len(text) and text[stop] != " ":
            space = text.rfind(" ", start, stop)
            stop = space if space > start else _fold_point(text, start, stop)
        yield (*_margin(margin), *_slice(line, start, stop))
        start = stop
        while start < len(text) and text[start] == " ":
            start += 1


def fold(line: Line, width: int, *, indent: int = FOLD_INDENT) -> list[Line]:
    """Break a name after `/` or a space, or anywhere if a part is wider than a line."""
    text = "".join(text for text, _ in line)
    if cell_len(text) <= width:
        return [line]
    indent = indent if width > 4 * indent else 0
    folded: list[Line] = []
    start = 0
    while start < len(text):
        margin = indent if start else 0
        stop = _reach(text, start, max(1, width - margin))
        stop = _fold_point(text, start, stop) if stop < len(text) else stop
        folded.append((*_margin(margin), *_slice(line, start, stop)))
        start = stop
    return folded


def _reach(text: str, start: int, room: int) -> int:
    """Give the end of the longest piece from `start` that takes no more cells than `room`."""
    stop = min(len(text), start + room)
    while stop > start + 1 and cell_len(text[start:stop]) > room:
        stop -= 1
    while stop < len(text) and cell_len(text[start : stop + 1]) <= room:
        stop += 1
    return stop


def _fold_point(text: str, start: int, stop: int) -> int:
    after = max(text.rfind("/", start, stop), text.rfind(" ", start, stop)) + 1
    return after if text[start:after].strip(_GUIDES) else stop


def _margin(cells: int) -> Line:
    return (Span(" " * cells),) if cells else ()


def _slice(line: Line, start: int, stop: int) -> Iterator[Span]:
    at = 0
    for text, style in line:
        piece = text[max(0, start - at) : max(0, stop - at)]
        if piece:
            yield Span(piece, style)
        at += len(text)


# The palette: what each style is for, in the ANSI sixteen, so that the terminal's theme decides.
#
# Every colour repeats a word or a sign, so nothing is lost without it.

STYLES: dict[str, str] = {
    "title": "bold",  # what was read, scopes in a tree, the best row
    "label": "dim",  # column headings, labels of facts
    "muted": "dim",  # what repeats the row above, slots, guides, footers
    "spark": "cyan",  # drawn quantities
    "bar": "cyan",
    "accent": "cyan",  # the word `note`
    "good": "green",  # sound, identical, best
    "bad": "bold red",  # error, unsound, NaN, inf, ×
    "warning": "yellow",  # the word `warning`, the sign !, stale
    "added": "green",
    "removed": "red",
    "renamed": "magenta",
}
"""Theme name to rich style."""
