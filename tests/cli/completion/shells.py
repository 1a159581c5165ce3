"""Real shells on a pseudo terminal: what TAB makes of a line that is being typed."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

import numpy as np
import pytest

from tests.builders import write_bundle
from tests.places import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

_REPORT = "\x0f"
"""The key that has the shell print its line."""

_SECONDS = 30.0
_SETTLING = 0.1
"""Seconds that a shell is given to show what ckread answered: a key too soon, and zsh lists
nothing."""

_ANSWERS = ".answers"
"""A file with a line for each answer of ckread."""

_COMMANDS = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}

_SEEN = r"""seen() {
    local word
    for word; do printf '<wo''rd:%s>' "$word"; done
    printf '<en''d>\n'
}
"""
"""A program that shows its arguments; its marks are not in what the terminal echoes."""

HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "esc\x1b[31mred",
    "new\nline;touch pwned",
    "glob*?[a]",
    "sp ace/k:0",
    "sp ace/k:1",
    "quo'te\"",
    "back\\slash",
    "{a,b}",
    "#hash",
]
"""Names that would do harm, or become another, if a shell read them unquoted."""

_SETTINGS = {
    "bash": r"""PS1='ready> '; PS2=''
bind 'set show-all-if-ambiguous on'; bind 'set page-completions off'
bind 'set completion-query-items -1'; bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
bind -x '"\C-o": printf "\n<<%s>>\n" "$READLINE_LINE"'
eval "$(ckread completion bash)"
""",
    "zsh": r"""PS1='ready> '; unsetopt zle_bracketed_paste 2>/dev/null; unset zle_bracketed_paste
setopt no_beep; LISTMAX=9999
autoload -Uz compinit; compinit -u -D
report() { print -r -- $'\n'"<<$BUFFER>>" }; zle -N report; bindkey '^O' report
eval "$(ckread completion zsh)"
""",
}


def fill_folder(folder: Path) -> Path:
    """Put a run, a run of an odd name, a checkpoint of hostile names and files in a folder."""
    shutil.copytree(FIXTURES / "digits_run", folder / "run")
    (folder / "my run:2").mkdir()
    for name in ("ckpt-1", "ckpt-2"):
        write_bundle(folder / "my run:2" / name, {"a": np.zeros(2)})
    write_bundle(folder / "odd", {name: np.ones(2) for name in HOSTILE})
    (folder / "digits.keras").touch()
    (folder / "notes.txt").touch()
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Give the environment of a shell in which `ckread` is this one."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    script = programs / "ckread"
    answers = shlex.quote(str(folder / _ANSWERS))
    run = f'{shlex.quote(sys.executable)} -m ckread "$@"'
    script.write_text(f"#!/bin/sh\n{run}\ncode=$?\necho >> {answers}\nexit $code\n")
    script.chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


def need(shell: str) -> None:
    """Skip the test where the shell is not installed."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed here")


class InteractiveShell:
    """A shell with the completion of ckread, in a folder; a context manager."""

    def __init__(self, shell: str, folder: Path) -> None:
        need(shell)
        self._shell = shell
        self._folder = folder
        self._terminal = self._shell_end = -1
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        variables = environment(self._folder)
        settings = self._folder / "settings"
        settings.write_text(_SEEN + _SETTINGS[self._shell])
        command = _COMMANDS[self._shell]
        self._terminal, shell_end = pty.openpty()
        termios.tcsetwinsize(shell_end, (40, 100))
        # A session of its own makes the terminal that it opens first its controlling one.
        self._process = subprocess.Popen(
            ["sh", "-c", 'exec "$@" < "$0" > "$0" 2>&1', os.ttyname(shell_end), *command],
            start_new_session=True,
            cwd=self._folder,
            env=variables,
        )
        self._shell_end = shell_end  # were none open, the terminal would be gone
        self._send(f". {shlex.quote(str(settings))}; printf 'be%s\\n' gun\n")
        try:
            self._read_until("begun")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End it, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        os.close(self._shell_end)
        os.close(self._terminal)

    def tab(self, line: str) -> tuple[str, str]:
        """Type a line and TAB; give the line as it then is, and what was shown meanwhile."""
        n_answers = self._n_answers()
        self._send(f"{line}\t")
        end = time.monotonic() + _SECONDS
        while self._n_answers() == n_answers and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(_SETTLING)
        self._send(_REPORT)
        shown = self._read_until(">>")
        found = re.search(r"<<(.*)>>", shown, re.DOTALL)
        assert found is not None
        self._send("\x15")  # forget the line
        return re.sub(r"\r+\n", "\n", found[1]), shown[: found.start()]

    def words(self, line: str) -> list[str]:
        """Give the words that ckread would get from a line, were it run."""
        self._send(f"{line.replace('ckread', 'seen', 1)}\n")
        shown = self._read_until("<end>")
        return re.findall(r"<word:(.*?)>", shown, re.DOTALL)

    def _n_answers(self) -> int:
        answers = self._folder / _ANSWERS
        return len(answers.read_bytes()) if answers.exists() else 0

    def _send(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _read_until(self, mark: str) -> str:
        read = b""
        end = time.monotonic() + _SECONDS
        while mark.encode() not in read:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._terminal], [], [], left)[0]:
                raise TimeoutError(f"no {mark} in {read!r}")
            read += os.read(self._terminal, 1 << 16)
        return read.decode("utf-8", "replace")
