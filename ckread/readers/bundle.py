"""TensorFlow's V2 checkpoint: an index and raw data shards.

    <prefix>.index                 table: names to where tensors lie
    <prefix>.data-00000-of-00002   values one after the other, no header, no magic

Listing needs the index alone. Values are plain bytes in C order at [offset,
offset + size) of a shard, not aligned, with gaps or shared; each tensor has a
CRC-32C of them. Partitioned variables are put together from their slices.

A training run may rewrite the files while they are read: what then does not fit
is read once more, from the new index.

Reference: tensorflow/core/util/tensor_bundle/tensor_bundle.h
"""

from __future__ import annotations

import os
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from ckread.errors import (
    CorruptCheckpointError,
    MissingShardError,
)
from ckread.readers.bundle_entries import BundleEntries
from ckread.readers.bundle_layout import BundleLayout
from ckread.readers.bundle_values import BundleValues
from ckread.readers.closing import ClosingReader
from ckread.readers.contract import CHUNK_NBYTES, Format, StoredFile
from ckread.readers.entry_parser import shown
from ckread.readers.extents import of_tensor
from ckread.readers.open_index import open_index
from ckread.readers.regular_file import file_identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.contract import Extent, Index, TensorRecord
    from ckread.readers.index_memo import IndexMemo
    from ckread.readers.messages import BundleEntry, BundleHeader

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
            name = os.path.basename(self._layout.index.path)
            found = "absent" if new is None else f"{new.dtype} {list(new.shape)}"
            message = (
                f"{name}: {shown(key)}: {found} since the files changed, "
                f"{old.dtype} {list(old.shape)} before"
            )
            raise CorruptCheckpointError(message, path=self._layout.index.path, remedy=_CHANGED)


_CHANGED = "The files changed while they were read: a training run may be writing here. Try again."


def _size_of(path: str) -> int | None:
    identity = file_identity(path)
    return None if identity is None else identity.nbytes
