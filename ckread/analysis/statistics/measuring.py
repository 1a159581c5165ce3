"""Measuring variables: what one job does, how results are put together, the second read.

What fits one chunk is sorted, so all of it is exact. Larger tensors give a sketch per
piece. Where a sketch has too few of its bins in use, the bytes are read again: the
gains of a layer norm lie within 1e-4 of 1, in two of the 65,536 bins of the bit
pattern. Each such bin is divided evenly, between its bounds and within the extremes of
the variable, into as many parts as 65,536 allow.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.numbers import chunk_buffer
from ckread.analysis.scan import Item, item_of, plain_extents, scan
from ckread.analysis.small import AllAtOnce, grouped, scan_together
from ckread.analysis.statistics.distribution import (
    Bins,
    Distribution,
    exact_distribution,
    exact_distributions,
    rounded_bins,
    sketch_bins,
    sketch_distribution,
    with_bins,
)
from ckread.analysis.statistics.sketch import N_BINS, Pattern, Sketch
from ckread.errors import CheckpointError, UnsupportedFeatureError
from ckread.model.variable import is_whole
from ckread.readers.contract import CHUNK_NBYTES, DataType, numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.scan import Chunks
    from ckread.analysis.workers import Work
    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent

    Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to measure of values.

    Attributes:
        n_bins: bins of the histogram to draw.
        is_few: whether they are few enough to be sorted.
        cells: what to divide, on a second read.
    """

    n_bins: int
    is_few: bool
    cells: Cells | None = None


def measure_variables(
    variables: Sequence[Variable],
    n_bins: int,
    work: Work,
) -> list[Distribution | CheckpointError]:
    """Measure variables, of one checkpoint or of several.

    Returns:
        A distribution for each, or the error that keeps it from being read.
    """
    outcomes: dict[int, Distribution | CheckpointError] = {}
    items: list[Item] = []
    groups, rest = grouped([variables])
    for rows in scan_together(groups, partial(AllAtOnce, measure_many), work):
        for at, i in zip(*rows.done, strict=True):
            outcomes[i] = rows.result[at]
        rest += rows.left
    few, many = Wanted(n_bins, is_few=True), Wanted(n_bins, is_few=False)
    for i in sorted(rest):
        variable = variables[i]
        extents: Sequence[Extent | Variable] | None = (variable,)
        if not is_whole(variable):
            try:
                extents = plain_extents(variable)
            except CheckpointError as error:
                outcomes[i] = error
                continue
        if extents:
            is_few = len(extents) == 1 and extents[0].nbytes <= CHUNK_NBYTES
            items += [item_of(i, extent, few if is_few else many) for extent in extents]
    coarse: dict[int, tuple[Bins, Cells]] = {}
    for i, total in _totals(items, work):
        outcomes[i] = total
        if isinstance(total, Sketch):
            outcomes[i] = sketch_distribution(total, n_bins)
            cells = cells_to_refine(total)
            if cells is not None:
                coarse[i] = sketch_bins(total), cells
    again = [
        replace(item, parameter=Wanted(n_bins, False, coarse[item.number][1]))
        for item in items
        if item.number in coarse
    ]
    for i, counts in _totals(again, work):
        first = outcomes[i]
        outcomes[i] = counts
        if isinstance(first, Distribution) and not isinstance(counts, CheckpointError):
            outcomes[i] = with_bins(first, refined_bins(*coarse[i], counts), n_bins)
    for i, variable in enumerate(variables):
        if i not in outcomes:
            try:
                outcomes[i] = measure_here(variable, n_bins)
            except CheckpointError as error:
                outcomes[i] = error
            work.advance(variable.nbytes)
    return [outcomes[i] for i in range(len(variables))]


def _totals(items: Sequence[Item], work: Work) -> Iterator[tuple[int, Any]]:
    """Yield what all extents of a variable gave together, or the first thing that was wrong."""
    n_left = Counter(item.number for item in items)
    totals: dict[int, Any] = {}
    errors: dict[int, CheckpointError] = {}
    for item, found in scan(items, measure, work, merge=merged):
        i = item.number
        if found.error is not None:
            errors.setdefault(i, found.error)
        else:
            [partial] = found.partials
            totals[i] = merged(totals[i], partial) if i in totals else partial
        n_left[i] -= 1
        if not n_left[i]:
            total = totals.pop(i, None)
            yield i, errors.get(i, total)


def merged(first: Any, second: Any) -> Any:
    """Put two sketches, or the counts of two parts, together."""
    if isinstance(first, Sketch):
        first.merge(second)
        return first
    return first + second


def measure_many(
    dtypes: Sequence[DataType], arrays: Sequence[NDArray[Any]]
) -> tuple[list[Distribution], NDArray[np.bool_]]:
    """Measure small tensors of one size and type, the rows of an array: the kernel of these."""
    [values] = arrays
    return exact_distributions(values, dtypes[0])


def measure(
    extents: Sequence[Extent], wanted: Wanted, chunks: Chunks
) -> Distribution | Sketch | Counts:
    """Measure an extent, in any process: the kernel."""
    [extent] = extents
    arrays = (values for chunk in chunks for values in chunk)
    if wanted.cells is not None:
        return wanted.cells.counted(arrays)
    if wanted.is_few:
        values = next(arrays, np.empty(0, numpy_dtype(extent.dtype)))
        return exact_distribution(values, extent.dtype, wanted.n_bins)
    return sketch_of(arrays, extent.dtype)


