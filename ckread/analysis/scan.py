"""Plain bytes of tensors read side by side: the one engine of statistics, check, diff and drift.

    for item, found in scan(items, kernel, Work(n_jobs=2)):
        ...

An item is k extents of equally many elements: one tensor that is measured, the two of a
pair, the many of a variable along a run. The engine

    cuts      every item into pieces, on a grid that starts at its first element: so sums
              have the same bits wherever a tensor lies and however many workers there are
    batches   pieces that are neighbours into jobs
    runs      the jobs in this process, in forked ones or in any executor (see `workers`)
    joins     what the pieces gave, and the checksums of their bytes
    verifies  these against the stored ones

What differs is the kernel. Small tensors go together (see `small`). What has no plain bytes,
strings and compressed values, a caller streams through the reader
instead: `side_by_side` feeds the same kernels.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ckread.analysis.numbers import chunk_buffer
from ckread.analysis.workers import job_nbytes, run, this_worker
from ckread.errors import CheckpointError
from ckread.readers import crc32c
from ckread.readers.contract import CHUNK_NBYTES, Extent
from ckread.readers.extents import (
    ExtentStream,
    OpenShards,
    aligned_buffer,
    checksum_error,
    decode,
    verify_extent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.analysis.workers import Work
    from ckread.model.variable import Variable
    from ckread.readers.contract import DataType

    Source: TypeAlias = "Extent | Variable | _Impossible"
    """Where bytes lie; or the variable of which that is yet to be found out."""
    Chunks = Iterator[Iterator[NDArray[Any]]]
    Kernel = Callable[[Sequence[Extent], Any, Chunks], Any]
    """What is done with values: a function of a module, whose results pickle."""


PIECE_NBYTES = 32 * CHUNK_NBYTES
"""Bytes of one piece of an extent: some milliseconds of work."""
READ_NBYTES = 4 * CHUNK_NBYTES
"""Bytes of one extent that are read at once where a kernel cuts them itself."""
MAX_OPEN_SHARDS = 256
"""Files that a process keeps open; beyond that they are opened for each chunk."""


class Grid(NamedTuple):
    """How an item is cut.

    Attributes:
        piece: elements that one job reads at most of each extent.
        chunk: elements that a kernel gets at once.
        n_arrays: how many of the arrays of a stretch are there at the same time.
    """

    piece: int
    chunk: int
    n_arrays: int = 1


@dataclass(frozen=True, slots=True)
class Item:
    """Extents of equally many elements, read side by side; it pickles.

    Attributes:
        number: whose they are: it comes back with what was found.
        sources: the extents, or the variables of one extent each: so a forked worker,
            not its parent, finds out where their bytes lie. Pickled, they are extents.
        elements: of each of them.
        grid: how they are cut.
        parameter: what the kernel is told.
        names: what messages call each of them, if anything.
    """

    number: int
    sources: Sequence[Source]
    elements: int
    grid: Grid
    parameter: Any = None
    names: Sequence[str] = ()

    @property
    def width(self) -> int:
        """Bytes of one element of all extents."""
        return sum([source.dtype.itemsize for source in self.sources])

    def __reduce__(self) -> tuple[Any, ...]:
        """Find the extents before this goes to a process that has not the variables."""
        sources: list[Source] = []
        for source in self.sources:
            try:
                sources.append(extent_of(source))
            except CheckpointError as error:
                sources.append(_Impossible(source.dtype, source.crc32c, error))
        rest = (self.elements, self.grid, self.parameter, self.names)
        return type(self), (self.number, sources, *rest)


def item_of(number: int, source: Extent | Variable, parameter: Any = None) -> Item:
    """Give the item of one extent alone, cut by bytes."""
    itemsize = source.dtype.itemsize
    n_elements = source.nbytes // itemsize
    return Item(number, (source,), n_elements, _grid_of_bytes(itemsize), parameter)


@cache
def _grid_of_bytes(itemsize: int) -> Grid:
    return Grid(PIECE_NBYTES // itemsize, READ_NBYTES // itemsize)


class _Impossible(NamedTuple):
    """In the place of a variable whose bytes lie nowhere; asked for them, it says why."""

    dtype: DataType
    crc32c: int | None
    error: CheckpointError

    def readable_extents(self) -> tuple[Extent, ...]:
        raise self.error


class Piece(NamedTuple):
    """Elements of an item from `start` to `stop`: what a job reads at once.

    Attributes:
        order: place of the item among all.
    """

    order: int
    item: Item
    start: int
    stop: int


class Part(NamedTuple):
    """What a piece gave: a partial result and a checksum per extent, or what is wrong in which."""

    partial: Any
    crc32c: Sequence[int]
    which: int = 0
    error: CheckpointError | None = None
    worker: str = ""
    """Who could not read it."""


class Found(NamedTuple):
    """What all pieces of an item gave.

    Attributes:
        partials: of its pieces, in their order; without those that could not be read.
        crc32c: of the bytes of each extent, none where some could not be read.
        which: which of the extents is damaged.
        error: what is wrong with it; None where all are sound.
        worker: who found that.
    """

    partials: list[Any]
    crc32c: Sequence[int]
    which: int = 0
    error: CheckpointError | None = None
    worker: str = "a worker"


def scan(
    items: Sequence[Item],
    kernel: Kernel,
    work: Work,
    merge: Callable[[Any, Any], Any] | None = None,
) -> Iterator[tuple[Item, Found]]:
    """Read items and yield what was found of each, as they are done.

    The kernel makes a partial result of a piece, `kernel(extents, parameter, chunks)`, where
    `chunks` gives for each stretch of elements an iterator over its k arrays.
    """
    pieces, sizes, missing = [], [], []
    for order, item in enumerate(items):
        width, step, n = item.width, item.grid.piece, item.elements
        starts = range(0, n, step) if n > step else (0,)
        missing.append(len(starts))
        for start in starts:
            stop = min(start + step, n)
            pieces.append(Piece(order, item, start, stop))
            sizes.append((stop - start) * width)
    n_workers = work.n_workers(sum(sizes))
    # Each job opens all files: where these are many, there are as few jobs as workers.
    is_long = any(len(item.sources) > MAX_OPEN_SHARDS for item in items)
    most = job_nbytes(sum(sizes), n_workers)
    most = max(most, sum(sizes) // n_workers + 1 if is_long else 0)
    is_apart = work.executor is not None
    weights = [len(piece.item.sources) for piece in pieces] if is_apart else None
    ranges = list(batches(sizes, nbytes=most, weights=weights))
    jobs = [pieces[batch.start : batch.stop] for batch in ranges]
    parts: dict[int, dict[int, Part]] = {}
    totals: dict[int, Any] = {}
    believed: set[str] = set()
    with OpenShards(MAX_OPEN_SHARDS) as shards:
        worker = Worker(_do, kernel, shards)
        for number, results in run(jobs, worker, n_jobs=n_workers, executor=work.executor):
            work.advance(sum(sizes[i] for i in ranges[number]))
            for (order, item, start, _), part in zip(jobs[number], results, strict=True):
                if merge is not None and part.partial is not None:
                    known = totals.get(order)
                    totals[order] = part.partial if known is None else merge(known, part.partial)
                    part = part._replace(partial=None)
                parts.setdefault(order, {})[start] = part
                missing[order] -= 1
                if not missing[order]:
                    found = _joined(item, parts.pop(order))
                    if merge is not None:
                        found = found._replace(partials=[totals.pop(order, None)])
                    if is_apart and found.error is not None:
                        _look_here_too(item, found, found.error, believed)
                    yield item, found


def _joined(item: Item, parts: dict[int, Part]) -> Found:
    """Join the checksums of an item's pieces, and compare them with the stored ones."""
    ordered = sorted(parts.items())
    partials = [part.partial for _, part in ordered if part.partial is not None]
    for _, part in ordered:
        if part.error is not None:
            return Found(partials, (), part.which, part.error, part.worker)
    computed = ordered[0][1].crc32c
    if len(ordered) > 1:
        sizes = [min(item.grid.piece, item.elements - start) for start, _ in ordered]
        computed = [
            crc32c.joined(
                (part.crc32c[which], size * source.dtype.itemsize)
                for size, (_, part) in zip(sizes, ordered, strict=True)
            )
            for which, source in enumerate(item.sources)
        ]
    for which, (source, found) in enumerate(zip(item.sources, computed, strict=True)):
        if found != source.crc32c:
            extent = extent_of(source)
            if extent.crc32c is not None and found != extent.crc32c:
                place = extent.offset, extent.nbytes
                name = item.names[which : which + 1]
                error = checksum_error(extent.path, place, extent.crc32c, found, *name)
                return Found(partials, computed, which, error)
    return Found(partials, computed)


