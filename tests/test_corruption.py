"""The safety net: whatever happens to an index, its content or a clean error comes out.

The outcome of reading a damaged checkpoint is the same content as before, or a
`CheckpointError`; never another exception, and no more memory than the sound one
takes. Damage behind a right checksum, as only a hostile hand makes it, may change the
content, and must be as harmless.
"""

from __future__ import annotations

import glob
import os
import random
import resource
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.check.check import check, check_members
from ckread.analysis.findings import Code, Level
from ckread.errors import CheckpointError, CorruptCheckpointError
from ckread.model.opening import open_checkpoint
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType
from ckread.readers.files import RegularFile
from ckread.readers.table import Table
from ckread.readers.v1.reader import V1Table
from ckread.readers.zip_members import ZipMembers
from tests import flips
from tests.builders import BundleBuilder, Ranges, v1_file
from tests.corruption import flip, resealed
from tests.places import FIXTURES, NO_REAL, REAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Of FORMATS.md: one tensor `nothing`, float32 of shape [0, 3].
SMALLEST = bytes.fromhex(
    "00000608011a020801 00070f 6e6f7468696e67 0801120612001202080335d8ea82a2 00000000 01000000"
    "00 403d1441 00000000 01000000 00 c0f2a1b0 0001026f002a 00000000 01000000 00 9ca112ae"
    "2f 08 3c 0e" + "00" * 36 + "57fb808b247547db"
)
MAX_GROWTH_KB = 300 << 10
N_SAMPLES = 200
MAX_READ_NBYTES = 1 << 20

Outcome = tuple[object, ...] | str


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture(autouse=True)
def memory_is_bounded() -> Iterator[None]:
    before = _peak_kb()
    yield
    assert _peak_kb() - before < MAX_GROWTH_KB


def _outcome(prefix: str) -> Outcome:
    """List and read everything: records and values, or the name of the error's class."""
    try:
        with TensorBundle(prefix) as bundle:
            values = [_value(bundle, key) for key in _small(bundle)]
            return bundle.header, tuple(bundle.tensors.values()), *values
    except CheckpointError as error:
        return _checked(error)


def _checked(error: CheckpointError) -> str:
    assert str(error).isprintable()
    return type(error).__name__


def _small(bundle: TensorBundle) -> list[str]:
    """Give the keys of tensors that are small, by what the index claims."""
    return [key for key, record in bundle.tensors.items() if record.nbytes <= MAX_READ_NBYTES]


def _value(bundle: TensorBundle, key: str) -> object:
    try:
        return _plain(bundle.read(key))
    except CheckpointError as error:
        return _checked(error)


def _plain(array: np.ndarray[Any, Any]) -> object:
    return array.tolist() if array.dtype == object else array.tobytes()


def _blocks(prefix: str, data: bytes) -> list[tuple[int, int]]:
    """Give offset and size of the blocks of an index whose checksums are verified."""
    _write(prefix, data)
    with RegularFile(f"{prefix}.index") as index:
        table = Table(index)
        return [(place.offset, place.size) for place in (table.index, *table.handles())]


def test_the_smallest_index_is_what_the_format_says(tmp_path: Path) -> None:
    assert len(SMALLEST) == 127
    (tmp_path / "m.index").write_bytes(SMALLEST)
    (tmp_path / "m.data-00000-of-00001").write_bytes(b"")
    with TensorBundle(str(tmp_path / "m")) as bundle:
        (record,) = bundle.tensors.values()
        assert record == ("nothing", "float32", (0, 3), 0, 0, 0, 0)
        assert bundle.read("nothing").shape == (0, 3)


def _made(tmp_path: Path) -> bytes:
    """Write a checkpoint with something of everything, in several blocks; give its index."""
    builder = BundleBuilder(2)
    builder.add("a", np.arange(3, dtype=np.float32), DataType.FLOAT32)
    builder.add("a/b", np.arange(2, dtype=np.int64), DataType.INT64, shard=1)
    builder.add_strings("s", [b"one", b""], (2,))
    rows: list[Ranges] = [((0, 1), (0, None)), ((1, 1), (0, None))]
    builder.add_partitioned("p", np.ones((2, 2), np.int8), DataType.INT8, rows)
    builder.write(tmp_path / "m", block_nbytes=60, restart_interval=2)
    return (tmp_path / "m.index").read_bytes()


