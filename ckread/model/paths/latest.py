"""What a directory stands for, or a file whose name says nothing.

Of a directory it is the latest checkpoint: as its state file says, else by step.

A state file is an input like any other. What it names is looked for in its own
directory only: an absolute path of another machine, a path of Windows or one that
climbs out with `..` counts for its base name.
"""

from __future__ import annotations

import os
import re

from ckread.errors import (
    COPY_AGAIN,
    CheckpointError,
    CheckpointNotFoundError,
    ErrorKind,
    NotACheckpointError,
    TextLines,
)
from ckread.model.paths.location import (
    INDEX_SUFFIX,
    KERAS_SUFFIXES,
    Location,
    at_prefix,
    file_suffix,
)
from ckread.model.paths.nearby import nothing_in
from ckread.model.paths.scanning import locate_latest, scan
from ckread.readers.contract import Format
from ckread.readers.detection import Kind, detect
from ckread.readers.files import STATE_FILE_NAME, is_file
from ckread.readers.state import read_state

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def locate_latest_in(directory: str) -> Location:
    """Find the checkpoint that a directory stands for; its notes say how it was chosen."""
    state = os.path.join(directory, STATE_FILE_NAME)
    notes: tuple[str, ...] = ()
    failure: CheckpointError | None = None
    if is_file(state):
        try:
            named = read_state(state).model_checkpoint_path
        except CheckpointError as error:
            failure = error
            remedy = error.remedy if error.kind is ErrorKind.SOMETHING_ELSE else None
            notes = (f"The state file cannot be read: {error.message}. {remedy or ''}".strip(),)
        else:
            location, notes = _named_by_state(directory, named)
            if location is not None:
                return _with_later(location.noting(*notes), directory)
    location = locate_latest(directory, scan(directory))
    if location is not None:
        return location.noting(*notes)
    nothing = failure or nothing_in(directory)
    if failure is None and notes and isinstance(nothing, CheckpointNotFoundError):
        raise nothing.within(remedy=TextLines(*notes, nothing.remedy))
    raise nothing


def named_in_state(path: str) -> str | None:
    """Give the checkpoint that a state file names, None if it cannot be read."""
    try:
        return read_state(path).model_checkpoint_path
    except CheckpointError:
        return None


def _named_by_state(directory: str, named: str) -> tuple[Location | None, tuple[str, ...]]:
    """Find what a state file names, without leaving its directory; say what was amiss."""
    if not named:
        return None, ("The state file names no checkpoint.",)
    written = os.path.join(directory, named)
    from_windows = os.path.join(directory, named.replace("\\", "/"))
    is_drive = bool(_DRIVE.match(named))
    for path in (written, *([] if is_drive else [from_windows])):
        if _is_inside(directory, path) and (location := at_prefix(path)):
            return location, ()
    base = os.path.join(directory, re.split(r"[/\\]", named)[-1])
    is_outside = is_drive or not _is_inside(directory, from_windows)
    where = f"outside {directory}" if is_outside else "which is not there"
    location = at_prefix(base)
    if location is not None:
        return location, (f"The state file names {named}, {where}; opened {location.path}.",)
    return None, (f"The state file names {named}, {where}.",)


def _is_inside(directory: str, path: str) -> bool:
    target = os.path.abspath(path)
    roots = os.path.abspath(directory), os.path.realpath(directory)
    return any(target.startswith(os.path.join(root, "")) for root in roots)


def _with_later(location: Location, directory: str) -> Location:
    """Say so where the directory holds other checkpoints than the one taken."""
    candidates = scan(directory)
    if len(candidates) < 2:
        return location
    note = f"{directory} holds {len(candidates)} checkpoints; opened "
    last = candidates[-1]
    if os.path.abspath(last.path) == os.path.abspath(location.path):
        return location.noting(f"{note}the latest, {location.path}.")
    own = next(
        (c for c in candidates if os.path.abspath(c.path) == os.path.abspath(location.path)), None
    )
    is_later = own is not None and (own.numbers.known or 0) < (last.numbers.known or 0)
    later = f"; {last.path} has a higher {last.numbers.unit}" if is_later else ""
    return location.noting(f"{note}{location.path}, which the state file names{later}.")


# A file whose name says nothing: taken for what its bytes say, or refused by its name.


_FORMATS = {
    Kind.HDF5: Format.LEGACY_HDF5,
    Kind.KERAS_ARCHIVE: Format.KERAS_ARCHIVE,
    Kind.WEIGHTS_JSON: Format.KERAS_WEIGHTS_SHARDED,
    Kind.SAFETENSORS: Format.SAFETENSORS,
    Kind.SAFETENSORS_JSON: Format.SAFETENSORS,
    Kind.NPY: Format.NPY,
    Kind.NPZ: Format.NPZ,
    Kind.PYTORCH: Format.PYTORCH,
}


def is_openable(path: str) -> bool:
    """Tell whether a file is a checkpoint by itself, whatever its name."""
    return detect(path) in _FORMATS


def locate_by_content(path: str) -> Location:
    """Find the checkpoint that a file is, or that it names if it is a state file.

    Its name decides only between the kinds of Keras weights in HDF5.
    """
    directory, name = os.path.split(path)
    kind = detect(path)
    if kind is Kind.STATE or (name == STATE_FILE_NAME and kind in (Kind.EMPTY, Kind.TEXT)):
        return locate_latest_in(directory or os.curdir)
    if kind not in _FORMATS:
        found, expected = f"{kind.phrase}, not a checkpoint", None
        remedy = kind.remedy_for(path) or None
        if kind in (Kind.BUNDLE_INDEX, Kind.TORN_INDEX):
            found, expected = kind.phrase, f"a name that ends in {INDEX_SUFFIX}"
            right = f"{name}{INDEX_SUFFIX}"
            remedy = f"Call it {right} again, as its writer did, with its data beside it."
        elif kind is Kind.SAVED_MODEL:
            found, expected = kind.phrase, "the name saved_model.pb"
            remedy = "The variables of a SavedModel lie in variables/ beside its saved_model.pb."
        elif kind in (Kind.BINARY, Kind.TEXT, Kind.ZIP) and (suffix := file_suffix(path)):
            found, expected, remedy = kind.phrase, f"a {suffix} file by its name", COPY_AGAIN
        elif kind is Kind.BINARY:
            remedy = f"If it is one, it was damaged or cut short. {COPY_AGAIN}"
        raise NotACheckpointError(found, path=path, name=name, expected=expected, remedy=remedy)
    suffix = file_suffix(path)
    if kind is Kind.HDF5 and suffix and KERAS_SUFFIXES.get(suffix) is Format.KERAS_WEIGHTS:
        return Location(path, Format.KERAS_WEIGHTS)
    return Location(path, _FORMATS[kind])
