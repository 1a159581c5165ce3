"""`drift` beside a training that saves, deletes old checkpoints and overwrites the latest."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from ckread.analysis.drift.drift import drift
from ckread.analysis.track import track
from ckread.errors import CheckpointError, CheckpointNotFoundError
from ckread.model.run.run import open_run

if TYPE_CHECKING:
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
