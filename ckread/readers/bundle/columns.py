"""The index of very many tensors as columns, its entries decoded side by side.

The key of an entry leans on the key before it, back to a restart point, which leans on none.
So the entries between two restart points are a lane: the first entries of all lanes are
decoded in one step of numpy, then the second ones, until each lane is at its end.

Only what TensorFlow writes as a rule is decoded here. `read_columns` gives None for anything
else, and the careful way of `index` says what it is, or what is wrong with it.
"""

from __future__ import annotations

from operator import lt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.errors import CheckpointError
from ckread.readers.bundle.index import (
    OFFSET_TAG,
    RECORD_NBYTES,
    SHARD_TAG,
    BundleIndex,
    EntryParser,
    parse_head,
    parse_header,
)
from ckread.readers.contract import TensorColumns, no_garbage_collection
from ckread.readers.crc32c import MASK_DELTA
from ckread.readers.table import Table, entries_stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ckread.readers.bundle.index import Head
    from ckread.readers.files import RegularFile

    Integers = NDArray[np.int64]

CHUNK_NBYTES = 1 << 21
"""Of blocks that are decoded at once: what fits a cache."""

MAX_STEPS = 4096
"""Entries of a lane; more, as between few restart points, are no quicker this way."""

MAX_KEY_NBYTES = 1 << 12
_PAD = 512
"""Zeros behind the last byte, which nothing that is looked at lies beyond."""

MAX_HEAD_NBYTES = 64
_KEEP = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
"""What to keep of a word of which so many bytes count."""


class _UnusualError(Exception):
    """It is not as TensorFlow writes it."""


def read_columns(file: RegularFile) -> BundleIndex | None:
    """Read an index from an open file; None where it is unusual, or damaged."""
    try:
        with no_garbage_collection():
            return _read(file)
    except (CheckpointError, UnicodeDecodeError, _UnusualError):
        return None


def _read(file: RegularFile) -> BundleIndex:
    file.expect([(0, file.nbytes)])
    table = Table(file)
    decoder = _Decoder(table.memory)
    for blocks in _chunks(table):
        decoder.decode(blocks)
    if decoder.header is None:
        raise _UnusualError
    header = parse_header(b"", decoder.header)
    tensors = decoder.columns()
    return BundleIndex(
        file.path, file.identity, header, tensors, {}, decoder.odd.unknown_dtypes, table.n_blocks
    )


def _chunks(table: Table) -> Iterator[list[bytes]]:
    """Yield the blocks of a table, several at once."""
    blocks: list[bytes] = []
    for handle in table.handles():
        blocks.append(table.read_block(handle))
        if sum(map(len, blocks)) >= CHUNK_NBYTES:
            yield blocks
            blocks = []
    yield blocks


class _Chunk(NamedTuple):
    """The bytes of some blocks, and of each entry the length of its key and where its value is."""

    data: NDArray[np.uint8]
    key_nbytes: Integers
    start: Integers
    stop: Integers
    text: bytes
    """The keys, a line each."""

    def words(self, at: Integers) -> NDArray[np.uint64]:
        """Give the eight bytes at each place, as one number."""
        data = self.data
        return np.ndarray((len(data) - 7,), "<u8", buffer=data, strides=(1,))[at]


