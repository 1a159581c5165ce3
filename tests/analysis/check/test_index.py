"""What a check tells of index, shards and directory: each fault beside its nearest sound file."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckread.analysis.check.check import check
from ckread.analysis.findings import Code, Finding, Level
from ckread.readers.contract import DataType
from ckread.readers.files import RegularFile
from ckread.readers.table import Table
from ckread.views.check import verdict
from tests.builders import BundleBuilder, Ranges, entry_bytes, header_bytes, table_bytes
from tests.corruption import flip, truncate
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckread.analysis.check.findings import CheckReport

RUN = FIXTURES / "digits_run"
ONES = np.ones((2, 3), np.float32)
SHARD = "m.data-00000-of-00001"


def _builder(num_shards: int = 1) -> BundleBuilder:
    builder = BundleBuilder(num_shards)
    builder.add("a", np.arange(6, dtype=np.float32), DataType.FLOAT32)
    builder.add("b", np.arange(4, dtype=np.float32), DataType.FLOAT32, shard=num_shards - 1)
    return builder


def _told(report: CheckReport, level: Level = Level.ERROR) -> list[tuple[Code, str | None]]:
    return [(f.code, f.variable) for f in report.findings if f.level is level]


def _one(report: CheckReport, code: Code) -> Finding:
    (found,) = (finding for finding in report.findings if finding.code is code)
    return found


HEADERS: list[tuple[bytes, Code | None, str]] = [
    (header_bytes(), None, ""),
    (header_bytes(min_consumer=1), None, ""),
    (header_bytes(min_consumer=2), Code.VERSION, "min_consumer 2, this reader is version 1"),
    (header_bytes(bad_consumers=[2]), None, ""),
    (header_bytes(bad_consumers=[2, 1]), Code.VERSION, "bad_consumers has 1"),
    (header_bytes(producer=0), None, ""),
    (header_bytes(producer=-1), Code.INDEX, "producer -1, expected 0 or more"),
    (b"\x08", Code.INDEX, "header"),
]


@pytest.mark.parametrize(("header", "code", "message"), HEADERS)
def test_header_and_version(header: bytes, code: Code | None, message: str, tmp_path: Path) -> None:
    builder = _builder()
    builder.items[b""] = header
    report = check(builder.write(tmp_path / "m"))
    if code is None:
        assert report.findings == ()
        return
    assert report.sound is False
    assert code in {finding.code for finding in report.errors}
    assert any(message in finding.message for finding in report.errors)


def test_every_block_of_the_index_is_verified(tmp_path: Path) -> None:
    builder = _builder()
    path = f"{builder.write(tmp_path / 'm')}.index"
    with RegularFile(path) as file:
        table = Table(file)
        blocks = [*table.handles(), table.index]
        end = file.nbytes
    for handle in blocks:
        flip(path, handle.offset + handle.size // 2)
        report = check(tmp_path / "m")
        assert [finding.code for finding in report.errors] in ([Code.INDEX_BLOCK], [Code.INDEX])
        assert f"block at byte {handle.offset}: stored CRC-32C" in report.errors[0].message
        flip(path, handle.offset + handle.size // 2)
    flip(path, end - 1)
    assert check(tmp_path / "m").sound is False
    flip(path, end - 1)
    assert check(tmp_path / "m").findings == ()


@pytest.mark.parametrize("block_nbytes", [10_000, 1])
def test_keys_are_in_order(block_nbytes: int, tmp_path: Path) -> None:
    builder = _builder()
    prefix = builder.write(tmp_path / "m", block_nbytes=block_nbytes)
    assert check(prefix).findings == ()
    header, a, b = sorted(builder.items.items())
    (tmp_path / "m.index").write_bytes(table_bytes([header, b, a], block_nbytes=block_nbytes))
    report = check(prefix)
    assert report.sound is False
    assert {finding.code for finding in report.errors} <= {Code.INDEX, Code.INDEX_BLOCK}
    assert "order" in report.errors[0].message or "after" in report.errors[0].message


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (b"\x08", "m.index: entry bad: varint at byte 1 runs past the end at byte 1"),
        (entry_bytes(1, [3], size=8), "m.index: bad: 8 bytes, float32 [3] takes 12"),
        (entry_bytes(1, [2], size=8, offset=-1), "m.index: entry bad: offset -1, expected 0"),
        (entry_bytes(1, [2], size=-8), "m.index: entry bad: size -8, expected 0 or more"),
        (entry_bytes(1, [-2], size=8), "m.index: entry bad: dimension of -2 elements"),
        (entry_bytes(1, [2], size=8, shard=7), "m.index: bad: shard 7, expected less than 1"),
    ],
)
def test_an_entry_that_cannot_be(entry: bytes, message: str, tmp_path: Path) -> None:
    builder = _builder()
    builder.items[b"bad"] = entry
    (error,) = check(builder.write(tmp_path / "m")).errors
    assert (error.code, error.variable, error.place) == (Code.ENTRY, "bad", "m.index")
    assert message in error.message


def test_an_element_type_that_is_not_known_is_no_damage(tmp_path: Path) -> None:
    builder = _builder()
    builder.items[b"strange"] = entry_bytes(99, [2], size=8, offset=40)
    builder.add_gap(8)
    report = check(builder.write(tmp_path / "m"))
    assert report.sound is True
    assert _told(report, Level.NOTE) == [(Code.UNREADABLE, "strange")]


def test_tensors_beyond_the_end_are_named(tmp_path: Path) -> None:
    builder = _builder()
    prefix = builder.write(tmp_path / "m")
    assert check(prefix).findings == ()
    truncate(tmp_path / SHARD, 39)
    report = check(prefix)
    assert _told(report) == [(Code.SHARD_SHORT, None), (Code.BOUNDS, "b")]
    short, beyond = report.errors
    assert (short.place, beyond.place) == (SHARD, f"{SHARD}, bytes 24 to 40")
    assert short.message == (
        f"{SHARD} ends at byte 39, the index expects its end at byte 40: 1 variable lies beyond it"
    )
    assert beyond.message == f"cannot be read: {SHARD} ends at byte 39"
    assert report.damaged == {"b"}
    assert verdict(report)[1] == (
        "a data shard was cut short, or belongs to another save. 1 of 2 variables cannot be read; "
        "the rest is intact."
    )


def test_a_shard_that_is_too_long(tmp_path: Path) -> None:
    prefix = _builder().write(tmp_path / "m")
    with (tmp_path / SHARD).open("ab") as file:
        file.write(b"x" * 5)
    report = check(prefix)
    assert report.sound is True
    long = _one(report, Code.SHARD_LONG)
    assert (long.level, long.place) == (Level.WARNING, SHARD)
    assert long.message == f"{SHARD} is 5 bytes longer than the index says"


def test_the_variables_of_a_missing_shard_are_named(tmp_path: Path) -> None:
    prefix = _builder(2).write(tmp_path / "m")
    assert check(prefix).findings == ()
    missing = "m.data-00001-of-00002"
    (tmp_path / missing).unlink()
    report = check(prefix)
    assert _told(report) == [(Code.SHARD_MISSING, None), (Code.BOUNDS, "b")]
    assert report.errors[0].message == f"{missing} is not there; the index expects 16 bytes in it"
    assert report.errors[1].place == f"{missing}, bytes 0 to 16"
    assert verdict(report)[1] == (
        "1 of 2 data shards is missing. 1 of 2 variables cannot be read; the rest is intact."
    )
    (tmp_path / "m.data-00000-of-00002").unlink()
    assert _told(check(prefix)) == [(Code.SHARD_MISSING, None)] * 2  # all: that says it


def _sliced(tmp_path: Path, slices: list[Ranges]) -> str:
    builder = BundleBuilder()
    builder.add_partitioned("p", np.arange(12, dtype=np.float32).reshape(4, 3),
                            DataType.FLOAT32, slices)  # fmt: skip
    return builder.write(tmp_path / "m")


def test_a_damaged_slice_is_told_with_its_own_bytes(tmp_path: Path) -> None:
    prefix = _sliced(tmp_path, [((0, 2), (0, None)), ((2, 2), (0, None))])
    assert check(prefix).findings == ()
    flip(tmp_path / SHARD, 30)
    (error,) = check(prefix).errors
    assert (error.code, error.variable) == (Code.CHECKSUM, "p")
    assert error.place == f"{SHARD}, bytes 24 to 48"
    assert error.message.startswith("slice [2:4, 0:3]: stored CRC-32C 0x")
    assert error.message.endswith(", as if only byte 30 had changed")
    flip(tmp_path / SHARD, 40)
    assert "as if" not in check(prefix).errors[0].message


@pytest.mark.parametrize(
    "slices",
    [
        [((0, 2), (0, None)), ((3, 1), (0, None))],
        [((0, 3), (0, None)), ((2, 2), (0, None))],
    ],
)
def test_slices_that_leave_a_hole_or_overlap(slices: list[Ranges], tmp_path: Path) -> None:
    report = check(_sliced(tmp_path, slices))
    assert _told(report) == [(Code.SLICES, "p")]


STRINGS = [b"one", b"two", b"three"]


@pytest.mark.parametrize(
    ("offset", "code"), [(0, Code.DAMAGED), (5, Code.CHECKSUM), (9, Code.CHECKSUM)]
)
def test_a_damaged_string_table(offset: int, code: Code, tmp_path: Path) -> None:
    """Flip a length, a byte of the checksum of lengths, and a character."""
    builder = BundleBuilder()
    builder.add_strings("words", STRINGS, [3])
    prefix = builder.write(tmp_path / "m")
    assert check(prefix).findings == ()
    flip(tmp_path / SHARD, offset, 1)
    (error,) = check(prefix).errors
    assert (error.code, error.variable) == (code, "words")


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A directory with two whole checkpoints, and data of a third."""
    for name in ("ckpt-6.index", "ckpt-6.data-00000-of-00001", "ckpt-7.index",
                 "ckpt-7.data-00000-of-00001", "ckpt-8.data-00000-of-00001"):  # fmt: skip
        shutil.copy(RUN / name, tmp_path / name)
    return tmp_path


