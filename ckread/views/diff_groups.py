"""Variables that behave alike, told as one: whole subtrees, equal endings, slots of one name."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.diff_records import DiffStatus
from ckread.views.quantities import shape_text

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from ckread.analysis.diff_records import VariableDiff
    from ckread.analysis.renaming import RenameRule

_MIXED_SIZE = 8
"""Variables up to which a scope is one row though they differ."""
_FEW_ROWS = 16


class Group(NamedTuple):
    """Variables that one row stands for.

    Attributes:
        pattern: a name, or a pattern that says which.
        members: at least one.
    """

    pattern: str
    members: tuple[VariableDiff, ...]


def behaviour(variable: VariableDiff) -> tuple[DiffStatus | None, str]:
    """Give what variables must share to be told together."""
    return variable.status, structure_change(variable)


def structure_change(variable: VariableDiff) -> str:
    """Say how shape and type changed; empty where they did not."""
    a, b = variable.a, variable.b
    if a is None or b is None:
        return ""
    parts = []
    if variable.permutation is not None:
        parts.append(f"transposed {', '.join(map(str, variable.permutation))}")
    elif a.shape != b.shape:
        parts.append(_shape_change(a.shape, b.shape))
    if a.dtype != b.dtype:
        is_cast = variable.metrics is not None and variable.metrics.exact_cast
        parts.append(f"{a.dtype} → {b.dtype}{', a cast' if is_cast else ''}")
    return ", ".join(parts)


def _shape_change(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    long_a, long_b = ([size for size in shape if size != 1] for shape in (a, b))
    if long_a == long_b and len(long_a) == 1:
        left, right = (("×".join("N" if n != 1 else "1" for n in shape)) for shape in (a, b))
        return f"{left} → {right}"
    shared = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))
    if len(a) == len(b) and shared > 1:
        return f"{shape_text(a)} → …×{shape_text(b[shared:])}"
    return f"{shape_text(a)} → {shape_text(b)}"


def slot_pattern(variable: VariableDiff) -> str:
    """Give the name of a slot with its owner left open: `optimizer/**/momentum`."""
    if variable.owner and variable.owner in variable.name:
        return variable.name.replace(variable.owner, "**", 1)
    return "**/" + (variable.slot or variable.name.rsplit("/", 1)[-1])


def group(variables: Sequence[VariableDiff]) -> list[Group]:
    """Put variables that behave alike together, in as few rows as say it all."""
    slots = [v for v in variables if v.slot is not None]
    others = [v for v in variables if v.slot is None]
    by_subtree = group_by_subtree(others, behaviour)
    if len(by_subtree) > _FEW_ROWS:
        by_subtree = min(by_subtree, _group_by_ending(others), key=len)
    return by_subtree + _group_slots(slots)


def _group_slots(slots: Iterable[VariableDiff]) -> list[Group]:
    found: dict[str, list[VariableDiff]] = {}
    for variable in slots:
        found.setdefault(slot_pattern(variable), []).append(variable)
    return [_named(pattern, members) for pattern, members in found.items()]


def group_by_subtree(
    variables: Iterable[VariableDiff], key: Callable[[VariableDiff], Hashable]
) -> list[Group]:
    """Give the largest subtrees of one key; small scopes of several stay one row too."""
    return _split([(v.name.split("/"), v) for v in variables], 0, key)


def _split(
    members: list[tuple[list[str], VariableDiff]],
    depth: int,
    key: Callable[[VariableDiff], Hashable],
) -> list[Group]:
    variables = [variable for _, variable in members]
    if not variables:
        return []
    scope = "".join(part + "/" for part in members[0][0][:depth])
    if len({key(variable) for variable in variables}) == 1:
        return [_named(scope + "**", variables)]
    children: dict[str, list[tuple[list[str], VariableDiff]]] = {}
    for components, variable in members:
        is_leaf = len(components) == depth + 1
        child = "/".join(components) + "\0" if is_leaf else components[depth]
        children.setdefault(child, []).append((components, variable))
    if depth and len(children) == len(members) <= _MIXED_SIZE:
        return [_named(scope + "**", variables)]
    return [found for child in children.values() for found in _child(child, depth, key)]


def _child(
    members: list[tuple[list[str], VariableDiff]],
    depth: int,
    key: Callable[[VariableDiff], Hashable],
) -> list[Group]:
    if len(members) == 1:
        return [Group(members[0][1].name, (members[0][1],))]
    return _split(members, depth + 1, key)


def _group_by_ending(variables: Sequence[VariableDiff]) -> list[Group]:
    """Put together what ends alike and behaves alike: `**/conv/kernel`, `**/norm/*`."""
    endings: dict[tuple[object, str, str], list[VariableDiff]] = {}
    for variable in variables:
        scope, _, leaf = variable.name.rpartition("/")
        parent = scope.rsplit("/", 1)[-1]
        endings.setdefault((behaviour(variable), parent, leaf), []).append(variable)
    leaves = Counter((alike, parent) for alike, parent, _ in endings)
    found: dict[tuple[object, str, str], list[VariableDiff]] = {}
    for (alike, parent, leaf), members in endings.items():
        merged = "*" if leaves[alike, parent] > 1 and len(members) > 1 else leaf
        found.setdefault((alike, parent, merged), []).extend(members)
    return [
        _named("/".join(filter(None, ("**", parent, leaf))), members)
        for (_, parent, leaf), members in found.items()
    ]


def _named(pattern: str, members: Sequence[VariableDiff]) -> Group:
    return Group(members[0].name if len(members) == 1 else pattern, tuple(members))


def describe(members: Sequence[VariableDiff]) -> str:
    """Say what happened to the members of a group: `3 of 4 changed`, `reshaped, 400 → 600`."""
    counts = Counter(variable.status for variable in members)
    words = [
        (count, status.value if status else "not known") for status, count in counts.most_common()
    ]
    if len(words) == 1:
        detail = {structure_change(variable) for variable in members}
        text = words[0][1] if len(members) == 1 else f"{words[0][0]:,} {words[0][1]}"
        return ", ".join(filter(None, (text, detail.pop() if len(detail) == 1 else "")))
    if len(words) == 2 and counts[DiffStatus.IDENTICAL]:
        other = next(word for word in words if word[1] != DiffStatus.IDENTICAL)
        return f"{other[0]:,} of {len(members):,} {other[1]}"
    return ", ".join(f"{count:,} {word}" for count, word in words)


def rule_in_words(rule: RenameRule) -> str:
    """Say a rule as a person would: `RGB/inception_i3d/** is now **`."""
    pattern, new = re.sub(r"\\(.)", r"\1", rule.pattern.pattern), rule.replacement
    if pattern == "^":
        return f"** is now {new}**"
    if pattern.startswith("^") and pattern.endswith("/"):
        return f"{pattern[1:]}** is now {new}**"
    if pattern.endswith("$"):
        return f"**{pattern[:-1]} is now **{new}"
    return f"**{pattern}** is now **{new}**"
