"""Parts and chunks of a tensor that its format lets us read only whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ckread.readers.contract import Index


def part_of(whole: NDArray[np.generic], index: Index) -> NDArray[np.generic]:
    """Give what an index picks: always an array, 0-d where it picks one element."""
    part: Any = whole[index]
    if isinstance(part, np.ndarray):
        return part
    scalar = np.empty((), whole.dtype)
    scalar[()] = part
    return scalar


def chunks_of(whole: NDArray[np.generic], nbytes: int) -> Iterator[NDArray[np.generic]]:
    """Yield the elements in C order as 1-D arrays of at most `nbytes` bytes."""
    flat = whole.reshape(-1)
    step = max(1, nbytes // max(1, flat.itemsize))
    for start in range(0, len(flat), step):
        yield flat[start : start + step]
