"""The checkpoints of a directory, found without a state file, and what else lies in one."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from ckread.errors import CheckpointError, TextLines, by
from ckread.model.paths.location import (
    INDEX_SUFFIX,
    KERAS_SUFFIXES,
    META_SUFFIX,
    PARTNER_SUFFIXES,
    Location,
    at_prefix,
    file_suffix,
    is_v1_file,
    split_v1_shard,
)
from ckread.model.steps import COPY_SECONDS, UNTOLD, NameNumbers, Series, read_series
from ckread.readers.contract import Format
from ckread.readers.extents import present_shards
from ckread.readers.files import (
    file_identity,
    file_names,
    is_directory,
    is_file,
    once,
    written_time,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


_PART = re.compile(r"_\d{5}\.weights\.h5\Z|-\d{5}-of-\d{5}\.safetensors\Z")
"""A file of weights that is one of several, which an index joins."""

_MAX_SNIFFED = 200
"""Files without a telling name whose content is looked at, in search of V1 checkpoints."""


class Candidate(NamedTuple):
    """A checkpoint of a directory, by its name.

    Attributes:
        path: its prefix or file.
        format: as its name tells it.
        saved: when its index or file was last written, seconds since 1970.
        numbers: what its name says of its place in a training, beside its siblings.
        series: the names that differ from its own in their numbers only; None while not looked at.
    """

    path: str
    format: Format
    saved: float
    numbers: NameNumbers = NameNumbers()
    series: Series | None = None

    @property
    def name(self) -> str:
        """Its base name."""
        return os.path.basename(self.path)


def scan(directory: str) -> list[Candidate]:
    """List the checkpoints of a directory: the largest series last, in it the latest.

    TensorFlow's own; Keras files only where there are none of these. Whether an
    index is sound is left to who opens it.
    """
    names = file_names(directory)
    bundles = [
        _candidate(directory, name, INDEX_SUFFIX, Format.TENSOR_BUNDLE)
        for name in names
        if name.endswith(INDEX_SUFFIX)
    ]
    found = [candidate for candidate in bundles if candidate is not None]
    found = found or _v1_files(directory, names) or keras_files(directory, names)
    found = found or keras_files(directory, names, PARTNER_SUFFIXES)
    read = read_series([one.name for one in found], [one.saved for one in found])
    return [
        found[place]._replace(numbers=numbers, series=series)
        for series in reversed(read)
        for place, numbers in zip(series.order, series.numbers, strict=True)
    ]


def read_name(path: str) -> tuple[NameNumbers, Series]:
    """Tell what the name of a checkpoint says, beside those in its directory that are alike."""
    directory, base = os.path.split(path)
    suffix = file_suffix(base)
    start = re.split(r"\d", base, maxsplit=1)[0]
    own = suffix or (INDEX_SUFFIX if is_file(path + INDEX_SUFFIX) else "")
    read = once(_read_names, directory, start, suffix, own)
    if base not in read:
        read = _read_names(directory, start, suffix, own, base)
    return read[base]


def _read_names(
    directory: str, start: str, suffix: str | None, own: str, *absent: str
) -> dict[str, tuple[NameNumbers, Series]]:
    """Tell what the names of a directory say that start alike."""
    names = {
        name.removesuffix("" if suffix else own): name
        for name in file_names(directory)
        if name.startswith(start) and (name.endswith(own) if own else "." not in name[-5:])
    }
    for base in absent:
        names[base] = base + ("" if suffix else own)
    times = [written_time(os.path.join(directory, name)) for name in names.values()]
    known = list(names)
    return {
        known[place]: (numbers, series)
        for series in read_series(known, times)
        for place, numbers in zip(series.order, series.numbers, strict=True)
    }


def locate_latest(directory: str, candidates: list[Candidate]) -> Location | None:
    """Give the latest candidate that is what its name says, and say that it was chosen."""
    for candidate in reversed(candidates):
        location = _confirmed(candidate)
        if location is None:  # other programs call their files .index too
            continue
        if len(candidates) == 1:
            return location
        series = candidate.series or Series((), ())
        how = "the latest" if series.titles else "the last written"
        doubt = series.doubt or doubt_among(candidate, candidates)
        if doubt:
            by = "numbers" if len(series.titles) > 1 else "number"
            how = f"the last by {by}" if series.titles and series.doubt else "one of them"
        shown = directory or os.curdir
        note = f"{shown} holds {len(candidates)} checkpoints; opened {how}, {candidate.path}."
        return location.noting(note, *([doubt] if doubt else []))
    return None


def doubt_among(chosen: Candidate, candidates: list[Candidate]) -> str:
    """Say so where other names stand as high as the chosen one, and are as new."""
    n, known = len(chosen.series.order) if chosen.series else 0, chosen.numbers.known
    last = {id(one.series): one for one in candidates if one.series is not None}
    rivals = [one for one in last.values() if one.series is not chosen.series]
    is_doubted = any(
        one.series is not None
        and len(one.series.order) == n
        and one.numbers.known == known
        and abs(one.saved - chosen.saved) <= COPY_SECONDS
        for one in rivals
    )
    return UNTOLD if is_doubted else ""


def _confirmed(candidate: Candidate) -> Location | None:
    if candidate.format is not Format.TENSOR_BUNDLE:
        files = (candidate.path,) if candidate.format is Format.V1_TABLE else ()
        return at_prefix(candidate.path) or Location(candidate.path, candidate.format, files)
    from ckread.readers.detection import POINTERS, Kind, detect

    kind = detect(candidate.path + INDEX_SUFFIX)
    known = (Kind.BUNDLE_INDEX, Kind.TORN_INDEX, Kind.TABLE, Kind.EMPTY, Kind.ZEROS, *POINTERS)
    is_index = kind in known or present_shards(candidate.path)  # if something else, it is told
    return at_prefix(candidate.path) if is_index else None


def _v1_files(directory: str, names: list[str]) -> list[Candidate]:
    """Find V1 checkpoints: any name, so by content, of what has no other known suffix."""
    found = {}
    likely = [name for name in names if not name.endswith(META_SUFFIX) and not file_suffix(name)]
    for name in likely[:_MAX_SNIFFED]:
        try:
            if not is_v1_file(os.path.join(directory, name)):
                continue
        except CheckpointError:
            continue
        stem = split_v1_shard(name)[0]
        candidate = _candidate(directory, name, name[len(stem) :], Format.V1_TABLE)
        if candidate is not None:
            found[stem] = candidate
    return list(found.values())


def keras_files(
    directory: str, names: list[str], suffixes: Mapping[str, Format] = KERAS_SUFFIXES
) -> list[Candidate]:
    """Give the files of Keras, or with other suffixes, among the names of a directory."""
    found = []
    for name in names:
        suffix = file_suffix(name)
        if suffix is not None and suffix in suffixes and not _PART.search(name):
            candidate = _candidate(directory, name, "", suffixes[suffix])
            found += [candidate] if candidate is not None else []
    return found


def _candidate(directory: str, name: str, suffix: str, kept: Format) -> Candidate | None:
    path = os.path.join(directory, name)
    saved = written_time(path)
    return None if saved is None else Candidate(path.removesuffix(suffix), kept, saved)


# Directories that hold something else, and what a save leaves that was cut short.
#
# Orbax         _CHECKPOINT_METADATA, manifest.ocdbt, ocdbt.process_0 … at its top or one below
# TensorFlow.js model.json beside group1-shard1of1.bin
# Hugging Face  config.json beside model.safetensors or pytorch_model.bin;
#               a cache: blobs, refs, snapshots
# TensorBoard   events.out.tfevents…, at its top or one below, and nothing else
# TF Hub        tfhub_module.pb
# DVC           X.dvc beside no X
#
# P_temp/, P_temp_<hex>/    part-00000-of-00002.index and its data: the parts of a save of P,
#                           one per device or host, before they are merged


_ORBAX = re.compile(r"_CHECKPOINT_METADATA|manifest\.ocdbt|ocdbt\.process_\d+|_strings\.json")
_TFJS_SHARD = re.compile(r"group\d+-shard\d+of\d+(?:\.bin)?")
_HUGGING_FACE = re.compile(
    r"(?:model|pytorch_model|flax_model|adapter_model)(?:-\d+-of-\d+)?\.(?:safetensors|bin|msgpack)"
)
_EVENTS = re.compile(r"(?:.*\.)?tfevents\..*")
_MAX_BELOW = 20

_TEMPORARY = re.compile(r"(?P<stem>.+)_temp(?:_[0-9a-f]{8,})?")
_SAVE_PART = re.compile(r"part-(?P<number>\d{5})-of-(?P<count>\d{5})")


def layout_of(directory: str) -> tuple[str, str] | None:
    """Name what a directory without a checkpoint is, with a remedy; None if nothing tells."""
    names = set(file_names(directory))
    below = [os.path.join(directory, name) for name in sorted(names)][:_MAX_BELOW]
    inside = {name for path in below if is_directory(path) for name in file_names(path)}
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
    files = {name for name in names if is_file(os.path.join(directory, name))}
    if (files | inside) and all(map(_EVENTS.fullmatch, files | inside)):
        history = by(f"ckread history {directory}", f"ckread.history({directory!r})")
        remedy = f"Its curves are training history: {history}"
        return "a TensorBoard log directory, which holds no variables", remedy
    tracked = [name for name in sorted(names) if name[-4:] == ".dvc" and name[:-4] not in names]
    if tracked and tracked[0] != ".dvc":
        return f"{tracked[0][:-4]} is kept by DVC and not here yet", f"dvc pull {tracked[0]}"
    return None


def is_save_part(path: str) -> bool:
    """Tell whether a prefix is a part of a save that was not finished; its number is no step."""
    directory, name = os.path.split(os.path.abspath(path))
    return bool(_SAVE_PART.fullmatch(name) and _TEMPORARY.fullmatch(os.path.basename(directory)))


def left_by_save(path: str) -> str | None:
    """Say what a directory or file is that only an unfinished save leaves, and what is whole.

    None if it is something else.
    """
    name = os.path.basename(path)
    if ".tempstate" in name or name.startswith("checkpoint.tmp"):
        identity = file_identity(path)
        return f"{name} is a file of {identity.nbytes if identity else 0} bytes"
    match = _TEMPORARY.fullmatch(name)
    names = file_names(path) if match and is_directory(path) else []
    if match is None or not all(one.startswith("part-") for one in names):
        return None
    if not is_directory(path):
        identity = file_identity(path)
        is_bare = identity is not None and not identity.nbytes
        return f"{name} is an empty file" if is_bare else None
    sizes = [found.nbytes for one in names if (found := file_identity(os.path.join(path, one)))]
    n_files = "1 file" if len(sizes) == 1 else f"{len(sizes)} files"
    folder = f"{name}/ is a folder of {n_files}, {sum(sizes)} bytes"
    whole = []
    for one in names:
        part = _SAVE_PART.fullmatch(one.removesuffix(INDEX_SUFFIX))
        if part is None or not one.endswith(INDEX_SUFFIX):
            continue
        families = present_shards(os.path.join(path, part[0]))
        if any(found == set(range(n)) for n, found in families.items()):
            whole.append(f"part {int(part['number'])} of {int(part['count'])}")
    return f"{folder}: {', '.join(whole) or 'no part'} of {match['stem']} in it is whole"
