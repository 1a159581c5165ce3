"""The values of HDF5 datasets: whole, in part, or as a stream.

Contiguous datasets are plain bytes and are read with `pread` like those of a
TensorFlow checkpoint. Compact and chunked ones and strings go through HDF5, slab by
slab, so that no more than a slab is in memory at a time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.errors import UnsupportedFeatureError
from ckread.readers.arrays import empty_array
from ckread.readers.contract import DataType, numpy_dtype
from ckread.readers.slices import iter_slabs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ckread.readers.hdf5.file import Dataset, HDF5File

MAX_STRINGS_NBYTES = 1 << 30
_CHUNKS_AT_ONCE = 1 << 12
_AT_ONCE_NBYTES = 256 << 20


def read_part(file: HDF5File, dataset: Dataset, index: tuple[Any, ...]) -> NDArray[np.generic]:
    """Give a part of a dataset as an array, 0-d where the index leaves no dimension.

    Raises:
        UnsupportedFeatureError: the type has no array form.
        CorruptCheckpointError: HDF5 cannot read it.
    """
    if dataset.dtype is DataType.UNKNOWN:
        raise UnsupportedFeatureError(
            f"{dataset.path!r} has a type that no tensor has", path=file.path, name=file.name
        )
    wanted = numpy_dtype(dataset.dtype)
    # `file.chunk_shape` sees that it was written, before memory is taken.
    if dataset.dtype is DataType.STRING:
        file.chunk_shape(dataset.path)
        strings = empty_array((math.prod(dataset.shape),), DataType.STRING)
        strings[:] = file.strings(dataset, MAX_STRINGS_NBYTES)
        return np.array(strings.reshape(dataset.shape)[index], object)
    if 0 in dataset.shape:
        empty: NDArray[np.generic] = np.empty(dataset.shape, wanted)[index]
        return empty
    if index:
        return file.values(dataset, index)
    file.chunk_shape(dataset.path)
    whole = empty_array(dataset.shape, dataset.dtype)
    for slab in _slabs(file, dataset, min(whole.size, _AT_ONCE_NBYTES // wanted.itemsize)):
        whole[slab] = file.values(dataset, slab)
    return whole


def _slabs(file: HDF5File, dataset: Dataset, n_elements: int) -> Iterator[tuple[slice, ...]]:
    """Cut a dataset into slabs of few chunks: HDF5 takes seven kilobytes for each of a read."""
    chunk = file.chunk_shape(dataset.path)
    while chunk and n_elements > 1:
        first = next(iter_slabs(dataset.shape, n_elements), ())
        touched = (-(-stop // size) for (_, stop), size in zip(first, chunk, strict=True))
        if math.prod(touched) <= _CHUNKS_AT_ONCE:
            break
        n_elements //= 2
    for slab in iter_slabs(dataset.shape, max(1, n_elements)):
        yield tuple(slice(*bounds) for bounds in slab)


def iter_parts(file: HDF5File, dataset: Dataset, nbytes: int) -> Iterator[NDArray[np.generic]]:
    """Yield a dataset in C order as 1-D arrays of at most `nbytes` bytes; strings all at once."""
    if dataset.dtype is DataType.STRING:
        yield read_part(file, dataset, ()).reshape(-1)
        return
    if 0 in dataset.shape or not dataset.dtype.itemsize:
        yield read_part(file, dataset, ()).reshape(-1)
        return
    for slab in _slabs(file, dataset, max(1, nbytes // dataset.dtype.itemsize)):
        yield file.values(dataset, slab).reshape(-1)
