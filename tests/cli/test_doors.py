"""What a person or a file may name and that is no small regular file; members that expand."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

import ckread
from ckread.analysis.filters.responses import read_image
from ckread.errors import CheckpointError, UnsupportedFeatureError, UsageError
from ckread.readers.files import read_bounded
from ckread.readers.keras.archive import open_keras_archive
from ckread.readers.zip_members import ZipMembers
from tests.builders import entry_bytes, header_bytes, table_bytes
from tests.hazards.bounded import refused
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

RUN = FIXTURES / "digits_run"
TWO, THREE = str(RUN / "ckpt-2"), str(RUN / "ckpt-3")


def _odd(tmp_path: Path) -> dict[str, str]:
    """Make what is no regular file, by what it is called."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    return {str(pipe): "named pipe", "/dev/zero": "character device", str(tmp_path): "directory"}


def test_what_blocks_or_has_no_end_is_not_read(tmp_path: Path, call: Any) -> None:
    for path, found in _odd(tmp_path).items():
        commands = [
            ["diff", TWO, THREE, "--rename-map", path],
            ["filters", TWO, "conv1/kernel", "--image", path, "-o", str(tmp_path / "a.png")],
            ["history", path],
        ]
        for words in commands[: 2 if found == "directory" else 3]:
            code, out, err = call(*words)
            assert (code, out) == (2, ""), words
            assert found in err, words
        with pytest.raises(CheckpointError):
            read_bounded(path, 10)


def test_a_file_is_read_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for nbytes in (0, 1, 10):
        path.write_bytes(b"x" * nbytes)
        assert read_bounded(str(path), 10) == b"x" * nbytes
    path.write_bytes(b"x" * 11)
    assert refused(lambda: read_bounded(str(path), 10)) == f"{path}: more than 10 bytes"


