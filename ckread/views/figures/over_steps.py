"""One variable over the checkpoints of a run: ridges for few of them, a fan for many."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.style import LIGHT, TEXT_SIZE, Palette, drawing, mixed
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
        run=os.path.basename(statistics.path.rstrip(os.sep)) or statistics.path,
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
    """Draw how the distribution of one variable changed.

    Args:
        name: of the variable.
        pairs: step and distribution in the order of the run, None where the variable is
            absent or could not be read.
        run: what the run is called.
        dtype: element type.
        shape: of the variable.
        palette: `LIGHT` or `DARK`.
        notes: what is left out.
    """
    steps = f"step {count(pairs[0][0])} to {count(pairs[-1][0])}"
    evidence = [run, f"{len(pairs)} checkpoints, {steps}", dtype, shape_text(shape)]
    plot = plot_ridge if len(pairs) <= MAX_RIDGES else plot_fan
    return plot(name, pairs, evidence=evidence, palette=palette, notes=notes)


# Bands of quantiles over the steps of a run: where a distribution went, for any number of them.

_HEIGHT = 3.2
_FAN_LEFT, _TOP, _WIDTH, _DEPTH = 0.52, 0.76, 5.72, 1.76
_LABEL, _NUMBER_RIGHT = 6.33, WIDTH - MARGIN
_APART = 0.112
_BANDS = ((0, 6, 0.38), (1, 5, 0.68), (2, 4, 1.0))
_NAMES = ("min", "1 %", "5 %", "25 %", "median", "75 %", "95 %", "99 %", "max")

Pair = tuple[int, "Distribution | None"]


def plot_fan(
    name: str,
    pairs: Sequence[Pair],
    *,
    evidence: Sequence[str],
    palette: Palette,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw bands of (step, distribution) along the steps."""
    steps = np.array([step for step, _ in pairs], np.float64)
    table = np.array([figures_of(distribution) for _, distribution in pairs])
    with drawing(palette):
        lines = note_lines(_fan_reading(pairs), *notes)
        sheet = Sheet(_HEIGHT + NOTE_PITCH * (len(lines) - 1), palette)
        sheet.title(name, evidence)
        axes = sheet.axes(_FAN_LEFT, _TOP, _WIDTH, _DEPTH)
        axes.set_gid("ckread:fan")
        axes.grid(axis="y")
        low, high = _limits(table)
        axes.set_ylim(low, high)
        ticks = value_ticks(low, high, _DEPTH)
        axes.set_yticks(ticks, tick_labels(ticks), parse_math=False)
        _set_steps(axes, steps)
        draw_bands(axes, steps, table, palette)
        _hatch(axes, steps, pairs, palette)
        if low < 0 < high:
            axes.axhline(0, color=palette.faint, lw=0.7, ls=(0, (1, 2)), zorder=4)
        _write_ends(sheet, table, (low, high))
        soft = palette.soft
        sheet.text(MARGIN, 0.57, "value", color=soft, gid="ckread:y")
        below = _TOP + _DEPTH + 0.2
        sheet.text(_FAN_LEFT + _WIDTH / 2, below, "step", color=soft, ha="center", gid="ckread:x")
        sheet.note(lines)
    return sheet.figure


def figures_of(distribution: Distribution | None) -> list[float]:
    """Give minimum, seven quantiles and maximum; NaN where there are none."""
    if distribution is None or distribution.min is None or distribution.max is None:
        return [np.nan] * len(_NAMES)
    quantiles = [quantile.value for quantile in distribution.quantiles]
    return [float(distribution.min), *quantiles, float(distribution.max)]


def _limits(table: NDArray[np.float64]) -> tuple[float, float]:
    finite = table[np.isfinite(table)]
    if not finite.size:
        return -1.0, 1.0
    return padded(float(finite.min()), float(finite.max()), 0.04)


def _set_steps(axes: Axes, steps: NDArray[np.float64]) -> None:
    first, last = float(steps[0]), float(steps[-1])
    edge = (last - first) / max(1, len(steps) - 1) / 2
    axes.set_xlim(first - edge, last + edge)
    inner = value_ticks(first, last, _WIDTH)
    room = (last - first) * 0.05
    ticks = [first, *(t for t in inner if first + room < t < last - room and t == int(t)), last]
    axes.set_xticks(ticks, [count(int(tick)) for tick in ticks], parse_math=False)


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
    alone = _isolated(table[:, 4])
    axes.plot(steps[alone], table[alone, 4], "o", ms=2.5, color=palette.data)


