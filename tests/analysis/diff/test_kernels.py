"""Metrics of random pairs beside plain numpy formulas, and every rule on odd values."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ckread.analysis.diff.kernels import (
    CAPACITY,
    PairComparison,
    Rounding,
    _rounding,
    _rounding_of_finite,
    compare_carefully,
    compare_many,
    compare_strings,
    differing_bits,
    farthest,
    has_steps,
    may_be_rounding,
    merge_roundings,
    metrics_of_rows,
    rounding_of,
    ulp_distances,
)
from ckread.analysis.diff.metrics import (
    ChunkSums,
    Metrics,
    PairTally,
    Tolerance,
    merge_tallies,
    metrics_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMPY_TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "c8", "c16"]
EXACTLY = Tolerance()


def compare(
    a: NDArray[Any], b: NDArray[Any], *, tolerance: Tolerance = EXACTLY, step: int = 0
) -> Metrics:
    comparison = PairComparison(tolerance)
    flat_a, flat_b = a.ravel(), b.ravel()
    step = step or max(1, flat_a.size)
    for start in range(0, flat_a.size, step):
        comparison.add(flat_a[start : start + step], flat_b[start : start + step])
    is_complex = "c" in a.dtype.kind + b.dtype.kind
    return metrics_of(
        comparison.tally(), b.shape, is_retyped=a.dtype != b.dtype, is_signed=not is_complex
    )


def widest(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(np.clongdouble if x.dtype.kind == "c" else np.longdouble)


def close(expected: Any, *, absolute: float = 1e-300) -> Any:
    return pytest.approx(float(expected), rel=1e-12, abs=absolute, nan_ok=True)


def check_against_numpy(a: NDArray[Any], b: NDArray[Any], metrics: Metrics) -> None:
    """Compare with the plain formulas in 80-bit floats; values must be finite."""
    wide_a, wide_b = widest(a).ravel(), widest(b).ravel()
    distance = np.abs(wide_b - wide_a)
    norm_a, norm_b = (np.sqrt(np.sum(np.abs(x) ** 2)) for x in (wide_a, wide_b))
    l2 = np.sqrt(np.sum(distance**2))
    differing = np.frombuffer(a.tobytes(), f"V{a.itemsize}") != np.frombuffer(
        b.tobytes(), f"V{b.itemsize}"
    )
    assert metrics.changed_elements == np.count_nonzero(differing)
    assert metrics.max_abs == close(distance.max(initial=0))
    assert metrics.mean_abs == close(distance.sum() / max(1, distance.size))
    assert metrics.l2 == close(l2)
    assert metrics.l2_a == close(norm_a)
    if norm_a:
        assert metrics.relative_l2 == close(l2 / norm_a)
    else:
        assert metrics.relative_l2 == (None if l2 else 0)
    if norm_a and norm_b:
        product = np.sum((wide_a * np.conj(wide_b)).real)
        # From a distance far longer than the shorter vector, by so much less exactly.
        error = 1e-14 + 1e-15 * float(max(norm_a / norm_b, norm_b / norm_a))
        assert metrics.cosine == close(product / norm_a / norm_b, absolute=error)
    else:
        assert metrics.cosine is None
    if differing.any():
        first = np.unravel_index(np.argmax(differing), a.shape)
        assert metrics.first_changed == tuple(int(i) for i in first)
    if a.dtype.kind != "c":
        flips = np.sign(wide_a) * np.sign(wide_b) < 0
        assert metrics.sign_flips == np.count_nonzero(flips)


def is_in_range(x: Any) -> bool:
    """Tell whether squares stay in the range of float64, for the plain formulas."""
    parts = (abs(float(x.real)), abs(float(x.imag)))
    return all(part == 0 or 1e-140 < part < 1e150 for part in parts)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[NDArray[Any], NDArray[Any]]:
    dtype = np.dtype(draw(st.sampled_from(NUMPY_TYPES)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind in "fc" else {}
    elements = hnp.from_dtype(dtype, **finite)  # type: ignore[arg-type]
    if dtype.kind in "fc":
        elements = elements.filter(is_in_range)
    a, b = (draw(hnp.arrays(dtype, shape, elements=elements)) for _ in range(2))
    keep = draw(hnp.arrays(np.bool_, shape))
    return a, np.where(keep, a, b)


@given(pairs(), st.integers(1, 50))
def test_metrics_are_those_of_plain_numpy(
    pair: tuple[NDArray[Any], NDArray[Any]], step: int
) -> None:
    check_against_numpy(*pair, compare(*pair, step=step))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "i8", "u8", "c8"])
@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1.0])
def test_many_elements_over_several_chunks(dtype: str, scale: float) -> None:
    random = np.random.default_rng(5)
    n = 2 * CAPACITY + 1234
    a8 = random.normal(size=n) * 100
    a = a8.astype(dtype)
    b = (a8 * (1 + scale * random.normal(size=n))).astype(dtype)
    b[: CAPACITY + 10] = a[: CAPACITY + 10]
    metrics = compare(a, b)
    check_against_numpy(a, b, metrics)
    assert metrics == compare(a, b, step=CAPACITY), "chunks on one grid give the same bits"


@pytest.mark.parametrize(
    "name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint2", "float4_e2m1fn"]
)
@pytest.mark.parametrize("n", [300, 20_000])
def test_types_of_ml_dtypes(name: str, n: int) -> None:
    random = np.random.default_rng(6)
    least = 0 if name == "uint2" else -3
    a, b = (random.uniform(least, 3, n).astype(getattr(ml_dtypes, name)) for _ in range(2))
    metrics = compare(a, b)
    wide = a.astype(np.float64), b.astype(np.float64)
    bits = (x.view(f"u{x.itemsize}") for x in (a, b))
    assert metrics.changed_elements == np.count_nonzero(np.not_equal(*bits))
    assert metrics.l2 == close(np.linalg.norm(wide[1] - wide[0]))
    assert metrics.sign_flips == np.count_nonzero(wide[0] * wide[1] < 0)


@pytest.mark.parametrize(
    "name",
    ["int8", "uint8", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2fnuz",
     "float8_e4m3b11fnuz"],
)  # fmt: skip
@pytest.mark.parametrize(("n_changed", "n_first"), [(0, 20_000), (70_000, 20_000), (70_000, 5)])
def test_counted_pairs_are_compared_as_carefully_as_others(
    name: str, n_changed: int, n_first: int
) -> None:
    random = np.random.default_rng(8)
    kind = np.dtype(getattr(ml_dtypes, name, name))
    octets, others = random.integers(0, 256, (2, 70_001)).astype(np.uint8)
    others[:7], others[n_changed:] = octets[:7], octets[n_changed:]
    a, b = octets.view(kind), others.view(kind)
    comparison = PairComparison(EXACTLY)
    for part in (slice(0, n_first), slice(n_first, 66_000), slice(66_000, None)):
        comparison.add(a[part], b[part])
    found = comparison.tally()
    expected = compare_carefully(a, b, EXACTLY)
    known, wanted = (asdict(replace(x, sums=(), bound=0.0)) for x in (found, expected))
    assert math.isnan(known["max_abs"]) or known["max_abs"] == wanted["max_abs"]
    assert known | {"max_abs": 0} == wanted | {"max_abs": 0}
    total = [sum(figures) for figures in zip(*found.sums, strict=True)]
    assert total == pytest.approx(expected.sums[0], rel=1e-12, nan_ok=True)


def test_a_tiny_move_keeps_the_digits_of_its_angle() -> None:
    random = np.random.default_rng(7)
    a = random.normal(size=4096)
    b = a + 1e-6 * random.normal(size=4096)
    wide_a, wide_b = widest(a), widest(b)
    norms = np.sqrt(np.sum(wide_a**2) * np.sum(wide_b**2))
    expected = float(1 - np.sum(wide_a * wide_b) / norms)
    cosine = compare(a, b).cosine
    assert cosine is not None
    assert 1 - cosine == pytest.approx(expected, rel=1e-3)


def test_far_apart_norms_keep_their_angle() -> None:
    a = np.array([1e12, 1e12, 0.0])
    b = np.array([1.0, -0.5, 3.0])
    expected = 0.5e12 / (math.sqrt(2e24) * math.sqrt(10.25))
    assert compare(a, b).cosine == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-160, 1e160, 1e300])
def test_squares_neither_overflow_nor_vanish(size: float) -> None:
    a = np.array([3.0, 4.0]) * size
    metrics = compare(a, a * 2)
    assert metrics.l2 == pytest.approx(5 * size, rel=1e-12)
    assert metrics.relative_l2 == pytest.approx(1, rel=1e-12)
    assert metrics.cosine == pytest.approx(1, rel=1e-12)


def test_norms_beyond_all_range_on_one_side_only() -> None:
    metrics = compare(np.array([1e-200]), np.array([1e200]))
    assert metrics.relative_l2 == math.inf
    assert metrics.cosine == 1
    back = compare(np.array([1e200]), np.array([1e-200]))
    assert back.relative_l2 == 1


def test_known_cases() -> None:
    a = np.array([1.0, 2.0, 3.0], np.float32)
    assert compare(a, 2 * a).relative_l2 == pytest.approx(1)
    assert compare(a, -a).cosine == -1
    assert compare(a, -a).sign_flips == 3
    right = compare(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert right.cosine == 0
    assert compare(a, a).relative_l2 == 0
    assert compare(a, a).changed_elements == 0


def test_zero_norms_have_no_ratio_and_no_angle() -> None:
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    assert compare(zero, one).relative_l2 is None
    assert compare(zero, one).cosine is None
    assert compare(one, zero).relative_l2 == 1
    assert compare(one, zero).cosine is None


def test_nothing_to_compare() -> None:
    empty = compare(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    assert empty.changed_elements == 0
    assert empty.l2 == empty.mean_abs == empty.max_abs == 0


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8"])
def test_the_same_nan_and_infinity_are_left_out(dtype: str) -> None:
    a = np.array([np.nan, np.inf, -np.inf, 3.0, 1.0], dtype)
    b = np.array([np.nan, np.inf, -np.inf, 4.0, 1.0], dtype)
    metrics = compare(a, b)
    assert metrics.changed_elements == 1
    assert metrics.first_changed == (3,)
    assert metrics.same_nan == 1
    assert metrics.max_abs == metrics.l2 == 1
    assert metrics.relative_l2 == pytest.approx(1 / math.sqrt(10))


def test_a_value_that_became_nan_shows_in_every_figure() -> None:
    a = np.array([1.0, 2.0], np.float32)
    metrics = compare(a, np.array([1.0, np.nan], np.float32))
    assert metrics.changed_elements == 1
    figures = metrics.max_abs, metrics.mean_abs, metrics.l2, metrics.relative_l2, metrics.cosine
    assert all(figure is not None and math.isnan(figure) for figure in figures)


def test_a_nan_in_one_chunk_is_not_lost_among_the_others() -> None:
    a = np.zeros(3 * CAPACITY, np.float32)
    b = a.copy()
    b[5], b[CAPACITY + 1], b[-1] = 1, np.nan, 2
    metrics = compare(a, b)
    assert math.isnan(metrics.max_abs or 0)
    assert metrics.changed_elements == 3


def test_a_value_that_became_infinite() -> None:
    metrics = compare(np.array([1.0, 2.0]), np.array([1.0, np.inf]))
    assert metrics.max_abs == metrics.l2 == metrics.relative_l2 == math.inf


def test_zeros_of_both_signs_and_nan_payloads_differ_bit_for_bit() -> None:
    payload = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)
    a = np.array([0.0, payload[0], 1.0], np.float32)
    b = np.array([-0.0, payload[1], 1.0], np.float32)
    bitwise = compare(a, b)
    assert bitwise.changed_elements == 2
    assert bitwise.max_abs == 0
    assert compare(a, b, tolerance=Tolerance(rtol=1e-9)).changed_elements == 0


def test_zero_has_no_sign_to_flip() -> None:
    a = np.array([0.0, -0.0, 1.0, -1.0], np.float32)
    assert compare(a, np.array([-1.0, 1.0, 0.0, -0.0], np.float32)).sign_flips == 0


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_signs_of_the_smallest_numbers(dtype: str) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    a = np.array([tiny, -tiny, 1.0], dtype)
    assert compare(a, -a).sign_flips == 3


@pytest.mark.parametrize(
    ("dtype", "left", "right", "expected"),
    [
        ("i8", -(2**63), 2**63 - 1, 2**64 - 1),
        ("i8", 2**53 + 1, 2**53, 1),
        ("u8", 0, 2**64 - 1, 2**64 - 1),
        ("i4", -(2**31), 2**31 - 1, 2**32 - 1),
        ("u1", 255, 0, 255),
    ],
)
def test_distances_of_integers_are_exact(dtype: str, left: int, right: int, expected: int) -> None:
    largest = compare(np.array([left, 1], dtype), np.array([right, 1], dtype)).max_abs
    assert type(largest) is int
    assert largest == expected


def test_signed_beside_unsigned_stops_at_the_end_of_its_range() -> None:
    a = np.array([-5, -1, 7], np.int64)
    b = np.array([2**64 - 1, 3, 9], np.uint64)
    assert compare(a, b).max_abs == 2**64 - 1
    assert compare(a[1:], b[1:]).max_abs == 4


@pytest.mark.parametrize("narrow", ["float16", "bfloat16", "int32"])
def test_a_cast_is_recognised_from_both_sides(narrow: str) -> None:
    dtype = np.dtype(getattr(ml_dtypes, narrow, narrow))
    wide = np.array([1.0001, -2.7, 3.1415, 100.0], np.float32)
    cast = wide.astype(dtype)
    assert compare(wide, cast).exact_cast is True
    assert compare(cast, wide).exact_cast is True
    assert compare(wide, cast).changed_elements == 3
    other = cast.copy()
    other[0] += 1
    assert compare(wide, other).exact_cast is False
    assert compare(wide, wide).exact_cast is None


def test_a_cast_of_nan_is_a_cast() -> None:
    wide = np.array([np.nan, 1.0], np.float32)
    metrics = compare(wide, wide.astype(np.float64))
    assert metrics.exact_cast is True
    assert metrics.changed_elements == 0
    assert metrics.l2 == 0


def test_complex_beside_real() -> None:
    metrics = compare(np.array([1.0, 2.0]), np.array([1 + 0j, 2 + 3j]))
    assert metrics.changed_elements == 1
    assert metrics.l2 == 3
    assert metrics.sign_flips is None


@given(
    st.floats(0, 1),
    st.floats(0, 10),
    hnp.arrays(np.float32, 20),
    hnp.arrays(np.float32, 20),
)
def test_tolerance_is_the_symmetric_rule_of_isclose(
    rtol: float, atol: float, a: NDArray[np.float32], b: NDArray[np.float32]
) -> None:
    if rtol == 0 and atol == 0:
        return
    tolerance = Tolerance(rtol, atol)
    apart = 0
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        both_nan = math.isnan(x) and math.isnan(y)
        near = x == y or (
            math.isfinite(x)
            and math.isfinite(y)
            and abs(y - x) <= atol + rtol * max(abs(x), abs(y))
        )
        apart += not (both_nan or near)
    assert compare(a, b, tolerance=tolerance).changed_elements == apart
    assert compare(b, a, tolerance=tolerance).changed_elements == apart


@given(pairs())
@settings(max_examples=50)
def test_the_mirror_image_has_the_same_distances(
    pair: tuple[NDArray[Any], NDArray[Any]],
) -> None:
    there, back = compare(*pair), compare(*reversed(pair))
    for field in ("changed_elements", "first_changed", "max_abs", "l2", "sign_flips"):
        assert getattr(there, field) == getattr(back, field)
    assert (there.cosine is None) == (back.cosine is None)
    if there.cosine is not None:
        assert there.cosine == pytest.approx(back.cosine, rel=1e-12, abs=1e-15)


def test_strings() -> None:
    tally = compare_strings([b"a", b"b", b"c"], [b"a", b"x", b"y"])
    metrics = metrics_of(tally, (3,))
    assert metrics.changed_elements == 2
    assert metrics.first_changed == (1,)
    assert metrics.max_abs is None
    assert metrics.l2 is None


def test_tallies_of_stretches_add_up_in_their_order() -> None:
    parts = [PairTally(elements=5, max_abs=1.0), PairTally(elements=5, changed=2, first_changed=3)]
    merged = merge_tallies(parts)
    assert merged.elements == 10
    assert merged.first_changed == 8


REAL_TYPES = [
    "float16",
    "float32",
    "float64",
    "bfloat16",
    "float8_e4m3fn",
    "int8",
    "uint8",
    "int32",
]


def stacked_pairs(name: str, n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Make pairs of rows: equal, a little apart, turned round, far apart, of zeros, in pieces."""
    random = np.random.default_rng(n)
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    base = random.uniform(1, 7, n) * random.choice([-1, 1], n)
    base = np.abs(base) if name == "uint8" else base
    one = base.astype(dtype)
    last = one.copy()
    last[-1] = dtype.type(3) if one[-1] != 3 else dtype.type(2)
    near = one.copy()
    near[0] = np.nextafter(one[0], dtype.type(9)) if "float" in name else one[0]
    zero = np.zeros(n, dtype)
    other = random.permutation(base).astype(dtype)
    turned = one if name == "uint8" else -one
    left = [one, one, one, one, zero, one, zero, other, zero, (base * 20).astype(dtype)]
    right = [one, last, near, turned, one, zero, zero, one, turned * dtype.type(0), other]
    if name in ("float64", "complex128"):  # without those of zeros, that need care
        at = [i for i in range(len(left)) if left[i].any() and right[i].any()]
        return np.stack([left[i] for i in at]), np.stack([right[i] for i in at])
    return np.stack(left), np.stack(right)


