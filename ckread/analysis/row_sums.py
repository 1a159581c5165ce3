"""Sums and inner products of long float64 arrays, row by row.

`np.vecdot` on rows of 1,024 keeps BLAS in this thread: products of whole arrays would
start its threads, which are far slower on busy machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROW = 1024
_ONES = np.ones(_ROW)


def inner_product(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Sum x·y over two contiguous 1-D arrays of one length."""
    stop = x.size // _ROW * _ROW
    total = 0.0
    if stop:
        total = float(np.vecdot(x[:stop].reshape(-1, _ROW), y[:stop].reshape(-1, _ROW)).sum())
    return total + float(np.vecdot(x[stop:], y[stop:])) if stop < x.size else total


def inner_products(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum x·y over the rows of two contiguous 2-D arrays, with the bits of `inner_product`."""
    m, n = x.shape
    stop = n // _ROW * _ROW
    total = np.zeros(m)
    if stop:
        long_x, long_y = (z[:, :stop].reshape(m, -1, _ROW) for z in (x, y))
        total = np.vecdot(long_x, long_y).sum(axis=1)
    return total + np.vecdot(x[:, stop:], y[:, stop:]) if stop < n else total


def row_sum(x: NDArray[np.float64]) -> float:
    """Sum the elements of a contiguous 1-D array."""
    stop = x.size // _ROW * _ROW
    rows = float(np.vecdot(x[:stop].reshape(-1, _ROW), _ONES).sum()) if stop else 0.0
    return rows + float(x[stop:].sum()) if stop < x.size else rows