def _isolated(
    values: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Tell which finite values have no finite neighbour: a line would not show them."""
    finite = np.isfinite(values)
    around = np.concatenate([[False], finite, [False]])
    isolated: NDArray[np.bool_] = finite & ~around[:-2] & ~around[2:]
    return isolated


def _hatch(
    axes: Axes,
    steps: NDArray[np.float64],
    pairs: Sequence[Pair],
    palette: Palette,
) -> None:
    """Cover the steps at which nothing is finite, up to half way to their neighbours."""
    low, high = axes.get_xlim()
    middles = [low, *((a + b) / 2 for a, b in pairwise(steps)), high]
    is_bad = [d is not None and d.elements > 0 and not d.finite for _, d in pairs]
    start = 0
    while start < len(is_bad):
        stop = start + 1
        while is_bad[start] and stop < len(is_bad) and is_bad[stop]:
            stop += 1
        if is_bad[start]:
            span = axes.axvspan(middles[start], middles[stop], facecolor=palette.bad, lw=0)
            span.set(hatch="xxxx", edgecolor=palette.paper, zorder=3, gid="ckread:nan")
        start = stop


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
    texts = column(values)
    for name, text, y in zip(_NAMES[::-1], texts, _pushed_apart(wanted), strict=True):
        sheet.text(_LABEL, y, name, color=sheet.palette.soft, va="center")
        sheet.text(_NUMBER_RIGHT, y, text, ha="right", va="center")


def _pushed_apart(wanted: Sequence[float]) -> list[float]:
    """Move ascending places apart, to `_APART` at least, and back into the axes from the bottom."""
    places = list(wanted)
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + _APART)
    limit = _TOP + _DEPTH + 0.03
    for i in reversed(range(len(places))):
        places[i] = min(places[i], limit)
        limit = places[i] - _APART
    return places


def _fan_reading(pairs: Sequence[Pair]) -> str:
    parts = ["Bands: 1–99 %, 5–95 %, 25–75 % of the elements; line: median; thin: min and max."]
    if any(d is not None and d.elements and not d.finite for _, d in pairs):
        parts.append("Hatched: no element is finite.")
    if any(d is None for _, d in pairs):
        parts.append("Gaps: absent or unreadable.")
    return " ".join(parts)


# A ridge for each checkpoint, the first on top: how the shape of a distribution changed.

_RIDGE_LEFT, _RIGHT = 0.62, 5.82
_FIRST, _PITCH = 1.22, 0.19
_OVERLAP = 2.1
_MEAN_RIGHT, _STD_RIGHT = 6.42, 7.0
_N_BINS = 60
_FAR = 3.0


def plot_ridge(
    name: str,
    pairs: Sequence[Pair],
    *,
    evidence: Sequence[str],
    palette: Palette,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw (step, distribution) from top to bottom, on common bins and heights."""
    bottom = _FIRST + (len(pairs) - 1) * _PITCH
    widest = max(text_width(count(step), TEXT_SIZE) for step, _ in pairs)
    left = max(_RIDGE_LEFT, MARGIN + widest + 0.08)
    width = _RIGHT - left
    low, high, is_cut = _range([d for _, d in pairs if d is not None])
    with drawing(palette):
        lines = note_lines(_ridge_reading(pairs, is_cut=is_cut), *notes)
        sheet = Sheet(bottom + 0.82 + NOTE_PITCH * len(lines), palette)
        sheet.title(name, evidence)
        height = bottom + 0.15 - 0.72
        axes = sheet.axes(left, 0.72, width, height)
        axes.set_gid("ckread:ridges")
        axes.set_ylim(0, height)
        axes.set_yticks([])
        set_value_axis(axes, low, high, width)
        if low < 0 < high:
            axes.axvline(0, color=palette.faint, lw=0.7, ls=(0, (1, 2)), zorder=len(pairs) + 3)
        _draw_ridges(axes, pairs, np.linspace(low, high, _N_BINS + 1), height, palette)
        _write_columns(sheet, pairs, left - 0.08)
        middle = left + width / 2
        sheet.text(middle, bottom + 0.36, "value", color=palette.soft, ha="center", gid="ckread:x")
        sheet.note(lines)
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
        base = height - (_FIRST - 0.72) - i * _PITCH
        if distribution is None:
            continue
        if share is None:
            _cross_out(axes, base, (edges[0], edges[-1]), palette, zorder=i + 1)
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


def _cross_out(
    axes: Axes, y: float, span: tuple[float, float], palette: Palette, *, zorder: float
) -> None:
    axes.hlines(y, *span, color=palette.bad, lw=0.9, zorder=zorder)
    xs = np.linspace(*span, 26)
    (crosses,) = axes.plot(xs, [y] * 26, "x", ms=3, color=palette.bad, zorder=zorder)
    crosses.set_gid("ckread:nan")


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


def _ridge_reading(pairs: Sequence[Pair], *, is_cut: bool) -> str:
    crossed = any(d is not None and not d.finite for _, d in pairs)
    parts = [
        "Each row: elements per bin, one scale for all rows.",
        "Dots: 5 %, median, 95 %.",
        "Crossed line: no element is finite." if crossed else "",
        "Far tails are not drawn." if is_cut else "",
    ]
    return " ".join(part for part in parts if part)
