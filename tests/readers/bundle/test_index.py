"""The fast way through an entry gives what the long way does."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ckread.errors import CorruptCheckpointError
from ckread.readers.bundle.index import EntryParser, ends_in_checksum, record_of
from ckread.readers.contract import DataType, TensorRecord, shown
from ckread.readers.protobuf import parse_bundle_entry
from tests import strategies
from tests.builders import bytes_field, entry_bytes, varint_field

LARGE = 1 << 40


def _fed(value: bytes) -> object:
    parser = EntryParser(LARGE)
    try:
        parser.feed([(b"key", value)])
    except CorruptCheckpointError:
        return None
    return parser.tensors["key"]


def _expected(value: bytes) -> object:
    try:
        entry = parse_bundle_entry(value)
    except CorruptCheckpointError:
        return None
    return record_of("key", entry) if min(entry.shard_id, entry.offset, entry.size) >= 0 else None


@given(st.one_of(strategies.entries(), strategies.messages, st.binary(max_size=30)))
# A shard number in two bytes, the second of which looks like the tag of an offset.
@example(bytes.fromhex("08 01 12 00 18 a0 20 20 05 28 04 35 00000000"))
@example(bytes.fromhex("08 01 12 00 20 ffffffffffffffffff01 28 04 35 00000000"))
@example(bytes.fromhex("08 01 12 00 20 ffffffffffffffff7f 28 04 35 00000000"))
@example(bytes.fromhex("08 01 12 00 20 808080808080808080808000 28 04 35 00000000"))
@example(bytes.fromhex("08 01 12 00 28 04 35 00000000 38 01"))
@example(bytes.fromhex("08 01 12 00 28 04 35 000000"))
@example(bytes.fromhex("08 01 12 7f 01020304"))
@example(bytes.fromhex("01 01 01 00 01020304"))
def test_an_entry_the_fast_way_and_the_long_way(value: bytes) -> None:
    assert _fed(value) == _expected(value)


@given(st.lists(st.tuples(strategies.keys, strategies.entries()), max_size=8))
def test_what_was_looked_up_for_one_entry_serves_the_next(items: list[tuple[bytes, bytes]]) -> None:
    parser = EntryParser(LARGE)
    try:
        parser.feed(items)
    except CorruptCheckpointError:
        return
    for stored_key, value in dict(items).items():
        key = stored_key.decode(errors="surrogateescape")
        assert parser.tensors[key] == record_of(key, parse_bundle_entry(value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (entry_bytes(1, (), size=-1), "entry a/b: size -1, expected 0 or more"),
        (entry_bytes(1, (), offset=-5, size=4, masked=1),
         "entry a/b: offset -5, expected 0 or more"),
        (entry_bytes(1, (), shard=-2, size=4, masked=1),
         "entry a/b: shard_id -2, expected 0 or more"),
        (b"\x0b", "entry a/b: wire type 3 at byte 0, expected 0, 1, 2 or 5"),
        (bytes_field(2, bytes_field(2, varint_field(1, -3))),
         "entry a/b: dimension of -3 elements, expected 0 or more"),
    ],
)  # fmt: skip
def test_entries_that_are_refused(value: bytes, message: str) -> None:
    with pytest.raises(CorruptCheckpointError) as caught:
        EntryParser(LARGE).feed([(b"a/b", value)])
    assert str(caught.value) == message


def test_more_than_memory_allows() -> None:
    items = [(b"%04d" % i, entry_bytes(1, (), size=4, masked=1)) for i in range(100)]
    EntryParser(100 * 404).feed(items)
    with pytest.raises(CorruptCheckpointError) as caught:
        EntryParser(100 * 404 - 1).feed(items)
    assert str(caught.value) == "99 entries and more, with keys too long for its size"


def test_unknown_types_are_listed_with_their_number() -> None:
    parser = EntryParser(LARGE)
    parser.feed([(b"new", entry_bytes(99, (2,), size=8, masked=1))])
    record = parser.tensors["new"]
    assert (record.dtype, record.shape, record.nbytes) == (DataType.UNKNOWN, (2,), 8)
    assert parser.unknown_dtypes == {"new": 99}


@pytest.mark.parametrize(
    ("key", "text"),
    [("a/b é", "a/b é"), ("a\x1b[31m", "a\\x1b[31m"), ("\udcff", "\\xff"), ("a\nb", "a\\nb")],
)
def test_keys_are_safe_in_messages(key: str, text: str) -> None:
    assert shown(key) == text


@pytest.mark.parametrize("shard", [0, 1, 127])
@pytest.mark.parametrize("offset", [0, 1, 127, 128, 1 << 40])
@pytest.mark.parametrize("shape", [(), (2, 3), (0, 4), (300,)])
def test_entries_whose_end_is_known(shard: int, offset: int, shape: tuple[int, ...]) -> None:
    nbytes = 4 * math.prod(shape)
    places: dict[str, Any] = {"shard": shard, "offset": offset, "size": nbytes}
    record = TensorRecord("w", DataType.FLOAT32, shape, nbytes, 1, shard, offset)
    entry = entry_bytes(1, shape, **places, masked=0x12345678)
    assert ends_in_checksum(entry, record)
    for other in (
        record._replace(dtype=DataType.INT32), record._replace(shape=(*shape, 1)),
        record._replace(shard=shard + 1), record._replace(offset=offset + 1),
        record._replace(dtype=DataType.STRING), record._replace(shard=128),
    ):  # fmt: skip
        assert not ends_in_checksum(entry, other)
    for other_entry in (
        entry[:3], b"", entry + b"x", entry[:-1],
        entry_bytes(1, shape, **places, masked=1, slices=[[(0, 1)]]),
        entry_bytes(1, shape, **(places | {"size": nbytes + 1}), masked=1),
        entry_bytes(99, shape, **places, masked=1),
    ):  # fmt: skip
        assert not ends_in_checksum(other_entry, record)
