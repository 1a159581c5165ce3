"""A Dask cluster of two processes: every figure as of one process, whatever happens to a worker.

    python -m tests.cluster FOLDER…

Run by `readers/sources/test_servers.py` on paths and addresses; prints what held.
"""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

from fsspec.core import url_to_fs

import ckread
from ckread.cli.main import main
from ckread.cli.output import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = "{}/digits_run"
FOUR = [
    f"stats {RUN}/ckpt-10", f"drift {RUN} conv1", f"diff {RUN}/ckpt-2 {RUN}/ckpt-3",
    f"check {RUN}/ckpt-10",
]  # fmt: skip
WORDS = [
    *FOUR, f"stats {RUN} conv1/kernel --every", f"check {RUN} --every", f"optimizer {RUN}/ckpt-10",
    f"optimizer {RUN} --every", "stats {}/digits_files/digits.keras",
]  # fmt: skip


def call(*words: str) -> tuple[int, str, str]:
    """Run a command line; give its exit code and both streams."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(list(words))
    return code, out.getvalue(), err.getvalue()


def write_large(folder: str, nbytes: int) -> str:
    """Write a file of one tensor that makes many jobs."""
    size = {"dtype": "F32", "shape": [nbytes // 4], "data_offsets": [0, nbytes]}
    header = json.dumps({"w": size}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(range(64)) * (nbytes // 64)
    system, path = url_to_fs(f"{folder}/large.safetensors")
    system.pipe_file(path, data)
    return f"{folder}/large.safetensors"


def _at_first(act: Callable[[], None]) -> Callable[..., None]:
    """Give a function that acts when it is first called, and then no more."""
    acts = [act]

    def once(*_: Any) -> None:
        if acts:
            acts.pop()()

    return once


def _run(folders: list[str], large: list[str]) -> None:
    from distributed import Client, LocalCluster

    with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        for folder in folders:
            for words in FOUR if "://" in folder else WORDS:
                command = [*words.replace("{}", folder).split(), "--json"]
                if call(*command, "--scheduler", address) == call(*command):
                    print("same", words)
        with Client(cluster) as client:
            for path in large:
                kill = _at_first(
                    lambda: os.kill(client.run(os.getpid).popitem()[1], signal.SIGKILL)
                )
                found = ckread.statistics(path, executor=client.get_executor(), progress=kill)
                if found.to_dict() == ckread.statistics(path).to_dict():
                    print("same without a worker")
            advance = ProgressBar.__call__
            interrupt = _at_first(lambda: signal.raise_signal(signal.SIGINT))
            ProgressBar.__call__ = interrupt  # type: ignore[method-assign]
            code, *_ = call("stats", large[0], "--scheduler", address)
            ProgressBar.__call__ = advance  # type: ignore[method-assign]
            print("interrupted", code, client.run_on_scheduler(_n_tasks), "tasks left")


def _n_tasks(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        far = [place for place in sys.argv[1:] if "://" in place]
        _run(sys.argv[1:], [write_large(folder, 32 << 20), *(write_large(p, 8 << 20) for p in far)])
