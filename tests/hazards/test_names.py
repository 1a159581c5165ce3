"""Section 8, names: whatever a file calls things, every command shows it escaped, in every form.

One run holds variables of every hostile name; each command is run on all of them, as a
screen, in a pipe, as JSON, as files of values, as pictures, and where it fails.
"""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest

from ckread.cli.commands import COMMANDS
from ckread.readers.contract import DataType
from tests.builders import BundleBuilder
from tests.cli.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "c1": "\x9b31m",
    "newline": "line\nbreak\r\ttab",
    "nul": "nul\x00byte",
    "bidi": "\u202ekernel\u2066",
    "invisible": "zero\u200bwidth\ufeff",
    "long": "n" * 5000,
    "not utf-8": "not\udcff\udcfeutf8",
    "markup": "[red]a[/red][link=file:///etc]x[/]",
    "formula": "=cmd|'/C calc'!A0",
    "formula at": "@SUM(1)",
    "formula plus": "+1+1",
    "html": "<script>alert(1)</script>&amp;",
    "percent": "%s%n%(name)s{0}{name}",
    "mathtext": "$\\frac{1}{$x_1^2",
    "emoji": ":smile: \U0001f600",
    "paths": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "quotes": "a'b\"c`d\\e",
    "separator": "a,b;c|d  e",
}
"""What stands before `/kernel` in the names of variables."""


def _write(prefix: Path, scale: float, slots: tuple[str, ...] = ("",)) -> None:
    builder = BundleBuilder()
    values = np.random.default_rng(0).normal(size=(3, 3, 1, 2)) * scale
    for i, name in enumerate(NAMES.values()):
        for slot in slots:
            builder.add(f"{name}/kernel{slot}", (values + i).astype("f4"), DataType.FLOAT32)
    builder.add("nan\x1b/kernel", np.full((3, 3, 1, 2), np.nan, "f4"), DataType.FLOAT32)
    builder.add("learning_rate", np.array(scale, "f4"), DataType.FLOAT32)
    builder.add("global_step", np.array(int(scale), "i8"), DataType.INT64)
    builder.write(prefix)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("names") / "run"
    run.mkdir()
    for step in (1, 2, 3):
        _write(run / f"m-{step}", step)
    (run / "trained").mkdir()
    _write(run / "trained" / "m-1", 1, slots=("", "/Adam", "/Adam_1"))
    columns = {name: [1.5, 2.5, 3.5] for name in NAMES.values()}
    (run / "history.json").write_text(json.dumps(columns))
    return run


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "run"
    shutil.copytree(made, copy)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def ckread(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(monkeypatch)


HOSTILE = "\x1b[2J\x1b]0;owned\x07/kernel"
CALLS = {
    "info": ["m-1"],
    "ls": ["m-1", "--all"],
    "tree": ["m-1"],
    "layers": ["m-1"],
    "show": ["m-1", HOSTILE],
    "stats": ["m-1", "--role", "all"],
    "filters": ["m-1", HOSTILE, "-o", "../out.png"],
    "export": ["m-1", "-o", "../out.npz"],
    "diff": ["m-1", "m-2", "--all"],
    "drift": [".", "--all"],
    "track": [".", "kernel[0,0,0,0]"],
    "optimizer": ["trained/m-1", "--all"],
    "history": ["history.json", "--mode", "min"],
    "runs": ["."],
    "check": ["m-1"],
    "loads": ["m-1"],
    "compat": ["m-1", "m-2", "--all"],
    "report": [".", "-o", "../out.html", "--force"],
    "completion": ["bash"],
}
FORMS = {"pipe": None, "screen of 60": 60, "screen of 120": 120, "json": None}

each = pytest.mark.parametrize("command", [command.name for command in COMMANDS])


def test_every_command_is_called() -> None:
    assert {command.name for command in COMMANDS} <= set(CALLS)


def _assert_clean(text: str) -> None:
    for line in text.splitlines():
        assert line.isprintable(), ascii(line)[:300]


@each
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.usefixtures("run")
def test_in_every_form(ckread: Terminal, command: str, form: str, encoding: str) -> None:
    words = [command, *CALLS[command], *(["--json"] if form == "json" else [])]
    result = ckread(*words, width=FORMS[form], encoding=encoding)
    assert "fault of ckread" not in result.err
    assert result.code in (0, 1), result.err[:500]
    _assert_clean(result.screen.replace("\t", " ") if command == "completion" else result.screen)
    _assert_clean(result.err)
    if form != "pipe":  # into which the stream writes what it cannot as an escape
        result.out.encode(encoding)
    if form == "json" and command in WITH_NAMES:
        assert any(text.startswith(HOSTILE) for text in _strings(json.loads(result.out)))


WITH_NAMES = ("ls", "show", "stats", "filters", "export", "diff", "drift", "track")
"""Commands whose document holds the names themselves, escaped by JSON alone."""


def _strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {text for item in inner for text in _strings(item)}


@pytest.mark.parametrize("width", [None, 80])
@pytest.mark.parametrize("command", ["show", "filters", "export", "track", "stats"])
@pytest.mark.usefixtures("run")
def test_where_there_is_no_such_name(ckread: Terminal, command: str, width: int | None) -> None:
    """The nearest names are named."""
    path = "." if command == "track" else "m-1"
    output = ["-o", "../out.npz"] if command in ("filters", "export") else []
    for name in (HOSTILE[:-1], "\x1b[2Jnot there", "\u202e"):
        result = ckread(command, path, f"{name}zz", *output, width=width)
        assert result.code == 2
        assert result.err.startswith("error: ")
        _assert_clean(result.err)
        document = json.loads(ckread(command, path, f"{name}zz", *output, "--json").out)
        assert document["schema"] == "ckread.error/1"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", ["info", "check", "export", "stats"])
def test_where_the_values_are_damaged(ckread: Terminal, command: str, name: str, run: Path) -> None:
    """Errors and findings name what is hit."""
    shard = run / "m-1.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    at = 72 * list(NAMES).index(name) + 5
    data[at] ^= 1
    shard.write_bytes(data)
    output = ["-o", "../out.npz"] if command == "export" else []
    for width in (None, 80):
        result = ckread(command, "m-1", *output, width=width)
        assert result.code in (0, 1, 2)
        assert "fault of ckread" not in result.err
        _assert_clean(result.screen)
        _assert_clean(result.err)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("nul", "long")])
