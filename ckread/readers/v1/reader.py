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
from bisect import bisect_left
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CorruptCheckpointError, NotACheckpointError
from ckread.readers.contract import DATA_TYPES, DataType, Format, StoredFile, TensorRecord, shown
from ckread.readers.extent_reader import ExtentReader
from ckread.readers.files import RegularFile
from ckread.readers.protobuf import (
    LENGTH_DELIMITED,
    MAX_SLICES,
    SLICE_NBYTES,
    VARINT,
    Span,
    check_count,
    iter_fields,
    parse_tensor_shape,
    parse_tensor_slice,
    parse_text,
    signed32,
)
from ckread.readers.slices import check_partition, region_of, region_shape, slice_key
from ckread.readers.table import BlockHandle, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.protobuf import TensorSlice


# The parts of a V1 checkpoint: the list at the head of each, and its slices by key.


TENSOR_NBYTES = 400
"""Of memory that a tensor of the list takes besides its name, roughly."""

MAX_BLOCK_NBYTES = 3 << 30
"""A slice has at most 2 GiB of values, and a block of its own if it is large."""


class V1Tensor(NamedTuple):
    """One tensor as listed, in the slices it is kept in: one that covers it all, as a rule."""

    dtype: DataType
    shape: tuple[int, ...]
    slices: tuple[TensorSlice, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of its values; 0 for strings."""
        return math.prod(self.shape) * self.dtype.itemsize


class V1Part:
    """One file, open for reading, and the tensors of which it holds a slice."""

    def __init__(self, path: str) -> None:
        """Read its list."""
        self.file: RegularFile = RegularFile(path)
        try:
            self._table = Table(self.file, max_block_nbytes=MAX_BLOCK_NBYTES)
            self._handles = list(self._table.handles())
            self._separators = [key for key, _ in self._table.read_entries(self._table.index)]
            self.listed: dict[str, V1Tensor] = self._read_list()
        except BaseException:
            self.file.close()
            raise
        self._last: tuple[BlockHandle, dict[bytes, bytes]] | None = None

    def _read_list(self) -> dict[str, V1Tensor]:
        entries = self._table.read_entries(self._handles[0]) if self._handles else []
        if not entries or entries[0][0]:
            found, expected = "no list of tensors", "a V1 checkpoint"
            raise NotACheckpointError(
                found, path=self.file.path, name=self.file.name, expected=expected
            )
        try:
            return parse_list(entries[0][1], memory=self._table.memory)
        except CorruptCheckpointError as error:
            where = "list of tensors"
            raise CorruptCheckpointError.of(error).within(where, path=self.file.path) from None

    def find(self, key: str, tensor_slice: TensorSlice) -> bytes | None:
        """Give the stored value of a slice, None if it is not in this part."""
        wanted = slice_key(key.encode(errors="surrogateescape"), tensor_slice)
        at = bisect_left(self._separators, wanted)
        if at == len(self._handles):
            return None
        handle = self._handles[at]
        if self._last is None or self._last[0] != handle:
            self._last = handle, dict(self._table.read_entries(handle))
        return self._last[1].get(wanted)


def parse_list(buffer: bytes, *, memory: int = 1 << 40) -> dict[str, V1Tensor]:
    """Decode the first value, a SavedTensorSlices with the list of tensors; `memory` bounds it."""
    listed: dict[str, V1Tensor] = {}
    for number, wire_type, meta in iter_fields(buffer):
        if number != 1 or wire_type != LENGTH_DELIMITED:
            continue
        for inner, inner_type, item in iter_fields(buffer, *meta):
            if inner != 1 or inner_type != LENGTH_DELIMITED:
                continue
            name, dtype = "", 0
            shape: tuple[int, ...] = ()
            slices: list[TensorSlice] = []
            for field, field_type, value in iter_fields(buffer, *item):
                if field == 3 and field_type == VARINT:
                    dtype = signed32(value)
                elif field_type != LENGTH_DELIMITED:
                    continue
                elif field == 1:
                    name = parse_text(buffer, value)
                elif field == 2:
                    shape = parse_tensor_shape(buffer, value)
                elif field == 4:
                    slices.append(parse_tensor_slice(buffer, value))
                    check_count(len(slices), MAX_SLICES, "slices and more")
            if name in listed:
                raise CorruptCheckpointError(f"{shown(name)} twice, expected once")
            known = DATA_TYPES.get(dtype, DataType.UNKNOWN)
            listed[name] = V1Tensor(known, shape, tuple(slices))
            memory -= len(name) + TENSOR_NBYTES + SLICE_NBYTES * len(slices)
            if memory < 0:
                raise CorruptCheckpointError(f"{len(listed)} tensors and more, too long for it")
    return listed


def merge(lists: Iterable[Mapping[str, V1Tensor]], path: str) -> dict[str, V1Tensor]:
    """Join the lists of the parts; a tensor may have slices in several."""
    merged: dict[str, V1Tensor] = {}
    for listed in lists:
        for name, tensor in listed.items():
            known = merged.get(name)
            if known is None:
                merged[name] = tensor
                continue
            if known[:2] != tensor[:2]:
                found = f"{known.dtype} {known.shape} and {tensor.dtype} {tensor.shape}"
                raise CorruptCheckpointError(
                    f"{shown(name)} is {found} in two of its files", path=path
                )
            merged[name] = known._replace(slices=known.slices + tensor.slices)
    return merged


def data_span(buffer: bytes) -> Span:
    """Give the place of the TensorProto in a stored value, a SavedTensorSlices."""
    for number, wire_type, data in iter_fields(buffer):
        if number == 2 and wire_type == LENGTH_DELIMITED:
            for inner, inner_type, item in iter_fields(buffer, *data):
                if inner == 3 and inner_type == LENGTH_DELIMITED:
                    place: Span = item
                    return place
    raise CorruptCheckpointError("a value without data")


class V1Table(ExtentReader):
    """A V1 checkpoint, one file or several; values are protobuf messages, so none has extents."""

    def __init__(self, path: str, files: tuple[str, ...] = ()) -> None:
        """Read the lists of tensors."""
        super().__init__(path, Format.V1_TABLE)
        self._parts = [V1Part(file) for file in files or (path,)]
        self.listed: dict[str, V1Tensor] = merge([part.listed for part in self._parts], path)
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
            stored = (part.find(key, one) for part in self._parts)
            message = next((value for value in stored if value is not None), None)
            with self._naming(key):
                if message is None:
                    raise CorruptCheckpointError("listed, and its values are not there")
                n_elements = math.prod(region_shape(region))
                values.append(parse_values(message, data_span(message), dtype, n_elements))
        if len(values) == 1:
            return values[0].reshape(shape)
        whole = empty_array(shape, dtype)
        for region, part in zip(regions, values, strict=True):
            target = tuple(slice(*bounds) for bounds in region)
            whole[target] = part.reshape(region_shape(region))
        return whole

    @contextmanager
    def _naming(self, key: str) -> Iterator[None]:
        """Put file and tensor before what is wrong with it."""
        try:
            yield
        except CorruptCheckpointError as error:
            raise self._located(error, key) from None
