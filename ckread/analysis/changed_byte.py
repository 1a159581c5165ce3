"""Which byte changed, if only one did: told by the two checksums of a damaged tensor alone.

CRC-32C is linear: the difference of two checksums is that of the changed bytes, carried
on over the bytes behind them. Carried back byte by byte, it becomes an entry of the
table of single bytes where the change lies.
"""

from __future__ import annotations

from functools import cache

MAX_NBYTES = 1 << 16
"""Longest run of bytes in which this is tried: in a longer one other damage may look so too."""
_POLYNOMIAL = 0x82F63B78


def changed_byte(stored: int, computed: int, nbytes: int) -> int | None:
    """Give the place of the one byte whose change explains two checksums.

    Args:
        stored: CRC-32C of the bytes as they were.
        computed: of the bytes as they are.
        nbytes: how many they are.

    Returns:
        Its offset from the first byte; None if no single byte does, or more than one.
    """
    if nbytes > MAX_NBYTES or stored == computed:
        return None
    table, by_top, singles = _tables()
    difference, found = stored ^ computed, []
    for offset in range(nbytes - 1, -1, -1):
        if difference in singles:
            found.append(offset)
        low = by_top[difference >> 24]
        difference = ((difference ^ table[low]) << 8 | low) & 0xFFFFFFFF
    return found[0] if len(found) == 1 else None


@cache
def _tables() -> tuple[tuple[int, ...], tuple[int, ...], frozenset[int]]:
    """Give the checksums of single bytes, their order by the highest byte, and their set."""
    table = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
        table.append(register)
    by_top = sorted(range(256), key=lambda byte: table[byte] >> 24)
    return tuple(table), tuple(by_top), frozenset(table[1:])
