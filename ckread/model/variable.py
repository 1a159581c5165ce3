"""One variable of a checkpoint: what it is called, what it is, and its values."""

from __future__ import annotations

import math
import re
import struct
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ckread.errors import UsageError
from ckread.model.display import Field, Kind, document
from ckread.readers.contract import CHUNK_NBYTES, DOTTED, Extent

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import EllipsisType

    import numpy as np
    from numpy.typing import DTypeLike, NDArray

    from ckread.model.evidence import Identity
    from ckread.model.role import Role
    from ckread.readers.contract import CheckpointReader, DataType, Index, TensorRecord


class VariableKind(NamedTuple):
    """What variables may have in common: role, training, type, shape and stored bytes."""

    role: Role
    trainable: bool | None
    dtype: DataType
    shape: tuple[int, ...]
    nbytes: int

    @property
    def elements(self) -> int:
        """How many numbers one of them holds."""
        return math.prod(self.shape)


def kinds_of(variables: Iterable[Variable]) -> dict[VariableKind, int]:
    """Count variables by kind, in the order in which kinds are met."""
    pairs = ((variable._identity, variable._record) for variable in variables)
    found = Counter((who.role, who.trainable, *record[1:4]) for who, record in pairs)
    return {VariableKind(*kind): n for kind, n in found.items()}


