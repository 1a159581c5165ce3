"""What may stand at the cursor: from the registry of commands and from their own parsers.

So a new command, option or choice is completed without a line here. What a word is
by its place in a usage line, or an option's value by its metavar, says `_WORDS`.
"""

from __future__ import annotations

import os
import re
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from ckread.cli.arguments import parser_of
from ckread.cli.commands import COMMANDS, RUN, Command, find_command
from ckread.model.display import safe_text
from ckread.model.paths.locate import locate
from ckread.model.paths.location import (
    DATA_SUFFIX,
    INDEX_SUFFIX,
    KERAS_SUFFIXES,
    META_SUFFIX,
    saved_model_prefix,
)
from ckread.model.selection import natural_key
from ckread.readers.contract import Format
from ckread.views.terminal.words import shape_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ckread.cli.arguments import Parser


# What a path that is being typed may become: checkpoints by their prefix, directories, files.
#
# A directory is listed, no file is opened.

_KERAS_SHARD = re.compile(r"_\d{5}\.weights\.h5\Z")


class _Entry(NamedTuple):
    name: str
    is_directory: bool


def checkpoint_paths(typed: str) -> list[str]:
    """Give the checkpoints and directories that a path may become; any file if there are none.

    A checkpoint is named by its prefix: its files are offered once their suffix is begun.
    Directories end in `/`.
    """
    head, base, entries = _entries(typed)
    names = {entry.name for entry in entries}
    found = {f"{entry.name}/" for entry in entries if entry.is_directory}
    for name in names:
        found.update(part for part in _checkpoint(name, names) if part.startswith(base))
    found = found or {name for name in names if name.startswith(base)}
    return [head + name for name in sorted(found, key=natural_key)]


def file_paths(typed: str) -> list[str]:
    """Give the files and directories that a path may become."""
    head, _, entries = _entries(typed)
    names = [f"{name}/" if is_directory else name for name, is_directory in entries]
    return [head + name for name in sorted(names, key=natural_key)]


def directory_paths(typed: str) -> list[str]:
    """Give the directories that a path may become."""
    return [path for path in file_paths(typed) if path.endswith("/")]


def _checkpoint(name: str, names: set[str]) -> list[str]:
    """Give how a file may be named as a checkpoint, the shortest form first that fits."""
    if name.endswith(INDEX_SUFFIX):
        return [name.removesuffix(INDEX_SUFFIX)]
    if name.endswith(META_SUFFIX) or DATA_SUFFIX.search(name) or _KERAS_SHARD.search(name):
        return []
    is_v1 = f"{name}{META_SUFFIX}" in names
    return [name] if is_v1 or name.endswith(tuple(KERAS_SUFFIXES)) else []


def _entries(typed: str) -> tuple[str, str, list[_Entry]]:
    """List what is at a path so far: how it begins, the last component, entries that fit.

    Names that are not printable are left out: no shell would show them as they are.
    """
    at = typed.rfind("/") + 1
    head, base = typed[:at], typed[at:]
    try:
        with os.scandir(os.path.expanduser(head) or os.curdir) as listed:
            fitting = [
                _Entry(entry.name, entry.is_dir())
                for entry in listed
                if entry.name.startswith(base)
                and (not entry.name.startswith(".") or base.startswith("."))
                and entry.name.isprintable()
            ]
    except (OSError, ValueError):
        fitting = []
    return head, base, fitting


