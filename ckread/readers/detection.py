"""What a file is, told from its bytes: so that a message can name it.

Magic numbers first, then the shape of the first bytes. At most 64 KiB from each
end are looked at, nothing is decompressed and nothing is trusted: the answer
decides which reader is tried and what an error says, never what is read.

    table        last 8 bytes 57 fb 80 8b 24 75 47 db; the first entry has key ""
                 and a header (V2) or the list of tensors (V1) as its value
    HDF5         89 'HDF' 0d 0a 1a 0a at byte 0, 512, 1024, 2048, ...
    zip          'PK' 03 04; the names in its central directory tell the rest
    TFRecord     u64 length, u32 masked CRC-32C of these 8 bytes
    protobuf     no magic: see `protobuf_kind`
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass

from ckread.readers.crc32c import crc32c, unmask
from ckread.readers.files import file_error, open_regular
from ckread.readers.kinds import Kind
from ckread.readers.protobuf_kinds import protobuf_kind
from ckread.readers.text_kinds import text_kind

END_NBYTES = 64 * 1024
"""Bytes that are looked at, from each end of a file."""

_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_HEADER = re.compile(rb"\x08[\x01-\x7f](?:\x10\x01)?\x1a\x02\x08\x01")
_MAGICS = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"GIF8", Kind.GIF),
    (b"%PDF-", Kind.PDF),
    (b"\x1f\x8b", Kind.GZIP),
    (b"BZh", Kind.ARCHIVE),
    (b"\xfd7zXZ\x00", Kind.ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", Kind.ARCHIVE),
    (b"Rar!\x1a\x07", Kind.ARCHIVE),
    (b"\x28\xb5\x2f\xfd", Kind.ARCHIVE),
    (b"\x93NUMPY", Kind.NPY),
    (b"SQLite format 3\x00", Kind.SQLITE),
    (b"\x7fELF", Kind.PROGRAM),
)
_SPECIAL = {
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFIFO: Kind.PIPE,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
    stat.S_IFSOCK: Kind.SOCKET,
}
_PICKLE_PROTOCOLS = range(2, 6)
_LOCAL_HEADER = re.compile(rb"PK\x03\x04.{22}(..)..", re.DOTALL)
_CENTRAL_HEADER = re.compile(rb"PK\x01\x02.{24}(..).{16}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Ends:
    """The two ends of a file; they overlap where it is short.

    Attributes:
        nbytes: size of the file.
        head: its first bytes.
        tail: its last bytes.
    """

    nbytes: int
    head: bytes
    tail: bytes


def detect(path: str) -> Kind:
    """Tell what is at a path.

    Raises:
        CheckpointNotFoundError: nothing is there.
        CheckpointError: the system does not let it be read.
    """
    try:
        kind = _SPECIAL.get(stat.S_IFMT(os.stat(path).st_mode))
    except (OSError, ValueError) as error:
        raise file_error(path, error) from None
    if kind is not None:
        return kind
    return ends_kind(read_ends(path))


def read_ends(path: str) -> Ends:
    """Read both ends of a regular file.

    Raises:
        CheckpointError: as for `detect`.
    """
    with open_regular(path) as file:
        nbytes = os.fstat(file.fileno()).st_size
        try:
            head = file.read(END_NBYTES)
            file.seek(max(0, nbytes - END_NBYTES))
            return Ends(nbytes, head, file.read(END_NBYTES))
        except OSError as error:
            raise file_error(path, error) from None


def ends_kind(ends: Ends) -> Kind:
    """Tell what a file is from its two ends."""
    if not ends.head:
        return Kind.EMPTY
    if not (any(ends.head) or any(ends.tail)):
        return Kind.ZEROS
    return _magic_kind(ends) or text_kind(ends.head, ends.nbytes) or _shaped_kind(ends)


def _magic_kind(ends: Ends) -> Kind | None:
    head = ends.head
    if ends.tail.endswith(_TABLE_MAGIC):
        return _table_kind(head)
    if any(head.startswith(_HDF5_MAGIC, at) for at in (0, *(512 << i for i in range(8)))):
        return Kind.HDF5
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(ends)
    if head[4:8] == b"TFL3":
        return Kind.TFLITE
    if head[257:262] == b"ustar":
        return Kind.TAR
    return next((kind for magic, kind in _MAGICS if head.startswith(magic)), None)


def _shaped_kind(ends: Ends) -> Kind:
    head = ends.head
    if _has_record_header(head):
        return Kind.EVENTS if b"brain.Event:" in head[:64] else Kind.TFRECORD
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= ends.nbytes - 8:
        return Kind.SAFETENSORS
    if head[0] == 0x80 and head[1:2] and head[1] in _PICKLE_PROTOCOLS and ends.tail.endswith(b"."):
        return Kind.PICKLE
    if _HEADER.match(_first_value(head) or b""):
        return Kind.TORN_INDEX
    return protobuf_kind(head) or Kind.BINARY


def _table_kind(head: bytes) -> Kind:
    value = _first_value(head)
    if value is None:
        return Kind.TABLE
    # BundleHeaderProto has numbers in fields 1 and 2, and 3 is a short version.
    # SavedTensorSlices has the list of tensors in field 1.
    return Kind.V1_TABLE if value[:1] == b"\x0a" else Kind.BUNDLE_INDEX


def _first_value(head: bytes) -> bytes | None:
    """Give the value of key "" where a table begins with it, as far as it is there.

    A compressed block begins with its length and a literal: that much of snappy
    is read here, so that a damaged block still tells what it was.
    """
    for start in (0, _snappy_literal(head)):
        if head[start : start + 2] == b"\x00\x00":
            stop = _after_varint(head, start + 2)
            return head[stop : stop + 64]
    return None


def _snappy_literal(head: bytes) -> int:
    tag = _after_varint(head, 0)
    extra = max(0, (head[tag] >> 2) - 59) if tag < len(head) else 0
    return tag + 1 + extra


def _after_varint(data: bytes, at: int) -> int:
    while at < len(data) and data[at] & 0x80:
        at += 1
    return at + 1


def _has_record_header(head: bytes) -> bool:
    stored = int.from_bytes(head[8:12], "little")
    return len(head) >= 12 and unmask(stored) == crc32c(head[:8])


def _zip_kind(ends: Ends) -> Kind:
    names = _member_names(ends) or _first_members(ends)
    if "config.json" in names and names & {"metadata.json", "model.weights.h5"}:
        return Kind.KERAS_ARCHIVE
    if any(name.endswith("data.pkl") for name in names):
        return Kind.PYTORCH
    if names and all(name.endswith(".npy") for name in names):
        return Kind.NPZ
    return Kind.ZIP


def _first_members(ends: Ends) -> set[str]:
    """Give the names that stand before the first members: all there is of a cut archive."""
    names = set()
    for match in _LOCAL_HEADER.finditer(ends.head):
        name = ends.head[match.end() :][: int.from_bytes(match[1], "little")]
        names.add(name.decode("utf-8", "replace"))
    return names


def _member_names(ends: Ends) -> set[str]:
    """Give the names in the central directory, as far as the end of the file holds it."""
    names = set()
    for match in _CENTRAL_HEADER.finditer(ends.tail):
        name = ends.tail[match.end() :][: int.from_bytes(match[1], "little")]
        names.add(name.decode("utf-8", "replace"))
    return names
