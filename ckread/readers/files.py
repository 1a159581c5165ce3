"""Opening regular files: nothing that blocks, and operating system errors as our own.

A file is read by place, each read checked against its size first. `pread` instead of
`mmap`: a training run may cut the file short at any moment, and a mapped page that is
gone kills the process with SIGBUS.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import time
from _thread import allocate_lock
from contextlib import contextmanager
from contextvars import ContextVar
from io import FileIO
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from ckread.errors import COPY_AGAIN as COPY_AGAIN
from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    ErrorKind,
    TruncatedFileError,
    UsageError,
)
from ckread.readers.budget import over
from ckread.readers.contract import Closing, FileIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ckread.readers.sources.ranges import Ranges
    from ckread.readers.sources.remote import Entry

Found = TypeVar("Found")

STATE_FILE_NAME = "checkpoint"
"""What TensorFlow calls the state file of a directory."""

"""What to do about damage, where nothing says more."""

SPECIAL_FILES = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "named pipe",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


_REMOTE = "ckread.readers.sources.remote"


def is_address(path: str) -> bool:
    """Tell whether a path is on another machine: `s3://bucket/run/ckpt-10`."""
    if "://" not in path:
        return False
    scheme = path.partition("://")[0]
    return scheme[:1].isalpha() and all(c.isalnum() or c in "+.-_:" for c in scheme)


def has_addresses() -> bool:
    """Tell whether this process has met one."""
    return _REMOTE in sys.modules


def _remote() -> Any:
    from ckread.readers.sources import remote

    return remote


def is_file(path: str) -> bool:
    """Tell whether a regular file is at a path."""
    if is_address(path):
        entry: Entry | None = _remote().entry_at(path)
        return entry is not None and not entry.is_directory
    return os.path.isfile(path)


def is_directory(path: str) -> bool:
    """Tell whether a directory is at a path."""
    if is_address(path):
        entry: Entry | None = _remote().entry_at(path)
        return entry is not None and entry.is_directory
    return os.path.isdir(path)


def exists(path: str) -> bool:
    """Tell whether anything is at a path, a link that leads nowhere included."""
    return _remote().entry_at(path) is not None if is_address(path) else os.path.lexists(path)


def file_names(directory: str) -> list[str]:
    """List a directory in order, or nothing where that is not possible."""
    return once(_file_names, directory)


def _file_names(directory: str) -> list[str]:
    if is_address(directory):
        return list(_remote().names_in(directory))
    try:
        return sorted(os.listdir(directory or "."))
    except (OSError, ValueError):
        return []


def can_list(directory: str) -> bool:
    """Tell whether the names in a directory can be known; not where a web server has it."""
    return not is_address(directory) or bool(_remote().can_list(directory))


def written_time(path: str) -> float | None:
    """Give when a regular file was last written, seconds since 1970; None if there is none.

    Of an address 0 where nothing tells.
    """
    if is_address(path):
        identity = file_identity(path) if is_file(path) else None
        return None if identity is None else identity.mtime_ns / 1e9
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None


def look_again(path: str, *, older_than: float = 0.0) -> None:
    """Have an address looked at anew, if that was so many seconds ago; a file always is."""
    if is_address(path):
        _remote().look_again(path, older_than=older_than)


def ready_address(path: str) -> str:
    """Give an address, checked and to be looked at anew; of `file://` the path.

    Raises:
        UsageError: it holds a password or a query.
    """
    if path.startswith("file:///"):
        return path.removeprefix("file://")
    _remote().check_address(path)
    look_again(path, older_than=JUST_NOW)
    return str(path)


def refusal(path: str) -> CheckpointError | None:
    """Give why nothing is known of an address at which something may be."""
    refused: CheckpointError | None = _remote().refusal(path) if is_address(path) else None
    return refused


_READING = os.O_RDONLY
"""A named pipe without a writer would block, and Windows would translate ends of lines."""
for _flag in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _READING |= getattr(os, _flag, 0)


_SEEKING = allocate_lock()


def _seek_and_read(descriptor: int, nbytes: int, offset: int) -> bytes:
    with _SEEKING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, nbytes)


_pread = getattr(os, "pread", _seek_and_read)  # Windows has none


def open_regular(path: str) -> FileIO | FileWindow:
    """Open a regular file for reading, unbuffered."""
    return FileWindow(path) if is_address(path) else _open_local(path)


def _open_local(path: str) -> FileIO:
    try:
        try:
            descriptor = os.open(path, _READING)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE) or not give_back():
                raise
            descriptor = os.open(path, _READING)
    except (OSError, ValueError) as error:
        raise file_error(path, error) from None
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        found = SPECIAL_FILES.get(kind, "special file")
        raise CheckpointError(f"a {found}", expected="a regular file", path=path)
    file = _Regular(descriptor, "rb")
    file.path = path
    return file


class _Regular(FileIO):
    """An open file whose errors are our own; one that gives nothing yet, as in /proc, is none."""

    path: str

    def read(self, size: int | None = -1, /) -> bytes:
        """Give so many bytes, or what is left."""
        try:
            data: bytes | None = super().read(size)
        except OSError as error:
            raise file_error(self.path, error) from None
        if data is None:
            expected = "a regular file"
            raise CheckpointError("it keeps its reader waiting", expected=expected, path=self.path)
        return data


def size_of(file: FileIO | FileWindow) -> int:
    """Give the size of an open file."""
    return file.nbytes if isinstance(file, FileWindow) else os.fstat(file.fileno()).st_size


def read_bounded(path: str, max_nbytes: int) -> bytes:
    """Give all of a small regular file; a larger one is refused before it takes memory."""
    with open_regular(path) as file:
        data, wanted = b"", size_of(file) + 1
        while len(data) <= max_nbytes:  # it may grow meanwhile
            more = file.read(min(wanted, max_nbytes + 1 - len(data))) or b""
            if not more:
                break
            data, wanted = data + more, _BLOCK_NBYTES
    if len(data) > max_nbytes:
        raise over(max_nbytes, "bytes", error=CheckpointError, path=path)
    return data


def file_error(path: str, error: OSError | ValueError) -> CheckpointError:
    """Give the error of this library for one of the operating system; NUL in a path too."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return CheckpointNotFoundError("no such file", path=path)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return CheckpointError(reason[:1].lower() + reason[1:], path=path)


