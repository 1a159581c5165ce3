"""How far every variable moved, along the model: dots on a logarithmic axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ckread.analysis.diff.records import DiffStatus
from ckread.model.role import Role
from ckread.model.spelling import safe_text
from ckread.views.diff.rows import MODEL_ROLES, structure_change
from ckread.views.diff.verdict import verdict
from ckread.views.figures.axes import decades_of, draw_stairs, set_distance_axis
from ckread.views.figures.sheet import MARGIN, WIDTH, Sheet, page_words
from ckread.views.figures.style import HEADING_SIZE, TEXT_SIZE, Palette, drawing
from ckread.views.figures.text import (
    column,
    count,
    fit_names,
    fits,
    number,
    set_value_axis,
    text_width,
    value_ticks,
)
from ckread.views.terminal.words import shape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from ckread.analysis.diff.difference import Difference
    from ckread.analysis.diff.records import CheckpointDiff, VariableDiff


ROWS = 60
"""Rows of a page."""
_ROW = 0.17
_ROWS_TOP = 0.84
_NAME_WIDTH = 2.2
_AXIS_WIDTH = 3.3


def plot_diff(
    result: CheckpointDiff, *, palette: Palette, notes: Sequence[str] = ()
) -> list[Figure]:
    """Draw pages of rows, one per variable of the model, identical subtrees folded.

    Args:
        result: a diff whose values were read.
        palette: light or dark.
        notes: what is left out.
    """
    rows = dot_rows(result.variables)
    places = range(len(rows))
    pages = [places[i : i + ROWS] for i in range(0, len(rows), ROWS)] or [places]
    limits = decades_of(row.relative for row in rows)
    figures = []
    for i, page in enumerate(pages):
        facts = [f"{safe_text(result.a)} → {safe_text(result.b)}"]
        facts.append("relative change ‖after − before‖ ÷ ‖before‖, log scale")
        place, others = page_words(i, pages, "rows")
        shown = [rows[row] for row in page]
        texts = verdict(result), [*facts, place], [*others, *notes]
        with drawing(palette):
            figures.append(_draw_page(*texts, shown, limits, palette))
    return figures


def _draw_page(
    title: str,
    facts: Sequence[str],
    notes: Sequence[str],
    rows: Sequence[DotRow],
    limits: tuple[int, int],
    palette: Palette,
) -> Figure:
    places = _places(rows)
    bottom = (places[-1] if places else 0) + _ROW / 2
    sheet = Sheet(_ROWS_TOP + bottom + 0.42 + 0.13 * len(notes), palette)
    sheet.title(title, facts)
    reading = (
        "Circle: weight. Diamond: statistic or moving average. Rows in the order of the model."
    )
    sheet.note([reading, *notes])
    left = MARGIN + _NAME_WIDTH + 0.08
    axes = sheet.axes(left, _ROWS_TOP, _AXIS_WIDTH, bottom)
    set_distance_axis(axes, limits, bottom)
    _draw_names(sheet, rows, places)
    _draw_numbers(sheet, rows, places)
    for row, y in zip(rows, places, strict=True):
        _draw_row(sheet, axes, row, y, limits)
    return sheet.figure


def _places(rows: Sequence[DotRow]) -> list[float]:
    """Give the middle of each row in inches from the top of the axes; layers lie apart."""
    places, y = [], _ROW / 2
    for i, row in enumerate(rows):
        if i and row.group != rows[i - 1].group and _is_layered(rows):
            y += _ROW / 2
        places.append(y)
        y += _ROW
    return places


def _is_layered(rows: Sequence[DotRow]) -> bool:
    return len({row.group for row in rows}) < len(rows)


def _draw_names(sheet: Sheet, rows: Sequence[DotRow], places: Sequence[float]) -> None:
    names = [row.name for row in rows]
    size = 7.0
    if not all(fits(name, _NAME_WIDTH, size=size) for name in names):
        names = fit_names(names, _NAME_WIDTH, size=size)
    for row, text, y in zip(rows, names, places, strict=True):
        right = MARGIN + _NAME_WIDTH
        gid = f"ckread:name:{row.name}"
        sheet.text(right, _ROWS_TOP + y, text, size=size, ha="right", va="center_baseline", gid=gid)


def _draw_numbers(sheet: Sheet, rows: Sequence[DotRow], places: Sequence[float]) -> None:
    relative_right, elements_right = 6.35, WIDTH - MARGIN
    for right, heading in ((relative_right, "relative"), (elements_right, "elements")):
        soft = sheet.palette.soft
        sheet.text(right, _ROWS_TOP - 0.14, heading, color=soft, ha="right", va="center_baseline")
    texts = column([row.relative for row in rows])
    for row, text, y in zip(rows, texts, places, strict=True):
        at = _ROWS_TOP + y
        if text:
            sheet.text(relative_right, at, text, ha="right", va="center_baseline")
        elements = count(sum(v.elements for v in row.members))
        soft = sheet.palette.soft
        sheet.text(elements_right, at, elements, color=soft, ha="right", va="center_baseline")


def _draw_row(sheet: Sheet, axes: Axes, row: DotRow, y: float, limits: tuple[int, int]) -> None:
    palette = sheet.palette
    left = 10.0 ** limits[0]
    is_weight = row.members[0].role is Role.WEIGHT
    color = palette.data if is_weight else palette.average
    if row.relative is not None:
        axes.plot([left, row.relative], [y, y], color=color, lw=0.9, alpha=0.7)
        (dot,) = axes.plot(
            [row.relative], [y], "o" if is_weight else "D", ms=4 if is_weight else 3.5,
            color=color, mec="none", clip_on=False,
        )  # fmt: skip
        dot.set_gid(f"ckread:dot:{row.name}")
        return
    x = MARGIN + _NAME_WIDTH + 0.08
    is_bad = row.word.startswith("NaN")
    if row.word == "from all zeros":
        (mark,) = axes.plot([left], [y], ">", ms=4, color=color, mfc=palette.paper, clip_on=False)
        mark.set_gid(f"ckread:from-zero:{row.name}")
    ink = palette.bad if is_bad else palette.soft
    sheet.text(
        x + 0.09, _ROWS_TOP + y, row.word, color=ink, va="center_baseline", gid="ckread:word"
    )


# Rows of the picture of a diff: variables in the order of the model, still layers folded.

_FOLDED = 6
"""Identical variables of a layer up to which each has a row."""


class DotRow(NamedTuple):
    """A row of the picture.

    Attributes:
        name: a variable, or the pattern of a folded subtree.
        members: the variables it stands for.
        group: number of the layer it is in.
    """

    name: str
    members: tuple[VariableDiff, ...]
    group: int

    @property
    def relative(self) -> float | None:
        """The relative distance to draw; None where a word says more."""
        if len(self.members) > 1 or self.members[0].status is DiffStatus.IDENTICAL:
            return None
        metrics = self.members[0].metrics
        if metrics is None or not metrics.relative_l2 or not math.isfinite(metrics.relative_l2):
            return None
        return metrics.relative_l2

    @property
    def word(self) -> str:
        """What stands in place of a dot."""
        if len(self.members) > 1:
            return f"{len(self.members)} identical"
        (only,) = self.members
        metrics = only.metrics
        largest = metrics.max_abs if metrics else None
        if isinstance(largest, float) and not math.isfinite(largest):
            return "NaN or Inf on one side"
        if metrics and metrics.l2 and metrics.relative_l2 is None:
            return "from all zeros"
        words = [only.status.value if only.status else "not known", structure_change(only)]
        if only.status is DiffStatus.CHANGED and metrics:
            return "" if metrics.l2 is not None else "changed"
        return " ".join(filter(None, words))


def dot_rows(variables: Sequence[VariableDiff]) -> list[DotRow]:
    """Give the rows: the model's variables, or all where it has none; long still runs folded."""
    chosen = [v for v in variables if v.role in MODEL_ROLES] or list(variables)
    runs: list[list[VariableDiff]] = []
    for variable in chosen:
        if runs and _layer(runs[-1][0]) == _layer(variable):
            runs[-1].append(variable)
        else:
            runs.append([variable])
    rows: list[DotRow] = []
    for group, run in enumerate(runs):
        is_still = all(v.status is DiffStatus.IDENTICAL for v in run)
        if is_still and len(run) > _FOLDED:
            rows.append(DotRow(f"{_layer(run[0])}/**", tuple(run), group))
        else:
            rows += [DotRow(_label(v), (v,), group) for v in run]
    return rows


