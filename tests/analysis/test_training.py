"""Where a training stood: steps, counters, learning rate, and what will be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.training import (
    Masks,
    TrainingState,
    agreed,
    averages_apart,
    find_masks,
    is_power,
    optimizer_claims,
    read_training_state,
)
from ckread.errors import MissingShardError
from ckread.model.checkpoint import Checkpoint
from ckread.model.evidence import Evidence
from ckread.model.naming import identify
from ckread.model.opening import open_checkpoint
from ckread.model.role import Role
from ckread.readers.contract import DataType, Format
from ckread.readers.keras.config import CompiledConfig, OptimizerConfig
from tests.analysis.array_checkpoint import ArrayReader, checkpoint
from tests.graphs import Var, items, make

if TYPE_CHECKING:
    from pathlib import Path


def state_of(path: str = "model.ckpt", *, fmt: Format = Format.TENSOR_BUNDLE, **values: Any) -> Any:
    arrays = {key.replace("__", "/"): np.asarray(value) for key, value in values.items()}
    reader = ArrayReader(arrays, path=path)
    reader.format = fmt
    identities = identify(reader.tensors, Evidence())
    return read_training_state(Checkpoint(reader, identities, path=path, evidence=Evidence()))


def test_nothing_is_known_of_plain_weights() -> None:
    assert state_of(w=np.ones(3, np.float32)) == TrainingState()


def test_the_global_step_is_the_step() -> None:
    state = state_of("run/model.ckpt-20", global_step=np.int64(20))
    assert (state.step, state.step_source) == (20, "file name and global_step")
    assert state.warnings == ()


def test_a_file_name_that_disagrees_is_warned_of() -> None:
    state = state_of("run/model.ckpt-500", global_step=np.int64(400))
    assert (state.step, state.step_source) == (400, "global_step")
    assert state.warnings == ("The file name says 500, but global_step is 400.",)


def test_a_number_that_any_counter_has_is_no_disagreement() -> None:
    state = state_of("run/ckpt-3", step=np.int64(400), save_counter=np.int64(3))
    assert (state.step, state.step_source, state.save_counter) == (400, "step", 3)
    assert state.warnings == ()


def test_the_save_counter_serves_where_there_is_no_step() -> None:
    state = state_of("run/ckpt-7", save_counter=np.int64(3))
    assert (state.step, state.step_source) == (3, "save counter")
    assert state.warnings == ("The file name says 7, but the save counter is 3.",)


def test_the_file_name_alone() -> None:
    assert state_of("run/model.ckpt-90").step_source == "file name"
    assert state_of("run/epoch_4").epoch == 4
    assert state_of("run/epoch_4").step is None
    assert state_of("run/epoch_4", epoch=np.int64(5)).epoch == 5


def test_the_number_of_a_saved_models_directory_is_a_version() -> None:
    assert state_of("serving/00000123", fmt=Format.SAVED_MODEL).step is None


def test_global_step_goes_before_others_and_the_outer_before_the_inner() -> None:
    state = state_of(step=np.int64(1), global_step=np.int64(2), a__global_step=np.int64(3))
    assert state.step == 2


def test_iterations_and_rate_are_the_innermost_optimizers() -> None:
    state = state_of(
        optimizer__iterations=np.int64(1),
        optimizer__learning_rate=np.float32(0.5),
        optimizer__inner_optimizer__iterations=np.int64(9),
        optimizer__inner_optimizer__learning_rate=np.float32(0.25),
    )
    assert (state.iterations, state.learning_rate) == (9, 0.25)
    assert state.optimizer_name == "optimizer/inner_optimizer"


def test_with_a_schedule_there_is_no_rate() -> None:
    state = state_of(optimizer__iterations=np.int64(1), other__learning_rate=np.float32(0.5))
    assert (state.iterations, state.learning_rate) == (1, None)


@pytest.mark.parametrize(
    ("slots", "kind"),
    [
        (("w/Adam", "w/Adam_1"), "Adam"),
        (("w/Momentum",), "Momentum"),
        (("w/Adagrad", "w/Ftrl", "w/Ftrl_1"), "Adagrad and Ftrl"),
        (("training/Ftrl/w/linear", "training/Adagrad_1/w/accumulator"), "Adagrad and Ftrl"),
        (("training_2/LAMBOptimizer/w/m",), "LAMB"),
        (("w_slot_v",), "Adafactor"),
        (("w/adam_m", "w/adam_v"), "Adam"),
        (("w/ExponentialMovingAverage",), None),
    ],
)
def test_the_kind_of_optimizer_by_its_slots(slots: tuple[str, ...], kind: str | None) -> None:
    values: dict[str, Any] = dict.fromkeys(("w", *slots), np.ones(3, np.float32))
    assert state_of(**values).optimizer_kind == kind


@pytest.mark.parametrize(
    ("full_name", "lists", "kind"),
    [
        ("adam_w/iteration", (), "AdamW"),
        ("rm_sprop_2/iteration", (), "RMSprop"),
        ("loss_scale_optimizer/lion/iteration", (), "Lion"),
        ("mine/iteration", ("_accumulators", "_linears"), "Ftrl"),
        ("mine/iteration", ("_accumulators",), "Adagrad"),
        ("mine/iteration", ("_r", "_c", "_v"), "Adafactor"),
        ("mine/iteration", ("_momentums", "_velocities"), None),
        ("adam/iteration", ("_momentums", "_velocities", "_velocity_hats"), "Adam with AMSGrad"),
        ("sgd/iteration", ("momentums",), "SGD with momentum"),
        ("sgd/iteration", (), "SGD"),
    ],
)
def test_the_kind_of_an_optimizer_object(
    full_name: str, lists: tuple[str, ...], kind: str | None
) -> None:
    """By the scope of its counters; under a name of the user's own, by its lists."""
    kernel = Var("lion/kernel")
    optimizer = optimizer_object(kernel, full_name, lists)
    state = state_of_objects({"model": {"l": {"_kernel": kernel}}, "optimizer": optimizer})
    assert state.optimizer_kind == kind
    assert state.optimizer_name == "optimizer"


