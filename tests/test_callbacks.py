"""HistoryLogger: a log that outlives crashes, restarts and other people's files."""

from __future__ import annotations

import fcntl
import json
import math
import os
import signal
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.history.history import history
from ckread.model.run.run import open_run

if TYPE_CHECKING:
    from ckread.callbacks import HistoryLogger

pytestmark = pytest.mark.oracle

_TRAIN = """
import os, sys, time
import numpy as np
import keras
import tensorflow as tf
from ckread.callbacks import HistoryLogger

folder, way, stall = sys.argv[1], sys.argv[2], sys.argv[3]
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
x = np.random.default_rng(0).standard_normal((32, 4)).astype("float32")
checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
manager = tf.train.CheckpointManager(checkpoint, folder + "/run", max_to_keep=3)
logger = HistoryLogger(folder + "/history.json")


class Saving(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if stall == "stall" and self.epoch == 2 and batch == 2:
            open(folder + "/in_mid_epoch", "w").close()
            time.sleep(600)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        manager.save()


callbacks = [Saving(), logger]
initial_epoch = 0
if way == "backup":
    callbacks.append(keras.callbacks.BackupAndRestore(folder + "/backup"))
else:
    manager.restore_or_initialize()
    initial_epoch = logger.initial_epoch
model.fit(x, x.sum(1), batch_size=8, epochs=5, initial_epoch=initial_epoch,
          validation_data=(x, x.sum(1)), callbacks=callbacks, verbose=0)
"""


def _train(folder: Path, way: str, stall: str) -> subprocess.Popen[bytes]:
    script = folder / "train.py"
    script.write_text(_TRAIN)
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), way, stall],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", ["backup", "checkpoint"])
def test_a_training_that_is_killed_in_mid_epoch_and_resumed(tmp_path: Path, way: str) -> None:
    training = _train(tmp_path, way, "stall")
    while not (tmp_path / "in_mid_epoch").exists():
        assert training.poll() is None, training.communicate()[1].decode()[-2000:]
        time.sleep(0.05)
    training.send_signal(signal.SIGKILL)
    training.communicate()
    path = tmp_path / "history.json"
    before = json.loads(path.read_text())
    assert [record["epoch"] for record in before] == [1, 2]

    resumed = _train(tmp_path, way, "go on")
    _, errors = resumed.communicate()
    assert resumed.returncode == 0, errors.decode()[-2000:]
    after = json.loads(path.read_text())
    assert [record["epoch"] for record in after] == [1, 2, 3, 4, 5]
    assert after[:2] == before
    assert set(after[0]) == {"epoch", "iterations", "loss", "val_loss"}
    assert after[2]["loss"] < before[0]["loss"]

    result = history(path, open_run(tmp_path / "run"))
    assert result.epochs == (1, 2, 3, 4, 5)
    assert result.best is not None
    assert result.best.epoch == 5
    if way == "checkpoint":
        assert result.best.checkpoint == str(tmp_path / "run/ckpt-5")


def _logger(path: Path) -> HistoryLogger:
    from ckread.callbacks import HistoryLogger

    return HistoryLogger(path)


