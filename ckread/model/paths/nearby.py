"""Paths that lead nowhere: the errors that say what is near."""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    ErrorKind,
    NotACheckpointError,
    TextLines,
    TruncatedFileError,
)
from ckread.model.paths.location import (
    DATA_SUFFIX,
    INDEX_SUFFIX,
    META_SUFFIX,
    at_saved_model,
)
from ckread.model.paths.scanning import Candidate, doubt_among, layout_of, left_by_save, scan
from ckread.readers.bundle.reader import TORN_REMEDY
from ckread.readers.files import can_list, file_names, is_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

_N_SHOWN = 5
_MAX_SUBDIRECTORIES = 100
_ALONE = TextLines(
    "If a training run is still writing here, try again in a moment. If not, its",
    "values cannot be found without the index: copy the directory again, or train on",
    "from a checkpoint elsewhere.",
)


_UNLISTED = "What is there cannot be listed: name a prefix, a file, or a SavedModel and a /."


def nothing_at(path: str) -> CheckpointError:
    """Give the error for a path at which there is no checkpoint and no file."""
    directory, name = os.path.split(path)
    if not can_list(directory):
        return CheckpointNotFoundError("no such checkpoint", path=path, remedy=_UNLISTED)
    names = file_names(directory)
    data = [
        other for other in names if other.startswith(name) and DATA_SUFFIX.match(other, len(name))
    ]
    if data and name:
        return torn(os.path.join(directory, data[0]))
    if name and name + META_SUFFIX in names:
        return CheckpointNotFoundError(
            f"no {name}{INDEX_SUFFIX} beside it",
            path=path,
            name=f"{name}{META_SUFFIX}",
            remedy="It holds a graph, and no values of variables.",
        )
    if directory and not is_directory(directory):
        above = directory  # the first directory of the path that is not there
        while above and not is_directory(above):
            directory, above = above, os.path.dirname(above)
        missing = os.path.basename(directory)
        near = difflib.get_close_matches(missing, file_names(above), n=_N_SHOWN, cutoff=0.6)
        lines = [f"  {os.path.join(above, other)}" for other in near]
        spelt = TextLines("Nearest names:", *lines) if lines else None
        return CheckpointNotFoundError(f"no directory {directory}", path=path, remedy=spelt)
    tracked = f"{name}.dvc"
    remedy = _what_is_here(directory, name)
    if tracked in names:
        remedy = (
            f"DVC keeps it, and it is not here yet: dvc pull {os.path.join(directory, tracked)}"
        )
    return CheckpointNotFoundError("no such checkpoint", path=path, remedy=remedy)


def nothing_in(directory: str) -> CheckpointError:
    """Give the error for a directory without a checkpoint."""
    if not can_list(directory):
        return CheckpointNotFoundError("it cannot be listed", path=directory, remedy=_UNLISTED)
    names = file_names(directory)
    data = next((name for name in names if DATA_SUFFIX.search(name)), None)
    if data is not None:
        index = DATA_SUFFIX.sub("", data) + INDEX_SUFFIX
        return TruncatedFileError(
            f"{data} is here and {index} is not: a save that is under way, or was cut short",
            kind=ErrorKind.TORN,
            path=os.path.join(directory, data),
            name=directory,
            place="no complete checkpoint",
            remedy=_ALONE,
        )
    layout = layout_of(directory)
    if layout is not None:
        return NotACheckpointError(layout[0], path=directory, remedy=layout[1])
    left = [left_by_save(os.path.join(directory, name)) for name in names]
    told = [f"Left by a save that is not done: {one}." for one in left if one is not None]
    held = _below(directory, names) if names else "It is empty."
    return CheckpointNotFoundError(
        "no checkpoint in this directory",
        path=directory,
        remedy=TextLines(*told, held),
    )


def torn(data: str) -> TruncatedFileError:
    """Give the error for a data shard without its index."""
    name = os.path.basename(data)
    index = DATA_SUFFIX.sub("", name) + INDEX_SUFFIX
    return TruncatedFileError(
        f"absent beside {name}, being written or torn",
        kind=ErrorKind.TORN,
        path=data,
        name=index,
        remedy=TORN_REMEDY,
    )


def summary(directory: str, candidates: Sequence[Candidate]) -> str:
    """Say in one sentence which checkpoints a directory holds."""
    where = directory or "This directory"
    names = [candidate.name or INDEX_SUFFIX for candidate in candidates]
    latest = candidates[-1]
    if len(names) == 1:
        return f"{where} holds one checkpoint: {latest.path}"
    if len({_stem(name) for name in names}) == 1:
        held = f"{names[0]} to {names[-1]}"
    else:
        more = len(names) - _N_SHOWN
        held = ", ".join(names[-_N_SHOWN:]) + (f" and {more} more" if more > 0 else "")
    is_told = not doubt_among(latest, list(candidates))
    return f"{where} holds {held}" + (f"; the latest is {latest.path}." if is_told else ".")


def _stem(name: str) -> str:
    return re.sub(r"\d+", "0", name)


def _what_is_here(directory: str, name: str) -> str | None:
    candidates = scan(directory)
    by_name = {candidate.name: candidate.path for candidate in candidates}
    if candidates and _stem(name) in map(_stem, by_name):
        return summary(directory, [c for c in candidates if _stem(c.name) == _stem(name)])
    others = {
        other: os.path.join(directory, other)
        for other in file_names(directory)
        if name.startswith(".") or not other.startswith(".")
    }
    near = difflib.get_close_matches(name, by_name, n=_N_SHOWN, cutoff=0.6)
    near = near or difflib.get_close_matches(name, others, n=_N_SHOWN, cutoff=0.6)
    near = near or [other for other in by_name if name and other.startswith(name)][:_N_SHOWN]
    if near:
        paths = {**others, **by_name}
        return TextLines("Nearest names:", *(f"  {paths[other]}" for other in near))
    return summary(directory, candidates) if candidates else None


def _below(directory: str, names: list[str]) -> str | None:
    """Name directories one level below that hold a checkpoint."""
    paths = [os.path.join(directory, name) for name in names]
    below = [path for path in paths if is_directory(path)][:_MAX_SUBDIRECTORIES]
    held = [path for path in below if at_saved_model(path) or scan(path)]
    if not held:
        return None
    shown = [f"  {path}" for path in held[:_N_SHOWN]]
    more = len(held) - _N_SHOWN
    rest = f"  and {more} more" if more > 0 else None
    return TextLines("Directories below hold checkpoints:", *shown, rest)
