"""The engine: what is cut, batched and joined is read once, verified, and the same anywhere."""

from __future__ import annotations

import pickle
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.numbers import chunk_buffer
from ckread.analysis.scan import (
    PIECE_NBYTES,
    READ_NBYTES,
    Grid,
    Item,
    Piece,
    _places,
    batches,
    item_of,
    scan,
    side_by_side,
)
from ckread.analysis.workers import ALONE, Work
from ckread.errors import ChecksumError, CorruptCheckpointError, TruncatedFileError
from ckread.readers import extents
from ckread.readers.contract import CHUNK_NBYTES, DataType, Extent
from ckread.readers.crc32c import crc32c

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ckread.analysis.scan import Chunks

SMALL = Grid(piece=100, chunk=30, n_arrays=2)


def collect(extents: Sequence[Extent], parameter: Any, chunks: Chunks) -> list[list[list[int]]]:
    """Give all elements, chunk after chunk and array after array: a kernel."""
    assert parameter == "as told"
    found = []
    for chunk in chunks:
        arrays = [np.array(array).astype(int).tolist() for array in chunk]
        assert len(arrays) == len(extents)
        found.append(arrays)
    return found


def add_up(_extents: Sequence[Extent], _parameter: Any, chunks: Chunks) -> float:
    """Sum all elements: a kernel whose results merge."""
    return float(sum(array.sum() for chunk in chunks for array in chunk))


def extent_of(path: Path, array: np.ndarray[Any, Any], dtype: DataType) -> Extent:
    """Write an array behind three other bytes."""
    data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    path.write_bytes(b"abc" + data)
    return Extent(str(path), 3, len(data), dtype, False, crc32c(data), ((0, array.size),))


@pytest.fixture
def aligned(tmp_path: Path) -> tuple[Item, np.ndarray[Any, Any]]:
    """Give an item of three extents of two types, and what they hold."""
    array = np.arange(250)
    sources = [
        extent_of(tmp_path / "a", array.astype(np.float32), DataType.FLOAT32),
        extent_of(tmp_path / "b", array.astype(np.int64), DataType.INT64),
        extent_of(tmp_path / "c", array.astype(np.int16), DataType.INT16),
    ]
    return Item(7, sources, 250, SMALL, "as told", ("x", "y", "z")), array


def test_pieces_and_chunks_lie_on_one_grid(aligned: tuple[Item, np.ndarray[Any, Any]]) -> None:
    item, array = aligned
    read: list[int] = []
    [(whose, found)] = scan([item], collect, Work(progress=read.append))
    assert whose is item
    assert found.error is None
    assert found.crc32c == [extent.crc32c for extent in item.sources]
    assert sum(read) == 250 * 14 == 250 * item.width
    assert [[len(chunk[0]) for chunk in piece] for piece in found.partials] == [
        [30, 30, 30, 10], [30, 30, 30, 10], [30, 20],
    ]  # fmt: skip
    for which in range(3):
        values = [x for piece in found.partials for chunk in piece for x in chunk[which]]
        assert values == array.tolist()


def test_as_many_arrays_as_were_asked_for_are_there_at_once(tmp_path: Path) -> None:
    def differ(_extents: Sequence[Extent], _parameter: Any, chunks: Chunks) -> list[float]:
        return [float((b - a).sum()) for a, b in chunks]

    array = np.arange(40, dtype=np.float32)
    pair = [extent_of(tmp_path / name, array + i, DataType.FLOAT32) for i, name in enumerate("ab")]
    [(_, found)] = scan([Item(0, pair, 40, SMALL)], differ, ALONE)
    assert found.partials == [[30.0, 10.0]]


def test_workers_of_every_kind_give_the_same(aligned: tuple[Item, np.ndarray[Any, Any]]) -> None:
    items = [aligned[0]] * 5
    alone = [found for _, found in scan(items, collect, ALONE)]
    assert len(alone) == 5
    executors: list[Executor | None] = [None, ThreadPoolExecutor(3)]
    executors.append(ProcessPoolExecutor(2, mp_context=get_context("spawn")))
    for executor in executors:
        work = Work(n_jobs=2, executor=executor)
        assert [found for _, found in scan(items, collect, work)] == alone
        if executor is not None:
            executor.shutdown()


def test_partial_results_merge_where_that_is_asked_for(
    aligned: tuple[Item, np.ndarray[Any, Any]],
) -> None:
    item, array = aligned
    apart, merged = (
        found
        for merge in (None, lambda x, y: x + y)
        for _, found in scan([item], add_up, ALONE, merge)
    )
    assert len(apart.partials) == 3
    assert merged.partials == [3 * array.sum()] == [sum(apart.partials)]


@pytest.mark.parametrize("at", [3, 3 + 249 * 8])
def test_damage_is_told_of_the_extent_it_is_in(
    aligned: tuple[Item, np.ndarray[Any, Any]], tmp_path: Path, at: int
) -> None:
    data = bytearray((tmp_path / "b").read_bytes())
    data[at] ^= 1
    (tmp_path / "b").write_bytes(data)
    [(_, found)] = scan([aligned[0]], collect, ALONE)
    assert isinstance(found.error, ChecksumError)
    assert str(found.error).startswith("b: y: bytes 3 to 2003: stored CRC-32C")
    assert found.which == 1
    assert len(found.partials) == 3


