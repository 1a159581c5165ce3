"""Looks at parts of a tensor join to the look at all of it."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.check.finite import Look, joined, look_at, look_at_all, look_many
from ckread.readers.contract import DataType, numpy_dtype

_VALUES = st.lists(
    st.one_of(st.floats(-5, 5, width=32), st.sampled_from([0.0, float("nan"), float("inf")])),
    min_size=1, max_size=30,
)  # fmt: skip


def _look(values: list[float]) -> Look:
    return look_at(np.array(values, np.float32), DataType.FLOAT32)


@given(values=_VALUES, cuts=st.lists(st.integers(0, 30), max_size=3))
def test_joined_looks_are_the_look_at_all(values: list[float], cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    parts = [values[a:b] for a, b in pairwise(edges) if a < b]
    joined, whole = reduce(Look.joined, map(_look, parts), Look()), _look(values)
    if whole.not_finite:  # no bounds are needed then
        assert not joined.is_constant
        joined = joined._replace(low=None, high=None)
        whole = whole._replace(low=None, high=None)
    assert joined == whole


@pytest.mark.parametrize(
    ("values", "constant", "zero", "not_finite", "first"),
    [
        ([2.0, 2.0], True, False, 0, None),
        ([0.0, -0.0], True, True, 0, None),
        ([2.0, 3.0], False, False, 0, None),
        ([2.0, float("nan"), float("-inf")], False, False, 2, 1),
        ([float("nan")], False, False, 1, 0),
    ],
)
def test_what_a_look_tells(
    values: list[float], constant: bool, zero: bool, not_finite: int, first: int | None
) -> None:
    whole = _look(values)
    joined = reduce(Look.joined, (_look([value]) for value in values))
    for look in (whole, joined):
        assert (look.is_constant, look.is_zero) == (constant, zero)
        assert (look.not_finite, look.first) == (not_finite, first)


@pytest.mark.parametrize(
    "dtype", [dtype for dtype in DataType if dtype.startswith("float8")], ids=str
)
@given(
    octets=st.lists(st.integers(0, 255), min_size=1, max_size=8),
    mask=st.sampled_from([0xFF, 0x7F, 0x3F]),
)
def test_floats_of_one_byte(dtype: DataType, octets: list[int], mask: int) -> None:
    values = (np.array(octets, np.uint8) & np.uint8(mask)).view(numpy_dtype(dtype))
    assert look_at(values, dtype) == look_at(values.astype(np.float32), DataType.FLOAT32)


def numbers(dtype: str, *values: float) -> np.ndarray:
    return np.array(values).astype(numpy_dtype(DataType(dtype)))


def bits(dtype: str, value: float) -> float:
    """Give what a look tells of an extreme: the pattern of types of 16 bits, else the value."""
    one = numbers(dtype, value)
    return int(one.view(np.uint16)[0]) if one.itemsize == 2 else value


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "float8_e5m2"])
def test_what_a_look_tells_whole(dtype: str) -> None:
    def seen(*values: float) -> Look:
        return look_at(numbers(dtype, *values), DataType(dtype))

    def found(n: int, low: float, high: float, *, zero: bool = False) -> Look:
        return Look(n, low=bits(dtype, low), high=bits(dtype, high), is_zero=zero)

    assert seen(1, 3, 2) == found(3, 1, 3)
    assert seen(0, 0) == found(2, 0, 0, zero=True)
    assert seen(0, 2) == found(2, 0, 2)
    assert seen(-2, -2) == found(2, -2, -2)
    assert seen(0, -1).is_zero is seen(-1, 1).is_zero is False
    assert seen(0, -0.0).is_zero is seen(-0.0, -0.0).is_zero is True
    assert seen(1, np.nan, np.inf, -np.inf, np.nan, 0) == Look(6, 2, 2, 1, is_zero=False)
    assert seen(0, 0, -np.inf) == Look(3, 0, 1, 2, is_zero=False)
    assert seen(np.nan, 0) == Look(2, 1, 0, 0, is_zero=False)
    assert seen(-1, -2, np.inf) == Look(3, 0, 1, 2, is_zero=False)
    assert seen(-1, -2, -np.inf, -np.nan) == Look(4, 1, 1, 2, is_zero=False)
    assert seen() == Look()
    assert seen(57344 if dtype == "float8_e5m2" else 3e4).not_finite == 0


def test_complex_numbers_are_looked_at_in_parts() -> None:
    for name in ("complex64", "complex128"):

        def seen(*values: complex, name: str = name) -> Look:
            return look_at(np.array(values, name), DataType(name))

        assert seen(1 - 4j, 2 + 3j) == Look(2, low=-4, high=3, is_zero=False)
        assert seen(0j, 0j) == Look(2, low=0, high=0, is_zero=True)
        assert seen(0j, 1j) == Look(2, low=0, high=1, is_zero=False)
        assert seen(1, complex(0, np.nan), complex(np.inf, 0)) == Look(3, 1, 1, 1, is_zero=False)


def test_whole_numbers_are_zero_or_not() -> None:
    for name in ("int8", "uint64", "bool", "int4"):
        zero, one = numbers(name, 0, 0), numbers(name, 0, 1)
        assert look_at(zero, DataType(name)) == Look(2, is_zero=True)
        assert look_at(one, DataType(name)) == Look(2, is_zero=False)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "bfloat16", "complex64", "int32", "float8_e4m3fn"]
)
def test_rows_are_looked_at_as_each_alone(dtype: str) -> None:
    rows = np.stack([
        numbers(dtype, *row) for row in (
            (1, 3, 2), (0, 0, 0), (-2, -2, -2), (0, -0.0, 0), (-1, 0, 1), (0, 2, 0), (0, 0, -3),
        )
    ])  # fmt: skip
    found, are_finite = look_many([DataType(dtype)], [rows])
    assert are_finite.all()
    alone = [look_at(row, DataType(dtype)) for row in rows]
    assert [look._replace(may_have_zero=True) for look in found] == alone
    if dtype.startswith(("float32", "float64")):
        assert [look.may_have_zero for look in found] == (rows == 0).any(axis=1).tolist()
    if dtype != "int32":
        odd = rows[:4].copy()
        odd[0, 1], odd[2, 0] = np.nan, np.nan
        if dtype != "float8_e4m3fn":
            odd[1, 2], odd[3, 2] = np.inf, -np.inf
            assert not look_many([DataType(dtype)], [odd])[1].any() or "8" in dtype


def test_looks_join_in_their_order() -> None:
    one = Look(3, 1, 2, 1, -1.0, 2.0, is_zero=False)
    two = Look(4, 5, 0, 2, -3.0, 1.0)
    assert one.joined(two) == Look(7, 6, 2, 1, -3.0, 2.0, is_zero=False)
    assert two.joined(one) == Look(7, 6, 2, 2, -3.0, 2.0, is_zero=False)
    assert Look(3, low=1.0, high=1.0).joined(one).first == 4
    clean = Look(4, low=5.0, high=6.0)
    assert clean.joined(one) == Look(7, 1, 2, 5, -1.0, 6.0, is_zero=False)
    assert clean.joined(clean) == Look(8, low=5.0, high=6.0)
    assert joined([]) == Look()
    assert joined([clean, one, two]) == clean.joined(one).joined(two)
    parts = [numbers("float32", 1, 2), numbers("float32", np.nan)]
    assert look_at_all(parts, DataType.FLOAT32).first == 2
    assert (Look(low=1.0, high=1.0).is_constant, Look(nan=1, low=1, high=1).is_constant) == (
        True, False,
    )  # fmt: skip
    assert not Look().is_constant
