"""Our own engine: seeded mutations, and what is noted of each file."""

from __future__ import annotations

import faulthandler
import hashlib
import os
import random
import resource
import time
import traceback
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fuzz.target import Target, crashers_of, kept_of, outcome
from tests.fuzz.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SECONDS = 2.0
DEADLINE_SECONDS = 20.0
MAX_GROWTH_KB = 300 << 10


@dataclass(slots=True)
class Report:
    """What came of a run.

    Attributes:
        n_files: mutated files that were read.
        outcomes: how many gave which error; "" for none.
        failures: what went wrong, a line or a traceback each.
        slowest: seconds of the slowest file.
    """

    n_files: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


def run_seeded(
    target: Target,
    *,
    seed: int = 0,
    n_files: int | None = None,
    seconds: float | None = None,
    keep: bool = False,
    alone: bool = False,
) -> Report:
    """Read mutated files until there were so many, or so long.

    Args:
        target: what reads them.
        seed: another number gives other files.
        n_files: how many, None for no end.
        seconds: how long, None for no end.
        keep: whether to keep what failed.
        alone: whether this process may end where a library hangs.
    """
    rng = random.Random(f"{target.name} {seed}")
    seeds = target.seeds()
    report = Report()
    place = Workplace()
    end = time.monotonic() + (1e9 if seconds is None else seconds)
    pool = list(seeds)
    try:
        while report.n_files != n_files and time.monotonic() < end:
            data = target.mutate(rng.choice(pool), seeds, rng)
            with _deadline(target, data, keep=keep) if alone else nullcontext():
                result = try_one(target, data, place, report, keep=keep)
            if result == "" and len(pool) < 500:
                pool.append(data)  # what is still accepted leads further
    finally:
        place.close()
    return report


def try_kept(target: Target) -> Report:
    """Read again what was kept of a target, in a process that may end where a library hangs."""
    report, place = Report(), Workplace()
    try:
        for data in kept_of(target.name).values():
            with _deadline(target, data, keep=False):
                try_one(target, data, place, report)
    finally:
        place.close()
    return report


@contextmanager
def _deadline(target: Target, data: bytes, *, keep: bool) -> Iterator[None]:
    """End the process if a file takes too long, even in C code that never comes back.

    The file is kept until it has been read, so that it is there if the process is not.
    """
    path = _keep(target, data, prefix="unread-") if keep else None
    faulthandler.dump_traceback_later(DEADLINE_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        if path is not None:
            os.remove(path)


def try_one(
    target: Target, data: bytes, place: Workplace, report: Report, *, keep: bool = False
) -> str | None:
    """Read one file; note what it came to, how long it took and what memory."""
    start, peak = time.process_time(), _peak_kb()
    result: str | None = None
    try:
        result = outcome(target, data, place)
    except Exception:
        report.failures.append(traceback.format_exc())
    seconds = time.process_time() - start
    if seconds > MAX_SECONDS:
        report.failures.append(f"{seconds:.1f} s")
        result = None
    if _peak_kb() - peak > MAX_GROWTH_KB:
        report.failures.append(f"{(_peak_kb() - peak) >> 10} MiB more")
        result = None
    report.n_files += 1
    report.slowest = max(report.slowest, seconds)
    report.outcomes[str(result)] = report.outcomes.get(str(result), 0) + 1
    if result is None and keep:
        _keep(target, data)
    return result


def _keep(target: Target, data: bytes, *, prefix: str = "") -> str:
    directory = crashers_of(target.name)
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, prefix + hashlib.sha256(data).hexdigest()[:16])
    with open(path, "wb") as file:
        file.write(data)
    return path


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