def test_all_optimizers_are_named_where_there_are_several() -> None:
    one, other = Var("one/kernel"), Var("other/kernel")
    state = state_of_objects(
        {
            "generator": {"l": {"_kernel": one}},
            "discriminator": {"l": {"_kernel": other}},
            "generator_optimizer": optimizer_object(one, "sgd/iteration", ()),
            "discriminator_optimizer": optimizer_object(other, "adam_1/iteration", ()),
        }
    )
    assert state.optimizer_kind == "Adam and SGD"


def optimizer_object(kernel: Var, full_name: str, lists: tuple[str, ...]) -> dict[str, Any]:
    counter = Var(full_name, (), DataType.INT64)
    return {
        "_trainable_variables": items(kernel),
        "_variables": items(counter),
        "_iterations": counter,
        **{name: items(Var("x/lion_kernel_momentum")) for name in lists},
    }


def state_of_objects(root: dict[str, Any]) -> TrainingState:
    made = make(root)
    evidence = Evidence(graph=made.graph)
    reader = ArrayReader({}, path="ckpt-1")
    reader.listed = made.tensors
    reader.arrays = dict.fromkeys(made.tensors, np.asarray(np.int64(7)))
    identities = identify(made.tensors, evidence)
    checkpoint = Checkpoint(reader, identities, path="ckpt-1", evidence=evidence)
    return read_training_state(checkpoint)


def test_what_cannot_be_read_is_none() -> None:
    class WithoutShard(ArrayReader):
        def read_bytes(self, key: str) -> bytes:
            raise MissingShardError(f"{key}: no shard")

    reader = WithoutShard({"global_step": np.asarray(5)}, path="model.ckpt-5")
    identities = identify(reader.tensors, Evidence())
    checkpoint = Checkpoint(reader, identities, path=reader.path, evidence=Evidence())
    state = read_training_state(checkpoint)
    assert (state.step, state.step_source) == (5, "file name")


def test_an_untrained_list_of_layers_is_lost(fixtures_dir: Path) -> None:
    with open_checkpoint(fixtures_dir / "keras3_object" / "adamw") as checkpoint:
        state = read_training_state(checkpoint)
        assert state.optimizer_kind == "AdamW"
        assert state.lost == (
            "towers/tower_left/kernel",
            "towers/tower_left/bias",
            "towers/tower_right/kernel",
            "towers/tower_right/bias",
        )
    with open_checkpoint(fixtures_dir / "digits_run" / "ckpt-10") as checkpoint:
        assert read_training_state(checkpoint).lost == ()


