"""The page of `ckread runs`: the checkpoints of a directory, or the models among them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ckread.model.fields import named
from ckread.model.run.entries import ENTRY_FIELDS, RunEntry, RunGroup, RunState
from ckread.model.spelling import safe_text
from ckread.views.terminal.page import Page, PipedOnly, Prose, Span, TerminalOnly, footer, heading
from ckread.views.terminal.table import LEFT, RIGHT, Column, Table
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

    from ckread.model.run.run import Run
    from ckread.views.terminal.page import Block, Line

_FIELDS = named(ENTRY_FIELDS)
_STATE_STYLES: Mapping[RunState | None, str] = {
    RunState.UNTRACKED: "muted",
    RunState.STALE: "warning",
}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class _Row:
    """A checkpoint in a table, and the letter of its group where there are several."""

    entry: RunEntry
    letter: str = ""


def runs_page(run: Run, *, show_all: bool = False) -> Page:
    """Lay out the checkpoints of a run; its groups alone where there are several models."""
    groups = run.groups
    rows = rows_of(run)
    sentence = Prose(_several(groups) if len(groups) > 1 else _sentence(run))
    head: list[Block] = [heading(run.path), sentence]
    sections: list[Block] = []
    if len(groups) > 1:
        sections.append(TerminalOnly(_group_table(groups)))
    if len(groups) == 1 or show_all:
        sections.append(TerminalOnly(_table(rows)))
    meaning = footer(_meaning(groups, show_all=show_all))
    return Page(head, *sections, meaning, PipedOnly(_table(rows)))


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
    if has_letters:
        return rows + stale
    return sorted(rows + stale, key=lambda row: -1 if row.entry.step is None else row.entry.step)


def _letter(i: int) -> str:
    return _LETTERS[i] if i < len(_LETTERS) else str(i + 1)


def _sentence(run: Run) -> str:
    nbytes = size_text(sum(entry.nbytes or 0 for entry in run.entries))
    steps = [step for step in run.steps if step is not None]
    span = ""
    if len(steps) > 1:
        span = f", steps {steps[0]:,} to {steps[-1]:,}"
    elif steps:
        span = f", step {steps[0]:,}"
    stale = f" The state file names {len(run.stale)} more that are not here." if run.stale else ""
    return f"{plural(len(run), 'checkpoint')}{span}, {nbytes}. {_latest(run)}{stale}"


def _latest(run: Run) -> str:
    """Say which is the latest, and by what where that is in doubt."""
    last = run.entries[-1]
    entries = [entry for found in run.groups for entry in found.entries]
    latest = next((entry for entry in entries if entry.state is RunState.LATEST), None)
    is_one = len({os.path.dirname(entry.path) for entry in entries}) == 1
    by_step = safe_text(last.name if is_one else last.path)
    if latest is None or latest is last:
        return f"The latest is {by_step}."
    by_state = safe_text(latest.name if is_one else latest.path)
    return f"The latest by the state file is {by_state}, by step {by_step}."


def _several(groups: Sequence[RunGroup]) -> str:
    """Say how many models there are, and whether one was saved under several names."""
    entries = [entry for found in groups for entry in found.entries]
    nbytes = size_text(sum(entry.nbytes or 0 for entry in entries))
    latest = next((entry for entry in entries if entry.state is RunState.LATEST), None)
    by_state = f" The latest by the state file is {safe_text(latest.name)}." if latest else ""
    n_models = len({found.model for found in groups})
    models = f"{n_models} different models" if n_models > 1 else "one and the same model"
    under = "" if n_models == len(groups) else f" under {len(groups)} names"
    return (
        f"{plural(len(entries), 'checkpoint')} of {models}{under}, {nbytes}."
        f"{by_state} drift and track take the largest group, A."
    )


def _meaning(groups: Sequence[RunGroup], *, show_all: bool) -> str:
    entries = [entry for found in groups for entry in found.entries]
    sentences = []
    if len(groups) > 1:
        sentences.append("first, last: step.")
        if len({found.model for found in groups}) < len(groups):
            sentences.append(
                "model: equal where parameters have the same names, shapes and types; name "
                "the files themselves to take such groups together."
            )
        n_untracked = sum(entry.state is RunState.UNTRACKED for entry in entries)
        if n_untracked:
            sentences.append(f"The state file does not name {n_untracked:,} of them.")
        if not show_all:
            sentences.append(f"--all lists all {len(entries):,}.")
    if len(groups) == 1 or show_all:
        dated = [entry.is_dated_by_state for entry in entries]
        source = "the state file" if all(dated) else "the files"
        if any(dated) and not all(dated):
            source = "the state file, else from the files"
        sentences.append(f"saved: from {source}.")
    return " ".join(sentences)


def _group_table(groups: Sequence[RunGroup]) -> Table[tuple[str, RunGroup]]:
    is_shared = len({found.model for found in groups}) < len(groups)
    columns: list[Column[tuple[str, RunGroup]]] = [
        Column(title="group", shown=lambda row: row[0]),
        Column(title="model", shown=(lambda row: str(row[1].model + 1)) if is_shared else None),
        Column(title="checkpoints", shown=lambda row: f"{len(row[1].entries):,}", justify=RIGHT),
        Column(title="first", shown=lambda row: _step(row[1].entries[0]), justify=RIGHT),
        Column(title="last", shown=lambda row: _step(row[1].latest), justify=RIGHT),
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


def _table(rows: Sequence[_Row]) -> Table[_Row]:
    is_one = len({os.path.dirname(row.entry.path) for row in rows}) == 1
    with_group = any(row.letter for row in rows)
    entries = [row.entry for row in rows]

    def of(name: str, **look: Any) -> Column[_Row]:
        return Column.of(_FIELDS[name], attrgetter("entry"), **look)

    def iterations(row: _Row) -> str:
        return "" if row.entry.iterations is None else f"{row.entry.iterations:,}"

    def state(row: _Row) -> Line:
        return (Span(row.entry.state or "", _STATE_STYLES.get(row.entry.state, "")),)

    columns: list[Column[_Row]] = [
        of("step", shown=lambda row: _step(row.entry)),
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
    return Table(columns, rows)


def _step(entry: RunEntry) -> str:
    return ABSENT if entry.step is None else f"{entry.step:,}"


def _size(entry: RunEntry) -> str:
    return "" if entry.nbytes is None else size_cell(entry.nbytes)
