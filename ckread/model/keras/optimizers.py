"""The optimizers of a Keras file: which variables are theirs, and which weights they train.

There is one, or a LossScaleOptimizer with the one inside it. What an optimizer has slots
for is trained: that tells flags where no configuration does. Legacy files call an
optimizer's variables by names, Keras 3 numbers them in the order of the model.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.keras.slots import (
    AVERAGE,
    OptimizerVariable,
    Weights,
    find_optimizer_variables,
    keras2_word,
    optimizer_kind,
)
from ckread.model.optimizers import CLASS_NAMES, class_of_config, is_slot_scope_word
from ckread.model.role import Role, role_by_word
from ckread.readers.keras.config import innermost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckread.model.keras.variables import LayerVariable
    from ckread.readers.contract import TensorRecord
    from ckread.readers.keras.layers import LayerGroup
    from ckread.readers.keras.reader import KerasContents


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
    by_shape: dict[str, bool] = {}
    if contents.weights:
        found = _legacy_optimizer(tensors, keys, contents, weights)
    else:
        untold = {key for key, one in weights.items() if one.trainable is None}
        given = Weights(shapes, trainable_order(contents, variables), untold)
        found, trained = _optimizers(tensors, keys, contents, given)
        if trained is not None:
            counts = Counter(shapes.values())
            by_shape = {
                key: bool(trained[shape])
                for key, shape in shapes.items()
                if trained[shape] in (0, counts[shape])
            }
    slots = [one for _, one in found.values() if one.role is Role.SLOT]
    told = by_shape | {one.owner: True for one in slots if one.owner}
    if slots and all(one.owner for one in slots):
        # Of all that the optimizer trains it keeps slots.
        told = dict.fromkeys(weights, False) | told
    return found, {
        key: one._replace(trainable=told.get(key))
        if one.role is Role.WEIGHT and one.trainable is None
        else one
        for key, one in variables.items()
    }


def _optimizers(
    tensors: Mapping[str, TensorRecord],
    keys: list[str],
    contents: KerasContents,
    weights: Weights,
) -> tuple[Found, Counter[tuple[int, ...]] | None]:
    """Tell the numbered variables; give with them how many weights of each shape have slots."""
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
        told, rest = _loss_scale(records, inner) if path == OPTIMIZER and inner else ({}, records)
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


def _loss_scale(
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
    config = contents.config.optimizer
    inner = config.inner if config else None
    found: Found = {}
    for key in keys:
        name = listed.get(key, key.removeprefix(LEGACY_OPTIMIZER))
        path = INNER if inner is not None and inner.name in name.split("/") else OPTIMIZER
        variable = legacy_optimizer_variable(name, tensors[key], index)
        if not variable.word and variable.owner is None:
            path, variable = OPTIMIZER, variable._replace(word=name)
        found[key] = (path, variable)
    return found


def optimizer_class(contents: KerasContents) -> str | None:
    """Give the class of the optimizer that does the work, if the file tells it."""
    config = innermost(contents.config.optimizer)
    if config is not None:
        return class_of_config(config.class_name, config.settings)
    for path in (INNER, OPTIMIZER):
        if path in contents.groups:
            return CLASS_NAMES.get(optimizer_kind(None, contents.groups[path].name))
    return None


# The variables of an optimizer in a legacy Keras file, by their names.
#
# adam/stem_kernel_momentum              Keras 3: the weight's path, `/` as `_`
# loss_scale_optimizer/adam/…            of the optimizer inside
# m/stem/kernel                          Keras 2, of the optimizer inside
# Adam/m/stem/kernel                     Keras 2.11 and later
# Adam/stem/kernel/m, training/Adam/…    Keras 2 before that
# Adam/iter, iteration, Adam/beta_1      counters and hyperparameters

_WORDS = {"iteration": "iterations", "iter": "iterations", "iterations": "iterations"}


class NamedWeights(NamedTuple):
    """The weights of a model by what slots may call them.

    Attributes:
        by_name: key and shape of each, by name.
        by_flat_name: likewise, by the name with `_` for `/`; None where two share it.
    """

    by_name: Mapping[str, tuple[str, tuple[int, ...]]]
    by_flat_name: Mapping[str, tuple[str, tuple[int, ...]] | None]


def index_weights(names: Mapping[str, tuple[str, tuple[int, ...]]]) -> NamedWeights:
    """Index weights by their names and flat names."""
    flat: dict[str, tuple[str, tuple[int, ...]] | None] = {}
    for name, weight in names.items():
        key = name.replace("/", "_")
        flat[key] = None if key in flat else weight
    return NamedWeights(names, flat)


def legacy_optimizer_variable(
    name: str, record: TensorRecord, weights: NamedWeights
) -> OptimizerVariable:
    """Tell what a variable of an optimizer is from its name."""
    for (owner, shape), word in _readings(name, weights):
        is_factor = record.shape in (shape[:-1], (*shape[:-2], *shape[-1:])) and len(shape) > 1
        if record.shape == shape or is_factor:
            kind = Role.AVERAGE if word == AVERAGE else Role.SLOT
            return OptimizerVariable(kind, word, owner)
    last = name.rpartition("/")[2]
    if last in _WORDS:
        return OptimizerVariable(Role.COUNTER, _WORDS[last])
    if "nadam" in name.lower() and last == "variable" and not record.shape:
        return OptimizerVariable(Role.HYPERPARAMETER, "u_product")
    role = role_by_word(last, record.dtype, record.shape)
    if role in (Role.COUNTER, Role.HYPERPARAMETER):
        return OptimizerVariable(role, last)
    return OptimizerVariable(Role.SLOT if record.shape else Role.OTHER)


def _readings(
    name: str, weights: NamedWeights
) -> Iterator[tuple[tuple[str, tuple[int, ...]], str]]:
    """Yield the weights that a name may be of, the longest name first, and the word left."""
    parts = name.split("/")
    for start in range(1, len(parts)):
        whole = "/".join(parts[start:])
        if whole in weights.by_name and (start > 1 or is_slot_scope_word(parts[0])):
            yield weights.by_name[whole], parts[start - 1]
        owner, _, word = whole.rpartition("/")
        if owner in weights.by_name:
            yield weights.by_name[owner], word
    words = parts[-1].split("_")
    for stop in range(len(words) - 1, 0, -1):
        weight = weights.by_flat_name.get("_".join(words[:stop]))
        if weight is not None:
            yield weight, "_".join(words[stop:])


# The order in which a Keras model lists its trainable variables, and optimizers their slots.
#
# It is that of the layers in the configuration; inside a layer its own variables come
# first, then those of its parts, for which the order is known only of Keras's own layers.

_PARTS = (
    "forward_layer", "backward_layer", "layer", "cell", "cells",
    "query_dense", "key_dense", "value_dense", "gate_dense", "output_dense",
)  # fmt: skip
_CELLS = "cells"


def trainable_order(
    contents: KerasContents, variables: Mapping[str, LayerVariable]
) -> list[str] | None:
    """Give the keys of what may be trained in the model's order, None if not told.

    Weights of somebody's own layers are among them: which of those are trained, the shapes
    of the slots tell.
    """
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
    parts = [
        part
        for part in children.get(group.path, ())
        if any(path == part.path or path.startswith(f"{part.path}/") for path in own)
    ]
    ordered = _sorted_parts(group, parts)
    if ordered is None:
        return None
    for part in ordered:
        inner = _walk(part, children, own)
        if inner is None:
            return None
        keys += inner
    return keys


def _sorted_parts(group: LayerGroup, parts: list[LayerGroup]) -> list[LayerGroup] | None:
    if len(parts) < 2:
        return parts
    config = group.config
    if config is None or not config.is_builtin:
        return None
    order: Sequence[object] = _PARTS
    keys: list[object] = [part.attribute.lstrip("_") for part in parts]
    if config.layers:
        order, keys = [layer.name for layer in config.layers], [part.name for part in parts]
    elif config.class_name == "StackedRNNCells" or all(_CELLS in part.path for part in parts):
        order, keys = config.parts.get(_CELLS, ()), [part.config for part in parts]
    if any(key not in order for key in keys):
        return None
    return [parts[at] for at in sorted(range(len(parts)), key=lambda at: order.index(keys[at]))]


def _only_trainable(keys: Iterable[str], variables: Mapping[str, LayerVariable]) -> list[str]:
    """Keep the weights that may be trained, each once."""
    kept: dict[str, None] = {}
    for key in keys:
        variable = variables.get(key)
        if variable is None:
            continue
        if variable.repeats is not None:
            variable = variables[variable.repeats]
        if variable.role is Role.WEIGHT and variable.trainable is not False:
            kept[variable.key] = None
    return list(kept)