def _layer(variable: VariableDiff) -> str:
    return safe_text(variable.name.rpartition("/")[0])


def _label(variable: VariableDiff) -> str:
    old = variable.renamed_from
    name = safe_text(variable.name)
    return name if old is None else f"{safe_text(old)} → {name}"


# One variable before and after: both distributions, and that of the differences.

_HEIGHT = 2.8
_PANELS_TOP = 1.0
_PANEL_HEIGHT = 1.4
_LEFT = 0.5
_GAP = 0.62
_PANEL_WIDTH = (WIDTH - MARGIN - _LEFT - _GAP) / 2


def has_difference(variable: VariableDiff) -> bool:
    """Tell whether a variable has real numbers of one shape on both sides, to be drawn."""
    metrics = variable.metrics
    is_real = metrics is not None and metrics.sign_flips is not None
    return is_real and None not in (variable.a, variable.b) and not variable.permutation


def plot_difference(
    result: CheckpointDiff, variable: VariableDiff, difference: Difference, *, palette: Palette
) -> Figure:
    """Draw the values of both sides on common bins, and their differences around 0.

    Args:
        result: the diff that the variable is of.
        variable: one that is on both sides.
        difference: its histograms.
        palette: light or dark.
    """
    with drawing(palette):
        sheet = Sheet(_HEIGHT, palette)
        facts = [f"{safe_text(result.a)} → {safe_text(result.b)}"]
        if variable.b is not None:
            facts += [str(variable.b.dtype), shape_text(variable.shape)]
        sheet.title(safe_text(variable.name), facts)
        _draw_values(sheet, difference)
        _draw_moved(sheet, difference)
        sheet.note([_metrics(variable)])
    return sheet.figure


