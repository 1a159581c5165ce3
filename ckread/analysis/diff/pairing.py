"""Pairs of variables of two checkpoints, and the work of finding them.

Pairing by structure: a scope that one side has more, and slots that follow owners.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.diff.records import PairedBy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.variable import Variable


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

    def take(
        self, a: Variable, b: Variable, paired_by: PairedBy, *, confidence: float = 1.0
    ) -> None:
        """Pair two variables that are both left."""
        del self.a[a.name], self.b[b.name]
        self.pairs.append(Pair(a, b, paired_by, confidence))
        self.partner[a.name] = b.name

    def take_by_name(self, names: Mapping[str, str], paired_by: PairedBy) -> None:
        """Pair what is left under these names (of a: of b)."""
        for a, b in names.items():
            if a in self.a and b in self.b:
                self.take(self.a[a], self.b[b], paired_by)


def take_without_scope(work: Pairing) -> None:
    """Try every depth of a scope shared by all parameters of a side; the best one counts."""
    candidates = [
        {
            name: stripped
            for name, stripped in _stripped(work.a, depth).items()
            if stripped in work.b
        }
        for depth in range(1, _shared_depth(work.a) + 1)
    ]
    for depth in range(1, _shared_depth(work.b) + 1):
        stripped_b = _stripped(work.b, depth)
        candidates.append({new: old for old, new in stripped_b.items() if new in work.a})
    best = max(candidates, key=len, default={})
    work.take_by_name(best, PairedBy.SCOPE)


def _shared_depth(side: Mapping[str, Variable]) -> int:
    names = [name.split("/")[:-1] for name, v in side.items() if v.role.is_parameter]
    if not names:
        return 0
    first, last = min(names), max(names)
    shorter = min(len(first), len(last))
    return next((i for i in range(shorter) if first[i] != last[i]), shorter)


def _stripped(side: Mapping[str, Variable], depth: int) -> dict[str, str]:
    """Give the names without this many first components of the parameters' names.

    Within the name of a slot it is the owner's name that loses them.
    """
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
    """Pair the slots and averages of paired variables by the writer's word for them."""
    slots: defaultdict[tuple[str, object, str | None], list[str]] = defaultdict(list)
    for name, variable in work.b.items():
        if variable.owner is not None:
            slots[variable.owner, variable.role, variable.slot].append(name)
    names = {}
    for name, variable in work.a.items():
        owner = work.partner.get(variable.owner or "")
        found = slots.get((owner, variable.role, variable.slot), []) if owner else []
        if found:
            names[name] = found.pop(0)
    work.take_by_name(names, PairedBy.OWNER)
