r"""numpy's files: one array (.npy), or a zip archive of such (.npz).

    \x93NUMPY, version (2 bytes)    u16 or, from version 2, u32: length of the header
    header                          {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
    values                          C order, or Fortran's; little- or big-endian

Arrays of Python objects are pickles: they are listed, and not read. Members of an archive
are stored or deflated, each with a CRC-32 of all its bytes.

Reference: numpy/lib/format.py; PKWARE APPNOTE.TXT
"""

from __future__ import annotations

import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ckread.errors import CorruptCheckpointError, TruncatedFileError, UnsupportedFeatureError
from ckread.readers.contract import DataType, Format, TensorRecord, shown
from ckread.readers.extents import too_large
from ckread.readers.files import RegularFile
from ckread.readers.partners.archive import ArchiveReader
from ckread.readers.zip_members import ZipMembers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

MAGIC = b"\x93NUMPY"
SUFFIX = ".npy"
_HEADER = re.compile(
    rb"\{'descr': (?P<descr>'[^'\\]*'|\[.*\]), 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,19}, ?)*(?:\d{1,19})?,?)\),? ?\}\s*",
    re.DOTALL,
)
"""As numpy has written it since 1.0, its keys sorted; `3L,` of Python 2 is cleaned before."""

_CODES = {
    one.code[1:]: one for one in DataType if one.code[:1] in ("<", "|") and one.name[0] != "Q"
}
"""numpy's code without byte order to the type; TensorFlow's quantised types have the same."""

_STRING = re.compile(r"[<>|=]([SU])([1-9]\d{0,8})")
_HEAD_NBYTES = 12 + (1 << 16)


class StoredArray(NamedTuple):
    """An array as its header tells it.

    Attributes:
        dtype: its type here; `UNKNOWN` for objects, records, dates and the like.
        code: numpy's own word for its type.
        shape: size of each dimension.
        is_fortran: whether the first index runs fastest.
        start: first byte of its values in the file or member.
        nbytes: bytes of its values; 0 where they have no fixed size.
    """

    dtype: DataType
    code: str
    shape: tuple[int, ...]
    is_fortran: bool
    start: int
    nbytes: int


def parse_header(head: bytes, available: int) -> StoredArray:
    """Read the header of an array, of which the first bytes are given and how many there are.

    Raises:
        CorruptCheckpointError: it is none, or tells of more bytes than there are.
    """
    size = 2 if head[6:7] == b"\x01" else 4
    start = 8 + size
    length = int.from_bytes(head[8:start], "little")
    if not head.startswith(MAGIC) or len(head) < 12 or head[6] not in (1, 2, 3):
        raise CorruptCheckpointError("no header of an array", expected="numpy's")
    if start + length > len(head):
        found = f"{len(head) - start} bytes of a header"
        raise TruncatedFileError(found, expected=f"{length}")
    text = re.sub(rb"(?<=\d)L", b"", head[start : start + length])
    match = _HEADER.fullmatch(text)
    if match is None:
        raise CorruptCheckpointError(
            f"a header that numpy does not write ({shown(repr(text[:80]))})"
        )
    code = match["descr"].decode("latin-1").strip("'")
    shape = tuple(int(n) for n in re.findall(rb"\d+", match["shape"]))
    string = _STRING.fullmatch(code)
    dtype = DataType.UNKNOWN
    width = 0
    if string is not None:
        dtype = DataType.STRING
        width = int(string[2]) * (4 if string[1] == "U" else 1)
    elif code[:1] in "<>|=":
        dtype = _CODES.get(code[1:], DataType.UNKNOWN)
        width = dtype.itemsize
    nbytes = math.prod(shape) * width
    start += length
    if nbytes > available - start:
        found = f"{available - start} bytes of values"
        raise TruncatedFileError(found, expected=f"{nbytes} by the header")
    return StoredArray(dtype, code, shape, match["fortran"] == b"True", start, nbytes)


class _Member(NamedTuple):
    array: StoredArray
    name: str | None  # of the member; None for an .npy
    offset: int | None  # of the member in the archive, None where it is deflated


