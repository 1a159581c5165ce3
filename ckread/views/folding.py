"""Styled text in a width: prose wrapped between words, names folded at `/`, nothing cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.views.page import Span, plain
from ckread.views.paper import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.views.page import Line
    from ckread.views.paper import Paper

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
