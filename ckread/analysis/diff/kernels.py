"""The kernels that compare two arrays chunk by chunk, in float64 work buffers.

Two ways give the same figures. The quick one takes pairs of one type whose squares stay
in range, and that are finite but for what is the same NaN or infinity on both sides. The
careful one takes everything else: two types, integers beyond 2^52 (exact), tolerances, NaN
and infinity on one side, float64 near the ends of its range. Pairs of one type of one byte
are counted, and the careful way then goes through the few that are different.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.diff.metrics import ChunkSums, PairTally, merge_tallies
from ckread.analysis.norms import (
    are_alike,
    cosine_from_distance,
    distance_tells_more,
    inner_from_distance,
)
from ckread.analysis.numbers import (
    MANY_BYTES,
    BytePairs,
    chunk_buffer,
    copy_as_floats,
    inner_product,
    row_sum,
)
from ckread.readers.slices import unravelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ckread.analysis.diff.metrics import Tolerance

    Shape = tuple[int, ...]
    from collections.abc import Iterable

    from ckread.analysis.scan import Chunks
    from ckread.readers.contract import Extent


CAPACITY = 131_072
"""Elements compared at once: the work buffers then stay in the second-level cache."""
_RARE = 32
"""Of so many pairs at most one changes its sign where only those are looked at again."""
_FLOAT64_RANGE = (1e-250, 1e300)


class PairComparison:
    """A running comparison of two streams of equal length; `tally` sums it up."""

    def __init__(self, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._a, self._b = (_work_buffer(8, number).view(np.float64) for number in (2, 3))
        self._bits = _work_buffer(8, 6)
        self._mask, self._other_mask = (_work_buffer(1, n).view(np.bool_) for n in (4, 5))
        self._tallies: list[PairTally] = []
        self._counted: CountedPairs | None = None

    def add(self, a: NDArray[Any], b: NDArray[Any]) -> None:
        """Compare the next stretch: 1-D arrays of one length, of any two types."""
        is_quick = self._tolerance.is_bitwise and a.dtype == b.dtype
        # Once begun, counting goes on: what is in `_tallies` comes before it.
        if is_quick and a.dtype.itemsize == 1 and (self._counted or a.size >= MANY_BYTES):
            self._counted = self._counted or CountedPairs(a.dtype)
            self._counted.add(a, b)
            return
        step = CAPACITY // 2 if a.dtype.kind == "c" else CAPACITY
        for start in range(0, a.size, step):
            left, right = a[start : start + step], b[start : start + step]
            tally = None
            if is_quick:
                with np.errstate(all="ignore"):
                    tally = self._compare_quickly(left, right)
            self._tallies.append(tally or compare_carefully(left, right, self._tolerance))

    def tally(self) -> PairTally:
        """Give what was counted so far, and start anew."""
        counted = [self._counted.tally(self._tolerance)] if self._counted else []
        merged = merge_tallies([*self._tallies, *counted] or [PairTally(max_abs=0)])
        self._tallies, self._counted = [], None
        return merged

    def _compare_quickly(self, a: NDArray[Any], b: NDArray[Any]) -> PairTally | None:
        """Compare values of one type; None where care is needed.

        Complex numbers are compared as pairs of floats.
        """
        n = a.size
        low, high = _FLOAT64_RANGE if a.dtype.char in "dD" else (0.0, math.inf)
        changed = differing_bits(a, b, out=self._mask[:n])
        n_changed = int(np.count_nonzero(changed))
        if not (_is_exact(a) and _is_exact(b)):
            return None
        first = int(np.argmax(changed)) if n_changed else None
        is_complex = a.dtype.kind == "c"
        if is_complex:
            a, b = (x.view(x.real.dtype) for x in (a, b))
        a8, b8 = self._a[: a.size], self._b[: a.size]
        copy_as_floats(a, a8)
        aa = inner_product(a8, a8)
        same_nan = 0
        is_masked = not math.isfinite(aa)
        if is_masked:
            copy_as_floats(b, b8)
            found = None if is_complex else _without_same(a8, b8)
            if found is None:
                return None
            same_nan, aa = found, inner_product(a8, a8)
        if not low <= aa < high:
            return None
        integral = a.dtype.kind in "iub"
        if not n_changed:
            sums = (ChunkSums(aa, aa, aa, 0.0, 0.0),)
            bound = math.sqrt(aa)
            largest = 0 if integral else 0.0
            return PairTally(n, max_abs=largest, bound=bound, same_nan=same_nan, sums=sums)
        if not is_masked:
            copy_as_floats(b, b8)
        bb = inner_product(b8, b8)
        is_signed = a.dtype.kind not in "ub" and not is_complex
        n_flips = self._count_flips(a, b, a8, b8) if is_signed else 0
        is_alike = are_alike(aa, bb)
        ab = math.nan if is_alike else inner_product(a8, b8)
        distance = np.abs(np.subtract(b8, a8, out=a8), out=a8)
        dd = inner_product(distance, distance)
        if is_complex:
            np.multiply(distance, distance, out=distance)
            distance = np.sqrt(distance[::2] + distance[1::2])
        if not (low <= bb < high and low <= dd < high):
            return None
        if is_alike:
            ab = inner_from_distance(aa, bb, dd)
        largest = float(np.maximum.reduce(distance))
        bound = math.sqrt(bb)
        allowed = self._tolerance.ulp
        if has_steps(a.dtype) and may_be_rounding(largest, bound, a.dtype, allowed):
            bound = max(float(np.maximum.reduce(b8)), -float(np.minimum.reduce(b8)))
        return PairTally(
            elements=n,
            changed=n_changed,
            first_changed=first,
            max_abs=int(largest) if integral else largest,
            sign_flips=n_flips,
            same_nan=same_nan,
            bound=bound,
            sums=(ChunkSums(aa, bb, ab, dd, row_sum(distance)),),
        )

    def _count_flips(
        self, a: NDArray[Any], b: NDArray[Any], a8: NDArray[Any], b8: NDArray[Any]
    ) -> int:
        """Count pairs of which one is above and one below zero; the others are the same as float64.

        Their signs tell all but those with a zero.
        """
        mask, other = self._mask[: a.size], self._other_mask[: a.size]
        if a.dtype.itemsize > 1:  # of four bits in a byte the first is no sign
            differing = self._bits[: a.nbytes].view(f"i{a.dtype.itemsize}")
            np.bitwise_xor(a.view(differing.dtype), b.view(differing.dtype), out=differing)
            n_differing = int(np.count_nonzero(np.less(differing, 0, out=mask)))
            if n_differing * _RARE < a.size:
                at = np.flatnonzero(mask)
                x, y = a8[at], b8[at]
                return int(np.count_nonzero(((x < 0) & (y > 0)) | ((x > 0) & (y < 0))))
            for one in (a8, b8):
                np.logical_and(mask, np.not_equal(one, 0, out=other), out=mask)
            return int(np.count_nonzero(mask))
        below = np.logical_and(np.less(a8, 0, out=mask), np.greater(b8, 0, out=other), out=mask)
        n_below = int(np.count_nonzero(below))
        above = np.logical_and(np.greater(a8, 0, out=mask), np.less(b8, 0, out=other), out=mask)
        return n_below + int(np.count_nonzero(above))


class CountedPairs:
    """A comparison of two streams of one type of one byte, bit for bit, by how often pairs occur.

    All sums are rounded once.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._pairs = BytePairs()
        self._elements = 0
        self._first: int | None = None

    def add(self, a: NDArray[Any], b: NDArray[Any]) -> None:
        """Count the next stretch."""
        if self._first is None:
            changed = differing_bits(a, b)
            at = int(np.argmax(changed)) if changed.size else 0
            self._first = self._elements + at if changed[at : at + 1].any() else None
        self._elements += a.size
        self._pairs.add(a, b)

    def tally(self, tolerance: Tolerance) -> PairTally:
        """Tell what was counted."""
        a, b, counts = self._pairs.used()
        found = compare_carefully(a.view(self._dtype), b.view(self._dtype), tolerance, counts)
        return replace(found, first_changed=self._first)


