"""Completion: what may stand at the cursor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckread.cli.arguments import COLORS, READERS, parser_of
from ckread.cli.commands import COMMANDS, SHELLS, Command
from ckread.cli.completion.candidates import (
    LARGE_INDEX_NBYTES,
    NAMES,
    PATHS,
    candidates,
    checkpoint_paths,
    next_components,
    variable_names,
)
from ckread.cli.completion.shells import TypedLine, parse_line
from ckread.model.role import Role
from tests.builders import write_bundle
from tests.cli.completion.shells import fill_folder
from tests.cli.test_end_to_end import HEAVY, imported
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Terminal

BREAKS = " \t\n\"'@><=;|&(:"
UNGUESSED = {"REGEX", "N", "R", "A", "RULE", "LOW:HIGH", "METRIC", "COLUMN=NUMBER", "LINE",
             "TEXT", "WxH", "none", "ADDRESS"}  # fmt: skip
"""Metavars and words for which nothing can be offered: numbers, rules, free text."""

each_command = pytest.mark.parametrize(
    "command", COMMANDS, ids=[command.name for command in COMMANDS]
)


def texts(line: str) -> list[str]:
    """Give the candidates at the end of a line."""
    typed = parse_line(line)
    return [candidate.text for candidate in candidates(typed.words[1:], typed.current)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with checkpoints, and stand in it."""
    monkeypatch.chdir(tmp_path)
    return fill_folder(tmp_path)


