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
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from ckread.model.checkpoint import Checkpoint
    from ckread.model.variable import Variable
    from ckread.readers.keras.config import LayerConfig

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
_BUILT = ("Conv2D", "DepthwiseConv2D")
_LEAVES = ("kernel", "depthwise_kernel", "pointwise_kernel")
_MOST_OF_BYTES = 10.0
"""How far apart black and white may be before the layer, if pixels are bytes: 1, 2, 255 / 60."""
_MOST_PROBED = 1 << 20
_MOST_ADDED = 256
"""Rows or columns that a layer adds or takes, and the most of a stride or dilation."""
_MOST_ELEMENTS = 1 << 23
_MOST_CHANNELS = 16


def _linear(x: Floats) -> Floats:
    return x


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
        activate: what that does to maps, channels last.
        is_depthwise: whether each channel has kernels of its own.
        pixel_range: what black and white pixels are for the model.
        taken: rows and columns of the images that the model takes, as far as it is told.
        before: what is done to an image before the layer.
        claims: what told each of these.
    """

    name: str = ""
    stride: tuple[int, int] = (1, 1)
    padding: str = "same"
    dilation: tuple[int, int] = (1, 1)
    bias: Variable | None = None
    activation: str = "linear"
    activate: Callable[[Floats], Floats] = _linear
    is_depthwise: bool = False
    pixel_range: tuple[float, float] = (0.0, 1.0)
    taken: tuple[int | None, int | None] | None = None
    before: tuple[Step, ...] = ()
    claims: tuple[Claim, ...] = ()

    def prepared(self, image: Floats) -> Floats:
        """Give what reaches the layer of an image (rows, columns, channels) at the model."""
        for step in self.before:
            shape = "×".join(map(str, image.shape))
            try:
                with np.errstate(all="ignore"):
                    image = step.apply(image)
            except (IndexError, ValueError):
                raise UsageError(f"an image of {shape}, which {step.name} does not take") from None
            if image.size > _MOST_ELEMENTS:
                found = f"{step.name} makes {image.size:,} numbers of an image of {shape}"
                raise UsageError(found, expected=f"{_MOST_ELEMENTS:,} at most")
        return image

    def with_asked(
        self,
        *,
        stride: int | None = None,
        padding: str | None = None,
        bias: Variable | None = None,
        relu: bool | None = None,
    ) -> Layer:
        """Give it with what somebody asks for in the place of what it is."""
        asked: dict[str, Any] = {"stride": None if stride is None else (stride, stride)}
        asked |= {"padding": padding, "bias": bias}
        if relu is not None:
            word = "relu" if relu else "linear"
            asked |= {"activation": word, "activate": _ACTIVATIONS[word]}
        asked = {name: value for name, value in asked.items() if value is not None}
        claims = tuple(claim for claim in self.claims if claim.claim not in asked)
        return replace(self, **asked, claims=claims)

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
            "name": self.name or None,
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


def layer_of(checkpoint: Checkpoint, kernel: Variable, *, is_input: bool = False) -> Layer:
    """Tell how the layer of a kernel computes, as far as the checkpoint says so.

    With `is_input` a deeper layer is told of, too: it is given what it takes.

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
    *before, (config, node) = _way_to(model, path)
    settings, name = config.settings, config.name
    lines = keras_lines(checkpoint, kernel, path)
    mode = quantization_mode(settings)
    is_in_groups = config.class_name == "Conv2D" and settings.get("groups", 1) != 1
    if config.class_name not in _BUILT or mode or is_in_groups:
        what = f"a {config.class_name}{' in groups' if is_in_groups else ''}"
        found = f"{kernel.name}: {name} is {what}{f' in {mode}' if mode else ''}"
        raise UsageError(found, expected="a Conv2D or DepthwiseConv2D", remedy=lines)
    activation, activate = activation_of(
        settings.get("activation"), checkpoint.evidence.keras_version
    )
    if settings.get("data_format") == "channels_first" and activation == "softmax":
        activate = None  # it goes over columns then
    if activate is None:
        found = f"{kernel.name}: {name} has the activation {activation!r}, which is not known here"
        raise UsageError(found, remedy=lines)
    told = f"{source}, layer {path}"
    bias = None
    if settings.get("use_bias", True):
        bias = checkpoint.get(f"{kernel.name.rpartition('/')[0]}/bias")
        if bias is None:
            raise UsageError(f"{kernel.name}: {told} has a bias, and the file has none")
    steps: list[Step] = []
    for layer, call in [*before, *([(config, _SEVERAL)] if node is _SEVERAL else [])]:
        apply = _step(checkpoint, layer, call)
        if apply is None and is_input:
            before, steps = [], []
            break
        if apply is None:
            last = before[-1][0] if before else layer
            what = f"{name} sees what {last.name} ({last.class_name}) gives, not the image"
            what = f"{name} is called several times" if layer is config else what
            raise UsageError(f"{kernel.name}: {what}", remedy=lines)
        steps += [Step(layer.name, apply)] if layer.class_name not in _PASSED else []
    first = before[0][0] if before else config
    shape = first.shape if first.class_name == "InputLayer" else first.input_shape
    taken = None
    if shape and len(shape) == 4:
        _, *sizes = shape
        del sizes[0 if settings.get("data_format") == "channels_first" else 2]
        taken = sizes[0], sizes[1]
    made = Layer(
        path,
        _pair(settings, "strides", told),
        str(settings.get("padding")),
        _pair(settings, "dilation_rate", told),
        bias,
        activation,
        activate,
        is_depthwise=config.class_name == "DepthwiseConv2D",
        taken=taken,
        before=tuple(steps),
    )
    pixels, why = _pixel_range(made, kernel.shape[2])
    values = {
        "stride": _times(made.stride),
        "padding": made.padding,
        "dilation": _times(made.dilation),
        "bias": "none" if bias is None else bias.name,
        "activation": activation,
    }
    claims = [Claim(claim, value, Strength.STORED, told) for claim, value in values.items()]
    after = " and ".join(step.name for step in steps) or "the image itself"
    claims.append(Claim("input", after, Strength.STORED, f"{source}, how the layers are connected"))
    if why:
        claims.append(Claim("pixels", f"{pixels[0]:g} to {pixels[1]:g}", Strength.DERIVED, why))
    return replace(made, pixel_range=pixels, claims=tuple(claims))


