"""From sums of squares to figures: norms, relative distances, cosines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.drift_kernel import Columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

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
