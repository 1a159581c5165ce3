"""The distribution of few enough values to sort: all of it exact."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.bins import Bins
from ckread.analysis.distribution import (
    PROBABILITIES,
    Distribution,
    Histogram,
    Measure,
    Quantile,
    distribution_of,
    equal_edges,
    measure_of,
)
from ckread.analysis.tally import is_integral, tally_of_sorted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.readers.dtypes import DataType


def exact_distribution(values: NDArray[Any], dtype: DataType, n_bins: int) -> Distribution:
    """Measure values of `dtype` by sorting them; strings are given by their lengths."""
    measure = measure_of(dtype)
    values = np.abs(values) if measure is Measure.MODULUS else values
    if values.dtype.isbuiltin != 1 or values.dtype.char in "e?":
        # Types of ml_dtypes, half, truth values: float32 holds all of them, and sorts fast.
        values = values.astype(np.int16 if is_integral(dtype) else np.float32)
    ordered = np.sort(values, axis=None)
    finite = ordered[np.isfinite(ordered)] if ordered.dtype.kind == "f" else ordered
    tally = tally_of_sorted(ordered, finite)
    bins = Bins.from_sorted(finite)
    drawn = _exact_histogram(finite, n_bins) if finite.size > bins.counts.size else None
    quantiles = tuple(_exact_quantile(finite, p) for p in PROBABILITIES if finite.size)
    return distribution_of(measure, tally, quantiles, bins, drawn)


def _exact_quantile(ordered: NDArray[Any], probability: float) -> Quantile:
    position = (ordered.size - 1) * probability
    below = math.floor(position)
    first = float(ordered[below])
    second = float(ordered[min(below + 1, ordered.size - 1)])
    share = position - below
    value = first if first == second else first * (1 - share) + second * share
    return Quantile(probability, value, value, value)


def _exact_histogram(ordered: NDArray[Any], n_bins: int) -> Histogram:
    edges = equal_edges(float(ordered[0]), float(ordered[-1]), n_bins)
    below = np.searchsorted(ordered, edges, side="left")
    below[-1] = ordered.size
    return Histogram(tuple(edges.tolist()), tuple(np.diff(below).tolist()))
