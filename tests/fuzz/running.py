"""Our own engine: seeded mutants, the bounds each is held to, and the least that still fails.

A mutant fails by any exception but ours, by 2 s of CPU, or by 300 MB: a timer of the process
and the peak that the kernel keeps, set back before each. What fails is made smaller as long as
it fails in the same way, and kept once for each way.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import json
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckread.analysis import workers
from ckread.readers import files
from tests.fuzz.parts import pack, unpack
from tests.fuzz.target import Target, crashers_of, kept_of, outcome
from tests.fuzz.workplace import Workplace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

MAX_SECONDS = 2.0
DEADLINE_SECONDS = 60.0
MAX_GROWTH_KB = 300 << 10
_MINIMISING_SECONDS = 20.0
_RESET_PEAK = "5"


class TooSlowError(BaseException):
    """A mutant took all the time that it has; no `except Exception` stops it."""


@dataclass(slots=True)
class Report:
    """What came of a run.

    Attributes:
        n_files: mutants that were read.
        outcomes: how many gave which error; "" for none.
        failures: what went wrong, a traceback or a line for each way.
        ways: how often each way was met: the exception, and where in ckread.
        slowest: CPU seconds of the slowest mutant.
        known: ways that are only counted.
    """

    n_files: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    ways: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    known: frozenset[str] = frozenset()


def run_seeded(
    target: Target,
    *,
    seed: int = 0,
    n_files: int | None = None,
    seconds: float | None = None,
    keep: bool = False,
    alone: bool = False,
    known: Iterable[str] = (),
) -> Report:
    """Read mutants until there were so many, or so long.

    Args:
        target: what reads them.
        seed: another number gives other files.
        n_files: how many, None for no end.
        seconds: how long, None for no end.
        keep: whether to keep what failed, and make it small first.
        alone: whether this process may end where a library hangs.
        known: ways to fail that were met before: they are counted alone.
    """
    rng = random.Random(f"{target.name} {seed}")
    seeds = target.seeds()
    report, place = Report(known=frozenset(known)), Workplace()
    watch = Watch(target) if alone else None
    pool, settling, worth = list(seeds), files.SETTLING_SECONDS, workers.WORTH_NBYTES
    try:
        for data in seeds if seconds is not None or alone else ():  # imports are no growth
            with contextlib.suppress(Exception):
                outcome(target, data, place)
        end = time.monotonic() + (1e9 if seconds is None else seconds)
        files.SETTLING_SECONDS = 0.0  # every mutant was written just now, by nobody else
        workers.WORTH_NBYTES = 1 << 62  # a claim of a TiB starts no pool, which no alarm may cut
        while report.n_files != n_files and time.monotonic() < end:
            data = target.mutate(rng.choice(pool), seeds, rng)
            result = try_one(target, data, place, report, keep=keep, watch=watch)
            if result == "" and len(pool) < 500:
                pool.append(data)  # what is still accepted leads further
    finally:
        files.SETTLING_SECONDS, workers.WORTH_NBYTES = settling, worth
        place.close()
        if watch is not None:
            watch.close()
    return report


def try_kept(target: Target) -> Report:
    """Read again what was kept of a target, in a process that may end where a library hangs."""
    report, place, watch = Report(), Workplace(), Watch(target)
    try:
        for data in kept_of(target.name).values():
            try_one(target, data, place, report, watch=watch)
    finally:
        place.close()
        watch.close()
    return report


class Watch:
    """Ends the process if a mutant takes too long, even in C code that never comes back.

    The mutant lies in a file until the next, so that it is there if the process is not.
    """

    def __init__(self, target: Target) -> None:
        self.n_files = 0
        self._path = unread_of(target.name)
        self._armed = 0.0

    def begin(self, data: bytes) -> None:
        """Note what is read next; once a second how many were, and the alarm is set anew."""
        with open(self._path, "wb") as file:
            file.write(data)
        if time.monotonic() - self._armed > 1:
            self._armed = time.monotonic()
            with open(f"{self._path}.count", "w") as file:
                file.write(str(self.n_files))
            faulthandler.dump_traceback_later(DEADLINE_SECONDS, exit=True)

    def close(self) -> None:
        """All has been read."""
        faulthandler.cancel_dump_traceback_later()
        for path in (self._path, f"{self._path}.count"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def unread_of(name: str) -> str:
    """Give where the mutant lies that a process alone is reading."""
    directory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
    return os.path.join(directory, f"ckread-fuzz-{os.getuid()}-{name}-unread")


def try_one(
    target: Target,
    data: bytes,
    place: Workplace,
    report: Report,
    *,
    keep: bool = False,
    watch: Watch | None = None,
) -> str | None:
    """Read one mutant; note what it came to, how long it took and what memory."""
    result, failure, way, seconds = _tried(target, data, place, watch)
    report.n_files += 1
    if watch is not None:
        watch.n_files = report.n_files
    report.slowest = max(report.slowest, seconds)
    report.outcomes[str(result)] += 1
    if failure is not None:
        is_new = way not in report.ways and way not in report.known
        report.ways[way] += 1
        if is_new and keep:
            data = minimal(target, data, way, place, watch)
            path = keep_mutant(target.name, data)
            failure = f"{failure}Again: {command_for(target.name, path)}\n"
        if is_new:
            report.failures.append(failure)
    return result


def _tried(
    target: Target, data: bytes, place: Workplace, watch: Watch | None
) -> tuple[str | None, str | None, str, float]:
    """Read one mutant within the bounds; give its outcome, or the failure and its way."""
    result: str | None = None
    failure, way = None, ""
    if watch is not None:
        watch.begin(data)
    peak = _reset_peak()
    start = time.process_time()
    try:
        with _bounded_time():
            result = outcome(target, data, place)
    except TooSlowError as error:
        failure, way = f"over {MAX_SECONDS} s\n{_where(error)}", f"slow: {target.name}"
    except Exception as error:
        failure, way = traceback.format_exc(), _way(error)
    seconds = time.process_time() - start
    grown = _peak_kb() - peak
    if grown > MAX_GROWTH_KB:
        failure = f"{failure or ''}{grown >> 10} MiB more\n"
        way = way or f"memory: {target.name}"
        result = None
    elif seconds > MAX_SECONDS and failure is None:
        failure, way = f"{seconds:.1f} s\n", f"slow: {target.name}"
        result = None
    return result, failure, way, seconds


@contextlib.contextmanager
def _bounded_time() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _way(error: BaseException) -> str:
    """Name a failure by its exception and the innermost line of ckread."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "/ckread/" in frame.filename
    ]
    where = ""
    if frames:
        where = f"{frames[-1].filename.rpartition('/ckread/')[2]}:{frames[-1].lineno}"
    text = str(error)[:40] if isinstance(error, AssertionError) else ""
    return f"{type(error).__name__} {where} {text}".strip()


