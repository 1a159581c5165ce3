"""Raw snappy: the compression of blocks that Google's own writers use.

    varint length of the expanded bytes, then literals and copies

Reference: github.com/google/snappy/blob/main/format_description.txt
"""

from __future__ import annotations

from ckread.errors import CorruptCheckpointError, MissingDependencyError
from ckread.readers.varint import parse_varint

MAX_EXPANSION = 22
"""A copy of 64 bytes takes 3, so no block expands more than this."""


def decompress(data: bytes, max_nbytes: int) -> bytes:
    """Give the expanded bytes; the length that they claim is checked before.

    Raises:
        CorruptCheckpointError: they are not snappy, or expand to more than `max_nbytes`.
        MissingDependencyError: cramjam is not installed.
    """
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
