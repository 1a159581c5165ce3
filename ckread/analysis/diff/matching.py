"""Which variable of one checkpoint is which of the other.

In this order, each stage on what the earlier ones left over:

1. renames that the caller gives, and moves that an earlier comparison found;
2. same content where names were exchanged or shifted;
3. layers that Keras numbered: same object path, or same place among those of a class;
4. same name;
   and of a conversion, same name in the words of one library;
5. same name once the first scopes that all parameters of a side share are removed;
6. same checkpoint key, of one role and shape;
7. same content: by checksum, and by value fingerprint where values may be read;
8. averages with the weights they average, where those are not in the file;
9. same shape and role, and the nearest name: a proposal with a confidence;
10. the rule that explains the renames found so far, for what changed its shape.

After each, slots and averages follow their owners, by the word for them: what has an owner
is found by no other way but its name. No variable is used twice, and nothing here imports
numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import TYPE_CHECKING

from ckread.analysis.checksums import ContentKey, content_key, is_big_endian, is_constant
from ckread.analysis.diff.conversion import take_translated
from ckread.analysis.diff.leftovers import pair_by_content, propose
from ckread.analysis.diff.pairing import (
    Pair,
    Pairing,
    follow_owners,
    take_averages,
    take_beside,
    take_same_key,
    take_same_name,
    take_without_scope,
)
from ckread.analysis.diff.records import DiffStatus, PairedBy, RenameRule
from ckread.analysis.diff.renaming import infer_rules, rename_all, take_renumbered

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from ckread.analysis.diff.records import VariableDiff
    from ckread.model.variable import Variable

    ContentPairs = Callable[
        [Sequence[Variable], Sequence[Variable]], Iterable[tuple[Variable, Variable]]
    ]
    """Pairs up what has equal values in any order, by reading (see `fingerprint`)."""


@dataclass(frozen=True, slots=True)
class Matching:
    """All variables of two checkpoints, each once.

    Attributes:
        pairs: in the order of the second checkpoint.
        removed: only in the first, in its order.
        added: only in the second, in its order.
        rules: what explains two renamed pairs or more, most important first.
    """

    pairs: tuple[Pair, ...]
    removed: tuple[Variable, ...]
    added: tuple[Variable, ...]
    rules: tuple[RenameRule, ...]


def match_variables(
    a: Sequence[Variable],
    b: Sequence[Variable],
    *,
    rules: Sequence[RenameRule] = (),
    renames: Mapping[str, str] | None = None,
    moved: Mapping[str, str] | None = None,
    by_values: ContentPairs | None = None,
    is_conversion: bool = False,
) -> Matching:
    """Pair the variables of two checkpoints; of two libraries if it is a conversion."""
    if not (rules or renames or moved) and _is_by_name_alone(a, b):
        paired = map(Pair._make, zip(a, b, repeat(PairedBy.NAME), repeat(1.0), strict=False))
        return Matching(tuple(paired), (), (), ())
    work = Pairing({v.name: v for v in a}, {v.name: v for v in b})
    if renames:
        keys = [{v.key: v.name for v in side} for side in (a, b)]
        work.take_by_name(
            {
                old if old in work.a else keys[0].get(old, old): new
                if new in work.b
                else keys[1].get(new, new)
                for old, new in renames.items()
            },
            PairedBy.RENAME,
        )
    work.take_by_name(rename_all(list(work.a), rules), PairedBy.RENAME)
    work.take_by_name(moved or {}, PairedBy.VALUES)
    same_order = is_big_endian(a) == is_big_endian(b)
    if same_order:
        take_moved(work)
    take_renumbered(work)
    follow_owners(work)
    take_same_name(work)
    if is_conversion:
        take_translated(work)
        follow_owners(work)
    take_without_scope(work)
    follow_owners(work)
    take_same_key(work)
    follow_owners(work)
    if same_order:
        for left, right in pair_by_content(*work.loose()):
            work.take(left, right, PairedBy.CONTENT)
    if by_values and all(loose := work.loose()):
        for left, right in by_values(*loose):
            work.take(left, right, PairedBy.VALUES)
    follow_owners(work)
    take_averages(work)
    for left, right, confidence in propose(*work.loose()):
        work.take(left, right, PairedBy.SHAPE, confidence=confidence)
    take_beside(work)
    follow_owners(work)
    for rule in _found_rules(work.pairs) if work.a and work.b else ():
        work.take_by_name({name: rule.apply(name) for name in work.a}, PairedBy.RULE)
    order = {variable.name: i for i, variable in enumerate(b)}
    return Matching(
        pairs=tuple(sorted(work.pairs, key=lambda pair: order[pair.b.name])),
        removed=tuple(work.a.values()),
        added=tuple(work.b.values()),
        rules=_found_rules(work.pairs),
    )


def _is_by_name_alone(a: Sequence[Variable], b: Sequence[Variable]) -> bool:
    """Tell whether names, keys and shapes are the same, and no checksum speaks against them."""
    if [v.identity for v in a] != [v.identity for v in b]:
        return False
    changed = []
    for left, right in zip([v.record for v in a], [v.record for v in b], strict=True):
        if left.key != right.key or left.shape != right.shape:
            return False
        if left.crc32c != right.crc32c or left.crc32c is None:
            changed.append((left.crc32c, right.crc32c))
    before, after = ({*side} for side in zip(*changed, strict=True)) if changed else (set(), set())
    return not (before & after or None in before | after)


def _found_rules(pairs: Sequence[Pair]) -> tuple[RenameRule, ...]:
    """Find what explains renames: of parameters first, then of what has their names in its own.

    A rule for the parameters, `^` to `net/`, need not hold for a save counter.
    """
    rules: tuple[RenameRule, ...] = ()
    for is_parameter in (True, False):
        part = [pair for pair in pairs if pair.b.role.is_parameter == is_parameter]
        renames = [
            (pair.a.name, pair.b.name)
            for pair in part
            if pair.is_renamed and not any(r.apply(pair.a.name) == pair.b.name for r in rules)
        ]
        rules += infer_rules(renames, [pair.a.name for pair in part if not pair.is_renamed])
    return rules


_MIN_ELEMENTS = 4
"""Elements from which equal content is evidence of its own against a name."""


def take_moved(work: Pairing) -> None:
    """Pair by content what has other content under its name: exchanged or shifted layers.

    Where both names of a pair live on under other content at both ends of a chain
    (a target network that was copied from the online one), names hold instead.
    """
    same = {
        name
        for name, variable in work.a.items()
        if name in work.b and _is_same(variable, work.b[name])
    }
    suspects, others = (
        [v for name, v in side.items() if name not in same and v.owner is None]
        for side in (work.a, work.b)
    )
    if not (suspects and others):
        return
    # By content that occurs once on each side and is no constant.
    sides: tuple[dict[tuple[ContentKey, object], list[str]], ...] = ({}, {})
    for variables, side in zip((suspects, others), sides, strict=True):
        for variable in variables:
            key = content_key(variable) if variable.elements >= _MIN_ELEMENTS else None
            if key is not None:
                side.setdefault((key, (variable.shape, variable.role)), []).append(variable.name)
    first, second = sides
    moved = {
        names[0]: second[key][0]
        for key, names in first.items()
        if len(names) == 1 and len(second.get(key, ())) == 1 and not is_constant(key[0])
    }
    for a, b in _closed(moved, work.a, work.b):
        work.take(work.a[a], work.b[b], PairedBy.CONTENT)


def find_moved_by_values(pairs: Sequence[Pair], diffs: Iterable[VariableDiff]) -> dict[str, str]:
    """Find exchanged layers in files without checksums, once pairs were compared by name.

    What took another's place has the norm that the other had: norms are known from the
    comparison, and only what agrees in them is read again.

    Returns:
        Names of the first checkpoint, and of the second, between which values moved.
    """
    compared = {diff.name: diff.metrics for diff in diffs if diff.status is DiffStatus.CHANGED}
    sides: tuple[dict[object, list[Variable]], ...] = ({}, {})
    for a, b, *_ in pairs:
        if a.crc32c is not None:
            continue
        metrics = compared.get(b.name)
        if metrics is None or a.elements < _MIN_ELEMENTS or content_key(a) is not None:
            continue
        if a.owner is not None:
            continue  # slots follow
        for side, variable, norm in zip(sides, (a, b), (metrics.l2_a, metrics.l2_b), strict=True):
            if norm:
                block = variable.dtype, variable.shape, variable.role, f"{norm:.12e}"
                side.setdefault(block, []).append(variable)
    first, second = sides
    likely = [(*left, *second[block]) for block, left in first.items() if block in second]
    moved: dict[str, str] = {}
    for alike in likely:
        if len(alike) == 2:
            from ckread.analysis.diff.contents import is_same_in_order, is_uniform

            if is_same_in_order(*alike) and not is_uniform(alike[0]):
                moved[alike[0].name] = alike[1].name
    return dict(_closed(moved, {pair.a.name for pair in pairs}, {pair.b.name for pair in pairs}))


def _is_same(a: Variable, b: Variable) -> bool:
    if a.crc32c != b.crc32c:
        return False
    key = content_key(a)
    return key is not None and key == content_key(b)


def is_same_content(a: Variable, b: Variable) -> bool:
    """Tell by checksums whether two variables hold the same, so much of it that it is evidence."""
    if a.elements < _MIN_ELEMENTS or not _is_same(a, b):
        return False
    key = content_key(a)
    return key is not None and not is_constant(key)


def _closed(
    moved: Mapping[str, str], names_a: Container[str], names_b: Container[str]
) -> list[tuple[str, str]]:
    """Give the moves of chains that have an open end, and of circles."""
    closed: list[tuple[str, str]] = []
    seen: set[str] = set()
    for first in moved.keys() - set(moved.values()):
        chain = [first]
        while chain[-1] in moved:
            chain.append(moved[chain[-1]])
        seen.update(chain)
        if chain[-1] not in names_a or first not in names_b:
            closed += pairwise(chain)
    return closed + [(a, b) for a, b in moved.items() if a not in seen and a != b]
