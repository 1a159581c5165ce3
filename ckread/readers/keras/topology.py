"""How the layers of a configuration feed each other, and the shapes that go through them.

Sequential    each layer takes what the one before it gives
Functional    `inbound_nodes` of each layer: an entry for every call of it
              Keras 3   {"args": [{"class_name": "__keras_tensor__", "config": {"shape",
                        "keras_history": [layer, call, tensor]}}, 127.5], "kwargs": {}}
              Keras 2   [[layer, call, tensor, {}], …]; of a bare operation
                        [layer, call, tensor, {"y": 127.5, "name": null}]
shapes        of InputLayers; of the tensors that are handed on (Keras 3); what a layer
              was built for, its `build_config`; else by the arithmetic of its class

Nothing is built from it. A shape that none of these tells is None.

Reference: keras/src/models/functional.py, keras/src/ops/operation_utils.py
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Shape = tuple[int | None, ...]

_MAX_RANK = 64


class Call(NamedTuple):
    """One call of a layer.

    Attributes:
        takes: the layers whose outputs it takes, in order.
        node: the entry of the configuration; empty in a Sequential.
    """

    takes: tuple[str, ...]
    node: Any = None


def calls_of(class_name: str, entries: Iterable[Any]) -> dict[str, list[Call]]:
    """Give the calls of each layer of a model, by its name; none of a layer that is an input."""
    calls: dict[str, list[Call]] = {}
    before: tuple[str, ...] = ()
    for entry in entries:
        config = entry.get("config") if isinstance(entry, dict) else None
        name = config.get("name", entry.get("name")) if isinstance(config, dict) else None
        if not isinstance(name, str):
            continue
        if class_name == "Sequential":
            calls[name] = [Call(before)] if before else []
            before = (name,)
        else:
            nodes = entry.get("inbound_nodes")
            calls[name] = [
                Call(tuple(layer for layer, _ in handed_on(node)), node)
                for node in (nodes if isinstance(nodes, list) else ())
            ]
    return calls


def handed_on(node: Any) -> list[tuple[str, Shape | None]]:
    """Give the tensors that a part of `inbound_nodes` takes: their layer, and their shape."""
    found: list[tuple[str, Shape | None]] = []
    stack = [node]
    while stack:
        item, shape = stack.pop(), None
        if isinstance(item, dict):
            config = item.get("config")
            if item.get("class_name") != "__keras_tensor__" or not isinstance(config, dict):
                stack += reversed(item.values())
                continue
            item, shape = config.get("keras_history"), parse_shape(config.get("shape"))
        if not isinstance(item, list):
            continue
        is_tensor = len(item) > 2 and isinstance(item[0], str) and type(item[1]) is int
        if is_tensor:
            found.append((item[0], shape))
        stack += reversed(item[3:] if is_tensor else item)
    return found


def output_of(class_name: str, settings: Mapping[str, Any]) -> str | None:
    """Give the layer whose output is the first of a model; None if the last of a Sequential is."""
    if class_name == "Sequential":
        return None
    return next((layer for layer, _ in handed_on(settings.get("output_layers"))), None)


# Shapes that are written down.


def parse_shape(value: Any) -> Shape | None:
    """Give a list of sizes as a shape, None if it is none."""
    if not isinstance(value, list) or len(value) > _MAX_RANK:
        return None
    if not all(size is None or (type(size) is int and size >= 0) for size in value):
        return None
    return tuple(value)


def input_shape(settings: Mapping[str, Any]) -> Shape | None:
    """Give the shape that a layer takes if its settings say so, as those of InputLayers do."""
    shape = parse_shape(settings.get("batch_shape"))
    return shape or parse_shape(settings.get("batch_input_shape"))


def built_shape(entry: Any) -> Shape | None:
    """Give the shape that a layer was built for."""
    build = entry.get("build_config") if isinstance(entry, dict) else None
    return parse_shape(build.get("input_shape")) if isinstance(build, dict) else None


# Shapes that follow from what goes in.

_KEEP_SHAPE = {
    "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average",
    "BatchNormalization", "Dropout", "ELU", "GaussianDropout", "GaussianNoise",
    "GroupNormalization", "Identity", "InputLayer", "LayerNormalization", "LeakyReLU", "Masking",
    "Maximum", "Minimum", "Multiply", "Normalization", "PReLU", "RMSNormalization",
    "RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation", "RandomTranslation",
    "RandomZoom", "ReLU", "Rescaling", "Softmax", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "SpectralNormalization", "Subtract", "ThresholdedReLU",
    "UnitNormalization",
}  # fmt: skip
_RECURRENT = {"LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU"}


def output_shape(
    class_name: str, settings: Mapping[str, Any], inputs: Sequence[Shape | None]
) -> Shape | None:
    """Tell the shape of what a layer of Keras's own gives, where that is plain."""
    taken = inputs[0] if inputs else None
    if not taken or (any(shape != taken for shape in inputs) and class_name != "Concatenate"):
        return None
    try:
        return _output_shape(class_name, settings, taken, inputs)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None  # settings of another kind than Keras writes


