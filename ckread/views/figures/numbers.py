"""Numbers and ticks in pictures: three digits, a true minus, steps of 1, 2 and 5."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from ckread.views.figures.names import text_width
from ckread.views.figures.style import TEXT_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

MINUS = "\u2212"
THIN_SPACE = "\u2009"
_GROUPED = re.compile(r"(?<!\S)\d{1,3}(?:,\d{3})+(?=[ .,;]|$)")
_HYPHEN = re.compile(r"(?<!\S)-(?=\d)|(?<= \d\.\d\de)-(?=\d)")
_GAP = 0.12
"""Inches between two tick labels, at least."""
_TIGHT_GAP = _GAP / 3
"""The same where an axis would else have one label."""


def number(value: float, digits: int = 3) -> str:
    """Give a number with significant digits; an exponent outside 10⁻³ … 10⁵."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else MINUS + "inf"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if not -3 <= power < 5:
        return f"{mantissa}e{power}".replace("-", MINUS)
    return f"{value:.{max(0, digits - 1 - power)}f}".replace("-", MINUS)


def short_number(value: float) -> str:
    """Give a number with up to three significant digits, no useless zeros: 0.001, 5e−4."""
    return _trimmed(number(value))


def count(n: int) -> str:
    """Give an exact count, thousands apart from 10,000 on."""
    return f"{n:,}".replace(",", THIN_SPACE) if abs(n) >= 10_000 else str(n)


def typeset(sentence: str) -> str:
    """Give a sentence of a page with the numbers of a picture: true minus, thin spaces."""
    text = _GROUPED.sub(lambda found: count(int(found[0].replace(",", ""))), sentence)
    return _HYPHEN.sub(MINUS, text)


def column(values: Sequence[float | None], digits: int = 3) -> list[str]:
    """Give numbers with one number of decimals for all, as many as the largest needs."""
    finite = [abs(value) for value in values if value is not None and math.isfinite(value)]
    largest = max(finite, default=0.0)
    if largest and not 1e-3 <= largest < 1e5:
        return ["" if value is None else number(value, digits) for value in values]
    power = math.floor(math.log10(largest)) if largest else 0
    decimals = max(0, digits - 1 - min(power, 0)) if power < digits else 0
    decimals = max(0, digits - 1 - power) if power >= 0 else decimals
    return ["" if value is None else fixed(value, decimals) for value in values]


def fixed(value: float, decimals: int) -> str:
    """Give a number with that many decimals; a zero has no sign."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def tick_steps(low: float, high: float, step: float) -> list[float]:
    """Give the multiples of `step` from `low` to `high`."""
    slack = 1e-9 * step
    first, last = math.ceil((low - slack) / step), math.floor((high + slack) / step)
    return [i * step for i in range(first, last + 1)]


def value_ticks(low: float, high: float, width: float, *, size: float = TEXT_SIZE) -> list[float]:
    """Give round ticks, as many as their labels leave room for, on an axis `width` inches wide."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    for gap in (_GAP, _TIGHT_GAP):
        ticks = _spaced_ticks(low, high, width, gap=gap, size=size)
        if len(ticks) > 1:
            break
    return ticks


def _spaced_ticks(
    low: float,
    high: float,
    width: float,
    *,
    gap: float,
    size: float,
    multiples: Sequence[int] = (1, 2, 5),
    gutter: float | None = None,
) -> list[float]:
    """Give the closest ticks whose labels keep a gap; with a gutter, two of them lie inside."""
    span = high - low
    for step in _steps(span / 12, multiples):
        ticks = tick_steps(low, high, step)
        labels = tick_labels(ticks)
        widest = max((text_width(t, size) for t in labels), default=0)
        if width * step / span < widest + gap:
            continue
        if gutter is None:
            return ticks
        inside = _inside(ticks, labels, low, high, width, gutter)
        if sum(map(bool, inside)) > 1:
            return ticks
    return [low]


def _steps(least: float, multiples: Sequence[int]) -> list[float]:
    power = math.floor(math.log10(least))
    powers = [10.0**p for p in range(power, power + 4)]
    return [m * p for p in powers for m in multiples if m * p >= least]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Give labels without useless zeros; an exponent where the values ask for it."""
    largest = max((abs(tick) for tick in ticks), default=0)
    if largest and not 1e-3 <= largest < 1e5:
        return [_trimmed(number(0 if abs(t) < 1e-9 * largest else t, 3)) for t in ticks]
    apart = min((b - a for a, b in pairwise(ticks)), default=largest or 1)
    decimals = max(0, -math.floor(math.log10(apart) + 1e-9)) if apart > 0 else 0
    return [_trimmed(fixed(tick, decimals)) for tick in ticks]


def _trimmed(text: str) -> str:
    mantissa, e, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + e + exponent


def set_value_axis(
    axes: Axes, low: float, high: float, width: float, *, gutter: float = 0.16
) -> None:
    """Give the x axis limits and ticks; a label that sticks out too far loses its text.

    One label alone gives no scale: then less round steps do too.
    """
    axes.set_xlim(low, high)
    ticks = value_ticks(low, high, width)
    labels = _inside(ticks, tick_labels(ticks), low, high, width, gutter)
    if sum(map(bool, labels)) < 2 and high > low:
        finer = _spaced_ticks(
            low, high, width,
            gap=_TIGHT_GAP, size=TEXT_SIZE, multiples=range(1, 10), gutter=gutter,
        )  # fmt: skip
        if len(finer) > 1:
            ticks, labels = finer, _inside(finer, tick_labels(finer), low, high, width, gutter)
    axes.set_xticks(ticks, labels, parse_math=False)


def _inside(
    ticks: Sequence[float],
    labels: Sequence[str],
    low: float,
    high: float,
    width: float,
    gutter: float,
) -> list[str]:
    """Give the labels, "" for each that sticks out of the axis by more than half a gutter."""
    inside = []
    for tick, label in zip(ticks, labels, strict=True):
        at = (tick - low) / (high - low) * width if high > low else width / 2
        half = text_width(label, TEXT_SIZE) / 2
        sticks_out = at - half < -gutter / 2 or at + half > width + gutter / 2
        inside.append("" if sticks_out else label)
    return inside


def padded(low: float, high: float, share: float = 0.03) -> tuple[float, float]:
    """Give a range a little wider; around a single value, one that shows it in the middle."""
    span = high - low
    if not span > 0:
        span = abs(low) or 1.0
    return low - share * span, high + share * span
