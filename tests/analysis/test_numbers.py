"""Conversions and counts that are faster than numpy's own, beside these."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from ckread.analysis.numbers import BytePairs, copy_as_floats


@pytest.mark.parametrize("shape", [(-1,), (64, -1)])
@pytest.mark.parametrize("is_finite", [True, False])
def test_every_half_is_copied(shape: tuple[int, ...], is_finite: bool) -> None:
    halves = np.tile(np.arange(65_536, dtype=np.uint16), 2).view(np.float16)
    if is_finite:
        halves = np.where(np.isfinite(halves), halves, np.float16(-0.0))
    values = halves.reshape(shape)
    found = np.empty(values.shape)
    copy_as_floats(values, found)
    np.testing.assert_array_equal(found, values.astype(np.float64))
    np.testing.assert_array_equal(np.signbit(found), np.signbit(values))


def test_none_at_all_are_copied() -> None:
    copy_as_floats(np.empty(0, np.float16), np.empty(0))


def test_pairs_are_counted() -> None:
    random = np.random.default_rng(0)
    a, b = (random.integers(-3, 3, 70_003).astype(ml_dtypes.int4) for _ in range(2))
    pairs = BytePairs()
    pairs.add(a[:66_000], b[:66_000])
    pairs.add(a[66_000:], b[66_000:])
    left, right, counts = pairs.used()
    assert counts.sum() == a.size
    for x, y, n in zip(left, right, counts, strict=True):
        assert n == np.count_nonzero((a.view(np.uint8) == x) & (b.view(np.uint8) == y))
