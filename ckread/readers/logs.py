"""Training logs: what was measured at the end of each epoch.

    [{"epoch": 1, "loss": 0.9, …}, …]    JSON, a list with a record per epoch
    {"loss": [0.9, …], …}                JSON of Keras's `History.history`
    epoch,loss,val_loss                  Keras's `CSVLogger`, whose epochs begin with 0
    0,0.9,0.5

Epochs are counted from 1, as people count and as Keras prints them.

The event files of TensorBoard are records, whose messages the `tensorboard` package reads:

    length u64 | masked CRC-32C of it u32 | Event | masked CRC-32C of that u32 | …

Keras writes `train/` and `validation/` below a log directory, with tags such as
`epoch_loss` and the epoch, from 0, as step: these read as `loss` and `val_loss` by
epoch. Anything else is a scalar by step, under its own tag.

Reference: github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
"""

from __future__ import annotations

import csv
import io
import json
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    MissingDependencyError,
    NotACheckpointError,
)
from ckread.readers.crc32c import crc32c, unmask
from ckread.readers.files import RegularFile, open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


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
    """Read a log of any kind; an error says what was found in its place."""
    if os.path.isdir(path) or "tfevents" in os.path.basename(path):
        return read_event_log(path)
    if os.path.exists(f"{path}.index") and not os.path.exists(path):
        raise _no_log(path, "a checkpoint")
    with open_regular(path) as file:
        data = file.read(MAX_LOG_NBYTES + 1)
    if len(data) > MAX_LOG_NBYTES:
        raise CheckpointError(f"more than {MAX_LOG_NBYTES:,} bytes", path=path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _no_log(path, "bytes that are not text") from None
    return parse_json(text, path) if text.lstrip()[:1] in ("[", "{") else parse_csv(text, path)


def parse_json(text: str, path: str = "history") -> HistoryLog:
    """Give the log in a JSON text."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "nested too deeply").lower()
        raise _no_log(path, f"JSON that cannot be read ({reason})") from None
    if isinstance(document, list) and all(isinstance(row, dict) for row in document) and document:
        numbers = [row.get(_EPOCH) for row in document]
        is_numbered = all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
        shift = 1 if is_numbered and min(numbers) == 0 else 0
        epochs = [n + shift for n in numbers] if is_numbered else range(1, len(document) + 1)
        return _log_of_rows(path, zip(epochs, document, strict=True), is_numbered=is_numbered)
    if isinstance(document, dict) and isinstance(document.get("history"), dict):
        document = document["history"]
    if isinstance(document, dict) and document:
        columns = {k: v for k, v in document.items() if isinstance(v, list) and v}
        n = max(map(len, columns.values()), default=0)
        rows = [{k: v[i] for k, v in columns.items() if i < len(v)} for i in range(n)]
        if rows:
            return _log_of_rows(path, enumerate(rows, 1), is_numbered=False)
    raise _no_log(path, "JSON of something else")


def parse_csv(text: str, path: str = "history") -> HistoryLog:
    """Give the log of a `CSVLogger`: comma, semicolon or tab between its columns."""
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
    return _log_of_rows(path, zip(epochs, rows, strict=True), is_numbered=is_numbered)


def _log_of_rows(
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


def _no_log(path: str, found: str) -> NotACheckpointError:
    remedy = (
        "A log is a JSON list with a record per epoch, the JSON of History.history, a"
        " CSVLogger file, or event files of TensorBoard."
    )
    return NotACheckpointError(found, path=path, expected="a training log", remedy=remedy)


_HEAD, _TAIL = struct.Struct("<QI"), struct.Struct("<I")
_BY_EPOCH = "epoch_"
_VALIDATION = ("validation", "eval", "val")


def read_event_log(path: str) -> HistoryLog:
    """Read the scalars of an event file, or of all below a directory."""
    files = sorted(_event_files(path))
    if not files:
        raise CheckpointNotFoundError(
            "no event file of TensorBoard here", path=path, remedy=_logs_here(path)
        )
    found: dict[str, dict[int, float]] = {}
    for file in files:
        folder = os.path.basename(os.path.dirname(file))
        prefix = "val_" if folder.startswith(_VALIDATION) else ""
        for tag, step, value in _scalars(file):
            found.setdefault(f"{prefix}{tag}", {})[step] = value
    by_epoch = {
        name.replace(_BY_EPOCH, "", 1): {step + 1: value for step, value in values.items()}
        for name, values in found.items()
        if name.removeprefix("val_").startswith(_BY_EPOCH)
    }
    chosen = by_epoch or found
    if not chosen:
        raise CorruptCheckpointError(
            "event files without a scalar", path=path, expected="training curves"
        )
    places = tuple(sorted({step for values in chosen.values() for step in values}))
    metrics = {name: tuple(map(values.get, places)) for name, values in chosen.items()}
    return HistoryLog(path, places, metrics, unit="epoch" if by_epoch else "step")


def _logs_here(directory: str) -> str | None:
    """Name a log of Keras in a directory that has no event file."""
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return None
    logs = [name for name in names if name.lower().endswith((".json", ".csv"))]
    if not logs:
        return None
    likely = min(logs, key=lambda name: not any(w in name.lower() for w in ("history", "log")))
    return f"A log of Keras is given by its own name: {os.path.join(directory, likely)}"


def _event_files(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
        return
    for directory, folders, names in os.walk(path):
        folders.sort()
        yield from (os.path.join(directory, name) for name in names if "tfevents" in name)


def _scalars(path: str) -> Iterator[tuple[str, int, float]]:
    event_class, make_ndarray = _tensorboard()
    for record in _records(path):
        try:
            event = event_class.FromString(record)
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    yield value.tag, event.step, value.simple_value
                elif value.HasField("tensor") and not value.tensor.tensor_shape.dim:
                    yield value.tag, event.step, float(make_ndarray(value.tensor).item())
        except (ValueError, TypeError, KeyError):
            continue  # a text, an image, or what a newer writer calls by another type
        except Exception as error:  # protobuf's DecodeError, without importing it
            raise CorruptCheckpointError(
                f"a record that is no event ({error})", path=path
            ) from None


def _records(path: str) -> Iterator[bytes]:
    """Yield the records of a file; one that is being written at its end is left out."""
    with RegularFile(path) as file:
        at = 0
        while at + _HEAD.size <= file.nbytes:
            head = file.pread(at, _HEAD.size)
            length, masked = _HEAD.unpack(head)
            if crc32c(head[:8]) != unmask(masked):
                raise _damaged(path, at)
            stop = at + _HEAD.size + length + _TAIL.size
            if stop > file.nbytes:
                return
            data = file.pread(at + _HEAD.size, length + _TAIL.size)
            if crc32c(data[:length]) != unmask(_TAIL.unpack(data[length:])[0]):
                raise _damaged(path, at)
            yield data[:length]
            at = stop


def _damaged(path: str, offset: int) -> CorruptCheckpointError:
    return CorruptCheckpointError(
        "wrong checksum",
        path=path,
        place=f"record at byte {offset}",
        expected="an event",
        offset=offset,
    )


def _tensorboard() -> tuple[Any, Any]:
    """Give the message class of events, and what makes arrays; TensorFlow is not imported."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError:
        message = "event files are read through tensorboard, which is not installed"
        remedy = "Install it: pip install 'ckread[tensorboard]'"
        raise MissingDependencyError(message, remedy=remedy) from None
    return Event, make_ndarray
