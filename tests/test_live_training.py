"""`drift` beside a training that saves, deletes old checkpoints and overwrites the latest."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.drift.drift import drift
from ckread.analysis.track import track
from ckread.cli.main import main
from ckread.errors import CheckpointError, CheckpointNotFoundError
from ckread.model.run.run import open_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

N_ELEMENTS = 300_000

_TRAIN = f"""
import sys
import tensorflow as tf

folder = sys.argv[1]
step = tf.Variable(0, dtype=tf.int64)
weight = tf.Variable(tf.zeros([{N_ELEMENTS}]))
frozen = tf.Variable(tf.ones([1000]))
checkpoint = tf.train.Checkpoint(step=step, weight=weight, frozen=frozen)
manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=3)
while True:
    step.assign_add(1)
    weight.assign(tf.fill([{N_ELEMENTS}], tf.cast(step, tf.float32)))
    manager.save()
    checkpoint.write(folder + "/latest")
"""


def test_no_crash_and_no_wrong_figure(tmp_path: Path) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    training = subprocess.Popen(
        [sys.executable, "-c", _TRAIN, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        while not (tmp_path / "latest.index").exists():
            assert training.poll() is None
            time.sleep(0.05)
        end = time.monotonic() + 300
        seen = [_look_on(tmp_path) for _ in range(40)]
        while sum(seen) <= 40 and time.monotonic() < end:  # few figures outlive their reading
            seen.append(_look_on(tmp_path))
        assert training.poll() is None
    finally:
        training.kill()
        training.wait()
    assert sum(seen) > 40
    assert len(open_run(tmp_path)) >= 1


def _look_on(folder: Path) -> int:
    """Check every figure of one drift against the step it is listed with."""
    seen = 0
    for paths in (folder, folder / "ckpt-*", [folder / "latest", folder]):
        try:
            run = open_run(paths)
            result = drift(run)
            steps = track(run, "step")
        except CheckpointNotFoundError:
            continue  # every checkpoint went between two looks
        except CheckpointError as error:
            if "latest" not in str(error):  # only what is named by the user may fail alone
                raise
            continue
        for entry, norm in zip(result.checkpoints, result["weight"].l2, strict=True):
            if norm is not None:
                seen += 1
                assert norm == pytest.approx((entry.step or 0) * math.sqrt(N_ELEMENTS))
        assert all(norm in (None, math.sqrt(1000)) for norm in result["frozen"].l2)
        for entry, value in zip(steps.checkpoints, steps.variables[0].values, strict=True):
            assert value in (None, entry.step)
    return seen


# Every command in a loop beside a training that saves every ten milliseconds.

_SMALL = 2_000
_FAST = f"""
import sys, time
import tensorflow as tf

folder = sys.argv[1]
step = tf.Variable(0, dtype=tf.int64)
kernel = tf.Variable(tf.zeros([{_SMALL}, 2]), name="kernel")
checkpoint = tf.train.Checkpoint(step=step, kernel=kernel)
manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=3)
while True:
    begun = time.monotonic()
    step.assign_add(1)
    kernel.assign(tf.fill([{_SMALL}, 2], tf.cast(step, tf.float32)))
    manager.save(checkpoint_number=step)
    checkpoint.write(folder + "/latest")
    time.sleep(max(0.0, begun + 0.01 - time.monotonic()))
"""
_GONE = {"CheckpointNotFoundError", "MissingShardError", "TruncatedFileError"}
"""What a command may say of a checkpoint that went, or is being written, just now."""


def _seconds() -> float:
    return float(os.environ.get("CKREAD_LIVE_SECONDS", "20"))


def test_every_command_beside_a_training_that_saves_every_ten_milliseconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No crash, no false "unsound", no figure of another step than the one it stands beside.

    Ten minutes of it: `CKREAD_LIVE_SECONDS=600 pytest -k ten_milliseconds
    tests/test_live_training.py`.
    """
    monkeypatch.setattr("ckread.readers.files.SETTLING_SECONDS", 0.1)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    training = subprocess.Popen(
        [sys.executable, "-c", _FAST, str(tmp_path)], env=environment, stderr=subprocess.DEVNULL
    )
    seen: Counter[str] = Counter()
    try:
        while not (tmp_path / "latest.index").exists():
            assert training.poll() is None
            time.sleep(0.05)
        end = time.monotonic() + _seconds()
        while time.monotonic() < end:
            for call, check in _CALLS.items():
                steps = [path.stem.removeprefix("ckpt-") for path in tmp_path.glob("ckpt-*.index")]
                newest = max(map(int, steps), default=0)
                places = {"RUN": "", "LATEST": "latest", "ONE": f"ckpt-{newest}"}
                words = [
                    str(tmp_path / places[word]) if word in places else word
                    for word in call.split()
                ]
                code = main([*words, "--json"])
                shown = capsys.readouterr()
                document = json.loads(shown.out)
                assert "fault" not in shown.err + shown.out
                if "error" in document:
                    assert code == 2
                    told = document["error"]
                    is_changed = "changed while it was read" in told["message"]
                    assert told["type"] in _GONE or is_changed, told
                    seen[f"{call}: gone"] += 1
                    continue
                assert code in (0, 1) or call == "stats RUN --every", (call, shown.err)
                check(document)
                seen[call] += 1
        assert training.poll() is None
    finally:
        training.kill()
        training.wait()
    assert all(seen[call] or seen[f"{call}: gone"] for call in _CALLS), seen
    assert sum(seen[call] for call in _CALLS) > 3 * len(_CALLS), seen  # most of them told something


def _shown(document: dict[str, Any]) -> None:
    values = np.array(document["values"])
    assert (values == values.flat[0]).all()


def _measured(document: dict[str, Any]) -> None:
    for variable in document["variables"]:
        if variable["name"] == "kernel":
            assert variable["min"] == variable["max"] == variable["mean"]


def _sound(document: dict[str, Any]) -> None:
    reports = document.get("checkpoints", [document])
    for report in reports:
        assert not [f for f in report["findings"] if f["level"] == "error"], report["findings"]


def _drifted(document: dict[str, Any]) -> None:
    for variable in document["variables"]:
        if variable["name"] == "kernel":
            for entry, norm in zip(document["checkpoints"], variable["l2"], strict=True):
                if norm is not None and entry["step"] is not None:
                    assert norm == pytest.approx(entry["step"] * math.sqrt(2 * _SMALL))


def _tracked(document: dict[str, Any]) -> None:
    for variable in document["variables"]:
        for entry, value in zip(document["checkpoints"], variable["values"], strict=True):
            assert value in (None, entry["step"])


def _listed(document: dict[str, Any]) -> None:
    """Only that it is one."""


_CALLS: dict[str, Callable[[dict[str, Any]], None]] = {
    "info LATEST": _listed,
    "ls ONE": _listed,
    "tree LATEST": _listed,
    "show ONE kernel[:9]": _shown,
    "show LATEST kernel": _shown,
    "stats LATEST": _measured,
    "stats RUN --every": _listed,
    "diff ONE LATEST": _listed,
    "runs RUN": _listed,
    "drift RUN": _drifted,
    "track RUN step": _tracked,
    "check ONE": _sound,
    "check LATEST": _sound,
    "check RUN": _sound,
    "check RUN --every": _sound,
    "loads LATEST": _listed,
    "compat ONE LATEST": _listed,
}
