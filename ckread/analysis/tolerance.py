"""When two values count as equal: bit for bit, or close enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ckread.errors import UsageError


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Two values are equal where |b − a| ≤ atol + rtol · max(|a|, |b|).

    Symmetric, so that a diff and its mirror image agree. With both 0 values are
    compared bit for bit: -0 then differs from 0, and a NaN from one of other bits.
    With a tolerance -0 equals 0 and any NaN equals any NaN.

    Attributes:
        rtol: relative part.
        atol: absolute part.
    """

    rtol: float = 0.0
    atol: float = 0.0

    def __post_init__(self) -> None:
        for option, value in (("--rtol", self.rtol), ("--atol", self.atol)):
            if not 0 <= value < math.inf:
                raise UsageError(f"{option} {value}: expected a finite number of 0 or more")

    @property
    def is_bitwise(self) -> bool:
        """Whether values are compared bit for bit."""
        return self.rtol == 0 and self.atol == 0
