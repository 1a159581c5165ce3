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
from ckread.readers.extents import checksum_error, open_shard, too_large
from ckread.readers.protobuf import parse_varint

if TYPE_CHECKING:
    from ckread.readers.contract import TensorRecord
    from ckread.readers.files import RegularFile
    from ckread.readers.messages import BundleEntry


_CHECKSUM_NBYTES = 4


class StringTensor(NamedTuple):
    """What is stored of a string tensor; nothing of it is verified yet.

    Attributes:
        elements: in C order.
        lengths_nbytes: bytes of the lengths at the start.
        stored_lengths_crc32c: unmasked, as stored; None where nothing at all is.
        lengths_crc32c: unmasked, as computed.
        crc32c: unmasked, of everything, as the entry counts it.
    """

    elements: list[bytes]
    lengths_nbytes: int
    stored_lengths_crc32c: int | None
    lengths_crc32c: int
    crc32c: int


def parse_string_tensor(buffer: bytes, n_elements: int, *, big_endian: bool) -> StringTensor:
    """Take a string tensor apart.

    Raises:
        CorruptCheckpointError: the lengths do not add up to the bytes that are there.
    """
    if n_elements > len(buffer):
        found = f"{n_elements} strings in {len(buffer)} bytes"
        raise CorruptCheckpointError(found)
    if not buffer:
        return StringTensor([], 0, None, 0, 0)
    lengths, at = _parse_lengths(buffer, n_elements)
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


def _parse_lengths(buffer: bytes, n_elements: int) -> tuple[list[int], int]:
    head = buffer[:n_elements]
    if head.isascii():  # each length below 128, so in one byte
        return list(head), n_elements
    at = 0
    lengths = []
    for _ in range(n_elements):
        length, at = parse_varint(buffer, at, len(buffer))
        lengths.append(length)
    return lengths, at


def packed_lengths(lengths: list[int], order: str) -> bytes:
    """Give lengths as the integers that their checksum goes over."""
    if not lengths or max(lengths) < 1 << 32:
        return struct.pack(f"{order}{len(lengths)}I", *lengths)
    return b"".join(struct.pack(order + "IQ"[length >= 1 << 32], length) for length in lengths)


def read_string_tensor(
    shard: RegularFile, entry: BundleEntry, *, key: str, big_endian: bool
) -> list[bytes]:
    """Give the elements of a string tensor, lengths and bytes verified.

    Raises:
        TruncatedFileError: the shard ends before them.
        CorruptCheckpointError: the lengths do not fit the bytes.
        ChecksumError: lengths or bytes are damaged.
        CheckpointError: memory does not hold them.
    """
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


# Variant tensors: states of datasets and lists. They hold no array, but can be verified.
#
#     per element   varint64 length, a VariantTensorDataProto of that length,
#                   u32 masked CRC-32C of everything so far
#
# The running checksum goes over each length as u64, the bytes, and the checksum word;
# its last value is that of the entry.
#
# Reference: tensorflow/core/util/tensor_bundle/tensor_bundle.cc, WriteVariantTensor

MAX_NBYTES = 1 << 30


def verify_variant(record: TensorRecord, path: str) -> None:
    """Verify a variant tensor in the data shard at `path`.

    Raises:
        MissingShardError: the shard is not there.
        TruncatedFileError: it ends too early.
        CorruptCheckpointError: lengths do not fit; `ChecksumError`: the bytes are damaged.
    """
    offset = record.offset or 0
    name = path.rpartition("/")[2]
    if record.nbytes > MAX_NBYTES:
        raise CorruptCheckpointError(f"a variant of {record.nbytes} bytes", path=path, name=name)
    with open_shard(path) as shard:
        data = shard.pread(offset, record.nbytes)
    at = computed = 0
    for _ in range(math.prod(record.shape)):
        length, start = parse_varint(data, at, len(data))
        stop = start + length
        if stop + _CHECKSUM_NBYTES > len(data):
            raise CorruptCheckpointError(
                f"bytes {offset} to {offset + len(data)}: an element runs past them",
                path=path,
                name=name,
                offset=offset,
            )
        computed = extend(computed, struct.pack("<Q", length))
        computed = extend(computed, data[start:stop])
        at = stop + _CHECKSUM_NBYTES
        stored = unmask(int.from_bytes(data[stop:at], "little"))
        if stored != computed:
            raise checksum_error(path, (offset + start, length), stored, computed)
        computed = extend(computed, data[stop:at])
    if at != len(data):
        raise CorruptCheckpointError(
            f"bytes {offset} to {offset + len(data)}: elements end at {offset + at}",
            path=path,
            name=name,
            offset=offset,
        )
    if record.crc32c is not None and computed != record.crc32c:
        raise checksum_error(path, (offset, len(data)), record.crc32c, computed)
