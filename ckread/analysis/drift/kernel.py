"""The kernel of drift: one piece of a variable through all checkpoints, chunk by chunk.

Each byte of the run is read once, and verified. Where the checksums say that the
checkpoint before has the same values, its sums are taken over.

Three work buffers hold a chunk of the first checkpoint, of the one before and of the
one at hand, in float64; differences take the place of the one before. The fewer there
are, the more of them stays in the second-level cache.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.norms import are_alike, inner_from_distance
from ckread.analysis.row_sums import inner_product, inner_products
from ckread.analysis.scan import Grid, chunk_buffer
from ckread.readers.contract import DataType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ckread.analysis.scan import Chunks
    from ckread.readers.contract import Extent

    Floats = NDArray[np.float64]

CHUNK_ELEMENTS = 1 << 16
"""Elements of one chunk: 256 KiB of float32, the optimum that was measured."""
GRID = Grid(16 * CHUNK_ELEMENTS, CHUNK_ELEMENTS, is_together=True)
"""A piece is 4 MiB of float32, in each of the checkpoints."""

_RANGE = (1e-280, 1e300)

WIDE = frozenset({DataType.FLOAT64, DataType.COMPLEX128})
"""Types whose squares may leave the range of float64."""


class Sums(NamedTuple):
    """The sums that figures are made of, each one per checkpoint."""

    xx: Floats
    """‖x‖²."""
    from_first: Floats
    """‖x − first‖²."""
    from_previous: Floats
    """‖x − previous‖²."""
    inner: Floats
    """x · first."""
    nan: Floats
    infinite: Floats


N_SUMS = len(Sums._fields)


class ChunkSums:
    """The sums of one chunk through the checkpoints.

    Attributes:
        extreme: largest magnitude, where squares left the range of float64.
    """

    def __init__(self, exponent: int) -> None:
        self._exponent = exponent
        self._rows: list[list[float]] = []
        self._buffers: list[Floats] = []
        self._first = self._previous = np.empty(0)
        self.extreme = 0.0

    def repeat(self) -> None:
        """Take over the sums of the checkpoint before, whose values are the same."""
        row = self._rows[-1].copy()
        row[2] = math.nan if row[4] or row[5] else 0.0
        self._rows.append(row)

    def add(self, values: NDArray[Any], *, is_wide: bool) -> None:
        """Add the values of the next checkpoint."""
        if values.dtype.kind == "c":
            values = values.view(f"<f{values.itemsize // 2}")
        if not self._rows:
            # Room for twice the elements: a complex number is two floats.
            buffers = (chunk_buffer(CHUNK_ELEMENTS * 16, number=number) for number in (1, 2, 3))
            self._buffers = [buffer.view(np.float64)[: values.size] for buffer in buffers]
            self._first = self._previous = self._buffers[0]
        first, x, spare = self._buffers
        if not self._rows:
            x = first
        elif self._previous is x:
            x, spare = spare, x
        np.copyto(x, values, casting="unsafe")
        if self._exponent:
            np.ldexp(x, -self._exponent, out=x)
        xx = inner_product(x, x)
        nan = infinite = 0
        if not math.isfinite(xx):
            nan = int(np.count_nonzero(np.isnan(x)))
            infinite = int(np.count_nonzero(np.isinf(x)))
        if is_wide and not (nan or infinite) and not _RANGE[0] < xx < _RANGE[1]:
            self.extreme = max(self.extreme, float(np.abs(x).max(initial=0)))
        if not self._rows:
            self._rows.append([xx, xx * 0, math.nan, xx, nan, infinite])
            return
        from_previous = _distance(x, self._previous, spare)
        from_first = from_previous
        if self._previous is not self._first:
            from_first = _distance(x, self._first, spare)
        ff = self._rows[0][0]
        if are_alike(xx, ff):
            inner = inner_from_distance(xx, ff, from_first)
        else:
            inner = inner_product(x, self._first)
        self._rows.append([xx, from_first, from_previous, inner, nan, infinite])
        self._previous = x

    def rows(self) -> Floats:
        """Give the sums, shape (checkpoints, N_SUMS)."""
        return np.array(self._rows, np.float64)


def _distance(x: Floats, y: Floats, spare: Floats) -> float:
    np.subtract(x, y, out=spare)
    return inner_product(spare, spare)


class Measured(NamedTuple):
    """What a piece gave.

    Attributes:
        sums: float64, shape (checkpoints, N_SUMS); see `Sums`.
        extreme: largest magnitude, where squares left the range of float64.
    """

    sums: Floats
    extreme: float


def measure(extents: Sequence[Extent], exponent: int, chunks: Chunks) -> Measured:
    """Measure a variable through the checkpoints, in any process: the kernel."""
    contents = [(extent.crc32c, extent.dtype, extent.big_endian) for extent in extents]
    # What has the checksum of the one before is read all the same, and verified.
    repeats = [False, *(a == b and a[0] is not None for a, b in pairwise(contents))]
    are_wide = [extent.dtype in WIDE for extent in extents]
    sums = np.zeros((len(extents), N_SUMS))
    extreme = 0.0
    with np.errstate(all="ignore"):
        for arrays in chunks:
            chunk = ChunkSums(exponent)
            for is_repeat, is_wide, values in zip(repeats, are_wide, arrays, strict=True):
                if is_repeat:
                    chunk.repeat()
                else:
                    chunk.add(values, is_wide=is_wide)
            sums += chunk.rows()
            extreme = max(extreme, chunk.extreme)
    return Measured(sums, extreme)


class Rows:
    """The sums of small variables of one size, which are the rows of an array per checkpoint.

    All sums have the same bits as those of `measure`.
    """

    def __init__(self, dtypes: Sequence[DataType], exponent: int) -> None:
        self._dtypes = dtypes
        self._exponent = exponent
        self._n = 0
        self._first = self._previous = np.empty((0, 0))
        self._sums = np.zeros((0, len(dtypes), N_SUMS))
        self._extremes = np.zeros(0)

    def add(self, values: NDArray[Any]) -> None:
        """Add the next checkpoint: shape (variables, elements)."""
        at, dtype = self._n, self._dtypes[self._n]
        self._n += 1
        x = values.view(f"f{values.itemsize // 2}") if values.dtype.kind == "c" else values
        with np.errstate(all="ignore"):
            x = x.astype(np.float64)
            if self._exponent:
                np.ldexp(x, -self._exponent, out=x)
            if not at:
                self._first = self._previous = x
                self._sums = np.zeros((len(x), len(self._dtypes), N_SUMS))
                self._extremes = np.zeros(len(x))
            xx = inner_products(x, x)
            row = self._sums[:, at]
            row[:, 0] = xx
            if not np.isfinite(xx).all():
                row[:, 4] = np.count_nonzero(np.isnan(x), axis=1)
                row[:, 5] = np.count_nonzero(np.isinf(x), axis=1)
            if dtype in WIDE:
                is_out = (xx <= _RANGE[0]) | (xx >= _RANGE[1])
                is_out &= (row[:, 4] == 0) & (row[:, 5] == 0)
                largest = np.maximum(self._extremes, np.abs(x).max(axis=1))
                self._extremes = np.where(is_out, largest, self._extremes)
            if not at:
                row[:, 1], row[:, 2], row[:, 3] = xx * 0, np.nan, xx
                return
            away = x - self._previous
            row[:, 1] = row[:, 2] = inner_products(away, away)
            if self._previous is not self._first:
                np.subtract(x, self._first, out=away)
                row[:, 1] = inner_products(away, away)
            ff = self._sums[:, 0, 0]
            alike = are_alike(xx, ff)
            row[:, 3] = inner_from_distance(xx, ff, row[:, 1])
            if not alike.all():
                row[:, 3] = np.where(alike, row[:, 3], inner_products(x, self._first))
            self._previous = x

    def results(self) -> list[Measured | None]:
        """Give the sums of each variable."""
        extremes = self._extremes.tolist()
        return [Measured(*found) for found in zip(self._sums, extremes, strict=True)]
