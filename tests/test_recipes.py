"""The pages of docs/ that show commands: each is run, and prints what stands below it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from ckread.cli.commands import COMMANDS
from tests.places import FIXTURES, ROOT
from tests.screen import on_screen
from tests.test_docs import shortened

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLE = re.compile(r"^```bash\n(.+?)\n```\n\n```text\n(.*?)```$", re.MULTILINE | re.DOTALL)
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 466503\n"


def _patterns(folder: Path) -> None:
    for one in ("digits_run", "keras_compiled"):
        shutil.copytree(FIXTURES / one, folder / one)


def _automation(folder: Path) -> None:
    for one in ("digits_run", "digits_files"):
        shutil.copytree(FIXTURES / one, folder / one)
    (folder / "resumed").mkdir()
    for to, number in enumerate((1, 2, 3, 4, 2), 1):
        for path in (FIXTURES / "digits_run").glob(f"ckpt-{number}.*"):
            shutil.copy(path, folder / "resumed" / path.name.replace(f"-{number}.", f"-{to}."))


def _git(folder: Path) -> None:
    """Make a repository of two commits, whose data lie in LFS."""
    (folder / "model").mkdir()
    for command in (
        "init -q",
        "config user.name me",
        "config user.email a@b",
        "config core.pager cat",
    ):
        subprocess.run(["git", *command.split()], cwd=folder, check=True)
    for number in (9, 10):
        (folder / "model" / "ckpt.data-00000-of-00001").write_text(_POINTER.format(f"{number}" * 9))
        shutil.copy(
            FIXTURES / "digits_run" / f"ckpt-{number}.index", folder / "model" / "ckpt.index"
        )
        subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
        subprocess.run(["git", "commit", "-qm", f"Epoch {number}"], cwd=folder, check=True)


def _report(folder: Path) -> None:
    shutil.copytree(FIXTURES / "digits_run", folder / "digits_run")


def _training(folder: Path) -> None:
    """Train as the page says, in one process."""
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    script = "".join(re.findall(r"^```python\n(.+?)^```$", page, re.MULTILINE | re.DOTALL))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, check=True)


PAGES = {
    "patterns": _patterns,
    "automation": _automation,
    "git": _git,
    "report": _report,
    "training": _training,
}


@pytest.mark.slow  # some twenty processes
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_its_commands_print(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for program, words in (("ckread", "-m ckread "), ("python3", "")):  # for git, and for pipes
        (programs / program).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (programs / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "there"
    folder.mkdir()
    PAGES[name](folder)
    page = ROOT / "docs" / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    assert len(_EXAMPLE.findall(text)) == text.count("```bash\n") > 0

    def anew(found: re.Match[str]) -> str:
        printed = on_screen(found[1], folder=folder).rstrip().replace(str(tmp_path), "…")
        times = dict.fromkeys(re.findall(r"file of (\d{4}-\d\d-\d\d \d\d:\d\d)", found[2]))
        if times:  # when git wrote it
            printed = re.sub(r"(?<=file of )\d{4}-\d\d-\d\d \d\d:\d\d", next(iter(times)), printed)
        shown = shortened(printed, found[2].rstrip("\n"))
        return f"```bash\n{found[1]}\n```\n\n```text\n{shown}\n```".replace("text\n\n", "text\n")

    made = _EXAMPLE.sub(anew, text)
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        page.write_text(made, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == made


def test_the_page_for_programs_lists_every_command_with_its_exit_codes() -> None:
    page = ROOT / "docs" / "automation.md"
    text = page.read_text(encoding="utf-8")
    documents = re.findall(r"(?m)^### (.+)$", (ROOT / "docs" / "json.md").read_text())
    rows = []
    for command in COMMANDS:
        code = getattr(import_module(command.module), "EXIT_CODE", "0 done, 2 trouble")
        name = command.name
        document = f"[`ckread.{name}/1`](json.md#{name})" if name in documents else "–"
        rows.append(f"| [`{name}`](commands/{name}.md) | {code} | {document} |\n")
    made = re.sub(r"(?m)(?:^\| \[.*\n)+", "".join(rows), text)
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        page.write_text(made, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == made
