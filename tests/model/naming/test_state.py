"""What is no weight: state beside a model, told from several sides, and what stays a weight."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ckread.model.evidence import Evidence, Identity
from ckread.model.naming import identify
from ckread.model.role import Role
from ckread.readers.contract import DataType
from tests.graphs import Optimizer, Var, items, make, record

if TYPE_CHECKING:
    from collections.abc import Mapping

INT64, INT32, BOOL = DataType.INT64, DataType.INT32, DataType.BOOL
TRAINED = {"net/w": (3, 2), "net/w/Adam": (3, 2), "net/w/Adam_1": (3, 2)}
"""A weight with its slots: the file has an optimizer."""

Shapes = dict[str, Any]


def found(shapes: Shapes, meta_graph: Any = None) -> Mapping[str, Identity]:
    """Identify name-based variables: a shape each, or a `Var`."""
    tensors = {
        key: record(key, one if isinstance(one, Var) else Var(shape=one))
        for key, one in shapes.items()
    }
    return identify(tensors, Evidence(meta_graph=meta_graph))


def roles(shapes: Shapes, meta_graph: Any = None) -> dict[str, Role]:
    return {key: one.role for key, one in found(shapes, meta_graph).items()}


def listed(trained: list[str], others: list[str], of_model: list[str] = []) -> Any:  # noqa: B006
    """Give a `.meta` that lists variables in its collections."""

    def defs(names: list[str]) -> tuple[SimpleNamespace, ...]:
        return tuple(SimpleNamespace(key=name) for name in names)

    collections = {
        "variables": defs([*trained, *others]),
        "trainable_variables": defs(trained),
        "model_variables": defs(of_model),
    }
    return SimpleNamespace(collections=collections)


@pytest.mark.parametrize(
    "name",
    [
        "layer/mask", "layer/threshold", "layer/kernel_mask", "apply_gradients/trace/trace",
        "game/accuracy_sum", "stats/running_sum", "obs_rms/runningsumsq",
        "TFUniformReplayBuffer/Table/observation", "agent/replay_buffer/action",
        "ReplayMemory/states", "experience_replay/priorities",
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", [TRAINED, {}], ids=["with optimizer", "weights only"])
def test_names_of_known_containers_are_state(name: str, beside: Shapes) -> None:
    assert roles({**beside, name: (8, 2)})[name] is Role.STATE


def test_what_has_slots_is_a_weight_whatever_it_is_called() -> None:
    for name in ("layer/mask", "soft/threshold", "replay_buffer/w", "scale/rank"):
        one = found({name: (3, 2), f"{name}/Adam": (3, 2), f"{name}/Adam_1": (3, 2)})
        assert one[name] == Identity(name, Role.WEIGHT, trainable=True)
        assert one[f"{name}/Adam"].owner == name


def test_integers_beside_something_trained_are_state_and_unknown_without() -> None:
    codes = {"queue/items": Var(shape=(9,), dtype=INT64), "queue/seen": Var("", (9,), BOOL)}
    assert set(roles({**TRAINED, **codes}).values()) == {Role.WEIGHT, Role.SLOT, Role.STATE}
    assert set(roles(codes).values()) == {Role.OTHER}


def test_tensors_that_share_a_long_first_axis_are_a_buffer() -> None:
    buffer = {"store/a": (5000, 3), "store/b": (5000, 2), "store/r": (5000,)}
    assert all(roles({**TRAINED, **buffer})[name] is Role.STATE for name in buffer)
    # An embedding and its bias are two, and without an optimizer nothing speaks against them.
    layer = {"out/table": (5000, 3), "out/shift": (5000,)}
    assert all(roles({**TRAINED, **layer})[name] is Role.WEIGHT for name in layer)
    assert all(roles(buffer)[name] is Role.WEIGHT for name in buffer)


def test_the_collections_of_a_graph_speak_against_what_they_leave_out() -> None:
    meta = listed(["net/w"], ["net/decay_sums", "net/kernel", "net/seen"], ["net/seen"])
    shapes = {"net/w": (3, 2), "net/decay_sums": (3,), "net/kernel": (3, 2), "net/seen": (3,)}
    one = found(shapes, meta)
    assert one["net/decay_sums"].role is Role.STATE
    assert one["net/kernel"] == Identity("net/kernel", Role.WEIGHT, trainable=False)  # frozen
    assert one["net/seen"] == Identity("net/seen", Role.WEIGHT, trainable=False)


@pytest.mark.parametrize("dtype", [DataType.FLOAT32, DataType.FLOAT64, INT64])
@pytest.mark.parametrize("name", ["global_step", "train/global_step", "train_step"])
def test_a_step_counts_in_any_type(name: str, dtype: DataType) -> None:
    assert roles({name: Var(shape=(), dtype=dtype)})[name] is Role.COUNTER


def test_an_integer_variable_that_nothing_trains_counts() -> None:
    step = {"Variable": Var(shape=(), dtype=INT32), "Variable_1": Var(shape=(), dtype=INT64)}
    assert roles({**TRAINED, **step})["Variable"] is Role.COUNTER
    assert roles({**TRAINED, **step})["Variable_1"] is Role.COUNTER
    assert roles(step)["Variable"] is Role.OTHER
    meta = listed(["net/w"], ["Variable"])
    assert roles({"net/w": (3, 2), **step}, meta)["Variable"] is Role.COUNTER


def test_a_rank_steers_training() -> None:
    assert roles({"lora/rank": Var(shape=(), dtype=INT32)})["lora/rank"] is Role.HYPERPARAMETER


@pytest.mark.parametrize("suffix", [":0", ":1"])
def test_roles_are_read_without_the_suffix_of_an_output(suffix: str) -> None:
    plain = {
        **TRAINED, "net/w/ExponentialMovingAverage": (3, 2), "bn/moving_mean": (2,),
        "beta1_power": (), "global_step": Var(shape=(), dtype=INT64), "net/mask": (3, 2),
    }  # fmt: skip
    with_suffix = {f"{name}{suffix}": one for name, one in plain.items()}
    told = found(with_suffix)
    assert {key.removesuffix(suffix): one for key, one in told.items()} == found(plain)
    assert told[f"net/w/Adam{suffix}"].name == "net/w/Adam"


def test_a_lone_suffix_and_outputs_of_one_name_stay_as_they_are() -> None:
    assert found({"a": (2,), "b": (2,), "x:0": (2,)})["x:0"].name == "x:0"
    both = found({"x:0": (2,), "x:1": (2,)})
    assert {one.name for one in both.values()} == {"x:0", "x:1"}
    assert roles({"a": (2,), "b": (2,), "bn/moving_mean:0": (2,)})["bn/moving_mean:0"] is (
        Role.STATISTIC
    )


def test_the_values_of_an_embedding_in_a_hash_table_are_its_parameters() -> None:
    shapes: Shapes = {}
    for scope in ("user_emb/part_0", "user_emb/part_0/Adagrad"):
        shapes |= {f"{scope}-keys": Var(shape=(50,), dtype=INT64), f"{scope}-values": (50, 16)}
        shapes |= {f"{scope}-freqs": Var(shape=(50,), dtype=INT64)}
    one = found(shapes)
    values, slot = "user_emb/part_0-values", "user_emb/part_0/Adagrad-values"
    assert one[values] == Identity(values, Role.WEIGHT, trainable=True)
    assert one[slot] == Identity(slot, Role.SLOT, owner=values, slot="Adagrad")
    rest = {key: one[key].role for key in shapes if key not in (values, slot)}
    assert set(rest.values()) == {Role.TABLE}


def test_a_lookup_is_no_embedding() -> None:
    words = {"t-keys": Var(shape=(5,), dtype=DataType.STRING), "t-values": Var("", (5,), INT64)}
    pairs = {"p-keys": Var(shape=(5,), dtype=INT64), "p-values": Var(shape=(5, 2))}
    assert set(roles({**words, **pairs}).values()) == {Role.TABLE}


# The same from an object graph.


def agent(**beside: Any) -> Any:
    """Give a checkpoint of a model that Keras 3 trains, and of what lies beside."""
    kernel, bias = Var("q/kernel"), Var("q/bias", (2,))
    slots = items(Var("adam/q_kernel_momentum"), Var("adam/q_bias_momentum", (2,)))
    optimizer = {
        "_trainable_variables": items(kernel, bias),
        "_variables": items(*slots.values()),
        "_iterations": Var("iteration", (), INT64),
    }
    return make({"agent": {"_kernel": kernel, "bias": bias}, "optimizer": optimizer, **beside})


def test_what_no_optimizer_trains_beside_its_model_is_state() -> None:
    table, last = Var("observation", (100, 6)), Var("last_id", (), INT64)
    made = agent(replay_buffer={"_table": items(table), "_last_id": last})
    assert made.of(table).role is made.of(last).role is Role.STATE
    priorities = Var("priorities", (100,))
    assert agent(sampler={"tree": priorities}).of(priorities).role is Role.STATE


def test_a_second_model_that_is_not_trained_is_a_model() -> None:
    kernel = Var("q_1/kernel")
    one = agent(target={"_operations": items({"_kernel": kernel})}).of(kernel)
    assert (one.role, one.trainable) == (Role.WEIGHT, None)
    plain = Var("w")
    assert agent(target={"w": plain}).of(plain).role is Role.WEIGHT


def test_without_an_optimizer_nothing_speaks_against_a_weight() -> None:
    table = Var("observation", (100, 6))
    assert make({"store": {"table": table}}).of(table).role is Role.WEIGHT


def test_integers_of_a_layer_are_not_trained_and_count_for_its_model() -> None:
    index, kernel = Var("m/index", (4, 4), INT32), Var("m/kernel")
    one = make({"model": {"layer": {"kernel": kernel, "index": index}}}).of(index)
    assert (one.role, one.trainable) == (Role.STATISTIC, False)


def test_an_average_word_of_an_optimizer_with_slots_keeps_its_weight() -> None:
    trace = Var("net/trace")
    slot = Var("net/trace/Momentum")
    made = make({"net": {"trace": trace}, "optimizer": Optimizer({}, [(trace, "momentum", slot)])})
    assert made.of(trace).role is Role.WEIGHT


# Names: the fallback is chosen for all of a model.


def test_a_model_is_named_by_paths_where_one_of_its_names_is_shared() -> None:
    layers = [{"kernel": Var(f"Net/{name}/kernel")} for name in ("dense", "dense", "value")]
    names = make({"net": {"layers": items(*layers)}}).names()
    assert list(names.values()) == ["layers/0/kernel", "layers/1/kernel", "layers/2/kernel"]


def test_another_model_keeps_the_names_of_its_program() -> None:
    shared = [{"kernel": Var("A/dense/kernel")}, {"kernel": Var("A/dense/kernel")}]
    own = {"kernel": Var("B/dense/kernel")}
    names = make({"a": {"parts": items(*shared)}, "b": {"x": own}}).names()
    assert set(names.values()) == {"a/parts/0/kernel", "a/parts/1/kernel", "B/dense/kernel"}


# Keys alone: index files without their data.


@pytest.mark.parametrize("mark", ["_iterations", "_learning_rate", "_trainable_variables/0"])
def test_the_list_of_a_keras_3_optimizer_holds_slots(mark: str) -> None:
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    shapes = {f"opt/{mark}{suffix}": (3, 2) if mark[-1] == "0" else ()}
    shapes |= {f"opt/_variables/{n}{suffix}": (3, 2) for n in (2, 3)}
    shapes |= {f"model/a/_kernel{suffix}": (3, 2)}
    told = {key.removesuffix(suffix): role for key, role in roles(shapes).items()}
    assert told["opt/_variables/2"] is told["opt/_variables/3"] is Role.SLOT
    assert told["model/a/_kernel"] is Role.WEIGHT


def test_a_list_of_variables_without_an_optimizer_holds_weights() -> None:
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    key = f"module/_variables/0{suffix}"
    assert roles({key: (3, 2)})[key] is Role.WEIGHT
