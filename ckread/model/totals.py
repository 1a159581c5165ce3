"""Totals that are true: parameters without slots, averages, counters or aliases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckread.model.variable import Variable


@dataclass(frozen=True, slots=True)
class Parameters:
    """Elements of weights and statistics: what Keras gives as `count_params()`.

    Attributes:
        total: all of them.
        trainable: those that training moves; None if that is unknown of any weight.
    """

    total: int
    trainable: int | None


@dataclass(frozen=True, slots=True)
class RoleTotal:
    """What the variables of one role add up to.

    Attributes:
        variables: how many they are.
        elements: how many numbers they hold.
        nbytes: bytes they take in the file.
    """

    variables: int
    elements: int
    nbytes: int

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of JSON documents."""
        return {"variables": self.variables, "elements": self.elements, "nbytes": self.nbytes}


def count_parameters(variables: Iterable[Variable]) -> Parameters:
    """Add up weights and statistics."""
    total = trainable = 0
    is_told = True
    for variable in variables:
        if variable.role.is_parameter:
            total += variable.elements
            trainable += variable.elements if variable.trainable else 0
            is_told &= variable.trainable is not None or variable.role is Role.STATISTIC
    return Parameters(total, trainable if is_told else None)


def total_by_role(variables: Iterable[Variable]) -> dict[Role, RoleTotal]:
    """Add up variables by role, in the order of `Role`; absent roles are left out."""
    sums: dict[Role, list[int]] = {}
    for variable in variables:
        total = sums.setdefault(variable.role, [0, 0, 0])
        total[0] += 1
        total[1] += variable.elements
        total[2] += variable.nbytes
    return {role: RoleTotal(*sums[role]) for role in Role if role in sums}