def test_a_whole_run(fixtures_dir: Path) -> None:
    with open_checkpoint(fixtures_dir / "digits_run" / "ckpt-10") as checkpoint:
        state = read_training_state(checkpoint)
    assert state.learning_rate == float(np.float32(3e-3 * 0.85**9))
    assert state.to_dict() == {
        "step": 10,
        "step_source": "file name and save counter",
        "epoch": None,
        "iterations": 900,
        "iterations_source": None,
        "learning_rate": state.learning_rate,
        "save_counter": 10,
        "optimizer_kind": "Adam",
        "optimizer_name": "optimizer",
        "optimizers": (
            {
                "name": "optimizer",
                "kind": "Adam",
                "iterations": 900,
                "learning_rate": state.learning_rate,
                "schedule": None,
            },
        ),
        "schedule": None,
        "loss": (),
        "metrics": (),
        "lost": (),
        "warnings": (),
    }


def test_a_schedule_keeps_no_rate(fixtures_dir: Path) -> None:
    with open_checkpoint(fixtures_dir / "schedule_run") as checkpoint:
        state = read_training_state(checkpoint)
    assert (state.iterations, state.learning_rate, state.optimizer_kind) == (30, None, "Adam")


def test_an_optimizer_alone_loses_nothing() -> None:
    """Without a model in the file there is nothing that could miss its weights."""
    kernel = Var("stem/kernel")
    optimizer = {"_trainable_variables": items(kernel), "_variables": items(Var("adam/x"))}
    for root in ({"optimizer": optimizer}, optimizer):
        made = make(root)
        evidence = Evidence(graph=made.graph)
        reader = ArrayReader({}, path="ckpt-1")
        reader.listed = made.tensors
        identities = identify(made.tensors, evidence)
        checkpoint = Checkpoint(reader, identities, path="ckpt-1", evidence=evidence)
        assert read_training_state(checkpoint).lost == ()


def test_a_state_is_told_whole() -> None:
    state = state_of(
        "run/model.ckpt-400", global_step=np.int64(400), a__epoch=np.int64(7),
        save_counter=np.int64(3), optimizer__iterations=np.int64(410),
        optimizer__learning_rate=np.float32(0.5),
    )  # fmt: skip
    assert state.to_dict() == {
        "step": 400, "step_source": "file name and global_step", "epoch": 7, "iterations": 410,
        "iterations_source": None, "learning_rate": 0.5, "save_counter": 3,
        "optimizer_kind": None, "optimizer_name": "optimizer",
        "optimizers": ({"name": "optimizer", "kind": None, "iterations": 410,
                        "learning_rate": 0.5, "schedule": None},),
        "schedule": None, "loss": (), "metrics": (), "lost": (), "warnings": (),
    }  # fmt: skip
    assert [(c.claim, c.value, str(c.strength), c.source) for c in state.claims] == [
        ("step", 400, "stored", "file name and global_step"),
        ("epoch", 7, "stored", "variable epoch"),
    ]
    assert state.claims[0].against[0] == "3: counts the saves of one process"
    named = state_of("run/ckpt-400")
    assert [(c.claim, c.value, str(c.strength)) for c in named.claims] == [("step", 400, "named")]
    assert named.claims[0].against == ()
    same = state_of("run/ckpt-3", save_counter=np.int64(3))
    assert (same.step_source, same.claims[0].against) == ("file name and save counter", ())


def test_a_counter_of_first_saves_is_none() -> None:
    for saves, step in ((0, 500), (1, 500), (2, 2)):
        state = state_of("run/ckpt-500", save_counter=np.int64(saves))
        assert state.step == step
    assert state_of("run/ckpt-1", save_counter=np.int64(1)).step_source == (
        "file name and save counter"
    )
    assert state_of("run/model", save_counter=np.int64(1)).step == 1


