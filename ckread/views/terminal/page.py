"""A page: sections of text blocks, laid out for a terminal or written out for a pipe.

Blocks know how to lay themselves out on a paper of some width, as lines of styled
spans, and how to be piped, as plain lines. Both are renderables of rich, which prints
them: it knows the terminal's width, encoding and colours. No text is ever markup.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, cast

from ckread.model.display import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions
    from rich.measure import Measurement
    from rich.segment import Segment
    from rich.style import Style


class Span(NamedTuple):
    """A piece of a line: text, a name of the theme, and a link, never from a file's content."""

    text: str
    style: str = ""
    link: str = ""


Line = tuple[Span, ...]
"""A line of spans; the empty tuple is a blank line."""

_NARROWEST = 40
"""Columns below which nothing is laid out well."""


class Block:
    """Part of a page, which rich prints too."""

    def lines(self, paper: Paper) -> Iterable[Line]:
        """Lay it out for a terminal; no line is wider than the paper if that can be."""
        return ()

    def piped(self) -> Iterable[str]:
        """Write it out for a pipe: whole, without colour, drawing or folding."""
        return ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        """Give the segments to rich, in the colours that its terminal takes."""
        from rich.segment import Segment
        from rich.style import Style

        styles = styles_of(console.color_system)
        for line in self.lines(Paper(options.max_width, options.encoding)):
            unstyled = ""  # few long segments: rich takes its time over each
            for span in line:
                _, name, link = span
                text = span.text if span.text.isprintable() else safe_text(span.text)
                style = styles.get(name)
                if style is None and not link:
                    unstyled += text
                    continue
                if unstyled:
                    yield Segment(unstyled)
                    unstyled = ""
                yield Segment(text, (style or Style()) + Style(link=link) if link else style)
            yield Segment(f"{unstyled}\n")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Give rich the cells that it takes at least and at most."""
        from rich.measure import Measurement

        def widest(width: int) -> int:
            lines = self.lines(Paper(width, options.encoding))
            return max((cell_len(plain(line)) for line in lines), default=0)

        most = widest(options.max_width)
        return Measurement(min(most, widest(_NARROWEST)), most)


class Lines(Block):
    """Lines that stand as they are; a pipe gets their text, or what is given for it."""

    def __init__(self, lines: Iterable[Line], *, piped: Iterable[str] | None = None) -> None:
        self._lines = tuple(lines)
        self._piped = None if piped is None else tuple(piped)

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Give the lines, spelled for the paper."""
        return map(paper.spell_line, self._lines)

    def piped(self) -> Iterable[str]:
        """Give the text of the lines."""
        return map(plain, self._lines) if self._piped is None else self._piped


