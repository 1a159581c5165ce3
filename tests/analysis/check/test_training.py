"""What a check tells of a training: each finding on a real run, and the nearest run without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.check.check import check
from ckread.analysis.findings import Code, Finding, Level
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder
from tests.places import FIXTURES
from tests.rewriting import rewritten

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Array = np.ndarray[Any, Any]

RUN = FIXTURES / "digits_run"
ALIVE = RUN / "ckpt-10"


def _found(path: Path | str, *codes: Code) -> list[Finding]:
    report = check(path)
    assert report.sound is True
    return [finding for finding in report.findings if finding.code in codes]


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Callable[[str, Array], Array | None]], str]:
    return lambda edit: rewritten(ALIVE, tmp_path / "ckpt-10", edit)


def _zeroed(*ends: str) -> Callable[[str, Array], Array]:
    return lambda name, values: np.zeros_like(values) if name.endswith(ends) else values


def test_what_is_written_anew_is_as_it_was(edited: Any) -> None:
    assert check(edited(lambda _, values: values)).findings == check(ALIVE).findings


def test_a_weight_that_was_never_trained(edited: Any) -> None:
    still = _zeroed("hidden/kernel/momentum", "hidden/kernel/velocity")
    (told,) = _found(edited(still), Code.NEVER_TRAINED)
    assert (told.level, told.variable) == (Level.WARNING, "hidden/kernel")
    since = "has not received a gradient since the slots began"
    assert told.message == f"{since}: velocity of the optimizer is all 0"


def test_squares_that_sank_to_zero_are_no_sign(edited: Any) -> None:
    """Leave the mean of gradients as it is: their squares may be too small for float32."""
    assert _found(edited(_zeroed("hidden/kernel/velocity")), Code.NEVER_TRAINED) == []


def test_units_that_are_dead(edited: Any) -> None:
    def edit(name: str, values: Array) -> Array:
        if name.endswith(("hidden/kernel/momentum", "hidden/kernel/velocity")):
            values = values.copy()
            values[:, [3, 60]] = 0
        return values

    told = {f.variable: f for f in _found(edited(edit), Code.DEAD_UNITS)}
    assert told["hidden/kernel"].level is Level.WARNING
    assert told["hidden/kernel"].message == (
        "2 of 64 units (indices 3, 60) have not received a gradient since the slots began: "
        "velocity of the optimizer is 0 in their 512 elements"
    )
    assert told.keys() == {"hidden/kernel", "conv1/kernel"}


def test_units_with_a_gradient_in_any_slot_live(edited: Any) -> None:
    def edit(name: str, values: Array) -> Array:
        if name.endswith("hidden/kernel/velocity"):
            values = values.copy()
            values[:, 3] = 0  # below the least square of float32, the momentum is not
        return values

    told = {finding.variable for finding in _found(edited(edit), Code.DEAD_UNITS)}
    assert told == {"conv1/kernel"}


def test_the_last_dimension_of_a_transposed_kernel_is_no_unit(tmp_path: Path) -> None:
    def findings(name: str) -> list[Finding]:
        moments = np.ones((3, 3, 4, 8), np.float32)
        moments[..., 2] = 0
        builder = BundleBuilder()
        builder.add(f"{name}/kernel", np.random.default_rng(0).normal(size=(3, 3, 4, 8))
                    .astype(np.float32), DataType.FLOAT32)  # fmt: skip
        for slot in ("Adam", "Adam_1"):
            builder.add(f"{name}/kernel/{slot}", moments, DataType.FLOAT32)
        return _found(builder.write(tmp_path / name), Code.DEAD_UNITS)

    assert [finding.variable for finding in findings("conv2d")] == ["conv2d/kernel"]
    assert findings("conv2d_transpose") == []


def test_moments_that_were_reset(edited: Any) -> None:
    (told,) = _found(edited(_zeroed("momentum", "velocity")), Code.MOMENTS_RESET)
    assert told.level is Level.WARNING
    assert told.message == (
        "all 24 slots are zero after 900 iterations, as where the optimizer's state was reset or "
        "never restored"
    )


def test_moments_before_the_first_step_are_zero(edited: Any) -> None:
    start = _zeroed("momentum", "velocity", "iterations")
    codes = (Code.MOMENTS_RESET, Code.NEVER_TRAINED, Code.DEAD_UNITS)
    assert _found(edited(start), *codes) == []


def test_after_long_training_only_what_shows_is_told(edited: Any) -> None:
    still = _zeroed("hidden/kernel/momentum", "hidden/kernel/velocity")

    def edit(name: str, values: Array) -> Array:
        if name.endswith("iterations"):
            return np.array(200_000, values.dtype)
        return still(name, values)

    (told,) = _found(edited(edit), Code.NEVER_TRAINED)
    assert told.message == "shows no gradient: velocity of the optimizer is all 0"


@pytest.mark.parametrize(
    ("value", "message"),
    [(0.0, "its 640 elements are all zero"), (0.5, "its 640 elements are the same number")],
)
def test_a_kernel_of_one_number(edited: Any, value: float, message: str) -> None:
    def edit(name: str, values: Array) -> Array:
        return np.full_like(values, value) if name == "logits/kernel" else values

    (told,) = _found(edited(edit), Code.CONSTANT)
    assert (told.level, told.variable, told.message) == (Level.WARNING, "logits/kernel", message)


def test_vectors_of_one_number_are_as_layers_begin(edited: Any) -> None:
    def edit(name: str, values: Array) -> Array:
        if name in ("logits/bias", "norm1/gamma"):
            return np.full_like(values, float("gamma" in name))
        if name == "logits/kernel":
            values = np.full_like(values, 0.5)
            values[-1, -1] = 0.25
        return values

    assert _found(edited(edit), Code.CONSTANT) == []


def test_a_step_that_is_not_the_one_of_the_file_name(tmp_path: Path) -> None:
    def same(_: str, values: Array) -> Array:
        return values

    (told,) = _found(rewritten(ALIVE, tmp_path / "ckpt-11", same), Code.STEP)
    assert told.level is Level.WARNING
    assert told.message == "The file name says 11, but the save counter is 10"
    assert _found(rewritten(ALIVE, tmp_path / "ckpt-10", same), Code.STEP) == []
    assert _found(rewritten(ALIVE, tmp_path / "best", same), Code.STEP) == []


def test_weights_that_will_not_come_back() -> None:
    (told,) = _found(FIXTURES / "keras3_object" / "adamw" / "ckpt-1", Code.LOST)
    assert told.level is Level.WARNING
    assert told.message.startswith("4 weights are in the file only because the optimizer holds")
    assert "towers/tower_left/kernel" in told.message
    assert _found(ALIVE, Code.LOST) == []
