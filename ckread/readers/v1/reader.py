"""V1 checkpoints: one LevelDB table (or one per part) with values inside.

    ""          SavedTensorSlices { 1 meta { 1 tensor: SavedSliceMeta } }
    slice key   SavedTensorSlices { 2 data: SavedSlice { 1 name, 2 slice, 3 data } }
    SavedSliceMeta  1 name, 2 shape, 3 type, 4 slice (repeated)

The list is in the first entry, so listing reads one block. A value is a TensorProto
without type and shape (see `values`); a tensor may be kept in several slices,
which TensorFlow itself does not join. The only checksums are those of the blocks.

Reference: tensorflow/core/util/saved_tensor_slice.proto
"""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ckread.errors import CorruptCheckpointError, UsageError, VariableNotFoundError
from ckread.readers.contract import (
    CHUNK_NBYTES,
    ClosingReader,
    Extent,
    Format,
    StoredFile,
    TensorRecord,
    shown,
)
from ckread.readers.dtypes import DataType
from ckread.readers.slices import check_partition, region_of, region_shape
from ckread.readers.v1.parts import V1Part, V1Tensor, data_span, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.contract import Index
    from ckread.readers.messages import TensorSlice


class V1Table(ClosingReader):
    """A V1 checkpoint; a `CheckpointReader` that needs no TensorFlow.

    Attributes:
        path: what the checkpoint is called.
        format: `V1_TABLE`.
    """

    def __init__(self, path: str, files: tuple[str, ...] = ()) -> None:
        """Read the lists of tensors.

        Args:
            path: what the checkpoint is called.
            files: its parts, if it is kept in several files.

        Raises:
            NotACheckpointError: it is no table.
            CorruptCheckpointError: the list is damaged, or parts contradict each other.
        """
        self.path = path
        self.format = Format.V1_TABLE
        self._parts = [V1Part(file) for file in files or (path,)]
        self.listed = merge([part.listed for part in self._parts], path)
        self._tensors = {key: self._record(key, one) for key, one in self.listed.items()}

    def _record(self, key: str, listed: V1Tensor) -> TensorRecord:
        dtype, shape, _ = listed
        nbytes = math.prod(shape) * dtype.itemsize
        return TensorRecord(key, dtype, shape, nbytes, crc32c=None, shard=None, offset=None)

    @property
    def tensors(self) -> Mapping[str, TensorRecord]:
        """Every tensor by name, in the order of the list; `nbytes` is 0 for strings."""
        return self._tensors

    def files(self) -> tuple[StoredFile, ...]:
        """Give the file, or its parts."""
        return tuple(
            StoredFile(part.file.path, part.file.nbytes, is_shard=True) for part in self._parts
        )

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give None: values are protobuf messages."""
        self._find(key)
        return None

    def read_bytes(self, key: str) -> bytes:
        """Give the bytes of a small plain tensor, C order, little-endian.

        Raises:
            UsageError: it holds strings.
            CorruptCheckpointError: it is damaged.
        """
        if self._find(key).dtype is DataType.STRING:
            raise UsageError(f"{key}: a string tensor, expected plain numbers")
        return self.read(key).tobytes()

    def read_strings(self, key: str) -> list[bytes]:
        """Give the elements of a string tensor, C order.

        Raises:
            UsageError: it holds no strings.
            CorruptCheckpointError: it is damaged.
        """
        dtype = self._find(key).dtype
        if dtype is not DataType.STRING:
            raise UsageError(f"{key}: {dtype}, expected strings")
        strings: list[bytes] = self.read(key).reshape(-1).tolist()
        return strings

    def read(self, key: str) -> NDArray[np.generic]:
        """Give a whole tensor, its blocks verified.

        Raises:
            CorruptCheckpointError: it is damaged, or slices overlap or leave a hole.
            UnsupportedFeatureError: the type has no array form.
        """
        from ckread.readers.arrays import empty_array
        from ckread.readers.v1.values import parse_values

        dtype, shape, slices = self._find(key)
        with self._naming(key):
            regions = [region_of(one, shape) for one in slices]
            check_partition(regions, shape)
        values = []
        for one, region in zip(slices, regions, strict=True):
            message = self._find_value(key, one)
            with self._naming(key):
                n_elements = math.prod(region_shape(region))
                values.append(parse_values(message, data_span(message), dtype, n_elements))
        if len(values) == 1:
            return values[0].reshape(shape)
        whole = empty_array(shape, dtype)
        for region, part in zip(regions, values, strict=True):
            target = tuple(slice(*bounds) for bounds in region)
            whole[target] = part.reshape(region_shape(region))
        return whole

    def read_slice(self, key: str, index: Index) -> NDArray[np.generic]:
        """Give a part of a tensor, which is decoded whole."""
        from ckread.readers.arrays import part_of

        return part_of(self.read(key), index)

    def iter_chunks(self, key: str, nbytes: int = CHUNK_NBYTES) -> Iterator[NDArray[np.generic]]:
        """Yield a tensor, which is decoded whole, as 1-D arrays of at most `nbytes` bytes."""
        from ckread.readers.arrays import chunks_of

        yield from chunks_of(self.read(key), nbytes)

    def close(self) -> None:
        """Close the files for good."""
        super().close()
        for part in self._parts:
            part.file.close()

    def _find(self, key: str) -> V1Tensor:
        try:
            return self.listed[key]
        except KeyError:
            raise VariableNotFoundError(f"no tensor {shown(key)}", path=self.path) from None

    def _find_value(self, key: str, one: TensorSlice) -> bytes:
        for part in self._parts:
            value = part.find(key, one)
            if value is not None:
                return value
        name = os.path.basename(self.path)
        raise CorruptCheckpointError(
            "listed, and its values are not there", path=self.path, name=name, place=shown(key)
        )

    @contextmanager
    def _naming(self, key: str) -> Iterator[None]:
        """Put file and tensor before what is wrong with it."""
        try:
            yield
        except CorruptCheckpointError as error:
            raise error.within(shown(key), path=error.path or self.path) from None
