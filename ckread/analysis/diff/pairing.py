"""Pairs of variables of two checkpoints, and the work of finding them by names and structure."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.diff.records import PairedBy
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.variable import Variable


def is_alike(a: Variable, b: Variable) -> bool:
    """Tell whether two variables may be one: of one role, word and shape."""
    return (a.role, a.slot, a.shape) == (b.role, b.slot, b.shape)


class Pair(NamedTuple):
    """Two variables that are taken for the same one.

    Attributes:
        a: that of the first checkpoint.
        b: that of the second.
        paired_by: why.
        confidence: from 0 to 1; below 1 for proposals only.
    """

    a: Variable
    b: Variable
    paired_by: PairedBy
    confidence: float = 1.0

    @property
    def is_renamed(self) -> bool:
        """Whether the names differ."""
        return self.a.name != self.b.name


@dataclass(slots=True)
class Pairing:
    """The work in hand: what is left of both sides by name, and the pairs so far."""

    a: dict[str, Variable]
    b: dict[str, Variable]
    pairs: list[Pair] = field(default_factory=list)
    partner: dict[str, str] = field(default_factory=dict)
    reshaped: set[tuple[str, str]] = field(default_factory=set)

    def take(
        self, a: Variable, b: Variable, paired_by: PairedBy, *, confidence: float = 1.0
    ) -> None:
        """Pair two variables that are both left."""
        del self.a[a.name], self.b[b.name]
        self.pairs.append(Pair(a, b, paired_by, confidence))
        self.partner[a.name] = b.name
        if a.shape != b.shape:
            self.reshaped.add((a.name, b.name))

    def loose(self) -> tuple[list[Variable], list[Variable]]:
        """Give what is left of both sides and follows no owner."""
        return tuple([v for v in side.values() if v.owner is None] for side in (self.a, self.b))  # type: ignore[return-value]

    def take_by_name(self, names: Mapping[str, str], paired_by: PairedBy) -> None:
        """Pair what is left under these names (of a: of b)."""
        for a, b in names.items():
            if a in self.a and b in self.b:
                self.take(self.a[a], self.b[b], paired_by)


def take_without_scope(work: Pairing) -> None:
    """Try every depth of the scopes that all parameters of a side share; the best one counts.

    Where both sides lose one, shapes have to agree, and of more than one variable.
    """
    best: dict[str, str] = {}
    sides = []
    for side in (work.a, work.b):
        names = [name.split("/")[:-1] for name, v in side.items() if v.role.is_parameter]
        shared = 0
        if names:
            shared = len(os.path.commonprefix([min(names), max(names)]))  # noqa: RUF071 - of lists
        sides.append([_stripped(side, depth) for depth in range(shared + 1)])
    for (depth, left), (other, right) in product(*map(enumerate, sides)):
        by_rest = {rest: name for name, rest in right.items()}
        found = {name: by_rest[rest] for name, rest in left.items() if rest in by_rest}
        if depth and other:
            found = {a: b for a, b in found.items() if is_alike(work.a[a], work.b[b])}
        if len(found) > max(len(best), bool(depth and other)):
            best = found
    loose = {name: other for name, other in best.items() if work.a[name].owner is None}
    work.take_by_name(loose, PairedBy.SCOPE)  # what has an owner follows it


def _stripped(side: Mapping[str, Variable], depth: int) -> dict[str, str]:
    """Give the names without this many first components of the parameters' names.

    Within the name of a slot it is the owner's name that loses them.
    """
    if not depth:
        return {name: name for name in side}
    some = next(name for name, variable in side.items() if variable.role.is_parameter)
    scope = "/".join(some.split("/")[:depth]) + "/"
    names = {}
    for name, variable in side.items():
        owner = variable.owner or ""
        if name.startswith(scope):
            names[name] = name[len(scope) :]
        elif owner.startswith(scope) and owner in name:
            names[name] = name.replace(owner, owner[len(scope) :], 1)
    return names


def follow_owners(work: Pairing) -> None:
    """Pair the slots and averages of paired variables by the writer's word for them.

    Whatever number their key has; of another shape only where their owners are.
    """
    slots: defaultdict[tuple[str, object, str | None], list[str]] = defaultdict(list)
    for name, variable in work.b.items():
        if variable.owner is not None:
            slots[variable.owner, variable.role, variable.slot].append(name)
    names = {}
    for name, variable in work.a.items():
        owner = work.partner.get(variable.owner or "", "")
        found = slots.get((owner, variable.role, variable.slot), [])
        for at, other in enumerate(found):
            if work.b[other].shape == variable.shape or (variable.owner, owner) in work.reshaped:
                names[name] = found.pop(at)
                break
    work.take_by_name(names, PairedBy.OWNER)


def take_same_name(work: Pairing) -> None:
    """Pair equal names; a slot only with that of the same word, of the same owner."""
    names = {}
    for name, a in work.a.items():
        b = work.b.get(name)
        if b is None or (a.owner is not None and work.partner.get(a.owner, b.owner) != b.owner):
            continue
        is_slot = Role.SLOT in (a.role, b.role)
        if not is_slot or is_alike(a, b) or (a.owner is not None and a.slot == b.slot):
            names[name] = name
    work.take_by_name(names, PairedBy.NAME)


def take_same_key(work: Pairing) -> None:
    """Pair equal keys of one role and shape; a place in an optimizer's list identifies nothing."""
    by_key = {v.key: v for v in work.b.values()}
    names = {
        variable.name: other.name
        for variable in work.a.values()
        if (other := by_key.get(variable.key)) is not None
        and is_alike(variable, other)
        and variable.owner is None is other.owner
        and Role.SLOT is not variable.role
    }
    work.take_by_name(names, PairedBy.KEY)


def take_beside(work: Pairing) -> None:
    """Pair what stands beside a proposed pair under the same last word: a bias by its kernel."""
    for pair in [pair for pair in work.pairs if pair.paired_by is PairedBy.SHAPE]:
        scope, other = (v.name.rpartition("/")[0] for v in (pair.a, pair.b))
        for name, a in list(work.a.items()):
            above, _, leaf = name.rpartition("/")
            b = work.b.get(f"{other}/{leaf}")
            if above == scope and b is not None and is_alike(a, b):
                work.take(a, b, PairedBy.SHAPE, confidence=pair.confidence)


def take_averages(work: Pairing) -> None:
    """Pair weights with their averages, where the other file holds none of the weights."""
    names: dict[str, str] = {}
    sides = [(work.a, work.b, False), (work.b, work.a, True)]
    for weights, others, is_turned in sides:
        for name, average in others.items():
            if average.role is not Role.AVERAGE or not average.slot:
                continue
            weight = weights.get(average.owner or name.removesuffix(f"/{average.slot}"))
            if weight and weight.role.is_parameter and weight.shape == average.shape:
                pair = (name, weight.name) if is_turned else (weight.name, name)
                names.setdefault(*pair)
    work.take_by_name(names, PairedBy.AVERAGE_OF)
