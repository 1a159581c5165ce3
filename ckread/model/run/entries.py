"""The checkpoints of a run: where they lie, by what a person typed, and how they are listed.

A directory stands for every checkpoint in it, a quoted glob for those it matches,
any other path for the one checkpoint that it means. A path that exists is taken
for itself, whatever stars and brackets are in its name.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError
from ckread.model.display import Field, Kind, document
from ckread.model.paths.locate import locate, ready_path
from ckread.model.paths.location import (
    DATA_SUFFIX,
    INDEX_SUFFIX,
    META_SUFFIX,
    at_prefix,
    at_saved_model,
    file_suffix,
    saved_model_prefix,
)
from ckread.model.paths.scanning import keras_files, scan
from ckread.readers.contract import Format
from ckread.readers.files import (
    STATE_FILE_NAME,
    can_list,
    exists,
    file_names,
    is_address,
    is_directory,
    is_file,
)
from ckread.readers.state import known_time, read_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.model.evidence import Claim
    from ckread.model.paths.location import Location


class RunState(StrEnum):
    """What the state file of a directory says of a checkpoint."""

    LATEST = "latest"
    """Named as the one to restore."""
    KEPT = "kept"
    """Named among those that are kept."""
    UNTRACKED = "untracked"
    """On disk, and not named."""
    STALE = "stale"
    """Named, and not on disk."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One checkpoint of a run.

    Example:
        >>> entry = ckread.open_run("fixtures/digits_run").entries[2]
        >>> entry.name, entry.path, entry.step, entry.epoch, entry.numbers, entry.iterations
        ('ckpt-3', 'fixtures/digits_run/ckpt-3', 3, None, (3,), 270)
        >>> entry.count, entry.unit, entry.variables, entry.elements, entry.nbytes
        (3, 'step', 43, 115233, 469095)
        >>> entry.time, entry.is_dated_by_state, str(entry.state), entry.is_epoch_stored
        (1795240231.1890755, True, 'kept', False)
        >>> entry.to_place()["step"], entry.to_dict()["step"]
        (3, 3)

    Attributes:
        path: its prefix, file or directory.
        step: of training; None where neither content nor name tell.
        epoch: of training, by a counter in the file, else by its name; None otherwise.
        numbers: of the name, those that order it among its siblings.
        time: when it was saved, seconds since 1970, by the state file or else by
            the file itself; None for one that is not there.
        nbytes: of all its files; None for one that is not there.
        state: what the state file says; None where there is none.
        iterations: of its optimizer; None where it has none, or several differ.
        variables: how many it holds, bookkeeping left out.
        elements: of these variables.
        is_dated_by_state: whether `time` is the state file's.
        is_epoch_stored: whether `epoch` is that of a counter.
    """

    path: str
    step: int | None
    time: float | None = None
    nbytes: int | None = None
    state: RunState | None = None
    iterations: int | None = None
    variables: int = 0
    elements: int = 0
    is_dated_by_state: bool = False
    epoch: int | None = None
    numbers: tuple[int, ...] = ()
    is_epoch_stored: bool = False

    @property
    def name(self) -> str:
        """Its base name."""
        return base_name(self.path)

    @property
    def count(self) -> int | None:
        """Its step, else its epoch; what its place in the training is shown by."""
        return self.epoch if self.step is None else self.step

    @property
    def unit(self) -> str:
        """What `count` counts: `step` or `epoch`."""
        return "epoch" if self.step is None and self.epoch is not None else "step"

    def to_place(self) -> dict[str, Any]:
        """Give what tells it from the others of its run, in JSON documents."""
        return {"path": self.path, "step": self.step, "epoch": self.epoch, "time": self.time}

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of a checkpoint in JSON documents."""
        return document(ENTRY_FIELDS, self)


ENTRY_FIELDS: tuple[Field[RunEntry], ...] = (
    Field("path", Kind.TEXT),
    Field("step", Kind.NUMBER),
    Field("epoch", Kind.NUMBER),
    Field("numbers", Kind.SHAPE),
    Field("time", Kind.FIGURE),
    Field("nbytes", Kind.NUMBER),
    Field("state", Kind.TEXT),
    Field("iterations", Kind.NUMBER),
    Field("variables", Kind.COUNT),
    Field("elements", Kind.COUNT),
)
"""What is told of a checkpoint of a run: JSON, pandas and the pipe of `runs`."""


