"""The optimizers of a Keras file: one, or a LossScaleOptimizer and the one inside it.

What an optimizer has slots for is trained: that tells flags where no configuration does.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ckread.model.keras_legacy_slots import index_weights, legacy_optimizer_variable
from ckread.model.keras_optimizer_variables import (
    OptimizerVariable,
    Weights,
    find_optimizer_variables,
    optimizer_kind,
)
from ckread.model.keras_order import trainable_order
from ckread.model.keras_plans import CLASS_NAMES, keras2_word
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckread.model.keras_variables import LayerVariable
    from ckread.readers.contract import TensorRecord
    from ckread.readers.hdf5_listing import KerasContents
    from ckread.readers.keras_config import OptimizerConfig

OPTIMIZER = "optimizer"
INNER = "optimizer/inner_optimizer"
LEGACY_OPTIMIZER = "optimizer_weights/"

Found = dict[str, tuple[str, OptimizerVariable]]
"""By key the path of the optimizer and what the variable is."""


def find_keras_optimizers(
    tensors: Mapping[str, TensorRecord],
    keys: list[str],
    contents: KerasContents,
    variables: Mapping[str, LayerVariable],
) -> tuple[Found, dict[str, LayerVariable]]:
    """Tell what the variables of optimizers are, and which weights they train."""
    if not keys:
        return {}, dict(variables)
    weights = {key: one for key, one in variables.items() if one.role is Role.WEIGHT}
    shapes = {key: tensors[key].shape for key in weights}
    trained: Counter[tuple[int, ...]] | None = None
    if contents.weights:
        found = _legacy_optimizer(tensors, keys, contents, weights)
    else:
        given = Weights(shapes, trainable_order(contents, variables))
        found, trained = _optimizers(tensors, keys, contents, given)
    owners = {variable.owner for _, variable in found.values()}
    marked = {
        key: _marked(one, owners, _told_by_shape(shapes, trained)) for key, one in variables.items()
    }
    return found, marked


def _marked(
    variable: LayerVariable, owners: set[str | None], by_shape: Mapping[str, bool]
) -> LayerVariable:
    if variable.role is not Role.WEIGHT or variable.trainable is not None:
        return variable
    if variable.key in owners:
        return variable._replace(trainable=True)
    return variable._replace(trainable=by_shape.get(variable.key))


def _told_by_shape(
    shapes: Mapping[str, tuple[int, ...]], trained: Counter[tuple[int, ...]] | None
) -> dict[str, bool]:
    """Call trained all weights of a shape, or none, where the slots' shapes say so."""
    if trained is None:
        return {}
    counts = Counter(shapes.values())
    return {
        key: bool(trained[shape])
        for key, shape in shapes.items()
        if trained[shape] in (0, counts[shape])
    }


def _optimizers(
    tensors: Mapping[str, TensorRecord],
    keys: list[str],
    contents: KerasContents,
    weights: Weights,
) -> tuple[Found, Counter[tuple[int, ...]] | None]:
    trained = None
    is_keras_2 = (contents.config.keras_version or "").startswith("2.")
    groups: dict[str, list[TensorRecord]] = {}
    for key in keys:
        groups.setdefault(key.rpartition("/vars/")[0], []).append(tensors[key])
    config = contents.config.optimizer
    inner = groups.get(INNER)
    found: Found = {}
    for path, records in groups.items():
        one = config.inner if path == INNER and config else config
        name = contents.groups[path].name if path in contents.groups else ""
        told, rest = _outer(records, inner) if path == OPTIMIZER and inner else ({}, records)
        variables, trained_here = find_optimizer_variables(rest, weights, one, name=name)
        trained = trained_here or trained
        told |= variables
        if is_keras_2:
            kind = optimizer_kind(one, name)
            told = {
                key: known._replace(word=keras2_word(kind, known.word))
                for key, known in told.items()
            }
        found |= {key: (path, variable) for key, variable in told.items()}
    return found, trained


def _outer(
    records: list[TensorRecord], inner: list[TensorRecord]
) -> tuple[dict[str, OptimizerVariable], list[TensorRecord]]:
    """Tell a LossScaleOptimizer's own variables from its copies of the inner one's."""
    own = records[: max(0, len(records) - len(inner))]
    copies = records[len(own) :]
    kinds = [(record.dtype, record.shape) for record in copies]
    if kinds != [(record.dtype, record.shape) for record in inner]:
        return {}, records
    told = {
        copy.key: OptimizerVariable(Role.ALIAS, repeats=record.key)
        for copy, record in zip(copies, inner, strict=True)
    }
    for record in own[2:]:
        is_scale = "float" in record.dtype
        word = "dynamic_scale" if is_scale else "step_counter"
        role = Role.HYPERPARAMETER if is_scale else Role.COUNTER
        told[record.key] = OptimizerVariable(role, word)
    return told, own[:2]


def _legacy_optimizer(
    tensors: Mapping[str, TensorRecord],
    keys: list[str],
    contents: KerasContents,
    weights: Mapping[str, LayerVariable],
) -> Found:
    listed = {weight.key: weight.name.removesuffix(":0") for weight in contents.weights}
    index = index_weights({one.name: (key, tensors[key].shape) for key, one in weights.items()})
    found: Found = {}
    for key in keys:
        name = listed.get(key, key.removeprefix(LEGACY_OPTIMIZER))
        path = _legacy_path(name, contents.config.optimizer)
        variable = legacy_optimizer_variable(name, tensors[key], index)
        if not variable.word and variable.owner is None:
            path, variable = OPTIMIZER, variable._replace(word=name)
        found[key] = (path, variable)
    return found


def _legacy_path(name: str, config: OptimizerConfig | None) -> str:
    inner = config.inner if config else None
    is_inner = inner is not None and inner.name in name.split("/")
    return INNER if is_inner else OPTIMIZER


def optimizer_class(contents: KerasContents) -> str | None:
    """Give the class of the optimizer that does the work, if the file tells it."""
    config = contents.config.optimizer
    while config is not None and config.inner is not None:
        config = config.inner
    if config is not None:
        return config.class_name
    for path in (INNER, OPTIMIZER):
        if path in contents.groups:
            return CLASS_NAMES.get(optimizer_kind(None, contents.groups[path].name))
    return None
