"""One variable of a checkpoint: what it is called, what it is, and its values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn

from ckread.errors import UsageError
from ckread.model.indexing import resolve_index
from ckread.model.scalars import decode_number, is_number
from ckread.readers.contract import CHUNK_NBYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from ckread.model.identity import Identity
    from ckread.model.role import Role
    from ckread.readers.contract import CheckpointReader, Extent, TensorRecord
    from ckread.readers.dtypes import DataType


class Variable:
    """A lazy variable: nothing is read until its values are asked for.

    `numpy.asarray(variable)` gives the whole array, `variable[0:2, ...]` a part of it.

    Example:
        >>> checkpoint = ckread.open("fixtures/digits_run/ckpt-10")
        >>> bias = checkpoint["logits/bias"]
        >>> bias
        <ckread.Variable 'logits/bias' float32 (10,)>
        >>> bias.dtype == "float32", bias.nbytes, str(bias.role), bias.trainable
        (True, 40, 'weight', True)
        >>> bias.numpy().round(3)[:4]
        array([ 0.003,  0.012, -0.037,  0.016], dtype=float32)
        >>> checkpoint["conv1/kernel"][0, :, 0, :4].shape
        (3, 4)
    """

    __slots__ = ("_identity", "_reader", "_record")

    def __init__(self, record: TensorRecord, identity: Identity, reader: CheckpointReader) -> None:
        self._record = record
        self._identity = identity
        self._reader = reader

    def __repr__(self) -> str:
        """Show name, type and shape, not values."""
        return f"<ckread.Variable {self.name!r} {self.dtype} {self.shape}>"

    @property
    def record(self) -> TensorRecord:
        """What the file lists of it."""
        return self._record

    @property
    def identity(self) -> Identity:
        """Who it is: name, role and relations."""
        return self._identity

    @property
    def name(self) -> str:
        """What the program that made it called it; unique in the checkpoint."""
        return self._identity.name

    @property
    def key(self) -> str:
        """The checkpoint key it is stored under."""
        return self._record.key

    @property
    def dtype(self) -> DataType:
        """Element type; a string that equals TensorFlow's name for it."""
        return self._record.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each dimension; empty for a scalar."""
        return self._record.shape

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self._record.shape)

    @property
    def nbytes(self) -> int:
        """Bytes it takes in the file."""
        return self._record.nbytes

    @property
    def role(self) -> Role:
        """What it is for."""
        return self._identity.role

    @property
    def trainable(self) -> bool | None:
        """Whether training moves it; None where the files do not say."""
        return self._identity.trainable

    @property
    def owner(self) -> str | None:
        """Name of the variable that a slot, average or alias belongs to."""
        return self._identity.owner

    @property
    def slot(self) -> str | None:
        """The writer's word for a slot, such as `momentum`."""
        return self._identity.slot

    @property
    def paths(self) -> tuple[str, ...]:
        """Other paths to the same object in the object graph."""
        return self._identity.paths

    @property
    def crc32c(self) -> int | None:
        """Unmasked CRC-32C of the stored bytes, where the format keeps one per tensor."""
        return self._record.crc32c

    @property
    def shard(self) -> int | None:
        """Number of the data shard; None where slices lie in several or there is none."""
        return self._record.shard

    @property
    def offset(self) -> int | None:
        """First byte in that shard, or None likewise."""
        return self._record.offset

    def extents(self) -> tuple[Extent, ...] | None:
        """Give where its plain bytes lie on disk, None if they lie nowhere plainly."""
        return self._reader.extents(self.key)

    def readable_extents(self) -> tuple[Extent, ...] | None:
        """Give `extents` to read all of; that of an archive are verified first, once.

        Raises:
            ChecksumError: the archive is damaged.
            UsageError: the checkpoint was closed.
        """
        self._opened().verify_container()
        return self._reader.extents(self.key)

    def numpy(self) -> NDArray[np.generic]:
        """Read it whole, verified by its checksum where the format keeps one.

        Returns:
            An array of `shape` in the stored type, 0-d for a scalar; strings are an
            object array of bytes.

        Raises:
            ChecksumError: the bytes are damaged.
            TruncatedFileError: the shard ends before them.
            MissingShardError: the shard is not there.
            UnsupportedFeatureError: the type has no array form.
            UsageError: the checkpoint was closed.
        """
        return self._opened().read(self.key)

    def read(self, index: Any = ...) -> NDArray[np.generic]:
        """Read a part, only the bytes it needs; a part is not verified by a checksum.

        Args:
            index: a numpy index of integers, slices and at most one ellipsis.

        Raises:
            UsageError: the index does not fit the shape, or the checkpoint was closed.
            CheckpointError: as for `numpy`.
        """
        return self._opened().read_slice(self.key, resolve_index(index, self.shape, self.name))

    def __getitem__(self, index: Any) -> NDArray[np.generic]:
        """Read a part; as `read`."""
        return self.read(index)

    __iter__ = None
    """It is not iterated: each row would be a read of its own; `numpy()` is."""

    def chunks(self, nbytes: int = CHUNK_NBYTES) -> Iterator[NDArray[np.generic]]:
        """Yield all elements in C order as 1-D arrays of at most `nbytes` bytes.

        An array is valid until the next one is asked for. The checksum is verified
        after the last one: what was computed from them is void if that raises.

        Raises:
            CheckpointError: as for `numpy`.
        """
        return self._opened().iter_chunks(self.key, nbytes)

    def scalar(self) -> int | float | bool:
        """Give the value of a numeric scalar, without numpy.

        Raises:
            UsageError: it is not a scalar of a plain Python number type.
            CheckpointError: as for `numpy`.
        """
        if not is_number(self.dtype) or self.elements != 1:
            message = f"{self.name}: {self.dtype} of shape {self.shape} is not a number"
            raise UsageError(message)
        return decode_number(self._opened().read_bytes(self.key), self.dtype)

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.generic]:
        """Give the whole array to numpy."""
        import numpy as np

        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def _opened(self) -> CheckpointReader:
        self._reader.check_open()
        return self._reader

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled with a `TypeError` that says what pickles."""
        raise TypeError(f"{self.name}: pickle its Checkpoint, or variable.numpy(), instead")

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of a variable in JSON documents."""
        crc32c = self.crc32c
        return {
            "name": self.name,
            "key": self.key,
            "dtype": str(self.dtype),
            "shape": list(self.shape),
            "elements": self.elements,
            "nbytes": self.nbytes,
            "role": str(self.role),
            "trainable": self.trainable,
            "owner": self.owner,
            "slot": self.slot,
            "paths": list(self.paths),
            "crc32c": None if crc32c is None else f"{crc32c:08x}",
            "shard": self.shard,
            "offset": self.offset,
        }
