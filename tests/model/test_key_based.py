"""Object-based keys alone: what they tell where the graph cannot be read."""

from __future__ import annotations

import pytest

from ckread.model.evidence import Evidence
from ckread.model.identity import Identity
from ckread.model.naming import identify
from ckread.model.role import Role
from ckread.readers.dtypes import DataType
from tests.graphs import GRAPH_KEY, SUFFIX, Var, record


def identity_of(path: str, variable: Var, *others: str) -> Identity:
    tensors = {other + SUFFIX: record(other + SUFFIX, Var()) for other in others}
    key = path if "/.ATTRIBUTES/" in path else path + SUFFIX
    return identify({**tensors, key: record(key, variable)}, Evidence())[key]


@pytest.mark.parametrize(
    ("path", "variable", "role"),
    [
        ("model/layer_with_weights-0/kernel", Var(), Role.WEIGHT),
        ("model/_operations/2/moving_mean", Var(), Role.STATISTIC),
        ("optimizer/_iterations", Var(shape=(), dtype=DataType.INT64), Role.COUNTER),
        ("optimizer/_learning_rate", Var(shape=()), Role.HYPERPARAMETER),
        ("optimizer/_trainable_variables/0", Var(), Role.WEIGHT),
        ("keras_api/metrics/0/total", Var(shape=()), Role.METRIC),
        ("save_counter", Var(shape=(), dtype=DataType.INT64), Role.COUNTER),
        ("n", Var(shape=(), dtype=DataType.INT64), Role.OTHER),
        ("words/.ATTRIBUTES/table-keys", Var(dtype=DataType.INT64), Role.TABLE),
        ("it/.ATTRIBUTES/ITERATOR_STATE", Var(dtype=DataType.VARIANT), Role.ITERATOR),
        ("l/.ATTRIBUTES/OBJECT_CONFIG_JSON", Var(dtype=DataType.STRING), Role.BOOKKEEPING),
    ],
)
def test_roles(path: str, variable: Var, role: Role) -> None:
    assert identity_of(path, variable).role is role


def test_names_are_the_unescaped_path() -> None:
    assert identity_of("net/a..b/x.Sy", Var()).name == "net/a.b/x/y"
    assert identity_of("t/.ATTRIBUTES/table-keys", Var()).name == "t/table-keys"


def test_slot_keys_name_their_owner() -> None:
    path = "model/d/kernel/.OPTIMIZER_SLOT/optimizer/m"
    assert identity_of(path, Var(), "model/d/kernel") == Identity(
        "optimizer/model/d/kernel/m", Role.SLOT, owner="model/d/kernel", slot="m"
    )
    assert identity_of(path, Var()).owner is None


def test_lists_of_keras3_tell_slots_by_shape_but_not_owners() -> None:
    trained = "optimizer/_trainable_variables/0"
    slot = identity_of("optimizer/_variables/2", Var(), trained)
    assert slot == Identity("optimizer/_variables/2", Role.SLOT)
    assert identity_of("optimizer/_variables/2", Var(shape=(9,)), trained).role is Role.OTHER


def test_the_graph_itself_is_bookkeeping() -> None:
    tensors = {GRAPH_KEY: record(GRAPH_KEY, Var(shape=(), dtype=DataType.STRING))}
    assert identify(tensors, Evidence())[GRAPH_KEY] == Identity(GRAPH_KEY, Role.BOOKKEEPING)
