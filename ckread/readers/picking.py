"""Numpy-style indices as one `range` per dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckread.readers.contract import Index
    from ckread.readers.tensor_slice import Region


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
