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

from ckread.analysis.check import check
from ckread.analysis.findings import CheckReport, Code
from ckread.errors import CheckpointError
from ckread.views.check_verdict import verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SAVING = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
variables = [tf.Variable(tf.random.normal([1024, 1024, int(sys.argv[2])])) for _ in range(2)]
checkpoint = tf.train.Checkpoint(v=variables)
for step in range(200):
    checkpoint.write(os.path.join(sys.argv[1], f"ckpt-{step}"))
    if step > 1:
        for name in os.listdir(sys.argv[1]):
            if name.startswith(f"ckpt-{step - 1}."):
                os.remove(os.path.join(sys.argv[1], name))
"""
TORN = "this checkpoint is being written, or its save was cut short."


def _is_writing_temporary(names: list[str], folder: Path) -> bool:
    return any("tempstate" in part for name in names if name.endswith("_temp")
               for part in _listed(folder / name))  # fmt: skip


def _has_data_alone(names: list[str], folder: Path) -> bool:
    prefixes = {name.partition(".data-")[0] for name in names if ".data-" in name}
    return any(f"{prefix}.index" not in names for prefix in prefixes)


def _listed(path: Path) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _killed_when(folder: Path, is_reached: Callable[[list[str], Path], bool]) -> bool:
    """Save again and again until a state is seen; kill the writer in it."""
    words = [sys.executable, "-c", SAVING, str(folder), "8"]
    writer = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and writer.poll() is None:
            if is_reached(_listed(folder), folder):
                writer.send_signal(signal.SIGKILL)
                writer.wait()
                return bool(is_reached(_listed(folder), folder))
        return False
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.oracle
@pytest.mark.parametrize("state", [_is_writing_temporary, _has_data_alone])
def test_a_save_that_was_killed(state: Callable[[list[str], Path], bool], tmp_path: Path) -> None:
    if not _killed_when(tmp_path, state):
        pytest.skip("the writer was not caught in this state")
    names = _listed(tmp_path)
    torn = {name.partition("_temp")[0].partition(".data-")[0] for name in names}
    torn = {prefix for prefix in torn if f"{prefix}.index" not in names and "." not in prefix}
    assert torn
    for prefix in torn:
        report = check(tmp_path / prefix)
        assert verdict(report) == ("unsound", TORN)
        assert report.errors[0].code is Code.NO_INDEX
    left = [name for name in names if name.endswith("_temp")]
    told = {finding.place for finding in report.findings if finding.code is Code.LEFTOVERS}
    assert told == set(left)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs the rights of root")
    words = [mount, "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    if subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("this system does not allow a tmpfs to be mounted")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


@pytest.mark.oracle
def test_a_disk_that_was_full(small_disk: Path) -> None:
    words = [sys.executable, "-c", SAVING, str(small_disk), "8"]
    done = subprocess.run(words, stderr=subprocess.DEVNULL, timeout=120, check=False)
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
