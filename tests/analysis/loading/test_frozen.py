"""What loading would do, told of a module that TensorFlow 2.21 wrote once: no TensorFlow needed.

`module/saved_model.pb` is what `exported` of `test_saved_model` writes; changes are made to it
by protobuf's own classes, which tensorboard has.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ckread.analysis.loading.loading import on_loading
from tests.builders import bytes_field, varint_field
from tests.fuzz.messages import fields_of
from tests.views.golden_files import check_golden

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckread.analysis.loading.records import OnLoading

MODULE = Path(__file__).parent / "module" / "saved_model.pb"
meta_graph = pytest.importorskip("tensorboard.compat.proto.meta_graph_pb2")


def _changed(folder: Path, change: Callable[[Any], None]) -> OnLoading:
    [data] = [value for number, _, value in fields_of(MODULE.read_bytes()) or [] if number == 2]
    graph = meta_graph.MetaGraphDef.FromString(data)
    change(graph)
    model = varint_field(1, 1) + bytes_field(2, graph.SerializeToString(deterministic=True))
    (folder / "saved_model.pb").write_bytes(model)
    return on_loading(folder / "saved_model.pb")


def _nothing(_: Any) -> None:
    """Leave it as it is."""


def _dead_function(graph: Any) -> None:
    function = graph.graph_def.library.function.add()
    function.signature.name = "nobody_calls_me"
    function.node_def.add(name="w", op="WriteFile", input=["p", "p"])
    function.node_def.add(name="p", op="Const").attr["value"].tensor.string_val.append(b"x\n")


def _initializer(graph: Any) -> None:
    nodes = graph.graph_def.node
    nodes.add(name="p", op="Const").attr["value"].tensor.string_val.extend([b"/tmp/z", b"/tmp/y"])
    nodes.add(name="evil", op="WriteFile", input=["p", "p"])
    for name, signature in graph.signature_def.items():
        for output in signature.outputs.values() if "init" in name else ():
            [node] = [n for n in nodes if n.name == output.name.split(":")[0]]
            node.input.append("^evil")


def _own_operation(graph: Any) -> None:
    nodes = graph.graph_def.node
    output = next(iter(graph.signature_def["serve"].outputs.values())).name.split(":")[0]
    nodes.add(name="mine", op="MyOwnOp")
    told = nodes.add(name="log", op="PrintV2", input=["mine"])
    told.attr["output_stream"].s = b"file:///tmp/log"
    [node] = [n for n in nodes if n.name == output]
    node.input.extend(["^mine", "^log"])


def _sparse_output(graph: Any) -> None:
    """Let an output be of parts, each a node that something is read by."""
    nodes = graph.graph_def.node
    for name in ("values", "indices"):
        nodes.add(name=f"{name}_path", op="Const").attr["value"].tensor.string_val.append(
            b"/" + name.encode()
        )
        nodes.add(name=name, op="ReadFile", input=[f"{name}_path"])
    parts = graph.signature_def["serve"].outputs["parts"].coo_sparse
    parts.values_tensor_name, parts.indices_tensor_name = "values:0", "indices:0"


def _no_objects(graph: Any) -> None:
    graph.ClearField("object_graph_def")


def _no_signatures(graph: Any) -> None:
    graph.signature_def.clear()


def _queue(graph: Any) -> None:
    queue = graph.collection_def["queue_runners"].bytes_list
    queue.value.append(b"\n\x01q\x12\x04read")
    graph.graph_def.node.add(name="read", op="ReadFile", input=["path"])
    graph.graph_def.node.add(name="path", op="Placeholder")


CHANGES = (
    _nothing, _dead_function, _initializer, _own_operation, _sparse_output, _no_objects,
    _no_signatures, _queue,
)  # fmt: skip


def test_what_is_told_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = []
    for change in CHANGES:
        found = _changed(Path(), change)
        facts = [json.dumps(fact, ensure_ascii=False) for fact in found.to_dict().pop("facts")]
        rest = {name: value for name, value in found.to_dict().items() if name != "facts"}
        blocks.append(
            "\n".join([change.__name__, "", *facts, json.dumps(rest), "", str(found), ""])
        )
    check_golden("loads_of_a_module.txt", "\n".join(blocks))
