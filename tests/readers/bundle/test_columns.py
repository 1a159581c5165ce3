"""An index as columns: what the careful way reads, or the error that it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.errors import CheckpointError
from ckread.readers.bundle import columns, reader
from ckread.readers.bundle.reader import open_index
from ckread.readers.contract import DataType, TensorColumns
from ckread.readers.files import RegularFile
from tests.builders import (
    BundleBuilder,
    block_bytes,
    entry_bytes,
    header_bytes,
    table_bytes,
    table_of_blocks,
    varint,
)
from tests.strategies import entries

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = st.lists(st.sampled_from([0, 1, 3, 200, 70_000]), max_size=5)
OFFSETS = st.sampled_from([0, 1, 127, 128, 1 << 14, (1 << 32) + 5, (1 << 63) - 1])
KEYS = st.text(st.sampled_from("ab/_1é\x00\n"), max_size=6).map(str.encode) | st.binary(max_size=4)
VALUES = entries() | st.builds(
    lambda number, shape, shard, offset, masked, off: entry_bytes(
        number,
        shape,
        shard=shard,
        offset=offset,
        size=off + int(np.prod(shape, dtype=object)) * DataType.FLOAT32.itemsize,
        masked=masked,
    ),
    st.sampled_from([1, 1, 1, 3, 7, 99]),
    SHAPES,
    st.sampled_from([0, 1, 127, 128, 5000]),
    OFFSETS,
    st.integers(0, (1 << 32) - 1),
    st.sampled_from([0, 0, 0, 1]),
)


def outcome(prefix: str, nbytes: int) -> Any:
    """Give all that an index says, or the error, where larger ones are read as columns."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "COLUMNAR_NBYTES", nbytes)
        try:
            index = open_index(prefix)
        except CheckpointError as error:
            return type(error), str(error), error.remedy, error.place
    told = index.header, index.parts, index.unknown_dtypes, index.n_blocks
    records = list(index.tensors.values())
    types = [type(field) for record in records for field in record]
    return list(index.tensors.items()), records, types, told


def assert_alike(path: Path, index: bytes) -> None:
    path.with_suffix(".index").write_bytes(index)
    assert outcome(str(path), -1) == outcome(str(path), 1 << 60)


@given(
    items=st.dictionaries(KEYS.filter(bool), VALUES, max_size=12),
    interval=st.sampled_from([1, 2, 16]),
    block=st.sampled_from([1, 100, 1 << 18]),
    snappy=st.booleans(),
)
def test_any_entries(
    items: dict[bytes, bytes], interval: int, block: int, snappy: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    everything = sorted({b"": header_bytes(3), **items}.items())
    index = table_bytes(everything, restart_interval=interval, block_nbytes=block, snappy=snappy)
    assert_alike(tmp_path_factory.mktemp("any") / "a", index)


@given(data=st.data())
def test_any_block(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Bytes of a block that are changed, its checksum made to fit again."""
    some = {f"layer_{i}/kernel".encode(): entry_bytes(1, [4], offset=16 * i, size=16, masked=i + 1)
            for i in range(20)}  # fmt: skip
    block = bytearray(block_bytes(sorted({b"": header_bytes(1), **some}.items()), 4))
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(block) - 1))
        block[at] = data.draw(st.integers(0, 255))
    assert_alike(tmp_path_factory.mktemp("block") / "a", table_of_blocks([(b"z", bytes(block))]))


@given(data=st.data())
def test_any_damage(
    data: st.DataObject, fixtures_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    index = bytearray((fixtures_dir / "digits_run" / "ckpt-10.index").read_bytes())
    if data.draw(st.booleans()):
        del index[data.draw(st.integers(0, len(index) - 1)) :]
    else:
        index[data.draw(st.integers(0, len(index) - 1))] ^= data.draw(st.integers(1, 255))
    assert_alike(tmp_path_factory.mktemp("damage") / "a", bytes(index))


def test_keys_that_do_not_rise(tmp_path: Path) -> None:
    value = entry_bytes(1, [4], size=16, masked=1)
    for keys in ((b"b", b"a"), (b"a", b"a"), (b"a", b"a\0")):
        assert_alike(
            tmp_path / "a", table_bytes([(b"", header_bytes(1)), *((k, value) for k in keys)])
        )
    assert_alike(tmp_path / "a", table_bytes([(b"a", value)]))
    assert_alike(tmp_path / "a", table_bytes([]))
    assert_alike(tmp_path / "a", table_bytes([(b"", header_bytes(1))]))


def test_an_entry_of_another_type_among_many(tmp_path: Path) -> None:
    builder = BundleBuilder(num_shards=2)
    for i in range(40):
        builder.add(f"w/{i}", np.zeros((i % 3, 200)), DataType.FLOAT64, shard=i % 2)
    builder.add_strings("w/1/words", [b"a", b"bc"], (2,))
    builder.items[b"new"] = entry_bytes(99, [2], size=5, masked=7)
    builder.write(tmp_path / "a", restart_interval=16)
    with RegularFile(str(tmp_path / "a.index")) as file:
        index = columns.read_columns(file)
    assert index is not None
    assert isinstance(index.tensors, TensorColumns)
    assert index.unknown_dtypes == {"new": 99}
    assert outcome(str(tmp_path / "a"), -1) == outcome(str(tmp_path / "a"), 1 << 60)
    found = index.tensors["w/1/words"]
    assert (found.dtype, found.shape) == (DataType.STRING, (2,))
    assert "w" not in index.tensors
    with pytest.raises(KeyError):
        index.tensors["w"]


def test_what_is_left_to_the_careful_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_read() -> bool:
        with RegularFile(str(tmp_path / "a.index")) as file:
            return columns.read_columns(file) is not None

    builder = BundleBuilder()
    builder.add("a" * 40, np.zeros(4), DataType.FLOAT64)
    builder.add("b", np.zeros(4), DataType.FLOAT64)
    builder.write(tmp_path / "a", restart_interval=1000)
    assert is_read()
    monkeypatch.setattr(columns, "MAX_STEPS", 1)
    assert not is_read()
    monkeypatch.setattr(columns, "MAX_STEPS", 4096)
    monkeypatch.setattr(columns, "MAX_KEY_NBYTES", 39)
    assert not is_read()
    builder.add_partitioned("c", np.zeros((4, 2)), DataType.FLOAT64, [[(0, 2), (0, None)]])
    builder.write(tmp_path / "a")
    monkeypatch.setattr(columns, "MAX_KEY_NBYTES", 4096)
    assert not is_read()
    (tmp_path / "a.index").write_bytes(
        table_bytes([(b"", header_bytes(1)), (b"a" * 20_000, entry_bytes(1, [], size=4, masked=1))])
    )
    assert not is_read()
    assert varint(20_000)[2:]  # of which the length takes three bytes
