"""Bundles made to harm: each trap of the format, and its nearest legal twin.

Every bound is met before memory is taken or a byte is copied, so a trap costs
neither; `_error` holds that with a limit on what is allocated.
"""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.errors import CheckpointError, CorruptCheckpointError, TruncatedFileError
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType
from tests.builders import (
    BundleBuilder,
    Ranges,
    entry_bytes,
    header_bytes,
    masked_crc32c,
    ordered_key,
    table_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FLOAT32, STRING = DataType.FLOAT32.number, DataType.STRING.number
ZEROS = masked_crc32c(bytes(16))
SHARD = "m.data-00000-of-00001"
LIMIT_NBYTES = 20 << 20


def _error(read: Callable[[], Any]) -> str:
    """Give the message of what must be refused without taking memory."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < LIMIT_NBYTES
    finally:
        tracemalloc.stop()
    return str(caught.value)


def _bundle(tmp_path: Path, entries: dict[bytes, bytes], *, num_shards: int = 1) -> TensorBundle:
    items = {b"": header_bytes(num_shards), **entries}
    (tmp_path / "m.index").write_bytes(table_bytes(sorted(items.items())))
    (tmp_path / f"m.data-00000-of-{num_shards:05d}").write_bytes(bytes(64))
    return TensorBundle(str(tmp_path / "m"))


def _reads(bundle: TensorBundle, key: str) -> list[Callable[[], Any]]:
    return [
        lambda: bundle.read(key),
        lambda: bundle.read_bytes(key),
        lambda: bundle.extents(key),
        lambda: list(bundle.iter_chunks(key)),
        lambda: bundle.read_slice(key, (0,)),
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        # The size does not fit type and shape.
        (entry_bytes(FLOAT32, (4,), size=15, masked=1), "15 bytes, float32 [4] takes 16"),
        (entry_bytes(FLOAT32, (4,), size=17, masked=1), "17 bytes, float32 [4] takes 16"),
        (entry_bytes(FLOAT32, (1 << 40,), size=16, masked=1),
         "16 bytes, float32 [1099511627776] takes 4398046511104"),
        (entry_bytes(FLOAT32, (), size=16, masked=1), "16 bytes, float32 [] takes 4"),
        (entry_bytes(FLOAT32, (0, 5), size=16, masked=1), "16 bytes, float32 [0,5] takes 0"),
        # A shard that the header does not know; the name is made of integers alone.
        (entry_bytes(FLOAT32, (4,), shard=1, size=16, masked=1), "shard 1, expected less than 1"),
        (entry_bytes(FLOAT32, (4,), shard=(1 << 31) - 1, size=16, masked=1),
         "shard 2147483647, expected less than 1"),
    ],
)  # fmt: skip
def test_entries_that_contradict_themselves(tmp_path: Path, entry: bytes, message: str) -> None:
    bundle = _bundle(tmp_path, {b"t": entry})
    assert len(bundle.tensors) == 1
    for read in _reads(bundle, "t"):
        assert _error(read) == f"m.index: t: {message}"
    bundle.close()


@pytest.mark.parametrize(
    ("shape", "offset", "message"),
    [
        ((4,), 49, "bytes 49 to 65 are wanted, the file ends at byte 64"),
        ((4,), (1 << 63) - 1,
         "bytes 9223372036854775807 to 9223372036854775823 are wanted, the file ends at byte 64"),
        ((1 << 58,), 0, "bytes 0 to 1152921504606846976 are wanted, the file ends at byte 64"),
    ],
)  # fmt: skip
def test_tensors_that_leave_their_shard(
    tmp_path: Path, shape: tuple[int, ...], offset: int, message: str
) -> None:
    size = 4 * shape[0]
    entry = entry_bytes(FLOAT32, shape, offset=offset, size=size, masked=ZEROS)
    bundle = _bundle(tmp_path, {b"t": entry})
    for read in (lambda: bundle.read("t"), lambda: bundle.read_bytes("t"),
                 lambda: list(bundle.iter_chunks("t")),
                 lambda: bundle.read_slice("t", (slice(0, 2),))):  # fmt: skip
        assert _error(read) == f"m.data-00000-of-00001: t: {message}"
    bundle.close()


def test_the_nearest_legal_tensors(tmp_path: Path) -> None:
    """At the very end, overlapping, sharing all bytes: all of this is legal."""
    entries = {
        b"a": entry_bytes(FLOAT32, (4,), offset=48, size=16, masked=ZEROS),
        b"b": entry_bytes(FLOAT32, (4,), offset=45, size=16, masked=ZEROS),
        b"c": entry_bytes(FLOAT32, (2, 2), offset=45, size=16, masked=ZEROS),
        b"d": entry_bytes(FLOAT32, (0, 3), offset=1 << 40, size=0, masked=0xA282EAD8),
    }
    with _bundle(tmp_path, entries) as bundle:
        for key in "abc":
            assert not bundle.read(key).any()
        assert list(bundle.iter_chunks("d")) == []


def test_a_sparse_shard_is_streamed_and_not_taken_whole(tmp_path: Path) -> None:
    nbytes = 1 << 40
    bundle = _bundle(tmp_path, {b"t": entry_bytes(FLOAT32, (nbytes // 4,), size=nbytes, masked=7)})
    os.truncate(tmp_path / "m.data-00000-of-00001", nbytes)
    tracemalloc.start()
    chunks = bundle.iter_chunks("t")
    for _ in range(10):
        assert not next(chunks).any()
    part = bundle.read_slice("t", (slice(0, nbytes // 4, nbytes // 32),))
    assert part.shape == (8,)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LIMIT_NBYTES
    bundle.close()


@pytest.mark.parametrize(
    ("shape", "data", "message"),
    [
        ((1 << 28,), b"\0" * 11, "m.index: s: 268435456 strings in 11 bytes"),
        ((1,), b"\x80\x80\x80\x80\x80\x02\0\0\0\0",
         f"{SHARD}: s: strings of 68719476746 bytes with their lengths, stored are 10"),
        ((1,), b"\xff" * 9 + b"\x01" + b"\0\0\0\0",
         f"{SHARD}: s: strings of {(1 << 64) + 13} bytes with their lengths, stored are 14"),
    ],
)  # fmt: skip
def test_strings_that_claim_too_much(
    tmp_path: Path, shape: tuple[int, ...], data: bytes, message: str
) -> None:
    """TensorFlow takes 9 GB for the first, and dies of the others."""
    builder = BundleBuilder()
    builder.shards[0] += data
    builder.items[b"s"] = entry_bytes(STRING, shape, size=len(data), masked=1)
    bundle = TensorBundle(builder.write(tmp_path / "m"))
    for read in (lambda: bundle.read("s"), lambda: bundle.read_strings("s")):
        assert _error(read) == message
    bundle.close()


def _partitioned(
    slices: list[Ranges], shape: tuple[int, ...], **parts: bytes
) -> dict[bytes, bytes]:
    """Give a partitioned float32 tensor `p`, each slice with a sound entry but those given."""
    entries = {b"p": entry_bytes(FLOAT32, shape, slices=slices)}
    for i, ranges in enumerate(slices):
        part_shape = tuple(
            shape[axis] if length is None else length for axis, (_, length) in enumerate(ranges)
        )
        size = 4 * int(np.prod(part_shape, dtype=object))
        sound = entry_bytes(FLOAT32, part_shape, size=size, masked=masked_crc32c(bytes(size)))
        entry = parts.get(f"part{i}", sound)
        if entry:
            entries[ordered_key(b"p", ranges)] = entry
    return entries


TOP: Ranges = [(0, 2), (0, None)]
BOTTOM: Ranges = [(2, 2), (0, None)]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (_partitioned([TOP], (4, 2)), "slices hold 4 elements of 8"),
        (_partitioned([TOP, BOTTOM, [(1, 2), (0, None)]], (4, 2)),
         "overlapping slices [0:2, 0:2] and [1:3, 0:2]"),
        (_partitioned([TOP, BOTTOM, BOTTOM], (4, 2)),
         "overlapping slices [2:4, 0:2] and [2:4, 0:2]"),
        (_partitioned([TOP, BOTTOM], (4, 2), part1=b""),
         "slice [2:4, 0:2] has no entry of its own"),
        (_partitioned([TOP, BOTTOM], (4, 2), part1=entry_bytes(2, (2, 2), size=32, masked=1)),
         "slice [2:4, 0:2] is float64, the tensor float32"),
        (_partitioned([TOP, BOTTOM], (4, 2), part1=entry_bytes(1, (4,), size=16, masked=1)),
         "slice [2:4, 0:2] has shape [4]"),
        (_partitioned([TOP, BOTTOM], (4, 2), part1=entry_bytes(1, (2, 2), size=8, masked=1)),
         "slice [2:4, 0:2]: 8 bytes, float32 [2,2] takes 16"),
        (_partitioned([TOP, BOTTOM], (4, 2),
                      part1=entry_bytes(1, (2, 2), shard=3, size=16, masked=1)),
         "slice [2:4, 0:2]: shard 3, expected less than 1"),
        (_partitioned([[(0, 2)]], (4, 2)), "slice of 1 dimensions of a tensor of 2"),
        (_partitioned([[(-1, 5), (0, None)]], (4, 2)), "slice -1:4 of a dimension of 4 elements"),
        (_partitioned([[(3, 2), (0, None)]], (4, 2)), "slice 3:5 of a dimension of 4 elements"),
        # One tiny slice of a tensor of a terabyte.
        (_partitioned([[(0, 4)]], (1 << 40,)), "slices hold 4 elements of 1099511627776"),
        # A slice that is itself in slices.
        (_partitioned([TOP, BOTTOM], (4, 2), part1=entry_bytes(1, (2, 2), slices=[TOP])),
         "slice [2:4, 0:2] has no entry of its own"),
    ],
)  # fmt: skip
def test_slices_that_do_not_fit(tmp_path: Path, entries: dict[bytes, bytes], message: str) -> None:
    """TensorFlow aborts on opening some of them, and corrupts its heap on another."""
    bundle = _bundle(tmp_path, entries)
    assert "p" in bundle.tensors
    for read in _reads(bundle, "p"):
        assert _error(read) == f"m.index: p: {message}"
    bundle.close()


def test_the_nearest_legal_slices(tmp_path: Path) -> None:
    with _bundle(tmp_path, _partitioned([BOTTOM, TOP], (4, 2))) as bundle:
        assert bundle.read("p").shape == (4, 2)
        assert list(bundle.tensors) == ["p"]


def test_a_damaged_slice_is_named_by_its_tensor(tmp_path: Path) -> None:
    entries = _partitioned(
        [TOP, BOTTOM], (4, 2), part1=entry_bytes(1, (2, 2), offset=16, size=16, masked=ZEROS)
    )
    bundle = _bundle(tmp_path, entries)
    shard = tmp_path / "m.data-00000-of-00001"
    shard.write_bytes(bytes(20) + b"\x01" + bytes(43))
    for read in (lambda: bundle.read("p"), lambda: list(bundle.iter_chunks("p"))):
        assert _error(read).startswith("m.data-00000-of-00001: p: bytes 16 to 32: stored CRC-32C ")
    bundle.close()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (entry_bytes(FLOAT32, (-4,), size=16, masked=1),
         "dimension of -4 elements, expected 0 or more"),
        (entry_bytes(FLOAT32, (5, 3689348814741910324), size=16, masked=1),
         "shape of 18446744073709551620 elements, expected less than 2**63"),
        (entry_bytes(FLOAT32, (1,) * 255, size=4, masked=1),
         "shape: 255 dimensions, expected at most 254"),
        (entry_bytes(FLOAT32, (4,), size=-16, masked=1), "size -16, expected 0 or more"),
        (b"\x0a", "varint at byte 1 runs past the end at byte 1"),
    ],
)  # fmt: skip
def test_entries_that_make_the_whole_index_untrue(
    tmp_path: Path, value: bytes, message: str
) -> None:
    """TensorFlow aborts the process on most of them, on opening already."""
    assert _error(lambda: _bundle(tmp_path, {b"t": value})) == f"m.index: entry t: {message}"


def test_names_that_would_harm_a_terminal(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, {b"\x1b]0;x\x07[red]\xff": entry_bytes(FLOAT32, (4,), size=9)})
    (key,) = bundle.tensors
    assert key.encode(errors="surrogateescape") == b"\x1b]0;x\x07[red]\xff"
    shown = "\\x1b]0;x\\x07[red]\\xff"
    assert _error(lambda: bundle.read(key)) == f"m.index: {shown}: 9 bytes, float32 [4] takes 16"


def test_an_index_of_eight_tebibytes_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.index"
    path.write_bytes(b"")
    os.truncate(path, 1 << 43)
    assert _error(lambda: TensorBundle(str(tmp_path / "m"))).startswith("m.index: ends in 00000000")
    handle = b"\x00\x00" + b"\x00" + b"\xff\xff\xff\xff\xff\x1f"
    with path.open("r+b") as file:
        file.seek((1 << 43) - 48)
        file.write(handle.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db"))
    message = "m.index: block at byte 0: 1099511627775 bytes, expected 67108864 at most"
    assert _error(lambda: TensorBundle(str(tmp_path / "m"))) == message


def test_a_header_of_many_shards_costs_nothing_to_list(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, {}, num_shards=131072)
    assert len(bundle.files()) == 131073
    assert [file.nbytes for file in bundle.files()[:3]][1:] == [64, None]


def test_a_symbolic_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "m.index").symlink_to(tmp_path / "m.index")
    with pytest.raises(CheckpointError):
        TensorBundle(str(tmp_path / "m"))
    with pytest.raises(CheckpointError):
        TensorBundle("nul\0byte")


def test_errors_of_each_kind_are_of_their_class(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, {b"t": entry_bytes(FLOAT32, (4,), size=15)})
    with pytest.raises(CorruptCheckpointError):
        bundle.read("t")
    with pytest.raises(TruncatedFileError):
        _bundle(tmp_path, {b"t": entry_bytes(FLOAT32, (40,), size=160)}).read("t")
