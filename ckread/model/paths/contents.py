"""A file whose name says nothing: taken for what its bytes say, or refused by its name."""

from __future__ import annotations

import os

from ckread.errors import CheckpointError, NotACheckpointError
from ckread.model.paths.latest import locate_latest_in
from ckread.model.paths.location import INDEX_SUFFIX, KERAS_SUFFIXES, Location, keras_suffix
from ckread.readers.contract import Format
from ckread.readers.detection import Kind, detect
from ckread.readers.files import STATE_FILE_NAME

_FORMATS = {
    Kind.HDF5: Format.LEGACY_HDF5,
    Kind.KERAS_ARCHIVE: Format.KERAS_ARCHIVE,
    Kind.WEIGHTS_JSON: Format.KERAS_WEIGHTS_SHARDED,
}


def locate_by_content(path: str) -> Location:
    """Find the checkpoint that a file is, or that it names if it is a state file.

    Its name decides only between the kinds of Keras weights in HDF5.

    Raises:
        NotACheckpointError: it is something else; the message says what.
        CheckpointError: it cannot be read, or as for a directory.
    """
    directory, name = os.path.split(path)
    kind = detect(path)
    if kind is Kind.STATE or (name == STATE_FILE_NAME and kind in (Kind.EMPTY, Kind.TEXT)):
        return locate_latest_in(directory or os.curdir)
    if kind not in _FORMATS:
        raise _something_else(path, kind)
    suffix = keras_suffix(path)
    if kind is Kind.HDF5 and suffix and KERAS_SUFFIXES[suffix] is Format.KERAS_WEIGHTS:
        return Location(path, Format.KERAS_WEIGHTS)
    return Location(path, _FORMATS[kind])


def _something_else(path: str, kind: Kind) -> CheckpointError:
    name = os.path.basename(path)
    found, expected = f"{kind.phrase}, not a checkpoint", None
    remedy = kind.remedy.format(path=path) or None
    if kind in (Kind.BUNDLE_INDEX, Kind.TORN_INDEX):
        found, expected = kind.phrase, f"a name that ends in {INDEX_SUFFIX}"
        remedy = f"Call it {name}{INDEX_SUFFIX} again, as its writer did, with its data beside it."
    elif kind is Kind.SAVED_MODEL:
        found, expected = kind.phrase, "the name saved_model.pb"
        remedy = "The variables of a SavedModel lie in variables/ beside its saved_model.pb."
    return NotACheckpointError(found, path=path, name=name, expected=expected, remedy=remedy)
