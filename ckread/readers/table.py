"""LevelDB table: the sorted key-value file behind an `.index` and a V1 checkpoint.

    data block ... | metaindex block | index block | footer (48 bytes)

    trailer  1 byte compression type (0 none, 1 snappy),
             4 bytes masked CRC-32C of block and type
    footer   handles of metaindex and index block (varint offset, varint size),
             padded to 40 bytes, magic 57 fb 80 8b 24 75 47 db

All fixed integers are little-endian; the size in a handle leaves the trailer out.
The index block has one entry per data block: a key not below its last, and its
handle. The metaindex block is not used. What is in a block stands further below.

Reference: github.com/google/leveldb/blob/main/doc/table_format.md
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import (
    CheckpointError,
    ChecksumError,
    CorruptCheckpointError,
    MissingDependencyError,
    NotACheckpointError,
    TextLines,
    TruncatedFileError,
    UnsupportedFeatureError,
)
from ckread.readers.crc32c import crc32c, unmask
from ckread.readers.protobuf import parse_varint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.files import RegularFile


FOOTER_NBYTES = 48
TRAILER_NBYTES = 5
MAGIC = bytes.fromhex("57fb808b247547db")

MAX_BLOCK_NBYTES = 1 << 26
"""Largest block that is read, unless the caller allows more; writers cut at 256 KiB."""

MAX_MEMORY = 1 << 31
SPARE_MEMORY = 1 << 26
MEMORY_PER_BYTE = 64
"""Prefix compression makes long keys of few bytes: entries may take so much more."""

DAMAGED = TextLines(
    "The index is damaged: nothing in it can be trusted. Copy it again, or use",
    "another checkpoint of the run.",
)

CUT_SHORT = TextLines(
    "It was cut short, is still being written, or is something else. Copy it again,",
    "or use another checkpoint of the run.",
)


class BlockHandle(NamedTuple):
    """Where a block lies in its table; its 5-byte trailer is not counted."""

    offset: int
    size: int


class Table:
    """The blocks and entries of a table in an open file.

    Attributes:
        file: the file it is read from.
        index: handle of the index block.
        n_blocks: data blocks read so far.
        memory: bytes that the entries of all its blocks may take, roughly.
    """

    def __init__(self, file: RegularFile, *, max_block_nbytes: int = MAX_BLOCK_NBYTES) -> None:
        """Read the footer of an open file, which stays open."""
        self.file = file
        self.n_blocks: int = 0
        self.memory: int = min(MAX_MEMORY, SPARE_MEMORY + MEMORY_PER_BYTE * file.nbytes)
        self._max_block_nbytes = max_block_nbytes
        self.index: BlockHandle = read_footer(file)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values in the order of the file.

        Raises:
            CorruptCheckpointError: the bytes contradict the format; `ChecksumError`
                and `TruncatedFileError` among them.
            UnsupportedFeatureError: a block is compressed in an unknown way.
        """
        last = None
        for handle in self.handles():
            entries = self.read_entries(handle, after=last)
            if entries:
                last = entries[-1][0]
            yield from entries

    def handles(self) -> Iterator[BlockHandle]:
        """Yield the handles of the data blocks; they may not share bytes."""
        budget = self.file.nbytes
        for _, value in self.read_entries(self.index):
            try:
                handle, _ = _parse_handle(value, 0, len(value))
            except CorruptCheckpointError as error:
                raise self._corrupt(self.index, f"handle: {error.message}") from None
            budget -= handle.size + TRAILER_NBYTES
            if budget < 0:
                raise self._corrupt(self.index, "data blocks take more bytes than the file has")
            self.n_blocks += 1
            yield handle

    def read_entries(
        self, handle: BlockHandle, *, after: bytes | None = None
    ) -> list[tuple[bytes, bytes]]:
        """Give the keys and values of one block, all above `after`; its checksum is verified."""
        try:
            return parse_entries(self.read_block(handle), after=after, memory=self.memory)
        except CorruptCheckpointError as error:
            if error.path is not None:
                raise
            raise self._corrupt(handle, error.message) from None

    def read_block(self, handle: BlockHandle) -> bytes:
        """Give the expanded block at `handle`, its checksum verified."""
        offset, size = handle
        file = self.file
        if offset + size + TRAILER_NBYTES > file.nbytes:
            found = f"ends at byte {offset + size + TRAILER_NBYTES}, the file at {file.nbytes}"
            raise self._located(TruncatedFileError, handle, found)
        if size > self._max_block_nbytes:
            limit = f"expected {self._max_block_nbytes} at most"
            raise self._corrupt(handle, f"{size} bytes, {limit}")
        stored = file.pread(offset, size + TRAILER_NBYTES)
        content = stored[:-4]
        checksum = unmask(int.from_bytes(stored[-4:], "little"))
        computed = crc32c(content)
        if checksum != computed:
            found = f"stored CRC-32C {checksum:#010x}, computed {computed:#010x}"
            raise self._located(ChecksumError, handle, found)
        content, compression = content[:-1], content[-1]
        if compression == 0:
            return content
        if compression != 1:
            found = f"compression type {compression}, expected 0 (none) or 1 (snappy)"
            raise self._located(UnsupportedFeatureError, handle, found)
        try:
            return decompress(content, self._max_block_nbytes)
        except CorruptCheckpointError as error:
            raise self._corrupt(handle, error.message) from None

    def _corrupt(self, handle: BlockHandle, found: str) -> CheckpointError:
        return self._located(CorruptCheckpointError, handle, found)

    def _located(
        self, kind: type[CheckpointError], handle: BlockHandle, found: str
    ) -> CheckpointError:
        remedy = None if kind is UnsupportedFeatureError else DAMAGED
        return kind(
            found,
            path=self.file.path,
            name=self.file.name,
            place=f"block at byte {handle.offset}",
            offset=handle.offset,
            remedy=remedy,
        )


