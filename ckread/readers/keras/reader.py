"""Keras weights in HDF5: one file, or several that share one list of groups.

The key of a tensor is the path of its dataset: `layers/conv2d/vars/0`, in a legacy
file `model_weights/conv1/conv1/kernel`. Names are given by `model.keras.naming`,
from what `KerasReader.contents` tells.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.errors import NotACheckpointError
from ckread.readers.contract import (
    DataType,
    Extent,
    Format,
    StoredFile,
    TensorRecord,
    no_garbage_collection,
)
from ckread.readers.extent_reader import ExtentReader
from ckread.readers.files import FileWindow
from ckread.readers.hdf5.file import Dataset, HDF5File, path_order
from ckread.readers.keras.config import KerasConfig, parse_compiled, parse_model, parse_object
from ckread.readers.keras.layers import CUSTOM, LayerGroup, Stored, layer_groups, variable_names
from ckread.readers.keras.packed_int4 import Packing, find_packing, packed_index, unpack
from ckread.readers.slices import iter_slabs

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.errors import CheckpointError
    from ckread.readers.contract import Index


class KerasReader(ExtentReader):
    """The tensors of a Keras weight file.

    Attributes:
        contents: what names and roles are told from.
    """

    def __init__(
        self,
        path: str,
        files: Sequence[HDF5File],
        *,
        layout: Format | None = None,
        config: KerasConfig | None = None,
        stored: tuple[StoredFile, ...] = (),
        verify: Callable[[], CheckpointError | None] | None = None,
    ) -> None:
        """List the tensors."""
        listing = list_files(files, read_config(files[0]) if config is None else config)
        if listing.is_empty:
            found, expected = "an HDF5 file without datasets", "weights"
            raise NotACheckpointError(found, path=path, name=files[0].name, expected=expected)
        super().__init__(path, layout or listing.layout)
        self.contents: KerasContents = listing.contents
        self._notes = listing.notes
        self._files = files
        self._stored = stored or (StoredFile(path, files[0].window.nbytes, is_shard=True),)
        self._homes = listing.homes
        self._verify = verify
        with no_garbage_collection():
            tensors: dict[str, TensorRecord] = {}
            numbers = {file: number for number, file in enumerate(files)}
            for key, (file, dataset, packing) in listing.homes.items():
                dtype = DataType.INT4 if packing else dataset.dtype
                shape = packing.shape if packing else dataset.shape
                offset = None if packing else _place(file, dataset)
                shard = numbers[file]
                tensors[key] = TensorRecord(key, dtype, shape, dataset.nbytes, None, shard, offset)
        self._tensors = tensors
        self.lies_alike: bool = not any(home.dataset.big_endian for home in listing.homes.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What the lists of a legacy file say that cannot be so."""
        return self._notes

    def files(self) -> tuple[StoredFile, ...]:
        """Give the file, or the index and the files it names."""
        return self._stored

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where a contiguous dataset lies; None if compact, chunked, text or packed."""
        offset = self._record(key).offset
        if offset is None:
            return None
        file, dataset, _ = self._homes[key]
        region = tuple((0, size) for size in dataset.shape)
        where = (file.path, offset, dataset.nbytes, dataset.dtype)
        return (Extent(*where, dataset.big_endian, None, region),)

    def verify_container(self, key: str | None = None) -> None:
        """Verify the member of the archive that the tensors lie in."""
        error = self._verify() if self._verify is not None else None
        if error is not None:
            raise error.within()  # a new one each time: a traceback grows on it

    def verify_structure(self) -> None:
        """See that HDF5's own library opens every object of the files."""
        for file in self._files:
            file.verify()

    def close(self) -> None:
        """Close the files for good."""
        super().close()
        for file in self._files:
            file.close()

    def _decode(self, key: str) -> NDArray[np.generic]:
        return self._decode_part(key, ())

    def _decode_part(self, key: str, index: Index) -> NDArray[np.generic]:
        from ckread.readers.hdf5.values import read_part

        file, dataset, packing = self._homes[key]
        if packing is None:
            return read_part(file, dataset, index)
        outer, after, length = packed_index(index, packing)
        return unpack(read_part(file, dataset, outer), packing.axis, length)[(*after, ...)]

    def _decode_chunks(self, key: str, nbytes: int) -> Iterator[NDArray[np.generic]]:
        from ckread.readers.hdf5.values import iter_parts

        file, dataset, packing = self._homes[key]
        if packing is None:
            yield from iter_parts(file, dataset, nbytes)
            return
        for slab in iter_slabs(packing.shape, max(1, nbytes)):
            yield self._decode_part(key, tuple(slice(*bounds) for bounds in slab)).reshape(-1)


