"""Work spread over cores or machines: `run(jobs, worker)` yields results as they come.

    for index, result in run(jobs, worker, n_jobs=4):
        merge(jobs[index], result)

A job is a small value that says which bytes to read (see `segments`), a worker a
module-level function that reads them and gives a small result: both pickle, so
any `concurrent.futures.Executor` will do, one that reaches other machines too.

    run(jobs, worker)                      in this process, one after the other
    run(jobs, worker, n_jobs=4)            four processes of our own
    run(jobs, worker, executor=executor)   whatever the executor offers

Results come in the order in which they are done, each once, with the index of
its job; a caller merges them so that the order does not matter, and need not
keep them: nothing here holds more than a few results at a time.

An exception of a worker is raised here and ends the work. A worker that expects
damaged files therefore catches `CheckpointError` and gives it as a result.
`KeyboardInterrupt`, an exception, or leaving the loop early stop the processes.

Own processes are forked (`forked`), which takes a millisecond, where that is
safe: on a system that can, from a process with a single thread. Elsewhere they
are spawned, and then, as with every spawned pool, the program's main module must
be importable (`if __name__ == "__main__":`).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeVar

from ckread.analysis.forked import run_forked
from ckread.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor, Future

Job = TypeVar("Job")
Result = TypeVar("Result")

WORTH_NBYTES = 256 * 1000 * 1000
"""Bytes below which one process is done before others would have helped."""

_AHEAD = 64
"""Jobs that are handed to an executor before the first result is back."""


def available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_n_jobs(nbytes: int, asked: int | None) -> int:
    """Give how many processes to use: what was asked for, else what the bytes are worth."""
    if asked is not None:
        return max(1, asked)
    return available_cores() if nbytes >= WORTH_NBYTES else 1


def run(
    jobs: Sequence[Job],
    worker: Callable[[Job], Result],
    *,
    n_jobs: int = 1,
    executor: Executor | None = None,
) -> Iterator[tuple[int, Result]]:
    """Yield (index of the job, its result) for every job, in the order they are done.

    Raises:
        CheckpointError: a worker process died, killed by a signal or out of memory.
    """
    if executor is not None:
        yield from _run_in(executor, jobs, worker)
    elif n_jobs == 1 or len(jobs) < 2:
        yield from ((index, worker(job)) for index, job in enumerate(jobs))
    elif _may_fork():
        yield from run_forked(jobs, worker, min(n_jobs, len(jobs)))
    else:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        with ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn")) as pool:
            yield from _run_in(pool, jobs, worker)


def _may_fork() -> bool:
    """Tell whether a fork is safe: no other thread may hold a lock that a child needs."""
    if not hasattr(os, "fork") or sys.platform == "darwin":
        return False
    import threading

    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return threading.active_count() == 1


def _run_in(
    executor: Executor, jobs: Sequence[Job], worker: Callable[[Job], Result]
) -> Iterator[tuple[int, Result]]:
    from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait

    waiting: dict[Future[Result], int] = {}
    upcoming = iter(enumerate(jobs))
    try:
        for index, job in upcoming:
            waiting[executor.submit(worker, job)] = index
            if len(waiting) >= _AHEAD:
                break
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
                for index, job in upcoming:
                    waiting[executor.submit(worker, job)] = index
                    break
    except BrokenExecutor as error:
        remedy = "Was it killed, or out of memory? One process alone may do: --jobs 1."
        raise CheckpointError(f"a worker process died: {error}", remedy=remedy) from None
    finally:
        for future in waiting:
            future.cancel()
