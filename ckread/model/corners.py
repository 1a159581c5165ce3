"""The corners of an array: all that an abbreviated print of it shows.

Of a dimension longer than twice the edge, only the elements at either end are read;
one filler between them stands for the rest. A tensor of any size takes some bytes.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from ckread.readers.dtypes import numpy_dtype

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ckread.model.variable import Variable
    from ckread.readers.contract import Index

_Piece = tuple["slice", "slice"]
"""What to read of a dimension, and where it goes in the result."""


def read_corners(variable: Variable, index: Index, edge: int) -> NDArray[np.generic]:
    """Read the first and last `edge` elements in every dimension of a part.

    Args:
        variable: of which.
        index: the part: one integer or slice per dimension.
        edge: elements at either end.

    Raises:
        CheckpointError: as `Variable.read`.
    """
    import numpy as np

    pieces = [_pieces(item, edge) for item in index if isinstance(item, slice)]
    if not pieces:
        return variable.read(index)
    shape = [dimension[-1][1].stop for dimension in pieces]
    corners = np.zeros(shape, numpy_dtype(variable.dtype))
    for chosen in product(*pieces):
        rest = iter(chosen)
        part = tuple(item if isinstance(item, int) else next(rest)[0] for item in index)
        corners[tuple(place for _, place in chosen)] = variable.read(part)
    return corners


def _pieces(item: slice, edge: int) -> list[_Piece]:
    """Split a dimension in its ends; an end is taken whole if the filler would not pay."""
    positions = range(item.start, item.stop, item.step)
    if len(positions) <= 2 * edge + 1:
        return [(item, slice(0, len(positions)))]
    head, tail = positions[:edge], positions[-edge:]
    return [
        (slice(head.start, head.stop, item.step), slice(0, edge)),
        (slice(tail.start, tail.stop, item.step), slice(edge + 1, 2 * edge + 1)),
    ]
