"""Names, roles and owners of the variables of a Keras file, and its table of layers.

The rules are those for every container: what the program called a variable, its
optimizer's slots under the name of the weight they belong to, unique in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.model.identity import Identity
from ckread.model.keras_layer_table import layer_table
from ckread.model.keras_optimizers import LEGACY_OPTIMIZER, OPTIMIZER, find_keras_optimizers
from ckread.model.keras_variables import find_keras3, find_legacy
from ckread.model.role import Role
from ckread.model.unique_names import unique_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.keras_optimizer_variables import OptimizerVariable
    from ckread.model.keras_variables import LayerVariable
    from ckread.readers.contract import TensorRecord
    from ckread.readers.hdf5_listing import KerasContents
    from ckread.readers.keras_config import KerasLayer

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
    optimizer_keys, metric_keys, layer_keys = _parts(tensors)
    own = {key: tensors[key] for key in layer_keys}
    variables = find_legacy(own, contents) if contents.weights else find_keras3(own, contents)
    for key in layer_keys:
        if key not in variables:
            variables |= find_keras3({key: own[key]}, contents)
    names = unique_names({key: one.name for key, one in variables.items()})
    found, variables = find_keras_optimizers(tensors, optimizer_keys, contents, variables)
    identities = {key: _of_layer(one, names) for key, one in variables.items()}
    identities |= {key: Identity(_metric_name(key), Role.METRIC) for key in metric_keys}
    identities |= _of_optimizer(found, names)
    unique = unique_names({key: identities[key].name for key in tensors})
    identities = {key: identities[key]._replace(name=unique[key]) for key in tensors}
    layers = layer_table(contents, variables, tensors)
    return KerasIdentities(identities, layers, _warnings(identities))


def _parts(
    tensors: Mapping[str, TensorRecord],
) -> tuple[list[str], list[str], list[str]]:
    """Part keys into those of optimizers, of metrics, and of layers."""
    optimizer, metric, layer = [], [], []
    for key in tensors:
        first = key.partition("/")[0]
        if key.startswith((f"{OPTIMIZER}/", LEGACY_OPTIMIZER)):
            optimizer.append(key)
        elif first in _METRIC_ROOTS and "vars" in key:
            metric.append(key)
        else:
            layer.append(key)
    return optimizer, metric, layer


def _of_layer(variable: LayerVariable, names: Mapping[str, str]) -> Identity:
    owner = names[variable.repeats] if variable.repeats else None
    return Identity(names[variable.key], variable.role, variable.trainable, owner)


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
        if is_slot and owner_name and word:
            name = f"{path}/{owner_name}/{word}"
        elif word and not is_slot:
            name = f"{path}/{word}"
        else:
            name = f"{path}/{word}" if key.startswith(LEGACY_OPTIMIZER) else key
        slot = (word or None) if is_slot else None
        identities[key] = Identity(name, role, owner=owner_name, slot=slot)
    for key, (_, variable) in found.items():
        if variable.repeats is not None:
            owner_name = identities[variable.repeats].name
            identities[key] = Identity(key, Role.ALIAS, owner=owner_name)
    return identities


def _metric_name(key: str) -> str:
    return "/".join(part for part in key.split("/") if part != "vars")


def _warnings(identities: Mapping[str, Identity]) -> tuple[str, ...]:
    slots = [one for one in identities.values() if one.role in (Role.SLOT, Role.AVERAGE)]
    untold = sum(one.owner is None for one in slots)
    if not untold:
        return ()
    return (
        f"Of {untold:,} of {len(slots):,} slots it is not told which weight they belong to: "
        "the file does not hold the order of the weights.",
    )
