"""Directories that hold something else, and what a save leaves that was cut short.

Orbax         _CHECKPOINT_METADATA, manifest.ocdbt, ocdbt.process_0 … at its top or one below
TensorFlow.js model.json beside group1-shard1of1.bin
Hugging Face  config.json beside model.safetensors or pytorch_model.bin;
              a cache: blobs, refs, snapshots
TensorBoard   events.out.tfevents…, at its top or one below, and nothing else
TF Hub        tfhub_module.pb
DVC           X.dvc beside no X

P_temp/, P_temp_<hex>/    part-00000-of-00002.index and its data: the parts of a save of P,
                          one per device or host, before they are merged
"""

from __future__ import annotations

import os
import re

from ckread.errors import TextLines
from ckread.model.paths.location import INDEX_SUFFIX, file_names
from ckread.readers.extents import present_shards
from ckread.readers.files import file_identity

_ORBAX = re.compile(r"_CHECKPOINT_METADATA|manifest\.ocdbt|ocdbt\.process_\d+|_strings\.json")
_TFJS_SHARD = re.compile(r"group\d+-shard\d+of\d+(?:\.bin)?")
_HUGGING_FACE = re.compile(
    r"(?:model|pytorch_model|flax_model|adapter_model)(?:-\d+-of-\d+)?\.(?:safetensors|bin|msgpack)"
)
_EVENTS = re.compile(r"(?:.*\.)?tfevents\..*")
_MAX_BELOW = 20

_TEMPORARY = re.compile(r"(?P<stem>.+)_temp(?:_[0-9a-f]{8,})?")
_PART = re.compile(r"part-(?P<number>\d{5})-of-(?P<count>\d{5})")


def layout_of(directory: str) -> tuple[str, str] | None:
    """Name what a directory without a checkpoint is, with a remedy; None if nothing tells."""
    names = set(file_names(directory))
    below = [os.path.join(directory, name) for name in sorted(names)][:_MAX_BELOW]
    inside = {name for path in below if os.path.isdir(path) for name in file_names(path)}
    if any(map(_ORBAX.fullmatch, names | inside)):
        remedy = "Orbax itself reads it. Save it from there as .keras or .weights.h5."
        return "an Orbax checkpoint, which is not read here", remedy
    if "model.json" in names and any(map(_TFJS_SHARD.fullmatch, names)):
        remedy = "Convert it first: tensorflowjs_converter --input_format=tfjs_layers_model"
        return "a TensorFlow.js model, which is not read here", remedy
    if {"blobs", "refs", "snapshots"} <= names:
        snapshots = os.path.join(directory, "snapshots")
        lines = (f"  {os.path.join(snapshots, name)}" for name in file_names(snapshots))
        return "a cache of the Hugging Face hub", TextLines("Its files are in:", *lines)
    weights = sorted(filter(_HUGGING_FACE.fullmatch, names))
    if "config.json" in names and weights:
        remedy = f"Its weights are in {weights[0]}. Copies for TensorFlow are called tf_model.h5."
        return "a Hugging Face model without weights for TensorFlow", remedy
    if "tfhub_module.pb" in names:
        remedy = "Load it with tensorflow_hub, and save what it gives as a SavedModel."
        return "a TensorFlow Hub module without variables", remedy
    files = {name for name in names if os.path.isfile(os.path.join(directory, name))}
    if (files | inside) and all(map(_EVENTS.fullmatch, files | inside)):
        remedy = f"Its curves are training history: ckread history {directory}"
        return "a TensorBoard log directory, which holds no variables", remedy
    tracked = [name for name in sorted(names) if name[-4:] == ".dvc" and name[:-4] not in names]
    if tracked and tracked[0] != ".dvc":
        return f"{tracked[0][:-4]} is kept by DVC and not here yet", f"dvc pull {tracked[0]}"
    return None


def is_save_part(path: str) -> bool:
    """Tell whether a prefix is a part of a save that was not finished; its number is no step."""
    directory, name = os.path.split(os.path.abspath(path))
    return bool(_PART.fullmatch(name) and _TEMPORARY.fullmatch(os.path.basename(directory)))


def left_by_save(path: str) -> str | None:
    """Say what a directory or file is that only an unfinished save leaves, and what is whole.

    None if it is something else.
    """
    name = os.path.basename(path)
    if ".tempstate" in name or name.startswith("checkpoint.tmp"):
        identity = file_identity(path)
        return f"{name} is a file of {identity.nbytes if identity else 0} bytes"
    match = _TEMPORARY.fullmatch(name)
    names = file_names(path) if match and os.path.isdir(path) else []
    if match is None or not all(one.startswith("part-") for one in names):
        return None
    if not os.path.isdir(path):
        identity = file_identity(path)
        is_bare = identity is not None and not identity.nbytes
        return f"{name} is an empty file" if is_bare else None
    sizes = [found.nbytes for one in names if (found := file_identity(os.path.join(path, one)))]
    n_files = "1 file" if len(sizes) == 1 else f"{len(sizes)} files"
    folder = f"{name}/ is a folder of {n_files}, {sum(sizes)} bytes"
    whole = []
    for one in names:
        part = _PART.fullmatch(one.removesuffix(INDEX_SUFFIX))
        if part is None or not one.endswith(INDEX_SUFFIX):
            continue
        families = present_shards(os.path.join(path, part[0]))
        if any(found == set(range(n)) for n, found in families.items()):
            whole.append(f"part {int(part['number'])} of {int(part['count'])}")
    return f"{folder}: {', '.join(whole) or 'no part'} of {match['stem']} in it is whole"
