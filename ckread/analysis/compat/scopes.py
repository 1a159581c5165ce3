"""Names of many values said in few words: `head/**`, `block8_*/**`, `conv1/** to conv5/**`."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MAX_NAMED = 7


def stem(name: str) -> str:
    """Give the first word of the layer that a value is of: `block8` of `block8_conv/kernel`."""
    scope = name.rpartition("/")[0]
    head, _, last = scope.rpartition("/")
    return f"{head}/{last.partition('_')[0]}" if last else name


def common(names: Sequence[str]) -> str:
    """Name values of layers of one stem: by their scope, or by what the scopes begin with."""
    if len(names) == 1:
        return names[0]
    scopes = sorted({name.rpartition("/")[0] for name in names})
    if len(scopes) == 1:
        return f"{scopes[0]}/**" if scopes[0] else "**"
    start = scopes[0]
    for scope in scopes[1:]:
        while not scope.startswith(start):
            start = start[:-1]
    return f"{start}*/**"


def in_scopes(names: Iterable[str], limit: int = _MAX_NAMED) -> str:
    """Name values by their scopes, numbered ones from first to last, no more than a few."""
    groups = [common(list(part)) for _, part in groupby(names, key=stem)]
    merged: list[str] = []
    for _, run in groupby(groups, key=lambda name: re.sub(r"\d+", "#", name)):
        together = list(run)
        is_long = len(together) > 2
        merged += [f"{together[0]} to {together[-1]}"] if is_long else together
    shown = list(dict.fromkeys(merged))
    if len(shown) > limit:
        n_more = len(shown) - limit + 1
        shown = [*shown[: limit - 1], f"{n_more:,} more"]
    return ", ".join(shown)
