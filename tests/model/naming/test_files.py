"""Names and roles of whole files: the fixtures of every era, and real checkpoints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ckread.model.opening import open_checkpoint
from ckread.model.role import Role
from ckread.model.tree import Parameters, count_parameters, total_by_role

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.model.checkpoint import Checkpoint

OTHERS = {
    "Variable": "int32 of a graph without names: ardiya's counter of batches",
    "is_trained": "bool of TensorFlow Decision Forests: neither counted nor trained",
}
"""Every variable of a real checkpoint that has no role, by name, with the reason."""


def assert_consistent(checkpoint: Checkpoint) -> None:
    names = [variable.name for variable in checkpoint.values()]
    assert len(set(names)) == len(names) == len(checkpoint.reader.tensors)
    for variable in checkpoint.values():
        if variable.owner is not None:
            owner = checkpoint[variable.owner]
            assert owner.role not in (Role.SLOT, Role.ALIAS)
        if variable.role is Role.STATISTIC:
            assert variable.trainable is False
        if variable.role not in (Role.WEIGHT, Role.STATISTIC):
            assert variable.trainable is None
        assert (variable.slot is None) or variable.role in (Role.SLOT, Role.AVERAGE)
    nbytes = sum(total.nbytes for total in total_by_role(checkpoint.kinds).values())
    assert nbytes == sum(record.nbytes for record in checkpoint.reader.tensors.values())


def test_real_checkpoints(real_dir: Path) -> None:
    """Names are unique in each file, and every `other` has its reason."""
    rows = json.loads((real_dir / "manifest.json").read_text(encoding="utf-8"))
    n_opened = 0
    for row in rows:
        with open_checkpoint(real_dir / row["path"]) as checkpoint:
            n_opened += 1
            assert_consistent(checkpoint)
            for variable in checkpoint.values():
                if variable.role is Role.OTHER:
                    assert variable.name in OTHERS, (row["path"], variable)
                if variable.role is Role.SLOT:
                    assert variable.owner is not None, (row["path"], variable)
    assert n_opened == len(rows) == 179


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (
            "index_only/google-research__t5x/t5x/testdata/mtf_tiny_t5/model.ckpt-0",
            {"decoder/block_000/layer_000/SelfAttention/k_slot_v": Role.SLOT},
        ),
        (
            "siddharthverma314__dads/policy",
            {"ActorDistributionNetwork/EncodingNetwork/dense/kernel": Role.WEIGHT},
        ),
        (
            "google-deepmind__sonnet/sonnet__src__conformance__checkpoints__batch_norm_1x2x2x3/"
            "checkpoint-1",
            {
                "batch_norm/scale": Role.WEIGHT,
                "moving_mean/hidden": Role.STATISTIC,
                "moving_mean/counter": Role.COUNTER,
            },
        ),
        (
            "keras-team__tf-keras/tf_keras__mixed_precision__testdata__lso_ckpt_tf2.2/ckpt",
            {
                "sequential/dense/kernel": Role.WEIGHT,
                "optimizer/base_optimizer/sequential/dense/kernel/momentum": Role.SLOT,
                "optimizer/base_optimizer/iterations": Role.COUNTER,
                "optimizer/loss_scale/current_loss_scale": Role.HYPERPARAMETER,
                "optimizer/loss_scale/good_steps": Role.COUNTER,
            },
        ),
        (
            "spotify__basic-pitch/basic_pitch__saved_models__icassp_2022__nmp",
            {
                "batch_normalization/moving_mean": Role.STATISTIC,
                "optimizer/conv2d_1/kernel/m": Role.SLOT,
                "keras_api/metrics/0/total": Role.METRIC,
            },
        ),
        (
            "index_only/google-deepmind__kinetics-i3d/data/checkpoints/rgb_scratch_kin600/model.ckpt",
            {
                "Conv3d_1a_7x7/batch_norm/beta/Momentum": Role.SLOT,
                "Conv3d_1a_7x7/batch_norm/moving_mean": Role.STATISTIC,
            },
        ),
    ],
)
def test_names_in_real_checkpoints(real_dir: Path, path: str, names: dict[str, Role]) -> None:
    with open_checkpoint(real_dir / path) as checkpoint:
        assert {name: checkpoint[name].role for name in names} == names


def test_a_graph_in_a_missing_shard_leaves_key_paths(real_dir: Path) -> None:
    folder = real_dir / "index_only/google-deepmind__sonnet/sonnet/src/conformance/checkpoints"
    with open_checkpoint(folder / "resnet50" / "checkpoint-1") as checkpoint:
        assert_consistent(checkpoint)
        assert any("object graph" in warning for warning in checkpoint.warnings)
        assert {variable.role for variable in checkpoint.values()} >= {Role.WEIGHT, Role.COUNTER}


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("digits_run/ckpt-10", Parameters(38_474, 38_378)),
        ("digits_export", Parameters(38_474, 38_378)),
        ("tf115_saver/model.ckpt-20", Parameters(1_234, 1_226)),
        ("tf115_saved_model", Parameters(1_234, 1_226)),
        ("tf23_keras2/object", Parameters(251, 243)),
        ("tf23_keras2/save_weights", Parameters(251, 243)),
        ("tf23_keras2/saved_model", Parameters(251, 243)),
        ("keras2_new/object", Parameters(71, 63)),
        ("keras2_new/save_weights", Parameters(71, 63)),
        ("keras2_new/saved_model", Parameters(71, 63)),
        ("six_ways/functional/object", Parameters(220, None)),
    ],
)
def test_parameters_of_the_fixtures(fixtures_dir: Path, path: str, parameters: Parameters) -> None:
    with open_checkpoint(fixtures_dir / path) as checkpoint:
        assert_consistent(checkpoint)
        assert count_parameters(checkpoint.kinds) == parameters


def test_one_training_in_three_containers_has_the_same_names(fixtures_dir: Path) -> None:
    """Keras 2: a checkpoint, `save_weights` and a SavedModel, weights and slots alike."""
    for folder in ("tf23_keras2", "keras2_new"):
        found = []
        for container in ("object", "save_weights", "saved_model"):
            with open_checkpoint(fixtures_dir / folder / container) as checkpoint:
                roles = (Role.WEIGHT, Role.STATISTIC, Role.SLOT, Role.HYPERPARAMETER)
                found.append({v.name: v.owner for v in checkpoint.values() if v.role in roles})
        assert found[0] == found[1] == found[2]
        assert "stem/kernel" in found[0]


def test_names_agree_over_a_run_and_its_export(fixtures_dir: Path) -> None:
    names = []
    for path in ("digits_run/ckpt-1", "digits_run/ckpt-10", "digits_export"):
        with open_checkpoint(fixtures_dir / path) as checkpoint:
            roles = (Role.WEIGHT, Role.STATISTIC)
            names.append({v.name for v in checkpoint.values() if v.role in roles})
    assert names[0] == names[1] == names[2]
    assert {"conv1/kernel", "norm1/moving_mean", "logits/bias"} < names[0]


def test_every_slot_of_tensorflow_1_has_its_owner(fixtures_dir: Path) -> None:
    for name in ("adadelta", "adagrad", "ftrl", "momentum", "rmsprop"):
        with open_checkpoint(fixtures_dir / "tf115_saver" / "slots" / f"{name}.ckpt") as checkpoint:
            slots = [v for v in checkpoint.values() if v.role is Role.SLOT]
            assert {slot.owner for slot in slots} == {"dense/kernel", "dense/bias"}
            assert len(slots) == len(checkpoint) - 2


def test_partitioned_variables_have_their_full_name(fixtures_dir: Path) -> None:
    with open_checkpoint(fixtures_dir / "tf115_saver" / "model.ckpt-20") as checkpoint:
        assert checkpoint["emb/table"].shape == (100, 8)
        assert checkpoint["emb/table/Adam_1"].owner == "emb/table"
        assert checkpoint["emb/table/ExponentialMovingAverage"].role is Role.AVERAGE


def test_tables_and_iterators(fixtures_dir: Path) -> None:
    with open_checkpoint(fixtures_dir / "strings" / "tables") as checkpoint:
        assert checkpoint["words/table-keys"].role is Role.TABLE
        assert [v.name for v in checkpoint.values() if v.role is Role.OTHER] == ["note"]
    with open_checkpoint(fixtures_dir / "strings" / "iterator") as checkpoint:
        assert checkpoint["iterator/ITERATOR_STATE"].role is Role.ITERATOR