def read_footer(file: RegularFile) -> BlockHandle:
    """Give the handle of the index block."""
    start = file.nbytes - FOOTER_NBYTES
    if start < 0:
        raise TruncatedFileError(
            f"{file.nbytes} bytes",
            path=file.path,
            name=file.name,
            expected=f"{FOOTER_NBYTES} or more",
            remedy=CUT_SHORT,
        )
    footer = file.pread(start, FOOTER_NBYTES)
    if footer[-8:] != MAGIC:
        raise NotACheckpointError(
            f"ends in {footer[-8:].hex()}, a table ends in {MAGIC.hex()}",
            path=file.path,
            name=file.name,
            offset=file.nbytes - 8,
            remedy=CUT_SHORT,
        )
    stop = FOOTER_NBYTES - len(MAGIC)
    try:
        _, at = _parse_handle(footer, 0, stop)  # of the metaindex block, which nobody reads
        return _parse_handle(footer, at, stop)[0]
    except CorruptCheckpointError as error:
        damage = CorruptCheckpointError.of(error)
        raise damage.within("footer", path=file.path, remedy=DAMAGED) from None


def _parse_handle(buffer: bytes, at: int, stop: int) -> tuple[BlockHandle, int]:
    """Give the handle at a place of a buffer, and the place after it."""
    offset, at = parse_varint(buffer, at, stop)
    size, at = parse_varint(buffer, at, stop)
    return BlockHandle(offset, size), at


# A block of a table: sorted entries whose keys share beginnings, and restart points.
#
#     block    entry ... | restart u32 ... | number of restarts u32
#     entry    varint shared, varint unshared, varint value length,
#              unshared key bytes, value; the key is the first `shared` bytes
#              of the key before it and the unshared ones
#
# At a restart point nothing is shared, so that a search can begin there.
#
# Reference: github.com/google/leveldb/blob/main/table/block_builder.cc

