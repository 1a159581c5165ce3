"""An HDF5 file through h5py: its datasets and attributes, nothing that leads out of it.

HDF5 lets a file name other files (external links, external and virtual datasets),
point into itself in circles (soft links) and hide terabytes behind a filter. None
of this occurs in a file that Keras writes, so it is refused before it is followed.
The file is read through a `FileWindow`, so it may lie inside an archive, and past a
guard, since the library loops for ever on some damaged heaps (see `guard`).

Reference: HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

import math
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    ErrorKind,
    NotACheckpointError,
    TruncatedFileError,
    UnsupportedFeatureError,
)
from ckread.readers.budget import over
from ckread.readers.contract import DATA_TYPES, DataType, no_garbage_collection, numpy_dtype
from ckread.readers.hdf5.guard import GuardedWindow
from ckread.readers.hdf5.messages import (
    LAYOUT,
    REFERENCE_NBYTES,
    Blocks,
    DamagedTextError,
    Dataset,
    DeclinedError,
    GlobalHeap,
    is_sound_attribute,
    path_order,
    read_any_messages,
)
from ckread.readers.hdf5.texts import (
    AttributeTooLargeError,
    UnverifiedTextError,
    check_chunks,
    decode,
    encode,
    h5py_module,
    read_references,
    read_text,
    unwritten,
)
from ckread.readers.slices import iter_slabs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.files import FileWindow


_CONTIGUOUS = 1
_UNDEFINED = (1 << 64) - 1
_MAX_CHUNK_NBYTES = 1 << 30
_SMALL_CHUNK_NBYTES = 1 << 10
_MAX_SMALL_CHUNKS = 1 << 16
"""Each takes HDF5 some microseconds, whatever is in it."""
_BOMB_FLOOR_NBYTES = 16 << 20
_MAX_EXPANSION = 1100
_STRINGS_AT_ONCE = 256
_MAX_TEXT_EXPANSION = 20
"""Texts are in memory all at once; other values are streamed."""


_UNWRITTEN = (
    "HDF5 gives a fill value in its place. The save was cut short, or its writer left it out: "
    "use another save."
)


class LibraryFile:
    """An HDF5 file that is open in h5py, read through a window; `name` is for messages."""

    def __init__(self, window: FileWindow, name: str) -> None:
        """Open it."""
        self.path: str = window.path
        self.name = name
        self.window = window
        h5py = h5py_module()
        self._guard = GuardedWindow(window, name)
        with self.guarded("superblock"):
            self._file = h5py.File(self._guard, "r", rdcc_nbytes=16 << 20)
        self._guard.is_opening = False
        self._blocks = Blocks(self._guard.pread, window.nbytes)
        self._datasets: dict[str, Any] = {}

    def close(self) -> None:
        """Close it; the window stays open."""
        self._datasets.clear()
        self._file.close()

    def guarded(self, where: str) -> AbstractContextManager[None]:
        """Turn whatever HDF5 raises about the file into an error that names `where`."""
        return translated(where, self.name, self.window, self._guard)

    def _links(self) -> list[tuple[str, int]]:
        """List every path of the file with what it leads to, groups before what they hold."""
        h5l = h5py_module().h5l
        kinds = {h5l.TYPE_EXTERNAL: "an external link", h5l.TYPE_SOFT: "a soft link"}
        found: list[tuple[bytes, int, int]] = []
        with self.guarded("links"):
            self._file.id.links.visit(
                lambda name, info: found.append((name, info.type, info.u)), info=True
            )
        for name, kind, _ in found:
            if kind != h5l.TYPE_HARD:
                what = kinds.get(kind, "a user-defined link")
                self._refuse(
                    decode(name),
                    f"is {what}, expected a group or dataset of this file",
                    ErrorKind.LEADS_OUT if kind == h5l.TYPE_EXTERNAL else None,
                )
        links = [(decode(name), address) for name, _, address in found]
        return sorted(links, key=lambda link: path_order(link[0]))

    def ready(self) -> None:
        """Do nothing: it is open."""

    @no_garbage_collection()
    def datasets(self) -> list[Dataset | str]:
        """List every dataset, and of every group its path."""
        h5d, h5o = h5py_module().h5d, h5py_module().h5o
        found: list[Dataset | str] = []
        known: dict[Any, tuple[Dataset, int]] = {}
        for path, address in self._links():
            with self.guarded(repr(path)):
                item = h5o.open(self._file.id, encode(path))
            if not isinstance(item, h5d.DatasetID):
                found.append(path)
                continue
            kind, place = self._kind(address)
            if kind in known:  # h5py takes ten times as long to tell as HDF5 to open it
                one, base = known[kind]
                found.append(one._replace(path=path, offset=place + base, address=address))
                continue
            one = self._listed(path, item)
            if kind is not None and one.offset is not None and one.address == address:
                known[kind] = one, one.offset - place
            found.append(one)
        return found

    def _kind(self, address: int) -> tuple[tuple[tuple[int, bytes], ...] | None, int]:
        """Give what a header says but where its values lie, None if they lie nowhere plainly."""
        with suppress(CheckpointError, DeclinedError, struct.error, IndexError, OverflowError):
            messages = read_any_messages(self._blocks, address)
            for i, (kind, data) in enumerate(messages):
                if kind == LAYOUT and data[0] in (3, 4) and data[1] == _CONTIGUOUS:
                    place = int.from_bytes(data[2:10], "little")
                    messages[i] = kind, data[:2] + data[10:]
                    return (None if place == _UNDEFINED else tuple(messages)), place
        return None, 0

    def verify(self, paths: Sequence[str], through_all: bool) -> None:
        """Open some objects, as the programs do that read them, or go through all of them too."""
        h5o = h5py_module().h5o
        if through_all:
            with self.guarded("objects"):  # empty groups too
                h5o.visit(self._file.id, lambda _: None)
        for path in paths:
            with self.guarded(repr(path)):
                h5o.open(self._file.id, encode(path) or b"/")

    def _listed(self, path: str, item: Any) -> Dataset:
        h5d = h5py_module().h5d
        with self.guarded(repr(path)):
            layout = item.get_create_plist()
            kind = layout.get_layout()
            if kind == h5d.VIRTUAL:
                found = "is a virtual dataset, whose values lie in other files"
                self._refuse(path, found, ErrorKind.LEADS_OUT)
            if layout.get_external_count():
                found = "is an external dataset, whose values lie in another file"
                self._refuse(path, found, ErrorKind.LEADS_OUT)
            label = self._attribute_of(item, "dtype") if item.dtype.kind == "V" else None
            stored = stored_type(item.dtype, label if isinstance(label, str) else "")
            if stored.has_references:
                self._refuse(path, "is a dataset of object references, expected numbers")
            shape = (0,) if item.shape is None else tuple(int(size) for size in item.shape)
            nbytes, offset = item.get_storage_size(), item.get_offset()
        if kind == h5d.CHUNKED:
            chunk = math.prod(layout.get_chunk()) * item.dtype.itemsize
            if chunk > _MAX_CHUNK_NBYTES:
                limit = f"expected at most {_MAX_CHUNK_NBYTES}"
                self._refuse(path, f"has chunks of {chunk} bytes, {limit}")
            if 0 < chunk < _SMALL_CHUNK_NBYTES and nbytes > _MAX_SMALL_CHUNKS * chunk:
                found = f"is cut into {nbytes // chunk} chunks of {chunk} bytes"
                self._refuse(path, f"{found}, expected at most {_MAX_SMALL_CHUNKS} of that size")
        is_text = stored.dtype is DataType.STRING
        itemsize = stored.dtype.itemsize
        if is_text:  # of varying length it is a reference
            text = h5py_module().check_string_dtype(item.dtype)
            itemsize = 0 if text is None else text.length or REFERENCE_NBYTES
        logical = math.prod(shape) * itemsize
        is_written = kind == h5d.COMPACT or bool(nbytes) or not logical
        if kind != h5d.CHUNKED and stored.dtype.is_plain and is_written:
            nbytes = logical
        is_bare = kind == h5d.CONTIGUOUS and stored.dtype.is_plain  # the file must have them all
        most = nbytes if is_bare else min(nbytes, self.window.nbytes)
        expansion = _MAX_TEXT_EXPANSION if is_text else _MAX_EXPANSION
        if is_written and logical > max(_BOMB_FLOOR_NBYTES, expansion * most):
            what = f"{logical} bytes of values in {most} stored bytes"
            raise CorruptCheckpointError(
                f"{path!r} holds {what}, a decompression bomb", path=self.path, name=self.name
            )
        if kind != h5d.CONTIGUOUS or not stored.dtype.is_plain or not nbytes:
            offset = None
        with self.guarded(repr(path)):
            address = _address(item)
        return Dataset(path, stored.dtype, shape, nbytes, offset, stored.big_endian, address)

    def _refuse(
        self, path: str, what: str, kind: ErrorKind | None = None, remedy: str | None = None
    ) -> None:
        file: dict[str, Any] = {"path": self.path, "name": self.name}
        raise UnsupportedFeatureError(f"{path!r} {what}", kind=kind, remedy=remedy, **file)

    def dataset(self, path: str) -> Any:
        """Open a listed dataset with h5py, whose values are all in the file."""
        if path not in self._datasets:
            with self.guarded(repr(path)):
                found = self._file[encode(path)]
                layout, h5z = found.id.get_create_plist(), h5py_module().h5z
                for i in range(layout.get_nfilters()):  # what HDF5 lacks is no damage
                    number, _, _, name = layout.get_filter(i)
                    if not h5z.filter_avail(number):
                        called = f" ({decode(name)})" if name else ""
                        packed = f"is packed by filter {number}{called}, which HDF5 lacks here"
                        remedy = (
                            "Read it with h5py and hdf5plugin, and save it without that filter."
                        )
                        self._refuse(path, packed, remedy=remedy)
                missing = unwritten(found.id)
                check_chunks(found.id)
            if missing is not None:
                raise CorruptCheckpointError(
                    missing, path=self.path, name=self.name, place=repr(path), remedy=_UNWRITTEN
                )
            self._datasets[path] = found
        return self._datasets[path]

    def chunk_shape(self, path: str) -> tuple[int, ...] | None:
        """Give the shape of the chunks of a dataset, None if it has none."""
        shape: tuple[int, ...] | None = self.dataset(path).chunks
        return shape

    def values(self, dataset: Dataset, index: tuple[Any, ...]) -> NDArray[np.generic]:
        """Give a part of a dataset of numbers."""
        import numpy as np

        source, wanted = self.dataset(dataset.path), numpy_dtype(dataset.dtype)
        with self.guarded(repr(dataset.path)):
            values = np.asarray(source[index if dataset.shape else ()])
        return (
            values.view(wanted) if values.dtype.kind == "V" else values.astype(wanted, copy=False)
        )

    def strings(self, dataset: Dataset, max_nbytes: int) -> list[bytes]:
        """Give the elements of a dataset of texts in C order."""
        where = repr(dataset.path)
        source = self.dataset(dataset.path)
        text = h5py_module().check_string_dtype(source.id.dtype)
        if text is not None and text.length is None:
            with self.guarded(where):
                references = read_references(source.id, self._guard, dataset.address)
                return GlobalHeap(self._guard, max_nbytes).texts(references)
        nbytes = math.prod(dataset.shape) * source.dtype.itemsize
        if nbytes > max_nbytes:
            file: dict[str, Any] = {"path": self.path, "name": self.name, "place": where}
            raise over(max_nbytes, "bytes of text", nbytes, **file)
        strings: list[bytes] = []
        for slab in iter_slabs(dataset.shape, _STRINGS_AT_ONCE):
            with self.guarded(where):
                value = source[tuple(slice(*bounds) for bounds in slab)]
            items = [value] if isinstance(value, bytes | str) else value.ravel().tolist()
            strings += [item if isinstance(item, bytes) else str(item).encode() for item in items]
        return strings

    def attribute(self, path: str, name: str) -> str | list[str] | None:
        """Give a text attribute, or a list of texts; None where there is none."""
        with self.guarded(repr(path)):
            item = h5py_module().h5o.open(self._file.id, encode(path) or b"/")
        return self._attribute_of(item, name)

    def _attribute_of(self, item: Any, name: str) -> str | list[str] | None:
        where = f"attribute {name!r}"
        with self.guarded(where):
            address = _address(item)
        with self.guarded(where):
            is_sound = is_sound_attribute(self._guard, address, name)
            return read_text(item, name, is_sound=is_sound)


def _address(item: Any) -> int:
    """Give where an object lies; `h5o.get_info` would also walk its trees, even in circles."""
    low, high = h5py_module().h5g.get_objinfo(item).objno
    address: int = low | high << 64
    return address


# What HDF5's library raises about a file, as errors of this library.

_RAISED = (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError, OverflowError)
"""What h5py raises about a file that it cannot read."""
_DAMAGE = (AttributeTooLargeError, DamagedTextError)
_UNSEEN = (UnverifiedTextError, DeclinedError)
_FOUND_UNSEEN = "texts of variable length that cannot be found beforehand"


@contextmanager
def translated(where: str, name: str, window: FileWindow, guard: GuardedWindow) -> Iterator[None]:
    """Turn whatever is raised about an HDF5 file into an error that names `where`."""
    try:
        yield
    except CheckpointError:
        raise
    except (*_DAMAGE, *_UNSEEN, *_RAISED) as error:
        raise guard.refusal or _own(error, where, name, window) from None
    if guard.refusal is not None:
        raise guard.refusal


_SUPERBLOCK_NBYTES = 48
"""Of the shortest kind that there is."""


def _own(error: Exception, place: str, name: str, window: FileWindow) -> CheckpointError:
    """Give our error for one of h5py, which tells one cause from another by its words alone."""
    file: dict[str, Any] = {"path": window.path, "name": name}
    if isinstance(error, _DAMAGE):
        return CorruptCheckpointError(str(error), place=place, **file)
    if isinstance(error, _UNSEEN):
        return UnsupportedFeatureError(_FOUND_UNSEEN, place=place, **file)
    text = " ".join(str(error).split())
    is_cut = place == "superblock" and 8 <= window.nbytes < _SUPERBLOCK_NBYTES
    if is_cut or "truncated file" in text or "addr overflow" in text:
        found = f"the file ends at byte {window.nbytes}, HDF5 expects more"
        return TruncatedFileError(found, place=place, **file)
    if "file signature not found" in text:
        return NotACheckpointError("no HDF5 signature", **file)
    found = f"HDF5 cannot read it, {text[:200] or 'no reason given'}"
    return CorruptCheckpointError(found, place=place, **file)


# The element types of HDF5 datasets, as Keras writes them.
#
#     little- and big-endian integers and floats, complex pairs, enum bool   plain
#     opaque of 2 bytes with the attribute `dtype` = "bfloat16"              bfloat16
#     strings of fixed or variable length                                    strings
#     object and region references                                           refused
#
# float8 layers store float32. Packed int4 is stored as int8: only the layer's
# configuration tells (see `keras.config`).
#
# Reference: HDF5 File Format Specification, IV.A.2.d, the Datatype Message.

_PLAIN = {
    "f2": DataType.FLOAT16, "f4": DataType.FLOAT32, "f8": DataType.FLOAT64,
    "i1": DataType.INT8, "i2": DataType.INT16, "i4": DataType.INT32, "i8": DataType.INT64,
    "u1": DataType.UINT8, "u2": DataType.UINT16, "u4": DataType.UINT32, "u8": DataType.UINT64,
    "c8": DataType.COMPLEX64, "c16": DataType.COMPLEX128, "b1": DataType.BOOL,
}  # fmt: skip
_OPAQUE: dict[str, DataType] = {
    dtype: dtype for dtype in DATA_TYPES.values() if dtype.code[:1].isalpha()
}


class StoredType(NamedTuple):
    """How the elements of a dataset are stored; `UNKNOWN` is what no tensor holds."""

    dtype: DataType
    big_endian: bool = False
    has_references: bool = False


def stored_type(stored: np.dtype[Any], label: str) -> StoredType:
    """Tell the element type from h5py's numpy type and the attribute `dtype` of the dataset."""
    import h5py

    if h5py.check_ref_dtype(stored) is not None:
        return StoredType(DataType.UNKNOWN, has_references=True)
    if h5py.check_string_dtype(stored) is not None:
        return StoredType(DataType.STRING)
    if stored.kind == "V" and stored.names is None and stored.subdtype is None:
        dtype = _OPAQUE.get(label, DataType.UNKNOWN)
        return StoredType(dtype if dtype.itemsize == stored.itemsize else DataType.UNKNOWN)
    dtype = _PLAIN.get(stored.str[1:], DataType.UNKNOWN)
    return StoredType(dtype, big_endian=stored.str[0] == ">")
