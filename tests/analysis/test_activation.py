"""Activation maps as the layer computes them, beside Keras's own output of that layer."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.analysis.filters.activation import activation_of, layer_of
from ckread.errors import CheckpointError, UsageError
from ckread.model.lookup import find_named
from ckread.readers.keras.config import parse_model
from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIGITS = FIXTURES / "digits_files"
KERAS = DIGITS / "digits.keras"


def _layer(path: Any, name: str) -> ckread.analysis.filters.activation.Layer:
    with ckread.open(path) as checkpoint:
        return layer_of(checkpoint, find_named(checkpoint, name))


@pytest.mark.parametrize("name", ["digits.keras", "digits.h5"])
def test_the_configuration_tells_how_the_layer_computes(name: str) -> None:
    layer = _layer(DIGITS / name, "conv1/kernel")
    assert layer.words == "stride 1, padding same, bias, relu"
    assert (layer.taken, layer.pixel_range) == ((8, 8), (0.0, 1.0))
    told = {claim.claim: (claim.value, str(claim.strength)) for claim in layer.claims}
    assert told["bias"] == ("conv1/bias", "stored")
    assert told["activation"] == ("relu", "stored")


def test_without_a_configuration_nothing_is_told() -> None:
    layer = _layer(FIXTURES / "digits_run" / "ckpt-10", "conv1/kernel")
    assert (layer.name, layer.words) == ("", "stride 1, padding same")
    assert {str(claim.strength) for claim in layer.claims} == {"unknown"}


def test_what_is_asked_for_stands_in_the_place_of_what_is_told() -> None:
    found = ckread.responses(KERAS, None, np.eye(8), stride=2, padding="valid", relu=False)
    assert found.layer.words == "stride 2, padding valid, bias"
    assert "stride" not in {claim.claim for claim in found.layer.claims}
    plain = ckread.responses(
        FIXTURES / "digits_run" / "ckpt-10", "conv1/kernel", np.eye(8), bias="conv1/bias", relu=True
    )
    np.testing.assert_array_equal(ckread.responses(KERAS, None, np.eye(8)).maps, plain.maps)


@pytest.mark.parametrize("name", ["hard_silu", "hard_swish", "silu", "swish"])
def test_a_number_times_how_far_it_is_open(name: str) -> None:
    """`x * sigmoid(x)`, and with a line in the place of the sigmoid."""
    x = np.array([-4.0, -1.5, 0.0, 1.5, 4.0])
    _, activate = activation_of(name, "3.5.0")
    assert activate is not None
    line, curve = np.clip(x / 6 + 0.5, 0, 1), 1 / (1 + np.exp(-x))
    gate = line if name.startswith("hard") else curve
    np.testing.assert_allclose(activate(x), x * gate, rtol=1e-12)


def test_a_deeper_layer_is_declined_with_what_keras_would_run() -> None:
    with pytest.raises(UsageError, match=r"conv2 sees what norm1 \(BatchNorm.*not the image") as it:
        ckread.responses(KERAS, "conv2/kernel", FIXTURES / "a.png")
    assert str(it.value.remedy).splitlines() == [
        "Keras computes it:",
        "    import keras",
        f"    model = keras.models.load_model({str(KERAS)!r})",
        "    layer = keras.Model(model.inputs[0], model.get_layer('conv2').output)",
        "    maps = layer.predict(images)",
    ]
    maps = ckread.responses(KERAS, "conv2/kernel", np.ones((8, 8, 16)))  # what conv2 takes
    assert maps.layer.words == "stride 1, padding same, bias, relu"


@pytest.mark.parametrize("entry", ["mine", {"class_name": "Mine", "config": {}}, 7])
def test_what_is_no_activation_of_keras_is_not_known(entry: Any) -> None:
    assert activation_of(entry, "3.0")[1] is None


ODD: list[Any] = [
    None, 0, -1, 10**9, 10**30, 1.5, float("nan"), float("inf"), "x", [], {}, [1], [[1, 2], [3, 4]],
    True, [1, "x"], [1e300] * 3, list(range(100)),
    {"class_name": "ReLU", "config": {"max_value": "a"}},
]  # fmt: skip
BEFORE = [
    ("Rescaling", {"scale": 0.1, "offset": 0.0}),
    ("Normalization", {"axis": [-1], "mean": [0.5], "variance": [1.0]}),
    ("ZeroPadding2D", {"padding": [[1, 1], [0, 2]]}),
    ("Cropping2D", {"cropping": [[1, 1], [0, 2]]}),
    ("Resizing", {"height": 9, "width": 7}),
]


def _calls(setting: str, value: Any) -> Iterator[None]:
    """Compute with a configuration in which one setting, of any layer that has it, is odd."""
    with ckread.open(KERAS) as checkpoint:
        assert checkpoint.evidence.model is not None
        image, conv = checkpoint.evidence.model.settings["layers"][:2]
        for kind, settings in [*BEFORE, ("Conv2D", conv["config"])]:
            if setting not in settings:
                continue
            config = {"name": "odd", **settings, setting: value}
            odd = {"class_name": kind, "module": "keras.layers", "config": config}
            layers = [image, odd] if kind == "Conv2D" else [image, odd, conv]
            model = parse_model({"class_name": "Sequential", "config": {"layers": layers}})
            checkpoint.evidence = checkpoint.evidence._replace(model=model)
            with contextlib.suppress(CheckpointError):
                ckread.responses(checkpoint, "conv1/kernel", np.eye(8))
            yield


@pytest.mark.parametrize(
    "setting",
    [
        "strides", "padding", "dilation_rate", "activation", "use_bias", "groups", "kernel_size",
        "data_format", "name", "trainable", "dtype", "scale", "offset", "axis", "mean", "variance",
        "cropping", "height", "width",
    ],
)  # fmt: skip
def test_an_odd_setting_is_an_error_or_none(setting: str) -> None:
    assert any(True for value in ODD for _ in _calls(setting, value))


@pytest.mark.parametrize("leaf", ["depthwise_kernel", "pointwise_kernel"])
def test_a_separable_convolution_is_declined(tmp_path: Path, leaf: str) -> None:
    """Its output takes both kernels: one alone is not what the layer gives."""
    size = (3, 3, 1, 2) if leaf == "depthwise_kernel" else (1, 1, 2, 4)
    settings = {"name": "s", "kernel_size": [3, 3]}
    layers = [{"class_name": "SeparableConv2D", "module": "keras.layers", "config": settings}]
    model = parse_model({"class_name": "Sequential", "config": {"layers": layers}})
    path = write_bundle(tmp_path / "x", {f"s/{leaf}": np.ones(size, "f4")})
    with ckread.open(path) as checkpoint:
        checkpoint.evidence = checkpoint.evidence._replace(model=model)
        with pytest.raises(UsageError, match="s is a SeparableConv2D, expected a Conv2D or Dep"):
            ckread.responses(checkpoint, f"s/{leaf}", np.ones((8, 8, size[2])))


# Beside Keras. One process imports it once.

ACTIVATIONS = (
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "sigmoid", "hard_sigmoid",
    "silu", "hard_silu", "tanh", "softsign", "softplus", "softmax", "exponential", "mish",
)  # fmt: skip


BYTES = ("rescaled", "normalized", "functional", "nested")
"""Models that take pixels from 0 to 255."""


def _models(keras: Any) -> dict[str, Any]:
    """Give models by name; the layer that is looked at is called `looked`."""
    layers = keras.layers

    def sequential(*parts: Any, shape: tuple[Any, ...] = (9, 12, 3)) -> Any:
        return keras.Sequential([keras.Input(shape), *parts])

    def looked(*arguments: Any, **settings: Any) -> Any:
        return layers.Conv2D(*arguments, name="looked", **settings)

    image = keras.Input((9, 12, 3))
    functional = looked(4, 3)(layers.ZeroPadding2D(((1, 2), (0, 3)))(image / 127.5 - 1.0))
    inner = keras.Sequential(
        [keras.Input((9, 12, 3)), looked(4, 3, activation="relu"), layers.Flatten()], name="inner"
    )
    nested_in = keras.Input((9, 12, 3))
    nested = inner(layers.Rescaling(1 / 255)(nested_in))
    return {
        "strides": sequential(looked(4, (3, 2), strides=(2, 3), padding="same")),
        "valid": sequential(looked(5, (2, 4), strides=2, activation="tanh")),
        "dilated": sequential(
            looked(4, 3, dilation_rate=(2, 3), padding="same", use_bias=False, activation="relu")
        ),
        "grey": sequential(
            layers.Resizing(5, 17, interpolation="nearest"), looked(4, 3), shape=(None, None, 1)
        ),
        "depthwise": sequential(
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="gelu", name="looked")
        ),
        "rescaled": sequential(
            layers.Rescaling(1 / 127.5, offset=-1), layers.Cropping2D(((1, 0), (2, 1))),
            layers.RandomFlip(), layers.Dropout(0.5), layers.Resizing(14, 7), looked(4, 3),
        ),
        "normalized": sequential(
            layers.Normalization(mean=[90.0, 100, 110], variance=[1600.0, 2500, 3600]), looked(4, 3)
        ),
        "functional": keras.Model(image, functional),
        "nested": keras.Model(nested_in, nested),
    }  # fmt: skip


def _compare(keras: Any, model: Any, path: Path, images: np.ndarray) -> None:
    inner = [layer for layer in model.layers if getattr(layer, "layers", None)]
    expected = images
    if inner:  # through the layers before the nested model
        for layer in model.layers[1:-1]:
            expected = layer(expected)
        model = inner[0]
    expected = keras.Model(model.inputs[0], model.get_layer("looked").output)(
        expected, training=False
    )
    expected = np.asarray(expected)
    found = ckread.responses(path, None, images[0])
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found.output, expected[0], rtol=0, atol=1e-6 * scale)


def _moved(model: Any) -> Any:
    """Give the model with no weight at its initial zeros."""
    generator = np.random.default_rng(3)
    model.set_weights([w + generator.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.oracle
@pytest.mark.slow
def test_maps_are_those_of_keras(tmp_path: Path) -> None:
    import keras

    images = np.random.default_rng(0).random((1, 9, 12, 3)).astype("f4") * 255
    for name, model in _models(keras).items():
        _moved(model)
        given = images[..., :1] if name == "grey" else images
        given = given / (1 if name in BYTES else 255)
        model.save(tmp_path / f"{name}.keras")
        _compare(keras, model, tmp_path / f"{name}.keras", given)
    model.save(tmp_path / "nested.h5")
    _compare(keras, model, tmp_path / "nested.h5", images)
    adapted = keras.layers.Normalization()
    adapted.adapt(np.random.default_rng(1).random((20, 9, 12, 3)) * 255)
    model = keras.Sequential(
        [keras.Input((9, 12, 3)), adapted, keras.layers.Conv2D(4, 3, name="looked")]
    )
    model.save(tmp_path / "adapted.keras")
    _compare(keras, model, tmp_path / "adapted.keras", images)
    assert _layer(tmp_path / "adapted.keras", "looked/kernel").pixel_range == (0, 255)
    for name in ("rescaled", "normalized", "functional", "nested", "grey", "valid"):
        top = 255 if name in BYTES else 1
        assert _layer(tmp_path / f"{name}.keras", "looked/kernel").pixel_range == (0, top)


@pytest.mark.oracle
@pytest.mark.slow
def test_activations_are_those_of_keras() -> None:
    import keras
    import tensorflow as tf
    import tf_keras

    maps = np.random.default_rng(0).normal(0, 4, (5, 6, 7)).astype("f4")
    for library, names in ((keras, ACTIVATIONS), (tf_keras, ACTIVATIONS)):
        for name in names:
            if not hasattr(library.activations, name):
                continue
            function = library.activations.deserialize(name)
            entry = library.activations.serialize(function)
            _, activate = activation_of(entry, library.__version__)
            assert activate is not None, name
            expected = np.asarray(function(tf.constant(maps)))
            np.testing.assert_allclose(activate(maps), expected, rtol=1e-6, atol=1e-6, err_msg=name)
    for layer in (keras.layers.ReLU(6.0), keras.layers.ReLU(), keras.layers.LeakyReLU(0.1)):
        _, activate = activation_of(keras.saving.serialize_keras_object(layer), "3")
        assert activate is not None
        np.testing.assert_allclose(activate(maps), np.asarray(layer(maps)), rtol=1e-6, atol=1e-6)


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_maps_are_those_of_keras_2(tmp_path: Path) -> None:
    import tf_keras

    images = np.random.default_rng(0).random((1, 9, 12, 3)).astype("f4") * 255
    for name in ("functional", "nested", "depthwise"):
        model = _moved(_models(tf_keras)[name])
        for path in (tmp_path / f"{name}.h5", tmp_path / f"{name}_saved"):
            model.save(path)
            _compare(tf_keras, model, path, images / (1 if name in BYTES else 255))


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits.keras", "digits.h5"])
def test_the_lines_run(name: str) -> None:
    import keras

    with pytest.raises(UsageError) as it:
        ckread.responses(DIGITS / name, "conv2/kernel", FIXTURES / "a.png")
    lines = [line.strip() for line in str(it.value.remedy).splitlines()[1:]]
    images = np.random.default_rng(0).random((2, 8, 8, 1)).astype("f4")
    scope: dict[str, Any] = {"images": images}
    exec("\n".join(lines), scope)
    model = keras.models.load_model(DIGITS / name)
    before = keras.Model(model.inputs[0], model.get_layer("norm1").output)(images)
    expected = np.asarray(model.get_layer("conv2")(before))
    np.testing.assert_allclose(scope["maps"], expected, atol=1e-6)
    found = ckread.responses(DIGITS / name, "conv2/kernel", np.asarray(before)[0])
    np.testing.assert_allclose(found.output, expected[0], atol=2e-6)