def test_counters_that_differ_tell_no_step() -> None:
    state = state_of("run/model", a__global_step=np.int64(4), b__global_step=np.int64(5))
    assert (state.step, state.differing) == (None, ("a/global_step is 4", "b/global_step is 5"))
    [claim] = state.claims
    assert (str(claim.strength), claim.source) == (
        "unknown", "a/global_step is 4, b/global_step is 5: neither is above the other",
    )  # fmt: skip
    named = state_of("run/ckpt-9", a__global_step=np.int64(4), b__global_step=np.int64(5))
    assert named.step == 9
    assert named.claims[0].against[0] == claim.source
    [none] = state_of("run/model").claims
    assert none.source == "no counter in the file, and no number of its name counts"
    same = state_of("run/model", a__global_step=np.int64(4), b__global_step=np.int64(4))
    assert (same.step, same.step_source) == (4, "a/global_step and b/global_step")
    odd = state_of("run/model", step=np.float32(np.nan))
    assert odd.step is None


def powers(n: float, m: float | None = None, suffix: str = "") -> dict[str, Any]:
    m = n if m is None else m
    return {
        f"beta1_power{suffix}": np.float64(0.9 ** (n + 1)),
        f"beta2_power{suffix}": np.float64(0.999 ** (m + 1)),
    }


def test_iterations_by_the_powers_of_betas() -> None:
    def told(**values: Any) -> int | None:
        state = state_of(**values)
        assert state.iterations_source == (None if state.iterations is None else "beta2_power")
        claims = [c.value for c in state.claims if c.claim == "iterations"]
        assert claims == ([] if state.iterations is None else [state.iterations])
        return state.iterations  # type: ignore[no-any-return]

    assert [told(**powers(n)) for n in (0, 1, 500)] == [0, 1, 500]
    assert told(**powers(500, 500.9)) == 501
    assert told(**powers(500, 501.2)) is None
    assert told(**powers(10, 10.6)) is None
    assert told(beta1_power=np.float64(0), beta2_power=np.float64(0.999**2001)) == 2000
    assert told(beta1_power=np.float64(0), beta2_power=np.float64(0.999**700)) is None
    assert told(beta1_power=np.float64(1e-38), beta2_power=np.float64(0.999**751)) == 750
    assert told(beta1_power=np.float64(0.9**3)) is None
    assert told(beta1_power=np.float64(1), beta2_power=np.float64(1)) is None
    assert told(beta1_power=np.float64(-0.5), beta2_power=np.float64(0.999)) is None
    assert told(beta1_power=np.float64(0), beta2_power=np.float64(0)) is None
    assert told(**powers(5), **powers(5, suffix="_1")) == 5
    assert told(**powers(5), **powers(6, suffix="_1")) is None
    assert told(**powers(5), global_step=np.int64(5)) is None
    assert state_of(**powers(5), opt__iterations=np.int64(9)).iterations == 9
    for name, is_one in (("beta1_power", True), ("x/beta2_power_3", True), ("beta3_power", False)):
        assert is_power(name) is is_one


def test_a_value_of_all() -> None:
    assert [agreed(x) for x in ([1, 1], [1, 2], [], [None], [1, None])] == [
        1, None, None, None, None,
    ]  # fmt: skip


def with_roles(arrays: dict[str, Any], **roles: Role) -> Checkpoint:
    return checkpoint({k: np.asarray(x, np.float32) for k, x in arrays.items()}, roles={
        name.replace("__", "/"): role for name, role in roles.items()})  # fmt: skip


def test_masks_beside_weights() -> None:
    weight, mask = [[0.0, 2, 3], [4, 5, 6]], [[0, 0, 1], [1, 1, 0]]
    arrays = {"a/w": weight, "a/mask": mask, "b/w": [1.0], "b/mask_1": [0]}
    roles = {"a__mask": Role.STATE, "b__mask_1": Role.STATE}
    found = find_masks(with_roles(arrays, **roles))
    assert found == Masks(2, 7, 4, 3)
    assert found.to_dict() == {"variables": 2, "elements": 7, "left_out": 4, "not_zero": 3}
    assert find_masks(with_roles(arrays, a__mask=Role.STATE)) == Masks(1, 6, 3, 2)
    assert find_masks(with_roles(arrays)) is None
    odd = {**arrays, "a/mask": [[0, 0.5, 1]] * 2}
    assert find_masks(with_roles(odd, **roles)) is None
    two = {**arrays, "a/v": weight}
    assert find_masks(with_roles(two, **roles)) is None
    other = {**arrays, "a/mask": [0, 1]}
    assert find_masks(with_roles(other, **roles)) is None
    many = {"w": np.ones(140_000), "mask": np.ones(140_000)}
    assert find_masks(with_roles(many, mask=Role.STATE)) == Masks(1, 140_000)
    few = {"w": np.ones(131_072), "mask": np.ones(131_072)}
    assert find_masks(with_roles(few, mask=Role.STATE)) == Masks(1, 131_072, 0, 0)


