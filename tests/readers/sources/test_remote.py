"""Checkpoints at addresses: the same screens as of local files, by few requests; faults told."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.cli.main import main
from ckread.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    ChecksumError,
    MissingDependencyError,
    MissingShardError,
    UnsupportedFeatureError,
    UsageError,
)
from ckread.readers.extents import open_shard
from ckread.readers.sources import ranges, remote
from ckread.readers.sources.failures import failure
from ckread.readers.sources.ranges import GAP_NBYTES, SPAN_NBYTES, Ranges, merged
from tests.cli.terminal import Result
from tests.places import FIXTURES, ROOT
from tests.stores import SCHEME, CountedStore, failing, fill, forget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUN = "fixtures/digits_run"
TEN, TWO, THREE = (f"{RUN}/ckpt-{step}" for step in (10, 2, 3))
DATA = ".data-00000-of-00001"


@pytest.fixture(scope="module", autouse=True)
def _store() -> Iterator[None]:
    fill(FIXTURES, *(path.name for path in FIXTURES.iterdir() if path.is_dir()))
    here = os.getcwd()
    os.chdir(ROOT)
    yield
    os.chdir(here)
    CountedStore.store.clear()


@pytest.fixture(autouse=True)
def _new() -> None:
    forget()


def call(*words: str) -> Result:
    """Run ckread in a pipe."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(words))
    return Result(code, out.getvalue(), err.getvalue())


def _asked(words: str) -> tuple[int, int]:
    """Give how many requests a command makes in a new process, and how many bytes come."""
    there = [SCHEME + word if word.startswith("fixtures") else word for word in words.split()]
    assert call(*there).code in (0, 1)
    return len(CountedStore.asked), sum(nbytes for *_, nbytes in CountedStore.asked)


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (f"info {TEN}", 5), (f"ls {TEN}", 3), (f"tree {TEN}", 3),
        (f"diff {TWO} {THREE} --index-only", 8), (f"drift {RUN} --index-only", 2 * 10 + 4),
        (f"show {TEN} conv1/kernel[0]", 6), (f"show {TEN} conv1/kernel[:,::2,0]", 6),
    ],
)  # fmt: skip
def test_requests_are_few(words: str, most: int) -> None:
    assert _asked(words)[0] <= most


def test_info_reads_the_index_and_the_graph() -> None:
    with ckread.open(TEN) as checkpoint:
        [index, _] = checkpoint.files()
        graph = checkpoint.reader.tensors["_CHECKPOINTABLE_OBJECT_GRAPH"]
    assert _asked(f"info {TEN}")[1] <= 3 * ((index.nbytes or 0) + graph.nbytes)


def test_stats_reads_every_byte_once() -> None:
    with ckread.open(TEN) as checkpoint:
        total = sum(file.nbytes or 0 for file in checkpoint.files())
    n_requests, nbytes = _asked(f"stats {TEN}")
    assert nbytes <= 1.02 * total
    assert n_requests <= 8


def test_large_tensors_come_in_pieces_of_8_mib() -> None:
    n = 5 << 20
    header = json.dumps({"w": {"dtype": "F32", "shape": [n], "data_offsets": [0, 4 * n]}}).encode()
    data = struct.pack("<Q", len(header)) + header + np.ones(n, "<f4").tobytes()
    CountedStore.put("/fixtures/large.safetensors", data)
    n_requests, nbytes = _asked("stats fixtures/large.safetensors")
    assert n_requests <= 6
    assert nbytes <= 1.01 * len(data)


def _large(n: int = 10 << 20) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [n], "data_offsets": [0, 4 * n]}}).encode()
    data = struct.pack("<Q", len(header)) + header + np.arange(n, dtype="<f4").tobytes()
    CountedStore.put("/fixtures/large.safetensors", data)


def _values_asked() -> list[int]:
    """Give the bytes of each request but the two for start and end, which detection makes."""
    return [nbytes for kind, _, nbytes in CountedStore.asked if kind == "cat"][2:]


def test_whole_tensors_and_chunks_come_in_pieces_of_8_mib_and_memory_stays_flat() -> None:
    _large()
    for read in (
        lambda variable: variable.numpy(),
        lambda variable: sum(float(chunk[0]) for chunk in variable.chunks()),
        lambda variable: variable[: (9 << 20)],
    ):
        forget()
        with ckread.open(f"{SCHEME}fixtures/large.safetensors") as checkpoint:
            read(checkpoint["w"])
        asked = _values_asked()
        assert min(asked[:4]) == 8 << 20
        assert len(asked) <= 6
        assert ranges._kept.nbytes <= ranges._KEPT_NBYTES


