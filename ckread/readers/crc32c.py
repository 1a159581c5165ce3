"""CRC-32C (Castagnoli), and the masked form that tables and bundles store.

    mask(c) = rotate_right_32(c, 15) + 0xa282ead8   (mod 2**32)

A stored checksum is masked because the CRC of data that holds its own CRC is
weak. Everything outside this module and the parsers is unmasked.

Reference: github.com/google/leveldb/blob/main/util/crc32c.h; RFC 3720, appendix B.4
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import google_crc32c

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

MASK_DELTA = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78
_U32 = 0xFFFFFFFF

Matrix = tuple[int, ...]
"""A linear map of 32-bit words over GF(2): the images of the single bits."""


def crc32c(data: bytes | NDArray[np.uint8]) -> int:
    """Give the CRC-32C of bytes, or of a contiguous array (not of a memoryview)."""
    value: int = google_crc32c.value(data)
    return value


def each(parts: Iterable[bytes]) -> list[int]:
    """Give the CRC-32C of each of many short parts."""
    return list(map(google_crc32c.value, parts))


def extend(crc: int, data: bytes | NDArray[np.uint8]) -> int:
    """Give the CRC-32C of what had `crc`, followed by `data`."""
    value: int = google_crc32c.extend(crc, data)
    return value


def mask(crc: int) -> int:
    """Give the form in which a checksum is stored."""
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & _U32


def unmask(masked: int) -> int:
    """Give the checksum that is stored as `masked`."""
    rotated = (masked - MASK_DELTA) & _U32
    return (rotated >> 17 | rotated << 15) & _U32


def combine(first: int, second: int, second_nbytes: int) -> int:
    """Give the CRC-32C of a concatenation from those of its two parts."""
    power = 0
    while second_nbytes:
        if second_nbytes & 1:
            first = _apply(_zero_bytes(power), first)
        second_nbytes >>= 1
        power += 1
    return first ^ second


def joined(parts: Iterable[tuple[int, int]]) -> int:
    """Give the CRC-32C of a whole from (CRC-32C, bytes) of its parts in their order."""
    whole = 0
    for part, nbytes in parts:
        whole = combine(whole, part, nbytes)
    return whole


@cache
def _zero_bytes(power: int) -> Matrix:
    """Give the map of a CRC register over `2**power` zero bytes."""
    if power:
        half = _zero_bytes(power - 1)
        return tuple(_apply(half, image) for image in half)
    one_bit: Matrix = (_POLYNOMIAL, *(1 << bit for bit in range(31)))
    for _ in range(3):
        one_bit = tuple(_apply(one_bit, image) for image in one_bit)
    return one_bit


def _apply(matrix: Matrix, word: int) -> int:
    image = 0
    for column in matrix:
        if word & 1:
            image ^= column
        word >>= 1
        if not word:
            break
    return image
