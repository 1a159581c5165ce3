"""An HDF5 file as data, by the plain parser where that does, else through h5py.

Importing h5py, and numpy with it, takes longer than all else that `info` does. What
Keras writes is plain enough for `plain`; whatever that declines, h5py decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.readers.hdf5.messages import Dataset as Dataset
from ckread.readers.hdf5.messages import DeclinedError
from ckread.readers.hdf5.messages import path_order as path_order
from ckread.readers.hdf5.plain import PlainFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from ckread.readers.files import FileWindow
    from ckread.readers.hdf5.library import LibraryFile


class HDF5File:
    """An open HDF5 file, read through a window; `name` is what messages call it."""

    def __init__(self, window: FileWindow, name: str) -> None:
        """Open it."""
        self.path = window.path
        self.name = name
        self.window = window
        self._opened: LibraryFile | None = None
        self._plain: PlainFile | None = None
        try:
            self._plain = PlainFile(window)
        except DeclinedError:
            self._open_library()

    @property
    def _library(self) -> LibraryFile:
        return self._opened or self._open_library()

    def _open_library(self) -> LibraryFile:
        from ckread.readers.hdf5.library import LibraryFile

        self._opened = LibraryFile(self.window, self.name)
        return self._opened

    def close(self) -> None:
        """Close the file and its window."""
        if self._opened is not None:
            self._opened.close()
        self.window.close()

    def verify(self) -> None:
        """See that h5py opens every object: the plain parser reads less than it does."""
        self._library.verify()

    def datasets(self) -> Iterator[Dataset | str]:
        """Yield every dataset, and of every group its path.

        Raises:
            UnsupportedFeatureError: a link or dataset leads out of the file, or
                holds references.
            CorruptCheckpointError: an object cannot be read.
        """
        yield from self._library.datasets() if self._plain is None else self._plain.listed

    def has(self, path: str) -> bool:
        """Tell whether there is anything at a path."""
        return self._library.has(path) if self._plain is None else self._plain.has(path)

    def attribute(self, path: str, name: str) -> str | list[str] | None:
        """Give a text attribute, or a list of texts; None where there is none."""
        if self._plain is None:
            return self._library.attribute(path, name)
        return self._plain.attributes(path).get(name)

    def dataset(self, path: str) -> Any:
        """Open a listed dataset with h5py."""
        return self._library.dataset(path)

    def variable_texts(self, dataset: Dataset, max_nbytes: int) -> list[bytes] | None:
        """Give the texts of a dataset, None unless they are of variable length."""
        return self._library.variable_texts(dataset, max_nbytes)

    def guarded(self, where: str) -> AbstractContextManager[None]:
        """Turn whatever h5py raises about the file into an error that names `where`."""
        return self._library.guarded(where)
