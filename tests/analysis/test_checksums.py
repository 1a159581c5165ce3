"""Equal contents told from checksums alone, whole or in slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.checksums import (
    ContentKey,
    Shared,
    content_comparison,
    content_key,
    find_shared,
    find_shared_in,
    has_checksum,
    is_big_endian,
    is_constant,
    is_zero,
)
from ckread.model.evidence import Identity
from ckread.model.role import Role
from ckread.model.variable import Variable
from ckread.readers.contract import Extent
from ckread.readers.crc32c import crc32c
from tests.analysis.array_checkpoint import ArrayReader, checkpoint

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


def test_what_is_known_of_one_side_alone_is_no_answer() -> None:
    reader = SlicedReader(WHOLE, COLUMNS)
    silent = Variable(reader.tensors["w"], Identity("w", Role.WEIGHT), reader)
    known = reader.extents("w") or ()
    reader.extents = lambda _: tuple(e._replace(crc32c=None) for e in known)  # type: ignore[assignment, method-assign]
    assert same(silent, variable(WHOLE, COLUMNS)) is None
    assert same(variable(WHOLE, COLUMNS), silent) is None
    assert same(variable(WHOLE, COLUMNS), variable(WHOLE, COLUMNS[::-1])) is True
    assert not has_checksum(silent)
    assert has_checksum(variable(WHOLE, COLUMNS))
    reader.extents = lambda _: ()  # type: ignore[assignment, method-assign]
    assert not has_checksum(silent)
    assert not is_big_endian([silent])
    assert not is_big_endian([])
    octets = variable(WHOLE.astype(np.uint8), big_endian=True)
    assert not is_big_endian([octets])
    assert is_big_endian([octets, variable(WHOLE, big_endian=True)])


def test_equal_contents_of_another_shape() -> None:
    assert same(variable(WHOLE), variable(WHOLE.reshape(6, 4))) is True
    assert same(variable(WHOLE), variable(WHOLE.reshape(6, 4) + 1)) is False


@pytest.mark.parametrize(
    ("array", "is_one", "is_blank"),
    [
        (np.zeros(5, np.float32), True, True), (np.ones(5, np.float32), True, False),
        (np.full(5, 2, np.float32), False, False), (np.zeros(3, np.int64), True, True),
        (np.ones(3, np.int64), True, False), (-np.zeros(3, np.float32), False, False),
        (np.ones(6, np.float16), True, False), (np.ones(6, np.float64), True, False),
        (np.ones(1, np.uint8), True, False), (np.full(2, 257, np.int16), False, False),
    ],
)  # fmt: skip
def test_zeros_and_ones(array: NDArray[Any], is_one: bool, is_blank: bool) -> None:
    key = key_of(array)
    assert (is_constant(key), is_zero(key)) == (is_one, is_blank)


def test_what_is_stored_twice() -> None:
    x, zero = np.arange(5.0), np.zeros(5)
    arrays = {
        "a": x, "b": x, "c": x.astype(np.float32), "d": x + 1, "e": x + 1, "z0": zero, "z1": zero,
        "s0": np.array(7.0), "s1": np.array(7.0), "step": x, "ema": x + 1, "lone": x * 9,
    }  # fmt: skip
    made = checkpoint(arrays, roles={"step": Role.COUNTER, "ema": Role.AVERAGE})
    found = find_shared(list(made.values()))
    assert found == Shared({}, (("a", "b"), ("d", "e", "ema")))
    assert find_shared_in(made) == found
    silent = checkpoint(arrays, has_checksums=False)
    assert find_shared(list(silent.values())) == Shared({}, ())
