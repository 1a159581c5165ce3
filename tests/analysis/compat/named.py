"""Variables by name, and what is loaded into what: for TensorFlow itself, and without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.readers.contract import DataType
from tests.analysis.compat.recorded import graph_bytes
from tests.builders import BundleBuilder, bytes_field, varint_field
from tests.graphs import GRAPH_KEY, SUFFIX

if TYPE_CHECKING:
    from pathlib import Path

GRAPHS: dict[str, dict[str, tuple[tuple[int, ...], str]]] = {
    "plain": {"a/w": ((2, 3), "float32"), "a/b": ((3,), "float32"), "step": ((), "int64")},
    "more": {
        "a/w": ((2, 3), "float32"), "a/b": ((3,), "float32"), "step": ((), "int64"),
        "c/w": ((3, 2), "float32"),
    },
    "scoped": {"net/a/w": ((2, 3), "float32"), "net/a/b": ((3,), "float32")},
    "wide": {"a/w": ((2, 5), "float32"), "a/b": ((5,), "float32"), "step": ((), "int64")},
    "double": {"a/w": ((2, 3), "float64"), "a/b": ((3,), "float32"), "step": ((), "int64")},
    "renamed": {"z/w": ((2, 3), "float32"), "z/b": ((3,), "float32"), "step": ((), "int64")},
    "one": {"a/w": ((2, 3), "float32")},
    "none": {"q": ((7,), "float32")},
}  # fmt: skip
SAVER_PAIRS = [(a, b) for a in GRAPHS for b in ("plain", "more", "wide", "double", "one")]
OBJECT_PAIRS = [(a, b) for a in ("plain", "more", "renamed") for b in ("plain", "more", "one")]
NAMES_PAIRS = [
    (a, b) for a in ("plain", "more", "wide", "double", "renamed") for b in ("plain", "more", "one")
]
INIT_CASES: list[tuple[str, str, dict[str, str] | None]] = [
    ("plain", "plain", None),
    ("plain", "more", None),
    ("more", "plain", None),
    ("plain", "scoped", None),
    ("plain", "scoped", {"a/": "net/a/"}),
    ("plain", "scoped", {"/": "net/"}),
    ("scoped", "plain", {"net/a/": "a/"}),
    ("scoped", "plain", {"net/": "/"}),
    ("scoped", "one", {"net/": "/"}),
    ("plain", "renamed", {"a/": "z/"}),
    ("plain", "renamed", {"a/w": "z/w"}),
    ("plain", "renamed", {"a/w": "z/w", "a/b": "z/b", "step": "step"}),
    ("plain", "renamed", {"a/": "z/", "step": "step"}),
    ("plain", "wide", {"a/w": "a/w"}),
    ("plain", "wide", {"a/": "a/"}),
    ("plain", "double", {"a/w": "a/w"}),
    ("plain", "more", {"a/": "a/"}),
    ("plain", "more", {"a/": "a/", "c/w": "c/w"}),
    ("plain", "more", {"a/w": "nowhere"}),
    ("plain", "one", {"a/w": "a/w"}),
    ("none", "plain", None),
    ("more", "one", None),
    ("renamed", "plain", {"z/": "a/"}),
    ("renamed", "plain", {"z/": "a/", "step": "step"}),
    ("wide", "one", None),
]
WARM_CASES: list[tuple[str, str, Any, dict[str, str] | None]] = [
    ("plain", "plain", ".*", None),
    ("plain", "more", ".*", None),
    ("plain", "more", "a/", None),
    ("plain", "more", "w", None),
    ("plain", "more", [".*"], None),
    ("plain", "more", ["a/w", "step"], None),
    ("plain", "more", [], None),
    ("plain", "more", "nothing", None),
    ("plain", "renamed", "z/", {"a/w": "z/w", "a/b": "z/b"}),
    ("plain", "renamed", "z/w", {"a/w": "z/w", "a/b": "z/b"}),
    ("plain", "renamed", ".*", {"a/w": "z/w", "a/b": "z/b"}),
    ("plain", "renamed", ".*", {"a/w": "z/w"}),
    ("plain", "wide", ".*", None),
    ("plain", "wide", "step", None),
    ("plain", "double", ".*", None),
    ("plain", "double", "[ab]/b|step", None),
    ("scoped", "one", ".*", {"net/a/w": "a/w"}),
    ("none", "plain", ".*", None),
]


OF_AN_OPTIMIZER = [
    ("adam", "adam", {}), ("plain", "adam", {}), ("adam", "plain", {}),
    ("adam", "adam", {"a/": "a/"}), ("adam", "adam", {"a/w": "a/w", "a/w/Adam": "a/w/Adam"}),
]  # fmt: skip
"""What a Saver of a training writes; an assignment map is empty where there is none."""
_TRAINED: dict[str, tuple[tuple[int, ...], str]] = {
    **GRAPHS["plain"], "a/w/Adam": ((2, 3), "float32"), "a/w/Adam_1": ((2, 3), "float32"),
    "a/b/Adam": ((3,), "float32"), "a/b/Adam_1": ((3,), "float32"),
    "beta1_power": ((), "float32"), "beta2_power": ((), "float32"),
    "a/w/ExponentialMovingAverage": ((2, 3), "float32"),
}  # fmt: skip
_DTYPES = {str(dtype): dtype for dtype in DataType}


def write(name: str, prefix: Path, *, resource: bool | None = None) -> str:
    """Write what a Saver of these variables writes; a `.meta` too if it is said what they are."""
    builder = BundleBuilder()
    variables = _TRAINED if name == "adam" else GRAPHS[name]
    for i, (full, (shape, dtype)) in enumerate(variables.items()):
        builder.add(full, np.full(shape, i + 1).astype(dtype), _DTYPES[dtype])
    meta = prefix.with_name(f"{prefix.name}.meta")
    meta.unlink(missing_ok=True)
    if resource is not None:
        listed = [
            bytes_field(1, f"{full}:0".encode()) + varint_field(5, resource) + varint_field(7, 1)
            for full in GRAPHS[name]
        ]
        members = bytes_field(2, b"".join(bytes_field(1, one) for one in listed))
        named = [bytes_field(1, f"{word}_variables".encode()) for word in ("global", "trainable")]
        collections = [bytes_field(4, one + bytes_field(2, members)) for one in named]
        meta.write_bytes(b"".join(collections))
    return builder.write(prefix)


def write_objects(name: str, prefix: Path) -> str:
    """Write what `tf.train.Checkpoint` writes of these variables, `v0`, `v1` … of its root."""
    builder = BundleBuilder()
    root: dict[str, Any] = {"children": {}}
    objects = [root]
    for i, (full, (shape, dtype)) in enumerate(GRAPHS[name].items()):
        key = f"v{i}{SUFFIX}"
        builder.add(key, np.full(shape, i + 1).astype(dtype), _DTYPES[dtype])
        root["children"][f"v{i}"] = len(objects)
        objects.append({"attributes": [("VARIABLE_VALUE", full, key)]})
    builder.add_strings(GRAPH_KEY, [graph_bytes(objects)], ())
    return builder.write(prefix)
