"""PATTERN: which variables a person means; and the order they expect names in.

`*` stays within one path component, `**` does not, `?` is one character, brackets
are literal. A pattern without any of these matches every name that contains it.
Raw checkpoint keys match too, and names in the escaped form in which they are shown.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ckread.errors import VariableNotFoundError
from ckread.model.spelling import safe_text, safe_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ckread.model.variable import Variable

_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+", re.DOTALL)
_DIGITS = re.compile(r"\d+")


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    r"""Give the test of one pattern on one name; names as they are displayed, `a\x20b`, do too."""
    is_match = _compile_literal(pattern)
    if "\\" not in pattern:
        return is_match
    return lambda name: is_match(name) or is_match(safe_text(name)) or is_match(safe_word(name))


def _compile_literal(pattern: str) -> Callable[[str], bool]:
    if "*" not in pattern and "?" not in pattern:
        return lambda name: pattern in name
    tokens = _TOKENS.findall(pattern)
    expression = "".join(_WILDCARDS.get(token) or re.escape(token) for token in tokens)
    fullmatch = re.compile(expression, re.DOTALL).fullmatch
    return lambda name: fullmatch(name) is not None


def select(variables: Iterable[Variable], patterns: str | Sequence[str]) -> list[Variable]:
    """Give the variables that any of the patterns means; all, if there is no pattern.

    One pattern may stand alone, as a string.

    Raises:
        VariableNotFoundError: a pattern means none; the remedy lists near names.
    """
    candidates = list(variables)
    if not patterns:
        return candidates
    chosen: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        is_match = compile_pattern(pattern)
        found = {v.key for v in candidates if is_match(v.name) or is_match(v.key)}
        if not found:
            raise _nothing_matches(pattern, candidates)
        chosen |= found
    return [variable for variable in candidates if variable.key in chosen]


def _nothing_matches(pattern: str, candidates: list[Variable]) -> VariableNotFoundError:
    import difflib

    from ckread.model.near_names import NONE_NEAR

    names = [variable.name for variable in candidates]
    parts = {part: None for name in names for part in (name, *name.split("/"))}
    near = difflib.get_close_matches(pattern.strip("*/"), list(parts)[:20_000], n=5, cutoff=0.5)
    remedy = "\n".join(["Nearest names:", *(f"  {name}" for name in near)]) if near else NONE_NEAR
    return VariableNotFoundError(f"no variable matches {pattern}", remedy=remedy)


def natural_key(name: str) -> str:
    """Give the sort key by which `layer_2` comes before `layer_10`, and `a/b` before `a_1/b`."""
    return "\0".join(map(_component_key, name.split("/")))


@lru_cache(maxsize=1 << 16)
def _component_key(component: str) -> str:
    return _DIGITS.sub(_sortable_number, component)


def _sortable_number(match: re.Match[str]) -> str:
    digits = match[0].lstrip("0")
    return f"{len(digits):04d}{digits}"
