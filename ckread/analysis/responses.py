"""What kernels see in an image: the convolution, as TensorFlow computes it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ckread.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Padding(StrEnum):
    """What a convolution does at the edges, in TensorFlow's words."""

    SAME = "same"
    VALID = "valid"


def response(
    kernel: Floats,
    image: Floats,
    *,
    stride: int = 1,
    padding: Padding = Padding.SAME,
    bias: Floats | None = None,
    relu: bool = False,
    is_depthwise: bool = False,
) -> Floats:
    """Correlate an image with kernels, as `tf.nn.conv2d` or `depthwise_conv2d` does.

    Args:
        kernel: shape (height, width, channels, n), or (…, times) if depthwise.
        image: shape (rows, columns, channels).
        stride: of rows and columns.
        padding: zeros around the image, or none.
        bias: added per kernel.
        relu: whether negative responses become 0.
        is_depthwise: whether each channel has kernels of its own.

    Returns:
        Shape (n, rows, columns).

    Raises:
        UsageError: channels, bias or sizes do not fit.
    """
    _check_response(kernel, image, stride, bias, is_depthwise=is_depthwise)
    height, width, n_in, times = kernel.shape
    if padding is Padding.SAME:
        image = _padded(image, (height, width), stride)
    rows = (image.shape[0] - height) // stride + 1
    columns = (image.shape[1] - width) // stride + 1
    if rows < 1 or columns < 1:
        size = "×".join(map(str, image.shape[:2]))
        raise UsageError(f"the image of {size} is smaller than the kernel of {height}×{width}")
    total = np.zeros((rows, columns, n_in * times if is_depthwise else times))
    for y in range(height):
        for x in range(width):
            seen = image[y : y + stride * rows : stride, x : x + stride * columns : stride][
                :rows, :columns
            ]
            if is_depthwise:
                total += (seen[..., np.newaxis] * kernel[y, x]).reshape(rows, columns, -1)
            else:
                total += seen @ kernel[y, x]
    total += 0 if bias is None else bias
    responses: Floats = total.transpose(2, 0, 1)
    return np.maximum(responses, 0) if relu else responses


def _padded(image: Floats, kernel: tuple[int, int], stride: int) -> Floats:
    """Add zeros as TensorFlow does: so that size / stride positions fit, the odd one after."""
    around = []
    for size, width in zip(image.shape[:2], kernel, strict=True):
        total = max((-(-size // stride) - 1) * stride + width - size, 0)
        around.append((total // 2, total - total // 2))
    return np.pad(image, (*around, (0, 0)))


def _check_response(
    kernel: Floats, image: Floats, stride: int, bias: Floats | None, *, is_depthwise: bool
) -> None:
    n_in, times = kernel.shape[2:]
    if stride < 1:
        raise UsageError(f"stride {stride}, expected 1 or more")
    if image.shape[2] != n_in:
        raise UsageError(f"the image has {image.shape[2]} channels, the kernel takes {n_in}")
    n = n_in * times if is_depthwise else times
    if bias is not None and bias.shape != (n,):
        raise UsageError(f"a bias of shape {bias.shape}, expected one element per kernel: ({n},)")
