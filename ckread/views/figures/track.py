"""Numbers over a run as steps: a strip for each, one step axis for all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.audit.records import seams_by_place
from ckread.errors import UsageError
from ckread.model.display import safe_text
from ckread.model.run.entries import base_name
from ckread.views.figures.axes import (
    axis_word,
    draw_seams,
    drawn_values,
    held_words,
    places,
    set_heights,
    set_log_heights,
    set_step_axis,
)
from ckread.views.figures.sheet import MARGIN, WIDTH, new_sheet
from ckread.views.figures.style import LABEL_SIZE, LIGHT, TEXT_SIZE, TITLE_SIZE, Palette
from ckread.views.figures.text import (
    drawable,
    families_of,
    fits,
    number,
    shorten,
    text_width,
    typeset,
)
from ckread.views.seams import seam_label
from ckread.views.terminal.words import place, value_text
from ckread.views.track import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.track import RunTrack, TrackedValue
    from ckread.model.run.entries import RunEntry

MAX_STRIPS = 12
_LEFT, _PLOT_WIDTH = 0.66, 5.7
_TOP, _PITCH_GAP = 0.78, 0.36
_MAX_DOTS = 120
_CLEAR = 0.12
"""Share of a strip's height up to which a label stands above its value."""


def plot_track(result: RunTrack, *, palette: Palette = LIGHT) -> Figure:
    """Draw numbers over a run.

    Raises:
        UsageError: there are too many of them, or no checkpoint.
    """
    n = len(result.variables)
    if not 1 <= n <= MAX_STRIPS or not result.checkpoints:
        remedy = "Give patterns that mean fewer."
        raise UsageError(f"{n} values do not fit one picture, expected 1 to 12", remedy=remedy)
    depth = 1.0 if n == 1 else max(0.42, min(0.8, 4.2 / n))
    numbers = [v for row in result.variables for v in row.values if v is not None]
    reading = [
        "Values between checkpoints are not known: each holds until the next.",
        "" if all(map(math.isfinite, numbers)) else "×: NaN or infinite.",
    ]
    bottom = _TOP + n * (depth + _PITCH_GAP) - _PITCH_GAP
    run = safe_text(base_name(result.path))
    held = [held_words(result.checkpoints), "read from the checkpoints"]
    with new_sheet(
        bottom + 0.62,
        palette,
        title=_title(result) if n == 1 else f"{n} values over {run}",
        evidence=[run, *held] if n == 1 else held,
        reading=reading,
    ) as sheet:
        x = places(result.checkpoints)
        marks = seams_by_place(result.seams, result.checkpoints)
        seams = [((x[at - 1] + x[at]) / 2, seam_label(seam)) for at, seam in marks.items() if at]
        for i, variable in enumerate(result.variables):
            top = _TOP + i * (depth + _PITCH_GAP)
            if n > 1:
                name = shorten(safe_text(variable.name), _PLOT_WIDTH, size=TEXT_SIZE)
                sheet.text(_LEFT, top - 0.2, name, gid="ckread:name")
            axes = sheet.axes(_LEFT, top, _PLOT_WIDTH, depth)
            axes.set_gid(f"ckread:strip:{variable.name}")
            _draw(axes, variable, x, depth, palette)
            _annotate(axes, variable, result.checkpoints, palette, is_alone=n == 1)
            set_step_axis(axes, result.checkpoints, _PLOT_WIDTH)
            shown = [(at, "" if i else words) for at, words in seams]
            draw_seams(sheet, axes, (_LEFT, top, _PLOT_WIDTH), shown)
            if i < n - 1:
                axes.tick_params(labelbottom=False, length=0)
        middle, soft = _LEFT + _PLOT_WIDTH / 2, palette.soft
        word = axis_word(result.checkpoints)
        sheet.text(middle, bottom + 0.2, word, size=LABEL_SIZE, color=soft, ha="center")
    return sheet.figure


