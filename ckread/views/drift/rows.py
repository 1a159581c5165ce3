"""One line per variable over the steps of a run: sparkline, movement, and notes in words."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ckread.analysis.drift.records import with_causes
from ckread.model.display import are_one, column_of, is_there, rows_where, safe_text
from ckread.model.role import Role
from ckread.views.terminal.page import Span
from ckread.views.terminal.words import (
    ABSENT,
    SEAM,
    UNRELATED,
    count_text,
    float_text,
    listed,
    near_zero,
    place,
    plural,
    share_in_words,
    share_text,
    some_of,
    sparkline,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ckread.analysis.drift.records import RunDrift, VariableDrift
    from ckread.views.terminal.page import Line


UNCHANGED = "·"
NOT_FINITE = "×"
CHANGED = "▇"
MIN_CELLS, MAX_CELLS = 8, 24


def steps_title(result: RunDrift) -> str:
    """Give the heading of a sparkline: the steps it spans."""
    steps = [entry.count for entry in result.checkpoints[1:]]
    if not steps or steps[0] is None or steps[-1] is None:
        return "over the run"
    return f"{steps[0]:,} … {steps[-1]:,}" if len(steps) > 1 else f"{steps[0]:,}"


def steps_per_cell(n_checkpoints: int, cells: int) -> int:
    """Give how many steps a cell stands for."""
    return max(1, math.ceil((n_checkpoints - 1) / max(cells, 1)))


def step_line(variable: VariableDrift, cells: int, seams: Collection[int] = ()) -> Line:
    """Draw the distance from the checkpoint before; a cell of several steps has the largest.

    Before the cell of a checkpoint at which a seam is there is one more.
    """
    n = len(variable.present)
    group = steps_per_cell(n, cells - len(seams))
    marks: list[str] = []
    sizes: list[float] = []
    for start in range(1, n, group):
        indices = range(start, min(start + group, n))
        found = [size for i in indices if (size := _size(variable, i)) is not None]
        sizes.append(max(found, default=0.0))
        mark = "" if any(found) else UNCHANGED if found else " "
        marks.append(mark if all(map(variable.is_finite_at, indices)) else NOT_FINITE)
    drawn = sparkline([0.0 if math.isinf(size) else size for size in sizes])
    spans: list[Span] = []
    cut = {(at - 1) // group for at in seams}
    for cell, (mark, size, glyph) in enumerate(zip(marks, sizes, drawn, strict=True)):
        if cell in cut:
            spans.append(Span(SEAM))
        shown = mark or (CHANGED if math.isinf(size) or not variable.l2 else glyph)
        style = "bad" if shown == NOT_FINITE else "muted" if shown == UNCHANGED else "spark"
        if spans and spans[-1].style == style:
            spans[-1] = Span(spans[-1].text + shown, style)
        else:
            spans.append(Span(shown, style))
    return tuple(spans)


def _size(variable: VariableDrift, index: int) -> float | None:
    """Give how far it moved in one step: 0 where it did not, None where nothing tells."""
    changed = variable.changed[index]
    if changed is False or not variable.present[index]:
        return None if not variable.present[index] else 0.0
    if not variable.from_previous:
        return 1.0 if changed else None
    distance = variable.from_previous[index]
    return None if distance is None or math.isnan(distance) else distance


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
        notes.append(variable.initial or "")
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


# What a run did to its variables, in a few sentences.

_FEW = 3


def verdict(result: RunDrift) -> str:
    """Give the verdict: a blow-up first; else what moved most, and what did not change."""
    if not result.variables:
        return "Nothing to follow: no variable of the run is asked for."
    if len(result.checkpoints) == 1:
        return "One checkpoint alone: nothing to compare it with."
    failed = rows_where(with_causes(result), "first_nonfinite", is_there)
    if failed:
        groups: dict[tuple[int, str], list[VariableDrift]] = defaultdict(list)
        for variable in failed:
            groups[variable.first_nonfinite or 0, _kind(variable)].append(variable)
        entries = result.checkpoints
        totals = Counter(_kind(variable) for variable in result.variables)
        clauses = [
            _clause(members, totals[kind], kind, place(entries[index], entries))
            for (index, kind), members in sorted(
                groups.items(),
                # What a model loses before what its optimizer does, then by checkpoint.
                key=lambda group: (not group[1][0].role.is_parameter, *group[0]),
            )
        ]
        first = min(index for index, _ in groups)
        rest = f", {len(clauses) - _FEW} more groups" if len(clauses) > _FEW else ""
        good = "No checkpoint has finite values only."
        if first:
            name = safe_text(entries[first - 1].name)
            good = f"{name} is the last one with finite values only."
        return f"not finite: {', '.join(clauses[:_FEW])}{rest}. {good}"
    finite = "" if result.index_only else "All values are finite."
    sentences = [_moved_most(result), *_unchanged(result), finite]
    names = "role", "cosine_to_first", "shape"
    told = zip(*(column_of(result.variables, name) for name in names), strict=True)
    weights = ((cosine, shape) for role, cosine, shape in told if role is Role.WEIGHT)
    if near_zero((cosine[-1], shape) for cosine, shape in weights if cosine):
        sentences.insert(1, f"From first to last the weights differ, {UNRELATED}.")
    return " ".join(filter(None, sentences))


def _moved_most(result: RunDrift) -> str:
    n_changed = sum(map(is_there, column_of(result.variables, "first_change")))
    total = len(result.variables)
    if not n_changed:
        return f"None of {plural(total, 'variable')} changed."
    if result.index_only:
        return f"{some_of(n_changed, total, 'variable')} changed."
    told = zip(
        *(column_of(result.variables, name) for name in ("moved", "name", "role")), strict=True
    )
    every = [one for one in told if one[0]]
    moved = [one for one in every if one[2].is_parameter] or every
    measured = [one for one in moved if math.isfinite(one[0])]
    if not measured:
        return f"{safe_text(moved[0][1])} moved, from 0." if moved else ""
    far, name, _ = max(measured)
    how = f"{share_in_words(far)} of"
    if far >= 1.5:  # in two digits, up to 10,000
        times = f"{float(f'{far:.1e}'):,.{1 if far < 9.95 else 0}f}".removesuffix(".0")
        how = f"{float_text(far) if far >= 1e4 else times} times"
    if total == 1:
        return f"{safe_text(name)} moved by {how} its first norm."
    return f"{safe_text(name)} moved most: {how} its first norm."


def _unchanged(result: RunDrift) -> list[str]:
    """Say what never changed, and what began late."""
    by_start: dict[int | None, list[str]] = defaultdict(list)
    stopped: dict[int, list[str]] = defaultdict(list)
    names = column_of(result.variables, "name")
    fields = ("first_change", "present", "changed")
    columns = [column_of(result.variables, field) for field in fields]
    if all(map(are_one, columns)) and columns[0][0] == 1 and all(columns[2][0][1:]):
        return []  # all changed from the first on, and to the last
    for name, start, present, changed in zip(names, *columns, strict=True):
        if start is None and changed.count(False):
            by_start[None].append(name)
        elif start is not None and False in changed[present.index(True) : start]:
            by_start[start].append(name)
        if start is not None and changed[-1] is False:
            last = len(changed) - 1 - changed[::-1].index(True)
            stopped[last].append(name)
    sentences = []
    if by_start[None] and len(by_start[None]) < len(names):
        sentences.append(f"{_named(by_start.pop(None), names)} never changed.")
    by_start.pop(None, None)
    looks = Counter(filter(None, column_of(result.variables, "initial")))
    if looks:
        told = listed(
            [f"{n:,} {'is' if n == 1 else 'are'} {look}" for look, n in looks.most_common()]
        )
        sentences.append(f"Of what never changed {told}.")
    for start, late in sorted(by_start.items(), key=lambda item: -len(item[1]))[:1]:
        at = place(result.checkpoints[start or 0], result.checkpoints)
        sentences.append(f"{_named(late, names)} did not change before {at}.")
    for last, early in sorted(stopped.items(), key=lambda item: -len(item[1]))[:1]:
        since = place(result.checkpoints[last], result.checkpoints)
        sentences.append(f"{_named(early, names)} did not change after {since}.")
    return sentences


def _named(some: Sequence[str], all_names: Collection[str]) -> str:
    """Name variables by subtrees where few say it, else by their number."""
    subtrees = subtrees_of(some, all_names)
    if len(subtrees) <= _FEW:
        return listed([safe_text(name) for name in subtrees])
    return f"{count_text(len(some))} of {plural(len(all_names), 'variable')}"


def subtrees_of(some: Sequence[str], all_names: Collection[str]) -> list[str]:
    """Give the largest subtrees that hold `some` of all names and no others: `conv1/**`."""
    others = set(all_names) - set(some)
    mixed = {
        "/".join(parts[:depth])
        for parts in (name.split("/") for name in others)
        for depth in range(1, len(parts))
    }
    found: Counter[str] = Counter()
    for name in some:
        parts = name.split("/")
        scopes = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        scope = next((scope for scope in scopes if scope not in mixed), None)
        found[name if scope is None else f"{scope}/**"] += 1
    single = {name.rpartition("/")[0]: name for name in some}
    return [
        single.get(pattern[:-3], pattern) if count == 1 else pattern
        for pattern, count in found.items()
    ]


def _kind(variable: VariableDrift) -> str:
    if variable.role is Role.SLOT and variable.slot:
        return f"{safe_text(variable.slot)} slot"
    return str(variable.role)


def _clause(members: Sequence[VariableDrift], total: int, kind: str, where: str) -> str:
    whats, is_whole = set(), True
    for variable in members:
        index = variable.first_nonfinite or 0
        nan, infinite = variable.nan[index] or 0, variable.infinite[index] or 0
        only_one = "NaN" if nan and not infinite else "infinite" if infinite and not nan else ""
        whats.add(only_one or "not finite")
        is_whole &= nan + infinite == variable.elements
    what = whats.pop() if len(whats) == 1 else "not finite"
    verb = ("is" if len(members) == 1 else "are") + ("" if is_whole else " in part")
    if len(members) == 1:
        return f"{safe_text(members[0].name)} {verb} {what} at {where}"
    share = f"{len(members):,} of {total:,}" if total > len(members) else f"{len(members):,}"
    return f"{share} {kind}s {verb} {what} at {where}"
