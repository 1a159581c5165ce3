"""The same figures by numpy, in the plainest way: what statistics are held against."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.statistics.distribution import PROBABILITIES, Distribution

if TYPE_CHECKING:
    from numpy.typing import NDArray


def finite_values(array: NDArray[Any]) -> NDArray[Any]:
    """Give what is measured: finite elements, as float64 or as integers; the modulus of complex."""
    flat = array.reshape(-1)
    if flat.dtype.kind == "c":
        flat = np.abs(flat)
    if flat.dtype.kind in "iu" and flat.dtype.isbuiltin:
        return flat
    with np.errstate(invalid="ignore"):  # signalling NaN
        wide = flat.astype(np.float64)
    return wide[np.isfinite(wide)]


def assert_equals_numpy(found: Distribution, array: NDArray[Any]) -> None:
    """Check counts and extremes exactly, moments to 1e-12, quantiles within their bounds."""
    flat = np.abs(array).reshape(-1) if array.dtype.kind == "c" else array.reshape(-1)
    with np.errstate(invalid="ignore"):
        wide = flat.astype(np.float64)
    values = finite_values(array)
    assert found.elements == flat.size
    assert found.zeros == np.count_nonzero(wide == 0)
    assert found.nan == np.count_nonzero(np.isnan(wide))
    assert found.positive_infinite == np.count_nonzero(wide == np.inf)
    assert found.negative_infinite == np.count_nonzero(wide == -np.inf)
    if not values.size:
        figures = found.min, found.max, found.mean, found.std, found.l1, found.l2
        assert figures == (None,) * 6
        return
    assert found.min == values.min().item()
    assert found.max == values.max().item()
    assert_moments(found, values)
    assert_quantiles(found, values)
    assert sum(found.histogram(50).counts) == values.size


def assert_moments(found: Distribution, values: NDArray[Any]) -> None:
    """Check mean, deviation and norm against exact sums."""
    numbers = [int(x) if values.dtype.kind in "iu" else float(x) for x in values.tolist()]
    n = len(numbers)
    largest = max(map(abs, numbers)) or 1
    unit = 2.0 ** (math.frexp(float(largest))[1] - 1) if not 1e-100 < largest < 1e100 else 1.0
    mean = math.fsum(x / unit for x in numbers) / n
    m2 = math.fsum((x / unit - mean) ** 2 for x in numbers)
    l2 = math.sqrt(math.fsum((x / unit) ** 2 for x in numbers))
    std = math.sqrt(m2 / n)
    assert found.mean is not None
    assert found.std is not None
    assert found.l2 is not None
    # A mean that cancels has the digits of the elements it comes from.
    scale = max(abs(mean), std / math.sqrt(n))
    least = 5e-324 / unit
    slack = 1e-12 * scale + 1e-16 * float(largest) / unit + least
    assert abs(found.mean / unit - mean) <= slack
    assert found.std / unit == _near(std, 4e-16 * float(largest) / unit + least)
    l1 = math.fsum(abs(x / unit) for x in numbers)
    assert found.l1 is not None
    if l1 > 1.7e308 / unit:
        assert found.l1 == math.inf
    else:
        assert found.l1 / unit == _near(l1, least * n)
    if l2 > 1.7e308 / unit:
        assert found.l2 == math.inf
    else:
        assert found.l2 / unit == _near(l2, 4e-16 * float(largest) / unit + least)


def _near(value: float, absolute: float) -> Any:
    """Give 1e-12 of the value, or the last digits of the largest element."""
    return pytest.approx(value, rel=1e-12, abs=absolute)


def assert_quantiles(found: Distribution, values: NDArray[Any]) -> None:
    """Check that numpy's quantiles lie within the stated bounds, and the estimates too."""
    expected = np.quantile(values.astype(np.float64), PROBABILITIES)
    for quantile, right in zip(found.quantiles, expected.tolist(), strict=True):
        slack = 4e-15 * max(abs(right), abs(quantile.low), abs(quantile.high)) + 1e-320
        assert quantile.low - slack <= right <= quantile.high + slack
        assert quantile.low - slack <= quantile.value <= quantile.high + slack
