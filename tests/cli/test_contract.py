"""What every command promises. Parametrised over the registry: a new one cannot escape."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from ckread.cli.commands import COMMANDS, Command
from ckread.views.paper import cell_len
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Terminal

RUN = FIXTURES / "digits_run"
DRAWN = set("━╸├└│▁▂▃▄▅▆▇█…×–→")
WORDS = {
    "PATH": "ckpt-10",
    "NAME[SLICE]": "conv1/kernel",
    "NAME": "conv1/kernel",
    "[PATTERN…]": "conv1",
    "PATTERN…": "learning_rate",
    "A": "ckpt-2",
    "B": "ckpt-3",
    "RUN": ".",
    "DIR…": ".",
    "LOG…": "history.json",
}
"""What stands for a word of a usage line, in a run's own directory."""

SPECIAL_WORDS = {"track": {"[PATTERN…]": "learning_rate"}}
"""Words that not every variable does for."""

WRITES = {"filters": "kernels.png", "export": "values.npz"}
"""Commands that write a file, and one that they can write."""

METADATA = ("info", "ls", "tree", "runs")
"""Commands that need no data shard."""


def words_of(command: Command) -> list[str]:
    """Give arguments that do, from the usage of a command."""
    tokens = command.usage.split(" -o")[0].split()
    words = WORDS | SPECIAL_WORDS.get(command.name, {})
    return [command.name, *(words[token] for token in tokens)]


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of a run, and stand in it."""
    copy = tmp_path / "run"
    shutil.copytree(RUN, copy)
    monkeypatch.chdir(copy)
    return copy


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


each = pytest.mark.parametrize("command", COMMANDS, ids=[command.name for command in COMMANDS])


@pytest.fixture
def words(command: Command, run_dir: Path, tmp_path: Path) -> list[str]:
    """Give a call of the command that does; its file, if it writes one, lies elsewhere."""
    assert run_dir.is_dir()
    made = words_of(command)
    if command.name in WRITES:
        made += ["-o", str(tmp_path / WRITES[command.name]), "--force"]
    return made


@each
def test_help_opens_with_a_sentence_and_examples(ckread: Terminal, command: Command) -> None:
    result = ckread(command.name, "--help")
    assert result.code == 0
    assert result.err == ""
    sentence, examples, *_ = result.out.split("\n\n")
    lines = result.out.splitlines()
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert examples.startswith("Examples\n  $ ckread ")
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


@each
def test_a_missing_file_is_trouble(ckread: Terminal, words: list[str]) -> None:
    shutil.rmtree(".", ignore_errors=True)
    result = ckread(*words)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert "Traceback" not in result.err
    assert len(result.err.splitlines()) <= 4


@each
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


@each
def test_json_is_one_document_of_its_schema(ckread: Terminal, words: list[str]) -> None:
    result = ckread(*words, "--json")
    assert result.code in (0, 1)
    assert result.out.count("\n") == 1
    assert result.out.endswith("\n")
    assert json.loads(result.out)["schema"] == f"ckread.{words[0]}/1"


@each
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


@each
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


@each
def test_colour_where_it_is_asked_for(
    ckread: Terminal, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if words[0] in WRITES:
        pytest.skip("writes a file; its one line is on stderr")
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


@each
@pytest.mark.parametrize("form", ["screen", "pipe", "json"])
def test_the_index_is_enough_for_metadata(
    ckread: Terminal, words: list[str], run_dir: Path, form: str
) -> None:
    if words[0] not in METADATA:
        pytest.skip("reads values")
    for shard in run_dir.glob("*.data-*"):
        shard.unlink()
    width = 80 if form == "screen" else None
    result = ckread(*words[:2], *(["--json"] if form == "json" else []), width=width)
    assert result.code == 0
