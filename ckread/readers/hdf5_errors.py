"""What HDF5's library raises about a file, as errors of this library."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    NotACheckpointError,
    TruncatedFileError,
    UnsupportedFeatureError,
)
from ckread.readers.hdf5_attributes import AttributeTooLargeError, UnverifiedTextError
from ckread.readers.hdf5_heap import DamagedTextError, DeclinedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.file_window import FileWindow
    from ckread.readers.hdf5_guard import GuardedWindow

_RAISED = (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, OverflowError)
"""What h5py raises about a file that it cannot read."""
_DAMAGE = (AttributeTooLargeError, DamagedTextError)
_UNSEEN = (UnverifiedTextError, DeclinedError)
_FOUND_UNSEEN = "texts of variable length that cannot be found beforehand"


@contextmanager
def translated(where: str, name: str, window: FileWindow, guard: GuardedWindow) -> Iterator[None]:
    """Turn whatever is raised about an HDF5 file into an error that names `where`.

    Raises:
        TruncatedFileError: the file ends early.
        NotACheckpointError: it is no HDF5 file.
        UnsupportedFeatureError: texts are kept in a way that is not read here.
        CorruptCheckpointError: anything else that HDF5 does not accept, or hangs on.
    """
    try:
        yield
    except CheckpointError:
        raise
    except (*_DAMAGE, *_UNSEEN, *_RAISED) as error:
        raise guard.refusal or _own(error, f"{name}: {where}", name, window) from None
    if guard.refusal is not None:
        raise guard.refusal


def _own(error: Exception, subject: str, name: str, window: FileWindow) -> CheckpointError:
    path: dict[str, Any] = {"path": window.path}
    if isinstance(error, _DAMAGE):
        return CorruptCheckpointError(f"{subject}: {error}", **path)
    if isinstance(error, _UNSEEN):
        return UnsupportedFeatureError(f"{subject}: {_FOUND_UNSEEN}", **path)
    text = " ".join(str(error).split())
    if "truncated file" in text or "addr overflow" in text:
        found = f"the file ends at byte {window.nbytes}, HDF5 expects more"
        return TruncatedFileError(f"{subject}: {found}", **path)
    if "file signature not found" in text:
        return NotACheckpointError(f"{name}: no HDF5 signature", **path)
    found = f"HDF5 cannot read it, {text[:200] or 'no reason given'}"
    return CorruptCheckpointError(f"{subject}: {found}", **path)