@pytest.mark.parametrize("name", REAL_TYPES)
@pytest.mark.parametrize("n", [1, 3, 40])
def test_rows_are_measured_as_pairs_alone(name: str, n: int) -> None:
    a, b = stacked_pairs(name, n)
    rows, is_right = compare_many((), (a, b))
    assert rows is not None
    assert is_right.all()
    at = range(len(a))
    shapes = [(n, 1) if i % 2 else (n,) for i in at]
    fields = metrics_of_rows(rows, list(at), shapes)
    for i, found in enumerate(map(Metrics._make, zip(*fields, strict=True))):
        expected = metrics_of(quick_tally(a[i], b[i]), shapes[i])
        if has_steps(a.dtype) and expected.changed_elements:
            largest = max(np.abs(a[i].astype(float)).max(), np.abs(b[i].astype(float)).max())
            step = float(np.spacing(np.array(largest, a.dtype)))
            bound = float(np.abs(b[i].astype(float)).max())
            assert expected.max_abs is not None
            if may_be_rounding(expected.max_abs, bound, a.dtype, 0.0):
                steps = int(ulp_distances(a[i], b[i]).max())
                expected = expected._replace(
                    max_ulp=steps, max_ulp_of_largest=expected.max_abs / step
                )
        assert found == expected, (i, found, expected)
        assert type(found.max_abs) is type(expected.max_abs)


