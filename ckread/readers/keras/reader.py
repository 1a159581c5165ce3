"""Keras weights in HDF5: one file, or several that share one list of groups.

The key of a tensor is the path of its dataset: `layers/conv2d/vars/0`, in a legacy
file `model_weights/conv1/conv1/kernel`. Names are given by `model.keras_naming`,
from what `HDF5Reader.contents` tells.

What lies in the HDF5 files of one Keras checkpoint: datasets, layers, names.

Keras 3   <path of the layer>/vars/<i>, attribute `name` of `vars`
legacy    lists of names in attributes (see below)
other     any HDF5 file of numbers: every dataset under its path

The older layout of Keras weights in HDF5: every layer lists its weights by name.

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

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import NotACheckpointError, UsageError, VariableNotFoundError
from ckread.readers.contract import (
    CHUNK_NBYTES,
    ClosingReader,
    Extent,
    Format,
    StoredFile,
    TensorRecord,
    shown,
)
from ckread.readers.dtypes import DataType
from ckread.readers.extents import read_extent
from ckread.readers.files import FileWindow, RegularFile
from ckread.readers.hdf5.file import HDF5File
from ckread.readers.keras.config import KerasConfig, parse_compiled, parse_model, parse_object
from ckread.readers.keras.layers import CUSTOM, LayerGroup, Stored, layer_groups, variable_names
from ckread.readers.keras.packed_int4 import Packing, find_packing
from ckread.readers.slices import index_ranges, kept_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.errors import CheckpointError
    from ckread.readers.contract import Index
    from ckread.readers.hdf5.messages import Dataset


class HDF5Reader(ClosingReader):
    """The tensors of a Keras weight file; a `CheckpointReader`.

    Attributes:
        path: the file, or the index of the files.
        format: how it is laid out.
        contents: what names and roles are told from.
        notes: what is odd about it, one sentence each.
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
        """List the tensors.

        Args:
            path: what the checkpoint is called.
            files: the open files, each with other variables; the reader closes them.
            layout: the format, None to tell it from the file.
            config: the configuration from an archive, None to look for it in the file.
            stored: the files on disk, if it is not the file at `path` alone.
            verify: gives what is wrong by a checksum that covers all tensors, if one does.

        Raises:
            NotACheckpointError: the files hold no weights.
            UnsupportedFeatureError: something leads out of the files.
            CorruptCheckpointError: HDF5 cannot read them.
        """
        listing = list_files(files, read_config(files[0]) if config is None else config)
        if listing.is_empty:
            found, expected = "an HDF5 file without datasets", "Keras weights"
            raise NotACheckpointError(found, path=path, name=files[0].name, expected=expected)
        self.path = path
        self.format = layout or listing.layout
        self.contents = listing.contents
        self.notes = listing.notes
        self._files = files
        self._stored = stored or (StoredFile(path, files[0].window.nbytes, is_shard=True),)
        self._homes = listing.homes
        self._shards: dict[str, RegularFile] = {}
        self._verify = verify
        self._tensors = {key: self._record(key, home) for key, home in listing.homes.items()}

    def _record(self, key: str, home: Home) -> TensorRecord:
        file, dataset, packing = home
        dtype = DataType.INT4 if packing else dataset.dtype
        shape = packing.shape if packing else dataset.shape
        is_plain = dataset.offset is not None and file.window.is_lasting
        offset = file.window.start + (dataset.offset or 0) if is_plain else None
        shard = self._files.index(file)
        return TensorRecord(key, dtype, shape, dataset.nbytes, None, shard, offset)

    @property
    def tensors(self) -> Mapping[str, TensorRecord]:
        """Every tensor by the path of its dataset."""
        return self._tensors

    def files(self) -> tuple[StoredFile, ...]:
        """Give the file, or the index and the files it names."""
        return self._stored

    def extents(self, key: str) -> tuple[Extent, ...] | None:
        """Give where a contiguous dataset lies; None if compact, chunked, text or packed."""
        file, dataset, packing = self._home(key)
        if dataset.offset is None or packing is not None or not file.window.is_lasting:
            return None
        region = tuple((0, size) for size in dataset.shape)
        offset = file.window.start + dataset.offset
        where = (file.path, offset, dataset.nbytes, dataset.dtype)
        return (Extent(*where, dataset.big_endian, None, region),)

    def verify_container(self) -> None:
        """Verify the member of the archive that the tensors lie in.

        Raises:
            CorruptCheckpointError: it is damaged; in which of them cannot be told.
        """
        error = self._verify() if self._verify is not None else None
        if error is not None:
            raise error.within()  # a new one each time: a traceback grows on it

    def read_bytes(self, key: str) -> bytes:
        """Give the bytes of a small tensor, C order, little-endian; packed int4 unpacked."""
        if self._home(key).dataset.dtype is DataType.STRING:
            raise UsageError(f"{shown(key)}: a string tensor, expected plain numbers")
        extents = self.extents(key)
        if extents is None:
            return self.read_slice(key, ()).tobytes()
        return read_extent(extents[0], self._open(extents[0].path))

    def read_strings(self, key: str) -> list[bytes]:
        """Give the elements of a string dataset, C order.

        Raises:
            UsageError: it holds no strings.
            CorruptCheckpointError: HDF5 cannot read it.
        """
        from ckread.readers.keras.values import read_strings

        file, dataset, _ = self._home(key)
        if dataset.dtype is not DataType.STRING:
            raise UsageError(f"{shown(key)}: {dataset.dtype}, expected strings")
        self.verify_container()
        return read_strings(file, dataset)

    def read(self, key: str) -> NDArray[np.generic]:
        """Give a whole tensor.

        Raises:
            ChecksumError: the archive that it lies in is damaged.
            TruncatedFileError: the file ends before its values do.
            UnsupportedFeatureError: the type has no array form.
            CorruptCheckpointError: HDF5 cannot read it.
        """
        from ckread.readers import arrays

        self.verify_container()
        extents = self.extents(key)
        if extents is None:
            return self.read_slice(key, ())
        arrays.check_places(extents, self._open)
        record = self._tensors[key]
        whole = arrays.empty_array(record.shape, record.dtype)
        arrays.read_whole(extents, whole, self._open)
        return whole

    def read_slice(self, key: str, index: Index) -> NDArray[np.generic]:
        """Give a part of a tensor, reading only what it needs.

        Raises:
            CheckpointError: as for `read`.
        """
        from ckread.readers import arrays

        extents = self.extents(key)
        if extents is None:
            from ckread.readers.keras.values import read_part

            file, dataset, packing = self._home(key)
            return read_part(file, dataset, index, packing)
        arrays.check_places(extents, self._open)
        record = self._tensors[key]
        ranges = index_ranges(index, record.shape)
        part = arrays.empty_array([len(wanted) for wanted in ranges], record.dtype)
        arrays.read_part(extents, ranges, part, self._open)
        return part.reshape(kept_shape(index, part.shape))

    def iter_chunks(self, key: str, nbytes: int = CHUNK_NBYTES) -> Iterator[NDArray[np.generic]]:
        """Yield a tensor in C order as 1-D arrays of at most `nbytes` bytes."""
        from ckread.readers import arrays
        from ckread.readers.keras.values import iter_parts

        self.verify_container()
        extents = self.extents(key)
        if extents is None:
            file, dataset, packing = self._home(key)
            yield from iter_parts(file, dataset, packing, nbytes)
            return
        record = self._tensors[key]
        nbytes = max(nbytes, record.dtype.itemsize)
        yield from arrays.iter_whole(extents, record.shape, nbytes, self._open)

    def _home(self, key: str) -> Home:
        try:
            return self._homes[key]
        except KeyError:
            raise VariableNotFoundError(f"no tensor {shown(key)}", path=self.path) from None

    def _open(self, path: str) -> RegularFile:
        if path not in self._shards:
            self._shards[path] = RegularFile(path)
        return self._shards[path]

    def close(self) -> None:
        """Close the files for good."""
        super().close()
        for file in self._files:
            file.close()
        while self._shards:
            self._shards.popitem()[1].close()


def open_hdf5(path: str) -> HDF5Reader:
    """Open a `.weights.h5`, a legacy `.h5`, or any HDF5 file of weights.

    Raises:
        NotACheckpointError: it is not HDF5, or holds no weights.
        UnsupportedFeatureError: something in it leads to another file.
        CorruptCheckpointError: HDF5 cannot read it.
    """
    file = HDF5File(FileWindow(path), os.path.basename(path))
    try:
        return HDF5Reader(path, [file])
    except BaseException:
        file.close()
        raise


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
        compiled=parse_compiled(parsed["training_config"]) if parsed["training_config"] else None,
        keras_version=version if isinstance(version, str) else None,
    )
