"""Pictures of kernels and responses, by their data and their layout."""

from __future__ import annotations

import numpy as np
import pytest

from ckread.analysis.filters.activation import Layer
from ckread.analysis.filters.filters import filters_of
from ckread.analysis.filters.responses import Responses, response
from ckread.views.figures.filters import plot_filters, plot_responses
from ckread.views.figures.style import DARK, LIGHT
from tests.views.figures.layout import assert_layout_is_clean, tagged, text_of

SHAPES = [(3, 3, 1, 16), (5, 5, 3, 40), (3, 3, 8, 100), (7, 24, 16), (512, 64), (5, 3000), (4, 2)]
SHAPES += [(3, 3, 3, 1, 40), (7, 5, 5, 3, 20), (3, 3, 3, 8, 70)]


def _kernel(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_texts_lie_on_the_sheet_and_do_not_overlap(shape: tuple[int, ...]) -> None:
    filters = filters_of("a/" * 80 + "kernel", _kernel(*shape), top=50)
    assert_layout_is_clean(plot_filters(filters, evidence=["run/ckpt-1", "step 5"], palette=DARK))


def test_tiles_are_the_kernels_on_one_symmetric_scale() -> None:
    filters = filters_of("conv/kernel", _kernel(3, 3, 1, 20))
    figure = plot_filters(filters, evidence=["step 5"], palette=LIGHT)
    tiles = tagged(figure, "ckread:tile:")
    assert len(tiles) == 20
    for i, tile in enumerate(tiles):
        np.testing.assert_array_equal(tile.get_array(), filters.tiles[i])
        assert tile.get_clim() == (-filters.scale, filters.scale)
    assert text_of(figure, "ckread:subtitle") == "step 5  ·  3×3×1×20"


def test_slices_of_depth_stand_below_each_other() -> None:
    kernel = _kernel(2, 3, 3, 1, 17)
    figure = plot_filters(filters_of("k", kernel), evidence=[], palette=LIGHT)
    tiles = tagged(figure, "ckread:tile:")
    assert len(tiles) == 2 * 17
    for i, tile in enumerate(tiles):
        np.testing.assert_array_equal(tile.get_array(), kernel[i % 2, :, :, 0, i // 2])
    first, second = (tile.get_extent() for tile in tiles[:2])
    assert first[:2] == second[:2]
    assert first[3] < first[2] < second[3] < second[2]
    note = text_of(figure, "ckread:note")
    assert note.startswith("Slices of depth below each other, the first on top. One scale for all")


def test_colour_has_zero_at_mid_grey() -> None:
    kernel = _kernel(2, 2, 3, 4)
    kernel[0, 0] = 0
    figure = plot_filters(filters_of("k", kernel), evidence=[], palette=LIGHT)
    [first, *_] = tagged(figure, "ckread:tile:")
    np.testing.assert_array_equal(first.get_array()[0, 0], [0.5] * 3)


def test_each_kernel_may_have_its_own_scale() -> None:
    filters = filters_of("k", _kernel(3, 3, 1, 4))
    figure = plot_filters(filters, evidence=[], palette=LIGHT, is_per_kernel=True)
    limits = [tile.get_clim()[1] for tile in tagged(figure, "ckread:tile:")]
    assert limits == [np.abs(tile).max() for tile in filters.tiles]


def test_what_is_left_out_is_said() -> None:
    filters = filters_of("k", _kernel(7, 24, 32), top=16)
    figure = plot_filters(filters, evidence=[], palette=LIGHT)
    notes = [text.get_text() for text in tagged(figure, "ckread:note")]
    assert "16 of 32 filters; --top 32 shows all." in notes
    assert text_of(figure, "ckread:subtitle") == "7×24×32: taps across, channels down"


def test_a_matrix_of_more_cells_than_dots_is_averaged_and_that_is_said() -> None:
    kernel = _kernel(5, 3000)
    figure = plot_filters(filters_of("k", kernel), evidence=[], palette=LIGHT)
    [image] = tagged(figure, "ckread:tile:0")
    assert image.get_array().shape == (5, 1000)
    np.testing.assert_allclose(image.get_array()[0, 0], kernel[0, :3].mean())
    notes = " ".join(text.get_text() for text in tagged(figure, "ckread:note"))
    assert "Each cell is the mean of 3 weights." in notes


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("n", [1, 16, 20])
def test_responses_are_drawn_on_one_scale(n: int, relu: bool) -> None:
    kernel, image = _kernel(3, 3, 1, n), np.abs(_kernel(9, 7, 1))
    maps = response(kernel, image).transpose(2, 0, 1)
    maps = np.maximum(maps, 0) if relu else maps
    responses = Responses(filters_of("conv/kernel", kernel), image, maps, Layer())
    figure = plot_responses(responses, evidence=["ckpt-10"], palette=LIGHT)
    assert_layout_is_clean(figure)
    drawn = tagged(figure, "ckread:response:")
    limit = np.abs(maps).max()
    for one, right in zip(drawn, maps, strict=True):
        np.testing.assert_array_equal(one.get_array(), right)
        assert one.get_clim() == (0.0 if relu else -limit, limit)
    [shown] = tagged(figure, "ckread:image")
    expected = (image - image.min()) / (image.max() - image.min())
    np.testing.assert_allclose(shown.get_array(), expected[..., 0])
