"""Pictures of one variable over a run: ridges and fans."""

from __future__ import annotations

import numpy as np
import pytest

from ckread.analysis.statistics.distribution import Distribution, exact_distribution
from ckread.readers.contract import DataType
from ckread.views.figures.over_steps import MAX_RIDGES, plot_over_steps
from ckread.views.figures.style import DARK
from tests.views.figures.layout import assert_layout_is_clean, tagged, text_of

Pairs = list[tuple[int, Distribution | None]]


def _pairs(n: int, *, step: int = 100, bad: tuple[int, ...] = (), absent: int = -1) -> Pairs:
    generator = np.random.default_rng(0)
    pairs: Pairs = []
    for i in range(n):
        values = (generator.standard_normal(400) * (0.1 + 0.01 * i)).astype(np.float32)
        if i in bad:
            values[:] = np.nan
        distribution = exact_distribution(values, DataType.FLOAT32, 64)
        pairs.append((step * (i + 1), None if i == absent else distribution))
    return pairs


def test_the_axes_of_a_fan_say_what_they_are() -> None:
    figure = plot_over_steps("a", _pairs(25), run="run", dtype="float32", shape=(20, 20))
    labels = {axis: tagged(figure, f"ckread:{axis}") for axis in "xy"}
    assert {axis: [one.get_text() for one in found] for axis, found in labels.items()} == {
        "x": ["step"], "y": ["value"],
    }  # fmt: skip


@pytest.mark.parametrize("n", [2, 10, 24, 25, 200])
@pytest.mark.parametrize("step", [1, 12_345_678])
def test_texts_lie_on_the_sheet_and_do_not_overlap(n: int, step: int) -> None:
    figure = plot_over_steps(
        "layer_" * 30,
        _pairs(n, step=step, bad=(1, n - 1), absent=0),
        run="run" * 40,
        dtype="float32",
        shape=(20, 20),
        palette=DARK,
    )
    assert_layout_is_clean(figure)


def test_each_checkpoint_has_its_ridge_on_common_bins() -> None:
    pairs = _pairs(5, bad=(2,), absent=3)
    figure = plot_over_steps("a", pairs, run="run", dtype="float32", shape=(20, 20))
    ridges = tagged(figure, "ckread:ridge:")
    assert [ridge.get_gid() for ridge in ridges] == [f"ckread:ridge:{s}" for s in (100, 200, 500)]
    edges = ridges[0].get_data().edges
    tops = []
    for ridge, (_, distribution) in zip(ridges, (pairs[i] for i in (0, 1, 4)), strict=True):
        heights = ridge.get_data().values
        assert np.array_equal(ridge.get_data().edges, edges)
        assert distribution is not None
        counts = distribution.counts_between(edges)
        above = heights - heights.min()
        np.testing.assert_allclose(above / above.max(), counts / counts.max(), atol=1e-12)
        tops.append(above.max() / counts.max())
    assert tops == pytest.approx([tops[0]] * 3), "one scale for all"
    assert len(tagged(figure, "ckread:nan")) == 1
    assert "step" in [text.get_text() for text in figure.texts]
    assert [text.get_text() for text in tagged(figure, "ckread:x")] == ["value"]
    written = [text.get_text() for text in figure.texts]
    assert written.count("NaN") == 1
    assert written.count("absent") == 1
    assert text_of(figure, "ckread:title") == "a"
    assert "5 checkpoints, step 100 to 500" in text_of(figure, "ckread:subtitle")


def test_more_checkpoints_are_a_fan() -> None:
    pairs = _pairs(MAX_RIDGES + 6, bad=(3, 4, 20), absent=10)
    figure = plot_over_steps("a", pairs, run="run", dtype="float32", shape=(20, 20))
    assert not tagged(figure, "ckread:ridge:")
    [median] = tagged(figure, "ckread:line:median")
    for x, y, (step, distribution) in zip(*median.get_data(), pairs, strict=True):
        assert x == step
        if distribution is None or not distribution.finite:
            assert np.isnan(y)
        else:
            assert y == distribution.quantile(0.5).value
    assert len(tagged(figure, "ckread:nan")) == 2, "one area per run of bad steps"
    assert len(tagged(figure, "ckread:band:")) == 3
    last = pairs[-1][1]
    assert last is not None
    notes = " ".join(text.get_text() for text in tagged(figure, "ckread:note"))
    assert "Hatched: no element is finite. Gaps: absent or unreadable." in notes


def test_far_tails_are_cut_and_that_is_said() -> None:
    values = np.append(np.random.default_rng(0).standard_normal(1000), 1e6).astype(np.float32)
    distribution = exact_distribution(values, DataType.FLOAT32, 64)
    pairs: Pairs = [(1, distribution), (2, distribution)]
    figure = plot_over_steps("a", pairs, run="run", dtype="float32", shape=(1001,))
    [axes] = tagged(figure, "ckread:ridges")
    assert axes.get_xlim()[1] < 10
    notes = " ".join(text.get_text() for text in tagged(figure, "ckread:note"))
    assert notes.endswith("Far tails are not drawn.")
