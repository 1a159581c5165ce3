"""Section 8, first paragraph: files that are none, and counts that only claim.

What a table itself bounds is in `tests/readers/test_table.py`.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
from typing import TYPE_CHECKING, Any

import pytest

from ckread.errors import CheckpointError
from ckread.model.opening import open_checkpoint
from ckread.readers import table
from ckread.readers.bundle.reader import TensorBundle
from ckread.readers.files import RegularFile
from ckread.readers.table import Table
from ckread.readers.v1.reader import V1Table
from tests.builders import (
    block_bytes,
    bytes_field,
    entry_bytes,
    footer_bytes,
    header_bytes,
    sealed,
    shape_bytes,
    slice_bytes,
    table_bytes,
    varint,
    varint_field,
)
from tests.hazards.bounded import refused
from tests.places import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WHOLE = [(0, None)]
SOURCES = {
    "m.index": "odd_names/prefix_checkpoint/checkpoint.index",
    "m.data-00000-of-00001": "odd_names/prefix_checkpoint/checkpoint.data-00000-of-00001",
    "v1": "tf221_v1/whole/model.ckpt-42",
    "m.keras": "keras_compiled/compiled.keras",
    "m.h5": "keras_compiled/compiled.h5",
    "export/variables/variables.index": "digits_export/variables/variables.index",
    "export/saved_model.pb": "digits_export/saved_model.pb",
    "run/checkpoint": "digits_run/checkpoint",
}


def _put_directory(path: str) -> None:
    os.mkdir(path)


def _put_device(path: str) -> None:
    os.symlink("/dev/zero", path)


@pytest.fixture
def is_prompt() -> Iterator[None]:
    """Kill what blocks: opening a pipe that nothing writes to would, for ever."""
    signal.alarm(30)
    yield
    signal.alarm(0)


@pytest.mark.usefixtures("is_prompt")
@pytest.mark.parametrize("put", [os.mkfifo, _put_directory, _put_device])
@pytest.mark.parametrize("name", SOURCES)
def test_what_is_no_regular_file(tmp_path: Path, name: str, put: Any) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    put(str(path))
    if ".data-" in name:
        shutil.copy(FIXTURES / SOURCES["m.index"], tmp_path / "m.index")
        with TensorBundle(str(tmp_path / "m")) as bundle, pytest.raises(CheckpointError):
            [bundle.read(key) for key in bundle.tensors]
        return
    with pytest.raises(CheckpointError):
        open_checkpoint(path)


@pytest.mark.parametrize("name", ["m.index", "v1", "m.keras", "m.h5"])
def test_a_link_to_a_regular_file_is_one(tmp_path: Path, name: str) -> None:
    os.symlink(FIXTURES / SOURCES[name], tmp_path / name)
    shard = "m.data-00000-of-00001"
    os.symlink(FIXTURES / SOURCES[shard], tmp_path / shard)
    with open_checkpoint(tmp_path / name) as checkpoint:
        assert all(variable.numpy() is not None for variable in checkpoint.values())


def test_as_many_handles_to_as_many_blocks_are_legal(tmp_path: Path) -> None:
    """The twin of one block that is named by many handles."""
    file, handles = bytearray(), []
    for i in range(900):
        block = block_bytes([(b"%04d" % i, b"")])
        handles.append((b"%04d" % i, varint(len(file)) + varint(len(block))))
        file += sealed(block)
    places = []
    for block in (block_bytes([]), block_bytes(handles, 1)):
        places.append((len(file), len(block)))
        file += sealed(block)
    (tmp_path / "t").write_bytes(bytes(file) + footer_bytes(*places))
    with RegularFile(str(tmp_path / "t")) as opened:
        assert len(list(Table(opened).items())) == 900


def _bundle(tmp_path: Path, entries: dict[bytes, bytes], **options: Any) -> TensorBundle:
    items = {b"": header_bytes(), **entries}
    (tmp_path / "m.index").write_bytes(table_bytes(sorted(items.items()), **options))
    return TensorBundle(str(tmp_path / "m"))


def _sliced(count: int) -> bytes:
    return entry_bytes(1, (count,), slices=[WHOLE]) + b"\x3a\x02\x0a\x00" * (count - 1)


def test_more_slices_than_any_tensor_has(tmp_path: Path) -> None:
    """A slice of four bytes takes two hundred of memory; snappy makes it a fifth of a byte."""
    message = refused(lambda: _bundle(tmp_path, {b"p": _sliced((1 << 16) + 1)}, snappy=True))
    assert message == "m.index: entry p: 65537 slices and more, expected 65536 at most"
    with _bundle(tmp_path, {b"p": _sliced(1 << 16)}, snappy=True) as bundle:
        assert list(bundle.tensors) == ["p"]
        assert "no entry of its own" in refused(lambda: bundle.read("p"))


@pytest.fixture
def is_poor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow small files a megabyte in place of 64: what is refused then is quickly made."""
    monkeypatch.setattr(table, "SPARE_MEMORY", 1 << 20)


