"""String tensors: lengths, a checksum of them, and all bytes one after the other.

    varint64 length of each element
    u32      masked CRC-32C of the lengths, each as u32 (u64 from 2**32 on)
    bytes    of all elements

The integers behind the lengths' checksum and the checksum word are in the byte
order of the bundle. The entry's CRC-32C goes over the lengths as integers, the
checksum word as stored, and the bytes.

Reference: tensorflow/core/util/tensor_bundle/tensor_bundle.cc, WriteStringTensor
"""

from __future__ import annotations

import math
import struct
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from ckread.errors import CorruptCheckpointError
from ckread.readers.contract import shown
from ckread.readers.crc32c import crc32c, extend, unmask
from ckread.readers.extents import checksum_error, too_large
from ckread.readers.protobuf import parse_varint

if TYPE_CHECKING:
    from ckread.readers.files import RegularFile
    from ckread.readers.protobuf import BundleEntry


_CHECKSUM_NBYTES = 4


class StringTensor(NamedTuple):
    """What is stored of a string tensor, in C order; nothing of it is verified yet.

    Checksums are unmasked; the stored one of the lengths is None where nothing at all is.
    """

    elements: list[bytes]
    lengths_nbytes: int
    stored_lengths_crc32c: int | None
    lengths_crc32c: int
    crc32c: int


def parse_string_tensor(buffer: bytes, n_elements: int, *, big_endian: bool) -> StringTensor:
    """Take a string tensor apart."""
    if n_elements > len(buffer):
        found = f"{n_elements} strings in {len(buffer)} bytes"
        raise CorruptCheckpointError(found)
    if not buffer:
        return StringTensor([], 0, None, 0, 0)
    lengths, at = list(buffer[:n_elements]), n_elements
    if not buffer[:n_elements].isascii():  # not each is below 128, so in one byte
        lengths, at = [], 0
        for _ in range(n_elements):
            length, at = parse_varint(buffer, at, len(buffer))
            lengths.append(length)
    start = at + _CHECKSUM_NBYTES
    expected = start + sum(lengths)
    if expected != len(buffer):
        found = f"strings of {expected} bytes with their lengths, stored are {len(buffer)}"
        raise CorruptCheckpointError(found)
    order: Literal["big", "little"] = "big" if big_endian else "little"
    stored = unmask(int.from_bytes(buffer[at:start], order))
    computed = crc32c(packed_lengths(lengths, ">" if big_endian else "<"))
    total = extend(computed, buffer[at:])
    bounds = accumulate(lengths, initial=start)
    elements = [buffer[first:stop] for first, stop in pairwise(bounds)]
    return StringTensor(elements, at, stored, computed, total)


def packed_lengths(lengths: list[int], order: str) -> bytes:
    """Give lengths as the integers that their checksum goes over."""
    if not lengths or max(lengths) < 1 << 32:
        return struct.pack(f"{order}{len(lengths)}I", *lengths)
    return b"".join(struct.pack(order + "IQ"[length >= 1 << 32], length) for length in lengths)


def read_string_tensor(
    shard: RegularFile, entry: BundleEntry, *, key: str, big_endian: bool
) -> list[bytes]:
    """Give the elements of a string tensor, lengths and bytes verified."""
    n_elements = math.prod(entry.shape)
    try:
        strings = parse_string_tensor(
            shard.pread(entry.offset, entry.size), n_elements, big_endian=big_endian
        )
    except MemoryError:
        raise too_large(entry.size) from None
    except CorruptCheckpointError as error:
        if error.path is not None:
            raise
        damage = CorruptCheckpointError.of(error)
        raise damage.within(shown(key), path=shard.path, offset=entry.offset) from None
    stored = strings.stored_lengths_crc32c
    if stored is None:
        return []
    if stored != strings.lengths_crc32c:
        place = entry.offset, strings.lengths_nbytes
        computed = strings.lengths_crc32c
        raise checksum_error(shard.path, place, stored, computed, shown(key), "lengths")
    if strings.crc32c != entry.crc32c:
        place = entry.offset, entry.size
        raise checksum_error(shard.path, place, entry.crc32c, strings.crc32c, shown(key))
    return strings.elements
