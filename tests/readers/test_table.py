"""Tables: bytes, round trips, and tables that lie."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any

import cramjam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckread.errors import (
    CheckpointError,
    ChecksumError,
    CorruptCheckpointError,
    MissingDependencyError,
    NotACheckpointError,
    TruncatedFileError,
    UnsupportedFeatureError,
)
from ckread.readers.files import RegularFile
from ckread.readers.table import Table, parse_entries
from tests import strategies
from tests.builders import (
    block_bytes,
    footer_bytes,
    sealed,
    table_bytes,
    table_of_blocks,
    varint,
)

if TYPE_CHECKING:
    from pathlib import Path

DAMAGED = (
    "The index is damaged: nothing in it can be trusted. Copy it again, or use\n"
    "another checkpoint of the run."
)


def _read(path: Path, data: bytes, **options: Any) -> list[tuple[bytes, bytes]]:
    path.write_bytes(data)
    with RegularFile(str(path)) as file:
        return list(Table(file, **options).items())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.index"


def _refused(path: Path, data: bytes, **options: Any) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        _read(path, data, **options)
    assert caught.value.path == str(path)
    return caught.value


@given(
    items=strategies.sorted_items,
    restart_interval=st.integers(1, 20),
    block_nbytes=st.sampled_from([1, 50, 500, 1 << 18]),
    snappy=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(
    tmp_path: Path,
    items: list[tuple[bytes, bytes]],
    restart_interval: int,
    block_nbytes: int,
    snappy: bool,
) -> None:
    data = table_bytes(
        items, restart_interval=restart_interval, block_nbytes=block_nbytes, snappy=snappy
    )
    assert _read(tmp_path / "t", data) == items


def test_a_block_by_bytes() -> None:
    block = bytes.fromhex("00 03 01 616263 31  02 01 02 64 3233  00000000 01000000")
    assert parse_entries(block) == [(b"abc", b"1"), (b"abd", b"23")]


def test_an_empty_block_has_a_restart_point_all_the_same() -> None:
    assert parse_entries(bytes.fromhex("00000000 01000000")) == []
    assert parse_entries(bytes(4)) == []


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("000000", "3 bytes, expected 4 or more"),
        # The restart array: too long, not there, not at a whole key.
        ("00000000 02000000", "2 restart points in 8 bytes"),
        ("00000000 ffffffff", "4294967295 restart points in 8 bytes"),
        ("00 01 00 61 00000000", "0 restart points in 8 bytes"),
        ("00 01 00 61 01000000 01000000", "restart point at byte 1 of it, not a whole key"),
        ("00 01 00 61 00000000 04000000 02000000",
         "restart point at byte 4 of it, not a whole key"),
        ("00 01 00 61 01 01 00 62 00000000 04000000 02000000",
         "restart point at byte 4 of it, not a whole key"),
        # Entries.
        ("01 00 00 00000000 01000000", "restart point at byte 0 of it, not a whole key"),
        ("00 01 00 61 02 01 00 62 00000000 01000000",
         "entry at byte 4 of it shares more bytes than the key before it has"),
        ("00 02 00 61 00000000 01000000", "entry at byte 0 of it runs past its block"),
        ("00 01 01 61 00000000 01000000", "entry at byte 0 of it runs past its block"),
        ("00 81808080 80808080 8001 00 61 00000000 01000000",
         "entry at byte 0 of it runs past its block"),
        # TensorFlow adds these two in 32 bits: 1 + 0xffffffff = 0.
        ("00 01 ffffffff0f 61 00000000 01000000", "entry at byte 0 of it runs past its block"),
        ("00 ffffffffffffffffffffff 00000000 01000000", "varint at byte 1 has more than 10 bytes"),
        ("00 8080 00000000 01000000", "varint at byte 1 runs past the end at byte 3"),
        # Order.
        ("00 01 00 62 00 01 00 61 00000000 01000000",
         "key b'a' after b'b', expected increasing keys"),
        ("00 01 00 61 01 00 00 00000000 01000000",
         "key b'a' after b'a', expected increasing keys"),
    ],
)  # fmt: skip
def test_blocks_that_lie(block: str, message: str) -> None:
    with pytest.raises(CorruptCheckpointError) as caught:
        parse_entries(bytes.fromhex(block))
    assert str(caught.value) == message


def test_the_nearest_legal_blocks() -> None:
    read = parse_entries
    assert read(bytes.fromhex("00 01 00 61 01 01 00 62 00000000 01000000")) == [
        (b"a", b""),
        (b"ab", b""),
    ]
    assert read(bytes.fromhex("00 01 00 61 00 01 00 62 00000000 04000000 02000000")) == [
        (b"a", b""),
        (b"b", b""),
    ]
    # Lengths in more bytes than they need.
    assert read(bytes.fromhex("00 8100 8000 61 00000000 01000000")) == [(b"a", b"")]


def test_keys_increase_from_block_to_block(path: Path) -> None:
    one, two = block_bytes([(b"a", b""), (b"c", b"")]), block_bytes([(b"b", b"")])
    error = _refused(path, table_of_blocks([(b"c", one), (b"d", two)]))
    found = "key b'b' after b'c', expected increasing keys"
    assert str(error) == f"t.index: block at byte {len(one) + 5}: {found}"
    assert error.remedy == DAMAGED
    three = block_bytes([(b"d", b"")])
    assert len(_read(path, table_of_blocks([(b"c", one), (b"d", three)]))) == 3
    more = block_bytes([(b"b", b""), (b"d", b"")])  # only its first key is too small
    assert "key b'b' after b'c'" in str(
        _refused(path, table_of_blocks([(b"c", one), (b"d", more)]))
    )
    same = block_bytes([(b"c", b"")])
    error = _refused(path, table_of_blocks([(b"c", one), (b"d", same)]))
    assert str(error).endswith(": key b'c' after b'c', expected increasing keys")


def test_one_block_is_not_read_again_and_again(path: Path) -> None:
    """A large block without entries, named by many handles, costs its size each time."""
    empty = struct.pack("<1001I", *[0] * 1000, 1000)
    handle = varint(0) + varint(len(empty))
    index = block_bytes([(b"%04d" % i, handle) for i in range(900)], 1)
    data = sealed(empty)
    meta = len(data)
    data += sealed(block_bytes([]))
    start = len(data)
    data += sealed(index) + footer_bytes((meta, 8), (start, len(index)))
    error = _refused(path, data)
    found = "data blocks take more bytes than the file has"
    assert str(error) == f"t.index: block at byte {start}: {found}"


@pytest.mark.parametrize("nbytes", [0, 1, 47])
def test_a_file_too_short_for_a_footer(path: Path, nbytes: int) -> None:
    error = _refused(path, bytes(nbytes))
    assert isinstance(error, TruncatedFileError)
    assert str(error) == f"t.index: {nbytes} bytes, expected 48 or more"
    assert "Copy it again" in (error.remedy or "")


def test_another_file(path: Path) -> None:
    error = _refused(path, b"\x89PNG" + bytes(60))
    assert isinstance(error, NotACheckpointError)
    expected = "t.index: ends in 0000000000000000, a table ends in 57fb808b247547db"
    assert str(error) == expected


@pytest.mark.parametrize(
    ("metaindex", "index", "message"),
    [
        ((0, 8), (0, 1 << 40), "block at byte 0: ends at byte 1099511627781, the file at 61"),
        ((0, 8), (1 << 63, 8), f"block at byte {1 << 63}: ends at byte {(1 << 63) + 13}, "
         "the file at 61"),
        ((0, 8), ((1 << 64) - 1, 1), f"block at byte {(1 << 64) - 1}: ends at byte "
         f"{(1 << 64) + 5}, the file at 61"),
        ((0, 8), (1, 56), "block at byte 1: ends at byte 62, the file at 61"),
        # The nearest handle that stays in the file fails on its checksum.
        ((0, 8), (0, 56), "block at byte 0: stored CRC-32C 0x45261c62, computed 0xc881f1fe"),
    ],
)  # fmt: skip
def test_handles_that_leave_the_file(
    path: Path, metaindex: tuple[int, int], index: tuple[int, int], message: str
) -> None:
    data = sealed(block_bytes([])) + footer_bytes(metaindex, index)
    assert str(_refused(path, data)) == f"t.index: {message}"


def test_the_metaindex_block_is_not_read(path: Path) -> None:
    data = sealed(block_bytes([])) + footer_bytes((1 << 60, 1 << 60), (0, 8))
    assert _read(path, data) == []


def test_a_footer_without_handles(path: Path) -> None:
    data = b"\x80" * 40 + footer_bytes((0, 0), (0, 0))[-8:]
    assert str(_refused(path, data)) == "t.index: footer: varint at byte 0 has more than 10 bytes"


def test_a_handle_that_is_none(path: Path) -> None:
    index = block_bytes([(b"a", b"\x05")], 1)
    data = sealed(block_bytes([])) + sealed(index) + footer_bytes((0, 8), (13, len(index)))
    expected = "t.index: block at byte 13: handle: varint at byte 1 runs past the end at byte 1"
    assert str(_refused(path, data)) == expected


def test_bytes_after_a_handle_are_allowed(path: Path) -> None:
    block = block_bytes([(b"a", b"1")])
    data = sealed(block)
    index = block_bytes([(b"a", varint(0) + varint(len(block)) + b"more")], 1)
    data += sealed(index) + footer_bytes((0, len(block)), (len(data), len(index)))
    assert _read(path, data) == [(b"a", b"1")]


def test_a_damaged_block_and_both_checksums(path: Path) -> None:
    data = bytearray(table_bytes([(b"a", b"1")]))
    data[4] ^= 0x80
    error = _refused(path, bytes(data))
    assert isinstance(error, ChecksumError)
    assert str(error) == "t.index: block at byte 0: stored CRC-32C 0x4843cd3e, computed 0x325ca61a"
    assert error.offset == 0
    assert error.remedy == DAMAGED


def test_an_unknown_compression(path: Path) -> None:
    error = _refused(path, table_of_blocks([(b"a", b"anything")], compression=2))
    assert isinstance(error, UnsupportedFeatureError)
    found = "compression type 2, expected 0 (none) or 1 (snappy)"
    assert str(error) == f"t.index: block at byte 0: {found}"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (varint(1 << 30) + b"\x00" * 10,
         "snappy expands 15 bytes to 1073741824, expected 394 at most"),
        (varint(395) + b"\x00" * 13, "snappy expands 15 bytes to 395, expected 394 at most"),
        (b"\x80", "varint at byte 0 runs past the end at byte 1"),
        (b"", "varint at byte 0 runs past the end at byte 0"),
    ],
)  # fmt: skip
def test_snappy_that_claims_too_much(path: Path, block: bytes, message: str) -> None:
    error = _refused(path, table_of_blocks([(b"a", block)], compression=1))
    assert str(error) == f"t.index: block at byte 0: {message}"


def test_snappy_without_cramjam(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = table_bytes([(b"a", b"1")], snappy=True)
    monkeypatch.setitem(sys.modules, "cramjam", None)
    path.write_bytes(data)
    with RegularFile(str(path)) as file, pytest.raises(MissingDependencyError) as caught:
        list(Table(file).items())
    found = "snappy-compressed blocks need cramjam, which is not installed"
    assert str(caught.value) == found


def test_snappy_that_gives_less_than_it_announces(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cramjam.snappy, "decompress_raw", lambda _: b"short")
    error = _refused(path, table_bytes([(b"a", b"1")], snappy=True))
    found = "snappy expands to 5 bytes, 13 were announced"
    assert str(error) == f"t.index: block at byte 0: {found}"


def test_broken_snappy(path: Path) -> None:
    error = _refused(path, table_of_blocks([(b"a", b"\x08\xff\xff\xff")], compression=1))
    assert isinstance(error, CorruptCheckpointError)
    assert str(error).startswith("t.index: block at byte 0: snappy: ")


def test_a_block_larger_than_accepted(path: Path) -> None:
    data = table_bytes([(b"a", b"x" * 1000)])
    error = _refused(path, data, max_block_nbytes=1000)
    assert str(error) == "t.index: block at byte 0: 1013 bytes, expected 1000 at most"
    assert len(_read(path, data, max_block_nbytes=1013)) == 1


def test_long_keys_out_of_few_bytes(path: Path) -> None:
    """Keys share what came before: 24 kB of block hold 134 MB of keys."""
    head = varint(0) + varint(65536) + b"\0" + b"k" * 65536
    more = b"".join(varint(65536 + i) + b"\x01\x00z" for i in range(2000))
    block = head + more + struct.pack("<II", 0, 1)
    assert len(block) < 80_000
    error = _refused(path, table_of_blocks([(b"l", block)]))
    assert str(error).startswith("t.index: block at byte 0: 10")
    assert str(error).endswith(" keys and more, too long for its size")
    fewer = head + b"".join(varint(65536 + i) + b"\x01\x00z" for i in range(900))
    twin = table_of_blocks([(b"l", fewer + struct.pack("<II", 0, 1))])
    assert len(_read(path, twin)) == 901


def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="a directory, expected a regular file"):
        RegularFile(str(tmp_path))
