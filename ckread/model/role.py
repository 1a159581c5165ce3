"""What a variable is for: the closed list of roles, and the words and shapes that tell one."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from ckread.errors import UsageError
from ckread.readers.contract import DataType

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable

    from ckread.readers.contract import TensorRecord


class Role(StrEnum):
    """The role of a variable; the order is that of tables and totals."""

    # Enum's own goes through Python, and roles are looked up for every variable.
    __hash__ = str.__hash__

    WEIGHT = "weight"
    """Of a model, movable by gradient, frozen or not."""
    STATISTIC = "statistic"
    """Of a model, updated without gradient: moving mean and variance, counts."""
    ALIAS = "alias"
    """The second copy of a variable that is stored twice."""
    AVERAGE = "average"
    """A shadow copy of a weight, such as an exponential moving average."""
    SLOT = "slot"
    """Optimizer state with a value per element, row or column of a weight."""
    STATE = "state"
    """What a program keeps beside its model: a replay buffer, pruning masks, running sums."""
    HYPERPARAMETER = "hyperparameter"
    """A scalar that steers training: learning rate, betas, loss scale."""
    COUNTER = "counter"
    """An integer that counts steps, epochs or saves."""
    RANDOM = "random"
    """State of a random generator."""
    METRIC = "metric"
    """State of a metric."""
    TABLE = "table"
    """Keys or values of a lookup table."""
    ITERATOR = "iterator"
    """State of a tf.data iterator."""
    OTHER = "other"
    """None of these can be shown from the files."""
    BOOKKEEPING = "bookkeeping"
    """Of the format itself: the object graph."""

    @property
    def is_parameter(self) -> bool:
        """Whether its elements are parameters of the model."""
        return self in _PARAMETERS


_PARAMETERS = frozenset((Role.WEIGHT, Role.STATISTIC))


def as_roles(roles: str | Iterable[str]) -> frozenset[Role]:
    """Give roles by their names, of which one may stand alone; `all` means every role."""
    names = [roles] if isinstance(roles, str) else list(roles)
    if "all" in names:
        return frozenset(Role)
    try:
        return frozenset(map(Role, names))
    except ValueError as error:
        remedy = f"There are {', '.join(Role)}."
        raise UsageError(
            f"{error}".replace("is not a valid Role", "is no role"), remedy=remedy
        ) from None


STATISTICS = frozenset(
    {"moving_mean", "moving_variance", "moving_stddev", "vector_u", "sn_u"}
    | {"running_mean", "running_var", "running_variance"}
    | {"renorm_mean", "renorm_stddev", "renorm_mean_weight", "renorm_stddev_weight"}
)
"""Last components of variables that are updated without gradient."""

BATCH_NORM = frozenset({"moving_mean", "moving_variance"})
"""What batch normalization calls its own."""

COUNTERS = frozenset(
    {"global_step", "step", "train_step", "iterations", "iteration", "iter", "save_counter"}
    | {"epoch", "local_step", "counter", "good_steps", "step_counter", "pruning_step"}
)
"""Last components of integer scalars that count."""

_FLOATING_COUNTERS = frozenset({"global_step", "train_step", "iterations", "_counter"})
"""Those that count in floats too."""

HYPERPARAMETERS = frozenset(
    {"learning_rate", "lr", "beta_1", "beta_2", "beta1", "beta2", "decay", "momentum", "rho"}
    | {"epsilon", "beta1_power", "beta2_power", "beta_1_power", "beta_2_power", "weight_decay"}
    | {"current_loss_scale", "dynamic_scale", "loss_scale", "u_product", "initial_learning_rate"}
    | {"l1_regularization_strength", "l2_regularization_strength", "learning_rate_power"}
    | {"initial_accumulator_value", "momentum_cache", "rank", "lora_rank", "lora_alpha"}
)
"""Last components of scalars that steer training."""

RANDOM = frozenset({"seed_generator_state", "state_var", "_state_var", "StateVar"})
"""Last components of generator states."""

_NUMBERED = re.compile(r"(.+)_\d+")
_WHOLE = frozenset(
    {DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64}
    | {DataType.UINT8, DataType.UINT16, DataType.UINT32, DataType.UINT64}
)
_NO_WEIGHT = _WHOLE | {DataType.BOOL, DataType.STRING, DataType.RESOURCE, DataType.VARIANT}
_NO_WEIGHT |= {DataType.UNKNOWN}


MAX_RIVALS = 3
"""Counters that are named where none of them counts for the whole."""


def outermost(names: Iterable[str], words: Iterable[str]) -> list[tuple[str, ...]]:
    """Give the names that end in one of `words`, the best first, the outer before the inner.

    Those of one word stand together where none lies in the scope of another, and are the last:
    of `a/step` and `b/step` neither counts for the whole.
    """
    found: list[tuple[str, ...]] = []
    given = list(names)
    for word in words:
        rest = [name for name in given if name.rpartition("/")[2] == word]
        while rest:
            scopes = {name[: -len(word)] for name in rest}
            outer = sorted(name for name in rest if not _has_above(name[: -len(word)], scopes))
            found.append(tuple(outer))
            if len(outer) > 1:
                return found
            rest.remove(outer[0])
    return found


def _has_above(scope: str, scopes: Container[str]) -> bool:
    """Tell whether one of `scopes`, which end in `/`, lies above this one."""
    ends = [place + 1 for place, sign in enumerate(scope[:-1]) if sign == "/"]
    return any(scope[:end] in scopes for end in ([0, *ends] if scope else ()))


def is_whole(dtype: DataType) -> bool:
    """Tell whether elements are plain integers."""
    return dtype in _WHOLE


def can_be_weight(dtype: DataType) -> bool:
    """Tell whether elements are floating, complex or quantised."""
    return dtype not in _NO_WEIGHT


def role_by_word(word: str, dtype: DataType, shape: tuple[int, ...]) -> Role | None:
    """Give the role that a last name component tells; None if it tells none."""
    roles = _roles_of_word(word)
    if not roles:
        return None
    if Role.RANDOM in roles and is_whole(dtype):
        return Role.RANDOM
    if Role.STATISTIC in roles and can_be_weight(dtype):
        return Role.STATISTIC
    is_count = is_whole(dtype) or (word in _FLOATING_COUNTERS and can_be_weight(dtype))
    if Role.COUNTER in roles and shape in ((), (1,)) and is_count:
        return Role.COUNTER
    if Role.HYPERPARAMETER in roles and shape == () and dtype is not DataType.STRING:
        return Role.HYPERPARAMETER
    return None


@lru_cache(maxsize=4096)
def _roles_of_word(word: str) -> frozenset[Role]:
    """Give the roles that a word can tell, private or numbered as it may be."""
    match = _NUMBERED.fullmatch(word)
    names = {word, word.removeprefix("_"), match[1] if match else word}
    tables = (
        (Role.RANDOM, RANDOM),
        (Role.STATISTIC, STATISTICS),
        (Role.COUNTER, COUNTERS),
        (Role.HYPERPARAMETER, HYPERPARAMETERS),
    )
    return frozenset(role for role, words in tables if not words.isdisjoint(names))


# A floating variable without a role word is a weight unless something speaks against it: the
# names of known containers, and tensors that share a long first axis.

_CONTAINER = re.compile(
    r"replay_?(?:buffer|memory|table)|uniform_?replay|experience_?(?:buffer|replay)"
    r"|episodic_?(?:buffer|replay)|trajectory_?buffer",
    re.IGNORECASE,
)
_WORD = re.compile(
    r"_?(?:.*_)?(?:masks?|thresholds?|traces?|sum|sumsq|runningsum|runningsumsq)(?:_\d+)?"
    r"|_?(?:next_)?step_type|_?discount|_?running_sum.*|idf_weights|_?best(?:_.+)?",
    re.IGNORECASE,
)
_WEIGHT = re.compile(
    r"_?(?:(?:.*_)?(?:kernels?|bias|weights?|biases|gamma|beta|alpha|embeddings?|embedding_table"
    r"|scale|offset|filters?)|[wb](?:_.+|\d+)?)(?:_\d+)?",
    re.IGNORECASE,
)
DEFAULT_NAME = re.compile(r"Variable(?:_\d+)?")
"""What TensorFlow calls a variable that nobody named."""
LONG = 500
"""A first axis of so many is that of a buffer, if several tensors of one object share it."""
_TOGETHER = 3


@lru_cache(maxsize=4096)
def is_state_word(word: str) -> bool:
    """Tell what frameworks call what they keep beside a model: `mask`, `trace`, `loss_sum`."""
    return _WORD.fullmatch(word) is not None


@lru_cache(maxsize=4096)
def is_weight_word(word: str) -> bool:
    """Tell what frameworks call a weight: `kernel`, `biases`, `gamma`, `w`."""
    return _WEIGHT.fullmatch(word) is not None


_METRIC = re.compile(r"(?:.*_)?(?:loss|acc|accuracy|auc|f1|score|metric)", re.IGNORECASE)


@lru_cache(maxsize=4096)
def is_metric_word(word: str) -> bool:
    """Tell what programs call a scalar that they measured: `loss`, `val_accuracy`."""
    return _METRIC.fullmatch(word) is not None


def is_container(text: str) -> bool:
    """Tell whether the name of a known container is in a text: `replay_buffer`."""
    return _CONTAINER.search(text) is not None


@lru_cache(maxsize=4096)
def is_state_scope(scope: str) -> bool:
    """Tell whether a scope is that of a known container: `replay_buffer/_table`."""
    return is_container(scope)


def is_state_name(name: str) -> bool:
    """Tell by its scopes, or by its own word, that a variable is not of a model."""
    scope, _, word = name.rpartition("/")
    return is_state_word(word) or is_state_scope(scope)


def role_of_whole(word: str, record: TensorRecord, *, is_trained: bool) -> Role:
    """Give the role of integers and truths: in a file of something trained they are no weights."""
    if not is_trained or not (is_whole(record.dtype) or record.dtype is DataType.BOOL):
        return Role.OTHER
    if record.shape:
        return Role.STATE
    is_counter = is_whole(record.dtype) and DEFAULT_NAME.fullmatch(word)
    return Role.COUNTER if is_counter else Role.OTHER


def buffers(
    records: Iterable[tuple[Hashable, TensorRecord]], trained: Iterable[Hashable]
) -> set[Hashable]:
    """Give the holders of which several tensors share a long first axis, and none is trained.

    One of them holds a value a row, or integers: the layers of a model have no such row.
    """
    rows: dict[Hashable, dict[int, list[TensorRecord]]] = {}
    for holder, record in records:
        if record.shape and record.shape[0] >= LONG:
            rows.setdefault(holder, {}).setdefault(record.shape[0], []).append(record)
    found = set()
    for holder, by_length in rows.items():
        for alike in by_length.values():
            is_row = any(len(one.shape) == 1 or not can_be_weight(one.dtype) for one in alike)
            if len(alike) >= _TOGETHER and is_row:
                found.add(holder)
    return found.difference(trained)