JUST_NOW = 2.0
"""Seconds for which what an address was is taken for what it is, where little hangs on it."""

_BLOCK_NBYTES = 1 << 20
_MAX_READ_NBYTES = 1 << 30  # the system reads at most 2 GiB less a page in one call


def file_identity(path: str) -> FileIdentity | None:
    """Give the identity of what is at `path` now, None if nothing is.

    Of an address as it was when it was last looked at: see `look_again`.
    """
    if is_address(path):
        entry: Entry | None = _remote().entry_at(path)
        return None if entry is None else entry.identity
    try:
        return _identity(os.stat(path))
    except (OSError, ValueError):
        return None


def _identity(status: os.stat_result) -> FileIdentity:
    return FileIdentity(status.st_ino, status.st_size, status.st_mtime_ns)


# What a training writes or deletes meanwhile is not damaged.

SETTLING_SECONDS = 0.1
"""What lies between the renaming of two files of one save, or the deletion of them, and more."""
_YOUNG_SECONDS = 2.0


def let_settle(paths: Iterable[str]) -> bool:
    """Wait a moment where something was written or deleted just now; tell whether it was."""
    files = list(paths)
    places = {*files, *(os.path.dirname(path) or os.curdir for path in files)}
    since = time.time_ns() - int(_YOUNG_SECONDS * 1e9)
    for place in places:
        look_again(place)
    is_young = any((at := file_identity(place)) and at.mtime_ns > since for place in places)
    if is_young:
        time.sleep(SETTLING_SECONDS)
        for place in places:
            look_again(place)
    return is_young


