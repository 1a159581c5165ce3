"""Which variables of many an analysis is about: by pattern, and by role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.ordering import model_order
from ckread.model.role import Role, as_roles
from ckread.model.selection import select

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable


def choose(
    variables: Iterable[Variable],
    patterns: str | Sequence[str],
    roles: str | Iterable[str] | None,
) -> tuple[list[Variable], dict[Role, int]]:
    """Give the variables that are asked for, and how many of each role are not.

    Without `roles` these are weights and statistics, or, where no such variable
    matches, all but bookkeeping.
    """
    matching = select(variables, patterns)
    if roles is None:
        is_model = any(variable.role.is_parameter for variable in matching)
        roles = [r for r in Role if (r.is_parameter if is_model else r is not Role.BOOKKEEPING)]
    roles = as_roles(roles)
    left_out: dict[Role, int] = {}
    for variable in matching:
        if variable.role not in roles:
            left_out[variable.role] = left_out.get(variable.role, 0) + 1
    return [variable for variable in matching if variable.role in roles], left_out


def choose_variables(
    checkpoint: Checkpoint, patterns: str | Sequence[str], roles: str | Iterable[str] | None
) -> tuple[list[Variable], dict[Role, int]]:
    """Choose among the variables of a checkpoint; they come in the order of its model."""
    chosen, left_out = choose(checkpoint.values(), patterns, roles)
    return model_order(chosen, checkpoint.evidence), left_out
