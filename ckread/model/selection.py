"""PATTERN: which variables a person means, which they may have meant, and in what order.

`*` stays within one path component, `**` does not, `?` is one character, brackets
are literal. A pattern without any of these matches every name that contains it.
Raw checkpoint keys match too, and names in the escaped form in which they are shown.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeVar

from ckread.errors import VariableNotFoundError
from ckread.model.display import safe_text, safe_word

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ckread.model.variable import Variable


_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+", re.DOTALL)
_DIGITS = re.compile(r"\d+")


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    r"""Give the test of one pattern on one name; names as they are displayed, `a\x20b`, do too."""
    if "*" not in pattern and "?" not in pattern:

        def is_match(name: str) -> bool:
            return pattern in name

    else:
        tokens = _TOKENS.findall(pattern)
        expression = "".join(_WILDCARDS.get(token) or re.escape(token) for token in tokens)
        fullmatch = re.compile(expression, re.DOTALL).fullmatch

        def is_match(name: str) -> bool:
            return fullmatch(name) is not None

    if "\\" not in pattern:
        return is_match
    return lambda name: is_match(name) or is_match(safe_text(name)) or is_match(safe_word(name))


def select(variables: Iterable[Variable], patterns: str | Sequence[str]) -> list[Variable]:
    """Give the variables that any of the patterns means; all, if there is no pattern.

    One pattern may stand alone, as a string.
    """
    candidates = list(variables)
    if not patterns:
        return candidates
    chosen: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        is_match = compile_pattern(pattern)
        found = {v.key for v in candidates if is_match(v.name) or is_match(v.key)}
        if not found:
            raise nothing_matches(pattern, [variable.name for variable in candidates])
        chosen |= found
    return [variable for variable in candidates if variable.key in chosen]


def nothing_matches(pattern: str, names: Sequence[str]) -> VariableNotFoundError:
    """Give the error for a pattern that means none of these names."""
    import difflib

    parts = {part: None for name in names for part in (name, *name.split("/"))}
    near = difflib.get_close_matches(pattern.strip("*/"), list(parts)[:20_000], n=5, cutoff=0.5)
    remedy = "\n".join(["Nearest names:", *(f"  {name}" for name in near)]) if near else NONE_NEAR
    return VariableNotFoundError(f"no variable matches {pattern}", remedy=remedy)


def natural_key(name: str) -> str:
    """Give the sort key by which `layer_2` comes before `layer_10`, and `a/b` before `a_1/b`."""
    return "\0".join(map(component_key, name.split("/")))


@lru_cache(maxsize=1 << 16)
def component_key(component: str) -> str:
    """Give the sort key of what stands between two `/`."""
    return _DIGITS.sub(_sortable, component)


def _sortable(match: re.Match[str]) -> str:
    digits = match[0].lstrip("0")
    return f"{len(digits):04d}{digits}"


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
    """Give the record of this name."""
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
    return VariableNotFoundError(f"no variable {name}", path=path, remedy=remedy)


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
