"""Statistics to draw: seeded values under names of every kind."""

from __future__ import annotations

import numpy as np

from ckread.analysis.statistics.distribution import exact_distribution
from ckread.analysis.statistics.statistics import VariableStatistics
from ckread.model.role import Role
from ckread.readers.contract import DataType

SHORT = [f"layer_{i}/{leaf}" for i in range(250) for leaf in ("kernel", "bias")]
_FEATURE = "training/Ftrl/linear/linear_model/" + "feature_" * 4
LONG = [f"{_FEATURE}{i // 3}_xf/weights/part_{i % 3}/accumulator" for i in range(500)]
NON_ASCII = [f"слой_{i // 2}/größe_{i}/核_$x_{i}$" for i in range(500)]
EQUAL_LEAVES = [f"tower_{i % 7}/block_{i // 7}/conv/kernel" for i in range(500)]
NAMES = {"short": SHORT, "long": LONG, "non-ascii": NON_ASCII, "equal leaves": EQUAL_LEAVES}


def values(i: int, n: int = 300) -> np.ndarray:
    """Give values whose scale, mean and faults depend on `i`."""
    generator = np.random.default_rng(i)
    x = generator.standard_normal(n) * 0.05 * generator.lognormal(0, 1)
    x = 1 + x if i % 5 == 1 else x
    if i % 17 == 5:
        x[:3] = np.nan
    if i % 19 == 6:
        x[:] = 0
    if i % 23 == 7:
        x[:] = np.nan
    return x.astype(np.float32)


def variable(name: str, array: np.ndarray) -> VariableStatistics:
    """Give the statistics of an array."""
    distribution = exact_distribution(array, DataType.FLOAT32, 64)
    shape = array.shape
    return VariableStatistics(name, name, Role.WEIGHT, DataType.FLOAT32, shape, distribution)


def variables(n: int, names: list[str] = SHORT) -> list[VariableStatistics]:
    """Give `n` of them; every seventh has few elements."""
    return [variable(names[i], values(i, 16 if i % 7 == 3 else 300)) for i in range(n)]
