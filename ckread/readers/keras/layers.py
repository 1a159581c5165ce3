"""The groups of a Keras 3 weight file: which layer each one belongs to.

    layers/conv2d_1/vars/0        item of a container: snake_case class and counter
    layers/lstm/cell/vars/0       attribute `cell` of the layer `layers/lstm`
    optimizer/vars/2              the optimizer's variables, flat
    vars                          the model's own; attribute `name` is its name

A group that has variables is a group with a child `vars`, whose attribute `name`
(Keras 3.6 and later) is the layer's name. The configuration, where there is one,
is followed along the same paths: by that name, else by class and counter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.readers.keras.config import LayerConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


CONTAINER_GROUPS = ("layers", "_layer_checkpoint_dependencies")


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """One group that belongs to a layer.

    Attributes:
        path: where it lies, empty for the model itself.
        name: the layer's name, empty where the file does not tell it.
        config: its configuration, where the file has one.
        class_name: the class, from the configuration, else from the key or the name
            where that is snake_case of a class; empty where none tells.
        parent: the layer it is part of.
        is_functional: whether names start anew inside it.
    """

    path: str
    name: str
    config: LayerConfig | None
    class_name: str
    parent: LayerGroup | None
    is_functional: bool

    @property
    def attribute(self) -> str:
        """The last component of its path: the attribute or item that holds it."""
        return self.path.rpartition("/")[2]


def snake_case(class_name: str) -> str:
    """Give the name Keras makes of a class: `Conv2D` → `conv2d`."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def layer_groups(
    owners: Iterable[str], names: Mapping[str, str], model: LayerConfig | None
) -> dict[str, LayerGroup]:
    """Resolve every group that has a `vars`, by path.

    Args:
        owners: their paths, without `/vars`; the model's own is empty.
        names: the attribute `name` of each, where it has one.
        model: the configuration of the model.
    """
    paths = set(owners) | {""}
    with_inputs = {
        path.rpartition("/layers/")[0] if "/layers/" in path else ""
        for path in paths
        if re.fullmatch(r"(?:.*/)?layers/input_layer(?:_\d+)?", path)
    }
    groups: dict[str, LayerGroup] = {}
    items: dict[int, _Items] = {}
    for path in sorted(paths, key=lambda path: path.count("/") if path else -1):
        parent, ancestor = None, path  # the innermost ancestor that is a layer
        while ancestor and parent is None:
            ancestor = ancestor.rpartition("/")[0]
            parent = groups.get(ancestor)
        name = names.get(path, "")
        config = _find_config(path, name, parent, items) if path else model
        class_name = config.class_name if config else _class_of_key(path, parent)
        class_name = class_name or _class_of_name(name)
        is_functional = config.is_functional if config else path in with_inputs
        name = name or (config.name if config else "")
        groups[path] = LayerGroup(path, name, config, class_name, parent, is_functional)
    return groups


class _Items:
    """The layers of a model, by their name and by the name of the item that holds each."""

    def __init__(self, layers: Iterable[LayerConfig]) -> None:
        counters: dict[str, int] = {}
        self.named: dict[str, list[LayerConfig]] = {}
        self.counted: dict[str, LayerConfig] = {}
        for layer in layers:
            snake = snake_case(layer.class_name)
            n = counters.get(snake, 0)
            counters[snake] = n + 1
            self.counted.setdefault(f"{snake}_{n}" if n else snake, layer)
            self.named.setdefault(layer.name, []).append(layer)


def _find_config(
    path: str, name: str, parent: LayerGroup | None, items: dict[int, _Items]
) -> LayerConfig | None:
    config = parent.config if parent else None
    if parent is None or config is None:
        return None
    steps = path[len(parent.path) :].strip("/").split("/")
    if steps[0] in CONTAINER_GROUPS and len(steps) == 2:
        if id(config) not in items:  # each is part of the model, which stays
            items[id(config)] = _Items(config.layers)
        named = items[id(config)].named.get(name, []) if name else []
        return named[0] if len(named) == 1 else items[id(config)].counted.get(steps[1])
    found = _part(config, steps[0])
    if len(steps) == 2:
        return _Items(found).counted.get(steps[1])
    return found[0] if len(steps) == 1 and found else None


_RNN_CELLS = {"LSTM": "LSTMCell", "GRU": "GRUCell", "SimpleRNN": "SimpleRNNCell"}
_PROJECTIONS = re.compile(r"_?(?:query|key|value|output|gate)_dense")
_ATTENTION = {"MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention"}


