"""Streams of extents: chunks, checksums of parts, byte order, other processes."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.errors import CheckpointError, ChecksumError, MissingShardError, TruncatedFileError
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType, Extent
from ckread.readers.crc32c import combine, crc32c
from ckread.readers.extents import (
    ExtentStream,
    aligned_buffer,
    decode,
    read_extent,
    verify_extent,
)
from ckread.readers.files import RegularFile
from tests.builders import BundleBuilder

if TYPE_CHECKING:
    from pathlib import Path

VALUES = np.arange(1000, dtype=np.float32)


@pytest.fixture
def extent(tmp_path: Path) -> Extent:
    builder = BundleBuilder()
    builder.add_gap(13)
    builder.add("w", VALUES, DataType.FLOAT32)
    bundle = TensorBundle(builder.write(tmp_path / "m"))
    extents = bundle.extents("w")
    assert extents is not None
    return extents[0]


@pytest.mark.parametrize("nbytes", [1, 63, 64, 1 << 20])
def test_a_buffer_is_aligned(nbytes: int) -> None:
    buffer = aligned_buffer(nbytes)
    assert len(buffer) == nbytes
    assert buffer.ctypes.data % 64 == 0
    assert buffer.flags.writeable


@pytest.mark.parametrize("nbytes", [4, 7, 400, 4000, 5000])
def test_a_stream_in_chunks_of_whole_elements(extent: Extent, nbytes: int) -> None:
    buffer = aligned_buffer(nbytes)
    stream = ExtentStream(extent, buffer)
    chunks = [bytes(chunk) for chunk in stream]
    assert b"".join(chunks) == VALUES.tobytes()
    assert {len(chunk) for chunk in chunks[:-1]} <= {nbytes // 4 * 4}
    assert stream.crc32c == crc32c(VALUES.tobytes()) == extent.crc32c
    verify_extent(extent, stream.crc32c)


def test_chunks_are_views_on_the_buffer(extent: Extent) -> None:
    buffer = aligned_buffer(400)
    assert all(np.shares_memory(chunk, buffer) for chunk in ExtentStream(extent, buffer))


def test_parts_in_two_workers_make_the_checksum_of_the_whole(extent: Extent) -> None:
    sent = pickle.loads(pickle.dumps(extent))
    assert sent == extent
    first = ExtentStream(sent, aligned_buffer(64), stop=1200)
    second = ExtentStream(sent, aligned_buffer(100), start=1200)
    assert sum(map(len, first)) + sum(map(len, second)) == extent.nbytes
    verify_extent(extent, combine(first.crc32c, second.crc32c, extent.nbytes - 1200))


def test_an_open_file_is_used_and_left_open(extent: Extent) -> None:
    with RegularFile(extent.path) as shard:
        for _ in range(2):
            stream = ExtentStream(extent, aligned_buffer(400), shard=shard)
            assert sum(map(len, stream)) == 4000


def test_a_checksum_that_differs(extent: Extent) -> None:
    with pytest.raises(ChecksumError) as caught:
        verify_extent(extent, 0x1234)
    assert str(caught.value) == (
        f"m.data-00000-of-00001: bytes 13 to 4013: stored CRC-32C {extent.crc32c:#010x}, "
        "computed 0x00001234"
    )
    verify_extent(extent._replace(crc32c=None), 0x1234)


def test_a_file_that_is_short_or_absent(extent: Extent, tmp_path: Path) -> None:
    shard = tmp_path / "m.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(TruncatedFileError) as caught:
        list(ExtentStream(extent, aligned_buffer(400)))
    wanted = "bytes 13 to 4013 are wanted, the file ends at byte 100"
    assert str(caught.value) == f"m.data-00000-of-00001: {wanted}"
    # What lies before its end can be had.
    assert sum(map(len, ExtentStream(extent, aligned_buffer(40), stop=84))) == 84
    shard.unlink()
    with pytest.raises(MissingShardError):
        list(ExtentStream(extent, aligned_buffer(400)))


def test_a_file_cut_short_while_it_is_streamed(extent: Extent, tmp_path: Path) -> None:
    chunks = iter(ExtentStream(extent, aligned_buffer(400)))
    next(chunks)
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(500))
    with pytest.raises(TruncatedFileError) as caught:
        list(chunks)
    wanted = "bytes 413 to 813 are wanted, the file ends at byte 500"
    assert str(caught.value) == f"m.data-00000-of-00001: {wanted}"


def test_a_buffer_that_holds_no_element(extent: Extent) -> None:
    with pytest.raises(ValueError, match="a buffer of 3 bytes holds no element of 4"):
        next(iter(ExtentStream(extent, aligned_buffer(3))))


@pytest.mark.parametrize(
    ("dtype", "stored", "expected"),
    [
        (DataType.INT32, "00000001 fffffffe", np.array([1, -2], np.int32)),
        (DataType.COMPLEX64, "3f800000 40000000", np.array([1 + 2j], np.complex64)),
        (DataType.UINT8, "0102", np.array([1, 2], np.uint8)),
        (DataType.FLOAT64, "3ff0000000000000", np.array([1.0])),
    ],
)
def test_big_endian_bytes(
    tmp_path: Path, dtype: DataType, stored: str, expected: np.ndarray[Any, Any]
) -> None:
    data = bytes.fromhex(stored)
    (tmp_path / "d").write_bytes(data)
    extent = Extent(str(tmp_path / "d"), 0, len(data), dtype, True, crc32c(data), ())
    raw = np.frombuffer(data, np.uint8)
    values = decode(extent, raw)
    assert values.dtype == expected.dtype
    assert np.array_equal(values, expected)
    assert bytes(raw) == data
    with RegularFile(extent.path) as shard:
        assert read_extent(extent, shard) == expected.tobytes()


def test_memory_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", no_memory)
    with pytest.raises(CheckpointError) as caught:
        aligned_buffer(1 << 50)
    assert str(caught.value) == "1125899906842624 bytes do not fit into memory"
    assert caught.value.remedy == "Read a slice of it, or stream it chunk by chunk."
