"""Totals of parameters and bytes by role."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ckread.model.identity import Identity
from ckread.model.role import Role
from ckread.model.totals import Parameters, RoleTotal, count_parameters, total_by_role
from ckread.model.variable import Variable
from tests.graphs import Var, record

if TYPE_CHECKING:
    from ckread.readers.contract import CheckpointReader


def variable(role: Role, shape: tuple[int, ...], trainable: bool | None = None) -> Variable:
    return Variable(
        record("key", Var(shape=shape)),
        Identity("name", role, trainable),
        cast("CheckpointReader", None),
    )


TRAINED = variable(Role.WEIGHT, (3, 2), trainable=True)
FROZEN = variable(Role.WEIGHT, (5,), trainable=False)
UNKNOWN = variable(Role.WEIGHT, (7,))
STATISTIC = variable(Role.STATISTIC, (4,), trainable=False)
OTHERS = [variable(role, (9,)) for role in Role if role not in (Role.WEIGHT, Role.STATISTIC)]


def test_only_weights_and_statistics_are_parameters() -> None:
    found = count_parameters([TRAINED, FROZEN, STATISTIC, *OTHERS])
    assert found == Parameters(total=15, trainable=6)


def test_one_unknown_flag_makes_the_trainable_part_unknown() -> None:
    found = count_parameters([TRAINED, UNKNOWN, STATISTIC])
    assert found == Parameters(total=17, trainable=None)


def test_statistics_are_never_trainable_whether_it_is_told_or_not() -> None:
    found = count_parameters([TRAINED, variable(Role.STATISTIC, (4,))])
    assert found == Parameters(total=10, trainable=6)


def test_nothing_is_all_told() -> None:
    assert count_parameters(OTHERS) == Parameters(0, 0)


def test_roles_add_up_to_all_bytes_in_the_order_of_roles() -> None:
    totals = total_by_role([*reversed(OTHERS), STATISTIC, TRAINED, FROZEN])
    assert list(totals) == list(Role)
    assert totals[Role.WEIGHT] == RoleTotal(variables=2, elements=11, nbytes=44)
    assert sum(total.nbytes for total in totals.values()) == 44 + 16 + 11 * 36
    assert totals[Role.SLOT].to_dict() == {"variables": 1, "elements": 9, "nbytes": 36}
    assert total_by_role([TRAINED]).keys() == {Role.WEIGHT}