_EXACT = 1 << 52
"""Integers up to which float64 holds all differences."""


def _is_exact(x: NDArray[Any]) -> bool:
    """Tell whether float64 holds these values, and their differences, exactly."""
    if x.dtype.kind not in "iu" or x.dtype.itemsize < 8 or not x.size:
        return True
    return bool(int(np.minimum.reduce(x)) >= -_EXACT and int(np.maximum.reduce(x)) <= _EXACT)


def _without_same(a: NDArray[np.float64], b: NDArray[np.float64]) -> int | None:
    """Put 0 where both are the same NaN or infinity; None where others are not finite.

    Returns:
        How many are NaN.
    """
    at = np.flatnonzero(~np.isfinite(a))
    x, y = a[at], b[at]
    nan = np.isnan(x)
    if not ((x == y) | (nan & np.isnan(y))).all():
        return None
    a[at] = b[at] = 0.0
    return int(np.count_nonzero(nan))


class PairRows(NamedTuple):
    """What was found in pairs of small tensors of one size: arrays with an element per pair.

    Attributes:
        elements: of each tensor.
        changed: int64, pairs of elements that differ.
        first_changed: int64, the place of the first; of no meaning where none differs.
        max_abs: float64, the largest distance.
        sign_flips: int64, pairs of which one is above and one below zero.
        aa: float64, ‖a‖².
        bb: float64, ‖b‖².
        dd: float64, ‖b − a‖².
        angle: float64, the cosine as the product tells it.
        distance: float64, Σ|b − a|.
        max_ulp: int64, most steps between two elements, where it may be rounding.
        spacing: float64, the step at the largest value there; 0 elsewhere.
        is_integral: whether elements are whole numbers.
    """

    elements: int
    changed: NDArray[np.int64]
    first_changed: NDArray[np.int64]
    max_abs: NDArray[np.float64]
    sign_flips: NDArray[np.int64]
    aa: NDArray[np.float64]
    bb: NDArray[np.float64]
    dd: NDArray[np.float64]
    angle: NDArray[np.float64]
    distance: NDArray[np.float64]
    max_ulp: NDArray[np.int64]
    spacing: NDArray[np.float64]
    is_integral: bool


