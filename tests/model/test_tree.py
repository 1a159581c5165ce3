"""Trees: totals that add up, slots that fold, scopes that join, any depth of name."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ckread.model.evidence import Identity
from ckread.model.role import Role
from ckread.model.tree import (
    MAX_DEPTH,
    Parameters,
    RoleTotal,
    VariableTree,
    build_tree,
    count_parameters,
    join_single_scopes,
    total_by_role,
)
from ckread.model.variable import Variable, kinds_of
from tests.analysis.array_checkpoint import checkpoint
from tests.graphs import Var, record

if TYPE_CHECKING:
    from ckread.readers.contract import CheckpointReader


NAMES = st.lists(st.text("ab/", min_size=1, max_size=12), unique=True, max_size=20)


def tree_of(names: list[str]) -> VariableTree:
    return build_tree(checkpoint({name: np.zeros(3, np.float32) for name in names}).values())


def paths(tree: VariableTree) -> list[str]:
    return [node.path for node, _ in tree.walk()]


def test_scopes_stand_in_order_of_their_first_variable() -> None:
    tree = tree_of(["b/w", "a/x/w", "b/v", "c"])
    assert paths(tree) == ["", "b", "b/w", "b/v", "a", "a/x", "a/x/w", "c"]


@given(NAMES)
def test_totals_are_the_sums_of_the_leaves(names: list[str]) -> None:
    tree = tree_of(names)
    assert (tree.n_variables, tree.nbytes, tree.parameters) == (
        len(names), 12 * len(names), 3 * len(names),
    )  # fmt: skip
    for node, _ in tree.walk():
        own = 1 if node.variable is not None else 0
        assert node.n_variables == own + sum(child.n_variables for child in node.children)
        assert node.nbytes == 12 * node.n_variables
    assert sorted(n.variable.name for n, _ in tree.walk() if n.variable) == sorted(names)


@given(NAMES)
def test_joining_loses_nothing(names: list[str]) -> None:
    tree = tree_of(names)
    join_single_scopes(tree)
    found = {node.path: node for node, _ in tree.walk() if node.variable}
    assert set(found) == set(names)
    for node, _ in tree.walk():
        assert len(node.children) != 1 or node.variable is not None or node is tree


def test_a_joined_scope_is_named_by_its_whole_path() -> None:
    tree = tree_of(["a/b/c/w", "a/b/c/v", "d/e"])
    join_single_scopes(tree)
    assert [child.name for child in tree.children] == ["a/b/c", "d/e"]


def test_a_name_can_be_variable_and_scope() -> None:
    tree = tree_of(["w", "w/Adam"])
    [node] = tree.children
    assert node.variable is not None
    assert [child.name for child in node.children] == ["Adam"]


def test_what_is_very_deep_stays_one_component() -> None:
    tree = tree_of(["x/" * 100_000 + "w"])
    deepest = max(len(lasts) for _, lasts in tree.walk())
    assert deepest == MAX_DEPTH
    assert tree.to_dict()["variables"] == 1


def test_slots_fold_by_their_word_in_their_scope() -> None:
    names = ["a/w", "b/w", "opt/a/w/m", "opt/b/w/m", "opt/a/w/v", "opt/b/w/v", "opt/it", "lone/m"]
    owners = {
        f"opt/{owner}/{slot}": (owner, slot) for owner in ("a/w", "b/w") for slot in ("m", "v")
    }
    ck = checkpoint(
        {name: np.zeros(2, np.float32) for name in names},
        roles={"opt/it": Role.COUNTER},
        owners=owners,
    )
    tree = build_tree(ck.values(), folds=True)
    assert paths(tree)[5:] == [
        "opt", "opt/m of 2 weights", "opt/v of 2 weights", "opt/it", "lone", "lone/m",
    ]  # fmt: skip
    optimizer = next(child for child in tree.children if child.name == "opt")
    assert (optimizer.n_variables, optimizer.parameters) == (5, 0)
    assert [len(child.folded) for child in optimizer.children] == [2, 2, 0]


def test_a_dictionary_nests_the_children() -> None:
    assert tree_of(["a/w"]).to_dict() == {
        "name": "", "variables": 1, "parameters": 3, "nbytes": 12,
        "children": [{
            "name": "a", "variables": 1, "parameters": 3, "nbytes": 12,
            "children": [{
                "name": "w", "variables": 1, "parameters": 3, "nbytes": 12, "children": [],
            }],
        }],
    }  # fmt: skip


def test_a_walk_goes_no_deeper_than_it_is_told() -> None:
    tree = tree_of(["a/b/w", "a/v", "c"])
    deep = [("", ()), ("a", (False,)), ("a/b", (False, False)), ("a/b/w", (False, False, True)),
            ("a/v", (False, True)), ("c", (True,))]  # fmt: skip
    for depth in (None, 9, 3, 2, 1, 0):
        found = [(node.path, lasts) for node, lasts in tree.walk(depth)]
        assert found == [one for one in deep if depth is None or len(one[1]) <= depth]


# Totals of parameters and bytes by role.


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
    found = count_parameters(kinds_of([TRAINED, FROZEN, STATISTIC, *OTHERS]))
    assert found == Parameters(total=15, trainable=6)


def test_one_unknown_flag_makes_the_trainable_part_unknown() -> None:
    found = count_parameters(kinds_of([TRAINED, UNKNOWN, STATISTIC]))
    assert found == Parameters(total=17, trainable=None)


def test_statistics_are_never_trainable_whether_it_is_told_or_not() -> None:
    found = count_parameters(kinds_of([TRAINED, variable(Role.STATISTIC, (4,))]))
    assert found == Parameters(total=10, trainable=6)


def test_nothing_is_all_told() -> None:
    assert count_parameters(kinds_of(OTHERS)) == Parameters(0, 0)


def test_roles_add_up_to_all_bytes_in_the_order_of_roles() -> None:
    totals = total_by_role(kinds_of([*reversed(OTHERS), STATISTIC, TRAINED, FROZEN]))
    assert list(totals) == list(Role)
    assert totals[Role.WEIGHT] == RoleTotal(variables=2, elements=11, nbytes=44)
    assert sum(total.nbytes for total in totals.values()) == 44 + 16 + 12 * 36
    assert totals[Role.SLOT].to_dict() == {"variables": 1, "elements": 9, "nbytes": 36}
    assert total_by_role(kinds_of([TRAINED])).keys() == {Role.WEIGHT}
