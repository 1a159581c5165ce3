"""What a check finds: every kind of damage, named by variable, beside its sound twin."""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckread.analysis.check.check import check
from ckread.analysis.findings import Code, Level
from ckread.errors import CheckpointNotFoundError, NotACheckpointError, UnsupportedFeatureError
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType
from ckread.readers.files import RegularFile
from ckread.readers.table import Table
from ckread.views.check import verdict
from tests.builders import BundleBuilder, Ranges, entry_bytes
from tests.corruption import flip, truncate
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckread.analysis.check.findings import CheckReport

RUN = FIXTURES / "digits_run"
SHARD = "ckpt-7.data-00000-of-00001"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("ckpt-7.index", SHARD):
        shutil.copy(RUN / name, tmp_path / name)
    return tmp_path / "ckpt-7"


def _codes(report: CheckReport, level: Level = Level.ERROR) -> list[Code]:
    return [finding.code for finding in report.findings if finding.level is level]


def test_a_sound_checkpoint() -> None:
    report = check(RUN / "ckpt-10")
    assert report.sound is True
    assert (report.n_verified, report.n_tensors, report.nbytes_verified) == (44, 44, 466503)
    (dead,) = report.findings
    assert (dead.level, dead.code, dead.variable) == (
        Level.WARNING, Code.DEAD_UNITS, "conv1/kernel",
    )  # fmt: skip
    assert dead.message == (
        "1 of 16 units (index 1) has not received a gradient since the slots began: "
        "velocity of the optimizer is 0 in its 9 elements and its bias"
    )


def test_weights_that_stood_still() -> None:
    report = check(RUN / "ckpt-2")
    assert report.sound is True
    assert [(f.code, f.variable) for f in report.findings] == [
        (Code.NEVER_TRAINED, "conv1/kernel"),
        (Code.NEVER_TRAINED, "conv1/bias"),
    ]


def test_quick_reads_no_value(copy: Path) -> None:
    flip(copy.parent / SHARD, 310_000)
    report = check(copy, quick=True)
    assert (report.sound, report.n_verified, report.errors) == (None, 0, ())


def test_a_damaged_tensor_is_named_with_its_bytes(copy: Path) -> None:
    flip(copy.parent / SHARD, 310_000, 1)
    report = check(copy)
    (error,) = report.errors
    assert (error.code, error.variable) == (Code.CHECKSUM, "conv2/kernel")
    assert error.place == f"{SHARD}, bytes 307812 to 326244"
    assert (
        error.message
        == "stored CRC-32C 0x09693846, computed 0xae9d8321, as if only byte 310000 had changed"
    )
    assert verdict(report) == (
        "unsound",
        "1 of 44 tensors is damaged, 18.0 KiB of 456 KiB; the rest is intact.",
    )


FLIPPED = sorted(
    str(path.relative_to(FIXTURES)).removesuffix(".index")
    for path in FIXTURES.rglob("*.index")
    if "digits_run" not in str(path)
)


@pytest.mark.parametrize("prefix", FLIPPED)
def test_every_flip_in_data_is_named_by_variable(prefix: str, tmp_path: Path) -> None:
    """Flip every byte of small shards, and a sample of large ones; gaps hold nothing."""
    folder, name = os.path.split(f"{FIXTURES}/{prefix}")
    for file in os.listdir(folder):
        if file.startswith((f"{name}.index", f"{name}.data-")):
            shutil.copy(f"{folder}/{file}", tmp_path / file)
    target = f"{tmp_path}/{name}"
    with TensorBundle(target) as bundle:
        extents = [(key, _places(bundle, key)) for key in bundle.tensors]
        shards = [file.path for file in bundle.files() if file.is_shard and file.nbytes]
    rng = random.Random(prefix)
    for shard in shards:
        nbytes = os.path.getsize(shard)
        for offset in rng.sample(range(nbytes), min(nbytes, 20)):
            flip(shard, offset, 1 << rng.randrange(8))
            hit = {
                key
                for key, places in extents
                if any(path == shard and start <= offset < stop for path, start, stop in places)
            }
            report = check(target)
            assert len(_damaged(report)) == len(hit), (shard, offset, hit, report.errors)
            shutil.copy(f"{folder}/{os.path.basename(shard)}", shard)


