"""Which checkpoints belong together: by base name, then by how they are built.

Base names that differ only in their numbers are a series. Within it, checkpoints
that hold the same variables are of one model. A model may change during a run, a
layer unfrozen, a vocabulary grown: so two groups that follow one another and share
most of their variables are one run, while groups that take turns are of several
models that were saved under one name.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckread.model.run_entries import RunEntry, numbers_of, pattern_of, stem_of
from ckread.model.scanning import step_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run_opening import Structure
    from ckread.model.run_paths import Place
    from ckread.readers.regular_file import FileIdentity

MOSTLY = 0.5
"""Share of the larger checkpoint's variables that two of one run have in common."""

NEARLY_ALL = 0.9
"""Or share of the smaller one's: optimizer state came or went."""


@dataclass(frozen=True, slots=True)
class Member:
    """A checkpoint that was opened once, for its entry and its place in a group.

    Attributes:
        place: where it lies.
        entry: as listed.
        structure: how it is built.
        counters: values of the counters that tell the step, best first.
        given: its place in the order given by the user.
        identified_by: the file that is a new one when the checkpoint is.
        identity: of that file, from before it was read.
        checkpoint: itself, with its data files closed, where it is remembered.
    """

    place: Place
    entry: RunEntry
    structure: Structure
    counters: tuple[int | None, ...]
    given: int
    identified_by: str = ""
    identity: FileIdentity | None = None
    checkpoint: Checkpoint | None = None


def group(members: Iterable[Member]) -> list[list[Member]]:
    """Give groups in order of step, the largest first, of equal ones that of more elements."""
    series: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for member in members:
        place = member.place
        name = pattern_of(place.path) if place.is_scanned else ""
        series[name, place.format if place.is_scanned else ""].append(member)
    groups = [found for same in series.values() for found in _by_structure(_in_order(same))]
    return sorted(groups, key=lambda found: (-len(found), -found[-1].entry.elements))


def _in_order(members: list[Member]) -> list[Member]:
    """Sort by step: that of the contents where all have one, else by the numbers of the names."""
    for rank in range(min(len(member.counters) for member in members)):
        steps = [member.counters[rank] for member in members]
        if None not in steps and (len(set(steps)) == len(steps) or (rank == 0 and _rises(members))):
            placed = [_with_step(m, step) for m, step in zip(members, steps, strict=True)]
            return sorted(placed, key=lambda m: (m.entry.step or 0, _name_order(m)))
    named = [_with_step(member, step_of(stem_of(member.place.path))) for member in members]
    if all(member.place.is_scanned for member in members):
        return sorted(named, key=_name_order)
    return sorted(named, key=lambda m: -1 if m.entry.step is None else m.entry.step)


def _rises(members: Sequence[Member]) -> bool:
    """Tell whether the best counter counts at all, so that equal values are equal steps."""
    return len({member.counters[0] for member in members}) > 1


def _name_order(member: Member) -> tuple[tuple[float, ...], float, int]:
    return numbers_of(member.place.path), member.entry.time or 0.0, member.given


def _with_step(member: Member, step: int | None) -> Member:
    return replace(member, entry=replace(member.entry, step=step))


def _by_structure(members: list[Member]) -> list[list[Member]]:
    """Part members, which are in order, by how they are built."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, member in enumerate(members):
        places[member.structure.number].append(place)
    groups: list[list[int]] = []
    for found in sorted(places.values()):
        before = groups[-1] if groups else []
        if before and before[-1] < found[0] and _is_alike(members[before[-1]], members[found[0]]):
            before += found
        else:
            groups.append(found)
    return [[members[place] for place in found] for found in groups]


def _is_alike(one: Member, other: Member) -> bool:
    a, b = one.structure.pairs, other.structure.pairs
    shared = len(a & b)
    return shared > MOSTLY * max(len(a), len(b)) or shared >= NEARLY_ALL * min(len(a), len(b)) > 0
