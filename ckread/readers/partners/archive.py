"""What the archives of numpy and PyTorch share: members, each with a CRC-32 of all its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers.contract import Format, StoredFile
from ckread.readers.extent_reader import ExtentReader

if TYPE_CHECKING:
    from ckread.readers.zip_members import ZipMembers


class ArchiveReader(ExtentReader):
    """Tensors in the members of a zip archive; a member is verified once, whole."""

    def __init__(self, path: str, layout: Format, archive: ZipMembers | None, nbytes: int) -> None:
        """Take an open archive; None for a bare file, which has no checksum."""
        super().__init__(path, layout)
        self._archive = archive
        self._nbytes = nbytes
        self._verified: dict[str, CheckpointError | None] = {}

    def member(self, key: str) -> str:
        """Give the member that holds the values of a tensor."""
        raise NotImplementedError

    def files(self) -> tuple[StoredFile, ...]:
        """Give the file."""
        return (StoredFile(self.path, self._nbytes, is_shard=True),)

    def verify_container(self, key: str | None = None) -> None:
        """Verify the CRC-32 of the member of a tensor, or of all members."""
        if self._archive is None:
            return
        for name in self._archive.members if key is None else [self.member(key)]:
            if name not in self._verified:
                self._verified[name] = None
                try:
                    self._archive.verify(name)
                except CheckpointError as error:
                    self._verified[name] = error
            found = self._verified[name]
            if found is not None:
                raise found.within()  # a new one each time: a traceback grows on it

    def close(self) -> None:
        """Close the archive for good."""
        super().close()
        if self._archive is not None:
            self._archive.close()