def _damaged(report: CheckReport) -> set[str | None]:
    kinds = (Code.CHECKSUM, Code.DAMAGED)
    return {finding.variable for finding in report.errors if finding.code in kinds}


def _places(bundle: TensorBundle, key: str) -> list[tuple[str, int, int]]:
    try:
        extents = bundle.extents(key)
    except UnsupportedFeatureError:
        extents = None
    except ValueError:  # a hole between slices: an error already
        return []
    if extents is not None:
        return [(e.path, e.offset, e.offset + e.nbytes) for e in extents]
    record = bundle.tensors[key]
    shards = [file.path for file in bundle.files() if file.is_shard]
    assert record.shard is not None
    assert record.offset is not None
    return [(shards[record.shard], record.offset, record.offset + record.nbytes)]


def _remove_index(prefix: Path) -> None:
    os.remove(f"{prefix}.index")
    os.mkdir(f"{prefix}_temp")


def _empty_index(prefix: Path) -> None:
    truncate(f"{prefix}.index", 0)


def _zero_data(prefix: Path) -> None:
    data = prefix.parent / SHARD
    data.write_bytes(bytes(data.stat().st_size))


@pytest.mark.parametrize(
    ("damage", "codes", "sentence"),
    [
        (_remove_index, [Code.NO_INDEX],
         "this checkpoint is being written, or its save was cut short."),
        (_empty_index, [Code.NO_INDEX],
         "this checkpoint is being written, or its save was cut short."),
        (lambda p: truncate(f"{p}.index", 700), [Code.NO_INDEX],
         "this checkpoint is being written, or its save was cut short."),
        (lambda p: flip(f"{p}.index", 500), [Code.INDEX_BLOCK],
         "the index is damaged; what it still lists cannot be trusted to be all."),
        (lambda p: os.remove(p.parent / SHARD), [Code.SHARD_MISSING],
         "the data shard is missing, so none of the 44 variables can be read."),
        (lambda p: truncate(p.parent / SHARD, 300_000), [Code.SHARD_SHORT],
         "a data shard was cut short, or belongs to another save. 24 of 44 variables cannot be "
         "read; the rest is intact."),
        (lambda p: shutil.copy(RUN / "ckpt-9.data-00000-of-00001", p.parent / SHARD),
         None, "43 of 44 tensors have other checksums than the index says."),
        (_zero_data, None, "43 of 44 tensors are nothing but zero bytes."),
    ],
)  # fmt: skip
def test_states_that_are_told_in_the_right_words(
    copy: Path, damage: Callable[[Path], None], codes: list[Code] | None, sentence: str
) -> None:
    damage(copy)
    report = check(copy)
    assert report.sound is False
    assert verdict(report) == ("unsound", sentence)
    if codes is not None:
        assert _codes(report)[: len(codes)] == codes
        assert {*_codes(report)[len(codes) :]} <= {Code.BOUNDS}
    else:
        assert _codes(report)[0] is Code.SHARD_MIXED


@pytest.mark.parametrize(
    ("number", "lost"),
    [
        (0, "do not come after d"),
        (1, "come after d and not after h"),
        (2, "come after h"),
    ],
)
def test_a_damaged_block_of_several_tells_what_is_lost(
    number: int, lost: str, tmp_path: Path
) -> None:
    builder = BundleBuilder()
    for name in "abcdefghijkl":
        builder.add(name, np.arange(3, dtype=np.float32), DataType.FLOAT32)
    prefix = builder.write(tmp_path / "m", block_nbytes=60)
    assert check(prefix).findings == ()
    with RegularFile(f"{prefix}.index") as file:
        handles = list(Table(file).handles())
    handle = handles[number]
    flip(f"{prefix}.index", handle.offset)
    (error,) = check(prefix).errors
    assert error.code is Code.INDEX_BLOCK
    assert error.place == f"m.index, bytes {handle.offset} to {handle.offset + handle.size + 5}"
    told = f"; lost with block {number + 1} of {len(handles)} are the variables whose keys {lost}"
    assert error.message.endswith(told)


