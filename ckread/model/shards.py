"""What the index and the sizes of the shards tell of values that cannot be read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.readers.contract import Format

if TYPE_CHECKING:
    from ckread.readers.contract import CheckpointReader, Extent


def shard_warnings(reader: CheckpointReader) -> tuple[str, ...]:
    """Say which shards of a bundle are missing or of wrong size; no data file is opened."""
    if reader.format not in (Format.TENSOR_BUNDLE, Format.SAVED_MODEL):
        return ()
    shards = [file for file in reader.files() if file.is_shard]
    missing = [os.path.basename(file.path) for file in shards if file.nbytes is None]
    ends, is_complete = shard_ends(reader)
    wrong = [
        _wrong_size(name, file.nbytes, ends[name])
        for file in shards
        if (name := os.path.basename(file.path)) in ends
        and file.nbytes is not None
        and (file.nbytes < max(ends[name]) or (is_complete and file.nbytes > max(ends[name])))
    ]
    return (*([_missing(missing, len(shards))] if missing else []), *wrong)


def shard_ends(reader: CheckpointReader) -> tuple[dict[str, list[int]], bool]:
    """Give, by base name of the shard, where each of its tensors ends.

    Returns:
        The ends, and whether they are all: the places of some slices are not known.
    """
    names = [os.path.basename(file.path) for file in reader.files() if file.is_shard]
    ends: dict[str, list[int]] = {}
    by_number = [ends.setdefault(name, []) for name in names]
    is_complete = True
    for key, _, _, nbytes, crc32c, shard, offset in reader.tensors.values():
        if crc32c is None:
            extents = _extents(reader, key)
            is_complete = is_complete and bool(extents)
            for extent in extents:
                ends.setdefault(os.path.basename(extent.path), []).append(
                    extent.offset + extent.nbytes
                )
        elif shard is not None and offset is not None and shard < len(by_number):
            by_number[shard].append(offset + nbytes)
    return {name: found for name, found in ends.items() if found}, is_complete


def _extents(reader: CheckpointReader, key: str) -> tuple[Extent, ...]:
    try:
        return reader.extents(key) or ()
    except CheckpointError:
        return ()


def _missing(names: list[str], count: int) -> str:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if len(names) == 1:
        start, which = f"{shown} is missing", "values" if count == 1 else "values in it"
    else:
        start = f"{len(names)} of {count} data shards are missing: {shown}"
        which = "values" if count == len(names) else "values in them"
    return f"{start}. Names, shapes and checksums can be read, {which} cannot."


def _wrong_size(name: str, nbytes: int, ends: list[int]) -> str:
    end = max(ends)
    if nbytes > end:
        return (
            f"{name} is {nbytes - end} bytes longer than its index says: the two may belong to "
            "different saves."
        )
    n_lost = sum(one > nbytes for one in ends)
    what = "1 variable" if n_lost == 1 else f"{n_lost} variables"
    return (
        f"{name} ends at byte {nbytes}, and its index wants {end}: it was cut short, or "
        f"belongs to another save. The values of {what} cannot be read."
    )
