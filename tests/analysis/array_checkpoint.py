"""Checkpoints made of arrays, for tests of what lies above the readers."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ckread.model.checkpoint import Checkpoint
from ckread.model.evidence import Evidence, Identity
from ckread.model.role import Role
from ckread.readers.arrays import chunks_of
from ckread.readers.contract import DataType, Extent, Format, StoredFile, TensorRecord
from ckread.readers.crc32c import crc32c
from ckread.readers.extent_reader import ExtentReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

T = TypeVar("T")


class ArrayReader(ExtentReader):
    """The reader's contract over arrays in memory; `n_read` counts arrays that were read."""

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], *, path: str, has_checksums: bool = True
    ) -> None:
        super().__init__(path, Format.TENSOR_BUNDLE)
        self.arrays = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        self.has_checksums = has_checksums
        self.n_read = 0
        self.listed: Mapping[str, TensorRecord] = {
            key: self._listed(key, array) for key, array in arrays.items()
        }

    def _listed(self, key: str, array: NDArray[Any]) -> TensorRecord:
        dtype = DataType.STRING if array.dtype == object else DataType[array.dtype.name.upper()]
        data = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
        checksum = crc32c(data) if self.has_checksums else None
        return TensorRecord(key, dtype, array.shape, len(data), checksum, None, None)

    @property
    def tensors(self) -> Mapping[str, TensorRecord]:
        return self.listed

    def files(self) -> tuple[StoredFile, ...]:
        return ()

    def iter_chunks(self, key: str, nbytes: int = 512) -> Iterator[NDArray[np.generic]]:
        self.n_read += 1
        yield from chunks_of(self.arrays[key], nbytes)

    def _decode(self, key: str) -> NDArray[np.generic]:
        return self.arrays[key]

    def _settled(self, key: str, read: Callable[[str], T], *, is_verified: bool = True) -> T:
        self.n_read += 1
        return read(key)


class FileReader(ArrayReader):
    """The same with the bytes of each array in one file, so that extents can be read."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], *, path: str, directory: str) -> None:
        super().__init__(arrays, path=path)
        handle, self.shard = tempfile.mkstemp(dir=directory)
        self._offsets = {}
        with os.fdopen(handle, "wb") as file:
            for key, array in self.arrays.items():
                file.write(b"\0")  # so that nothing is aligned
                self._offsets[key] = file.tell()
                file.write(array.tobytes())

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        record = self.tensors[key]
        region = tuple((0, size) for size in record.shape)
        offset, checksum = self._offsets[key], record.crc32c
        return (Extent(self.shard, offset, record.nbytes, record.dtype, False, checksum, region),)


def checkpoint(
    arrays: Mapping[str, NDArray[Any]],
    *,
    path: str = "model",
    roles: Mapping[str, Role] | None = None,
    owners: Mapping[str, tuple[str, str]] | None = None,
    names: Mapping[str, str] | None = None,
    has_checksums: bool = True,
    directory: str | None = None,
) -> Checkpoint:
    """Make a checkpoint of arrays by key.

    Args:
        arrays: values by key.
        path: what it is called.
        roles: by name; weights if not said, slots if they have an owner.
        owners: owner and slot word, by name.
        names: names by key, if another.
        has_checksums: whether its index keeps a CRC-32C per tensor.
        directory: where to write the bytes; None keeps them in memory.
    """
    roles, owners, names = roles or {}, owners or {}, names or {}
    identities = {}
    for key in arrays:
        name = names.get(key, key)
        owner, slot = owners.get(name, (None, None))
        role = roles.get(name, Role.SLOT if owner else Role.WEIGHT)
        identities[key] = Identity(name, role, None, owner, slot)
    reader: ArrayReader
    if directory is None:
        reader = ArrayReader(arrays, path=path, has_checksums=has_checksums)
    else:
        reader = FileReader(arrays, path=path, directory=directory)
    return Checkpoint(reader, identities, path=path, evidence=Evidence())
