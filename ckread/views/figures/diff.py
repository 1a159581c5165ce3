"""How far every variable moved, along the model: dots on a logarithmic axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.role import Role
from ckread.views.diff_verdict import verdict
from ckread.views.figures.diff_rows import DotRow, dot_rows
from ckread.views.figures.distance_axis import decades_of, set_distance_axis
from ckread.views.figures.names import fit_names, fits
from ckread.views.figures.numbers import column, count
from ckread.views.figures.sheet import MARGIN, WIDTH, Sheet, page_words
from ckread.views.figures.style import Palette, drawing
from ckread.views.quantities import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.diff_records import CheckpointDiff

ROWS = 60
"""Rows of a page."""
_ROW = 0.17
_TOP = 0.84
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
    sheet = Sheet(_TOP + bottom + 0.42 + 0.13 * len(notes), palette)
    sheet.title(title, facts)
    reading = (
        "Circle: weight. Diamond: statistic or moving average. Rows in the order of the model."
    )
    sheet.note([reading, *notes])
    left = MARGIN + _NAME_WIDTH + 0.08
    axes = sheet.axes(left, _TOP, _AXIS_WIDTH, bottom)
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
        sheet.text(right, _TOP + y, text, size=size, ha="right", va="center_baseline", gid=gid)


def _draw_numbers(sheet: Sheet, rows: Sequence[DotRow], places: Sequence[float]) -> None:
    relative_right, elements_right = 6.35, WIDTH - MARGIN
    for right, heading in ((relative_right, "relative"), (elements_right, "elements")):
        soft = sheet.palette.soft
        sheet.text(right, _TOP - 0.14, heading, color=soft, ha="right", va="center_baseline")
    texts = column([row.relative for row in rows])
    for row, text, y in zip(rows, texts, places, strict=True):
        at = _TOP + y
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
    sheet.text(x + 0.09, _TOP + y, row.word, color=ink, va="center_baseline", gid="ckread:word")
