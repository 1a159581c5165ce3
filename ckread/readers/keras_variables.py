"""The variables of Keras's own layers, in the order in which they are saved.

A weight file stores `vars/0`, `vars/1`: the names are those of the class. Where the
class, its settings and the number of variables leave a doubt, no name is given. Of a
layer that an attribute of a subclassed model holds, no file tells the class: there a
matrix or filter with a vector that fits is taken for kernel and bias, as in every
layer of Keras that has such a pair, and vectors of a layer that is called a
normalization for those of one.
Order and modes of quantisation: `variable_serialization_spec` of keras.layers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    return list(names) if len(names) == n else _partial_names(class_name, n)


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
        return _kernel_and_bias(settings, stored)
    if class_name in _CELLS:
        return ("kernel", "recurrent_kernel", "bias")[: max(2, len(stored))]
    if class_name in ("SeparableConv1D", "SeparableConv2D"):
        return ("depthwise_kernel", "pointwise_kernel", "bias")[: max(2, len(stored))]
    if class_name in ("BatchNormalization", "LayerNormalization", "GroupNormalization"):
        return _normalization(class_name, settings, len(stored))
    if class_name == "Embedding" and stored and stored[0].is_integer:
        return ("embeddings", "embeddings_scale", "embeddings_zero", "g_idx")[: len(stored)]
    return _FIXED.get(class_name, ())


def _kernel_and_bias(
    settings: Mapping[str, Any] | None, stored: Sequence[Stored]
) -> tuple[str, ...]:
    mode = quantization_mode(settings)
    if not mode and any(variable.is_integer for variable in stored):
        mode = {3: "int8", 2: "int8"}.get(len(stored), "")
    names = _QUANTIZED.get(mode, ("kernel", "bias"))
    n = len(stored)
    has_bias = bool(settings.get("use_bias", True)) if settings else n != 1
    if settings and ("bias_axes" in settings or mode == "gptq"):
        has_bias = settings.get("bias_axes") is not None or n == len(names)
    if not has_bias:
        names = tuple(name for name in names if name != "bias")
    if mode == "int4":
        names = names[:n] if n in (len(names), len(names) - 2) else ()
    return names[:1] if n == 1 and names[:1] == ("kernel",) else names


def _normalization(class_name: str, settings: Mapping[str, Any] | None, n: int) -> tuple[str, ...]:
    moving = ("moving_mean", "moving_variance") if class_name == "BatchNormalization" else ()
    if settings is None:
        return ("gamma", "beta", *moving) if n == 2 + len(moving) else moving
    gamma = ("gamma",) if settings.get("scale", True) else ()
    beta = ("beta",) if settings.get("center", True) else ()
    return (*gamma, *beta, *moving)


def _names_by_form(shapes: list[tuple[int, ...]], called: str) -> tuple[str, ...]:
    """Name the variables of a layer whose class is not known."""
    if len(shapes) == 2 and len(shapes[0]) > 1 and len(shapes[1]) == 1:
        return ("kernel", "bias") if shapes[1][0] in shapes[0][-2:] else ()
    is_one_vector = len(set(shapes)) == 1 and len(shapes[0]) == 1
    if not is_one_vector or not _NORMALIZATION.search(called):
        return ()
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return {2: names[:2], 4: names}.get(len(shapes), ())


def _partial_names(class_name: str, n: int) -> list[str]:
    """Keep what is certain although the first of the names are in doubt."""
    if class_name == "BatchNormalization" and n >= 2:
        return [""] * (n - 2) + ["moving_mean", "moving_variance"]
    return [""] * n
