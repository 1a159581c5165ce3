"""Whole processes, timed in turn: wall seconds and peak memory, ours beside TensorFlow's.

Machines are noisy: what counts is a ratio of one session, of runs taken in turn (ours,
theirs, ours, theirs, …) on the same files with warm caches, and with compiled bytecode on
both sides. Of wall time the medians are told, which several processes shorten; of CPU time
the least, which a busy machine disturbs least. By the better of the two a target is met.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Measurement:
    """One command's runs.

    Attributes:
        seconds: wall time of each run.
        peak_mib: largest resident set of any one of its processes over all runs.
        cpu: CPU seconds of each run, of all its processes.
    """

    seconds: tuple[float, ...]
    peak_mib: float
    cpu: tuple[float, ...] = ()

    @property
    def median(self) -> float:
        """Median wall seconds."""
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        """Least CPU seconds: what a busy machine disturbs least."""
        return min(self.cpu, default=self.median)

    def times(self, n: float) -> Measurement:
        """Give what so many of it would take."""
        seconds, cpu = (tuple(n * x for x in one) for one in (self.seconds, self.cpu))
        return Measurement(seconds, self.peak_mib, cpu)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A piece of work done by both.

    Attributes:
        work: the command of ckread, and on what.
        ours: how ckread did.
        theirs: how the other did.
        target: the ratio that is asked for; 0: none.
        beside: what the other is.
        max_mib: the peak memory that ckread may need.
    """

    work: str
    ours: Measurement
    theirs: Measurement
    target: float
    beside: str = "TensorFlow + numpy"
    max_mib: float = math.inf

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.theirs.median / self.ours.median

    @property
    def cpu_ratio(self) -> float:
        """How many times less CPU ours takes, by the least of the runs."""
        return self.theirs.least / self.ours.least

    @property
    def is_missed(self) -> bool:
        """Whether it is slower, or needs more memory, than is asked for."""
        best = max(self.ratio, self.cpu_ratio)
        return best < self.target or self.ours.peak_mib > self.max_mib


_LAUNCHER = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = used.ru_utime + used.ru_stime
print(json.dumps([seconds, used.ru_maxrss / 1024, cpu, done.returncode,
                  done.stderr.decode()[-2000:]]))
"""
# A process counts what its parent held when it was started as its own peak: so the
# parent is a bare interpreter.


def _run_once(command: Sequence[str]) -> tuple[float, float, float]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    launch = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command]
    answer = subprocess.run(launch, env=environment, check=True, capture_output=True).stdout
    seconds, peak_mib, cpu, code, stderr = json.loads(answer)
    if code not in (0, 1):
        raise RuntimeError(f"{command} exited {code}: {stderr}")
    return seconds, peak_mib, cpu


class _Limit:
    """How often a command is run at most."""

    n: int | None = None


limit = _Limit()


def measure_in_turn(
    ours: Sequence[str],
    theirs: Sequence[str],
    *,
    n_ours: int = 5,
    n_theirs: int = 3,
    is_quick: bool = False,
    is_warm: bool = False,
) -> tuple[Measurement, Measurement]:
    """Run both commands alternately, after one warm-up each that is not counted if not `is_warm`.

    At most `limit.n` times each, if that is set, and then without a warm-up.

    `is_quick`: once each, warm-up and all, which tells whether they run, not how fast.
    """
    if is_quick:
        n_ours, n_theirs = 1, 1
    elif limit.n is not None:
        n_ours, n_theirs = min(n_ours, limit.n), min(n_theirs, limit.n)
    elif not is_warm:
        _run_once(ours)
        _run_once(theirs)
    runs: tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]] = ([], [])
    for i in range(max(n_ours, n_theirs)):
        if i < n_ours:
            runs[0].append(_run_once(ours))
        if i < n_theirs:
            runs[1].append(_run_once(theirs))
    first, second = (
        Measurement(seconds, max(peaks), cpu)
        for seconds, peaks, cpu in (zip(*side, strict=True) for side in runs)
    )
    return first, second


def python_command(*arguments: str) -> list[str]:
    """Give a command of this interpreter."""
    return [sys.executable, *arguments]


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Give the results as an aligned text table; `!` marks a target that is missed."""
    header = (
        f"{'work':40} {'ours':>9} {'CPU':>7} {'peak':>9}   {'beside':24} {'theirs':>9} {'CPU':>7}"
        f" {'peak':>9} {'ratio':>7} {'of CPU':>7}  target"
    )
    rows = [
        f"{c.work:40} {c.ours.median:7.3f} s {c.ours.least:7.3f} {c.ours.peak_mib:5.0f} MiB"
        f"   {c.beside:24} {c.theirs.median:7.3f} s {c.theirs.least:7.3f}"
        f" {c.theirs.peak_mib:5.0f} MiB {c.ratio:6.1f}x {c.cpu_ratio:6.1f}x  {_target(c)}"
        for c in comparisons
    ]
    return "\n".join([header, *rows])


