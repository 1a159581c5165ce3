"""What may stand at the cursor: from the registry of commands and from their own parsers.

So a new command, option or choice is completed without a line here. What a word is
by its place in a usage line, or an option's value by its metavar, says `_WORDS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from ckread.cli.commands import COMMANDS, Command, find_command
from ckread.cli.completion_names import Candidate, Kind, variable_names
from ckread.cli.completion_paths import checkpoint_paths, directory_paths, file_paths
from ckread.cli.options import USAGE_WORD, Parser, add_common, add_patterns

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

PATHS: dict[str, Callable[[str], list[str]]] = {
    "PATH": checkpoint_paths,
    "A": checkpoint_paths,
    "B": checkpoint_paths,
    "RUN": checkpoint_paths,
    "DIR": directory_paths,
    "LOG": file_paths,
    "FILE": file_paths,
}
"""Words of usage lines and metavars that mean files."""

NAMES = ("NAME", "PATTERN")
"""Those that mean variables of the checkpoint before them."""


class Context(NamedTuple):
    """The command that is being typed.

    Attributes:
        command: it, if its word is there; `info` if a path stands in its place.
        parser: of its options.
        words: the words before the cursor that are no options nor values of one.
        option: the option whose value is being typed.
        is_literal: whether `--` came before, after which nothing is an option.
    """

    command: Command | None
    parser: Parser
    words: list[str]
    option: argparse.Action | None
    is_literal: bool


def candidates(words: Sequence[str], typed: str) -> list[Candidate]:
    """Give what the word at the cursor may become.

    Args:
        words: the whole words before it, without the program.
        typed: the word so far.

    Raises:
        CheckpointError: the checkpoint that has the names cannot be opened.
    """
    context = _context(words)
    if context.option is not None:
        return _values(context, context.option, typed)
    if typed.startswith("-") and not context.is_literal:
        flag, has_value, value = typed.partition("=")
        option = _option(context.parser, flag)
        if has_value and option is not None:
            found = _values(context, option, value)
            return [given._replace(text=f"{flag}={given.text}") for given in found]
        return _fitting(_options(context.parser), typed)
    return _positional(context, typed)


def parser_of(command: Command | None) -> Parser:
    """Give the parser of a command, or of the program itself."""
    parser = Parser()
    if command is None:
        parser.add_argument("--version", action="store_true", help="the version")
    else:
        import_module(command.module).add_arguments(parser)
        if "PATTERN" in command.usage:
            add_patterns(parser)
    add_common(parser)
    return parser


def _context(words: Sequence[str]) -> Context:
    """Tell options from words, with the parser of the command as soon as that is known."""
    command: Command | None = None
    parser = parser_of(None)
    plain: list[str] = []
    option: argparse.Action | None = None
    is_literal = False
    for word in words:
        if option is not None:
            option = None
        elif word == "--" and not is_literal:
            is_literal = True
        elif word.startswith("-") and len(word) > 1 and not is_literal:
            option = None if "=" in word else _option(parser, word)
            option = option if option is not None and _takes_value(option) else None
        elif command is None:
            command = find_command(word) or COMMANDS[0]
            parser = parser_of(command)
            plain += [word] if command.name != word else []
        else:
            plain.append(word)
    return Context(command, parser, plain, option, is_literal)


def _option(parser: Parser, flag: str) -> argparse.Action | None:
    return next((action for action in parser.listed if flag in action.option_strings), None)


def _takes_value(option: argparse.Action) -> bool:
    return option.nargs != 0


def _options(parser: Parser) -> list[Candidate]:
    """Give the options: long ones, and short ones that have no other form."""
    return [
        Candidate(action.option_strings[-1], action.help or "this help", kind=Kind.WORD)
        for action in parser.listed
    ]


def _values(context: Context, option: argparse.Action, typed: str) -> list[Candidate]:
    """Give the values of an option: its choices, else what its metavar means."""
    choices = getattr(option.type, "choices", None)
    if choices is not None:
        head = typed[: typed.rfind(",") + 1]
        return _fitting([Candidate(f"{head}{choice}", kind=Kind.WORD) for choice in choices], typed)
    return _meant(context, str(option.metavar), typed)


def _positional(context: Context, typed: str) -> list[Candidate]:
    if context.command is None:
        commands = [Candidate(c.name, c.summary, kind=Kind.WORD) for c in COMMANDS]
        paths = _meant(context, "PATH", typed) if typed else []
        return [*_fitting(commands, typed), *paths]
    word = _word_at(context.command, len(context.words))
    found = _meant(context, word, typed) if word else []
    if not found and word in NAMES and context.command.usage.startswith("RUN"):
        return _meant(context, "RUN", typed)  # a run may be several paths
    return found


def _word_at(command: Command, at: int) -> str | None:
    """Give the name of a word in a usage line; the last takes the rest if there may be many."""
    words = list(USAGE_WORD.finditer(command.usage))
    if at < len(words):
        return words[at]["name"]
    return words[-1]["name"] if words and words[-1]["is_many"] else None


def _meant(context: Context, word: str, typed: str) -> list[Candidate]:
    if word in PATHS:
        return [Candidate(path, kind=Kind.PATH) for path in PATHS[word](typed)]
    if word in NAMES:
        return variable_names(context.words[0], typed) if context.words else []
    choices = getattr(import_module(context.command.module), word, ()) if context.command else ()
    return _fitting([Candidate(choice, kind=Kind.WORD) for choice in choices], typed)


def _fitting(known: Sequence[Candidate], typed: str) -> list[Candidate]:
    return [candidate for candidate in known if candidate.text.startswith(typed)]
