"""How far one variable is from another: sums that merge, and the figures they give.

Sums are kept per chunk and added with `fsum`, so any split over workers gives the
same bits. A sum of squares carries a power of two, so float64 values near the end
of their range neither overflow nor vanish. No numpy here: results are plain data.

An element that is the same NaN or infinity on both sides has distance 0 and is
left out of both norms; one that is not finite on one side makes them so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ckread.analysis.norms import cosine_from_distance, distance_tells_more, times_two_to
from ckread.errors import UsageError, by
from ckread.readers.slices import unravelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class ChunkSums(NamedTuple):
    """Sums over one chunk; values were divided by two to the power of their exponent.

    Attributes:
        aa: ‖a‖², divided by 4^exponent_a.
        bb: ‖b‖², divided by 4^exponent_b.
        ab: inner product, divided by 2^(exponent_a + exponent_b).
        dd: ‖b − a‖², divided by 4^exponent_d.
        distance: Σ|b − a|, divided by 2^exponent_d.
    """

    aa: float
    bb: float
    ab: float
    dd: float
    distance: float
    exponent_a: int = 0
    exponent_b: int = 0
    exponent_d: int = 0


@dataclass(frozen=True, slots=True)
class PairTally:
    """What was counted and summed over a stretch of two variables.

    Attributes:
        elements: how many pairs of elements.
        changed: pairs that differ: bit for bit, or by more than the tolerance.
        first_changed: position of the first of them in C order.
        max_abs: largest |b − a|: exact for integers; None where nothing is subtracted.
        sign_flips: pairs of which one is above and one below zero.
        is_cast: every b is its a, cast; or every a is its b, cast.
        same_nan: elements that are NaN on both sides.
        close: pairs that differ, but by no more than the tolerance.
        bound: no finite |b| is larger.
        sums: one row per chunk; empty where nothing is subtracted.
    """

    elements: int = 0
    changed: int = 0
    first_changed: int | None = None
    max_abs: float | int | None = None
    sign_flips: int = 0
    is_cast: tuple[bool, bool] = (True, True)
    same_nan: int = 0
    close: int = 0
    bound: float = 0.0
    sums: tuple[ChunkSums, ...] = ()


class Metrics(NamedTuple):
    """How far b is from a.

    Example:
        >>> run = "fixtures/digits_run"
        >>> found = ckread.diff(f"{run}/ckpt-1", f"{run}/ckpt-10", "conv1/kernel")[0].metrics
        >>> found.changed_elements, found.first_changed, found.sign_flips, found.same_nan
        (135, (0, 0, 0, 0), 5, 0)
        >>> [round(x, 4) for x in (found.max_abs, found.mean_abs, found.l2, found.relative_l2)]
        [0.0713, 0.0205, 0.3127, 0.2185]
        >>> [round(figure, 4) for figure in (found.cosine, found.l2_a, found.l2_b)]
        [0.9832, 1.4307, 1.579]
        >>> found.close_elements, found.exact_cast, found.max_ulp, found.max_ulp_of_largest
        (0, None, None, None)

    Attributes:
        changed_elements: elements that differ, by more than the tolerance if there is one.
        first_changed: index of the first of them in C order; None if there is none.
        max_abs: largest |b − a|, an int for integers; None for strings.
        mean_abs: mean of |b − a| over all elements.
        l2: ‖b − a‖.
        relative_l2: ‖b − a‖ / ‖a‖; 0 where nothing moved, None for a move from ‖a‖ = 0.
        cosine: of the angle between a and b; None where either norm is 0.
        sign_flips: elements that went from above to below zero or back; None for
            complex numbers and strings.
        exact_cast: of a pair of two types: whether one side is the other, cast.
        l2_a: ‖a‖, over what is not the same NaN or infinity on both sides.
        l2_b: ‖b‖, likewise.
        same_nan: elements that are NaN on both sides.
        close_elements: elements that differ, but by no more than the tolerance.
        max_ulp: most steps of the type between two elements; None for other types than real
            numbers, and where the largest distance is more than `NEAR` steps of the type at
            the largest value: plainly no rounding.
        max_ulp_of_largest: `max_abs` in steps at the largest value of either side, likewise.
    """

    changed_elements: int
    first_changed: tuple[int, ...] | None = None
    max_abs: float | int | None = None
    mean_abs: float | None = None
    l2: float | None = None
    relative_l2: float | None = None
    cosine: float | None = None
    sign_flips: int | None = None
    exact_cast: bool | None = None
    l2_a: float | None = None
    l2_b: float | None = None
    same_nan: int = 0
    close_elements: int = 0
    max_ulp: int | None = None
    max_ulp_of_largest: float | None = None


IDENTICAL = Metrics(
    changed_elements=0, max_abs=0, mean_abs=0.0, l2=0.0, relative_l2=0.0, cosine=1.0, sign_flips=0
)
"""Of two variables that are equal bit for bit, whatever their values."""


def merge_tallies(tallies: Sequence[PairTally]) -> PairTally:
    """Add up the tallies of consecutive stretches, in their order."""
    first_changed, at = None, 0
    for tally in tallies:
        if tally.first_changed is not None:
            first_changed = at + tally.first_changed
            break
        at += tally.elements
    known = [tally.max_abs for tally in tallies if tally.max_abs is not None]
    not_a_number = next((value for value in known if value != value), None)
    return PairTally(
        elements=sum(tally.elements for tally in tallies),
        changed=sum(tally.changed for tally in tallies),
        first_changed=first_changed,
        max_abs=not_a_number if not_a_number is not None else max(known, default=None),
        sign_flips=sum(tally.sign_flips for tally in tallies),
        is_cast=(all(t.is_cast[0] for t in tallies), all(t.is_cast[1] for t in tallies)),
        same_nan=sum(tally.same_nan for tally in tallies),
        close=sum(tally.close for tally in tallies),
        bound=max(tally.bound for tally in tallies),
        sums=tuple(row for tally in tallies for row in tally.sums),
    )


def metrics_of(
    tally: PairTally, shape: tuple[int, ...], *, is_retyped: bool = False, is_signed: bool = True
) -> Metrics:
    """Turn a tally of a whole variable of this shape into its metrics."""
    changed_at = tally.first_changed
    common = Metrics(
        changed_elements=tally.changed,
        first_changed=None if changed_at is None else unravelled(changed_at, shape),
        exact_cast=any(tally.is_cast) if is_retyped else None,
        same_nan=tally.same_nan,
        close_elements=tally.close,
    )
    if tally.max_abs is None:
        return common
    aa = _total((row.aa, 2 * row.exponent_a) for row in tally.sums)
    bb = _total((row.bb, 2 * row.exponent_b) for row in tally.sums)
    ab = _total((row.ab, row.exponent_a + row.exponent_b) for row in tally.sums)
    dd = _total((row.dd, 2 * row.exponent_d) for row in tally.sums)
    distance = _total((row.distance, row.exponent_d) for row in tally.sums)
    l2, l2_a, l2_b = dd.root(), aa.root(), bb.root()
    return common._replace(
        max_abs=tally.max_abs,
        mean_abs=distance.value() / tally.elements if tally.elements else 0.0,
        l2=l2,
        relative_l2=dd.root_ratio(aa) if l2_a else None if l2 else 0.0,
        cosine=_cosine(aa, bb, ab, dd) if l2_a and l2_b else None,
        sign_flips=tally.sign_flips if is_signed else None,
        l2_a=l2_a,
        l2_b=l2_b,
    )


def may_be_exchanged(l2_a: float | None, l2_b: float | None) -> bool:
    """Tell whether two norms are equal, as where values differ in nothing but their order."""
    return (
        l2_a is not None
        and l2_b is not None
        and l2_a != 0
        and not (abs(l2_a - l2_b) > 1e-12 * l2_a)
    )


class _Scaled(NamedTuple):
    """The number mantissa · 2^exponent, which may lie outside float64."""

    mantissa: float
    exponent: int

    def value(self) -> float:
        """Give it as a float, infinite if it is too large for one."""
        return times_two_to(self.mantissa, self.exponent)

    def root(self) -> float:
        """Give its square root; the exponent is even."""
        return _Scaled(math.sqrt(self.mantissa), self.exponent // 2).value()

    def root_ratio(self, other: _Scaled) -> float:
        """Give the square root of self / other; both exponents are even."""
        ratio = math.sqrt(self.mantissa) / math.sqrt(other.mantissa)
        return _Scaled(ratio, (self.exponent - other.exponent) // 2).value()


def _total(terms: Iterable[tuple[float, int]]) -> _Scaled:
    rows = list(terms)
    exponent = max((e for value, e in rows if value), default=0)
    values = [math.ldexp(value, e - exponent) for value, e in rows if value]
    try:
        return _Scaled(math.fsum(values), exponent)
    except (OverflowError, ValueError):  # infinities of both signs
        return _Scaled(sum(values), exponent)


def _cosine(aa: _Scaled, bb: _Scaled, ab: _Scaled, dd: _Scaled) -> float:
    """Give the cosine from the distance where a and b are close, else from the product.

    Norms of two units are taken for unlike: so large or small are few.
    """
    norm_a, norm_b = math.sqrt(aa.mantissa), math.sqrt(bb.mantissa)
    angle = _Scaled(ab.mantissa / norm_a / norm_b, ab.exponent - (aa.exponent + bb.exponent) // 2)
    cosine = angle.value()
    if aa.exponent == bb.exponent and distance_tells_more(cosine, norm_a, norm_b):
        distance = _Scaled(dd.mantissa, dd.exponent - aa.exponent).value()
        cosine = cosine_from_distance(norm_a, norm_b, distance)
    return cosine if math.isnan(cosine) else min(1.0, max(-1.0, cosine))


# When two values count as equal: bit for bit, or close enough.


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Two values are equal where |b − a| ≤ atol + rtol · max(|a|, |b|).

    Symmetric, so that a diff and its mirror image agree. With both 0 values are
    compared bit for bit: -0 then differs from 0, and a NaN from one of other bits.
    With a tolerance -0 equals 0 and any NaN equals any NaN.

    Attributes:
        rtol: relative part.
        atol: absolute part.
        ulp: steps at a variable's largest value up to which its difference is rounding.
    """

    rtol: float = 0.0
    atol: float = 0.0
    ulp: float = 0.0

    def __post_init__(self) -> None:
        for option in ("rtol", "atol", "ulp"):
            value = getattr(self, option)
            if not 0 <= value < math.inf:
                given = by(f"--{option} {value}", f"{option}={value}")
                raise UsageError(f"{given}: expected a finite number of 0 or more")

    @property
    def is_bitwise(self) -> bool:
        """Whether single values are compared bit for bit."""
        return self.rtol == 0 and self.atol == 0
