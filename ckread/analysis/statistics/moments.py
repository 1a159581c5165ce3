"""Mean, deviation and norm from parts of any order: the same bits for any number of workers.

Each chunk gives a part: how many, their mean, and the sum of squared distances
from that mean, in float64 with two passes, so a gain vector of mean 1 and
deviation 1e-4 keeps its digits. Parts are added with `math.fsum`, which rounds
once, so their order does not matter.

Squares of float64 values beyond 1e154 overflow, below 1e-154 they vanish: such a
chunk is measured in units of a power of two, which is exact. Integers are summed
exactly, since a mean near 2**60 has no digits left for a deviation of 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.norms import times_two_to
from ckread.analysis.numbers import chunk_buffer, inner_product, row_sum
from ckread.readers.contract import CHUNK_NBYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LARGE = 1e150
_SMALL = 1e-130


class Part(NamedTuple):
    """The moments of some elements.

    Attributes:
        n: how many.
        mean: their mean, in units of 2**exponent.
        m2: sum of squared distances from the mean, in units of 4**exponent.
        rest: what the mean lost by rounding; it matters for float64 values that
            differ in their last digits only.
        exponent: of the unit; 0 but for very large or very small float64 values.
        absolute: sum of the magnitudes, in units of 2**exponent.
    """

    n: int
    mean: float
    m2: float
    rest: float = 0.0
    exponent: int = 0
    absolute: float = 0.0


class IntegerPart(NamedTuple):
    """The moments of some integers: as `Part`, but with their exact sums."""

    n: int
    total: int
    m2: float
    absolute: int


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean, standard deviation (of the population), L1 and L2 norm of `n` elements."""

    n: int
    mean: float
    std: float
    l1: float
    l2: float


def part_of(
    values: NDArray[Any], low: float, high: float, scratch: NDArray[np.uint8] | None = None
) -> Part | IntegerPart:
    """Measure finite numbers of any real type between `low` and `high`."""
    if values.dtype.kind in "iu":
        return integer_part(values, int(low), int(high), scratch)
    if low == high:
        return constant_part(float(low), values.size)
    if scratch is None:
        return float_part(values.astype(np.float64), low, high)
    floats = scratch[: 8 * values.size].view(np.float64)
    np.copyto(floats, values)
    return float_part(floats, low, high, is_single=values.dtype.itemsize == 4)


