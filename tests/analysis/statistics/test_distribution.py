"""Quantiles and histograms from bins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.statistics.distribution import (
    N_BINS,
    PROBABILITIES,
    Bins,
    equal_edges,
    exact_distribution,
)
from ckread.readers.contract import DataType

_VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300).map(
    lambda values: np.sort(np.array(values))
)


@given(values=_VALUES, probability=st.floats(0, 1))
def test_few_values_are_kept_exactly(values: np.ndarray, probability: float) -> None:
    estimate, low, high = Bins.from_sorted(values).quantile(probability)
    assert low == estimate == high
    expected = float(np.quantile(values, probability))
    assert estimate == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(values=_VALUES, n_bins=st.integers(1, 40))
def test_a_histogram_of_few_values_is_exact(values: np.ndarray, n_bins: int) -> None:
    if values[0] == values[-1]:
        return
    edges = equal_edges(values[0], values[-1], n_bins)
    expected = np.append(np.searchsorted(values, edges[:-1]), values.size)
    found = Bins.from_sorted(values).histogram(edges)
    np.testing.assert_array_equal(found, np.diff(expected))


def test_many_values_are_condensed() -> None:
    values = np.sort(np.random.default_rng(0).standard_normal(100_000))
    bins = Bins.from_sorted(values)
    assert N_BINS < bins.counts.size <= 2 * N_BINS
    assert bins.counts.max() <= values.size // N_BINS + 1
    assert (bins.high - bins.low).max() <= (values[-1] - values[0]) / N_BINS
    edges = equal_edges(values[0], values[-1], 60)
    expected = np.histogram(values, edges)[0]
    assert abs(bins.histogram(edges) - expected).sum() <= 0.001 * values.size
    assert abs(bins.histogram(edges) - expected).max() <= 40
    assert bins.histogram(edges).sum() == values.size


@given(probability=st.floats(0, 1), seed=st.integers(0, 1000))
def test_a_quantile_lies_within_its_bounds(probability: float, seed: int) -> None:
    values = np.sort(np.random.default_rng(seed).lognormal(0, 2, 5000))
    bins = Bins.from_sorted(values)
    estimate, low, high = bins.quantile(probability)
    assert low * (1 - 1e-12) <= np.quantile(values, probability) <= high * (1 + 1e-12)
    assert low <= estimate <= high


def test_condensing_keeps_heavy_values_apart() -> None:
    low = np.concatenate([np.linspace(-1, -0.1, 9000), [0.0], np.linspace(0.1, 1, 9000)])
    counts = np.ones(low.size, np.int64)
    counts[9000] = 1_000_000
    bins = Bins(low, low, counts)
    condensed = bins.condensed()
    assert condensed.counts.size < 3 * N_BINS < bins.counts.size
    assert condensed.n == counts.sum()
    zero = np.flatnonzero(condensed.counts == 1_000_000)
    assert condensed.low[zero] == condensed.high[zero] == 0


def test_what_lies_outside_the_edges_is_not_counted() -> None:
    bins = Bins.from_sorted(np.array([0.0, 1.0, 2.0, 3.0]))
    assert bins.histogram(np.array([0.5, 1.5, 2.0])).tolist() == [1, 1]


def test_no_elements_have_no_quantiles() -> None:
    empty = np.empty(0)
    assert all(map(math.isnan, Bins(empty, empty, np.empty(0, np.int64)).quantile(0.5)))


def test_equal_edges_do_not_overflow() -> None:
    edges = equal_edges(-1.7e308, 1.7e308, 4)
    np.testing.assert_allclose(edges, [-1.7e308, -0.85e308, 0, 0.85e308, 1.7e308])


def test_quantiles_that_are_known_are_given_and_others_estimated() -> None:
    values = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    found = exact_distribution(values, DataType.FLOAT32, 64)
    assert [one.probability for one in found.quantiles] == list(PROBABILITIES)
    for one in found.quantiles:
        assert found.quantile(one.probability) == one
        assert one.low == one.value == one.high  # of all values, not of bins
    for probability in (0.0, 0.1, 0.6, 1.0):
        told = found.quantile(probability)
        assert told.probability == probability
        assert told.low <= np.quantile(values, probability) <= told.high
        assert told.low <= told.value <= told.high