def test_a_newer_save_that_is_not_whole_is_told_at_once(torn: Path) -> None:
    report = check(torn)
    assert report.sound is True
    assert report.path == str(torn / "ckpt-7")
    newer = _one(report, Code.NEWER)
    assert (newer.level, newer.place) == (Level.WARNING, "ckpt-8")
    assert newer.message == "ckpt-8 is newer than ckpt-7, and not whole"
    assert verdict(report)[1].endswith("finite. ckpt-8 is newer than ckpt-7, and not whole.")
    assert verdict(check(torn, quick=True))[1].endswith(
        "ckpt-8 is newer than ckpt-7, and not whole."
    )
    assert Code.NEWER not in {finding.code for finding in check(torn / "ckpt-6").findings}
    (torn / "ckpt-8.data-00000-of-00001").rename(torn / "ckpt-5.data-00000-of-00001")
    assert Code.NEWER not in {finding.code for finding in check(torn).findings}


def test_a_torn_save_names_the_whole_one_before(torn: Path) -> None:
    report = check(torn / "ckpt-8")
    (error,) = report.errors
    assert (error.code, error.place) == (Code.NO_INDEX, "ckpt-8.index")
    assert error.remedy is not None
    assert error.remedy.endswith(f"If not, go back to {torn / 'ckpt-7'}, the one before.")
    assert Code.LEFTOVERS not in {finding.code for finding in report.findings}  # said already


