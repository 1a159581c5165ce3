"""A file that appears whole or not at all, and never in place of another unasked."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from ckread.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


def check_free(path: str, *, force: bool) -> None:
    """See that a path may be written, before anything is read.

    Raises:
        UsageError: something is there already, or its directory is not.
    """
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        raise UsageError(f"{directory}: no such directory to write to", path=path)
    if os.path.lexists(path):
        if os.path.exists(path) and not os.path.isfile(path):
            raise UsageError(f"{path}: not a regular file, nothing was written", path=path)
        if not force:
            remedy = "Choose another name, or add --force to replace it."
            raise UsageError(f"{path}: exists already", path=path, remedy=remedy)


@contextmanager
def new_file(path: str, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that takes its name once it is complete; nothing is left on failure.

    Raises:
        UsageError: as `check_free`.
    """
    check_free(path, force=force)
    target = os.path.realpath(path)
    partial = f"{target}.{os.getpid()}.partial"
    try:
        with open(partial, "xb") as file:
            yield file
        if force:
            os.replace(partial, target)
        else:
            _place(partial, target)
    finally:
        if os.path.lexists(partial):
            os.unlink(partial)


def _place(partial: str, target: str) -> None:
    """Give a finished file its name, unless another has taken it meanwhile."""
    try:
        os.link(partial, target)
    except FileExistsError:
        check_free(target, force=False)
        raise
    except OSError:  # a file system without links
        check_free(target, force=False)
        os.replace(partial, target)
