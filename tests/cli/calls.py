"""A call of each command that does, made from its usage line: a new command cannot escape."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from ckread.cli.commands import COMMANDS, Command, Group
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

WORDS = {
    "PATH": "ckpt-10",
    "NAME[SLICE]": "conv1/kernel",
    "NAME": "conv1/kernel",
    "[PATTERN…]": "conv1",
    "PATTERN…": "learning_rate",
    "A": "ckpt-2",
    "B": "ckpt-3",
    "SAVED": "ckpt-2",
    "TARGET": "ckpt-3",
    "RUN": ".",
    "DIR…": ".",
    "LOG…": "history.json",
    "SHELL": "bash",
    "[OTHER]": "",
}
"""What stands for a word of a usage line, in a run's own directory."""

SPECIAL_WORDS = {
    "track": {"[PATTERN…]": "learning_rate"},
    "diff": {"[PATTERN…]": "conv2"},
    "completion": {"[LINE]": ""},
}
"""Words that not every variable does for, or that show more; an empty one is left out."""

WRITES = {"filters": "kernels.png", "export": "values.npz", "report": "report.html"}
"""Commands that write a file, and one that they can write."""

FORMS = {
    "check --every": ["check", ".", "--every"],
    "check --quick": ["check", "ckpt-10", "--quick"],
    "diff --index-only": ["diff", "ckpt-2", "ckpt-3", "--index-only"],
    "drift --index-only": ["drift", ".", "--index-only"],
    "history --run": ["history", "history.json", "--run", "."],
    "optimizer --every": ["optimizer", ".", "--every", "-p", "conv1/kernel"],
    "stats --every": ["stats", ".", "--every", "-p", "conv1/kernel"],
}
"""Options that make another command of one, and a call."""

WITHOUT_FILES = ("SHELL",)
"""First words that are no paths."""


def each_of(commands: Iterable[Command]) -> pytest.MarkDecorator:
    """Have a test run for each of some commands."""
    chosen = list(commands)
    return pytest.mark.parametrize("command", chosen, ids=[command.name for command in chosen])


each = each_of(COMMANDS)
each_that_reads = each_of(c for c in COMMANDS if c.usage.split()[0] not in WITHOUT_FILES)
each_with_a_page = each_of(
    c for c in COMMANDS if c.name not in WRITES and c.group is not Group.SHELL
)
each_with_names = each_of(c for c in COMMANDS if "NAME" in c.usage or "PATTERN" in c.usage)


def words_of(command: Command, folder: Path) -> list[str]:
    """Give arguments that do, from the usage of a command; a file it writes is in a folder."""
    words = WORDS | SPECIAL_WORDS.get(command.name, {})
    made = [command.name, *filter(None, (words[token] for token in command.usage.split()))]
    if command.name in WRITES:
        made += ["-o", str(folder / WRITES[command.name]), "--force"]
    return made


def copy_run(folder: Path) -> Path:
    """Give a copy of a run."""
    copy = folder / "run"
    shutil.copytree(FIXTURES / "digits_run", copy)
    return copy
