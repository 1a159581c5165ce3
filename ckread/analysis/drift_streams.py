"""Drift of what has no plain bytes: compressed, partitioned, of another format.

Each checkpoint is streamed beside the first and the one before it: three times the
reading, but three chunks of memory, whatever the number of checkpoints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.drift_chunk import N_COLUMNS
from ckread.analysis.row_sums import inner_product
from ckread.analysis.value_pairs import iter_side_by_side
from ckread.errors import CheckpointError
from ckread.readers.dtypes import DataType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.model.variable import Variable

    Floats = NDArray[np.float64]

PIECE_ELEMENTS = 1 << 16


class Unreadable(NamedTuple):
    """Which of the checkpoints cannot be read, and why."""

    which: int
    error: CheckpointError


def measure_streams(cells: Sequence[Variable]) -> Floats | Unreadable | None:
    """Give the sums of a variable in each checkpoint; None for what holds no numbers."""
    if not cells[0].dtype.is_plain or cells[0].dtype is DataType.STRING:
        return None
    sums = np.zeros((len(cells), N_COLUMNS))
    for j, cell in enumerate(cells):
        with np.errstate(all="ignore"):
            try:
                sums[j] = _measure(cell, cells[0], cells[max(j - 1, 0)], is_first=j == 0)
            except CheckpointError as error:
                return Unreadable(_culprit(cells, j), error)
    return sums


def _measure(x: Variable, first: Variable, before: Variable, *, is_first: bool) -> Floats:
    row = np.zeros(N_COLUMNS)
    if is_first:
        for piece in _pieces(x):
            row += _own(piece)
        row[3] = row[0]
        row[2] = np.nan
        return row
    for here, there in iter_side_by_side(_pieces(x), _pieces(first)):
        row += _own(here)
        row[1] += _squared(here - there)
        row[3] += inner_product(here, there)
    for here, there in iter_side_by_side(_pieces(x), _pieces(before)):
        row[2] += _squared(here - there)
    return row


def _pieces(variable: Variable) -> Iterator[Floats]:
    """Give the values as float64, a complex number as two."""
    for chunk in variable.chunks():
        values: NDArray[Any] = chunk
        if values.dtype.kind == "c":
            values = values.view(f"{values.dtype.byteorder}f{values.itemsize // 2}")
        for start in range(0, values.size, PIECE_ELEMENTS):
            yield values[start : start + PIECE_ELEMENTS].astype(np.float64)


def _own(x: Floats) -> Floats:
    row = np.zeros(N_COLUMNS)
    row[0] = _squared(x)
    if not np.isfinite(row[0]):
        row[4], row[5] = np.count_nonzero(np.isnan(x)), np.count_nonzero(np.isinf(x))
    return row


def _squared(x: Floats) -> float:
    return inner_product(x, x)


def _culprit(cells: Sequence[Variable], j: int) -> int:
    """Find which of the three checkpoints that were read cannot be."""
    for index in (j, max(j - 1, 0), 0):
        try:
            for _ in cells[index].chunks():
                pass
        except CheckpointError:
            return index
    return j
