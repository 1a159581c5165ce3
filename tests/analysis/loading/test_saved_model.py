"""What loading and calling a SavedModel would do, told of models that TensorFlow writes here.

The payloads are harmless: nothing here is loaded or called.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ckread.analysis.loading.loading import on_loading
from ckread.analysis.loading.records import SAVING, What, has_functions, is_known
from ckread.cli.main import main
from ckread.readers.graphs.fingerprint import fingerprint64, is_index_as_exported
from ckread.readers.graphs.operations import GraphFile
from tests.places import FIXTURES, REAL

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.analysis.loading.records import LoadFact, OnLoading

pytestmark = [pytest.mark.oracle, pytest.mark.slow]


def told(found: OnLoading) -> set[tuple[str, str, str]]:
    return {(fact.what.value, fact.when, fact.op) for fact in found.facts}


def only(found: OnLoading, what: What, op: str) -> LoadFact:
    [fact] = [fact for fact in found.facts if fact.what is what and fact.op == op]
    return fact


@pytest.fixture(scope="module")
def tf() -> Any:
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def exported(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> OnLoading:
    """A module that writes, reads, runs Python and initializes a table from its asset."""
    folder = tmp_path_factory.mktemp("exported")
    words = folder / "words.txt"
    words.write_text("a\nb\n")

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.v = tf.Variable([1.0, 2.0])
            whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
            source = tf.lookup.TextFileInitializer(str(words), tf.string, whole, tf.int64, number)
            self.table = tf.lookup.StaticHashTable(source, -1)

        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])  # type: ignore[untyped-decorator]
        def serve(self, path: Any) -> Any:
            @tf.function  # type: ignore[untyped-decorator]
            def inner(path: Any) -> Any:
                return tf.io.read_file(path)

            tf.io.write_file("report.txt", path)
            return inner(path), self.table.lookup(path)

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])  # type: ignore[untyped-decorator]
        def py(self, x: Any) -> Any:
            return tf.py_function(lambda y: y + 1, [x], tf.float32)

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            tf.print("called", x)
            return tf.cond(x > 0, lambda: tf.io.write_file("/tmp/branch", "x"), tf.no_op)

        @tf.function(input_signature=[])  # type: ignore[untyped-decorator]
        def fixed(self) -> Any:
            return tf.io.read_file("/etc/hostname")

    module = Module()
    path = str(folder / "model")
    tf.saved_model.save(module, path, signatures={"serve": module.serve})
    return on_loading(path)


def test_a_signature_writes_and_reads(exported: OnLoading) -> None:
    writes = [fact for fact in exported.facts if fact.op == "WriteFile"]
    [served] = [fact for fact in writes if fact.trigger == "signature"]
    assert served.when == "signature serve"
    assert served.detail == 'to "report.txt"'
    assert served.constants == ("report.txt",)
    assert served.place[0].startswith("__inference_signature_wrapper_serve")
    [read] = [
        fact for fact in exported.facts if fact.when == "signature serve" and "Read" in fact.op
    ]
    assert read.detail == "at a path from the input"
    assert len(read.place) >= 4, "the function inside the function is named"


def test_the_object_runs_python_prints_and_writes_in_a_branch(exported: OnLoading) -> None:
    assert ("runs-python", "call of .py", "EagerPyFunc") in told(exported)
    assert ("prints", "call of object", "PrintV2") in told(exported)
    [branch] = [f for f in exported.facts if f.op == "WriteFile" and f.trigger == "call"]
    assert branch.when == "call of object"
    assert branch.constants == ("/tmp/branch",)
    fixed = [fact for fact in exported.facts if fact.when == "call of .fixed"]
    assert [fact.constants for fact in fixed] == [("/etc/hostname",)]


def test_its_own_asset_and_its_saver_are_not_listed(exported: OnLoading) -> None:
    assert exported.tables == 1
    assert not any(fact.op.startswith("InitializeTable") for fact in exported.facts)
    assert set(exported.not_listed) <= SAVING
    assert exported.not_listed["SaveV2"]
    assert exported.by_object
    assert exported.unreached == 0


def _changed(tf: Any, source: str, target: Path, change: Any) -> OnLoading:
    """Give a SavedModel whose graph was changed by `change`."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    with open(os.path.join(source, "saved_model.pb"), "rb") as file:
        model.ParseFromString(file.read())
    change(model.meta_graphs[0])
    target.mkdir()
    (target / "saved_model.pb").write_bytes(model.SerializeToString())
    for name in ("variables.index", "variables.data-00000-of-00001"):
        (target / "variables").mkdir(exist_ok=True)
        (target / "variables" / name).write_bytes(
            (FIXTURES / "digits_export" / "variables" / name).read_bytes()
        )
    return on_loading(str(target))


