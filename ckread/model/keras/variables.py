"""The variables of the layers of a Keras file: name, role, flag, and their order.

Names in Keras 3 files are put together from the layers' names, those in legacy
files are written out. Keras calls the variable by the path it had when it was built:
the names of the layers around it, starting anew inside a Functional model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.model.role import Role, can_be_weight
from ckread.readers.contract import DataType
from ckread.readers.keras.config import iter_layers
from ckread.readers.keras.layers import STATISTICS, quantization_mode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ckread.readers.contract import TensorRecord
    from ckread.readers.keras.config import LayerConfig
    from ckread.readers.keras.layers import LayerGroup
    from ckread.readers.keras.reader import KerasContents

_QUANTIZED_PARTS = frozenset({"kernel_scale", "kernel_zero", "g_idx", "awq_scales"})
_QUANTIZED_PARTS |= {"embeddings_scale", "embeddings_zero"}
_PREPROCESSING = {"TextVectorization", "StringLookup", "IntegerLookup", "Discretization"}
_SEED_WORDS = ("seed_generator",)
_PRUNED = ("pruning_step", "kernel", "depthwise_kernel", "embeddings")
_LEGACY_STATISTICS = STATISTICS - {"mean", "variance", "count"}


class LayerVariable(NamedTuple):
    """One variable of a layer.

    Attributes:
        key: where it is stored.
        name: what Keras calls it; perhaps not unique.
        role: what it is for.
        trainable: whether training moves it, None if not told.
        repeats: key of the variable of which it is the second copy.
        layer: path of the layer in the model, by names, for totals.
    """

    key: str
    name: str
    role: Role
    trainable: bool | None = None
    repeats: str | None = None
    layer: str = ""


def find_keras3(
    tensors: Mapping[str, TensorRecord], contents: KerasContents
) -> dict[str, LayerVariable]:
    """Give the variables of the layers of a `.keras` or `.weights.h5`."""
    found: dict[str, LayerVariable] = {}
    for key, record in tensors.items():
        head, _, number = key.rpartition("/")
        owner = head.removesuffix("vars").rstrip("/")
        group = contents.groups.get(owner) if head.endswith("vars") else None
        if group is None:
            is_string = record.dtype is DataType.STRING
            other = Role.WEIGHT if can_be_weight(record.dtype) else Role.OTHER
            found[key] = LayerVariable(key, key, Role.TABLE if is_string else other)
            continue
        variable = contents.variables.get(key, "")
        name = "/".join([*scope_of(group), variable or number])
        role = _role(group, variable, record)
        trainable = _trainable(group, variable, role, record)
        found[key] = LayerVariable(key, name, role, trainable, layer=layer_path(group))
    # Second copies: linked twice, or a wrapper's copy of its layer's kernel.
    repeats = dict(contents.repeats)
    for path, group in contents.groups.items():
        prefix = f"{path}/" if path else ""
        copy, original = f"{prefix}vars/0", f"{prefix}layer/vars/0"
        is_wrapper = group.class_name == "SpectralNormalization"
        if is_wrapper and copy in tensors and original in tensors:
            shapes = [(tensors[k].shape, tensors[k].dtype) for k in (copy, original)]
            if shapes[0] == shapes[1]:
                repeats[copy] = original
    for key, original in repeats.items():
        if key in found:  # or it is a variable of something else, such as an optimizer
            found[key] = found[key]._replace(role=Role.ALIAS, trainable=None, repeats=original)
    return found


def scope_of(group: LayerGroup) -> list[str]:
    """Give the names of the layers around a variable, from the innermost Functional down."""
    names: list[str] = []
    for inner in _outward(group):
        names.insert(0, inner.name or inner.attribute)
        if inner.parent is not None and inner.parent.is_functional:
            break
    return list(filter(None, names))


def layer_path(group: LayerGroup) -> str:
    """Give the path of a layer below the model, by names."""
    names = [inner.name or inner.attribute for inner in _outward(group) if inner.path]
    return "/".join(reversed(names))


def _outward(group: LayerGroup) -> Iterator[LayerGroup]:
    """Yield a layer and those it is part of, to the model itself."""
    inner: LayerGroup | None = group
    while inner is not None:
        yield inner
        inner = inner.parent


def _role(group: LayerGroup, variable: str, record: TensorRecord) -> Role:
    if record.dtype is DataType.STRING:
        return Role.TABLE
    if any(text.startswith(_SEED_WORDS) for text in (group.attribute, group.name)):
        return Role.RANDOM
    if group.class_name in _PREPROCESSING:
        return Role.STATISTIC
    if variable:
        return Role.STATISTIC if variable in STATISTICS else Role.WEIGHT
    # Of a layer that is not known: only integers that no kernel is made of are not moved.
    is_weight = can_be_weight(record.dtype) or record.dtype in (DataType.INT8, DataType.UINT8)
    return Role.WEIGHT if is_weight else Role.STATISTIC


def _trainable(group: LayerGroup, variable: str, role: Role, record: TensorRecord) -> bool | None:
    if role is Role.STATISTIC:
        return False
    if role is not Role.WEIGHT:
        return None
    mode = quantization_mode(group.config.settings) if group.config else ""
    is_fixed = variable in _QUANTIZED_PARTS and mode != "float8"
    if is_fixed or not can_be_weight(record.dtype) or record.dtype is DataType.INT4:
        return False
    if variable == "kernel" and group.config and group.config.settings.get("lora_rank"):
        return False  # its low-rank factors are trained, and merged into it when it is saved
    flags = [inner.config.trainable if inner.config else None for inner in _outward(group)]
    is_own = group.config is None or group.config.is_builtin
    return _all_flags(flags, is_known=bool(variable) and is_own)


def _all_flags(flags: list[bool | None], *, is_known: bool) -> bool | None:
    """One frozen layer freezes what is in it; the innermost flag counts where it is true."""
    if False in flags:
        return False
    return True if flags[0] and is_known else None


def find_legacy(
    tensors: Mapping[str, TensorRecord], contents: KerasContents
) -> dict[str, LayerVariable]:
    """Give the variables of the layers of a legacy file, and what no list names."""
    configs = {path: layer for path, layer, _ in iter_layers(contents.config.model)}
    root = contents.config.model
    names = {weight.name.removesuffix(":0") for weight in contents.weights}
    found: dict[str, LayerVariable] = {}
    for weight in contents.weights:
        if weight.key not in tensors:
            continue  # of the optimizer
        name = weight.name.removesuffix(":0")
        config = configs.get(weight.layer)
        role = _legacy_role(name, config, tensors[weight.key], names)
        trainable = _legacy_trainable(name, config, root) if role is Role.WEIGHT else None
        if role is Role.STATISTIC:
            trainable = False
        found[weight.key] = LayerVariable(weight.key, name, role, trainable, layer=weight.layer)
    for key, original in contents.repeats.items():
        if key in found and original in found:
            found[key] = found[key]._replace(role=Role.ALIAS, trainable=None, repeats=original)
    return found


def _legacy_role(
    name: str, config: LayerConfig | None, record: TensorRecord, names: Collection[str]
) -> Role:
    last = name.rpartition("/")[2]
    if record.dtype is DataType.STRING:
        return Role.TABLE
    if last.startswith(("seed_generator", "StateVar", "state_var")):
        return Role.RANDOM
    if config is not None and config.class_name in _PREPROCESSING:
        return Role.STATISTIC
    scope = name.removesuffix(last)
    is_normalization = all(f"{scope}{other}" in names for other in ("mean", "variance", "count"))
    if last in (STATISTICS if is_normalization else _LEGACY_STATISTICS):
        return Role.STATISTIC
    if last == "pruning_step" and not record.shape:
        return Role.COUNTER
    if last in ("mask", "threshold") and any(f"{scope}{word}" in names for word in _PRUNED):
        return Role.STATE
    if can_be_weight(record.dtype):
        return Role.WEIGHT
    return Role.STATISTIC


def _legacy_trainable(
    name: str, config: LayerConfig | None, root: LayerConfig | None
) -> bool | None:
    """Follow the flags of nested models down to the layer that the name is of.

    A flag says what training moves only of Keras's own layers: in another's, some variables
    may be made not to be trained.
    """
    flags = [root.trainable if root else None]
    names = set(name.split("/"))
    is_known = True
    while config is not None:
        flags.insert(0, config.trainable)
        inner = [layer for layer in config.layers if layer.name in names]
        below = () if len(inner) == 1 else (one for _, one, _ in iter_layers(config))
        for one in (config, *below):  # wrapped layers included
            parts = (part for parts in one.parts.values() for part in parts)
            wrapped = (part.is_builtin for part in parts if part.parts or part.layers)
            is_known = is_known and one.is_builtin and all(wrapped)
        config = inner[0] if len(inner) == 1 else None
    return _all_flags(flags, is_known=is_known)
