"""The page of `ckread drift`: a verdict, and each variable by how far it moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckread.views.columns import Column, Justify, Table
from ckread.views.drift_footer import DriftFooter, Hidden
from ckread.views.drift_rows import (
    MAX_CELLS,
    MIN_CELLS,
    cosine_text,
    failure_text,
    moved_text,
    norm_text,
    note_of,
    step_line,
    steps_title,
)
from ckread.views.drift_table import PipedDrift
from ckread.views.drift_verdict import verdict
from ckread.views.folding import Prose
from ckread.views.page import Page, Span, TerminalOnly
from ckread.views.quantities import (
    plural,
    safe_text,
)

if TYPE_CHECKING:
    from ckread.analysis.drift_records import RunDrift, VariableDrift
    from ckread.views.page import Block

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