def changed(path: str) -> CheckpointError:
    """Give the error for files that are not any more what they were when they were read."""
    remedy = "A training run may be writing here. Try again."
    found = "changed while it was read"
    return CheckpointError(found, kind=ErrorKind.CHANGED, path=path, remedy=remedy)


class RegularFile(Closing):
    """A regular file, open for reading; its name is for messages; a context manager."""

    identity: FileIdentity
    _in_blocks = True
    """Whether small reads of it at an address are rounded up."""
    _ranges: Ranges | None = None
    """Its bytes, where it is at an address."""
    _descriptor = 0

    def __init__(self, path: str) -> None:
        """Open it."""
        self.path = path
        self.name: str = os.path.basename(path)
        if is_address(path):
            self.identity, self._ranges = _remote().open_ranges(path, in_blocks=self._in_blocks)
            return
        self._file = _open_local(path)
        self._descriptor = self._file.fileno()
        self.identity = _identity(os.fstat(self._descriptor))

    @property
    def nbytes(self) -> int:
        """Its size when it was opened."""
        return self.identity.nbytes

    @property
    def is_remote(self) -> bool:
        """Whether it is at an address."""
        return self._ranges is not None

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give `nbytes` bytes from `offset`."""
        self.check_range(offset, nbytes)
        data = self._pread(offset, nbytes)
        if len(data) == nbytes:
            return data
        parts = [data]
        done = len(data)
        while done < nbytes:
            part = self._pread(offset + done, nbytes - done)
            if not part:
                raise self._too_short(offset, nbytes, offset + done)
            parts.append(part)
            done += len(part)
        return b"".join(parts)

    def expect(self, spans: Iterable[tuple[int, int]]) -> None:
        """Tell which bytes, (start, stop), will be read: at an address few requests do."""
        if self._ranges is not None:
            self._ranges.expect(spans)

    def _pread(self, offset: int, nbytes: int) -> bytes:
        if self._ranges is not None:
            return self._from_afar(offset, nbytes)
        try:
            return _pread(self._descriptor, min(nbytes, _MAX_READ_NBYTES), offset)
        except OSError as error:
            raise self._failed(error) from None

    def pread_into(self, buffer: Any, offset: int) -> None:
        """Fill a writable contiguous buffer of bytes from `offset`."""
        nbytes = len(buffer)
        if self._ranges is not None or not hasattr(os, "preadv"):
            buffer[:] = memoryview(self.pread(offset, nbytes)).cast("B")
            return
        try:
            done = os.preadv(self._descriptor, [buffer], offset)
            while done < nbytes:
                read = os.preadv(self._descriptor, [buffer[done:]], offset + done)
                if not read:
                    raise self._too_short(offset, nbytes, offset + done)
                done += read
        except OSError as error:
            raise self._failed(error) from None

    def check_range(self, offset: int, nbytes: int) -> None:
        """Check that the file was long enough when it was opened."""
        if offset + nbytes > self.identity.nbytes:
            raise self._too_short(offset, nbytes, self.identity.nbytes)

    def _too_short(self, offset: int, nbytes: int, end: int) -> CorruptCheckpointError:
        wanted = f"bytes {offset} to {offset + nbytes}"
        return TruncatedFileError(
            f"{wanted} are wanted, the file ends at byte {end}",
            path=self.path,
            name=self.name,
            offset=end,
        )

    def _from_afar(self, offset: int, nbytes: int) -> bytes:
        if self._descriptor < 0 or self._ranges is None:
            raise self._failed(OSError())
        return self._ranges.read(offset, nbytes)

    def _failed(self, error: OSError) -> CheckpointError:
        if self._descriptor < 0:
            remedy = "Close the checkpoint afterwards."
            found = "closed while it was read"
            return UsageError(found, path=self.path, name=self.name, remedy=remedy)
        return file_error(self.path, error)

    def has_changed(self) -> bool:
        """Tell whether something else is at its path now, or it was written to."""
        return file_identity(self.path) != self.identity

    def close(self) -> None:
        """Close it; what still reads from it gets an error."""
        self._descriptor = -1
        if self._ranges is None:
            self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


_kept: WeakValueDictionary[int, KeptOpen] = WeakValueDictionary()


class KeptOpen(Closing, dict[str, RegularFile]):
    """Files by path that stay open for whoever reads them next, as long as there is room.

    Where the process may open no more, all are forgotten; one that is being read stays open
    until that is done.
    """

    def __init__(self) -> None:
        """Keep none yet."""
        super().__init__()
        _kept[id(self)] = self

    def close(self) -> None:
        """Close all that are open."""
        while self:
            self.popitem()[1].close()


def give_back() -> bool:
    """Forget every file that is only kept open; tell whether there were any."""
    pools = [pool for pool in _kept.values() if pool]
    for pool in pools:
        pool.clear()
    return bool(pools)


class FileWindow(io.RawIOBase):
    """Some bytes of a file, as a seekable raw file of their own.

    HDF5 inside a zip archive is read in place through it: nothing is extracted, and the
    bytes of a tensor keep a place in the archive that `pread` finds.

    Attributes:
        path: the file.
        start: first byte of the window in the file.
        nbytes: size of the window.
        is_lasting: whether its bytes lie in the file at `path`, so that it can be opened again.
    """

    def __init__(
        self,
        path: str,
        start: int = 0,
        nbytes: int | None = None,
        *,
        opened: RegularFile | None = None,
    ) -> None:
        """Open the file, or look at one that is open or inflated already."""
        super().__init__()
        self.path = path
        self.start = start
        self.is_lasting: bool = opened is None
        self._file = opened or RegularFile(path)
        size = self._file.identity.nbytes
        self.nbytes: int = size - start if nbytes is None else nbytes
        self._file.check_range(start, self.nbytes)
        self._position = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought in."""
        return True

    def tell(self) -> int:
        """Give the position in the window."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to `offset` from the start, the position or the end of the window."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.nbytes}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` as far as the window goes; give the number of bytes."""
        view = memoryview(buffer).cast("B")
        nbytes = min(len(view), max(0, self.nbytes - self._position))
        if nbytes:  # a damaged file may send us beyond any place that a file has
            self._file.pread_into(view[:nbytes], self.start + self._position)
            self._position += nbytes
        return nbytes

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give bytes of the window."""
        if not 0 <= offset <= offset + nbytes <= self.nbytes:
            found = f"bytes {offset} to {offset + nbytes} of a window of {self.nbytes}"
            raise TruncatedFileError(found, path=self.path, name="")
        return self._file.pread(self.start + offset, nbytes)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()


# What is told of a directory, found out once for all of its checkpoints.

_found_out: ContextVar[dict[tuple[Any, ...], Any] | None] = ContextVar("found_out", default=None)


@contextmanager
def found_out_once() -> Iterator[None]:
    """Have what `once` asks found out once, however often it is asked within.

    10,000 checkpoints in a directory would each list it, and read all the names.
    """
    known = _found_out.get()
    token = _found_out.set({} if known is None else known)
    try:
        yield
    finally:
        _found_out.reset(token)


@contextmanager
def found_out_anew() -> Iterator[None]:
    """Have all found out anew within: what seems to be missing may have gone just now."""
    token = _found_out.set(None)
    try:
        yield
    finally:
        _found_out.reset(token)


def once(find: Callable[..., Found], *about: Any) -> Found:
    """Give what a function finds out; what it found before, where that is kept."""
    known = _found_out.get()
    if known is None:
        return find(*about)
    key = (find, *about)
    if key not in known:
        known[key] = find(*about)
    found: Found = known[key]
    return found