def test_a_dead_function_is_said_to_be_dead(tf: Any, tmp_path: Path) -> None:
    def add(graph: Any) -> None:
        function = graph.graph_def.library.function.add()
        function.signature.name = "nobody_calls_me"
        node = function.node_def.add(name="w", op="WriteFile", input=["p", "p"])
        function.node_def.add(name="p", op="Const").attr["value"].tensor.string_val.append(b"x\n")
        assert node.op

    found = _changed(tf, str(FIXTURES / "digits_export"), tmp_path / "dead", add)
    [fact] = found.facts
    assert (fact.what, fact.when, fact.trigger) == (What.WRITES_FILES, "nothing", "nothing")
    assert fact.place == ("nobody_calls_me", "w")
    assert fact.constants == ("x\n",)
    assert found.unreached == 1


def test_the_initializer_runs_at_loading(tf: Any, tmp_path: Path) -> None:
    def add(graph: Any) -> None:
        nodes = graph.graph_def.node
        nodes.add(name="evil_path", op="Const").attr["value"].tensor.string_val.append(b"/tmp/z")
        nodes.add(name="evil", op="WriteFile", input=["evil_path", "evil_path"])
        inits = [graph.signature_def[name] for name in graph.signature_def if "init" in name]
        for output in inits[0].outputs.values():
            [node] = [n for n in nodes if n.name == output.name.split(":")[0]]
            node.input.append("^evil")

    found = _changed(tf, str(FIXTURES / "digits_export"), tmp_path / "init", add)
    [fact] = found.facts
    assert (fact.what, fact.when) == (What.WRITES_FILES, "initialization")
    assert fact.detail == 'to "/tmp/z"'


def test_an_op_of_a_library_and_a_print_to_a_file(tf: Any, tmp_path: Path) -> None:
    def add(graph: Any) -> None:
        [name] = [n for n in graph.signature_def if n == "serve"]
        output = next(iter(graph.signature_def[name].outputs.values())).name.split(":")[0]
        [node] = [n for n in graph.graph_def.node if n.name == output]
        graph.graph_def.node.add(name="mine", op="MyOwnOp")
        told = graph.graph_def.node.add(name="log", op="PrintV2", input=["mine"])
        told.attr["output_stream"].s = b"file:///tmp/log"
        node.input.extend(["^mine", "^log"])

    source = FIXTURES / "digits_export"
    found = _changed(tf, str(source), tmp_path / "own", add)
    assert ("custom-op", "signature serve", "MyOwnOp") in told(found)
    log = only(found, What.WRITES_FILES, "PrintV2")
    assert log.constants == ("file:///tmp/log",)


def test_fingerprints_are_those_of_tensorflow(tf: Any, tmp_path: Path) -> None:
    for n in [*range(140), 1000, 4097]:
        data = bytes((i * 37 + n) % 256 for i in range(n))
        [stored] = tf.fingerprint([data], method="farmhash64").numpy()
        assert fingerprint64(data) == int.from_bytes(bytes(stored), "little"), n
    found = [is_index_as_exported(os.path.dirname(path)) for path in _saved_models()]
    assert False not in found
    assert found.count(True) >= 4
    changed = tmp_path / "changed"
    shutil.copytree(FIXTURES / "digits_export", changed)
    other = FIXTURES / "six_ways" / "functional" / "saved_model" / "variables" / "variables.index"
    shutil.copy(other, changed / "variables" / "variables.index")
    assert on_loading(str(changed)).index_as_exported is False
    (changed / "fingerprint.pb").write_bytes(b"\xff\xff")
    assert on_loading(str(changed)).index_as_exported is None


def _saved_models() -> list[str]:
    roots = [root for root in (FIXTURES, REAL) if root.is_dir()]
    return sorted(str(path) for root in roots for path in root.rglob("saved_model.pb"))


def test_operations_are_those_of_tensorflows_own_messages(tf: Any) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    for path in _saved_models():
        expected: Counter[tuple[str, str]] = Counter()
        model = saved_model_pb2.SavedModel()
        with open(path, "rb") as file:
            model.ParseFromString(file.read())
        for graph in model.meta_graphs:
            expected.update(("graph", node.op) for node in graph.graph_def.node)
            for function in graph.graph_def.library.function:
                expected.update(("function", node.op) for node in function.node_def)
        found: Counter[tuple[str, str]] = Counter()
        with GraphFile(path, has_functions) as opened:
            for one in opened.saved_model():
                found.update(("graph", node.op) for node in one.nodes.values())
                for function in one.functions.values():
                    for op, n in function.ops.items():
                        found["function", op] += n
        assert found == expected, path


