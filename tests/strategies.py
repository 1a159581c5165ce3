"""Hypothesis strategies: keys, element types, arrays, tables, messages."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ckread.readers.contract import DataType, numpy_dtype
from tests.builders import bytes_field, fixed32_field, varint, varint_field

PLAIN_DTYPES = [dtype for dtype in DataType if dtype.is_plain]

plain_dtypes = st.sampled_from(PLAIN_DTYPES)

shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)

keys = st.binary(min_size=1, max_size=20).filter(lambda key: key[0] != 0)
"""Stored keys of tensors: any bytes; those that begin with NUL are looked at apart."""

sorted_items = st.dictionaries(st.binary(max_size=12), st.binary(max_size=300), max_size=60).map(
    lambda items: sorted(items.items())
)
"""What a table may hold."""


@st.composite
def arrays(draw: st.DrawFn, dtype: DataType) -> np.ndarray[Any, Any]:
    """Draw an array of any bits: NaN payloads, negative zeros, bools that are neither."""
    shape = draw(shapes)
    nbytes = math.prod(shape) * dtype.itemsize
    data = draw(st.binary(min_size=nbytes, max_size=nbytes))
    return np.frombuffer(data, np.uint8).view(numpy_dtype(dtype)).reshape(shape)


@st.composite
def plain_tensors(draw: st.DrawFn) -> tuple[DataType, np.ndarray[Any, Any]]:
    """Draw a type and an array of it."""
    dtype = draw(plain_dtypes)
    return dtype, draw(arrays(dtype))


@st.composite
def grids(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[tuple[int, int | None], ...]]]:
    """Draw a shape and a partition of it into a grid, its slices in any order."""
    shape = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple))
    axes = []
    for size in shape:
        cuts = draw(st.lists(st.integers(1, max(1, size - 1)), max_size=3, unique=True))
        bounds = [0, *sorted(cut for cut in cuts if cut < size), size]
        pieces: list[tuple[int, int | None]] = [
            (start, stop - start) for start, stop in pairwise(bounds)
        ]
        axes.append([(0, None)] if len(pieces) == 1 and draw(st.booleans()) else pieces)
    slices: list[tuple[tuple[int, int | None], ...]] = [()]
    for axis in axes:
        slices = [(*one, piece) for one in slices for piece in axis]
    return shape, draw(st.permutations(slices))


_numbers = st.integers(1, 9)
_values = st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1))


@st.composite
def _varint_fields(draw: st.DrawFn) -> bytes:
    return varint(draw(_numbers) << 3) + varint(draw(_values))


_scalar_fields = st.one_of(
    _varint_fields(),
    st.builds(fixed32_field, _numbers, st.integers(0, (1 << 32) - 1)),
    st.builds(lambda n, b: varint(n << 3 | 1) + b, _numbers, st.binary(min_size=8, max_size=8)),
    st.builds(bytes_field, _numbers, st.binary(max_size=6)),
    st.builds(bytes_field, _numbers, st.text(max_size=6).map(str.encode)),
)

messages = st.recursive(
    st.lists(_scalar_fields, max_size=4).map(b"".join),
    lambda inner: st.lists(
        st.one_of(st.builds(bytes_field, st.integers(1, 7), inner), _scalar_fields), max_size=4
    ).map(b"".join),
    max_leaves=12,
)
"""Well-formed wire format with low field numbers, so that fields are met and repeated."""


@st.composite
def entries(draw: st.DrawFn) -> bytes:
    """Draw a BundleEntryProto: the ordinary form, with a field changed or left out."""
    shape = b"".join(bytes_field(2, varint_field(1, size)) for size in draw(shapes))
    fields = [
        varint_field(1, draw(st.integers(0, 40))),
        bytes_field(2, shape),
        varint_field(3, draw(st.sampled_from([0, 0, 1, 127, 128, 300]))),
        varint_field(4, draw(st.sampled_from([0, 5, 200, 1 << 35, (1 << 63) - 1]))),
        varint_field(5, draw(st.integers(0, 3000))),
        fixed32_field(6, draw(st.integers(0, (1 << 32) - 1))),
    ]
    kept = [field for field in fields if draw(st.integers(0, 9))]
    return b"".join(kept)
