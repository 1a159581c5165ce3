"""How the layer of a kernel computes what it gives, as the configuration of its model says.

The configuration of a `.keras`, a whole-model `.h5` or a SavedModel of Keras 2 tells stride,
padding, dilation, bias and activation, and what stands between the image and the layer:
rescaling, normalization, padding, cropping and arithmetic with constants are followed,
what does nothing outside of training is passed, and at anything else a layer counts as a
deeper one. Of other files nothing of this is known.

References: keras/src/layers/convolutional, keras/src/layers/preprocessing,
keras/src/activations/activations.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.errors import TextLines, UsageError
from ckread.model.evidence import Claim, Strength
from ckread.readers.contract import Format
from ckread.readers.keras.config import iter_layers
from ckread.readers.keras.layers import quantization_mode
from ckread.readers.keras.topology import calls_of, output_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from ckread.readers.keras.config import LayerConfig
    from ckread.readers.keras.topology import Shape

    Floats = NDArray[np.float64]

_TOLD_BY = {
    Format.KERAS_ARCHIVE: "config.json",
    Format.LEGACY_HDF5: "model_config",
    Format.SAVED_MODEL: "keras_metadata.pb",
}
_PASSED = {
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
    "Identity", "InputLayer", "RandomBrightness", "RandomContrast", "RandomFlip",
    "RandomRotation", "RandomTranslation", "RandomZoom", "SpatialDropout2D",
}  # fmt: skip
"""What gives the image as it is, outside of training."""
_KERNELS = {"Conv2D": "kernel", "DepthwiseConv2D": "depthwise_kernel"}
_MOST_OF_BYTES = 10.0
"""How far apart black and white may be before the layer, if pixels are bytes: 1, 2, 255 / 60."""
_MOST_PROBED = 1 << 20


@dataclass(frozen=True, slots=True)
class Layer:
    """How a layer computes what it gives.

    Attributes:
        name: its path in the model; empty where no configuration tells of it.
        stride: in rows and columns.
        padding: `same` or `valid`.
        dilation: in rows and columns.
        bias: what is added per kernel, if anything.
        activation: what is applied then, in Keras's word; `linear` for nothing.
        is_depthwise: whether each channel has kernels of its own.
        pixel_range: what black and white pixels are for the model.
        taken: shape of the images that the model takes, as far as it is told.
        claims: what told each of these.
    """

    name: str = ""
    stride: tuple[int, int] = (1, 1)
    padding: str = "same"
    dilation: tuple[int, int] = (1, 1)
    bias: Variable | None = None
    activation: str = "linear"
    is_depthwise: bool = False
    pixel_range: tuple[float, float] = (0.0, 1.0)
    taken: Shape | None = None
    before: tuple[Step, ...] = ()
    activate: Callable[[Floats], Floats] | None = None
    claims: tuple[Claim, ...] = ()

    def prepared(self, image: Floats) -> Floats:
        """Give what reaches the layer of an image (rows, columns, channels) at the model."""
        for step in self.before:
            image = step.apply(image)
        return image

    @property
    def words(self) -> str:
        """Say it in a line: `stride 2, padding valid, bias, relu, after rescaling`."""
        words = [f"stride {_times(self.stride)}, padding {self.padding}"]
        words += [f"dilation {_times(self.dilation)}"] if self.dilation != (1, 1) else []
        words += ["bias"] if self.bias is not None else []
        words += [self.activation] if self.activation != "linear" else []
        words += [f"after {' and '.join(step.name for step in self.before)}"] if self.before else []
        return ", ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Give the fields of JSON documents."""
        return {
            "layer": self.name or None,
            "stride": list(self.stride),
            "padding": self.padding,
            "dilation": list(self.dilation),
            "bias": self.bias.name if self.bias is not None else None,
            "activation": self.activation,
            "before": [step.name for step in self.before],
        }


class Step(NamedTuple):
    """What is done to an image before the layer: the name of a layer, and what that does."""

    name: str
    apply: Callable[[Floats], Floats]