def test_the_registry_is_that_of_the_installed_tensorflow(tf: Any) -> None:
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    if not tf.__version__.startswith("2.21."):
        pytest.skip("the list is TensorFlow 2.21's")
    ops = op_def_pb2.OpList()
    ops.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    for op in ops.op:
        assert is_known(op.name)
        assert has_functions(op.name) == any(a.type in ("func", "list(func)") for a in op.attr)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_keras_itself_writes(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    tf_keras = pytest.importorskip("tf_keras")

    own_layer = type(
        "Mine", (keras.layers.Layer,), {"call": lambda _, x: x, "__module__": "__main__"}
    )
    for library, names in ((keras, ("a.keras", "a.h5")), (tf_keras, ("b.keras", "b.h5", "b"))):
        layers = library.layers
        doubled = layers.Lambda(lambda x: x * 2, name="scale")
        model = library.Sequential([layers.Input((4,)), doubled, layers.Dense(2)])
        for name in names:
            path = str(tmp_path / name)
            model.save(path, **({"save_format": "tf"} if name == "b" else {}))
            [fact] = on_loading(path).facts
            assert fact.what is What.RUNS_PYTHON, path
            assert fact.detail.startswith("Lambda layer scale: bytecode, "), path
            assert "constants: 2" in fact.detail, path
    own = keras.Sequential([keras.Input((4,)), own_layer(), keras.layers.Dense(2)])
    own.save(tmp_path / "own.keras")
    found = on_loading(str(tmp_path / "own.keras"))
    assert found.facts == ()
    assert found.own == ("Mine",)


def test_a_graph_of_tensorflow_1(tf: Any, tmp_path: Path) -> None:
    graph = tf.Graph()
    with graph.as_default():
        variable = tf.compat.v1.get_variable("v", [2])
        path = tf.compat.v1.placeholder(tf.string, [])
        tf.io.read_file(path)
        tf.compat.v1.py_func(lambda x: x, [variable], tf.float32)
        saver = tf.compat.v1.train.Saver()
        saver.export_meta_graph(str(tmp_path / "model.meta"))
    found = on_loading(str(tmp_path / "model.meta"))
    assert told(found) == {
        ("runs-python", "session.run", "PyFunc"),
        ("reads-files", "session.run", "ReadFile"),
    }
    assert found.not_listed["SaveV2"] == 1


def test_a_large_graph_takes_little(tf: Any, tmp_path: Path) -> None:
    """100 MiB of constants and 2,000 functions, each calling the next."""
    import subprocess
    import sys

    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    graph = model.meta_graphs.add()
    for i in range(100):
        node = graph.graph_def.node.add(name=f"c{i}", op="Const")
        node.attr["value"].tensor.tensor_content = bytes(1 << 20)
    call = graph.graph_def.node.add(name="out", op="StatefulPartitionedCall")
    call.attr["f"].func.name = "f0"
    for i in range(2000):
        function = graph.graph_def.library.function.add()
        function.signature.name = f"f{i}"
        for j in range(20):
            function.node_def.add(name=f"n{j}", op="AddV2", input=["x", "x"])
        inner = function.node_def.add(name="call", op="PartitionedCall")
        inner.attr["f"].func.name = f"f{i + 1}"
    graph.graph_def.library.function[-1].node_def.add(name="p", op="PyFunc")
    graph.signature_def["serve"].outputs["y"].name = "out:0"
    (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())
    del model
    script = (
        "import re, sys, time; from ckread.analysis.loading.loading import on_loading;"
        "found = on_loading(sys.argv[1]); status = open('/proc/self/status').read();"
        "peak = int(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1]) // 1024;"
        "print(len(found.facts), len(found.facts[0].place), peak, time.process_time())"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    n_facts, depth, mebibytes, seconds = map(float, done.stdout.split())
    assert (n_facts, depth) == (1, 18)
    assert mebibytes < 100
    assert seconds < 3


def test_extra_assets_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = shutil.copytree(FIXTURES / "digits_export", tmp_path / "copy")
    (copy / "assets.extra" / "inner").mkdir(parents=True)
    for name in ("tf_serving_warmup_requests", "inner/run.py"):
        (copy / "assets.extra" / name).write_bytes(b"never read")
    (copy / "assets.extra" / "inner" / "device").symlink_to("/dev/zero")
    found = on_loading(str(copy))
    assert found.facts == ()
    assert found.others == tuple(
        f"assets.extra/{name}"
        for name in ("tf_serving_warmup_requests", "inner/device", "inner/run.py")
    )
    for command in ("loads", "check"):
        assert main([command, str(copy), "--strict", "--color", "always"]) == 0
        out = " ".join(re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).split())
        assert "3 files in assets.extra, which loading does not read: assets.extra/tf_" in out
