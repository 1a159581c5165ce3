"""Options and arguments that commands share, and how their words are understood."""

from __future__ import annotations

import argparse
import os
from enum import StrEnum
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from ckread.cli.commands import COMMANDS, PATTERNS, Command, find_command
from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    TextLines,
    UsageError,
    VariableNotFoundError,
)
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


class RaisingParser(argparse.ArgumentParser):
    """A parser that raises instead of exiting."""

    def __init__(self, prefix_chars: str = "-") -> None:
        # The width is given because finding it out would import shutil.
        formatter = partial(argparse.HelpFormatter, width=80)
        super().__init__(
            prog="ckread", add_help=False, allow_abbrev=False, usage="",
            formatter_class=formatter, prefix_chars=prefix_chars,
        )  # fmt: skip

    def error(self, message: str) -> NoReturn:
        """Report arguments that cannot be understood."""
        raise UsageError(message.removeprefix("argument ").replace("-o/--output", "-o"))


class Parser(RaisingParser):
    """The parser of a command, or of the program itself.

    Options may stand anywhere among the positional arguments, and all after `--` is no
    option: so argparse is asked twice, for the options and for the words they left.

    Attributes:
        command: whose parser it is; None for the program's.
        options: in the order of `--help`.
    """

    def __init__(self, command: Command | None = None) -> None:
        super().__init__()
        self.command = command
        self.options: list[argparse.Action] = []
        self._words = RaisingParser(prefix_chars="\0")
        for word in command.positionals if command else ():
            # `*` without a default would count as required.
            self._words.add_argument(
                word.name.lower() + "s" * word.is_many,
                metavar=word.name,
                nargs=word.nargs,
                type=OneOf(word.choices) if word.choices else str,
                default=[] if word.is_many else None,
            )

    def add_argument(self, *flags: str, **settings: Any) -> argparse.Action:
        """Add an option; its help is a line of `--help`."""
        action = super().add_argument(*flags, **settings)
        self.options.append(action)
        return action

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Give the options, and the positional arguments unless help is asked for."""
        at = list(argv).index("--") if "--" in argv else len(argv)
        arguments, words = self.parse_known_args(self._with_every(argv[:at]))
        for word in words:
            if word.startswith("-") and len(word) > 1:
                option = word.split("=")[0]
                near = nearest(option, [flag for x in self.options for flag in x.option_strings])
                hint = f"Did you mean {near}? " if near else ""
                remedy = f"{hint}A name that begins with - goes after --."
                raise UsageError(f"{option}: no such option", remedy=remedy)
        if arguments.json + arguments.markdown + arguments.csv > 1:
            raise UsageError("--json, --markdown and --csv: only one of them")
        if self.command is not None and not arguments.help:
            # argparse binds words to the positional arguments; what does not fit is said here.
            command = self.command
            words = [*words, *argv[at + 1 :]]
            remedy = f"Usage: ckread {command.name} {command.usage}"
            required = [positional for positional in command.positionals if positional.is_required]
            if len(words) < len(required):
                missing = required[len(words)].name
                raise UsageError(f"{command.name}: {missing} is missing", remedy=remedy)
            _, rest = self._words.parse_known_args(words, arguments)
            if rest:
                refuse_lost_path(getattr(arguments, "path", None), words)
                if all(map(os.path.lexists, words)):
                    shell = "Did the shell put these in place of a pattern?"
                    remedy = TextLines(f"{shell} ckread runs and drift take many.", remedy)
                elif command.name == "info":
                    import shlex

                    remedy = f"Patterns go with ls, tree and stats: ckread ls {shlex.join(words)}"
                raise UsageError(f"{command.name}: {rest[0]}: one argument too many", remedy=remedy)
        return arguments

    def _with_every(self, words: Sequence[str]) -> list[str]:
        """Bind the number that may follow `--every` to it, and no other word."""
        if not any("--every" in action.option_strings for action in self.options):
            return list(words)
        bound: list[str] = []
        for word in words:
            if bound and bound[-1] == "--every":
                is_number = word.lstrip("-").isdecimal() and not os.path.lexists(word)
                bound[-1] = f"--every={word}" if is_number else "--every=1"
                if is_number:
                    continue
            bound.append(word)
        return [*bound[:-1], "--every=1"] if bound and bound[-1] == "--every" else bound


def parser_of(command: Command | None) -> Parser:
    """Give the parser of a command, or of the program itself."""
    parser = Parser(command)
    if command is None:
        parser.add_argument("-V", "--version", action="store_true", help="the version")
    else:
        module = import_module(command.module)
        module.add_arguments(parser)
        if PATTERNS in command.positionals:
            parser.add_argument(
                "-p", "--pattern", metavar="PATTERN", action="append", default=[],
                dest="pattern_options", help="only these variables, as PATTERN (repeatable)",
            )  # fmt: skip
            parser.add_argument(
                "--exclude", metavar="PATTERN", action="append", default=[],
                help="not these; '!PATTERN' says the same (repeatable)",
            )  # fmt: skip
            parser.add_argument(
                "--regex", action="store_true", help="patterns are regular expressions"
            )
    add_common(parser, tells_by_code=command is not None and hasattr(module, "EXIT_CODE"))
    return parser


def add_common(parser: Parser, *, tells_by_code: bool = False) -> None:
    """Add what every command has; some answer by their exit code."""
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--markdown", action="store_true", help="tables for a pull request")
    parser.add_argument("--csv", action="store_true", help="tables for a spreadsheet")
    parser.add_argument(
        "--reader", metavar="NAME", type=OneOf(READERS), default="auto",
        help="auto, native or tensorflow",
    )  # fmt: skip
    parser.add_argument(
        "--color", metavar="WHEN", type=OneOf(COLORS), default="auto",
        help="auto, always or never; NO_COLOR is respected",
    )  # fmt: skip
    parser.add_argument("--no-pager", action="store_true", help="long screens as they are")
    parser.add_argument(
        "-q", "--quiet", action="store_true",
        help="the exit code alone tells" if tells_by_code else "results only, no notes",
    )  # fmt: skip
    parser.set_defaults(tells_by_code=tells_by_code, command=parser.command)
    parser.add_argument("-h", "--help", action="store_true", help="this help")


def add_every(parser: Parser) -> None:
    """Add `--every`: None where it is not given, else 1 or the number that follows it."""
    parser.add_argument(
        "--every", metavar="N", nargs="?", type=positive,
        help="every checkpoint of a run, or every Nth from the last",
    )  # fmt: skip


def add_why(parser: Parser) -> None:
    """Add `--why`, which `Output.render` heeds."""
    parser.add_argument(
        "--why", action="store_true", help="what told each claim, and what was not believed"
    )


def add_roles(parser: Parser) -> None:
    """Add `--role`, to be given to `has_role`."""
    parser.add_argument(
        "--role", metavar="ROLE", type=SeveralOf(Role, has_all=True), action="append", default=[],
        help="weight, statistic, slot, average, counter … or all",
    )  # fmt: skip


def add_sort(parser: Parser, orders: Sequence[str]) -> None:
    """Add `--sort`; the first order is the default."""
    parser.add_argument(
        "--sort", metavar="ORDER", type=OneOf(orders), default=orders[0], help=join_or(orders)
    )


def add_strict(parser: Parser) -> None:
    """Add `--strict`."""
    parser.add_argument(
        "--strict", action="store_true", help="exit code 1 for what loading would run"
    )


def add_top(parser: Parser, meaning: str = "the first N only") -> None:
    """Add `--top N`."""
    parser.add_argument("--top", metavar="N", type=positive, help=meaning)


def add_jobs(parser: Parser) -> None:
    """Add what `reading` heeds: `--jobs`, `--scheduler`, `--yes`."""
    parser.add_argument(
        "--jobs", metavar="N", type=positive, help="processes to use (default: what is worth it)"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="let the workers of this Dask cluster read"
    )
    add_yes(parser)


def add_yes(parser: Parser) -> None:
    """Add `--yes`."""
    parser.add_argument(
        "-y", "--yes", action="store_true", help="read more than 10 GiB from afar without asking"
    )


def keep_blas_in_one_thread() -> None:
    """Say so before numpy is imported: its threads cost more than they gain on sums of chunks.

    With one busy neighbour two BLAS threads take three times as long as one. And a
    process with a single thread may fork its workers.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


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
        """Give the word."""
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
        self.choices: list[str] = [*map(str, kind), *(["all"] if has_all else [])]

    def __call__(self, text: str) -> tuple[Member, ...]:
        """Give the members."""
        words = [OneOf(self.choices)(word.strip()) for word in text.split(",")]
        if "all" in words and "all" in self.choices:
            return tuple(self._kind)
        return tuple(map(self._kind, words))


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


