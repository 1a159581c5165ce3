"""100,000 tensors of 16 elements: what each of them costs, beside TensorFlow and numpy.

python -m tests.benchmarks.run --only tiny
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.making import make_many
from tests.benchmarks.measuring import Comparison, measure_in_turn, python_command

if TYPE_CHECKING:
    from pathlib import Path

_OPEN = """
import sys
import numpy as np
import tensorflow as tf

a = tf.train.load_checkpoint(sys.argv[1])
for name in sorted(a.get_variable_to_shape_map()):
    x = a.get_tensor(name)
"""
_STATISTICS = f"""{_OPEN}
    print(name, x.min(), x.max(), x.mean(dtype="f8"), x.std(dtype="f8"), np.linalg.norm(x),
          np.count_nonzero(x == 0), np.isnan(x).sum(), np.quantile(x, 0.5))
"""
_DIFFERENCE = """
import sys
import numpy as np
import tensorflow as tf

a, b = (tf.train.load_checkpoint(path) for path in sys.argv[1:3])
for name in sorted(a.get_variable_to_shape_map()):
    x, y = a.get_tensor(name), b.get_tensor(name)
    d = y - x
    print(name, np.linalg.norm(d), np.abs(d).max(), np.abs(d).mean(), np.linalg.norm(x))
"""


def compare(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """Write them, and measure each command that reads values."""
    n = 1_000 if is_quick else 100_000
    a = str(make_many(folder / f"many_{n}" / "ckpt", n))
    b = str(make_many(folder / f"many_{n}" / "ckpt-2", n, offset=1))
    comparisons = []
    for words, theirs, target in (
        (("stats", a), _STATISTICS, 25.0),
        (("check", a), _OPEN, 0.0),
        (("diff", a, b), _DIFFERENCE, 8.0),
        (("drift", a, b), _DIFFERENCE, 8.0),
    ):
        ours = python_command("-m", "ckread", *words)
        beside = python_command("-c", theirs, *words[1:])
        measured = measure_in_turn(ours, beside, is_quick=is_quick)
        work = f"{words[0]}, {n:,} tensors of 16 elements"
        comparisons.append(Comparison(work, *measured, target))
    return comparisons
