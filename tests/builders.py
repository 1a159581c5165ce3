"""Our own writer of tables and tensor bundles, from scratch and for tests only.

It writes what the reader has to cope with: any restart interval and block size,
snappy, big-endian data, gaps, several shards, slices, and crafted entries. It shares
no code with the reader but the element types.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cramjam
import google_crc32c
import numpy as np

from ckread.readers.contract import DataType

Items = Iterable[tuple[bytes, bytes]]
Ranges = Sequence[tuple[int, int | None]]

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)


def masked_crc32c(data: bytes, crc: int = 0) -> int:
    """Give the masked CRC-32C of `data` after what had `crc`."""
    value: int = google_crc32c.extend(crc, data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value: int) -> bytes:
    """Encode an integer; a negative one as its two's complement of 64 bits."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def varint_field(number: int, value: int) -> bytes:
    """Encode a varint field; zero is left out, as proto3 does."""
    return varint(number << 3) + varint(value) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """Encode a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed32_field(number: int, value: int) -> bytes:
    """Encode a fixed32 field."""
    return varint(number << 3 | 5) + struct.pack("<I", value)


# Tables.


def block_bytes(items: Items, restart_interval: int = 16) -> bytes:
    """Encode one block, without its trailer."""
    out, restarts, last = bytearray(), [0], b""
    for i, (key, value) in enumerate(items):
        shared = 0
        if i and i % restart_interval == 0:
            restarts.append(len(out))
        elif i:
            shared = next(
                (n for n, (a, b) in enumerate(zip(key, last, strict=False)) if a != b),
                min(len(key), len(last)),
            )
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        last = key
    return bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def sealed(block: bytes, compression: int = 0) -> bytes:
    """Give a block with its trailer."""
    content = block + bytes([compression])
    return content + struct.pack("<I", masked_crc32c(content))


def footer_bytes(metaindex: tuple[int, int], index: tuple[int, int]) -> bytes:
    """Encode a footer from two handles (offset, size)."""
    handles = b"".join(map(varint, (*metaindex, *index)))
    return handles.ljust(40, b"\0") + MAGIC


def table_of_blocks(blocks: Sequence[tuple[bytes, bytes]], compression: int = 0) -> bytes:
    """Encode a table of ready blocks, each with its separator key."""
    file = bytearray()
    handles = []
    for key, block in blocks:
        handles.append((key, varint(len(file)) + varint(len(block))))
        file += sealed(block, compression)
    places = []
    for block in (block_bytes([]), block_bytes(handles, 1)):
        places.append((len(file), len(block)))
        file += sealed(block)
    return bytes(file) + footer_bytes(*places)


def table_bytes(
    items: Items,
    *,
    restart_interval: int = 16,
    block_nbytes: int = 1 << 18,
    snappy: bool = False,
) -> bytes:
    """Encode a table."""
    blocks: list[tuple[bytes, bytes]] = []
    pending: list[tuple[bytes, bytes]] = []
    size = 0
    for key, value in items:
        pending.append((key, value))
        size += len(key) + len(value)
        if size >= block_nbytes:
            blocks.append((key, block_bytes(pending, restart_interval)))
            pending, size = [], 0
    if pending:
        blocks.append((pending[-1][0], block_bytes(pending, restart_interval)))
    if snappy:
        blocks = [(key, bytes(cramjam.snappy.compress_raw(block))) for key, block in blocks]
    return table_of_blocks(blocks, compression=int(snappy))


# Messages of a bundle.


def header_bytes(
    num_shards: int = 1,
    *,
    big_endian: bool = False,
    producer: int = 1,
    min_consumer: int = 0,
    bad_consumers: Sequence[int] = (),
) -> bytes:
    """Encode a BundleHeaderProto."""
    bad = bytes_field(3, b"".join(map(varint, bad_consumers))) if bad_consumers else b""
    version = varint_field(1, producer) + varint_field(2, min_consumer) + bad
    return varint_field(1, num_shards) + varint_field(2, big_endian) + bytes_field(3, version)


def shape_bytes(shape: Sequence[int]) -> bytes:
    """Encode a TensorShapeProto."""
    return b"".join(bytes_field(2, varint_field(1, size)) for size in shape)


def slice_bytes(ranges: Ranges) -> bytes:
    """Encode a TensorSliceProto from start and length per dimension, None for all of it."""
    return b"".join(
        bytes_field(1, b"" if length is None else varint_field(1, start) + b"\x10" + varint(length))
        for start, length in ranges
    )


def entry_bytes(
    dtype: int,
    shape: Sequence[int],
    *,
    shard: int = 0,
    offset: int = 0,
    size: int = 0,
    masked: int = 0,
    slices: Sequence[Ranges] = (),
) -> bytes:
    """Encode a BundleEntryProto."""
    fields = varint_field(1, dtype) + bytes_field(2, shape_bytes(shape))
    fields += varint_field(3, shard) + varint_field(4, offset) + varint_field(5, size)
    fields += fixed32_field(6, masked) if masked else b""
    return fields + b"".join(bytes_field(7, slice_bytes(ranges)) for ranges in slices)


def ordered_key(name: bytes, ranges: Ranges) -> bytes:
    """Encode the OrderedCode key of a slice, number by number as the format says."""
    escaped = b"".join(
        {0x00: b"\x00\xff", 0xFF: b"\xff\x00"}.get(byte, bytes([byte])) for byte in name
    )
    key = b"\x00" + escaped + b"\x00\x01" + _increasing(len(ranges))
    for start, length in ranges:
        key += _signed_increasing(start) + _signed_increasing(-1 if length is None else length)
    return key


def _increasing(value: int) -> bytes:
    digits = value.to_bytes(8, "big").lstrip(b"\0")
    return bytes([len(digits)]) + digits


def _signed_increasing(value: int) -> bytes:
    nbytes = next(n for n in range(1, 11) if -(1 << 7 * n - 1) <= value < 1 << 7 * n - 1)
    bits = list(f"{value & (1 << 8 * nbytes) - 1:0{8 * nbytes}b}")
    bits[:nbytes] = ["1" if bit == "0" else "0" for bit in bits[:nbytes]]
    return int("".join(bits), 2).to_bytes(nbytes, "big")


class BundleBuilder:
    """Collects tensors and writes them as a bundle.

    Attributes:
        items: entries of the index by stored key; change them to craft one.
        shards: the bytes of each data shard.
    """

    def __init__(self, num_shards: int = 1, *, big_endian: bool = False) -> None:
        self.items: dict[bytes, bytes] = {b"": header_bytes(num_shards, big_endian=big_endian)}
        self.shards = [bytearray() for _ in range(num_shards)]
        self._big_endian = big_endian

    def add(
        self, key: str, array: np.ndarray[Any, Any], dtype: DataType, *, shard: int = 0
    ) -> None:
        """Add a plain tensor."""
        entry = self._plain_entry(array, dtype, shard)
        self.items[key.encode(errors="surrogateescape")] = entry

    def add_strings(
        self, key: str, elements: Sequence[bytes], shape: Sequence[int], *, shard: int = 0
    ) -> None:
        """Add a string tensor."""
        entry = self._string_entry(elements, shape, shard)
        self.items[key.encode(errors="surrogateescape")] = entry

    def add_partitioned(
        self,
        key: str,
        array: np.ndarray[Any, Any],
        dtype: DataType,
        slices: Sequence[Ranges],
    ) -> None:
        """Add a tensor in slices, which go round the shards in turn."""
        name = key.encode(errors="surrogateescape")
        self.items[name] = entry_bytes(dtype.number, array.shape, slices=slices)
        for i, ranges in enumerate(slices):
            place = tuple(
                slice(None) if length is None else slice(start, start + length)
                for start, length in ranges
            )
            part, shard = array[place], i % len(self.shards)
            if dtype is DataType.STRING:
                entry = self._string_entry(list(part.reshape(-1)), part.shape, shard)
            else:
                entry = self._plain_entry(part, dtype, shard)
            self.items[ordered_key(name, ranges)] = entry

    def add_gap(self, nbytes: int, *, shard: int = 0) -> None:
        """Put bytes between tensors that belong to none."""
        self.shards[shard] += b"\xaa" * nbytes

    def write(self, prefix: Path, **table_options: Any) -> str:
        """Write index and data shards; give the prefix as text."""
        index = table_bytes(sorted(self.items.items()), **table_options)
        Path(f"{prefix}.index").write_bytes(index)
        for i, data in enumerate(self.shards):
            Path(f"{prefix}.data-{i:05d}-of-{len(self.shards):05d}").write_bytes(data)
        return str(prefix)

    def _plain_entry(self, array: np.ndarray[Any, Any], dtype: DataType, shard: int) -> bytes:
        data = np.ascontiguousarray(array).tobytes()
        if self._big_endian:
            is_complex = dtype in (DataType.COMPLEX64, DataType.COMPLEX128)
            width = dtype.itemsize // (2 if is_complex else 1)
            data = b"".join(data[i : i + width][::-1] for i in range(0, len(data), width))
        return self._put(dtype, array.shape, data, masked_crc32c(data), shard)

    def _string_entry(self, elements: Sequence[bytes], shape: Sequence[int], shard: int) -> bytes:
        order = ">" if self._big_endian else "<"
        lengths = b"".join(struct.pack(f"{order}I", len(element)) for element in elements)
        word = struct.pack(f"{order}I", masked_crc32c(lengths))
        tail = word + b"".join(elements)
        data = b"".join(varint(len(element)) for element in elements) + tail
        masked = masked_crc32c(tail, google_crc32c.value(lengths))
        return self._put(DataType.STRING, shape, data, masked, shard)

    def _put(
        self, dtype: DataType, shape: Sequence[int], data: bytes, masked: int, shard: int
    ) -> bytes:
        target = self.shards[shard]
        offset = len(target)
        target += data
        return entry_bytes(
            dtype.number, shape, shard=shard, offset=offset, size=len(data), masked=masked
        )


def write_bundle(prefix: Path, tensors: Mapping[str, np.ndarray[Any, Any]], **options: Any) -> str:
    """Write float32 arrays as a bundle of one shard; give the prefix as text."""
    builder = BundleBuilder()
    for key, array in tensors.items():
        builder.add(key, array.astype(np.float32), DataType.FLOAT32)
    return builder.write(prefix, **options)


def v1_file(path: Path, tensors: Mapping[str, np.ndarray[Any, Any]], block_nbytes: int) -> str:
    """Write float32 arrays as a V1 checkpoint; give the path as text."""
    metas, items = b"", {}
    for name, array in tensors.items():
        whole = [(0, None)] * array.ndim
        fields = bytes_field(1, name.encode()) + bytes_field(2, shape_bytes(array.shape))
        metas += bytes_field(1, fields + varint_field(3, 1) + bytes_field(4, slice_bytes(whole)))
        values = bytes_field(5, array.astype("<f4").tobytes())
        data = bytes_field(1, name.encode()) + bytes_field(2, slice_bytes(whole))
        items[ordered_key(name.encode(), whole)] = bytes_field(2, data + bytes_field(3, values))
    listed = {b"": bytes_field(1, metas)}
    path.write_bytes(table_bytes(sorted({**listed, **items}.items()), block_nbytes=block_nbytes))
    return str(path)