def _linked(prefix: str, tmp_path: Path) -> bytes:
    """Link the shards of a checkpoint into an empty folder; give its index."""
    for shard in glob.glob(f"{glob.escape(prefix)}.data-*", include_hidden=True):
        os.symlink(shard, tmp_path / f"m{shard.removeprefix(prefix)}")
    with open(f"{prefix}.index", "rb") as file:
        return file.read()


@pytest.fixture(params=["the 127 bytes", "of TensorFlow", "something of everything"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, bytes, Outcome]:
    """Give a small checkpoint: its prefix, the bytes of its index, what is in it."""
    if request.param == "the 127 bytes":
        (tmp_path / "m.data-00000-of-00001").write_bytes(b"")
        data = SMALLEST
    elif request.param == "of TensorFlow":
        data = _linked(f"{FIXTURES}/odd_names/prefix_checkpoint/checkpoint", tmp_path)
    else:
        data = _made(tmp_path)
    prefix = str(tmp_path / "m")
    return prefix, data, _try(prefix, data)


def _try(prefix: str, index: bytes) -> Outcome:
    _write(prefix, index)
    return _outcome(prefix)


def _write(prefix: str, index: bytes) -> None:
    """Write an index over the one before: to truncate it first costs a flush to disk."""
    with open(f"{prefix}.index", "r+b" if os.path.exists(f"{prefix}.index") else "wb") as file:
        file.write(index)
        file.truncate()


def test_every_truncation(small: tuple[str, bytes, Outcome]) -> None:
    prefix, data, _ = small
    for nbytes in range(len(data)):
        assert _try(prefix, data[:nbytes]) == "TruncatedFileError", nbytes


def test_every_flipped_byte(small: tuple[str, bytes, Outcome]) -> None:
    prefix, data, sound = small
    assert isinstance(sound, tuple)
    n_unnoticed = 0
    for offset in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[offset] ^= mask
            outcome = _try(prefix, bytes(damaged))
            assert isinstance(outcome, str) or outcome == sound, (offset, mask)
            n_unnoticed += not isinstance(outcome, str)
    # What nothing reads: the metaindex block, its handle, the padding of the footer.
    assert 0 < n_unnoticed <= 3 * (13 + 40)


def test_every_flipped_byte_behind_a_right_checksum(small: tuple[str, bytes, Outcome]) -> None:
    prefix, data, sound = small
    blocks = _blocks(prefix, data)
    n_changed = 0
    for offset in range(len(data)):
        for mask in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[offset] ^= mask
            n_changed += _try(prefix, resealed(bytes(damaged), blocks)) != sound
    assert n_changed > len(data)


def _damaged(data: bytes, rng: random.Random) -> bytes:
    """Do one to five random things to bytes: flips, edge values, holes, repeats, a cut."""
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(damaged))
        kind = rng.randrange(6)
        if kind < 2:
            damaged[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            damaged[at] = rng.choice((0x00, 0x7F, 0x80, 0xFF))
        elif kind == 3:
            del damaged[at : at + rng.randrange(1, 9)]
        elif kind == 4:
            damaged[at:at] = damaged[at : at + rng.randrange(1, 9)]
        else:
            damaged[at : at + 4] = b"\xff" * len(damaged[at : at + 4])
        damaged = damaged or bytearray(1)
    return bytes(damaged)


SHORT = [
    str(path.relative_to(FIXTURES)).removesuffix(".index")
    for path in sorted(FIXTURES.rglob("*.index"))
    if path.stat().st_size < 4096
]


@pytest.mark.slow
@pytest.mark.parametrize("prefix", SHORT)
def test_every_truncation_and_flip_of_every_index_below_4_kb(prefix: str, tmp_path: Path) -> None:
    data = _linked(f"{FIXTURES}/{prefix}", tmp_path)
    target = str(tmp_path / "m")
    sound = _try(target, data)
    for nbytes in range(len(data)):
        assert _try(target, data[:nbytes]) == "TruncatedFileError", nbytes
    for offset in range(len(data)):
        damaged = bytearray(data)
        damaged[offset] ^= 1 << offset % 8
        outcome = _try(target, bytes(damaged))
        assert isinstance(outcome, str) or outcome == sound, offset


LARGER = [
    str(path.relative_to(FIXTURES)).removesuffix(".index")
    for path in sorted(FIXTURES.rglob("*.index"))
    if "digits_run" not in str(path) or path.name == "ckpt-10.index"
]


@pytest.mark.parametrize("prefix", LARGER)
def test_a_sample_of_damage_to_every_fixture(prefix: str, tmp_path: Path) -> None:
    _sample(f"{FIXTURES}/{prefix}", tmp_path)


@pytest.mark.skipif(not REAL.exists(), reason=NO_REAL)
def test_a_sample_of_damage_to_real_checkpoints(tmp_path: Path) -> None:
    indexes = sorted(REAL.rglob("*.index"), key=lambda path: (path.stat().st_size, str(path)))
    for i, path in enumerate(indexes[:: max(1, len(indexes) // 20)]):
        folder = tmp_path / str(i)
        folder.mkdir()
        _sample(str(path).removesuffix(".index"), folder)


def _sample(prefix: str, tmp_path: Path) -> None:
    data = _linked(prefix, tmp_path)
    target = str(tmp_path / "m")
    sound = _try(target, data)
    blocks = _blocks(target, data)
    rng = random.Random(os.path.basename(prefix) + str(len(data)))
    for i in range(N_SAMPLES):
        damaged = _damaged(data, rng)
        if i % 2 and len(damaged) == len(data):
            _try(target, resealed(damaged, blocks))
        else:
            outcome = _try(target, damaged)
            assert isinstance(outcome, str) or outcome == sound


def test_damage_to_data_is_named_by_the_tensors_it_hit(tmp_path: Path) -> None:
    prefix = FIXTURES / "digits_run" / "ckpt-10"
    (tmp_path / "m.index").write_bytes(prefix.with_suffix(".index").read_bytes())
    data = (prefix.parent / f"{prefix.name}.data-00000-of-00001").read_bytes()
    shard = tmp_path / "m.data-00000-of-00001"
    shard.write_bytes(data)
    with TensorBundle(str(tmp_path / "m")) as bundle:
        records = list(bundle.tensors.values())
    rng = random.Random(7)
    for _ in range(25):
        at = rng.randrange(len(data))
        damaged = bytearray(data)
        damaged[at] ^= 1 << rng.randrange(8)
        shard.write_bytes(damaged)
        with TensorBundle(str(tmp_path / "m")) as bundle:
            broken = {
                record.key for record in records if isinstance(_value(bundle, record.key), str)
            }
        hit = {
            record.key
            for record in records
            if record.offset is not None and record.offset <= at < record.offset + record.nbytes
        }
        assert broken == hit


REFUSED = {"sharded/partitioned/model.ckpt": 128}
"""Bytes of a tensor that has a hole, which is an error whatever its bytes are."""


def _nbytes_of_shards(prefix: str) -> int:
    pattern = f"{glob.escape(f'{FIXTURES}/{prefix}')}.data-*"
    return sum(os.path.getsize(path) for path in glob.glob(pattern, include_hidden=True))


def _assert_all_named(counts: dict[str, Counter[str]]) -> None:
    for prefix, found in counts.items():
        n_refused = REFUSED.get(prefix, 0)
        assert found["named"] == _nbytes_of_shards(prefix) - n_refused, prefix
        assert found.total() == found["named"] + n_refused, prefix


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param("dtypes/every", marks=pytest.mark.slow),
        pytest.param("strings/tables/ckpt-1", marks=pytest.mark.slow),
        "sharded/partitioned/model.ckpt",
        pytest.param("tf012_v2/model.ckpt-5", marks=pytest.mark.slow),
    ],
)
def test_every_flipped_byte_of_some_data_is_named(prefix: str) -> None:
    """Of every type, of strings, of slices, and of an object graph."""
    found = Counter[str]()
    for job in flips.jobs_of(prefix):
        found += flips.do(job)
    _assert_all_named({prefix: found})


EQUAL = [f"digits_run/ckpt-{step}" for step in range(1, 10)]
"""The tensors of digits_run/ckpt-10 at the same places, with other values: 4.2 MB."""


@pytest.mark.slow
def test_every_flipped_byte_of_all_different_data_is_named() -> None:
    """A million flips; `python -m tests.flips` does all five, and tells the figures."""
    _assert_all_named(flips.flip_all(set(flips.PREFIXES) - set(EQUAL)))


def test_the_data_of_a_run_lies_at_the_same_places() -> None:
    """Which is why a sample of the other checkpoints of the run is enough to flip."""

    def places(prefix: str) -> list[tuple[str, int, int]]:
        with open_checkpoint(FIXTURES / prefix) as checkpoint:
            return [
                (variable.name, extent.offset, extent.nbytes)
                for variable in checkpoint.values()
                for extent in variable.extents() or ()
            ]

    expected = places("digits_run/ckpt-10")
    assert len(expected) > 30
    assert [prefix for prefix in EQUAL if places(prefix) != expected] == []


@pytest.mark.slow
def test_a_sample_of_flipped_bytes_of_equal_data_is_named() -> None:
    """Both ends of every tensor, and one byte of 31 between them."""
    for prefix, found in flips.flip_all(EQUAL, step=31).items():
        assert found.total() > _nbytes_of_shards(prefix) / 31, prefix
        assert found["named"] == found.total(), prefix


V1 = ("tf012_v1/model.ckpt-5", "tf221_v1/whole/model.ckpt-42")


@pytest.mark.parametrize("name", V1)
def test_every_flipped_byte_of_v1_is_found_or_harmless(name: str) -> None:
    """Its blocks have checksums, its tensors have none; one block holds many of them."""
    path = str(FIXTURES / name)
    sound = _v1_outcome(path)
    n_unnoticed = 0
    with flips.flipping() as flipped:
        flipped.path = path
        for flipped.offset in range(os.path.getsize(path)):
            outcome = _v1_outcome(path)
            assert isinstance(outcome, str) or outcome == sound, flipped.offset
            n_unnoticed += not isinstance(outcome, str)
    assert 0 < n_unnoticed <= 13 + 40  # the metaindex block, its handle, the padding


def _v1_outcome(path: str) -> Outcome:
    try:
        with V1Table(path) as table:
            return tuple(_plain(table.read(key)) for key in table.tensors)
    except CheckpointError as error:
        return _checked(error)


def test_a_flip_in_a_block_of_v1_is_named_by_what_lies_there(tmp_path: Path) -> None:
    """A large tensor has a block of its own."""
    path = tmp_path / "v1"
    v1_file(path, {"a": np.arange(9, dtype=np.float32), "b": np.ones(9, np.float32)}, 30)
    flip(path, path.read_bytes().index(np.float32(8).tobytes()) - 1, 4)
    report = check(str(path))
    assert [finding.variable for finding in report.errors] == ["a"]
    assert report.n_verified == 1


ARCHIVES = sorted(FIXTURES.rglob("*.keras"))


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: str(path.relative_to(FIXTURES)))
def test_flips_in_every_member_of_an_archive_are_found(path: Path) -> None:
    """One checksum covers a member whole: it is named, and the variable is not."""
    archive = ZipMembers(str(path))
    places = {name: archive.place(name) or (0, 0) for name in archive.members}
    assert sum(nbytes for _, nbytes in places.values()) > 0.9 * archive.nbytes
    with flips.flipping() as flipped:
        flipped.path = str(path)
        for name, (offset, nbytes) in places.items():
            step = 1 if nbytes < 1 << 15 else 97
            for flipped.offset in (*range(offset, offset + nbytes, step), offset + nbytes - 1):
                with pytest.raises(CorruptCheckpointError):
                    archive.verify(name)
    archive.close()
    assert check_members(str(path)) == []


def test_a_flip_in_the_weights_of_an_archive_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes((FIXTURES / "digits_files/digits.keras").read_bytes())
    assert check(str(path)).has_checksums
    flip(path, 60_000, 1)
    report = check(str(path))
    [error] = report.errors
    assert (error.level, error.code, error.variable) == (Level.ERROR, Code.MEMBER, None)
    assert error.place == "m.keras/model.weights.h5"
    assert error.message.startswith("member 'model.weights.h5': stored CRC-32 0x2480aec2, ")
    assert error.message.endswith("so which of them is damaged cannot be told")
    assert report.n_verified == report.nbytes_verified == 0
    flip(path, 60_000, 1)
    flip(path, 700, 1)
    [error] = check(str(path)).errors
    assert error.place == "m.keras/config.json"


def test_a_flip_in_hdf5_cannot_be_found_and_the_report_says_so(tmp_path: Path) -> None:
    path = tmp_path / "m.weights.h5"
    path.write_bytes((FIXTURES / "digits_files/digits.weights.h5").read_bytes())
    with open_checkpoint(path) as checkpoint:
        variable = next(iter(checkpoint.values()))
        [extent] = variable.extents() or ()
        before = variable.numpy()
    flip(path, extent.offset, 1)
    with open_checkpoint(path) as checkpoint:
        assert (checkpoint[variable.name].numpy() != before).sum() == 1
    report = check(str(path))
    assert report.sound
    assert not report.has_checksums
    [note] = [finding for finding in report.findings if finding.code is Code.NO_CHECKSUM]
    assert note.message == (
        "HDF5 keeps no checksum of 16 tensors: a changed byte in their values cannot be told"
    )
