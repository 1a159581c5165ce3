"""A value axis for variables of many sizes: linear near zero, logarithmic beyond."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import numpy as np

from ckread.views.figures.numbers import set_value_axis, tick_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from ckread.analysis.distribution import Distribution


class Scale:
    """One axis for all: linear near zero, logarithmic beyond, unless all is of one size."""

    def __init__(self, low: float, high: float, threshold: float | None) -> None:
        self.low = low
        self.high = high
        self.threshold = threshold

    @classmethod
    def of(cls, distributions: Sequence[Distribution]) -> Self:
        """Choose the scale for the outer quantiles of some distributions, zero included."""
        measured = [d for d in distributions if d.quantiles]
        ends = [q.value for d in measured for q in (d.quantiles[0], d.quantiles[-1])]
        low, high = min([0.0, *ends]), max([0.0, *ends])
        deviations = [d.std for d in measured if d.std]
        if not deviations or not max(-low, high) > 0:
            return cls(-1.0, 1.0, None)
        threshold = 10.0 ** round(math.log10(float(np.median(deviations))))
        if max(-low, high) <= 3 * threshold:
            pad = 0.03 * (high - low)
            return cls(low - pad, high + pad, None)
        return cls(_beyond(low, threshold), _beyond(high, threshold), threshold)

    def apply(self, axes: Axes, width: float) -> None:
        """Give the x axis of axes `width` inches wide this scale, with its ticks."""
        if self.threshold is None:
            set_value_axis(axes, self.low, self.high, width)
            return
        axes.set_xscale("symlog", linthresh=self.threshold)
        axes.minorticks_off()
        axes.set_xlim(self.low, self.high)
        ticks = self._ticks()
        axes.set_xticks(ticks, self._labels(ticks, width), parse_math=False)

    def _ticks(self) -> list[float]:
        first = round(math.log10(self.threshold or 1))
        positive = self._decades(self.high, first)
        negative = self._decades(-self.low, first)
        return [*(-x for x in reversed(negative)), 0.0, *positive]

    def _decades(self, limit: float, first: int) -> list[float]:
        return [10.0**p for p in range(first, first + 40) if 10.0**p <= limit * 1.0001]

    def _labels(self, ticks: list[float], width: float) -> list[str]:
        """Label every decade if there is room, else every second or fewer, and zero."""
        linear = 1.0  # decades' worth of room that the linear part has on either side
        n_units = (
            sum(
                max(0, len(self._decades(x, round(math.log10(self.threshold or 1)))) - 1)
                for x in (self.high, -self.low)
            )
            + 2 * linear
        )
        every = max(1, math.ceil(0.3 / (width / n_units)))
        zero = ticks.index(0.0)
        labels = [tick_labels([t])[0] for t in ticks]
        return [x if (i - zero) % every == 0 else "" for i, x in enumerate(labels)]


def _beyond(limit: float, threshold: float) -> float:
    """Give the next decade beyond a limit, or a little more than the linear part."""
    if abs(limit) <= threshold:
        return math.copysign(threshold, limit) if limit else -threshold * 0.3
    return math.copysign(10.0 ** math.ceil(math.log10(abs(limit)) - 1e-9), limit) * 1.15
