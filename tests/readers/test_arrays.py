"""Parts of arrays on disk against numpy, and how many bytes they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckread.errors import TruncatedFileError
from ckread.readers import arrays
from ckread.readers.arrays import StridedReader
from ckread.readers.files import RegularFile
from ckread.readers.slices import as_slices, index_ranges, intersect, kept_shape

if TYPE_CHECKING:
    from pathlib import Path

ROOM = 7
"""Bytes before the array, so that nothing is aligned."""


@st.composite
def _picks(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[range, ...]]:
    shape = draw(st.lists(st.integers(1, 9), max_size=4).map(tuple))
    ranges = []
    for size in shape:
        start = draw(st.integers(0, size))
        stop = draw(st.integers(start, size))
        ranges.append(range(start, stop, draw(st.integers(1, 5))))
    return shape, tuple(ranges)


def _write(path: Path, array: np.ndarray[Any, Any]) -> RegularFile:
    path.write_bytes(b"\xee" * ROOM + array.tobytes())
    return RegularFile(str(path))


@given(
    pick=_picks(),
    gap=st.sampled_from([0, 8, 100, 1 << 15]),
    span=st.sampled_from([8, 40, 300, 1 << 20]),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_part_is_what_numpy_picks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pick: tuple[tuple[int, ...], tuple[range, ...]],
    gap: int,
    span: int,
) -> None:
    shape, ranges = pick
    monkeypatch.setattr(arrays, "MAX_GAP", gap)
    monkeypatch.setattr(arrays, "SPAN_NBYTES", span)
    array = np.arange(np.prod(shape, dtype=int), dtype=np.int64).reshape(shape)
    with _write(tmp_path / "data", array) as file:
        out = np.full([len(one) for one in ranges], -1, np.int64)
        StridedReader(file, offset=ROOM, shape=shape, ranges=ranges).read_into(out)
        # And into a place whose elements do not follow each other.
        wide = np.full([2 * len(one) for one in ranges], -1, np.int64)
        place: Any = (*(slice(None, None, 2) for _ in ranges), ...)
        StridedReader(file, offset=ROOM, shape=shape, ranges=ranges).read_into(wide[place])
    assert np.array_equal(out, array[as_slices(ranges)])
    assert np.array_equal(wide[place], out)
    assert np.count_nonzero(wide == -1) == wide.size - out.size


@pytest.mark.parametrize(
    ("ranges", "n_calls", "nbytes"),
    [
        ((range(5, 6), range(10, 20)), 1, 40),
        ((range(4096), range(1)), 4, 4096 * 1024 - 1020 * 4),  # a column: all of it
        ((range(0, 4096, 64), range(1)), 64, 64 * 4),  # far apart: one by one
        ((range(4096), range(256)), 1 + 3, 4 << 20),  # everything, a span at a time
        ((range(100, 101), range(0, 256, 2)), 1, 1020),
        ((range(0), range(256)), 0, 0),
    ],
)
def test_how_much_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ranges: tuple[range, range],
    n_calls: int,
    nbytes: int,
) -> None:
    array = np.arange(4096 * 256, dtype=np.int32).reshape(4096, 256)
    calls: list[int] = []
    plain = RegularFile.pread_into

    def counted(self: RegularFile, buffer: Any, offset: int) -> None:
        calls.append(len(buffer))
        plain(self, buffer, offset)

    monkeypatch.setattr(RegularFile, "pread_into", counted)
    with _write(tmp_path / "data", array) as file:
        reader = StridedReader(file, offset=ROOM, shape=array.shape, ranges=ranges)
        out = np.empty([len(one) for one in ranges], np.int32)
        reader.read_into(out)
    assert np.array_equal(out, array[as_slices(ranges)])
    assert (len(calls), sum(calls)) == (n_calls, nbytes)
    assert max(calls, default=0) <= arrays.SPAN_NBYTES


def test_a_file_that_ends_too_early(tmp_path: Path) -> None:
    with _write(tmp_path / "data", np.zeros(10, np.int32)) as file:
        out = np.empty(10, np.int32)
        with pytest.raises(TruncatedFileError) as caught:
            StridedReader(file, offset=ROOM, shape=(11,), ranges=(range(1, 11),)).read_into(out)
    assert str(caught.value) == "data: bytes 11 to 51 are wanted, the file ends at byte 47"


def test_an_index_as_ranges() -> None:
    index = (3, slice(1, 10, 4))
    ranges = index_ranges(index, (5, 8, 2))
    assert ranges == (range(3, 4), range(1, 8, 4), range(2))
    assert kept_shape(index, (1, 2, 2)) == (2, 2)
    assert index_ranges((), ()) == ()
    assert kept_shape((), ()) == ()


@given(_picks(), st.data())
def test_the_part_of_a_region_and_its_place(
    pick: tuple[tuple[int, ...], tuple[range, ...]], data: st.DataObject
) -> None:
    shape, ranges = pick
    region = []
    for size in shape:
        start = data.draw(st.integers(0, size))
        region.append((start, data.draw(st.integers(start, size))))
    array = np.arange(1, 1 + np.prod(shape, dtype=int)).reshape(shape)
    masked = np.zeros_like(array)
    inside: Any = (*(slice(*bounds) for bounds in region), ...)
    masked[inside] = array[inside]
    places, local = intersect(ranges, tuple(region))
    result = np.zeros([len(one) for one in ranges], array.dtype)
    place: Any = (*places, ...)
    picked: Any = (*as_slices(local), ...)
    result[place] = array[inside][picked]
    assert np.array_equal(result, masked[as_slices(ranges)])