@pytest.mark.parametrize("index", [slice(0, None, 1000), slice(7, 900_000, 3), slice(5, 6)])
def test_strided_slices_take_two_requests(index: slice) -> None:
    _large(3 << 20)
    forget()
    with ckread.open(f"{SCHEME}fixtures/large.safetensors") as checkpoint:
        found = checkpoint["w"][index]
    assert np.array_equal(found, np.arange(3 << 20, dtype="f4")[index])
    assert len(_values_asked()) <= 2


def test_rows_that_lie_far_apart_are_asked_for_at_once() -> None:
    batches: list[int] = []

    def fetch(spans: Sequence[tuple[int, int]]) -> list[bytes | Exception]:
        batches.append(len(spans))
        return [bytes(stop - start) for start, stop in spans]

    file = Ranges(100 << 20, fetch, in_blocks=False)
    rows = [(at << 20, (at << 20) + 400) for at in range(70)]
    file.expect(rows)
    assert all(len(file.read(start, stop - start)) == 400 for start, stop in rows)
    assert batches == [32, 32, 6]
    file.expect([(0, 100 << 20)])
    batches.clear()
    for at in range(0, 100 << 20, 3 << 20):
        file.read(at, 3 << 20)
    assert batches == [4, 4, 4, 1]
    assert ranges._kept.nbytes <= ranges._KEPT_NBYTES


def test_threads_that_share_a_file_ask_for_each_byte_once() -> None:
    asked: list[tuple[int, int]] = []

    def fetch(spans: Sequence[tuple[int, int]]) -> list[bytes | Exception]:
        asked.extend(spans)
        time.sleep(0.001)
        return [bytes(stop - start) for start, stop in spans]

    file = Ranges(64 << 20, fetch, in_blocks=False)

    def job(start: int) -> None:
        ranges.begin_job()
        file.expect([(start, start + (4 << 20))])
        for at in range(start, start + (4 << 20), 1 << 19):
            assert len(file.read(at, 1 << 19)) == 1 << 19

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(job, range(0, 64 << 20, 4 << 20)))
    assert sum(stop - start for start, stop in asked) == 64 << 20


def test_what_is_kept_goes_with_its_thread() -> None:
    file = Ranges(1 << 20, lambda spans: [bytes(b - a) for a, b in spans], in_blocks=True)
    thread = threading.Thread(target=file.read, args=(0, 10))
    thread.start()
    thread.join()
    assert not file._pieces


def test_ranges_are_merged_over_small_gaps() -> None:
    assert merged([(100, 200), (0, 50)]) == [(0, 200)]
    assert merged([(0, 10), (10 + GAP_NBYTES, 20 + GAP_NBYTES)]) == [
        (0, 10), (10 + GAP_NBYTES, 20 + GAP_NBYTES),
    ]  # fmt: skip
    pieces = merged([(5, 5 + 2 * SPAN_NBYTES + 1)])
    assert [stop - start for start, stop in pieces] == [SPAN_NBYTES, SPAN_NBYTES, 1]


@pytest.mark.parametrize("in_blocks", [True, False])
def test_any_reads_give_the_bytes_of_the_file(in_blocks: bool) -> None:
    random = np.random.default_rng(7)
    data = random.bytes(3_000_000)
    ranges = Ranges(len(data), lambda spans: [data[slice(*s)] for s in spans], in_blocks=in_blocks)
    ranges.expect([(1000, 2000), (2500, 900_000), (2_000_000, 2_999_999)])
    for _ in range(300):
        start = int(random.integers(len(data)))
        nbytes = int(random.integers(1, 200_000))
        assert ranges.read(start, nbytes) == data[start : start + nbytes]


def test_statistics_by_threads_and_executors_are_the_same() -> None:
    def figures(path: str, **how: Any) -> list[Any]:
        found = ckread.statistics(path, **how)
        return [one.to_dict() for one in found.variables]

    here = figures(TEN)
    assert figures(SCHEME + TEN, n_jobs=2) == here
    with ThreadPoolExecutor(2) as executor:
        assert figures(SCHEME + TEN, executor=executor) == here


