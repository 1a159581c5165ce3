"""Cutting tensors on a grid, and joining checksums."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.scan import (
    SEGMENT_NBYTES,
    Segment,
    batches,
    chunk_buffer,
    joined_crc32c,
    split,
)
from ckread.readers.contract import CHUNK_NBYTES, Extent
from ckread.readers.crc32c import crc32c
from ckread.readers.dtypes import DataType


def _extent(nbytes: int) -> Extent:
    return Extent("shard", 100, nbytes, DataType.FLOAT32, False, None, ((0, nbytes // 4),))


@pytest.mark.parametrize(
    ("nbytes", "bounds"),
    [
        (0, [(0, 0)]),
        (4, [(0, 4)]),
        (SEGMENT_NBYTES, [(0, SEGMENT_NBYTES)]),
        (SEGMENT_NBYTES + 4, [(0, SEGMENT_NBYTES), (SEGMENT_NBYTES, SEGMENT_NBYTES + 4)]),
    ],
)
def test_segments_cover_an_extent(nbytes: int, bounds: list[tuple[int, int]]) -> None:
    segments = split(_extent(nbytes))
    assert [(segment.start, segment.stop) for segment in segments] == bounds
    assert segments[0].is_whole == (len(segments) == 1)


def test_segments_lie_on_the_grid_of_chunks() -> None:
    assert SEGMENT_NBYTES % CHUNK_NBYTES == 0


def test_a_segment_pickles_small() -> None:
    segment = Segment(_extent(64), 0, 32)
    assert pickle.loads(pickle.dumps(segment)) == segment
    assert len(pickle.dumps(segment)) < 1000


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_checksums_of_parts_join_to_that_of_the_whole(data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    assert joined_crc32c((crc32c(part), len(part)) for part in parts) == crc32c(data)


@given(sizes=st.lists(st.integers(0, 50), max_size=100))
def test_batches_hold_every_item_once_and_not_too_many(sizes: list[int]) -> None:
    found = list(batches(sizes, nbytes=60, count=7))
    assert [i for batch in found for i in batch] == list(range(len(sizes)))
    assert all(1 <= len(batch) <= 7 for batch in found)
    assert all(len(batch) == 1 or sum(sizes[i] for i in batch) <= 60 for batch in found)


def test_a_buffer_is_aligned_and_used_again() -> None:
    first = chunk_buffer()
    assert first.ctypes.data % 64 == 0
    assert first.size == CHUNK_NBYTES
    assert np.shares_memory(first, chunk_buffer())
    assert not np.shares_memory(first, chunk_buffer(number=1))
