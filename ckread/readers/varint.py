"""Varints, the integers of protobuf and LevelDB, checked against where their buffer ends.

    varint    7 bits per byte, least significant first, high bit = more follow,
              at most 10 bytes; taken modulo 2**64

Errors name the byte counted from the start of the buffer; callers add the file.

Reference: protobuf.dev/programming-guides/encoding/#varints
"""

from __future__ import annotations

from ckread.errors import CorruptCheckpointError, TruncatedFileError

MAX_VARINT_NBYTES = 10
_U64 = (1 << 64) - 1


def parse_varint(buffer: bytes, position: int, stop: int) -> tuple[int, int]:
    """Give the unsigned 64-bit varint at `position`, and the position after it.

    Raises:
        CorruptCheckpointError: it runs past `stop`, or is longer than 10 bytes.
    """
    value = shift = 0
    for at in range(position, min(stop, position + MAX_VARINT_NBYTES)):
        byte = buffer[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _U64, at + 1
        shift += 7
    if shift == 7 * MAX_VARINT_NBYTES:
        message = f"varint at byte {position} has more than {MAX_VARINT_NBYTES} bytes"
        raise CorruptCheckpointError(message, offset=position)
    message = f"varint at byte {position} runs past the end at byte {stop}"
    raise TruncatedFileError(message, offset=position)


def signed(value: int) -> int:
    """Give the int64 whose two's complement is the unsigned `value`."""
    return value - (1 << 64) if value >> 63 else value


def signed32(value: int) -> int:
    """Give the int32 in the low half of `value`, as protobuf truncates."""
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value
