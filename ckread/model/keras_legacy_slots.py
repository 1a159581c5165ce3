"""The variables of an optimizer in a legacy Keras file, by their names.

adam/stem_kernel_momentum              Keras 3: the weight's path, `/` as `_`
loss_scale_optimizer/adam/…            of the optimizer inside
Adam/m/stem/kernel                     Keras 2.11 and later
Adam/stem/kernel/m, training/Adam/…    Keras 2 before that
Adam/iter, iteration, Adam/beta_1      counters and hyperparameters
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.model.keras_optimizer_variables import OptimizerVariable
from ckread.model.keras_plans import AVERAGE
from ckread.model.role import Role
from ckread.model.role_rules import role_by_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckread.readers.contract import TensorRecord

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
    for owner, word in _claims(name, weights):
        if owner is not None and (owner[1] == record.shape or _is_factor(record.shape, owner[1])):
            kind = Role.AVERAGE if word == AVERAGE else Role.SLOT
            return OptimizerVariable(kind, word, owner[0])
    last = name.rpartition("/")[2]
    if last in _WORDS:
        return OptimizerVariable(Role.COUNTER, _WORDS[last])
    if "nadam" in name.lower() and last == "variable" and not record.shape:
        return OptimizerVariable(Role.HYPERPARAMETER, "u_product")
    role = role_by_word(last, record.dtype, record.shape)
    if role in (Role.COUNTER, Role.HYPERPARAMETER):
        return OptimizerVariable(role, last)
    return OptimizerVariable(Role.SLOT if record.shape else Role.OTHER)


def _claims(
    name: str, weights: NamedWeights
) -> Iterator[tuple[tuple[str, tuple[int, ...]] | None, str]]:
    """Yield the weights that a name may be of, the longest name first, and the word left."""
    parts = name.split("/")
    for start in range(1, len(parts)):
        whole = "/".join(parts[start:])
        if start > 1 and whole in weights.by_name:
            yield weights.by_name[whole], parts[start - 1]
        owner, _, word = whole.rpartition("/")
        if owner in weights.by_name:
            yield weights.by_name[owner], word
    words = parts[-1].split("_")
    for stop in range(len(words) - 1, 0, -1):
        flat = "_".join(words[:stop])
        if flat in weights.by_flat_name:
            yield weights.by_flat_name[flat], "_".join(words[stop:])


def _is_factor(shape: tuple[int, ...], weight: tuple[int, ...]) -> bool:
    """Tell whether a slot of this shape is a row or column factor of a weight."""
    return len(weight) > 1 and shape in (weight[:-1], (*weight[:-2], weight[-1]))
