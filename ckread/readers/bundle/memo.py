"""Indexes that differ from one that was parsed in nothing but checksums.

The checkpoints of a run lie alike: from save to save only the checksums of tensors
change, four bytes at the end of an entry, and with them those of the blocks. An
index whose other bytes are all those of one that was parsed need not be parsed again.

    piece | checksum | piece | checksum | … | piece

The checksum of each block is verified as ever.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CheckpointError
from ckread.readers.bundle.index import (
    AlikeTensors,
    BundleIndex,
    ends_in_checksum,
    parse_bundle_index,
    shards_in,
)
from ckread.readers.contract import TensorRecord, no_garbage_collection
from ckread.readers.crc32c import crc32c, unmask
from ckread.readers.files import RegularFile
from ckread.readers.protobuf import parse_varint
from ckread.readers.table import Table, parse_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckread.readers.table import BlockHandle

MAX_NBYTES = 1 << 20
"""Of an index that is remembered: its pieces take many times its size."""

MAX_KNOWN = 4
"""Indexes that are remembered, at most: where each is another one, it is in vain."""

Tensors = dict[str, TensorRecord]

_PLAIN = b"\0"
"""Type of a block that is not compressed."""


class _Known(NamedTuple):
    """An index that was parsed: its pieces and checksums in turn.

    Attributes:
        tensors: what it lists.
        shards: in which something lies.
        parts: how its bytes come apart.
        pieces: the bytes between checksums.
        places: which of the checksums each tensor has; the others are those of blocks.
        blocks: the start of each, and where its checksum is.
    """

    tensors: Tensors
    shards: frozenset[int]
    parts: Struct
    pieces: tuple[bytes, ...]
    places: dict[str, int]
    blocks: list[tuple[int, int]]

    def read(self, data: bytes) -> AlikeTensors | None:
        """Give what another index lists, if it is like this one and its blocks are sound."""
        parts = self.parts.unpack(data)
        if parts[::2] != self.pieces:
            return None
        for start, stop in self.blocks:
            if unmask(int.from_bytes(data[stop : stop + 4], "little")) != crc32c(data[start:stop]):
                return None
        masked = array("I", parts[1::2])
        return AlikeTensors(self.tensors, self.shards, self.places, masked)


class IndexMemo:
    """Indexes that were parsed, by their size; of several of one size the last."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[_Known, BundleIndex]] = {}
        self._n_spare = MAX_KNOWN

    def read(self, path: str) -> BundleIndex:
        """Read an index: by one that was parsed if it is like it, else as any, and keep it.

        Raises:
            CheckpointError: as `read_bundle_index`.
        """
        with RegularFile(path) as file, no_garbage_collection():
            index = self._recalled(file)
            if index is None:
                index = parse_bundle_index(file)
                self._remember(file, index)
            return index

    def recalled(self, path: str) -> BundleIndex | None:
        """Give an index by one that was parsed; None where none is like it, or it is not there."""
        if not self._known:
            return None
        try:
            with RegularFile(path) as file:
                return self._recalled(file)
        except CheckpointError:
            return None

    def _recalled(self, file: RegularFile) -> BundleIndex | None:
        nbytes = file.nbytes
        if nbytes not in self._known:
            return None
        known, index = self._known[nbytes]
        tensors = known.read(file.pread(0, nbytes))
        if tensors is None:
            return None
        return index._replace(path=file.path, identity=file.identity, tensors=tensors)

    def _remember(self, file: RegularFile, index: BundleIndex) -> None:
        tensors = index.tensors
        if not self._n_spare or file.nbytes > MAX_NBYTES or not isinstance(tensors, dict):
            return
        self._n_spare -= 1
        try:
            data = file.pread(0, file.nbytes)
            known = _known(data, list(Table(file).handles()), tensors, shards_in(index))
        except CheckpointError:  # a training run has written to the file since it was parsed
            return
        again = None if known is None else known.read(data)
        if known is not None and again is not None and dict(again) == tensors:
            self._known[file.nbytes] = known, index


def _known(
    data: bytes, handles: Sequence[BlockHandle], tensors: Tensors, shards: frozenset[int]
) -> _Known | None:
    """Find the checksums in the bytes of an index; None if its blocks are compressed."""
    places: list[tuple[int, TensorRecord | None]] = []
    blocks = []
    for start, size in sorted(handles):
        end = start + size
        if data[end : end + 1] != _PLAIN:
            return None
        block = data[start:end]
        for (key, value), stop in zip(parse_entries(block), _value_stops(block), strict=True):
            record = tensors.get(key.decode("utf-8", "surrogateescape"))
            if record is not None and ends_in_checksum(value, record):
                places.append((start + stop - 4, record))
        places.append((end + 1, None))
        blocks.append((start, end + 1))
    layout = "<"
    last = 0
    for at, _ in places:
        if at < last:  # blocks that share bytes
            return None
        layout += f"{at - last}sI"
        last = at + 4
    parts = Struct(f"{layout}{len(data) - last}s")
    numbers = {record.key: i for i, (_, record) in enumerate(places) if record is not None}
    return _Known(tensors, shards, parts, parts.unpack(data)[::2], numbers, blocks)


def _value_stops(block: bytes) -> Iterator[int]:
    """Yield where the value of each entry of a sound block ends."""
    stop = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    at = 0
    while at < stop:
        _, at = parse_varint(block, at, stop)
        unshared, at = parse_varint(block, at, stop)
        nbytes, at = parse_varint(block, at, stop)
        at += unshared + nbytes
        yield at
