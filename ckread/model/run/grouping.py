"""Which checkpoints belong together: by base name, then by how they are built.

Base names that differ only in their numbers are a series. Within it, checkpoints
that hold the same variables are of one model. A model may change during a run, a
layer unfrozen, a vocabulary grown: so two groups that follow one another and share
most of their variables are one run, while groups that take turns, and differ in more
than a variable or two, are of several models that were saved under one name.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckread.model.paths.scanning import step_of
from ckread.model.run.entries import RunEntry, numbers_in, numbers_of, pattern_of, stem_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.opening import Structure
    from ckread.model.run.places import Place
    from ckread.readers.files import FileIdentity

MOSTLY = 0.5
"""Share of the larger checkpoint's variables that two of one run have in common."""

NEARLY_ALL = 0.9
"""Or share of the smaller one's: optimizer state came or went. Where checkpoints of two
structures take turns, share of the larger one's: a variable is absent in some of them."""

MAX_NAMED = 4
"""Groups that a note names."""


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
    groups = [found for same in _series(list(members)) for found in _by_structure(_in_order(same))]
    return sorted(groups, key=lambda found: (-len(found), -found[-1].entry.elements))


def _series(members: Sequence[Member]) -> Iterable[list[Member]]:
    """Part members by base name and format; a path that was named by itself joins what it can.

    Who names a path wants that checkpoint, whatever it is called: it goes with the
    series of its name, else with the only one, else with the others that were named.
    """
    series: dict[tuple[str, str], list[Member]] = defaultdict(list)
    scanned: list[tuple[str, str]] = []
    for member in sorted(members, key=lambda m: not m.place.is_scanned):
        own = (pattern_of(member.place.path), str(member.place.format))
        if member.place.is_scanned:
            scanned = list(dict.fromkeys([*scanned, own]))
        elif own not in scanned:
            own = scanned[0] if len(scanned) == 1 else ("", "")
        series[own].append(member)
    return series.values()


def _in_order(members: list[Member]) -> list[Member]:
    """Sort by step: that of the contents where all have one, else by the numbers of the names."""
    for rank in range(min(len(member.counters) for member in members)):
        steps = [member.counters[rank] for member in members]
        # The best counter may repeat: if it counts at all, equal values are equal steps.
        rises = rank == 0 and len(set(steps)) > 1
        if None not in steps and (len(set(steps)) == len(steps) or rises):
            placed = [_with_step(m, step) for m, step in zip(members, steps, strict=True)]
            return sorted(placed, key=lambda m: (m.entry.step or 0, _name_order(m)))
    named = []
    for member in members:
        step = step_of(stem_of(member.place.path))
        best = next(iter(member.counters), None)
        named.append(_with_step(member, best if step is None else step))
    if all(member.place.is_scanned for member in members):
        return sorted(named, key=_name_order)
    return sorted(named, key=lambda m: -1 if m.entry.step is None else m.entry.step)


def _name_order(member: Member) -> tuple[tuple[float, ...], tuple[float, ...], float, int]:
    """Order by the numbers of the name, then by those of the directories above it."""
    path, entry = member.place.path, member.entry
    return numbers_of(path), numbers_in(os.path.dirname(path)), entry.time or 0.0, member.given


def _with_step(member: Member, step: int | None) -> Member:
    return replace(member, entry=replace(member.entry, step=step))


def _by_structure(members: list[Member]) -> list[list[Member]]:
    """Part members, which are in order, by how they are built."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, member in enumerate(members):
        places[member.structure.number].append(place)
    groups: list[list[int]] = []
    for found in sorted(places.values()):
        joined = next((old for old in reversed(groups) if _is_one_run(members, old, found)), None)
        if joined is None:
            groups.append(found)
        else:
            joined[:] = sorted(joined + found)
    return [[members[place] for place in found] for found in groups]


def _is_one_run(members: Sequence[Member], old: Sequence[int], new: Sequence[int]) -> bool:
    """Tell whether a model changed during one run, and not two models were saved by turns."""
    before = next(place for place in reversed(old) if place < new[0])
    a, b = _variables(members[before].structure), _variables(members[new[0]].structure)
    shared, larger, smaller = len(a & b), max(len(a), len(b)), min(len(a), len(b))
    if old[-1] < new[0]:
        return shared > MOSTLY * larger or shared >= NEARLY_ALL * smaller > 0
    return shared >= NEARLY_ALL * larger > 0


def _variables(structure: Structure) -> frozenset[tuple[str, tuple[int, ...]]]:
    """Give name and shape of each variable: keys are those of a format."""
    names = structure.identities
    return frozenset((names[key].name, shape) for key, shape, _ in structure.tensors)


def models_of(groups: Sequence[Sequence[Member]]) -> list[int]:
    """Give a number for each group: equal ones hold the same model, under another name perhaps.

    Models are the same whose parameters have the same leaf names, shapes and types.
    """
    known: list[Counter[tuple[str, tuple[int, ...], str]]] = []
    numbers = []
    for found in groups:
        parameters = _parameters(found[-1].structure)
        if parameters not in known:
            known.append(parameters)
        numbers.append(known.index(parameters))
    return numbers


def _parameters(structure: Structure) -> Counter[tuple[str, tuple[int, ...], str]]:
    """Count the parameters by leaf name, shape and type; all variables where there are none."""
    identities = structure.identities
    found = Counter(
        (identities[key].name.rpartition("/")[2], shape, dtype)
        for key, shape, dtype in structure.tensors
        if identities[key].role.is_parameter
    )
    return found or Counter(
        (identities[key].name, shape, dtype) for key, shape, dtype in structure.tensors
    )


def grouping_note(groups: Sequence[Sequence[Member]]) -> str:
    """Say which group was taken and what the others are; nothing where there is one."""
    if len(groups) < 2:
        return ""
    total = sum(map(len, groups))
    n_models = len(set(models_of(groups)))
    of = f"{n_models} different models" if n_models > 1 else "one model"
    if n_models < len(groups):
        of += f" under {len(groups)} names"
    others = [_span(found) for found in groups[1 : 1 + MAX_NAMED]]
    more = len(groups) - 1 - len(others)
    rest = ", ".join(others) + (f" and {more} more groups" if more else "")
    return (
        f"Of {total} checkpoints of {of} the largest group was taken: "
        f"{_span(groups[0])}. Left out: {rest}."
    )


def _span(found: Sequence[Member]) -> str:
    """Count a group from its first to its last: those of others may lie between."""
    first, last = found[0].entry.name, found[-1].entry.name
    return first if len(found) == 1 else f"{len(found)} from {first} to {last}"
