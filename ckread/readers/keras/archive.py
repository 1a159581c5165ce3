"""The `.keras` archive of Keras 3.

    metadata.json        {"keras_version", "date_saved"}
    config.json          the model, see `config`
    model.weights.h5     the values, see `reader`
    assets/…             vocabularies and the like

Keras stores its members uncompressed, so the tensors are read in place.

Reference: keras.io/guides/serialization_and_saving
"""

from __future__ import annotations

import os
import re
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    MissingShardError,
    NotACheckpointError,
    UnsupportedFeatureError,
)
from ckread.readers.budget import over
from ckread.readers.contract import Format, StoredFile
from ckread.readers.detection import Kind, something_else
from ckread.readers.files import COPY_AGAIN, FileWindow, RegularFile, is_file
from ckread.readers.hdf5.file import HDF5File
from ckread.readers.keras.config import (
    MAX_JSON_NBYTES,
    KerasConfig,
    parse_compiled,
    parse_model,
    parse_object,
)
from ckread.readers.keras.reader import KerasReader
from ckread.readers.zip_members import InflatedFile, ZipMembers

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
NUMPY_WEIGHTS = "model.weights.npz"
ASSETS = "assets/"
_MEMBERS = re.compile(
    r"config\.json|metadata\.json|assets/.*|(?:model\.)?(?:weights|variables)\.(?:h5|npz|json)|"
    r"model(?:\.weights)?_\d+\.(?:weights\.)?h5",
    re.DOTALL,
)
_UNNAMED = "it covers all variables, so which of them is damaged cannot be told"
_SAVE_AGAIN = "Keras does not load them either. Save the model again with HDF5 weights."


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """What an archive tells besides its weights.

    Attributes:
        config: the model's configuration and the writer's version.
        date_saved: when it was saved, as written: `2026-11-20@21:59:07`.
        assets: names of the members below `assets/`.
    """

    config: KerasConfig
    date_saved: str | None
    assets: tuple[str, ...]


def open_keras_archive(path: str) -> tuple[KerasReader, ArchiveFacts]:
    """Open a `.keras` file.

    Raises:
        NotACheckpointError: it holds no Keras weights.
        UnsupportedFeatureError: the weights are pickled, or a member is encrypted.
        CorruptCheckpointError: the archive or its weights are damaged or hostile.
    """
    archive = ZipMembers(path)
    try:
        facts = read_facts(archive)
        stored = (StoredFile(path, archive.nbytes, is_shard=True),)
        file = HDF5File(_weights_window(archive), f"{archive.name}/{WEIGHTS}")
    finally:
        archive.close()
    try:
        reader = KerasReader(
            path,
            [file],
            layout=Format.KERAS_ARCHIVE,
            config=facts.config,
            stored=stored,
            verify=cache(partial(weights_damage, path)),
        )
    except BaseException:
        file.close()
        raise
    return reader, facts


def weights_damage(path: str) -> CheckpointError | None:
    """Read the member with the weights to its end; give what is wrong with it, if anything."""
    try:
        with closing(ZipMembers(path)) as archive:
            _verify(archive, WEIGHTS)
    except CheckpointError as error:
        return error
    return None


def damaged_members(
    path: str, verify_weights: Callable[[], None] | None = None
) -> list[tuple[str, CheckpointError]]:
    """Verify every member of an archive; give the place of each that is damaged, and why.

    Args:
        path: of the archive.
        verify_weights: what verifies the member with the weights, and keeps what it found.
    """
    found = []
    try:
        with closing(ZipMembers(path)) as archive:
            for name in archive.members:
                try:
                    if name == WEIGHTS and verify_weights is not None:
                        verify_weights()
                    else:
                        _verify(archive, name)
                except CheckpointError as error:
                    found.append((f"{archive.name}/{name}", error))
    except CheckpointError as error:
        return [(os.path.basename(path), error)]
    return found


def _verify(archive: ZipMembers, name: str) -> None:
    try:
        archive.verify(name)
    except CheckpointError as error:
        if name != WEIGHTS:
            raise
        found, remedy = f"{error.told}; {_UNNAMED}", error.remedy or COPY_AGAIN
        raise error.within(found=found, expected=None, remedy=remedy) from None


def read_member(path: str, name: str, *, max_nbytes: int) -> bytes:
    """Give the bytes of a small member, verified by its CRC-32.

    Raises:
        CorruptCheckpointError: it is larger than that, or damaged.
    """
    with closing(ZipMembers(path)) as archive:
        return archive.read(name, max_nbytes=max_nbytes)


def read_facts(archive: ZipMembers) -> ArchiveFacts:
    """Read the configuration and the metadata."""
    config = _json(archive, CONFIG)
    metadata = _json(archive, METADATA)
    compiled = config.get("compile_config")
    keras = KerasConfig(
        model=parse_model(config),
        compiled=parse_compiled(compiled) if isinstance(compiled, dict) else None,
        keras_version=_text(metadata, "keras_version"),
    )
    assets = (name for name in archive.members if name.startswith(ASSETS) and name[-1:] != "/")
    return ArchiveFacts(keras, _text(metadata, "date_saved"), tuple(assets))