@dataclass(frozen=True, slots=True)
class SkippedCheckpoint:
    """A checkpoint that was found and cannot be opened.

    Attributes:
        path: its prefix, file or directory.
        error: why; not shown by `repr`.
    """

    path: str
    error: CheckpointError = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Checkpoints of one model, in order of step.

    Attributes:
        entries: of the checkpoints.
        model: equal for groups of the same model that was saved under another name, or
            in another format: their parameters have the same leaf names, shapes and types.
        titles: what orders them is called: `step`, `epoch`, or words of their names.
        claims: of their steps and of the latest, with what told them.
    """

    entries: tuple[RunEntry, ...]
    model: int = 0
    titles: tuple[str, ...] = ("step",)
    claims: tuple[Claim, ...] = ()

    @property
    def latest(self) -> RunEntry:
        """The last of them."""
        return self.entries[-1]


def base_name(path: str) -> str:
    """Give the last component of a path, also where it ends in a separator."""
    return os.path.basename(path.rstrip(os.sep)) or path


@dataclass(frozen=True, slots=True)
class Place:
    """Where a checkpoint of a run lies.

    Attributes:
        path: its prefix, file or directory.
        format: as far as its name tells.
        is_scanned: whether it was found in a directory or by a glob, and not named
            by the user.
    """

    path: str
    format: Format
    is_scanned: bool = False


@dataclass(slots=True)
class Places:
    """What was found for a run.

    Attributes:
        found: by absolute path, in the order given, each once.
        scanned: directories that were looked through.
        marks: what the state files say, by directory.
        notes: what had to be decided, one sentence each.
        beside: files of Keras in a directory whose checkpoints are TensorFlow's.
    """

    found: dict[str, Place] = field(default_factory=dict)
    scanned: list[str] = field(default_factory=list)
    marks: dict[str, StateMarks] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)

    def add(self, place: Place) -> None:
        """Take a place, unless it is known; what the user named stays named."""
        self.found.setdefault(os.path.abspath(place.path), place)
        directory = os.path.dirname(place.path.rstrip(os.sep))
        if directory not in self.marks:
            self.marks[directory] = read_marks(directory)


def find_places(paths: Iterable[str]) -> Places:
    """Find the checkpoints of a run.

    Raises:
        CheckpointError: a path leads to no checkpoint; the remedy says what is near.
    """
    places = Places()
    for path in paths:
        expanded = ready_path(path)
        is_meant = expanded.endswith(os.sep) or not at_prefix(expanded)
        if is_meant and is_directory(expanded):
            found = list(_in_directory(expanded, places))
        else:
            found = _at_path(path, expanded, places)
        for place in found:
            places.add(place)
    places.notes += [note for marks in places.marks.values() for note in marks.notes]
    return places


def _at_path(path: str, expanded: str, places: Places) -> list[Place]:
    """Give the one checkpoint that a path means, else those that it matches as a glob."""
    try:
        return [_place(locate(path))]
    except CheckpointError:
        is_glob = glob.has_magic(expanded) and not exists(expanded)
        matched = list(_matched(expanded, places)) if is_glob else []
        if not matched:
            raise
        return matched


def _place(location: Location, *, is_scanned: bool = False) -> Place:
    return Place(location.path, location.format, is_scanned)


def _in_directory(directory: str, places: Places) -> Iterator[Place]:
    model = at_saved_model(directory)
    if model is not None:
        yield _place(model)
        return
    found = list(_scanned(directory.rstrip(os.sep) or directory))
    if any(place.format in (Format.TENSOR_BUNDLE, Format.V1_TABLE) for place in found):
        places.beside += [one.path for one in keras_files(directory, file_names(directory))]
    if not found and (nested := at_prefix(saved_model_prefix(directory))):
        yield _place(nested)
        return
    directory = directory.rstrip(os.sep) or directory
    places.scanned.append(directory)
    places.marks[directory] = read_marks(directory)
    if not found and not can_list(directory):  # then a state file alone tells
        named = (os.path.join(directory, name) for name in places.marks[directory].names)
        found = [_place(location) for path in named if (location := at_prefix(path))]
    if not found and not places.marks[directory].names:
        yield _place(locate(directory))  # raises, with what is near
    yield from found


def _scanned(directory: str) -> Iterator[Place]:
    """Give the checkpoints of a directory, else the SavedModels in numbered ones below."""
    candidates = scan(directory)
    for candidate in candidates:
        yield Place(candidate.path, candidate.format, is_scanned=True)
    names = file_names(directory)
    if candidates:
        # Of data shards whose index is absent the prefix: opening it tells why it is none.
        known = {candidate.name for candidate in candidates}
        shards = (name for name in names if DATA_SUFFIX.search(name))
        for prefix in dict.fromkeys(DATA_SUFFIX.sub("", name) for name in shards):
            if prefix not in known:
                path = os.path.join(directory, prefix)
                yield Place(path, Format.TENSOR_BUNDLE, is_scanned=True)
        return
    for name in filter(str.isdecimal, names):
        below = os.path.join(directory, name)
        if is_directory(below) and at_saved_model(below):
            yield Place(below, Format.SAVED_MODEL, is_scanned=True)


def _matched(pattern: str, places: Places) -> Iterator[Place]:
    """Give the checkpoints of which a file, a prefix or the directory matches a glob."""
    for path in sorted({*_globbed(pattern + INDEX_SUFFIX), *_globbed(pattern)}):
        if is_directory(path):
            if at_saved_model(path) or scan(path):
                found = _in_directory(path, places)
                yield from (replace(place, is_scanned=True) for place in found)
        elif _may_be_checkpoint(os.path.basename(path)):
            try:
                yield _place(locate(path), is_scanned=True)
            except CheckpointError:
                continue  # other files of a run match its pattern too


def _globbed(pattern: str) -> list[str]:
    """Give the paths that match a glob, of an address by the names in each directory."""
    if not is_address(pattern):
        return glob.glob(pattern)
    directory, name = os.path.split(pattern)
    above = _globbed(directory) if glob.has_magic(directory) else [directory]
    return [
        os.path.join(one, found) for one in above for found in fnmatch.filter(file_names(one), name)
    ]


def _may_be_checkpoint(name: str) -> bool:
    if name == STATE_FILE_NAME or name.endswith(META_SUFFIX) or DATA_SUFFIX.search(name):
        return False
    return name.endswith(INDEX_SUFFIX) or bool(file_suffix(name)) or "." not in name[-5:]


def title_of(paths: Sequence[str]) -> str:
    """Give one path, or the directory that several share, else say how many they are."""
    if len(paths) == 1:
        return paths[0].rstrip(os.sep) or paths[0]
    directories = {os.path.dirname(path) for path in paths}
    only = directories.pop()
    return only if only and not directories else f"{len(paths)} paths"


# What the state file of a directory says of each checkpoint in it.


@dataclass(frozen=True, slots=True)
class StateMarks:
    """A state file, by base names: the directory may have been moved since.

    Attributes:
        latest: base name of the latest checkpoint; None without a state file.
        names: base names of all that it names, in its order.
        times: when they were saved, seconds since 1970, where it says so.
        notes: why it cannot be read.
    """

    latest: str | None = None
    names: tuple[str, ...] = ()
    times: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def state_of(self, name: str) -> RunState | None:
        """Give what it says of the checkpoint of a base name, which is on disk."""
        if self.latest is None:
            return None
        if name == self.latest:
            return RunState.LATEST
        return RunState.KEPT if name in self.names else RunState.UNTRACKED


def read_marks(directory: str) -> StateMarks:
    """Read the state file of a directory, if there is one that can be read."""
    path = os.path.join(directory, STATE_FILE_NAME)
    if not is_file(path):
        return StateMarks()
    try:
        state = read_state(path)
    except CheckpointError as error:
        return StateMarks(notes=(f"The state file cannot be read: {error.message}.",))
    names = [_base(path) for path in state.all_model_checkpoint_paths]
    times = state.all_model_checkpoint_timestamps
    pairs = zip(names, times, strict=True) if len(names) == len(times) else ()
    dated = {name: time for name, time in pairs if known_time(time) is not None}
    latest = _base(state.model_checkpoint_path)
    return StateMarks(latest, tuple(dict.fromkeys([*names, *([latest] if latest else [])])), dated)


def _base(path: str) -> str:
    return re.split(r"[/\\]", path)[-1]
