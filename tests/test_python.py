"""ckread as a library: tables for pandas, arguments as a person gives them, errors that help."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import ckread
from ckread.errors import MissingDependencyError, UsageError, VariableNotFoundError
from tests.builders import write_bundle
from tests.places import ROOT
from tests.test_notebook import ANSWERS

if TYPE_CHECKING:
    from pathlib import Path

RUN = "fixtures/digits_run"
pandas: Any = pytest.importorskip("pandas")


HANDLES = ("Checkpoint", "VariableTree", "Run")
"""What leads to files that are open; the others are plain records."""


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where short paths are enough."""
    monkeypatch.chdir(ROOT)


ROWS = {
    "Checkpoint": 44, "VariableTree": 70, "Run": 10, "CheckpointStatistics": 16,
    "RunStatistics": 20, "CheckpointDiff": 43, "RunDrift": 160, "RunTrack": 10,
    "TrainingHistory": 10, "CheckReport": 1, "RestoreForecast": 11, "OnLoading": 2,
    "OptimizerAudit": 12, "RunOptimizerAudit": 120,
}  # fmt: skip
INDEX = {
    "Checkpoint": "name", "VariableTree": "path", "CheckpointStatistics": "name",
    "CheckpointDiff": "name", "RunTrack": "step", "TrainingHistory": "epoch",
    "RestoreForecast": "name", "OptimizerAudit": "name",
}  # fmt: skip


TABLES = [kind for kind in ANSWERS if kind != "CheckpointSummary"]
"""What has rows."""


@pytest.mark.parametrize("kind", TABLES)
def test_each_answer_is_a_table(kind: str) -> None:
    answer = ckread.open(RUN).tree() if kind == "VariableTree" else ANSWERS[kind]()
    frame = answer.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == ROWS[kind]
    assert frame.index.name == INDEX.get(kind)
    assert frame.index.is_unique
    for name, column in frame.items():
        if column.dtype == object:
            assert {type(cell) for cell in column} <= {str, tuple, type(None)}, name


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_keeps_its_types_where_it_has_no_row(kind: str) -> None:
    """So that tables of several checkpoints can be put below each other."""
    frame = ANSWERS[kind]().to_pandas()
    again = pandas.concat([frame, frame.iloc[:0]])
    assert (again.dtypes == frame.dtypes).all()
    if kind == "CheckReport":
        empty = ckread.CheckReport("x", ()).to_pandas()
        assert list(empty.columns) == list(frame.columns)
        assert (empty.dtypes == frame.dtypes).all()


@pytest.mark.parametrize("kind", TABLES)
def test_without_pandas_the_extra_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ANSWERS[kind]()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pandas is not installed") as caught:
        answer.to_pandas()
    assert "ckread[pandas]" in str(caught.value.remedy)


def test_statistics_of_what_is_not_finite_or_empty(tmp_path: Path) -> None:
    arrays = {
        "nan": np.full(3, np.nan),
        "mixed": np.array([1.0, np.inf, np.nan, -2.0]),
        "none": np.zeros((0, 4)),
    }
    frame = ckread.statistics(write_bundle(tmp_path / "ckpt", arrays)).to_pandas()
    assert frame["min"].dtype == "float64"
    assert np.isnan(frame.loc["nan", "min"])
    assert np.isnan(frame.loc["none", "mean"])
    assert frame.loc["mixed", ["nan", "inf", "elements"]].tolist() == [1, 1, 4]
    assert frame.loc["mixed", "min"] == -2
    assert frame.loc["none", "shape"] == (0, 4)


def test_a_table_holds_the_figures_of_the_values() -> None:
    with ckread.open(RUN) as checkpoint:
        frame = ckread.statistics(checkpoint).to_pandas()
        for name, row in frame.iterrows():
            values: Any = checkpoint[name].numpy()
            assert row["elements"] == values.size
            assert row["max"] == values.max()
            assert row["std"] == pytest.approx(values.astype(float).std())
            assert row["0.5"] == pytest.approx(np.quantile(values, 0.5))


