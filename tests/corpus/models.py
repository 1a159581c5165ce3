"""Live Keras 3 models of every kind whose checkpoints `ckread` must understand.

Each builder gives an uncompiled model that is small enough to train in an instant.
`INPUTS` says what one sample of its input looks like where it is not an image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = (12, 12, 3)
N_CLASSES = 5


def functional() -> Any:
    """Convolution, batch norm and a dense head."""
    image = layers.Input(IMAGE)
    hidden = layers.Conv2D(4, 3, name="stem")(image)
    hidden = layers.BatchNormalization(name="norm")(hidden)
    hidden = layers.Dropout(0.1, name="drop")(hidden)
    return keras.Model(image, _head(layers.Flatten()(hidden)), name="net")


def frozen() -> Any:
    """The functional model, its first layer frozen after it was built."""
    model = functional()
    model.get_layer("stem").trainable = False
    return model


def sequential() -> Any:
    """The same as a Sequential with a declared input."""
    return keras.Sequential([layers.Input(IMAGE), *_stack()])


def lazy_sequential() -> Any:
    """A Sequential that is built by its first call."""
    return keras.Sequential(_stack())


def subclassed() -> Any:
    """Layers as attributes, built by the first call: full names are useless."""
    return Subclassed()


def subclassed_with_build() -> Any:
    """Layers as attributes, built explicitly: full names are true."""
    return SubclassedWithBuild(name="sb")


def subclassed_list() -> Any:
    """Layers in a Python list: only the optimizer stores them."""
    return SubclassedList()


def nested_subclassed() -> Any:
    """Blocks of layers within a subclassed model."""
    return NestedSubclassed()


def nested_functional() -> Any:
    """A functional encoder and a Sequential within a functional model."""
    image = layers.Input(IMAGE)
    encoder = keras.Model(image, layers.Conv2D(4, 3, name="stem")(image), name="encoder")
    image = layers.Input(IMAGE)
    mlp = keras.Sequential(
        [layers.Flatten(), layers.Dense(7, name="fc1"), layers.Dense(N_CLASSES, name="fc2")],
        name="mlp",
    )
    return keras.Model(image, mlp(encoder(image)), name="outer")


def twin_towers() -> Any:
    """Two lazily built Sequentials of the same name and layer names as attributes."""
    return TwinTowers()


def tied_layer() -> Any:
    """One layer called twice in a functional model."""
    image = layers.Input(IMAGE)
    flat = layers.Flatten()(image)
    dense = layers.Dense(N_CLASSES, name="shared")
    return keras.Model(image, layers.Add()([dense(flat), dense(flat)]))


def tied_attribute() -> Any:
    """One layer under two attributes of a subclassed model."""
    return TiedAttribute()


def lstm() -> Any:
    """A recurrent layer, whose weights belong to its cell."""
    series = layers.Input((7, 3))
    return keras.Model(series, _head(layers.LSTM(4, name="rnn")(series)))


def bidirectional() -> Any:
    """A wrapper that copies its layer."""
    series = layers.Input((7, 3))
    return keras.Model(
        series, _head(layers.Bidirectional(layers.GRU(4, name="g"), name="bi")(series))
    )


def attention() -> Any:
    """Multi-head attention, whose weights lie in layers of the layer."""
    series = layers.Input((7, 8))
    hidden = layers.MultiHeadAttention(2, 4, name="att")(series, series)
    hidden = layers.LayerNormalization(name="ln")(hidden)
    return keras.Model(series, _head(layers.GlobalAveragePooling1D()(hidden)))


def normalization() -> Any:
    """A layer with adapted mean, variance and an integer count."""
    vector = layers.Input((6,))
    scale = layers.Normalization(name="scale")
    scale.adapt(np.random.default_rng(0).random((20, 6), dtype=np.float32))
    return keras.Model(vector, _head(scale(vector)))


def spectral() -> Any:
    """An embedding and a spectrally normalised layer with a power-iteration vector."""
    tokens = layers.Input((7,), dtype="int32")
    hidden = layers.Embedding(20, 8, name="emb")(tokens)
    hidden = layers.SpectralNormalization(layers.Dense(8, name="sn"), name="spec")(hidden)
    return keras.Model(tokens, _head(layers.GlobalAveragePooling1D()(hidden)))


def time_distributed() -> Any:
    """A wrapped layer."""
    series = layers.Input((7, 3))
    hidden = layers.TimeDistributed(layers.Dense(4, name="each"), name="td")(series)
    return keras.Model(series, _head(layers.Flatten()(hidden)))


def _head(hidden: Any) -> Any:
    return layers.Dense(N_CLASSES, name="head")(hidden)


def _stack() -> list[Any]:
    return [
        layers.Conv2D(4, 3, name="stem"),
        layers.BatchNormalization(name="norm"),
        layers.Flatten(),
        layers.Dense(N_CLASSES, name="head"),
    ]


@keras.saving.register_keras_serializable("corpus")
class Subclassed(keras.Model):  # type: ignore[misc]
    """Attribute and layer names that differ."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.a = layers.Conv2D(4, 3, name="stem")
        self.norm = layers.BatchNormalization(name="norm")
        self.flat = layers.Flatten()
        self.head = layers.Dense(N_CLASSES)

    def call(self, image: Any) -> Any:
        return self.head(self.flat(self.norm(self.a(image))))


