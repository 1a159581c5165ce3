"""Values of a bundle's tensors, read from its shards as the layout says.

numpy is imported by what gives arrays; `read_bytes` and `read_strings` do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError, UsageError
from ckread.readers import picking
from ckread.readers.dtypes import DataType
from ckread.readers.entry_parser import shown
from ckread.readers.extents import open_shard, read_extent
from ckread.readers.string_tensor import read_string_tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.bundle_layout import BundleLayout
    from ckread.readers.contract import Index
    from ckread.readers.messages import BundleEntry
    from ckread.readers.regular_file import RegularFile

_MAX_OPEN_SHARDS = 64


class BundleValues:
    """Reads values by one layout; keeps the shards it has met open."""

    def __init__(self, layout: BundleLayout) -> None:
        self._layout = layout
        self._shards: dict[str, RegularFile] = {}

    def has_changed(self) -> bool:
        """Tell whether an open shard was replaced or written to."""
        return any(shard.has_changed() for shard in self._shards.values())

    def close(self) -> None:
        """Close the shards."""
        while self._shards:
            self._shards.popitem()[1].close()

    def read_bytes(self, key: str) -> bytes:
        """Give the verified bytes of a plain tensor, little-endian."""
        extents = self._layout.extents(key)
        if extents is None:
            self._layout.pieces(key)
            raise UsageError(f"{shown(key)}: a string tensor, expected plain numbers")
        if len(extents) != 1:
            return self.read(key).tobytes()
        return read_extent(extents[0], self._open(extents[0].path))

    def read_strings(self, key: str) -> list[bytes]:
        """Give the verified elements of a string tensor."""
        pieces = self._layout.pieces(key)
        dtype = self._layout.record(key).dtype
        if dtype is not DataType.STRING:
            raise UsageError(f"{shown(key)}: {dtype}, expected strings")
        if len(pieces) != 1:
            return list(self.read(key).reshape(-1))
        return self._read_string_piece(key, pieces[0][1])

    def read(self, key: str) -> NDArray[np.generic]:
        """Give a whole verified tensor."""
        from ckread.readers.partition import check_places, put_strings, read_whole

        extents = self._layout.extents(key)
        if extents is not None:
            check_places(extents, self._open)
            whole = self._empty(key)
            read_whole(extents, whole, self._open)
            return whole
        pieces = self._layout.pieces(key)
        for _, entry in pieces:
            self._shard_of(entry).check_range(entry.offset, entry.size)
        whole = self._empty(key)
        for region, entry in pieces:
            put_strings(whole, region, self._read_string_piece(key, entry))
        return whole

    def read_slice(self, key: str, index: Index) -> NDArray[np.generic]:
        """Give a part of a tensor, unverified; of strings, from the whole."""
        from ckread.readers import partition

        record = self._layout.record(key)
        extents = self._layout.extents(key)
        ranges = picking.index_ranges(index, record.shape)
        if extents is not None:
            partition.check_places(extents, self._open)
            part = self._empty(key, [len(wanted) for wanted in ranges])
            partition.read_part(extents, ranges, part, self._open)
        else:
            # The ellipsis keeps a scalar an array.
            wanted: Any = (*picking.as_slices(ranges), ...)
            part = self.read(key)[wanted]
        return part.reshape(picking.kept_shape(index, part.shape))

    def iter_chunks(self, key: str, nbytes: int) -> Iterator[NDArray[np.generic]]:
        """Yield a plain tensor in C order, verified after the last chunk."""
        from ckread.readers import partition

        record = self._layout.record(key)
        extents = self._layout.extents(key) or ()
        nbytes = max(nbytes, record.dtype.itemsize)
        return partition.iter_whole(extents, record.shape, nbytes, self._open)

    def _empty(self, key: str, shape: Sequence[int] | None = None) -> NDArray[Any]:
        """Give an array for a tensor, or for a part of it of another shape."""
        from ckread.readers.partition import empty_array

        record = self._layout.record(key)
        try:
            return empty_array(record.shape if shape is None else shape, record.dtype)
        except CheckpointError as error:
            raise self._layout.located(error, key) from None

    def _read_string_piece(self, key: str, entry: BundleEntry) -> list[bytes]:
        shard = self._shard_of(entry)
        big_endian = self._layout.index.header.big_endian
        return read_string_tensor(shard, entry, key=shown(key), big_endian=big_endian)

    def _shard_of(self, entry: BundleEntry) -> RegularFile:
        return self._open(self._layout.shard_path(entry.shard_id))

    def _open(self, path: str) -> RegularFile:
        shard = self._shards.get(path)
        if shard is None:
            if len(self._shards) >= _MAX_OPEN_SHARDS:
                self._shards.clear()  # a stream that still reads one keeps it open
            shard = self._shards[path] = open_shard(path)
        return shard
