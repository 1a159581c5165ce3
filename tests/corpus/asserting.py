"""What must hold between a checkpoint and the live objects it was saved from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.role import Role
from ckread.model.tree import Parameters, count_parameters

if TYPE_CHECKING:
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from tests.corpus.living import Truth

MODEL = (Role.WEIGHT, Role.STATISTIC)


def variables_in(checkpoint: Checkpoint, *roles: Role) -> dict[bytes, Variable]:
    """Give the variables of these roles by the bytes of their values."""
    return {
        checkpoint.reader.read_bytes(variable.key): variable
        for variable in checkpoint.values()
        if variable.role in roles
    }


def assert_unique_and_known(checkpoint: Checkpoint) -> None:
    names = [variable.name for variable in checkpoint.values()]
    assert len(names) == len(set(names)) == len(checkpoint.reader.tensors)
    assert [v.name for v in checkpoint.values() if v.role is Role.OTHER] == []


def assert_totals(checkpoint: Checkpoint, truth: Truth) -> None:
    trainable = sum(len(raw) for raw in truth.trainable) // 4
    expected = Parameters(truth.n_parameters, trainable)
    assert count_parameters(checkpoint.kinds) == expected


def assert_trainable_unknown(checkpoint: Checkpoint, truth: Truth) -> None:
    """The honest fallback: what is not told of any weight has no total."""
    assert count_parameters(checkpoint.kinds) == Parameters(truth.n_parameters, None)
    for variable in checkpoint.values():
        if variable.role is Role.WEIGHT:
            assert variable.trainable is None


def assert_names(checkpoint: Checkpoint, truth: Truth) -> None:
    found = {raw: variable.name for raw, variable in variables_in(checkpoint, *MODEL).items()}
    assert found == truth.paths


def assert_slots(checkpoint: Checkpoint, truth: Truth) -> None:
    """Every slot of the live optimizer's lists is found, with its owner."""
    slots = variables_in(checkpoint, Role.SLOT, Role.AVERAGE)
    weights = variables_in(checkpoint, Role.WEIGHT)
    assert slots.keys() == truth.owners.keys()
    for raw, slot in slots.items():
        owner, list_name = truth.owners[raw]
        assert slot.owner == weights[owner].name, slot.key
        assert slot.name.endswith(f"/{slot.owner}/{slot.slot}")
        assert slot.slot is not None
        assert (slot.role is Role.AVERAGE) == (list_name == "_model_variables_moving_average")
