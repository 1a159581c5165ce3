"""README.md does what it says: its commands run, and print what stands below them."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import NamedTuple

import pytest

from ckread.cli.commands import COMMANDS
from tests.places import ROOT
from tests.screen import on_screen

README = ROOT / "README.md"
CI = ROOT / ".ci" / "run"
_BLOCK = re.compile(r"^```(bash|text|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SETS_UP = "python3 -m venv .venv && .venv/bin/pip install --quiet"


class Block(NamedTuple):
    """A fenced block: its language, its text, and where the text stands in the page."""

    language: str
    text: str
    start: int
    stop: int


def blocks() -> list[Block]:
    page = README.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], found.start(2), found.end(2)) for found in _BLOCK.finditer(page)
    ]


def examples() -> dict[str, str]:
    """Give what the page shows below each command."""
    listed = blocks()
    return {
        block.text.strip(): below.text
        for block, below in pairwise(listed)
        if (block.language, below.language) == ("bash", "text")
    }


def commands() -> list[str]:
    return [block.text.strip() for block in blocks() if block.language == "bash"]


def runnable(command: str) -> str:
    """Give a command as it runs here: in this environment, nothing installed."""
    return command.rpartition("&& .venv/bin/")[2]


@pytest.mark.parametrize("command", list(examples()))
def test_a_command_prints_what_the_page_shows(command: str) -> None:
    seen = on_screen(runnable(command))
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        page = README.read_text(encoding="utf-8")
        listed = blocks()
        at = next(i for i, block in enumerate(listed) if block.text.strip() == command) + 1
        README.write_text(
            page[: listed[at].start] + seen + page[listed[at].stop :], encoding="utf-8"
        )
    assert examples()[command] == seen


def test_the_page_opens_with_two_sentences_and_the_two_commands() -> None:
    page = README.read_text(encoding="utf-8")
    title, opening, second = re.sub(_BLOCK, "", page).split("\n\n", 2)
    assert title == "# ckread"
    assert page.startswith(f"{title}\n\n{opening}\n\n```bash\n")
    assert second.strip().startswith("Two readers stand behind one contract.")
    assert len(re.findall(r"[.](?:\s|$)", opening)) == 2
    see, test = commands()[:2]
    assert see.startswith(_SETS_UP)
    assert see.endswith("ckread fixtures/digits_run")
    assert test.startswith(_SETS_UP)
    assert "pytest" in test


def test_ci_runs_the_two_commands_word_for_word() -> None:
    lines = CI.read_text(encoding="utf-8").splitlines()
    for command in commands()[:2]:
        assert command in lines


def test_every_command_of_the_page_exists() -> None:
    known = {command.name for command in COMMANDS}
    for command in commands()[2:]:
        first, second, *_ = command.split()
        assert first == "ckread"
        assert second in known or second.startswith("fixtures/")


def test_the_python_of_the_page_runs() -> None:
    [block] = [block for block in blocks() if block.language == "python"]
    exec(compile(block.text.replace('"fixtures/', f'"{ROOT}/fixtures/'), "README.md", "exec"), {})