def _path_of(model: LayerConfig, kernel: Variable) -> str:
    """Give the path of the layer that a kernel is of; empty where that is not certain."""
    scope, _, leaf = kernel.name.rpartition("/")
    name = scope.rpartition("/")[2]
    fits = []
    for path, layer, _ in iter_layers(model):
        size = layer.settings.get("kernel_size")
        is_like = isinstance(size, list) and tuple(size) == kernel.shape[: len(size)]
        is_like |= leaf == "pointwise_kernel"  # of a SeparableConv2D, as a depthwise one may be
        if layer.name == name and leaf in _LEAVES and is_like and layer.is_builtin:
            fits.append(path)
    exact = [path for path in fits if path == scope or path.endswith(f"/{scope}")]
    fits = exact if len(fits) > 1 and len(exact) == 1 else fits
    return fits[0] if len(fits) == 1 else ""


def _way_to(model: LayerConfig, path: str) -> list[tuple[LayerConfig, Any]]:
    """Give the layers from the input of a model to one in it, through the models it is nested in.

    Each with the entry of its call.
    """
    *scopes, name = path.split("/")
    way: list[tuple[LayerConfig, Any]] = []
    for scope in scopes:
        *way, (model, node) = [*way, *_chain(model, scope)]
        way += [(model, node)] if node is _SEVERAL else []
    return [*way, *_chain(model, name)]