def quick_tally(a: NDArray[Any], b: NDArray[Any], ulp: float = 0.0) -> PairTally:
    found = PairComparison(Tolerance(ulp=ulp))._compare_quickly(a, b)
    assert found is not None
    return found


def test_rows_that_need_care_are_told() -> None:
    for dtype, huge in ((np.float32, math.inf), (np.float64, 1e200)):
        a = np.ones((7, 3), dtype)
        b = a.copy()
        b[1, 2] = a[2, 1] = np.nan
        b[3, 0] = huge
        a[4, 1] = huge
        a[5] = b[5] = np.nan
        b[6, 0] = 2
        assert compare_many((), (a, b))[1].tolist() == [True, *[False] * 5, True]
    small = np.full((4, 2), 1e-160)
    small[:2] = 1
    other = small.copy()
    other[0] += 1e-130  # it is lost beside 1
    other[1] = 1e-130
    other[3] *= 2
    assert compare_many((), (small, other))[1].tolist() == [True, False, False, False]
    for refused in (np.int64, np.uint64, np.complex64, np.complex128):
        rows, is_right = compare_many((), (np.ones((2, 3), refused), np.ones((2, 3), refused)))
        assert (rows, is_right.tolist()) == (None, [False, False])
    for dtypes in ((np.float32, np.float64), (np.int8, np.uint8)):
        rows, is_right = compare_many((), [np.ones((2, 3), one) for one in dtypes])
        assert (rows, is_right.tolist()) == (None, [False, False])


