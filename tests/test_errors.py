"""Errors: fields, the message made of them, the way through pickle; nobody decides by words."""

from __future__ import annotations

import ast
import pickle
import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

import ckread
from ckread import errors
from ckread.analysis.check.findings import CheckReport
from ckread.analysis.findings import Code, Finding, Level
from ckread.cli.commands import COMMANDS
from ckread.cli.main import main
from ckread.cli.output import Output
from ckread.errors import (
    CheckpointError,
    ChecksumError,
    CorruptCheckpointError,
    ErrorKind,
    TextLines,
)
from ckread.model.variable import Variable
from ckread.views.check import check_page
from ckread.views.terminal.page import Paper, plain
from tests.places import FIXTURES, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CLASSES = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
FIELDS = ("message", "kind", "path", "offset", "place", "found", "expected", "remedy")


def _fields(error: CheckpointError) -> dict[str, object]:
    return {field: getattr(error, field) for field in FIELDS}


def _whole(error_class: type[CheckpointError]) -> CheckpointError:
    error = error_class(
        "3 bytes", path="run/x", name="x", offset=7, place="w", expected="4", remedy="Wait."
    )
    error.add_note("said by a program")
    return error


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_class_goes_through_pickle_whole(error_class: type[CheckpointError]) -> None:
    error = _whole(error_class)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        arrived = pickle.loads(pickle.dumps(error.within("outer"), protocol))
        assert type(arrived) is error_class
        assert _fields(arrived) == _fields(error.within("outer"))
        assert arrived.within("out").message == error.within("outer").within("out").message
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["Wait.", "said by a program"]
    bare = pickle.loads(pickle.dumps(error_class("x")))
    assert _fields(bare) == dict.fromkeys(FIELDS) | {
        "message": "x", "found": "x", "kind": error_class("x").kind, "remedy": error_class._remedy
    }  # fmt: skip
    assert getattr(bare, "__notes__", []) == [error_class._remedy] * bool(error_class._remedy)


def test_every_class_has_a_kind_of_its_own() -> None:
    kinds = [error_class("x").kind for error_class in CLASSES]
    assert len(set(kinds)) == len(kinds)
    assert {*kinds, "slices", "duplicate", "torn", "version"} <= set(ErrorKind)
    assert CorruptCheckpointError("x", kind=ErrorKind.SLICES).kind == "slices"


def test_the_message_is_made_of_the_fields() -> None:
    assert _whole(CheckpointError).message == "x: w: 3 bytes, expected 4"
    assert CheckpointError("gone", path="a/b").message == "a/b: gone"
    assert CheckpointError("gone", path="a/b", name="").message == "gone"
    error = CheckpointError("gone").within("slice [0:1]").within("w", path="a/b")
    assert (error.message, error.places) == ("b: w: slice [0:1]: gone", ("w", "slice [0:1]"))
    assert (error.path, error.place, error.detail) == ("a/b", "w: slice [0:1]", error.message[3:])
    assert error.within(remedy="Go.", name="c").message == "c: w: slice [0:1]: gone"
    told = ChecksumError("computed 0x2", expected="stored CRC-32C 0x1", path="b", place="w")
    assert told.message == "b: w: stored CRC-32C 0x1, computed 0x2"
    field = CorruptCheckpointError.of(errors.TruncatedFileError("ends", offset=3))
    assert (type(field), field.kind, field.offset) == (CorruptCheckpointError, "corrupt", 3)


def test_fields_of_errors_from_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as gone:
        ckread.open(FIXTURES / "digits_run" / "ckpt-11")
    assert gone.value.kind is ErrorKind.NOT_FOUND
    for suffix in (".index", ".data-00000-of-00001"):
        data = bytearray((FIXTURES / "digits_run" / f"ckpt-10{suffix}").read_bytes())
        data[4000:4001] = bytes((data[4000] ^ 1,)) if suffix != ".index" else data[4000:4001]
        (tmp_path / f"ckpt-10{suffix}").write_bytes(data)
    with ckread.open(tmp_path / "ckpt-10") as checkpoint, pytest.raises(ChecksumError) as wrong:
        list(map(Variable.numpy, checkpoint.values()))
    error = wrong.value
    assert (error.kind, error.path) == ("checksum", str(tmp_path / "ckpt-10.data-00000-of-00001"))
    assert error.places[1].startswith("bytes ")
    assert error.found.startswith("computed 0x")
    assert error.expected is not None
    assert error.expected.startswith("stored CRC-32C 0x")
    (tmp_path / "ckpt-10.index").unlink()
    with pytest.raises(CheckpointError) as torn:
        ckread.open(tmp_path / "ckpt-10")
    assert torn.value.kind is ErrorKind.TORN


