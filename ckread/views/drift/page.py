"""The page of `ckread drift`: a verdict, and each variable by how far it moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import chain, compress, repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.audit.records import seams_by_place
from ckread.analysis.drift.records import SERIES, VariableDrift, with_causes
from ckread.model.display import (
    Kind,
    are_one,
    by,
    column_of,
    in_order_of,
    is_there,
    rows_where,
    safe_text,
    safe_word,
)
from ckread.views.drift.rows import (
    CHANGED,
    MAX_CELLS,
    MIN_CELLS,
    NOT_FINITE,
    UNCHANGED,
    failure_text,
    norm_text,
    note_of,
    step_line,
    steps_per_cell,
    steps_title,
    verdict,
)
from ckread.views.seams import place_sentence
from ckread.views.terminal.page import Block, Page, Prose, Span, TerminalOnly, footer, heading
from ckread.views.terminal.table import POINT, RIGHT, Column, PipedTable, Table, aligned
from ckread.views.terminal.words import SEAM, cosine_text, moved_text, place, plural, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckread.analysis.drift.records import RunDrift
    from ckread.views.terminal.page import Line, Paper


DEFAULT_TOP = 40
"""Variables that a terminal shows unless `--top` says otherwise."""


__all__ = ["DriftView", "drift_page", "verdict"]


@dataclass(frozen=True, slots=True)
class DriftView:
    """What of a drift is shown; the verdict is about all of it.

    `top` are the so many that moved most, None as many as a screen takes; `show_all` shows what
    stayed finite after a blow-up, too.
    """

    result: RunDrift
    top: int | None = None
    show_all: bool = False

    @property
    def is_blown_up(self) -> bool:
        """Whether a value is not finite."""
        return any(map(is_there, column_of(with_causes(self.result), "first_nonfinite")))

    def ordered(self) -> Sequence[VariableDrift]:
        """Give the variables: by step of failure, then by how far they moved."""
        rows = with_causes(self.result)
        told = zip(column_of(rows, "moved"), column_of(rows, "n_changes"), strict=True)
        nearness = [
            -moved if moved and not math.isnan(moved) else n_changes * -1e-300
            for moved, n_changes in told
        ]
        failed = [math.inf if at is None else at for at in column_of(rows, "first_nonfinite")]
        order = sorted(range(len(rows)), key=nearness.__getitem__)
        return in_order_of(rows, sorted(order, key=failed.__getitem__))


def drift_page(view: DriftView) -> Page:
    """Lay out a drift."""
    result = view.result
    steps, unit = [entry.count for entry in result.checkpoints], result.checkpoints[0].unit
    span = f", {unit}s {steps[0]:,} to {steps[-1]:,}" if None not in (steps[0], steps[-1]) else ""
    if len(steps) == 1 and steps[0] is not None:
        span = f", {unit} {steps[0]:,}"
    how = ", by checksum, values not read" if result.index_only else ""
    title = heading(result.path, f"  {plural(len(steps), 'checkpoint')}{span}{how}")
    word, colon, rest = verdict(result).partition(": ")
    marks = seams_by_place(result.seams, result.checkpoints)
    rest += f" {place_sentence(marks, result.checkpoints)}" if marks else ""
    said = Prose(word + colon + rest)
    if word == "not finite":
        said = Prose(Span(word, "bad"), f": {rest}")
    if len(steps) == 1:
        return Page([title, said])
    ordered = view.ordered()
    table, hidden = _table(view, ordered)
    drawn = [TerminalOnly(table)] if table.rows else []
    piped = PipedDrift(result, ordered if view.top is None else ordered[: view.top])
    return Page([title, said], *drawn, DriftFooter(table, result, hidden), piped)


def _table(
    view: DriftView, everything: Sequence[VariableDrift]
) -> tuple[Table[VariableDrift], Hidden]:
    rows = everything
    if view.is_blown_up and not view.show_all:
        rows = rows_where(rows, "first_nonfinite", is_there)
    limit = DEFAULT_TOP if view.top is None else view.top
    shown = rows[: None if view.show_all and view.top is None else limit]
    hidden = Hidden(len(everything) - len(rows), len(rows) - len(shown))

    def style(variable: VariableDrift) -> str:
        is_still = variable.first_change is None and variable.first_nonfinite is None
        return "muted" if is_still else ""

    return Table(_columns(view), shown, row_style=style), hidden


def _columns(view: DriftView) -> list[Column[VariableDrift]]:
    """Give the columns: how far and when; by checksum, when; after a blow-up, from when."""
    result = view.result
    n = max(1, len(result.checkpoints) - 1)
    seams = [at for at in seams_by_place(result.seams, result.checkpoints) if at]
    cells = min(MIN_CELLS, n) + len(seams), min(MAX_CELLS, n) + len(seams)
    name: Column[VariableDrift] = Column(
        title="variable", shown=lambda v: safe_text(v.name), folds=True
    )
    steps: Column[VariableDrift] = Column(
        title=steps_title(result), draw=partial(step_line, seams=seams), cells=cells
    )

    def note(**look: Any) -> Column[VariableDrift]:
        return Column(title="note", shown=lambda v: note_of(v, result), **look)

    def times_changed(variable: VariableDrift) -> str:
        known = sum(changed is not None for changed in variable.changed)
        if variable.n_changes in (0, known):
            return "always" if variable.n_changes else "never"
        return f"{variable.n_changes:,} of {known:,}"

    def moved_by_then(variable: VariableDrift) -> str:
        failed = variable.first_nonfinite
        if not failed:
            return moved_text(variable.moved if failed is None else None)
        return moved_text(variable.from_first[failed - 1])

    def last_cosine(variable: VariableDrift) -> str:
        last = next((c for c in reversed(variable.cosine_to_first) if c is not None), None)
        return cosine_text(None if last is None or math.isnan(last) else last)

    if view.is_blown_up:
        return [
            name,
            steps,
            Column(title="moved by then", shown=moved_by_then, justify=RIGHT, rank=1),
            Column(title="not finite from", shown=lambda v: failure_text(v, result)),
        ]
    if result.index_only:
        changed: Column[VariableDrift] = Column(title="changed", shown=times_changed, justify=RIGHT)
        return [name, steps, changed, note(folds=True)]
    return [
        name,
        Column(title="moved", shown=lambda v: moved_text(v.moved), justify=RIGHT),
        steps,
        Column(
            title="l2 first", shown=lambda v: norm_text(v.l2, first=True), justify=POINT, rank=2
        ),
        Column(title="last", shown=lambda v: norm_text(v.l2, first=False), justify=POINT, rank=1),
        Column(title="cosine", shown=last_cosine, justify=RIGHT, rank=1),
        note(from_width=100, rank=3),
    ]


# The piped table of a drift: a line per variable and step, columns named as in JSON.
#
# Its words are made column by column: a run of 200 checkpoints easily has 10,000 lines.

_COLUMNS: list[Column[VariableDrift]] = [Column(title="name"), Column(title="step", justify=RIGHT)]
_COLUMNS += [Column.of(field) for field in SERIES]


_MANY_ROWS, _ROWS_AT_ONCE = 1 << 18, 1 << 15
"""Rows from which on their words are not made all at once, and how many then are."""


class PipedDrift(PipedTable[VariableDrift]):
    """A line per variable, in the order given, and checkpoint that holds it."""

    def __init__(self, result: RunDrift, chosen: Sequence[VariableDrift]) -> None:
        self._result = result
        self._chosen = chosen

    def cells(self) -> tuple[list[Column[VariableDrift]], list[list[str]]]:
        """Give the columns, and the words of each."""
        blocks = zip(*self._blocks(), strict=True)
        return self._columns(), [list(chain.from_iterable(column)) for column in blocks]

    def piped(self) -> Iterator[str]:
        """Give a `# ` line of headings and a line per row, aligned."""
        return aligned(self._columns(), self._blocks())

    @property
    def _is_counted(self) -> bool:
        return all(entry.count is not None for entry in self._result.checkpoints)

    def _columns(self) -> list[Column[VariableDrift]]:
        title = self._result.checkpoints[0].unit if self._is_counted else "checkpoint"
        return [_COLUMNS[0], _COLUMNS[1]._replace(title=title), *_COLUMNS[2:]]

    def _blocks(self) -> Iterator[list[list[str]]]:
        """Yield the words of each column, those of some variables at once."""
        n = len(self._result.checkpoints)
        at_once = max(1, _ROWS_AT_ONCE // n) if n * len(self._chosen) > _MANY_ROWS else None
        for at in range(0, len(self._chosen) or 1, at_once or len(self._chosen) or 1):
            yield self._words(self._chosen[at : at + at_once] if at_once else self._chosen)

    def _words(self, chosen: Sequence[VariableDrift]) -> list[list[str]]:
        entries = self._result.checkpoints
        is_counted = self._is_counted
        steps = [str(entry.count) if is_counted else safe_word(entry.name) for entry in entries]
        are_present = column_of(chosen, "present")
        called = words_of(Kind.TEXT, column_of(chosen, "name"))
        names = chain.from_iterable(map(repeat, called, repeat(len(steps))))
        words = [list(names), steps * len(chosen)]
        is_everywhere = are_one(are_present) and all(are_present[0])
        present: list[bool] = []
        if not is_everywhere:
            present = list(chain.from_iterable(are_present))
            words = [list(compress(some, present)) for some in words]
        # As they are, not as JSON has them: a move from zero is `inf` here, as in a diff.
        absent = [None] * len(steps)
        for field in SERIES:
            found = column_of(chosen, field.name)
            if not all(found):
                found = [figures or absent for figures in found]
            if is_everywhere and len(chosen) > len(steps):
                # In a checkpoint all may be one: in the first, none has moved.
                at_each = [words_of(field.kind, values) for values in zip(*found, strict=True)]
                words.append(list(chain.from_iterable(zip(*at_each, strict=True))))
                continue
            values = list(chain.from_iterable(found))
            if not is_everywhere:
                values = list(compress(values, present))
            words.append(words_of(field.kind, values))
        return words


# The last lines of the page of a drift: what its headings mean, and what is left out.


class Hidden(NamedTuple):
    """How many variables are left out: finite after a blow-up, or beyond the top."""

    finite: int = 0
    beyond_top: int = 0


class DriftFooter(Block):
    """What the headings of a table mean, and what it leaves out; how wide it fits is asked then."""

    def __init__(self, table: Table[VariableDrift], result: RunDrift, hidden: Hidden) -> None:
        self._table = table
        self._result = result
        self._hidden = hidden

    def lines(self, paper: Paper) -> Iterator[Line]:
        """Wrap the sentences."""
        fitted = self._table.fitted(paper)
        cells = next((column.width for column in fitted if column.column.draw), 1)
        sentences = [self._legend(cells)]
        others = sum(self._result.left_out.values()) - len(self._result.causes)
        finite, beyond_top = self._hidden
        if finite:
            more = by("--all", ".variables")
            sentences.append(f"{plural(finite, 'variable')} that stayed finite left out ({more}).")
        elif others > 0:
            more = by("--role all", "roles='all'")
            sentences.append(f"{plural(others, 'other')} left out ({more}).")
        if beyond_top:
            n_all = len(self._table.rows) + beyond_top
            more = by(f"--top {n_all}", ".variables")
            sentences.append(f"{beyond_top:,} that moved less left out ({more}).")
        return iter(footer(" ".join(filter(None, sentences))).lines(paper))

    def _legend(self, cells: int) -> str:
        result = self._result
        entries = result.checkpoints
        if not self._table.rows or len(entries) < 2:
            return ""
        title = steps_title(result)
        if result.index_only:
            return f"{title}: {CHANGED} changed, {UNCHANGED} the same bytes as the step before."
        last, first = (place(entry, entries) for entry in (entries[-1], entries[0]))
        against = f"moved, cosine: {last} against {first}. "
        signs = f"{UNCHANGED} unchanged"
        if any(row.first_nonfinite is not None for row in self._table.rows):
            against = ""
            signs += f", {NOT_FINITE} not finite"
        marks = seams_by_place(result.seams, entries)
        signs += f", {SEAM} seam" if marks else ""
        per_cell = steps_per_cell(len(entries), cells - len(marks))
        each = f" Each cell: {per_cell} steps." if per_cell > 1 else ""
        distance = "distance from the step before, each row to its own top"
        return f"{against}{title}: {distance}; {signs}.{each}"