def read_configuration(path: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read the configuration of a `.keras` file as it stands, and the names of its members."""
    with closing(ZipMembers(path)) as archive:
        return _json(archive, CONFIG), tuple(archive.members)


def is_of_keras(member: str) -> bool:
    """Tell whether Keras gives a member such a name: `variables.h5` in 2.11, shards in 3."""
    return bool(_MEMBERS.fullmatch(member))


def _json(archive: ZipMembers, member: str) -> dict[str, Any]:
    if member not in archive.members:
        return {}
    data = archive.read(member, max_nbytes=MAX_JSON_NBYTES)
    return parse_object(data, member, path=archive.path, name=archive.name)


def _text(metadata: dict[str, Any], name: str) -> str | None:
    value = metadata.get(name)
    return value if isinstance(value, str) else None


def _weights_window(archive: ZipMembers) -> FileWindow:
    if WEIGHTS not in archive.members:
        if NUMPY_WEIGHTS in archive.members:
            raise UnsupportedFeatureError(
                f"{NUMPY_WEIGHTS} holds pickles, which are never loaded",
                path=archive.path,
                name=archive.name,
                remedy=_SAVE_AGAIN,
            )
        raise NotACheckpointError(
            f"no member {WEIGHTS!r}",
            path=archive.path,
            name=archive.name,
            expected="a Keras archive",
        )
    place = archive.place(WEIGHTS)
    if place is not None:
        return FileWindow(archive.path, *place)
    return FileWindow(archive.path, opened=InflatedFile(archive.path, WEIGHTS))


# Sharded Keras weights: `X.weights.json` and the files it names.
#
#     {"metadata": {"total_size": …},
#      "weight_map": {"/layers/conv2d/vars": ["X_00000.weights.h5"],
#                     "/optimizer/vars": ["X_00000.weights.h5", "X_00001.weights.h5"]}}
#
# A group may be split over files; its attributes are in the first. The names come
# from whoever wrote the file: only plain names of files in the same directory count.
#
# Reference: keras/src/saving/saving_lib.py, ShardedH5IOStore

MAX_SHARDS = 100_000


def open_sharded_weights(path: str) -> KerasReader:
    """Open a `.weights.json` and the files it names.

    Raises:
        NotACheckpointError: it has no weight_map.
        MissingShardError: a file it names is not there.
        CorruptCheckpointError: a name leads out of its directory, or a file is damaged.
    """
    with RegularFile(path) as index:
        data = index.pread(0, min(index.nbytes, MAX_JSON_NBYTES + 1))
        stored = [StoredFile(path, index.nbytes, is_shard=False)]
    try:
        parsed = parse_object(data, "weight_map", path=path, name=index.name)
    except CorruptCheckpointError as error:
        own = Kind.WEIGHTS_JSON, Kind.JSON, Kind.TEXT
        raise something_else(path, "an index of Keras weights", own) or error from None
    names = shard_names(parsed, path=path)
    files: list[HDF5File] = []
    try:
        for name in names:
            files.append(_open_shard(path, name, names))
            window = files[-1].window
            stored.append(StoredFile(window.path, window.nbytes, is_shard=True))
        sharded = Format.KERAS_WEIGHTS_SHARDED
        return KerasReader(path, files, layout=sharded, stored=tuple(stored))
    except BaseException:
        for file in files:
            file.close()
        raise


def shard_names(index: dict[str, Any], *, path: str) -> list[str]:
    """Give the names of the files of a parsed index, each once, in order."""
    base = os.path.basename(path)
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict):
        raise NotACheckpointError("no weight_map", path=path, name=base, expected="sharded weights")
    names: dict[str, None] = {}
    for group, value in weight_map.items():
        for name in value if isinstance(value, list) else [value]:
            is_name = isinstance(name, str) and name not in ("", ".", "..")
            if not is_name or set(name) & set("/\\\0") or os.path.splitdrive(name)[0]:
                found = f"weight_map of {group!r} names {name!r}"
                raise CorruptCheckpointError(
                    found, path=path, name=base, expected="a file in the same directory"
                )
            names[name] = None
    if len(names) > MAX_SHARDS:
        raise over(MAX_SHARDS, "files", len(names), what="weight_map", path=path, name=base)
    if not names:
        raise NotACheckpointError("an empty weight_map", path=path, name=base)
    return sorted(names)


def _open_shard(path: str, name: str, names: list[str]) -> HDF5File:
    directory = os.path.dirname(path)
    place = os.path.join(directory, name)
    if os.path.islink(place) and os.path.dirname(os.path.realpath(place)) != os.path.realpath(
        directory or "."
    ):
        raise CorruptCheckpointError(
            f"{name!r} is a link that leads out of its directory",
            path=path,
            name=os.path.basename(path),
        )
    try:
        return HDF5File(FileWindow(place), name)
    except (NotACheckpointError, CorruptCheckpointError) as error:
        raise something_else(place, "a file of Keras weights", (Kind.HDF5,)) or error from None
    except CheckpointNotFoundError:
        present = [one for one in names if is_file(os.path.join(directory, one))]
        listed = ", ".join(present) or "none of its files"
        raise MissingShardError(
            f"{name} is not there, present: {listed}", path=place, name=os.path.basename(path)
        ) from None
