"""Which checkpoints belong together, in what order, and what told it.

Base names that differ only in their numbers are a series. Within it, checkpoints
that hold the same variables are of one model. A model may change during a run, a
layer unfrozen, a vocabulary grown: so two groups that follow one another and share
most of their variables are one run, and so are two whose variables differ only in the
numbers that Keras gives to layers (`dense`, then `dense_2`). Groups that take turns, and
differ in more than a variable or two, are of several models that were saved under one name.

What the files hold orders them first: the global step, the save counter. Else their names do,
by the rule of `ckread.model.steps`, else the optimizer's iterations, else the times saved.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.evidence import Claim, Strength
from ckread.model.role import MAX_RIVALS
from ckread.model.run.entries import RunEntry, RunState
from ckread.model.steps import (
    COPY_SECONDS,
    TIMES_ORDER,
    NameNumbers,
    Series,
    natural,
    read_series,
    words_of,
)
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckread.model.run.entries import Place
    from ckread.model.run.opening import Number, Opened, Structure
    from ckread.readers.contract import FileIdentity

MOSTLY = 0.5
"""Share of the larger checkpoint's variables that two of one run have in common."""

NEARLY_ALL = 0.9
"""Or share of the smaller one's: optimizer state came or went. Where checkpoints of two
structures take turns, share of the larger one's: a variable is absent in some of them."""

MAX_NAMED = 4
"""Groups, or files, that a note names."""

_LAYER_NUMBER = re.compile(r"_\d+(?=/|_|:|\Z)")


class Member(NamedTuple):
    """A checkpoint that was opened once, for its entry and its place in a group.

    Attributes:
        place: where it lies.
        entry: as listed.
        structure: how it is built.
        counters: values of the counters that tell the step, best first.
        given: its place in the order given by the user.
        identified_by: the file that is a new one when the checkpoint is.
        identity: of that file, from before it was read.
        opened: what was read of it, its data files closed, where it is remembered.
        renames: what its variables are called in this run, where layers were numbered anew.
        numbers: of the training, that were read for its entry, by key.
    """

    place: Place
    entry: RunEntry
    structure: Structure
    counters: tuple[int | None, ...]
    given: int
    identified_by: str = ""
    identity: FileIdentity | None = None
    opened: Opened | None = None
    renames: Mapping[str, str] | None = None
    numbers: Mapping[str, Number] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Group:
    """Checkpoints of one model, in order.

    Attributes:
        members: the checkpoints.
        titles: what orders them is called: `step`, `epoch`, or words of their names.
        claims: of their steps and of the latest, with what told them.
        doubt: what is not known of their order, one sentence; empty where nothing is.
    """

    members: tuple[Member, ...]
    titles: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    doubt: str = ""


def group(members: Sequence[Member]) -> list[Group]:
    """Give groups in order, the largest first, of equal ones that of more elements."""
    groups = [
        replace(ordered, members=tuple(found), claims=(*ordered.claims, _latest(ordered, found)))
        for same, series in _series(members)
        for ordered in [_in_order(same, series)]
        for found in _by_structure(ordered.members)
    ]
    return sorted(groups, key=_rank)


def _rank(found: Group) -> tuple[int, int, int, float, str]:
    entries = [member.entry for member in found.members]
    known = max(e.step if e.step is not None else (e.epoch or 0) for e in entries)
    newest = max(e.time or 0.0 for e in entries)
    return -len(entries), -entries[-1].elements, -known, -newest, entries[0].path


