"""Varints, what ends them, and the signed integers in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.errors import CorruptCheckpointError, TruncatedFileError
from ckread.readers.varint import parse_varint, signed, signed32
from tests.builders import varint

U64 = (1 << 64) - 1


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("00", 0),
        ("7f", 127),
        ("8001", 128),
        ("ac02", 300),
        ("ffffffff0f", (1 << 32) - 1),
        ("ffffffffffffffffff01", U64),
        ("8000", 0),  # longer than needed, and legal
        ("ffffffffffffffffff7f", U64),  # bits past the 64th are dropped, as protobuf does
    ],
)
def test_varints_by_bytes(data: str, value: int) -> None:
    buffer = bytes.fromhex(data)
    assert parse_varint(buffer, 0, len(buffer)) == (value, len(buffer))


@given(st.integers(0, U64), st.binary(max_size=5), st.binary(max_size=5))
def test_a_varint_comes_back_from_between_other_bytes(value: int, head: bytes, tail: bytes) -> None:
    encoded = varint(value)
    buffer = head + encoded + tail
    assert parse_varint(buffer, len(head), len(buffer)) == (value, len(head) + len(encoded))


def test_a_varint_of_ten_bytes_is_read_and_of_eleven_refused() -> None:
    assert parse_varint(b"\x80" * 9 + b"\x00", 0, 10) == (0, 10)
    with pytest.raises(CorruptCheckpointError) as caught:
        parse_varint(b"\x80" * 10 + b"\x00", 0, 11)
    assert str(caught.value) == "varint at byte 0 has more than 10 bytes"


def test_a_varint_stops_where_its_message_does() -> None:
    with pytest.raises(TruncatedFileError) as caught:
        parse_varint(b"\x05\x80\x01", 1, 2)
    assert str(caught.value) == "varint at byte 1 runs past the end at byte 2"


def test_twos_complement() -> None:
    assert [signed(U64), signed(1 << 63), signed((1 << 63) - 1)] == [-1, -(1 << 63), (1 << 63) - 1]
    assert [signed32(U64), signed32(1 << 31), signed32((1 << 32) + 5)] == [-1, -(1 << 31), 5]