LEFT = [
    "ckpt-8.data-00000-of-00001.tempstate1234", "ckpt-8.index.tempstate77",
    "ckpt-8.data..tempstate99", "ckpt-8.tempstate5", "checkpoint.tmpab12",
]  # fmt: skip
NOT_LEFT = ["notes.tmp", "ckpt-8_temp.txt", "checkpoint.md", "temp"]


@pytest.mark.parametrize("name", [*LEFT, *NOT_LEFT])
def test_leftovers_are_known_by_their_names(name: str, torn: Path) -> None:
    (torn / "ckpt-8.data-00000-of-00001").unlink()
    (torn / name).write_bytes(b"x" * 7)
    told = [f for f in check(torn).findings if f.code is Code.LEFTOVERS]
    if name in NOT_LEFT:
        assert told == []
    else:
        (left,) = told
        assert (left.level, left.place) == (Level.WARNING, name)
        assert left.message == f"{name} is a file of 7 bytes"


@pytest.mark.parametrize(("inside", "is_left"), [("part-00000-of-00001.index", True), ("a", False)])
def test_a_temporary_directory_is_known_by_what_it_holds(
    inside: str, is_left: bool, tmp_path: Path
) -> None:
    (tmp_path / "ckpt-8_temp").mkdir()
    (tmp_path / "ckpt-8_temp" / inside).write_bytes(b"x" * 9)
    if is_left:
        report = check(tmp_path)
        assert (report.path, report.sound) == (str(tmp_path / "ckpt-8"), False)
        left = _one(report, Code.LEFTOVERS)
        told = "ckpt-8_temp/ is a folder of 1 file, 9 bytes: no part of ckpt-8 in it is whole"
        assert left.message == told
    prefix = _builder().write(tmp_path / "m")
    codes = {finding.code for finding in check(prefix).findings}
    assert codes == ({Code.LEFTOVERS} if is_left else set())