@pytest.mark.parametrize("name", [*REAL_TYPES, "bool", "int64", "complex64", "complex128"])
def test_ordinary_pairs_take_the_quick_way_to_the_same(name: str) -> None:
    random = np.random.default_rng(3)
    if name == "bool":
        pairs = [(random.random(9) > 0.5, random.random(9) > 0.5)]
    else:
        pairs = list(zip(*stacked_pairs(name, 40), strict=True))
    for a, b in pairs:
        found, careful = quick_tally(a, b), compare_carefully(a, b, EXACTLY)
        assert a.dtype.kind != "c" or not found.sign_flips
        plain: dict[str, Any] = {"sums": (), "bound": 0.0}
        if a.dtype.kind == "c":
            plain["sign_flips"] = 0
        assert replace(found, **plain) == replace(careful, **plain)
        assert found.sums[0][:5] == pytest.approx(careful.sums[0][:5], rel=1e-12, abs=1e-12)
        assert found.bound >= careful.bound * (1 - 1e-15)
        assert found.bound**2 <= sum(np.abs(b.astype(np.complex128)) ** 2) * (1 + 1e-12)


def test_a_pair_that_may_be_rounding_knows_its_largest_value() -> None:
    a = np.array([3.0, -4.0, 1.0], np.float32)
    for b, bound in ((a * np.float32(1 + 1e-7), 4.0), (-np.nextafter(a, np.float32(9)), 26**0.5)):
        assert quick_tally(a, b).bound == pytest.approx(bound, rel=1e-6)
    far = quick_tally(a, a * 2)
    assert far.bound == pytest.approx(104**0.5)
    assert quick_tally(a, a * 2, ulp=1e9).bound == 8
    assert quick_tally(-a, -a * 2, ulp=1e9).bound == 8


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.array([2**52 + 1, 0]), np.array([0, 0])),
        (np.array([0, 0]), np.array([-(2**52) - 1, 0])),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0])),
        (np.array([1.0, 2.0]), np.array([1.0, np.nan])),
        (np.array([1.0, np.inf]), np.array([1.0, -np.inf])),
        (np.array([1e-130]), np.array([2e-130])),
        (np.array([1e155]), np.array([2.0])),
        (np.array([2.0]), np.array([1e155])),
        (np.array([2.0]), np.array([1e-130])),
        (np.array([2.0]), np.array([0.0])),
        (np.array([1.0, 1e-130]), np.array([1.0, 2e-130])),
        (np.array([np.nan + 1j]), np.array([np.nan + 1j])),
    ],
)
def test_what_needs_care_gets_it(a: NDArray[Any], b: NDArray[Any]) -> None:
    comparison = PairComparison(EXACTLY)
    with np.errstate(all="ignore"):
        assert comparison._compare_quickly(a, b) is None
    comparison.add(a, b)
    assert repr(comparison.tally()) == repr(merge_tallies([compare_carefully(a, b, EXACTLY)]))


