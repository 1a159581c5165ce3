"""A part of a file that is read as if it were a file of its own.

HDF5 inside a zip archive is read in place through such a window: nothing is
extracted, and the bytes of a tensor keep a place in the archive that `pread` finds.
"""

from __future__ import annotations

import io
import os
from typing import Any

from ckread.errors import TruncatedFileError
from ckread.readers.regular_file import RegularFile


class FileWindow(io.RawIOBase):
    """Some bytes of a file, as a seekable raw file.

    Attributes:
        path: the file.
        start: first byte of the window in the file.
        nbytes: size of the window.
        is_lasting: whether the file can be opened again at `path`.
    """

    def __init__(
        self, path: str, start: int = 0, nbytes: int | None = None, *, is_lasting: bool = True
    ) -> None:
        """Open the file.

        Raises:
            CheckpointNotFoundError: nothing is there.
            TruncatedFileError: the file ends before the window does.
            CheckpointError: it cannot be opened, or is no regular file.
        """
        super().__init__()
        self.path = path
        self.start = start
        self.is_lasting = is_lasting
        self._file = RegularFile(path)
        self.nbytes = self._file.identity.nbytes - start if nbytes is None else nbytes
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
        """Fill `buffer` as far as the window goes; give the number of bytes.

        Raises:
            TruncatedFileError: the file became shorter than the window.
        """
        view = memoryview(buffer).cast("B")
        nbytes = min(len(view), max(0, self.nbytes - self._position))
        if nbytes:  # a damaged file may send us beyond any place that a file has
            self._file.pread_into(view[:nbytes], self.start + self._position)
            self._position += nbytes
        return nbytes

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give bytes of the window.

        Raises:
            TruncatedFileError: the window or the file ends before them.
        """
        if not 0 <= offset <= offset + nbytes <= self.nbytes:
            message = f"bytes {offset} to {offset + nbytes} of a window of {self.nbytes}"
            raise TruncatedFileError(message, path=self.path)
        return self._file.pread(self.start + offset, nbytes)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()