ENTRY_NBYTES = 200
"""Of memory that one entry takes besides its key, roughly."""


def parse_entries(
    block: bytes, *, after: bytes | None = None, memory: int = 1 << 40
) -> list[tuple[bytes, bytes]]:
    """Give the keys and values of an expanded block without its trailer, all above `after`.

    `memory` bounds what they take: prefix compression makes a gigabyte of keys of half a
    megabyte.
    """
    stop = entries_stop(block)
    entries: list[tuple[bytes, bytes]] = []
    add = entries.append
    at = 0
    key = b""
    while at < stop:
        start = at
        last = key
        header = block[at : at + 3]
        if header.isascii() and at + 3 <= stop:  # three varints of one byte each
            shared, unshared, value_nbytes = header
            at += 3
        else:
            shared, at = parse_varint(block, at, stop)
            unshared, at = parse_varint(block, at, stop)
            value_nbytes, at = parse_varint(block, at, stop)
        middle = at + unshared
        key = last[:shared] + block[at:middle]
        at = middle + value_nbytes
        if shared > len(last) or at > stop:
            found = "shares more bytes than the key before it has"
            found = found if shared > len(last) else "runs past its block"
            raise CorruptCheckpointError(f"entry at byte {start} of it {found}")
        if key <= last and entries:
            raise _not_sorted(key, last)
        memory -= len(key) + ENTRY_NBYTES
        if memory < 0:
            raise CorruptCheckpointError(f"{len(entries)} keys and more, too long for its size")
        add((key, block[middle:at]))
    if entries and after is not None and entries[0][0] <= after:
        raise _not_sorted(entries[0][0], after)
    return entries


def _not_sorted(key: bytes, last: bytes) -> CorruptCheckpointError:
    return CorruptCheckpointError(f"key {key[:80]!r} after {last[:80]!r}, expected increasing keys")


def entries_stop(block: bytes) -> int:
    """Give where the restart array begins; its points begin at 0, increase, and are whole keys.

    TensorFlow seeks by them, so where they lie it would read something else.
    """
    if len(block) < 4:
        raise TruncatedFileError(f"{len(block)} bytes, expected 4 or more")
    n_restarts = int.from_bytes(block[-4:], "little")
    stop = len(block) - 4 - 4 * n_restarts
    if stop < 0 or (stop and not n_restarts):
        raise CorruptCheckpointError(f"{n_restarts} restart points in {len(block)} bytes")
    last = -1
    for restart in struct.unpack_from(f"<{n_restarts}I", block, stop) if stop else ():
        if not last < restart < stop or block[restart] or (last < 0 and restart):
            raise CorruptCheckpointError(f"restart point at byte {restart} of it, not a whole key")
        last = restart
    return stop


# Raw snappy: the compression of blocks that Google's own writers use.
#
#     varint length of the expanded bytes, then literals and copies
#
# Reference: github.com/google/snappy/blob/main/format_description.txt

MAX_EXPANSION = 22
"""A copy of 64 bytes takes 3, so no block expands more than this."""


def decompress(data: bytes, max_nbytes: int) -> bytes:
    """Give the expanded bytes; the length that they claim is checked before."""
    nbytes, _ = parse_varint(data, 0, len(data))
    limit = min(max_nbytes, MAX_EXPANSION * len(data) + 64)
    if nbytes > limit:
        found = f"snappy expands {len(data)} bytes to {nbytes}, expected {limit} at most"
        raise CorruptCheckpointError(found)
    try:
        import cramjam
    except ImportError:
        message = "snappy-compressed blocks need cramjam, which is not installed"
        raise MissingDependencyError(message, remedy="pip install cramjam") from None
    try:
        expanded = bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise CorruptCheckpointError(f"snappy: {error}") from None
    if len(expanded) != nbytes:
        found = f"snappy expands to {len(expanded)} bytes, {nbytes} were announced"
        raise CorruptCheckpointError(found)
    return expanded
