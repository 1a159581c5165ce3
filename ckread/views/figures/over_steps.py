"""One variable over the checkpoints of a run: ridges for few of them, a fan for many."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.model.run.entries import base_name
from ckread.views.figures.axes import draw_zero, pushed_apart
from ckread.views.figures.sheet import MARGIN, WIDTH, Caption, Sheet, new_sheet
from ckread.views.figures.style import LIGHT, TEXT_SIZE, Palette, mixed
from ckread.views.figures.text import (
    column,
    count,
    padded,
    set_value_axis,
    text_width,
    tick_labels,
    value_ticks,
)
from ckread.views.terminal.words import shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.statistics.distribution import Distribution
    from ckread.analysis.statistics.statistics import RunStatistics


MAX_RIDGES = 24


def distributions_of(statistics: RunStatistics, name: str) -> list[tuple[int, Distribution | None]]:
    """Give step and distribution of a variable in each checkpoint, None where there is none."""
    moments = statistics.moments
    known = [moment.epoch if moment.step is None else moment.step for moment in moments]
    places = known if None not in known else range(1, len(moments) + 1)
    found = [(at or 0, m.variables.get(name)) for at, m in zip(places, moments, strict=True)]
    return [(step, None if known is None else known.distribution) for step, known in found]


def plot_over_run(statistics: RunStatistics, name: str, *, palette: Palette = LIGHT) -> Figure:
    """Draw how the distribution of one variable changed over a run that was measured."""
    last = [m.variables[name] for m in statistics.moments if name in m.variables][-1]
    return plot_over_steps(
        name,
        distributions_of(statistics, name),
        run=base_name(statistics.path),
        dtype=str(last.dtype),
        shape=last.shape,
        palette=palette,
    )


def plot_over_steps(
    name: str,
    pairs: Sequence[tuple[int, Distribution | None]],
    *,
    run: str,
    dtype: str,
    shape: tuple[int, ...],
    palette: Palette = LIGHT,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw how the distribution of one variable changed, from (step, distribution) in order."""
    steps = f"step {count(pairs[0][0])} to {count(pairs[-1][0])}"
    evidence = [run, f"{len(pairs)} checkpoints, {steps}", dtype, shape_text(shape)]
    plot = plot_ridge if len(pairs) <= MAX_RIDGES else plot_fan
    return plot(pairs, Caption(name, evidence, palette, notes))


# Bands of quantiles over the steps of a run: where a distribution went, for any number of them.

_LEFT, _TOP, _WIDTH, _DEPTH = 0.52, 0.76, 5.72, 1.76
_LABEL, _NUMBER_RIGHT = 6.33, WIDTH - MARGIN
_BELOW = 0.55
"""Inches below the axes, without the notes."""
_APART = 0.112
_BANDS = ((0, 6, 0.38), (1, 5, 0.68), (2, 4, 1.0))
_NAMES = ("min", "1 %", "5 %", "25 %", "median", "75 %", "95 %", "99 %", "max")

Pair = tuple[int, "Distribution | None"]


def plot_fan(pairs: Sequence[Pair], caption: Caption) -> Figure:
    """Draw bands of (step, distribution) along the steps."""
    palette = caption.palette
    steps = np.array([step for step, _ in pairs], np.float64)
    table = np.array([figures_of(distribution) for _, distribution in pairs])
    finite = table[np.isfinite(table)]
    low, high = -1.0, 1.0
    if finite.size:
        low, high = padded(float(finite.min()), float(finite.max()), 0.04)
    is_bad = [d is not None and d.elements > 0 and not d.finite for _, d in pairs]
    reading = [
        "Bands: 1–99 %, 5–95 %, 25–75 % of the elements; line: median; thin: min and max.",
        "Hatched: no element is finite." if any(is_bad) else "",
        "Gaps: absent or unreadable." if any(d is None for _, d in pairs) else "",
    ]
    with new_sheet(_TOP + _DEPTH + _BELOW, caption, reading) as sheet:
        axes = sheet.axes(_LEFT, _TOP, _WIDTH, _DEPTH)
        axes.set_gid("ckread:fan")
        axes.grid(axis="y")
        axes.set_ylim(low, high)
        ticks = value_ticks(low, high, _DEPTH)
        axes.set_yticks(ticks, tick_labels(ticks), parse_math=False)
        first, last = float(steps[0]), float(steps[-1])
        edge = (last - first) / max(1, len(steps) - 1) / 2
        axes.set_xlim(first - edge, last + edge)
        room = (last - first) * 0.05
        round_ones = [x for x in value_ticks(first, last, _WIDTH) if x == int(x)]
        at = [first, *(x for x in round_ones if first + room < x < last - room), last]
        axes.set_xticks(at, [count(int(x)) for x in at], parse_math=False)
        draw_bands(axes, steps, table, palette)
        _hatch(axes, steps, is_bad, palette)
        draw_zero(axes, palette, zorder=4, across=True)
        _write_ends(sheet, table, (low, high))
        soft = palette.soft
        sheet.text(MARGIN, 0.57, "value", color=soft, gid="ckread:y")
        below = _TOP + _DEPTH + 0.2
        sheet.text(_LEFT + _WIDTH / 2, below, "step", color=soft, ha="center", gid="ckread:x")
    return sheet.figure


