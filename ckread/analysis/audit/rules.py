"""By which rule an optimizer moved its weights: class, hyperparameters and slots, and their source.

A checkpoint of Keras 3 holds rate and iterations; one of Keras before 2.11 also the rest; a
`.keras` or `.h5` the configuration. What none of them tells is the default of the class, and
is called so: what is recomputed from it is right where the program left it alone.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.analysis.training import iterations_by_power, read_training_state
from ckread.errors import CheckpointError
from ckread.model.role import Role
from ckread.model.variable import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckread.analysis.training import OptimizerState, TrainingState
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable


class Hyperparameter(NamedTuple):
    """One setting of an optimizer.

    Example:
        >>> used = ckread.optimizer("fixtures/digits_run").optimizers[0]
        >>> found = used.hyperparameters["learning_rate"]
        >>> round(found.value, 5), found.source
        (0.00069, 'checkpoint')

    Attributes:
        value: a number or a truth; None where nothing tells.
        source: `checkpoint`, `config`, `default` or `unknown`.
    """

    value: float | bool | None
    source: str


class Rule(NamedTuple):
    """How an optimizer moves a weight; it pickles.

    Attributes:
        family: which formula: `adam`, `adamax`, `lion`, `momentum`, or another's name.
        words: what each slot is in it: `m`, `v`, `vhat`, `u`, `accumulator`.
        is_recomputed: whether the last update follows from the slots.
        iterations: steps made.
        rate: of the last step.
        sign: what momentum is multiplied by.
        initial: what an accumulator, or a mean of squares, begins with.
    """

    family: str
    words: tuple[str, ...] = ()
    is_recomputed: bool = False
    iterations: int = 0
    rate: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 0.0
    weight_decay: float = 0.0
    sign: float = 1.0
    initial: float = 0.0


_ADAM: dict[str, float | bool | None] = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
_DEFAULTS: dict[str, dict[str, float | bool | None]] = {
    "Adam": {**_ADAM, "weight_decay": 0.0},
    "Adam with AMSGrad": {**_ADAM, "weight_decay": 0.0},
    "AdamW": {**_ADAM, "weight_decay": 0.004},
    "Adamax": {**_ADAM, "weight_decay": 0.0},
    "Nadam": dict(_ADAM),
    "Lion": {"beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.0},
    "SGD with momentum": {"momentum": None, "nesterov": False, "weight_decay": 0.0},
    "Momentum": {"momentum": None, "nesterov": False},
    "RMSprop": {"rho": 0.9, "epsilon": 1e-7, "weight_decay": 0.0},
    "RMSProp": {"rho": 0.9, "epsilon": 1e-10},
    "Adagrad": {"initial_accumulator_value": 0.1, "epsilon": 1e-7},
    "Ftrl": {"initial_accumulator_value": 0.1},
}
"""What the classes of Keras take where nothing is said; TensorFlow 1's epsilons differ."""
_BELOW_ONE = ("beta_1", "beta_2", "momentum", "rho")
_ALIASES = {"beta_1": ("beta1",), "beta_2": ("beta2",), "learning_rate": ("lr",)}

_SUNK = 2e-22
"""A share so small that what is left of a square of a gradient may be 0 in float32."""
_NEVER_FORGET = ("Adam with AMSGrad", "Adagrad", "Ftrl")
"""Classes with a slot that only grows."""

_FAMILIES = {
    "Adam": "adam", "Adam with AMSGrad": "adam", "AdamW": "adam", "Adamax": "adamax",
    "Nadam": "adam", "Lion": "lion", "SGD with momentum": "momentum", "Momentum": "momentum",
    "SGD": "momentum", "RMSprop": "rmsprop", "RMSProp": "rmsprop",
}  # fmt: skip
_M = ("momentum", "m", "Momentum", "RMSProp_1")
_CENTERED = {"RMSProp_1": "mg", "RMSProp_2": "m"}
"""What TensorFlow 1's RMSProp keeps when it is centered: the mean of gradients comes between."""
_V = ("velocity", "v", "rms", "RMSProp")
_ACCUMULATORS = ("accumulator", "Adagrad", "Ftrl")
BEGIN_ABOVE_ZERO = (*_ACCUMULATORS, "RMSProp")
"""Slots whose first value is another."""
_WORDS = (
    dict.fromkeys(_M, "m") | dict.fromkeys(_V, "v") | dict.fromkeys(_ACCUMULATORS, "accumulator")
    | {"velocity_hat": "vhat", "vhat": "vhat", "norm": "u", "u": "u"}
)  # fmt: skip
_NEEDED = {"adam": {"m", "v"}, "adamax": {"m", "u"}, "lion": {"m"}, "momentum": {"m"}}
_BESIDE = {"v", "mg", "vhat", "average_gradient", "gradient_accumulator"}
"""What else one optimizer keeps of a weight: more than that is of another, which moves it too."""

