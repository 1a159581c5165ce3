"""Small programs whose checkpoints are restored into each other; TensorFlow is imported here.

Each builder gives a `tf.train.Checkpoint` and, where there is one, its Keras model. Every
variable of it holds random numbers of its own, so that a value tells where it came from.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras
    import numpy as np
    import tensorflow as tf
    import tf_keras

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.get_logger().setLevel("ERROR")
_RANDOM = np.random.default_rng(7)
_X = np.ones((8, 4), "f")


def scramble(checkpoint: Any) -> None:
    """Give every variable that a checkpoint would save numbers of its own."""
    for one in _variables(checkpoint):
        dtype, shape = tf.as_dtype(one.dtype), tuple(one.shape)
        if dtype.is_floating:
            one.assign(_RANDOM.standard_normal(shape).astype(dtype.as_numpy_dtype))
        elif dtype.is_integer:
            one.assign(_RANDOM.integers(1, 90, shape).astype(dtype.as_numpy_dtype))


def _variables(root: Any) -> list[Any]:
    from tensorflow.python.checkpoint.graph_view import ObjectGraphView
    from tensorflow.python.checkpoint.util import list_objects

    found = list_objects(ObjectGraphView(root))
    return [one for one in found if isinstance(one, (tf.Variable, keras.Variable))]


def fit(model: Any, optimizer: Any) -> Any:
    model.compile(optimizer, "mse")
    model.fit(_X, np.ones((8, model(_X).shape[-1]), "f"), epochs=1, verbose=0)
    return model


def functional(
    *,
    width: int = 8,
    out: int = 3,
    names: tuple[str, str, str] = ("a", "norm", "head"),
    extra: bool = False,
    norm: bool = True,
    auto: bool = False,
    library: Any = keras,
) -> Any:
    layers = library.layers

    def named(name: str) -> dict[str, str]:
        return {} if auto else {"name": name}

    inputs = library.Input((4,), name=None if auto else "in")
    x = layers.Dense(width, **named(names[0]))(inputs)
    if extra:
        x = layers.Dense(width, **named("extra"))(x)
    if norm:
        x = layers.BatchNormalization(**named(names[1]))(x)
    return library.Model(inputs, layers.Dense(out, **named(names[2]))(x))


def tower(
    n: int = 4, *, inserted: int | None = None, names: str = "block", library: Any = keras
) -> Any:
    layers = library.layers
    inputs = library.Input((4,), name="in")
    x = inputs
    for i in range(n):
        if i == inserted:
            x = layers.Dense(4, name="bottleneck")(x)
            x = layers.BatchNormalization(name="bottleneck_bn")(x)
        x = layers.Dense(4, name=f"{names}{i}")(x)
        x = layers.BatchNormalization(name=f"{names}{i}_bn")(x)
    return library.Model(inputs, layers.Dense(3, name="out")(x))


def nested(inner_name: str = "inner", *, flat: bool = False, library: Any = keras) -> Any:
    layers = library.layers
    inner_in = library.Input((4,), name="inner_in")
    first, second = layers.Dense(5, name="one"), layers.Dense(4, name="two")
    inner = library.Model(inner_in, second(first(inner_in)), name=inner_name)
    inputs = library.Input((4,), name="in")
    x = second(first(inputs)) if flat else inner(inputs)
    return library.Model(inputs, layers.Dense(3, name="head")(x))


def shared(is_shared: bool = True, *, library: Any = keras) -> Any:
    layers = library.layers
    inputs = library.Input((4,), name="in")
    one = layers.Dense(4, name="one")
    two = one if is_shared else layers.Dense(4, name="two")
    return library.Model(inputs, layers.Dense(3, name="head")(two(one(inputs))))


def recurrent(kind: str = "LSTM", *, library: Any = keras) -> Any:
    layers = library.layers
    inputs = library.Input((5, 4), name="in")
    x = getattr(layers, kind)(6, name="rnn")(inputs)
    return library.Model(inputs, layers.Dense(3, name="head")(x))


class Sub(keras.Model):  # type: ignore[misc]
    """A subclassed model whose layers are attributes, a list or a dict."""

    def __init__(self, how: str = "plain") -> None:
        super().__init__()
        self.enc = keras.layers.Dense(8, name="enc")
        dec = keras.layers.Dense(3, name="dec")
        if how == "renamed":
            self.decoder = dec
        elif how == "list":
            self.parts: Any = [dec, keras.layers.Dense(3, name="dec2")]
        elif how == "dict":
            self.parts = {"dec": dec, "dec2": keras.layers.Dense(3, name="dec2")}
        elif how == "twice":
            self.dec = self.again = dec
        else:
            self.dec = dec
        self.how = how

    def call(self, x: Any) -> Any:
        x = self.enc(x)
        if self.how == "renamed":
            return self.decoder(x)
        if self.how == "list":
            return self.parts[1](self.parts[0](x))
        if self.how == "dict":
            return self.parts["dec2"](self.parts["dec"](x))
        return self.dec(x)


def sub(how: str = "plain", *, built: bool = True, optimizer: Any = None) -> Any:
    model = Sub(how)
    if optimizer is not None:
        return fit(model, optimizer)
    if built:
        model(_X)
    return model


class Module(tf.Module):  # type: ignore[misc]
    """A tf.Module with shared or own variables, in attributes, lists and dicts."""

    def __init__(self, how: str = "plain") -> None:
        super().__init__()
        self.x = tf.Variable(tf.ones([3]), name="x")
        self.y = self.x if how == "shared" else tf.Variable(tf.zeros([3]), name="y")
        items = [tf.Variable(1.0, name="l0"), tf.Variable(2.0, name="l1")]
        if how == "longer":
            items.insert(0, tf.Variable(3.0, name="l2"))
        self.items = tuple(items) if how == "tuple" else items
        pair = {"p": tf.Variable([1, 2], name="p"), "q": tf.Variable([2.0], name="q")}
        if how == "dict":
            pair["r"] = pair.pop("q")
        self.pair = pair


class Linear(tf.Module):  # type: ignore[misc]
    """As Sonnet has it: variables are made on the first call."""

    def __init__(self, size: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.size = size

    @tf.Module.with_name_scope  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> Any:
        if not hasattr(self, "w"):
            self.w = tf.Variable(tf.ones([x.shape[-1], self.size]), name="w")
            self.b = tf.Variable(tf.zeros([self.size]), name="b")
        return x @ self.w + self.b


class Stack(tf.Module):  # type: ignore[misc]
    """Layers in a list, as an MLP of Sonnet."""

    def __init__(self, sizes: tuple[int, ...], *, built: bool = True) -> None:
        super().__init__(name="mlp")
        self.layers = [Linear(size, f"linear_{i}") for i, size in enumerate(sizes)]
        if built:
            x = tf.ones([1, 4])
            for layer in self.layers:
                x = layer(x)


def legacy(optimizer: Any, *, hidden: int = 8, extra: bool = False, trained: bool = True) -> Any:
    layers = tf_keras.layers
    parts = [layers.Dense(hidden, input_shape=(4,), name="a"), layers.Dense(3, name="b")]
    if extra:
        parts.insert(1, layers.Dense(hidden, name="extra"))
    model = tf_keras.Sequential(parts)
    if optimizer is None or not trained:
        model.build((None, 4))
        if optimizer is not None:
            model.compile(optimizer, "mse")
        return model
    return fit(model, optimizer)


def v1(kind: str, *, train: bool = True, scope: str = "") -> Any:
    weight = tf.Variable(tf.ones([3]), name=f"{scope}w")
    other = tf.Variable(tf.ones([3]), name=f"{scope}v")
    classes = tf.compat.v1.train
    optimizer = {
        "adam": lambda: classes.AdamOptimizer(0.1),
        "momentum": lambda: classes.MomentumOptimizer(0.1, 0.9),
        "sgd": lambda: classes.GradientDescentOptimizer(0.1),
        "rmsprop": lambda: classes.RMSPropOptimizer(0.1),
    }[kind]()
    if train:
        optimizer.minimize(lambda: tf.reduce_sum(weight * weight + other), var_list=[weight, other])
    return tf.train.Checkpoint(w=weight, v=other, optimizer=optimizer)


def checkpoint(model: Any, *, with_optimizer: bool = True, **objects: Any) -> Any:
    parts = {"model": model, **objects}
    if with_optimizer and getattr(model, "optimizer", None) is not None:
        parts["optimizer"] = model.optimizer
    return tf.train.Checkpoint(**parts)


def _adam(**settings: Any) -> Any:
    return checkpoint(fit(functional(**settings), keras.optimizers.Adam()))


def _table(n: int = 3) -> Any:
    table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, 0.0)
    table.insert(tf.range(n, dtype=tf.int64), tf.range(n, dtype=tf.float32) + 0.5)
    return table


def _tables(n: int, *, other: bool = False) -> Any:
    """Give lookup tables of so many entries."""
    table = _table(n)
    words = tf.lookup.experimental.DenseHashTable(
        tf.string, tf.int64, -1, empty_key="", deleted_key="-"
    )
    words.insert(tf.constant(["a", "b"]), tf.constant([n, 2 * n], tf.int64))
    parts = {"table": table, "other" if other else "words": words}
    return tf.train.Checkpoint(a=tf.Variable([1.0]), **parts)


def _beside(optimizer: Any, **settings: Any) -> Any:
    """Give a model as root, with its optimizer attached, and not compiled with it."""
    model = functional(**settings)
    optimizer.build(model.trainable_variables)
    return tf.train.Checkpoint(model, optimizer=optimizer)


def _compiled(model: Any, optimizer: Any) -> Any:
    return tf.train.Checkpoint(model=fit(model, optimizer))


_OLD = tf_keras.optimizers.legacy
PROGRAMS: dict[str, Callable[[], Any]] = {
    "plain": lambda: checkpoint(functional()),
    "extra": lambda: checkpoint(functional(extra=True)),
    "no_norm": lambda: checkpoint(functional(norm=False)),
    "wide": lambda: checkpoint(functional(width=16)),
    "five": lambda: checkpoint(functional(out=5)),
    "renamed": lambda: checkpoint(functional(names=("p", "q", "r"))),
    "swapped": lambda: checkpoint(functional(names=("head", "norm", "a"))),
    "auto": lambda: checkpoint(functional(auto=True)),
    "auto_extra": lambda: checkpoint(functional(auto=True, extra=True)),
    "net": lambda: tf.train.Checkpoint(net=functional()),
    "root": lambda: tf.train.Checkpoint(functional()),
    "root_adam": lambda: _beside(keras.optimizers.Adam()),
    "root_momentum": lambda: _beside(keras.optimizers.SGD(0.1, momentum=0.9)),
    "root_extra": lambda: _beside(keras.optimizers.Adam(), extra=True),
    "root_old": lambda: (lambda m: tf.train.Checkpoint(m, optimizer=m.optimizer))(
        legacy(_OLD.Adam())
    ),
    "root_module": lambda: tf.train.Checkpoint(Module(), step=tf.Variable(3)),
    "in_list": lambda: tf.train.Checkpoint(parts=[functional(), tf.Variable(3.0)]),
    "in_dict": lambda: tf.train.Checkpoint(parts={"model": functional(), "n": tf.Variable(3)}),
    "adam": lambda: _adam(),
    "adam_extra": lambda: _adam(extra=True),
    "adam_five": lambda: _adam(out=5),
    "adam_renamed": lambda: _adam(names=("p", "q", "r")),
    "adam_net": lambda: (lambda m: tf.train.Checkpoint(net=m, optimizer=m.optimizer))(
        fit(functional(), keras.optimizers.Adam())
    ),
    "adam_opt": lambda: (lambda m: tf.train.Checkpoint(model=m, opt=m.optimizer))(
        fit(functional(), keras.optimizers.Adam())
    ),
    "adam_apart": lambda: tf.train.Checkpoint(
        model=functional(), optimizer=fit(functional(), keras.optimizers.Adam()).optimizer
    ),
    "compiled": lambda: _compiled(functional(), keras.optimizers.Adam()),
    "adamw": lambda: checkpoint(fit(functional(), keras.optimizers.AdamW())),
    "sgd": lambda: checkpoint(fit(functional(), keras.optimizers.SGD(0.1))),
    "momentum": lambda: checkpoint(fit(functional(), keras.optimizers.SGD(0.1, momentum=0.9))),
    "rmsprop": lambda: checkpoint(fit(functional(), keras.optimizers.RMSprop(0.1))),
    "untrained_adam": lambda: tf.train.Checkpoint(
        model=functional(), optimizer=keras.optimizers.Adam()
    ),
    "tower": lambda: checkpoint(tower()),
    "tower_inserted": lambda: checkpoint(tower(inserted=2)),
    "tower_renamed": lambda: checkpoint(tower(names="stage")),
    "nested": lambda: checkpoint(nested()),
    "nested_flat": lambda: checkpoint(nested(flat=True)),
    "nested_renamed": lambda: checkpoint(nested("other")),
    "shared": lambda: checkpoint(shared()),
    "unshared": lambda: checkpoint(shared(False)),
    "lstm": lambda: checkpoint(recurrent()),
    "gru": lambda: checkpoint(recurrent("GRU")),
    "sub": lambda: checkpoint(sub()),
    "sub_renamed": lambda: checkpoint(sub("renamed")),
    "sub_list": lambda: checkpoint(sub("list")),
    "sub_dict": lambda: checkpoint(sub("dict")),
    "sub_twice": lambda: checkpoint(sub("twice")),
    "sub_unbuilt": lambda: checkpoint(sub(built=False)),
    "sub_sgd": lambda: checkpoint(sub(optimizer="sgd")),
    "module": lambda: tf.train.Checkpoint(root=Module()),
    "module_shared": lambda: tf.train.Checkpoint(root=Module("shared")),
    "module_longer": lambda: tf.train.Checkpoint(root=Module("longer")),
    "module_tuple": lambda: tf.train.Checkpoint(root=Module("tuple")),
    "module_dict": lambda: tf.train.Checkpoint(root=Module("dict")),
    "stack": lambda: tf.train.Checkpoint(net=Stack((6, 3))),
    "stack_deep": lambda: tf.train.Checkpoint(net=Stack((6, 6, 3))),
    "stack_unbuilt": lambda: tf.train.Checkpoint(net=Stack((6, 3), built=False)),
    "stack_other": lambda: tf.train.Checkpoint(model=Stack((6, 3))),
    "old_adam": lambda: checkpoint(legacy(_OLD.Adam())),
    "old_adam_wide": lambda: checkpoint(legacy(_OLD.Adam(), hidden=16)),
    "old_adam_extra": lambda: checkpoint(legacy(_OLD.Adam(), extra=True)),
    "old_adam_fresh": lambda: checkpoint(legacy(_OLD.Adam(), trained=False)),
    "old_sgd": lambda: checkpoint(legacy(_OLD.SGD(0.1))),
    "old_momentum": lambda: checkpoint(legacy(_OLD.SGD(0.1, momentum=0.9))),
    "old_model": lambda: checkpoint(legacy(None)),
    "new_adam": lambda: checkpoint(legacy(tf_keras.optimizers.Adam())),
    "new_sgd": lambda: checkpoint(legacy(tf_keras.optimizers.SGD(0.1))),
    "v1_adam": lambda: v1("adam"),
    "v1_adam_fresh": lambda: v1("adam", train=False),
    "v1_momentum": lambda: v1("momentum"),
    "v1_rmsprop": lambda: v1("rmsprop"),
    "float32": lambda: tf.train.Checkpoint(a=tf.Variable([1.0]), b=tf.Variable(2.0)),
    "float64": lambda: tf.train.Checkpoint(
        a=tf.Variable([1.0], dtype="float64"), b=tf.Variable(2.0)
    ),
    "reshaped": lambda: tf.train.Checkpoint(a=tf.Variable([[1.0]]), b=tf.Variable(2.0)),
    "open_shape": lambda: tf.train.Checkpoint(a=tf.Variable([1.0]), c=tf.Variable(2.0)),
    "nothing_alike": lambda: tf.train.Checkpoint(x=tf.Variable([1.0, 2.0])),
    "object_for_value": lambda: tf.train.Checkpoint(
        a=tf.train.Checkpoint(a=tf.Variable([1.0])), b=tf.Variable(2.0)
    ),
    "python_state": lambda: tf.train.Checkpoint(
        a=tf.Variable([1.0]), b=tf.train.Checkpoint(n=tf.Variable(1))
    ),
    "strings": lambda: tf.train.Checkpoint(a=tf.Variable("text"), b=tf.Variable(2.0)),
    "a_table": lambda: tf.train.Checkpoint(a=_table(), b=tf.Variable(2.0)),
    "an_iterator": lambda: tf.train.Checkpoint(
        a=iter(tf.data.Dataset.range(3)), b=tf.Variable(2.0)
    ),
    "an_object": lambda: tf.train.Checkpoint(a=tf.train.Checkpoint(), b=tf.Variable(2.0)),
    "nothing": tf.train.Checkpoint,
    "tables": lambda: _tables(3),
    "other_tables": lambda: _tables(5, other=True),
    "generator": lambda: tf.train.Checkpoint(
        a=tf.Variable([1.0]), g=tf.random.Generator.from_seed(3)
    ),
}

PAIRS: tuple[tuple[str, str], ...] = (
    ("plain", "plain"), ("plain", "extra"), ("extra", "plain"), ("plain", "no_norm"),
    ("no_norm", "plain"), ("plain", "wide"), ("plain", "five"), ("plain", "renamed"),
    ("plain", "swapped"), ("auto", "auto"), ("auto", "auto_extra"), ("auto_extra", "auto"),
    ("plain", "net"), ("net", "plain"), ("plain", "root"), ("root", "plain"), ("root", "root"),
    ("plain", "in_list"), ("in_list", "in_list"), ("in_dict", "in_dict"), ("in_list", "in_dict"),
    ("adam", "adam"), ("adam", "plain"), ("plain", "adam"), ("adam", "adam_extra"),
    ("adam_extra", "adam"), ("adam", "adam_five"), ("adam", "adam_renamed"),
    ("adam", "adam_net"), ("adam", "adam_opt"), ("adam", "adam_apart"), ("adam", "compiled"),
    ("compiled", "adam"), ("compiled", "plain"), ("adam", "adamw"), ("adam", "sgd"),
    ("adam", "momentum"), ("momentum", "adam"), ("adam", "rmsprop"), ("sgd", "adam"),
    ("adam", "untrained_adam"), ("untrained_adam", "adam"), ("tower", "tower_inserted"),
    ("tower_inserted", "tower"), ("tower", "tower_renamed"), ("nested", "nested"),
    ("nested", "nested_flat"), ("nested_flat", "nested"), ("nested", "nested_renamed"),
    ("shared", "unshared"), ("unshared", "shared"), ("shared", "shared"), ("lstm", "lstm"),
    ("lstm", "gru"), ("gru", "lstm"), ("sub", "sub"), ("sub", "sub_renamed"),
    ("sub", "sub_list"), ("sub_list", "sub_dict"), ("sub_dict", "sub_dict"),
    ("sub", "sub_twice"), ("sub_twice", "sub"), ("sub", "sub_unbuilt"), ("sub_unbuilt", "sub"),
    ("sub_sgd", "sub"), ("sub", "sub_sgd"), ("module", "module"), ("module", "module_shared"),
    ("module_shared", "module"), ("module", "module_longer"), ("module_longer", "module"),
    ("module", "module_tuple"), ("module", "module_dict"), ("stack", "stack"),
    ("stack", "stack_deep"), ("stack_deep", "stack"), ("stack", "stack_unbuilt"),
    ("stack_unbuilt", "stack"), ("stack", "stack_other"), ("old_adam", "old_adam"),
    ("old_adam", "old_adam_wide"), ("old_adam", "old_adam_extra"),
    ("old_adam", "old_adam_fresh"), ("old_adam", "old_sgd"), ("old_adam", "old_momentum"),
    ("old_sgd", "old_adam"), ("old_momentum", "old_adam"), ("old_adam", "old_model"),
    ("old_model", "old_adam"), ("old_adam", "new_adam"), ("new_adam", "old_adam"),
    ("new_adam", "new_adam"), ("new_adam", "new_sgd"), ("old_sgd", "new_adam"),
    ("old_adam", "adam"), ("new_adam", "adam"), ("adam", "new_adam"), ("adam", "old_adam"),
    ("v1_adam", "v1_adam"), ("v1_adam", "v1_momentum"), ("v1_momentum", "v1_adam"),
    ("v1_adam", "v1_adam_fresh"), ("v1_adam", "v1_rmsprop"), ("float32", "float64"),
    ("float32", "reshaped"), ("float32", "open_shape"), ("float32", "nothing_alike"),
    ("float32", "object_for_value"), ("object_for_value", "float32"),
    ("float32", "python_state"), ("python_state", "float32"), ("float32", "strings"),
    ("strings", "strings"), ("strings", "float32"), ("generator", "generator"),
    ("root_adam", "root_adam"), ("adam", "root_adam"), ("root_adam", "adam"),
    ("root_adam", "root_momentum"), ("root_adam", "root_extra"), ("root_extra", "root_adam"),
    ("root_adam", "root"), ("root", "root_adam"), ("root_old", "root_old"),
    ("old_adam", "root_old"), ("root_old", "old_adam"), ("root_module", "root_module"),
    ("module", "root_module"), ("root_module", "module"),
    ("tables", "tables"), ("tables", "other_tables"), ("other_tables", "tables"),
    ("tables", "float32"), ("float32", "tables"),
    ("generator", "float32"), ("float32", "generator"), ("float64", "float64"),
    ("a_table", "float32"), ("float32", "a_table"), ("an_iterator", "float32"),
    ("float32", "an_iterator"), ("an_iterator", "an_iterator"), ("float32", "an_object"),
    ("float32", "nothing"), ("nothing", "float32"),
)  # fmt: skip
"""What is restored, and into which program."""


def make(name: str) -> Any:
    """Build a program anew, with numbers of its own."""
    keras.utils.set_random_seed(len(name))
    program = PROGRAMS[name]()
    scramble(program)
    return program
