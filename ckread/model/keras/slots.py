"""The numbered variables of a Keras optimizer: counters, rates, slots and their owners.

    optimizer/vars/0            iterations
    optimizer/vars/1            learning rate, unless it is a schedule
    optimizer/vars/2 …          slots, in the order of a plan
    optimizer/inner_optimizer   of a LossScaleOptimizer, stored a second time in the outer

A plan is a list of places `(variable, word, role)`. By class the slots are

    interleaved   every slot of the first variable, then of the second (Adam and most)
    in turn       the first slot of every variable, then the second (RMSprop; AMSGrad's
                  third; averages and gradient accumulators, before the rest)

Which options were on is told by the configuration, else by which plans the shapes allow.
A slot's owner is known where the configuration gives the order of the weights, or where
only one weight has its shape. It is left open otherwise.

Reference: keras.optimizers, `build` of each class
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ckread.readers.contract import TensorRecord
    from ckread.readers.keras.config import OptimizerConfig


_INTERLEAVED: dict[str, tuple[str, ...]] = {
    "adam": ("momentum", "velocity"),
    "adamw": ("momentum", "velocity"),
    "nadam": ("momentum", "velocity"),
    "lamb": ("momentum", "velocity"),
    "schedulefreeadamw": ("momentum", "velocity"),
    "adadelta": ("accumulated_grad", "accumulated_delta_var"),
    "adamax": ("momentum", "norm"),
    "ftrl": ("accumulator", "linear"),
    "adagrad": ("accumulator",),
    "lion": ("momentum",),
    "sgd": ("momentum",),
    "adafactor": ("r", "c", "v"),
}
_KERAS_2_KINDS = frozenset({"adam", "adamw", "nadam", "adamax", "sgd", "lion"})
_RMSPROP = ("velocity", "momentum", "average_gradient")
FACTORED = "adafactor"
FACTORS = ("r", "c")
MUON = "muon"
AVERAGE = "average"
ACCUMULATOR = "gradient_accumulator"
KINDS = frozenset({*_INTERLEAVED, "rmsprop", MUON})


class Place(NamedTuple):
    """What one slot is.

    Attributes:
        variable: position of the weight among the trainable ones.
        word: the writer's word.
        role: slot or average.
    """

    variable: int
    word: str
    role: Role = Role.SLOT


class Options(NamedTuple):
    """What can be switched on; None where it is not told."""

    use_ema: bool | None
    accumulates: bool | None
    amsgrad: bool | None
    momentum: bool | None
    centered: bool | None


def options_of(settings: Mapping[str, Any]) -> Options:
    """Read the options from an optimizer's configuration."""

    def flag(name: str) -> bool | None:
        return bool(settings[name]) if name in settings else None

    accumulates = flag("gradient_accumulation_steps")
    return Options(
        flag("use_ema"), accumulates, flag("amsgrad"), flag("momentum"), flag("centered")
    )


def iter_plans(kind: str, options: Options, n_slots: int) -> Iterator[list[Place]]:
    """Yield the plans that give this number of slots, none if the class is not known."""
    ema, accumulates = (_choices(one) for one in options[:2])
    for use_ema, use_accumulator in product(ema, accumulates):
        before = (AVERAGE,) * use_ema + (ACCUMULATOR,) * use_accumulator
        for each, after, is_interleaved in _variants(kind, options):
            per_variable = len(before) + len(each) + len(after)
            if per_variable and n_slots % per_variable == 0:
                n = n_slots // per_variable
                yield [
                    *_in_turn(before, n),
                    *(
                        [Place(i, word) for i in range(n) for word in each]
                        if is_interleaved
                        else _in_turn(each, n)
                    ),
                    *_in_turn(after, n),
                ]


def _choices(option: bool | None) -> tuple[bool, ...]:
    return (False, True) if option is None else (option,)


