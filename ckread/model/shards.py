"""What the index and the sizes of the shards tell of values that cannot be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckread.readers.contract import CheckpointReader


def shard_warnings(reader: CheckpointReader) -> tuple[str, ...]:
    """Say which shards of a bundle are missing or of wrong size; no data file is opened."""
    if reader.format not in (Format.TENSOR_BUNDLE, Format.SAVED_MODEL):
        return ()
    shards = [file for file in reader.files() if file.is_shard]
    missing = [os.path.basename(file.path) for file in shards if file.nbytes is None]
    ends = shard_ends(reader)
    wrong = [
        _wrong_size(name, file.nbytes, reader)
        for file in shards
        if (name := os.path.basename(file.path)) in ends
        and file.nbytes is not None
        and file.nbytes != ends[name]
    ]
    return (*([_missing(missing, len(shards))] if missing else []), *wrong)


def shard_ends(reader: CheckpointReader) -> dict[str, int]:
    """Give, by base name of the shard, where the last byte of its tensors ends."""
    ends: dict[str, int] = {}
    for name, end in _iter_ends(reader):
        if end > ends.get(name, -1):
            ends[name] = end
    return ends


def _iter_ends(reader: CheckpointReader) -> Iterator[tuple[str, int]]:
    """Yield the shard and the end of each tensor, of each slice of a partitioned one."""
    names = [os.path.basename(file.path) for file in reader.files() if file.is_shard]
    for key, _, _, nbytes, crc32c, shard, offset in reader.tensors.values():
        if crc32c is None:
            yield from _slice_ends(reader, key)
        elif shard is not None and offset is not None and shard < len(names):
            yield names[shard], offset + nbytes


def _slice_ends(reader: CheckpointReader, key: str) -> list[tuple[str, int]]:
    try:
        extents = reader.extents(key) or ()
    except CheckpointError:
        return []
    return [(os.path.basename(extent.path), extent.offset + extent.nbytes) for extent in extents]


def _missing(names: list[str], count: int) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if len(names) == 1:
        start, which = f"{shown} is missing", "values" if count == 1 else "values in it"
    else:
        start = f"{len(names)} of {count} data shards are missing: {shown}"
        which = "values" if count == len(names) else "values in them"
    return f"{start}. Names, shapes and checksums can be read, {which} cannot."


def _wrong_size(name: str, nbytes: int, reader: CheckpointReader) -> str:
    ends = [end for shard, end in _iter_ends(reader) if shard == name]
    if nbytes > max(ends):
        return (
            f"{name} is {nbytes - max(ends)} bytes longer than its index says: the two may "
            "belong to different saves."
        )
    n_lost = sum(end > nbytes for end in ends)
    what = "1 variable" if n_lost == 1 else f"{n_lost} variables"
    return (
        f"{name} ends at byte {nbytes}, and its index wants {max(ends)}: it was cut short, or "
        f"belongs to another save. The values of {what} cannot be read."
    )
