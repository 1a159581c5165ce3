"""PATTERN and NAME: which variables a person means, which they may have meant, in what order.

`*` stays within one path component, `**` does not, `?` is one character, `{a,b}` is a or b,
brackets are literal. A pattern without any of these matches every name that contains it; one
that matches no variable, but scopes, means all within them. `!` before a pattern leaves out
what it matches. Where no name matches raw checkpoint keys may; names match in the escaped form
too in which they are shown. A NAME may be the end of one: `conv1/kernel` is
`sequential/conv1/kernel` where that is the only weight, whatever slots it has.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from ckread.errors import TextLines, UsageError, VariableNotFoundError, by
from ckread.model.display import is_spelled, safe_text, safe_word
from ckread.model.role import Role, as_roles

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ckread.model.evidence import Evidence
    from ckread.model.variable import Variable


_WILDCARDS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKENS = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+", re.DOTALL)
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_MAX_ALTERNATIVES = 1000
_DIGITS = re.compile(r"\d+")


class Regex(str):
    """A pattern that is a regular expression, found anywhere in a name."""

    __slots__ = ()


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    r"""Give the test of one pattern on one name; names as they are displayed, `a\x20b`, do too."""
    if isinstance(pattern, Regex):
        try:
            search = re.compile(pattern).search
        except re.error as error:
            raise UsageError(f"{pattern}: no regular expression: {error}") from None
        return bounded_test(pattern, search)
    if _BRACES.search(pattern):
        tests = [compile_pattern(one) for one in _alternatives(pattern)]
        return lambda name: pattern in name or any(test(name) for test in tests)
    match = re.compile(re.escape(pattern)).search
    if "*" in pattern or "?" in pattern:
        tokens = _TOKENS.findall(pattern)
        expression = "".join(_WILDCARDS.get(token) or re.escape(token) for token in tokens)
        match = re.compile(expression, re.DOTALL).fullmatch
    is_match = bounded_test(pattern, match)
    if "\\" not in pattern:
        return is_match
    return lambda name: is_match(name) or is_match(safe_text(name)) or is_match(safe_word(name))


_MATCH_SECONDS = 1.0
_QUICK_SECONDS = 0.01
_spent: dict[str, float] = {}
"""Seconds of slow matches, by expression, since it was last given."""


@contextmanager
def bounded_match(pattern: str, name: str) -> Iterator[None]:
    """Let an expression take a second of CPU, for all names: `(a+)+$` takes years for some.

    A match looks for signals now and then, which go to the main thread: in others, and where
    there is no timer, it has no bound. `UsageError` is raised from within the match.
    """
    if not _may_be_endless(pattern) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        shown = name if len(name) <= _SHOWN_LENGTH else f"{name[:_SHOWN_LENGTH]}…"
        raise UsageError(
            f"{pattern}: takes more than {_MATCH_SECONDS:.0f} s, at the name {shown}",
            remedy="Let no repetition hold another, as (a+)+ does, and give fewer of them.",
        )

    left = _MATCH_SECONDS - _spent.get(pattern, 0.0)
    if left < _QUICK_SECONDS:
        stop()
    before = signal.signal(signal.SIGVTALRM, stop)
    timer = signal.setitimer(signal.ITIMER_VIRTUAL, left)
    try:
        yield
    finally:
        took = left - signal.setitimer(signal.ITIMER_VIRTUAL, *timer)[0]
        signal.signal(signal.SIGVTALRM, before)
        if took > _QUICK_SECONDS:
            _spent[pattern] = _spent.get(pattern, 0.0) + took


_SHOWN_LENGTH = 200


def _may_be_endless(pattern: str) -> bool:
    """Tell whether there is more than one repetition, and a timer; setting it takes its time."""
    has_timer = hasattr(signal, "setitimer") and signal.getsignal(signal.SIGVTALRM) is not None
    return has_timer and sum(map(pattern.count, "*+{")) > 1


def bounded_test(pattern: str, match: Callable[[str], object]) -> Callable[[str], bool]:
    """Give the test of an expression on one name, which ends."""
    _spent.pop(pattern, None)
    if not _may_be_endless(pattern):
        return lambda name: match(name) is not None

    def is_match(name: str) -> bool:
        with bounded_match(pattern, name):
            return match(name) is not None

    return is_match


def _alternatives(pattern: str) -> list[str]:
    """Give the patterns that one with braces stands for: `{a,b}/w` is `a/w` and `b/w`."""
    done, rest = [], [pattern]
    while rest:
        one = rest.pop()
        if found := _BRACES.search(one):
            before, after = one[: found.start()], one[found.end() :]
            rest += [before + word + after for word in found[1].split(",")]
        else:
            done.append(one)
        if len(done) + len(rest) > _MAX_ALTERNATIVES:
            raise UsageError(f"{pattern}: stands for more than {_MAX_ALTERNATIVES} patterns")
    return done


def compile_patterns(
    patterns: str | Iterable[str], there: Collection[tuple[str, ...]]
) -> Callable[..., bool]:
    """Give the test of patterns on one thing, or several that are one: is it meant, not left out.

    One pattern may stand alone, as a string. `there` are the things there are, each a tuple of
    its name and, if it has one, its key; the test takes such tuples.
    """
    wanted: list[tuple[Callable[[str], bool], int]] = []
    unwanted: list[tuple[Callable[[str], bool], int]] = []
    for text in [patterns] if isinstance(patterns, str) else patterns:
        is_left_out = text.startswith("!") and all(text != one[0] for one in there)
        pattern = type(text)(text[1:]) if is_left_out else text
        tests = [compile_pattern(pattern)]
        if not isinstance(pattern, Regex) and ("*" in pattern or "?" in pattern):
            tests.append(compile_pattern(f"{pattern}/**"))  # scopes, where it is no variable
        for test, at in product(tests, (0, 1)):
            if any(test(one[at]) for one in there if at < len(one)):
                (unwanted if is_left_out else wanted).append((test, at))
                break
        else:
            raise nothing_matches(pattern, [name for name, *_ in there])

    def is_meant(*names: tuple[str, ...]) -> bool:
        is_wanted = not wanted or any(test(one[at]) for test, at in wanted for one in names)
        return is_wanted and not any(test(one[at]) for test, at in unwanted for one in names)

    return is_meant


def select(variables: Iterable[Variable], patterns: str | Sequence[str]) -> list[Variable]:
    """Give the variables that patterns mean; all, if there is no pattern."""
    candidates = list(variables)
    if not patterns:
        return candidates
    names = [(variable.name, variable.key) for variable in candidates]
    is_meant = compile_patterns(patterns, names)
    return [variable for variable, one in zip(candidates, names, strict=True) if is_meant(one)]


def find_variable(variables: Iterable[Variable], text: str) -> Variable | None:
    """Give the variable that a name means, whole or its end; None where that is none, or several.

    Of several that end so it is the only one of its role: a weight before a statistic, and
    either before slots and averages.
    """
    candidates = [variable for variable in variables if variable.role is not Role.BOOKKEEPING]
    for is_it in (
        lambda variable: text in (variable.name, variable.key),
        lambda variable: is_spelled(variable.name, text),
        lambda variable: variable.name.endswith(f"/{text}"),
    ):
        found = [variable for variable in candidates if is_it(variable)]
        if found:
            first = of_first_role(found)
            return first[0] if len(first) == 1 else None
    return None


def of_first_role(variables: Sequence[Variable]) -> list[Variable]:
    """Give the variables of the first role there is: weights, whatever slots they have."""
    order = list(Role)
    first = min((variable.role for variable in variables), key=order.index)
    return [variable for variable in variables if variable.role is first]


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
        roles = usual_roles(any(variable.role.is_parameter for variable in matching))
    roles = as_roles(roles)
    left_out: dict[Role, int] = {}
    for variable in matching:
        if variable.role not in roles:
            left_out[variable.role] = left_out.get(variable.role, 0) + 1
    return [variable for variable in matching if variable.role in roles], left_out


def usual_roles(is_model: bool) -> list[Role]:
    """Give the roles that are meant where none are named: of a model, if there is any of it."""
    return [
        role for role in Role if (role.is_parameter if is_model else role is not Role.BOOKKEEPING)
    ]


def nothing_matches(pattern: str, names: Sequence[str]) -> VariableNotFoundError:
    """Give the error for a pattern that means none of these names."""
    message = f"no variable matches {pattern}"
    if isinstance(pattern, Regex):
        return VariableNotFoundError(message, remedy=None)
    core = pattern.strip("*/")
    if cased := _in_another_case(core, names):
        return VariableNotFoundError(message, remedy=_DID_YOU_MEAN % pattern.replace(core, cased))
    parts = {part: None for name in names for part in (name, *name.split("/"))}
    near = _closest(core, list(parts)[:20_000])
    remedy = nearest_names(near) or _none_near()
    return VariableNotFoundError(message, remedy=remedy)


_DID_YOU_MEAN = "Did you mean %s? Upper and lower case count."


def _in_another_case(text: str, names: Collection[str]) -> str | None:
    """Give a part of a name that differs from a text only in upper and lower case."""
    if not text or "*" in text or "?" in text or any(text in name for name in names):
        return None
    found = (re.search(re.escape(text), name, re.IGNORECASE) for name in names)
    return next((match[0] for match in found if match), None)


def _closest(text: str, names: Iterable[str]) -> list[str]:
    """Give up to five names that are spelt alike, whatever their case."""
    import difflib

    by_lower: dict[str, str] = {}
    for name in names:
        by_lower.setdefault(name.lower(), name)
    near = difflib.get_close_matches(text.lower(), list(by_lower), n=_N_NEAR, cutoff=0.5)
    return [by_lower[lower] for lower in near]


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


def _none_near() -> str:
    return f"No name is near it; {by('ckread ls', 'list(checkpoint)')} lists those there are."


"""The remedy where no name is spelt alike."""


def not_found(name: object, names: Collection[str], path: str) -> VariableNotFoundError:
    """Give the error for a name that is not there, with those that are near, or how to list all."""
    near = near_names(name, names) if isinstance(name, str) else []
    remedy: str | None = nearest_names(near) or (_none_near() if names else None)
    if isinstance(name, str) and (cased := _in_another_case(name, names)):
        remedy = _DID_YOU_MEAN % cased
    return VariableNotFoundError(f"no variable {name}", path=path, remedy=remedy)


def nearest_names(near: Iterable[str]) -> TextLines | None:
    """Give the lines that list names that are near; None if there is none."""
    lines = [f"  {name}" for name in near]
    return TextLines("Nearest names:", *lines) if lines else None


def near_names(name: str, names: Collection[str]) -> list[str]:
    """Give up to five names that are spelt alike, then names that contain this one."""
    import heapq

    likely: Iterable[str] = names
    if len(names) > _N_COMPARED:
        # Comparing 100,000 names in full takes seconds.
        likely = heapq.nlargest(_N_COMPARED, names, key=lambda known: _shared(known, name))
    near = _closest(name, likely)
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
LEAF_RANK = {leaf: rank for rank, leaf in enumerate(_LEAVES)}
"""The place of some last components among those of their scope; others come after."""

Place = tuple[int, int, str, int, int, str]
"""Part of the table, rank and name of the scope, ranks and name of the variable."""


def model_order(variables: Iterable[Variable], evidence: Evidence) -> list[Variable]:
    """Sort variables: parameters in the order of the model, then the rest.

    The variables of one scope stay together. Of the rest, what lies in a scope comes
    first: the optimizer before a save counter.
    """
    chosen = list(variables)
    ranks = ranks_of(((v.key, v.name) for v in chosen), evidence)
    last = len(ranks)
    first_of_scope: dict[str, int] = {}
    leaves: dict[str, tuple[int, str]] = {}
    parts = {variable.key: variable.scopes.rpartition("/") for variable in chosen}
    for key, (scope, _, leaf) in parts.items():
        rank = ranks.get(key, last)
        first_of_scope[scope] = min(rank, first_of_scope.get(scope, last))
        if leaf not in leaves:
            leaves[leaf] = LEAF_RANK.get(leaf, len(_LEAVES)), natural_key(leaf)
    scopes = {scope: natural_key(scope) for scope in first_of_scope}

    def place(variable: Variable) -> Place:
        scope, slash, leaf = parts[variable.key]
        leaf_rank, leaf_key = leaves[leaf]
        return (
            0 if variable.role.is_parameter else 1 if slash else 2,
            first_of_scope[scope],
            scopes[scope],
            leaf_rank,
            ranks.get(variable.key, last),
            leaf_key,
        )

    return sorted(chosen, key=place)


def is_order_known(evidence: Evidence) -> bool:
    """Tell whether the files say in what order the model has its variables."""
    if evidence.graph is not None or evidence.model is not None or evidence.is_in_order:
        return True
    return bool(evidence.meta_graph and evidence.meta_graph.collections.get("variables"))


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


def ranks_of(names: Iterable[tuple[str, str]], evidence: Evidence) -> dict[str, int]:
    """Give the place of each checkpoint key that the files put in an order, by key and name."""
    if evidence.graph is not None:
        keys = evidence.graph.keys_in_order
        return dict(zip(keys, range(len(keys)), strict=True))
    if evidence.is_in_order:
        return {key: place for place, (key, _) in enumerate(names)}
    listed: dict[str, int] = {}  # scopes
    for layer in evidence.layers:
        listed.setdefault(layer.name.rpartition("/")[2], len(listed))
    if evidence.meta_graph is not None:
        for one in evidence.meta_graph.collections.get("variables", ()):
            listed.setdefault(_scope(one.key), len(listed))
    if not listed:
        return {}
    ranks = {}
    for key, name in names:
        scope = _scope(name)
        # The scope itself, else the innermost part of it that is listed.
        parts = (scope, *reversed(scope.split("/")))
        ranks[key] = next((listed[p] for p in parts if p in listed), len(listed))
    return ranks
