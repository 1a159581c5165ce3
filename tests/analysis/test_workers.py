"""Jobs over processes and executors: every result once, and clear errors."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest

from ckread.analysis import workers
from ckread.analysis.workers import (
    WORTH_NBYTES,
    Work,
    available_cores,
    choose_n_jobs,
    job_nbytes,
    run,
    run_forked,
    this_worker,
)
from ckread.errors import CheckpointError, ChecksumError

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def _square(job: int) -> int:
    return job * job


def _large(job: int) -> bytes:
    return bytes([job]) * 3_000_000


def _process(job: int) -> int:
    return os.getpid()


def _fail(job: int) -> int:
    if job == 3:
        raise ChecksumError("shard: bytes 0 to 4", path="shard", remedy="Copy it again.")
    return job


def _interrupt(job: int) -> int:
    raise KeyboardInterrupt


class _NotPicklable(Exception):
    def __reduce__(self) -> str:
        raise TypeError("no pickle")


def _fail_strangely(job: int) -> int:
    raise _NotPicklable("strange")


def _die(job: int) -> int:
    if job == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def test_in_this_process_in_order() -> None:
    assert list(run([3, 1, 2], _square)) == [(0, 9), (1, 1), (2, 4)]


@needs_fork
@pytest.mark.parametrize("n_children", [1, 2, 5])
def test_forked_every_result_comes_once(n_children: int) -> None:
    jobs = list(range(100))
    assert dict(run_forked(jobs, _square, n_children)) == {job: job * job for job in jobs}


@needs_fork
def test_forked_results_may_be_larger_than_a_pipe() -> None:
    assert dict(run_forked([1, 2, 3], _large, 2)) == {i: _large(i + 1) for i in range(3)}


@needs_fork
def test_forked_work_is_done_elsewhere() -> None:
    pids = {pid for _, pid in run_forked(range(20), _process, 2)}
    assert os.getpid() not in pids


def _children() -> set[str]:
    """Give the processes that this one started: other tests may have left a pool's helper."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")
def test_forked_no_process_is_left_behind() -> None:
    before = _children()
    for _ in run_forked(range(1000), _square, 3):
        assert len(_children() - before) == 3
        break
    gc.collect()
    assert _children() == before


@needs_fork
def test_forked_an_error_comes_with_its_fields_and_place() -> None:
    with pytest.raises(ChecksumError, match="shard: bytes 0 to 4") as caught:
        list(run_forked(range(10), _fail, 2))
    assert caught.value.remedy == "Copy it again."


@needs_fork
def test_forked_an_error_that_does_not_pickle_is_told() -> None:
    with pytest.raises(RuntimeError, match="strange"):
        list(run_forked(range(10), _fail_strangely, 2))


@needs_fork
def test_forked_a_killed_worker_is_an_error() -> None:
    with pytest.raises(CheckpointError, match=r"worker process \d+ died: signal 9") as caught:
        list(run_forked(range(10), _die, 2))
    assert caught.value.remedy == (
        "Was it killed, or out of memory? One process alone may do: n_jobs=1."
    )


@needs_fork
def test_forked_a_worker_that_leaves_is_an_error() -> None:
    with pytest.raises(CheckpointError, match=r"worker process \d+ died: exit status"):
        list(run_forked(range(10), _interrupt, 2))


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_any_executor_will_do(kind: type[Executor]) -> None:
    options = {"mp_context": get_context("spawn")} if kind is ProcessPoolExecutor else {}
    with kind(2, **options) as executor:  # type: ignore[call-arg]
        jobs = list(range(200))
        assert dict(run(jobs, _square, executor=executor)) == {job: job * job for job in jobs}
        with pytest.raises(ChecksumError, match="shard: bytes 0 to 4"):
            list(run(jobs, _fail, executor=executor))


def test_a_broken_executor_is_an_error() -> None:
    executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with executor, pytest.raises(CheckpointError, match="a worker process died"):
        list(run(range(10), _die, executor=executor))


def test_where_a_fork_is_not_safe_processes_are_spawned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_may_fork", lambda: False)
    monkeypatch.setattr(workers, "has_addresses", lambda: False)  # another test may have met one
    found = dict(run(range(4), _process, n_jobs=2))
    assert sorted(found) == [0, 1, 2, 3]
    assert os.getpid() not in found.values()


def test_a_thread_makes_a_fork_unsafe() -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(_square, 1).result()
        assert not workers._may_fork()


def test_processes_are_worth_it_from_a_quarter_of_a_gigabyte_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "has_addresses", lambda: False)
    assert choose_n_jobs(WORTH_NBYTES - 1, None) == 1
    assert choose_n_jobs(WORTH_NBYTES, None) == available_cores()
    assert choose_n_jobs(10, 3) == 3


