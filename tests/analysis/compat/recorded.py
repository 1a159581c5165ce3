"""Programs and Keras files as TensorFlow and Keras saved them once, written again without them.

    python -m tests.analysis.compat.recorded        records them anew, where TensorFlow is

A line of `programs.json` is a program of `programs`: its objects, and of each tensor type, shape
and a number that stands for its content, of a scalar the scalar itself. A line of
`keras_files.json` is a file of `test_keras_files`: groups, datasets and attributes, of
configurations what names and nests layers.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ckread.readers.contract import DataType
from tests.builders import BundleBuilder, bytes_field, entry_bytes, varint_field
from tests.graphs import GRAPH_KEY

if TYPE_CHECKING:
    from ckread.analysis.compat.records import RestoreForecast

PROGRAMS = Path(__file__).parent / "programs.json"
_LARGEST = 64
"""Sizes are cut to this: a table has 131,072 buckets."""
KERAS_FILES = Path(__file__).parent / "keras_files.json"
_DTYPES = {str(dtype): dtype for dtype in DataType}


@cache
def programs() -> dict[str, dict[str, Any]]:
    """Give what was recorded, by the name of the program."""
    found: dict[str, dict[str, Any]] = json.loads(PROGRAMS.read_text(encoding="utf-8"))
    found.pop("pairs")
    return found


def pairs() -> list[list[str]]:
    """Give what is restored into what, of which TensorFlow itself was asked."""
    found: list[list[str]] = json.loads(PROGRAMS.read_text(encoding="utf-8"))["pairs"]
    return found


def write(name: str, prefix: Path, *, is_target: bool = False) -> str:
    """Write a program's checkpoint; give its prefix.

    No two variables hold the same, in whatever program; nor those of a target what is restored.
    """
    program = programs()[name]
    offset = 1000 * (1 + list(programs()).index(name)) + 500 * is_target
    builder = BundleBuilder()
    for key, (dtype, shape, content) in program["tensors"].items():
        if dtype == "variant":  # which only its own program can read
            builder.items[key.encode()] = entry_bytes(_DTYPES[dtype].number, shape)
            continue
        if dtype == "string":
            texts = [f"{offset + content + i}".encode() for i in range(math.prod(shape))]
            builder.add_strings(key, texts, shape)
            continue
        array = np.full(shape, content + offset * (shape != [])).astype(dtype)
        if array.size > 1:
            array.reshape(-1)[0] += 1  # what is all the same tells nothing
        builder.add(key, array, _DTYPES[dtype])
    builder.add_strings(GRAPH_KEY, [graph_bytes(program["objects"])], ())
    return builder.write(prefix)


def outcomes(forecast: RestoreForecast) -> tuple[Any, ...]:
    """Give what TensorFlow or Keras itself confirms of a forecast, but for names that count up."""
    values = [
        (one.outcome, one.code, tuple(min(size, _LARGEST) for size in one.target.shape))
        for one in forecast.values
    ]
    kinds = [one.type for one in forecast.raises]
    return values, kinds, forecast.assigned_before, forecast.asserts, len(forecast.left_over)


def graph_bytes(objects: list[dict[str, Any]]) -> bytes:
    """Encode a TrackableObjectGraph."""
    return b"".join(bytes_field(1, _object(one)) for one in objects)


def _object(one: dict[str, Any]) -> bytes:
    data = b"".join(
        bytes_field(1, varint_field(1, child) + _text(2, name))
        for name, child in one.get("children", {}).items()
    )
    for name, full_name, key in one.get("attributes", ()):
        data += bytes_field(2, _text(1, name) + _text(2, full_name) + _text(3, key))
    for variable, word, slot in one.get("slots", ()):
        fields = varint_field(1, variable) + _text(2, word) + varint_field(3, slot)
        data += bytes_field(3, fields)
    for name, object_name in one.get("savers", ()):
        data += bytes_field(4, _text(1, name) + _text(2, object_name))
    return data


def _text(number: int, text: str) -> bytes:
    return bytes_field(number, text.encode())


def record(prefix: str) -> dict[str, Any]:
    """Give what is kept of a checkpoint."""
    import ckread

    with ckread.open(prefix) as checkpoint:
        graph = checkpoint.evidence.graph
        assert graph is not None
        objects = []
        for node in graph.nodes:
            parts = {
                "children": {name: child for child, name in node.children},
                "attributes": [list(one) for one in node.attributes],
                "slots": [list(one) for one in node.slot_variables],
                "savers": [list(node.registered_saver)] if node.registered_saver else [],
            }
            objects.append({name: part for name, part in parts.items() if part})
        tensors = {}
        for number, (key, one) in enumerate(checkpoint.reader.tensors.items()):
            if key != GRAPH_KEY:
                content = number
                if one.shape == () and one.dtype is not DataType.STRING:
                    content = checkpoint[key].numpy().item()
                shape = [min(size, _LARGEST) for size in one.shape]
                tensors[key] = [str(one.dtype), shape, content]
    return {"objects": objects, "tensors": tensors}


# Files of Keras.


_TOP = "model_weights/top_level_model_weights"


@cache
def keras_files() -> dict[str, dict[str, Any]]:
    """Give what was recorded of HDF5 files, by their names."""
    found: dict[str, dict[str, Any]] = json.loads(KERAS_FILES.read_text(encoding="utf-8"))
    return found


def write_keras(
    name: str, path: Path, *, is_target: bool = False, version: str | None = None, n_top: int = 0
) -> str:
    """Write a file of Keras; give its path. No two datasets hold the same.

    Of a legacy file may be said which `version` wrote it, and how many weights the model itself
    has, each of one number more.
    """
    recorded = deepcopy(keras_files()[name])
    for group in recorded["groups"].values():
        if version is not None and "keras_version" in group:
            group["keras_version"] = version
    if n_top:
        names = [f"top{i}" for i in range(n_top)]
        recorded["groups"][_TOP]["weight_names"] = names
        recorded["datasets"] |= {
            f"{_TOP}/{one}": ["float32", [i + 1]] for i, one in enumerate(names)
        }
    offset = 1000 * (1 + list(keras_files()).index(name)) + 500 * is_target
    hdf5 = path.with_suffix(".inner") if path.suffix == ".keras" else path
    with h5py.File(hdf5, "w") as file:
        for group, attributes in recorded["groups"].items():
            made = file.require_group(group or "/")
            for key, value in attributes.items():
                is_config = isinstance(value, dict)
                made.attrs[key] = json.dumps(value) if is_config else value
        for number, (key, (dtype, shape)) in enumerate(recorded["datasets"].items()):
            array = np.full(shape, offset + number).astype(dtype)
            if array.size > 1:
                array.reshape(-1)[0] += 1
            file[key] = array
    if hdf5 is not path:
        with zipfile.ZipFile(path, "w") as archive:
            for member, value in recorded["members"].items():
                archive.writestr(member, json.dumps(value))
            archive.write(hdf5, "model.weights.h5")
        hdf5.unlink()
    return str(path)


def record_keras(path: str) -> dict[str, Any]:
    """Give what is kept of a file of Keras."""
    members: dict[str, Any] = {}
    inner: Any = path
    if path.endswith(".keras"):
        with zipfile.ZipFile(path) as archive:
            members = {
                name: _pruned(json.loads(archive.read(name)))
                for name in ("metadata.json", "config.json")
            }
            members["metadata.json"].pop("date_saved", None)
            inner = io.BytesIO(archive.read("model.weights.h5"))
    groups: dict[str, Any] = {}
    datasets: dict[str, Any] = {}
    with h5py.File(inner) as file:

        def see(name: str, one: Any) -> None:
            if isinstance(one, h5py.Dataset):
                datasets[name] = [str(one.dtype), list(one.shape)]
            elif name in ("", *one.file) or one.attrs or not len(one):
                groups[name] = {key: _plain(key, value) for key, value in one.attrs.items()}

        see("", file)
        file.visititems(see)
    found = {"groups": groups, "datasets": datasets, "members": members}
    return {name: part for name, part in found.items() if part}


def _plain(key: str, value: Any) -> Any:
    if key.endswith("_config"):
        return _pruned(json.loads(value))
    return value.tolist() if isinstance(value, np.ndarray) else value


def _pruned(value: Any) -> Any:
    """Give of a configuration what names and nests its objects."""
    if isinstance(value, list):
        return [_pruned(one) for one in value]
    if isinstance(value, dict):
        return {key: _pruned(one) for key, one in value.items() if not _is_detail(key, one)}
    return value


def _is_detail(key: str, value: Any) -> bool:
    return (
        key.endswith(("_initializer", "_regularizer", "_constraint", "_nodes", "activation"))
        or key in ("dtype", "build_config", "quantization_config")
        or (value is None and key != "registered_name")
    )


def main() -> None:
    """Record all that is restored into one another."""
    import tempfile

    from tests.analysis.compat import programs as live
    from tests.analysis.compat import test_keras_files as files

    names = sorted({name for pair in live.PAIRS for name in pair})
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {
            name: record(live.make(name).save(f"{folder}/{name}/ckpt")) for name in names
        }
        found["pairs"] = live.PAIRS
        _dump(PROGRAMS, found)
        found = {}
        for library, suffix, _, pairs in files.FILES:
            for name in sorted({name for pair in pairs for name in pair}):
                path = f"{library.__name__}_{name}{suffix}"
                model = files.build(library, name, is_target=False)
                found[path] = record_keras(files.save(model, f"{folder}/{path}"))
        _dump(KERAS_FILES, found)


def _dump(path: Path, found: dict[str, Any]) -> None:
    lines = [f"{json.dumps(name)}: {json.dumps(one)}" for name, one in found.items()]
    path.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