def test_what_ends_too_early_is_an_error_and_no_result(
    aligned: tuple[Item, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    (tmp_path / "c").write_bytes(b"abc")
    sound = item_of(1, aligned[0].sources[0])  # type: ignore[arg-type]
    found = {item.number: found for item, found in scan([aligned[0], sound], add_up, ALONE)}
    assert isinstance(found[7].error, TruncatedFileError)
    assert (found[7].which, found[7].partials, found[7].crc32c) == (2, [], ())
    assert found[1].error is None


def test_nothing_is_an_item_too(tmp_path: Path) -> None:
    extent = extent_of(tmp_path / "a", np.empty(0, np.float32), DataType.FLOAT32)
    [(_, found)] = scan([item_of(0, extent)], add_up, ALONE)
    assert (found.partials, found.error) == ([0.0], None)


def test_a_shard_is_opened_once_however_many_jobs_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extent = extent_of(tmp_path / "a", np.arange(10, dtype=np.float32), DataType.FLOAT32)
    opened = Mock(side_effect=extents.open_shard)
    monkeypatch.setattr(extents, "open_shard", opened)
    found = list(scan([item_of(i, extent) for i in range(600)], add_up, ALONE))
    assert len(found) == 600
    assert opened.call_count == 1


def test_an_item_that_is_sent_is_small_and_tells_what_is_wrong_with_its_bytes(
    aligned: tuple[Item, np.ndarray[Any, Any]],
) -> None:
    item, _ = aligned
    assert pickle.loads(pickle.dumps(item)) == item
    assert len(pickle.dumps(item)) < 1000
    bad = Mock(dtype=DataType.FLOAT32, crc32c=None)
    bad.readable_extents.side_effect = CorruptCheckpointError("w: size is impossible")
    sent = pickle.loads(pickle.dumps(Item(3, [bad], 4, SMALL)))
    [(_, found)] = scan([sent], add_up, ALONE)
    assert str(found.error) == "w: size is impossible"


def test_an_extent_alone_is_cut_by_bytes() -> None:
    extent = Extent("shard", 100, 80, DataType.COMPLEX128, False, None, ((0, 5),))
    item = item_of(3, extent, "parameter")
    assert (item.number, item.elements, item.parameter) == (3, 5, "parameter")
    assert item.grid[:2] == (PIECE_NBYTES // 16, READ_NBYTES // 16)
    assert PIECE_NBYTES % READ_NBYTES == 0


@given(sizes=st.lists(st.integers(0, 50), max_size=100))
def test_batches_hold_every_item_once_and_not_too_many(sizes: list[int]) -> None:
    found = list(batches(sizes, nbytes=60, count=7))
    assert [i for batch in found for i in batch] == list(range(len(sizes)))
    assert all(1 <= len(batch) <= 7 for batch in found)
    assert all(len(batch) == 1 or sum(sizes[i] for i in batch) <= 60 for batch in found)


@given(n=st.integers(0, 40), cuts=st.lists(st.lists(st.integers(0, 40), max_size=5), max_size=3))
def test_streams_side_by_side_give_the_same_elements(n: int, cuts: list[list[int]]) -> None:
    array = np.arange(n)
    streams = [np.split(array, sorted(min(cut, n) for cut in some)) for some in [*cuts, []]]
    stretches = list(side_by_side(*streams))
    assert all(len({array.size for array in stretch}) == 1 for stretch in stretches)
    for which in range(len(streams)):
        assert [x for stretch in stretches for x in stretch[which].tolist()] == array.tolist()


def test_a_buffer_is_aligned_and_used_again() -> None:
    first = chunk_buffer()
    assert first.ctypes.data % 64 == 0
    assert first.size == CHUNK_NBYTES
    assert np.shares_memory(first, chunk_buffer())
    assert not np.shares_memory(first, chunk_buffer(number=1))


@pytest.mark.parametrize(
    ("sizes", "weights", "expected"),
    [
        ([], None, []), ([5, 5], None, [2]), ([5, 6], None, [1, 1]), ([99, 1], None, [1, 1]),
        ([1, 2, 3, 4, 5], None, [3, 2]), ([0] * 7, None, [3, 3, 1]), ([10, 0, 0, 0], None, [3, 1]),
        ([1, 1, 1], [2, 1, 1], [2, 1]), ([1, 1, 1], [1, 3, 2], [1, 1, 1]), ([0, 0], [9, 9], [1, 1]),
        ([4, 5, 4, 1, 5], None, [2, 3]),
    ],
)  # fmt: skip
def test_batches_are_as_large_as_may_be(
    sizes: list[int], weights: list[int] | None, expected: list[int]
) -> None:
    found = list(batches(sizes, nbytes=10, count=3, weights=weights))
    assert [len(one) for one in found] == expected
    assert [i for one in found for i in one] == list(range(len(sizes)))


def test_places_that_are_read_are_told_beforehand() -> None:
    one = Extent("a", 100, 40, DataType.FLOAT32, False, None, ())
    two = Extent("b", 7, 80, DataType.FLOAT64, False, None, ())
    item = Item(0, (one, two), 10, Grid(5, 5))
    job = [Piece(0, item, 0, 5), Piece(0, item, 5, 10)]
    assert list(_places(job)) == [("a", 100, 120), ("b", 7, 47), ("a", 120, 140), ("b", 47, 87)]
