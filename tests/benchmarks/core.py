"""Listing and showing, beside TensorFlow's own tools.

    python -m tests.benchmarks.run --only listing many slice

Bytecode must be compiled on both sides (`python -m compileall`): otherwise
TensorFlow's import takes twice as long, and the ratios flatter us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.making import make_large, make_many
from tests.benchmarks.measuring import Comparison, measure_in_turn, python_command
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

SMALL = FIXTURES / "digits_run" / "ckpt-10"

LIST_VARIABLES = (
    "import sys, json, tensorflow as tf;print(json.dumps(tf.train.list_variables(sys.argv[1])))"
)
_SHOW_SLICE = (
    "import sys, tensorflow as tf;"
    "print(tf.train.load_checkpoint(sys.argv[1]).get_tensor('layer_00/kernel')[1000, :10])"
)


def compare_listing(_folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """`info`, `ls`, `tree` of a small checkpoint beside `inspect_checkpoint`."""
    theirs = python_command(
        "-m", "tensorflow.python.tools.inspect_checkpoint", f"--file_name={SMALL}"
    )
    comparisons = []
    for name in ("info", "ls", "tree"):
        ours = python_command("-m", "ckread", name, str(SMALL))
        measured = measure_in_turn(ours, theirs, is_quick=is_quick)
        comparisons.append(
            Comparison(f"{name}, 43 variables", *measured, 40, beside="inspect_checkpoint")
        )
    return comparisons


def compare_many(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """`ls --json` of 100,000 variables beside `list_variables`."""
    n_variables = 10_000 if is_quick else 100_000
    prefix = str(make_many(folder / f"many_{n_variables}" / "ckpt", n_variables))
    ours = python_command("-m", "ckread", "ls", prefix, "--json")
    theirs = python_command("-c", LIST_VARIABLES, prefix)
    measured = measure_in_turn(ours, theirs, is_quick=is_quick)
    work = f"ls --json, {n_variables:,} variables"
    return [Comparison(work, *measured, 5, beside="tf.train.list_variables")]


def compare_slice(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """`show` of ten elements of a 2 GiB tensor beside `load_checkpoint`."""
    mib = 64 if is_quick else 2048
    prefix = str(make_large(folder / f"one_{mib}" / "ckpt", 1, mib))
    ours = python_command("-m", "ckread", "show", prefix, "layer_00/kernel[1000, :10]")
    theirs = python_command("-c", _SHOW_SLICE, prefix)
    measured = measure_in_turn(ours, theirs, is_quick=is_quick)
    work = f"show, 10 elements of {size_text(mib)}"
    return [Comparison(work, *measured, 10, beside="get_tensor")]


def size_text(mib: int) -> str:
    """Give a size in the larger unit, if it is a whole number of these."""
    return f"{mib // 1024} GiB" if mib % 1024 == 0 else f"{mib} MiB"
