"""SavedModels, `.meta` graphs and V1 against TensorFlow's own protos and reader."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")

from tensorflow.core.framework.variable_pb2 import VariableDef  # noqa: E402
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef  # noqa: E402
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: E402

from ckread.readers.contract import DATA_TYPES, DataType  # noqa: E402
from ckread.readers.graphs.meta_graph import (  # noqa: E402
    VARIABLE_COLLECTIONS,
    read_meta_graph,
    read_saved_model,
)
from ckread.readers.v1.reader import V1Table  # noqa: E402
from tests.places import FIXTURES, REAL, real  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.readers.graphs.meta_graph import MetaGraph
    from ckread.readers.graphs.signatures import TensorInfo


def _found(pattern: str) -> list[Path]:
    return sorted(path for folder in (FIXTURES, REAL) for path in folder.rglob(pattern))


def _name(path: Path) -> str:
    return "/".join(path.parts[-3:])


def _dtype(number: int) -> DataType:
    return DATA_TYPES.get(number, DataType.UNKNOWN)


def _shape(proto: Any) -> tuple[int | None, ...] | None:
    if proto.unknown_rank:
        return None
    return tuple(dim.size if dim.size >= 0 else None for dim in proto.dim)


def _assert_tensors(found: tuple[TensorInfo, ...], proto: Any) -> None:
    assert [one.name for one in found] == sorted(proto)
    for one in found:
        expected = proto[one.name]
        assert one.dtype is _dtype(expected.dtype)
        assert one.shape == _shape(expected.tensor_shape)
        assert one.tensor == expected.name
        assert one.is_sparse == (expected.WhichOneof("encoding") == "coo_sparse")
        assert len(one.components) == len(expected.composite_tensor.components)


def _assert_graph(found: MetaGraph, proto: Any) -> None:
    info = proto.meta_info_def
    assert (found.tags, found.tensorflow_version) == (tuple(info.tags), info.tensorflow_version)
    assert [one.name for one in found.signatures] == sorted(proto.signature_def)
    for one in found.signatures:
        expected = proto.signature_def[one.name]
        assert one.method_name == expected.method_name
        _assert_tensors(one.inputs, expected.inputs)
        _assert_tensors(one.outputs, expected.outputs)
    assert set(found.assets) == {one.filename for one in proto.asset_file_def}
    variables = {
        i: (one.variable.name, _dtype(one.variable.dtype), _shape(one.variable.shape))
        for i, one in enumerate(proto.object_graph_def.nodes)
        if one.WhichOneof("kind") == "variable"
    }
    assert {i: one[:3] for i, one in found.variables.items()} == variables
    flags = {i: proto.object_graph_def.nodes[i].variable.trainable for i in variables}
    assert {i: one.trainable for i, one in found.variables.items()} == flags
    _assert_collections(found, proto)


def _assert_collections(found: MetaGraph, proto: Any) -> None:
    wanted = {name for name in proto.collection_def if name in VARIABLE_COLLECTIONS}
    assert set(found.collections) == wanted
    for name in wanted:
        protos = [
            VariableDef.FromString(one) for one in proto.collection_def[name].bytes_list.value
        ]
        assert [one.name for one in found.collections[name]] == [
            one.variable_name.removesuffix(":0") for one in protos
        ]
        for one, expected in zip(found.collections[name], protos, strict=True):
            assert bool(one.trainable) == expected.trainable
            assert one.is_resource == expected.is_resource
            if expected.HasField("save_slice_info_def"):
                part = expected.save_slice_info_def
                assert one.partition is not None
                assert one.partition.full_name == part.full_name
                assert one.partition.full_shape == tuple(part.full_shape)
                assert one.partition.offset == tuple(part.var_offset)
                assert one.partition.shape == tuple(part.var_shape)
    saver = proto.saver_def
    if proto.HasField("saver_def"):
        assert found.saver is not None
        assert found.saver.max_to_keep == saver.max_to_keep
        assert found.saver.is_sharded == saver.sharded
        assert found.saver.keep_every_n_hours == saver.keep_checkpoint_every_n_hours
        assert found.saver.version == ("legacy", "V1", "V2")[saver.version]


@pytest.mark.parametrize("path", _found("saved_model.pb"), ids=_name)
def test_saved_models_are_read_as_tensorflow_reads_them(path: Path) -> None:
    proto = SavedModel.FromString(path.read_bytes())
    found = read_saved_model(str(path))
    assert len(found.meta_graphs) == len(proto.meta_graphs)
    for graph, expected in zip(found.meta_graphs, proto.meta_graphs, strict=True):
        _assert_graph(graph, expected)


@pytest.mark.parametrize("path", _found("*.meta"), ids=_name)
def test_meta_graphs_are_read_as_tensorflow_reads_them(path: Path) -> None:
    _assert_graph(read_meta_graph(str(path)), MetaGraphDef.FromString(path.read_bytes()))


V1_FILES = [FIXTURES / "tf012_v1/model.ckpt-5", FIXTURES / "tf221_v1/whole/model.ckpt-42"]
V1_FILES += [REAL / path for path in real("V1")]
UNREAD = {"emb/table", "types/half", "types/complex64", "halves", "waves"}
"""What TensorFlow lists and does not read: partitioned, half and complex."""


@pytest.mark.parametrize("path", V1_FILES, ids=_name)
def test_v1_is_read_as_tensorflow_reads_it(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "m.ckpt"  # where no V2 checkpoint of the same name is in the way
    shutil.copy(path, copy)
    reader = tf.train.load_checkpoint(str(copy))
    shapes = reader.get_variable_to_shape_map()
    with V1Table(str(path)) as ours:
        assert {key: list(one.shape) for key, one in ours.tensors.items()} == shapes
        for key in shapes:
            values = ours.read(key)
            if key in UNREAD:
                with pytest.raises(Exception, match="not supported"):
                    reader.get_tensor(key)
                continue
            expected = reader.get_tensor(key)
            if ours.tensors[key].dtype is DataType.STRING:
                expected = np.array(expected, object)
                assert values.reshape(-1).tolist() == expected.reshape(-1).tolist()
            else:
                expected = np.asarray(expected)
                assert (values.dtype, values.tobytes()) == (expected.dtype, expected.tobytes())


def test_v1_values_that_only_we_read_equal_their_v2_twins() -> None:
    v2 = tf.train.load_checkpoint(str(FIXTURES / "tf012_v2/model.ckpt-5"))
    with V1Table(str(FIXTURES / "tf012_v1/model.ckpt-5")) as ours:
        for key in UNREAD & ours.tensors.keys():
            assert ours.read(key).tobytes() == np.asarray(v2.get_tensor(key)).tobytes(), key
