"""Tables for other places: Markdown for a pull request, CSV for a spreadsheet.

The columns are those of a pipe, so that one declaration says them all. What a spreadsheet would
take for a formula gets an apostrophe before it; what Markdown would take for markup is escaped.

Reference: RFC 4180; GitHub Flavored Markdown, 4.10 (tables)
"""

from __future__ import annotations

import csv
import io
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

from ckread.errors import SafeText, safe_text
from ckread.views.terminal.page import Page, PipedOnly
from ckread.views.terminal.table import Justify, PipedTable, heading_word
from ckread.views.terminal.words import ABSENT_WORD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckread.views.terminal.page import Block

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(?:\d[\d.]*(?:[eE][+-]?\d+)?|inf|nan)", re.IGNORECASE)
_MARKUP = re.compile(r"([\\`*\[\]<>|~&]|^[#+-](?= )|(?<![^\W_])_|_(?![^\W_]))")
"""An underscore within a word is none; a number or a dash within a line neither."""


def blocks_of(page: Page) -> Iterator[Block]:
    """Yield the blocks of a page that a pipe gets, one below the other."""
    pending: list[Iterable[Block]] = list(reversed(page.sections))
    while pending:
        for block in pending.pop():
            if isinstance(block, PipedOnly):
                yield from block.blocks
            else:
                yield block


def as_csv(page: Page) -> Iterator[SafeText]:
    """Give the tables of a page, an empty line between two: headings, then a line per row."""
    found = [block.cells() for block in blocks_of(page) if isinstance(block, PipedTable)]
    for at, (columns, words) in enumerate(cells for cells in found if cells[0]):
        if at:
            yield SafeText("\r")
        for row in chain([map(heading_word, columns)], zip(*words, strict=True)):
            stream = io.StringIO()
            csv.writer(stream, lineterminator="").writerow(map(_safe_cell, row))
            yield SafeText(f"{safe_text(stream.getvalue())}\r")


def _safe_cell(word: str) -> str:
    if word == ABSENT_WORD:
        return ""
    word = safe_text(word)
    return f"'{word}" if _FORMULA.match(word) and not _NUMBER.fullmatch(word) else word


def as_markdown(page: Page) -> Iterator[SafeText]:
    """Give the sentences of a page as paragraphs, its tables as those of Markdown."""
    is_first = True
    for block in blocks_of(page):
        lines = list(_table(block) if isinstance(block, PipedTable) else _sentences(block))
        if lines:
            yield from map(safe_text, lines if is_first else ("", *lines))
            is_first = False


def _table(table: PipedTable[Any]) -> Iterator[str]:
    columns, words = table.cells()
    if columns:
        yield _row(map(_escaped, map(heading_word, columns)))
        yield _row("---" if one.justify is Justify.LEFT else "--:" for one in columns)
        for row in zip(*words, strict=True):
            yield _row(map(_escaped, row))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sentences(block: Block) -> Iterator[str]:
    for line in block.piped():
        yield _escaped(" ".join(line.removeprefix("# ").split()))


def _escaped(text: str) -> str:
    return "" if text == ABSENT_WORD else _MARKUP.sub(r"\\\1", safe_text(text))
