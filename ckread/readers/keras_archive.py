"""The `.keras` archive of Keras 3.

    metadata.json        {"keras_version", "date_saved"}
    config.json          the model, see `keras_config`
    model.weights.h5     the values, see `hdf5`
    assets/…             vocabularies and the like

Keras stores its members uncompressed, so the tensors are read in place.

Reference: keras.io/guides/serialization_and_saving
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError, NotACheckpointError, UnsupportedFeatureError
from ckread.readers.contract import Format, StoredFile
from ckread.readers.extents import COPY_AGAIN
from ckread.readers.file_window import FileWindow
from ckread.readers.hdf5 import HDF5Reader
from ckread.readers.hdf5_file import HDF5File
from ckread.readers.keras_config import KerasConfig, parse_model, parse_optimizer
from ckread.readers.keras_json import MAX_JSON_NBYTES, parse_object
from ckread.readers.zip_members import ZipMembers

if TYPE_CHECKING:
    from typing import Any

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
NUMPY_WEIGHTS = "model.weights.npz"
ASSETS = "assets/"
UNNAMED = "it covers all variables, so which of them is damaged cannot be told"
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


def open_keras_archive(path: str) -> tuple[HDF5Reader, ArchiveFacts]:
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
        reader = HDF5Reader(
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
        archive = ZipMembers(path)
    except CheckpointError as error:
        return error
    try:
        archive.verify(WEIGHTS)
    except CheckpointError as error:
        message = f"{error.message}; {UNNAMED}"
        return type(error)(message, path=error.path, remedy=error.remedy or COPY_AGAIN)
    finally:
        archive.close()
    return None


def read_facts(archive: ZipMembers) -> ArchiveFacts:
    """Read the configuration and the metadata.

    Raises:
        CorruptCheckpointError: they are not JSON, too large or too deep.
    """
    config = _json(archive, CONFIG)
    metadata = _json(archive, METADATA)
    compiled = config.get("compile_config")
    optimizer = compiled.get("optimizer") if isinstance(compiled, dict) else None
    keras = KerasConfig(
        model=parse_model(config),
        optimizer=parse_optimizer(optimizer),
        keras_version=_text(metadata, "keras_version"),
    )
    assets = (name for name in archive.members if name.startswith(ASSETS) and name[-1:] != "/")
    return ArchiveFacts(keras, _text(metadata, "date_saved"), tuple(assets))


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
            message = f"{archive.name}: {NUMPY_WEIGHTS} holds pickles, which are never loaded"
            raise UnsupportedFeatureError(message, path=archive.path, remedy=_SAVE_AGAIN)
        message = f"{archive.name}: no member {WEIGHTS!r}, expected a Keras archive"
        raise NotACheckpointError(message, path=archive.path)
    place = archive.place(WEIGHTS)
    if place is not None:
        offset, nbytes = place
        return FileWindow(archive.path, offset, nbytes)
    return _inflated_window(archive)


def _inflated_window(archive: ZipMembers) -> FileWindow:
    """Inflate the weights into a temporary file that has no name once it is open."""
    try:
        with tempfile.NamedTemporaryFile() as target:
            archive.inflate(WEIGHTS, target)
            target.flush()
            return FileWindow(target.name, is_lasting=False)
    except OSError as error:
        message = f"{archive.name}: member {WEIGHTS!r}: {str(error.strerror).lower()}"
        raise CheckpointError(message, path=archive.path) from None
