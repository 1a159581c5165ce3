"""The file of `--rename-map`: names of the first checkpoint and of the second, as JSON."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from ckread.cli.new_file import new_file
from ckread.errors import CheckpointNotFoundError, CorruptCheckpointError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_rename_map(path: str) -> dict[str, str]:
    """Read old names and their new ones from a JSON object.

    Raises:
        CheckpointNotFoundError: the file cannot be read.
        CorruptCheckpointError: it is not an object of names.
        UsageError: two old names have one new name.
    """
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise CheckpointNotFoundError(f"{path}: {error.strerror}", path=path) from None
    except (ValueError, RecursionError) as error:
        message = f"{path}: not a JSON document, {error}"
        raise CorruptCheckpointError(message, path=path) from None
    if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
        message = f"{path}: not a rename map, expected an object of old names and new names"
        raise CorruptCheckpointError(message, path=path)
    twice = [name for name, count in Counter(document.values()).items() if count > 1]
    if twice:
        raise UsageError(f"{path}: several old names become {twice[0]}", path=path)
    return document


def write_rename_map(path: str, renames: Mapping[str, str]) -> None:
    """Write old names and new ones into a new file.

    Raises:
        UsageError: the file cannot be written.
    """
    text = json.dumps(renames, indent=2, ensure_ascii=True)
    try:
        with new_file(path) as file:
            file.write(f"{text}\n".encode("ascii"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", path=path) from None
