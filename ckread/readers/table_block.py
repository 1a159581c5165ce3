"""A block of a table: sorted entries whose keys share beginnings, and restart points.

    block    entry ... | restart u32 ... | number of restarts u32
    entry    varint shared, varint unshared, varint value length,
             unshared key bytes, value; the key is the first `shared` bytes
             of the key before it and the unshared ones

At a restart point nothing is shared, so that a search can begin there.

Reference: github.com/google/leveldb/blob/main/table/block_builder.cc
"""

from __future__ import annotations

import struct

from ckread.errors import CorruptCheckpointError, TruncatedFileError
from ckread.readers.varint import parse_varint

ENTRY_NBYTES = 200
"""Of memory that one entry takes besides its key, roughly."""


def parse_entries(
    block: bytes, *, after: bytes | None = None, memory: int = 1 << 40
) -> list[tuple[bytes, bytes]]:
    """Give the keys and values of an expanded block.

    Args:
        block: without its trailer.
        after: what the first key must be above; None for anything.
        memory: bytes that keys and entries may take, roughly: prefix compression
            makes a gigabyte of keys of half a megabyte.

    Raises:
        CorruptCheckpointError: its entries or its restart array are broken, its keys
            do not increase, or they are too much.
    """
    stop = _entries_stop(block)
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
            raise _broken_entry(start, shared > len(last))
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


def _broken_entry(start: int, is_key: bool) -> CorruptCheckpointError:
    found = "shares more bytes than the key before it has" if is_key else "runs past its block"
    return CorruptCheckpointError(f"entry at byte {start} of it {found}")


def _entries_stop(block: bytes) -> int:
    """Give where the restart array begins, each of its restart points checked."""
    if len(block) < 4:
        raise TruncatedFileError(f"{len(block)} bytes, expected 4 or more")
    n_restarts = int.from_bytes(block[-4:], "little")
    stop = len(block) - 4 - 4 * n_restarts
    if stop < 0 or (stop and not n_restarts):
        raise CorruptCheckpointError(f"{n_restarts} restart points in {len(block)} bytes")
    if stop:
        _check_restarts(block, struct.unpack_from(f"<{n_restarts}I", block, stop), stop)
    return stop


def _check_restarts(block: bytes, restarts: tuple[int, ...], stop: int) -> None:
    """Check that restarts begin at 0, increase, and point at whole keys.

    TensorFlow seeks by them, so where they lie it would read something else.
    """
    last = -1
    for restart in restarts:
        if not last < restart < stop or block[restart] or (last < 0 and restart):
            raise CorruptCheckpointError(f"restart point at byte {restart} of it, not a whole key")
        last = restart