def layer_of(checkpoint: Checkpoint, kernel: Variable) -> Layer:
    """Tell how the layer of a kernel computes, as far as the checkpoint says so.

    Raises:
        UsageError: it is no first convolution; the remedy is the Keras code that runs the model.
    """
    model = checkpoint.evidence.model
    path = _path_of(model, kernel) if model is not None else ""
    source = _TOLD_BY.get(checkpoint.format, "")
    if model is None or not path:
        would = "the configuration in a .keras or a whole-model .h5"
        claims = [
            Claim(claim, None, Strength.UNKNOWN, would)
            for claim in ("stride", "padding", "bias", "activation")
        ]
        is_depthwise = "depthwise" in kernel.name.lower()
        return Layer(is_depthwise=is_depthwise, claims=tuple(claims))
    *scopes, name = path.split("/")
    inner = model
    chain: list[tuple[LayerConfig, Any]] = []
    for scope in scopes:
        *chain, (inner, node) = [*chain, *_chain(inner, scope)]
        chain += [(inner, node)] if node is _SEVERAL else []
    *before, (config, node) = [*chain, *_chain(inner, name)]
    lines = keras_lines(checkpoint, kernel, path)
    settings = config.settings
    if config.class_name not in _KERNELS or quantization_mode(settings):
        mode = quantization_mode(settings)
        found = f"{kernel.name}: {name} is a {config.class_name}{f' in {mode}' if mode else ''}"
        raise UsageError(found, expected="a Conv2D or DepthwiseConv2D", remedy=lines)
    if config.class_name == "Conv2D" and settings.get("groups", 1) != 1:
        raise UsageError(f"{kernel.name}: {name} convolves in groups", remedy=lines)
    if node is _SEVERAL:
        raise UsageError(f"{kernel.name}: {name} is called several times", remedy=lines)
    steps = []
    for layer, node in before:
        step = _step(checkpoint, layer, node)
        if step is None:
            what = f"{name} sees what {layer.name} ({layer.class_name}) gives, not the image"
            raise UsageError(f"{kernel.name}: {what}", remedy=lines)
        steps += [Step(layer.name, step)] if layer.class_name not in _PASSED else []
    activation, activate = activation_of(
        settings.get("activation"), checkpoint.evidence.keras_version
    )
    if activate is None:
        found = f"{kernel.name}: {name} has the activation {activation!r}, which is not known here"
        raise UsageError(found, remedy=lines)
    scope = kernel.name.rpartition("/")[0]
    bias = checkpoint.get(f"{scope}/bias") if settings.get("use_bias", True) else None
    if bias is None and settings.get("use_bias", True):
        raise UsageError(f"{kernel.name}: {source} says that {name} has a bias, and none is here")
    layer_is = f"{source}, layer {path}"
    first = next((one.shape for one, _ in before if one.class_name == "InputLayer"), None)
    made = Layer(
        path,
        _pair(settings.get("strides")),
        str(settings.get("padding")),
        _pair(settings.get("dilation_rate")),
        bias,
        activation,
        config.class_name == "DepthwiseConv2D",
        taken=first or (before[0][0].input_shape if before else config.input_shape),
        before=tuple(steps),
        activate=activate,
    )
    pixels, why = _pixel_range(made, kernel.shape[2])
    claims = [
        Claim("stride", _times(made.stride), Strength.STORED, layer_is),
        Claim("padding", made.padding, Strength.STORED, layer_is),
        Claim("dilation", _times(made.dilation), Strength.STORED, layer_is),
        Claim("bias", "none" if bias is None else bias.name, Strength.STORED, layer_is),
        Claim("activation", activation, Strength.STORED, layer_is),
    ]
    after = " and ".join(step.name for step in steps) or "the image itself"
    claims.append(Claim("input", after, Strength.STORED, f"{source}, how the layers are connected"))
    if why:
        told = f"{pixels[0]:g} to {pixels[1]:g}"
        claims.append(Claim("pixels", told, Strength.DERIVED, why))
    return replace(made, pixel_range=pixels, claims=tuple(claims))


