"""Slices of partitioned tensors: the key of each one's own entry, and how they cover.

A slice is stored under an OrderedCode key, which sorts before all ordinary ones:

    00                          the integer 0: a length byte of 0
    name, 00 01                 with 00 -> 00 ff and ff -> ff 00 inside it
    rank                        length byte, then big-endian minimal bytes
    per dimension: start, length; the whole dimension is 0, -1
        n bytes, n minimal with -2**(7n-1) <= x < 2**(7n-1): big-endian two's
        complement, its first n bits inverted

Then numpy's indices as one `range` per dimension, and how an array is cut into slabs.

Reference: tensorflow/core/lib/strings/ordered_code.cc,
tensorflow/core/util/saved_tensor_slice_util.cc
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

from ckread.errors import CorruptCheckpointError
from ckread.readers.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckread.readers.contract import Index
    from ckread.readers.protobuf import TensorShape, TensorSlice


Region = tuple[tuple[int, int], ...]
"""Start and stop per dimension within the whole tensor."""

MAX_PAIRS = 1 << 20
"""Pairs of slices compared one by one, where no straight cut parts them."""


def slice_key(name: bytes, tensor_slice: TensorSlice) -> bytes:
    """Give the key under which a slice of the tensor `name` has its own entry."""
    parts = (part.replace(b"\xff", b"\xff\x00") for part in name.split(b"\x00"))
    escaped = b"\x00\xff".join(parts)
    ranges = b"".join(
        _signed(0) + _signed(-1) if length is None else _signed(start) + _signed(length)
        for start, length in tensor_slice
    )
    return _unsigned(0) + escaped + b"\x00\x01" + _unsigned(len(tensor_slice)) + ranges


def _unsigned(value: int) -> bytes:
    nbytes = (value.bit_length() + 7) // 8
    return bytes((nbytes,)) + value.to_bytes(nbytes, "big")


def _signed(value: int) -> bytes:
    nbytes = 1 + (value if value >= 0 else ~value).bit_length() // 7
    ones = ((1 << nbytes) - 1) << 7 * nbytes
    return ((value ^ ones) & ((1 << 8 * nbytes) - 1)).to_bytes(nbytes, "big")


def region_of(tensor_slice: TensorSlice, shape: TensorShape) -> Region:
    """Give the region of a slice of a tensor of this shape."""
    if len(tensor_slice) != len(shape):
        found = f"slice of {len(tensor_slice)} dimensions of a tensor of {len(shape)}"
        raise CorruptCheckpointError(found)
    region = []
    for (start, length), size in zip(tensor_slice, shape, strict=True):
        first, stop = (0, size) if length is None else (start, start + length)
        if not 0 <= first <= stop <= size:
            found = f"slice {first}:{stop} of a dimension of {size} elements"
            raise CorruptCheckpointError(found)
        region.append((first, stop))
    return tuple(region)


def region_shape(region: Region) -> TensorShape:
    """Give the shape of a region."""
    return tuple(stop - start for start, stop in region)


def is_contiguous(region: Region, shape: TensorShape) -> bool:
    """Tell whether the elements of a region follow each other in C order."""
    axis = next((i for i, (start, stop) in enumerate(region) if stop - start != 1), len(region))
    rest = zip(region[axis + 1 :], shape[axis + 1 :], strict=True)
    return all(bounds == (0, size) for bounds, size in rest)


def check_partition(regions: Iterable[Region], shape: TensorShape) -> None:
    """Check that regions share no element and leave none out."""
    filled = [region for region in regions if all(start < stop for start, stop in region)]
    _check_disjoint(filled, range(len(shape)))
    covered = sum(math.prod(region_shape(region)) for region in filled)
    if covered != math.prod(shape):
        found = f"slices hold {covered} elements of {math.prod(shape)}"
        raise CorruptCheckpointError(found)


def _check_disjoint(regions: list[Region], axes: Sequence[int]) -> None:
    """Cut along each axis in turn wherever no region is in the way, then compare.

    Grids, the only partitions that writers make, fall apart into single regions.
    The work list holds what is still together, with the axes cut in vain since.
    """
    pending = [(regions, 0, 0)]
    rank = len(axes)
    pairs = Budget(MAX_PAIRS, "pairs of slices that no straight cut parts")
    while pending:
        group, axis, n_vain = pending.pop()
        if len(group) < 2:
            continue
        if n_vain == rank:
            pairs.take(len(group) ** 2 // 2)
            for i, one in enumerate(group):
                for other in group[:i]:
                    if all(a < d and c < b for (a, b), (c, d) in zip(one, other, strict=True)):
                        raise CorruptCheckpointError(
                            f"overlapping slices {_text(other)} and {_text(one)}"
                        )
            continue
        parts = _cut(group, axis)
        vain = n_vain + 1 if len(parts) == 1 else 0
        pending += [(part, (axis + 1) % rank, vain) for part in parts]


def _cut(group: list[Region], axis: int) -> list[list[Region]]:
    """Part regions at every place along an axis that none of them spans."""
    group = sorted(group, key=lambda region: region[axis])
    parts = [[group[0]]]
    stop = group[0][axis][1]
    for region in group[1:]:
        if region[axis][0] >= stop:
            parts.append([])
        parts[-1].append(region)
        stop = max(stop, region[axis][1])
    return parts


def _text(region: Region) -> str:
    return "[" + ", ".join(f"{start}:{stop}" for start, stop in region) + "]"


def index_ranges(index: Index, shape: Sequence[int]) -> tuple[range, ...]:
    """Give the range of each dimension that an index picks, one element for an integer."""
    full = (*index, *(slice(None) for _ in shape[len(index) :]))
    return tuple(
        range(*item.indices(size)) if isinstance(item, slice) else range(item, item + 1)
        for item, size in zip(full, shape, strict=True)
    )


def kept_shape(index: Index, shape: Sequence[int]) -> tuple[int, ...]:
    """Give the shape of what was picked, without the dimensions of integers."""
    given = zip(shape, index, strict=False)
    kept = (size for size, item in given if isinstance(item, slice))
    return (*kept, *shape[len(index) :])


def as_slices(ranges: Sequence[range]) -> tuple[slice, ...]:
    """Give the index that picks ranges from an array."""
    return tuple(slice(one.start, max(one.start, one.stop), one.step) for one in ranges)


def intersect(
    ranges: Sequence[range], region: Region
) -> tuple[tuple[slice, ...], tuple[range, ...]]:
    """Give where the part of `region` goes in the result, and where it is in the region."""
    places, local = [], []
    for wanted, (start, stop) in zip(ranges, region, strict=True):
        first = min(max(0, -(-(start - wanted.start) // wanted.step)), len(wanted))
        last = min(max(first, -(-(stop - wanted.start) // wanted.step)), len(wanted))
        inside = wanted[first:last]
        places.append(slice(first, last))
        local.append(range(inside.start - start, inside.stop - start, inside.step))
    return tuple(places), tuple(local)


def iter_slabs(shape: Sequence[int], n_elements: int) -> Iterator[Region]:
    """Cut an array, in C order, into regions of at most `n_elements`.

    Each is a range of one dimension, whole in those after it, at one place of those before.
    """
    if not shape or 0 in shape:
        yield from () if shape else ((),)
        return
    axis, inner = len(shape) - 1, 1
    while axis and inner * shape[axis] <= n_elements:
        inner *= shape[axis]
        axis -= 1
    step = max(1, n_elements // inner)
    rest = tuple((0, size) for size in shape[axis + 1 :])
    for outer in product(*map(range, shape[:axis])):
        fixed = tuple((i, i + 1) for i in outer)
        for start in range(0, shape[axis], step):
            yield (*fixed, (start, min(start + step, shape[axis])), *rest)


def unravelled(position: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Give the index of an element by its place in C order."""
    index: list[int] = []
    for size in reversed(shape):
        position, at = divmod(position, max(1, size))
        index.append(at)
    return tuple(reversed(index))


def index_in(region: Region, position: int) -> tuple[int, ...]:
    """Give the index within the whole tensor of an element of a slice."""
    within = unravelled(position, region_shape(region))
    return tuple(start + i for (start, _), i in zip(region, within, strict=True))
