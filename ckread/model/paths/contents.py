"""A file whose name says nothing: taken for what its bytes say, or refused by its name."""

from __future__ import annotations

import os

from ckread.errors import NotACheckpointError
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
        remedy = kind.remedy.format(path=path) or None
        if kind in (Kind.BUNDLE_INDEX, Kind.TORN_INDEX):
            found, expected = kind.phrase, f"a name that ends in {INDEX_SUFFIX}"
            right = f"{name}{INDEX_SUFFIX}"
            remedy = f"Call it {right} again, as its writer did, with its data beside it."
        elif kind is Kind.SAVED_MODEL:
            found, expected = kind.phrase, "the name saved_model.pb"
            remedy = "The variables of a SavedModel lie in variables/ beside its saved_model.pb."
        raise NotACheckpointError(found, path=path, name=name, expected=expected, remedy=remedy)
    suffix = keras_suffix(path)
    if kind is Kind.HDF5 and suffix and KERAS_SUFFIXES[suffix] is Format.KERAS_WEIGHTS:
        return Location(path, Format.KERAS_WEIGHTS)
    return Location(path, _FORMATS[kind])