def patterns_of(arguments: argparse.Namespace) -> list[str]:
    """Give the patterns, from words and options."""
    return _patterns(arguments.patterns, arguments)


def _patterns(words: Sequence[str], arguments: argparse.Namespace) -> list[str]:
    left_out = [f"!{pattern}" for pattern in arguments.exclude]
    patterns = [*words, *arguments.pattern_options, *left_out]
    if not arguments.regex:
        return patterns
    from ckread.model.selection import Regex

    return [Regex(pattern) for pattern in patterns]


def open_path(path: str, arguments: argparse.Namespace, output: Output) -> Checkpoint:
    """Open a checkpoint with the chosen reader; what was decided becomes notes."""
    from ckread.model.opening import open_checkpoint

    checkpoint = open_checkpoint(path, reader=arguments.reader)
    for note in checkpoint.notes:
        output.note(note)
    return checkpoint


# Words that are neither a command nor a checkpoint: what a person may have meant.


def misspelt(word: str, error: CheckpointError) -> CheckpointError | None:
    """Say that a word is no command, if it could have been meant as one."""
    if os.path.lexists(word) or os.sep in word:
        return None
    near = nearest(word, [command.name for command in COMMANDS])
    if near is None:
        return None
    nearby = error.remedy if isinstance(error, CheckpointNotFoundError) else None
    remedy = TextLines(f"Did you mean ckread {near}?", nearby)
    return type(error)(f"{word}: no such command or checkpoint", remedy=remedy)


