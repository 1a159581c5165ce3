"""A part of a checkpoint that is something else: every kind at every part, by every command.

A clone without its large files leaves pointers, a download leaves pages and messages, a
person an archive or another file. What it is, and what to do, is said; nothing is a torn
save, a wrong checksum or another save that is none.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

import ckread
from ckread.analysis.findings import Code
from ckread.errors import CheckpointError, ErrorKind
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder, v1_file, write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

W = np.arange(300, dtype=np.float32).reshape(30, 10)
TENSORS = {"a": W[:2], "w": W}


def _zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("model.ckpt", "x")
    return target.getvalue()


def _hdf5() -> bytes:
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file["w"] = W
    return target.getvalue()


def _npy() -> bytes:
    target = io.BytesIO()
    np.save(target, W)
    return target.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345678\n"
KINDS: dict[str, tuple[bytes, str, str]] = {
    "lfs": (LFS, "Git LFS pointer", "git lfs pull"),
    "dvc": (b"outs:\n- md5: 4d7a2146\n  size: 12\n  path: m\n", "DVC pointer", "dvc pull"),
    "annex": (b"/annex/objects/SHA256E-s12--4d7a\n", "git-annex pointer", "git annex get"),
    "page": (b"<!DOCTYPE html><html><body>Virus scan warning</body></html>", "HTML page", "page"),
    "gzip": (gzip.compress(bytes(2000)), "gzip archive", "Unpack"),
    "zip": (_zip(), "zip archive", "Unpack"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(40), "PNG image", "Copy the file again"),
    "npy": (_npy(), "numpy array (.npy)", "Copy the file again"),
    "hdf5": (_hdf5(), "HDF5 file", "Copy the file again"),
    "404": (b"404: Not Found", "text ('404: Not Found')", "Copy the file again"),
}
"""By name: the bytes, what they are called, and words of the remedy."""


def _bundle(folder: Path, part: str, data: bytes) -> tuple[str, Path]:
    prefix = write_bundle(folder / "m-5", TENSORS)
    target = folder / f"m-5{part}"
    target.write_bytes(data)
    return prefix, target


def _index(folder: Path, data: bytes) -> tuple[str, Path]:
    return _bundle(folder, ".index", data)


def _shard(folder: Path, data: bytes) -> tuple[str, Path]:
    return _bundle(folder, ".data-00000-of-00001", data)


def _bytes(prefix: Path, data: bytes) -> str:
    """Write a bundle of one tensor of these bytes."""
    builder = BundleBuilder()
    builder.add("w", np.frombuffer(data, np.uint8), DataType.UINT8)
    return builder.write(prefix)


def _shard_of_its_size(folder: Path, data: bytes) -> tuple[str, Path]:
    """As `_shard`, in the place of one that is as long as it."""
    prefix = _bytes(folder / "m-5", bytes(len(data)))
    target = folder / "m-5.data-00000-of-00001"
    target.write_bytes(data)
    return prefix, target


def _keras_shard(folder: Path, data: bytes) -> tuple[str, Path]:
    for name in ("m_00000.weights.h5", "m_00001.weights.h5"):
        with h5py.File(folder / name, "w") as file:
            file[f"layers/dense{name[4:6]}/vars/0"] = W
    index = {"weight_map": {"/layers/a/vars": ["m_00000.weights.h5", "m_00001.weights.h5"]}}
    (folder / "m.weights.json").write_text(json.dumps(index))
    target = folder / "m_00001.weights.h5"
    target.write_bytes(data)
    return str(folder / "m.weights.json"), target


def _v1_part(folder: Path, data: bytes) -> tuple[str, Path]:
    v1_file(folder / "m.ckpt-00000-of-00002", TENSORS, 1 << 18)
    target = folder / "m.ckpt-00001-of-00002"
    target.write_bytes(data)
    return str(folder / "m.ckpt"), target


UNREADABLE = {"index": _index, "keras": _keras_shard, "v1": _v1_part}
"""Parts without which nothing can be listed."""
VALUES = {"shard": _shard, "shard of its size": _shard_of_its_size}
"""Parts that hold values."""


def _cases(parts: dict[str, Any]) -> list[Any]:
    own = {("keras", "hdf5")}
    return [
        pytest.param(make, *KINDS[kind], id=f"{part}-{kind}")
        for part, make in parts.items()
        for kind in KINDS
        if (part, kind) not in own
    ]


def _assert_named(error: CheckpointError, target: Path, phrase: str, remedy: str) -> None:
    assert error.kind is ErrorKind.SOMETHING_ELSE
    assert error.path == str(target)
    assert error.message.startswith(f"{target.name}: {phrase}, expected ")
    assert remedy in (error.remedy or "")
    assert "torn" not in error.message


def _error(call: Callable[[], object]) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(("make", "data", "phrase", "remedy"), _cases(UNREADABLE))
def test_what_cannot_be_listed(
    tmp_path: Path, make: Any, data: bytes, phrase: str, remedy: str, call: Any
) -> None:
    path, target = make(tmp_path, data)
    _assert_named(_error(lambda: ckread.open(path)), target, phrase, remedy)
    report = ckread.check(path)
    assert [(found.code, found.variable) for found in report.errors] == [
        (Code.SOMETHING_ELSE, None)
    ]
    assert phrase in report.errors[0].message
    assert remedy in (report.errors[0].remedy or "")
    for command in ("info", "ls", "stats"):
        code, out, err = call(command, path)
        assert (code, out) == (2, "")
        assert phrase in err
    assert call("check", path)[0] == 1


@pytest.mark.parametrize(("make", "data", "phrase", "remedy"), _cases(VALUES))
def test_values_that_are_none(
    tmp_path: Path, make: Any, data: bytes, phrase: str, remedy: str, call: Any
) -> None:
    path, target = make(tmp_path, data)
    if make is _shard:
        other = write_bundle(tmp_path / "m-4", {key: value + 1 for key, value in TENSORS.items()})
    else:
        other = _bytes(tmp_path / "m-4", b"\1" * len(data))
    with ckread.open(path) as checkpoint:
        _assert_named(_error(lambda: checkpoint["w"].numpy()), target, phrase, remedy)
        _assert_named(_error(lambda: list(checkpoint["w"].chunks())), target, phrase, remedy)
        for report in (ckread.check(checkpoint), ckread.check(path)):
            assert [found.code for found in report.errors] == [Code.SOMETHING_ELSE]
            assert phrase in report.errors[0].message
    for words in (["stats", path], ["show", path, "w"], ["diff", path, other]):
        code, _, err = call(*words)
        assert (code, phrase in err) == (2, True), (words, code, err)
    code, out, _ = call("check", path)
    assert code == 1
    assert f"{target.name}: {phrase}, expected a data shard." in out
    assert "intact" not in out
    assert "exact length" not in out


def test_a_directory_whose_latest_index_is_a_pointer(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m-4", TENSORS)
    _, target = _index(tmp_path, LFS)
    _assert_named(_error(lambda: ckread.open(tmp_path)), target, "Git LFS pointer", "git lfs")


def test_a_tensor_may_look_like_anything(tmp_path: Path) -> None:
    """Where size and checksums fit, a shard is one, whatever its bytes are."""
    for name, (data, _, _) in KINDS.items():
        prefix = _bytes(tmp_path / name, data)
        assert ckread.check(prefix).sound
        with ckread.open(prefix) as checkpoint:
            assert checkpoint["w"].numpy().tobytes() == data
            assert checkpoint.warnings == ()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"404"}))
def test_graphs_beside_values(tmp_path: Path, kind: str) -> None:
    data, phrase, remedy = KINDS[kind]
    prefix = write_bundle(tmp_path / "m-5", TENSORS)
    (tmp_path / "m-5.meta").write_bytes(data)
    saved = tmp_path / "saved"
    shutil.copytree(FIXTURES / "digits_export", saved)
    (saved / "saved_model.pb").write_bytes(data)
    for path, name in ((prefix, "m-5.meta"), (str(saved), "saved_model.pb")):
        with ckread.open(path) as checkpoint:
            assert any(f"{name}: {phrase}, expected" in told for told in checkpoint.warnings)
        [error] = ckread.check(path).errors
        assert error.code is Code.SOMETHING_ELSE
        assert error.message.startswith(f"{name}: {phrase}, expected a ")
        assert remedy in (error.remedy or "")


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"404", "hdf5", "npy"}))
def test_a_state_file_that_is_none(tmp_path: Path, kind: str) -> None:
    data, phrase, remedy = KINDS[kind]
    prefix = write_bundle(tmp_path / "m-5", TENSORS)
    (tmp_path / "checkpoint").write_bytes(data)
    with ckread.open(tmp_path) as checkpoint:
        assert checkpoint.path == prefix
        [note] = checkpoint.notes
        assert f"checkpoint: {phrase}, expected a state file" in note
        assert remedy in note
    for file in tmp_path.glob("m-5*"):
        file.unlink()
    target = tmp_path / "checkpoint"
    _assert_named(_error(lambda: ckread.open(tmp_path)), target, phrase, remedy)


def test_a_file_called_checkpoint_is_opened_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(_hdf5())
    for path in (tmp_path, tmp_path / "checkpoint"):
        with ckread.open(path) as checkpoint:
            assert list(checkpoint) == ["w"]
        assert [found.code for found in ckread.check(path).findings] == [Code.NO_CHECKSUM]


@pytest.mark.parametrize("part", ["m-5.index", "m-5.meta", "m-5.data-00000-of-00001", "checkpoint"])
def test_an_empty_part_is_called_so(tmp_path: Path, part: str) -> None:
    """An index that is empty beside its data is being written; the others are empty files."""
    prefix = write_bundle(tmp_path / "m-5", TENSORS)
    (tmp_path / part).write_bytes(b"")
    report = ckread.check(prefix)
    told = [found.message for found in report.findings]
    if part == "checkpoint":
        assert report.sound
    elif part == "m-5.index":
        assert "being written or torn" in told[0]
    else:
        assert told[0].startswith(f"{part}: empty file, expected a")


# HDF5 files of other programs.


def test_hdf5_that_is_not_of_keras(tmp_path: Path, call: Any) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(_hdf5())
    code, out, _ = call("info", str(path))
    assert code == 0
    assert "HDF5 file, not of Keras" in out
    assert json.loads(call("info", str(path), "--json")[1])["format"] == "hdf5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = W
    assert "Keras weights" in call("info", str(path))[1]


# Directories of other programs.


def _layouts(root: Path) -> dict[str, str]:
    def put(name: str, data: bytes = b"x") -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    put("orbax/0/_CHECKPOINT_METADATA", b"{}")
    put("orbax/0/default/manifest.ocdbt")
    put("orbax_step/_CHECKPOINT_METADATA", b"{}")
    put("orbax_item/ocdbt.process_0/d/0")
    put("tfjs/model.json", b'{"modelTopology": {}, "weightsManifest": []}')
    put("tfjs/group1-shard1of1.bin")
    put("hugging/config.json", b"{}")
    put("hugging/model-00001-of-00002.safetensors")
    put("hub/snapshots/abc/x")
    put("hub/refs/main")
    put("hub/blobs/x")
    put("board/train/events.out.tfevents.1.host")
    put("board/validation/events.out.tfevents.2.host")
    put("module/tfhub_module.pb")
    put("dvc/model.h5.dvc", b"outs:\n- md5: abc\n")
    return {
        "orbax": "Orbax checkpoint", "orbax_step": "Orbax checkpoint",
        "orbax_item": "Orbax checkpoint", "tfjs": "TensorFlow.js model",
        "hugging": "Hugging Face model", "hub": "cache of the Hugging Face hub",
        "board": "TensorBoard log directory", "module": "TensorFlow Hub module",
        "dvc": "kept by DVC",
    }  # fmt: skip


def test_directories_of_other_programs_are_named(tmp_path: Path, call: Any) -> None:
    for name, phrase in _layouts(tmp_path).items():
        for command in ("info", "check", "runs", "stats"):
            code, out, err = call(command, str(tmp_path / name))
            assert (code, out) == (2, ""), (command, name)
            assert phrase in err, (command, name)


def test_a_checkpoint_among_them_is_opened(tmp_path: Path) -> None:
    for name in _layouts(tmp_path):
        prefix = write_bundle(tmp_path / name / "m-5", TENSORS)
        with ckread.open(tmp_path / name) as checkpoint:
            assert checkpoint.path == prefix


# What a save leaves that was cut short.


@pytest.mark.parametrize("folder", ["m-6_temp", "m-6_temp_0123456789abcdef0123456789abcdef"])
def test_the_parts_of_a_save(tmp_path: Path, folder: str) -> None:
    inside = tmp_path / folder
    inside.mkdir()
    write_bundle(inside / "part-00000-of-00002", TENSORS)
    lost = write_bundle(inside / "part-00001-of-00002", TENSORS)
    os.remove(f"{lost}.data-00000-of-00001")
    told = f"{folder}/ is a folder of 3 files"
    whole = "part 0 of 2 of m-6 in it is whole"
    error = _error(lambda: ckread.open(tmp_path))
    assert told in (error.remedy or "")
    assert whole in (error.remedy or "")
    with ckread.open(inside) as checkpoint:
        [note] = checkpoint.notes
        assert told in note
        assert whole in note
    prefix = write_bundle(tmp_path / "m-5", TENSORS)
    [found] = ckread.check(prefix).findings[-1:]
    assert found.code is Code.LEFTOVERS
    assert found.message.startswith(told)
    assert whole in found.message


def test_a_temporary_file_is_called_a_file(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-5", TENSORS)
    name = "m-6.data-00000-of-00001.tempstate123"
    (tmp_path / name).write_bytes(b"x" * 10)
    messages = [found.message for found in ckread.check(prefix).findings]
    assert f"{name} is a file of 10 bytes" in messages


def test_a_folder_that_is_no_left_over(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "m-5", TENSORS)
    (tmp_path / "my_temp").mkdir()
    (tmp_path / "my_temp" / "notes.txt").write_text("x")
    assert ckread.check(prefix).findings == ()