@keras.saving.register_keras_serializable("corpus")
class SubclassedWithBuild(keras.Model):  # type: ignore[misc]
    """Builds its layers itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.a = layers.Conv2D(4, 3, name="alpha")
        self.flat = layers.Flatten()
        self.b = layers.Dense(N_CLASSES, name="beta")

    def build(self, shape: Any) -> None:
        self.a.build(shape)
        self.b.build((None, 400))

    def call(self, image: Any) -> Any:
        return self.b(self.flat(self.a(image)))


class SubclassedList(keras.Model):  # type: ignore[misc]
    """Three blocks in a list, which TensorFlow's checkpoint does not follow."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = layers.Conv2D(4, 3)
        self.blocks = [layers.Conv2D(4, 3) for _ in range(3)]
        self.norm = layers.BatchNormalization()
        self.flat = layers.Flatten()
        self.head = layers.Dense(N_CLASSES)

    def call(self, image: Any) -> Any:
        hidden = self.stem(image)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(self.flat(self.norm(hidden)))


class Block(layers.Layer):  # type: ignore[misc]
    """A layer of layers."""

    def __init__(self, n_filters: int, **options: Any) -> None:
        super().__init__(**options)
        self.conv = layers.Conv2D(n_filters, 3)
        self.bn = layers.BatchNormalization()

    def call(self, image: Any) -> Any:
        return self.bn(self.conv(image))


class NestedSubclassed(keras.Model):  # type: ignore[misc]
    """Two blocks as attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.b1 = Block(4)
        self.b2 = Block(6, name="second")
        self.flat = layers.Flatten()
        self.head = layers.Dense(N_CLASSES)

    def call(self, image: Any) -> Any:
        return self.head(self.flat(self.b2(self.b1(image))))


class TwinTowers(keras.Model):  # type: ignore[misc]
    """Query and target tower of a retrieval model."""

    def __init__(self) -> None:
        super().__init__()
        self.q = _tower()
        self.t = _tower()
        self.flat = layers.Flatten()

    def call(self, image: Any) -> Any:
        flat = self.flat(image)
        return self.q(flat) + self.t(flat)


def _tower() -> Any:
    return keras.Sequential(
        [layers.Dense(8, name="d1"), layers.Dense(N_CLASSES, name="d2")], name="tower"
    )


class TiedAttribute(keras.Model):  # type: ignore[misc]
    """One Dense layer, reached as `first` and as `again`."""

    def __init__(self) -> None:
        super().__init__()
        self.flat = layers.Flatten()
        self.first = layers.Dense(8, name="shared")
        self.again = self.first
        self.head = layers.Dense(N_CLASSES, name="out")

    def call(self, image: Any) -> Any:
        flat = self.flat(image)
        return self.head(self.first(flat) + self.again(flat))


MODELS: dict[str, Callable[[], Any]] = {
    builder.__name__: builder
    for builder in (
        functional, frozen, sequential, lazy_sequential, subclassed, subclassed_with_build,
        subclassed_list, nested_subclassed, nested_functional, twin_towers, tied_layer,
        tied_attribute, lstm, bidirectional, attention, normalization, spectral, time_distributed,
    )
}  # fmt: skip

INPUTS: dict[str, tuple[int, ...]] = {
    "lstm": (7, 3), "bidirectional": (7, 3), "time_distributed": (7, 3),
    "attention": (7, 8), "normalization": (6,), "spectral": (7,),
}  # fmt: skip
