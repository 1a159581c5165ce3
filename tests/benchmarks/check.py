"""A sound checkpoint of 2 GiB: `ckread check` beside restoring every tensor with TensorFlow.

    python -m tests.benchmarks.check [DIRECTORY] [--mib 2048]

Writes the checkpoint (with TensorFlow) below DIRECTORY or a temporary one, runs both in
turn, start-up included, prints the table, and deletes what it wrote.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.making import make_large
from tests.benchmarks.measuring import (
    Comparison,
    comparison_table,
    measure_in_turn,
    python_command,
)

_THEIRS = """
import sys
import tensorflow as tf

reader = tf.train.load_checkpoint(sys.argv[1])
for name in reader.get_variable_to_shape_map():
    reader.get_tensor(name)
"""
N_VARIABLES = 32
TARGET = 6.0


def main() -> int:
    """Measure and print; 1 if the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.check")
    parser.add_argument("directory", nargs="?", type=Path)
    parser.add_argument("--mib", type=int, default=2048)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        prefix = make_large(Path(folder) / "large", N_VARIABLES, arguments.mib // N_VARIABLES)
        ours = python_command("-m", "ckread", "check", str(prefix))
        theirs = python_command("-c", _THEIRS, str(prefix))
        measured = measure_in_turn(ours, theirs)
    comparison = Comparison("check of a sound checkpoint", *measured, TARGET)
    print(comparison_table([comparison]))
    return int(comparison.ratio < TARGET)


if __name__ == "__main__":
    sys.exit(main())
