"""Every error that a checkpoint, a path or an argument can cause.

A message reads `<file>: <where>: <what was found>, <what was expected>`; the
remedy, if there is one, is kept apart so that a terminal can give it a line of
its own. Each class that has a natural built-in parent inherits from it too, so
`except FileNotFoundError` and `except KeyError` work as a Python user expects.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "CheckpointError",
    "CheckpointNotFoundError",
    "ChecksumError",
    "CorruptCheckpointError",
    "MissingDependencyError",
    "MissingShardError",
    "NotACheckpointError",
    "TruncatedFileError",
    "UnsupportedFeatureError",
    "UsageError",
    "VariableNotFoundError",
]


class CheckpointError(Exception):
    """What cannot be read, found or understood, and what to do about it.

    Every error that ckread raises is one; each kind is in `ckread.errors`.

    Attributes:
        message: one line without a final stop, the remedy left out.
        path: the file it is about, where there is one.
        offset: the byte in that file, where it is known.
        remedy: what the user can do: a sentence, or lines of names or commands.

    Example:
        >>> try:
        ...     ckread.open("fixtures/digits_run/ckpt-11")
        ... except ckread.CheckpointError as error:
        ...     print(type(error).__name__, "-", error)
        CheckpointNotFoundError - fixtures/digits_run/ckpt-11: ...
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        offset: int | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.offset = offset
        self.remedy = remedy
        if remedy is not None:
            self.add_note(remedy)  # Python shows it below the message of a traceback

    def __str__(self) -> str:
        """Give the message alone; `KeyError` would quote it."""
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the keyword arguments, so errors cross processes whole."""
        state = {"path": self.path, "offset": self.offset, "remedy": self.remedy}
        return _rebuild, (type(self), self.message, state)


def _rebuild(kind: type[CheckpointError], message: str, state: dict[str, Any]) -> CheckpointError:
    return kind(message, **state)


# The path or the arguments are wrong.


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """Nothing is at this path; the remedy names what is near."""


class NotACheckpointError(CheckpointError, ValueError):
    """The file is something else; the message says what it looks like."""


class VariableNotFoundError(CheckpointError, KeyError):
    """No variable of this name; the remedy lists the nearest names."""


class UsageError(CheckpointError, ValueError):
    """Arguments that do not fit together, or a slice that does not fit its variable."""


# The file is damaged, or parts of it are missing.


class CorruptCheckpointError(CheckpointError, ValueError):
    """Bytes that contradict the format."""


class TruncatedFileError(CorruptCheckpointError):
    """A file ends before the bytes that are wanted: a torn save or a partial copy."""


class ChecksumError(CorruptCheckpointError):
    """A stored CRC-32C that differs from the computed one; both are in the message."""


class MissingShardError(CheckpointError, FileNotFoundError):
    """A data shard that the index names is not there."""


# The file is sound, and cannot be read here.


class UnsupportedFeatureError(CheckpointError, NotImplementedError):
    """A feature or version of the format that this reader declines."""


class MissingDependencyError(CheckpointError, ImportError):
    """A package is needed that is not installed; the remedy says what to install."""
