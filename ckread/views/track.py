"""The page of `ckread track`: one number with bars, several with a curve each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.audit.records import seams_by_place
from ckread.model.display import named, safe_text, safe_word
from ckread.model.run.entries import ENTRY_FIELDS
from ckread.views.seams import has_lines, mark_line, place_sentence
from ckread.views.terminal.page import Page, PipedOnly, Prose, Span, TerminalOnly, heading
from ckread.views.terminal.table import POINT, RIGHT, Column, NarrowFooter, Table
from ckread.views.terminal.words import (
    ABSENT,
    ABSENT_WORD,
    SEAM,
    bar,
    curve,
    place,
    plural,
    value_text,
    value_word,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ckread.analysis.audit.records import Seam
    from ckread.analysis.track import RunTrack, TrackedValue
    from ckread.model.run.entries import RunEntry
    from ckread.views.terminal.page import Line

_BAR_CELLS = (8, 40)
_FIELDS = named(ENTRY_FIELDS)


class _Row(NamedTuple):
    """A checkpoint, or the curves above all of them."""

    at: int | None
    entry: RunEntry | None


def track_page(result: RunTrack) -> Page:
    """Lay out numbers over a run."""
    rows = [_Row(at, entry) for at, entry in enumerate(result.checkpoints)]
    n = plural(len(rows), "checkpoint")
    columns = _step_columns(result)
    seams = seams_by_place(result.seams, result.checkpoints)
    lines = {at: mark_line(seam) for at, seam in seams.items()} if has_lines(seams) else {}
    said_of_seams = [Prose(place_sentence(seams, result.checkpoints))] if seams else []

    def word(variable: TrackedValue) -> Callable[[_Row], str]:
        return lambda row: value_word(variable.values[row.at or 0])

    values: list[Column[_Row]] = [
        Column(title=safe_word(v.name), piped=word(v), justify=RIGHT) for v in result.variables
    ]
    if seams:
        values.append(Column(title="seam", piped=lambda row: _code(seams.get(row.at or 0))))
    piped = PipedOnly(Table([*columns, *values], rows))
    if len(result.variables) != 1:
        columns += [
            _value_column(v, rank=rank, seams=seams) for rank, v in enumerate(result.variables)
        ]
        below = {at + 1: line for at, line in lines.items()}
        table = Table(columns, [_Row(None, None), *rows], marks=below)
        meaning = "Each curve runs from its own smallest to its own largest value."
        meaning += f" {SEAM} a seam." if seams else ""
        title = heading(result.path, f"  {n}")
        head = [title, TerminalOnly(*said_of_seams)] if seams else [title]
        return Page(head, TerminalOnly(table), NarrowFooter(table, meaning), piped)
    [variable] = result.variables
    columns.append(_value_column(variable))
    known = [value for value in variable.values if value is not None and math.isfinite(value)]
    if known and (min(known) >= 0 or max(known) <= 0) and any(known):
        largest = max(map(abs, known))

        def draw(row: _Row, cells: int) -> Line:
            value = variable.values[row.at] if row.at is not None else None
            return (Span(bar(abs(value) / largest if value else 0.0, cells), "bar"),)

        columns.append(Column(title="", draw=draw, cells=_BAR_CELLS))
    title = heading(variable.name, f"  over {safe_text(result.path)}, {n}")
    said = [title, TerminalOnly(Prose(sentence(result)), *said_of_seams)]
    return Page(said, TerminalOnly(Table(columns, rows, marks=lines)), piped)


def _code(seam: Seam | None) -> str:
    return ABSENT_WORD if seam is None else str(seam.code)


def sentence(result: RunTrack) -> str:
    """Say from where to where the one number went."""
    [variable] = result.variables
    known = [
        (value, entry)
        for value, entry in zip(variable.values, result.checkpoints, strict=True)
        if value is not None
    ]
    if not known:
        return "It is in none of the checkpoints."
    entries = result.checkpoints
    (first, start), (last, stop) = known[0], known[-1]
    if all(value == first for value, _ in known):
        return f"{value_text(first)} in all of them."
    way = "down to" if last < first else "up to" if last > first else "and back to"
    text = f"From {value_text(first)} at {place(start, entries)}"
    text += f" {way} {value_text(last)} at {place(stop, entries)}"
    finite = [pair for pair in known if math.isfinite(pair[0])]
    for extreme, word in ((max, "largest"), (min, "smallest")):
        value, where = extreme(finite, key=lambda pair: pair[0], default=(first, start))
        if value not in (first, last):
            text += f", {word} {value_text(value)} at {place(where, entries)}"
    return f"{text}."


def _step_columns(result: RunTrack) -> list[Column[_Row]]:
    """Give the step, and the name beside it where steps alone do not tell which checkpoint."""
    steps = [entry.count for entry in result.checkpoints]
    names = [entry.name for entry in result.checkpoints]
    is_named = len(set(names)) == len(names)

    def step(row: _Row) -> str:
        if row.entry is None:
            return ""
        return ABSENT if row.entry.count is None else f"{row.entry.count:,}"

    def word(row: _Row) -> str:
        is_known = row.entry is not None and row.entry.count is not None
        return str(row.entry.count) if is_known and row.entry else ABSENT_WORD

    def name(row: _Row) -> str:
        return "" if row.entry is None else row.entry.name if is_named else row.entry.path

    unit = result.checkpoints[0].unit
    by_step: Column[_Row] = Column(title=unit, shown=step, piped=word, justify=RIGHT)
    by_name: Column[_Row] = Column(
        title="checkpoint",
        shown=lambda row: safe_text(name(row)),
        piped=lambda row: safe_word(name(row)),
    )
    if None not in steps and len(set(steps)) == len(steps):
        return [by_step]
    return [by_step, by_name] if any(s is not None for s in steps) else [by_name]


def _value_column(
    variable: TrackedValue, *, rank: int = 0, seams: Collection[int] = ()
) -> Column[_Row]:
    def shown(row: _Row) -> Line:
        if row.at is None:
            return (Span(curve(variable.values, seams=seams), "spark"),)
        value = variable.values[row.at]
        is_bad = value is not None and not math.isfinite(value)
        return (Span(value_text(value), "bad" if is_bad else ""),)

    return Column(title=safe_text(variable.name), shown=shown, justify=POINT, rank=rank)
