"""Live Keras 3 optimizers of every layout of state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras import optimizers

if TYPE_CHECKING:
    from collections.abc import Callable


def _schedule() -> Any:
    return optimizers.schedules.ExponentialDecay(1e-3, 10, 0.9)


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: optimizers.SGD(1e-3),
    "sgd_momentum": lambda: optimizers.SGD(1e-3, momentum=0.9),
    "adam": lambda: optimizers.Adam(),
    "adam_amsgrad": lambda: optimizers.Adam(amsgrad=True),
    "adamw_schedule": lambda: optimizers.AdamW(_schedule()),
    "rmsprop": lambda: optimizers.RMSprop(),
    "rmsprop_centered": lambda: optimizers.RMSprop(momentum=0.5, centered=True),
    "adagrad": lambda: optimizers.Adagrad(),
    "adadelta": lambda: optimizers.Adadelta(),
    "adamax": lambda: optimizers.Adamax(),
    "nadam": lambda: optimizers.Nadam(),
    "ftrl": lambda: optimizers.Ftrl(),
    "lion": lambda: optimizers.Lion(),
    "lamb": lambda: optimizers.Lamb(),
    "adafactor": lambda: optimizers.Adafactor(),
    "muon": lambda: optimizers.Muon(),
    "ema": lambda: optimizers.Adam(use_ema=True),
    "accumulation": lambda: optimizers.Adam(gradient_accumulation_steps=2),
    "loss_scale": lambda: optimizers.LossScaleOptimizer(optimizers.Adam()),
}
