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
from ckread.analysis.loading.records import LoadFact, What
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


# Opcodes one by one.


POSIX = "os.system"
PROGRAMS: list[tuple[bytes, list[tuple[str, bool]]]] = [
    (b"cos\nsystem\n.", [(POSIX, False)]),
    (b"cos\nsys tem\n.", [("os.sys tem", False)]),
    (b"(S'x'\nios\nsystem\n.", [(POSIX, True)]),
    (b"(cos\nsystem\nS'x'\no.", [(POSIX, True)]),
    (b"cos\nsystem\n(S'x'\ntR.", [(POSIX, True)]),
    (b"cos\nsystem\n)\x81.", [(POSIX, True)]),
    (b"cos\nsystem\n)}\x92.", [(POSIX, True)]),
    (b"cos\nsystem\ncposix\nfork\n)R0.", [(POSIX, False), ("posix.fork", True)]),
    (b"cos\nsystem\nS'x'\n\x86.", [(POSIX, False)]),
    (b"S'x'\ncos\nsystem\nR.", [(POSIX, False)]),  # as an argument
    (b"cos\nsystem\n2)R.", [(POSIX, True)]),
    (b"S'a'\ncos\nsystem\n2)R.", [(POSIX, True)]),
    (b"cos\nsystem\nS'a'\n2)R.", [(POSIX, False)]),
    (b"cos\nsystem\nq\x050h\x05)R.", [(POSIX, True)]),
    (b"cos\nsystem\np5\n0g5\n)R.", [(POSIX, True)]),
    (b"cos\nsystem\nr\x05\0\0\x000j\x05\0\0\0)R.", [(POSIX, True)]),
    (b"cos\nsystem\nq\x050h\x04)R.", [(POSIX, False)]),  # another place of the memo
    (b"S'a'\n\x94cos\nsystem\n\x9400h\1)R.", [(POSIX, True)]),
    (b"S'a'\n\x94cos\nsystem\n\x9400h\0)R.", [(POSIX, False)]),
    (b"\x8c\2os\x8c\6system\x93.", [(POSIX, False)]),
    (b"\x8c\2os\x94\x8c\6system\x94\x930h\0h\1\x93)R.", [(POSIX, True)]),
    (b"N\x8c\6system\x93)R.", [("a name that is computed", True)]),
    (b"\x8c\6system\x93.", [("a name that is computed", False)]),
    (b"cos\na\n\x8c\1x\x93.", [("os.a", False), ("a name that is computed", False)]),
    (b"(cos\nsystem\nld(R.", [(POSIX, False)]),  # in a list
    (b"(((tcos\nsystem\n(tR1).", [(POSIX, True)]),  # what comes before a mark
]


@pytest.mark.parametrize(("data", "expected"), PROGRAMS)
def test_opcodes(data: bytes, expected: list[tuple[str, bool]], tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(data)
    facts = []
    for name, is_called in expected:
        is_process = is_called and name.partition(".")[0] in ("os", "posix")
        verb = "imports and calls" if is_called else "imports"
        what = What.RUNS_PROCESS if is_process else What.PICKLE
        facts.append(LoadFact(what, "unpickling", "load", (name,), name, f"{verb} {name}"))
    found = on_loading(path)
    assert found.facts == tuple(facts)
    assert (found.path, found.kind, found.index_as_exported) == (str(path), "pickle", None)
    assert (found.n_nodes, found.n_signatures, found.n_layers, found.tables) == (0, 0, 0, 0)
    assert (found.reached, found.by_object, found.unreached, found.others) == (0, 0, 0, ())
    assert (found.not_listed, found.own) == ({}, ())


@pytest.mark.parametrize("module", ["os", "posix", "nt", "subprocess", "pty", "commands", "shutil"])
def test_what_runs_a_process(module: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(f"c{module}\nx\n)R0c{module}\nx\n.".encode())
    [fact] = on_loading(path).facts  # called once, imported twice
    assert fact.what is (What.PICKLE if module == "shutil" else What.RUNS_PROCESS)
    assert fact.detail == f"imports and calls {module}.x"


def test_arrays_beside_what_is_called(tmp_path: Path) -> None:
    path = tmp_path / "x.pickle"
    data = b"ccollections\nOrderedDict\n)Rcnumpy\ndtype\nccollections\nOrderedDict\ncnot\nit\n."
    path.write_bytes(data)
    assert on_loading(path).facts == (
        LoadFact(What.PICKLE, "unpickling", "load", ("not.it",), "not.it", "imports not.it"),
        LoadFact(
            What.PICKLE, "unpickling", "load", (), "arrays",
            "and 2 of numpy, torch and collections, as pickled arrays do",
        ),
    )  # fmt: skip


def _npy(header: bytes, rest: bytes, *, version: int = 1, length: int | None = None) -> bytes:
    size = 2 if version == 1 else 4
    n = len(header) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + n.to_bytes(size, "little") + header + rest


PICKLED = b"cos\nsystem\n)R."


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("kind", ["'|O'", "'O'", "'<f4'"])
def test_an_array_is_a_pickle_if_it_is_of_objects(kind: str, version: int, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    for padding in (0, 300, 40_000):
        header = f"{{'descr': {kind}}}{' ' * padding}".encode()
        path.write_bytes(_npy(header, PICKLED, version=version))
        ops = [fact.op for fact in on_loading(path).facts]
        assert ops == ([] if "f4" in kind else [POSIX])


def test_a_header_ends_where_it_says(tmp_path: Path) -> None:
    """What comes after it tells no type; one that ends within the first bytes has none."""
    path = tmp_path / "x.npy"
    for length in (0, 1, 8):
        path.write_bytes(_npy(b"{}      ", b"'|O'" + PICKLED, length=length))
        assert on_loading(path).facts == ()


def _zip(path: Path, *members: tuple[str, bytes]) -> bytearray:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return bytearray(path.read_bytes())


def test_which_members_are_pickles(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    names = ["a.pkl", "b.pickle", "c.npy", "d.txt", "e/data.pkl"]
    _zip(path, *((name, PICKLED) for name in names))
    expected = [(name, POSIX) for name in names if name != "d.txt"]
    assert [fact.place for fact in on_loading(path).facts] == expected


@pytest.mark.parametrize("damage", ["encrypted", "method", "checksum", "directory", "cut"])
def test_archives_that_cannot_be_read(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    data = _zip(path, ("a.pkl", PICKLED))
    directory = data.index(b"PK\1\2")
    if damage == "encrypted":
        data[6] |= 1
        data[directory + 8] |= 1
    elif damage == "method":
        data[directory + 10] = 99
    elif damage == "checksum":
        data[data.index(PICKLED)] ^= 1
    elif damage == "directory":
        data[directory] = 0
    else:
        data[directory + 20 : directory + 24] = data[directory + 24 : directory + 28] = (
            b"\xff\0\0\0"
        )
    path.write_bytes(data)
    with pytest.raises(CorruptCheckpointError, match="not a zip archive") as raised:
        on_loading(path)
    assert raised.value.path == str(path)


def test_what_is_no_pickle_is_told_of_its_member(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    _zip(path, ("deep/a.pkl", b"?"))
    with pytest.raises(CorruptCheckpointError, match="not a pickle that can be read") as raised:
        on_loading(path)
    assert raised.value.path == str(path)
    assert raised.value.message.startswith("deep/a.pkl: not a pickle")


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