def _title(result: RunTrack) -> str:
    """Give the name of the only value, and as much of what is said of it as fits."""
    name = safe_text(result.variables[0].name)
    said = typeset(sentence(result).removesuffix("."))
    for answer in (said, said.split(", ")[0]):
        title = f"{name}: {answer[:1].lower()}{answer[1:]}"
        if fits(title, WIDTH - 2 * MARGIN, size=TITLE_SIZE, bold=True):
            return title
    return name


def _draw(
    axes: Axes, variable: TrackedValue, x: Sequence[float], depth: float, palette: Palette
) -> None:
    y = drawn_values(variable.values)
    low, high, is_log = limits(y)
    if is_log:
        set_log_heights(axes, low, high)
    else:
        set_heights(axes, low, high, depth)
    (line,) = axes.step(x, y, where="post", color=palette.data, lw=1.4, clip_on=False, zorder=3)
    line.set_gid(f"ckread:line:{variable.name}")
    if len(x) <= _MAX_DOTS:
        (dots,) = axes.plot(x, y, "o", color=palette.data, ms=2.6, mec="none")
        dots.set(clip_on=False, zorder=4)
    pairs = zip(x, variable.values, strict=True)
    bad = [at for at, value in pairs if value is not None and not math.isfinite(value)]
    if bad:
        (crosses,) = axes.plot(bad, [low] * len(bad), "x", color=palette.bad, ms=5, mew=1.4)
        crosses.set(clip_on=False, zorder=5, gid=f"ckread:bad:{variable.name}")


def limits(y: NDArray[np.float64]) -> tuple[float, float, bool]:
    """Give the range of the axis, and whether it is log: positive values over three decades.

    From 0, unless the values lie within a tenth of their size.
    """
    finite = y[np.isfinite(y)]
    if not finite.size:
        return 0.0, 1.0, False
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high / low > 1e3:
        return low / 1.3, high * 1.3, True
    span = high - low
    if span and span < 0.1 * max(abs(low), abs(high)):
        return low - 0.06 * span, high + 0.06 * span, False
    low, high = min(low, 0.0), max(high, 0.0)
    pad = 0.04 * (high - low) or 0.5
    return low - (pad if low < 0 else 0), high + pad, False


def _annotate(
    axes: Axes,
    variable: TrackedValue,
    entries: Sequence[RunEntry],
    palette: Palette,
    *,
    is_alone: bool,
) -> None:
    """Write the last value at the end of the line, and the extreme where it is."""
    known = [(i, v) for i, v in enumerate(variable.values) if v is not None and math.isfinite(v)]
    if not known:
        return
    x = places(entries)
    at, last = known[-1]
    options: dict[str, Any] = {"size": TEXT_SIZE, "color": palette.ink, "parse_math": False}
    text = f"last {_text(last)}"
    _, share = axes.transAxes.inverted().transform(axes.transData.transform((0, last)))
    va = "center" if share > _CLEAR else "bottom"  # clear of the last step below the axis
    label = axes.annotate(text, (x[at], last), (6, 0), textcoords="offset points", va=va, **options)
    label.set_gid(f"ckread:last:{variable.name}")
    peak, value = max(known, key=lambda pair: pair[1])
    if not is_alone or peak in (known[0][0], at) or value == last:
        return
    words = drawable(typeset(f"max {_text(value)} at {place(entries[peak], entries)}"))
    share = (x[peak] - x[0]) / (x[-1] - x[0]) * _PLOT_WIDTH if x[-1] > x[0] else 0
    room = _PLOT_WIDTH - share
    ha = "left" if fits(words, room, size=TEXT_SIZE) else "right"
    if text_width(words, TEXT_SIZE) < WIDTH - MARGIN:
        mark = axes.annotate(
            words,
            (x[peak], value),
            (0, 5),
            textcoords="offset points",
            ha=ha,
            family=families_of(words),
            **options,
        )
        mark.set_gid(f"ckread:max:{variable.name}")


def _text(value: float) -> str:
    return typeset(value_text(value)) if isinstance(value, int) else number(value)
