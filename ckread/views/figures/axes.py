"""Axes that several pictures have, with their ticks, and the marks that are drawn on them."""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from ckread.analysis.audit.records import seams_by_place
from ckread.views.figures.style import TEXT_SIZE
from ckread.views.figures.text import (
    count,
    number,
    round_steps,
    set_value_axis,
    text_width,
    tick_labels,
    tick_steps,
    typeset,
    value_ticks,
)
from ckread.views.seams import seam_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from ckread.analysis.audit.records import Seam
    from ckread.analysis.statistics.distribution import Distribution
    from ckread.model.run.entries import RunEntry
    from ckread.views.figures.sheet import Sheet
    from ckread.views.figures.style import Palette


FEW = 32
"""Elements up to which each is a stroke: bars of so few would be fiction."""
_MAX_DECADES = 40
"""Of an upright axis that have a tick; more only lie on one another."""
_APART = 0.21
"""Inches between two ticks of an upright axis, at least."""


def height_ticks(low: float, high: float, depth: float) -> list[float]:
    """Give round ticks, steps of 1, 2 and 5, on an axis `depth` inches high."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    return tick_steps(low, high, round_steps(span * _APART / depth)[0])


_MOST = 1e300
"""Beyond it the arithmetic of an axis has no room in a float."""


def drawn_values(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Give values as they can be drawn: NaN where there is none, or one that no axis holds."""
    found = np.array([math.nan if v is None else v for v in values], np.float64)
    found[~(np.abs(found) <= _MOST)] = math.nan
    return found


def left_undrawn(values: Sequence[float | None]) -> str:
    """Say so where finite values are too large to be drawn."""
    is_beyond = any(v is not None and math.isfinite(v) and abs(v) > _MOST for v in values)
    return f"Values beyond {number(_MOST, 1)} are not drawn." if is_beyond else ""


def set_heights(axes: Axes, low: float, high: float, depth: float) -> None:
    """Give the y axis limits, ticks and a grid."""
    axes.set_ylim(low, high)
    ticks = height_ticks(low, high, depth)
    axes.set_yticks(ticks, tick_labels(ticks), parse_math=False)
    axes.grid(axis="y")


def set_count_heights(axes: Axes, top: float, depth: float) -> None:
    """Give the y axis whole ticks from 0 on, and a grid: of elements per bin."""
    axes.set_ylim(0, top)
    ticks = [tick for tick in value_ticks(0, top, depth) if tick == round(tick)]
    axes.set_yticks(ticks, [count(round(tick)) for tick in ticks])
    axes.grid(axis="y")


def draw_zero(axes: Axes, palette: Palette, *, zorder: float, across: bool = False) -> None:
    """Draw the dotted line at zero, if the axis of values goes over it; `across` if that is y."""
    low, high = axes.get_ylim() if across else axes.get_xlim()
    if low < 0 < high:
        draw = axes.axhline if across else axes.axvline
        draw(0, color=palette.faint, lw=0.7, ls=(0, (1, 2)), zorder=zorder)


