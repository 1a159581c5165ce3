"""Equal contents told from checksums alone, whole or in slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.checksums import (
    ContentKey,
    content_comparison,
    content_key,
    has_checksum,
    is_big_endian,
    is_constant,
)
from ckread.model.evidence import Identity
from ckread.model.role import Role
from ckread.model.variable import Variable
from ckread.readers.contract import Extent
from ckread.readers.crc32c import crc32c
from tests.analysis.array_checkpoint import ArrayReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Region = tuple[tuple[int, int], ...]

WHOLE = np.arange(24, dtype=np.float32).reshape(4, 6)


class SlicedReader(ArrayReader):
    """A reader whose only tensor lies in slices."""

    def __init__(
        self, array: NDArray[Any], regions: list[Region], *, big_endian: bool = False
    ) -> None:
        super().__init__({"w": array}, path="sliced", has_checksums=not regions)
        self.regions = regions or [tuple((0, size) for size in array.shape)]
        self.big_endian = big_endian

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        array, dtype = self.arrays[key], self.tensors[key].dtype
        return tuple(
            Extent("shard", 0, part.nbytes, dtype, self.big_endian, crc32c(part.tobytes()), region)
            for region in self.regions
            for part in [array[tuple(slice(*bounds) for bounds in region)]]
        )


def variable(
    array: NDArray[Any], regions: list[Region] | None = None, *, big_endian: bool = False
) -> Variable:
    reader = SlicedReader(array, regions or [], big_endian=big_endian)
    return Variable(reader.tensors["w"], Identity("w", Role.WEIGHT), reader)


def same(a: Variable, b: Variable) -> bool | None:
    return content_comparison([a], [b])([(a, b)])[0]


ROWS: list[Region] = [((3, 4), (0, 6)), ((0, 1), (0, 6)), ((1, 3), (0, 6))]
COLUMNS: list[Region] = [((0, 4), (0, 2)), ((0, 4), (2, 6))]


def test_slices_by_rows_have_the_checksum_of_the_whole() -> None:
    assert content_key(variable(WHOLE, ROWS)) == content_key(variable(WHOLE))
    assert same(variable(WHOLE, ROWS), variable(WHOLE)) is True
    assert same(variable(WHOLE, ROWS), variable(WHOLE + 1)) is False


def test_a_leading_axis_of_one_does_not_matter() -> None:
    regions: list[Region] = [((0, 1), (0, 2), (0, 6)), ((0, 1), (2, 4), (0, 6))]
    sliced = variable(WHOLE.reshape(1, 4, 6), regions)
    assert content_key(sliced) == content_key(variable(WHOLE))


@pytest.mark.parametrize(
    "regions",
    [COLUMNS, ROWS[:2], [((0, 2), (0, 6)), ((1, 4), (0, 6))], [((0, 4), (0, 3))]],
)
def test_other_slices_are_not_joined(regions: list[Region]) -> None:
    assert content_key(variable(WHOLE, regions)) is None
    assert same(variable(WHOLE, regions), variable(WHOLE)) is None


def test_equal_slices_are_compared_one_by_one() -> None:
    assert same(variable(WHOLE, COLUMNS), variable(WHOLE, COLUMNS)) is True
    assert same(variable(WHOLE, COLUMNS), variable(WHOLE + 1, COLUMNS)) is False


def test_scalars() -> None:
    one = np.array(1, np.float32)
    assert same(variable(one), variable(one)) is True


def test_types_and_sizes_that_differ_need_no_checksum() -> None:
    assert same(variable(WHOLE), variable(WHOLE.astype(np.float64))) is False
    assert same(variable(WHOLE), variable(WHOLE[:2])) is False


def test_byte_orders_are_not_compared_by_checksum() -> None:
    little, big = variable(WHOLE), variable(WHOLE, big_endian=True)
    assert is_big_endian([big])
    assert not is_big_endian([little])
    assert same(little, big) is None
    assert same(big, big) is True
    bytes_only = variable(WHOLE.astype(np.uint8)), variable(WHOLE.astype(np.uint8))
    assert content_comparison([little], [big])([bytes_only]) == [True]


def test_no_checksum_no_answer() -> None:
    reader = ArrayReader({"w": WHOLE}, path="x", has_checksums=False)
    silent = Variable(reader.tensors["w"], Identity("w", Role.WEIGHT), reader)
    assert content_key(silent) is None
    assert same(silent, variable(WHOLE)) is None
    assert not has_checksum(silent)
    assert has_checksum(variable(WHOLE))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "bool", "uint8"])
@pytest.mark.parametrize("n", [2, 7, 1000])
def test_constants_are_told_by_their_checksum(dtype: str, n: int) -> None:
    for fill in (0, 1):
        assert is_constant(key_of(np.full(n, fill, dtype)))
    assert not is_constant(key_of((np.arange(n) % 2).astype(dtype)))


def key_of(array: NDArray[Any]) -> ContentKey:
    key = content_key(variable(array))
    assert key is not None
    return key


def test_a_content_key_is_plain_data() -> None:
    key = content_key(variable(WHOLE))
    assert key == ContentKey(variable(WHOLE).dtype, 24, crc32c(WHOLE.tobytes()))
