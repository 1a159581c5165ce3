"""`ckread stats` beside `tf.train.load_checkpoint` and numpy, for the same figures.

    python -m tests.benchmarks.run --only stats
    python -m tests.benchmarks.statistics [FOLDER]

The second measures the memory of ckread alone on 0.5, 2 and 8 GiB; FOLDER keeps the
checkpoints that are made (10.5 GiB), so a second run is quicker.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import google_crc32c
import numpy as np

from ckread.readers.contract import DataType
from tests.benchmarks.core import size_text
from tests.benchmarks.measuring import (
    Comparison,
    comparison_table,
    measure_in_turn,
    python_command,
)
from tests.builders import entry_bytes, header_bytes, masked_crc32c, table_bytes

_THEIRS = """
import sys
import numpy as np
import tensorflow as tf

reader = tf.train.load_checkpoint(sys.argv[1])
for name in sorted(reader.get_variable_to_shape_map()):
    x = reader.get_tensor(name)
    figures = (
        x.min(), x.max(), x.mean(dtype="f8"), x.std(dtype="f8"), np.linalg.norm(x),
        np.count_nonzero(x == 0), np.isnan(x).sum(),
        np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95]), np.histogram(x, 50),
    )
    print(name, *figures)
"""

MIB_EACH = 64


def make(prefix: Path, n_variables: int) -> str:
    """Write float32 variables of 64 MiB each, one at a time: 8 GiB need no memory."""
    if not Path(f"{prefix}.index").exists():
        prefix.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(0)
        shape = [MIB_EACH * 256, 1024]
        items = {b"": header_bytes(1)}
        offset = 0
        with Path(f"{prefix}.data-00000-of-00001").open("wb") as file:
            for i in range(n_variables):
                values = generator.standard_normal(shape, np.float32) * np.float32(0.02)
                raw = values.reshape(-1).view(np.uint8)
                masked = masked_crc32c(b"", google_crc32c.value(raw))
                items[f"layer_{i:03}/kernel".encode()] = entry_bytes(
                    DataType.FLOAT32.number, shape, offset=offset, size=raw.size, masked=masked
                )
                file.write(values.data)
                offset += raw.size
        Path(f"{prefix}.index").write_bytes(table_bytes(sorted(items.items())))
    return str(prefix)


def compare(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """Measure: all cores and one process beside the script."""
    n_variables = 2 if is_quick else 32
    prefix = make(folder / f"large_{n_variables}" / "ckpt", n_variables)
    theirs = python_command("-c", _THEIRS, prefix)
    size = size_text(n_variables * MIB_EACH)
    comparisons = []
    for work, options, target in (("stats", [], 20.0), ("stats --jobs 1", ["--jobs", "1"], 0.0)):
        ours = python_command("-m", "ckread", "stats", prefix, *options)
        measured = measure_in_turn(ours, theirs, is_quick=is_quick)
        comparisons.append(Comparison(f"{work}, {size}", *measured, target))
    return comparisons


def compare_sizes(folder: Path) -> list[Comparison]:
    """Measure ckread's memory on 0.5 GiB beside that on 2 and on 8 GiB."""
    small = make(folder / "large_8" / "ckpt", 8)
    comparisons = []
    for gib, n_variables in ((2, 32), (8, 128)):
        large = make(folder / f"large_{n_variables}" / "ckpt", n_variables)
        commands = (
            python_command("-m", "ckread", "stats", prefix, "--jobs", "1")
            for prefix in (large, small)
        )
        measured = measure_in_turn(*commands, n_ours=2, n_theirs=2)
        work = f"stats --jobs 1, {gib} GiB"
        comparisons.append(Comparison(work, *measured, 0.0, beside="the same, 0.5 GiB"))
    return comparisons


def main() -> None:
    """Make what is needed, measure, print."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        print(comparison_table(compare_sizes(folder)))


if __name__ == "__main__":
    main()
