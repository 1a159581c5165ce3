"""The shape of the code: layers, what may be imported where, what each command loads, no print."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.places import FIXTURES, ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = ROOT / "ckread"
MODULES = sorted(PACKAGE.rglob("*.py"))
LAYERS = ["readers", "model", "analysis", "views", "cli"]


def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))


def _layer(module: Path) -> str | None:
    """Name the layer folder a module lies in; None for the package's own files."""
    first = module.relative_to(PACKAGE).parts[0]
    return first if first in LAYERS else None


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _ids(module: Path) -> str:
    return str(module.relative_to(PACKAGE))


@pytest.mark.parametrize("module", MODULES, ids=_ids)
def test_imports_point_from_right_to_left(module: Path) -> None:
    layer = _layer(module)
    if layer is None:
        pytest.skip("the package's own file")
    forbidden = {f"ckread.{right}" for right in LAYERS[LAYERS.index(layer) + 1 :]}
    wrong = {
        name
        for node in ast.walk(_tree(module))
        for name in _imported(node)
        if ".".join(name.split(".")[:2]) in forbidden or name == "ckread"
    }
    assert not wrong


@pytest.mark.parametrize("module", MODULES, ids=_ids)
def test_modules_are_documented(module: Path) -> None:
    assert ast.get_docstring(_tree(module)), "a module docstring says what the room is for"


@pytest.mark.parametrize("module", MODULES, ids=_ids)
def test_nothing_prints_and_nothing_is_asserted(module: Path) -> None:
    for node in ast.walk(_tree(module)):
        assert not isinstance(node, ast.Assert), "assert vanishes under python -O"
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        assert not (is_call and ast.unparse(node.func) == "print")  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", MODULES, ids=_ids)
def test_no_room_without_a_purpose(module: Path) -> None:
    banned = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "processor"}
    assert not banned & set(module.stem.split("_"))


def test_the_layer_test_finds_a_wrong_import() -> None:
    node = ast.parse("from ckread.cli.main import main").body[0]
    assert "ckread.cli.main" in _imported(node)


# Laziness: which heavy libraries a command loads. A merge must not bring one beside code that
# does without.

HEAVY = ("numpy", "ml_dtypes", "h5py", "matplotlib", "rich", "tensorflow", "keras", "pandas")
RUN, KERAS = str(FIXTURES / "digits_run"), str(FIXTURES / "digits_files" / "digits.keras")
EXPORT, LOG = str(FIXTURES / "digits_export"), str(FIXTURES / "digits_run" / "history.json")
TEN, TWO, THREE = (f"{RUN}/ckpt-{step}" for step in (10, 2, 3))
_LISTS_MODULES = (
    "import json, sys; from ckread.cli.main import main; code = main(sys.argv[1:]);"
    "sys.stderr.write('\\n' + json.dumps(list(sys.modules))); sys.exit(code)"
)
LOADS: list[tuple[str, list[str]]] = [
    ("", ["--help"]),
    ("", ["--version"]),
    ("", ["info", TEN]),
    ("", ["info", KERAS]),
    ("", ["info", EXPORT]),
    ("", ["ls", TEN]),
    ("", ["ls", KERAS]),
    ("", ["tree", TEN]),
    ("numpy", ["show", TEN, "conv1/bias"]),
    ("numpy", ["show", KERAS, "conv1/bias"]),
    ("numpy", ["stats", TEN]),
    ("numpy", ["stats", KERAS]),
    ("numpy", ["stats", RUN, "conv1/kernel", "--every"]),
    ("numpy matplotlib", ["stats", TEN, "--plot", "a.svg"]),
    ("numpy matplotlib", ["filters", TEN, "conv1/kernel", "-o", "a.png"]),
    ("numpy", ["export", TEN, "conv1/bias", "-o", "a.npy"]),
    ("numpy", ["export", TEN, "conv1/bias", "-o", "a.csv"]),
    ("numpy", ["diff", TWO, THREE]),
    ("numpy", ["diff", KERAS, EXPORT]),
    ("", ["diff", TWO, THREE, "--index-only"]),
    ("numpy matplotlib", ["diff", TWO, THREE, "--plot", "a.svg"]),
    ("numpy", ["drift", RUN]),
    ("", ["drift", RUN, "--index-only"]),
    ("numpy matplotlib", ["drift", RUN, "--plot", "a.svg"]),
    ("", ["track", RUN, "learning_rate"]),
    ("numpy matplotlib", ["track", RUN, "learning_rate", "--plot", "a.svg"]),
    ("", ["history", LOG]),
    ("numpy matplotlib", ["history", LOG, "--run", RUN, "--plot", "a.svg"]),
    ("", ["runs", RUN]),
    ("numpy", ["check", TEN]),
    ("numpy", ["check", KERAS]),
    ("", ["check", TEN, "--quick"]),
    ("", ["completion", "bash"]),
    ("", ["completion", "bash", "--", f"ckread ls {TEN} co"]),
]
"""Heavy libraries that a command loads in a pipe, and its words."""


def _modules(words: list[str], folder: Path, **environment: str) -> set[str]:
    kept = ("PATH", "HOME", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")
    done = subprocess.run(
        [sys.executable, "-c", _LISTS_MODULES, *words],
        capture_output=True,
        check=False,
        cwd=folder,
        env={name: os.environ[name] for name in kept if name in os.environ} | environment,
    )
    assert done.returncode in (0, 1), done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


def _loaded(words: list[str], folder: Path, **environment: str) -> set[str]:
    return _modules(words, folder, **environment) & set(HEAVY)


@pytest.mark.parametrize(
    ("libraries", "words"),
    LOADS,
    ids=[" ".join(word.rpartition("/")[2] for word in words) for _, words in LOADS],
)
def test_a_command_loads_these_libraries_and_no_other(
    libraries: str, words: list[str], tmp_path: Path
) -> None:
    assert _loaded(words, tmp_path) == set(libraries.split())


@pytest.mark.parametrize("words", [["--help"], ["info", TEN], ["ls", TEN], ["runs", RUN]])
def test_colours_load_rich_and_nothing_else(words: list[str], tmp_path: Path) -> None:
    assert _loaded(words, tmp_path, FORCE_COLOR="1") == {"rich"}


def test_every_command_is_among_them() -> None:
    from ckread.cli.commands import COMMANDS

    assert {command.name for command in COMMANDS} <= {words[0] for _, words in LOADS}