def compare_many(
    _dtypes: object, arrays: Sequence[NDArray[Any]], allowed: float = 0.0
) -> tuple[PairRows | None, NDArray[np.bool_]]:
    """Compare the rows of two arrays bit for bit: the kernel of small tensors.

    A row has fewer elements than sums are made of in one stretch (see `inner_products`), so that
    all sums have the same bits as those of `PairComparison`.

    Returns:
        What was found, and of which pairs it is right: the others need care.
    """
    a, b = arrays
    m, n = a.shape
    if a.dtype != b.dtype or not _is_small(a.dtype):
        return None, np.zeros(m, np.bool_)
    low, high = _FLOAT64_RANGE if a.dtype == np.float64 else (0.0, math.inf)
    with np.errstate(all="ignore"):
        changed = differing_bits(a.reshape(-1), b.reshape(-1)).reshape(m, n)
        a8, b8 = a.astype(np.float64), b.astype(np.float64)
        aa, bb, ab = (0.0 + np.vecdot(x, y) for x, y in ((a8, a8), (b8, b8), (a8, b8)))
        distance = np.abs(b8 - a8)
        dd = 0.0 + np.vecdot(distance, distance)
        ab = np.where(are_alike(aa, bb), inner_from_distance(aa, bb, dd), ab)
        is_right = (low <= aa) & (aa < high)
        n_changed = np.count_nonzero(changed, axis=1)
        in_range = (low <= bb) & (bb < high) & (low <= dd) & (dd < high)
        is_right &= (n_changed == 0) | in_range
        flips = ((a8 < 0) & (b8 > 0)) | ((a8 > 0) & (b8 < 0))
        largest = np.maximum.reduce(distance, axis=1)
        max_ulp, spacing = np.zeros(m, np.int64), np.zeros(m)
        if has_steps(a.dtype):
            bound = np.maximum.reduce(np.abs(b8), axis=1)
            near = is_right & (n_changed > 0) & may_be_rounding(largest, bound, a.dtype, allowed)
            at = np.flatnonzero(near)
            if at.size:
                max_ulp[at] = ulp_distances(a[at], b[at]).max(axis=1)
                tops = np.maximum(bound[at], np.maximum.reduce(np.abs(a8[at]), axis=1))
                spacing[at] = np.spacing(tops.astype(a.dtype)).astype(np.float64)
        found = PairRows(
            n, n_changed, np.argmax(changed, axis=1), largest, np.count_nonzero(flips, axis=1),
            aa, bb, dd, ab / np.sqrt(aa) / np.sqrt(bb), 0.0 + distance.sum(axis=1),
            max_ulp, spacing, a.dtype.kind in "iub",
        )  # fmt: skip
    return found, is_right


