"""Any path that a person may type → the right checkpoint, or an error that helps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ckread
from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    ChecksumError,
    CorruptCheckpointError,
    MissingShardError,
    NotACheckpointError,
    TruncatedFileError,
    UsageError,
)
from ckread.model.opening import open_checkpoint, open_live
from ckread.model.paths.locate import locate
from ckread.model.paths.location import Location, shard_warnings
from ckread.model.paths.nearby import summary
from ckread.model.paths.scanning import Candidate
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType, Format
from tests.builders import BundleBuilder, table_bytes, write_bundle
from tests.corruption import flip, truncate
from tests.places import FIXTURES, REAL, ROOT, real


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give `run/` of the current directory: ckpt-2, ckpt-9, ckpt-10, and a state file."""
    monkeypatch.chdir(tmp_path)
    directory = Path("run")
    directory.mkdir()
    for step in (2, 9, 10):
        save(directory / f"ckpt-{step}", step)
    write_state(directory, "ckpt-10")
    return directory


def save(prefix: Path | str, value: int = 0) -> str:
    """Write a bundle that holds its value."""
    return write_bundle(Path(prefix), {"value": np.full(2, value)})


def write_state(directory: Path, latest: str) -> None:
    """Write a state file that names its latest checkpoint."""
    escaped = latest.replace("\\", "\\\\")
    text = f'model_checkpoint_path: "{escaped}"\n'
    (directory / "checkpoint").write_text(text, errors="surrogateescape")


def error_of(path: str | Path, kind: type[CheckpointError]) -> tuple[str, str | None]:
    """Give message and remedy of the error that opening a path raises, of exactly this class."""
    with pytest.raises(kind) as caught:
        open_checkpoint(path)
    assert type(caught.value) is kind
    return str(caught.value), caught.value.remedy


# What may be typed.


@pytest.mark.parametrize(
    "typed",
    [
        "run/ckpt-9",
        "run/ckpt-9.index",
        "run/ckpt-9.data-00000-of-00001",
        "run/ckpt-9.meta",
        "./run/../run/ckpt-9",
        "run/ckpt-9/",
        "run/ckpt-9.data-00003-of-00004",
    ],
)
def test_any_file_of_a_checkpoint_opens_it(typed: str, run: Path) -> None:
    with open_checkpoint(typed) as checkpoint:
        assert checkpoint["value"].numpy().tolist() == [9, 9]
        assert checkpoint.notes == ()
        assert checkpoint.warnings == ()
        assert checkpoint.format is Format.TENSOR_BUNDLE


def test_path_is_what_was_found_in_the_words_of_the_user(run: Path) -> None:
    assert locate("run/ckpt-9.index").path == "run/ckpt-9"
    assert locate(run / "ckpt-9").path == "run/ckpt-9"
    assert locate("run").path == "run/ckpt-10"
    assert locate("run/").path == "run/ckpt-10"
    assert locate("run/checkpoint").path == "run/ckpt-10"
    os.chdir(run)
    assert locate(".").path == "./ckpt-10"
    assert locate("checkpoint").path == "./ckpt-10"
    assert locate("ckpt-9").path == "ckpt-9"


@pytest.mark.parametrize("typed", ["run", "run/", "run/checkpoint"])
def test_a_directory_or_its_state_file_opens_the_latest(typed: str, run: Path) -> None:
    with open_checkpoint(typed) as checkpoint:
        assert checkpoint.path == "run/ckpt-10"
        assert checkpoint["value"].numpy().tolist() == [10, 10]
        assert checkpoint.notes == ("run holds 3 checkpoints; opened the latest, run/ckpt-10.",)


@pytest.mark.parametrize(
    "name",
    [
        "a [1]* b?",
        "é+ü:x",
        "-c",
        "{a,b}",
        "$HOME",
        "c.index",
        "c.meta",
        "%s%d",
        "a\nb",
        "back\\slash",
    ],
)
def test_characters_of_a_path_are_letters(name: str, tmp_path: Path) -> None:
    directory = tmp_path / name
    directory.mkdir()
    save(directory / name, 3)
    for typed in (directory / name, f"{directory / name}.index", directory):
        with open_checkpoint(typed) as checkpoint:
            assert checkpoint["value"].numpy().tolist() == [3, 3]


def test_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    prefix = os.fsdecode(os.fsencode(str(tmp_path)) + b"/run-\xff")
    save(prefix, 3)
    with open_checkpoint(prefix) as checkpoint:
        assert checkpoint["value"].numpy().tolist() == [3, 3]
    write_state(tmp_path, "run-\udcff")
    assert locate(tmp_path).path == prefix


