"""`.keras`: read in place, and every trick of a zip archive refused."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from ckread.errors import (
    CorruptCheckpointError,
    MissingShardError,
    NotACheckpointError,
    UnsupportedFeatureError,
)
from ckread.readers.contract import Format
from ckread.readers.keras.archive import open_keras_archive, open_sharded_weights
from ckread.readers.zip_members import ZipMembers

if TYPE_CHECKING:
    from pathlib import Path

VALUE = np.arange(12, dtype="f4").reshape(3, 4)
CONFIG = {"class_name": "Sequential", "config": {"name": "m", "layers": []}, "module": "keras"}


def _weights() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = VALUE
    return buffer.getvalue()


def _archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> str:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return str(path)


def _members(**more: bytes) -> dict[str, bytes]:
    members = {
        "metadata.json": b'{"keras_version": "3.15.1", "date_saved": "2026-11-20@21:59:07"}',
        "config.json": json.dumps(CONFIG).encode(),
        "model.weights.h5": _weights(),
    }
    return members | more


def test_a_stored_archive_is_read_in_place(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    reader, facts = open_keras_archive(_archive(path, _members(**{"assets/a.txt": b"x"})))
    with reader:
        [extent] = reader.extents("layers/dense/vars/0") or ()
        assert extent.path == str(path)
        assert path.read_bytes()[extent.offset :][: extent.nbytes] == VALUE.tobytes()
        assert reader.read("layers/dense/vars/0").tobytes() == VALUE.tobytes()
        assert reader.format is Format.KERAS_ARCHIVE
    assert facts.config.keras_version == "3.15.1"
    assert facts.date_saved == "2026-11-20@21:59:07"
    assert facts.assets == ("assets/a.txt",)


def test_a_compressed_archive_is_read_too(tmp_path: Path) -> None:
    path = _archive(tmp_path / "m.keras", _members(), zipfile.ZIP_DEFLATED)
    reader, _ = open_keras_archive(path)
    with reader:
        assert reader.extents("layers/dense/vars/0") is None
        assert reader.tensors["layers/dense/vars/0"].offset is None
        assert reader.read("layers/dense/vars/0").tobytes() == VALUE.tobytes()
        chunks = b"".join(
            chunk.tobytes() for chunk in reader.iter_chunks("layers/dense/vars/0", 16)
        )
        assert chunks == VALUE.tobytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.keras"]


def _refusal(path: str) -> tuple[type[Exception], str]:
    with pytest.raises((CorruptCheckpointError, NotACheckpointError, UnsupportedFeatureError)) as e:
        open_keras_archive(path)
    return e.type, str(e.value)


def test_duplicate_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    _archive(path, _members())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", b"{}")
    message = "m.keras: two members are called 'config.json'"
    assert _refusal(str(path)) == (CorruptCheckpointError, message)


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/passwd", "..", "c:/x"])
def test_names_that_lead_out_are_refused(name: str, tmp_path: Path) -> None:
    path = _archive(tmp_path / "m.keras", _members(**{name: b""}))
    message = f"m.keras: member {name!r} leads out of the archive"
    assert _refusal(path) == (CorruptCheckpointError, message)


@pytest.mark.parametrize("name", ["assets/..txt", "assets/a..b/c", "assets/...", "assets/x:y"])
def test_names_with_dots_are_legal(name: str, tmp_path: Path) -> None:
    reader, _ = open_keras_archive(_archive(tmp_path / "m.keras", _members(**{name: b""})))
    reader.close()


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    _archive(path, _members())
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\1\2")
    data[at + 8] |= 1
    path.write_bytes(data)
    message = "m.keras: member 'model.weights.h5' is encrypted"
    assert _refusal(str(path)) == (UnsupportedFeatureError, message)


def test_a_zip_bomb_is_refused_before_it_expands(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    _archive(path, _members(), zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\1\2")
    compressed = int.from_bytes(data[at + 20 : at + 24], "little")
    data[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)
    found = f"declares 4294967280 bytes from {compressed}, a decompression bomb"
    message = f"m.keras: member 'model.weights.h5' {found}"
    assert _refusal(str(path)) == (CorruptCheckpointError, message)


def test_a_damaged_member_is_told(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    _archive(path, _members())
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"Sequential"', b'"Sequentiel"'))
    message = "m.keras: member 'config.json': bad crc-32 for file 'config.json'"
    assert _refusal(str(path)) == (CorruptCheckpointError, message)


def test_a_member_that_is_not_where_the_directory_says(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    _archive(path, _members())
    data = path.read_bytes()
    at = data.index(b"model.weights.h5")
    path.write_bytes(data[:at] + b"xodel" + data[at + 5 :])
    kind, message = _refusal(str(path))
    assert kind is CorruptCheckpointError
    assert message == f"m.keras: no member 'model.weights.h5' at byte {at - 30}"


def test_an_archive_without_weights(tmp_path: Path) -> None:
    members = _members()
    del members["model.weights.h5"]
    message = "m.keras: no member 'model.weights.h5', expected a Keras archive"
    assert _refusal(_archive(tmp_path / "m.keras", members)) == (NotACheckpointError, message)


def test_pickled_weights_are_never_loaded(tmp_path: Path) -> None:
    members = _members(**{"model.weights.npz": b"PK"})
    del members["model.weights.h5"]
    message = "m.keras: model.weights.npz holds pickles, which are never loaded"
    assert _refusal(_archive(tmp_path / "m.keras", members)) == (UnsupportedFeatureError, message)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (b"[" * 201 + b"]" * 201, "201 levels, expected at most 200"),
        (b"[1]", "a JSON list, expected an object"),
        (b"{nope}", None),
    ],
)
def test_hostile_configuration(config: bytes, message: str | None, tmp_path: Path) -> None:
    path = _archive(tmp_path / "m.keras", _members(**{"config.json": config}))
    kind, text = _refusal(path)
    assert kind is CorruptCheckpointError
    start = f"m.keras: config.json: {message or 'not JSON ('}"
    assert text.startswith(start)


def test_brackets_in_strings_do_not_nest(tmp_path: Path) -> None:
    config = CONFIG | {"comment": "[" * 1000 + '"\\'}
    members = _members(**{"config.json": json.dumps(config).encode()})
    open_keras_archive(_archive(tmp_path / "m.keras", members))[0].close()


def test_an_oversized_configuration_is_refused(tmp_path: Path) -> None:
    big = b'{"a": "' + b" " * (64 << 20) + b'"}'
    path = _archive(tmp_path / "m.keras", _members(**{"config.json": big}), zipfile.ZIP_DEFLATED)
    found = f"{len(big):,} bytes, expected at most {64 << 20:,}"
    message = f"m.keras: member 'config.json': {found}"
    assert _refusal(path) == (CorruptCheckpointError, message)


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(b"nothing")
    message = "m.keras: not a zip archive (file is not a zip file)"
    assert _refusal(str(path)) == (CorruptCheckpointError, message)


def _sharded(directory: Path, weight_map: Any) -> str:
    for i in range(2):
        with h5py.File(directory / f"w_{i:05d}.weights.h5", "w") as file:
            file[f"layers/dense/vars/{i}"] = VALUE + i
    path = directory / "w.weights.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return str(path)


NAMES = ["w_00000.weights.h5", "w_00001.weights.h5"]


def test_a_group_may_lie_in_two_files(tmp_path: Path) -> None:
    with open_sharded_weights(_sharded(tmp_path, {"/layers/dense/vars": NAMES})) as reader:
        files = [(one.path.rpartition("/")[2], one.is_shard) for one in reader.files()]
        assert files == [("w.weights.json", False), *((name, True) for name in NAMES)]
        for i in range(2):
            key = f"layers/dense/vars/{i}"
            assert reader.tensors[key].shard == i
            assert reader.read(key).tobytes() == (VALUE + i).tobytes()
        assert [file.is_shard for file in reader.files()] == [False, True, True]


@pytest.mark.parametrize(
    "name", ["../w_00000.weights.h5", "/etc/passwd", "a/b", "..", "", 7, "a\\b"]
)
def test_shard_names_stay_in_the_directory(name: Any, tmp_path: Path) -> None:
    with pytest.raises(CorruptCheckpointError) as caught:
        open_sharded_weights(_sharded(tmp_path, {"/vars": [name]}))
    found = f"weight_map of '/vars' names {name!r}, expected a file in the same directory"
    assert str(caught.value) == f"w.weights.json: {found}"


def test_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    path = _sharded(inside, {"/vars": NAMES})
    (inside / NAMES[0]).rename(tmp_path / "out.h5")
    (inside / NAMES[0]).symlink_to(tmp_path / "out.h5")
    with pytest.raises(CorruptCheckpointError) as caught:
        open_sharded_weights(path)
    found = f"{NAMES[0]!r} is a link that leads out of its directory"
    assert str(caught.value) == f"w.weights.json: {found}"


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    path = _sharded(tmp_path, {"/vars": NAMES})
    (tmp_path / NAMES[1]).unlink()
    with pytest.raises(MissingShardError) as caught:
        open_sharded_weights(path)
    assert str(caught.value) == f"w.weights.json: {NAMES[1]} is not there, present: {NAMES[0]}"


def test_an_index_without_a_map(tmp_path: Path) -> None:
    path = _sharded(tmp_path, [])
    with pytest.raises(NotACheckpointError) as caught:
        open_sharded_weights(path)
    assert str(caught.value) == "w.weights.json: no weight_map, expected sharded weights"


def test_a_member_that_an_extra_field_gives_another_name(tmp_path: Path) -> None:
    """Python 3.13 takes the name from the extra field 0x7075, Info-ZIP's Unicode path."""
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("plain", b"some bytes")
    members = ZipMembers(str(path))
    try:
        members.members["größe"] = members.members.pop("plain")
        members.verify("größe")
        assert members.read("größe", max_nbytes=10) == b"some bytes"
    finally:
        members.close()
