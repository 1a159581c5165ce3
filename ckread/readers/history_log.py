"""Training logs: what was measured at the end of each epoch.

    [{"epoch": 1, "loss": 0.9, …}, …]    JSON, a list with a record per epoch
    {"loss": [0.9, …], …}                JSON of Keras's `History.history`
    epoch,loss,val_loss                  Keras's `CSVLogger`, whose epochs begin with 0
    0,0.9,0.5

Event files of TensorBoard, or a directory of them, are read by `event_file`.
Epochs are counted from 1, as people count and as Keras prints them.
"""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.errors import CheckpointError, NotACheckpointError
from ckread.readers.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_LOG_NBYTES = 1 << 28
_NOT_FINITE = {"nan": float("nan"), "infinity": float("inf"), "-infinity": float("-inf")}
_EPOCH = "epoch"


@dataclass(frozen=True, slots=True)
class HistoryLog:
    """One log.

    Attributes:
        path: the file or directory.
        epochs: numbers of the epochs, rising, from 1.
        metrics: values by name, along the epochs; None where there is none.
        is_numbered: whether the file itself numbers its epochs.
        unit: `epoch`, or `step` where it was logged by step.
    """

    path: str
    epochs: tuple[int, ...]
    metrics: dict[str, tuple[float | None, ...]]
    is_numbered: bool = True
    unit: str = _EPOCH


def read_history_log(path: str) -> HistoryLog:
    """Read a log of any kind.

    Raises:
        CheckpointNotFoundError: there is no such file.
        NotACheckpointError: it is no training log, but a checkpoint's prefix perhaps.
        MissingDependencyError: it is an event file, and tensorboard is not installed.
    """
    if os.path.isdir(path) or "tfevents" in os.path.basename(path):
        from ckread.readers.event_file import read_event_log

        return read_event_log(path)
    if os.path.exists(f"{path}.index") and not os.path.exists(path):
        raise _no_log(path, "a checkpoint")
    with open_regular(path) as file:
        data = file.read(MAX_LOG_NBYTES + 1)
    if len(data) > MAX_LOG_NBYTES:
        raise CheckpointError(f"{path}: more than {MAX_LOG_NBYTES:,} bytes", path=path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _no_log(path, "bytes that are not text") from None
    return parse_json(text, path) if text.lstrip()[:1] in ("[", "{") else parse_csv(text, path)


def parse_json(text: str, path: str = "history") -> HistoryLog:
    """Give the log in a JSON text.

    Raises:
        NotACheckpointError: it is not JSON, or JSON of something else.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_log(path, f"JSON that cannot be read ({_reason(error)})") from None
    if isinstance(document, list) and all(isinstance(row, dict) for row in document) and document:
        numbers = [row.get(_EPOCH) for row in document]
        is_numbered = all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
        shift = 1 if is_numbered and min(numbers) == 0 else 0
        epochs = [n + shift for n in numbers] if is_numbered else range(1, len(document) + 1)
        return _log(path, zip(epochs, document, strict=True), is_numbered=is_numbered)
    if isinstance(document, dict) and isinstance(document.get("history"), dict):
        document = document["history"]
    if isinstance(document, dict) and document:
        columns = {k: v for k, v in document.items() if isinstance(v, list) and v}
        n = max(map(len, columns.values()), default=0)
        rows = [{k: v[i] for k, v in columns.items() if i < len(v)} for i in range(n)]
        if rows:
            return _log(path, enumerate(rows, 1), is_numbered=False)
    raise _no_log(path, "JSON of something else")


def parse_csv(text: str, path: str = "history") -> HistoryLog:
    """Give the log of a `CSVLogger`: comma, semicolon or tab between its columns.

    Raises:
        NotACheckpointError: it has no column with numbers.
    """
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise _no_log(path, f"a table that cannot be read ({error})") from None
    numbers = [_number(row.get(_EPOCH)) for row in rows]
    is_numbered = bool(rows) and all(n is not None and n == n and n % 1 == 0 for n in numbers)
    if is_numbered:
        epochs: Iterable[int] = [int(n) + 1 for n in numbers if n is not None]
    else:
        epochs = range(1, len(rows) + 1)
    return _log(path, zip(epochs, rows, strict=True), is_numbered=is_numbered)


def _log(
    path: str, rows: Iterable[tuple[int, Mapping[Any, Any]]], *, is_numbered: bool
) -> HistoryLog:
    """Put rows in order of epoch; of an epoch that was logged twice the later counts."""
    by_epoch: dict[int, dict[str, float | None]] = {}
    names: dict[str, None] = {}
    for epoch, row in rows:
        values = {str(k): _number(v) for k, v in row.items() if k not in (_EPOCH, None)}
        by_epoch[epoch] = values
        names.update(dict.fromkeys(name for name, value in values.items() if value is not None))
    if not names:
        raise _no_log(path, "no column of numbers")
    epochs = tuple(sorted(by_epoch))
    metrics = {name: tuple(by_epoch[e].get(name) for e in epochs) for name in names}
    return HistoryLog(path, epochs, metrics, is_numbered)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str) and value.strip().lower() in _NOT_FINITE:
        return _NOT_FINITE[value.strip().lower()]
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _reason(error: Exception) -> str:
    return getattr(error, "msg", "nested too deeply").lower()


def _no_log(path: str, found: str) -> NotACheckpointError:
    remedy = (
        "A log is a JSON list with a record per epoch, the JSON of History.history, a"
        " CSVLogger file, or event files of TensorBoard."
    )
    message = f"{path}: {found}, expected a training log"
    return NotACheckpointError(message, path=path, remedy=remedy)
