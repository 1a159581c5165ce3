"""Pairs of variables, compared: the indexes first, values where those cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.diff_records import DiffStatus, Side, VariableDiff
from ckread.analysis.metrics import IDENTICAL, Metrics
from ckread.analysis.tolerance import Tolerance
from ckread.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from ckread.analysis.pairing import Pair
    from ckread.model.variable import Variable


class Work(NamedTuple):
    """How values are read."""

    jobs: int | None
    executor: Executor | None
    progress: Callable[[int], None] | None


class Comparing(NamedTuple):
    """How a pair is compared: the indexes, then the values if there is a tolerance."""

    is_same_content: Callable[[Variable, Variable], bool | None]
    tolerance: Tolerance | None
    work: Work


def diff_pairs(pairs: Sequence[Pair], comparing: Comparing) -> list[VariableDiff]:
    """Give what became of each pair, in their order.

    Raises:
        CheckpointError: values cannot be read, or are damaged.
    """
    same = [comparing.is_same_content(pair.a, pair.b) for pair in pairs]
    metrics: dict[int, Metrics | None] = {}
    if comparing.tolerance is not None:
        metrics = {i: IDENTICAL for i, equal in enumerate(same) if equal}
        to_read = [i for i, equal in enumerate(same) if not equal and _is_comparable(pairs[i])]
        measured = _read([pairs[i] for i in to_read], comparing) if to_read else []
        metrics.update(zip(to_read, measured, strict=True))
    return [
        _of_pair(pair, same[i], metrics.get(i), is_read=i in metrics and not same[i])
        for i, pair in enumerate(pairs)
    ]


def _read(pairs: Sequence[Pair], comparing: Comparing) -> list[Metrics | None]:
    from ckread.analysis.value_pairs import compare_pairs

    work = comparing.work
    return compare_pairs(
        [(pair.a, pair.b) for pair in pairs],
        comparing.tolerance or Tolerance(),
        n_jobs=work.jobs,
        executor=work.executor,
        progress=work.progress,
    )


def _is_comparable(pair: Pair) -> bool:
    return pair.a.elements == pair.b.elements


def _exchanged_axes(pair: Pair, metrics: Metrics | None) -> tuple[int, ...] | None:
    """Give how axes were exchanged: looked for where values differ, but not their norm."""
    if metrics is None or not metrics.changed_elements or not metrics.l2_a:
        return None
    if len(pair.a.shape) < 2 or metrics.l2_b is None:
        return None
    if abs(metrics.l2_a - metrics.l2_b) > 1e-12 * metrics.l2_a:
        return None
    from ckread.analysis.arrangement import find_permutation

    return find_permutation(pair.a, pair.b)


def _of_pair(
    pair: Pair, same: bool | None, metrics: Metrics | None, *, is_read: bool
) -> VariableDiff:
    a, b = pair.a, pair.b
    permutation = _exchanged_axes(pair, metrics)
    if a.shape != b.shape and metrics is not None:
        metrics = _metrics_of_reshaped(pair, metrics, permutation)
    status = _status(pair, same if metrics is None else not metrics.changed_elements)
    shows_values = is_read and status is DiffStatus.CHANGED
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
        permutation=permutation,
        is_read=is_read,
        old=_scalar(a) if shows_values else None,
        new=_scalar(b) if shows_values else None,
    )


def _metrics_of_reshaped(
    pair: Pair, metrics: Metrics, permutation: tuple[int, ...] | None
) -> Metrics | None:
    """Keep what was measured in C order where that means anything."""
    if permutation is not None:
        return IDENTICAL
    long_a, long_b = ([n for n in v.shape if n != 1] for v in (pair.a, pair.b))
    return metrics if long_a == long_b or not metrics.changed_elements else None


def _status(pair: Pair, is_equal: bool | None) -> DiffStatus | None:
    if pair.a.shape != pair.b.shape:
        return DiffStatus.RESHAPED
    if pair.a.dtype != pair.b.dtype:
        return DiffStatus.RETYPED
    if not is_equal:
        return None if is_equal is None else DiffStatus.CHANGED
    return DiffStatus.RENAMED if pair.is_renamed else DiffStatus.IDENTICAL


def _scalar(variable: Variable) -> int | float | bool | None:
    """Give the value of a scalar; None for anything else."""
    if variable.elements != 1 or variable.shape not in ((), (1,)):
        return None
    try:
        return variable.scalar()
    except UsageError:  # bfloat16 and its like
        return None
