"""Files read by place: reads that stop short, disks that fail, files that vanish."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    TruncatedFileError,
    UsageError,
)
from ckread.readers import files
from ckread.readers.files import RegularFile, file_identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = bytes(range(200))


@pytest.fixture
def file(tmp_path: Path) -> RegularFile:
    (tmp_path / "f").write_bytes(DATA)
    return RegularFile(str(tmp_path / "f"))


def _reads(file: RegularFile) -> list[Callable[[], Any]]:
    return [lambda: file.pread(10, 150), lambda: file.pread_into(memoryview(bytearray(150)), 10)]


def test_reads_that_stop_short_are_continued(
    file: RegularFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread, preadv = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda fd, n, at: pread(fd, min(n, 40), at))
    monkeypatch.setattr(os, "preadv", lambda fd, bufs, at: preadv(fd, [bufs[0][:40]], at))
    buffer = bytearray(150)
    file.pread_into(memoryview(buffer), 10)
    assert bytes(buffer) == file.pread(10, 150) == DATA[10:160]


def test_the_end_of_the_file(file: RegularFile) -> None:
    assert file.pread(190, 10) == DATA[190:]
    assert file.pread(200, 0) == b""
    with pytest.raises(TruncatedFileError) as caught:
        file.pread(190, 11)
    assert str(caught.value) == "f: bytes 190 to 201 are wanted, the file ends at byte 200"


def test_a_file_that_became_shorter(file: RegularFile) -> None:
    os.truncate(file.path, 50)
    for read in _reads(file):
        with pytest.raises(TruncatedFileError) as caught:
            read()
        assert str(caught.value) == "f: bytes 10 to 160 are wanted, the file ends at byte 50"


def test_a_disk_that_fails(file: RegularFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("ckread.readers.files._pread", fail)
    monkeypatch.setattr(os, "preadv", fail)
    for read in _reads(file):
        with pytest.raises(CheckpointError) as caught:
            read()
        assert str(caught.value) == f"{file.path}: input/output error"


def test_what_is_closed_is_not_read_under_another_number(file: RegularFile, tmp_path: Path) -> None:
    file.close()
    (tmp_path / "other").write_bytes(DATA)
    with RegularFile(str(tmp_path / "other")):
        for read in _reads(file):
            with pytest.raises(UsageError, match="f: closed while it was read"):
                read()


def test_whether_it_changed(file: RegularFile, tmp_path: Path) -> None:
    assert not file.has_changed()
    os.utime(file.path, ns=(1, 1))
    assert file.has_changed()
    with RegularFile(file.path) as again:
        (tmp_path / "new").write_bytes(DATA)
        os.utime(tmp_path / "new", ns=(1, 1))
        os.replace(tmp_path / "new", file.path)
        assert again.has_changed()
        assert again.pread(0, 3) == DATA[:3]
        os.remove(file.path)
        assert again.has_changed()
    assert file_identity(file.path) is None


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError):
        RegularFile(str(tmp_path / "none"))


def test_what_was_written_just_now_is_given_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    looked: list[str] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(files, "look_again", looked.append)
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / "x.index"
    path.write_bytes(b"1")
    now = 1_800_000_000.0
    monkeypatch.setattr(time, "time_ns", lambda: int(now * 1e9))
    cases = ((9, 9, False), (1.5, 9, True), (9, 1.5, True), (2.5, 2.5, False))
    for of_file, of_folder, is_young in cases:
        os.utime(path, (now - of_file,) * 2)
        os.utime(folder, (now - of_folder,) * 2)
        slept.clear()
        looked.clear()
        assert files.let_settle([str(path)]) is is_young
        assert slept == ([files.SETTLING_SECONDS] if is_young else [])
        assert sorted(looked) == sorted([str(path), str(folder)] * (2 if is_young else 1))
    assert not files.let_settle([str(tmp_path / "none" / "x")])


@pytest.mark.parametrize("has_preadv", [True, False])
def test_reads_in_the_middle_stop_where_they_should(
    file: RegularFile, has_preadv: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three bytes at a time: no byte more is read than is wanted."""
    asked: list[tuple[int, int]] = []

    def few(descriptor: int, nbytes: int, offset: int) -> bytes:
        asked.append((offset, nbytes))
        return os.pread(descriptor, min(nbytes, 3), offset)

    monkeypatch.setattr(files, "_pread", few)
    if not has_preadv:
        monkeypatch.delattr(os, "preadv")
        buffer = bytearray(8)
        file.pread_into(memoryview(buffer), 20)
        assert buffer == DATA[20:28]
    else:
        assert file.pread(20, 8) == DATA[20:28]
    assert asked == [(20, 8), (23, 5), (26, 2)]
