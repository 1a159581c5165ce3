"""TensorFlow's V2 checkpoint: an index and raw data shards.

    <prefix>.index                 table: names to where tensors lie
    <prefix>.data-00000-of-00002   values one after the other, no header, no magic

Listing needs the index alone. Values are plain bytes in C order at [offset,
offset + size) of a shard, not aligned, with gaps or shared; each tensor has a
CRC-32C of them. Partitioned variables are put together from their slices.

A training run may rewrite the files while they are read: what then does not fit
is read once more, from the new index.

Reference: tensorflow/core/util/tensor_bundle/tensor_bundle.h

Values of a bundle's tensors, read from its shards as the layout says.

numpy is imported by what gives arrays; `read_bytes` and `read_strings` do without.

The entries of an index as they are stored, for who asks for one.

Opening the index of a prefix, which a training run may be writing just now.

An index is written in place, after its data: absent, empty or without its footer
beside a data shard, it is being written, or its writer was killed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    ErrorKind,
    MissingShardError,
    NotACheckpointError,
    TruncatedFileError,
    UsageError,
)
from ckread.readers import slices
from ckread.readers.bundle.index import BundleIndex, read_bundle_index
from ckread.readers.bundle.layout import BundleLayout
from ckread.readers.bundle.strings import read_string_tensor
from ckread.readers.contract import CHUNK_NBYTES, ClosingReader, Format, StoredFile, shown
from ckread.readers.dtypes import DataType
from ckread.readers.extents import of_tensor, open_shard, read_extent
from ckread.readers.files import file_identity
from ckread.readers.messages import BundleEntry
from ckread.readers.shards import present_shards, shard_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.bundle.memo import IndexMemo
    from ckread.readers.contract import Extent, Index, TensorRecord
    from ckread.readers.files import RegularFile
    from ckread.readers.messages import BundleHeader


T = TypeVar("T")


class TensorBundle(ClosingReader):
    """A V2 checkpoint by its prefix; implements `CheckpointReader`.

    Attributes:
        path: the prefix.
        format: `Format.TENSOR_BUNDLE`.
    """

    def __init__(self, prefix: str, memo: IndexMemo | None = None) -> None:
        """Read the index of `prefix`, no data shard.

        Args:
            prefix: of the checkpoint.
            memo: indexes of the same run, which may be alike.

        Raises:
            CheckpointNotFoundError: there is none.
            TruncatedFileError: it is being written, or its save was cut short.
            NotACheckpointError: it is no table.
            CorruptCheckpointError: it contradicts the format.
            UnsupportedFeatureError: it wants another version of the reader.
        """
        self.path = prefix
        self.format = Format.TENSOR_BUNDLE
        self._place(BundleLayout(prefix, open_index(prefix, memo)))

    def _place(self, layout: BundleLayout) -> None:
        self._layout = layout
        self._values = BundleValues(layout)

    @property
    def header(self) -> BundleHeader:
        """The header of the bundle."""
        return self._layout.index.header

    @property
    def n_blocks(self) -> int:
        """Data blocks of the index, each verified when it was read."""
        return self._layout.index.n_blocks

    @property
    def tensors(self) -> Mapping[str, TensorRecord]:
        """Every tensor by key, in the order of the file; slices are not among them."""
        return MappingProxyType(self._layout.index.tensors)

    @property
    def entries(self) -> Mapping[str, BundleEntry]:
        """The entry of every tensor as it is stored, made when it is asked for."""
        return BundleEntries(self._layout)

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be decided about the names of the files, one sentence each."""
        return self._layout.notes

    def files(self) -> tuple[StoredFile, ...]:
        """Give the index and every data shard, absent ones included."""
        layout = self._layout
        paths = (layout.shard_path(i) for i in range(layout.num_shards))
        index = StoredFile(layout.index.path, layout.index.identity.nbytes, is_shard=False)
        return index, *(StoredFile(path, _size_of(path), is_shard=True) for path in paths)

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where a tensor's plain bytes lie, one extent per slice; None for strings.

        Raises:
            VariableNotFoundError: there is no such tensor.
            CorruptCheckpointError: its entry, or one of its slices', is impossible.
        """
        return self._layout.extents(key)

    def read_bytes(self, key: str) -> bytes:
        """Give the verified bytes of a small plain tensor, C order, little-endian.

        Raises:
            CheckpointError: they cannot be read, or are damaged.
            UsageError: it holds strings.
        """
        return self._settled(key, lambda: self._values.read_bytes(key))

    def read_strings(self, key: str) -> list[bytes]:
        """Give the verified elements of a string tensor, C order; numpy is not needed.

        Raises:
            CheckpointError: they cannot be read, or are damaged.
            UsageError: it holds no strings.
        """
        return self._settled(key, lambda: self._values.read_strings(key))

    def read(self, key: str) -> NDArray[np.generic]:
        """Give a whole verified tensor, 0-d for a scalar, objects of bytes for strings.

        Raises:
            CheckpointError: it cannot be read, or is damaged.
        """
        return self._settled(key, lambda: self._values.read(key))

    def read_slice(self, key: str, index: Index) -> NDArray[np.generic]:
        """Give a part of a tensor, reading little more than it needs, unverified.

        Strings are read and verified whole.

        Raises:
            CheckpointError: it cannot be read.
        """
        return self._settled(key, lambda: self._values.read_slice(key, index), is_verified=False)

    def iter_chunks(self, key: str, nbytes: int = CHUNK_NBYTES) -> Iterator[NDArray[np.generic]]:
        """Yield a tensor in C order as 1-D arrays of at most `nbytes` bytes.

        An array is valid until the next one is asked for. Checksums are verified
        after the last: what was made of them before is void if that raises. Strings
        come as one array.

        Raises:
            CheckpointError: it cannot be read, or is damaged.
        """
        if self.extents(key) is None:
            yield self.read(key).reshape(-1)
            return
        try:
            yield from self._values.iter_chunks(key, nbytes)
        except (CorruptCheckpointError, MissingShardError) as error:
            remedy = _CHANGED if self._has_changed() else None
            raise of_tensor(error, key, remedy=remedy) from None

    def close(self) -> None:
        """Close the data shards for good."""
        super().close()
        self._values.close()

    def reopened(self) -> TensorBundle:
        """Give another reader of the same index, which is not read again."""
        other = copy(self)
        other.is_closed = False
        other._place(self._layout)
        return other

    def _settled(self, key: str, read: Callable[[], T], *, is_verified: bool = True) -> T:
        """Give what `read` gives; once more, from a new index, if the files changed."""
        try:
            result = read()
            if is_verified or not self._has_changed():
                return result
        except (CorruptCheckpointError, MissingShardError) as error:
            if not self._has_changed():
                raise of_tensor(error, key) from None
        self._reload(key)
        try:
            return read()
        except (CorruptCheckpointError, MissingShardError) as error:
            raise of_tensor(error, key, remedy=_CHANGED) from None

    def _has_changed(self) -> bool:
        index = self._layout.index
        return file_identity(index.path) != index.identity or self._values.has_changed()

    def _reload(self, key: str) -> None:
        old = self._layout.record(key)
        self._values.close()
        self._place(BundleLayout(self.path, open_index(self.path)))
        new = self._layout.index.tensors.get(key)
        if new is None or (new.dtype, new.shape) != (old.dtype, old.shape):
            found = "absent" if new is None else f"{new.dtype} {list(new.shape)}"
            before = f"{old.dtype} {list(old.shape)} before"
            error = CorruptCheckpointError(f"{found} since the files changed, {before}")
            raise error.within(shown(key), path=self._layout.index.path, remedy=_CHANGED)


_CHANGED = "The files changed while they were read: a training run may be writing here. Try again."


def _size_of(path: str) -> int | None:
    identity = file_identity(path)
    return None if identity is None else identity.nbytes


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
        from ckread.readers.arrays import check_places, put_strings, read_whole

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
        from ckread.readers import arrays

        record = self._layout.record(key)
        extents = self._layout.extents(key)
        ranges = slices.index_ranges(index, record.shape)
        if extents is not None:
            arrays.check_places(extents, self._open)
            part = self._empty(key, [len(wanted) for wanted in ranges])
            arrays.read_part(extents, ranges, part, self._open)
        else:
            # The ellipsis keeps a scalar an array.
            wanted: Any = (*slices.as_slices(ranges), ...)
            part = self.read(key)[wanted]
        return part.reshape(slices.kept_shape(index, part.shape))

    def iter_chunks(self, key: str, nbytes: int) -> Iterator[NDArray[np.generic]]:
        """Yield a plain tensor in C order, verified after the last chunk."""
        from ckread.readers import arrays

        record = self._layout.record(key)
        extents = self._layout.extents(key) or ()
        nbytes = max(nbytes, record.dtype.itemsize)
        return arrays.iter_whole(extents, record.shape, nbytes, self._open)

    def _empty(self, key: str, shape: Sequence[int] | None = None) -> NDArray[Any]:
        """Give an array for a tensor, or for a part of it of another shape."""
        from ckread.readers.arrays import empty_array

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


class BundleEntries(Mapping[str, BundleEntry]):
    """The entries of an index by key, each made when it is asked for."""

    def __init__(self, layout: BundleLayout) -> None:
        self._layout = layout

    def __getitem__(self, key: str) -> BundleEntry:
        """Give the entry of a tensor."""
        return self._layout.entry(key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over keys, in the order of the file."""
        return iter(self._layout.index.tensors)

    def __len__(self) -> int:
        """Count the tensors."""
        return len(self._layout.index.tensors)


