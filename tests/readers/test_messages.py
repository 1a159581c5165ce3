"""The messages of a bundle: bytes, and the classes that TensorFlow generates."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckread.errors import CheckpointError, CorruptCheckpointError
from ckread.readers.contract import DataType
from ckread.readers.crc32c import unmask
from ckread.readers.graphs.object_graph import (
    Attribute,
    Child,
    RegisteredSaver,
    SlotVariable,
    TrackableObject,
    parse_object_graph,
)
from ckread.readers.protobuf import (
    MAX_PARTS,
    BundleEntry,
    BundleHeader,
    parse_bundle_entry,
    parse_bundle_header,
    parse_tensor_shape,
    parse_tensor_slice,
)
from tests import strategies
from tests.builders import bytes_field, entry_bytes, header_bytes, shape_bytes, slice_bytes, varint

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_header_that_is_written_today() -> None:
    header = parse_bundle_header(bytes.fromhex("08 01 1a 02 08 01"))
    assert header == BundleHeader(1, False, 1, 0, ())


def test_a_header_with_everything() -> None:
    data = header_bytes(300, big_endian=True, producer=99, min_consumer=1, bad_consumers=[2, 300])
    assert parse_bundle_header(data) == BundleHeader(300, True, 99, 1, (2, 300))


def test_an_endianness_that_is_neither_reads_as_little() -> None:
    assert not parse_bundle_header(bytes.fromhex("08 01 10 07")).big_endian


def test_an_endianness_of_64_bits_counts_by_its_low_half() -> None:
    assert parse_bundle_header(bytes.fromhex("10 81 80 80 80 80 80 10")).big_endian


def test_a_typical_entry() -> None:
    data = bytes.fromhex("08 01 12 08 12 02 08 02 12 02 08 03 20 18 28 18 35 04 03 02 01")
    expected = BundleEntry(
        DataType.FLOAT32, (2, 3), 0, 24, 24, unmask(0x01020304), (), dtype_number=1
    )
    assert parse_bundle_entry(data) == expected


def test_a_scalar_and_a_dimension_of_nothing() -> None:
    assert parse_bundle_entry(bytes.fromhex("08 09 12 00 28 08")).shape == ()
    assert parse_bundle_entry(bytes.fromhex("08 01 12 06 12 00 12 02 08 03")).shape == (0, 3)


def test_numbers_of_element_types_that_are_not_known() -> None:
    for number in (0, 34, 99, 101):
        entry = parse_bundle_entry(entry_bytes(number, ()))
        assert (entry.dtype, entry.dtype_number) == (DataType.UNKNOWN, number)
    assert parse_bundle_entry(entry_bytes(-1, ())).dtype_number == -1


def test_slices_with_and_without_a_length() -> None:
    data = entry_bytes(1, (100, 8), slices=[[(0, None), (4, 4)], [(34, 33), (0, None)]])
    expected = (((0, None), (4, 4)), ((34, 33), (0, None)))
    assert parse_bundle_entry(data).slices == expected


WRAPS_TO_4 = 3689348814741910324


def test_the_trap_of_a_product_in_64_bits() -> None:
    assert 5 * WRAPS_TO_4 % (1 << 64) == 4


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((-1,), "dimension of -1 elements, expected 0 or more"),
        ((1 << 32, 1 << 31), "shape of 9223372036854775808 elements, expected less than 2**63"),
        # In 64 bits this has 4 elements.
        ((5, WRAPS_TO_4), "shape of 18446744073709551620 elements, expected less than 2**63"),
        ((0, 1 << 62, 1 << 62), f"shape of {1 << 124} elements, expected less than 2**63"),
        ((1,) * 255, "shape: 255 dimensions, expected at most 254"),
    ],
)  # fmt: skip
def test_shapes_that_no_tensor_has(shape: tuple[int, ...], message: str) -> None:
    for parse in (
        lambda: parse_tensor_shape(shape_bytes(shape)),
        lambda: parse_bundle_entry(entry_bytes(1, shape)),
    ):
        with pytest.raises(CorruptCheckpointError) as caught:
            parse()
        assert str(caught.value) == message


@pytest.mark.parametrize("shape", [(0,), (1,) * 254, ((1 << 31) - 1, 1 << 32), (0, (1 << 63) - 1)])
def test_the_nearest_legal_shapes(shape: tuple[int, ...]) -> None:
    assert parse_tensor_shape(shape_bytes(shape)) == shape


def test_a_graph_by_bytes() -> None:
    child = bytes_field(1, b"\x08\x01" + bytes_field(2, b"layer"))
    attribute = bytes_field(1, b"VARIABLE_VALUE") + bytes_field(2, b"w") + bytes_field(3, b"w/.A")
    slot = b"\x08\x01" + bytes_field(2, b"momentum") + b"\x18\x02"
    saver = bytes_field(4, bytes_field(1, b"S") + bytes_field(2, b"O"))
    root = child + bytes_field(3, slot) + saver + bytes_field(5, b"")
    leaf = bytes_field(2, attribute) + bytes_field(5, b"\x08\x01")
    graph = parse_object_graph(bytes_field(1, root) + bytes_field(1, leaf) + bytes_field(1, b""))
    assert graph.nodes == (
        TrackableObject(
            children=(Child(1, "layer"),),
            slot_variables=(SlotVariable(1, "momentum", 2),),
            registered_saver=RegisteredSaver("S", "O"),
            has_checkpoint_values=False,
        ),
        TrackableObject(
            attributes=(Attribute("VARIABLE_VALUE", "w", "w/.A"),), has_checkpoint_values=True
        ),
        TrackableObject(),
    )


@pytest.mark.parametrize("name", [b"", b"x" * 127, b"x" * 128, b"x" * 20000, b"a\xffb"])
@pytest.mark.parametrize("node_id", [0, 1, 127, 128, 1 << 20, (1 << 31) - 1, -1])
def test_children_near_the_bounds_of_the_fast_way(node_id: int, name: bytes) -> None:
    number = b"\x08" + varint(node_id) if node_id else b""
    data = bytes_field(1, bytes_field(1, number + bytes_field(2, name)))
    expected = Child(node_id, name.decode(errors="surrogateescape"))
    assert parse_object_graph(data).nodes[0].children == (expected,)


@pytest.mark.parametrize("full_name", [b"", b"x" * 127, b"x" * 128])
@pytest.mark.parametrize("key", [b"", b"k", b"x" * 127, b"x" * 128])
def test_attributes_near_the_bounds_of_the_fast_way(full_name: bytes, key: bytes) -> None:
    fields = bytes_field(1, b"VARIABLE_VALUE"), bytes_field(2, full_name), bytes_field(3, key)
    data = bytes_field(1, bytes_field(2, b"".join(fields)))
    expected = Attribute("VARIABLE_VALUE", full_name.decode(), key.decode())
    assert parse_object_graph(data).nodes[0].attributes == (expected,)


@given(st.one_of(st.binary(max_size=60), strategies.messages))
def test_any_bytes_give_a_message_or_a_clean_error(data: bytes) -> None:
    for parse in (
        parse_bundle_header,
        parse_bundle_entry,
        parse_tensor_shape,
        parse_tensor_slice,
        parse_object_graph,
    ):
        with suppress(CorruptCheckpointError):
            parse(data)


# TensorFlow's own classes, which upb decodes.


@pytest.fixture(scope="module")
def protos() -> Any:
    """Give TensorFlow's generated modules."""
    pytest.importorskip("tensorflow")
    from tensorflow.core.framework import tensor_shape_pb2, tensor_slice_pb2
    from tensorflow.core.protobuf import tensor_bundle_pb2, trackable_object_graph_pb2

    return {
        "header": tensor_bundle_pb2.BundleHeaderProto,
        "entry": tensor_bundle_pb2.BundleEntryProto,
        "shape": tensor_shape_pb2.TensorShapeProto,
        "slice": tensor_slice_pb2.TensorSliceProto,
        "graph": trackable_object_graph_pb2.TrackableObjectGraph,
    }


