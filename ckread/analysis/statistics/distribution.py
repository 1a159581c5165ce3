"""The distribution of a variable's elements: figures, quantiles with bounds, histograms.

    exact_distribution     by sorting: for what fits one chunk, and all of it exact
    sketch_distribution    from a one-pass sketch of any amount

Figures are of the finite elements; NaN and infinities are counted. Complex elements
are measured by their modulus, strings by their length in bytes.

Where elements lie is kept as bins that do not overlap. A bin says how many lie from
`low` to `high`, both inclusive; between bins there are none. A bin of no width is a
value, and exact. Within the others elements are taken to lie evenly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ckread.analysis.statistics.moments import moments, moments_of_rows
from ckread.analysis.statistics.sketch import (
    ZERO_BINS,
    Pattern,
    bin_bounds,
    is_integral,
    pattern_values,
    tally_of_sorted,
)
from ckread.readers.contract import DataType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.analysis.statistics.sketch import Sketch, Tally

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""The quantiles that are given."""


class Measure(StrEnum):
    """What of an element is measured."""

    VALUE = "value"
    MODULUS = "modulus"
    """The absolute value of a complex number."""
    LENGTH = "length"
    """The bytes of a string."""


def measure_of(dtype: DataType) -> Measure:
    """Give what is measured of elements of a type."""
    if dtype is DataType.STRING:
        return Measure.LENGTH
    is_complex = dtype in (DataType.COMPLEX64, DataType.COMPLEX128)
    return Measure.MODULUS if is_complex else Measure.VALUE


@dataclass(frozen=True, slots=True)
class Quantile:
    """One quantile, as `numpy.quantile` defines it.

    Example:
        >>> one = ckread.statistics("fixtures/digits_run", "conv1/kernel")[0]
        >>> found = one.distribution.quantile(0.5)
        >>> found.probability, round(found.value, 5), found.low <= found.value <= found.high
        (0.5, -0.01684, True)

    Attributes:
        probability: the share of elements below it.
        value: the estimate; exact where both bounds equal it.
        low: the least that it can be.
        high: the greatest.
    """

    probability: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Elements per bin of equal width.

    Example:
        >>> one = ckread.statistics("fixtures/digits_run", "conv1/kernel")[0]
        >>> found = one.distribution.histogram(3)
        >>> found.counts, [round(edge, 3) for edge in found.edges]
        ((47, 49, 48), [-0.256, -0.09, 0.075, 0.241])

    Attributes:
        edges: one more than there are bins, ascending; the last bin includes its end.
        counts: elements in each bin.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Distribution(NamedTuple):
    """The distribution of some elements.

    Example:
        >>> found = ckread.statistics("fixtures/digits_run", "conv1/kernel")[0].distribution
        >>> found.elements, found.finite, found.zeros, found.nan, found.infinite, str(found.measure)
        (144, 144, 0, 0, 0, 'value')
        >>> found.positive_infinite, found.negative_infinite, round(found.l1, 3), round(found.l2, 3)
        (0, 0, 16.585, 1.579)
        >>> round(found.min, 4), round(found.max, 4), round(found.mean, 4), round(found.std, 4)
        (-0.2557, 0.2407, -0.0056, 0.1315)
        >>> len(found.quantiles), found.histogram(4).counts, found.counts_between([-1, 0, 1])
        (7, (30, 44, 32, 38), array([77, 67]))
        >>> int(found.bins.counts.sum()), found.drawn, found.known
        (144, None, ())

    Attributes:
        measure: what of them is measured.
        elements: how many there are.
        zeros: how many equal 0.
        nan: how many are not a number.
        positive_infinite: how many are +Inf.
        negative_infinite: how many are -Inf.
        min: the least finite one, an int for integers; None where none is finite.
        max: the greatest, likewise.
        mean: the mean of the finite ones, or None.
        std: their standard deviation (of the population), or None.
        l1: the sum of their magnitudes, or None.
        l2: the root of the sum of their squares, or None.
        bins: where the finite ones lie, as fine as it was kept.
        drawn: a histogram from min to max in the number of bins that was asked for,
            exact or from finer bins than were kept; None where `bins` are the finest.
        known: quantiles from finer bins than were kept; empty where `bins` are the finest.
    """

    measure: Measure
    elements: int
    zeros: int
    nan: int
    positive_infinite: int
    negative_infinite: int
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    l1: float | None
    l2: float | None
    bins: Bins
    drawn: Histogram | None = None
    known: tuple[Quantile, ...] = ()

    @property
    def quantiles(self) -> tuple[Quantile, ...]:
        """Those of `PROBABILITIES`, in their order; empty where none is finite."""
        if self.known or self.min is None:
            return self.known
        return tuple([Quantile(p, *self.bins.quantile(p)) for p in PROBABILITIES])

    @property
    def infinite(self) -> int:
        """How many are infinite, of either sign."""
        return self.positive_infinite + self.negative_infinite

    @property
    def finite(self) -> int:
        """How many are neither NaN nor infinite."""
        return self.elements - self.nan - self.infinite

    def quantile(self, probability: float) -> Quantile:
        """Estimate any quantile from the bins."""
        for quantile in self.known:
            if quantile.probability == probability:
                return quantile
        return Quantile(probability, *self.bins.quantile(probability))

    def histogram(self, n_bins: int) -> Histogram:
        """Count the finite elements in equal bins from min to max.

        A constant variable has one bin of no width, none where nothing is finite.
        """
        if self.drawn is not None and len(self.drawn.counts) == n_bins:
            return self.drawn
        if self.min is None or self.max is None:
            return Histogram((), ())
        edges = equal_edges(self.min, self.max, n_bins)
        return Histogram(tuple(edges.tolist()), tuple(self.counts_between(edges).tolist()))

    def counts_between(self, edges: NDArray[np.float64]) -> NDArray[np.int64]:
        """Count the finite elements between any ascending edges, as `Bins.histogram`."""
        if edges[0] == edges[-1]:
            return np.array([self.finite])
        return self.bins.histogram(edges)


