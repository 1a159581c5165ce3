"""Variables with the same values in any order: a fingerprint that no order changes.

Every element's bits are scrambled to 64 bits and summed modulo 2^64: equal for a
tensor, its reshapes and its transposes, and by chance for two others once in 2^64.
What it pairs is confirmed by reading both in their order (see `arrangement`).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.checksums import content_key
from ckread.analysis.diff.kernels import differing_bits
from ckread.analysis.diff.leftovers import pair_nearest
from ckread.analysis.scan import side_by_side
from ckread.readers.contract import numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from ckread.model.role import Role
    from ckread.model.variable import Variable
    from ckread.readers.contract import DataType


_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_MODULUS = 1 << 64


class _Block(NamedTuple):
    """What two variables must share to be worth reading."""

    dtype: DataType
    elements: int
    role: Role


def pair_by_values(a: Sequence[Variable], b: Sequence[Variable]) -> list[tuple[Variable, Variable]]:
    """Pair variables that hold the same values: in order, or with their axes exchanged."""
    pairs = []
    sides = _in_blocks(a), _in_blocks(b)
    for block in sides[0].keys() & sides[1].keys():
        left, right = sides[0][block], sides[1][block]
        # Values with one axis have no other arrangement: their checksums say all.
        if all(
            sum(size > 1 for size in variable.shape) < 2 and content_key(variable) is not None
            for variable in (*left, *right)
        ):
            continue
        known: defaultdict[int, tuple[list[Variable], list[Variable]]]
        known = defaultdict(lambda: ([], []))
        for side, variables in enumerate((left, right)):
            for variable in variables:
                known[fingerprint(variable)][side].append(variable)
        for members, others in known.values():
            is_blank = bool(members and others) and is_uniform(members[0])
            pairs += [
                pair
                for pair in pair_nearest(members, others, is_uniform=is_blank)
                if is_same_in_order(*pair) or find_permutation(*pair) is not None
            ]
    return pairs


def _in_blocks(variables: Iterable[Variable]) -> dict[_Block, list[Variable]]:
    blocks: dict[_Block, list[Variable]] = {}
    for variable in variables:
        if variable.dtype.is_plain and variable.elements:
            block = _Block(variable.dtype, variable.elements, variable.role)
            blocks.setdefault(block, []).append(variable)
    return blocks


def fingerprint(variable: Variable, dtype: DataType | None = None) -> int:
    """Give a number that depends on the values of a variable, cast if so asked, in any order."""
    total = 0
    for chunk in variable.chunks():
        if dtype is not None:
            with np.errstate(all="ignore"):
                chunk = chunk.astype(numpy_dtype(dtype), copy=False)
        if chunk.dtype.itemsize <= 8:
            words = chunk.view(f"u{chunk.dtype.itemsize}").astype(np.uint64)
        else:
            halves = chunk.view(np.uint64).reshape(-1, 2)
            words = _scramble(halves[:, 0].copy()) + halves[:, 1]
        total += int(np.add.reduce(_scramble(words)))
    return total % _MODULUS


def _scramble(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix every word in place (the finish of splitmix64)."""
    for shift, factor in zip(_SHIFTS, (*_FACTORS, None), strict=True):
        words ^= words >> shift
        if factor is not None:
            words *= factor
    return words


# Equal values in another arrangement, confirmed by reading both: reshapes, transposes.

_WHOLE_NBYTES = 16 * 1024 * 1024
"""Bytes up to which a variable is read at once; larger ones go by slices."""
_MAX_AXES = 6


def is_same_in_order(a: Variable, b: Variable) -> bool:
    """Tell whether two variables of one type and size are equal bit for bit in C order."""
    return not any(
        differing_bits(left, right).any() for left, right in side_by_side(a.chunks(), b.chunks())
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
    """
    if a.dtype != b.dtype or not a.dtype.is_plain or len(a.shape) > _MAX_AXES:
        return None
    for axes in itertools.permutations(range(len(a.shape))):
        long_axes = [axis for axis in axes if a.shape[axis] > 1]
        moves_data = long_axes != sorted(long_axes)
        fits = moves_data and tuple(a.shape[axis] for axis in axes) == b.shape
        if not fits:
            continue
        for index_a, index_b in _blocks(a, axes):
            left, right = _read(a, index_a), _read(b, index_b)
            turned = np.ascontiguousarray(left.transpose(axes)).ravel()
            if differing_bits(turned, np.ascontiguousarray(right).ravel()).any():
                break
        else:
            return axes
    return None


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
