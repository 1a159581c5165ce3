"""Keys of slices, and whether slices cover a tensor."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.errors import CorruptCheckpointError
from ckread.readers.slices import (
    Region,
    check_partition,
    is_contiguous,
    region_of,
    region_shape,
    slice_key,
)
from tests import strategies
from tests.builders import ordered_key

_numbers = st.one_of(
    st.integers(0, 200), st.integers(0, 62).map(lambda n: 1 << n), st.integers(0, (1 << 63) - 1)
)


def test_a_key_by_bytes() -> None:
    expected = b"\0emb/table\0\1" + bytes.fromhex("01 02 a2 a1 80 88")
    assert slice_key(b"emb/table", ((34, 33), (0, 8))) == expected
    assert slice_key(b"w", ((67, 33), (0, None)))[4:] == bytes.fromhex("01 02 c043 a1 80 7f")
    assert slice_key(b"a\0b\xffc", ()) == b"\0a\0\xffb\xff\0c\0\1\0"


@given(
    strategies.keys | st.just(b"\0"),
    st.lists(st.tuples(_numbers, st.none() | _numbers), max_size=4),
)
def test_keys_against_the_format_written_out_number_by_number(
    name: bytes, ranges: list[tuple[int, int | None]]
) -> None:
    ranges = [(0, None) if length is None else (start, length) for start, length in ranges]
    assert slice_key(name, tuple(ranges)) == ordered_key(name, ranges)


def test_regions() -> None:
    assert region_of(((34, 33), (0, None)), (100, 8)) == ((34, 67), (0, 8))
    assert region_of((), ()) == ()
    assert region_shape(((34, 67), (0, 8))) == (33, 8)


@pytest.mark.parametrize(
    ("tensor_slice", "shape", "message"),
    [
        (((0, 5),), (5, 5), "slice of 1 dimensions of a tensor of 2"),
        (((-1, 5),), (5,), "slice -1:4 of a dimension of 5 elements"),
        (((1, 5),), (5,), "slice 1:6 of a dimension of 5 elements"),
        (((3, -2),), (5,), "slice 3:1 of a dimension of 5 elements"),
        (((1, (1 << 63) - 1),), (5,), "slice 1:9223372036854775808 of a dimension of 5 elements"),
    ],
)
def test_slices_outside_of_the_tensor(
    tensor_slice: tuple[tuple[int, int], ...], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(CorruptCheckpointError) as caught:
        region_of(tensor_slice, shape)
    assert str(caught.value) == message


def _grid(shape: tuple[int, ...], step: int) -> list[Region]:
    axes = [[(i, min(i + step, size)) for i in range(0, size, step)] for size in shape]
    return list(itertools.product(*axes))


@given(strategies.grids())
def test_every_grid_covers(
    grid: tuple[tuple[int, ...], list[tuple[tuple[int, int | None], ...]]],
) -> None:
    shape, slices = grid
    regions = [region_of(ranges, shape) for ranges in slices]
    check_partition(regions, shape)
    if len(regions) > 1:
        with pytest.raises(CorruptCheckpointError, match="slices hold"):
            check_partition(regions[1:], shape)
        with pytest.raises(CorruptCheckpointError, match="overlapping"):
            check_partition([*regions, regions[0]], shape)


PINWHEEL: list[Region] = [
    ((0, 1), (0, 2)), ((0, 2), (2, 3)), ((2, 3), (1, 3)), ((1, 3), (0, 1)), ((1, 2), (1, 2)),
]  # fmt: skip
"""No straight cut parts it."""


def test_a_pinwheel_covers() -> None:
    check_partition(PINWHEEL, (3, 3))
    check_partition([], (0, 5))
    check_partition([()], ())
    check_partition([((0, 0), (0, 3)), ((0, 2), (0, 3))], (2, 3))


@pytest.mark.parametrize(
    ("regions", "shape", "message"),
    [
        ([((0, 3),), ((2, 5),)], (5,), "overlapping slices [0:3] and [2:5]"),
        ([((0, 2),), ((3, 5),)], (5,), "slices hold 4 elements of 5"),
        ([], (5,), "slices hold 0 elements of 5"),
        # The right number of elements, one of them twice.
        ([((0, 3), (0, 3)), ((2, 5), (2, 3)), ((3, 5), (0, 2)), ((0, 2), (3, 4))], (5, 4),
         "overlapping slices [0:3, 0:3] and [2:5, 2:3]"),
        ([((0, 2), (0, 2)), *PINWHEEL[1:]], (3, 3),
         "overlapping slices [1:3, 0:1] and [0:2, 0:2]"),
        ([(), ()], (), "overlapping slices [] and []"),
    ],
)  # fmt: skip
def test_what_does_not_cover(regions: list[Region], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(CorruptCheckpointError) as caught:
        check_partition(regions, shape)
    assert str(caught.value) == message


def test_a_hundred_thousand_slices_are_no_matter() -> None:
    check_partition(_grid((100_000,), 1), (100_000,))
    check_partition(_grid((300, 300), 1), (300, 300))


def test_hostile_counts_that_nothing_parts_are_refused() -> None:
    """Diagonal pairs that overlap in projection on every axis, and nowhere else."""
    n = 3000
    regions: list[Region] = [((i, i + n), (2 * i, 2 * i + 2)) for i in range(n)]
    regions += [((0, 2 * n), (0, 2 * n))]
    with pytest.raises(CorruptCheckpointError) as caught:
        check_partition(regions, (2 * n, 2 * n))
    assert str(caught.value) == "more than 1,048,576 pairs of slices that no straight cut parts"


def test_regions_whose_elements_follow_each_other() -> None:
    shape = (4, 5, 6)
    assert is_contiguous(((1, 3), (0, 5), (0, 6)), shape)
    assert is_contiguous(((1, 2), (2, 4), (0, 6)), shape)
    assert is_contiguous(((1, 2), (2, 3), (1, 4)), shape)
    assert is_contiguous((), ())
    assert not is_contiguous(((1, 3), (0, 4), (0, 6)), shape)
    assert not is_contiguous(((1, 2), (2, 4), (0, 5)), shape)


@pytest.mark.parametrize(
    ("region", "shape", "expected"),
    [
        ((), (), True),
        (((0, 3),), (3,), True),
        (((1, 2),), (3,), True),
        (((0, 3), (0, 4)), (3, 4), True),
        (((1, 3), (0, 4)), (3, 4), True),
        (((0, 3), (0, 3)), (3, 4), False),
        (((0, 3), (1, 4)), (3, 4), False),
        (((1, 2), (1, 3)), (3, 4), True),
        (((1, 2), (1, 2), (0, 2)), (3, 4, 5), True),
        (((0, 2), (1, 2), (0, 5)), (3, 4, 5), False),
        (((0, 2), (0, 4), (1, 5)), (3, 4, 5), False),
        (((0, 2), (0, 1)), (3, 1), True),
    ],
)
def test_whether_elements_follow_each_other(
    region: Region, shape: tuple[int, ...], expected: bool
) -> None:
    places = np.arange(math.prod(shape)).reshape(shape)[tuple(slice(*one) for one in region)]
    flat = places.reshape(-1)
    assert is_contiguous(region, shape) is expected
    assert bool((np.diff(flat) == 1).all()) is expected