def test_extents_and_checkpoints_travel() -> None:
    with ckread.open(SCHEME + TEN) as checkpoint:
        [extent] = pickle.loads(pickle.dumps(checkpoint["conv1/kernel"].extents() or ()))
        again = pickle.loads(pickle.dumps(checkpoint))
        assert (
            again["conv1/kernel"].numpy().tobytes() == checkpoint["conv1/kernel"].numpy().tobytes()
        )
    with open_shard(extent.path) as shard:
        assert len(shard.pread(extent.offset, extent.nbytes)) == extent.nbytes


def test_file_addresses_are_local_paths() -> None:
    with ckread.open(f"file://{ROOT}/{TEN}") as checkpoint:
        assert checkpoint.path == f"{ROOT}/{TEN}"


# What goes wrong far away.


def _error(words: str) -> str:
    found = call(*words.split())
    assert found.code == 2
    return found.err


class _AnswerError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("https://user:secret@host/?X-Amz-Signature=secret")
        self.status = status


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError("secret"), "access is denied"),
        (_AnswerError(403), "access is denied (403)"),
        (_AnswerError(503), "the server failed (503)"),
        (_AnswerError(418), "the server answered 418"),
        (TimeoutError("secret"), "no answer in time"),
        (ConnectionResetError("secret"), "the server cannot be reached, or broke off"),
        (RuntimeError("secret"), "it cannot be read (RuntimeError)"),
    ],
)
def test_faults_have_their_words_and_no_secret(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PAUSE_SECONDS", 0)
    with failing(lambda path, data: (_ for _ in ()).throw(error)):
        text = _error(f"info {SCHEME}{TEN}")
    assert told in text
    assert "secret" not in text


def test_a_passing_fault_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE_SECONDS", 0)
    n_faults = 0

    def sometimes(path: str, data: bytes) -> bytes:
        nonlocal n_faults
        n_faults += 1
        if n_faults % 3:
            raise TimeoutError
        return data

    with failing(sometimes):
        assert call("ls", SCHEME + TEN).code == 0


def test_some_of_many_ranges_that_fail_come_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSE_SECONDS", 0)
    _large()
    path = f"{SCHEME}fixtures/large.safetensors"
    wanted = ckread.statistics(path).to_dict()
    n_faults = 0

    def sometimes(path: str, data: bytes) -> bytes:
        nonlocal n_faults
        n_faults += 1
        if n_faults % 2:
            raise ConnectionResetError
        return data

    forget()
    with failing(sometimes):
        assert ckread.statistics(path).to_dict() == wanted
    forget()
    with failing(lambda path, data: data[:-1] if len(data) > 1 << 20 else data):
        [found] = ckread.statistics(path).variables
    assert "an answer of 8388607 bytes, 8388608 were asked for" in str(found.error)


def test_a_short_answer_is_told() -> None:
    with failing(lambda path, data: data[:-1]):
        text = _error(f"ls {SCHEME}{TEN}")
    assert "ckpt-10.index: an answer of 2591 bytes, 2592 were asked for" in text
    assert "Try again" in text


def test_a_server_without_ranges() -> None:
    whole = CountedStore.store[f"/{TEN}{DATA}"].getvalue()
    with failing(lambda path, data: whole if path.endswith(DATA) else data):
        assert call("show", SCHEME + TEN, "conv1/bias").code == 0  # small files may come whole
    forget()
    fault = failing(lambda path, data: data + b"more" if path.endswith(DATA) else data)
    told = pytest.raises(UnsupportedFeatureError, match="the server gives whole files only")
    with ckread.open(SCHEME + TEN) as checkpoint, fault, told:
        checkpoint["conv1/bias"].numpy()


def test_damage_is_found_far_away_too() -> None:
    def damaged(path: str, data: bytes) -> bytes:
        return bytes(255 - byte for byte in data) if path.endswith(DATA) else data

    with ckread.open(SCHEME + TEN) as checkpoint, failing(damaged):
        variable = checkpoint["conv1/bias"]
        with pytest.raises(ChecksumError):
            variable.numpy()


def _two(name: str, step: int, tag: str) -> str:
    for suffix in (".index", DATA):
        data = (FIXTURES / "digits_run" / f"ckpt-{step}{suffix}").read_bytes()
        CountedStore.put(f"/runs/{name}{suffix}", data, tag=tag)
    return f"{SCHEME}runs/{name}"


def test_an_object_replaced_while_it_is_read_is_read_anew() -> None:
    path = _two("now", 2, "a")
    with ckread.open(path) as checkpoint, ckread.open(THREE) as later:
        _two("now", 3, "b")
        wanted = later["conv1/kernel"].numpy()
        assert checkpoint["conv1/kernel"].numpy().tobytes() == wanted.tobytes()


def test_a_slice_of_a_replaced_object_is_never_a_mixture() -> None:
    path = _two("sliced", 2, "a")
    with ckread.open(path) as checkpoint, ckread.open(THREE) as later:
        _two("sliced", 3, "b")
        wanted = later["conv1/kernel"][0]
        assert np.array_equal(checkpoint["conv1/kernel"][0], wanted)


def test_a_missing_shard_is_told() -> None:
    path = _two("alone", 2, "a")
    del CountedStore.store[f"/runs/alone{DATA}"]
    with ckread.open(path) as checkpoint, pytest.raises(MissingShardError, match="0 of 1"):
        checkpoint[next(iter(checkpoint))].numpy()


@pytest.mark.parametrize("error", [PermissionError(), NotImplementedError("no lists here")])
def test_a_store_that_lists_nothing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(CountedStore, "ls", refuse)
    assert call("ls", SCHEME + TEN).code == 0
    assert call("runs", f"{SCHEME}{RUN}/").out.count("/ckpt-") == 10
    assert "cannot be listed" in _error(f"info {SCHEME}fixtures/nothing")
    forget()
    monkeypatch.setattr(CountedStore, "info", refuse)
    wanted = "access is denied" if isinstance(error, PermissionError) else "it cannot be read"
    assert wanted in _error(f"info {SCHEME}fixtures/nothing")


def test_chained_addresses() -> None:
    there = call("ls", f"simplecache::{SCHEME}{TEN}")
    assert there.code == 0
    assert there.out.replace(f"simplecache::{SCHEME}", "") == call("ls", TEN).out


def test_nothing_there() -> None:
    with pytest.raises(CheckpointNotFoundError):
        ckread.open(f"{SCHEME}nowhere/ckpt-1")


@pytest.mark.parametrize(
    "address",
    ["https://me:secret@host/ckpt-1", "s3://secret@bucket/ckpt-1", "https://host/x.h5?key=secret"],
)
def test_an_address_with_a_secret_is_refused_without_it(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        ckread.open(address)
    assert "secret" not in f"{caught.value} {caught.value.remedy} {caught.value.path}"


def test_drivers_that_are_not_there() -> None:
    with pytest.raises(MissingDependencyError) as caught:
        ckread.open("gs://bucket/run/ckpt-1")
    assert str(caught.value.remedy) == "pip install gcsfs"
    with pytest.raises(UnsupportedFeatureError, match="no driver of fsspec reads nonsense://"):
        ckread.open("nonsense://bucket/ckpt-1")


class NoCredentialsError(Exception):
    """As a driver calls it."""


@pytest.mark.parametrize(
    ("address", "is_public"),
    [("s3://a/b", True), ("simplecache::s3://a/b", True), ("gs://s3/b", False)],
)
def test_a_public_bucket_of_s3_takes_no_credentials(address: str, is_public: bool) -> None:
    told = failure(address, NoCredentialsError())
    assert told.message == f"{address}: no credentials were found"
    assert ("FSSPEC_S3" in (told.remedy or "")) == is_public


def test_errors_of_drivers_pickle() -> None:
    with pytest.raises(CheckpointError) as caught:
        ckread.open("gs://bucket/run/ckpt-1")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_glob_in_any_part_of_an_address_names_a_run() -> None:
    here = f"{SCHEME}fixtures/globbed"
    for run in ("a", "b", "other"):
        for path in (FIXTURES / "digits_run").glob("ckpt-[12].*"):
            CountedStore.put(f"/fixtures/globbed/{run}/{path.name}", path.read_bytes())
    forget()
    for pattern, runs, names in (
        ("*/ckpt-*", ("a", "b", "other"), ("ckpt-1", "ckpt-2")),
        ("?/ckpt-2", ("a", "b"), ("ckpt-2",)),
        ("[ao]*/ckpt-[1]", ("a", "other"), ("ckpt-1",)),
        ("b/ckpt-*", ("b",), ("ckpt-1", "ckpt-2")),
    ):
        found = ckread.open_run(f"{here}/{pattern}")
        expected = {f"{here}/{run}/{name}" for run in runs for name in names}
        assert {entry.path for entry in found.entries} == expected, pattern
    code, out, _ = call("runs", f"{here}/*/ckpt-*", "--json")
    assert code == 0
    assert len(json.loads(out)["groups"][0]) == 6
    code, _, err = call("runs", f"{here}/*/nope-*")
    assert (code, "no directory" in err) == (2, True)
