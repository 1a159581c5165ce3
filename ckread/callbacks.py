"""A Keras callback that keeps the training curves through crashes and restarts.

    logger = HistoryLogger("run/history.json")
    model.fit(…, initial_epoch=logger.initial_epoch, callbacks=[logger, …])

The file is the JSON of a list with a record per epoch, `[{"epoch": 1, "iterations": 90,
"loss": …}]`, which `ckread history` reads; by the iterations it knows which checkpoint
holds which epoch. It is replaced as a whole after each epoch, so a crash at any moment
leaves either the old or the new one.

Several processes and threads may write one file: whoever writes holds a lock of its directory,
reads what the others wrote, and puts its own epoch among them. A training is never ended or
held up by its log: what cannot be written is kept for the next epoch, with one warning.
"""

from __future__ import annotations

import json
import math
import os
import stat
import threading
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError, CheckpointNotFoundError, MissingDependencyError
from ckread.readers.files import read_bounded

try:
    from keras.callbacks import Callback
except ImportError:
    try:
        from tf_keras.callbacks import Callback
    except ImportError:
        _REMEDY = "Install it: pip install keras"
        raise MissingDependencyError("Keras is not installed", remedy=_REMEDY) from None

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Record = dict[str, Any]

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_MAX_NBYTES = 1 << 28
_MAX_ELEMENTS = 1000
"""Of an array among the metrics; of a larger one the shape is written."""
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)  # not on Windows
_PATIENCE_SECONDS = 10.0
"""How long others may write before an epoch is left for the next time."""


class HistoryLogger(Callback):  # type: ignore[misc]
    """Writes the metrics of each epoch to a JSON file, and continues it after a restart.

    An epoch that is trained again replaces its record. A list of records that another
    program wrote is continued, its records numbered from 1 where they have no epoch. A
    file that is no such log is never overwritten: it is kept aside, with a warning.

    Numbers are written as such; text, None, lists and small arrays as they are; a metric that
    has the name of a count, `epoch` or `iterations`, as `epoch (metric)`. A link stays one, and
    the file has the permissions that it had, or those that the umask gives. Several loggers may
    write one file at once.

    Example:
        >>> import tempfile
        >>> from ckread.callbacks import HistoryLogger
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     logger = HistoryLogger(f"{folder}/history.json")
        ...     logger.on_epoch_end(0, {"loss": 0.5})  # as `fit(…, callbacks=[logger])` does
        ...     again = HistoryLogger(logger.path)
        >>> again.initial_epoch, again.records
        (1, [{'epoch': 1, 'loss': 0.5}])

    Attributes:
        path: the file.
        records: one per epoch, in order; `epoch` counts from 1.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self.path: str = os.fsdecode(path)
        self.records: list[Record] = []
        self._has_warned = False
        self._update([])

    @property
    def initial_epoch(self) -> int:
        """What to give to `fit` as `initial_epoch`: how many epochs are done.

        With `BackupAndRestore` it is not needed: Keras then resumes by itself.
        """
        return max((record["epoch"] for record in self.records), default=0)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write the record of an epoch; Keras counts epochs from 0."""
        record: Record = {"epoch": int(epoch) + 1}
        try:
            iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
            if iterations is not None:
                record["iterations"] = int(iterations)
            for name, value in (logs or {}).items():
                record[f"{name} (metric)" if name in record else str(name)] = _plain(value)
        except Exception as error:
            self._warn(error)
        self._update([record])

    def _update(self, new: list[Record]) -> None:
        """Read what is there, put new records among them, and write them; warn of failure."""
        target = os.path.realpath(self.path)
        try:
            if new:
                os.makedirs(os.path.dirname(target), exist_ok=True)
            with _locked(os.path.dirname(target)) as is_locked:
                self._put(self._read(target))
                self._put(new)
                if new:
                    _write(target, self.records, is_alone=is_locked)
        except Exception as error:
            self._put(new)
            self._warn(error)

    def _put(self, records: list[Record]) -> None:
        known = {record["epoch"]: record for record in (*self.records, *records)}
        self.records = [known[epoch] for epoch in sorted(known)]

    def _read(self, target: str) -> list[Record]:
        try:
            records = json.loads(read_bounded(target, _MAX_NBYTES))
        except CheckpointNotFoundError:
            return []
        except (ValueError, RecursionError) as error:
            if isinstance(error, CheckpointError):
                raise
            records = None
        if isinstance(records, list) and all(isinstance(record, dict) for record in records):
            return _numbered(records)
        number = 1
        while os.path.lexists(aside := f"{target}.unreadable-{number}"):
            number += 1
        os.rename(target, aside)
        message = f"{self.path} is not a log of epochs; it was kept aside as {aside}"
        warnings.warn(message, stacklevel=4)
        return []

    def _warn(self, error: Exception) -> None:
        if not self._has_warned:
            self._has_warned = True
            reason = error if isinstance(error, CheckpointError) else f"{self.path}: {error}"
            message = f"{reason}; epochs are kept, and written once that is possible"
            warnings.warn(message, stacklevel=4)


