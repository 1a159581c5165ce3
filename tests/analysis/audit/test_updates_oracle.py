"""The last update from one checkpoint, against w_t - w_(t-1) of live programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.audit.optimizer import optimizer, owners_of_slots
from ckread.analysis.audit.rules import hyperparameters, read_states, rule_of
from ckread.analysis.audit.updates import last_update
from ckread.model.opening import open_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

RECOMPUTED: dict[str, dict[str, Any]] = {
    "Adam": {}, "AdamW": {}, "Adamax": {}, "Lion": {}, "SGD": {"momentum": 0.9},
    "RMSprop": {"momentum": 0.5}, "Adam with AMSGrad": {"amsgrad": True},
}  # fmt: skip
NOT_RECOMPUTED: dict[str, dict[str, Any]] = {
    "SGD": {}, "RMSprop": {}, "Adagrad": {}, "Adadelta": {}, "Nadam": {}, "Ftrl": {},
}  # fmt: skip


def _trained(keras: Any, make: Any, folder: Path) -> None:
    """Make eleven steps, and save before and after the last."""
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(16, activation="tanh", name="h"), layers.Dense(3)]
    )
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(64, 4)).astype(np.float32)
    targets = rng.normal(size=(64, 3)).astype(np.float32)
    model.compile(make(), "mse", run_eagerly=False)
    saved = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    for _ in range(10):
        model.train_on_batch(inputs, targets)
    saved.write(str(folder / "before"))
    model.train_on_batch(inputs, targets)
    saved.write(str(folder / "after"))


def _moved_as_recomputed(folder: Path, after: str = "after", before: str = "before") -> None:
    with open_checkpoint(folder / after) as a, open_checkpoint(folder / before) as b:
        [state] = read_states(a)
        told, rate = hyperparameters(a, state)
        audit = optimizer(a)
        assert len(audit.weights) == 4
        for name, slots in owners_of_slots(a).items():
            rule, reason = rule_of(a, state, told, rate, slots)
            assert reason is None
            now = a[name].numpy().astype(np.float64)
            true = now - b[name].numpy().astype(np.float64)
            found = last_update(rule, now, [slot.numpy().astype(np.float64) for slot in slots])
            assert found is not None
            if rule.family == "lion":  # its size alone is known
                true = abs(true)
            assert np.linalg.norm(found - true) <= 1e-4 * np.linalg.norm(true), name
            size = audit[name].update_l2
            assert size == pytest.approx(np.linalg.norm(true), rel=1e-4)


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("kind", RECOMPUTED)
def test_what_keras_did(tmp_path: Path, library: str, kind: str) -> None:
    keras = pytest.importorskip(library)
    settings = dict(RECOMPUTED[kind])
    rate = 1e-2 if kind != "Lion" else 1e-3
    name = kind.split()[0]
    _trained(keras, lambda: getattr(keras.optimizers, name)(rate, **settings), tmp_path)
    _moved_as_recomputed(tmp_path)


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
@pytest.mark.parametrize("kind", NOT_RECOMPUTED)
def test_what_is_not_kept_is_said(tmp_path: Path, library: str, kind: str) -> None:
    if (library, kind) == ("tf_keras", "SGD"):
        pytest.skip("that of Keras 2.11 keeps its last step")
    keras = pytest.importorskip(library)
    _trained(keras, lambda: getattr(keras.optimizers, kind)(1e-2), tmp_path)
    audit = optimizer(tmp_path / "after")
    [one] = audit.optimizers
    assert one.kind == kind
    assert kind in (one.reason or "")
    assert all(weight.update_ratio is None for weight in audit.weights)


@pytest.mark.parametrize("settings", [{}, {"amsgrad": True}, {"decay": 0.1}])
def test_the_optimizers_of_keras_2_before_11(tmp_path: Path, settings: dict[str, Any]) -> None:
    keras = pytest.importorskip("tf_keras")
    _trained(keras, lambda: keras.optimizers.legacy.Adam(1e-2, beta_1=0.8, **settings), tmp_path)
    _moved_as_recomputed(tmp_path)
    told = optimizer(tmp_path / "after").optimizers[0].hyperparameters
    assert told["beta_1"].value == pytest.approx(0.8)
    assert told["beta_1"].source == "checkpoint"


def test_momentum_of_keras_2_before_11(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    _trained(keras, lambda: keras.optimizers.legacy.SGD(1e-2, momentum=0.8), tmp_path)
    _moved_as_recomputed(tmp_path)


def test_a_keras_file_tells_its_settings(tmp_path: Path) -> None:
    import keras

    def saved(make: Any) -> Any:
        _trained(keras, make, tmp_path)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        model.compile(make(), "mse")
        model.train_on_batch(np.ones((8, 4)), np.ones((8, 3)))
        model.save(tmp_path / "model.keras")
        return optimizer(tmp_path / "model.keras").optimizers[0]

    one = saved(lambda: keras.optimizers.AdamW(1e-3, beta_1=0.8, weight_decay=0.01))
    told = {name: (round(h.value or 0, 6), h.source) for name, h in one.hyperparameters.items()}
    assert told["beta_1"] == (0.8, "config")
    assert told["weight_decay"] == (0.01, "config")
    assert one.reason is None
    one = saved(lambda: keras.optimizers.SGD(1e-2, momentum=0.9, nesterov=True))
    assert "Nesterov" in (one.reason or "")


@pytest.mark.parametrize("kind", ["Adam", "Momentum", "RMSProp"])
def test_a_session_of_tensorflow_1(tmp_path: Path, kind: str) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default():
        v1.set_random_seed(0)
        weights = [v1.get_variable(name, [6, 5]) for name in ("a/kernel", "b/kernel")]
        weights += [v1.get_variable(name, [5]) for name in ("a/bias", "b/bias")]
        rate = v1.get_variable("learning_rate", initializer=0.01, trainable=False)
        loss = sum(tf.reduce_mean((w - 0.3) ** 2) for w in weights)
        make = {
            "Adam": lambda: v1.train.AdamOptimizer(rate),
            "Momentum": lambda: v1.train.MomentumOptimizer(rate, 0.9),
            "RMSProp": lambda: v1.train.RMSPropOptimizer(rate, momentum=0.5),
        }
        step = v1.train.get_or_create_global_step()
        train = make[kind]().minimize(loss, step)
        saver = v1.train.Saver()
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            for _ in range(10):
                session.run(train)
            saver.save(session, str(tmp_path / "before"))
            session.run(train)
            saver.save(session, str(tmp_path / "after"))
    _moved_as_recomputed(tmp_path)
