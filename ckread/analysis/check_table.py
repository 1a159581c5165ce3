"""Checking an index that cannot be opened: all that is wrong with it, and what is lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.analysis.check_layout import RECOPY
from ckread.analysis.findings import Code, Finding, Level
from ckread.errors import CheckpointError, TruncatedFileError
from ckread.readers.entry_parser import EntryParser, shown
from ckread.readers.messages import parse_bundle_header
from ckread.readers.regular_file import RegularFile
from ckread.readers.table import TRAILER_NBYTES, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.table import BlockHandle

ANOTHER = "Copy the index again from where it came, or use another checkpoint of the run."
_MAX_FINDINGS = 1000


def check_table(path: str) -> list[Finding]:
    """Read what can be read of an index, block by block and entry by entry."""
    findings: list[Finding] = []
    try:
        with RegularFile(path) as file:
            for finding in _findings(Table(file)):
                findings.append(finding)
                if len(findings) == _MAX_FINDINGS:
                    break
    except CheckpointError as error:
        findings.append(of_index(error))
    return findings


def of_file(error: CheckpointError) -> Finding:
    """Give the finding for an error that ends the reading of a file that is no index."""
    place = os.path.basename(error.path) if error.path else None
    return Finding(Level.ERROR, Code.FILE, None, place, error.message, error.remedy or RECOPY)


def of_index(error: CheckpointError) -> Finding:
    """Give the finding for an error that ends the reading of an index."""
    code = Code.NO_INDEX if isinstance(error, TruncatedFileError) else Code.INDEX
    place = os.path.basename(error.path) if error.path else None
    return Finding(Level.ERROR, code, None, place, error.message, error.remedy or ANOTHER)


def _findings(table: Table) -> Iterator[Finding]:
    separators = [key for key, _ in table.read_entries(table.index)]
    last: bytes | None = None
    for number, handle in enumerate(table.handles()):
        try:
            entries = table.read_entries(handle, after=last)
        except CheckpointError as error:
            lost = _lost(number, len(separators), last, separators[number])
            yield _damaged_block(table, handle, error, lost)
            last = separators[number]
            continue
        if number == 0:
            yield from _header(table.file.name, entries)
        yield from _bad_entries(table, entries)
        last = entries[-1][0] if entries else last


def _damaged_block(table: Table, handle: BlockHandle, error: CheckpointError, lost: str) -> Finding:
    stop = handle.offset + handle.size + TRAILER_NBYTES
    place = f"{table.file.name}, bytes {handle.offset} to {stop}"
    message = f"{error.message}; {lost}"
    return Finding(Level.ERROR, Code.INDEX_BLOCK, None, place, message, ANOTHER)


def _lost(number: int, count: int, last: bytes | None, separator: bytes) -> str:
    """Say which variables a block listed, as far as its neighbours and its separator tell.

    The separator is no key of the block: only not less than its last, and as short as
    can be.
    """
    if count == 1:
        return "it is the only block, so no variable is known"
    if number == count - 1:
        where = f"come after {_key(last or b'')}"
    elif last:
        where = f"come after {_key(last)} and not after {_key(separator)}"
    else:
        where = f"do not come after {_key(separator)}"
    return f"lost with block {number + 1} of {count} are the variables whose keys {where}"


def _header(name: str, entries: list[tuple[bytes, bytes]]) -> Iterator[Finding]:
    try:
        if entries and entries[0][0] == b"":
            parse_bundle_header(entries[0][1])
    except CheckpointError as error:
        message = f"{name}: header: {error.message}"
        yield Finding(Level.ERROR, Code.INDEX, None, name, message, ANOTHER)


def _bad_entries(table: Table, entries: list[tuple[bytes, bytes]]) -> Iterator[Finding]:
    name, parser = table.file.name, EntryParser(table.memory)
    for key, value in entries:
        if key == b"":
            continue
        try:
            parser.feed([(key, value)])
        except CheckpointError as error:
            message = f"{name}: {error.message}"
            yield Finding(Level.ERROR, Code.ENTRY, _text(key), name, message, ANOTHER)


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def _key(key: bytes) -> str:
    return shown(_text(key))[:120]
