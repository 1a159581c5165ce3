"""What Keras would run, import or read for a configuration: files of every known trick."""

from __future__ import annotations

import base64
import json
import marshal
import re
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from ckread.analysis.loading.bytecode import MarshalError, describe, is_code_text, parse
from ckread.analysis.loading.loading import of_checkpoint, on_loading
from ckread.analysis.loading.records import What
from ckread.cli.main import main
from ckread.readers.keras.archive import is_of_keras
from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.analysis.loading.records import LoadFact

ARCHIVE = FIXTURES / "digits_files" / "digits.keras"


def code_of(function: Any) -> str:
    return base64.b64encode(marshal.dumps(function.__code__)).decode()


def use_environment(x: Any) -> Any:
    import os

    return x * len(os.getenv("HOME", "")) * 2


def lambda_of(function: Any, **config: Any) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "scale", "function": function, **config},
        "registered_name": None,
    }


def bytecode() -> dict[str, Any]:
    return {
        "class_name": "__lambda__",
        "config": {"code": code_of(use_environment), "defaults": None, "closure": None},
    }


def named(name: str, module: str = "builtins") -> dict[str, Any]:
    return {
        "module": module, "class_name": "function", "config": name, "registered_name": name,
    }  # fmt: skip


def model_of(*layers: dict[str, Any]) -> dict[str, Any]:
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "sequential", "layers": list(layers)},
        "registered_name": None,
    }


def archive(path: Path, config: dict[str, Any], **members: bytes) -> str:
    """Write a `.keras` file with a configuration, and the weights of another."""
    with zipfile.ZipFile(ARCHIVE) as source, zipfile.ZipFile(path, "w") as target:
        target.writestr("config.json", json.dumps(config))
        for name in ("metadata.json", "model.weights.h5"):
            target.writestr(name, source.read(name))
        for name, data in members.items():
            target.writestr(name, data)
    return str(path)


def facts_of(path: Path, *layers: dict[str, Any]) -> list[LoadFact]:
    return list(on_loading(archive(path / "m.keras", model_of(*layers))).facts)


def test_honest_files_say_nothing() -> None:
    for name in ("digits.keras", "digits.h5", "digits.weights.h5"):
        assert on_loading(str(FIXTURES / "digits_files" / name)).facts == ()


def test_what_a_check_tells_of_loading(tmp_path: Path) -> None:
    """Of a model what it runs; nothing of a file or a bundle of values."""
    path = archive(tmp_path / "m.keras", model_of(lambda_of(bytecode())))
    told = of_checkpoint(path)
    assert told is not None
    assert told.facts == on_loading(path).facts != ()
    write_bundle(tmp_path / "ckpt-1", {"w": np.ones(3, np.float32)})
    assert of_checkpoint(str(tmp_path / "ckpt-1")) is None
    assert of_checkpoint(str(FIXTURES / "digits_files" / "digits.weights.h5")) is None
    assert of_checkpoint(str(tmp_path / "absent")) is None


def test_a_lambda_of_bytecode(tmp_path: Path) -> None:
    [fact] = facts_of(tmp_path, lambda_of(bytecode()))
    assert fact.what is What.RUNS_PYTHON
    assert fact.place == ("config.json", "sequential", "scale")
    assert fact.detail.startswith("Lambda layer scale: bytecode, ")
    assert "one function; names it uses: " in fact.detail
    assert {"os", "getenv", "len"} <= set(re.findall(r"\w+", fact.detail))
    assert "'HOME'" in fact.detail
    assert fact.detail.endswith("load_model refuses it unless safe_mode=False")


def test_every_code_of_a_lambda_is_told(tmp_path: Path) -> None:
    """As Keras 2 writes it: the function as a text, what tells the shape as a list."""
    code = code_of(use_environment)
    one = lambda_of(code, function_type="lambda")
    two = lambda_of(code, function_type="lambda", output_shape=[code], output_shape_type="lambda")
    (tmp_path / "two").mkdir()
    assert len(facts_of(tmp_path / "two", two)) == len(facts_of(tmp_path, one)) + 1


