"""Rows of the diff's tables: one variable, or a group that behaves alike.

Variables that behave alike, told as one: whole subtrees, equal endings, slots of one name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from ckread.analysis.diff.records import NEARLY, DiffStatus, PairedBy, distance_moved
from ckread.model.display import safe_text
from ckread.model.role import Role
from ckread.views.terminal.words import (
    ABSENT,
    count_text,
    float_text,
    move_in_words,
    moved_text,
    shape_text,
    share_text,
    value_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from ckread.analysis.diff.records import CheckpointDiff, RenameRule, VariableDiff


MODEL_ROLES = (Role.WEIGHT, Role.STATISTIC, Role.AVERAGE, Role.ALIAS)
"""Roles whose variables get a row each; the rest is optimizer, counters and the like."""

_FEW_IDENTICAL = 6
_FEW_STILL = 2
_SIGNS = {
    DiffStatus.CHANGED: "~",
    DiffStatus.ROUNDING: "≈",
    DiffStatus.CLOSE: "≈",
    DiffStatus.IDENTICAL: "=",
    DiffStatus.ADDED: "+",
    DiffStatus.REMOVED: "-",
    DiffStatus.RENAMED: ">",
    DiffStatus.RESHAPED: "!",
    DiffStatus.RETYPED: "!",
    None: "?",
}
SIGN_STYLES = {"+": "added", "-": "removed", ">": "renamed", "!": "warning"}
_MOST_TELLING = "!-+>≡~≈?="


@dataclass(frozen=True, slots=True)
class DiffRow:
    """A row: a sign (`~ = + - > ! ?`), a name or pattern, and the variables it stands for.

    `what` says in words what figures cannot.
    """

    sign: str
    name: str
    members: tuple[VariableDiff, ...]
    what: str = ""

    @property
    def only(self) -> VariableDiff | None:
        """The variable, where it stands for one."""
        return self.members[0] if len(self.members) == 1 else None

    @property
    def has_figures(self) -> bool:
        """Whether it is of one variable, which moved."""
        only = self.only
        return only is not None and only.metrics is not None and not self.is_identical

    @property
    def nbytes_changed(self) -> int:
        """Bytes of what is not identical."""
        return sum(v.nbytes for v in self.members if v.status is not DiffStatus.IDENTICAL)

    @property
    def is_identical(self) -> bool:
        """Whether nothing differs."""
        return self.sign == "="


def sign_of(members: Iterable[VariableDiff]) -> str:
    """Give the sign of the most telling status."""
    signs = {_sign(variable) for variable in members}
    return min(signs, key=_MOST_TELLING.index)


def _sign(variable: VariableDiff) -> str:
    if variable.paired_by is PairedBy.AVERAGE_OF:
        return "≡"
    is_moved = variable.status in (DiffStatus.CHANGED, *NEARLY)
    if is_moved and variable.renamed_from is not None:
        return ">"
    return _SIGNS[variable.status]


def movement(variable: VariableDiff) -> float:
    """Give a key to sort by, largest first: NaN, from zero, then the relative distance."""
    metrics = variable.metrics
    return -1.0 if metrics is None else how_far(metrics.l2, metrics.relative_l2)


def how_far(l2: float | None, relative_l2: float | None) -> float:
    """Give the same of two figures; -1 where nothing was measured."""
    if l2 is None:
        return -1.0
    if math.isnan(l2) or l2 == math.inf:
        return math.inf
    if relative_l2 is None:
        return 1e300 if l2 else 0.0
    return relative_l2


def changes(variables: Iterable[VariableDiff]) -> list[VariableDiff]:
    """Give those that have figures of their own, largest change first."""
    measured = [v for v in variables if _is_measured(v)]
    return sorted(measured, key=lambda v: -movement(v))


def model_rows(variables: Sequence[VariableDiff]) -> list[DiffRow]:
    """Give the rows of weights, statistics and averages: moved, restructured, identical."""
    rest = [v for v in variables if not _is_measured(v)]
    identical = [v for v in rest if v.status is DiffStatus.IDENTICAL]
    others = [v for v in rest if v.status is not DiffStatus.IDENTICAL]
    rows = [_single(v) for v in changes(variables)] + grouped_rows(others, variables)
    if len(identical) <= _FEW_IDENTICAL:
        return rows + [_single(v) for v in identical]
    return rows + grouped_rows(identical, variables)


def _is_measured(variable: VariableDiff) -> bool:
    return (
        variable.status is not DiffStatus.IDENTICAL
        and variable.metrics is not None
        and variable.metrics.l2 is not None
        and variable.status is not DiffStatus.RENAMED
        and not (variable.status is DiffStatus.RESHAPED and not variable.metrics.changed_elements)
    )


def grouped_rows(variables: Sequence[VariableDiff], among: Sequence[VariableDiff]) -> list[DiffRow]:
    """Give a row for each group that behaves alike; `among` are all that the table shows.

    Where a subtree holds others too, which have rows of their own, its row says so.
    """
    rows = []
    for pattern, members in group(variables):
        name = pattern
        if pattern.endswith("**") and "**" not in pattern[:-2]:
            n_below = sum(variable.name.startswith(pattern[:-2]) for variable in among)
            if n_below > len(members):
                name = f"{pattern}, the rest" if len(pattern) > 2 else "the rest"
        rows.append(DiffRow(sign_of(members), name, members, describe(members)))
    return rows


def _single(variable: VariableDiff) -> DiffRow:
    is_average = variable.paired_by is PairedBy.AVERAGE_OF and variable.role is Role.AVERAGE
    name = variable.renamed_from if is_average and variable.renamed_from else variable.name
    return DiffRow(_sign(variable), name, (variable,), structure_change(variable))


def renumbering_in_words(variables: Iterable[VariableDiff]) -> str:
    """Say how numbered layers were numbered anew: `conv2d_79 … → conv2d_19 …`."""
    steps: dict[str, str] = {}
    for variable in variables:
        if variable.is_renumbered:
            old, new = (name.split("/") for name in (variable.renamed_from or "", variable.name))
            steps.update([next((a, b) for a, b in zip(old, new, strict=True) if a != b)])
    first: dict[str, tuple[str, str]] = {}
    for before, after in sorted(steps.items(), key=lambda step: (len(step[0]), step[0])):
        first.setdefault(before.rstrip("0123456789").rstrip("_"), (before, after))
    shown = [f"{before} … → {after} …" for before, after in first.values()][:_FEW_STILL]
    return ", ".join((*shown, *(["…"] if len(first) > _FEW_STILL else [])))


def origin_rows(result: CheckpointDiff, variables: Iterable[VariableDiff]) -> list[DiffRow]:
    """Give what variables were called, those apart that a rule in the verdict explains."""
    rows = []
    for variable in variables:
        old = variable.renamed_from
        is_told = variable.paired_by in (PairedBy.OWNER, PairedBy.AVERAGE_OF)
        if old is None or is_told or variable.is_renumbered:
            continue
        if any(rule.apply(old) == variable.name for rule in result.rules):
            continue
        is_proposal = variable.confidence is not None and variable.confidence < 1
        sure = f" ({round(100 * (variable.confidence or 0))} % sure)" if is_proposal else ""
        rows.append(DiffRow(">", variable.name, (variable,), f"was {safe_text(old)}{sure}"))
    return rows


def state_rows(variables: Sequence[VariableDiff]) -> list[DiffRow]:
    """Give the rows of the optimizer and the counters: one per slot name, values of scalars."""
    rows: dict[str, list[VariableDiff]] = {}
    still = [v for v in variables if v.slot is None and v.status is DiffStatus.IDENTICAL]
    is_folded = len(still) > _FEW_STILL
    for variable in variables:
        if not (is_folded and variable.slot is None and variable.status is DiffStatus.IDENTICAL):
            name = slot_pattern(variable) if variable.slot is not None else variable.name
            rows.setdefault(name, []).append(variable)
    if is_folded:
        rows["the rest"] = still
    return [
        DiffRow(
            sign_of(members),
            members[0].name if len(members) == 1 else name,
            tuple(members),
            _state_change(members),
        )
        for name, members in rows.items()
    ]


def _state_change(members: Sequence[VariableDiff]) -> str:
    only = members[0] if len(members) == 1 else None
    if only is not None and only.old is not None and only.new is not None:
        return f"{value_text(only.old)} → {value_text(only.new)}"
    moved = distance_moved([v for v in members if _is_measured(v)])
    text = describe(members)
    if moved is None:
        return f"{text}, from 0" if any(map(_is_measured, members)) else text
    measured = [v.metrics for v in members if v.metrics and _is_measured(v)]
    steps = [metrics.max_ulp_of_largest for metrics in measured]
    known = [step for step in steps if step is not None]
    ulp = f", up to {steps_text(max(known))} ulp of the largest" if len(known) == len(steps) else ""
    return f"{text}, moved {move_in_words(moved)}{ulp}" if moved else text


def steps_text(steps: float) -> str:
    """Give steps at a variable's largest value, which are often whole: `3`, `0.25`."""
    return count_text(int(steps)) if steps.is_integer() else float_text(steps)