def _look_here_too(item: Item, found: Found, error: CheckpointError, believed: set[str]) -> None:
    """Read what a worker says is damaged or missing; a worker that is alone with it is at fault.

    Of each file once: what holds for one tensor of it is believed of the others.
    """
    try:
        extent = extent_of(item.sources[found.which])
        if extent.path in believed:
            return
        believed.add(extent.path)
        stream = ExtentStream(extent, aligned_buffer(CHUNK_NBYTES))
        for _ in stream:
            pass
        verify_extent(extent, stream.crc32c)
    except CheckpointError:
        return
    told = f"{found.worker} does not read what is here: {error.detail}"
    remedy = (
        "A path has to mean the same file on every machine: one on a file system that they share, "
        "or an address, with its driver and credentials there."
    )
    raise CheckpointError(told, path=extent.path, remedy=remedy)


class Worker:
    """Does jobs by `do(kernel, shards, job)`: `do` and the kernel are functions that pickle.

    In this process or a fork of it shards stay open from one job to the next, in another
    process they are closed after each.
    """

    def __init__(self, do: Callable[..., Any], kernel: Any, shards: OpenShards) -> None:
        self._do = do
        self._kernel = kernel
        self._shards = shards

    def __call__(self, job: Any) -> Any:
        """Do one job."""
        return self._do(self._kernel, self._shards, job)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the open files behind."""
        return partial, (_do_apart, self._do, self._kernel)


def _do_apart(do: Callable[..., Any], kernel: Any, job: Any) -> Any:
    with OpenShards(MAX_OPEN_SHARDS, may_be_remote=True) as shards:
        return do(kernel, shards, job)


def _do(kernel: Kernel, shards: OpenShards, job: Sequence[Piece]) -> list[Part]:
    if shards.may_be_remote:
        shards.expect(_places(job))
    return [_read(piece, kernel, shards) for piece in job]


def _places(job: Sequence[Piece]) -> Iterator[tuple[str, int, int]]:
    for _, item, start, stop in job:
        for source in item.sources:
            with suppress(CheckpointError):
                extent = extent_of(source)
                first, width = extent.offset, extent.dtype.itemsize
                yield extent.path, first + start * width, first + stop * width


def _read(piece: Piece, kernel: Kernel, shards: OpenShards) -> Part:
    reading = _Reading(piece, shards)
    try:
        extents = reading.places()
        return Part(kernel(extents, piece.item.parameter, iter(reading)), reading.crc32c)
    except CheckpointError as error:
        return Part(None, (), reading.which, error, this_worker())


class _Reading:
    """One piece, read stretch by stretch through all its extents.

    Attributes:
        crc32c: of the bytes read of each extent.
        which: the extent that is read just now: an error is about this one.
    """

    def __init__(self, piece: Piece, shards: OpenShards) -> None:
        self.crc32c = [0] * len(piece.item.sources)
        self.which = 0
        self._piece = piece
        self._shards = shards
        self._extents: list[Extent] = []

    def places(self) -> list[Extent]:
        """Find where the bytes lie, and that the files are long enough."""
        for which, source in enumerate(self._piece.item.sources):
            self.which = which
            extent = extent_of(source)
            self._shards[extent.path].check_range(extent.offset, extent.nbytes)
            self._extents.append(extent)
        return self._extents

    def __iter__(self) -> Chunks:
        _, item, start, stop = self._piece
        _, step, n_arrays = item.grid
        widest = max(extent.dtype.itemsize for extent in self._extents)
        buffers = [chunk_buffer(step * widest, number=number) for number in range(n_arrays)]
        for at in range(start, stop, step):
            yield self._arrays(at, min(step, stop - at), buffers)

    def _arrays(
        self, start: int, n: int, buffers: Sequence[NDArray[np.uint8]]
    ) -> Iterator[NDArray[Any]]:
        for which, extent in enumerate(self._extents):
            self.which = which
            width = extent.dtype.itemsize
            raw = buffers[which % len(buffers)][: n * width]
            self._shards[extent.path].pread_into(raw, extent.offset + start * width)
            self.crc32c[which] = crc32c.extend(self.crc32c[which], raw)
            yield decode(extent, raw)


def extent_of(source: Source) -> Extent:
    """Give where the bytes of a plain variable lie."""
    if isinstance(source, Extent):
        return source
    [extent] = source.readable_extents() or ()
    return extent


def plain_extents(variable: Variable) -> tuple[Extent, ...] | None:
    """Give where the bytes of a variable lie; None for strings and compressed values."""
    return variable.readable_extents() if variable.dtype.is_plain else None


def side_by_side(*streams: Iterable[NDArray[Any]]) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield stretches of equal length of streams of as many elements.

    A chunk need only live until the next one of its stream is asked for.
    """
    sources = [iter(stream) for stream in streams]
    rests = [next(source, None) for source in sources]
    while all(rest is not None for rest in rests):
        n = min(rest.size for rest in rests if rest is not None)
        if n:
            yield tuple(rest[:n] for rest in rests if rest is not None)
        rests = [
            rest[n:] if rest is not None and rest.size > n else next(source, None)
            for rest, source in zip(rests, sources, strict=True)
        ]


def batches(
    sizes: Sequence[int],
    *,
    nbytes: int = 2 * PIECE_NBYTES,
    count: int = 512,
    weights: Sequence[int] | None = None,
) -> Iterator[range]:
    """Yield ranges of neighbours that together make one job: so many bytes, so many items.

    A checkpoint may hold 100,000 scalars: one by one they would cost more to hand
    over than to read. With `weights` an item counts as so many.
    """
    start = total = n = 0
    for i, size in enumerate(sizes):
        weight = 1 if weights is None else weights[i]
        if i > start and (total + size > nbytes or n + weight > count):
            yield range(start, i)
            start, total, n = i, 0, 0
        total += size
        n += weight
    if start < len(sizes):
        yield range(start, len(sizes))
