"""Measuring tensors as jobs: what a worker does, and how its results are put together.

What fits one chunk is sorted, so all of it is exact. Larger tensors give a sketch per
segment. Checksums are taken in the same pass; those of segments are joined.

Results of jobs put together: the distribution of every variable, whatever came first.

Finer bins from a second read, where a sketch has too few of them in use.

The gains of a layer norm lie within 1e-4 of 1, in two of the 65,536 bins of the
bit pattern. Each such bin is divided evenly, between its bounds and within the
extremes of the variable, into as many parts as 65,536 allow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.scan import Segment, batches, chunk_buffer, joined_crc32c, segments_of
from ckread.analysis.statistics.distribution import (
    Bins,
    Distribution,
    exact_distribution,
    rounded_bins,
    sketch_bins,
    sketch_distribution,
    with_bins,
)
from ckread.analysis.statistics.sketch import N_BINS, Pattern, Sketch
from ckread.analysis.workers import choose_n_jobs, run
from ckread.errors import CheckpointError, UnsupportedFeatureError
from ckread.readers.contract import CHUNK_NBYTES
from ckread.readers.dtypes import DataType
from ckread.readers.extents import ExtentStream, OpenShards, decode, verify_extent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent
    from ckread.readers.files import RegularFile

    Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Task:
    """One segment to read.

    Attributes:
        variable: whose it is: an index that comes back with the outcome.
        segment: what to read.
        is_whole: whether it is the whole tensor.
        cells: what to divide, on a second read.
    """

    variable: int
    segment: Segment
    is_whole: bool
    cells: Cells | None = None


@dataclass(frozen=True, slots=True)
class MeasurementJob:
    """Segments to measure one after the other, and in how many bins to draw them."""

    tasks: tuple[Task, ...]
    n_bins: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task: a distribution, a sketch, counts of a second read, or an error.

    Attributes:
        task: the task, without its cells.
        crc32c: of the bytes of the segment.
    """

    task: Task
    crc32c: int = 0
    distribution: Distribution | None = None
    sketch: Sketch | None = None
    counts: NDArray[np.int64] | None = None
    error: CheckpointError | None = None


def measure(job: MeasurementJob) -> list[Outcome]:
    """Do the tasks of a job; the file stays open from one to the next. Runs in any process."""
    outcomes: list[Outcome] = []
    with OpenShards() as shards:
        for task in job.tasks:
            try:
                shard = shards[task.segment.extent.path]
                outcomes.append(_measure_task(task, job.n_bins, shard))
            except CheckpointError as error:
                outcomes.append(Outcome(task, error=error))
    return outcomes


def _measure_task(task: Task, n_bins: int, shard: RegularFile) -> Outcome:
    segment = task.segment
    extent = segment.extent
    stream = ExtentStream(
        extent, chunk_buffer(), start=segment.start, stop=segment.stop, shard=shard
    )
    chunks = (decode(extent, chunk) for chunk in stream)
    bare = replace(task, cells=None)
    if task.cells is not None:
        counts = task.cells.new_counts()
        for chunk in chunks:
            task.cells.count(chunk, counts)
        return Outcome(bare, stream.crc32c, counts=counts)
    if task.is_whole and segment.nbytes <= CHUNK_NBYTES:
        values = next(chunks, np.empty(0, decode(extent, chunk_buffer()[:0]).dtype))
        distribution = exact_distribution(values, extent.dtype, n_bins)
        for _ in chunks:
            pass
        return Outcome(bare, stream.crc32c, distribution=distribution)
    sketch = sketch_of(chunks, extent.dtype)
    return Outcome(bare, stream.crc32c, sketch=sketch)


def sketch_of(chunks: Iterable[NDArray[np.generic]], dtype: DataType) -> Sketch:
    """Sketch a stream of chunks."""
    sketch = Sketch(dtype)
    for chunk in chunks:
        sketch.add(chunk)
    sketch.settle()
    return sketch


