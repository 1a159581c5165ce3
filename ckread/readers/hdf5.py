"""Keras weights in HDF5: one file, or several that share one list of groups.

The key of a tensor is the path of its dataset: `layers/conv2d/vars/0`, in a legacy
file `model_weights/conv1/conv1/kernel`. Names are given by `model.keras_naming`,
from what `HDF5Reader.contents` tells.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.errors import NotACheckpointError, UsageError, VariableNotFoundError
from ckread.readers.closing import ClosingReader
from ckread.readers.contract import CHUNK_NBYTES, Extent, Format, StoredFile, TensorRecord
from ckread.readers.dtypes import DataType
from ckread.readers.entry_parser import shown
from ckread.readers.extents import read_extent
from ckread.readers.file_window import FileWindow
from ckread.readers.hdf5_file import HDF5File
from ckread.readers.hdf5_legacy import read_config
from ckread.readers.hdf5_listing import Home, list_files
from ckread.readers.picking import index_ranges, kept_shape
from ckread.readers.regular_file import RegularFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.errors import CheckpointError
    from ckread.readers.contract import Index
    from ckread.readers.keras_config import KerasConfig


class HDF5Reader(ClosingReader):
    """The tensors of a Keras weight file; a `CheckpointReader`.

    Attributes:
        path: the file, or the index of the files.
        format: how it is laid out.
        contents: what names and roles are told from.
        notes: what is odd about it, one sentence each.
    """

    def __init__(
        self,
        path: str,
        files: Sequence[HDF5File],
        *,
        layout: Format | None = None,
        config: KerasConfig | None = None,
        stored: tuple[StoredFile, ...] = (),
        verify: Callable[[], CheckpointError | None] | None = None,
    ) -> None:
        """List the tensors.

        Args:
            path: what the checkpoint is called.
            files: the open files, each with other variables; the reader closes them.
            layout: the format, None to tell it from the file.
            config: the configuration from an archive, None to look for it in the file.
            stored: the files on disk, if it is not the file at `path` alone.
            verify: gives what is wrong by a checksum that covers all tensors, if one does.

        Raises:
            NotACheckpointError: the files hold no weights.
            UnsupportedFeatureError: something leads out of the files.
            CorruptCheckpointError: HDF5 cannot read them.
        """
        listing = list_files(files, read_config(files[0]) if config is None else config)
        if listing.is_empty:
            message = f"{files[0].name}: an HDF5 file without datasets, expected Keras weights"
            raise NotACheckpointError(message, path=path)
        self.path = path
        self.format = layout or listing.layout
        self.contents = listing.contents
        self.notes = listing.notes
        self._files = files
        self._stored = stored or (StoredFile(path, files[0].window.nbytes, is_shard=True),)
        self._homes = listing.homes
        self._shards: dict[str, RegularFile] = {}
        self._verify = verify
        self._tensors = {key: self._record(key, home) for key, home in listing.homes.items()}

    def _record(self, key: str, home: Home) -> TensorRecord:
        file, dataset, packing = home
        dtype = DataType.INT4 if packing else dataset.dtype
        shape = packing.shape if packing else dataset.shape
        is_plain = dataset.offset is not None and file.window.is_lasting
        offset = file.window.start + (dataset.offset or 0) if is_plain else None
        shard = self._files.index(file)
        return TensorRecord(key, dtype, shape, dataset.nbytes, None, shard, offset)

    @property
    def tensors(self) -> Mapping[str, TensorRecord]:
        """Every tensor by the path of its dataset."""
        return self._tensors

    def files(self) -> tuple[StoredFile, ...]:
        """Give the file, or the index and the files it names."""
        return self._stored

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where a contiguous dataset lies; None if compact, chunked, text or packed."""
        file, dataset, packing = self._home(key)
        if dataset.offset is None or packing is not None or not file.window.is_lasting:
            return None
        region = tuple((0, size) for size in dataset.shape)
        offset = file.window.start + dataset.offset
        where = (file.path, offset, dataset.nbytes, dataset.dtype)
        return (Extent(*where, dataset.big_endian, None, region),)

    def verify_container(self) -> None:
        """Verify the member of the archive that the tensors lie in.

        Raises:
            CorruptCheckpointError: it is damaged; in which of them cannot be told.
        """
        error = self._verify() if self._verify is not None else None
        if error is not None:
            raise type(error)(error.message, path=error.path, remedy=error.remedy)

    def read_bytes(self, key: str) -> bytes:
        """Give the bytes of a small tensor, C order, little-endian; packed int4 unpacked."""
        if self._home(key).dataset.dtype is DataType.STRING:
            raise UsageError(f"{shown(key)}: a string tensor, expected plain numbers")
        extents = self.extents(key)
        if extents is None:
            return self.read_slice(key, ()).tobytes()
        return read_extent(extents[0], self._open(extents[0].path))

    def read_strings(self, key: str) -> list[bytes]:
        """Give the elements of a string dataset, C order.

        Raises:
            UsageError: it holds no strings.
            CorruptCheckpointError: HDF5 cannot read it.
        """
        from ckread.readers.hdf5_values import read_strings

        file, dataset, _ = self._home(key)
        if dataset.dtype is not DataType.STRING:
            raise UsageError(f"{shown(key)}: {dataset.dtype}, expected strings")
        self.verify_container()
        return read_strings(file, dataset)

    def read(self, key: str) -> NDArray[np.generic]:
        """Give a whole tensor.

        Raises:
            ChecksumError: the archive that it lies in is damaged.
            TruncatedFileError: the file ends before its values do.
            UnsupportedFeatureError: the type has no array form.
            CorruptCheckpointError: HDF5 cannot read it.
        """
        from ckread.readers import partition

        self.verify_container()
        extents = self.extents(key)
        if extents is None:
            return self.read_slice(key, ())
        partition.check_places(extents, self._open)
        record = self._tensors[key]
        whole = partition.empty_array(record.shape, record.dtype)
        partition.read_whole(extents, whole, self._open)
        return whole

    def read_slice(self, key: str, index: Index) -> NDArray[np.generic]:
        """Give a part of a tensor, reading only what it needs.

        Raises:
            CheckpointError: as for `read`.
        """
        from ckread.readers import partition

        extents = self.extents(key)
        if extents is None:
            from ckread.readers.hdf5_values import read_part

            file, dataset, packing = self._home(key)
            return read_part(file, dataset, index, packing)
        partition.check_places(extents, self._open)
        record = self._tensors[key]
        ranges = index_ranges(index, record.shape)
        part = partition.empty_array([len(wanted) for wanted in ranges], record.dtype)
        partition.read_part(extents, ranges, part, self._open)
        return part.reshape(kept_shape(index, part.shape))

    def iter_chunks(self, key: str, nbytes: int = CHUNK_NBYTES) -> Iterator[NDArray[np.generic]]:
        """Yield a tensor in C order as 1-D arrays of at most `nbytes` bytes."""
        from ckread.readers import partition
        from ckread.readers.hdf5_values import iter_parts

        self.verify_container()
        extents = self.extents(key)
        if extents is None:
            file, dataset, packing = self._home(key)
            yield from iter_parts(file, dataset, packing, nbytes)
            return
        record = self._tensors[key]
        nbytes = max(nbytes, record.dtype.itemsize)
        yield from partition.iter_whole(extents, record.shape, nbytes, self._open)

    def _home(self, key: str) -> Home:
        try:
            return self._homes[key]
        except KeyError:
            message = f"{self.path}: no tensor {shown(key)}"
            raise VariableNotFoundError(message, path=self.path) from None

    def _open(self, path: str) -> RegularFile:
        if path not in self._shards:
            self._shards[path] = RegularFile(path)
        return self._shards[path]

    def close(self) -> None:
        """Close the files for good."""
        super().close()
        for file in self._files:
            file.close()
        while self._shards:
            self._shards.popitem()[1].close()


def open_hdf5(path: str) -> HDF5Reader:
    """Open a `.weights.h5`, a legacy `.h5`, or any HDF5 file of weights.

    Raises:
        NotACheckpointError: it is not HDF5, or holds no weights.
        UnsupportedFeatureError: something in it leads to another file.
        CorruptCheckpointError: HDF5 cannot read it.
    """
    file = HDF5File(FileWindow(path), os.path.basename(path))
    try:
        return HDF5Reader(path, [file])
    except BaseException:
        file.close()
        raise