@pytest.mark.parametrize("name", ["gs:", "~", "~nobody-of-this-name"])
def test_names_that_look_like_addresses_and_homes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    save(tmp_path / name / "c", 3)
    assert locate(f"{name}/c").path == f"{name}/c"
    assert locate(name).path == f"{name}/c"


def test_home_is_expanded(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/run/ckpt-9").path == f"{tmp_path}/run/ckpt-9"


def test_an_empty_base_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = FIXTURES / "odd_names" / "empty_base"
    for typed in (directory, f"{directory}/", directory / ".index"):
        with open_checkpoint(typed) as checkpoint:
            assert checkpoint.path == f"{directory}/"
            assert len(checkpoint) > 0
    monkeypatch.chdir(directory)
    assert locate(".index").path == "./"


def test_a_prefix_called_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save("checkpoint", 1)
    assert locate("checkpoint") == Location("checkpoint", Format.TENSOR_BUNDLE)
    assert locate(".").path == "./checkpoint"
    write_state(Path(), "checkpoint")
    assert locate("checkpoint").notes == ()
    assert locate(".").path == "./checkpoint"
    save("other", 2)
    write_state(Path(), "other")
    assert locate("checkpoint").notes == (
        "checkpoint is a state file too, which names other; its directory opens that one.",
    )
    assert locate(".").path == "./other"
    Path("checkpoint").write_text("no state file")
    assert locate("checkpoint").notes == ()


def test_a_prefix_with_the_name_of_a_directory(run: Path) -> None:
    save("run/sub", 4)
    (run / "sub").mkdir()
    save("run/sub/inner", 5)
    assert locate("run/sub").path == "run/sub"
    assert locate("run/sub").notes == ("run/sub is a directory too; run/sub/ opens it.",)
    assert locate("run/sub/").path == "run/sub/inner"


def test_symlinks_are_followed(run: Path) -> None:
    os.symlink("run", "link")
    os.symlink("run/ckpt-9.index", "c.index")
    os.symlink("run/ckpt-9.data-00000-of-00001", "c.data-00000-of-00001")
    assert locate("link").path == "link/ckpt-10"
    with open_checkpoint("c") as checkpoint:
        assert checkpoint["value"].numpy().tolist() == [9, 9]


@pytest.mark.parametrize(
    "part",
    ["", "saved_model.pb", "variables", "variables/", "variables/variables",
     "variables/variables.index", "variables/variables.data-00000-of-00001"],
)  # fmt: skip
def test_every_part_of_a_saved_model_opens_it(part: str) -> None:
    directory = str(FIXTURES / "digits_export")
    with open_checkpoint(os.path.join(directory, part) if part else directory) as checkpoint:
        assert checkpoint.format is Format.SAVED_MODEL
        assert checkpoint.path == directory
        assert len(checkpoint) > 30


def test_a_saved_model_from_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES / "digits_export" / "variables")
    for typed in (".", "variables", "variables.index"):
        assert locate(typed).format is Format.SAVED_MODEL
        assert os.path.samefile(locate(typed).path, FIXTURES / "digits_export")


def test_a_saved_model_without_its_graph(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    save(tmp_path / "variables" / "variables", 3)
    location = locate(tmp_path)
    assert location.path == f"{tmp_path}/variables/variables"
    assert location.format is Format.TENSOR_BUNDLE
    assert location.notes == (f"{tmp_path} has variables/ and no saved_model.pb.",)


def test_a_saved_model_without_variables(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "digits_export" / "saved_model.pb", tmp_path)
    for typed in (tmp_path, tmp_path / "saved_model.pb"):
        assert error_of(typed, CheckpointNotFoundError) == (
            f"{tmp_path}: SavedModel without variables/variables.index",
            "Its weights, if it has any, are constants of its graph.",
        )


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("tiny.keras", Format.KERAS_ARCHIVE),
        ("tiny.weights.h5", Format.KERAS_WEIGHTS),
        ("tiny.h5", Format.LEGACY_HDF5),
        ("sharded/tiny.weights.json", Format.KERAS_WEIGHTS_SHARDED),
        ("sharded", Format.KERAS_WEIGHTS_SHARDED),
    ],
)
def test_keras_files_are_told_apart(name: str, kept: Format) -> None:
    assert locate(FIXTURES / "six_ways" / "functional" / name).format is kept