def test_every_bad_entry_is_told(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("good", np.ones(2, np.float32), DataType.FLOAT32)
    builder.items[b"one"] = b"\x08"
    builder.items[b"two"] = b"\x12\x05"
    errors = check(builder.write(tmp_path / "m")).errors
    assert [error.variable for error in errors] == ["one", "two"]


def test_tensors_that_share_bytes(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("a", np.ones(4, np.float32), DataType.FLOAT32)
    builder.items[b"b"] = builder.items[b"a"]
    (error,) = check(builder.write(tmp_path / "m")).errors
    assert (error.code, error.variable) == (Code.OVERLAP, "b")
    assert error.message == "shares m.data-00000-of-00001, bytes 0 to 16 with a"


def test_a_gap_is_a_note(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("a", np.ones(4, np.float32), DataType.FLOAT32)
    builder.add_gap(5)
    builder.add("b", np.ones(4, np.float32), DataType.FLOAT32)
    report = check(builder.write(tmp_path / "m"))
    assert report.sound is True
    assert _codes(report, Level.NOTE) == [Code.GAP]


def test_another_writers_version(tmp_path: Path) -> None:
    from tests.builders import header_bytes

    builder = BundleBuilder()
    builder.items[b""] = header_bytes(min_consumer=2)
    assert _codes(check(builder.write(tmp_path / "m"))) == [Code.VERSION]


@pytest.mark.parametrize(
    ("dtype", "numpy_dtype"),
    [
        (DataType.FLOAT32, "float32"), (DataType.FLOAT64, "float64"),
        (DataType.FLOAT16, "float16"), (DataType.BFLOAT16, "bfloat16"),
        (DataType.COMPLEX64, "complex64"), (DataType.FLOAT8_E5M2, "float8_e5m2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found_in_every_type(
    dtype: DataType, numpy_dtype: str, value: float, tmp_path: Path
) -> None:
    import ml_dtypes  # noqa: F401 - registers the types by name

    array = np.full((3, 5), -1, np.dtype(numpy_dtype))
    builder = BundleBuilder()
    builder.add("dense/kernel", array, dtype)
    assert check(builder.write(tmp_path / "m")).sound is True
    array[1, 3] = value
    builder = BundleBuilder()
    builder.add("dense/kernel", array, dtype)
    report = check(builder.write(tmp_path / "m"))
    kind = "NaN" if np.isnan(value) else "infinite"
    told = [f.message for f in report.findings if f.code is Code.NOT_FINITE]
    assert told == [f"1 {kind} of 15 elements, the first at [1, 3]"]


def test_the_first_index_in_a_large_tensor_and_in_slices(tmp_path: Path) -> None:
    large = np.ones((3000, 2000), np.float32)
    large[2345, 678] = np.nan
    cut = np.ones((4, 6), np.float32)
    cut[3, 5] = np.inf
    builder = BundleBuilder()
    builder.add("large/kernel", large, DataType.FLOAT32)
    rows: list[Ranges] = [((0, 2), (0, None)), ((2, 2), (0, None))]
    builder.add_partitioned("cut/kernel", cut, DataType.FLOAT32, rows)
    prefix = builder.write(tmp_path / "m")
    for n_jobs in (1, 2):
        found = {f.variable: f.message for f in check(prefix, n_jobs=n_jobs).findings}
        assert found["large/kernel"] == "1 NaN of 6000000 elements, the first at [2345, 678]"
        assert found["cut/kernel"] == "1 infinite of 24 elements, the first at [3, 5]"


def test_nothing_but_nan(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("rnn/kernel", np.full((2, 2), np.nan, np.float32), DataType.FLOAT32)
    report = check(builder.write(tmp_path / "m"))
    assert verdict(report)[1] == (
        "1 variable holds nothing but NaN or infinity. The file itself is intact: its checksum is "
        "right."
    )
    assert report.errors[0].message == "holds nothing but NaN"


def test_a_hole_between_slices() -> None:
    report = check(FIXTURES / "sharded" / "partitioned" / "model.ckpt")
    assert [(f.code, f.variable) for f in report.errors] == [(Code.SLICES, "hole/float32")]


def test_an_entry_that_contradicts_itself(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("a", np.ones(2, np.float32), DataType.FLOAT32)
    builder.items[b"bad"] = entry_bytes(1, [3], size=8)
    assert [(f.code, f.variable) for f in check(builder.write(tmp_path / "m")).errors] == [
        (Code.ENTRY, "bad")
    ]


def test_a_variant_is_a_note_and_no_damage() -> None:
    report = check(FIXTURES / "strings" / "iterator")
    assert report.sound is True
    assert _codes(report, Level.NOTE) == [Code.UNREADABLE]


def test_what_lies_beside(copy: Path) -> None:
    (copy.parent / "ckpt-7.data-00000-of-00001.tempstate123").write_bytes(b"x")
    (copy.parent / "ckpt-7.data-00000-of-00003").write_bytes(b"")
    state = 'model_checkpoint_path: "ckpt-7"\nall_model_checkpoint_paths: "ckpt-6"\n'
    (copy.parent / "checkpoint").write_text(state, encoding="utf-8")
    report = check(copy)
    assert report.sound is True
    assert set(_codes(report, Level.WARNING)) == {
        Code.DEAD_UNITS, Code.LEFTOVERS, Code.STATE_STALE, Code.SHARD_OTHER,
    }  # fmt: skip


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError):
        check(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello", encoding="utf-8")
    with pytest.raises(NotACheckpointError):
        check(tmp_path / "text")
    with pytest.raises(UnsupportedFeatureError):
        check("nope://bucket/model")


@pytest.mark.parametrize(
    "path", ["digits_files/digits.keras", "digits_files/digits.weights.h5", "tf221_v1/whole"]
)
def test_other_formats(path: str) -> None:
    report = check(FIXTURES / path)
    assert report.n_verified == report.n_tensors > 0


def test_an_hdf5_file_whose_library_loses_its_way_is_not_sound(tmp_path: Path) -> None:
    """Fuzzing found it: all values are found, and no program that uses the library finds them."""
    data = bytearray((FIXTURES / "six_ways/functional/tiny.weights.h5").read_bytes())
    at = data.index(b"HEAP") + 16
    data[at : at + 8] = (1 << 20).to_bytes(8, "little")  # the first free block of the names
    path = tmp_path / "m.weights.h5"
    path.write_bytes(data)
    report = check(path)
    assert report.n_verified == report.n_tensors == 8
    (error,) = report.errors
    assert error.code is Code.FILE
    assert "bad heap free list" in error.message


def test_an_empty_group_whose_tree_leads_nowhere_is_not_sound(tmp_path: Path) -> None:
    """Fuzzing found it: nothing of ours looks into it, h5py's `visit` stops there."""
    data = bytearray((FIXTURES / "six_ways/sequential/tiny.weights.h5").read_bytes())
    trees = [at for at in range(len(data)) if data.startswith(b"TREE", at)]
    for at in trees:
        if data[at + 6 : at + 8] == b"\0\0":  # without entries
            data[at + 20] = 0  # of the address of a neighbour, which is that of none
    path = tmp_path / "m.weights.h5"
    path.write_bytes(data)
    (error,) = check(path).errors
    assert error.message.endswith("HDF5 expects more")
