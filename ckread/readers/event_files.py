"""Scalars in the event files of TensorBoard; messages through the `tensorboard` package.

    length u64 | masked CRC-32C of it u32 | Event | masked CRC-32C of that u32 | …

Keras writes `train/` and `validation/` below a log directory, with tags such as `epoch_loss`
and the epoch, from 0, as step.

Reference: github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from ckread.errors import (
    CheckpointNotFoundError,
    CorruptCheckpointError,
    MissingDependencyError,
)
from ckread.readers.crc32c import crc32c, extend, unmask
from ckread.readers.files import RegularFile, file_names, is_address, is_file
from ckread.readers.protobuf import FieldStream

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD, _TAIL = struct.Struct("<QI"), struct.Struct("<I")
_VALIDATION = ("validation", "eval", "val")
_MAX_RECORD_NBYTES = 16 << 20
_SUMMARY = 5
_CHUNK_NBYTES = 1 << 20

WHAT_A_LOG_IS = (
    "A log is a JSON list with a record per epoch, the JSON of History.history, a"
    " CSVLogger file, or event files of TensorBoard."
)


def read_scalars(path: str) -> dict[str, dict[int, float]]:
    """Read an event file, or all below a directory: values by step, by tag.

    Tags of a folder of validation begin with `val_`.
    """
    files = (
        [path]
        if is_file(path)
        else [
            os.path.join(folder, name)
            for folder, _, names in (
                [(path, (), file_names(path))] if is_address(path) else os.walk(path)
            )
            for name in names
            if "tfevents" in name
        ]
    )
    files.sort()
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
    if not found:
        raise CorruptCheckpointError(
            "event files without a scalar", path=path, expected="training curves"
        )
    return found


def _logs_here(directory: str) -> str | None:
    """Name a log of Keras in a directory that has no event file."""
    names = file_names(directory)
    logs = [name for name in names if name.lower().endswith((".json", ".csv"))]
    if not logs:
        return WHAT_A_LOG_IS
    likely = min(logs, key=lambda name: not any(w in name.lower() for w in ("history", "log")))
    return f"A log of Keras is given by its own name: {os.path.join(directory, likely)}"


def _scalars(path: str) -> Iterator[tuple[str, int, float]]:
    try:  # TensorFlow is not imported
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError:
        message = "event files are read through tensorboard, which is not installed"
        remedy = "Install it: pip install 'ckread[tensorboard]'"
        raise MissingDependencyError(message, remedy=remedy) from None
    for record in _records(path):
        try:
            event = Event.FromString(record)
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
            begin, end = at + _HEAD.size, stop - _TAIL.size
            computed, data = 0, b""
            for start in range(begin, end, _CHUNK_NBYTES):
                chunk = file.pread(start, min(_CHUNK_NBYTES, end - start))
                computed = extend(computed, chunk)
                if length <= _MAX_RECORD_NBYTES:
                    data += chunk
            if computed != unmask(_TAIL.unpack(file.pread(end, _TAIL.size))[0]):
                raise _damaged(path, at)
            if length <= _MAX_RECORD_NBYTES:
                yield data
            elif any(number == _SUMMARY for number, *_ in FieldStream(file).fields(begin, end)):
                raise CorruptCheckpointError(
                    f"a record of {length:,} bytes",
                    path=path,
                    place=f"record at byte {at}",
                    expected=f"at most {_MAX_RECORD_NBYTES:,} bytes of measurements",
                    offset=at,
                )  # others, a graph for one, hold no scalar
            at = stop


def _damaged(path: str, offset: int) -> CorruptCheckpointError:
    return CorruptCheckpointError(
        "wrong checksum",
        path=path,
        place=f"record at byte {offset}",
        expected="an event",
        offset=offset,
    )
