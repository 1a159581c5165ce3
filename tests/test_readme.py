"""README.md does what it says: its commands run in order, and print what stands below them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from ckread.cli.commands import COMMANDS
from tests.places import ROOT
from tests.screen import on_screen

if TYPE_CHECKING:
    from pathlib import Path

README = ROOT / "README.md"
CI = ROOT / ".ci" / "run"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BETWEEN = "```\n\n```text\n"
_SETS_UP = "python3 -m venv .venv && .venv/bin/pip install "
_TESTS, _ALONE = 1, 2
"""Which of the examples run the tests and install without TensorFlow: not run with the others."""


@dataclass(frozen=True, slots=True)
class Example:
    """A command, or lines of Python, and the output that the page shows below.

    Attributes:
        language: bash or python.
        text: what is typed.
        output: what is printed; empty where nothing is shown.
        start: where in the page the output stands.
        stop: its end.
    """

    language: str
    text: str
    output: str
    start: int
    stop: int


def page() -> str:
    return README.read_text(encoding="utf-8")


@cache
def examples() -> list[Example]:
    """Give every block of bash or Python with its output, in the order of the page."""
    text = page()
    blocks = [*_FENCED.finditer(text), None]
    listed = []
    for block, below in pairwise(blocks):
        assert block is not None
        if block[1] in ("bash", "python"):
            is_output = below is not None and text[block.end(2) : below.start(2)] == _BETWEEN
            shown, start, stop = "", 0, 0
            if below is not None and is_output:
                shown, start, stop = below[2], below.start(2), below.end(2)
            listed.append(Example(block[1], block[2].strip(), shown, start, stop))
    return listed


def commands() -> list[str]:
    return [example.text for example in examples() if example.language == "bash"]


def run(example: Example, folder: Path) -> str:
    """Run an example in this environment: nothing is installed."""
    if example.language == "python":
        script = f"{shlex.quote(sys.executable)} -c {shlex.quote(example.text)}"
        return on_screen(script, folder=folder)
    return on_screen(example.text.rpartition("\n.venv/bin/")[2], folder=folder)


@pytest.fixture(scope="session")
def screens(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Give what each example prints: all of them run, one after the other, in one folder."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "fixtures").symlink_to(ROOT / "fixtures")
    seen = {i: run(each, folder) for i, each in enumerate(examples()) if i not in (_TESTS, _ALONE)}
    assert not [screen for screen in seen.values() if "fault of ckread" in screen]
    if os.environ.get("CKREAD_UPDATE_GOLDENS"):
        text = page()
        for i, example in reversed(list(enumerate(examples()))):
            if example.stop and i in seen:
                text = text[: example.start] + seen[i] + text[example.stop :]
        README.write_text(text, encoding="utf-8")
        examples.cache_clear()
    return seen


@pytest.mark.parametrize(
    "number",
    [i for i in range(len(examples())) if i not in (_TESTS, _ALONE)],
    ids=lambda i: examples()[i].text,
)
def test_an_example_prints_what_the_page_shows(number: int, screens: dict[int, str]) -> None:
    assert examples()[number].output == screens[number]


def test_no_block_escapes() -> None:
    fences = re.findall(r"^\s*(?:```|~~~)(.*)$", page(), re.MULTILINE)
    languages = [found[1] for found in _FENCED.finditer(page())]
    assert len(fences) == 2 * len(languages)
    assert set(languages) == {"bash", "text", "python"}


def test_the_page_opens_with_two_sentences_and_the_two_commands() -> None:
    prose = re.sub(_FENCED, "", page())
    title, opening, clone, test, second = re.split(r"\n{2,}", prose, maxsplit=4)
    assert title == "# ckread"
    assert page().startswith(f"{title}\n\n{opening}\n\n{clone}\n\n```bash\n")
    assert second.strip().startswith("Two readers stand behind one contract.")
    assert len(re.findall(r"[.](?:\s|$)", opening)) == 2
    assert clone.startswith("`git clone`")
    assert test.strip().startswith("The tests take ")
    install, see = commands()[0].splitlines()
    assert install.startswith(_SETS_UP)
    assert see == ".venv/bin/ckread fixtures/digits_run"
    assert commands()[_TESTS].startswith(_SETS_UP)
    assert "pytest" in commands()[_TESTS]


@pytest.mark.slow  # it installs
def test_without_tensorflow_every_command_works(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("PYTHONPATH", None)
    script = commands()[_ALONE] + "\npython -P tests/installed.py"
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    listed = subprocess.check_output(["pip", "list"], env=environment, encoding="utf-8")
    assert "ckread" in listed
    assert "tensorflow" not in listed


def test_ci_runs_the_two_commands_word_for_word() -> None:
    lines = CI.read_text(encoding="utf-8").splitlines()
    for line in "\n".join(commands()[:2]).splitlines():
        assert line in lines


def test_every_command_is_on_the_page() -> None:
    shown = set(re.findall(r"ckread (\w+) ", page()))
    assert {command.name for command in COMMANDS} <= shown


def test_every_command_of_the_page_exists() -> None:
    known = {command.name for command in COMMANDS}
    called = re.findall(r"^ckread (\S+)", "\n".join(commands()), re.MULTILINE)
    assert called
    for word in called:
        assert word in known or word.startswith("fixtures/")
