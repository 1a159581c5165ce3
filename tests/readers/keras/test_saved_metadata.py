"""What a SavedModel of Keras 2 says of its layers: read, or left out where it is damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import ckread
from ckread.readers.keras.config import parse_compiled
from ckread.readers.keras.saved_metadata import FILE_NAME, read_saved_layers
from tests.builders import bytes_field, varint_field
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

ADAM = {"class_name": "Adam", "config": {"name": "Adam", "learning_rate": 0.5}}
DENSE = {"class_name": "Dense", "config": {"name": "head", "trainable": True, "units": 2}}
MODEL = {"class_name": "Sequential", "config": {"name": "m", "layers": [DENSE]}}
TRAINING = {"loss": "mse", "metrics": ["mae"], "optimizer_config": ADAM}


def entry(node_id: int, metadata: Any, identifier: str = "_tf_keras_layer") -> bytes:
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    fields = varint_field(2, node_id) + bytes_field(4, identifier.encode()) + bytes_field(5, text)
    return bytes_field(1, fields)


ROOT = entry(0, {"name": "m", **MODEL, "training_config": TRAINING}, "_tf_keras_sequential")


def test_names_classes_and_what_it_was_compiled_with(tmp_path: Path) -> None:
    layer = entry(3, {"name": "head", **DENSE})
    metric = entry(9, {"name": "loss", "class_name": "Mean", "config": {}}, "_tf_keras_metric")
    (tmp_path / FILE_NAME).write_bytes(ROOT + layer + metric)
    found = read_saved_layers(str(tmp_path), {})
    assert found is not None
    assert found.names == {0: "m", 3: "head"}
    assert found.classes == {0: "Sequential", 3: "Dense"}
    assert found.config.model is not None
    assert [layer.name for layer in found.config.model.layers] == ["head"]
    assert found.config.compiled is not None
    assert (found.config.compiled.loss, found.config.compiled.metrics) == (("mse",), ("mae",))
    assert found.config.optimizer is not None
    assert found.config.optimizer.settings["learning_rate"] == 0.5


def test_fields_of_a_later_keras_are_passed_over(tmp_path: Path) -> None:
    """Told by their number and by how they are written."""
    layer = entry(3, {"name": "head", **DENSE})
    others = varint_field(1, 7) + bytes_field(2, layer[2:])
    (tmp_path / FILE_NAME).write_bytes(ROOT + others + layer)
    found = read_saved_layers(str(tmp_path), {})
    assert found is not None
    assert found.names == {0: "m", 3: "head"}


def test_older_models_keep_it_in_their_graph(tmp_path: Path) -> None:
    found = read_saved_layers(str(tmp_path), {2: json.dumps({"name": "a", **DENSE})})
    assert found is not None
    assert found.names == {2: "a"}
    assert read_saved_layers(str(tmp_path), {}) is None


@pytest.mark.parametrize(
    "data",
    [b"\xff", ROOT[:-3], entry(0, b"{"), entry(0, b"[]"), entry(0, b"[" * 5000), b""],
    ids=["no field", "cut short", "no JSON", "no object", "too deep", "empty"],
)
def test_damage_is_no_evidence(data: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(data)
    assert read_saved_layers(str(tmp_path), {}) is None


def test_odd_fields_are_left_out(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(entry(1, {"name": 5, "config": None}) + entry(2, {}))
    found = read_saved_layers(str(tmp_path), {})
    assert found is not None
    assert not found.names
    assert found.config.model is None


@pytest.mark.parametrize("name", ["tf23_keras2/saved_model", "keras2_new/saved_model"])
def test_the_layers_of_a_saved_model_are_those_of_its_file(name: str) -> None:
    found = ckread.info(FIXTURES / name)
    assert [layer.name for layer in found.layers if layer.parameters] == ["stem", "norm", "head"]
    assert sum(layer.parameters or 0 for layer in found.layers) == found.parameters
    assert found.training.loss == ("sparse_categorical_crossentropy",)


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ("mse", ("mse",)),
        (["mse", "mae"], ("mse", "mae")),
        ({"a": "mse", "b": "mae"}, ("mse", "mae")),
        ({"class_name": "Huber", "config": {"name": "huber_loss", "delta": 1.0}}, ("huber_loss",)),
        ({"class_name": "function", "config": "my_loss"}, ("my_loss",)),
        ({"class_name": "own>Loss", "config": {}}, ("Loss",)),
        ([["acc"], ["acc", None]], ("acc",)),
        (None, ()),
        (7, ()),
    ],
)
def test_losses_and_metrics_by_name(entry: Any, names: tuple[str, ...]) -> None:
    assert parse_compiled({"loss": entry}).loss == names
    assert parse_compiled({"metrics": entry}).metrics == names
