"""Native against TensorFlow on crafted indexes: what both read is the same, bit for bit.

Entries are mutated, not bytes of the file, and every checksum of the index is right:
else both readers would refuse at once. TensorFlow reads in a child process, for it
aborts on many of these; that is counted as `died`, and is no fault of ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.errors import CheckpointError
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.contract import DataType
from ckread.readers.files import RegularFile
from ckread.readers.table import Table
from tests.builders import BundleBuilder, Ranges, table_bytes
from tests.fuzz.mutation import mutated
from tests.fuzz.target import Target
from tests.fuzz.tensorflow_reading import digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from tests.fuzz.workplace import Workplace

_NAME = "m"
DIED = "died"
REFUSED = "refused"


class TensorFlowReader:
    """A process in which TensorFlow reads one checkpoint after the other."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.fuzz.tensorflow_reading"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        self._answer()

    def read(self, prefix: str) -> tuple[dict[str, int | None], bool]:
        """Give the digests of all tensors, None for refused ones, and whether it died."""
        stdin = self._process.stdin
        if stdin is None:
            raise RuntimeError("the process has no stdin")
        stdin.write(f"{prefix}\n")
        stdin.flush()
        answer: dict[str, Any] = json.loads(self._answer())
        return answer["tensors"], answer["died"]

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()

    def _answer(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the process that holds TensorFlow has ended")
        return line


@cache
def tensorflow() -> TensorFlowReader:
    return TensorFlowReader()


def close() -> None:
    """End the process of TensorFlow, if there is one."""
    if tensorflow.cache_info().currsize:
        tensorflow().close()
        tensorflow.cache_clear()


def _builder() -> BundleBuilder:
    builder = BundleBuilder(2)
    builder.add("a", np.arange(6, dtype=np.float32).reshape(2, 3), DataType.FLOAT32)
    builder.add("b/c", np.arange(4, dtype=np.int64), DataType.INT64, shard=1)
    builder.add("d", np.array(7, np.int32), DataType.INT32)
    builder.add("e", np.array([[True, False]]), DataType.BOOL, shard=1)
    builder.add("h", np.arange(5, dtype=np.float16), DataType.FLOAT16)
    builder.add_strings("s", [b"one", b"", b"three\0"], [3])
    rows: list[Ranges] = [((0, 1), (0, None)), ((1, 1), (0, None))]
    builder.add_partitioned("p", np.ones((2, 2), np.float32), DataType.FLOAT32, rows)
    return builder


def _seeds() -> list[bytes]:
    """Give the index to begin with, once TensorFlow is there: that takes its time."""
    tensorflow()
    return [table_bytes(sorted(_builder().items.items()))]


def _items(index: bytes) -> list[tuple[bytes, bytes]]:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(index)
        with RegularFile(file.name) as opened:
            return [(bytes(key), bytes(value)) for key, value in Table(opened).items()]


def _mutate(index: bytes, seeds: Sequence[bytes], rng: Random) -> bytes:
    """Change one or two entries of an index; every checksum is made right again."""
    try:
        items = dict(_items(index))
    except CheckpointError:  # an engine that changes bytes was there before
        items = dict(_items(rng.choice(seeds)))
    values = list(items.values())
    for key in rng.sample(sorted(items), rng.choice((1, 1, 2))):
        items[key] = _changed(items[key], values, rng)
    return table_bytes(sorted(items.items()))


def _changed(entry: bytes, others: list[bytes], rng: Random) -> bytes:
    """Change an entry much, or one bit of it, so that more of it is still believed."""
    if not entry or rng.random() < 0.3:
        return mutated(entry, others, rng)
    at = rng.randrange(len(entry))
    return entry[:at] + bytes([entry[at] ^ 1 << rng.randrange(8)]) + entry[at + 1 :]


def _ours(prefix: str) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    try:
        with TensorBundle(prefix) as bundle:
            for key in bundle.tensors:
                try:
                    found[key] = digest(bundle.read(key))
                except CheckpointError:
                    found[key] = None
    except CheckpointError:
        return {}
    return found


def _compare(index: bytes, place: Workplace) -> str | None:
    """Read one crafted checkpoint twice; every tensor that both give has to be the same."""
    prefix = place.path(_NAME)
    if not os.path.exists(f"{prefix}.data-00000-of-00002"):
        _builder().write(Path(prefix))
    place.write(f"{_NAME}.index", index)
    theirs, died = tensorflow().read(prefix)
    ours = _ours(prefix)
    both = {key for key, found in theirs.items() if found is not None and ours.get(key) is not None}
    differing = {key: (ours[key], theirs[key]) for key in both if ours[key] != theirs[key]}
    if differing:
        raise AssertionError(f"ours and theirs differ: {differing}")
    if died:
        return DIED
    return None if both else REFUSED


TARGET = Target("against_tensorflow", _seeds, _compare, _mutate)
