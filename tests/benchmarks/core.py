"""Listing and showing, beside TensorFlow's own tools; prints one table.

    python -m tests.benchmarks.core [FOLDER]

FOLDER keeps the checkpoints that are made (2.1 GiB), so a second run is quicker.
Bytecode must be compiled on both sides (`python -m compileall`): otherwise
TensorFlow's import takes twice as long, and the ratios flatter us.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.benchmarks.making import make_large, make_many
from tests.benchmarks.measuring import (
    Comparison,
    comparison_table,
    measure_in_turn,
    python_command,
)

SMALL = Path(__file__).parents[2] / "fixtures" / "digits_run" / "ckpt-10"

_LIST_VARIABLES = (
    "import sys, json, tensorflow as tf;print(json.dumps(tf.train.list_variables(sys.argv[1])))"
)
_SHOW_SLICE = (
    "import sys, tensorflow as tf;"
    "print(tf.train.load_checkpoint(sys.argv[1]).get_tensor('layer_00/kernel')[1000, :10])"
)


def compare_listing() -> list[Comparison]:
    """`info`, `ls`, `tree` of a small checkpoint beside `inspect_checkpoint`."""
    theirs = python_command(
        "-m", "tensorflow.python.tools.inspect_checkpoint", f"--file_name={SMALL}"
    )
    return [
        Comparison(
            f"{command}, 43 variables / inspect_checkpoint",
            *measure_in_turn(python_command("-m", "ckread", command, str(SMALL)), theirs),
            40,
        )
        for command in ("info", "ls", "tree")
    ]


def compare_many(folder: Path) -> Comparison:
    """`ls --json` of 100,000 variables beside `list_variables`."""
    prefix = str(make_many(folder / "many" / "ckpt", 100_000))
    ours = python_command("-m", "ckread", "ls", prefix, "--json")
    theirs = python_command("-c", _LIST_VARIABLES, prefix)
    return Comparison("ls --json, 100,000 / list_variables", *measure_in_turn(ours, theirs), 5)


def compare_slice(folder: Path) -> Comparison:
    """`show` of ten elements of a 2 GiB tensor beside `load_checkpoint`."""
    prefix = str(make_large(folder / "one" / "ckpt", 1, 2048))
    ours = python_command("-m", "ckread", "show", prefix, "layer_00/kernel[1000, :10]")
    theirs = python_command("-c", _SHOW_SLICE, prefix)
    return Comparison("show 10 elements of 2 GiB / get_tensor", *measure_in_turn(ours, theirs), 10)


def main() -> None:
    """Make what is needed, measure, print."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        print(comparison_table([*compare_listing(), compare_many(folder), compare_slice(folder)]))


if __name__ == "__main__":
    main()
