"""Cosines beside exact ones: whichever form is taken, no digit is lost to the other's weakness."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ckread.analysis.diff.kernels import PairComparison, compare_many, metrics_of_rows
from ckread.analysis.diff.metrics import Tolerance, metrics_of
from ckread.analysis.drift.kernel import ChunkSums, Rows
from ckread.analysis.drift.measuring import figures_of
from ckread.analysis.norms import are_alike, distance_tells_more
from ckread.readers.contract import DataType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_FEW_STEPS = 16 * 2.0**-53
"""What sums of some dozen products, two roots and a division may lose of 1."""
_CONTEXT = Context(prec=80)


def exact_cosine(a: Floats, b: Floats) -> float:
    x, y = ([Fraction(value) for value in side.tolist()] for side in (a, b))
    aa, bb, ab = (sum(map(Fraction.__mul__, u, v)) for u, v in ((x, x), (y, y), (x, y)))
    root = _CONTEXT.sqrt(_decimal(Fraction(aa * bb)))
    return float(_CONTEXT.divide(_decimal(Fraction(ab)), root))


def _decimal(value: Fraction) -> Decimal:
    return _CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def cosines(a: Floats, b: Floats) -> list[float | None]:
    """Give it as each way of diff and of drift has it."""
    comparison = PairComparison(Tolerance())
    comparison.add(a, b)
    rows, is_right = compare_many((), [a[None], b[None]])
    assert rows is not None
    assert is_right.all()
    [of_rows] = metrics_of_rows(rows, range(1), [a.shape])[6]
    together, alone = Rows([DataType.FLOAT64] * 2), ChunkSums(0)
    for values in (a, b):
        together.add([values[None]])
        alone.add(values, is_wide=True)
    sums = together.results()[0].sums, alone.rows()[None]
    drifts = [figures_of(some, [0], range(2))[3][0][1] for some in sums]
    return [metrics_of(comparison.tally(), a.shape).cosine, of_rows, *drifts]


@settings(max_examples=80)
@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-4, 4).map(lambda x: x or 1.0)),
    st.floats(-8, 8) | st.sampled_from([0.0, 0.17, 0.18, 0.3, 1.0]),
    st.sampled_from([0.0, 1e-7, 1e-3, 0.1, 0.5, 2.0]),
    st.integers(0, 9),
)
def test_a_cosine_is_exact_whatever_the_norms(
    a: Floats, power: float, noise: float, seed: int
) -> None:
    a = np.where(np.abs(a) < 1e-9, 1.0, a)
    b = 10.0**power * a * (1 + noise * np.random.default_rng(seed).standard_normal(a.size))
    expected = exact_cosine(a, b)
    for found in cosines(a, b):
        assert found == pytest.approx(expected, rel=0, abs=_FEW_STEPS)


def test_the_distance_is_asked_where_norms_are_alike_alone() -> None:
    assert distance_tells_more(0.95, 1.0, 1.5)
    assert distance_tells_more(0.95, 1.5, 1.0)
    assert not distance_tells_more(0.95, 1.0, 1.6)
    assert not distance_tells_more(0.9, 1.0, 1.0)
    assert are_alike(1.0, 2.25)
    assert not are_alike(1.0, 2.3)
