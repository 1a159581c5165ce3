"""Up to six variables of a run: distance from the first checkpoint as lines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from ckread.views.figures.heights import set_heights
from ckread.views.figures.names import fit_names
from ckread.views.figures.numbers import column, number, set_value_axis
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.steps import places, pushed_apart
from ckread.views.figures.style import LABEL_SIZE, MARKERS, TEXT_SIZE, Palette, drawing
from ckread.views.quantities import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.drift_records import RunDrift, VariableDrift

_LEFT, _TOP, _PLOT_WIDTH, _DEPTH = 0.62, 0.78, 4.5, 1.7
_STRIP, _STRIP_GAP = 0.33, 0.16
_LABEL_X = _LEFT + _PLOT_WIDTH + 0.16
_NUMBER_RIGHT = WIDTH - MARGIN
_LABEL_WIDTH = _NUMBER_RIGHT - _LABEL_X - 0.5
_APART = 0.15


def plot_lines(
    result: RunDrift, *, title: str, evidence: Sequence[str], palette: Palette
) -> Figure:
    """Draw a line per variable, and the learning rate in a strip of its own."""
    rates = _rates(result)
    below = _STRIP + _STRIP_GAP if rates else 0.0
    with drawing(palette):
        lines = note_lines(_reading(result))
        height = _TOP + _DEPTH + below + 0.62 + NOTE_PITCH * len(lines)
        sheet = Sheet(height, palette)
        sheet.title(title, evidence)
        heading = "distance from the first checkpoint, ‖w − w₀‖ ÷ ‖w₀‖"
        sheet.text(MARGIN, 0.56, heading, color=palette.soft, gid="ckread:y")
        axes = sheet.axes(_LEFT, _TOP, _PLOT_WIDTH, _DEPTH)
        axes.set_gid("ckread:lines")
        x = places(result.checkpoints)
        top = _prepare(axes, result, x, has_ticks=not rates)
        ends = [_draw(axes, i, v, x, palette) for i, v in enumerate(result.variables)]
        _label(sheet, result.variables, ends, top)
        if rates:
            strip = sheet.axes(_LEFT, _TOP + _DEPTH + _STRIP_GAP, _PLOT_WIDTH, _STRIP)
            _draw_rate(sheet, strip, x, rates)
        bottom = _TOP + _DEPTH + below
        middle = _LEFT + _PLOT_WIDTH / 2
        sheet.text(middle, bottom + 0.2, "step", size=LABEL_SIZE, color=palette.soft, ha="center")
        sheet.note(lines)
    return sheet.figure


def _rates(result: RunDrift) -> list[float]:
    known = [rate for rate in result.learning_rate if rate is not None]
    return known if len(known) == len(result.checkpoints) and len(set(known)) > 1 else []


def _distances(variable: VariableDrift) -> list[float]:
    return [
        math.nan if value is None or not math.isfinite(value) else value
        for value in variable.from_first
    ]


def _prepare(axes: Axes, result: RunDrift, x: Sequence[float], *, has_ticks: bool) -> float:
    largest = max((d for v in result.variables for d in _distances(v) if d == d), default=0.0)
    top = largest * 1.04 or 1.0
    set_heights(axes, 0, top, _DEPTH)
    axes.spines["bottom"].set_visible(True)
    set_value_axis(axes, x[0], x[-1], _PLOT_WIDTH)
    if not has_ticks:
        axes.tick_params(labelbottom=False, length=0)
    return top


def _draw(
    axes: Axes, i: int, variable: VariableDrift, x: Sequence[float], palette: Palette
) -> float:
    """Draw one line; give its last value."""
    y = np.array(_distances(variable))
    color, marker = palette.lines[i % 5], MARKERS[i % 5]
    style = "-" if i < 5 else "--"
    (line,) = axes.plot(x, y, style, color=color, lw=1.4, clip_on=False, zorder=3)
    line.set_gid(f"ckread:line:{variable.name}")
    if len(x) <= 60:
        same = np.array([changed is False for changed in variable.changed])
        for mask, face in ((~same, color), (same, palette.paper)):
            (marks,) = axes.plot(np.array(x)[mask], y[mask], marker, color=color, ms=3.2)
            marks.set(mfc=face, mew=0.8, clip_on=False, zorder=4)
            marks.set_gid(f"ckread:{'same' if face == palette.paper else 'moved'}:{variable.name}")
    last = 0.0
    for j in range(len(x)):
        if not variable.is_finite_at(j):
            if j == 0 or variable.is_finite_at(j - 1):
                (cross,) = axes.plot([x[j]], [last], "x", color=palette.bad, ms=6, mew=1.6)
                cross.set(clip_on=False, zorder=5, gid=f"ckread:bad:{variable.name}")
        elif y[j] == y[j]:
            last = float(y[j])
    return last


def _label(
    sheet: Sheet, variables: Sequence[VariableDrift], ends: Sequence[float], top: float
) -> None:
    wanted = [_TOP + _DEPTH * (1 - end / top) for end in ends]
    at = pushed_apart(wanted, _APART, _TOP, _TOP + _DEPTH)
    texts = fit_names([safe_text(v.name) for v in variables], _LABEL_WIDTH, size=TEXT_SIZE)
    numbers = column([None if v.moved in (None, math.inf) else end
                      for v, end in zip(variables, ends, strict=True)])  # fmt: skip
    for i, (variable, y, name, value) in enumerate(zip(variables, at, texts, numbers, strict=True)):
        sheet.text(_LABEL_X, y, name, va="center", gid=f"ckread:label:{variable.name}")
        shown = "from 0" if variable.moved == math.inf else value
        soft = sheet.palette.soft
        sheet.text(_NUMBER_RIGHT, y, shown, va="center", ha="right", color=soft)
        _draw_leader(sheet, wanted[i], y, sheet.palette.lines[i % 5])


def _draw_leader(sheet: Sheet, start: float, stop: float, color: str) -> None:
    x = [(_LABEL_X - 0.11) / WIDTH, (_LABEL_X - 0.03) / WIDTH]
    y = [1 - start / sheet.height, 1 - stop / sheet.height]
    sheet.figure.add_artist(Line2D(x, y, color=color, lw=0.7))


def _draw_rate(sheet: Sheet, axes: Axes, x: Sequence[float], rates: Sequence[float]) -> None:
    palette = sheet.palette
    axes.fill_between(x, rates, step="post", color=palette.cell, lw=0)
    (line,) = axes.step(x, rates, where="post", color=palette.soft, lw=1.0)
    line.set_gid("ckread:learning_rate")
    axes.set_ylim(0, max(rates) * 1.02)
    axes.set_yticks([0, max(rates)], ["0", number(max(rates))], parse_math=False)
    set_value_axis(axes, x[0], x[-1], _PLOT_WIDTH)
    middle = _TOP + _DEPTH + _STRIP_GAP + _STRIP / 2
    sheet.text(_LABEL_X, middle, "learning rate", color=palette.soft, va="center")


def _reading(result: RunDrift) -> str:
    sentences = ["Marks: checkpoints"]
    if any(False in variable.changed for variable in result.variables):
        sentences[0] += "; hollow where the variable is bit-identical to the checkpoint before"
    sentences[0] += "."
    if any(v.first_nonfinite is not None for v in result.variables):
        sentences.append("×: from here on not finite.")
    if any(v.moved == math.inf for v in result.variables):
        sentences.append("from 0: the first norm is 0, so there is no ratio.")
    return " ".join(sentences)