class Variable:
    """A lazy variable: nothing is read until its values are asked for.

    `numpy.asarray(variable)` gives the whole array, `variable[0:2, ...]` a part of it;
    `float`, `int` and, of whole numbers, `operator.index` the value of one number. It is
    always true, whatever its values are.

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
        >>> bias.ndim, bias.size, len(bias), int(checkpoint["optimizer/iterations"])
        (1, 10, 10, 900)
        >>> kernel = checkpoint["optimizer/conv1/kernel/momentum"]
        >>> kernel.owner, kernel.slot, kernel.scopes, kernel.key == kernel.record.key
        ('conv1/kernel', 'momentum', 'optimizer/conv1/kernel/momentum', True)
        >>> kernel.paths, kernel.tied, kernel.crc32c == kernel.record.crc32c
        ((), (), True)
        >>> kernel.identity.name, kernel.reader.is_closed
        ('optimizer/conv1/kernel/momentum', False)
        >>> kernel.shard, kernel.offset, kernel.extents() == kernel.readable_extents()
        (0, 20, True)
        >>> kernel.read((0, 0)).shape, sum(chunk.size for chunk in kernel.chunks())
        ((1, 16), 144)
        >>> kernel.elements, kernel.dtype.itemsize, kernel.to_dict()["role"]
        (144, 4, 'slot')
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
    def reader(self) -> CheckpointReader:
        """What reads its values."""
        return self._reader

    @property
    def identity(self) -> Identity:
        """Who it is: name, role and relations."""
        return self._identity

    @property
    def name(self) -> str:
        """What the program that made it called it; unique in the checkpoint."""
        return self._identity.name

    @property
    def scopes(self) -> str:
        """Its name with `/` between all scopes, also where its writer puts dots."""
        is_dotted = self._reader.format in DOTTED
        return self.name.replace(".", "/") if is_dotted else self.name

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
    def ndim(self) -> int:
        """How many dimensions it has; 0 of a scalar."""
        return len(self._record.shape)

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self._record.shape)

    @property
    def size(self) -> int:
        """The same, as numpy calls it."""
        return self.elements

    def __len__(self) -> int:
        """Give the size of its first dimension, as numpy does.

        Raises:
            TypeError: it is a scalar.
        """
        if not self.shape:
            raise TypeError(f"{self.name} is a scalar: it has no length")
        return self.shape[0]

    def __bool__(self) -> bool:
        """Be true: an empty one is a variable too, and no value is read for this."""
        return True

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
    def tied(self) -> tuple[str, ...]:
        """Those of `paths` that are a second place in the model, which has one variable there."""
        return self._identity.tied

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
        self._opened().verify_container(self.key)
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
            raise UsageError(message, remedy="Read it as an array: variable.numpy()")
        return decode_number(self._opened().read_bytes(self.key), self.dtype)

    def __float__(self) -> float:
        """Give the value of a scalar; raises as `scalar`."""
        return float(self.scalar())

    def __int__(self) -> int:
        """Give the value of a scalar, its fraction cut off; raises as `scalar`."""
        return int(self.scalar())

    def __index__(self) -> int:
        """Give the value of a scalar that is a whole number by its type.

        Raises:
            TypeError: it is of another type.
            UsageError: it is no scalar.
            CheckpointError: as for `numpy`.
        """
        value = self.scalar()
        if not isinstance(value, int):
            raise TypeError(f"{self.name}: {self.dtype}, expected a whole number")
        return int(value)

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
        return document(VARIABLE_FIELDS, self)


VARIABLE_FIELDS: tuple[Field[Variable], ...] = (
    Field("name", Kind.TEXT),
    Field("key", Kind.TEXT),
    Field("dtype", Kind.TEXT),
    Field("shape", Kind.SHAPE),
    Field("elements", Kind.COUNT),
    Field("nbytes", Kind.COUNT),
    Field("role", Kind.TEXT),
    Field("trainable", Kind.TRUTH),
    Field("owner", Kind.TEXT),
    Field("slot", Kind.TEXT),
    Field("paths", Kind.NESTED, lambda variable: list(variable.paths)),
    Field("crc32c", Kind.TEXT, lambda v: None if v.crc32c is None else f"{v.crc32c:08x}"),
    Field("shard", Kind.NUMBER),
    Field("offset", Kind.NUMBER),
)
"""What is told of a variable: JSON, pandas and the pipe of `ls`."""


def listed(
    variables: Sequence[Variable],
) -> tuple[Sequence[TensorRecord], Sequence[CheckpointReader]]:
    """Give what files list of very many variables, and who reads them, without a call for each."""
    return [one._record for one in variables], [one._reader for one in variables]


def is_whole(variable: Variable) -> bool:
    """Tell whether what its file lists of a variable says that its bytes lie in one piece."""
    record = variable._record
    is_listed = record.crc32c is not None and record.shard is not None and record.dtype.is_plain
    return is_listed and not variable._reader.is_tensorflow


# A number from its bytes, without numpy: for counters and learning rates that `info` shows.

_FORMATS = {
    "float32": "<f", "float64": "<d", "float16": "<e", "bfloat16": "<f",
    "int8": "<b", "int16": "<h", "int32": "<i", "int64": "<q",
    "bool": "<?", "uint8": "<B", "uint16": "<H", "uint32": "<I", "uint64": "<Q",
}  # fmt: skip


def is_number(dtype: DataType) -> bool:
    """Tell whether one element of a type is a plain Python number."""
    return dtype in _FORMATS


def decode_number(data: bytes, dtype: DataType) -> int | float | bool:
    """Give the number that little-endian bytes hold; its type `is_number`."""
    code = _FORMATS[dtype]
    # A bfloat16 is the upper half of a float32.
    value: int | float | bool = struct.unpack(code, data.rjust(struct.calcsize(code), b"\0"))[0]
    return value


def read_numbers(variable: Variable) -> tuple[int | float | bool, ...]:
    """Give the elements of a small variable in C order, without numpy; its type `is_number`."""
    data, dtype = variable._opened().read_bytes(variable.key), variable.dtype
    size = len(data) // max(1, variable.elements)
    if variable.elements and size < struct.calcsize(_FORMATS[dtype]):  # bfloat16
        return tuple(decode_number(data[i : i + size], dtype) for i in range(0, len(data), size))
    return struct.unpack(f"<{variable.elements}{_FORMATS[dtype][1]}", data)


# Numpy-style indices: from text, and checked against a shape.

_SLICED_NAME = re.compile(r"(?P<name>.+?)\[(?P<index>[-+\d:,.\s]*)\]", re.DOTALL)
_REMEDY = "Give integers, ranges as 2:10 or ::2, and ... separated by commas."


def split_index(text: str) -> tuple[str, tuple[Any, ...] | None]:
    """Split `name[1:3, ..., 0]` into name and index; the index is None without brackets."""
    match = _SLICED_NAME.fullmatch(text)
    if match is None:
        return text, None
    body = match["index"].strip()
    items = [item.strip() for item in body.split(",")] if body else []
    if items and not items[-1]:
        items.pop()
    return match["name"], tuple(_parse_item(item, text) for item in items)


def _parse_item(item: str, text: str) -> int | slice | EllipsisType:
    if item == "...":
        return ...
    try:
        if ":" not in item:
            return int(item)
        bounds = [int(part) if part.strip() else None for part in item.split(":")]
        return slice(*bounds)
    except (ValueError, TypeError):
        raise UsageError(f"{text}: {item!r} is not an index", remedy=_REMEDY) from None


def no_index(name: str, brackets: str) -> UsageError:
    """Give the error for what follows a name in brackets and cannot be an index."""
    return UsageError(f"{name}: {brackets} is not an index", remedy=_REMEDY)


def resolve_index(index: Any, shape: tuple[int, ...], name: str) -> Index:
    """Give one non-negative integer or slice with step ≥ 1 per dimension."""
    items = list(index) if isinstance(index, tuple) else [index]
    n_given = sum(item is not ... for item in items)
    if n_given > len(shape) or len(items) - n_given > 1:
        if not shape:
            raise UsageError(f"{name} is a scalar: it takes no index")
        dimensions = "dimension" if len(shape) == 1 else "dimensions"
        indices = "more than one ..." if n_given <= len(shape) else f"{n_given} indices"
        raise UsageError(f"{name} has shape {shape}: {indices} for {len(shape)} {dimensions}")
    fill = [slice(None)] * (len(shape) - n_given)
    at = next((i for i, item in enumerate(items) if item is ...), len(items))
    full = items[:at] + fill + items[at + 1 :]
    return tuple(_resolve_item(item, shape, axis, name) for axis, item in enumerate(full))


def _resolve_item(item: Any, shape: tuple[int, ...], axis: int, name: str) -> int | slice:
    size = shape[axis]
    try:
        if isinstance(item, slice):
            start, stop, step = item.indices(size) if item.step != 0 else (0, 0, 0)
            if step < 1:
                message = f"{name}: step {item.step} in dimension {axis}, expected 1 or more"
                raise UsageError(message)
            return slice(start, max(start, stop), step)
        # To numpy a bool is a mask, not a place.
        position = None if isinstance(item, bool) else int(item.__index__())
    except (AttributeError, TypeError):
        position = None
    if position is None:
        raise UsageError(f"{name}: {item!r} in dimension {axis} is not an index")
    if not -size <= position < size:
        range_of = f"which goes from {-size} to {size - 1}" if size else "which is empty"
        raise UsageError(
            f"{name} has shape {shape}: index {position} is outside dimension {axis}, {range_of}"
        )
    return position % size
