"""`saved_model.pb` and `.meta` from hand-made bytes: what is told, and what is refused."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from ckread.errors import CorruptCheckpointError, NotACheckpointError, TruncatedFileError
from ckread.readers.contract import DataType
from ckread.readers.graphs.meta_graph import (
    Partition,
    Saver,
    VariableDef,
    _parse_saver,
    initializer_kind,
    parse_variable_def,
    read_meta_graph,
    read_saved_model,
)
from ckread.readers.graphs.signatures import SavedVariable, parse_partial_shape, parse_tensor_info
from tests.builders import bytes_field, shape_bytes, varint_field

if TYPE_CHECKING:
    from pathlib import Path

INFO = bytes_field(4, b"serve") + bytes_field(5, b"2.21.0")
TENSOR = bytes_field(1, b"x:0") + varint_field(2, 1) + bytes_field(3, shape_bytes([-1, 8]))
SIGNATURE = bytes_field(1, bytes_field(1, b"digit") + bytes_field(2, TENSOR))
SIGNATURE += bytes_field(2, bytes_field(1, b"out") + bytes_field(2, varint_field(2, 9)))
SIGNATURE += bytes_field(3, b"predict")
VARIABLE = varint_field(1, 1) + bytes_field(2, shape_bytes([3])) + varint_field(3, 1)
VARIABLE += bytes_field(6, b"w:0")
OBJECTS = bytes_field(1, b"") + bytes_field(1, bytes_field(7, VARIABLE)) + bytes_field(2, b"\1" * 9)
ASSET = bytes_field(2, b"vocabulary.txt")


def _entry(key: bytes, value: bytes) -> bytes:
    return bytes_field(1, key) + bytes_field(2, value)


def _variable_def(name: bytes, *, trainable: bool = True, more: bytes = b"") -> bytes:
    flag = varint_field(7, int(trainable))
    return (
        bytes_field(1, name + b":0")
        + bytes_field(6, name + b"/Initializer/zeros_1:0")
        + flag
        + more
    )


def _collection(name: bytes, *variables: bytes) -> bytes:
    members = b"".join(bytes_field(1, variable) for variable in variables)
    return bytes_field(4, _entry(name, bytes_field(2, members)))


META = b"".join(
    [
        bytes_field(1, INFO),
        bytes_field(2, b"\xff" * 1000),  # a graph that is never looked at
        bytes_field(3, varint_field(4, 5) + varint_field(5, 1) + varint_field(7, 2)),
        bytes_field(5, _entry(b"serving_default", SIGNATURE)),
        bytes_field(5, _entry(b"__saved_model_init_op", b"")),
        bytes_field(6, ASSET),
        bytes_field(7, OBJECTS),
    ]
)


def _saved_model(path: Path, *graphs: bytes) -> str:
    path.write_bytes(varint_field(1, 1) + b"".join(bytes_field(2, graph) for graph in graphs))
    return str(path)


def test_what_a_saved_model_tells(tmp_path: Path) -> None:
    found = read_saved_model(_saved_model(tmp_path / "saved_model.pb", META))
    assert (found.tags, found.tensorflow_version) == (("serve",), "2.21.0")
    assert found.assets == ("vocabulary.txt",)
    assert dict(found.variables) == {1: SavedVariable("w:0", DataType.FLOAT32, (3,), True)}
    [signature] = found.signatures
    assert (signature.name, signature.method_name) == ("serving_default", "predict")
    [given], [gives] = signature.inputs, signature.outputs
    assert (given.name, given.dtype, given.shape) == ("digit", DataType.FLOAT32, (None, 8))
    assert (gives.name, gives.dtype, gives.shape) == ("out", DataType.INT64, ())
    internal = [one.name for one in found.meta_graph.signatures if one.is_internal]
    assert internal == ["__saved_model_init_op"]


def test_fields_of_a_later_saved_model_are_no_graphs(tmp_path: Path) -> None:
    """Told by their number and by how they are written."""
    path = tmp_path / "saved_model.pb"
    path.write_bytes(bytes_field(9, META) + varint_field(2, 5) + bytes_field(2, META))
    assert [graph.tags for graph in read_saved_model(str(path)).meta_graphs] == [("serve",)]


def test_fields_of_a_later_saver_and_of_a_later_shape_are_passed_over() -> None:
    """They are told by their number and by how they are written."""
    later_float = b"\x4d" + struct.pack("<f", 9.0)  # field 9
    saver = varint_field(4, 5) + b"\x35" + struct.pack("<f", 2.5) + later_float + varint_field(6, 1)
    assert _parse_saver(saver) == Saver("legacy", 5, False, 2.5)
    shape = bytes_field(9, varint_field(1, 4)) + bytes_field(2, varint_field(1, 8))
    assert parse_partial_shape(shape, (0, len(shape))) == (8,)


def test_the_graph_for_serving_comes_first(tmp_path: Path) -> None:
    train = bytes_field(1, bytes_field(4, b"train"))
    found = read_saved_model(_saved_model(tmp_path / "saved_model.pb", train, META))
    assert found.tags == ("serve",)
    assert [graph.tags for graph in found.meta_graphs] == [("train",), ("serve",)]


def test_a_huge_graph_is_skipped(tmp_path: Path) -> None:
    graph = bytes_field(2, b"\xff" * (8 << 20))
    path = _saved_model(tmp_path / "saved_model.pb", graph + META + graph)
    assert read_saved_model(path).tags == ("serve",)


def test_what_a_meta_graph_tells(tmp_path: Path) -> None:
    slices = bytes_field(1, b"emb") + bytes_field(2, b"\x64\x08") + bytes_field(3, b"\x22\x00")
    part = _variable_def(b"emb/part_1", more=bytes_field(4, slices + bytes_field(4, b"\x21\x08")))
    frozen = _variable_def(b"frozen", trainable=False)
    path = tmp_path / "model.meta"
    path.write_bytes(
        META
        + _collection(b"variables", part, frozen, _variable_def(b"step", trainable=False))
        + _collection(b"trainable_variables", part)
        + _collection(b"global_step", _variable_def(b"step"))
        + bytes_field(4, _entry(b"cond_context", b"\xff\xff"))
    )
    found = read_meta_graph(str(path))
    assert found.saver is not None
    assert (found.saver.version, found.saver.max_to_keep, found.saver.is_sharded) == ("V2", 5, True)
    assert found.global_step == "step"
    assert [one.name for one in found.collections["trainable_variables"]] == ["emb/part_1"]
    [emb, *_] = found.collections["variables"]
    partition = Partition("emb", (100, 8), (34, 0), (33, 8))
    assert emb == VariableDef("emb/part_1", "zeros", True, partition=partition)
    assert emb.key == "emb"
    assert "cond_context" not in found.collections


def test_a_global_step_that_is_a_node(tmp_path: Path) -> None:
    path = tmp_path / "model.meta"
    nodes = bytes_field(1, bytes_field(1, b"global_step:0"))
    path.write_bytes(bytes_field(4, _entry(b"global_step", nodes)))
    assert read_meta_graph(str(path)).global_step == "global_step"


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [("w/Initializer/zeros:0", "zeros"), ("truncated_normal_3:0", "truncated_normal"), ("", "")],
)
def test_the_kind_of_an_initializer(tensor: str, kind: str) -> None:
    assert initializer_kind(tensor) == kind


def test_an_unknown_rank_and_a_composite() -> None:
    unknown = varint_field(2, 1) + bytes_field(3, varint_field(3, 1))
    ragged = bytes_field(5, bytes_field(2, unknown) * 2)
    info = parse_tensor_info("x", ragged, (0, len(ragged)))
    assert info.dtype is DataType.UNKNOWN
    assert [(one.dtype, one.shape) for one in info.components] == [(DataType.FLOAT32, None)] * 2


def _nested(depth: int) -> bytes:
    info = varint_field(2, 1)
    for _ in range(depth):
        info = bytes_field(5, bytes_field(2, info))
    return info


def test_composites_nest_at_most_100_deep() -> None:
    legal = _nested(99)
    assert parse_tensor_info("x", legal, (0, len(legal))).components
    hostile = _nested(100)
    with pytest.raises(CorruptCheckpointError) as caught:
        parse_tensor_info("x", hostile, (0, len(hostile)))
    assert str(caught.value) == "composite tensors: more than 100 levels"


def test_no_graph_in_it(tmp_path: Path) -> None:
    with pytest.raises(NotACheckpointError) as caught:
        read_saved_model(_saved_model(tmp_path / "saved_model.pb"))
    assert str(caught.value) == "saved_model.pb: no graph in it, expected a SavedModel"


def test_another_schema(tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pb"
    path.write_bytes(varint_field(1, 2) + bytes_field(2, META))
    with pytest.raises(CorruptCheckpointError) as caught:
        read_saved_model(str(path))
    assert str(caught.value) == "saved_model.pb: byte 0: schema version 2, expected 1"


def test_a_field_that_runs_past_the_file(tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pb"
    path.write_bytes(b"\x08\x01\x12\x7f" + META[:20])
    with pytest.raises(TruncatedFileError) as caught:
        read_saved_model(str(path))
    found = "a field that ends at byte 131, its message ends at byte 24"
    assert str(caught.value) == f"saved_model.pb: byte 2: {found}"


def test_an_oversized_message(tmp_path: Path) -> None:
    big = 65 << 20
    inner = b"\x0a" + _varint(big)
    path = tmp_path / "model.meta"
    with path.open("wb") as file:
        file.write(b"\x3a" + _varint(len(inner) + big) + inner)
        start = file.tell()
        file.truncate(start + big)
    with pytest.raises(CorruptCheckpointError) as caught:
        read_meta_graph(str(path))
    found = f"an object: {big:,} bytes, expected at most {64 << 20:,}"
    assert str(caught.value) == f"model.meta: byte {start}: {found}"


def _varint(value: int) -> bytes:
    return varint_field(1, value)[1:]


def test_every_truncation_and_flip_is_ours_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "saved_model.pb"
    small = META.replace(b"\xff" * 1000, b"").replace(b"\x12\xe8\x07", b"\x12\x00")
    whole = varint_field(1, 1) + bytes_field(2, small)
    for at in range(len(whole)):
        for mask in (0x80, 0x01, 0x3F):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :])
            _harmless(path)
        path.write_bytes(whole[:at])
        _harmless(path)


def _harmless(path: Path) -> None:
    try:
        read_saved_model(str(path))
    except (CorruptCheckpointError, NotACheckpointError) as error:
        assert error.path == str(path)  # noqa: PT017


def test_fields_of_a_variable_that_are_of_another_type_tell_nothing() -> None:
    plain = bytes_field(1, b"w:0")
    assert parse_variable_def(plain, (0, len(plain))).trainable is None
    for more in (bytes_field(7, b"\1"), bytes_field(5, b"\1"), varint_field(2, 1)):
        found = parse_variable_def(plain + more, (0, len(plain + more)))
        assert (found.name, found.trainable, found.is_resource) == ("w", None, False)
    told = plain + varint_field(5, 1) + varint_field(7, 1)
    found = parse_variable_def(told, (0, len(told)))
    assert (found.trainable, found.is_resource) == (True, True)


def test_layers_of_keras_tell_of_themselves_and_metrics_do_not(tmp_path: Path) -> None:
    nodes = b""
    for identifier in (b"_tf_keras_layer", b"_tf_keras_metric", b"trackable_list_wrapper"):
        user = bytes_field(1, identifier) + bytes_field(3, b'{"name": "a"}')
        nodes += bytes_field(1, bytes_field(4, user))
    meta = bytes_field(1, INFO) + bytes_field(7, nodes)
    found = read_saved_model(_saved_model(tmp_path / "saved_model.pb", meta))
    assert dict(found.meta_graph.keras_layers) == {0: '{"name": "a"}'}