def test_what_is_absent_is_absent_in_its_type(tmp_path: Path) -> None:
    a = write_bundle(tmp_path / "a", {"x": np.ones(2), "y": np.ones(3), "z": np.ones(2)})
    b = write_bundle(tmp_path / "b", {"x": np.ones(2) * 2, "z": np.ones((2, 2))})
    frame = ckread.diff(a, b).to_pandas()
    assert frame.loc["x", "changed_elements"] == 2
    assert frame.loc["y", "changed_elements"] is pandas.NA
    assert np.isnan(frame.loc["y", "relative_l2"])
    assert frame.loc["y", "status"] == "removed"
    assert frame.loc["z", "shape"] == (2, 2)
    first, second = (
        write_bundle(tmp_path / name, {"x": np.full(2, value)})
        for name, value in (("c", 1), ("d", 2))
    )
    drift = ckread.drift([first, second]).to_pandas()
    assert drift["step"].isna().all()
    assert drift["changed"].isna().tolist() == [True, False]
    assert drift["l2"].tolist() == pytest.approx([2**0.5, 8**0.5])


def test_a_value_called_step_does_not_hide_the_steps(tmp_path: Path) -> None:
    for step in (10, 20):
        write_bundle(tmp_path / f"ckpt-{step}", {"step": np.array(step / 2), "w": np.ones(2)})
    frame = ckread.track(tmp_path, "step").to_pandas()
    assert frame.index.tolist() == [10, 20]
    assert frame["step"].tolist() == [5.0, 10.0]


def test_times_of_a_run_are_times() -> None:
    frame = ckread.open_run(RUN).to_pandas()
    assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
    assert frame["time"].is_monotonic_increasing
    assert frame["nbytes"].sum() == sum(entry.nbytes or 0 for entry in ckread.open_run(RUN).entries)


def test_a_table_comes_back_from_a_file(tmp_path: Path) -> None:
    frame = ckread.statistics(RUN).to_pandas()
    frame.to_csv(tmp_path / "s.csv")
    again = pandas.read_csv(tmp_path / "s.csv", index_col="name")
    figures = ["min", "max", "mean", "std", "l2", "zeros", "0.5"]
    assert (again[figures] == frame[figures]).all().all()


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_dict_is_json(kind: str) -> None:
    assert json.loads(json.dumps(ANSWERS[kind]().to_dict()))


@pytest.mark.parametrize("kind", [kind for kind in ANSWERS if kind not in HANDLES])
def test_answers_pickle(kind: str) -> None:
    answer = ANSWERS[kind]()
    assert pickle.loads(pickle.dumps(answer)).to_dict() == answer.to_dict()


def test_one_pattern_and_one_role_may_stand_alone() -> None:
    assert len(ckread.statistics(RUN, "conv1").variables) == 2
    assert len(ckread.statistics(RUN, "conv1", roles="slot").variables) == 4
    assert len(ckread.diff(RUN, RUN, "conv1", roles="slot").variables) == 4
    assert len(ckread.drift(RUN, "conv1", roles="slot").variables) == 4
    assert len(ckread.statistics_of_run(RUN, "conv1").names) == 2


def test_no_such_role_is_an_error_and_not_nothing() -> None:
    for ask in (ckread.statistics, ckread.drift, ckread.statistics_of_run):
        with pytest.raises(UsageError, match="'slott' is no role") as caught:
            ask(RUN, roles=["slott"])
        assert "slot, " in str(caught.value.remedy)


def test_a_run_and_a_checkpoint_are_told_apart() -> None:
    run, checkpoint = ckread.open_run(RUN), ckread.open(RUN)
    one: Any = ckread.statistics
    several: Any = ckread.drift
    with pytest.raises(TypeError, match=r"expected a Checkpoint, .*, found <ckread\.Run"):
        one(run)
    with pytest.raises(TypeError, match=r"expected a directory.*found one <ckread\.Checkpoint"):
        several(checkpoint)