_KEEPS = {
    "RMSprop": "the mean square of the gradient", "RMSProp": "the mean square of the gradient",
    "Adagrad": "the sum of the squares of the gradient", "Ftrl": "sums of the gradient",
    "Adadelta": "mean squares", "Adafactor": "mean squares by row and column",
    "Nadam": "moments, and its step takes the last gradient besides",
    "SGD": "nothing",
}  # fmt: skip


def read_states(
    checkpoint: Checkpoint, state: TrainingState | None = None
) -> tuple[OptimizerState, ...]:
    """Give the optimizers, the steps of TensorFlow 1's Adam by the powers of its betas."""
    states = (state or read_training_state(checkpoint)).optimizers
    if len(states) == 1 and states[0].iterations is None:
        powers = checkpoint.of_role(Role.HYPERPARAMETER)
        return (states[0]._replace(iterations=iterations_by_power(powers)[0]),)
    return states


def hyperparameters(
    checkpoint: Checkpoint, state: OptimizerState
) -> tuple[dict[str, Hyperparameter], float]:
    """Give the settings of an optimizer with their sources, and the rate of its last step.

    The rate is NaN where it is not known.
    """
    settings: Mapping[str, Any] = {}
    if (compiled := checkpoint.evidence.compiled) is not None:
        from ckread.readers.keras.config import innermost

        config = innermost(compiled.optimizer)
        settings = config.settings if config is not None else {}
    stored = _stored(checkpoint, state)
    defaults = dict(_DEFAULTS.get(state.kind or "", {}))
    is_of_tf1 = any(v.key.endswith(("/Adam", "/RMSProp")) for v in checkpoint.values())
    if is_of_tf1 and state.kind in ("Adam", "RMSProp"):
        defaults["epsilon"] = 1e-8 if state.kind == "Adam" else 1e-10
    found = {"learning_rate": Hyperparameter(state.learning_rate, "unknown")}
    if state.learning_rate is not None:
        source = "checkpoint" if "learning_rate" in stored else "config"
        found["learning_rate"] = Hyperparameter(state.learning_rate, source)
    for name in dict.fromkeys((*defaults, *(n for n in ("decay", "weight_decay") if n in stored))):
        words = (name, *_ALIASES.get(name, ()))
        in_file = next((stored[word] for word in words if word in stored), None)
        in_config = next((settings[word] for word in words if word in settings), None)
        if in_file is not None:
            found[name] = Hyperparameter(in_file, "checkpoint")
        elif isinstance(in_config, (int, float)):
            found[name] = Hyperparameter(in_config, "config")
        elif name in settings and in_config is None:
            found[name] = Hyperparameter(0.0 if name == "weight_decay" else None, "config")
        else:
            value = defaults.get(name)
            found[name] = Hyperparameter(value, "unknown" if value is None else "default")
    rate = math.nan if state.learning_rate is None else state.learning_rate
    decay = stored.get("decay", 0.0)
    if decay > 0 and state.iterations:
        rate /= 1 + decay * (state.iterations - 1)
    return found, rate


def forgets(kind: str | None, told: Mapping[str, Hyperparameter], iterations: int | None) -> bool:
    """Tell whether a gradient long past may have left nothing in the slots of an optimizer.

    After Adam's 0.999 that takes 50,000 steps, after RMSprop's 0.9 as few as 474.
    """
    if kind in _NEVER_FORGET:
        return False
    decays = [told[name].value for name in _BELOW_ONE if name in told]
    longest = max((float(decay) for decay in decays if decay), default=0.0)
    return iterations is None or longest <= 0 or longest**iterations < _SUNK


