"""Equal values in another arrangement, confirmed by reading both: reshapes, transposes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from ckread.analysis.careful_comparison import differing_bits
from ckread.analysis.value_pairs import iter_side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ckread.model.variable import Variable

_WHOLE_NBYTES = 16 * 1024 * 1024
"""Bytes up to which a variable is read at once; larger ones go by slices."""
_MAX_AXES = 6


def is_same_in_order(a: Variable, b: Variable) -> bool:
    """Tell whether two variables of one type and size are equal bit for bit in C order."""
    return not any(
        differing_bits(left, right).any()
        for left, right in iter_side_by_side(a.chunks(), b.chunks())
    )


def is_uniform(variable: Variable) -> bool:
    """Tell whether all elements of a variable are equal, as in one that was never trained."""
    first = None
    for chunk in variable.chunks():
        first = chunk[:1].copy() if first is None else first
        if differing_bits(chunk, np.broadcast_to(first, chunk.shape).copy()).any():
            return False
    return True


def find_permutation(a: Variable, b: Variable) -> tuple[int, ...] | None:
    """Give the axes for which `numpy.transpose(a, axes)` is b bit for bit; None if none are.

    The axes in their own order are not tried: that is what a comparison in C order tells.

    Raises:
        CheckpointError: values cannot be read, or are damaged.
    """
    if a.dtype != b.dtype or not a.dtype.is_plain or len(a.shape) > _MAX_AXES:
        return None
    for axes in itertools.permutations(range(len(a.shape))):
        fits = tuple(a.shape[axis] for axis in axes) == b.shape and _moves_data(axes, a.shape)
        if fits and _is_transposed(a, b, axes):
            return axes
    return None


def _moves_data(axes: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Tell whether axes of more than one element change their order."""
    long_axes = [axis for axis in axes if shape[axis] > 1]
    return long_axes != sorted(long_axes)


def _is_transposed(a: Variable, b: Variable, axes: tuple[int, ...]) -> bool:
    for index_a, index_b in _blocks(a, axes):
        left, right = _read(a, index_a), _read(b, index_b)
        turned = np.ascontiguousarray(left.transpose(axes)).ravel()
        if differing_bits(turned, np.ascontiguousarray(right).ravel()).any():
            return False
    return True


def _read(variable: Variable, index: tuple[slice, ...] | None) -> NDArray[Any]:
    return variable.numpy() if index is None else variable.read(index)


def _blocks(
    a: Variable, axes: tuple[int, ...]
) -> Iterator[tuple[tuple[slice, ...] | None, tuple[slice, ...] | None]]:
    """Yield the same part of both sides: all of it, or blocks along b's first long axis."""
    if a.nbytes <= _WHOLE_NBYTES:
        yield None, None
        return
    at = next(i for i, axis in enumerate(axes) if a.shape[axis] > 1)
    size = a.shape[axes[at]]
    step = max(1, _WHOLE_NBYTES * size // a.nbytes)
    everything = [slice(None)] * len(axes)
    for start in range(0, size, step):
        part = slice(start, min(start + step, size))
        index_a, index_b = list(everything), list(everything)
        index_a[axes[at]], index_b[at] = part, part
        yield tuple(index_a), tuple(index_b)
