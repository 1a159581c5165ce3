"""Findings about values alone: at the start, diverged, dead, built twice; and who counts steps."""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckread.analysis.check.check import check
from ckread.analysis.findings import Code, Finding
from ckread.analysis.info import info
from ckread.readers.contract import DataType
from ckread.views.check import verdict
from tests.builders import BundleBuilder
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    Array = np.ndarray[Any, Any]


def values(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def saved(directory: Path, arrays: dict[str, Array], name: str = "model") -> str:
    builder = BundleBuilder()
    for key, array in sorted(arrays.items()):
        builder.add(key, array, DataType[array.dtype.name.upper()])
    return builder.write(directory / name)


def found(path: str, *codes: Code) -> list[Finding]:
    return [finding for finding in check(path).findings if finding.code in codes]


def step(n: int) -> dict[str, Array]:
    return {"global_step": np.array(n, np.int64)}


# All zero at the start.


@pytest.mark.parametrize(("n", "n_told"), [(0, 0), (1, 1), (500, 1)])
def test_zeros_at_step_zero_are_what_it_begins_with(tmp_path: Path, n: int, n_told: int) -> None:
    arrays = {"head/kernel": np.zeros((4, 3), np.float32), "x/kernel": values(1, 4, 3)}
    assert len(found(saved(tmp_path, arrays | step(n)), Code.CONSTANT)) == n_told


def test_zeros_of_what_tells_no_step(tmp_path: Path) -> None:
    arrays = {"head/kernel": np.zeros((4, 3), np.float32), "x/kernel": values(1, 4, 3)}
    assert len(found(saved(tmp_path, arrays), Code.CONSTANT)) == 1
    ones = {"x/scale": np.ones((3, 3), np.float32)} | step(0)
    assert found(saved(tmp_path, ones, "ones"), Code.CONSTANT) == []


# Finite, and diverged.


@pytest.mark.parametrize(
    ("factor", "n_told"), [(1e3, 0), (1e9, 0), (1e11, 1), (-1e12, 1), (1e37, 1)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_that_explode(tmp_path: Path, factor: float, n_told: int, dtype: str) -> None:
    kernel = np.clip(values(1, 6, 5), -1, 1).astype(dtype)
    kernel[2, 3] = factor
    told = found(saved(tmp_path, {"x/kernel": kernel} | step(5)), Code.EXPLODING)
    assert len(told) == n_told
    if told:
        assert told[0].message.startswith(f"holds finite values up to {abs(factor):.3g} in size")


@pytest.mark.parametrize(("factor", "n_told"), [(1e3, 0), (1e12, 1), (-1e12, 1)])
def test_values_of_sixteen_bits_that_explode(tmp_path: Path, factor: float, n_told: int) -> None:
    kernel = np.clip(values(1, 6, 5), 0.1, 1)
    kernel[2, 3] = factor
    builder = BundleBuilder()
    short = (kernel.view(np.uint32) >> 16).astype(np.uint16)
    builder.add("x/kernel", short, DataType.BFLOAT16)
    builder.add("y/kernel", np.full((2, 2), -6e4, np.float16), DataType.FLOAT16)
    told = found(builder.write(tmp_path / "model"), Code.EXPLODING)
    assert [finding.variable for finding in told] == ["x/kernel"] * n_told


def test_what_is_large_and_no_part_of_a_training(tmp_path: Path) -> None:
    counts = {"global_step": np.array(1 << 40, np.int64), "x/kernel": values(1, 3, 3)}
    assert found(saved(tmp_path, counts), Code.EXPLODING) == []


@pytest.mark.parametrize(
    ("name", "value", "n_told"),
    [("bn/moving_variance", 0, 1), ("bn/moving_variance", 1, 0), ("bn/moving_mean", 0, 0)],
)
def test_a_variance_of_zero(tmp_path: Path, name: str, value: float, n_told: int) -> None:
    arrays = {name: np.full(8, value, np.float32), "x/kernel": values(1, 3, 3)}
    assert len(found(saved(tmp_path, arrays | step(9)), Code.ZERO_VARIANCE)) == n_told


@pytest.mark.parametrize(("n", "fill", "n_told"), [(5000, 0.1, 1), (3, 0.1, 0), (5000, None, 0)])
def test_an_accumulator_that_nothing_touched(
    tmp_path: Path, n: int, fill: float | None, n_told: int
) -> None:
    still = values(3, 6, 4) ** 2 if fill is None else np.full((6, 4), fill, np.float32)
    arrays = {
        "x/kernel": values(1, 6, 4), "x/kernel/Adagrad": still,
        "y/kernel": values(2, 6, 4), "y/kernel/Adagrad": values(4, 6, 4) ** 2,
    }  # fmt: skip
    told = found(saved(tmp_path, arrays | step(n)), Code.NEVER_TRAINED)
    assert [finding.variable for finding in told] == ["x/kernel"] * n_told


# Built twice.


def twice(*, bias: Array, has_slots: bool = True) -> dict[str, Array]:
    arrays = {
        "dense/kernel": values(1, 6, 4), "dense/bias": values(2, 4),
        "dense_1/kernel": values(3, 6, 4), "dense_1/bias": bias,
    }  # fmt: skip
    slots = {f"dense/{leaf}/Momentum": values(9, *arrays[f"dense/{leaf}"].shape)
             for leaf in ("kernel", "bias")}  # fmt: skip
    return arrays | step(70) | (slots if has_slots else {})


def test_a_graph_that_was_built_twice(tmp_path: Path) -> None:
    zero = np.zeros(4, np.float32)
    (told,) = found(saved(tmp_path, twice(bias=zero)), Code.NOT_TRAINED)
    assert told.message.startswith("2 of 4 weights have no slot (dense_1/bias, ")
    assert found(saved(tmp_path, twice(bias=zero + 1), "ones"), Code.NOT_TRAINED)
    for name, arrays in {
        "moved": twice(bias=values(4, 4)),
        "half": twice(bias=zero + np.float32(0.5)),
        "no_slots": twice(bias=zero, has_slots=False),
        "other_shape": twice(bias=zero) | {"dense_1/bias": np.zeros(5, np.float32),
                                           "dense_1/kernel": values(3, 6, 5)},
    }.items():  # fmt: skip
        assert found(saved(tmp_path, arrays, name), Code.NOT_TRAINED) == []


# Dead units where no slot tells.


@pytest.mark.parametrize(
    ("shape", "leaf"), [((6, 5), "kernel"), ((3, 3, 2, 5), "weights"), ((4, 2, 5), "kernel")]
)
@pytest.mark.parametrize("bias", ["zero", "alive", "none"])
def test_a_dead_column(tmp_path: Path, shape: tuple[int, ...], leaf: str, bias: str) -> None:
    kernel = values(1, *shape)
    kernel[..., 2] = 0
    arrays = {f"x/{leaf}": kernel} | step(9)
    if bias != "none":
        vector = values(2, 5)
        vector[2] = 0 if bias == "zero" else 0.5
        arrays[f"x/{'biases' if leaf == 'weights' else 'bias'}"] = vector
    told = found(saved(tmp_path, arrays), Code.DEAD_UNITS)
    assert [finding.variable for finding in told] == [f"x/{leaf}"] * (bias != "alive")
    if told:
        assert told[0].message.startswith("1 of 5 units (index 2) cannot answer")
    scattered = values(3, *shape)
    scattered.reshape(-1)[::7] = 0
    assert found(saved(tmp_path, {f"x/{leaf}": scattered}, "sparse"), Code.DEAD_UNITS) == []


# Iterations by the powers of Adam's betas.


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(n=st.one_of(st.integers(0, 820), st.sampled_from([1500, 5000, 20_000])))
def test_iterations_by_beta2_power(tmp_path: Path, n: int) -> None:
    powers = [np.float32(beta) for beta in (0.9, 0.999)]
    for i, beta in enumerate((0.9, 0.999)):
        for _ in range(n):
            powers[i] = np.float32(powers[i] * np.float32(beta))
    arrays = {
        "x/kernel": values(1, 3, 3), "x/kernel/Adam": values(2, 3, 3),
        "x/kernel/Adam_1": values(3, 3, 3) ** 2,
        "beta1_power": np.array(powers[0]), "beta2_power": np.array(powers[1]),
    }  # fmt: skip
    training = info(saved(tmp_path, arrays)).training
    assert training.iterations_source == "beta2_power"
    assert training.iterations is not None
    assert abs(training.iterations - n) <= 1e-3 * n
    assert info(saved(tmp_path, arrays | step(7), "known")).training.iterations is None
    odd = arrays | {"beta1_power": np.array(0.9**7 * 0.97, np.float32)}
    if n not in (6, 7) and n < 800:
        assert info(saved(tmp_path, odd, "odd")).training.iterations is None


# Two members of one name.


def test_two_members_of_one_name_are_ambiguous(tmp_path: Path) -> None:
    path = tmp_path / "digits.keras"
    shutil.copy(FIXTURES / "digits_files" / "digits.keras", path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("metadata.json", "{}")
    report = check(str(path))
    assert [finding.code for finding in report.errors] == [Code.AMBIGUOUS]
    word, sentence = verdict(report)
    assert word == "unsound"
    assert "damaged" not in sentence
    assert "which of them is meant cannot be told" in sentence
