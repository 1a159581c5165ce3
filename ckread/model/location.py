"""Where a checkpoint lies on disk: its files, from the prefix that names it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace

from ckread.errors import MissingShardError
from ckread.readers.contract import Format

INDEX_SUFFIX = ".index"
META_SUFFIX = ".meta"
DATA_SUFFIX = re.compile(r"\.data-\d{5,}-of-\d{5,}(?:\.tempstate\d*)?\Z")
SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
KERAS_SUFFIXES = {
    ".keras": Format.KERAS_ARCHIVE,
    ".weights.json": Format.KERAS_WEIGHTS_SHARDED,
    ".weights.h5": Format.KERAS_WEIGHTS,
    ".h5": Format.LEGACY_HDF5,
    ".hdf5": Format.LEGACY_HDF5,
}
MAX_V1_SHARDS = 100_000
_V1_SHARD = re.compile(r"(?P<stem>.*)-(?:\d{5,}|\?{5,})-of-(?P<count>\d{5,})\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Location:
    """A checkpoint that was found, not yet opened.

    Attributes:
        path: the prefix, file or directory that names it.
        format: how it is kept; the content decides where a name could mislead.
        files: the files of a V1 checkpoint; empty for the others.
        notes: what had to be decided to find it, one sentence each.
    """

    path: str
    format: Format
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def noting(self, *notes: str) -> Location:
        """Give the same place with sentences put before its own."""
        return replace(self, notes=(*notes, *self.notes))


def at_prefix(prefix: str) -> Location | None:
    """Give the TensorFlow checkpoint of exactly this prefix, None if there is none.

    Raises:
        MissingShardError: a V1 checkpoint of several files is not whole.
    """
    if os.path.isfile(prefix + INDEX_SUFFIX):
        return _enclosing_saved_model(prefix) or Location(
            prefix, Format.TENSOR_BUNDLE, notes=_shadowed(prefix)
        )
    if is_v1_file(prefix):
        stem, count = split_v1_shard(prefix)
        return (
            _v1_shards(stem, count) if count > 1 else Location(prefix, Format.V1_TABLE, (prefix,))
        )
    if not os.path.lexists(prefix):
        stem, count = split_v1_shard(prefix)
        return _v1_shards(stem, count)
    return None


def at_saved_model(directory: str) -> Location | None:
    """Give the SavedModel of which this is the directory or its `variables/`."""
    if _has_graph(directory):
        return Location(directory, Format.SAVED_MODEL)
    is_part = os.path.basename(os.path.abspath(directory)) == "variables"
    if is_part and _has_graph(parent(directory)):
        return Location(parent(directory), Format.SAVED_MODEL)
    return None


def saved_model_prefix(directory: str) -> str:
    """Give the prefix of the variables of a SavedModel."""
    return os.path.join(directory, "variables", "variables")


def is_v1_file(path: str) -> bool:
    """Tell whether a regular file is a V1 checkpoint, or a part of one, by its content."""
    if not os.path.isfile(path):
        return False
    # Imported here: a plain prefix, the usual case, needs no look at content.
    from ckread.readers.detection import detect
    from ckread.readers.kinds import Kind

    return detect(path) is Kind.V1_TABLE


def split_v1_shard(path: str) -> tuple[str, int]:
    """Split `x-00002-of-00005`, or `x-?????-of-00005`, into `x` and 5; 0 if it is neither."""
    match = _V1_SHARD.fullmatch(path)
    return (match["stem"], int(match["count"])) if match else (path, 0)


def keras_suffix(path: str) -> str | None:
    """Give the suffix that makes a name one of Keras's, the longest that fits."""
    return next((suffix for suffix in KERAS_SUFFIXES if path.endswith(suffix)), None)


def file_names(directory: str) -> list[str]:
    """List a directory, or nothing where that is not possible."""
    try:
        return sorted(os.listdir(directory or "."))
    except (OSError, ValueError):
        return []


def parent(directory: str) -> str:
    """Give the directory above, in the words of this path where that is possible."""
    if os.path.basename(directory) in ("", os.curdir, os.pardir):
        return os.path.join(directory, os.pardir)
    return os.path.dirname(directory) or os.curdir


def _has_graph(directory: str) -> bool:
    return any(os.path.isfile(os.path.join(directory, name)) for name in SAVED_MODEL_FILES)


def _enclosing_saved_model(prefix: str) -> Location | None:
    directory, name = os.path.split(prefix)
    if name != "variables" or os.path.basename(os.path.abspath(directory)) != "variables":
        return None
    return at_saved_model(directory or os.curdir)


def _shadowed(prefix: str) -> tuple[str, ...]:
    if not is_v1_file(prefix):
        return ()
    return (
        f"{prefix} is a V1 checkpoint of its own; the V2 checkpoint beside it, "
        f"{os.path.basename(prefix)}{INDEX_SUFFIX}, was opened, as TensorFlow does.",
    )


def _v1_shards(stem: str, count: int) -> Location | None:
    """Give the V1 checkpoint that is kept in `stem-00000-of-00002` and so on."""
    directory, base = os.path.split(stem)
    shape = re.compile(
        re.escape(base) + (rf"-\d{{5,}}-of-0*{count}" if count else r"-\d{5,}-of-\d{5,}")
    )
    names = [name for name in file_names(directory) if shape.fullmatch(name)]
    files = [path for name in names if is_v1_file(path := os.path.join(directory, name))]
    if not files:
        return None
    count = max(split_v1_shard(path)[1] for path in files)
    present = {int(path.rsplit("-", 3)[1]) for path in files}
    absent = sorted(set(range(min(count, MAX_V1_SHARDS))) - present)
    if absent:
        name = f"{base}-{absent[0]:05d}-of-{count:05d}"
        message = f"{name}: missing part ({absent[0]} of {count}) of a V1 checkpoint"
        raise MissingShardError(message, path=os.path.join(directory, name))
    return Location(stem, Format.V1_TABLE, tuple(files))