def figures_of(distribution: Distribution | None) -> list[float]:
    """Give minimum, seven quantiles and maximum; NaN where there are none."""
    if distribution is None or distribution.min is None or distribution.max is None:
        return [np.nan] * len(_NAMES)
    quantiles = [quantile.value for quantile in distribution.quantiles]
    return [float(distribution.min), *quantiles, float(distribution.max)]


def draw_bands(
    axes: Axes,
    steps: NDArray[np.float64],
    table: NDArray[np.float64],
    palette: Palette,
) -> None:
    """Draw the bands of a table with a row of `figures_of` per step."""
    for low, high, share in _BANDS:
        color = mixed(palette.paper, palette.middle, share)
        band = axes.fill_between(steps, table[:, 1 + low], table[:, 1 + high], color=color, lw=0)
        band.set_gid(f"ckread:band:{_NAMES[1 + low]}")
    for i, name in enumerate(_NAMES):
        if name in ("min", "max", "median"):
            lw = 1.5 if name == "median" else 0.7
            (line,) = axes.plot(steps, table[:, i], color=palette.data, lw=lw)
            line.set_gid(f"ckread:line:{name}")
    # A value without finite neighbours would not show in a line.
    finite = np.isfinite(table[:, 4])
    around = np.concatenate([[False], finite, [False]])
    alone = finite & ~around[:-2] & ~around[2:]
    axes.plot(steps[alone], table[alone, 4], "o", ms=2.5, color=palette.data)


def _hatch(
    axes: Axes, steps: NDArray[np.float64], is_bad: Sequence[bool], palette: Palette
) -> None:
    """Cover the steps at which nothing is finite, up to half way to their neighbours."""
    low, high = axes.get_xlim()
    middles = [low, *((a + b) / 2 for a, b in pairwise(steps)), high]
    edges = np.flatnonzero(np.diff([False, *is_bad, False]))
    for start, stop in edges.reshape(-1, 2):
        span = axes.axvspan(middles[start], middles[stop], facecolor=palette.bad, lw=0)
        span.set(hatch="xxxx", edgecolor=palette.paper, zorder=3, gid="ckread:nan")


def _write_ends(
    sheet: Sheet,
    table: NDArray[np.float64],
    limits: tuple[float, float],
) -> None:
    """Write the last finite figures at the right, pushed apart where they are close."""
    finite = np.flatnonzero(np.isfinite(table[:, 0]))
    if not finite.size:
        return
    values = table[finite[-1]][::-1].tolist()
    low, high = limits
    wanted = [_TOP + (high - value) / (high - low) * _DEPTH for value in values]
    placed = pushed_apart(wanted, _APART, _TOP, _TOP + _DEPTH + 0.03)
    for name, text, y in zip(_NAMES[::-1], column(values), placed, strict=True):
        sheet.text(_LABEL, y, name, color=sheet.palette.soft, va="center")
        sheet.text(_NUMBER_RIGHT, y, text, ha="right", va="center")


# A ridge for each checkpoint, the first on top: how the shape of a distribution changed.

_LEFT_AT_LEAST, _RIGHT = 0.62, 5.82
_RIDGES_TOP, _FIRST, _PITCH = 0.72, 1.22, 0.19
_OVERLAP = 2.1
_MEAN_RIGHT, _STD_RIGHT = 6.42, 7.0
_N_BINS = 60
_FAR = 3.0


def plot_ridge(pairs: Sequence[Pair], caption: Caption) -> Figure:
    """Draw (step, distribution) from top to bottom, on common bins and heights."""
    palette = caption.palette
    bottom = _FIRST + (len(pairs) - 1) * _PITCH
    widest = max(text_width(count(step), TEXT_SIZE) for step, _ in pairs)
    left = max(_LEFT_AT_LEAST, MARGIN + widest + 0.08)
    width = _RIGHT - left
    low, high, is_cut = _range([d for _, d in pairs if d is not None])
    is_crossed = any(d is not None and not d.finite for _, d in pairs)
    reading = [
        "Each row: elements per bin, one scale for all rows.",
        "Dots: 5 %, median, 95 %.",
        "Crossed line: no element is finite." if is_crossed else "",
        "Far tails are not drawn." if is_cut else "",
    ]
    with new_sheet(bottom + 0.82, caption, reading) as sheet:
        height = bottom + 0.15 - _RIDGES_TOP
        axes = sheet.axes(left, _RIDGES_TOP, width, height)
        axes.set_gid("ckread:ridges")
        axes.set_ylim(0, height)
        axes.set_yticks([])
        set_value_axis(axes, low, high, width)
        draw_zero(axes, palette, zorder=len(pairs) + 3)
        _draw_ridges(axes, pairs, np.linspace(low, high, _N_BINS + 1), height, palette)
        _write_columns(sheet, pairs, left - 0.08)
        middle = left + width / 2
        sheet.text(middle, bottom + 0.36, "value", color=palette.soft, ha="center", gid="ckread:x")
    return sheet.figure


