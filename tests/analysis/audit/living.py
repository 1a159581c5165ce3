"""Runs that live programs resume, rightly and wrongly: Keras 3, Keras 2 and sessions of TF 1.

Each makes ten epochs, or fewer, of a small model, in two processes' worth of objects: what is
made anew in the middle begins as a program does that was started again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EPOCH = 25
"""Steps of an epoch; the second part of a run begins after the fifth save."""
SEAM = "ckpt-6"
"""The checkpoint after the seam, in every run that has one."""


def data() -> tuple[Any, Any]:
    """Give inputs and classes that can be learned."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(EPOCH * 16, 12)).astype(np.float32)
    return inputs, (inputs @ rng.normal(size=(12, 4))).argmax(1)


class Program:
    """A program with a model and an optimizer, in Keras 3 or 2."""

    def __init__(
        self, keras: Any, folder: Path, seed: int, kind: str = "Adam", weights: Any = None
    ) -> None:
        """Build it, with these weights if any."""
        import tensorflow as tf

        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        layers = keras.layers
        self.model = keras.Sequential(
            [
                keras.Input((12,)),
                layers.Dense(24, activation="relu", name="hidden"),
                layers.BatchNormalization(name="norm"),
                layers.Dense(4, name="head"),
            ]
        )
        self.folder = folder
        if weights is not None:
            self.model.set_weights(weights)
        self.optimizer = getattr(keras.optimizers, kind)(0.01)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(self.optimizer, loss)
        self.inputs, self.classes = data()
        self.saved = tf.train.Checkpoint(model=self.model, optimizer=self.optimizer)

    def train(self, first: int, last: int) -> None:
        """Make these epochs, and save after each."""
        for epoch in range(first, last + 1):
            self.model.fit(self.inputs, self.classes, batch_size=16, verbose=0)
            self.saved.write(str(self.folder / f"ckpt-{epoch}"))

    def restore(self, epoch: int) -> None:
        """Bring a checkpoint back."""
        self.saved.read(str(self.folder / f"ckpt-{epoch}")).expect_partial()


def _right(keras: Any, folder: Path) -> None:
    Program(keras, folder, 1).train(1, 5)
    second = Program(keras, folder, 2)
    second.restore(5)
    second.train(6, 9)


def _without_optimizer(keras: Any, folder: Path) -> None:
    first = Program(keras, folder, 1)
    first.train(1, 5)
    Program(keras, folder, 2, weights=first.model.get_weights()).train(6, 9)


def _other_rate(keras: Any, folder: Path) -> None:
    Program(keras, folder, 1).train(1, 5)
    second = Program(keras, folder, 2)
    second.restore(5)
    second.optimizer.learning_rate.assign(0.001)
    second.train(6, 9)


def _from_older(keras: Any, folder: Path) -> None:
    Program(keras, folder, 1).train(1, 5)
    second = Program(keras, folder, 2)
    second.restore(3)
    second.train(6, 8)


def _iterations_reset(keras: Any, folder: Path) -> None:
    Program(keras, folder, 1).train(1, 5)
    second = Program(keras, folder, 2)
    second.restore(5)
    second.optimizer.iterations.assign(0)
    second.train(6, 9)


def _new_model(keras: Any, folder: Path) -> None:
    Program(keras, folder, 1).train(1, 5)
    Program(keras, folder, 7).train(6, 9)


def _other_optimizer(keras: Any, folder: Path) -> None:
    first = Program(keras, folder, 1)
    first.train(1, 5)
    Program(keras, folder, 2, "RMSprop", first.model.get_weights()).train(6, 9)


def _saved_twice(keras: Any, folder: Path) -> None:
    first = Program(keras, folder, 1)
    first.train(1, 5)
    first.saved.write(str(folder / "ckpt-6"))
    first.train(7, 8)


KERAS_RUNS: dict[str, tuple[Callable[[Any, Any], None], tuple[str, ...]]] = {
    "right": (_right, ()),
    "without_optimizer": (_without_optimizer, ("optimizer-reset",)),
    "other_rate": (_other_rate, ("rate-jump",)),
    "from_older": (_from_older, ("rollback",)),
    "iterations_reset": (_iterations_reset, ("iterations-reset",)),
    "new_model": (_new_model, ("other-model",)),
    "other_optimizer": (_other_optimizer, ("other-optimizer",)),
    "saved_twice": (_saved_twice, ("duplicate",)),
}
"""What makes each run, and the codes of the seams at `SEAM`."""


