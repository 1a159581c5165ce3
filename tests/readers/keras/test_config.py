"""The configuration of Keras models: layers and shapes as data, Lambdas never run."""

from __future__ import annotations

from typing import Any

import pytest

from ckread.readers.keras.config import iter_layers, parse_model, parse_optimizer
from ckread.readers.keras.layers import CUSTOM, Stored, layer_groups, snake_case, variable_names


def _layer(class_name: str, name: str, **more: Any) -> dict[str, Any]:
    config = {"name": name, "trainable": True} | more.pop("config", {})
    return {"module": "keras.layers", "class_name": class_name, "config": config} | more


def _model(*layers: dict[str, Any], class_name: str = "Sequential") -> dict[str, Any]:
    return _layer(class_name, "m", config={"layers": list(layers)})


def test_a_sequential_hands_on_what_the_next_is_built_for() -> None:
    model = parse_model(
        _model(
            _layer("InputLayer", "in", config={"batch_shape": [None, 4]}),
            _layer("Dense", "a", build_config={"input_shape": [None, 4]}, config={"units": 3}),
            _layer("Dropout", "b", build_config={"input_shape": [None, 3]}),
            _layer("Dense", "c", build_config={"input_shape": [None, 3]}, config={"units": 2}),
        )
    )
    assert [(path, layer.class_name, layer.shape) for path, layer, _ in iter_layers(model)] == [
        ("in", "InputLayer", (None, 4)),
        ("a", "Dense", (None, 3)),
        ("b", "Dropout", (None, 3)),
        ("c", "Dense", (None, 2)),
    ]


def test_a_functional_records_the_tensors_it_hands_on() -> None:
    history = {"shape": [None, 8], "keras_history": ["a", 0, 0]}
    tensor = {"class_name": "__keras_tensor__", "config": history}
    model = parse_model(
        _model(
            _layer("Custom", "a"),
            _layer("Custom", "b", inbound_nodes=[{"args": [[tensor]], "kwargs": {}}]),
            class_name="Functional",
        )
    )
    assert [layer.shape for _, layer, _ in iter_layers(model)] == [(None, 8), None]


def test_nested_models_are_listed_after_themselves() -> None:
    inner = _model(_layer("Dense", "x"), _layer("Dense", "y"))
    inner["config"]["name"] = "inner"
    model = parse_model(_model(_layer("Dense", "a"), inner, _layer("Dense", "z")))
    listed = [(path, depth) for path, _, depth in iter_layers(model)]
    assert listed == [("a", 0), ("inner", 0), ("inner/x", 1), ("inner/y", 1), ("z", 0)]


def test_a_lambda_is_a_layer_like_others() -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAAA", "defaults": None}}
    model = parse_model(_model(_layer("Lambda", "f", config={"function": code})))
    [(path, layer, _)] = iter_layers(model)
    assert (path, layer.class_name) == ("f", "Lambda")
    assert layer.settings["function"] is code


@pytest.mark.parametrize("entry", [None, 3, [], {}, {"class_name": 1}, {"class_name": "X"}])
def test_what_is_no_model(entry: Any) -> None:
    assert parse_model(entry) is None


def test_nesting_ends() -> None:
    entry: dict[str, Any] = _layer("Dense", "d")
    for _ in range(60):
        entry = _layer("TimeDistributed", "t", config={"layer": entry})
    assert parse_model(entry) is not None


def test_keras_2_lists_without_names() -> None:
    layers = [{"class_name": "Dense", "config": {"name": "d"}}]
    model = parse_model({"class_name": "Sequential", "config": layers})
    assert [path for path, _, _ in iter_layers(model)] == ["d"]


def test_the_optimizer_inside_a_loss_scale_optimizer() -> None:
    inner = {"class_name": "Adam", "config": {"name": "adam"}}
    outer = {"class_name": "LossScaleOptimizer", "config": {"inner_optimizer": inner}}
    found = parse_optimizer(outer)
    assert found is not None
    assert found.inner is not None
    assert (found.class_name, found.inner.class_name, found.inner.name) == (
        "LossScaleOptimizer",
        "Adam",
        "adam",
    )
    assert parse_optimizer({"class_name": "Adam"}) is None


@pytest.mark.parametrize(
    ("class_name", "snake"),
    [("Conv2D", "conv2d"), ("PReLU", "p_re_lu"), ("LSTMCell", "lstm_cell"), ("GRU", "gru")],
)
def test_snake_case_is_that_of_keras(class_name: str, snake: str) -> None:
    assert snake_case(class_name) == snake


def test_groups_find_their_configuration_by_name_and_by_counter() -> None:
    model = parse_model(_model(_layer("Dense", "a"), _layer("Conv2D", "b"), _layer("Dense", "c")))
    named = layer_groups(["layers/dense_1"], {"layers/dense_1": "a"}, model)
    counted = layer_groups(["layers/dense_1"], {}, model)
    assert named["layers/dense_1"].name == "a"
    assert counted["layers/dense_1"].name == "c"


def test_an_input_layer_makes_a_functional() -> None:
    groups = layer_groups(["layers/x", "layers/x/layers/input_layer_1", "layers/y"], {}, None)
    assert [path for path, group in groups.items() if group.is_functional] == ["layers/x"]


def _stored(*shapes: tuple[int, ...]) -> list[Stored]:
    return [Stored(shape) for shape in shapes]


V = (4,)


@pytest.mark.parametrize(
    ("class_name", "settings", "shapes", "names"),
    [
        ("Dense", None, [(3, 4), V], ["kernel", "bias"]),
        ("Dense", None, [(3, 4)], ["kernel"]),
        ("Conv2D", {"use_bias": False}, [(3, 3, 1, 4)], ["kernel"]),
        ("BatchNormalization", None, [V] * 4, ["gamma", "beta", "moving_mean", "moving_variance"]),
        ("BatchNormalization", None, [V] * 3, ["", "moving_mean", "moving_variance"]),
        (
            "BatchNormalization",
            {"scale": False},
            [V] * 3,
            ["beta", "moving_mean", "moving_variance"],
        ),
        ("LayerNormalization", None, [V], [""]),
        ("LayerNormalization", {"center": False}, [V], ["gamma"]),
        ("Normalization", None, [V, V, ()], ["mean", "variance", "count"]),
        ("LSTMCell", None, [(3, 16), (4, 16), (16,)], ["kernel", "recurrent_kernel", "bias"]),
        ("Embedding", None, [(9, 4)], ["embeddings"]),
        ("Embedding", None, [(9, 4), V], ["", ""]),
        (CUSTOM, None, [(3, 4), V], ["", ""]),
        ("", None, [(3, 4), V], ["kernel", "bias"]),
        ("", None, [(3, 4), (5,)], ["", ""]),
        ("", None, [V, V], ["", ""]),
    ],
)
def test_names_where_the_class_makes_them_certain(
    class_name: str, settings: dict[str, Any] | None, shapes: list[Any], names: list[str]
) -> None:
    assert variable_names(class_name, settings, _stored(*shapes)) == names


@pytest.mark.parametrize(
    ("called", "is_told"), [("bn1 bn", True), ("layer_norm", True), ("x", False)]
)
def test_vectors_of_what_is_called_a_normalization(called: str, is_told: bool) -> None:
    names = variable_names("", None, _stored(V, V), called=called)
    assert names == (["gamma", "beta"] if is_told else ["", ""])
