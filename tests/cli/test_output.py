"""Where results go: width, colour, encodings, streams that are closed."""

from __future__ import annotations

import ast
import io
import sys
from typing import TYPE_CHECKING, TextIO, cast

import pytest
from rich.console import Console

import ckread as package
from ckread.analysis.info import summarise
from ckread.cli.output import Output
from ckread.errors import safe_text
from ckread.model.role import Role
from ckread.model.selection import model_order
from ckread.model.tree import build_tree
from ckread.views.info.page import info_page
from ckread.views.terminal.page import Page, Prose
from tests.cli.terminal import Stream
from tests.places import FIXTURES, ROOT

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("", 80), ("0", 80), ("x", 80)])
@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_the_width_is_that_of_columns_or_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int, term: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", term)
    out = Stream(is_terminal=True)
    monkeypatch.setattr(sys, "stdout", out)
    Output(color="never").render(Page(Prose("word " * 40)))
    assert max(map(len, out.getvalue().splitlines())) == width // 5 * 5 - 1


def test_notes_go_to_stderr_unless_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Stream(is_terminal=False), Stream(is_terminal=False)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    Output().note("one\x1b")
    Output().warning("two")
    Output().wrote("a.npy", "three")
    quiet = Output(is_quiet=True)
    quiet.note("no")
    quiet.warning("no")
    quiet.wrote("a.npy", "no")
    assert out.getvalue() == ""
    assert err.getvalue() == "note: one\\x1b\nwarning: two\nwrote a.npy: three\n"


def test_a_missing_stream_swallows_what_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    output = Output()
    output.lines(["x"])
    output.note("x")
    output.flush()
    assert not output.is_terminal
    for stream in (output._stdout, output._stderr):
        cast("TextIO", stream).close()


def _raw(output: Output, name: str) -> None:
    """What mypy does not let pass: an ignored error that is none is an error of its own."""
    output._stdout.write(name)  # type: ignore[arg-type]
    output._stderr.write(f"error: {safe_text(name)}")  # type: ignore[arg-type]
    output._stdout.write(safe_text(name) + name)  # type: ignore[arg-type]
    output._stderr.writelines([name])  # type: ignore[list-item]
    output.answers([f"{name}\n"])  # type: ignore[list-item]
    output.json_pieces(iter([name]))  # type: ignore[arg-type]
    output._stdout.write(safe_text(name))


def test_only_the_output_has_streams_and_few_make_a_text_safe() -> None:
    """Type checkers see what is written to its streams; here that nothing else has one."""
    streams, makers = set(), set()
    for path in sorted((ROOT / "ckread").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            told = ast.unparse(node) if isinstance(node, (ast.Attribute, ast.Call)) else ""
            if told in ("sys.stdout", "sys.stderr"):
                streams.add((path.stem, told))
            if told.startswith(("SafeText(", "map(SafeText,")):
                makers.add(path.relative_to(ROOT / "ckread").as_posix())
            assert not told.startswith(("sys.stdout.write", "sys.stderr.write", "sys.__std"))
            assert not told.endswith(".print") or path.name == "terminal.py"
    assert {name for name, _ in streams} == {"output", "main", "reading"}  # these two ask of them
    assert makers == {
        "errors.py", "cli/output.py", "cli/completion/__init__.py", "views/json_document.py",
        "views/tables.py", "views/values.py",
    }  # fmt: skip


def test_colours_are_those_of_rich(ckread: Terminal) -> None:
    path = str(FIXTURES / "digits_run" / "ckpt-10")
    with package.open(path) as checkpoint:
        shown = [
            v
            for v in model_order(checkpoint.values(), checkpoint.evidence)
            if v.role is not Role.BOOKKEEPING
        ]
        tree = build_tree(shown, folds=True)
        page = info_page(summarise(checkpoint), tree)
    file = io.StringIO()
    Console(
        file=file, width=80, force_terminal=True, color_system="standard", legacy_windows=False
    ).print(page, end="")
    ours = ckread("info", path, "--color", "always", width=80)
    assert ours.out.count("\x1b[") > 20
    assert ours.out == file.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_of_another_encoding_gets_what_it_can_show(
    ckread: Terminal, encoding: str
) -> None:
    result = ckread("ls", str(FIXTURES / "odd_names" / "odd"), width=80, encoding=encoding)
    assert result.code == 0
    assert result.out.encode(encoding)
