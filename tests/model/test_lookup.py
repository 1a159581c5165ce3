"""`NAME[SLICE]`: which variable is meant, and which part of it."""

from __future__ import annotations

import numpy as np
import pytest

from ckread.errors import UsageError, VariableNotFoundError
from ckread.model.lookup import find_kernel, find_part, read_edges
from tests.analysis.array_checkpoint import checkpoint

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
CK = checkpoint({"a/w": VALUES, "a/w[0]": VALUES[0], "b/kernel": VALUES, "b/bias": VALUES[0, 0]})


def test_a_whole_name_comes_before_a_slice() -> None:
    assert find_part(CK, "a/w[0]").variable.name == "a/w[0]"
    assert find_part(CK, "a/w[0]").index is None
    part = find_part(CK, "a/w[1]")
    assert (part.variable.name, part.text, part.shape) == ("a/w", "[1]", (3, 4))


def test_a_pattern_that_means_one_variable_will_do() -> None:
    assert find_part(CK, "kernel").variable.name == "b/kernel"
    assert find_part(CK, "b/k*[..., 0]").shape == (2, 3)
    with pytest.raises(VariableNotFoundError) as caught:
        find_part(CK, "b/")
    assert str(caught.value).endswith(": 2 variables match b/, expected one")
    assert caught.value.remedy == "They are:\n  b/kernel\n  b/bias"


def test_the_name_of_a_layer_means_its_only_kernel() -> None:
    names = ("net/conv/kernel", "net/conv/bias", "net/conv_1/kernel", "net/two/a", "net/two/b")
    ck = checkpoint({name: VALUES[0, 0] if name.endswith("bias") else VALUES for name in names})
    assert find_kernel(ck, "conv").name == find_kernel(ck, "net/conv").name == "net/conv/kernel"
    assert find_kernel(ck, "conv_1/kernel").name == "net/conv_1/kernel"
    for name in ("two", "net", "con"):
        with pytest.raises(VariableNotFoundError, match=f"variables match {name}, expected one"):
            find_kernel(ck, name)


def test_a_name_in_the_form_in_which_it_is_shown_will_do() -> None:
    ck = checkpoint(dict.fromkeys(("a b", "a b c", "new\nline", r"x\x20y", "x y"), VALUES))
    assert find_part(ck, r"a\x20b").variable.name == "a b"
    assert find_part(ck, r"a\x20b[0]").shape == (3, 4)
    assert find_part(ck, r"new\nline").variable.name == "new\nline"
    assert find_part(ck, r"x\x20y").variable.name == r"x\x20y", "a literal name comes first"


def test_what_is_not_there_and_what_does_not_fit() -> None:
    with pytest.raises(VariableNotFoundError, match="no variable b/kernl"):
        find_part(CK, "b/kernl[0]")
    with pytest.raises(UsageError, match="index 5 is outside dimension 0, which goes from -2 to 1"):
        find_part(CK, "a/w[5]")


def test_where_no_name_is_near_the_remedy_tells_how_to_list_them() -> None:
    with pytest.raises(VariableNotFoundError) as caught:
        find_part(CK, "zzzzzz")
    assert caught.value.remedy == "No name is near it; list(checkpoint) lists those there are."
    with pytest.raises(VariableNotFoundError) as caught:
        find_part(checkpoint({}), "zzzzzz")
    assert caught.value.remedy is None, "there is none to list"


@pytest.mark.parametrize("brackets", ["[a]", "[1:", "[0][1]", "[1]x", "["])
def test_brackets_that_hold_no_index_are_what_is_wrong(brackets: str) -> None:
    for name in ("b/kernel", "kernel"):
        with pytest.raises(UsageError) as caught:
            find_part(CK, name + brackets)
        assert caught.value.message == f"b/kernel: {brackets} is not an index"
    with pytest.raises(VariableNotFoundError, match="no variable"):
        find_part(CK, "nothing" + brackets)


@pytest.mark.parametrize("text", ["[:]", "[0]", "[..., 1]", "[:, 1:3, ::2]", "[1, 2, 3]", "[0:0]"])
def test_the_shape_of_a_part_is_that_of_its_values(text: str) -> None:
    part = find_part(CK, f"b/kernel{text}")
    expected = eval(f"VALUES{text}")
    assert part.shape == expected.shape
    assert np.array_equal(part.variable.read(part.index), expected)


@pytest.mark.parametrize(
    "shape", [(5,), (7,), (8,), (100,), (20, 30), (2, 50, 9), (0, 40), (40, 0)]
)
@pytest.mark.parametrize("edge", [1, 3])
def test_edges_print_like_the_whole(shape: tuple[int, ...], edge: int) -> None:
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    variable = checkpoint({"w": values})["w"]
    edges = read_edges(variable, tuple(slice(0, size, 1) for size in shape), edge)
    assert edges.dtype == values.dtype
    assert edges.ndim == values.ndim
    assert all(size <= 2 * edge + 1 for size in edges.shape if 0 not in shape)
    with np.printoptions(threshold=0, edgeitems=edge):
        assert str(edges) == str(values) or 0 in shape


def test_edges_of_a_part() -> None:
    values = np.arange(4000).reshape(2, 40, 50)
    variable = checkpoint({"w": values})["w"]
    edges = read_edges(variable, (1, slice(2, 40, 3), slice(0, 50, 1)), 2)
    part = values[1, 2:40:3]
    assert edges[:2, :2].tolist() == part[:2, :2].tolist()
    assert edges[-2:, -2:].tolist() == part[-2:, -2:].tolist()
