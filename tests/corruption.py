"""Damage to files, by byte."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.builders import masked_crc32c


def flip(path: Path | str, offset: int, mask: int = 0x80) -> None:
    """Exclusive-or one byte; a negative offset counts from the end, as in LevelDB's tests."""
    data = bytearray(Path(path).read_bytes())
    data[offset] ^= mask
    Path(path).write_bytes(data)


def truncate(path: Path | str, nbytes: int) -> None:
    """Keep the first `nbytes` bytes; a negative number takes as many off the end."""
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[:nbytes])


def patch(path: Path | str, offset: int, replacement: bytes) -> None:
    """Put other bytes in place of as many."""
    data = bytearray(Path(path).read_bytes())
    data[offset : offset + len(replacement)] = replacement
    Path(path).write_bytes(data)


def resealed(table: bytes, blocks: list[tuple[int, int]]) -> bytes:
    """Give a damaged table with right checksums, so that damage reaches the parser.

    Args:
        table: the whole file.
        blocks: offset and size of each block, from before the damage.
    """
    data = bytearray(table)
    for offset, size in blocks:
        content = bytes(data[offset : offset + size + 1])
        data[offset + size + 1 : offset + size + 5] = struct.pack("<I", masked_crc32c(content))
    return bytes(data)