def _output_shape(
    class_name: str, settings: Mapping[str, Any], taken: Shape, inputs: Sequence[Shape | None]
) -> Shape | None:
    batch, *rest = taken
    if class_name in _KEEP_SHAPE:
        return taken
    if class_name == "Dense":
        return (*taken[:-1], int(settings["units"])) if "units" in settings else None
    if class_name == "Embedding":
        return (*taken, int(settings["output_dim"])) if "output_dim" in settings else None
    if class_name == "Flatten":
        return batch, None if None in rest else math.prod(size or 0 for size in rest)
    if class_name == "Reshape":
        wanted, n = list(settings.get("target_shape") or ()), None
        if None not in rest and -1 in wanted:
            known = math.prod(size for size in wanted if size != -1)
            n = math.prod(size or 0 for size in rest) // known
        return batch, *(n if size == -1 else int(size) for size in wanted)
    if class_name == "RepeatVector":
        return batch, int(settings["n"]), *rest
    if class_name == "Permute":
        return batch, *(taken[axis] for axis in settings["dims"])
    if class_name in _RECURRENT:
        units = int(settings["units"])
        return (batch, rest[0], units) if settings.get("return_sequences") else (batch, units)
    if class_name == "Bidirectional" and settings.get("merge_mode", "concat") == "concat":
        inner = settings["layer"]
        one = output_shape(inner["class_name"], inner["config"], [taken]) or (None,)
        return (*one[:-1], 2 * one[-1]) if one[-1] else None
    if class_name == "Concatenate":
        axis = int(settings.get("axis", -1)) % len(taken)
        others = [shape for shape in inputs if shape is not None]
        cut = {(*shape[:axis], *shape[axis + 1 :]) for shape in others}
        if len(others) < len(inputs) or len(cut) > 1:
            return None
        sizes = [shape[axis] for shape in others]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        return (*taken[:axis], total, *taken[axis + 1 :])
    return _over_space(class_name, settings, taken)


def _over_space(class_name: str, settings: Mapping[str, Any], taken: Shape) -> Shape | None:
    """Tell it of a layer that moves over the dimensions between batch and channels."""
    is_first = settings.get("data_format") == "channels_first"
    batch, *space = taken
    channels = space.pop(0 if is_first else -1)
    n_dims = len(space)

    def shaped(sizes: Iterable[int | None], n_channels: int | None = channels) -> Shape:
        return (batch, n_channels, *sizes) if is_first else (batch, *sizes, n_channels)

    def numbers(setting: str, default: int | None = None) -> list[int]:
        value = settings.get(setting)
        value = default if value is None else value
        return [value] * n_dims if isinstance(value, int) else [int(size) for size in value or ()]

    kind = class_name.removesuffix(f"{n_dims}D")
    if kind in ("GlobalAveragePooling", "GlobalMaxPooling"):
        return shaped([1] * n_dims) if settings.get("keepdims") else (batch, channels)
    if kind in ("ZeroPadding", "Cropping"):
        is_added = kind == "ZeroPadding"
        ends = settings["padding" if is_added else "cropping"]
        ends = [ends] if n_dims == 1 else [ends] * n_dims if isinstance(ends, int) else ends
        margins = [2 * one if isinstance(one, int) else sum(one) for one in ends]
        return shaped(_each(space, margins, lambda n, by: n + by if is_added else n - by))
    if kind == "UpSampling":
        return shaped(_each(space, numbers("size"), lambda n, times: n * times))
    if class_name in ("Resizing", "CenterCrop"):
        return shaped([int(settings["height"]), int(settings["width"])])
    n_out = channels
    if kind in ("MaxPooling", "AveragePooling"):
        windows = numbers("pool_size")
        strides = numbers("strides") or windows
    elif kind in ("Conv", "SeparableConv", "DepthwiseConv") or class_name.endswith("Transpose"):
        dilation = numbers("dilation_rate", 1)
        windows = [1 + (n - 1) * by for n, by in zip(numbers("kernel_size"), dilation, strict=True)]
        strides = numbers("strides", 1)
        if kind != "DepthwiseConv":
            n_out = int(settings["filters"])
        elif channels is not None:
            n_out = channels * int(settings["depth_multiplier"])
    else:
        return None
    lost = [n - 1 if settings.get("padding", "valid") == "valid" else 0 for n in windows]
    if not class_name.endswith("Transpose"):
        left = _each(space, lost, lambda n, less: n - less)
        return shaped(_each(left, strides, lambda n, by: -(-n // by)), n_out)
    if settings.get("output_padding") is not None:
        return None
    grown = _each(space, strides, lambda n, by: n * by)
    more = [max(n + 1 - by, 0) if n else 0 for n, by in zip(lost, strides, strict=True)]
    return shaped(_each(grown, more, lambda n, by: n + by), n_out)


def _each(
    space: Sequence[int | None], others: Sequence[int], of: Callable[[int, int], int]
) -> list[int | None]:
    """Reckon with each size that is known."""
    pairs = zip(space, others, strict=True)
    return [None if size is None else max(0, of(size, other)) for size, other in pairs]
