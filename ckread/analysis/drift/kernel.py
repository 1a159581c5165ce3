"""The kernel of drift: one stretch of a variable through all checkpoints, chunk by chunk.

Each byte of the run is read once, and verified, whatever its size. Where the
checksums say that the checkpoint before has the same values, its sums are taken over.

One chunk of a variable through all checkpoints, and the sums that figures are made of.

Three work buffers hold a chunk of the first checkpoint, of the one before and of the
one at hand, in float64; differences take the place of the one before. The fewer there
are, the more of them stays in the second-level cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.row_sums import inner_product
from ckread.analysis.scan import chunk_buffer
from ckread.errors import CheckpointError
from ckread.readers.contract import Extent
from ckread.readers.crc32c import extend
from ckread.readers.dtypes import DataType
from ckread.readers.extents import OpenShards, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ckread.model.variable import Variable

    Floats = NDArray[np.float64]
    Source = Extent | Variable | CheckpointError

CHUNK_ELEMENTS = 1 << 16
"""Elements of one chunk: 256 KiB of float32, the optimum that was measured."""

_ALIKE = 100.0
"""Ratio of squared norms up to which the inner product follows from the distance."""
_RANGE = (1e-280, 1e300)

WIDE = frozenset({DataType.FLOAT64, DataType.COMPLEX128})
"""Types whose squares may leave the range of float64."""


class Columns(NamedTuple):
    """What a row of sums holds, per checkpoint."""

    xx: Floats
    """‖x‖²."""
    from_first: Floats
    """‖x − first‖²."""
    from_previous: Floats
    """‖x − previous‖²."""
    inner: Floats
    """x · first."""
    nan: Floats
    infinite: Floats


N_COLUMNS = len(Columns._fields)


class ChunkSums:
    """The sums of one chunk through the checkpoints.

    Attributes:
        extreme: largest magnitude, where squares left the range of float64.
    """

    def __init__(self, exponent: int) -> None:
        self._exponent = exponent
        self._rows: list[list[float]] = []
        self._buffers: list[Floats] = []
        self._first = self._previous = np.empty(0)
        self.extreme = 0.0

    def repeat(self) -> None:
        """Take over the sums of the checkpoint before, whose values are the same."""
        row = self._rows[-1].copy()
        row[2] = 0.0 if math.isfinite(row[0]) else math.nan
        self._rows.append(row)

    def add(self, values: NDArray[Any], *, is_wide: bool) -> None:
        """Add the values of the next checkpoint."""
        if values.dtype.kind == "c":
            values = values.view(f"<f{values.itemsize // 2}")
        if not self._rows:
            self._buffers = [_buffer(number, values.size) for number in range(3)]
            self._first = self._previous = self._buffers[0]
        x, spare = self._next()
        np.copyto(x, values, casting="unsafe")
        if self._exponent:
            np.ldexp(x, -self._exponent, out=x)
        xx = inner_product(x, x)
        nan = infinite = 0
        if not math.isfinite(xx):
            nan = int(np.count_nonzero(np.isnan(x)))
            infinite = int(np.count_nonzero(np.isinf(x)))
        if is_wide and not (nan or infinite) and not _RANGE[0] < xx < _RANGE[1]:
            self.extreme = max(self.extreme, float(np.abs(x).max(initial=0)))
        if not self._rows:
            self._rows.append([xx, xx * 0, math.nan, xx, nan, infinite])
            return
        from_previous = _distance(x, self._previous, spare)
        from_first = from_previous
        if self._previous is not self._first:
            from_first = _distance(x, self._first, spare)
        self._rows.append(
            [xx, from_first, from_previous, self._inner(x, xx, from_first), nan, infinite]
        )
        self._previous = x

    def rows(self) -> Floats:
        """Give the sums, shape (checkpoints, columns)."""
        return np.array(self._rows, np.float64)

    def _next(self) -> tuple[Floats, Floats]:
        """Give the buffer for the next checkpoint, and that for differences from others."""
        first, one, other = self._buffers
        if not self._rows:
            return first, other
        return (other, one) if self._previous is one else (one, other)

    def _inner(self, x: Floats, xx: float, from_first: float) -> float:
        ff = self._rows[0][0]
        if xx <= _ALIKE * ff and ff <= _ALIKE * xx:
            return (xx + ff - from_first) / 2
        return inner_product(x, self._first)


def _buffer(number: int, n_floats: int) -> Floats:
    # Room for twice the elements: a complex number is two floats.
    return chunk_buffer(CHUNK_ELEMENTS * 16, number=1 + number).view(np.float64)[:n_floats]


def _distance(x: Floats, y: Floats, spare: Floats) -> float:
    np.subtract(x, y, out=spare)
    return inner_product(spare, spare)


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