class NumpyFile(ArchiveReader):
    """The arrays of a .npy or .npz, under the names that `numpy.load` gives them."""

    def __init__(self, path: str) -> None:
        """Read the headers of all arrays.

        Raises:
            CorruptCheckpointError: the archive, or the header of an array, is damaged.
            UnsupportedFeatureError: a member is encrypted.
        """
        with RegularFile(path) as file:
            is_bare = file.pread(0, min(6, file.nbytes)) == MAGIC
            archive = None if is_bare else ZipMembers(path)
            super().__init__(path, Format.NPY if is_bare else Format.NPZ, archive, file.nbytes)
            try:
                self._members = dict(self._list(file))
            except BaseException:
                self.close()
                raise
        self._tensors = {
            key: TensorRecord(
                key, one.array.dtype, one.array.shape, one.array.nbytes, None, 0,
                None if one.offset is None else one.offset + one.array.start,
            )
            for key, one in self._members.items()
        }  # fmt: skip

    def _list(self, file: RegularFile) -> Iterator[tuple[str, _Member]]:
        if self._archive is None:
            key = os.path.basename(self.path).removesuffix(SUFFIX)
            head = file.pread(0, min(_HEAD_NBYTES, file.nbytes))
            try:
                yield key, _Member(parse_header(head, file.nbytes), None, 0)
            except CorruptCheckpointError as error:
                raise error.within(path=self.path, name=file.name) from None
            return
        for name, info in self._archive.members.items():
            if not name.endswith(SUFFIX):
                continue
            place = self._archive.place(name)
            if place is None:
                head = next(self._archive.blocks(name, _HEAD_NBYTES), b"")
            else:
                head = file.pread(place[0], min(_HEAD_NBYTES, info.file_size))
            try:
                array = parse_header(head, info.file_size)
            except CorruptCheckpointError as error:
                where = f"member {shown(name)!r}"
                raise error.within(where, path=self.path, name=file.name) from None
            yield name.removesuffix(SUFFIX), _Member(array, name, place[0] if place else None)

    @property
    def notes(self) -> tuple[str, ...]:
        """Name the arrays that are listed and not read."""
        unread = [
            f"{shown(key)} ({one.array.code[:40]})"
            for key, one in self._members.items()
            if one.array.dtype is DataType.UNKNOWN
        ]
        if not unread:
            return ()
        more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
        what = "is" if len(unread) == 1 else "are"
        return (f"{', '.join(unread[:3])}{more} {what} listed, and not read.",)

    def member(self, key: str) -> str:
        """Give the member that is an array."""
        return str(self._members[key].name)

    def _decode(self, key: str) -> NDArray[np.generic]:
        array, name, offset = self._members[key]
        if array.dtype is DataType.UNKNOWN:
            found = f"an array of numpy's type {array.code[:80]}"
            raise self._located(UnsupportedFeatureError(found), key)
        try:
            if offset is None:
                data = b"".join(self._inflated(name))[array.start : array.start + array.nbytes]
            else:
                data = self._open(self.path).pread(offset + array.start, array.nbytes)
            return _as_array(array, data)
        except MemoryError:
            raise too_large(array.nbytes) from None
        except CorruptCheckpointError as error:
            raise (error if error.path else self._located(error, key)) from None

    def _decode_chunks(self, key: str, nbytes: int) -> Iterator[NDArray[np.generic]]:
        """Inflate an array as it is asked for, where its bytes are in order."""
        array, name, offset = self._members[key]
        if offset is not None or array.is_fortran or not array.dtype.is_plain:
            yield from super()._decode_chunks(key, nbytes)
            return
        step = max(1, nbytes // array.dtype.itemsize) * array.dtype.itemsize
        rest, to_skip = b"", array.start
        for block in self._inflated(name):
            rest += block[to_skip:]
            to_skip = max(0, to_skip - len(block))
            while len(rest) >= step:
                yield _as_array(array._replace(shape=(-1,)), rest[:step])
                rest = rest[step:]
        if rest:
            yield _as_array(array._replace(shape=(-1,)), rest)

    def _inflated(self, name: str | None) -> Iterator[bytes]:
        if self._archive is None or name is None:
            raise ValueError("no archive")
        return self._archive.blocks(name)


def _as_array(array: StoredArray, data: bytes) -> NDArray[np.generic]:
    """Give the values of an array in C order and this machine's, texts as bytes."""
    import numpy as np

    order: Literal["F", "C"] = "F" if array.is_fortran else "C"
    values: NDArray[Any] = np.frombuffer(data, np.dtype(array.code))
    values = values.reshape(array.shape, order=order)
    if array.dtype is not DataType.STRING:
        return values.astype(values.dtype.newbyteorder("<"), order="C")
    if values.dtype.kind == "U" and values.size:
        points = np.frombuffer(data, values.dtype.str[0] + "u4")
        if points.max() > sys.maxunicode:  # numpy itself gives up here without a word of why
            raise CorruptCheckpointError(
                f"a character {points.max():#x}", expected=f"{sys.maxunicode:#x} at most"
            )
    texts = np.empty(array.shape, object)
    flat = values.reshape(-1).tolist()
    texts.reshape(-1)[:] = [
        one if isinstance(one, bytes) else one.encode(errors="surrogatepass") for one in flat
    ]
    return texts
