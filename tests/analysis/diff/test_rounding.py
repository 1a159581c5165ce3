"""Steps of a type between two numbers, and what they make of a pair of variables."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.diff.diff import diff_checkpoints
from ckread.analysis.diff.kernels import ulp_distances
from tests.analysis.array_checkpoint import checkpoint
from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

nulp_diff: Any = importlib.import_module("numpy.testing._private.utils").nulp_diff
WIDE = ("float16", "float32", "float64")
NARROW = (
    "bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz",
    "float8_e5m2fnuz", "float4_e2m1fn",
)  # fmt: skip


@pytest.mark.parametrize("name", WIDE)
@given(data=st.data())
def test_steps_are_those_of_numpy(name: str, data: st.DataObject) -> None:
    width = 8 * np.dtype(name).itemsize
    # Bits make denormals, infinities and NaN as often as other numbers; and some near each other.
    bits = st.integers(0, 2**width - 1) | st.sampled_from([0, 1, 1 << (width - 1)])
    pairs = data.draw(st.lists(st.tuples(bits, bits), min_size=1, max_size=20))
    a, b = (np.array(side, f"u{width // 8}").view(name) for side in zip(*pairs, strict=True))
    steps = ulp_distances(a, b)
    assert steps.tolist() == [abs(_place(x) - _place(y)) for x, y in zip(a, b, strict=True)]
    near = steps < 2 ** (8 * a.itemsize - 1)  # numpy's wrap around beyond
    with np.errstate(all="ignore"):
        expected = nulp_diff(a.copy(), b.copy()).reshape(-1)
    np.testing.assert_array_equal(steps.astype(name)[near], expected[near])  # rounded, as its are


def _place(x: np.floating[Any]) -> int:
    x = type(x)(np.nan) if np.isnan(x) else x
    width = 8 * x.dtype.itemsize
    magnitude = int(x.view(f"u{x.dtype.itemsize}")) & (1 << (width - 1)) - 1
    return -magnitude if x < 0 else magnitude


@pytest.mark.parametrize("name", ["float16", *NARROW])
def test_steps_count_the_numbers_between(name: str) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    n_bits = 4 if name == "float4_e2m1fn" else 8 * dtype.itemsize
    with np.errstate(all="ignore"):
        every = np.arange(2**n_bits).astype(f"u{dtype.itemsize}").view(dtype)
        numbers = every[~np.isnan(every.astype(float))]  # infinities and both zeros among them
        order = np.unique(numbers.astype(float))
    places = np.searchsorted(order, numbers.astype(float))
    at = np.random.default_rng(0).integers(0, len(numbers), (2, 4096))
    expected = np.abs(places[at[0]] - places[at[1]])
    np.testing.assert_array_equal(ulp_distances(*numbers[at]), expected)


def far(a: Any, b: Any, **options: Any) -> tuple[str, int | None, float | None]:
    sides = [checkpoint({"w": side}) for side in (a, b)]
    [found] = diff_checkpoints(*sides, **options).variables
    assert found.metrics is not None
    return str(found.status), found.metrics.max_ulp, found.metrics.max_ulp_of_largest


WEIGHTS: NDArray[np.float32] = np.linspace(-1.5, 1, 1500, dtype=np.float32)


def test_the_class_is_judged_at_the_largest_value() -> None:
    near = WEIGHTS.copy()
    near[7] = np.nextafter(near[7], np.float32(2))
    assert far(WEIGHTS, near) == ("changed", 1, 1)
    assert far(WEIGHTS, near, ulp=1) == ("rounding", 1, 1)
    at_zero = WEIGHTS.copy()
    at_zero[900] = np.float32(1e-9) + (before := at_zero[900])
    status, steps, of_largest = far(WEIGHTS, at_zero, ulp=1)
    assert (status, of_largest) == ("rounding", abs(float(at_zero[900] - before)) / 2.0**-23)
    assert steps is not None
    assert steps > 1


def test_what_is_plainly_no_rounding_is_not_counted() -> None:
    assert far(WEIGHTS, WEIGHTS * 2, ulp=4) == ("changed", None, None)
    assert far(WEIGHTS, WEIGHTS + np.float32(1e-3)) == ("changed", None, None)
    assert far(np.arange(5), np.arange(5) + 1, ulp=4) == ("changed", None, None)
    lost = WEIGHTS.copy()
    lost[3] = np.nan
    assert far(WEIGHTS, lost, ulp=4) == ("changed", None, None)
    for place in (0, 3, 1499):
        lost[place] = np.nan
        assert far(lost, lost * (1 + np.float32(1e-7)), ulp=4)[:2] == ("rounding", 2)
    assert far(WEIGHTS, WEIGHTS * 2, ulp=1e8)[0] == "rounding"
    many = np.tile(WEIGHTS, 100)
    assert far(many, many * 2, ulp=4) == ("changed", None, None)
    assert far(many, many * np.float32(1 + 1e-7), ulp=4)[0] == "rounding"


@pytest.mark.parametrize("name", [*WIDE, "bfloat16", "float8_e4m3fn"])
def test_a_step_is_one_in_every_type(name: str) -> None:
    a = WEIGHTS.astype(getattr(ml_dtypes, name, name))
    b = np.nextafter(a, a.dtype.type(2))
    status, steps, of_largest = far(a, b, ulp=1)
    assert (status, steps) == ("rounding", 1)
    assert of_largest is not None
    assert 0.5 <= of_largest <= 1


def test_files_give_the_same_as_arrays_and_tolerance_comes_first(tmp_path: Path) -> None:
    near = np.nextafter(WEIGHTS, np.float32(2))
    a = write_bundle(tmp_path / "a", {"w": WEIGHTS, "step": np.array(3)})
    b = write_bundle(tmp_path / "b", {"w": near, "step": np.array(3)})
    result = diff_checkpoints(a, b, ulp=2)
    assert (result.identical, result.equal) == (False, True)
    found = result["w"].metrics
    assert found is not None
    assert ("rounding", found.max_ulp, found.max_ulp_of_largest) == far(WEIGHTS, near, ulp=2)
    close = diff_checkpoints(a, b, ulp=2, rtol=1e-3, atol=1e-6)
    assert str(close["w"].status) == "close"
    assert diff_checkpoints(a, b).equal is False
