"""The text attributes of HDF5 objects, and the names of the file as text.

Keras keeps names of layers and weights and a whole model's configuration in
attributes, as bytes or text, of fixed or variable length, by the version of h5py.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import MissingDependencyError
from ckread.readers.hdf5.messages import (
    LAYOUT,
    REFERENCE_NBYTES,
    DamagedTextError,
    DeclinedError,
    read_any_messages,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from ckread.readers.hdf5.messages import Source


MAX_NBYTES = 64 << 20
MAX_ELEMENTS = 1 << 20


class AttributeTooLargeError(Exception):
    """An attribute larger than any that a writer makes; never leaves the readers."""


class UnverifiedTextError(Exception):
    """A text that may claim any size once it is read; never leaves the readers."""


class _Holder(NamedTuple):
    """What h5py's AttributeManager asks of an object."""

    id: Any


def h5py_module() -> ModuleType:
    """Import h5py."""
    try:
        import h5py
    except ImportError:
        message = "h5py is not installed, and this is an HDF5 file"
        raise MissingDependencyError(message, remedy="Install it: pip install h5py") from None
    module: ModuleType = h5py
    return module


def read_text(item: Any, name: str, *, is_sound: bool) -> str | list[str] | None:
    """Give a text attribute of an open object, or a list of texts; None without one.

    Where `is_sound` does not say that its texts are where it says, those of variable
    length are not read: HDF5 takes whatever memory they claim.
    """
    h5py = h5py_module()
    key = name.encode()
    if not h5py.h5a.exists(item, key):
        return None
    attribute = h5py.h5a.open(item, key)
    if attribute.shape is None:  # a null dataspace, whatever the type
        return None
    n_elements = math.prod(attribute.shape)
    text = h5py.check_string_dtype(attribute.dtype)
    if text is None:
        return None if n_elements else []  # unread: HDF5 crashes on some types that damage makes
    nbytes = n_elements * attribute.dtype.itemsize
    if n_elements > MAX_ELEMENTS or nbytes > MAX_NBYTES:
        found = f"{n_elements} elements in {nbytes} bytes"
        raise AttributeTooLargeError(f"{found}, expected at most {MAX_ELEMENTS} in {MAX_NBYTES}")
    if text.length is None and n_elements and not is_sound:
        raise UnverifiedTextError
    return _text(h5py.AttributeManager(_Holder(item))[name])


def _text(value: Any) -> str | list[str] | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return decode(value)
    if hasattr(value, "ravel"):
        texts = [_text(item) for item in value.ravel().tolist()]
        return [text for text in texts if isinstance(text, str)]
    return None


def decode(name: bytes) -> str:
    """Give a name of the file as text; bytes that are not UTF-8 are escaped."""
    return name.decode(errors="surrogateescape")


def encode(path: str) -> bytes:
    """Give the bytes of a name that `decode` gave."""
    return path.encode(errors="surrogateescape")


# Texts of variable length in HDF5 datasets, read without HDF5's own conversion of them.
#
# The library takes memory for the length that a reference claims, up to 4 GiB each, before
# it looks for the text. Here the references themselves are read, 16 bytes each, and
# followed by `messages`, which sees first what there is.
#
#     contiguous, compact   the references in C order
#     chunked               tiles of them; gzip and shuffle are undone here
#
# Reference: HDF5 File Format Specification, version 3.0, IV.A.2.i and IV.A.2.l

_HARMLESS_NBYTES = 1 << 16
"""Of a stored chunk: it inflates to 64 MiB at most."""
_GZIP, _SHUFFLE = 1, 2
_SPARE_NBYTES = 64  # checksums of other filters


