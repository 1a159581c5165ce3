"""What commands that read many values share: processes, threads of BLAS, a progress bar."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Self

from ckread.cli.arguments import positive
from ckread.views.terminal.words import size_text

if TYPE_CHECKING:
    from types import TracebackType

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

_AFTER_SECONDS = 1.0
_EVERY_SECONDS = 0.1
_BAR_CELLS = 30


def add_jobs(parser: Parser) -> None:
    """Add `--jobs`."""
    parser.add_argument(
        "--jobs", metavar="N", type=positive, help="processes to use (default: what is worth it)"
    )


def keep_blas_in_one_thread() -> None:
    """Say so before numpy is imported: its threads cost more than they gain on sums of chunks.

    With one busy neighbour two BLAS threads take three times as long as one. And a
    process with a single thread may fork its workers.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


class ProgressBar:
    """A line on stderr, only on a terminal and only once a second has passed; gone when done.

    A context manager; calling it with a number of bytes advances it.
    """

    def __init__(self, total_nbytes: int, output: Output) -> None:
        self._total = max(1, total_nbytes)
        self._done = 0
        self._start = self._drawn = time.monotonic()
        self._is_drawn = False
        is_dumb = os.environ.get("TERM", "") in ("", "dumb")
        self._is_wanted = not output.is_quiet and not is_dumb and _is_terminal()

    def __enter__(self) -> Self:
        """Start the clock."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the line away."""
        if self._is_drawn:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()

    def __call__(self, nbytes: int) -> None:
        """Advance by a number of bytes."""
        self._done += nbytes
        now = time.monotonic()
        waited = now - self._start >= _AFTER_SECONDS and now - self._drawn >= _EVERY_SECONDS
        if self._is_wanted and waited:
            self._drawn = now
            self._is_drawn = True
            sys.stderr.write(
                f"\r\x1b[2K{progress_line(self._done, self._total, now - self._start)}"
            )
            sys.stderr.flush()


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def progress_line(done: int, total: int, seconds: float) -> str:
    """Give the text of the bar."""
    share = min(1.0, done / total)
    halves = round(share * _BAR_CELLS * 2)
    bar = "━" * (halves // 2) + "╸" * (halves % 2)
    rate = done / max(seconds, 1e-9)
    left = max(0.0, total - done) / max(rate, 1.0)
    return (
        f"reading  {bar:<{_BAR_CELLS}}  {size_text(min(done, total))} of {size_text(total)}"
        f"  {size_text(round(rate))}/s  {left:.0f} s left"
    )
