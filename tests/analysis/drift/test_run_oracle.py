"""Every run there is, fixtures and real ones: drift and track against numpy over TensorFlow."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckread.analysis.drift.drift import drift
from ckread.analysis.track import track
from ckread.model.checkpoint import Checkpoint
from ckread.model.role import Role
from ckread.model.run.run import Run, open_run
from ckread.readers.contract import DataType
from tests.places import FIXTURES, REAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckread.analysis.drift.records import VariableDrift

pytestmark = pytest.mark.oracle

EVERY_ROLE = set(Role) - {Role.BOOKKEEPING}


def _real_runs() -> list[str]:
    """Give the real directories of two checkpoints or more, and the trials of a search."""
    if not REAL.exists():
        return []
    folders = [path.parent for path in REAL.rglob("*.index") if "index_only" not in path.parts]
    several = sorted({str(folder) for folder in folders if folders.count(folder) > 1})
    return [*several, str(REAL / "tensorflow__tfx/*iris_tuning__trial_*epoch_0*")]


RUNS = [str(FIXTURES / "digits_run"), str(FIXTURES / "schedule_run"), *_real_runs()]


def _models(typed: str) -> list[Run]:
    """Give a run for each model of a directory, the smaller ones by their paths."""
    run = open_run(typed)
    others = [open_run([entry.path for entry in found.entries]) for found in run.others]
    assert [len(other) for other in others] == [len(found.entries) for found in run.others]
    assert not any(other.others for other in others)
    return [run, *others]


@cache
def _reader(prefix: str) -> Any:
    import tensorflow as tf

    return tf.train.load_checkpoint(prefix)


def _values(run: Run, name: str) -> list[NDArray[Any] | None]:
    """Give a variable in each checkpoint as TensorFlow reads it; None where it is absent."""
    found = []
    for entry, checkpoint in zip(run.entries, _opened(run), strict=True):
        variable = checkpoint.get(name)
        reader = _reader(entry.path)
        found.append(None if variable is None else reader.get_tensor(variable.key))
    return found


def _opened(run: Run) -> list[Checkpoint]:
    return [found for _, found in run.opened() if isinstance(found, Checkpoint)]


@pytest.mark.parametrize("typed", RUNS)
def test_steps_rise_and_are_those_that_tensorflow_reads(typed: str) -> None:
    for run in _models(typed):
        expected = []
        for entry in run.entries:
            reader = _reader(entry.path)
            keys = [key for key in reader.get_variable_to_shape_map() if _is_step(key)]
            number = re.search(r"(\d+)\D*\Z", entry.name)
            named = int(number[1]) if number else None
            expected.append(int(reader.get_tensor(keys[0])) if len(keys) == 1 else named)
        known = [step for step in expected if step is not None]
        assert list(run.steps) == expected
        assert known == sorted(known)


def _is_step(key: str) -> bool:
    return key in ("global_step", "save_counter/.ATTRIBUTES/VARIABLE_VALUE")


@pytest.mark.parametrize("typed", RUNS)
def test_drift_equals_numpy(typed: str) -> None:
    n_checked = 0
    for run in _models(typed):
        result = drift(run, roles=EVERY_ROLE)
        assert [entry.path for entry in result.checkpoints] == [e.path for e in run.entries]
        frame = result.to_pandas().set_index(["name", "checkpoint"]).sort_index()
        for variable in result.variables:
            if variable.dtype is DataType.STRING:
                continue
            arrays = _values(run, variable.name)
            figures = _figures(arrays)
            for at, (entry, expected) in enumerate(zip(run.entries, figures, strict=True)):
                row = frame.loc[(variable.name, entry.path)]
                for name, value in expected.items():
                    _assert_close(getattr(variable, name)[at], value, (variable.name, name, at))
                    _assert_close(_plain(row[name]), value, ("pandas", variable.name, name, at))
                n_checked += 1
            _check_failure(variable, arrays)
    assert n_checked


def _figures(arrays: list[NDArray[Any] | None]) -> list[dict[str, float | bool | None]]:
    """Give what drift should say of one variable, from its whole arrays in float64."""
    wide = [None if array is None else np.asarray(array, np.float64).ravel() for array in arrays]
    start = next(x for x in wide if x is not None)
    found: list[dict[str, float | bool | None]] = []
    for at, x in enumerate(wide):
        before, array = (None, None) if not at else (wide[at - 1], arrays[at - 1])
        if x is None:
            names = ("l2", "from_first", "from_previous", "cosine_to_first", "changed")
            found.append(dict.fromkeys(names))
            continue
        norm, norm_start = float(np.linalg.norm(x)), float(np.linalg.norm(start))
        product = norm * norm_start
        now = arrays[at]
        is_same = array is not None and now is not None and array.tobytes() == now.tobytes()
        found.append({
            "l2": norm,
            "from_first": _ratio(x, start),
            "from_previous": None if before is None else _ratio(x, before),
            "cosine_to_first": float(x @ start) / product if product else None,
            "changed": None if before is None else not is_same,
        })  # fmt: skip
    return found


def _ratio(x: NDArray[np.float64], start: NDArray[np.float64]) -> float:
    distance, norm = float(np.linalg.norm(x - start)), float(np.linalg.norm(start))
    return 0.0 if distance == 0 else distance / norm if norm else math.inf


def _plain(value: Any) -> float | bool | None:
    """Give a value of a frame, where what is absent is NaN or NA, as it is in a record."""
    if pytest.importorskip("pandas").isna(value):
        return None
    return bool(value) if isinstance(value, bool | np.bool_) else float(value)


def _assert_close(found: float | bool | None, expected: float | bool | None, where: object) -> None:
    if expected is None or isinstance(expected, bool):
        assert found == expected, where
    elif math.isnan(expected):
        assert found is None or math.isnan(found), where
    elif math.isinf(expected):  # a move from norm 0: null in documents and frames
        assert found is None or math.isinf(found), where
    else:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12), where


def _check_failure(variable: VariableDrift, arrays: list[NDArray[Any] | None]) -> None:
    finite = [array is None or bool(np.isfinite(array).all()) for array in arrays]
    first = finite.index(False) if False in finite else None
    assert variable.first_nonfinite == first, variable.name


@pytest.mark.parametrize("typed", RUNS)
def test_track_equals_tensorflow(typed: str) -> None:
    for run in _models(typed):
        patterns = {}
        for variable in _opened(run)[-1].values():
            if variable.dtype.is_plain and variable.elements:
                last = tuple(size - 1 for size in variable.shape)
                index = f"[{', '.join(map(str, last))}]" if last else ""
                patterns[variable.name + index.replace(" ", "")] = (variable.name, last)
        result = track(run, list(patterns))
        assert [variable.name for variable in result.variables] == list(patterns)
        frame = result.to_pandas()
        for tracked in result.variables:
            name, last = patterns[tracked.name]
            expected = [None if a is None else a[last].item() for a in _values(run, name)]
            assert list(tracked.values) == expected, tracked.name
            column = [None if value != value else value for value in frame[tracked.name].tolist()]
            assert column == expected, tracked.name
