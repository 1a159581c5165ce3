"""A lazy variable over either reader's contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

import ckread
from ckread.errors import ChecksumError, UsageError
from ckread.model.role import Role
from ckread.model.variable import is_number, read_numbers, resolve_index, split_index
from ckread.readers.contract import CHUNK_NBYTES, DATA_TYPES, DataType, numpy_dtype
from tests.analysis.array_checkpoint import checkpoint
from tests.builders import BundleBuilder, write_bundle
from tests.corruption import flip
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.model.variable import Variable


KERNEL = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def made(array: Any, key: str = "layer/kernel") -> Variable:
    """Make a variable of an array."""
    return checkpoint({key: np.asarray(array)})[key]


def test_what_it_says_without_being_read() -> None:
    arrays = {"w.key": KERNEL, "s": KERNEL}
    ours = checkpoint(arrays, names={"w.key": "w"}, owners={"s": ("w", "momentum")})
    kernel, slot = ours["w"], ours["s"]
    assert (kernel.name, kernel.key, kernel.dtype, kernel.shape) == (
        "w",
        "w.key",
        "float32",
        (2, 3, 4),
    )
    assert (kernel.elements, kernel.nbytes) == (24, 96)
    assert (kernel.role, kernel.owner, kernel.slot) == (Role.WEIGHT, None, None)
    assert (slot.role, slot.owner, slot.slot) == (Role.SLOT, "w", "momentum")
    assert (kernel.trainable, kernel.paths) == (None, ())
    assert repr(kernel) == "<ckread.Variable 'w' float32 (2, 3, 4)>"
    assert ours.reader.n_read == 0  # type: ignore[attr-defined]


def test_values_whole_and_in_part() -> None:
    variable = made(KERNEL)
    assert np.array_equal(variable.numpy(), KERNEL)
    assert np.array_equal(variable.read(), KERNEL)
    assert np.array_equal(variable.read((1, ..., slice(None, 2))), KERNEL[1, ..., :2])
    assert np.array_equal(variable.read(np.int64(-1)), KERNEL[-1])
    with pytest.raises(UsageError) as caught:
        variable.read((0, 0, 0, 0))
    assert str(caught.value) == "layer/kernel has shape (2, 3, 4): 4 indices for 3 dimensions"


def test_chunks_join_to_the_whole() -> None:
    chunks = [chunk.copy() for chunk in made(KERNEL).chunks(20)]
    assert [len(chunk) for chunk in chunks] == [5, 5, 5, 5, 4]
    assert np.array_equal(np.concatenate(chunks), KERNEL.reshape(-1))
    [chunk] = made(KERNEL).chunks(CHUNK_NBYTES)
    assert len(chunk) == 24


def test_numpy_takes_it() -> None:
    variable = made(KERNEL)
    assert np.array_equal(np.asarray(variable), KERNEL)
    assert np.asarray(variable, dtype=np.float64).dtype == np.float64
    assert np.array(variable, copy=True) is not np.array(variable, copy=True)
    assert np.add(made(np.float32(2.5)), 1).item() == 3.5


@pytest.mark.parametrize(
    "value",
    [
        np.float32(0.1), np.float64(0.1), np.float16(0.1), np.int8(-3), np.int16(-3), np.int32(-3),
        np.int64(-(2**63)), np.uint8(200), np.uint16(60000), np.uint32(2**32 - 1),
        np.uint64(2**64 - 1), np.bool_(True), ml_dtypes.bfloat16(0.1), np.float32(-0.0),
    ],
)  # fmt: skip
def test_scalars_without_numpy(value: Any) -> None:
    assert made(value).scalar() == value.item() if value.dtype != "bfloat16" else float(value)
    assert type(made([value]).scalar()) in (int, float, bool)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (KERNEL, "layer/kernel: float32 of shape (2, 3, 4) is not a number"),
        (np.complex64(1j), "layer/kernel: complex64 of shape () is not a number"),
        (np.zeros(0, np.int32), "layer/kernel: int32 of shape (0,) is not a number"),
        (np.array(b"7", object), "layer/kernel: string of shape () is not a number"),
    ],
)
def test_what_is_no_scalar(array: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        made(array).scalar()
    assert str(caught.value) == message


def test_the_fields_of_json_documents() -> None:
    document = made(np.frombuffer(b"123456789", np.uint8)).to_dict()
    assert document == {
        "name": "layer/kernel",
        "key": "layer/kernel",
        "dtype": "uint8",
        "shape": [9],
        "elements": 9,
        "nbytes": 9,
        "role": "weight",
        "trainable": None,
        "owner": None,
        "slot": None,
        "paths": [],
        "crc32c": "e3069283",
        "shard": None,
        "offset": None,
    }
    assert type(document["dtype"]) is type(document["role"]) is str
    unchecked = checkpoint({"a": KERNEL}, has_checksums=False)["a"]
    assert unchecked.to_dict()["crc32c"] is None


def test_over_a_bundle(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "c", {"a": KERNEL, "b": KERNEL})
    with ckread.open(prefix) as ours:
        variable = ours["b"]
        assert (variable.shard, variable.offset, variable.nbytes) == (0, 96, 96)
        assert np.array_equal(variable.numpy(), KERNEL)
        assert np.array_equal(variable.read((slice(None), 1)), KERNEL[:, 1])
        assert b"".join(chunk.tobytes() for chunk in variable.chunks(16)) == KERNEL.tobytes()
        extents = variable.extents()
        assert extents is not None
        assert [(extent.offset, extent.nbytes) for extent in extents] == [(96, 96)]
    flip(f"{prefix}.data-00000-of-00001", 100)
    with ckread.open(prefix) as damaged:
        assert np.array_equal(damaged["a"].numpy(), KERNEL)
        for read in (damaged["b"].numpy, lambda: list(damaged["b"].chunks())):
            with pytest.raises(ChecksumError):
                read()
        assert damaged["b"].read((1, 2)).shape == (4,)


@pytest.mark.parametrize("dtype", [dtype for dtype in DATA_TYPES.values() if dtype.is_plain])
def test_every_plain_type_is_an_array_of_its_own_type(dtype: DataType, tmp_path: Path) -> None:
    values = np.arange(3).astype(np.int8).astype(numpy_dtype(dtype))
    builder = BundleBuilder()
    builder.add("a", values, dtype)
    with ckread.open(builder.write(tmp_path / "c")) as ours:
        assert ours["a"].dtype is dtype
        assert ours["a"].numpy().tobytes() == values.tobytes()
        assert ours["a"].numpy().dtype == numpy_dtype(dtype)


def test_a_scalar_of_a_real_run() -> None:
    rates = []
    for step in range(1, 11):
        with ckread.open(FIXTURES / "digits_run" / f"ckpt-{step}") as ours:
            rates.append(ours["optimizer/_learning_rate/.ATTRIBUTES/VARIABLE_VALUE"].scalar())
    assert rates == pytest.approx([3e-3 * 0.85**epoch for epoch in range(10)])


# Indices as numpy understands them, from text and against a shape.


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


@pytest.mark.parametrize("dtype", [one for one in DATA_TYPES.values() if is_number(one)])
def test_numbers_without_numpy_are_those_with_it(dtype: DataType, tmp_path: Path) -> None:
    builder = BundleBuilder()
    array = np.array([[0, 1, 3], [2, 1, 0]]).astype(numpy_dtype(dtype))
    for name, values in (("a", array), ("one", array[1, 0].reshape(())), ("none", array[:0])):
        builder.add(name, values, dtype)
    with ckread.open(builder.write(tmp_path / "m")) as found:
        for name in ("a", "one", "none"):
            numbers = read_numbers(found[name])
            assert list(numbers) == found[name].numpy().reshape(-1).tolist()
            assert {type(one) for one in numbers} <= {int, float, bool}