def _records(path: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(path.read_text())
    return records


def test_a_log_is_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that goes down just after must not leave an empty file in place of the log."""
    path = tmp_path / "history.json"
    synced: list[str] = []

    def sync(descriptor: int) -> None:
        data = os.pread(descriptor, 1 << 16, 0)
        assert not path.exists() or path.read_bytes() != data
        synced.append(data.decode())

    monkeypatch.setattr(os, "fsync", sync)
    _logger(path).on_epoch_end(0, {"loss": 3.0})
    assert path.read_text() in synced


def test_epochs_are_appended_and_replaced_never_doubled(tmp_path: Path) -> None:
    path = tmp_path / "new" / "history.json"
    logger = _logger(path)
    assert logger.initial_epoch == 0
    logger.on_epoch_end(0, {"loss": 3.0})
    logger.on_epoch_end(1, {"loss": 2.0})
    again = _logger(path)
    assert again.initial_epoch == 2
    again.on_epoch_end(1, {"loss": 1.5, "val_loss": 4})
    again.on_epoch_end(2, None)
    assert _records(path) == [
        {"epoch": 1, "loss": 3.0},
        {"epoch": 2, "loss": 1.5, "val_loss": 4.0},
        {"epoch": 3},
    ]
    assert os.listdir(path.parent) == ["history.json"]


def test_values_that_are_not_finite_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    logger = _logger(path)
    for epoch, value in enumerate([math.nan, math.inf, -math.inf, 1.0]):
        logger.on_epoch_end(epoch, {"loss": value})
    text = path.read_text()
    json.loads(text, parse_constant=pytest.fail)
    values = history(path).metrics["loss"]
    assert math.isnan(values[0] or 0)
    assert values[1:] == (math.inf, -math.inf, 1.0)


@pytest.mark.parametrize(
    "rows",
    [
        [{"loss": 3.0}, {"loss": 2.0}],
        [{"epoch": 0, "loss": 3.0}, {"epoch": 1, "loss": 2.0}],
        [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0}],
    ],
)
def test_a_plain_list_of_records_is_continued(tmp_path: Path, rows: list[dict[str, float]]) -> None:
    path = tmp_path / "history.json"
    path.write_text(json.dumps(rows))
    logger = _logger(path)
    assert logger.initial_epoch == 2
    logger.on_epoch_end(2, {"loss": 1.0})
    assert json.loads(path.read_text()) == [
        {"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0}, {"epoch": 3, "loss": 1.0},
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["{", '{"loss": [1]}', "[[1]]", "\x00"])
def test_a_file_that_is_no_log_is_kept_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.json"
    for number in (1, 2):
        path.write_text(text)
        with pytest.warns(UserWarning, match=rf"kept aside as .*unreadable-{number}"):
            logger = _logger(path)
        assert (tmp_path / f"history.json.unreadable-{number}").read_text() == text
    logger.on_epoch_end(0, {"loss": 1.0})
    assert _records(path) == [{"epoch": 1, "loss": 1.0}]


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.json"
    logger = _logger(path)
    logger.on_epoch_end(0, {"loss": 1.0})

    def fail(*_: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.warns(UserWarning, match="no room; epochs are kept"):
            logger.on_epoch_end(1, {"loss": 0.5})
        logger.on_epoch_end(2, {"loss": 0.4})  # told once, and the training goes on
    assert _records(path) == [{"epoch": 1, "loss": 1.0}]
    assert os.listdir(tmp_path) == ["history.json"]
    logger.on_epoch_end(3, {"loss": 0.3})
    assert [record["epoch"] for record in _records(path)] == [1, 2, 3, 4]


def test_two_loggers_of_one_file_lose_nothing(tmp_path: Path) -> None:
    first, second = _logger(tmp_path / "h.json"), _logger(tmp_path / "h.json")
    for epoch in range(6):
        (first if epoch % 2 else second).on_epoch_end(epoch, {"loss": float(epoch)})
    assert [record["epoch"] for record in _records(tmp_path / "h.json")] == [1, 2, 3, 4, 5, 6]
    assert second.initial_epoch == 5
    assert os.listdir(tmp_path) == ["h.json"]


class _Stubborn:
    def __str__(self) -> str:
        raise RuntimeError("no text")


VALUES: dict[str, tuple[Any, Any]] = {
    "array": (np.ones(3), [1.0, 1.0, 1.0]),
    "array of one": (np.ones((1, 1)), [[1.0]]),
    "scalar": (np.float32(0.5), 0.5),
    "large array": (np.ones((100, 100)), "(100, 100) of float64"),
    "text": ("warm-up", "warm-up"),
    "none": (None, None),
    "bytes": (b"x", "x"),
    "dict": ({"a": 1}, {"a": 1.0}),
    "list": ([1, "b", math.nan], [1.0, "b", "NaN"]),
    "complex": (1 + 2j, "(1+2j)"),
    "many digits": (10**5000, "a int"),
    "no text": (_Stubborn(), "a _Stubborn"),
    "epoch": (0.5, None),
}


@pytest.mark.parametrize("kind", VALUES)
def test_any_value_may_be_logged(tmp_path: Path, kind: str) -> None:
    value, written = VALUES[kind]
    path = tmp_path / "h.json"
    _logger(path).on_epoch_end(0, {"loss": 1.0, kind: value})
    _logger(path).on_epoch_end(1, {"loss": 0.5, kind: value})
    name, expected = (f"{kind} (metric)", 0.5) if kind == "epoch" else (kind, written)
    assert [record[name] for record in _records(path)] == [expected] * 2
    found = history(path)
    assert (found.epochs, found.metrics["loss"]) == ((1, 2), (1.0, 0.5))


def test_links_and_permissions(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, real = tmp_path / "link.json", tmp_path / "real" / "h.json"
    link.symlink_to(real)
    before = os.umask(0o027)
    try:
        logger = _logger(link)
        logger.on_epoch_end(0, {"loss": 1.0})
        assert stat.S_IMODE(real.stat().st_mode) == 0o640
        real.chmod(0o604)
        logger.on_epoch_end(1, {"loss": 1.0})
    finally:
        os.umask(before)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o604
    assert len(_records(link)) == 2
    assert os.listdir(real.parent) == ["h.json"]


@pytest.mark.parametrize("kind", ["pipe", "directory", "below a file", "device"])
def test_where_nothing_can_be_written_the_training_goes_on(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "h.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        path /= "inner.json"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        logger = _logger(path)
        for epoch in range(3):
            logger.on_epoch_end(epoch, {"loss": 1.0})
    assert len(told) == 1
    assert "epochs are kept" in str(told[0].message)
    assert logger.initial_epoch == 3
    assert os.listdir(tmp_path) == ["h.json"]


def test_a_lock_that_is_never_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckread.callbacks._PATIENCE_SECONDS", 0.01)
    logger = _logger(tmp_path / "h.json")
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.warns(UserWarning, match="others write there all the time"):
        logger.on_epoch_end(0, {"loss": 1.0})
    os.close(descriptor)
    logger.on_epoch_end(1, {"loss": 1.0})
    assert len(_records(tmp_path / "h.json")) == 2


def test_what_a_killed_writer_left_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / ".h.json.partial").write_text("[")
    _logger(tmp_path / "h.json").on_epoch_end(0, {"loss": 1.0})
    assert os.listdir(tmp_path) == ["h.json"]


_WRITE = """
import sys, threading, types, os
keras = types.ModuleType("keras.callbacks")
keras.Callback = type("Callback", (), {"model": None})
sys.modules["keras"], sys.modules["keras.callbacks"] = types.ModuleType("keras"), keras
from ckread.callbacks import HistoryLogger

path, first = sys.argv[1], int(sys.argv[2])

def work(thread):
    logger = HistoryLogger(path)
    epoch = first + thread * 1000
    while True:
        logger.on_epoch_end(epoch, {"loss": 1.0})
        os.write(1, b"%d\\n" % (epoch + 1))  # so far, and what is said of it is true
        epoch += 1

for thread in range(4):
    threading.Thread(target=work, args=(thread,)).start()
"""


@pytest.mark.slow
def test_processes_and_threads_that_write_one_log_and_are_killed(tmp_path: Path) -> None:
    """A minute of it: `CKREAD_LOGGING_SECONDS=60 pytest -k one_log tests/test_callbacks.py`."""
    seconds = float(os.environ.get("CKREAD_LOGGING_SECONDS", "5"))
    path, said = tmp_path / "h.json", tmp_path / "said"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}

    def start(number: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", _WRITE, str(path), str(number * 10_000)]
        with said.open("ab") as out:
            return subprocess.Popen(words, stdout=out, env=environment)

    writers = [start(1), start(2)]
    end, number = time.monotonic() + seconds, 2
    while time.monotonic() < end:
        time.sleep(1)
        victim = writers.pop(0)
        assert victim.poll() is None
        victim.kill()
        victim.wait()
        number += 1
        writers.append(start(number))
    for writer in writers:
        writer.kill()
        writer.wait()
    told = [int(line) for line in said.read_text().splitlines()]
    assert len(told) == len(set(told)) > 5 * seconds
    assert set(told) <= {record["epoch"] for record in _records(path)}
    assert set(os.listdir(tmp_path)) <= {"h.json", "said", ".h.json.partial"}


def test_the_example_of_the_logger_is_true() -> None:
    import doctest

    from ckread import callbacks

    found = doctest.DocTestFinder().find(callbacks.HistoryLogger, "HistoryLogger", module=callbacks)
    runner = doctest.DocTestRunner()
    assert found[0].examples
    assert runner.run(found[0]).failed == 0
