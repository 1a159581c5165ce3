"""The page of `ckread runs`: the checkpoints of a directory, or the models among them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from operator import attrgetter
from shlex import quote as quoted
from typing import TYPE_CHECKING, Any

from ckread.analysis.audit.records import seams_by_place
from ckread.model.display import by, named, safe_text
from ckread.model.evidence import Strength
from ckread.model.run.entries import ENTRY_FIELDS, RunEntry, RunGroup, RunState
from ckread.views.seams import has_lines, mark_line, place_sentence
from ckread.views.terminal.page import Page, PipedOnly, Prose, Span, TerminalOnly, footer, heading
from ckread.views.terminal.table import LEFT, RIGHT, Column, Table, number_columns
from ckread.views.terminal.words import (
    ABSENT,
    ABSENT_WORD,
    plural,
    size_cell,
    size_text,
    time_text,
    time_word,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckread.analysis.audit.records import Seam
    from ckread.model.run.run import Run
    from ckread.views.terminal.page import Block, Line

_FIELDS = named(ENTRY_FIELDS)
_STATE_STYLES: Mapping[RunState | None, str] = {
    RunState.UNTRACKED: "muted",
    RunState.STALE: "warning",
}
_COUNTED = {2: "two", 3: "three"}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class _Row:
    """A checkpoint in a table, and the letter of its group where there are several."""

    entry: RunEntry
    letter: str = ""


def runs_page(run: Run, *, show_all: bool = False, seams: Sequence[Seam] = ()) -> Page:
    """Lay out the checkpoints of a run; its groups alone where there are several models."""
    marks = seams_by_place(seams, run.entries)
    groups = run.groups
    rows = rows_of(run)
    titles = run.titles if len(groups) == 1 else ("step",)
    sentence = _several(groups)
    if len(groups) == 1:
        nbytes = size_text(sum(entry.nbytes or 0 for entry in run.entries))
        sentence = f"{plural(len(run), 'checkpoint')}{_span(run)}, {nbytes}. {_latest(run)}"
        if run.stale:
            sentence += f" The state file names {len(run.stale)} more that are not here."
    if marks:
        sentence += f" {place_sentence(marks, run.entries)}"
    head: list[Block] = [heading(run.path), Prose(sentence)]
    sections: list[Block] = []
    if len(groups) > 1:
        sections.append(TerminalOnly(_group_table(groups)))
    if len(groups) == 1 or show_all:
        sections.append(TerminalOnly(_table(rows, titles, seams)))
    entries = [entry for found in groups for entry in found.entries]
    sentences = []
    if len(groups) > 1:
        units = {entry.unit for entry in entries}
        sentences.append(f"first, last: {units.pop() if len(units) == 1 else 'step or epoch'}.")
        if len({found.model for found in groups}) < len(groups):
            sentences.append(_same_models(groups))
        n_untracked = sum(entry.state is RunState.UNTRACKED for entry in entries)
        if n_untracked:
            sentences.append(f"The state file does not name {n_untracked:,} of them.")
        if not show_all:
            sentences.append(f"{by('--all', '.groups')} lists all {len(entries):,}.")
    if len(groups) == 1:
        sentences += _told(run)
    if len(groups) == 1 or show_all:
        dated = [entry.is_dated_by_state for entry in entries]
        source = "the state file" if all(dated) else "the files"
        if any(dated) and not all(dated):
            source = "the state file, else from the files"
        sentences.append(f"saved: from {source}.")
    if marks:
        told = by(f"ckread check {quoted(run.path)} --every", "ckread.seams(run)")
        sentences.append(f"Seams: {told}.")
    meaning = footer(" ".join(sentences))
    return Page(head, *sections, meaning, PipedOnly(_table(rows, titles, seams)))


def rows_of(run: Run) -> list[_Row]:
    """Give all checkpoints, group by group; what is not there any more in its place."""
    groups = run.groups
    has_letters = len(groups) > 1
    rows = [
        _Row(entry, _letter(i) if has_letters else "")
        for i, found in enumerate(groups)
        for entry in found.entries
    ]
    stale = [_Row(entry) for entry in run.stale]
    if has_letters or not stale:
        return rows + stale
    return sorted(rows + stale, key=lambda row: (row.entry.numbers, row.entry.count or -1))


def _letter(i: int) -> str:
    return _LETTERS[i] if i < len(_LETTERS) else str(i + 1)


def _span(run: Run) -> str:
    """Say which steps, epochs or numbers the checkpoints are of."""
    counts = [entry.count for entry in run.entries if entry.count is not None]
    unit = run.entries[0].unit
    if not counts and len(run.titles) == 1 and len(run.entries[0].numbers) == 1:
        counts, unit = [entry.numbers[0] for entry in run.entries], run.titles[0]
        unit = unit if unit == "version" else "number"
    if len(counts) > 1:
        return f", {unit}s {counts[0]:,} to {counts[-1]:,}"
    if counts:
        return f", {unit} {counts[0]:,}"
    several = f", ordered by the {_COUNTED.get(len(run.titles), 'many')} numbers of their names"
    return several if len(run.titles) > 1 else ""


def _latest(run: Run) -> str:
    """Say which is the latest, and by what where that is in doubt."""
    last = run.entries[-1]
    entries = [entry for found in run.groups for entry in found.entries]
    latest = next((entry for entry in entries if entry.state is RunState.LATEST), None)
    is_one = len({os.path.dirname(entry.path) for entry in entries}) == 1
    by_step = safe_text(last.name if is_one else last.path)
    claim = next((one for one in run.claims if one.claim == "latest"), None)
    if claim is not None and claim.value is None:
        return "Which is the latest is unknown."
    if latest is None or latest is last:
        return f"The latest is {by_step}."
    by_state = safe_text(latest.name if is_one else latest.path)
    how = f"by {last.unit}" if last.count is not None else "by its name"
    return f"The latest by the state file is {by_state}, {how} {by_step}."


def _several(groups: Sequence[RunGroup]) -> str:
    """Say how many models there are, and whether one was saved under several names."""
    entries = [entry for found in groups for entry in found.entries]
    nbytes = size_text(sum(entry.nbytes or 0 for entry in entries))
    latest = next((entry for entry in entries if entry.state is RunState.LATEST), None)
    by_state = f" The latest by the state file is {safe_text(latest.name)}." if latest else ""
    n_models = len({found.model for found in groups})
    models = f"{n_models} different models" if n_models > 1 else "one and the same model"
    sizes = [(len(found.entries), found.latest.elements) for found in groups]
    is_largest = sizes[0] > max(sizes[1:], default=(0, 0))
    under = "" if n_models == len(groups) else f" under {len(groups)} names"
    return (
        f"{plural(len(entries), 'checkpoint')} of {models}{under}, {nbytes}."
        f"{by_state} drift and track take {'the largest group, ' if is_largest else 'group '}A."
    )


def _same_models(groups: Sequence[RunGroup]) -> str:
    """Name the groups that hold one model, and say how to take them together."""
    by_model: dict[int, list[str]] = {}
    for i, found in enumerate(groups):
        by_model.setdefault(found.model, []).append(_letter(i))
    same = [letters for letters in by_model.values() if len(letters) > 1]
    named = "; ".join(f"{', '.join(some[:-1])} and {some[-1]}" for some in same[:3])
    return (
        f"{named} hold the same model, by names, shapes and types of its parameters: give their "
        "files by name to take them together."
    )


def _told(run: Run) -> list[str]:
    """Say what told the steps, unless the files hold them; and what is not known."""
    sentences = []
    for claim in run.claims[:1]:
        if claim.strength is Strength.NAMED:
            sentences.append(f"{claim.claim}s: by {safe_text(claim.source)}.")
        elif claim.strength is Strength.UNKNOWN and len(run.titles) > 1:
            sentences.append(f"{', '.join(run.titles)}: from the names. {claim.source}")
        elif claim.strength is Strength.UNKNOWN and len(run) > 1:
            text = safe_text(claim.source)
            sentences.append(text if text.endswith(".") else f"{claim.claim}s: unknown; {text}.")
    return sentences


def _group_table(groups: Sequence[RunGroup]) -> Table[tuple[str, RunGroup]]:
    is_shared = len({found.model for found in groups}) < len(groups)
    columns: list[Column[tuple[str, RunGroup]]] = [
        Column(title="group", shown=lambda row: row[0]),
        Column(title="model", shown=(lambda row: str(row[1].model + 1)) if is_shared else None),
        Column(title="checkpoints", shown=lambda row: f"{len(row[1].entries):,}", justify=RIGHT),
        Column(title="first", shown=lambda row: _count(row[1].entries[0]), justify=RIGHT),
        Column(title="last", shown=lambda row: _count(row[1].latest), justify=RIGHT),
        Column(
            title="variables",
            shown=lambda row: f"{row[1].latest.variables:,}",
            justify=RIGHT,
            rank=1,
        ),
        Column(title="elements", shown=lambda row: f"{row[1].latest.elements:,}", justify=RIGHT),
        Column(title="bytes each", shown=lambda row: _size(row[1].latest), justify=RIGHT, rank=2),
        Column(title="latest", shown=lambda row: safe_text(row[1].latest.name), from_width=100),
    ]
    return Table(columns, [(_letter(i), found) for i, found in enumerate(groups)])


def _table(rows: Sequence[_Row], titles: Sequence[str], seams: Sequence[Seam]) -> Table[_Row]:
    marks = seams_by_place(seams, [row.entry for row in rows])
    codes = {rows[at].entry.path: str(seam.code) for at, seam in marks.items()}
    is_one = len({os.path.dirname(row.entry.path) for row in rows}) == 1
    with_group = any(row.letter for row in rows)
    entries = [row.entry for row in rows]

    def of(name: str, **look: Any) -> Column[_Row]:
        return Column.of(_FIELDS[name], attrgetter("entry"), **look)

    def iterations(row: _Row) -> str:
        return "" if row.entry.iterations is None else f"{row.entry.iterations:,}"

    def state(row: _Row) -> Line:
        return (Span(row.entry.state or "", _STATE_STYLES.get(row.entry.state, "")),)

    numbers = number_columns(titles, entries, attrgetter("entry"))
    if all(entry.step is None for entry in entries):
        numbers.append(Column(title="step", piped=lambda _: ABSENT_WORD, justify=RIGHT))
    columns: list[Column[_Row]] = [
        *numbers,
        of(
            "path", title="checkpoint", folds=True,
            shown=lambda row: safe_text(row.entry.name if is_one else row.entry.path),
        ),
        of(
            "iterations", rank=2,
            shown=iterations if any(e.iterations is not None for e in entries) else None,
        ),
        of(
            "time", title="saved", justify=LEFT, rank=1,
            shown=lambda row: "" if row.entry.time is None else time_text(row.entry.time),
            piped=lambda row: (
                ABSENT_WORD if row.entry.time is None else time_word(row.entry.time)
            ),
        ),
        of("nbytes", title="bytes", shown=lambda row: _size(row.entry)),
        Column(title="state file", shown=state if any(e.state for e in entries) else None),
        of("state"),
        Column(
            title="group", shown=(lambda row: row.letter) if with_group else None,
            piped=(lambda row: row.letter or ABSENT_WORD) if with_group else None,
        ),
    ]  # fmt: skip
    if marks:
        columns.append(
            Column(title="seam", piped=lambda row: codes.get(row.entry.path, ABSENT_WORD))
        )
    lines = {at: mark_line(seam) for at, seam in marks.items()} if has_lines(marks) else {}
    return Table(columns, rows, marks=lines)


def _count(entry: RunEntry) -> str:
    return ABSENT if entry.count is None else f"{entry.count:,}"


def _size(entry: RunEntry) -> str:
    return "" if entry.nbytes is None else size_cell(entry.nbytes)
