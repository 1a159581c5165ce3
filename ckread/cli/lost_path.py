"""Words too many behind a path that leads nowhere: it may lack its quotes."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from ckread.errors import CheckpointError, CheckpointNotFoundError, UsageError
from ckread.model.paths import locate

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    whole = " ".join(words)
    try:
        locate(path)
    except CheckpointError as error:
        if any(os.path.exists(whole + suffix) for suffix in ("", ".index")):
            remedy = f"A path with spaces goes in quotes: {shlex.quote(whole)}"
            raise UsageError(f"{path}: no such checkpoint", remedy=remedy) from None
        if isinstance(error, CheckpointNotFoundError):
            raise
