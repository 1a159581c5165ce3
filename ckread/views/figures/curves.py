"""Numbers over a training: curves of metrics, and values of its checkpoints as steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator

from ckread.errors import UsageError
from ckread.model.display import safe_text
from ckread.model.run.entries import base_name
from ckread.views.figures.axes import (
    axis_word,
    draw_seams,
    drawn_values,
    held_words,
    left_undrawn,
    places,
    pushed_apart,
    seams_between,
    set_heights,
    set_log_heights,
    set_step_axis,
)
from ckread.views.figures.sheet import MARGIN, WIDTH, Caption, Sheet, new_sheet
from ckread.views.figures.style import (
    HEADING_SIZE,
    LABEL_SIZE,
    LIGHT,
    TEXT_SIZE,
    TITLE_SIZE,
    Palette,
)
from ckread.views.figures.text import (
    count,
    drawable,
    families_of,
    fits,
    number,
    shorten,
    text_width,
    typeset,
    value_ticks,
)
from ckread.views.history import verdict
from ckread.views.seams import seam_label
from ckread.views.terminal.words import place, value_text
from ckread.views.track import sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.history.history import TrainingHistory

    Floats = NDArray[np.float64]
    from ckread.analysis.track import RunTrack, TrackedValue
    from ckread.model.run.entries import RunEntry


# Training curves: a panel per metric, the checkpoints as a rail of squares under the axis.

MAX_PANELS = 6
_TOP, _DEPTH, _RAIL = 0.92, 1.35, 0.2
_LEFT, _RIGHT, _GUTTER = 0.42, 0.62, 0.1
_BELOW = 0.42
_MAX_DOTS = 60


def plot_history(result: TrainingHistory, *, palette: Palette = LIGHT) -> Figure:
    """Draw the curves of a training; of many metrics the first six, validation beside them."""
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in result.metrics))
    panels = bases[:MAX_PANELS]
    n_columns = 1 if len(panels) == 1 else 2
    n_rows = -(-len(panels) // n_columns)
    rail = _RAIL if result.holders.kept else 0.0
    pitch = _DEPTH + rail + _BELOW + 0.34
    height = _TOP + n_rows * pitch - 0.12
    title = verdict(result).split(". ")[0].removesuffix(".")
    best = result.best
    for path in (best.checkpoint, best.nearest) if best else ():
        if path:
            title = title.replace(safe_text(path), safe_text(base_name(path)))
    names = [base_name(path) for path in result.logs]
    held = f"{count(len(result.epochs))} {result.unit}{'s' * (len(result.epochs) != 1)}"
    if result.seams:
        before = dict(zip(result.epochs[1:], result.epochs, strict=False))
        resumed = ", ".join(str(before[epoch]) for epoch in result.seams[:3])
        held += f", joined from {len(names)} logs (continued after {result.unit} {resumed})"
    n_kept = len(result.holders.kept)
    kept = f"{count(n_kept)} checkpoint{'s' * (n_kept > 1)} kept" if n_kept else ""
    # What marks mean that occur, and what is left out.
    left_out = bases[MAX_PANELS:]
    hollow = " (hollow: deleted)" if result.holders.deleted else ""
    reading = [f"Squares: checkpoints{hollow}." if result.holders.kept else ""]
    if result.best is not None and result.best.mode is not None:
        word = "smallest" if result.best.mode == "min" else "largest"
        reading.append(f"Upright line: {word} {safe_text(result.best.metric)}.")
    reading += [
        "Dashed line: where the next log goes on." if result.seams else "",
        "Dashed line with words: a seam of the checkpoints." if result.marks else "",
        "A gap in a curve: epochs that are in no log." if result.gaps else "",
        f"Left out: {', '.join(map(safe_text, left_out))}." if left_out else "",
        next(filter(None, map(left_undrawn, result.metrics.values())), ""),
    ]
    caption = Caption(title, [safe_text(names[0]), held, kept], palette)
    with new_sheet(height, caption, reading) as sheet:
        width = (WIDTH - 2 * MARGIN - (n_columns - 1) * _GUTTER) / n_columns
        for i, base in enumerate(panels):
            row, column = divmod(i, n_columns)
            x = MARGIN + column * (width + _GUTTER) + _LEFT
            place = (x, _TOP + row * pitch, width - _LEFT - _RIGHT)
            _draw_panel(sheet, result, base, place, rail)
    return sheet.figure


def _draw_panel(
    sheet: Sheet,
    result: TrainingHistory,
    base: str,
    place: tuple[float, float, float],
    rail: float,
) -> None:
    x, y, width = place
    palette = sheet.palette
    train, validation = (values_of(result, name) for name in (base, f"val_{base}"))
    axes = sheet.axes(x, y, width, _DEPTH)
    axes.set_gid(f"ckread:panel:{base}")
    is_log = _set_height(axes, [v for v in (train, validation) if v is not None])
    heading = shorten(safe_text(base), width, size=HEADING_SIZE) + (" (log)" if is_log else "")
    sheet.text(x - _LEFT, y - 0.26, heading, size=HEADING_SIZE, weight="bold", gid="ckread:heading")
    epochs = np.array(result.epochs, np.float64)
    pad = 0.5 if len(epochs) < 40 else 0.01 * (epochs[-1] - epochs[0])
    axes.set_xlim(epochs[0] - pad, epochs[-1] + pad)
    for seam in result.seams:
        axes.axvline(seam - 0.5, color=palette.rule, lw=0.7, ls=(0, (2, 2)), zorder=1)
    draw_seams(sheet, axes, (x, y, width), run_seams(result))
    ends = []
    if train is not None:
        draw_curve(axes, base, epochs, train, palette, is_validation=validation is None)
        ends.append((train, "train", palette.soft))
    if validation is not None:
        draw_curve(axes, f"val_{base}", epochs, validation, palette, is_validation=True)
        ends.append((validation, "validation", palette.data))
    if len(ends) == 2:
        label_ends(sheet, axes, ends, (x + width + 0.05, y), depth=_DEPTH)
    mark_best(axes, result, base, (train, validation), palette, width)
    bottom = axes
    if rail:
        bottom = sheet.axes(x, y + _DEPTH, width, rail)
        draw_rail(bottom, result, palette)
        bottom.set_xlim(axes.get_xlim())
        axes.set_xticks([])
    low, high = bottom.get_xlim()
    whole = [tick for tick in value_ticks(low, high, width) if tick == round(tick)]
    ticks = [tick for tick in whole if result.epochs[0] <= tick <= result.epochs[-1]]
    if result.epochs[0] not in ticks and len(ticks) < 3:
        ticks = [result.epochs[0], *ticks]
    bottom.xaxis.set_major_locator(FixedLocator(ticks))
    bottom.xaxis.set_major_formatter(FixedFormatter([count(round(tick)) for tick in ticks]))
    soft = palette.soft
    below = y + _DEPTH + rail + 0.2
    sheet.text(x + width / 2, below, result.unit, size=LABEL_SIZE, color=soft, ha="center")


def run_seams(result: TrainingHistory) -> list[tuple[float, str]]:
    """Give where the line of each seam of the checkpoints stands, and its words."""
    epochs = result.epochs
    return [((epochs[at - 1] + epochs[at]) / 2, seam_label(s)) for at, s in result.marks.items()]


def values_of(result: TrainingHistory, name: str) -> Floats | None:
    """Give a metric along the epochs, NaN where it is not finite; None if there is none."""
    values = result.metrics.get(name)
    return None if values is None else drawn_values(values)


def _set_height(axes: Axes, curves: Sequence[Floats]) -> bool:
    """Give the axis limits and ticks; log where positive values fall by over a decade."""
    finite = np.concatenate(curves)
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    # A log axis is for the end of a curve that falls.
    ends = [values[np.isfinite(values)][[0, -1]] for values in curves if np.isfinite(values).any()]
    if low > 0 and high / low > 10 and any(last < first for first, last in ends):
        set_log_heights(axes, low / 1.25, high * 1.25)
        return True
    pad = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    set_heights(axes, low - pad, high + pad, _DEPTH)
    return False


def draw_curve(
    axes: Axes, name: str, epochs: Floats, values: Floats, palette: Palette, *, is_validation: bool
) -> None:
    """Draw a curve with a break where epochs are missing."""
    apart = np.flatnonzero(np.diff(epochs) > 1) + 1
    x, y = np.insert(epochs, apart, np.nan), np.insert(values, apart, np.nan)
    color = palette.data if is_validation else palette.other
    (line,) = axes.plot(x, y, "-" if is_validation else "--", color=color, lw=1.4, zorder=3)
    line.set(clip_on=False, gid=f"ckread:curve:{name}")
    # Dots: values with no neighbour that a line could lead to.
    joined = np.isfinite(values[1:]) & np.isfinite(values[:-1]) & (np.diff(epochs) <= 1)
    dotted: NDArray[np.bool_] = np.isfinite(values)
    dotted[:-1] &= ~joined
    dotted[1:] &= ~joined
    dotted |= is_validation and len(epochs) <= _MAX_DOTS
    axes.plot(epochs[dotted], values[dotted], "o", color=color, ms=2.6, mec="none", zorder=3)


def label_ends(
    sheet: Sheet,
    axes: Axes,
    ends: Sequence[tuple[Floats, str, str]],
    place: tuple[float, float],
    *,
    depth: float,
) -> None:
    """Write which curve is which at their ends, one above the other."""
    x, y = place
    wanted = []
    for values, _, _ in ends:
        last = values[np.isfinite(values)][-1:] if np.isfinite(values).any() else [0.0]
        share = axes.transAxes.inverted().transform(axes.transData.transform((0, last[0])))[1]
        wanted.append(y + depth * (1 - float(share)))
    for at, (_, word, color) in zip(pushed_apart(wanted, 0.13, y, y + depth), ends, strict=True):
        sheet.text(x, at, word, color=color, va="center", gid="ckread:label")


def mark_best(
    axes: Axes,
    result: TrainingHistory,
    base: str,
    curves: tuple[Floats | None, Floats | None],
    palette: Palette,
    width: float,
) -> None:
    """Draw a line at the best epoch, a ring on the curve, and who holds it."""
    best = result.best
    if best is None or best.epoch is None:
        return
    at = result.epochs.index(best.epoch)
    axes.axvline(best.epoch, color=palette.mark, lw=1.0, zorder=2)
    shown = curves[1] if curves[1] is not None else curves[0]
    if shown is not None and np.isfinite(shown[at]):
        (ring,) = axes.plot([best.epoch], [shown[at]], "o", ms=5, mfc=palette.paper, zorder=5)
        ring.set(mec=palette.mark, mew=1.4, gid=f"ckread:best:{base}")
    if best.metric.removeprefix("val_") != base:
        return
    path = best.checkpoint
    word = drawable(safe_text(base_name(path)) if path else f"{result.unit} {count(best.epoch)}")
    low, high = axes.get_xlim()
    share = (best.epoch - low) / (high - low)
    is_left = share > 0.5
    if fits(word, width * (share if is_left else 1 - share) - 0.1, size=TEXT_SIZE):
        text = axes.annotate(
            word, (best.epoch, 1), (-4 if is_left else 4, -2), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="right" if is_left else "left", va="top",
            size=TEXT_SIZE, color=palette.mark, parse_math=False, family=families_of(word),
        )  # fmt: skip
        text.set_gid("ckread:holder")


def draw_rail(axes: Axes, result: TrainingHistory, palette: Palette) -> None:
    """Draw the checkpoints as squares: hollow where deleted, one marked that holds the best."""
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    best = result.best.epoch if result.best and result.best.checkpoint else None
    kept = [epoch for epoch in result.holders.kept if epoch != best]
    size = 3.2 if len(kept) <= 60 else 1.6
    for epochs, face, edge, gid in (
        (kept, palette.ink, "none", "kept"),
        (result.holders.deleted, palette.paper, palette.rule, "deleted"),
    ):
        (marks,) = axes.plot(epochs, [0.5] * len(epochs), "s", ms=size, mfc=face, mec=edge)
        marks.set_gid(f"ckread:{gid}")
    if best is not None:
        (mark,) = axes.plot([best], [0.5], "s", ms=5, color=palette.mark, mec="none", zorder=4)
        mark.set_gid("ckread:holding")


# Numbers over a run as steps: a strip for each, one step axis for all.


MAX_STRIPS = 12
_STRIPS_LEFT, _PLOT_WIDTH = 0.66, 5.7
_STRIPS_TOP, _PITCH_GAP = 0.78, 0.36
_MAX_STRIP_DOTS = 120
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
    bottom = _STRIPS_TOP + n * (depth + _PITCH_GAP) - _PITCH_GAP
    run = safe_text(base_name(result.path))
    held = [held_words(result.checkpoints), "read from the checkpoints"]
    caption = Caption(f"{n} values over {run}", held, palette)
    if n == 1:
        caption = Caption(_title(result), [run, *held], palette)
    with new_sheet(bottom + 0.62, caption, reading) as sheet:
        x = places(result.checkpoints)
        seams = seams_between(result.seams, result.checkpoints, x)
        for i, variable in enumerate(result.variables):
            top = _STRIPS_TOP + i * (depth + _PITCH_GAP)
            if n > 1:
                name = shorten(safe_text(variable.name), _PLOT_WIDTH, size=TEXT_SIZE)
                sheet.text(_STRIPS_LEFT, top - 0.2, name, gid="ckread:name")
            axes = sheet.axes(_STRIPS_LEFT, top, _PLOT_WIDTH, depth)
            axes.set_gid(f"ckread:strip:{variable.name}")
            _draw(axes, variable, x, depth, palette)
            _annotate(axes, variable, result.checkpoints, palette, is_alone=n == 1)
            set_step_axis(axes, result.checkpoints, _PLOT_WIDTH)
            shown = [(at, "" if i else words) for at, words in seams]
            draw_seams(sheet, axes, (_STRIPS_LEFT, top, _PLOT_WIDTH), shown)
            if i < n - 1:
                axes.tick_params(labelbottom=False, length=0)
        middle, soft = _STRIPS_LEFT + _PLOT_WIDTH / 2, palette.soft
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
    if len(x) <= _MAX_STRIP_DOTS:
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
