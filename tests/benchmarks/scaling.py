"""What should grow with its size alone: runs of many checkpoints, and values of every type.

python -m tests.benchmarks.run --only runs types
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ckread.readers.contract import DataType, numpy_dtype
from tests.benchmarks.measuring import Comparison, measure_in_turn, python_command
from tests.builders import BundleBuilder

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHAPES = [(3, 3, 1, 16), (16,), (8,), (4, 8)] * 10
_PER_CHECKPOINT = 1 / 1.2
"""What a checkpoint of few may take of the time of one of many."""
_PER_BYTE = 1 / 3
_TYPES = [
    DataType.FLOAT64, DataType.FLOAT16, DataType.BFLOAT16, DataType.FLOAT8_E4M3FN,
    DataType.FLOAT8_E5M2, DataType.INT8, DataType.INT4, DataType.INT16, DataType.INT32,
    DataType.INT64, DataType.UINT64, DataType.COMPLEX64, DataType.COMPLEX128, DataType.BOOL,
]  # fmt: skip
"""Each kind of kernel and of width; types beside these go the same ways."""
_PATTERNS = ("a NaN in 131,072", "values in (1, 1.0001)", "half zeros", "rounding apart")
"""Values of float32 that might leave the quick way."""


def make_run(directory: Path, n: int) -> str:
    """Write `n` checkpoints of 42 small variables."""
    random = np.random.default_rng(0)
    directory.mkdir(parents=True, exist_ok=True)
    for step in range(1, n + 1):
        if not (directory / f"model.ckpt-{step}.index").exists():
            builder = BundleBuilder()
            for i, shape in enumerate(_SHAPES):
                name = f"layer_{i // 2:02}/{'bias' if i % 2 else 'kernel'}"
                values = random.standard_normal(shape, np.float32)
                builder.add(name, values, DataType.FLOAT32)
            builder.add("global_step", np.array(step, np.int64), DataType.INT64)
            builder.add("learning_rate", np.array(1 / step, np.float32), DataType.FLOAT32)
            builder.write(directory / f"model.ckpt-{step}")
    return str(directory)


def compare_runs(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """Every command that goes through a run, of 10,000 checkpoints beside one of 2,000."""
    few, many = (4, 20) if is_quick else (2_000, 10_000)
    runs = [make_run(folder / f"checkpoints_{n}", n) for n in (many, few)]
    comparisons = []
    for words in (
        ["runs"], ["info"], ["track"], ["drift"], ["drift", "--index-only"], ["check", "--every"],
    ):  # fmt: skip
        names = ["learning_rate"] if words == ["track"] else []
        commands = (python_command("-m", "ckread", *words, run, *names) for run in runs)
        ours, theirs = measure_in_turn(*commands, n_ours=2, n_theirs=2, is_quick=is_quick)
        work, beside = f"{' '.join(words)}, {many:,} checkpoints", f"{many // few} times {few:,}"
        times = theirs.times(many / few)
        comparisons.append(Comparison(work, ours, times, _PER_CHECKPOINT, beside=beside))
    return comparisons


def make_type(prefix: Path, dtype: DataType, mib: int, seed: int, pattern: str = "") -> str:
    """Write one variable of a type, its values near each other whatever the seed."""
    if Path(f"{prefix}.index").exists():
        return str(prefix)
    n = (mib << 20) // dtype.itemsize
    values = np.random.default_rng(0).standard_normal(n, np.float32)
    values = _of_pattern(values, pattern, seed)
    if not dtype.startswith(("float", "bfloat", "complex")):
        values = np.abs(values * 3).clip(0, 7)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    builder = BundleBuilder()
    builder.add("kernel", values.astype(numpy_dtype(dtype)), dtype)
    return builder.write(prefix)


def _of_pattern(x: NDArray[np.float32], pattern: str, seed: int) -> NDArray[np.float32]:
    if pattern == "rounding apart":
        return x * np.float32(1 + 1e-7 * seed)
    x = x + np.float32(0.01 * seed)
    if pattern == "a NaN in 131,072":
        x[::131_072] = np.nan
    elif pattern == "values in (1, 1.0001)":
        x = 1 + x * np.float32(1e-5)
    elif pattern == "half zeros":
        x[::2] = 0
    return x


def compare_types(folder: Path, *, is_quick: bool = False) -> list[Comparison]:
    """Values of every type, and odd ones, beside as many bytes of float32."""
    mib = 1 if is_quick else 256
    kinds = [(dtype, "") for dtype in (DataType.FLOAT32, *_TYPES)]
    kinds += [(DataType.FLOAT32, pattern) for pattern in _PATTERNS]
    made = {}
    for at, (dtype, pattern) in enumerate(kinds):
        name = f"{dtype}-{at if pattern else ''}"
        called = f"float32, {pattern}" if pattern else str(dtype)
        made[called] = [
            make_type(folder / "types" / f"{name}-{seed}", dtype, mib, seed, pattern)
            for seed in (1, 2)
        ]
    plain = made.pop("float32")
    comparisons = []
    for command, n in (("stats", 1), ("check", 1), ("diff", 2), ("drift", 2)):
        for called, paths in made.items():
            commands = (
                python_command("-m", "ckread", command, *some[:n], "--jobs", "1")
                for some in (paths, plain)
            )
            measured = measure_in_turn(
                *commands, n_ours=2, n_theirs=2, is_quick=is_quick, is_warm=True
            )
            work = f"{command}, {mib} MiB of {called}"
            comparisons.append(Comparison(work, *measured, _PER_BYTE, beside="float32"))
    return comparisons