TORN_REMEDY = (
    "If a training run is still writing here, try again in a moment. If not, go\n"
    "back to the checkpoint before it."
)


def open_index(prefix: str, memo: IndexMemo | None = None) -> BundleIndex:
    """Read the index of `prefix`; once more if it changed while it was read.

    Args:
        prefix: of the checkpoint.
        memo: indexes of the same run, which may be alike.

    Raises:
        CheckpointNotFoundError: there is none, and no data shard either.
        TruncatedFileError: it is absent or short beside a data shard.
        NotACheckpointError: it is no table.
        CorruptCheckpointError: it contradicts the format.
        UnsupportedFeatureError: it wants another version of the reader.
    """
    path = prefix + ".index"
    before = file_identity(path)
    try:
        return read_bundle_index(path, memo)
    except CheckpointError as error:
        if file_identity(path) == before:
            raise _torn(prefix, error) from None
    try:
        return read_bundle_index(path)
    except CheckpointError as error:
        raise _torn(prefix, error) from None


def _torn(prefix: str, error: CheckpointError) -> CheckpointError:
    """Give the error of a torn save, if data shards make it one."""
    kinds = CheckpointNotFoundError, TruncatedFileError, NotACheckpointError
    families = present_shards(prefix) if isinstance(error, kinds) else {}
    if not families:
        return error
    found = error.told
    if isinstance(error, CheckpointNotFoundError):
        num_shards = min(families)
        shard = os.path.basename(shard_path(prefix, min(families[num_shards]), num_shards))
        found = f"absent beside {shard}"
    return TruncatedFileError(
        f"{found}, being written or torn",
        kind=ErrorKind.TORN,
        path=prefix + ".index",
        name=f"{os.path.basename(prefix)}.index",
        place=error.places,
        remedy=TORN_REMEDY,
    )
