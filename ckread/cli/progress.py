"""What commands that read many values share: processes, threads of BLAS, a progress bar."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self

from ckread.cli.arguments import positive

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress

    from ckread.cli.arguments import Parser
    from ckread.cli.output import Output

_AFTER_SECONDS = 1.0
_EVERY_SECONDS = 0.1


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
        self._output = output
        self._done = 0
        self._start = self._drawn = time.monotonic()
        self._bar: Progress | None = None
        self._is_wanted = True

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
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, nbytes: int) -> None:
        """Advance by a number of bytes."""
        self._done += nbytes
        now = time.monotonic()
        waited = now - self._start >= _AFTER_SECONDS and now - self._drawn >= _EVERY_SECONDS
        if self._is_wanted and waited:
            self._drawn = now
            if self._bar is None:
                self._bar = self._output.progress(self._done, self._total, since=self._start)
                self._is_wanted = self._bar is not None
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=self._done, refresh=True)
