"""Bands of quantiles over the steps of a run: where a distribution went, for any number of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ckread.views.figures.numbers import column, count, padded, tick_labels, value_ticks
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.style import Palette, drawing, mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.distribution import Distribution

_HEIGHT = 3.2
_LEFT, _TOP, _WIDTH, _DEPTH = 0.52, 0.76, 5.72, 1.76
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
        lines = note_lines(_reading(pairs), *notes)
        sheet = Sheet(_HEIGHT + NOTE_PITCH * (len(lines) - 1), palette)
        sheet.title(name, evidence)
        axes = sheet.axes(_LEFT, _TOP, _WIDTH, _DEPTH)
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
        sheet.text(_LEFT + _WIDTH / 2, below, "step", color=soft, ha="center", gid="ckread:x")
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


def _reading(pairs: Sequence[Pair]) -> str:
    parts = ["Bands: 1–99 %, 5–95 %, 25–75 % of the elements; line: median; thin: min and max."]
    if any(d is not None and d.elements and not d.finite for _, d in pairs):
        parts.append("Hatched: no element is finite.")
    if any(d is None for _, d in pairs):
        parts.append("Gaps: absent or unreadable.")
    return " ".join(parts)
