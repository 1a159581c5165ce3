"""A sound checkpoint of 2 GiB: `ckread check` beside restoring every tensor with TensorFlow.

python -m tests.benchmarks.run --only check
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.core import size_text
from tests.benchmarks.making import make_large
from tests.benchmarks.measuring import Comparison, measure_in_turn, python_command

if TYPE_CHECKING:
    from pathlib import Path

_THEIRS = """
import sys
import tensorflow as tf

reader = tf.train.load_checkpoint(sys.argv[1])
for name in reader.get_variable_to_shape_map():
    reader.get_tensor(name)
"""
N_VARIABLES = 32
TARGET = 6.0


def compare(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """Write it, and measure."""
    mib = 64 if is_quick else 2048
    prefix = make_large(folder / f"sound_{mib}" / "ckpt", N_VARIABLES, mib // N_VARIABLES)
    ours = python_command("-m", "ckread", "check", str(prefix))
    theirs = python_command("-c", _THEIRS, str(prefix))
    measured = measure_in_turn(ours, theirs, is_quick=is_quick)
    return [Comparison(f"check, {size_text(mib)}", *measured, TARGET, beside="get_tensor of all")]
