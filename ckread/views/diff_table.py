"""The piped table of a diff: a line per variable, columns named as in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.analysis.diff_records import DiffStatus
from ckread.views.columns import Column, Justify, Table
from ckread.views.diff_rows import movement
from ckread.views.quantities import ABSENT_WORD, float_word, safe_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ckread.analysis.diff_records import VariableDiff

_RIGHT = Justify.RIGHT


def variable_table(variables: Iterable[VariableDiff], *, top: int | None) -> Table[VariableDiff]:
    """Give a table for pipes: what moved most first, identical ones last."""
    rows = sorted(variables, key=lambda v: (v.status is DiffStatus.IDENTICAL, -movement(v)))
    return Table(_COLUMNS, rows if top is None else rows[:top])


def _number(field: str) -> Callable[[VariableDiff], str]:
    def word(variable: VariableDiff) -> str:
        value = getattr(variable.metrics, field, None)
        if value is None and field == "relative_l2" and _is_from_zero(variable):
            return "inf"
        return str(value) if isinstance(value, int) else float_word(value)

    return word


def _is_from_zero(variable: VariableDiff) -> bool:
    return variable.metrics is not None and bool(variable.metrics.l2)


def _status(variable: VariableDiff) -> str:
    return variable.status or "unknown"


def _origin(variable: VariableDiff) -> str:
    old = variable.renamed_from
    return ABSENT_WORD if old is None else safe_word(old)


_COLUMNS: list[Column[VariableDiff]] = [
    Column(title="status", piped=_status),
    Column(title="name", piped=lambda v: safe_word(v.name)),
    Column(title="relative_l2", piped=_number("relative_l2"), justify=_RIGHT),
    Column(title="max_abs", piped=_number("max_abs"), justify=_RIGHT),
    Column(title="mean_abs", piped=_number("mean_abs"), justify=_RIGHT),
    Column(title="cosine", piped=_number("cosine"), justify=_RIGHT),
    Column(title="changed", piped=_number("changed_elements"), justify=_RIGHT),
    Column(title="elements", piped=lambda v: str(v.elements), justify=_RIGHT),
    Column(title="role", piped=lambda v: v.role),
    Column(title="renamed_from", piped=_origin),
]
