"""The wire format, by bytes and against itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.errors import CheckpointError, CorruptCheckpointError, TruncatedFileError
from ckread.readers import protobuf
from ckread.readers.protobuf import (
    iter_fields,
    length_delimited,
    parse_text,
    parse_varint,
    parse_varints,
    signed,
    signed32,
)
from tests import strategies
from tests.builders import bytes_field, varint, varint_field


def _fields(data: str) -> list[tuple[int, int, object]]:
    return list(iter_fields(bytes.fromhex(data)))


def test_fields_of_every_wire_type() -> None:
    assert _fields("0896 01") == [(1, 0, 150)]
    assert _fields("1207 74657374696e67") == [(2, 2, (2, 9))]
    assert _fields("3d 78563412") == [(7, 5, 0x12345678)]
    assert _fields("09 0100000000000080") == [(1, 1, 0x8000000000000001)]
    assert _fields("8801 05") == [(17, 0, 5)]
    assert _fields("") == []


def test_a_span_is_read_within_the_whole_buffer() -> None:
    buffer = bytes.fromhex("0a04 0801 1202") + b"ok"
    ((_, _, (start, stop)),) = list(iter_fields(buffer, 0, 6))
    assert list(iter_fields(buffer, start, start + 2)) == [(1, 0, 1)]
    assert parse_text(buffer, (6, 8)) == "ok"
    assert stop == 6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("00", "field number 0 at byte 0, expected 1 to 536870911"),
        ("ffffffffff01 00", "field number 8589934591 at byte 0, expected 1 to 536870911"),
        ("0b", "wire type 3 at byte 0, expected 0, 1, 2 or 5"),
        ("0c", "wire type 4 at byte 0, expected 0, 1, 2 or 5"),
        ("0801 0f", "wire type 7 at byte 2, expected 0, 1, 2 or 5"),
        ("0a05 01020304", "field at byte 0 ends at byte 7, its message at byte 6"),
        ("0affffffffffffffffff01", f"field at byte 0 ends at byte {11 + 2**64 - 1}, "
         "its message at byte 11"),
        ("0d 000000", "field at byte 1 ends at byte 5, its message at byte 4"),
        ("09 00000000000000", "field at byte 1 ends at byte 9, its message at byte 8"),
        ("08", "varint at byte 1 runs past the end at byte 1"),
    ],
)  # fmt: skip
def test_what_is_no_field_is_refused(data: str, message: str) -> None:
    with pytest.raises(CorruptCheckpointError) as caught:
        _fields(data)
    assert str(caught.value) == message


def test_text_that_is_not_utf8_keeps_its_bytes() -> None:
    text = parse_text(b"a\xff\xc3\xa9", (0, 4))
    assert text == "a\udcffé"
    assert text.encode(errors="surrogateescape") == b"a\xff\xc3\xa9"


def test_repeated_numbers_packed_or_not() -> None:
    assert parse_varints(b"", 0, 7) == [7]
    assert parse_varints(b"\x01\xac\x02", 2, (0, 3)) == [1, 300]
    assert parse_varints(b"", 5, 7) == []
    with pytest.raises(CorruptCheckpointError):
        parse_varints(b"\x01\x80\x01", 2, (0, 2))


@given(st.one_of(st.binary(max_size=40), strategies.messages))
def test_the_fast_way_gives_what_the_plain_one_does(buffer: bytes) -> None:
    def plain() -> object:
        return [
            (number << 3 | 2, *value)
            for number, wire_type, value in iter_fields(buffer)
            if wire_type == 2
        ]

    assert _outcome(plain) == _outcome(lambda: length_delimited(buffer, 0, len(buffer)))


def _outcome(parse: object) -> object:
    try:
        return parse()  # type: ignore[operator]
    except CheckpointError:
        return CheckpointError


# Varints, what ends them, and the signed integers in them.

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


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 129, 255, 256, 16383, 16384, 16385])
@pytest.mark.parametrize("number", [1, 2, 15, 16])
def test_parts_of_every_length(number: int, length: int) -> None:
    """Also those whose length or tag takes two bytes, and with what is no part between them."""
    part = bytes_field(number, b"x" * length)
    for between in (b"", varint_field(3, 300)):
        data = b"\0" + part + between + part
        found = length_delimited(data, 1, len(data))
        expected = [
            (found_number << 3 | kind, *value)
            for found_number, kind, value in iter_fields(data, 1)
            if kind == 2
        ]
        assert found == expected
        assert [stop - start for _, start, stop in found] == [length, length]


def test_how_many_parts_a_message_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "MAX_PARTS", 3)
    for between in (b"", varint_field(3, 1)):
        parts = [bytes_field(1, b"x") + between for _ in range(4)]
        assert len(length_delimited(b"".join(parts[:3]), 0, 3 * len(parts[0]))) == 3
        with pytest.raises(CorruptCheckpointError) as caught:
            length_delimited(b"".join(parts), 0, 4 * len(parts[0]))
        assert str(caught.value) == "more than 3 parts in a message"
        assert caught.value.offset == 0


def test_numbers_of_fields() -> None:
    most = (1 << 29) - 1
    assert list(iter_fields(varint(most << 3) + b"\5")) == [(most, 0, 5)]
    for number in (0, most + 1):
        with pytest.raises(CorruptCheckpointError) as caught:
            list(iter_fields(b"\x08\1" + varint(number << 3) + b"\5"))
        assert str(caught.value) == f"field number {number} at byte 2, expected 1 to {most}"
        assert caught.value.offset == 2


def test_counts_that_no_writer_exceeds(monkeypatch: pytest.MonkeyPatch) -> None:
    protobuf.check_count(5, 5, "things")
    with pytest.raises(CorruptCheckpointError) as caught:
        protobuf.check_count(6, 5, "things")
    assert str(caught.value) == "6 things, expected 5 at most"
    one = bytes_field(1, b"")
    assert len(protobuf.parse_tensor_slice(254 * one)) == 254
    with pytest.raises(CorruptCheckpointError, match="255 dimensions of a slice and more"):
        protobuf.parse_tensor_slice(255 * one)
    monkeypatch.setattr(protobuf, "MAX_SLICES", 2)
    assert len(protobuf.parse_bundle_entry(2 * bytes_field(7, b"")).slices) == 2
    with pytest.raises(CorruptCheckpointError, match="3 slices and more, expected 2 at most"):
        protobuf.parse_bundle_entry(3 * bytes_field(7, b""))
    monkeypatch.setattr(protobuf, "MAX_ENTRY_NBYTES", 3)
    monkeypatch.setattr(protobuf, "MAX_HEADER_NBYTES", 3)
    for parse in (protobuf.parse_bundle_entry, protobuf.parse_bundle_header):
        assert parse(bytes_field(9, b"x"))
        with pytest.raises(CorruptCheckpointError, match="expected 3 at most"):
            parse(bytes_field(9, b"xy"))
