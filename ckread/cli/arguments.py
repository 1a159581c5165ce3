"""Options and arguments that commands share, and how their words are understood."""

from __future__ import annotations

import argparse
import os
import re
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from ckread.cli.commands import COMMANDS, find_command
from ckread.errors import CheckpointError, CheckpointNotFoundError, UsageError
from ckread.model.role import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckread.cli.output import Output
    from ckread.model.checkpoint import Checkpoint
    from ckread.model.run.run import Run
    from ckread.model.variable import Variable


Member = TypeVar("Member", bound=StrEnum)

READERS = ("auto", "native", "tensorflow")
COLORS = ("auto", "always", "never")

USAGE_WORD = re.compile(r"\[?(?P<name>[A-Z]+)(?P<is_many>…)?[^\s]*")
"""A word of a usage line, its name and whether there may be many."""


class Parser(argparse.ArgumentParser):
    """An option parser that raises instead of exiting, and remembers what it was given."""

    def __init__(self) -> None:
        # The width is given because finding it out would import shutil.
        formatter = partial(argparse.HelpFormatter, width=80)
        super().__init__(
            prog="ckread", add_help=False, allow_abbrev=False, usage="", formatter_class=formatter
        )
        self.listed: list[argparse.Action] = []

    def add_argument(self, *flags: str, **settings: Any) -> argparse.Action:
        """Add an option; its help is a line of `--help`."""
        action = super().add_argument(*flags, **settings)
        self.listed.append(action)
        return action

    def error(self, message: str) -> NoReturn:
        """Report options that cannot be understood.

        Raises:
            UsageError: always.
        """
        raise UsageError(message.removeprefix("argument ").replace("-o/--output", "-o"))

    def parse_words(self, argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """Give the options, and the other words in order; all after `--` are words.

        Raises:
            UsageError: an option is not known, or its value does not do.
        """
        at = list(argv).index("--") if "--" in argv else len(argv)
        arguments, words = self.parse_known_args(list(argv[:at]))
        for word in words:
            if word.startswith("-") and len(word) > 1:
                raise self._unknown(word)
        return arguments, [*words, *argv[at + 1 :]]

    def _unknown(self, word: str) -> UsageError:
        option = word.split("=")[0]
        near = nearest(option, [flag for action in self.listed for flag in action.option_strings])
        hint = f"Did you mean {near}? " if near else ""
        remedy = f"{hint}A name that begins with - goes after --."
        return UsageError(f"{option}: no such option", remedy=remedy)


def add_common(parser: Parser) -> None:
    """Add what every command has."""
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "--reader", metavar="NAME", type=one_of(READERS), default="auto",
        help="auto, native or tensorflow",
    )  # fmt: skip
    parser.add_argument(
        "--color", metavar="WHEN", type=one_of(COLORS), default="auto",
        help="auto, always or never; NO_COLOR is respected",
    )  # fmt: skip
    parser.add_argument("--no-pager", action="store_true", help="long screens as they are")
    parser.add_argument("-q", "--quiet", action="store_true", help="results only, no notes")
    parser.add_argument("-h", "--help", action="store_true", help="")


def add_patterns(parser: Parser) -> None:
    """Add `-p PATTERN`, which says that a word is a pattern."""
    parser.add_argument(
        "-p", "--pattern", metavar="PATTERN", action="append", default=[], dest="pattern_options",
        help="only these variables, as PATTERN (repeatable)",
    )  # fmt: skip


def add_roles(parser: Parser) -> None:
    """Add `--role`, to be given to `has_role`."""
    parser.add_argument(
        "--role", metavar="ROLE", type=SeveralOf(Role, has_all=True), action="append", default=[],
        help="weight, statistic, slot, average, counter … or all",
    )  # fmt: skip


def add_sort(parser: Parser, orders: Sequence[str]) -> None:
    """Add `--sort`; the first order is the default."""
    parser.add_argument(
        "--sort", metavar="ORDER", type=one_of(orders), default=orders[0], help=join_or(orders)
    )


def add_top(parser: Parser, meaning: str = "the first N only") -> None:
    """Add `--top N`."""
    parser.add_argument("--top", metavar="N", type=positive, help=meaning)


def has_role(variable: Variable, chosen: Sequence[Iterable[Role]]) -> bool:
    """Tell whether a variable has one of the roles given with `--role`; any, if none was."""
    return not chosen or any(variable.role in roles for roles in chosen)


def roles_of(arguments: argparse.Namespace) -> set[Role] | None:
    """Give the roles that are asked for with `--role`, None if none are."""
    return {role for roles in arguments.role for role in roles} or None


class OneOf:
    """The type of an option that takes one of some words.

    Attributes:
        choices: the words.
    """

    def __init__(self, choices: Sequence[str]) -> None:
        self.choices = choices

    def __call__(self, text: str) -> str:
        """Give the word.

        Raises:
            ArgumentTypeError: it is another one.
        """
        if text in self.choices:
            return text
        near = nearest(text, self.choices)
        expected = f"did you mean {near}?" if near else f"expected {join_or(self.choices)}"
        raise argparse.ArgumentTypeError(f"{text!r}, {expected}")


class SeveralOf(Generic[Member]):
    """The type of an option that takes members of an enumeration, with commas between them.

    Attributes:
        choices: their words, with `all` if that means all of them.
    """

    def __init__(self, kind: type[Member], *, has_all: bool = False) -> None:
        self._kind = kind
        self.choices = [*map(str, kind), *(["all"] if has_all else [])]

    def __call__(self, text: str) -> tuple[Member, ...]:
        """Give the members.

        Raises:
            ArgumentTypeError: there is no such member.
        """
        words = [OneOf(self.choices)(word.strip()) for word in text.split(",")]
        if "all" in words and "all" in self.choices:
            return tuple(self._kind)
        return tuple(map(self._kind, words))


