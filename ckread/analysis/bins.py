"""A distribution as bins that do not overlap: quantiles with bounds, and any drawn histogram.

A bin says how many elements lie from `low` to `high`, both inclusive; between bins
there are none. A bin of no width is a value, and exact. Within the others elements
are taken to lie evenly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

N_BINS = 1024
"""Bins of equal counts, and as many of equal widths, that are kept of one variable.

Enough for any picture, 72 KiB at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Ascending bins of finite elements.

    Attributes:
        low: float64, shape (n_bins,), the least an element of the bin can be.
        high: float64, shape (n_bins,), the greatest.
        counts: int64, shape (n_bins,), elements in the bin, more than none.
    """

    low: Floats
    high: Floats
    counts: Counts

    @classmethod
    def from_sorted(cls, values: NDArray[Any]) -> Self:
        """Make bins from sorted finite values, every value its own if they are few.

        Else a bin holds at most a share of 1 / `N_BINS` of the values and of their
        range: the middle of a distribution is as sharp as its tails.
        """
        if values.size <= N_BINS:
            points = values.astype(np.float64)
            return cls(points, points, np.ones(values.size, np.int64))
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
        return int(self.counts.sum())

    def quantile(self, probability: float) -> tuple[float, float, float]:
        """Give an estimate of a quantile, as numpy defines it, and the bounds around it.

        Returns:
            Estimate, least and greatest possible value; NaN where there are no elements.
        """
        n = self.n
        if not n:
            return math.nan, math.nan, math.nan
        position = (n - 1) * probability
        below = min(math.floor(position), n - 1)
        ranks = np.array([below, min(below + 1, n - 1)])
        first, second = zip(*(x.tolist() for x in self._order_statistics(ranks)), strict=True)
        share = position - below
        estimate, low, high = (
            a * (1 - share) + b * share if a != b else a for a, b in zip(first, second, strict=True)
        )
        return estimate, low, high

    def _order_statistics(self, ranks: Counts) -> tuple[Floats, Floats, Floats]:
        """Give the elements of these ranks, counted from 0: estimates and their bounds."""
        ends = np.cumsum(self.counts)
        at = np.searchsorted(ends, ranks, side="right")
        counts, low, high = self.counts[at], self.low[at], self.high[at]
        within = (ranks - (ends[at] - counts) + 0.5) / counts
        return low + (high - low) * within, low, high

    def histogram(self, edges: Floats) -> Counts:
        """Count the elements between ascending `edges`; the last bin includes its end.

        Bins that an edge cuts are split evenly, and rounded so that the sum is right.
        """
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
