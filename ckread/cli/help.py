"""`--help`: a sentence, examples, usage, commands under their questions, options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckread.cli.arguments import Parser, add_common
from ckread.cli.commands import COMMANDS, EXAMPLES, Command, Group
from ckread.views.terminal.page import Lines, Page, Prose, Span
from ckread.views.terminal.table import Column, Table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from types import ModuleType

    from ckread.views.terminal.page import Block

SENTENCE = "What is in a TensorFlow checkpoint, is it sound, what changed."

_PATH_NOTE = "PATH is a prefix, any file of a checkpoint, a directory, a SavedModel, .keras or .h5."


def program_help() -> Page:
    """Give the help of ckread itself: only the commands there are."""
    names = {command.name for command in COMMANDS}
    examples = [(line, meaning) for name, line, meaning in EXAMPLES if name in names]
    usage = [("ckread PATH", ""), ("ckread COMMAND PATH … [options]", "")]
    commands = [
        (group, [(f"{c.name} {c.usage}", c.summary) for c in COMMANDS if c.group is group])
        for group in Group
    ]
    shared = Parser()
    add_common(shared)
    options = [*_option_rows(shared.listed), ("--help, --version", "")]
    width = _width([*(row for _, rows in commands for row in rows), *options])
    return Page(
        _sentence(SENTENCE),
        _examples(examples),
        _section("Usage", usage),
        *(_section(group, rows, width=width) for group, rows in commands if rows),
        _section("Every command", options, width=width),
        _sentence(f"{_PATH_NOTE} Exit code: {_exit_codes(names)}."),
    )


def command_help(command: Command, module: ModuleType, parser: Parser) -> Page:
    """Give the help of one command: its options, not those that all have."""
    shared = Parser()
    add_common(shared)
    common = {flag for action in shared.listed for flag in action.option_strings}
    own = [action for action in parser.listed if not common & set(action.option_strings)]
    usage = f"ckread {command.name} {command.usage}{' [options]' if own else ''}"
    exit_code = getattr(module, "EXIT_CODE", "0 done, 2 trouble")
    return Page(
        _sentence((module.__doc__ or command.summary).strip().split("\n")[0]),
        _examples(module.EXAMPLES),
        _section("Usage", [(usage, "")]),
        *([_section("Options", _option_rows(own))] if own else []),
        _section("Every command", _option_rows(shared.listed)),
        _sentence(f"Exit code: {exit_code}."),
    )


def _exit_codes(names: set[str]) -> str:
    if names & {"diff", "check"}:
        return "0 done, 1 they differ or unsound, 2 trouble"
    return "0 done, 2 trouble"


def _sentence(text: str) -> Block:
    return Prose(text)


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


def _width(rows: Iterable[tuple[str, str]]) -> int:
    return max(len(left) for left, _ in rows)


def _option_rows(actions: Iterable[argparse.Action]) -> list[tuple[str, str]]:
    """Give an option's spelling and its help; options without help are not shown."""
    rows = []
    for action in actions:
        if action.help:
            flags = ", ".join(action.option_strings)
            metavar = f" {action.metavar}" if action.metavar else ""
            rows.append((f"{flags}{metavar}", action.help))
    return rows