def test_names_in_the_state_file_that_lead_nowhere(torn: Path) -> None:
    (torn / "ckpt-8.data-00000-of-00001").unlink()
    sound = 'model_checkpoint_path: "ckpt-7"\nall_model_checkpoint_paths: "ckpt-6"\n'
    (torn / "checkpoint").write_text(sound, encoding="utf-8")
    codes = {finding.code for finding in check(torn).findings}
    assert codes == {Code.DEAD_UNITS}
    stale = sound + 'all_model_checkpoint_paths: "ckpt-4"\nall_model_checkpoint_paths: "ckpt-5"\n'
    (torn / "checkpoint").write_text(stale, encoding="utf-8")
    told = _one(check(torn), Code.STATE_STALE)
    assert (told.level, told.place) == (Level.WARNING, "checkpoint")
    assert told.message == "the state file names ckpt-4, ckpt-5, which are not there"
    for names, said in ((["x-1"], "x-1, which is"), (["x-1", "x-2", "x-3", "x-4", "x-5"],
            "x-1, x-2, x-3 and 2 more, which are")):  # fmt: skip
        more = "".join(f'all_model_checkpoint_paths: "{name}"\n' for name in names)
        (torn / "checkpoint").write_text(sound + more, encoding="utf-8")
        told = _one(check(torn), Code.STATE_STALE)
        assert told.message == f"the state file names {said} not there"


def _cut(path: Path) -> None:
    truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("source", "target", "damaged"),
    [
        ("digits_export", "digits_export", "saved_model.pb"),
        ("tf115_saver", "tf115_saver/model.ckpt-20", "model.ckpt-20.meta"),
    ],
)
@pytest.mark.parametrize("damage", [None, _cut])
def test_damage_to_a_graph_beside_the_values(
    source: str,
    target: str,
    damaged: str,
    damage: Callable[[Path], None] | None,
    tmp_path: Path,
) -> None:
    shutil.copytree(FIXTURES / source, tmp_path / source)
    if damage is None:
        assert Code.FILE not in {f.code for f in check(tmp_path / target).findings}
        return
    damage(tmp_path / source / damaged)
    report = check(tmp_path / target)
    (error,) = report.errors
    assert (error.code, error.place) == (Code.FILE, damaged)
    assert verdict(report) == ("unsound", f"{damaged} is damaged; the values are intact.")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("digits.keras", "the archive is damaged, or was cut short: nothing in it can be trusted."),
        ("digits.weights.h5", "the file is damaged, or was cut short: nothing in it can be read."),
    ],
)
def test_keras_files_that_were_cut(name: str, sentence: str, tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "digits_files" / name, tmp_path / name)
    assert check(tmp_path / name).sound is True
    _cut(tmp_path / name)
    report = check(tmp_path / name)
    assert verdict(report) == ("unsound", sentence)
    assert {finding.place for finding in report.errors} == {name}
