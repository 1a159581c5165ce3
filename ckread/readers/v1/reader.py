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
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ckread.errors import CorruptCheckpointError
from ckread.readers.contract import Format, StoredFile, TensorRecord
from ckread.readers.extent_reader import ExtentReader
from ckread.readers.slices import check_partition, region_of, region_shape
from ckread.readers.v1.parts import V1Part, data_span, merge

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.messages import TensorSlice


class V1Table(ExtentReader):
    """A V1 checkpoint, one file or several; values are protobuf messages, so none has extents."""

    def __init__(self, path: str, files: tuple[str, ...] = ()) -> None:
        """Read the lists of tensors."""
        super().__init__(path, Format.V1_TABLE)
        self._parts = [V1Part(file) for file in files or (path,)]
        self.listed = merge([part.listed for part in self._parts], path)
        self._tensors = {
            key: TensorRecord(key, one.dtype, one.shape, one.nbytes, None, None, None)
            for key, one in self.listed.items()
        }

    def files(self) -> tuple[StoredFile, ...]:
        """Give the file, or its parts."""
        return tuple(
            StoredFile(part.file.path, part.file.nbytes, is_shard=True) for part in self._parts
        )

    def close(self) -> None:
        """Close the files for good."""
        super().close()
        for part in self._parts:
            part.file.close()

    def _decode(self, key: str) -> NDArray[np.generic]:
        """Decode a whole tensor, its blocks verified; slices may not overlap or leave a hole."""
        from ckread.readers.arrays import empty_array
        from ckread.readers.v1.values import parse_values

        dtype, shape, slices = self.listed[key]
        with self._naming(key):
            regions = [region_of(one, shape) for one in slices]
            check_partition(regions, shape)
        values = []
        for one, region in zip(slices, regions, strict=True):
            message = self._stored(key, one)
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

    def _stored(self, key: str, one: TensorSlice) -> bytes:
        for part in self._parts:
            value = part.find(key, one)
            if value is not None:
                return value
        raise self._located(CorruptCheckpointError("listed, and its values are not there"), key)

    @contextmanager
    def _naming(self, key: str) -> Iterator[None]:
        """Put file and tensor before what is wrong with it."""
        try:
            yield
        except CorruptCheckpointError as error:
            raise self._located(error, key) from None
