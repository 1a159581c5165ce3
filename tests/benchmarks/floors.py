"""What no program can undercut: an interpreter that does nothing, and reading the bytes.

python -m tests.benchmarks.run --only floors
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.benchmarks.core import SMALL, size_text
from tests.benchmarks.measuring import Comparison, measure_in_turn, python_command
from tests.benchmarks.statistics import MIB_EACH, make

if TYPE_CHECKING:
    from pathlib import Path

_READ = """
import os
import sys
import numpy as np

buffer = np.empty(1 << 20, np.uint8)
file = os.open(sys.argv[1], os.O_RDONLY)
at, end = 0, os.fstat(file).st_size
while at < end:
    at += os.preadv(file, [buffer], at)
"""


def compare(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """Measure a start beside a bare one, and what reads every byte beside reading them."""
    ours = python_command("-m", "ckread", "info", str(SMALL))
    bare = python_command("-c", "pass")
    measured = measure_in_turn(ours, bare, n_ours=20, n_theirs=20, is_quick=is_quick)
    comparisons = [Comparison("info, 43 variables, start", *measured, 1 / 4, "python -c pass")]
    n_variables = 2 if is_quick else 32
    prefix = make(folder / f"large_{n_variables}" / "ckpt", n_variables)
    theirs = python_command("-c", _READ, f"{prefix}.data-00000-of-00001")
    for command, target in (("stats", 1 / 3), ("check", 1 / 1.4)):
        ours = python_command("-m", "ckread", command, prefix, "--jobs", "1")
        measured = measure_in_turn(ours, theirs, n_theirs=5, is_quick=is_quick)
        work = f"{command} --jobs 1, {size_text(n_variables * MIB_EACH)} of bytes"
        comparisons.append(Comparison(work, *measured, target, "preadv"))
    return comparisons
