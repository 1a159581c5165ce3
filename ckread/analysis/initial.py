"""Whether values look as they did before any training: zeros, a constant, Keras's draws.

That a tensor is all 0 is a fact; that its elements fill the bounds of a draw is what a draw
would look like, and weights that were trained do not: training moves some element of
thousands beyond the bounds, or all away from them.

Reference: keras/src/initializers/random_initializers.py, VarianceScaling
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CheckpointError
from ckread.readers.contract import DataType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckread.model.variable import Variable

KERNELS = ("kernel", "weights", "depthwise_kernel")
_MAX_NBYTES = 256 << 20
"""Values that never moved, of a run, that are looked at."""
_NEAR_BOUND = 0.01
"""How near its bounds a draw must come to be told from weights that were trained."""


class Draw(NamedTuple):
    """A random draw that an initializer makes: `Glorot's uniform`, from -bound to bound."""

    name: str
    bound: float


def draw_of(kernel: Variable, low: float, high: float) -> Draw | None:
    """Give the draw whose bounds a kernel fills that is nowhere below `low` or above `high`."""
    leaf = kernel.name.rpartition("/")[2]
    is_kernel = leaf in KERNELS and len(kernel.shape) > 1 and kernel.dtype == DataType.FLOAT32
    is_few = kernel.elements * 0.5 * _NEAR_BOUND <= 8  # to come near the bounds of any draw below
    if not is_kernel or is_few or not low or not high:
        return None
    field = math.prod(kernel.shape[:-2])
    fan_in, fan_out = (field * size for size in kernel.shape[-2:])
    for name, variance in (("Glorot's", 2 / (fan_in + fan_out)), ("He's", 2 / fan_in)):
        # Of a normal draw Keras keeps what is within two deviations, and widens it for that.
        for draw, bound, density in (
            ("uniform", math.sqrt(3 * variance), 0.5),
            ("normal", 2 * math.sqrt(variance) / 0.87962566103423978, 0.113),
        ):
            gap = 8 / (kernel.elements * density)  # e^-8 of draws stay farther from a bound
            nearest, farthest = sorted((-low / bound, high / bound))
            if gap < _NEAR_BOUND and 1 - gap < nearest and farthest <= 1 + 1e-6:
                return Draw(f"{name} {draw}", bound)
    return None


def initials_of(variables: Iterable[Variable]) -> Iterator[str | None]:
    """Tell of each what it looks like, as long as there is not too much to read."""
    left = _MAX_NBYTES
    for variable in variables:
        is_read = variable.nbytes <= left
        left -= variable.nbytes if is_read else 0
        yield initial_of(variable) if is_read else None


def initial_of(variable: Variable) -> str | None:
    """Say what values look like that never moved: `all 0`, `as Glorot's uniform draw`; or None.

    The values are read once; None where they cannot be.
    """
    if not variable.dtype.is_plain or "float" not in variable.dtype or not variable.elements:
        return None
    low, high = math.inf, -math.inf
    try:
        for chunk in variable.chunks():
            least, most = float(chunk.min()), float(chunk.max())
            if math.isnan(least):  # which `min` would pass over
                return None
            low, high = min(low, least), max(high, most)
    except CheckpointError:
        return None
    if low == high:
        return f"all {low:g}"
    draw = draw_of(variable, low, high)
    return f"as {draw.name} draw would be" if draw else None