def test_the_same_that_is_not_finite_needs_no_care() -> None:
    for dtype in ("f2", "f4", "f8"):
        a = np.array([np.nan, 3, np.inf, -np.inf, np.nan, 1], dtype)
        b = a.copy()
        assert quick_tally(a, b) == PairTally(
            6, max_abs=0.0, same_nan=2, bound=math.sqrt(10), sums=(ChunkSums(10, 10, 10, 0, 0),)
        )
        b[1], b[5] = -4, 2
        sums = ChunkSums(10, 20, -10, 50, 8)
        assert quick_tally(a, b) == PairTally(
            6, 2, 1, 7.0, 1, same_nan=2, bound=math.sqrt(20), sums=(sums,)
        )
    exact = np.array([2**52, -(2**52), 5])
    assert quick_tally(exact, exact + np.array([0, 0, -7])) == PairTally(
        3, 1, 2, 7, 1, bound=math.sqrt(2.0**105 + 4), sums=(ChunkSums(2.0**105 + 25, 2.0**105 + 4,
        2.0**105 - 10, 49, 7),),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "int32"])
@pytest.mark.parametrize("every", [2, 500])
def test_signs_are_counted_where_few_or_many_differ(name: str, every: int) -> None:
    a = np.ones(1000, name)
    b = a.copy()
    b[::every] = -1
    a[1] = b[3] = 0
    b[1] = -1
    expected = len(b[::every])
    assert quick_tally(a, b).sign_flips == quick_tally(b, a).sign_flips == expected
    if name != "int32":
        b[3] = -0.0
        assert quick_tally(a, b).sign_flips == quick_tally(b, a).sign_flips == expected


