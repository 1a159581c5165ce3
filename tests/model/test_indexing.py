"""Indices as numpy understands them, from text and against a shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from ckread.errors import UsageError
from ckread.model.indexing import resolve_index, split_index


@pytest.mark.parametrize(
    ("text", "name", "index"),
    [
        ("conv/kernel", "conv/kernel", None),
        ("conv/kernel[]", "conv/kernel", ()),
        ("k[3]", "k", (3,)),
        ("k[-1, 2]", "k", (-1, 2)),
        ("k[ 1 : 3 , ::2, ... , 0 ]", "k", (slice(1, 3), slice(None, None, 2), ..., 0)),
        ("k[1:3,]", "k", (slice(1, 3),)),
        ("k[:]", "k", (slice(None),)),
        ("a[0]b", "a[0]b", None),
        ("a[0][1]", "a[0]", (1,)),
        ("a[x]", "a[x]", None),
        ("[1]", "[1]", None),
        ("line\nbreak[1]", "line\nbreak", (1,)),
        ("", "", None),
    ],
)
def test_a_name_and_its_index(text: str, name: str, index: tuple[Any, ...] | None) -> None:
    assert split_index(text) == (name, index)


@pytest.mark.parametrize(
    ("text", "item"),
    [("k[1,,2]", "''"), ("k[1.5]", "'1.5'"), ("k[1:2:3:4]", "'1:2:3:4'"), ("k[--1]", "'--1'"),
     ("k[....]", "'....'"), ("k[,]", "''"), ("k[1:-]", "'1:-'"), ("k[+]", "'+'")],
)  # fmt: skip
def test_what_is_no_index(text: str, item: str) -> None:
    with pytest.raises(UsageError) as caught:
        split_index(text)
    assert str(caught.value) == f"{text}: {item} is not an index"
    assert caught.value.remedy == (
        "Give integers, ranges as 2:10 or ::2, and ... separated by commas."
    )


@pytest.mark.parametrize(
    ("index", "resolved"),
    [
        (..., (slice(0, 4, 1), slice(0, 5, 1))),
        ((), (slice(0, 4, 1), slice(0, 5, 1))),
        (-1, (3, slice(0, 5, 1))),
        ((..., -5), (slice(0, 4, 1), 0)),
        ((slice(9, None), slice(None, None, 2)), (slice(4, 4, 1), slice(0, 5, 2))),
        ((slice(3, 1), ..., np.int8(4)), (slice(3, 3, 1), 4)),
        (np.array(2), (2, slice(0, 5, 1))),
    ],
)
def test_one_item_for_each_dimension(index: Any, resolved: tuple[int | slice, ...]) -> None:
    assert resolve_index(index, (4, 5), "k") == resolved


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ((0, 0, 0), "k has shape (4, 5): 3 indices for 2 dimensions"),
        ((..., ...), "k has shape (4, 5): more than one ... for 2 dimensions"),
        (4, "k has shape (4, 5): index 4 is outside dimension 0, which goes from -4 to 3"),
        ((0, -6), "k has shape (4, 5): index -6 is outside dimension 1, which goes from -5 to 4"),
        (slice(None, None, -1), "k: step -1 in dimension 0, expected 1 or more"),
        ((0, slice(None, None, 0)), "k: step 0 in dimension 1, expected 1 or more"),
        (None, "k: None in dimension 0 is not an index"),
        (True, "k: True in dimension 0 is not an index"),
        (1.0, "k: 1.0 in dimension 0 is not an index"),
        ("a", "k: 'a' in dimension 0 is not an index"),
        ([0, 1], "k: [0, 1] in dimension 0 is not an index"),
        (slice("a", None), "k: slice('a', None, None) in dimension 0 is not an index"),
        (np.array([0, 1]), "k: array([0, 1]) in dimension 0 is not an index"),
        ((np.array([0, 1]), ...), "k: array([0, 1]) in dimension 0 is not an index"),
    ],
)
def test_what_does_not_fit(index: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_index(index, (4, 5), "k")
    assert str(caught.value) == message


def test_a_scalar_takes_only_the_whole() -> None:
    assert resolve_index(..., (), "k") == ()
    with pytest.raises(UsageError) as caught:
        resolve_index(0, (), "k")
    assert str(caught.value) == "k is a scalar: it takes no index"


@given(st.data())
def test_as_numpy_indexes(data: st.DataObject) -> None:
    shape = data.draw(st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=6))
    index = data.draw(st_numpy.basic_indices(shape, allow_newaxis=False))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    items = index if isinstance(index, tuple) else (index,)
    if any(isinstance(item, slice) and (item.step or 1) < 0 for item in items):
        with pytest.raises(UsageError):
            resolve_index(index, shape, "k")
    else:
        assert np.array_equal(array[resolve_index(index, shape, "k")], array[index])


@given(st.text(max_size=20) | st.text("k[]0-:,. ", max_size=12))
def test_any_text_is_a_name_or_an_error(text: str) -> None:
    try:
        name, index = split_index(text)
    except UsageError:
        return
    assert text.startswith(name)
    assert (index is None) == (name == text)
