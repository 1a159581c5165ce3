"""Kernels as what they are: tiles of a convolution, or the matrix of a dense layer.

height, width, in, out     convolution; out tiles, in colour where in is 3
height, width, in, times   depthwise convolution, by its name; in × times tiles
depth, height, width, in, out   in three dimensions; out tiles, the slices of depth below
                           each other
taps, in, out              convolution in one dimension; out tiles, taps across
in, out                    dense layer; one matrix
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ckread.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.model.variable import Variable

    Floats = NDArray[np.float64]

_MAX_ELEMENTS = 64_000_000
_CLIP_QUANTILE = 0.995


class KernelKind(StrEnum):
    """What a kernel belongs to."""

    CONV2D = "conv2d"
    DEPTHWISE = "depthwise"
    CONV3D = "conv3d"
    CONV1D = "conv1d"
    DENSE = "dense"


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """The kernels of one variable, ready to be drawn.

    Attributes:
        name: of the variable.
        kind: what it belongs to.
        shape: of the variable.
        tiles: shape (n, rows, columns), or (n, rows, columns, 3) in colour; for a
            dense layer n is 1. In three dimensions rows are those of all slices.
        n_all: how many kernels there are; `tiles` may hold the first of them.
        mean_over: input channels over which each tile is the mean; 1 if over none.
        scale: the weight at the ends of the symmetric colour scale.
        largest: the largest weight by size; beyond `scale` where that is clipped.
    """

    name: str
    kind: KernelKind
    shape: tuple[int, ...]
    tiles: Floats
    n_all: int
    mean_over: int
    scale: float
    largest: float

    @property
    def is_colored(self) -> bool:
        """Whether the input channels are red, green and blue."""
        return self.tiles.ndim == 4

    @property
    def n_slices(self) -> int:
        """Slices that the rows of a tile are of, from the first depth to the last."""
        return self.shape[0] if self.kind is KernelKind.CONV3D else 1

    @property
    def is_clipped(self) -> bool:
        """Whether some weights lie beyond the colour scale."""
        return self.largest > self.scale


def kernel_kind(name: str, shape: tuple[int, ...]) -> KernelKind:
    """Tell what a kernel of this name and shape belongs to."""
    if len(shape) == 5:
        return KernelKind.CONV3D
    if len(shape) == 4:
        return KernelKind.DEPTHWISE if "depthwise" in name.lower() else KernelKind.CONV2D
    if len(shape) == 3:
        return KernelKind.CONV1D
    if len(shape) == 2:
        return KernelKind.DENSE
    remedy = "Kernels of 2 to 5 dimensions can be drawn; ckread stats shows any variable."
    found = "1 dimension" if len(shape) == 1 else f"{len(shape)} dimensions"
    raise UsageError(f"{name}: {found}, expected a kernel", remedy=remedy)


def read_kernel(variable: Variable) -> Floats:
    """Read a kernel whole, verified, as float64."""
    kernel_kind(variable.name, variable.shape)
    name = variable.name
    if not variable.dtype.is_plain or "complex" in variable.dtype:
        raise UsageError(f"{name}: {variable.dtype}, expected real numbers")
    if not 0 < variable.elements <= _MAX_ELEMENTS:
        raise UsageError(f"{name}: {variable.elements} elements do not make a picture")
    kernel: Floats = variable.numpy().astype(np.float64)
    return kernel


def filters_of(name: str, kernel: Floats, *, top: int | None = None) -> Filters:
    """Arrange a kernel as tiles."""
    kind = kernel_kind(name, kernel.shape)
    mean_over = 1
    if kind is KernelKind.DENSE:
        tiles = kernel[np.newaxis]
    elif kind is KernelKind.CONV1D:
        tiles = kernel.transpose(2, 1, 0)
    else:
        *depth, height, width, n_in, n_out = kernel.shape
        images = kernel.reshape(math.prod(depth) * height, width, n_in, n_out)
        if kind is KernelKind.DEPTHWISE:
            tiles = images.reshape(height, width, n_in * n_out).transpose(2, 0, 1)
        elif n_in == 3:
            tiles = images.transpose(3, 0, 1, 2)
        else:
            tiles, mean_over = images.mean(axis=2).transpose(2, 0, 1), n_in
    shown = tiles[:top]
    sizes = np.abs(shown[np.isfinite(shown)])
    largest = float(sizes.max()) if sizes.size else 0.0
    scale = float(np.quantile(sizes, _CLIP_QUANTILE)) if sizes.size else 0.0
    is_clipped = largest > 2 * scale > 0
    return Filters(
        name,
        kind,
        kernel.shape,
        shown,
        len(tiles),
        mean_over,
        scale if is_clipped else largest,
        largest,
    )


# What kernels see in an image: the convolution, as TensorFlow computes it.


class Padding(StrEnum):
    """What a convolution does at the edges, in TensorFlow's words."""

    SAME = "same"
    VALID = "valid"


