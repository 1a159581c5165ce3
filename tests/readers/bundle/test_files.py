"""The files of a bundle: shards that are absent, other names, damage, torn saves, rewriting."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    ChecksumError,
    CorruptCheckpointError,
    MissingShardError,
    NotACheckpointError,
    TruncatedFileError,
    UnsupportedFeatureError,
    UsageError,
)
from ckread.readers.bundle import reader
from ckread.readers.bundle.index import BundleIndex, read_bundle_index
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType, StoredFile
from ckread.readers.extents import missing_shard
from tests.builders import BundleBuilder, entry_bytes, header_bytes, table_bytes, write_bundle
from tests.corruption import flip, patch, truncate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


ONES = np.ones(4, np.float32)
INDEX_ONLY = "Names, info and diff(…, index_only=True) need only the index, which is here."
TORN = (
    "If a training run is still writing here, try again in a moment. If not, go\n"
    "back to the checkpoint before it."
)
COPY_AGAIN = "Copy the file again from where it came."


def _four_shards(prefix: Path) -> str:
    builder = BundleBuilder(4)
    for i in range(4):
        builder.add(f"t{i}", ONES * i, DataType.FLOAT32, shard=i)
    return builder.write(prefix)


def _error(read: Callable[[], Any]) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        read()
    return caught.value


# Shards.


def test_tensors_of_four_shards(tmp_path: Path) -> None:
    prefix = _four_shards(tmp_path / "m")
    with TensorBundle(prefix) as bundle:
        for i in range(4):
            assert np.array_equal(bundle.read(f"t{i}"), ONES * i)
        assert [record.shard for record in bundle.tensors.values()] == [0, 1, 2, 3]
        index, *shards = bundle.files()
        assert index == StoredFile(f"{prefix}.index", os.path.getsize(f"{prefix}.index"), False)
        assert shards == [StoredFile(f"{prefix}.data-0000{i}-of-00004", 16, True) for i in range(4)]


def test_a_shard_that_is_missing(tmp_path: Path) -> None:
    prefix = _four_shards(tmp_path / "m")
    os.remove(f"{prefix}.data-00002-of-00004")
    with TensorBundle(prefix) as bundle:
        assert len(bundle.tensors) == 4
        assert [file.nbytes for file in bundle.files()[1:]] == [16, 16, None, 16]
        assert np.array_equal(bundle.read("t3"), ONES * 3)
        reads = (
            lambda: bundle.read("t2"),
            lambda: bundle.read_bytes("t2"),
            lambda: bundle.read_slice("t2", (0,)),
            lambda: list(bundle.iter_chunks("t2")),
        )
        for read in reads:
            error = _error(read)
            assert isinstance(error, MissingShardError)
            missing = "missing data shard (2 of 4), which holds the values"
            assert str(error) == f"m.data-00002-of-00004: t2: {missing}; here are shards 0, 1, 3"
            assert error.remedy == INDEX_ONLY
            assert error.path == f"{prefix}.data-00002-of-00004"


def test_the_only_shard_is_missing(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "model.ckpt", {"w": ONES})
    os.remove(f"{prefix}.data-00000-of-00001")
    error = _error(lambda: TensorBundle(prefix).read("w"))
    missing = "missing data shard (0 of 1), which holds the values"
    assert str(error) == f"model.ckpt.data-00000-of-00001: w: {missing}"


def test_more_shards_than_are_kept_open(tmp_path: Path) -> None:
    builder = BundleBuilder(150)
    for i in range(150):
        builder.add(f"t{i}", ONES * i, DataType.FLOAT32, shard=i)
    with TensorBundle(builder.write(tmp_path / "m")) as bundle:
        chunks = bundle.iter_chunks("t0", 4)
        assert next(chunks)[0] == 0
        for i in range(150):
            assert np.array_equal(bundle.read(f"t{i}"), ONES * i)
        assert len(list(chunks)) == 3


def test_what_was_being_read_ends_with_the_file(tmp_path: Path) -> None:
    bundle = TensorBundle(write_bundle(tmp_path / "m", {"w": ONES}))
    bundle.read("w")
    chunks = bundle.iter_chunks("w", 4)
    next(chunks)
    bundle.close()
    error = _error(lambda: list(chunks))
    assert isinstance(error, UsageError)
    assert str(error) == "m.data-00000-of-00001: closed while it was read"
    with pytest.raises(UsageError, match="the checkpoint was closed"):
        bundle.check_open()


def test_which_shards_are_named_as_present(tmp_path: Path) -> None:
    for i in range(13):
        (tmp_path / f"m.data-{i:05d}-of-00020").write_bytes(b"")
        message = str(missing_shard(str(tmp_path / "m.data-00019-of-00020")))
        start = (
            "m.data-00019-of-00020: missing data shard (19 of 20), which holds the values; here "
        )
        if i == 0:
            assert message == start + "is shard 0"
    assert message == start + "are shards 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more"
    assert str(missing_shard(str(tmp_path / "w.h5"))) == "w.h5: no such file"


# Names of the files that differ from the header.


def _merged(prefix: Path, stated: int, named: int) -> str:
    """Write what MergeV2 leaves when a part has no entries."""
    builder = BundleBuilder(named)
    builder.add("w", ONES, DataType.FLOAT32, shard=named - 1)
    builder.items[b""] = header_bytes(stated)
    return builder.write(prefix)


def test_shards_under_another_number_are_read_with_a_note(tmp_path: Path) -> None:
    with TensorBundle(_merged(tmp_path / "m", 2, 1)) as bundle:
        assert np.array_equal(bundle.read("w"), ONES)
        assert bundle.notes == (
            "The header says 2 shards, as in m.data-00000-of-00002; read is m.data-00000-of-00001.",
        )
        assert [file.nbytes for file in bundle.files()[1:]] == [16]


def test_two_families_of_shards_leave_a_doubt(tmp_path: Path) -> None:
    prefix = _merged(tmp_path / "m", 2, 1)
    (tmp_path / "m.data-00000-of-00003").write_bytes(b"")
    bundle = TensorBundle(prefix)
    error = _error(lambda: bundle.read("w"))
    missing = "missing data shard (0 of 2), which holds the values"
    assert str(error) == f"m.data-00000-of-00002: w: {missing}"
    assert bundle.notes == ()


def test_a_family_that_lacks_a_shard_is_not_taken(tmp_path: Path) -> None:
    prefix = _merged(tmp_path / "m", 3, 2)
    os.remove(f"{prefix}.data-00000-of-00002")
    assert isinstance(_error(lambda: TensorBundle(prefix).read("w")), MissingShardError)


def test_a_prefix_without_a_base_name(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "x", {"w": ONES})
    os.rename(f"{prefix}.index", tmp_path / ".index")
    os.rename(f"{prefix}.data-00000-of-00001", tmp_path / ".data-00000-of-00001")
    with TensorBundle(f"{tmp_path}/") as bundle:
        assert np.array_equal(bundle.read("w"), ONES)


@pytest.mark.parametrize("name", ["model [1]", "a*b?", "ü+ %s", "checkpoint", "x.index"])
def test_any_base_name(tmp_path: Path, name: str) -> None:
    with TensorBundle(write_bundle(tmp_path / name, {"w": ONES})) as bundle:
        assert np.array_equal(bundle.read("w"), ONES)


# Damage.


def test_one_flipped_byte_of_a_tensor(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("conv2/bias", ONES, DataType.FLOAT32)
    builder.add("conv2/kernel", ONES * 2, DataType.FLOAT32)
    prefix = builder.write(tmp_path / "ckpt-7")
    flip(f"{prefix}.data-00000-of-00001", 20)
    bundle = TensorBundle(prefix)
    assert np.array_equal(bundle.read("conv2/bias"), ONES)
    reads = (
        lambda: bundle.read("conv2/kernel"),
        lambda: bundle.read_bytes("conv2/kernel"),
        lambda: list(bundle.iter_chunks("conv2/kernel", 4)),
    )
    for read in reads:
        error = _error(read)
        assert isinstance(error, ChecksumError)
        assert str(error) == (
            "ckpt-7.data-00000-of-00001: conv2/kernel: bytes 16 to 32: "
            "stored CRC-32C 0xe9c4a179, computed 0x208a61e1"
        )
        assert error.remedy == COPY_AGAIN
        assert error.offset == 16
    # A part is not verified.
    assert bundle.read_slice("conv2/kernel", (0,)) == 2
    bundle.close()


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (3, "bytes 3 to 5: stored CRC-32C 0xcf17b9de, computed 0x2c4e0410"),
        (6, "bytes 3 to 5: stored CRC-32C 0xce97b9de, computed 0xcf17b9de"),
        (-1, "bytes 3 to 16: stored CRC-32C 0x4e6aea6a, computed 0xbc016969"),
    ],
)
def test_one_flipped_byte_of_strings(tmp_path: Path, offset: int, message: str) -> None:
    """In the lengths, in their checksum, in the text."""
    builder = BundleBuilder()
    builder.add_gap(3)
    builder.add_strings("s", [b"four", b"six"], (2,))
    prefix = builder.write(tmp_path / "m")
    shard = f"{prefix}.data-00000-of-00001"
    flip(shard, offset, 0x01)
    if offset == 3:  # lengths that still add up
        flip(shard, 4, 0x01)
        patch(shard, 3, b"\x03\x04")
    error = _error(lambda: TensorBundle(prefix).read_strings("s"))
    where = "s: lengths" if "to 5" in message else "s"
    assert str(error) == f"m.data-00000-of-00001: {where}: {message}"


def test_lengths_of_strings_that_do_not_add_up(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add_strings("s", [b"four", b"six"], (2,))
    prefix = builder.write(tmp_path / "m")
    flip(f"{prefix}.data-00000-of-00001", 0, 0x01)
    error = _error(lambda: TensorBundle(prefix).read_strings("s"))
    found = "strings of 14 bytes with their lengths, stored are 13"
    assert str(error) == f"m.data-00000-of-00001: s: {found}"


@pytest.mark.parametrize("key", ["f", "s"])
def test_a_shard_one_byte_short(tmp_path: Path, key: str) -> None:
    builder = BundleBuilder()
    builder.add("f", ONES, DataType.FLOAT32)
    builder.add_strings("s", [b"four"], (), shard=0)
    prefix = builder.write(tmp_path / "m")
    truncate(f"{prefix}.data-00000-of-00001", 15 if key == "f" else -1)
    bundle = TensorBundle(prefix)
    error = _error(lambda: bundle.read(key))
    assert isinstance(error, TruncatedFileError)
    wanted, end = ("0 to 16", 15) if key == "f" else ("16 to 25", 24)
    found = f"bytes {wanted} are wanted, the file ends at byte {end}"
    assert str(error) == f"m.data-00000-of-00001: {key}: {found}"
    assert str(error.remedy).startswith("The file is incomplete: a torn save, or a copy that")


def test_an_endianness_bit_that_flipped(tmp_path: Path) -> None:
    """The bytes are those of the checksum, so only the strings can tell."""
    builder = BundleBuilder()
    builder.add("f", ONES, DataType.FLOAT32)
    builder.add_strings("s", [b"four"], ())
    builder.items[b""] = header_bytes(1, big_endian=True)
    bundle = TensorBundle(builder.write(tmp_path / "m"))
    assert bundle.read("f")[0] == ONES.byteswap()[0]
    assert isinstance(_error(lambda: bundle.read_strings("s")), ChecksumError)
    bundle.close()


# Headers.


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (header_bytes(0), "num_shards 0, expected 1 to 131072"),
        (header_bytes(-1), "num_shards -1, expected 1 to 131072"),
        (header_bytes(131073), "num_shards 131073, expected 1 to 131072"),
        (header_bytes(producer=-1), "producer -1, expected 0 or more"),
        (b"\x0b", "wire type 3 at byte 0, expected 0, 1, 2 or 5"),
    ],
)
def test_headers_that_are_none(tmp_path: Path, header: bytes, message: str) -> None:
    (tmp_path / "m.index").write_bytes(table_bytes([(b"", header)]))
    error = _error(lambda: TensorBundle(str(tmp_path / "m")))
    assert isinstance(error, CorruptCheckpointError)
    prefix = "" if "wire" in message else "header: "
    assert str(error) == f"m.index: {prefix}{message}"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (header_bytes(min_consumer=2), "min_consumer 2, this reader is version 1"),
        (header_bytes(bad_consumers=[1]), "bad_consumers has 1, the version of this reader"),
    ],
)
def test_versions_that_exclude_this_reader(tmp_path: Path, header: bytes, message: str) -> None:
    (tmp_path / "m.index").write_bytes(table_bytes([(b"", header)]))
    error = _error(lambda: TensorBundle(str(tmp_path / "m")))
    assert isinstance(error, UnsupportedFeatureError)
    assert str(error) == f"m.index: header: {message}"


@pytest.mark.parametrize(
    "header",
    [
        b"\x08\x01",
        header_bytes(producer=99),
        header_bytes(min_consumer=1, bad_consumers=[0, 2]),
        header_bytes(131072),
        b"\x08\x01\x10\x07",
    ],
)
def test_headers_that_are_accepted(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "m.index").write_bytes(table_bytes([(b"", header)]))
    assert len(TensorBundle(str(tmp_path / "m")).tensors) == 0


@pytest.mark.parametrize(
    ("items", "found"),
    [([], "no entries"), ([(b"w", entry_bytes(1, ()))], "first key b'w'")],
)
def test_an_index_without_a_header(tmp_path: Path, items: Any, found: str) -> None:
    (tmp_path / "m.index").write_bytes(table_bytes(items))
    error = _error(lambda: TensorBundle(str(tmp_path / "m")))
    assert str(error) == f"m.index: header: {found}, expected the empty key"


# Torn saves.


def test_nothing_there(tmp_path: Path) -> None:
    error = _error(lambda: TensorBundle(str(tmp_path / "m")))
    assert isinstance(error, CheckpointNotFoundError)


def test_an_index_that_is_absent_beside_data(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "ckpt-8", {"w": ONES})
    os.remove(f"{prefix}.index")
    error = _error(lambda: TensorBundle(prefix))
    assert isinstance(error, TruncatedFileError)
    found = "absent beside ckpt-8.data-00000-of-00001, being written or torn"
    assert str(error) == f"ckpt-8.index: {found}"
    assert error.remedy == TORN


@pytest.mark.parametrize(
    ("nbytes", "found"),
    [
        (0, "0 bytes, expected 48 or more"),
        (47, "47 bytes, expected 48 or more"),
        (100, "ends in 0000000000000000, a table ends in 57fb808b247547db"),
    ],
)
def test_an_index_that_is_short_beside_data(tmp_path: Path, nbytes: int, found: str) -> None:
    prefix = write_bundle(tmp_path / "ckpt-8", {"w": ONES})
    truncate(f"{prefix}.index", 0)
    (tmp_path / "ckpt-8.index").write_bytes(bytes(nbytes))
    error = _error(lambda: TensorBundle(prefix))
    assert isinstance(error, TruncatedFileError)
    assert str(error) == f"ckpt-8.index: {found}, being written or torn"
    assert error.remedy == TORN


def test_an_index_that_is_no_table_without_data_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "m.index").write_bytes(bytes(100))
    error = _error(lambda: TensorBundle(str(tmp_path / "m")))
    assert isinstance(error, NotACheckpointError)
    assert "torn" not in str(error)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "d.index").mkdir()
    os.mkfifo(tmp_path / "p.index")
    for name in ("d", "p"):
        error = _error(lambda name=name: TensorBundle(str(tmp_path / name)))  # type: ignore[misc]
        assert str(error).endswith("expected a regular file")
    prefix = write_bundle(tmp_path / "m", {"w": ONES})
    os.remove(f"{prefix}.data-00000-of-00001")
    os.mkfifo(f"{prefix}.data-00000-of-00001")
    assert "a named pipe" in str(_error(lambda: TensorBundle(prefix).read("w")))


# Files that change underneath.


def test_an_index_that_was_finished_while_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = write_bundle(tmp_path / "m", {"w": ONES})
    whole = (tmp_path / "m.index").read_bytes()
    truncate(f"{prefix}.index", 60)

    def read_and_finish(path: str) -> BundleIndex:
        try:
            return read_bundle_index(path)
        finally:
            (tmp_path / "m.index").write_bytes(whole)

    monkeypatch.setattr(reader, "read_bundle_index", read_and_finish)
    assert list(TensorBundle(prefix).tensors) == ["w"]


def test_an_index_that_changed_and_is_still_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = write_bundle(tmp_path / "m", {"w": ONES})
    truncate(f"{prefix}.index", 0)

    def read_and_grow(path: str) -> BundleIndex:
        try:
            return read_bundle_index(path)
        finally:
            with (tmp_path / "m.index").open("ab") as file:
                file.write(b"a")

    monkeypatch.setattr(reader, "read_bundle_index", read_and_grow)
    message = "m.index: 1 bytes, expected 48 or more, being written or torn"
    assert str(_error(lambda: TensorBundle(prefix))) == message


def _rewrite(prefix: Path, value: float, **tensors: Any) -> str:
    return write_bundle(prefix, tensors or {"v": ONES[:1], "w": ONES * value})


def test_a_checkpoint_rewritten_between_listing_and_reading(tmp_path: Path) -> None:
    bundle = TensorBundle(_rewrite(tmp_path / "m", 1))
    _rewrite(tmp_path / "m", 2)
    assert np.array_equal(bundle.read("w"), ONES * 2)
    _rewrite(tmp_path / "m", 3)
    assert bundle.read_bytes("w") == (ONES * 3).tobytes()
    _rewrite(tmp_path / "m", 4)
    assert np.array_equal(bundle.read_slice("w", (slice(1, 3),)), ONES[:2] * 4)
    bundle.close()


def test_a_slice_is_not_taken_from_where_it_lay_before(tmp_path: Path) -> None:
    bundle = TensorBundle(_rewrite(tmp_path / "m", 1))
    assert bundle.read_slice("w", (0,)) == 1
    builder = BundleBuilder()
    builder.add_gap(100)
    builder.add("w", ONES * 7, DataType.FLOAT32)
    builder.write(tmp_path / "m")
    assert bundle.read_slice("w", (0,)) == 7
    bundle.close()


def test_a_tensor_that_changed_its_shape(tmp_path: Path) -> None:
    bundle = TensorBundle(_rewrite(tmp_path / "m", 1))
    _rewrite(tmp_path / "m", 2, w=np.zeros(9))
    error = _error(lambda: bundle.read("w"))
    found = "float32 [9] since the files changed, float32 [4] before"
    assert str(error) == f"m.index: w: {found}"
    bundle.close()


def test_a_stream_is_not_begun_anew_but_says_why_it_broke(tmp_path: Path) -> None:
    bundle = TensorBundle(_rewrite(tmp_path / "m", 1))
    chunks = bundle.iter_chunks("w", 4)
    next(chunks)
    flip(tmp_path / "m.data-00000-of-00001", -1)
    os.utime(tmp_path / "m.index", ns=(0, 0))
    error = _error(lambda: list(chunks))
    assert isinstance(error, ChecksumError)
    assert error.remedy is not None
    assert error.remedy.startswith("The files changed while they were read")
    bundle.close()


def test_damage_that_stays_is_reported_after_one_more_try(tmp_path: Path) -> None:
    prefix = _rewrite(tmp_path / "m", 1)
    bundle = TensorBundle(prefix)
    flip(f"{prefix}.data-00000-of-00001", -1)
    os.utime(f"{prefix}.index", ns=(0, 0))
    assert isinstance(_error(lambda: bundle.read("w")), ChecksumError)
    bundle.close()


def test_a_checkpoint_that_was_deleted(tmp_path: Path) -> None:
    prefix = _rewrite(tmp_path / "m", 1)
    bundle = TensorBundle(prefix)
    for file in bundle.files():
        os.remove(file.path)
    assert isinstance(_error(lambda: bundle.read("w")), CheckpointNotFoundError)
    bundle.close()


def test_listing_and_small_values_need_no_numpy(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("f", ONES, DataType.FLOAT32)
    builder.add_strings("s", [b"four"], ())
    prefix = builder.write(tmp_path / "m")
    program = (
        "import sys\n"
        "from ckread.readers.bundle.reader import TensorBundle\n"
        f"bundle = TensorBundle({prefix!r})\n"
        "bundle.extents('f'), bundle.files(), bundle.notes\n"
        "assert bundle.read_strings('s') == [b'four'] and len(bundle.read_bytes('f')) == 16\n"
        "heavy = {'numpy', 'ml_dtypes', 'cramjam', 'tensorflow', 'google.protobuf'}\n"
        "print(*sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"\n"
