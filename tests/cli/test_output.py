"""Where results go: width, colour, encodings, streams that are closed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from ckread.cli.output import DEFAULT_WIDTH, Output, terminal_width
from tests.cli.terminal import Stream

if TYPE_CHECKING:
    from tests.cli.terminal import Terminal


@pytest.mark.parametrize(
    ("columns", "width"), [("60", 60), ("", 80), ("0", 80), ("-3", 80), ("x", 80), ("99999999", 80)]
)
def test_the_width_is_that_of_columns_or_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((80, 24)))
    assert terminal_width() == width


def test_without_a_terminal_the_width_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: int) -> os.terminal_size:
        raise OSError

    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(os, "get_terminal_size", none)
    assert terminal_width() == DEFAULT_WIDTH


def test_notes_go_to_stderr_unless_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Stream(is_terminal=False), Stream(is_terminal=False)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    Output().note("one\x1b")
    Output().warning("two")
    Output().wrote("wrote three")
    quiet = Output(is_quiet=True)
    quiet.note("no")
    quiet.warning("no")
    quiet.wrote("no")
    assert out.getvalue() == ""
    assert err.getvalue() == "note: one\\x1b\nwarning: two\nwrote three\n"


def test_a_missing_stream_swallows_what_it_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    output = Output()
    output.lines(["x"])
    output.note("x")
    output.flush()
    assert not output.is_terminal
    for stream in (output._stdout, output._stderr):
        stream.close()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_of_another_encoding_gets_what_it_can_show(
    ckread: Terminal, encoding: str
) -> None:
    from tests.places import FIXTURES

    result = ckread("ls", str(FIXTURES / "odd_names" / "odd"), width=80, encoding=encoding)
    assert result.code == 0
    assert result.out.encode(encoding)