@pytest.mark.usefixtures("is_poor")
def test_slices_of_many_tensors(tmp_path: Path) -> None:
    entries = {b"p%03d" % i: _sliced(1000) for i in range(40)}
    message = refused(lambda: _bundle(tmp_path, entries, snappy=True), limit=8 << 20)
    assert message.endswith("entries and more, with keys too long for its size")
    fewer = dict(list(entries.items())[:4])
    with _bundle(tmp_path, fewer, snappy=True) as bundle:
        assert len(bundle.tensors) == 4


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (entry_bytes(1, (4,)) + bytes_field(15, bytes(1 << 22)),
         "4194317 bytes, expected 4194304 at most"),
        (b"\x08\x01" + bytes_field(2, b"\x12\x00" * (1 << 20)),
         "shape: 255 dimensions, expected at most 254"),
        (entry_bytes(1, (4,)) + bytes_field(7, b"\x0a\x00" * (1 << 20)),
         "255 dimensions of a slice and more, expected 254 at most"),
    ],
)  # fmt: skip
def test_entries_that_are_too_long(tmp_path: Path, entry: bytes, found: str) -> None:
    message = refused(lambda: _bundle(tmp_path, {b"p": entry}))
    assert message == f"m.index: entry p: {found}"
    legal = entry_bytes(1, (1,) * 254, slices=[[(0, None)] * 254]) + bytes_field(15, bytes(9))
    with _bundle(tmp_path, {b"p": legal}) as bundle:
        assert len(bundle.tensors["p"].shape) == 254


def test_a_header_that_is_too_long(tmp_path: Path) -> None:
    versions = bytes_field(3, b"\x08\x01" + bytes_field(3, b"\x05" * (1 << 24)))
    (tmp_path / "m.index").write_bytes(table_bytes([(b"", b"\x08\x01" + versions)]))
    message = refused(lambda: TensorBundle(str(tmp_path / "m")), limit=64 << 20)
    assert message == f"m.index: {len(versions) + 2} bytes of header, expected 65536 at most"
    versions = bytes_field(3, b"\x08\x01" + bytes_field(3, b"\x05" * 60_000))
    (tmp_path / "m.index").write_bytes(table_bytes([(b"", b"\x08\x01" + versions)]))
    assert not TensorBundle(str(tmp_path / "m")).tensors


@pytest.mark.usefixtures("is_poor")
def test_entries_that_are_tiny_and_many(tmp_path: Path) -> None:
    """A million of them compress to a megabyte, and take half a gigabyte of memory."""
    entries = {struct.pack(">I", (1 << 24) + i): b"\x08\x01\x12\x00" for i in range(20_000)}
    message = refused(lambda: _bundle(tmp_path, entries, snappy=True), limit=16 << 20)
    assert " and more, " in message
    fewer = dict(list(entries.items())[:1000])
    assert len(_bundle(tmp_path, fewer, snappy=True).tensors) == 1000


@pytest.mark.usefixtures("is_poor")
def test_a_list_of_v1_that_is_tiny_and_long(tmp_path: Path) -> None:
    def listed(count: int) -> str:
        one = bytes_field(2, shape_bytes((1,))) + varint_field(3, 1) + bytes_field(4, b"")
        metas = (bytes_field(1, bytes_field(1, b"%d" % i) + one) for i in range(count))
        items = [(b"", bytes_field(1, b"".join(metas)))]
        (tmp_path / "v1").write_bytes(table_bytes(items, snappy=True))
        return str(tmp_path / "v1")

    path = listed(20_000)
    assert "tensors and more" in refused(lambda: V1Table(path), limit=16 << 20)
    assert len(V1Table(listed(1000)).tensors) == 1000


def test_slices_of_v1(tmp_path: Path) -> None:
    def sliced(count: int) -> str:
        fields = bytes_field(1, b"p") + bytes_field(2, shape_bytes((4,))) + varint_field(3, 1)
        meta = fields + bytes_field(4, slice_bytes(WHOLE)) * count
        items = [(b"", bytes_field(1, bytes_field(1, meta)))]
        (tmp_path / "v1").write_bytes(table_bytes(items))
        return str(tmp_path / "v1")

    path = sliced((1 << 16) + 1)
    assert "65537 slices and more" in refused(lambda: V1Table(path), limit=64 << 20)
    assert list(V1Table(sliced(1 << 16)).tensors) == ["p"]