@contextmanager
def _locked(directory: str) -> Iterator[bool]:
    """Be the only one that writes here; the system gives the lock of who dies to the next.

    Where a file system knows no locks it is False, and there may be one writer.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | _CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield _has_lock(descriptor)
    finally:
        os.close(descriptor)


def _has_lock(descriptor: int) -> bool:
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # Windows
        return False
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            flock(descriptor, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError("others write there all the time") from None
            time.sleep(0.002)
        except OSError:
            return False
        else:
            return True


def _write(target: str, records: list[Record], *, is_alone: bool) -> None:
    """Replace a file as a whole."""
    directory, name = os.path.split(target)
    try:
        mode = stat.S_IMODE(os.stat(target).st_mode)
    except FileNotFoundError:
        mode = None
    writer = "" if is_alone else f".{os.getpid()}-{threading.get_ident()}"
    partial = os.path.join(directory, f".{name}{writer}.partial")
    try:
        if os.path.lexists(partial):  # of one that died
            os.unlink(partial)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOEXEC
        with open(os.open(partial, flags, 0o666), "w", encoding="utf-8") as file:
            json.dump(records, file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            if mode is not None:
                os.chmod(partial, mode)
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise


def _numbered(records: list[Record]) -> list[Record]:
    """Count the epochs from 1, as `ckread history` reads such a list."""
    epochs = [record.get("epoch") for record in records]
    if not all(type(epoch) is int for epoch in epochs):
        return [{**record, "epoch": at} for at, record in enumerate(records, 1)]
    shift = 1 if 0 in epochs else 0
    return [{**record, "epoch": record["epoch"] + shift} for record in records]


def _plain(value: Any, depth: int = 0) -> Any:
    """Give a value as JSON holds it: numbers as numbers, of other things what tells them."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if depth < 3 and isinstance(value, dict):
        return {str(name): _plain(inner, depth + 1) for name, inner in value.items()}
    shape = tuple(getattr(value, "shape", ()))
    try:
        if not shape:
            number = float(value)
            return number if math.isfinite(number) else _NOT_FINITE[str(number)]
    except (TypeError, ValueError, OverflowError):
        pass
    if math.prod(shape) > _MAX_ELEMENTS:
        return f"{shape} of {value.dtype}"
    if hasattr(value, "tolist"):
        value = value.tolist()
    elif hasattr(value, "numpy"):
        value = value.numpy().tolist()
    if depth < 3 and isinstance(value, (list, tuple)):
        return [_plain(inner, depth + 1) for inner in value[:_MAX_ELEMENTS]]
    try:
        return str(value)[:_MAX_ELEMENTS]
    except Exception:
        return f"a {type(value).__name__}"
