"""The older layout of Keras weights in HDF5: every layer lists its weights by name.

    /                        attributes keras_version, backend; of a whole model
                             also model_config and training_config
    /model_weights           attribute layer_names (in a weights file: the root has it)
    /model_weights/<layer>   attribute weight_names: `dense/kernel`, Keras 2 `dense/kernel:0`
    /model_weights/<layer>/<weight name>        the dataset
    /optimizer_weights       attribute weight_names: `adam/dense_kernel_momentum`

A list longer than 64 KiB is cut into the attributes `weight_names0`, `weight_names1`.
Attributes are bytes or text, by the version of h5py that wrote them.

Reference: keras/src/legacy/saving/legacy_h5_format.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckread.readers.keras_config import KerasConfig, parse_model, parse_optimizer
from ckread.readers.keras_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from ckread.readers.hdf5_file import HDF5File

MODEL_GROUP = "model_weights"
OPTIMIZER_GROUP = "optimizer_weights"
TOP_LEVEL_GROUP = "top_level_model_weights"
_MAX_CHUNKS = 10_000


class NamedWeight(NamedTuple):
    """One entry of a list of weight names.

    Attributes:
        key: path of its dataset.
        name: the entry, as written.
        layer: the layer that lists it; empty for the optimizer and the model itself.
    """

    key: str
    name: str
    layer: str


def is_legacy(file: HDF5File, groups: Container[str]) -> bool:
    """Tell whether the file lists layers or weights by name."""
    return MODEL_GROUP in groups or bool(_has_list(file, "", "layer_names"))


def named_weights(
    file: HDF5File, groups: Container[str], datasets: Container[str]
) -> tuple[list[NamedWeight], list[str]]:
    """List the weights in the order of the model, then those of the optimizer.

    Returns:
        The weights that are stored, and the keys of those that are listed and are not:
        Keras writes a list first, and breaks off when two names collide.
    """
    listed = list(_listed(file, groups))
    stored = [weight for weight in listed if weight.key in datasets]
    return stored, [weight.key for weight in listed if weight.key not in datasets]


def _listed(file: HDF5File, groups: Container[str]) -> Iterator[NamedWeight]:
    root = MODEL_GROUP if MODEL_GROUP in groups else ""
    top_level = _join(root, TOP_LEVEL_GROUP)
    layers = text_list(file, root, "layer_names")
    for layer in layers:
        group = _join(root, layer)
        for name in text_list(file, group, "weight_names") if group in groups else ():
            yield NamedWeight(_join(group, name), name, layer)
    for group in (top_level, OPTIMIZER_GROUP):
        if group in groups and group.rpartition("/")[2] not in layers:
            for name in text_list(file, group, "weight_names"):
                yield NamedWeight(_join(group, name), name, "")


def text_list(file: HDF5File, group: str, name: str) -> list[str]:
    """Give an attribute that is a list of texts, whole or cut into numbered parts."""
    whole = file.attribute(group, name)
    if whole is not None:
        return whole if isinstance(whole, list) else [whole]
    texts: list[str] = []
    for i in range(_MAX_CHUNKS):
        part = file.attribute(group, f"{name}{i}")
        if part is None:
            break
        texts += part if isinstance(part, list) else [part]
    return texts


def _has_list(file: HDF5File, group: str, name: str) -> bool:
    return any(file.attribute(group, key) is not None for key in (name, f"{name}0"))


def _join(group: str, name: str) -> str:
    return f"{group}/{name.strip('/')}" if group else name.strip("/")


def read_config(file: HDF5File) -> KerasConfig:
    """Read the configuration that a legacy whole-model file has in its attributes.

    Raises:
        CorruptCheckpointError: it is not JSON, too large or too deep.
    """
    parsed = {}
    for name in ("model_config", "training_config"):
        text = file.attribute("", name)
        data = text.encode(errors="surrogateescape") if isinstance(text, str) else b""
        parsed[name] = parse_object(data, name, path=file.path, name=file.name) if data else {}
    version = file.attribute("", "keras_version")
    return KerasConfig(
        model=parse_model(parsed["model_config"]),
        optimizer=parse_optimizer(parsed["training_config"].get("optimizer_config")),
        keras_version=version if isinstance(version, str) else None,
    )
