"""Names that a person may have meant, and a record by its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, TypeVar

from ckread.errors import VariableNotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_N_NEAR = 5
_N_COMPARED = 2000
"""Names whose spelling is compared in full with one that is not there."""

NONE_NEAR = "No name is near it; ckread ls lists those there are."
"""The remedy where no name is spelt alike."""


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """What it is called."""


Found = TypeVar("Found", bound=Named)


def find_by_name(records: Sequence[Found], name: str, path: str) -> Found:
    """Give the record of this name.

    Raises:
        VariableNotFoundError: there is none; the remedy lists the nearest names.
    """
    for record in records:
        if record.name == name:
            return record
    raise not_found(name, [record.name for record in records], path)


def not_found(name: object, names: Collection[str], path: str) -> VariableNotFoundError:
    """Give the error for a name that is not there, with those that are near, or how to list all."""
    near = near_names(name, names) if isinstance(name, str) else []
    remedy = None
    if near:
        remedy = "\n".join(["Nearest names:", *(f"  {known}" for known in near)])
    elif names:
        remedy = NONE_NEAR
    return VariableNotFoundError(f"{path}: no variable {name}", path=path, remedy=remedy)


def near_names(name: str, names: Collection[str]) -> list[str]:
    """Give up to five names that are spelt alike, then names that contain this one."""
    import difflib
    import heapq

    likely: Iterable[str] = names
    if len(names) > _N_COMPARED:
        # Comparing 100,000 names in full takes seconds.
        likely = heapq.nlargest(_N_COMPARED, names, key=lambda known: _shared(known, name))
    near = difflib.get_close_matches(name, likely, n=_N_NEAR, cutoff=0.5)
    near += [known for known in names if name in known and known not in near]
    return near[:_N_NEAR]


def _shared(one: str, other: str) -> int:
    """Count the characters that two names share at both ends."""
    starts = os.path.commonprefix([one, other])  # noqa: RUF071 - characters are meant
    ends = os.path.commonprefix([one[::-1], other[::-1]])  # noqa: RUF071
    return len(starts) + len(ends)
