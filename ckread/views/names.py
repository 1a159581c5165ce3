"""Names in a column: what they share is said once, what repeats is muted, nothing is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.views.page import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.views.page import Line

MIN_SHARED_CELLS = 8
"""A shorter common prefix is not worth a line of its own."""


def common_prefix(names: Sequence[str]) -> str:
    """Give the leading components, `/` included, that all of several names share."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    at = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    prefix = first[: first.rfind("/", 0, at) + 1]
    return prefix if len(prefix) >= MIN_SHARED_CELLS else ""


def muted_repeats(names: Iterable[str]) -> Iterator[Line]:
    """Give names whose leading components, as far as they repeat the row above, are muted."""
    above: list[str] = []
    for name in names:
        parts = name.split("/")
        n_same = 0
        while n_same < min(len(parts), len(above)) - 1 and parts[n_same] == above[n_same]:
            n_same += 1
        at = sum(len(part) + 1 for part in parts[:n_same])
        yield (Span(name[:at], "muted"), Span(name[at:])) if at else (Span(name),)
        above = parts
