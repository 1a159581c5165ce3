"""Means and deviations where naive sums are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.statistics.moments import (
    IntegerPart,
    Part,
    constant_part,
    float_part,
    integer_part,
    moments,
    moments_of_rows,
    part_of,
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


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30))
def test_norms_of_integers_are_exact(values: list[int]) -> None:
    array = np.array(values, np.int64)
    part = integer_part(array, min(values), max(values))
    assert (part.n, part.total, part.absolute) == (
        len(values), sum(values), sum(map(abs, values)),
    )  # fmt: skip
    found = moments(part)
    assert found.l1 == float(sum(map(abs, values)))
    assert found.l2 == pytest.approx(math.sqrt(sum(x * x for x in values)), rel=1e-12)
    unsigned = np.array([abs(x) * 2 for x in values if x > -(2**63)] or [1], np.uint64)
    scratch = np.empty(8 * unsigned.size, np.uint8)
    part = integer_part(unsigned, int(unsigned.min()), int(unsigned.max()), scratch)
    assert part.total == part.absolute == sum(unsigned.tolist())


def test_sums_of_integers_beyond_64_bits() -> None:
    for n in (1, 2, 3, 1000):
        part = integer_part(np.full(n, 2**64 - 1, np.uint64), 0, 2**64 - 1)
        assert part.total == n * (2**64 - 1)
    large = np.array([2**63, 2**63 - 1], np.uint64)  # just below 2^64
    assert integer_part(large, 0, 2**63).total == 2**64 - 1
    assert integer_part(np.array([-5, 3], np.int8), -5, 3).absolute == 8
    assert integer_part(np.array([-5, 0], np.int8), -5, 0).absolute == 5
    assert integer_part(np.array([0, 3], np.int8), 0, 3).absolute == 3


@pytest.mark.parametrize("low", [-6.0, 0.0, 2.0])
def test_a_part_of_whole_numbers_is_exact(low: float) -> None:
    values = low + np.tile([0.0, 1.0, 2.0, 5.0], 500)
    for n in (4, 2000):
        given_values = values[:n]
        m2 = n * 3.5
        part = Part(n, low + 2, m2, 0.0, 0, float(np.abs(given_values).sum()))
        assert float_part(given_values.copy(), low, low + 5) == part
        assert float_part(given_values.copy(), low, low + 5, is_single=True) == part
        assert part_of(given_values, low, low + 5) == part
        single = given_values.astype(np.float32)
        assert part_of(single, low, low + 5, np.empty(8 * n, np.uint8)) == part
        assert part_of(single, low, low + 5) == part
        integers = given_values.astype(np.int32)
        assert part_of(integers, low, low + 5) == IntegerPart(
            n, int(n * (low + 2)), m2, int(part.absolute)
        )


@pytest.mark.parametrize("exponent", [600, -500, -1000])
def test_parts_beyond_all_squares_carry_their_unit(exponent: int) -> None:
    values = np.ldexp([1.0, -3.0, 4.0, 2.0], exponent)
    part = float_part(values.copy(), values.min(), values.max())
    unit = part.exponent
    assert unit == exponent + 3
    assert part == Part(4, 0.125, 26 / 64, 0.0, unit, 10 / 8)
    found = moments(part)
    assert found.mean == math.ldexp(1.0, exponent)
    assert found.std == pytest.approx(math.ldexp(6.5**0.5, exponent), rel=1e-15)
    assert found.l1 == math.ldexp(10.0, exponent)
    assert found.l2 == pytest.approx(math.ldexp(30**0.5, exponent), rel=1e-15)
    twice = moments(pooled([part, part, float_part(np.zeros(8), 0.0, 0.0)]))
    assert (twice.n, twice.mean) == (16, math.ldexp(0.5, exponent))
    assert twice.l1 == math.ldexp(20.0, exponent)
    assert twice.l2 == pytest.approx(math.ldexp(60**0.5, exponent), rel=1e-15)


def test_constants_of_any_size() -> None:
    assert constant_part(-0.5, 4) == Part(4, -0.5, 0.0, absolute=2.0)
    assert constant_part(0.0, 3) == Part(3, 0.0, 0.0)
    assert constant_part(-(2.0**1000), 4) == Part(4, -0.5, 0.0, 0.0, 1001, 2.0)
    huge = moments(constant_part(-(2.0**1000), 4))
    assert (huge.mean, huge.std, huge.l1, huge.l2) == (-(2.0**1000), 0, 2.0**1002, 2.0**1001)
    assert part_of(np.full(3, 7.0), 7.0, 7.0) == Part(3, 7.0, 0.0, absolute=21.0)
    assert moments(constant_part(1.7e308, 3)).l1 == math.inf


def test_parts_are_pooled_as_if_they_were_one() -> None:
    random = np.random.default_rng(0)
    values = random.integers(-9, 9, 24).astype(float)
    whole = float_part(values.copy(), values.min(), values.max())
    for cuts in ([8, 16], [1, 20], [12]):
        parts = [float_part(x.copy(), x.min(), x.max()) for x in np.split(values, cuts)]
        found = pooled(parts)
        assert isinstance(found, Part)
        assert (found.n, found.exponent, found.absolute) == (24, 0, whole.absolute)
        assert found.mean + found.rest == pytest.approx(whole.mean, rel=1e-15)
        assert found.m2 == pytest.approx(whole.m2, rel=1e-14)
        integers = [integer_part(x, int(x.min()), int(x.max())) for x in np.split(
            values.astype(np.int64), cuts)]  # fmt: skip
        total = pooled(integers)
        assert isinstance(total, IntegerPart)
        assert (total.n, total.total, total.absolute) == (24, values.sum(), whole.absolute)
        assert total.m2 == pytest.approx(whole.m2, rel=1e-14)
    near = [Part(2, 1.0, 0.0, 1e-17), Part(2, 1.0, 0.0, -1e-17)]
    assert list(pooled(near)) == pytest.approx([4, 1.0, 4e-34, 0.0, 0, 0.0], rel=1e-12, abs=1e-40)
    assert pooled([Part(2, 1.0, 0.0, 3e-17), Part(1, 1.0, 0.0)]).rest == pytest.approx(2e-17)  # type: ignore[union-attr]


def test_weights_count_magnitudes() -> None:
    assert weighted_part(np.array([-2.0, 1.0, 4.0]), np.array([3, 1, 2])) == Part(
        6, 0.5, 3 * 6.25 + 0.25 + 2 * 12.25, 0.0, 0, 15.0
    )


def test_rows_have_the_moments_of_their_parts() -> None:
    random = np.random.default_rng(0)
    rows = [
        random.normal(size=7), random.normal(size=7) + 1e8, np.full(7, -0.3), np.zeros(7),
        np.abs(random.normal(size=7)), -np.abs(random.normal(size=7)), np.full(7, 1e-200),
        random.integers(-3, 3, 7), [-1e-100] * 6 + [1e-100], [1e149] * 6 + [2e149],
    ]  # fmt: skip
    ordered = np.sort(np.array(rows, float), axis=1)
    columns, is_right = moments_of_rows(ordered)
    assert is_right.all()
    for row, *found in zip(ordered, *columns, strict=True):
        expected = moments(part_of(row, row[0], row[-1]))
        assert found == [expected.mean, expected.std, expected.l1, expected.l2]
    odd = np.ones((6, 3))
    odd[0, 2], odd[1, 2], odd[2, 0] = np.nan, np.inf, -np.inf
    odd[3] = [0, 0, 1e-140]
    odd[4, 2] = 1e151
    odd[5] = 1e151
    assert moments_of_rows(odd)[1].tolist() == [False] * 6


def test_what_the_mean_lost_is_kept_of_doubles_alone() -> None:
    values = np.array([1.0, 1 + 2.0**-52, 1.0])
    part = float_part(values.copy(), 1.0, 1 + 2.0**-52)
    assert part.rest != 0
    assert math.fsum([part.mean - 1, part.rest]) == pytest.approx(2.0**-52 / 3, rel=1e-9)
    assert part.m2 == pytest.approx(2 / 3 * 2.0**-104, rel=1e-9)
    single = float_part(values.copy(), 1.0, 1 + 2.0**-52, is_single=True)
    assert (single.rest, single.mean) == (0, part.mean)
