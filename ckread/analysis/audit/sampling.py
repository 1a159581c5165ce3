"""How near the values of two checkpoints are, by a few thousand numbers read without numpy.

A listing has no time to read all values, and none is wanted where nothing is amiss. Where a
counter went back, the first numbers of each variable tell whether it went on or began anew.
"""

from __future__ import annotations

import math
import struct
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CheckpointError, UsageError
from ckread.model.variable import read_numbers
from ckread.readers.contract import DataType
from ckread.readers.files import RegularFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable

_HEAD = 8192
"""Numbers that are read of each variable, at most."""
_VARIABLES = 24
_CODES = {DataType.FLOAT32: "f", DataType.FLOAT64: "d"}


class Nearness(NamedTuple):
    """How two lots of numbers compare.

    Attributes:
        ratio: of the norms, the second over the first; infinite from a norm of 0.
        cosine: of the angle between them; None where a norm is 0.
        distance: of the two, relative to the norm of the first.
        below: share of the numbers of the second that are under `left` times those of the first.
        n_read: variables that were read.
        n_all: variables that could have been.
    """

    ratio: float
    cosine: float | None
    distance: float
    below: float
    n_read: int
    n_all: int

    @property
    def extent(self) -> str:
        """Say how much was read, for evidence."""
        which = "all" if self.n_read == self.n_all else f"{self.n_read} of"
        return f"{which} {self.n_all} variables, at most {_HEAD:,} numbers of each"


def nearness(
    before: Checkpoint, after: Checkpoint, is_meant: Callable[[Variable], bool], left: float = 0.0
) -> Nearness | None:
    """Compare the variables that both have; None where they have none, or none can be read."""
    pairs = [
        (before[variable.name], variable)
        for variable in after.values()
        if variable.dtype in _CODES and is_meant(variable) and variable.name in before
    ]
    pairs = [(a, b) for a, b in pairs if a.shape == b.shape and a.dtype == b.dtype]
    step = math.ceil(len(pairs) / _VARIABLES) or 1
    one = other = both = 0.0
    n_read = n_numbers = n_below = 0
    for a, b in pairs[::step]:
        try:
            ahead, behind = _head(a), _head(b)
        except (CheckpointError, UsageError):
            continue
        if ahead and behind:
            one, other = one + _dot(ahead, ahead), other + _dot(behind, behind)
            both += _dot(ahead, behind)
            n_read, n_numbers = n_read + 1, n_numbers + len(ahead)
            n_below += sum(y < left * x for x, y in zip(ahead, behind, strict=True))
    if not n_read or not math.isfinite(one + other):
        return None
    apart = math.sqrt(max(0.0, one + other - 2 * both))
    return Nearness(
        math.sqrt(other / one) if one else math.inf,
        both / math.sqrt(one * other) if one and other else None,
        apart / math.sqrt(one) if one else math.inf,
        n_below / n_numbers,
        n_read,
        len(pairs),
    )


def _head(variable: Variable) -> Sequence[float]:
    """Read the first numbers; none where they lie nowhere plainly, or are of another type.

    Raises:
        CheckpointError: their file is damaged, or not here.
    """
    if variable.dtype not in _CODES:
        return ()
    if variable.elements <= _HEAD:
        return read_numbers(variable)
    data = _head_bytes(variable)
    return struct.unpack(f"<{_HEAD}{_CODES[variable.dtype]}", data) if data else ()


def head_array(variable: Variable) -> NDArray[np.float64]:
    """Give the same as an array of float64."""
    import numpy as np

    if variable.dtype not in _CODES:
        return np.empty(0)
    if variable.elements <= _HEAD:
        return variable.numpy().reshape(-1).astype(np.float64)
    data = np.frombuffer(_head_bytes(variable), f"<{_CODES[variable.dtype]}")
    return data.astype(np.float64)


def _head_bytes(variable: Variable) -> bytes:
    """Read the bytes of the first numbers; none where they lie nowhere plainly."""
    first, *others = variable.extents() or (None,)
    if first is None or others or first.big_endian:
        return b""
    with RegularFile(first.path) as file:
        return file.pread(first.offset, _HEAD * variable.dtype.itemsize)


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return float(sum(map(mul, a, b)))