def _place(file: HDF5File, dataset: Dataset) -> int | None:
    """Give the first byte of a dataset in a file on disk, where its elements lie plainly."""
    if dataset.offset is None or not file.window.is_lasting:
        return None
    return file.window.start + dataset.offset


def open_hdf5(path: str) -> KerasReader:
    """Open a `.weights.h5`, a legacy `.h5`, or any HDF5 file of weights.

    Raises:
        NotACheckpointError: it is not HDF5, or holds no weights.
        UnsupportedFeatureError: something in it leads to another file.
        CorruptCheckpointError: HDF5 cannot read it.
    """
    file = HDF5File(FileWindow(path), os.path.basename(path))
    try:
        return KerasReader(path, [file])
    except BaseException:
        file.close()
        raise


# What lies in the HDF5 files of one Keras checkpoint: datasets, layers, names.
#
#     Keras 3   <path of the layer>/vars/<i>, attribute `name` of `vars`
#     legacy    lists of names in attributes (see below)
#     other     any HDF5 file of numbers: every dataset under its path

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
        has_top: legacy: whether there is a list of the model's own weights, empty or not.
    """

    config: KerasConfig
    groups: Mapping[str, LayerGroup] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    weights: tuple[NamedWeight, ...] = ()
    repeats: Mapping[str, str] = field(default_factory=dict)
    has_top: bool = False


class Home(NamedTuple):
    """Where a tensor lies, and how int4 is packed into its dataset if it is."""

    file: HDF5File
    dataset: Dataset
    packing: Packing | None = None


class Listing(NamedTuple):
    """All that is found: datasets by path, in the order of the model if that is known.

    `is_empty` where there is neither a dataset nor a layer; `notes` says what is odd.
    """

    homes: dict[str, Home]
    contents: KerasContents
    layout: Format
    notes: tuple[str, ...]
    is_empty: bool


def list_files(files: Sequence[HDF5File], config: KerasConfig) -> Listing:
    """List the datasets of the files of one checkpoint."""
    homes: dict[str, Home] = {}
    groups: set[str] = set()
    for file in files:
        for item in file.datasets():
            if isinstance(item, str):
                groups.add(item)
            else:
                homes.setdefault(item.path, Home(file, item))
    first: dict[tuple[int, int], str] = {}  # by its place: a dataset may be linked twice
    known = {
        key: first.setdefault((id(home.file), home.dataset.address), key)
        for key, home in homes.items()
    }
    repeats = {key: one for key, one in known.items() if one != key}
    if len(files) == 1 and is_legacy(files[0], groups):
        # An entry of the lists without a dataset is a save that broke off.
        file = files[0]
        has_top = bool({TOP_LEVEL_GROUP, f"{MODEL_GROUP}/{TOP_LEVEL_GROUP}"} & groups)
        contents = KerasContents(config, repeats=repeats, has_top=has_top)
        listed: dict[str, NamedWeight] = {}
        lost, notes = [], []
        for one in iter_named_weights(file, groups):
            if one.key not in homes:
                lost.append(one.key)
            elif listed.setdefault(one.key, one) is not one:
                notes.append(f"{one.name!r} is listed twice and stored once: one of two was lost.")
        if lost:
            count = f"{len(lost)} listed weights are not stored, the first {lost[0]!r}"
            notes.append(f"{count}: the save broke off.")
        ordered = {key: homes[key] for key in (*listed, *homes)}
        contents = replace(contents, weights=tuple(listed.values()))
        return Listing(ordered, contents, Format.LEGACY_HDF5, tuple(notes), is_empty=False)
    owners = {_owner(group) for group in groups if _is_vars(group)}
    names = {owner: _layer_name(files, owner) for owner in owners}
    layers = layer_groups(owners, names, config.model)
    variables: dict[str, str] = {}
    for path, members in _members(homes).items():
        if path in layers:
            named = _name_members(layers[path], members, homes)
            variables |= {one.path: name for one, name in zip(members, named, strict=True) if name}
    contents = KerasContents(config, layers, variables, repeats=repeats)
    layout = Format.KERAS_WEIGHTS if owners else Format.HDF5
    return Listing(homes, contents, layout, (), is_empty=not homes and not owners)


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
    return {
        path: sorted(found, key=lambda one: path_order(one.path.rpartition("/")[2]))
        for path, found in members.items()
    }


def _name_members(
    group: LayerGroup, members: Sequence[Dataset], homes: dict[str, Home]
) -> list[str]:
    """Name the variables of a layer; note in their homes how int4 is packed."""
    config = group.config
    is_custom = config is not None and not config.is_builtin
    names = variable_names(
        CUSTOM if is_custom else group.class_name,
        config.settings if config else None,
        [Stored(one.shape, "int" in one.dtype) for one in members],
        called=f"{group.name} {group.attribute}",
    )
    shapes = [one.shape for one in members]
    for at, one in enumerate(members):
        packing = find_packing(config, names, shapes, at)
        if packing is not None and one.dtype is DataType.INT8:
            homes[one.path] = homes[one.path]._replace(packing=packing)
    return names


# The older layout of Keras weights in HDF5: every layer lists its weights by name.
#
#     /                        attributes keras_version, backend; of a whole model
#                              also model_config and training_config
#     /model_weights           attribute layer_names (in a weights file: the root has it)
#     /model_weights/<layer>   attribute weight_names: `dense/kernel`, Keras 2 `dense/kernel:0`
#     /model_weights/<layer>/<weight name>        the dataset
#     /optimizer_weights       attribute weight_names: `adam/dense_kernel_momentum`
#
# A list longer than 64 KiB is cut into the attributes `weight_names0`, `weight_names1`.
# Attributes are bytes or text, by the version of h5py that wrote them.
#
# Reference: keras/src/legacy/saving/legacy_h5_format.py

MODEL_GROUP = "model_weights"
OPTIMIZER_GROUP = "optimizer_weights"
TOP_LEVEL_GROUP = "top_level_model_weights"
_MAX_CHUNKS = 10_000


class NamedWeight(NamedTuple):
    """One entry of a list of weight names: path of its dataset, the entry as written, its layer.

    The layer is empty for the optimizer and the model itself.
    """

    key: str
    name: str
    layer: str


def is_legacy(file: HDF5File, groups: Container[str]) -> bool:
    """Tell whether the file lists layers or weights by name."""
    lists = ("layer_names", "layer_names0")
    return MODEL_GROUP in groups or any(file.attribute("", name) is not None for name in lists)


def iter_named_weights(file: HDF5File, groups: Container[str]) -> Iterator[NamedWeight]:
    """Yield the entries of the lists in the order of the model, then those of the optimizer.

    Keras writes a list first, and breaks off when two names collide.
    """
    root = MODEL_GROUP if MODEL_GROUP in groups else ""
    layers = text_list(file, root, "layer_names")
    for layer in layers:
        group = _join(root, layer)
        for name in text_list(file, group, "weight_names") if group in groups else ():
            yield NamedWeight(_join(group, name), name, layer)
    for group in (_join(root, TOP_LEVEL_GROUP), OPTIMIZER_GROUP):
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


def _join(group: str, name: str) -> str:
    return f"{group}/{name.strip('/')}" if group else name.strip("/")


def read_config(file: HDF5File) -> KerasConfig:
    """Read the configuration that a legacy whole-model file has in its attributes."""
    parsed = _attributes(file)
    version = file.attribute("", "keras_version")
    return KerasConfig(
        model=parse_model(parsed["model_config"]),
        compiled=parse_compiled(parsed["training_config"]) if parsed["training_config"] else None,
        keras_version=version if isinstance(version, str) else None,
    )


def read_configurations(path: str) -> dict[str, dict[str, Any]]:
    """Read the configurations in the attributes of an HDF5 file as they stand, by their name."""
    file = HDF5File(FileWindow(path), os.path.basename(path))
    try:
        return _attributes(file)
    finally:
        file.close()


def _attributes(file: HDF5File) -> dict[str, dict[str, Any]]:
    parsed = {}
    for name in ("model_config", "training_config"):
        text = file.attribute("", name)
        data = text.encode(errors="surrogateescape") if isinstance(text, str) else b""
        parsed[name] = parse_object(data, name, path=file.path, name=file.name) if data else {}
    return parsed
