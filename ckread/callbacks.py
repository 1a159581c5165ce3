"""A Keras callback that keeps the training curves through crashes and restarts.

    logger = HistoryLogger("run/history.json")
    model.fit(…, initial_epoch=logger.initial_epoch, callbacks=[logger, …])

The file is the JSON of a list with a record per epoch, `[{"epoch": 1, "iterations": 90,
"loss": …}]`, which `ckread history` reads; by the iterations it knows which checkpoint
holds which epoch. It is replaced as a whole after each epoch, so a crash at any moment
leaves either the old or the new one.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import warnings
from typing import TYPE_CHECKING, Any

from ckread.errors import MissingDependencyError

try:
    from keras.callbacks import Callback
except ImportError:
    try:
        from tf_keras.callbacks import Callback
    except ImportError:
        _REMEDY = "Install it: pip install keras"
        raise MissingDependencyError("Keras is not installed", remedy=_REMEDY) from None

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


class HistoryLogger(Callback):  # type: ignore[misc]
    """Writes the metrics of each epoch to a JSON file, and continues it after a restart.

    An epoch that is trained again replaces its record. A list of records that another
    program wrote is continued, its records numbered from 1 where they have no epoch. A
    file that is no such log is never overwritten: it is kept aside, with a warning.

    Attributes:
        path: the file.
        records: one per epoch, in order; `epoch` counts from 1.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self.path = os.fsdecode(path)
        self.records: list[dict[str, Any]] = self._read()

    @property
    def initial_epoch(self) -> int:
        """What to give to `fit` as `initial_epoch`: how many epochs are done.

        With `BackupAndRestore` it is not needed: Keras then resumes by itself.
        """
        return max((record["epoch"] for record in self.records), default=0)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write the record of an epoch; Keras counts epochs from 0."""
        record: dict[str, Any] = {"epoch": epoch + 1}
        iterations = getattr(getattr(self.model, "optimizer", None), "iterations", None)
        if iterations is not None:
            record["iterations"] = int(iterations)
        record.update((name, _plain(value)) for name, value in (logs or {}).items())
        kept = [known for known in self.records if known["epoch"] != epoch + 1]
        self.records = sorted([*kept, record], key=lambda known: int(known["epoch"]))
        self._write()

    def _read(self) -> list[dict[str, Any]]:
        try:
            with open(self.path, encoding="utf-8") as file:
                records = json.load(file)
        except FileNotFoundError:
            return []
        except (ValueError, RecursionError):
            records = None
        if isinstance(records, list) and all(isinstance(record, dict) for record in records):
            return _numbered(records)
        number = 1
        while os.path.lexists(aside := f"{self.path}.unreadable-{number}"):
            number += 1
        os.rename(self.path, aside)
        message = f"{self.path} is not a log of epochs; it was kept aside as {aside}"
        warnings.warn(message, stacklevel=3)
        return []

    def _write(self) -> None:
        directory, name = os.path.split(os.path.abspath(self.path))
        os.makedirs(directory, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(self.records, file, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise


def _numbered(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count the epochs from 1, as `ckread history` reads such a list."""
    epochs = [record.get("epoch") for record in records]
    if not all(type(epoch) is int for epoch in epochs):
        return [{**record, "epoch": at} for at, record in enumerate(records, 1)]
    shift = 1 if 0 in epochs else 0
    return [{**record, "epoch": record["epoch"] + shift} for record in records]


def _plain(value: Any) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else _NOT_FINITE[str(number)]