def one_of(choices: Sequence[str]) -> OneOf:
    """Give the type of an option that takes one of some words."""
    return OneOf(choices)


def positive(text: str) -> int:
    """Give the whole number above 0 that an option takes."""
    if text.isascii() and text.isdigit() and len(text) < 19 and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number above 0")


def join_or(words: Sequence[str]) -> str:
    """Give `a, b or c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Give the known word that is spelled most like this one."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(known), n=1)), None)


def bind_words(usage: str, words: Sequence[str], command: str) -> dict[str, Any]:
    """Give the arguments that a usage names: `path`, and as a list `patterns`.

    Raises:
        UsageError: a word is missing, or one is left over.
    """
    bound: dict[str, Any] = {}
    rest = list(words)
    remedy = f"Usage: ckread {command} {usage}"
    for match in USAGE_WORD.finditer(usage.split(" -")[0]):
        name, is_optional = match["name"].lower(), match[0].startswith("[")
        if not rest and not is_optional:
            raise UsageError(f"{command}: {match['name']} is missing", remedy=remedy)
        if match["is_many"]:
            bound[f"{name}s"], rest = rest, []
        else:
            bound[name] = rest.pop(0) if rest else None
    if rest:
        refuse_lost_path(bound.get("path"), words)
        raise UsageError(f"{command}: {rest[0]}: one argument too many", remedy=remedy)
    return bound


def patterns_of(arguments: argparse.Namespace) -> list[str]:
    """Give the patterns, from words and from `-p`."""
    return [*arguments.patterns, *arguments.pattern_options]


def open_path(path: str, arguments: argparse.Namespace, output: Output) -> Checkpoint:
    """Open a checkpoint with the chosen reader; what was decided becomes notes.

    Raises:
        CheckpointError: as `ckread.open`.
    """
    from ckread.model.opening import open_checkpoint

    checkpoint = open_checkpoint(path, reader=arguments.reader)
    for note in checkpoint.notes:
        output.note(note)
    return checkpoint


# Words that are neither a command nor a checkpoint: what a person may have meant.


def misspelt(word: str, error: CheckpointError) -> CheckpointError | None:
    """Say that a word is no command, if it could have been meant as one.

    Args:
        word: the first one.
        error: what came of it as a path; what it says is near is said too.
    """
    if os.path.lexists(word) or os.sep in word:
        return None
    near = nearest(word, [command.name for command in COMMANDS])
    if near is None:
        return None
    remedy = f"Did you mean ckread {near}?"
    if isinstance(error, CheckpointNotFoundError) and error.remedy:
        remedy += f"\n{error.remedy}"
    return type(error)(f"{word}: no such command or checkpoint", remedy=remedy)


def no_command(words: Sequence[str]) -> CheckpointError | None:
    """Say what is wrong where more than a PATH follows no command.

    Args:
        words: the first one, and what follows it.
    """
    from ckread.model.paths.locate import locate

    word, *rest = words
    try:
        locate(word)
    except CheckpointNotFoundError as error:
        if os.sep in word:
            return error
        remedy = "ckread --help lists the commands."
        return UsageError(f"{word}: no such command or checkpoint", remedy=remedy)
    except CheckpointError:
        return None
    if rest and find_command(rest[0]) is not None:
        remedy = f"The command comes first: ckread {rest[0]} {word}"
        return UsageError(f"{rest[0]}: a command after its PATH", remedy=remedy)
    return None


def also_a_path(word: str, error: UsageError) -> UsageError:
    """Add to the error of a command that stands alone how a path of its name is opened."""
    if not any(os.path.lexists(word + suffix) for suffix in ("", ".index")):
        return error
    here = f"What is called so here is opened as {os.path.join(os.curdir, word)}."
    return UsageError(error.message, remedy=f"{error.remedy}\n{here}" if error.remedy else here)


def refuse_lost_path(path: str | None, words: Sequence[str]) -> None:
    """Say that a path leads nowhere before anything is said of the words behind it.

    Args:
        path: what was taken for the path, if the command takes one.
        words: all that stands behind the command.

    Raises:
        CheckpointError: it leads nowhere; the remedy shows the quotes, if these help.
    """
    if path is None:
        return
    import shlex

    from ckread.model.paths.locate import locate

    whole = " ".join(words)
    try:
        locate(path)
    except CheckpointError as error:
        if any(os.path.exists(whole + suffix) for suffix in ("", ".index")):
            remedy = f"A path with spaces goes in quotes: {shlex.quote(whole)}"
            raise UsageError(f"{path}: no such checkpoint", remedy=remedy) from None
        if isinstance(error, CheckpointNotFoundError):
            raise  # a path that is there, but no checkpoint, leaves the word behind it to be told


# The words of commands over a run: leading ones that resolve on disk are its paths.


def open_run_words(
    words: Sequence[str], arguments: argparse.Namespace, output: Output
) -> tuple[Run, list[str]]:
    """Open the run that the leading words name; the words after them are patterns.

    Raises:
        CheckpointError: the first word leads to no checkpoint.
    """
    from ckread.model.run.run import open_run

    n_paths = 1
    while n_paths < len(words) and _is_path(words[n_paths]):
        n_paths += 1
    run = open_run(list(words[:n_paths]), reader=arguments.reader)
    for note in run.notes:
        output.note(note)
    return run, [*words[n_paths:], *getattr(arguments, "pattern_options", [])]


def _is_path(word: str) -> bool:
    from ckread.model.run.places import find_places

    try:
        return bool(find_places([word]).found)
    except CheckpointError:
        return False