def _png(width: int, height: int) -> bytes:
    """Give a PNG that claims a size, with no pixels to speak of."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (_png(9000, 9000), "too large an image"),  # below Pillow's own limit
        (_png(10_000, 10_000), "too large an image"),  # Pillow warns, no more
        (_png(60_000, 60_000), "too large an image"),
        (b"DDS " + struct.pack("<I", 124) + b"\xff" * 200, "image"),
        (b"\0\0\0\x1cftypavif" + b"\0" * 40, "not an image"),
        (b"P6 9999 9999 255\n", "image"),
    ],
)
def test_images_that_hurt(tmp_path: Path, data: bytes, found: str, call: Any) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    words = ["--image", str(path), "-o", str(tmp_path / "out.png")]
    code, out, err = call("filters", TWO, "conv1/kernel", *words)
    assert (code, out) == (2, "")
    assert found in err
    assert "fault of ckread" not in err


def test_an_array_is_an_image_and_responses_are_written_as_one(tmp_path: Path, call: Any) -> None:
    np.save(tmp_path / "eye.npy", np.eye(8, dtype=np.float32))
    target = str(tmp_path / "out.npy")
    words = ["--image", str(tmp_path / "eye.npy"), "--bias", "conv1/bias", "-o", target]
    code, out, err = call("filters", TWO, "conv1/kernel", *words)
    assert (code, out) == (0, "")
    assert err.startswith(f"wrote {target}: responses of conv1/kernel to {words[1]}, stride 1")
    assert err.endswith("; the file does not tell stride, padding and activation, 8×8×16\n")
    maps = ckread.responses(TWO, "conv1/kernel", np.eye(8), bias="conv1/bias").output
    np.testing.assert_array_equal(np.load(target), maps)
    code, out, err = call("filters", TWO, "conv1/kernel", "-o", target, "--force")
    assert (code, out) == (2, "")
    assert "an array of responses needs --image" in err


def test_what_pillow_warns_of_is_no_word_of_ours(tmp_path: Path) -> None:
    """Fuzzing found it: a warning of another library is a line of its own on the screen."""
    data = _png(16, 16)
    at = data.index(b"IDAT") - 4
    chunk = b"acTL" + bytes(8)
    chunk = struct.pack(">I", 8) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path = tmp_path / "a.png"
    path.write_bytes(data[:at] + chunk + data[at:])
    with warnings.catch_warnings(record=True) as caught, contextlib.suppress(UsageError):
        warnings.simplefilter("always")
        read_image(str(path), 1, (0.0, 1.0))
    assert caught == []


# Members of an archive.


def _repacked(path: Path, method: int, **replaced: bytes) -> str:
    """Pack a Keras archive anew, by another method and with other members."""
    with (
        zipfile.ZipFile(FIXTURES / "keras_compiled" / "compiled.keras") as source,
        zipfile.ZipFile(path, "w") as target,
    ):
        for name in source.namelist():
            data = replaced.get(name.replace(".", "_"), source.read(name))
            target.writestr(name, data, compress_type=method)
    return str(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_keras_does_not_write(tmp_path: Path, method: int, call: Any) -> None:
    path = _repacked(tmp_path / "m.keras", method)
    with pytest.raises(UnsupportedFeatureError) as caught:
        open_keras_archive(path)
    assert "is compressed by method" in str(caught.value)
    for command in ("info", "check", "stats"):
        code, _, err = call(command, path)
        assert code in (1, 2)
        assert "fault of ckread" not in err


def test_a_deflated_archive_of_zeros_is_no_bomb(tmp_path: Path) -> None:
    path = _repacked(tmp_path / "m.keras", zipfile.ZIP_DEFLATED)
    with (
        ckread.open(path) as checkpoint,
        ckread.open(FIXTURES / "keras_compiled" / "compiled.keras") as stored,
    ):
        for name, variable in stored.items():
            assert np.array_equal(checkpoint[name].numpy(), variable.numpy())
    assert ckread.check(path).sound


def test_weights_are_inflated_as_far_as_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To list them takes their headers, not the values behind these."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        group = file.create_group("layers/dense/vars")
        group["0"] = np.arange(3, dtype=np.float32)
        group["1"] = np.zeros(4 << 20, np.float32)
    path = _repacked(
        tmp_path / "m.keras", zipfile.ZIP_DEFLATED, model_weights_h5=weights.getvalue()
    )
    n_read = []
    take = ZipMembers._take

    def count(self: ZipMembers, name: str, member: IO[bytes], nbytes: int) -> bytes:
        data = take(self, name, member, nbytes)
        n_read.append(len(data) if name == "model.weights.h5" else 0)
        return data

    monkeypatch.setattr(ZipMembers, "_take", count)
    reader, _ = open_keras_archive(path)
    assert list(reader.tensors) == ["layers/dense/vars/0", "layers/dense/vars/1"]
    assert sum(n_read) < 4 << 20
    assert reader.read("layers/dense/vars/0").tolist() == [0, 1, 2]
    assert not reader.read("layers/dense/vars/1").any()
    reader.close()


def test_weights_that_expand_without_end(tmp_path: Path) -> None:
    """The claim is told before a byte is inflated: no such file is made here."""
    path = tmp_path / "m.keras"
    _repacked(path, zipfile.ZIP_DEFLATED, model_weights_h5=bytes(1 << 20))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    while data[at + 46 : at + 62] != b"model.weights.h5":
        at = data.index(b"PK\1\2", at + 1)
    compressed = int.from_bytes(data[at + 20 : at + 24], "little")
    data[at + 24 : at + 28] = (300 << 20).to_bytes(4, "little")
    path.write_bytes(data)
    message = refused(lambda: open_keras_archive(str(path)))
    found = f"declares {300 << 20} bytes from {compressed}, a decompression bomb"
    assert message == f"m.keras: member 'model.weights.h5' {found}"


# An index that claims more than it could be of.


def test_shards_that_an_index_claims(tmp_path: Path, call: Any) -> None:
    items = [(b"", header_bytes(65_536)), (b"w", entry_bytes(1, (2,), size=8))]
    (tmp_path / "m.index").write_bytes(table_bytes(items))
    prefix = str(tmp_path / "m")
    report = ckread.check(prefix)
    assert len(report.findings) < 5
    assert "65535 data shards that hold nothing" in report.errors[-1].message
    code, out, _ = call("check", prefix, "--json")
    assert code == 1
    assert len(out) < 5000
    with pytest.raises(CheckpointError), ckread.open(prefix) as checkpoint:
        checkpoint["w"].numpy()


def test_a_few_shards_that_hold_nothing_are_named_each(tmp_path: Path) -> None:
    items = [(b"", header_bytes(4)), (b"w", entry_bytes(1, (2,), size=8))]
    (tmp_path / "m.index").write_bytes(table_bytes(items))
    places = [found.place for found in ckread.check(str(tmp_path / "m")).errors]
    assert places == [f"m.data-{i:05d}-of-00004" for i in range(4)]