def _path_of(model: LayerConfig, kernel: Variable) -> str:
    """Give the path of the layer that a kernel is of; empty where that is not certain."""
    scope, _, leaf = kernel.name.rpartition("/")
    name = scope.rpartition("/")[2]
    fits = []
    for path, layer, _ in iter_layers(model):
        size = layer.settings.get("kernel_size")
        is_of = leaf in ("kernel", _KERNELS.get(layer.class_name, "kernel"))
        is_like = isinstance(size, list) and tuple(size) == kernel.shape[: len(size)]
        if layer.name == name and is_of and is_like and layer.is_builtin:
            fits.append(path)
    exact = [path for path in fits if path == scope or path.endswith(f"/{scope}")]
    fits = exact if len(fits) > 1 and len(exact) == 1 else fits
    return fits[0] if len(fits) == 1 else ""


def _chain(model: LayerConfig, name: str | None) -> list[tuple[LayerConfig, Any]]:
    """Give the layers from the input of a model to one of them, to the last if None.

    Each with the entry of its call. It ends where a layer takes several inputs or is called
    several times: that layer stands first, and nothing before it.
    """
    layers = {layer.name: layer for layer in model.layers}
    calls = calls_of(model.class_name, model.settings.get("layers") or ())
    if name is None:
        name = output_of(model.class_name, model.settings) or model.layers[-1].name
    chain: list[tuple[LayerConfig, Any]] = []
    while name in layers and len(chain) <= len(layers):
        here, of_layer = layers[name], calls.get(name, [])
        is_single = len(of_layer) == 1 and len(of_layer[0].takes) == 1
        node = of_layer[0].node if is_single else None
        is_start = not of_layer
        if here.layers and chain and (is_single or is_start):
            chain += reversed(_chain(here, None))
        else:
            chain.append((here, node if is_single or is_start else _SEVERAL))
        if not is_single:
            break
        name = of_layer[0].takes[0]
    return chain[::-1]


_SEVERAL = object()
"""In the place of a call: there are several, or several inputs."""


# What stands before the layer.


def _step(
    checkpoint: Checkpoint, layer: LayerConfig, node: Any
) -> Callable[[Floats], Floats] | None:
    """Give what a layer does to one image; None if that is not followed."""
    settings, kind = layer.settings, layer.class_name
    if node is _SEVERAL or not layer.is_builtin:
        return None
    try:
        if kind in _PASSED:
            return lambda image: image
        if kind == "Rescaling":
            scale, offset = (np.asarray(settings[key], float) for key in ("scale", "offset"))
            return lambda image: image * scale + offset
        if kind == "Normalization":
            return _normalization(checkpoint, layer)
        if kind in ("ZeroPadding2D", "Cropping2D"):
            ends = settings["padding" if kind == "ZeroPadding2D" else "cropping"]
            pairs = [ends] * 2 if isinstance(ends, int) else ends
            (top, bottom), (left, right) = (
                (one, one) if isinstance(one, int) else one for one in pairs
            )
            if kind == "ZeroPadding2D":
                return lambda image: np.pad(image, ((top, bottom), (left, right), (0, 0)))
            return lambda image: image[top : image.shape[0] - bottom, left : image.shape[1] - right]
        if kind == "Resizing":
            return _resizing(settings)
        return _arithmetic(layer, node)
    except (KeyError, TypeError, ValueError):
        return None  # settings of another kind than Keras writes


def _normalization(checkpoint: Checkpoint, layer: LayerConfig) -> Callable[[Floats], Floats] | None:
    """Give `(image - mean) / deviation`, by constants of the settings or variables of the file."""
    settings = layer.settings
    axis = settings.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    if axes not in ([-1], [3], [None], []):
        return None
    found = []
    for word in ("mean", "variance"):
        value = settings.get(word)
        if value is None:
            owned = [
                variable
                for variable in checkpoint.of_word(word)
                if variable.name.split("/")[-2:-1] == [layer.name]
            ]
            if len(owned) != 1:
                return None
            value = owned[0].numpy()
        found.append(np.asarray(value, float).reshape(-1))
    mean, deviation = found[0], np.maximum(np.sqrt(found[1]), 1e-7)
    if settings.get("invert"):
        return lambda image: image * deviation + mean
    return lambda image: (image - mean) / deviation


