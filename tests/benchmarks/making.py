"""Checkpoints for the benchmarks, written by TensorFlow itself in a child process.

python -m tests.benchmarks.making many PREFIX 100000
python -m tests.benchmarks.making large PREFIX 32 64 [SEED]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.measuring import python_command


def make_many(prefix: Path, n_variables: int, *, offset: int = 0) -> Path:
    """Write `n_variables` small float32 variables, named as a deep network's are."""
    return _make(prefix, "many", str(n_variables), str(offset))


def make_large(prefix: Path, n_variables: int, mib_each: int, *, seed: int = 0) -> Path:
    """Write float32 variables of `mib_each` MiB, normally distributed."""
    return _make(prefix, "large", str(n_variables), str(mib_each), str(seed))


def _make(prefix: Path, kind: str, *arguments: str) -> Path:
    if not Path(f"{prefix}.index").exists():
        prefix.parent.mkdir(parents=True, exist_ok=True)
        command = python_command("-m", "tests.benchmarks.making", kind, str(prefix), *arguments)
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run(command, check=True, cwd=Path(__file__).parents[2], env=environment)
    return prefix


def _write(kind: str, prefix: str, numbers: list[int]) -> None:
    import numpy as np
    import tensorflow as tf

    if kind == "many":
        names = [f"tower_{i % 10}/layer_{i // 10}/kernel" for i in range(numbers[0])]
        tensors = [np.full([4, 4], i + sum(numbers[1:]), "f4") for i in range(numbers[0])]
    else:
        n_variables, mib_each, seed = numbers
        generator = np.random.default_rng(seed)
        names = [f"layer_{i:02}/kernel" for i in range(n_variables)]
        shape = [mib_each * 256, 1024]
        tensors = [generator.standard_normal(shape, "f4") * np.float32(0.02) for _ in names]
    tf.raw_ops.SaveV2(
        prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors
    )


if __name__ == "__main__":
    _write(sys.argv[1], sys.argv[2], [int(text) for text in sys.argv[3:]])
