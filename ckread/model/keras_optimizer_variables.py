"""The variables of an optimizer in a Keras file: counters, rates, slots and their owners.

    optimizer/vars/0            iterations
    optimizer/vars/1            learning rate, unless it is a schedule
    optimizer/vars/2 …          slots, in the order of `keras_plans`
    optimizer/inner_optimizer   of a LossScaleOptimizer, stored a second time in the outer

A slot's owner is known where the configuration gives the order of the weights, or
where only one weight has its shape. It is left open otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ckread.model.keras_plans import (
    FACTORS,
    KINDS,
    MUON,
    Options,
    Place,
    iter_plans,
    muon_plan,
    options_of,
    slot_shape,
)
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckread.readers.contract import TensorRecord
    from ckread.readers.keras_config import OptimizerConfig

_UNKNOWN = Options(None, None, None, None, None)


class OptimizerVariable(NamedTuple):
    """One variable of an optimizer.

    Attributes:
        role: what it is for.
        word: the last part of its name; empty if not known.
        owner: key of the weight that a slot belongs to.
        repeats: key of the variable of which it is the second copy.
    """

    role: Role
    word: str = ""
    owner: str | None = None
    repeats: str | None = None


class ToldOptimizer(NamedTuple):
    """What is told of one optimizer.

    Attributes:
        variables: what each of its variables is, by key.
        trained: how many weights of each shape it has slots for; None if not told.
    """

    variables: dict[str, OptimizerVariable]
    trained: Counter[tuple[int, ...]] | None


class Weights(NamedTuple):
    """The weights that an optimizer may train.

    Attributes:
        shapes: of each, by key.
        order: the trainable ones in order, None if that is not told.
    """

    shapes: Mapping[str, tuple[int, ...]]
    order: Sequence[str] | None


def optimizer_kind(config: OptimizerConfig | None, name: str) -> str:
    """Give the class as one word: from the configuration, else from the optimizer's name."""
    text = config.class_name if config else re.sub(r"_\d+$", "", name)
    kind = text.replace("_", "").lower()
    return kind.removesuffix("v2")


def find_optimizer_variables(
    records: Sequence[TensorRecord],
    weights: Weights,
    config: OptimizerConfig | None,
    *,
    name: str = "",
) -> ToldOptimizer:
    """Tell what the variables of one optimizer are.

    Args:
        records: its variables in numeric order.
        weights: the weights it may train.
        config: its configuration, if the file has one.
        name: its name, if the file tells it.
    """
    kind = optimizer_kind(config, name)
    options = options_of(config.settings) if config else _UNKNOWN
    found: dict[str, OptimizerVariable] = {}
    rest = list(records)
    if rest and _is_counter(rest[0]):
        found[rest.pop(0).key] = OptimizerVariable(Role.COUNTER, "iterations")
    if kind == "nadam" and rest and not rest[-1].shape:
        found[rest.pop().key] = OptimizerVariable(Role.HYPERPARAMETER, "u_product")
    for has_rate in (True, False) if rest and _is_rate(rest[0]) else (False,):
        named = _name_slots(kind, options, rest[has_rate:], weights)
        if named is not None:
            rate = [OptimizerVariable(Role.HYPERPARAMETER, "learning_rate")] * has_rate
            told = [*rate, *named[0]]
            found |= {record.key: one for record, one in zip(rest, told, strict=True)}
            return ToldOptimizer(found, named[1])
    found |= {record.key: _untold(record, at) for at, record in enumerate(rest)}
    return ToldOptimizer(found, None)


def _is_counter(record: TensorRecord) -> bool:
    return not record.shape and record.dtype.startswith(("int", "uint"))


def _is_rate(record: TensorRecord) -> bool:
    return not record.shape and "float" in record.dtype


def _untold(record: TensorRecord, at: int) -> OptimizerVariable:
    if at == 0 and _is_rate(record):
        return OptimizerVariable(Role.HYPERPARAMETER, "learning_rate")
    return OptimizerVariable(Role.SLOT if record.shape else Role.OTHER)


def _name_slots(
    kind: str, options: Options, slots: Sequence[TensorRecord], weights: Weights
) -> tuple[list[OptimizerVariable], Counter[tuple[int, ...]] | None] | None:
    """Name the slots by the plans that fit, and tell what they train; None if none fits."""
    if not slots:
        return [], None
    shapes = [record.shape for record in slots]
    fitting = []
    trained = []
    for plan in _plans(kind, options, shapes, weights):
        owners = _owners(plan, kind, shapes, weights)
        if owners is not None:
            fitting.append(
                [OptimizerVariable(one.role, one.word, owners[one.variable]) for one in plan]
            )
            trained.append(Counter(_whole_shapes(plan, shapes).values()))
    if not fitting:
        return None
    agreed = [_agreed([plan[at] for plan in fitting]) for at in range(len(slots))]
    return agreed, trained[0] if all(one == trained[0] for one in trained) else None


def _whole_shapes(
    plan: Sequence[Place], shapes: Sequence[tuple[int, ...]]
) -> dict[int, tuple[int, ...]]:
    """Give the shape of each weight of a plan, from a slot that has it too."""
    return {
        place.variable: shape
        for place, shape in zip(plan, shapes, strict=True)
        if place.word not in FACTORS
    }


def _plans(
    kind: str, options: Options, shapes: list[tuple[int, ...]], weights: Weights
) -> list[list[Place]]:
    if kind == MUON:
        order = weights.order
        plan = muon_plan([weights.shapes[key] for key in order], shapes) if order else None
        return [plan] if plan else []
    return list(iter_plans(kind, options, len(shapes))) if kind in KINDS else []


def _owners(
    plan: Sequence[Place], kind: str, shapes: Sequence[tuple[int, ...]], weights: Weights
) -> dict[int, str | None] | None:
    """Give the weight of each position of a plan; None if the shapes contradict it."""
    n = max(place.variable for place in plan) + 1
    if weights.order is not None:
        if len(weights.order) != n:
            return None
        known = {i: weights.shapes[key] for i, key in enumerate(weights.order)}
        return dict(enumerate(weights.order)) if _fit(plan, kind, shapes, known) else None
    whole = _whole_shapes(plan, shapes)
    if len(whole) != n or not _fit(plan, kind, shapes, whole):
        return None
    if Counter(whole.values()) - Counter(weights.shapes.values()):
        return None  # more of a shape than there are weights to own them
    return {i: _only_one(shape, whole, weights) for i, shape in whole.items()}


def _fit(
    plan: Sequence[Place],
    kind: str,
    shapes: Sequence[tuple[int, ...]],
    known: Mapping[int, tuple[int, ...]],
) -> bool:
    return all(
        slot_shape(place.word, kind, known[place.variable]) == shape
        for place, shape in zip(plan, shapes, strict=True)
    )


def _only_one(
    shape: tuple[int, ...], positions: Mapping[int, tuple[int, ...]], weights: Weights
) -> str | None:
    """Give the one weight of this shape, if one position of the plan has it too."""
    keys = [key for key, one in weights.shapes.items() if one == shape]
    n_positions = sum(one == shape for one in positions.values())
    return keys[0] if len(keys) == 1 == n_positions else None


def _agreed(claims: Sequence[OptimizerVariable]) -> OptimizerVariable:
    """Keep of several plans what they agree on."""
    first = claims[0]
    return OptimizerVariable(
        role=first.role if all(claim.role is first.role for claim in claims) else Role.SLOT,
        word=first.word if all(claim.word == first.word for claim in claims) else "",
        owner=first.owner if all(claim.owner == first.owner for claim in claims) else None,
    )
