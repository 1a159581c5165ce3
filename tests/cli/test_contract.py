"""What every command promises. Parametrised over the registry: a new one cannot escape."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from ckread.cli.commands import COMMANDS, Group
from ckread.views.terminal.page import cell_len
from ckread.views.terminal.table import Table
from tests.cli.calls import (
    WRITES,
    copy_run,
    each,
    each_of,
    each_that_reads,
    each_with_a_page,
    each_with_names,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckread.cli.commands import Command
    from ckread.views.terminal.page import Line, Paper
    from tests.cli.terminal import Terminal

DRAWN = set("━╸├└│▁▂▃▄▅▆▇█…×–→")

METADATA: dict[str, list[list[str]]] = {
    "info": [["info", "ckpt-10"]],
    "ls": [["ls", "ckpt-10"]],
    "tree": [["tree", "ckpt-10"]],
    "layers": [["layers", "ckpt-10"]],
    "show": [],
    "stats": [],
    "filters": [],
    "export": [],
    "diff": [["diff", "ckpt-2", "ckpt-3", "--index-only"]],
    "drift": [["drift", ".", "--index-only"]],
    "track": [],
    "optimizer": [],
    "history": [["history", "history.json"]],
    "runs": [["runs", "."]],
    "check": [],
    "loads": [["loads", "ckpt-10"]],
    "report": [],
    "compat": [],
    "completion": [["completion", "bash", "--", "ckread ls ckpt-10 conv"]],
}
"""Of every command the calls that need no data shard."""


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of a run, and stand in it."""
    copy = copy_run(tmp_path)
    monkeypatch.chdir(copy)
    return copy


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


@pytest.fixture
def words(command: Command, run_dir: Path, tmp_path: Path) -> list[str]:
    """Give a call of the command that does; its file, if it writes one, lies elsewhere."""
    assert run_dir.is_dir()
    return words_of(command, tmp_path)


@each
def test_help_opens_with_a_sentence_and_examples(ckread: Terminal, command: Command) -> None:
    result = ckread(command.name, "--help")
    assert result.code == 0
    assert result.err == ""
    sentence, examples, *_ = result.out.split("\n\n")
    lines = result.out.splitlines()
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    heading, example, *_ = examples.splitlines()
    assert heading == "Examples"
    assert example.startswith("  $ ")
    assert "ckread " in example
    assert f"  ckread {command.name} {command.usage.split(' -o')[0]}" in result.out
    assert max(map(cell_len, lines)) <= 80
    assert lines[-1].startswith("Exit code: 0 ")


@each
def test_help_and_summary_are_one_line_each(ckread: Terminal, command: Command) -> None:
    listed = [line for line in ckread("--help").out.splitlines() if command.summary in line]
    assert len(listed) == 1
    assert listed[0].startswith(f"  {command.name} ")


@each
def test_without_arguments_it_says_what_is_missing(ckread: Terminal, command: Command) -> None:
    result = ckread(command.name)
    assert result.code == 2
    assert result.out == ""
    first, second = result.err.splitlines()
    assert first.startswith(f"error: {command.name}: ")
    assert first.endswith(" is missing.")
    assert second == f"Usage: ckread {command.name} {command.usage}"


@each_that_reads
def test_a_missing_file_is_trouble(ckread: Terminal, words: list[str]) -> None:
    shutil.rmtree(".", ignore_errors=True)
    result = ckread(*words)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert "Traceback" not in result.err
    assert len(result.err.splitlines()) <= 4


@each_that_reads
def test_a_wrong_file_is_trouble(ckread: Terminal, words: list[str], run_dir: Path) -> None:
    for path in run_dir.glob("*"):
        path.write_bytes(b"not what it was")
    result = ckread(*words)
    assert "fault of ckread" not in result.err
    if words[0] == "check":  # that is what it is there to find
        assert (result.code, result.err) == (1, "")
        assert result.out.startswith("# unsound: ")
    else:
        assert result.code == 2
        assert result.err.startswith("error: ")


@each
def test_an_unknown_option_is_trouble(ckread: Terminal, words: list[str]) -> None:
    result = ckread(*words, "--jsn")
    assert result.code == 2
    assert result.err == (
        "error: --jsn: no such option.\n"
        "Did you mean --json? A name that begins with - goes after --.\n"
    )


@each_that_reads
def test_an_error_under_json_is_json(ckread: Terminal, words: list[str]) -> None:
    shutil.rmtree(".", ignore_errors=True)
    result = ckread(*words, "--json")
    assert result.code == 2
    assert result.err == ""
    document = json.loads(result.out)
    assert document["schema"] == "ckread.error/1"
    assert set(document["error"]) == {"type", "message", "remedy"}


