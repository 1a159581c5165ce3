"""What the archives of numpy and PyTorch share: members whose CRC-32 covers all their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers.contract import Format, StoredFile
from ckread.readers.extent_reader import ExtentReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckread.readers.zip_members import ZipMembers


class ArchiveReader(ExtentReader):
    """Tensors in the members of a zip archive, which are verified together, once."""

    def __init__(self, path: str, layout: Format, archive: ZipMembers | None, nbytes: int) -> None:
        """Take an open archive; None for a bare file, which has no checksum."""
        super().__init__(path, layout)
        self._archive = archive
        self._nbytes = nbytes
        self._found: CheckpointError | bool = False

    def members(self) -> Iterable[str]:
        """Give the members that hold values, and what tells where."""
        raise NotImplementedError

    def files(self) -> tuple[StoredFile, ...]:
        """Give the file."""
        return (StoredFile(self.path, self._nbytes, is_shard=True),)

    def verify_container(self) -> None:
        """Verify the CRC-32 of every member."""
        if self._archive is not None and self._found is False:
            try:
                for name in self.members():
                    self._archive.verify(name)
                self._found = True
            except CheckpointError as error:
                self._found = error
        if isinstance(self._found, CheckpointError):
            raise self._found.within()  # a new one each time: a traceback grows on it

    def close(self) -> None:
        """Close the archive for good."""
        super().close()
        if self._archive is not None:
            self._archive.close()
