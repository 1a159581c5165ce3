"""What every reader gives, whatever the format: the contract of this layer.

A reader lists tensors without touching their values, and gives values whole, by
slice or as a stream. Bytes that are read whole are verified where the format
carries a checksum. A key is text; a byte of a key that is not UTF-8 is kept as a
surrogate escape, so that `key.encode(errors="surrogateescape")` is the stored one.
"""

from __future__ import annotations

import gc
import sys
from bisect import bisect_left
from collections.abc import ItemsView, Mapping, ValuesView
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from ckread.errors import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray


_STORED: dict[str, tuple[int, int, str]] = {
    "unknown": (0, 0, ""),
    "float32": (1, 4, "<f4"),
    "float64": (2, 8, "<f8"),
    "int32": (3, 4, "<i4"),
    "uint8": (4, 1, "|u1"),
    "int16": (5, 2, "<i2"),
    "int8": (6, 1, "|i1"),
    "string": (7, 0, ""),
    "complex64": (8, 8, "<c8"),
    "int64": (9, 8, "<i8"),
    "bool": (10, 1, "|b1"),
    "qint8": (11, 1, "|i1"),
    "quint8": (12, 1, "|u1"),
    "qint32": (13, 4, "<i4"),
    "bfloat16": (14, 2, "bfloat16"),
    "qint16": (15, 2, "<i2"),
    "quint16": (16, 2, "<u2"),
    "uint16": (17, 2, "<u2"),
    "complex128": (18, 16, "<c16"),
    "float16": (19, 2, "<f2"),
    "resource": (20, 0, ""),
    "variant": (21, 0, ""),
    "uint32": (22, 4, "<u4"),
    "uint64": (23, 8, "<u8"),
    "float8_e5m2": (24, 1, "float8_e5m2"),
    "float8_e4m3fn": (25, 1, "float8_e4m3fn"),
    "float8_e4m3fnuz": (26, 1, "float8_e4m3fnuz"),
    "float8_e4m3b11fnuz": (27, 1, "float8_e4m3b11fnuz"),
    "float8_e5m2fnuz": (28, 1, "float8_e5m2fnuz"),
    "int4": (29, 1, "int4"),
    "uint4": (30, 1, "uint4"),
    "int2": (31, 1, "int2"),
    "uint2": (32, 1, "uint2"),
    "float4_e2m1fn": (33, 1, "float4_e2m1fn"),
}
"""Of each type its number in TensorFlow's protos, bytes per element, and numpy's code."""


