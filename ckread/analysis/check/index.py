"""Checking where tensors lie, by the index and the sizes of the shards; no value is read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckread.analysis.findings import Code, Finding, Level
from ckread.errors import (
    CheckpointError,
    CorruptCheckpointError,
    ErrorKind,
    TruncatedFileError,
    UnsupportedFeatureError,
)
from ckread.readers.bundle.reader import bad_entries
from ckread.readers.contract import shown
from ckread.readers.extents import not_a_shard, present_shards
from ckread.readers.files import COPY_AGAIN, RegularFile
from ckread.readers.table import TRAILER_NBYTES, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.model.checkpoint import Checkpoint
    from ckread.readers.contract import StoredFile


_MAX_UNUSED = 16
_ANOTHER_SAVE = "Shard and index may belong to different saves: copy both again."


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes of a shard that a tensor, or one slice of it, takes."""

    start: int
    stop: int
    variable: str


def check_layout(checkpoint: Checkpoint, prefix: str) -> tuple[list[Finding], set[str]]:
    """Check entries, slices, shards; give also the names of variables that cannot be read."""
    places, findings, lost = _places(checkpoint)
    is_complete = not lost
    named: list[Finding] = []
    unused: list[StoredFile] = []
    for file in checkpoint.files():
        if file.is_shard:
            here = sorted(places.get(file.path, []), key=lambda place: (place.start, place.stop))
            if file.nbytes is None and not here:
                unused.append(file)
                continue
            other = _not_a_shard(checkpoint, file, here)
            if other is not None:
                findings.append(of_file(other))
                lost |= {place.variable for place in here}
                continue
            findings += _check_shard(file, here, is_complete=is_complete)
            beyond = [place for place in here if place.stop > (file.nbytes or 0)]
            gone = here if file.nbytes is None else beyond
            lost |= {place.variable for place in gone}
            name = os.path.basename(file.path)
            what = "is not there" if file.nbytes is None else f"ends at byte {file.nbytes}"
            for place in gone:
                where = f"{name}, bytes {place.start} to {place.stop}"
                message = f"cannot be read: {name} {what}"
                named.append(Finding(Level.ERROR, Code.BOUNDS, place.variable, where, message))
    if len(unused) <= _MAX_UNUSED:
        findings += [one for file in unused for one in _check_shard(file, [], is_complete=True)]
    else:
        message = f"the header counts {len(unused)} data shards that hold nothing and are not there"
        findings.append(Finding(Level.ERROR, Code.INDEX, None, None, message, ANOTHER))
    if len(lost) < len(checkpoint):  # else it is said of the shards, and need not be of each
        findings += named
    findings += _other_families(checkpoint, prefix)
    return findings, lost


def _not_a_shard(
    checkpoint: Checkpoint, file: StoredFile, here: list[Place]
) -> CheckpointError | None:
    """Give the error for a shard that is something else, and does not hold its first tensor."""
    other = not_a_shard(file.path) if file.nbytes is not None and here else None
    if other is None:
        return None
    try:
        checkpoint[here[0].variable].numpy()
    except CheckpointError as error:
        return other if is_damage(error) else None
    return None


def _places(checkpoint: Checkpoint) -> tuple[dict[str, list[Place]], list[Finding], set[str]]:
    places: dict[str, list[Place]] = {}
    findings: list[Finding] = []
    lost: set[str] = set()
    shards = [file.path for file in checkpoint.files() if file.is_shard]
    for variable in checkpoint.values():
        try:
            extents = variable.extents()
        except CheckpointError as error:
            if isinstance(error, UnsupportedFeatureError):
                extents = None  # told when its value is read
            else:
                code = Code.SLICES if error.kind is ErrorKind.SLICES else Code.ENTRY
                remedy = error.own_remedy or "Copy the index again from where it came."
                findings.append(_of_error(error, code, remedy, variable.name))
                lost.add(variable.name)
                continue
        for extent in extents or ():
            place = Place(extent.offset, extent.offset + extent.nbytes, variable.name)
            places.setdefault(extent.path, []).append(place)
        number, offset = variable.shard, variable.offset
        if extents is None and number is not None and offset is not None and number < len(shards):
            place = Place(offset, offset + variable.nbytes, variable.name)
            places.setdefault(shards[number], []).append(place)
    return places, findings, lost


def _check_shard(file: StoredFile, here: list[Place], *, is_complete: bool) -> Iterator[Finding]:
    name = os.path.basename(file.path)
    end = max((place.stop for place in here), default=0)
    if file.nbytes is None:
        if end or not here:
            message = f"{name} is not there; the index expects {end} bytes in it"
            directory = os.path.dirname(file.path) or "this directory"
            remedy = f"Download or copy it into {directory}, beside the index."
            yield Finding(Level.ERROR, Code.SHARD_MISSING, None, name, message, remedy)
        return
    if file.nbytes < end:
        n_lost = len({place.variable for place in here if place.stop > file.nbytes})
        message = (
            f"{name} ends at byte {file.nbytes}, the index expects its end at byte {end}: "
            f"{n_lost} {'variable lies' if n_lost == 1 else 'variables lie'} beyond it"
        )
        remedy = f"{COPY_AGAIN} It was cut short, or belongs to another save."
        yield Finding(Level.ERROR, Code.SHARD_SHORT, None, name, message, remedy)
    elif file.nbytes > end and is_complete:
        message = f"{name} is {file.nbytes - end} bytes longer than the index says"
        yield Finding(Level.WARNING, Code.SHARD_LONG, None, name, message, _ANOTHER_SAVE)
    yield from _check_neighbours(name, here)


