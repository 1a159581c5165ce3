"""Axes of steps: round multiples that are checkpoints, or the checkpoints spread evenly."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ckread.views.figures.names import text_width
from ckread.views.figures.numbers import count
from ckread.views.figures.style import TEXT_SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

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
    """Give what each checkpoint is called on an axis: its step, else its number."""
    steps = [entry.step for entry in entries]
    known = [step for step in steps if step is not None]
    return [count(n) for n in (known if len(known) == len(steps) else range(1, len(steps) + 1))]


def axis_word(entries: Sequence[RunEntry]) -> str:
    """Give what the labels of an axis are: steps, or numbers of checkpoints."""
    return "checkpoint" if any(entry.step is None for entry in entries) else "step"


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


def set_step_axis(axes: Axes, entries: Sequence[RunEntry], width: float) -> None:
    """Give the x axis its limits, and ticks at checkpoints.

    Args:
        axes: whose x values are those of `places`.
        entries: the checkpoints.
        width: of the axes in inches.
    """
    x = places(entries)
    last = x[-1] if x[-1] > x[0] else x[0] + 1
    axes.set_xlim(x[0], last)
    names = labels(entries)
    at = _ticks_at([(place - x[0]) / (last - x[0]) * width for place in x], entries)
    axes.set_xticks([x[i] for i in at], [names[i] for i in at], parse_math=False)


def _ticks_at(inches: Sequence[float], entries: Sequence[RunEntry]) -> list[int]:
    """Give indices of checkpoints to be labelled, at uneven places on an axis.

    Round multiples that are checkpoints, if there are three; else first and last, and of
    those between as many as have room.
    """
    least = max(text_width(name, TEXT_SIZE) for name in labels(entries)) + _GAP
    steps = [int(place) for place in places(entries)]
    for multiple in _ROUND:
        found = [i for i, step in enumerate(steps) if step % multiple == 0]
        if len(found) < 3:
            break
        if all(inches[b] - inches[a] >= least for a, b in pairwise(found)):
            return found
    found = [0]
    for i in range(1, len(inches)):
        is_last = i == len(inches) - 1
        has_room = inches[i] - inches[found[-1]] >= least
        if has_room and (is_last or inches[-1] - inches[i] >= least):
            found.append(i)
    return found


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
