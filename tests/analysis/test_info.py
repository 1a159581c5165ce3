"""The summary of a checkpoint: totals that add up, honest unknowns, warnings."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest

import ckread
from ckread.analysis.info import (
    MAX_LOST_NAMES,
    CheckpointSummary,
    _lost_warnings,
    find_keras,
    find_writer,
    summarise,
)
from ckread.analysis.training import TrainingState
from ckread.errors import CheckpointError
from ckread.model.role import Role
from ckread.readers.contract import StoredFile
from ckread.views.info.facts import sentence_of
from ckread.views.json_document import encode
from tests.analysis.array_checkpoint import checkpoint
from tests.builders import write_bundle
from tests.places import FIXTURES, frozen

if TYPE_CHECKING:
    from pathlib import Path


def summary_of(path: str | Path) -> CheckpointSummary:
    with ckread.open(path) as checkpoint:
        return summarise(checkpoint)


def test_a_run() -> None:
    document = summary_of(FIXTURES / "digits_run" / "ckpt-10").to_dict()
    for volatile in ("path", "files", "shards", "file_time"):
        document.pop(volatile)
    assert json.loads(encode(document)) == {
        "format": "tensor_bundle",
        "writer": "TensorFlow 2 with Keras 3",
        "saved": pytest.approx(1795240235, abs=1),
        "metadata": {},
        "shared": {"tied": {}, "equal": []},
        "step": 10,
        "epoch": None,
        "iterations": 900,
        "learning_rate": pytest.approx(3e-3 * 0.85**9, rel=1e-6),
        "save_counter": 10,
        "optimizer": {"kind": "Adam", "name": "optimizer"},
        "optimizers": document["optimizers"],
        "learning_rate_schedule": None,
        "loss": [],
        "metrics": [],
        "n_variables": 44,
        "parameters": 38474,
        "trainable_parameters": 38378,
        "non_trainable_parameters": 96,
        "nbytes": document["nbytes"],
        "roles": document["roles"],
        "dtypes": {"float32": 41, "int64": 2},
        "tags": [],
        "signatures": [],
        "layers": [],
        "assets": [],
        "hash_tables": [],
        "averages_apart": None,
        "masks": None,
        "evidence": document["evidence"],
        "warnings": [],
    }
    [adam] = document["optimizers"]
    assert (adam["name"], adam["kind"], adam["iterations"]) == ("optimizer", "Adam", 900)
    assert {
        claim["claim"]: (claim["value"], claim["strength"]) for claim in document["evidence"]
    } == {
        "step": (10, "stored"),
        "optimizer": ("Adam", "stored"),
        "learning_rate": (document["learning_rate"], "stored"),
        "parameters": (38474, "stored"),
        "trainable_parameters": (38378, "stored"),
    }
    assert document["roles"]["weight"] == {"variables": 12, "elements": 38378, "nbytes": 153512}


@pytest.mark.parametrize("prefix", sorted(frozen()))
def test_bytes_by_role_add_up_to_the_file(prefix: str) -> None:
    try:
        checkpoint = ckread.open(FIXTURES / prefix)
    except CheckpointError as error:
        pytest.skip(str(error))
    with checkpoint:
        summary = summarise(checkpoint)
        assert summary.nbytes == sum(variable.nbytes for variable in checkpoint.values())
        assert summary.n_variables == len(checkpoint)
        assert sum(t.elements for r, t in summary.roles.items() if r.is_parameter) == (
            summary.parameters
        )
        assert list(summary.roles) == [role for role in Role if role in summary.roles]
        json.loads(encode(summary.to_dict()))


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "digits_run/ckpt-10",
            "A Keras 3 model of 38,474 parameters, saved with Adam after 900 iterations.",
        ),
        (
            "digits_export",
            "A Keras 3 export of 38,474 parameters, without optimizer, for serving.",
        ),
        (
            "digits_files/digits.keras",
            "A Keras 3 model of 38,474 parameters, without optimizer state.",
        ),
        (
            "tf115_saver/model.ckpt-20",
            "A TensorFlow model of 1,234 parameters, saved with Adam at step 20.",
        ),
        (
            "tf115_saver/grid.ckpt",
            "Weights only: 35 parameters in 1 variable, no optimizer state.",
        ),
        (
            "keras2_new/saved_model",
            "A Keras 2 SavedModel of 71 parameters, saved with Adam after 2 iterations.",
        ),
        (
            "strings/tables/ckpt-1",
            "No weights: 8 variables, 224 B (1 counter, 6 lookup table tensors, 1 other variable).",
        ),
    ],
)
def test_the_sentence(path: str, sentence: str) -> None:
    assert sentence_of(summary_of(FIXTURES / path)) == sentence


def test_without_its_shard_names_and_totals_stay_and_a_warning_comes(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "digits_run" / "ckpt-10.index", tmp_path)
    summary = summary_of(tmp_path / "ckpt-10")
    assert summary.n_variables == 44
    assert summary.training.learning_rate is None
    assert summary.is_object_based
    assert [shard["present"] for shard in summary.to_dict()["shards"]] == [False]
    assert any("is missing" in warning for warning in summary.warnings)
    assert any(
        warning.startswith("The object graph is in a missing") for warning in summary.warnings
    )


def test_weights_that_will_not_come_back_are_named() -> None:
    summary = summary_of(FIXTURES / "keras3_object" / "adamw" / "ckpt-1")
    [warning] = summary.warnings
    first, *names, _ = warning.split("\n")
    assert first.startswith("4 of 12 weights come back only into an optimizer")
    assert [name.strip() for name in names] == list(summary.training.lost)
    assert len(names) <= MAX_LOST_NAMES


def test_the_time_comes_from_the_state_file_alone(tmp_path: Path) -> None:
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(FIXTURES / "digits_run" / f"ckpt-3{suffix}", tmp_path)
    assert summary_of(tmp_path / "ckpt-3").saved is None
    state = tmp_path / "checkpoint"
    state.write_text(
        'model_checkpoint_path: "ckpt-3"\n'
        'all_model_checkpoint_paths: "/elsewhere/ckpt-3"\n'
        "all_model_checkpoint_timestamps: 1763676000.25\n"
    )
    assert summary_of(tmp_path / "ckpt-3").saved == 1763676000.25
    state.write_bytes(b"\0 not a state file {")
    assert summary_of(tmp_path / "ckpt-3.index").saved is None


@pytest.mark.parametrize(
    ("path", "writer", "keras"),
    [
        ("digits_run/ckpt-1", "TensorFlow 2 with Keras 3", "Keras 3"),
        ("digits_export", "TensorFlow 2.21.0", "Keras 3"),
        ("keras2_new/object", "TensorFlow 2 with Keras 2", "Keras 2"),
        ("tf115_saver/model.ckpt-20", "TensorFlow 1.15.5", None),
        ("tf115_saver/grid.ckpt", None, None),
        ("strings/tables", "TensorFlow 2", None),
        ("digits_files/digits.keras", "Keras 3.15.1", "Keras 3"),
    ],
)
def test_the_writer(path: str, writer: str | None, keras: str | None) -> None:
    summary = summary_of(FIXTURES / path)
    assert (summary.writer, summary.keras) == (writer, keras)


# Figures where something else than weights holds the parameters.


def written(folder: Path, arrays: dict[str, Any]) -> CheckpointSummary:
    return summary_of(write_bundle(folder / "model.ckpt", arrays))


def test_averages_alone_have_the_figures_of_what_they_average(tmp_path: Path) -> None:
    kernel, mean = np.ones((3, 4), "f4"), np.ones(4, "f4")
    shadow = "ExponentialMovingAverage"
    averages = {f"a/kernel/{shadow}": kernel, f"bn/moving_mean/{shadow}": mean}
    found = written(tmp_path, averages | {"global_step": np.int64(7)})
    assert (found.parameters, found.trainable_parameters) == (16, None)
    assert found.averaged is not None
    assert (found.averaged.weights, found.averaged.statistics) == (12, 4)
    assert sentence_of(found) == (
        "Averages of 16 parameters, at step 7; the weights themselves are not here."
    )
    claims = {claim.claim: claim for claim in found.evidence}
    assert claims["parameters"].strength == "derived"
    both = written(tmp_path, averages | {"a/kernel": kernel, "bn/moving_mean": mean})
    assert (both.parameters, both.averaged) == (16, None)
    assert sentence_of(both) == (
        "Weights of 16 parameters and their averages, equal to them, without optimizer."
    )
    far = written(tmp_path, averages | {"a/kernel": kernel * 2, "bn/moving_mean": mean * 2})
    assert far.averages_apart == 0.5
    assert "50 % apart" in sentence_of(far)


def test_an_embedding_in_hash_tables_has_rows_and_a_dimension(tmp_path: Path) -> None:
    row = np.ones(8, "f4")
    arrays: dict[str, np.ndarray[Any, Any]] = {"w": row, "w/Adagrad": row}
    for part in (0, 1):
        for scope in (f"emb/part_{part}", f"emb/part_{part}/Adagrad"):
            arrays |= {f"{scope}-keys": np.arange(5), f"{scope}-values": np.ones((5, 3), "f4")}
    found = written(tmp_path, arrays)
    assert (found.parameters, found.trainable_parameters) == (38, 38)
    [table] = found.hash_tables
    assert table.to_dict() == {
        "name": "emb", "rows": 10, "dimension": 3, "parts": 2, "slots": ("Adagrad",),
    }  # fmt: skip


def test_a_weight_that_is_only_called_so_is_no_table(tmp_path: Path) -> None:
    arrays = {"q-values": np.ones(3, "f4"), "k-values": np.ones((3, 2), "f4")}
    found = written(tmp_path, arrays)
    assert (found.parameters, found.hash_tables) == (9, ())


def test_state_is_said_beside_the_model(tmp_path: Path) -> None:
    kernel = np.ones((3, 4), "f4")
    arrays = {"a/kernel": kernel, "a/kernel/Momentum": kernel, "a/mask": kernel}
    found = written(tmp_path, arrays)
    assert found.parameters == 12
    assert found.roles[Role.STATE].elements == 12
    assert sentence_of(found) == (
        "A TensorFlow model of 12 parameters, saved with Momentum, beside 48 B of state."
    )
    assert {claim.claim: claim.value for claim in found.evidence}["state"] == 12


def test_what_nothing_tells_is_unknown_with_what_would_tell(tmp_path: Path) -> None:
    found = written(tmp_path, {"a/kernel": np.ones(3, "f4")})
    [trainable] = [one for one in found.evidence if one.claim == "trainable_parameters"]
    assert (trainable.value, trainable.strength) == (None, "unknown")
    assert "slots" in trainable.source


@pytest.mark.parametrize("prefix", sorted(frozen()))
def test_every_claim_has_a_source_and_a_value_unless_it_is_unknown(prefix: str) -> None:
    try:
        found = summary_of(FIXTURES / prefix)
    except CheckpointError as error:
        pytest.skip(str(error))
    for claim in found.evidence:
        assert claim.source
        assert (claim.value is None) == (claim.strength == "unknown")


def test_a_summary_is_told_whole() -> None:
    arrays: dict[str, Any] = {
        "w": np.arange(6.0).reshape(2, 3), "w/m": np.ones((2, 3)), "v": np.ones(4, np.float32),
        "avg": np.zeros(4, np.float32), "step": np.array(7), "text": np.array([b"a"], object),
    }  # fmt: skip
    made = checkpoint(
        arrays, path="run/ckpt-7", owners={"w/m": ("w", "m"), "avg": ("v", "avg")},
        roles={"step": Role.COUNTER, "avg": Role.AVERAGE, "text": Role.STATE},
    )  # fmt: skip
    found = summarise(made)
    document = found.to_dict()
    assert document == {
        "path": "run/ckpt-7", "format": "tensor_bundle", "writer": None, "saved": None,
        "file_time": None, "files": [], "shards": [], "step": 7, "epoch": None,
        "iterations": None, "learning_rate": None, "save_counter": None,
        "optimizer": document["optimizer"], "optimizers": document["optimizers"],
        "learning_rate_schedule": None, "loss": (), "metrics": (), "n_variables": 6,
        "parameters": 10, "trainable_parameters": document["trainable_parameters"],
        "non_trainable_parameters": document["non_trainable_parameters"],
        "nbytes": document["nbytes"],
        "roles": {role: total.to_dict() for role, total in found.roles.items()},
        "dtypes": {"float64": 2, "float32": 2, "int64": 1, "string": 1},
        "tags": (), "metadata": {}, "signatures": [], "layers": [], "assets": (),
        "hash_tables": [], "averages_apart": 1.0, "masks": None,
        "shared": {"tied": {}, "equal": ()},
        "evidence": [claim.to_dict() for claim in found.evidence], "warnings": (),
    }  # fmt: skip
    assert {str(role): total.variables for role, total in found.roles.items()} == {
        "weight": 2, "state": 1, "slot": 1, "average": 1, "counter": 1,
    }  # fmt: skip
    assert document["nbytes"] == sum(total.nbytes for total in found.roles.values())
    assert found.nbytes - made["text"].nbytes == 136
    assert repr(found) == "<ckread.CheckpointSummary 'run/ckpt-7': 10 parameters>"
    assert found["step"].value == 7
    assert list(found.to_pandas().index) == list(document)
    trained = found.trainable_parameters
    assert found.non_trainable_parameters == (None if trained is None else 10 - trained)


@pytest.mark.parametrize("n", [1, MAX_LOST_NAMES, MAX_LOST_NAMES + 1, MAX_LOST_NAMES + 5])
def test_lost_weights_are_named_up_to_a_number(n: int) -> None:
    lost = tuple(f"layer{i}/kernel" for i in range(n))
    roles = {Role.WEIGHT: Mock(variables=40)}
    [warning] = _lost_warnings(TrainingState(lost=lost), roles)  # type: ignore[arg-type]
    first, *names, last = warning.split("\n")
    assert first.startswith(f"{n} of 40 weights come back only into an optimizer that is built")
    shown = [f"  {name}" for name in lost[:MAX_LOST_NAMES]]
    rest = [f"  and {n - MAX_LOST_NAMES} more"] if n > MAX_LOST_NAMES else []
    assert names == shown + rest
    assert last.startswith("Layers kept in a Python list or dict look like this")
    [alone] = _lost_warnings(TrainingState(lost=lost), {})
    assert alone.startswith(f"{n} of {n} weights")
    assert _lost_warnings(TrainingState(), roles) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("evidence", "keras", "writer"),
    [
        ({}, None, None),
        ({"keras_version": "3.1.0"}, "Keras 3", "Keras 3.1.0"),
        ({"keras_version": "2.9"}, "Keras 2", "Keras 2.9"),
        ({"meta_graph": Mock(tensorflow_version="1.15")}, None, "TensorFlow 1.15"),
        ({"saved_model": Mock(tensorflow_version="2.4"), "keras_version": "2.4"}, "Keras 2",
         "TensorFlow 2.4"),
        ({"meta_graph": Mock(tensorflow_version="")}, None, None),
    ],
)  # fmt: skip
def test_the_writer_by_its_versions(evidence: Any, keras: str | None, writer: str | None) -> None:
    made = checkpoint({"w": np.ones(2)})
    made.evidence = made.evidence._replace(**evidence)
    assert (find_keras(made), find_writer(made, keras)) == (keras, writer)


@pytest.mark.parametrize(
    ("names", "is_new", "keras", "writer"),
    [
        (["a"], None, None, "TensorFlow"), (["a"], True, None, "TensorFlow 2"),
        (["keras_api"], False, "Keras 2", "TensorFlow 2 with Keras 2"),
        (["layer_with_weights-0"], None, "Keras 2", "TensorFlow with Keras 2"),
        (["_operations"], None, "Keras 3", "TensorFlow 2 with Keras 3"),
        (["_trainable_variables", "_variables"], True, "Keras 3", "TensorFlow 2 with Keras 3"),
        (["_trainable_variables"], True, None, "TensorFlow 2"),
        (["keras_api", "_functional"], True, "Keras 3", "TensorFlow 2 with Keras 3"),
    ],
)  # fmt: skip
def test_the_writer_by_names_of_objects(
    names: list[str], is_new: bool | None, keras: str | None, writer: str
) -> None:
    made = checkpoint({"w": np.ones(2)})
    graph = Mock(by_local_names={frozenset(names): [0]}, variables={}, children=[[]])
    graph.nodes = [Mock(has_checkpoint_values=is_new)]
    made.evidence = made.evidence._replace(graph=graph)
    assert (find_keras(made), find_writer(made, keras)) == (keras, writer)


def test_a_saved_model_stands_for_the_index_of_its_variables() -> None:
    made = checkpoint({"w": np.ones(2)})
    index, shard = (
        StoredFile(name, 7, is_shard=s) for name, s in (("v.index", False), ("v.data", True))
    )
    made.reader.files = lambda: (index, shard)  # type: ignore[method-assign]
    assert [(file.path, file.is_shard) for file in summarise(made).files] == [
        ("v.index", False), ("v.data", True)
    ]  # fmt: skip
    model = Mock(path="s/saved_model.pb", nbytes=99, tags=(), signatures=(), assets=("a",))
    model.tensorflow_version = "2.9"
    made.evidence = made.evidence._replace(saved_model=model)
    found = summarise(made)
    assert found.files == (StoredFile("s/saved_model.pb", 99, is_shard=False), shard)
    assert (found.writer, found.assets) == ("TensorFlow 2.9", ("a",))
    assert found.to_dict()["shards"] == [{"file": "v.data", "nbytes": 7, "present": True}]
    model.path = "v.index"
    assert summarise(made).files == (index, shard)
