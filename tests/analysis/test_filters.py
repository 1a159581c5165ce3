"""Kernels as tiles, and their responses beside TensorFlow's own convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest

import ckread
from ckread.analysis.filters.filters import (
    KernelKind,
    filters_of,
    first_kernel,
    kernel_kind,
    read_kernel,
)
from ckread.analysis.filters.responses import Padding, read_array, read_image, response
from ckread.errors import CheckpointNotFoundError, UsageError
from ckread.model.role import Role
from tests.analysis.array_checkpoint import checkpoint
from tests.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def _kernel(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("conv1/kernel", (3, 3, 1, 16), KernelKind.CONV2D),
        ("block/depthwise_kernel", (3, 3, 8, 1), KernelKind.DEPTHWISE),
        ("conv1d/kernel", (7, 24, 32), KernelKind.CONV1D),
        ("conv3d/kernel", (3, 5, 4, 1, 8), KernelKind.CONV3D),
        ("dense/kernel", (64, 10), KernelKind.DENSE),
    ],
)
def test_the_kind_of_a_kernel(name: str, shape: tuple[int, ...], kind: KernelKind) -> None:
    assert kernel_kind(name, shape) is kind


@pytest.mark.parametrize("shape", [(), (3,), (3, 3, 3, 1, 1, 1)])
def test_what_is_no_kernel_is_declined(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=f"x: {len(shape)} dimensions?, expected a kernel"):
        kernel_kind("x", shape)


def test_tiles_are_the_kernels() -> None:
    kernel = _kernel(3, 5, 1, 4)
    found = filters_of("k", kernel)
    assert found.tiles.shape == (4, 3, 5)
    np.testing.assert_array_equal(found.tiles[2], kernel[:, :, 0, 2])
    assert (found.n_all, found.mean_over, found.is_colored) == (4, 1, False)
    assert found.scale == found.largest == np.abs(kernel).max()


def test_three_input_channels_are_colours() -> None:
    kernel = _kernel(3, 3, 3, 4)
    found = filters_of("k", kernel, top=2)
    assert found.is_colored
    assert (len(found.tiles), found.n_all) == (2, 4)
    np.testing.assert_array_equal(found.tiles[1], kernel[..., 1])


def test_other_numbers_of_channels_are_averaged_and_that_is_known() -> None:
    kernel = _kernel(3, 3, 8, 4)
    found = filters_of("k", kernel)
    assert found.mean_over == 8
    np.testing.assert_allclose(found.tiles[0], kernel[..., 0].mean(axis=2))


@pytest.mark.parametrize(("n_in", "is_colored"), [(1, False), (3, True), (8, False)])
def test_three_dimensions_are_slices_below_each_other(n_in: int, is_colored: bool) -> None:
    kernel = _kernel(2, 3, 5, n_in, 4)
    found = filters_of("k", kernel)
    assert (found.n_slices, found.is_colored, found.n_all) == (2, is_colored, 4)
    flat = filters_of("k", kernel[1])
    np.testing.assert_array_equal(found.tiles[:, 3:], flat.tiles)
    assert found.tiles.shape[:3] == (4, 2 * 3, 5)


def test_depthwise_tiles_go_by_channel_and_multiplier() -> None:
    kernel = _kernel(3, 3, 4, 2)
    found = filters_of("depthwise_kernel", kernel)
    np.testing.assert_array_equal(found.tiles[2 * 3 + 1], kernel[:, :, 3, 1])


def test_one_dimension_has_taps_across_and_channels_down() -> None:
    kernel = _kernel(7, 24, 32)
    np.testing.assert_array_equal(filters_of("k", kernel).tiles[5], kernel[:, :, 5].T)


def test_a_single_large_weight_clips_the_scale() -> None:
    kernel = _kernel(3, 3, 1, 200)
    kernel[0, 0, 0, 0] = 70
    found = filters_of("k", kernel)
    assert found.is_clipped
    assert found.largest == 70
    assert found.scale == np.quantile(np.abs(kernel), 0.995)


@pytest.mark.oracle
@pytest.mark.parametrize("padding", Padding)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(3, 3), (5, 4), (2, 1)])
@pytest.mark.parametrize("n_in", [1, 3])
def test_responses_are_those_of_tensorflow(
    padding: Padding, stride: int, size: tuple[int, int], n_in: int
) -> None:
    import tensorflow as tf

    kernel, image, bias = _kernel(*size, n_in, 6), _kernel(11, 14, n_in), _kernel(6)
    expected = tf.nn.conv2d(image[np.newaxis], kernel, stride, padding.upper())
    expected = tf.nn.bias_add(expected, bias).numpy()[0]
    found = response(kernel, image, stride=stride, padding=padding, bias=bias)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    depthwise = _kernel(*size, n_in, 2)
    strides = [1, stride, stride, 1]
    expected = tf.nn.depthwise_conv2d(image[np.newaxis], depthwise, strides, padding.upper())
    found = response(depthwise, image, stride=stride, padding=padding, is_depthwise=True)
    np.testing.assert_allclose(found, expected.numpy()[0], rtol=1e-9, atol=1e-9)


def test_what_does_not_fit_is_declined() -> None:
    image = _kernel(5, 5, 1)
    with pytest.raises(UsageError, match="the image has 1 channels, the kernel takes 3"):
        response(_kernel(3, 3, 3, 2), image)
    with pytest.raises(UsageError, match=r"a bias of shape \(3,\), expected one element per"):
        response(_kernel(3, 3, 1, 2), image, bias=np.zeros(3))
    with pytest.raises(UsageError, match="the image of 5×5 is smaller than the kernel of 7×7"):
        response(_kernel(7, 7, 1, 2), image, padding=Padding.VALID)
    with pytest.raises(UsageError, match="stride 0, expected 1 or more"):
        response(_kernel(3, 3, 1, 2), image, stride=0)


# From Python: kernels and responses of a checkpoint, and arrays as images.

RUN = "fixtures/digits_run"


@pytest.fixture
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("_in_the_project")
def test_kernels_are_those_of_a_path_a_checkpoint_or_a_variable() -> None:
    with ckread.open(RUN) as checkpoint:
        found = [
            ckread.filters(RUN),
            ckread.filters(checkpoint, "conv1/kernel"),
            ckread.filters(checkpoint["conv1/kernel"]),
        ]
        kernel = checkpoint["conv1/kernel"].numpy()
        assert len(ckread.filters(checkpoint, "conv2/kernel", top=5)) == 5
        with pytest.raises(UsageError, match="beside the variable"):
            ckread.filters(checkpoint["conv1/kernel"], "conv1/kernel")
    for one in found:
        assert one.name == "conv1/kernel"
        np.testing.assert_array_equal(np.stack(list(one)), kernel[:, :, 0].transpose(2, 0, 1))
    with pytest.raises(UsageError, match="the first 0 kernels"):
        ckread.filters(RUN, top=0)


@pytest.mark.usefixtures("_in_the_project")
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (1, 9, 7, 1)])
def test_an_array_or_its_file_is_taken_as_it_is(tmp_path: Path, shape: tuple[int, ...]) -> None:
    image = _kernel(*shape).astype(np.float32)
    np.save(tmp_path / "image.npy", image)
    given = ckread.responses(RUN, None, image, bias="conv1/bias", relu=True, padding="valid")
    read = ckread.responses(RUN, None, tmp_path / "image.npy", bias="conv1/bias", relu=True,
                            padding="valid")  # fmt: skip
    np.testing.assert_array_equal(given.maps, read.maps)
    assert given.output.shape == (7, 5, 16)
    with ckread.open(RUN) as checkpoint:
        kernel = checkpoint["conv1/kernel"].numpy().astype(np.float64)
        bias = checkpoint["conv1/bias"].numpy().astype(np.float64)
    plain = response(kernel, image.reshape(9, 7, 1).astype(float), bias=bias, padding=Padding.VALID)
    np.testing.assert_array_equal(given.output, np.maximum(plain, 0))
    assert (given.layer.words, given.pixel_range) == ("stride 1, padding valid, bias, relu", None)


@pytest.mark.usefixtures("_in_the_project")
@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros(3), r"shape \(3,\), expected \(rows, columns, 1\)"),
        (np.zeros((0, 4)), "expected"),
        (np.zeros((4, 4), complex), "complex128, expected real numbers"),
        (np.array([["a"]]), "expected real numbers"),
        (np.zeros((8, 8, 3)), "3 channels, the kernel takes 1"),
        (np.zeros((3000, 2200)), "too large an image"),
    ],
)
def test_an_array_that_is_no_image_is_declined(image: NDArray[Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ckread.responses(RUN, "conv1/kernel", image)


@pytest.mark.usefixtures("_in_the_project")
def test_a_deeper_layer_takes_the_array_before_it() -> None:
    before = ckread.responses(RUN, "conv1/kernel", np.eye(8), bias="conv1/bias", relu=True)
    after = ckread.responses(RUN, "conv2/kernel", before.output, bias="conv2/bias", relu=True)
    assert after.output.shape == (8, 8, 32)
    with pytest.raises(UsageError, match="padding 'full', expected same or valid"):
        ckread.responses(RUN, None, np.eye(8), padding="full")


def test_what_kernels_are_told_as() -> None:
    kernel = _kernel(3, 5, 2, 4)
    found = filters_of("k", kernel)
    assert repr(found) == "<ckread.Filters 'k': 4 of 4 conv2d, 3×5>"
    assert (found.kind, found.shape, found.n_slices, found.mean_over) == (
        KernelKind.CONV2D, (3, 5, 2, 4), 1, 2,
    )  # fmt: skip
    few = found.head(2)
    assert repr(few) == "<ckread.Filters 'k': 2 of 4 conv2d, 3×5>"
    assert few.scale == few.largest == np.abs(found.tiles[:2]).max()
    np.testing.assert_array_equal(few[1], found[1])
    assert len(list(found)) == len(found) == 4
    assert len(filters_of("k", kernel, top=1)) == 1
    dense = filters_of("k", _kernel(6, 2))
    assert (dense.tiles.shape, dense.n_all, dense.kind) == ((1, 6, 2), 1, KernelKind.DENSE)
    line = filters_of("k", _kernel(7, 3, 5))
    assert (line.tiles.shape, line.kind) == ((5, 3, 7), KernelKind.CONV1D)
    forced = filters_of("k", _kernel(3, 3, 2, 2), kind=KernelKind.DEPTHWISE)
    assert (forced.tiles.shape, forced.kind) == ((4, 3, 3), KernelKind.DEPTHWISE)
    assert repr(filters_of("k", _kernel(1, 1, 1, 1200))).startswith("<ckread.Filters 'k': 1,200 of")


def test_scales_of_odd_kernels() -> None:
    odd = np.full((2, 2, 1, 2), np.nan)
    assert (filters_of("k", odd).scale, filters_of("k", odd).largest) == (0, 0)
    odd[0, 0, 0, 1] = -3
    found = filters_of("k", odd)
    assert (found.scale, found.largest, found.is_clipped) == (3, 3, False)
    spread = np.ones((1, 1, 1, 1001))
    spread[..., -1] = 2
    assert filters_of("k", spread).scale == 2, "twice the usual is shown as it is"
    spread[..., -1] = 2.1
    clipped = filters_of("k", spread)
    assert (clipped.scale, clipped.largest, clipped.is_clipped) == (1, 2.1, True)
    zero = np.zeros((1, 1, 1, 1001))
    zero[..., -1] = 5
    assert filters_of("k", zero).scale == 5


def test_which_kernels_can_be_read() -> None:
    arrays: dict[str, NDArray[Any]] = {
        "c": np.ones((1, 1, 1, 1), np.complex64), "e": np.ones((0, 3)), "v": np.ones(3),
        "half": np.ones((2, 2), np.float16), "text": np.array([[b"a"]], object),
    }  # fmt: skip
    made = checkpoint(arrays)
    for name, said in (
        ("c", "c: complex64, expected real numbers"), ("text", "text: string, expected real numb"),
        ("e", "e: 0 elements do not make a picture"), ("v", "v: 1 dimension, expected a kernel"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            read_kernel(made[name])
    assert read_kernel(made["half"]).dtype == np.float64
    many = Mock(dtype=made["half"].dtype, shape=(8000, 8001), elements=8000 * 8001)
    with pytest.raises(UsageError, match="64008000 elements do not make a picture"):
        read_kernel(many)


def test_the_first_convolution_of_a_model() -> None:
    two = {"b/kernel": np.ones((2, 2)), "a/kernel": np.ones((3, 3, 1, 2)), "s": np.ones((1,) * 4)}
    made = checkpoint(two, roles={"s": Role.SLOT})
    assert first_kernel(made).name == "a/kernel"
    for other in ({"b": np.ones((2, 2))}, {"s": np.ones((1,) * 4)}):
        with pytest.raises(UsageError, match="no kernel of four dimensions here"):
            first_kernel(checkpoint(other, roles={"s": Role.SLOT}))


@pytest.mark.parametrize("pixel_range", [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)])
def test_pixels_of_a_picture(tmp_path: Path, pixel_range: tuple[float, float]) -> None:
    from PIL import Image

    low, high = pixel_range
    grey = np.array([[0, 255, 51]], np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    colour = np.array([[[255, 0, 51], [0, 102, 255]]], np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    found = read_image(str(tmp_path / "grey.png"), 1, pixel_range)
    assert found.shape == (1, 3, 1)
    np.testing.assert_allclose(found[..., 0], low + (high - low) * grey / 255, atol=1e-12)
    found = read_image(str(tmp_path / "colour.png"), 3, pixel_range)
    np.testing.assert_allclose(found, low + (high - low) * colour / 255, atol=1e-12)
    assert read_image(str(tmp_path / "grey.png"), 3, pixel_range).shape == (1, 3, 3)
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match="not an image"):
        read_image(str(tmp_path / "no.png"), 1, pixel_range)
    with pytest.raises(CheckpointNotFoundError, match="no such image"):
        read_image(str(tmp_path / "gone.png"), 1, pixel_range)


def test_how_large_a_picture_may_be(tmp_path: Path) -> None:
    from PIL import Image

    for size, is_taken in (((2048, 1024), True), ((2049, 1024), False)):
        Image.new("1", size).save(tmp_path / "x.png")
        if is_taken:
            assert read_image(str(tmp_path / "x.png"), 1, (0, 1)).shape == (1024, 2048, 1)
        else:
            with pytest.raises(UsageError, match="too large an image"):
                read_image(str(tmp_path / "x.png"), 1, (0, 1))


def test_arrays_that_are_images() -> None:
    for shape, taken in (((2, 3), (2, 3, 1)), ((2, 3, 4), (2, 3, 4)), ((1, 2, 3, 4), (2, 3, 4))):
        found = read_array(np.ones(shape, np.int8), 1)
        assert found.shape == taken
        assert found.dtype == np.float64
    for no_image in ((2,), (2, 2, 3, 4), (1, 1, 2, 3, 4)):
        with pytest.raises(UsageError, match="expected"):
            read_array(np.ones(no_image), 1)
    assert read_array(np.zeros((3 * (1 << 21), 1), bool), 1).size == 3 << 21
    with pytest.raises(UsageError, match="too large an image"):
        read_array(np.zeros((3 * (1 << 21) + 1, 1), bool), 1)


def test_a_file_of_an_array_that_is_too_large(tmp_path: Path) -> None:
    for n, is_taken in ((3 << 21, True), ((3 << 21) + 1, False)):
        np.save(tmp_path / "x.npy", np.zeros((n, 1), bool))
        if is_taken:
            assert read_array(tmp_path / "x.npy", 1).shape == (n, 1, 1)
        else:
            with pytest.raises(UsageError, match="too large an image"):
                read_array(tmp_path / "x.npy", 1)


def test_responses_as_they_are_told() -> None:
    made = checkpoint({"c/kernel": _kernel(3, 3, 1, 4), "c/bias": np.array([0.0, 0, 0, -9])})
    found = ckread.responses(made, "c/kernel", np.ones((5, 6)), padding="valid", relu=True)
    assert repr(found) == "<ckread.Responses of 'c/kernel': 4 of 3×4>"
    assert (len(found), found.is_positive, found.output.shape) == (4, True, (3, 4, 4))
    np.testing.assert_array_equal(found[2], found.output[..., 2])
    assert len(list(found)) == 4
    few = found.head(2)
    assert (len(few), len(few.filters), few.maps.shape) == (2, 2, (2, 3, 4))
    with_bias = ckread.responses(made, "c/kernel", np.ones((5, 6)), padding="valid", bias="c/bias")
    plain = ckread.responses(made, "c/kernel", np.ones((5, 6)), padding="valid")
    np.testing.assert_allclose(with_bias.maps - plain.maps, np.array([0, 0, 0, -9])[:, None, None]
                               * np.ones((3, 4)))  # fmt: skip
    assert not with_bias.is_positive
    for word in ("full", "SAME"):
        with pytest.raises(UsageError, match=f"padding '{word}', expected same or valid"):
            ckread.responses(made, "c/kernel", np.ones((5, 6)), padding=word)
    line = checkpoint({"c/kernel": _kernel(3, 1, 4)})
    with pytest.raises(UsageError, match="c/kernel: a conv1d kernel does not respond to an image"):
        ckread.responses(line, "c/kernel", np.ones((5, 6)))


def test_kernels_and_responses_are_compared_by_identity() -> None:
    kernel = _kernel(3, 3, 1, 2)
    one, other = filters_of("k", kernel), filters_of("k", kernel)
    assert one == one
    assert one != other
    assert len({one, other}) == 2
    made = checkpoint({"c/kernel": kernel})
    first, second = (ckread.responses(made, "c/kernel", np.ones((5, 6))) for _ in range(2))
    assert first != second
    assert len({first, second}) == 2