@each
def test_a_pipe_gets_neither_colour_nor_drawing(ckread: Terminal, words: list[str]) -> None:
    result = ckread(*words)
    assert result.code in (0, 1)
    records = [line for line in result.out.splitlines() if not line.startswith("# ")]
    assert "\x1b" not in result.out
    assert not DRAWN & set("".join(records))


@each_of(c for c in COMMANDS if c.group is not Group.SHELL)
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_screens_keep_to_the_width(ckread: Terminal, words: list[str], width: int) -> None:
    result = ckread(*words, width=width)
    assert result.code in (0, 1)
    too_wide = [line for line in result.screen.splitlines() if cell_len(line) > width]
    assert not too_wide
    assert not [line for line in result.screen.splitlines() if line != line.rstrip()]
    assert not result.screen.startswith("\n")
    assert not result.screen.endswith("\n\n")


@each
@pytest.mark.parametrize("name", ["NO_COLOR", "TERM"])
def test_no_colour_where_it_is_not_wanted(
    ckread: Terminal, words: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "dumb")
    result = ckread(*words, width=80)
    assert "\x1b" not in result.out
    assert result.out == ckread(*words, "--color", "never", width=80).out


@each_with_a_page
def test_colour_where_it_is_asked_for(
    ckread: Terminal, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" in ckread(*words, "--color", "always").out
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in ckread(*words).out


@each
def test_quiet_says_nothing_beside_results(ckread: Terminal, words: list[str]) -> None:
    assert ckread(*words, "-q").err == ""


@each
def test_nothing_is_written_beside_a_checkpoint(
    ckread: Terminal, words: list[str], run_dir: Path
) -> None:
    before = snapshot(run_dir)
    ckread(*words)
    ckread(*words, "--json", width=80)
    assert snapshot(run_dir) == before


def test_of_every_command_it_is_said_what_needs_no_shard() -> None:
    assert list(METADATA) == [command.name for command in COMMANDS]


@pytest.mark.parametrize(
    "call", [call for calls in METADATA.values() for call in calls], ids=" ".join
)
@pytest.mark.parametrize("form", ["screen", "pipe", "json"])
def test_the_index_is_enough_for_metadata(
    ckread: Terminal, call: list[str], run_dir: Path, form: str
) -> None:
    for shard in run_dir.glob("*.data-*"):
        shard.unlink()
    as_json = ["--json"] if form == "json" else []
    result = ckread(*as_json, *call, width=80 if form == "screen" else None)
    assert result.code in ((0, 1) if call[0] == "diff" else (0,)), result.err
    assert "error" not in result.err
    assert result.out


@each_with_names
@pytest.mark.parametrize("form", ["screen", "pipe", "json"])
def test_an_unknown_variable_is_trouble(
    ckread: Terminal, command: Command, words: list[str], form: str
) -> None:
    at = 1 + next(i for i, token in enumerate(command.usage.split()) if token[:2] in ("NA", "[P"))
    call = [*words[:at], "conv1/kernal", *words[at + 1 :]]
    if form == "json":
        result = ckread(*call, "--json")
        assert json.loads(result.out)["error"]["type"] == "VariableNotFoundError"
        assert result.err == ""
    else:
        result = ckread(*call, width=80 if form == "screen" else None)
        first, *more = result.err.splitlines()
        assert first.startswith("error: ")
        assert "conv1/kernal" in first
        assert any(line.strip() == "conv1/kernel" for line in more), "the nearest name is said"
        assert "Traceback" not in result.err
        assert result.out == ""
    assert result.code == 2


@each
@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_headings_are_whole_and_on_one_line(
    ckread: Terminal, words: list[str], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[str]] = []
    original = Table.lines

    def lines_of(table: Table[object], paper: Paper) -> Iterator[Line]:
        if table.has_header:
            drawn.append([column.column.title for column in table.fitted(paper)])
        return original(table, paper)

    monkeypatch.setattr(Table, "lines", lines_of)
    lines = ckread(*words, "--color", "never", width=width).out.splitlines()
    for titles in drawn:
        whole = r"\s+".join(re.escape(title) for title in titles if title)
        assert any(re.fullmatch(rf"\s*{whole}\s*", line) for line in lines), titles
    if words[0] in ("ls", "tree", "stats", "diff", "drift", "track", "history", "runs"):
        assert drawn, "a table has headings"


@each
def test_names_are_whole_in_a_pipe(
    ckread: Terminal, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    piped = ckread(*words)
    assert "…" not in piped.out + piped.err
    variables = json.loads(ckread(*words, "--json").out).get("variables", [])
    if words[0] not in WRITES:
        assert {variable["name"] for variable in variables} <= set(piped.out.split())
