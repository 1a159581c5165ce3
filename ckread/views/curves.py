"""Curves in a line of text: from their own smallest to their own largest value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.views.quantities import ABSENT, ABSENT_WORD, float_text, float_word

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CELLS = 24
_LEVELS = "▁▂▃▄▅▆▇"


def curve(values: Sequence[float | None], cells: int = MAX_CELLS) -> str:
    """Draw a curve in at most so many cells; a cell of several values has their last."""
    group = max(1, math.ceil(len(values) / cells))
    picked = [_last(values[i : i + group]) for i in range(0, len(values), group)]
    finite = [value for value in picked if value is not None and math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_glyph(value, low, high) for value in picked)


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)


def _glyph(value: float | None, low: float, high: float) -> str:
    if value is None:
        return " "
    if not math.isfinite(value):
        return "×"
    if high == low:
        return _LEVELS[len(_LEVELS) // 2]
    share = (value - low) / (high - low)
    return _LEVELS[min(len(_LEVELS) - 1, int(share * len(_LEVELS)))]


def value_text(value: float | None) -> str:
    """Give a number for a terminal: integers exact, three digits of others."""
    if value is None:
        return ABSENT
    return f"{value:,}" if isinstance(value, int) else float_text(value)


def value_word(value: float | None) -> str:
    """Give a number for a pipe: integers exact, six digits of others."""
    if value is None:
        return ABSENT_WORD
    return str(value) if isinstance(value, int) else float_word(value)