def test_how_far_averages_are_apart() -> None:
    arrays = {"a": np.array([3.0, 4]), "b": np.array([12.0]), "a/ema": np.array([3.0, 1]),
              "b/ema": np.array([16.0])}  # fmt: skip
    owners = {"a/ema": ("a", "ema"), "b/ema": ("b", "ema")}
    roles = dict.fromkeys(owners, Role.AVERAGE)
    assert averages_apart(checkpoint(arrays, roles=roles, owners=owners)) == 5 / 13
    assert averages_apart(checkpoint(arrays, roles=roles, owners={
        "a/ema": ("a", "ema"), "b/ema": ("a", "ema")})) is None  # fmt: skip
    assert averages_apart(checkpoint(arrays, roles=roles)) is None
    assert averages_apart(checkpoint(arrays)) is None
    wide = {**arrays, "a/ema": np.ones(3)}
    assert averages_apart(checkpoint(wide, roles=roles, owners=owners)) is None
    zero = {name: x * 0 for name, x in arrays.items()}
    assert averages_apart(checkpoint(zero, roles=roles, owners=owners)) is None
    odd = {**arrays, "b": np.array([np.inf])}
    assert averages_apart(checkpoint(odd, roles=roles, owners=owners)) is None
    unsure = checkpoint(arrays, roles=roles, owners=owners, has_checksums=False)
    assert averages_apart(unsure) is None


@pytest.mark.parametrize(
    ("settings", "rate", "schedule"),
    [
        ({"learning_rate": 0.5}, 0.5, None), ({"lr": 2}, 2, None), ({}, None, None),
        ({"learning_rate": True}, None, None), ({"learning_rate": "x"}, None, None),
        ({"learning_rate": {"class_name": "Mine>CosineDecay"}}, None, "CosineDecay"),
        ({"learning_rate": {"class_name": 3}}, None, None),
    ],
)  # fmt: skip
def test_what_a_model_was_compiled_with(settings: Any, rate: float | None, schedule: Any) -> None:
    made = checkpoint({"w": np.ones(2)})
    optimizer = OptimizerConfig("Adam", "adam", settings)
    compiled = CompiledConfig(optimizer, ("mse",), ("acc",))
    made.evidence = made.evidence._replace(compiled=compiled, optimizer_class="AdamW")
    state = read_training_state(made)
    assert (state.learning_rate, state.schedule, state.optimizer_kind) == (rate, schedule, "AdamW")
    assert (state.loss, state.metrics) == (("mse",), ("acc",))
    made.evidence = made.evidence._replace(compiled=CompiledConfig(), optimizer_class=None)
    assert read_training_state(made).learning_rate is None
    stored = checkpoint(
        {"w": np.ones(2), "learning_rate": np.array(0.25)},
        roles={"learning_rate": Role.HYPERPARAMETER},
    )
    stored.evidence = stored.evidence._replace(compiled=compiled, optimizer_class="AdamW")
    assert read_training_state(stored).learning_rate == 0.25


def optimizers_of(**values: Any) -> list[tuple[Any, ...]]:
    return [
        (one.name, one.kind, one.iterations, one.learning_rate)
        for one in state_of(**values).optimizers
    ]