def float_part(values: Floats, low: float, high: float, *, is_single: bool = False) -> Part:
    """Measure finite values between `low` and `high`; `values` is used as scratch."""
    largest = max(abs(low), abs(high))
    if _SMALL < largest < _LARGE or largest == 0:
        absolute = _absolute(values, low, high)
        return Part(values.size, *_two_pass(values, is_single), absolute=absolute)
    exponent = math.frexp(largest)[1]
    np.ldexp(values, -exponent // 2, out=values)  # in two steps: 2**1074 is no float
    np.ldexp(values, -exponent - (-exponent // 2), out=values)
    absolute = _absolute(values, low, high)
    return Part(values.size, *_two_pass(values, is_single), exponent=exponent, absolute=absolute)


def _absolute(values: Floats, low: float, high: float) -> float:
    """Sum the magnitudes of values between `low` and `high`."""
    if not low < 0 < high:
        return abs(row_sum(values))
    return row_sum(np.abs(values, out=_room(values.size)))


def _room(n: int) -> Floats:
    """Give room for so many floats: of a chunk the same every time, which costs no pages."""
    room = chunk_buffer(8 * CHUNK_NBYTES // 4, number=2).view(np.float64)
    return room[:n] if n <= room.size else np.empty(n)


def constant_part(value: float, n: int) -> Part:
    """Measure `n` elements that all equal a finite value."""
    if abs(value) < _LARGE:
        return Part(n, value, 0.0, absolute=n * abs(value))
    mantissa, exponent = math.frexp(value)
    return Part(n, mantissa, 0.0, exponent=exponent, absolute=n * abs(mantissa))


def _two_pass(values: Floats, is_single: bool) -> tuple[float, float, float]:
    mean = row_sum(values) / values.size
    np.subtract(values, mean, out=values)
    m2 = inner_product(values, values)
    if is_single:
        return mean, m2, 0.0
    rest = row_sum(values)
    return mean, max(0.0, m2 - rest * rest / values.size), rest / values.size


def integer_part(
    values: NDArray[Any], low: int, high: int, scratch: NDArray[np.uint8] | None = None
) -> IntegerPart:
    """Measure integers of at most 64 bits between `low` and `high`."""
    n = values.size
    # Modulo 2**64 the distances are right even where they overflow.
    space = np.empty(8 * n, np.uint8) if scratch is None else scratch[: 8 * n]
    distances = space.view(np.uint64)
    np.copyto(distances, values, casting="unsafe")
    np.subtract(distances, np.uint64(low % 2**64), out=distances)
    above = _exact_sum(distances)
    total = n * low + above
    if low < 0 < high:
        negative = distances[values < 0]
        absolute = total - 2 * (negative.size * low + _exact_sum(negative))
    else:
        absolute = abs(total)
    floats = _room(n)
    np.copyto(floats, distances)
    np.subtract(floats, above / n, out=floats)
    return IntegerPart(n, total, inner_product(floats, floats), absolute)


def _exact_sum(numbers: NDArray[np.uint64]) -> int:
    if not numbers.size or int(numbers.max()) * numbers.size < 2**64:
        return int(numbers.sum())
    halves = (numbers >> np.uint64(32)).sum(), (numbers & np.uint64(2**32 - 1)).sum()
    return (int(halves[0]) << 32) + int(halves[1])


def weighted_part(values: Floats, counts: NDArray[np.int64]) -> Part:
    """Measure values that occur `counts` times each, exactly but for the last rounding."""
    n = int(counts.sum())
    mean = math.fsum((values * counts).tolist()) / n
    m2 = math.fsum((counts * (values - mean) ** 2).tolist())
    return Part(n, mean, m2, absolute=math.fsum((np.abs(values) * counts).tolist()))


def pooled(parts: Sequence[Part | IntegerPart]) -> Part | IntegerPart:
    """Give the parts as one.

    Parts must not be empty, nor the sequence.
    """
    if isinstance(parts[0], IntegerPart):
        whole = [part for part in parts if isinstance(part, IntegerPart)]
        n = sum(part.n for part in whole)
        total = sum(part.total for part in whole)
        # Distances of means as exact fractions: the means themselves may have no digits left.
        apart = (one.n * ((one.total * n - total * one.n) / (one.n * n)) ** 2 for one in whole)
        m2 = math.fsum((*(one.m2 for one in whole), *apart))
        return IntegerPart(n, total, m2, sum(one.absolute for one in whole))
    return _pooled_floats([part for part in parts if isinstance(part, Part)])


def _pooled_floats(parts: Sequence[Part]) -> Part:
    exponent = max(part.exponent for part in parts)
    if any(part.exponent != exponent for part in parts):
        parts = [
            Part(
                part.n,
                math.ldexp(part.mean, shift),
                math.ldexp(part.m2, 2 * shift),
                math.ldexp(part.rest, shift),
                exponent,
                math.ldexp(part.absolute, shift),
            )
            for part in parts
            for shift in [part.exponent - exponent]
        ]
    n = sum(part.n for part in parts)
    mean = math.fsum(part.n * x for part in parts for x in (part.mean, part.rest)) / n
    # Distances from one of the means are exact where all are near each other.
    pivot = min(part.mean for part in parts)
    distances = [(part.mean - pivot) + part.rest for part in parts]
    middle = math.fsum(part.n * x for part, x in zip(parts, distances, strict=True)) / n
    apart = (part.n * (x - middle) ** 2 for part, x in zip(parts, distances, strict=True))
    m2 = math.fsum((*(part.m2 for part in parts), *apart))
    absolute = math.fsum(part.absolute for part in parts)
    return Part(n, mean, m2, middle - (mean - pivot), exponent, absolute)


def moments(part: Part | IntegerPart) -> Moments:
    """Give mean, deviation and norms of the elements of a part."""
    if isinstance(part, IntegerPart):
        part = Part(part.n, part.total / part.n, part.m2, absolute=float(part.absolute))
    std = math.sqrt(part.m2 / part.n)
    l2 = math.hypot(math.sqrt(part.m2), math.sqrt(part.n) * part.mean)
    figures = part.mean, std, part.absolute, l2
    return Moments(part.n, *(times_two_to(x, part.exponent) for x in figures))


def moments_of_rows(
    rows: Floats,
) -> tuple[tuple[list[float], ...], NDArray[np.bool_]]:
    """Give mean, deviation, L1 and L2 norm of sorted rows, as `moments` of its part are.

    Args:
        rows: values in ascending order, shape (rows, elements), fewer elements than a row of
            `inner_products` has.

    Returns:
        A list of each, and of which rows they are right: the others need care.
    """
    n = rows.shape[1]
    lows, highs = rows[:, 0], rows[:, -1]
    with np.errstate(all="ignore"):
        means = (0.0 + rows.sum(axis=1)) / n
        away = rows - means[:, None]
        m2 = np.vecdot(away, away)
        rests = 0.0 + away.sum(axis=1)
        m2 = np.maximum(0.0, m2 - rests * rests / n)
        largest = np.maximum(np.abs(lows), np.abs(highs))  # NaN is among the greatest
        is_constant = (lows == highs) & (largest < _LARGE)
        is_right = is_constant | ((largest > _SMALL) & (largest < _LARGE))
        means = np.where(is_constant, lows, means)
        m2 = np.where(is_constant, 0.0, m2)
        stds = np.sqrt(m2 / n).tolist()
        l1 = np.where(is_constant, n * np.abs(lows), 0.0 + np.abs(rows).sum(axis=1)).tolist()
        parts = np.sqrt(m2).tolist(), (math.sqrt(n) * means).tolist()
    return (means.tolist(), stds, l1, list(map(math.hypot, *parts))), is_right
