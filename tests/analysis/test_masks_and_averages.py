"""What `info` tells of masks and averages from values, and when it does not read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis import training as masks_and_averages
from ckread.analysis.training import averages_apart, find_masks
from ckread.model.role import Role
from tests.analysis.array_checkpoint import checkpoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHADOW = "ExponentialMovingAverage"
KERNEL = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
MASK = np.array([[1, 0, 1, 0]] * 3, np.float32)


def masks_of(mask: NDArray[Any], weight: NDArray[Any] = KERNEL, name: str = "fc/mask") -> Any:
    roles = {"fc/kernel": Role.WEIGHT, name: Role.STATE}
    made = checkpoint({"fc/kernel": weight, name: mask}, roles=roles)
    return find_masks(made)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8", "u1", "?"])
def test_masks_of_any_plain_type(dtype: str) -> None:
    assert masks_of(MASK.astype(dtype)) == (1, 12, 6, 6)


def test_masks_without_elements() -> None:
    assert masks_of(MASK[:0], KERNEL[:0]) == (1, 0, 0, 0)


def test_weights_under_a_mask_that_are_zero() -> None:
    assert masks_of(MASK, KERNEL * MASK) == (1, 12, 6, 0)


def test_what_is_no_mask_of_a_weight() -> None:
    assert masks_of(MASK * 0.5) is None  # other values
    assert masks_of(MASK, KERNEL.T.copy()) is None  # another shape
    assert masks_of(MASK, name="other/mask") is None  # beside no weight
    assert masks_of(MASK, name="fc/trace") is None


def test_many_values_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks_and_averages, "MAX_NBYTES", 95)
    assert masks_of(MASK) == (1, 12, None, None)


def averages(weights: NDArray[Any], shadows: NDArray[Any], **options: Any) -> float | None:
    shadow = f"a/kernel/{SHADOW}"
    made = checkpoint(
        {"a/kernel": weights, shadow: shadows},
        roles={shadow: Role.AVERAGE},
        owners={shadow: ("a/kernel", SHADOW)},
        **options,
    )
    return averages_apart(made)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_how_far_averages_are(dtype: str, size: float) -> None:
    weights = (KERNEL * size).astype(dtype)
    far = averages(weights, weights * np.asarray(0.98, dtype))
    assert far == pytest.approx(0.02, rel=1e-5)
    assert averages(weights, weights) == 0


def test_averages_that_tell_nothing() -> None:
    assert averages(KERNEL * 0, KERNEL) is None  # no ratio
    assert averages(KERNEL, KERNEL * np.float32(np.nan)) is None
    assert averages(KERNEL, KERNEL.T.copy()) is None
    assert averages(KERNEL, KERNEL, has_checksums=False) is None
