"""The kernel of drift: one piece of a variable through all checkpoints, chunk by chunk.

Each byte of the run is read once, and verified. Where the checksums say that the
checkpoint before has the same values, its sums are taken over.

Three work buffers hold a chunk of the first checkpoint, of the one before and of the
one at hand, in float64; differences take the place of the one before. The fewer there
are, the more of them stays in the second-level cache.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.norms import are_alike, inner_from_distance
from ckread.analysis.numbers import (
    MANY_BYTES,
    BytePairs,
    chunk_buffer,
    copy_as_floats,
    inner_product,
    inner_products,
    values_of,
)
from ckread.analysis.scan import Grid
from ckread.readers.contract import DataType, numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ckread.analysis.scan import Chunks
    from ckread.model.variable import Variable
    from ckread.readers.contract import Extent

    Floats = NDArray[np.float64]

CHUNK_ELEMENTS = 1 << 16
"""Elements of one chunk: 256 KiB of float32, the optimum that was measured."""
GRID = Grid(16 * CHUNK_ELEMENTS, CHUNK_ELEMENTS)
"""A piece is 4 MiB of float32, in each of the checkpoints."""
_BYTE_GRID = Grid(32 * CHUNK_ELEMENTS, 2 * CHUNK_ELEMENTS)
"""Of integers of one byte, whose sums are exact however they are cut."""
_COUNTED_GRID = Grid(1 << 24, 1 << 20)
"""Of floats of one byte: what is counted of a chunk is gone through once, 65,536 pairs."""

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
        self.extreme: float = 0.0

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
        copy_as_floats(values, x)
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


class ByteSums(ChunkSums):
    """The same of numbers of one byte, from how often which stand side by side."""

    def __init__(self, dtype: DataType) -> None:
        super().__init__(0)
        self._value = values_of(numpy_dtype(dtype))
        self._start = self._before = np.empty(0, np.uint8)

    def add(self, values: NDArray[Any], *, is_wide: bool) -> None:
        """Add the values of the next checkpoint."""
        first, x, spare = (chunk_buffer(_COUNTED_GRID.chunk, number=n) for n in (1, 2, 3))
        if not self._start.size:
            x = first
        elif self._before.base is x.base:
            x = spare
        x = x[: values.size]
        np.copyto(x, values.view(np.uint8))
        if not self._start.size:
            self._start = self._before = x
            return
        here, there, counts = _paired(x, self._start)
        y, y0 = self._value[here], self._value[there]
        if not self._rows:
            self._rows.append(_first_row(y0, counts))
        row = _first_row(y, counts)
        row[1] = row[2] = _weighted((y - y0) ** 2, counts)
        xx, ff = row[0], self._rows[0][0]
        is_alike = are_alike(xx, ff)
        row[3] = inner_from_distance(xx, ff, row[1]) if is_alike else _weighted(y * y0, counts)
        if self._before is not self._start:
            here, there, counts = _paired(x, self._before)
            row[2] = _weighted((self._value[here] - self._value[there]) ** 2, counts)
        self._rows.append(row)
        self._before = x

    def repeat(self) -> None:
        """Take over the sums of the checkpoint before, whose values are the same."""
        self.rows()
        super().repeat()

    def rows(self) -> Floats:
        """Give the sums, shape (checkpoints, N_SUMS)."""
        if not self._rows:
            here, _, counts = _paired(self._start, self._start)
            self._rows.append(_first_row(self._value[here], counts))
        return super().rows()


def _paired(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
    pairs = BytePairs()
    pairs.add(x, y)
    return pairs.used()


def _first_row(values: Floats, counts: NDArray[np.int64]) -> list[float]:
    """Give the sums of the first checkpoint, from its values and how often each occurs."""
    xx = _weighted(values * values, counts)
    nan, infinite = (int(counts[bad(values)].sum()) for bad in (np.isnan, np.isinf))
    return [xx, xx * 0, math.nan, xx, nan, infinite]


def _weighted(values: Floats, counts: NDArray[np.int64]) -> float:
    return float(np.sum(values * counts))


def _distance(x: Floats, y: Floats, spare: Floats) -> float:
    np.subtract(x, y, out=spare)
    return inner_product(spare, spare)


class Measured(NamedTuple):
    """What a piece gave.

    Attributes:
        sums: float64, shape (checkpoints, N_SUMS); see `Sums`. Of several, one after the other.
        extreme: largest magnitude, where squares left the range of float64; of each.
    """

    sums: Floats
    extreme: Any


def grid_of(cells: Sequence[Extent | Variable]) -> Grid:
    """Tell how the cells of a variable are cut."""
    if any(cell.dtype.itemsize > 1 for cell in cells):
        return GRID
    return _COUNTED_GRID if _are_counted(cells) else _BYTE_GRID


def _are_counted(cells: Sequence[Extent | Variable]) -> bool:
    """Tell whether all are of one type of floats of one byte: integers are copied faster."""
    dtype = cells[0].dtype
    is_narrow = dtype.itemsize == 1 and dtype.startswith("float")
    are_many = is_narrow and cells[0].nbytes >= MANY_BYTES
    return are_many and all(cell.dtype is dtype for cell in cells)


def measure(extents: Sequence[Extent], exponent: int, chunks: Chunks) -> Measured:
    """Measure a variable through the checkpoints, in any process: the kernel."""
    contents = [(extent.crc32c, extent.dtype, extent.big_endian) for extent in extents]
    # What has the checksum of the one before is read all the same, and verified.
    repeats = [False, *(a == b and a[0] is not None for a, b in pairwise(contents))]
    are_wide = [extent.dtype in WIDE for extent in extents]
    dtype = extents[0].dtype
    start = partial(ByteSums, dtype) if _are_counted(extents) else partial(ChunkSums, exponent)
    sums = np.zeros((len(extents), N_SUMS))
    extreme = 0.0
    with np.errstate(all="ignore"):
        for arrays in chunks:
            chunk = start()
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

    def __init__(self, dtypes: Sequence[DataType]) -> None:
        self._are_wide = np.array([dtype in WIDE for dtype in dtypes])
        self._first = self._previous = np.empty((0, 0))
        self._sums: list[NDArray[np.float64]] = []
        self._n = 0
        self._extremes: Any = 0.0

    def add(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Add the next checkpoints: shape (variables, elements) each."""
        lead = int(self._n > 0)
        m, n = arrays[0].shape
        n *= 2 if any(array.dtype.kind == "c" for array in arrays) else 1
        xs = np.empty((lead + len(arrays), m, n))
        with np.errstate(all="ignore"):
            for x, values in zip(xs[lead:], arrays, strict=True):
                is_complex = values.dtype.kind == "c"
                parts = values.view(f"f{values.itemsize // 2}") if is_complex else values
                copy_as_floats(parts, x)
            if lead:
                xs[0] = self._previous
            else:
                self._first = xs[0].copy()
            self._sums.append(self._sums_of(xs, lead))
        self._previous = xs[-1].copy()
        self._n += len(arrays)

    def _sums_of(self, xs: Floats, lead: int) -> Floats:
        """Give the sums of checkpoints, the first of which is known where another was before."""
        k, m, n = xs.shape
        found = np.zeros((N_SUMS, k, m))
        xx, from_first, from_previous, inner, nan, infinite = found
        xx[:] = inner_products(xs.reshape(-1, n), xs.reshape(-1, n)).reshape(k, m)
        away = xs - self._first
        from_first[:] = inner_products(away.reshape(-1, n), away.reshape(-1, n)).reshape(k, m)
        away = xs[1:] - xs[:-1]
        steps = inner_products(away.reshape(-1, n), away.reshape(-1, n)).reshape(k - 1, m)
        from_previous[1:] = steps
        if not np.isfinite(xx).all():
            nan[:] = np.count_nonzero(np.isnan(xs), axis=2)
            infinite[:] = np.count_nonzero(np.isinf(xs), axis=2)
        are_wide = self._are_wide[self._n - lead : self._n - lead + k]
        if are_wide.any():
            is_out = (xx <= _RANGE[0]) | (xx >= _RANGE[1])
            is_out &= (nan == 0) & (infinite == 0) & are_wide[:, None]
            largest = np.where(is_out, np.abs(xs).max(axis=2), 0.0).max(axis=0)
            self._extremes = np.maximum(self._extremes, largest)
        ff = xx[0] if not lead else self._sums[0][0, 0]
        alike = are_alike(xx, ff)
        inner[:] = inner_from_distance(xx, ff, from_first)
        if not alike.all():
            first = np.broadcast_to(self._first, xs.shape).reshape(-1, n)
            products = inner_products(xs.reshape(-1, n), first).reshape(k, m)
            inner[:] = np.where(alike, inner, products)
        if not lead:
            from_first[0], from_previous[0], inner[0] = xx[0] * 0, np.nan, xx[0]
        return found[:, lead:]

    def results(self) -> tuple[Measured, NDArray[np.bool_]]:
        """Give the sums of all variables, shape (variables, checkpoints, N_SUMS)."""
        sums = np.concatenate(self._sums, axis=1).transpose(2, 1, 0)
        m = len(sums)
        return Measured(sums, np.zeros(m) + self._extremes), np.ones(m, np.bool_)
