"""The entry point: which command, its arguments, and what becomes of errors."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, TextIO

from ckread.cli.arguments import (
    Parser,
    also_a_path,
    misspelt,
    no_command,
    parser_of,
    with_hint,
)
from ckread.cli.commands import COMMANDS, Command, find_command
from ckread.cli.output import Output
from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    UsageError,
    at_command_line,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

EXIT_DONE = 0
EXIT_TROUBLE = 2
EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141
EXIT_SIGNALLED = 128
"""And the number of the signal: 143 of SIGTERM."""

HELP = "help"
"""A word that asks for help, as `--help` does."""

TRACEBACK_VARIABLE = "CKREAD_TRACEBACK"
"""Environment variable that lets faults of ckread itself through."""

_TAKES_VALUE = ("--reader", "--color")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ckread; give its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # All objects go when the process does: nobody need look for garbage then.
    atexit.register(gc.freeze)
    try:
        with _signals() as received, at_command_line():
            return _run(words, received)
    except BrokenPipeError:
        return _leave_quietly(EXIT_CLOSED_PIPE)
    except KeyboardInterrupt:
        return _leave_quietly(EXIT_INTERRUPTED)
    except _Ended as end:
        return _leave_quietly(EXIT_SIGNALLED + end.args[0])


class _Ended(BaseException):
    """A signal that ends the program, which first takes away what it left half written."""


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Let signals that end a program be exceptions; those that are ignored stay so.

    Gives the numbers of those that came: a library may make another error of the exception, as
    numpy does while it is imported.
    """
    received: list[int] = []

    def interrupt(number: int, _: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # a second one would cut the cleaning up short
        received.append(number)
        raise _Ended(number)

    handlers = {signal.SIGINT: interrupt, signal.SIGTERM: end}
    if hasattr(signal, "SIGHUP"):  # not on Windows
        handlers[signal.SIGHUP] = end
    before = {number: signal.getsignal(number) for number in handlers}
    try:
        for number, handler in handlers.items():
            if before[number] is signal.SIG_DFL:
                signal.signal(number, handler)
    except ValueError:  # not in the main thread, to which signals go
        pass
    try:
        yield received
    finally:
        for number, handler_before in before.items():
            if handler_before is signal.SIG_DFL and signal.getsignal(number) is not handler_before:
                signal.signal(number, handler_before)


def _run(words: list[str], received: list[int]) -> int:
    """Do what a command line asks for; report what goes wrong, if not a signal that came."""
    output = Output(is_json="--json" in words)
    arguments = None
    try:
        parser, arguments = _parse(words)
        writes = getattr(arguments, "plot", None) or getattr(arguments, "output", None)
        output = Output(
            color=arguments.color,
            is_json=arguments.json,
            is_quiet=arguments.quiet,
            is_silent=arguments.quiet and arguments.tells_by_code,
            pages=not arguments.no_pager,
            tells_why=getattr(arguments, "why", False),
            outlives_pipe=bool(writes),
            markup="markdown" if arguments.markdown else "csv" if arguments.csv else "",
        )
        code = EXIT_DONE
        if parser.command is None and arguments.version:
            output.lines([f"ckread {import_module('ckread').__version__}"])
        elif parser.command is None or arguments.help:
            from ckread.cli.help import help_page

            output.render_screen(help_page(parser))
        else:
            code = import_module(parser.command.module).run(arguments, output)
        output.flush()
    except BrokenPipeError:
        raise
    except Exception as error:
        if received:
            raise _Ended(received[0]) from None
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        told = _as_checkpoint_error(error, words)
        if arguments is not None and arguments.command is not None:
            told = with_hint(told, arguments)
        _report(told, output)
        return EXIT_TROUBLE
    return code


def _report(error: CheckpointError, output: Output) -> None:
    """Report an error where it is to be, or, if that cannot be written to, on stderr."""
    try:
        output.error(error)
        output.flush()
    except BrokenPipeError:
        raise
    except OSError:  # a full disk
        _leave_quietly(EXIT_TROUBLE, sys.stdout)
        try:
            said = Output()
            if output.is_json:
                said.error(error)
            said.flush()
        except OSError:
            _leave_quietly(EXIT_TROUBLE)


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


def _parse(words: list[str]) -> tuple[Parser, argparse.Namespace]:
    """Understand a command line: a command, its options and arguments."""
    at = _first_word(words)
    if at is None or not {"--version", "-V"}.isdisjoint(words[:at]):
        return _parsed(None, words[:at])
    word, others = words[at], [*words[:at], *words[at + 1 :]]
    if word == HELP:
        at = _first_word(others)
        if at is None:
            return _parsed(None, others)
        command = find_command(others[at])
        if command is None:
            remedy = "ckread --help lists the commands."
            error = UsageError(f"{others[at]}: no such command", remedy=remedy)
            raise misspelt(others[at], error) or error
        return _parsed(command, [*others[:at], *others[at + 1 :], "--help"])
    command = find_command(word)
    if command is not None:
        try:
            return _parsed(command, others)
        except UsageError as error:
            raise (also_a_path(word, error) if len(words) == 1 else error) from None
    try:
        parser, arguments = _parsed(COMMANDS[0], words)
    except (UsageError, CheckpointNotFoundError) as error:  # a PATH and more: it was a command
        raise misspelt(word, UsageError("")) or no_command(words[at:]) or error from None
    if arguments.help and (unknown := misspelt(word, UsageError(""))):
        raise unknown
    return parser, arguments


def _parsed(command: Command | None, words: list[str]) -> tuple[Parser, argparse.Namespace]:
    parser = parser_of(command)
    return parser, parser.parse(words)


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


def _leave_quietly(code: int, *streams: TextIO | None) -> int:
    """Point closed streams at nothing, so that the interpreter's last flush succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams or (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
            stream.flush()  # type: ignore[union-attr]
        except (OSError, ValueError, AttributeError):
            continue
    os.close(nowhere)
    return code
