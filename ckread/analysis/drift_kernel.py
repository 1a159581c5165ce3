"""The kernel of drift: one stretch of a variable through all checkpoints, chunk by chunk.

Each byte of the run is read once, and verified, whatever its size. Where the
checksums say that the checkpoint before has the same values, its sums are taken over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.drift_chunk import CHUNK_ELEMENTS, N_COLUMNS, WIDE, ChunkSums
from ckread.analysis.segments import chunk_buffer
from ckread.errors import CheckpointError
from ckread.readers.contract import Extent
from ckread.readers.crc32c import extend
from ckread.readers.extents import OpenShards, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ckread.model.variable import Variable

    Floats = NDArray[np.float64]
    Source = Extent | Variable | CheckpointError

MAX_OPEN_SHARDS = 256
"""Files that a job keeps open; beyond that they are opened for each chunk."""


@dataclass(frozen=True, slots=True)
class DriftTask:
    """A stretch of one variable in each checkpoint that holds it in one shape; it pickles.

    Attributes:
        variable: whose: a number that comes back with the result.
        sources: in each checkpoint, in order, the variable that tells where its bytes
            lie, so that a forked worker, not its parent, finds that out. Pickled, it
            is the place itself, or what is wrong with it.
        start: first element.
        stop: where the stretch ends.
        nbytes: bytes to read.
        exponent: values are divided by two to this power, lest squares overflow.
    """

    variable: int
    sources: Sequence[Source]
    start: int
    stop: int
    nbytes: int
    exponent: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        places = tuple(map(_place_of, self.sources))
        rest = (self.start, self.stop, self.nbytes, self.exponent)
        return type(self), (self.variable, places, *rest)


@dataclass(slots=True)
class DriftResult:
    """What a task gave.

    Attributes:
        variable: of the task.
        start: of the task.
        sums: float64, shape (checkpoints, columns); see `Columns`.
        crc32c: of the bytes read from each checkpoint.
        extreme: largest magnitude, where squares left the range of float64.
        failed: which checkpoint could not be read.
        error: why.
    """

    variable: int
    start: int
    sums: Floats = field(default_factory=lambda: np.zeros((0, N_COLUMNS)))
    crc32c: list[int] = field(default_factory=list)
    extreme: float = 0.0
    failed: int | None = None
    error: CheckpointError | None = None


def measure_job(tasks: tuple[DriftTask, ...]) -> list[DriftResult]:
    """Measure the tasks of a job, in any process; files stay open from one to the next."""
    with OpenShards(MAX_OPEN_SHARDS) as shards, np.errstate(all="ignore"):
        return [_measure(task, shards) for task in tasks]


def _measure(task: DriftTask, shards: OpenShards) -> DriftResult:
    n = len(task.sources)
    result = DriftResult(task.variable, task.start, np.zeros((n, N_COLUMNS)), [0] * n)
    extents: list[Extent] = []
    for source in task.sources:
        try:
            extents.append(extent_of(source))
        except CheckpointError as error:
            return DriftResult(task.variable, task.start, failed=len(extents), error=error)
    repeats = _repeats(extents)
    checksums = result.crc32c
    buffer = chunk_buffer(CHUNK_ELEMENTS * 16)
    for start in range(task.start, task.stop, CHUNK_ELEMENTS):
        stop = min(start + CHUNK_ELEMENTS, task.stop)
        chunk = ChunkSums(task.exponent)
        raw = buffer[:0]
        for j, extent in enumerate(extents):
            path, offset, nbytes, dtype = extent[:4]
            width = dtype.itemsize
            if len(raw) != (stop - start) * width:
                raw = buffer[: (stop - start) * width]
            try:
                shard = shards[path]
                shard.check_range(offset, nbytes)
                shard.pread_into(raw, offset + start * width)
            except CheckpointError as error:
                return DriftResult(task.variable, task.start, failed=j, error=error)
            checksums[j] = extend(checksums[j], raw)
            if repeats[j]:
                chunk.repeat()
            else:
                chunk.add(decode(extent, raw), is_wide=dtype in WIDE)
        result.sums += chunk.rows()
        result.extreme = max(result.extreme, chunk.extreme)
    return result


def _place_of(source: Source) -> Extent | CheckpointError:
    try:
        return extent_of(source)
    except CheckpointError as error:
        return error


def extent_of(source: Source) -> Extent:
    """Give where the bytes of a plain variable lie.

    Raises:
        CheckpointError: its entry is impossible.
    """
    if isinstance(source, Extent):
        return source
    if isinstance(source, CheckpointError):
        raise source
    [extent] = source.extents() or ()
    return extent


def _repeats(extents: Sequence[Extent]) -> list[bool]:
    """Tell of which the checkpoint before has the same bytes, as the checksums say.

    They are read all the same: both checksums are verified.
    """
    kept = [(extent.crc32c, extent.dtype, extent.big_endian) for extent in extents]
    return [False, *(one == other and one[0] is not None for one, other in pairwise(kept))]