def _resizing(settings: dict[str, Any]) -> Callable[[Floats], Floats] | None:
    """Give what resizes as `tf.image.resize` does, without antialiasing."""
    how = settings.get("interpolation", "bilinear")
    if settings.get("crop_to_aspect_ratio") or settings.get("pad_to_aspect_ratio"):
        return None
    if how not in ("bilinear", "nearest"):
        return None
    sizes = int(settings["height"]), int(settings["width"])

    def resized(image: Floats) -> Floats:
        for axis, n in enumerate(sizes):
            last = image.shape[axis] - 1
            at = (np.arange(n) + 0.5) * (image.shape[axis] / n)
            if how == "nearest":
                image = image.take(np.minimum(at.astype(int), last), axis)
                continue
            low = np.floor(at - 0.5)
            part = np.expand_dims(at - 0.5 - low, tuple(range(1, 3 - axis)))
            before, after = (
                image.take(np.clip(i, 0, last).astype(int), axis) for i in (low, low + 1)
            )
            image = before + (after - before) * part
        return image

    return resized


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add, "Subtract": np.subtract, "Multiply": np.multiply, "Divide": np.divide,
    "TrueDivide": np.divide, "__operators__.add": np.add, "math.add": np.add,
    "math.subtract": np.subtract, "math.multiply": np.multiply, "math.truediv": np.divide,
}  # fmt: skip


def _arithmetic(layer: LayerConfig, node: Any) -> Callable[[Floats], Floats] | None:
    """Give an operation on the image and a constant: `x / 127.5` stands in the model as such."""
    word = layer.class_name
    if word == "TFOpLambda":  # of Keras 2: [layer, call, tensor, {"y": 127.5, "name": null}]
        word = str(layer.settings.get("function"))
        operands = [None, node[3]["y"]]
    elif isinstance(node, dict):
        operands = [*node["args"], *node["kwargs"].values()]
        operands = [None if isinstance(one, dict) else one for one in operands]
    else:
        return None
    operation = _OPERATIONS.get(word)
    if operation is None or len(operands) != 2 or operands.count(None) != 1:
        return None
    left, right = (None if one is None else np.asarray(one, float) for one in operands)
    return lambda image: operation(
        image if left is None else left, image if right is None else right
    )


def _pixel_range(layer: Layer, n_channels: int) -> tuple[tuple[float, float], str]:
    """Tell what black and white pixels are for the model, and why: what scales down takes bytes."""
    sizes = layer.taken[1:3] if layer.taken and len(layer.taken) == 4 else ()
    shape = (*((size or 64) for size in sizes), n_channels) if sizes else (64, 64, n_channels)
    shape = shape if math.prod(shape) <= _MOST_PROBED else (64, 64, n_channels)
    black, white = layer.prepared(np.zeros(shape)), layer.prepared(np.full(shape, 255.0))
    widest = float(np.abs(white - black).max()) if white.size else math.inf
    if layer.before and widest <= _MOST_OF_BYTES:
        return (0.0, 255.0), f"from 0 to 255 makes {widest:.3g} behind {layer.before[-1].name}"
    return (0.0, 1.0), ""


# Activations, in Keras's words.

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _sigmoid(x: Floats) -> Floats:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _softmax(x: Floats) -> Floats:
    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    whole: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return whole


def _gelu(x: Floats) -> Floats:
    error_function: Floats = np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))
    return 0.5 * x * (1 + error_function)


def _softplus(x: Floats) -> Floats:
    return np.logaddexp(x, 0)


def _hard_sigmoid(x: Floats) -> Floats:
    return np.clip(x / 6 + 0.5, 0, 1)


def _leaky(slope: float) -> Callable[[Floats], Floats]:
    return lambda x: np.where(x < 0, slope * x, x)


_ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": _leaky(0.2),
    "elu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "selu": lambda x: _SELU_SCALE * np.where(x < 0, _SELU_ALPHA * np.expm1(np.minimum(x, 0)), x),
    "gelu": _gelu,
    "sigmoid": _sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "silu": lambda x: x * _sigmoid(x),
    "swish": lambda x: x * _sigmoid(x),
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "hard_swish": lambda x: x * _hard_sigmoid(x),
    "tanh": np.tanh,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softplus": _softplus,
    "softmax": _softmax,
    "exponential": np.exp,
    "mish": lambda x: x * np.tanh(_softplus(x)),
}


def activation_of(
    entry: Any, keras_version: str | None
) -> tuple[str, Callable[[Floats], Floats] | None]:
    """Give the word of an activation, and what it does to maps with channels last.

    None for what is not Keras's own. A layer as an activation is told by its settings.
    """
    config = entry.get("config") if isinstance(entry, dict) else None
    if entry is None:
        word = "linear"
    elif isinstance(config, dict):
        word = str(entry.get("class_name"))
        slope = config.get("negative_slope", config.get("alpha", 0.0))
        top = config.get("max_value")
        if isinstance(slope, int | float) and not config.get("threshold"):
            if word == "LeakyReLU":
                return f"leaky_relu of {slope:g}", _leaky(slope)
            if word == "ReLU" and not slope and top is None:
                return "relu", _ACTIVATIONS["relu"]
            if word == "ReLU" and not slope and isinstance(top, int | float):
                return f"relu up to {top:g}", lambda x: np.clip(x, 0, top)
        return word, None
    else:
        word = str(config if isinstance(entry, dict) else entry)
    if word == "hard_sigmoid" and (keras_version or "2").startswith(("1.", "2.")):
        return word, lambda x: np.clip(0.2 * x + 0.5, 0, 1)
    return word, _ACTIVATIONS.get(word)


# What runs the model, where a deeper layer is asked for.


def keras_lines(checkpoint: Checkpoint, kernel: Variable, path: str = "") -> TextLines:
    """Give the code that has Keras compute what a layer gives."""
    evidence = checkpoint.evidence
    name = path or kernel.name.rpartition("/")[0].rpartition("/")[2]
    is_keras_2 = (evidence.keras_version or "3").startswith("2")
    is_keras_2 |= checkpoint.format is Format.SAVED_MODEL
    keras = "import tf_keras as keras" if is_keras_2 else "import keras"
    if evidence.model is not None:
        lines = [keras, f"model = keras.models.load_model({checkpoint.path!r})"]
    elif checkpoint.format is Format.TENSOR_BUNDLE and evidence.graph is not None:
        root = kernel.key.partition("/")[0]
        place = f"{root}=model" if root.isidentifier() and not root.startswith("_") else "model"
        lines = [
            "import keras, tensorflow as tf",
            "model = build_model()  # as the program that trained it does",
            f"tf.train.Checkpoint({place}).restore({checkpoint.path!r}).expect_partial()",
        ]
    elif checkpoint.format in (Format.KERAS_WEIGHTS, Format.LEGACY_HDF5):
        lines = [
            "import keras",
            "model = build_model()  # as the program that trained it does",
            f"model.load_weights({checkpoint.path!r})",
        ]
    else:
        return TextLines("What a deeper layer sees is the output of the layers before it.")
    inner, *rest = name.split("/")
    of = "model"
    for scope in rest:
        of += f".get_layer({inner!r})"
        inner = scope
    layer = f"keras.Model({of}.inputs, {of}.get_layer({inner!r}).output)"
    takes = f"  # what {of} takes" if rest else ""
    lines.append(f"maps = {layer}.predict(images){takes}")
    return TextLines("Keras computes it:", *(f"    {line}" for line in lines))


def _pair(value: Any) -> tuple[int, int]:
    """Give stride or dilation in rows and columns; 1 where it is not told."""
    if isinstance(value, list) and len(value) == 2:
        return int(value[0]), int(value[1])
    return (value, value) if isinstance(value, int) else (1, 1)


def _times(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"
