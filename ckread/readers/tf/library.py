"""TensorFlow as a library: imported when it is needed, without a word, its errors as ours."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from ckread.errors import (
    CheckpointError,
    ChecksumError,
    MissingDependencyError,
    MissingShardError,
    NotACheckpointError,
    TruncatedFileError,
    UnsupportedFeatureError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_STDERR = 2
_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# TensorFlow raises most of these as one class of unknown cause: the text decides.
_CAUSES: tuple[tuple[str, type[CheckpointError]], ...] = (
    (r"\.data-\d+-of-\d+; No such file", MissingShardError),
    (r"Read less bytes|too short", TruncatedFileError),
    (r"[Cc]hecksum", ChecksumError),
    (r"not an sstable", NotACheckpointError),
    (r"not supported|not convertible|Sliced checkpoints|consumer|codec", UnsupportedFeatureError),
)


def import_tensorflow(path: str) -> Any:
    """Give TensorFlow, whose log goes nowhere while it starts."""
    try:
        with _silence():
            import tensorflow

            # Resolved when first used, with log of its own.
            _ = tensorflow.train.load_checkpoint, tensorflow.train.list_variables
    except ImportError as error:
        is_absent = isinstance(error, ModuleNotFoundError)
        why = "is not installed" if is_absent else f"cannot be loaded: {error}"
        found = f"TensorFlow is needed to read this, and {why}"
        remedy = "Install it: pip install tensorflow"
        raise MissingDependencyError(found, path=path, remedy=remedy) from None
    return tensorflow


@contextlib.contextmanager
def our_errors(path: str, key: str | None = None) -> Iterator[None]:
    """Turn whatever TensorFlow raises into an error of this library."""
    try:
        yield
    except CheckpointError:
        raise
    except MemoryError:
        raise CheckpointError("not enough memory").within(key, path=path) from None
    except Exception as error:
        text = " ".join(str(error).split())
        kind = next((kind for cause, kind in _CAUSES if re.search(cause, text)), CheckpointError)
        raise kind(f"TensorFlow says: {text}").within(key, path=path) from None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send the error stream of the process nowhere: C++ writes to it, whatever its level."""
    if "tensorflow" in sys.modules:
        yield
        return
    with contextlib.ExitStack() as undo:
        if _LOG_LEVEL not in os.environ:
            os.environ[_LOG_LEVEL] = "3"
            undo.callback(os.environ.pop, _LOG_LEVEL, None)
        with contextlib.suppress(OSError):  # no error stream, nothing to silence
            kept = os.dup(_STDERR)
            undo.callback(os.close, kept)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            undo.callback(os.close, nowhere)
            os.dup2(nowhere, _STDERR)
            undo.callback(os.dup2, kept, _STDERR)
        yield
