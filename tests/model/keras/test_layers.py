"""The listing of layers beside Keras's own: classes, shapes, parameters, totals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import ckread
from ckread.readers.keras.topology import output_shape
from ckread.views.listing import layers_document
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path


def _document(path: Any) -> dict[str, Any]:
    with ckread.open(path) as checkpoint:
        return layers_document(checkpoint)


def test_a_checkpoint_without_a_list_has_its_scopes() -> None:
    found = _document(FIXTURES / "digits_run" / "ckpt-10")
    assert not found["is_listed"]
    names = ["conv1", "norm1", "conv2", "norm2", "hidden", "logits"]
    assert [layer["name"] for layer in found["layers"]] == names
    assert sum(layer["parameters"] for layer in found["layers"]) == found["parameters"] == 38_474
    assert {layer["class"] for layer in found["layers"]} == {None}


@pytest.mark.parametrize(
    ("class_name", "settings", "given", "expected"),
    [
        ("ZeroPadding2D", {"padding": [[1, 2], [3, 5]]}, (None, 8, 9, 3), (None, 11, 17, 3)),
        ("ZeroPadding1D", {"padding": [1, 2]}, (4, 8, 3), (4, 11, 3)),
        ("Cropping2D", {"cropping": [[1, 2], [3, 5]]}, (None, 18, 19, 3), (None, 15, 11, 3)),
        ("Cropping2D", {"cropping": 2}, (None, 8, 9, 3), (None, 4, 5, 3)),
        ("GlobalMaxPooling2D", {"keepdims": True}, (None, 8, 9, 3), (None, 1, 1, 3)),
        ("GlobalMaxPooling2D", {}, (None, 8, 9, 3), (None, 3)),
        (
            "Cropping2D",
            {"cropping": [1, 2], "data_format": "channels_first"},
            (None, 3, 8, 9),
            (None, 3, 6, 5),
        ),
    ],
)
def test_shapes_of_what_pads_crops_or_pools_all(
    class_name: str, settings: dict[str, Any], given: Any, expected: Any
) -> None:
    assert output_shape(class_name, settings, [given]) == expected


@pytest.mark.parametrize("settings", [{"units": "x"}, {"units": None}, {}, {"units": [3]}])
def test_settings_of_another_kind_tell_no_shape(settings: dict[str, Any]) -> None:
    assert output_shape("Dense", settings, [(None, 4)]) is None
    assert output_shape("Conv2D", settings, [(None, 4)]) is None
    assert output_shape("Reshape", {"target_shape": "ab"}, [(None, 4)]) is None
    assert output_shape("LSTM", settings, [(None, 4)]) is None


def _model(keras: Any) -> Any:
    """Give a model with a nested one, a shared layer and branches, the shared layer frozen."""
    layers = keras.layers
    image = keras.Input((28, 27, 1))
    shared = layers.Conv2D(8, 3, padding="same", name="shared", trainable=False)
    inner = keras.Sequential(
        [
            keras.Input((29, 30, 8)), layers.Conv2D(4, (3, 2), strides=(2, 3)),
            layers.BatchNormalization(), layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
            layers.Flatten(),
        ],
        name="inner",
    )  # fmt: skip
    x = shared(shared(layers.Conv2D(8, 1)(image)))
    x = layers.ZeroPadding2D(((0, 1), (1, 2)))(x)
    y = layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2, padding="same")(x))
    z = layers.Reshape((4, -1))(layers.MaxPooling2D(3)(layers.UpSampling2D((1, 2))(x)))
    z = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(layers.Permute((2, 1))(z))
    z = layers.GRU(2)(layers.Dense(5, activation="relu")(z))
    return keras.Model(image, layers.Dense(3)(layers.Concatenate()([inner(x), y, z])))


def _expected(keras: Any, model: Any, prefix: str = "") -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    layers = model.layers
    if isinstance(model, keras.Sequential):  # which leaves its own input out
        layers = getattr(model, "_layers", None) or getattr(model, "_self_tracked_trackables", [])
    for layer in layers:
        shape = layer.output.shape if hasattr(layer.output, "shape") else layer.output[0].shape
        path = f"{prefix}{layer.name}"
        rows.append((path, type(layer).__name__, list(shape), layer.count_params()))
        rows += _expected(keras, layer, f"{path}/") if hasattr(layer, "layers") else []
    return rows


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_layers_are_those_of_the_summary(tmp_path: Path, library: str) -> None:
    keras = pytest.importorskip(library)
    model = _model(keras)
    trainable = sum(weight.numpy().size for weight in model.trainable_weights)
    paths = [tmp_path / "m.keras", tmp_path / "m.h5"]
    paths += [tmp_path / "saved"] if library == "tf_keras" else []  # with traces it takes minutes
    expected = _expected(keras, model)
    for path in paths:
        model.save(path, **({"save_traces": False} if path.name == "saved" else {}))
        found = _document(path)
        assert found["is_listed"]
        assert found["parameters"] == model.count_params()
        assert found["trainable_parameters"] == trainable
        rows = [
            (one["name"], one["class"], one["shape"], one["parameters"]) for one in found["layers"]
        ]
        assert [row[:2] for row in rows] == [row[:2] for row in expected]
        for row, right in zip(rows, expected, strict=True):
            assert row[3] == right[3], path
            assert row[2] == right[2], path
