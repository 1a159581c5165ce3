"""The entry point: which command, its arguments, and what becomes of errors."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from ckread.cli.arguments import (
    Parser,
    add_common,
    add_patterns,
    also_a_path,
    bind_words,
    misspelt,
    no_command,
)
from ckread.cli.commands import COMMANDS, Command, find_command
from ckread.cli.output import Output
from ckread.errors import CheckpointError, CheckpointNotFoundError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import ModuleType

EXIT_DONE = 0
EXIT_TROUBLE = 2
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141

GC_THRESHOLD = (200_000, 20, 20)

HELP = "help"
"""A word that asks for help, as `--help` does."""

TRACEBACK_VARIABLE = "CKREAD_TRACEBACK"
"""Environment variable that lets faults of ckread itself through."""

_TAKES_VALUE = ("--reader", "--color")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ckread; give its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # A listing makes 100,000 objects that live to the end: looking for garbage among
    # them again and again takes a fifth of the time.
    gc.set_threshold(*GC_THRESHOLD)
    # And all of them go when the process does: nobody need look for garbage then.
    atexit.register(gc.freeze)
    output = Output(is_json="--json" in words)
    try:
        code = _run(words, output)
    except BrokenPipeError:
        return _leave_quietly(EXIT_CLOSED_PIPE)
    except KeyboardInterrupt:
        return _leave_quietly(EXIT_INTERRUPTED)
    return code


def _run(words: list[str], output: Output) -> int:
    try:
        call = _parse(words)
        options = call.arguments
        output = Output(
            color=options.color,
            is_json=options.json,
            is_quiet=options.quiet,
            pages=not options.no_pager,
            outlives_pipe=bool(getattr(options, "plot", None) or getattr(options, "output", None)),
        )
        return call.run(output)
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        output.error(_as_checkpoint_error(error, words))
    try:
        output.flush()
    except BrokenPipeError:
        raise
    except OSError:  # a full disk: it has been reported
        return _leave_quietly(EXIT_TROUBLE)
    return EXIT_TROUBLE


def _as_checkpoint_error(error: Exception, words: list[str]) -> CheckpointError:
    """Say in our own form what went wrong, whatever it was."""
    if isinstance(error, CheckpointNotFoundError):
        at = _first_word(words)
        if at is not None and words[at] != HELP and find_command(words[at]) is None:
            return misspelt(words[at], error) or error
    if isinstance(error, CheckpointError):
        return error
    if isinstance(error, OSError):
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        name = error.filename
        where = f"{os.fsdecode(name)}: " if isinstance(name, (str, bytes)) else ""
        return CheckpointError(f"{where}{reason}")
    if isinstance(error, MemoryError):
        return CheckpointError("not enough memory")
    if isinstance(error, RecursionError):
        return CheckpointError("nested too deeply")
    remedy = f"This is a fault of ckread: please report it. {TRACEBACK_VARIABLE}=1 shows where."
    return CheckpointError(f"{type(error).__name__}: {error}", remedy=remedy)


class _Call(NamedTuple):
    """What a command line asks for."""

    command: Command | None
    module: ModuleType | None
    parser: Parser
    arguments: argparse.Namespace

    def run(self, output: Output) -> int:
        """Run the command, or show help or version, and hand all of it over."""
        code = self._run(output)
        output.flush()
        return code

    def _run(self, output: Output) -> int:
        if self.command is None or self.module is None:
            return _run_program(self.arguments, output)
        if self.arguments.help:
            from ckread.cli.help import command_help

            output.render_screen(command_help(self.command, self.module, self.parser))
            return EXIT_DONE
        code: int = self.module.run(self.arguments, output)
        return code


def _run_program(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.version:
        output.lines([f"ckread {import_module('ckread').__version__}"])
    else:
        from ckread.cli.help import program_help

        output.render_screen(program_help())
    return EXIT_DONE


def _parse(words: list[str]) -> _Call:
    at = _first_word(words)
    if at is None or not {"--version", "-V"}.isdisjoint(words[:at]):
        return _parse_program(words[:at])
    word, others = words[at], [*words[:at], *words[at + 1 :]]
    if word == HELP:
        return _parse_help(others)
    command = find_command(word)
    if command is not None:
        try:
            return _parse_command(command, others)
        except UsageError as error:
            raise (also_a_path(word, error) if len(words) == 1 else error) from None
    try:
        call = _parse_command(COMMANDS[0], words)
    except (UsageError, CheckpointNotFoundError) as error:  # a PATH and more: it was a command
        raise misspelt(word, UsageError("")) or no_command(words[at:]) or error from None
    if call.arguments.help and (unknown := misspelt(word, UsageError(""))):
        raise unknown
    return call


def _parse_help(words: list[str]) -> _Call:
    """Understand `help` and `help COMMAND`."""
    at = _first_word(words)
    if at is None:
        return _parse_program(words)
    command = find_command(words[at])
    if command is None:
        remedy = "ckread --help lists the commands."
        error = UsageError(f"{words[at]}: no such command", remedy=remedy)
        raise misspelt(words[at], error) or error
    return _parse_command(command, [*words[:at], *words[at + 1 :], "--help"])


def _parse_program(words: list[str]) -> _Call:
    parser = Parser()
    add_common(parser)
    parser.add_argument("-V", "--version", action="store_true", help="")
    arguments, _ = parser.parse_words(words)
    return _Call(None, None, parser, arguments)


def _parse_command(command: Command, words: list[str]) -> _Call:
    module = import_module(command.module)
    parser = Parser()
    module.add_arguments(parser)
    if "PATTERN" in command.usage:
        add_patterns(parser)
    add_common(parser)
    arguments, rest = parser.parse_words(words)
    if not arguments.help:
        vars(arguments).update(bind_words(command.usage, rest, command.name))
    return _Call(command, module, parser, arguments)


def _first_word(words: list[str]) -> int | None:
    """Find the first argument that is neither an option nor the value of one."""
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            return at if at + 1 < len(words) else None
        if not word.startswith("-") or word == "-":
            return at
        at += 2 if word in _TAKES_VALUE else 1
    return None


def _leave_quietly(code: int) -> int:
    """Point the closed stream at nothing, so that the interpreter's last flush succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (OSError, ValueError, AttributeError):
            continue
    os.close(nowhere)
    return code
