"""`--help`: a sentence, examples, usage, commands under their questions, options."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ckread.cli.arguments import Parser, add_common
from ckread.cli.commands import COMMANDS, EXAMPLES, Group
from ckread.views.terminal.page import Lines, Page, Prose, Span
from ckread.views.terminal.table import Column, Table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from ckread.views.terminal.page import Block

SENTENCE = "What is in a TensorFlow checkpoint, is it sound, what changed."

_PATH_NOTE = "PATH is a prefix, any file of a checkpoint, a directory, a SavedModel, .keras or .h5."


def help_page(parser: Parser) -> Page:
    """Give the help of a command, or of the program itself."""
    command = parser.command
    if command is None:
        commands = [
            (group, [(f"{c.name} {c.brief}", c.summary) for c in COMMANDS if c.group is group])
            for group in Group
        ]
        options = [*_option_rows(_common()), ("--help, --version", "")]
        width = max(len(left) for _, rows in [*commands, ("", options)] for left, _ in rows)
        codes = "0 done, 1 they differ or unsound, 2 trouble"
        return Page(
            Prose(SENTENCE),
            _examples((line, meaning) for _, line, meaning in EXAMPLES),
            _section("Usage", [("ckread PATH", ""), ("ckread COMMAND PATH … [options]", "")]),
            *(_section(group, rows, width=width) for group, rows in commands),
            _section("Every command", options, width=width),
            Prose(f"{_PATH_NOTE} Exit code: {codes}."),
        )
    module = import_module(command.module)
    shared = {flag for action in _common() for flag in action.option_strings}
    own = [action for action in parser.options if shared.isdisjoint(action.option_strings)]
    common = [action for action in parser.options if action not in own]
    usage = f"ckread {command.name} {command.usage}{' [options]' if own else ''}"
    exit_code = getattr(module, "EXIT_CODE", "0 done, 2 trouble")
    return Page(
        Prose((module.__doc__ or command.summary).strip().split("\n")[0]),
        _examples(module.EXAMPLES),
        _section("Usage", [(usage, "")]),
        *([_section("Options", _option_rows(own))] if own else []),
        _section("Every command", _option_rows(common)),
        Prose(f"Exit code: {exit_code}."),
    )


def _common() -> list[argparse.Action]:
    """Give the options that every command has."""
    parser = Parser()
    add_common(parser)
    return parser.options


def _heading(title: str) -> Block:
    return Lines([(Span(title, "title"),)])


def _examples(examples: Iterable[tuple[str, str]]) -> list[Block]:
    columns: list[Column[tuple[str, str]]] = [
        Column(title="", shown=lambda row: (Span("  $ ", "muted"), Span(row[0]))),
        Column(title="", shown=lambda row: row[1], style="muted", folds=True),
    ]
    return [_heading("Examples"), Table(columns, list(examples), has_header=False)]


def _section(title: str, rows: list[tuple[str, str]], *, width: int = 0) -> list[Block]:
    columns: list[Column[tuple[str, str]]] = [
        Column(title="", shown=lambda row: f"  {row[0]:<{width}}"),
        Column(title="", shown=lambda row: row[1], folds=True),
    ]
    return [_heading(title), Table(columns, rows, has_header=False)]


def _option_rows(actions: Iterable[argparse.Action]) -> list[tuple[str, str]]:
    """Give spelling and help of options, but of `--help` itself."""
    rows = []
    for action in actions:
        if action.dest != "help":
            flags = ", ".join(action.option_strings)
            metavar = f" {action.metavar}" if action.metavar else ""
            rows.append((f"{flags}{metavar}", action.help or ""))
    return rows