def _part(config: LayerConfig, attribute: str) -> tuple[LayerConfig, ...]:
    """Give the configurations of what a layer keeps under an attribute."""
    if attribute in config.parts:
        return config.parts[attribute]
    aliases = {"forward_layer": "layer", "backward_layer": "layer", "cells": "cells"}
    if config.class_name == "Bidirectional" and aliases.get(attribute) in config.parts:
        return config.parts[aliases[attribute]]
    implied = _implied_class(config.class_name, attribute)
    if implied and config.is_builtin:
        return (LayerConfig("", implied, is_builtin=True, settings=config.settings,
                            trainable=config.trainable),)  # fmt: skip
    return ()


def _implied_class(class_name: str, attribute: str) -> str:
    """Tell the class of a part from the class of the whole."""
    if attribute == "cell":
        return _RNN_CELLS.get(class_name, "")
    if class_name in _ATTENTION and _PROJECTIONS.fullmatch(attribute):
        return "EinsumDense"
    return ""


_KEY_CLASSES = {
    snake_case(name): name
    for name in (
        "BatchNormalization", "Bidirectional", "Conv1D", "Conv1DTranspose", "Conv2D",
        "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "Dense", "DepthwiseConv1D",
        "DepthwiseConv2D", "EinsumDense", "Embedding", "Functional", "GRU", "GRUCell",
        "GroupNormalization", "GroupedQueryAttention", "InputLayer", "LSTM", "LSTMCell",
        "LayerNormalization", "MultiHeadAttention", "Normalization", "PReLU",
        "RMSNormalization", "RNN", "SeparableConv1D", "SeparableConv2D", "Sequential",
        "SimpleRNN", "SimpleRNNCell", "SpectralNormalization", "StackedRNNCells",
        "TimeDistributed", "UnitNormalization",
    )
}  # fmt: skip


def _class_of_key(path: str, parent: LayerGroup | None) -> str:
    """Tell the class from an item's name; attributes tell it only inside known classes."""
    head, _, last = path.rpartition("/")
    if not path:
        return ""
    if parent is not None and head == parent.path:
        if last == "cell":
            return _RNN_CELLS.get(parent.class_name, "Cell")
        return _implied_class(parent.class_name, last)
    return _class_of_name(last)


def _class_of_name(name: str) -> str:
    """Tell the class from a name that Keras made of it: `batch_normalization_1`."""
    return _KEY_CLASSES.get(re.sub(r"_\d+$", "", name), "")


# The variables of Keras's own layers, in the order in which they are saved.
#
# A weight file stores `vars/0`, `vars/1`: the names are those of the class. Where the
# class, its settings and the number of variables leave a doubt, no name is given. Of a
# layer that an attribute of a subclassed model holds, no file tells the class: there a
# matrix or filter with a vector that fits is taken for kernel and bias, as in every
# layer of Keras that has such a pair, and vectors of a layer that is called a
# normalization for those of one.
# Order and modes of quantisation: `variable_serialization_spec` of keras.layers.

_KERNEL_AND_BIAS = {
    "Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose",
    "Conv2DTranspose", "Conv3DTranspose", "DepthwiseConv1D", "DepthwiseConv2D",
}  # fmt: skip
_CELLS = {"LSTMCell", "GRUCell", "SimpleRNNCell", "Cell", "ConvLSTMCell"}
_QUANTIZED = {
    "int8": ("kernel", "bias", "kernel_scale"),
    "int4": ("kernel", "bias", "kernel_scale", "kernel_zero", "g_idx"),
    "float8": (
        "kernel", "bias", "inputs_scale", "inputs_amax_history", "kernel_scale",
        "kernel_amax_history", "outputs_grad_scale", "outputs_grad_amax_history",
    ),
    "gptq": ("bias", "quantized_kernel", "kernel_scale", "kernel_zero", "g_idx"),
    "awq": ("bias", "quantized_kernel", "kernel_scale", "kernel_zero", "awq_scales", "g_idx"),
}  # fmt: skip
_FIXED: dict[str, tuple[str, ...]] = {
    "Embedding": ("embeddings",),
    "Normalization": ("mean", "variance", "count"),
    "PReLU": ("alpha",),
    "RMSNormalization": ("scale",),
    "SpectralNormalization": ("kernel", "vector_u"),
}
CUSTOM = "custom"
"""Stands for a class that is not Keras's own."""

