"""Native against TensorFlow on crafted indexes: what both read is the same, bit for bit."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from google_crc32c import value as crc32c

from ckread.errors import CheckpointError
from ckread.readers.bundle import TensorBundle
from ckread.readers.dtypes import DataType
from tests.builders import BundleBuilder, Ranges
from tests.fuzz.mutation import mutated

if TYPE_CHECKING:
    from pathlib import Path

N_FILES = 300


def _builder() -> BundleBuilder:
    builder = BundleBuilder(2)
    builder.add("a", np.arange(6, dtype=np.float32).reshape(2, 3), DataType.FLOAT32)
    builder.add("b/c", np.arange(4, dtype=np.int64), DataType.INT64, shard=1)
    builder.add("d", np.array(7, np.int32), DataType.INT32)
    rows: list[Ranges] = [((0, 1), (0, None)), ((1, 1), (0, None))]
    builder.add_partitioned("p", np.ones((2, 2), np.float32), DataType.FLOAT32, rows)
    return builder


def _crafted(folder: Path) -> list[str]:
    """Write checkpoints of which one or two entries are mutated; every checksum is right."""
    rng = random.Random(11)
    prefixes = []
    for i in range(N_FILES):
        builder = _builder()
        values = list(builder.items.values())
        for key in rng.sample(sorted(builder.items), rng.choice((1, 1, 2))):
            builder.items[key] = _changed(builder.items[key], values, rng)
        prefixes.append(builder.write(folder / f"m{i}"))
    return prefixes


def _changed(entry: bytes, others: list[bytes], rng: random.Random) -> bytes:
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
                    array = bundle.read(key)
                except CheckpointError:
                    found[key] = None
                else:
                    is_string = array.dtype == object
                    found[key] = None if is_string else crc32c(array.tobytes())
    except CheckpointError:
        return {}
    return found


@pytest.mark.oracle
def test_crafted_entries_read_alike(tmp_path: Path) -> None:
    prefixes = _crafted(tmp_path)
    answers = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.tensorflow_reading"],
        input="\n".join(prefixes), capture_output=True, text=True, timeout=300, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(answers) == N_FILES
    n_same = n_died = 0
    differing: list[Any] = []
    for prefix, answer in zip(prefixes, answers, strict=True):
        theirs = json.loads(answer)
        n_died += theirs is None
        ours = _ours(prefix)
        for key, checksum in (theirs or {}).items():
            if checksum is not None and ours.get(key) is not None:
                n_same += checksum == ours[key]
                if checksum != ours[key]:
                    differing.append((prefix, key))
    assert differing == []
    assert n_same > N_FILES / 2
    assert n_died < 0.8 * N_FILES  # it aborts on two thirds of these
