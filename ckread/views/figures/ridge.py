"""A ridge for each checkpoint, the first on top: how the shape of a distribution changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.views.figures.names import text_width
from ckread.views.figures.numbers import column, count, padded, set_value_axis
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, Sheet, note_lines
from ckread.views.figures.style import TEXT_SIZE, Palette, drawing, mixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.distribution import Distribution

_LEFT, _RIGHT = 0.62, 5.82
_FIRST, _PITCH = 1.22, 0.19
_OVERLAP = 2.1
_MEAN_RIGHT, _STD_RIGHT = 6.42, 7.0
_N_BINS = 60
_FAR = 3.0

Pair = tuple[int, "Distribution | None"]


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
    left = max(_LEFT, MARGIN + widest + 0.08)
    width = _RIGHT - left
    low, high, is_cut = _range([d for _, d in pairs if d is not None])
    with drawing(palette):
        lines = note_lines(_reading(pairs, is_cut=is_cut), *notes)
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


def _reading(pairs: Sequence[Pair], *, is_cut: bool) -> str:
    crossed = any(d is not None and not d.finite for _, d in pairs)
    parts = [
        "Each row: elements per bin, one scale for all rows.",
        "Dots: 5 %, median, 95 %.",
        "Crossed line: no element is finite." if crossed else "",
        "Far tails are not drawn." if is_cut else "",
    ]
    return " ".join(part for part in parts if part)