def test_pairs_that_occur_often_are_weighed() -> None:
    random = np.random.default_rng(1)
    for kind in (np.float32, np.int64):
        a = np.array([1, -2, 0, 3, 5]).astype(kind)
        b = np.array([1, 2, 4, 0, 5.0]).astype(kind)
        a, b = (np.append(side, [side[0]]) for side in (a, b))
        if kind is not np.int64:
            a[5] = b[5] = np.nan
        counts = random.integers(1, 9, 6)
        for tolerance in (EXACTLY, Tolerance(atol=3.5)):
            once = compare_carefully(a, b, tolerance, counts)
            each = compare_carefully(np.repeat(a, counts), np.repeat(b, counts), tolerance)
            assert replace(once, first_changed=each.first_changed) == each


@pytest.mark.parametrize("dtype", ["i4", "f4", "f8", "c8"])
@pytest.mark.parametrize("rtol", [0.0, 0.1])
def test_the_farthest_are_those_that_a_sort_finds(dtype: str, rtol: float) -> None:
    random = np.random.default_rng(4)
    a = random.integers(1, 40, 60).astype(dtype)
    b = np.where(random.random(60) < 0.5, a, a + random.integers(-20, 20, 60).astype(dtype))
    if dtype != "i4":
        b[7] = np.nan
    tolerance = Tolerance(rtol=rtol)
    apart = [abs(complex(y) - complex(x)) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    size = [max(abs(x), abs(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    is_changed = [not far <= rtol * most for far, most in zip(apart, size, strict=True)]
    changed = [i for i in range(60) if is_changed[i]]
    rank = sorted(changed, key=lambda i: (-math.inf if math.isnan(apart[i]) else -apart[i], i))
    for n in (0, 1, 5, len(changed), 100):
        places, distances = farthest(a, b, tolerance, n)
        assert places.tolist() == sorted(rank[:n])
        assert distances.tolist() == pytest.approx([apart[i] for i in places], nan_ok=True)


def test_bits_of_every_width_are_compared() -> None:
    for dtype in ("i1", "f2", "f4", "f8", "c8", "c16"):
        a = np.arange(1, 7).astype(dtype)
        b = a.copy()
        b[2], b[5] = 0, -1
        expected = [False, False, True, False, False, True]
        assert differing_bits(a, b).tolist() == expected
        out = np.ones(6, np.bool_)
        assert differing_bits(a, b, out) is out
        assert out.tolist() == expected
    z = np.array([1 + 2j, 3 + 4j, 5 + 6j])
    assert differing_bits(z, z.conj()).tolist() == [True] * 3
    assert differing_bits(z, -z.conj()).tolist() == [True] * 3


def test_a_cast_is_one_from_either_side_only() -> None:
    wide, narrow = np.array([0.1, 0.3]), np.array([0.1, 0.3], np.float32)
    assert compare_carefully(wide, narrow, EXACTLY).is_cast == (True, False)
    assert compare_carefully(narrow, wide, EXACTLY).is_cast == (False, True)
    assert compare_carefully(wide, wide + 1, EXACTLY).is_cast == (True, True)
    real, with_none = np.array([1.0, 2.0]), np.array([1 + 0j, 2 + 0j])
    assert compare_carefully(real, with_none, EXACTLY).is_cast == (True, False)
    assert compare_carefully(with_none, real, EXACTLY).is_cast == (False, True)
    payload = np.array([0x7FC00001], np.uint32).view(np.float32)
    assert compare_carefully(payload, np.array([np.nan]), EXACTLY).is_cast == (True, True)


def test_exact_sums_of_odd_pairs() -> None:
    a, b = np.array([2.0**600, 2.0**590]), np.array([2.0**-600, -(2.0**-590)])
    [sums] = compare_carefully(a, b, EXACTLY).sums
    assert list(sums)[5:] == [601, -589, 601]
    part = 0.25 + 2.0**-22
    assert list(sums)[:5] == [part, part, 2.0**-12 - 2.0**-12, part, 0.5 + 2.0**-11]
    [sums] = compare_carefully(np.array([2.0**399]), np.array([0.0]), EXACTLY).sums
    assert list(sums) == [2.0**798, 0, 0, 2.0**798, 2.0**399, 0, 0, 0]
    [sums] = compare_carefully(np.array([np.inf, 1.0]), np.array([np.inf, 3.0]), EXACTLY).sums
    assert list(sums) == [1, 9, 3, 4, 2, 0, 0, 0]


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "bfloat16"])
def test_steps_of_finite_values_are_counted_quickly_and_right(name: str) -> None:
    random = np.random.default_rng(2)
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    a, b = (random.normal(size=300).astype(dtype) for _ in range(2))
    quick = _rounding_of_finite(a, b)
    assert quick is not None
    steps = ulp_distances(a, b)
    largest = max(np.abs(a.astype(float)).max(), np.abs(b.astype(float)).max())
    expected = Rounding(int(steps.max()), float(np.spacing(np.array(largest, dtype))))
    assert quick == _rounding(a, b) == expected
    for at, scale in ((0, 1), (299, -1)):
        x = a.copy()
        x[at] = scale * 77
        assert _rounding_of_finite(x, b) == _rounding_of_finite(b, x) == _rounding(x, b)
    for odd in (np.nan, np.inf, -np.inf):
        x, y = a.copy(), a.copy()
        x[5] = odd
        assert _rounding_of_finite(x, b) is None
        assert _rounding_of_finite(b, x) is None
        y[5] = odd
        assert rounding_of([(x, y)]).max_ulp == 0
    assert rounding_of([(a, b), (a, -a)]) == merge_roundings(quick, _rounding(a, -a))
    assert rounding_of([]) == Rounding(0, 0.0)


def test_steps_of_bytes_that_are_counted() -> None:
    random = np.random.default_rng(2)
    a, b = (random.normal(size=40_000).astype(ml_dtypes.float8_e4m3fn) for _ in range(2))
    whole = rounding_of([(a, b)])
    assert whole == _rounding(a, b)
    assert whole == rounding_of([(a[:20_000], b[:20_000]), (a[20_000:], b[20_000:])])
    assert whole == rounding_of([(a[:100], b[:100]), (a[100:], b[100:])])


def test_how_far_rounding_may_be() -> None:
    for name, most in (("float32", 64), ("float64", 64), ("float16", 16), ("bfloat16", 2)):
        dtype = np.dtype(getattr(ml_dtypes, name, name))
        step = float(np.spacing(np.array(1, dtype)))
        assert may_be_rounding(most * step * 4, 4.0, dtype, 0.0)
        assert not may_be_rounding(most * step * 4.01, 4.0, dtype, 0.0)
        assert may_be_rounding(most * step * 8, 4.0, dtype, 2 * most)
        tiny = float(np.spacing(np.array(0, dtype)))
        assert may_be_rounding(most * tiny, 0.0, dtype, 0.0)
        assert not may_be_rounding((most + 1) * tiny, 0.0, dtype, 0.0)
    assert [has_steps(np.dtype(x)) for x in ("f2", "i4", "?", "c8")] == [True, False, False, False]
    assert has_steps(np.dtype(ml_dtypes.bfloat16))
    assert has_steps(np.dtype(ml_dtypes.float8_e5m2))
    assert not has_steps(np.dtype(ml_dtypes.int4))


def test_merged_tallies_are_sums() -> None:
    one = PairTally(5, 2, 1, 3.0, 1, (True, False), 1, 4, 2.5, (ChunkSums(1, 2, 3, 4, 5),))
    two = PairTally(7, 1, 0, 2.0, 2, (True, True), 3, 2, 9.5, (ChunkSums(6, 7, 8, 9, 1),))
    assert merge_tallies([one, two]) == PairTally(
        12, 3, 1, 3.0, 3, (True, False), 4, 6, 9.5, (*one.sums, *two.sums)
    )
    assert merge_tallies([replace(one, first_changed=None), two]).first_changed == 5
    assert merge_tallies([two, replace(one, is_cast=(False, True))]).is_cast == (False, True)
    assert math.isnan(merge_tallies([one, replace(two, max_abs=math.nan)]).max_abs or 0)
    assert merge_tallies([replace(one, max_abs=None)]).max_abs is None
