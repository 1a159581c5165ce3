"""Reading tensors that lie in extents, one way for all formats; the rest each decodes itself.

numpy is imported by what gives arrays: lists, extents, small values and strings do without.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ckread.errors import CheckpointError, UsageError, VariableNotFoundError
from ckread.readers.contract import CHUNK_NBYTES, Closing, DataType, Format, shown
from ckread.readers.extents import open_shard, read_extent
from ckread.readers.files import KeptOpen, file_identity
from ckread.readers.slices import index_ranges, kept_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.contract import Extent, FileIdentity, Index, StoredFile, TensorRecord
    from ckread.readers.files import RegularFile

T = TypeVar("T")

MAX_OPEN_SHARDS = 64


class ExtentReader(Closing):
    """A `CheckpointReader`; what its methods promise is told there.

    A format sets `_tensors` and gives `files`, `extents` where tensors have some, and
    `_decode` for what lies in none. It may know better ways to a part, to chunks and to strings.
    """

    is_closed: bool = False
    is_tensorflow = False
    lies_alike: bool = False
    _tensors: Mapping[str, TensorRecord]
    _shards: KeptOpen | None = None
    """Made with the first that is opened: of very many checkpoints few are read at a time."""

    def __init__(self, path: str, layout: Format) -> None:
        """Open nothing yet."""
        self.path = path
        self.format = layout

    @property
    def tensors(self) -> Mapping[str, TensorRecord]:
        """Every tensor by key."""
        return self._tensors

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about the files; here nothing."""
        return ()

    @property
    def n_blocks(self) -> int | None:
        """Blocks of the index; here there is none."""
        return None

    def files(self) -> tuple[StoredFile, ...]:
        """Give the files of the checkpoint."""
        raise NotImplementedError

    def identities(self) -> dict[str, FileIdentity | None]:
        """Give what its files are."""
        return {
            file.path: None if file.nbytes is None else file_identity(file.path)
            for file in self.files()
        }

    def has_changed(self) -> bool:
        """Tell whether what was listed is not there any more; here nobody knows."""
        return False

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where the plain bytes of a tensor lie; here nowhere."""
        self._record(key)
        return None

    def verify_container(self, key: str | None = None) -> None:
        """Verify what one checksum covers for all tensors; here there is none."""

    def verify_structure(self) -> None:
        """See that the library of the format finds its way too; here there is none."""

    def check_open(self) -> None:
        """See that values may be read."""
        if self.is_closed:
            raise UsageError(
                "the checkpoint was closed, its values are not read any more",
                path=self.path,
                remedy="Open it again, or close it later.",
            )

    def close(self) -> None:
        """Close the files for good."""
        self.is_closed = True
        self._close_shards()

    def _close_shards(self) -> None:
        if self._shards is not None:
            self._shards.close()
            self._shards = None

    def read_bytes(self, key: str) -> bytes:
        """Give the bytes of a small plain tensor."""
        return self._settled(key, self._bytes)

    def read_strings(self, key: str) -> list[bytes]:
        """Give the elements of a string tensor."""
        dtype = self._record(key).dtype
        if dtype.is_plain:
            raise UsageError(str(dtype), place=shown(key), expected="strings")
        self.verify_container(key)
        return self._settled(key, self._strings)

    def read(self, key: str) -> NDArray[np.generic]:
        """Give a whole tensor."""
        self.verify_container(key)
        return self._settled(key, self._whole)

    def read_slice(self, key: str, index: Index) -> NDArray[np.generic]:
        """Give a part of a tensor."""
        return self._settled(key, partial(self._part, index=index), is_verified=False)

    def iter_chunks(self, key: str, nbytes: int = CHUNK_NBYTES) -> Iterator[NDArray[np.generic]]:
        """Yield a tensor in C order."""
        from ckread.readers.arrays import iter_whole

        self.verify_container(key)
        extents = self.extents(key)
        if extents is None:
            yield from self._decode_chunks(key, nbytes)
            return
        record = self._record(key)
        nbytes = max(nbytes, record.dtype.itemsize)
        yield from iter_whole(extents, record.shape, nbytes, self._open)

    # What a format may say of itself.

    def _decode(self, key: str) -> NDArray[np.generic]:
        """Give a whole tensor that lies in no extents."""
        raise NotImplementedError

    def _decode_part(self, key: str, index: Index) -> NDArray[np.generic]:
        """Give a part of such a tensor."""
        from ckread.readers.arrays import part_of

        return part_of(self._decode(key), index)

    def _decode_chunks(self, key: str, nbytes: int) -> Iterator[NDArray[np.generic]]:
        """Yield such a tensor in C order."""
        from ckread.readers.arrays import chunks_of

        whole = self.read(key)
        yield from [whole.reshape(-1)] if whole.dtype.hasobject else chunks_of(whole, nbytes)

    def _strings(self, key: str) -> list[bytes]:
        """Give the elements of a tensor that holds strings."""
        strings: list[bytes] = self._decode(key).reshape(-1).tolist()
        return strings

    def _settled(self, key: str, read: Callable[[str], T], *, is_verified: bool = True) -> T:
        """Give what `read` gives of a tensor; a format may try again if its files changed."""
        return read(key)

    def _located(self, error: CheckpointError, key: str) -> CheckpointError:
        """Give an error about a tensor with the names of the file and of the tensor."""
        return error.within(shown(key), path=error.path or self.path)

    # What is the same in all.

    def _record(self, key: str) -> TensorRecord:
        try:
            return self.tensors[key]
        except KeyError:
            raise VariableNotFoundError(f"no tensor {shown(key)}", path=self.path) from None

    def _bytes(self, key: str) -> bytes:
        extents = self.extents(key)
        if extents is None or len(extents) != 1:
            if self._record(key).dtype is DataType.STRING:
                raise UsageError("a string tensor", place=shown(key), expected="plain numbers")
            return self._whole(key).tobytes()
        return read_extent(extents[0], self._open(extents[0].path))

    def _whole(self, key: str) -> NDArray[np.generic]:
        from ckread.readers import arrays

        extents = self.extents(key)
        if extents is None:
            return self._decode(key)
        arrays.check_places(extents, self._open)
        whole = self._empty(key, self._record(key).shape)
        arrays.read_whole(extents, whole, self._open)
        return whole

    def _part(self, key: str, index: Index) -> NDArray[np.generic]:
        from ckread.readers import arrays

        extents = self.extents(key)
        if extents is None:
            return self._decode_part(key, index)
        arrays.check_places(extents, self._open)
        ranges = index_ranges(index, self._record(key).shape)
        part = self._empty(key, [len(wanted) for wanted in ranges])
        arrays.read_part(extents, ranges, part, self._open)
        return part.reshape(kept_shape(index, part.shape))

    def _empty(self, key: str, shape: Sequence[int]) -> NDArray[Any]:
        """Give an array for a tensor, or for a part of it."""
        from ckread.readers.arrays import empty_array

        try:
            return empty_array(shape, self._record(key).dtype)
        except CheckpointError as error:
            raise self._located(error, key) from None

    def _open(self, path: str) -> RegularFile:
        shards = self._shards
        if shards is None:
            shards = self._shards = KeptOpen()
        shard = shards.get(path)
        if shard is None:
            if len(shards) >= MAX_OPEN_SHARDS:
                shards.clear()  # a stream that still reads one keeps it open
            shard = shards[path] = open_shard(path)
        return shard
