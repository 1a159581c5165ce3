"""Opening regular files: nothing that blocks, and operating system errors as our own."""

from __future__ import annotations

import os
import stat
from io import FileIO

from ckread.errors import CheckpointError, CheckpointNotFoundError

STATE_FILE_NAME = "checkpoint"
"""What TensorFlow calls the state file of a directory."""

SPECIAL_FILES = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "named pipe",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


def open_regular(path: str) -> FileIO:
    """Open a regular file for reading, unbuffered.

    Raises:
        CheckpointNotFoundError: there is no such file.
        CheckpointError: it cannot be opened, or is a directory, a pipe or a device.
    """
    try:
        # A named pipe without a writer would block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise file_error(path, error) from None
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        found = SPECIAL_FILES.get(kind, "special file")
        raise CheckpointError(f"{path}: a {found}, expected a regular file", path=path)
    return FileIO(descriptor, "rb")


def file_error(path: str, error: OSError | ValueError) -> CheckpointError:
    """Give the error of this library for one of the operating system; NUL in a path too."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return CheckpointNotFoundError(f"{path}: no such file", path=path)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return CheckpointError(f"{path}: {reason[:1].lower()}{reason[1:]}", path=path)
