"""Rows of the diff's tables: one variable, or a group that behaves alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckread.analysis.diff_records import DiffStatus, distance_moved
from ckread.analysis.pairing import PairedBy
from ckread.model.role import Role
from ckread.views.diff_groups import (
    describe,
    group,
    slot_pattern,
    structure_change,
)
from ckread.views.quantities import ABSENT, float_text, safe_text, share_text, value_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.analysis.diff_records import CheckpointDiff, VariableDiff

MODEL_ROLES = (Role.WEIGHT, Role.STATISTIC, Role.AVERAGE, Role.ALIAS)
"""Roles whose variables get a row each; the rest is optimizer, counters and the like."""

_FEW_IDENTICAL = 6
_FEW_STILL = 2
_SIGNS = {
    DiffStatus.CHANGED: "~",
    DiffStatus.IDENTICAL: "=",
    DiffStatus.ADDED: "+",
    DiffStatus.REMOVED: "-",
    DiffStatus.RENAMED: ">",
    DiffStatus.RESHAPED: "!",
    DiffStatus.RETYPED: "!",
    None: "?",
}
SIGN_STYLES = {"+": "added", "-": "removed", ">": "renamed", "!": "warning"}
_MOST_TELLING = "!-+>~?="


@dataclass(frozen=True, slots=True)
class DiffRow:
    """A row of a table.

    Attributes:
        sign: what happened: `~ = + - > ! ?`.
        name: a name, or the pattern of a group.
        members: the variables it stands for.
        what: in words, what figures cannot say.
    """

    sign: str
    name: str
    members: tuple[VariableDiff, ...]
    what: str = ""

    @property
    def only(self) -> VariableDiff | None:
        """The variable, where it stands for one."""
        return self.members[0] if len(self.members) == 1 else None

    @property
    def nbytes_changed(self) -> int:
        """Bytes of what is not identical."""
        return sum(v.nbytes for v in self.members if v.status is not DiffStatus.IDENTICAL)

    @property
    def is_identical(self) -> bool:
        """Whether nothing differs."""
        return self.sign == "="


def sign_of(members: Iterable[VariableDiff]) -> str:
    """Give the sign of the most telling status."""
    signs = {_sign(variable) for variable in members}
    return min(signs, key=_MOST_TELLING.index)


def _sign(variable: VariableDiff) -> str:
    if variable.status is DiffStatus.CHANGED and variable.renamed_from is not None:
        return ">"
    return _SIGNS[variable.status]


def movement(variable: VariableDiff) -> float:
    """Give a key to sort by, largest first: NaN, from zero, then the relative distance."""
    metrics = variable.metrics
    if metrics is None or metrics.l2 is None:
        return -1.0
    if math.isnan(metrics.l2) or metrics.l2 == math.inf:
        return math.inf
    if metrics.relative_l2 is None:
        return 1e300 if metrics.l2 else 0.0
    return metrics.relative_l2


def changes(variables: Iterable[VariableDiff]) -> list[VariableDiff]:
    """Give those that have figures of their own, largest change first."""
    measured = [v for v in variables if _is_measured(v)]
    return sorted(measured, key=lambda v: -movement(v))


def model_rows(variables: Sequence[VariableDiff]) -> list[DiffRow]:
    """Give the rows of weights, statistics and averages: moved, restructured, identical."""
    rest = [v for v in variables if not _is_measured(v)]
    identical = [v for v in rest if v.status is DiffStatus.IDENTICAL]
    others = [v for v in rest if v.status is not DiffStatus.IDENTICAL]
    rows = [_single(v) for v in changes(variables)] + grouped_rows(others, variables)
    if len(identical) <= _FEW_IDENTICAL:
        return rows + [_single(v) for v in identical]
    return rows + grouped_rows(identical, variables)


def _is_measured(variable: VariableDiff) -> bool:
    return (
        variable.status is not DiffStatus.IDENTICAL
        and variable.metrics is not None
        and variable.metrics.l2 is not None
        and variable.status is not DiffStatus.RENAMED
        and not (variable.status is DiffStatus.RESHAPED and not variable.metrics.changed_elements)
    )


def grouped_rows(variables: Sequence[VariableDiff], among: Sequence[VariableDiff]) -> list[DiffRow]:
    """Give a row for each group that behaves alike; `among` are all that the table shows."""
    return [
        DiffRow(sign_of(members), _exact(pattern, members, among), members, describe(members))
        for pattern, members in group(variables)
    ]


def _exact(pattern: str, members: Sequence[VariableDiff], among: Sequence[VariableDiff]) -> str:
    """Say where a subtree holds others too, which have rows of their own."""
    if not pattern.endswith("**") or "**" in pattern[:-2]:
        return pattern
    n_below = sum(variable.name.startswith(pattern[:-2]) for variable in among)
    if n_below == len(members):
        return pattern
    return f"{pattern}, the rest" if len(pattern) > 2 else "the rest"


def _single(variable: VariableDiff) -> DiffRow:
    return DiffRow(_sign(variable), variable.name, (variable,), structure_change(variable))


def origin_rows(result: CheckpointDiff, variables: Iterable[VariableDiff]) -> list[DiffRow]:
    """Give what variables were called, those apart that a rule in the verdict explains."""
    rows = []
    for variable in variables:
        old = variable.renamed_from
        if old is None or variable.paired_by is PairedBy.OWNER:
            continue
        if any(rule.apply(old) == variable.name for rule in result.rules):
            continue
        is_proposal = variable.confidence is not None and variable.confidence < 1
        sure = f" ({round(100 * (variable.confidence or 0))} % sure)" if is_proposal else ""
        rows.append(DiffRow(">", variable.name, (variable,), f"was {safe_text(old)}{sure}"))
    return rows


def state_rows(variables: Sequence[VariableDiff]) -> list[DiffRow]:
    """Give the rows of the optimizer and the counters: one per slot name, values of scalars."""
    rows: dict[str, list[VariableDiff]] = {}
    still = [v for v in variables if v.slot is None and v.status is DiffStatus.IDENTICAL]
    is_folded = len(still) > _FEW_STILL
    for variable in variables:
        if not (is_folded and variable.slot is None and variable.status is DiffStatus.IDENTICAL):
            name = slot_pattern(variable) if variable.slot is not None else variable.name
            rows.setdefault(name, []).append(variable)
    if is_folded:
        rows["the rest"] = still
    return [
        DiffRow(
            sign_of(members),
            members[0].name if len(members) == 1 else name,
            tuple(members),
            _state_change(members),
        )
        for name, members in rows.items()
    ]


def _state_change(members: Sequence[VariableDiff]) -> str:
    only = members[0] if len(members) == 1 else None
    if only is not None and only.old is not None and only.new is not None:
        return f"{value_text(only.old)} → {value_text(only.new)}"
    moved = distance_moved(v for v in members if _is_measured(v))
    text = describe(members)
    if moved is None:
        return f"{text}, from 0" if any(map(_is_measured, members)) else text
    return f"{text}, moved {move_in_words(moved)}" if moved else text


def moved_text(variable: VariableDiff) -> str:
    """Give the relative distance: `53.1 %`, `from 0`, `NaN`, `–` where nothing moved."""
    metrics = variable.metrics
    if metrics is None or metrics.l2 is None or variable.status is DiffStatus.IDENTICAL:
        return ABSENT
    if metrics.relative_l2 is None:
        return "from 0" if metrics.l2 else ABSENT
    if metrics.relative_l2 == 0:
        return ABSENT
    if not math.isfinite(metrics.relative_l2):
        return float_text(metrics.relative_l2)
    percent = 100 * metrics.relative_l2
    if percent < 0.1:
        return "<0.1 %"
    return f"{percent:.1f} %" if percent < 999.95 else f"{float_text(metrics.relative_l2)} ×"


def move_in_words(moved: float) -> str:
    """Give a relative distance for a sentence: `13 %`, `3.0 %`, `12.0 times the norm`."""
    percent = 100 * moved
    if percent < 0.1:
        return "<0.1 %"
    if percent < 999.5:
        return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"
    return f"{float_text(moved)} times the norm"


def elements_text(variable: VariableDiff) -> str:
    """Give the share of elements that changed: `64.1 %`, `all`, `none`."""
    if variable.metrics is None:
        return ""
    return share_text(variable.metrics.changed_elements, variable.elements)
