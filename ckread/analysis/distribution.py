"""The distribution of a variable's elements: figures, quantiles with bounds, histograms.

    exact_distribution     (in `exact`) by sorting: for what fits one chunk
    sketch_distribution    from a one-pass sketch of any amount

Figures are of the finite elements; NaN and infinities are counted. Complex elements
are measured by their modulus, strings by their length in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ckread.analysis.bins import N_BINS, Bins
from ckread.analysis.bit_histogram import ZERO_BINS, Pattern, bin_bounds, pattern_values
from ckread.analysis.moments import moments
from ckread.analysis.tally import is_integral
from ckread.readers.dtypes import DataType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.analysis.sketch import Sketch
    from ckread.analysis.tally import Tally

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

    Attributes:
        edges: one more than there are bins, ascending; the last bin includes its end.
        counts: elements in each bin.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution of some elements.

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
        l2: the root of the sum of their squares, or None.
        quantiles: in the order of `PROBABILITIES`; empty where none is finite.
        bins: where the finite ones lie, as fine as it was kept.
        drawn: a histogram from min to max in the number of bins that was asked for,
            exact or from finer bins than were kept; None where `bins` are the finest.
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
    l2: float | None
    quantiles: tuple[Quantile, ...]
    bins: Bins
    drawn: Histogram | None = None

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
        for known in self.quantiles:
            if known.probability == probability:
                return known
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
    share = np.arange(n_bins + 1) / n_bins
    edges: NDArray[np.float64] = low * (1 - share) + high * share
    edges[-1] = high
    return edges


def sketch_distribution(sketch: Sketch, n_bins: int, bins: Bins | None = None) -> Distribution:
    """Give the distribution a sketch knows of; `bins` may be finer ones of a second read."""
    empty = Bins(np.empty(0), np.empty(0), np.empty(0, np.int64))
    figures = distribution_of(measure_of(sketch.dtype), sketch.tally(), (), empty)
    return with_bins(figures, sketch_bins(sketch) if bins is None else bins, n_bins)


def with_bins(distribution: Distribution, bins: Bins, n_bins: int) -> Distribution:
    """Give the same distribution with quantiles and histogram from other, finer bins."""
    quantiles = tuple(Quantile(p, *bins.quantile(p)) for p in PROBABILITIES if bins.n)
    finest = replace(distribution, quantiles=quantiles, bins=bins, drawn=None)
    drawn = finest.histogram(n_bins) if bins.counts.size > N_BINS else None
    return replace(finest, bins=bins.condensed(), drawn=drawn)


def distribution_of(
    measure: Measure,
    tally: Tally,
    quantiles: tuple[Quantile, ...],
    bins: Bins,
    drawn: Histogram | None = None,
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
        l2=figures.l2 if figures else None,
        quantiles=quantiles,
        bins=bins,
        drawn=drawn,
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
