"""Who reads values, and how much from afar: clusters that are not as they should be, consent."""

from __future__ import annotations

import io
import os
import pickle
import sys
from argparse import Namespace
from concurrent.futures import CancelledError, Executor, Future
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.analysis.workers import run
from ckread.cli import reading
from ckread.cli.main import main
from ckread.cli.output import Output
from ckread.errors import CheckpointError
from ckread.readers.contract import FileIdentity
from tests.builders import write_bundle
from tests.places import FIXTURES, ROOT
from tests.stores import SCHEME, CountedStore, fill, forget

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEN = str(FIXTURES / "digits_run" / "ckpt-10")
HERE = [*sys.version_info[:2], ckread.__version__]


class _Client:
    """A client of a cluster whose workers and scheduler say what they are."""

    def __init__(self, workers: dict[str, Any], scheduler: Any) -> None:
        self._workers = workers
        self._scheduler = scheduler

    def run(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Ask the workers."""
        return self._workers

    def run_on_scheduler(self, *_: Any) -> Any:
        """Ask the scheduler."""
        if isinstance(self._scheduler, Exception):
            raise self._scheduler
        return self._scheduler


@pytest.mark.parametrize(
    ("workers", "scheduler", "told"),
    [
        ({}, HERE, "the scheduler has no workers"),
        ({"tcp://w:1": [3, 1, "0.1"]}, HERE, "tcp://w:1 has ckread 0.1 in Python 3.1, expected"),
        ({"tcp://w:1": ModuleNotFoundError()}, HERE, "tcp://w:1 has no ckread"),
        ({"tcp://w:1": HERE}, ModuleNotFoundError(), "the scheduler has no ckread"),
        ({"tcp://w:1": HERE}, RuntimeError(), r"does not tell its version \(RuntimeError\)"),
    ],
)
def test_clusters_that_are_not_as_this_machine_is(
    workers: dict[str, Any], scheduler: Any, told: str
) -> None:
    with pytest.raises(CheckpointError, match=told):
        reading._check_versions(_Client(workers, scheduler), "tcp://s:8786")


def test_a_cluster_that_is() -> None:
    reading._check_versions(_Client({"tcp://w:1": tuple(HERE)}, HERE), "tcp://s:8786")


def test_without_distributed(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["stats", TEN, "--scheduler", "tcp://s:8786"]) == 2
    assert "pip install 'ckread[dask]'" in capsys.readouterr().err


def test_jobs_and_scheduler(capsys: Any) -> None:
    assert main(["stats", TEN, "--scheduler", "tcp://s:8786", "--jobs", "2"]) == 2
    assert "only one of them" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "told"),
    [("tcp://127.0.0.1:9", "no scheduler of Dask answers within 1 s"), ("x://y", "expected an")],
)
def test_an_address_nobody_answers(
    address: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(reading, "_ANSWER_SECONDS", 1)
    assert main(["stats", TEN, "--scheduler", address]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) <= 2


# Executors that are not ours.


class Elsewhere(Executor):
    """Does jobs at once, as another machine would: they travel, and files may differ there."""

    def __init__(self, change: Callable[[bool], None] = lambda _: None) -> None:
        self._change = change
        self.largest = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        """Do a job."""
        sent = pickle.dumps((fn, args))
        self.largest = max(self.largest, len(sent))
        function, parts = pickle.loads(sent)
        future: Future[Any] = Future()
        self._change(True)
        future.set_result(function(*parts))
        self._change(False)
        return future


@pytest.mark.parametrize("size", [3, 4000])
@pytest.mark.parametrize("work", [ckread.statistics, ckread.check])
def test_a_worker_that_does_not_see_the_file(
    work: Callable[..., Any], size: int, tmp_path: Path
) -> None:
    prefix = write_bundle(tmp_path / "x", {"w": np.ones(size, "f4")})
    data = f"{prefix}.data-00000-of-00001"

    def change(is_there: bool) -> None:
        os.rename(*((data, data + "_") if is_there else (data + "_", data)))

    with pytest.raises(CheckpointError, match=r"process \d+\) does not read what is here") as told:
        work(prefix, executor=Elsewhere(change))
    assert told.value.path == data
    assert "the same file on every machine" in str(told.value.remedy)


def test_a_worker_that_sees_another_file(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "x", {"w": np.ones(4000, "f4")})
    write_bundle(tmp_path / "y", {"w": np.zeros(4000, "f4")})
    data, other = (f"{tmp_path}/{name}.data-00000-of-00001" for name in "xy")

    def exchange(_: bool) -> None:
        os.rename(data, data + "_")
        os.rename(other, data)
        os.rename(data + "_", other)

    with pytest.raises(CheckpointError, match="a worker does not read what is here"):
        ckread.check(prefix, executor=Elsewhere(exchange))


def test_damage_that_is_here_too_is_damage(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path / "x", {"v": np.ones(4000, "f4"), "w": np.ones(4000, "f4")})
    with open(f"{prefix}.data-00000-of-00001", "r+b") as file:
        file.write(b"damage")
        file.seek(20_000)
        file.write(b"damage")
    assert len(ckread.check(prefix, executor=Elsewhere()).errors) == 2


def test_jobs_that_travel_are_small(tmp_path: Path) -> None:
    for step in range(150):
        write_bundle(tmp_path / f"ckpt-{step}", {f"w{i}": np.ones(1100, "f4") for i in range(20)})
    far = Elsewhere()
    assert ckread.drift(tmp_path, executor=far).to_dict() == ckread.drift(tmp_path).to_dict()
    ckread.statistics_of_run(tmp_path, executor=far)
    assert 0 < far.largest < 100_000


class _Failing(Executor):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        """Fail."""
        future: Future[Any] = Future()
        future.set_exception(self._error)
        return future


class KilledWorker(Exception):
    """As Dask's."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CancelledError(), "the executor gave the work up"),
        (KilledWorker(), r"the executor gave a job up \(KilledWorker\)"),
    ],
)
def test_executors_that_give_up(error: Exception, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        list(run([1, 2], str, executor=_Failing(error)))


def test_faults_of_a_worker_are_raised_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        list(run([1, 2], str, executor=_Failing(ZeroDivisionError())))


# What is read from afar.


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


RUN = f"{SCHEME}fixtures/digits_run"


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Give a function that runs a command on a store, each KiB of which counts as 1 MiB."""
    fill(FIXTURES, "digits_run")
    forget()
    monkeypatch.setattr(reading, "WORTH_TELLING_NBYTES", 256 << 10)
    monkeypatch.setattr(reading, "ASKED_NBYTES", 1 << 20)

    def call(words: str, *, typed: str | None = None, shows: bool = True) -> tuple[int, str]:
        err = io.StringIO()
        monkeypatch.setattr(sys, "stdout", _Terminal() if shows else io.StringIO())
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr(sys, "stdin", io.StringIO() if typed is None else _Terminal(typed))
        return main([*words.split(), "--color", "never", "--no-pager"]), err.getvalue()

    return call


def test_how_much_will_be_read_is_said(far: Callable[..., tuple[int, str]]) -> None:
    code, err = far(f"stats {RUN}/ckpt-10 --role all")
    assert code == 0
    assert err == f"note: 456 KiB at most will be read from {RUN}/ckpt-10.\n"
    code, err = far(f"check {RUN}/ckpt-10")
    assert "; --quick reads no values.\n" in err
    assert far(f"stats {RUN}/ckpt-10 conv1") == (0, "")
    assert far(f"check {RUN}/ckpt-10 --quick") == (0, "")
    assert far(f"drift {RUN} --index-only") == (0, "")
    assert far(f"stats {TEN} --role all") == (0, "")


def test_how_much_show_and_export_read_is_said(
    far: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    data = np.ones((600, 1000), "f4")
    write_bundle(tmp_path / "x", {"w": data})
    for path in tmp_path.glob("x.*"):
        CountedStore.put(f"/large/{path.name}", path.read_bytes())
    told = f"2.29 MiB at most will be read from {SCHEME}large/x."
    for words in ("show {} w", "show {} w --verify", "export {} -o {}/w.npz"):
        command = words.replace("{}/w", f"{tmp_path}/w").replace("{}", f"{SCHEME}large/x")
        shows = "--verify" in words
        code, err = far(command, shows=shows)
        assert code == 2 * shows
        assert told in err
    assert told not in far(f"show {SCHEME}large/x w[0]", shows=False)[1]


def test_very_much_is_asked_for_on_a_terminal(far: Callable[..., tuple[int, str]]) -> None:
    told = (
        f"4.47 MiB at most will be read from {RUN}/ckpt-1 and 9 more; "
        "--index-only reads the indexes, 25.3 KiB, and the object graphs."
    )
    code, err = far(f"drift {RUN} conv1")
    assert code == 2
    assert err == f"note: {told}\nerror: 4.47 MiB were not read.\n--yes reads them.\n"
    CountedStore.asked.clear()
    code, err = far(f"drift {RUN} conv1", typed="n\n")
    assert code == 2
    assert "Read them? [y/N] error: " in err
    assert sum(nbytes for *_, nbytes in CountedStore.asked) < 200_000
    for words, typed, shows in (
        (f"drift {RUN} conv1", "y\n", True),
        (f"drift {RUN} conv1 --yes", None, True),
        (f"drift {RUN} conv1", None, False),
    ):
        code, err = far(words, typed=typed, shows=shows)
        assert code == 0
        assert told in err


def test_the_page_shows_the_note_of_a_large_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = FileIdentity("", 6144, 0)
    monkeypatch.setattr(reading, "file_identity", lambda _: identity)
    paths = [f"s3://runs/large/ckpt-{step}" for step in range(1, 2001)]
    places = reading.Places(paths, "--index-only", is_by_index=True)
    reading.tell_remote(2000 * (720 << 20) + 12_000_000_000, Namespace(yes=True), Output(), places)
    page = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
    assert f"```text\n{capsys.readouterr().err}```" in page


def test_index_only_reads_what_is_said(far: Callable[..., tuple[int, str]]) -> None:
    far(f"drift {RUN} --index-only")
    read = sum(nbytes for kind, path, nbytes in CountedStore.asked if path.endswith(".index"))
    assert read == sum(path.stat().st_size for path in (FIXTURES / "digits_run").glob("*.index"))
