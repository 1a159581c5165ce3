"""Packed int4: what Keras packs comes out again, whole, in part and streamed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.readers.keras.config import LayerConfig
from ckread.readers.keras.packed_int4 import Packing, find_packing, packed_index, unpack


def _pack(values: Any, axis: int) -> Any:
    """Pack by hand: low nibble first, zero after an odd end."""
    rows = np.moveaxis(values, axis, 0)
    if len(rows) % 2:
        rows = np.concatenate([rows, np.zeros_like(rows[:1])])
    packed = (rows[::2] & 15) | ((rows[1::2] & 15) << 4)
    return np.moveaxis(packed.astype(np.uint8).view(np.int8), 0, axis)


def test_two_elements_in_a_byte() -> None:
    packed = np.array([[0x2D, -0x79]], np.int8)
    assert unpack(packed, 1, 4).astype(int).tolist() == [[-3, 2, 7, -8]]
    assert unpack(packed, 1, 3).astype(int).tolist() == [[-3, 2, 7]]
    assert unpack(packed, 0, 2).astype(int).tolist() == [[-3, 7], [2, -8]]


@given(
    rows=st.integers(1, 7), columns=st.integers(1, 7), axis=st.sampled_from([0, 1]), data=st.data()
)
def test_a_part_is_the_part_of_the_whole(rows: int, columns: int, axis: int, data: Any) -> None:
    values = np.random.default_rng(rows * 7 + columns).integers(-8, 8, (rows, columns), np.int8)
    packed, packing = _pack(values, axis), Packing(axis, (rows, columns))
    assert unpack(packed, axis, values.shape[axis]).astype(np.int8).tolist() == values.tolist()
    index = tuple(
        data.draw(
            st.integers(0, size - 1)
            | st.builds(
                lambda a, n, step: slice(a, a + n, step),
                st.integers(0, size),
                st.integers(0, size),
                st.integers(1, 3),
            )
        )
        for size in values.shape[: data.draw(st.integers(0, 2))]
    )
    outer, after, length = packed_index(index, packing)
    part = np.asarray(unpack(packed[outer], axis, length)[after])
    assert part.astype(np.int8).tolist() == values[index].tolist()


def _layer(
    settings: dict[str, Any], built_for: tuple[int | None, ...] | None = None
) -> LayerConfig:
    dtype = {"class_name": "Int4DTypePolicy", "config": {"mode": "int4/128"}}
    settings = {"dtype": dtype} | settings
    return LayerConfig(
        "d", "Dense", is_builtin=True, settings=settings, trainable=True, input_shape=built_for
    )


KERNEL = ["kernel", "bias", "kernel_scale"]


@pytest.mark.parametrize(
    ("layer", "names", "shapes", "packing"),
    [
        (_layer({"units": 13}), KERNEL[:2], [(9, 7), (13,)], Packing(1, (9, 13))),
        (_layer({"units": 16}, (None, 144)), KERNEL[:1], [(72, 16)], Packing(0, (144, 16))),
        (_layer({"output_dim": 9}), ["embeddings"], [(20, 5)], Packing(1, (20, 9))),
        (_layer({}), KERNEL, [(13, 8), (3, 5), (1, 15)], Packing(1, (13, 15))),
        (_layer({"units": 13}), ["kernel_zero"], [(1, 7)], None),
        (_layer({"units": 7}), KERNEL[:1], [(9, 7)], None),
        (_layer({"units": 13, "dtype": "float32"}), KERNEL[:1], [(9, 7)], None),
        (None, KERNEL[:1], [(9, 7)], None),
    ],
)
def test_only_the_configuration_tells(
    layer: LayerConfig | None,
    names: list[str],
    shapes: list[tuple[int, ...]],
    packing: Packing | None,
) -> None:
    assert find_packing(layer, names, shapes, 0) == packing
