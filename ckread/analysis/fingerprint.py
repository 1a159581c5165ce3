"""Variables with the same values in any order: a fingerprint that no order changes.

Every element's bits are scrambled to 64 bits and summed modulo 2^64: equal for a
tensor, its reshapes and its transposes, and by chance for two others once in 2^64.
What it pairs is confirmed by reading both in their order (see `arrangement`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckread.analysis.arrangement import find_permutation, is_same_in_order
from ckread.analysis.checksums import content_key
from ckread.analysis.leftovers import pair_nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from ckread.model.role import Role
    from ckread.model.variable import Variable
    from ckread.readers.dtypes import DataType

_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_MODULUS = 1 << 64


class _Block(NamedTuple):
    """What two variables must share to be worth reading."""

    dtype: DataType
    elements: int
    role: Role


def pair_by_values(a: Sequence[Variable], b: Sequence[Variable]) -> list[tuple[Variable, Variable]]:
    """Pair variables that hold the same values: in order, or with their axes exchanged.

    Raises:
        CheckpointError: values cannot be read, or are damaged.
    """
    pairs = []
    sides = _in_blocks(a), _in_blocks(b)
    for block in sides[0].keys() & sides[1].keys():
        left, right = sides[0][block], sides[1][block]
        if _is_settled_by_checksum([*left, *right]):
            continue
        known: defaultdict[int, tuple[list[Variable], list[Variable]]]
        known = defaultdict(lambda: ([], []))
        for side, variables in enumerate((left, right)):
            for variable in variables:
                known[fingerprint(variable)][side].append(variable)
        for members, others in known.values():
            pairs += [pair for pair in pair_nearest(members, others) if _is_same(*pair)]
    return pairs


def _in_blocks(variables: Iterable[Variable]) -> dict[_Block, list[Variable]]:
    blocks: dict[_Block, list[Variable]] = {}
    for variable in variables:
        if variable.dtype.is_plain and variable.elements:
            block = _Block(variable.dtype, variable.elements, variable.role)
            blocks.setdefault(block, []).append(variable)
    return blocks


def _is_settled_by_checksum(variables: Sequence[Variable]) -> bool:
    """Tell whether checksums say all: values with one axis have no other arrangement."""
    return all(
        sum(size > 1 for size in variable.shape) < 2 and content_key(variable) is not None
        for variable in variables
    )


def _is_same(a: Variable, b: Variable) -> bool:
    return is_same_in_order(a, b) or find_permutation(a, b) is not None


def fingerprint(variable: Variable) -> int:
    """Give a number that depends on the values of a variable, not on their order.

    Raises:
        CheckpointError: values cannot be read, or are damaged.
    """
    total = 0
    for chunk in variable.chunks():
        total += int(np.add.reduce(_scramble(_words(chunk))))
    return total % _MODULUS


def _words(chunk: NDArray[Any]) -> NDArray[np.uint64]:
    """Give the bits of each element as a word of 64."""
    if chunk.dtype.itemsize <= 8:
        return chunk.view(f"u{chunk.dtype.itemsize}").astype(np.uint64)
    halves = chunk.view(np.uint64).reshape(-1, 2)
    mixed: NDArray[np.uint64] = _scramble(halves[:, 0].copy()) + halves[:, 1]
    return mixed


def _scramble(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix every word in place (the finish of splitmix64)."""
    for shift, factor in zip(_SHIFTS, (*_FACTORS, None), strict=True):
        words ^= words >> shift
        if factor is not None:
            words *= factor
    return words
