"""How the variables of a run moved: lines for few, a map for many, dots for two checkpoints."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from ckread.analysis.audit.records import seams_by_place
from ckread.errors import UsageError
from ckread.model.display import safe_text
from ckread.model.run.entries import base_name
from ckread.views.drift.page import verdict
from ckread.views.figures.axes import (
    axis_word,
    decades_of,
    draw_seams,
    held_words,
    places,
    pushed_apart,
    set_distance_axis,
    set_heights,
    set_step_axis,
)
from ckread.views.figures.drift_map import MAX_ROWS, plot_map, varying_rate
from ckread.views.figures.many import noun_of
from ckread.views.figures.rows import LOWEST_NAMED, Layout, lay_out, write_names
from ckread.views.figures.sheet import MARGIN, WIDTH, Caption, Sheet, new_sheet, page_words
from ckread.views.figures.style import (
    LABEL_SIZE,
    LIGHT,
    MARKERS,
    TEXT_SIZE,
    TITLE_SIZE,
    Palette,
    drawing,
)
from ckread.views.figures.text import column, count, fit_names, fits, number, short_number, typeset
from ckread.views.seams import seam_label, seam_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.drift.records import RunDrift, VariableDrift


MAX_LINES = 6
_MEASURE = re.compile(r" moved most: .+? its first norm")


def plot_drift(result: RunDrift, *, palette: Palette = LIGHT) -> list[Figure]:
    """Draw a drift; more than 450 variables take several pages.

    Raises:
        UsageError: there is nothing to draw.
    """
    if len(result.checkpoints) < 2 or not result.variables:
        what = "one checkpoint" if result.variables else "no variable"
        remedy = "A drift needs two checkpoints and a variable."
        raise UsageError(f"{result.path}: {what}, nothing to draw", remedy=remedy)
    n = len(result.variables)
    caption = Caption(_title(result), _evidence(result, n), palette)
    is_pair = len(result.checkpoints) == 2 and not result.index_only
    if n <= MAX_LINES and not (result.index_only or is_pair):
        return [plot_lines(result, caption)]
    pages = [range(start, min(start + MAX_ROWS, n)) for start in range(0, n, MAX_ROWS)]
    figures = []
    for i, page in enumerate(pages):
        place, notes = page_words(i, pages)
        variables = result.variables[page.start : page.stop]
        plot = plot_pair if is_pair else plot_map
        figures.append(plot(result, variables, caption.but(place, notes=notes)))
    return figures


def _title(result: RunDrift) -> str:
    """Give as much of the verdict as fits, whole sentences and clauses."""
    marks = seams_by_place(result.seams, result.checkpoints)
    said = verdict(result)
    if marks and not said.startswith("not finite"):
        return typeset(seam_title(marks, result.checkpoints))
    text = said.removesuffix(".").removesuffix(". All values are finite")
    text = typeset(text.removeprefix("not finite: "))
    short = _MEASURE.sub(" moved most", text)
    for candidate in (text, short, text.split(". ")[0], short.split(". ")[0]):
        if _fits(candidate.replace(". ", "; ")):
            return candidate.replace(". ", "; ")
    clauses = short.split(". ")[0].split(", ")
    while len(clauses) > 1 and not _fits(", ".join(clauses)):
        clauses.pop()
    return ", ".join(clauses)


def _fits(text: str) -> bool:
    return fits(text, WIDTH - 2 * MARGIN, size=TITLE_SIZE, bold=True)


def _evidence(result: RunDrift, n: int) -> list[str]:
    noun = noun_of(result.variables)
    rates, rate = result.learning_rate, ""
    if len(rates) == 2 and None not in rates:
        shown = [short_number(float(rate or 0)) for rate in dict.fromkeys(rates)]
        rate = f"learning rate {' → '.join(shown)}"
    held = held_words(result.checkpoints)
    return [safe_text(base_name(result.path)), held, f"{count(n)} {noun}{'s' * (n > 1)}", rate]


# Up to six variables of a run: distance from the first checkpoint as lines.

_LEFT, _LINES_TOP, _PLOT_WIDTH, _DEPTH = 0.62, 0.78, 4.5, 1.7
_STRIP, _STRIP_GAP = 0.33, 0.16
_LABEL_X = _LEFT + _PLOT_WIDTH + 0.16
_NUMBER_RIGHT = WIDTH - MARGIN
_LABEL_WIDTH = _NUMBER_RIGHT - _LABEL_X - 0.5
_APART = 0.15
MAX_MARKS = 60
"""Checkpoints up to which each has a mark on a line."""


def plot_lines(result: RunDrift, caption: Caption) -> Figure:
    """Draw a line per variable, and the learning rate in a strip of its own."""
    palette = caption.palette
    rates = varying_rate(result)
    below = _STRIP + _STRIP_GAP if rates else 0.0
    n_marks = len(result.checkpoints)
    is_hollow = any(False in variable.changed for variable in result.variables)
    hollow = "; hollow where the variable is bit-identical to the checkpoint before"
    failed = [v for v in result.variables if v.first_nonfinite is not None]
    until = (
        "; the line goes on where all is finite again."
        if any(v.is_finite_at(-1) for v in failed)
        else " from there on."
    )
    is_from_zero = any(v.is_finite_at(-1) and v.moved == math.inf for v in result.variables)
    reading = [
        f"Marks: checkpoints{hollow if is_hollow else ''}." if n_marks <= MAX_MARKS else "",
        f"×: NaN or infinite{until}" if failed else "",
        "From 0: the first norm is 0, so there is no ratio, and no line." if is_from_zero else "",
        "At the right: last value.",
    ]
    bottom = _LINES_TOP + _DEPTH + below
    with new_sheet(bottom + 0.62, caption, reading) as sheet:
        heading = "distance from the first checkpoint, ‖w − w₀‖ ÷ ‖w₀‖"
        above = 0.5 if result.seams else 0.56  # their words are between it and the axes
        sheet.text(MARGIN, above, heading, color=palette.soft, gid="ckread:y")
        axes = sheet.axes(_LEFT, _LINES_TOP, _PLOT_WIDTH, _DEPTH)
        axes.set_gid("ckread:lines")
        x = places(result.checkpoints)
        largest = max((d for v in result.variables for d in _distances(v) if d == d), default=0.0)
        top = largest * 1.04 or 1.0
        set_heights(axes, 0, top, _DEPTH)
        axes.spines["bottom"].set_visible(True)
        set_step_axis(axes, result.checkpoints, _PLOT_WIDTH)
        if rates:
            axes.tick_params(labelbottom=False, length=0)
        marks = seams_by_place(result.seams, result.checkpoints)
        between = {at: (x[at - 1] + x[at]) / 2 for at in marks if at}
        ends = [
            draw_line(axes, i, v, x, palette, breaks=list(between))
            for i, v in enumerate(result.variables)
        ]
        seams = [(between[at], seam_label(seam)) for at, seam in marks.items() if at]
        draw_seams(sheet, axes, (_LEFT, _LINES_TOP, _PLOT_WIDTH), seams)
        _label(sheet, result.variables, ends, top)
        if rates:
            strip = sheet.axes(_LEFT, _LINES_TOP + _DEPTH + _STRIP_GAP, _PLOT_WIDTH, _STRIP)
            _draw_rate(sheet, strip, result, rates)
        middle = _LEFT + _PLOT_WIDTH / 2
        word = axis_word(result.checkpoints)
        sheet.text(middle, bottom + 0.2, word, size=LABEL_SIZE, color=palette.soft, ha="center")
    return sheet.figure


def _distances(variable: VariableDrift) -> list[float]:
    return [
        math.nan if value is None or not math.isfinite(value) else value
        for value in variable.from_first
    ]


def draw_line(
    axes: Axes,
    i: int,
    variable: VariableDrift,
    x: Sequence[float],
    palette: Palette,
    *,
    breaks: Sequence[int] = (),
) -> float:
    """Draw one line, broken before some checkpoints; give its last value."""
    y = np.array(_distances(variable))
    color, marker = palette.lines[i % 5], MARKERS[i % 5]
    style = "-" if i < 5 else "--"
    ends = np.insert(np.array(x), breaks, np.nan), np.insert(y, breaks, np.nan)
    (line,) = axes.plot(*ends, style, color=color, lw=1.4, clip_on=False, zorder=3)
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
    wanted = [_LINES_TOP + _DEPTH * (1 - end / top) for end in ends]
    at = pushed_apart(wanted, _APART, _LINES_TOP, _LINES_TOP + _DEPTH)
    texts = fit_names([safe_text(v.name) for v in variables], _LABEL_WIDTH, size=TEXT_SIZE)
    numbers = column(
        [None if _end_word(v) else end for v, end in zip(variables, ends, strict=True)]
    )
    for i, (variable, y, name, value) in enumerate(zip(variables, at, texts, numbers, strict=True)):
        sheet.text(_LABEL_X, y, name, va="center", gid=f"ckread:label:{variable.name}")
        is_bad = not variable.is_finite_at(-1)
        color = sheet.palette.bad if is_bad else sheet.palette.soft
        shown = _end_word(variable) or value
        sheet.text(_NUMBER_RIGHT, y, shown, va="center", ha="right", color=color)
        if any(d == d for d in _distances(variable)[1:]):
            at_x = [(_LABEL_X - 0.11) / WIDTH, (_LABEL_X - 0.03) / WIDTH]
            at_y = [1 - wanted[i] / sheet.height, 1 - y / sheet.height]
            sheet.figure.add_artist(Line2D(at_x, at_y, color=sheet.palette.lines[i % 5], lw=0.7))


def _end_word(variable: VariableDrift) -> str:
    """Give the word that stands in place of a last value; empty where the value does."""
    if not variable.is_finite_at(-1):
        return "NaN" if variable.nan[-1] else "inf"
    if variable.moved == math.inf:
        return "from 0"
    if variable.first_change is None and False in variable.changed:
        return "unchanged"
    return "–" if variable.moved is None else ""


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
    middle = _LINES_TOP + _DEPTH + _STRIP_GAP + _STRIP / 2
    soft = palette.soft
    sheet.text(_LABEL_X, middle, "learning rate", color=soft, va="center")
    sheet.text(_NUMBER_RIGHT, middle, number(rates[-1]), color=soft, va="center", ha="right")


# A run of two checkpoints: how far each variable moved between them, as dots on a log axis.

_PAIR_TOP = 0.92
_NUMBERS = 0.62
"""Inches at the right for the numbers, where rows are high enough for them."""


def plot_pair(result: RunDrift, variables: Sequence[VariableDrift], caption: Caption) -> Figure:
    """Draw one page of at most 450 variables of a run of two checkpoints."""
    palette = caption.palette
    with drawing(palette):
        layout = lay_out(variables, top=_PAIR_TOP)
    is_written = layout.row_height >= LOWEST_NAMED
    n_same = sum(variable.changed[-1] is False for variable in variables)
    no_dot = f"No dot: bit-identical ({n_same:,} of {len(variables):,})."
    is_still = any(_distance(variable) is None for variable in variables)
    is_from_zero = any(variable.moved == math.inf for variable in variables)
    is_finite = all(variable.is_finite_at(-1) for variable in variables)
    reading = [
        "Rows in the order of the model." if len(variables) > 1 else "",
        no_dot if is_still and not is_written else "",
        "▷ from all zeros, so there is no ratio." if is_from_zero else "",
        "" if is_finite else "×: NaN or infinite.",
    ]
    with new_sheet(_PAIR_TOP + layout.depth + 0.3, caption, reading) as sheet:
        words = "relative distance of the last checkpoint from the first, ‖w − w₀‖ ÷ ‖w₀‖ (log)"
        sheet.text(MARGIN, 0.54, words, color=palette.soft, gid="ckread:x")
        width = WIDTH - MARGIN - layout.left - (_NUMBERS if is_written else 0.1)
        axes = sheet.axes(layout.left, _PAIR_TOP, width, layout.depth)
        decades = decades_of(map(_distance, result.variables))
        set_distance_axis(axes, decades, layout.depth)
        _draw_dots(axes, layout, variables, decades, palette)
        if is_written:
            _write_numbers(sheet, layout, variables)
        write_names(sheet, layout)
    return sheet.figure


def _distance(variable: VariableDrift) -> float | None:
    """Give the distance to draw; None where there is none, or a word says more."""
    moved = variable.moved
    is_known = moved is not None and math.isfinite(moved) and moved > 0
    return moved if is_known and variable.is_finite_at(-1) else None


def _draw_dots(
    axes: Axes,
    layout: Layout,
    variables: Sequence[VariableDrift],
    decades: tuple[int, int],
    palette: Palette,
) -> None:
    """Draw a dot for each that moved, and a ring at the left edge for what has no ratio."""
    left = 10.0 ** decades[0]
    size = max(1.4, min(4.0, layout.row_height * 30))
    stems = []
    for band in layout.rows:
        variable = variables[band.row or 0]
        y = band.y + band.height / 2
        distance = _distance(variable)
        if distance is not None:
            stems.append([(left, y), (distance, y)])
            (dot,) = axes.plot([distance], [y], "o", ms=size, color=palette.data, mec="none")
            dot.set(clip_on=False, zorder=3, gid=f"ckread:dot:{variable.name}")
        elif not variable.is_finite_at(-1):
            (cross,) = axes.plot([left], [y], "x", ms=size, color=palette.bad, mew=1.2)
            cross.set(clip_on=False, zorder=4, gid=f"ckread:bad:{variable.name}")
        elif variable.moved == math.inf:
            (mark,) = axes.plot([left], [y], ">", ms=size, color=palette.data, mfc=palette.paper)
            mark.set(clip_on=False, zorder=4, mew=0.8, gid=f"ckread:from-zero:{variable.name}")
    lines = LineCollection(stems, color=palette.data, alpha=0.7, zorder=2)
    lines.set_linewidth(min(0.9, layout.row_height * 20))
    axes.add_collection(lines, autolim=False)


def _write_numbers(sheet: Sheet, layout: Layout, variables: Sequence[VariableDrift]) -> None:
    right = WIDTH - MARGIN
    palette = sheet.palette
    shown = [variables[band.row or 0] for band in layout.rows]
    numbers = column([_distance(variable) for variable in shown])
    for band, variable, value in zip(layout.rows, shown, numbers, strict=True):
        text, color = value or _pair_word(variable), palette.ink if value else palette.soft
        if not variable.is_finite_at(-1):
            color = palette.bad
        y = layout.top + band.y + band.height / 2
        sheet.text(right, y, text, size=layout.text_size, color=color, ha="right", va="center",
                   gid="ckread:number")  # fmt: skip


def _pair_word(variable: VariableDrift) -> str:
    """Say what stands in place of a distance."""
    before, after = variable.present
    if not variable.is_finite_at(-1):
        return "NaN" if variable.nan[-1] else "inf"
    if not (before and after):
        return "added" if after else "removed"
    if variable.changed[-1] is False:
        return "identical"
    return "from 0" if variable.moved == math.inf else "reshaped"