def test_the_remedy_is_in_the_traceback() -> None:
    try:
        ckread.open(RUN)["conv1/kernal"]
    except VariableNotFoundError as error:
        shown = "".join(traceback.format_exception(error))
    assert shown.rstrip().endswith("logits/kernel\n  hidden/kernel")
    assert "Nearest names:\n  conv1/kernel" in shown


@pytest.mark.parametrize("kind", ["CheckpointStatistics", "CheckpointDiff", "RunDrift"])
def test_a_variable_of_an_answer_is_found_by_its_name(kind: str) -> None:
    answer = ANSWERS[kind]()
    assert answer["conv1/kernel"].name == "conv1/kernel"
    with pytest.raises(VariableNotFoundError, match="no variable conv1/kernal") as caught:
        answer["conv1/kernal"]
    assert "conv1/kernel" in str(caught.value.remedy)


def test_part_of_a_variable_is_read_by_its_index() -> None:
    with ckread.open(RUN) as checkpoint:
        kernel = checkpoint["hidden/kernel"]
        assert (kernel[3:9:2, -1] == kernel.numpy()[3:9:2, -1]).all()
        with pytest.raises(TypeError, match="not iterable"):
            list(kernel)  # type: ignore[call-overload]
        assert np.asarray(kernel).shape == (512, 64)


def test_a_path_that_is_opened_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    close = ckread.Checkpoint.close

    def close_and_say(checkpoint: ckread.Checkpoint) -> None:
        closed.append(checkpoint.path)
        close(checkpoint)

    monkeypatch.setattr(ckread.Checkpoint, "close", close_and_say)
    ckread.statistics(RUN)
    ckread.info(RUN)
    ckread.diff(f"{RUN}/ckpt-1", f"{RUN}/ckpt-2")
    assert closed == [f"{RUN}/ckpt-{n}" for n in (10, 10, 2, 1)]
    with ckread.open(RUN) as checkpoint:
        ckread.statistics(checkpoint)
        ckread.diff(checkpoint, checkpoint)
        assert len(closed) == 4


def test_dir_lists_what_is_public() -> None:
    assert [name for name in dir(ckread) if not name.startswith("_")] == [
        name for name in ckread.__all__ if not name.startswith("_")
    ]


TYPED = """
import ckread
from pathlib import Path

with ckread.open(Path("x")) as checkpoint:
    reveal_type(checkpoint)
    reveal_type(checkpoint["a"])
    reveal_type(checkpoint["a"].shape)
reveal_type(ckread.open_run("x")[0])
reveal_type(ckread.diff("a", "b").variables[0].status)
reveal_type(ckread.drift("x")["a"].moved)
reveal_type(ckread.statistics("x")["a"].distribution)
reveal_type(ckread.plot_drift(ckread.drift("x")))
ckread.statistics(3)
"""


@pytest.mark.slow
def test_names_that_are_resolved_late_are_typed_for_users(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "use.py").write_text(TYPED, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "use.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = done.stdout.replace("builtins.", "").splitlines()
    revealed = [line.split('"')[1] for line in said if "note: Revealed" in line]
    revealed[6] = revealed[6].rpartition("fallback=")[2]  # a named tuple is told field by field
    assert revealed == [
        "ckread.model.checkpoint.Checkpoint",
        "ckread.model.variable.Variable",
        "tuple[int, ...]",
        "ckread.model.checkpoint.Checkpoint",
        "ckread.analysis.diff.records.DiffStatus | None",
        "float | None",
        "ckread.analysis.statistics.distribution.Distribution] | None",
        "matplotlib.figure.Figure",
    ]
    errors = [line for line in said if ": error: " in line]
    assert len(errors) == 1
    assert 'Argument 1 to "statistics" has incompatible type "int"' in errors[0]
