"""On a terminal of its own: what is longer than the screen is paged, progress goes away."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.terminal import ANSI
from tests.places import FIXTURES, ROOT

if TYPE_CHECKING:
    from pathlib import Path

RUN = str(FIXTURES / "digits_run")
SHORT, LONG = ["runs", RUN], ["ls", f"{RUN}/ckpt-10", "--all"]
LONG_LINES = 47
"""Of the long listing: heading, 44 variables, blank, footer."""


class Person:
    """Somebody before a terminal of 24 rows.

    Attributes:
        process: the command.
        seen: what was shown so far.
    """

    def __init__(
        self, words: list[str], folder: Path, module: str = "ckread", **environment: str
    ) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        known = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        self.seen = ""
        self.process = subprocess.Popen(
            [sys.executable, *(["-m", module] if module else []), *words],
            stdin=slave, stdout=slave, stderr=slave, cwd=folder,
            env=kept | known | environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)

    def look(self, until: str = "") -> str:
        """Read to the end, or until something has been shown."""
        while not until or until not in self.seen:
            try:
                piece = os.read(self._master, 1 << 16)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            self.seen += piece.decode().replace("\r\n", "\n")
        return self.seen

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def leave(self) -> int:
        """See what is still to be seen, and give the exit code."""
        self.look()
        os.close(self._master)
        return self.process.wait(timeout=30)


@pytest.fixture
def pager(tmp_path: Path) -> str:
    """A pager that keeps what it is given, and says so."""
    script = tmp_path / "keeps"
    script.write_text(f'#!/bin/sh\ncat > {tmp_path}/kept; echo "LESS=$LESS"; echo paged\n')
    script.chmod(0o755)
    return str(script)


def test_a_long_listing_goes_through_the_pager(tmp_path: Path, pager: str) -> None:
    person = Person(LONG, tmp_path, PAGER=pager)
    assert person.leave() == 0
    assert person.seen.split() == ["LESS=FRX", "paged"]
    kept = (tmp_path / "kept").read_text()
    assert "\x1b[38;5;244m" in kept
    assert kept.count("\n") == LONG_LINES


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (SHORT, {}),
        ([*LONG, "--no-pager"], {}),
        (LONG, {"PAGER": "cat"}),
        (LONG, {"PAGER": ""}),
        (LONG, {"TERM": "dumb"}),
        (["--help"], {}),
    ],
)
def test_no_pager_where_none_is_wanted(
    words: list[str], environment: dict[str, str], tmp_path: Path, pager: str
) -> None:
    person = Person(words, tmp_path, **{"PAGER": pager} | environment)
    assert person.leave() == 0
    assert "paged" not in person.seen
    assert person.seen.count("\n") > 10


def test_a_pager_that_is_not_there_is_done_without(tmp_path: Path) -> None:
    person = Person(LONG, tmp_path, PAGER="no-such-pager-here")
    assert person.leave() == 0
    assert "save_counter" in person.seen


def test_a_pager_may_be_left_early(tmp_path: Path) -> None:
    person = Person(LONG, tmp_path, PAGER="head -n 3")
    assert person.leave() == 0
    assert person.seen.count("\n") == 3


def test_ctrl_c_is_the_pagers(tmp_path: Path) -> None:
    person = Person(
        LONG, tmp_path, PAGER="trap 'echo still here' INT; cat; echo on; read line </dev/tty"
    )
    person.look(until="on\n")
    person.type("\x03")
    person.look(until="still here")
    person.type("\n")
    assert person.leave() == 0
    assert "Traceback" not in person.seen


def test_ctrl_c_ends_a_pager_that_it_ends(tmp_path: Path) -> None:
    person = Person(LONG, tmp_path, PAGER="cat; sleep 60")
    person.look(until="save_counter")
    time.sleep(0.2)
    person.type("\x03")
    assert person.leave() == 0
    assert "Traceback" not in person.seen


def test_a_pipe_has_no_pager(tmp_path: Path, pager: str) -> None:
    done: Any = subprocess.run(
        [sys.executable, "-m", "ckread", *LONG],
        env={**os.environ, "PAGER": pager, "FORCE_COLOR": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    assert b"paged" not in done.stdout
    assert not (tmp_path / "kept").exists()


def test_files_that_were_written_are_links(tmp_path: Path) -> None:
    words = ["export", f"{RUN}/ckpt-10", "conv1/bias", "-o", "a b.npy"]
    person = Person(words, tmp_path)
    assert person.leave() == 0
    assert f"{(tmp_path / 'a b.npy').as_uri()}\x1b\\" in person.seen


_READS = """
import time
from ckread.cli.output import Output
from ckread.cli.output import ProgressBar
with ProgressBar(3_000_000_000, Output(is_quiet={quiet})) as progress:
    progress._start -= 1.5
    progress._drawn -= 1.5
    for _ in range(5):
        progress(300_000_000)
        time.sleep(0.12)
print("done")
"""


def _screen_of(code: str, folder: Path, **environment: str) -> str:
    person = Person(["-c", code], folder, module="", **environment)
    assert person.leave() == 0
    return person.seen


def test_progress_is_one_line_that_goes_away(tmp_path: Path) -> None:
    seen = _screen_of(_READS.format(quiet=False), tmp_path)
    assert "\x1b[?25h" in seen  # the cursor is back
    assert seen.rstrip().endswith("done")
    shown = re.sub(r"\x1b\[\??\d*[A-Za-z]", "", ANSI.sub("", seen))
    frames = [line for line in re.split(r"[\r\n]", shown) if "reading" in line]
    assert len(frames) >= 3
    assert all(len(frame) <= 80 for frame in frames)
    assert re.search(r"━.* 2\.79 GiB  \S+ [KMG]iB/s  \d+ s left", frames[-1])


@pytest.mark.parametrize(
    ("quiet", "environment"), [(True, {}), (False, {"TERM": "dumb"})], ids=["quiet", "dumb"]
)
def test_no_progress_where_it_is_not_wanted(
    tmp_path: Path, quiet: bool, environment: dict[str, str]
) -> None:
    assert "reading" not in _screen_of(_READS.format(quiet=quiet), tmp_path, **environment)


@pytest.mark.skipif(shutil.which("less") is None, reason="less is not installed")
def test_less_shows_colours_page_by_page(tmp_path: Path) -> None:
    person = Person(LONG, tmp_path)
    person.look(until="\x1b[K")
    person.type("q")
    assert person.leave() == 0
    assert "\x1b[38;5;244m" in person.seen
    assert "save_counter" not in person.seen
