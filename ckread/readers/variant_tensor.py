"""Variant tensors: states of datasets and lists. They hold no array, but can be verified.

    per element   varint64 length, a VariantTensorDataProto of that length,
                  u32 masked CRC-32C of everything so far

The running checksum goes over each length as u64, the bytes, and the checksum word;
its last value is that of the entry.

Reference: tensorflow/core/util/tensor_bundle/tensor_bundle.cc, WriteVariantTensor
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from ckread.errors import CorruptCheckpointError
from ckread.readers.crc32c import extend, unmask
from ckread.readers.extents import checksum_error, open_shard
from ckread.readers.varint import parse_varint

if TYPE_CHECKING:
    from ckread.readers.contract import TensorRecord

_CHECKSUM_NBYTES = 4
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
        raise CorruptCheckpointError(f"{name}: a variant of {record.nbytes} bytes", path=path)
    with open_shard(path) as shard:
        data = shard.pread(offset, record.nbytes)
    at = computed = 0
    for _ in range(math.prod(record.shape)):
        length, start = parse_varint(data, at, len(data))
        stop = start + length
        if stop + _CHECKSUM_NBYTES > len(data):
            message = f"{name}: bytes {offset} to {offset + len(data)}: an element runs past them"
            raise CorruptCheckpointError(message, path=path, offset=offset)
        computed = extend(computed, struct.pack("<Q", length))
        computed = extend(computed, data[start:stop])
        at = stop + _CHECKSUM_NBYTES
        stored = unmask(int.from_bytes(data[stop:at], "little"))
        if stored != computed:
            raise checksum_error(path, (offset + start, length), stored, computed)
        computed = extend(computed, data[stop:at])
    if at != len(data):
        message = f"{name}: bytes {offset} to {offset + len(data)}: elements end at {offset + at}"
        raise CorruptCheckpointError(message, path=path, offset=offset)
    if record.crc32c is not None and computed != record.crc32c:
        raise checksum_error(path, (offset, len(data)), record.crc32c, computed)
