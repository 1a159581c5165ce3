"""Jobs over processes and executors: every result once, and clear errors."""

from __future__ import annotations

import gc
import os
import signal
import sys
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from ckread.analysis import workers
from ckread.analysis.workers import WORTH_NBYTES, available_cores, choose_n_jobs, run, run_forked
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
        "Was it killed, or out of memory? One process alone may do: --jobs 1."
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