def test_files_and_directories_of_such_names(ckread: Terminal, name: str, run: Path) -> None:
    base = NAMES[name].replace("/", "_")
    folder = run.parent / f"{base} run"
    folder.mkdir()
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(run / f"m-1{suffix}", folder / f"{base}{suffix}")
        shutil.copy(run / f"m-2{suffix}", folder / f"{base}-2{suffix}")
    prefix = str(folder / base)
    for width in (None, 80):
        for words in (
            ["info", prefix], ["ls", prefix], ["check", prefix], ["runs", str(folder)],
            ["diff", prefix, f"{prefix}-2"], ["drift", prefix, f"{prefix}-2"],
            ["info", str(folder)],
            ["info", f"{prefix}no"], ["ls", str(folder / "nothing")],
        ):  # fmt: skip
            result = ckread(*words, width=width)
            assert "fault of ckread" not in result.err
            _assert_clean(result.screen)
            _assert_clean(result.err)
            json.loads(ckread(*words, "--json").out)


def test_archives_of_values(ckread: Terminal, run: Path) -> None:
    """A member is named as the variable is, but no name leads out of the archive."""
    out = run.parent / "out.npz"
    result = ckread("export", "m-1", "-o", str(out))
    assert result.code == 0
    _assert_clean(result.out + result.err)
    with zipfile.ZipFile(out) as archive:
        members = archive.namelist()
    assert len(set(members)) == len(members) == len(NAMES) + 3
    for member in members:
        assert not member.startswith("/")
        assert ".." not in member.split("/")
        assert "\0" not in member
    assert sorted(path.name for path in run.parent.iterdir()) == ["out.npz", "run"]
    with np.load(out) as values:
        assert sum(value.shape == (3, 3, 1, 2) for value in values.values()) == len(NAMES) + 1


@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_tables_of_values(ckread: Terminal, run: Path, suffix: str) -> None:
    """No cell begins as a formula does, a sign of a number apart."""
    for i, name in enumerate(NAMES.values()):
        out = run.parent / f"out{i}{suffix}"
        assert ckread("export", "m-1", f"{name}/kernel", "-o", str(out)).code == 0
        if suffix == ".npy":
            assert np.load(out).shape == (3, 3, 1, 2)
            continue
        with out.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert cells
        for cell in cells:
            assert cell[:1] not in tuple("=@\t\r") or not cell
            if cell[:1] in ("+", "-"):
                float(cell)


PLOTTED = ("escape", "newline", "nul", "long", "not utf-8", "markup", "html", "mathtext", "bidi")
PICTURES = {
    "stats": ["m-1", "--role", "all", "--plot"],
    "diff": ["m-1", "m-2", "--all", "--plot"],
    "drift": [".", "--all", "--plot"],
    "track": [".", *(f"{NAMES[name]}/kernel[0,0,0,0]" for name in PLOTTED), "--plot"],
    "history": ["history.json", "--mode", "min", "--plot"],
    "filters": ["m-1", HOSTILE, "-o"],
}


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
@pytest.mark.parametrize("command", PICTURES)
def test_pictures(ckread: Terminal, command: str, suffix: str, run: Path) -> None:
    """Neither mathtext nor XML comes of a name, and a character without a shape is no trouble."""
    out = run.parent / "pictures"
    out.mkdir()
    result = ckread(command, *PICTURES[command], str(out / f"p{suffix}"))
    assert "fault of ckread" not in result.err
    assert result.code in (0, 1), result.err[:500]
    _assert_clean(result.err)
    made = list(out.iterdir())
    assert made
    for path in made:
        assert path.suffix == suffix
        if suffix == ".svg":
            root = ElementTree.fromstring(path.read_text())
            assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