def far_moved(variable: VariableDiff) -> str:
    """Give the relative distance: `53.1 %`, `from 0`, `NaN`, `–` where nothing moved."""
    metrics = variable.metrics
    if metrics is None or metrics.l2 is None or variable.status is DiffStatus.IDENTICAL:
        return ABSENT
    if metrics.relative_l2 is None:
        return moved_text(math.inf if metrics.l2 else None)
    return "inf" if math.isinf(metrics.relative_l2) else moved_text(metrics.relative_l2)


def elements_text(variable: VariableDiff) -> str:
    """Give the share of elements that changed: `64.1 %`, `all`, `none`."""
    if variable.metrics is None:
        return ""
    return share_text(variable.metrics.changed_elements, variable.elements)


_MIXED_SIZE = 8
"""Variables up to which a scope is one row though they differ."""
_FEW_ROWS = 16


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """The name."""
        ...


Member = TypeVar("Member", bound=Named)


class Group(NamedTuple, Generic[Member]):
    """A pattern, and the variables that one row stands for."""

    pattern: str
    members: tuple[Member, ...]


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
        how = ", a cast" if is_cast else ""
        if variable.is_codes:
            scale = (variable.scale or "").rpartition("/")[2]
            how = f", by {scale}" if scale else ", codes, not compared"
        parts.append(f"{a.dtype} → {b.dtype}{how}")
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