def test_how_many_jobs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "available_cores", lambda: 3)
    monkeypatch.setattr(workers, "has_addresses", lambda: False)
    assert [choose_n_jobs(0, asked) for asked in (-1, 0, 1, 7)] == [1, 1, 1, 7]
    assert choose_n_jobs(WORTH_NBYTES - 1, None) == 1
    assert choose_n_jobs(WORTH_NBYTES, None) == 3
    monkeypatch.setattr(workers, "has_addresses", lambda: True)
    assert choose_n_jobs(WORTH_NBYTES, None) == 4
    monkeypatch.setattr(workers, "available_cores", lambda: 9)
    assert choose_n_jobs(WORTH_NBYTES, None) == 9
    assert Work().n_workers(1 << 40) == 1
    assert Work(None).n_workers(1 << 40) == 9
    assert Work(executor=Mock(_max_workers=1)).n_workers(0) == 2
    assert Work(executor=Mock(_max_workers=5)).n_workers(0) == 5
    Work().advance(3)


def test_how_large_a_job_may_be() -> None:
    mib = 1 << 20
    assert [job_nbytes(n * mib, 2) for n in (0, 8, 16, 400)] == [mib, mib, 2 * mib, 32 * mib]
    assert job_nbytes(0, 1) == 32 * mib


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 4, 5}, raising=False)
    assert available_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    for told, n in ((6, 6), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda told=told: told)
        assert available_cores() == n


@needs_fork
def test_where_a_fork_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", lambda _: ["1"])
        assert workers._may_fork()
        patch.setattr(os, "listdir", lambda _: ["1", "2"])
        assert not workers._may_fork()
        patch.setattr(os, "listdir", Mock(side_effect=OSError))
        for n in (1, 2):
            patch.setattr(threading, "active_count", lambda n=n: n)
            assert workers._may_fork() == (n == 1)
        patch.setattr(threading, "active_count", lambda: 1)
        patch.setattr(sys, "platform", "darwin")
        assert not workers._may_fork()
    monkeypatch.delattr(os, "fork")
    assert not workers._may_fork()


class Counting(Executor):
    """Does a job when its result is asked for; notes how many were waiting then."""

    def __init__(self) -> None:
        self.waiting: list[Future[object]] = []

    def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args))
        self.waiting.append(future)
        return future


@pytest.mark.parametrize(("n_jobs", "n_ahead"), [(1, 64), (32, 64), (50, 100)])
def test_an_executor_has_enough_to_do_and_not_all(n_jobs: int, n_ahead: int) -> None:
    executor = Counting()
    found: dict[int, int] = {}
    for index, result in run(range(300), _square, executor=executor, n_jobs=n_jobs):
        if not found:
            assert len(executor.waiting) == n_ahead
        found[index] = result
        assert len(executor.waiting) <= n_ahead + len(found)
    assert found == {i: i * i for i in range(300)}
    few = Counting()
    assert dict(run(range(3), _square, executor=few)) == {0: 0, 1: 1, 2: 4}
    assert dict(run([], _square, executor=few)) == {}


def test_what_waits_is_cancelled_when_the_loop_is_left() -> None:
    class Never(Executor):
        futures: ClassVar[list[Future[object]]] = []

        def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
            future: Future[Any] = Future()
            if args == (0,):
                future.set_result(fn(*args))
            self.futures.append(future)
            return future

    found = run(range(5), _square, executor=Never())
    assert next(found) == (0, 0)
    found.close()  # type: ignore[attr-defined]
    assert [future.cancelled() for future in Never.futures] == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("error", "raised", "said"),
    [
        (CancelledError(), CheckpointError, "the executor gave the work up"),
        (type("KilledWorker", (Exception,), {})(), CheckpointError,
         r"the executor gave a job up \(KilledWorker\)"),
        (type("Mine", (type("RayError", (Exception,), {}),), {})(), CheckpointError,
         r"gave a job up \(Mine\)"),
        (KeyError("x"), KeyError, "x"),
        (ChecksumError("damaged"), ChecksumError, "damaged"),
    ],
)  # fmt: skip
def test_what_an_executor_raises(error: Exception, raised: type, said: str) -> None:
    class Failing(Executor):
        def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(error)
            return future

    with pytest.raises(raised, match=said):
        list(run(range(3), _square, executor=Failing()))


def _sleep(job: int) -> int:
    if job:
        time.sleep(60)
    return job


@needs_fork
def test_forked_what_is_at_work_is_ended_when_the_loop_is_left() -> None:
    began = time.monotonic()
    for found in run_forked(range(9), _sleep, 2):
        assert found == (0, 0)
        break
    gc.collect()
    assert time.monotonic() - began < 30


def test_one_job_and_one_process_stay_here() -> None:
    assert dict(run([0, 1], _process)) == {0: os.getpid(), 1: os.getpid()}
    assert dict(run([0], _process, n_jobs=5)) == {0: os.getpid()}


def test_threads_read_from_afar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "has_addresses", lambda: True)
    assert dict(run([0, 1], _process, n_jobs=2)) == {0: os.getpid(), 1: os.getpid()}
    assert dict(run(range(100), _square, n_jobs=3)) == {i: i * i for i in range(100)}


def test_a_worker_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", Mock(get_worker=lambda: Mock(address="tcp:9")))
    assert this_worker() == "tcp:9"
    monkeypatch.setitem(sys.modules, "distributed", Mock(get_worker=Mock(side_effect=ValueError)))
    assert this_worker().endswith(f" (process {os.getpid()})")
    monkeypatch.delitem(sys.modules, "distributed")
    assert this_worker().endswith(f" (process {os.getpid()})")
