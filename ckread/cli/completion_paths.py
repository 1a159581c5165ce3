"""What a path that is being typed may become: checkpoints by their prefix, directories, files.

A directory is listed, no file is opened.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from ckread.model.location import DATA_SUFFIX, INDEX_SUFFIX, KERAS_SUFFIXES, META_SUFFIX
from ckread.model.patterns import natural_key

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
