"""The parts of a V1 checkpoint: the list at the head of each, and its slices by key."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CorruptCheckpointError, NotACheckpointError
from ckread.readers.contract import shown
from ckread.readers.dtypes import DATA_TYPES, DataType
from ckread.readers.files import RegularFile
from ckread.readers.messages import (
    MAX_SLICES,
    SLICE_NBYTES,
    check_count,
    parse_tensor_shape,
    parse_tensor_slice,
)
from ckread.readers.protobuf import (
    LENGTH_DELIMITED,
    VARINT,
    Span,
    iter_fields,
    parse_text,
    signed32,
)
from ckread.readers.slices import slice_key
from ckread.readers.table import BlockHandle, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.readers.messages import TensorSlice

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
        self.file = RegularFile(path)
        try:
            self._table = Table(self.file, max_block_nbytes=MAX_BLOCK_NBYTES)
            self._handles = list(self._table.handles())
            self._separators = [key for key, _ in self._table.read_entries(self._table.index)]
            self.listed = self._read_list()
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
            name, tensor = _parse_slice_meta(buffer, item)
            if name in listed:
                raise CorruptCheckpointError(f"{shown(name)} twice, expected once")
            listed[name] = tensor
            memory -= len(name) + TENSOR_NBYTES + SLICE_NBYTES * len(tensor.slices)
            if memory < 0:
                raise CorruptCheckpointError(f"{len(listed)} tensors and more, too long for it")
    return listed


def _parse_slice_meta(buffer: bytes, span: Span) -> tuple[str, V1Tensor]:
    name = ""
    dtype = 0
    shape: tuple[int, ...] = ()
    slices: list[TensorSlice] = []
    for number, wire_type, value in iter_fields(buffer, *span):
        if number == 3 and wire_type == VARINT:
            dtype = signed32(value)
        elif wire_type != LENGTH_DELIMITED:
            continue
        elif number == 1:
            name = parse_text(buffer, value)
        elif number == 2:
            shape = parse_tensor_shape(buffer, value)
        elif number == 4:
            slices.append(parse_tensor_slice(buffer, value))
            check_count(len(slices), MAX_SLICES, "slices and more")
    known = DATA_TYPES.get(dtype, DataType.UNKNOWN)
    return name, V1Tensor(known, shape, tuple(slices))


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
