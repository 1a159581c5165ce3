"""New files, and the one of `ckread diff --rename-map`."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import pytest

from ckread.cli.files import new_file, read_rename_map, write_rename_map
from ckread.errors import CheckpointNotFoundError, CorruptCheckpointError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_map_is_written_whole_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "renames.json"
    renames = {"a/w": "b/w", "naïve": "x\udce9"}
    write_rename_map(str(path), renames)
    assert read_rename_map(str(path)) == renames
    assert [entry.name for entry in tmp_path.iterdir()] == ["renames.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "not a rename map, expected an object of old names and new names"),
        ('{"a": 1}', "not a rename map, expected an object of old names and new names"),
        ("{", "not a JSON document, Expecting property name enclosed in double quotes:"
              " line 1 column 2 (char 1)"),
    ],
)  # fmt: skip
def test_what_is_no_map_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(CorruptCheckpointError) as caught:
        read_rename_map(str(path))
    assert str(caught.value) == f"{path}: {message}"


def test_a_map_names_nobody_twice(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"a": "c", "b": "c"}))
    with pytest.raises(UsageError, match="several old names become c"):
        read_rename_map(str(path))


def test_a_map_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFoundError):
        read_rename_map(str(tmp_path / "none.json"))
    with pytest.raises(UsageError):
        write_rename_map(str(tmp_path / "no" / "map.json"), {})


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("is_taken", [True, False])
def test_a_name_that_another_takes_meanwhile_stays_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool, is_taken: bool
) -> None:
    """Without links the last look at the name is the only one between writing and replacing."""
    if not has_links:

        def refuse(_: str, __: str) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "values.npz"

    def write() -> None:
        with new_file(str(path)) as file:
            file.write(b"ours")
            if is_taken:
                path.write_bytes(b"theirs")

    if is_taken:
        with pytest.raises(UsageError, match="exists already"):
            write()
    else:
        write()
    assert path.read_bytes() == (b"theirs" if is_taken else b"ours")
    assert os.listdir(tmp_path) == ["values.npz"]