# Nobody decides by prose.

TEXTS = {"message", "remedy", "found", "expected", "told", "detail", "remedies"}
ON_STRINGS = {
    "startswith", "endswith", "partition", "rpartition", "removeprefix", "removesuffix", "replace",
    "find", "index", "split", "count",
}  # fmt: skip
FOREIGN = {
    ("ckread/readers/hdf5/library.py", "_own"),
    ("ckread/readers/tf/library.py", "our_errors"),
    ("ckread/readers/logs.py", "_reason"),
}
"""Where words of other libraries become kinds of ours: they tell nothing apart by a field."""
TYPOGRAPHY = {("ckread/cli/output.py", "endswith")}
"""A stop at the end of a sentence."""


def _is_prose(node: ast.AST) -> bool:
    """Tell whether an expression is the text of an error, finding or warning."""
    if isinstance(node, ast.Attribute):
        owner = ast.unparse(node.value).rpartition(".")[2]
        is_record = any(
            word in owner for word in ("error", "finding", "found", "damage", "failure")
        )
        return node.attr in TEXTS and (is_record or node.attr == "message")
    is_str = isinstance(node, ast.Call) and ast.unparse(node.func) == "str"
    return is_str and "error" in ast.unparse(node)


def _decisions(tree: ast.Module, module: str) -> Iterator[str]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or (module, function.name) in FOREIGN:
            continue
        for node in ast.walk(function):
            told = f"{module}, {function.name}: {ast.unparse(node)}"
            if isinstance(node, ast.Compare) and isinstance(
                node.ops[0], (ast.In, ast.NotIn, ast.Eq, ast.NotEq)
            ):
                texts = [_is_prose(side) for side in (node.left, *node.comparators)]
                if any(texts) and not all(texts):  # two alike are grouped, not understood
                    yield told
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                is_search = ast.unparse(node.func).startswith("re.")
                asked = node.args if is_search else [node.func.value]
                is_asked = is_search or node.func.attr in ON_STRINGS
                is_allowed = (module, node.func.attr) in TYPOGRAPHY
                if is_asked and not is_allowed and any(map(_is_prose, asked)):
                    yield told


def test_no_decision_on_prose() -> None:
    found = [
        decision
        for path in sorted((ROOT / "ckread").rglob("*.py"))
        for decision in _decisions(
            ast.parse(path.read_text(encoding="utf-8")), str(path.relative_to(ROOT))
        )
    ]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "'slice' in error.message", "error.message == text", "str(error).startswith('x')",
        "re.search('x', error.message)", "self.error.told.partition(': ')",
        "finding.remedy in texts",
    ],
)  # fmt: skip
def test_a_decision_on_prose_is_seen(line: str) -> None:
    assert list(_decisions(ast.parse(f"def f():\n    {line}"), "x.py"))