def equal_edges(low: float, high: float, n_bins: int) -> NDArray[np.float64]:
    """Give the edges of equal bins from `low` to `high`, of one bin where these are equal."""
    low, high = float(low), float(high)
    if low == high:
        return np.array([low, high], np.float64)
    rest, share = _shares(n_bins)
    edges: NDArray[np.float64] = low * rest + high * share
    edges[-1] = high
    return edges


@lru_cache(maxsize=4)
def _shares(n_bins: int) -> tuple[Floats, Floats]:
    share = np.arange(n_bins + 1) / n_bins
    return 1 - share, share


def sketch_distribution(sketch: Sketch, n_bins: int, bins: Bins | None = None) -> Distribution:
    """Give the distribution a sketch knows of; `bins` may be finer ones of a second read."""
    empty = Bins(np.empty(0), np.empty(0), np.empty(0, np.int64))
    figures = distribution_of(measure_of(sketch.dtype), sketch.tally(), empty)
    return with_bins(figures, sketch_bins(sketch) if bins is None else bins, n_bins)


def with_bins(distribution: Distribution, bins: Bins, n_bins: int) -> Distribution:
    """Give the same distribution with quantiles and histogram from other, finer bins."""
    quantiles = tuple(Quantile(p, *bins.quantile(p)) for p in PROBABILITIES if bins.n)
    finest = distribution._replace(known=quantiles, bins=bins, drawn=None)
    drawn = finest.histogram(n_bins) if bins.counts.size > N_BINS else None
    return finest._replace(bins=bins.condensed(), drawn=drawn)


def distribution_of(
    measure: Measure,
    tally: Tally,
    bins: Bins,
    drawn: Histogram | None = None,
    known: tuple[Quantile, ...] = (),
) -> Distribution:
    """Put a distribution together from its parts."""
    figures = moments(tally.part) if tally.part else None
    return Distribution(
        measure=measure,
        elements=tally.elements,
        zeros=tally.zeros,
        nan=tally.nan,
        positive_infinite=tally.positive_infinite,
        negative_infinite=tally.negative_infinite,
        min=tally.low,
        max=tally.high,
        mean=figures.mean if figures else None,
        std=figures.std if figures else None,
        l1=figures.l1 if figures else None,
        l2=figures.l2 if figures else None,
        bins=bins,
        drawn=drawn,
        known=known,
    )


def sketch_bins(sketch: Sketch) -> Bins:
    """Give the bins of a sketch that hold finite elements, bounded by the extremes."""
    if sketch.pattern in (Pattern.FLOAT32, Pattern.ROUNDED):
        return rounded_bins(sketch)[0]
    counts = sketch.counts()
    values = pattern_values(sketch.dtype)
    used = np.flatnonzero((counts > 0) & np.isfinite(values))
    points, at = np.unique(values[used], return_inverse=True)
    merged = np.zeros(points.size, np.int64)
    np.add.at(merged, at, counts[used])
    return Bins(points, points, merged)


