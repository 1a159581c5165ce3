"""The checkpoints of a directory, found without a state file."""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple

from ckread.errors import CheckpointError
from ckread.model.paths.location import (
    INDEX_SUFFIX,
    KERAS_SUFFIXES,
    META_SUFFIX,
    Location,
    at_prefix,
    file_names,
    is_v1_file,
    keras_suffix,
    split_v1_shard,
)
from ckread.readers.contract import Format
from ckread.readers.shards import present_shards

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_KERAS_SHARD = re.compile(r"_\d{5}\.weights\.h5\Z")
_MAX_SNIFFED = 200
"""Files without a telling name whose content is looked at, in search of V1 checkpoints."""


class Candidate(NamedTuple):
    """A checkpoint of a directory, by its name.

    Attributes:
        path: its prefix or file.
        format: as its name tells it.
        step: last whole number of its name; None if there is none.
        saved: when its index or file was last written, seconds since 1970.
    """

    path: str
    format: Format
    step: int | None
    saved: float

    @property
    def name(self) -> str:
        """Its base name."""
        return os.path.basename(self.path)

    @property
    def order(self) -> tuple[int, float, str]:
        """What sorts candidates: by step, then by time; those without a step first."""
        return -1 if self.step is None else self.step, self.saved, self.path


def scan(directory: str) -> list[Candidate]:
    """List the checkpoints of a directory, earliest first.

    TensorFlow's own; Keras files only where there are none of these. Whether an
    index is sound is left to who opens it.
    """
    names = file_names(directory)
    bundles = [
        _candidate(directory, name, INDEX_SUFFIX, Format.TENSOR_BUNDLE)
        for name in names
        if name.endswith(INDEX_SUFFIX)
    ]
    found = [candidate for candidate in bundles if candidate is not None]
    found = found or _v1_files(directory, names) or _keras_files(directory, names)
    return sorted(found, key=lambda candidate: candidate.order)


def step_of(name: str) -> int | None:
    """Give the last whole number of a base name: 5 for `weights.05-0.23`."""
    whole = [number for number in _NUMBER.findall(name) if "." not in number]
    return int(whole[-1]) if whole else None


def locate_latest(directory: str, candidates: list[Candidate]) -> Location | None:
    """Give the latest candidate that is what its name says, and say that it was chosen."""
    for candidate in reversed(candidates):
        location = _confirmed(candidate)
        if location is None:  # other programs call their files .index too
            continue
        if len(candidates) == 1:
            return location
        shown = directory or os.curdir
        how = "the latest" if candidate.step is not None else "the last written"
        note = f"{shown} holds {len(candidates)} checkpoints; opened {how}, {candidate.path}."
        return location.noting(note)
    return None


def _confirmed(candidate: Candidate) -> Location | None:
    if candidate.format is not Format.TENSOR_BUNDLE:
        files = (candidate.path,) if candidate.format is Format.V1_TABLE else ()
        return at_prefix(candidate.path) or Location(candidate.path, candidate.format, files)
    from ckread.readers.detection import POINTERS, Kind, detect

    kind = detect(candidate.path + INDEX_SUFFIX)
    known = (Kind.BUNDLE_INDEX, Kind.TORN_INDEX, Kind.TABLE, Kind.EMPTY, Kind.ZEROS, *POINTERS)
    is_index = kind in known or present_shards(candidate.path)  # if something else, it is told
    return at_prefix(candidate.path) if is_index else None


def _v1_files(directory: str, names: list[str]) -> list[Candidate]:
    """Find V1 checkpoints: any name, so by content, of what has no other known suffix."""
    found = {}
    likely = [name for name in names if not name.endswith((META_SUFFIX, *KERAS_SUFFIXES))]
    for name in likely[:_MAX_SNIFFED]:
        try:
            if not is_v1_file(os.path.join(directory, name)):
                continue
        except CheckpointError:
            continue
        stem = split_v1_shard(name)[0]
        candidate = _candidate(directory, name, name[len(stem) :], Format.V1_TABLE)
        if candidate is not None:
            found[stem] = candidate
    return list(found.values())


def _keras_files(directory: str, names: list[str]) -> list[Candidate]:
    found = []
    for name in names:
        suffix = keras_suffix(name)
        if suffix is not None and not _KERAS_SHARD.search(name):
            candidate = _candidate(directory, name, "", KERAS_SUFFIXES[suffix])
            found += [candidate] if candidate is not None else []
    return found


def _candidate(directory: str, name: str, suffix: str, kept: Format) -> Candidate | None:
    path = os.path.join(directory, name)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    bare = path.removesuffix(suffix)
    visible = name.removesuffix(suffix or keras_suffix(name) or "")
    return Candidate(bare, kept, step_of(visible), status.st_mtime)