def test_a_lambda_of_a_named_function(tmp_path: Path) -> None:
    [fact] = facts_of(tmp_path, lambda_of(named("my_function")))
    assert fact.what is What.RUNS_PYTHON
    assert "calls my_function, a function that the program has to give" in fact.detail


def test_a_lambda_in_a_nested_model_and_in_a_wrapper(tmp_path: Path) -> None:
    inner = model_of(lambda_of(bytecode()))
    wrapper = {
        "module": "keras.layers",
        "class_name": "TimeDistributed",
        "config": {"name": "each", "layer": lambda_of(bytecode())},
        "registered_name": None,
    }
    places = [fact.place for fact in facts_of(tmp_path, inner, wrapper)]
    assert places == [
        ("config.json", "sequential", "sequential", "scale"),
        ("config.json", "sequential", "each", "scale"),
    ]


@pytest.mark.parametrize(
    ("layer", "what", "words"),
    [
        # CVE-2025-1550: any module was imported, any function of it called.
        ({"module": "os", "class_name": "function", "config": "system"}, What.IMPORTS, "os"),
        ({"module": "subprocess", "class_name": "Popen", "config": {}}, What.IMPORTS, "Popen"),
        # CVE-2025-8747: functions of Keras itself.
        (lambda_of(named("get_file", "keras.utils")), What.NETWORK, "keras.utils.get_file"),
        (lambda_of(named("load_model", "keras.models")), What.READS_FILES, "load_model"),
        # CVE-2025-9906: what lets a later Lambda run.
        (
            lambda_of(named("enable_unsafe_deserialization", "keras.config")),
            What.RUNS_PYTHON,
            "keras.config.enable_unsafe_deserialization",
        ),
        (lambda_of(named("exec")), What.RUNS_PYTHON, "exec of Python"),
        # CVE-2025-12058: a vocabulary may be a path.
        (
            {
                "module": "keras.layers",
                "class_name": "StringLookup",
                "config": {"name": "words", "vocabulary": "/etc/passwd"},
            },
            What.READS_FILES,
            "/etc/passwd",
        ),
    ],
)
def test_modules_and_functions(
    tmp_path: Path, layer: dict[str, Any], what: What, words: str
) -> None:
    facts = facts_of(tmp_path, layer)
    assert any(fact.what is what and words in fact.detail for fact in facts), facts


def test_a_class_of_the_users_own_is_said_to_be_imported(tmp_path: Path) -> None:
    layer = {"module": "mine.layers", "class_name": "Attention", "config": {"name": "a"}}
    [fact] = facts_of(tmp_path, layer)
    assert fact.what is What.IMPORTS
    assert fact.detail.startswith("class Attention of module mine.layers; Keras before 3.9")