def rounded_bins(sketch: Sketch) -> tuple[Bins, NDArray[np.intp]]:
    """Give the bins in use of a sketch over float32 patterns, and their numbers."""
    counts = sketch.counts()
    used = np.flatnonzero(counts)
    counts = counts[used]
    low, high = (bounds[used] for bounds in bin_bounds(sketch.pattern))
    tally = sketch.tally()
    near_zero = (used == ZERO_BINS[0]) | (used == ZERO_BINS[1])
    if tally.zeros and tally.zeros == counts[near_zero].sum():
        low[near_zero] = high[near_zero] = 0.0
    if is_integral(sketch.dtype):
        low, high = np.ceil(low), np.floor(high)
    if tally.low is not None:
        low, high = (np.clip(x, tally.low, tally.high) for x in (low, high))
    order = np.lexsort((high, low))
    return Bins(low[order], high[order], counts[order]), used[order]


N_BINS = 1024
"""Bins of equal counts, and as many of equal widths, that are kept of one variable.

Enough for any picture, 72 KiB at most."""


class Bins(NamedTuple):
    """Ascending bins of finite elements.

    Attributes:
        low: float64, shape (n_bins,), the least an element of the bin can be.
        high: float64, shape (n_bins,), the greatest.
        counts: int64, shape (n_bins,), elements in the bin, more than none.
        are_single: whether every bin is one element.
    """

    low: Floats
    high: Floats
    counts: Counts
    are_single: bool = False

    def __eq__(self, other: object) -> bool:
        """Tell whether it is the same: arrays have no truth of their own."""
        return self is other

    def __ne__(self, other: object) -> bool:
        """Tell whether it is another: a tuple would compare its arrays."""
        return self is not other

    def __hash__(self) -> int:
        """Go by identity too."""
        return id(self)

    @classmethod
    def from_sorted(cls, values: NDArray[Any]) -> Self:
        """Make bins from sorted finite values, every value its own if they are few.

        Else a bin holds at most a share of 1 / `N_BINS` of the values and of their
        range: the middle of a distribution is as sharp as its tails.
        """
        if values.size <= N_BINS:
            points = values.astype(np.float64)
            return cls(points, points, np.ones(values.size, np.int64), are_single=True)
        by_count = np.arange(N_BINS) * values.size // N_BINS
        low, high = float(values[0]), float(values[-1])
        share = np.arange(1, N_BINS) / N_BINS
        by_width = np.searchsorted(values, low * (1 - share) + high * share)
        # Not np.unique: it imports numpy.ma, for a fifth of numpy's own time.
        firsts = np.sort(np.concatenate([by_count, by_width]))
        firsts = firsts[(np.diff(firsts, prepend=-1) > 0) & (firsts < values.size)]
        lasts = np.append(firsts[1:], values.size) - 1
        starts, stops = values[firsts].astype(np.float64), values[lasts].astype(np.float64)
        return cls(starts, stops, lasts - firsts + 1)

    @property
    def n(self) -> int:
        """Elements of all bins."""
        return self.counts.size if self.are_single else int(self.counts.sum())

    def quantile(self, probability: float) -> tuple[float, float, float]:
        """Give an estimate of a quantile, as numpy defines it, and the bounds around it.

        Returns:
            Estimate, least and greatest possible value; NaN where there are no elements.
        """
        n = self.n
        if not n:
            return math.nan, math.nan, math.nan
        if self.are_single:
            return quantile_of_sorted(self.low, probability)
        position = (n - 1) * probability
        below = min(math.floor(position), n - 1)
        # The elements of these two ranks, counted from 0: estimates and their bounds.
        ranks = np.array([below, min(below + 1, n - 1)])
        ends = np.cumsum(self.counts)
        at = np.searchsorted(ends, ranks, side="right")
        counts, lows, highs = self.counts[at], self.low[at], self.high[at]
        middles = lows + (highs - lows) * ((ranks - (ends[at] - counts) + 0.5) / counts)
        first, second = zip(*(x.tolist() for x in (middles, lows, highs)), strict=True)
        share = position - below
        estimate, low, high = (
            a * (1 - share) + b * share if a != b else a for a, b in zip(first, second, strict=True)
        )
        return estimate, low, high

    def histogram(self, edges: Floats) -> Counts:
        """Count the elements between ascending `edges`; the last bin includes its end.

        Bins that an edge cuts are split evenly, and rounded so that the sum is right.
        """
        if self.are_single:  # as below, without what there is of wider bins
            below = self.low.searchsorted(edges)
            below[-1] = self.low.searchsorted(edges[-1], side="right")
            return below[1:] - below[:-1]
        below = np.rint(self.cumulative(edges)).astype(np.int64)
        below[-1] = int(self.counts[: np.searchsorted(self.low, edges[-1], side="right")].sum())
        return np.diff(below)

    def cumulative(self, values: Floats) -> Floats:
        """Give how many elements are less than each of `values`."""
        ends = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.float64)
        at = np.searchsorted(self.high, values, side="left")
        inside = at < self.counts.size
        bin_of = np.where(inside, at, 0)
        low, high = self.low[bin_of], self.high[bin_of]
        width = np.where(high > low, high - low, 1.0)
        share = np.clip((values - low) / width, 0.0, 1.0) * inside
        cumulative: Floats = ends[at] + share * self.counts[bin_of]
        return cumulative

    def condensed(self) -> Bins:
        """Join neighbours, as `from_sorted` does.

        A bin that alone holds a large share, the zeros of a pruned kernel, stays as it is.
        """
        if self.counts.size <= N_BINS:
            return self
        heavy = self.counts * N_BINS > self.n
        share = int(self.counts[~heavy].sum()) // N_BINS + 1
        group = np.cumsum(self.counts) // share
        starts = np.diff(group, prepend=-1) > 0
        low, high = self.low[0] / 2, self.high[-1] / 2  # half of it: no range overflows
        cell = (self.low / 2 - low) / max(high - low, 5e-324) * N_BINS
        starts |= np.diff(np.floor(cell), prepend=-1) > 0
        starts |= heavy
        starts[1:] |= heavy[:-1]
        first = np.flatnonzero(starts)
        last = np.append(first[1:], group.size) - 1
        return Bins(self.low[first], self.high[last], np.add.reduceat(self.counts, first))


