"""Paths that TensorFlow takes as they are: it globs them, and knows schemes and directories."""

from __future__ import annotations

import os
import re
import tempfile

from ckread.errors import CheckpointError

_NOT_PLAIN = re.compile(r"[][*?\\]|://|[\ud800-\udfff]")
_V1_PART = re.compile(r"-\d{5,}(-of-\d{5,})")


class PlainPath:
    """A path under which TensorFlow finds exactly the files of one checkpoint.

    Where it would misread the real one, this is a link in a directory of its own,
    away from the checkpoint, that goes with `close`.

    Attributes:
        path: what to give to TensorFlow.
    """

    def __init__(self, prefix: str, files: tuple[str, ...]) -> None:
        """Find or make it.

        Args:
            prefix: of the checkpoint.
            files: all that belong to it.

        Raises:
            CheckpointError: no link can be made.
        """
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self.path = prefix
        if not _is_plain(prefix, files):
            try:
                self._link(prefix, files)
            except OSError as error:
                self.close()
                message = f"{prefix}: no plain path for TensorFlow: {error.strerror}"
                raise CheckpointError(message, path=prefix) from None

    def close(self) -> None:
        """Remove what was made."""
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None

    def _link(self, prefix: str, files: tuple[str, ...]) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="ckread-")
        link = self.path = os.path.join(self._directory.name, "checkpoint")
        for file in files:
            suffix = file.removeprefix(prefix)
            os.symlink(os.path.abspath(file), link + suffix)
            if part := _V1_PART.fullmatch(suffix):
                self.path = f"{link}-?????{part[1]}"


def _is_plain(prefix: str, files: tuple[str, ...]) -> bool:
    """Tell whether TensorFlow opens this prefix and means these files."""
    if _NOT_PLAIN.search(prefix) or not os.path.basename(prefix) or os.path.isdir(prefix):
        return False
    if files == (prefix,):
        # A V1 file; with an index beside it TensorFlow would take the V2 checkpoint.
        return not os.path.exists(f"{prefix}.index")
    return f"{prefix}.index" in files
