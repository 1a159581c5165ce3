"""Whether a saved value is that of a variable under another name, told without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ckread.analysis.compat.sameness import Sameness
from ckread.model.role import Role
from tests.analysis.array_checkpoint import checkpoint

HERE = {
    "dense/kernel": Role.WEIGHT, "norm/moving_mean": Role.STATISTIC, "step": Role.COUNTER,
    "learning_rate": Role.HYPERPARAMETER, "dense/kernel/m": Role.SLOT,
}  # fmt: skip


def _sides() -> tuple[Any, Any]:
    """Give a program's variables, and those of a file, of other values, under other names."""
    sides = []
    for k, prefix in enumerate(("", "old_")):
        arrays = {
            f"{prefix}{name}": np.full((2, 2), i + 10 * k, "f4") for i, name in enumerate(HERE)
        }
        roles = {f"{prefix}{name}": role for name, role in HERE.items()}
        sides.append(checkpoint(arrays, roles=roles))
    return sides[0], sides[1]


@pytest.mark.parametrize(
    ("saved", "target", "is_another"),
    [
        ("dense/kernel", "dense/kernel", False),
        ("norm/moving_mean", "norm/moving_mean", False),
        ("dense/kernel", "step", True),  # a parameter for none
        ("step", "learning_rate", False),  # neither of them is one
        ("learning_rate", "norm/moving_mean", True),
        ("dense/kernel", "norm/moving_mean", True),  # by what their names end in
        ("dense/kernel/m", "dense/kernel", True),
    ],
)
def test_what_stands_for_what(saved: str, target: str, is_another: bool) -> None:
    here, there = _sides()
    same = Sameness(there.values(), here.values())
    assert same.is_another(there[f"old_{saved}"], here[target]) is is_another
