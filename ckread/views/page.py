"""A page: sections of text blocks, laid out for a terminal or written out for a pipe.

Blocks know how to lay themselves out on a paper of some width, as lines of styled
spans, and how to be piped, as plain lines. A page is also a rich renderable, for
SVG and notebooks. Nothing here prints, and no text is ever taken for markup.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from ckread.views.paper import Paper
from ckread.views.theme import STYLES

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
