"""Listing very many variables, beside `tf.train.list_variables`.

    python -m tests.benchmarks.run --only indexes
    python -m tests.benchmarks.indexes FOLDER       the checkpoints alone

100,000 and 1,000,000 variables by name, 100,000 variables by object of which Adam keeps two
thirds. Only the index is written in full: a data shard is a hole of the right size, but for
the object graph.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ckread.readers.contract import DataType
from tests.benchmarks.core import LIST_VARIABLES
from tests.benchmarks.measuring import Comparison, measure_in_turn, python_command
from tests.builders import (
    BundleBuilder,
    bytes_field,
    entry_bytes,
    header_bytes,
    masked_crc32c,
    table_bytes,
    varint_field,
)
from tests.graphs import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_MIB = 450
TARGET = 5.0
GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_FLOAT32, _INT64 = DataType.FLOAT32.number, DataType.INT64.number
_SHAPE = (4, 4)


def make_named(prefix: Path, n_variables: int, seed: int = 0) -> str:
    """Write kernels of 16 elements of as many layers; `seed` changes every tenth checksum."""
    names = [f"tower_{i % 10}/layer_{i // 10}/kernel" for i in range(n_variables)]
    return _make(prefix, names, seed=seed)


def make_objects(prefix: Path, n_variables: int) -> str:
    """Write a model of Keras 3 with Adam as `tf.train.Checkpoint(model, optimizer)` does."""
    if Path(f"{prefix}.index").exists():
        return str(prefix)
    n = (n_variables - 3) // 3
    nodes: list[bytes] = []

    def add(children: Iterable[tuple[str, int]]) -> int:
        fields = (varint_field(1, node) + bytes_field(2, name.encode()) for name, node in children)
        nodes.append(b"".join(bytes_field(1, child) for child in fields))
        return len(nodes) - 1

    def add_variable(full_name: str, path: str) -> int:
        names = b"VARIABLE_VALUE", full_name.encode(), (path + SUFFIX).encode()
        attribute = b"".join(bytes_field(i, name) for i, name in enumerate(names, 1))
        nodes.append(bytes_field(2, attribute) + b"\x2a\x02\x08\x01")
        keys.append(path + SUFFIX)
        return len(nodes) - 1

    keys: list[str] = []
    nodes.append(b"")  # the root, which is put in its place at last
    words = ("kernel", "bias")
    weights = [
        add_variable(f"layer_{i // 2}/{words[i % 2]}", f"model/layer_{i // 2}/{words[i % 2]}")
        for i in range(n)
    ]
    layers = [
        add(zip(words, weights[i : i + 2], strict=False)) for i in range(0, n, 2)
    ]  # fmt: skip
    model = add((f"layer_{i}", layer) for i, layer in enumerate(layers))
    scalars = [
        add_variable(f"adam/{word}", f"optimizer/_{word}")
        for word in ("iterations", "learning_rate")
    ]
    slots = {
        word: [
            add_variable(
                f"adam/layer_{i // 2}_{words[i % 2]}_{word}", f"optimizer/_{listed}/{i}"
            )
            for i in range(n)
        ]
        for word, listed in (("momentum", "momentums"), ("velocity", "velocities"))
    }  # fmt: skip
    pairs = [slot for both in zip(*slots.values(), strict=True) for slot in both]
    lists = {
        "_variables": [*scalars, *pairs],
        "_trainable_variables": weights,
        "_momentums": slots["momentum"],
        "_velocities": slots["velocity"],
    }
    held = {name: add((str(i), one) for i, one in enumerate(of)) for name, of in lists.items()}
    optimizer = add(
        [*held.items(), *zip(("_iterations", "_learning_rate"), scalars, strict=True)]
    )  # fmt: skip
    counter = add_variable("save_counter", "save_counter")
    add((("model", model), ("optimizer", optimizer), ("save_counter", counter)))
    nodes[0] = nodes.pop()
    graph = BundleBuilder()
    graph.add_strings(GRAPH_KEY, [b"".join(bytes_field(1, node) for node in nodes)], ())
    return _make(prefix, keys, graph=graph)


def _make(
    prefix: Path, names: Sequence[str], *, seed: int = 0, graph: BundleBuilder | None = None
) -> str:
    """Write an index, and a shard with nothing in it but the graph."""
    if Path(f"{prefix}.index").exists():
        return str(prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    shard = bytes(graph.shards[0]) if graph is not None else b""
    items = {b"": header_bytes(1)}
    if graph is not None:
        items[GRAPH_KEY.encode()] = graph.items[GRAPH_KEY.encode()]
    offset = len(shard)
    for i, name in enumerate(sorted(names)):
        is_counter = name.endswith(("iterations" + SUFFIX, "save_counter" + SUFFIX))
        is_number = is_counter or name.endswith("learning_rate" + SUFFIX)
        dtype, shape = _INT64 if is_counter else _FLOAT32, () if is_number else _SHAPE
        size = 8 if is_counter else 4 if is_number else 64
        values = bytes(size) if is_number else f"{name}{seed * (i % 10 == 0)}".encode()
        masked = masked_crc32c(values)
        items[name.encode()] = entry_bytes(dtype, shape, offset=offset, size=size, masked=masked)
        offset += size
    Path(f"{prefix}.index").write_bytes(table_bytes(sorted(items.items())))
    with Path(f"{prefix}.data-00000-of-00001").open("wb") as file:
        file.write(shard)
        file.truncate(offset)
    return str(prefix)


def make(folder: Path, *, is_quick: bool = False) -> dict[str, str]:
    """Write all; give the prefixes by what they are called in the table."""
    most, many = (30_000, 21_000) if is_quick else (1_000_000, 100_000)
    return {
        f"{most:,} variables": make_named(folder / f"named_{most}" / "ckpt", most),
        f"{many:,} variables": make_named(folder / f"named_{many}" / "ckpt", many),
        f"{many:,} variables by object": make_objects(folder / f"objects_{many}" / "ckpt", many),
        "next": make_named(folder / f"named_{many}" / "next", many, seed=1),
    }


def compare(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """Write them, and measure what reads the index alone."""
    made = make(folder, is_quick=is_quick)
    other = made.pop("next")
    comparisons = []
    for at, (what, prefix) in enumerate(made.items()):
        commands = {"info": [prefix], "ls --json": [prefix, "--json"]}
        if at:
            commands["tree"] = [prefix]
        if at == 1:
            commands["diff --index-only"] = [prefix, other, "--index-only"]
            commands["runs"] = [str(Path(prefix).parent)]
        for command, words in commands.items():
            ours = python_command("-m", "ckread", command.split()[0], *words)
            theirs = python_command("-c", LIST_VARIABLES, prefix)
            measured = measure_in_turn(ours, theirs, n_ours=3, n_theirs=2, is_quick=is_quick)
            limit = MAX_MIB if command == "info" else math.inf
            comparisons.append(
                Comparison(f"{command}, {what}", *measured, TARGET, "list_variables", limit)
            )
    return comparisons


if __name__ == "__main__":
    make(Path(sys.argv[1]))