class _Decoder:
    """Decodes chunks of blocks, and puts them together.

    Attributes:
        header: the value of the first entry.
        odd: takes the entries that have another form.
    """

    def __init__(self, memory: int) -> None:
        self.header: bytes | None = None
        self.odd = EntryParser(memory)
        self._memory = memory
        self._keys: list[str] = []
        self._heads: list[Head] = []
        self._known: dict[bytes, int] = {}
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._odd_places: list[int] = []

    def decode(self, blocks: list[bytes]) -> None:
        """Take some blocks in."""
        chunk = _entries(blocks)
        if chunk is None:
            return
        self._memory -= int(chunk.key_nbytes.sum()) + RECORD_NBYTES * len(chunk.start)
        if self._memory < 0 or b"\0" in chunk.text:
            raise _UnusualError
        keys = chunk.text.decode().split("\n")
        keys.pop()
        if len(keys) != len(chunk.start):
            raise _UnusualError
        if self.header is None:
            if keys[0]:
                raise _UnusualError
            self.header = chunk.data[chunk.start[0] : chunk.stop[0]].tobytes()
            keys = keys[1:]
            chunk = chunk._replace(start=chunk.start[1:], stop=chunk.stop[1:])
        if keys:
            self._decode_values(chunk, keys)
            self._keys += keys

    def _decode_values(self, chunk: _Chunk, keys: list[str]) -> None:
        """Take the values of a chunk in; those of another form one by one."""
        data = chunk.data
        length = data[chunk.start + 3].astype(np.int64) + 4
        is_odd = length > MAX_HEAD_NBYTES
        length[is_odd] = 0
        code = self._codes(chunk, length)
        at = chunk.start + length
        has_shard = data[at] == SHARD_TAG
        shard = np.where(has_shard, data[at + 1], 0)
        at += 2 * has_shard
        offset = np.zeros(len(at), np.int64)
        rest = np.flatnonzero(data[at] == OFFSET_TAG)
        at[rest] += 1
        for shift in range(0, 63, 7):
            byte = data[at[rest]]
            offset[rest] |= (byte & 0x7F).astype(np.int64) << shift
            at[rest] += 1
            rest = rest[byte > 0x7F]
        is_odd[rest] = True
        fields = [head[4] or b"" for head in self._heads]
        nbytes = np.array([len(field) for field in fields])[code]
        is_odd |= (shard > 0x7F) | (nbytes == 0) | (chunk.stop - 4 - at != nbytes)
        for word in (0, 8):
            expected = np.array(
                [int.from_bytes(f[word : word + 8], "little") for f in fields], np.uint64
            )
            found = chunk.words(at + word) & _KEEP[np.clip(nbytes - word, 0, 8)]
            is_odd |= found != expected[code]
        masked = (chunk.words(chunk.stop - 4) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        turned = masked - np.uint32(MASK_DELTA)
        crc32c = turned >> np.uint32(17) | turned << np.uint32(15)
        for i in np.flatnonzero(is_odd).tolist():
            self._odd_places.append(len(self._keys) + i)
            value = data[chunk.start[i] : chunk.stop[i]].tobytes()
            self.odd.feed([(keys[i].encode(), value)])
        if len(self._odd_places) > 1000 + len(self._keys) // 8:
            raise _UnusualError
        self._parts.append((code.astype(np.int32), crc32c, shard.astype(np.int32), offset))

    def _codes(self, chunk: _Chunk, length: Integers) -> Integers:
        """Give for each value the number of its head, the `length` bytes it begins with."""
        words = [
            chunk.words(chunk.start + at) & _KEEP[np.clip(length - at, 0, 8)]
            for at in range(0, int(length.max(initial=0)), 8)
        ]
        mixed = length.astype(np.uint64)
        for word in words:
            mixed = (mixed ^ word) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        _, first, inverse = np.unique(mixed, return_index=True, return_inverse=True)
        if not all((column == column[first][inverse]).all() for column in (length, *words)):
            raise _UnusualError
        numbers = []
        for start, nbytes in zip(chunk.start[first].tolist(), length[first].tolist(), strict=True):
            prefix = chunk.data[start : start + nbytes].tobytes()
            if prefix not in self._known:
                self._known[prefix] = len(self._heads)
                self._heads.append(parse_head(prefix))
            numbers.append(self._known[prefix])
        return np.array(numbers, np.int64)[inverse]

    def columns(self) -> TensorColumns:
        """Give all that was decoded; there is something, keys rise, nothing is in slices."""
        keys, odd = self._keys, self.odd
        is_rising = all(map(lt, keys, keys[1:]))
        if not keys or not is_rising or odd.partitioned or odd.nul_entries:
            raise _UnusualError
        parts = zip(*self._parts, strict=True)
        kind, crc32c, shard, offset = (np.concatenate(part) for part in parts)
        kinds = [(dtype, shape, nbytes) for dtype, shape, _, nbytes, _ in self._heads]
        for i in self._odd_places:
            _, dtype, shape, stored, checksum, in_shard, at = odd.tensors[keys[i]]
            kind[i], crc32c[i], shard[i], offset[i] = len(kinds), checksum, in_shard, at
            kinds.append((dtype, shape, stored))
        return TensorColumns(keys, kinds, kind, crc32c, shard, offset)


def _entries(blocks: list[bytes]) -> _Chunk | None:
    """Find the entries of some blocks, and write out their keys; None where there are none."""
    starts: list[Integers] = []
    ends: list[Any] = []
    base = 0
    for block in blocks:
        stop = entries_stop(block)
        if stop:
            restarts = np.frombuffer(block, "<u4", (len(block) - 4 - stop) // 4, stop)
            starts.append(base + restarts.astype(np.int64))
            ends += [starts[-1][1:], [base + stop]]
        base += len(block)
    if not starts:
        return None
    data = np.frombuffer(b"".join((*blocks, bytes(_PAD))), np.uint8)
    at, end = np.concatenate(starts), np.concatenate(ends)
    count = np.zeros(len(at), np.int64)
    lane = np.arange(len(at))
    steps: list[tuple[Integers, ...]] = []
    while len(lane):
        if len(steps) == MAX_STEPS:
            raise _UnusualError
        count[lane] += 1
        shared, at = _varint(data, at)
        unshared, at = _varint(data, at)
        nbytes, at = _varint(data, at)
        value = at + unshared
        stop_at = value + nbytes
        if (stop_at > end).any():
            raise _UnusualError
        steps.append((lane, at, shared, unshared, value, stop_at))
        goes_on = stop_at < end
        lane, at, end = lane[goes_on], stop_at[goes_on], end[goes_on]
    first = np.cumsum(count) - count
    key_nbytes, start, stop_of = (np.empty(int(count.sum()), np.int64) for _ in range(3))
    for step, (lane, _, shared, unshared, value, stop_at) in enumerate(steps):
        row = first[lane] + step
        key_nbytes[row] = shared + unshared
        start[row], stop_of[row] = value, stop_at
    width = int(key_nbytes.max()) + 1
    if width > MAX_KEY_NBYTES:
        raise _UnusualError
    keys = np.empty((len(key_nbytes), width), np.uint8)
    letters = keys.reshape(-1)
    for step, (lane, at, shared, unshared, _, _) in enumerate(steps):
        row = first[lane] + step
        if (shared > (key_nbytes[row - 1] if step else 0)).any():
            raise _UnusualError
        if step:
            keys[row] = keys[row - 1]
        before = np.cumsum(unshared) - unshared
        run = np.arange(int(unshared.sum()))
        to = np.repeat(row * width + shared - before, unshared) + run
        letters[to] = data[np.repeat(at - before, unshared) + run]
    letters[np.arange(len(keys)) * width + key_nbytes] = ord("\n")
    text = keys[np.arange(width) <= key_nbytes[:, None]].tobytes()
    return _Chunk(data, key_nbytes, start, stop_of, text)


def _varint(data: NDArray[np.uint8], at: Integers) -> tuple[Integers, Integers]:
    """Decode the number at each place, of two bytes at most; give the places after them too."""
    value = data[at].astype(np.int64)
    is_long = value > 0x7F
    if not is_long.any():
        return value, at + 1
    second = np.where(is_long, data[at + 1], 0).astype(np.int64)
    if (second > 0x7F).any():
        raise _UnusualError
    return np.where(is_long, (value & 0x7F) | second << 7, value), at + 1 + is_long