def _stored(checkpoint: Checkpoint, state: OptimizerState) -> dict[str, float]:
    """Read the scalars that an optimizer keeps of its settings."""
    found = {}
    for variable in checkpoint.values():
        scope, _, word = variable.name.rpartition("/")
        is_meant = variable.role is Role.HYPERPARAMETER and scope in ("", state.name)
        if is_meant and variable.elements == 1 and is_number(variable.dtype):
            try:
                found["learning_rate" if word == "lr" else word] = float(variable.scalar())
            except CheckpointError:
                continue
    return found


def rule_of(
    checkpoint: Checkpoint,
    state: OptimizerState,
    told: Mapping[str, Hyperparameter],
    rate: float,
    slots: Sequence[Variable],
) -> tuple[Rule, str | None]:
    """Give the rule for weights with these slots, and why the last update does not follow."""
    kind = state.kind or ""
    family = _FAMILIES.get(kind, kind.lower())
    called = _WORDS | {"v": "u"} if family == "adamax" else _WORDS
    names = [slot.slot or "" for slot in slots]
    if "RMSProp_2" in names:
        called = called | _CENTERED
    words = tuple(called.get(name, name) for name in names)

    def number(name: str, default: float = 0.0) -> float:
        value = told[name].value if name in told else None
        return default if value is None else float(value)

    is_of_tf1 = "Momentum" in names
    begins_at = 1.0 if "RMSProp" in names else min(number("initial_accumulator_value"), 1e38)
    if family == "rmsprop" and "m" in words:
        family, sign = "momentum", -1.0
    else:
        sign = -rate if is_of_tf1 else 1.0
    reason = _why_not(kind, family, words, told, rate, state)
    rule = Rule(
        family, words, reason is None, state.iterations or 0,
        rate if math.isfinite(rate) else 0.0,
        number("beta_1", 0.9), number("beta_2", 0.999), number("epsilon"),
        number("weight_decay"), sign if math.isfinite(sign) else 0.0,
        struct.unpack("<f", struct.pack("<f", begins_at))[0],
    )  # fmt: skip
    return rule, reason


def _why_not(
    kind: str,
    family: str,
    words: Sequence[str],
    told: Mapping[str, Hyperparameter],
    rate: float,
    state: OptimizerState,
) -> str | None:
    """Say why the last update cannot be recomputed; None where it can."""
    if not kind:
        return "of which class the optimizer is, the files do not tell"
    is_moved_by_m = kind == "SGD" or kind.startswith("RMS")  # Keras 2.11 keeps m in any SGD
    if kind in _KEEPS and not (is_moved_by_m and "m" in words):
        rest = "" if kind in ("Nadam", "SGD") else ", not the gradient"
        return f"{kind} keeps {_KEEPS[kind]}{rest}"
    if state.iterations is not None and state.iterations <= 0:
        return "its iterations stand at 0"
    for name, one in told.items():
        end = 1 if name in _BELOW_ONE else math.inf
        if one.value is not None and not 0 <= one.value < end:
            return f"{name} is {one.value:g}, which no training can have"
    if family not in _NEEDED:
        return f"how {kind} makes its step is not known here"
    if not _NEEDED[family] <= set(words):
        return "not all of its slots are in the file"
    if len(set(words)) < len(words) or set(words) - _NEEDED[family] - _BESIDE:
        return f"there are more slots than one {kind} keeps"
    if told.get("nesterov") and told["nesterov"].value:
        return "Nesterov's momentum takes the last gradient a second time, and it is not kept"
    if "weight_decay" in told and told["weight_decay"].source == "checkpoint":
        return "its weight decay is of a kind that is not known here"
    needs_rate = family in ("adam", "adamax", "lion") or "Momentum" in kind
    if needs_rate and not math.isfinite(rate):
        by = f": {state.schedule} gives it" if state.schedule else ""
        return f"the learning rate of the last step is not in the file{by}"
    if family in ("adam", "adamax") and not state.iterations:
        return "how many steps it made is not in the file"
    if "gradient_accumulator" in words:
        return "it accumulates gradients over several steps"
    return None