def _variants(
    kind: str, options: Options
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], bool]]:
    """Yield the slots that come per variable, those after them, and whether interleaved."""
    if kind == "rmsprop":
        for momentum, centered in product(_choices(options.momentum), _choices(options.centered)):
            yield (_RMSPROP[0], *_RMSPROP[1:2] * momentum, *_RMSPROP[2:] * centered), (), False
    elif kind == "sgd":
        for momentum in _choices(options.momentum):
            yield _INTERLEAVED["sgd"] * momentum, (), True
    elif kind in ("adam", "adamw"):
        for amsgrad in _choices(options.amsgrad):
            yield _INTERLEAVED[kind], ("velocity_hat",) * amsgrad, True
    elif kind in _INTERLEAVED:
        yield _INTERLEAVED[kind], (), True


def _in_turn(words: tuple[str, ...], n: int) -> list[Place]:
    return [
        Place(i, word, Role.AVERAGE if word == AVERAGE else Role.SLOT)
        for word in words
        for i in range(n)
    ]


def muon_plan(shapes: list[tuple[int, ...]], slots: list[tuple[int, ...]]) -> list[Place] | None:
    """Give Muon's plan: a velocity follows where the next slot has the shape once more."""
    plan: list[Place] = []
    at = 0
    for i, shape in enumerate(shapes):
        if at >= len(slots) or slots[at] != shape:
            return None
        plan.append(Place(i, "momentum"))
        at += 1
        if len(shape) != 2 and at < len(slots) and slots[at] == shape:
            plan.append(Place(i, "velocity"))
            at += 1
    return plan if at == len(slots) else None


def keras2_word(kind: str, word: str) -> str:
    """Give Keras 2's word for a slot: it called Adam's moments `m` and `v`."""
    if kind not in _KERAS_2_KINDS:
        return word
    return {"momentum": "m", "velocity": "v", "velocity_hat": "vhat", "norm": "u"}.get(word, word)


