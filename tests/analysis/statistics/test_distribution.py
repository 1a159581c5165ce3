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
    Histogram,
    equal_edges,
    exact_distribution,
    exact_distributions,
    measure_of,
    quantile_of_sorted,
    sketch_bins,
    sketch_distribution,
    with_bins,
)
from ckread.analysis.statistics.sketch import Sketch
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


@st.composite
def some_bins(draw: st.DrawFn) -> Bins:
    """Draw bins of whole numbers: some are values, some touch."""
    ends = sorted(draw(st.lists(st.integers(-20, 20), min_size=2, max_size=12)))
    low, high = np.array(ends[::2][: len(ends) // 2], float), np.array(ends[1::2], float)
    apart = np.arange(low.size) * 3.0
    counts = draw(st.lists(st.integers(1, 9), min_size=low.size, max_size=low.size))
    return Bins(low + apart, high + apart, np.array(counts, np.int64))


def spread(bins: Bins) -> list[tuple[float, float, float]]:
    """Give estimate, least and greatest value of each element: evenly within its bin."""
    return [
        (low + (high - low) * (k + 0.5) / n, low, high)
        for low, high, n in zip(*(x.tolist() for x in bins[:3]), strict=True)
        for k in range(n)
    ]


@given(bins=some_bins(), probability=st.sampled_from([0.0, 0.01, 0.25, 1 / 3, 0.5, 0.95, 1.0]))
def test_a_quantile_is_that_of_elements_spread_evenly(bins: Bins, probability: float) -> None:
    found = bins.quantile(probability)
    expected = [np.quantile(column, probability) for column in zip(*spread(bins), strict=True)]
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(bins=some_bins(), edges=st.lists(st.integers(-30, 60), min_size=2, max_size=6, unique=True))
def test_a_histogram_splits_bins_evenly(bins: Bins, edges: list[int]) -> None:
    at = np.array(sorted(edges), float)
    below = [
        sum(
            n * min(max((x - low) / (high - low), 0), 1) if high > low else n * (low < x)
            for low, high, n in zip(*(c.tolist() for c in bins[:3]), strict=True)
        )
        for x in at.tolist()
    ]
    np.testing.assert_allclose(bins.cumulative(at), below)
    rounded = np.rint(below)
    rounded[-1] = bins.counts[bins.low <= at[-1]].sum()
    assert bins.histogram(at).tolist() == np.diff(rounded).tolist()


def test_bins_of_many_values_hold_them_all() -> None:
    assert Bins.from_sorted(np.arange(N_BINS)).are_single
    values = np.sort(np.random.default_rng(0).lognormal(0, 1, 5000))
    bins = Bins.from_sorted(values)
    assert not bins.are_single
    assert bins.n == bins.counts.sum() == 5000
    stops = np.cumsum(bins.counts)
    np.testing.assert_array_equal(bins.low, values[stops - bins.counts])
    np.testing.assert_array_equal(bins.high, values[stops - 1])
    cuts = {*(np.arange(N_BINS) * 5000 // N_BINS).tolist()}
    low, high = values[0], values[-1]
    share = np.arange(1, N_BINS) / N_BINS
    cuts |= {*np.searchsorted(values, low * (1 - share) + high * share).tolist()}
    assert {*(stops - bins.counts).tolist()} == cuts


@pytest.mark.parametrize("scale", [1e300, 1.0, 1e-3, 1e-300])
def test_condensing_joins_neighbours_alone(scale: float) -> None:
    random = np.random.default_rng(0)
    low = np.sort(random.normal(size=6000)) * scale
    bins = Bins(low, low + scale * 1e-5, random.integers(1, 5, 6000))
    few = Bins(low[:N_BINS], low[:N_BINS], np.ones(N_BINS, np.int64))
    assert few.condensed() is few
    found = bins.condensed()
    assert N_BINS / 2 < found.counts.size <= 2 * N_BINS
    stops = np.cumsum(found.counts)
    ends = np.cumsum(bins.counts)
    last = np.searchsorted(ends, stops)
    np.testing.assert_array_equal(ends[last], stops)
    first = np.append(0, last[:-1] + 1)
    np.testing.assert_array_equal(found.low, bins.low[first])
    np.testing.assert_array_equal(found.high, bins.high[last])
    assert found.counts.max() <= bins.n // N_BINS + 1 + 4
    width = (bins.high[-1] / 2 - bins.low[0] / 2) / N_BINS * 2
    assert (bins.low[last] - bins.low[first]).max() <= width * (1 + 1e-9)
    # Neighbours are joined where they are of one share and of one cell of the range.
    share, n_cells = bins.n // N_BINS + 1, N_BINS
    of_share = (np.cumsum(bins.counts) // share).tolist()
    span = bins.high[-1] / 2 - bins.low[0] / 2
    of_cell = ((bins.low / 2 - bins.low[0] / 2) / span * n_cells // 1).tolist()
    places = list(zip(of_share, of_cell, strict=True))
    apart = [0, *(i for i in range(1, 6000) if places[i] != places[i - 1])]
    assert first.tolist() == apart
    whole = np.array([-5.0, 5.0]) * scale
    assert found.histogram(whole).tolist() == bins.histogram(whole).tolist()


def test_bins_are_the_same_where_they_are_one() -> None:
    one = Bins.from_sorted(np.arange(3.0))
    assert one == one
    assert one != Bins(*one)
    assert len({one, one, Bins(*one)}) == 2


@pytest.mark.parametrize("dtype", [DataType.FLOAT32, DataType.FLOAT16, DataType.INT32,
    DataType.BOOL, DataType.UINT64, DataType.FLOAT64])  # fmt: skip
def test_rows_have_the_distributions_that_each_has_alone(dtype: DataType) -> None:
    random = np.random.default_rng(0)
    values = (random.normal(size=(6, 9)) * 3).astype(int)
    values[1], values[2], values[3, 2:] = 0, 3, 1
    rows = (np.abs(values) if dtype.startswith("u") else values).astype(dtype.value)
    found, is_right = exact_distributions(rows, dtype)
    assert is_right.all()
    for row, one in zip(rows, found, strict=True):
        alone = exact_distribution(row, dtype, 5)
        assert one._replace(bins=alone.bins) == alone
        assert type(one.min) is type(alone.min)
        for x, y in zip(one.bins, alone.bins, strict=True):
            np.testing.assert_array_equal(x, y)
        assert one.quantiles == alone.quantiles
        assert one.histogram(5) == alone.histogram(5)
    complex_rows = np.ones((3, 2), np.complex64)
    refused, is_right = exact_distributions(complex_rows, DataType.COMPLEX64)
    assert (refused, is_right.tolist()) == ([], [False] * 3)


def test_what_is_measured_of_a_type() -> None:
    assert [str(measure_of(t)) for t in (DataType.STRING, DataType.COMPLEX64,
            DataType.COMPLEX128, DataType.FLOAT32, DataType.BOOL)] == [
        "length", "modulus", "modulus", "value", "value"]  # fmt: skip
    found = exact_distribution(np.array([3 + 4j, 0, -1j], np.complex64), DataType.COMPLEX64, 2)
    assert (found.min, found.max, found.zeros, found.l1) == (0, 5, 1, 6)
    lengths = exact_distribution(np.array([2, 2, 5]), DataType.STRING, 3)
    assert (str(lengths.measure), lengths.min, lengths.mean) == ("length", 2, 3)


def test_a_histogram_from_the_extremes() -> None:
    values = np.repeat(np.arange(11.0), 1000)
    found = exact_distribution(values, DataType.FLOAT64, 5)
    assert found.histogram(5) == Histogram((0, 2, 4, 6, 8, 10), (2000, 2000, 2000, 2000, 3000))
    assert found.drawn == found.histogram(5)
    assert found.histogram(2) == Histogram((0, 5, 10), (5000, 6000))
    assert found.counts_between(np.array([3.0, 3.0])).tolist() == [11000]
    constant = exact_distribution(np.full(3, 2.0), DataType.FLOAT64, 5)
    assert constant.histogram(5) == Histogram((2, 2), (3,))
    nothing = exact_distribution(np.array([np.nan, np.inf]), DataType.FLOAT64, 5)
    assert (nothing.histogram(5), nothing.quantiles) == (Histogram((), ()), ())
    assert equal_edges(1, 3, 4).tolist() == [1, 1.5, 2, 2.5, 3]
    assert equal_edges(2, 2, 4).tolist() == [2, 2]


def test_a_quantile_between_two_values() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0])
    for probability in (0.0, 0.1, 0.5, 0.75, 1.0):
        expected = float(np.quantile(values, probability))
        assert quantile_of_sorted(values, probability) == pytest.approx((expected,) * 3)
    huge = np.array([1.7e308, 1.7e308])
    assert quantile_of_sorted(huge, 0.3) == (1.7e308,) * 3


def test_bins_of_a_sketch_are_drawn_in_as_many_as_asked_for() -> None:
    random = np.random.default_rng(0)
    array = random.normal(size=200_000).astype(np.float32)
    sketch = Sketch(DataType.FLOAT32)
    sketch.add(array)
    assert sketch_bins(sketch).counts.size > N_BINS
    found = sketch_distribution(sketch, 40)
    assert found.drawn is not None
    assert len(found.drawn.counts) == 40
    assert found.histogram(40) is found.drawn
    fine = with_bins(found, sketch_bins(sketch), 40)
    assert (fine.drawn, fine.known) == (found.drawn, found.known)
    expected = np.histogram(array, np.array(found.drawn.edges))[0]
    assert np.abs(np.array(found.drawn.counts) - expected).max() <= 100
    few = Sketch(DataType.FLOAT32)
    few.add(array[:500])
    assert sketch_distribution(few, 40).drawn is None


def test_tiny_numbers_beside_zeros_are_not_zero() -> None:
    sketch = Sketch(DataType.FLOAT32)
    sketch.add(np.array([0.0, 1e-42, 2e-42, 1.0], np.float32))
    bins = sketch_bins(sketch)
    assert (bins.low[0], bins.counts[0]) == (0, 3)
    assert bins.high[0] >= 2e-42
    exact = Sketch(DataType.FLOAT32)
    exact.add(np.array([0.0, -0.0, 1.0], np.float32))
    assert (sketch_bins(exact).high[:-1] == 0).all()
