"""Layers that were exchanged or shifted: their content is found under another name."""

from __future__ import annotations

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
    suspects = [
        name
        for name in work.a
        if name not in work.b or content_key(work.a[name]) != content_key(work.b[name])
    ]
    others = [
        name
        for name in work.b
        if name not in work.a or content_key(work.a[name]) != content_key(work.b[name])
    ]
    moved = _unique_contents([work.a[name] for name in suspects], [work.b[name] for name in others])
    origin = {b: a for a, b in moved.items()}
    for a, b in moved.items():
        if a != b and _is_closed(a, moved, origin, work):
            work.take(work.a[a], work.b[b], PairedBy.CONTENT)


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


def _is_closed(
    name: str, moved: Mapping[str, str], origin: Mapping[str, str], work: Pairing
) -> bool:
    """Tell whether the chain of moves through a name is a circle, or has an open end."""
    last = name
    while last in moved:
        last = moved[last]
        if last == name:
            return True
    first = name
    while first in origin:
        first = origin[first]
    return last not in work.a or first not in work.b