_MAX_RESPONSES = 1 << 23
"""Elements of all responses together: twice as many bytes as eight for each are taken."""


def response(
    kernel: Floats,
    image: Floats,
    *,
    stride: tuple[int, int] | int = 1,
    padding: Padding = Padding.SAME,
    dilation: tuple[int, int] = (1, 1),
    bias: Floats | None = None,
    relu: bool = False,
    is_depthwise: bool = False,
) -> Floats:
    """Correlate an image with kernels, as `tf.nn.conv2d` or `depthwise_conv2d` does.

    Stride and dilation are in rows and columns.

    Returns:
        Shape (n, rows, columns).
    """
    *size, n_in, times = kernel.shape
    n = n_in * times if is_depthwise else times
    strides = (stride, stride) if isinstance(stride, int) else stride
    if min(strides) < 1:
        raise UsageError(f"stride {min(strides)}, expected 1 or more")
    if image.shape[2] != n_in:
        raise UsageError(f"the image has {image.shape[2]} channels, the kernel takes {n_in}")
    if bias is not None and bias.shape != (n,):
        raise UsageError(f"a bias of shape {bias.shape}, expected one element per kernel: ({n},)")
    height, width = (1 + (one - 1) * by for one, by in zip(size, dilation, strict=True))
    if padding is Padding.SAME:
        # Zeros as TensorFlow adds them: so that size / stride positions fit, the odd one after.
        around = []
        for given, seen, by in zip(image.shape[:2], (height, width), strides, strict=True):
            extra = max((-(-given // by) - 1) * by + seen - given, 0)
            around.append((extra // 2, extra - extra // 2))
        image = np.pad(image, (*around, (0, 0)))
    rows = (image.shape[0] - height) // strides[0] + 1
    columns = (image.shape[1] - width) // strides[1] + 1
    if rows < 1 or columns < 1:
        shown = "×".join(map(str, image.shape[:2]))
        raise UsageError(f"the image of {shown} is smaller than the kernel of {height}×{width}")
    if rows * columns * n > _MAX_RESPONSES:
        remedy = "Take a smaller image, or a larger stride."
        found = f"{n} responses of {rows}×{columns}"
        raise UsageError(found, expected=f"{_MAX_RESPONSES:,} elements at most", remedy=remedy)
    total = np.zeros((rows, columns, n))
    for tap in np.ndindex(*size):
        y, x = (at * by for at, by in zip(tap, dilation, strict=True))
        seen_here = image[y :: strides[0], x :: strides[1]][:rows, :columns]
        if is_depthwise:
            total += (seen_here[..., np.newaxis] * kernel[tap]).reshape(rows, columns, -1)
        else:
            total += seen_here @ kernel[tap]
    total += 0 if bias is None else bias
    responses: Floats = total.transpose(2, 0, 1)
    return np.maximum(responses, 0) if relu else responses