def slot_shape(word: str, kind: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give the shape of a slot of a weight of this shape."""
    if kind != FACTORED or word not in FACTORS:
        return shape
    if len(shape) < 2:
        return ()
    return shape[:-1] if word == "r" else (*shape[:-2], shape[-1])


_MAX_TRIED = 20_000
_MAX_WAYS = 100
"""Ways to leave weights out of the order, and steps to find them, that are tried."""

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
        order: those that may be trainable, in order; None if that is not told.
        open: those of them of which it is not told whether they are.
    """

    shapes: Mapping[str, tuple[int, ...]]
    order: Sequence[str] | None
    open: Collection[str] = ()


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
    """Tell what the variables of one optimizer are; `records` come in numeric order."""
    kind = optimizer_kind(config, name)
    options = options_of(config.settings) if config else _UNKNOWN
    found: dict[str, OptimizerVariable] = {}
    rest = list(records)
    if rest and not rest[0].shape and rest[0].dtype.startswith(("int", "uint")):
        found[rest.pop(0).key] = OptimizerVariable(Role.COUNTER, "iterations")
    if kind == "nadam" and rest and not rest[-1].shape:
        found[rest.pop().key] = OptimizerVariable(Role.HYPERPARAMETER, "u_product")
    is_rate = bool(rest) and not rest[0].shape and "float" in rest[0].dtype
    rate = OptimizerVariable(Role.HYPERPARAMETER, "learning_rate")
    for has_rate in (True, False) if is_rate else (False,):
        named = _name_slots(kind, options, rest[has_rate:], weights)
        if named is not None:
            told = [*[rate] * has_rate, *named[0]]
            found |= {record.key: one for record, one in zip(rest, told, strict=True)}
            return ToldOptimizer(found, named[1])
    untold = [OptimizerVariable(Role.SLOT if one.shape else Role.OTHER) for one in rest]
    found |= {record.key: one for record, one in zip(rest, untold, strict=True)}
    return ToldOptimizer(found | ({rest[0].key: rate} if is_rate else {}), None)


def _name_slots(
    kind: str, options: Options, slots: Sequence[TensorRecord], weights: Weights
) -> tuple[list[OptimizerVariable], Counter[tuple[int, ...]] | None] | None:
    """Name the slots by the plans that fit, and tell what they train; None if none fits."""
    if not slots:
        return [], None
    shapes = [record.shape for record in slots]
    fitting = []
    trained = []
    plans: Iterable[list[Place]] = ()
    if kind == MUON and weights.order:
        plan = muon_plan([weights.shapes[key] for key in weights.order], shapes)
        plans = [plan] if plan else []
    elif kind in KINDS:
        plans = iter_plans(kind, options, len(shapes))
    for plan in plans:
        owners = _owners(plan, kind, shapes, weights)
        if owners is not None:
            fitting.append(
                [OptimizerVariable(one.role, one.word, owners[one.variable]) for one in plan]
            )
            trained.append(Counter(_whole_shapes(plan, shapes).values()))
    if not fitting:
        return None
    agreed = []  # of several plans what they agree on
    for first, *others in zip(*fitting, strict=True):
        role = first.role if all(one.role is first.role for one in others) else Role.SLOT
        word = first.word if all(one.word == first.word for one in others) else ""
        owner = first.owner if all(one.owner == first.owner for one in others) else None
        agreed.append(OptimizerVariable(role, word, owner))
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


def _owners(
    plan: Sequence[Place], kind: str, shapes: Sequence[tuple[int, ...]], weights: Weights
) -> dict[int, str | None] | None:
    """Give the weight of each position of a plan; None if the shapes contradict it."""
    n = max(place.variable for place in plan) + 1
    if weights.order is not None and len(weights.order) == n:
        known = {i: weights.shapes[key] for i, key in enumerate(weights.order)}
        return dict(enumerate(weights.order)) if _fit(plan, kind, shapes, known) else None
    whole = _whole_shapes(plan, shapes)
    if len(whole) != n or not _fit(plan, kind, shapes, whole):
        return None
    if Counter(whole.values()) - Counter(weights.shapes.values()):
        return None  # more of a shape than there are weights to own them
    if weights.order is not None and len(weights.order) > n:
        return _embedded([whole[i] for i in range(n)], weights)
    # A weight is told by its shape if it is the one of that shape, and one position has it.
    alike: dict[tuple[int, ...], list[str]] = {}
    for key, shape in weights.shapes.items():
        alike.setdefault(shape, []).append(key)
    counts = Counter(whole.values())
    return {
        i: alike[shape][0] if len(alike[shape]) == 1 == counts[shape] else None
        for i, shape in whole.items()
    }


def _embedded(wanted: Sequence[tuple[int, ...]], weights: Weights) -> dict[int, str | None] | None:
    """Find shapes one after the other among ordered weights; None if they are not there.

    A layer that is not Keras's own may keep some of its variables from being trained: those
    are the last of its own. What every way to leave some out agrees on is certain.
    """
    order = weights.order or ()
    ways: list[tuple[str, ...]] = []
    stack: list[tuple[int, tuple[str, ...], str]] = [(0, (), "")]
    for _ in range(_MAX_TRIED):
        if not stack or len(ways) > _MAX_WAYS:
            break
        at, taken, closed = stack.pop()
        if at == len(order):
            ways += [taken] if len(taken) == len(wanted) else []
            continue
        key = order[at]
        owner = key.rpartition("/")[0]
        if key in weights.open:
            stack.append((at + 1, taken, owner))
        fits = len(taken) < len(wanted) and weights.shapes[key] == wanted[len(taken)]
        if fits and not (closed == owner and key in weights.open):
            stack.append((at + 1, (*taken, key), ""))
    if not ways or stack:
        return None
    alike = [set(keys) for keys in zip(*ways, strict=True)]
    return {i: keys.pop() if len(keys) == 1 else None for i, keys in enumerate(alike)}


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
