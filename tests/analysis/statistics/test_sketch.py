"""The one-pass sketch: equal to numpy for every type, and the same however it is cut."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.analysis.statistics.distribution import sketch_bins, sketch_distribution
from ckread.analysis.statistics.moments import moments
from ckread.analysis.statistics.sketch import (
    N_BINS,
    Pattern,
    Sketch,
    bin_bounds,
    is_integral,
    pattern_of,
    pattern_values,
    tally_of_sorted,
)
from ckread.readers.contract import DataType, numpy_dtype
from tests.analysis.numpy_figures import assert_equals_numpy
from tests.strategies import PLAIN_DTYPES

if TYPE_CHECKING:
    from numpy.typing import NDArray

N = 300_001
"""More than two pieces, and an odd number: single bytes are counted in pairs."""


def _sketch(array: NDArray[Any], dtype: DataType) -> Sketch:
    sketch = Sketch(dtype)
    sketch.add(array)
    return sketch


def _normal(seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(N)


CRAFTED = {
    "kernel": 0.02 * _normal(),
    "gain near 1": 1 + 1e-4 * _normal(),
    "gain near -1": -1 + 1e-4 * _normal(),
    "two clusters": np.sign(_normal(1)) + 1e-4 * _normal(),
    "near the float32 limit": np.clip(1e38 * _normal(), -3.4e38, 3.4e38),
    "denormal": 1e-42 * _normal(),
    "log-normal": np.exp(8 * _normal()),
    "pruned": np.where(_normal(1) < 1.3, 0.0, _normal()),
    "constant": np.full(N, 0.999),
    "zeros of both signs": np.copysign(0.0, _normal()),
    "some NaN": np.where(_normal(1) > 2, np.nan, _normal()),
    "infinities": np.where(_normal(1) > 2, np.inf, np.where(_normal(1) < -2, -np.inf, _normal())),
    "all NaN": np.full(N, np.nan),
    "all infinite": np.full(N, -np.inf),
    "one of each": np.concatenate([[np.nan, np.inf, -np.inf, 0.0, -0.0], _normal()]),
}


@pytest.mark.parametrize("dtype", [DataType.FLOAT32, DataType.FLOAT64])
@pytest.mark.parametrize("name", CRAFTED)
def test_floats_equal_numpy(name: str, dtype: DataType) -> None:
    array = CRAFTED[name].astype(numpy_dtype(dtype))
    assert_equals_numpy(sketch_distribution(_sketch(array, dtype), 50), array)


@pytest.mark.parametrize("factor", [1e200, 1e-200, 1e304, 5e-324])
def test_float64_beyond_the_range_of_squares(factor: float) -> None:
    array = np.clip(_normal() * factor, -1.7e308, 1.7e308)
    assert_equals_numpy(sketch_distribution(_sketch(array, DataType.FLOAT64), 50), array)


def test_a_norm_beyond_float64_is_infinite() -> None:
    found = sketch_distribution(_sketch(np.full(100, 1.7e308), DataType.FLOAT64), 50)
    assert (found.l2, found.mean, found.std) == (float("inf"), 1.7e308, 0.0)


def test_float64_that_differs_in_its_last_digits_only() -> None:
    array = 1 + 1e-12 * _normal()
    found = sketch_distribution(_sketch(array, DataType.FLOAT64), 50)
    exact = (array - 1).astype(np.longdouble)
    assert found.std == pytest.approx(float(exact.std()), rel=1e-9)


@pytest.mark.parametrize("dtype", PLAIN_DTYPES)
def test_every_type_equals_numpy(dtype: DataType) -> None:
    """Any bits: NaN payloads, infinities, truth values that are neither 0 nor 1."""
    nbytes = 40_001 * dtype.itemsize
    raw = np.random.default_rng(dtype.number).integers(0, 256, nbytes, np.uint8)
    array = raw.view(numpy_dtype(dtype))
    if dtype is DataType.BOOL:
        array = raw.astype(bool)
        found = sketch_distribution(_sketch(raw.view(bool), dtype), 50)
    else:
        found = sketch_distribution(_sketch(array, dtype), 50)
    with np.errstate(all="ignore"):
        assert_equals_numpy(found, array)


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (2**62, 2**62 + 3, DataType.INT64),
        (-(2**63), -(2**63) + 9, DataType.INT64),
        (-(2**63), 2**63 - 1, DataType.INT64),
        (0, 2**64 - 1, DataType.UINT64),
        (0, 300, DataType.INT32),
        (7, 7, DataType.UINT32),
    ],
)
def test_integers_are_summed_exactly(low: int, high: int, dtype: DataType) -> None:
    generator = np.random.default_rng(0)
    array = generator.integers(low, high, N, dtype=dtype.value, endpoint=True)
    sketch = _sketch(array, dtype)
    found = sketch_distribution(sketch, 50)
    numbers = array.tolist()
    assert (found.min, found.max) == (min(numbers), max(numbers))
    assert repr(found.min) == str(min(numbers)), "an int, all its digits"
    assert found.mean == sum(numbers) / N
    total = sum(numbers)
    m2 = sum((N * x - total) ** 2 for x in numbers)
    assert found.std == pytest.approx((m2 / N**3) ** 0.5 if m2 else 0.0, rel=1e-12)


def test_small_integers_have_exact_quantiles() -> None:
    array = np.random.default_rng(0).integers(-200, 200, N, np.int32)
    found = sketch_distribution(_sketch(array, DataType.INT32), 50)
    expected = np.quantile(array, [q.probability for q in found.quantiles])
    assert [q.low for q in found.quantiles] == [q.high for q in found.quantiles]
    assert [q.value for q in found.quantiles] == expected.tolist()


def test_complex_elements_are_measured_by_their_modulus() -> None:
    array = (_normal() + 1j * _normal(1)).astype(np.complex64)
    found = sketch_distribution(_sketch(array, DataType.COMPLEX64), 50)
    assert found.measure == "modulus"
    assert found.max == float(np.abs(array).max())


_MIXED = st.lists(
    st.one_of(
        st.floats(width=32),
        st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), -float("inf"), 1e-45, 3e38]),
    ),
    max_size=200,
)


@given(values=_MIXED, cuts=st.lists(st.integers(0, 200), max_size=5), seed=st.integers(0, 99))
def test_sketches_of_any_chunks_merge_into_that_of_the_whole(
    values: list[float], cuts: list[int], seed: int
) -> None:
    array = np.array(values, np.float32)
    parts = np.split(array, sorted(min(cut, array.size) for cut in cuts))
    order = np.random.default_rng(seed).permutation(len(parts))
    merged = Sketch(DataType.FLOAT32)
    for i in order:
        merged.merge(pickle.loads(pickle.dumps(_sketch(parts[i], DataType.FLOAT32))))
    whole = _sketch(array, DataType.FLOAT32)
    np.testing.assert_array_equal(merged.counts(), whole.counts())
    a, b = sketch_distribution(merged, 10), sketch_distribution(whole, 10)
    exact = ("elements", "zeros", "nan", "positive_infinite", "negative_infinite", "min", "max")
    assert [getattr(a, name) for name in exact] == [getattr(b, name) for name in exact]
    assert a.quantiles == b.quantiles
    assert a.histogram(10) == b.histogram(10)
    with np.errstate(all="ignore"):
        assert_equals_numpy(a, array)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_merging_does_not_change_a_bit(seed: int) -> None:
    generator = np.random.default_rng(seed)
    parts = [
        _sketch((generator.standard_normal(50) * scale).astype(np.float32), DataType.FLOAT32)
        for scale in generator.lognormal(0, 5, 6)
    ]
    figures = []
    for order in (range(6), generator.permutation(6)):
        merged = Sketch(DataType.FLOAT32)
        for i in order:
            merged.merge(parts[i])
        found = sketch_distribution(merged, 10)
        figures.append((found.mean, found.std, found.l2))
    assert figures[0] == figures[1]


def test_a_pickled_sketch_holds_the_bins_in_use_only() -> None:
    sketch = _sketch(np.full(N, 0.5, np.float32), DataType.FLOAT32)
    assert len(pickle.dumps(sketch)) < 5000


def test_sketches_of_different_types_do_not_merge() -> None:
    with pytest.raises(ValueError, match="a sketch of int32 does not merge into one of float32"):
        Sketch(DataType.FLOAT32).merge(Sketch(DataType.INT32))


def test_an_empty_sketch_has_counts_and_no_figures() -> None:
    found = sketch_distribution(Sketch(DataType.FLOAT32), 10)
    assert (found.elements, found.min, found.mean, found.quantiles) == (0, None, None, ())
    assert found.histogram(10).counts == ()


def test_counts_of_more_than_32_bits() -> None:
    """A thousand million elements, by merging a sketch with itself."""
    sketch = _sketch(np.array([1, 2, 3, 0], np.float32), DataType.FLOAT32)
    for _ in range(32):
        sketch.merge(pickle.loads(pickle.dumps(sketch)))
        sketch.settle()
    found = sketch_distribution(sketch, 4)
    assert found.elements == 2**34
    assert found.zeros == 2**32
    assert found.mean == 1.5
    assert found.std == pytest.approx(1.25**0.5, rel=1e-15)


@pytest.mark.parametrize("pattern", [Pattern.FLOAT32, Pattern.ROUNDED])
def test_bins_end_where_the_next_begin(pattern: Pattern) -> None:
    """A value at the bound of a bin is in it, and just beyond the bound in the next."""
    low, high = bin_bounds(pattern)

    def bin_of(x: NDArray[np.float64]) -> NDArray[np.intp]:
        with np.errstate(over="ignore"):
            return (x.astype(np.float32).view(np.uint32) >> 16).astype(np.intp)

    bins = np.arange(1, 0x7F80)
    sign = np.where(np.arange(N_BINS) < 0x8000, 1, -1)
    for offset in (0, 0x8000):
        at = bins + offset
        inner, outer = (low, high) if not offset else (-high, -low)
        assert (sign[at] == (1 if not offset else -1)).all()
        s = sign[at[0]]
        if pattern is Pattern.FLOAT32:  # the bounds are float32, and the outer one is the next's
            np.testing.assert_array_equal(bin_of(s * inner[at]), at)
            np.testing.assert_array_equal(bin_of(s * outer[at]), at + 1)
            below = np.nextafter(inner[at].astype(np.float32), np.float32(0)).astype(float)
            np.testing.assert_array_equal(bin_of(s * below), at - 1)
        else:
            np.testing.assert_array_equal(bin_of(s * np.nextafter(inner[at], np.inf)), at)
            np.testing.assert_array_equal(bin_of(s * np.nextafter(inner[at], 0)), at - 1)
            np.testing.assert_array_equal(bin_of(s * np.nextafter(outer[at], 0)), at)
            np.testing.assert_array_equal(bin_of(s * np.nextafter(outer[at], np.inf)), at + 1)
    assert (low[0], high[0x8000], low[0x8000]) == (0, 0, -high[0])
    assert (high[0x7F80], low[0xFF80]) == (np.inf, -np.inf)
    assert np.isnan(low[0x7F81:0x8000]).all()
    assert np.isnan(high[0xFF81:]).all()


def test_the_pattern_of_a_type() -> None:
    assert {
        str(t): str(pattern_of(t))
        for t in (DataType.BOOL, DataType.FLOAT32, DataType.COMPLEX64, DataType.COMPLEX128,
                  DataType.FLOAT64, DataType.INT32, DataType.INT64, DataType.BFLOAT16,
                  DataType.UINT16, DataType.INT8, DataType.FLOAT8_E5M2)
    } == {
        "bool": "truth", "float32": "float32", "complex64": "float32", "complex128": "rounded",
        "float64": "rounded", "int32": "rounded", "int64": "rounded", "bfloat16": "word",
        "uint16": "word", "int8": "byte", "float8_e5m2": "byte",
    }  # fmt: skip
    for word in ("int8", "uint64", "qint32", "quint8", "bool"):
        assert is_integral(DataType(word))
    for word in ("float32", "bfloat16", "complex64"):
        assert not is_integral(DataType(word))


SOME = [-3.0, 0.0, 2.0, 2.0, -0.0, 7.0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float8_e5m2", "int8",
                                   "int16", "int32", "uint64"])  # fmt: skip
def test_what_is_known_exactly(dtype: str) -> None:
    numbers = [abs(x) for x in SOME] if dtype == "uint64" else SOME
    is_float = "float" in dtype
    odd = [np.nan, np.inf, -np.inf, np.inf] if is_float else []
    array = np.array([*numbers, *odd]).astype(numpy_dtype(DataType(dtype)))
    sketch = _sketch(array, DataType(dtype))
    tally = sketch.tally()
    counts = (10, 2, 1, 2, 1) if is_float else (6, 2, 0, 0, 0)
    assert (tally.elements, tally.zeros, tally.nan, tally.positive_infinite,
            tally.negative_infinite, tally.finite) == (*counts, 6)  # fmt: skip
    assert (tally.low, tally.high) == (min(numbers), 7)
    assert {type(tally.low), type(tally.high)} == {float if is_float else int}
    assert tally.part is not None
    assert moments(tally.part).mean == pytest.approx(sum(numbers) / 6)
    assert moments(tally.part).l1 == 14
    assert sketch.counts().sum() == (6 if dtype in ("float32", "float64") else array.size)
    bins = sketch_bins(sketch)
    assert (bins.n, bool((bins.counts > 0).all())) == (6, True)
    ordered = np.sort(array.astype(np.float64))
    sorted_tally = tally_of_sorted(ordered, ordered[np.isfinite(ordered)])
    assert (sorted_tally.elements, sorted_tally.zeros, sorted_tally.nan,
            sorted_tally.positive_infinite, sorted_tally.negative_infinite) == counts  # fmt: skip
    assert (sorted_tally.low, sorted_tally.high) == (min(numbers), 7)
    none = _sketch(array[6:], DataType(dtype)).tally()
    assert (none.low, none.high, none.part, none.elements) == (None, None, None, len(odd))
    nothing = tally_of_sorted(np.sort(np.array(odd)), np.empty(0))
    assert (nothing.low, nothing.high, nothing.part, nothing.elements) == (
        None, None, None, len(odd),
    )  # fmt: skip
    if is_float:
        assert (nothing.nan, nothing.positive_infinite, nothing.negative_infinite) == (1, 2, 1)


def test_zeros_are_counted_piece_by_piece() -> None:
    """Also where a piece is constant, and where a tiny number shares the bin of zero."""
    for piece, zeros in (
        ([0.0, 0.0], 2), ([-0.0, -0.0], 2), ([0.0, -0.0], 2), ([1e-42, 0.0, 1.0], 1),
        ([1e-42, 2e-42], 0), ([3.0, 3.0], 0), ([-1e-42, -0.0], 1), ([5.0, 0.0], 1),
    ):  # fmt: skip
        sketch = _sketch(np.array(piece, np.float32), DataType.FLOAT32)
        assert sketch.tally().zeros == zeros
        assert sketch.counts().sum() == len(piece)
        bits = np.array(piece, np.float32).view(np.uint32) >> 16
        assert np.flatnonzero(sketch.counts()).tolist() == sorted({*bits.tolist()})


def test_pairs_of_bytes_are_folded() -> None:
    octets = np.random.default_rng(0).integers(0, 5, 1001, np.uint8)
    for n in (0, 1, 2, 1000, 1001):
        sketch = _sketch(octets[:n].view(np.int8), DataType.INT8)
        np.testing.assert_array_equal(sketch.counts(), np.bincount(octets[:n], minlength=256))
    truth = _sketch(np.array([True, False, True]), DataType.BOOL)
    assert truth.counts().tolist() == [1, 2]
    assert pattern_values(DataType.BOOL).tolist() == [0, 1]
    assert pattern_values(DataType.INT8)[[0, 127, 128, 255]].tolist() == [0, 127, -128, -1]


def test_settling_keeps_all_figures() -> None:
    array = np.arange(20.0)
    one, two = Sketch(DataType.FLOAT64), Sketch(DataType.FLOAT64)
    for part in np.split(array, 4):
        one.add(part)
        two.add(part)
        two.settle()
    assert len(pickle.dumps(two)) < len(pickle.dumps(one))
    a, b = one.tally(), two.tally()
    assert a.part is not None
    assert b.part is not None
    assert list(a.part) == pytest.approx(list(b.part), abs=1e-12)
    Sketch(DataType.FLOAT64).settle()
