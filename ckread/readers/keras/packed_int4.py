"""Packed int4: two elements in a byte, as Keras stores the kernels of int4 layers.

    byte    low nibble: element 2i, high nibble: element 2i + 1, two's complement

along one axis of the tensor; where its length is odd the last nibble is padding.
Only the layer's configuration tells that the int8 array in the file is packed.

Reference: keras.quantizers.pack_int4
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ckread.readers.keras.layers import quantization_mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ckread.readers.contract import Index
    from ckread.readers.keras.config import LayerConfig


class Packing(NamedTuple):
    """How a stored int8 array holds an int4 tensor: the axis of pairs, the unpacked shape."""

    axis: int
    shape: tuple[int, ...]


def find_packing(
    config: LayerConfig | None, names: Sequence[str], shapes: Sequence[tuple[int, ...]], at: int
) -> Packing | None:
    """Tell how the variable `at` of a layer is packed, None if it is not or not for sure."""
    stored = shapes[at]
    if config is None or len(stored) != 2 or quantization_mode(config.settings) != "int4":
        return None
    if names[at] not in ("kernel", "embeddings"):
        return None
    width = config.settings.get("units", config.settings.get("output_dim"))
    if type(width) is not int:
        scale = dict(zip(names, shapes, strict=True)).get("kernel_scale", ())
        if len(scale) != 2:
            return None
        width = scale[-1]
    if stored[1] == (width + 1) // 2 and stored[1] != width:
        return Packing(1, (stored[0], width))
    depth = config.settings.get("input_dim")
    if type(depth) is not int:
        depth = config.input_shape[-1] if config.input_shape else None
    if stored[1] == width and depth is not None and stored[0] == (depth + 1) // 2:
        return Packing(0, (depth, width))
    return None


def unpack(packed: NDArray[np.generic], axis: int, length: int) -> NDArray[np.generic]:
    """Give the int4 elements of packed bytes; `length` elements along `axis`."""
    import ml_dtypes
    import numpy as np

    raw = np.moveaxis(packed.view(np.int8), axis, -1)
    pairs = np.stack([(raw << 4) >> 4, raw >> 4], axis=-1)
    flat = pairs.reshape(*raw.shape[:-1], 2 * raw.shape[-1])[..., :length]
    return np.ascontiguousarray(np.moveaxis(flat, -1, axis)).astype(ml_dtypes.int4)


def packed_index(index: Index, packing: Packing) -> tuple[tuple[Any, ...], tuple[Any, ...], int]:
    """Split an index into one of the packed array, of full rank, and one of what it unpacks to.

    The last item is the number of elements that part has along the packed axis.
    """
    whole = (*index, *(slice(None),) * (len(packing.shape) - len(index)))
    wanted = whole[packing.axis]
    length = packing.shape[packing.axis]
    if isinstance(wanted, int):
        start, stop = wanted, wanted + 1
        inner: int | slice = wanted % 2
    else:
        start, stop, step = wanted.indices(length)
        inner = slice(start % 2, max(stop - start, 0) + start % 2, step)
    first, last = start // 2, max(-(-stop // 2), start // 2)
    outer = tuple(
        slice(first, last)
        if axis == packing.axis
        else (slice(item, item + 1) if isinstance(item, int) else item)
        for axis, item in enumerate(whole)
    )
    after = tuple(
        inner if axis == packing.axis else (0 if isinstance(item, int) else slice(None))
        for axis, item in enumerate(whole)
    )
    return outer, after, 2 * (last - first)
