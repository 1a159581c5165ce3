"""Pairs of variables compared by reading both side by side, each byte once.

A pair whose bytes lie plainly on both sides is cut into stretches, which any process
can compare; the checksum of each side is joined from those of its stretches and
verified. Everything else (strings, partitioned variables, compressed files) streams
through its reader in this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.diff.metrics import Metrics, PairTally, merge_tallies, metrics_of
from ckread.analysis.scan import SEGMENT_NBYTES, Segment, batches, chunk_buffer, joined_crc32c
from ckread.analysis.workers import choose_n_jobs, run
from ckread.readers.dtypes import DataType
from ckread.readers.extents import ExtentStream, checksum_error, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from ckread.analysis.diff.metrics import Tolerance
    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent

    VariablePair = tuple[Variable, Variable]

_COMPLEX = (DataType.COMPLEX64, DataType.COMPLEX128)


class Stretch(NamedTuple):
    """The same elements of both sides of one pair."""

    a: Segment
    b: Segment


class CompareJob(NamedTuple):
    """Work for one process: it pickles."""

    stretches: tuple[Stretch, ...]
    tolerance: Tolerance


class StretchResult(NamedTuple):
    """What one stretch gave, and the CRC-32C of the bytes read for it."""

    tally: PairTally
    crc32c_a: int
    crc32c_b: int


def compare_pairs(
    pairs: Sequence[VariablePair],
    tolerance: Tolerance,
    *,
    n_jobs: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Metrics | None]:
    """Give the metrics of each pair of equally many elements; None where a type has no values.

    Args:
        pairs: variables of a and of b.
        tolerance: when two values are equal.
        n_jobs: processes; None for as many as the bytes are worth.
        executor: where jobs run instead.
        progress: told the number of bytes that were read, as they are.

    Raises:
        ChecksumError: bytes of one side are damaged.
        CheckpointError: they cannot be read.
    """
    plain = [_plain_extents(a, b) for a, b in pairs]
    stretches, owner_of = [], []
    for i, extents in enumerate(plain):
        for stretch in _cut(*extents) if extents else ():
            stretches.append(stretch)
            owner_of.append(i)
    results = _run(stretches, tolerance, n_jobs=n_jobs, executor=executor, progress=progress)
    parts: list[list[tuple[Stretch, StretchResult]]] = [[] for _ in pairs]
    for i, stretch, result in zip(owner_of, stretches, results, strict=True):
        parts[i].append((stretch, result))
    metrics: list[Metrics | None] = []
    for pair, extents, part in zip(pairs, plain, parts, strict=True):
        if extents:
            _verify(pair, extents, part)
            tally = merge_tallies([result.tally for _, result in part])
            metrics.append(_metrics(tally, *pair))
        else:
            metrics.append(_compare_through_readers(*pair, tolerance))
            if progress:
                progress(pair[0].nbytes + pair[1].nbytes)
    return metrics


def _plain_extents(a: Variable, b: Variable) -> tuple[Extent, Extent] | None:
    """Give the one extent of either side, None if the bytes lie otherwise."""
    if not (a.dtype.is_plain and b.dtype.is_plain):
        return None
    left, right = a.readable_extents(), b.readable_extents()
    if left is None or right is None or len(left) != 1 or len(right) != 1:
        return None
    return left[0], right[0]


def _cut(a: Extent, b: Extent) -> Iterator[Stretch]:
    """Cut both sides after the same elements."""
    sizes = a.dtype.itemsize, b.dtype.itemsize
    n_elements = a.nbytes // sizes[0]
    step = SEGMENT_NBYTES // max(sizes)
    for start in range(0, max(n_elements, 1), step):
        stop = min(start + step, n_elements)
        yield Stretch(
            Segment(a, start * sizes[0], stop * sizes[0]),
            Segment(b, start * sizes[1], stop * sizes[1]),
        )


def _run(
    stretches: Sequence[Stretch],
    tolerance: Tolerance,
    *,
    n_jobs: int | None,
    executor: Executor | None,
    progress: Callable[[int], None] | None,
) -> list[StretchResult]:
    sizes = [stretch.a.nbytes + stretch.b.nbytes for stretch in stretches]
    ranges = list(batches(sizes, nbytes=2 * SEGMENT_NBYTES))
    jobs = [CompareJob(tuple(stretches[part.start : part.stop]), tolerance) for part in ranges]
    results: list[list[StretchResult]] = [[] for _ in jobs]
    count = choose_n_jobs(sum(sizes), n_jobs)
    for index, result in run(jobs, compare_job, n_jobs=count, executor=executor):
        results[index] = result
        if progress:
            progress(sum(sizes[i] for i in ranges[index]))
    return [result for part in results for result in part]


def compare_job(job: CompareJob) -> list[StretchResult]:
    """Compare the stretches of a job, in any process.

    Raises:
        CheckpointError: bytes cannot be read.
    """
    from ckread.analysis.diff.kernels import CAPACITY, PairComparison

    comparison = PairComparison(job.tolerance)
    results = []
    for a, b in job.stretches:
        streams = [
            ExtentStream(
                part.extent,
                chunk_buffer(CAPACITY * part.extent.dtype.itemsize, number=number),
                start=part.start,
                stop=part.stop,
            )
            for number, part in enumerate((a, b))
        ]
        for left, right in zip(*streams, strict=True):
            comparison.add(decode(a.extent, left), decode(b.extent, right))
        results.append(StretchResult(comparison.tally(), streams[0].crc32c, streams[1].crc32c))
    return results


def _verify(
    pair: VariablePair,
    extents: tuple[Extent, Extent],
    parts: Sequence[tuple[Stretch, StretchResult]],
) -> None:
    """Check the joined checksum of both sides.

    Raises:
        ChecksumError: one is not the stored one.
    """
    computed = (
        joined_crc32c((result.crc32c_a, stretch.a.nbytes) for stretch, result in parts),
        joined_crc32c((result.crc32c_b, stretch.b.nbytes) for stretch, result in parts),
    )
    for variable, extent, crc32c in zip(pair, extents, computed, strict=True):
        if extent.crc32c is not None and crc32c != extent.crc32c:
            place = extent.offset, extent.nbytes
            raise checksum_error(extent.path, place, extent.crc32c, crc32c, variable.name)


def _metrics(tally: PairTally, a: Variable, b: Variable) -> Metrics:
    is_real = a.dtype not in _COMPLEX and b.dtype not in _COMPLEX
    return metrics_of(tally, b.shape, is_retyped=a.dtype != b.dtype, is_signed=is_real)


def _compare_through_readers(a: Variable, b: Variable, tolerance: Tolerance) -> Metrics | None:
    """Compare what has no plain bytes, chunk by chunk.

    Raises:
        CheckpointError: values cannot be read, or are damaged.
    """
    from ckread.analysis.diff.kernels import PairComparison, compare_strings

    if DataType.STRING in (a.dtype, b.dtype):
        if a.dtype != b.dtype:
            return None
        strings = (variable.numpy().ravel().tolist() for variable in (a, b))
        return _metrics(compare_strings(*strings), a, b)
    if not (a.dtype.is_plain and b.dtype.is_plain):
        return None
    comparison = PairComparison(tolerance)
    for left, right in iter_side_by_side(a.chunks(), b.chunks()):
        comparison.add(left, right)
    return _metrics(comparison.tally(), a, b)


def iter_side_by_side(
    a: Iterable[NDArray[Any]], b: Iterable[NDArray[Any]]
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield stretches of equal length of two streams of as many elements.

    A chunk need only live until the next one of its stream is asked for.
    """
    streams = iter(a), iter(b)
    left, right = (next(stream, None) for stream in streams)
    while left is not None and right is not None:
        n = min(left.size, right.size)
        if n:
            yield left[:n], right[:n]
        left, right = left[n:], right[n:]
        if not left.size:
            left = next(streams[0], None)
        if not right.size:
            right = next(streams[1], None)