class DataType(StrEnum):
    """One element type; the value is TensorFlow's name for it, `str(tf.DType)`.

    It equals that name, and the numpy type that values have: `== "float32"`, `== np.float32`,
    `== np.dtype("float32")`. Its hash is that of the name; numpy's types equal names too
    without having their hashes, so that sets and dicts find it by its name.

    Example:
        >>> import numpy as np
        >>> with ckread.open("fixtures/digits_run") as checkpoint:
        ...     dtype = checkpoint["conv1/kernel"].dtype
        >>> dtype == "float32", dtype == np.float32, np.dtype("float32") == dtype
        (True, True, True)
        >>> dtype != np.int32, dtype in {"float32", "float16"}, np.zeros(2, dtype).dtype
        (True, True, dtype('float32'))

    Only the names and sizes: numpy and ml_dtypes are imported when an array is made
    (`numpy_dtype`), so listing a checkpoint needs neither. A checkpoint stores every
    element of the int4, int2 and float4 types in a whole byte. Reference:
    tensorflow/core/framework/types.proto.

    Attributes:
        number: the enum number in TensorFlow's protos; 0 for `UNKNOWN`.
        itemsize: bytes per stored element; 0 where elements have no fixed size.
        code: little-endian numpy type string, or the name of an ml_dtypes type;
            empty where values are not arrays of plain numbers.
    """

    number: int
    itemsize: int
    code: str

    # Enum's own goes through Python, and types are looked up for every variable.
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        """Tell whether it is of this name, or the type of numpy or Python that values have."""
        found: bool = str.__eq__(self, other)
        return self._is_type(other) if found is NotImplemented else found

    def __ne__(self, other: object) -> bool:
        """Tell whether it does not equal: `str` has an answer of its own."""
        found = self.__eq__(other)
        return found if found is NotImplemented else not found

    def _is_type(self, other: object) -> Any:
        numpy = sys.modules.get("numpy")  # nothing is a type of numpy's before it is there
        if numpy is None:
            return NotImplemented
        if not isinstance(other, numpy.dtype):
            numbers = numpy.generic, int, float, complex
            if not isinstance(other, type) or not issubclass(other, numbers):
                return NotImplemented
        return (self.is_plain or self is DataType.STRING) and bool(numpy_dtype(self) == other)

    def __new__(cls, name: str) -> Self:
        """Make a member whose value is the bare name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.number, member.itemsize, member.code = _STORED[name]
        return member

    UNKNOWN = "unknown"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT32 = "int32"
    UINT8 = "uint8"
    INT16 = "int16"
    INT8 = "int8"
    STRING = "string"
    COMPLEX64 = "complex64"
    INT64 = "int64"
    BOOL = "bool"
    QINT8 = "qint8"
    QUINT8 = "quint8"
    QINT32 = "qint32"
    BFLOAT16 = "bfloat16"
    QINT16 = "qint16"
    QUINT16 = "quint16"
    UINT16 = "uint16"
    COMPLEX128 = "complex128"
    FLOAT16 = "float16"
    RESOURCE = "resource"
    VARIANT = "variant"
    UINT32 = "uint32"
    UINT64 = "uint64"
    FLOAT8_E5M2 = "float8_e5m2"
    FLOAT8_E4M3FN = "float8_e4m3fn"
    FLOAT8_E4M3FNUZ = "float8_e4m3fnuz"
    FLOAT8_E4M3B11FNUZ = "float8_e4m3b11fnuz"
    FLOAT8_E5M2FNUZ = "float8_e5m2fnuz"
    INT4 = "int4"
    UINT4 = "uint4"
    INT2 = "int2"
    UINT2 = "uint2"
    FLOAT4_E2M1FN = "float4_e2m1fn"

    @property
    def is_plain(self) -> bool:
        """Whether values are arrays of elements of one fixed size."""
        return self.itemsize > 0


DATA_TYPES: dict[int, DataType] = {member.number: member for member in DataType}
"""TensorFlow's enum number to the type; numbers that are absent are `UNKNOWN`."""


def numpy_dtype(dtype: DataType) -> np.dtype[np.generic]:
    """Give the little-endian numpy type of plain elements, `object` for strings."""
    import numpy as np

    if dtype is DataType.STRING:
        return np.dtype(object)
    if not dtype.is_plain:
        raise KeyError(dtype)
    if not dtype.code[0].isalpha():
        return np.dtype(dtype.code)
    import ml_dtypes

    scalar_type: type[np.generic] = getattr(ml_dtypes, dtype.code)
    return np.dtype(scalar_type)


CHUNK_NBYTES = 512 * 1024
"""Bytes of one chunk of a stream: the flat optimum of statistics and diff kernels."""

Index = tuple[int | slice, ...]
"""A basic numpy index, one item per dimension at most; the rest is taken whole.

Integers and slices (positive step) only: an ellipsis is resolved by the caller.
"""


class Format(StrEnum):
    """The container a checkpoint is kept in."""

    TENSOR_BUNDLE = "tensor_bundle"
    V1_TABLE = "v1_table"
    SAVED_MODEL = "saved_model"
    KERAS_ARCHIVE = "keras_archive"
    KERAS_WEIGHTS = "keras_weights"
    KERAS_WEIGHTS_SHARDED = "keras_weights_sharded"
    LEGACY_HDF5 = "legacy_hdf5"
    HDF5 = "hdf5"
    """A file of numbers that nothing marks as one of Keras."""
    SAFETENSORS = "safetensors"
    NPY = "npy"
    NPZ = "npz"
    PYTORCH = "pytorch"


DOTTED = frozenset({Format.SAFETENSORS, Format.NPY, Format.NPZ, Format.PYTORCH})
"""Formats whose names may have their scopes parted by dots, as PyTorch's have."""