def test_a_directory_of_keras_files(tmp_path: Path) -> None:
    for name in ("w.09-0.50.weights.h5", "w.10-0.75.weights.h5"):
        shutil.copy(FIXTURES / "six_ways" / "functional" / "tiny.weights.h5", tmp_path / name)
    (tmp_path / "w.99.h5").mkdir()
    location = locate(tmp_path)
    assert location.path == f"{tmp_path}/w.10-0.75.weights.h5"
    assert location.format is Format.KERAS_WEIGHTS
    assert location.notes == (
        f"{tmp_path} holds 2 checkpoints; opened the latest, {location.path}.",
    )
    save(tmp_path / "ckpt-1")
    assert locate(tmp_path).path == f"{tmp_path}/ckpt-1"


def test_hdf5_under_a_name_that_misleads(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "six_ways" / "functional" / "tiny.h5", tmp_path / "tiny.keras")
    assert locate(tmp_path / "tiny.keras").format is Format.LEGACY_HDF5


# V1.


def test_v1_files_and_their_directory() -> None:
    path = FIXTURES / "tf012_v1" / "model.ckpt-5"
    expected = Location(str(path), Format.V1_TABLE, (str(path),))
    assert locate(path) == expected
    assert locate(f"{path}.meta") == expected
    assert locate(path.parent) == expected


@pytest.mark.parametrize("typed", ["", "model.ckpt-42", "model.ckpt-42-?????-of-00002",
                                   "model.ckpt-42-00001-of-00002", "checkpoint"])  # fmt: skip
def test_sharded_v1(typed: str) -> None:
    directory = FIXTURES / "tf221_v1" / "shards"
    location = locate(directory / typed)
    assert location.path == f"{directory}/model.ckpt-42"
    assert location.format is Format.V1_TABLE
    assert [os.path.basename(file) for file in location.files] == [
        "model.ckpt-42-00000-of-00002",
        "model.ckpt-42-00001-of-00002",
    ]


def test_sharded_v1_with_a_part_missing(tmp_path: Path) -> None:
    part = "model.ckpt-42-00001-of-00002"
    shutil.copy(FIXTURES / "tf221_v1" / "shards" / part, tmp_path)
    message, _ = error_of(tmp_path / part, MissingShardError)
    assert message == ("model.ckpt-42-00000-of-00002: missing part (0 of 2) of a V1 checkpoint")


def test_v2_wins_over_v1_of_the_same_name(run: Path) -> None:
    shutil.copy(FIXTURES / "tf012_v1" / "model.ckpt-5", run / "ckpt-9")
    location = locate("run/ckpt-9")
    assert location.format is Format.TENSOR_BUNDLE
    assert location.notes == (
        "run/ckpt-9 is a V1 checkpoint of its own; the V2 checkpoint beside it, "
        "ckpt-9.index, was opened, as TensorFlow does.",
    )


# The state file.


def test_a_state_file_that_does_not_name_the_highest_step(run: Path) -> None:
    write_state(run, "ckpt-9")
    location = locate("run")
    assert location.path == "run/ckpt-9"
    assert location.notes == (
        "run holds 3 checkpoints; opened run/ckpt-9, which the state file names; "
        "run/ckpt-10 has a higher step.",
    )


@pytest.mark.parametrize("named", ["ckpt-9", "./ckpt-9", "../run/ckpt-9", ".\\ckpt-9"])
def test_paths_within_the_directory(named: str, run: Path) -> None:
    write_state(run, named)
    location = locate("run")
    assert os.path.normpath(location.path.replace("\\", "/")) == "run/ckpt-9"
    assert len(location.notes) == 1


def test_absolute_paths_within_the_directory(run: Path) -> None:
    write_state(run, os.path.abspath("run/ckpt-9"))
    assert locate("run").path == os.path.abspath("run/ckpt-9")
    os.symlink("run", "link")
    assert locate("link").path == os.path.abspath("run/ckpt-9")


def test_subdirectories_and_windows_separators(run: Path) -> None:
    (run / "sub").mkdir()
    save("run/sub/ckpt-11", 11)
    for named in ("sub/ckpt-11", "sub\\ckpt-11"):
        write_state(run, named)
        assert locate("run").path == "run/sub/ckpt-11"


