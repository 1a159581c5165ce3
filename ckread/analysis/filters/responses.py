"""What a convolution makes of an image: the output of a first layer.

The convolution is the one that TensorFlow computes; how the layer uses it is told by the
configuration of its model, where the file has one, else by whoever asks. An array may also
be what a deeper layer takes.
"""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.filters.activation import Layer, keras_lines, layer_of
from ckread.analysis.filters.filters import KernelKind, filters_of, first_kernel, read_kernel
from ckread.errors import CheckpointError, CheckpointNotFoundError, UsageError
from ckread.model.lookup import find_kernel, find_named
from ckread.model.opening import opened
from ckread.readers.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from ckread.analysis.filters.filters import Filters
    from ckread.model.checkpoint import Checkpoint

    Floats = NDArray[np.float64]


class Padding(StrEnum):
    """What a convolution does at the edges, in TensorFlow's words."""

    SAME = "same"
    VALID = "valid"


_MAX_REACH = 1 << 10
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
    is_depthwise: bool = False,
) -> Floats:
    """Correlate an image with kernels, as `tf.nn.conv2d` or `depthwise_conv2d` does.

    Stride and dilation are in rows and columns.

    Returns:
        Shape (rows, columns, n).
    """
    *size, n_in, times = kernel.shape
    n = n_in * times if is_depthwise else times
    strides = (stride, stride) if isinstance(stride, int) else stride
    if min(*strides, *dilation) < 1:
        what = "stride" if min(strides) < 1 else "dilation"
        raise UsageError(f"{what} {min(*strides, *dilation)}, expected 1 or more")
    if image.shape[2] != n_in:
        raise UsageError(f"the image has {image.shape[2]} channels, the kernel takes {n_in}")
    if bias is not None and bias.shape != (n,):
        raise UsageError(f"a bias of shape {bias.shape}, expected one element per kernel: ({n},)")
    height, width = (1 + (one - 1) * by for one, by in zip(size, dilation, strict=True))
    if max(height, width) > _MAX_REACH:
        raise UsageError(f"kernels that reach over {height}×{width}, expected {_MAX_REACH} at most")
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
    return total


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Responses:
    """What each kernel of a layer gives for one image: `len`, index and iteration by kernel.

    Example:
        >>> import numpy as np
        >>> image = np.eye(8)
        >>> found = ckread.responses("fixtures/digits_run", "conv1/kernel", image, relu=True)
        >>> found, found[3].shape, found.output.shape
        (<ckread.Responses of 'conv1/kernel': 16 of 8×8>, (8, 8), (8, 8, 16))
        >>> found.image.shape, found.pixel_range, found.is_positive, len(found.head(4))
        ((8, 8, 1), None, True, 4)

    Attributes:
        filters: the kernels, at least as many as there are maps.
        image: shape (rows, columns, channels), as it was given to them.
        maps: shape (n, rows, columns), float64.
        layer: how they were computed: stride, padding, dilation, bias, activation, and what
            stands before; `claims` are what told it.
        pixel_range: what black and white became; None of an array, which is taken as it is.
    """

    filters: Filters
    image: Floats
    maps: Floats
    layer: Layer = field(default_factory=Layer)
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
    def is_positive(self) -> bool:
        """Whether no response is below 0, as after a relu."""
        return bool((self.maps >= 0).all())

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
    stride: int | None = None,
    padding: str | None = None,
    bias: str | None = None,
    relu: bool | None = None,
    pixel_range: tuple[float, float] | None = None,
) -> Responses:
    """Give what a convolution makes of an image: the output of a first layer, as Keras gives it.

    A `.keras`, a whole-model `.h5` and a SavedModel of Keras 2 tell how the layer computes,
    and what stands before it. Of other files stride 1, padding `same`, no bias and no
    activation are taken where nothing else is asked for.

    Args:
        source: an open checkpoint, or a path.
        name: of the kernel, or a pattern that means one; None for the first convolution.
        image: path of a picture or of an `.npy`, or an array: (rows, columns), or
            (rows, columns, channels), with as many channels as the kernel takes. An array
            is taken as it is: what the model takes, or of a deeper layer what that takes.
        stride: of the layer, in both directions.
        padding: `same` or `valid`.
        bias: name of a variable to add per kernel.
        relu: whether negative responses become 0, in the place of the layer's activation.
        pixel_range: what black and white pixels of a picture become; by default 0 and 255
            where the layers before scale such numbers down, else 0 and 1.

    Raises:
        VariableNotFoundError: there is no such variable.
        UsageError: it is no kernel of a convolution in two dimensions, or of a deeper layer
            and the image is a picture, or image, stride or bias do not fit it.
        CheckpointError: checkpoint or image cannot be read.

    Example:
        >>> import numpy as np
        >>> found = ckread.responses("fixtures/digits_files/digits.keras", None, np.eye(8))
        >>> found.maps.shape, round(float(found.maps.max()), 3)
        ((16, 8, 8), 0.485)
        >>> found.layer.words
        'stride 1, padding same, bias, relu'
    """
    with opened(source) as checkpoint:
        variable = first_kernel(checkpoint) if name is None else find_kernel(checkpoint, name)
        kernel = read_kernel(variable)
        if len(kernel.shape) != 4:
            kind = filters_of(variable.name, kernel).kind
            raise UsageError(f"{variable.name}: a {kind} kernel does not respond to an image")
        picture = os.fsdecode(image) if isinstance(image, str | os.PathLike) else None
        picture = None if picture and picture.lower().endswith(".npy") else picture
        layer = layer_of(checkpoint, variable, is_input=picture is None).with_asked(
            stride=stride,
            padding=padding,
            bias=find_named(checkpoint, bias) if bias else None,
            relu=relu,
        )
        n_in = kernel.shape[2]
        if picture is None:
            pixels, black_white = read_array(image, n_in), None
        elif n_in in (1, 3):
            black_white = pixel_range or layer.pixel_range
            pixels = read_image(picture, n_in, black_white)
        else:
            lines = keras_lines(checkpoint, variable, layer.name)
            raise UsageError(f"{variable.name}: takes {n_in} input channels", remedy=lines)
        bias_values = None if layer.bias is None else layer.bias.numpy().astype(np.float64)
    prepared = layer.prepared(pixels)
    with np.errstate(all="ignore"):
        sums = response(
            kernel,
            prepared,
            stride=layer.stride,
            padding=padding_of(layer.padding),
            dilation=layer.dilation,
            bias=bias_values,
            is_depthwise=layer.is_depthwise,
        )
        maps = layer.activate(sums).transpose(2, 0, 1)
    kind = KernelKind.DEPTHWISE if layer.is_depthwise else KernelKind.CONV2D
    return Responses(filters_of(variable.name, kernel, kind=kind), pixels, maps, layer, black_white)


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


def read_array(image: ArrayLike | str | os.PathLike[str], n_in: int) -> Floats:
    """Give an array, or that of an `.npy`, as kernels of so many channels take it."""
    if not isinstance(image, str | os.PathLike):
        return _checked(np.asarray(image), n_in, "the image")
    path = os.fsdecode(image)
    with opened(path) as file:
        (array,) = file.values()
        if array.elements > 3 * _MAX_PIXELS:
            raise _too_large(path)
        return _checked(array.numpy(), n_in, path)


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
    except Image.DecompressionBombError:
        raise _too_large(path) from None
    low, high = pixel_range
    pixels *= (high - low) / 255
    pixels += low
    return pixels.reshape(*pixels.shape[:2], n_channels)


def _too_large(path: str) -> UsageError:
    return UsageError("too large an image", path=path, remedy="Make it smaller first.")
