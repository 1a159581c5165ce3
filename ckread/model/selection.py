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
from ckread.model.role import Role, as_roles

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ckread.model.evidence import Evidence, ObjectGraph
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


def choose(
    variables: Iterable[Variable],
    patterns: str | Sequence[str],
    roles: str | Iterable[str] | None,
) -> tuple[list[Variable], dict[Role, int]]:
    """Give the variables that are asked for, and how many of each role are not.

    Without `roles` these are weights and statistics, or, where no such variable
    matches, all but bookkeeping.
    """
    matching = select(variables, patterns)
    if roles is None:
        is_model = any(variable.role.is_parameter for variable in matching)
        roles = [r for r in Role if (r.is_parameter if is_model else r is not Role.BOOKKEEPING)]
    roles = as_roles(roles)
    left_out: dict[Role, int] = {}
    for variable in matching:
        if variable.role not in roles:
            left_out[variable.role] = left_out.get(variable.role, 0) + 1
    return [variable for variable in matching if variable.role in roles], left_out


def nothing_matches(pattern: str, names: Sequence[str]) -> VariableNotFoundError:
    """Give the error for a pattern that means none of these names."""
    import difflib

    parts = {part: None for name in names for part in (name, *name.split("/"))}
    near = difflib.get_close_matches(pattern.strip("*/"), list(parts)[:20_000], n=5, cutoff=0.5)
    remedy = "\n".join(["Nearest names:", *(f"  {name}" for name in near)]) if near else NONE_NEAR
    return VariableNotFoundError(f"no variable matches {pattern}", remedy=remedy)


def natural_key(name: str) -> str:
    """Give the sort key by which `layer_2` comes before `layer_10`, and `a/b` before `a_1/b`."""
    return "\0".join(map(_component_key, name.split("/")))


@lru_cache(maxsize=1 << 16)
def _component_key(component: str) -> str:
    def sortable(match: re.Match[str]) -> str:
        digits = match[0].lstrip("0")
        return f"{len(digits):04d}{digits}"

    return _DIGITS.sub(sortable, component)


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


# The order of a model: layers as they follow each other, kernel before bias. A bundle keeps its
# keys sorted as bytes, so `_operations/10` stands before `_operations/2`. The object graph, Keras
# files and `.meta` files list what a model is made of in its own order; elsewhere names are in
# natural order. Attributes of a subclassed model stand in the graph by name: there its optimizer
# knows the order.

_LEAVES = ("kernel", "weight", "bias", "gamma", "beta", "moving_mean", "moving_variance")
_LEAF_RANK = {leaf: rank for rank, leaf in enumerate(_LEAVES)}

_TRAINED = ("_trainable_variables", "trainable_variables")

Place = tuple[int, int, str, int, int, str]
"""Part of the table, rank and name of the scope, ranks and name of the variable."""


def model_order(variables: Iterable[Variable], evidence: Evidence) -> list[Variable]:
    """Sort variables: parameters in the order of the model, then the rest.

    The variables of one scope stay together. Of the rest, what lies in a scope comes
    first: the optimizer before a save counter.
    """
    chosen = list(variables)
    ranks = _ranks(chosen, evidence)
    last = len(ranks)
    first_of_scope: dict[str, int] = {}
    for variable in chosen:
        scope = _scope(variable.scopes)
        rank = ranks.get(variable.key, last)
        first_of_scope[scope] = min(rank, first_of_scope.get(scope, last))

    def place(variable: Variable) -> Place:
        scope, slash, leaf = variable.scopes.rpartition("/")
        is_parameter = variable.role.is_parameter
        return (
            0 if is_parameter else 1 if slash else 2,
            first_of_scope[scope],
            natural_key(scope),
            _LEAF_RANK.get(leaf, len(_LEAVES)),
            ranks.get(variable.key, last),
            natural_key(leaf),
        )

    return sorted(chosen, key=place)


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


def _ranks(variables: list[Variable], evidence: Evidence) -> dict[str, int]:
    """Give the place of each checkpoint key that the files put in an order."""
    if evidence.graph is not None:
        return _graph_order(evidence.graph)
    if evidence.is_in_order:
        return {variable.key: place for place, variable in enumerate(variables)}
    listed: dict[str, int] = {}  # scopes
    for layer in evidence.layers:
        listed.setdefault(layer.name.rpartition("/")[2], len(listed))
    if evidence.meta_graph is not None:
        for one in evidence.meta_graph.collections.get("variables", ()):
            listed.setdefault(_scope(one.key), len(listed))
    if not listed:
        return {}
    ranks = {}
    for variable in variables:
        scope = _scope(variable.name)
        # The scope itself, else the innermost part of it that is listed.
        parts = (scope, *reversed(scope.split("/")))
        ranks[variable.key] = next((listed[p] for p in parts if p in listed), len(listed))
    return ranks


def _graph_order(graph: ObjectGraph) -> dict[str, int]:
    """Number the variables as the optimizer lists them, others after the one met before."""
    met: dict[str, None] = {}
    seen: set[int] = set()
    to_visit = [0]
    while to_visit:  # depth first: all of a layer before the next
        node = to_visit.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in graph.variables:
            met.setdefault(graph.variables[node])
        to_visit.extend(child for child, _ in reversed(graph.children[node]))
    listed: dict[str, int] = {}
    trained = (child for children in graph.children for child, name in children if name in _TRAINED)
    for members in trained:
        for node in graph.items(members).values():
            if node in graph.variables:
                listed.setdefault(graph.variables[node], len(listed))
    last = -1
    places = {}
    for i, key in enumerate(met):
        last = listed.get(key, last)
        places[key] = last, i
    return {key: rank for rank, key in enumerate(sorted(places, key=places.__getitem__))}