def set_log_heights(axes: Axes, low: float, high: float) -> None:
    """Give a log y axis ticks at decades, or at 1, 2 and 5 where there are few of these."""
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_ylim(low, high)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    multiples = (1,) if high / low >= 100 else (1, 2, 5)
    step = -(-len(powers) // _MAX_DECADES)
    ticks = [m * 10.0**p for p in powers[::step] for m in multiples if low <= m * 10.0**p <= high]
    axes.set_yticks(ticks, [number(tick, 1) for tick in ticks], parse_math=False)
    axes.grid(axis="y")


# The axis of relative distances: decades, their numbers at the top, dots below.

_MAX_TICKS = 8


def decades_of(distances: Iterable[float | None]) -> tuple[int, int]:
    """Give the powers of ten that hold all distances: below the least, from the greatest on."""
    known = [distance for distance in distances if distance is not None]
    if not known:
        return -3, 0
    low = math.floor(math.log10(min(known)) - 1e-9)
    return low, max(low + 1, math.ceil(math.log10(max(known)) - 1e-9))


def set_distance_axis(axes: Axes, decades: tuple[int, int], height: float) -> None:
    """Set up axes for dots: distances to the right, `height` inches of rows from the top down."""
    low, high = decades
    axes.set_gid("ckread:dots")
    axes.set_xscale("log")
    axes.set_xlim(10.0**low, 10.0**high)
    axes.set_ylim(height, 0)
    axes.set_yticks([])
    axes.minorticks_off()
    if high - low < 2:
        ticks = [m * 10.0**p for p in range(low, high) for m in (1, 2, 5)] + [10.0**high]
    else:
        step = -(-(high - low) // _MAX_TICKS)
        ticks = [10.0**power for power in range(low, high + 1, step)]
    axes.set_xticks(ticks, [number(tick, 1) for tick in ticks], parse_math=False)
    axes.tick_params(top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.grid(axis="x")
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_visible(True)


# A value axis for variables of many sizes: linear near zero, logarithmic beyond.


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
        first = round(math.log10(self.threshold))
        decades = [10.0**power for power in range(first, first + 40)]
        above, below = (
            [x for x in decades if x <= limit * 1.0001] for limit in (self.high, -self.low)
        )
        ticks = [*(-x for x in reversed(below)), 0.0, *above]
        # The linear part takes the room of a decade on either side. Every decade has its
        # label if there is room, else every second or fewer, counted from zero.
        n_units = max(0, len(above) - 1) + max(0, len(below) - 1) + 2.0
        every = max(1, math.ceil(0.3 / (width / n_units)))
        axes.set_xticks(
            ticks,
            [
                tick_labels([x])[0] if i % every == 0 else ""
                for i, x in enumerate(ticks, -len(below))
            ],
            parse_math=False,
        )


LARGEST = sys.float_info.max / 2.2
"""An axis from its negative to itself has a finite length."""


def _beyond(limit: float, threshold: float) -> float:
    """Give the next decade beyond a limit, or a little more than the linear part."""
    if abs(limit) <= threshold:
        return math.copysign(threshold, limit) if limit else -threshold * 0.3
    exponent = math.ceil(math.log10(abs(limit)) - 1e-9)
    if exponent >= sys.float_info.max_10_exp:  # from here on differences are infinite
        return math.copysign(LARGEST, limit)
    return math.copysign(10.0**exponent, limit) * 1.15


# Seams of a run: strokes across the axes, what changed above each.


def draw_seams(
    sheet: Sheet,
    axes: Axes,
    place: tuple[float, float, float],
    seams: Sequence[tuple[float, str]],
    *,
    is_solid: bool = False,
) -> None:
    """Draw a line at each place on the x axis, and its words where they have room.

    `place` are the left, the top and the width of the axes on the sheet. Between the cells of
    a map a line is solid with a halo: dashes vanish over dark ones.
    """
    left, top, width = place
    low, high = axes.get_xlim()
    edge = -math.inf
    palette = sheet.palette
    for x, words in seams:
        if is_solid:
            axes.axvline(x, color=palette.paper, lw=3.2, zorder=5)
            axes.axvline(x, color=palette.ink, lw=1.2, zorder=6).set_gid("ckread:seam")
        else:
            draw_seam(axes, x, palette)
        words = typeset(words)
        room = text_width(words, TEXT_SIZE)
        start = left + (x - low) / (high - low) * width - room / 2 if high > low else left
        start = max(left, min(start, left + width - room))
        if start > edge + _GAP and room < width:
            sheet.text(start, top - 0.03, words, va="bottom", gid="ckread:seam-label")
            edge = start + room


def draw_seam(axes: Axes, x: float, palette: Palette) -> None:
    """Draw the line of one seam."""
    line = axes.axvline(x, color=palette.soft, lw=0.9, ls=(0, (3, 2)), zorder=2)
    line.set_gid("ckread:seam")


def seams_between(
    seams: Iterable[Seam], entries: Sequence[RunEntry], x: Sequence[float]
) -> list[tuple[float, str]]:
    """Give where the line of each seam of a run stands, halfway, and its words."""
    marks = seams_by_place(seams, entries)
    return [((x[at - 1] + x[at]) / 2, seam_label(seam)) for at, seam in marks.items() if at]


# Axes of steps: round multiples that are checkpoints, or the checkpoints spread evenly.

_GAP = 0.14
_ROUND = [m * 10**p for p in range(13) for m in (1, 2, 5)]


def places(entries: Sequence[RunEntry]) -> list[float]:
    """Give where each checkpoint stands on an axis: at its step, or at its number."""
    steps = [entry.count for entry in entries if entry.count is not None]
    is_rising = all(a < b for a, b in pairwise(steps))
    if len(steps) < len(entries) or not is_rising:
        return [float(i) for i in range(1, len(entries) + 1)]
    return [float(step) for step in steps]


def labels(entries: Sequence[RunEntry]) -> list[str]:
    """Give what each checkpoint is called on an axis: its step, else its number."""
    steps = [entry.count for entry in entries]
    known = [step for step in steps if step is not None]
    return [count(n) for n in (known if len(known) == len(steps) else range(1, len(steps) + 1))]


def axis_word(entries: Sequence[RunEntry]) -> str:
    """Give what the labels of an axis are: steps, epochs, or numbers of checkpoints."""
    return "checkpoint" if any(e.count is None for e in entries) else entries[0].unit


def held_words(entries: Sequence[RunEntry]) -> str:
    """Say how many checkpoints there are, and between which steps."""
    n, first, last = len(entries), entries[0].count, entries[-1].count
    held = f"{count(n)} checkpoint{'s' * (n > 1)}"
    if first is None or last is None:
        return held
    return f"{held}, {entries[0].unit} {count(first)}" + (f" to {count(last)}" if n > 1 else "")


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
        if 3 <= len(found) <= room:
            apart = min(b - a for a, b in pairwise(found))
            if apart * width / len(entries) >= widest:
                return found
    n = len(entries)
    shown = max(1, min(room, n))
    if shown == 1:
        return [n - 1]
    return sorted({round(k * (n - 1) / (shown - 1)) for k in range(shown)})


def set_step_axis(axes: Axes, entries: Sequence[RunEntry], width: float) -> None:
    """Give the x axis, `width` inches wide, limits and ticks for the values of `places`."""
    x = places(entries)
    last = x[-1] if x[-1] > x[0] else x[0] + 1
    axes.set_xlim(x[0], last)
    names = labels(entries)
    least = max(text_width(name, TEXT_SIZE) for name in names) + _GAP
    at = _ticks_at([(place - x[0]) / (last - x[0]) * width for place in x], x, least)
    axes.set_xticks([x[i] for i in at], [names[i] for i in at], parse_math=False)


def _ticks_at(inches: Sequence[float], x: Sequence[float], least: float) -> list[int]:
    """Give indices of checkpoints to be labelled, at uneven places `x` on an axis.

    Round multiples that are checkpoints, if there are three; else first and last, and of
    those between as many as have room.
    """
    steps = [int(place) for place in x]
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


# Marks that several pictures of distributions are made of.


def draw_stairs(
    axes: Axes,
    heights: np.ndarray[tuple[int], np.dtype[np.number]],
    edges: NDArray[np.float64],
    palette: Palette,
    *,
    baseline: float = 0.0,
    width: float = 1.0,
) -> None:
    """Draw a filled histogram with its outline."""
    axes.stairs(heights, edges, fill=True, color=palette.fill, lw=0, baseline=baseline)
    outline = axes.stairs(heights, edges, color=palette.data, lw=width, baseline=baseline)
    outline.set_gid("ckread:histogram")


def draw_strokes(
    axes: Axes, distribution: Distribution, palette: Palette, *, height: float
) -> None:
    """Draw the values themselves, where bars of so few would be fiction."""
    strokes = axes.vlines(distribution.bins.low, 0, height, color=palette.data, lw=1.0)
    strokes.set_gid("ckread:strokes")


def draw_quantile_bar(
    axes: Axes, distribution: Distribution, y: float, height: float, palette: Palette
) -> None:
    """Draw a line from 1 to 99 %, bars from 5 to 95 % and 25 to 75 %, and the median."""
    q01, q05, q25, q50, q75, q95, q99 = (q.value for q in distribution.quantiles)
    (line,) = axes.plot([q01, q99], [y, y], color=palette.data, lw=0.9, solid_capstyle="butt")
    line.set_gid("ckread:q01-q99")
    for start, stop, share in ((q05, q95, 0.35), (q25, q75, 1.0)):
        thick = height * share * 2
        axes.barh(y, stop - start, thick, left=start, color=palette.data, lw=0)
    axes.vlines(q50, y - height, y + height, color=palette.paper, lw=1.4).set_gid("ckread:median")
