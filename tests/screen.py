"""Runs a shell command on a terminal of its own, and gives what a person would see."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

from tests.places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_PASSED_ON = ("HOME", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")


def on_screen(command: str, *, folder: Path = ROOT, width: int = 80) -> str:
    """Give the screen of a shell command in a folder, without colours."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {"TERM": "dumb", "TZ": "UTC", "LANG": "C.UTF-8", "PATH": os.environ["PATH"]}
    environment["PYTHONPATH"] = str(ROOT)
    function = f'ckread() {{ "{sys.executable}" -m ckread "$@"; }}; {command}'
    process = subprocess.Popen(
        ["bash", "-c", function],
        stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=environment,
    )  # fmt: skip
    os.close(slave)
    seen = b"".join(iter(lambda: _read(master), b""))
    os.close(master)
    process.wait()
    return seen.decode("utf-8").replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # how Linux says that the other end is closed
        return b""
