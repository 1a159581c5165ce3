"""HDF5's library in a process of its own: what ends that process is an error of the file."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

import ckread
from ckread.errors import CheckpointError, CorruptCheckpointError, ErrorKind
from ckread.readers.files import FileWindow
from ckread.readers.hdf5 import process
from ckread.readers.hdf5.file import Dataset, HDF5File

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a process of its own for the library, also where tests of faults do without."""
    monkeypatch.setattr(process, "_PYTHONS", ("python", "pypy"))


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
        (signal.SIGXCPU, ErrorKind.CORRUPT, "HDF5's library: more than 5 seconds of CPU"),
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
    assert str(caught.value) == "w.h5: HDF5's library: more than 0 seconds of CPU"


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


# What the child does, in this process.


class _Asked:
    """The pipes of a child, and what is at their other ends."""

    def __init__(self) -> None:
        (ask, questions), (answer, answers) = (os.pipe() for _ in range(2))
        self.questions, self.answers = os.fdopen(questions, "wb"), os.fdopen(answer, "rb")
        self.theirs = os.fdopen(ask, "rb"), os.fdopen(answers, "wb")
        self.thread = threading.Thread(target=process.answer_all, args=self.theirs, daemon=True)
        self.thread.start()

    def ask(self, data: bytes, file: tuple[int, str, str], *question: Any, forget: Any = ()) -> Any:
        """Ask something of a file of these bytes; give the answer, and what it read for it."""
        number, path, name = file
        asked = (number, path, name, len(data)), list(forget), 7, question[0], question[1:]
        read: list[tuple[int, int]] = []
        self.say(asked)
        while True:
            kind, answer = process._hear(self.answers)
            if kind != "read":
                return kind, answer, read
            read.append(answer)
            self.say(data[answer[0] : sum(answer)] if data else None)

    def say(self, value: object) -> None:
        pickle.dump(value, self.questions)
        self.questions.flush()

    def end(self) -> None:
        """Close the pipe; the child ends."""
        self.questions.close()
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.answers.close()
        for one in self.theirs:
            one.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Asked]:
    allowed: list[int] = []
    monkeypatch.setattr(process, "_allow_seconds", allowed.append)
    one = _Asked()
    assert process._hear(one.answers) == ("ready", True)
    yield one
    one.end()
    assert set(allowed) == {7}


def test_what_the_child_answers(asked: _Asked, chunked: str) -> None:
    data = Path(chunked).read_bytes()
    file = 3, "/no/such/w.h5", "w.h5"  # it opens nothing itself
    kind, found, read = asked.ask(data, file, "datasets")
    assert (kind, [one.path for one in found]) == ("found", ["a", "b", "words"])
    assert read[0] == (0, min(1 << 16, len(data)))  # blocks, not bytes
    assert len(read) == len(set(read))
    kind, values, _ = asked.ask(data, file, "values", found[0], (slice(0, 2),))
    assert (kind, values.tolist()) == ("found", np.eye(200)[:2].tolist())
    assert asked.ask(data, file, "chunk_shape", "b") == ("found", [50, 200], [])
    kind, error, _ = asked.ask(data, file, "values", found[0]._replace(path="no"), ())
    assert (kind, str(error), error.path) == (
        "raised",
        """w.h5: 'no': HDF5 cannot read it, "Unable to synchronously open object """
        """(object 'no' doesn't exist)\"""",
        "/no/such/w.h5",
    )


def test_the_child_keeps_files_until_they_are_forgotten(asked: _Asked, chunked: str) -> None:
    data = Path(chunked).read_bytes()
    first, second = (1, chunked, "w.h5"), (2, chunked, "w.h5")
    assert asked.ask(data, first, "ready")[2]
    assert asked.ask(data, second, "ready", forget=[9])[2]  # a number that it never had
    for file in (first, second):
        assert asked.ask(data, file, "ready") == ("found", None, [])
    assert asked.ask(data, second, "ready", forget=[1]) == ("found", None, [])
    assert asked.ask(data, first, "ready", forget=[2])[2]
    assert asked.ask(data, second, "ready")[2]


def test_what_cannot_be_read_for_the_child(asked: _Asked) -> None:
    kind, error, read = asked.ask(b"", (1, "/far/w.h5", "w.h5"), "ready")
    assert (kind, str(error), read) == ("raised", "w.h5: no HDF5 signature", [])
    asked.say(((2, "/far/w.h5", "w.h5", 100), [], 7, "ready", ()))
    assert process._hear(asked.answers) == ("read", (0, 100))
    asked.say(None)
    kind, error = process._hear(asked.answers)
    assert (kind, str(error)) == ("raised", "/far/w.h5: cannot be read")


def test_a_child_that_is_asked_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_IDLE_SECONDS", 0.01)
    one = _Asked()
    one.thread.join(10)
    assert not one.thread.is_alive()
    one.end()


def test_seconds_of_a_question_count_from_what_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (which, 99))
    monkeypatch.setattr(resource, "setrlimit", lambda *given: limits.append(given))
    monkeypatch.setattr(time, "process_time", lambda: 12.7)
    process._allow_seconds(7)
    assert limits == [(resource.RLIMIT_CPU, (19, 99))]


@pytest.mark.parametrize(
    ("nbytes", "expected"), [(0, 5), ((1 << 20) - 1, 5), (1 << 20, 9), (5 << 20, 25)]
)
def test_seconds_of_a_question_go_by_the_size_of_its_file(
    nbytes: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.h5"
    path.touch()
    os.truncate(path, nbytes)
    sent: list[Any] = []
    child = object.__new__(process._Child)
    child.has_ended, child._lock = False, threading.Lock()
    monkeypatch.setattr(child, "_send", sent.append)
    monkeypatch.setattr(child, "_receive", lambda: ("found", "it"))
    monkeypatch.setattr(process, "_forgotten", deque([4, 5]))
    with FileWindow(str(path)) as window:
        proxy = process.LibraryProxy(window, "w.h5")
        assert child.ask(proxy, "what", (1, 2)) == "it"
        file = (proxy.number, str(path), "w.h5", nbytes)
        assert sent == [(file, [4, 5], expected, "what", (1, 2))]
        proxy.close()
        child.ask(proxy, "what", ())
    assert sent[1][1] == [proxy.number]
