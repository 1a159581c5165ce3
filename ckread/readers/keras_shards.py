"""Sharded Keras weights: `X.weights.json` and the files it names.

    {"metadata": {"total_size": …},
     "weight_map": {"/layers/conv2d/vars": ["X_00000.weights.h5"],
                    "/optimizer/vars": ["X_00000.weights.h5", "X_00001.weights.h5"]}}

A group may be split over files; its attributes are in the first. The names come
from whoever wrote the file: only plain names of files in the same directory count.

Reference: keras/src/saving/saving_lib.py, ShardedH5IOStore
"""

from __future__ import annotations

import os
from typing import Any

from ckread.errors import (
    CheckpointNotFoundError,
    CorruptCheckpointError,
    MissingShardError,
    NotACheckpointError,
)
from ckread.readers.contract import Format, StoredFile
from ckread.readers.file_window import FileWindow
from ckread.readers.hdf5 import HDF5Reader
from ckread.readers.hdf5_file import HDF5File
from ckread.readers.keras_json import MAX_JSON_NBYTES, parse_object
from ckread.readers.regular_file import RegularFile

MAX_SHARDS = 100_000


def open_sharded_weights(path: str) -> HDF5Reader:
    """Open a `.weights.json` and the files it names.

    Raises:
        NotACheckpointError: it has no weight_map.
        MissingShardError: a file it names is not there.
        CorruptCheckpointError: a name leads out of its directory, or a file is damaged.
    """
    names, stored = _read_index(path)
    files: list[HDF5File] = []
    try:
        for name in names:
            files.append(_open_shard(path, name, names))
            window = files[-1].window
            stored += (StoredFile(window.path, window.nbytes, is_shard=True),)
        return HDF5Reader(path, files, layout=Format.KERAS_WEIGHTS_SHARDED, stored=stored)
    except BaseException:
        for file in files:
            file.close()
        raise


def _read_index(path: str) -> tuple[list[str], tuple[StoredFile, ...]]:
    with RegularFile(path) as file:
        name = file.name
        data = file.pread(0, min(file.nbytes, MAX_JSON_NBYTES + 1))
        stored = (StoredFile(path, file.nbytes, is_shard=False),)
    names = shard_names(parse_object(data, "weight_map", path=path, name=name), path=path)
    return names, stored


def shard_names(index: dict[str, Any], *, path: str) -> list[str]:
    """Give the names of the files of a parsed index, each once, in order.

    Raises:
        NotACheckpointError: it has no weight_map.
        CorruptCheckpointError: a name is not that of a file beside it.
    """
    base = os.path.basename(path)
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict):
        raise NotACheckpointError(f"{base}: no weight_map, expected sharded weights", path=path)
    names: dict[str, None] = {}
    for group, value in weight_map.items():
        for name in value if isinstance(value, list) else [value]:
            if not _is_plain_name(name):
                found = f"weight_map of {group!r} names {name!r}"
                message = f"{base}: {found}, expected a file in the same directory"
                raise CorruptCheckpointError(message, path=path)
            names[name] = None
    if len(names) > MAX_SHARDS:
        found = f"{len(names)} files, expected at most {MAX_SHARDS}"
        raise CorruptCheckpointError(f"{base}: weight_map names {found}", path=path)
    if not names:
        raise NotACheckpointError(f"{base}: an empty weight_map", path=path)
    return sorted(names)


def _is_plain_name(name: Any) -> bool:
    if not isinstance(name, str) or name in ("", ".", ".."):
        return False
    return not any(mark in name for mark in "/\\\0") and not os.path.splitdrive(name)[0]


def _open_shard(path: str, name: str, names: list[str]) -> HDF5File:
    directory = os.path.dirname(path)
    place = os.path.join(directory, name)
    if os.path.islink(place) and os.path.dirname(os.path.realpath(place)) != os.path.realpath(
        directory or "."
    ):
        message = f"{os.path.basename(path)}: {name!r} is a link that leads out of its directory"
        raise CorruptCheckpointError(message, path=path)
    try:
        return HDF5File(FileWindow(place), name)
    except CheckpointNotFoundError:
        present = [one for one in names if os.path.exists(os.path.join(directory, one))]
        listed = ", ".join(present) or "none of its files"
        message = f"{os.path.basename(path)}: {name} is not there, present: {listed}"
        raise MissingShardError(message, path=place) from None