def _series(members: Sequence[Member]) -> list[tuple[list[Member], Series | None]]:
    """Part members by name and format; a path that was named by itself joins what it can.

    Who names a path wants that checkpoint, whatever it is called: it goes with the
    series of its name, else with the only one, else with the others that were named.
    """
    by_format: dict[Format, list[Member]] = defaultdict(list)
    for member in members:
        by_format[member.place.format].append(member)
    read: list[tuple[list[Member], Series | None]] = []
    for same in by_format.values():
        paths = [member.place.path.rstrip(os.sep) or member.place.path for member in same]
        above = [os.path.dirname(path) for path in paths]
        names = [os.path.basename(path) or path for path in paths]
        if len(set(above)) > 1 and len(set(map(words_of, above))) == 1:
            # Directories that differ in numbers only, `run_1` and `run_2`, tell too.
            names = [
                os.path.join(os.path.basename(a), b) for a, b in zip(above, names, strict=True)
            ]
        found = read_series(names, [member.entry.time for member in same])
        read += [([same[place] for place in series.order], series) for series in found]
    named = [one for one in read if not any(member.place.is_scanned for member in one[0])]
    scanned = [one for one in read if one not in named]
    if len(named) == 1 and not scanned:
        return [named[0]]
    loose = [member for same, _ in named for member in same]
    if loose and len(scanned) == 1:
        return [([*scanned[0][0], *loose], None)]
    return [*scanned, (loose, None)] if loose else scanned


def _in_order(members: list[Member], series: Series | None) -> Group:
    """Put one series in order: by the contents where all tell, else by the names, else by time."""
    if series is None:
        names = [os.path.basename(member.place.path.rstrip(os.sep)) for member in members]
        numbers = tuple(read_series([name], [None])[0].numbers[0] for name in names)
    else:
        numbers = series.numbers
    for rank in range(min(len(member.counters) for member in members)):
        steps = [member.counters[rank] for member in members]
        # The best counter may repeat: if it counts at all, equal values are equal steps.
        rises = rank == 0 and len(set(steps)) > 1
        if None not in steps and (len(set(steps)) == len(steps) or rises):
            placed = [
                _with_numbers(member, number, member.counters[rank])
                for member, number in zip(members, numbers, strict=True)
            ]
            placed.sort(
                key=lambda m: (m.entry.step or 0, natural(m.entry.name), m.entry.time or 0.0)
            )
            structure = placed[0].structure
            names = [structure.identities[key].name for key in structure.step_keys[rank]]
            shown = _span([member.entry.step for member in placed])
            claim = Claim("step", shown, Strength.STORED, " and ".join(names[:MAX_RIVALS]))
            return Group(tuple(placed), ("step",), (claim,))
    members = [_with_numbers(*one) for one in zip(members, numbers, strict=True)]
    iterations = [member.entry.iterations for member in members]
    if series is None:
        is_counted = all(n.known is not None for n in numbers)
        placed = sorted(members, key=lambda m: (m.entry.count or 0 if is_counted else 0, m.given))
        claim = _steps(placed, "file name")
        return Group(tuple(placed), ("step",) if is_counted else (), (claim,))
    if not series.titles and None not in iterations and len(set(iterations)) == len(iterations):
        placed = sorted(members, key=lambda m: m.entry.iterations or 0)
        claim = _steps(placed, "the optimizer's iterations order them", series.against)
        return Group(tuple(placed), (), (claim,))
    claim = _steps(members, series.source or series.doubt, series.against)
    is_version = members[0].place.format is Format.SAVED_MODEL and series.titles == ("step",)
    titles = ("version",) if is_version else series.titles
    claims = [claim]
    if series.doubt == TIMES_ORDER:
        told = "the times saved: lower numbers are later than all higher ones"
        claims.append(Claim("order", "by time", Strength.DERIVED, told))
    return Group(tuple(members), titles, tuple(claims), series.doubt)


def _with_numbers(member: Member, numbers: NameNumbers, counted: int | None = None) -> Member:
    """Note what the name says, and the step where it was counted.

    The directory of a SavedModel has a version, no step.
    """
    if member.place.format is Format.SAVED_MODEL:
        return member._replace(entry=replace(member.entry, step=counted, numbers=numbers.values))
    step = numbers.step if counted is None else counted
    if numbers.known is None and counted is None:
        step = next(iter(member.counters), None)
    epoch = member.entry.epoch if member.entry.is_epoch_stored else numbers.epoch
    entry = replace(member.entry, step=step, epoch=epoch, numbers=numbers.values)
    return member._replace(entry=entry)


