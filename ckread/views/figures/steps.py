"""Axes of steps: round multiples that are checkpoints, or the checkpoints spread evenly."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ckread.views.figures.names import text_width
from ckread.views.figures.numbers import count
from ckread.views.figures.style import TEXT_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.model.run_entries import RunEntry

_GAP = 0.14
_ROUND = [m * 10**p for p in range(13) for m in (1, 2, 5)]


def places(entries: Sequence[RunEntry]) -> list[float]:
    """Give where each checkpoint stands on an axis: at its step, or at its number."""
    steps = [entry.step for entry in entries if entry.step is not None]
    is_rising = all(a < b for a, b in pairwise(steps))
    if len(steps) < len(entries) or not is_rising:
        return [float(i) for i in range(1, len(entries) + 1)]
    return [float(step) for step in steps]


def labels(entries: Sequence[RunEntry]) -> list[str]:
    """Give what each checkpoint is called on an axis."""
    return [count(int(place)) for place in places(entries)]


def even_ticks(entries: Sequence[RunEntry], width: float) -> list[int]:
    """Give indices of checkpoints to be labelled, on an axis with a column for each.

    Round multiples that are checkpoints, if there are three; else evenly, first and last
    among them. No two labels touch.
    """
    names = labels(entries)
    widest = max(text_width(name, TEXT_SIZE) for name in names) + _GAP
    room = max(1, int(width / widest))
    at = {int(place): i for i, place in enumerate(places(entries))}
    for multiple in _ROUND:
        found = [i for step, i in at.items() if step % multiple == 0]
        if 3 <= len(found) <= room and _spaced(found, len(entries), width, widest):
            return found
    n = len(entries)
    shown = max(1, min(room, n))
    if shown == 1:
        return [n - 1]
    return sorted({round(k * (n - 1) / (shown - 1)) for k in range(shown)})


def _spaced(found: Sequence[int], n: int, width: float, least: float) -> bool:
    apart = [b - a for a, b in pairwise(found)]
    return min(apart) * width / n >= least


def pushed_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places, given in any order, until they are `gap` apart between `low` and `high`."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed = [min(max(wanted[i], low), high) for i in order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    limit = high
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    result = [0.0] * len(wanted)
    for i, place in zip(order, placed, strict=True):
        result[i] = place
    return result
