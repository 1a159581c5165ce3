"""Many variables over the steps of a run: a map of cells, in the order of the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from ckread.views.figures.drift_cells import Cells, cells_of, kinds_of, limits
from ckread.views.figures.drift_key import draw_key
from ckread.views.figures.drift_layout import Layout, lay_out, write_names
from ckread.views.figures.drift_marks import DOTTED_FROM, draw_bars, draw_cells, draw_rate, has_rate
from ckread.views.figures.names import text_width
from ckread.views.figures.sheet import MARGIN, NOTE_PITCH, WIDTH, Sheet, note_lines
from ckread.views.figures.steps import axis_word, even_ticks, labels
from ckread.views.figures.style import LABEL_SIZE, TEXT_SIZE, Palette, drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ckread.analysis.drift_records import RunDrift, VariableDrift

Alignment = Literal["left", "center", "right"]

MAX_ROWS = 450

_BARS_WIDTH, _MAX_BARS_WIDTH, _BARS_GAP = 0.72, 1.6, 0.2
_MAX_COLUMN = 0.5
_LABEL_GAP = 0.1


def plot_map(
    result: RunDrift,
    variables: Sequence[VariableDrift],
    *,
    title: str,
    evidence: Sequence[str],
    palette: Palette,
    notes: Sequence[str] = (),
) -> Figure:
    """Draw one page of at most 450 variables."""
    cells = cells_of(variables)
    with drawing(palette):
        layout = lay_out(variables, top=1.02 if has_rate(result) else 0.86)
        n_columns = cells.kinds.shape[1]
        room = WIDTH - MARGIN - layout.left - _BARS_WIDTH - _BARS_GAP
        width = min(room, _MAX_COLUMN * n_columns)
        lines = note_lines(_reading(result), *notes)
        height = layout.top + layout.depth + 1.16 + NOTE_PITCH * len(lines)
        sheet = Sheet(height, palette)
        sheet.title(title, evidence)
        axes = sheet.axes(layout.left, layout.top, width, layout.depth)
        axes.set_gid("ckread:map")
        scale = limits(cells.distances)
        draw_cells(axes, layout, cells, scale, palette, is_index=result.index_only)
        _set_axes(axes, layout, width, result, cells)
        write_names(sheet, layout)
        if has_rate(result):
            draw_rate(sheet, (layout.left, layout.top), width, result.learning_rate[cells.first :])
        if not result.index_only:
            x = layout.left + width + _BARS_GAP
            bars_width = min(WIDTH - MARGIN - x, _MAX_BARS_WIDTH)
            draw_bars(sheet, layout, variables, (x, bars_width))
        soft = palette.soft
        below = layout.top + layout.depth
        middle = layout.left + width / 2
        word = axis_word(result.checkpoints)
        sheet.text(middle, below + 0.2, word, size=LABEL_SIZE, color=soft, ha="center")
        is_dotted = layout.row_height >= DOTTED_FROM
        draw_key(
            sheet,
            kinds_of(cells, is_dotted=is_dotted),
            scale,
            below + 0.55,
            is_index=result.index_only,
        )
        sheet.note(lines)
    return sheet.figure


def _reading(result: RunDrift) -> str:
    sentences = ["Rows in the order of the model, columns: checkpoints."]
    if not result.index_only:
        sentences.append(
            "Bars: distance of the last from the first, ÷ ‖first‖; none where a variable never "
            "changed or was 0 at first."
        )
    return " ".join(sentences)


def _set_axes(axes: Axes, layout: Layout, width: float, result: RunDrift, cells: Cells) -> None:
    n = cells.kinds.shape[1]
    axes.set_xlim(0, n)
    axes.set_ylim(layout.depth, 0)
    axes.set_yticks([])
    entries = result.checkpoints[cells.first :]
    names = labels(entries)
    placed = _placed([((i + 0.5) * width / n, names[i]) for i in even_ticks(entries, width)], width)
    ticks = [place * n / width for place, _, _ in placed]
    axes.set_xticks(ticks, [name for _, name, _ in placed], parse_math=False)
    for label, (_, _, alignment) in zip(axes.get_xticklabels(), placed, strict=True):
        label.set_horizontalalignment(alignment)


def _placed(ticks: Sequence[tuple[float, str]], width: float) -> list[tuple[float, str, Alignment]]:
    """Align labels that would stick out inward; what then has no room loses its text."""
    placed: list[tuple[float, str, Alignment]] = []
    edge = math.inf
    for place, name in reversed(ticks):
        text = text_width(name, TEXT_SIZE)
        start = place - text / 2
        alignment: Alignment = "center"
        if place + text / 2 > width + 0.08:
            start, alignment = place - text, "right"
        elif start < -0.3:
            start, alignment = place, "left"
        has_room = start + text <= edge - _LABEL_GAP
        placed.append((place, name if has_room else "", alignment))
        edge = start if has_room else edge
    return placed[::-1]
