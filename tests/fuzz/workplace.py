"""Where mutated files lie while they are read, in memory where the system has such a place."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

import ckread.readers.arrays  # noqa: F401 - before anything is patched: it keeps names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Workplace:
    """A directory of its own in which one file is written again and again."""

    def __init__(self) -> None:
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.directory = tempfile.mkdtemp(prefix="ckread-fuzz-", dir=place)

    def path(self, name: str) -> str:
        """Give the path of a file in it."""
        return os.path.join(self.directory, name)

    def write(self, name: str, data: bytes) -> str:
        """Write a file, whatever was there; give its path."""
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def write_new(self, name: str, data: bytes) -> str:
        """Write a file that `clear` takes away, its directories too."""
        path = self.path(name)
        parent = os.path.dirname(path)
        if parent != self.directory:
            os.makedirs(parent, exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def clear(self) -> None:
        """Take everything away that lies in it."""
        with os.scandir(self.directory) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)

    def link(self, source: Path, name: str) -> None:
        """Let a file be found here under a name."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        if not os.path.lexists(self.path(name)):
            os.symlink(source, self.path(name))

    def close(self) -> None:
        """Take it away."""
        shutil.rmtree(self.directory, ignore_errors=True)


@contextmanager
def without_checksums() -> Iterator[None]:
    """Let every checksum of tables and values pass, so that damage reaches the parsers."""
    with (
        mock.patch("ckread.readers.table.unmask", return_value=0),
        mock.patch("ckread.readers.table.crc32c", return_value=0),
        mock.patch("ckread.readers.extents.verify_extent"),
        mock.patch("ckread.readers.arrays.verify_extent"),
    ):
        yield