def measure_here(variable: Variable, n_bins: int) -> Distribution:
    """Measure what lies nowhere plainly: strings, compressed or foreign formats.

    Raises:
        CheckpointError: it cannot be read, or holds no numbers.
    """
    if variable.dtype is DataType.STRING:
        strings = variable.numpy().reshape(-1).tolist()
        lengths = np.fromiter(map(len, strings), np.int64, len(strings))
        return exact_distribution(lengths, variable.dtype, n_bins)
    if not variable.dtype.is_plain:
        raise UnsupportedFeatureError(f"{variable.name}: {variable.dtype} holds no numbers")
    if variable.elements * variable.dtype.itemsize <= CHUNK_NBYTES:
        return exact_distribution(variable.numpy(), variable.dtype, n_bins)
    sketch = sketch_of(variable.chunks(), variable.dtype)
    distribution = sketch_distribution(sketch, n_bins)
    cells = cells_to_refine(sketch)
    if cells is None:
        return distribution
    counts = cells.new_counts()
    for chunk in variable.chunks():
        cells.count(chunk, counts)
    return with_bins(distribution, refined_bins(sketch_bins(sketch), cells, counts), n_bins)


class Gathering:
    """Outcomes of the segments of one tensor, put together in whatever order they come.

    Attributes:
        error: the first thing that was wrong with it.
        distribution: what is known once all segments are there.
        cells: what a second read should divide, None if that is not needed.
    """

    def __init__(self, segments: Sequence[Segment], n_bins: int) -> None:
        self.error: CheckpointError | None = None
        self.distribution: Distribution | None = None
        self.cells: Cells | None = None
        self._segments = segments
        self._n_bins = n_bins
        self._crcs: dict[Segment, int] = {}
        self._sketch: Sketch | None = None
        self._bins: Bins | None = None
        self._counts: NDArray[np.int64] | None = None

    def add(self, outcome: Outcome) -> None:
        """Take one outcome; the last one completes the first or the second read."""
        self.error = self.error or outcome.error
        if outcome.error is None:
            self._crcs[outcome.task.segment] = outcome.crc32c
        if outcome.distribution is not None:
            self.distribution = outcome.distribution
        if outcome.sketch is not None:
            self._sketch = _merged(self._sketch, outcome.sketch)
        if outcome.counts is not None:
            self._counts = outcome.counts if self._counts is None else self._counts + outcome.counts
        if len(self._crcs) == len(self._segments) and self.error is None:
            self._complete()

    def outcome(self) -> Distribution | CheckpointError:
        """Give what came of it."""
        return self.error or self.distribution or CheckpointError("no bytes were read")

    def _complete(self) -> None:
        try:
            self._verify()
        except CheckpointError as error:
            self.error = error
            return
        if self._sketch is not None:
            self._complete_first()
        elif self._counts is not None:
            self._complete_second()

    def _complete_first(self) -> None:
        sketch, self._sketch = self._sketch, None
        if sketch is None:
            return
        self.distribution = sketch_distribution(sketch, self._n_bins)
        self.cells = cells_to_refine(sketch)
        self._bins = sketch_bins(sketch) if self.cells else None

    def _complete_second(self) -> None:
        if self.cells and self._bins and self.distribution and self._counts is not None:
            bins = refined_bins(self._bins, self.cells, self._counts)
            self.distribution = with_bins(self.distribution, bins, self._n_bins)
        self.cells = self._counts = None

    def _verify(self) -> None:
        by_extent: dict[Extent, list[Segment]] = {}
        for segment in self._segments:
            by_extent.setdefault(segment.extent, []).append(segment)
        for extent, segments in by_extent.items():
            parts = ((self._crcs[segment], segment.nbytes) for segment in segments)
            verify_extent(extent, joined_crc32c(parts))
        self._crcs = {}


def _merged(first: Sketch | None, second: Sketch) -> Sketch:
    if first is not None:
        first.merge(second)
    return first or second