def _compare(message_class: Any, data: bytes, parse: Callable[[bytes], Any], view: Any) -> None:
    """Hold our decoder against the generated class: the same fields, or both refuse.

    Ours may refuse a shape that no tensor has, and does not look whether text is
    UTF-8; theirs accepts groups in unknown fields, which the strategy does not make.
    """
    from google.protobuf.message import DecodeError

    try:
        message = message_class.FromString(data)
    except DecodeError:
        message = None
    try:
        ours = parse(data)
    except CheckpointError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert message is None or "dimension" in refused or "shape of" in refused
    elif message is not None:
        assert ours == view(message)


def _shape(message: Any) -> tuple[int, ...]:
    return tuple(dim.size for dim in message.dim)


def _slice(message: Any) -> tuple[tuple[int, int | None], ...]:
    return tuple(
        (extent.start, extent.length if extent.HasField("length") else None)
        for extent in message.extent
    )


def _header(message: Any) -> BundleHeader:
    version = message.version
    return BundleHeader(
        message.num_shards,
        message.endianness == 1,
        version.producer,
        version.min_consumer,
        tuple(version.bad_consumers),
    )


def _entry(message: Any) -> BundleEntry:
    known = {dtype.number: dtype for dtype in DataType}
    return BundleEntry(
        known.get(message.dtype, DataType.UNKNOWN),
        _shape(message.shape),
        message.shard_id,
        message.offset,
        message.size,
        unmask(message.crc32c),
        tuple(map(_slice, message.slices)),
        message.dtype,
    )


