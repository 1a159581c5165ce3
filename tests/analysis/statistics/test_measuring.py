"""A second read makes narrow distributions as sharp as wide ones."""

from __future__ import annotations

import numpy as np
import pytest

from ckread.analysis.statistics.distribution import Bins, sketch_bins, sketch_distribution
from ckread.analysis.statistics.measuring import (
    Cells,
    cells_to_refine,
    measure_here,
    merged,
    refined_bins,
)
from ckread.analysis.statistics.sketch import Sketch
from ckread.readers.contract import CHUNK_NBYTES, DataType
from tests.analysis.array_checkpoint import checkpoint
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


@pytest.mark.parametrize("dtype", [DataType.FLOAT32, DataType.FLOAT64])
def test_cells_are_counted_one_element_after_the_other(dtype: DataType) -> None:
    values = np.array([1.0005, 1.0015, 1.0039, 1.0035, -1.5, -1.5012, 0.0, 7.0, np.nan, 1.0078])
    values = values.astype(dtype.value)
    bins = [0x3F80, 0xBFC0]  # from 1 to 1.0078, and from -1.5078 to -1.5
    cells = Cells(np.array(bins), np.array([1.0, -1.502]), np.array([1.004, -1.5]), 4)
    found = cells.counted([values[:3], values[3:]])
    assert found[:-1].tolist() == [[1, 1, 0, 3], [0, 1, 0, 1]]
    assert found[-1].sum() == 3
    turned = cells.counted([values.reshape(2, 5)[:, ::-1]])
    assert turned.tolist() == found.tolist()
    assert cells.counted([]).tolist() == [[0] * 4] * 3
    many = np.full(70_000, 1.0015, dtype.value)
    assert cells.counted([many])[0].tolist() == [0, 70_000, 0, 0]
    complex_cells = cells.counted([np.array([0.60001 + 0.8j, 1.0015j], np.complex64)])
    assert complex_cells[0].tolist() == [1, 1, 0, 0]


def test_bins_that_are_refined_take_the_place_of_the_coarse() -> None:
    bins = Bins(np.array([0.0, 1, 3]), np.array([0.0, 2, 3]), np.array([5, 6, 7]))
    cells = Cells(np.array([0x3F80]), np.array([1.0]), np.array([2.0]), 4)
    counts = np.array([[1, 0, 2, 3], [9, 0, 0, 0]])
    found = refined_bins(bins, cells, counts)
    assert found.low.tolist() == [0, 1, 1.5, 1.75, 3]
    assert found.high.tolist() == [0, 1.25, 1.75, 2, 3]
    assert found.counts.tolist() == [5, 1, 2, 3, 7]
    assert refined_bins(bins, cells, counts + np.array([[1, 0, 0, 0], [0] * 4])) is bins


def test_when_a_second_read_is_worth_it() -> None:
    def cells(values: np.ndarray, dtype: DataType = DataType.FLOAT32) -> Cells | None:
        return cells_to_refine(_sketch(values.astype(dtype.value), dtype))

    narrow = np.linspace(1, 1.007, 1000)
    found = cells(narrow)
    assert found is not None
    assert (found.numbers.tolist(), found.n_parts) == ([0x3F80], 65_536)
    assert found.low.tolist() == [1.0]
    assert found.high.tolist() == [float(np.float32(1.007))]
    two = cells(np.concatenate([narrow, -narrow, [0.0] * 10]))
    assert two is not None
    assert (two.numbers.tolist(), two.n_parts) == ([0xBF80, 0x3F80], 32_768)
    assert cells(narrow, DataType.FLOAT64) is not None
    assert cells(narrow, DataType.FLOAT16) is None
    assert cells(np.array([1.0, 1.0])) is None
    # Each bin of little weight is left as it is.
    some = cells(np.concatenate([np.full(2000, 1.0), np.full(2000, 1.001), [5.0, 5.01] * 2]))
    assert some is not None
    assert some.numbers.tolist() == [0x3F80]
    # Of bins of equal weight some 261 are enough, where 98 of 100 elements are in 256 of them.
    for n, is_enough in ((255, False), (264, True)):
        spread = np.repeat(2.0 ** (np.arange(n) // 128) * (1 + np.arange(n) % 128 / 128), 20)
        assert (cells(spread + 1e-7 * spread) is None) is is_enough


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int8", "string"])
def test_what_lies_nowhere_plainly_is_measured_all_the_same(dtype: str) -> None:
    random = np.random.default_rng(0)
    values = 1 + 1e-4 * random.normal(size=CHUNK_NBYTES // 4 + 100)
    array = (values * 50).astype("i1") if dtype == "int8" else values.astype(
        "f4" if dtype == "string" else dtype)  # fmt: skip
    if dtype == "string":
        array = np.array([b"a", b"bcd", b""], object)
    made = checkpoint({"w": array})["w"]
    found = measure_here(made, 20)
    assert found.elements == array.size
    if dtype == "string":
        assert (found.min, found.max, str(found.measure)) == (0, 3, "length")
        return
    assert_equals_numpy(found, array)
    assert max(q.high - q.low for q in found.quantiles) < 1e-4
    small = checkpoint({"w": array[:100]})["w"]
    assert all(q.low == q.high for q in measure_here(small, 20).quantiles)


def test_partial_results_of_two_parts() -> None:
    one, two = (_sketch(np.arange(n, dtype=np.float32), DataType.FLOAT32) for n in (3, 4))
    assert merged(one, two) is one
    assert one.tally().elements == 7
    assert merged(np.array([1, 2]), np.array([3, 4])).tolist() == [4, 6]
