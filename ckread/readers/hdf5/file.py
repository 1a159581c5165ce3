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
    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.files import FileWindow
    from ckread.readers.hdf5.library import LibraryFile
    from ckread.readers.hdf5.process import LibraryProxy


class HDF5File:
    """An open HDF5 file, read through a window; `name` is what messages call it."""

    def __init__(self, window: FileWindow, name: str) -> None:
        """Open it."""
        self.path: str = window.path
        self.name = name
        self.window = window
        self._library: LibraryProxy | LibraryFile | None = None
        self._plain: PlainFile | None = None
        self._listed: dict[str, Dataset | str] | None = None
        try:
            self._plain = PlainFile(window)
        except DeclinedError:
            self._ask("ready")

    def _ask(self, question: str, *arguments: Any) -> Any:
        """Ask h5py, in a process of its own where there can be one."""
        from ckread.readers.hdf5.process import LibraryProxy, NoChildError

        if self._library is None:
            self._library = LibraryProxy(self.window, self.name)
        if isinstance(self._library, LibraryProxy):
            try:
                return self._library.ask(question, *arguments)
            except NoChildError:
                from ckread.readers.hdf5.library import LibraryFile

                self._library = LibraryFile(self.window, self.name)
        return getattr(self._library, question)(*arguments)

    def close(self) -> None:
        """Close the file and its window."""
        if self._library is not None:
            self._library.close()
        self.window.close()

    def verify(self) -> None:
        """See that h5py opens every object: the plain parser reads less than it does.

        Where that is sure of the way to each, one of each kind will do.
        """
        listed = self.datasets()
        if self._plain is not None:
            samples = self._plain.samples
            paths = samples or [one if isinstance(one, str) else one.path for one in listed]
            self._ask("verify", paths, samples is None)

    def datasets(self) -> list[Dataset | str]:
        """Give every dataset, and of every group its path.

        Raises:
            UnsupportedFeatureError: a link or dataset leads out of the file, or
                holds references.
            CorruptCheckpointError: an object cannot be read.
        """
        if self._plain is not None:
            try:
                return self._plain.listed
            except DeclinedError:
                self._plain = None
        if self._listed is None:
            listed: list[Dataset | str] = self._ask("datasets")
            self._listed = {one if isinstance(one, str) else one.path: one for one in listed}
        return list(self._listed.values())

    def has(self, path: str) -> bool:
        """Tell whether a path is among what was listed."""
        if self._plain is not None:
            return self._plain.has(path)
        return self._listed is not None and path in self._listed

    def attribute(self, path: str, name: str) -> str | list[str] | None:
        """Give a text attribute, or a list of texts; None where there is none."""
        if self._plain is not None:
            return self._plain.attributes(path).get(name)
        text: str | list[str] | None = self._ask("attribute", path, name)
        return text

    def chunk_shape(self, path: str) -> tuple[int, ...] | None:
        """Give the shape of the chunks of a dataset, which is seen to be written whole."""
        shape: list[int] | tuple[int, ...] | None = self._ask("chunk_shape", path)
        return None if shape is None else tuple(shape)

    def values(self, dataset: Dataset, index: tuple[Any, ...]) -> NDArray[np.generic]:
        """Give a part of a dataset of numbers."""
        values: NDArray[np.generic] = self._ask("values", dataset, index)
        return values

    def strings(self, dataset: Dataset, max_nbytes: int) -> list[bytes]:
        """Give the elements of a dataset of texts in C order, of so many bytes at most."""
        strings: list[bytes] = self._ask("strings", dataset, max_nbytes)
        return strings
