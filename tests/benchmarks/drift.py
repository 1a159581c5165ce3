"""A run of 200 checkpoints of 10 MB, half of its variables frozen: `ckread drift` and TensorFlow.

    python -m tests.benchmarks.run --only drift

The other side is a script over `tf.train.load_checkpoint` and numpy. The first tenth of
the run is measured too: the memory is to be the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.benchmarks.measuring import Comparison, measure_in_turn, python_command
from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

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


def write_run(directory: Path, n_checkpoints: int) -> None:
    """Write a run; every other variable stays as it is."""
    random = np.random.default_rng(0)
    values = {
        f"layer_{i:02}/kernel": random.standard_normal(N_ELEMENTS, dtype=np.float32)
        for i in range(N_VARIABLES)
    }
    for step in range(1, n_checkpoints + 1):
        for name in list(values)[1::2]:
            noise = random.standard_normal(N_ELEMENTS, dtype=np.float32)
            values[name] = values[name] + np.float32(1e-3) * noise
        write_bundle(directory / f"model.ckpt-{step}", values)


def compare(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """Write the run, and measure by checksum alone, by value, with one process, on a tenth."""
    n = 20 if is_quick else N_CHECKPOINTS
    whole, tenth = folder / f"run_{n}", folder / f"run_{n}_tenth"
    if not tenth.exists():
        whole.mkdir(parents=True, exist_ok=True)
        write_run(whole, n)
        tenth.mkdir()
        for step in range(1, n // 10 + 1):
            for path in whole.glob(f"model.ckpt-{step}.*"):
                (tenth / path.name).symlink_to(path.resolve())
    comparisons = []
    for work, run, n_read, options, target in (
        ("drift --index-only", whole, n, ["--index-only"], 25.0),
        ("drift", whole, n, [], 9.0),
        ("drift --jobs 1", whole, n, ["--jobs", "1"], 0.0),
        ("drift", tenth, n // 10, [], 0.0),
    ):
        ours = python_command("-m", "ckread", "drift", str(run), *options)
        theirs = python_command("-c", _THEIRS, str(run), str(n_read))
        measured = measure_in_turn(ours, theirs, is_quick=is_quick)
        work = f"{work}, {n_read} checkpoints"
        comparisons.append(Comparison(work, *measured, target, max_mib=MAX_MIB))
    return comparisons
