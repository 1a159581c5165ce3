"""What every kernel does with chunks of numbers: buffers, float64 copies, sums, counts of bits.

Types of one byte have 256 values: how often each stands beside each is all that any figure of
a pair needs, so that these are counted, not computed (`BytePairs`).
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.readers.contract import CHUNK_NBYTES
from ckread.readers.extents import aligned_buffer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]

_local = threading.local()


def chunk_buffer(nbytes: int = CHUNK_NBYTES, *, number: int = 0) -> NDArray[np.uint8]:
    """Give this thread's own aligned buffer, the same one every time."""
    buffers: dict[tuple[int, int], NDArray[np.uint8]] = _local.__dict__.setdefault("buffers", {})
    if (number, nbytes) not in buffers:
        buffers[number, nbytes] = aligned_buffer(nbytes)
    return buffers[number, nbytes]


def copy_as_floats(values: NDArray[Any], out: NDArray[np.float64]) -> None:
    """Copy numbers of any real type as float64, those of float8 by a table.

    Both are contiguous, of one size.
    """
    if values.dtype.itemsize == 1 and values.dtype.name.startswith("float"):
        np.take(values_of(values.dtype), values.view(np.uint8), out=out, mode="clip")
    elif values.dtype != np.float16 or not _copy_halves(values.reshape(-1), out.reshape(-1)):
        np.copyto(out, values, casting="unsafe")


def _copy_halves(values: NDArray[np.float16], out: NDArray[np.float64]) -> bool:
    """Copy float16 in half the time a cast takes, if all is finite: tell whether it is.

    Its bits with three more for the exponent are those of a float32, but for a power of two.
    """
    signed, unsigned = values.view(np.int16), values.view(np.uint16)
    if signed.max(initial=0) >= _INFINITE or unsigned.max(initial=0) >= _NEGATIVE_INFINITE:
        return False
    scratch = chunk_buffer(4 * _STEP, number=11).view(np.int32)
    for start in range(0, values.size, _STEP):
        bits = scratch[: min(_STEP, values.size - start)]
        np.copyto(bits, signed[start : start + _STEP])
        np.left_shift(bits, 13, out=bits)
        np.bitwise_and(bits.view(np.uint32), 0x8FFFFFFF, out=bits.view(np.uint32))
        floats = bits.view(np.float32)
        np.copyto(out[start : start + _STEP], np.multiply(floats, _UNIT, out=floats))
    return True


_STEP = 65_536
_INFINITE, _NEGATIVE_INFINITE = 0x7C00, 0xFC00
_UNIT = np.float32(2.0**112)


@cache
def values_of(dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Give the value of each byte as a type of one byte has it."""
    return np.arange(256, dtype=np.uint8).view(dtype).astype(np.float64)


# Sums and inner products of long float64 arrays, row by row.
#
# `np.vecdot` on rows of 1,024 keeps BLAS in this thread: products of whole arrays would
# start its threads, which are far slower on busy machines.


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


# How often patterns of 16 bits occur.


def count_words(
    words: NDArray[np.unsignedinteger[Any]], counts: Counts, scratch: NDArray[np.uint8]
) -> None:
    """Count numbers of 16 bits, or the upper halves of such of 32.

    `scratch` has 8 bytes for each of them. An index that `np.add.at` takes as it is makes it twice
    as fast as `np.bincount` is.
    """
    index = scratch[: 8 * words.size].view(np.uint64)
    shift = 16 if words.itemsize == 4 else 0
    np.right_shift(words, shift, out=index, casting="unsafe")
    np.add.at(counts, index.view(np.intp), 1)


MANY_BYTES = 1 << 14
"""Elements of one byte from which on to count them costs less than to compute with them."""


class BytePairs:
    """How often each byte stands beside each in two streams of numbers of one byte.

    Attributes:
        counts: int64, shape (256, 256), by the byte of the second and that of the first.
    """

    def __init__(self) -> None:
        self.counts: Counts = np.zeros((256, 256), np.int64)

    def add(self, a: NDArray[Any], b: NDArray[Any]) -> None:
        """Count the next stretch: contiguous 1-D arrays of one length."""
        words, scratch = (chunk_buffer(k * _STEP, number=n) for k, n in ((2, 9), (8, 10)))
        for start in range(0, a.size, _STEP):
            x, y = (side[start : start + _STEP].view(np.uint8) for side in (a, b))
            both = words[: 2 * x.size].view(np.uint16)
            np.left_shift(y, 8, out=both, dtype=np.uint16)
            np.bitwise_or(both, x, out=both)
            count_words(both, self.counts.reshape(-1), scratch)

    def used(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Counts]:
        """Give the pairs that occur: their bytes on both sides, and how often they do."""
        b, a = np.nonzero(self.counts)
        return a.astype(np.uint8), b.astype(np.uint8), self.counts[b, a]
