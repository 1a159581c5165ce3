"""Pairing by structure: a scope that one side has more, and slots that follow owners."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ckread.analysis.pairing import PairedBy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.analysis.pairing import Pairing
    from ckread.model.variable import Variable


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
