"""The members of a zip archive, read in place and never extracted by name.

    local header (30 bytes, name, extra), data     at the offset the directory gives
    central directory                              names, sizes, methods, CRC-32

A stored member (method 0) is a window of the archive. A deflated one is inflated
into a file without a name, as far as it is read, if its declared size is believable.
Names are compared, never used as paths. Members lie one after the other: where they
overlap, a small archive would make endless work.

Reference: PKWARE APPNOTE.TXT, 4.3
"""

from __future__ import annotations

import io
import os
import re
import struct
import tempfile
import zipfile
import zlib
from threading import Lock
from typing import TYPE_CHECKING, Any

from ckread.errors import (
    CheckpointError,
    ChecksumError,
    CorruptCheckpointError,
    ErrorKind,
    TruncatedFileError,
    UnsupportedFeatureError,
)
from ckread.readers.budget import over
from ckread.readers.contract import FileIdentity
from ckread.readers.files import (
    COPY_AGAIN,
    FileWindow,
    RegularFile,
    file_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

MAX_MEMBERS = 100_000
MAX_EXPANSION = 50
"""Weights shrink to a half, where most of them are zero to a tenth. Deflate could give 1032."""
FLOOR_NBYTES = 256 << 20
"""What a member may expand to at any rate: a small model may be nothing but zeros."""
MAX_INFLATED_NBYTES = 64 << 30
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_END = b"PK\x05\x06"
_END_NBYTES = 22
_MAX_END = (1 << 16) + _END_NBYTES
"""Bytes of the record that ends an archive, a comment of the longest included."""
_DEFLATE = 1100
_ENCRYPTED = 0x41
_SIZES_FOLLOW = 0x08
_IN_ZIP64 = 0xFFFFFFFF
_READ_NBYTES = 1 << 20


class ZipMembers:
    """The directory of an archive.

    Attributes:
        path: the archive.
        name: what messages call it.
        members: the members by name.
    """

    def __init__(self, path: str) -> None:
        """Read the directory."""
        self.path = path
        self._file = RegularFile(path)
        self.name: str = self._file.name
        try:
            self._archive = zipfile.ZipFile(io.BufferedReader(FileWindow(path, opened=self._file)))
            listed = self._archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            nbytes = self._file.identity.nbytes
            head, tail = self._file.pread(0, min(nbytes, 2)), b""
            if head == b"PK":
                tail = self._file.pread(max(0, nbytes - _MAX_END), min(nbytes, _MAX_END))
            self._file.close()
            at = tail.rfind(_END)
            if tail and (at < 0 or len(tail) - at < _END_NBYTES):
                found = f"no directory of members at the end of its {nbytes:,} bytes"
                raise TruncatedFileError(
                    found, path=path, name=self.name, expected="that of a zip archive"
                ) from None
            raise CorruptCheckpointError(
                f"not a zip archive ({str(error).lower()})", path=path, name=self.name
            ) from None
        try:
            self.members: dict[str, zipfile.ZipInfo] = self._checked(listed)
        except CheckpointError:
            self.close()
            raise

    @property
    def nbytes(self) -> int:
        """Size of the archive."""
        return self._file.nbytes

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()
        self._file.close()

    def _checked(self, found: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        if len(found) > MAX_MEMBERS:
            raise over(MAX_MEMBERS, "members", len(found), path=self.path, name=self.name)
        members: dict[str, zipfile.ZipInfo] = {}
        for info in found:
            name = info.filename
            if name in members:
                raise self._corrupt(f"two members are called {name!r}", ErrorKind.DUPLICATE)
            if re.search(r"(?:^|[/\\])\.\.(?:[/\\]|$)|^[/\\]|^[A-Za-z]:|\0", info.orig_filename):
                raise self._corrupt(f"member {name!r} leads out of the archive")
            if info.flag_bits & _ENCRYPTED:
                raise UnsupportedFeatureError(
                    f"member {name!r} is encrypted", path=self.path, name=self.name
                )
            members[name] = info
        stop, before = 0, ""
        for info in sorted(found, key=lambda info: info.header_offset):
            if info.header_offset < stop:
                raise self._corrupt(f"members {before!r} and {info.filename!r} overlap")
            stop = info.header_offset + _LOCAL_HEADER.size + info.compress_size
            before = info.filename
        return members

    def place(self, name: str) -> tuple[int, int] | None:
        """Give offset and size of a stored member's bytes; None if it is compressed."""
        info = self.members[name]
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        *_, name_nbytes, extra_nbytes = self._header(name)
        offset = info.header_offset + _LOCAL_HEADER.size + name_nbytes + extra_nbytes
        if info.file_size != info.compress_size:
            raise self._corrupt(f"member {name!r} is stored, with two sizes")
        self._file.check_range(offset, info.file_size)
        return offset, info.file_size

    def _header(self, name: str) -> tuple[int, ...]:
        """Read the local header of a member, the magic left out; see that it bears the name."""
        at = self.members[name].header_offset
        raw = self.members[name].orig_filename  # which an extra field may give another name
        magic, *fields = _LOCAL_HEADER.unpack(self._file.pread(at, _LOCAL_HEADER.size))
        stored = self._file.pread(at + _LOCAL_HEADER.size, fields[-2])
        if magic != b"PK\3\4" or stored not in (_raw(raw, "utf-8"), _raw(raw, "cp437")):
            raise self._corrupt(f"no member {name!r} at byte {at}")
        return tuple(fields)

    def verify(self, name: str) -> None:
        """See that a member has the CRC-32 and the sizes that the archive says, twice each."""
        info = self._believable(name)
        _, flags, method, _, _, crc, compressed, size, *_ = self._header(name)
        if method != info.compress_type:
            found = f"compression {method} in its header, {info.compress_type} in the directory"
            raise self._corrupt(f"member {name!r}: {found}")
        known = (info.CRC, info.compress_size, info.file_size)
        if not flags & _SIZES_FOLLOW:
            for what, here, there in zip(_DOUBLED, (crc, compressed, size), known, strict=True):
                if here != there and here != _IN_ZIP64:
                    found = f"{what} {here} in its header, {there} in the directory"
                    raise self._corrupt(f"member {name!r}: {found}")
        computed = self._crc32(name)
        if computed != info.CRC:
            raise ChecksumError(
                f"computed {computed:#010x}",
                expected=f"stored CRC-32 {info.CRC:#010x}",
                path=self.path,
                name=self.name,
                place=f"member {name[:300]!r}",
                remedy=COPY_AGAIN,
            )

    def _crc32(self, name: str) -> int:
        place = self.place(name)
        crc = 0
        if place is None:
            with self._open(name) as member:  # which compares the checksum itself
                while block := self._take(name, member, _READ_NBYTES):
                    crc = zlib.crc32(block, crc)
            return crc
        offset, nbytes = place
        for at in range(offset, offset + nbytes, _READ_NBYTES):
            block = self._file.pread(at, min(_READ_NBYTES, offset + nbytes - at))
            crc = zlib.crc32(block, crc)
        return crc

    def read(self, name: str, *, max_nbytes: int) -> bytes:
        """Give the bytes of a small member, verified by its CRC-32."""
        info = self._believable(name)
        if info.file_size > max_nbytes:
            what, nbytes = f"member {name!r:.300}", info.file_size
            raise over(max_nbytes, "bytes", nbytes, what=what, path=self.path, name=self.name)
        with self._open(name) as member:
            return self._take(name, member, info.file_size + 1)

    def blocks(self, name: str, nbytes: int = _READ_NBYTES) -> Iterator[bytes]:
        """Yield the bytes of a member, inflated as they are asked for; the last are verified."""
        self._believable(name)
        with self._open(name) as member:
            while block := self._take(name, member, nbytes):
                yield block

    def _believable(self, name: str) -> zipfile.ZipInfo:
        info = self.members[name]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            found = f"is compressed by method {info.compress_type}"
            raise UnsupportedFeatureError(
                f"member {name!r} {found}",
                path=self.path,
                name=self.name,
                expected="0 (stored) or 8 (deflated)",
            )
        limit = max(MAX_EXPANSION * info.compress_size, FLOOR_NBYTES)
        limit = min(MAX_INFLATED_NBYTES, limit, _DEFLATE * info.compress_size + 1024)
        if info.compress_type != zipfile.ZIP_STORED and info.file_size > limit:
            found = f"{info.file_size} bytes from {info.compress_size}, a decompression bomb"
            raise self._corrupt(f"member {name!r} declares {found}")
        return info

    def _open(self, name: str) -> IO[bytes]:
        try:
            return self._archive.open(self.members[name])
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise self._corrupt(f"member {name!r}: {str(error).lower()}") from None
        except NotImplementedError as error:
            raise UnsupportedFeatureError(
                str(error), path=self.path, name=self.name, place=f"member {name!r}"
            ) from None

    def _take(self, name: str, member: IO[bytes], nbytes: int) -> bytes:
        try:
            return member.read(nbytes)
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, zlib.error) as error:
            raise self._corrupt(f"member {name!r}: {str(error).lower()}") from None

    def _corrupt(self, found: str, kind: ErrorKind | None = None) -> CorruptCheckpointError:
        return CorruptCheckpointError(found[:300], kind=kind, path=self.path, name=self.name)


_DOUBLED = ("CRC-32", "compressed size", "size")


def _raw(name: str, encoding: str) -> bytes:
    return name.encode(encoding, errors="replace")


class InflatedFile(RegularFile):
    """A compressed member as a file of its own, inflated as far as it was ever asked for."""

    def __init__(self, path: str, name: str) -> None:
        """Inflate nothing yet."""
        self.path = path
        self.name = name
        self._archive = ZipMembers(path)
        try:
            info = self._archive._believable(name)
            self._member = self._archive._open(name)
            try:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # without a name
            except OSError as error:
                raise file_error(path, error) from None
        except BaseException:
            self._archive.close()
            raise
        self._descriptor = self._file.fileno()
        self.identity: FileIdentity = FileIdentity(0, info.file_size, 0)
        self._done = 0
        self._lock = Lock()

    def pread(self, offset: int, nbytes: int) -> bytes:
        """Give bytes, inflated before."""
        self._inflate(offset, nbytes)
        return super().pread(offset, nbytes)

    def pread_into(self, buffer: Any, offset: int) -> None:
        """Fill a buffer with bytes, inflated before."""
        self._inflate(offset, len(buffer))
        super().pread_into(buffer, offset)

    def close(self) -> None:
        """Let what was inflated go."""
        super().close()
        self._member.close()
        self._archive.close()

    def _inflate(self, offset: int, nbytes: int) -> None:
        self.check_range(offset, nbytes)
        with self._lock:
            while self._done < offset + nbytes:
                block = self._archive._take(self.name, self._member, _READ_NBYTES)
                if not block:
                    raise self._too_short(offset, nbytes, self._done)
                try:
                    os.pwrite(self._descriptor, block, self._done)
                except OSError as error:
                    raise file_error(self.path, error) from None
                self._done += len(block)
