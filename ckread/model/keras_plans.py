"""How Keras optimizers lay out their slots, by class.

    interleaved   every slot of the first variable, then of the second (Adam and most)
    in turn       the first slot of every variable, then the second (RMSprop; AMSGrad's
                  third; averages and gradient accumulators, before the rest)

A plan is a list of places `(variable, word, role)`. Which options were on is told by
the configuration, else by which plans the shapes allow.

Reference: keras.optimizers, `build` of each class
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
CLASS_NAMES = {
    name.lower(): name
    for name in (
        "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion",
        "Muon", "Nadam", "RMSprop", "SGD", "ScheduleFreeAdamW",
    )
}  # fmt: skip
"""Keras's classes by kind."""


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
                    *(_interleaved(each, n) if is_interleaved else _in_turn(each, n)),
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


def _interleaved(words: tuple[str, ...], n: int) -> list[Place]:
    return [Place(i, word) for i in range(n) for word in words]


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
