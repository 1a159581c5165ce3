"""Work spread over cores or machines: `run(jobs, worker)` yields results as they come.

    for index, result in run(jobs, worker, n_jobs=4):
        merge(jobs[index], result)

A job is a small value that says which bytes to read (see `scan`), a worker a
module-level function that reads them and gives a small result: both pickle, so
any `concurrent.futures.Executor` will do, one that reaches other machines too.

    run(jobs, worker)                      in this process, one after the other
    run(jobs, worker, n_jobs=4)            four processes of our own
    run(jobs, worker, executor=executor)   whatever the executor offers: threads, MPI, Dask

Results come in the order in which they are done, each once, with the index of
its job; a caller merges them so that the order does not matter, and need not
keep them: nothing here holds more than a few results at a time.

An exception of a worker is raised here and ends the work. A worker that expects
damaged files therefore catches `CheckpointError` and gives it as a result.
`KeyboardInterrupt`, an exception, or leaving the loop early stop the processes.

Own processes are forked (see below), which takes a millisecond, where that is
safe: on a system that can, from a process with a single thread. Elsewhere they
are spawned, and then, as with every spawned pool, the program's main module must
be importable (`if __name__ == "__main__":`). Forked ones live for one list of jobs:

    parent ── job numbers, 4 bytes each ──▶ child
    parent ◀── 8 bytes of length, pickle ── child

A child inherits the jobs and the worker by the fork, so only numbers go to it.
Each has two job numbers in hand, so it never waits for the parent. It ends when
its pipe of numbers closes, also if the parent is killed; SIGINT is the parent's
business. Starting two takes about a millisecond, a `ProcessPoolExecutor` six.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import sys
import traceback
from collections import deque
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ckread.errors import CheckpointError, by
from ckread.readers.files import has_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor, Future
    from typing import NoReturn


Job = TypeVar("Job")
Result = TypeVar("Result")

WORTH_NBYTES = 256 * 1000 * 1000
"""Bytes below which one process is done before others would have helped."""

_N_FROM_AFAR = 4
"""Threads that read from afar, at least: they wait more than they compute."""

_AHEAD = 64
"""Jobs that are handed to an executor before the first result is back, at least."""
_GIVEN_UP = ("KilledWorker", "FutureCancelledError", "CommClosedError", "MPIError", "RayError")
"""What executors of others raise, each by a class of its own, where a job cannot be finished."""


def _alone() -> str:
    """Say what may do where several processes did not."""
    one = by("--jobs 1", "n_jobs=1")
    return f"Was it killed, or out of memory? One process alone may do: {one}."


def available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose_n_jobs(nbytes: int, asked: int | None) -> int:
    """Give how many processes to use: what was asked for, else what the bytes are worth."""
    if asked is not None:
        return max(1, asked)
    if nbytes < WORTH_NBYTES:
        return 1
    return max(_N_FROM_AFAR, available_cores()) if has_addresses() else available_cores()


def workers_of(executor: Executor) -> int:
    """Give how many jobs an executor works on at a time; a guess where it does not say."""
    n: object = getattr(executor, "_max_workers", None)  # of those of the standard library
    if isinstance(n, int):
        return n
    client: Any = getattr(executor, "_client", None)  # of Dask
    threads = client.nthreads() if hasattr(client, "nthreads") else {}
    return sum(threads.values()) or _MANY_WORKERS


MAX_JOB_NBYTES = 32 << 20
_MIN_JOB_NBYTES = 1 << 20
_JOBS_OF_A_WORKER = 4
_MANY_WORKERS = 32


def job_nbytes(nbytes: int, n_workers: int) -> int:
    """Give how many of all bytes one job may read: several jobs a worker, so that none waits."""
    if n_workers == 1:
        return MAX_JOB_NBYTES
    return max(_MIN_JOB_NBYTES, min(MAX_JOB_NBYTES, nbytes // (_JOBS_OF_A_WORKER * n_workers)))


class Work(NamedTuple):
    """How much of the machine an analysis uses.

    Attributes:
        n_jobs: processes; None for as many as the bytes are worth.
        executor: where jobs run instead.
        progress: told the number of bytes that were read, as they are.
    """

    n_jobs: int | None = 1
    executor: Executor | None = None
    progress: Callable[[int], None] | None = None

    def n_workers(self, nbytes: int) -> int:
        """Give how many jobs are worked on at a time, for so many bytes."""
        if self.executor is not None:  # of one too jobs are to be small: they travel
            return max(2, workers_of(self.executor))
        return choose_n_jobs(nbytes, self.n_jobs)

    def advance(self, nbytes: int) -> None:
        """Tell that so many bytes more were read."""
        if self.progress is not None:
            self.progress(nbytes)


ALONE = Work()
"""In this process."""


def run(
    jobs: Sequence[Job],
    worker: Callable[[Job], Result],
    *,
    n_jobs: int = 1,
    executor: Executor | None = None,
) -> Iterator[tuple[int, Result]]:
    """Yield (index of the job, its result) for every job, in the order they are done."""
    if executor is not None:
        yield from _run_in(executor, jobs, worker, max(_AHEAD, 2 * n_jobs))
    elif n_jobs == 1 or len(jobs) < 2:
        yield from ((index, worker(job)) for index, job in enumerate(jobs))
    elif has_addresses():  # drivers have threads, and wait more than they compute
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(n_jobs) as threads:
            yield from _run_in(
                threads, jobs, copy(worker), _AHEAD
            )  # without the files that are open
    elif _may_fork():
        yield from run_forked(jobs, worker, min(n_jobs, len(jobs)))
    else:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        with ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn")) as pool:
            yield from _run_in(pool, jobs, worker, _AHEAD)


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
    executor: Executor, jobs: Sequence[Job], worker: Callable[[Job], Result], n_ahead: int
) -> Iterator[tuple[int, Result]]:
    from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, wait

    waiting: dict[Future[Result], int] = {}
    upcoming = iter(enumerate(jobs))
    try:
        for index, job in upcoming:
            waiting[executor.submit(worker, job)] = index
            if len(waiting) >= n_ahead:
                break
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
                for index, job in upcoming:
                    waiting[executor.submit(worker, job)] = index
                    break
    except BrokenExecutor as error:
        raise CheckpointError(f"a worker process died: {error}", remedy=_alone()) from None
    except CancelledError:
        remedy = "Is its scheduler still there? Run it again."
        raise CheckpointError("the executor gave the work up", remedy=remedy) from None
    except Exception as error:
        if not {kind.__name__ for kind in type(error).__mro__}.isdisjoint(_GIVEN_UP):
            found = f"the executor gave a job up ({type(error).__name__})"
            remedy = "Its workers died of it, one after the other: are they out of memory?"
            raise CheckpointError(found, remedy=remedy) from None
        raise
    finally:
        for future in waiting:
            future.cancel()


_IN_HAND = 2
_NUMBER_NBYTES = 4
_LENGTH_NBYTES = 8


def run_forked(
    jobs: Sequence[Job], worker: Callable[[Job], Result], n_children: int
) -> Iterator[tuple[int, Result]]:
    """Yield (index of the job, its result) from forked processes, as they are done."""
    children: list[_Child] = []
    upcoming = iter(range(len(jobs)))
    try:
        for _ in range(n_children):
            children.append(_Child(jobs, worker, children))
        with selectors.DefaultSelector() as selector:
            for child in children * _IN_HAND:
                child.hand_over(upcoming)
            for child in children:
                selector.register(child.results, selectors.EVENT_READ, child)
            while any(child.pending for child in children):
                for key, _ in selector.select():
                    child = key.data
                    result = child.receive()
                    index = child.pending.popleft()
                    child.hand_over(upcoming)
                    yield index, result
    finally:
        for child in children:
            child.stop()
        for child in children:
            child.wait()


class _Child:
    """A forked process, as its parent sees it.

    Attributes:
        numbers: the pipe that takes numbers of jobs.
        results: the pipe that gives what came of them.
        pending: numbers of the jobs that it has.
    """

    def __init__(
        self, jobs: Sequence[Job], worker: Callable[[Job], Result], older: Sequence[_Child]
    ) -> None:
        child_numbers, self.numbers = os.pipe()
        self.results, child_results = os.pipe()
        self.pending: deque[int] = deque()
        self._pid = os.fork()
        if self._pid == 0:
            # A pipe closes only when no process holds its other end any more.
            for child in (self, *older):
                os.close(child.numbers)
                os.close(child.results)
            _serve(child_numbers, child_results, jobs, worker)
        os.close(child_numbers)
        os.close(child_results)

    def hand_over(self, upcoming: Iterator[int]) -> None:
        """Give it the next job, if there is one."""
        for index in upcoming:
            self.pending.append(index)
            try:
                os.write(self.numbers, index.to_bytes(_NUMBER_NBYTES, "little"))
            except BrokenPipeError:
                raise self._death() from None
            return

    def receive(self) -> Any:
        """Take a result, or raise what was raised in its place."""
        length = int.from_bytes(self._read(_LENGTH_NBYTES), "little")
        is_result, answer = pickle.loads(self._read(length))
        if not is_result:
            raise answer
        return answer

    def _read(self, nbytes: int) -> bytearray:
        received = bytearray()
        while len(received) < nbytes:
            part = os.read(self.results, nbytes - len(received))
            if not part:
                raise self._death()
            received += part
        return received

    def _death(self) -> CheckpointError:
        _, status = os.waitpid(self._pid, 0)
        pid, self._pid = self._pid, 0
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {status}"
        return CheckpointError(f"worker process {pid} died: {how}", remedy=_alone())

    def stop(self) -> None:
        """Close its pipes, which ends it; in the middle of a job it is killed."""
        os.close(self.numbers)
        os.close(self.results)
        if self.pending and self._pid:
            os.kill(self._pid, signal.SIGTERM)

    def wait(self) -> None:
        """Wait for its end."""
        if self._pid:
            os.waitpid(self._pid, 0)


def _serve(
    numbers: int, results: int, jobs: Sequence[Job], worker: Callable[[Job], Result]
) -> NoReturn:
    """Be the child: never returns into the code that forked, whatever happens."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        while number := os.read(numbers, _NUMBER_NBYTES):
            try:
                job = jobs[int.from_bytes(number, "little")]
                payload = pickle.dumps((True, worker(job)), protocol=5)
            except Exception as error:
                error.add_note("In a worker process:\n" + traceback.format_exc())
                try:
                    payload = pickle.dumps((False, error))
                except Exception:
                    payload = pickle.dumps((False, RuntimeError(traceback.format_exc())))
            unsent = memoryview(len(payload).to_bytes(_LENGTH_NBYTES, "little") + payload)
            while unsent:
                unsent = unsent[os.write(results, unsent) :]
    finally:
        os._exit(0)


def this_worker() -> str:
    """Name this process to whoever gave it work: as Dask does, or by machine and number."""
    dask: Any = sys.modules.get("distributed")
    try:
        return str(dask.get_worker().address)
    except (AttributeError, ValueError):
        import socket

        return f"{socket.gethostname()} (process {os.getpid()})"
