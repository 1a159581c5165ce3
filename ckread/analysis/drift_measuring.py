"""Measuring variables through a run: jobs for the kernel, and figures from its sums."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.drift_chunk import CHUNK_ELEMENTS
from ckread.analysis.drift_jobs import share_out
from ckread.analysis.drift_kernel import (
    DriftResult,
    DriftTask,
    extent_of,
    measure_job,
)
from ckread.analysis.drift_streams import Unreadable, measure_streams
from ckread.analysis.drift_sums import Measured, drift_of
from ckread.analysis.segments import joined_crc32c
from ckread.analysis.workers import choose_n_jobs, run
from ckread.errors import CheckpointError
from ckread.readers.extents import checksum_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    import numpy as np

    from ckread.analysis.drift_columns import Column
    from ckread.analysis.drift_records import VariableDrift
    from ckread.model.variable import Variable

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
    """How to work: see `ckread.analysis.drift.drift`."""

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
            error = checksum_error(extent.path, place, extent.crc32c, found, key=era.column.name)
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
