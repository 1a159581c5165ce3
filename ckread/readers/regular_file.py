"""An open file that is read by place, each read checked against its size first.

`pread` instead of `mmap`: a training run may cut the file short at any moment,
and a mapped page that is gone kills the process with SIGBUS.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import TruncatedFileError, UsageError
from ckread.readers.closing import Closing
from ckread.readers.files import file_error, open_regular

if TYPE_CHECKING:
    from ckread.errors import CheckpointError

_MAX_READ_NBYTES = 1 << 30  # the system reads at most 2 GiB less a page in one call


class FileIdentity(NamedTuple):
    """What changes when a file is replaced or written to."""

    inode: int
    nbytes: int
    mtime_ns: int


def file_identity(path: str) -> FileIdentity | None:
    """Give the identity of what is at `path` now, None if nothing is."""
    try:
        return _identity(os.stat(path))
    except (OSError, ValueError):
        return None


def _identity(status: os.stat_result) -> FileIdentity:
    return FileIdentity(status.st_ino, status.st_size, status.st_mtime_ns)


class RegularFile(Closing):
    """A regular file, open for reading; a context manager.

    Attributes:
        path: where it lies.
        name: its base name, for messages.
        identity: inode, size and time of change when it was opened.
    """

    def __init__(self, path: str) -> None:
        """Open it.

        Raises:
            CheckpointNotFoundError: nothing is there.
            CheckpointError: it cannot be opened, or is no regular file.
        """
        self.path = path
        self.name = os.path.basename(path)
        self._file = open_regular(path)
        self._descriptor = self._file.fileno()
        self.identity = _identity(os.fstat(self._descriptor))

    @property
    def nbytes(self) -> int:
        """Its size when it was opened."""
        return self.identity.nbytes

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give `nbytes` bytes from `offset`.

        Raises:
            TruncatedFileError: the file ends before them.
        """
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

    def _pread(self, offset: int, nbytes: int) -> bytes:
        try:
            return os.pread(self._descriptor, min(nbytes, _MAX_READ_NBYTES), offset)
        except OSError as error:
            raise self._failed(error) from None

    def pread_into(self, buffer: Any, offset: int) -> None:
        """Fill a writable contiguous buffer of bytes from `offset`.

        Raises:
            TruncatedFileError: the file ends before it is full.
        """
        nbytes = len(buffer)
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
        """Check that the file was long enough when it was opened.

        Raises:
            TruncatedFileError: it was not.
        """
        if offset + nbytes > self.identity.nbytes:
            raise self._too_short(offset, nbytes, self.identity.nbytes)

    def _too_short(self, offset: int, nbytes: int, end: int) -> TruncatedFileError:
        wanted = f"bytes {offset} to {offset + nbytes}"
        message = f"{self.name}: {wanted} are wanted, the file ends at byte {end}"
        remedy = "The file is incomplete: a torn save, or a copy that was cut short."
        return TruncatedFileError(message, path=self.path, offset=end, remedy=remedy)

    def _failed(self, error: OSError) -> CheckpointError:
        if self._descriptor < 0:
            message = f"{self.name}: closed while it was read"
            return UsageError(message, path=self.path, remedy="Close the checkpoint afterwards.")
        return file_error(self.path, error)

    def has_changed(self) -> bool:
        """Tell whether something else is at its path now, or it was written to."""
        return file_identity(self.path) != self.identity

    def close(self) -> None:
        """Close it; what still reads from it gets an error."""
        self._descriptor = -1
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
