"""The commands there are: names, usage and summaries, without importing any of them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Group(StrEnum):
    """The four questions that commands answer, and the rest; in the order of the help."""

    CONTENT = "What is in it"
    CHANGE = "What changed"
    SOUND = "Is it sound"
    RETURN = "Will it come back"
    SHELL = "In the shell"


class Command(NamedTuple):
    """One command.

    Attributes:
        name: the word that calls it.
        usage: its arguments: `X` one, `X…` one or more, `[X…]` any number. The
            words before `[` or `…`, in lower case, are where `run` finds them
            (`arguments.path`, and as a list `arguments.patterns`).
        summary: one line for the help.
        group: the question it answers, if it does.
        module: where its `add_arguments`, `run` and `EXAMPLES` are.
    """

    name: str
    usage: str
    summary: str
    group: Group
    module: str


COMMANDS = (
    Command(
        "info", "PATH", "format, step, parameters, bytes by role, tree",
        Group.CONTENT, "ckread.cli.info",
    ),
    Command(
        "ls", "PATH [PATTERN…]", "the variables: name, dtype, shape, bytes, role",
        Group.CONTENT, "ckread.cli.ls",
    ),
    Command(
        "tree", "PATH [PATTERN…]", "the same as a tree with totals",
        Group.CONTENT, "ckread.cli.tree",
    ),
    Command(
        "show", "PATH NAME[SLICE]", "values of one variable, or a slice of it",
        Group.CONTENT, "ckread.cli.show",
    ),
    Command(
        "stats", "PATH [PATTERN…]", "min, max, mean, std and distribution of each variable",
        Group.CONTENT, "ckread.cli.stats",
    ),
    Command(
        "filters", "PATH NAME", "convolution kernels as a picture",
        Group.CONTENT, "ckread.cli.filters",
    ),
    Command(
        "export", "PATH [PATTERN…]", "variables into a .npz, .npy or .csv file",
        Group.CONTENT, "ckread.cli.export",
    ),
    Command(
        "diff", "A B [PATTERN…]", "which variables changed between two, and how far",
        Group.CHANGE, "ckread.cli.diff",
    ),
    Command(
        "drift", "RUN [PATTERN…]", "how every variable moved over a run",
        Group.CHANGE, "ckread.cli.drift",
    ),
    Command(
        "track", "RUN [PATTERN…]", "single values over a run: learning rate, iterations",
        Group.CHANGE, "ckread.cli.track",
    ),
    Command(
        "history", "LOG…", "training curves, and the checkpoint of the best epoch",
        Group.CHANGE, "ckread.cli.history",
    ),
    Command(
        "runs", "DIR…", "the checkpoints in a directory",
        Group.CHANGE, "ckread.cli.runs",
    ),
    Command(
        "check", "PATH", "whether it is sound: checksums, shards, finite values",
        Group.SOUND, "ckread.cli.check",
    ),
    Command(
        "compat", "SAVED TARGET [PATTERN…]", "which values a restore brings, what brings the rest",
        Group.RETURN, "ckread.cli.compat",
    ),
    Command(
        "completion", "SHELL [LINE]", "a script for bash, zsh or fish that completes at TAB",
        Group.SHELL, "ckread.cli.completion",
    ),
)  # fmt: skip

EXAMPLES = (
    ("info", "ckread digits_run", "the latest checkpoint of a run, summed up"),
    ("ls", "ckread ls ckpt-10 conv", "variables whose name contains conv"),
    ("diff", "ckread diff ckpt-9 ckpt-10", "what changed between two"),
    ("drift", "ckread drift digits_run", "how every variable moved over the run"),
)
"""Command that an example needs, its line, and what it does."""


def find_command(name: str) -> Command | None:
    """Give the command of this name."""
    return next((command for command in COMMANDS if command.name == name), None)
