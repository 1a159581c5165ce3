"""How far every variable moved, along the model: dots on a logarithmic axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.diff.records import NEARLY, DiffStatus, PairedBy
from ckread.model.display import safe_text
from ckread.model.role import Role
from ckread.views.diff.page import MODEL_ROLES, structure_change, verdict
from ckread.views.figures.axes import (
    decades_of,
    draw_stairs,
    draw_zero,
    set_count_heights,
    set_distance_axis,
)
from ckread.views.figures.sheet import (
    MARGIN,
    NOTE_PITCH,
    WIDTH,
    Caption,
    Sheet,
    new_sheet,
    page_words,
)
from ckread.views.figures.style import HEADING_SIZE, TEXT_SIZE, Palette
from ckread.views.figures.text import (
    column,
    count,
    fit_names,
    fits,
    number,
    set_value_axis,
    text_width,
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
    """Draw pages of rows, one per variable of the model, identical subtrees folded."""
    rows = dot_rows(result.variables)
    places = range(len(rows))
    pages = [places[i : i + ROWS] for i in range(0, len(rows), ROWS)] or [places]
    limits = decades_of(row.relative for row in rows)
    facts = [f"{safe_text(result.a)} → {safe_text(result.b)}"]
    facts.append("relative change ‖after − before‖ ÷ ‖before‖, log scale")
    caption = Caption(verdict(result), facts, palette, notes)
    figures = []
    for i, page in enumerate(pages):
        place, others = page_words(i, pages, "rows")
        shown = [rows[row] for row in page]
        figures.append(_draw_page(caption.but(place, notes=others), shown, limits))
    return figures


def _draw_page(caption: Caption, rows: Sequence[DotRow], limits: tuple[int, int]) -> Figure:
    # The middle of each row in inches from the top of the axes; layers lie apart.
    places, y = [], _ROW / 2
    is_layered = len({row.group for row in rows}) < len(rows)
    for i, row in enumerate(rows):
        if i and row.group != rows[i - 1].group and is_layered:
            y += _ROW / 2
        places.append(y)
        y += _ROW
    bottom = (places[-1] if places else 0) + _ROW / 2
    reading = [
        "Circle: weight. Diamond: statistic or moving average. Rows in the order of the model."
    ]
    height = _ROWS_TOP + bottom + 0.42 - NOTE_PITCH  # that of the first note
    with new_sheet(height, caption, reading) as sheet:
        sheet.write_notes()
        left = MARGIN + _NAME_WIDTH + 0.08
        axes = sheet.axes(left, _ROWS_TOP, _AXIS_WIDTH, bottom)
        set_distance_axis(axes, limits, bottom)
        _write_rows(sheet, rows, places)
        for row, y in zip(rows, places, strict=True):
            _draw_row(sheet, axes, row, y, limits)
    return sheet.figure


def _write_rows(sheet: Sheet, rows: Sequence[DotRow], places: Sequence[float]) -> None:
    """Write name, relative distance and elements of each row."""
    names = [row.name for row in rows]
    if not all(fits(name, _NAME_WIDTH, size=TEXT_SIZE) for name in names):
        names = fit_names(names, _NAME_WIDTH, size=TEXT_SIZE)
    at: dict[str, Any] = {"ha": "right", "va": "center_baseline"}
    for row, text, y in zip(rows, names, places, strict=True):
        sheet.text(MARGIN + _NAME_WIDTH, _ROWS_TOP + y, text, gid=f"ckread:name:{row.name}", **at)
    relative_right, elements_right, soft = 6.35, WIDTH - MARGIN, sheet.palette.soft
    for right, heading in ((relative_right, "relative"), (elements_right, "elements")):
        sheet.text(right, _ROWS_TOP - 0.14, heading, color=soft, **at)
    for row, text, y in zip(rows, column([row.relative for row in rows]), places, strict=True):
        if text:
            sheet.text(relative_right, _ROWS_TOP + y, text, **at)
        elements = count(sum(v.elements for v in row.members))
        sheet.text(elements_right, _ROWS_TOP + y, elements, color=soft, **at)


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
        if only.status in (DiffStatus.CHANGED, *NEARLY) and metrics:
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
            for variable in run:
                name, old = safe_text(variable.name), variable.renamed_from
                label = name if old is None else f"{safe_text(old)} → {name}"
                if old is not None and variable.paired_by is PairedBy.AVERAGE_OF:
                    label = min(safe_text(old), name, key=len)  # the weight's, as in the table
                rows.append(DotRow(label, (variable,), group))
    return rows


def _layer(variable: VariableDiff) -> str:
    return safe_text(variable.name.rpartition("/")[0])


# One variable before and after: both distributions, and that of the differences.

_HEIGHT = 2.67
"""Inches without the note."""
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
    """Draw the values of both sides on common bins, and their differences around 0."""
    facts = [f"{safe_text(result.a)} → {safe_text(result.b)}"]
    if variable.b is not None:
        facts += [str(variable.b.dtype), shape_text(variable.shape)]
    caption = Caption(safe_text(variable.name), facts, palette)
    with new_sheet(_HEIGHT, caption, [_metrics(variable)]) as sheet:
        palette = sheet.palette
        axes = _panel(sheet, _LEFT, "values", n_most=max(*difference.before, *difference.after, 1))
        edges = np.array(difference.edges)
        _set_values(axes, edges, palette)
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
        _draw_moved(sheet, difference)
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


def _draw_moved(sheet: Sheet, difference: Difference) -> None:
    left = _LEFT + _PANEL_WIDTH + _GAP
    heading = "differences, after − before"
    axes = _panel(sheet, left, heading, n_most=max(*difference.moved, 1))
    edges = np.array(difference.moved_edges)
    _set_values(axes, edges, sheet.palette)
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


def _panel(sheet: Sheet, left: float, heading: str, *, n_most: int) -> Axes:
    x = left - 0.36
    sheet.text(
        x, _PANELS_TOP - 0.42, heading, size=HEADING_SIZE, weight="bold", va="center_baseline"
    )
    soft = sheet.palette.soft
    sheet.text(x, _PANELS_TOP - 0.28, "elements per bin", color=soft, va="center_baseline")
    axes = sheet.axes(left, _PANELS_TOP - 0.12, _PANEL_WIDTH, _PANEL_HEIGHT)
    set_count_heights(axes, n_most * 1.08, 1.2)
    axes.set_gid(f"ckread:panel:{heading.split(',')[0]}")
    return axes


def _set_values(axes: Axes, edges: NDArray[np.float64], palette: Palette) -> None:
    set_value_axis(axes, float(edges[0]), float(edges[-1]), _PANEL_WIDTH)
    draw_zero(axes, palette, zorder=3)
