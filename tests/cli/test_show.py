"""`show`: values, slices, checksums, files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import ckread as package
from ckread.cli.files import check_free, new_file
from ckread.errors import UsageError
from tests.builders import entry_bytes, header_bytes, table_bytes, write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal

TEN = str(FIXTURES / "digits_run" / "ckpt-10")
KERNEL = "conv1/kernel"
SLICE_NOTE = "note: a slice is not verified by checksum; --verify reads it all\n"


def values(name: str, path: str = TEN) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    with package.open(path) as checkpoint:
        return np.asarray(checkpoint[name])


@pytest.fixture
def damaged(tmp_path: Path) -> str:
    """Give a checkpoint with one flipped byte in the values of conv1/kernel."""
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(f"{TEN}{suffix}", tmp_path / f"model{suffix}")
    with package.open(TEN) as checkpoint:
        offset = checkpoint[KERNEL].offset or 0
    with open(tmp_path / "model.data-00000-of-00001", "r+b") as file:
        file.seek(offset)
        file.write(b"\xff")
    return str(tmp_path / "model")


def test_json_says_whether_the_checksum_held(ckread: Terminal) -> None:
    whole = json.loads(ckread("show", TEN, KERNEL, "--json").out)
    assert whole["verified"] is True
    assert whole["slice"] is None
    assert np.array_equal(np.float32(whole["values"]), values(KERNEL))
    part = ckread("show", TEN, f"{KERNEL}[0, 0]", "--json")
    assert part.err == SLICE_NOTE
    assert json.loads(part.out)["verified"] is False
    assert json.loads(part.out)["slice"] == "[0, 0]"
    part = ckread("show", TEN, f"{KERNEL}[0, 0]", "--json", "--verify")
    assert part.err == ""
    assert json.loads(part.out)["verified"] is True
    keras = ckread("show", str(FIXTURES / "digits_files/digits.keras"), KERNEL, "--json")
    assert json.loads(keras.out)["verified"] is True


def test_damaged_values_are_not_shown(ckread: Terminal, damaged: str, tmp_path: Path) -> None:
    result = ckread("show", damaged, KERNEL)
    assert (result.code, result.out) == (2, "")
    assert "stored CRC-32C" in result.err
    assert ckread("show", damaged, f"{KERNEL}[1]", "--verify").code == 2
    assert ckread("show", damaged, f"{KERNEL}[1]").err == SLICE_NOTE
    before = sorted(os.listdir(tmp_path))
    for suffix in ("npy", "npz", "csv"):
        assert ckread("show", damaged, KERNEL, "-o", str(tmp_path / f"k.{suffix}")).code == 2
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("name", [KERNEL, f"{KERNEL}[0]", "optimizer/learning_rate"])
def test_files_read_back(ckread: Terminal, tmp_path: Path, name: str) -> None:
    path = tmp_path / "w.npy"
    result = ckread("show", TEN, name, "-o", str(path))
    assert (result.code, result.out) == (0, "")
    assert f"wrote {path}: float32 " in result.err
    whole = values(name.split("[")[0])
    assert np.array_equal(np.load(path), whole[0] if "[" in name else whole)
    assert os.listdir(tmp_path) == ["w.npy"]


def test_another_s_file_stays_unless_forced(ckread: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "k.csv"
    path.write_text("mine")
    result = ckread("show", TEN, KERNEL, "-o", str(path))
    assert result.err == (
        f"error: {path}: exists already.\nChoose another name, or add --force to replace it.\n"
    )
    assert path.read_text() == "mine"
    assert ckread("show", TEN, KERNEL, "-o", str(path), "--force").code == 0
    assert path.read_text() != "mine"


def test_json_of_a_file(ckread: Terminal, tmp_path: Path) -> None:
    path = str(tmp_path / "k.npz")
    document = json.loads(ckread("show", TEN, KERNEL, "-o", path, "--json", "-q").out)
    assert (document["file"], document["values"], document["verified"]) == (path, None, True)


def test_bfloat16_is_widened_and_says_so(ckread: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "b.npy"
    prefix = str(FIXTURES / "dtypes" / "every")
    with package.open(prefix) as checkpoint:
        name = next(v.name for v in checkpoint.values() if v.dtype == "bfloat16" and v.elements > 1)
    result = ckread("show", prefix, name, "-o", str(path))
    assert "(stored as float32)" in result.err
    expected = values(name, prefix).astype(np.float32)
    assert np.array_equal(np.load(path), expected, equal_nan=True)


@pytest.mark.parametrize("form", ["screen", "pipe", "json", "full"])
def test_every_variable_of_every_dtype_shows(ckread: Terminal, form: str) -> None:
    prefix = str(FIXTURES / "dtypes" / "every")
    with package.open(prefix) as checkpoint:
        names = list(checkpoint)
    for name in names:
        options = {"json": ["--json"], "full": ["--full"]}.get(form, [])
        width = 80 if form in ("screen", "full") else None
        result = ckread("show", prefix, name, *options, "-q", width=width)
        assert (result.code, result.err) == (0, ""), name
        assert result.out


def test_a_large_tensor_is_shown_by_its_corners(
    ckread: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.arange(60_000, dtype=np.float32).reshape(200, 300)
    prefix = write_bundle(tmp_path / "large", {"w": array})
    whole = ckread("show", prefix, "w", width=80)
    monkeypatch.setattr("ckread.cli.show.LARGE_NBYTES", 1000)
    corners = ckread("show", prefix, "w", width=80)
    assert corners.out == whole.out
    assert corners.err == (
        "note: only what is shown was read, without checksum; --verify reads it all\n"
    )
    assert ckread("show", prefix, "w", "--verify", width=80) == whole
    assert ckread("show", prefix, "w[:, 5:]", "-q", width=80).code == 0


def write_half(path: Path) -> None:
    with new_file(str(path)) as file:
        file.write(b"half")
        raise ZeroDivisionError


def write_late(path: Path) -> None:
    with new_file(str(path)) as file:
        file.write(b"late")
        path.write_text("another was first")


def test_a_new_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(ZeroDivisionError):
        write_half(path)
    assert os.listdir(tmp_path) == []
    with pytest.raises(UsageError, match="exists already"):
        write_late(path)
    assert (tmp_path / "file").read_text() == "another was first"
    assert os.listdir(tmp_path) == ["file"]


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with new_file(str(link), force=True) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    with pytest.raises(UsageError, match="/dev/null: not a regular file"):
        check_free("/dev/null", force=True)
    with pytest.raises(UsageError, match="no such directory to write to"):
        check_free(str(tmp_path / "no" / "file"), force=True)


SHAPES = {
    "line": (2000,), "matrix": (300, 7), "wide": (2, 1500), "cube": (5, 30, 20), "one": (1, 1, 1),
    "deep": (2, 3, 1, 4, 50),
}  # fmt: skip
PARTS = {
    "line": ["", "[3:1999:7]", "[5]"],
    "matrix": ["", "[1:, ::2]", "[::3, 2]", "[5, 6]", "[7]"],
    "wide": ["", "[:, 3:]"],
    "cube": ["", "[2]", "[1:4, ::2, 3:9]", "[:, 3, :]", "[..., 0]"],
    "one": ["", "[0, 0, 0]"],
    "deep": ["", "[1, :, 0, 1:3]"],
}


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_streamed_reads_as_what_is_whole(
    tmp_path: Path, name: str, ckread: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks end anywhere in a row, and slices are read some rows at a time."""
    made = np.random.default_rng(0).standard_normal(SHAPES[name]).astype("f4")
    made.flat[0] = np.nan
    prefix = write_bundle(tmp_path / "m", {"v": made})
    calls = [
        ["show", prefix, f"v{index}", *form] for index in PARTS[name] for form in ([], ["--json"])
    ]
    tables = [["show", prefix, f"v{index}", "-o", "FILE"] for index in PARTS[name]]

    def all_of_them() -> list[str]:
        outs = [ckread(*words).out for words in calls]
        for words in tables:
            path = tmp_path / "out.csv"
            assert ckread(*words[:-1], str(path), "--force").code == 0
            outs.append(path.read_text())
        return outs

    whole = all_of_them()
    monkeypatch.setattr("ckread.cli.show.LARGE_NBYTES", 0)
    monkeypatch.setattr("ckread.cli.export._AT_ONCE_NBYTES", 100)
    chunks = package.Variable.chunks
    monkeypatch.setattr(package.Variable, "chunks", lambda self: chunks(self, 4 * 37))
    assert all_of_them() == whole
    for words, out in zip(calls, whole, strict=False):
        if "--json" in words:
            index = eval(f"np.s_{words[2][1:]}", {"np": np}) if words[2] != "v" else ...
            read = json.loads(out, parse_constant=pytest.fail)["values"]
            assert np.array_equal(np.array(read, "f4"), made[index], equal_nan=True)


def test_of_a_large_tensor_that_is_damaged_no_value_is_written(
    damaged: str, ckread: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckread.cli.show.LARGE_NBYTES", 0)
    result = ckread("show", damaged, KERNEL)
    assert (result.code, result.out) == (2, "")
    assert json.loads(ckread("show", damaged, KERNEL, "--json").out)["schema"] == "ckread.error/1"


@pytest.mark.slow
def test_a_tensor_that_memory_does_not_hold_is_piped(tmp_path: Path) -> None:
    n = 1 << 28
    with (tmp_path / "m.data-00000-of-00001").open("wb") as file:
        file.truncate(4 * n)
    entry = entry_bytes(1, (n // 64, 64), size=4 * n)
    (tmp_path / "m.index").write_bytes(table_bytes([(b"", header_bytes()), (b"v", entry)]))
    for form in ([], ["--json"]):
        words = [sys.executable, "-m", "ckread", "show", str(tmp_path / "m"), "v[1:]", *form]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as show:
            assert show.stdout is not None
            assert len(show.stdout.read(1 << 22)) == 1 << 22
            peak = int(Path(f"/proc/{show.pid}/status").read_text().split("VmHWM:")[1].split()[0])
            show.kill()
        assert peak < 200 << 10
