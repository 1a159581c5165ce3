"""Looks at parts of a tensor join to the look at all of it."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.check.finite import Look, look_at
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
