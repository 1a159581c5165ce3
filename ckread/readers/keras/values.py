"""The values of HDF5 datasets: whole, in part, or as a stream.

Contiguous datasets are plain bytes and are read with `pread` like those of a
TensorFlow checkpoint. Compact and chunked ones, strings and packed int4 go through
HDF5, slab by slab, so that no more than a slab is in memory at a time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ckread.errors import CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.dtypes import DataType, numpy_dtype
from ckread.readers.keras.packed_int4 import packed_index, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.contract import Index
    from ckread.readers.hdf5.file import HDF5File
    from ckread.readers.hdf5.messages import Dataset
    from ckread.readers.keras.packed_int4 import Packing

MAX_STRINGS_NBYTES = 1 << 30
_STRINGS_AT_ONCE = 256


def read_part(
    file: HDF5File, dataset: Dataset, index: Index, packing: Packing | None
) -> NDArray[np.generic]:
    """Give a part of a dataset as an array, 0-d where the index leaves no dimension.

    Raises:
        UnsupportedFeatureError: the type has no array form.
        CorruptCheckpointError: HDF5 cannot read it.
    """
    import numpy as np

    if dataset.dtype is DataType.STRING:
        strings = np.empty(math.prod(dataset.shape), object)
        strings[:] = read_strings(file, dataset)
        part: NDArray[np.generic] = np.array(strings.reshape(dataset.shape)[index], object)
        return part
    if packing is None:
        return _read(file, dataset, index)
    outer, after, length = packed_index(index, packing)
    return np.asarray(unpack(_read(file, dataset, outer), packing.axis, length)[after])


def _read(file: HDF5File, dataset: Dataset, index: tuple[Any, ...]) -> NDArray[np.generic]:
    import numpy as np

    if dataset.dtype is DataType.UNKNOWN:
        raise UnsupportedFeatureError(
            f"{dataset.path!r} has a type that no tensor has", path=file.path, name=file.name
        )
    if 0 in dataset.shape:
        empty: NDArray[np.generic] = np.empty(dataset.shape, numpy_dtype(dataset.dtype))[index]
        return empty
    source = file.dataset(dataset.path)
    with file.guarded(repr(dataset.path)):
        values = np.asarray(source[index if dataset.shape else ()])
    wanted = numpy_dtype(dataset.dtype)
    if values.dtype.kind == "V":
        return values.view(wanted)
    return values.astype(wanted, copy=False)


def read_strings(file: HDF5File, dataset: Dataset) -> list[bytes]:
    """Give the elements of a string dataset in C order.

    Raises:
        CorruptCheckpointError: HDF5 cannot read them, or they expand without end.
        UnsupportedFeatureError: they are kept in a way that is not read here.
    """
    variable = file.variable_texts(dataset, MAX_STRINGS_NBYTES)
    if variable is not None:
        return variable
    source = file.dataset(dataset.path)
    nbytes = math.prod(dataset.shape) * source.dtype.itemsize
    if nbytes > MAX_STRINGS_NBYTES:
        found, most = f"{dataset.path!r} holds {nbytes} bytes of text", MAX_STRINGS_NBYTES
        raise CorruptCheckpointError(
            found, path=file.path, name=file.name, expected=f"at most {most}"
        )
    strings: list[bytes] = []
    for slab in iter_slabs(dataset.shape, _STRINGS_AT_ONCE):
        with file.guarded(repr(dataset.path)):
            value = source[slab]
        items = [value] if isinstance(value, bytes | str) else value.ravel().tolist()
        strings += [item if isinstance(item, bytes) else str(item).encode() for item in items]
    return strings


def iter_parts(
    file: HDF5File, dataset: Dataset, packing: Packing | None, nbytes: int
) -> Iterator[NDArray[np.generic]]:
    """Yield a dataset in C order as 1-D arrays of at most `nbytes` bytes.

    Raises:
        UnsupportedFeatureError: the type has no array form.
        CorruptCheckpointError: HDF5 cannot read it.
    """
    if dataset.dtype is DataType.STRING:
        yield read_part(file, dataset, (), None).reshape(-1)
        return
    per_element = 2 if packing else max(1, dataset.dtype.itemsize)
    for slab in iter_slabs(dataset.shape, max(1, nbytes // per_element)):
        part = _read(file, dataset, slab)
        if packing is None:
            yield part.reshape(-1)
            continue
        length = packing.shape[packing.axis]
        taken = slab[packing.axis] if packing.axis < len(slab) else slice(None)
        start, stop, _ = taken.indices(dataset.shape[packing.axis])
        yield unpack(part, packing.axis, min(2 * stop, length) - 2 * start).reshape(-1)


def iter_slabs(shape: tuple[int, ...], n_elements: int) -> Iterator[tuple[slice, ...]]:
    """Yield indices that cut an array into runs of at most `n_elements`, in C order."""
    if 0 in shape:
        return
    axis = 0
    while axis < len(shape) and math.prod(shape[axis + 1 :]) > n_elements:
        axis += 1
    if axis == len(shape):
        for position in _positions(shape):
            yield tuple(slice(at, at + 1) for at in position)
        return
    step = max(1, n_elements // math.prod(shape[axis + 1 :]))
    for position in _positions(shape[:axis]):
        outer = tuple(slice(at, at + 1) for at in position)
        for start in range(0, shape[axis], step):
            yield (*outer, slice(start, min(start + step, shape[axis])))


def _positions(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    from itertools import product

    return product(*(range(size) for size in shape))