def _range(distributions: Sequence[Distribution]) -> tuple[float, float, bool]:
    """Give the common range; far tails are cut off, and that is said."""
    known = [d for d in distributions if d.min is not None and d.max is not None]
    if not known:
        return -1.0, 1.0, False
    low, high = min(float(d.min or 0) for d in known), max(float(d.max or 0) for d in known)
    q01 = min(d.quantiles[0].value for d in known)
    q99 = max(d.quantiles[-1].value for d in known)
    inner = q99 - q01
    if inner > 0 and high - low > _FAR * inner:
        low, high = max(low, q01 - 0.7 * inner), min(high, q99 + 0.7 * inner)
        return *padded(low, high), True
    return *padded(low, high), False


def _draw_ridges(
    axes: Axes,
    pairs: Sequence[Pair],
    edges: NDArray[np.float64],
    height: float,
    palette: Palette,
) -> None:
    counts = [d.counts_between(edges) if d and d.finite else None for _, d in pairs]
    shares = [
        None if n is None or d is None else n / d.elements
        for n, (_, d) in zip(counts, pairs, strict=True)
    ]
    top = max((s.max() for s in shares if s is not None), default=1.0) or 1.0
    for i, ((step, distribution), share) in enumerate(zip(pairs, shares, strict=True)):
        base = height - (_FIRST - _RIDGES_TOP) - i * _PITCH
        if distribution is None:
            continue
        if share is None:
            xs = np.linspace(edges[0], edges[-1], 26)
            axes.hlines(base, xs[0], xs[-1], color=palette.bad, lw=0.9, zorder=i + 1)
            (crosses,) = axes.plot(xs, [base] * 26, "x", ms=3, color=palette.bad, zorder=i + 1)
            crosses.set_gid("ckread:nan")
            continue
        heights = base + share / top * _OVERLAP * _PITCH
        fill = mixed(palette.paper, palette.fill, 0.45 + 0.55 * (i + 1) / len(pairs))
        axes.stairs(heights, edges, fill=True, color=fill, lw=0, baseline=base, zorder=i + 1)
        axes.stairs(heights, edges, baseline=None, color=palette.paper, lw=2.2, zorder=i + 1)
        outline = axes.stairs(heights, edges, baseline=None, color=palette.data, lw=0.9)
        outline.set(zorder=i + 1.1, gid=f"ckread:ridge:{step}")
        axes.hlines(base, edges[0], edges[-1], color=palette.data, lw=0.5, zorder=i + 1)
        dots = [distribution.quantile(p).value for p in (0.05, 0.5, 0.95)]
        (marks,) = axes.plot(dots, [base] * 3, "o", ms=2.6, color=palette.ink)
        marks.set(mec=palette.paper, mew=0.4, zorder=len(pairs) + 4, gid=f"ckread:dots:{step}")


def _write_columns(sheet: Sheet, pairs: Sequence[Pair], step_right: float) -> None:
    soft, bad = sheet.palette.soft, sheet.palette.bad
    head: dict[str, Any] = {"weight": "bold", "color": soft, "ha": "right", "va": "center"}
    y = _FIRST - 0.19
    sheet.text(step_right, y, "step", **head)
    sheet.text(_MEAN_RIGHT, y, "mean", **head)
    sheet.text(_STD_RIGHT, y, "sd", **head)
    means = column([d.mean if d else None for _, d in pairs])
    stds = column([d.std if d else None for _, d in pairs])
    for i, (step, distribution) in enumerate(pairs):
        y = _FIRST + i * _PITCH
        place: dict[str, Any] = {"ha": "right", "va": "center"}
        sheet.text(step_right, y, count(step), color=soft, **place)
        if distribution is None:
            sheet.text(_MEAN_RIGHT, y, "absent", color=soft, **place)
        elif not distribution.finite:
            word = "NaN" if distribution.nan else "Inf" if distribution.infinite else "empty"
            sheet.text(_MEAN_RIGHT, y, word, color=bad, **place)
        else:
            sheet.text(_MEAN_RIGHT, y, means[i], color=soft, **place)
            sheet.text(_STD_RIGHT, y, stds[i], **place)
