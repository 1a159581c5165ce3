"""What a file asks for beyond what its parser is given, in one form: of each unit one."""

from __future__ import annotations

import json
import signal
import zipfile
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ckread.errors import CheckpointError, CorruptCheckpointError
from ckread.readers import zip_members
from ckread.readers.budget import REMEDY, Budget, over
from ckread.readers.files import FileWindow, read_bounded
from ckread.readers.hdf5.process import LibraryProxy
from ckread.readers.keras.config import parse_object
from ckread.readers.partners import pytorch
from ckread.readers.partners.pickled import Storage, TensorRef

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _told(ask: Callable[[], object]) -> tuple[str, str | None, str | None]:
    with pytest.raises(CheckpointError) as caught:
        ask()
    return str(caught.value), caught.value.path, caught.value.remedy


def test_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m", b"x" * 1200)
    with closing(zip_members.ZipMembers(str(path))) as members:
        told = _told(lambda: members.read("m", max_nbytes=1199))
        assert members.read("m", max_nbytes=1200) == b"x" * 1200
    found = "a.zip: member 'm': 1,200 bytes, expected at most 1,199"
    assert told == (found, str(path), REMEDY)
    whole = path.stat().st_size
    told = _told(lambda: read_bounded(str(path), whole - 1))
    assert told == (f"{path}: more than {whole - 1:,} bytes", str(path), REMEDY)


def test_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in "abc":
            archive.writestr(name, b"")
    monkeypatch.setattr(zip_members, "MAX_MEMBERS", 2)
    told = _told(lambda: zip_members.ZipMembers(str(path)))
    assert told == ("a.zip: 3 members, expected at most 2", str(path), REMEDY)


def test_levels() -> None:
    data = b'{"a":' * 201 + b"1" + b"}" * 201
    told = _told(lambda: parse_object(data, "config.json", path="p/m.keras", name="m.keras"))
    found = "m.keras: config.json: 201 levels, expected at most 200"
    assert told == (found, "p/m.keras", REMEDY)
    fits = json.loads(data[5:-1])
    assert parse_object(data[5:-1], "c", path="p", name="m") == fits


def test_seconds_of_cpu(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    path.write_bytes(bytes(2 << 20))
    with FileWindow(str(path)) as window:
        error = LibraryProxy(window, "w.h5")._told(-signal.SIGXCPU)
    found = "w.h5: HDF5's library: more than 13 seconds of CPU"
    assert (str(error), error.path, error.remedy) == (found, str(path), REMEDY)


def test_a_budget_is_drawn_from_to_its_end() -> None:
    budget = Budget(3, "tensors", path="a/b", name="b", place="data.pkl")
    budget.take()
    budget.take(2)
    told = _told(budget.take)
    assert told == ("b: data.pkl: more than 3 tensors", "a/b", REMEDY)
    assert isinstance(over(1, "bytes", 2), CorruptCheckpointError)
    assert over(1, "bytes", 2, remedy="Do.", error=CheckpointError).remedy == "Do."


def test_tensors_of_a_pickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytorch, "MAX_TENSORS", 1)
    storage = Storage("FloatStorage", "0", 4)
    one = TensorRef(storage, 0, (1,), (1,))
    found = pytorch._tensors([one, one], Counter())
    assert _told(lambda: list(found))[0] == "more than 1 tensors"