def test_no_error_names_its_file_twice() -> None:
    """With `path` the message begins with it: it is not written into what was found as well."""
    twice = []
    for path in sorted((ROOT / "ckread").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            named = {word.arg: ast.unparse(word.value) for word in node.keywords}
            begin = ast.unparse(node.args[0]).lstrip("f\"'")
            if ast.unparse(node.func).endswith("Error") and "path" in named:
                names = {named["path"], named.get("name", named["path"])}
                twice += [begin for name in names if begin.startswith(f"{{{name}}}: ")]
                twice += [begin for _ in [0] if begin in ("message", "error.message")]
    assert not twice


# A name may hold anything: no line of an error is made by one.

FORGED = "w\nerror: your disk fails.\r\n  Run: it\x1b[2J\u202e\x85\u2028\udce9"
SHOWN = "w\\nerror: your disk fails.\\r\\n  Run: it\\x1b[2J\\u202e\\x85\\u2028\\xe9"


@pytest.mark.parametrize("error_class", CLASSES)
@pytest.mark.parametrize("field", ["found", "path", "name", "place", "expected", "remedy"])
def test_every_field_of_every_error_is_one_line(
    error_class: type[CheckpointError], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = error_class(**{"found": "3 bytes", "path": "x", field: FORGED})  # type: ignore[arg-type]
    for one in (error, error.within("outer"), pickle.loads(pickle.dumps(error))):
        text = f"{one}\n{one.remedy or ''}\n{''.join(getattr(one, '__notes__', ()))}"
        assert all(line.isprintable() for line in text.split("\n"))
        assert text.count("\n") == 2
    Output().error(error)
    shown = capsys.readouterr().err
    assert SHOWN in shown
    assert shown.count("\n") == 1 + (error.remedy is not None)
    sys.excepthook(error_class, error, None)
    raw = capsys.readouterr().err
    assert "\x1b" not in raw
    assert not any(line.startswith("error:") for line in raw.splitlines())


def test_lines_of_a_remedy_are_those_that_were_meant() -> None:
    near = TextLines("Nearest names:", f"  {FORGED}", None, "")
    assert near.lines == ["Nearest names:", f"  {SHOWN}"]
    error = CheckpointError("x", remedy=TextLines("First.", near))
    assert error.remedy == f"First.\n{near}"
    assert pickle.loads(pickle.dumps(error)).remedy.lines == ["First.", *near.lines]
    assert error.within("out").remedy == error.remedy
    assert TextLines(None).lines == []
    told = Finding(Level.ERROR, Code.INDEX, None, None, FORGED, FORGED)
    page = list(check_page(CheckReport("x", (told,))).lines(Paper(200)))
    assert not any(plain(line).lstrip().startswith("error:") for line in page)


def test_nothing_else_that_shows_cuts_a_text_into_lines() -> None:
    """What comes from a file is made safe first; numpy's text of an array, and ours, are."""
    found = {
        f"{path.name}: {ast.unparse(node.func.value)}"
        for wing in ("views", "cli")
        for path in (ROOT / "ckread" / wing).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr == "splitlines"
        or (node.func.attr == "split" and any(ast.unparse(arg)[1:2] == "\\" for arg in node.args))
    }
    assert found == {
        "values.py: text",
        "table.py: text",  # words that were put together, of which none holds a line end
        "__init__.py: script",
        "__init__.py: line",  # at tabs, its cells then are made safe
        "help.py: (module.__doc__ or command.summary).strip()",
    }


# Whoever calls from Python is told the argument, whoever types a command its option.

NAMES = "|".join(command.name for command in COMMANDS)
OPTION = re.compile(rf"(?<![\w-])--[a-z][a-z-]+|\bckread (?:{NAMES})\b")
COMMAND_LINES = {
    "ckread/analysis/compat/compat.py": {"command_line"},
    "ckread/analysis/compat/cures.py": {"_by_name", "_other_ways"},
    "ckread/model/paths/scanning.py": {"layout_of"},
    "ckread/views/check.py": {"check_page"},
    "ckread/views/compat.py": {"_cures"},
    "ckread/views/listing.py": {"tree_page"},
    "ckread/views/values.py": {"values_page"},
}
"""Functions that give whole command lines, of other programs too, or what a command alone shows."""


def _options_told(path: Path) -> Iterator[str]:
    """Yield what a module says of options, but for docstrings and the first side of `by`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    fine = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "by":
            fine |= {id(inner) for inner in ast.walk(node.args[0])}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            fine.add(id(node.value))
        elif isinstance(node, ast.FunctionDef) and node.name in COMMAND_LINES.get(
            path.relative_to(ROOT).as_posix(), ()
        ):
            fine |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in fine:
            yield from OPTION.findall(node.value)


@pytest.mark.parametrize("layer", ["readers", "model", "analysis", "views"])
def test_no_option_is_named_to_who_calls_from_python(layer: str) -> None:
    found = {
        path.relative_to(ROOT).as_posix(): told
        for path in (ROOT / "ckread" / layer).rglob("*.py")
        if (told := list(_options_told(path)))
    }
    assert not found


def _log(folder: Path) -> str:
    path = folder / "log.csv"
    path.write_text("epoch,zeal\n0,1.0\n1,2.0\n", encoding="utf-8")
    return str(path)


TEN = str(FIXTURES / "digits_run" / "ckpt-10")


@pytest.mark.parametrize(
    ("asked", "words", "in_python", "on_a_line"),
    [
        (lambda log: ckread.history(log, best="zeal"), ["history", "LOG", "--best", "zeal"],
         "mode='min'", "--mode min"),
        (lambda log: ckread.open(f"{FIXTURES}/partners/one.npy", reader="tensorflow"),
         ["info", f"{FIXTURES}/partners/one.npy", "--reader", "tensorflow"],
         "Leave reader='tensorflow' out", "Leave --reader tensorflow out"),
        (lambda log: ckread.diff(TEN, TEN, rename="x/y/z/"),
         ["diff", TEN, TEN, "--rename", "x/y/z/"], "rename x/y/z/: not", "--rename x/y/z/: not"),
        (lambda log: ckread.history(log, TEN, best="zeal", mode="max", match={"x": "1"}),
         ["history", "LOG", "--run", TEN, "--best", "zeal", "--mode", "max", "--match", "x=1"],
         "match: no column x", "--match: no column x"),
        (lambda log: ckread.open(log), ["info", "LOG"], "ckread.history('", "ckread history "),
    ],
)  # fmt: skip
def test_a_remedy_is_worded_for_who_asked(
    asked: Callable[[str], object],
    words: list[str],
    in_python: str,
    on_a_line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = _log(tmp_path)
    with pytest.raises(CheckpointError) as error:
        asked(log)
    told = f"{error.value}\n{error.value.remedy}"
    assert in_python in told
    assert on_a_line not in told
    assert error.value.remedy is None or [error.value.remedy] == error.value.__notes__
    assert main([log if word == "LOG" else word for word in words]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert on_a_line in told
    assert in_python not in told.replace(on_a_line, "")
    with pytest.raises(CheckpointError, match=re.escape(str(error.value))):  # nothing is left of it
        asked(log)


CUT = [
    "digits_files/digits.keras", "digits_files/digits.h5", "digits_files/digits.weights.h5",
    "keras_compiled/compiled.h5", "tf115_saver/model.ckpt-20.index",
    "tf115_saver/model.ckpt-20.data-00000-of-00001", "partners/deflated.npz", "partners/one.npy",
    "partners/digits.pt", "partners/digits.safetensors", "tf012_v1/model.ckpt-5",
]  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_is_cut_short_says_which_and_what_to_do(name: str, tmp_path: Path) -> None:
    """Of each format, at its first bytes, within, and one byte before its end."""
    source = FIXTURES / name
    if "model.ckpt-20" in name:
        for other in source.parent.glob("model.ckpt-20.*"):
            shutil.copy(other, tmp_path)
    data = source.read_bytes()
    target = tmp_path / source.name.partition(".index")[0].partition(".data-")[0]
    for end in sorted({1, 8, 100, len(data) // 2, len(data) - 1}):
        (tmp_path / source.name).write_bytes(data[:end])
        with pytest.raises(CheckpointError) as raised, ckread.open(target) as checkpoint:
            list(map(Variable.numpy, checkpoint.values()))
        error = raised.value
        assert source.name.partition("-0")[0] in error.message, end
        assert error.path is not None, end
        assert error.remedy is not None, (end, error.message)
        assert error.remedy.startswith(("Copy", "The file is", "If ", "It was being"))
        is_told = any(word in error.told for word in ("expect", "wanted", "a table ends in"))
        assert is_told or not isinstance(error, CorruptCheckpointError), error.message
        assert "Unpack" not in error.remedy
