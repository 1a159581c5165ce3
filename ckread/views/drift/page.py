"""The page of `ckread drift`: a verdict, and each variable by how far it moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.spelling import safe_text, safe_word
from ckread.views.drift.rows import (
    CHANGED,
    MAX_CELLS,
    MIN_CELLS,
    NOT_FINITE,
    UNCHANGED,
    cosine_text,
    failure_text,
    moved_text,
    norm_text,
    note_of,
    place,
    step_line,
    steps_per_cell,
    steps_title,
    verdict,
)
from ckread.views.terminal.page import Block, Page, Prose, Span, TerminalOnly
from ckread.views.terminal.table import Column, Justify, Table, aligned
from ckread.views.terminal.words import ABSENT_WORD, float_word, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.analysis.drift.records import RunDrift, VariableDrift
    from ckread.views.terminal.page import Line, Paper


DEFAULT_TOP = 40
"""Variables that a terminal shows unless `--top` says otherwise."""

_RIGHT, _POINT = Justify.RIGHT, Justify.POINT


@dataclass(frozen=True, slots=True)
class DriftView:
    """What of a drift is shown.

    Attributes:
        result: all of it; the verdict is about that.
        top: the so many that moved most; None for as many as a screen takes.
        show_all: whether variables that stayed finite are shown after a blow-up.
    """

    result: RunDrift
    top: int | None = None
    show_all: bool = False

    @property
    def is_blown_up(self) -> bool:
        """Whether a value is not finite."""
        both = (*self.result.variables, *self.result.causes)
        return any(variable.first_nonfinite is not None for variable in both)

    def ordered(self) -> list[VariableDrift]:
        """Give the variables: by step of failure, then by how far they moved."""
        both = [*self.result.causes, *self.result.variables]
        return sorted(both, key=_order)


def _order(variable: VariableDrift) -> tuple[float, float]:
    failed = variable.first_nonfinite
    moved = variable.moved
    if moved is None or math.isnan(moved):
        moved = 0.0
    return math.inf if failed is None else failed, -(moved or variable.n_changes * 1e-300)


def drift_page(view: DriftView) -> Page:
    """Lay out a drift."""
    result = view.result
    table, hidden = _table(view)
    sections: list[Block] = []
    if table.rows:
        sections.append(TerminalOnly(table))
    sections.append(DriftFooter(table, result, hidden))
    piped = PipedDrift(result, view.ordered()[: view.top])
    return Page([TerminalOnly(_title(result)), _verdict(result)], *sections, piped)


def _title(result: RunDrift) -> Prose:
    steps = [entry.step for entry in result.checkpoints]
    span = f", steps {steps[0]:,} to {steps[-1]:,}" if None not in (steps[0], steps[-1]) else ""
    if len(steps) == 1 and steps[0] is not None:
        span = f", step {steps[0]:,}"
    how = ", by checksum, values not read" if result.index_only else ""
    held = f"  {plural(len(result.checkpoints), 'checkpoint')}{span}{how}"
    return Prose(Span(safe_text(result.path), "title"), held)


def _verdict(result: RunDrift) -> Prose:
    word, colon, rest = verdict(result).partition(": ")
    if word == "not finite":
        return Prose(Span(word, "bad"), f": {rest}")
    return Prose(word + colon + rest)


def _table(view: DriftView) -> tuple[Table[VariableDrift], Hidden]:
    rows = everything = view.ordered()
    if view.is_blown_up and not view.show_all:
        rows = [row for row in rows if row.first_nonfinite is not None]
    limit = DEFAULT_TOP if view.top is None else view.top
    shown = rows[: None if view.show_all and view.top is None else limit]
    if view.is_blown_up:
        columns = _failure_columns(view.result)
    elif view.result.index_only:
        columns = _index_columns(view.result)
    else:
        columns = _columns(view.result)
    hidden = Hidden(len(everything) - len(rows), len(rows) - len(shown))
    return Table(columns, shown, row_style=_row_style), hidden


def _row_style(variable: VariableDrift) -> str:
    return "muted" if variable.first_change is None and variable.first_nonfinite is None else ""


def _name_column() -> Column[VariableDrift]:
    return Column(title="variable", shown=lambda v: safe_text(v.name), folds=True)


def _step_column(result: RunDrift) -> Column[VariableDrift]:
    n = max(1, len(result.checkpoints) - 1)
    cells = min(MIN_CELLS, n), min(MAX_CELLS, n)
    return Column(title=steps_title(result), draw=step_line, cells=cells)


def _columns(result: RunDrift) -> list[Column[VariableDrift]]:
    return [
        _name_column(),
        Column(title="moved", shown=lambda v: moved_text(v.moved), justify=_RIGHT),
        _step_column(result),
        Column(
            title="l2 first", shown=lambda v: norm_text(v.l2, first=True), justify=_POINT, rank=2
        ),
        Column(title="last", shown=lambda v: norm_text(v.l2, first=False), justify=_POINT, rank=1),
        Column(title="cosine", shown=_last_cosine, justify=_RIGHT, rank=1),
        Column(title="note", shown=lambda v: note_of(v, result), from_width=100, rank=3),
    ]


def _index_columns(result: RunDrift) -> list[Column[VariableDrift]]:
    return [
        _name_column(),
        _step_column(result),
        Column(title="changed", shown=_times_changed, justify=_RIGHT),
        Column(title="note", shown=lambda v: note_of(v, result), folds=True),
    ]


def _failure_columns(result: RunDrift) -> list[Column[VariableDrift]]:
    return [
        _name_column(),
        _step_column(result),
        Column(title="moved by then", shown=_moved_by_then, justify=_RIGHT, rank=1),
        Column(title="not finite from", shown=lambda v: failure_text(v, result)),
    ]


def _last_cosine(variable: VariableDrift) -> str:
    return cosine_text(next((c for c in reversed(variable.cosine_to_first) if c is not None), None))


def _times_changed(variable: VariableDrift) -> str:
    n = sum(changed is not None for changed in variable.changed)
    if variable.n_changes in (0, n):
        return "always" if variable.n_changes else "never"
    return f"{variable.n_changes:,} of {n:,}"


def _moved_by_then(variable: VariableDrift) -> str:
    failed = variable.first_nonfinite
    if not failed:
        return moved_text(variable.moved if failed is None else None)
    return moved_text(variable.from_first[failed - 1])


# The piped table of a drift: a line per variable and step, columns named as in JSON.
#
# Its words are made column by column: a run of 200 checkpoints easily has 10,000 lines.

_COLUMNS: tuple[Column[VariableDrift], ...] = (
    Column(title="name"),
    Column(title="step", justify=_RIGHT),
    Column(title="l2", justify=_RIGHT),
    Column(title="from_first", justify=_RIGHT),
    Column(title="from_previous", justify=_RIGHT),
    Column(title="cosine_to_first", justify=_RIGHT),
    Column(title="changed"),
)
_CHANGED_WORDS = {None: ABSENT_WORD, True: "yes", False: "no"}


class PipedDrift(Block):
    """A block of a line per variable and checkpoint that holds it.

    Args:
        result: the checkpoints.
        chosen: the variables, in the order they stand.
    """

    def __init__(self, result: RunDrift, chosen: Sequence[VariableDrift]) -> None:
        self._result = result
        self._chosen = chosen

    def piped(self) -> Iterator[str]:
        """Give the lines, aligned."""
        steps = [
            ABSENT_WORD if entry.step is None else str(entry.step)
            for entry in self._result.checkpoints
        ]
        words: list[list[str]] = [[] for _ in _COLUMNS]
        for variable in self._chosen:
            for column, found in zip(words, _words(variable, steps), strict=True):
                column += found
        return aligned(_COLUMNS, words)


def _words(variable: VariableDrift, steps: Sequence[str]) -> list[Iterable[str]]:
    """Give the words of one variable, per column, where it is present."""
    columns = [
        [safe_word(variable.name)] * len(steps),
        steps,
        _figures(variable.l2, steps),
        _figures(variable.from_first, steps),
        _figures(variable.from_previous, steps),
        _figures(variable.cosine_to_first, steps),
        [_CHANGED_WORDS[changed] for changed in variable.changed],
    ]
    return [compress(column, variable.present) for column in columns]


def _figures(values: Sequence[float | None], steps: Sequence[str]) -> list[str]:
    return list(map(float_word, values)) if values else [ABSENT_WORD] * len(steps)


# The last lines of the page of a drift: what its headings mean, and what is left out.


class Hidden(NamedTuple):
    """How many variables a table does not show.

    Attributes:
        finite: those that stayed finite, after a blow-up.
        beyond_top: those that moved less than the last row.
    """

    finite: int = 0
    beyond_top: int = 0


class DriftFooter(Block):
    """A block that is laid out after its table: how many steps a cell has is seen there."""

    def __init__(self, table: Table[VariableDrift], result: RunDrift, hidden: Hidden) -> None:
        self._table = table
        self._result = result
        self._hidden = hidden
        self._is_blown_up = any(row.first_nonfinite is not None for row in table.rows)

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Wrap the sentences."""
        fitted = self._table.fitted(paper)
        cells = next((column.width for column in fitted if column.column.draw), 1)
        sentences = " ".join(filter(None, [self._legend(cells), self._left_out()]))
        yield from Prose(Span(sentences, "muted")).lines(paper)

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
