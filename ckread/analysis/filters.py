"""Kernels as what they are: tiles of a convolution, or the matrix of a dense layer.

And what they see in an image: the layer's output, where the image is the layer's input.

height, width, in, out     convolution; out tiles, in colour where in is 3
height, width, in, times   depthwise convolution, by its name; in × times tiles
depth, height, width, in, out   in three dimensions; out tiles, the slices of depth below
                           each other
taps, in, out              convolution in one dimension; out tiles, taps across
in, out                    dense layer; one matrix
"""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.errors import CheckpointError, CheckpointNotFoundError, UsageError
from ckread.model.lookup import find_named
from ckread.model.opening import opened
from ckread.model.role import Role
from ckread.model.variable import Variable
from ckread.readers.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from ckread.model.checkpoint import Checkpoint

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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Filters:
    """The kernels of one variable, as `plot_filters` draws them: `len`, index and iteration.

    Example:
        >>> found = ckread.filters("fixtures/digits_run", "conv1/kernel")
        >>> found, len(found), found[3].shape
        (<ckread.Filters 'conv1/kernel': 16 of 16 conv2d, 3×3>, 16, (3, 3))

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

    def __repr__(self) -> str:
        """Show name, number, kind and size."""
        size = "×".join(map(str, self.tiles.shape[1:3]))
        n = f"{len(self.tiles):,} of {self.n_all:,}"
        return f"<ckread.Filters {self.name!r}: {n} {self.kind}, {size}>"

    def __len__(self) -> int:
        """Count the tiles."""
        return len(self.tiles)

    def __getitem__(self, index: int) -> Floats:
        """Give one tile."""
        tile: Floats = self.tiles[index]
        return tile

    def __iter__(self) -> Iterator[Floats]:
        """Iterate over the tiles."""
        return iter(self.tiles)

    def head(self, n: int | None) -> Filters:
        """Give the first so many tiles, on a colour scale of their own."""
        if n is not None and n < 1:
            raise UsageError(f"the first {n} kernels, expected 1 or more")
        tiles = self.tiles[:n]
        sizes = np.abs(tiles[np.isfinite(tiles)])
        largest = float(sizes.max()) if sizes.size else 0.0
        scale = float(np.quantile(sizes, _CLIP_QUANTILE)) if sizes.size else 0.0
        is_clipped = largest > 2 * scale > 0
        return replace(self, tiles=tiles, scale=scale if is_clipped else largest, largest=largest)

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
    whole = Filters(name, kind, kernel.shape, tiles, len(tiles), mean_over, 0.0, 0.0)
    return whole.head(top)


def filters(
    source: Checkpoint | Variable | str | os.PathLike[str],
    name: str | None = None,
    *,
    top: int | None = None,
) -> Filters:
    """Give the kernels of a layer as tiles.

    Args:
        source: an open checkpoint, a path, or the kernel itself: a variable of 2 to 5
            dimensions with real numbers.
        name: of the kernel, or a pattern that means one; by default the first convolution.
        top: how many kernels at most, the first ones.

    Raises:
        VariableNotFoundError: there is no such variable.
        UsageError: it is no kernel, or too large for a picture.
        CheckpointError: it cannot be opened or read.

    Example:
        >>> found = ckread.filters("fixtures/digits_run", "conv1/kernel", top=4)
        >>> found.tiles.shape, found.n_all, round(found.scale, 3)
        ((4, 3, 3), 16, 0.256)
    """
    if isinstance(source, Variable):
        if name is not None:
            raise UsageError(f"a name, {name}, beside the variable {source.name}")
        return filters_of(source.name, read_kernel(source), top=top)
    with opened(source) as checkpoint:
        kernel = first_kernel(checkpoint) if name is None else find_named(checkpoint, name)
        return filters_of(kernel.name, read_kernel(kernel), top=top)


def first_kernel(checkpoint: Checkpoint) -> Variable:
    """Give the first kernel of a convolution in two dimensions."""
    for variable in checkpoint.in_order():
        if variable.role is Role.WEIGHT and len(variable.shape) == 4:
            return variable
    remedy = "Name a kernel: ckread ls lists the variables."
    raise UsageError("no kernel of four dimensions here", path=checkpoint.path, remedy=remedy)


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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Responses:
    """What each kernel of a layer gives for one image: `len`, index and iteration by kernel.

    Example:
        >>> import numpy as np
        >>> image = np.eye(8)
        >>> found = ckread.responses("fixtures/digits_run", "conv1/kernel", image, relu=True)
        >>> found, found[3].shape, found.output.shape
        (<ckread.Responses of 'conv1/kernel': 16 of 8×8>, (8, 8), (8, 8, 16))

    Attributes:
        filters: the kernels, at least as many as there are maps.
        image: shape (rows, columns, channels), as it was given to them.
        maps: shape (n, rows, columns), float64.
        relu: whether negative responses were made 0.
        stride: of the layer.
        padding: of the layer, `same` or `valid`.
        bias: name of the variable that was added; None if none was.
        pixel_range: what black and white became; None of an array, which is taken as it is.
    """

    filters: Filters
    image: Floats
    maps: Floats
    relu: bool = False
    stride: int = 1
    padding: Padding = Padding.SAME
    bias: str | None = None
    pixel_range: tuple[float, float] | None = None

    def __repr__(self) -> str:
        """Show name, number and size."""
        n, rows, columns = self.maps.shape
        return f"<ckread.Responses of {self.filters.name!r}: {n:,} of {rows}×{columns}>"

    def __len__(self) -> int:
        """Count the maps."""
        return len(self.maps)

    def __getitem__(self, index: int) -> Floats:
        """Give the response of one kernel, shape (rows, columns)."""
        one: Floats = self.maps[index]
        return one

    def __iter__(self) -> Iterator[Floats]:
        """Iterate over the maps."""
        return iter(self.maps)

    @property
    def output(self) -> Floats:
        """The maps with channels last, (rows, columns, n): what Keras gives for this image."""
        return self.maps.transpose(1, 2, 0)

    def head(self, n: int) -> Responses:
        """Give the first so many kernels and their responses."""
        return replace(self, filters=self.filters.head(n), maps=self.maps[:n])


def responses(
    source: Checkpoint | str | os.PathLike[str],
    name: str | None,
    image: ArrayLike | str | os.PathLike[str],
    *,
    stride: int = 1,
    padding: str = "same",
    bias: str | None = None,
    relu: bool = False,
    pixel_range: tuple[float, float] = (0.0, 1.0),
) -> Responses:
    """Give what a convolution makes of an image: the output of a first layer.

    Args:
        source: an open checkpoint, or a path.
        name: of the kernel, or a pattern that means one; None for the first convolution.
        image: path of a picture or of an `.npy`, or an array: (rows, columns), or
            (rows, columns, channels), with as many channels as the kernel takes. An array
            is taken as it is, so that of a deeper layer it may be the input of that layer.
        stride: of the layer, in both directions.
        padding: `same` or `valid`.
        bias: name of a variable to add per kernel.
        relu: whether negative responses become 0.
        pixel_range: what black and white pixels of a picture become.

    Raises:
        VariableNotFoundError: there is no such variable.
        UsageError: it is no kernel of a convolution in two dimensions, or image, stride or
            bias do not fit it.
        CheckpointError: checkpoint or image cannot be read.

    Example:
        >>> import numpy as np
        >>> found = ckread.responses(
        ...     "fixtures/digits_run", "conv1/kernel", np.eye(8), bias="conv1/bias", relu=True
        ... )
        >>> found.maps.shape, round(float(found.maps.max()), 3)
        ((16, 8, 8), 0.485)
    """
    with opened(source) as checkpoint:
        variable = first_kernel(checkpoint) if name is None else find_named(checkpoint, name)
        found = filters_of(variable.name, kernel := read_kernel(variable))
        if found.kind not in (KernelKind.CONV2D, KernelKind.DEPTHWISE):
            raise UsageError(f"{found.name}: a {found.kind} kernel does not respond to an image")
        pixels, is_picture = read_pixels(image, found, pixel_range)
        vector = find_named(checkpoint, bias) if bias else None
        maps = response(
            kernel,
            pixels,
            stride=stride,
            padding=padding_of(padding),
            bias=None if vector is None else vector.numpy().astype(np.float64),
            relu=relu,
            is_depthwise=found.kind is KernelKind.DEPTHWISE,
        )
    return Responses(
        found,
        pixels,
        maps,
        relu,
        stride,
        padding_of(padding),
        None if vector is None else vector.name,
        pixel_range if is_picture else None,
    )


def padding_of(word: str) -> Padding:
    """Give the padding of this name."""
    try:
        return Padding(word)
    except ValueError:
        raise UsageError(f"padding {word!r}, expected same or valid") from None


# Images as arrays: what matplotlib's own Pillow reads, as grey or colour; or arrays themselves.


_MAX_IMAGE_NBYTES = 64 << 20
_MAX_PIXELS = 1 << 21
"""Of an image that is put through a layer: two million take 150 MB on the way."""
_BROKEN_IMAGE = (
    OSError, ValueError, SyntaxError, RuntimeError, struct.error, EOFError, LookupError,
    ArithmeticError, TypeError, AttributeError, AssertionError, MemoryError,
)  # fmt: skip
"""What Pillow's many plugins raise about bytes that they cannot read."""


