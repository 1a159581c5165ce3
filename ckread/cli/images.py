"""Images as arrays: what matplotlib's own Pillow reads, as grey or colour."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ckread.errors import CheckpointNotFoundError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_image(path: str, n_channels: int, pixel_range: tuple[float, float]) -> NDArray[np.float64]:
    """Read an image; black becomes the first value of `pixel_range`, white the second.

    Args:
        path: a PNG, a JPEG, or whatever else Pillow reads.
        n_channels: 1 for grey, 3 for red, green and blue.
        pixel_range: low and high.

    Returns:
        Shape (rows, columns, n_channels).

    Raises:
        CheckpointNotFoundError: nothing is there.
        UsageError: it is not an image.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("L" if n_channels == 1 else "RGB"), np.float64)
    except FileNotFoundError:
        raise CheckpointNotFoundError(f"{path}: no such image", path=path) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"{path}: not an image: {error}", path=path) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        remedy = "Make it smaller first."
        raise UsageError(f"{path}: too large an image", path=path, remedy=remedy) from None
    low, high = pixel_range
    scaled: NDArray[np.float64] = low + pixels / 255 * (high - low)
    return scaled.reshape(*pixels.shape[:2], n_channels)
