"""Small tensors together: 100,000 of a checkpoint, or the few of 10,000 checkpoints.

    groups, rest = grouped([variables])
    for rows in scan_together(groups, start, Work()):
        ...                                  # rows.numbers, rows.result, rows.is_done
    scan([item_of(i, variables[i]) for i in rest], …)

Items are as in `scan`: k extents of equally many elements. Those of as many elements and the
same types are a group: where their bytes lie is kept as columns, one per extent. Neighbours
in a file are read in one go and given to the kernel as the rows of one array, so that nothing
is made for each of them. What is damaged, and what a kernel leaves to more careful ones, is
not done: a caller hands it to `scan`, which tells what is wrong.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from ckread.analysis.scan import MAX_OPEN_SHARDS, Worker, batches, plain_extents
from ckread.analysis.workers import job_nbytes, run
from ckread.errors import CheckpointError
from ckread.model.columns.variables import SomeVariables
from ckread.model.variable import Variable, listed
from ckread.readers import crc32c
from ckread.readers.contract import DataType, numpy_dtype
from ckread.readers.extents import OpenShards, swap_in_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.workers import Work
    from ckread.readers.contract import Extent

    Start = Callable[[Sequence[DataType]], "Many"]
    """Starts on items of these types, one for each of their extents; it pickles."""

SMALL_ELEMENTS = 1023
"""Elements of a small item, at most: its sums are made in one stretch, without rows."""
_BLOCK_ELEMENTS = 1 << 18
"""Elements that are measured together, at most."""
_BLOCK_PLACES, _SENT_PLACES = 4096, 2048
"""Extents of a job, at most; of one that is sent, so that it takes about 100 KB at most."""
_MAX_GAP = 4096
"""Bytes between two small tensors that are read with them, rather than skipped."""
_NO_CHECKSUM = -1


class Column(NamedTuple):
    """Where the bytes of one extent of each of some items lie.

    Attributes:
        paths: the files.
        files: in which of them each lies; None where there is one.
        offsets: int64, the first byte of each.
        crc32c: int64, their checksums; -1 where none is kept.
        dtype: element type of all.
        big_endian: whether all are stored in network order.
    """

    paths: tuple[str, ...]
    files: NDArray[np.int64] | None
    offsets: NDArray[np.int64]
    crc32c: NDArray[np.int64]
    dtype: DataType
    big_endian: bool

    def __reduce__(self) -> tuple[Any, ...]:
        """Send no file in which nothing of this lies: a run may have thousands."""
        if self.files is None:
            return type(self), (*self,)
        used, files = np.unique(self.files, return_inverse=True)
        paths = tuple(self.paths[i] for i in used.tolist())
        return type(self), (*self._replace(paths=paths, files=files.astype(np.int32)),)

    def of(self, rows: Any) -> Column:
        """Give the places of some of the items."""
        files = None if self.files is None else self.files[rows]
        offsets, checksums = self.offsets[rows], self.crc32c[rows]
        return self._replace(files=files, offsets=offsets, crc32c=checksums)


class Group(NamedTuple):
    """Items of equally many elements and the same types.

    Attributes:
        numbers: int64, whose they are.
        columns: where their extents lie, one column for each of these.
        elements: of every item.
        part: which of the parts that its maker cut it into.
    """

    numbers: NDArray[np.int64]
    columns: Sequence[Column]
    elements: int
    part: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all extents."""
        itemsizes = [column.dtype.itemsize for column in self.columns]
        return len(self.numbers) * self.elements * sum(itemsizes)

    def of(self, rows: Any) -> Group:
        """Give some of the items."""
        columns = [column.of(rows) for column in self.columns]
        return self._replace(numbers=self.numbers[rows], columns=columns)


