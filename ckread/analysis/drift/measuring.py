"""Measuring variables through a run: jobs for the kernel, and figures from its sums.

Jobs of drift: tasks put together so that all processes are busy to the end.

A job opens every checkpoint once, so the first ones are long; they get shorter, so
that no process waits long for the others. How long a task takes, the checksums tell:
values that the checkpoint before has too are read and verified, and not compared.

Drift of what has no plain bytes: compressed, partitioned, of another format.

Each checkpoint is streamed beside the first and the one before it: three times the
reading, but three chunks of memory, whatever the number of checkpoints.

From sums of squares to figures: norms, relative distances, cosines.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from operator import itemgetter, ne
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.diff.values import iter_side_by_side
from ckread.analysis.drift.columns import changes
from ckread.analysis.drift.kernel import (
    CHUNK_ELEMENTS,
    N_COLUMNS,
    Columns,
    DriftResult,
    DriftTask,
    extent_of,
    measure_job,
)
from ckread.analysis.drift.records import VariableDrift
from ckread.analysis.row_sums import inner_product
from ckread.analysis.scan import joined_crc32c
from ckread.analysis.workers import choose_n_jobs, run
from ckread.errors import CheckpointError
from ckread.readers.dtypes import DataType
from ckread.readers.extents import checksum_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from ckread.analysis.drift.columns import Column
    from ckread.model.variable import Variable

    Floats = NDArray[np.float64]

TASK_ELEMENTS = 16 * CHUNK_ELEMENTS
"""Elements of a task, in each of the checkpoints: 4 MiB of float32."""


class Failure(NamedTuple):
    """A variable that could not be read from a checkpoint, by index."""

    name: str
    checkpoint: int
    error: CheckpointError


@dataclass(slots=True)
class Era:
    """The checkpoints that hold a variable in one shape.

    Attributes:
        column: whose.
        at: indices of these checkpoints.
        cells: the variable in each of them.
        is_plain: whether its bytes lie in one piece in each; else they are streamed.
    """

    column: Column
    at: list[int]
    cells: list[Variable]
    is_plain: bool


@dataclass(frozen=True, slots=True)
class Measuring:
    """How to work: see `ckread.analysis.drift.drift.drift`."""

    n_jobs: int | None = 1
    executor: Executor | None = None
    progress: Callable[[int], None] | None = field(default=None)

    def measure(self, columns: Sequence[Column]) -> tuple[list[VariableDrift], list[Failure]]:
        """Give the drift of each variable that could be read whole, and what could not."""
        eras = [era for column in columns for era in _eras(column)]
        sums: list[np.ndarray[Any, Any] | None] = [None] * len(eras)
        exponents = [0] * len(eras)
        failures: dict[int, Failure] = {}
        plain = [i for i, era in enumerate(eras) if era.is_plain]
        self._measure_plain(eras, plain, exponents, sums, failures)
        wide = [i for i in plain if i not in failures and exponents[i]]
        self._measure_plain(eras, wide, exponents, sums, failures)
        for i, era in enumerate(eras):
            if not era.is_plain:
                self._measure_streamed(era, i, sums, failures)
        of_column: dict[str, list[int]] = defaultdict(list)
        for i, era in enumerate(eras):
            of_column[era.column.name].append(i)
        measured = [
            drift_of(
                column,
                [Measured(eras[i].at, sums[i], exponents[i]) for i in of_column[column.name]],
            )
            for column in columns
            if not any(i in failures for i in of_column[column.name])
        ]
        return measured, list(failures.values())

    def _measure_plain(
        self,
        eras: Sequence[Era],
        chosen: Sequence[int],
        exponents: list[int],
        sums: list[np.ndarray[Any, Any] | None],
        failures: dict[int, Failure],
    ) -> None:
        tasks = [task for i in chosen for task in _tasks(i, eras[i], exponents[i])]
        parts: dict[int, list[DriftResult]] = defaultdict(list)
        for result in self._run(tasks):
            parts[result.variable].append(result)
        for i in chosen:
            found = sorted(parts[i], key=lambda result: result.start)
            failure = _failure(eras[i], found)
            if failure is not None:
                failures[i] = failure
                continue
            sums[i] = sum((result.sums for result in found[1:]), found[0].sums)
            extreme = max(result.extreme for result in found)
            if extreme and not exponents[i]:
                exponents[i] = math.frexp(extreme)[1]

    def _run(self, tasks: Sequence[DriftTask]) -> Iterable[DriftResult]:
        total = sum(task.nbytes for task in tasks)
        n_jobs = choose_n_jobs(total, self.n_jobs)
        jobs = share_out(tasks, n_jobs)
        for index, results in run(jobs, measure_job, n_jobs=n_jobs, executor=self.executor):
            if self.progress is not None:
                self.progress(sum(task.nbytes for task in jobs[index]))
            yield from results

    def _measure_streamed(
        self,
        era: Era,
        i: int,
        sums: list[np.ndarray[Any, Any] | None],
        failures: dict[int, Failure],
    ) -> None:
        found = measure_streams(era.cells)
        if isinstance(found, Unreadable):
            failures[i] = Failure(era.column.name, era.at[found.which], found.error)
        else:
            sums[i] = found
        if self.progress is not None:
            self.progress(sum(cell.nbytes for cell in era.cells))


def _eras(column: Column) -> Iterable[Era]:
    eras: dict[tuple[int, ...], Era] = {}
    for index, cell in enumerate(column.cells):
        if cell is not None:
            shape = cell.shape
            era = eras.get(shape)
            if era is None:
                era = eras[shape] = Era(column, [], [], is_plain=True)
            era.at.append(index)
            era.cells.append(cell)
            era.is_plain = era.is_plain and _is_plain(cell)
    return eras.values()


def _is_plain(cell: Variable) -> bool:
    """Tell whether the bytes lie in one piece; a checksum of the whole says so too."""
    record = cell.record
    if record.crc32c is not None and record.shard is not None:
        return record.dtype.is_plain
    try:
        extents = cell.readable_extents()
    except CheckpointError:  # told when it is streamed
        return False
    return extents is not None and len(extents) == 1


def _tasks(number: int, era: Era, exponent: int) -> Iterable[DriftTask]:
    cells = era.cells
    n = cells[0].elements
    width = sum([cell.dtype.itemsize for cell in cells])
    for start in range(0, max(n, 1), TASK_ELEMENTS):
        stop = min(start + TASK_ELEMENTS, n)
        yield DriftTask(number, cells, start, stop, (stop - start) * width, exponent)


def _failure(era: Era, results: Sequence[DriftResult]) -> Failure | None:
    """Give what is wrong with the bytes of a variable: the first that is."""
    for result in results:
        if result.error is not None and result.failed is not None:
            return Failure(era.column.name, era.at[result.failed], result.error)
    computed = _checksums(era.cells, results)
    if computed == [cell.crc32c for cell in era.cells]:
        return None
    for at, cell, found in zip(era.at, era.cells, computed, strict=True):
        extent = extent_of(cell)
        if extent.crc32c is not None and found != extent.crc32c:
            place = extent.offset, extent.nbytes
            error = checksum_error(extent.path, place, extent.crc32c, found, era.column.name)
            return Failure(era.column.name, at, error)
    return None


def _checksums(cells: Sequence[Variable], results: Sequence[DriftResult]) -> list[int]:
    """Give the checksum of all bytes that were read of each cell."""
    if len(results) == 1:
        return results[0].crc32c
    sizes = [min(TASK_ELEMENTS, cells[0].elements - result.start) for result in results]
    return [
        joined_crc32c(
            (result.crc32c[j], n * cell.dtype.itemsize)
            for result, n in zip(results, sizes, strict=True)
        )
        for j, cell in enumerate(cells)
    ]


JOB_NBYTES = 1000 * 1000 * 1000
"""Bytes of a job, at most."""

_SHARE = 2
"""A job is this part of what a process would get of the rest."""
_MAX_JOBS_EACH = 16
_COMPARING = 1.5
"""What comparing values with two others takes, where reading and verifying them takes 1."""


def share_out(tasks: Sequence[DriftTask], n_jobs: int) -> list[tuple[DriftTask, ...]]:
    """Put tasks that are neighbours together into jobs, the longest first.

    Args:
        tasks: in the order of the files.
        n_jobs: processes that work.
    """
    efforts = [_effort(task) for task in tasks]
    left = sum(efforts)
    least = left / (_MAX_JOBS_EACH * n_jobs)
    jobs: list[tuple[float, tuple[DriftTask, ...]]] = []
    start = 0
    while start < len(tasks):
        wanted = min(max(left / (_SHARE * n_jobs), least), JOB_NBYTES)
        stop, effort = start + 1, efforts[start]
        while stop < len(tasks) and effort + efforts[stop] <= wanted:
            effort += efforts[stop]
            stop += 1
        jobs.append((effort, tuple(tasks[start:stop])))
        left -= effort
        start = stop
    jobs.sort(key=itemgetter(0), reverse=True)
    return [job for _, job in jobs]


def _effort(task: DriftTask) -> float:
    """Estimate the work of a task, in bytes that are read alone."""
    checksums = [getattr(source, "crc32c", None) for source in task.sources]
    n_compared: int = sum(map(ne, checksums, checksums[1:]))
    return task.nbytes * (1 + _COMPARING * n_compared / len(checksums))


PIECE_ELEMENTS = 1 << 16


class Unreadable(NamedTuple):
    """Which of the checkpoints cannot be read, and why."""

    which: int
    error: CheckpointError


def measure_streams(cells: Sequence[Variable]) -> Floats | Unreadable | None:
    """Give the sums of a variable in each checkpoint; None for what holds no numbers."""
    if not cells[0].dtype.is_plain or cells[0].dtype is DataType.STRING:
        return None
    sums = np.zeros((len(cells), N_COLUMNS))
    for j, cell in enumerate(cells):
        with np.errstate(all="ignore"):
            try:
                sums[j] = _measure(cell, cells[0], cells[max(j - 1, 0)], is_first=j == 0)
            except CheckpointError as error:
                return Unreadable(_culprit(cells, j), error)
    return sums


def _measure(x: Variable, first: Variable, before: Variable, *, is_first: bool) -> Floats:
    row = np.zeros(N_COLUMNS)
    if is_first:
        for piece in _pieces(x):
            row += _own(piece)
        row[3] = row[0]
        row[2] = np.nan
        return row
    for here, there in iter_side_by_side(_pieces(x), _pieces(first)):
        row += _own(here)
        row[1] += _squared(here - there)
        row[3] += inner_product(here, there)
    for here, there in iter_side_by_side(_pieces(x), _pieces(before)):
        row[2] += _squared(here - there)
    return row


def _pieces(variable: Variable) -> Iterator[Floats]:
    """Give the values as float64, a complex number as two."""
    for chunk in variable.chunks():
        values: NDArray[Any] = chunk
        if values.dtype.kind == "c":
            values = values.view(f"{values.dtype.byteorder}f{values.itemsize // 2}")
        for start in range(0, values.size, PIECE_ELEMENTS):
            yield values[start : start + PIECE_ELEMENTS].astype(np.float64)


def _own(x: Floats) -> Floats:
    row = np.zeros(N_COLUMNS)
    row[0] = _squared(x)
    if not np.isfinite(row[0]):
        row[4], row[5] = np.count_nonzero(np.isnan(x)), np.count_nonzero(np.isinf(x))
    return row


def _squared(x: Floats) -> float:
    return inner_product(x, x)


def _culprit(cells: Sequence[Variable], j: int) -> int:
    """Find which of the three checkpoints that were read cannot be."""
    for index in (j, max(j - 1, 0), 0):
        try:
            for _ in cells[index].chunks():
                pass
        except CheckpointError:
            return index
    return j


_CLOSE = 0.9
"""Cosine above which the distance tells more digits of the angle than the product."""


def figures(
    sums: NDArray[np.float64], exponent: int, at: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Give l2, from_first, from_previous and cosine_to_first of each checkpoint.

    Args:
        sums: shape (checkpoints, columns), of values divided by 2**exponent.
        exponent: of the unit.
        at: indices of these checkpoints: a gap means that there is no checkpoint
            before to compare with.

    Returns:
        The figures, shape (checkpoints, 4); which of them there are; and NaN and
        infinite elements, shape (checkpoints, 2).
    """
    row = Columns(*sums.T)
    with np.errstate(all="ignore"):
        norms = np.sqrt(row.xx)
        first = _ratio(np.sqrt(row.from_first), norms[:1])
        before = np.concatenate([[np.nan], norms[:-1]])
        previous = _ratio(np.sqrt(row.from_previous), before)
        cosine = _cosine(row, norms)
        l2 = np.ldexp(norms, exponent)
    table = np.stack([l2, first, previous, cosine], axis=1)
    known = np.ones(table.shape, np.bool_)
    follows = np.diff(np.asarray(at), prepend=at[0] - 2) == 1
    known[:, 2] = follows
    known[:, 3] = (norms != 0) & (norms[0] != 0)
    counts = np.stack([row.nan, row.infinite], axis=1).astype(np.int64)
    return table, known, counts


