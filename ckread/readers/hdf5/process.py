"""HDF5's own library in a process of its own: a file that crashes it ends that process alone.

Damaged files crash the library, keep it busy, or make it take memory without end, in more
places than can be checked beforehand. One child serves all files of this process. It ends when
nothing was asked for a while, or when its pipe closes, also if this process is killed; after a
crash the next question has a new one.

    parent ── file, question, arguments ──▶ child     pickled
    parent ◀── "read", offset, size ─────── child     bytes that it wants, as often as it likes
    parent ── these bytes, or None ───────▶ child     pickled
    parent ◀── "found" or "raised" ──────── child     the answer

What the child says is two sizes, JSON and bytes, and is taken for no more than data: a file that
took over the library there would have nothing to take over here. It opens nothing itself: the
file may be a member of an archive, or far away, and what is at its path by now another one.
Where Python cannot be started the library runs in this process.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import signal
import struct
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import accumulate, count, pairwise
from typing import TYPE_CHECKING, Any

from ckread.errors import (
    CheckpointError,
    ChecksumError,
    CorruptCheckpointError,
    ErrorKind,
    MissingDependencyError,
    NotACheckpointError,
    TruncatedFileError,
    UnsupportedFeatureError,
)
from ckread.readers.budget import over
from ckread.readers.contract import DataType, FileIdentity, no_garbage_collection, numpy_dtype
from ckread.readers.files import COPY_AGAIN, FileWindow, RegularFile
from ckread.readers.hdf5.messages import Blocks, Dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from ckread.readers.hdf5.library import LibraryFile

_IDLE_SECONDS = 60.0
_CPU_SECONDS = 5
_CPU_SECONDS_PER_MIB = 4
"""For one question: a file inflates to a thousand times its size at most."""
_MAX_CRASHES = 5
"""Of one file: after them nothing more is asked of it."""
_PYTHONS: tuple[str, ...] = ("python", "pypy")


class NoChildError(Exception):
    """Python cannot be started here; never leaves the readers."""


class _DiedError(Exception):
    """The child has ended, with the code that is given."""


class LibraryProxy:
    """A file that the child has open: it answers the questions that `LibraryFile` answers."""

    def __init__(self, window: FileWindow, name: str) -> None:
        """Ask nothing yet."""
        self.window = window
        self.name = name
        self.number: int = next(_numbers)
        self._crashes: list[CheckpointError] = []

    def ask(self, question: str, *arguments: Any) -> Any:
        """Give what a method of the open file gives, or raise what it raises.

        Raises:
            NoChildError: there is no child that could be asked.
            CorruptCheckpointError: the library crashes, or does not come to an end.
        """
        if len(self._crashes) >= _MAX_CRASHES:
            raise self._crashes[0].within()
        while True:
            child = _the_child()
            try:
                return child.ask(self, question, arguments)
            except _DiedError as death:
                [code] = death.args
            if code:
                self._crashes.append(self._told(code))
                raise self._crashes[-1]

    def _told(self, code: int) -> CheckpointError:
        file: dict[str, Any] = {"path": self.window.path, "name": self.name}
        if code == -_SIGKILL:
            found, remedy = "what reads it was killed", "Was there too little memory?"
            return CheckpointError(found, remedy=remedy, **file)
        if code == -_SIGXCPU:
            seconds = _seconds(self.window.nbytes)
            return over(seconds, "seconds of CPU", what="HDF5's library", **file)
        return CorruptCheckpointError("HDF5's library crashes", remedy=COPY_AGAIN, **file)

    def close(self) -> None:
        """Let the child forget the file, when it is next asked anything."""
        _forgotten.append(self.number)

    __del__ = close


def _seconds(nbytes: int) -> int:
    """Give the seconds of CPU that one question about a file may take."""
    return _CPU_SECONDS + _CPU_SECONDS_PER_MIB * (nbytes >> 20)


_SIGKILL, _SIGXCPU = (getattr(signal, name, 0) for name in ("SIGKILL", "SIGXCPU"))
_numbers = count()
_forgotten: deque[int] = deque()
_children: dict[int, _Child] = {}
"""By the process that started it: what is forked from that has its own."""
_starting = threading.Lock()


def _the_child() -> _Child:
    """Give the child of this process, a new one where the last has ended."""
    with _starting:
        child = _children.get(os.getpid())
        if child is None or child.has_ended:
            child = _children[os.getpid()] = _Child()
        return child


class _Child:
    """The process and the pipes to it; one thread asks at a time."""

    def __init__(self) -> None:
        import subprocess

        name = os.path.basename(sys.executable or "").lower()
        if not name.startswith(_PYTHONS) or hasattr(sys, "frozen"):
            raise NoChildError
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        try:
            self._process = subprocess.Popen(  # our own interpreter and module
                [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError:
            raise NoChildError from None
        self.has_ended = False
        self._lock = threading.Lock()
        self._to: Any = self._process.stdin
        self._from: Any = self._process.stdout
        atexit.register(self._end)
        try:
            self._receive()
        except _DiedError:
            raise NoChildError from None

    def ask(self, proxy: LibraryProxy, question: str, arguments: tuple[Any, ...]) -> Any:
        """Ask one question; whatever breaks it off ends the child, which is amidst an answer."""
        with self._lock:
            if self.has_ended:
                raise _DiedError(0)
            try:
                kind, answer = self._answer(proxy, question, arguments)
            except BaseException:
                self._end()
                raise
        if kind == "raised":
            raise answer
        return answer

    def _answer(
        self, proxy: LibraryProxy, question: str, arguments: tuple[Any, ...]
    ) -> tuple[str, Any]:
        """Ask, and read for the child what it wants of the file."""
        window, failure = proxy.window, None
        forgotten = [_forgotten.popleft() for _ in range(len(_forgotten))]
        file = proxy.number, window.path, proxy.name, window.nbytes
        seconds = _seconds(window.nbytes)
        self._send((file, forgotten, seconds, question, arguments))
        while True:
            kind, answer = self._receive()
            if kind != "read":
                return ("raised", failure) if failure is not None else (kind, answer)
            data = None
            try:
                data = window.pread(*answer)
            except CheckpointError as error:
                failure = error
            self._send(data)

    def _send(self, value: object) -> None:
        try:
            pickle.dump(value, self._to, pickle.HIGHEST_PROTOCOL)
            self._to.flush()
        except OSError:
            raise _DiedError(self._process.wait()) from None

    def _receive(self) -> tuple[str, Any]:
        """Take an answer; a child that sends none is not itself any more, and as good as dead."""
        try:
            return _hear(self._from)
        except (EOFError, OSError):
            raise _DiedError(self._process.wait()) from None
        except (ValueError, TypeError, LookupError, AttributeError, MemoryError, OverflowError):
            raise _DiedError(_GARBLED) from None

    def _end(self) -> None:
        self.has_ended = True
        atexit.unregister(self._end)
        if self._process.returncode is None and _children.get(os.getpid()) is self:
            self._process.kill()
            self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(OSError):
                pipe.close()


# What the child says.

_SIZES = struct.Struct("<QQ")
_GARBLED = -1


def _say(answers: BinaryIO, kind: str, value: Any) -> None:
    """Send a value as a word for its form, what JSON holds of it, and bytes."""
    form, told, raw = "plain", value, b""
    if isinstance(value, CheckpointError):
        form, told = "error", (type(value).__name__, value.__reduce__()[1][1])
    elif isinstance(value, Exception):
        form, told = "fault", f"{type(value).__name__}: {value}"
    elif hasattr(value, "tobytes"):
        form, told, raw = "array", (value.dtype.name, value.shape), value.tobytes()
    elif isinstance(value, list) and any(isinstance(one, Dataset) for one in value):
        form = "datasets"
    elif isinstance(value, list) and value and isinstance(value[0], bytes):
        form, told, raw = "texts", [*map(len, value)], b"".join(value)
    data = json.dumps((kind, form, told)).encode()
    answers.write(_SIZES.pack(len(data), len(raw)))
    answers.write(data)
    answers.write(raw)
    answers.flush()


def _hear(answers: BinaryIO) -> tuple[str, Any]:
    """Take what `_say` sent; whatever else came is one of a few errors."""
    sizes = answers.read(_SIZES.size)
    if len(sizes) < _SIZES.size:
        raise EOFError
    n_told, n_raw = _SIZES.unpack(sizes)
    told, raw = answers.read(n_told), bytearray(n_raw)
    if len(told) < n_told or answers.readinto(raw) < n_raw:  # type: ignore[attr-defined]
        raise EOFError
    with no_garbage_collection():
        kind, form, value = json.loads(told)
        answer = _FORMS["place" if kind == "read" else form](value, raw)
    if (kind == "raised") != isinstance(answer, Exception):
        raise TypeError(kind)
    return str(kind), answer


_ERRORS: dict[str, type[CheckpointError]] = {
    kind.__name__: kind
    for kind in (
        CheckpointError, CorruptCheckpointError, ChecksumError, MissingDependencyError,
        NotACheckpointError, TruncatedFileError, UnsupportedFeatureError,
    )
}  # fmt: skip


def _error(told: Any, _: bytearray) -> CheckpointError:
    name, fields = told
    given = {"kind": ErrorKind(fields["kind"]), "place": tuple(map(str, fields["place"]))}
    return _ERRORS[name](**(fields | given))


def _array(told: Any, raw: bytearray) -> Any:
    import numpy as np

    name, shape = told
    return np.frombuffer(raw, numpy_dtype(DataType(name))).reshape(shape)


def _datasets(told: Any, _: bytearray) -> list[Dataset | str]:
    types = {str(one): one for one in DataType}
    return [
        one if isinstance(one, str) else Dataset(one[0], types[one[1]], tuple(one[2]), *one[3:])
        for one in told
    ]


def _texts(told: Any, raw: bytearray) -> list[bytes]:
    ends = accumulate(told, initial=0)
    return [bytes(raw[start:stop]) for start, stop in pairwise(ends)]


_FORMS: dict[str, Callable[[Any, bytearray], Any]] = {
    "plain": lambda told, _: told,
    "place": lambda told, _: (int(told[0]), int(told[1])),
    "fault": lambda told, _: RuntimeError(told),
    "error": _error,
    "array": _array,
    "datasets": _datasets,
    "texts": _texts,
}


# In the child.


def serve() -> None:
    """Answer until nothing is asked any more."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answer_all(sys.stdin.buffer, os.fdopen(os.dup(1), "wb"))
    os._exit(0)  # the library may crash yet when it tidies up


