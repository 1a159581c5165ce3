"""Runs ckread in this process, on a pretended terminal or in a pipe."""

from __future__ import annotations

import io
import re
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from ckread.cli.main import main

if TYPE_CHECKING:
    import pytest

ANSI = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")


class Result(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def screen(self) -> str:
        """What stdout shows, colours left out."""
        return ANSI.sub("", self.out)


class Stream(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, *, is_terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._is_terminal = is_terminal
        self._encoding = encoding

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


class Terminal:
    """A terminal of some width, or a pipe."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LC_ALL", "LANG", "CKREAD_TRACEBACK"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()

    def __call__(self, *words: str, width: int | None = None, encoding: str = "utf-8") -> Result:
        """Run a command: piped, unless a width makes it a terminal."""
        if width is not None:
            self._monkeypatch.setenv("COLUMNS", str(width))
        out = Stream(is_terminal=width is not None, encoding=encoding)
        err = Stream(is_terminal=width is not None, encoding=encoding)
        with self._monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", out)
            patched.setattr(sys, "stderr", err)
            code = main(words)
        return Result(code, out.getvalue(), ANSI.sub("", err.getvalue()))
