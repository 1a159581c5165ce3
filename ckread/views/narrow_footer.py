"""A footer that names the columns for which the terminal is too narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.views.folding import Prose
from ckread.views.page import Span, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.views.columns import Table
    from ckread.views.page import Line
    from ckread.views.paper import Paper


class NarrowFooter:
    """Sentences below a table, and which of its columns are left out at this width."""

    def __init__(self, table: Table[Any], text: str) -> None:
        self._table = table
        self._text = text

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Wrap the sentences."""
        missing = ", ".join(self._missing(paper))
        left_out = f"Left out at this width: {missing}." if missing else ""
        text = " ".join(filter(None, [self._text, left_out]))
        if text:
            yield from Prose(Span(text, "muted")).lines(paper)

    def piped(self) -> Iterator[str]:
        """Give nothing."""
        return iter(())

    def _missing(self, paper: Paper) -> list[str]:
        heading = plain(next(iter(self._table.lines(paper)), ()))
        words = set(heading.split("  ")) | {part.strip() for part in heading.split("  ")}
        shown = [column for column in self._table.columns if column.shown is not None]
        return [c.title for c in shown if c.title and paper.spell(c.title) not in words]
