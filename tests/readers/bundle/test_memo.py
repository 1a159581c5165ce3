"""Indexes that are recalled say what they would if they were parsed, whatever their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest

from ckread.errors import CheckpointError
from ckread.model.run.run import open_run
from ckread.readers.bundle import index as bundle_index
from ckread.readers.bundle import memo as index_memo
from ckread.readers.bundle.index import BundleIndex, read_bundle_index
from ckread.readers.bundle.memo import IndexMemo
from ckread.readers.contract import DataType
from ckread.readers.crc32c import unmask
from ckread.readers.table import Table
from tests.builders import (
    BundleBuilder,
    block_bytes,
    entry_bytes,
    fixed32_field,
    table_of_blocks,
    varint_field,
)

if TYPE_CHECKING:
    from pathlib import Path

FLOAT32, INT64, STRING = DataType.FLOAT32, DataType.INT64, DataType.STRING


def _builder(seed: int) -> BundleBuilder:
    """Give a bundle of every kind of entry, with values of its own."""
    values = np.random.default_rng(seed).random((4, 70), np.float32)
    builder = BundleBuilder(2)
    for i in range(6):
        builder.add(f"layer_{i}/kernel", values[i % 3 :], FLOAT32, shard=i % 2)
    builder.add("empty", values[:0], FLOAT32)
    builder.add("step", np.array(seed), INT64)
    builder.add_strings("graph", [b"same in each"], ())
    builder.add_partitioned("parts", values[:, :2], FLOAT32, [((0, 2), (0, 2)), ((2, 2), (0, 2))])
    return builder


def _read(path: str, memo: IndexMemo | None = None) -> BundleIndex | tuple[str, str | None]:
    """Give an index, or what is wrong with it."""
    try:
        return read_bundle_index(path) if memo is None else memo.read(path)
    except CheckpointError as error:
        return str(error), error.remedy


def _refuse(*_: Any) -> Any:
    raise RuntimeError("it is parsed again")


@pytest.mark.parametrize("block_nbytes", [1, 150, 1 << 18])
def test_what_differs_in_checksums_is_not_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_nbytes: int
) -> None:
    first, *others = (
        _plain(seed).write(tmp_path / f"m-{seed}", block_nbytes=block_nbytes) + ".index"
        for seed in range(4)
    )
    memo = IndexMemo()
    assert _read(first, memo) == _read(first)
    expected = [_read(path) for path in others]
    monkeypatch.setattr(bundle_index, "Table", _refuse)
    assert [_read(path, memo) for path in others] == expected
    assert all(isinstance(found, BundleIndex) for found in expected)


def _plain(seed: int) -> BundleBuilder:
    builder = _builder(seed)
    for key in [key for key in builder.items if key.startswith((b"parts", b"\0"))]:
        del builder.items[key]
    return builder


@pytest.mark.parametrize("options", [{}, {"block_nbytes": 150}, {"snappy": True}])
def test_every_kind_of_entry(tmp_path: Path, options: dict[str, Any]) -> None:
    memo = IndexMemo()
    for seed in range(5):
        path = _builder(seed).write(tmp_path / f"m-{seed}", **options) + ".index"
        assert _read(path, memo) == _read(path)


@pytest.mark.parametrize("number", [4, 15])
def test_what_does_not_end_in_a_checksum(tmp_path: Path, number: int) -> None:
    """An entry may end in its offset, or in a field of a later format that looks like one."""
    memo = IndexMemo()
    for place in (1 << 20, 1 << 20 | 77, 1 << 20 | 99):
        entry = entry_bytes(FLOAT32.number, (2,), size=8, masked=1 << 20)
        last = varint_field(4, place) if number == 4 else fixed32_field(number, place)
        builder = _plain(0)
        builder.items[b"odd"] = entry + last
        path = builder.write(tmp_path / "m") + ".index"
        found = _read(path, memo)
        assert isinstance(found, BundleIndex)
        assert found.tensors["odd"].crc32c == unmask(1 << 20)
        assert found == _read(path)


def test_any_byte_that_changes(tmp_path: Path) -> None:
    """Damage is found as ever; what is legal and different is read as it is."""
    memo = IndexMemo()
    _read(_plain(0).write(tmp_path / "m-0") + ".index", memo)
    items = sorted(_plain(1).items.items())
    block = block_bytes(items)
    path = tmp_path / "m-1.index"
    n_read = 0
    for at in range(len(block)):
        for sealed_before in (True, False):
            other = bytearray(block)
            other[at] ^= 1 << at % 8
            table = bytearray(
                table_of_blocks([(items[-1][0], block if sealed_before else bytes(other))])
            )
            table[at] = other[at]
            path.write_bytes(table)
            found = _read(str(path))
            assert _read(str(path), memo) == found
            n_read += isinstance(found, BundleIndex)
    assert n_read > 6 * 4  # the checksums, at least


def test_the_rest_of_the_file_counts(tmp_path: Path) -> None:
    memo = IndexMemo()
    path = tmp_path / "m.index"
    _plain(0).write(tmp_path / "m")
    _read(str(path), memo)
    data = path.read_bytes()
    for at in range(len(data) - 120, len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        assert _read(str(path), memo) == _read(str(path))


def test_of_many_layouts_few_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memo = IndexMemo()
    known = Mock(side_effect=index_memo._known)
    monkeypatch.setattr(index_memo, "_known", known)
    for n in range(3 * index_memo.MAX_KNOWN):
        builder = BundleBuilder()
        builder.add("w" * (n + 1), np.ones(n), FLOAT32)
        path = builder.write(tmp_path / f"m-{n}") + ".index"
        assert _read(path, memo) == _read(path)
    assert known.call_count == index_memo.MAX_KNOWN


def test_a_run_of_tensorflow(fixtures_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten checkpoints that TensorFlow wrote, one is parsed, the others are like it."""
    expected = {
        path: _read(path) for path in map(str, (fixtures_dir / "digits_run").glob("*.index"))
    }
    parsed = Mock(side_effect=Table)
    monkeypatch.setattr(bundle_index, "Table", parsed)
    run = open_run(fixtures_dir / "digits_run")
    assert len(run) == len(expected) == 10
    for checkpoint in run:
        index = expected[f"{checkpoint.path}.index"]
        assert isinstance(index, BundleIndex)
        assert dict(checkpoint.reader.tensors) == index.tensors
    assert parsed.call_count == 1