def test_optimizers_by_their_counters_and_rates() -> None:
    n, half = np.int64(9), np.float32(0.5)
    assert optimizers_of(w=np.ones(2)) == []
    assert optimizers_of(adam__iteration=n) == [("adam", None, 9, None)]
    assert optimizers_of(optimizer__iter=n, optimizer__lr=half) == [("optimizer", None, 9, 0.5)]
    assert optimizers_of(my_opt__iterations=n) == [("my_opt", None, 9, None)]
    assert optimizers_of(data__iterations=n) == []
    assert optimizers_of(data__iterations=n, data__learning_rate=half) == [("data", None, 9, 0.5)]
    assert optimizers_of(x__learning_rate=half) == [("x", None, None, 0.5)]
    both = optimizers_of(a_optimizer__iterations=n, b_optimizer__iterations=np.int64(7))
    assert both == [("a_optimizer", None, 9, None), ("b_optimizer", None, 7, None)]
    state = state_of(a_optimizer__iterations=n, b_optimizer__iterations=np.int64(7))
    assert (state.iterations, state.learning_rate, state.optimizer_name) == (
        None, None, "a_optimizer"
    )  # fmt: skip
    inner = optimizers_of(
        optimizer__iterations=n, optimizer__inner_optimizer__learning_rate=half,
        optimizer__inner_optimizer__iteration=np.int64(8),
    )  # fmt: skip
    assert inner == [("optimizer/inner_optimizer", None, 8, 0.5)]
    lone = optimizers_of(optimizer__iterations=n, learning_rate=half)
    assert lone == [("optimizer", None, 9, 0.5)]
    two = optimizers_of(a_optimizer__iterations=n, b_optimizer__iterations=n, learning_rate=half)
    assert [rate for *_, rate in two] == [None, None]
    odd = optimizers_of(optimizer__iterations=np.float64(np.inf))
    assert odd == [("optimizer", None, None, None)]


@pytest.mark.parametrize(
    ("counts", "expected"), [((5.0, 5.0, 5.0), 5), ((5.0, 6.0), None), ((7.0,), 7)]
)
def test_steps_of_each_parameter(counts: tuple[float, ...], expected: int | None) -> None:
    arrays = {"w": np.ones(2), **{f"o/state/{i}/step": np.float32(n)
              for i, n in enumerate(counts)}}  # fmt: skip
    owners = {name: ("w", "step") for name in arrays if name != "w"}
    roles = dict.fromkeys(owners, Role.COUNTER)
    made = checkpoint({k: np.asarray(x) for k, x in arrays.items()}, owners=owners, roles=roles)
    [state] = read_training_state(made).optimizers
    assert (state.name, state.iterations) == ("o", expected)


def claims_of(made: Checkpoint) -> list[tuple[Any, ...]]:
    state = read_training_state(made)
    found = optimizer_claims(made, state.optimizers)
    return [(c.claim, c.value, str(c.strength), c.source) for c in found]


def test_what_tells_the_optimizer() -> None:
    untold = "told by a configuration, or slots of known names"
    bare = checkpoint({"w": np.ones(2), "adam/iteration": np.array(3)},
                      roles={"adam/iteration": Role.COUNTER})  # fmt: skip
    assert claims_of(bare) == [("optimizer", None, "unknown", untold)]
    arrays = {"w": np.ones(2), "w/Adam": np.ones(2), "w/Adam_1": np.ones(2),
              "learning_rate": np.array(0.5)}  # fmt: skip
    named = checkpoint(
        arrays, owners={"w/Adam": ("w", "Adam"), "w/Adam_1": ("w", "Adam_1")},
        roles={"learning_rate": Role.HYPERPARAMETER},
    )  # fmt: skip
    assert claims_of(named) == [
        ("optimizer", "Adam", "named", "the names of its slots"),
        ("learning_rate", 0.5, "stored", "variable learning_rate"),
    ]
    schedule = {"learning_rate": {"class_name": "CosineDecay"}}
    compiled = CompiledConfig(OptimizerConfig("Adam", "adam", schedule))
    by_config = checkpoint({"w": np.ones(2)})
    by_config.evidence = by_config.evidence._replace(compiled=compiled, optimizer_class="Adam")
    assert claims_of(by_config) == [
        ("optimizer", "Adam", "stored", "what the model was compiled with"),
        ("learning_rate", None, "unknown", "CosineDecay gives it, and is not saved with its step"),
    ]
    rate = CompiledConfig(OptimizerConfig("Adam", "adam", {"learning_rate": 0.25}))
    by_config.evidence = by_config.evidence._replace(compiled=rate)
    assert claims_of(by_config)[1] == (
        "learning_rate", 0.25, "stored", "what the model was compiled with"
    )  # fmt: skip
    several = checkpoint(
        {"w": np.ones(2), "a_optimizer/iter": np.array(3), "b_optimizer/iter": np.array(4)},
        roles={"a_optimizer/iter": Role.COUNTER, "b_optimizer/iter": Role.COUNTER},
    )
    assert [claim for claim, *_ in claims_of(several)] == [
        "optimizer of a_optimizer", "optimizer of b_optimizer"
    ]  # fmt: skip