def _check_neighbours(name: str, here: list[Place]) -> Iterator[Finding]:
    """Find bytes of a shard that two tensors share, and count those that no tensor has."""
    before: Place | None = None
    gaps = 0
    for place in here:
        if place.stop == place.start:
            continue
        if before is not None and place.start < before.stop:
            where = f"{name}, bytes {place.start} to {min(place.stop, before.stop)}"
            message = f"shares {where} with {before.variable}"
            remedy = "No writer does that: the index is damaged, or was made by hand."
            yield Finding(Level.ERROR, Code.OVERLAP, place.variable, where, message, remedy)
        gaps += max(0, place.start - (before.stop if before is not None else 0))
        if before is None or place.stop > before.stop:
            before = place
    if gaps:
        message = f"{gaps} bytes of {name} lie between tensors and belong to none"
        yield Finding(Level.NOTE, Code.GAP, None, name, message)


def _other_families(checkpoint: Checkpoint, prefix: str) -> Iterator[Finding]:
    for note in checkpoint.reader.notes:
        yield Finding(Level.WARNING, Code.SHARD_OTHER, None, None, note.rstrip("."))
    names = {os.path.basename(file.path) for file in checkpoint.files() if file.is_shard}
    for count, present in sorted(present_shards(prefix).items()):
        others = {f"{os.path.basename(prefix)}.data-{i:05d}-of-{count:05d}" for i in present}
        if not others & names:
            first = min(others)
            message = f"{first} lies there too, and belongs to no part of this checkpoint"
            yield Finding(Level.WARNING, Code.SHARD_OTHER, None, first, message, _ANOTHER_SAVE)


def is_damage(error: CheckpointError) -> bool:
    """Tell whether an error means damage, not a feature that is not read here."""
    return isinstance(error, (CorruptCheckpointError, FileNotFoundError))


# Checking an index that cannot be opened: all that is wrong with it, and what is lost.

ANOTHER = "Copy the index again from where it came, or use another checkpoint of the run."
_MAX_FINDINGS = 1000


def check_table(path: str, opening: CheckpointError | None = None) -> list[Finding]:
    """Read what can be read of an index, block by block and entry by entry.

    The error of `opening` the checkpoint says more than the index alone where the save is torn.
    """
    findings: list[Finding] = []
    try:
        with RegularFile(path) as file:
            for finding in _findings(Table(file)):
                findings.append(finding)
                if len(findings) == _MAX_FINDINGS:
                    break
    except CheckpointError as error:
        torn = opening if opening is not None and opening.kind is ErrorKind.TORN else None
        findings.append(of_index(torn or error))
    return findings


def of_file(error: CheckpointError) -> Finding:
    """Give the finding for an error that ends the reading of a file that is no index."""
    is_other = error.kind is ErrorKind.SOMETHING_ELSE
    return _of_error(
        error, Code.SOMETHING_ELSE if is_other else Code.FILE, error.remedy or COPY_AGAIN
    )


def of_index(error: CheckpointError) -> Finding:
    """Give the finding for an error that ends the reading of an index."""
    code = Code.NO_INDEX if isinstance(error, TruncatedFileError) else Code.INDEX
    return _of_error(error, code, error.own_remedy or ANOTHER)


def _of_error(
    error: CheckpointError, code: Code, remedy: str, variable: str | None = None
) -> Finding:
    place = os.path.basename(error.path) if error.path else None
    return Finding(Level.ERROR, code, variable, place, error.message, remedy)


def _findings(table: Table) -> Iterator[Finding]:
    separators = [key for key, _ in table.read_entries(table.index)]
    last: bytes | None = None
    for number, handle in enumerate(table.handles()):
        try:
            entries = table.read_entries(handle, after=last)
        except CheckpointError as error:
            lost = _lost(number, len(separators), last, separators[number])
            stop = handle.offset + handle.size + TRAILER_NBYTES
            place = f"{table.file.name}, bytes {handle.offset} to {stop}"
            message = f"{error.message}; {lost}"
            yield Finding(Level.ERROR, Code.INDEX_BLOCK, None, place, message, ANOTHER)
            last = separators[number]
            continue
        for key, damage in bad_entries(entries, table.memory):
            told = damage.within(path=table.file.path)
            if key:
                yield _of_error(told, Code.ENTRY, ANOTHER, _text(key))
            else:
                yield _of_error(told, Code.INDEX, ANOTHER)
        last = entries[-1][0] if entries else last


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


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def _key(key: bytes) -> str:
    return shown(_text(key))[:120]