class TerminalOnly(Block):
    """Blocks that a pipe does not get: totals, footers, drawings; large ones are made here."""

    def __init__(self, *blocks: Block | Callable[[], Block]) -> None:
        self._blocks = blocks

    @property
    def blocks(self) -> list[Block]:
        """The blocks, those that are made when they are asked for too."""
        return [block if isinstance(block, Block) else block() for block in self._blocks]

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Lay the blocks out one below the other."""
        return chain.from_iterable(block.lines(paper) for block in self.blocks)


class PipedOnly(Block):
    """Blocks that only a pipe gets."""

    def __init__(self, *blocks: Block) -> None:
        self.blocks = blocks

    def piped(self) -> Iterator[str]:
        """Write the blocks out."""
        return chain.from_iterable(block.piped() for block in self.blocks)


class Page(Block):
    """Sections with a blank line between; below them a notebook opens the `details`."""

    details: tuple[str, Page] | None = None

    def __init__(self, *sections: Block | Sequence[Block]) -> None:
        self.sections: tuple[tuple[Block, ...], ...] = tuple(map(_as_blocks, sections))

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
        return chain.from_iterable(block.piped() for block in chain(*self.sections))

    def text(self) -> str:
        """Give it as a terminal of 80 columns shows it, without colours."""
        return "\n".join(map(plain, self.lines(Paper())))


def _as_blocks(section: Block | Sequence[Block]) -> tuple[Block, ...]:
    return tuple(section) if isinstance(section, (list, tuple)) else (cast("Block", section),)


def plain(line: Line) -> str:
    """Give the text of a line, without trailing blanks."""
    return "".join(span.text for span in line).rstrip()


# What a page is written on: how wide it is, and which glyphs it can take.

_FALLBACKS = {
    "━": "#", "╸": "-", "├": "|", "─": "-", "└": "`", "│": "|", "┤": "|", "╋": "+",
    "▁": ".", "▂": ":", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "#", "█": "#",
    "×": "x", "·": ".", "–": "-", "→": "->", "…": "...", "Δ": "d", "‖": "||", "±": "+-",
    "−": "-", "²": "^2", "³": "^3", "≡": "~", "≈": "%", "●": "o", "√": "sqrt ", "ε": "eps",
}  # fmt: skip
"""What stands for a glyph where the encoding lacks it."""


class Paper:
    """The width of the terminal in cells, and the encoding it is written in."""

    def __init__(self, width: int = 80, encoding: str = "utf-8") -> None:
        """Find the glyphs that the encoding lacks."""
        self.width = width
        self.encoding = encoding
        self._missing = missing_glyphs(encoding)

    @property
    def is_unicode(self) -> bool:
        """Whether every character can be written."""
        return not self._missing

    def spell_line(self, line: Line) -> Line:
        """Give a line, each span spelled."""
        return tuple(span._replace(text=self.spell(span.text)) for span in line)

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


_ALL_ONE_CELL = re.compile(r"[\x20-\x7e\xa0-\u02ff\u0370-\u03ff\u2010-\u2027\u2190-\u21ff─-▟]*")


def cell_len(text: str) -> int:
    """Count the terminal cells that a text takes; rich is asked only where they may be two."""
    if text.isascii() or _ALL_ONE_CELL.fullmatch(text):
        return len(text)
    from rich.cells import cell_len as rich_cell_len

    return rich_cell_len(text)


# Styled text in a width: prose wrapped between words, names folded at `/`, nothing cut.

_GUIDES = "│├└─|`- "

FOLD_INDENT = 2
"""Cells by which the continuation of a folded name is set in."""


class Prose(Block):
    """Sentences, wrapped between words, all lines but the first set in by `indent` cells.

    In a pipe it is a `# ` line, unless it is a record.
    """

    def __init__(self, *spans: Span | str, indent: int = 0, is_record: bool = False) -> None:
        self.line: Line = tuple(Span(span) if isinstance(span, str) else span for span in spans)
        self.indent = indent
        self._is_record = is_record

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Wrap the text."""
        yield from wrap(paper.spell_line(self.line), paper.width, indent=self.indent)

    def piped(self) -> Iterator[str]:
        """Give it on one line."""
        text = plain(self.line)
        if text:
            yield text if self._is_record else f"# {text}"


def heading(name: str, rest: str = "") -> TerminalOnly:
    """Give the title of a screen: a name from outside in bold, and words after it."""
    return TerminalOnly(Prose(Span(safe_text(name), "title"), rest))


def footer(text: str) -> TerminalOnly:
    """Give sentences below a table of a screen."""
    return TerminalOnly(Prose(Span(text, "muted")))


def wrap(line: Line, width: int, *, indent: int = 0) -> Iterator[Line]:
    """Break a line between words; a word that is wider than a line is folded."""
    text = "".join(span.text for span in line)
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
    text = "".join(span.text for span in line)
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
    for span in line:
        piece = span.text[max(0, start - at) : max(0, stop - at)]
        if piece:
            yield span._replace(text=piece)
        at += len(span.text)


# The palette: what each style is for, in hues that hold on white and on black alike.
#
# Every colour repeats a word or a sign, so nothing is lost without it. A terminal of sixteen
# colours has those of its own theme: rich would take an invisible one for the grey.

STYLES: dict[str, str] = {
    "title": "bold",  # what was read, scopes in a tree, the best row
    "label": "color(244)",  # column headings, labels of facts
    "muted": "color(244)",  # what repeats the row above, slots, guides, footers
    "spark": "color(31)",  # drawn quantities
    "bar": "color(31)",
    "accent": "color(31)",  # the word `note`
    "good": "color(64)",  # sound, identical, best
    "bad": "bold color(197)",  # error, unsound, NaN, inf, ×
    "warning": "color(166)",  # the word `warning`, the sign !, stale
    "added": "color(64)",
    "removed": "color(167)",
    "renamed": "color(133)",
}
"""Theme name to rich style, of 256 colours."""

SIXTEEN: dict[str, str] = {
    "title": "bold", "label": "dim", "muted": "dim", "spark": "cyan", "bar": "cyan",
    "accent": "cyan", "good": "green", "bad": "bold red", "warning": "yellow",
    "added": "green", "removed": "red", "renamed": "magenta",
}  # fmt: skip
"""The same where a terminal has sixteen."""


@lru_cache
def styles_of(color_system: str | None) -> dict[str, Style]:
    """Give the styles for a terminal; one without colours may record, for an SVG."""
    from rich.style import Style

    theme = SIXTEEN if color_system in ("standard", "windows") else STYLES
    return {name: Style.parse(style) for name, style in theme.items()}
