"""Names, roles and owners of the variables of a Keras file, and its table of layers.

The rules are those for every container: what the program called a variable, its
optimizer's slots under the name of the weight they belong to, unique in the file.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.evidence import Identity
from ckread.model.keras.optimizers import LEGACY_OPTIMIZER, OPTIMIZER, find_keras_optimizers
from ckread.model.keras.variables import find_keras3, find_legacy, layer_path
from ckread.model.naming import unique_names
from ckread.model.role import Role
from ckread.readers.keras.config import KerasLayer, iter_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.keras.slots import OptimizerVariable
    from ckread.model.keras.variables import LayerVariable
    from ckread.readers.contract import TensorRecord
    from ckread.readers.keras.reader import KerasContents


_METRIC_ROOTS = frozenset({"metrics", "_metrics", "_compile_metrics", "loss_tracker"})
_METRIC_ROOTS |= {"_loss_tracker", "compiled_metrics"}


class KerasIdentities(NamedTuple):
    """What is told of the variables of a Keras file.

    Attributes:
        identities: of every key.
        layers: the layers, in the order of the model where that is told.
        warnings: what could not be told, one sentence each.
    """

    identities: dict[str, Identity]
    layers: tuple[KerasLayer, ...]
    warnings: tuple[str, ...]


def identify_keras(tensors: Mapping[str, TensorRecord], contents: KerasContents) -> KerasIdentities:
    """Give the identity of every key of a Keras file; names are unique in the file."""
    optimizer_keys = [key for key in tensors if key.startswith((f"{OPTIMIZER}/", LEGACY_OPTIMIZER))]
    metric_keys = [
        key for key in tensors if key.partition("/")[0] in _METRIC_ROOTS and "vars" in key
    ]
    others = {*optimizer_keys, *metric_keys}
    own = {key: record for key, record in tensors.items() if key not in others}
    variables = find_legacy(own, contents) if contents.weights else find_keras3(own, contents)
    variables |= find_keras3(
        {key: record for key, record in own.items() if key not in variables}, contents
    )
    names = unique_names({key: one.name for key, one in variables.items()})
    found, variables = find_keras_optimizers(tensors, optimizer_keys, contents, variables)
    identities = {
        key: Identity(names[key], one.role, one.trainable, names.get(one.repeats or ""))
        for key, one in variables.items()
    }
    for key in metric_keys:
        name = "/".join(part for part in key.split("/") if part != "vars")
        identities[key] = Identity(name, Role.METRIC)
    identities |= _of_optimizer(found, names)
    unique = unique_names({key: identities[key].name for key in tensors})
    identities = {
        key: one if one.name == unique[key] else one._replace(name=unique[key])
        for key in tensors
        for one in [identities[key]]
    }
    layers = layer_table(contents, variables, tensors)
    slots = [one for one in identities.values() if one.role in (Role.SLOT, Role.AVERAGE)]
    untold = sum(one.owner is None for one in slots)
    warning = (
        f"Of {untold:,} of {len(slots):,} slots it is not told which weight they belong to: "
        "the file does not hold the order of the weights."
    )
    return KerasIdentities(identities, layers, (warning,) if untold else ())


def _of_optimizer(
    found: Mapping[str, tuple[str, OptimizerVariable]], names: Mapping[str, str]
) -> dict[str, Identity]:
    identities: dict[str, Identity] = {}
    for key, (path, variable) in found.items():
        role, word, owner, repeats = variable
        if repeats is not None:
            continue
        is_slot = role in (Role.SLOT, Role.AVERAGE)
        owner_name = names[owner] if owner else None
        name = key
        if is_slot and owner_name and word:
            name = f"{path}/{owner_name}/{word}"
        elif (word and not is_slot) or key.startswith(LEGACY_OPTIMIZER):
            name = f"{path}/{word}"
        slot = (word or None) if is_slot else None
        identities[key] = Identity(name, role, owner=owner_name, slot=slot)
    for key, (_, variable) in found.items():
        if variable.repeats is not None:
            owner_name = identities[variable.repeats].name
            identities[key] = Identity(key, Role.ALIAS, owner=owner_name)
    return identities


def layer_table(
    contents: KerasContents,
    variables: Mapping[str, LayerVariable],
    tensors: Mapping[str, TensorRecord],
) -> tuple[KerasLayer, ...]:
    """List the layers with their parameters: in model order if that is told, else of the file."""
    parameters = [one for one in variables.values() if one.role.is_parameter]
    sizes = {one.key: math.prod(tensors[one.key].shape) for one in parameters}
    is_legacy = bool(contents.weights)

    # What a layer holds; in a nested model of a legacy file, what carries a name of its layers too.
    held: dict[tuple[str, str], list[str]] = {}
    for one in parameters:
        within = dict.fromkeys(["", *(one.name.split("/")[:-1] if is_legacy else ())])
        for scope in accumulate(one.layer.split("/"), "{}/{}".format):
            for inner in within:
                held.setdefault((scope, inner), []).append(one.key)

    def listed_as(row: KerasLayer, layer: str, inner: str = "") -> KerasLayer:
        keys = tuple(held.get((layer, inner), ()))
        return replace(row, parameters=sum(sizes[key] for key in keys), weights=keys)

    listed = iter_layers(contents.config.model)
    if listed:
        found = []
        for path, layer, depth in listed:
            top, _, inner = path.partition("/") if is_legacy else (path, "", "")
            row = KerasLayer(path, layer.class_name, 0, layer.shape, layer.trainable, depth)
            row = listed_as(row, top, inner.rpartition("/")[2])
            found.append(replace(row, weights=()) if layer.layers else row)
        return tuple(found)
    if is_legacy:
        names = dict.fromkeys(one.layer for one in contents.weights if one.layer)
        return tuple(listed_as(KerasLayer(name, ""), name) for name in names)
    groups = [
        group
        for path, group in sorted(contents.groups.items())
        if path and group.parent is not None and not group.parent.path
        if path.partition("/")[0] != OPTIMIZER
    ]
    rows = (
        listed_as(KerasLayer(name, group.class_name), name)
        for group in groups
        for name in [layer_path(group)]
    )
    return tuple(row for row in rows if row.parameters or row.class_name)
