"""The shape of the code: layers, what may be imported where, small rooms, no print."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ckread"
MODULES = sorted(PACKAGE.rglob("*.py"))
LAYERS = ["readers", "model", "analysis", "views", "cli"]
MAX_LINES = 240


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
def test_modules_are_documented_and_small(module: Path) -> None:
    tree = _tree(module)
    assert ast.get_docstring(tree), "a module docstring says what the room is for"
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


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


def test_the_layer_test_finds_a_wrong_import(tmp_path: Path) -> None:
    node = ast.parse("from ckread.cli.main import main").body[0]
    assert "ckread.cli.main" in _imported(node)
