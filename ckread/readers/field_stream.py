"""The fields of a protobuf file that is too large to be read whole.

A graph of 100 MB is one field of its message: its place is noted and it is skipped
with a seek. What is small is read through one block that moves along the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckread.errors import CorruptCheckpointError, TruncatedFileError
from ckread.readers.varint import parse_varint
from ckread.readers.wire import (
    FIXED32,
    FIXED64,
    LENGTH_DELIMITED,
    MAX_FIELD_NUMBER,
    VARINT,
    Span,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.regular_file import RegularFile

BLOCK_NBYTES = 256 * 1024
MAX_MESSAGE_NBYTES = 64 << 20
_HEAD_NBYTES = 20
_FIXED = {FIXED64: 8, FIXED32: 4}


class FieldStream:
    """A file of protobuf messages.

    Attributes:
        name: what messages call the file.
        path: where it lies.
        nbytes: its size.
    """

    def __init__(self, file: RegularFile) -> None:
        self.name = file.name
        self.path = file.path
        self.nbytes = file.nbytes
        self._file = file
        self._block = b""
        self._start = 0

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, int, Any]]:
        """Yield `(field number, wire type, value)` of the message in bytes `start` to `stop`.

        The value is an int, or the `Span` of wire type 2 in the file.

        Raises:
            CorruptCheckpointError: a field runs past the message, or is no field.
        """
        while start < stop:
            head = self._head(start, stop)
            try:
                tag, at = parse_varint(head, 0, len(head))
                number, wire_type = tag >> 3, tag & 7
                value: Any = 0
                if wire_type in (VARINT, LENGTH_DELIMITED):
                    value, at = parse_varint(head, at, len(head))
            except CorruptCheckpointError:
                raise self.corrupt("no field", offset=start) from None
            nbytes = _FIXED.get(wire_type, value if wire_type == LENGTH_DELIMITED else 0)
            if not 0 < number <= MAX_FIELD_NUMBER or wire_type not in (0, 1, 2, 5):
                raise self.corrupt("no field", offset=start)
            begin, start = start + at, start + at + nbytes
            if start > stop:
                raise self._past_end(begin - at, start, stop)
            yield number, wire_type, (begin, start) if nbytes or wire_type == 2 else value

    def take(self, span: Span, what: str) -> bytes:
        """Give the bytes of a field.

        Raises:
            CorruptCheckpointError: there are more than any such field has.
        """
        start, stop = span
        if stop - start > MAX_MESSAGE_NBYTES:
            found = f"{what} of {stop - start} bytes, expected at most {MAX_MESSAGE_NBYTES}"
            raise self.corrupt(found, offset=start)
        if stop - start > BLOCK_NBYTES:
            return self._file.pread(start, stop - start)
        if not self._start <= start <= stop <= self._start + len(self._block):
            self._move(start)
        return self._block[start - self._start : stop - self._start]

    def corrupt(self, found: str, *, offset: int) -> CorruptCheckpointError:
        """Give the error for what is found at a place of the file."""
        message = f"{self.name}: byte {offset}: {found}"
        return CorruptCheckpointError(message, path=self.path, offset=offset)

    def _head(self, start: int, stop: int) -> bytes:
        end = min(stop, start + _HEAD_NBYTES)
        if not self._start <= start < end <= self._start + len(self._block):
            self._move(start)
        return self._block[start - self._start : end - self._start]

    def _move(self, start: int) -> None:
        self._block = self._file.pread(start, min(BLOCK_NBYTES, self.nbytes - start))
        self._start = start

    def _past_end(self, start: int, end: int, stop: int) -> TruncatedFileError:
        found = f"a field that ends at byte {end}, its message ends at byte {stop}"
        message = f"{self.name}: byte {start}: {found}"
        return TruncatedFileError(message, path=self.path, offset=start)