def metrics_of_rows(
    rows: PairRows, at: Sequence[int], shapes: Sequence[Shape]
) -> tuple[list[Any], ...]:
    """Turn what was found in some pairs into their metrics, field by field.

    With the bits of `metrics_of`.
    """
    chosen = rows
    if len(at) < len(rows.changed):
        chosen = PairRows._make(x[at] if isinstance(x, np.ndarray) else x for x in rows)
    with np.errstate(all="ignore"):
        l2, l2_a, l2_b = (np.sqrt(x) for x in (chosen.dd, chosen.aa, chosen.bb))
        relative = np.where(l2 == 0, 0.0, l2 / l2_a).tolist()
        mean = (chosen.distance / chosen.elements).tolist()
        cosine = np.clip(chosen.angle, -1.0, 1.0).tolist()
    norms = l2.tolist(), l2_a.tolist(), l2_b.tolist()
    for i in np.flatnonzero(distance_tells_more(chosen.angle, l2_a, l2_b)).tolist():
        near = cosine_from_distance(norms[1][i], norms[2][i], float(chosen.dd[i]))
        cosine[i] = min(1.0, max(-1.0, near))
    for i in np.flatnonzero((l2_a == 0) | (l2_b == 0)).tolist():
        cosine[i] = None
        if not norms[1][i] and norms[0][i]:
            relative[i] = None
    first: list[tuple[int, ...] | None] = [None] * len(at)
    differing = np.flatnonzero(chosen.changed)
    known: dict[tuple[int, Shape], tuple[int, ...]] = {}
    places = zip(differing.tolist(), chosen.first_changed[differing].tolist(), strict=True)
    for i, place in places:
        index = known.get((place, shapes[i]))
        if index is None:
            index = known[place, shapes[i]] = unravelled(place, shapes[i])
        first[i] = index
    largest = chosen.max_abs.astype(np.int64) if chosen.is_integral else chosen.max_abs
    max_ulp: list[int | None] = [None] * len(at)
    of_largest: list[float | None] = [None] * len(at)
    for i in np.flatnonzero(chosen.spacing).tolist():
        max_ulp[i] = int(chosen.max_ulp[i])
        of_largest[i] = float(chosen.max_abs[i]) / float(chosen.spacing[i])
    absent, none = [None] * len(at), [0] * len(at)
    return (
        chosen.changed.tolist(), first, largest.tolist(), mean, norms[0], relative, cosine,
        chosen.sign_flips.tolist(), absent, *norms[1:], none, none, max_ulp, of_largest,
    )  # fmt: skip


def _is_small(dtype: np.dtype[Any]) -> bool:
    """Tell whether float64 holds every value of a real type exactly; ml_dtypes are of kind V."""
    return dtype.kind in "fbV" or (dtype.kind in "iu" and dtype.itemsize <= 4)


def _work_buffer(itemsize: int, number: int) -> NDArray[np.uint8]:
    """Give this thread's buffer for so many elements, aligned as vector instructions like it."""
    return chunk_buffer(CAPACITY * itemsize, number=number)


def compare_strings(a: Sequence[bytes], b: Sequence[bytes]) -> PairTally:
    """Compare strings element by element; nothing is subtracted."""
    differing = [i for i, (left, right) in enumerate(zip(a, b, strict=True)) if left != right]
    first = differing[0] if differing else None
    return PairTally(elements=len(a), changed=len(differing), first_changed=first)


# The careful comparison: every pair of types, and values that are not finite.
#
# Slower than the quick kernel by a few times; for the chunks that need it.

_SAFE_EXPONENT = 400  # squares of 2^±400, summed, stay well inside float64


