"""The careful comparison: every pair of types, and values that are not finite.

Slower than the quick kernel by a few times; for the chunks that need it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.metrics import ChunkSums, PairTally

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.analysis.tolerance import Tolerance

_SAFE_EXPONENT = 400  # squares of 2^±400, summed, stay well inside float64


def differing_bits(
    a: NDArray[Any], b: NDArray[Any], out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Tell which elements of two arrays of one type differ in any bit."""
    itemsize = a.dtype.itemsize
    differing: NDArray[np.bool_]
    if itemsize > 8:
        words = itemsize // 8
        both = a.view(np.uint64) != b.view(np.uint64)
        differing = np.any(both.reshape(-1, words), axis=1, out=out)
        return differing
    bits = np.dtype(f"u{itemsize}")
    differing = np.not_equal(a.view(bits), b.view(bits), out=out)
    return differing


def compare_carefully(a: NDArray[Any], b: NDArray[Any], tolerance: Tolerance) -> PairTally:
    """Compare two 1-D arrays of one length, of any numeric types."""
    with np.errstate(all="ignore"):
        wide_a, wide_b = _widen(a), _widen(b)
        distance, largest = _distance(wide_a, wide_b)
        changed = _changed(a, b, wide_a, wide_b, distance, tolerance)
        a8, b8 = _as_floats(wide_a, wide_b)
        n_changed = int(np.count_nonzero(changed))
        return PairTally(
            elements=a.size,
            changed=n_changed,
            first_changed=int(np.argmax(changed)) if n_changed else None,
            max_abs=largest,
            sign_flips=int(np.count_nonzero(((a8 < 0) & (b8 > 0)) | ((a8 > 0) & (b8 < 0)))),
            is_cast=_casts(a, b),
            same_nan=int(np.count_nonzero(_is_nan(wide_a) & _is_nan(wide_b))),
            sums=(_sums(a8, b8, distance),),
        )


def _widen(x: NDArray[Any]) -> NDArray[Any]:
    """Cast to int64 or uint64, float64 or complex128: each holds its kind exactly."""
    if x.dtype.kind == "c":
        return x.astype(np.complex128)
    if x.dtype.kind in "ib":
        return x.astype(np.int64)
    return x.astype(np.uint64 if x.dtype.kind == "u" else np.float64)


def _is_nan(x: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isnan(x) if x.dtype.kind in "fc" else np.zeros(x.size, dtype=np.bool_)


def _same_value(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (a == b) | (_is_nan(a) & _is_nan(b))
    return same


def _distance(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], float | int]:
    """Give |b − a| as float64 and its largest value: exact for integers."""
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        exact = _integer_distance(a, b)
        return exact.astype(np.float64), int(exact.max(initial=0))
    distance = np.abs(b.astype(np.result_type(a, b)) - a)
    distance[_same_value(a, b)] = 0  # the same infinity on both sides
    return distance, float(distance.max(initial=0.0))


def _integer_distance(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.uint64]:
    """Subtract the smaller from the larger modulo 2^64, which is exact.

    An int64 below zero beside a uint64 may be further away than uint64 reaches: the
    distance then stops at its end.
    """
    less = a < b
    left, right = a.astype(np.uint64), b.astype(np.uint64)
    distance = np.where(less, right - left, left - right)
    if a.dtype != b.dtype:
        signed, other = (a, right) if a.dtype.kind == "i" else (b, left)
        too_far = (signed < 0) & (other > distance)
        distance[too_far] = np.iinfo(np.uint64).max
    return distance


def _changed(
    a: NDArray[Any],
    b: NDArray[Any],
    wide_a: NDArray[Any],
    wide_b: NDArray[Any],
    distance: NDArray[Any],
    tolerance: Tolerance,
) -> NDArray[np.bool_]:
    if a.dtype == b.dtype and tolerance.is_bitwise:
        return differing_bits(a, b)
    differing = ~_same_value(wide_a, wide_b)
    if tolerance.is_bitwise:
        return differing
    size = np.maximum(_magnitude(wide_a), _magnitude(wide_b))
    is_close = (distance <= tolerance.atol + tolerance.rtol * size) & np.isfinite(size)
    return differing & ~is_close


def _magnitude(x: NDArray[Any]) -> NDArray[np.float64]:
    magnitude: NDArray[np.float64] = np.abs(x if x.dtype.kind == "c" else x.astype(np.float64))
    return magnitude


def _as_floats(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give float64 values; of complex numbers, real and imaginary parts in turn."""
    if "c" not in a.dtype.kind + b.dtype.kind:
        return a.astype(np.float64), b.astype(np.float64)
    return a.astype(np.complex128).view(np.float64), b.astype(np.complex128).view(np.float64)


def _sums(a: NDArray[np.float64], b: NDArray[np.float64], distance: NDArray[Any]) -> ChunkSums:
    left_out = ~np.isfinite(a) & _same_value(a, b)
    a, b = (np.where(left_out, 0.0, x) for x in (a, b))
    a, exponent_a = _scaled(a)
    b, exponent_b = _scaled(b)
    distance, exponent_d = _scaled(distance)
    return ChunkSums(
        float(np.sum(a * a)),
        float(np.sum(b * b)),
        float(np.sum(a * b)),
        float(np.sum(distance * distance)),
        float(np.sum(distance)),
        exponent_a,
        exponent_b,
        exponent_d,
    )


def _scaled(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Divide by a power of two where squares would leave the range of float64."""
    largest = float(np.abs(x).max(initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return x, 0
    exponent = math.frexp(largest)[1]
    if abs(exponent) <= _SAFE_EXPONENT:
        return x, 0
    return np.ldexp(x, -exponent), exponent


def _casts(a: NDArray[Any], b: NDArray[Any]) -> tuple[bool, bool]:
    """Tell whether b is a cast, and whether a is b cast."""
    if a.dtype == b.dtype:
        return True, True
    return _is_cast(a, b), _is_cast(b, a)


def _is_cast(source: NDArray[Any], result: NDArray[Any]) -> bool:
    if source.dtype.kind == "c" and result.dtype.kind != "c":
        return False  # numpy would drop the imaginary part
    cast = source.astype(result.dtype)
    same = ~differing_bits(cast, result)
    if not same.all():
        same |= _is_nan(_widen(cast)) & _is_nan(_widen(result))
    return bool(same.all())