_WORSE = 1.15
"""Times the CPU ratio of before from which a row got worse, and did not just vary."""


def worse_rows(comparisons: Sequence[Comparison], before: dict[str, float]) -> list[str]:
    """Say which rows take more CPU than before, as measured by what is beside them."""
    return [
        f"{c.work}: {c.cpu_ratio:.2f}x, {before[c.work]:.2f}x before"
        for c in comparisons
        if before.get(c.work, 0.0) > _WORSE * c.cpu_ratio
    ]


def _target(comparison: Comparison) -> str:
    wanted = [f"{_few(comparison.target)}x"] if comparison.target else []
    if math.isfinite(comparison.max_mib):
        wanted.append(f"{comparison.max_mib:.0f} MiB")
    return f"{', '.join(wanted) or '-'}{' !' if comparison.is_missed else ''}"


HEADER = (
    "| `ckread` | time | CPU | peak | beside | its time | its CPU | its peak | times faster"
    " | of CPU |\n|---|--:|--:|--:|---|--:|--:|--:|--:|--:|\n"
)


def markdown_rows(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Give the rows of docs/benchmarks.md, by their work."""
    rows = {}
    for c in comparisons:
        command, comma, rest = c.work.partition(", ")
        sides = [
            f"{_few(side.median)} s | {_few(side.least)} s | {side.peak_mib:,.0f} MiB"
            for side in (c.ours, c.theirs)
        ]
        cells = f"`{command}`{comma}{rest}", sides[0], c.beside, sides[1]
        rows[c.work] = f"| {' | '.join(cells)} | {_few(c.ratio)} | {_few(c.cpu_ratio)} |\n"
    return rows


STORY_HEADER = (
    "| `ckread` | CPU | peak | beside | its CPU | its peak | times less |\n"
    "|---|--:|--:|---|--:|--:|--:|\n"
)


def row_of_story(row: str) -> str:
    """Give the row of README.md of one of docs/benchmarks.md: without wall times."""
    cells = row.strip().strip("|").split("|")
    return f"|{'|'.join(cells[i] for i in (0, 2, 3, 4, 6, 7, 9))}|\n"


def rows_of(table: str) -> dict[str, str]:
    """Give the rows of a table of docs/benchmarks.md, by their work."""
    lines = [line for line in table.splitlines(keepends=True) if line.startswith("| `")]
    rows = {line.split(" | ")[0].removeprefix("| ").replace("`", ""): line for line in lines}
    rows.pop("ckread", None)
    return rows


def cpu_ratio_of(row: str) -> float:
    """Give what a row says last."""
    return float(row.rstrip(" |\n").rpartition(" ")[2].replace(",", ""))


def _few(number: float) -> str:
    """Give whole numbers, of those below ten two digits."""
    return f"{number:,.0f}" if number >= 9.95 else f"{number:.2g}"
