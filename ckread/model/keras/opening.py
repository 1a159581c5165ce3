"""Keras files → an open checkpoint with names, roles and layers."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ckread.model.checkpoint import Checkpoint
from ckread.model.evidence import Evidence
from ckread.model.keras.naming import identify_keras
from ckread.model.keras.optimizers import optimizer_class
from ckread.model.optimizers import class_of_config
from ckread.model.selection import LEAF_RANK
from ckread.readers.contract import Format
from ckread.readers.keras.config import KerasLayer, innermost, iter_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.evidence import Identity
    from ckread.model.paths.location import Location
    from ckread.readers.contract import TensorRecord
    from ckread.readers.keras.config import LayerConfig
    from ckread.readers.keras.reader import KerasReader


def open_keras(location: Location) -> Checkpoint:
    """Open a `.keras`, `.weights.h5`, `.weights.json` or any HDF5 file of weights.

    Raises:
        NotACheckpointError: it holds no weights.
        UnsupportedFeatureError: something in it leads to another file, or is encrypted.
        MissingShardError: a file that it names is not there.
        CorruptCheckpointError: it is damaged or hostile.
    """
    reader, date_saved, assets = _open_reader(location)
    try:
        found = identify_keras(reader.tensors, reader.contents)
        config = reader.contents.config
        saved = None
        with suppress(ValueError, OverflowError):
            # `2026-11-20@21:59:07`, a local time without its zone.
            saved = time.mktime(time.strptime(date_saved or "", "%Y-%m-%d@%H:%M:%S"))
        evidence = Evidence(
            model=config.model,
            layers=found.layers,
            keras_version=config.keras_version,
            saved=saved,
            optimizer_class=optimizer_class(reader.contents),
            compiled=config.compiled,
            assets=assets,
            is_in_order=bool(reader.contents.weights),
        )
        return Checkpoint(
            reader,
            found.identities,
            path=location.path,
            evidence=evidence,
            notes=location.notes,
            warnings=(*reader.notes, *found.warnings),
        )
    except BaseException:
        reader.close()
        raise


def _open_reader(location: Location) -> tuple[KerasReader, str | None, tuple[str, ...]]:
    """Open the values; give them with the date and the assets of an archive."""
    if location.format is Format.KERAS_ARCHIVE:
        from ckread.readers.keras.archive import open_keras_archive

        reader, facts = open_keras_archive(location.path)
        return reader, facts.date_saved, facts.assets
    if location.format is Format.KERAS_WEIGHTS_SHARDED:
        from ckread.readers.keras.archive import open_sharded_weights

        return open_sharded_weights(location.path), None, ()
    from ckread.readers.keras.reader import open_hdf5

    return open_hdf5(location.path), None, ()


def with_saved_layers(
    evidence: Evidence, tensors: Mapping[str, TensorRecord], identities: Mapping[str, Identity]
) -> Evidence:
    """Complete what is known of a SavedModel by its Keras objects: layers, what it was compiled to.

    The layers are listed where they hold all parameters of the model.
    """
    if evidence.saved_layers is None:
        return evidence
    config = evidence.saved_layers.config
    held: dict[str, list[str]] = {}
    total = 0
    for key, identity in identities.items():
        if identity.role.is_parameter:
            total += math.prod(tensors[key].shape)
            for scope in set(identity.name.split("/")[:-1]):
                held.setdefault(scope, []).append(key)
    for keys in held.values():
        keys.sort(key=lambda key: LEAF_RANK.get(identities[key].name.rpartition("/")[2], 99))
    listed = iter_layers(config.model)
    layers = []
    for path, one, depth in listed:
        # What a nested model holds has the names of its layers, not always its own.
        within = [inner.name for at, inner, _ in listed if at.startswith(f"{path}/")]
        own = dict.fromkeys(key for name in (one.name, *within) for key in held.get(name, ()))
        n = sum(math.prod(tensors[key].shape) for key in own)
        weights = () if one.layers else tuple(own)
        layers.append(KerasLayer(path, one.class_name, n, one.shape, one.trainable, depth, weights))
    is_whole = sum(layer.parameters or 0 for layer in layers if not layer.depth) == total
    optimizer = innermost(config.optimizer)
    kind = class_of_config(optimizer.class_name, optimizer.settings) if optimizer else None
    return evidence._replace(
        model=config.model,
        layers=tuple(layers) if is_whole else (),
        compiled=config.compiled,
        optimizer_class=kind,
    )


def frozen_by_layers(
    config: LayerConfig | None, identities: Mapping[str, Identity]
) -> Mapping[str, Identity]:
    """Take what lies in frozen layers of a SavedModel for frozen; its variables do not say so.

    Where two layers have one name, both have to be frozen.
    """
    frozen: dict[str, bool] = {}
    below: list[str] = []
    for path, layer, _ in iter_layers(config):
        is_frozen = layer.trainable is False or any(path.startswith(f"{one}/") for one in below)
        below += [path] if is_frozen and layer.layers else []
        frozen[layer.name] = frozen.get(layer.name, True) and is_frozen
    names = {name for name, is_frozen in frozen.items() if is_frozen}
    if not names:
        return identities
    return {
        key: one._replace(trainable=False)
        if one.trainable and not names.isdisjoint(one.name.split("/")[:-1])
        else one
        for key, one in identities.items()
    }
