"""The commands there are: names, usage and summaries, without importing any of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple


class Group(StrEnum):
    """The four questions that commands answer, and the rest; in the order of the help."""

    CONTENT = "What is in it"
    CHANGE = "What changed"
    SOUND = "Is it sound"
    RETURN = "Will it come back"
    SHELL = "In the shell"


class Positional(NamedTuple):
    """A positional argument, as argparse is told of it and as a usage line shows it.

    Attributes:
        name: what it means; in lower case, with an `s` if there may be many, it is where
            `run` finds it: `arguments.path`, and as a list `arguments.patterns`.
        nargs: None for one, `?` for one or none, `+` for one or more, `*` for any number.
        tail: what may follow in the same word.
        choices: the words it may be; empty for any.
    """

    name: str
    nargs: Literal["?", "+", "*"] | None = None
    tail: str = ""
    choices: tuple[str, ...] = ()

    @property
    def is_many(self) -> bool:
        """Whether it takes all the words that are left."""
        return self.nargs in ("+", "*")

    @property
    def is_required(self) -> bool:
        """Whether it takes at least one word."""
        return self.nargs in (None, "+")

    @property
    def usage(self) -> str:
        """`X` for one, `X…` for one or more, `[X]` and `[X…]` where there may be none."""
        shown = f"{self.name}{self.tail}{'…' * self.is_many}"
        return shown if self.is_required else f"[{shown}]"


PATH, RUN, PATTERNS = Positional("PATH"), Positional("RUN"), Positional("PATTERN", "*")
SHELLS = ("bash", "zsh", "fish")
"""The shells that words are completed in."""


_BRIEF = 24


class Command(NamedTuple):
    """One command.

    Attributes:
        name: the word that calls it.
        positionals: its arguments but for the options.
        summary: one line for the help.
        group: the question it answers, if it does.
    """

    name: str
    positionals: tuple[Positional, ...]
    summary: str
    group: Group

    @property
    def module(self) -> str:
        """Where its `add_arguments`, `run` and `EXAMPLES` are."""
        return f"ckread.cli.{self.name}"

    @property
    def usage(self) -> str:
        """Its positional arguments in a usage line."""
        return " ".join(positional.usage for positional in self.positionals)

    @property
    def brief(self) -> str:
        """The same in the list of commands, where there is no room for a long one."""
        if len(self.name) + len(self.usage) < _BRIEF:
            return self.usage
        return " ".join(one.usage for one in self.positionals if one.is_required)


COMMANDS = (
    Command("info", (PATH,), "format, step, parameters, bytes by role, tree", Group.CONTENT),
    Command(
        "ls", (PATH, PATTERNS), "the variables: name, dtype, shape, bytes, role", Group.CONTENT
    ),
    Command("tree", (PATH, PATTERNS), "the same as a tree with totals", Group.CONTENT),
    Command("layers", (PATH,), "layers: class, output, weights, parameters", Group.CONTENT),
    Command(
        "show", (PATH, Positional("NAME", tail="[SLICE]")),
        "values of one variable, or a slice of it", Group.CONTENT,
    ),
    Command(
        "stats", (PATH, PATTERNS),
        "min, max, mean, std and distribution of each variable", Group.CONTENT,
    ),
    Command(
        "filters", (PATH, Positional("NAME")), "convolution kernels as a picture", Group.CONTENT
    ),
    Command("export", (PATH, PATTERNS), "variables into a .npz, .csv … file", Group.CONTENT),
    Command(
        "diff", (Positional("A"), Positional("B"), PATTERNS),
        "which variables changed between two, and how far", Group.CHANGE,
    ),
    Command("drift", (RUN, PATTERNS), "how every variable moved over a run", Group.CHANGE),
    Command(
        "track", (RUN, PATTERNS),
        "single values over a run: learning rate, iterations", Group.CHANGE,
    ),
    Command(
        "optimizer", (PATH, PATTERNS),
        "the last update of each weight, what got no gradient", Group.CHANGE,
    ),
    Command(
        "history", (Positional("LOG", "+"),),
        "training curves, and the checkpoint of the best epoch", Group.CHANGE,
    ),
    Command("runs", (Positional("DIR", "+"),), "the checkpoints in a directory", Group.CHANGE),
    Command(
        "check", (PATH,), "whether it is sound: checksums, shards, finite values", Group.SOUND
    ),
    Command("loads", (PATH,), "what a program that loads it would run", Group.SOUND),
    Command(
        "report", (PATH, Positional("OTHER", "?")),
        "one page for a colleague: all of it, with pictures", Group.SOUND,
    ),
    Command(
        "compat", (Positional("SAVED"), Positional("TARGET"), PATTERNS),
        "which values a restore brings, what brings the rest", Group.RETURN,
    ),
    Command(
        "completion", (Positional("SHELL", choices=SHELLS), Positional("LINE", "?")),
        "a script for bash, zsh or fish that completes at TAB", Group.SHELL,
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
