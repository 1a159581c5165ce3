"""Quantities drawn in a line of text, and what stands in the place of a drawing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.distribution import Distribution

_SPARKS = "▁▂▃▄▅▆▇"
_MAX_CELLS = 24
"""Cells of a curve."""


def bar(share: float, cells: int) -> str:
    """Draw a bar of `share` of `cells` in half cells; nothing below half a cell."""
    if not math.isfinite(share):
        return ""
    halves = round(max(0.0, min(share, 1.0)) * cells * 2)
    return "━" * (halves // 2) + "╸" * (halves % 2)


def sparkline(values: Sequence[float]) -> str:
    """Draw one cell per value, to the row's own top; blank only for exactly none."""
    top = max((value for value in values if math.isfinite(value)), default=0.0)
    return "".join(_spark(value, top) for value in values)


def _spark(value: float, top: float) -> str:
    if not math.isfinite(value):
        return "×"
    if value <= 0 or top <= 0:
        return " "
    return _SPARKS[min(len(_SPARKS) - 1, int(value / top * len(_SPARKS)))]


def curve(values: Sequence[float | None], cells: int = _MAX_CELLS) -> str:
    """Draw a curve in at most so many cells; a cell of several values has their last."""
    group = max(1, math.ceil(len(values) / cells))
    picked = [_last_of(values[i : i + group]) for i in range(0, len(values), group)]
    finite = [value for value in picked if value is not None and math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_level(value, low, high) for value in picked)


def _last_of(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _level(value: float | None, low: float, high: float) -> str:
    if value is None:
        return " "
    if not math.isfinite(value):
        return "×"
    if high == low:
        return _SPARKS[len(_SPARKS) // 2]
    share = (value - low) / (high - low)
    return _SPARKS[min(len(_SPARKS) - 1, int(share * len(_SPARKS)))]


def nothing_finite(distribution: Distribution) -> str:
    """Say why there is nothing to draw; nothing if there is something."""
    if distribution.finite:
        return ""
    if not distribution.elements:
        return "no elements"
    return "all NaN" if distribution.nan == distribution.elements else "nothing finite"