class Many(Protocol):
    """Items of a group that are measured together: a kernel."""

    def add(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Take the next extents of each, one after the other: shape (items, elements) each."""
        ...

    def results(self) -> tuple[Any, NDArray[np.bool_]]:
        """Give what came of them, and of which: the others want more care."""
        ...


class AllAtOnce:
    """Items of few extents, measured when all of these are there.

    `measure` takes their types and an array for each, of shape (items, elements).
    """

    def __init__(
        self,
        measure: Callable[
            [Sequence[DataType], Sequence[NDArray[Any]]], tuple[Any, NDArray[np.bool_]]
        ],
        dtypes: Sequence[DataType],
    ) -> None:
        self._measure = measure
        self._dtypes = dtypes
        self._arrays: list[NDArray[Any]] = []

    def add(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Take the next extents of each."""
        self._arrays += arrays

    def results(self) -> tuple[Any, NDArray[np.bool_]]:
        """Measure them."""
        return self._measure(self._dtypes, self._arrays)


class Rows(NamedTuple):
    """What came of items that were read together.

    Attributes:
        group: the items.
        result: what the kernel made of them all; None where they could not be read.
        is_done: of which: they are sound, and the kernel needs no more care.
    """

    group: Group
    result: Any
    is_done: NDArray[np.bool_]

    @property
    def done(self) -> tuple[Sequence[int], Sequence[int]]:
        """Places in the result, and numbers, of the items that are done."""
        if self.is_done.all():
            return range(len(self.is_done)), self.group.numbers.tolist()
        at = np.flatnonzero(self.is_done)
        return at.tolist(), self.group.numbers[at].tolist()

    @property
    def left(self) -> Sequence[int]:
        """Numbers of the others."""
        left: list[int] = self.group.numbers[~self.is_done].tolist()
        return left


def grouped(
    columns: Sequence[Sequence[Variable | Extent | None]], limit: int | None = None
) -> tuple[list[Group], list[int]]:
    """Group items by size and types.

    Args:
        columns: for each extent of an item the sources of all items, as many in each. They are
            extents, or variables of one extent; None where something else is to be done.
        limit: elements of an item, at most; None for `SMALL_ELEMENTS`.

    Returns:
        The groups, and the numbers of the items that are in none of them.
    """
    if not (columns and columns[0]):
        return [], []
    most = SMALL_ELEMENTS if limit is None else limit
    lying: dict[Any, Any] | None = {} if len(columns) > 1 else None
    told = [_Told(sources, most, lying) for sources in columns]
    codes, n_codes = np.zeros(len(columns[0]), np.int64), 1
    for one in told:
        if n_codes * len(one.kinds) >= 1 << 62:
            found, codes = np.unique(codes, return_inverse=True)
            n_codes = len(found)
        codes = codes * len(one.kinds) + one.codes
        n_codes *= len(one.kinds)
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    groups, rest = [], []
    for at in np.argsort(first).tolist():
        numbers = members[at]
        kinds = [one.kinds[one.codes[first[at]]] for one in told]
        sizes = {None if kind is None else kind.elements for kind in kinds}
        [elements] = sizes if len(sizes) == 1 else [None]
        if elements is None:
            rest += numbers.tolist()
            continue
        known = [one.column(numbers, kind) for one, kind in zip(told, kinds, strict=True) if kind]
        groups.append(Group(numbers, known, elements))
    return groups, sorted(rest)


def limit_of(n_extents: int, chunk: int) -> int:
    """Give the elements of an item that goes together with others, at most.

    Where it has more extents than files can be open these are `chunk`: alone it would open
    each of them.
    """
    return chunk if n_extents > MAX_OPEN_SHARDS else SMALL_ELEMENTS


class _Kind(NamedTuple):
    """What sources of one group have in common."""

    elements: int
    dtype: DataType
    big_endian: bool


class _Told:
    """What is told of the sources of one column.

    Attributes:
        codes: int64, a number for each source, the same for those of one kind.
        kinds: what these stand for; None for what goes into no group.
    """

    def __init__(
        self, sources: Sequence[Variable | Extent | None], limit: int, known: dict[Any, Any] | None
    ) -> None:
        """Tell of sources; `known` is what was told of other columns, and becomes more."""
        self.kinds: list[_Kind | None] = []
        self._numbers: dict[_Kind | None, int] = {}
        self._paths: dict[str, int] = {}
        self._limit = limit
        self._known = known
        if isinstance(sources, SomeVariables):
            self._take_columns(sources)
        elif not ({*map(type, sources)} <= {Variable} and self._takes_listed(sources)):  # type: ignore[arg-type]
            self._take_extents(sources)

    def _take_columns(self, variables: SomeVariables) -> None:
        """Take what an index lists, as columns."""
        tensors, places = variables.columns.tensors, variables.places
        alike = id(tensors.kind), id(tensors.shard), id(tensors.offset), id(places)
        told = None if self._known is None else self._known.get(alike)
        if told is None:
            shard = tensors.shard[places].astype(np.int64)
            kind = tensors.kind[places] + shard * len(tensors.kinds)
            _, first, inverse = np.unique(kind, return_index=True, return_inverse=True)
            told = inverse, first.tolist(), tensors.offset[places]
            if self._known is not None:
                self._known[alike] = told
        which, firsts, offsets = told
        self._offsets: NDArray[np.int64] = offsets
        codes = [self._number(_extent_of(variables[i])) for i in firsts]
        self.codes, self._files = np.array(codes, np.int64)[which].T
        self._crc32c = tensors.crc32c[places].astype(np.int64)

    def _takes_listed(self, variables: Sequence[Variable]) -> bool:
        """Take what indexes list, what is alike in many once; False where one lists no place."""
        records, readers = listed(variables)
        _, *lie, checksums, shards, offsets = zip(*records, strict=True)
        if None in shards or None in offsets:
            return False
        if None in checksums and not all(reader.lies_alike for reader in {*readers}):
            return False
        # Checkpoints of a run lie alike: what is told of one is looked up for the others.
        is_one = self._known is not None and len({*map(id, readers)}) == 1
        alike = (*lie, shards, offsets) if is_one else None
        told = self._known.get(alike) if self._known is not None else None
        if told is None:
            kinds: dict[Any, int] = {}
            numbers: list[int] = []
            firsts: list[int] = []
            for i, key in enumerate(zip(*lie, shards, map(id, readers), strict=True)):
                numbers.append(kinds.setdefault(key, len(kinds)))
                if numbers[-1] == len(firsts):
                    firsts.append(i)
            told = np.array(numbers, np.int64), firsts, np.array(offsets, np.int64)
            if self._known is not None and is_one:
                self._known[alike] = told
        which, firsts, offsets_of = told
        self._offsets = offsets_of
        codes = [self._number(_extent_of(variables[i])) for i in firsts]
        self.codes, self._files = np.array(codes, np.int64)[which].T
        known = [_NO_CHECKSUM if crc32c is None else crc32c for crc32c in checksums]
        self._crc32c = np.array(known, np.int64)
        return True

    def _take_extents(self, sources: Sequence[Variable | Extent | None]) -> None:
        """Take extents, and those of variables."""
        extents = [_extent_of(s) if isinstance(s, Variable) else s for s in sources]
        known = [self._number(extent) for extent in extents]
        self.codes, self._files = np.array(known, np.int64).T
        self._offsets = np.array([e.offset if e else 0 for e in extents], np.int64)
        self._crc32c = np.array(
            [_NO_CHECKSUM if e is None or e.crc32c is None else e.crc32c for e in extents], np.int64
        )

    def _number(self, extent: Extent | None) -> tuple[int, int]:
        """Number the kind of an extent, and its file."""
        kind = None
        file = 0
        if extent is not None and extent.dtype.is_plain:
            elements = extent.nbytes // extent.dtype.itemsize
            if 0 < elements <= self._limit:
                kind = _Kind(elements, extent.dtype, extent.big_endian)
                file = self._paths.setdefault(extent.path, len(self._paths))
        number = self._numbers.setdefault(kind, len(self.kinds))
        if number == len(self.kinds):
            self.kinds.append(kind)
        return number, file

    def column(self, numbers: NDArray[np.int64], kind: _Kind) -> Column:
        """Give the places of some sources of one kind."""
        files = None if len(self._paths) == 1 else self._files[numbers]
        places = self._offsets[numbers], self._crc32c[numbers]
        return Column(tuple(self._paths), files, *places, kind.dtype, kind.big_endian)


def _extent_of(variable: Variable) -> Extent | None:
    """Give the only extent of a variable; None where there is none, or an error to be told."""
    try:
        extents = plain_extents(variable) or ()
    except CheckpointError:
        return None
    return extents[0] if len(extents) == 1 else None


def scan_together(groups: Sequence[Group], start: Start, work: Work) -> Iterator[Rows]:
    """Read the items of groups and yield what came of them, block by block.

    Where items have more extents than files can be open, all groups are read together, extent
    after extent, so that each file is opened once.
    """
    n_workers = work.n_workers(sum(group.nbytes for group in groups))
    is_apart = work.executor is not None or n_workers > 1
    n_places = _BLOCK_PLACES if work.executor is None else _SENT_PLACES
    per_block = n_places if is_apart else None
    blocks = [block for group in groups for block in _blocks(group, per_block)]
    if any(len(block.columns) > MAX_OPEN_SHARDS for block in blocks):
        jobs = [blocks]
    else:
        most = job_nbytes(sum(block.nbytes for block in blocks), n_workers)
        parts: dict[int, list[Group]] = {}
        for block in blocks:  # those of one part lie in the same files
            parts.setdefault(block.part, []).append(block)
        jobs = [
            part[batch.start : batch.stop]
            for part in parts.values()
            for batch in batches(
                [block.nbytes for block in part],
                nbytes=most,
                count=n_places,
                weights=[len(block.columns) * len(block.numbers) for block in part],
            )
        ]
    with OpenShards(MAX_OPEN_SHARDS) as shards:
        worker = Worker(_do, start, shards)
        for number, results in run(jobs, worker, n_jobs=n_workers, executor=work.executor):
            for block, (result, is_done) in zip(jobs[number], results, strict=True):
                work.advance(int(block.nbytes * is_done.mean()))
                yield Rows(block, result, is_done)


def _blocks(group: Group, n_places: int | None) -> Iterator[Group]:
    """Cut a group into blocks that fit the cache, and, where they are sent, a message."""
    step = max(1, _BLOCK_ELEMENTS // group.elements)
    if n_places:
        step = max(1, min(step, n_places // len(group.columns)))
    if len(group.numbers) <= step:
        yield group
        return
    for at in range(0, len(group.numbers), step):
        yield group.of(slice(at, at + step))


def _do(
    start: Start, shards: OpenShards, job: Sequence[Group]
) -> list[tuple[Any, NDArray[np.bool_]]]:
    if shards.may_be_remote:
        shards.expect(_places(job))
    kernels = [start([column.dtype for column in block.columns]) for block in job]
    sound = [np.ones(len(block.numbers), np.bool_) for block in job]
    n_elements = sum(block.elements * len(block.numbers) for block in job)
    step = max(1, _BLOCK_ELEMENTS // n_elements)
    n_columns = max(len(block.columns) for block in job)
    for at in range(0, n_columns, step):
        read: list[list[NDArray[Any]]] = [[] for _ in job]
        for which in range(at, min(at + step, n_columns)):
            for block, arrays, is_sound in zip(job, read, sound, strict=True):
                if which < len(block.columns) and is_sound.any():
                    try:
                        arrays.append(_rows(block, which, shards, is_sound))
                    except CheckpointError:
                        is_sound[:] = False
        for kernel, arrays, is_sound in zip(kernels, read, sound, strict=True):
            if arrays and is_sound.any():
                kernel.add(arrays)
    results = []
    for kernel, is_sound in zip(kernels, sound, strict=True):
        result = None
        if is_sound.any():
            result, is_quick = kernel.results()
            is_sound = is_sound & is_quick
        results.append((result, is_sound))
    return results


def _places(job: Sequence[Group]) -> Iterator[tuple[str, int, int]]:
    for block in job:
        for paths, files, offsets, _, dtype, _ in block.columns:
            nbytes = block.elements * dtype.itemsize
            numbers = [0] * len(offsets) if files is None else files.tolist()
            for number, offset in zip(numbers, offsets.tolist(), strict=True):
                yield paths[number], offset, offset + nbytes


def _rows(
    block: Group, which: int, shards: OpenShards, is_sound: NDArray[np.bool_]
) -> NDArray[Any]:
    """Read one extent of each item, as the rows of an array; mark those that are damaged."""
    paths, files, offsets, checksums, dtype, big_endian = block.columns[which]
    nbytes = block.elements * dtype.itemsize
    if files is None:
        whole, tensors = _read(shards, paths[0], offsets, nbytes)
    else:
        whole, tensors = b"", [b""] * len(offsets)
        for file in set(files.tolist()):
            at = np.flatnonzero(files == file)
            _, some = _read(shards, paths[file], offsets[at], nbytes)
            for i, tensor in zip(at.tolist(), some, strict=True):
                tensors[i] = tensor
    computed = np.array(crc32c.each(tensors), np.int64)
    is_right = computed == checksums
    if not is_right.all():
        is_sound &= is_right | (checksums == _NO_CHECKSUM)
    raw = np.frombuffer(whole or b"".join(tensors), np.uint8)
    if big_endian:
        raw = raw.copy()
        swap_in_place(raw, dtype)
    return raw.view(numpy_dtype(dtype)).reshape(len(offsets), -1)


def _read(
    shards: OpenShards, path: str, offsets: NDArray[np.int64], nbytes: int
) -> tuple[bytes, list[bytes]]:
    """Read tensors of one size, near ones in one go; in one piece too where they lie in one."""
    plan_of = _plan if len(offsets) <= _BLOCK_PLACES else _plan.__wrapped__
    plan = plan_of(offsets.tobytes(), nbytes)
    shard = shards[path]
    if plan is None:
        whole = shard.pread(int(offsets[0]), len(offsets) * nbytes)
        return whole, [whole[at : at + nbytes] for at in range(0, len(whole), nbytes)]
    tensors = [b""] * len(offsets)
    for first, length, places in plan:
        data = shard.pread(first, length)
        for i, at in places:
            tensors[i] = data[at : at + nbytes]
    return b"", tensors


@lru_cache(maxsize=64)
def _plan(places: bytes, nbytes: int) -> list[tuple[int, int, list[tuple[int, int]]]] | None:
    """Tell how to read tensors at offsets, the bytes of int64; None where they are one piece.

    As start and length of each piece, and which tensors begin where in it. Many checkpoints lie
    alike.
    """
    offsets = np.frombuffer(places, np.int64)
    if len(offsets) == 1 or (offsets[1:] - offsets[:-1] == nbytes).all():
        return None
    order = np.argsort(offsets, kind="stable")
    ordered = offsets[order]
    cuts = np.flatnonzero(ordered[1:] - ordered[:-1] > nbytes + _MAX_GAP) + 1
    pieces = []
    for start, stop in pairwise([0, *cuts.tolist(), len(order)]):
        first = int(ordered[start])
        begins = (ordered[start:stop] - first).tolist()
        which = zip(order[start:stop].tolist(), begins, strict=True)
        pieces.append((first, begins[-1] + nbytes, list(which)))
    return pieces