def exact_distribution(values: NDArray[Any], dtype: DataType, n_bins: int) -> Distribution:
    """Measure values of `dtype` by sorting them; strings are given by their lengths."""
    measure = measure_of(dtype)
    values = np.abs(values) if measure is Measure.MODULUS else values
    ordered = np.sort(_comparable(values, dtype), axis=None)
    finite = ordered[np.isfinite(ordered)] if ordered.dtype.kind == "f" else ordered
    tally = tally_of_sorted(ordered, finite)
    bins = Bins.from_sorted(finite)
    if bins.are_single:
        return distribution_of(measure, tally, bins)
    edges = equal_edges(float(finite[0]), float(finite[-1]), n_bins)
    below = np.searchsorted(finite, edges, side="left")
    below[-1] = finite.size
    drawn = Histogram(tuple(edges.tolist()), tuple(np.diff(below).tolist()))
    known = tuple(Quantile(p, *quantile_of_sorted(finite, p)) for p in PROBABILITIES)
    return distribution_of(measure, tally, bins, drawn, known)


def exact_distributions(
    values: NDArray[Any], dtype: DataType
) -> tuple[list[Distribution], NDArray[np.bool_]]:
    """Measure the rows of an array, as `exact_distribution` does each of them.

    A row has fewer elements than sums are made of in one stretch (see `inner_products`), so that
    all figures have the same bits.

    Returns:
        A distribution for each, and of which it is right: a row with NaN or infinities, or with
        values whose squares leave the range of float64, needs care.
    """
    m, n = values.shape
    if measure_of(dtype) is Measure.MODULUS:
        return [], np.zeros(m, np.bool_)
    ordered = np.sort(_comparable(values, dtype), axis=1)
    if ordered.dtype.kind in "iu":
        return [exact_distribution(row, dtype, 0) for row in ordered], np.ones(m, np.bool_)
    points = ordered.astype(np.float64)
    figures, is_right = moments_of_rows(points)
    zeros = (n - np.count_nonzero(ordered, axis=1)).tolist()
    lows, highs = ordered[:, 0].tolist(), ordered[:, -1].tolist()
    same = map(repeat, (Measure.VALUE, n))
    none = map(repeat, (0, 0, 0))
    bins = map(Bins, points, points, repeat(np.ones(n, np.int64)), repeat(True))
    rest = map(repeat, (None, ()))
    columns = (*same, zeros, *none, lows, highs, *figures, bins, *rest)
    return list(map(Distribution._make, zip(*columns, strict=False))), is_right


def _comparable(values: NDArray[Any], dtype: DataType) -> NDArray[Any]:
    """Give types of ml_dtypes, half, truth values as float32: it holds all, and sorts fast."""
    if values.dtype.isbuiltin != 1 or values.dtype.char in "e?":
        return values.astype(np.int16 if is_integral(dtype) else np.float32)
    return values


def quantile_of_sorted(ordered: NDArray[Any], probability: float) -> tuple[float, float, float]:
    """Give a quantile of sorted finite values, as numpy defines it, and its bounds: itself."""
    position = (ordered.size - 1) * probability
    below = math.floor(position)
    first = float(ordered.item(below))
    second = float(ordered.item(min(below + 1, ordered.size - 1)))
    share = position - below
    value = first if first == second else first * (1 - share) + second * share
    return value, value, value
