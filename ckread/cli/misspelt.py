"""Words that are neither a command nor a checkpoint: what a person may have meant."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckread.cli.commands import COMMANDS, find_command
from ckread.cli.options import nearest
from ckread.errors import CheckpointError, CheckpointNotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    from ckread.model.paths import locate

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

    from ckread.model.paths import locate

    whole = " ".join(words)
    try:
        locate(path)
    except CheckpointError as error:
        if any(os.path.exists(whole + suffix) for suffix in ("", ".index")):
            remedy = f"A path with spaces goes in quotes: {shlex.quote(whole)}"
            raise UsageError(f"{path}: no such checkpoint", remedy=remedy) from None
        if isinstance(error, CheckpointNotFoundError):
            raise  # a path that is there, but no checkpoint, leaves the word behind it to be told
