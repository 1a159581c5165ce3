"""Saves that were really interrupted, and what a check says of what they leave."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from ckread.analysis.check.check import check
from ckread.analysis.findings import Code
from ckread.errors import CheckpointError
from ckread.views.check import verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ckread.analysis.check.findings import CheckReport

SAVING = """
import os, resource, signal, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
checkpoint = tf.train.Checkpoint(v=[tf.Variable(tf.random.normal([1 << 20])) for _ in range(4)])
if len(sys.argv) > 2:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
for step in range(2):
    checkpoint.write(os.path.join(sys.argv[1], f"ckpt-{step}"))
"""
TORN = "this checkpoint is being written, or its save was cut short."


def _words(*arguments: str) -> list[str]:
    return [sys.executable, "-c", SAVING, *arguments]


def _killed_in_the_data(folder: Path) -> None:
    """Save into files of 5 MiB at most: the kernel kills the writer amid the data."""
    words = _words(str(folder), str(5 << 20))
    done = subprocess.run(words, stderr=subprocess.DEVNULL, timeout=120, check=False)
    assert done.returncode == -signal.SIGXFSZ
    [temporary] = folder.glob("ckpt-0_temp/*.tempstate*")
    assert 0 < temporary.stat().st_size <= 5 << 20


def _killed_before_the_index(folder: Path) -> None:
    """Kill a writer that has put its data in place, and waits for someone to read its index."""
    index = folder / "ckpt-0.index"
    os.mkfifo(index)
    writer = subprocess.Popen(_words(str(folder)), stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while not (folder / "ckpt-0.data-00000-of-00001").exists():
            assert writer.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        writer.kill()
        writer.wait()
    assert writer.returncode == -signal.SIGKILL
    index.unlink()
    assert (folder / "ckpt-0.data-00000-of-00001").stat().st_size > 16 << 20


@pytest.mark.slow
@pytest.mark.oracle
@pytest.mark.parametrize("kill", [_killed_in_the_data, _killed_before_the_index])
def test_a_save_that_was_killed(kill: Callable[[Path], None], tmp_path: Path) -> None:
    kill(tmp_path)
    left = [path.name for path in tmp_path.iterdir() if path.name.endswith("_temp")]
    assert left == ["ckpt-0_temp"]
    report = check(tmp_path / "ckpt-0")
    assert verdict(report) == ("unsound", TORN)
    assert report.errors[0].code is Code.NO_INDEX
    told = {finding.place for finding in report.findings if finding.code is Code.LEFTOVERS}
    assert told == set(left)


def _listed(path: Path) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs the rights of root")
    words = [mount, "-t", "tmpfs", "-o", "size=10m", "tmpfs", str(folder)]
    if subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("this system does not allow a tmpfs to be mounted")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


@pytest.mark.slow
@pytest.mark.oracle
def test_a_disk_that_was_full(small_disk: Path) -> None:
    done = subprocess.run(
        _words(str(small_disk)), stderr=subprocess.DEVNULL, timeout=120, check=False
    )
    assert done.returncode != 0
    reports: list[CheckReport] = []
    for name in {name.partition(".")[0].partition("_temp")[0] for name in _listed(small_disk)}:
        try:
            reports.append(check(small_disk / name))
        except CheckpointError:
            continue
    assert reports, "nothing was left to be told about"
    assert all(report.sound is False for report in reports)
    assert [verdict(report)[1] for report in reports] == [TORN] * len(reports)
