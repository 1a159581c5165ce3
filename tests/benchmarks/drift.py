"""A run of 200 checkpoints of 10 MB, half of its variables frozen: `ckread drift` and TensorFlow.

    python -m tests.benchmarks.drift [DIRECTORY]

Writes the run below DIRECTORY or a temporary one, runs `ckread drift`, with and
without `--index-only`, in turn with a script over `tf.train.load_checkpoint` and
numpy, and the same on the first 20 checkpoints for the memory; prints the table, and
deletes what it wrote. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.measuring import (
    Comparison,
    comparison_table,
    measure_in_turn,
    python_command,
)
from tests.builders import write_bundle

N_CHECKPOINTS, N_VARIABLES, N_ELEMENTS = 200, 40, 65_536
MAX_MIB = 100

_THEIRS = """
import sys
import numpy as np
import tensorflow as tf

directory, n = sys.argv[1], int(sys.argv[2])
first, before = {}, {}
for step in range(1, n + 1):
    reader = tf.train.load_checkpoint(f"{directory}/model.ckpt-{step}")
    for name in reader.get_variable_to_shape_map():
        x = reader.get_tensor(name)
        f, p = first.setdefault(name, x), before.get(name, x)
        norm, norm_first = np.linalg.norm(x), np.linalg.norm(f)
        far, moved = np.linalg.norm(x - f), np.linalg.norm(x - p)
        print(step, name, norm, far / norm_first, moved, moved != 0)
        before[name] = x
"""


def write_run(directory: Path) -> None:
    """Write the run; every other variable stays as it is."""
    random = np.random.default_rng(0)
    values = {
        f"layer_{i:02}/kernel": random.standard_normal(N_ELEMENTS, dtype=np.float32)
        for i in range(N_VARIABLES)
    }
    for step in range(1, N_CHECKPOINTS + 1):
        for name in list(values)[1::2]:
            noise = random.standard_normal(N_ELEMENTS, dtype=np.float32)
            values[name] = values[name] + np.float32(1e-3) * noise
        write_bundle(directory / f"model.ckpt-{step}", values)


def main() -> int:
    """Write, measure, print, delete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", help="where there is room for 2 GB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as name:
        directory = Path(name)
        write_run(directory)
        comparisons = _measure(directory)
    print(comparison_table(comparisons))
    is_missed = any(c.ratio < c.target or c.ours.peak_mib > MAX_MIB for c in comparisons)
    return int(is_missed)


def _measure(directory: Path) -> list[Comparison]:
    few = Path(f"{directory}/few")
    few.mkdir()
    for path in directory.glob("model.ckpt-*"):
        if int(path.name.split("-")[1].split(".")[0]) <= N_CHECKPOINTS // 10:
            (few / path.name).symlink_to(path)
    comparisons = []
    for work, run, options, target in (
        ("drift --index-only, 200 checkpoints", directory, ["--index-only"], 25.0),
        ("drift, 200 checkpoints", directory, [], 9.0),
        ("drift --jobs 1, 200 checkpoints", directory, ["--jobs", "1"], 0.0),
        ("drift, 20 checkpoints", few, [], 0.0),
    ):
        n = N_CHECKPOINTS if run is directory else N_CHECKPOINTS // 10
        ours = python_command("-m", "ckread", "drift", str(run), *options)
        theirs = python_command("-c", _THEIRS, str(run), str(n))
        first, second = measure_in_turn(ours, theirs)
        comparisons.append(Comparison(work, first, second, target))
    return comparisons


if __name__ == "__main__":
    sys.exit(main())