def group(variables: Sequence[VariableDiff]) -> list[Group[VariableDiff]]:
    """Put variables that behave alike together, in as few rows as say it all."""
    slots = [v for v in variables if v.slot is not None]
    others = [v for v in variables if v.slot is None]
    by_subtree = list(group_by_subtree(others, behaviour))
    if len(by_subtree) > _FEW_ROWS:
        # What ends alike and behaves alike: `**/conv/kernel`, `**/norm/*`.
        endings: dict[tuple[object, str, str], list[VariableDiff]] = {}
        for variable in others:
            scope, _, leaf = variable.name.rpartition("/")
            parent = scope.rsplit("/", 1)[-1]
            endings.setdefault((behaviour(variable), parent, leaf), []).append(variable)
        leaves = Counter((alike, parent) for alike, parent, _ in endings)
        found: dict[tuple[object, str, str], list[VariableDiff]] = {}
        for (alike, parent, leaf), members in endings.items():
            merged = "*" if leaves[alike, parent] > 1 and len(members) > 1 else leaf
            found.setdefault((alike, parent, merged), []).extend(members)
        by_ending = [
            _named("/".join(filter(None, ("**", parent, leaf))), members)
            for (_, parent, leaf), members in found.items()
        ]
        by_subtree = min(by_subtree, by_ending, key=len)
    by_pattern: dict[str, list[VariableDiff]] = {}
    for variable in slots:
        by_pattern.setdefault(slot_pattern(variable), []).append(variable)
    return by_subtree + [_named(pattern, members) for pattern, members in by_pattern.items()]


def group_by_subtree(
    variables: Iterable[Member], key: Callable[[Member], Hashable]
) -> Iterator[Group[Member]]:
    """Yield the largest subtrees of one key; small scopes of several stay one row too."""
    members = list(variables)
    return _split(members, "", key) if members else iter(())


def _split(
    members: list[Member], scope: str, key: Callable[[Member], Hashable]
) -> Iterator[Group[Member]]:
    if len({key(one) for one in members}) == 1:
        yield _named(scope + "**", members)
        return
    children: dict[tuple[bool, str], list[Member]] = {}
    for one in members:
        slash = one.name.find("/", len(scope))
        child = one.name if slash < 0 else one.name[: slash + 1]
        children.setdefault((slash < 0, child), []).append(one)
    if scope and len(children) == len(members) <= _MIXED_SIZE:
        yield _named(scope + "**", members)
        return
    for (is_leaf, child), below in children.items():
        if len(below) == 1 or is_leaf:  # of one name are one of A and one of B
            yield from (Group(one.name, (one,)) for one in below)
        else:
            yield from _split(below, child, key)


def _named(pattern: str, members: Sequence[Member]) -> Group[Member]:
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
