"""Where a checkpoint lies on disk: its files, from the prefix that names it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CheckpointError, MissingShardError
from ckread.readers.contract import Format, TensorColumns, few
from ckread.readers.extents import not_a_shard
from ckread.readers.files import exists, file_names, is_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckread.readers.contract import CheckpointReader, StoredFile


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
PARTNER_SUFFIXES = {
    ".safetensors.index.json": Format.SAFETENSORS,
    ".safetensors": Format.SAFETENSORS,
    ".npz": Format.NPZ,
    "pytorch_model.bin": Format.PYTORCH,
    ".pth": Format.PYTORCH,
    ".pt": Format.PYTORCH,
}
"""Of other worlds: looked for in a directory where there is nothing of TensorFlow or Keras."""
_FILE_SUFFIXES = (*KERAS_SUFFIXES, *PARTNER_SUFFIXES)

MAX_V1_SHARDS = 100_000
_V1_SHARD = re.compile(r"(?P<stem>.*)-(?:\d{5,}|\?{5,})-of-(?P<count>\d{5,})\Z", re.DOTALL)


class Location(NamedTuple):
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
        return self._replace(notes=(*notes, *self.notes))


def at_prefix(prefix: str) -> Location | None:
    """Give the TensorFlow checkpoint of exactly this prefix, None if there is none.

    Raises:
        MissingShardError: a V1 checkpoint of several files is not whole.
    """
    if is_file(prefix + INDEX_SUFFIX):
        directory, name = os.path.split(prefix)
        if name == "variables" and os.path.basename(os.path.abspath(directory)) == name:
            model = at_saved_model(directory or os.curdir)
            if model is not None:
                return model
        notes: tuple[str, ...] = ()
        if is_v1_file(prefix):
            index = os.path.basename(prefix) + INDEX_SUFFIX
            own = f"{prefix} is a V1 checkpoint of its own; the V2 checkpoint beside it"
            notes = (f"{own}, {index}, was opened, as TensorFlow does.",)
        return Location(prefix, Format.TENSOR_BUNDLE, notes=notes)
    if is_v1_file(prefix):
        stem, count = split_v1_shard(prefix)
        return (
            _v1_shards(stem, count) if count > 1 else Location(prefix, Format.V1_TABLE, (prefix,))
        )
    if not exists(prefix):
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
    if not is_file(path):
        return False
    # Imported here: a plain prefix, the usual case, needs no look at content.
    from ckread.readers.detection import Kind, detect

    return detect(path) is Kind.V1_TABLE


def split_v1_shard(path: str) -> tuple[str, int]:
    """Split `x-00002-of-00005`, or `x-?????-of-00005`, into `x` and 5; 0 if it is neither."""
    match = _V1_SHARD.fullmatch(path)
    return (match["stem"], int(match["count"])) if match else (path, 0)


def file_suffix(path: str) -> str | None:
    """Give the suffix that makes a name that of a file of weights, the longest that fits."""
    if not path.endswith(_FILE_SUFFIXES):  # as most files of a run of very many
        return None
    return next(suffix for suffix in _FILE_SUFFIXES if path.endswith(suffix))


def parent(directory: str) -> str:
    """Give the directory above, in the words of this path where that is possible."""
    if os.path.basename(directory) in ("", os.curdir, os.pardir):
        return os.path.join(directory, os.pardir)
    return os.path.dirname(directory) or os.curdir


def _has_graph(directory: str) -> bool:
    return any(is_file(os.path.join(directory, name)) for name in SAVED_MODEL_FILES)


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
        path = os.path.join(directory, f"{base}-{absent[0]:05d}-of-{count:05d}")
        if is_file(path):
            from ckread.readers.detection import Kind, something_else

            other = something_else(path, "a part of a V1 checkpoint", (Kind.V1_TABLE, Kind.TABLE))
            if other is not None:
                raise other
        name = f"{base}-{absent[0]:05d}-of-{count:05d}"
        raise MissingShardError(
            f"missing part ({absent[0]} of {count}) of a V1 checkpoint",
            path=os.path.join(directory, name),
            name=name,
        )
    return Location(stem, Format.V1_TABLE, tuple(files))


# What the index and the sizes of the shards tell of values that cannot be read.


def shard_warnings(reader: CheckpointReader) -> tuple[str, ...]:
    """Say which shards of a bundle are missing or of wrong size; no data file is opened."""
    if reader.format not in (Format.TENSOR_BUNDLE, Format.SAVED_MODEL):
        return ()
    shards = [file for file in reader.files() if file.is_shard]
    missing = [os.path.basename(file.path) for file in shards if file.nbytes is None]
    ends, is_complete = shard_ends(reader, shards)
    wrong = [
        _wrong_size(file.path, file.nbytes, ends[name])
        for file in shards
        if (name := os.path.basename(file.path)) in ends
        and file.nbytes is not None
        and (file.nbytes < max(ends[name]) or (is_complete and file.nbytes > max(ends[name])))
    ]
    if not missing:
        return tuple(wrong)
    shown, count = few(missing, 3), len(shards)
    if len(missing) == 1:
        start, which = f"{shown} is missing", "values" if count == 1 else "values in it"
    else:
        start = f"{len(missing)} of {count} data shards are missing: {shown}"
        which = "values" if count == len(missing) else "values in them"
    return (f"{start}. Names, shapes and checksums can be read, {which} cannot.", *wrong)


def shard_ends(
    reader: CheckpointReader, shards: Iterable[StoredFile]
) -> tuple[dict[str, list[int]], bool]:
    """Give, by base name of each shard of a reader, where each of its tensors ends.

    Returns:
        The ends, and whether they are all: the places of some slices are not known.
    """
    names = [os.path.basename(file.path) for file in shards]
    ends: dict[str, list[int]] = {}
    by_number = [ends.setdefault(name, []) for name in names]
    is_complete = True
    if isinstance(reader.tensors, TensorColumns):
        of_columns = reader.tensors.ends()
        return {name: of_columns[i] for i, name in enumerate(names) if i in of_columns}, True
    tensors = getattr(reader.tensors, "original", reader.tensors)  # in other checksums alone
    for key, _, _, nbytes, crc32c, shard, offset in tensors.values():
        if crc32c is None:
            try:
                extents = reader.extents(key) or ()
            except CheckpointError:
                extents = ()
            is_complete = is_complete and bool(extents)
            for extent in extents:
                ends.setdefault(os.path.basename(extent.path), []).append(
                    extent.offset + extent.nbytes
                )
        elif shard is not None and offset is not None and shard < len(by_number):
            by_number[shard].append(offset + nbytes)
    return {name: found for name, found in ends.items() if found}, is_complete


def _wrong_size(path: str, nbytes: int, ends: list[int]) -> str:
    end, name = max(ends), os.path.basename(path)
    other = not_a_shard(path)
    if other is not None:
        return " ".join(filter(None, (f"{other.message}.", other.remedy)))
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
