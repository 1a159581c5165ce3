"""What a file is, told from its bytes."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import socket
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckread.errors import CheckpointError, CheckpointNotFoundError, at_command_line
from ckread.readers.detection import (
    END_NBYTES,
    Ends,
    Kind,
    detect,
    ends_kind,
    protobuf_kind,
    something_else,
)
from ckread.readers.files import COPY_AGAIN
from tests.builders import bytes_field, header_bytes, masked_crc32c, table_bytes, varint_field
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path


def kind_of(data: bytes) -> Kind:
    """Give the kind of a file of these bytes."""
    return ends_kind(Ends(len(data), data[:END_NBYTES], data[-END_NBYTES:]))


def zip_of(*names: str) -> bytes:
    """Make a zip archive of empty members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"{}")
    return buffer.getvalue()


def hdf5(user_block: int = 0) -> bytes:
    """Make an empty HDF5 file."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", userblock_size=user_block):
        pass
    return buffer.getvalue()


def record(payload: bytes) -> bytes:
    """Make a TFRecord of one record."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc32c(length)) + payload + b"\0\0\0\0"


def saved(write: str, value: object) -> bytes:
    """Make a numpy file."""
    buffer = io.BytesIO()
    getattr(np, write)(buffer, value)
    return buffer.getvalue()


