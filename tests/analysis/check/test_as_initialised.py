"""Kernels that stand as Keras drew them, told by their bounds where no slot tells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.check.check import check
from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RANDOM = np.random.default_rng(0)


def uniform(shape: tuple[int, ...], variance: float) -> NDArray[Any]:
    bound = math.sqrt(3 * variance)
    return RANDOM.uniform(-bound, bound, shape).astype("f4")


def normal(shape: tuple[int, ...], variance: float) -> NDArray[Any]:
    draws = RANDOM.normal(size=2 * math.prod(shape))
    kept = draws[np.abs(draws) < 2][: math.prod(shape)].reshape(shape)
    return (kept * math.sqrt(variance) / 0.87962566103423978).astype("f4")


DENSE, CONV = (256, 128), (3, 3, 16, 256)
GLOROT, HE = 2 / (256 + 128), 2 / (9 * 16)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (uniform(DENSE, GLOROT), "fill ±0.125, the bounds of Glorot's uniform draw"),
        (uniform(CONV, HE), "the bounds of He's uniform draw"),
        (normal(DENSE, GLOROT), "the bounds of Glorot's normal draw"),
        (normal(CONV, HE), "the bounds of He's normal draw"),
        (uniform(DENSE, GLOROT) + RANDOM.normal(size=DENSE).astype("f4") * 1e-4, None),
        (uniform(DENSE, GLOROT) * 0.98, None),
        (RANDOM.normal(size=DENSE).astype("f4") * math.sqrt(GLOROT), None),
        (uniform((8, 8), 2 / 16), None),
    ],
)
def test_a_fresh_draw_is_told_and_nothing_else(
    tmp_path: Path, values: NDArray[Any], told: str | None
) -> None:
    found = check(write_bundle(tmp_path / "x", {"dense/kernel": values})).findings
    messages = [finding.message for finding in found if finding.code == "as-initialised"]
    assert len(messages) == (told is not None)
    assert told is None or told in messages[0]


def test_slots_tell_better(tmp_path: Path) -> None:
    kernel = uniform(DENSE, GLOROT)
    slots = {"dense/kernel/Adam": kernel, "dense/kernel/Adam_1": kernel**2}
    found = check(write_bundle(tmp_path / "x", {"dense/kernel": kernel, **slots})).findings
    assert "as-initialised" not in {str(finding.code) for finding in found}
