"""The order in which a Keras model lists its trainable variables.

Optimizers keep their slots in this order. It is that of the layers in the
configuration; inside a layer its own variables come first, then those of its parts,
for which the order is known only of Keras's own layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckread.model.keras_variables import LayerVariable
    from ckread.readers.hdf5_listing import KerasContents
    from ckread.readers.keras_config import LayerConfig
    from ckread.readers.keras_groups import LayerGroup

_PARTS = (
    "forward_layer", "backward_layer", "layer", "cell", "cells",
    "query_dense", "key_dense", "value_dense", "gate_dense", "output_dense",
)  # fmt: skip
_CELLS = "cells"


def trainable_order(
    contents: KerasContents, variables: Mapping[str, LayerVariable]
) -> list[str] | None:
    """Give the keys of the trainable variables in the model's order, None if not told."""
    if contents.weights:
        return _only_trainable((weight.key for weight in contents.weights), variables)
    root = contents.groups.get("")
    if root is None or root.config is None or not root.config.layers:
        return None
    children: dict[str, list[LayerGroup]] = {}
    for group in contents.groups.values():
        if group.parent is not None:
            children.setdefault(group.parent.path, []).append(group)
    own: dict[str, list[str]] = {}
    for key in variables:
        own.setdefault(key.rpartition("/")[0].removesuffix("vars").rstrip("/"), []).append(key)
    ordered = _walk(root, children, own)
    return None if ordered is None else _only_trainable(ordered, variables)


def _walk(
    group: LayerGroup, children: Mapping[str, list[LayerGroup]], own: Mapping[str, list[str]]
) -> list[str] | None:
    """List the variables of a group and of its parts; None where their order is not known."""
    keys = list(own.get(group.path, ()))
    parts = [part for part in children.get(group.path, ()) if _holds_any(part, own)]
    ordered = _sorted_parts(group, parts)
    if ordered is None:
        return None
    for part in ordered:
        inner = _walk(part, children, own)
        if inner is None:
            return None
        keys += inner
    return keys


def _holds_any(group: LayerGroup, own: Mapping[str, list[str]]) -> bool:
    prefix = f"{group.path}/"
    return any(path == group.path or path.startswith(prefix) for path in own)


def _sorted_parts(group: LayerGroup, parts: list[LayerGroup]) -> list[LayerGroup] | None:
    if len(parts) < 2:
        return parts
    config = group.config
    if config is None or not config.is_builtin:
        return None
    if config.layers:
        places = {layer.name: at for at, layer in enumerate(config.layers)}
        if any(part.name not in places for part in parts):
            return None
        return sorted(parts, key=lambda part: places[part.name])
    if config.class_name == "StackedRNNCells" or all(_CELLS in part.path for part in parts):
        configs: list[LayerConfig | None] = list(config.parts.get(_CELLS, ()))
        if any(part.config not in configs for part in parts):
            return None
        return sorted(parts, key=lambda part: configs.index(part.config))
    attributes = [part.attribute.lstrip("_") for part in parts]
    if any(attribute not in _PARTS for attribute in attributes):
        return None
    return sorted(parts, key=lambda part: _PARTS.index(part.attribute.lstrip("_")))


def _only_trainable(
    keys: Iterable[str], variables: Mapping[str, LayerVariable]
) -> list[str] | None:
    """Keep the trainable ones, each once; None if a weight's flag is not known."""
    kept: dict[str, None] = {}
    for key in keys:
        variable = variables.get(key)
        if variable is not None and variable.repeats is not None:
            variable = variables[variable.repeats]
        if variable is None or variable.role is not Role.WEIGHT:
            continue
        if variable.trainable is None:
            return None
        if variable.trainable:
            kept[variable.key] = None
    return list(kept)
