"""Subtree names beside rows that are too low for names of their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

TALL = 0.125
"""Inches from which on a bracket has room for its name."""

_COVERED = 0.75
_PARTS = re.compile(r"[^/_]+[/_]*|[/_]+")


class Bracket(NamedTuple):
    """Neighbouring rows of one subtree.

    Attributes:
        start: first row.
        stop: row after the last.
        label: what they share, without what all rows share.
    """

    start: int
    stop: int
    label: str


def brackets(names: Sequence[str], row_height: float) -> list[Bracket]:
    """Split rows into subtrees, finer while most of what comes of it is tall enough."""
    parts = [_PARTS.findall(name) for name in names]
    shared = _shared(parts)
    return _split(parts, 0, len(parts), shared, shared, row_height)


def _shared(parts: Sequence[list[str]]) -> int:
    least = min(map(len, parts)) - 1
    return next((d for d in range(least) if len({p[d] for p in parts}) > 1), max(least, 0))


def _split(
    parts: Sequence[list[str]], start: int, stop: int, depth: int, above: int, height: float
) -> list[Bracket]:
    children = _children(parts, start, stop, depth)
    tall = sum(b - a for a, b in children if (b - a) * height >= TALL)
    if stop - start > 1 and len(children) > 1 and tall >= _COVERED * (stop - start):
        return [
            bracket
            for a, b in children
            for bracket in _split(parts, a, b, depth + 1, above, height)
        ]
    if len(children) == 1 and stop - start > 1 and depth < len(parts[start]) - 1:
        return _split(parts, start, stop, depth + 1, above, height)
    label = "".join(parts[start][above : depth if stop - start > 1 else None]).strip("/_")
    return [Bracket(start, stop, label)]


def _children(
    parts: Sequence[list[str]], start: int, stop: int, depth: int
) -> list[tuple[int, int]]:
    found = []
    at = start
    for i in range(start + 1, stop + 1):
        if i == stop or _part(parts[i], depth) != _part(parts[at], depth):
            found.append((at, i))
            at = i
    return found


def _part(parts: Sequence[str], depth: int) -> str:
    """Give a part without its separator: `block_1` and `block_1/kernel` share one."""
    return parts[depth].rstrip("/_") if depth < len(parts) else ""