def no_command(words: Sequence[str]) -> CheckpointError | None:
    """Say what is wrong where more than a PATH follows no command."""
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


def with_hint(error: CheckpointError, arguments: argparse.Namespace) -> CheckpointError:
    """Add to an error about a path or pattern what its words look like: paths, in another order."""
    if not isinstance(error, (CheckpointNotFoundError, VariableNotFoundError)):
        return error
    command: Command = arguments.command
    words: list[str] = []
    n_paths = 0  # words that are to be paths: behind them come names and patterns
    for positional in command.positionals:
        given = getattr(arguments, positional.name.lower() + "s" * positional.is_many)
        words += given if isinstance(given, list) else [given or ""]
        n_paths = n_paths if positional.name in ("NAME", "PATTERN") else len(words)
    hint = None
    if isinstance(error, CheckpointNotFoundError):
        if not _is_place(words[0]) and any(_is_place(word) for word in words[n_paths:] if word):
            import shlex

            paths = [word for word in words if _is_place(word)]
            others = [word for word in words if word not in paths]
            first = "paths come" if len(paths) > 1 else "path comes"
            hint = f"The {first} first: ckread {shlex.join([command.name, *paths, *others])}"
            return error.within(remedy=hint)
    elif command.name == "diff" and any(map(_is_place, words[2:])):
        hint = "diff takes two checkpoints, then patterns; ckread drift takes a whole run."
    elif any(word and os.path.lexists(word) for word in words[1:]):
        hint = "Did the shell put names of files in place of a pattern? It goes in quotes: 'conv*'"
    return error if hint is None else error.within(remedy=TextLines(hint, error.remedy))


def _is_place(word: str) -> bool:
    from ckread.model.paths.locate import locate

    try:
        locate(word)
    except CheckpointError:
        return False
    return True


def also_a_path(word: str, error: UsageError) -> UsageError:
    """Add to the error of a command that stands alone how a path of its name is opened."""
    if not any(os.path.lexists(word + suffix) for suffix in ("", ".index")):
        return error
    here = f"What is called so here is opened as {os.path.join(os.curdir, word)}."
    return UsageError(error.message, remedy=TextLines(error.remedy, here))


def refuse_lost_path(path: str | None, words: Sequence[str]) -> None:
    """Say that a path leads nowhere before anything is said of the words behind it."""
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


def open_run_words(arguments: argparse.Namespace, output: Output) -> tuple[Run, list[str]]:
    """Open the run that RUN and leading PATTERNs name; what follows them are the patterns."""
    from ckread.model.run.entries import find_places
    from ckread.model.run.run import open_run

    def is_path(word: str) -> bool:
        try:
            return bool(find_places([word]).found)
        except CheckpointError:
            return False

    words = [arguments.run, *arguments.patterns]
    n_paths = 1
    while n_paths < len(words) and is_path(words[n_paths]):
        n_paths += 1
    run = open_run(words[:n_paths], reader=arguments.reader)
    for note in run.notes:
        output.note(note)
    return run, _patterns(words[n_paths:], arguments)
