"""Parts of an array on disk, read with as few bytes and as few calls as make sense.

Places that are wanted and lie close together are read in one go and picked from;
a gap of more than `MAX_GAP` is skipped. One such read takes at most `SPAN_NBYTES`
of memory, whatever is wanted of a tensor of whatever size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.readers.extents import aligned_buffer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ckread.readers.regular_file import RegularFile

MAX_GAP = 1 << 15
"""Bytes: reading them costs less than another call."""

SPAN_NBYTES = 1 << 20


class StridedReader:
    """Reads the part of one array that a `range` per dimension picks."""

    def __init__(
        self, file: RegularFile, *, offset: int, shape: Sequence[int], ranges: Sequence[range]
    ) -> None:
        """Prepare to read.

        Args:
            file: an open file.
            offset: of the first byte of the array.
            shape: of the array.
            ranges: what is wanted of each dimension: within it, step 1 or more.
        """
        self._buffer = aligned_buffer(SPAN_NBYTES)
        self._file = file
        self._offset = offset
        self._shape = shape
        self._ranges = ranges

    def read_into(self, out: NDArray[Any]) -> None:
        """Fill `out`, whose shape is that of the ranges, with elements as they are stored.

        Raises:
            TruncatedFileError: the file ends before them.
        """
        if not out.size:
            return
        strides = [out.itemsize] * len(self._shape)
        for axis in reversed(range(len(self._shape) - 1)):
            strides[axis] = strides[axis + 1] * self._shape[axis + 1]
        places = list(zip(strides, self._ranges, strict=True))
        self._plan([stride * wanted.step for stride, wanted in places], out.itemsize)
        self._fill(out, 0, self._offset + sum(stride * wanted.start for stride, wanted in places))

    def _plan(self, steps: list[int], itemsize: int) -> None:
        """Measure each dimension, from the last to the first.

        `_spans[axis]` is the bytes from the first to the last that is wanted of this
        dimension and those after it; `_is_dense[axis]` tells whether no gap in them
        is worth skipping.
        """
        rank = len(steps)
        self._steps = steps
        self._spans = [itemsize] * (rank + 1)
        self._is_dense = [True] * (rank + 1)
        for axis in reversed(range(rank)):
            inner = self._spans[axis + 1]
            count = len(self._ranges[axis])
            self._spans[axis] = steps[axis] * (count - 1) + inner
            is_close = count == 1 or steps[axis] - inner <= MAX_GAP
            self._is_dense[axis] = self._is_dense[axis + 1] and is_close

    def _fill(self, out: NDArray[Any], axis: int, offset: int) -> None:
        """Fill `out`, of the dimensions from `axis` on, from `offset` in the file."""
        if axis == len(self._steps):
            self._read_span(out, axis, (offset, out.itemsize))
            return
        step, inner = self._steps[axis], self._spans[axis + 1]
        if not self._is_dense[axis] or inner > SPAN_NBYTES:
            for i in range(len(out)):
                self._fill(out[i, ...], axis + 1, offset + i * step)
            return
        n_together = (SPAN_NBYTES - inner) // step + 1
        for i in range(0, len(out), n_together):
            part = out[i : i + n_together]
            span = step * (len(part) - 1) + inner
            self._read_span(part, axis, (offset + i * step, span))

    def _read_span(self, out: NDArray[Any], axis: int, place: tuple[int, int]) -> None:
        offset, nbytes = place
        if nbytes == out.nbytes and out.flags.c_contiguous:
            self._file.pread_into(out.reshape(-1).view(np.uint8), offset)
            return
        buffer = self._buffer[:nbytes]
        self._file.pread_into(buffer, offset)
        out[...] = np.ndarray(out.shape, out.dtype, buffer, strides=self._steps[axis:])
