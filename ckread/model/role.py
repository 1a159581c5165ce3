"""What a variable is for: the closed list of roles."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ckread.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Role(StrEnum):
    """The role of a variable; the order is that of tables and totals."""

    # Enum's own goes through Python, and roles are looked up for every variable.
    __hash__ = str.__hash__

    WEIGHT = "weight"
    """Of a model, movable by gradient, frozen or not."""
    STATISTIC = "statistic"
    """Of a model, updated without gradient: moving mean and variance, counts."""
    ALIAS = "alias"
    """The second copy of a variable that is stored twice."""
    AVERAGE = "average"
    """A shadow copy of a weight, such as an exponential moving average."""
    SLOT = "slot"
    """Optimizer state with a value per element, row or column of a weight."""
    HYPERPARAMETER = "hyperparameter"
    """A scalar that steers training: learning rate, betas, loss scale."""
    COUNTER = "counter"
    """An integer that counts steps, epochs or saves."""
    RANDOM = "random"
    """State of a random generator."""
    METRIC = "metric"
    """State of a metric."""
    TABLE = "table"
    """Keys or values of a lookup table."""
    ITERATOR = "iterator"
    """State of a tf.data iterator."""
    OTHER = "other"
    """None of these can be shown from the files."""
    BOOKKEEPING = "bookkeeping"
    """Of the format itself: the object graph."""

    @property
    def is_parameter(self) -> bool:
        """Whether its elements are parameters of the model."""
        return self in _PARAMETERS


_PARAMETERS = frozenset((Role.WEIGHT, Role.STATISTIC))


def as_roles(roles: str | Iterable[str]) -> frozenset[Role]:
    """Give roles by their names, of which one may stand alone.

    Raises:
        UsageError: there is no such role.
    """
    names = [roles] if isinstance(roles, str) else roles
    try:
        return frozenset(map(Role, names))
    except ValueError as error:
        remedy = f"There are {', '.join(Role)}."
        raise UsageError(
            f"{error}".replace("is not a valid Role", "is no role"), remedy=remedy
        ) from None
