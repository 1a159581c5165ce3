"""Section 8, object graph: cycles, crowds, depth and lies; names and views come of all of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckread.cli.main import main
from ckread.model.opening import open_checkpoint
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType
from ckread.readers.files import file_identity
from ckread.readers.graphs.object_graph import parse_object_graph
from tests.builders import BundleBuilder, bytes_field, header_bytes, table_bytes, varint_field
from tests.hazards.bounded import refused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ckread.readers.contract import FileIdentity

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
MAX_SECONDS = 60  # of CPU; each takes one or two


def _node(children: Iterable[tuple[int, str]] = (), key: str = "", slots: bytes = b"") -> bytes:
    parts = b"".join(
        bytes_field(1, varint_field(1, node) + bytes_field(2, name.encode()))
        for node, name in children
    )
    if key:
        value = bytes_field(1, b"VARIABLE_VALUE") + bytes_field(3, key.encode())
        parts += bytes_field(2, value)
    return bytes_field(1, parts + slots)


def _chain(depth: int, name: str) -> list[bytes]:
    return [*(_node([(i + 1, name)]) for i in range(depth)), _node(key="a" + SUFFIX)]


def _crowd(count: int) -> list[bytes]:
    return [
        _node([(i + 1, f"x{i}") for i in range(count)]),
        *(_node(key="a" + SUFFIX) for _ in range(count)),
    ]


A = _node(key="a" + SUFFIX)
HOSTILE: dict[str, list[bytes]] = {
    "a node that is its own child": [_node([(0, "self"), (1, "a")]), A],
    "a ring": [_node([(1, "next")]), _node([(2, "next"), (0, "back")]), _node([(3, "a")]), A],
    "one name for two children": [_node([(1, "a"), (2, "a")]), A, _node(key="b" + SUFFIX)],
    "a key that is not stored": [_node([(1, "a")]), _node(key="nowhere" + SUFFIX)],
    "a key twice": [_node([(1, "a"), (2, "b")]), A, A],
    "a child that does not exist": [_node([(7, "a")])],
    "a child below nought": [_node([(-1, "a")])],
    "a slot of nothing": [
        _node([(1, "a")], slots=bytes_field(3, varint_field(1, 9) + varint_field(3, 9))), A
    ],
    "no node": [],
    "a chain of 20,000": _chain(20_000, "next"),
    "a chain of long names": _chain(3000, "n" * 2000),
    "a crowd of 20,000": _crowd(20_000),
    "names that lead out": [_node([(1, "../../etc")]), A],
    "empty names": [_node([(1, ""), (2, "")]), A, A],
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_graphs_that_lie(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the graph is of no use, the keys are."""
    builder = BundleBuilder()
    for key in "ab":
        builder.add(key + SUFFIX, np.ones(3, np.float32), DataType.FLOAT32)
    builder.add_strings(GRAPH, [b"".join(HOSTILE[kind])], ())
    prefix = builder.write(tmp_path / "m")
    start = time.process_time()
    with open_checkpoint(prefix) as checkpoint:
        names = {one.key: name for name, one in checkpoint.items()}
        assert set(names) == {"a" + SUFFIX, "b" + SUFFIX, GRAPH}
        assert all(len(name) < 10_000 for name in names.values())
        for one in checkpoint.values():
            assert one.numpy() is not None
            one.to_dict()
    for command in ("info", "ls", "tree"):
        assert main([command, prefix]) == 0
        assert main([command, prefix, "--json"]) == 0
    assert time.process_time() - start < MAX_SECONDS
    captured = capsys.readouterr()
    assert all(line.isprintable() for line in (captured.out + captured.err).splitlines())


def test_the_nearest_legal_graph(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("a" + SUFFIX, np.ones(3, np.float32), DataType.FLOAT32)
    graph = _node([(1, "layer")]) + _node([(2, "kernel"), (0, "parent")]) + A
    builder.add_strings(GRAPH, [graph], ())
    with open_checkpoint(builder.write(tmp_path / "m")) as checkpoint:
        assert not checkpoint.warnings
        assert checkpoint["kernel"].key == "a" + SUFFIX


def test_objects_are_bounded_by_the_tensors_there_are() -> None:
    """Half a million of them are five megabytes, and took 280 MB and four seconds."""
    node = bytes_field(1, bytes_field(1, varint_field(1, 1) + bytes_field(2, b"x")))
    message = refused(lambda: parse_object_graph(node * 70_000, 2))
    assert message == "70,000 objects for 2 tensors, expected 65,568 at most"
    message = refused(lambda: parse_object_graph(bytes_field(1, bytes(5 << 20)), 2))
    assert message == "5,242,885 bytes for 2 tensors, expected 4,202,496 at most"
    assert len(parse_object_graph(node * 70_000, 1000).nodes) == 70_000


def test_shards_that_are_claimed_and_not_there_cost_one_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.index").write_bytes(table_bytes([(b"", header_bytes(65_536))]))
    (tmp_path / "m.data-00007-of-65536").write_bytes(b"1234")
    looks: list[str] = []

    def look(path: str) -> FileIdentity | None:
        looks.append(path)
        return file_identity(path)

    monkeypatch.setattr("ckread.readers.bundle.layout.file_identity", look)
    with TensorBundle(str(tmp_path / "m")) as bundle:
        files = bundle.files()
    assert [file.nbytes for file in files if file.is_shard and file.nbytes is not None] == [4]
    assert len(files) == 65_537
    assert [path for path in looks if "data" in path] == [f"{tmp_path}/m.data-00007-of-65536"]