def differing_bits(
    a: NDArray[Any], b: NDArray[Any], out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Tell which elements of two arrays of one type differ in any bit."""
    itemsize = a.dtype.itemsize
    differing: NDArray[np.bool_]
    if itemsize > 8:
        both = a.view(np.uint64) != b.view(np.uint64)
        differing = np.logical_or(both[::2], both[1::2], out=out)
        return differing
    bits = np.dtype(f"u{itemsize}")
    differing = np.not_equal(a.view(bits), b.view(bits), out=out)
    return differing


def compare_carefully(
    a: NDArray[Any], b: NDArray[Any], tolerance: Tolerance, counts: NDArray[np.int64] | None = None
) -> PairTally:
    """Compare two 1-D arrays of one length, of any numeric types.

    `counts` says how often each pair occurs, once where there are none.
    """
    with np.errstate(all="ignore"):
        wide_a, wide_b = _widen(a), _widen(b)
        distance, largest = _distance(wide_a, wide_b)
        differs, changed = _differing(a, b, distance, tolerance)
        is_complex = "c" in wide_a.dtype.kind + wide_b.dtype.kind
        kind = np.complex128 if is_complex else np.float64
        # Of complex numbers real and imaginary parts, in turn.
        a8, b8 = (wide.astype(kind).view(np.float64) for wide in (wide_a, wide_b))
        n_changed = _number(changed, counts)
        return PairTally(
            elements=a.size if counts is None else int(counts.sum()),
            changed=n_changed,
            close=_number(differs, counts) - n_changed,
            first_changed=int(np.argmax(changed)) if n_changed else None,
            max_abs=largest,
            bound=float(np.abs(b8).max(initial=0.0, where=np.isfinite(b8))),
            sign_flips=_number(((a8 < 0) & (b8 > 0)) | ((a8 > 0) & (b8 < 0)), counts),
            is_cast=(True, True) if a.dtype == b.dtype else (_is_cast(a, b), _is_cast(b, a)),
            same_nan=_number(_is_nan(wide_a) & _is_nan(wide_b), counts),
            sums=(_sums(a8, b8, distance, counts),),
        )


def _number(mask: NDArray[np.bool_], counts: NDArray[np.int64] | None) -> int:
    return int(np.count_nonzero(mask) if counts is None else counts[mask].sum())


def farthest(
    a: NDArray[Any], b: NDArray[Any], tolerance: Tolerance, n: int
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Give the places and distances of the n changed elements that are farthest apart, as they lie.

    NaN on one side is farther than all else.
    """
    with np.errstate(all="ignore"):
        distance, _ = _distance(_widen(a), _widen(b))
        places = np.flatnonzero(_differing(a, b, distance, tolerance)[1])
    distance = distance[places]
    if places.size > n:
        far = np.where(np.isnan(distance), np.inf, distance)
        most = np.sort(np.argsort(-far, kind="stable")[:n])
        places, distance = places[most], distance[most]
    return places, distance


def _differing(
    a: NDArray[Any], b: NDArray[Any], distance: NDArray[Any], tolerance: Tolerance
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which elements differ at all, and which by more than the tolerance."""
    if tolerance.is_bitwise and a.dtype == b.dtype:
        differs = differing_bits(a, b)
        return differs, differs
    wide_a, wide_b = _widen(a), _widen(b)
    same = _same_value(wide_a, wide_b)
    differs = differing_bits(a, b) if a.dtype == b.dtype else ~same
    if tolerance.is_bitwise:
        return differs, differs
    size = np.maximum(_magnitude(wide_a), _magnitude(wide_b))
    is_close = (distance <= tolerance.atol + tolerance.rtol * size) & np.isfinite(size)
    return differs, differs & ~is_close & ~same


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
        # Subtract the smaller from the larger modulo 2^64, which is exact.
        # An int64 below zero beside a uint64 may be further away than uint64 reaches: the
        # distance then stops at its end.
        less = a < b
        left, right = a.astype(np.uint64), b.astype(np.uint64)
        exact = np.where(less, right - left, left - right)
        if a.dtype != b.dtype:
            signed, other = (a, right) if a.dtype.kind == "i" else (b, left)
            too_far = (signed < 0) & (other > exact)
            exact[too_far] = np.iinfo(np.uint64).max
        return exact.astype(np.float64), int(exact.max(initial=0))
    distance = np.abs(b.astype(np.result_type(a, b)) - a)
    distance[_same_value(a, b)] = 0  # the same infinity on both sides
    return distance, float(distance.max(initial=0.0))


def _magnitude(x: NDArray[Any]) -> NDArray[np.float64]:
    magnitude: NDArray[np.float64] = np.abs(x if x.dtype.kind == "c" else x.astype(np.float64))
    return magnitude


def _sums(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    distance: NDArray[Any],
    counts: NDArray[np.int64] | None,
) -> ChunkSums:
    left_out = ~np.isfinite(a) & _same_value(a, b)
    a, b = (np.where(left_out, 0.0, x) for x in (a, b))
    a, exponent_a = _scaled(a)
    b, exponent_b = _scaled(b)
    distance, exponent_d = _scaled(distance)
    terms = a * a, b * b, a * b, distance * distance, distance
    aa, bb, ab, dd, far = (float(np.sum(x if counts is None else x * counts)) for x in terms)
    return ChunkSums(aa, bb, ab, dd, far, exponent_a, exponent_b, exponent_d)


def _scaled(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Divide by a power of two where squares would leave the range of float64."""
    largest = float(np.abs(x).max(initial=0.0))
    exponent = math.frexp(largest)[1]  # 0 of what is not finite
    if abs(exponent) <= _SAFE_EXPONENT:
        return x, 0
    return np.ldexp(x, -exponent), exponent


def _is_cast(source: NDArray[Any], result: NDArray[Any]) -> bool:
    """Tell whether one array is the other, cast to its type."""
    if source.dtype.kind == "c" and result.dtype.kind != "c":
        return False  # numpy would drop the imaginary part
    cast = source.astype(result.dtype)
    same = ~differing_bits(cast, result)
    if not same.all():
        same |= _is_nan(_widen(cast)) & _is_nan(_widen(result))
    return bool(same.all())


# Whether a difference is only rounding: in steps of the type, counted by a second look.
#
# A step (ulp, unit in the last place) is from one number of a type to the next. Near 0 steps
# are tiny, so that a rounding of 1e-8 in a sum is 300,000 steps of an element that is almost
# 0: a variable is judged in steps at its largest value. Only pairs whose largest distance may
# be that small are looked at, so that what is equal or plainly different costs nothing.
#
# Reference: IEEE 754-2019, 5.3.1 (nextUp); numpy.testing.assert_array_max_ulp


NEAR, _NEAR_OF_LARGEST = 64, 1 / 64
"""A difference is looked at again if it is at most so many steps at the largest value, and so
large a part of it; or if a tolerance allows for more."""


class Rounding(NamedTuple):
    """How far two stretches are from each other, in steps of their type.

    Attributes:
        max_ulp: most steps between two elements.
        spacing: the step at the largest finite value of either side.
    """

    max_ulp: int = 0
    spacing: float = 0.0


def may_be_rounding(distance: Any, bound: Any, dtype: np.dtype[Any], allowed: float) -> Any:
    """Tell whether a distance may be few steps at a value that is no larger than `bound`.

    Of floats, or of arrays of them.
    """
    smallest, epsilon = _steps(dtype)
    most = max(allowed, min(NEAR, _NEAR_OF_LARGEST / epsilon))
    return (distance <= most * smallest) | (distance <= most * (epsilon * bound))


@cache
def _steps(dtype: np.dtype[Any]) -> list[float]:
    """Give the steps of a type at 0 and at 1."""
    return [float(step) for step in np.spacing(np.array([0, 1], dtype))]


def has_steps(dtype: np.dtype[Any]) -> bool:
    """Tell whether a type is of real numbers, one of ml_dtypes or numpy's own."""
    return dtype.name.startswith(("float", "bfloat"))


def ulp_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.uint64]:
    """Count the steps between the elements of two arrays of one real type.

    -0 is 0, an infinity one step beyond the largest number, and NaN one number beyond that.
    """
    nan = np.full((), np.nan, a.dtype)
    left, right = (_ranks(np.where(np.isnan(x), nan, x)) for x in (a, b))
    return _between(left, right, np.empty_like(left)).astype(np.uint64)


def _between(
    left: NDArray[Any], right: NDArray[Any], out: NDArray[Any]
) -> NDArray[np.unsignedinteger[Any]]:
    """Give how far ranks are apart; those of the left are lost.

    Modulo 2^n this is right even where it overflows.
    """
    bits = f"u{out.itemsize}"
    most: NDArray[np.unsignedinteger[Any]] = np.maximum(left, right, out=out).view(bits)
    np.subtract(most, np.minimum(left, right, out=left).view(bits), out=most)
    return most


def _ranks(x: NDArray[Any], number: int = 0) -> NDArray[np.signedinteger[Any]]:
    """Give the place of each element among the numbers of its type, 0 for 0.

    With a number in the work buffer of that number, for at most `CAPACITY` of them.
    """
    bits = x.view(f"i{x.dtype.itemsize}")
    if x.dtype.name.startswith("float4"):  # four bits in a byte
        return np.where(bits & 8, -(bits & 7), bits)
    # Magnitude and sign become one number: of what is below 0 the magnitude is negated, as
    # the complement and one, by its sign that fills all bits.
    sign: NDArray[np.signedinteger[Any]]
    ranks: NDArray[np.signedinteger[Any]]
    if number:
        sign, ranks = (_work_buffer(8, n)[: bits.nbytes].view(bits.dtype) for n in (2, number))
    else:
        sign, ranks = np.empty_like(bits), np.empty_like(bits)
    np.right_shift(bits, 8 * bits.itemsize - 1, out=sign)
    np.bitwise_and(sign, np.iinfo(bits.dtype).max, out=ranks)
    np.bitwise_xor(ranks, bits, out=ranks)
    np.subtract(ranks, sign, out=ranks)
    return ranks


def compare_rounding(_extents: Sequence[Extent], _: Any, chunks: Chunks) -> Rounding:
    """Count the steps between two extents of one real type, in any process: the kernel."""
    return rounding_of(tuple(arrays) for arrays in chunks)


def rounding_of(chunks: Iterable[tuple[NDArray[Any], ...]]) -> Rounding:
    """Count the steps between two streams of one real type."""
    found, pairs = Rounding(), None
    with np.errstate(all="ignore"):
        for a, b in chunks:
            if a.dtype.itemsize == 1 and a.size >= MANY_BYTES:
                pairs = pairs or BytePairs()
                pairs.add(a, b)
                continue
            for start in range(0, a.size, CAPACITY):
                x, y = (side[start : start + CAPACITY] for side in (a, b))
                quick = _rounding_of_finite(x, y) if x.dtype.itemsize > 1 else None
                found = merge_roundings(found, quick or _rounding(x, y))
        if pairs is not None and pairs.counts.any():
            left, right, _ = pairs.used()
            counted = _rounding(left.view(a.dtype), right.view(a.dtype))
            found = merge_roundings(found, counted)
    return found


def _rounding_of_finite(a: NDArray[Any], b: NDArray[Any]) -> Rounding | None:
    """Count the steps between values that are all finite; None for others."""
    left, right = _ranks(a, 3), _ranks(b, 6)
    ends = [int(reduce(x)) for x in (left, right) for reduce in _ENDS]
    largest = np.array([max(map(abs, ends))], left.dtype).view(a.dtype)
    if not np.isfinite(largest[0]):
        return None
    steps = _between(left, right, _work_buffer(8, 2)[: a.nbytes].view(left.dtype))
    return Rounding(int(np.maximum.reduce(steps)), float(np.spacing(largest)[0]))


_ENDS = np.minimum.reduce, np.maximum.reduce


def _rounding(a: NDArray[Any], b: NDArray[Any]) -> Rounding:
    """Count the steps between any values, at least one."""
    steps = ulp_distances(a, b)
    size = np.maximum(np.abs(a.astype(np.float64)), np.abs(b.astype(np.float64)))
    steps[np.isnan(size)] = 0  # on both sides: otherwise the distance is NaN
    largest = float(size.max(initial=0.0, where=np.isfinite(size)))
    return Rounding(int(steps.max()), float(np.spacing(np.array(largest, a.dtype))))


def merge_roundings(one: Rounding, other: Rounding) -> Rounding:
    """Join what two stretches of a variable gave."""
    return Rounding(max(one.max_ulp, other.max_ulp), max(one.spacing, other.spacing))
