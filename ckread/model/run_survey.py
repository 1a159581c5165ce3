"""Looking once at each checkpoint of a run, for what a listing shows."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError
from ckread.model.location import INDEX_SUFFIX
from ckread.model.run_entries import RunEntry, RunState, SkippedCheckpoint, base_name
from ckread.model.run_grouping import Member
from ckread.model.run_opening import RunOpener, read_counter
from ckread.model.scanning import step_of
from ckread.readers.contract import Format
from ckread.readers.regular_file import file_identity

if TYPE_CHECKING:
    from ckread.model.run_paths import Place, Places

MAX_KEPT = 30_000
"""Variables of listed checkpoints that are remembered, so that an index is parsed once."""


def survey(places: Places, opener: RunOpener) -> tuple[list[Member], list[SkippedCheckpoint]]:
    """Open each place once, for what a listing shows, and close it again."""
    members, skipped = [], []
    n_kept = 0
    for given, place in enumerate(places.found.values()):
        try:
            member = _member(place, places, opener, given)
            n_kept += len(member.checkpoint or ())
            members.append(member if n_kept <= MAX_KEPT else replace(member, checkpoint=None))
        except CheckpointError as error:
            if not place.is_scanned and len(places.found) == 1:
                raise
            skipped.append(SkippedCheckpoint(place.path, error))
    return members, skipped


def _member(place: Place, places: Places, opener: RunOpener, given: int) -> Member:
    index = place.path + INDEX_SUFFIX if place.format is Format.TENSOR_BUNDLE else place.path
    identity = file_identity(index)
    checkpoint, structure = opener.open(place)
    with checkpoint:
        counters = tuple(read_counter(checkpoint, key) for key in structure.step_keys)
        iterations = read_counter(checkpoint, structure.iterations_key)
        files = checkpoint.files()
    directory, name = os.path.split(place.path.rstrip(os.sep))
    marks = places.marks[directory]
    entry = RunEntry(
        path=place.path,
        step=None,
        time=marks.times.get(name, _saved(files[0].path)),
        nbytes=sum(file.nbytes or 0 for file in files),
        state=marks.state_of(name),
        iterations=iterations,
        variables=len(structure.tensors),
        elements=structure.elements,
        is_dated_by_state=name in marks.times,
    )
    return Member(place, entry, structure, counters, given, index, identity, checkpoint)


def _saved(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return None


def stale(places: Places) -> tuple[RunEntry, ...]:
    """Give what the state files name and nothing was found of."""
    named = [
        os.path.join(directory, name)
        for directory in places.scanned
        for name in places.marks[directory].names
    ]
    absent = [path for path in named if os.path.abspath(path) not in places.found]
    entries = (RunEntry(path, step_of(base_name(path)), state=RunState.STALE) for path in absent)
    return tuple(entry for entry in entries if not os.path.lexists(entry.path + INDEX_SUFFIX))
