"""Train, fill with distinct values, save, and keep what the live objects say.

Every variable gets random values of its own before it is saved, so a key of the
checkpoint is identified by its bytes, not by the rule under test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tests.corpus.models import IMAGE, INPUTS, MODELS, N_CLASSES

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Truth:
    """What the live objects say; variables are known by the bytes of their values.

    Attributes:
        paths: of each variable of the model, its `variable.path`.
        trainable: the variables that training moves.
        owners: of each slot in a list of the optimizer, the weight and the list's name.
        n_parameters: `count_params()`.
        kind: class name of the optimizer.
        iterations: of the innermost optimizer, every call that accumulates included.
        learning_rate: of the innermost optimizer; None with a schedule.
    """

    paths: dict[bytes, str]
    trainable: set[bytes]
    owners: dict[bytes, tuple[bytes, str]] = field(default_factory=dict)
    n_parameters: int = 0
    kind: str = ""
    iterations: int = 0
    learning_rate: float | None = None


def live_model(name: str) -> Any:
    """Build a model of the corpus, its weights made by one call."""
    keras.utils.clear_session()
    model = MODELS[name]()
    model(batch(name)[0])
    return model


def train(model: Any, optimizer: Any, name: str) -> None:
    """Compile and take one step."""
    model.compile(optimizer, "mse", run_eagerly=True)
    model.train_on_batch(*batch(name))


def batch(name: str) -> tuple[Any, Any]:
    """Give two samples and their targets."""
    generator = np.random.default_rng(1)
    samples = generator.random((2, *INPUTS.get(name, IMAGE)), dtype=np.float32)
    if name == "spectral":
        samples = (samples * 19).astype(np.int32)
    return samples, np.zeros((2, N_CLASSES), np.float32)


def scatter(variables: list[Any], seed: int = 0) -> None:
    """Give every variable values that no other has."""
    generator = np.random.default_rng(seed)
    for variable in variables:
        shape = tuple(variable.shape)
        if "int" in str(variable.dtype):
            variable.assign(generator.integers(1, 2**30, shape))
        elif "bool" not in str(variable.dtype):
            variable.assign(generator.normal(size=shape).astype(np.float32))


def variables_of(model: Any, optimizer: Any | None) -> list[Any]:
    """Give every variable of model and optimizer once."""
    own = {id(variable) for variable in model.variables}
    extra = [] if optimizer is None else [v for v in optimizer.variables if id(v) not in own]
    return [*model.variables, *extra]


def contents(variable: Any) -> bytes:
    """Give the bytes by which a variable is known."""
    return np.ascontiguousarray(np.asarray(variable)).tobytes()


def truth_of(model: Any, optimizer: Any | None = None) -> Truth:
    """Ask the live objects."""
    paths = {contents(weight): weight.path for weight in model.weights}
    trainable = {contents(weight) for weight in model.trainable_weights}
    if optimizer is None:
        return Truth(paths, trainable, n_parameters=model.count_params())
    innermost = optimizer
    while hasattr(innermost, "inner_optimizer"):
        innermost = innermost.inner_optimizer
    rate = innermost._learning_rate
    return Truth(
        paths,
        trainable,
        owners={**owners_of(optimizer), **owners_of(innermost)},
        n_parameters=model.count_params(),
        kind=type(innermost).__name__,
        iterations=int(np.asarray(innermost._iterations)),
        learning_rate=float(np.asarray(rate)) if hasattr(rate, "path") else None,
    )


def owners_of(optimizer: Any) -> dict[bytes, tuple[bytes, str]]:
    """Give the weight and the list's name of every slot in the optimizer's own lists."""
    weights = optimizer._trainable_variables
    owners: dict[bytes, tuple[bytes, str]] = {}
    for name, value in vars(optimizer).items():
        if name in ("_variables", "_trainable_variables", "trainable_variables"):
            continue
        if isinstance(value, (list, tuple)) and len(value) == len(weights):
            for slot, weight in zip(value, weights, strict=True):
                if hasattr(slot, "path"):
                    owners[contents(slot)] = (contents(weight), name)
    return owners


def save_checkpoint(prefix: Path, **roots: Any) -> str:
    """Save a tf.train.Checkpoint of these objects and give its prefix."""
    return str(tf.train.Checkpoint(**roots).save(str(prefix)))
