"""What type checkers see: every public name, lazy ones too, with a whole type, in strict mode."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import ckread
from ckread import errors
from tests.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

USE = ROOT / "tests" / "typed_use.py"


def test_every_public_name_is_used_with_its_type() -> None:
    tree = ast.parse(USE.read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert set(ckread.__all__) | set(errors.__all__) <= used


def test_every_lazy_name_is_imported_for_type_checkers() -> None:
    tree = ast.parse((ROOT / "ckread" / "__init__.py").read_text(encoding="utf-8"))
    checked = next(
        node
        for node in tree.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
        if node.test.id == "TYPE_CHECKING"
    )
    imported = {
        (f"{node.module}", alias.name, alias.asname)
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for name, (module, attribute) in ckread._HOMES.items():
        assert (f"ckread.{module}", attribute, name) in imported


def _pyright(*words: str, place: Path) -> Any:
    pytest.importorskip("pyright")
    site = [str(ROOT), *(path for path in sys.path if path.endswith("-packages"))]
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, *words],
        cwd=place, env={**os.environ, "PYTHONPATH": os.pathsep.join(site)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.slow
def test_pyright_finds_nothing_in_strict_mode(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(f"# pyright: strict\n{USE.read_text()}", encoding="utf-8")
    found = _pyright("use.py", place=tmp_path)["generalDiagnostics"]
    assert [f"{one['range']['start']['line']}: {one['message']}" for one in found] == []


@pytest.mark.slow
def test_a_text_that_is_not_made_safe_is_not_written(tmp_path: Path) -> None:
    """Mypy sees the same in `tests/cli/test_output.py`."""
    lines = (
        "from ckread.cli.output import Output",
        "from ckread.errors import safe_text",
        "def show(output: Output, name: str) -> None:",
        "    output._stdout.write(safe_text(name))",
        "    output._stdout.write(name)",
        '    output._stderr.write(f"error: {safe_text(name)}")',
        "    output.answers([name])",
        "    output.answers([safe_text(name)])",
    )
    (tmp_path / "raw.py").write_text("\n".join(lines), encoding="utf-8")
    found = _pyright("raw.py", place=tmp_path)["generalDiagnostics"]
    assert [one["range"]["start"]["line"] for one in found] == [4, 5, 6]
    assert {one["rule"] for one in found} == {"reportArgumentType"}


@pytest.mark.slow
def test_no_type_of_the_package_is_left_to_a_guess(tmp_path: Path) -> None:
    found = _pyright("--verifytypes", "ckread", "--ignoreexternal", place=tmp_path)
    untold = {
        one["name"]
        for one in found["typeCompleteness"]["symbols"]
        if one["isExported"] and not one["isTypeKnown"]
    }
    public = {f"ckread.{name}" for name in ckread.__all__}
    public |= {f"ckread.errors.{name}" for name in errors.__all__}
    assert untold & public == set()
    assert found["typeCompleteness"]["completenessScore"] > 0.99, untold
