"""Seams of crafted runs, of the fixtures, of real runs, and of live ones."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.audit.records import seams_by_place
from ckread.analysis.audit.seams import find_seams
from ckread.model.run.run import open_run
from tests.analysis.audit.crafted import Training
from tests.analysis.audit.living import KERAS_RUNS, SEAM, SESSION_RUNS
from tests.places import FIXTURES, REAL, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _without_optimizer(first: Training) -> Training:
    first.began_anew()
    return first.epochs(3)


def _saved_at_once(first: Training) -> Training:
    first.began_anew()
    first.save()
    return first


def _iterations_alone(first: Training) -> Training:
    first.iterations = 0
    return first.epochs(2)


def _slower(first: Training) -> Training:
    first.rate /= 10
    return first.epochs(3)


def _faster(first: Training) -> Training:
    first.rate *= 4
    return first.epochs(3)


def _new_model(first: Training) -> Training:
    return first.restored(Training(first.folder, seed=5)).epochs(3)


def _twice(first: Training) -> Training:
    first.save()
    return first.epochs(1)


def _blank(first: Training) -> Training:
    first.step += 1
    first.iterations += 1
    zero = {f"{n}/{slot}": np.zeros_like(w) for n, w in first.weights.items()
            for slot in ("Adam", "Adam_1")}  # fmt: skip
    first.weights["a/bias"] = first.weights["a/bias"] + np.float32(0.1)
    first.save(**{key.replace("/", "__"): value for key, value in zero.items()})
    return first


def _no_slots(first: Training) -> Training:
    gone = [f"{n}__{slot}" for n in first.weights for slot in ("Adam", "Adam_1")]
    first.step += 1
    first.weights["a/bias"] = first.weights["a/bias"] + np.float32(0.1)
    first.save(**dict.fromkeys([*gone, "beta1_power", "beta2_power"]))
    return first


def _other_optimizer(first: Training) -> Training:
    gone = [f"{n}__{slot}" for n in first.weights for slot in ("Adam", "Adam_1")]
    new = {f"{n}__Momentum": np.ones_like(w) for n, w in first.weights.items()}
    first.step += 1
    first.weights["a/bias"] = first.weights["a/bias"] + np.float32(0.1)
    first.save(**dict.fromkeys([*gone, "beta1_power", "beta2_power"]), **new)
    return first


SEAMS: dict[str, tuple[Callable[[Training], Training], str, str, str]] = {
    "optimizer-reset": (_without_optimizer, "warning", "100 to 20", "model.ckpt-6"),
    "optimizer-reset at once": (_saved_at_once, "warning", "all slots are zero", "model.ckpt-6"),
    "iterations-reset": (_iterations_alone, "warning", "went on (cosine", "model.ckpt-6"),
    "rate-jump": (_slower, "note", "0.003 → 0.0003, once", "model.ckpt-6"),
    "rate-jump up": (_faster, "warning", "0.003 → 0.012, once", "model.ckpt-6"),
    "other-model": (_new_model, "warning", "little in common", "model.ckpt-6"),
    "duplicate": (_twice, "note", "All 13 variables have equal", "model.ckpt-6"),
    "moments-reset": (_blank, "warning", "all 6 slots are zero", "model.ckpt-6"),
    "slots-lost": (_no_slots, "warning", "6 slots before, none after", "model.ckpt-6"),
    "other-optimizer": (_other_optimizer, "warning", "Adam before", "model.ckpt-6"),
}


@pytest.mark.parametrize("name", SEAMS)
def test_a_seam_is_found_named_and_at_its_place(tmp_path: Path, name: str) -> None:
    make, level, figures, after = SEAMS[name]
    make(Training(tmp_path).epochs(5))
    [seam] = find_seams(tmp_path)
    assert seam.code == name.split()[0]
    assert (seam.before.name, seam.after.name) == ("model.ckpt-5", after)
    assert seam.level == level
    assert figures in seam.message
    assert seam.claim.value == f"{seam.code} at {after}"
    assert seam.claim.source


def test_a_run_that_goes_on_from_its_latest_has_none(tmp_path: Path) -> None:
    first = Training(tmp_path).epochs(5)
    first.restored(first.copy()).epochs(3)
    assert find_seams(tmp_path) == ()


def test_back_to_an_older_one(tmp_path: Path) -> None:
    first = Training(tmp_path).epochs(3)
    third = first.copy()
    first.epochs(3).restored(third).epochs(3)
    [seam] = find_seams(tmp_path)
    assert seam.code == "rollback"
    assert seam.after.name == "model.ckpt-7"
    assert "where model.ckpt-4 stands too" in seam.message
    # Steps order a run, and its table; a seam is at the checkpoint that was saved after it.
    names = [entry.name for entry in open_run(tmp_path).entries]
    assert list(seams_by_place([seam], open_run(tmp_path).entries)) == [
        names.index(seam.after.name)
    ]


def test_the_very_weights_of_an_older_one(tmp_path: Path) -> None:
    first = Training(tmp_path).epochs(3)
    third = first.copy()
    first.epochs(2).restored(third).save()
    [seam] = find_seams(tmp_path)
    assert seam.code == "rollback"
    assert "the weights are those of model.ckpt-3, by their checksums" in seam.message


def test_one_step_with_other_values(tmp_path: Path) -> None:
    """Without powers the step alone counts, and it stands where it stood."""
    first = Training(tmp_path)
    gone = dict.fromkeys(("beta1_power", "beta2_power"))
    for _ in range(3):
        first.epochs(1)
        first.n_saved -= 1
        first.save(**gone)
    older = first.copy()
    older.epochs(0)
    first.weights = {n: w + np.float32(0.01) for n, w in first.weights.items()}
    first.v = {n: v + np.float32(0.01) for n, v in first.v.items()}
    first.save(**gone)
    [seam] = find_seams(tmp_path)
    assert seam.code == "trained-twice"
    assert "stand at step 60" in seam.message


def test_slots_that_came(tmp_path: Path) -> None:
    _no_slots(Training(tmp_path)).epochs(3)
    [seam] = find_seams(tmp_path)
    assert (seam.code, seam.level, seam.after.name) == ("slots-came", "note", "model.ckpt-2")


def test_a_rate_that_falls_and_falls_is_a_schedule(tmp_path: Path) -> None:
    first = Training(tmp_path).epochs(2)
    for _ in range(3):
        first.rate /= 10
        first.epochs(2)
    assert find_seams(tmp_path) == ()


def test_indexes_alone_tell_copies(tmp_path: Path) -> None:
    _twice(Training(tmp_path).epochs(5))
    for path in tmp_path.glob("*.data-*"):
        path.unlink()
    assert [seam.code for seam in find_seams(tmp_path)] == ["duplicate"]


@pytest.mark.parametrize("name", ["digits_run", "schedule_run"])
def test_no_false_alarm_on_fixtures(name: str) -> None:
    assert find_seams(FIXTURES / name) == ()


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="no real checkpoints here")
def test_no_false_alarm_on_real_runs() -> None:
    folders = {path.parent for path in REAL.rglob("*.index") if path.parent.name != "variables"}
    found: list[Any] = [find_seams(folder) for folder in sorted(folders)]
    assert not any(found)


_LIVE = """
import sys
from pathlib import Path
from tests.analysis.audit.living import make_all
for folder, _ in make_all(Path(sys.argv[1])):
    pass
"""


@pytest.mark.slow
@pytest.mark.oracle
def test_live_programs(tmp_path: Path) -> None:
    """Keras 3, Keras 2 and sessions, resumed rightly and wrongly."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", _LIVE, str(tmp_path)], env=environment, check=True,
        capture_output=True,
    )  # fmt: skip
    expected = {f"v1_{name}": codes for name, (_, codes) in SESSION_RUNS.items()}
    for library in ("keras", "tf_keras"):
        expected |= {f"{library}_{name}": codes for name, (_, codes) in KERAS_RUNS.items()}
    found = {
        folder.name: [(str(seam.code), seam.after.name) for seam in find_seams(folder)]
        for folder in sorted(tmp_path.iterdir())
    }
    assert found == {name: [(code, SEAM) for code in codes] for name, codes in expected.items()}
