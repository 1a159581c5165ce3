"""Tensor bundles read: TensorFlow's own list of tests, transposed, and round trips.

The list is that of tensorflow/core/util/tensor_bundle/tensor_bundle_test.cc: each
type, empty and scalar shapes, strings, partitioned tensors whole and cut, several
shards, checksums, byte order, truncation, versions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckread.errors import (
    CheckpointError,
    ChecksumError,
    CorruptCheckpointError,
    UnsupportedFeatureError,
    UsageError,
    VariableNotFoundError,
)
from ckread.readers.bundle.reader import TensorBundle, verify_variant
from ckread.readers.contract import DataType, Extent, Format, TensorRecord, numpy_dtype
from ckread.readers.crc32c import crc32c
from tests import strategies
from tests.builders import BundleBuilder, entry_bytes, write_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from ckread.readers.contract import Index

in_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def _assert_reads(bundle: TensorBundle, key: str, array: np.ndarray[Any, Any]) -> None:
    """Every way to read a plain tensor gives the same bits."""
    whole = bundle.read(key)
    assert (whole.dtype, whole.shape) == (array.dtype, array.shape)
    assert whole.tobytes() == array.tobytes()
    assert bundle.read_bytes(key) == array.tobytes()
    for nbytes in (1, 24, 1 << 20):
        chunks = [(chunk.dtype, chunk.tobytes()) for chunk in bundle.iter_chunks(key, nbytes)]
        assert all(dtype == array.dtype for dtype, _ in chunks)
        assert all(len(data) <= max(nbytes, array.itemsize) for _, data in chunks)
        assert b"".join(data for _, data in chunks) == array.tobytes()
    index: Index = tuple(slice(size // 3, size, 2) for size in array.shape)
    part = bundle.read_slice(key, index)
    expected = array[(*index, ...)]
    assert (part.dtype, part.shape) == (array.dtype, expected.shape)
    assert part.tobytes() == expected.tobytes()


# Every type, any bits.


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("dtype", strategies.PLAIN_DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 1618), (16, 0, 18), (3, 5, 7)])
def test_every_type_and_shape(
    tmp_path: Path, dtype: DataType, shape: tuple[int, ...], big_endian: bool
) -> None:
    nbytes = math.prod(shape) * dtype.itemsize
    bits = np.frombuffer(bytes(range(256)) * 8, np.uint8)[:nbytes]
    array = bits.view(numpy_dtype(dtype)).reshape(shape)
    builder = BundleBuilder(big_endian=big_endian)
    builder.add_gap(3)
    builder.add("t", array, dtype)
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        record = bundle.tensors["t"]
        assert record[:4] == ("t", dtype, shape, nbytes)
        assert (record.shard, record.offset) == (0, 3)
        assert record.crc32c == crc32c(bytes(builder.shards[0][3:]))
        _assert_reads(bundle, "t", array)


def test_every_number_of_the_enum_has_its_test() -> None:
    arrayless = {DataType.STRING, DataType.RESOURCE, DataType.VARIANT, DataType.UNKNOWN}
    assert set(DataType) == {*strategies.PLAIN_DTYPES, *arrayless}


@given(
    tensors=st.dictionaries(strategies.keys, strategies.plain_tensors(), max_size=5),
    options=st.fixed_dictionaries(
        {
            "restart_interval": st.integers(1, 20),
            "block_nbytes": st.sampled_from([1, 100, 1 << 18]),
            "snappy": st.booleans(),
        }
    ),
    big_endian=st.booleans(),
    num_shards=st.integers(1, 3),
    gap=st.integers(0, 9),
)
@in_tmp_path
def test_what_is_written_is_read_bit_for_bit(
    tmp_path: Path,
    tensors: dict[bytes, tuple[DataType, np.ndarray[Any, Any]]],
    options: dict[str, Any],
    big_endian: bool,
    num_shards: int,
    gap: int,
) -> None:
    builder = BundleBuilder(num_shards, big_endian=big_endian)
    by_key = {key.decode(errors="surrogateescape"): value for key, value in tensors.items()}
    for i, (key, (dtype, array)) in enumerate(by_key.items()):
        builder.add_gap(gap, shard=i % num_shards)
        builder.add(key, array, dtype, shard=i % num_shards)
    with TensorBundle(builder.write(tmp_path / "b", **options)) as bundle:
        assert set(bundle.tensors) == set(by_key)
        assert list(bundle.tensors) == [
            key.decode(errors="surrogateescape") for key in sorted(tensors)
        ]
        for key, (_, array) in by_key.items():
            _assert_reads(bundle, key, array)


# Strings.


def _object_array(elements: list[bytes], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(shape)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(
    ("elements", "shape"),
    [
        ([b"hello"], ()),
        ([b""], ()),
        ([b"ends in nul\0\0"], (1,)),
        ([b"a", b"", b"\xff" * 300, b"x" * 70_000], (2, 2)),
        ([], (0,)),
        ([], (3, 0, 2)),
        ([b"k"] * 200, (200,)),
    ],
)
def test_strings(
    tmp_path: Path, elements: list[bytes], shape: tuple[int, ...], big_endian: bool
) -> None:
    builder = BundleBuilder(big_endian=big_endian)
    builder.add("f", np.ones(3, np.float32), DataType.FLOAT32)
    builder.add_strings("s", elements, shape)
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        assert bundle.read_strings("s") == elements
        whole = bundle.read("s")
        assert (whole.dtype, whole.shape) == (np.dtype(object), shape)
        assert list(whole.reshape(-1)) == elements
        (chunk,) = bundle.iter_chunks("s", 10)
        assert list(chunk) == elements
        assert bundle.extents("s") is None
        _assert_reads(bundle, "f", np.ones(3, np.float32))


def test_a_slice_of_strings_is_an_array_also_of_one(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add_strings("s", [b"a\0", b"b", b"c", b"d"], (2, 2))
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        one = bundle.read_slice("s", (0, 0))
        assert (one.shape, one.dtype, one.item()) == ((), np.dtype(object), b"a\0")
        assert list(bundle.read_slice("s", (slice(None), 1))) == [b"b", b"d"]


def test_an_empty_string_tensor_of_which_nothing_is_stored(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.items[b"s"] = entry_bytes(DataType.STRING.number, (0,))
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        assert bundle.read_strings("s") == []
        assert bundle.read("s").shape == (0,)


def test_numbers_are_no_strings_and_strings_no_numbers(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("f", np.ones(3, np.float32), DataType.FLOAT32)
    builder.add_strings("s", [b"a"], ())
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        with pytest.raises(UsageError) as caught:
            bundle.read_strings("f")
        assert str(caught.value) == "f: float32, expected strings"
        with pytest.raises(UsageError) as caught:
            bundle.read_bytes("s")
        assert str(caught.value) == "s: a string tensor, expected plain numbers"


# Partitioned tensors.

ROWS = [((0, 5), (0, None)), ((5, 3), (0, None)), ((8, 2), (0, None))]
COLUMNS = [((0, None), (2, 4)), ((0, None), (0, 2)), ((0, None), (6, 1))]
BOTH = [
    (rows, columns) for rows in ((6, 4), (0, 6)) for columns in ((0, 3), (3, 4))
]  # fmt: skip


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("slices", [ROWS, COLUMNS, BOTH])
@pytest.mark.parametrize("dtype", strategies.PLAIN_DTYPES)
def test_partitioned_tensors_whole_and_cut(
    tmp_path: Path, dtype: DataType, slices: Any, big_endian: bool
) -> None:
    """TensorFlow joins neither half nor uint16, 32, 64 nor strings; we do."""
    bits = np.frombuffer(bytes(range(256)) * 5, np.uint8)[: 70 * dtype.itemsize]
    array = bits.view(numpy_dtype(dtype)).reshape(10, 7)
    builder = BundleBuilder(2, big_endian=big_endian)
    builder.add("a", np.zeros(3, np.int8), DataType.INT8)
    builder.add_partitioned("t", array, dtype, slices)
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        assert list(bundle.tensors) == ["a", "t"]
        record = bundle.tensors["t"]
        assert record == TensorRecord("t", dtype, (10, 7), 70 * dtype.itemsize, None, None, None)
        _assert_reads(bundle, "t", array)
        # A part that lies in one slice, one that cuts two, one element, none.
        for index in ((slice(0, 2), 1), (slice(4, 7), slice(1, 4)), (9, 6), (slice(3, 3),)):
            assert bundle.read_slice("t", index).tobytes() == array[(*index, ...)].tobytes()


@given(
    grid=strategies.grids(), nbytes=st.sampled_from([4, 12, 40, 1 << 19]), shards=st.integers(1, 3)
)
@in_tmp_path
def test_any_grid_of_slices(tmp_path: Path, grid: Any, nbytes: int, shards: int) -> None:
    shape, slices = grid
    array = np.arange(math.prod(shape), dtype=np.uint32).reshape(shape)
    builder = BundleBuilder(shards)
    builder.add_partitioned("t", array, DataType.UINT32, slices)
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        _assert_reads(bundle, "t", array)
        chunks = [chunk.copy() for chunk in bundle.iter_chunks("t", nbytes)]
        assert np.array_equal(np.concatenate(chunks), array.reshape(-1))
        extents = bundle.extents("t")
        assert extents is not None
        assert sum(extent.nbytes for extent in extents) == array.nbytes


def test_partitioned_strings(tmp_path: Path) -> None:
    array = _object_array([b"%d" % i for i in range(70)], (10, 7))
    builder = BundleBuilder(2)
    builder.add_partitioned("t", array, DataType.STRING, BOTH)
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        assert np.array_equal(bundle.read("t"), array)
        assert bundle.read_strings("t") == list(array.reshape(-1))
        assert np.array_equal(bundle.read_slice("t", (slice(5, 7), 3)), array[5:7, 3])


def test_slices_in_one_shard_have_a_place(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add_gap(11)
    builder.add_partitioned("t", np.zeros((10, 7), np.float32), DataType.FLOAT32, ROWS)
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        assert bundle.tensors["t"][3:] == (280, None, 0, 11)


def test_names_that_begin_with_nul_are_no_slices(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("\0odd", np.ones(2, np.float32), DataType.FLOAT32)
    builder.add("z", np.zeros(2, np.float32), DataType.FLOAT32)
    builder.add_partitioned("p", np.zeros((10, 7), np.float32), DataType.FLOAT32, ROWS)
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        assert list(bundle.tensors) == ["\0odd", "p", "z"]
        _assert_reads(bundle, "\0odd", np.ones(2, np.float32))


def test_a_slice_of_length_zero(tmp_path: Path) -> None:
    array = np.arange(70, dtype=np.float32).reshape(10, 7)
    builder = BundleBuilder()
    builder.add_partitioned("t", array, DataType.FLOAT32, [*ROWS, ((10, 0), (0, None))])
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        _assert_reads(bundle, "t", array)


# What a listing gives.


def test_entries_and_extents_of_a_bundle(tmp_path: Path) -> None:
    builder = BundleBuilder(2)
    builder.add("a", np.zeros((2, 3), np.int16), DataType.INT16, shard=1)
    builder.add_partitioned("t", np.zeros((10, 7), np.float32), DataType.FLOAT32, ROWS)
    prefix = builder.write(tmp_path / "b")
    with TensorBundle(prefix) as bundle:
        assert (bundle.path, bundle.format) == (prefix, Format.TENSOR_BUNDLE)
        assert (bundle.header.num_shards, bundle.n_blocks, bundle.notes) == (2, 1, ())
        entry = bundle.entry("a")
        assert (entry.shape, entry.shard_id, entry.offset, entry.size) == ((2, 3), 1, 0, 12)
        assert bundle.entry("t").slices == tuple(ROWS)
        shard = f"{prefix}.data-00001-of-00002"
        region = ((0, 2), (0, 3))
        extent = Extent(shard, 0, 12, DataType.INT16, False, crc32c(bytes(12)), region)
        assert bundle.extents("a") == (extent,)
        extents = bundle.extents("t")
        assert extents is not None
        assert [extent.region for extent in extents] == [
            ((0, 5), (0, 7)),
            ((5, 8), (0, 7)),
            ((8, 10), (0, 7)),
        ]


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    with TensorBundle(write_bundle(tmp_path / "b", {"a": np.zeros(1)})) as bundle:
        for read in (bundle.read, bundle.read_bytes, bundle.extents, bundle.read_strings):
            with pytest.raises(VariableNotFoundError):
                read("b")


# What cannot be read.


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (DataType.VARIANT.number, "b.index: t: a variant tensor holds no array"),
        (DataType.RESOURCE.number, "b.index: t: a resource tensor holds no array"),
        (99, "b.index: t: element type 99 is not known"),
        (101, "b.index: t: element type 101 is not known"),
        (0, "b.index: t: element type 0 is not known"),
    ],
)
def test_types_that_have_no_array_are_listed_and_declined(
    tmp_path: Path, number: int, message: str
) -> None:
    builder = BundleBuilder()
    builder.items[b"t"] = entry_bytes(number, (2,), size=8, masked=5)
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        assert bundle.tensors["t"].shape == (2,)
        assert bundle.extents("t") is None
        reads = (
            lambda: bundle.read("t"),
            lambda: bundle.read_bytes("t"),
            lambda: bundle.read_strings("t"),
            lambda: bundle.read_slice("t", (0,)),
            lambda: list(bundle.iter_chunks("t")),
        )
        for read in reads:
            with pytest.raises(UnsupportedFeatureError) as caught:
                read()
            assert str(caught.value) == message
            assert caught.value.remedy


def test_more_dimensions_than_numpy_has(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.add("t", np.ones((), np.float32), DataType.FLOAT32)
    many = entry_bytes(1, (1,) * 65, size=4, masked=0)
    builder.items[b"u"] = many + builder.items[b"t"][-5:]
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        assert bundle.read_bytes("u") == np.float32(1).tobytes()
        with pytest.raises(CheckpointError) as caught:
            bundle.read("u")
        assert str(caught.value) == "b.index: u: 65 dimensions, numpy has 64 at most"


def test_a_shape_of_nothing_that_numpy_refuses(tmp_path: Path) -> None:
    builder = BundleBuilder()
    builder.items[b"t"] = entry_bytes(2, (0, (1 << 63) - 1), masked=0xA282EAD8)
    with TensorBundle(builder.write(tmp_path / "b")) as bundle:
        assert list(bundle.iter_chunks("t")) == []
        with pytest.raises(CheckpointError) as caught:
            bundle.read("t")
    assert str(caught.value) == "b.index: t: shape [0, 9223372036854775807], too large for numpy"


def test_places_beyond_four_gibibytes(tmp_path: Path) -> None:
    """In sparse files: a tensor that lies there, and one so large."""
    builder = BundleBuilder()
    values = np.arange(5, dtype=np.int32)
    builder.add("far", values, DataType.INT32)
    masked = int.from_bytes(builder.items[b"far"][-4:], "little")
    at, size = (5 << 30) + 1, 5 << 30
    builder.items[b"far"] = entry_bytes(3, (5,), offset=at, size=20, masked=masked)
    builder.items[b"large"] = entry_bytes(3, (5, 1 << 28), offset=21, size=size, masked=7)
    prefix = builder.write(tmp_path / "b")
    with open(f"{prefix}.data-00000-of-00001", "r+b") as file:
        file.seek(at)
        file.write(values.tobytes())
    with TensorBundle(prefix) as bundle:
        assert bundle.tensors["far"].offset == at
        _assert_reads(bundle, "far", values)
        # The last bytes of `large` are the first ones of `far`.
        assert 21 + size == at + 20
        end = bundle.read_slice("large", (4, slice((1 << 28) - 8, 1 << 28)))
        assert end.tobytes() == bytes(12) + values.tobytes()
        assert not bundle.read_slice("large", (slice(None), slice(0, 1 << 28, 1 << 26))).any()


def test_a_variant_is_verified_element_by_element(tmp_path: Path) -> None:
    """Its checksums go on from element to element, and are of the length in eight bytes."""
    payloads, computed, data = (b"one", b"", b"three"), 0, b""
    starts = []
    for payload in payloads:
        computed = google_crc32c.extend(computed, len(payload).to_bytes(8, "little") + payload)
        word = ((computed >> 15 | computed << 17) + 0xA282EAD8 & 0xFFFFFFFF).to_bytes(4, "little")
        starts.append(len(data) + 1)
        data += bytes([len(payload)]) + payload + word
        computed = google_crc32c.extend(computed, word)
    path = tmp_path / "b.data-00000-of-00001"
    record = TensorRecord("t", DataType.VARIANT, (3,), len(data), None, 0, 7)
    path.write_bytes(b"\xaa" * 7 + data)
    verify_variant(record, str(path))
    for start, payload in zip(starts, payloads, strict=True):
        damaged = bytearray(data)
        damaged[start + len(payload)] ^= 1  # the checksum, or its element
        path.write_bytes(b"\xaa" * 7 + damaged)
        with pytest.raises(ChecksumError) as caught:
            verify_variant(record, str(path))
        assert caught.value.place == f"bytes {7 + start} to {7 + start + len(payload)}"
    for shape, found in (((2,), "elements end at"), ((4,), "varint at byte")):
        path.write_bytes(b"\xaa" * 7 + data)
        with pytest.raises(CorruptCheckpointError, match=found):
            verify_variant(record._replace(shape=shape), str(path))
