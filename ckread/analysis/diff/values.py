"""Pairs of variables compared by reading both side by side, each byte once.

Pairs whose bytes lie plainly on both sides go through the engine of `scan`. Everything
else (strings, partitioned variables, compressed files) streams through its reader in
this process.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ckread.analysis.diff.kernels import CAPACITY, PairComparison, compare_many, compare_strings
from ckread.analysis.diff.metrics import Metrics, PairTally, merge_tallies, metrics_of
from ckread.analysis.scan import (
    PIECE_NBYTES,
    AllAtOnce,
    Grid,
    Item,
    Kernel,
    plain_extents,
    scan,
    side_by_side,
)
from ckread.model.variable import is_whole
from ckread.readers.contract import DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ckread.analysis.diff.metrics import Tolerance
    from ckread.analysis.scan import Chunks
    from ckread.analysis.workers import Work
    from ckread.errors import CheckpointError
    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent

    VariablePair = tuple[Variable, Variable]

_COMPLEX = (DataType.COMPLEX64, DataType.COMPLEX128)


def compare_pairs(
    pairs: Sequence[VariablePair],
    tolerance: Tolerance,
    work: Work,
) -> list[Metrics | None]:
    """Give the metrics of each pair of equally many elements; None where a type has no values."""
    items: list[Item] = []
    streamed: list[int] = []
    for i, (a, b) in enumerate(pairs):
        sources: tuple[Extent | Variable, ...] = (a, b)
        if not (is_whole(a) and is_whole(b)):
            left, right = plain_extents(a), plain_extents(b)
            if not (left and right and len(left) == len(right) == 1):
                streamed.append(i)
                continue
            sources = (*left, *right)
        grid = _grid(max(a.dtype.itemsize, b.dtype.itemsize))
        items.append(Item(i, sources, a.elements, grid, tolerance, (a.name, b.name)))
    metrics: dict[int, Metrics | None] = {}
    errors: dict[int, CheckpointError] = {}
    for item, found in scan(items, _KERNEL, work):
        if found.error is not None:
            errors[item.number] = found.error
        else:
            metrics[item.number] = _metrics(merge_tallies(found.partials), *pairs[item.number])
    if errors:
        raise errors[min(errors)]
    for i in streamed:
        metrics[i] = _compare_through_readers(*pairs[i], tolerance)
        work.advance(pairs[i][0].nbytes + pairs[i][1].nbytes)
    return [metrics[i] for i in range(len(pairs))]


@cache
def _grid(itemsize: int) -> Grid:
    return Grid(PIECE_NBYTES // itemsize, CAPACITY, n_arrays=2)


def compare(_extents: Sequence[Extent], tolerance: Tolerance, chunks: Chunks) -> PairTally:
    """Compare two extents, in any process: the kernel."""
    comparison = PairComparison(tolerance)
    for a, b in chunks:
        comparison.add(a, b)
    return comparison.tally()


def compare_small(
    _: Sequence[DataType], tolerance: Tolerance, arrays: Sequence[NDArray[Any]]
) -> list[PairTally | None]:
    """Compare small tensors of one size and type, the rows of two arrays."""
    a, b = arrays
    return compare_many(a, b) if tolerance.is_bitwise else [None] * len(a)


def _metrics(tally: PairTally, a: Variable, b: Variable) -> Metrics:
    is_real = a.dtype not in _COMPLEX and b.dtype not in _COMPLEX
    return metrics_of(tally, b.shape, is_retyped=a.dtype != b.dtype, is_signed=is_real)


def _compare_through_readers(a: Variable, b: Variable, tolerance: Tolerance) -> Metrics | None:
    """Compare what has no plain bytes, chunk by chunk."""
    if a.dtype == b.dtype == DataType.STRING:
        strings = (variable.numpy().ravel().tolist() for variable in (a, b))
        return _metrics(compare_strings(*strings), a, b)
    if not (a.dtype.is_plain and b.dtype.is_plain):
        return None
    comparison = PairComparison(tolerance)
    for left, right in side_by_side(a.chunks(), b.chunks()):
        comparison.add(left, right)
    return _metrics(comparison.tally(), a, b)


_KERNEL = Kernel(compare, partial(AllAtOnce, compare_small))
