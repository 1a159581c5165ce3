"""Results of jobs put together: the distribution of every variable, whatever came first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ckread.analysis.distribution import Distribution, sketch_bins, sketch_distribution, with_bins
from ckread.analysis.measurement import MeasurementJob, Task, measure, measure_here
from ckread.analysis.refinement import Cells, cells_to_refine, refined_bins
from ckread.analysis.segments import Segment, batches, joined_crc32c, segments_of
from ckread.analysis.workers import choose_n_jobs, run
from ckread.errors import CheckpointError
from ckread.readers.extents import verify_extent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    import numpy as np
    from numpy.typing import NDArray

    from ckread.analysis.bins import Bins
    from ckread.analysis.measurement import Outcome
    from ckread.analysis.sketch import Sketch
    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent


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
