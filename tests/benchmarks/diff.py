"""Two checkpoints of 2 GiB of which half the variables changed: `ckread diff` beside TensorFlow.

    python -m tests.benchmarks.diff [DIRECTORY] [--mib 2048]

Writes the two checkpoints (with TensorFlow) below DIRECTORY or a temporary one,
runs `ckread diff --index-only` and `ckread diff` in turn with a script over
`tf.train.load_checkpoint` and numpy, prints the table, and deletes what it wrote.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measuring import (
    Comparison,
    comparison_table,
    measure_in_turn,
    python_command,
)

_WRITE = """
import sys
import numpy as np
import tensorflow as tf

directory, mib = sys.argv[1], int(sys.argv[2])
n_variables = 32
shape = (mib * 1024 * 1024 // 4 // n_variables // 1024, 1024)
random = np.random.default_rng(0)
names = [f"layer_{i:02}/kernel" for i in range(n_variables)]
values = [random.standard_normal(shape, np.float32) * np.float32(0.02) for _ in names]
for step, prefix in enumerate(("a", "b")):
    if step:
        for i in range(0, n_variables, 2):
            values[i] += np.float32(1e-4) * random.standard_normal(shape, np.float32)
    tf.raw_ops.SaveV2(
        prefix=f"{directory}/{prefix}", tensor_names=names,
        shape_and_slices=[""] * n_variables, tensors=values,
    )
"""

_THEIRS = """
import sys
import numpy as np
import tensorflow as tf

a, b = (tf.train.load_checkpoint(prefix) for prefix in sys.argv[1:3])
for name in sorted(a.get_variable_to_shape_map()):
    x, y = a.get_tensor(name), b.get_tensor(name)
    changed = np.count_nonzero(x != y)
    if not changed:
        continue
    d = y - x
    norm, norm_y, l2 = np.linalg.norm(x), np.linalg.norm(y), np.linalg.norm(d)
    cosine = np.vdot(x, y) / (norm * norm_y)
    print(name, np.abs(d).max(), l2, l2 / norm, cosine, changed)
"""


def _measure(directory: Path) -> list[Comparison]:
    prefixes = [str(directory / name) for name in ("a", "b")]
    theirs = python_command("-c", _THEIRS, *prefixes)
    comparisons = []
    for work, options, target in (
        ("diff --index-only, 2 GiB, half changed", ["--index-only"], 45.0),
        ("diff, 2 GiB, half changed", [], 9.0),
        ("diff --jobs 1, 2 GiB, half changed", ["--jobs", "1"], 0.0),
    ):
        ours = python_command("-m", "ckread", "diff", *prefixes, *options)
        first, second = measure_in_turn(ours, theirs)
        comparisons.append(Comparison(work, first, second, target))
    return comparisons


def main() -> int:
    """Write, measure, print, delete; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", help="where there is room for both")
    parser.add_argument("--mib", type=int, default=2048, help="size of each checkpoint")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        write = python_command("-c", _WRITE, directory, str(arguments.mib))
        subprocess.run(write, check=True, stderr=subprocess.DEVNULL)
        comparisons = _measure(Path(directory))
    print(comparison_table(comparisons))
    return int(any(comparison.ratio < comparison.target for comparison in comparisons))


if __name__ == "__main__":
    sys.exit(main())