def measure_variables(
    variables: Sequence[Variable],
    n_bins: int,
    *,
    n_jobs: int | None = 1,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Distribution | CheckpointError]:
    """Measure variables, of one checkpoint or of several.

    Args:
        variables: what to measure.
        n_bins: bins of the histogram of each.
        n_jobs: processes to use, None for as many as are worth it.
        executor: where to work instead.
        progress: called with the number of bytes whenever some have been read.

    Returns:
        A distribution for each, or the error that keeps it from being read.

    Raises:
        CheckpointError: a worker process died.
    """
    advance = progress or (lambda nbytes: None)
    segments, errors = segments_of(variables)
    nbytes = sum(segment.nbytes for parts in segments.values() for segment in parts)
    n_processes = choose_n_jobs(nbytes, n_jobs)

    def work(jobs: Sequence[MeasurementJob]) -> Iterator[tuple[int, list[Outcome]]]:
        return run(jobs, measure, n_jobs=n_processes, executor=executor)

    outcomes = errors | _measure_segments(segments, n_bins, work, advance)
    for i, variable in enumerate(variables):
        if i not in outcomes:
            outcomes[i] = _measure_here(variable, n_bins)
            advance(variable.nbytes)
    return [outcomes[i] for i in range(len(variables))]


def _measure_segments(
    segments: dict[int, list[Segment]],
    n_bins: int,
    work: Callable[[Sequence[MeasurementJob]], Iterator[tuple[int, list[Outcome]]]],
    advance: Callable[[int], None],
) -> dict[int, Distribution | CheckpointError]:
    """Measure what lies plainly in files: once, and again where bins must be finer."""
    gatherings = {i: Gathering(parts, n_bins) for i, parts in segments.items()}
    tasks = [Task(i, part, len(parts) == 1) for i, parts in segments.items() for part in parts]
    while tasks:
        jobs = [
            MeasurementJob(tuple(tasks[i] for i in batch), n_bins)
            for batch in batches([task.segment.nbytes for task in tasks])
        ]
        for index, outcomes in work(jobs):
            for outcome in outcomes:
                gatherings[outcome.task.variable].add(outcome)
            advance(sum(task.segment.nbytes for task in jobs[index].tasks))
        cells = {i: gathering.cells for i, gathering in gatherings.items() if gathering.cells}
        tasks = [replace(task, cells=cells[i]) for task in tasks if (i := task.variable) in cells]
    return {i: gathering.outcome() for i, gathering in gatherings.items()}


def _measure_here(variable: Variable, n_bins: int) -> Distribution | CheckpointError:
    try:
        return measure_here(variable, n_bins)
    except CheckpointError as error:
        return error


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

    def new_counts(self) -> Counts:
        """Give zeros, shape (n_cells + 1, n_parts): the last row is for all other elements."""
        return np.zeros((self.numbers.size + 1, self.n_parts), np.int64)

    def count(self, values: NDArray[Any], counts: Counts) -> None:
        """Add elements to the counts."""
        flat = np.ascontiguousarray(values).reshape(-1)
        flat = np.abs(flat) if flat.dtype.kind == "c" else flat
        cell_of = np.full(N_BINS, self.numbers.size)
        cell_of[self.numbers] = np.arange(self.numbers.size)
        low = np.append(self.low, 0.0)
        scale = np.append(self.n_parts / (self.high - self.low), 0.0)
        with np.errstate(all="ignore"):
            for start in range(0, flat.size, _PIECE):
                piece = flat[start : start + _PIECE]
                number = piece.astype(np.float32, copy=False).view(np.uint32) >> np.uint32(16)
                cell = cell_of[number]
                x = (piece.astype(np.float64) - low[cell]) * scale[cell]
                part = np.fmax(np.fmin(x, self.n_parts - 1), 0).astype(np.intp)
                np.add.at(counts.reshape(-1), part + cell * self.n_parts, 1)


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