def _graph(message: Any) -> tuple[TrackableObject, ...]:
    return tuple(
        TrackableObject(
            tuple(Child(child.node_id, child.local_name) for child in node.children),
            tuple(Attribute(a.name, a.full_name, a.checkpoint_key) for a in node.attributes),
            tuple(
                SlotVariable(s.original_variable_node_id, s.slot_name, s.slot_variable_node_id)
                for s in node.slot_variables
            ),
            RegisteredSaver(node.registered_saver.name, node.registered_saver.object_name)
            if node.HasField("registered_saver")
            else None,
            node.has_checkpoint_values.value if node.HasField("has_checkpoint_values") else None,
        )
        for node in message.nodes
    )


@pytest.mark.oracle
@given(data=st.one_of(strategies.messages, strategies.entries(), st.binary(max_size=30)))
@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_our_decoder_against_the_generated_classes(protos: Any, data: bytes) -> None:
    _compare(protos["header"], data, parse_bundle_header, _header)
    _compare(protos["entry"], data, parse_bundle_entry, _entry)
    _compare(protos["shape"], data, parse_tensor_shape, _shape)
    _compare(protos["slice"], data, parse_tensor_slice, _slice)
    _compare(protos["graph"], data, lambda data: parse_object_graph(data).nodes, _graph)


@pytest.mark.oracle
@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_messages_come_back(protos: Any, data: st.DataObject) -> None:
    dims = data.draw(st.lists(st.integers(0, 50), max_size=4))
    ranges = data.draw(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 9))))
    expected = tuple((start, length) if length is not None else (start, None)
                     for start, length in ranges)  # fmt: skip
    message = protos["slice"]()
    for start, length in ranges:
        extent = message.extent.add(start=start)
        if length is not None:
            extent.length = length
    assert parse_tensor_slice(message.SerializeToString()) == expected
    shape = protos["shape"](dim=[{"size": size} for size in dims])
    assert parse_tensor_shape(shape.SerializeToString()) == tuple(dims)
    assert parse_tensor_slice(slice_bytes([(0, 5), (0, None)])) == ((0, 5), (0, None))


@pytest.mark.parametrize("other", [b"", b"\x08\x00"])  # a varint among them: the longer way
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_graph_of_too_many_parts_is_refused(other: bytes, *, is_nested: bool) -> None:
    """Two bytes each in the file, two hundred in memory; one fewer is as many as there are."""
    for n in (MAX_PARTS, 2 * MAX_PARTS):
        data = other + b"\x0a\x00" * n
        if is_nested:
            data = bytes_field(1, data)
        if n > MAX_PARTS:
            with pytest.raises(CorruptCheckpointError, match=f"more than {MAX_PARTS:,} parts"):
                parse_object_graph(data)
        else:
            assert sum(1 + len(node.children) for node in parse_object_graph(data).nodes) >= n
