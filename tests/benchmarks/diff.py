"""Two checkpoints of 2 GiB of which half the variables changed: `ckread diff` beside TensorFlow.

    python -m tests.benchmarks.run --only diff

The two are written with TensorFlow; the other side is a script over
`tf.train.load_checkpoint` and numpy.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.benchmarks.core import size_text
from tests.benchmarks.measuring import Comparison, measure_in_turn, python_command

if TYPE_CHECKING:
    from pathlib import Path

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


def compare(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """Write both, and measure by checksum alone, by value, and with one process."""
    mib = 64 if is_quick else 2048
    directory = folder / f"pair_{mib}"
    prefixes = [str(directory / name) for name in ("a", "b")]
    if not directory.exists():
        directory.mkdir(parents=True)
        write = python_command("-c", _WRITE, str(directory), str(mib))
        subprocess.run(write, check=True, stderr=subprocess.DEVNULL)
    theirs = python_command("-c", _THEIRS, *prefixes)
    comparisons = []
    for work, options, target in (
        ("diff --index-only", ["--index-only"], 45.0),
        ("diff", [], 9.0),
        ("diff --jobs 1", ["--jobs", "1"], 0.0),
    ):
        ours = python_command("-m", "ckread", "diff", *prefixes, *options)
        measured = measure_in_turn(ours, theirs, is_quick=is_quick)
        comparisons.append(Comparison(f"{work}, 2 × {size_text(mib)}", *measured, target))
    return comparisons
