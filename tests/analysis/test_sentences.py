"""Files of strangers for which a sentence would be false if it were said without evidence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from safetensors.numpy import save_file

from ckread import diff
from ckread.analysis.audit.optimizer import optimizer
from ckread.analysis.audit.rules import Hyperparameter, forgets
from ckread.analysis.check.check import check
from ckread.analysis.drift.drift import drift
from ckread.analysis.findings import Code
from ckread.analysis.history.best import told_mode
from ckread.analysis.history.history import history
from ckread.analysis.info import CheckpointSummary, info
from ckread.errors import UsageError
from ckread.model.run.run import open_run
from ckread.model.steps import read_series
from ckread.views.check import run_claims
from ckread.views.diff.verdict import verdict as diff_verdict
from ckread.views.drift.rows import verdict as drift_verdict
from ckread.views.history import verdict as history_verdict
from ckread.views.info.page import info_page, sentence_of
from ckread.views.optimizer import verdict
from ckread.views.runs import runs_page
from tests.analysis.check.test_state_of_training import saved, step, values

if TYPE_CHECKING:
    from pathlib import Path

    Array = np.ndarray[Any, Any]

DENSE = {"net/kernel": values(0, 4, 3), "net/bias": values(1, 3)}


def number(value: float, dtype: str = "float32") -> Array:
    return np.array(value, dtype)


def facts(summary: CheckpointSummary) -> str:
    assert summary.tree is not None
    return "\n".join(info_page(summary, summary.tree).piped())


def adam(*names: str, **arrays: Array) -> dict[str, Array]:
    return {f"{name}/{word}": np.abs(array) for name in names for array in [arrays[name]]
            for word in ("Adam", "Adam_1")}  # fmt: skip


# A counter of iterations is no optimizer.


@pytest.mark.parametrize("name", ["iter", "agent/iterations", "data/iteration"])
def test_a_counter_alone_is_no_optimizer(tmp_path: Path, name: str) -> None:
    summary = info(saved(tmp_path, DENSE | {name: number(5, "int64")}))
    assert sentence_of(summary) == "Weights only: 15 parameters in 2 variables, no optimizer state."
    assert summary.training.optimizers == ()


@pytest.mark.parametrize("scope", ["training/Adam", "rm_sprop_2", "generator_optimizer", "opt"])
def test_a_scope_called_after_an_optimizer_is_one(tmp_path: Path, scope: str) -> None:
    summary = info(saved(tmp_path, DENSE | {f"{scope}/iter": number(5, "int64")}))
    assert summary.training.iterations == 5
    [one] = summary.training.optimizers
    assert one.name == scope


def test_a_rate_or_a_slot_makes_the_counter_one_of_an_optimizer(tmp_path: Path) -> None:
    counted = DENSE | {"mine/iterations": number(7, "int64")}
    rated = counted | {"mine/learning_rate": number(0.5)}
    assert info(saved(tmp_path, rated, "rated")).training.iterations == 7
    slots = counted | {"mine/net/kernel/m": values(3, 4, 3)}
    assert info(saved(tmp_path, slots, "slots")).training.iterations in (7, None)


# Two optimizers of TensorFlow 1.


def powers(n: int) -> tuple[Array, Array]:
    return number(0.9 ** (n + 1)), number(0.999 ** (n + 1))


@pytest.mark.parametrize("is_scoped", [True, False])
@pytest.mark.parametrize(("counts", "told"), [((100, 100), 100), ((100, 500), None)])
def test_a_gan_has_iterations_where_both_made_as_many(
    tmp_path: Path, counts: tuple[int, int], told: int | None, *, is_scoped: bool
) -> None:
    arrays: dict[str, Array] = {"gen/w": values(1, 4, 3), "disc/w": values(2, 4, 3)}
    arrays |= adam(*arrays, **arrays)
    for i, (scope, n) in enumerate(zip(("gen", "disc"), counts, strict=True)):
        ends = [f"{scope}/beta{k}_power" for k in (1, 2)]
        flat = [f"beta{k}_power{f'_{i}' if i else ''}" for k in (1, 2)]
        arrays |= dict(zip(ends if is_scoped else flat, powers(n), strict=True))
    assert info(saved(tmp_path, arrays)).training.iterations == told


# What has no slot: frozen, copied, or trained by what keeps none.


def test_weights_without_slots_are_not_called_frozen(tmp_path: Path) -> None:
    arrays = {f"{net}/w": values(i, 4, 3) for i, net in enumerate(("eval", "target"))}
    summary = info(saved(tmp_path, arrays | adam("eval/w", **arrays)))
    assert "12 trainable, 12 without slots" in facts(summary)
    [claim] = [one for one in summary.evidence if one.claim == "trainable_parameters"]
    assert (claim.value, str(claim.strength)) == (12, "derived")
    both = info(saved(tmp_path, arrays | adam(*arrays, **arrays), "both"))
    [claim] = [one for one in both.evidence if one.claim == "trainable_parameters"]
    assert (claim.value, str(claim.strength)) == (24, "stored")


def test_state_is_by_its_names_where_nothing_is_trained(tmp_path: Path) -> None:
    masked = DENSE | {"net/mask": values(3, 4, 3)}
    assert "12 elements in 1 mask, by the names" in facts(info(saved(tmp_path, masked)))
    trained = masked | adam(*DENSE, **DENSE)
    told = facts(info(saved(tmp_path, trained, "trained")))
    assert "12 elements in 1 mask, which no optimizer trains" in told


@pytest.mark.parametrize("name", ["best_loss", "callback/best", "best_val_accuracy"])
def test_the_best_so_far_is_no_parameter_and_may_be_infinite(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, DENSE | {name: number(np.inf)})
    assert info(path).parameters == 15
    report = check(path)
    assert report.sound
    [finding] = [one for one in report.findings if one.code is Code.NOT_FINITE]
    assert finding.remedy is None


@pytest.mark.parametrize("name", ["loss", "val_accuracy", "run/best_score", "f1"])
def test_a_scalar_that_was_measured_is_no_parameter(tmp_path: Path, name: str) -> None:
    scalar = {name: number(0.5)}
    assert info(saved(tmp_path, DENSE | scalar)).parameters == 15
    array = {name: values(7, 3)}
    is_state = name.endswith("best_score")
    assert info(saved(tmp_path, DENSE | array, "array")).parameters == 15 + 3 * (not is_state)
    trained = DENSE | scalar | {f"{name}/Momentum": number(0.1)}
    assert info(saved(tmp_path, trained, "trained")).parameters == 16


# PyTorch's names.


def torch(directory: Path, arrays: dict[str, Array]) -> str:
    path = directory / "model.safetensors"
    save_file({name: np.array(array) for name, array in arrays.items()}, path)
    return str(path)


STATE = {
    f"optimizer/state/{i}/{word}": values(i, *shape) if shape else number(120)
    for i, each in enumerate([(4, 3), (3,)])
    for word, shape in (("exp_avg", each), ("exp_avg_sq", each), ("step", ()))
}


def test_steps_of_parameters_are_no_step_of_the_training(tmp_path: Path) -> None:
    model = {"model/a.weight": values(1, 4, 3), "model/b.bias": values(2, 3)}
    path = torch(tmp_path, model | STATE)
    state = info(path).training
    assert (state.step, state.iterations) == (None, 120)
    assert [entry.step for entry in open_run(path).entries] == [None]
    assert "not tell" in verdict(optimizer(path))
    other = torch(tmp_path, model | STATE | {"optimizer/state/1/step": number(90)})
    assert info(other).training.iterations is None
    lone = torch(tmp_path, {"w": values(1, 5)} | STATE)
    with pytest.raises(UsageError, match="4 slots, and nothing tells of which weights they are"):
        optimizer(lone)


def test_codes_beside_their_scale_are_weights(tmp_path: Path) -> None:
    codes = {"l.weight": np.ones((4, 3), np.int8), "l.bias": values(1, 4)}
    assert info(torch(tmp_path, codes)).parameters == 4
    for scale in ("l.weight_scale", "l.SCB", "l.weight.absmax"):
        found = info(torch(tmp_path, codes | {scale: values(2, 4)}))
        assert found.parameters == 20


def test_masks_of_modules_are_no_parameters_and_may_be_infinite(tmp_path: Path) -> None:
    mask = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    path = torch(tmp_path, {"l.weight": values(1, 4, 3), "l.causal_mask": mask})
    assert info(path).parameters == 12
    assert check(path).sound


# No gradient.


@pytest.mark.parametrize(
    ("kind", "settings", "iterations", "told"),
    [
        ("Adam", {"beta_1": 0.9, "beta_2": 0.999}, 40_000, False),
        ("Adam", {"beta_1": 0.9, "beta_2": 0.999}, 60_000, True),
        ("Adam", {"beta_1": 0.9, "beta_2": 0.9}, 1000, True),
        ("RMSprop", {"rho": 0.9}, 400, False),
        ("RMSprop", {"rho": 0.9}, 500, True),
        ("SGD with momentum", {"momentum": None}, 10, True),
        ("Adagrad", {}, 10**9, False),
        ("Adam with AMSGrad", {"beta_2": 0.5}, None, False),
        ("Adam", {"beta_2": 0.999}, None, True),
        (None, {}, 10, True),
    ],
)
def test_how_long_slots_remember(
    kind: str | None, settings: dict[str, float | None], iterations: int | None, *, told: bool
) -> None:
    known = {name: Hyperparameter(value, "config") for name, value in settings.items()}
    assert forgets(kind, known, iterations) is told


def test_slots_that_forget_only_show_no_gradient(tmp_path: Path) -> None:
    moments = values(2, 10, 4)
    moments[3:6] = 0
    arrays = {"e/embeddings": values(1, 10, 4), "e/embeddings/Momentum": moments}
    audit = optimizer(saved(tmp_path, arrays | step(20_000)))
    assert verdict(audit).endswith("3 of the 10 rows of e/embeddings show no gradient.")


@pytest.mark.parametrize(("sums", "n_told"), [((7.25, 3.5), 0), ((0.1, 3.5), 1), ((7.25, 7.25), 2)])
def test_an_accumulator_of_equal_gradients_is_one_number_too(
    tmp_path: Path, sums: tuple[float, float], n_told: int
) -> None:
    arrays = {"a/kernel": values(1, 4, 3), "a/kernel/Adagrad": np.abs(values(2, 4, 3))}
    for name, value in zip(("b", "c"), sums, strict=True):
        arrays[f"{name}/bias"] = values(3, 3)
        arrays[f"{name}/bias/Adagrad"] = np.full(3, value, np.float32)
    findings = check(saved(tmp_path, arrays | step(5000))).findings
    assert sum(one.code is Code.NEVER_TRAINED for one in findings) == n_told


@pytest.mark.parametrize("bias", [(16,), (2, 16)])
def test_a_gate_without_input_still_hears_its_state(tmp_path: Path, bias: tuple[int, ...]) -> None:
    kernel = values(1, 5, 16)
    kernel[:, 3] = 0
    alone = {"cell/kernel": kernel}
    assert check(saved(tmp_path, alone, "alone")).findings[0].code is Code.DEAD_UNITS
    cell = alone | {"cell/recurrent_kernel": values(2, 4, 16), "cell/bias": values(4, *bias)}
    assert check(saved(tmp_path, cell, "cell")).findings == ()
    other = alone | {"cell/bias": values(4, 2, 16)}
    assert check(saved(tmp_path, other, "other")).findings == ()


def test_a_variance_that_is_measured_may_be_zero(tmp_path: Path) -> None:
    zero = np.zeros(3, np.float32)
    measured = {"n/mean": zero, "n/variance": zero, "n/count": number(9, "int64")}
    assert check(saved(tmp_path, DENSE | measured)).findings == ()
    moving = DENSE | {"bn/moving_variance": zero}
    assert check(saved(tmp_path, moving, "m")).findings[0].code is Code.ZERO_VARIANCE


# What is best, and where.


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("elbo", None), ("energy", None), ("entropy", None), ("objective", None), ("power", None),
        ("previous_step", None), ("val_cancer_auc", "max"), ("incorrect", "min"),
        ("categorical_crossentropy", "min"), ("wer", "min"), ("val_mape", "min"), ("val_r2", "max"),
        ("val_perplexity", "min"), ("accelerator_use", None), ("indices", None),
        ("elbo_loss", "min"), ("valacc", "max"), ("hits@10", "max"), ("white_noise", None),
        ("mAP", "max"),
    ],
)  # fmt: skip
def test_words_within_words_tell_no_best(name: str, mode: str | None) -> None:
    assert told_mode(name) == mode


@pytest.mark.parametrize(
    ("names", "held", "how"),
    [
        ("w_epoch1-0.72 w_epoch3-0.34", (2, 4), "by the epoch and the metric of the names"),
        ("w_epoch1-0.91 w_epoch3-0.53", (1, 3), "taken to count from 1"),
        ("w_epoch2 w_epoch4", (2, 4), "taken to count from 1"),
        ("w_epoch2 w_epoch5", (2, 5), "of the names"),
    ],
)
def test_names_may_count_from_0_as_the_log_does(
    tmp_path: Path, names: str, held: tuple[int, int], how: str
) -> None:
    losses = [0.91, 0.72, 0.53, 0.34, 0.25]
    lines = [f"{i},{loss}" for i, loss in enumerate(losses)]
    (tmp_path / "log.csv").write_text("\n".join(["epoch,val_loss", *lines]), encoding="utf-8")
    for name in names.split():
        saved(tmp_path, DENSE, name)
    result = history(tmp_path / "log.csv", open_run(tmp_path))
    found = result.holders
    assert found.is_supposed == ("taken" in how)
    if result.best is not None and result.best.checkpoint is not None:
        assert history_verdict(result).endswith("as far as can be told.") == found.is_supposed
    assert tuple(sorted(found.kept)) == held
    assert how in found.how
    assert found.how.endswith("from 0") == ("taken" in how)


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        ("step_1k step_2k step_10k", (1000, 2000, 10_000)),
        ("iter-1M iter-3M", (1_000_000, 3_000_000)),
        ("model-10k model-20k", (None, None)),
        ("step_1kg step_2kg", (1, 2)),
        ("client_1 client_2 client_3", (None, None, None)),
    ],
)
def test_thousands_in_names_are_thousands(
    tmp_path: Path, names: str, steps: tuple[int | None, ...]
) -> None:
    for name in names.split():
        saved(tmp_path, DENSE, name)
    assert open_run(tmp_path).steps == steps


def test_a_run_of_two_optimizers_has_no_one_count(tmp_path: Path) -> None:
    for n, (one, other) in enumerate([(5, 5), (10, 20)]):
        counts = {"a_optimizer/iterations": one, "b_optimizer/iterations": other}
        saved(tmp_path, DENSE | {k: number(v, "int64") for k, v in counts.items()}, f"ckpt-{n + 1}")
    run = open_run(tmp_path)
    assert [entry.iterations for entry in run.entries] == [5, None]
    assert [info(run[i]).training.iterations for i in range(2)] == [5, None]
    wrapped = {"scale_optimizer/iterations": 7, "scale_optimizer/inner_optimizer/iterations": 6}
    arrays = DENSE | {k: number(v, "int64") for k, v in wrapped.items()}
    path = saved(tmp_path / "..", arrays, "wrapped")
    assert (open_run(path).entries[0].iterations, info(path).training.iterations) == (6, 6)


def test_other_values_under_other_names_are_not_called_the_same(tmp_path: Path) -> None:
    one = {"left/a/kernel": values(1, 4, 3), "left/b/kernel": values(2, 4, 3)}
    other = {"right/a/kernel": values(3, 4, 3), "right/b/kernel": values(4, 4, 3)}
    result = diff(saved(tmp_path, one, "one"), saved(tmp_path, other, "other"))
    assert diff_verdict(result).startswith("2 variables that are alike under other names")
    moved = {name.replace("left", "right"): array for name, array in one.items()}
    same = diff(saved(tmp_path, one, "one"), saved(tmp_path, moved, "moved"))
    assert diff_verdict(same).startswith("The same 2 variables under other names")


def test_names_that_differ_in_words_have_no_latest_and_no_largest_group(tmp_path: Path) -> None:
    for name in ("alpha", "beta", "gamma"):
        saved(tmp_path, DENSE, name)
    run = open_run(tmp_path)
    assert len(run.groups) == 3
    latest = next(one for one in run.claims if one.claim == "latest")
    assert latest.source == "the only one of its group"
    assert "of one model under 3 names one was taken" in run.notes[0]
    assert "drift and track take group A" in "\n".join(runs_page(run).piped())


def test_what_lies_beside_weights_is_an_optimizers_if_it_is_called_so(tmp_path: Path) -> None:
    weights = {f"{n}/w": values(i, 4, 3) for i, n in enumerate("ab")}
    fisher = weights | {f"{name}/fisher": array for name, array in weights.items()}
    found = info(saved(tmp_path, fisher, "fisher"))
    assert (found.parameters, found.trainable_parameters) == (24, None)
    assert "no optimizer state, beside 96 B of state" in sentence_of(found)
    belief = weights | {f"{name}/AdaBelief": array for name, array in weights.items()}
    named = info(saved(tmp_path, belief, "belief"))
    assert (named.parameters, named.trainable_parameters) == (24, 24)


def test_a_rate_is_told_by_the_variable_that_has_it(tmp_path: Path) -> None:
    found = info(saved(tmp_path, DENSE | {"agent/lr": number(0.125)}))
    [claim] = [one for one in found.evidence if one.claim == "learning_rate"]
    assert (claim.value, claim.source) == (0.125, "variable lr")


def test_the_claims_on_the_checkpoints_of_a_run_are_told_once(tmp_path: Path) -> None:
    for n, count in enumerate((10, 20, 5)):
        saved(tmp_path, DENSE | step(count), f"model.ckpt-{n}")
    reports = [check(tmp_path / f"model.ckpt-{n}", quick=True) for n in range(3)]
    rising, all_three = run_claims(reports[:2], ()), run_claims(reports, ())
    assert [(c.claim, c.value, c.source) for c in rising] == [
        ("step of all 2", "10 to 20", "global_step")
    ]
    assert [(c.claim, c.value) for c in all_three] == [("step of all 3", "10, 20, 5")]
    saved(tmp_path, DENSE, "bare")
    mixed = run_claims([*reports, check(tmp_path / "bare", quick=True)], ())
    assert [c.claim for c in mixed] == [
        "step of model.ckpt-0, model.ckpt-1, model.ckpt-2",
        "step of bare",
    ]


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_zeros_and_ones_are_equal_without_being_one(tmp_path: Path, fill: float) -> None:
    same = np.full(8, fill, np.float32)
    one = {"enc/conv/kernel": values(1, 3, 8), "enc/conv/gamma": same}
    other = {"transformer/q/kernel": values(2, 16, 8), "transformer/ln/gamma": same}
    result = diff(saved(tmp_path, one, "one"), saved(tmp_path, other, "other"))
    assert [v.name for v in result.variables if v.renamed_from] == []
    moved = {name.replace("enc/", "net/enc/"): array for name, array in one.items()}
    renamed = diff(saved(tmp_path, one, "one"), saved(tmp_path, moved, "moved"))
    assert sum(v.renamed_from is not None for v in renamed.variables) == 2
    one_file, other_file = str(tmp_path / "one.npz"), str(tmp_path / "other.npz")
    np.savez(one_file, **cast("Any", one))
    np.savez(other_file, **cast("Any", other))
    pairs = [v for v in diff(one_file, other_file).variables if v.renamed_from]
    assert all(v.confidence and v.confidence < 1 for v in pairs)


def test_arrays_of_any_kind_are_no_weights_until_a_name_says_so(tmp_path: Path) -> None:
    data, model = tmp_path / "data.npz", tmp_path / "model.npz"
    np.savez(data, **cast("Any", {"x": values(1, 3, 3), "y": np.arange(3)}))
    np.savez(model, **cast("Any", DENSE))
    told = info(data)
    assert sentence_of(told) == "2 arrays, 9 parameters if those of floating numbers are weights."
    [claim] = [one for one in told.evidence if one.claim == "parameters"]
    assert str(claim.strength) == "derived"
    assert sentence_of(info(model)).startswith("Weights only: 15 parameters")
    np.save(tmp_path / "one.npy", values(1, 3))
    assert sentence_of(info(tmp_path / "one.npy")).startswith("1 array, 3 parameters if")


def test_numbers_that_happen_to_be_the_same_only_suppose_who_holds_what(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        saved(tmp_path, DENSE, f"model_{n}")
    (tmp_path / "log.json").write_text('{"loss": [3, 2, 1]}', encoding="utf-8")
    result = history(tmp_path / "log.json", open_run(tmp_path))
    assert result.holders.is_supposed
    assert history_verdict(result).endswith("model_3, as far as can be told.")


AS_THEY_BEGAN = "no step was made, no gradient came, or the slots were reset"


@pytest.mark.parametrize(
    ("n", "told"),
    [
        (0, "its iterations stand at 0. What the slots alone tell:"),
        (800, "the learning rate of the last step is not in the file. What the slots alone tell:"),
    ],
)
def test_slots_of_zeros_may_have_been_reset(tmp_path: Path, n: int, told: str) -> None:
    zeros = {f"{k}/{w}": np.zeros_like(v) for k, v in DENSE.items() for w in ("Adam", "Adam_1")}
    counted = dict(zip(("beta1_power", "beta2_power"), powers(n), strict=True))
    path = saved(tmp_path, DENSE | zeros | counted)
    assert verdict(optimizer(path)).endswith(f"{told} All slots are as they began.")
    resets = [one for one in check(path).findings if one.code is Code.MOMENTS_RESET]
    assert len(resets) == (n > 0)


SLOTS_THAT_BEGAN = {
    "RMSProp": {"RMSProp": 1.0, "RMSProp_1": 0.0},
    "centered RMSProp": {"RMSProp": 1.0, "RMSProp_1": 0.0, "RMSProp_2": 0.0},
    "Momentum": {"Momentum": 0.0},
    "Adam": {"Adam": 0.0, "Adam_1": 0.0},
}


@pytest.mark.parametrize("kind", SLOTS_THAT_BEGAN)
def test_slots_that_just_began_tell_of_no_update(tmp_path: Path, kind: str) -> None:
    slots = {f"{k}/{word}": np.full_like(v, first) for k, v in DENSE.items()
             for word, first in SLOTS_THAT_BEGAN[kind].items()}  # fmt: skip
    beside = {"learning_rate": number(0.1)}
    if kind != "Momentum":
        beside |= dict(zip(("beta1_power", "beta2_power"), powers(40), strict=True))
    found = optimizer(saved(tmp_path, DENSE | slots | beside))
    assert AS_THEY_BEGAN in verdict(found)
    assert verdict(found).endswith("All slots are as they began.")
    assert "nothing" not in str(found)
    assert {w.without_gradient == w.elements for w in found.weights} == {True}
    assert found.update_ratio == 0 or found.to_dict()["weights"][0]["update_l2"] is None
    assert found.optimizers[0].to_dict()["recomputed"] is False


# Counters of which neither is above the other.


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"a/step": 4, "b/step": 9}, None),
        ({"a/step": 4, "b/step": 4}, 4),
        ({"a/step": 4, "a/inner/step": 9}, 4),
        ({"a/step": 4, "b/deep/step": 9}, None),
        ({"step": 4, "b/step": 9, "c/step": 8}, 4),
        ({"global_step": 4, "a/step": 1, "b/step": 9}, 4),
    ],
)
def test_counters_beside_each_other_tell_a_step_where_they_agree(
    tmp_path: Path, counts: dict[str, int], told: int | None
) -> None:
    for n in (1, 2):
        numbers = {name: number(n * count, "int64") for name, count in counts.items()}
        saved(tmp_path, DENSE | numbers, "alpha" * n)
    first = info(tmp_path / "alpha")
    assert first.training.step == told
    assert open_run(tmp_path / "alpha").steps == (told,)
    [claim] = [one for one in first.evidence if one.claim == "step"]
    assert (told is None) == (str(claim.strength) == "unknown")
    [of_run] = [one for one in open_run(tmp_path / "alpha").claims if one.claim == "step"]
    for name in counts if told is None else ():
        assert f"{name} is {counts[name]}" in claim.source
        assert f"{name} is {counts[name]}" in facts(first)
        assert name in " ".join(of_run.against)


def test_counters_of_epochs_that_differ_are_no_epoch(tmp_path: Path) -> None:
    epochs = {f"{name}/epoch": number(n, "int64") for name, n in (("gen", 3), ("disc", 5))}
    path = saved(tmp_path, DENSE | epochs)
    assert info(path).training.epoch is None
    assert open_run(path).entries[0].epoch is None


# Sizes in names.


@pytest.mark.parametrize(
    ("names", "apart", "told"),
    [
        ("net_64 net_128 net_256", 0, False),
        ("net_64 net_128 net_256", 60, True),
        ("net-64 net-128 net-256", 0, True),
        ("net_step_64 net_step_128", 0, True),
        ("net_100 net_200", 0, True),
        ("net64d net128d", 0, False),
    ],
)
def test_sizes_are_steps_only_with_other_evidence(names: str, apart: float, *, told: bool) -> None:
    given = names.split()
    [series] = read_series(given, [1e9 + apart * n for n in range(len(given))])
    assert all((one.step is not None) == told for one in series.numbers)
    assert bool(series.doubt) != told


# Two trainings under equal names.


def test_weights_of_other_trainings_are_not_said_to_have_moved(tmp_path: Path) -> None:
    first, other = ({f"l{i}/kernel": values(10 * s + i, 40, 50) for i in range(3)} for s in (1, 2))
    near = {name: array + np.float32(0.1) for name, array in first.items()}
    paths = [
        saved(tmp_path, arrays, n) for n, arrays in zip("abc", (first, other, near), strict=True)
    ]
    told = diff_verdict(diff(paths[0], paths[1]))
    assert "moved" not in told
    assert "cosines near 0, as of two trainings from different starts" in told
    assert "as of two trainings" in drift_verdict(drift(paths[:2]))
    assert "the weights moved" in diff_verdict(diff(paths[0], paths[2]))
    assert "two trainings" not in drift_verdict(drift([paths[0], paths[2]]))


def test_few_elements_tell_no_other_training(tmp_path: Path) -> None:
    one, other = (saved(tmp_path, {"w": values(s, 4, 4)}, f"w{s}") for s in (1, 2))
    assert diff_verdict(diff(one, other)).startswith("The only variable changed; the weights moved")
    by_index = drift_verdict(drift([one, other], index_only=True))
    assert by_index.startswith("The only variable changed.")


def test_one_statistic_is_no_plural(tmp_path: Path) -> None:
    told = facts(info(saved(tmp_path, DENSE | {"bn/moving_mean": values(3, 1)})))
    assert "1 batch-norm statistic;" in told


def test_what_a_centered_mean_holds_is_no_update(tmp_path: Path) -> None:
    """Of TensorFlow 1's RMSProp the last slot is the momentum: the mean comes between."""
    words = ("RMSProp", "RMSProp_1", "RMSProp_2")
    slots = {f"{k}/{word}": np.full_like(v, n + 1.0)
             for k, v in DENSE.items() for n, word in enumerate(words)}  # fmt: skip
    for weight in optimizer(saved(tmp_path, DENSE | slots)).weights:
        assert weight.update_l2 == pytest.approx(3 * weight.elements**0.5)


