"""Live models with layers of somebody's own: optimizer, rate, loss, flags and owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")

import ckread  # noqa: E402
from ckread.model.role import Role  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

Layer: Any = keras.layers.Layer
Layer2: Any = tf_keras.layers.Layer
X, Y = np.random.default_rng(0).normal(size=(8, 4)).astype("f4"), np.zeros((8, 1), "f4")


@keras.saving.register_keras_serializable("ckread_tests")
class Mix(Layer):  # type: ignore[misc]
    """Two variables that are trained, and one that is not, all of one shape but the first."""

    def build(self, shape: Any) -> None:
        self.a = self.add_weight(shape=(shape[-1], 3), name="a")
        self.limit = self.add_weight(shape=(3,), name="limit", trainable=False)
        self.b = self.add_weight(shape=(3,), name="b")

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.a) + self.b + self.limit


class Mix2(Layer2):  # type: ignore[misc]
    """The same in Keras 2."""

    def build(self, shape: Any) -> None:
        self.a = self.add_weight(shape=(shape[-1], 3), name="a")
        self.limit = self.add_weight(shape=(3,), name="limit", trainable=False)
        self.b = self.add_weight(shape=(3,), name="b")

    def call(self, x: Any) -> Any:
        return tf.matmul(x, self.a) + self.b + self.limit


def assert_told(
    path: Path, model: Any, kind: str, rate: float | None, schedule: str | None
) -> None:
    with ckread.open(path) as checkpoint:
        found = ckread.info(checkpoint)
        slots = [v for v in checkpoint.values() if v.role is Role.SLOT]
        assert all(slot.owner is not None for slot in slots)
    trainable = sum(int(np.prod(one.shape)) for one in model.trainable_weights)
    assert (found.parameters, found.trainable_parameters) == (model.count_params(), trainable)
    assert found.training.optimizer_kind == kind
    assert found.training.iterations == 1
    assert found.training.learning_rate == (None if rate is None else pytest.approx(rate))
    is_configured = path.suffix in (".keras", ".h5") or (path / "keras_metadata.pb").is_file()
    if is_configured:
        assert (found.training.loss, found.training.metrics) == (("mse",), ("mae",))
        assert found.training.schedule == schedule


KERAS_3: dict[str, tuple[Any, str, float | None, str | None]] = {
    "adam": (lambda: keras.optimizers.Adam(), "Adam", 1e-3, None),
    "amsgrad": (lambda: keras.optimizers.Adam(amsgrad=True), "Adam with AMSGrad", 1e-3, None),
    "adamw": (lambda: keras.optimizers.AdamW(), "AdamW", 1e-3, None),
    "sgd": (lambda: keras.optimizers.SGD(0.1, momentum=0.9), "SGD with momentum", 0.1, None),
    "schedule": (
        lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
        "Adam", None, "ExponentialDecay",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KERAS_3)
def test_keras_3(name: str, tmp_path: Path) -> None:
    make, kind, rate, schedule = KERAS_3[name]
    layers = [keras.layers.Dense(3), Mix(), keras.layers.BatchNormalization(), Mix()]
    model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(1)])
    layers[0].trainable = name != "adamw"
    model.compile(make(), "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save(tmp_path / "model.h5")
    save = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save
    save(str(tmp_path / "run" / "ckpt"))
    for path in (tmp_path / "model.keras", tmp_path / "model.h5", tmp_path / "run"):
        assert_told(path, model, kind, rate, schedule)


KERAS_2: dict[str, tuple[Any, str, float | None, str | None]] = {
    "adam": (lambda o: o.Adam(), "Adam", 1e-3, None),
    "legacy amsgrad": (lambda o: o.legacy.Adam(amsgrad=True), "Adam with AMSGrad", 1e-3, None),
    "sgd": (lambda o: o.SGD(0.1, momentum=0.9), "SGD with momentum", 0.1, None),
    "schedule": (lambda o: o.Adam(o.schedules.CosineDecay(0.1, 10)), "Adam", None, "CosineDecay"),
    "scaled sgd": (
        lambda o: tf_keras.mixed_precision.LossScaleOptimizer(o.SGD(0.1, momentum=0.9)),
        "SGD with momentum", 0.1, None,
    ),
    "scaled rmsprop": (
        lambda o: tf_keras.mixed_precision.LossScaleOptimizer(o.RMSprop()), "RMSprop", 1e-3, None,
    ),
    "scaled legacy": (
        lambda o: tf_keras.mixed_precision.LossScaleOptimizer(o.legacy.Adam()), "Adam", 1e-3, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", KERAS_2)
def test_keras_2(name: str, tmp_path: Path) -> None:
    make, kind, rate, schedule = KERAS_2[name]
    inputs = tf_keras.Input((4,))
    outputs = inputs
    for layer in (
        tf_keras.layers.Dense(3, name="d"), Mix2(name="mix"),
        tf_keras.layers.BatchNormalization(name="bn"), tf_keras.layers.Dense(1, name="o"),
    ):  # fmt: skip
        outputs = layer(outputs)
    model = tf_keras.Model(inputs, outputs)
    model.compile(make(tf_keras.optimizers), "mse", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    with pytest.warns(UserWarning, match="legacy"):
        model.save(tmp_path / "model.h5")
    model.save(tmp_path / "saved", save_format="tf")
    save = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save
    save(str(tmp_path / "run" / "ckpt"))
    paths = [tmp_path / "model.h5", tmp_path / "saved", tmp_path / "run"]
    if "legacy" not in name:  # whose state Keras 2 leaves out of an archive
        model.save(tmp_path / "model.keras")
        paths.append(tmp_path / "model.keras")
    for path in paths:
        # Keras 2 makes the slots of momentum without it too: only a configuration tells.
        is_open = path.name == "run" and kind.startswith("SGD")
        assert_told(path, model, "SGD" if is_open else kind, rate, schedule)


V1 = {
    "Adam": lambda: tf.compat.v1.train.AdamOptimizer(0.1),
    "RMSProp": lambda: tf.compat.v1.train.RMSPropOptimizer(0.1, momentum=0.9),
    "Momentum": lambda: tf.compat.v1.train.MomentumOptimizer(0.1, 0.9),
    "Ftrl": lambda: tf.compat.v1.train.FtrlOptimizer(0.1),
}


@pytest.mark.parametrize("kind", V1)
def test_optimizers_of_tensorflow_1_in_object_based_files(kind: str, tmp_path: Path) -> None:
    modules = [tf.Module(), tf.Module()]
    optimizers = [V1[kind](), V1[kind]()]
    for module, optimizer in zip(modules, optimizers, strict=True):
        module.layers_ = [tf.Variable(X[:4, :3], name="net/dense/kernel") for _ in range(2)]
        optimizer.apply_gradients([(tf.ones_like(one), one) for one in module.layers_])
    a, b = modules
    tf.train.Checkpoint(a=a, b=b, a_opt=optimizers[0], b_opt=optimizers[1]).save(
        str(tmp_path / "ckpt")
    )
    with ckread.open(tmp_path) as checkpoint:
        found = ckread.info(checkpoint)
        weights = [v.name for v in checkpoint.values() if v.role is Role.WEIGHT]
    assert weights == [f"{side}/layers_/{n}/kernel" for side in "ab" for n in (0, 1)]
    assert (found.parameters, found.trainable_parameters) == (48, 48)
    assert [one.kind for one in found.training.optimizers] == [kind, kind]


def test_two_optimizers_keep_their_own_steps_and_rates(tmp_path: Path) -> None:
    models = [keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]) for _ in range(2)]
    first, second = keras.optimizers.Adam(1e-3), keras.optimizers.SGD(1e-2, momentum=0.9)
    for optimizer, model, n_steps in ((first, models[0], 3), (second, models[1], 1)):
        for _ in range(n_steps):
            optimizer.apply([tf.ones_like(one) for one in model.trainable_variables],
                            model.trainable_variables)  # fmt: skip
    tf.train.Checkpoint(actor=models[0], critic=models[1], a=first, c=second).save(
        str(tmp_path / "ckpt")
    )
    state = ckread.info(tmp_path).training
    assert [(one.name, one.kind, one.iterations) for one in state.optimizers] == [
        ("a", "Adam", 3),
        ("c", "SGD with momentum", 1),
    ]
    assert [round(one.learning_rate or 0, 6) for one in state.optimizers] == [1e-3, 1e-2]
    assert (state.iterations, state.learning_rate) == (None, None)


def test_low_rank_factors_leave_the_kernel_untrained(tmp_path: Path) -> None:
    layer = keras.layers.Dense(4)
    model = keras.Sequential([keras.Input((4,)), layer])
    layer.enable_lora(2)
    model.compile("adam", "mse")
    model.fit(X, np.zeros((8, 4), "f4"), verbose=0)
    model.save(tmp_path / "model.keras")
    found = ckread.info(tmp_path / "model.keras")
    # The factors are merged into the kernel of the file, which training does not move.
    assert (found.parameters, found.trainable_parameters) == (20, 4)


def test_layers_of_a_saved_model_have_the_names_of_keras_metadata(tmp_path: Path) -> None:
    norm = tf_keras.layers.Normalization(name="age_norm")
    norm.adapt(X)
    lookup = tf_keras.layers.StringLookup(name="breed", output_mode="multi_hot")
    lookup.adapt(np.array([["a"], ["b"]]))
    age, word = tf_keras.Input((4,)), tf_keras.Input((1,), dtype=tf.string)
    both = tf_keras.layers.Concatenate()([norm(age), lookup(word)])
    model = tf_keras.Model([age, word], tf_keras.layers.Dense(2, name="head")(both))
    model.save(tmp_path / "model", save_format="tf")
    with ckread.open(tmp_path / "model") as checkpoint:
        names = [v.name for v in checkpoint.values() if v.role.is_parameter]
        tables = [v.name for v in checkpoint.values() if v.role is Role.TABLE]
        found = ckread.info(checkpoint)
    assert {"age_norm/mean", "age_norm/variance", "age_norm/count", "head/kernel"} <= set(names)
    assert all(name.startswith("breed/") for name in tables)
    assert [(layer.name, layer.class_name) for layer in found.layers if layer.parameters] == [
        ("age_norm", "Normalization"),
        ("head", "Dense"),
    ]
    assert found.parameters == model.count_params()