def tar() -> bytes:
    """Make a tar archive of one member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("name"))
    return buffer.getvalue()


V1_META = bytes_field(1, bytes_field(1, bytes_field(1, b"weights")))
NODE = bytes_field(1, bytes_field(1, b"input") + bytes_field(2, b"Placeholder"))
META_INFO = bytes_field(1, bytes_field(2, bytes_field(1, bytes_field(1, b"Add"))))
HISTORY = {"loss": [0.5, 0.25], "val_loss": [0.6, 0.5]}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (table_bytes([(b"", header_bytes())]), Kind.BUNDLE_INDEX),
        (table_bytes([(b"", header_bytes(200, big_endian=True))]), Kind.BUNDLE_INDEX),
        (
            table_bytes([(b"", header_bytes()), (b"a" * 99, b"b" * 99)], snappy=True),
            Kind.BUNDLE_INDEX,
        ),
        (table_bytes([(b"", b"")]), Kind.BUNDLE_INDEX),
        (table_bytes([(b"", V1_META)]), Kind.V1_TABLE),
        (table_bytes([(b"", V1_META * 40)], snappy=True), Kind.V1_TABLE),
        (table_bytes([(b"key", b"value")]), Kind.TABLE),
        (table_bytes([(b"", header_bytes())])[:-1], Kind.TORN_INDEX),
        (hdf5(), Kind.HDF5),
        (hdf5(512), Kind.HDF5),
        (b"a user block".ljust(4096, b" ") + hdf5(4096)[4096:], Kind.HDF5),
        (zip_of("metadata.json", "config.json", "model.weights.h5"), Kind.KERAS_ARCHIVE),
        (zip_of("archive/data.pkl", "archive/version"), Kind.PYTORCH),
        (saved("savez", [1.0]), Kind.NPZ),
        (zip_of("config.json", "readme.txt"), Kind.ZIP),
        (zip_of(), Kind.BINARY),
        (saved("save", [1.0]), Kind.NPY),
        (varint_field(1, 1) + bytes_field(2, META_INFO), Kind.SAVED_MODEL),
        (varint_field(1, 1) + bytes_field(2, META_INFO * 30_000), Kind.SAVED_MODEL),
        (META_INFO + bytes_field(2, NODE), Kind.META_GRAPH),
        (bytes_field(1, bytes_field(4, b"serve")), Kind.META_GRAPH),
        (bytes_field(1, bytes_field(5, b"2.21.0")), Kind.META_GRAPH),
        (NODE + NODE, Kind.GRAPH_DEF),
        (varint_field(1, 8) + bytes_field(2, b"pytorch"), Kind.ONNX),
        (b'model_checkpoint_path: "ckpt-1"\n', Kind.STATE),
        (b'# kept\n\nall_model_checkpoint_paths: "a"', Kind.STATE),
        (json.dumps(HISTORY).encode(), Kind.HISTORY_JSON),
        (json.dumps([{"epoch": 1, "loss": 0.5}]).encode(), Kind.HISTORY_JSON),
        (json.dumps({"loss": list(range(90_000))}).encode(), Kind.HISTORY_JSON),
        (json.dumps([{"epoch": i, "loss": 0.5} for i in range(9_000)]).encode(), Kind.HISTORY_JSON),
        (b'{"weight_map": {"/layers/d/vars": ["x_00000.weights.h5"]}}', Kind.WEIGHTS_JSON),
        (b'{"weight_map": {"a.weight": "x-1.safetensors"}}', Kind.SAFETENSORS_JSON),
        (b'{"class_name": "Sequential", "config": {}}', Kind.KERAS_CONFIG),
        (b'{"class_name": "Sequential", "config": "' + b"x" * 70_000 + b'"}', Kind.KERAS_CONFIG),
        (b'{"losses": 3}', Kind.JSON),
        (b"[" * 50_000, Kind.TEXT),
        (b'["' + b"x" * 70_000 + b'"]', Kind.JSON),
        (b"{curly but no JSON", Kind.TEXT),
        (b"epoch,accuracy,loss\n0,0.5,1.5\n", Kind.HISTORY_CSV),
        (b"name,size\nx,1\n", Kind.TEXT),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", Kind.LFS_POINTER),
        (b"<!DOCTYPE html><html>", Kind.HTML),
        ("Žluťoučký kůň\n".encode(), Kind.TEXT),
        ("é".encode() * 40_000 + b"x", Kind.TEXT),
        (b"x" + "é".encode() * 40_000, Kind.TEXT),
        (record(b"\x09" + b"\0" * 8 + b"\x1a\x0dbrain.Event:2"), Kind.EVENTS),
        (record(b"anything"), Kind.TFRECORD),
        (struct.pack("<Q", 2) + b"{}" + b"\0" * 8, Kind.SAFETENSORS),
        (b"\x1c\0\0\0TFL3" + b"\0" * 20, Kind.TFLITE),
        (pickle.dumps({"a": np.zeros(3)}, protocol=4), Kind.PICKLE),
        (gzip.compress(b"anything", mtime=0), Kind.GZIP),
        (tar(), Kind.TAR),
        (b"BZh91AY&SY", Kind.ARCHIVE),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Kind.PNG),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", Kind.JPEG),
        (b"GIF89a\x01\0", Kind.GIF),
        (b"%PDF-1.7\n%\xe2\xe3", Kind.PDF),
        (b"SQLite format 3\0\x10\0", Kind.SQLITE),
        (b"\x7fELF\x02\x01\x01\0", Kind.PROGRAM),
        (b"", Kind.EMPTY),
        (b"\0", Kind.ZEROS),
        (bytes(200_000), Kind.ZEROS),
        (np.linspace(-1, 1, 500, dtype="<f4").tobytes(), Kind.BINARY),
        (b"\x80", Kind.BINARY),
        (b"text with a NUL \0", Kind.BINARY),
    ],
)
def test_kinds(data: bytes, kind: Kind) -> None:
    assert kind_of(data) is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("digits_run/ckpt-10.index", Kind.BUNDLE_INDEX),
        ("digits_run/ckpt-10.data-00000-of-00001", Kind.BINARY),
        ("digits_run/checkpoint", Kind.STATE),
        ("digits_run/history.json", Kind.HISTORY_JSON),
        ("crafted/snappy.index", Kind.BUNDLE_INDEX),
        ("crafted/big_endian.index", Kind.BUNDLE_INDEX),
        ("tf012_v1/model.ckpt-5", Kind.V1_TABLE),
        ("tf012_v1/model.ckpt-5.meta", Kind.META_GRAPH),
        ("tf115_saver/model.ckpt-20.meta", Kind.META_GRAPH),
        ("digits_export/saved_model.pb", Kind.SAVED_MODEL),
        ("tf115_saved_model/saved_model.pb", Kind.SAVED_MODEL),
        ("six_ways/functional/tiny.keras", Kind.KERAS_ARCHIVE),
        ("six_ways/functional/tiny.h5", Kind.HDF5),
        ("six_ways/functional/sharded/tiny.weights.json", Kind.WEIGHTS_JSON),
        ("digits_run", Kind.DIRECTORY),
    ],
)
def test_real_writers(name: str, kind: Kind) -> None:
    assert detect(str(FIXTURES / name)) is kind


def test_what_is_not_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert detect(str(tmp_path / "pipe")) is Kind.PIPE
    assert detect(os.devnull) is Kind.DEVICE
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert detect(str(tmp_path / "socket")) is Kind.SOCKET


def test_both_ends_of_a_large_sparse_file_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert detect(str(path)) is Kind.ZEROS
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"end")
    assert detect(str(path)) is Kind.BINARY


@pytest.mark.parametrize("path", ["absent", "a\0b", "file/below"])
def test_what_is_not_there(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError) as caught:
        detect(os.path.join(tmp_path, path))
    is_absent = isinstance(caught.value, CheckpointNotFoundError)
    assert is_absent == ("\0" not in path)


def test_phrases_and_remedies() -> None:
    phrases = {kind.phrase for kind in Kind}
    assert {"JSON text", "PNG image", "empty file"} <= phrases
    assert len({kind.value for kind in Kind}) == len(Kind)
    for kind in Kind:
        assert not kind.phrase.endswith(".")
        assert kind.remedy_for("x") is not None
    assert Kind.HISTORY_JSON.remedy_for("a b.json").endswith("ckread.history('a b.json')")
    with at_command_line():
        assert Kind.HISTORY_JSON.remedy_for("a b.json").endswith("ckread history a b.json")


@given(st.binary(max_size=80), st.sampled_from(range(80)))
def test_any_bytes_are_of_some_kind(data: bytes, stop: int) -> None:
    assert kind_of(data) in Kind
    valid = table_bytes([(b"", header_bytes())])
    assert kind_of(valid[:stop] + data) in Kind


@pytest.mark.parametrize(
    "text", [b"#" * 4000, b"#!/bin/sh\n" + b"# -*-\n" * 600 + b"echo", b"a," * 2000, b"<" * 4000]
)
def test_no_text_is_matched_in_more_ways_than_one(text: bytes) -> None:
    # A backtracking pattern would need 2**4000 steps: this test would never end.
    assert kind_of(text) is Kind.TEXT


def test_a_state_file_may_begin_with_comments() -> None:
    assert kind_of(b'# kept\n\n## by hand\nmodel_checkpoint_path: "a"\n') is Kind.STATE


# The first fields of a message.

_NODE = bytes_field(1, b"w") + bytes_field(2, b"Const")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (varint_field(1, 1) + bytes_field(2, b"\x0a\0"), Kind.SAVED_MODEL),
        (varint_field(1, 2) + bytes_field(2, b"\x0a\0"), None),
        (varint_field(1, 1) + bytes_field(2, b"\x12\0"), None),
        (varint_field(1, 1) + bytes_field(3, b"\x0a\0"), None),
        *((varint_field(1, 8) + bytes_field(n, b"x"), Kind.ONNX) for n in (2, 7, 8)),
        *((varint_field(1, 8) + bytes_field(n, b"x"), None) for n in (1, 3, 6, 9)),
        (varint_field(1, 3) + bytes_field(2, b"x"), Kind.ONNX),
        (varint_field(1, 99) + bytes_field(2, b"x"), Kind.ONNX),
        (varint_field(1, 100) + bytes_field(2, b"x"), None),
        (varint_field(1, 2) + bytes_field(7, b"x"), None),
        (varint_field(1, 8) + varint_field(2, 1), None),
        (bytes_field(1, _NODE), Kind.GRAPH_DEF),
        (bytes_field(1, _NODE) + b"\xff", Kind.GRAPH_DEF),
        (bytes_field(1, bytes_field(1, b"w") + bytes_field(2, b"\1")), None),
        (bytes_field(1, bytes_field(1, b"") + bytes_field(2, b"Const")), None),
        (bytes_field(1, bytes_field(1, "ü".encode()) + bytes_field(2, b"Const")), None),
        (bytes_field(1, bytes_field(1, b"w") + bytes_field(3, b"Const")), None),
        (bytes_field(1, bytes_field(2, b"\x0a\1")), Kind.META_GRAPH),
        (bytes_field(1, bytes_field(2, b"\x0b\1")), None),
        (bytes_field(1, bytes_field(4, b"serve")), Kind.META_GRAPH),
        (bytes_field(1, bytes_field(5, b"2.1")), Kind.META_GRAPH),
        (bytes_field(1, bytes_field(6, b"2.1")), None),
        (bytes_field(1, bytes_field(4, b"\n")), None),
        (bytes_field(2, bytes_field(4, b"serve")), None),
        (b"\x09" + bytes(8) + bytes_field(1, _NODE), None),  # eight bytes
        (b"\x0d" + bytes(4) + bytes_field(1, _NODE), None),
        (b"\x0b\x01" + bytes_field(2, b"x"), None),  # a group
        (b"", None),
        (b"\x80", None),
        (bytes_field(1, _NODE)[:-2], Kind.GRAPH_DEF),  # cut, as the beginning of a file is
    ],
)
def test_what_the_first_fields_of_a_message_tell(head: bytes, kind: Kind | None) -> None:
    assert protobuf_kind(head) is kind


def test_what_stands_in_place_of_a_part(tmp_path: Path) -> None:
    """A few words of a text are shown; what is too short to tell is not told."""
    path = tmp_path / "x.index"
    path.write_bytes(b"404:   Not\nFound, and here is more that is said of it, at length")
    error = something_else(str(path), "an index")
    assert error is not None
    words = "404: Not Found, and here is more that is"
    assert str(error) == f"x.index: {Kind.TEXT.phrase} ('{words}'), expected an index"
    assert error.remedy == COPY_AGAIN
    path.write_bytes(b"404 Not Fou")  # eleven bytes
    assert something_else(str(path), "an index") is None
    path.write_bytes(b"404 Not Foun")
    assert something_else(str(path), "an index") is not None
    path.write_bytes(b'{"a": 1, "b": [2, 3]}')
    error = something_else(str(path), "an index")
    assert error is not None
    assert str(error) == f"x.index: {Kind.JSON.phrase}, expected an index"
    assert something_else(str(path), "an index", (Kind.JSON,)) is None
    assert something_else(str(tmp_path / "none"), "an index") is None


def test_what_ends_in_a_point_is_a_pickle_of_a_known_protocol() -> None:
    assert kind_of(b"\x80\x04" + b"x" * 20 + b".") is Kind.PICKLE
    for head in (b"\x81\x04", b"\x80\x09", b"\x90\x02", b"\x7f\x04"):
        assert kind_of(head + b"\xff" * 20 + b".") is not Kind.PICKLE
    assert kind_of(b"\x80\x04" + b"\xff" * 20) is not Kind.PICKLE