def _where(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__)[-12:])


def minimal(
    target: Target, data: bytes, way: str, place: Workplace, watch: Watch | None = None
) -> bytes:
    """Take away of a mutant what it fails without: whole parts first, then bytes."""
    end = time.monotonic() + _MINIMISING_SECONDS

    def fails(candidate: bytes) -> bool:
        return time.monotonic() < end and _tried(target, candidate, place, watch)[2] == way

    try:
        parts = unpack(data)
        is_packed = True
    except (ValueError, AttributeError, TypeError):
        parts, is_packed = {"": data}, False

    def joined(pieces: dict[str, bytes]) -> bytes:
        return pack(pieces) if is_packed else pieces[""]

    if not fails(joined(parts)):
        return data  # it does not fail again: there is more to it than its bytes
    if is_packed:
        for name in sorted(parts):
            without = {key: value for key, value in parts.items() if key != name}
            if not name.startswith("@") and fails(joined(without)):
                parts = without
    for name in sorted(parts, key=lambda name: -len(parts[name])):
        size = len(parts[name]) // 2
        while size and not name.startswith("@"):
            at = 0
            while at < len(parts[name]):
                cut = parts[name][:at] + parts[name][at + size :]
                if fails(joined({**parts, name: cut})):
                    parts[name] = cut
                else:
                    at += size
            size //= 2
    return joined(parts)


def keep_mutant(name: str, data: bytes, *, prefix: str = "") -> str:
    """Write a mutant where tests read it again; give its path."""
    directory = crashers_of(name)
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, prefix + hashlib.sha256(data).hexdigest()[:16])
    with open(path, "wb") as file:
        file.write(data)
    return path


def command_for(name: str, path: str) -> str:
    """Give the command that reads a kept mutant again."""
    return f"python -m tests.fuzz {name} --again {os.path.relpath(path)}"


def report_lines(report: Report) -> str:
    """Give a report as a line for the process that waits for it."""
    return json.dumps({
        "n_files": report.n_files, "outcomes": dict(report.outcomes), "slowest": report.slowest,
        "failures": report.failures, "ways": dict(report.ways),
    })  # fmt: skip


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _reset_peak() -> int:
    """Let the kernel count the peak anew, where it can; give what is in use now."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
            file.write(_RESET_PEAK)
    return _peak_kb()
