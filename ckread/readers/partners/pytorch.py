"""PyTorch's archives, `torch.save` since 1.6: a pickle that places tensors in storages.

    X/data.pkl      the pickle (see `pickled`)
    X/data/<key>    one storage, its elements one after the other
    X/byteorder     `little` or `big`; absent before 2.1

A tensor is a storage with offset, shape and strides. Its key is the way to it through the
containers, `model/conv1.weight`; the keys of a state dict have dots of their own.

Reference: torch/serialization.py
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import CorruptCheckpointError, UnsupportedFeatureError
from ckread.readers.budget import Budget
from ckread.readers.contract import DataType, Extent, Format, TensorRecord, shown
from ckread.readers.extents import too_large
from ckread.readers.partners.archive import ArchiveReader
from ckread.readers.partners.pickled import (
    MAX_DEPTH,
    MAX_NBYTES,
    Named,
    Storage,
    TensorRef,
    load,
)
from ckread.readers.zip_members import ZipMembers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_PICKLE = "data.pkl"
_STORAGES = {
    "FloatStorage": DataType.FLOAT32, "DoubleStorage": DataType.FLOAT64,
    "HalfStorage": DataType.FLOAT16, "BFloat16Storage": DataType.BFLOAT16,
    "LongStorage": DataType.INT64, "IntStorage": DataType.INT32, "ShortStorage": DataType.INT16,
    "CharStorage": DataType.INT8, "ByteStorage": DataType.UINT8, "BoolStorage": DataType.BOOL,
    "ComplexFloatStorage": DataType.COMPLEX64, "ComplexDoubleStorage": DataType.COMPLEX128,
}  # fmt: skip
_OWN_NAMES = {"double": DataType.FLOAT64, "float": DataType.FLOAT32, "half": DataType.FLOAT16}
MAX_TENSORS = 1_000_000
MAX_REPEATED = 1 << 24
"""Elements of a tensor that its storage has fewer of: one row may stand for many."""

_INNER = {"_parameters", "_buffers", "_modules"}
"""Where a pickled module keeps what its state dict would have."""


class Placed(NamedTuple):
    """A tensor whose place was checked: elements are counted in its storage.

    Attributes:
        dtype: its element type; `UNKNOWN` where it has no array form.
        shape: size of each dimension.
        member: the member of the archive that holds its storage.
        offset: of its first element.
        strides: elements from one index to the next, per dimension.
        is_contiguous: whether its elements lie one after the other, in C order.
    """

    dtype: DataType
    shape: tuple[int, ...]
    member: str
    offset: int
    strides: tuple[int, ...]
    is_contiguous: bool


class PyTorchArchive(ArchiveReader):
    """The tensors of a `.pt`, `.pth` or `.ckpt` archive.

    Attributes:
        same: key of a tensor to the key of an earlier one that is the very same.
        unloaded: what the pickle would have imported and called besides, with how often.
    """

    def __init__(self, path: str) -> None:
        """Read the pickle.

        Raises:
            CorruptCheckpointError: archive or pickle are damaged, or a tensor leads out of it.
            UnsupportedFeatureError: a member is encrypted, or the pickle too long.
        """
        archive = ZipMembers(path)
        try:
            super().__init__(path, Format.PYTORCH, archive, archive.nbytes)
            pickle = next((one for one in archive.members if one.endswith(_PICKLE)), _PICKLE)
            self._zip = archive
            self._top = pickle.removesuffix(_PICKLE)
            order = self._top + "byteorder"
            self._is_big = (
                order in archive.members and archive.read(order, max_nbytes=64).strip() == b"big"
            )
            try:
                if pickle not in archive.members:
                    raise CorruptCheckpointError("not there")  # noqa: TRY301 - placed below
                self._walk(load(archive.read(pickle, max_nbytes=MAX_NBYTES)))
            except CorruptCheckpointError as error:
                inside = f"member {shown(pickle)!r}"
                raise error.within(inside, path=path, name=archive.name) from None
        except BaseException:
            archive.close()
            raise

    def _walk(self, found: Any) -> None:
        self.unloaded: Counter[str] = Counter()
        self.same: dict[str, str] = {}
        self._placed: dict[str, Placed] = {}
        self._tensors = {}
        first: dict[Placed, str] = {}
        for key, ref in _tensors(found, self.unloaded):
            if key in self._placed:
                key = f"{key}_{len(self._placed)}"
            placed = self._place(key, ref)
            self._placed[key] = placed
            nbytes = math.prod(placed.shape) * placed.dtype.itemsize
            offset = self._byte(placed)
            self._tensors[key] = TensorRecord(
                key, placed.dtype, placed.shape, nbytes, None, 0, offset
            )
            if first.setdefault(placed, key) != key:
                self.same[key] = first[placed]

    def _place(self, key: str, ref: TensorRef) -> Placed:
        storage, offset, shape, strides, kind = ref
        dtype = _STORAGES.get(storage.kind, DataType.UNKNOWN)
        if kind is not None:
            dtype = next((one for one in DataType if one == kind), DataType.UNKNOWN)
            dtype = _OWN_NAMES.get(kind, dtype)
        sizes = (*shape, *strides, offset, storage.n_elements)
        if len(shape) != len(strides) or not all(
            type(one) is int and 0 <= one < 1 << 62 for one in sizes
        ):
            raise CorruptCheckpointError(f"{shown(key)}: no place in a storage")
        member = f"{self._top}data/{storage.key}"
        if member not in self._zip.members:
            raise CorruptCheckpointError(f"{shown(key)}: no member {shown(member)!r}")
        n_elements = math.prod(shape)
        n_held = self._zip.members[member].file_size // max(1, dtype.itemsize)
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if n_elements and dtype.is_plain and last >= n_held:
            raise CorruptCheckpointError(f"{shown(key)}: element {last} of a storage of {n_held}")
        if n_elements > max(n_held, MAX_REPEATED):
            raise CorruptCheckpointError(f"{shown(key)}: {n_elements} elements from {n_held}")
        wanted, is_contiguous = 1, True
        for n, stride in zip(reversed(shape), reversed(strides), strict=True):
            is_contiguous &= n == 1 or stride == wanted
            wanted *= n
        return Placed(dtype, shape, member, offset, strides, is_contiguous or not n_elements)

    def _byte(self, placed: Placed) -> int | None:
        """Give the first byte of a tensor in the archive; None if it lies in no order there."""
        place = self._zip.place(placed.member)
        if place is None or not placed.is_contiguous or not placed.dtype.is_plain:
            return None
        return place[0] + placed.offset * placed.dtype.itemsize

    def member(self, key: str) -> str:
        """Give the member that is the storage of a tensor."""
        return self._placed[key].member

    @property
    def notes(self) -> tuple[str, ...]:
        """Name what the pickle would have made besides tensors and containers."""
        if not self.unloaded:
            return ()
        names = [shown(name)[:80] for name in self.unloaded]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        n = self.unloaded.total()
        what = "1 object is" if n == 1 else f"{n} objects are"
        return (f"{what} named, not loaded: {', '.join(names[:3])}{more}.",)

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where a tensor lies; None where its elements are not in order."""
        record = self._record(key)
        if record.offset is None:
            return None
        region = tuple((0, n) for n in record.shape)
        where = (self.path, record.offset, record.nbytes, record.dtype)
        return (Extent(*where, self._is_big, None, region),)

    def _decode(self, key: str) -> NDArray[np.generic]:
        import numpy as np

        from ckread.readers.contract import numpy_dtype

        placed = self._placed[key]
        if not placed.dtype.is_plain:
            found = "a tensor of a type that has no array form"
            raise self._located(UnsupportedFeatureError(found), key)
        try:
            data = b"".join(self._zip.blocks(placed.member))
            dtype = numpy_dtype(placed.dtype)
            stored = np.frombuffer(data, dtype, len(data) // dtype.itemsize)
            if self._is_big:
                stored = stored.byteswap()
            steps = tuple(stride * dtype.itemsize for stride in placed.strides)
            view = np.lib.stride_tricks.as_strided(
                stored[placed.offset :], placed.shape, steps, writeable=False
            )
            return view.copy(order="C")
        except MemoryError:
            raise too_large(self._record(key).nbytes) from None


def _tensors(found: Any, unloaded: Counter[str]) -> Iterator[tuple[str, TensorRef]]:
    """Yield each tensor with the way to it; a container that is met twice is entered once."""
    seen: set[int] = set()
    pending: list[tuple[str, str, Any]] = [("", "/", found)]
    budget = Budget(MAX_TENSORS, "tensors")
    while pending:
        way, separator, value = pending.pop()
        if isinstance(value, TensorRef):
            budget.take()
            yield way or "tensor", value
            continue
        is_leaf = value is None or isinstance(value, (Storage, str, bytes, int, float))
        if is_leaf or id(value) in seen or way.count(separator) > MAX_DEPTH:
            continue
        seen.add(id(value))
        inner: list[tuple[Any, Any]] = []
        if isinstance(value, Named):
            unloaded[value.name] += 1
            separator = "."  # as in the state dict of a module
            state = value.state if isinstance(value.state, dict) else {}
            inner = [*value.items.items(), *enumerate(value.members), *state.items()]
        elif isinstance(value, dict):
            inner = list(value.items())
        elif isinstance(value, (list, tuple)):
            inner = list(enumerate(value))
        for key, one in reversed(inner):
            if key in _INNER:
                pending.append((way, ".", one))
            else:
                pending.append((f"{way}{separator}{key}" if way else str(key), separator, one))
