"""The pages below docs/ are what their generators write, and say what is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest

from ckread.cli.commands import COMMANDS, Command
from tests.places import FIXTURES, ROOT
from tests.screen import on_screen

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_EXAMPLE = re.compile(r"^    \$ (ckread .+)\n((?:    .*\n|\n)+)", re.MULTILINE)
_LEFT_OUT = re.compile(r"\[… \d+ lines\]")
_PATH = re.compile(r"`((?:\w[\w-]*/|\.ci/)[\w/.-]+)`")


@pytest.mark.parametrize("command", COMMANDS, ids=[command.name for command in COMMANDS])
def test_the_manual_of_a_command_shows_what_it_prints(command: Command, tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "digits_run", tmp_path / "digits_run")
    shutil.copytree(FIXTURES / "digits_export", tmp_path / "digits_export")
    shutil.copy(FIXTURES / "digits_files" / "digits.keras", tmp_path)
    shutil.copytree(FIXTURES / "restoring", tmp_path, dirs_exist_ok=True)
    module = import_module(command.module)
    found = _EXAMPLE.search(module.__doc__ or "")
    assert found, "an example with its output"
    shown = re.sub("^    ", "", found[2], flags=re.MULTILINE).strip("\n")
    printed = on_screen(found[1], folder=tmp_path).strip("\n")
    assert not printed.startswith("error: ")
    expected = shortened(printed, shown)
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        source = Path(str(module.__file__))
        text = source.read_text(encoding="utf-8")
        indented = re.sub("^(?=.)", "    ", expected, flags=re.MULTILINE)
        source.write_text(
            text.replace(found[2].strip("\n"), indented.strip("\n"), 1), encoding="utf-8"
        )
        return
    assert shown == expected


def shortened(printed: str, shown: str) -> str:
    """Give a screen with as many lines left out, and at the same place, as the manual does."""
    lines = shown.split("\n")
    at = next((i for i, line in enumerate(lines) if _LEFT_OUT.fullmatch(line)), None)
    if at is None:
        return printed
    every = printed.split("\n")
    below = every[len(every) - len(lines[at + 1 :]) :]
    n_left_out = len(every) - at - len(below)
    return "\n".join([*every[:at], f"[… {n_left_out} lines]", *below])


def test_the_pages_of_the_commands_are_generated(tmp_path: Path) -> None:
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        subprocess.run([sys.executable, DOCS / "make_commands.py"], check=True)
    subprocess.run([sys.executable, DOCS / "make_commands.py", tmp_path], check=True)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("commands/*")}
    assert kept == made, "python docs/make_commands.py writes them anew"
    assert set(made) == {"README.md", *(f"{command.name}.md" for command in COMMANDS)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        to = page if not target else page.parent / unquote(target)
        assert to.exists(), target
        if anchor:
            headings = _HEADING.findall(to.read_text(encoding="utf-8"))
            assert anchor in {_anchor(heading) for heading in headings}


def _anchor(heading: str) -> str:
    """Give the anchor that a heading gets, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", ["diff", "check", "export"])
def test_help_tells_of_the_exit_code_1_where_there_is_one(name: str) -> None:
    page = (DOCS / "commands" / f"{name}.md").read_text(encoding="utf-8")
    assert re.search(r"^Exit code: 0 [^,]+, 1 [^,]+, 2 trouble\.$", page, re.MULTILINE)


def test_files_that_contributors_are_told_of_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Contributing")[2]
    named = _PATH.findall(text)
    assert named
    for path in named:
        assert (ROOT / path).exists() or (ROOT / "ckread" / path).exists(), path
