"""A run of two checkpoints: how far each variable moved between them, as dots on a log axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.collections import LineCollection

from ckread.views.figures.distance_axis import decades_of, set_distance_axis
from ckread.views.figures.drift_layout import LOWEST_NAMED, Layout, lay_out, write_names
from ckread.views.figures.numbers import column
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.style import Palette, drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.drift_records import RunDrift, VariableDrift

_TOP = 0.92
_NUMBERS = 0.62
"""Inches at the right for the numbers, where rows are high enough for them."""


def plot_pair(
    result: RunDrift,
    variables: Sequence[VariableDrift],
    *,
    title: str,
    evidence: Sequence[str],
    palette: Palette,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw one page of at most 450 variables of a run of two checkpoints.

    Args:
        result: all of the run; the axis is that of all its variables.
        variables: those of the page.
        title: the answer.
        evidence: what it rests on.
        palette: light or dark.
        notes: what is left out.
    """
    with drawing(palette):
        layout = lay_out(variables, top=_TOP)
        lines = note_lines(_reading(variables, layout), *notes)
        height = _TOP + layout.depth + 0.3 + NOTE_PITCH * len(lines)
        sheet = Sheet(height, palette)
        sheet.title(title, evidence)
        words = "relative distance of the last checkpoint from the first, ‖w − w₀‖ ÷ ‖w₀‖ (log)"
        sheet.text(MARGIN, 0.54, words, color=palette.soft, gid="ckread:x")
        is_written = layout.row_height >= LOWEST_NAMED
        width = WIDTH - MARGIN - layout.left - (_NUMBERS if is_written else 0.1)
        axes = sheet.axes(layout.left, _TOP, width, layout.depth)
        decades = decades_of(map(_distance, result.variables))
        set_distance_axis(axes, decades, layout.depth)
        _draw_dots(axes, layout, variables, decades, palette)
        if is_written:
            _write_numbers(sheet, layout, variables)
        write_names(sheet, layout)
        sheet.note(lines)
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
        text, color = value or _word(variable), palette.ink if value else palette.soft
        if not variable.is_finite_at(-1):
            color = palette.bad
        y = layout.top + band.y + band.height / 2
        sheet.text(right, y, text, size=layout.text_size, color=color, ha="right", va="center",
                   gid="ckread:number")  # fmt: skip


def _word(variable: VariableDrift) -> str:
    """Say what stands in place of a distance."""
    before, after = variable.present
    if not variable.is_finite_at(-1):
        return "NaN" if variable.nan[-1] else "inf"
    if not (before and after):
        return "added" if after else "removed"
    if variable.changed[-1] is False:
        return "identical"
    return "from 0" if variable.moved == math.inf else "reshaped"


def _reading(variables: Sequence[VariableDrift], layout: Layout) -> str:
    sentences = ["Rows in the order of the model."] if len(variables) > 1 else []
    if layout.row_height < LOWEST_NAMED and any(_distance(v) is None for v in variables):
        n_same = sum(variable.changed[-1] is False for variable in variables)
        sentences.append(f"No dot: bit-identical ({n_same:,} of {len(variables):,}).")
    if any(v.moved == math.inf for v in variables):
        sentences.append("▷ from all zeros, so there is no ratio.")
    if any(not v.is_finite_at(-1) for v in variables):
        sentences.append("×: NaN or infinite.")
    return " ".join(sentences)
