"""Pairs of variables compared by reading both side by side, each byte once.

Those that differ so little that it may be rounding are read a second time, to count steps.

Pairs whose bytes lie plainly on both sides go through the engine of `scan`. Everything
else (strings, partitioned variables, compressed files) streams through its reader in
this process.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ckread.analysis.diff.kernels import (
    CAPACITY,
    PairComparison,
    compare_many,
    compare_rounding,
    compare_strings,
    has_steps,
    may_be_rounding,
    merge_roundings,
    metrics_of_rows,
    rounding_of,
)
from ckread.analysis.diff.metrics import Metrics, PairTally, merge_tallies, metrics_of
from ckread.analysis.scan import (
    PIECE_NBYTES,
    Grid,
    Item,
    plain_extents,
    scan,
    side_by_side,
)
from ckread.analysis.small import AllAtOnce, grouped, scan_together
from ckread.model.columns.variables import SomeVariables
from ckread.model.variable import is_whole
from ckread.readers.contract import DataType, numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckread.analysis.diff.metrics import Tolerance
    from ckread.analysis.scan import Chunks
    from ckread.analysis.workers import Work
    from ckread.errors import CheckpointError
    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent

    VariablePair = tuple[Variable, Variable]

_COMPLEX = (DataType.COMPLEX64, DataType.COMPLEX128)


def compare_pairs(
    a: Sequence[Variable], b: Sequence[Variable], tolerance: Tolerance, work: Work
) -> list[list[Any]]:
    """Give the metrics of pairs of equally many elements, field by field.

    All fields are None where a type has no values.
    """
    columns: list[list[Any]] = [[] for _ in Metrics._fields]
    numbers: list[int] = []
    rest = list(range(len(a)))
    if tolerance.is_bitwise:
        groups, rest = grouped([a, b])
        start = partial(AllAtOnce, partial(compare_many, allowed=tolerance.ulp))
        shapes = (isinstance(b, SomeVariables) and b.column("shape")) or [v.shape for v in b]
        for rows in scan_together(groups, start, work):
            if rows.result is not None:
                at, done = rows.done
                numbers += done
                found = metrics_of_rows(rows.result, at, [shapes[i] for i in done])
                for column, values in zip(columns, found, strict=True):
                    column += values
            rest += rows.left
        rest.sort()
    absent = (None,) * len(columns)
    one_by_one = _compare_one_by_one({i: (a[i], b[i]) for i in rest}, tolerance, work)
    fields = zip(*(one or absent for one in one_by_one), strict=True)
    for column, cells in zip(columns, fields, strict=False):  # there may be none
        column += cells
    numbers += rest
    if any(i != number for i, number in enumerate(numbers)):
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        columns = [[column[i] for i in order] for column in columns]
    return columns


def _compare_one_by_one(
    pairs: Mapping[int, VariablePair], tolerance: Tolerance, work: Work
) -> list[Metrics | None]:
    """Give the metrics of each pair; None where a type has no values."""
    items: list[Item] = []
    streamed: list[int] = []
    for i, (a, b) in pairs.items():
        sources: tuple[Extent | Variable, ...] = (a, b)
        if not (is_whole(a) and is_whole(b)):
            left, right = plain_extents(a), plain_extents(b)
            if not (left and right and len(left) == len(right) == 1):
                streamed.append(i)
                continue
            sources = (*left, *right)
        grid = _grid(max(a.dtype.itemsize, b.dtype.itemsize))
        items.append(Item(i, sources, a.elements, grid, tolerance, (a.name, b.name)))
    tallies: dict[int, PairTally | None] = {}
    errors: dict[int, CheckpointError] = {}
    for item, found in scan(items, compare, work):
        if found.error is not None:
            errors[item.number] = found.error
        else:
            tallies[item.number] = merge_tallies(found.partials)
    if errors:
        raise errors[min(errors)]
    for i in streamed:
        tallies[i] = _compare_through_readers(*pairs[i], tolerance)
        work.advance(pairs[i][0].nbytes + pairs[i][1].nbytes)
    metrics = {i: _metrics(tallies[i], *pair) for i, pair in pairs.items()}
    near = {i for i, pair in pairs.items() if _is_near(tallies[i], *pair, tolerance)}
    work = work._replace(progress=None)
    steps = {
        i: rounding_of(side_by_side(*(v.chunks() for v in pairs[i]))) for i in near & {*streamed}
    }
    items = [item for item in items if item.number in near]
    for item, found in scan(items, compare_rounding, work, merge_roundings):
        if found.error is not None:
            raise found.error
        [steps[item.number]] = found.partials
    for i, (max_ulp, spacing) in steps.items():
        known = metrics[i]
        if known is not None and known.max_abs is not None and spacing:
            of_largest = known.max_abs / spacing
            metrics[i] = known._replace(max_ulp=max_ulp, max_ulp_of_largest=of_largest)
    return list(metrics.values())


def _is_near(tally: PairTally | None, a: Variable, b: Variable, tolerance: Tolerance) -> bool:
    """Tell whether two variables differ, and so little that it may be rounding."""
    if tally is None or not tally.changed + tally.close or a.dtype != b.dtype:
        return False
    dtype = numpy_dtype(a.dtype)
    largest = tally.max_abs
    return (
        largest is not None
        and has_steps(dtype)
        and may_be_rounding(largest, tally.bound, dtype, tolerance.ulp)
    )


@cache
def _grid(itemsize: int) -> Grid:
    return Grid(PIECE_NBYTES // itemsize, CAPACITY, n_arrays=2)


def compare(_extents: Sequence[Extent], tolerance: Tolerance, chunks: Chunks) -> PairTally:
    """Compare two extents, in any process: the kernel."""
    comparison = PairComparison(tolerance)
    for a, b in chunks:
        comparison.add(a, b)
    return comparison.tally()


def _metrics(tally: PairTally | None, a: Variable, b: Variable) -> Metrics | None:
    if tally is None:
        return None
    is_real = a.dtype not in _COMPLEX and b.dtype not in _COMPLEX
    return metrics_of(tally, b.shape, is_retyped=a.dtype != b.dtype, is_signed=is_real)


def _compare_through_readers(a: Variable, b: Variable, tolerance: Tolerance) -> PairTally | None:
    """Compare what has no plain bytes, chunk by chunk."""
    if a.dtype == b.dtype == DataType.STRING:
        strings = (variable.numpy().ravel().tolist() for variable in (a, b))
        return compare_strings(*strings)
    if not (a.dtype.is_plain and b.dtype.is_plain):
        return None
    comparison = PairComparison(tolerance)
    for left, right in side_by_side(a.chunks(), b.chunks()):
        comparison.add(left, right)
    return comparison.tally()