def answer_all(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer one question after the other, of files that stay open until they are forgotten."""
    files: dict[int, LibraryFile] = {}
    _say(answers, "ready", True)
    while _is_asked(questions):
        try:
            file, forgotten, seconds, question, arguments = pickle.load(questions)
        except EOFError:
            break
        for number in forgotten:
            if number in files:
                files.pop(number).close()
        number, path, name, nbytes = file
        _allow_seconds(seconds)
        try:
            if number not in files:
                from ckread.readers.hdf5.library import LibraryFile

                opened = _AskedFile(path, nbytes, questions, answers)
                files[number] = LibraryFile(FileWindow(path, opened=opened), name)
            found = getattr(files[number], question)(*arguments)
        except Exception as error:
            _say(answers, "raised", error)
        else:
            _say(answers, "found", found)


def _is_asked(questions: BinaryIO) -> bool:
    """Wait for a question, but not for ever."""
    if os.name == "nt":
        return True
    import select

    return bool(select.select([questions], [], [], _IDLE_SECONDS)[0])


def _allow_seconds(seconds: int) -> None:
    """Let the system end this process after so many more seconds of CPU."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        end = int(time.process_time()) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (end, most))


class _AskedFile(RegularFile):
    """A file whose bytes the parent gives: small reads in blocks, for each takes its time."""

    def __init__(self, path: str, nbytes: int, questions: BinaryIO, answers: BinaryIO) -> None:
        self.path = path
        self.name = os.path.basename(path)
        self.identity = FileIdentity(0, nbytes, 0)
        self._pipes = questions, answers
        self._blocks = Blocks(self._given, nbytes)

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give bytes."""
        self.check_range(offset, nbytes)
        return self._blocks.pread(offset, nbytes)

    def pread_into(self, buffer: Any, offset: int) -> None:
        """Fill a buffer of bytes."""
        buffer[:] = self.pread(offset, len(buffer))

    def _given(self, offset: int, nbytes: int) -> bytes:
        questions, answers = self._pipes
        _say(answers, "read", (offset, nbytes))
        data: bytes | None = pickle.load(questions)
        if data is None:
            raise CheckpointError("cannot be read", path=self.path)  # the parent knows why
        return data

    def close(self) -> None:
        """Do nothing: the parent closes it."""
