"""Norms, inner products and angles of vectors, from sums of squares and without losing digits.

Where x and y are close, x·y = (‖x‖² + ‖y‖² − ‖x − y‖²) / 2 costs no pass over them, and

    cos = 1 − (‖x − y‖² − (‖x‖ − ‖y‖)²) / 2‖x‖‖y‖

keeps the digits of 1 − cos that the product loses; far apart it is the other way round.

How far each is off, in units of the error of a sum, with r the ratio of the greater norm to
the less: what is subtracted loses at most the error of what it is subtracted from, so that

    x·y / ‖x‖‖y‖            1           Σ|xᵢyᵢ| ≤ ‖x‖‖y‖
    cos by the distance     (r − 1) + (r − 1)² / 2r + (1 − cos)
    x·y by the distance     r + 1/r     relative to ‖x‖‖y‖

The second is less than the first up to r = 1.8 where cos is near 1; at r = 1.5 it is 0.6, and
the third 2.2, hardly more than the 2 of equal norms.

Reference: N. Higham, Accuracy and Stability of Numerical Algorithms (2002), 3.1 and 1.7
Floats or arrays of them alike, and so without numpy.
"""

from __future__ import annotations

import math
from typing import Any

_CLOSE = 0.9
"""Cosine above which the distance tells more digits of the angle than the product."""
_ALIKE = 1.5
"""How many times the other a norm is at most where the distance is used at all."""


def times_two_to(value: float, exponent: int) -> float:
    """Give value · 2^exponent, infinite if that is too large for a float."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)


def are_alike(xx: Any, yy: Any) -> Any:
    """Tell by squared norms whether the inner product follows from the distance."""
    return (xx <= _ALIKE**2 * yy) & (yy <= _ALIKE**2 * xx)


def distance_tells_more(angle: Any, x: Any, y: Any) -> Any:
    """Tell by norms, and the cosine as the product has it, whether the distance tells it better."""
    return (angle > _CLOSE) & (x <= _ALIKE * y) & (y <= _ALIKE * x)


def inner_from_distance(xx: Any, yy: Any, dd: Any) -> Any:
    """Give the inner product from squared norms and the squared distance."""
    return (xx + yy - dd) / 2


def cosine_from_distance(x: Any, y: Any, dd: Any) -> Any:
    """Give the cosine from the norms, which are not 0, and the squared distance."""
    return 1 - (dd - (x - y) ** 2) / (2 * x * y)