class TestLines:
    """A line up to the cursor, split."""

    @pytest.mark.parametrize(
        ("line", "words", "current"),
        [
            ("ckread ls ", ["ckread", "ls"], ""),
            ("ckread ls ru", ["ckread", "ls"], "ru"),
            ("ckread ls my\\ run", ["ckread", "ls"], "my run"),
            ("ckread ls 'my run", ["ckread", "ls"], "my run"),
            ("ckread ls 'my run' ", ["ckread", "ls", "my run"], ""),
            ('ckread ls "a\\"b\\c" x', ["ckread", "ls", 'a"b\\c'], "x"),
            ("ckread ls '' x", ["ckread", "ls", ""], "x"),
            ("true; ckread ls ru", ["ckread", "ls"], "ru"),
            ("cat a | ckread ls ru", ["ckread", "ls"], "ru"),
            ("X=1 Y= ckread ls ru", ["ckread", "ls"], "ru"),
            ("ckread ls a > b c", ["ckread", "ls", "a"], "c"),
            ("ckread ls a 2>b c", ["ckread", "ls", "a"], "c"),
            ("ckread ls a &> b c", ["ckread", "ls", "a"], "c"),
            ("ckread ls $PLACE/ru", ["ckread", "ls"], "/there/ru"),
            ('ckread ls "${PLACE}x', ["ckread", "ls"], "/therex"),
            ("ckread ls '$PLACE", ["ckread", "ls"], "$PLACE"),
            ("ckread ls \\$PLACE", ["ckread", "ls"], "$PLACE"),
            ("ckread ls $(date) `date` $nothing", ["ckread", "ls"], "$nothing"),
            ("ckread ls \\", ["ckread", "ls"], ""),
        ],
    )
    def test_words_are_those_that_the_shell_would_hand_over(
        self, line: str, words: list[str], current: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PLACE", "/there")
        monkeypatch.delenv("nothing", raising=False)
        typed = parse_line(line)
        if "$(" not in line:
            assert typed.words == words
        assert typed.current == current

    @pytest.mark.parametrize(
        ("line", "kept"),
        [
            ("ckread ls run/a:b", 6),
            ("ckread ls run/a\\:b", 0),
            ("ckread ls 'run/a:b", 0),
            ("ckread ls run/'a:b", 4),
            ("ckread ls 'run/a:'b", 6),
            ("ckread ls --color=al", 8),
        ],
    )
    def test_bash_completes_from_the_last_of_its_breaks_on(self, line: str, kept: int) -> None:
        assert parse_line(line, breaks=BREAKS).kept == kept

    def test_what_is_redirected_to_is_no_word(self) -> None:
        assert parse_line("ckread ls a > ru").is_redirection
        assert parse_line("ckread ls a 2>ru").is_redirection
        assert not parse_line("ckread ls a > b c").is_redirection

    def test_fish_escapes_quotes_within_quotes(self) -> None:
        line = r"ckread show odd 'quo\'t"
        assert parse_line(line, is_fish=True) == TypedLine(
            ["ckread", "show", "odd"], "quo't", open_quote="'"
        )


class TestCandidates:
    """What may stand at the cursor."""

    def test_the_first_word_is_a_command_or_a_path(self, folder: Path) -> None:
        assert folder.is_dir()
        assert texts("ckread ") == [command.name for command in COMMANDS]
        assert texts("ckread dr") == ["drift"]
        assert texts("ckread r") == ["runs", "report", "run/"]
        assert texts("ckread run/ckpt-9") == ["run/ckpt-9"]

    @each_command
    def test_every_option_of_a_command_is_there(self, command: Command) -> None:
        flags = {action.option_strings[-1] for action in parser_of(command).options}
        assert set(texts(f"ckread {command.name} -")) == flags
        assert {"--json", "--color", "--quiet", "--help"} <= flags

    @each_command
    def test_every_value_and_every_word_has_something_or_is_known_not_to(
        self, command: Command
    ) -> None:
        words = [positional.name for positional in command.positionals]
        metavars = [
            str(action.metavar)
            for action in parser_of(command).options
            if action.nargs != 0 and not getattr(action.type, "choices", None)
        ]
        assert {*words, *metavars} <= {*PATHS, *NAMES, "SHELL"} | UNGUESSED

    def test_choices_come_from_the_options_themselves(self) -> None:
        assert texts("ckread ls x --color ") == list(COLORS)
        assert texts("ckread ls x --color=a") == ["--color=auto", "--color=always"]
        assert texts("ckread --reader ") == list(READERS)
        assert texts("ckread stats x --role ") == [*Role, "all"]
        assert texts("ckread stats x --role weight,sl") == ["weight,slot"]
        assert texts("ckread diff a b --only ren") == ["renamed"]
        assert texts("ckread filters a b --padding s") == ["same"]
        assert texts("ckread completion ") == list(SHELLS)
        assert texts("ckread ls x --top ") == []

    def test_nothing_is_an_option_after_two_dashes(self, folder: Path) -> None:
        assert folder.is_dir()
        assert texts("ckread ls -- --") == []
        assert texts("ckread ls -- run/ckpt-9") == ["run/ckpt-9"]

    def test_a_checkpoint_is_its_prefix(self, folder: Path) -> None:
        tens = ["run/ckpt-1", "run/ckpt-10"]
        assert checkpoint_paths("run/ckpt-1") == tens
        assert checkpoint_paths("run/ckpt-10.") == [
            "run/ckpt-10.data-00000-of-00001",
            "run/ckpt-10.index",
        ]
        assert checkpoint_paths("") == ["digits.keras", "my run:2/", "odd", "run/"]
        assert checkpoint_paths("no") == ["notes.txt"]
        assert checkpoint_paths("nowhere/") == []
        (folder / "v1.meta").touch()
        (folder / "v1").touch()
        assert checkpoint_paths("v") == ["v1"]
        (folder / ".hidden").mkdir()
        assert ".hidden/" in checkpoint_paths(".")
        (folder / "esc\x1b").mkdir()
        assert checkpoint_paths("esc") == []

    def test_other_words_are_other_files(self, folder: Path) -> None:
        assert folder.is_dir()
        assert texts("ckread runs ") == ["my run:2/", "run/"]
        assert texts("ckread history no") == ["notes.txt"]
        assert texts("ckread stats run/ckpt-1 --plot no") == ["notes.txt"]
        assert texts("ckread history x --run run/ckpt-9") == ["run/ckpt-9"]

    def test_names_go_up_to_the_next_slash(self, folder: Path) -> None:
        assert folder.is_dir()
        assert texts("ckread ls run/ckpt-10 c") == ["conv1/", "conv2/"]
        assert texts("ckread ls run/ckpt-10 conv1") == ["conv1/bias", "conv1/kernel"]
        assert texts("ckread show run/ckpt-10 conv1/k") == ["conv1/kernel"]
        assert texts("ckread diff run/ckpt-1 run/ckpt-2 hid") == ["hidden/bias", "hidden/kernel"]
        assert texts("ckread track run learn") == []
        assert texts("ckread track run optimizer/l") == [
            "optimizer/learning_rate",
            "optimizer/logits/",
        ]
        assert texts("ckread drift run run/ckpt-9") == ["run/ckpt-9"], "a run may be several paths"
        assert texts("ckread ls run/ckpt-10 -p hid") == ["hidden/bias", "hidden/kernel"]
        assert texts("ckread filters run/ckpt-10 conv1/kernel --bias conv1/") == [
            "conv1/bias",
            "conv1/kernel",
        ]
        assert texts("ckread ls run/ckpt-10 save_counter/.A") == [
            "save_counter/.ATTRIBUTES/VARIABLE_VALUE"
        ]
        assert texts("ckread show run/ckpt-10 conv1/kernel ") == []

    def test_the_next_component(self) -> None:
        names = ["a/b/c", "a/b/d", "e", "e/f", "g/h/i"]
        assert next_components(names, "") == ["a/", "e", "e/f", "g/h/i"]
        assert next_components(names, "a") == ["a/b/c", "a/b/d"]
        assert next_components(names, "x") == []
        assert next_components(["layer_10/w", "layer_2/w"], "") == ["layer_2/w", "layer_10/w"]

    def test_of_a_large_index_the_keys_are_read(self, tmp_path: Path) -> None:
        names = [f"tower_{i % 10}/layer_{i // 10}/a_long_kernel_name" for i in range(20_000)]
        tensors = {name: np.zeros(1) for name in [*names, "tower_3/last"]}
        prefix = write_bundle(tmp_path / "many", tensors)
        assert (tmp_path / "many.index").stat().st_size > LARGE_INDEX_NBYTES
        towers = [f"tower_{i}/" for i in range(10)]
        assert [given.text for given in variable_names(prefix, "")] == towers
        assert variable_names(prefix, "tower_3/la")[0].text == "tower_3/last"
        assert len(variable_names(f"{prefix}.index", "tower_9/layer_199")) == 11
        assert variable_names(prefix, "zebra") == []

    def test_names_come_in_the_form_in_which_they_are_shown(
        self, folder: Path, ckread: Terminal
    ) -> None:
        assert folder.is_dir()
        assert texts("ckread show odd es") == ["esc\\x1b[31mred"]
        assert ckread("show", "odd", "esc\\x1b[31mred").code == 0


class TestCommand:
    """`ckread completion` itself."""

    def test_a_script_for_each_shell(self, ckread: Terminal) -> None:
        for shell in SHELLS:
            result = ckread("completion", shell)
            assert (result.code, result.err) == (0, "")
            assert result.out.count("completion " + shell + " -- ") == 1

    def test_another_shell_is_trouble(self, ckread: Terminal) -> None:
        assert ckread("completion", "tcsh").err == (
            "error: SHELL: 'tcsh', expected bash, zsh or fish.\n"
        )

    def test_answers(self, folder: Path, ckread: Terminal) -> None:
        assert folder.is_dir()
        line = "ckread ls run/ckpt-10 conv1/"
        assert ckread("completion", "bash", "--", line).out == "files\nconv1/bias\nconv1/kernel\n"
        assert (
            ckread("completion", "zsh", line).out == "bias\tfloat32 16\nkernel\tfloat32 3×3×1×16\n"
        )
        assert ckread("completion", "fish", line).out.startswith("conv1/bias\tfloat32 16\n")
        document = json.loads(ckread("completion", "bash", line, "--json").out)
        assert document == {
            "schema": "ckread.completion/1",
            "shell": "bash",
            "script": None,
            "answer": ["files", "conv1/bias", "conv1/kernel"],
        }

    @pytest.mark.parametrize(
        "line",
        ["", "ckread ls nowhere ", "ckread ls notes.txt a", "ckread nosuch x", "ckread ls ("],
    )
    def test_where_nothing_is_known_nothing_is_said(
        self, folder: Path, ckread: Terminal, line: str
    ) -> None:
        assert folder.is_dir()
        for shell in SHELLS:
            result = ckread("completion", shell, "--", line)
            assert (result.code, result.err) == (0, "")
            assert result.out in ("", "words\n")

    @pytest.mark.parametrize("shell", SHELLS)
    @pytest.mark.parametrize("words", ["", "ls --role ", "ls {} conv1/", "diff {} c", "stats {} "])
    def test_nothing_heavy_is_imported(self, shell: str, words: str) -> None:
        ten = FIXTURES / "digits_run" / "ckpt-10"
        modules = imported("completion", shell, "--", f"ckread {words.format(ten)}")
        assert not modules.intersection([*HEAVY, "rich", "argcomplete"])
