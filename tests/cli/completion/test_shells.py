"""Completion in real shells: what TAB makes of a line, and that no name is ever run."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.builders import write_bundle
from tests.cli.completion.shells import InteractiveShell, environment, fill_folder, need

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with checkpoints."""
    return fill_folder(tmp_path)


LINES = [
    ("ckread dri", "ckread drift "),
    ("ckread ls ru", "ckread ls run/"),
    ("ckread ls run/ckpt-9", "ckread ls run/ckpt-9 "),
    ("ckread ls my\\ run:2/ck", "ckread ls my\\ run:2/ckpt-"),
    ("ckread ls 'my run:2/ck", "ckread ls 'my run:2/ckpt-"),
    ("ckread show run/ckpt-10 conv1/k", "ckread show run/ckpt-10 conv1/kernel "),
    ("ckread show run/ckpt-10 hid", "ckread show run/ckpt-10 hidden/"),
    ("ckread ls --col", "ckread ls --color "),
    ("ckread ls --color=al", "ckread ls --color=always "),
    ("true; X=1 ckread ls ru", "true; X=1 ckread ls run/"),
    ("./bin/ckread ls ru", "./bin/ckread ls run/"),
    ("ckread ls nowhere/x", "ckread ls nowhere/x"),
    ("ckread show odd sp\\ ace/k:", "ckread show odd sp\\ ace/k:"),
]
"""A line, and what TAB makes of it."""

HOSTILE_STARTS = {
    "\\$": "$(touch pwned)",
    "'$": "$(touch pwned)",
    '"\\$': "$(touch pwned)",
    "\\`": "`touch pwned`",
    "'`": "`touch pwned`",
    '"\\`': "`touch pwned`",
    "es": "esc\\x1b[31mred",
    "ne": "new\\nline;touch pwned",
    "gl": "glob*?[a]",
    "'gl": "glob*?[a]",
    '"gl': "glob*?[a]",
    "quo": "quo'te\"",
    '"quo': "quo'te\"",
    "back": "back\\slash",
    "\\{": "{a,b}",
    "'#": "#hash",
}
"""How a hostile name may be begun, and the word that a program then gets."""


@pytest.mark.parametrize("shell", ["bash", "zsh"])
class TestInteractiveShells:
    """TAB in shells that run on a terminal."""

    def test_tab(self, shell: str, folder: Path) -> None:
        with InteractiveShell(shell, folder) as terminal:
            assert {line: terminal.tab(line)[0] for line, _ in LINES} == dict(LINES)

    def test_candidates_are_shown(self, shell: str, folder: Path) -> None:
        with InteractiveShell(shell, folder) as terminal:
            line, shown = terminal.tab("ckread ls run/ckpt-1")
            assert line == "ckread ls run/ckpt-1"
            assert shown.index("ckpt-1 ") < shown.index("ckpt-10")
            _, shown = terminal.tab("ckread show run/ckpt-10 conv")
            assert "conv1/" in shown
            assert "conv2/" in shown

    def test_a_hostile_name_is_quoted_and_means_itself(self, shell: str, folder: Path) -> None:
        with InteractiveShell(shell, folder) as terminal:
            for start, name in HOSTILE_STARTS.items():
                line, _ = terminal.tab(f"ckread show odd {start}")
                assert terminal.words(line) == ["show", "odd", name], line
        assert not (folder / "pwned").exists()


@pytest.mark.parametrize(
    "name", ["$(touch pwned)", "`touch pwned`", "$HOME", "~root", "a\\b c", "bin"]
)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_hostile_name_alone_is_quoted(shell: str, name: str, tmp_path: Path) -> None:
    write_bundle(tmp_path / "one", {name: np.ones(2)})
    with InteractiveShell(shell, tmp_path) as terminal:
        line, _ = terminal.tab("ckread show one ")
        assert terminal.words(line) == ["show", "one", name], line
    assert not (tmp_path / "pwned").exists()


def test_bash_redirects_to_any_file(folder: Path) -> None:
    with InteractiveShell("bash", folder) as terminal:
        assert terminal.tab("ckread ls run > not")[0] == "ckread ls run > notes.txt "


def test_fish(folder: Path) -> None:
    need("fish")
    lines = {
        "ckread dri": ["drift"],
        "ckread ls ru": ["run/"],
        "ckread ls run/ckpt-1": ["run/ckpt-1", "run/ckpt-10"],
        "ckread ls my\\ run:2/ck": ["my run:2/ckpt-1", "my run:2/ckpt-2"],
        "ckread show run/ckpt-10 conv1/k": ["conv1/kernel"],
        "ckread ls --color=al": ["--color=always"],
        "cat x | ckread show odd \\$": ["$(touch pwned)"],
        "ckread show odd 'quo\\'": ["quo'te\""],
        "ckread show odd es": ["esc\\x1b[31mred"],
    }
    script = (
        'ckread completion fish | source; for line in $argv; echo "<$line"; complete -C $line; end'
    )
    done = subprocess.run(
        ["fish", "--no-config", "-c", script, *lines],
        capture_output=True, check=True, text=True, cwd=folder, env=environment(folder),
    )  # fmt: skip
    found: dict[str, list[str]] = {}
    for answer in done.stdout.splitlines():
        if answer.startswith("<"):
            found[answer[1:]] = []
        else:
            found[list(found)[-1]].append(answer.split("\t")[0])
    assert found == lines
    assert not (folder / "pwned").exists()
