"""What is known of elements exactly: how many, zeros, NaN, infinities, extremes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.bit_histogram import pattern_values
from ckread.analysis.moments import (
    IntegerPart,
    Part,
    constant_part,
    float_part,
    integer_part,
    weighted_part,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.analysis.bit_histogram import Counts
    from ckread.readers.dtypes import DataType


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of some elements exactly, and their moments.

    Attributes:
        elements: all of them.
        zeros: those that equal 0, of either sign.
        nan: those that are not a number.
        positive_infinite: those that are +Inf.
        negative_infinite: those that are -Inf.
        low: the least finite one, None if none is finite; an int for integer types.
        high: the greatest, likewise.
        part: moments of the finite ones, None if there are none.
    """

    elements: int
    zeros: int
    nan: int
    positive_infinite: int
    negative_infinite: int
    low: float | None
    high: float | None
    part: Part | IntegerPart | None

    @property
    def finite(self) -> int:
        """How many are neither NaN nor infinite."""
        return self.elements - self.nan - self.positive_infinite - self.negative_infinite


def tally_of_sorted(ordered: NDArray[Any], finite: NDArray[Any]) -> Tally:
    """Tally sorted values, NaN last, of which `finite` is the part that is finite."""
    n_nan = int(np.count_nonzero(ordered != ordered))
    n_positive = int(np.count_nonzero(ordered == np.inf))
    some = bool(finite.size)
    return Tally(
        elements=ordered.size,
        zeros=ordered.size - int(np.count_nonzero(ordered)),
        nan=n_nan,
        positive_infinite=n_positive,
        negative_infinite=ordered.size - finite.size - n_nan - n_positive,
        low=finite[0].item() if some else None,
        high=finite[-1].item() if some else None,
        part=_part_of_sorted(finite) if some else None,
    )


def _part_of_sorted(finite: NDArray[Any]) -> Part | IntegerPart:
    low, high = finite[0].item(), finite[-1].item()
    if finite.dtype.kind in "iu":
        return integer_part(finite, low, high)
    if low == high:
        return constant_part(float(low), finite.size)
    return float_part(finite.astype(np.float64), low, high)


def tally_of_patterns(counts: Counts, dtype: DataType) -> Tally:
    """Derive everything from how often each pattern of a type of 8 or 16 bits occurs."""
    used = np.flatnonzero(counts)
    values, counts = pattern_values(dtype)[used], counts[used]
    finite = np.isfinite(values)
    some = bool(finite.any())
    number = int if is_integral(dtype) else float
    return Tally(
        elements=int(counts.sum()),
        zeros=int(counts[values == 0].sum()),
        nan=int(counts[np.isnan(values)].sum()),
        positive_infinite=int(counts[values == np.inf].sum()),
        negative_infinite=int(counts[values == -np.inf].sum()),
        low=number(values[finite].min()) if some else None,
        high=number(values[finite].max()) if some else None,
        part=weighted_part(values[finite], counts[finite]) if some else None,
    )


def is_integral(dtype: DataType) -> bool:
    """Tell whether elements are whole numbers; truth values count as 0 and 1."""
    return dtype.value.startswith(("int", "uint", "qint", "quint", "bool"))
