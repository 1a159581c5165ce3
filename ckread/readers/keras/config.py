"""The configuration of a Keras model: its layers, as data.

    Keras 3   config.json of a `.keras`: {"module", "class_name", "config",
              "build_config", "compile_config"}
    legacy    root attributes `model_config`, `training_config` of an `.h5`:
              {"class_name", "config"}, {"optimizer_config"}
    layers    config["layers"] of a Sequential or Functional, in model order;
              config["layer"] of a wrapper, config["cell"] of an RNN, and any other
              entry that has a class_name and a config

Nothing is built from it: a Lambda's code stays text. Shapes are those the file
records: of InputLayers, of the tensors that layers hand on, of build_config.

Reference: keras.io/api/models/model_saving_apis/model_config_serialization
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ckread.errors import CorruptCheckpointError
from ckread.readers.budget import over
from ckread.readers.keras.topology import (
    Shape,
    built_shape,
    calls_of,
    handed_on,
    input_shape,
    output_of,
    output_shape,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


MAX_NESTING = 50
CONTAINERS = {"Sequential", "Functional", "Model"}


@dataclass(frozen=True, slots=True)
class KerasLayer:
    """One layer of a model, as `layers` and `info` list it.

    Attributes:
        name: its name in the model; nested models' layers have `model/layer`.
        class_name: the Python class, `Conv2D`.
        parameters: elements of its weights and statistics; None if not told.
        shape: shape of its output where the file records it, None for a free size.
        trainable: its flag in the configuration; None where there is none.
        depth: how many models it is nested in.
        weights: keys of its weights and statistics; none of a nested model, whose layers have them.
    """

    name: str
    class_name: str
    parameters: int | None = None
    shape: Shape | None = None
    trainable: bool | None = None
    depth: int = 0
    weights: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """One object of the configuration and the objects in it.

    Attributes:
        name: its name; empty where the configuration has none.
        class_name: the Python class.
        is_builtin: whether the class is Keras's own, so that its variables are known.
        settings: its own `config`, untouched.
        trainable: its flag, None where there is none.
        layers: the layers of a Sequential or Functional, in model order.
        parts: other objects in it by setting: `layer`, `backward_layer`, `cell`.
        shape: shape of its output, where recorded.
        input_shape: shape it was built for, where recorded.
    """

    name: str
    class_name: str
    is_builtin: bool
    settings: dict[str, Any] = field(repr=False)
    trainable: bool | None
    layers: tuple[LayerConfig, ...] = ()
    parts: dict[str, tuple[LayerConfig, ...]] = field(default_factory=dict)
    shape: Shape | None = None
    input_shape: Shape | None = None

    @property
    def is_functional(self) -> bool:
        """Whether names start anew inside it: a Functional model, not a Sequential."""
        return self.class_name in ("Functional", "Model") and bool(self.layers)


@dataclass(frozen=True, slots=True)
class OptimizerConfig:
    """The optimizer a model was compiled with.

    Attributes:
        class_name: `Adam`.
        name: what prefixes its variables, `adam`.
        settings: its `config`, untouched.
        inner: the optimizer inside a LossScaleOptimizer.
    """

    class_name: str
    name: str
    settings: dict[str, Any] = field(repr=False)
    inner: OptimizerConfig | None = None


@dataclass(frozen=True, slots=True)
class CompiledConfig:
    """What a model was compiled with.

    Attributes:
        optimizer: the optimizer.
        loss: name of the loss; of several, one for each output in turn.
        metrics: names of the metrics.
    """

    optimizer: OptimizerConfig | None = None
    loss: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KerasConfig:
    """What the configuration of a Keras file says.

    Attributes:
        model: the model; None where only the weights were saved.
        compiled: what it was compiled with; None where it was not, or that was not saved.
        keras_version: the writer's version.
    """

    model: LayerConfig | None = None
    compiled: CompiledConfig | None = None
    keras_version: str | None = None

    @property
    def optimizer(self) -> OptimizerConfig | None:
        """The optimizer it was compiled with."""
        return self.compiled.optimizer if self.compiled else None


def parse_model(entry: Any) -> LayerConfig | None:
    """Give the model of a parsed configuration, None if it is not one."""
    return _parse_entry(entry, MAX_NESTING)


def parse_optimizer(entry: Any, depth: int = 3) -> OptimizerConfig | None:
    """Give the optimizer of a `compile_config` or `training_config` entry."""
    if isinstance(entry, str):
        return OptimizerConfig(entry, entry.lower(), {})
    if not isinstance(entry, dict) or not depth:
        return None
    class_name, settings = entry.get("class_name"), entry.get("config")
    if not isinstance(class_name, str) or not isinstance(settings, dict):
        return None
    name = settings.get("name")
    inner = settings.get("inner_optimizer") or settings.get("optimizer")
    return OptimizerConfig(
        class_name.rpartition(">")[2],
        name if isinstance(name, str) else class_name.lower(),
        settings,
        parse_optimizer(inner, depth - 1),
    )


def innermost(optimizer: OptimizerConfig | None) -> OptimizerConfig | None:
    """Give the optimizer that does the work: the one inside a LossScaleOptimizer."""
    while optimizer is not None and optimizer.inner is not None:
        optimizer = optimizer.inner
    return optimizer


def parse_compiled(entry: Mapping[str, Any]) -> CompiledConfig:
    """Give what a `compile_config`, or a `training_config`, says."""
    optimizer = entry.get("optimizer_config", entry.get("optimizer"))
    return CompiledConfig(
        parse_optimizer(optimizer),
        tuple(dict.fromkeys(_names_in(entry.get("loss")))),
        tuple(dict.fromkeys(_names_in([entry.get("metrics"), entry.get("weighted_metrics")]))),
    )


def _names_in(entry: Any, depth: int = 5) -> Iterator[str]:
    """Yield the names of losses or metrics: texts, objects, or lists and maps of these."""
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, list) and depth:
        for one in entry:
            yield from _names_in(one, depth - 1)
    elif isinstance(entry, dict) and depth:
        class_name, settings = entry.get("class_name"), entry.get("config")
        if not isinstance(class_name, str):
            yield from _names_in(list(entry.values()), depth - 1)
        elif isinstance(settings, str):
            yield settings
        else:
            name = settings.get("name") if isinstance(settings, dict) else None
            yield name if isinstance(name, str) else class_name.rpartition(">")[2]


def iter_layers(model: LayerConfig | None) -> list[tuple[str, LayerConfig, int]]:
    """List the layers of a model with their paths and depths, nested ones after theirs."""
    found: list[tuple[str, LayerConfig, int]] = []
    stack = [("", layer, 0) for layer in reversed(model.layers)] if model else []
    while stack:
        prefix, layer, depth = stack.pop()
        path = f"{prefix}{layer.name}"
        found.append((path, layer, depth))
        stack += [(f"{path}/", inner, depth + 1) for inner in reversed(layer.layers)]
    return found


def _parse_entry(entry: Any, depth: int) -> LayerConfig | None:
    """Parse `{"class_name", "config"}`; None for anything else."""
    if not isinstance(entry, dict) or not depth:
        return None
    class_name, settings = entry.get("class_name"), entry.get("config")
    if not isinstance(class_name, str):
        return None
    if class_name == "Sequential" and isinstance(settings, list):
        settings = {"layers": settings}  # Keras 2.2 and older
    if not isinstance(settings, dict):
        return None
    name = settings.get("name") or entry.get("name")
    trainable = settings.get("trainable")
    parts = {}
    for setting, value in settings.items():
        if setting in ("layers", "dtype"):
            continue
        entries = value if isinstance(value, list) else [value]
        parsed = [_parse_entry(entry, depth - 1) for entry in entries if isinstance(entry, dict)]
        layers = tuple(part for part in parsed if part is not None)
        if layers:
            parts[setting] = layers
    layers = _parse_layers(class_name, settings, depth) if class_name in CONTAINERS else ()
    shape = input_shape(settings) if class_name == "InputLayer" else None
    if layers:
        last = output_of(class_name, settings) or layers[-1].name
        shape = next((layer.shape for layer in layers if layer.name == last), None)
    return LayerConfig(
        name=name if isinstance(name, str) else "",
        class_name=class_name.rpartition(">")[2],
        is_builtin=_is_builtin(entry, class_name),
        settings=settings,
        trainable=trainable if isinstance(trainable, bool) else None,
        layers=layers,
        parts=parts,
        shape=shape,
        input_shape=built_shape(entry),
    )


def _is_builtin(entry: dict[str, Any], class_name: str) -> bool:
    """Keras 3 names the module; what a user registered has a `registered_name` as well."""
    module, registered = entry.get("module"), entry.get("registered_name")
    if isinstance(registered, str) and ">" in registered:
        return False
    if "module" in entry:
        return isinstance(module, str) and module.partition(".")[0] in ("keras", "tf_keras")
    return class_name in _KERAS_2_CLASSES


# Keras 2 writes no module: what is not in this list is somebody's own, or rarely a new one.
_KERAS_2_CLASSES = {
    "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout",
    "Attention", "Average", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
    "BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "Bidirectional",
    "CategoryEncoding", "CenterCrop", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D",
    "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "ConvLSTM1D", "ConvLSTM2D",
    "ConvLSTM2DCell", "ConvLSTM3D", "Convolution1D", "Convolution2D", "Convolution3D",
    "Cropping1D", "Cropping2D", "Cropping3D", "CuDNNGRU", "CuDNNLSTM", "Deconvolution2D",
    "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Discretization", "Dot", "Dropout", "ELU",
    "EinsumDense", "Embedding", "Flatten", "Functional", "GRU", "GRUCell", "GRUCellV2", "GRUV2",
    "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "GroupNormalization", "Hashing", "InputLayer", "IntegerLookup", "LSTM", "LSTMCell",
    "LSTMCellV2", "LSTMV2", "Lambda", "LayerNormalization", "LeakyReLU", "LocallyConnected1D",
    "LocallyConnected2D", "Masking", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum",
    "Merge", "Minimum", "Model", "MultiHeadAttention", "Multiply", "Normalization", "PReLU",
    "Permute", "RNN", "ReLU", "RepeatVector", "Rescaling", "Reshape", "Resizing",
    "SeparableConv1D", "SeparableConv2D", "Sequential", "SimpleRNN", "SimpleRNNCell",
    "SlicingOpLambda", "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "SpectralNormalization", "StackedRNNCells", "StringLookup", "Subtract",
    "SyncBatchNormalization", "TFOpLambda", "TensorFlowOpLayer", "TextVectorization",
    "ThresholdedReLU", "TimeDistributed", "UnitNormalization", "UpSampling1D", "UpSampling2D",
    "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
}  # fmt: skip


def _parse_layers(class_name: str, settings: dict[str, Any], depth: int) -> tuple[LayerConfig, ...]:
    """Parse the layers of a model, each with the shape it gives as far as that can be told."""
    entries = settings.get("layers")
    if not isinstance(entries, list):
        return ()
    parsed = [_parse_entry(entry, depth - 1) for entry in entries]
    layers = [layer for layer in parsed if layer is not None]
    calls = calls_of(class_name, entries)
    nodes = (call.node for of_layer in calls.values() for call in of_layer)
    known: dict[str, Shape] = {}
    for name, shape in (tensor for node in nodes for tensor in handed_on(node)):
        if shape is not None:
            known.setdefault(name, shape)
    if class_name == "Sequential":  # what one layer gives the next is built for
        following = (layer.input_shape for layer in layers[1:])
        given = zip((layer.name for layer in layers), following, strict=False)
        known = {name: shape for name, shape in given if shape}
    shaped = []
    for layer in layers:
        shape = layer.shape if layer.class_name == "InputLayer" else None
        shape = shape or known.get(layer.name) or layer.shape
        if shape is None and layer.is_builtin:
            of_layer = calls.get(layer.name)
            inputs = [known.get(name) for name in of_layer[0].takes] if of_layer else []
            starts = layer.input_shape or input_shape(layer.settings)
            taken = inputs if any(inputs) else [starts]
            shape = output_shape(layer.class_name, layer.settings, taken)
        if shape is not None:
            known[layer.name] = shape
        shaped.append(replace(layer, shape=shape))
    return tuple(shaped)


# JSON from a checkpoint, as data: bounded in size and depth, never code.
#
# Keras keeps Python code for Lambda layers in its configuration. Nothing here looks
# at it, decodes it or builds anything from it.

MAX_JSON_NBYTES = 64 << 20
MAX_DEPTH = 200

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def parse_object(data: bytes, where: str, *, path: str, name: str) -> dict[str, Any]:
    """Parse a JSON object; `where` and `name` are what messages call it and its file."""
    if len(data) > MAX_JSON_NBYTES:
        raise over(MAX_JSON_NBYTES, "bytes", len(data), path=path, name=name, place=where)
    # How deep the brackets outside of strings are nested.
    depth = deepest = 0
    for match in _BRACKETS.finditer(data):
        first = match[0][:1]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise over(MAX_DEPTH, "levels", deepest, path=path, name=name, place=where)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptCheckpointError(
            f"not JSON ({reason[:100]})", path=path, name=name, place=where
        ) from None
    if not isinstance(value, dict):
        what = f"a JSON {type(value).__name__}, expected an object"
        raise CorruptCheckpointError(what, path=path, name=name, place=where)
    return value
