"""The kernel of drift: one stretch of a variable through all checkpoints, chunk by chunk.

Four work buffers hold a chunk of the first checkpoint, of the one before, of the
one at hand, and a difference, in float64: they stay in the second-level cache, so
each byte of the run is read once, whatever its size. A chunk whose bytes are those
of the checkpoint before is compared, and its sums are taken over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from ckread.analysis.comparison import inner_product
from ckread.analysis.segments import chunk_buffer
from ckread.errors import CheckpointError
from ckread.readers.crc32c import extend
from ckread.readers.dtypes import DataType
from ckread.readers.extents import decode, open_shard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.readers.contract import Extent
    from ckread.readers.regular_file import RegularFile

    Floats = NDArray[np.float64]

CHUNK_ELEMENTS = 1 << 16
"""Elements of one chunk: 256 KiB of float32, the optimum that was measured."""

MAX_OPEN_SHARDS = 256
"""Files that a job keeps open; beyond that they are opened for each chunk."""

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


@dataclass(frozen=True, slots=True)
class DriftTask:
    """A stretch of one variable in each checkpoint that holds it in one shape; it pickles.

    Attributes:
        variable: whose: a number that comes back with the result.
        extents: where its bytes lie in each checkpoint, in order.
        start: first element.
        stop: where the stretch ends.
        exponent: values are divided by two to this power, lest squares overflow.
    """

    variable: int
    extents: tuple[Extent, ...]
    start: int
    stop: int
    exponent: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes to read."""
        return sum((self.stop - self.start) * extent.dtype.itemsize for extent in self.extents)


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
    with _Shards() as shards, np.errstate(all="ignore"):
        return [_measure(task, shards) for task in tasks]


class _Shards:
    """The open files of a job."""

    def __init__(self) -> None:
        self._open: dict[str, RegularFile] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._open.popitem()[1].close()

    def open(self, path: str) -> RegularFile:
        """Give an open file; the one opened first is closed where there are too many."""
        shard = self._open.get(path)
        if shard is None:
            if len(self._open) >= MAX_OPEN_SHARDS:
                self._open.pop(next(iter(self._open))).close()
            shard = self._open[path] = open_shard(path)
        return shard


def _measure(task: DriftTask, shards: _Shards) -> DriftResult:
    n = len(task.extents)
    result = DriftResult(task.variable, task.start, np.zeros((n, N_COLUMNS)), [0] * n)
    repeats = [_repeats(task, j) for j in range(n)]
    for start in range(task.start, task.stop, CHUNK_ELEMENTS):
        stop = min(start + CHUNK_ELEMENTS, task.stop)
        chunk = _Chunk(task.exponent)
        for j, extent in enumerate(task.extents):
            width = extent.dtype.itemsize
            raw = chunk_buffer(CHUNK_ELEMENTS * 16)[: (stop - start) * width]
            try:
                shard = shards.open(extent.path)
                shard.check_range(extent.offset, extent.nbytes)
                shard.pread_into(raw, extent.offset + start * width)
            except CheckpointError as error:
                return DriftResult(task.variable, task.start, failed=j, error=error)
            result.crc32c[j] = extend(result.crc32c[j], raw)
            if repeats[j]:
                chunk.repeat()
            else:
                chunk.add(decode(extent, raw), is_wide=extent.dtype in WIDE)
        result.sums += chunk.rows()
        result.extreme = max(result.extreme, chunk.extreme)
    return result


def _repeats(task: DriftTask, j: int) -> bool:
    """Tell whether the checkpoint before has the same bytes, as the checksums say.

    They are read all the same: both checksums are verified.
    """
    if j == 0:
        return False
    before, extent = task.extents[j - 1], task.extents[j]
    kept = (extent.crc32c, extent.dtype, extent.big_endian)
    return extent.crc32c is not None and kept == (before.crc32c, before.dtype, before.big_endian)


class _Chunk:
    """The sums of one chunk through the checkpoints.

    Attributes:
        extreme: as in `DriftResult`.
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
            self._buffers = [_buffer(number, values.size) for number in range(4)]
            self._first = self._previous = self._buffers[0]
        x, scratch = self._next(), self._buffers[3]
        np.copyto(x, values, casting="unsafe")
        if self._exponent:
            np.ldexp(x, -self._exponent, out=x)
        xx = inner_product(x, x)
        nan = infinite = 0
        if not math.isfinite(xx):
            nan = int(np.count_nonzero(np.isnan(x)))
            infinite = int(np.count_nonzero(np.isinf(x)))
        if is_wide and not (nan or infinite) and not _RANGE[0] < xx < _RANGE[1]:
            self.extreme = max(self.extreme, float(np.abs(x, out=scratch).max(initial=0)))
        if not self._rows:
            self._rows.append([xx, xx * 0, math.nan, xx, nan, infinite])
            return
        from_first = from_previous = _distance(x, self._first, scratch)
        if self._previous is not self._first:
            from_previous = _distance(x, self._previous, scratch)
        self._rows.append(
            [xx, from_first, from_previous, self._inner(x, xx, from_first), nan, infinite]
        )
        self._previous = x

    def rows(self) -> Floats:
        """Give the sums, shape (checkpoints, columns)."""
        return np.array(self._rows, np.float64)

    def _next(self) -> Floats:
        if not self._rows:
            return self._buffers[0]
        return self._buffers[2 if self._previous is self._buffers[1] else 1]

    def _inner(self, x: Floats, xx: float, from_first: float) -> float:
        ff = self._rows[0][0]
        if xx <= _ALIKE * ff and ff <= _ALIKE * xx:
            return (xx + ff - from_first) / 2
        return inner_product(x, self._first)


def _buffer(number: int, n_floats: int) -> Floats:
    # Room for twice the elements: a complex number is two floats.
    return chunk_buffer(CHUNK_ELEMENTS * 16, number=1 + number).view(np.float64)[:n_floats]


def _distance(x: Floats, y: Floats, scratch: Floats) -> float:
    np.subtract(x, y, out=scratch)
    return inner_product(scratch, scratch)