_NORMALIZATION = re.compile(r"norm|(?:^|[^a-z])(?:bn|ln|gn)(?:[^a-z]|$)", re.IGNORECASE)
STATISTICS = {
    "moving_mean", "moving_variance", "mean", "variance", "count", "vector_u",
    "inputs_amax_history", "kernel_amax_history", "outputs_grad_amax_history",
    "inputs_scale", "outputs_grad_scale",
}  # fmt: skip
"""Names of variables that are updated without gradient."""


class Stored(NamedTuple):
    """What is seen of a stored variable: its shape and whether it holds integers."""

    shape: tuple[int, ...]
    is_integer: bool = False


def variable_names(
    class_name: str,
    settings: Mapping[str, Any] | None,
    stored: Sequence[Stored],
    *,
    called: str = "",
) -> list[str]:
    """Name the variables of one layer; an empty name where nothing is certain.

    Args:
        class_name: the layer's class, `CUSTOM` if it is not Keras's own, empty if not
            known.
        settings: its configuration, None if the file has none.
        stored: its variables in order.
        called: the layer's name and attribute, which tell something if nothing else does.
    """
    if not class_name:
        names = _names_by_form([one.shape for one in stored], called)
    else:
        names = _names(class_name, settings, stored)
    n = len(stored)
    if len(names) == n:
        return list(names)
    if class_name == "BatchNormalization" and n >= 2:  # certain although the first are in doubt
        return [""] * (n - 2) + ["moving_mean", "moving_variance"]
    return [""] * n


def quantization_mode(settings: Mapping[str, Any] | None) -> str:
    """Give `int8`, `int4`, `float8`, `gptq` or `awq`, empty where values are floats."""
    dtype = settings.get("dtype") if settings else None
    config = dtype.get("config") if isinstance(dtype, dict) else None
    mode = config.get("mode") if isinstance(config, dict) else None
    return mode.partition("/")[0] if isinstance(mode, str) else ""


def _names(
    class_name: str, settings: Mapping[str, Any] | None, stored: Sequence[Stored]
) -> tuple[str, ...]:
    if class_name in _KERNEL_AND_BIAS:
        mode = quantization_mode(settings)
        if not mode and any(variable.is_integer for variable in stored):
            mode = {3: "int8", 2: "int8"}.get(len(stored), "")
        names = _QUANTIZED.get(mode, ("kernel", "bias"))
        n = len(stored)
        has_bias = bool(settings.get("use_bias", True)) if settings else n == len(names)
        if settings and ("bias_axes" in settings or mode == "gptq"):
            has_bias = settings.get("bias_axes") is not None or n == len(names)
        if not has_bias:
            names = tuple(name for name in names if name != "bias")
        if mode == "int4":
            names = names[:n] if n in (len(names), len(names) - 2) else ()
        return names[:1] if n == 1 and names[:1] == ("kernel",) else names
    if class_name in _CELLS:
        return ("kernel", "recurrent_kernel", "bias")[: max(2, len(stored))]
    if class_name in ("SeparableConv1D", "SeparableConv2D"):
        return ("depthwise_kernel", "pointwise_kernel", "bias")[: max(2, len(stored))]
    if class_name in ("BatchNormalization", "LayerNormalization", "GroupNormalization"):
        n = len(stored)
        moving = ("moving_mean", "moving_variance") if class_name == "BatchNormalization" else ()
        if settings is None:
            return ("gamma", "beta", *moving) if n == 2 + len(moving) else moving
        gamma = ("gamma",) if settings.get("scale", True) else ()
        beta = ("beta",) if settings.get("center", True) else ()
        return (*gamma, *beta, *moving)
    if class_name == "Embedding" and stored and stored[0].is_integer:
        return ("embeddings", "embeddings_scale", "embeddings_zero", "g_idx")[: len(stored)]
    return _FIXED.get(class_name, ())


def _names_by_form(shapes: list[tuple[int, ...]], called: str) -> tuple[str, ...]:
    """Name the variables of a layer whose class is not known."""
    if len(shapes) == 2 and len(shapes[0]) > 1 and len(shapes[1]) == 1:
        return ("kernel", "bias") if shapes[1][0] in shapes[0][-2:] else ()
    is_one_vector = len(set(shapes)) == 1 and len(shapes[0]) == 1
    if not is_one_vector or not _NORMALIZATION.search(called):
        return ()
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return {2: names[:2], 4: names}.get(len(shapes), ())
