"""Layers that were exchanged or shifted: their content is found under another name."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ckread.analysis.checksums import ContentKey, content_key, is_constant
from ckread.analysis.pairing import PairedBy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckread.analysis.pairing import Pairing
    from ckread.model.variable import Variable

_MIN_ELEMENTS = 4
"""Elements from which equal content is evidence of its own against a name."""


def take_moved(work: Pairing) -> None:
    """Pair by content what has other content under its name: exchanged or shifted layers.

    Where both names of a pair live on under other content at both ends of a chain
    (a target network that was copied from the online one), names hold instead.
    """
    same = {
        name
        for name, variable in work.a.items()
        if name in work.b and _is_same(variable, work.b[name])
    }
    suspects, others = (
        [variable for name, variable in side.items() if name not in same]
        for side in (work.a, work.b)
    )
    if not (suspects and others):
        return
    moved = _unique_contents(suspects, others)
    for a, b in _closed(moved, work):
        work.take(work.a[a], work.b[b], PairedBy.CONTENT)


def _is_same(a: Variable, b: Variable) -> bool:
    if a.crc32c != b.crc32c:
        return False
    key = content_key(a)
    return key is not None and key == content_key(b)


def _unique_contents(a: Sequence[Variable], b: Sequence[Variable]) -> dict[str, str]:
    """Give names of a and b whose content occurs once on each side and is no constant."""
    sides: tuple[dict[tuple[ContentKey, object], list[str]], ...] = ({}, {})
    for variables, side in zip((a, b), sides, strict=True):
        for variable in variables:
            key = content_key(variable) if variable.elements >= _MIN_ELEMENTS else None
            if key is not None:
                side.setdefault((key, (variable.shape, variable.role)), []).append(variable.name)
    first, second = sides
    return {
        names[0]: second[key][0]
        for key, names in first.items()
        if len(names) == 1 and len(second.get(key, ())) == 1 and not is_constant(key[0])
    }


def _closed(moved: Mapping[str, str], work: Pairing) -> list[tuple[str, str]]:
    """Give the moves of chains that have an open end, and of circles."""
    closed: list[tuple[str, str]] = []
    seen: set[str] = set()
    for first in moved.keys() - set(moved.values()):
        chain = [first]
        while chain[-1] in moved:
            chain.append(moved[chain[-1]])
        seen.update(chain)
        if chain[-1] not in work.a or first not in work.b:
            closed += pairwise(chain)
    return closed + [(a, b) for a, b in moved.items() if a not in seen and a != b]