def _metrics(variable: VariableDiff) -> str:
    metrics = variable.metrics
    if metrics is None:
        return ""
    parts = [f"{count(metrics.changed_elements)} of {count(variable.elements)} elements changed"]
    for word, value in (
        ("max", metrics.max_abs),
        ("mean", metrics.mean_abs),
        ("relative L2", metrics.relative_l2),
    ):
        if value is not None:
            parts.append(f"{word} {number(float(value))}")
    if metrics.cosine is not None:
        parts.append(f"cosine {number(metrics.cosine, 4)}")
    if metrics.sign_flips is not None:
        parts.append(f"sign flips {count(metrics.sign_flips)}")
    return "  ·  ".join(parts)


def _draw_values(sheet: Sheet, difference: Difference) -> None:
    palette = sheet.palette
    axes = _panel(sheet, _LEFT, "values", ticks_of=max(*difference.before, *difference.after, 1))
    edges = np.array(difference.edges)
    _value_axis(axes, edges)
    draw_stairs(axes, np.array(difference.after), edges, palette, width=1.2)
    before = axes.stairs(np.array(difference.before), edges, color=palette.ink, lw=0.9)
    before.set(linestyle=(0, (4, 2)), gid="ckread:before")
    right = _LEFT + _PANEL_WIDTH
    key = sheet.axes(_LEFT, _PANELS_TOP - 0.36, _PANEL_WIDTH, 0.16)
    key.set_axis_off()
    key.set(xlim=(0, _PANEL_WIDTH), ylim=(0, 1))
    for word, color, style in (
        ("after", palette.data, "-"), ("before", palette.ink, (0, (4, 2))),
    ):  # fmt: skip
        width = text_width(word, TEXT_SIZE)
        sheet.text(right, _PANELS_TOP - 0.28, word, ha="right", va="center_baseline")
        end = right - width - 0.06 - _LEFT
        key.plot([end - 0.26, end], [0.5, 0.5], color=color, lw=1.1, ls=style)
        right -= width + 0.5


def _draw_moved(sheet: Sheet, difference: Difference) -> None:
    left = _LEFT + _PANEL_WIDTH + _GAP
    heading = "differences, after − before"
    axes = _panel(sheet, left, heading, ticks_of=max(*difference.moved, 1))
    edges = np.array(difference.moved_edges)
    _value_axis(axes, edges)
    if any(difference.moved):
        draw_stairs(axes, np.array(difference.moved), edges, sheet.palette, width=1.2)
    left_out = []
    if difference.unchanged:
        left_out.append(f"{count(difference.unchanged)} unchanged left out")
    if difference.not_finite:
        left_out.append(f"{count(difference.not_finite)} not finite")
    if left_out:
        right, soft = left + _PANEL_WIDTH, sheet.palette.soft
        text = ", ".join(left_out)
        sheet.text(right, _PANELS_TOP - 0.28, text, color=soft, ha="right", va="center_baseline")


def _panel(sheet: Sheet, left: float, heading: str, *, ticks_of: int) -> Axes:
    x = left - 0.36
    sheet.text(
        x, _PANELS_TOP - 0.42, heading, size=HEADING_SIZE, weight="bold", va="center_baseline"
    )
    soft = sheet.palette.soft
    sheet.text(x, _PANELS_TOP - 0.28, "elements per bin", color=soft, va="center_baseline")
    axes = sheet.axes(left, _PANELS_TOP - 0.12, _PANEL_WIDTH, _PANEL_HEIGHT)
    axes.set_ylim(0, ticks_of * 1.08)
    ticks = [tick for tick in value_ticks(0, ticks_of * 1.08, 1.2) if tick == round(tick)]
    axes.set_yticks(ticks, [count(round(tick)) for tick in ticks])
    axes.grid(axis="y")
    axes.set_gid(f"ckread:panel:{heading.split(',')[0]}")
    return axes


def _value_axis(axes: Axes, edges: NDArray[np.float64]) -> None:
    low, high = float(edges[0]), float(edges[-1])
    set_value_axis(axes, low, high, _PANEL_WIDTH)
    if low < 0 < high:
        color = axes.xaxis.get_ticklines()[0].get_color()
        axes.axvline(0, color=color, lw=0.7, ls=(0, (1, 2)), zorder=3)
