"""The terminal, by rich: console, pager and progress. Imported only where something is a screen.

rich knows how wide the terminal is, which colours and characters it takes, and what
`NO_COLOR`, `FORCE_COLOR`, `COLUMNS` and `TERM` say of it.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.pager import Pager

from ckread.views.terminal.page import styles_of
from ckread.views.terminal.words import size_text

if TYPE_CHECKING:
    from typing import NoReturn

    from rich.console import RenderableType
    from rich.progress import Progress, Task

    from ckread.views.terminal.page import Block

_DUMB = ("dumb", "unknown")
_NOT_FOUND = (126, 127)
"""What a shell gives for a pager that it cannot run."""


class Screen(Console):
    """A console that writes blocks, those longer than the screen through a pager."""

    def __init__(
        self, stream: TextIO, *, color: str = "auto", forced: bool = False, pages: bool = False
    ) -> None:
        is_plain = color == "never" or (color == "auto" and bool(os.environ.get("NO_COLOR")))
        is_dumb = os.environ.get("TERM", "").lower() in _DUMB
        system = "standard" if color == "always" and is_dumb else "auto"
        super().__init__(
            file=stream,
            force_terminal=True if forced else None,
            color_system=None if is_plain else system,  # type: ignore[arg-type]
            no_color=False,
            height=25 if is_dumb else None,  # so that a width that is given counts
            highlight=False,
        )
        if not self.width:  # COLUMNS=0
            self.width = 80
        self._pages = pages and not is_dumb and not self.legacy_windows and _is_real(stream)

    def write(self, block: Block) -> None:
        """Write a block, through a pager if it is longer than the screen."""
        if not self._pages:
            self.print(block, end="", crop=False)
            return
        with self.pager(_ForLongPages(self), styles=True, links=True):
            self.print(block, end="", crop=False)

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the command: rich would end the process."""
        raise


class _ForLongPages(Pager):
    """Shows what a screen has room for, and hands over to `$PAGER` what is longer."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def show(self, content: str) -> None:
        command = os.environ.get("PAGER", "less")
        is_long = content.count("\n") >= self._screen.height
        if command in ("", "cat") or not is_long or not _page_through(command, content):
            self._screen.file.write(content)
            self._screen.file.flush()


def _page_through(command: str, content: str) -> bool:
    """Run a pager, which may end before it has read everything; tell whether there is one."""
    import shutil
    import signal
    import subprocess

    if command == "less" and shutil.which(command) is None:
        return False
    environment = {"LESS": "FRX", "LV": "-c", **os.environ}
    # The keyboard is the pager's. A handler, unlike an ignored signal, is not passed on to it.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        pager = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, env=environment)
        pager.communicate(content.encode("utf-8", "backslashreplace"))
    finally:
        signal.signal(signal.SIGINT, before)
    return pager.returncode not in _NOT_FOUND


def _is_real(stream: TextIO) -> bool:
    """Tell whether a stream is a terminal of the system, not only taken for one."""
    try:
        return os.isatty(stream.fileno())
    except (OSError, ValueError):
        return False


def progress_of(done: int, total_nbytes: int, since: float, screen: Screen) -> Progress:
    """Give a bar of bytes read since a moment, drawn when told to, and gone when done.

    It has no thread of its own: a process with threads may not fork its workers.
    """
    from rich.progress import BarColumn, Progress, ProgressColumn
    from rich.text import Text

    class Figures(ProgressColumn):
        """How much is read, how fast, and how long it takes."""

        def render(self, task: Task) -> RenderableType:
            """Give them as they stand."""
            text = figures_text(task.completed, total_nbytes, time.monotonic() - since)
            return Text(text, no_wrap=True)

    drawn = styles_of(screen.color_system)["bar"]
    progress = Progress(
        "reading ", BarColumn(24, complete_style=drawn, finished_style=drawn), Figures(),
        console=screen, auto_refresh=False, transient=True,
        redirect_stdout=False, redirect_stderr=False,
    )  # fmt: skip
    progress.add_task("", total=total_nbytes, completed=done)
    progress.start()
    return progress


def figures_text(done: float, total: int, seconds: float) -> str:
    """Say how far reading is: `1.20 GiB of 3.00 GiB  2.10 GiB/s  1 s left`."""
    rate = done / max(seconds, 1e-9)
    left = max(0.0, total - done) / max(rate, 1.0)
    read = f"{size_text(min(round(done), total))} of {size_text(total)}"
    return f"{read}  {size_text(round(rate))}/s  {left:.0f} s left"
