"""String tensors taken apart, by bytes and by lies."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.errors import CorruptCheckpointError
from ckread.readers.bundle.strings import packed_lengths, parse_string_tensor
from ckread.readers.crc32c import crc32c, extend, mask
from tests.builders import varint


def _encoded(elements: list[bytes], order: str = "<") -> bytes:
    lengths = b"".join(struct.pack(order + "I", len(element)) for element in elements)
    head = b"".join(varint(len(element)) for element in elements)
    return head + struct.pack(order + "I", mask(crc32c(lengths))) + b"".join(elements)


def test_two_strings_by_bytes() -> None:
    word = struct.pack("<I", mask(crc32c(bytes.fromhex("02000000 00000000"))))
    strings = parse_string_tensor(b"\x02\x00" + word + b"hi", 2, big_endian=False)
    assert strings.elements == [b"hi", b""]
    assert strings.lengths_nbytes == 2
    assert strings.stored_lengths_crc32c == strings.lengths_crc32c
    assert strings.crc32c == extend(crc32c(bytes.fromhex("02000000 00000000")), word + b"hi")


@given(st.lists(st.binary(max_size=200), max_size=40), st.booleans())
def test_strings_come_back(elements: list[bytes], big_endian: bool) -> None:
    data = _encoded(elements, ">" if big_endian else "<")
    strings = parse_string_tensor(data, len(elements), big_endian=big_endian)
    assert strings.elements == elements
    assert strings.stored_lengths_crc32c == strings.lengths_crc32c
    if elements:
        other = parse_string_tensor(data, len(elements), big_endian=not big_endian)
        assert other.stored_lengths_crc32c != other.lengths_crc32c


def test_no_strings_with_and_without_their_checksum() -> None:
    assert parse_string_tensor(b"", 0, big_endian=False).elements == []
    strings = parse_string_tensor(struct.pack("<I", 0xA282EAD8), 0, big_endian=False)
    assert (strings.elements, strings.stored_lengths_crc32c, strings.crc32c) == (
        [],
        0,
        crc32c(struct.pack("<I", 0xA282EAD8)),
    )


@pytest.mark.parametrize(
    ("data", "n_elements", "message"),
    [
        (b"", 1, "1 strings in 0 bytes"),
        (b"\x00" * 11, 1 << 28, "268435456 strings in 11 bytes"),
        (b"\x05" + bytes(4) + b"four", 1,
         "strings of 10 bytes with their lengths, stored are 9"),
        (b"\x05" + bytes(4) + b"sixsix", 1,
         "strings of 10 bytes with their lengths, stored are 11"),
        (varint(1 << 36) + bytes(4), 1,
         "strings of 68719476746 bytes with their lengths, stored are 10"),
        # Two lengths whose sum in 64 bits is 4.
        (varint((1 << 64) - 1) + b"\x05" + bytes(4) + b"four", 2,
         f"strings of {(1 << 64) + 19} bytes with their lengths, stored are 19"),
        (b"\x80", 1, "varint at byte 0 runs past the end at byte 1"),
    ],
)  # fmt: skip
def test_lengths_that_lie(data: bytes, n_elements: int, message: str) -> None:
    with pytest.raises(CorruptCheckpointError) as caught:
        parse_string_tensor(data, n_elements, big_endian=False)
    assert str(caught.value) == message


def test_the_nearest_legal_string() -> None:
    assert parse_string_tensor(b"\x05" + bytes(4) + b"fives", 1, big_endian=False).elements == [
        b"fives"
    ]


def test_lengths_from_4_gib_on_count_as_64_bits() -> None:
    assert packed_lengths([1, 1 << 32, 2], "<") == bytes.fromhex(
        "01000000 0000000001000000 02000000"
    )
    assert packed_lengths([1, 1 << 32], ">") == bytes.fromhex("00000001 0000000100000000")
    assert packed_lengths([1, (1 << 32) - 1], ">") == bytes.fromhex("00000001 ffffffff")
