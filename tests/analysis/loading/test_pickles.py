"""What unpickling would import and call, from the opcodes."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.loading.loading import on_loading
from ckread.analysis.loading.records import What
from ckread.errors import CorruptCheckpointError

if TYPE_CHECKING:
    from pathlib import Path


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_of_a_process(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"w": Calls(os.system, "true")}, protocol))
    [fact] = on_loading(str(path)).facts
    assert fact.what is What.RUNS_PROCESS
    assert fact.detail == f"imports and calls {os.name}.system"


def test_what_is_called_is_told_apart_from_what_is_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    data = [subprocess.Popen, Calls(print, "hello"), Calls(eval, "1"), "os", "system"]
    path.write_bytes(pickle.dumps(data))
    found = {fact.op: fact.detail for fact in on_loading(str(path)).facts}
    assert found == {
        "subprocess.Popen": "imports subprocess.Popen",
        "builtins.print": "imports and calls builtins.print",
        "builtins.eval": "imports and calls builtins.eval",
    }


def test_arrays_and_dictionaries_are_ordinary(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(OrderedDict(w=np.zeros(3), b=np.float32(1))))
    assert on_loading(str(path)).facts == ()


def test_an_array_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.array([Calls(os.getcwd)], object), allow_pickle=True)
    [fact, *_] = on_loading(str(path)).facts
    assert fact.detail == f"imports and calls {os.name}.getcwd"
    plain = tmp_path / "y.npy"
    np.save(plain, np.zeros(4))
    assert on_loading(str(plain)).facts == ()


def test_members_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Calls(exec, "pass")))
        archive.writestr("archive/data/0", bytes(16))
    [fact] = on_loading(str(path)).facts
    assert fact.place == ("archive/data.pkl", "builtins.exec")


@pytest.mark.parametrize("data", [b"", b"no pickle", b"\x80\x04\x95", bytes(100)])
def test_what_is_no_pickle(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(data)
    with pytest.raises(CorruptCheckpointError, match="not a pickle"):
        on_loading(str(path))


def test_truncated_pickles_tell_what_was_seen(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pickle.dump([Calls(os.getpid), list(range(1000))], buffer)
    path = tmp_path / "x.pkl"
    path.write_bytes(buffer.getvalue()[:100])
    assert [fact.what for fact in on_loading(str(path)).facts] == [What.RUNS_PROCESS]


AUDITED = """
import json, sys
events = []
from ckread.cli.main import main
for warm in sys.argv[2:]:
    main(["loads", warm, "--json"])
seen = {"import", "exec", "compile", "marshal.loads", "marshal.load", "pickle.find_class",
        "os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect",
        "open", "os.remove", "os.rename", "os.mkdir"}
def hook(event, arguments):
    if event in seen:
        events.append((event, [repr(one)[:200] for one in arguments]))
sys.addaudithook(hook)
for path in sys.argv[2:]:
    main(["loads", path, "--json"])
with open(sys.argv[1], "w") as file:
    json.dump(events, file)
"""


def test_nothing_is_imported_run_or_written(tmp_path: Path) -> None:
    """All that a second look does, when ckread itself is loaded, is opening files to read."""
    import json

    from tests.analysis.loading.test_keras import ARCHIVE, bytecode, lambda_of, model_of, named
    from tests.analysis.loading.test_keras import archive as keras_archive
    from tests.places import FIXTURES

    pickled = tmp_path / "x.pkl"
    pickled.write_bytes(pickle.dumps([Calls(os.system, "touch /tmp/x"), Calls(exec, "1")]))
    layers = [lambda_of(bytecode()), lambda_of(named("get_file", "keras.utils"))]
    layers.append({"module": "os", "class_name": "function", "config": "system"})
    hostile = keras_archive(tmp_path / "m.keras", model_of(*layers))
    paths = [str(pickled), hostile, str(ARCHIVE), str(FIXTURES / "digits_export")]
    log = tmp_path / "events.json"
    command = [sys.executable, "-c", AUDITED, str(log), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    events = json.loads(log.read_text())
    opened = {event for event, _ in events}
    assert opened <= {"open"}, [one for one in events if one[0] != "open"]
    for _, (path, mode, *_) in events[:-1]:
        assert "w" not in mode, path
        assert "a" not in mode, path
