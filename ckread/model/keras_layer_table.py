"""The layers of a Keras file with the parameters they hold, as `info` lists them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckread.model.keras_variables import layer_path
from ckread.readers.keras_config import KerasLayer, iter_layers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.model.keras_variables import LayerVariable
    from ckread.readers.contract import TensorRecord
    from ckread.readers.hdf5_listing import KerasContents


def layer_table(
    contents: KerasContents,
    variables: Mapping[str, LayerVariable],
    tensors: Mapping[str, TensorRecord],
) -> tuple[KerasLayer, ...]:
    """List the layers: of the configuration in model order, else of the file."""
    sizes = [
        (one, math.prod(tensors[key].shape))
        for key, one in variables.items()
        if one.role.is_parameter
    ]
    listed = iter_layers(contents.config.model)
    if not listed:
        return _without_config(contents, sizes)
    is_legacy = bool(contents.weights)
    return tuple(
        KerasLayer(
            name=path,
            class_name=layer.class_name,
            parameters=_legacy_total(path, sizes) if is_legacy else _total(path, sizes),
            shape=layer.shape,
            trainable=layer.trainable,
            depth=depth,
        )
        for path, layer, depth in listed
    )


def _without_config(
    contents: KerasContents, sizes: list[tuple[LayerVariable, int]]
) -> tuple[KerasLayer, ...]:
    """List what the file calls layers: by name, their classes as far as keys tell them."""
    if contents.weights:
        names: Iterable[str] = dict.fromkeys(one.layer for one in contents.weights if one.layer)
        return tuple(KerasLayer(name, "", _total(name, sizes)) for name in names)
    groups = [
        group
        for path, group in contents.groups.items()
        if path and group.parent is not None and not group.parent.path
    ]
    groups = [group for group in groups if group.path.partition("/")[0] != "optimizer"]
    return tuple(
        KerasLayer(name, group.class_name, total)
        for group in sorted(groups, key=lambda group: group.path)
        if (total := _total(name := layer_path(group), sizes)) or group.class_name
    )


def _total(path: str, sizes: Iterable[tuple[LayerVariable, int]]) -> int:
    prefix = f"{path}/"
    return sum(
        elements
        for variable, elements in sizes
        if variable.layer == path or variable.layer.startswith(prefix)
    )


def _legacy_total(path: str, sizes: Iterable[tuple[LayerVariable, int]]) -> int:
    """Sum what a layer lists; inside a nested model, what carries the layer's name."""
    top, _, inner = path.partition("/")
    last = inner.rpartition("/")[2]
    return sum(
        elements
        for variable, elements in sizes
        if variable.layer == top and (not inner or f"/{last}/" in f"/{variable.name}")
    )
