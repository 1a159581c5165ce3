"""Rows of the picture of a diff: variables in the order of the model, still layers folded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.diff_records import DiffStatus
from ckread.views.diff_groups import structure_change
from ckread.views.diff_rows import MODEL_ROLES
from ckread.views.quantities import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.diff_records import VariableDiff

_FOLDED = 6
"""Identical variables of a layer up to which each has a row."""


class DotRow(NamedTuple):
    """A row of the picture.

    Attributes:
        name: a variable, or the pattern of a folded subtree.
        members: the variables it stands for.
        group: number of the layer it is in.
    """

    name: str
    members: tuple[VariableDiff, ...]
    group: int

    @property
    def relative(self) -> float | None:
        """The relative distance to draw; None where a word says more."""
        if len(self.members) > 1 or self.members[0].status is DiffStatus.IDENTICAL:
            return None
        metrics = self.members[0].metrics
        if metrics is None or not metrics.relative_l2 or not math.isfinite(metrics.relative_l2):
            return None
        return metrics.relative_l2

    @property
    def word(self) -> str:
        """What stands in place of a dot."""
        if len(self.members) > 1:
            return f"{len(self.members)} identical"
        (only,) = self.members
        metrics = only.metrics
        largest = metrics.max_abs if metrics else None
        if isinstance(largest, float) and not math.isfinite(largest):
            return "NaN or Inf on one side"
        if metrics and metrics.l2 and metrics.relative_l2 is None:
            return "from all zeros"
        words = [only.status.value if only.status else "not known", structure_change(only)]
        if only.status is DiffStatus.CHANGED and metrics:
            return "" if metrics.l2 is not None else "changed"
        return " ".join(filter(None, words))


def dot_rows(variables: Sequence[VariableDiff]) -> list[DotRow]:
    """Give the rows: the model's variables, or all where it has none; long still runs folded."""
    chosen = [v for v in variables if v.role in MODEL_ROLES] or list(variables)
    runs: list[list[VariableDiff]] = []
    for variable in chosen:
        if runs and _layer(runs[-1][0]) == _layer(variable):
            runs[-1].append(variable)
        else:
            runs.append([variable])
    rows: list[DotRow] = []
    for group, run in enumerate(runs):
        is_still = all(v.status is DiffStatus.IDENTICAL for v in run)
        if is_still and len(run) > _FOLDED:
            rows.append(DotRow(f"{_layer(run[0])}/**", tuple(run), group))
        else:
            rows += [DotRow(_label(v), (v,), group) for v in run]
    return rows


def _layer(variable: VariableDiff) -> str:
    return safe_text(variable.name.rpartition("/")[0])


def _label(variable: VariableDiff) -> str:
    old = variable.renamed_from
    name = safe_text(variable.name)
    return name if old is None else f"{safe_text(old)} → {name}"
