"""How a layer computes, from configurations made by hand, beside numpy in the plainest way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.filters.activation import activation_of, keras_lines, layer_of
from ckread.analysis.filters.responses import Padding, response
from ckread.errors import UsageError
from ckread.readers.keras.config import parse_model
from tests.analysis.array_checkpoint import checkpoint

if TYPE_CHECKING:
    from ckread.analysis.filters.activation import Layer
    from ckread.model.checkpoint import Checkpoint

IMAGE = np.arange(4 * 6 * 2, dtype=float).reshape(4, 6, 2) - 20
INPUT = ("InputLayer", {"batch_shape": [None, 4, 6, 2]})
CONV: dict[str, Any] = {
    "kernel_size": [3, 2], "strides": [1, 2], "padding": "valid", "dilation_rate": 1,
    "activation": "relu", "use_bias": True,
}  # fmt: skip


def entry(kind: str, settings: dict[str, Any], name: str, node: Any = None) -> dict[str, Any]:
    made = {"class_name": kind, "module": "keras.layers", "config": {"name": name, **settings}}
    return made if node is None else {**made, "name": name, "inbound_nodes": node}


def holding(
    *before: tuple[str, dict[str, Any]], kind: str = "Conv2D", extra: Any = None, **settings: Any
) -> Checkpoint:
    """Make a checkpoint of one convolution `looked` behind some layers."""
    layers = [entry(*one, f"layer{i}") for i, one in enumerate(before)]
    layers.append(entry(kind, {**CONV, **settings}, "looked"))
    return with_model({"class_name": "Sequential", "config": {"layers": layers}}, extra)


def with_model(config: dict[str, Any], extra: Any = None) -> Checkpoint:
    arrays = {"looked/kernel": np.ones((3, 2, 2, 5)), "looked/bias": np.arange(5.0)}
    made = checkpoint({**arrays, **(extra or {})})
    made.evidence = made.evidence._replace(model=parse_model(config))
    return made


def told(*before: tuple[str, dict[str, Any]], **settings: Any) -> Layer:
    made = holding(*before, **settings)
    return layer_of(made, made["looked/kernel"])


def declined(made: Checkpoint) -> str:
    with pytest.raises(UsageError) as found:
        layer_of(made, made["looked/kernel"])
    return str(found.value).partition("\n")[0]


def test_a_layer_is_told_whole() -> None:
    layer = told(INPUT)
    assert layer.to_dict() == {
        "name": "looked", "stride": [1, 2], "padding": "valid", "dilation": [1, 1],
        "bias": "looked/bias", "activation": "relu", "before": [],
    }  # fmt: skip
    assert (layer.taken, layer.pixel_range, layer.is_depthwise) == ((4, 6), (0, 1), False)
    assert [(c.claim, c.value) for c in layer.claims] == [
        ("stride", "1×2"), ("padding", "valid"), ("dilation", "1"), ("bias", "looked/bias"),
        ("activation", "relu"), ("input", "the image itself"),
    ]  # fmt: skip
    assert layer.words == "stride 1×2, padding valid, bias, relu"
    other = told(
        INPUT, ("Rescaling", {"scale": 2, "offset": 1}), strides=3, padding="same",
        dilation_rate=[2, 1], use_bias=False, activation=None,
    )  # fmt: skip
    assert other.words == "stride 3, padding same, dilation 2×1, after layer1"
    assert other.to_dict() == {
        "name": "looked", "stride": [3, 3], "padding": "same", "dilation": [2, 1],
        "bias": None, "activation": "linear", "before": ["layer1"],
    }  # fmt: skip
    assert [c.value for c in other.claims] == ["3", "same", "2×1", "none", "linear", "layer1"]
    free = told(("InputLayer", {"batch_shape": [None, None, 6, 2]}))
    assert free.taken == (None, 6)
    first = told(("InputLayer", {"batch_shape": [None, 2, 4, 6]}), data_format="channels_first")
    assert first.taken == (4, 6)
    assert told(("InputLayer", {"batch_shape": [None, 4, 6]})).taken is None
    built = {**entry("Conv2D", CONV, "looked"), "build_config": {"input_shape": [None, 7, 8, 2]}}
    made = with_model({"class_name": "Sequential", "config": {"layers": [built]}})
    assert layer_of(made, made["looked/kernel"]).taken == (7, 8)
    assert told(kind="DepthwiseConv2D").is_depthwise


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("Dropout", {}, IMAGE),
        ("Rescaling", {"scale": 0.5, "offset": -1}, IMAGE * 0.5 - 1),
        ("Rescaling", {"scale": [1, 2], "offset": [3, 4]}, IMAGE * [1, 2] + [3, 4]),
        ("Normalization", {"axis": [-1], "mean": [3, 5], "variance": [4, 25]},
         (IMAGE - [3, 5]) / [2, 5]),
        ("Normalization", {"axis": None, "mean": 3, "variance": 0}, (IMAGE - 3) / 1e-7),
        ("Normalization", {"axis": 3, "mean": [3, 5], "variance": [4, 25], "invert": True},
         IMAGE * [2, 5] + [3, 5]),
        ("ZeroPadding2D", {"padding": [[1, 2], [3, 4]]},
         np.pad(IMAGE, ((1, 2), (3, 4), (0, 0)))),
        ("ZeroPadding2D", {"padding": 2}, np.pad(IMAGE, ((2, 2), (2, 2), (0, 0)))),
        ("ZeroPadding2D", {"padding": [1, 0]}, np.pad(IMAGE, ((1, 1), (0, 0), (0, 0)))),
        ("Cropping2D", {"cropping": [[1, 0], [2, 1]]}, IMAGE[1:, 2:-1]),
        ("Cropping2D", {"cropping": 1}, IMAGE[1:-1, 1:-1]),
        ("Cropping2D", {"cropping": [[0, 1], [0, 2]]}, IMAGE[:-1, :-2]),
        ("Resizing", {"height": 2, "width": 9, "interpolation": "nearest"},
         IMAGE[[1, 3]][:, [0, 1, 1, 2, 3, 3, 4, 5, 5]]),
        ("Resizing", {"height": 8, "width": 3},
         (lambda x: (x[:, ::2] + x[:, 1::2]) / 2)(np.stack(
             [IMAGE[0], *(IMAGE[i] * (1 - p) + IMAGE[i + 1] * p for i in range(3)
                          for p in (0.25, 0.75)), IMAGE[3]]))),
    ],
)  # fmt: skip
def test_what_stands_before_a_layer_is_done_to_the_image(
    kind: str, settings: dict[str, Any], expected: Any
) -> None:
    layer = told(INPUT, (kind, settings))
    np.testing.assert_allclose(layer.prepared(IMAGE), expected, rtol=1e-12)
    assert [step.name for step in layer.before] == ([] if kind == "Dropout" else ["layer1"])


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Flatten", {}),
        ("BatchNormalization", {}),
        ("Rescaling", {"scale": 1}),
        ("Rescaling", {"scale": [[1]], "offset": 0}),
        ("Rescaling", {"scale": [], "offset": 0}),
        ("Rescaling", {"scale": [1.0] * 17, "offset": 0}),
        ("Normalization", {"axis": [1], "mean": 1, "variance": 1}),
        ("Normalization", {"axis": [-1], "mean": 1}),
        ("ZeroPadding2D", {"padding": [[1, -1], [0, 0]]}),
        ("ZeroPadding2D", {"padding": 257}),
        ("ZeroPadding2D", {"padding": [[1.0, 1], [0, 0]]}),
        ("Cropping2D", {"cropping": [1, 2, 3]}),
        ("Resizing", {"height": 0, "width": 4}),
        ("Resizing", {"height": 1 << 11, "width": (1 << 9) + 1}),
        ("Resizing", {"height": 4, "width": 4, "interpolation": "bicubic"}),
        ("Resizing", {"height": 4, "width": 4, "crop_to_aspect_ratio": True}),
        ("Resizing", {"height": 4, "width": 4, "pad_to_aspect_ratio": True}),
    ],
)
def test_what_is_not_followed_makes_a_layer_a_deeper_one(
    kind: str, settings: dict[str, Any]
) -> None:
    made = holding(INPUT, (kind, settings))
    found = declined(made)
    assert found == f"looked/kernel: looked sees what layer1 ({kind}) gives, not the image"
    deeper = layer_of(made, made["looked/kernel"], is_input=True)
    assert (deeper.before, deeper.taken, deeper.words) == (
        (), None, "stride 1×2, padding valid, bias, relu"
    )  # fmt: skip


def test_the_largest_margins_and_sizes_are_followed() -> None:
    assert told(INPUT, ("ZeroPadding2D", {"padding": 256})).prepared(IMAGE).shape == (516, 518, 2)
    thin = told(INPUT, ("Resizing", {"height": 1 << 20, "width": 1, "interpolation": "nearest"}))
    assert thin.before[0].name == "layer1"
    assert told(INPUT, ("Rescaling", {"scale": [1.0] * 16, "offset": 0})).before


def test_statistics_of_a_normalization_are_variables_too() -> None:
    behind = INPUT, ("Normalization", {"axis": [-1]})
    figures = {"layer1/mean": np.array([1.0, 2]), "layer1/variance": np.array([4.0, 9])}
    made = holding(*behind, extra=figures)
    layer = layer_of(made, made["looked/kernel"])
    np.testing.assert_allclose(layer.prepared(IMAGE), (IMAGE - [1, 2]) / [2, 3])
    for missing in ({}, {"other/mean": np.ones(2), "layer1/variance": np.ones(2)}):
        assert "layer1 (Normalization)" in declined(holding(*behind, extra=missing))


def test_an_image_that_a_step_does_not_take() -> None:
    layer = told(INPUT, ("Rescaling", {"scale": [1, 2, 3], "offset": 0}))
    with pytest.raises(UsageError, match="an image of 4×6×2, which layer1 does not take"):
        layer.prepared(IMAGE)
    large = told(INPUT, ("ZeroPadding2D", {"padding": 256}))
    with pytest.raises(UsageError, match=r"layer1 makes 8,454,272 numbers of an image of 2×2×32"):
        large.prepared(np.zeros((2, 2, 32)))


@pytest.mark.parametrize(
    ("scale", "top"), [(1 / 255, 255), (10 / 255, 255), (10.1 / 255, 1), (-1 / 255, 255), (1, 1)]
)
def test_pixels_are_bytes_where_they_are_scaled_down(scale: float, top: int) -> None:
    layer = told(INPUT, ("Rescaling", {"scale": scale, "offset": -1}))
    assert list(layer.pixel_range) == [0, top]
    why = f"from 0 to 255 makes {255 * abs(scale):.3g} behind layer1"
    claims = [(one.value, one.source) for one in layer.claims if one.claim == "pixels"]
    assert claims == [("0 to 255", why)] * (top == 255)
    assert told(INPUT, ("Dropout", {})).pixel_range == (0, 1)
    bad = told(INPUT, ("Rescaling", {"scale": [0.1] * 3, "offset": 0}))
    assert bad.pixel_range == (0, 1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"groups": 2}, "looked is a Conv2D in groups"),
        ({"kind": "Conv2DTranspose"}, "looked is a Conv2DTranspose"),
        ({"activation": "mine"}, "looked has the activation 'mine', which is not known here"),
        ({"activation": "softmax", "data_format": "channels_first"}, "the activation 'softmax'"),
        ({"strides": 0}, "layer looked: strides 0, expected one or two numbers from 1 to 256"),
        ({"strides": [1, 257]}, "strides [1, 257], expected one or two"),
        ({"strides": [1]}, "strides [1], expected"),
        ({"dilation_rate": [1, 2, 3]}, "dilation_rate [1, 2, 3], expected"),
    ],
)
def test_layers_that_are_declined(settings: dict[str, Any], said: str) -> None:
    assert said in declined(holding(INPUT, **settings))


def test_settings_at_their_bounds() -> None:
    assert told(INPUT, strides=[1, 256]).stride == (1, 256)
    assert told(INPUT, activation="softmax").activation == "softmax"
    assert told(INPUT, activation="relu", data_format="channels_first").activation == "relu"
    assert told(INPUT, groups=1).stride == (1, 2)
    made = checkpoint({"looked/kernel": np.ones((3, 2, 2, 5))})
    made.evidence = made.evidence._replace(model=holding(INPUT).evidence.model)
    assert "layer looked has a bias, and the file has none" in declined(made)


def tensor(name: str) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}


def called(*operands: Any, **named: Any) -> list[dict[str, Any]]:
    return [{"args": list(operands), "kwargs": named}]


def functional(*layers: tuple[str, dict[str, Any], str, Any], name: str = "m") -> dict[str, Any]:
    made = [entry(*one) for one in layers]
    last = layers[-1][2]
    config = {"name": name, "layers": made, "output_layers": [[last, 0, 0]]}
    return {"class_name": "Functional", "module": "keras", "config": config}


START: tuple[str, dict[str, Any], str, Any] = (
    "InputLayer",
    {"batch_shape": [None, 4, 6, 2]},
    "in",
    [],
)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Add", lambda x, y: x + y), ("Subtract", lambda x, y: x - y),
        ("Multiply", lambda x, y: x * y), ("Divide", lambda x, y: x / y),
        ("TrueDivide", lambda x, y: x / y),
    ],
)  # fmt: skip
def test_arithmetic_with_a_constant_is_followed(word: str, expected: Any) -> None:
    image = IMAGE + 100
    for operands, values in (
        ((tensor("in"), 4.0), (image, 4)),
        (([3.0, 5.0], tensor("in")), ([3.0, 5.0], image)),
    ):
        made = with_model(
            functional(
                START,
                (word, {}, "op", called(*operands)),
                ("Conv2D", CONV, "looked", called(tensor("op"))),
            )
        )
        layer = layer_of(made, made["looked/kernel"])
        np.testing.assert_allclose(layer.prepared(image), expected(*values))
        assert (layer.taken, layer.words[-8:]) == ((4, 6), "after op")
    for odd in ((tensor("in"),), (tensor("in"), 4.0, 5.0), (tensor("in"), "x")):
        made = with_model(
            functional(
                START,
                (word, {}, "op", called(*odd)),
                ("Conv2D", CONV, "looked", called(tensor("op"))),
            )
        )
        assert f"looked sees what op ({word}) gives" in declined(made)


@pytest.mark.parametrize(
    ("function", "expected"),
    [("__operators__.add", IMAGE + 4), ("math.add", IMAGE + 4), ("math.subtract", IMAGE - 4),
     ("math.multiply", IMAGE * 4), ("math.truediv", IMAGE / 4), ("math.sin", None)],
)  # fmt: skip
def test_arithmetic_of_keras_2(function: str, expected: Any) -> None:
    made = with_model(
        functional(
            START,
            ("TFOpLambda", {"function": function}, "op", [["in", 0, 0, {"y": 4, "name": None}]]),
            ("Conv2D", CONV, "looked", [[["op", 0, 0, {}]]]),
        )
    )
    if expected is None:
        assert "looked sees what op (TFOpLambda) gives" in declined(made)
    else:
        layer = layer_of(made, made["looked/kernel"])
        np.testing.assert_allclose(layer.prepared(IMAGE), expected)


def test_a_layer_that_is_called_twice_or_behind_two_is_a_deeper_one() -> None:
    half = ("Rescaling", {"scale": 0.5, "offset": 0.0}, "half", called(tensor("in")))
    twice = ("Conv2D", CONV, "looked", called(tensor("half")) * 2)
    made = with_model(functional(START, half, twice))
    assert declined(made) == "looked/kernel: looked is called several times"
    both: tuple[str, dict[str, Any], str, Any] = (
        "Add",
        {},
        "both",
        called(tensor("half"), tensor("in")),
    )
    looked = ("Conv2D", CONV, "looked", called(tensor("both")))
    made = with_model(functional(START, half, both, looked))
    assert declined(made) == "looked/kernel: looked sees what both (Add) gives, not the image"


@pytest.mark.parametrize("is_sequential", [False, True])
def test_models_within_models_are_gone_through(is_sequential: bool) -> None:
    inner_layers: tuple[tuple[str, dict[str, Any], str, Any], ...] = (
        ("InputLayer", {"batch_shape": [None, 4, 6, 2]}, "start", []),
        ("Rescaling", {"scale": 3.0, "offset": 0.0}, "triple", called(tensor("start"))),
    )
    if is_sequential:
        layers = [entry(*one[:3]) for one in inner_layers]
        inner: dict[str, Any] = {"name": "inner", "layers": layers}
        kind = "Sequential"
    else:
        inner, kind = functional(*inner_layers, name="inner")["config"], "Functional"
    half = ("Rescaling", {"scale": 0.5, "offset": 1.0}, "half", called(tensor("in")))
    nested = (kind, inner, "inner", called(tensor("half")))
    made = with_model(
        functional(START, half, nested, ("Conv2D", CONV, "looked", called(tensor("inner"))))
    )
    layer = layer_of(made, made["looked/kernel"])
    np.testing.assert_allclose(layer.prepared(IMAGE), (IMAGE * 0.5 + 1) * 3)
    assert [step.name for step in layer.before] == ["half", "triple"]
    # The convolution is in the inner model.
    deep = {**inner, "layers": [*inner["layers"],
            entry("Conv2D", CONV, "looked", called(tensor("triple")))]}  # fmt: skip
    made = with_model(functional(START, half, (kind, deep, "inner", called(tensor("half")))))
    layer = layer_of(made, made["looked/kernel"])
    assert (layer.name, [step.name for step in layer.before]) == (
        "inner/looked", ["half", "triple"]
    )  # fmt: skip


def test_which_layer_a_kernel_is_of() -> None:
    conv = entry("Conv2D", CONV, "looked")
    one = {"class_name": "Sequential", "module": "keras", "config": {"name": "a", "layers": [conv]}}
    two = {"class_name": "Sequential", "module": "keras", "config": {"name": "b", "layers": [conv]}}
    whole = {"class_name": "Sequential", "config": {"layers": [one, two]}}
    made = with_model(
        whole, {"a/looked/kernel": np.ones((3, 2, 2, 5)), "a/looked/bias": np.ones(5)}
    )
    assert layer_of(made, made["a/looked/kernel"]).name == "a/looked"
    assert layer_of(made, made["looked/kernel"]).name == "", "one of two"
    extra = {"b/looked/kernel": np.ones((3, 2, 2, 5)), "b/looked/bias": np.ones(5)}
    other_one = with_model(whole, extra)
    assert layer_of(other_one, other_one["b/looked/kernel"], is_input=True).name == "b/looked"
    other = holding(INPUT, kernel_size=[3, 3])
    assert layer_of(other, other["looked/kernel"]).name == "", "of another size"
    extra = {"looked/weights": np.ones((3, 2, 2, 5)), "x/depthwise_kernel": np.ones((3, 2, 2, 5))}
    made = holding(INPUT, extra=extra)
    assert layer_of(made, made["looked/weights"]).name == ""
    plain = layer_of(made, made["x/depthwise_kernel"])
    assert (plain.name, plain.is_depthwise, len(plain.claims)) == ("", True, 4)
    assert not layer_of(made, made["looked/weights"]).is_depthwise


def test_what_is_asked_for_replaces_what_is_told() -> None:
    layer = told(INPUT)
    same = layer.with_asked()
    assert (same.to_dict(), same.claims) == (layer.to_dict(), layer.claims)
    asked = layer.with_asked(stride=3, padding="same", relu=False)
    assert (asked.stride, asked.padding, asked.activation) == ((3, 3), "same", "linear")
    assert [claim.claim for claim in asked.claims] == ["dilation", "bias", "input"]
    x = np.array([-1.0, 2])
    assert asked.activate(x).tolist() == [-1, 2]
    assert told(INPUT, activation="linear").with_asked(relu=True).activate(x).tolist() == [0, 2]


X = np.array([-9.0, -4.0, -1.5, -0.5, 0.0, 0.25, 1.0, 2.75, 7.0, 20.0])


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


PLAIN: dict[str, Any] = {
    "linear": lambda x: x,
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "leaky_relu": lambda x: x if x > 0 else 0.2 * x,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "gelu": lambda x: x * (1 + math.erf(x / 2**0.5)) / 2,
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda x: min(max(x / 6 + 0.5, 0), 1),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "hard_silu": lambda x: x * min(max(x / 6 + 0.5, 0), 1),
    "hard_swish": lambda x: x * min(max(x / 6 + 0.5, 0), 1),
    "tanh": math.tanh,
    "softsign": lambda x: x / (1 + abs(x)),
    "softplus": softplus,
    "exponential": math.exp,
    "mish": lambda x: x * math.tanh(softplus(x)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_activations_are_their_formulas(name: str) -> None:
    for given in (name, {"class_name": "function", "config": name}):
        word, activate = activation_of(given, "3.5.0")
        assert word == name
        assert activate is not None
        np.testing.assert_allclose(activate(X), [PLAIN[name](x) for x in X.tolist()], atol=1e-12)


def test_activations_of_other_kinds() -> None:
    softmax = activation_of("softmax", None)[1]
    assert softmax is not None
    raised = np.exp(X.reshape(5, 2))
    np.testing.assert_allclose(softmax(X.reshape(5, 2)), raised / raised.sum(axis=1, keepdims=True))
    assert activation_of(None, None)[0] == "linear"
    for version, slope in (("3.1", 1 / 6), ("2.9.0", 0.2), ("1.0", 0.2), (None, 0.2)):
        hard = activation_of("hard_sigmoid", version)[1]
        assert hard is not None
        np.testing.assert_allclose(hard(X), np.clip(X * slope + 0.5, 0, 1))


@pytest.mark.parametrize(
    ("kind", "config", "word", "expected"),
    [
        ("ReLU", {}, "relu", np.maximum(X, 0)),
        ("ReLU", {"max_value": 3}, "relu up to 3", np.clip(X, 0, 3)),
        ("ReLU", {"max_value": None, "threshold": 0}, "relu", np.maximum(X, 0)),
        ("LeakyReLU", {"negative_slope": 0.5}, "leaky_relu of 0.5", np.where(X < 0, X / 2, X)),
        ("LeakyReLU", {"alpha": 0.25}, "leaky_relu of 0.25", np.where(X < 0, X / 4, X)),
        ("ReLU", {"threshold": 1}, "ReLU", None),
        ("ReLU", {"negative_slope": 0.1}, "ReLU", None),
        ("ReLU", {"negative_slope": 0.1, "max_value": 2}, "ReLU", None),
        ("LeakyReLU", {"negative_slope": "x"}, "LeakyReLU", None),
        ("PReLU", {}, "PReLU", None),
    ],
)
def test_layers_as_activations(kind: str, config: Any, word: str, expected: Any) -> None:
    found, activate = activation_of({"class_name": kind, "config": config}, "3.0")
    assert found == word
    if expected is None:
        assert activate is None
    else:
        assert activate is not None
        np.testing.assert_allclose(activate(X), expected)


def lines(made: Checkpoint, version: str | None) -> list[str]:
    made.evidence = made.evidence._replace(keras_version=version)
    return [line.strip() for line in keras_lines(made, made["looked/kernel"]).lines[1:]]


def test_the_code_that_runs_a_model() -> None:
    made = holding(INPUT)
    last = "maps = layer.predict(images)"
    here = "layer = keras.Model(model.inputs[0], model.get_layer('looked').output)"
    load = "model = keras.models.load_model('model')"
    assert lines(made, "3.1") == ["import keras", load, here, last]
    assert lines(made, None) == ["import keras", load, here, last]
    two = lines(made, "2.15")
    assert two == ["import tf_keras as keras", load, here, last]
    nested = keras_lines(made, made["looked/kernel"], "a/b/looked").lines
    of = "model.get_layer('a').get_layer('b')"
    assert [line.strip() for line in nested[-2:]] == [
        f"layer = keras.Model({of}.inputs[0], {of}.get_layer('looked').output)",
        f"{last}  # what {of} takes",
    ]
    several = holding(INPUT, INPUT)
    assert "keras.Model(model.inputs, model" in keras_lines(several, several["looked/kernel"])


def plain_response(kernel: Any, image: Any, stride: Any, dilation: Any, *, depthwise: bool) -> Any:
    """Correlate element by element, nothing added at the edges."""
    (height, width), (n_in, n_out) = kernel.shape[:2], kernel.shape[2:]
    rows = (image.shape[0] - (height - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (image.shape[1] - (width - 1) * dilation[1] - 1) // stride[1] + 1
    out = np.zeros((rows, columns, n_in * n_out if depthwise else n_out))
    for y, x, i, j, c, o in np.ndindex(rows, columns, height, width, n_in, n_out):
        seen = image[y * stride[0] + i * dilation[0], x * stride[1] + j * dilation[1], c]
        out[y, x, c * n_out + o if depthwise else o] += seen * kernel[i, j, c, o]
    return out


@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (3, 2)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1), (1, 3)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_responses_are_sums_of_products(stride: Any, dilation: Any, depthwise: bool) -> None:
    random = np.random.default_rng(0)
    kernel = random.integers(-3, 4, (3, 2, 2, 2)).astype(float)
    image = random.integers(-3, 4, (7, 8, 2)).astype(float)
    bias = np.arange(4.0 if depthwise else 2.0)
    options: Any = {"stride": stride, "dilation": dilation, "is_depthwise": depthwise}
    found = response(kernel, image, padding=Padding.VALID, **options)
    expected = plain_response(kernel, image, stride, dilation, depthwise=depthwise)
    np.testing.assert_array_equal(found, expected)
    found = response(kernel, image, padding=Padding.VALID, bias=bias, **options)
    np.testing.assert_array_equal(found, expected + bias)
    around = []
    for axis, taps in enumerate((3, 2)):  # as many positions as size / stride, rounded up
        n, by = image.shape[axis], stride[axis]
        extra = max(0, (math.ceil(n / by) - 1) * by + (taps - 1) * dilation[axis] + 1 - n)
        around.append((extra // 2, extra - extra // 2))
    padded = np.pad(image, (*around, (0, 0)))
    found = response(kernel, image, padding=Padding.SAME, **options)
    assert found.shape[:2] == (math.ceil(7 / stride[0]), math.ceil(8 / stride[1]))
    np.testing.assert_array_equal(
        found, plain_response(kernel, padded, stride, dilation, depthwise=depthwise)
    )


def test_what_gives_no_response() -> None:
    kernel, image = np.ones((3, 3, 2, 4)), np.ones((5, 6, 2))
    for options, said in (
        ({"stride": 0}, "stride 0, expected 1 or more"),
        ({"stride": (1, -1)}, "stride -1, expected"),
        ({"dilation": (1, 0)}, "dilation 0, expected"),
        ({"bias": np.ones(3)}, r"a bias of shape \(3,\), expected one element per kernel: \(4,\)"),
        ({"dilation": (512, 1)}, "kernels that reach over 1025×3, expected 1024 at most"),
        ({"padding": Padding.VALID, "dilation": (3, 1)}, "the image of 5×6 is smaller than the ke"),
        ({"padding": Padding.VALID, "dilation": (1, 3)}, "smaller than the kernel of 3×7"),
    ):
        with pytest.raises(UsageError, match=said):
            response(kernel, image, **options)
    with pytest.raises(UsageError, match="the image has 3 channels, the kernel takes 2"):
        response(kernel, np.ones((5, 6, 3)))
    with pytest.raises(UsageError, match="2048 responses of 64×65, expected 8,388,608 elements"):
        response(np.ones((1, 1, 1, 2048)), np.ones((64, 65, 1)))
    assert response(kernel, image, dilation=(511, 1)).shape == (5, 6, 4)
    only = response(kernel, np.ones((3, 3, 2)), padding=Padding.VALID, bias=np.ones(4))
    assert only.tolist() == [[[19.0] * 4]]


@pytest.mark.parametrize("n", [7, 8, 9, 10])
def test_strides_beyond_the_kernel_add_nothing(n: int) -> None:
    image = np.arange(n * n, dtype=float).reshape(n, n, 1)
    found = response(np.ones((1, 1, 1, 1)), image, stride=3)
    np.testing.assert_array_equal(found, image[::3, ::3])
