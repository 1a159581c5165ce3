"""What lies beside a checkpoint: what a torn save left, and a state file that is out of date."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.analysis.findings import Code, Finding, Level
from ckread.model.location import file_names
from ckread.model.run_state import read_marks
from ckread.readers.open_index import TORN_REMEDY
from ckread.readers.regular_file import file_identity
from ckread.readers.shards import present_shards, shard_path, stem_of_shard

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEFT = "This is what an unfinished save leaves; it can be deleted once no run is writing."


def check_directory(prefix: str) -> list[Finding]:
    """Look through the directory of a prefix for leftovers and names that lead nowhere."""
    directory = os.path.dirname(prefix)
    names = file_names(directory)
    return [*_leftovers(directory, names), *_unindexed(names), *_state(directory, names)]


def _leftovers(directory: str, names: list[str]) -> Iterator[Finding]:
    for name in names:
        if not _is_left(directory, name):
            continue
        path = os.path.join(directory, name)
        if os.path.isdir(path):
            inside = [os.path.join(path, other) for other in file_names(path)]
            sizes = [identity.nbytes for other in inside if (identity := file_identity(other))]
            found = f"{name}/ holds {len(sizes)} files, {sum(sizes)} bytes"
        else:
            identity = file_identity(path)
            found = f"{name} is there, {identity.nbytes if identity else 0} bytes"
        yield Finding(Level.WARNING, Code.LEFTOVERS, None, name, found, _LEFT)


def _unindexed(names: list[str]) -> Iterator[Finding]:
    """Give the shards that no index lists, one finding for each checkpoint they are of."""
    known = set(names)
    for stem in dict.fromkeys(map(stem_of_shard, sorted(names))):
        if stem is not None and f"{stem}.index" not in known:
            found = f"data of {stem} is there without {stem}.index"
            yield Finding(Level.WARNING, Code.LEFTOVERS, None, f"{stem}.index", found, _LEFT)


def _is_left(directory: str, name: str) -> bool:
    """Tell whether a name is one that only an unfinished save leaves."""
    if ".tempstate" in name or name.startswith("checkpoint.tmp"):
        return True
    inside = os.path.join(directory, name)
    if not name.endswith("_temp") or not os.path.isdir(inside):
        return False
    return all(part.startswith("part-") for part in file_names(inside))


def _state(directory: str, names: list[str]) -> Iterator[Finding]:
    marks = read_marks(directory)
    for note in marks.notes:
        yield Finding(Level.WARNING, Code.STATE_FILE, None, "checkpoint", note.rstrip("."))
    stale = [
        name
        for name in marks.names
        if "?" not in name and name not in names and f"{name}.index" not in names
    ]
    if stale:
        shown = ", ".join(stale[:3]) + (f" and {len(stale) - 3} more" if len(stale) > 3 else "")
        message = (
            f"the state file names {shown}, which {'is' if len(stale) == 1 else 'are'} not there"
        )
        yield Finding(Level.WARNING, Code.STATE_STALE, None, "checkpoint", message)


def torn_save(prefix: str) -> Finding | None:
    """Give the finding for data without an index, None if there is an index or no data."""
    families = present_shards(prefix)
    if os.path.lexists(f"{prefix}.index"):
        return None
    directory, base = os.path.split(prefix)
    if not families:
        temporary = [
            name
            for name in file_names(directory)
            if name.startswith((f"{base}_temp", f"{base}.")) and _is_left(directory, name)
        ]
        return _unfinished(base, temporary[0]) if temporary and base else None
    count = min(families)
    shard = shard_path(prefix, min(families[count]), count)
    identity = file_identity(shard)
    name = os.path.basename(shard)
    message = (
        f"{base}.index is absent beside {name} ({identity.nbytes if identity else 0} bytes): "
        "without it nothing can be read"
    )
    return Finding(Level.ERROR, Code.NO_INDEX, None, f"{base}.index", message, TORN_REMEDY)


def _unfinished(base: str, name: str) -> Finding:
    message = f"{base} has neither index nor data, only {name}, which its save was writing"
    return Finding(Level.ERROR, Code.NO_INDEX, None, f"{base}.index", message, TORN_REMEDY)