def _steps(members: Sequence[Member], source: str, against: tuple[str, ...] = ()) -> Claim:
    """Claim what the names say of the steps, or of the epochs."""
    by_step = [member.entry.step for member in members]
    by_epoch = [member.entry.epoch for member in members]
    kind = "epoch" if None in by_step and None not in by_epoch else "step"
    if rivals := next(filter(None, (rivals_of(member, kind) for member in members)), ()):
        told = f"{' and '.join(rivals)}: they differ, and neither is above the other"
        against = (told, *against)
    shown = _span(by_epoch if kind == "epoch" else by_step)
    if shown is None:
        unknown = source or "no counter in the files, and no number of the names counts"
        return Claim(kind, None, Strength.UNKNOWN, unknown, against)
    return Claim(kind, shown, Strength.NAMED, source, against)


def rivals_of(member: Member, kind: str) -> tuple[str, ...]:
    """Name the counters of steps, or of epochs, that tell different ones; none where they agree."""
    structure = member.structure
    if kind == "epoch":
        keys, is_told = structure.epoch_keys, member.entry.is_epoch_stored
    else:
        keys = next(iter(structure.step_keys), ())
        is_told = None not in member.counters[:1]
    if len(keys) < 2 or is_told:
        return ()
    return tuple(structure.identities[key].name for key in keys[:MAX_RIVALS])


def rivals_note(found: Group) -> str:
    """Say where counters of one checkpoint differ, whatever its step is told by."""
    for kind in ("step", "epoch"):
        several = [(member, rivals_of(member, kind)) for member in found.members]
        for member, rivals in several:
            if rivals:
                return (
                    f"In {member.entry.name} {' and '.join(rivals)} differ, and neither is above "
                    f"the other: none of them is taken for the {kind}."
                )
    return ""


def _span(steps: Sequence[int | None]) -> str | None:
    known = [step for step in steps if step is not None]
    if not known or len(known) < len(steps):
        return None
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"


def _latest(ordered: Group, found: Sequence[Member]) -> Claim:
    """Claim which of a group is the latest."""
    by_state = next((m for m in found if m.entry.state is RunState.LATEST), None)
    if by_state is not None:
        return Claim("latest", by_state.entry.name, Strength.STORED, "the state file")
    name, steps = found[-1].entry.name, ordered.claims[0]
    if ordered.doubt == TIMES_ORDER:
        return Claim("latest", name, Strength.DERIVED, "saved last")
    if steps.value is not None:
        return Claim("latest", name, steps.strength, f"largest {steps.claim}")
    if len(ordered.titles) > 1:
        return Claim("latest", name, Strength.NAMED, "largest numbers of the name")
    if len(found) == 1:
        return Claim("latest", name, Strength.STORED, "the only one of its group")
    times = sorted(member.entry.time or 0.0 for member in found)
    is_newest = (found[-1].entry.time or 0.0) > times[-2] + COPY_SECONDS
    if ordered.doubt and not is_newest:
        return Claim("latest", None, Strength.UNKNOWN, ordered.doubt)
    return Claim("latest", name, Strength.DERIVED, "saved last")


def _by_structure(members: Sequence[Member]) -> list[list[Member]]:
    """Part members, which are in order, by how they are built; those named by hand stay together.

    Who names files takes them for one run, whatever they hold.
    """
    places: dict[int, list[int]] = defaultdict(list)
    for place, member in enumerate(members):
        places[member.structure.number].append(place)
    by_hand = not any(member.place.is_scanned for member in members)
    groups: list[list[int]] = []
    for found in sorted(places.values()):
        joined = next(
            (old for old in reversed(groups) if by_hand or _is_one_run(members, old, found)), None
        )
        if joined is None:
            groups.append(found)
        else:
            joined[:] = sorted(joined + found)
    parted = []
    for found in groups:
        last = members[found[-1]].structure
        some = [(members[place], members[place].structure) for place in found]
        # The names of the last are those of all, where only layers were numbered anew.
        renames = {one.number: _renumbered(one, last) for _, one in some if one is not last}
        parted.append([member._replace(renames=renames.get(one.number)) for member, one in some])
    return parted