class Session:
    """A program of TensorFlow 1: a graph, a session, a saver."""

    def __init__(self, folder: Path, seed: int, rate: float = 0.01) -> None:
        import tensorflow as tf

        v1 = tf.compat.v1
        self.graph, self.folder = tf.Graph(), folder
        with self.graph.as_default():
            v1.set_random_seed(seed)
            inputs, classes = data()
            self.feed = v1.placeholder(tf.int64, [None])
            batch = tf.gather(tf.constant(inputs), self.feed)
            kernel = v1.get_variable("hidden/kernel", [12, 24])
            bias = v1.get_variable("hidden/bias", [24], initializer=v1.zeros_initializer())
            head = v1.get_variable("head/kernel", [24, 4])
            told = tf.gather(tf.constant(classes), self.feed)
            logits = tf.nn.relu(batch @ kernel + bias) @ head
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=told, logits=logits)
            )
            self.rate = v1.get_variable("learning_rate", initializer=rate, trainable=False)
            step = v1.train.get_or_create_global_step()
            self.train_op = v1.train.AdamOptimizer(self.rate).minimize(loss, step)
            self.step = step
            self.saver = v1.train.Saver(max_to_keep=None)
            self.weights = v1.train.Saver([kernel, bias, head, step])
            self.powers = [v for v in v1.global_variables() if "power" in v.name]
            self.session = v1.Session()
            self.session.run(v1.global_variables_initializer())

    def train(self, first: int, last: int) -> None:
        """Make these epochs, and save after each."""
        rng = np.random.default_rng(first)
        for epoch in range(first, last + 1):
            for _ in range(EPOCH):
                self.session.run(self.train_op, {self.feed: rng.integers(0, 400, 16)})
            with self.graph.as_default():
                path = str(self.folder / f"ckpt-{epoch}")
                self.saver.save(self.session, path, write_meta_graph=False)

    def restore(self, epoch: int, *, alone: bool = False) -> None:
        """Bring a checkpoint back; without the optimizer if so."""
        saver = self.weights if alone else self.saver
        with self.graph.as_default():
            saver.restore(self.session, str(self.folder / f"ckpt-{epoch}"))

    def assign(self, variable: Any, value: Any) -> None:
        """Give a variable another value."""
        with self.graph.as_default():
            variable.load(value, self.session)


def _v1_right(folder: Path) -> None:
    Session(folder, 1).train(1, 5)
    second = Session(folder, 2)
    second.restore(5)
    second.train(6, 9)


def _v1_without_optimizer(folder: Path) -> None:
    Session(folder, 1).train(1, 5)
    second = Session(folder, 2)
    second.restore(5, alone=True)
    second.train(6, 9)


def _v1_other_rate(folder: Path) -> None:
    Session(folder, 1).train(1, 5)
    second = Session(folder, 2)
    second.restore(5)
    second.assign(second.rate, 0.001)
    second.train(6, 9)


def _v1_from_older(folder: Path) -> None:
    Session(folder, 1).train(1, 5)
    second = Session(folder, 2)
    second.restore(3)
    second.train(6, 8)


def _v1_new_model(folder: Path) -> None:
    Session(folder, 1).train(1, 5)
    Session(folder, 7).train(6, 9)


SESSION_RUNS: dict[str, tuple[Callable[[Any], None], tuple[str, ...]]] = {
    "right": (_v1_right, ()),
    "without_optimizer": (_v1_without_optimizer, ("optimizer-reset",)),
    "other_rate": (_v1_other_rate, ("rate-jump",)),
    "from_older": (_v1_from_older, ("rollback",)),
    "new_model": (_v1_new_model, ("other-model",)),
}


def make_all(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Make every run, and give the codes of its seams."""
    import keras
    import tf_keras

    for library in (keras, tf_keras):
        for name, (make, codes) in KERAS_RUNS.items():
            where = folder / f"{library.__name__}_{name}"
            where.mkdir()
            make(library, where)
            yield where, codes
    for name, (make_v1, codes) in SESSION_RUNS.items():
        where = folder / f"v1_{name}"
        where.mkdir()
        make_v1(where)
        yield where, codes
