"""Names that are unique in their file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ckread.model.machinery import key_path

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


def unique_names(names: Mapping[str, str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Give each key a name of its own: those that share one take their key path.

    Args:
        names: the wanted name of each key; an empty one counts as shared.
        taken: names that other keys have already.
    """
    taken = set(taken)
    distinct = set(names.values())
    if len(distinct) == len(names) and "" not in distinct and distinct.isdisjoint(taken):
        return dict(names)
    wanted = Counter(names.values())
    given = {
        key: name for key, name in names.items() if name and wanted[name] == 1 and name not in taken
    }
    used = {*taken, *given.values()}
    for key in names:
        if key not in given:
            given[key] = _free(key_path(key) or key, used)
            used.add(given[key])
    return {key: given[key] for key in names}


def _free(name: str, used: Collection[str]) -> str:
    if name not in used:
        return name
    number = 2
    while f"{name} ({number})" in used:
        number += 1
    return f"{name} ({number})"
