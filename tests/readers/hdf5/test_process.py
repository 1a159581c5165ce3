"""HDF5's library in a process of its own: what ends that process is an error of the file."""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest

import ckread
from ckread.errors import CheckpointError, CorruptCheckpointError, ErrorKind
from ckread.readers.files import FileWindow
from ckread.readers.hdf5 import process
from ckread.readers.hdf5.file import Dataset, HDF5File

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def chunked(tmp_path: Path) -> str:
    """Give a file that no plain parser reads."""
    path = str(tmp_path / "w.h5")
    with h5py.File(path, "w") as file:
        for name in ("a", "b"):
            file.create_dataset(name, data=np.eye(200), chunks=(50, 200))
        file["words"] = ["x", "", "ü"]
    return path


def _child() -> process._Child:
    return process._the_child()


def _pid() -> int:
    return _child()._process.pid


class _Deadly(FileWindow):
    """A window that sends the child a signal when it wants to read."""

    signal = 0

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give bytes of the window."""
        if self.signal:
            os.kill(_pid(), self.signal)
        return super().pread(offset, nbytes)


def test_a_file_is_read_there_and_not_here(chunked: str) -> None:
    code = (
        "import sys, ckread; found = ckread.open(sys.argv[1])['a'].numpy().sum();"
        "assert 'h5py' not in sys.modules; print(found)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, chunked], capture_output=True, check=False
    )
    assert (done.stderr, done.returncode) == (b"", 0)
    assert done.stdout.strip() == b"200.0"


@pytest.mark.parametrize(
    ("number", "kind", "found"),
    [
        (signal.SIGSEGV, ErrorKind.CORRUPT, "HDF5's library crashes"),
        (signal.SIGXCPU, ErrorKind.CORRUPT, "HDF5's library comes to no end"),
        (signal.SIGKILL, ErrorKind.FAILED, "what reads it was killed"),
    ],
)
def test_a_crash_is_an_error_of_its_file_alone(
    chunked: str, number: int, kind: ErrorKind, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_MAX_CRASHES", 2)
    other = ckread.open(chunked)
    window = _Deadly(chunked)
    file = HDF5File(window, "w.h5")
    dataset = file.datasets()[0]
    assert isinstance(dataset, Dataset)
    window.signal = number
    for _ in range(3):
        with pytest.raises(CheckpointError) as caught:
            file.values(dataset, ())
        assert (str(caught.value), caught.value.kind) == (f"w.h5: {found}", kind)
        assert caught.value.path == chunked
    assert other["a"].numpy().sum() == 200  # the next child opens it again
    window.signal = 0
    before = _pid()
    with pytest.raises(CheckpointError, match=found):
        file.values(dataset, ())
    assert _pid() == before  # a file that crashed so often is not tried again
    other.close()
    file.close()


def test_a_file_that_crashed_once_may_be_asked_for_the_rest(chunked: str) -> None:
    window = _Deadly(chunked)
    proxy = process.LibraryProxy(window, "w.h5")
    window.signal = signal.SIGSEGV
    with pytest.raises(CorruptCheckpointError):
        proxy.ask("datasets")
    window.signal = 0
    assert [one.path for one in proxy.ask("datasets")] == ["a", "b", "words"]


def test_a_loop_of_the_library_is_ended(chunked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_CPU_SECONDS", 0)  # it takes some second to import h5py
    _child()._end()
    proxy = process.LibraryProxy(FileWindow(chunked), "w.h5")

    def ask() -> None:
        for _ in range(100_000):
            proxy.ask("datasets")

    with pytest.raises(CorruptCheckpointError) as caught:
        ask()
    assert str(caught.value) == "w.h5: HDF5's library comes to no end"


def test_the_error_of_a_read_is_told(chunked: str) -> None:
    with ckread.open(chunked) as checkpoint:
        os.truncate(chunked, 5000)
        with pytest.raises(CheckpointError, match=r"w\.h5: .* the file ends at byte"):
            checkpoint["a"].numpy()


def test_a_child_that_ended_for_want_of_questions_is_replaced(chunked: str) -> None:
    with ckread.open(chunked) as checkpoint:
        child = _child()
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), child._to.fileno())
        assert child._process.wait(10) == 0
        assert checkpoint["words"].numpy().tolist() == [b"x", b"", "ü".encode()]
        assert _child() is not child


def _said(told: object, raw: bytes = b"", n_raw: int | None = None) -> bytes:
    data = json.dumps(told).encode()
    return struct.pack("<QQ", len(data), len(raw) if n_raw is None else n_raw) + data + raw


@pytest.mark.parametrize(
    "said",
    [
        pickle.dumps(("found", os.getcwd)) + bytes(16),
        _said(["found", "code", "1"]),
        _said(["found", "error", ["TextLines", {"kind": "corrupt", "place": []}]]),
        _said(["found", "error", ["CheckpointError", {"kind": "no such", "place": []}]]),
        _said(["found", "error", ["CheckpointError", {"self": 1, "kind": "corrupt", "place": []}]]),
        _said(["found", "array", ["object", [1]]], bytes(8)),
        _said(["found", "array", ["float32", [2]]], bytes(4)),
        _said(["found", "datasets", [["a", "float32"]]]),
        _said(["found", "texts", ["x"]]),
        _said(["read", "plain", ["a", 1]]),
        _said(["read", "plain", 7]),
        _said(["raised", "plain", 7]),
        _said({"found": 1}),
        _said(["found", "plain", 1], n_raw=1 << 62),
    ],
)  # fmt: skip
def test_what_a_child_says_that_was_taken_over_is_data(
    said: bytes, chunked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is run, and what is no answer ends the child and is an error of the file."""
    child = _child()
    child._from.close()
    monkeypatch.setattr(child, "_from", io.BytesIO(said))
    with (
        FileWindow(chunked) as window,
        pytest.raises(CorruptCheckpointError, match="HDF5's library crashes"),
    ):
        process.LibraryProxy(window, "w.h5").ask("ready")
    assert child.has_ended


def test_a_question_that_is_broken_off_ends_the_child(chunked: str) -> None:
    class Broken(FileWindow):
        def pread(self, offset: int, nbytes: int) -> bytes:
            raise KeyboardInterrupt

    child = _child()
    with pytest.raises(KeyboardInterrupt):
        process.LibraryProxy(Broken(chunked), "w.h5").ask("datasets")
    assert child.has_ended
    with ckread.open(chunked) as checkpoint:
        assert len(checkpoint) == 3


def test_threads_ask_one_after_the_other(chunked: str) -> None:
    failed: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(20):
                with ckread.open(chunked) as checkpoint:
                    assert checkpoint["b"].numpy().sum() == 200
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_where_python_cannot_be_started_the_library_runs_here(
    chunked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _child()._end()
    for name in ("/opt/blender", "/nowhere/python3", "/bin/false-python", ""):
        monkeypatch.setattr(sys, "executable", name)
        with ckread.open(chunked) as checkpoint:
            assert checkpoint["a"].numpy().sum() == 200
            assert checkpoint["words"].numpy()[0] == b"x"
        assert ckread.check(chunked).sound