def measure_here(variable: Variable, n_bins: int) -> Distribution:
    """Measure what lies nowhere plainly: strings, compressed or foreign formats."""
    dtype = variable.dtype
    if dtype is DataType.STRING:
        strings = variable.numpy().reshape(-1).tolist()
        lengths = np.fromiter(map(len, strings), np.int64, len(strings))
        return exact_distribution(lengths, dtype, n_bins)
    if not dtype.is_plain:
        raise UnsupportedFeatureError(f"{variable.name}: {dtype} holds no numbers")
    if variable.elements * dtype.itemsize <= CHUNK_NBYTES:
        return exact_distribution(variable.numpy(), dtype, n_bins)
    sketch = sketch_of(variable.chunks(), dtype)
    distribution = sketch_distribution(sketch, n_bins)
    cells = cells_to_refine(sketch)
    if cells is None:
        return distribution
    bins = refined_bins(sketch_bins(sketch), cells, cells.counted(variable.chunks()))
    return with_bins(distribution, bins, n_bins)


def sketch_of(arrays: Iterable[NDArray[Any]], dtype: DataType) -> Sketch:
    """Sketch a stream of arrays."""
    sketch = Sketch(dtype)
    for values in arrays:
        sketch.add(values)
    sketch.settle()
    return sketch


_ENOUGH_BINS = 256
_MAX_CELLS = 256
_PIECE = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The bins of a sketch that a second read divides. It pickles.

    Attributes:
        numbers: which bins of the bit pattern they are.
        low: float64, shape (n_cells,), the least value of each.
        high: float64, shape (n_cells,), the greatest.
        n_parts: into how many parts each is divided.
    """

    numbers: NDArray[np.intp]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_parts: int

    def counted(self, arrays: Iterable[NDArray[Any]]) -> Counts:
        """Count the elements of a stream.

        Returns:
            Shape (n_cells + 1, n_parts): the last row is for all other elements.
        """
        n_cells = self.numbers.size
        counts = np.zeros((n_cells + 1, self.n_parts), np.int64)
        low, scale, base = np.zeros(N_BINS), np.zeros(N_BINS), np.full(N_BINS, n_cells)
        low[self.numbers] = self.low
        scale[self.numbers] = self.n_parts / (self.high - self.low)
        base[self.numbers] = np.arange(n_cells)
        base *= self.n_parts
        with np.errstate(all="ignore"):
            for values in arrays:
                flat = np.ascontiguousarray(values).reshape(-1)
                flat = np.abs(flat) if flat.dtype.kind == "c" else flat
                for start in range(0, flat.size, _PIECE):
                    part = self._parts(flat[start : start + _PIECE], low, scale, base)
                    np.add.at(counts.reshape(-1), part, 1)
        return counts

    def _parts(
        self,
        piece: NDArray[Any],
        low: NDArray[np.float64],
        scale: NDArray[np.float64],
        base: NDArray[np.intp],
    ) -> NDArray[np.intp]:
        """Give the place among all parts of each element, by what is known of every bin."""
        n = piece.size
        room = [chunk_buffer(8 * _PIECE, number=k).view(np.float64)[:n] for k in (1, 2, 3)]
        number, x, known = room[0].view(np.uint64), *room[1:]
        bits = piece.astype(np.float32, copy=False).view(np.uint32)
        np.right_shift(bits, 16, out=number, casting="unsafe")
        bin_of = number.view(np.intp)
        np.copyto(x, piece)
        np.subtract(x, np.take(low, bin_of, out=known, mode="clip"), out=x)
        np.multiply(x, np.take(scale, bin_of, out=known, mode="clip"), out=x)
        np.fmax(np.fmin(x, self.n_parts - 1, out=x), 0, out=x)
        part = known.view(np.intp)
        np.copyto(part, x, casting="unsafe")
        np.add(part, np.take(base, bin_of, out=x.view(np.intp), mode="clip"), out=part)
        return part


def cells_to_refine(sketch: Sketch) -> Cells | None:
    """Give the bins that a second read should divide, None if they are fine enough."""
    if sketch.pattern not in (Pattern.FLOAT32, Pattern.ROUNDED):
        return None
    bins, numbers = rounded_bins(sketch)
    ends = np.cumsum(bins.counts)
    inner = np.searchsorted(ends, [0.01 * bins.n, 0.99 * bins.n])
    coarse = _to_divide(bins)
    if inner[1] - inner[0] >= _ENOUGH_BINS or not coarse.any():
        return None
    n_parts = N_BINS // int(coarse.sum())
    return Cells(numbers[coarse], bins.low[coarse], bins.high[coarse], n_parts)


def _to_divide(bins: Bins) -> NDArray[np.bool_]:
    return (bins.high > bins.low) & (bins.counts * 2 * _MAX_CELLS > bins.n)


def refined_bins(bins: Bins, cells: Cells, counts: Counts) -> Bins:
    """Give the bins of a sketch with those of the second read in the place of the coarse.

    Where the second read saw other numbers, since the file changed, the sketch's
    own bins are right and stay.
    """
    coarse = _to_divide(bins)
    parts = counts[:-1]
    if not np.array_equal(parts.sum(axis=1), bins.counts[coarse]):
        return bins
    steps = np.arange(cells.n_parts + 1) / cells.n_parts
    edges = cells.low[:, None] * (1 - steps) + cells.high[:, None] * steps
    used = parts > 0
    low = np.concatenate([bins.low[~coarse], edges[:, :-1][used]])
    high = np.concatenate([bins.high[~coarse], edges[:, 1:][used]])
    merged = np.concatenate([bins.counts[~coarse], parts[used]])
    order = np.argsort(low, kind="stable")
    return Bins(low[order], high[order], merged[order])