def _ratio(distance: NDArray[np.float64], norm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; no distance from a norm of 0 is 0, any other is infinite."""
    return np.where(distance == 0, 0.0, distance / norm)


def _cosine(row: Columns, norms: NDArray[np.float64]) -> Any:
    """Give the cosine: where it is near 1 from the distance, which keeps the digits of 1 − cos."""
    product = norms * norms[0]
    angle = row.inner / product
    close = 1 - (row.from_first - (norms - norms[0]) ** 2) / (2 * product)
    return np.clip(np.where(angle > _CLOSE, close, angle), -1.0, 1.0)


class Measured(NamedTuple):
    """The sums of a variable in the checkpoints that hold it in one shape.

    Attributes:
        at: indices of these checkpoints.
        sums: shape (checkpoints, columns); None where there are no numbers.
        exponent: values were divided by two to this power.
    """

    at: Sequence[int]
    sums: NDArray[np.float64] | None
    exponent: int


def drift_of(column: Column, eras: Sequence[Measured]) -> VariableDrift:
    """Put together the drift of a variable."""
    n = len(column.cells)
    table = np.full((n, 4), np.nan)
    counts = np.zeros((n, 2), np.int64)
    known = np.zeros((n, 4), np.bool_)
    for at, sums, exponent in eras:
        if sums is not None and len(sums):
            table[at], known[at], counts[at] = figures(sums, exponent, at)
    columns: list[list[float | None]] = table.T.tolist()
    for number, index in np.argwhere(~known.T).tolist():
        columns[number][index] = None
    nonfinite = np.flatnonzero(counts.any(axis=1))
    changed = changes(column.cells)
    return replace(
        VariableDrift.of(column, _by_value(changed, columns[2])),
        l2=tuple(columns[0]),
        from_first=tuple(columns[1]),
        from_previous=tuple(columns[2]),
        cosine_to_first=tuple(columns[3]),
        nan=tuple(counts[:, 0].tolist()),
        infinite=tuple(counts[:, 1].tolist()),
        first_nonfinite=int(nonfinite[0]) if nonfinite.size else None,
    )


def _by_value(
    changed: Sequence[bool | None], from_previous: Sequence[float | None]
) -> Iterable[bool | None]:
    """Tell by the values where no checksum does."""
    for by_checksum, distance in zip(changed, from_previous, strict=True):
        if by_checksum is not None or distance is None or math.isnan(distance):
            yield by_checksum
        else:
            yield distance != 0
