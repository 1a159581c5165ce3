"""Systems that are not at hand: what only some have is taken away, and all is as before.

Windows has no `pread`, `fork`, `SIGHUP` or `fcntl`; macOS forks, but its libraries may not be
used after it. Each command is run in a process that has lost them, beside one that has not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ckread.cli.commands import COMMANDS
from tests.installed import EXIT_CODES, RUN, words_of

WITHOUT = """
import os, signal, sys
for name in ("pread", "preadv", "pwrite", "fork", "forkpty", "register_at_fork", "mkfifo", "mknod",
             "O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "sched_getaffinity",
             "getuid", "geteuid", "statvfs", "posix_fadvise", "getloadavg"):
    vars(os).pop(name, None)
for name in ("SIGPIPE", "SIGHUP", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGKILL", "SIGUSR1",
             "setitimer", "alarm", "pthread_sigmask", "ITIMER_VIRTUAL", "ITIMER_REAL"):
    vars(signal).pop(name, None)
for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "readline", "posix_ipc"):
    sys.modules[name] = None
"""
MACOS = "import sys; sys.platform = 'darwin'"
RUN_ALL = """
import contextlib, io, json, sys
from ckread.cli.main import main
answers = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    answers.append([words, code, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""


def answers(folder: Path, prelude: str) -> list[list[object]]:
    """Run every command in one process, after some words of Python."""
    shutil.copytree(RUN, folder)
    lines = [words_of(command) for command in COMMANDS]
    lines += [["check", ".", "--every"], ["stats", "ckpt-10", "--jobs", "2"]]
    lines += [["show", "ckpt-10", "conv1/kernel[:, :, 0, :2]"], ["info", "nowhere"]]
    lines += [["info", str(path)] for path in (RUN.parent / "digits_files").glob("*.*5")]
    program = [sys.executable, "-c", prelude + RUN_ALL, json.dumps(lines)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        program, cwd=folder, capture_output=True, encoding="utf-8", env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[list[object]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_every_command_needs_nothing_that_only_some_systems_have(tmp_path: Path) -> None:
    expected = answers(tmp_path / "here" / "run", "")
    assert [code for _, code, *_ in expected[: len(COMMANDS)]] == [
        EXIT_CODES.get(command.name, 0) for command in COMMANDS
    ]
    assert answers(tmp_path / "windows" / "run", WITHOUT) == expected
    assert answers(tmp_path / "macos" / "run", MACOS) == expected
