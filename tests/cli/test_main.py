"""The command line as a whole: which command, exit codes, streams, errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import ckread as package
from ckread.cli import info
from ckread.errors import CheckpointError
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.terminal import Terminal

RUN = str(FIXTURES / "digits_run")
TEN = f"{RUN}/ckpt-10"


def test_a_path_alone_is_info(ckread: Terminal) -> None:
    assert ckread(TEN) == ckread("info", TEN)
    assert ckread("--json", TEN) == ckread("info", TEN, "--json")
    assert ckread("--color", "never", TEN, width=80) == ckread(
        "info", "--color", "never", TEN, width=80
    )


def test_nothing_is_help(ckread: Terminal) -> None:
    assert ckread() == ckread("--help") == ckread("-h")
    assert ckread().code == 0


def test_help_may_be_asked_for_in_a_word(ckread: Terminal) -> None:
    assert ckread("help") == ckread("--help")
    assert ckread("help", "ls") == ckread("ls", "--help") == ckread("--help", "ls")
    assert ckread("help", "-q", "ls").code == 0
    assert ckread("help", "xyzzy").err == (
        "error: xyzzy: no such command.\nckread --help lists the commands.\n"
    )
    assert "Did you mean ckread stats?" in ckread("help", "stat").err


def test_a_misspelt_command_is_told_among_checkpoints(
    ckread: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(RUN)
    expected = (
        "error: trees: no such command or checkpoint.\nDid you mean ckread tree?\n"
        "This directory holds ckpt-1 to ckpt-10; the latest is ckpt-10.\n"
    )
    for words in (["trees"], ["trees", "ckpt-1"]):
        result = ckread(*words)
        assert result.code == 2
        assert result.err.startswith("\n".join(expected.split("\n")[:2]))
    assert "Did you mean ckread tree?" in ckread("trees", "--help").err
    assert ckread("ckpt-1", "--help") == ckread("info", "--help")


def test_version(ckread: Terminal) -> None:
    assert (
        ckread("--version")
        == ckread("-V")
        == ckread("--version", "ls")
        == (0, f"ckread {package.__version__}\n", "")
    )


def test_options_and_words_mix(ckread: Terminal) -> None:
    words = ["ls", TEN, "conv1", "-q"]
    expected = ckread(*words)
    assert expected.code == 0
    assert ckread("-q", "ls", TEN, "conv1") == expected
    assert ckread("ls", "-q", TEN, "conv1") == expected
    assert ckread("ls", TEN, "-q", "-p", "conv1") == expected
    assert ckread("ls", "-q", "--", TEN, "conv1") == expected
    assert ckread("--reader", "native", "ls", TEN, "-q", "conv1") == expected


def test_a_file_named_like_a_command(
    ckread: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tree").mkdir()
    for suffix in (".index", ".data-00000-of-00001"):
        (tmp_path / f"tree{suffix}").write_bytes(
            (FIXTURES / f"digits_run/ckpt-1{suffix}").read_bytes()
        )
    monkeypatch.chdir(tmp_path)
    assert ckread("tree").err == (
        "error: tree: PATH is missing.\n"
        "Usage: ckread tree PATH [PATTERN…]\n"
        "What is called so here is opened as ./tree.\n"
    )
    assert ckread("./tree.index").code == 0


def test_a_name_that_begins_with_a_dash(
    ckread: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in (".index", ".data-00000-of-00001"):
        source = FIXTURES / f"digits_run/ckpt-1{suffix}"
        (tmp_path / f"-model{suffix}").write_bytes(source.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert ckread("-model").err.startswith("error: -model: no such option.")
    assert ckread("info", "--", "-model").code == 0
    assert ckread("--", "-model").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inof"], "error: inof: no such command or checkpoint.\nDid you mean ckread info?\n"),
        (
            ["trees", "x"],
            "error: trees: no such command or checkpoint.\nDid you mean ckread tree?\n",
        ),
        (["nowhere"], "error: nowhere: no such checkpoint.\n"),
        (
            ["frobnicate", "x"],
            "error: frobnicate: no such command or checkpoint.\n"
            "ckread --help lists the commands.\n",
        ),
        (
            [TEN, "x"],
            "error: info: x: one argument too many.\n"
            f"Patterns go with ls, tree and stats: ckread ls {TEN} x\n",
        ),
        (
            [f"{TEN}1", "x"],
            f"error: {TEN}1: no such checkpoint.\n"
            f"{RUN} holds ckpt-1 to ckpt-10; the latest is {TEN}.\n",
        ),
        (
            [TEN, "ls"],
            f"error: ls: a command after its PATH.\nThe command comes first: ckread ls {TEN}\n",
        ),
        (
            ["info", TEN, "b"],
            "error: info: b: one argument too many.\n"
            f"Patterns go with ls, tree and stats: ckread ls {TEN} b\n",
        ),
        (["ls", "a", "--top", "0"], "error: --top: '0', expected a whole number above 0.\n"),
        (["ls", "a", "--top", "x"], "error: --top: 'x', expected a whole number above 0.\n"),
        (["ls", "a", "--role", "weights"], "error: --role: 'weights', did you mean weight?\n"),
        (
            ["ls", "a", "--sort", "zzz"],
            "error: --sort: 'zzz', expected model, name, bytes, elements or file.\n",
        ),
        (["ls", "a", "--sort"], "error: --sort: expected one argument.\n"),
        (
            ["info", "a", "--reader", "tensorflow2"],
            "error: --reader: 'tensorflow2', did you mean tensorflow?\n",
        ),
        (["show", "a", "b", "--force"], "error: --force goes with -o FILE.\n"),
    ],
)
def test_usage_errors(ckread: Terminal, words: list[str], message: str) -> None:
    assert ckread(*words) == (2, "", message)


def test_an_unknown_variable_names_its_neighbours(ckread: Terminal) -> None:
    result = ckread("show", TEN, "conv1/kernal")
    assert result.code == 2
    assert result.err.startswith(
        f"error: {TEN}: no variable conv1/kernal.\nNearest names:\n  conv1/kernel\n"
    )
    result = ckread("ls", TEN, "kernal")
    assert result.err.startswith("error: no variable matches kernal.\nNearest names:\n  kernel\n")


def test_an_error_is_wrapped_on_a_terminal_only(ckread: Terminal) -> None:
    words = ["info", TEN, "b" * 50]
    assert len(ckread(*words).err.splitlines()) == 2
    assert max(map(len, ckread(*words, width=60).err.splitlines())) <= 60


def test_control_characters_of_arguments_are_escaped(ckread: Terminal) -> None:
    assert ckread("\x1b[31mred\n\udc80").err == (
        "error: \\x1b[31mred\\n\\x80: no such checkpoint.\n"
    )


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (PermissionError(13, "Permission denied", "x/y"), "x/y: permission denied"),
        (OSError("strange"), "strange"),
        (MemoryError(), "not enough memory"),
        (RecursionError("maximum"), "nested too deeply"),
        (CheckpointError("torn"), "torn"),
    ],
)
def test_what_a_machine_can_do_is_an_error_not_a_traceback(
    ckread: Terminal, monkeypatch: pytest.MonkeyPatch, fault: Exception, message: str
) -> None:
    def fail(*_: object) -> int:
        raise fault

    monkeypatch.setattr(info, "run", fail)
    assert ckread("info", TEN) == (2, "", f"error: {message}.\n")
    document = json.loads(ckread("info", TEN, "--json").out)
    assert document["error"] == {
        "type": "CheckpointError",
        "message": message,
        "remedy": None,
    }


def test_a_fault_of_our_own_says_so(ckread: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise KeyError("lost")

    monkeypatch.setattr(info, "run", fail)
    result = ckread("info", TEN)
    assert result.code == 2
    assert result.err.startswith("error: KeyError: 'lost'.\nThis is a fault of ckread")
    monkeypatch.setenv("CKREAD_TRACEBACK", "1")
    with pytest.raises(KeyError):
        ckread("info", TEN)


def test_an_interrupt_is_quiet(ckread: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "run", interrupt)
    assert ckread("info", TEN) == (130, "", "")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["ls", "conv1", "ckpt-10"], "The path comes first: ckread ls ckpt-10 conv1"),
        (["ls", "ckpt", "ckpt-10"], "The path comes first: ckread ls ckpt-10 ckpt\n"),
        (["show", "conv1/bias[0]", "ckpt-10"], "ckread show ckpt-10 'conv1/bias[0]'"),
        (["drift", "conv1", "."], "The path comes first: ckread drift . conv1"),
        (["diff", "conv1", "ckpt-1", "ckpt-2"], "first: ckread diff ckpt-1 ckpt-2 conv1"),
        (["diff", "ckpt-1", "ckpt-2", "ckpt-3"], "diff takes two checkpoints, then patterns"),
        (["check", "ckpt-1.index", "ckpt-2.index"], "Did the shell put these in place of a"),
        (["ls", "ckpt-1", "checkpoint"], "It goes in quotes: 'conv*'"),
        (["ls", "ckpt-1", "CONV1"], "Did you mean conv1?"),
        (["check", ".", "--every", "0"], "expected a whole number above 0"),
    ],
)
def test_what_was_meant(
    ckread: Terminal, monkeypatch: pytest.MonkeyPatch, words: list[str], hint: str
) -> None:
    monkeypatch.chdir(FIXTURES / "digits_run")
    result = ckread(*words)
    assert result.code == 2
    assert hint in result.err


@pytest.mark.parametrize("command", ["diff", "compat", "report", "runs"])
def test_a_second_path_is_no_pattern_in_the_wrong_place(ckread: Terminal, command: str) -> None:
    result = ckread(command, "not/there", TEN)
    assert result.code == 2
    assert "first: ckread" not in result.err


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["--every"], 10),
        (["--every", "5"], 2),
        (["--every=4"], 3),
        (["--every", "99"], 1),
    ],
)
def test_every_nth_from_the_last(ckread: Terminal, words: list[str], steps: int) -> None:
    run = str(FIXTURES / "digits_run")
    for command in (["stats", *words, run, "logits/bias"], ["optimizer", run, "logits", *words]):
        told = json.loads(ckread(*command, "--json").out)["checkpoints"]
        assert len(told) == steps
        assert told[-1]["step"] == 10
    checked = json.loads(ckread("check", *words, run, "--json").out)["checkpoints"]
    assert len(checked) == steps
