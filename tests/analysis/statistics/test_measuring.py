"""A second read makes narrow distributions as sharp as wide ones."""

from __future__ import annotations

import numpy as np
import pytest

from ckread.analysis.statistics.distribution import sketch_bins, sketch_distribution
from ckread.analysis.statistics.measuring import cells_to_refine, refined_bins
from ckread.analysis.statistics.sketch import Sketch
from ckread.readers.contract import DataType
from tests.analysis.numpy_figures import assert_equals_numpy

N = 200_000


def _sketch(array: np.ndarray, dtype: DataType) -> Sketch:
    sketch = Sketch(dtype)
    sketch.add(array)
    return sketch


@pytest.mark.parametrize(
    ("centre", "width", "dtype"),
    [
        (1.0, 1e-4, DataType.FLOAT32),
        (-1.0, 1e-4, DataType.FLOAT32),
        (0.0, 1e-43, DataType.FLOAT32),
        (-3.0, 1e-9, DataType.FLOAT64),
        (0.0, 1e-60, DataType.FLOAT64),
    ],
)
def test_quantiles_of_narrow_values(centre: float, width: float, dtype: DataType) -> None:
    values = centre + width * np.random.default_rng(0).standard_normal(N)
    array = values.astype(dtype.value)
    sketch = _sketch(array, dtype)
    cells = cells_to_refine(sketch)
    assert cells is not None
    counts = cells.counted(np.array_split(array, 7))
    coarse = sketch_bins(sketch)
    found = sketch_distribution(sketch, 50, refined_bins(coarse, cells, counts))
    assert_equals_numpy(found, array)
    wide = array.astype(np.float64)
    spread = wide.max() - wide.min()
    widest = max(q.high - q.low for q in found.quantiles)
    assert widest <= max(spread / 1000, 5e-324 + 2e-45 * (dtype is DataType.FLOAT32))
    before = max(b.high - b.low for b in sketch_distribution(sketch, 50).quantiles)
    assert before > 10 * widest, "it was needed"


def test_signs_and_clusters_are_refined_together() -> None:
    generator = np.random.default_rng(0)
    values = np.sign(generator.standard_normal(N)) + 1e-5 * generator.standard_normal(N)
    array = np.append(values, [1e30, np.nan, np.inf, -np.inf]).astype(np.float32)
    sketch = _sketch(array, DataType.FLOAT32)
    cells = cells_to_refine(sketch)
    assert cells is not None
    counts = cells.counted([array])
    assert counts.sum() == array.size
    found = sketch_distribution(sketch, 50, refined_bins(sketch_bins(sketch), cells, counts))
    assert_equals_numpy(found, array)
    assert max(q.high - q.low for q in found.quantiles) < 1e-6


@pytest.mark.parametrize("scale", [0.02, 1e30])
def test_wide_values_need_no_second_read(scale: float) -> None:
    array = (scale * np.random.default_rng(0).standard_normal(N)).astype(np.float32)
    assert cells_to_refine(_sketch(array, DataType.FLOAT32)) is None


@pytest.mark.parametrize("values", [[0.5] * 9, [0.0] * 9, [0.0, 1.0] * 5, []])
def test_exact_values_need_no_second_read(values: list[float]) -> None:
    assert cells_to_refine(_sketch(np.array(values, np.float32), DataType.FLOAT32)) is None


def test_a_file_that_changed_between_the_reads_keeps_the_first_bins() -> None:
    array = (1 + 1e-4 * np.random.default_rng(0).standard_normal(N)).astype(np.float32)
    sketch = _sketch(array, DataType.FLOAT32)
    cells = cells_to_refine(sketch)
    assert cells is not None
    counts = cells.counted([array[:-1]])
    bins = sketch_bins(sketch)
    assert refined_bins(bins, cells, counts) is bins