def read_references(item: Any, source: Source, address: int) -> bytes:
    """Give all references of an open `DatasetID` in C order; all were written."""
    h5d = h5py_module().h5d
    layout = item.get_create_plist()
    shape = tuple(int(size) for size in item.shape or ())
    nbytes = math.prod(shape) * REFERENCE_NBYTES
    kind = layout.get_layout()
    if not nbytes:
        return b""
    if kind == h5d.CHUNKED:
        import numpy as np

        chunk = tuple(int(size) for size in layout.get_chunk())
        whole = np.zeros(shape, f"V{REFERENCE_NBYTES}")
        places = list(_places(item))
        filters = [layout.get_filter(i)[0] for i in range(layout.get_nfilters())]
        for place, _ in places:
            mask, stored = item.read_direct_chunk(place)
            data = _unfiltered(stored, filters, mask, math.prod(chunk) * REFERENCE_NBYTES)
            tile = np.frombuffer(data, whole.dtype).reshape(chunk)
            target = tuple(slice(at, at + step) for at, step in zip(place, chunk, strict=True))
            part = whole[target]
            part[...] = tile[tuple(slice(size) for size in part.shape)]
        return whole.tobytes()
    try:
        messages = read_any_messages(source, address)
        layouts = (data for kind, data in messages if kind == LAYOUT and data[0] in (3, 4))
        message = next(layouts, None)
        if message is None:
            raise DeclinedError
        if kind == h5d.COMPACT:
            [size] = struct.unpack_from("<H", message, 2)
            return _enough(message[4 : 4 + size], nbytes)
        start, size = struct.unpack_from("<QQ", message, 2)
    except (struct.error, IndexError):
        raise DeclinedError from None
    return _enough(source.pread(start, min(size, nbytes)), nbytes)


def _enough(references: bytes, nbytes: int) -> bytes:
    if len(references) < nbytes:
        raise DamagedTextError(f"{len(references)} bytes of references, expected {nbytes}")
    return references[:nbytes]


def unwritten(item: Any) -> str | None:
    """Say what of a dataset was never written: HDF5 gives fill values for it, without a word."""
    h5d = h5py_module().h5d
    shape = (0,) if item.shape is None else item.shape
    layout = item.get_create_plist()
    kind = layout.get_layout()
    if 0 in shape or kind == h5d.COMPACT:
        return None
    if kind != h5d.CHUNKED:
        return None if item.get_storage_size() else "never written: the file has no place for it"
    sizes = zip(shape, layout.get_chunk(), strict=True)
    expected = math.prod(-(-size // step) for size, step in sizes)
    n_chunks = item.get_num_chunks() if item.get_storage_size() else 0
    if n_chunks >= expected:
        return None
    return f"{expected - n_chunks} of {expected} chunks were never written"


def check_chunks(item: Any) -> None:
    """See that no chunk of a dataset inflates to more than a chunk: the library takes it all."""
    layout = item.get_create_plist()
    if layout.get_layout() != h5py_module().h5d.CHUNKED:
        return
    filters = [layout.get_filter(i)[0] for i in range(layout.get_nfilters())]
    nbytes = math.prod(layout.get_chunk()) * item.get_type().get_size()
    if _GZIP not in filters or not item.get_storage_size() > _HARMLESS_NBYTES:
        return
    for place, stored_nbytes in _places(item):
        if stored_nbytes > _HARMLESS_NBYTES and filters[-1] == _GZIP:
            mask, stored = item.read_direct_chunk(place)
            most = nbytes + _SPARE_NBYTES
            if not mask and len(_inflated(stored, most + 1)) > most:
                raise DamagedTextError(f"a chunk that inflates to over {nbytes} bytes")


def _places(item: Any) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield the place of each chunk in the dataset, and the bytes it takes in the file."""
    found: list[Any] = []
    item.chunk_iter(found.append)
    for one in found:
        yield one.chunk_offset, one.size


def _unfiltered(stored: bytes, filters: list[int], mask: int, nbytes: int) -> bytes:
    """Undo the filters of a chunk, the last one first."""
    data = stored
    for i in reversed(range(len(filters))):
        if mask >> i & 1:
            continue
        if filters[i] == _GZIP:
            data = _inflated(data, nbytes + 1)
        elif filters[i] == _SHUFFLE:
            n, rest = divmod(len(data), REFERENCE_NBYTES)
            if rest:
                raise DamagedTextError(f"a chunk of {len(data)} bytes, expected {nbytes}")
            data = b"".join(data[at::n] for at in range(n))
        else:
            raise DeclinedError
    if len(data) != nbytes:
        raise DamagedTextError(f"a chunk of {len(data)} bytes, expected {nbytes}")
    return data


def _inflated(data: bytes, nbytes: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, nbytes)
    except zlib.error as error:
        raise DamagedTextError(f"a chunk that does not inflate, {error}") from None