def test_slots_of_two_optimizers_tell_of_no_last_update(tmp_path: Path) -> None:
    words = ("Adam", "Adam_1", "Adam_2", "Adam_3")
    slots = {f"{k}/{word}": np.abs(v) for k, v in DENSE.items() for word in words}
    beside = dict(zip(("beta1_power", "beta2_power"), powers(40), strict=True))
    found = optimizer(saved(tmp_path, DENSE | slots | beside | {"learning_rate": number(0.1)}))
    assert "there are more slots than one Adam keeps" in verdict(found)


def test_what_is_assumed_of_an_optimizer_is_shown(tmp_path: Path) -> None:
    """Of a stranger's they may be others; what a file holds is shown without such a word."""
    slots = {f"{k}/Momentum": np.abs(v) for k, v in DENSE.items()}
    rate = {"learning_rate": number(0.1)}
    text = " ".join(str(optimizer(saved(tmp_path, DENSE | slots | rate))).split())
    assert "nesterov False: defaults, assumed; the file does not hold it" in text
    assert "the slots and the rate as saved, with defaults assumed for nesterov." in text
    with_adam = optimizer(saved(tmp_path, DENSE | adam(*DENSE, **DENSE) | rate, "adam"))
    assert "weight_decay 0.9, 0.999, 1e-08, 0: defaults, assumed" in " ".join(
        str(with_adam).split()
    )
    told = optimizer("fixtures/keras_compiled/compiled.keras")
    assert "weight_decay" not in str(told)
    assert "assumed" not in str(told)