def test_a_legacy_file(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    layer = {
        "class_name": "Lambda",
        "config": {
            "name": "old",
            "function": [code_of(use_environment) + "\n", None, None],
            "function_type": "lambda",
        },
    }
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        file["model_weights/w"] = np.zeros(3, "f4")
    [fact] = on_loading(str(path)).facts
    assert fact.what is What.RUNS_PYTHON
    assert fact.place == ("model_config", "s", "old")
    assert "getenv" in fact.detail
    assert "Keras before 3.11.3 and tf_keras run it" in fact.detail


@pytest.mark.parametrize("kind", ["link", "dataset", "virtual"])
def test_values_in_other_files(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros(3, "f4")
        if kind == "link":
            file["layers/dense/vars/1"] = h5py.ExternalLink("/etc/passwd", "/x")
        elif kind == "dataset":
            file.create_dataset("layers/dense/vars/1", (8,), "u1", external=[("/etc/passwd", 0, 8)])
        else:
            layout = h5py.VirtualLayout((3,), "f4")
            layout[:] = h5py.VirtualSource("/tmp/other.h5", "w", (3,))
            file.create_virtual_dataset("layers/dense/vars/1", layout)
    [fact] = on_loading(str(path)).facts
    assert fact.what is What.EXTERNAL_LINK
    assert "layers/dense/vars/1" in fact.detail


def test_bytecode_is_described_without_being_unmarshalled() -> None:
    found = parse(marshal.dumps(use_environment.__code__))
    assert found.name == "use_environment"
    assert {"os", "getenv", "len"} <= set(found.names)
    assert "HOME" in found.constants
    outer = compile("def f():\n def g(): return h\n return g", "x", "exec")
    assert "3 functions" in describe(base64.b64encode(marshal.dumps(outer)).decode())


@pytest.mark.parametrize(
    "data",
    [b"", b"c", b"\xe3" + b"\0" * 50, b"(" * 5000, marshal.dumps([1, 2]), b"\xff" * 300],
)
def test_what_is_no_code(data: bytes) -> None:
    with pytest.raises(MarshalError):
        parse(data)
    assert "of a form that is not known" in describe(base64.b64encode(data).decode())
    assert "not base64" in describe("é!")


def test_a_text_that_begins_like_code_is_none() -> None:
    code = code_of(use_environment)
    assert is_code_text(code)
    cut = code[:-24]  # less, and it may be whole code of an older Python, without a last table
    assert not any(map(is_code_text, ("4wall of words", "Ywis", cut, "x" + code, "")))


def test_truncated_code_never_fails_otherwise() -> None:
    whole = marshal.dumps(use_environment.__code__)
    for at in range(len(whole)):
        with suppress(MarshalError):  # older code lacks the last table
            assert parse(whole[:at]).name == "use_environment"


def test_members_that_keras_does_not_write_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["run.py", "x/\x1b[2J.bin", "notes.txt", "setup.sh", "assets/layers/v.txt"]
    path = archive(tmp_path / "m.keras", model_of(), **dict.fromkeys(names, b"never read"))
    assert on_loading(path).others == tuple(names[:4])
    for command in ("loads", "check"):
        assert main([command, path, "--strict", "--color", "always"]) == 0
        out = " ".join(re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).split())
        told = r"4 members that Keras does not write: run.py, x/\x1b[2J.bin, notes.txt and 1 more."
        assert told in out
    assert main(["loads", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["others"]["count"] == 4


@pytest.mark.parametrize(
    "name",
    ["config.json", "model.weights.h5", "model.weights.npz", "variables.h5", "model.weights.json",
     "model_00000.weights.h5", "model.weights_00003.h5", "assets/", "assets/a/b\n.txt"],
)  # fmt: skip
def test_what_keras_itself_writes_is_not_named(name: str) -> None:
    assert is_of_keras(name)


def test_a_run_tells_once_what_all_its_checkpoints_would_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (1, 2, 3):
        archive(tmp_path / f"model-{step}.keras", model_of(lambda_of(bytecode())))
    archive(tmp_path / "model-4.keras", model_of())
    words = ["check", str(tmp_path), "--every"]
    assert main([*words, "--color", "always"]) == 0
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert out.count("runs Python") == 1
    assert "(3 checkpoints: model-1.keras, model-2.keras, model-3.keras)" in " ".join(out.split())
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [fact["checkpoint"][-7:] for fact in document["on_loading"]] == [
        "1.keras", "2.keras", "3.keras",
    ]  # fmt: skip
    assert document["checkpoints"][3]["on_loading"] == []
    assert main([*words, "--strict"]) == 1


CONSTANTS = (
    0, 7, -7, 2**31 - 1, 2**31, -(2**45) - 3, 2**90 + 1, 1.5, -2.25, "a", "ü", "x" * 300,
    (1, ("b",)),
)  # fmt: skip


def test_constants_of_marshalled_code_are_what_they_were() -> None:
    """Each in the form that marshal has for it: long numbers are digits of 15 bits."""
    program = compile("def f():\n return 1\n", "<made>", "exec").co_consts[0]
    code = parse(marshal.dumps(program.replace(co_consts=(None, True, *CONSTANTS, 1j, b"raw"))))
    flat = [*CONSTANTS[:-1], 1, "b"]
    assert list(code.constants) == flat
    assert [type(one) for one in code.constants] == [type(one) for one in flat]
    assert (code.name, code.inner) == ("f", ())