def _chain(model: LayerConfig, name: str | None) -> list[tuple[LayerConfig, Any]]:
    """Give the layers from the input of a model to one of them, to the last if None.

    It ends where a layer takes several inputs or is called
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
            scale, offset = (_constant(settings[key]) for key in ("scale", "offset"))
            return lambda image: image * scale + offset
        if kind == "Normalization":
            return _normalization(checkpoint, layer)
        if kind in ("ZeroPadding2D", "Cropping2D"):
            ends = settings["padding" if kind == "ZeroPadding2D" else "cropping"]
            pairs = [ends] * 2 if isinstance(ends, int) else ends
            (top, bottom), (left, right) = (
                (one, one) if isinstance(one, int) else one for one in pairs
            )
            margins = (top, bottom, left, right)
            if not all(type(one) is int and 0 <= one <= _MOST_ADDED for one in margins):
                return None
            if kind == "ZeroPadding2D":
                return lambda image: np.pad(image, ((top, bottom), (left, right), (0, 0)))
            return lambda image: image[top : image.shape[0] - bottom, left : image.shape[1] - right]
        if kind == "Resizing":
            return _resizing(settings)
        return _arithmetic(layer, node)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
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
        found.append(_constant(np.asarray(value, float).reshape(-1)))
    with np.errstate(invalid="ignore"):
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
    if min(sizes) < 1 or math.prod(sizes) > _MOST_PROBED:
        return None

    def resized(image: Floats) -> Floats:
        for axis, n in enumerate(sizes):
            if image.size // max(1, image.shape[axis]) * n > _MOST_ELEMENTS:
                raise ValueError
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
    left, right = (None if one is None else _constant(one) for one in operands)
    return lambda image: operation(
        image if left is None else left, image if right is None else right
    )


def _pixel_range(layer: Layer, n_channels: int) -> tuple[tuple[float, float], str]:
    """Tell what black and white pixels are for the model, and why: what scales down takes bytes."""
    size = [one or 64 for one in layer.taken or (64, 64)]
    size = size if math.prod(size) <= _MOST_PROBED else [64, 64]
    try:
        black, white = (layer.prepared(np.full((*size, n_channels), x)) for x in (0.0, 255.0))
    except UsageError:
        return (0.0, 1.0), ""
    with np.errstate(all="ignore"):
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
    "linear": _linear,
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
    # A SavedModel tells no version: it is of Keras 2.
    if word == "hard_sigmoid" and (keras_version or "2.").startswith(("1.", "2.")):
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
        roots = [path.partition("/")[0] for path in (kernel.key, *kernel.paths)]
        held = [root for root in roots if root.isidentifier() and root[0] != "_"]
        root = next((root for root in held if "optimizer" not in root), "")
        place = f"{root}=model" if root else "model"
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
    n_inputs = sum(one.class_name == "InputLayer" for one in getattr(evidence.model, "layers", ()))
    inputs = f"{of}.inputs" if n_inputs > 1 else f"{of}.inputs[0]"
    lines.append(f"layer = keras.Model({inputs}, {of}.get_layer({inner!r}).output)")
    lines.append(f"maps = layer.predict(images){f'  # what {of} takes' if rest else ''}")
    return TextLines("Keras computes it:", *(f"    {line}" for line in lines))


def _pair(settings: Mapping[str, Any], name: str, told: str) -> tuple[int, int]:
    """Give stride or dilation in rows and columns; 1 is Keras's default."""
    value = settings.get(name, 1)
    pair = [value, value] if isinstance(value, int) else value
    is_pair = isinstance(pair, list) and len(pair) == 2
    if not is_pair or not all(type(one) is int and 0 < one <= _MOST_ADDED for one in pair):
        expected = f"one or two numbers from 1 to {_MOST_ADDED}"
        raise UsageError(f"{told}: {name} {value!r:.60}", expected=expected)
    return pair[0], pair[1]


def _constant(value: Any) -> Floats:
    """Give a number, or one for each channel; a ValueError if it is neither."""
    numbers = np.asarray(value, float)
    if numbers.ndim > 1 or not 0 < numbers.size <= _MOST_CHANNELS:
        raise ValueError
    return numbers


def _times(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"
