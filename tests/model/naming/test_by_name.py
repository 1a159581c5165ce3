"""Names and roles of TensorFlow 1, where a slot is told by its name and shape."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ckread.model.evidence import Evidence, Identity
from ckread.model.naming import identify
from ckread.model.role import Role
from ckread.readers.contract import DataType
from tests.graphs import GRAPH_KEY, SUFFIX, Var, record

if TYPE_CHECKING:
    from collections.abc import Mapping

INT64, INT32, BOOL = DataType.INT64, DataType.INT32, DataType.BOOL


def identities(*keys: str, meta_graph: Any = None, **others: Var) -> Mapping[str, Identity]:
    tensors = {key: record(key, Var(shape=(3, 2))) for key in keys}
    tensors |= {
        key.replace("__", "/"): record(key.replace("__", "/"), var) for key, var in others.items()
    }
    return identify(tensors, Evidence(meta_graph=meta_graph))


@pytest.mark.parametrize(
    ("slot", "word"),
    [
        ("conv/w/Adam", "m"),
        ("conv/w/Adam_1", "v"),
        ("conv/w/Momentum", "Momentum"),
        ("conv/w/RMSProp_2", "RMSProp_2"),
        ("conv/w/Adagrad", "Adagrad"),
        ("conv/w/Ftrl_1", "Ftrl_1"),
        ("conv/w/adam_m", "adam_m"),
        ("conv/w_slot_v", "v"),
        ("train/conv/w/Adam", "m"),
        ("training/Adam/conv/w/m", "m"),
        ("conv/w/part_0/Adagrad", "Adagrad"),
    ],
)
def test_slots(slot: str, word: str) -> None:
    found = identities("conv/w", slot)
    assert found[slot] == Identity(slot, Role.SLOT, owner="conv/w", slot=word)
    assert found["conv/w"] == Identity("conv/w", Role.WEIGHT, trainable=True)


@pytest.mark.parametrize("shape", [(3,), (2,)])
def test_row_and_column_factors(shape: tuple[int, ...]) -> None:
    found = identities("w", w_slot_vr=Var(shape=shape))
    assert found["w_slot_vr"] == Identity("w_slot_vr", Role.SLOT, owner="w", slot="vr")


def test_the_longest_name_of_equal_shape_is_the_owner() -> None:
    found = identities("a", "a/b", "a/b/Adam")
    assert found["a/b/Adam"].owner == "a/b"


def test_a_name_of_another_shape_is_no_owner() -> None:
    found = identities("a/Adam", a=Var(shape=(7,)))
    assert found["a/Adam"] == Identity("a/Adam", Role.SLOT, slot="m")


def test_an_average_and_its_owner() -> None:
    key = "conv/w/ExponentialMovingAverage"
    assert identities("conv/w", key)[key] == Identity(
        key, Role.AVERAGE, owner="conv/w", slot="ExponentialMovingAverage"
    )
    assert identities(key)[key].owner is None


def test_an_unknown_word_needs_two_witnesses() -> None:
    found = identities("a", "b", "a/Zap", "b/Zap")
    assert found["a/Zap"] == Identity("a/Zap", Role.SLOT, owner="a", slot="Zap")
    assert identities("a", "a/Zap")["a/Zap"].role is Role.WEIGHT
    assert identities("a", "b", "a/Zap", "b/Zap", "Zap")["a/Zap"].role is Role.WEIGHT


def test_what_has_no_slot_beside_those_that_have_is_not_trained() -> None:
    found = identities("frozen", "w", "w/Momentum", bn__moving_mean=Var(shape=(2,)))
    assert found["frozen"].trainable is False
    assert found["w"].trainable is True
    assert found["bn/moving_mean"] == Identity("bn/moving_mean", Role.STATISTIC, trainable=False)


def test_without_evidence_trainable_is_unknown() -> None:
    assert identities("w")["w"].trainable is None


@pytest.mark.parametrize(
    ("key", "variable", "role"),
    [
        ("global_step", Var(shape=(), dtype=INT64), Role.COUNTER),
        ("beta1_power", Var(shape=()), Role.HYPERPARAMETER),
        ("train/beta2_power_1", Var(shape=()), Role.HYPERPARAMETER),
        ("learning_rate", Var(shape=()), Role.HYPERPARAMETER),
        ("bn/moving_variance", Var(shape=(4,)), Role.STATISTIC),
        ("dropout/seed_generator_state", Var(shape=(2,), dtype=DataType.UINT32), Role.RANDOM),
        ("Variable", Var(shape=(), dtype=INT32), Role.OTHER),
        ("is_trained", Var(shape=(), dtype=BOOL), Role.OTHER),
        ("words", Var(shape=(3,), dtype=DataType.STRING), Role.OTHER),
        ("temperature", Var(shape=()), Role.WEIGHT),
        ("q/w", Var(dtype=DataType.QINT8), Role.WEIGHT),
        ("fft/w", Var(dtype=DataType.COMPLEX64), Role.WEIGHT),
        ("beta", Var(shape=(4,)), Role.WEIGHT),
        ("training/Ftrl/l2", Var(shape=()), Role.HYPERPARAMETER),
        ("training/Adam/Variable_3", Var(shape=(3, 2)), Role.SLOT),
    ],
)
def test_roles(key: str, variable: Var, role: Role) -> None:
    found = identify({key: record(key, variable)}, Evidence())[key]
    assert found.role is role
    assert found.name == key
    assert found.owner is None


def test_tables_come_in_pairs() -> None:
    both = identify({k: record(k, Var()) for k in ("t-keys", "t-values")}, Evidence())
    assert [identity.role for identity in both.values()] == [Role.TABLE, Role.TABLE]
    assert identities("t-keys")["t-keys"].role is Role.WEIGHT


def test_normalization_is_told_by_its_three_variables() -> None:
    count = Var(shape=(), dtype=INT64)
    found = identities("n/mean", "n/variance", n__count=count)
    assert {identity.role for identity in found.values()} == {Role.STATISTIC}
    assert identities("n/mean", "n/variance")["n/mean"].role is Role.WEIGHT


def test_collections_of_a_graph_tell_what_is_trainable() -> None:
    keys = ("a", "b", "ids")
    variables = [SimpleNamespace(key=key) for key in keys]
    graph = SimpleNamespace(
        collections={"variables": variables, "trainable_variables": [variables[0], variables[2]]}
    )
    ids = Var(shape=(9,), dtype=INT64)
    found = identities("a", "b", "unlisted", ids=ids, meta_graph=graph)
    assert [found[key].trainable for key in ("a", "b", "unlisted")] == [True, False, None]
    assert found["ids"] == Identity("ids", Role.WEIGHT, trainable=True)


# Object-based keys alone: what they tell where the graph cannot be read.


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
def test_roles_of_keys_alone(path: str, variable: Var, role: Role) -> None:
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
    factor = identity_of("optimizer/_variables/2", Var(shape=(9,)), trained)
    assert factor.role is Role.SLOT
    assert factor.owner is None
    assert identity_of("optimizer/_variables/2", Var(shape=()), trained).role is Role.OTHER


def test_the_graph_itself_is_bookkeeping() -> None:
    tensors = {GRAPH_KEY: record(GRAPH_KEY, Var(shape=(), dtype=DataType.STRING))}
    assert identify(tensors, Evidence())[GRAPH_KEY] == Identity(GRAPH_KEY, Role.BOOKKEEPING)


@pytest.mark.parametrize(
    ("names", "is_weight"),
    [
        (("t",), False),  # a lookup, as far as anything tells
        (("user_emb",), True),
        (("t_mht_0of2", "t_mht_1of2"), True),  # parts of a table
        (("t", "t/Adam"), True),
        (("t", "t/other"), False),
    ],
)
def test_an_embedding_that_is_kept_as_a_table(names: tuple[str, ...], is_weight: bool) -> None:
    keys = {
        f"{name}-keys": record(f"{name}-keys", Var(shape=(3,), dtype=DataType.INT64))
        for name in names
    }
    values = {f"{name}-values": record(f"{name}-values", Var(shape=(3, 2))) for name in names}
    found = identify({**keys, **values}, Evidence())
    assert (found[f"{names[0]}-values"].role is Role.WEIGHT) is is_weight


def test_a_slot_of_a_part_belongs_to_the_values_of_that_part() -> None:
    names = ["t_mht_0of2", "t/Adam_mht_0of2", "t_mht_1of2", "t/Adam_mht_1of2"]
    keys = {f"{name}-keys": record(f"{name}-keys", Var(dtype=DataType.INT64)) for name in names}
    values = {f"{name}-values": record(f"{name}-values", Var(shape=(3, 2))) for name in names}
    found = identify({**keys, **values}, Evidence())
    for part in ("_mht_0of2", "_mht_1of2"):
        slot = found[f"t/Adam{part}-values"]
        assert (slot.role, slot.owner, slot.slot) == (Role.SLOT, f"t{part}-values", "m")
