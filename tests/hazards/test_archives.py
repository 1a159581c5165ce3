"""Section 8, `.keras`: what a zip archive says twice, and members that share bytes.

Duplicate, encrypted, escaping and exploding members: `tests/readers/keras/test_archive.py`.
"""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
from typing import IO, TYPE_CHECKING, Any

import pytest

from ckread.analysis.check.check import check, check_members
from ckread.analysis.findings import Code
from ckread.errors import CorruptCheckpointError
from ckread.readers.zip_members import ZipMembers
from tests.corruption import flip, patch
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "m.keras"
    shutil.copy(FIXTURES / "keras_compiled" / "compiled.keras", target)
    return target


@pytest.mark.parametrize(
    ("at", "what"),
    [(0, "no member"), (8, "compression"), (14, "CRC-32"), (18, "compressed size"), (22, "size"),
     (30, "no member")],
)  # fmt: skip
def test_a_header_that_differs_from_the_directory(path: Path, at: int, what: str) -> None:
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("config.json").header_offset
    flip(path, start + at, 1)
    [finding] = check_members(str(path))
    assert finding.code is Code.MEMBER
    assert what in finding.message
    assert check(str(path)).sound is False


def test_a_date_that_differs_is_no_damage(path: Path) -> None:
    flip(path, 10, 1)
    assert check_members(str(path)) == []


class _Forwards(io.RawIOBase):
    """A file that only goes on."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._file.write(data)


def test_sizes_that_follow_the_data_are_legal(tmp_path: Path, path: Path) -> None:
    """As writers leave them that cannot go back."""
    other = tmp_path / "stream.keras"
    with zipfile.ZipFile(path) as archive, other.open("wb") as file:
        stream = io.BufferedWriter(_Forwards(file))
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
            for info in archive.infolist():
                target.writestr(info.filename, archive.read(info))
        stream.flush()
    data = other.read_bytes()
    assert struct.unpack_from("<H", data, 6)[0] & 8
    assert check_members(str(other)) == []
    assert check(str(other)).sound


def _overlapping(path: Path, shift: int) -> None:
    """Let the second member begin so many bytes before the end of the first."""
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        first, second = archive.infolist()[:2]
    at = data.index(b"PK\1\2", data.index(b"PK\1\2") + 1)
    assert struct.unpack_from("<I", data, at + 42)[0] == second.header_offset
    stop = first.header_offset + 30 + first.compress_size
    patch(path, at + 42, struct.pack("<I", stop - shift))


def test_members_that_share_bytes(path: Path) -> None:
    """Thousands of them on one stream of zeros would make terabytes of work."""
    _overlapping(path, 1)
    with pytest.raises(CorruptCheckpointError) as caught:
        ZipMembers(str(path))
    assert str(caught.value) == "m.keras: members 'metadata.json' and 'config.json' overlap"


def test_members_that_touch(path: Path) -> None:
    assert ZipMembers(str(path)).members
    _overlapping(path, 0)
    assert ZipMembers(str(path)).members