PATHS: dict[str, Callable[[str], list[str]]] = {
    "PATH": checkpoint_paths,
    "A": checkpoint_paths,
    "B": checkpoint_paths,
    "SAVED": checkpoint_paths,
    "TARGET": checkpoint_paths,
    "OTHER": checkpoint_paths,
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
    """Give what the word at the cursor may become."""
    context = _context(words)
    if context.option is not None:
        return _values(context, context.option, typed)
    if typed.startswith("-") and not context.is_literal:
        flag, has_value, value = typed.partition("=")
        option = _option(context.parser, flag)
        if has_value and option is not None:
            found = _values(context, option, value)
            return [given._replace(text=f"{flag}={given.text}") for given in found]
        # The long form of an option, the short one of what has no other.
        options = [
            Candidate(option.option_strings[-1], option.help or "", kind=Kind.WORD)
            for option in context.parser.options
        ]
        return _fitting(options, typed)
    if context.command is None:
        commands = [Candidate(c.name, c.summary, kind=Kind.WORD) for c in COMMANDS]
        paths = _meant(context, "PATH", typed) if typed else []
        return [*_fitting(commands, typed), *paths]
    positionals, at = context.command.positionals, len(context.words)
    if at >= len(positionals) and not positionals[-1].is_many:
        return []
    word = positionals[min(at, len(positionals) - 1)]
    if word.choices:
        return _fitting([Candidate(choice, kind=Kind.WORD) for choice in word.choices], typed)
    found = _meant(context, word.name, typed)
    if not found and word.name in NAMES and RUN in positionals:
        return _meant(context, RUN.name, typed)  # a run may be several paths
    return found


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
            option = option if option is not None and option.nargs not in (0, "?") else None
        elif command is None:
            command = find_command(word) or COMMANDS[0]
            parser = parser_of(command)
            plain += [word] if command.name != word else []
        else:
            plain.append(word)
    return Context(command, parser, plain, option, is_literal)


def _option(parser: Parser, flag: str) -> argparse.Action | None:
    return next((action for action in parser.options if flag in action.option_strings), None)


def _values(context: Context, option: argparse.Action, typed: str) -> list[Candidate]:
    """Give the values of an option: its choices, else what its metavar means."""
    choices = getattr(option.type, "choices", None)
    if choices is not None:
        head = typed[: typed.rfind(",") + 1]
        return _fitting([Candidate(f"{head}{choice}", kind=Kind.WORD) for choice in choices], typed)
    return _meant(context, str(option.metavar), typed)


def _meant(context: Context, word: str, typed: str) -> list[Candidate]:
    """Give what a word of a usage line, or a metavar, means."""
    if word in PATHS:
        return [Candidate(path, kind=Kind.PATH) for path in PATHS[word](typed)]
    if word in NAMES:
        return variable_names(context.words[0], typed) if context.words else []
    return []


def _fitting(known: Sequence[Candidate], typed: str) -> list[Candidate]:
    return [candidate for candidate in known if candidate.text.startswith(typed)]


# What a variable name that is being typed may become: up to the next `/`, as paths do.
#
# The checkpoint is opened as `ls` does, which takes no value from it. Where that would
# take longer than a person waits, raw keys are read from the index alone.

LARGE_INDEX_NBYTES = 1 << 19
"""Of an index from which on only its keys are read: opening it takes 0.1 s and more."""

_NO_NAMES = (b"\0", b"_CHECKPOINTABLE_OBJECT_GRAPH")
"""How keys begin that are no variables: slices of partitioned ones, the object graph."""

_MAX_MEANT = 2000
"""Candidates from which on shapes are not said."""


class Kind(Enum):
    """What may stand in a command line."""

    WORD = auto()
    """A word of ckread's own, which needs no quotes."""
    PATH = auto()
    NAME = auto()


class Candidate(NamedTuple):
    """What may stand in place of the word at the cursor.

    Attributes:
        text: the whole word; one that ends in `/` goes on.
        meaning: a few words on it, or nothing.
        kind: what it is, for how a shell is to quote it.
    """

    text: str
    meaning: str = ""
    kind: Kind = Kind.NAME


def variable_names(path: str, typed: str) -> list[Candidate]:
    """Give what a name may become in the checkpoint at a path; keys where no name fits.

    Names that are not printable are given in the escaped form that ckread prints.
    """
    keys = _keys_of_large_index(path, typed)
    if keys is not None:
        return [Candidate(text) for text in next_components(keys, typed)]
    from ckread.model.opening import open_checkpoint
    from ckread.model.role import Role

    with open_checkpoint(path) as checkpoint:
        variables = [v for v in checkpoint.values() if v.role is not Role.BOOKKEEPING]
        meanings: dict[str, str] = {
            safe_text(v.name): f"{v.dtype} {shape_text(v.shape)}" for v in variables
        }
        found = next_components(meanings, typed)
        found = found or next_components((safe_text(v.key) for v in variables), typed)
    if len(found) > _MAX_MEANT:
        meanings = {}
    return [Candidate(text, meanings.get(text, "")) for text in found]


def next_components(names: Iterable[str], typed: str) -> list[str]:
    """Give the names that begin so, each up to its next `/`; whole where it is the only one.

    Where they all go on alike, they are given one component further.
    """
    fitting = [name for name in names if name.startswith(typed) and name]
    while True:
        ends = [name.find("/", len(typed)) + 1 or len(name) for name in fitting]
        parts: dict[str, list[str]] = {}
        for name, end in zip(fitting, ends, strict=True):
            parts.setdefault(name[:end], []).append(name)
        found = [whole[0] if len(whole) == 1 else part for part, whole in parts.items()]
        if len(found) != 1 or len(fitting) == 1:
            return sorted(found, key=natural_key)
        [typed] = found


def _keys_of_large_index(path: str, typed: str) -> Iterator[str] | None:
    """Give the keys of a large index that begin so; None if the index is not large."""
    location = locate(path)
    is_model = location.format is Format.SAVED_MODEL
    prefix = saved_model_prefix(location.path) if is_model else location.path
    try:
        if os.path.getsize(prefix + INDEX_SUFFIX) < LARGE_INDEX_NBYTES:
            return None
    except OSError:
        return None
    return _keys(prefix + INDEX_SUFFIX, typed.encode("utf-8", "surrogateescape"))


def _keys(index: str, typed: bytes) -> Iterator[str]:
    """Read the blocks of an index up to the last in which a key may begin so."""
    from ckread.readers.files import RegularFile
    from ckread.readers.table import Table

    with RegularFile(index) as file:
        table = Table(file)
        for handle in table.handles():
            entries = table.read_entries(handle)
            if entries and entries[0][0][: len(typed)] > typed:
                return
            for key, _ in entries:
                if key.startswith(typed) and not key.startswith(_NO_NAMES) and key:
                    yield safe_text(key.decode("utf-8", "surrogateescape"))