def read_pixels(
    image: ArrayLike | str | os.PathLike[str], kernel: Filters, pixel_range: tuple[float, float]
) -> tuple[Floats, bool]:
    """Give an image as the kernels take it, and whether it is a picture, whose range is asked."""
    n_in = kernel.shape[2]
    if not isinstance(image, str | os.PathLike):
        return _checked(np.asarray(image), n_in, "the image"), False
    path = os.fsdecode(image)
    if path.lower().endswith(".npy"):
        with opened(path) as file:
            (array,) = file.values()
            if array.elements > 3 * _MAX_PIXELS:
                raise _too_large(path)
            return _checked(array.numpy(), n_in, path), False
    if n_in not in (1, 3):
        remedy = (
            "An image has 1 or 3 channels. What a deeper layer sees is the output of the layers "
            "before it: run the model for that, and give it as an array (.npy)."
        )
        raise UsageError(f"{kernel.name}: takes {n_in} input channels", remedy=remedy)
    return read_image(path, n_in, pixel_range), True


def _checked(array: NDArray[Any], n_in: int, name: str) -> Floats:
    """Give an array with as many channels as there must be, as float64."""
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise UsageError(f"{name}: {array.dtype}, expected real numbers")
    array = array[0] if array.ndim == 4 and len(array) == 1 else array
    array = array[..., np.newaxis] if array.ndim == 2 else array
    if array.ndim != 3 or not array.size:
        found = f"{name}: shape {array.shape}"
        raise UsageError(found, expected=f"(rows, columns, {n_in})")
    if array.size > 3 * _MAX_PIXELS:
        raise _too_large(name)
    return array.astype(np.float64)


def read_image(path: str, n_channels: int, pixel_range: tuple[float, float]) -> Floats:
    """Read an image; black becomes the first value of `pixel_range`, white the second.

    Returns:
        Shape (rows, columns, n_channels).
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow thinks of it is no word of ours
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(read_bounded(path, _MAX_IMAGE_NBYTES))) as image:
                if math.prod(image.size) > _MAX_PIXELS:
                    raise _too_large(path)
                pixels = np.asarray(image.convert("L" if n_channels == 1 else "RGB"), np.float64)
    except CheckpointNotFoundError:
        raise CheckpointNotFoundError("no such image", path=path) from None
    except CheckpointError:
        raise
    except (UnidentifiedImageError, *_BROKEN_IMAGE) as error:
        raise UsageError(f"not an image: {error}", path=path) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(path) from None
    low, high = pixel_range
    pixels *= (high - low) / 255
    pixels += low
    return pixels.reshape(*pixels.shape[:2], n_channels)


def _too_large(path: str) -> UsageError:
    return UsageError("too large an image", path=path, remedy="Make it smaller first.")
