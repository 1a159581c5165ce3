"""What changed between two checkpoints: a status for every variable, and how far it moved.

The indexes come first: equal type, size and checksum answer "the same" without a
byte of values. Only what is left is read, side by side, once.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from itertools import compress, repeat
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.checksums import content_comparison, has_checksum
from ckread.analysis.diff.codes import compare_dequantised, decoding_of, have_no_common_unit
from ckread.analysis.diff.conversion import (
    Arrangement,
    compare_turned,
    find_parts,
    pair_by_turned_values,
)
from ckread.analysis.diff.matching import find_moved_by_values, match_variables
from ckread.analysis.diff.metrics import IDENTICAL, Metrics, Tolerance, may_be_exchanged
from ckread.analysis.diff.records import (
    SHOWN,
    CheckpointDiff,
    Conversion,
    DiffStatus,
    PairedBy,
    Side,
    VariableDiff,
    make_records,
    scalar_of,
    status_of_figures,
)
from ckread.analysis.diff.renaming import parse_rule
from ckread.analysis.workers import Work
from ckread.errors import CheckpointError
from ckread.model.display import column_of
from ckread.model.opening import opened, shared_graphs
from ckread.model.role import Role, as_roles
from ckread.readers.contract import CHECKSUMMED, DOTTED, Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor

    from ckread.analysis.diff.conversion import PartPair
    from ckread.analysis.diff.matching import Matching
    from ckread.analysis.diff.pairing import Pair
    from ckread.analysis.diff.records import RenameRule
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable


_OF_MORE = CHECKSUMMED - {Format.TENSOR_BUNDLE, Format.SAVED_MODEL}
"""Formats whose checksums cover more than one tensor, which reading any of it verifies."""

_LEFT_OUT = (Role.BOOKKEEPING, Role.ALIAS)


def diff_checkpoints(
    a: Checkpoint | str | os.PathLike[str] | object,
    b: Checkpoint | str | os.PathLike[str] | object,
    patterns: str | Iterable[str] = (),
    *,
    roles: str | Iterable[str] = (),
    index_only: bool = False,
    rtol: float = 0.0,
    atol: float = 0.0,
    ulp: float = 0.0,
    everything: bool = False,
    rename: str | Iterable[str] = (),
    rename_map: Mapping[str, str] | None = None,
    n_jobs: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> CheckpointDiff:
    """Compare two checkpoints.

    Args:
        a: the first checkpoint, or its path; or a live `tf.train.Checkpoint`, `tf.Module`,
            Keras model or dict of trackables, of which nothing is changed.
        b: the second, likewise.
        patterns: only variables that one of these matches, on either side.
        roles: only variables of these roles, on either side; empty for every role.
        index_only: read no values: equal is what has equal checksums.
        rtol: relative tolerance; with `atol` 0 too, values are compared bit for bit.
        atol: absolute tolerance.
        ulp: steps of the type at a variable's largest value up to which all its differences
            are rounding.
        everything: take bookkeeping and aliases in as well.
        rename: `s/old/new/` rules that turn names of `a` into names of `b`.
        rename_map: names of `a` and the names of `b` that they are.
        n_jobs: worker processes; None for as many as the bytes are worth.
        executor: where the work runs instead of own processes.
        progress: told the number of bytes read, as they are.

    Raises:
        UsageError: a rule or tolerance that is none.
        VariableNotFoundError: a pattern means no variable of either side.
        ChecksumError: bytes of one side are damaged.
        MissingShardError: a data shard of one side is not there.
        CheckpointError: a checkpoint cannot be opened or read.

    Example:
        >>> found = ckread.diff("fixtures/digits_run/ckpt-2", "fixtures/digits_run/ckpt-3")
        >>> found.identical, found.summary["changed"], str(found["conv1/kernel"].status)
        (False, 37, 'identical')
        >>> round(found["hidden/kernel"].metrics.relative_l2, 3)
        0.133
    """
    tolerance = Tolerance(rtol, atol, ulp)
    rules = [parse_rule(text) for text in _several(rename)]
    with ExitStack() as stack:
        with shared_graphs():
            first, second = (stack.enter_context(opened(side)) for side in (a, b))
        chosen = _several(patterns), as_roles(roles)
        is_conversion = (first.format in DOTTED) != (second.format in DOTTED)
        to_read, work = None if index_only else tolerance, Work(n_jobs, executor, progress)
        found: Sequence[VariableDiff] | None = None
        explained: tuple[RenameRule, ...] = ()
        try:
            if first.columns and second.columns and not (any(chosen) or rules or rename_map):
                from ckread.analysis.diff.columns import diff_columns

                left_out = () if everything else _LEFT_OUT
                found = diff_columns(first, second, left_out, to_read, work)
            if found is None:
                sides = [
                    [v for v in checkpoint.values() if everything or v.role not in _LEFT_OUT]
                    for checkpoint in (first, second)
                ]
                is_wanted = _scope(sides, *chosen)
                by_values = None if index_only else _pair_by_values(is_wanted, is_conversion)
                match = partial(
                    match_variables,
                    *sides,
                    rules=rules,
                    renames=rename_map,
                    by_values=by_values,
                    is_conversion=is_conversion,
                )
                same = content_comparison(*sides)
                compare = Comparing(same, to_read, work, (first, second), is_conversion)
                found, explained = _diff_by_pairs(match, is_wanted, compare, second.in_order())
        except CheckpointError as error:
            raise _placed(error, (first, second)) from error
        verified = _is_verified(found, (first, second))
    return CheckpointDiff(
        first.path,
        second.path,
        index_only,
        tolerance,
        found,
        explained,
        verified,
        Conversion.told_by(found) if is_conversion and not index_only else None,
    )


def _diff_by_pairs(
    match: Callable[..., Matching],
    is_wanted: Callable[[Variable | None, Variable | None], bool],
    compare: Comparing,
    ordered: Sequence[Variable],
) -> tuple[tuple[VariableDiff, ...], tuple[RenameRule, ...]]:
    """Pair variables and compare them; give them in this order, the removed ones last."""
    matching = match()
    variables = _variables(matching, is_wanted, compare)
    moved = {} if compare.tolerance is None else find_moved_by_values(matching.pairs, variables)
    if moved:
        matching = match(moved=moved)
        variables = _variables(matching, is_wanted, compare)
    order = {variable.name: i for i, variable in enumerate(ordered)}
    variables.sort(key=lambda v: len(order) if v.b is None else order[v.name])
    return tuple(variables), matching.rules


def _several(texts: str | Iterable[str]) -> tuple[str, ...]:
    """Give texts, of which one may stand alone."""
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _scope(
    sides: Sequence[Sequence[Variable]], patterns: tuple[str, ...], roles: frozenset[Role]
) -> Callable[[Variable | None, Variable | None], bool]:
    """Give a function that tells whether a pair, or one side alone, is asked for."""
    from ckread.model.selection import compile_patterns

    there = (side if patterns else () for side in sides)
    names = [(variable.name, variable.key) for side in there for variable in side]
    is_meant = compile_patterns(patterns, names) if patterns else None

    def is_wanted(a: Variable | None, b: Variable | None) -> bool:
        present = [variable for variable in (a, b) if variable is not None]
        has_role = not roles or any(variable.role in roles for variable in present)
        if is_meant is None or not has_role:
            return has_role
        return is_meant(*((variable.name, variable.key) for variable in present))

    return is_wanted


def _pair_by_values(
    is_wanted: Callable[[Variable | None, Variable | None], bool], is_conversion: bool
) -> Callable[[Sequence[Variable], Sequence[Variable]], Iterable[tuple[Variable, Variable]]]:
    """Give the pairing by values, which reads only where something that is asked for is left."""

    def pair(a: Sequence[Variable], b: Sequence[Variable]) -> Iterable[tuple[Variable, Variable]]:
        wanted = {v.elements for v in a if is_wanted(v, None)}
        wanted |= {v.elements for v in b if is_wanted(None, v)}
        common = wanted & {v.elements for v in a} & {v.elements for v in b}
        if not common:
            return []
        from ckread.analysis.diff.contents import pair_by_values

        left, right = ([v for v in side if v.elements in common] for side in (a, b))
        pair_up = pair_by_turned_values if is_conversion else pair_by_values
        return list(pair_up(left, right))

    return pair


def _variables(
    matching: Matching,
    is_wanted: Callable[[Variable | None, Variable | None], bool],
    comparing: Comparing,
) -> list[VariableDiff]:
    pairs = [pair for pair in matching.pairs if is_wanted(pair.a, pair.b)]
    found = diff_pairs(pairs, comparing)
    added = [v for v in matching.added if is_wanted(None, v)]
    removed = [v for v in matching.removed if is_wanted(v, None)]
    if comparing.is_conversion and comparing.tolerance is not None and added and removed:
        parts = find_parts(removed, added)
        found += [_of_part(one) for one in parts]
        taken = {id(v) for one in parts for v in (one.a, one.b)}
        added, removed = ([v for v in side if id(v) not in taken] for side in (added, removed))
    found += [_alone(v, DiffStatus.ADDED) for v in added]
    found += [_alone(v, DiffStatus.REMOVED) for v in removed]
    return found


def _of_part(found: PartPair) -> VariableDiff:
    a, b = found.a, found.b
    return VariableDiff(
        name=b.name,
        status=DiffStatus.RESHAPED,
        role=b.role,
        a=Side.of(a),
        b=Side.of(b),
        nbytes=b.nbytes,
        paired_by=PairedBy.PART,
        confidence=1.0,
        metrics=IDENTICAL,
        permutation=found.axes,
        is_read=True,
        part=found.part,
    )


def _placed(error: CheckpointError, sides: Sequence[Checkpoint]) -> CheckpointError:
    """Name the file in full where both sides have one of that name."""
    name = os.path.basename(error.path or "")
    files = [file.path for side in sides for file in side.files()]
    if error.path is None or sum(os.path.basename(path) == name for path in files) < 2:
        return error
    return error.within(name=error.path)


def _is_verified(found: Sequence[VariableDiff], sides: Sequence[Checkpoint]) -> bool | None:
    """Tell whether all that was read had a checksum; a wrong one would have raised."""
    is_read = column_of(found, "is_read")
    if not any(is_read):
        return None
    if all(c.columns or all(v.crc32c is not None for v in c.values()) for c in sides):
        return True
    return all(
        checkpoint.format in _OF_MORE or has_checksum(checkpoint[side.name])
        for variable in compress(found, is_read)
        for side, checkpoint in zip((variable.a, variable.b), sides, strict=True)
        if side is not None
    )


def _alone(variable: Variable, status: DiffStatus) -> VariableDiff:
    side = Side.of(variable)
    is_added = status is DiffStatus.ADDED
    return VariableDiff(
        name=variable.name,
        status=status,
        role=variable.role,
        a=None if is_added else side,
        b=side if is_added else None,
        nbytes=variable.nbytes,
        owner=variable.owner,
        slot=variable.slot,
    )


class Comparing(NamedTuple):
    """How a pair is compared: the indexes, then the values if there is a tolerance."""

    are_same_content: Callable[[Sequence[tuple[Variable, ...]]], list[bool | None]]
    tolerance: Tolerance | None
    work: Work
    sides: tuple[Mapping[str, Variable], Mapping[str, Variable]] = ({}, {})
    is_conversion: bool = False


def diff_pairs(pairs: Sequence[Pair], comparing: Comparing) -> list[VariableDiff]:
    """Give what became of each pair, in their order.

    Raises:
        CheckpointError: values cannot be read, or are damaged.
    """
    same = comparing.are_same_content([pair[:2] for pair in pairs])
    retyped = [i for i, pair in enumerate(pairs) if pair.a.dtype is not pair.b.dtype]
    codes = {i for i in retyped if have_no_common_unit(pairs[i].a, pairs[i].b)}
    scales: dict[int, str] = {}
    metrics: list[Metrics | None] = [None] * len(pairs)
    is_read = [False] * len(pairs)
    if comparing.tolerance is not None:
        metrics = [IDENTICAL if equal else None for equal in same]
        to_read = [
            i
            for i, (a, b, *_) in enumerate(pairs)
            if not same[i] and a.elements == b.elements and i not in codes
        ]
        if to_read:
            from ckread.analysis.diff.values import compare_pairs

            left, right = [pairs[i].a for i in to_read], [pairs[i].b for i in to_read]
            measured = compare_pairs(left, right, comparing.tolerance, comparing.work)
            for i, found in zip(to_read, zip(*measured, strict=True), strict=True):
                metrics[i] = None if found[0] is None else Metrics._make(found)
                is_read[i] = True
        for i in codes:
            a, b = pairs[i].a, pairs[i].b
            known = [decoding_of(v, s) for v, s in zip((a, b), comparing.sides, strict=True)]
            decoding = next(filter(None, known), None)
            if decoding is not None and a.shape == b.shape:
                metrics[i] = compare_dequantised(a, b, decoding, comparing.tolerance)
                is_read[i] = not same[i]
                scales[i] = decoding.scale.name
    turned: dict[int, Arrangement] = {}
    for i, (a, b, *_) in enumerate(pairs):
        if _may_be_exchanged(a, b, metrics[i]) and (axes := find_axes(a, b)) is not None:
            turned[i] = Arrangement(axes)
            if comparing.is_conversion or a.shape != b.shape:
                metrics[i] = IDENTICAL
        elif comparing.is_conversion and comparing.tolerance and _may_be_turned(a, b, metrics[i]):
            as_b = compare_turned(a, b, comparing.tolerance)
            if as_b is not None:
                (turned[i], metrics[i]), is_read[i] = as_b, True
    ulp = 0.0 if comparing.tolerance is None else comparing.tolerance.ulp
    found_of_all = _of_alike(pairs, same, metrics, ulp, is_read)
    for i, (a, b, *_) in enumerate(pairs):
        if a.shape != b.shape or i in codes or i in turned:
            told = _of_pair(pairs[i], same[i], metrics[i], turned.get(i), ulp, is_read=is_read[i])
            is_as_a = i in codes and a.role.is_parameter
            role = a.role if is_as_a else b.role
            found_of_all[i] = told._replace(is_codes=i in codes, role=role, scale=scales.get(i))
    return found_of_all


def _of_alike(
    pairs: Sequence[Pair],
    same: Sequence[bool | None],
    metrics: Sequence[Metrics | None],
    ulp: float,
    is_read: Sequence[bool],
) -> list[VariableDiff]:
    """Give what became of pairs of one shape each, field by field: there may be 100,000."""
    if not pairs:
        return []
    left, right, paired_by, confidence = zip(*pairs, strict=True)
    records, others = ([v.record for v in side] for side in (left, right))
    told = [
        DiffStatus.IDENTICAL
        if is_same and m is None and not pair.is_renamed and one[1:3] == other[1:3]
        else _status(pair, is_same, m, ulp)
        for pair, is_same, m, one, other in zip(pairs, same, metrics, records, others, strict=True)
    ]
    shown = [r and s in SHOWN and a.elements == 1
             for r, s, a in zip(is_read, told, left, strict=True)]  # fmt: skip
    old, new = (
        [scalar_of(v) if is_shown else None for v, is_shown in zip(side, shown, strict=True)]
        if any(shown) else repeat(None)
        for side in (left, right)
    )  # fmt: skip
    names, roles, _, owners, slots, *_ = zip(*[v.identity for v in right], strict=True)
    old_names = [v.name for v in left]
    sides = (
        map(Side._make, zip(known, *list(zip(*found, strict=True))[:3], strict=True))
        for known, found in ((old_names, records), (names, others))
    )
    fields = ("name", "status", "role", "a", "b", "nbytes", "owner", "slot", "paired_by",
              "confidence", "metrics", "is_read", "old", "new")  # fmt: skip
    columns = (
        names, told, roles, *sides, [record.nbytes for record in others], owners, slots,
        paired_by, confidence, metrics, is_read, old, new,
    )  # fmt: skip
    return make_records(dict(zip(fields, columns, strict=True)))


def _may_be_exchanged(a: Variable, b: Variable, metrics: Metrics | None) -> bool:
    """Tell whether values differ but not their norm, as where axes were exchanged."""
    if metrics is None or not metrics.changed_elements:
        return False
    is_alike = a.dtype == b.dtype and len(a.shape) > 1
    return is_alike and may_be_exchanged(metrics.l2_a, metrics.l2_b)


def _may_be_turned(a: Variable, b: Variable, metrics: Metrics | None) -> bool:
    """Tell whether a pair of two libraries differs, perhaps in the order of its elements alone."""
    is_same = metrics is not None and not metrics.changed_elements
    has_order = a.elements == b.elements > 1 and b.role.is_parameter
    return has_order and not is_same and not have_no_common_unit(a, b)


def find_axes(a: Variable, b: Variable) -> tuple[int, ...] | None:
    """Give the axes that were exchanged, if that is all."""
    from ckread.analysis.diff.contents import find_permutation

    return find_permutation(a, b)


def _of_pair(
    pair: Pair,
    same: bool | None,
    metrics: Metrics | None,
    turned: Arrangement | None,
    ulp: float,
    *,
    is_read: bool,
) -> VariableDiff:
    a, b = pair.a, pair.b
    if a.shape != b.shape and metrics is not None and turned is None:
        # What was measured in C order is kept where that means anything.
        long_a, long_b = ([n for n in v.shape if n != 1] for v in (a, b))
        if long_a != long_b and metrics.changed_elements:
            metrics = None
    status = _status(pair, same, metrics, ulp)
    shows_values = is_read and status in SHOWN
    return VariableDiff(
        name=b.name,
        status=status,
        role=b.role,
        a=Side.of(a),
        b=Side.of(b),
        nbytes=b.nbytes,
        owner=b.owner,
        slot=b.slot,
        paired_by=pair.paired_by,
        confidence=pair.confidence,
        metrics=metrics,
        permutation=turned.axes if turned else None,
        gates=turned.gates if turned else None,
        is_read=is_read,
        old=scalar_of(a) if shows_values else None,
        new=scalar_of(b) if shows_values else None,
    )


def _status(
    pair: Pair, is_same: bool | None, metrics: Metrics | None, ulp: float
) -> DiffStatus | None:
    if pair.a.shape != pair.b.shape:
        return DiffStatus.RESHAPED
    if pair.a.dtype != pair.b.dtype:
        return DiffStatus.RETYPED
    status = status_of_figures(is_same, None, None, None, ulp)
    if metrics is not None:
        changed, close = metrics.changed_elements, metrics.close_elements
        status = status_of_figures(is_same, changed, close, metrics.max_ulp_of_largest, ulp)
    return DiffStatus.RENAMED if pair.is_renamed and status is DiffStatus.IDENTICAL else status
