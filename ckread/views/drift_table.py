"""The piped table of a drift: a line per variable and step, columns named as in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.views.columns import Column, Justify, Table
from ckread.views.quantities import ABSENT_WORD, float_word, safe_word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ckread.analysis.drift_records import RunDrift, VariableDrift

_FIGURES = ("l2", "from_first", "from_previous", "cosine_to_first")


class _Row(NamedTuple):
    """A line of the piped form: one variable at one checkpoint."""

    variable: VariableDrift
    at: int
    step: int | None


def piped_table(result: RunDrift, chosen: Sequence[VariableDrift]) -> Table[_Row]:
    """Give a line per variable and checkpoint that holds it."""
    rows = [
        _Row(variable, index, entry.step)
        for variable in chosen
        for index, entry in enumerate(result.checkpoints)
        if variable.present[index]
    ]
    columns: list[Column[_Row]] = [
        Column(title="name", piped=lambda row: safe_word(row.variable.name)),
        Column(title="step", piped=_step_word, justify=Justify.RIGHT),
        *(Column(title=f, piped=_figure(f), justify=Justify.RIGHT) for f in _FIGURES),
        Column(title="changed", piped=_changed_word),
    ]
    return Table(columns, rows)


def _step_word(row: _Row) -> str:
    return ABSENT_WORD if row.step is None else str(row.step)


def _figure(field: str) -> Callable[[_Row], str]:
    def word(row: _Row) -> str:
        values: Sequence[float | None] = getattr(row.variable, field)
        return float_word(values[row.at]) if values else ABSENT_WORD

    return word


def _changed_word(row: _Row) -> str:
    changed = row.variable.changed[row.at]
    return ABSENT_WORD if changed is None else "yes" if changed else "no"
