"""Expressions that would take years for a name end, and say for which."""

from __future__ import annotations

import re
import signal
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import ckread
from ckread.analysis.diff.records import RenameRule
from ckread.errors import UsageError
from ckread.model import selection
from ckread.model.selection import Regex, compile_pattern
from tests.builders import write_bundle

if TYPE_CHECKING:
    from pathlib import Path

NAME = "a" * 60 + "!"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let them end sooner."""
    monkeypatch.setattr(selection, "_MATCH_SECONDS", 0.05)


def test_a_rule(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "m", {NAME: np.ones(3, np.float32)})
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(UsageError) as caught:
        ckread.diff(path, path, rename=["s/(a+)+$/b/"])
    assert str(caught.value) == f"(a+)+$: takes more than 0 s, at the name {NAME}"
    assert str(caught.value.remedy).startswith("Let no repetition hold another")
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


@pytest.mark.parametrize("pattern", [Regex("(a+)+$"), Regex("(a{1,9}){1,99}$"), "*a" * 30 + "*b"])
def test_a_pattern(pattern: str) -> None:
    with pytest.raises(UsageError, match="takes more than 0 s, at the name aaa"):
        compile_pattern(pattern)(NAME)


def test_a_long_name_is_cut() -> None:
    rule = RenameRule(re.compile("(a+)+$"), "b")
    with pytest.raises(UsageError) as caught:
        rule.apply("a" * 5000 + "!")
    assert str(caught.value).endswith(f"name {'a' * 200}…")


def test_what_ends_gives_what_it_gave() -> None:
    assert RenameRule(re.compile("(a+)(b+)"), r"\2\1").apply("xaab") == "xbaa"
    assert compile_pattern("*a*b")("xaxb")
    assert not compile_pattern("*a*b")("x/axb")


def test_another_timer_goes_on() -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, 1000)
    try:
        assert compile_pattern("*a*b")("xaxb")
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 990
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def test_threads_match_too() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(compile_pattern("*a*b")("xaxb")))
    thread.start()
    thread.join()
    assert found == [True]


def test_many_names_that_take_a_little_are_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "_QUICK_SECONDS", 0.001)
    is_match = compile_pattern(Regex("(a+)+$"))

    def ask() -> None:
        for i in range(1000):
            is_match("a" * 16 + f"!{i}")

    with pytest.raises(UsageError, match="takes more than 0 s, at the name aaa"):
        ask()
    assert not compile_pattern(Regex("(a+)+$"))("b")  # given again, it begins anew