@pytest.mark.parametrize(
    "named",
    ["/gone/elsewhere/ckpt-9", "C:\\runs\\ckpt-9", "c:/runs/ckpt-9", "\\\\host\\runs\\ckpt-9",
     "../../ckpt-9", "../other/ckpt-9", "..\\ckpt-9"],
)  # fmt: skip
def test_a_state_file_does_not_lead_out_of_its_directory(named: str, run: Path) -> None:
    Path("other").mkdir()
    save("other/ckpt-9", -1)
    save("ckpt-9", -1)
    write_state(run, named)
    location = locate("run")
    assert location.path == "run/ckpt-9"
    assert location.notes[1] == (f"The state file names {named}, outside run; opened run/ckpt-9.")


def test_what_lies_outside_is_not_opened_even_if_nothing_is_inside(run: Path) -> None:
    Path("empty").mkdir()
    outside = os.path.abspath("run/ckpt-9")
    write_state(Path("empty"), outside)
    assert error_of("empty", CheckpointNotFoundError) == (
        "empty: no checkpoint in this directory",
        f"The state file names {outside}, outside empty.",
    )


def test_a_stale_state_file_falls_back_to_the_same_name_then_to_the_step(run: Path) -> None:
    write_state(run, "gone/ckpt-2")
    assert locate("run").path == "run/ckpt-2"
    assert locate("run").notes[1] == (
        "The state file names gone/ckpt-2, which is not there; opened run/ckpt-2."
    )
    write_state(run, "ckpt-11")
    assert locate("run").path == "run/ckpt-10"
    assert locate("run").notes == (
        "The state file names ckpt-11, which is not there.",
        "run holds 3 checkpoints; opened the latest, run/ckpt-10.",
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "The state file names no checkpoint."),
        (b"\xff{{{", "The state file cannot be read: run/checkpoint: line 1: '\\\\xff', "
                     "expected the name of a field."),
    ],
)  # fmt: skip
def test_a_state_file_that_says_nothing(content: bytes, why: str, run: Path) -> None:
    (run / "checkpoint").write_bytes(content)
    for typed in ("run", "run/checkpoint") if not content else ("run",):
        location = locate(typed)
        assert location.path == "run/ckpt-10"
        assert location.notes[0] == why


def test_a_state_file_that_is_a_pointer_says_what_to_do(run: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:"
    (run / "checkpoint").write_text(f"{pointer}{'0' * 64}\nsize 99\n")
    location = locate("run")
    assert location.path == "run/ckpt-10"
    assert location.notes[0].startswith("The state file cannot be read: ")
    assert "git lfs pull" in location.notes[0]


def test_a_state_file_that_cannot_be_read_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"\x00\xff{{{")
    message, _ = error_of(tmp_path, CorruptCheckpointError)
    assert message == (f"{tmp_path}/checkpoint: line 1: '\\x00', expected the name of a field")


