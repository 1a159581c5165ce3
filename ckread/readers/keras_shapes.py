"""The shapes that a Keras configuration records.

InputLayer      batch_shape, in Keras 2 batch_input_shape
build_config    input_shape: what a layer was built for
inbound_nodes   of a Functional: every tensor handed on, with its shape and the
                layer it comes from, as a `__keras_tensor__`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Shape = tuple[int | None, ...]

_MAX_RANK = 64
_KEEP_SHAPE = {
    "Activation", "ActivityRegularization", "AlphaDropout", "BatchNormalization", "Dropout",
    "ELU", "GaussianDropout", "GaussianNoise", "GroupNormalization", "LayerNormalization",
    "LeakyReLU", "Normalization", "PReLU", "ReLU", "Softmax", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D",
}  # fmt: skip


def parse_shape(value: Any) -> Shape | None:
    """Give a list of sizes as a shape, None if it is none."""
    if not isinstance(value, list) or len(value) > _MAX_RANK:
        return None
    if not all(size is None or (type(size) is int and size >= 0) for size in value):
        return None
    return tuple(value)


def input_layer_shape(class_name: str, settings: Mapping[str, Any]) -> Shape | None:
    """Give the shape of an InputLayer, None of any other."""
    if class_name != "InputLayer":
        return None
    shape = parse_shape(settings.get("batch_shape"))
    return shape or parse_shape(settings.get("batch_input_shape"))


def built_shape(entry: Any) -> Shape | None:
    """Give the shape that a layer was built for."""
    build = entry.get("build_config") if isinstance(entry, dict) else None
    return parse_shape(build.get("input_shape")) if isinstance(build, dict) else None


def shape_after(
    class_name: str, settings: Mapping[str, Any], built_for: Shape | None
) -> Shape | None:
    """Tell the output of a layer that nothing consumes, where that is plain."""
    if not built_for:
        return None
    units = settings.get("units")
    if class_name == "Dense" and type(units) is int:
        return (*built_for[:-1], units)
    return built_for if class_name in _KEEP_SHAPE else None


def handed_on_shapes(entries: list[Any]) -> dict[str, Shape]:
    """Give the shape of the first tensor that each layer of a Functional hands on."""
    shapes: dict[str, Shape] = {}
    nodes = [entry.get("inbound_nodes") for entry in entries if isinstance(entry, dict)]
    stack: list[Any] = [node for node in nodes if isinstance(node, list)]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack += item
        elif isinstance(item, dict) and item.get("class_name") == "__keras_tensor__":
            _note_tensor(item.get("config"), shapes)
        elif isinstance(item, dict):
            stack += item.values()
    return shapes


def _note_tensor(config: Any, shapes: dict[str, Shape]) -> None:
    history = config.get("keras_history") if isinstance(config, dict) else None
    if not isinstance(history, list) or not history or not isinstance(history[0], str):
        return
    shape = parse_shape(config.get("shape"))
    if shape is not None:
        shapes.setdefault(history[0], shape)
