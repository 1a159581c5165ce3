"""Means and deviations where naive sums are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.statistics.moments import (
    constant_part,
    float_part,
    integer_part,
    moments,
    pooled,
    weighted_part,
)


def test_a_gain_of_mean_1_keeps_the_digits_of_its_deviation() -> None:
    values = 1 + 1e-7 * np.random.default_rng(0).standard_normal(200_000)
    parts = [float_part(part.copy(), part.min(), part.max()) for part in np.split(values, 4)]
    found = moments(pooled(parts))
    exact = (values - 1).astype(np.longdouble)
    assert found.std == pytest.approx(float(exact.std()), rel=1e-12)
    naive = (values**2).mean() - values.mean() ** 2
    assert abs(math.sqrt(abs(naive)) / float(exact.std()) - 1) > 1e-4, "the trap is real"


def test_large_and_small_parts_meet_in_one_unit() -> None:
    values = [np.array([1e200, 3e200]), np.array([1.0, 2.0]), np.array([1e-200, -1e-200])]
    parts = [float_part(part.copy(), part.min(), part.max()) for part in values]
    assert [part.exponent != 0 for part in parts] == [True, False, True]
    found = moments(pooled(parts))
    assert found.mean == pytest.approx(4e200 / 6, rel=1e-15)
    assert found.l2 == pytest.approx(math.sqrt(10) * 1e200, rel=1e-15)


def test_a_constant_part_has_no_deviation() -> None:
    assert moments(pooled([constant_part(1.7e308, 3), constant_part(1.7e308, 4)])).std == 0
    assert moments(constant_part(-0.5, 4)).l2 == 1.0


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50))
def test_integers_of_any_size_are_exact(values: list[int]) -> None:
    array = np.array(values, np.int64)
    halves = [half for half in (array[: len(values) // 2], array[len(values) // 2 :]) if half.size]
    parts = [integer_part(half, int(half.min()), int(half.max())) for half in halves]
    found = moments(pooled(parts))
    n, total = len(values), sum(values)
    assert found.mean == total / n
    m2 = sum((n * value - total) ** 2 for value in values)
    assert found.std == pytest.approx(math.sqrt(m2 / n**3), rel=1e-12, abs=1e-12)


def test_values_with_counts_are_as_the_values_themselves() -> None:
    values, counts = np.array([-1.5, 0.0, 2.0]), np.array([2, 3, 5])
    spread = np.repeat(values, counts)
    found = moments(weighted_part(values, counts))
    assert found.n == 10
    assert found.mean == pytest.approx(spread.mean(), rel=1e-15)
    assert found.std == pytest.approx(spread.std(), rel=1e-15)
