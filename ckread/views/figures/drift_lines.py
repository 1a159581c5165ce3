"""Up to six variables of a run: distance from the first checkpoint as lines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from ckread.views.figures.heights import set_heights
from ckread.views.figures.names import fit_names
from ckread.views.figures.numbers import column, number, short_number
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.steps import axis_word, places, pushed_apart, set_step_axis
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
MAX_MARKS = 60
"""Checkpoints up to which each has a mark on a line."""


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
        top = _prepare(axes, result, has_ticks=not rates)
        ends = [draw_line(axes, i, v, x, palette) for i, v in enumerate(result.variables)]
        _label(sheet, result.variables, ends, top)
        if rates:
            strip = sheet.axes(_LEFT, _TOP + _DEPTH + _STRIP_GAP, _PLOT_WIDTH, _STRIP)
            _draw_rate(sheet, strip, result, rates)
        bottom = _TOP + _DEPTH + below
        middle = _LEFT + _PLOT_WIDTH / 2
        word = axis_word(result.checkpoints)
        sheet.text(middle, bottom + 0.2, word, size=LABEL_SIZE, color=palette.soft, ha="center")
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


def _prepare(axes: Axes, result: RunDrift, *, has_ticks: bool) -> float:
    largest = max((d for v in result.variables for d in _distances(v) if d == d), default=0.0)
    top = largest * 1.04 or 1.0
    set_heights(axes, 0, top, _DEPTH)
    axes.spines["bottom"].set_visible(True)
    set_step_axis(axes, result.checkpoints, _PLOT_WIDTH)
    if not has_ticks:
        axes.tick_params(labelbottom=False, length=0)
    return top


def draw_line(
    axes: Axes, i: int, variable: VariableDrift, x: Sequence[float], palette: Palette
) -> float:
    """Draw one line; give its last value."""
    y = np.array(_distances(variable))
    color, marker = palette.lines[i % 5], MARKERS[i % 5]
    style = "-" if i < 5 else "--"
    (line,) = axes.plot(x, y, style, color=color, lw=1.4, clip_on=False, zorder=3)
    line.set_gid(f"ckread:line:{variable.name}")
    if len(x) <= MAX_MARKS:
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
    """Write name and last value of each variable at the end of its line."""
    wanted = [_TOP + _DEPTH * (1 - end / top) for end in ends]
    at = pushed_apart(wanted, _APART, _TOP, _TOP + _DEPTH)
    texts = fit_names([safe_text(v.name) for v in variables], _LABEL_WIDTH, size=TEXT_SIZE)
    numbers = column([None if _word(v) else end for v, end in zip(variables, ends, strict=True)])
    for i, (variable, y, name, value) in enumerate(zip(variables, at, texts, numbers, strict=True)):
        sheet.text(_LABEL_X, y, name, va="center", gid=f"ckread:label:{variable.name}")
        is_bad = not variable.is_finite_at(-1)
        color = sheet.palette.bad if is_bad else sheet.palette.soft
        shown = _word(variable) or value
        sheet.text(_NUMBER_RIGHT, y, shown, va="center", ha="right", color=color)
        if any(d == d for d in _distances(variable)[1:]):
            _draw_leader(sheet, wanted[i], y, sheet.palette.lines[i % 5])


def _word(variable: VariableDrift) -> str:
    """Give the word that stands in place of a last value; empty where the value does."""
    if not variable.is_finite_at(-1):
        return "NaN" if variable.nan[-1] else "inf"
    if variable.moved == math.inf:
        return "from 0"
    if variable.first_change is None and False in variable.changed:
        return "frozen"
    return "–" if variable.moved is None else ""


def _draw_leader(sheet: Sheet, start: float, stop: float, color: str) -> None:
    x = [(_LABEL_X - 0.11) / WIDTH, (_LABEL_X - 0.03) / WIDTH]
    y = [1 - start / sheet.height, 1 - stop / sheet.height]
    sheet.figure.add_artist(Line2D(x, y, color=color, lw=0.7))


def _draw_rate(sheet: Sheet, axes: Axes, result: RunDrift, rates: Sequence[float]) -> None:
    palette = sheet.palette
    x = places(result.checkpoints)
    axes.fill_between(x, rates, step="post", color=palette.cell, lw=0)
    (line,) = axes.step(x, rates, where="post", color=palette.soft, lw=1.0)
    line.set_gid("ckread:learning_rate")
    if len(x) <= MAX_MARKS:
        axes.plot(x, rates, "o", color=palette.soft, ms=2.2, mec="none", clip_on=False)
    largest = max(rates)
    axes.set_ylim(0, largest * 1.02)
    axes.set_yticks([0, largest], ["0", short_number(largest)], parse_math=False)
    set_step_axis(axes, result.checkpoints, _PLOT_WIDTH)
    middle = _TOP + _DEPTH + _STRIP_GAP + _STRIP / 2
    soft = palette.soft
    sheet.text(_LABEL_X, middle, "learning rate", color=soft, va="center")
    sheet.text(_NUMBER_RIGHT, middle, number(rates[-1]), color=soft, va="center", ha="right")


def _reading(result: RunDrift) -> str:
    sentences = []
    if len(result.checkpoints) <= MAX_MARKS:
        sentences.append("Marks: checkpoints")
        if any(False in variable.changed for variable in result.variables):
            sentences[0] += "; hollow where the variable is bit-identical to the checkpoint before"
        sentences[0] += "."
    if any(v.first_nonfinite is not None for v in result.variables):
        sentences.append(_bad_words(result))
    if any(_word(v) == "from 0" for v in result.variables):
        sentences.append("From 0: the first norm is 0, so there is no ratio, and no line.")
    sentences.append("At the right: last value.")
    return " ".join(sentences)


def _bad_words(result: RunDrift) -> str:
    failed = [v for v in result.variables if v.first_nonfinite is not None]
    if any(v.is_finite_at(-1) for v in failed):
        return "×: NaN or infinite; the line goes on where all is finite again."
    return "×: NaN or infinite from there on."
