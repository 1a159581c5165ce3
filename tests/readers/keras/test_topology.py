"""Shapes, calls and names of layers by their configurations alone, as Keras defines them."""

from __future__ import annotations

from typing import Any

import pytest

from ckread.readers.keras.layers import Stored, quantization_mode, variable_names
from ckread.readers.keras.topology import (
    built_shape,
    handed_on,
    input_shape,
    output_of,
    output_shape,
    parse_shape,
)

Shape = tuple[int | None, ...]
CONV = {"filters": 5, "kernel_size": [3, 4], "strides": [2, 1], "padding": "valid"}
FIRST = {"data_format": "channels_first"}


@pytest.mark.parametrize(
    ("class_name", "settings", "taken", "expected"),
    [
        ("Dense", {"units": 7}, (None, 3, 4), (None, 3, 7)),
        ("Dense", {}, (None, 3), None),
        ("Dropout", {"rate": 0.5}, (2, 3), (2, 3)),
        ("Embedding", {"output_dim": 6}, (None, 9), (None, 9, 6)),
        ("Embedding", {}, (None, 9), None),
        ("Flatten", {}, (None, 3, 4), (None, 12)),
        ("Flatten", {}, (None, None, 4), (None, None)),
        ("Flatten", {}, (5,), (5, 1)),
        ("Reshape", {"target_shape": [2, 6]}, (None, 12), (None, 2, 6)),
        ("Reshape", {"target_shape": [-1, 6]}, (None, 3, 4), (None, 2, 6)),
        ("Reshape", {"target_shape": [-1]}, (None, 3, 4), (None, 12)),
        ("Reshape", {"target_shape": [-1, 6]}, (None, None, 4), (None, None, 6)),
        ("RepeatVector", {"n": 3}, (None, 4), (None, 3, 4)),
        ("Permute", {"dims": [2, 1]}, (None, 3, 4), (None, 4, 3)),
        ("LSTM", {"units": 8}, (None, 5, 2), (None, 8)),
        ("GRU", {"units": 8, "return_sequences": True}, (None, 5, 2), (None, 5, 8)),
        ("GlobalAveragePooling2D", {}, (None, 3, 4, 5), (None, 5)),
        ("GlobalMaxPooling1D", {"keepdims": True}, (None, 3, 5), (None, 1, 5)),
        ("GlobalMaxPooling2D", FIRST, (None, 5, 3, 4), (None, 5)),
        ("GlobalMaxPooling2D", FIRST | {"keepdims": True}, (None, 5, 3, 4), (None, 5, 1, 1)),
        ("ZeroPadding1D", {"padding": 2}, (None, 5, 3), (None, 9, 3)),
        ("ZeroPadding1D", {"padding": [1, 2]}, (None, 5, 3), (None, 8, 3)),
        ("ZeroPadding2D", {"padding": 1}, (None, 5, 6, 3), (None, 7, 8, 3)),
        ("ZeroPadding2D", {"padding": [[1, 2], [3, 4]]}, (1, 5, None, 3), (1, 8, None, 3)),
        ("Cropping2D", {"cropping": [[1, 2], [0, 4]]}, (1, 5, 6, 3), (1, 2, 2, 3)),
        ("Cropping1D", {"cropping": 4}, (1, 5, 3), (1, 0, 3)),
        ("UpSampling2D", {"size": [2, 3]}, (1, 5, 6, 3), (1, 10, 18, 3)),
        ("UpSampling1D", {"size": 2}, (1, 5, 3), (1, 10, 3)),
        ("Resizing", {"height": 8, "width": 9}, (1, 5, 6, 3), (1, 8, 9, 3)),
        ("MaxPooling2D", {"pool_size": [2, 3]}, (1, 5, 6, 3), (1, 2, 2, 3)),
        ("MaxPooling2D", {"pool_size": 2, "padding": "same"}, (1, 5, 6, 3), (1, 3, 3, 3)),
        ("AveragePooling1D", {"pool_size": [3], "strides": [1]}, (1, 5, 3), (1, 3, 3)),
        ("AveragePooling1D", {"pool_size": [9]}, (1, 5, 3), (1, 0, 3)),
        ("Conv2D", CONV, (1, 9, 9, 3), (1, 4, 6, 5)),
        ("Conv2D", CONV | {"padding": "same"}, (1, 9, None, 3), (1, 5, None, 5)),
        ("Conv2D", CONV | FIRST, (1, 3, 9, 9), (1, 5, 4, 6)),
        ("Conv2D", CONV | {"dilation_rate": [3, 2]}, (1, 9, 9, 3), (1, 2, 3, 5)),
        ("Conv1D", {"filters": 2, "kernel_size": [3]}, (1, 9, 3), (1, 7, 2)),
        ("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "causal"}, (1, 9, 3), (1, 9, 2)),
        ("SeparableConv2D", CONV, (1, 9, 9, 3), (1, 4, 6, 5)),
        ("DepthwiseConv2D", CONV | {"depth_multiplier": 2}, (1, 9, 9, 3), (1, 4, 6, 6)),
        ("DepthwiseConv2D", CONV | {"depth_multiplier": 2}, (1, 9, 9, None), (1, 4, 6, None)),
        ("Conv2DTranspose", CONV, (1, 4, 4, 3), (1, 9, 7, 5)),
        ("Conv2DTranspose", CONV | {"padding": "same"}, (1, 4, 4, 3), (1, 8, 4, 5)),
        ("Conv2DTranspose", CONV | {"strides": [5, 4]}, (1, 4, 4, 3), (1, 20, 16, 5)),
        ("Conv2DTranspose", CONV | {"output_padding": [1, 1]}, (1, 4, 4, 3), None),
        ("Mine", {}, (1, 4), None),
        ("Dense", {"units": "many"}, (1, 4), None),
        ("Conv2D", {"filters": 3}, (1, 4, 4, 3), None),
    ],
)
def test_the_shape_that_a_layer_gives(
    class_name: str, settings: dict[str, Any], taken: Shape, expected: Shape | None
) -> None:
    assert output_shape(class_name, settings, [taken]) == expected
    assert output_shape(class_name, settings, [None]) is None
    assert output_shape(class_name, settings, []) is None


@pytest.mark.parametrize(
    ("merge", "sequences", "expected"),
    [
        ({}, False, (None, 12)),
        ({"merge_mode": "concat"}, True, (None, 5, 12)),
        ({"merge_mode": "sum"}, True, None),
    ],
)
def test_both_directions(merge: dict[str, Any], sequences: bool, expected: Shape | None) -> None:
    inner = {"class_name": "LSTM", "config": {"units": 6, "return_sequences": sequences}}
    settings = {"layer": inner, **merge}
    assert output_shape("Bidirectional", settings, [(None, 5, 2)]) == expected
    inner["class_name"] = "Mine"
    assert output_shape("Bidirectional", settings, [(None, 5, 2)]) is None


@pytest.mark.parametrize(
    ("axis", "inputs", "expected"),
    [
        (-1, [(None, 3, 4), (None, 3, 5)], (None, 3, 9)),
        (1, [(None, 3, 4), (None, 2, 4), (None, 1, 4)], (None, 6, 4)),
        (-1, [(None, 3, 4), (None, 3, None)], (None, 3, None)),
        (-1, [(None, 3, 4), (None, 2, 5)], None),
        (-1, [(None, 3, 4), None], None),
        (-1, [(None, 3, 4)], (None, 3, 4)),
    ],
)
def test_what_is_put_together(
    axis: int, inputs: list[Shape | None], expected: Shape | None
) -> None:
    assert output_shape("Concatenate", {"axis": axis}, inputs) == expected


def test_what_is_added_is_of_one_shape() -> None:
    assert output_shape("Add", {}, [(1, 3), (1, 3)]) == (1, 3)
    assert output_shape("Add", {}, [(1, 3), (1, 1)]) is None
    assert output_shape("Dense", {"units": 2}, [(1, 3), (1, 4)]) is None


def _keras_3(layer: str, shape: Any) -> dict[str, Any]:
    config = {"shape": shape, "dtype": "float32", "keras_history": [layer, 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ([["a", 0, 0, {}]], [("a", None)]),
        ([["a", 0, 0, {}], ["b", 1, 0, {}]], [("a", None), ("b", None)]),
        ([["a", 0, 0, {"mask": ["m", 0, 0]}]], [("a", None), ("m", None)]),
        (["a", 0, 0], [("a", None)]),
        (["a", 0], []),
        (["a", True, 0], []),
        ([0, 0, 0], []),
        ({"args": [_keras_3("a", [None, 3])], "kwargs": {}}, [("a", (None, 3))]),
        (
            {"args": [[_keras_3("a", [1]), _keras_3("b", 0)]], "kwargs": {"x": _keras_3("c", [2])}},
            [("a", (1,)), ("b", None), ("c", (2,))],
        ),
        ({"class_name": "other", "config": {"keras_history": ["a", 0, 0]}}, [("a", None)]),
        ({"class_name": "__keras_tensor__", "config": ["a", 0, 0]}, [("a", None)]),
        ({"class_name": "__keras_tensor__", "config": {}}, []),
        (None, []),
    ],
)  # fmt: skip
def test_what_a_call_takes(node: Any, expected: list[tuple[str, Shape | None]]) -> None:
    assert handed_on(node) == expected


def test_the_output_of_a_model() -> None:
    settings = {"output_layers": [["last", 0, 0], ["other", 0, 0]]}
    assert output_of("Functional", settings) == "last"
    assert output_of("Functional", {}) is None
    assert output_of("Sequential", settings) is None


def test_shapes_that_are_written_down() -> None:
    shapes = [parse_shape(one) for one in ([None, 3], [], [0], [-1], [True], [1.0], (1,), None)]
    assert shapes == [(None, 3), (), (0,), None, None, None, None, None]
    assert parse_shape([1] * 32) == (1,) * 32
    assert parse_shape([1] * 300) is None
    assert input_shape({"batch_shape": [None, 2]}) == (None, 2)
    assert input_shape({"batch_input_shape": [None, 2]}) == (None, 2)
    assert input_shape({"batch_shape": [1], "batch_input_shape": [2]}) == (1,)
    assert input_shape({}) is None
    assert built_shape({"build_config": {"input_shape": [None, 4]}}) == (None, 4)
    assert built_shape({"build_config": [1]}) is built_shape({}) is built_shape(None) is None


# Names of variables.


def _stored(*shapes: Shape, integers: tuple[int, ...] = ()) -> list[Stored]:
    return [Stored(shape, at in integers) for at, shape in enumerate(shapes)]  # type: ignore[arg-type]


K, V = (3, 4), (4,)
BATCH = ["gamma", "beta", "moving_mean", "moving_variance"]


def _mode(mode: str, **more: Any) -> dict[str, Any]:
    return {"dtype": {"config": {"mode": mode}}, **more}


@pytest.mark.parametrize(
    ("class_name", "settings", "stored", "expected"),
    [
        ("Dense", {}, _stored(K, V), ["kernel", "bias"]),
        ("Dense", {"use_bias": False}, _stored(K), ["kernel"]),
        ("Dense", None, _stored(K), ["kernel"]),
        ("Dense", None, _stored(K, V), ["kernel", "bias"]),
        ("Dense", {}, _stored(K), ["kernel"]),  # one alone is that
        ("Dense", {}, _stored(K, V, V), ["", "", ""]),
        ("EinsumDense", {"bias_axes": None}, _stored(K), ["kernel"]),
        ("EinsumDense", {"bias_axes": "d"}, _stored(K, V), ["kernel", "bias"]),
        ("LSTMCell", {}, _stored(K, K, V), ["kernel", "recurrent_kernel", "bias"]),
        ("GRUCell", {}, _stored(K, K), ["kernel", "recurrent_kernel"]),
        ("SeparableConv2D", {}, _stored(K, K, V), ["depthwise_kernel", "pointwise_kernel", "bias"]),
        ("SeparableConv1D", {}, _stored(K, K), ["depthwise_kernel", "pointwise_kernel"]),
        ("BatchNormalization", {}, _stored(V, V, V, V), BATCH),
        ("BatchNormalization", {"scale": False}, _stored(V, V, V), BATCH[1:]),
        ("BatchNormalization", {"center": False}, _stored(V, V, V), [BATCH[0], *BATCH[2:]]),
        ("BatchNormalization", None, _stored(V, V, V, V), BATCH),
        ("BatchNormalization", None, _stored(V, V, V), ["", *BATCH[2:]]),
        ("BatchNormalization", None, _stored(V, V), BATCH[2:]),
        ("BatchNormalization", None, _stored(V), [""]),
        ("LayerNormalization", {}, _stored(V, V), BATCH[:2]),
        ("LayerNormalization", None, _stored(V, V), BATCH[:2]),
        ("LayerNormalization", None, _stored(V), [""]),
        ("GroupNormalization", {"scale": False}, _stored(V), ["beta"]),
        ("Embedding", {}, _stored(K), ["embeddings"]),
        ("Embedding", {}, _stored(K, V, integers=(0,)), ["embeddings", "embeddings_scale"]),
        ("Dense", None, _stored(K, V, integers=(0,)), ["kernel", "kernel_scale"]),
        ("Dense", None, _stored(K, V, V, integers=(0,)), ["kernel", "bias", "kernel_scale"]),
        ("Dense", _mode("int8"), _stored(K, V, V), ["kernel", "bias", "kernel_scale"]),
        ("Dense", _mode("int8", use_bias=False), _stored(K, V), ["kernel", "kernel_scale"]),
        ("Mine", {}, _stored(K), [""]),
    ],
)
def test_names_of_variables_by_class(
    class_name: str, settings: dict[str, Any] | None, stored: list[Stored], expected: list[str]
) -> None:
    assert variable_names(class_name, settings, stored) == expected


@pytest.mark.parametrize(
    ("called", "stored", "expected"),
    [
        ("dense", _stored(K, V), ["kernel", "bias"]),
        ("dense", _stored((4, 3), V), ["kernel", "bias"]),
        ("dense", _stored((4, 3, 3), V), ["", ""]),
        ("dense", _stored((3, 3, 2, 4), V), ["kernel", "bias"]),
        ("dense", _stored(K, (5,)), ["", ""]),
        ("dense", _stored(K), [""]),
        ("dense", _stored(V, V), ["", ""]),
        ("my_norm", _stored(V, V), BATCH[:2]),
        ("bn_3", _stored(V, V, V, V), BATCH),
        ("block/LN", _stored(V, V), BATCH[:2]),
        ("bnot", _stored(V, V), ["", ""]),
        ("my_norm", _stored(V, V, V), ["", "", ""]),
        ("my_norm", _stored(V, (5,)), ["", ""]),
        ("my_norm", _stored(K, K), ["", ""]),
    ],
)
def test_names_of_variables_by_form(called: str, stored: list[Stored], expected: list[str]) -> None:
    assert variable_names("", None, stored, called=called) == expected


def test_modes_of_quantization() -> None:
    assert quantization_mode(_mode("int8")) == "int8"
    assert quantization_mode(_mode("int4/128")) == "int4"
    assert quantization_mode({"dtype": "float32"}) == ""
    assert quantization_mode({"dtype": {"config": {"mode": 8}}}) == ""
    assert quantization_mode({"dtype": {"config": "int8"}}) == ""
    assert quantization_mode({}) == quantization_mode(None) == ""
