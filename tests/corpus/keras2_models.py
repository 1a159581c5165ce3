"""Live Keras 2 models and optimizers, through tf_keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tf_keras
from tf_keras import layers, optimizers

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = (12, 12, 3)
N_CLASSES = 5


def functional() -> Any:
    """Convolution, batch norm and a dense head."""
    image = layers.Input(IMAGE)
    hidden = layers.Conv2D(4, 3, name="stem")(image)
    hidden = layers.BatchNormalization(name="norm")(hidden)
    return tf_keras.Model(
        image, layers.Dense(N_CLASSES, name="head")(layers.Flatten()(hidden)), name="net"
    )


def frozen() -> Any:
    """The same, its first layer frozen before it was compiled."""
    model = functional()
    model.get_layer("stem").trainable = False
    return model


def sequential() -> Any:
    """A lazily built Sequential."""
    return tf_keras.Sequential(
        [
            layers.Conv2D(4, 3, name="stem"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(),
            layers.Dense(N_CLASSES, name="head"),
        ]
    )


def subclassed() -> Any:
    """Layers as attributes and in a list, which Keras 2 does save."""
    return Subclassed()


def recurrent() -> Any:
    """A bidirectional LSTM."""
    image = layers.Input(IMAGE)
    series = layers.Reshape((12, 36))(image)
    hidden = layers.Bidirectional(layers.LSTM(4, name="rnn"), name="bi")(series)
    return tf_keras.Model(image, layers.Dense(N_CLASSES, name="head")(hidden))


class Subclassed(tf_keras.Model):  # type: ignore[misc]
    """Attribute and layer names that differ."""

    def __init__(self) -> None:
        super().__init__()
        self.a = layers.Conv2D(4, 3, name="stem")
        self.blocks = [layers.Conv2D(4, 3) for _ in range(2)]
        self.flat = layers.Flatten()
        self.head = layers.Dense(N_CLASSES)

    def call(self, image: Any) -> Any:
        hidden = self.a(image)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(self.flat(hidden))


MODELS: dict[str, Callable[[], Any]] = {
    builder.__name__: builder for builder in (functional, frozen, sequential, subclassed, recurrent)
}

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: optimizers.Adam(),
    "adam_amsgrad": lambda: optimizers.Adam(amsgrad=True),
    "sgd_momentum": lambda: optimizers.SGD(1e-3, momentum=0.9),
    "rmsprop": lambda: optimizers.RMSprop(momentum=0.5, centered=True),
    "ftrl": lambda: optimizers.Ftrl(),
    "adafactor": lambda: optimizers.Adafactor(),
    "ema": lambda: optimizers.Adam(use_ema=True),
    "loss_scale": lambda: tf_keras.mixed_precision.LossScaleOptimizer(optimizers.Adam()),
    "legacy_adam": lambda: optimizers.legacy.Adam(),
    "legacy_adagrad": lambda: optimizers.legacy.Adagrad(),
    "legacy_rmsprop": lambda: optimizers.legacy.RMSprop(momentum=0.5, centered=True),
    "legacy_loss_scale": lambda: tf_keras.mixed_precision.LossScaleOptimizer(
        optimizers.legacy.Adam()
    ),
}
