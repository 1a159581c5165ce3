"""From sums of squares to figures: norms, relative distances, cosines."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.drift_chunk import Columns
from ckread.analysis.drift_columns import changes
from ckread.analysis.drift_records import VariableDrift

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ckread.analysis.drift_columns import Column

_CLOSE = 0.9
"""Cosine above which the distance tells more digits of the angle than the product."""


def figures(
    sums: NDArray[np.float64], exponent: int, at: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Give l2, from_first, from_previous and cosine_to_first of each checkpoint.

    Args:
        sums: shape (checkpoints, columns), of values divided by 2**exponent.
        exponent: of the unit.
        at: indices of these checkpoints: a gap means that there is no checkpoint
            before to compare with.

    Returns:
        The figures, shape (checkpoints, 4); which of them there are; and NaN and
        infinite elements, shape (checkpoints, 2).
    """
    row = Columns(*sums.T)
    with np.errstate(all="ignore"):
        norms = np.sqrt(row.xx)
        first = _ratio(np.sqrt(row.from_first), norms[:1])
        before = np.concatenate([[np.nan], norms[:-1]])
        previous = _ratio(np.sqrt(row.from_previous), before)
        cosine = _cosine(row, norms)
        l2 = np.ldexp(norms, exponent)
    table = np.stack([l2, first, previous, cosine], axis=1)
    known = np.ones(table.shape, np.bool_)
    follows = np.diff(np.asarray(at), prepend=at[0] - 2) == 1
    known[:, 2] = follows
    known[:, 3] = (norms != 0) & (norms[0] != 0)
    counts = np.stack([row.nan, row.infinite], axis=1).astype(np.int64)
    return table, known, counts


def _ratio(distance: NDArray[np.float64], norm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; no distance from a norm of 0 is 0, any other is infinite."""
    return np.where(distance == 0, 0.0, distance / norm)


def _cosine(row: Columns, norms: NDArray[np.float64]) -> Any:
    """Give the cosine: where it is near 1 from the distance, which keeps the digits of 1 − cos."""
    product = norms * norms[0]
    angle = row.inner / product
    close = 1 - (row.from_first - (norms - norms[0]) ** 2) / (2 * product)
    return np.clip(np.where(angle > _CLOSE, close, angle), -1.0, 1.0)


class Measured(NamedTuple):
    """The sums of a variable in the checkpoints that hold it in one shape.

    Attributes:
        at: indices of these checkpoints.
        sums: shape (checkpoints, columns); None where there are no numbers.
        exponent: values were divided by two to this power.
    """

    at: Sequence[int]
    sums: NDArray[np.float64] | None
    exponent: int


def drift_of(column: Column, eras: Sequence[Measured]) -> VariableDrift:
    """Put together the drift of a variable."""
    n = len(column.cells)
    table = np.full((n, 4), np.nan)
    counts = np.zeros((n, 2), np.int64)
    known = np.zeros((n, 4), np.bool_)
    for at, sums, exponent in eras:
        if sums is not None and len(sums):
            table[at], known[at], counts[at] = figures(sums, exponent, at)
    columns: list[list[float | None]] = table.T.tolist()
    for number, index in np.argwhere(~known.T).tolist():
        columns[number][index] = None
    nonfinite = np.flatnonzero(counts.any(axis=1))
    changed = changes(column.cells)
    return replace(
        VariableDrift.of(column, _by_value(changed, columns[2])),
        l2=tuple(columns[0]),
        from_first=tuple(columns[1]),
        from_previous=tuple(columns[2]),
        cosine_to_first=tuple(columns[3]),
        nan=tuple(counts[:, 0].tolist()),
        infinite=tuple(counts[:, 1].tolist()),
        first_nonfinite=int(nonfinite[0]) if nonfinite.size else None,
    )


def _by_value(
    changed: Sequence[bool | None], from_previous: Sequence[float | None]
) -> Iterable[bool | None]:
    """Tell by the values where no checksum does."""
    for by_checksum, distance in zip(changed, from_previous, strict=True):
        if by_checksum is not None or distance is None or math.isnan(distance):
            yield by_checksum
        else:
            yield distance != 0
