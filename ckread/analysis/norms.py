"""Norms, inner products and angles of vectors, from sums of squares and without losing digits.

Where x and y are close, x·y = (‖x‖² + ‖y‖² − ‖x − y‖²) / 2 costs no pass over them, and

    cos = 1 − (‖x − y‖² − (‖x‖ − ‖y‖)²) / 2‖x‖‖y‖

keeps the digits of 1 − cos that the product loses; far apart it is the other way round.
Floats or arrays of them alike, and so without numpy.
"""

from __future__ import annotations

import math
from typing import Any

CLOSE = 0.9
"""Cosine above which the distance tells more digits of the angle than the product."""
_ALIKE = 100.0


def times_two_to(value: float, exponent: int) -> float:
    """Give value · 2^exponent, infinite if that is too large for a float."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)


def are_alike(xx: Any, yy: Any) -> Any:
    """Tell by squared norms whether the inner product follows from the distance."""
    return (xx <= _ALIKE * yy) & (yy <= _ALIKE * xx)


def inner_from_distance(xx: Any, yy: Any, dd: Any) -> Any:
    """Give the inner product from squared norms and the squared distance."""
    return (xx + yy - dd) / 2


def cosine_from_distance(x: Any, y: Any, dd: Any) -> Any:
    """Give the cosine from the norms, which are not 0, and the squared distance."""
    return 1 - (dd - (x - y) ** 2) / (2 * x * y)
