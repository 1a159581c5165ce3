"""One line per variable over the steps of a run: sparkline, movement, and notes in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.views.drawn import sparkline
from ckread.views.page import Span
from ckread.views.quantities import ABSENT, float_text, safe_text, share_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.analysis.drift_records import RunDrift, VariableDrift
    from ckread.model.run_entries import RunEntry
    from ckread.views.page import Line

UNCHANGED = "·"
NOT_FINITE = "×"
CHANGED = "▇"
MIN_CELLS, MAX_CELLS = 8, 24


def place(entry: RunEntry, among: Sequence[RunEntry] = ()) -> str:
    """Say which checkpoint: its step, and its name where it has none or shares it."""
    if entry.step is None:
        return safe_text(entry.name)
    alike = [other for other in among if other.step == entry.step]
    if len(alike) < 2:
        return f"step {entry.step:,}"
    is_named = len({other.name for other in alike}) == len(alike)
    return f"step {entry.step:,} ({safe_text(entry.name if is_named else entry.path)})"


def steps_title(result: RunDrift) -> str:
    """Give the heading of a sparkline: the steps it spans."""
    steps = [entry.step for entry in result.checkpoints[1:]]
    if not steps or steps[0] is None or steps[-1] is None:
        return "over the run"
    return f"{steps[0]:,} … {steps[-1]:,}" if len(steps) > 1 else f"{steps[0]:,}"


def steps_per_cell(n_checkpoints: int, cells: int) -> int:
    """Give how many steps a cell stands for."""
    return max(1, math.ceil((n_checkpoints - 1) / max(cells, 1)))


def step_line(variable: VariableDrift, cells: int) -> Line:
    """Draw the distance from the checkpoint before; a cell of several steps has the largest."""
    n = len(variable.present)
    group = steps_per_cell(n, cells)
    marks: list[str] = []
    sizes: list[float] = []
    for start in range(1, n, group):
        mark, size = _cell(variable, range(start, min(start + group, n)))
        marks.append(mark)
        sizes.append(size)
    drawn = sparkline([0.0 if math.isinf(size) else size for size in sizes])
    top = CHANGED
    glyphs = [
        mark or (top if math.isinf(size) or not variable.l2 else glyph)
        for mark, size, glyph in zip(marks, sizes, drawn, strict=True)
    ]
    spans: list[Span] = []
    for glyph in glyphs:
        style = "bad" if glyph == NOT_FINITE else "muted" if glyph == UNCHANGED else "spark"
        if spans and spans[-1].style == style:
            spans[-1] = Span(spans[-1].text + glyph, style)
        else:
            spans.append(Span(glyph, style))
    return tuple(spans)


def _cell(variable: VariableDrift, indices: range) -> tuple[str, float]:
    """Give the mark of a cell, or else the size of what it draws."""
    if any(not variable.is_finite_at(i) for i in indices):
        return NOT_FINITE, 0.0
    sizes = [size for i in indices if (size := _size(variable, i)) is not None]
    if any(sizes):
        return "", max(sizes)
    return (UNCHANGED if sizes else " "), 0.0


def _size(variable: VariableDrift, index: int) -> float | None:
    """Give how far it moved in one step: 0 where it did not, None where nothing tells."""
    changed = variable.changed[index]
    if changed is False or not variable.present[index]:
        return None if not variable.present[index] else 0.0
    if not variable.from_previous:
        return 1.0 if changed else None
    distance = variable.from_previous[index]
    if distance is None or math.isnan(distance):
        return None
    return distance


def moved_text(moved: float | None) -> str:
    """Give how far it moved in all: `33.4 %`, `129 ×`, `from 0`, `–`."""
    if not moved:
        return ABSENT
    if math.isinf(moved):
        return "from 0"
    return "100.0 %" if moved == 1 else share_text(moved, 1)


def cosine_text(cosine: float | None) -> str:
    """Give a cosine with four decimals; 1 only where it is."""
    if cosine is None or math.isnan(cosine):
        return ABSENT
    return ">0.9999" if 0.99995 <= cosine < 1 else "1" if cosine == 1 else f"{cosine:.4f}"


def norm_text(values: Sequence[float | None], *, first: bool) -> str:
    """Give the first or the last norm that there is."""
    known = [value for value in values if value is not None]
    return float_text(known[0 if first else -1]) if known else ABSENT


def note_of(variable: VariableDrift, result: RunDrift) -> str:
    """Say in words what stands out: where it is absent, when it began to change and stopped."""
    entries = result.checkpoints
    first = variable.present.index(True)
    last = len(entries) - 1 - variable.present[::-1].index(True)
    notes = []
    if first:
        notes.append(f"absent before {place(entries[first], entries)}")
    if last < len(entries) - 1:
        notes.append(f"absent after {place(entries[last], entries)}")
    change = variable.first_change
    if change is None:
        notes.append("unchanged" if variable.changed.count(False) else "")
    elif variable.changed[first + 1 : change].count(False):
        notes.append(f"unchanged to {place(entries[change - 1], entries)}")
    if change is not None and variable.changed[-1] is False:
        stop = len(entries) - 1 - variable.changed[::-1].index(True)
        notes.append(f"unchanged since {place(entries[stop], entries)}")
    return ", ".join(filter(None, notes))


def failure_text(variable: VariableDrift, result: RunDrift) -> str:
    """Say from when it is not finite, and how much of it: `step 6  all inf`."""
    index = variable.first_nonfinite
    if index is None:
        return ""
    nan, infinite = variable.nan[index], variable.infinite[index]
    what = "NaN" if nan and not infinite else "inf" if infinite and not nan else "NaN or inf"
    share = share_text(nan + infinite, variable.elements)
    return f"{place(result.checkpoints[index], result.checkpoints)}  {share} {what}"
