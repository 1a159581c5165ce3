"""Measuring tensors as jobs: what a worker does, and how its results are put together.

What fits one chunk is sorted, so all of it is exact. Larger tensors give a sketch per
segment. Checksums are taken in the same pass; those of segments are joined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ckread.analysis.distribution import Distribution, sketch_bins, sketch_distribution, with_bins
from ckread.analysis.exact import exact_distribution
from ckread.analysis.refinement import Cells, cells_to_refine, refined_bins
from ckread.analysis.segments import Segment, chunk_buffer
from ckread.analysis.sketch import Sketch
from ckread.errors import CheckpointError, UnsupportedFeatureError
from ckread.readers.contract import CHUNK_NBYTES
from ckread.readers.dtypes import DataType
from ckread.readers.extents import ExtentStream, OpenShards, decode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ckread.model.variable import Variable
    from ckread.readers.regular_file import RegularFile


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