def _renumbered(a: Structure, b: Structure) -> dict[str, str] | None:
    """Pair names that differ in the numbers of layers alone; None where that is not all."""
    names = [
        sorted(
            ((natural(s.identities[key].name), s.identities[key].name, shape, dtype)
             for key, shape, dtype in s.tensors),
        )
        for s in (a, b)
    ]  # fmt: skip
    if len(names[0]) != len(names[1]):
        return None
    renames = {}
    for (_, one, *rest), (_, other, *other_rest) in zip(*names, strict=True):
        if rest != other_rest or _LAYER_NUMBER.sub("", one) != _LAYER_NUMBER.sub("", other):
            return None
        renames[one] = other
    return renames


def _is_one_run(members: Sequence[Member], old: Sequence[int], new: Sequence[int]) -> bool:
    """Tell whether a model changed during one run, and not two models were saved by turns."""
    before = next(place for place in reversed(old) if place < new[0])
    one, other = members[before].structure, members[new[0]].structure
    a, b = _variables(one), _variables(other)
    shared, larger, smaller = len(a & b), max(len(a), len(b)), min(len(a), len(b))
    if old[-1] < new[0]:
        is_alike = shared > MOSTLY * larger or shared >= NEARLY_ALL * smaller > 0
        return is_alike or _renumbered(one, other) is not None
    return shared >= NEARLY_ALL * larger > 0


def _variables(structure: Structure) -> frozenset[tuple[str, tuple[int, ...]]]:
    """Give name and shape of each variable: keys are those of a format."""
    names = structure.identities
    return frozenset((names[key].name, shape) for key, shape, _ in structure.tensors)


def models_of(groups: Sequence[Group]) -> list[int]:
    """Give a number for each group: equal ones hold the same model, under another name perhaps.

    Models are the same whose parameters have the same leaf names, shapes and types; where there
    are no parameters, all their variables.
    """
    known: list[Counter[tuple[str, tuple[int, ...], str]]] = []
    numbers = []
    for found in groups:
        parameters = found.members[-1].structure.parameters
        if parameters not in known:
            known.append(parameters)
        numbers.append(known.index(parameters))
    return numbers


def renumbered_note(found: Group) -> str:
    """Say where layers were numbered anew, and whose names are shown; nothing where none were."""
    anew = [member for member in found.members if member.renames]
    pairs = [(a, b) for m in anew for a, b in (m.renames or {}).items() if a != b]
    if not pairs:
        return ""
    return (
        f"{len(anew)} of {len(found.members)} checkpoints number their layers otherwise, such as "
        f"{pairs[0][0]} for {pairs[0][1]}: shown under the names of {found.members[-1].entry.name}."
    )


def grouping_note(groups: Sequence[Group]) -> str:
    """Say which group was taken, and what was left out for what reason; nothing where all were."""
    if len(groups) < 2:
        return ""
    total = sum(len(found.members) for found in groups)
    models = models_of(groups)
    n_models = len(set(models))
    of = f"{n_models} different models" if n_models > 1 else "one model"
    if n_models < len(groups):
        of += f" under {len(groups)} names"
    others = []
    for found, model in list(zip(groups, models, strict=True))[1 : 1 + MAX_NAMED]:
        why = " (the same model)" if model == models[0] else " (another model)"
        others.append(_extent(found) + (why if 1 < n_models < len(groups) else ""))
    more = len(groups) - 1 - len(others)
    rest = ", ".join(others) + (f" and {more} more groups" if more else "")
    first, second = ((len(g.members), g.members[-1].structure.elements) for g in groups[:2])
    which = "the largest group" if first > second else "one"
    return (
        f"Of {total} checkpoints of {of} {which} was taken: {_extent(groups[0])}. Left out: {rest}."
    )


def _extent(found: Group) -> str:
    """Count a group from its first to its last: those of others may lie between."""
    first, last = found.members[0].entry.name, found.members[-1].entry.name
    n = len(found.members)
    return first if n == 1 else f"{n} from {first} to {last}"
