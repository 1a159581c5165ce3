"""What lies in the HDF5 files of one Keras checkpoint: datasets, layers, names.

Keras 3   <path of the layer>/vars/<i>, attribute `name` of `vars`
legacy    lists of names in attributes (see `hdf5_legacy`)
other     any HDF5 file of numbers: every dataset under its path
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ckread.readers.contract import Format
from ckread.readers.dtypes import DataType
from ckread.readers.hdf5_legacy import NamedWeight, is_legacy, named_weights
from ckread.readers.keras_groups import LayerGroup, layer_groups
from ckread.readers.keras_variables import CUSTOM, Stored, variable_names
from ckread.readers.packed_int4 import Packing, find_packing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckread.readers.hdf5_file import HDF5File
    from ckread.readers.hdf5_objects import Dataset
    from ckread.readers.keras_config import KerasConfig

VARS = "vars"


@dataclass(frozen=True, slots=True)
class KerasContents:
    """What a Keras file tells besides its tensors.

    Attributes:
        config: the configuration, as far as the file has one.
        groups: Keras 3: the layers that own variables, by path.
        variables: Keras 3: name of a variable in its layer by key, where certain.
        weights: legacy: the lists of names, in the order of the file.
        repeats: key of a dataset to the key under which the same one is listed first.
    """

    config: KerasConfig
    groups: Mapping[str, LayerGroup] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    weights: tuple[NamedWeight, ...] = ()
    repeats: Mapping[str, str] = field(default_factory=dict)


class Home(NamedTuple):
    """Where a tensor lies.

    Attributes:
        file: the file.
        dataset: the dataset in it.
        packing: how int4 is packed into it, None if it is not.
    """

    file: HDF5File
    dataset: Dataset
    packing: Packing | None = None


class Listing(NamedTuple):
    """All that is found.

    Attributes:
        homes: every dataset by its path, in the order of the model if that is known.
        contents: what names and roles are told from.
        layout: `LEGACY_HDF5` or `KERAS_WEIGHTS`.
        notes: what is odd, one sentence each.
        is_empty: whether there is neither a dataset nor a layer.
    """

    homes: dict[str, Home]
    contents: KerasContents
    layout: Format
    notes: tuple[str, ...]
    is_empty: bool


def list_files(files: Sequence[HDF5File], config: KerasConfig) -> Listing:
    """List the datasets of the files of one checkpoint.

    Raises:
        UnsupportedFeatureError: something leads out of the files.
        CorruptCheckpointError: HDF5 cannot read them, or lists contradict them.
    """
    homes, groups = _walk(files)
    repeats = _repeats(homes)
    if len(files) == 1 and is_legacy(files[0], groups):
        listed, lost = named_weights(files[0], groups, homes)
        weights, notes = _weights_once(listed)
        if lost:
            count = f"{len(lost)} listed weights are not stored, the first {lost[0]!r}"
            notes += (f"{count}: the save broke off.",)
        keys = [weight.key for weight in weights]
        ordered = {key: homes[key] for key in (*keys, *homes)}
        contents = KerasContents(config, weights=weights, repeats=repeats)
        return Listing(ordered, contents, Format.LEGACY_HDF5, notes, is_empty=False)
    owners = {_owner(group) for group in groups if _is_vars(group)}
    names = {owner: _layer_name(files, owner) for owner in owners}
    layers = layer_groups(owners, names, config.model)
    variables: dict[str, str] = {}
    for path, members in _members(homes).items():
        group = layers.get(path)
        if group is not None:
            named = _variable_names(group, members)
            _note_packings(homes, group, members, named)
            variables |= {one.path: name for one, name in zip(members, named, strict=True) if name}
    contents = KerasContents(config, layers, variables, repeats=repeats)
    is_empty = not homes and not owners
    return Listing(homes, contents, Format.KERAS_WEIGHTS, (), is_empty)


def _walk(files: Iterable[HDF5File]) -> tuple[dict[str, Home], set[str]]:
    homes: dict[str, Home] = {}
    groups: set[str] = set()
    for file in files:
        for item in file.datasets():
            if isinstance(item, str):
                groups.add(item)
            else:
                homes.setdefault(item.path, Home(file, item))
    return homes, groups


def _repeats(homes: Mapping[str, Home]) -> dict[str, str]:
    """Find datasets that are linked twice."""
    first: dict[tuple[int, int], str] = {}
    repeats = {}
    for key, home in homes.items():
        known = first.setdefault((id(home.file), home.dataset.address), key)
        if known != key:
            repeats[key] = known
    return repeats


def _weights_once(weights: list[NamedWeight]) -> tuple[tuple[NamedWeight, ...], tuple[str, ...]]:
    """Keep the first of the entries that name one dataset."""
    first: dict[str, NamedWeight] = {}
    again = [one.name for one in weights if first.setdefault(one.key, one) is not one]
    notes = (f"{name!r} is listed twice and stored once: one of two was lost." for name in again)
    return tuple(first.values()), tuple(notes)


def _is_vars(group: str) -> bool:
    return group == VARS or group.endswith(f"/{VARS}")


def _owner(group: str) -> str:
    return group[: -len(VARS)].rstrip("/")


def _layer_name(files: Iterable[HDF5File], owner: str) -> str:
    """Give the layer's name; of a group that is split over files the first has it."""
    path = f"{owner}/{VARS}" if owner else VARS
    for file in files:
        name = file.attribute(path, "name") if file.has(path) else None
        if isinstance(name, str):
            return name
    return ""


def _members(homes: Mapping[str, Home]) -> dict[str, list[Dataset]]:
    """Group the variables by the layer that owns them, each list in order."""
    members: dict[str, list[Dataset]] = {}
    for key, home in homes.items():
        head = key.rpartition("/")[0]
        if _is_vars(head):
            members.setdefault(_owner(head), []).append(home.dataset)
    return {path: sorted(found, key=_number) for path, found in members.items()}


def _number(dataset: Dataset) -> int:
    last = dataset.path.rpartition("/")[2]
    return int(last) if last.isdecimal() and len(last) < 10 else 1 << 32


def _variable_names(group: LayerGroup, members: Sequence[Dataset]) -> list[str]:
    settings = group.config.settings if group.config else None
    is_custom = group.config is not None and not group.config.is_builtin
    stored = [Stored(one.shape, "int" in one.dtype) for one in members]
    class_name = CUSTOM if is_custom else group.class_name
    called = f"{group.name} {group.attribute}"
    return variable_names(class_name, settings, stored, called=called)


def _note_packings(
    homes: dict[str, Home], group: LayerGroup, members: Sequence[Dataset], names: Sequence[str]
) -> None:
    shapes = [one.shape for one in members]
    for at, one in enumerate(members):
        packing = find_packing(group.config, names, shapes, at)
        if packing is not None and one.dtype is DataType.INT8:
            homes[one.path] = homes[one.path]._replace(packing=packing)