CHECKSUMMED = frozenset(
    {Format.TENSOR_BUNDLE, Format.SAVED_MODEL, Format.V1_TABLE, Format.KERAS_ARCHIVE}
    | {Format.NPZ, Format.PYTORCH}
)
"""Formats that keep a checksum of all values: per tensor, per block, or of all at once."""


class TensorRecord(NamedTuple):
    """One stored tensor, as listed. A named tuple: 100,000 of them are made at once.

    Attributes:
        key: the name it is stored under.
        dtype: its element type.
        shape: its full shape, also where it is stored in slices.
        nbytes: bytes it takes in the file, of all its slices.
        crc32c: unmasked CRC-32C of its stored bytes; None where the format has
            none, or where slices have one each.
        shard: number of the data shard it lies in; None where there is none or
            slices lie in several.
        offset: first byte in that shard, or None likewise.
    """

    key: str
    dtype: DataType
    shape: tuple[int, ...]
    nbytes: int
    crc32c: int | None
    shard: int | None
    offset: int | None


Kind = tuple["DataType", tuple[int, ...], int]
"""Type, shape and bytes of a tensor, which many share."""


class TensorColumns(Mapping[str, TensorRecord]):
    """Very many tensors by key, as columns; a record is made when it is asked for.

    Attributes:
        keys_in_order: the keys, in the order of the file, which is that of their letters.
        kinds: what type, shape and bytes there are.
        kind: of each tensor, which of these; numpy arrays from here on.
        crc32c: as in a record, as the shard and the offset; none is None.
    """

    def __init__(
        self,
        keys: list[str],
        kinds: list[Kind],
        kind: NDArray[np.int32],
        crc32c: NDArray[np.uint32],
        shard: NDArray[np.int32],
        offset: NDArray[np.int64],
    ) -> None:
        self.keys_in_order = keys
        self.kinds = kinds
        self.kind = kind
        self.crc32c = crc32c
        self.shard = shard
        self.offset = offset

    def __len__(self) -> int:
        """Count them."""
        return len(self.keys_in_order)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self.keys_in_order)

    def __getitem__(self, key: str) -> TensorRecord:
        """Make the record of a tensor."""
        at = self.place(key)
        if at is None:
            raise KeyError(key)
        return self.record(at)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is such a tensor."""
        return isinstance(key, str) and self.place(key) is not None

    def place(self, key: str) -> int | None:
        """Give where in the columns a tensor is."""
        at = bisect_left(self.keys_in_order, key)
        return at if at < len(self) and self.keys_in_order[at] == key else None

    def record(self, at: int) -> TensorRecord:
        """Make the record of the tensor at a place."""
        dtype, shape, nbytes = self.kinds[self.kind[at]]
        crc32c, shard, offset = int(self.crc32c[at]), int(self.shard[at]), int(self.offset[at])
        return TensorRecord(self.keys_in_order[at], dtype, shape, nbytes, crc32c, shard, offset)

    def are_built_like(self, others: TensorColumns) -> bool:
        """Tell whether keys, types and shapes are those of others."""
        import numpy as np

        are_alike = self.kinds == others.kinds and np.array_equal(self.kind, others.kind)
        return are_alike and self.keys_in_order == others.keys_in_order

    def structure(self) -> tuple[str, tuple[tuple[DataType, tuple[int, ...]], ...], bytes]:
        """Give what is equal for tensors of equal keys, types and shapes."""
        import numpy as np

        built = [(dtype, shape) for dtype, shape, _ in self.kinds]
        known = {one: number for number, one in enumerate(sorted(set(built)))}
        number = np.array([known[one] for one in built], np.int32)[self.kind]
        return "\n".join(self.keys_in_order), tuple(known), number.tobytes()

    def ends(self) -> dict[int, list[int]]:
        """Give, by the number of the shard, where each tensor in it ends."""
        import numpy as np

        sizes = [nbytes for _, _, nbytes in self.kinds]
        fits = int(self.offset.max()) + max(sizes) < 1 << 63
        ends = self.offset + np.array(sizes, np.int64 if fits else object)[self.kind]
        order = np.argsort(self.shard, kind="stable")
        shards, starts = np.unique(self.shard[order], return_index=True)
        parts = np.split(ends[order], starts[1:])
        return {int(shard): part.tolist() for shard, part in zip(shards, parts, strict=True)}

    def values(self) -> ValuesView[TensorRecord]:
        """Give all records, made as they are gone through."""
        return _Records(self)

    def rows(self) -> Iterator[TensorRecord]:
        """Make one record after the other."""
        make_record = tuple.__new__  # what TensorRecord(...) calls, without the call
        columns = self.kind, self.crc32c, self.shard, self.offset
        cells = zip(self.keys_in_order, *(column.tolist() for column in columns), strict=True)
        for key, kind, *place in cells:
            yield make_record(TensorRecord, (key, *self.kinds[kind], *place))

    def items(self) -> ItemsView[str, TensorRecord]:
        """Give all keys and records, likewise."""
        return _KeysAndRecords(self)


class _Records(ValuesView[TensorRecord]):
    _mapping: TensorColumns

    def __iter__(self) -> Iterator[TensorRecord]:
        return self._mapping.rows()


class _KeysAndRecords(ItemsView[str, TensorRecord]):
    _mapping: TensorColumns

    def __iter__(self) -> Iterator[tuple[str, TensorRecord]]:
        return ((record.key, record) for record in self._mapping.rows())


def checksums_of(tensors: Mapping[str, TensorRecord]) -> Mapping[str, int | None]:
    """Give the CRC-32C of each tensor, None where there is none; without a record of each."""
    quick = getattr(tensors, "checksums", None)
    if quick is not None:
        known: Mapping[str, int | None] = quick()
        return known
    return {key: record.crc32c for key, record in tensors.items()}


class StoredFile(NamedTuple):
    """A file of a checkpoint.

    Attributes:
        path: where it lies.
        nbytes: its size; None where it is absent.
        is_shard: whether it holds tensor data (for HDF5 and V1: always).
    """

    path: str
    nbytes: int | None
    is_shard: bool


class Extent(NamedTuple):
    """Plain bytes of a tensor, or of one slice of it, on disk; a job for any process.

    Attributes:
        path: the file.
        offset: first byte of the tensor's values.
        nbytes: bytes of the values, a multiple of the item size.
        dtype: element type.
        big_endian: whether multi-byte elements are stored in network order.
        crc32c: unmasked CRC-32C of exactly these bytes, or None if not kept.
        region: start and stop per dimension within the whole tensor.
    """

    path: str
    offset: int
    nbytes: int
    dtype: DataType
    big_endian: bool
    crc32c: int | None
    region: tuple[tuple[int, int], ...]


class FileIdentity(NamedTuple):
    """What changes when a file is replaced or written to.

    Of an object at an address `inode` is its ETag or generation, empty where there is none, and
    its time 0 where nothing tells.
    """

    inode: int | str
    nbytes: int
    mtime_ns: int

    @property
    def seconds(self) -> float:
        """When it was last written, seconds since 1970, as the system gives it."""
        whole, rest = divmod(self.mtime_ns, 10**9)
        return whole + 1e-9 * rest


class CheckpointReader(Protocol):
    """Lists and reads the tensors of one checkpoint; a context manager.

    This is all that is asked of a reader; `ExtentReader` has most of it.
    """

    path: str
    """What error messages and titles name: the prefix, or the file."""
    format: Format
    is_closed: bool
    """Whether `close` was called: values are not read any more, lists stay."""
    is_tensorflow: bool
    """Whether TensorFlow reads the values."""
    lies_alike: bool
    """Whether extents of one type and shape in one file differ in nothing but their places."""

    @property
    def tensors(self) -> Mapping[str, TensorRecord]:
        """Every tensor by key, in the order of the file; no value is read."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What had to be decided, or is odd about the files, one sentence each."""
        ...

    @property
    def n_blocks(self) -> int | None:
        """Blocks of the index, each verified when it was read; None where there are none."""
        ...

    def files(self) -> tuple[StoredFile, ...]:
        """Give the files of the checkpoint, index first, absent shards included."""
        ...

    def identities(self) -> dict[str, FileIdentity | None]:
        """Give what each of these files was when it was read, or is, by its path."""
        ...

    def has_changed(self) -> bool:
        """Tell whether what was listed is not there any more, as far as that can be told."""
        ...

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where the plain bytes of a tensor lie, None if they lie nowhere plainly.

        The extents are disjoint and cover the tensor; no data file is opened. Whoever
        reads them whole calls `verify_container` before, and verifies the checksum of each.

        Raises:
            VariableNotFoundError: there is no such tensor.
            CorruptCheckpointError: what the file says of its place is impossible.
        """
        ...

    def check_open(self) -> None:
        """See that values may be read; raise UsageError if the checkpoint was closed."""
        ...

    def verify_container(self, key: str | None = None) -> None:
        """Verify what one checksum covers for several tensors, as that of an archive's member.

        What covers the tensor `key`; of all tensors if none is named.
        Once: what was found then is said each time. `read`, `read_strings` and
        `iter_chunks` do it by themselves. Nothing to do where each tensor has its own.

        Raises:
            CorruptCheckpointError: it is damaged; in which of them cannot be told.
        """
        ...

    def verify_structure(self) -> None:
        """See that the library of the format, which its programs use, finds its way too.

        Nothing to do where there is none, or where every byte is verified anyway.

        Raises:
            CheckpointError: it does not, although all values were found here.
        """
        ...

    def read_bytes(self, key: str) -> bytes:
        """Give the bytes of a small plain tensor, C order, little-endian.

        Verified by the tensor's own checksum if it has one, not by that of an archive:
        a counter is not worth reading all of it.

        Raises:
            UsageError: it holds strings.
            CheckpointError: as for `read`.
        """
        ...

    def read_strings(self, key: str) -> list[bytes]:
        """Give the verified elements of a string tensor, C order.

        Raises:
            UsageError: it holds no strings.
            CheckpointError: as for `read`.
        """
        ...

    def read(self, key: str) -> NDArray[np.generic]:
        """Give the whole verified tensor: always an array, 0-d for a scalar.

        Strings come as an object array of bytes.

        Raises:
            MissingShardError: the file it lies in is not there.
            TruncatedFileError: that file ends before its values do.
            ChecksumError: they are damaged, or the archive they lie in is.
            CorruptCheckpointError: they contradict the format.
            UnsupportedFeatureError: the type has no array form.
            CheckpointError: memory does not hold it.
        """
        ...

    def read_slice(self, key: str, index: Index) -> NDArray[np.generic]:
        """Give a part of a tensor, reading only what it needs where the format allows it.

        What is read in part is not verified.

        Raises:
            CheckpointError: as for `read`.
        """
        ...

    def iter_chunks(self, key: str, nbytes: int = CHUNK_NBYTES) -> Iterator[NDArray[np.generic]]:
        """Yield the tensor in C order as 1-D arrays of at most `nbytes` bytes.

        An array is valid until the next one is asked for. The checksum is
        verified after the last: what was summed before is void if that raises.
        Strings come as one array.

        Raises:
            CheckpointError: as for `read`.
        """
        ...

    def close(self) -> None:
        """Close the files for good: values are not read any more, lists stay."""
        ...


def shown(key: str) -> str:
    """Give a key as it may stand in a message: without control characters, and not endless."""
    text = safe_text(key)
    half = _MAX_SHOWN // 2
    return text if len(text) <= _MAX_SHOWN else f"{text[:half]}…{text[-half:]}"


_MAX_SHOWN = 1000
"""Characters of a key in a message: the longest that people give have some hundreds."""


def few(names: Sequence[str], n: int) -> str:
    """List the first n names, and say how many more there are."""
    more = f" and {len(names) - n:,} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more


class Closing:
    """Gives `with` to a class that has `close`."""

    __slots__ = ()

    def close(self) -> None:
        """Close it; twice does no harm."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Keep it open."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it, whatever happened."""
        self.close()


# The garbage collector, held off while a hundred thousand records are made.


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Hold the collector off where nothing made is garbage, or part of a cycle.

    It would go through all records again and again while they are being made, and
    double the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
