"""The sums of drift, one by one, beside plain numpy over whole numbers, whose sums are exact."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest

from ckread.analysis.drift.kernel import ByteSums, ChunkSums, Measured, Rows, grid_of, measure
from ckread.analysis.norms import are_alike, cosine_from_distance, inner_from_distance
from ckread.analysis.scan import Grid
from ckread.readers.contract import DataType, Extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def plain(values: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Give the sums of arrays through the checkpoints by numpy."""
    wide = [x.view(x.real.dtype).astype(np.float64) for x in values]
    rows = []
    for i, x in enumerate(wide):
        with np.errstate(all="ignore"):
            far = [float(((x - y) ** 2).sum()) for y in (wide[0], wide[max(0, i - 1)])]
            inner = float((x * wide[0]).sum())
            if not i and math.isinf(inner):
                far[0] = math.nan
            rows.append(
                [(x * x).sum(), far[0], far[1] if i else math.nan, inner,
                 np.isnan(x).sum(), np.isinf(x).sum()]
            )  # fmt: skip
    return np.array(rows, np.float64)


def states(name: str, n: int, seed: int = 0) -> list[NDArray[Any]]:
    """Make whole numbers through six checkpoints: near, far, the same, and of other norms."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    first = random.integers(1, 4, n)
    steps = [first, first + random.integers(0, 2, n), random.integers(-3, 4, n), first * 0]
    steps = [*steps, first * 4, first * 4, random.integers(-3, 4, n), first]
    if dtype.kind == "c":
        return [(x + 2j * x[::-1]).astype(dtype) for x in steps]
    return [x.astype(dtype) for x in steps]


TYPES = ["float32", "float64", "float16", "bfloat16", "int8", "int64", "complex64", "complex128",
         "float8_e5m2"]  # fmt: skip


def extents_of(values: Sequence[NDArray[Any]], checksums: Sequence[int | None]) -> list[Extent]:
    dtype = DataType[values[0].dtype.name.upper()]
    return [
        Extent("a", 0, x.nbytes, dtype, False, crc, ((0, x.size),))
        for x, crc in zip(values, checksums, strict=True)
    ]


def measured(values: Sequence[NDArray[Any]], exponent: int = 0, step: int = 2000) -> Measured:
    """Measure arrays in chunks; those that repeat have the same checksum."""
    known: list[bytes] = []
    for x in values:
        if x.tobytes() not in known:
            known.append(x.tobytes())
    extents = extents_of(values, [known.index(x.tobytes()) for x in values])
    chunks = [[x[at : at + step] for x in values] for at in range(0, values[0].size, step)]
    return measure(extents, exponent, iter(chunks))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("n", [5, 2500])
def test_sums_are_those_of_numpy(name: str, n: int) -> None:
    values = states(name, n)
    found = measured(values)
    np.testing.assert_array_equal(found.sums, plain(values))
    assert found.extreme == 0
    sums = ChunkSums(0)
    with np.errstate(all="ignore"):
        for i, x in enumerate(values):
            if i == 5:
                sums.repeat()
            else:
                sums.add(x, is_wide=True)
    np.testing.assert_array_equal(sums.rows(), plain(values))


def test_bytes_are_counted_to_the_same_sums() -> None:
    values = states("float8_e5m2", 20_000)
    np.testing.assert_array_equal(measured(values, step=20_000).sums, plain(values))
    sums = ByteSums(DataType.FLOAT8_E5M2)
    for i, x in enumerate([values[0], *values]):
        if i in (1, 6):
            sums.repeat()
        else:
            sums.add(x[:300], is_wide=False)
    np.testing.assert_array_equal(sums.rows(), plain([x[:300] for x in [values[0], *values]]))
    alone = ByteSums(DataType.FLOAT8_E5M2)
    alone.add(values[1], is_wide=False)
    np.testing.assert_array_equal(alone.rows(), plain(values[1:2]))


@pytest.mark.parametrize("name", ["float32", "float64", "float8_e5m2", "complex64"])
@pytest.mark.parametrize("counted", [False, True])
def test_what_is_not_finite_is_counted(name: str, counted: bool) -> None:
    values = states(name, 20_000 if counted else 50)
    for at in (3, 4, 5):
        values[at] = values[4].copy()
        values[at][1] = np.nan
        values[at][2] = np.inf
        values[at][[7, 9]] = -np.inf
    expected = plain(values)
    np.testing.assert_array_equal(measured(values).sums, expected)
    assert expected[3:6, 4:].tolist()[0] == [1, 3]
    rows = Rows([DataType[values[0].dtype.name.upper()]] * len(values))
    rows.add([x[None, :1000] for x in values])
    np.testing.assert_array_equal(
        rows.results()[0].sums[0], measured([x[:1000] for x in values])[0]
    )


def test_a_repeat_of_what_is_not_finite_has_no_distance() -> None:
    for odd in (np.nan, np.inf):
        x = np.array([1.0, odd])
        found = measured([x, x]).sums
        assert math.isnan(found[1, 2])
        assert measured([np.ones(2), np.ones(2)]).sums[1, 2] == 0


def test_values_of_one_checksum_are_taken_over_and_those_of_none_are_not() -> None:
    a, b = np.ones(3), np.full(3, 2.0)

    def distances(*checksums: int | None) -> list[float]:
        chunks = iter([[a, b, b * 3]])
        found = measure(extents_of([a, b, b], checksums), 0, chunks)  # type: ignore[arg-type]
        told: list[float] = found.sums[1:, 2].tolist()
        return told

    assert distances(1, 2, 3) == distances(None, None, None) == distances(1, None, 1) == [3, 48]
    assert distances(1, 2, 2) == [3, 0]
    assert distances(1, 1, 2) == [0, 75]


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("cuts", [(8,), (1, 7), (3, 1, 4)])
def test_rows_have_the_bits_of_variables_alone(name: str, cuts: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    stacks = [np.stack(some) for some in zip(*(states(name, 9, i) for i in range(4)), strict=True)]
    if name.startswith("float") and "8" not in name:
        noise = [random.normal(1, 1e-3, x.shape).astype(x.dtype) for x in stacks]
        stacks = [x * y for x, y in zip(stacks, noise, strict=True)]
        stacks[5] = stacks[4]
        stacks[6][0, 3], stacks[6][1, 0], stacks[1][2] = np.nan, -np.inf, 1e-3
    rows = Rows([DataType[name.upper()]] * 8)
    at = 0
    for cut in cuts:
        rows.add(stacks[at : at + cut])
        at += cut
    found, is_right = rows.results()
    assert is_right.tolist() == [True] * 4
    for i in range(4):
        alone = measured([x[i] for x in stacks])
        np.testing.assert_array_equal(found.sums[i], alone.sums)
        assert found.extreme[i] == alone.extreme == 0


def test_the_extremes_of_wide_values() -> None:
    tiny = np.array([[1e-145, -2e-145], [1.0, 1.0], [3e-160, 0.0]])
    huge = np.array([[1e160, -3e160], [1.0, 2.0], [np.nan, 1e-170]])
    plain_one = np.ones((3, 2))
    for stacks in ([plain_one, tiny, huge], [tiny, plain_one, huge], [huge, tiny, plain_one]):
        for cuts in ((3,), (1, 2), (2, 1)):
            rows = Rows([DataType.FLOAT64] * 3)
            parts = np.split(np.stack(stacks), np.cumsum(cuts)[:-1])
            for part in parts:
                rows.add(list(part))
            assert rows.results()[0].extreme.tolist() == [3e160, 0, 3e-160]
        alone = [measured([x[i] for x in stacks], step=1).extreme for i in range(3)]
        assert alone == [3e160, 0, 3e-160]
    narrow = Rows([DataType.FLOAT32] * 2)
    narrow.add([np.zeros((2, 3), np.float32), np.full((2, 3), 1e-30, np.float32)])
    assert narrow.results()[0].extreme.tolist() == [0, 0]
    mixed = Rows([DataType.FLOAT32, DataType.FLOAT64, DataType.FLOAT32])
    mixed.add([np.ones((1, 2), np.float32)])
    mixed.add([np.full((1, 2), 1e170), np.ones((1, 2), np.float32)])
    assert mixed.results()[0].extreme.tolist() == [1e170]
    edges = np.array([1e-140, 1e150])
    for edge in edges:
        rows = Rows([DataType.FLOAT64])
        rows.add([np.array([[edge]])])
        assert rows.results()[0].extreme.tolist() == [measured([np.array([edge])]).extreme]


def test_an_exponent_scales_all() -> None:
    x, y = np.array([2.0**600, 2.0**599]), np.array([2.0**600, -(2.0**598)])
    found = measured([x, y], 600)
    assert found.sums.tolist()[1] == [1.0625, 0.5625, 0.5625, 0.875, 0, 0]
    assert found.extreme == 0
    assert measured([x, y]).extreme == 2.0**600


def test_how_variables_are_cut() -> None:
    def grid(*dtypes: DataType, nbytes: int = 1 << 14) -> Grid:
        return grid_of([Extent("", 0, nbytes, one, False, None, ()) for one in dtypes])

    eight, four = DataType.FLOAT8_E5M2, DataType.FLOAT8_E4M3FN
    assert grid(DataType.FLOAT32) == grid(eight, DataType.FLOAT32) == Grid(1 << 20, 1 << 16)
    assert grid(DataType.INT8) == grid(eight, four) == Grid(1 << 21, 1 << 17)
    assert grid(eight, eight, nbytes=(1 << 14) - 1) == Grid(1 << 21, 1 << 17)
    assert grid(eight, eight) == Grid(1 << 24, 1 << 20)


def test_norms_tell_angles() -> None:
    assert [bool(are_alike(x, y)) for x, y in ((4, 9), (9, 4), (4, 9.1), (9.1, 4))] == [
        True, True, False, False,
    ]  # fmt: skip
    assert are_alike(np.array([1, 1, 0]), np.array([2, 3, 1])).tolist() == [True, False, False]
    assert inner_from_distance(9.0, 16.0, 25.0) == 0
    assert inner_from_distance(9.0, 16.0, 1.0) == 12
    assert cosine_from_distance(3.0, 4.0, 25.0) == 0
    assert cosine_from_distance(3.0, 4.0, 1.0) == 1
    assert cosine_from_distance(3.0, 4.0, 49.0) == -1