@pytest.mark.parametrize(
    ("word", "stem", "shown"),
    [
        ("step", "model.ckpt-{}", "5 by file name; a/step is 4, b/step is 9"),
        ("save_counter", "model.ckpt-{}",
         "5 by file name; a/save_counter is 4, b/save_counter is 9"),
        ("epoch", "weights_epoch{}", "5 by file name; a/epoch is 4, b/epoch is 9"),
        ("epoch", "weights", "unknown: a/epoch is 4, b/epoch is 9"),
    ],
)  # fmt: skip
def test_where_a_name_tells_what_counters_differ_on_the_screen_says_so(
    tmp_path: Path, word: str, stem: str, shown: str
) -> None:
    told = "neither is above the other"
    for n in (5, 6):
        counts = {f"a/{word}": number(4, "int64"), f"b/{word}": number(n + 4, "int64")}
        saved(tmp_path, DENSE | counts, stem.format(n))
    path = tmp_path / stem.format(5)
    if "{" in stem:
        first = info(path)
        assert " ".join(shown.split()) in " ".join(facts(first).split())
        names = (f"a/{word}", f"b/{word}")
        [note] = [one for one in open_run(tmp_path).notes if told in one]
        assert all(name in note for name in names)
        [claim] = [
            one for one in first.evidence if one.claim == ("epoch" if word == "epoch" else "step")
        ]
        assert any(told in one for one in claim.against)
    else:
        counts = {"a/epoch": number(4, "int64"), "b/epoch": number(9, "int64")}
        one = info(saved(tmp_path, DENSE | counts, "weights"))
        assert shown in " ".join(facts(one).split())
        assert {str(c.strength) for c in one.evidence if c.claim == "epoch"} == {"unknown"}


def test_a_directory_of_two_trainings_says_what_told_it(tmp_path: Path) -> None:
    """And not by which training: a copy in two goes has such times too."""
    for n, seconds in ((4, 0), (5, 100), (6, 200), (1, 9000), (2, 9100), (3, 9200)):
        prefix = saved(tmp_path, DENSE, f"model.ckpt-{n}")
        for suffix in (".index", ".data-00000-of-00001"):
            os.utime(f"{prefix}{suffix}", (1.7e9 + seconds,) * 2)
    run = open_run(tmp_path)
    assert run.steps == (4, 5, 6, 1, 2, 3)
    claims = {one.claim: one for one in run.claims}
    assert (str(claims["order"].strength), claims["order"].value) == ("derived", "by time")
    assert (claims["latest"].value, claims["latest"].source) == ("model.ckpt-3", "saved last")
    [note] = run.notes
    assert "as where a directory is trained into twice" in note
    assert "order" in {one["claim"] for one in drift(tmp_path).to_dict()["evidence"]}
    assert "order" in {one["claim"] for one in run.to_dict()["evidence"]}