@pytest.mark.parametrize(
    "named", ["\\0", "..", ".", "/", "a" * 5000, "*", "?????", "-?????-of-00001"]
)
def test_hostile_names_in_a_state_file(named: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{named}"')
    error_of(tmp_path, CheckpointNotFoundError)
    save(tmp_path / "c-1", 1)
    assert locate(tmp_path).path == f"{tmp_path}/c-1"


# Directories without a state file.


def test_steps_are_numbers_not_text(run: Path) -> None:
    (run / "checkpoint").unlink()
    assert locate("run").path == "run/ckpt-10"
    save("run/ckpt-9000", 0)
    save("run/best", 0)
    assert locate("run").path == "run/ckpt-9000"


def test_without_numbers_the_last_written_is_taken(tmp_path: Path) -> None:
    for name, when in (("b", 200), ("a", 300), ("c", 100)):
        save(tmp_path / name)
        os.utime(tmp_path / f"{name}.index", (when, when))
    location = locate(tmp_path)
    assert location.path == f"{tmp_path}/a"
    assert location.notes == (
        f"{tmp_path} holds 3 checkpoints; opened the last written, {tmp_path}/a.",
    )


def test_an_index_of_another_program_is_passed_over(run: Path) -> None:
    (run / "checkpoint").unlink()
    (run / "vectors-99.index").write_bytes(b"IxFI" + os.urandom(100))
    assert locate("run").path == "run/ckpt-10"


def test_one_checkpoint_needs_no_note(tmp_path: Path) -> None:
    save(tmp_path / "model")
    assert locate(tmp_path) == Location(f"{tmp_path}/model", Format.TENSOR_BUNDLE)


# What is not there.


def test_not_found_says_what_is_near(run: Path) -> None:
    assert error_of("run/ckpt-11", CheckpointNotFoundError) == (
        "run/ckpt-11: no such checkpoint",
        "run holds ckpt-2 to ckpt-10; the latest is run/ckpt-10.",
    )
    assert error_of("run/ckpt-11.index", CheckpointNotFoundError)[0] == (
        "run/ckpt-11: no such checkpoint"
    )
    assert error_of("run/ckpt_10", CheckpointNotFoundError) == (
        "run/ckpt_10: no such checkpoint",
        "Nearest names:\n  run/ckpt-10\n  run/ckpt-9\n  run/ckpt-2",
    )
    assert error_of("rum/ckpt-9", CheckpointNotFoundError) == (
        "rum/ckpt-9: no directory rum",
        "Nearest names:\n  run",
    )
    assert error_of("ru", CheckpointNotFoundError) == (
        "ru: no such checkpoint",
        "Nearest names:\n  run",
    )
    assert error_of("nowhere/at/all/c", CheckpointNotFoundError) == (
        "nowhere/at/all/c: no directory nowhere",
        None,
    )
    assert error_of("run/model", CheckpointNotFoundError) == (
        "run/model: no such checkpoint",
        "run holds ckpt-2 to ckpt-10; the latest is run/ckpt-10.",
    )
    assert error_of("", CheckpointNotFoundError)[0] == "an empty path, expected a checkpoint"
    assert error_of("a\0b", CheckpointNotFoundError)[0] == r"a\x00b: no such checkpoint"
    assert error_of("x" * 5000, CheckpointNotFoundError)[0].endswith("x: no such checkpoint")


def test_the_screen_of_digits_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    assert error_of("digits_run/ckpt-11", CheckpointNotFoundError) == (
        "digits_run/ckpt-11: no such checkpoint",
        "digits_run holds ckpt-1 to ckpt-10; the latest is digits_run/ckpt-10.",
    )
    assert error_of("digits_run/history.json", NotACheckpointError) == (
        "history.json: JSON text, not a checkpoint",
        "It looks like training history: ckread.history('digits_run/history.json')",
    )


def test_several_families_and_one_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save("model-3")
    assert error_of("x", CheckpointNotFoundError)[1] == (
        "This directory holds one checkpoint: model-3"
    )
    save("best-1")
    assert error_of("x", CheckpointNotFoundError)[1] == "This directory holds model-3, best-1."


def test_directories_without_a_checkpoint(run: Path) -> None:
    Path("none/deeper").mkdir(parents=True)
    assert error_of("none/deeper", CheckpointNotFoundError) == (
        "none/deeper: no checkpoint in this directory",
        "It is empty.",
    )
    assert error_of(".", CheckpointNotFoundError) == (
        ".: no checkpoint in this directory",
        "Directories below hold checkpoints:\n  ./run",
    )
    assert error_of("none", CheckpointNotFoundError)[1] is None


def test_a_directory_that_is_called_like_an_address(run: Path) -> None:
    Path("s3:").symlink_to("run")
    assert open_checkpoint("s3://ckpt-2").path == "s3:/ckpt-2"


def test_there_is_no_such_reader() -> None:
    with pytest.raises(UsageError) as caught:
        open_checkpoint("x", reader="fast")
    assert str(caught.value) == "no reader 'fast', expected one of auto, native, tensorflow"


# What is something else, damaged or torn: FORMATS.md, section 6.


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG image"),
        ("graph.pb", b"\x0a\x0f\x0a\x01a\x12\x05Const", "TensorFlow graph (GraphDef)"),
        ("zeros", bytes(4096), "file of zero bytes"),
        ("empty", b"", "empty file"),
        ("notes.txt", b"hello", "text"),
        ("random", bytes(range(128, 256)) * 40, "binary data of no known kind"),
        ("pointer", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("other.ldb", table_bytes([(b"k", b"v")]), "LevelDB table without TensorFlow's header"),
    ],
)
def test_something_else_is_called_by_its_name(
    name: str, content: bytes, found: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    message, _ = error_of(tmp_path / name, NotACheckpointError)
    assert message == f"{name}: {found}, not a checkpoint"


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("cut.h5", b"\x89HDF\r\n", "binary data of no known kind"),
        ("cut.keras", b"PK\x03\x04\x14", "zip archive"),
        ("cut.npz", b"P", "text"),
    ],
)
def test_what_is_not_what_its_name_says(
    name: str, content: bytes, found: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    message, remedy = error_of(tmp_path / name, NotACheckpointError)
    assert message == f"{name}: {found}, expected a .{name.partition('.')[2]} file by its name"
    assert remedy == "Copy the file again from where it came."


def test_a_pipe_in_place_of_an_index_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.index")
    (tmp_path / "d.index").mkdir()
    assert (
        error_of(tmp_path / "c", NotACheckpointError)[0] == "c.index: named pipe, not a checkpoint"
    )
    assert (
        error_of(tmp_path / "d", NotACheckpointError)[0] == "d.index: directory, not a checkpoint"
    )


def test_an_index_or_graph_under_another_name(run: Path) -> None:
    shutil.copy("run/ckpt-9.index", "run/copy")
    assert error_of("run/copy", NotACheckpointError) == (
        "copy: index of a TensorFlow checkpoint (V2), expected a name that ends in .index",
        "Call it copy.index again, as its writer did, with its data beside it.",
    )
    shutil.copy(FIXTURES / "digits_export" / "saved_model.pb", "run/model.pb")
    assert error_of("run/model.pb", NotACheckpointError)[0] == (
        "model.pb: SavedModel protobuf, expected the name saved_model.pb"
    )


def test_only_a_graph(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "tf115_saver" / "model.ckpt-20.meta", tmp_path / "m-1.meta")
    no_values = "It holds a graph, and no values of variables."
    assert error_of(tmp_path / "m-1.meta", NotACheckpointError) == (
        "m-1.meta: TensorFlow graph (.meta), not a checkpoint",
        no_values,
    )
    assert error_of(tmp_path / "m-1", CheckpointNotFoundError) == (
        "m-1.meta: no m-1.index beside it",
        no_values,
    )


TORN = (
    "If a training run is still writing here, try again in a moment. If not, go\n"
    "back to the checkpoint before it."
)


def test_a_directory_of_data_without_an_index_tells_of_the_torn_save(tmp_path: Path) -> None:
    save(tmp_path / "c-1")
    (tmp_path / "c-1.index").unlink()
    message, remedy = error_of(tmp_path, TruncatedFileError)
    assert message == (
        f"{tmp_path}: no complete checkpoint: c-1.data-00000-of-00001 is here and c-1.index is "
        "not: a save that is under way, or was cut short"
    )
    assert remedy is not None
    assert "checkpoint before it" not in remedy
    assert "without the index" in remedy


@pytest.mark.parametrize("typed", ["c-1", "c-1.index", "c-1.data-00000-of-00001"])
def test_data_without_an_index(typed: str, tmp_path: Path) -> None:
    save(tmp_path / "c-1")
    (tmp_path / "c-1.index").unlink()
    assert error_of(tmp_path / typed, TruncatedFileError) == (
        "c-1.index: absent beside c-1.data-00000-of-00001, being written or torn",
        TORN,
    )


@pytest.mark.parametrize("nbytes", [0, 10, 47])
def test_an_index_that_is_being_written(nbytes: int, run: Path) -> None:
    truncate("run/ckpt-10.index", nbytes)
    for typed in ("run/ckpt-10", "run"):
        message, remedy = error_of(typed, TruncatedFileError)
        assert message.startswith("ckpt-10.index: ")
        assert message.endswith(", being written or torn")
        assert remedy == TORN


def test_a_damaged_index(run: Path) -> None:
    size = os.path.getsize("run/ckpt-9.index")
    flip("run/ckpt-9.index", 20)
    message, remedy = error_of("run/ckpt-9", ChecksumError)
    assert message.startswith("ckpt-9.index: block at byte 0: stored CRC-32C 0x")
    assert remedy is not None
    assert remedy.startswith("The index is damaged: nothing in it can be trusted.")
    truncate("run/ckpt-2.index", -1)
    assert error_of("run/ckpt-2", TruncatedFileError)[0].endswith("being written or torn")
    os.remove("run/ckpt-2.data-00000-of-00001")
    error_of("run/ckpt-2", NotACheckpointError)
    assert size > 48


# Values that are missing leave names readable.


def test_a_missing_shard_is_a_warning(run: Path) -> None:
    os.remove("run/ckpt-9.data-00000-of-00001")
    with open_checkpoint("run/ckpt-9") as checkpoint:
        assert list(checkpoint) == ["value"]
        assert checkpoint.warnings == (
            "ckpt-9.data-00000-of-00001 is missing. Names, shapes and checksums can be read, "
            "values cannot.",
        )
        with pytest.raises(MissingShardError):
            checkpoint["value"].numpy()


def test_missing_shards_among_several(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "sharded" / "by_variable", tmp_path / "s")
    names = sorted(path.name for path in (tmp_path / "s").glob("ckpt-1.data-*"))
    count = len(names)
    readable = "Names, shapes and checksums can be read"
    os.remove(tmp_path / "s" / names[-1])
    assert open_checkpoint(tmp_path / "s").warnings[0] == (
        f"{names[-1]} is missing. {readable}, values in it cannot."
    )
    os.remove(tmp_path / "s" / names[-2])
    assert open_checkpoint(tmp_path / "s").warnings[0] == (
        f"2 of {count} data shards are missing: {names[-2]}, {names[-1]}. "
        f"{readable}, values in them cannot."
    )
    for name in names[:-2]:
        os.remove(tmp_path / "s" / name)
    assert open_checkpoint(tmp_path / "s").warnings[0] == (
        f"{count} of {count} data shards are missing: {', '.join(names[:3])} and {count - 3} more. "
        f"{readable}, values cannot."
    )


def test_a_shard_of_wrong_size_is_a_warning(run: Path) -> None:
    data = Path("run/ckpt-9.data-00000-of-00001")
    data.write_bytes(data.read_bytes() + b"xy")
    assert open_checkpoint("run/ckpt-9").warnings == (
        f"{data.name} is 2 bytes longer than its index says: the two may belong to different "
        "saves.",
    )
    truncate(data, 5)
    assert open_checkpoint("run/ckpt-9").warnings == (
        f"{data.name} ends at byte 5, and its index wants 8: it was cut short, or belongs to "
        "another save. The values of 1 variable cannot be read.",
    )


def test_no_sound_checkpoint_is_said_to_be_of_wrong_size() -> None:
    prefixes = [FIXTURES / path for path in FIXTURES.rglob("*.index")]
    prefixes += [REAL / path for path in real("V2", "SavedModel")]
    for prefix in prefixes:
        with open_checkpoint(prefix) as checkpoint:
            assert (prefix, shard_warnings(checkpoint.reader)) == (prefix, ())


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Give a copy of one object-based checkpoint, as a path without suffix."""
    for file in (FIXTURES / "digits_run").glob("ckpt-10.*"):
        shutil.copy(file, tmp_path)
    return tmp_path / "ckpt-10"


def test_the_object_graph_is_evidence(digits: Path) -> None:
    with open_checkpoint(digits) as checkpoint:
        assert checkpoint.evidence.graph is not None
        assert checkpoint.warnings == ()
        assert len(checkpoint) == 44


def test_a_missing_object_graph_leaves_the_keys(digits: Path) -> None:
    os.remove(f"{digits}.data-00000-of-00001")
    with open_checkpoint(digits) as checkpoint:
        assert checkpoint.evidence.graph is None
        assert len(checkpoint) == 44
        assert checkpoint.warnings[1] == (
            "The object graph is in a missing shard: names and roles are what the checkpoint keys "
            "alone tell."
        )


def test_a_damaged_object_graph_leaves_the_keys(digits: Path) -> None:
    with open_checkpoint(digits) as checkpoint:
        offset = checkpoint["_CHECKPOINTABLE_OBJECT_GRAPH"].offset
    assert offset is not None
    flip(f"{digits}.data-00000-of-00001", offset + 100)
    with open_checkpoint(digits) as checkpoint:
        assert checkpoint.evidence.graph is None
        assert len(checkpoint) == 44
        [warning] = checkpoint.warnings
        assert warning.startswith("The object graph cannot be read (")
        assert warning.endswith("): names and roles are what the checkpoint keys alone tell.")


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ([b"a", b"b"], "it is not one string"),
        ([], "it is not one string"),
        ([b""], "object graph: no node, expected a root"),
        ([b"\xff\xff"], ""),
        ([b"\x0a\x02\x0a\x00"], ""),
    ],
)
def test_an_object_graph_that_is_none(elements: list[bytes], why: str, tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add_strings("_CHECKPOINTABLE_OBJECT_GRAPH", elements, [len(elements)])
    builder.add("a", np.zeros(2, np.float32), DataType.FLOAT32)
    with open_checkpoint(builder.write(tmp_path / "c")) as checkpoint:
        assert "a" in checkpoint
        if why:
            assert checkpoint.evidence.graph is None
            [warning] = checkpoint.warnings
            assert warning.startswith(f"The object graph cannot be read ({why})")


def test_an_object_graph_of_numbers(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "c", {"_CHECKPOINTABLE_OBJECT_GRAPH": np.zeros(2)})
    with open_checkpoint(prefix) as checkpoint:
        assert checkpoint.evidence.graph is None
        assert len(checkpoint.warnings) == 1


def test_what_fails_after_opening_closes_the_reader(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[TensorBundle] = []
    monkeypatch.setattr(TensorBundle, "close", lambda bundle: closed.append(bundle))

    def fail(*_: object) -> None:
        raise CorruptCheckpointError("names")

    monkeypatch.setattr("ckread.model.opening.identify", fail)
    with pytest.raises(CorruptCheckpointError):
        open_checkpoint(run / "ckpt-9")
    assert len(closed) == 1


def test_a_cut_shard_of_partitioned_variables(tmp_path: Path) -> None:
    for file in (FIXTURES / "sharded" / "partitioned").iterdir():
        shutil.copy(file, tmp_path)
    [data, *_] = sorted(tmp_path.glob("model.ckpt.data-*"))
    assert open_checkpoint(tmp_path / "model.ckpt").warnings == ()
    truncate(data, 1)
    [warning] = open_checkpoint(tmp_path / "model.ckpt").warnings
    assert warning.startswith(f"{data.name} ends at byte 1, and its index wants ")


# Both readers, and what opening costs.


@pytest.mark.oracle
def test_the_choice_of_reader() -> None:
    path = FIXTURES / "digits_run" / "ckpt-10"
    with open_checkpoint(path, reader="tensorflow") as ours, open_checkpoint(path) as native:
        assert type(ours.reader).__name__ == "TensorFlowReader"
        assert type(native.reader).__name__ == "TensorBundle"
        assert list(ours) == list(native)
        assert ours.warnings == native.warnings == ()
    with open_checkpoint(FIXTURES / "digits_export", reader="tensorflow") as saved_model:
        assert saved_model.format is Format.SAVED_MODEL


@pytest.mark.oracle
@pytest.mark.parametrize("path", ["tf012_v1", "tf221_v1/whole", "tf221_v1/shards"])
def test_v1_opens_by_itself(path: str) -> None:
    with open_checkpoint(FIXTURES / path) as checkpoint:
        assert checkpoint.format is Format.V1_TABLE
        assert checkpoint["global_step"].numpy().shape == ()


def test_opening_and_listing_import_nothing_heavy() -> None:
    code = (
        "import sys, ckread\n"
        "for path in sys.argv[1:]:\n"
        "    with ckread.open(path) as checkpoint:\n"
        "        for variable in checkpoint.values(): variable.to_dict()\n"
        "heavy = 'numpy ml_dtypes tensorflow matplotlib h5py google.protobuf pandas'.split()\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    paths = [FIXTURES / "digits_run", FIXTURES / "crafted" / "snappy", FIXTURES / "digits_export"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_nothing_is_written_beside_a_checkpoint(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    with ckread.open("run") as checkpoint:
        checkpoint["value"].numpy()
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


def test_a_file_beside_a_prefix_is_a_state_file_by_its_name_alone(tmp_path: Path) -> None:
    for name in ("alpha", "checkpoint", "zeta"):
        write_bundle(tmp_path / name, {"w": np.ones(2)})
        (tmp_path / name).write_text('model_checkpoint_path: "other"\n')
        notes = " ".join(locate(str(tmp_path / f"{name}.index")).notes)
        notes += " ".join(locate(str(tmp_path / name)).notes) if name == "checkpoint" else ""
        assert ("is a state file too" in notes) is (name == "checkpoint")


@pytest.mark.parametrize("target", [[], 3, object(), print, {1, 2}])
def test_what_is_no_program_and_no_path(target: object) -> None:
    with pytest.raises(TypeError, match="expected a Checkpoint, a path or a live program"):
        open_live(target)


@pytest.mark.parametrize(
    ("names", "held"),
    [
        (["ckpt-1", "ckpt-2", "ckpt-30"], "ckpt-1 to ckpt-30"),
        (["a-1", "ckpt-2", "ckpt-3"], "a-1, ckpt-2, ckpt-3"),
        (["a-1", *(f"ckpt-{i}" for i in range(6))], "ckpt-1, ckpt-2, ckpt-3, ckpt-4, ckpt-5 and 2"),
    ],
)
def test_what_a_directory_holds_in_a_sentence(names: list[str], held: str) -> None:
    candidates = [Candidate(f"run/{name}", Format.TENSOR_BUNDLE, 0.0) for name in names]
    assert summary("run", candidates).startswith(f"run holds {held}")
