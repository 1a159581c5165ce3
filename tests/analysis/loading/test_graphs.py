"""What leads to an operation, and where its path comes from: graphs written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from ckread.analysis.loading.loading import of_checkpoint, on_loading
from ckread.analysis.loading.records import KINDS, LoadFact, What
from tests.builders import bytes_field, varint_field, write_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ckread.analysis.loading.records import OnLoading


class Func(NamedTuple):
    """An attribute that names a function."""

    name: str


class Texts(NamedTuple):
    """An attribute that is a list of texts."""

    texts: tuple[str, ...]


def text(number: int, value: str) -> bytes:
    return bytes_field(number, value.encode())


def entry(key: str, value: bytes) -> bytes:
    return text(1, key) + bytes_field(2, value)


def attribute(value: str | Func | Texts) -> bytes:
    if isinstance(value, Func):
        return bytes_field(10, text(1, value.name))
    if isinstance(value, Texts):
        return bytes_field(1, b"".join(text(2, one) for one in value.texts))
    return text(2, value)


def node(name: str, op: str, *inputs: str, **attributes: str | Func | Texts) -> bytes:
    data = text(1, name) + text(2, op) + b"".join(text(3, one) for one in inputs)
    return data + b"".join(
        bytes_field(5, entry(key, attribute(value))) for key, value in attributes.items()
    )


def const(name: str, *values: str) -> bytes:
    strings = bytes_field(8, b"".join(text(8, one) for one in values))
    return text(1, name) + text(2, "Const") + bytes_field(5, entry("value", strings))


def function(name: str, arguments: Sequence[str], *nodes: bytes) -> bytes:
    declared = text(1, name) + b"".join(bytes_field(2, text(1, one)) for one in arguments)
    return bytes_field(1, declared) + b"".join(bytes_field(3, one) for one in nodes)


class Object(NamedTuple):
    """An object of a SavedModel."""

    children: Mapping[str, int] = {}
    functions: tuple[str, ...] = ()
    asset: int | None = None
    constant: str = ""
    saver: int | None = None

    def encoded(self) -> bytes:
        data = b"".join(
            bytes_field(1, varint_field(1, child) + text(2, name))
            for name, child in self.children.items()
        )
        if self.asset is not None:
            data += bytes_field(5, varint_field(1, self.asset))
        if self.functions:
            data += bytes_field(6, b"".join(text(1, one) for one in self.functions))
        if self.constant:
            data += bytes_field(9, text(1, self.constant))
        if self.saver is not None:
            data += bytes_field(11, entry("s", varint_field(2, self.saver)))
        return data


def graph(
    nodes: Sequence[bytes] = (),
    functions: Sequence[bytes] = (),
    *,
    signatures: Mapping[str, str] | None = None,
    objects: Sequence[Object] = (),
    bound: Mapping[str, tuple[int, ...]] | None = None,
    assets: Mapping[str, str] | None = None,
    savers: Sequence[str] = (),
) -> bytes:
    """Encode a MetaGraphDef."""
    library = bytes_field(2, b"".join(bytes_field(1, one) for one in functions))
    data = bytes_field(2, b"".join(bytes_field(1, one) for one in nodes) + library)
    if savers:
        data += bytes_field(3, b"".join(text(i, one) for i, one in enumerate(savers, 1)))
    for name, output in (signatures or {}).items():
        data += bytes_field(5, entry(name, bytes_field(2, entry("y", text(1, output)))))
    for tensor, file in (assets or {}).items():
        data += bytes_field(6, bytes_field(1, text(1, tensor)) + text(2, file))
    held = b"".join(bytes_field(1, one.encoded()) for one in objects)
    for name, ids in (bound or {}).items():
        held += bytes_field(2, entry(name, b"".join(varint_field(2, one) for one in ids)))
    return data + bytes_field(7, held)


def told(folder: Path, *args: Any, **parts: Any) -> OnLoading:
    path = folder / "saved_model.pb"
    path.write_bytes(varint_field(1, 1) + bytes_field(2, graph(*args, **parts)))
    return on_loading(path)


def of_meta(folder: Path, *args: Any, **parts: Any) -> OnLoading:
    (folder / "model.meta").write_bytes(graph(*args, **parts))
    return on_loading(folder / "model.meta")


ARGUMENTS = {
    "WriteFile": "PATH contents",
    "SaveDataset": "input_dataset PATH shard_func_other_args",
    "SaveDatasetV2": "input_dataset PATH shard_func_other_args",
    "DistributedSave": "dataset PATH address",
    "DatasetToTFRecord": "input_dataset PATH compression_type",
    "ExperimentalDatasetToTFRecord": "input_dataset PATH compression_type",
    "SnapshotDataset": "input_dataset PATH",
    "SnapshotDatasetV2": "input_dataset PATH reader_func_other_args shard_func_other_args",
    "CreateSummaryFileWriter": "writer PATH max_queue flush_millis filename_suffix",
    "CreateSummaryDbWriter": "writer PATH experiment_name run_name user_name",
    "ReadFile": "PATH",
    "MatchingFiles": "PATH",
    "TextLineDataset": "PATH compression_type buffer_size",
    "TFRecordDataset": "PATH compression_type buffer_size",
    "TFRecordDatasetV2": "PATH compression_type buffer_size byte_offsets",
    "FixedLengthRecordDataset": "PATH header_bytes record_bytes footer_bytes buffer_size",
    "FixedLengthRecordDatasetV2": "PATH header_bytes record_bytes footer_bytes buffer_size",
    "CSVDataset": "PATH compression_type buffer_size header field_delim",
    "CSVDatasetV2": "PATH compression_type buffer_size header field_delim",
    "ExperimentalCSVDataset": "PATH compression_type buffer_size header field_delim",
    "LMDBDataset": "PATH",
    "ExperimentalLMDBDataset": "PATH",
    "SqlDataset": "driver_name PATH query",
    "ExperimentalSqlDataset": "driver_name PATH query",
    "MatchingFilesDataset": "PATH",
    "ExperimentalMatchingFilesDataset": "PATH",
    "InitializeTableFromTextFile": "table_handle PATH",
    "InitializeTableFromTextFileV2": "table_handle PATH",
    "LoadDataset": "PATH reader_func_other_args",
    "LoadAndRemapMatrix": "PATH old_tensor_name row_remapping col_remapping initializing_values",
    "GenerateVocabRemapping": "PATH old_vocab_file",
    "SnapshotDatasetReader": "PATH start_index",
    "CacheDataset": "input_dataset PATH",
    "CacheDatasetV2": "input_dataset PATH cache",
    "SaveV2": "PATH tensor_names shape_and_slices tensors",
    "Save": "PATH tensor_names data",
    "SaveSlices": "PATH tensor_names shapes_and_slices data",
    "MergeV2Checkpoints": "checkpoint_prefixes PATH",
    "Restore": "PATH tensor_name",
    "RestoreV2": "PATH tensor_names shape_and_slices",
    "RestoreSlice": "PATH tensor_name shape_and_slice",
    "DTensorRestoreV2": "PATH tensor_names shape_and_slices",
}
"""What operations take, as TensorFlow 2.21 declares it; which of it is a path."""
ATTRIBUTES = {
    "ImmutableConst": "memory_region_name",
    "DumpTensor": "log_dir_path",
    "CalibrationStatisticsSaver": "output_file_path",
    "DebugIdentity": "debug_urls",
    "DebugIdentityV2": "debug_urls",
    "DebugIdentityV3": "debug_urls",
    "DebugNanCount": "debug_urls",
    "DebugNumericSummary": "debug_urls",
}
"""Operations that are told where to by an attribute, likewise."""
WITHOUT_PATH = {
    "WholeFileReader", "WholeFileReaderV2", "TextLineReader", "TextLineReaderV2",
    "TFRecordReader", "TFRecordReaderV2", "FixedLengthRecordReader", "FixedLengthRecordReaderV2",
    "LMDBReader", "SnapshotNestedDatasetReader",
}  # fmt: skip
READING = ("Restore", "RestoreV2", "RestoreSlice", "DTensorRestoreV2")


def test_all_that_reads_or_writes_is_tried() -> None:
    files = {op for op, what in KINDS.items() if what in (What.READS_FILES, What.WRITES_FILES)}
    assert files <= ARGUMENTS.keys() | ATTRIBUTES.keys() | WITHOUT_PATH


@pytest.mark.parametrize("op", ARGUMENTS)
def test_which_input_is_the_path(op: str, tmp_path: Path) -> None:
    words = ARGUMENTS[op].split()
    nodes = [const(word, f"/{word}") for word in words]
    found = told(tmp_path, [*nodes, node("does", op, *words)], signatures={"serve": "does:0"})
    reads = KINDS.get(op) is What.READS_FILES or op in READING
    what, to = (What.READS_FILES, "at") if reads else (What.WRITES_FILES, "to")
    expected = LoadFact(
        what, "signature serve", "signature", ("does",), op, f'{to} "/PATH"', ("/PATH",)
    )
    assert found.facts == (expected,)
    assert (found.kind, found.n_nodes, found.n_signatures) == ("saved-model", len(words) + 1, 1)


@pytest.mark.parametrize("op", ATTRIBUTES)
@pytest.mark.parametrize("is_said", [True, False])
def test_which_attribute_is_the_path(op: str, is_said: bool, tmp_path: Path) -> None:
    value = Texts(("file:///a", "/b")) if op.startswith("Debug") else "file:///a, /b"
    attributes: dict[str, Any] = {"other": "no", ATTRIBUTES[op]: value} if is_said else {}
    nodes = [const("data", "/never"), node("does", op, "data", **attributes)]
    [fact] = told(tmp_path, nodes, signatures={"serve": "does"}).facts
    reads = op == "ImmutableConst"
    assert fact.what is (What.READS_FILES if reads else What.WRITES_FILES)
    to = "at" if reads else "to"
    where = '"file:///a, /b"' if is_said else "a path that is computed"
    assert fact.detail == f"{to} {where}"
    assert fact.constants == (("file:///a, /b",) if is_said else ())


@pytest.mark.parametrize(
    ("op", "what", "detail"),
    [
        ("PyFunc", What.RUNS_PYTHON, "a function of the saving process"),
        ("EagerPyFunc", What.RUNS_PYTHON, "a function of the saving process"),
        ("RpcCall", What.NETWORK, ""),
        ("Print", What.PRINTS, ""),
        ("PrintV2", What.PRINTS, ""),
        ("MyOwn", What.CUSTOM_OP, ""),
        ("WholeFileReaderV2", What.READS_FILES, "at a path that is computed"),
    ],
)
def test_what_takes_no_path(op: str, what: What, detail: str, tmp_path: Path) -> None:
    found = told(tmp_path, [node("n", op, "x"), const("x", "/x")], signatures={"serve": "n:0"})
    if op == "WholeFileReaderV2":  # it takes nothing
        found = told(tmp_path, [node("n", op)], signatures={"serve": "n:0"})
    expected = LoadFact(what, "signature serve", "signature", ("n",), op, detail)
    assert found.facts == (expected,)


@pytest.mark.parametrize(
    ("stream", "what", "detail", "constants"),
    [
        ("file:///tmp/x", What.WRITES_FILES, 'to "file:///tmp/x"', ("file:///tmp/x",)),
        ("stderr", What.PRINTS, "", ()),
    ],
)
def test_where_it_prints_to(
    stream: str, what: What, detail: str, constants: tuple[str, ...], tmp_path: Path
) -> None:
    nodes = [const("x", "/x"), node("p", "PrintV2", "x", output_stream=stream)]
    expected = LoadFact(what, "signature serve", "signature", ("p",), "PrintV2", detail, constants)
    assert told(tmp_path, nodes, signatures={"serve": "p"}).facts == (expected,)


SOURCES: dict[str, tuple[list[bytes], str, str]] = {
    "a constant": ([const("p", "/a")], "p:0", 'at "/a"'),
    "two constants": ([const("p", "/a", "/b")], "p", 'at "/a, /b"'),
    "handed on": (
        [const("c", "/a"), node("r", "Reshape", "c", "s"), node("p", "Identity", "r:0")],
        "p", 'at "/a"',
    ),
    "what is given": ([node("p", "Placeholder")], "p", "at a path from the input"),
    "what may be given": (
        [node("p", "PlaceholderWithDefault", "c"), const("c", "/a")], "p",
        "at a path from the input",
    ),
    "computed": (
        [node("p", "StringJoin", "c"), const("c", "/a")], "p", "at a path that is computed",
    ),
    "handed on by nothing": ([node("p", "Identity")], "p", "at a path that is computed"),
    "nothing of this name": ([], "p", "at a path that is computed"),
    "no text": ([node("p", "Const")], "p", "at a path that is computed"),
    "a circle": (
        [node("p", "Identity", "q"), node("q", "Identity", "p")], "p",
        "at a path that is computed",
    ),
    "a variable": (
        [
            node("h", "VarHandleOp"), node("p", "ReadVariableOp", "h"), const("c", "/v"),
            node("a", "AssignVariableOp", "h", "c"), node("b", "AssignVariableOp", "other", "z"),
        ],
        "p", 'at "/v"',
    ),
    "a variable that is assigned twice": (
        [
            node("h", "VarHandleOp"), node("p", "ReadVariableOp", "h"), const("c", "/v"),
            node("a", "AssignVariableOp", "h", "c"), node("b", "AssignVariableOp", "h", "c"),
        ],
        "p", "at a path that is computed",
    ),
    "after another": ([node("z", "NoOp"), const("p", "/a")], "^z p", 'at "/a"'),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_where_a_path_comes_from(source: str, tmp_path: Path) -> None:
    nodes, inputs, detail = SOURCES[source]
    read = node("read", "ReadFile", *inputs.split())
    [fact] = told(tmp_path, [*nodes, read], signatures={"serve": "read:0"}).facts
    assert (fact.what, fact.op, fact.detail) == (What.READS_FILES, "ReadFile", detail)
    assert fact.constants == ((detail[4:-1],) if '"' in detail else ())
    # In a function that is called, the same; what is not in it is not looked for outside.
    called = function("f", [], *nodes, read)
    call = node("call", "StatefulPartitionedCall", f=Func("f"))
    [inside] = told(
        tmp_path, [const("p2", "/z"), call], [called], signatures={"serve": "call"}
    ).facts
    assert (inside.detail, inside.place) == (detail, ("f", "read"))


CALLS = {
    "PartitionedCall": 0, "StatefulPartitionedCall": 0, "If": 1, "StatelessIf": 1, "Case": 1,
    "StatelessCase": 1, "While": 0, "StatelessWhile": 0,
}  # fmt: skip
"""At which input the arguments of the functions begin: `cond` and `branch_index` come before."""


@pytest.mark.parametrize("op", CALLS)
def test_an_argument_is_what_it_is_called_with(op: str, tmp_path: Path) -> None:
    inner = function("g", ["a", "b"], node("read", "ReadFile", "b"))
    given = [*(["first"] * CALLS[op]), "x", "^y", "y"]
    middle = function("f", ["y"], const("x", "/x"), node("call", op, *given, f=Func("g")))
    nodes = [const("path", "/path"), node("top", "PartitionedCall", "^path", "path", f=Func("f"))]
    found = told(tmp_path, nodes, [middle, inner], signatures={"serve": "top"})
    assert found.facts == (
        LoadFact(
            What.READS_FILES, "signature serve", "signature", ("f", "g", "read"), "ReadFile",
            'at "/path"', ("/path",),
        ),
    )  # fmt: skip
    assert (found.reached, found.by_object, found.unreached, found.n_nodes) == (2, 0, 0, 5)


def test_a_function_may_be_called_by_its_name_or_by_what_is_not_known(tmp_path: Path) -> None:
    inner = function("g", ["a"], node("read", "ReadFile", "a"))
    nodes = [const("path", "/path"), node("top", "g", "path")]
    [fact] = told(tmp_path, nodes, [inner], signatures={"serve": "top"}).facts
    assert (fact.detail, fact.place) == ('at "/path"', ("g", "read"))
    nodes[1] = node("top", "MapDataset", "path", "path", f=Func("g"))
    [fact] = told(tmp_path, nodes, [inner], signatures={"serve": "top"}).facts
    assert fact.detail == "at a path that is computed"
    nodes[1] = node("top", "PartitionedCall", f=Func("g"))
    [fact] = told(tmp_path, nodes, [inner], signatures={"serve": "top"}).facts
    assert fact.detail == "at a path that is computed"


def test_a_long_chain_of_calls_is_told_by_its_ends(tmp_path: Path) -> None:
    for n, whole in ((16, True), (17, False)):
        functions = [
            function(f"f{i}", ["a"], node("call", "PartitionedCall", "a", f=Func(f"f{i + 1}")))
            for i in range(n - 1)
        ]
        functions.append(function(f"f{n - 1}", ["a"], node("read", "ReadFile", "a")))
        nodes = [const("p", "/p"), node("top", "PartitionedCall", "p", f=Func("f0"))]
        [fact] = told(tmp_path, nodes, functions, signatures={"serve": "top"}).facts
        names = [f"f{i}" for i in range(n)]
        expected = names if whole else [*names[:8], "…", *names[-8:]]
        assert fact.place == (*expected, "read")
        assert fact.constants == ("/p",)


def test_an_asset_is_its_own(tmp_path: Path) -> None:
    """A table is read from a file of the model itself: counted, not told."""
    init = node("init", "InitializeTableFromTextFileV2", "table", "asset")
    nodes = [node("table", "HashTableV2"), const("asset", "words.txt"), init]
    name = {"__saved_model_init_op": "init"}
    found = told(tmp_path, nodes, signatures=name, assets={"asset:0": "words.txt"})
    assert (found.facts, found.tables, found.n_signatures) == ((), 1, 0)
    read = [const("asset", "words.txt"), node("read", "ReadFile", "asset")]
    found = told(tmp_path, read, signatures=name | {"serve": "read"}, assets={"asset:0": "w.txt"})
    assert (found.facts, found.tables, found.n_signatures) == ((), 0, 1)
    found = told(tmp_path, nodes, signatures=name)
    assert found.facts == (
        LoadFact(
            What.READS_FILES, "initialization", "initialization", ("init",),
            "InitializeTableFromTextFileV2", 'at "words.txt"', ("words.txt",),
        ),
    )  # fmt: skip


def _object_model(*functions: str, **children: int) -> list[Object]:
    return [Object(children), *(Object(functions=(one,)) for one in functions)]


def test_what_an_object_offers_is_told_by_its_attributes(tmp_path: Path) -> None:
    """Each function under the first way that leads to it; what a signature runs not again."""
    functions = [
        function(name, ["p"], node("read", "ReadFile", "p"))
        for name in ("one", "two", "create", "destroy", "call", "save", "served")
    ]
    objects = [
        Object({"one": 1, "inner": 2, "table": 3, "__call__": 6, "signatures": 8, "kept": 9}),
        Object(functions=("one",)),
        Object({"two": 7, "again": 1}),
        Object({"_create_resource": 4, "_destroy_resource": 5}),
        Object(functions=("create",)),
        Object(functions=("destroy",)),
        Object(functions=("call",)),
        Object(functions=("two",)),
        Object({"serve": 10}),
        Object(saver=11),
        Object(functions=("served",)),
        Object(functions=("save",)),
    ]
    found = told(tmp_path, [], functions, objects=objects)
    facts = [(fact.when, fact.trigger, fact.place, fact.detail) for fact in found.facts]
    given, path = "at a path that it is given", "at a path from the input"
    assert facts == [
        ("initialization", "initialization", ("create", "read"), given),
        ("call of .inner.two", "call", ("two", "read"), path),
        ("call of .one", "call", ("one", "read"), path),
        ("call of object", "call", ("call", "read"), path),
        ("saving and restoring", "saving", ("save", "read"), given),
        ("deletion", "deletion", ("destroy", "read"), given),
        ("nothing", "nothing", ("served", "read"), given),
    ]
    assert (found.reached, found.by_object, found.unreached) == (1, 5, 1)


BOUND: dict[str, tuple[Object, list[bytes], dict[str, str], str | None]] = {
    "an asset": (Object(asset=0), [], {"a:0": "words.txt"}, None),
    "a constant": (Object(constant="c"), [const("c", "/etc/x")], {}, 'at "/etc/x"'),
    "a constant that is an asset": (Object(constant="c"), [const("c", "")], {"c:0": "w"}, None),
    "a constant that is lost": (Object(constant="c"), [], {}, "at a path that is computed"),
    "another object": (Object(), [], {}, "at a path that is computed"),
}


@pytest.mark.parametrize("held", BOUND)
def test_what_the_object_gives_its_function_itself(held: str, tmp_path: Path) -> None:
    """After the arguments of a call come the objects that the function holds."""
    one, nodes, assets, detail = BOUND[held]
    read = function("f", ["x", "p"], node("read", "ReadFile", "p"), node("w", "WriteFile", "x"))
    objects = [Object({"f": 1, "held": 2}), Object(functions=("f",)), one]
    found = told(tmp_path, nodes, [read], objects=objects, bound={"f": (2,)}, assets=assets)
    details = {fact.op: fact.detail for fact in found.facts}
    assert details.pop("WriteFile") == "to a path from the input"
    assert details == ({} if detail is None else {"ReadFile": detail})
    found = told(tmp_path, nodes, [read], objects=objects, bound={"f": (9,)}, assets=assets)
    details = {fact.op: fact.detail for fact in found.facts}
    assert details["ReadFile"] == "at a path that is computed"


def test_what_saves_is_not_listed(tmp_path: Path) -> None:
    nodes = [
        const("p", "/p"), node("save", "SaveV2", "p"), node("name", "ShardedFilename", "p"),
        node("restore", "RestoreV2", "p"), node("root", "NoOp", "^save", "^name", "^restore"),
    ]  # fmt: skip
    listed = {"SaveV2": 1, "ShardedFilename": 1, "RestoreV2": 1}
    found = told(tmp_path, nodes, savers=["root:0"])
    assert (found.facts, dict(found.not_listed)) == ((), listed)
    found = told(tmp_path, nodes)  # where nothing leads there
    assert (found.facts, dict(found.not_listed)) == ((), listed)
    found = told(tmp_path, nodes, signatures={"serve": "root"})
    assert [(fact.what, fact.op, fact.detail) for fact in found.facts] == [
        (What.WRITES_FILES, "SaveV2", 'to "/p"'), (What.READS_FILES, "RestoreV2", 'at "/p"'),
    ]  # fmt: skip
    assert found.not_listed == {}


def test_what_a_check_tells_of_a_graph_beside_values(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "ckpt-1", {"w": np.ones(3, np.float32)})
    assert of_checkpoint(prefix) is None
    (tmp_path / "ckpt-1.meta").write_bytes(graph([node("py", "PyFunc")]))
    found = of_checkpoint(prefix)
    assert found is not None
    assert (found.path, found.kind) == (prefix, "graph")
    assert [(one.op, one.when) for one in found.facts] == [("PyFunc", "session.run")]


def test_a_graph_of_its_own_may_be_run_whole(tmp_path: Path) -> None:
    nodes = [const("p", "/p"), node("read", "ReadFile", "p"), node("save", "SaveV2", "p")]
    found = of_meta(tmp_path, nodes)
    assert found.facts == (
        LoadFact(What.READS_FILES, "session.run", "run", ("read",), "ReadFile", 'at "/p"', ("/p",)),
    )
    assert (found.kind, dict(found.not_listed), found.others) == ("graph", {"SaveV2": 1}, ())
    assert found.index_as_exported is None
    [fact] = told(tmp_path, nodes).facts
    assert (fact.when, fact.trigger) == ("nothing", "nothing")


def test_of_many_signatures_the_last_are_told_together(tmp_path: Path) -> None:
    ops = ["ReadFile" if i in (0, 31, 32, 34) else "NoOp" for i in range(35)]
    nodes = [const("p", "/p"), *(node(f"n{i:02}", op, "p") for i, op in enumerate(ops))]
    found = told(tmp_path, nodes, signatures={f"s{i:02}": f"n{i:02}" for i in range(35)})
    assert [(fact.when, fact.place, fact.n) for fact in found.facts] == [
        ("one of 3 further signatures", ("n32",), 2), ("signature s00", ("n00",), 1),
        ("signature s31", ("n31",), 1),
    ]  # fmt: skip
    assert found.n_signatures == 35


def test_an_own_operation_is_told_once_where_it_is_needed_first(tmp_path: Path) -> None:
    functions = [function("f", [], node("own", "MyOwn"))]
    call = [node("call", "PartitionedCall", f=Func("f"))]
    objects = [Object({"f": 1}), Object(functions=("f",))]
    both = {"__saved_model_init_op": "call", "serve": "call"}
    found = told(tmp_path, call, functions, signatures=both, objects=objects)
    assert [(one.when, one.place) for one in found.facts] == [("initialization", ("f", "own"))]
    found = told(tmp_path, call, functions, signatures={"serve": "call"}, objects=objects)
    assert [(one.when, one.place) for one in found.facts] == [("signature serve", ("f", "own"))]
    two = told(tmp_path, call, functions, signatures={"a": "call", "b": "call"}, objects=objects)
    assert [one.when for one in two.facts] == ["signature a", "signature b"]
    assert [one.when for one in told(tmp_path, [], functions).facts] == ["nothing"]
    found = told(tmp_path, [], functions, objects=objects)
    assert [(one.when, one.place) for one in found.facts] == [("call of .f", ("f", "own"))]
    functions.append(function("g", [], node("own", "MyOwn"), node("other", "Other")))
    objects = [Object({"g": 1}), Object(functions=("g",))]
    found = told(tmp_path, call, functions, signatures={"serve": "call"}, objects=objects)
    assert [(one.when, one.op) for one in found.facts] == [
        ("signature serve", "MyOwn"), ("call of .g", "Other"),
    ]  # fmt: skip


def test_a_table_that_is_left_over_is_not_told(tmp_path: Path) -> None:
    """What was run to initialize it takes its path: nobody calls it with another."""
    init = function("f", ["t", "p"], node("i", "InitializeTableFromTextFileV2", "t", "p"))
    assert told(tmp_path, [], [init]).facts == ()
    objects = [Object({"f": 1}), Object(functions=("f",))]
    assert told(tmp_path, [], [init], objects=objects).facts == ()
    nodes = [node("x", "Placeholder"), node("call", "PartitionedCall", "x", "x", f=Func("f"))]
    [fact] = told(tmp_path, nodes, [init], signatures={"serve": "call"}).facts
    assert fact.detail == "at a path from the input"


def test_a_cache_in_memory_writes_nothing(tmp_path: Path) -> None:
    nodes = [const("p", ""), node("c", "CacheDatasetV2", "d", "p")]
    assert told(tmp_path, nodes, signatures={"serve": "c"}).facts == ()
    nodes = [node("p", "Placeholder"), node("c", "CacheDatasetV2", "d", "p")]
    [fact] = told(tmp_path, nodes, signatures={"serve": "c"}).facts
    assert (fact.what, fact.detail) == (What.WRITES_FILES, "to a path from the input")


def test_an_object_graph_that_leads_nowhere(tmp_path: Path) -> None:
    read = function("f", ["p"], node("read", "ReadFile", "p"))
    for beyond in (2, 9):
        objects = [Object({"a": beyond, "f": 1}), Object(functions=("f", "absent"), saver=beyond)]
        found = told(tmp_path, [], [read], objects=objects)
        assert [(one.when, one.detail) for one in found.facts] == [
            ("call of .f", "at a path from the input")
        ]
        assert (found.reached, found.by_object, found.unreached) == (0, 1, 0)


@pytest.mark.parametrize(("n", "is_followed"), [(99, True), (100, False)])
def test_how_far_a_path_is_followed(n: int, is_followed: bool, tmp_path: Path) -> None:
    nodes = [const("n0", "/p"), *(node(f"n{i + 1}", "Identity", f"n{i}") for i in range(n))]
    read = node("read", "ReadFile", f"n{n}")
    [fact] = told(tmp_path, [*nodes, read], signatures={"serve": "read"}).facts
    assert fact.detail == ('at "/p"' if is_followed else "at a path that is computed")
