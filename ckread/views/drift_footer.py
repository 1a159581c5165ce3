"""The last lines of the page of a drift: what its headings mean, and what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.views.drift_rows import (
    CHANGED,
    NOT_FINITE,
    UNCHANGED,
    place,
    steps_per_cell,
    steps_title,
)
from ckread.views.folding import Prose
from ckread.views.page import Span
from ckread.views.quantities import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.analysis.drift_records import RunDrift, VariableDrift
    from ckread.views.columns import Table
    from ckread.views.page import Line
    from ckread.views.paper import Paper


class Hidden(NamedTuple):
    """How many variables a table does not show.

    Attributes:
        finite: those that stayed finite, after a blow-up.
        beyond_top: those that moved less than the last row.
    """

    finite: int = 0
    beyond_top: int = 0


class DriftFooter:
    """A block that is laid out after its table: how many steps a cell has is seen there."""

    def __init__(self, table: Table[VariableDrift], result: RunDrift, hidden: Hidden) -> None:
        self._table = table
        self._result = result
        self._hidden = hidden
        self._is_blown_up = any(row.first_nonfinite is not None for row in table.rows)

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Wrap the sentences."""
        sentences = " ".join(filter(None, [self._legend(self._cells(paper)), self._left_out()]))
        spelled = Prose(Span(sentences, "muted"))
        yield from spelled.lines(paper)

    def piped(self) -> Iterator[str]:
        """Give nothing."""
        return iter(())

    def _cells(self, paper: Paper) -> int:
        """Count the cells of a sparkline at this width."""
        for line in list(self._table.lines(paper))[1:2]:
            drawn = (text for text, style in line if style in ("spark", "bad"))
            same = (text for text, _ in line if set(text) == {paper.spell(UNCHANGED)})
            return sum(map(len, (*drawn, *same)))
        return 1

    def _legend(self, cells: int) -> str:
        result = self._result
        if not self._table.rows or len(result.checkpoints) < 2:
            return ""
        title = steps_title(result)
        if result.index_only:
            return f"{title}: {CHANGED} changed, {UNCHANGED} the same bytes as the step before."
        first, last = (place(result.checkpoints[i], result.checkpoints) for i in (0, -1))
        against = "" if self._is_blown_up else f"moved, cosine: {last} against {first}. "
        signs = f"{UNCHANGED} unchanged"
        if self._is_blown_up:
            signs += f", {NOT_FINITE} not finite"
        per_cell = steps_per_cell(len(result.checkpoints), cells)
        each = f" Each cell: {per_cell} steps." if per_cell > 1 else ""
        distance = "distance from the step before, each row to its own top"
        return f"{against}{title}: {distance}; {signs}.{each}"

    def _left_out(self) -> str:
        sentences = []
        others = sum(self._result.left_out.values()) - len(self._result.causes)
        if self._hidden.finite:
            n = plural(self._hidden.finite, "variable")
            sentences.append(f"{n} that stayed finite left out (--all).")
        elif others > 0:
            sentences.append(f"{plural(others, 'other')} left out (--role all).")
        if self._hidden.beyond_top:
            n_all = len(self._table.rows) + self._hidden.beyond_top
            n_hidden = f"{self._hidden.beyond_top:,}"
            sentences.append(f"{n_hidden} that moved less left out (--top {n_all}).")
        return " ".join(sentences)
